"""Stratified sampling and the research subset: exactly so many of each class, and nothing else."""

from __future__ import annotations

import json
from fractions import Fraction
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from sfumato.anonymization.randomness import RandomStream
from sfumato.anonymization.recoding import Recoding
from sfumato.anonymization.sampling.random_rows import chosen_in_groups
from sfumato.anonymization.sampling.research_subset import ResearchSubset
from sfumato.anonymization.sampling.stratified import StratifiedSampling, deletions
from sfumato.errors import DataError, PlanError, SchemaError
from sfumato.table import Schema

SCHEMA = Schema(quasi_identifiers=["age", "sex"], rest="other")
PERCENTS = st.integers(0, 100).map(lambda percent: percent / 100)

TABLES = st.lists(
    st.tuples(
        st.sampled_from(["20-30", "30-40", "*", None]),
        st.sampled_from(["f", "*", None]),
    ),
    min_size=1,
    max_size=80,
).map(
    lambda rows: pl.DataFrame(
        rows, schema={"age": pl.String, "sex": pl.String}, orient="row"
    ).with_row_index("number")
)


def sizes(table: pl.DataFrame) -> dict[tuple[Any, ...], int]:
    """Count classes without any code of the package."""
    found: dict[tuple[Any, ...], int] = {}
    for row in table.select("age", "sex").rows():
        found[row] = found.get(row, 0) + 1
    return found


def sampled(table: pl.DataFrame, **asked: Any) -> pl.DataFrame:
    result: pl.DataFrame = StratifiedSampling(**asked).fit(table, SCHEMA).apply(table)
    return result


def expected(size: int, percent: float, k: int | None, keep_k: str) -> int:
    """Return the members that are left, in whole numbers only."""
    whole = round(percent * 100)
    left = size - (whole * size + 99) // 100
    if keep_k == "keep":
        assert k is not None
        return max(left, min(size, k))
    return 0 if keep_k == "drop" and k is not None and left < k else left


@given(
    table=TABLES,
    percent=PERCENTS,
    seed=st.integers(0, 5),
    k=st.integers(2, 12),
    keep_k=st.sampled_from(["report", "keep", "drop"]),
)
@settings(max_examples=150, deadline=None)
def test_exactly_so_many_of_every_class_are_deleted(table, percent, seed, k, keep_k):
    left = {key: expected(n, percent, k, keep_k) for key, n in sizes(table).items()}
    sampling = StratifiedSampling(delete=percent, seed=seed, k=k, keep_k=keep_k)
    if not any(left.values()):
        with pytest.raises(DataError):
            sampling.fit(table, SCHEMA)
        return
    recoding = sampling.fit(table, SCHEMA)
    result = recoding.apply(table)
    assert sizes(result) == {key: n for key, n in left.items() if n}
    # every row that is left is as it was and where it was
    assert result["number"].is_sorted()
    assert result.equals(table[result["number"].to_list()])
    assert result.equals(table.filter(recoding.kept_rows(table)))
    # the counts say so
    counts = recoding.counts
    there = [n for n in left.values() if n]
    assert (counts.rows_after, counts.classes_after) == (result.height, len(there))
    assert counts.smallest_after == min(there)
    assert counts.classes_below_k == sum(n < k for n in there)
    assert counts.classes_dropped == len(left) - len(there)
    plain = {key: n for key, n in left.items() if key != ("*", "*") and n}
    assert counts.smallest_after_without_suppressed == (min(plain.values()) if plain else None)
    assert bool(recoding.promises) == (min(there) >= k)


@given(table=TABLES, percent=PERCENTS.filter(lambda share: share < 1), seed=st.integers(0, 3))
@settings(max_examples=50, deadline=None)
def test_the_same_seed_gives_the_same_bytes_and_what_is_saved_too(table, percent, seed):
    sampling = StratifiedSampling(delete=percent, seed=seed)
    try:
        recoding = sampling.fit(table, SCHEMA)
    except DataError:
        return
    again = type(recoding).from_dict(json.loads(json.dumps(recoding.to_dict())))
    assert again == recoding
    first = recoding.apply(table).write_csv()
    assert again.apply(table).write_csv() == first
    assert sampling.fit(table, SCHEMA).apply(table).write_csv() == first


