"""The baseline, and recodings as files."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from sfumato.anonymization import Clean, CleanRecoding, Recoding, Rules
from sfumato.errors import DataError, PlanError, SchemaError
from sfumato.table import Schema

TABLE = pl.DataFrame({"id": [1, 2], "age": [30, None], "note": ["x", "y"]})
SCHEMA = Schema(person="id", quasi_identifiers=["age"], other=["note"])


def test_identifiers_are_left_out_and_nothing_else_is_changed() -> None:
    recoding = Clean().fit(TABLE, SCHEMA)
    assert recoding.apply(TABLE).equals(TABLE.drop("id"))
    assert recoding.apply(TABLE.drop("id")).equals(TABLE.drop("id"))
    assert recoding.promises == ()
    assert recoding.released_schema().person is None
    assert Clean(drop=["note"]).fit(TABLE, SCHEMA).apply(TABLE).columns == ["age"]


def test_it_says_what_it_leaves_open() -> None:
    changes = Clean(drop=["note"]).fit(TABLE, SCHEMA).describe()
    assert [change.action for change in changes] == ["suppressed", "kept", "suppressed"]
    assert "single a person out" in changes[1].why


def test_what_does_not_fit_is_an_error() -> None:
    with pytest.raises(SchemaError, match=r"drop: no column 'nte'.*'note'"):
        Clean(drop=["nte"]).fit(TABLE, SCHEMA)
    with pytest.raises(PlanError, match="unknown setting 'columns'"):
        Clean(columns={})
    recoding = Clean().fit(TABLE, SCHEMA)
    with pytest.raises(DataError, match="no column 'age'"):
        recoding.apply(TABLE.drop("age"))
    with pytest.raises(DataError, match="'shoe' was not there"):
        recoding.apply(TABLE.with_columns(shoe=1))


def test_it_comes_back_from_json(tmp_path: Path) -> None:
    recoding = Clean(drop=["note"]).fit(TABLE, SCHEMA)
    assert CleanRecoding.from_dict(json.loads(json.dumps(recoding.to_dict()))) == recoding
    recoding.save(tmp_path / "recoding.json")
    assert Recoding.load(tmp_path / "recoding.json") == recoding


def test_a_saved_recoding_keeps_the_order_of_the_columns(tmp_path: Path) -> None:
    table = TABLE.select("note", "id", "age")
    recoding = Rules().fit(table, SCHEMA)
    recoding.save(tmp_path / "recoding.json")
    assert Recoding.load(tmp_path / "recoding.json").apply(table).columns == ["note", "age"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "not a recoding written by sfumato"),
        ("[]", "not a recoding written by sfumato"),
        ('{"kind": "os:system", "recoding": {}}', "which is not ours"),
        ('{"kind": "sfumato.anonymization:Rules", "recoding": {}}', "does not have"),
        ('{"kind": "sfumato.anonymization:Nothing", "recoding": {}}', "does not have"),
    ],
)
def test_a_file_that_is_no_recoding(content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "recoding.json").write_text(content)
    with pytest.raises(DataError, match=message):
        Recoding.load(tmp_path / "recoding.json")
