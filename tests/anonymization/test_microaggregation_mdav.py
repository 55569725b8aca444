"""MDAV against a slow, obvious version of itself and an example by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sfumato.anonymization.microaggregation.mdav import kd_blocks, mdav, nearest_centres

grids = st.lists(
    st.tuples(st.integers(-6, 6), st.integers(-6, 6)), min_size=2, max_size=50, unique=True
)


def slow_mdav(points: np.ndarray, people: np.ndarray, k: int) -> np.ndarray:
    """Return the group of each point; distances and people counted anew at each step."""
    left = list(range(len(points)))
    group = np.full(len(points), -1)

    def far(one: int, centre: np.ndarray) -> float:
        return float(((points[one] - centre) ** 2).sum())

    def count() -> int:
        return int(people[left].sum())

    def take(centre: int) -> None:
        number, held = group.max() + 1, 0
        for one in sorted(left, key=lambda one: (far(one, points[centre]), one)):
            if held >= k:
                break
            group[one] = number
            held += people[one]
            left.remove(one)

    while count() >= 2 * k:
        two = count() >= 3 * k
        mean = np.average(points[left], axis=0, weights=people[left])
        r = max(left, key=lambda one: (round(far(one, mean), 9), -one))
        s = max(left, key=lambda one: (far(one, points[r]), -one))
        take(r)
        if two and count() >= 2 * k and s in left:
            take(s)
    if count() >= k or group.max() < 0:
        group[left] = group.max() + 1
        return group
    placed = group.copy()
    for one in left:
        centres = [
            np.average(points[placed == number], axis=0, weights=people[placed == number])
            for number in range(placed.max() + 1)
        ]
        group[one] = np.argmin([round(far(one, centre), 9) for centre in centres])
    return group


def partition(groups: np.ndarray) -> set[frozenset[int]]:
    return {frozenset(np.flatnonzero(groups == one).tolist()) for one in np.unique(groups)}


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(2, 60), k=st.integers(2, 7))
def test_groups_are_those_of_the_slow_version(seed: int, n: int, k: int) -> None:
    draw = np.random.default_rng(seed)
    points = draw.normal(size=(n, 2))
    ones = np.ones(n, dtype=np.int64)
    assume(n >= k)
    groups = mdav(points, ones, k)
    assert partition(groups) == partition(slow_mdav(points, ones, k))
    sizes = np.bincount(groups)
    assert k <= sizes.min()
    assert sizes.max() < 2 * k
    people = draw.integers(1, 2 * k, n)
    assert partition(mdav(points, people, k)) == partition(slow_mdav(points, people, k))


@settings(max_examples=80, deadline=None)
@given(points=grids, k=st.integers(2, 7), data=st.data())
def test_every_group_has_k_people_also_where_all_is_equally_far(
    points: list, k: int, data: st.DataObject
) -> None:
    people = np.array(data.draw(st.lists(st.integers(1, 9), min_size=50, max_size=50)))
    people = people[: len(points)]
    assume(people.sum() >= k)
    groups = mdav(np.array(points, dtype=np.float64), people, k)
    assert np.bincount(groups, people).min() >= k


def test_an_example_by_hand() -> None:
    # mean (4.25, 2); farthest from it (12, 9); farthest from that (0, 0), with k = 2:
    # (12, 9) with (11, 8); (0, 0) with (1, 0). Left: 4 people, mean (2.5, 1.75), farthest (5, 4)
    # with (3, 3); the rest (1, 0.5), (1, -0.5) are one group
    points = np.array(
        [[12, 9], [0, 0], [11, 8], [1, 0], [5, 4], [3, 3], [1, 0.5], [1, -0.5]], dtype=np.float64
    )
    groups = mdav(points, np.ones(8, dtype=np.int64), 2)
    assert partition(groups) == {
        frozenset({0, 2}),
        frozenset({1, 3}),
        frozenset({4, 5}),
        frozenset({6, 7}),
    }


def test_one_point_of_many_people_is_one_group() -> None:
    assert mdav(np.zeros((1, 2)), np.array([50]), 5).tolist() == [0]
    assert mdav(np.zeros((3, 2)), np.array([1, 1, 1]), 5).tolist() == [0, 0, 0]


@settings(max_examples=60, deadline=None)
@given(points=grids, k=st.integers(2, 6), most=st.integers(1, 20))
def test_blocks_have_k_people_and_are_no_larger_than_need_be(
    points: list, k: int, most: int
) -> None:
    assume(len(points) >= k)
    array = np.array(points, dtype=np.float64)
    ones = np.ones(len(points), dtype=np.int64)
    blocks = kd_blocks(array, ones, k, most)
    assert sorted(np.concatenate(blocks)) == list(range(len(points)))
    for block in blocks:
        assert len(block) >= k
        if len(block) > most:
            for axis in array[block].T:
                sides = [min((axis < value).sum(), (axis >= value).sum()) for value in axis]
                assert max(sides) < k


def test_nearest_centres_takes_the_first_of_several() -> None:
    centres = np.array([[0.0, 0.0], [2.0, 0.0], [9.0, 9.0]])
    points = np.array([[1.0, 0.0], [1.5, 0.0], [50.0, 50.0]])
    assert nearest_centres(points, centres).tolist() == [0, 1, 2]


@pytest.mark.slow
def test_thirty_thousand_people_take_seconds() -> None:
    import time

    points = np.random.default_rng(0).normal(size=(30_000, 3))
    ones = np.ones(len(points), dtype=np.int64)
    mdav(points[:50], ones[:50], 5)  # compiled
    start = time.process_time()
    groups = mdav(points, ones, 5)
    assert time.process_time() - start < 10
    assert np.bincount(groups).tolist() == [5] * 6000
