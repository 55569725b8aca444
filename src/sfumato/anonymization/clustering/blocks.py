"""Blocks of a few thousand entries, within which a clustering of quadratic cost can run."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sfumato.anonymization.clustering.measure import Tables, costs_of_boxes

__all__ = ["blocks_of"]

Integers = npt.NDArray[np.int64]
Codes = npt.NDArray[np.int32]

_LEAST_SHARE = 8  # a cut leaves at least an eighth of the entries on each side, if there is such


def blocks_of(
    tables: Tables, codes: Codes, people: Integers, k: int, most: int
) -> tuple[Integers, ...]:
    """Cut entries into blocks, as Mondrian does: in two, at a border between people who differ.

    Of each column the border nearest to the median of the people is tried, between two children of
    the lowest node that holds the block (for numbers, between any two); the cut is made that lowers
    the cost of the two sides most.

    Parameters
    ----------
    tables
        Costs of the columns (q).
    codes, people
        Entries, shape (m, q), and how many people have each, shape (m,); an entry of none, whose
        rows belong to people of others, counts for no side.
    k
        Least number of people of a block; there must be as many in all.
    most
        Entries that a block may have; one in which no cut leaves k people on both sides may have
        more.

    Returns
    -------
    tuple of np.ndarray
        The numbers of the entries of each block, rising.
    """
    done: list[Integers] = []
    waiting = [np.arange(len(codes))]
    while waiting:
        block = waiting.pop()
        upper = None if len(block) <= most else _best_cut(tables, codes[block], people[block], k)
        if upper is None:
            done.append(block)
        else:
            waiting += [block[upper], block[~upper]]
    return tuple(done)


def _best_cut(
    tables: Tables, codes: Codes, people: Integers, k: int
) -> npt.NDArray[np.bool_] | None:
    """Return which entries of a block lie above the best cut; None if there is none."""
    best: tuple[bool, float] | None = None
    chosen = None
    for column in range(codes.shape[1]):
        border = _border(tables, column, codes[:, column], people, k)
        if border is None:
            continue
        upper = codes[:, column] >= border
        sides = [codes[upper], codes[~upper]]
        weights = np.array([people[upper].sum(), people[~upper].sum()])
        low = np.stack([side.min(axis=0) for side in sides])
        high = np.stack([side.max(axis=0) for side in sides])
        cost = float(weights @ costs_of_boxes(tables, low, high))
        lopsided = min(len(side) for side in sides) * _LEAST_SHARE < len(codes)
        if best is None or (lopsided, cost) < best:
            best, chosen = (lopsided, cost), upper
    return chosen


def _border(
    tables: Tables, column: int, codes: npt.NDArray[np.int32], people: Integers, k: int
) -> int | None:
    """Return the least code above the border nearest to the median, with k people on each side."""
    present, of_entry = np.unique(codes, return_inverse=True)
    if len(present) < 2:
        return None
    weights = np.bincount(of_entry, people).astype(np.int64)
    below = np.cumsum(weights)[:-1]
    total = int(weights.sum())
    possible = (below >= k) & (total - below >= k)
    start, n_codes = tables.start[column], tables.n_codes[column]
    for level in range(1, tables.height[column] + 1):
        if level == tables.height[column] or _same(tables, start + level * n_codes, present):
            # the children of the lowest node that holds all of them are groups of the level below
            groups = tables.groups[start + (level - 1) * n_codes + present]
            possible &= groups[1:] != groups[:-1]
            break
    if not possible.any():
        return None
    distance = np.where(possible, np.abs(2 * below - total), np.iinfo(np.int64).max)
    return int(present[1:][distance.argmin()])


def _same(tables: Tables, level: int, present: npt.NDArray[np.int32]) -> bool:
    return bool(tables.groups[level + present[0]] == tables.groups[level + present[-1]])
