"""Differential privacy by random sampling, k-anonymity and fixed generalization (SafePub)."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import ClassVar, NamedTuple

import numpy as np
from pydantic import Field

from sfumato.errors import PlanError
from sfumato.privacy.anonymity import SizeCriterion
from sfumato.privacy.criteria import Criterion

__all__ = ["DifferentialPrivacy", "SafePubParameters", "safepub_parameters"]

_AT_ONCE = 2**18
# More group sizes than these are not searched: epsilon is then too small or too large to be used.
_MOST_SIZES = 2**26


class DifferentialPrivacy(SizeCriterion):
    """(epsilon, delta)-differential privacy of a table of real rows.

    Whether one row is in the source or not changes the probability of any release by at most a
    factor of exp(epsilon), but for a probability delta. It is a promise only if all of this holds:

    - each row of the source was drawn into the sample on its own with probability :attr:`beta`, by
      randomness that nobody else knows;
    - the generalization was fixed without looking at the data: neither levels nor bounds nor
      labels were chosen by a search over this table;
    - every class of the sample with fewer than :attr:`k` rows was suppressed, and nothing is told
      of the suppressed rows, nor how many they are;
    - what is released are the generalized values of all columns: a column that is released
      untouched must count as a quasi-identifier.

    The criterion itself checks the sizes of the classes of the sample. The unit is the row, or the
    person where persons were sampled and are counted.

    Parameters
    ----------
    epsilon
        Above 0.
    delta
        Above 0 and below 1; well below one over the number of rows.

    Notes
    -----
    N. Li, W. Qardaji, D. Su, "On sampling, anonymization, and differential privacy: or,
    k-anonymization meets differential privacy", ASIACCS 2012; R. Bild, K. A. Kuhn,
    F. Prasser, "SafePub: a truthful data anonymization algorithm with strong privacy guarantees",
    PoPETs 2018(1). Here with a generalization that does not depend on the
    data, which costs no part of epsilon.

    Examples
    --------
    >>> promise = DifferentialPrivacy(epsilon=1.0, delta=1e-6)
    >>> round(promise.beta, 4), promise.k
    (0.6321, 74)
    """

    kind: ClassVar[str] = "differential-privacy"
    __init__ = Criterion.__init__

    epsilon: float = Field(gt=0)
    delta: float = Field(gt=0, lt=1)

    @property
    def beta(self) -> float:
        """The probability with which each row must be drawn into the sample."""
        return safepub_parameters(self.epsilon, self.delta).beta

    @property
    def k(self) -> int:
        """The smallest size that a class of the sample may have."""
        return safepub_parameters(self.epsilon, self.delta).k

    def smallest_size(self) -> int:
        """Return k."""
        return self.k

    def describe(self) -> str:
        """Return the promise in words."""
        return (
            f"({self.epsilon:g}, {self.delta:g})-differential privacy: one person more or less in "
            f"the source changes the probability of any release by at most a factor of "
            f"{math.exp(self.epsilon):.4g}, but for a probability of {self.delta:g}; provided that "
            f"each row was drawn with probability {self.beta:.4f} by secret randomness, that the "
            "generalization was fixed without looking at the data, that every released column is "
            f"part of it, and that all classes of fewer than {self.k} sampled rows were left out"
        )


class SafePubParameters(NamedTuple):
    """What (epsilon, delta) asks for.

    Parameters
    ----------
    beta
        Probability of each row to be sampled.
    k
        Smallest class of the sample.
    """

    beta: float
    k: int


@lru_cache(maxsize=128)
def safepub_parameters(epsilon: float, delta: float) -> SafePubParameters:
    """Return the sampling rate and the smallest class size for (epsilon, delta).

    The rate is the largest that epsilon allows, ``beta = 1 - exp(-epsilon)``. With
    ``gamma = (exp(epsilon) - 1 + beta) / exp(epsilon)``, k is the least number for which
    ``P(X > gamma n) <= delta`` for X binomial (n, beta) and every
    ``n >= ceil(k / gamma - 1)``.

    The tail falls below delta for good at the latest where Chernoff's bound
    ``exp(-n KL(gamma, beta))`` does, so that the last n above delta is found among finitely many.

    Parameters
    ----------
    epsilon
        Above 0.
    delta
        Above 0 and below 1.

    Raises
    ------
    PlanError
        If epsilon is so small or large that no usable table would be left.

    Notes
    -----
    Li, Qardaji, Su 2012 (the theorem on sampling before strongly safe k-anonymization); Bild, Kuhn,
    Prasser 2018. There k is raised until the condition holds; here the last n that breaks it gives
    k at once.
    """
    from scipy.stats import binom

    beta = -math.expm1(-epsilon)
    miss = math.exp(-2 * epsilon)  # 1 - gamma
    gamma = -math.expm1(-2 * epsilon)
    divergence = gamma * math.log(gamma / beta) - miss * epsilon
    most = math.log(1 / delta) / divergence if divergence > 0 else math.inf
    if most > _MOST_SIZES:
        raise PlanError(
            f"differential-privacy: epsilon {epsilon:g} with delta {delta:g} is out of the range "
            "in which sampling and k-anonymity can keep it; epsilon is usually between 0.01 and 5"
        )
    for stop in range(math.ceil(most) + 1, 0, -_AT_ONCE):
        n = np.arange(max(stop - _AT_ONCE, 0) + 1, stop + 1)
        above = np.flatnonzero(binom.sf(np.floor(gamma * n), n, beta) > delta)
        if len(above):
            last = int(n[above[-1]])
            # the least k with ceil(k / gamma - 1) > last
            return SafePubParameters(beta, math.floor(gamma * (last + 1)) + 1)
    return SafePubParameters(beta, 1)
