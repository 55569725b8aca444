import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfumato import Schema
from sfumato.evaluation.attacks.nearest import (
    Search,
    nearest_other,
    nearest_real,
    nearest_released,
)
from sfumato.evaluation.attacks.tables import GRID, STAR, AttackColumn, AttackTables

NONE = np.zeros(0)
NO_CODES = np.zeros(0, np.int32)
TABLES = settings(max_examples=40, deadline=None)


def category(random, n, real_rows, *, stars=False, sets=False):
    """Return a category of few values; a label may stand for several of them."""
    values = int(random.integers(1, 80))
    real = random.integers(0, values, real_rows).astype(np.int32)
    covers = None
    labels = values
    if sets:
        labels = int(random.integers(1, 70))
        covers = random.random((labels, values)) < random.choice([0.05, 0.4])
        covers[0] = True
    released = random.integers(0, labels, n).astype(np.int32)
    if stars and not sets:
        released[random.random(n) < 0.2] = STAR
    return AttackColumn("c", "category", released, real, values, covers, NONE, NONE, NONE)


def number(random, n, real_rows, *, stars=False, sets=False):
    """Return a number with missing cells; a cell may be a span, closed or open."""
    scale = random.choice([0.3, 3, 1e6])
    step = random.choice([0.0, 1.0])
    low, real = (random.normal(size=size) * scale for size in (n, real_rows))
    if step:
        low, real = np.round(low), np.round(real)
    high = low.copy()
    if sets:
        high = low + np.abs(random.normal(size=n)) * scale * (random.random(n) < 0.5)
        low[random.random(n) < 0.1] = -np.inf
        high[random.random(n) < 0.1] = np.inf
    gone = random.random(n) < 0.2
    low[gone] = high[gone] = np.nan
    if stars:
        star = random.random(n) < 0.2
        low[star], high[star] = -np.inf, np.inf
    real[random.random(real_rows) < 0.2] = np.nan
    ends = np.concatenate([low, high])
    ends = ends[np.isfinite(ends)]
    width = float(np.ptp(ends)) if ends.size and np.ptp(ends) > 0 else 1.0
    return AttackColumn("n", "number", NO_CODES, NO_CODES, 0, None, low, high, real, width)


def some_columns(seed, most=6):
    """Return random columns of every kind, with rows that repeat."""
    random = np.random.default_rng(seed)
    n, real_rows = (int(random.choice([1, 5, 63, 64, 65, 300])) for _ in range(2))
    kinds = [
        (make, {"stars": stars, "sets": sets})
        for make in (category, number)
        for stars in (False, True)
        for sets in (False, True)
    ]
    chosen = random.integers(0, len(kinds), random.integers(1, most))
    columns = [kinds[one][0](random, n, real_rows, **kinds[one][1]) for one in chosen]
    return columns, n, real_rows


def all_distances(columns, n, real_rows):
    """Return the distance of each real row to each released one, cell by cell."""
    released, real = np.arange(n)[None, :], np.arange(real_rows)[:, None]
    return sum(column.cost(released, real).astype(np.int64) for column in columns)


def check(found, distances, k):
    """Compare what was found with all distances of each row, shape (looked up, searched)."""
    ordered = np.sort(distances, axis=1)
    for asked in {1, (k + 1) // 2, k}:
        if ordered.shape[1] == 0:
            assert (found.at(asked)[0] == -1).all()
            continue
        last = ordered[:, min(asked, ordered.shape[1]) - 1]
        at, nearer, tied = found.at(asked)
        assert (at == last).all()
        assert (nearer == (distances < last[:, None]).sum(axis=1)).all()
        assert (tied == (distances == last[:, None]).sum(axis=1)).all()
        assert found.mean(asked) == pytest.approx(ordered[:, :asked].mean(axis=1))


@given(seed=st.integers(0, 10**6), k=st.integers(1, 12))
@TABLES
def test_the_nearest_rows_of_either_side_are_those_of_all_distances(seed, k):
    columns, n, real_rows = some_columns(seed)
    distances = all_distances(columns, n, real_rows)
    check(nearest_released(columns, k), distances, k)
    check(nearest_real(columns, k), distances.T, k)
    some = np.random.default_rng(seed).integers(0, real_rows, 7)
    check(nearest_released(columns, k, rows=some), distances[some], k)


@given(seed=st.integers(0, 10**6), k=st.integers(1, 5))
@TABLES
def test_a_person_is_not_the_nearest_of_herself(seed, k):
    columns, _, real_rows = some_columns(seed)
    both = [
        AttackColumn(
            "b", c.kind, c.real, c.real, c.values, None, c.numbers, c.numbers, c.numbers, c.width
        )
        for c in columns
    ]
    distances = all_distances(both, real_rows, real_rows)
    assert (np.diag(distances) == 0).all()
    others = distances[~np.eye(real_rows, dtype=bool)].reshape(real_rows, real_rows - 1)
    check(nearest_other(columns, k), others, k)


@given(seed=st.integers(0, 10**6), share=st.sampled_from([0.0, 0.2, 1.0]))
@TABLES
def test_rows_within_a_distance_are_all_found(seed, share):
    columns, n, real_rows = some_columns(seed)
    distances = all_distances(columns, n, real_rows)
    reach = np.quantile(distances, share, axis=1).astype(np.int64)
    search = Search.among(columns, "released")
    found = search.within(reach)
    for row in range(real_rows):
        start, stop = found.starts[row], found.starts[row + 1]
        groups = np.unique(search.group[distances[row] <= reach[row]])
        assert sorted(found.groups[start:stop]) == groups.tolist()
        for group, distance in zip(
            found.groups[start:stop], found.distances[start:stop], strict=True
        ):
            assert set(distances[row][search.group == group]) == {distance}


def test_distances_by_hand():
    schema = Schema(rest="other", quasi_identifiers={"age": None})
    released = pl.DataFrame({"age": [0, 50, 100], "sex": ["f", "m", "f"]})
    real = pl.DataFrame({"age": [50, 100, 20], "sex": ["f", "f", None]})
    tables = AttackTables.of(released, real, None, schema)
    found = nearest_released(tables.columns, 2)
    by_age = dict(
        zip(
            tables.real_frame["age"].to_list(),
            zip(found.distances.tolist(), found.counts.tolist(), strict=True),
            strict=True,
        )
    )
    # 50, f: half of the range from 0, f and 100, f; a category from 50, m
    assert by_age[50] == ([GRID // 2, -1], [2, 0])
    assert by_age[100] == ([0, GRID], [1, 1])
    # a missing sex is none of those released
    fifth = round(0.2 * GRID)
    assert by_age[20] == ([GRID + fifth, GRID + round(0.3 * GRID)], [1, 1])


def test_nothing_released_is_near_to_nobody():
    columns, _, real_rows = some_columns(3)
    empty = [
        AttackColumn(
            c.name,
            c.kind,
            c.released[:0],
            c.real,
            c.values,
            c.covers,
            c.low[:0],
            c.high[:0],
            c.numbers,
            c.width,
        )
        for c in columns
    ]
    distance, nearer, tied = nearest_released(empty, 3).at(2)
    assert (distance == -1).all()
    assert (nearer == 0).all()
    assert (tied == 0).all()
    assert len(distance) == real_rows
    assert len(nearest_real(empty, 3).distances) == 0