def test_another_seed_and_another_table_give_another_draw():
    table = pl.DataFrame({"age": ["20-30"] * 200, "sex": "f"}).with_row_index("number")
    first = sampled(table, delete=0.5, seed=0)
    assert not sampled(table, delete=0.5, seed=1).equals(first)
    # the seed alone does not tell who was deleted: the whole table decides
    other = table.with_columns(note=pl.lit("x"))
    assert not sampled(other, delete=0.5, seed=0).drop("note").equals(first)


@pytest.mark.parametrize("p", ["0.29", "0.07", "0.57", "0.58", "0.1", "0.3", "0.7", "1e-05", "1"])
def test_the_share_is_the_decimal_that_is_written(p):
    found = deletions(np.arange(1, 3001), StratifiedSampling(delete=float(p)).share)
    assert found.tolist() == [ceil(Fraction(p) * n) for n in range(1, 3001)]


def test_a_share_near_float_surprises_is_exact():
    assert ceil(0.07 * 100) == 8  # what a float would say
    assert deletions([100, 10_000_000], Fraction("0.07")).tolist() == [7, 700_000]
    assert deletions([2**40], Fraction("0.12345678901234567")).tolist() == [
        ceil(Fraction("0.12345678901234567") * 2**40)
    ]


def test_every_subset_of_a_class_is_equally_likely():
    # 2 of 5: ten subsets, 4,000 draws of independent streams
    groups = np.repeat(np.arange(4000), 5)
    chosen = chosen_in_groups(groups, np.full(4000, 2), RandomStream.of(0, b"test", "subsets"))
    patterns = chosen.reshape(4000, 5) @ (1 << np.arange(5))
    values, counts = np.unique(patterns, return_counts=True)
    assert len(values) == 10
    assert stats.chisquare(counts).pvalue > 0.001


def test_equal_random_words_still_give_the_exact_number(monkeypatch):
    monkeypatch.setattr(RandomStream, "words", lambda self, n: np.zeros(n, dtype=np.uint64))
    groups = np.array([0, 1, 0, 1, 1, 2])
    chosen = chosen_in_groups(groups, np.array([1, 2, 0]), RandomStream(b""))
    assert np.bincount(groups[chosen], minlength=3).tolist() == [1, 2, 0]


def test_the_suppressed_class_is_sampled_or_dropped_as_said():
    table = pl.DataFrame(
        {"age": ["*"] * 10 + ["a"] * 10 + ["*"] * 10, "sex": ["*"] * 20 + ["f"] * 10}
    )
    assert sizes(sampled(table, delete=0.5)) == {("*", "*"): 5, ("a", "*"): 5, ("*", "f"): 5}
    dropped = StratifiedSampling(delete=0.5, suppressed="drop").fit(table, SCHEMA)
    assert sizes(dropped.apply(table)) == {("a", "*"): 5, ("*", "f"): 5}
    assert (dropped.counts.suppressed_before, dropped.counts.suppressed_after) == (10, 0)


def test_persons_are_the_unit_where_the_schema_names_them():
    schema = Schema(quasi_identifiers=["age"], person="who", rest="other")
    rows = [("a", person, visit) for person in range(10) for visit in range(person + 1)]
    rows += [("b", person, 0) for person in range(6)] + [("b", None, 0), ("b", None, 1)]
    table = pl.DataFrame(rows, schema=["age", "who", "visit"], orient="row")
    recoding = StratifiedSampling(delete=0.29, seed=3).fit(table, schema)
    kept = table.filter(recoding.kept_rows(table))
    for age, persons in (("a", 10), ("b", 7)):  # rows without a person are one person
        before = table.filter(pl.col("age") == age)
        after = kept.filter(pl.col("age") == age)
        assert after["who"].n_unique() == persons - ceil(Fraction("0.29") * persons)
        # whoever is there is there with all rows
        counts = dict(before.group_by("who").len().rows())
        assert all(counts[who] == n for who, n in after.group_by("who").len().rows())
    assert recoding.counts.counts_persons
    assert recoding.apply(table).columns == ["age", "visit"]


