"""Randomized response: each person's answer is made uncertain before anybody sees it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from sfumato.errors import DataError
from sfumato.privacy.differential.costs import Cost
from sfumato.privacy.differential.mechanism import Mechanism, checked_integers
from sfumato.privacy.differential.random_words import RandomWords
from sfumato.privacy.differential.rationals import Rational, exp_bounds
from sfumato.privacy.differential.samplers import bernoulli, uniform_below

__all__ = ["EstimatedCounts", "RandomizedResponse"]

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_DENOMINATOR = 2**53


@dataclass(frozen=True, eq=False)
class EstimatedCounts:
    """How many people hold each category, estimated from randomized responses.

    Parameters
    ----------
    counts
        Unbiased; they sum to the number of people and may be negative.
    standard_errors
        Of each count, from the randomization alone: the people themselves are given.
    """

    counts: Floats
    standard_errors: Floats


class RandomizedResponse(Mechanism):
    """Keep a category with a stated probability, else tell one of the others at random.

    Parameters
    ----------
    epsilon
        From 1e-6; each person's answer keeps it by itself, whoever collects the answers. The
        neighbours are two answers of one person ("replace").
    categories
        How many, from 2 to 2**20, declared. 2 is Warner's randomized response.

    Notes
    -----
    S. L. Warner, JASA 1965; P. Kairouz, K. Bonawitz, D. Ramage, "Discrete distribution estimation
    under local privacy", ICML 2016, section 2 (k-ary). The probability to keep is the largest
    multiple of 2**-53 at which keeping is at most exp(epsilon) times as likely as any one other
    category; so the draw and the estimate use the same rational number.

    Examples
    --------
    >>> float(RandomizedResponse(epsilon=1).keep)
    0.7310585786300048
    """

    kind: ClassVar[str] = "randomized response"

    epsilon: Rational = Field(ge=Fraction(1, 10**6))
    categories: int = Field(default=2, ge=2, le=2**20)

    @property
    def cost(self) -> Cost:
        """Pure epsilon."""
        return Cost.pure(self.epsilon)

    @property
    def keep(self) -> Fraction:
        """The probability to tell the truth."""
        return _keep(self.epsilon, self.categories)

    def facts(self) -> dict[str, str]:
        """Return the categories and the probability to keep."""
        return {
            "sensitivity": f"one of {self.categories} categories",
            "scale": f"{float(self.keep):.6g} (probability to keep)",
        }

    def release(self, data: npt.ArrayLike, words: RandomWords) -> Integers:
        """Return one randomized category a person, for codes from 0 to categories - 1."""
        codes = self._codes(data)
        flat = codes.ravel()
        keep = self.keep
        kept = bernoulli(keep.numerator, keep.denominator, words, len(flat))
        others = (flat + 1 + uniform_below(self.categories - 1, words, len(flat))) % self.categories
        return np.where(kept, flat, others).reshape(codes.shape)

    def estimate(self, responses: npt.ArrayLike) -> EstimatedCounts:
        """Return unbiased counts with their standard errors from randomized responses.

        A response is category v with probability ``keep`` if it was, and o = (1 - keep) /
        (categories - 1) if not, so (seen - n o) / (keep - o) is unbiased.
        """
        codes = self._codes(responses).ravel()
        seen = np.bincount(codes, minlength=self.categories)
        people = len(codes)
        keep = float(self.keep)
        other = float((1 - self.keep) / (self.categories - 1))
        slope = float(self.keep - (1 - self.keep) / (self.categories - 1))
        counts = np.asarray((seen - people * other) / slope, np.float64)
        holders = np.clip(counts, 0, people)
        variances = holders * keep * (1 - keep) + (people - holders) * other * (1 - other)
        return EstimatedCounts(counts, np.asarray(np.sqrt(variances) / slope, np.float64))

    def _codes(self, data: npt.ArrayLike) -> Integers:
        codes = checked_integers(data, "codes")
        if codes.size and not (codes.min() >= 0 and codes.max() < self.categories):
            raise DataError(f"codes must be from 0 to {self.categories - 1}, as declared")
        return codes


@lru_cache(maxsize=256)
def _keep(epsilon: Fraction, categories: int) -> Fraction:
    _, high = exp_bounds(-epsilon, 60)
    # keep = 1 / (1 + (categories - 1) exp(-epsilon)), from below
    return Fraction(math.floor(_DENOMINATOR / (1 + (categories - 1) * high)), _DENOMINATOR)
