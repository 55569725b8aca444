r"""Renyi divergences of discrete Gaussian noise on a random sample of the people.

Theorem
-------
Let each person be in the sample with probability q, independently (Poisson sampling); let integers
be summed over the sample, of which one person's move the sum by an integer vector g of squared
length at most D**2; let discrete Gaussian noise of parameter sigma**2 be added to each coordinate.
For tables that differ by the presence of one person and every *integer* order a >= 2, the Renyi
divergence in either direction is at most

    1 / (a - 1) * log( sum over k = 0 ... a of
        binomial(a, k) (1 - q)**(a - k) q**k exp(k (k - 1) D**2 / (2 sigma**2)) ).

*Proof.* Given who else is in the sample, the output is Q (noise around an integer vector s) without
the person and (1 - q) Q + q P with them, P being Q moved by g. The exponential of (a - 1) times the
divergence is jointly convex, so that the mean over who else is in the sample is at most its
greatest value.

With the person against without: by the binomial theorem the exponential is the sum over k of
binomial(a, k) (1 - q)**(a - k) q**k E_Q[(P / Q)**k], and E_Q[(P / Q)**k] =
exp(k (k - 1) |g|**2 / (2 sigma**2)) exactly: completing the square moves the lattice by k g, which
is a vector of integers, so that the sum over it stays what it was.

Without against with: x -> 2 s + g - x maps the integers onto themselves and swaps P and Q, so that
the difference of the two exponentials can be summed over pairs of points. Let r = P / Q at the one,
u = 1 - q + q r and v = 1 - q + q / r. The pair adds, but for a positive factor,
u**a - u**(1 - a) + r (v**a - v**(1 - a)). As t**a - t**(1 - a) = (t - 1) sum over j = 1 - a ...
a - 1 of t**j for integers a, and r (v - 1) = -(u - 1), that is 2 (u - 1) sum over j = 1 ... a - 1
of (cosh(j log u) - cosh(j log v)). Now u v = 1 + q (1 - q) (r + 1 / r - 2) >= 1, and u > 1 > v or
u < 1 < v: so abs(log u) >= abs(log v) in the first case, where u - 1 > 0, and the other way round
in the second. The pair adds 0 or more: the first direction is the larger one. QED.

So the formula that Mironov, Talwar and Zhang found for the continuous Gaussian carries over to
integers, at integer orders; it is the bound of Zhu and Wang (2019, Theorem 5; for any mechanism)
without that theorem's factor of 3. It is for the presence of a person, not for a change of values.

References
----------
Y. Zhu, Y.-X. Wang, "Poisson subsampled Renyi differential privacy", ICML 2019. Y.-X. Wang,
B. Balle, S. Kasiviswanathan, "Subsampled Renyi differential privacy and analytical moments
accountant", AISTATS 2019. I. Mironov, K. Talwar, L. Zhang, "Renyi differential privacy of the
sampled Gaussian mechanism", arXiv:1908.10530. C. Canonne, G. Kamath, T. Steinke, "The discrete
Gaussian for differential privacy", NeurIPS 2020, Theorem 4 and Proposition 12.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from sfumato.errors import PlanError

__all__ = ["ORDERS", "renyi_epsilon", "sampled_gaussian_renyi"]

Floats = npt.NDArray[np.float64]

_LARGEST_ORDER = 2**14
_ROUNDING = 1e-8  # of a sum of thousands of terms in double precision, relative: far above it

#: Orders at which divergences are added up: all small integers, then ever fewer.
ORDERS: tuple[int, ...] = (
    *range(2, 65),
    *sorted({round(64 * 1.25**k) for k in range(1, 25)} | {_LARGEST_ORDER}),
)


@lru_cache(maxsize=4096)
def sampled_gaussian_renyi(rate: float, ratio: float) -> Floats:
    """Return the greatest Renyi divergence of one noisy sum over a sample, at each of ``ORDERS``.

    Parameters
    ----------
    rate
        Probability with which each person is in the sample, above 0 and at most 1.
    ratio
        Squared sensitivity over the noise's sigma squared, above 0.

    Returns
    -------
    ndarray
        Shape (orders,), not to be written to; infinite where it exceeds what floats hold.
    """
    from scipy.special import logsumexp

    if not (0 < rate <= 1 and ratio > 0):
        raise PlanError("a sampling rate is above 0 and at most 1, and a ratio above 0")
    orders = np.array(ORDERS, dtype=np.float64)
    if rate == 1:
        found = orders * ratio / 2
    else:
        found = np.empty(len(ORDERS))
        for place, order in enumerate(ORDERS):
            k = np.arange(2, order + 1, dtype=np.float64)
            power = k * (k - 1) * (ratio / 2)
            chance = _log_binomials()[place] + k * math.log(rate) + (order - k) * math.log1p(-rate)
            # the chances sum to 1, so that the sum is 1 and what exceeds it; k = 0, 1 add nothing
            excess = float(logsumexp(chance + power + np.log(-np.expm1(-power))))
            found[place] = np.logaddexp(0.0, excess) / (order - 1)
    # a sample never tells more than everybody
    found = np.minimum(found, orders * ratio / 2) * (1 + _ROUNDING)
    found.setflags(write=False)
    return found


def renyi_epsilon(divergences: Floats, delta: float) -> float:
    """Return an epsilon (0 or more) that Renyi divergences at ``ORDERS`` give at delta.

    Canonne, Kamath & Steinke (2020), Proposition 12, at the best of the orders.

    Parameters
    ----------
    divergences
        Sum over all answers, shape (orders,).
    delta
        Above 0 and below 1.

    Examples
    --------
    >>> round(renyi_epsilon(0.5 * np.array(ORDERS), 1e-5), 2)
    4.75
    """
    if not 0 < delta < 1:
        raise PlanError(f"delta must be above 0 and below 1, not {delta}")
    orders = np.array(ORDERS, dtype=np.float64)
    rest = np.log1p(-1 / orders) - (math.log(delta) + np.log(orders)) / (orders - 1)
    return max(0.0, float((divergences + rest).min()))


@lru_cache(maxsize=1)
def _log_binomials() -> tuple[Floats, ...]:
    """Return the logarithms of binomial(order, k), k = 2 ... order, for each of ``ORDERS``."""
    from scipy.special import gammaln

    logs = gammaln(np.arange(1.0, _LARGEST_ORDER + 2))
    return tuple(logs[order] - logs[2 : order + 1] - logs[: order - 1][::-1] for order in ORDERS)
