"""What guides the tree: what a model answers to the people of a table, or what it would answer."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from sfumato.errors import DataError, PlanError, did_you_mean
from sfumato.table import Schema, prepare

__all__ = [
    "SAID",
    "Guide",
    "TableModel",
    "Task",
    "effects_of",
    "expected_of",
    "guide_of_answers",
    "is_regression",
    "model_of",
    "says_regression",
    "scores_of",
    "warn_of_labels",
]

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Task = Literal["auto", "classification", "regression"]

_CLASSIFIERS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "decision-tree": ("sklearn.tree", "DecisionTreeClassifier", {}),
    "random-forest": ("sklearn.ensemble", "RandomForestClassifier", {}),
    "gradient-boosting": ("sklearn.ensemble", "HistGradientBoostingClassifier", {}),
    "logistic-regression": ("sklearn.linear_model", "LogisticRegression", {"max_iter": 1000}),
    "mlp": ("sklearn.neural_network", "MLPClassifier", {"early_stopping": True}),
}
_REGRESSORS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "decision-tree": ("sklearn.tree", "DecisionTreeRegressor", {}),
    "random-forest": ("sklearn.ensemble", "RandomForestRegressor", {}),
    "gradient-boosting": ("sklearn.ensemble", "HistGradientBoostingRegressor", {}),
    "mlp": ("sklearn.neural_network", "MLPRegressor", {"early_stopping": True}),
}
_MOST_CLASSES = 20  # of numbers; more distinct ones are a quantity
_LENT = 12  # people whose other columns are put beside everybody's quasi-identifiers
_ODDS = 1e-4  # probabilities are held this far from 0 and 1 before their odds are taken


#: What guides, in words; of a model.
SAID = {
    "predictions": "the answers of {}",
    "expected": "how sure {} is expected to be by the quasi-identifiers alone",
    "scores": "how sure {} is of its answers",
    "effects": "what the quasi-identifiers do to the answers of {}",
    "labels": "the true values of the target",
}


@dataclass(frozen=True, eq=False)
class Guide:
    """What the tree is grown towards.

    Parameters
    ----------
    target
        Shape (n,) or (n, outputs): classes as whole numbers, or numbers.
    regression
        Whether they are numbers.
    said
        What it is, in words.
    expected
        Whether the tree is grown towards what is expected of these numbers by the columns that it
        asks for; see :func:`expected_of`.
    """

    target: Array
    regression: bool
    said: str
    expected: bool = False

    @property
    def numbers(self) -> Floats:
        """The target as numbers, shape (n, outputs): a column for each class."""
        columns = self.target.reshape(len(self.target), -1)
        if self.regression:
            return columns.astype(np.float64)
        made = [(one[:, None] == np.unique(one)[1:]) for one in columns.T]
        numbers: Floats = np.concatenate(made, axis=1).astype(np.float64)
        return numbers if numbers.shape[1] else np.zeros((len(columns), 1))


def is_regression(values: Array, task: Task) -> bool:
    """Return whether answers are quantities rather than classes.

    Parameters
    ----------
    values
        Shape (n,) or (n, outputs).
    task
        "auto": numbers with a fraction, or of more than 20 distinct values, are quantities.
    """
    if task != "auto":
        return task == "regression"
    if values.dtype.kind == "f":
        return bool((values % 1 != 0).any()) or len(np.unique(values)) > _MOST_CLASSES
    return values.dtype.kind in "iu" and len(np.unique(values)) > _MOST_CLASSES


def says_regression(model: Any) -> bool:
    """Return whether a model says of itself that it answers quantities."""
    if hasattr(model, "classes_") or not hasattr(model, "__sklearn_tags__"):
        return False
    return bool(model.__sklearn_tags__().estimator_type == "regressor")


def guide_of_answers(answers: Any, n: int, task: Task, said: str) -> Guide:
    """Return the guide of a model's answers, one for each row.

    Raises
    ------
    DataError
        If there are not as many answers as rows, or one is missing.
    """
    values = np.asarray(answers)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim not in (1, 2) or len(values) != n:
        raise DataError(
            f"predictions: {n:,} rows need as many predictions, one or several each (got an array "
            f"of shape {values.shape})"
        )
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise DataError("predictions: every row needs one; some are missing or infinite")
    if is_regression(values, task):
        return Guide(values.astype(np.float64), regression=True, said=said)
    columns = values.reshape(n, -1)
    texts = columns.astype(str) if columns.dtype.kind == "O" else columns
    coded = [np.unique(column, return_inverse=True)[1].reshape(-1) for column in texts.T]
    target = coded[0] if values.ndim == 1 else np.column_stack(coded)
    return Guide(target.astype(np.int64), regression=False, said=said)


def warn_of_labels() -> None:
    """Warn that true values guide, where a model's answers would do."""
    warnings.warn(
        "guide = 'labels': the groups are made by the true values of the target rather than by "
        "a model's answers, so the release tells more of each person's own value",
        UserWarning,
        stacklevel=2,
    )


