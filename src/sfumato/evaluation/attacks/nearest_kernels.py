"""Compiled loops of the nearest-record search.

Rows lie in blocks of ``BLOCK`` alike ones. A block's box bounds how near its rows can be; the rows
of a block that may hold a near one are compared all at once in single precision, with a slack so
that none is lost; whatever then remains is measured exactly, in whole units of 1 / GRID.

A cell is a span of numbers or codes, ends included: a value is a span of one, ``*`` is open to both
sides, and cells that stand for any set of values have a table of what fits.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from sfumato.evaluation.attacks.tables import GRID

__all__ = [
    "BLOCK",
    "CATEGORY",
    "FAR",
    "SPAN",
    "STEPS",
    "TABLE",
    "Blocks",
    "Sought",
    "bound_blocks",
    "compare_block",
    "fill_costs",
    "nearest",
    "order_visits",
    "within",
]

Array = npt.NDArray[Any]

BLOCK = 64
_GRID = np.float32(GRID)
_ZERO = np.float32(0)
FAR = np.float32(3e38)
#: Kinds of columns, added up: cells may be spans; a category; a table of what fits.
SPAN, CATEGORY, TABLE = 1, 2, 4
_LOOK = 5  # columns after which a block is given up if none of its rows is still near
STEPS = 8  # blocks are visited by their bounds in steps of GRID / STEPS


class Blocks(NamedTuple):
    """Distinct rows to be searched, of which the last block is filled up with rows of weight 0.

    Parameters
    ----------
    kinds
        Kind of each column, shape (c,).
    split
        Columns from this one on belong to the second of two views.
    weight
        Rows that each distinct row stands for, shape (m,).
    cells
        Ends of the spans of numbers or codes, shape (m, c, 2).
    near_low, near_high
        The same on the scale of the fast comparison, shape (blocks, c, BLOCK).
    holds
        Which codes a block holds, by their last six bits, shape (c, blocks).
    box_low, box_high
        Ends of all cells of a block, shape (c, blocks).
    width
        Of each number, shape (c,).
    fits
        Tables of what fits, one after the other.
    slack
        By how much the fast comparison may overstate a distance.
    """

    kinds: Array
    split: int
    weight: Array
    cells: Array
    near_low: Array
    near_high: Array
    holds: Array
    box_low: Array
    box_high: Array
    width: Array
    fits: Array
    slack: np.float32


class Sought(NamedTuple):
    """Rows that are looked up.

    Parameters
    ----------
    cells
        Ends of the spans of numbers or codes, shape (n, c, 2).
    near
        The same on the scale of the fast comparison.
    reach
        Which codes of a block would fit, by their last six bits, shape (n, c).
    table
        Where in ``fits`` begins what fits the cell, shape (n, c).
    own
        Distinct row that is the row itself, of which one is left out; -1 for none, shape (n,).
    """

    cells: Array
    near: Array
    reach: Array
    table: Array
    own: Array


@njit(cache=True)
def bound_blocks(
    kinds: Array,
    holds: Array,
    box_low: Array,
    box_high: Array,
    reach: Array,
    near: Array,
    columns: range,
    bound: Array,
) -> None:
    """Bound the distance of a row to the rows of each block from below."""
    blocks = len(bound)
    bound[:] = _ZERO
    for c in columns:
        if kinds[c] >= CATEGORY:
            codes, held = reach[c], holds[c]
            for b in range(blocks):
                bound[b] += _GRID if held[b] & codes == 0 else _ZERO
        else:
            low, high, first, last = near[c, 0], near[c, 1], box_low[c], box_high[c]
            for b in range(blocks):
                above, below = first[b] - high, low - last[b]
                gap = above if above > below else below
                gap = gap if gap > _ZERO else _ZERO
                bound[b] += gap if gap < _GRID else _GRID


@njit(cache=True)
def order_visits(bound: Array, steps: Array, order: Array) -> None:
    """Order the blocks by their bounds, in steps."""
    steps[:] = 0
    last = len(steps) - 2
    for b in range(len(bound)):
        steps[min(int(bound[b] * (STEPS / GRID)), last) + 1] += 1
    for step in range(1, len(steps)):
        steps[step] += steps[step - 1]
    for b in range(len(bound)):
        step = min(int(bound[b] * (STEPS / GRID)), last)
        order[steps[step]] = b
        steps[step] += 1


@njit(cache=True, fastmath={"nnan", "nsz"})
def compare_block(
    kinds: Array,
    low: Array,
    high: Array,
    near: Array,
    table: Array,
    fits: Array,
    columns: range,
    limit: np.float32,
    apart: Array,
) -> bool:
    """Compare a row with a block in single precision; return whether any row may be near."""
    apart[:] = _ZERO
    for c in columns:
        first, least, most = low[c], near[c, 0], near[c, 1]
        if kinds[c] & TABLE:
            begin = table[c]
            for j in range(BLOCK):
                apart[j] += _ZERO if fits[begin + np.int64(first[j])] else _GRID
        elif kinds[c] & SPAN or least != most:
            last = high[c]
            for j in range(BLOCK):
                above, below = first[j] - most, least - last[j]
                gap = above if above > below else below
                gap = gap if gap > _ZERO else _ZERO
                apart[j] += gap if gap < _GRID else _GRID
        else:
            for j in range(BLOCK):
                gap = abs(first[j] - least)
                apart[j] += gap if gap < _GRID else _GRID
        if (c + 1 - columns.start) % _LOOK == 0 or c == columns.stop - 1:
            nearest_one = apart[0]
            for j in range(BLOCK):
                nearest_one = apart[j] if apart[j] < nearest_one else nearest_one
            if nearest_one > limit:
                return False
    return True


@njit(cache=True)
def fill_costs(
    kinds: Array,
    width: Array,
    fits: Array,
    cells: Array,
    sought: Array,
    table: Array,
    columns: range,
    costs: Array,
) -> int:
    """Fill in the exact cost of each cell, as ``AttackColumn.cost`` defines it; return the sum."""
    total = 0
    for c in columns:
        first, last, low, high = cells[c, 0], cells[c, 1], sought[c, 0], sought[c, 1]
        cost = GRID
        if kinds[c] & TABLE:
            cost = 0 if fits[table[c] + int(first)] else GRID
        elif (first == -np.inf and last == np.inf) or (low == -np.inf and high == np.inf):
            cost = 0
        elif np.isnan(first) or np.isnan(low):
            cost = 0 if np.isnan(first) and np.isnan(low) else GRID
        else:
            gap = max(first - high, low - last)
            if gap <= 0:
                cost = 0
            elif kinds[c] < CATEGORY:
                units = np.rint(gap / width[c] * GRID)
                cost = int(min(max(units, 1.0), float(GRID)))
        costs[c] = cost
        total += cost
    return total


@njit(cache=True)
def nearest(blocks: Blocks, sought: Sought, k: int, distances: Array, counts: Array) -> None:
    """Find the distances of the k nearest rows of each row that is looked up.

    Parameters
    ----------
    blocks, sought
        What is searched and what is looked up.
    k
        At least 1.
    distances, counts
        Filled: the distinct distances in rising order and the rows at each, all rows at the last
        one counted, shape (n, k); unused places stay as they are.
    """
    kinds, weight, cells, fits = blocks.kinds, blocks.weight, blocks.cells, blocks.fits
    width, near_low, near_high = blocks.width, blocks.near_low, blocks.near_high
    number, every = len(near_low), range(len(kinds))
    bound, apart = np.empty(number, np.float32), np.empty(BLOCK, np.float32)
    order, steps = np.empty(number, np.int64), np.empty(STEPS * len(kinds) + 2, np.int64)
    costs = np.empty(len(kinds), np.int64)
    at, many = np.zeros(k + 1, np.int64), np.zeros(k + 1, np.int64)
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
        held, total = 0, 0
        limit = FAR
        for b in order:
            if bound[b] > limit:
                continue
            if not compare_block(
                kinds, near_low[b], near_high[b], near, table, fits, every, limit, apart
            ):
                continue
            for j in range(BLOCK):
                row = b * BLOCK + j
                if apart[j] > limit:
                    continue
                rows = weight[row] - (row == own)
                if rows <= 0:
                    continue
                distance = fill_costs(kinds, width, fits, cells[row], asked, table, every, costs)
                if total >= k and distance > at[held - 1]:
                    continue
                place = held
                while place > 0 and at[place - 1] >= distance:
                    place -= 1
                if place < held and at[place] == distance:
                    many[place] += rows
                else:
                    for later in range(held, place, -1):
                        at[later], many[later] = at[later - 1], many[later - 1]
                    at[place], many[place] = distance, rows
                    held += 1
                total += rows
                while total - many[held - 1] >= k:
                    held -= 1
                    total -= many[held]
                if total >= k:
                    limit = np.float32(at[held - 1]) + blocks.slack
        for place in range(held):
            distances[i, place], counts[i, place] = at[place], many[place]


@njit(cache=True)
def within(blocks: Blocks, sought: Sought, reach: Array, starts: Array) -> tuple[Array, Array]:
    """Find the distinct rows within a distance of each row that is looked up.

    Parameters
    ----------
    blocks, sought
        What is searched and what is looked up.
    reach
        Greatest distance, ends included, shape (n,).
    starts
        Filled: where the rows found for each begin, shape (n + 1,).

    Returns
    -------
    found, distances
        Distinct rows and their distances, one row looked up after the other.
    """
    kinds, weight, cells, fits = blocks.kinds, blocks.weight, blocks.cells, blocks.fits
    width, near_low, near_high = blocks.width, blocks.near_low, blocks.near_high
    number, every = len(near_low), range(len(kinds))
    bound, apart = np.empty(number, np.float32), np.empty(BLOCK, np.float32)
    costs = np.empty(len(kinds), np.int64)
    found, distances = np.empty(1024, np.int64), np.empty(1024, np.int64)
    size = 0
    for i in range(len(sought.cells)):
        asked, near, table, own = sought.cells[i], sought.near[i], sought.table[i], sought.own[i]
        starts[i] = size
        limit = np.float32(reach[i]) + blocks.slack
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
        for b in range(number):
            if bound[b] > limit:
                continue
            if not compare_block(
                kinds, near_low[b], near_high[b], near, table, fits, every, limit, apart
            ):
                continue
            if size + BLOCK > len(found):
                found = np.concatenate((found, np.empty_like(found)))
                distances = np.concatenate((distances, np.empty_like(distances)))
            for j in range(BLOCK):
                row = b * BLOCK + j
                if apart[j] > limit or weight[row] - (row == own) <= 0:
                    continue
                distance = fill_costs(kinds, width, fits, cells[row], asked, table, every, costs)
                if distance <= reach[i]:
                    found[size], distances[size] = row, distance
                    size += 1
    starts[len(sought.cells)] = size
    return found[:size], distances[:size]
