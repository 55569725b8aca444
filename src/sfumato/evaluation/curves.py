"""A classifier's curves as records that a chart can draw: ROC, precision-recall, calibration."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sfumato.evaluation.estimates import wilson

__all__ = ["CalibrationBin", "Curve", "calibration", "precision_recall_curve", "roc_curve"]

MOST_POINTS = 100


@dataclass(frozen=True)
class Curve:
    """A curve of one class against the rest, at most 100 points.

    Parameters
    ----------
    of
        The class.
    x, y
        ROC: false positive rate, true positive rate. Precision-recall: recall, precision.
    thresholds
        The score from which on a row counts as predicted, falling along the curve; None for the
        ROC curve's start, where no row is predicted.
    """

    of: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    thresholds: tuple[float | None, ...]


@dataclass(frozen=True)
class CalibrationBin:
    """Test rows with like predicted probabilities.

    Parameters
    ----------
    predicted
        Their mean predicted probability.
    observed
        The share of them that is positive.
    interval
        Wilson's 95 % interval of ``observed``.
    rows
        How many they are.
    """

    predicted: float
    observed: float
    interval: tuple[float, float]
    rows: int


def roc_curve(of: str, positive: np.ndarray, ranking: np.ndarray) -> Curve:
    """Return the ROC curve, thinned to equal steps along its length.

    Parameters
    ----------
    of
        Name of the class.
    positive
        Boolean array of shape (n,), both values present.
    ranking
        Array of shape (n,), higher is likelier positive.
    """
    thresholds, found, wrong = _steps(positive, ranking)
    x = np.concatenate([[0.0], wrong / wrong[-1]])
    y = np.concatenate([[0.0], found / found[-1]])
    kept = _thinned(x + y)
    starts: tuple[float | None, ...] = (None, *thresholds.tolist())
    return Curve(of, _tuple(x[kept]), _tuple(y[kept]), tuple(starts[place] for place in kept))


def precision_recall_curve(of: str, positive: np.ndarray, ranking: np.ndarray) -> Curve:
    """Return the precision-recall curve, thinned to equal steps of recall.

    Parameters are those of :func:`roc_curve`.
    """
    thresholds, found, wrong = _steps(positive, ranking)
    recall = found / found[-1]
    precision = found / (found + wrong)
    kept = _thinned(recall)
    kept_thresholds: tuple[float | None, ...] = tuple(thresholds[kept].tolist())
    return Curve(of, _tuple(recall[kept]), _tuple(precision[kept]), kept_thresholds)


def calibration(
    positive: np.ndarray, probability: np.ndarray, *, bins: int = 10
) -> tuple[CalibrationBin, ...]:
    """Return predicted against observed shares in bins of like size.

    Parameters
    ----------
    positive
        Boolean array of shape (n,).
    probability
        Array of shape (n,), predicted probability; rows with equal values share a bin.
    bins
        Number of bins at most.
    """
    edges = np.unique(np.quantile(probability, np.linspace(0.0, 1.0, bins + 1)[1:-1]))
    place = np.searchsorted(edges, probability, side="left")
    rows = np.bincount(place, minlength=len(edges) + 1)
    hits = np.bincount(place, weights=positive, minlength=len(rows))
    sums = np.bincount(place, weights=probability, minlength=len(rows))
    return tuple(
        CalibrationBin(total / n, hit / n, wilson(hit, n), n)
        for n, hit, total in zip(rows.tolist(), hits.tolist(), sums.tolist(), strict=True)
        if n
    )


def _steps(positive: np.ndarray, ranking: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return each distinct score, falling, and the positive and negative rows down to it."""
    order = np.argsort(-ranking, kind="stable")
    descending = ranking[order]
    ends = np.flatnonzero(np.append(descending[1:] != descending[:-1], [True]))
    found = np.cumsum(positive[order])[ends].astype(np.float64)
    return descending[ends], found, ends + 1.0 - found


def _thinned(length: np.ndarray) -> np.ndarray:
    """Return at most 100 places, near to equal steps of a quantity that never falls."""
    if len(length) <= MOST_POINTS:
        return np.arange(len(length))
    wanted = np.linspace(length[0], length[-1], MOST_POINTS)
    places = np.searchsorted(length, wanted).clip(0, len(length) - 1)
    places[0], places[-1] = 0, len(length) - 1
    return np.unique(places)


def _tuple(values: np.ndarray) -> tuple[float, ...]:
    return tuple(values.tolist())
