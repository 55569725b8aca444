"""The evaluation of a trained model as a whole: what it says, and what it keeps to itself."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from sfumato.errors import DataError, PlanError
from sfumato.evaluation.trained_models import ModelAttacks, evaluate_model

FAST = ModelAttacks(shadows=4, queries=2, trees=10, resamples=99)


def table(rows, seed):
    random = np.random.default_rng(seed)
    X = random.normal(size=(rows, 3))
    return X, (X[:, 0] + random.normal(size=rows) > 0).astype(int)


@pytest.fixture(scope="module")
def judged():
    X, y = table(240, 0)
    model = DecisionTreeClassifier(random_state=0).fit(X[:120], y[:120])
    return evaluate_model(model, (X[:120], y[:120]), (X[120:], y[120:]), attacks=FAST, seed=5)


def test_scores_of_single_people_stay_inside(judged, tmp_path):
    assert judged.scores.columns == ["row", "likelihood_ratio", "privacy_risk", "shapley"]
    assert judged.scores.height == judged.members == 120
    saved = json.loads(judged.save(tmp_path / "model.json").read_text("utf-8"))
    assert "scores" not in saved
    assert not [value for value in saved.values() if isinstance(value, list) and value]
    assert "scores=" not in repr(judged)
    others = judged.to_dict(for_others=True)
    assert "members" not in others
    told = others["figures"]["membership/correct"]["control"]
    assert round(told * 20) == pytest.approx(told * 20)


def test_every_figure_can_be_read(judged):
    for key, figure in judged.figures.items():
        assert figure.source, key
        assert figure.direction, key
        assert figure.meaning, key
        if not figure.computed:
            assert figure.because, key
            continue
        assert figure.baseline is not None, key
        assert figure.interval is not None, key
        assert figure.interval[0] - 1e-9 <= figure.value <= figure.interval[1] + 1e-9, key
        assert figure.not_shown, key
        if figure.p_value is not None:
            assert figure.adjusted >= figure.p_value, key
    assert "evidence of a leak" in judged.describe()[0]


def test_the_same_seed_gives_the_same_figures_from_any_kind_of_table(judged):
    X, y = table(240, 0)
    frame = pl.DataFrame(X, schema=["a", "b", "c"])
    model = DecisionTreeClassifier(random_state=0).fit(frame[:120], y[:120])
    again = evaluate_model(
        model, (frame[:120], y[:120]), (frame[120:], y[120:]), attacks=FAST, seed=5
    )
    for key, figure in judged.figures.items():
        assert again.figures[key].value == figure.value, key
    assert again.scores.equals(judged.scores)


def test_a_regression_is_judged_where_that_makes_sense():
    random = np.random.default_rng(1)
    X = random.normal(size=(160, 3))
    y = X[:, 0] + random.normal(size=160)
    model = DecisionTreeRegressor(random_state=0).fit(X[:80], y[:80])
    found = evaluate_model(model, (X[:80], y[:80]), (X[80:], y[80:]), attacks=FAST)
    assert found.task == "regression"
    assert found.figures["membership/loss/auc"].value > 0.95
    assert found.figures["membership/shadow_models/auc"].p_value < 0.001
    for key in ("membership/label_only/auc", "shapley/positive"):
        assert not found.figures[key].computed
        assert "numbers" in found.figures[key].because


class Answering:
    """A model that scikit-learn cannot clone, with labels only."""

    def __init__(self, tree):
        self.tree, self.classes_ = tree, tree.classes_

    def predict(self, X):
        return self.tree.predict(X)


def test_labels_alone_are_enough_and_what_cannot_be_trained_again_says_so():
    X, y = table(240, 2)
    model = Answering(DecisionTreeClassifier(random_state=0).fit(X[:120], y[:120]))
    rows = ((X[:120], y[:120]), (X[120:], y[120:]))
    found = evaluate_model(model, *rows, attacks=FAST)
    assert found.figures["membership/loss/auc"].value > 0.6
    assert "learner" in found.figures["membership/shadow_models/auc"].because
    assert "learner" in found.figures["privacy_risk/at_risk"].because
    given = evaluate_model(model, *rows, attacks=FAST, learner=DecisionTreeClassifier())
    assert given.figures["membership/shadow_models/auc"].computed


def test_what_cannot_be_judged_is_refused():
    X, y = table(20, 3)
    model = DecisionTreeClassifier().fit(X, y)
    with pytest.raises(DataError, match="20 rows and y 19"):
        evaluate_model(model, (X, y[:-1]), (X, y))
    with pytest.raises(DataError, match="at least one member"):
        evaluate_model(model, (X, y), (X[:0], y[:0]))
    with pytest.raises(DataError, match="same columns"):
        evaluate_model(model, (X, y), (X[:, :2], y))
    with pytest.raises(DataError, match="one kind"):
        evaluate_model(model, (X, y), (pl.DataFrame(X), y))
    with pytest.raises(DataError, match="several answers"):
        evaluate_model(model, (X, np.zeros((20, 2))), (X, y))
    with pytest.raises(PlanError, match="fitted estimator"):
        evaluate_model(DecisionTreeClassifier, (X, y), (X, y))
    with pytest.raises(PlanError, match="columns 0 to 2"):
        evaluate_model(model, (X, y), (X, y), attacks=ModelAttacks(secrets=(7,)))
    with pytest.raises(PlanError, match="multiple of 2"):
        ModelAttacks(shadows=5)
