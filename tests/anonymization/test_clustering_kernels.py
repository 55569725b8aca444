"""The compiled clusterings against slow, obvious versions of themselves."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfumato.anonymization.clustering.blocks import blocks_of
from sfumato.anonymization.clustering.measure import Tables, costs_of_boxes, tables_of
from sfumato.anonymization.clustering.nearest import grow_clusters
from sfumato.anonymization.clustering.one_pass import one_pass_clusters
from sfumato.anonymization.clustering.running import ALGORITHMS
from sfumato.anonymization.clustering.top_down import part_top_down
from sfumato.anonymization.people_coding import CodedPeople
from sfumato.table import Hierarchy, Schema

TREE = {
    "a": ["ab", "abc"],
    "b": ["ab", "abc"],
    "c": ["c'", "abc"],
    "d": ["de", "de'"],
    "e": ["de", "de'"],
}
SCHEMA = Schema(quasi_identifiers={"tree": Hierarchy.mapping(TREE), "number": None, "flat": None})
cells = st.tuples(
    st.sampled_from([*TREE, None]),
    st.sampled_from([1.0, 2.0, 4.5, 9.0, None]),
    st.sampled_from(["x", "y", "z"]),
)
tables = st.lists(cells, min_size=1, max_size=40)


def coded(drawn: list[tuple]) -> tuple[CodedPeople, Tables]:
    types = {"tree": pl.String, "number": pl.Float64, "flat": pl.String}
    people = CodedPeople.of(pl.DataFrame(drawn, schema=types, orient="row"), SCHEMA)
    return people, tables_of(people.scales)


def slow_cost(group: list[tuple], drawn: list[tuple]) -> float:
    """Return the mean share of its columns that a group of rows takes, from the values."""
    tree, number, flat = zip(*group, strict=True)
    costs = []
    if len(set(tree)) == 1:
        costs.append(0.0)
    elif None in tree:
        costs.append(1.0)
    else:
        nodes = [{TREE[value][level] for value in tree} for level in (0, 1)]
        common = next((level for level in (0, 1) if len(nodes[level]) == 1), None)
        if common is None:
            costs.append(1.0)
        else:
            node = nodes[common].pop()
            costs.append(sum(above[common] == node for above in TREE.values()) / len(TREE))
    present = [value for value in number if value is not None]
    everything = [row[1] for row in drawn if row[1] is not None]
    if len(present) < len(number):
        costs.append(1.0 if present else 0.0)
    else:
        spread = max(everything) - min(everything)
        costs.append((max(present) - min(present)) / spread if spread else 0.0)
    costs.append(float(len(set(flat)) > 1))
    return sum(costs) / 3


@settings(max_examples=150, deadline=None)
@given(drawn=tables, data=st.data())
def test_the_cost_of_a_group_is_counted_from_its_values(drawn: list, data: st.DataObject) -> None:
    people, measure = coded(drawn)
    some = data.draw(st.lists(st.integers(0, len(drawn) - 1), min_size=1, unique=True))
    codes = people.codes[people.of_row[some]]
    cost = costs_of_boxes(measure, codes.min(axis=0)[None], codes.max(axis=0)[None])[0]
    assert cost == pytest.approx(slow_cost([drawn[row] for row in some], drawn), abs=1e-12)


def slow_grown(
    people: CodedPeople, measure: Tables, k: int, draws: np.ndarray, *, by_seed: bool
) -> list[dict[int, int]]:
    """Grow clusters by weighing every entry at every step; the left-over ones are not placed."""
    codes, left = people.codes, dict(enumerate(people.weights.tolist()))

    def cost(entries: list[int]) -> float:
        some = codes[entries]
        return float(costs_of_boxes(measure, some.min(axis=0)[None], some.max(axis=0)[None])[0])

    waiting = list(range(len(people)))
    clusters: list[dict[int, int]] = []
    seed = waiting[int(draws[0] * len(waiting))]
    while sum(left.values()) >= k:
        if by_seed:
            seed = waiting[int(draws[len(clusters)] * len(waiting))]
        else:
            seed = max(waiting, key=lambda entry: (cost([seed, entry]), -entry))
        here = {seed: min(left[seed], k)}
        members = [seed]
        candidates = [entry for entry in waiting if entry != seed]
        while sum(here.values()) < k:
            measured = [seed] if by_seed else members
            nearest = min(candidates, key=lambda entry: (cost([*measured, entry]), entry))
            candidates.remove(nearest)
            here[nearest] = min(left[nearest], k - sum(here.values()))
            members.append(nearest)
        for entry, some in here.items():
            left[entry] -= some
            if left[entry] == 0:
                # the compiled version closes the gap with the last
                place = waiting.index(entry)
                waiting[place] = waiting[-1]
                waiting.pop()
        clusters.append(here)
    return clusters


@pytest.mark.parametrize("by_seed", [False, True])
@settings(max_examples=60, deadline=None)
@given(drawn=tables, k=st.integers(2, 6), seed=st.integers(0, 50))
def test_clusters_grow_as_if_every_entry_were_weighed(
    by_seed: bool, drawn: list, k: int, seed: int
) -> None:
    people, measure = coded(drawn)
    if len(drawn) < k:
        return
    draws = np.random.default_rng(seed).random(len(drawn) // k + 1)
    parts = grow_clusters(measure, people.codes, people.weights, k, draws, by_seed)
    expected = slow_grown(people, measure, k, draws, by_seed=by_seed)
    found: list[dict[int, int]] = [{} for _ in expected]
    count = sum(len(cluster) for cluster in expected)
    for entry, cluster, some in zip(*(part[:count] for part in parts), strict=True):
        found[cluster][entry] = some
    assert found == expected
    # the rest, fewer than k, are placed too
    assert sum(parts[2][count:]) == len(drawn) % k
    assert np.array_equal(np.bincount(parts[0], parts[2], len(people)).astype(int), people.weights)


@pytest.mark.parametrize("algorithm", sorted(ALGORITHMS))
@settings(max_examples=40, deadline=None)
@given(drawn=tables, k=st.integers(2, 7), seed=st.integers(0, 50))
def test_every_cluster_has_k_people_and_everybody_is_placed_once(
    algorithm: str, drawn: list, k: int, seed: int
) -> None:
    people, measure = coded(drawn)
    if len(drawn) < k:
        return
    draw = np.random.default_rng(seed)
    parts = ALGORITHMS[algorithm](measure, people.codes, people.weights, k, draw)
    sizes = np.bincount(parts[1], parts[2])
    assert sizes.min() >= k
    assert parts[2].min() > 0
    assert np.array_equal(np.bincount(parts[0], parts[2], len(people)).astype(int), people.weights)
    if algorithm == "oka":
        assert len(sizes) == len(drawn) // k
    if algorithm in ("k-member", "knn-cluster"):
        # each of k; the rest, fewer than k, stand with some of them
        assert len(sizes) == len(drawn) // k


@settings(max_examples=40, deadline=None)
@given(drawn=tables, k=st.integers(2, 7), seed=st.integers(0, 50))
def test_top_down_parts_as_long_as_there_is_something_to_gain(
    drawn: list, k: int, seed: int
) -> None:
    people, measure = coded(drawn)
    if len(drawn) < k:
        return
    draw = np.random.default_rng(seed)
    order, draws = draw.permutation(len(people)), draw.random(5)
    parts = part_top_down(measure, people.codes, people.weights, k, order, draws)
    members = defaultdict(list)
    for entry, cluster in zip(*parts[:2], strict=True):
        members[cluster].append(entry)
    sizes = np.bincount(parts[1], parts[2])
    whole = 0.0
    for cluster, entries in members.items():
        some = people.codes[entries]
        cost = costs_of_boxes(measure, some.min(axis=0)[None], some.max(axis=0)[None])[0]
        assert sizes[cluster] < 2 * k or cost == 0
        whole += sizes[cluster] * cost
    everybody = costs_of_boxes(
        measure, people.codes.min(axis=0)[None], people.codes.max(axis=0)[None]
    )[0]
    assert whole <= len(drawn) * everybody + 1e-9


def test_top_down_parts_two_crowds() -> None:
    drawn = [("a", 1.0, "x")] * 2 + [("b", 1.0, "x")] * 2 + [("d", 9.0, "y")] * 2
    drawn += [("e", 9.0, "y")] * 3
    people, measure = coded(drawn)
    order = np.array([3, 1, 0, 2])
    parts = part_top_down(measure, people.codes, people.weights, 4, order, np.array([0.4]))
    crowds = defaultdict(dict)
    for entry, cluster, some in zip(*parts, strict=True):
        crowds[cluster][entry] = some
    assert sorted(crowds.values(), key=min) == [{0: 2, 1: 2}, {2: 2, 3: 3}]


def test_one_pass_trims_the_farthest_and_fills_up_the_small() -> None:
    # two seeds, k = 4: all but one are nearest to seed 0 (a 1 x), which keeps its four nearest
    drawn = [("a", 1.0, "x")] * 3 + [("b", 1.0, "x")] * 2 + [("c", 2.0, "x")] * 2
    drawn += [("e", 9.0, "y")]
    people, measure = coded(drawn)
    parts = one_pass_clusters(
        measure, people.codes, people.weights, 4, np.array([0, 3]), np.array([0, 1, 2, 3])
    )
    found: dict[int, dict[int, int]] = {0: {}, 1: {}}
    for entry, cluster, some in zip(*parts, strict=True):
        found[cluster][entry] = found[cluster].get(entry, 0) + some
    assert found == {0: {0: 3, 1: 1}, 1: {3: 1, 1: 1, 2: 2}}


@settings(max_examples=60, deadline=None)
@given(drawn=tables, k=st.integers(2, 7), most=st.integers(1, 30))
def test_blocks_have_k_people_and_are_cut_while_that_is_possible(
    drawn: list, k: int, most: int
) -> None:
    people, measure = coded(drawn)
    if len(drawn) < k:
        return
    blocks = blocks_of(measure, people.codes, people.weights, k, most)
    assert sorted(np.concatenate(blocks)) == list(range(len(people)))
    for block in blocks:
        assert people.weights[block].sum() >= k
        if len(block) > most:
            # no two sides of k people at any value of the flat column
            for value in np.unique(people.codes[block, 2])[1:]:
                upper = people.codes[block, 2] >= value
                sides = people.weights[block[upper]].sum(), people.weights[block[~upper]].sum()
                assert min(sides) < k
