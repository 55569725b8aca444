"""What no local recoding can go below."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = ["cheapest_cells"]

Array = npt.NDArray[Any]


def cheapest_cells(
    codes: Array,
    weights: Array,
    offsets: Array,
    widths: Array,
    heights: Array,
    mixing: Array,
    cost: Array,
    k: int,
) -> Array:
    """Return for each entry what a row loses in the cheapest cell that holds it and k people.

    Any class is inside the cell of its labels, which therefore holds k people; so no recoding gives
    a row less loss than that, and the mean over the rows is a lower bound.

    The lattice is walked column by column: where a column has been said at some level, entries that
    have become equal are one, so that few are left to look at.

    Parameters
    ----------
    codes, offsets, widths, heights, mixing, cost, k
        As for :func:`sfumato.anonymization.local.repair_kernels.repair`. A key shared by chance
        would make a cell look larger and the bound lower: it stays a bound.
    weights
        People of each entry, shape (m,).

    Returns
    -------
    np.ndarray
        Shape (m,).
    """
    exact = np.zeros(len(codes), dtype=np.uint64)
    for column, offset in enumerate(offsets):
        exact += mixing[offset + codes[:, column]]

    def walk(entry: Array, key: Array, people: Array, column: int) -> Array:
        if column == codes.shape[1]:
            return np.where(people >= k, 0.0, np.inf)
        best = np.full(len(entry), np.inf)
        code = codes[entry, column]
        for level in range(heights[column] + 1):
            base = offsets[column] + level * widths[column]
            said = key - mixing[offsets[column] + code] + mixing[base + code]
            cell_of, first, held = _cells(said, people)
            rest = walk(entry[first], said[first], held, column + 1)
            np.minimum(best, rest[cell_of] + cost[base + code], out=best)
        return best

    return walk(np.arange(len(codes)), exact, weights, 0)


@njit(cache=True)
def _cells(key: Array, people: Array) -> tuple[Array, Array, Array]:
    """Return the cell of each entry, the first entry of each cell, and its people."""
    n = len(key)
    capacity = 1
    while capacity < 2 * n + 2:
        capacity *= 2
    mask = np.uint64(capacity - 1)
    slot_cell = np.full(capacity, -1, np.int64)
    cell_of = np.empty(n, np.int64)
    first = np.empty(n, np.int64)
    held = np.zeros(n, np.int64)
    cells = 0
    for i in range(n):
        slot = (key[i] ^ (key[i] >> np.uint64(29))) & mask
        while slot_cell[slot] >= 0 and key[first[slot_cell[slot]]] != key[i]:
            slot = (slot + np.uint64(1)) & mask
        if slot_cell[slot] < 0:
            slot_cell[slot] = cells
            first[cells] = i
            cells += 1
        cell_of[i] = slot_cell[slot]
        held[slot_cell[slot]] += people[i]
    return cell_of, first[:cells].copy(), held[:cells].copy()
