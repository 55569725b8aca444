"""From one way to state a privacy loss to another: epsilon and delta, rho (zCDP), mu (Gaussian).

References
----------
B. Balle, Y.-X. Wang, "Improving the Gaussian mechanism for differential privacy", ICML 2018,
Theorem 8. J. Dong, A. Roth, W. Su, "Gaussian differential privacy", JRSS B 2022, Corollary 2.13.
M. Bun, T. Steinke, "Concentrated differential privacy", TCC 2016. C. Canonne, G. Kamath,
T. Steinke, "The discrete Gaussian for differential privacy", NeurIPS 2020, Proposition 12.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from sfumato.errors import PlanError

__all__ = [
    "gdp_delta",
    "gdp_epsilon",
    "gdp_mu",
    "pure_epsilon_of_mu",
    "pure_mu",
    "zcdp_delta",
    "zcdp_epsilon",
    "zcdp_rho",
]

_STEPS = 200


def gdp_delta(mu: float, epsilon: float) -> float:
    """Return the exact delta of mu-Gaussian differential privacy at epsilon.

    Examples
    --------
    >>> round(gdp_delta(1.0, 1.0), 6)
    0.126937
    """
    from scipy.special import log_ndtr

    if mu < 0:
        raise PlanError(f"mu must be 0 or more, not {mu}")
    if mu == 0:
        return 0.0 if epsilon >= 0 else -math.expm1(epsilon)
    if math.isinf(mu):
        return 1.0
    first = float(log_ndtr(mu / 2 - epsilon / mu))
    second = epsilon + float(log_ndtr(-mu / 2 - epsilon / mu))
    return math.exp(first) * -math.expm1(min(0.0, second - first))


def gdp_epsilon(mu: float, delta: float) -> float:
    """Return the epsilon (0 or more) of mu-Gaussian differential privacy at delta.

    Examples
    --------
    >>> round(gdp_epsilon(1.0, 1e-5), 4)
    4.3772
    """
    _check_delta(delta)
    if math.isinf(mu):
        return math.inf
    return _least(lambda epsilon: gdp_delta(mu, epsilon) <= delta)


def gdp_mu(epsilon: float, delta: float) -> float:
    """Return the largest mu whose exact delta at epsilon is at most ``delta``.

    Examples
    --------
    >>> round(1 / gdp_mu(1.0, 1 / 39_073**2), 3)
    5.565
    """
    _check_delta(delta)
    return _most(lambda mu: gdp_delta(mu, epsilon) <= delta)


def zcdp_delta(rho: float, epsilon: float) -> float:
    """Return a delta that rho-zCDP gives at epsilon: the best of all orders of Renyi divergence."""
    if rho == 0:
        return 0.0

    def log_delta(order: float) -> float:
        rest = order * math.log1p(-1 / order) - math.log(order - 1)
        return (order - 1) * (order * rho - epsilon) + rest

    return min(1.0, math.exp(min(0.0, _lowest(log_delta))))


def zcdp_epsilon(rho: float, delta: float) -> float:
    """Return an epsilon (0 or more) that rho-zCDP gives at delta.

    Examples
    --------
    >>> round(zcdp_epsilon(0.5, 1e-5), 4)
    4.7284
    """
    _check_delta(delta)
    if math.isinf(rho):
        return math.inf
    if rho == 0:
        return 0.0

    def epsilon(order: float) -> float:
        rest = order * math.log1p(-1 / order) - math.log(order - 1) - math.log(delta)
        return order * rho + rest / (order - 1)

    return max(0.0, _lowest(epsilon))


def zcdp_rho(epsilon: float, delta: float) -> float:
    """Return the largest rho whose epsilon at delta is at most ``epsilon``."""
    _check_delta(delta)
    return _most(lambda rho: zcdp_epsilon(rho, delta) <= epsilon)


def pure_mu(epsilon: float) -> float:
    """Return the mu such that every epsilon-differentially private mechanism is mu-Gaussian.

    Both trade-off functions pass through the same fixed point, and the Gaussian one is convex: it
    lies below the two straight lines of pure differential privacy.
    """
    from scipy.special import ndtri

    # the probability of a right guess under randomized response is 1 / (1 + exp(-epsilon))
    return float(-2 * ndtri(1 / (1 + math.exp(epsilon)))) if epsilon < 700 else math.inf


def pure_epsilon_of_mu(mu: float) -> float:
    """Return the epsilon of which :func:`pure_mu` is mu."""
    from scipy.special import log_ndtr

    return float(log_ndtr(mu / 2) - log_ndtr(-mu / 2))


def _check_delta(delta: float) -> None:
    if not 0 < delta < 1:
        raise PlanError(f"delta must be above 0 and below 1, not {delta}")


def _lowest(value: Callable[[float], float]) -> float:
    """Return the least value over orders above 1: any order is valid, so a near miss is too."""
    from scipy.optimize import minimize_scalar

    found = minimize_scalar(
        lambda log_order: value(1 + math.exp(log_order)),
        bounds=(-12.0, 25.0),
        method="bounded",
        options={"xatol": 1e-9},
    )
    return float(found.fun)


def _least(holds: Callable[[float], bool]) -> float:
    """Return the least number from 0 where a rising condition holds, from above."""
    if holds(0.0):
        return 0.0
    high = 1.0
    while not holds(high):
        high *= 2
    low = 0.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


def _most(holds: Callable[[float], bool]) -> float:
    """Return the largest number above 0 where a falling condition holds, from below."""
    high = 1.0
    while holds(high):
        high *= 2
    low = 0.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low
