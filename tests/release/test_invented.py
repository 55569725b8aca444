"""Invented people are nobody: not by their quasi-identifiers, not by a cell that few share."""

import datetime

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from sfumato.anonymization import Rules
from sfumato.release.invented import InventedPeople, invent
from sfumato.table import Hierarchy, Schema

SCHEMA = Schema(
    identifiers=["who"],
    quasi_identifiers={"age": Hierarchy.intervals([0, 20, 40, 60, 80, 100]), "town": None},
    other=["day", "weight"],
)


def some(rows: int, seed: int) -> pl.DataFrame:
    import numpy as np

    random = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "who": [f"canary-{n}" for n in range(rows)],
            "age": random.integers(0, 99, rows),
            "town": random.choice(
                ["A", "B", "C", "D", "only-one"], rows, p=[0.4, 0.3, 0.2, 0.09, 0.01]
            ),
            "day": [
                datetime.date(2020, 1, 1) + datetime.timedelta(int(d))
                for d in random.integers(0, 300, rows)
            ],
            "weight": random.normal(70, 9, rows).round(3),
        }
    )


@settings(max_examples=15)
@given(st.integers(0, 10**6))
def test_nobody_real_has_their_quasi_identifiers(seed):
    table = some(150, seed)
    recoding = Rules(columns={"age": {"generalize": 1}}).fit(table, SCHEMA)
    columns = ["age", "town", "day", "weight"]
    people = invent(table, SCHEMA, [recoding], columns, seed=seed)
    if people is None:
        return
    assert people.columns_before == tuple(table.columns)
    assert people.columns_after == tuple(columns)
    assert len(people.before) == len(people.after) <= 3
    real = {(str(age), town) for age, town in table.select("age", "town").rows()}
    for before, after in zip(people.before, people.after, strict=True):
        assert before[0].startswith("invented-")
        assert (before[1], before[2]) not in real
        assert before[2] != "only-one"  # fewer than twenty people live there
        assert before[3].endswith("-01")
        assert after[0].startswith("[")


def test_the_same_seed_invents_the_same_people():
    table = some(150, 1)
    recoding = Rules().fit(table, SCHEMA)
    columns = ["age", "town"]
    first = invent(table, SCHEMA, [recoding], columns, seed=4)
    assert first == invent(table, SCHEMA, [recoding], columns, seed=4)
    assert first != invent(table, SCHEMA, [recoding], columns, seed=5)
    assert (
        InventedPeople.from_dict({**vars(first), "before": [list(r) for r in first.before]})
        == first
    )


def test_where_every_combination_is_somebodys_nobody_is_shown():
    table = pl.DataFrame({"sex": ["f", "m"] * 50})
    schema = Schema(quasi_identifiers=["sex"])
    assert invent(table, schema, [Rules().fit(table, schema)], ["sex"]) is None


def test_a_person_in_a_group_is_shown_before_a_row_of_stars():
    table = some(400, 2)
    rules = Rules(columns={"age": {"generalize": 1}, "day": {"suppress": True}}, k=20)
    recoding = rules.fit(table, SCHEMA)
    people = invent(table, SCHEMA, [recoding], ["age", "town", "weight"], people=2)
    assert people is not None
    assert people.after[0][0] != "*"


def test_columns_without_a_common_value_stay_empty():
    table = some(60, 3).with_columns(note=pl.Series([f"text {n}" for n in range(60)]))
    schema = Schema.of({**SCHEMA.columns, "note": SCHEMA.columns["day"]})
    people = invent(table, schema, [Rules().fit(table, schema)], ["note", "age"], seed=1)
    assert people is not None
    assert {row[0] for row in people.after} == {""}
