"""What each criterion measures in each equivalence class, from sparse counts of one column.

No class is looked at alone: the counts of all classes are one array, and each measure is a sum or a
maximum over the runs of it. The work grows with the number of different (class, value) pairs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sfumato.privacy import ValueCounts

__all__ = ["ClassShares", "class_shares"]

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_ROUNDING = 1e-12


@dataclass(frozen=True, eq=False)
class ClassShares:
    """What is measured of one sensitive column, arrays of shape (n_classes,).

    Parameters
    ----------
    distinct
        Different values.
    entropy
        Entropy of the values, nats.
    dominance
        How often the most frequent value occurs, divided by how often all do but the
        ``least_distinct - 1`` most frequent.
    least_distinct
        The least of ``distinct`` over all classes.
    largest_share
        Of the members of the class that hold one value.
    distance
        From the whole table, 0 to 1: total variation, or the earth mover's for ordered values.
    gain
        Largest (q - p) / p, q a value's share in the class and p that in the whole table.
    likeness_kept
        Whether (q - p) / p <= -ln p for every value.
    rarest
        Share in the whole table of its rarest value.
    change
        Largest ``|log2(q / p)|`` of the values that the class holds, bits.
    """

    distinct: Integers
    entropy: Floats
    dominance: Floats
    least_distinct: int
    largest_share: Floats
    distance: Floats
    gain: Floats
    likeness_kept: npt.NDArray[np.bool_]
    rarest: float
    change: Floats


def class_shares(
    values: ValueCounts, sizes: Integers, overall: Integers, order: Integers | None = None
) -> ClassShares:
    """Measure every class.

    Parameters
    ----------
    values
        How often each value occurs in each class; every class holds at least one.
    sizes
        Members of each class, shape (n_classes,).
    overall
        How often each value occurs in the whole table, shape (n_values,), each at least 1.
    order
        For ordered values their positions, least first, shape (n_values,); None: every value is as
        far from every other.
    """
    held, counts = values.classes, values.counts
    starts = np.flatnonzero(np.diff(held, prepend=-1))
    distinct = np.diff(starts, append=len(held)).astype(np.int64)
    totals = np.add.reduceat(counts, starts)
    share = counts / np.repeat(totals, distinct)
    whole = overall / overall.sum()
    ratio = share / whole[values.values]
    logs = np.log(ratio)
    gain = ratio - 1
    bound = -np.log(whole)[values.values]
    least = int(distinct.min())
    return ClassShares(
        distinct=distinct,
        entropy=_entropy(counts, totals, starts),
        dominance=_dominance(held, counts, starts, distinct, least),
        least_distinct=least,
        largest_share=np.maximum.reduceat(counts, starts) / sizes,
        distance=(
            np.add.reduceat(np.maximum(share - whole[values.values], 0), starts)
            if order is None
            else _ordered_distance(values, totals, distinct, whole, order)
        ),
        gain=np.maximum.reduceat(gain, starts),
        likeness_kept=np.logical_and.reduceat(gain <= bound + _ROUNDING, starts),
        rarest=float(whole.min()),
        change=np.maximum.reduceat(np.abs(logs), starts) / np.log(2),
    )


def _entropy(counts: Integers, totals: Integers, starts: Integers) -> Floats:
    """Return log n - sum(c log c) / n, 0 where one value is all there is."""
    found: Floats = np.log(totals) - np.add.reduceat(counts * np.log(counts), starts) / totals
    return np.maximum(found, 0.0)


def _dominance(
    held: Integers, counts: Integers, starts: Integers, distinct: Integers, least: int
) -> Floats:
    """Return r_1 / (r_l + ... + r_m) of each class, r its counts in falling order."""
    highest = int(counts.max())
    # one key for class and falling count, sorted at once
    key = held * (highest + 1) + (highest - counts)
    key.sort()
    falling = highest - key % (highest + 1)
    place = np.arange(len(held)) - np.repeat(starts, distinct)
    tail = np.add.reduceat(np.where(place >= least - 1, falling, 0), starts)
    quotient: Floats = falling[starts] / tail
    return quotient


def _ordered_distance(
    values: ValueCounts, totals: Integers, distinct: Integers, whole: Floats, order: Integers
) -> Floats:
    """Return the earth mover's distance of ordered values to the whole, in steps over (m - 1).

    Both distributions are summed up along the order; the distance is the mean gap between the two
    sums. That of a class is constant between two values that it holds, and that of the whole
    rises, so that the gap over such a run follows from where the two cross and from sums of sums.
    """
    n_values = len(whole)
    if n_values == 1:
        return np.zeros(len(totals), dtype=np.float64)
    place = np.empty(n_values, dtype=np.int64)
    place[order] = np.arange(n_values)
    by_place = np.argsort(values.classes * n_values + place[values.values])
    at = place[values.values][by_place]
    starts = np.cumsum(distinct) - distinct
    summed = np.cumsum(values.counts[by_place])
    before = np.repeat(summed[starts] - values.counts[by_place][starts], distinct)
    own = (summed - before) / np.repeat(totals, distinct)
    rising = np.cumsum(whole[order])
    sums = np.concatenate([[0.0], np.cumsum(rising)])
    end = np.append(at[1:], 0)
    end[starts + distinct - 1] = n_values - 1
    cross = np.clip(np.searchsorted(rising, own), at, end)
    gap = (2 * cross - at - end) * own - 2 * sums[cross] + sums[at] + sums[end]
    moved = np.add.reduceat(gap, starts) + sums[at[starts]]
    distance: Floats = np.maximum(moved, 0.0) / (n_values - 1)
    return distance
