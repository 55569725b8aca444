"""The criteria about a sensitive column against their definitions in plain Python, and pycanon."""

from __future__ import annotations

import math
from collections import Counter
from fractions import Fraction

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from sfumato.errors import PlanError
from sfumato.privacy import (
    AlphaKAnonymity,
    BetaLikeness,
    DeltaDisclosure,
    EquivalenceClasses,
    LDiversity,
    TCloseness,
    ValueCounts,
)
from sfumato.privacy.closeness import equal_distance, hierarchical_distance, ordered_distance
from sfumato.privacy.diversity import grassberger_entropy, shannon_entropy
from sfumato.table import Hierarchy

VALUES = [1, 2, 3, 7, 11, None]
members = st.lists(st.sampled_from(VALUES), min_size=1, max_size=9)
tables = st.lists(members, min_size=1, max_size=5)


def classes_of(table: list[list[int | None]]) -> EquivalenceClasses:
    rows = [(number, value) for number, held in enumerate(table) for value in held]
    frame = pl.DataFrame(rows, schema={"q": pl.Int64, "s": pl.Int64}, orient="row")
    return EquivalenceClasses.of(frame, ["q"], sensitive=["s"])


def distributions(table: list[list]) -> tuple[list[dict], dict]:
    every = [value for held in table for value in held]
    whole = {value: Fraction(n, len(every)) for value, n in Counter(every).items()}
    parts = [{value: Fraction(held.count(value), len(held)) for value in whole} for held in table]
    return parts, whole


# -- l-diversity -----------------------------------------------------------------------------


@settings(deadline=None, max_examples=50)
@given(tables, st.integers(1, 5))
def test_distinct_diversity_counts_values(table: list, l: int) -> None:  # noqa: E741
    kept = LDiversity("s", l).kept(classes_of(table))
    assert kept.tolist() == [len(set(held)) >= l for held in table]


@settings(deadline=None, max_examples=50)
@given(tables, st.sampled_from([1, 1.5, 2, 2.5, 3, 4]))
def test_entropy_diversity_is_its_definition(table: list, l: float) -> None:  # noqa: E741
    kept = LDiversity("s", l, "entropy").kept(classes_of(table))
    for held, found in zip(table, kept, strict=True):
        shares = [n / len(held) for n in Counter(held).values()]
        effective = math.prod(share**-share for share in shares)
        assert found == (effective >= l * (1 - 1e-9))


def test_even_values_are_exactly_as_diverse_as_they_are_many() -> None:
    for count in range(2, 12):
        held = list(range(count)) * 3
        frame = pl.DataFrame({"q": [0] * len(held), "s": held})
        classes = EquivalenceClasses.of(frame, ["q"], sensitive=["s"])
        assert LDiversity("s", count, "entropy").holds(classes)
        assert not LDiversity("s", count + 1e-6, "entropy").holds(classes)


@settings(deadline=None, max_examples=50)
@given(tables, st.integers(1, 4), st.sampled_from([0.5, 1, 2, 3]))
def test_recursive_diversity_is_its_definition(table: list, l: int, c: float) -> None:  # noqa: E741
    kept = LDiversity("s", l, "recursive", c).kept(classes_of(table))
    for held, found in zip(table, kept, strict=True):
        falling = sorted(Counter(held).values(), reverse=True)
        assert found == (falling[0] < c * sum(falling[l - 1 :]))


def test_recursive_diversity_of_the_paper() -> None:
    # Machanavajjhala et al. 2007, section 4.1: r1 < c (r2 + ... + rm) is (c, 2)-diversity.
    frame = pl.DataFrame({"q": [0] * 10, "s": list("aaaabbbccd")})
    classes = EquivalenceClasses.of(frame, ["q"], sensitive=["s"])
    assert LDiversity("s", 2, "recursive", 1.0).holds(classes)  # 4 < 3 + 2 + 1
    assert not LDiversity("s", 3, "recursive", 1.0).holds(classes)  # 4 < 2 + 1
    assert LDiversity("s", 3, "recursive", 1.5).holds(classes)  # 4 < 4.5


def grassberger_g(n: int) -> float:
    """G(n) = psi(n) + (-1)**n / 2 * (psi((n + 1) / 2) - psi(n / 2)), the other form."""
    from scipy.special import digamma

    return float(digamma(n) + (-1) ** n / 2 * (digamma((n + 1) / 2) - digamma(n / 2)))


