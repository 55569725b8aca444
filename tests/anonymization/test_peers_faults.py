"""The silent faults that were found in other anonymizers, each tried on every technique of ours.

Row labels that are shuffled, shifted or repeated; missing values, and a class that they hide; a
second call in the same process; hierarchies for some columns only; the written file read back.
"""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from pycanon import anonymity

import sfumato as sf

QUASI = ["age", "town", "sex"]
TECHNIQUES = {
    "local-recoding": lambda: sf.LocalRecoding(k=3, effort=0.05),
    "full-domain": lambda: sf.FullDomain(k=3, suppression_limit=0.2),
    "ola": lambda: sf.OLA(k=3, suppression_limit=0.2),
    "mondrian": lambda: sf.Mondrian(k=3),
    "mondrian by gain": lambda: sf.Mondrian(k=3, choose="gain"),
    "mondrian, relaxed": lambda: sf.Mondrian(k=3, relaxed=True),
    "top-down-greedy": lambda: sf.TopDownGreedy(k=3),
    "k-member": lambda: sf.KMember(k=3),
    "oka": lambda: sf.OKA(k=3),
    "knn-cluster": lambda: sf.KNNCluster(k=3),
    "cell-suppression": lambda: sf.CellSuppression(k=3),
    "microaggregation": lambda: sf.MicroAggregation(k=3),
}
every_technique = pytest.mark.parametrize("make", TECHNIQUES.values(), ids=TECHNIQUES)


def people(rows=120, seed=0, *, missing=True):
    chance = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "age": chance.integers(20, 60, rows).astype(float),
            "town": chance.choice(["a", "b", "c", "d"], rows),
            "sex": chance.choice(["f", "m"], rows),
            "cost": np.arange(rows) * 7.0,
        }
    )
    if missing:
        frame.loc[chance.choice(rows, 9, replace=False), "age"] = np.nan
        frame.loc[chance.choice(rows, 7, replace=False), "town"] = None
    return frame


def schema(*, hierarchies="all"):
    towns = sf.Hierarchy.mapping({"a": "north", "b": "north", "c": "south", "d": "south"})
    given = {"age": sf.Hierarchy.bands([5, 20]), "town": towns, "sex": None}
    if hierarchies == "some":
        given["age"] = None
    return sf.Schema(quasi_identifiers=given, rest="other")


def smallest(released):
    table = pl.from_pandas(released) if isinstance(released, pd.DataFrame) else released
    return table.group_by(QUASI).len()["len"].min()


def columns_of(released):
    return [released[name].map(str).tolist() for name in QUASI]


@pytest.mark.slow
@every_technique
@pytest.mark.parametrize(
    "labels",
    [
        lambda n: np.random.default_rng(1).permutation(n),
        lambda n: np.arange(n) + 10_000,
        lambda n: np.zeros(n, dtype=int),
        lambda n: [f"row {number // 2}" for number in range(n)],
    ],
    ids=["shuffled", "shifted", "all alike", "repeated texts"],
)
def test_row_labels_play_no_part(make, labels):
    frame = people()
    plain = sf.anonymize(frame, schema(), make()).data
    labelled = frame.set_index(pd.Index(labels(len(frame))))
    released = sf.anonymize(labelled, schema(), make()).data
    assert smallest(released) >= 3
    assert released["cost"].tolist() == plain["cost"].tolist()
    assert columns_of(released) == columns_of(plain)


@every_technique
def test_rows_with_missing_values_stay_and_are_counted(make):
    frame = people()
    release = sf.anonymize(frame, schema(), make())
    assert len(release.data) == len(frame)
    assert smallest(release.data) >= 3
    assert release.verify().passed


@every_technique
def test_a_lone_missing_value_is_not_hidden(make):
    # three of everybody, and one whose age is missing: a count that drops nulls says k = 3
    frame = pd.DataFrame(
        {
            "age": [30.0] * 3 + [50.0] * 3 + [None],
            "town": ["a"] * 7,
            "sex": ["f"] * 7,
            "cost": range(7),
        }
    )
    release = sf.anonymize(frame, schema(), make())
    assert smallest(release.data) >= 3


@every_technique
def test_a_second_call_releases_its_own_table(make):
    technique = make()
    first = sf.anonymize(people(90, seed=1), schema(), technique)
    other = people(60, seed=2)
    second = sf.anonymize(other, schema(), technique)
    assert second.data["cost"].tolist() == other["cost"].tolist()
    again = sf.anonymize(people(90, seed=1), schema(), make())
    assert columns_of(again.data) == columns_of(first.data)
    assert smallest(second.data) >= 3


@every_technique
def test_columns_without_a_hierarchy_are_not_released_raw(make):
    release = sf.anonymize(people(), schema(hierarchies="some"), make())
    assert smallest(release.data) >= 3
    assert release.verify().passed


@every_technique
def test_no_row_number_and_no_other_column_comes_along(make):
    release = sf.anonymize(people(), schema(), make())
    assert list(release.data.columns) == [*QUASI, "cost"]


@every_technique
def test_the_written_file_is_read_back_and_recounted(make, tmp_path):
    release = sf.anonymize(people(), schema(), make())
    folder = release.save(tmp_path / "release")
    assert sf.verify(folder).passed
    cells = pl.read_csv(folder / "data.csv", infer_schema=False)
    assert cells.group_by(QUASI).len()["len"].min() >= 3


@every_technique
def test_another_program_counts_the_same(make):
    release = sf.anonymize(people(missing=False), schema(), make())
    told = release.data.astype(dict.fromkeys(QUASI, str)).reset_index(drop=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert anonymity.k_anonymity(told, QUASI) == smallest(release.data)


@every_technique
@pytest.mark.parametrize("rows", [3, 4, 5])
def test_tables_of_hardly_more_people_than_k(make, rows):
    release = sf.anonymize(people(rows, missing=False), schema(), make())
    assert smallest(release.data) >= 3


@every_technique
def test_fewer_people_than_k_are_refused(make):
    with pytest.raises(sf.PlanError, match="more than the table has"):
        sf.anonymize(people(2, missing=False), schema(), make())
