"""Lower bounds of epsilon from how often one event happens under two neighbouring tables.

Differential privacy says of every event that P(event | first) <= exp(epsilon) P(event | second)
+ delta, and the same of its opposite and the other way round. Counts in independent runs bound the
two probabilities by Clopper and Pearson's exact intervals, and so epsilon from below. The event
must have been chosen without looking at the runs that are counted.

References
----------
M. Jagielski, J. Ullman, A. Oprea, "Auditing differentially private machine learning", NeurIPS 2020,
section 3; M. Nasr et al., "Adversary instantiation: lower bounds for differentially private machine
learning", IEEE S&P 2021, section III; C. J. Clopper, E. S. Pearson, Biometrika 26 (1934).
"""

from __future__ import annotations

import math

__all__ = ["pair_ceiling", "pair_lower_bound", "pair_p_value", "share_bounds"]

_STEPS = 200  # halvings of an interval: to the last digit
_LEAST = 1e-300  # no count makes a claim impossible


def share_bounds(hits: int, runs: int, tail: float) -> tuple[float, float]:
    """Return the lower and the upper exact bound of a probability, each wrong with ``tail``.

    Parameters
    ----------
    hits, runs
        0 to runs; runs at least 1.
    tail
        Between 0 and 1.
    """
    from scipy.special import betaincinv

    low = 0.0 if hits == 0 else float(betaincinv(hits, runs - hits + 1, tail))
    high = 1.0 if hits == runs else float(betaincinv(hits + 1, runs - hits, 1 - tail))
    return low, high


def pair_lower_bound(
    hits: int,
    runs: int,
    other_hits: int,
    other_runs: int,
    delta: float = 0.0,
    *,
    confidence: float = 0.95,
) -> float:
    """Return a lower bound of epsilon that is right with the stated confidence.

    Parameters
    ----------
    hits, runs
        In how many of the runs on the first table the event happened.
    other_hits, other_runs
        The same for the second table, in independent runs.
    delta
        Of the claim, 0 to 1.
    confidence
        Between 0 and 1: each of the two probabilities is bounded at half of the rest.

    Returns
    -------
    float
        The largest of the bounds by the event and by its opposite, either way round; at least 0.

    Examples
    --------
    >>> round(pair_lower_bound(5_000, 10_000, 0, 10_000), 2)
    7.19
    """
    tail = (1 - confidence) / 2
    low, high = share_bounds(hits, runs, tail)
    other_low, other_high = share_bounds(other_hits, other_runs, tail)
    ways = (
        (low, other_high),
        (1 - high, 1 - other_low),
        (other_low, high),
        (1 - other_high, 1 - low),
    )
    return max(0.0, *(_log_ratio(above - delta, below) for above, below in ways))


def pair_ceiling(
    runs: int, other_runs: int, delta: float = 0.0, *, confidence: float = 0.95
) -> float:
    """Return the largest lower bound that so many runs can give: every run told apart."""
    return pair_lower_bound(runs, runs, 0, other_runs, delta, confidence=confidence)


def pair_p_value(
    hits: int,
    runs: int,
    other_hits: int,
    other_runs: int,
    epsilon: float,
    delta: float = 0.0,
) -> float:
    """Return the smallest error rate at which the lower bound exceeds a claim.

    Parameters
    ----------
    hits, runs, other_hits, other_runs
        As in :func:`pair_lower_bound`.
    epsilon, delta
        What is claimed; epsilon at least 0.

    Returns
    -------
    float
        Above 0, at most 1: under a mechanism that keeps its claim it is below any level u in at
        most a share u of audits.
    """
    first, second = (hits, runs), (other_hits, other_runs)
    not_first, not_second = (runs - hits, runs), (other_runs - other_hits, other_runs)
    crossings = (
        _crossing(*first, *second, epsilon, delta),
        _crossing(*not_first, *not_second, epsilon, delta),
        _crossing(*second, *first, epsilon, delta),
        _crossing(*not_second, *not_first, epsilon, delta),
    )
    return min(1.0, max(_LEAST, 2 * min(crossings)))


def _log_ratio(above: float, below: float) -> float:
    return math.log(above / below) if above > 0 else -math.inf


def _crossing(
    hits: int, runs: int, other_hits: int, other_runs: int, epsilon: float, delta: float
) -> float:
    """Return the tail at which the one-sided bounds of both probabilities meet the claim.

    At the second probability q, hits as many as seen have at most the chance at exp(epsilon) q +
    delta, which rises with q, and hits as few as seen under the second table have one that falls.
    """
    from scipy.special import betainc, betaincc

    if hits == 0 or other_hits == other_runs:
        return 1.0
    factor = math.exp(epsilon)
    low, high = 0.0, 1.0
    for _ in range(_STEPS):
        share = (low + high) / 2
        if share in (low, high):
            break
        most = min(1.0, factor * share + delta)
        so_many = float(betainc(hits, runs - hits + 1, most))
        so_few = float(betaincc(other_hits + 1, other_runs - other_hits, share))
        low, high = (share, high) if so_many < so_few else (low, share)
    return float(betainc(hits, runs - hits + 1, min(1.0, factor * high + delta)))
