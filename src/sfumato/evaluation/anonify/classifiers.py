"""The eight classifiers, and what their answers are worth in two conventions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt

from sfumato.evaluation.anonify.settings import CLASSIFIER_NAMES
from sfumato.evaluation.metrics import Prediction, estimates

__all__ = [
    "CLASSIFIERS",
    "DRAWING",
    "HONEST_SCORES",
    "PUBLISHED_SCORES",
    "ClassifierScores",
    "Spread",
    "classifier",
    "honest_scores",
    "published_scores",
]

Integers = npt.NDArray[np.int64]

#: Name, short name in the paper, and the class of scikit-learn, with its defaults.
CLASSIFIERS: dict[str, tuple[str, str, str]] = dict(
    zip(
        CLASSIFIER_NAMES,
        (
            ("NB", "sklearn.naive_bayes", "GaussianNB"),
            ("DT", "sklearn.tree", "DecisionTreeClassifier"),
            ("KNN", "sklearn.neighbors", "KNeighborsClassifier"),
            ("SVM", "sklearn.svm", "SVC"),
            ("RF", "sklearn.ensemble", "RandomForestClassifier"),
            ("LR", "sklearn.linear_model", "LogisticRegression"),
            ("AB", "sklearn.ensemble", "AdaBoostClassifier"),
            ("BG", "sklearn.ensemble", "BaggingClassifier"),
        ),
        strict=True,
    )
)
#: Those that draw random numbers, so that another seed gives another model.
DRAWING = frozenset({"decision-tree", "random-forest", "adaboost", "bagging"})
PUBLISHED_SCORES = ("accuracy", "precision", "recall", "f1")
HONEST_SCORES = ("accuracy", "majority_accuracy", "f1", "auc")


@dataclass(frozen=True)
class Spread:
    """A score over the runs, a share from 0 to 1.

    Parameters
    ----------
    median, mean, lowest, highest
        Over the runs: what the draws of samples and models do.
    interval
        95 % interval over the drawing of the test rows, of the run in the middle; None where it
        was not asked for.
    """

    median: float
    mean: float
    lowest: float
    highest: float
    interval: tuple[float, float] | None = None

    @classmethod
    def of(
        cls, values: Sequence[float], intervals: Sequence[tuple[float, float] | None] = ()
    ) -> Spread:
        """Summarize the values of some runs, at least one."""
        numbers = np.asarray(values, dtype=np.float64)
        middle = int(np.argsort(numbers, kind="stable")[(len(numbers) - 1) // 2])
        return cls(
            float(np.median(numbers)),
            float(numbers.mean()),
            float(numbers.min()),
            float(numbers.max()),
            intervals[middle] if intervals else None,
        )


@dataclass(frozen=True)
class ClassifierScores:
    """What one classifier learned from one version in one convention.

    Parameters
    ----------
    classifier, version
        Names.
    convention
        "published" or "honest".
    scores
        By the score's name; empty where nothing was trained.
    runs, rows_train, rows_test
        How often it was trained, and on how many rows (in the last run).
    notes
        What happened, a sentence each.
    because
        Why nothing was trained; empty if it was.
    """

    classifier: str
    version: str
    convention: str
    scores: Mapping[str, Spread]
    runs: int
    rows_train: int
    rows_test: int
    notes: tuple[str, ...] = ()
    because: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the scores as plain JSON values."""
        values = asdict(self)
        values["scores"] = {name: asdict(spread) for name, spread in self.scores.items()}
        return values


def classifier(name: str) -> Any:
    """Return the unfitted estimator of a name, with scikit-learn's defaults."""
    _, module, kind = CLASSIFIERS[name]
    return getattr(import_module(module), kind)()


def published_scores(actual: Integers, chosen: Integers) -> dict[str, float]:
    """Return accuracy and the weighted averages of precision, recall and F1.

    Each class counts by its share of the test rows, so that a rare class hardly counts; the
    weighted recall is the accuracy. The published tables have precision and recall in each other's
    columns; here each stands under its own name.

    Parameters
    ----------
    actual, chosen
        Codes of the true and the predicted classes, shape (n,).
    """
    from sklearn.metrics import accuracy_score, precision_recall_fscore_support

    precision, recall, f1, _ = precision_recall_fscore_support(
        actual, chosen, average="weighted", zero_division=0
    )
    accuracy = accuracy_score(actual, chosen)
    found = zip(PUBLISHED_SCORES, (accuracy, precision, recall, f1), strict=True)
    return {name: float(value) for name, value in found}


def honest_scores(
    prediction: Prediction,
) -> dict[str, tuple[float, tuple[float, float] | None]]:
    """Return the honest scores that could be computed, each with its interval over test rows."""
    found = {}
    for name, estimate in estimates(prediction).items():
        if name in HONEST_SCORES and not isinstance(estimate, str):
            found[name] = (estimate.value, estimate.interval())
    return {name: found[name] for name in HONEST_SCORES if name in found}
