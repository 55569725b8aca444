"""Noisy quantiles over a declared grid."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from sfumato.errors import DataError
from sfumato.privacy.differential.choices import ExponentialMechanism
from sfumato.privacy.differential.costs import Cost
from sfumato.privacy.differential.mechanism import Mechanism
from sfumato.privacy.differential.random_words import RandomWords
from sfumato.privacy.differential.rationals import Rational

__all__ = ["NoisyQuantile"]

_MOST_POINTS = 10**7
_LARGEST_DENOMINATOR = 10**6


class NoisyQuantile(Mechanism):
    """A point of a declared grid near a quantile of numbers, by the exponential mechanism.

    The score of a point is minus the number of rows (times the denominator of ``rank``) by which it
    misses the rank; a point within a run of equal numbers that holds the rank misses it by 0.

    Parameters
    ----------
    rank
        A rational number above 0 and below 1, such as ``"1/2"``; its denominator at most a million.
    lower, upper, step
        The grid: lower, lower + step, ... up to upper; declared, at most ten million points.
        Numbers beyond are clipped; missing ones (NaN) are not counted.
    epsilon
        A rational number above 0.
    neighbours, rows_per_unit
        As in the budget.

    Notes
    -----
    A. Smith, STOC 2011, section 4 (with the grid's points in place of intervals).

    Examples
    --------
    >>> from sfumato.privacy.differential import RandomWords
    >>> median = NoisyQuantile(rank="1/2", lower=0, upper=100, step=1, epsilon=1)
    >>> 45 < median.release(list(range(100)) * 100, RandomWords()) < 55
    True
    """

    kind: ClassVar[str] = "quantile"

    rank: Rational = Field(gt=0, lt=1)
    lower: Rational
    upper: Rational
    step: Rational = Field(gt=0)
    epsilon: Rational = Field(gt=0)
    neighbours: Literal["add_remove", "replace"] = "add_remove"
    rows_per_unit: int = Field(default=1, ge=1)

    @model_validator(mode="after")
    def _grid(self) -> Self:
        if not self.lower < self.upper:
            raise ValueError("lower must be below upper")
        if self.points > _MOST_POINTS:
            raise ValueError(f"the grid has {self.points} points: at most ten million are searched")
        if self.rank.denominator > _LARGEST_DENOMINATOR:
            raise ValueError("the denominator of rank is above a million: write it in fewer digits")
        return self

    @property
    def points(self) -> int:
        """How many points the grid has."""
        return math.floor((self.upper - self.lower) / self.step) + 1

    @property
    def sensitivity(self) -> int:
        """How far one unit moves a score."""
        rank = self.rank
        if self.neighbours == "replace":
            return self.rows_per_unit * rank.denominator
        return self.rows_per_unit * max(rank.numerator, rank.denominator - rank.numerator)

    @property
    def choice(self) -> ExponentialMechanism:
        """The mechanism that chooses the point."""
        return ExponentialMechanism(epsilon=self.epsilon, sensitivity=self.sensitivity)

    @property
    def cost(self) -> Cost:
        """A bounded range of epsilon."""
        return self.choice.cost

    def facts(self) -> dict[str, str]:
        """Return those of the choice, with rank and grid."""
        grid = f"{self.lower} to {self.upper} by {self.step}"
        return {**self.choice.facts(), "rank": str(self.rank), "grid": grid}

    def scores(self, data: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """Return the score of each point, shape (points,): private, never to be told."""
        numbers = np.asarray(data)
        if numbers.dtype.kind not in "iuf":
            raise DataError(f"numbers are needed for a quantile, not {numbers.dtype}")
        known = numbers.ravel().astype(np.float64)
        known = known[~np.isnan(known)]
        last = self.points - 1
        lower, upper = float(self.lower), float(self.upper)
        # each number alone decides its own two places, so rounding moves no other's
        places = (np.clip(known, lower, upper) - lower) / float(self.step)
        at_most = np.bincount(
            np.clip(np.ceil(places).astype(np.int64), 0, last), minlength=last + 1
        )
        at_least = np.bincount(
            np.clip(np.floor(places).astype(np.int64), 0, last), minlength=last + 1
        )
        not_above = np.cumsum(at_most)  # numbers up to the point
        below = np.cumsum(at_least) - at_least  # numbers below it
        wanted = self.rank.numerator * len(known)
        missed = np.maximum(self.rank.denominator * below - wanted, 0)
        missed = np.maximum(missed, wanted - self.rank.denominator * not_above)
        return np.asarray(-missed, np.int64)

    def release(self, data: npt.ArrayLike, words: RandomWords) -> Fraction:
        """Return the point that was chosen, exact."""
        return self.lower + self.choice.release(self.scores(data), words) * self.step
