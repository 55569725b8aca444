"""Learned from real or from released rows, tested on all real people who were set aside."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass

import numpy as np
import polars as pl
from sklearn.base import ClassifierMixin
from sklearn.ensemble import (
    AdaBoostClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from sfumato.evaluation.estimates import wilson

__all__ = ["CLASSIFIERS", "MOST_FOR_SVC", "Score", "difference", "tested"]

#: Of more rows, SVC learns from so many drawn at random: its cost grows with their square.
MOST_FOR_SVC = 10_000

#: Short names as the study prints them, and the full ones.
CLASSIFIERS = {
    "RF": "Random forest",
    "GB": "Gradient boosting",
    "HGB": "Histogram gradient boosting",
    "LR": "Logistic regression",
    "SVC": "Support vector machine",
    "MLP": "Multilayer perceptron",
    "KNN": "Nearest neighbours",
    "AdaBoost": "AdaBoost",
    "DT": "Decision tree",
}


@dataclass(frozen=True, eq=False)
class Score:
    """What one classifier is worth on the control people.

    ``right`` tells for each control person whether the prediction was right; ``auc`` is the area
    under the ROC, micro-averaged for more than two classes.
    """

    right: np.ndarray
    auc: float

    @property
    def accuracy(self) -> float:
        """Share of the control people who were predicted right."""
        return float(self.right.mean())

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval of the accuracy."""
        return wilson(float(self.right.sum()), len(self.right))


def difference(released: Score, real: Score) -> tuple[float, float, float]:
    """Return the accuracy lost by learning from the release, with its paired 95 % interval."""
    each = released.right.astype(float) - real.right.astype(float)
    reach = 1.959963984540054 * math.sqrt(each.var() / len(each))
    return float(each.mean()), float(each.mean() - reach), float(each.mean() + reach)


def tested(rows: pl.DataFrame, controls: pl.DataFrame, target: str, seed: int) -> dict[str, Score]:
    """Train every classifier on the rows and test it on the controls.

    Scaling is learned from the training rows alone. Every classifier has scikit-learn's default
    settings and a fixed seed, the same for all training rows.
    """
    names = [name for name in rows.columns if name != target]
    X, y = rows.select(names).to_numpy().astype(float), rows[target].to_numpy()
    held, actual = controls.select(names).to_numpy().astype(float), controls[target].to_numpy()
    classes = np.unique(np.concatenate([y, actual]))
    found = {}
    for name in CLASSIFIERS:
        chosen = slice(None)
        if name == "SVC" and len(y) > MOST_FOR_SVC:
            random = np.random.default_rng(seed)
            chosen = random.choice(len(y), MOST_FOR_SVC, replace=False)
        model = _classifier(name, seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # defaults, as the study has them
            model.fit(X[chosen], y[chosen])
        right = model.predict(held) == actual
        found[name] = Score(right, _area(_ranking(model, held, classes), actual, classes))
    return found


def _classifier(name: str, seed: int) -> ClassifierMixin:
    match name:
        case "RF":
            return RandomForestClassifier(random_state=seed)
        case "GB":
            return GradientBoostingClassifier(random_state=seed)
        case "HGB":
            return HistGradientBoostingClassifier(random_state=seed)
        case "LR":
            return make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
        case "SVC":
            return make_pipeline(StandardScaler(), SVC())
        case "MLP":
            return make_pipeline(StandardScaler(), MLPClassifier(random_state=seed))
        case "KNN":
            return make_pipeline(StandardScaler(), KNeighborsClassifier())
        case "AdaBoost":
            return AdaBoostClassifier(random_state=seed)
        case _:
            return DecisionTreeClassifier(random_state=seed)


def _ranking(model: ClassifierMixin, rows: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Return each row's score of each class; a class that was not learned has the lowest."""
    if hasattr(model, "predict_proba"):
        scores = model.predict_proba(rows)
    else:
        scores = model.decision_function(rows)
        if scores.ndim == 1:
            scores = np.column_stack([-scores, scores])
    full = np.full((len(rows), len(classes)), scores.min() - 1.0)
    full[:, np.searchsorted(classes, model.classes_)] = scores
    return full


def _area(ranking: np.ndarray, actual: np.ndarray, classes: np.ndarray) -> float:
    if len(classes) == 2:
        return float(roc_auc_score(actual == classes[1], ranking[:, 1]))
    hits = actual[:, None] == classes[None, :]
    return float(roc_auc_score(hits.ravel(), ranking.ravel()))
