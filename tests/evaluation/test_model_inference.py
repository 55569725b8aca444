"""Secrets and needless inputs of trained models."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from sfumato.evaluation.trained_models import ModelAttacks, evaluate_model
from sfumato.evaluation.trained_models.answers import Subject, ask
from sfumato.evaluation.trained_models.attribute import guessed
from sfumato.evaluation.trained_models.minimization import minimized
from sfumato.evaluation.trained_models.rows import People, columns_of, put_numbers, put_rows


def people_with_a_secret(rows, seed):
    random = np.random.default_rng(seed)
    X = random.normal(size=(rows, 4))
    X[:, 3] = random.integers(0, 3, rows)
    return X, X[:, 0] + X[:, 3] + random.normal(size=rows)


def test_a_model_that_kept_its_members_tells_their_secrets():
    X, y = people_with_a_secret(600, 0)
    model = DecisionTreeRegressor(random_state=0).fit(X[:300], y[:300])
    attacks = ModelAttacks(only=("attribute",), secrets=(3,), trees=20)
    found = evaluate_model(model, (X[:300], y[:300]), (X[300:], y[300:]), attacks=attacks)
    right = found.figures["attribute/3/queries"]
    assert right.p_value < 1e-4
    assert right.value > right.control + 0.1
    assert right.value > right.baseline
    gained = found.figures["attribute/3/queries/advantage"]
    assert gained.interval[0] <= gained.value <= gained.interval[1]
    assert gained.value == pytest.approx(right.value - right.baseline)
    for end in ("precision", "recall"):
        figure = found.figures[f"attribute/3/queries/{end}"]
        assert figure.interval[0] < figure.value < figure.interval[1]


def test_what_everybody_tells_is_no_leak_and_needs_no_model():
    X, y = people_with_a_secret(600, 1)
    X[:, 2] = X[:, 3]  # the secret stands in another column
    subject = [
        Subject.of(learner.fit(X[:300], y[:300]), y)
        for learner in (LinearRegression(), DecisionTreeRegressor(max_depth=1))
    ]
    people = People(X, y, np.arange(600) < 300)
    attacks = ModelAttacks(trees=20)
    found = [guessed(one, ask(one, X, y), people, 3, attacks, seed=0) for one in subject]
    np.testing.assert_array_equal(found[0].baseline, found[1].baseline)
    assert (found[0].baseline == found[0].truth).mean() > 0.95


def test_a_column_that_the_model_does_not_use_can_be_left_out():
    random = np.random.default_rng(2)
    X = random.normal(size=(400, 2))
    y = (X[:, 0] > 0).astype(int)
    model = LogisticRegression().fit(X[:200], y[:200])
    model.coef_[0, 1] = 0.0
    people = People(X, y, np.arange(400) < 200)
    subject = Subject.of(model, y)
    found = minimized(subject, people, ModelAttacks(kept=(0.5,)), seed=0)
    assert set(found.ways) == {
        (selector, 0.5, modifier)
        for selector in ("dependence", "variance", "importance")
        for modifier in ("average", "permutation")
    }
    np.testing.assert_array_equal(found.ways["importance", 0.5, "average"], found.whole)
    np.testing.assert_array_equal(found.ways["dependence", 0.5, "permutation"], found.whole)
    averaged = np.tile(X[:200].mean(axis=0), (200, 1))
    np.testing.assert_array_equal(found.nothing, model.predict(averaged) == y[200:])


def test_the_worst_ratio_is_that_of_the_worst_way_and_has_an_interval():
    X, y = people_with_a_secret(400, 3)
    model = LinearRegression().fit(X[:200], y[:200])
    attacks = ModelAttacks(only=("minimization",), resamples=199)
    found = evaluate_model(model, (X[:200], y[:200]), (X[200:], y[200:]), attacks=attacks)
    worst = found.figures["minimization/worst"]
    ways = [figure for key, figure in found.figures.items() if key != "minimization/worst"]
    assert worst.value == max(figure.value for figure in ways)
    assert worst.direction == "lower is better"
    assert worst.interval[0] <= worst.value <= worst.interval[1]
    whole = np.square(model.predict(X[200:]) - y[200:]).mean()
    nothing = np.square(model.predict(np.tile(X[:200].mean(axis=0), (200, 1))) - y[200:]).mean()
    assert worst.baseline == pytest.approx(nothing / whole)


def test_frames_keep_their_kind_and_get_no_value_that_nobody_has():
    frame = pd.DataFrame(
        {"age": [30, 41, 57, 62], "ward": pd.Categorical(["a", "b", "a", "c"])},
        index=[9, 9, 4, 1],
    )
    moved = put_numbers(frame, 0, np.array([30.4, 40.6, 1.0, 2.0]))
    assert moved["age"].tolist() == [30, 41, 1, 2]
    assert moved["age"].dtype == frame["age"].dtype
    dealt = put_rows(frame, 1, frame, np.array([3, 3, 1, 0]))
    assert dealt["ward"].tolist() == ["c", "c", "b", "a"]
    assert dealt["ward"].dtype == frame["ward"].dtype
    assert dealt.index.tolist() == frame.index.tolist()
    names = {"age": frame["age"].tolist(), "ward": frame["ward"].astype(str).tolist()}
    polars = pl.DataFrame(names)
    polars = put_rows(polars, 1, polars, np.array([3, 3, 1, 0]))
    assert polars["ward"].to_list() == ["c", "c", "b", "a"]
    assert put_numbers(polars, 0, np.ones(4)).schema == polars.schema
    assert [len(values) for values in columns_of(polars)] == [4, 4]


def test_texts_and_pipelines_are_attacked_as_they_are():
    random = np.random.default_rng(4)
    frame = pd.DataFrame(
        {
            "ward": random.choice(["north", "south", "west"], 240),
            "sex": random.choice(["f", "m"], 240),
            "age": random.integers(20, 90, 240),
        },
        index=random.permutation(240),
    )
    y = np.where(random.random(240) < 0.5, "ill", "well")
    encoder = make_column_transformer((OneHotEncoder(), ["ward", "sex"]), remainder="passthrough")
    model = make_pipeline(encoder, DecisionTreeClassifier(random_state=0))
    model.fit(frame[:120], y[:120])
    parts = ("label_only", "shadow_models", "attribute")
    attacks = ModelAttacks(only=parts, secrets=("ward",), shadows=4, queries=2, trees=10)
    found = evaluate_model(
        model, (frame[:120], y[:120]), (frame[120:], y[120:]), attacks=attacks, seed=1
    )
    assert found.figures["membership/shadow_models/auc"].p_value < 0.01
    assert "attribute/ward/queries" in found.figures
