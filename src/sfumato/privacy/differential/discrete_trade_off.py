"""The mu of Gaussian differential privacy that discrete Gaussian noise keeps, exactly.

Whoever has to tell x from x + 1 by one noisy answer does best with a threshold (the likelihood
ratio rises with the answer). With F the distribution function of the noise, the threshold k errs
with probabilities 1 - F(k) and F(k - 1); a Gaussian of the same two errors is moved by
z(F(k)) - z(F(k - 1)), z the normal quantile (Dong, Roth & Su 2022, section 2). The trade-off
between thresholds is straight and that of a Gaussian convex, so that the noise keeps the largest of
these moves, and no smaller mu would do. It is that of k = 0: 2 z(1/2 + p(0) / 2), about
1 / sqrt(sigma**2 - 1/12). That no other threshold has a larger one is not proved here for all
variances, but looked up for the one that is asked for.

Looked at are thresholds up to an error of 10**-440. The trade-off beyond is by less than 10**-300
away from that of the Gaussian, which the slack of a charge covers many times.

A change of integers v, with sum v**2 at most D**2, costs at most D**2 mu**2 together: a count that
moves by v, in steps of 1, costs v mu (the same, Theorem 2.14), and squares of independent answers
add up.
"""

from __future__ import annotations

import math
from fractions import Fraction
from functools import lru_cache

import numpy as np

__all__ = ["LARGEST_VARIANCE", "unit_mu_squared", "unit_variance"]

#: Variance up to which all thresholds are looked at; beyond, the noise is as good as continuous.
LARGEST_VARIANCE = 10_000

_DEVIATIONS = 45
_NARROWEST = Fraction(1, 100)  # below, a mu of tens: nothing that could be called a promise
_LEAST = 1e-15  # of the probability of an answer other than the true one, to be told from 0
_MARGIN = 1e-9


@lru_cache(maxsize=4096)
def unit_mu_squared(variance: Fraction) -> float:
    """Return the squared mu of discrete Gaussian noise on a count that moves by 1, from above.

    Infinite for a variance below 1/100 and above :data:`LARGEST_VARIANCE`, where it is not looked
    at.

    Examples
    --------
    >>> round(unit_mu_squared(Fraction(4)), 5), round(unit_mu_squared(Fraction(1, 4)), 5)
    (0.25535, 6.19204)
    """
    from scipy.special import ndtri_exp

    if not _NARROWEST <= variance <= LARGEST_VARIANCE:
        return math.inf
    sigma_squared = float(variance)
    reach = math.ceil(_DEVIATIONS * math.sqrt(sigma_squared)) + 2
    # twice as far, so that what lies still further is beyond the digits of a sum of logarithms
    noise = -(np.arange(-2 * reach, 1, dtype=np.float64) ** 2) / (2 * sigma_squared)
    below = np.logaddexp.accumulate(noise)[:-1]
    whole = np.logaddexp(below[-1] + math.log(2), 0.0)
    quantiles = ndtri_exp(below[-reach:] - whole)
    largest = max(-2 * float(quantiles[-1]), float(np.diff(quantiles).max()))
    return largest**2 * (1 + _MARGIN)


def unit_variance(mu_squared: float) -> float:
    """Return a variance whose :func:`unit_mu_squared` is at most that, and hardly less.

    The sum of exp(-k**2 / (2 sigma**2)) over all integers, which is 1 / p(0), is at least
    sigma sqrt(2 pi) (Poisson's sum), so that p(0) is at most the density of the Gaussian at 0.
    Above :data:`LARGEST_VARIANCE` it is not looked at; infinite then.

    Examples
    --------
    >>> round(unit_variance(0.25), 4)
    4.0839
    """
    half = math.erf(math.sqrt(mu_squared / 8) * (1 - _MARGIN))
    if half <= _LEAST:
        return math.inf
    variance = (1 + _MARGIN) / (2 * math.pi * half**2)
    return variance if variance <= LARGEST_VARIANCE else math.inf
