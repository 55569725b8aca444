"""The compiled loop that tells whether the rows nearest by two views meet."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from sfumato.evaluation.attacks.nearest_kernels import (
    BLOCK,
    Blocks,
    Sought,
    bound_blocks,
    compare_block,
    fill_costs,
)

__all__ = ["link"]

Array = npt.NDArray[Any]


@njit(cache=True)
def _ways(many: int, drawn: int) -> float:
    """Return the logarithm of the number of ways to draw some of many; -inf if there is none."""
    if drawn < 0 or drawn > many:
        return -np.inf
    return math.lgamma(many + 1) - math.lgamma(drawn + 1) - math.lgamma(many - drawn + 1)


@njit(cache=True)
def _met(seen: Array, drawn: int, tied: int, other_drawn: int, other_tied: int) -> float:
    """Return the chance that two sets of nearest rows share one, ties broken at random.

    Parameters
    ----------
    seen
        Rows that are in both sets, whatever the ties; sure in the first and tied in the second;
        tied in the first and sure in the second; tied in both.
    drawn, tied, other_drawn, other_tied
        How many are drawn of how many tied rows, for either set.
    """
    if seen[0] > 0:
        return 1.0
    if seen.sum() == 0:
        return 0.0
    apart = 0.0
    for shared in range(min(seen[3], drawn) + 1):
        ways = _ways(seen[3], shared) + _ways(tied - seen[2] - seen[3], drawn - shared)
        ways += _ways(other_tied - seen[1] - shared, other_drawn)
        apart += math.exp(ways - _ways(tied, drawn) - _ways(other_tied, other_drawn))
    return min(1.0, max(0.0, 1.0 - apart))


@njit(cache=True)
def link(blocks: Blocks, sought: Sought, first: Array, second: Array, chances: Array) -> None:
    """Find how likely the nearest rows by one view and by another have a row in common.

    Parameters
    ----------
    blocks, sought
        What is searched and what is looked up; the columns are those of one view, then those of
        the other.
    first, second
        For either view and each number of nearest rows, rising: the distance of the last one, how
        many rows are tied there, how many of them are drawn, shape (n, numbers, 3).
    chances
        Filled, shape (n, numbers).
    """
    kinds, weight, cells, fits = blocks.kinds, blocks.weight, blocks.cells, blocks.fits
    width, near_low, near_high = blocks.width, blocks.near_low, blocks.near_high
    number, numbers = len(near_low), chances.shape[1]
    views = range(blocks.split), range(blocks.split, len(kinds))
    bounds, aparts = np.empty((2, number), np.float32), np.empty((2, BLOCK), np.float32)
    costs = np.empty(len(kinds), np.int64)
    seen = np.zeros((numbers, 4), np.int64)
    for i in range(len(sought.cells)):
        asked, near, table = sought.cells[i], sought.near[i], sought.table[i]
        limits = (
            np.float32(first[i, -1, 0]) + blocks.slack,
            np.float32(second[i, -1, 0]) + blocks.slack,
        )
        seen[:] = 0
        for view in range(2):
            bound_blocks(
                kinds,
                blocks.holds,
                blocks.box_low,
                blocks.box_high,
                sought.reach[i],
                near,
                views[view],
                bounds[view],
            )
        for b in range(number):
            if bounds[0, b] > limits[0] or bounds[1, b] > limits[1]:
                continue
            low, high = near_low[b], near_high[b]
            alike = True
            for view in range(2):
                alike = alike and compare_block(
                    kinds, low, high, near, table, fits, views[view], limits[view], aparts[view]
                )
            if not alike:
                continue
            for j in range(BLOCK):
                row = b * BLOCK + j
                rows = weight[row]
                if aparts[0, j] > limits[0] or aparts[1, j] > limits[1] or rows <= 0:
                    continue
                distance = fill_costs(kinds, width, fits, cells[row], asked, table, views[0], costs)
                other = fill_costs(kinds, width, fits, cells[row], asked, table, views[1], costs)
                for k in range(numbers):
                    if distance <= first[i, k, 0] and other <= second[i, k, 0]:
                        tied = 2 * (distance == first[i, k, 0]) + (other == second[i, k, 0])
                        seen[k, tied] += rows
        for k in range(numbers):
            chances[i, k] = _met(
                seen[k], first[i, k, 2], first[i, k, 1], second[i, k, 2], second[i, k, 1]
            )