def test_identifiers_are_left_out_and_told():
    schema = Schema(identifiers=["name"], quasi_identifiers=["age", "sex"], rest="other")
    table = pl.DataFrame({"name": list("abcd"), "age": 1, "sex": "f", "ill": True})
    recoding = StratifiedSampling(delete=0.5).fit(table, schema)
    assert recoding.apply(table).columns == ["age", "sex", "ill"]
    assert set(recoding.released_schema().columns) == {"age", "sex", "ill"}
    told = {change.column: change for change in recoding.describe()}
    assert told["name"].released_as is None
    assert "2 of 4 rows" in told["age"].how


def test_without_chance_nobody_is_deleted():
    table = pl.DataFrame({"age": ["a"] * 10, "sex": "f"})
    recoding = StratifiedSampling(delete=0.9, k=2, keep_k="keep").fit(table, SCHEMA)
    assert recoding.apply(table).height == 2
    assert recoding.without_chance().apply(table).equals(table)


def test_it_can_be_saved_as_any_recoding(tmp_path: Path):
    table = pl.DataFrame({"age": ["a", "b"] * 10, "sex": "f"})
    recoding = StratifiedSampling(delete=0.3).fit(table, SCHEMA)
    recoding.save(tmp_path / "recoding.json")
    assert Recoding.load(tmp_path / "recoding.json") == recoding


def test_named_quasi_identifiers_take_the_place_of_the_schemas():
    table = pl.DataFrame({"age": ["a", "b"] * 10, "sex": "f", "ward": ["x"] * 5 + ["y"] * 15})
    recoding = StratifiedSampling(delete=0.2, quasi_identifiers=["ward"]).fit(table, SCHEMA)
    assert dict(recoding.apply(table)["ward"].value_counts().rows()) == {"x": 4, "y": 12}


@pytest.mark.parametrize(
    ("asked", "error", "word"),
    [
        ({"delete": 1.1}, PlanError, "less than or equal to 1"),
        ({"delete": -0.1}, PlanError, "greater than or equal to 0"),
        ({"delete": "much"}, PlanError, "number"),
        ({"delete": 0.3, "keep_k": "drop"}, PlanError, "needs k"),
        ({"delete": 0.3, "keep_k": "some"}, PlanError, "keep"),
        ({"delete": 0.3, "seed": -1}, PlanError, "seed"),
        ({"delete": 0.3, "quasi_identifiers": ["agee"]}, SchemaError, "Did you mean 'age'"),
        ({"delete": 1}, DataError, "leaves no row"),
    ],
)
def test_what_cannot_be_is_refused(asked, error, word):
    table = pl.DataFrame({"age": ["a", "b"], "sex": "f"})
    with pytest.raises(error, match=word):
        StratifiedSampling(**asked).fit(table, SCHEMA)


def test_a_schema_without_quasi_identifiers_is_refused():
    with pytest.raises(SchemaError, match="has none"):
        StratifiedSampling(delete=0.5).fit(pl.DataFrame({"age": [1]}), Schema(rest="other"))


@pytest.mark.slow
@pytest.mark.long
def test_ten_million_rows_are_sampled_in_seconds():
    import time

    rows = 10_000_000
    age = pl.Series("age", np.arange(rows) % 2000)
    table = pl.DataFrame({"age": age, "sex": "f"})
    started = time.process_time()
    result = StratifiedSampling(delete=0.29).fit(table, SCHEMA).kept_rows(table)
    assert time.process_time() - started < 60
    assert result.sum() == 2000 * (5000 - 1450)


# -- the research subset -------------------------------------------------------------------------