def model_of(name: str, *, regression: bool, seed: int) -> Any:
    """Return an unfitted scikit-learn model by its name.

    Raises
    ------
    PlanError
        If there is none of that name for the task.
    """
    known = _REGRESSORS if regression else _CLASSIFIERS
    if name not in known:
        task = "regression" if regression else "classification"
        raise PlanError(
            f"there is no model called {name!r} for {task}.{did_you_mean(name, known)} Known: "
            + ", ".join(known)
        )
    module, kind, settings = known[name]
    model = getattr(import_module(module), kind)(**settings)
    return model.set_params(random_state=seed) if "random_state" in model.get_params() else model


@dataclass(frozen=True, eq=False)
class TableModel:
    """A model of one column, which answers rows of the whole table.

    Parameters
    ----------
    model
        A fitted scikit-learn model.
    read
        What makes its input of a table.
    regression
        Whether it answers quantities.
    names
        The columns that it takes.
    """

    model: Any
    read: Callable[[Any], Any]
    regression: bool
    names: tuple[str, ...] = ()

    @classmethod
    def of_name(
        cls,
        name: str,
        table: pl.DataFrame,
        schema: Schema,
        targets: Sequence[str],
        task: Task,
        seed: int,
    ) -> TableModel:
        """Train a model on the table's other columns; rows without a target are left out.

        Raises
        ------
        DataError
            If no row has a target, or all have the same.
        """
        known = table.filter(pl.all_horizontal(pl.col(list(targets)).is_not_null()))
        answers = np.column_stack([_target_values(known[target]) for target in targets])
        if not len(answers) or all(len(np.unique(one)) < 2 for one in answers.T):
            raise DataError(
                f"target {', '.join(map(repr, targets))}: a model needs rows of at least two "
                "different values to learn from"
            )
        regression = is_regression(answers, task)
        model = model_of(name, regression=regression, seed=seed)
        if len(targets) > 1 and name == "gradient-boosting":
            kind = "MultiOutputRegressor" if regression else "MultiOutputClassifier"
            model = getattr(import_module("sklearn.multioutput"), kind)(model)
        left_out = {*targets, *schema.identifiers, schema.person}
        others = [one for one in table.columns if one not in left_out]
        if not others:
            raise DataError("a model needs a column to learn from, besides identifiers and targets")
        prepared = prepare(known.select(others), _inputs(schema, others))
        single = answers[:, 0] if len(targets) == 1 else answers
        with _one_thread():
            model.fit(prepared.matrix(known.select(others)), single)
        return cls(
            model, lambda rows: prepared.matrix(rows.select(others)), regression, tuple(others)
        )

    @classmethod
    def of_fitted(cls, model: Any, table: pl.DataFrame, schema: Schema, task: Task) -> TableModel:
        """Return a fitted model; its columns are those it names, else all but ids and targets.

        Raises
        ------
        PlanError
            If it has no ``predict``.
        DataError
            If a column that it names is absent.
        """
        if not hasattr(model, "predict"):
            raise PlanError(
                f"estimator: a fitted model with predict is needed (got {type(model).__name__})"
            )
        named = getattr(model, "feature_names_in_", None)
        left_out = {*schema.identifiers, schema.target, schema.person}
        names = [name for name in table.columns if name not in left_out]
        if named is not None:
            names = [str(name) for name in named]
            absent = [name for name in names if name not in table.columns]
            if absent:
                raise DataError(f"the model was trained with a column {absent[0]!r}, not there now")

        def read(rows: pl.DataFrame) -> Any:
            chosen = rows.select(names)
            return chosen if named is not None else chosen.to_numpy()

        regression = task == "regression" or (task == "auto" and says_regression(model))
        if task == "auto" and not regression and not hasattr(model, "classes_"):
            regression = is_regression(np.asarray(model.predict(read(table.head(500)))), task)
        return cls(model, read, regression, tuple(names))

    def answers(self, rows: pl.DataFrame) -> Array:
        """Return what it predicts."""
        with _one_thread():
            return np.asarray(self.model.predict(self.read(rows)))

    def scores(self, rows: pl.DataFrame) -> Floats:
        """Return how sure it is; see :func:`scores_of`."""
        with _one_thread():
            return scores_of(self.model, self.read(rows), regression=self.regression)

    def effects(self, rows: pl.DataFrame, names: Sequence[str], seed: int) -> Floats:
        """Return what the quasi-identifiers alone do to the scores; see :func:`effects_of`."""

        def mixed(own: Integers, lender: int) -> Floats:
            other = rows[lender].drop(names)
            return self.scores(rows[own].select(names).join(other, how="cross"))

        return effects_of(mixed, rows, names, seed)


