"""Noisy histograms: over a declared domain, and over categories that nobody knew before."""

from __future__ import annotations

import math
from fractions import Fraction
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from sfumato.errors import DataError
from sfumato.privacy.differential.costs import Cost
from sfumato.privacy.differential.mechanism import Mechanism, checked_integers
from sfumato.privacy.differential.noise import DiscreteGaussian, DiscreteLaplace
from sfumato.privacy.differential.random_words import RandomWords
from sfumato.privacy.differential.rationals import Rational, exp_bounds

__all__ = ["NoisyHistogram", "ThresholdedHistogram", "bounded_rows"]

Integers = npt.NDArray[np.int64]


class NoisyHistogram(Mechanism):
    """Count rows in each cell of a declared domain, with noise on every cell, empty ones too.

    Parameters
    ----------
    cells
        How many, declared.
    noise
        :class:`DiscreteLaplace` or :class:`DiscreteGaussian` with the sensitivity that
        :meth:`Budget.count_sensitivity` gives.
    """

    kind: ClassVar[str] = "histogram"

    cells: int = Field(ge=1)
    noise: DiscreteLaplace | DiscreteGaussian

    @property
    def cost(self) -> Cost:
        """Of the noise."""
        return self.noise.cost

    def facts(self) -> dict[str, str]:
        """Return the noise and how many cells."""
        return {**self.noise.facts(), "noise": self.noise.kind, "cells": str(self.cells)}

    def release(self, data: npt.ArrayLike, words: RandomWords) -> Integers:
        """Return noisy counts, shape (cells,), of codes from 0 to cells - 1."""
        codes = checked_integers(data, "codes")
        if codes.size and not (codes.min() >= 0 and codes.max() < self.cells):
            raise DataError(f"codes must be from 0 to {self.cells - 1}, as declared")
        return self.noise.release(np.bincount(codes.ravel(), minlength=self.cells), words)


class ThresholdedHistogram(Mechanism):
    """Count categories that are not declared, and tell those whose noisy count is large enough.

    A category that only one unit holds must not be seen but for a probability of ``delta``: noise
    is added to each count and counts below :attr:`threshold` are left out.

    Parameters
    ----------
    noise
        :class:`DiscreteLaplace` or :class:`DiscreteGaussian`, its sensitivity that of
        :meth:`Budget.count_sensitivity`.
    delta
        That of finding a category which only one unit holds; above 0.
    most_per_cell
        Rows of one unit in one category, at most (see :func:`bounded_rows`).
    cells_per_unit
        Categories of one unit, at most.

    Notes
    -----
    A. Korolova et al., "Releasing search queries and clicks privately", WWW 2009; Wilson et al.,
    PoPETs 2020, section 3.5. The threshold is the least integer t with cells_per_unit
    P(most_per_cell + noise >= t) <= delta; the tail of the noise is bounded from above in exact
    arithmetic (Laplace) or by a geometric series (Gaussian).

    Examples
    --------
    >>> ThresholdedHistogram(noise=DiscreteLaplace(scale=1), delta="1e-6").threshold
    15
    """

    kind: ClassVar[str] = "histogram of unknown categories"

    noise: DiscreteLaplace | DiscreteGaussian
    delta: Rational = Field(gt=0, lt=1)
    most_per_cell: int = Field(default=1, ge=1)
    cells_per_unit: int = Field(default=1, ge=1)

    @property
    def cost(self) -> Cost:
        """Of the noise, and delta."""
        own = self.noise.cost
        if own.epsilon is not None:
            return Cost.pure(own.epsilon, self.delta)
        noise = self.noise
        assert isinstance(noise, DiscreteGaussian)  # noqa: S101 - the only other kind
        return Cost.gaussian(noise.sensitivity_squared, noise.sigma_squared, self.delta)

    @property
    def threshold(self) -> int:
        """The least noisy count that is told."""
        laplace = isinstance(self.noise, DiscreteLaplace)
        size = self.noise.scale if laplace else self.noise.sigma_squared  # type: ignore[union-attr]
        share = self.delta / self.cells_per_unit
        return self.most_per_cell + _least_hidden(size, share, laplace=laplace)

    def facts(self) -> dict[str, str]:
        """Return the noise and the threshold."""
        return {
            **self.noise.facts(),
            "noise": self.noise.kind,
            "threshold": str(self.threshold),
        }

    def release(self, data: npt.ArrayLike, words: RandomWords) -> dict[Any, int]:
        """Return the noisy counts of the categories that reach the threshold, sorted by name.

        Parameters
        ----------
        data
            One category a row: integers or texts.
        words
            Where the noise comes from.
        """
        values = np.asarray(data)
        if values.dtype.kind not in "iuU" or values.ndim != 1:
            raise DataError("categories must be one axis of integers or texts")
        found, counts = np.unique(values, return_counts=True)
        noisy = self.noise.release(counts.astype(np.int64), words)
        told = noisy >= self.threshold
        return dict(zip(found[told].tolist(), noisy[told].tolist(), strict=True))


def bounded_rows(persons: npt.ArrayLike, most: int, words: RandomWords) -> npt.NDArray[np.bool_]:
    """Return which rows to keep so that no person keeps more than ``most``, chosen at random.

    Parameters
    ----------
    persons
        One code of a person a row, integers.
    most
        Rows of one person, 1 or more.
    words
        Where the choice comes from. The choice of a person's rows depends on that person's rows
        alone.
    """
    codes = checked_integers(persons, "persons")
    if codes.ndim != 1:
        raise DataError("persons must be one axis")
    if not len(codes):
        return np.zeros(0, np.bool_)
    order = np.lexsort((words.draw(len(codes)), codes))
    ordered = codes[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    lengths = np.diff(np.r_[starts, len(codes)])
    within = np.arange(len(codes)) - np.repeat(starts, lengths)
    kept = np.zeros(len(codes), np.bool_)
    kept[order] = within < most
    return kept


@lru_cache(maxsize=256)
def _least_hidden(size: Fraction, share: Fraction, *, laplace: bool) -> int:
    """Return the least integer that noise reaches with a probability of at most a share."""
    tail = _laplace_tail if laplace else _gaussian_tail
    high = 1
    while tail(size, high) > share:
        high *= 2
    low = 0
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if tail(size, middle) <= share else (middle, high)
    return high


def _laplace_tail(scale: Fraction, least: int) -> Fraction:
    """Return a bound of P(noise >= least) = r**least / (1 + r), r = exp(-1 / scale)."""
    return exp_bounds(-least / scale, 40)[1] / (1 + exp_bounds(-1 / scale, 40)[0])


def _gaussian_tail(variance: Fraction, least: int) -> Fraction:
    """Return a bound of P(noise >= least).

    The weights exp(-x**2 / (2 variance)) sum to at least 1 and at least sqrt(2 pi variance)
    (Poisson); from ``least`` on each is at most exp(-(2 least + 1) / (2 variance)) times the one
    before.
    """
    first = exp_bounds(-(Fraction(least) ** 2) / (2 * variance), 40)[1]
    ratio = exp_bounds(-Fraction(2 * least + 1) / (2 * variance), 40)[1]
    total = max(1.0, math.sqrt(2 * math.pi * float(variance)) * (1 - 1e-12))
    return first / ((1 - ratio) * Fraction(total))
