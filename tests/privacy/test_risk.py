"""Promises about the table as a whole: the smallest classes are given up first."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfumato.privacy import (
    AverageRisk,
    EquivalenceClasses,
    HighestRisk,
    SampleUniqueness,
    StrictAverageRisk,
)

size_lists = st.lists(st.integers(1, 12), max_size=14)


def average(sizes: list[int]) -> float:
    return len(sizes) / sum(sizes)


def exposed(sizes: list[int], limit: float) -> float:
    return sum(size for size in sizes if 1 / size > limit + 1e-12) / sum(sizes)


CASES = [
    (AverageRisk(0.2), lambda sizes: average(sizes) <= 0.2 + 1e-12),
    (AverageRisk(1), lambda _: True),
    (SampleUniqueness(0.1), lambda sizes: sizes.count(1) <= 0.1 * sum(sizes) + 1e-12),
    (SampleUniqueness(0), lambda sizes: 1 not in sizes),
    (
        StrictAverageRisk(0.3, 0.25, 0.2),
        lambda sizes: average(sizes) <= 0.3 + 1e-12 and exposed(sizes, 0.25) <= 0.2 + 1e-12,
    ),
    (
        StrictAverageRisk(1, 0.2),
        lambda sizes: exposed(sizes, 0.2) == 0,
    ),
]


@pytest.mark.parametrize(("criterion", "keeps"), CASES)
@settings(deadline=None)
@given(sizes=size_lists)
def test_the_largest_set_is_kept(criterion, keeps, sizes: list[int]) -> None:
    classes = EquivalenceClasses.from_counts(sizes)
    kept = criterion.kept(classes)
    # every set that gives up the smallest first, from the largest down
    falling = sorted(sizes, reverse=True)
    best = max((n for n in range(1, len(sizes) + 1) if keeps(falling[:n])), default=0)
    assert sorted(np.array(sizes)[kept].tolist(), reverse=True) == falling[:best]
    assert criterion.holds(classes) == (not sizes or keeps(sizes))
    assert criterion.holds(EquivalenceClasses.from_counts(np.array(sizes)[kept]))


def test_of_equal_classes_the_later_go_first() -> None:
    kept = SampleUniqueness(0.25).kept(EquivalenceClasses.from_counts([1, 1, 3, 1]))
    assert kept.tolist() == [True, False, True, False]


def test_giving_up_small_classes_gives_up_fewest_rows() -> None:
    # By brute force over all subsets: no set of classes with more rows has so low an average.
    sizes = [1, 1, 2, 3, 3, 5, 8]
    limit = 0.3
    kept = AverageRisk(limit).kept(EquivalenceClasses.from_counts(sizes))
    subsets = [
        [size for i, size in enumerate(sizes) if number >> i & 1]
        for number in range(1, 2 ** len(sizes))
    ]
    most = max(sum(one) for one in subsets if average(one) <= limit)
    assert sum(np.array(sizes)[kept]) == most


@settings(deadline=None)
@given(st.one_of(st.floats(0.001, 1), st.integers(1, 5000).map(lambda n: 1 / n)))
def test_the_highest_risk_is_that_of_the_smallest_size(limit: float) -> None:
    criterion = HighestRisk(limit)
    size = criterion.smallest_size()
    assert 1 / size <= limit
    assert size == 1 or 1 / (size - 1) > limit
    assert criterion.kept(EquivalenceClasses.from_counts([size])).all()
    if size > 1:
        assert not criterion.kept(EquivalenceClasses.from_counts([size - 1])).any()


def test_anonifys_and_arx_average_is_classes_per_row() -> None:
    # 1 / average class size; an attacker who links every row is right so often.
    generator = np.random.default_rng(4)
    table = pl.DataFrame(
        {"age": generator.integers(0, 30, 500), "sex": generator.integers(0, 2, 500)}
    )
    classes = EquivalenceClasses.of(table, ["age", "sex"])
    risk = np.mean(1 / classes.size_of_row())
    assert risk == pytest.approx(len(classes) / 500)
    assert AverageRisk(risk + 1e-9).holds(classes)
    assert not AverageRisk(risk - 1e-9).holds(classes)
    # and by simulation: link each row to a random row of its class
    by_class = [np.flatnonzero(classes.of_row == one) for one in range(len(classes))]
    hits = np.mean(
        [
            generator.choice(by_class[classes.of_row[row]]) == row
            for row in range(500)
            for _ in range(40)
        ]
    )
    assert hits == pytest.approx(risk, abs=0.01)


def test_strict_average_leaves_few_rows_at_risk() -> None:
    classes = EquivalenceClasses.from_counts([2, 2, 20, 30])
    assert StrictAverageRisk(0.1, 0.2, 0.08).holds(classes)
    assert StrictAverageRisk(0.1, 0.2, 0.07).kept(classes).tolist() == [True, False, True, True]
    assert StrictAverageRisk(0.1, 0.2).kept(classes).tolist() == [False, False, True, True]
    # a risk at the threshold is not above it
    assert StrictAverageRisk(0.1, 0.5).holds(classes)


def test_with_wildcards_each_row_counts_once() -> None:
    # Rows (20), (missing), (40): risks 1/2, 1/3, 1/2.
    table = pl.DataFrame({"age": [20, None, 40]})
    wild = EquivalenceClasses.of(table, ["age"], missing="wildcard")
    risk = (1 / 2 + 1 / 3 + 1 / 2) / 3
    assert AverageRisk(risk).holds(wild)
    assert not AverageRisk(risk - 1e-9).holds(wild)
    assert SampleUniqueness(0).holds(wild)
    assert not SampleUniqueness(0).holds(EquivalenceClasses.of(table, ["age"]))


def test_persons_are_counted_where_rows_would_hide_them() -> None:
    table = pl.DataFrame({"age": [30] * 4 + [40] * 4, "p": [1, 1, 1, 1, 2, 3, 4, 5]})
    assert AverageRisk(0.25).holds(EquivalenceClasses.of(table, ["age"]))
    persons = EquivalenceClasses.of(table, ["age"], person="p")
    assert AverageRisk(0.25).kept(persons).tolist() == [False, True]
    assert SampleUniqueness(0.1).kept(persons).tolist() == [False, True]
