"""To choose the best of several candidates without telling more than epsilon allows."""

from __future__ import annotations

from fractions import Fraction
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from sfumato.errors import DataError
from sfumato.privacy.differential.costs import Cost
from sfumato.privacy.differential.mechanism import Mechanism, checked_integers
from sfumato.privacy.differential.random_words import RandomWords
from sfumato.privacy.differential.rationals import Rational
from sfumato.privacy.differential.samplers import (
    bernoulli_exp,
    discrete_laplace,
    permutation,
    uniform_below,
)

__all__ = ["ExponentialMechanism", "PermuteAndFlip", "ReportNoisyMax"]

Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

_TRIALS_AT_ONCE = 2**16
_LARGEST = 2**62


class _Choice(Mechanism):
    """Choose a candidate by its integer score.

    Parameters
    ----------
    epsilon
        A rational number above 0.
    sensitivity
        How far one unit moves any score, at most.
    monotonic
        Whether one unit more moves all scores in one direction, or none: counts are so. Half the
        noise is then enough. Not true of distances to something that is data too.
    """

    epsilon: Rational = Field(gt=0)
    sensitivity: int = Field(default=1, ge=1)
    monotonic: bool = False

    @property
    def rate(self) -> Fraction:
        """By which a score counts: epsilon / (2 sensitivity), twice that if monotonic."""
        return self.epsilon / ((1 if self.monotonic else 2) * self.sensitivity)

    @property
    def cost(self) -> Cost:
        """Pure epsilon."""
        return Cost.pure(self.epsilon)

    def facts(self) -> dict[str, str]:
        """Return the sensitivity of a score and the scale at which scores are told apart."""
        scores = "monotonic scores" if self.monotonic else "scores"
        return {"sensitivity": f"{self.sensitivity} ({scores})", "scale": str(1 / self.rate)}


class ExponentialMechanism(_Choice):
    """Choose a candidate with probability proportional to exp(rate * score), exactly.

    A candidate drawn at random is kept with probability exp(-rate (best - score)), else another is
    drawn: the first kept one has just these probabilities.

    Notes
    -----
    F. McSherry, K. Talwar, FOCS 2007. Its losses have a bounded range of epsilon, so it costs
    rho = epsilon**2 / 8 (Cesar & Rogers, ALT 2021).

    Examples
    --------
    >>> from sfumato.privacy.differential import RandomWords
    >>> ExponentialMechanism(epsilon=1).release([0, 90, 3], RandomWords())
    1
    """

    kind: ClassVar[str] = "exponential"

    @property
    def cost(self) -> Cost:
        """A bounded range of epsilon."""
        return Cost.bounded_range(self.epsilon)

    def release(self, data: npt.ArrayLike, words: RandomWords) -> int:
        """Return the place of the candidate chosen by its score."""
        scores = _scores(data)
        gaps = scores.max() - scores
        trials = max(64, min(len(scores), _TRIALS_AT_ONCE))
        while True:
            drawn = uniform_below(len(scores), words, trials)
            kept = _survive(gaps[drawn], self.rate, words)
            if bool(kept.any()):
                return int(drawn[np.argmax(kept)])


class PermuteAndFlip(_Choice):
    """Choose the first candidate in random order that survives a flip of exp(-rate (best - score)).

    Its expected loss of score is never more than that of the exponential mechanism, and up to half.

    Notes
    -----
    R. McKenna, D. Sheldon, "Permute-and-flip: a new mechanism for differentially private
    selection", NeurIPS 2020, Algorithm 1. The best candidate always survives, so one pass is
    enough. It is charged as pure epsilon: under zCDP and Gaussian differential privacy four times
    the exponential mechanism's.

    Examples
    --------
    >>> from sfumato.privacy.differential import RandomWords
    >>> PermuteAndFlip(epsilon=1).release([0, 90, 3], RandomWords())
    1
    """

    kind: ClassVar[str] = "permute-and-flip"

    def release(self, data: npt.ArrayLike, words: RandomWords) -> int:
        """Return the place of the candidate chosen by its score."""
        scores = _scores(data)
        order = permutation(len(scores), words)
        kept = _survive((scores.max() - scores)[order], self.rate, words)
        return int(order[np.argmax(kept)])


class ReportNoisyMax(_Choice):
    """Choose the candidate of the largest score after discrete Laplace noise; only its place.

    Notes
    -----
    C. Dwork, A. Roth, "The algorithmic foundations of differential privacy", 2014, Claim 3.9. Equal
    noisy scores are decided by place, which does not depend on data: a candidate that wins with
    noise x under one table wins with noise x plus twice the sensitivity under the other, in the
    same way of deciding, so the proof holds for integer noise.

    Examples
    --------
    >>> from sfumato.privacy.differential import RandomWords
    >>> ReportNoisyMax(epsilon=1).release([0, 90, 3], RandomWords())
    1
    """

    kind: ClassVar[str] = "report noisy max"

    def release(self, data: npt.ArrayLike, words: RandomWords) -> int:
        """Return the place of the candidate chosen by its score."""
        scores = _scores(data)
        return int(np.argmax(scores + discrete_laplace(1 / self.rate, words, len(scores))))


def _scores(data: npt.ArrayLike) -> Integers:
    scores = checked_integers(data, "scores")
    if scores.ndim != 1 or not len(scores):
        raise DataError("scores must be one axis of at least one candidate")
    return scores


def _survive(gaps: Integers, rate: Fraction, words: RandomWords) -> Flags:
    """Return True with probability exp(-gap * rate) for each gap of 0 or more."""
    p, q = rate.numerator, rate.denominator
    if q > _LARGEST:
        raise DataError("epsilon has too many digits for exact choice: write it in fewer")
    if int(gaps.max()) * p <= _LARGEST:
        return bernoulli_exp(gaps * np.int64(p), q, words)
    # exp(-(whole + rest / q)) is the probability of two independent events
    products = gaps.astype(object) * p
    whole = np.minimum(products // q, _LARGEST)
    if bool((products // q > _LARGEST).any()):
        raise DataError("the scores are too far apart for their epsilon: count in coarser units")
    first = bernoulli_exp(whole.astype(np.int64), 1, words)
    return first & bernoulli_exp((products % q).astype(np.int64), q, words)
