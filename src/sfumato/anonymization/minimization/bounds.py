"""How well a model answers on generalized rows, and how much of that is sure."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["lower_bound", "relative_accuracy"]

Array = npt.NDArray[Any]

_RESAMPLES = 400


def relative_accuracy(answers: Array, before: Array, *, regression: bool) -> float:
    """Return how well answers agree with those before: their share, or R2.

    Parameters
    ----------
    answers, before
        Shape (n,) or (n, outputs). Several classes of a row must all agree.
    regression
        Whether they are quantities.
    """
    if not regression:
        return float(_agree(answers, before).mean())
    after, known = _columns(answers), _columns(before)
    residual = ((after - known) ** 2).sum(axis=0)
    return float(_r2(residual, ((known - known.mean(axis=0)) ** 2).sum(axis=0)))


def lower_bound(
    answers: Array, before: Array, *, regression: bool, confidence: float, seed: int
) -> float:
    """Return what the accuracy on other rows of the same kind is at least, with a confidence.

    Parameters
    ----------
    answers, before, regression
        See :func:`relative_accuracy`.
    confidence
        Between 0 and 1, one-sided.
    seed
        Of the bootstrap.

    Notes
    -----
    Shares: C. Clopper, E. Pearson, Biometrika 26, 1934. R2: the percentile of 400 bootstrap
    samples of the rows.
    """
    n = len(before)
    if not regression:
        from scipy.stats import beta

        hits = int(_agree(answers, before).sum())
        return float(beta.ppf(1 - confidence, hits, n - hits + 1)) if hits else 0.0
    after, known = _columns(answers), _columns(before)
    known, after = known - known.mean(axis=0), after - known.mean(axis=0)
    chance = np.random.default_rng(seed)
    found = []
    for _ in range(_RESAMPLES):
        drawn = np.bincount(chance.integers(0, n, n), minlength=n)
        residual = drawn @ (after - known) ** 2
        total = drawn @ known**2 - (drawn @ known) ** 2 / n
        found.append(float(_r2(residual, total)))
    return float(np.quantile(found, 1 - confidence))


def _agree(answers: Array, before: Array) -> Array:
    same = np.asarray(answers) == np.asarray(before)
    agree: Array = same.reshape(len(same), -1).all(axis=1)
    return agree


def _columns(values: Array) -> Array:
    return np.asarray(values, dtype=np.float64).reshape(len(values), -1)


def _r2(residual: Array, total: Array) -> Array:
    """Return the mean over outputs, on the last axis; an output that never varies is met or not."""
    constant = total <= 0
    share = residual / np.where(constant, 1.0, total)
    each = np.where(constant, np.where(residual <= 0, 1.0, 0.0), 1 - share)
    return np.asarray(each.mean(axis=-1))
