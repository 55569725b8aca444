"""Compiled loops over tuples, for counting the classes of nodes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = [
    "best_start",
    "count_persons",
    "count_rows",
    "number_keys",
    "pack_keys",
    "picked_sums",
]

Integers = npt.NDArray[np.int64]
Small = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float64]


@njit(cache=True)
def pack_keys(
    codes: Small,
    tables: npt.NDArray[np.uint64],
    starts: Integers,
    columns: Integers,
    keys: npt.NDArray[np.uint64],
) -> None:
    """Add each column's part to the key of each tuple."""
    for column in columns:
        start = starts[column]
        of_tuple = codes[column]
        for entry in range(len(keys)):
            keys[entry] += tables[start + of_tuple[entry]]


@njit(cache=True)
def number_keys(
    keys: npt.NDArray[np.uint64], rows: Integers, of_entry: Small, first: Small, totals: Integers
) -> int:
    """Give equal keys a number, in order of appearance; return how many there are."""
    entries = len(keys)
    bits = 4
    while (1 << bits) < 2 * entries:
        bits += 1
    shift = np.uint64(64 - bits)
    mask = (1 << bits) - 1
    slots = np.full(1 << bits, -1, np.int32)
    held = np.empty(entries, np.uint64)
    scatter = np.uint64(0x9E3779B97F4A7C15)  # 2**64 over the golden ratio
    found = 0
    for entry in range(entries):
        key = keys[entry]
        slot = np.int64((key * scatter) >> shift)
        while True:
            number = slots[slot]
            if number < 0:
                slots[slot] = found
                held[found] = key
                first[found] = entry
                of_entry[entry] = found
                totals[found] = rows[entry]
                found += 1
                break
            if held[number] == key:
                of_entry[entry] = number
                totals[number] += rows[entry]
                break
            slot = (slot + 1) & mask
    return found


@njit(cache=True)
def count_rows(
    of_tuple: Integers, values: Integers, counts: Integers, of_class: Small, held: Integers
) -> None:
    """Add the rows of each entry to its class and value."""
    for entry in range(len(of_tuple)):
        held[of_class[of_tuple[entry]], values[entry]] += counts[entry]


@njit(cache=True)
def count_persons(
    of_tuple: Integers, values: Integers, persons: Integers, of_class: Small, held: Integers
) -> None:
    """Count each person once for each class and value; entries are sorted by person."""
    last = np.full(held.shape, -1, np.int64)
    for entry in range(len(of_tuple)):
        of = of_class[of_tuple[entry]]
        value = values[entry]
        if last[of, value] != persons[entry]:
            last[of, value] = persons[entry]
            held[of, value] += 1


@njit(cache=True)
def best_start(kept: Small, sizes: Integers, levels: Small) -> int:
    """Return the smallest starting point at or below a node."""
    best = 0
    for place in range(1, len(sizes)):
        if sizes[place] >= sizes[best]:
            continue
        below = True
        for column in range(len(levels)):
            if kept[place, column] > levels[column]:
                below = False
                break
        if below:
            best = place
    return best


@njit(cache=True)
def picked_sums(
    codes: Small,
    entries: Small,
    rows: Integers,
    tables: Floats,
    starts: Integers,
    sums: Floats,
) -> None:
    """Sum over picked tuples, for each column, the rows times what a table says of the code.

    Parameters
    ----------
    codes
        Shape (q, m).
    entries
        The picked tuples, shape (p,).
    rows
        Rows of each picked tuple, shape (p,).
    tables, starts
        One flat array, and where each column's part begins, shape (q,).
    sums
        Shape (q,), written.
    """
    for column in range(len(starts)):
        total = 0.0
        start = starts[column]
        of_tuple = codes[column]
        for place in range(len(entries)):
            total += rows[place] * tables[start + of_tuple[entries[place]]]
        sums[column] = total
