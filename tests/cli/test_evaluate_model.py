"""`sfumato evaluate-model`, from a file of a model to the report."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import polars as pl
import pytest
from sklearn.tree import DecisionTreeClassifier
from typer.testing import CliRunner

from sfumato.cli.app import app

DATA = Path(__file__).parents[1] / "data" / "pima_diabetes.csv.gz"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("model")
    table = pl.read_csv(DATA)
    target = table.columns[-1]
    inputs = table.columns[:-1]
    members, control = table[:384], table[384:]
    members.write_csv(place / "members.csv")
    control.write_csv(place / "control.csv")
    (place / "schema.toml").write_text(
        "\n".join([f'[columns."{name}"]\nrole = "other"' for name in table.columns])
    )
    model = DecisionTreeClassifier(random_state=0).fit(members.select(inputs), members[target])
    (place / "model.pkl").write_bytes(pickle.dumps(model))
    return place, target, inputs


def run(folder, *options):
    place, target, _ = folder
    arguments = [
        *("evaluate-model", str(place / "members.csv"), str(place / "control.csv")),
        *("--schema", str(place / "schema.toml"), "--model", str(place / "model.pkl")),
        *("--target", target, "--out", str(place / "out"), "--json", *options),
    ]
    return CliRunner().invoke(app, arguments)


def test_an_overfitted_model_is_told_of(folder):
    place, _, inputs = folder
    options = ("--allow-pickle", "--attack", "loss", "--attack", "attribute", "--secret", inputs[0])
    found = run(folder, *options, "--seed", "1")
    assert found.exit_code == 0, found.output
    told = json.loads(found.stdout)
    assert told["verdict"] == "evidence of a leak"
    assert told["figures"]["membership/loss/auc"]["value"] > 0.6
    assert any(key.startswith(f"attribute/{inputs[0]}") for key in told["figures"])
    assert json.loads((place / "out" / "evaluation.json").read_text()) == told
    assert "members" not in json.loads((place / "out" / "outward.json").read_text())
    page = (place / "out" / "report.html").read_text()
    assert "evidence of a leak" in page
    assert "membership/" in page
    assert "<script" not in page


def test_what_does_not_fit_is_refused(folder):
    refused = run(folder)
    assert refused.exit_code
    assert "--allow-pickle" in str(refused.exception)
    place, _, _ = folder
    one = str(place / "members.csv")
    twice = ["evaluate-model", one, one, "--schema", str(place / "schema.toml")]
    twice += ["--model", str(place / "model.pkl")]
    assert "twice" in str(CliRunner().invoke(app, twice).exception)
    found = run(folder, "--allow-pickle", "--attack", "guessing")
    assert "guessing" in str(found.exception) or "only" in str(found.exception)
