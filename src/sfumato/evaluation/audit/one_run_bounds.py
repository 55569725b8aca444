"""Lower bounds of epsilon from one run: many records, each put in or left out by a fair coin.

References
----------
T. Steinke, M. Nasr, M. Jagielski, "Privacy auditing with one (1) training run", NeurIPS 2023,
theorem 3.1 (pure) and theorem 5.2 (approximate differential privacy).
"""

from __future__ import annotations

import math

import numpy as np

__all__ = ["one_run_ceiling", "one_run_lower_bound", "one_run_p_value"]

_STEPS = 60
_MOST = 500.0  # an epsilon beyond all that a run could refute


def one_run_p_value(
    right: int, guesses: int, epsilon: float, delta: float = 0.0, *, canaries: int | None = None
) -> float:
    """Return how probable so many right guesses are at most, if the claim is kept.

    Parameters
    ----------
    right, guesses
        Right guesses of those made, 0 to guesses; how many are made must not depend on the coins.
    epsilon, delta
        What is claimed.
    canaries
        Records that had a coin, guessed or not; at least ``guesses`` (the default).

    Notes
    -----
    Under epsilon alone each guess is right with probability at most exp(epsilon) / (1 +
    exp(epsilon)), whatever the others are: the count is at most binomial. Under (epsilon, delta)
    delta moves at most 2 delta per record, spread as badly as can be over the counts just below.
    """
    from scipy.special import betainc
    from scipy.stats import binom

    if guesses == 0 or right == 0:
        return 1.0
    share = 1 / (1 + math.exp(-min(epsilon, _MOST)))
    beyond = float(betainc(right, guesses - right + 1, share))
    if delta == 0:
        return min(1.0, beyond)
    below = np.cumsum(binom.pmf(np.arange(right - 1, -1, -1), guesses, share))
    worst = float((below / np.arange(1, right + 1)).max())
    return min(1.0, beyond + 2 * (guesses if canaries is None else canaries) * delta * worst)


def one_run_lower_bound(
    right: int,
    guesses: int,
    delta: float = 0.0,
    *,
    canaries: int | None = None,
    confidence: float = 0.95,
) -> float:
    """Return a lower bound of epsilon that is right with the stated confidence; at least 0.

    Parameters
    ----------
    right, guesses, delta, canaries
        As in :func:`one_run_p_value`.
    confidence
        Between 0 and 1.

    Examples
    --------
    >>> round(one_run_lower_bound(100, 100), 2), round(one_run_lower_bound(750, 1_000), 2)
    (3.49, 0.98)
    """
    error = 1 - confidence

    def refuted(epsilon: float) -> bool:
        return one_run_p_value(right, guesses, epsilon, delta, canaries=canaries) <= error

    if not refuted(0.0):
        return 0.0
    low, high = 0.0, 1.0
    while high < _MOST and refuted(high):
        low, high = high, 2 * high
    for _ in range(_STEPS):
        epsilon = (low + high) / 2
        low, high = (epsilon, high) if refuted(epsilon) else (low, epsilon)
    return low


def one_run_ceiling(
    guesses: int, delta: float = 0.0, *, canaries: int | None = None, confidence: float = 0.95
) -> float:
    """Return the largest lower bound that so many guesses can give: all of them right."""
    return one_run_lower_bound(guesses, guesses, delta, canaries=canaries, confidence=confidence)
