"""Cell suppression: k by exact grouping, single cells only, and as few as by hand."""

from __future__ import annotations

import itertools
import json
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sfumato.anonymization.cell_suppression import CellSuppression, rising_sets
from sfumato.anonymization.class_recoding import ClassRecoding
from sfumato.errors import GuaranteeNotMet, PlanError
from sfumato.privacy import EquivalenceClasses, KAnonymity, LDiversity, TCloseness
from sfumato.release import verify
from sfumato.table import Hierarchy, Schema

DATA = Path(__file__).parent.parent / "data"
QUASI = ["place", "age", "sex"]
PLACES = {"Lyon": "South", "Nice": "South", "Lille": "North"}
SCHEMA = Schema(
    identifiers=["id"],
    quasi_identifiers={"place": Hierarchy.mapping(PLACES), "age": None, "sex": None},
    sensitive=["diagnosis"],
)
COLUMNS = {
    "place": pl.String,
    "age": pl.Int64,
    "sex": pl.String,
    "diagnosis": pl.String,
    "id": pl.Int64,
}
rows = st.lists(
    st.tuples(
        st.sampled_from([*PLACES, None]),
        st.sampled_from([18, 20, 31, None]),
        st.sampled_from(["f", "m"]),
        st.sampled_from(["flu", "gout", None]),
        st.integers(1, 9),
    ),
    min_size=1,
    max_size=50,
)


def table_of(drawn: list) -> pl.DataFrame:
    return pl.DataFrame(drawn, schema=COLUMNS, orient="row")


@settings(max_examples=40, deadline=None)
@given(
    drawn=rows,
    k=st.integers(2, 6),
    diverse=st.booleans(),
    by_person=st.booleans(),
    seed=st.integers(0, 99),
)
def test_what_a_release_promises(
    drawn: list, k: int, diverse: bool, by_person: bool, seed: int
) -> None:
    table = table_of(drawn)
    schema = Schema.of(SCHEMA.columns, person="id") if by_person else SCHEMA
    criteria = [LDiversity(column="diagnosis", l=2)] if diverse else []
    made = CellSuppression(k=k, criteria=criteria)
    everybody = len({row[4] for row in drawn}) if by_person else len(drawn)
    if everybody < k:
        with pytest.raises(PlanError, match=f"k = {k} is more than the table has: {everybody}"):
            made.fit(table, schema)
        return
    if diverse and len({row[3] for row in drawn}) < 2:
        with pytest.raises(GuaranteeNotMet, match="all people in one class"):
            made.fit(table, schema)
        return
    recoding = made.fit(table, schema)
    released = recoding.apply(table)
    people: dict[tuple, set] = defaultdict(set)
    diagnoses: dict[tuple, set] = defaultdict(set)
    for number, (label, row) in enumerate(
        zip(released.select(QUASI).iter_rows(), drawn, strict=True)
    ):
        people[label].add(row[4] if by_person else number)
        diagnoses[label].add(row[3])
    assert min(len(some) for some in people.values()) >= k
    assert not diverse or min(len(some) for some in diagnoses.values()) >= 2
    if not by_person:
        assert verify(released, recoding.released_schema(), recoding.promises).passed
        # read as any value, a star hides among at least as many
        wild = EquivalenceClasses.of(released, QUASI, suppressed="wildcard", missing="category")
        assert wild.smallest >= k
    # a cell is as it was, or a star
    for before, after in zip(table.iter_rows(), released.select(QUASI).iter_rows(), strict=True):
        for value, label in zip(before, after, strict=False):
            assert label in ("*", None if value is None else str(value))
    assert released["diagnosis"].equals(table["diagnosis"])
    CellSuppression(k=2).fit(pl.concat([table, table]), SCHEMA)
    assert made.fit(table, schema) == recoding
    again = ClassRecoding.from_dict(json.loads(json.dumps(recoding.to_dict())))
    assert again.apply(table).equals(released)
    if not by_person:
        order = np.random.default_rng(seed).permutation(table.height)
        assert made.fit(table[order], schema).apply(table[order]).equals(released[order])


@settings(max_examples=5, deadline=None)
@given(drawn=rows.filter(lambda drawn: len(drawn) >= 3))
def test_an_independent_count(drawn: list) -> None:
    from pycanon.anonymity import k_anonymity

    released = CellSuppression(k=3).fit(table_of(drawn), SCHEMA).apply(table_of(drawn))
    texts = released.select(pl.col(QUASI).fill_null("(missing)"))
    assert k_anonymity(texts.to_pandas(), QUASI) >= 3


def test_a_few_cells_by_hand() -> None:
    table = pl.DataFrame(
        {
            "place": ["Lyon"] * 3 + ["Nice"] * 3,
            "age": [20, 20, 31, 20, 20, 31],
            "sex": ["f", "f", "f", "m", "m", "m"],
        }
    )
    recoding = CellSuppression(k=2).fit(table, Schema(quasi_identifiers=table.columns))
    # the two of 31 differ in two cells: both become stars, four cells in all
    assert recoding.apply(table).rows() == [
        ("Lyon", "20", "f"),
        ("Lyon", "20", "f"),
        ("*", "31", "*"),
        ("Nice", "20", "m"),
        ("Nice", "20", "m"),
        ("*", "31", "*"),
    ]
    assert recoding.technique == "cell suppression of 4 in 18 cells"
    # age is worth less than the others: at k = 3 it goes for everybody, rather than theirs
    cheap = CellSuppression(k=3, weights={"age": 0.5})
    assert cheap.fit(table, Schema(quasi_identifiers=table.columns)).apply(table).rows() == [
        *[("Lyon", "*", "f")] * 3,
        *[("Nice", "*", "m")] * 3,
    ]