@settings(deadline=None, max_examples=50)
@given(tables)
def test_grassbergers_entropy_is_its_digamma_form(table: list) -> None:
    counts = classes_of(table).sensitive_counts("s")
    expected = [
        math.log(sum(row)) - sum(n * grassberger_g(n) for n in row if n) / sum(row)
        for row in counts.tolist()
    ]
    assert np.allclose(grassberger_entropy(counts), expected, atol=1e-12)


def test_grassbergers_estimate_is_nearly_unbiased_where_shannons_is_too_low() -> None:
    generator = np.random.default_rng(5)
    shares = np.array([0.3, 0.2, 0.15, 0.1, 0.1, 0.05, 0.05, 0.03, 0.02])
    truth = -(shares * np.log(shares)).sum()
    drawn = generator.multinomial(15, shares, size=20_000)
    assert abs(grassberger_entropy(drawn).mean() - truth) < 0.02
    assert shannon_entropy(drawn).mean() < truth - 0.2
    assert LDiversity("s", 5, "entropy", estimator="grassberger").kept_counts(
        drawn.sum(axis=1), drawn, shares
    ).mean() > (LDiversity("s", 5, "entropy").kept_counts(drawn.sum(axis=1), drawn, shares).mean())


# -- t-closeness -----------------------------------------------------------------------------


def transported(one: dict, other: dict, cost: dict) -> float:
    """The earth mover's distance as the linear program that defines it."""
    keys = list(one)
    costs = [cost[a, b] for a in keys for b in keys]
    leaving = [[float(a == x) for a in keys for _ in keys] for x in keys]
    coming = [[float(b == x) for _ in keys for b in keys] for x in keys]
    found = linprog(
        costs,
        A_eq=leaving + coming,
        b_eq=[float(one[x]) for x in keys] + [float(other[x]) for x in keys],
    )
    assert found.success
    return float(found.fun)


def ground(table: list, distance: str, hierarchy: Hierarchy | None) -> dict:
    held = {value for part in table for value in part}
    order = [value for value in VALUES if value in held]
    steps = max(len(order) - 1, 1)
    if hierarchy is not None:
        height = hierarchy.height
        values = [value for value in order if value is not None]
        labels = {
            level: hierarchy.generalize(pl.Series(values, dtype=pl.Int64), level).to_list()
            for level in range(height + 1)
        }
        meet = {
            (a, b): min(
                level
                for level in range(height + 1)
                if labels[level][values.index(a)] == labels[level][values.index(b)]
            )
            for a in values
            for b in values
        }
    cost = {}
    for a in order:
        for b in order:
            if a == b:
                cost[a, b] = 0.0
            elif distance == "equal":
                cost[a, b] = 1.0
            elif distance == "ordered":
                cost[a, b] = abs(order.index(a) - order.index(b)) / steps
            elif a is None or b is None:
                cost[a, b] = 1.0
            else:
                cost[a, b] = meet[a, b] / height
    return cost


@pytest.mark.parametrize("distance", ["equal", "ordered", "hierarchical"])
@settings(deadline=None, max_examples=15)
@given(table=tables)
def test_closeness_is_the_earth_movers_distance(distance: str, table: list) -> None:
    hierarchy = Hierarchy.bands([2, 4, 8], top=None) if distance == "hierarchical" else None
    recipe = None if hierarchy is None else hierarchy.to_dict()
    classes = classes_of(table)
    parts, whole = distributions(table)
    cost = ground(table, distance, hierarchy)
    for number, part in enumerate(parts):
        truth = transported(part, whole, cost)
        for t, expected in ((truth + 1e-7, True), (truth - 1e-7, False)):
            if 0 <= t <= 1:
                criterion = TCloseness("s", t, distance, recipe)
                assert criterion.kept(classes)[number] == expected


def test_closeness_of_the_papers_salaries() -> None:
    # Li, Li, Venkatasubramanian 2007, section 4.1: {3k, 4k, 5k} is at 0.375 from the nine
    # salaries 3k to 11k, {6k, 8k, 11k} at 0.167.
    whole = np.ones(9, dtype=np.int64)
    first = np.array([1, 1, 1, 0, 0, 0, 0, 0, 0])
    second = np.array([0, 0, 0, 1, 0, 1, 0, 0, 1])
    found = ordered_distance(np.array([first, second]), whole)
    assert found == pytest.approx([0.375, 1 / 6], abs=1e-12)
    closeness = TCloseness("s", 0.2, "ordered")
    kept = closeness.kept_counts(np.array([3, 3]), np.array([first, second]), whole)
    assert kept.tolist() == [False, True]