def scores_of(model: Any, rows: Any, *, regression: bool) -> Floats:
    """Return how sure a model is of rows, shape (n, outputs).

    The log odds of each class but the last, which says nothing that the others do not; its answers
    where it answers quantities, or tells no probabilities.
    """
    if regression or not hasattr(model, "predict_proba"):
        answers = np.asarray(model.predict(rows))
        if regression:
            return answers.reshape(len(answers), -1).astype(np.float64)
        return guide_of_answers(answers, len(answers), "classification", "").numbers
    found = model.predict_proba(rows)
    parts = found if isinstance(found, list) else [found]
    probabilities = np.concatenate([np.asarray(one)[:, :-1] for one in parts], axis=1)
    if not probabilities.shape[1]:  # there is one class alone
        return np.zeros((len(probabilities), 1))
    bounded = np.clip(probabilities, _ODDS, 1 - _ODDS)
    odds: Floats = np.log(bounded / (1 - bounded))
    return odds


def expected_of(scores: Floats, features: npt.NDArray[np.float32], least: int, seed: int) -> Floats:
    """Return what is expected of scores by some features alone, shape (n, outputs).

    Scores follow from all columns; most of how they differ has nothing to do with those that the
    tree may ask for, and a small leaf takes it for a difference. So a regression (by gradient
    boosting) says first what these columns tell of it.

    Parameters
    ----------
    scores
        Shape (n, outputs).
    features
        What the tree is grown on, shape (n, f).
    least
        People of a leaf of the tree; no smaller group is asked what is expected of it, unless it
        has 20.
    seed
        Of the regression.
    """
    from sklearn.ensemble import HistGradientBoostingRegressor

    if not features.shape[1]:
        return scores
    smooth = HistGradientBoostingRegressor(min_samples_leaf=min(least, 20), random_state=seed)
    with _one_thread():
        found = np.column_stack([smooth.fit(features, one).predict(features) for one in scores.T])
    # of too few people nothing can be expected: then their scores have to do
    expected: Floats = np.where(np.ptp(found, axis=0) > 0, found, scores)
    return expected


def effects_of(
    mixed: Callable[[Integers, int], Floats], table: pl.DataFrame, names: Sequence[str], seed: int
) -> Floats:
    """Return the scores of each row's quasi-identifiers with the other columns of some people.

    What the quasi-identifiers do to the answer, whatever the others say: a partial dependence for
    each of those people (J. Friedman, Annals of Statistics 29(5), 2001, section 8.2).

    Parameters
    ----------
    mixed
        Gives the scores of some rows (m) if the other columns are those of one row, shape
        (m, outputs).
    table
        The rows (n).
    names
        The quasi-identifiers.
    seed
        Of the people who lend their other columns.
    """
    texts = [pl.col(name).cast(pl.String) for name in names]
    tuples = table.select(pl.struct(texts).rank("dense")).to_series().to_numpy()
    _, own, places = np.unique(tuples, return_index=True, return_inverse=True)
    chance = np.random.default_rng(seed)
    lenders = chance.choice(table.height, min(_LENT, table.height), replace=False)
    found = [mixed(own, lender) for lender in lenders.tolist()]
    effects: Floats = np.concatenate(found, axis=1)[places.reshape(-1)]
    return effects


def _inputs(schema: Schema, names: Sequence[str]) -> Schema:
    """Return the schema of a model's inputs alone."""
    return Schema.of(schema.select(names).columns, missing=schema.missing)


def _target_values(values: pl.Series) -> Array:
    if values.dtype.is_numeric():
        return values.to_numpy()
    return values.cast(pl.String).to_numpy().astype(str)


def _one_thread() -> Any:
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    import_module("sklearn.ensemble")
    return threadpool_limits(limits=1)
