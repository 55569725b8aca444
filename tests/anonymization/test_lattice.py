"""The lattice, and the classes of its nodes against a Counter of generalized rows."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from itertools import product

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfumato.anonymization.lattice.lattice import Lattice
from sfumato.anonymization.lattice.node_counting import NodeCounter
from sfumato.anonymization.lattice.tuples import LatticeTuples, criterion_columns
from sfumato.errors import PlanError, SchemaError
from sfumato.privacy import LDiversity
from sfumato.table import Hierarchy, Schema, encode

PLACES = Hierarchy.mapping(
    {
        "Lyon": ["Rhone", "South"],
        "Vienne": ["Rhone", "South"],
        "Nice": ["Riviera", "South"],
        "Lille": ["Nord", "North"],
        "Douai": ["Nord", "North"],
    }
)
HIERARCHIES = {"place": PLACES, "age": Hierarchy.bands([10, 20], top=None), "sex": None}
COLUMNS = {"place": pl.String, "age": pl.Int64, "sex": pl.String, "ill": pl.String, "id": pl.Int64}
people = st.lists(
    st.tuples(
        st.sampled_from(["Lyon", "Vienne", "Nice", "Lille", "Douai", None]),
        st.sampled_from([18, 20, 31, 45, None]),
        st.sampled_from(["f", "m"]),
        st.sampled_from(["flu", "gout", None]),
        st.sampled_from([1, 2, 3, 4, None]),
    ),
    min_size=1,
    max_size=50,
)


def table_of(rows: list) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=COLUMNS, orient="row")


def generalized(table: pl.DataFrame, levels: tuple[int, ...]) -> list[tuple]:
    hierarchies = {name: one or Hierarchy.flat() for name, one in HIERARCHIES.items()}
    parts = zip(hierarchies.items(), levels, strict=True)
    return list(
        pl.DataFrame([one.generalize(table[name], level) for (name, one), level in parts]).rows()
    )


def tuples_of(table: pl.DataFrame, *, by_person: bool = False) -> LatticeTuples:
    return LatticeTuples.of_coded(
        encode(table, list(HIERARCHIES), HIERARCHIES),
        {"ill": table["ill"]},
        table["id"] if by_person else None,
    )


@pytest.mark.slow
@pytest.mark.parametrize("by_person", [False, True])
@settings(max_examples=12, deadline=None)
@given(rows=people, seed=st.integers(0, 1000))
def test_classes_of_every_node_are_those_of_a_counter(rows: list, seed: int, by_person: bool):
    table = table_of(rows)
    tuples = tuples_of(table, by_person=by_person)
    counter = NodeCounter(tuples)
    nodes = list(product(*(range(height + 1) for height in tuples.heights)))
    random.Random(seed).shuffle(nodes)
    for levels in nodes:
        node = counter.at(levels)
        of_row = generalized(table, levels)
        held: dict[tuple, set] = defaultdict(set)
        values: dict[tuple, Counter] = defaultdict(Counter)
        seen = set()
        for number, (key, row) in enumerate(zip(of_row, rows, strict=True)):
            person = row[4] if by_person else number
            held[key].add(person)
            if (key, row[3], person) not in seen:
                values[key][row[3]] += 1
            seen.add((key, row[3], person))
        keys = node.labels(np.arange(len(node))).rows()
        assert dict(zip(keys, node.rows.tolist(), strict=True)) == Counter(of_row)
        assert dict(zip(keys, node.sizes.tolist(), strict=True)) == {
            key: len(people) for key, people in held.items()
        }
        labels = tuples.sensitive["ill"].labels.to_list()
        for key, counts in zip(keys, node.histogram("ill").tolist(), strict=True):
            assert {v: c for v, c in zip(labels, counts, strict=True) if c} == values[key]
        # some classes only, and some classes together
        some = np.arange(len(node)) % 2 == 0
        assert np.array_equal(
            node.histogram("ill", np.flatnonzero(some)), node.histogram("ill")[some]
        )
        together = set().union(*(held[key] for key, one in zip(keys, some, strict=True) if one))
        assert node.joined_size(some) == len(together)
        if not by_person:
            joined = node.joined("ill", some).tolist()
            assert joined == node.histogram("ill")[some].sum(axis=0).tolist()


def test_keys_longer_than_a_machine_word():
    # 12 columns of 97 values: the product is far above 2**64
    draw = np.random.default_rng(3)
    base = draw.integers(0, 97, size=(300, 12))
    rows = np.concatenate([base, base[:150], base[:50]])
    table = pl.DataFrame(rows, schema=[f"c{number}" for number in range(12)], orient="row")
    table = pl.concat([table, pl.DataFrame({name: range(97) for name in table.columns})])
    tuples = LatticeTuples.of_coded(encode(table, table.columns))
    counter = NodeCounter(tuples)
    for starred in ([], [0], [11], [0, 1, 2, 3, 4, 5], list(range(11))):
        levels = tuple(int(column in starred) for column in range(12))
        left = [name for number, name in enumerate(table.columns) if number not in starred]
        expected = Counter(table.select(left).rows())
        assert Counter(counter.at(levels).rows.tolist()) == Counter(expected.values())


def test_old_starting_points_are_let_go(monkeypatch: pytest.MonkeyPatch):
    from sfumato.anonymization.lattice import node_counting

    table = table_of([("Lyon", age, "f", "flu", 1) for age in range(10, 50)] * 2)
    tuples = tuples_of(table)
    nodes = list(product(*(range(height + 1) for height in tuples.heights))) * 2
    expected = [NodeCounter(tuples).at(levels).rows.tolist() for levels in nodes]
    monkeypatch.setattr(node_counting, "_MOST_SNAPSHOTS", 4)
    counter = NodeCounter(tuples)
    assert [sorted(counter.at(levels).rows) for levels in nodes] == list(map(sorted, expected))
    monkeypatch.setattr(node_counting, "_MOST_KEPT", 1)
    counter = NodeCounter(tuples)
    counter._room = 5
    assert [sorted(counter.at(levels).rows) for levels in nodes] == list(map(sorted, expected))


def test_levels_within_bounds():
    tuples = tuples_of(table_of([("Lyon", 18, "f", None, 1), ("Lille", 45, "m", None, 2)]))
    lattice = Lattice.of(tuples, {"place": 1}, {"age": 2, "sex": 0})
    assert lattice.size == 3 * 3 * 1
    assert lattice.choices[0][0] == 1
    assert max(lattice.choices[1]) <= 2
    assert lattice.choices[2] == (0,)
    assert lattice.levels(lattice.bottom) == (1, 0, 0)


def test_levels_that_join_nobody_are_left_out():
    # Lyon and Lille stay apart up to '*', and there is one sex: its '*' tells less, hides nobody
    tuples = tuples_of(table_of([("Lyon", 18, "f", None, 1), ("Lille", 45, "f", None, 2)]))
    lattice = Lattice.of(tuples)
    assert lattice.choices == ((0, 3), (0, 3), (0,))
    assert lattice.size == 4 * 4 * 2
    assert lattice.n_nodes == 4
    assert list(lattice.above((0, 0, 0))) == [(1, 0, 0), (0, 1, 0)]
    assert list(lattice.below((1, 0, 0))) == [(0, 0, 0)]
    assert lattice.places((3, 0, 0)) == (1, 0, 0)


@pytest.mark.parametrize(
    ("minimum", "maximum", "message"),
    [
        ({"plaec": 1}, {}, "minimum_levels.plaec: there is no such quasi-identifier. Did you mean"),
        ({}, {"age": 9}, "maximum_levels.age = 9: its levels are 0 .exact. to 3"),
        ({"age": -1}, {}, "minimum_levels.age = -1"),
        ({"age": 2}, {"age": 1}, "minimum_levels.age = 2 is above maximum_levels.age = 1"),
    ],
)
def test_impossible_bounds_are_refused(minimum, maximum, message):
    tuples = tuples_of(table_of([("Lyon", 18, "f", None, 1)]))
    with pytest.raises(PlanError, match=message):
        Lattice.of(tuples, minimum, maximum)


def test_columns_of_criteria():
    schema = Schema(quasi_identifiers=["sex"], sensitive=["ill"])
    assert criterion_columns([LDiversity("ill", 2), LDiversity("ill", 3)], schema) == ("ill",)
    with pytest.raises(SchemaError, match=r"there is no column 'il'\. Did you mean 'ill'"):
        criterion_columns([LDiversity("il", 2)], schema)
    with pytest.raises(PlanError, match="'sex' is a quasi-identifier"):
        criterion_columns([LDiversity("sex", 2)], schema)
