"""Evaluations are logged by hashes, and counted."""

import json

import polars as pl
import pytest

from sfumato.release import evaluate
from sfumato.release.evaluation_log import STATE_VARIABLE, log_evaluation, log_file
from sfumato.release.plan import EvaluationPlan
from sfumato.table import Schema

TABLE = pl.DataFrame({"age": [30, 41, 52, 63] * 5, "illness": ["flu", "gout"] * 10})
SCHEMA = Schema(quasi_identifiers={"age": None}, sensitive=["illness"])


@pytest.fixture(autouse=True)
def _own_log(tmp_path, monkeypatch):
    monkeypatch.setenv(STATE_VARIABLE, str(tmp_path / "state"))


def _judged(released):
    return evaluate(TABLE, released, SCHEMA, plan=EvaluationPlan())


def test_evaluations_of_one_real_table_are_counted():
    assert log_evaluation(_judged(TABLE)) == 0
    assert log_evaluation(_judged(TABLE[:10])) == 1
    other = evaluate(TABLE[:8], TABLE, SCHEMA, plan=EvaluationPlan())
    assert log_evaluation(other) == 0
    lines = log_file().read_text("utf-8").splitlines()
    assert len(lines) == 3
    assert set(json.loads(lines[0])["inputs"]) == {"real", "released"}
    assert "gout" not in log_file().read_text("utf-8")


def test_a_log_that_cannot_be_written_stops_nothing(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv(STATE_VARIABLE, str(tmp_path / "file"))
    assert log_evaluation(_judged(TABLE)) is None


def test_a_damaged_line_is_passed_over():
    log_evaluation(_judged(TABLE))
    with log_file().open("a") as file:
        file.write("{not json\n[]\n")
    assert log_evaluation(_judged(TABLE)) == 1
