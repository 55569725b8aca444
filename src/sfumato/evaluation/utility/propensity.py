"""Whether a model can tell released rows from real people.

The propensity score's mean squared error (pMSE) is 0 if nothing can be told. Even for a perfect
release a model finds some difference by chance; the ratio to what it finds then (1 is perfect) can
be compared between models and tables. For a logistic regression the expectation is known; for trees
it is measured by exchanging the rows' origins.

The released rows are told from control people, as the real rows are for comparison: a released row
that nearly repeats a real one has a twin with the other mark, which hides differences from a model
that sees both and misleads one that sees either. Only without control people are released rows told
from the real ones themselves.

References
----------
Snoke, Raab, Nowok, Dibben & Slavkovic, "General and specific utility measures for synthetic data",
Journal of the Royal Statistical Society A 181 (2018), sections 2.2 and 2.3; Bowen & Snoke,
"Comparative study of differentially private synthetic data algorithms", JPC 11 (2021) (trees).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sfumato.evaluation.estimates import NORMAL_95, area_under_roc
from sfumato.evaluation.figures import Figure
from sfumato.evaluation.utility.features import indicator_features, tree_features
from sfumato.evaluation.utility.footing import RELEASED, UtilityTables
from sfumato.evaluation.utility.generalized_linear import fit_logistic, independent_columns
from sfumato.evaluation.utility.records import Record, absent, random_stream
from sfumato.evaluation.utility.settings import PropensityModel
from sfumato.evaluation.utility.threads import one_thread

__all__ = ["Propensity", "PropensityScore", "propensity_scores"]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

_SOURCE = "Snoke et al., JRSS A 181 (2018), section 2.2"
_FOLDS = 2
_FEWEST = 10
_EXCHANGES = 5  # for a model whose expectation is not known
_MODELS: dict[PropensityModel, str] = {
    "logistic-regression": "logistic regression",
    "decision-tree": "decision tree",
    "gradient-boosting": "gradient boosting",
}


@dataclass(frozen=True)
class PropensityScore(Record):
    """What one model tells real rows from others by.

    Parameters
    ----------
    model
        Its name.
    error, ratio
        pMSE (0 to 0.25 for tables of equal size), and its ratio to the expectation for a perfect
        release.
    auc
        Area under the ROC curve on rows that the model did not see.
    """

    model: str
    error: Figure
    ratio: Figure
    auc: Figure


@dataclass(frozen=True)
class Propensity(Record):
    """Whether released rows can be told from real ones.

    Parameters
    ----------
    figures
        ``propensity/<model>/pmse``, ``.../ratio`` and ``.../auc``.
    scores
        The same, model by model.
    rows
        Real, released and control rows that were looked at.
    """

    figures: dict[str, Figure]
    scores: tuple[PropensityScore, ...]
    rows: tuple[int, ...]


@dataclass(frozen=True)
class _Told:
    error: float
    ratio: float | None
    auc: float
    auc_error: float
    because: str = ""


def propensity_scores(
    tables: UtilityTables,
    models: tuple[PropensityModel, ...] = ("logistic-regression", "gradient-boosting"),
    *,
    most: int = 5_000,
    seed: int = 0,
) -> Propensity:
    """Let models tell released rows, and control rows, from the real ones.

    Parameters
    ----------
    tables
        On one footing.
    models
        "logistic-regression" (main effects), "decision-tree", "gradient-boosting".
    most
        Most rows of each table, drawn at random.
    seed
        Of drawing rows, folds and models.
    """
    rows = [
        np.sort(random_stream(seed, "propensity", str(at)).permutation(n)[:most])
        for at, n in enumerate(tables.rows)
    ]
    some = tables.take(rows)
    scores = tuple(_score(model, some, seed) for model in models)
    figures: dict[str, Figure] = {}
    for one in scores:
        key = f"propensity/{one.model}"
        figures |= {
            f"{key}/pmse": one.error,
            f"{key}/ratio": one.ratio,
            f"{key}/auc": one.auc,
        }
    return Propensity(figures, scores, some.rows)


def _score(model: PropensityModel, tables: UtilityTables, seed: int) -> PropensityScore:
    called = _MODELS[model]
    names = (
        f"propensity score's mean squared error ({called})",
        f"propensity score's mean squared error over that of a perfect release ({called})",
        f"area under the ROC curve, released rows against real people ({called})",
    )
    fewest = min(tables.rows[: RELEASED + 1])
    if fewest < _FEWEST:
        because = f"there are fewer than {_FEWEST} real or released rows"
        return PropensityScore(
            model,
            absent(names[0], because, _SOURCE, unit="squared error", direction="lower is better"),
            absent(names[1], because, _SOURCE, unit="times", direction="lower is better"),
            absent(
                names[2],
                because,
                _SOURCE,
                unit="share",
                direction="closer to the baseline is better",
            ),
        )
    make = indicator_features if model == "logistic-regression" else tree_features
    real, released, *control = make(tables.columns).tables
    with_control = bool(control) and len(control[0]) >= _FEWEST
    reference = control[0] if with_control else real
    with one_thread():  # many small fits: threads would wait for one another
        told = _tell(model, reference, released, seed)
        usual = _tell(model, reference, real, seed) if with_control else None
    return PropensityScore(model, *_figures(names, told, usual))


def _figures(
    names: tuple[str, ...], told: _Told, usual: _Told | None
) -> tuple[Figure, Figure, Figure]:
    others = "real people" if usual is None else "control people"
    twins = (
        "Without control people the rows are told from the real ones themselves: a release that "
        "nearly repeats them looks better than it is, and its area may fall below 0.5."
        if usual is None
        else "The control is what the real rows reach against the same people."
    )
    error = Figure(
        name=names[0],
        value=told.error,
        unit="squared error",
        direction="lower is better",
        meaning="How far, squared and on average, the model's guess whether a row is released or "
        f"one of {others} is from what it would guess of any row; 0 if it can tell nothing.",
        source=_SOURCE,
        interval_method="none: compare with the control",
        control=None if usual is None else usual.error,
        not_shown=twins,
    )
    ratio = absent(names[1], told.because, _SOURCE, unit="times", direction="lower is better")
    if told.ratio is not None:
        ratio = Figure(
            name=names[1],
            value=told.ratio,
            unit="times",
            direction="lower is better",
            meaning=f"1 for a release that differs from {others} by chance alone; it grows with "
            "the rows looked at.",
            source=_SOURCE,
            interval_method="none: compare with the control",
            baseline=1.0,
            control=None if usual is None else usual.ratio,
            not_shown=twins,
        )
    reach = NORMAL_95 * told.auc_error
    area = Figure(
        name=names[2],
        value=told.auc,
        unit="share",
        direction="closer to the baseline is better",
        meaning=f"How often a released row is held more likely released than one of {others}; 0.5 "
        "if nothing can be told.",
        source="Hanley & McNeil 1982; Lopez-Paz & Oquab, ICLR 2017 (classifier two-sample test)",
        interval=(max(0.0, told.auc - reach), min(1.0, told.auc + reach)),
        interval_method=f"95 %, DeLong, mean of {_FOLDS} cross-fitted folds that may err together",
        baseline=0.5,
        control=None if usual is None else usual.auc,
        not_shown=twins,
    )
    return error, ratio, area


def _tell(model: PropensityModel, first: Floats, second: Floats, seed: int) -> _Told:
    """Let a model tell the rows of the second table from those of the first."""
    X = np.concatenate([first, second])
    y = np.concatenate([np.zeros(len(first)), np.ones(len(second))])
    share = float(y.mean())
    area = _cross_fitted(model, X, y, seed)
    if model == "logistic-regression":
        constant = np.column_stack([np.ones(len(X)), X])
        kept = constant[:, independent_columns(constant)]
        error = float(np.square(fit_logistic(kept, y).fitted - share).mean())
        free = kept.shape[1] - 1
        if free == 0:
            return _Told(error, None, *area, "no column varies")
        # Of two independent samples. Given the real rows and a release drawn from a model of them,
        # as in the paper's theorem 1, it is smaller by 1 - share.
        expected = free * (1 - share) * share / len(y)
        return _Told(error, error / expected, *area)
    random = random_stream(seed, "propensity", "exchanges")
    error = _error(model, X, y, seed)
    expected = float(
        np.mean([_error(model, X, random.permutation(y), seed) for _ in range(_EXCHANGES)])
    )
    if expected <= 0:
        return _Told(error, None, *area, "the model tells nothing from anything by chance")
    return _Told(error, error / expected, *area)


def _error(model: PropensityModel, X: Floats, y: Floats, seed: int) -> float:
    guess = _estimator(model, seed).fit(X, y).predict_proba(X)[:, 1]
    return float(np.square(guess - y.mean()).mean())


def _cross_fitted(model: PropensityModel, X: Floats, y: Floats, seed: int) -> tuple[float, float]:
    """Return the mean AUC over folds that the model did not see, and its standard error."""
    fold = _folds(X, random_stream(seed, "propensity", "folds"))
    areas = []
    for number in range(_FOLDS):
        test = fold == number
        if not test.any() or len(np.unique(y[~test])) < 2:
            continue
        area = area_under_roc(y[test] == 1, _ranking(model, X[~test], y[~test], X[test], seed))
        if area is not None:
            areas.append(area)
    if not areas:  # rows that are all alike
        return 0.5, 0.0
    errors = [area.standard_error for area in areas]
    return (
        float(np.mean([area.value for area in areas])),
        # Each fold is tested by a model that learned from the other, so that their areas err
        # together: as if they were one and the same, the error of the mean is the mean error.
        float(np.mean(errors)),
    )


def _ranking(model: PropensityModel, X: Floats, y: Floats, test: Floats, seed: int) -> Floats:
    if model == "logistic-regression":
        constant = np.column_stack([np.ones(len(X)), X])
        kept = independent_columns(constant)
        fit = fit_logistic(constant[:, kept], y)
        return np.asarray(np.column_stack([np.ones(len(test)), test])[:, kept] @ fit.coefficients)
    return np.asarray(_estimator(model, seed).fit(X, y).predict_proba(test)[:, 1])


def _estimator(model: PropensityModel, seed: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.tree import DecisionTreeClassifier

    if model == "decision-tree":
        return DecisionTreeClassifier(min_samples_leaf=20, max_leaf_nodes=256, random_state=seed)
    return HistGradientBoostingClassifier(
        max_iter=40, max_leaf_nodes=15, early_stopping=False, random_state=seed
    )


def _folds(X: Floats, random: np.random.Generator) -> Integers:
    """Return a fold for each row, the same one for rows that agree in every feature."""
    _, group = np.unique(X, axis=0, return_inverse=True)
    group = group.reshape(-1)
    of_group = random.permutation(int(group.max()) + 1) % _FOLDS
    return np.asarray(of_group[group], dtype=np.int64)
