"""Classifiers by name or as an object: the network, or any scikit-learn estimator in its place."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from sfumato.errors import PlanError, did_you_mean
from sfumato.evaluation.network import Epoch, MultilayerPerceptron, TrainedNetwork
from sfumato.evaluation.utility.threads import one_thread

if TYPE_CHECKING:
    from sfumato.progress import Progress

__all__ = ["MODEL_NAMES", "Answer", "Fitted", "fit", "model_name", "model_of"]

Rows = tuple[np.ndarray, np.ndarray]

# Each with scikit-learn's own defaults, but for the two whose defaults do not fit any table.
_SCIKIT_LEARN: dict[str, tuple[str, str, dict[str, Any]]] = {
    "adaboost": ("sklearn.ensemble", "AdaBoostClassifier", {}),
    "bagging": ("sklearn.ensemble", "BaggingClassifier", {}),
    "decision-tree": ("sklearn.tree", "DecisionTreeClassifier", {}),
    "gradient-boosting": ("sklearn.ensemble", "HistGradientBoostingClassifier", {}),
    "k-nearest-neighbours": ("sklearn.neighbors", "KNeighborsClassifier", {}),
    "logistic-regression": ("sklearn.linear_model", "LogisticRegression", {"max_iter": 1000}),
    "naive-bayes": ("sklearn.naive_bayes", "GaussianNB", {}),
    "random-forest": ("sklearn.ensemble", "RandomForestClassifier", {"n_jobs": -1}),
    "svm": ("sklearn.svm", "SVC", {}),
}
MODEL_NAMES: tuple[str, ...] = ("mlp", *_SCIKIT_LEARN)
MOST_ROWS_FOR_SVM = 100_000


@dataclass(frozen=True, eq=False)
class Answer:
    """What a model says about rows.

    Parameters
    ----------
    ranking
        Array of shape (n, classes): score of each class, higher is likelier.
    are_probabilities
        Whether they are probabilities.
    chosen
        Array of shape (n,), code of the predicted class.
    threshold
        With two classes, what the positive class's score must pass: 0.5, or 0 for a score that is
        no probability; else None (the highest score wins).
    """

    ranking: np.ndarray
    are_probabilities: bool
    chosen: np.ndarray
    threshold: float | None


@dataclass(frozen=True, eq=False)
class Fitted:
    """A model that has learned.

    Parameters
    ----------
    model
        The trained network or the fitted estimator.
    history, best_epoch
        Of the network; empty and None for others.
    notes
        What happened while it learned, a sentence each.
    """

    model: Any
    history: tuple[Epoch, ...] = ()
    best_epoch: int | None = None
    notes: tuple[str, ...] = ()

    def answer(self, X: np.ndarray, n_classes: int, positive: int | None) -> Answer:
        """Return what the model says about rows; ``positive`` is the class looked for, if one."""
        probable = hasattr(self.model, "predict_proba")
        if probable:
            known = np.asarray(self.model.predict_proba(X), dtype=np.float64)
        else:
            known = np.asarray(self.model.decision_function(X), dtype=np.float64)
            if known.ndim == 1:
                known = np.stack([-known, known], axis=1)
        # A class that the training part lacked is never predicted.
        ranking = np.full((len(X), n_classes), 0.0 if probable else -np.inf)
        ranking[:, np.asarray(self.model.classes_, dtype=np.int64)] = known
        if positive is None or n_classes != 2:
            return Answer(ranking, probable, np.argmax(ranking, axis=1), None)
        threshold = 0.5 if probable else 0.0
        chosen = np.where(ranking[:, positive] > threshold, positive, 1 - positive)
        return Answer(ranking, probable, chosen, threshold)


def model_of(model: object) -> MultilayerPerceptron | Any:
    """Return the settings or the unfitted estimator that a plan or a caller means.

    Raises
    ------
    PlanError
        If the name is unknown, or the object is no classifier.
    """
    if isinstance(model, MultilayerPerceptron):
        return model
    if isinstance(model, str):
        if model == "mlp":
            return MultilayerPerceptron()
        if model not in _SCIKIT_LEARN:
            known = ", ".join(MODEL_NAMES)
            hint = did_you_mean(model, MODEL_NAMES)
            raise PlanError(f"there is no model called {model!r}.{hint} Known: {known}")
        module, name, settings = _SCIKIT_LEARN[model]
        return getattr(import_module(module), name)(**settings)
    answers = hasattr(model, "predict_proba") or hasattr(model, "decision_function")
    if isinstance(model, type) or not (hasattr(model, "fit") and answers):
        given = f"the class {model.__name__}" if isinstance(model, type) else type(model).__name__
        raise PlanError(
            "a model is a name, MultilayerPerceptron(...) or a scikit-learn classifier (an object "
            f"with fit and predict_proba or decision_function), and not {given}"
        )
    return model


def model_name(model: object) -> str:
    """Return what a model is called in a report."""
    if isinstance(model, str):
        return model
    return "mlp" if isinstance(model, MultilayerPerceptron) else type(model).__name__


def fit(
    model: object, rows: Rows, validation: Rows, *, seed: int, task: str, progress: Progress
) -> Fitted:
    """Let a model learn from rows; the one given is left as it is.

    Parameters
    ----------
    model
        A name, settings of a network, or a scikit-learn classifier.
    rows, validation
        (X, codes); only a network looks at the validation rows, to tell when to stop.
    seed
        Given to the network, and to an estimator whose ``random_state`` is not set.
    task, progress
        What is told, and to whom.
    """
    chosen = model_of(model)
    if isinstance(chosen, MultilayerPerceptron):
        network: TrainedNetwork = chosen.fit(
            *rows, validation=validation, seed=seed, task=task, progress=progress
        )
        return Fitted(network, network.history, network.best_epoch)
    if model == "svm" and len(rows[0]) > MOST_ROWS_FOR_SVM:
        raise PlanError(
            f"svm takes time that grows with the square of the rows: {len(rows[0])} are more than "
            f"{MOST_ROWS_FOR_SVM}. Choose another model, or give your own estimator"
        )
    from sklearn.base import clone
    from sklearn.exceptions import ConvergenceWarning

    estimator = clone(chosen)
    if estimator.get_params(deep=False).get("random_state", 0) is None:
        estimator.set_params(random_state=seed)
    progress(task, 0, 1)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with one_thread():
            estimator.fit(*rows)
    notes = []
    for warning in caught:
        if issubclass(warning.category, ConvergenceWarning):
            notes.append(f"{model_name(model)} stopped before it converged")
        else:
            warnings.warn_explicit(
                warning.message, warning.category, warning.filename, warning.lineno
            )
    progress(task, 1, 1)
    return Fitted(estimator, notes=tuple(dict.fromkeys(notes)))
