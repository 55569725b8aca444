"""A number learned from a release and predicted for real test rows: R2 and errors.

Scores are functions of the weights of the test rows, as those of classes are, so that two models
are compared on the same people.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from sfumato.errors import PlanError, did_you_mean
from sfumato.evaluation.figures import Direction
from sfumato.evaluation.models import model_name
from sfumato.table import Schema, prepare

__all__ = ["NUMBER_MODELS", "NUMBER_SCORES", "NumberScore", "number_scores", "predict_numbers"]

Floats = npt.NDArray[np.float64]

_MODELS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "adaboost": ("sklearn.ensemble", "AdaBoostRegressor", {}),
    "bagging": ("sklearn.ensemble", "BaggingRegressor", {}),
    "decision-tree": ("sklearn.tree", "DecisionTreeRegressor", {}),
    "gradient-boosting": ("sklearn.ensemble", "HistGradientBoostingRegressor", {}),
    "k-nearest-neighbours": ("sklearn.neighbors", "KNeighborsRegressor", {}),
    # what a logistic regression is for classes
    "logistic-regression": ("sklearn.linear_model", "Ridge", {"alpha": 1.0}),
    "random-forest": ("sklearn.ensemble", "RandomForestRegressor", {"min_samples_leaf": 3}),
}
NUMBER_MODELS: tuple[str, ...] = tuple(_MODELS)
_CALLED = {"logistic-regression": "linear-regression"}

#: Name, direction and source of each score.
NUMBER_SCORES: dict[str, tuple[str, Direction, str]] = {
    "r2": ("R2, share of the variance predicted", "higher is better", "Draper & Smith, ch. 1"),
    "rmse": ("root mean squared error", "lower is better", "scikit-learn user guide, 3.4"),
    "mae": ("mean absolute error", "lower is better", "scikit-learn user guide, 3.4"),
}


@dataclass(frozen=True, eq=False)
class NumberScore:
    """A score with the influence of each test row.

    Parameters
    ----------
    value
        The score.
    influence
        Shape (n,), mean 0: the change of the score, times n, per unit of a row's weight.
    """

    value: float
    influence: Floats

    @property
    def standard_error(self) -> float:
        """Standard error over the drawing of the test rows."""
        return float(np.sqrt(np.square(self.influence).sum()) / len(self.influence))


def number_scores(actual: Floats, predicted: Floats) -> dict[str, NumberScore | str]:
    """Return R2, RMSE and MAE, or why there is none.

    Parameters
    ----------
    actual, predicted
        Finite numbers, shape (n,), n at least 1.
    """
    error = np.square(actual - predicted)
    apart = np.abs(actual - predicted)
    mean = float(error.mean())
    root = float(np.sqrt(mean))
    found: dict[str, NumberScore | str] = {
        "r2": "the target does not vary among the test rows",
        "rmse": NumberScore(
            root, (error - mean) / (2 * root) if root > 0 else np.zeros(len(error))
        ),
        "mae": NumberScore(float(apart.mean()), apart - apart.mean()),
    }
    spread = np.square(actual - actual.mean())
    variance = float(spread.mean())
    if variance > 1e-24 * max(1.0, float(np.square(actual).mean())):
        # of a ratio of means; that the mean itself moves is of second order
        influence = -(error - mean / variance * spread) / variance
        found["r2"] = NumberScore(1.0 - mean / variance, influence)
    return found


def predict_numbers(
    train: pl.DataFrame,
    test: pl.DataFrame,
    schema: Schema | None,
    *,
    target: str,
    model: object,
    seed: int,
) -> tuple[str, Floats]:
    """Learn a number from training rows and predict it for test rows.

    Parameters
    ----------
    train, test
        Rows in the same words; the target of the training rows is known and a number.
    schema
        Which columns are no features.
    target
        Name of the column.
    model
        One of :data:`NUMBER_MODELS`, or a scikit-learn regressor.
    seed
        Of the model.

    Returns
    -------
    tuple
        What the model is called, and its predictions, shape (test rows,).

    Raises
    ------
    PlanError
        If the model is none for numbers.
    DataError
        If nothing is left to learn from.
    """
    from sklearn.base import clone
    from sklearn.exceptions import ConvergenceWarning

    estimator = clone(_estimator(model))
    if estimator.get_params(deep=False).get("random_state", 0) is None:
        estimator.set_params(random_state=seed)
    prepared = prepare(train, schema, target=target)
    numbers = train[target].cast(pl.Float64).to_numpy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        estimator.fit(prepared.matrix(train), numbers)
    called = model_name(model)
    predicted = np.asarray(estimator.predict(prepared.matrix(test)), dtype=np.float64)
    return _CALLED.get(called, called), predicted


def _estimator(model: object) -> Any:
    if isinstance(model, str):
        if model not in _MODELS:
            hint = did_you_mean(model, NUMBER_MODELS)
            raise PlanError(
                f"{model!r} predicts no numbers.{hint} Known: {', '.join(NUMBER_MODELS)}"
            )
        module, name, settings = _MODELS[model]
        return getattr(import_module(module), name)(**settings)
    if isinstance(model, type) or not (hasattr(model, "fit") and hasattr(model, "predict")):
        raise PlanError("a model for numbers is a name or a scikit-learn regressor")
    return model
