"""Uniqueness, distinction and separation, against counting by hand."""

from __future__ import annotations

from collections import Counter
from itertools import combinations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfumato.table.profiling.class_sizes import class_sizes, size_histogram
from sfumato.table.profiling.distinct_codes import codes_of, combination_sizes
from sfumato.table.profiling.uniqueness import uniqueness_of

ROWS = st.lists(
    st.tuples(
        st.sampled_from(["f", "m", None]),
        st.one_of(st.none(), st.integers(0, 4)),
        st.one_of(st.none(), st.sampled_from([0.5, 1.5])),
        st.booleans(),
    ),
    min_size=1,
    max_size=30,
)
COLUMNS = ["sex", "age", "dose", "flag"]
TYPES = [pl.String, pl.Int64, pl.Float64, pl.Boolean]


def frame_of(rows: list[tuple]) -> pl.DataFrame:
    schema = dict(zip(COLUMNS, TYPES, strict=True))
    return pl.DataFrame(rows, schema=schema, orient="row")


@given(ROWS)
def test_every_set_is_counted_as_by_hand(rows):
    found = uniqueness_of(frame_of(rows), COLUMNS)
    n = len(rows)
    for size in range(1, 5):
        for places in combinations(range(4), size):
            counted = Counter(tuple(row[place] for place in places) for row in rows)
            pairs = sum(
                1
                for one, other in combinations(rows, 2)
                if any(one[place] != other[place] for place in places)
            )
            one = found.of(*(COLUMNS[place] for place in places))
            assert one is not None
            assert one.groups == len(counted)
            assert one.unique == sum(1 for count in counted.values() if count == 1)
            assert one.share_unique == one.unique / n
            assert one.distinction == len(counted) / n
            assert one.separation == pytest.approx(pairs / (n * (n - 1) / 2) if n > 1 else 0.0)


@given(ROWS, st.lists(st.integers(0, 5), min_size=30, max_size=30))
def test_a_person_with_several_rows_is_one(rows, owners):
    owners = owners[: len(rows)]
    frame = frame_of(rows).with_columns(person=pl.Series(owners, dtype=pl.Int64))
    found = uniqueness_of(frame, COLUMNS, person="person").of("sex", "age")
    held: dict[tuple, set[int]] = {}
    for row, owner in zip(rows, owners, strict=True):
        held.setdefault(row[:2], set()).add(owner)
    assert found.unique == sum(1 for persons in held.values() if len(persons) == 1)
    assert found.share_unique == found.unique / sum(map(len, held.values()))


def test_one_row_a_person_is_counted_in_rows():
    frame = pl.DataFrame({"age": [1, 1, 2], "person": ["a", "b", "c"]})
    assert uniqueness_of(frame, ["age"], person="person").unit == "rows"


def test_more_columns_never_make_fewer_people_unique():
    generator = np.random.default_rng(7)
    frame = pl.DataFrame({f"c{i}": generator.integers(0, 4, 400) for i in range(6)})
    found = uniqueness_of(frame, frame.columns)
    shares = [step.share_unique for step in found.path]
    assert shares == sorted(shares)
    assert [len(step.columns) for step in found.path] == [1, 2, 3, 4, 5, 6]
    assert found.path[-1] == found.together
    assert all(contribution.adds >= 0 for contribution in found.contributions)
    for contribution in found.contributions:
        rest = [name for name in frame.columns if name != contribution.column]
        assert contribution.share_unique_without == found.of(*rest).share_unique


def test_the_path_ends_where_everybody_is_unique():
    frame = pl.DataFrame({"half": [0, 1] * 5, "all": range(10), "more": [3] * 10})
    assert [step.columns for step in uniqueness_of(frame, frame.columns).path] == [("all",)]


