"""Exact tests of members against controls: under a release that gives nobody away they are alike.

Who of the real people was a member and who a control could be exchanged, if the release tells
nothing of single people beyond the population. Each person's score depends on the person and the
release only; the ranks of the members' scores among all then have a known distribution, with no
model, whatever the sizes of the two groups. Ties are kept together, so that a printed p-value is
never too small.

References
----------
R. A. Fisher, "The Design of Experiments" (1935); R. G. Newcombe, Statistics in Medicine 17 (1998),
method 10; C. J. Clopper, E. S. Pearson, Biometrika 26 (1934); S. Holm, "A simple sequentially
rejective multiple test procedure", Scandinavian Journal of Statistics 6 (1979); B. Phipson, G. K.
Smyth, "Permutation p-values should never be zero", SAGMB 9 (2010).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from sfumato.evaluation.estimates import NORMAL_95, ONE_SIDED_95, POWER_80
from sfumato.evaluation.intervals import difference_of_shares

__all__ = [
    "Excess",
    "TopExcess",
    "clopper_pearson",
    "excess",
    "holm",
    "noticed_excess",
    "top_excess",
]

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

_DRAWS = 19_999
_NULL_SEED = 1979
_FEWER = 1_999  # where each draw takes every person
_FEW_VALUES = 200
_FRACTIONS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)


@dataclass(frozen=True)
class Excess:
    """How much more often members were hit than controls.

    Parameters
    ----------
    value
        Mean score of the members less that of the controls, -1 to 1.
    members, controls
        The two means, 0 to 1.
    n_members, n_controls
        People of either group.
    interval
        95 % interval of the excess.
    upper
        One-sided 95 % upper bound of the excess.
    p_value
        One-sided, exact; ties count against evidence.
    p_even
        The same with ties broken at random: uniform where nothing is to be found. It is for
        checking the test's level, never for a verdict.
    detectable
        The smallest excess that this test would have noticed in 80 % of cases.
    """

    value: float
    members: float
    controls: float
    n_members: int
    n_controls: int
    interval: tuple[float, float]
    upper: float
    p_value: float
    p_even: float
    detectable: float


def excess(members: Floats | Flags, controls: Floats | Flags, *, seed: int) -> Excess:
    """Compare how often members and controls were hit.

    Parameters
    ----------
    members, controls
        Score of each person, 0 to 1 (a share of tied guesses may be hits), shape (n,) and (m,),
        both at least 1.
    seed
        Of the draws of labels where scores are shares, and of breaking ties.

    Notes
    -----
    Hits of 0 and 1: Fisher's exact test (hypergeometric). Shares: draws of labels over the distinct
    scores (19,999; 1,999 if there are more than 200), and a normal interval.
    """
    hit, other = np.asarray(members, np.float64), np.asarray(controls, np.float64)
    n, m = len(hit), len(other)
    random = np.random.default_rng(seed)
    first, second = float(hit.mean()), float(other.mean())
    pooled = np.concatenate([hit, other])
    whole = bool(np.isin(pooled, (0.0, 1.0)).all())
    if whole:
        at_least, exactly = _hypergeometric(round(hit.sum()), n, m, round(pooled.sum()))
        interval = difference_of_shares(hit.sum(), n, other.sum(), m)
        upper = _newcombe_upper(first, n, second, m)
    else:
        at_least, exactly = _drawn(hit.sum(), pooled, n, random)
        spread = math.sqrt(hit.var() / n + other.var() / m)
        interval = (first - second - NORMAL_95 * spread, first - second + NORMAL_95 * spread)
        upper = first - second + ONE_SIDED_95 * spread
    return Excess(
        value=first - second,
        members=first,
        controls=second,
        n_members=n,
        n_controls=m,
        interval=interval,
        upper=min(upper, 1.0),
        p_value=at_least,
        p_even=at_least - random.random() * exactly,
        detectable=noticed_excess(n, m, second, float(other.var()) if not whole else None),
    )


def noticed_excess(n: int, m: int, base: float, variance: float | None = None) -> float:
    """Return the smallest excess that a one-sided test at 5 % notices in 80 % of cases.

    Parameters
    ----------
    n, m
        Members and controls, at least 1.
    base
        Share of the controls that are hit, 0 to 1.
    variance
        Of one control's score; that of a share by default.

    Notes
    -----
    Found by bisection on the normal approximation with a half count added on either side, so that
    it is above 0 where no control is hit.
    """
    base = (base * m + 0.5) / (m + 1)
    low, high = 0.0, 1.0 - base
    null = base * (1 - base) if variance is None else max(variance, 1e-12)
    for _ in range(60):
        gain = (low + high) / 2
        share = base + gain
        spread = share * (1 - share) if variance is None else null
        mixed = null if variance is not None else _mixed(base, share, n, m)
        needed = ONE_SIDED_95 * math.sqrt(mixed * (1 / n + 1 / m))
        needed += POWER_80 * math.sqrt(spread / n + null / m)
        low, high = (gain, high) if gain < needed else (low, gain)
    return high


def _mixed(base: float, share: float, n: int, m: int) -> float:
    pooled = (n * share + m * base) / (n + m)
    return pooled * (1 - pooled)


@dataclass(frozen=True)
class TopExcess:
    """How many more members than chance are among the highest scores.

    Parameters
    ----------
    p_value, p_even
        As in :class:`Excess`, over all depths together.
    depth
        The depth with the strongest excess: so many of the highest scores are looked at.
    members
        Members among them.
    expected
        Members among them by chance.
    detectable
        The smallest share of the members that this test would have noticed in 80 % of cases, if
        they had scored above everybody else.
    """

    p_value: float
    p_even: float
    depth: int
    members: int
    expected: float
    detectable: float


def top_excess(
    members: Floats,
    controls: Floats,
    *,
    seed: int,
    fractions: Sequence[float] = _FRACTIONS,
) -> TopExcess:
    """Test whether members are among the highest scores more often than chance, at any depth.

    Parameters
    ----------
    members, controls
        Score of each person, higher for one more likely to be in the release, shape (n,), (m,).
    seed
        Of the draws of labels and of breaking ties.
    fractions
        Depths as shares of all people; a depth is deepened to the end of a run of ties.

    Notes
    -----
    The statistic is the largest standardized count of members over all depths, its distribution
    drawn from the exact (multivariate hypergeometric) one of the counts between depths. One test at
    all depths keeps its level where Bonferroni over correlated depths would waste half of it.
    """
    scores = np.concatenate([members, controls])
    n, total = len(members), len(scores)
    random = np.random.default_rng(seed)
    # equal scores in an order that is drawn: used for p_even only
    shuffled = random.permutation(total)
    order = shuffled[np.argsort(-scores[shuffled], kind="stable")]
    ranked, is_member = scores[order], order < n
    ends = np.append(np.flatnonzero(ranked[1:] != ranked[:-1]) + 1, total)
    wanted = np.unique(np.clip(np.ceil(np.asarray(fractions) * total), 1, total - 1)).astype(int)
    tied = np.unique(ends[np.searchsorted(ends, wanted)])
    tied = tied[tied < total]
    running = np.concatenate([[0], np.cumsum(is_member)])
    p_value, best = 1.0, total
    if len(tied):
        _, as_strong, best = _strongest(running, tied, n, total)
        p_value = (1 + as_strong) / (_DRAWS + 1)
    stronger, as_strong, _ = _strongest(running, wanted, n, total)
    p_even = (stronger + random.random() * (as_strong - stronger + 1)) / (_DRAWS + 1)
    noticed = _noticed_at_the_top(wanted, n, total)
    return TopExcess(p_value, p_even, best, int(running[best]), best * n / total, noticed)


def _noticed_at_the_top(depths: npt.NDArray[np.int64], n: int, total: int) -> float:
    """Return the share of members that must stand at the top to be noticed; 1 if none suffices."""
    if n in (0, total):
        return 1.0
    places = tuple(depths.tolist())
    _, spread = _moments(places, n, total)
    critical = float(np.quantile(_null(places, n, total), 0.95))
    lifted = np.ceil((critical + POWER_80) * spread / (1 - n / total))
    fits = lifted <= depths
    return float(lifted[fits].min() / n) if fits.any() and lifted[fits].min() < n else 1.0


def _strongest(
    running: npt.NDArray[np.int64], depths: npt.NDArray[np.int64], n: int, total: int
) -> tuple[int, int, int]:
    """Return how many draws are stronger, how many at least as strong, and the depth that is."""
    places = tuple(depths.tolist())
    expected, spread = _moments(places, n, total)
    seen = (running[depths] - expected) / spread
    null, top = _null(places, n, total), seen.max()
    stronger = len(null) - int(np.searchsorted(null, top + 1e-9, "right"))
    as_strong = len(null) - int(np.searchsorted(null, top - 1e-9, "left"))
    return stronger, as_strong, int(depths[seen.argmax()])


def _moments(depths: tuple[int, ...], n: int, total: int) -> tuple[Floats, Floats]:
    places = np.asarray(depths)
    expected = places * n / total
    variance = expected * (1 - n / total) * (total - places) / max(total - 1, 1)
    return expected, np.maximum(np.sqrt(variance), 1e-12)


@lru_cache(maxsize=64)
def _null(depths: tuple[int, ...], n: int, total: int) -> Floats:
    """Return the drawn statistics where labels mean nothing, sorted: the same for all scores."""
    expected, spread = _moments(depths, n, total)
    sizes = np.diff(np.array([0, *depths, total]))
    random = np.random.default_rng(_NULL_SEED)
    drawn = random.multivariate_hypergeometric(sizes, n, size=_DRAWS)
    most: Floats = ((np.cumsum(drawn[:, :-1], axis=1) - expected) / spread).max(axis=1)
    most.sort()
    return most


def holm(
    p_values: Mapping[str, float], weights: Mapping[str, float] | None = None
) -> dict[str, float]:
    """Return each p-value adjusted so that all together err in at most the stated share of cases.

    Parameters
    ----------
    p_values
        By key, each 0 to 1.
    weights
        By key, above 0: a test of twice the weight is allowed twice the error; 1 by default. They
        must be chosen before any p-value is known.

    Notes
    -----
    Holm 1979, section 4: tests in the order of p over weight, each multiplied by the weight of all
    that are not yet rejected, over its own.

    Examples
    --------
    >>> holm({"a": 0.01, "b": 0.04, "c": 0.03})
    {'a': 0.03, 'b': 0.06, 'c': 0.06}
    >>> holm({"a": 0.02, "b": 0.5, "c": 0.5}, {"a": 2.0})["a"]
    0.04
    """
    given = weights or {}
    weight = {key: given.get(key, 1.0) for key in p_values}
    adjusted: dict[str, float] = {}
    highest, left = 0.0, sum(weight.values())
    for key in sorted(p_values, key=lambda one: p_values[one] / weight[one]):
        highest = max(highest, min(1.0, left / weight[key] * p_values[key]))
        adjusted[key] = highest
        left -= weight[key]
    return {key: adjusted[key] for key in p_values}


def clopper_pearson(successes: int, trials: int, *, level: float = 0.95) -> tuple[float, float]:
    """Return the exact two-sided interval of a share.

    Parameters
    ----------
    successes, trials
        0 to trials; trials at least 1.
    level
        Confidence, between 0 and 1.
    """
    from scipy.stats import beta

    tail = (1 - level) / 2
    low = 0.0 if successes == 0 else float(beta.ppf(tail, successes, trials - successes + 1))
    last = successes == trials
    high = 1.0 if last else float(beta.ppf(1 - tail, successes + 1, trials - successes))
    return low, high


def _hypergeometric(hits: int, n: int, m: int, hits_in_all: int) -> tuple[float, float]:
    """Return the chance of at least, and of exactly, so many hits among the members."""
    from scipy.stats import hypergeom

    law = hypergeom(n + m, hits_in_all, n)
    return min(1.0, float(law.sf(hits - 1))), float(law.pmf(hits))


def _drawn(
    total: float, pooled: Floats, n: int, random: np.random.Generator
) -> tuple[float, float]:
    values, counts = np.unique(pooled, return_counts=True)
    if len(values) <= _FEW_VALUES:
        drawn = random.multivariate_hypergeometric(counts, n, size=_DRAWS) @ values
    else:
        drawn = np.array(
            [random.choice(pooled, n, replace=False, shuffle=False).sum() for _ in range(_FEWER)]
        )
    reach = 1e-9 * max(1.0, abs(total))
    more, same = int((drawn > total + reach).sum()), int((drawn >= total - reach).sum())
    return (1 + same) / (len(drawn) + 1), (1 + same - more) / (len(drawn) + 1)


def _newcombe_upper(first: float, n: int, second: float, m: int) -> float:
    """Return the one-sided 95 % upper bound of a difference of shares."""
    high = _wilson_end(first, n, ONE_SIDED_95)
    low = _wilson_end(second, m, -ONE_SIDED_95)
    return first - second + math.hypot(high - first, second - low)


def _wilson_end(share: float, rows: int, z: float) -> float:
    square = z * z / rows
    reach = math.sqrt(share * (1 - share) * square + square * square / 4)
    end = (share + square / 2 + math.copysign(reach, z)) / (1 + square)
    return min(1.0, max(0.0, end))
