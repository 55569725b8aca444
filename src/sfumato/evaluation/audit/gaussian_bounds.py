"""Lower bounds for mechanisms that are known to add Gaussian noise.

Two normal distributions of equal spread whose means are mu spreads apart are what a mu-Gaussian-DP
mechanism is compared with. One event then says more of epsilon than by the definition of (epsilon,
delta): the whole trade-off between the two errors is known but for mu. It holds for mechanisms that
claim Gaussian differential privacy, and for no others.

References
----------
J. Dong, A. Roth, W. J. Su, "Gaussian differential privacy", JRSS B 84 (2022), definition 2.6 and
corollary 2.13; M. Nasr et al., "Tight auditing of differentially private machine learning", USENIX
Security 2023, section 4.2; B. Balle, Y.-X. Wang, "Improving the Gaussian mechanism for differential
privacy", ICML 2018, theorem 8.
"""

from __future__ import annotations

import math

from sfumato.evaluation.audit.pair_bounds import share_bounds

__all__ = ["gaussian_epsilon", "gaussian_lower_bound", "gaussian_mu", "gaussian_p_value"]

_STEPS = 200


def gaussian_lower_bound(
    hits: int, runs: int, other_hits: int, other_runs: int, *, confidence: float = 0.95
) -> float:
    """Return a lower bound of mu, at least 0.

    Parameters
    ----------
    hits, runs, other_hits, other_runs
        As in :func:`~sfumato.evaluation.audit.pair_lower_bound`.
    confidence
        Between 0 and 1.
    """
    return _mu_at((1 - confidence) / 2, hits, runs, other_hits, other_runs)


def gaussian_p_value(hits: int, runs: int, other_hits: int, other_runs: int, mu: float) -> float:
    """Return the smallest error rate at which the lower bound exceeds a claimed mu."""
    low, high = 0.0, 1.0
    for _ in range(_STEPS):
        # half-way between on the scale of logarithms: p-values may be very small
        level = math.sqrt(low * high) if low > 0 else high / 1024
        if level < 1e-300 or level in (low, high):
            break
        above = _mu_at(level / 2, hits, runs, other_hits, other_runs) > mu
        low, high = (low, level) if above else (level, high)
    return high


def _mu_at(tail: float, hits: int, runs: int, other_hits: int, other_runs: int) -> float:
    from scipy.special import ndtri

    low, high = share_bounds(hits, runs, tail)
    other_low, other_high = share_bounds(other_hits, other_runs, tail)
    ways = (ndtri(low) - ndtri(other_high), ndtri(other_low) - ndtri(high))
    return max(0.0, *(float(way) for way in ways))


def gaussian_epsilon(mu: float, delta: float) -> float:
    """Return the least epsilon at which mu-Gaussian-DP implies (epsilon, delta)-DP.

    Parameters
    ----------
    mu
        At least 0.
    delta
        Above 0 and below 1.

    Examples
    --------
    >>> round(gaussian_epsilon(1.0, 1e-5), 3)
    4.377
    """
    low, high = 0.0, 1.0
    if _delta_at(0.0, mu) <= delta:
        return 0.0
    while _delta_at(high, mu) > delta:
        low, high = high, 2 * high
    for _ in range(_STEPS):
        epsilon = (low + high) / 2
        low, high = (epsilon, high) if _delta_at(epsilon, mu) > delta else (low, epsilon)
    return high


def gaussian_mu(epsilon: float, delta: float) -> float:
    """Return the largest mu at which mu-Gaussian-DP implies (epsilon, delta)-DP.

    Parameters
    ----------
    epsilon
        At least 0.
    delta
        Above 0 and below 1.

    Examples
    --------
    >>> round(gaussian_mu(1.0, 1e-5), 4)
    0.2681
    """
    low, high = 0.0, 1.0
    while _delta_at(epsilon, high) <= delta:
        low, high = high, 2 * high
    for _ in range(_STEPS):
        mu = (low + high) / 2
        low, high = (mu, high) if _delta_at(epsilon, mu) <= delta else (low, mu)
    return low


def _delta_at(epsilon: float, mu: float) -> float:
    """Return the delta of mu-Gaussian-DP at an epsilon."""
    from scipy.special import log_ndtr, ndtr

    if mu <= 0:
        return 0.0
    # the logarithm of the second term first: exp(epsilon) alone may be beyond all numbers
    second = math.exp(epsilon + float(log_ndtr(-epsilon / mu - mu / 2)))
    return float(ndtr(-epsilon / mu + mu / 2)) - second