def test_keys_that_pass_sixty_two_bits_are_still_told_apart():
    generator = np.random.default_rng(1)
    values = generator.integers(0, 3, (2000, 40))
    wide = pl.DataFrame({f"c{i}": values[:, i] * 10**6 + np.arange(2000) % 500 for i in range(40)})
    codes = [codes_of(wide[name]) for name in wide.columns]
    radix = np.prod([float(column.distinct) for column in codes])
    assert radix > 2.0**63
    assert combination_sizes(codes).size == wide.n_unique()


def test_nulls_categories_and_not_a_number_are_values():
    assert codes_of(pl.Series([None, None], dtype=pl.Int64)).distinct == 1
    categories = pl.Series(["b", "a", None, "b"], dtype=pl.Categorical)
    assert codes_of(categories).distinct == 3
    with_nan = pl.Series([1.0, float("nan"), float("nan"), None])
    assert sorted(combination_sizes([codes_of(with_nan)]).tolist()) == [1, 1, 2]


def test_work_is_bounded_and_the_bound_is_told():
    generator = np.random.default_rng(2)
    frame = pl.DataFrame({f"c{i}": generator.integers(0, 9, 50) for i in range(30)})
    found = uniqueness_of(frame, frame.columns, work=50 * 100)
    assert len(found.candidates) == 20
    assert len(found.left_out) == 10
    assert found.checked == 100
    assert found.possible == 20 + 190 + 1140
    assert len(found.combinations) < 200
    assert found.together is not None


def test_columns_that_separate_most_are_kept_when_there_are_too_many():
    rows = 100
    frame = pl.DataFrame({"constant": [0] * rows, "half": [0, 1] * 50, "all": range(rows)})
    found = uniqueness_of(frame, frame.columns, most_candidates=2)
    assert found.candidates == ("half", "all")
    assert found.left_out == ("constant",)
    assert found.of("all").separation == 1.0


def test_no_candidates_no_claim():
    found = uniqueness_of(pl.DataFrame({"a": [1]}), [])
    assert found.together is None
    assert found.combinations == ()


def test_asked_sets_are_counted_beside_the_candidates():
    frame = pl.DataFrame({"a": [1, 1], "b": [1, 2], "c": [3, 3]})
    found = uniqueness_of(frame, ["a"], asked=[["c", "b"]])
    assert found.of("b", "c").columns == ("b", "c")
    assert found.of("b", "c").unique == 2


@given(ROWS)
def test_class_sizes_agree_with_counting(rows):
    counted = Counter((row[0], row[1]) for row in rows)
    made = class_sizes(frame_of(rows), ["sex", "age"])
    assert made.groups == len(counted)
    assert (made.smallest, made.largest) == (min(counted.values()), max(counted.values()))
    assert len(made.smallest_groups) == min(10, len(counted))
    assert [group.size for group in made.smallest_groups] == sorted(counted.values())[:10]
    for group in made.smallest_groups:
        sex, age = group.labels
        assert counted[(sex, None if age is None else int(age))] == group.size
    assert sum(bin_.members for bin_ in made.histogram) == len(rows)
    assert sum(bin_.groups for bin_ in made.histogram) == len(counted)


def test_smallest_groups_are_the_same_every_time():
    frame = pl.DataFrame({"a": list(range(5000))})
    again = frame.sample(fraction=1.0, shuffle=True, seed=3)
    assert class_sizes(frame, ["a"]).smallest_groups == class_sizes(again, ["a"]).smallest_groups


def test_histogram_bins_do_not_overlap():
    bins = size_histogram(np.arange(1, 3000))
    assert [bin_.low for bin_ in bins] == [1, 2, 3, 5, 11, 20, 50, 100, 1000]
    assert sum(bin_.groups for bin_ in bins) == 2999
    assert bins[-1].high is None


def test_group_sizes_can_count_persons():
    frame = pl.DataFrame({"city": ["x", "x", "y"], "who": [1, 1, 2]})
    made = class_sizes(frame, ["city"], person="who")
    assert (made.unit, made.largest) == ("persons", 1)
