"""Scores of a classifier as estimates: a value and how each test row moves it.

Each score is a function of the weights of the test rows. Its derivative with respect to a row's
weight, the row's *influence*, gives the standard error (the infinitesimal jackknife: what the
bootstrap over test rows tends to, without drawing anything), and the difference of two versions'
influences on the same rows gives the standard error of the paired difference. For the AUC this is
DeLong's method.

References
----------
Jaeckel, "The infinitesimal jackknife", Bell Laboratories memorandum (1972); Efron & Stein, Annals
of Statistics 9 (1981). DeLong, DeLong & Clarke-Pearson, Biometrics 44 (1988). Sun & Xu, IEEE Signal
Processing Letters 21 (2014). Wilson, JASA 22 (1927).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

__all__ = [
    "NORMAL_95",
    "NOTICED",
    "ONE_SIDED_95",
    "POWER_80",
    "Estimate",
    "area_under_roc",
    "average_precision",
    "mean",
    "ratio",
    "wilson",
]

NORMAL_95 = 1.959963984540054  # two-sided 95 % point of the normal distribution
ONE_SIDED_95 = 1.6448536269514722
POWER_80 = 0.8416212335729143
NOTICED = ONE_SIDED_95 + POWER_80  # in standard errors: one-sided 5 %, found in 80 % of cases


@dataclass(frozen=True, eq=False)
class Estimate:
    """A score between 0 and 1 with the influence of each test row.

    Parameters
    ----------
    value
        The score.
    influence
        Array of shape (n,), mean 0: the change of the score, times n, per unit of a row's weight.
    rows
        Rows that the score is a share of (for the recall, the positive ones).
    proportion
        Whether it is a plain share of ``rows``; its interval is then Wilson's.
    """

    value: float
    influence: np.ndarray
    rows: int
    proportion: bool = False

    @property
    def standard_error(self) -> float:
        """Standard error over the drawing of the test rows."""
        return float(np.sqrt(np.square(self.influence).sum()) / len(self.influence))

    def interval(self) -> tuple[float, float]:
        """Return the 95 % interval.

        Wilson's for a plain share, and at 0 and 1, where no row's weight moves the score; else
        normal on the logit scale, which stays within 0 and 1.
        """
        spread = self.standard_error
        inside = 0.0 < self.value < 1.0 and spread > 0.0
        if self.proportion or not inside:
            return wilson(self.value * self.rows, self.rows)
        centre = math.log(self.value / (1.0 - self.value))
        reach = NORMAL_95 * spread / (self.value * (1.0 - self.value))
        return _logistic(centre - reach), _logistic(centre + reach)

    @property
    def interval_method(self) -> str:
        """What the interval is, in words."""
        if self.proportion:
            return "Wilson, 95 %"
        return "infinitesimal jackknife over test rows on the logit scale, 95 %"


def wilson(successes: float, rows: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a share.

    Parameters
    ----------
    successes
        Rows that count, from 0 to ``rows``.
    rows
        Rows in all, at least 1.

    Examples
    --------
    >>> low, high = wilson(0, 100)
    >>> low, round(high, 4)
    (0.0, 0.037)
    """
    share = successes / rows
    square = NORMAL_95**2 / rows
    centre = (share + square / 2.0) / (1.0 + square)
    reach = math.sqrt(share * (1.0 - share) * square + square * square / 4.0) / (1.0 + square)
    # At the ends the formula is exact but for rounding.
    low = 0.0 if successes == 0 else max(0.0, centre - reach)
    high = 1.0 if successes == rows else min(1.0, centre + reach)
    return low, high


def ratio(
    numerator: np.ndarray, denominator: np.ndarray, *, proportion: bool = False
) -> Estimate | None:
    """Return the sum of one quantity over the rows divided by that of another.

    Accuracy, precision, recall, F1 and the Brier score are such ratios.

    Parameters
    ----------
    numerator, denominator
        Arrays of shape (n,), not negative.
    proportion
        Whether both are 0 or 1 per row, so that the ratio is a share of rows.

    Returns
    -------
    Estimate or None
        None if the denominator is 0 in all.
    """
    below = denominator.astype(np.float64)
    above = numerator.astype(np.float64)
    if not below.any():
        return None
    value = float(above.sum() / below.sum())
    influence = (above - value * below) / below.mean()
    return Estimate(value, influence, int((denominator != 0).sum()), proportion)


def area_under_roc(positive: np.ndarray, ranking: np.ndarray) -> Estimate | None:
    """Return the area under the ROC curve: how often a positive row outranks a negative one.

    Parameters
    ----------
    positive
        Boolean array of shape (n,).
    ranking
        Array of shape (n,), higher for rows held more likely positive; ties count half.

    Returns
    -------
    Estimate or None
        None if all rows are of one class. The standard error is DeLong's.
    """
    from scipy.stats import rankdata

    n_positive = int(positive.sum())
    n_negative = len(positive) - n_positive
    if n_positive == 0 or n_negative == 0:
        return None
    ranks = rankdata(ranking)
    # Placement of each row: the share of the other class that it is on the right side of.
    above = (ranks[positive] - rankdata(ranking[positive])) / n_negative
    below = 1.0 - (ranks[~positive] - rankdata(ranking[~positive])) / n_positive
    value = float(above.mean())
    influence = np.empty(len(positive))
    n = len(positive)
    for rows, placement in ((positive, above), (~positive, below)):
        size = len(placement)
        unbiased = math.sqrt(size / (size - 1.0)) if size > 1 else 1.0
        influence[rows] = (placement - value) * unbiased * n / size
    return Estimate(value, influence, min(n_positive, n_negative))


def average_precision(positive: np.ndarray, ranking: np.ndarray) -> Estimate | None:
    """Return the mean, over the positive rows, of the precision at each one's rank.

    Parameters
    ----------
    positive
        Boolean array of shape (n,).
    ranking
        Array of shape (n,); equal values form one step.

    Returns
    -------
    Estimate or None
        None if no row is positive.
    """
    total = int(positive.sum())
    if total == 0:
        return None
    n = len(positive)
    order = np.argsort(-ranking, kind="stable")
    ranked = positive[order].astype(np.float64)
    descending = ranking[order]
    ends = np.flatnonzero(np.append(descending[1:] != descending[:-1], [True]))
    step = np.searchsorted(ends, np.arange(n))  # the step that each ranked row is on
    found = np.cumsum(ranked)[ends]
    taken = ends + 1.0
    precision = found / taken
    gained = np.diff(found, prepend=0.0)
    value = float((gained * precision).sum() / total)
    # A row's weight moves the precision of its own step and of every later one.
    hit = np.cumsum((gained / taken)[::-1])[::-1]
    miss = np.cumsum((gained * precision / taken)[::-1])[::-1]
    moved = ranked * (precision[step] - value) + ranked * hit[step] - miss[step]
    influence = np.empty(n)
    influence[order] = moved * n / total
    return Estimate(value, influence, total)


def mean(parts: list[Estimate]) -> Estimate:
    """Return the plain mean of scores of the same rows (a macro average)."""
    return Estimate(
        float(np.mean([part.value for part in parts])),
        np.mean([part.influence for part in parts], axis=0),
        min(part.rows for part in parts),
        proportion=len(parts) == 1 and parts[0].proportion,
    )


def _logistic(value: float) -> float:
    return 1.0 / (1.0 + math.exp(-value)) if value > -700.0 else 0.0