PATIENTS = pl.DataFrame(
    {
        "who": [1, 1, 2, 3, 3, 3, 4, 5],
        "age": [34, 34, 71, None, None, None, 52, 90],
        "ward": ["a", "b", "b", "b", None, "c", "c", "a"],
        "ill": [True, False, None, True, True, False, False, True],
    }
)
OPEN = Schema(rest="other")


def subset(schema: Schema = OPEN, **asked: Any) -> pl.DataFrame:
    result: pl.DataFrame = ResearchSubset(**asked).fit(PATIENTS, schema).apply(PATIENTS)
    return result


@pytest.mark.parametrize(
    ("where", "rows"),
    [
        ([{"column": "age", "at_least": 52}], [2, 6, 7]),
        ([{"column": "age", "above": 52, "below": 90}], [2]),
        ([{"column": "age", "at_most": 52}], [0, 1, 6]),
        ([{"column": "age", "equals": 34.0}], [0, 1]),
        ([{"column": "age", "missing": True}], [3, 4, 5]),
        ([{"column": "age", "missing": False}, {"column": "ward", "equals": "b"}], [1, 2]),
        ([{"column": "ward", "among": ["a", "c"]}], [0, 5, 6, 7]),
        ([{"column": "ill", "equals": True}], [0, 3, 4, 7]),
        ([{"column": "age", "among": [71, "90", "old"]}], [2, 7]),
    ],
)
def test_conditions_choose_rows(where, rows):
    assert subset(where=where).equals(PATIENTS[rows])


@given(share=st.integers(1, 100).map(lambda n: n / 100), seed=st.integers(0, 5))
@settings(max_examples=40, deadline=None)
def test_a_share_is_of_rows_or_of_whole_persons(share, seed):
    assert subset(share=share, seed=seed).height == ceil(Fraction(repr(share)) * 8)
    schema = Schema(person="who", rest="other")
    recoding = ResearchSubset(share=share, seed=seed).fit(PATIENTS, schema)
    kept = PATIENTS.filter(recoding.kept_rows(PATIENTS))
    assert kept["who"].n_unique() == ceil(Fraction(repr(share)) * 5)
    assert kept.equals(PATIENTS.filter(pl.col("who").is_in(kept["who"].unique().implode())))
    assert type(recoding).from_dict(json.loads(json.dumps(recoding.to_dict()))) == recoding


def test_a_count_among_those_who_fulfil_a_condition():
    where = [{"column": "ward", "equals": "b"}]
    chosen = subset(count=2, where=where)
    assert chosen.height == 2
    assert chosen["ward"].to_list() == ["b", "b"]
    recoding = ResearchSubset(count=2, where=where).fit(PATIENTS, OPEN)
    assert recoding.without_chance().apply(PATIENTS).height == 3
    words = {change.column: change.how for change in recoding.describe()}
    assert "2 of 8 rows" in words["ward"]
    assert "'b'" not in words["ward"]


@pytest.mark.parametrize(
    ("asked", "error", "word"),
    [
        ({}, PlanError, "give share, count or where"),
        ({"share": 0.5, "count": 2}, PlanError, "give one"),
        ({"share": 0}, PlanError, "greater than 0"),
        ({"count": 9}, PlanError, "more than there are to choose from: 8 rows"),
        ({"where": [{"column": "agee", "equals": 1}]}, PlanError, "Did you mean 'age'"),
        ({"where": [{"column": "age"}]}, PlanError, "says nothing"),
        ({"where": [{"column": "ward", "above": 3}]}, PlanError, "need numbers"),
        ({"where": [{"column": "age", "above": 300}]}, DataError, "no row"),
        ({"where": [{"column": "age", "about": 300}]}, PlanError, "unknown setting"),
    ],
)
def test_a_subset_that_cannot_be_is_refused(asked, error, word):
    with pytest.raises(error, match=word):
        subset(**asked)


def test_an_identifier_chooses_no_rows():
    schema = Schema(identifiers=["who"], rest="other")
    with pytest.raises(SchemaError, match="identifier"):
        subset(schema, where=[{"column": "who", "equals": 1}])
