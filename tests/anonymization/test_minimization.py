"""Minimized inputs: the target holds on rows not seen, and the form says what is asked."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.datasets import load_diabetes
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import r2_score
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import OneHotEncoder
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from sfumato.anonymization import Generalizations, Minimize
from sfumato.anonymization.minimization.bounds import lower_bound, relative_accuracy

DATA = Path(__file__).parents[1] / "data"


def inputs(n: int, seed: int) -> pd.DataFrame:
    chance = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "age": chance.integers(18, 90, n),
            "shift": chance.normal(size=n),
            "colour": chance.choice(["red", "green", "blue", "grey"], n),
        },
        index=[f"p{one}" for one in range(n)],
    )


class Rule:
    """A model that asks for two ages and the sign of a number."""

    def predict(self, X):
        first = (X["age"] >= 38).astype(int) + (X["age"] > 54).astype(int)
        return (10 * first + (X["shift"] > 0)).to_numpy()


class AgeRule:
    def predict(self, X):
        return ((X["age"] >= 38).astype(int) + (X["age"] > 54)).to_numpy()


def test_the_form_asks_for_what_the_model_needs():
    X = inputs(3000, 0)
    minimizer = Minimize(AgeRule(), target=0.99).fit(X)
    assert minimizer.form()[0] == "age: under 38, 38 to 54 or over 54"
    assert minimizer.form()[1:] == ("shift: not needed", "colour: not needed")
    assert minimizer.generalizations == {
        "ranges": {"age": [37.5, 54.5], "shift": []},
        "categories": {"colour": [["blue", "green", "grey", "red"]]},
        "untouched": [],
    }
    json.dumps(minimizer.generalizations)
    found = minimizer.transform(X)
    assert found.index.equals(X.index)
    assert found.dtypes.equals(X.dtypes)
    assert found.drop_duplicates().shape[0] == 3
    assert minimizer.ncp_.fit > 0.5
    assert minimizer.ncp_.transform == pytest.approx(minimizer.ncp_.fit)


def test_a_cut_at_zero_is_a_cut():
    X = inputs(4000, 1)
    X["shift"] = np.where(X["shift"] > 0, 1.0, -1.0)
    minimizer = Minimize(Rule(), target=0.99).fit(X)
    assert minimizer.generalizations["ranges"]["shift"] == [0.0]
    assert "shift: under 1 or over 0" in minimizer.form()
    other = inputs(1000, 2)
    other["shift"] = np.where(other["shift"] > 0, 1.0, -1.0)
    assert (Rule().predict(minimizer.transform(other)) == Rule().predict(other)).mean() >= 0.99


def test_columns_that_may_not_be_touched_are_not():
    X = inputs(1000, 3)
    minimizer = Minimize(Rule(), target=0.8, keep=["shift"]).fit(X)
    assert "shift" in minimizer.generalizations["untouched"]
    assert minimizer.transform(X)["shift"].equals(X["shift"])


def test_the_penalty_is_that_of_a_loop():
    X = inputs(800, 5)
    minimizer = Minimize(Rule(), target=0.7).fit(X)
    made = minimizer.generalizations_
    table = pl.from_pandas(X)
    cells = made.cells(table)
    share = np.zeros(len(X))
    low, high = made._bounds()
    first, last = X["age"].min(), X["age"].max()
    for row in range(len(X)):
        below, above = max(low[cells[row], 0], first), min(high[cells[row], 0], last)
        share[row] = (above - below) / (last - first)
    people = np.bincount(cells, minlength=len(made.tree.leaves))
    assert made.column_penalties(people)["age"] == pytest.approx(share.mean())


@pytest.mark.slow
@pytest.mark.parametrize("target", [0.998, 0.99, 0.9])
def test_the_target_is_kept_on_rows_held_out(target):
    table = pl.read_csv(DATA / "adult_kanonml.csv.gz", separator=";").drop("ID")
    y = table["salary-class"].to_numpy()
    X = table.select("age", "education", "marital-status", "sex").to_pandas()
    encoder = OneHotEncoder(handle_unknown="ignore").fit(X)
    train, test, y_train, _ = train_test_split(X, y, test_size=0.4, random_state=0)
    model = DecisionTreeClassifier(random_state=0, min_samples_leaf=20)
    model.fit(encoder.transform(train), y_train)
    minimizer = Minimize(model, target=target, encoder=encoder).fit(train)
    raw = model.predict(encoder.transform(test))
    minimized = model.predict(encoder.transform(minimizer.transform(test)))
    assert (raw == minimized).mean() >= target
    assert minimizer.bound_ >= target


@pytest.mark.parametrize("kind", [LinearRegression, DecisionTreeRegressor])
def test_diabetes_regression_keeps_its_target(kind):
    """Target .7 and the columns of reference section 4.2."""
    data = load_diabetes(as_frame=True)
    train, test, y, _ = train_test_split(data.data, data.target, test_size=0.5, random_state=14)
    model = kind(**({"random_state": 10} if kind is DecisionTreeRegressor else {})).fit(train, y)
    minimizer = Minimize(model, target=0.7, features=["age", "bmi", "s2", "s5", "s6"]).fit(train)
    assert r2_score(model.predict(test), model.predict(minimizer.transform(test))) >= 0.7


def test_generalizations_work_without_the_model(tmp_path):
    X = inputs(500, 6)
    minimizer = Minimize(Rule(), target=0.8).fit(X)
    minimizer.save(tmp_path / "generalizations.json")
    read = Generalizations.load(tmp_path / "generalizations.json")
    assert read.summary() == minimizer.generalizations
    table = pl.from_pandas(X)
    assert read.apply(table).equals(pl.from_pandas(minimizer.transform(X)))


def test_a_slice_is_generalized_whole_or_not_at_all():
    chance = np.random.default_rng(0)
    hot = np.eye(3)[chance.integers(0, 3, 600)]
    X = np.column_stack([hot, chance.normal(size=600)])
    model = LogisticRegression().fit(X, hot[:, 0] + (X[:, 3] > 0.3))
    minimizer = Minimize(model, target=0.97, slices=[[0, 1, 2]]).fit(X)
    touched = {name in minimizer.generalizations["untouched"] for name in ("x0", "x1", "x2")}
    assert len(touched) == 1
    if touched == {False}:
        assert (minimizer.transform(X)[:, :3].sum(axis=1) == 1).all()


def test_bounds_of_an_accuracy():
    """Clopper-Pearson: 0 misses of 10 give .05 ** (1 / 10)."""
    ones = np.ones(10)
    found = lower_bound(ones, ones, regression=False, confidence=0.95, seed=0)
    assert found == pytest.approx(0.05 ** (1 / 10))
    assert relative_accuracy(ones, np.zeros(10), regression=False) == 0
    known = np.arange(50.0)
    noisy = known + np.random.default_rng(0).normal(size=50)
    share = relative_accuracy(noisy, known, regression=True)
    assert share == pytest.approx(r2_score(known, noisy))
    assert lower_bound(noisy, known, regression=True, confidence=0.95, seed=0) < share


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"target": 2}, "target"),
        ({"confidence": 0.2}, "confidence"),
        ({"keep": ["nothing"]}, "keep"),
        ({"held_out": 1}, "held_out"),
        ({"task": "other"}, "task"),
        ({"keep": ["age", "shift", "colour"]}, "no column"),
    ],
)
def test_what_does_not_fit_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        Minimize(Rule(), **change).fit(inputs(50, 0))


def test_scikit_learn_can_copy_it():
    assert clone(Minimize(LogisticRegression(), target=0.5)).target == 0.5