def test_hierarchical_closeness_by_hand() -> None:
    # Two groups of two leaves, height 2: half of the mass moves between leaves of a group
    # (level 1 of 2), then half of it between the groups (level 2 of 2).
    groups = (np.array([0, 2]), np.array([0]))
    whole = np.array([1, 1, 1, 1])
    counts = np.array([[2, 0, 1, 1], [2, 2, 0, 0], [4, 0, 0, 0], [1, 1, 1, 1]])
    found = hierarchical_distance(counts, whole, groups)
    assert found == pytest.approx([0.125, 0.5, 0.25 * 0.5 + 0.5, 0.0])


def test_levels_with_one_child_cost_nothing_and_the_height_still_counts() -> None:
    lines = [["a", "A", "A+", "*"], ["b", "B", "B+", "*"]]
    recipe = Hierarchy.lines(lines).to_dict()
    frame = pl.DataFrame({"q": [0, 0, 1, 1], "s": ["a", "a", "b", "b"]})
    classes = EquivalenceClasses.of(frame, ["q"], sensitive=["s"])
    assert TCloseness("s", 0.5, "hierarchical", recipe).holds(classes)
    assert not TCloseness("s", 0.499, "hierarchical", recipe).holds(classes)


def test_values_that_the_table_lacks_are_no_steps() -> None:
    whole = np.array([2, 0, 0, 2])
    assert ordered_distance(np.array([[1, 0, 0, 0]]), whole) == pytest.approx([0.5])


def test_a_distance_at_its_limit_is_kept_whatever_the_rounding() -> None:
    # 7 of 10 against 4 of 10: 0.3, which is no binary fraction.
    whole = np.array([400, 600])
    counts = np.array([[7, 3]])
    assert equal_distance(counts, whole)[0] == pytest.approx(0.3)
    assert TCloseness("s", 0.3).kept_counts(np.array([10]), counts, whole).all()


def test_a_column_of_one_value_is_close() -> None:
    classes = classes_of([[1, 1], [1]])
    for distance in ("equal", "ordered"):
        assert TCloseness("s", 0, distance).holds(classes)


def test_numbers_in_texts_are_ordered_by_value() -> None:
    frame = pl.DataFrame({"q": [0, 0, 1, 1], "s": ["9", "10", "9", "100"]})
    classes = EquivalenceClasses.of(frame, ["q"], sensitive=["s"])
    # in the order 9, 10, 100: cumulated differences 0, -1/4 and 0, +1/4, over 2 steps
    assert TCloseness("s", 0.125, "ordered").holds(classes)
    assert not TCloseness("s", 0.124, "ordered").holds(classes)


# -- disclosure, likeness, alpha -------------------------------------------------------------


@settings(deadline=None, max_examples=50)
@given(tables, st.sampled_from([0.3, 0.5, 1.0, 2.0]))
def test_disclosure_is_its_definition(table: list, delta: float) -> None:
    parts, whole = distributions(table)
    kept = DeltaDisclosure("s", delta).kept(classes_of(table))
    for part, found in zip(parts, kept, strict=True):
        logs = [abs(math.log2(p / whole[value])) for value, p in part.items() if p]
        near = [abs(log - delta) < 1e-9 for log in logs]
        assert any(near) or found == all(log < delta for log in logs)


def test_disclosure_is_strict() -> None:
    # a is twice as frequent in the first class as in the table: exactly 1 bit
    counts, whole = np.array([[2, 0], [1, 3]]), np.array([4, 4])
    sizes = np.array([2, 4])
    assert DeltaDisclosure("s", 1).kept_counts(sizes, counts, whole).tolist() == [False, False]
    assert DeltaDisclosure("s", 1.01).kept_counts(sizes, counts, whole).tolist() == [True, True]


@settings(deadline=None, max_examples=50)
@given(tables, st.sampled_from([0.25, 0.5, 1.0, 2.0]), st.booleans())
def test_likeness_is_its_definition(table: list, beta: float, enhanced: bool) -> None:
    parts, whole = distributions(table)
    kept = BetaLikeness("s", beta, enhanced).kept(classes_of(table))
    for part, found in zip(parts, kept, strict=True):
        gains = [(float((p - whole[v]) / whole[v]), whole[v]) for v, p in part.items()]
        limits = [(gain, min(beta, -math.log(float(q))) if enhanced else beta) for gain, q in gains]
        assert found == all(gain <= limit + 1e-9 for gain, limit in limits if gain > 0)