def test_the_rest_joins_where_it_costs_fewest_cells() -> None:
    table = pl.DataFrame({"a": ["x"] * 4 + ["z"], "b": ["u", "u", "v", "v", "v"]})
    released = CellSuppression(k=2).fit(table, Schema(quasi_identifiers=["a", "b"])).apply(table)
    assert released.rows() == [("x", "u")] * 2 + [("*", "v")] * 3


def fewest(drawn: list[tuple], k: int) -> int:
    """Return the fewest cells by trying every way to part a few rows into groups."""

    def partitions(left: tuple[int, ...]):
        if not left:
            yield []
            return
        first, rest = left[0], left[1:]
        for size in range(k - 1, len(rest) + 1):
            for others in itertools.combinations(rest, size):
                remaining = tuple(one for one in rest if one not in others)
                for more in partitions(remaining):
                    yield [(first, *others), *more]

    best = None
    for parts in partitions(tuple(range(len(drawn)))):
        cells = sum(
            len(part) * sum(len({drawn[one][column] for one in part}) > 1 for column in range(3))
            for part in parts
        )
        best = cells if best is None else min(best, cells)
    assert best is not None
    return best


def stars(drawn: list) -> int:
    table = pl.DataFrame(drawn, schema=QUASI, orient="row")
    released = CellSuppression(k=2).fit(table, Schema(quasi_identifiers=QUASI)).apply(table)
    return sum(int((released[name] == "*").sum()) for name in QUASI)


@settings(max_examples=40, deadline=None)
@given(
    drawn=st.lists(
        st.tuples(st.sampled_from("ab"), st.sampled_from("cd"), st.sampled_from("ef")),
        min_size=2,
        max_size=7,
    )
)
def test_no_more_than_twice_as_many_cells_as_the_fewest(drawn: list) -> None:
    assume(len(drawn) >= 2)
    least = fewest(drawn, 2)
    assert least <= stars(drawn) <= 2 * least + 3


def test_a_lone_person_takes_only_one_other_along() -> None:
    drawn = [("a", "c", "e"), *[("b", "d", "f")] * 5]
    assert stars(drawn) == fewest(drawn, 2) == 6


def test_more_cells_than_the_limit_are_refused() -> None:
    table = pl.DataFrame({"a": [1, 2, 3, 4], "b": ["x"] * 4})
    schema = Schema(quasi_identifiers=["a", "b"])
    with pytest.raises(GuaranteeNotMet, match=r"takes 4 of 8 cells .*suppression_limit = 0.4"):
        CellSuppression(k=2, suppression_limit=0.4).fit(table, schema)
    recoding = CellSuppression(k=2, suppression_limit=0.5).fit(table, schema)
    assert recoding.apply(table).rows() == [("*", "x")] * 4
    assert recoding.promises == (KAnonymity(k=2),)
    assert "value of its own" in recoding.notes[0]


@settings(max_examples=80, deadline=None)
@given(weights=st.lists(st.integers(0, 9), min_size=1, max_size=7), most=st.integers(1, 200))
def test_sets_come_by_rising_weight_each_once(weights: list[int], most: int) -> None:
    found = list(rising_sets(weights, most))
    assert len(set(found)) == len(found) == min(most, 2 ** len(weights))
    sums = [sum(weights[column] for column in some) for some in found]
    assert sums == sorted(sums)
    every = sorted(
        sum(some)
        for size in range(len(weights) + 1)
        for some in itertools.combinations(weights, size)
    )
    assert sums == every[: len(sums)]


@pytest.mark.slow
def test_a_wide_table_is_kept_anonymous() -> None:
    draw = np.random.default_rng(3)
    table = pl.DataFrame({f"c{n}": draw.choice(list("xy"), 200, p=[0.9, 0.1]) for n in range(20)})
    recoding = CellSuppression(k=4).fit(table, Schema(quasi_identifiers=table.columns))
    counted = Counter(recoding.apply(table).iter_rows())
    assert min(counted.values()) >= 4
    assert len(counted) > 1


@pytest.mark.slow
def test_adult_keeps_six_of_seven_cells() -> None:
    names = ["sex", "age", "race", "marital-status", "education", "native-country", "workclass"]
    table = pl.read_csv(DATA / "adult_kanonml.csv.gz", separator=";")
    schema = Schema(identifiers=["ID"], quasi_identifiers=[*names, "occupation"], rest="other")
    recoding = CellSuppression(k=5).fit(table, schema)
    released = recoding.apply(table)
    quasi = list(schema.quasi_identifiers)
    assert released.group_by(quasi).len()["len"].min() >= 5
    lost = sum(int((released[name] == "*").sum()) for name in quasi)
    assert lost < table.height * 8 / 7
    assert recoding.technique == f"cell suppression of {lost:,} in 241,296 cells"


def test_a_person_of_several_rows_is_counted_once() -> None:
    draw = np.random.default_rng(2)
    table = pl.DataFrame(
        {
            "place": draw.choice([*PLACES], 200),
            "age": draw.choice([18, 20, 31], 200),
            "sex": draw.choice(["f", "m"], 200),
            "diagnosis": draw.choice(["flu", "gout"], 200),
            "id": draw.integers(0, 40, 200),
        }
    )
    promised = [LDiversity(column="diagnosis", l=2), TCloseness(column="diagnosis", t=0.3)]
    schema = Schema.of(SCHEMA.columns, person="id")
    released = CellSuppression(k=4, criteria=promised).fit(table, schema).apply(table)
    counted = EquivalenceClasses.of(
        released.with_columns(table["id"]), QUASI, sensitive=["diagnosis"], person="id"
    )
    assert counted.smallest >= 4
    assert all(criterion.holds(counted) for criterion in promised)
    assert len(counted) > 1
