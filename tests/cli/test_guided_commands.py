"""`sfumato anonymize --technique guided` and `sfumato minimize`."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import polars as pl
import pytest
from sklearn.tree import DecisionTreeClassifier

from sfumato.anonymization import Generalizations
from sfumato.cli.guiding import with_model
from sfumato.cli.minimizing import Wanted, minimize_table
from sfumato.errors import DataError, PlanError
from sfumato.release.registry import technique
from sfumato.table import Schema, Source

DATA = Path(__file__).parents[1] / "data" / "heart_sample.parquet"
SCHEMA = """
target = "HadAngina"
[columns.PatientID]
role = "identifier"
[columns.BMI]
role = "quasi-identifier"
[columns.WeightInKilograms]
role = "quasi-identifier"
[columns.HadStroke]
role = "other"
"""


class Silence:
    """Keeps what a command says."""

    def __init__(self) -> None:
        self.values: dict = {}
        self.words: list[str] = []

    def say(self, line: str) -> None: ...

    def result(self, values, words) -> None:
        self.values, self.words = values, list(words)


@pytest.fixture
def folder(tmp_path):
    table = pl.read_parquet(DATA).head(800)
    names = ["PatientID", "BMI", "WeightInKilograms", "HadStroke", "HadAngina"]
    table.select(names).write_csv(tmp_path / "heart.csv")
    (tmp_path / "schema.toml").write_text(SCHEMA)
    model = DecisionTreeClassifier(max_depth=4, class_weight="balanced", random_state=0)
    model.fit(table.select("BMI", "HadStroke"), table["HadAngina"])
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(model))
    return tmp_path


def test_options_become_settings(tmp_path):
    model = tmp_path / "m.skops"
    found = with_model("guided", {"k": 5}, model=model, train=None, allow_pickle=True)
    assert found == {"k": 5, "model_file": str(model), "allow_pickle": True}
    assert with_model("guided", {}, model=None, train="mlp", allow_pickle=False) == {"model": "mlp"}
    with pytest.raises(PlanError, match="no model guides"):
        with_model("mondrian", {}, model=None, train="mlp", allow_pickle=False)
    with pytest.raises(PlanError, match="one of them"):
        with_model("guided", {}, model=model, train="mlp", allow_pickle=False)


def test_a_model_from_a_file_guides(folder):
    table = pl.read_csv(folder / "heart.csv")
    schema = Schema.read(folder / "schema.toml")
    settings = {"k": 20, "model_file": folder / "model.pkl"}
    with pytest.raises(PlanError, match="allow-pickle"):
        technique("guided").of(settings).fit(table, schema)
    recoding = technique("guided").of({**settings, "allow_pickle": True}).fit(table, schema)
    released = recoding.recode(table)
    assert released.group_by("BMI", "WeightInKilograms").len()["len"].min() >= 20
    assert len(recoding.class_sizes) > 2


def test_minimize_writes_the_form_and_the_rows(folder):
    console, out = Silence(), folder / "out"
    where = Source(path=folder / "heart.csv")
    wanted = Wanted(folder / "model.pkl", None, True, 0.9, ("HadStroke",), 0.95, 18)
    minimize_table(console, where, folder / "schema.toml", wanted, out)
    form = (out / "form.txt").read_text().splitlines()
    assert form == console.values["form"]
    assert "HadStroke: exactly" in form
    read = Generalizations.load(out / "generalizations.json")
    assert read.bound >= 0.9
    json.dumps(console.values)
    minimized = pl.read_csv(out / "minimized.csv")
    assert minimized.columns == ["BMI", "HadStroke"]
    table = pl.read_csv(folder / "heart.csv")
    assert minimized["HadStroke"].equals(table["HadStroke"])
    model = pickle.loads((folder / "model.pkl").read_bytes())
    same = model.predict(minimized) == model.predict(table.select("BMI", "HadStroke"))
    assert same.mean() >= 0.9


def test_minimize_refuses_what_does_not_fit(folder):
    where = Source(path=folder / "heart.csv")

    def run(*values):
        minimize_table(Silence(), where, folder / "schema.toml", Wanted(*values), folder / "out")

    with pytest.raises(PlanError, match="one of them"):
        run(None, None, False, 0.9, (), 0.95, 18)
    with pytest.raises(PlanError, match="allow-pickle"):
        run(folder / "model.pkl", None, False, 0.9, (), 0.95, 18)
    with pytest.raises(DataError, match="keep"):
        run(None, "decision-tree", False, 0.9, ("nothing",), 0.95, 18)
    assert not (folder / "out").exists()