@settings(deadline=None, max_examples=50)
@given(tables, st.integers(1, 5), st.sampled_from([0.25, 1 / 3, 0.5, 0.75, 1.0]))
def test_alpha_k_is_its_definition(table: list, k: int, alpha: float) -> None:
    classes = classes_of(table)
    kept = AlphaKAnonymity(k, "s", alpha).kept(classes)
    some = AlphaKAnonymity(k, "s", alpha, ("1", 7)).kept(classes)
    for held, every, two in zip(table, kept, some, strict=True):
        most = max(Counter(held).values())
        assert every == (len(held) >= k and most <= alpha * len(held) + 1e-9)
        guarded = max(held.count(1), held.count(7))
        assert two == (len(held) >= k and guarded <= alpha * len(held) + 1e-9)


def test_alpha_is_a_share_of_persons() -> None:
    # Three of four persons have "a", but "a" is only half of the pairs of person and value.
    table = pl.DataFrame(
        {"q": [0] * 6, "s": ["a", "a", "a", "b", "c", "d"], "p": [1, 2, 3, 1, 2, 4]}
    )
    classes = EquivalenceClasses.of(table, ["q"], sensitive=["s"], person="p")
    assert not AlphaKAnonymity(2, "s", 0.7).holds(classes)
    assert AlphaKAnonymity(2, "s", 0.75).holds(classes)
    assert not AlphaKAnonymity(5, "s", 0.75).holds(classes)


def test_one_person_with_one_value_in_many_rows_is_not_diverse_nor_many() -> None:
    table = pl.DataFrame({"q": [0] * 5, "s": ["a"] * 4 + ["b"], "p": [1, 1, 1, 1, 2]})
    rows = EquivalenceClasses.of(table, ["q"], sensitive=["s"])
    persons = EquivalenceClasses.of(table, ["q"], sensitive=["s"], person="p")
    # by rows 4 : 1, by persons 1 : 1
    assert not LDiversity("s", 2, "entropy").holds(rows)
    assert LDiversity("s", 2, "entropy").holds(persons)
    assert AlphaKAnonymity(5, "s", 0.8).holds(rows)
    assert not AlphaKAnonymity(5, "s", 0.8).holds(persons)


# -- plain arrays ----------------------------------------------------------------------------

ALL = [
    LDiversity("s", 2),
    LDiversity("s", 1.7, "entropy"),
    LDiversity("s", 1.7, "entropy", estimator="grassberger"),
    LDiversity("s", 2, "recursive", 1.5),
    TCloseness("s", 0.3),
    TCloseness("s", 0.2, "ordered"),
    TCloseness("s", 0.3, "hierarchical", Hierarchy.bands([4]).to_dict()),
    DeltaDisclosure("s", 1.2),
    BetaLikeness("s", 0.8),
    BetaLikeness("s", 0.8, enhanced=True),
    AlphaKAnonymity(2, "s", 0.6),
    AlphaKAnonymity(2, "s", 0.6, (1, 3)),
]


@pytest.mark.parametrize("criterion", ALL, ids=lambda one: one.kind)
@settings(deadline=None, max_examples=25)
@given(table=tables)
def test_plain_arrays_say_what_the_classes_say(criterion, table: list) -> None:
    classes = classes_of(table)
    values = classes.sensitive_values("s")
    arguments = classes.sizes, values.dense(), classes.overall("s")
    expected = criterion.kept(classes).tolist()
    assert criterion.kept_counts(*arguments, values.labels).tolist() == expected
    assert criterion.bound(values.labels)(*arguments).tolist() == expected
    # of any integer type, and with values that no row holds
    small = [array.astype(np.int32) for array in arguments]
    assert criterion.kept_counts(*small, values.labels).tolist() == expected
    wider = pl.concat([values.labels, pl.Series([5], dtype=values.labels.dtype)])
    padded = np.pad(arguments[1], ((0, 0), (0, 1))), np.pad(arguments[2], (0, 1))
    assert criterion.kept_counts(arguments[0], *padded, wider).tolist() == expected
    assert criterion.columns == ("s",)


