"""The compiled loop that guesses every column from the rows nearest in all others."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from sfumato.evaluation.attacks.nearest_kernels import (
    BLOCK,
    CATEGORY,
    FAR,
    STEPS,
    Blocks,
    Sought,
    bound_blocks,
    compare_block,
    fill_costs,
    order_visits,
)
from sfumato.evaluation.attacks.tables import GRID

__all__ = ["Guesses", "without_each"]

Array = npt.NDArray[Any]


class Guesses(NamedTuple):
    """What a released cell says of a value, if the attacker guesses evenly within the cell.

    Parameters
    ----------
    pieces
        How many values each code stands for, by column and code, one column after the other.
    begin
        Where a column's codes begin in ``pieces``, shape (c,).
    values
        How many values a star stands for, of each category.
    tolerance
        How far a guess of a number may be off and still counts, shape (c,).
    least, most
        Ends of the numbers where a cell is open to one side, shape (c,).
    """

    pieces: Array
    begin: Array
    values: Array
    tolerance: Array
    least: Array
    most: Array


@njit(cache=True)
def _worth(
    category: bool,
    cell: Array,
    truth: float,
    cost: int,
    guesses: Guesses,
    c: int,
) -> float:
    """Return the chance that a guess within a released cell is right about a real value."""
    low, high = cell[0], cell[1]
    if category:
        if low == -np.inf:
            return 1.0 / float(guesses.values[c])
        return 1.0 / float(guesses.pieces[guesses.begin[c] + int(low)]) if cost == 0 else 0.0
    if np.isnan(low) or np.isnan(truth):
        return 1.0 if np.isnan(low) and np.isnan(truth) else 0.0
    tolerance = guesses.tolerance[c]
    low, high = max(low, guesses.least[c]), min(high, guesses.most[c])
    if high <= low:
        return 1.0 if abs(low - truth) <= tolerance else 0.0
    both = min(high, truth + tolerance) - max(low, truth - tolerance)
    return float(min(1.0, max(0.0, both / (high - low))))


@njit(cache=True)
def without_each(
    blocks: Blocks, sought: Sought, guesses: Guesses, distances: Array, share: Array
) -> None:
    """Find the nearest rows on all columns but one, for each column, in one traversal.

    A row within some distance on all columns but one is within that and GRID on all of them.

    Parameters
    ----------
    blocks, sought, guesses
        What is searched, what is looked up, and what a cell says.
    distances
        Filled: distance to the nearest rows, -1 if there is none, shape (n, columns).
    share
        Filled: the chance that what these rows say of the left-out column is right, a row drawn
        at random among ties, shape (n, columns).
    """
    kinds, weight, cells, fits = blocks.kinds, blocks.weight, blocks.cells, blocks.fits
    width, near_low, near_high = blocks.width, blocks.near_low, blocks.near_high
    number, columns = len(near_low), len(kinds)
    every = range(columns)
    bound, apart = np.empty(number, np.float32), np.empty(BLOCK, np.float32)
    order, steps = np.empty(number, np.int64), np.empty(STEPS * columns + 2, np.int64)
    costs, total = np.empty(columns, np.int64), np.empty(columns, np.int64)
    best, right = np.empty(columns, np.int64), np.empty(columns, np.float64)
    for i in range(len(sought.cells)):
        asked, near, table, own = sought.cells[i], sought.near[i], sought.table[i], sought.own[i]
        bound_blocks(
            kinds,
            blocks.holds,
            blocks.box_low,
            blocks.box_high,
            sought.reach[i],
            near,
            every,
            bound,
        )
        order_visits(bound, steps, order)
        limit = FAR
        best[:], right[:], total[:] = GRID * (columns + 1), 0.0, 0
        furthest = GRID * (columns + 1)
        for b in order:
            if bound[b] > limit:
                continue
            if not compare_block(
                kinds, near_low[b], near_high[b], near, table, fits, every, limit, apart
            ):
                continue
            for j in range(BLOCK):
                if apart[j] > limit:
                    continue
                row = b * BLOCK + j
                rows = weight[row] - (row == own)
                if rows <= 0:
                    continue
                distance = fill_costs(kinds, width, fits, cells[row], asked, table, every, costs)
                nearer = False
                for c in every:
                    rest = distance - costs[c]
                    if rest > best[c]:
                        continue
                    if rest < best[c]:
                        nearer = True
                        best[c], right[c], total[c] = rest, 0.0, 0
                    total[c] += rows
                    category = kinds[c] >= CATEGORY
                    right[c] += rows * _worth(
                        category, cells[row, c], asked[c, 0], costs[c], guesses, c
                    )
                if nearer:
                    furthest = 0
                    for c in every:
                        furthest = max(furthest, best[c])
                    limit = np.float32(furthest + GRID) + blocks.slack
        for c in every:
            distances[i, c] = best[c] if total[c] > 0 else -1
            share[i, c] = right[c] / max(total[c], 1)
