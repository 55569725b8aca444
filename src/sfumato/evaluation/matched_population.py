"""How many people of the population match a row that is alone in its sample, by several models."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["Matched", "beta_binomial", "counted", "slide"]

_REACH = 45.0  # of an integral in logarithms: what lies beyond has less than e**-45
_STEPS = 4_000


class Matched(NamedTuple):
    """Of F people of the population who match a row that is alone in the sample.

    Parameters
    ----------
    unique
        Probability that F is 1.
    inverse
        Expected 1 / F: the chance that a match with one of them is right.
    """

    unique: float
    inverse: float


def counted(values: npt.NDArray[Any], weights: npt.NDArray[Any]) -> Matched:
    """Return it where F has these values with these weights."""
    total = weights.sum()
    return Matched(
        float(weights[values == 1].sum() / total), float((weights / values).sum() / total)
    )


def beta_binomial(own: float, others: float, more: int) -> Matched:
    """Return it where F - 1 of ``more`` people join by an urn of weights ``own`` and ``others``.

    Parameters
    ----------
    own, others
        Weights above 0 of the class and of everything else (Pitman's model after n people:
        ``1 - alpha`` and ``theta + alpha + n - 1``).
    more
        People of the population who are not in the sample.
    """
    from scipy.special import betaln

    if more == 0:
        return Matched(1.0, 1.0)
    unique = float(np.exp(betaln(own, others + more) - betaln(own, others)))
    # 1 / F is the integral of s**(F - 1), s from 0 to 1; its mean over binomial F - 1 of chance p
    # is (1 - (1 - p)**(m + 1)) / ((m + 1) p)
    middle = np.log(own) - np.log(others)
    low = min(middle, -np.log(more + 1.0)) - _REACH / own
    logit = np.linspace(low, middle + _REACH / min(own, 1.0), _STEPS * max(1, round(1 / own)))
    p, log_rest = 1 / (1 + np.exp(-np.clip(logit, -700, 700))), -np.logaddexp(0, logit)
    density = np.exp(own * -np.logaddexp(0, -logit) + others * log_rest - betaln(own, others))
    chance = np.divide(
        -np.expm1((more + 1) * log_rest), (more + 1) * p, out=np.ones_like(p), where=p > 1e-300
    )
    # the trapezoid rule is exact to many digits for a smooth peak that vanishes at both ends
    step = logit[1] - logit[0]
    inverse = float((density * chance).sum() * step / (density.sum() * step))
    return Matched(unique, min(max(inverse, unique), 1.0))


def slide(alpha: float, beta: float, fraction: float) -> Matched:
    """Return it for classes of 1 + X people, X negative binomial, of which a share is sampled.

    Parameters
    ----------
    alpha, beta
        Of the negative binomial distribution.
    fraction
        Sampling fraction, above 0 and below 1.
    """
    from scipy.special import gammaln

    # P(F = j) * j * (1 - fraction)**(j - 1), up to a constant
    decay = np.log((1 - beta) * (1 - fraction))
    reach = int(min((_REACH + 10 * (1 + alpha)) / -decay * 4 + 1000, 5e6))
    x = np.arange(reach, dtype=np.float64)
    logs = gammaln(alpha + x) - gammaln(x + 1) + x * decay + np.log1p(x)
    return counted(x + 1, np.exp(logs - logs.max()))
