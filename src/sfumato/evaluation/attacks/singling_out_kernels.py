"""Compiled loops over predicates: which rows satisfy each, and whom they isolate if labels move."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = ["find_matches", "permuted_excess"]

Codes = npt.NDArray[np.int32]
Rows = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]


@njit(cache=True)
def find_matches(
    low: Codes,
    high: Codes,
    spread: Bytes,
    order: Codes,
    first: Codes,
    first_starts: Rows,
    tables: Bytes,
    table_starts: Rows,
    table_widths: Rows,
    starts: Rows,
    columns: Codes,
    lows: Codes,
    highs: Codes,
    group: Bytes,
    both: bool,
    listed: Codes,
    counts: Codes,
    alone: Bytes,
) -> None:
    """List the rows that satisfy each conjunction, and stop as soon as no more is to be learned.

    Parameters
    ----------
    low, high
        Ends of each cell in codes, column by column, shape (C, n); the same for an exact value.
    spread
        Whether a column holds cells whose ends differ, shape (C,).
    order
        Rows in the order of ``low``, shape (C, n).
    first, first_starts
        One flat array: from ``first_starts[c]`` on, how many rows have ``low + 1`` below 0, 1, ...
    tables, table_starts, table_widths
        For a column of sets, whether the set of an atom (row) holds the cell (column); its start
        is -1 for other columns.
    starts, columns, lows, highs
        The atoms of predicate q are those from ``starts[q]`` to ``starts[q + 1]``.
    group
        0 or 1 for each row, shape (n,).
    both
        Whether to go on until it is known if either group has exactly one match.
    listed
        Written: the first matching rows of each predicate, shape (Q, most).
    counts
        Written: how many matches were seen, shape (Q,); above ``most`` where more exist.
    alone
        Written: whether exactly one row of group 0 and of group 1 matches, shape (Q, 2).
    """
    n = low.shape[1]
    most = listed.shape[1]
    longest = 1
    for q in range(len(starts) - 1):
        longest = max(longest, starts[q + 1] - starts[q])
    by = np.empty(longest, np.int64)
    sizes = np.empty(longest, np.int64)
    seen = np.zeros(2, np.int64)
    for q in range(len(starts) - 1):
        atoms = 0
        for atom in range(starts[q], starts[q + 1]):
            column = columns[atom]
            size = n + 1
            if table_starts[column] < 0:
                base = first_starts[column]
                size = max(0, first[base + highs[atom] + 2] - first[base + lows[atom] + 1])
            place = atoms
            while place > 0 and sizes[place - 1] > size:
                by[place], sizes[place] = by[place - 1], sizes[place - 1]
                place -= 1
            by[place], sizes[place] = atom, size
            atoms += 1
        seen[0], seen[1] = 0, 0
        found = 0
        lead = columns[by[0]]
        by_index = sizes[0] <= n
        begin = first[first_starts[lead] + lows[by[0]] + 1] if by_index else 0
        for step in range(sizes[0] if by_index else n):
            row = order[lead, begin + step] if by_index else step
            fits = True
            for place in range(atoms):
                atom = by[place]
                column = columns[atom]
                cell = low[column, row]
                if table_starts[column] >= 0:
                    held = table_starts[column] + lows[atom] * table_widths[column] + cell
                    fits = tables[held] != 0
                else:
                    last = high[column, row] if spread[column] else cell
                    fits = cell >= lows[atom] and last <= highs[atom]
                if not fits:
                    break
            if not fits:
                continue
            if found < most:
                listed[q, found] = row
            found += 1
            seen[group[row]] += 1
            if found > most and not (both and (seen[0] < 2 or seen[1] < 2)):
                break
        counts[q] = found
        alone[q, 0] = seen[0] == 1
        alone[q, 1] = seen[1] == 1


@njit(cache=True)
def permuted_excess(
    starts: Rows,
    people: Rows,
    family: Rows,
    listed: int,
    everybody: int,
    members: int,
    seed: int,
    totals: Rows,
) -> None:
    """Recount, under labels drawn anew, predicates that isolate a member less those a control.

    64 draws are worked on at once, one in each bit.

    Parameters
    ----------
    starts, people
        The people who satisfy predicate q are those from ``starts[q]`` to ``starts[q + 1]``.
    family
        Family of each predicate, shape (Q,).
    listed
        People are numbered below it.
    everybody, members
        How many people are attacked, and how many of them are members.
    seed
        Of the draws.
    totals
        Added to, shape (families, draws); draws are a multiple of 64.
    """
    state = np.uint64(seed)
    words = np.empty(listed, np.uint64)
    one, none = np.uint64(1), np.uint64(0)
    half = np.uint64(32)
    for block in range(totals.shape[1] // 64):
        words[:] = none
        for bit in range(64):
            flag = one << np.uint64(bit)
            left, total = np.uint64(members), np.uint64(everybody)
            for person in range(listed):
                # splitmix64 (Steele, Lea, Flood, OOPSLA 2014)
                state += np.uint64(0x9E3779B97F4A7C15)
                mixed = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
                mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
                mixed ^= mixed >> np.uint64(31)
                if ((mixed >> half) * total) >> half < left:
                    words[person] |= flag
                    left -= one
                total -= one
        for q in range(len(starts) - 1):
            once, twice, other, others = none, none, none, none
            for place in range(starts[q], starts[q + 1]):
                word = words[people[place]]
                twice |= once & word
                once |= word
                word = ~word
                others |= other & word
                other |= word
            isolates = once & ~twice
            isolates_control = other & ~others
            more, less = isolates & ~isolates_control, isolates_control & ~isolates
            if more == none and less == none:
                continue
            of = family[q]
            for bit in range(64):
                shift = np.uint64(bit)
                plus = np.int64((more >> shift) & one)
                totals[of, block * 64 + bit] += plus - np.int64((less >> shift) & one)
