"""The compiled loops make the cuts, and the falls, that the arrays make."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfumato.anonymization import Mondrian
from sfumato.anonymization.mondrian import partition, tree_ways
from sfumato.anonymization.mondrian.axes import HierarchyAxis, NumberAxis
from sfumato.anonymization.mondrian.partition_nodes import Partition
from sfumato.anonymization.mondrian.people import People
from sfumato.table import Hierarchy, Schema

DATA = Path(__file__).parent.parent / "data"
LEVELS = (
    np.arange(8),
    np.array([0, 0, 1, 1, 1, 2, 3, 4]),
    np.array([0, 0, 0, 0, 0, 0, 1, 1]),
    np.zeros(8, dtype=np.int64),
)
LINE = HierarchyAxis(LEVELS, tuple(np.bincount(level) for level in LEVELS))


def paths(grown: Partition) -> Counter:
    """Return each node by the cuts that lead to it, whatever its number."""
    names = ("axis", "level", "code", "cut", "size")
    fields = np.stack([getattr(grown, name) for name in names], axis=1).tolist()
    found: list[tuple] = [(tuple(fields[0]),)]
    for parent, node in zip(grown.parent[1:], fields[1:], strict=True):
        found.append((*found[parent], tuple(node)))
    return Counter(found)


def drawn_people(random: np.random.Generator, rows: int, distinct: int) -> tuple[People, tuple]:
    few = np.sort(random.choice(100, int(random.integers(1, 12)), replace=False)).astype(float)
    missing = bool(random.integers(2))
    many = np.sort(random.normal(size=distinct))
    codes = np.stack(
        [
            random.integers(0, 8, rows),
            random.integers(0, len(few) + missing, rows),
            (random.beta(1, 5, rows) * distinct).astype(int),
        ],
        axis=1,
    )
    codes = np.unique(codes, axis=0)
    people = People(codes, random.integers(1, 5, len(codes)))
    return people, (LINE, NumberAxis(few, missing), NumberAxis(many, has_missing=False))


@settings(max_examples=80, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    rows=st.integers(1, 400),
    distinct=st.sampled_from([1, 2, 50, 9000]),
    k=st.integers(2, 12),
    choose=st.sampled_from(["width", "gain"]),
)
def test_compiled_cuts_are_those_of_the_arrays(
    seed: int, rows: int, distinct: int, k: int, choose: partition.Choice
) -> None:
    people, axes = drawn_people(np.random.default_rng(seed), rows, distinct)
    if people.whole().sum() < k:
        return
    before = people.codes.copy(), people.whole()
    told: list[int] = []
    compiled = partition.partition(people, axes, k, told.append, choose=choose, compiled=True)
    arrays = partition.partition(people, axes, k, choose=choose, compiled=False)
    assert paths(compiled) == paths(arrays)
    assert told == [len(people)]
    # parents stand before children, and what was passed is left as it was
    assert (compiled.parent < np.arange(len(compiled.parent))).all()
    np.testing.assert_array_equal(people.codes, before[0])
    np.testing.assert_array_equal(people.whole(), before[1])


@pytest.mark.parametrize("choose", ["width", "gain"])
def test_a_large_group_is_cut_as_by_the_arrays(choose: partition.Choice) -> None:
    # more distinct values than a round of counting has buckets
    people, axes = drawn_people(np.random.default_rng(3), 40_000, 200_000)
    compiled = partition.partition(people, axes, 7, choose=choose, compiled=True)
    assert paths(compiled) == paths(partition.partition(people, axes, 7, choose=choose))


@pytest.mark.parametrize("choose", ["width", "gain"])
def test_adult_is_recoded_alike(monkeypatch: pytest.MonkeyPatch, choose: partition.Choice) -> None:
    table = pl.read_csv(DATA / "adult_kanonml.csv.gz", separator=";")
    table = table.with_columns(
        age=pl.when(pl.int_range(pl.len()) % 50 > 0).then(pl.col("age").cast(pl.Int64))
    )
    folder = DATA / "hierarchies"
    quasi = {
        name: Hierarchy.read(folder / f"adult_hierarchy_{name}.csv")
        for name in ("sex", "race", "education", "workclass")
    }
    schema = Schema(identifiers=["ID"], quasi_identifiers={**quasi, "age": None}, rest="other")
    technique = Mondrian(k=20, choose=choose)
    recoding = technique.fit(table, schema)
    released = recoding.apply(table)
    monkeypatch.setattr(partition, "_MANY", 0)
    monkeypatch.setattr(tree_ways, "_MANY", 0)
    compiled = technique.fit(table, schema)
    assert sorted(compiled.class_sizes) == sorted(recoding.class_sizes)
    assert compiled.apply(table).equals(released)
    assert recoding.apply(table).equals(released)
    # new rows too, with values that no group holds
    new = pl.DataFrame({"sex": ["Male", "Female"], "age": [None, 200]}).join(
        table.select(pl.exclude("sex", "age")).head(200), how="cross"
    )
    fallen = recoding.apply(new)
    monkeypatch.setattr(tree_ways, "_MANY", 10**9)
    assert recoding.apply(new).equals(fallen)
