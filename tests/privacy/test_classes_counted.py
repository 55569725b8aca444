"""Classes that are already counted, classes whose missing cells match everything, natural order."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from datetime import date

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfumato.errors import SchemaError
from sfumato.privacy import EquivalenceClasses, KAnonymity, LDiversity, TCloseness, ValueCounts
from sfumato.privacy.natural_order import natural_order

SCHEMA = {"age": pl.Int64, "sex": pl.String, "diagnosis": pl.String, "person": pl.Int64}
rows = st.lists(
    st.tuples(
        st.sampled_from([20, 30, None]),
        st.sampled_from(["f", "m", "*", None]),
        st.sampled_from(["a", "b", "c", None]),
        st.sampled_from([1, 2, 3, 4, None]),
    ),
    max_size=40,
)


def table_of(drawn: list[tuple[object, ...]]) -> pl.DataFrame:
    return pl.DataFrame(drawn, schema=SCHEMA, orient="row")


def confusable(one: tuple, other: tuple, wild: set) -> bool:
    return all(a == b or a in wild or b in wild for a, b in zip(one, other, strict=True))


@settings(deadline=None, max_examples=50)
@given(rows, st.booleans(), st.booleans(), st.booleans())
def test_wildcards_are_those_of_comparing_every_pair_of_rows(
    drawn: list, missing: bool, suppressed: bool, by_person: bool
) -> None:
    classes = EquivalenceClasses.of(
        table_of(drawn),
        ["age", "sex"],
        sensitive=["diagnosis"],
        person="person" if by_person else None,
        missing="wildcard" if missing else "category",
        suppressed="wildcard" if suppressed else "category",
    )
    wild = ({None} if missing else set()) | ({"*"} if suppressed else set())
    labels = classes.sensitive_values("diagnosis").labels.to_list()
    dense = classes.sensitive_counts("diagnosis")
    units = [row[3] if by_person else number for number, row in enumerate(drawn)]
    for number, row in enumerate(drawn):
        alike = [i for i, other in enumerate(drawn) if confusable(row[:2], other[:2], wild)]
        own = [i for i, other in enumerate(drawn) if row[:2] == other[:2]]
        one = classes.of_row[number]
        assert classes.sizes[one] == len({units[i] for i in alike})
        assert classes.members[one] == len({units[i] for i in own})
        held = Counter(value for value, _ in {(drawn[i][2], units[i]) for i in alike})
        assert dict(zip(labels, dense[one].tolist(), strict=True)) == {
            label: held[label] for label in labels
        }
    exact = {(row[:2], row[2], unit) for row, unit in zip(drawn, units, strict=True)}
    whole = Counter(value for _, value, _ in exact)
    assert classes.overall("diagnosis").tolist() == [whole[label] for label in labels]


def test_a_missing_cell_that_matches_everything_is_said_so() -> None:
    table = pl.DataFrame({"age": [30, 30, None], "sex": ["f", "*", "f"]})
    plain = EquivalenceClasses.of(table, ["age", "sex"])
    assert "a missing cell is a value of its own, a suppressed one (*) is a value" in (
        plain.describe()
    )
    wild = EquivalenceClasses.of(table, ["age", "sex"], missing="wildcard", suppressed="wildcard")
    assert "a missing cell matches every value, a suppressed one (*) matches" in wild.describe()
    assert "3 classes of 3 rows by age, sex" in wild.describe()
    assert wild.sizes.tolist() == [3, 3, 3]
    assert not wild.disjoint
    assert plain.disjoint


def test_frequencies_with_missing_keys_by_hand() -> None:
    # Rows 1 and 2 lack key 1: row 1 agrees with rows 3 and 4, row 2 with row 5.
    table = pl.DataFrame({"key1": [None, None, 1, 1, 2], "key2": [1, 2, 1, 1, 2]})
    wild = EquivalenceClasses.of(table, ["key1", "key2"], missing="wildcard")
    assert wild.size_of_row().tolist() == [3, 2, 3, 3, 2]


def test_compatibility_is_not_transitive_and_wildcards_still_share_rows() -> None:
    table = pl.DataFrame({"age": [20, None, 40]})
    wild = EquivalenceClasses.of(table, ["age"], missing="wildcard")
    assert wild.sizes.tolist() == [2, 3, 2]
    assert wild.members.tolist() == [1, 1, 1]


@settings(deadline=None, max_examples=50)
@given(rows, st.booleans())
def test_counted_classes_are_those_of_the_table(drawn: list, by_person: bool) -> None:
    of = EquivalenceClasses.of(
        table_of(drawn),
        ["age", "sex"],
        sensitive=["diagnosis"],
        person="person" if by_person else None,
    )
    values = of.sensitive_values("diagnosis")
    counted = EquivalenceClasses.from_counts(
        of.sizes, of.of_row, persons=by_person, sensitive={"diagnosis": values}
    )
    assert counted.overall("diagnosis").tolist() == of.overall("diagnosis").tolist()
    for criterion in (
        KAnonymity(2),
        LDiversity("diagnosis", 2),
        TCloseness("diagnosis", 0.3),
        TCloseness("diagnosis", 0.3, "ordered"),
    ):
        assert criterion.kept(counted).tolist() == criterion.kept(of).tolist()
    again = ValueCounts.of_dense(values.dense(), values.labels)
    assert (again.classes.tolist(), again.values.tolist(), again.counts.tolist()) == (
        values.classes.tolist(),
        values.values.tolist(),
        values.counts.tolist(),
    )


@settings(deadline=None, max_examples=50)
@given(rows, st.integers(1, 9))
def test_blocks_are_the_dense_counts_cut_in_runs(drawn: list, cells: int) -> None:
    of = EquivalenceClasses.of(table_of(drawn), ["age", "sex"], sensitive=["diagnosis"])
    values = of.sensitive_values("diagnosis")
    parts = [(part.stop - part.start, counts) for part, counts in values.blocks(cells)]
    assert all(len(counts) == length for length, counts in parts)
    whole = [row for _, counts in parts for row in counts.tolist()]
    assert whole == values.dense().tolist()


def test_an_overall_that_is_handed_over_goes_before_the_sum() -> None:
    values = ValueCounts.of_dense([[2, 0], [0, 2]], pl.Series(["a", "b"]))
    counted = EquivalenceClasses.from_counts(
        [2, 2], sensitive={"s": values}, overall={"s": [30, 10]}
    )
    assert counted.overall("s").tolist() == [30, 10]
    # total variation of (1, 0) and (0, 1) from (3/4, 1/4)
    assert TCloseness("s", 0.25).kept(counted).tolist() == [True, False]
    assert TCloseness("s", 0.75).holds(counted)


def test_lengths_that_do_not_agree_are_refused() -> None:
    values = ValueCounts.of_dense([[2, 0], [0, 2]], pl.Series(["a", "b"]))
    with pytest.raises(SchemaError, match="classes of column 's': 2 entries, but 3"):
        EquivalenceClasses.from_counts([2, 2, 1], sensitive={"s": values})
    with pytest.raises(SchemaError, match="overall of column 's': 1 entries, but 2"):
        EquivalenceClasses.from_counts([2, 2], sensitive={"s": values}, overall={"s": [4]})
    for name in ("population", "loss"):
        with pytest.raises(SchemaError, match=f"{name}: 1 entries, but 2"):
            EquivalenceClasses.from_counts([2, 2], **{name: [4]})
    with pytest.raises(SchemaError, match="keys: 1 entries, but 2"):
        EquivalenceClasses.from_counts([2, 2], keys=pl.DataFrame({"a": [1]}))


def test_keys_are_the_tuple_of_each_class() -> None:
    table = pl.DataFrame({"a": [2, 1, 2, None], "b": ["x", "y", "x", "z"]})
    keys = EquivalenceClasses.of(table, ["a", "b"]).keys
    assert keys is not None
    assert keys.rows() == [(2, "x"), (1, "y"), (None, "z")]
    assert EquivalenceClasses.from_counts([3]).keys is None
    assert EquivalenceClasses.of(table, []).keys is None


def test_many_patterns_of_missing_cells_on_many_rows() -> None:
    generator = np.random.default_rng(3)
    columns = {
        name: pl.Series(generator.integers(0, 4, 3000)).set(
            pl.Series(generator.random(3000) < 0.2), None
        )
        for name in "abcd"
    }
    table = pl.DataFrame(columns)
    wild = EquivalenceClasses.of(table, list("abcd"), missing="wildcard")
    held: dict[tuple, int] = defaultdict(int)
    for row in table.rows():
        held[row] += 1
    expected = {
        one: sum(n for other, n in held.items() if confusable(one, other, {None}))
        for one in itertools.islice(held, 40)
    }
    keys = wild.keys
    assert keys is not None
    found = dict(zip(keys.rows(), wild.sizes.tolist(), strict=True))
    assert {one: found[one] for one in expected} == expected
    assert wild.members.sum() == 3000


@pytest.mark.parametrize(
    ("values", "ordered"),
    [
        ([3, None, -1, 20], [-1, 3, 20, None]),
        (["10", "9", None, "-2.5"], ["-2.5", "9", "10", None]),
        (["pear", None, "apple", "fig"], ["apple", "fig", "pear", None]),
        (["[20, 30)", ">=90", "<20", "[30, 90)"], ["<20", "[20, 30)", "[30, 90)", ">=90"]),
        (["100-200", "20-30"], ["20-30", "100-200"]),
        ([date(2020, 5, 1), None, date(1999, 1, 1)], [date(1999, 1, 1), date(2020, 5, 1), None]),
        ([True, False], [False, True]),
        ([1.5, -0.5, None], [-0.5, 1.5, None]),
        ([], []),
        ([None], [None]),
    ],
)
def test_values_go_in_their_natural_order(values: list, ordered: list) -> None:
    series = pl.Series(values, dtype=pl.String if not any(values) else None)
    assert series.gather(natural_order(series)).to_list() == ordered


def test_ordered_categories_go_in_their_own_order() -> None:
    series = pl.Series(["Good", "Poor", None, "Fair"], dtype=pl.Enum(["Poor", "Fair", "Good"]))
    assert natural_order(series).tolist() == [1, 3, 0, 2]
