"""Equivalence classes against counts made another way: a Counter, pycanon, and by hand."""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfumato.errors import SchemaError
from sfumato.privacy import EquivalenceClasses

rows = st.lists(
    st.tuples(
        st.sampled_from([20, 30, 40, None]),
        st.sampled_from(["f", "m", "(missing)", "", None]),
        st.sampled_from(["a", "b", None]),
        st.sampled_from([1, 2, 3, None]),
    ),
    max_size=60,
)
SCHEMA = {"age": pl.Int64, "sex": pl.String, "diagnosis": pl.String, "person": pl.Int64}


def table_of(drawn: list[tuple[object, ...]]) -> pl.DataFrame:
    return pl.DataFrame(drawn, schema=SCHEMA, orient="row")


@settings(deadline=None)
@given(rows)
def test_sizes_are_those_of_a_counter(drawn: list[tuple[object, ...]]) -> None:
    classes = EquivalenceClasses.of(table_of(drawn), ["age", "sex"])
    counted = Counter((age, sex) for age, sex, _, _ in drawn)
    assert classes.size_of_row().tolist() == [counted[age, sex] for age, sex, _, _ in drawn]
    assert sorted(classes.sizes) == sorted(counted.values())
    assert classes.smallest == min(counted.values(), default=0)
    assert len(classes) == len(counted)


@settings(deadline=None)
@given(rows)
def test_ids_count_up_in_order_of_first_appearance(drawn: list[tuple[object, ...]]) -> None:
    classes = EquivalenceClasses.of(table_of(drawn), ["age", "sex"])
    first = {}
    for age, sex, _, _ in drawn:
        first.setdefault((age, sex), len(first))
    assert classes.of_row.tolist() == [first[age, sex] for age, sex, _, _ in drawn]


@settings(deadline=None)
@given(rows)
def test_a_size_in_persons_is_the_number_of_distinct_persons(drawn: list) -> None:
    classes = EquivalenceClasses.of(
        table_of(drawn), ["age", "sex"], sensitive=["diagnosis"], person="person"
    )
    persons, holders = defaultdict(set), defaultdict(set)
    for age, sex, diagnosis, person in drawn:
        persons[age, sex].add(person)
        holders[age, sex, diagnosis].add(person)
    assert classes.counts_persons
    assert classes.size_of_row().tolist() == [len(persons[row[:2]]) for row in drawn]
    counts = classes.sensitive_values("diagnosis")
    dense = classes.sensitive_counts("diagnosis")
    for row, (age, sex, diagnosis, _) in enumerate(drawn):
        value = next(i for i, label in enumerate(counts.labels.to_list()) if label == diagnosis)
        assert dense[classes.of_row[row], value] == len(holders[age, sex, diagnosis])
    assert dense.sum() == sum(len(held) for held in holders.values())


@settings(deadline=None)
@given(rows)
def test_sensitive_counts_are_those_of_a_counter(drawn: list[tuple[object, ...]]) -> None:
    classes = EquivalenceClasses.of(table_of(drawn), ["sex"], sensitive=["diagnosis"])
    counts = classes.sensitive_values("diagnosis")
    labels = counts.labels.to_list()
    rows_of = {int(c): sex for c, (_, sex, _, _) in zip(classes.of_row, drawn, strict=True)}
    found = {
        (rows_of[int(c)], labels[v]): int(n)
        for c, v, n in zip(counts.classes, counts.values, counts.counts, strict=True)
    }
    assert found == Counter((sex, diagnosis) for _, sex, diagnosis, _ in drawn)
    assert np.array_equal(counts.dense().sum(axis=1), classes.sizes)


@pytest.mark.parametrize("quasi_identifiers", [["sex", "age"], ["sex", "age", "race"]])
def test_smallest_class_is_pycanons_k(quasi_identifiers: list[str]) -> None:
    from pycanon.anonymity import k_anonymity

    generator = np.random.default_rng(7)
    table = pl.DataFrame(
        {
            "sex": generator.choice(["f", "m"], 500),
            "age": generator.integers(20, 24, 500),
            "race": generator.choice(["a", "b", "c"], 500, p=[0.7, 0.25, 0.05]),
        }
    )
    classes = EquivalenceClasses.of(table, quasi_identifiers)
    assert classes.smallest == k_anonymity(table.to_pandas(), quasi_identifiers)


def test_a_lone_missing_value_is_a_class_of_one() -> None:
    # pycanon and holisticai leave such rows out and report the k of the others.
    table = pl.DataFrame({"age": [30, 30, 30, None], "sex": ["f", "f", "f", "f"]})
    assert EquivalenceClasses.of(table, ["age", "sex"]).smallest == 1
    assert EquivalenceClasses.of(table, ["age"]).smallest == 1


def test_not_a_number_is_equal_to_itself() -> None:
    table = pl.DataFrame({"x": [float("nan"), float("nan"), 1.0, 0.0, -0.0]})
    assert EquivalenceClasses.of(table, ["x"]).sizes.tolist() == [2, 1, 2]


def test_no_column_is_one_class_and_no_row_is_none() -> None:
    table = pl.DataFrame({"age": [1, 2, 3]})
    assert EquivalenceClasses.of(table, []).sizes.tolist() == [3]
    empty = EquivalenceClasses.of(table.clear(), ["age"], sensitive=["age"])
    assert (len(empty), empty.smallest) == (0, 0)
    assert empty.sensitive_counts("age").shape == (0, 0)


def test_columns_of_any_name_and_kind_are_grouped() -> None:
    table = pl.DataFrame(
        {
            "row": pl.Series(["a", "b", "a"], dtype=pl.Categorical),
            "key 0": [True, None, True],
            "index": pl.Series(["2020-01-01", "2020-01-01", "2020-01-01"]).str.to_date(),
        }
    )
    assert EquivalenceClasses.of(table, ["row", "key 0", "index"]).of_row.tolist() == [0, 1, 0]


def test_row_labels_of_a_data_frame_play_no_part() -> None:
    pandas = pytest.importorskip("pandas")
    plain = {"age": [30, 30, 41, 41], "sex": ["f", "f", "m", "m"]}
    for index in ([0, 1, 2, 3], [7, 7, 7, 7], [103, 2, 50, 1]):
        frame = pandas.DataFrame(plain, index=index)
        assert EquivalenceClasses.of(frame, ["age", "sex"]).of_row.tolist() == [0, 0, 1, 1]


def test_an_absent_column_is_named() -> None:
    table = pl.DataFrame({"age": [1]})
    with pytest.raises(SchemaError, match=r"no column 'agee'.*Did you mean 'age'"):
        EquivalenceClasses.of(table, ["agee"])
    with pytest.raises(SchemaError, match="no column 'patient'"):
        EquivalenceClasses.of(table, ["age"], person="patient")
    with pytest.raises(SchemaError, match="'sex' was not named as sensitive"):
        EquivalenceClasses.of(table, ["age"]).sensitive_counts("sex")


def test_counted_classes_need_no_rows() -> None:
    classes = EquivalenceClasses.from_counts([3, 5], [0, 1, 1])
    assert (classes.smallest, len(classes), classes.size_of_row().tolist()) == (3, 2, [3, 5, 5])