def test_what_needs_the_values_says_so() -> None:
    arguments = np.array([1]), np.array([[1]]), np.array([1])
    for criterion in (ALL[6], ALL[11]):
        with pytest.raises(PlanError, match="needs the values of column 's'"):
            criterion.kept_counts(*arguments)
    # an ordered distance takes the columns for ordered
    assert TCloseness("s", 0.5, "ordered").kept_counts(
        np.array([2]), np.array([[2, 0]]), np.array([1, 1])
    )


@pytest.mark.parametrize("criterion", ALL, ids=lambda one: one.kind)
def test_no_class_keeps_every_promise(criterion) -> None:
    empty = EquivalenceClasses.from_counts(
        [], sensitive={"s": ValueCounts.of_dense(np.zeros((0, 1)), pl.Series([1]))}
    )
    assert criterion.kept(empty).shape == (0,)
    assert criterion.holds(empty)


# -- pycanon ---------------------------------------------------------------------------------


def made_table(seed: int) -> pl.DataFrame:
    generator = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "age": generator.choice(["20-30", "30-40", "40-50"], 400, p=[0.5, 0.3, 0.2]),
            "sex": generator.choice(["f", "m"], 400),
            "illness": generator.choice(list("abcde"), 400, p=[0.4, 0.3, 0.15, 0.1, 0.05]),
            "score": generator.choice([1, 2, 5, 9, 10], 400),
        }
    )


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_pycanon_finds_the_same_limits(seed: int) -> None:
    from pycanon import anonymity

    table = made_table(seed)
    quasi, frame = ["age", "sex"], table.to_pandas()
    classes = EquivalenceClasses.of(table, quasi, sensitive=["illness", "score"])
    for column, distance in (("illness", "equal"), ("score", "ordered")):
        arguments = frame, quasi, [column]
        l = anonymity.l_diversity(*arguments)  # noqa: E741
        assert LDiversity(column, l).holds(classes)
        assert not LDiversity(column, l + 1).holds(classes)
        entropy = anonymity.entropy_l_diversity(*arguments)
        assert LDiversity(column, entropy, "entropy").holds(classes)
        assert not LDiversity(column, entropy + 1, "entropy").holds(classes)
        limits = [
            (TCloseness, (distance,), anonymity.t_closeness(*arguments)),
            (BetaLikeness, (), anonymity.basic_beta_likeness(*arguments)),
            # pycanon's logarithm is the natural one
            (DeltaDisclosure, (), anonymity.delta_disclosure(*arguments) / math.log(2)),
        ]
        for kind, more, limit in limits:
            assert kind(column, limit * (1 + 1e-9), *more).holds(classes)
            assert not kind(column, limit * (1 - 1e-9), *more).holds(classes)
        alpha, k = anonymity.alpha_k_anonymity(*arguments)
        assert AlphaKAnonymity(int(k), column, alpha).holds(classes)
        assert not AlphaKAnonymity(int(k), column, alpha - 1e-9).holds(classes)
        assert not AlphaKAnonymity(int(k) + 1, column, alpha).holds(classes)


def test_a_shuffled_index_changes_nothing_here() -> None:
    # pycanon takes row labels for positions: 2-diverse by its count, 1-diverse in truth.
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"q": ["x", "x", "y", "y"], "s": ["a", "a", "b", "b"]})
    for index in ([0, 1, 2, 3], [0, 2, 1, 3], [9, 9, 9, 9], [100, 101, 102, 103]):
        frame.index = index
        classes = EquivalenceClasses.of(frame, ["q"], sensitive=["s"])
        assert LDiversity("s", 1).holds(classes)
        assert not LDiversity("s", 2).kept(classes).any()


def test_a_class_that_a_missing_cell_hides_is_judged() -> None:
    # pycanon leaves the rows without a quasi-identifier out.
    table = pl.DataFrame({"q": ["x", "x", None, None], "s": ["a", "b", "a", "a"]})
    classes = EquivalenceClasses.of(table, ["q"], sensitive=["s"])
    assert LDiversity("s", 2).kept(classes).tolist() == [True, False]
    assert TCloseness("s", 0.3).kept(classes).tolist() == [True, True]
    assert TCloseness("s", 0.2).kept(classes).tolist() == [False, False]


def test_a_missing_sensitive_value_is_a_value() -> None:
    table = pl.DataFrame({"q": ["x", "x"], "s": ["a", None]})
    classes = EquivalenceClasses.of(table, ["q"], sensitive=["s"])
    assert LDiversity("s", 2).holds(classes)
    assert AlphaKAnonymity(2, "s", 0.5).holds(classes)
