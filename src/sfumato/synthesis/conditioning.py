"""Rows of a Gaussian copula with given values, drawn exactly.

A given value confines the normal variable behind its column to an interval. The variables that are
confined are drawn one after the other, each from its normal distribution given those before, cut to
its interval (Geweke, Hajivassiliou, Keane); the row is kept with the probability of those intervals
relative to the highest that intervals of that width can have. What is kept follows the copula's
distribution of rows with the given values; with one given column every draw is kept.

References
----------
J. Geweke, "Efficient simulation from the multivariate normal and Student-t distributions subject to
linear constraints" (1991); L. Devroye, "Non-Uniform Random Variate Generation" (1986), II.3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["ConfinedNormal"]


@dataclass(frozen=True, eq=False)
class ConfinedNormal:
    """Normal variables of which some are confined to intervals.

    Parameters
    ----------
    order
        The variables in the order in which they are drawn, the confined ones first, shape (d,).
    factor
        Lower Cholesky factor of their correlations in that order, shape (d, d).
    low, high
        Ends of the intervals of the first variables, shape (confined,).
    first
        Probability of the first interval.
    highest
        For each interval the highest probability that it can have given the others; the first's own
        probability is ``first`` and counts as 1 here, shape (confined,).
    """

    order: NDArray[np.int64]
    factor: Floats
    low: Floats
    high: Floats
    first: float
    highest: Floats

    @classmethod
    def of(cls, factor: Floats, intervals: Mapping[int, tuple[float, float]]) -> Self:
        """Return the variables with Cholesky factor ``factor``, confined to probabilities.

        Parameters
        ----------
        factor
            Shape (d, d), of variables of variance 1.
        intervals
            By variable: the probability below its interval, and below its end.
        """
        from scipy.special import ndtr, ndtri

        # The rarest first: it is drawn without a loss.
        confined = sorted(intervals, key=lambda one: (intervals[one][1] - intervals[one][0], one))
        free = [one for one in range(len(factor)) if one not in intervals]
        order = np.array([*confined, *free], dtype=np.int64)
        correlation = factor @ factor.T
        reordered = np.asarray(
            np.linalg.cholesky(correlation[np.ix_(order, order)]), dtype=np.float64
        )
        below, above = (np.array([intervals[one][end] for one in confined]) for end in (0, 1))
        low, high = ndtri(below), ndtri(above)
        own = np.diag(reordered)[: len(confined)]
        highest = 2 * ndtr((high - low) / own / 2) - 1
        highest[0] = 1.0
        return cls(order, reordered, low, high, float(above[0] - below[0]), highest)

    @property
    def weight(self) -> float:
        """A bound of the probability of all intervals together."""
        return float(self.first * self.highest.prod())

    def draw(self, uniform: Floats) -> tuple[Floats, Floats]:
        """Return rows, shape (n, d), and the chance with which each is to be kept, shape (n,).

        Parameters
        ----------
        uniform
            Random numbers between 0 and 1, shape (n, d).
        """
        from scipy.special import ndtri

        independent = np.empty_like(uniform)
        chance = np.ones(len(uniform))
        confined = self.low.size
        for k in range(confined):
            mean = independent[:, :k] @ self.factor[k, :k] if k else np.zeros(len(uniform))
            own = self.factor[k, k]
            drawn, inside = _cut(
                (self.low[k] - mean) / own, (self.high[k] - mean) / own, uniform[:, k]
            )
            independent[:, k] = drawn
            if k:
                chance *= np.minimum(inside / self.highest[k], 1.0)
        independent[:, confined:] = ndtri(np.clip(uniform[:, confined:], 1e-300, 1 - 1e-16))
        tied = np.empty_like(independent)
        tied[:, self.order] = np.einsum("nk,jk->nj", independent, self.factor, optimize=False)
        return tied, chance


def _cut(low: Floats, high: Floats, uniform: Floats) -> tuple[Floats, Floats]:
    """Return standard normal numbers between two ends, and the probability between them."""
    from scipy.special import ndtr, ndtri

    # In the lower tail, where probabilities keep their digits.
    upper = low > -high
    start, end = np.where(upper, -high, low), np.where(upper, -low, high)
    below, above = ndtr(start), ndtr(end)
    drawn = ndtri(np.clip(below + uniform * (above - below), 1e-300, None))
    drawn = np.clip(drawn, start, end)
    return np.where(upper, -drawn, drawn), above - below
