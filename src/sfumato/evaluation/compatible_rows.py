"""With how many rows each row may be confused if suppressed and missing cells match every value.

Two combinations are compatible if in every column they are equal or one of them hides its cell.
All pairs of patterns of hidden cells are gone through, each as one look-up of keys over the columns
that neither hides; a pair serves both of its sides. Where that is too much, because many cells are
hidden in many ways, a random sample of rows is compared with all, which gives averages with an
interval.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sfumato.table.counting import count_tuples

__all__ = ["Compatible", "compatible_counts", "compatible_of_some", "too_many"]

Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

_KEYS = 60_000_000  # look-ups of keys: some seconds
_PAIRS = 150_000


@dataclass(frozen=True, eq=False)
class Compatible:
    """How many people each of some rows could be.

    Parameters
    ----------
    matches
        Shape (m,), each at least 1.
    exact
        Whether these are all rows of the release; else a random sample of them.
    """

    matches: Integers
    exact: bool


def too_many(wild: Flags) -> bool:
    """Whether going through all pairs of patterns is too much work.

    Parameters
    ----------
    wild
        Which cells of the distinct combinations are hidden, shape (t, q).
    """
    patterns = int(_patterns(wild).max(initial=-1)) + 1
    return patterns * len(wild) > _KEYS or patterns**2 > _PAIRS


def _patterns(wild: Flags) -> Integers:
    """Return which pattern of hidden cells each combination has, from 0, shape (t,)."""
    columns = [wild[:, column].astype(np.uint64) for column in range(wild.shape[1])]
    inverse = count_tuples(columns, [2] * len(columns), len(wild), inverse=True).inverse
    if inverse is None:
        raise ValueError("the inverse was not asked for")
    return inverse


def compatible_counts(codes: Integers, wild: Flags, weights: Integers) -> Integers:
    """Return for each combination the rows of all that are compatible with it.

    Parameters
    ----------
    codes
        The distinct combinations as numbers from 0, shape (t, q); equal values, equal numbers.
    wild
        Which cells match every value, shape (t, q).
    weights
        Rows of each combination, shape (t,).
    """
    pattern = _patterns(wild)
    ends = np.cumsum(np.bincount(pattern))[:-1]
    places = np.split(np.argsort(pattern, kind="stable"), ends)
    parts = _parts(codes, wild, places)
    found = [np.zeros(len(rows), dtype=np.int64) for rows in places]
    held = [weights[rows] for rows in places]
    for i, ours in enumerate(parts):
        for j in range(i, len(parts)):
            if i == j and not ours.mask.any():
                found[i] += held[i]  # of distinct combinations only itself is equal
                continue
            few, many = (i, j) if len(ours.key) <= len(parts[j].key) else (j, i)
            few_keys, many_keys = _keys(parts[few], parts[many])
            _both_ways(few_keys, many_keys, few, many, held, found)
    counts = np.empty(len(codes), dtype=np.int64)
    for rows, count in zip(places, found, strict=True):
        counts[rows] = count
    return counts


@dataclass(frozen=True, eq=False)
class _Part:
    """The combinations that hide the same columns.

    ``key`` is one number for all shown cells, the sum of ``terms``, shape (q, n), 0 where hidden;
    None if the columns have too many values for that.
    """

    mask: Flags
    key: npt.NDArray[np.uint64]
    terms: npt.NDArray[np.uint64]
    packed: bool


def _parts(codes: Integers, wild: Flags, places: list[Integers]) -> list[_Part]:
    widths = [int(width) + 1 for width in codes.max(axis=0)]
    packed = math.prod(widths) < 2**63
    scale = np.ones(len(widths), dtype=np.uint64)
    if packed:
        scale = np.array([math.prod(widths[:column]) for column in range(len(widths))], np.uint64)
    parts = []
    for rows in places:
        mask = wild[rows[0]]
        terms = np.ascontiguousarray(codes[rows].T).astype(np.uint64) * scale[:, None]
        terms[mask] = 0
        parts.append(_Part(mask, terms.sum(axis=0, dtype=np.uint64), terms, packed))
    return parts


def _keys(few: _Part, many: _Part) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
    """Return one number for the cells that both sides show, of each combination of either side."""
    if few.packed:
        sides = []
        for part, other in ((few, many), (many, few)):
            extra = np.flatnonzero(other.mask & ~part.mask)
            key = part.key
            for column in extra:
                key = key - part.terms[column]
            sides.append(key)
        return sides[0], sides[1]
    shown = np.flatnonzero(~(few.mask | many.mask))
    columns = [np.concatenate([few.terms[column], many.terms[column]]) for column in shown]
    widths = [int(column.max()) + 1 for column in columns]
    rows = len(few.key) + len(many.key)
    inverse = count_tuples(columns, widths, rows, inverse=True).inverse
    if inverse is None:
        raise ValueError("the inverse was not asked for")
    key = inverse.astype(np.uint64)
    return key[: len(few.key)], key[len(few.key) :]


def _both_ways(
    few_keys: npt.NDArray[np.uint64],
    many_keys: npt.NDArray[np.uint64],
    few: int,
    many: int,
    held: list[Integers],
    found: list[Integers],
) -> None:
    """Add the rows of either side that agree in the shown columns to the other side's count."""
    distinct, of_few = np.unique(few_keys, return_inverse=True)
    of_few = of_few.reshape(-1)
    summed = np.bincount(of_few, held[few], len(distinct)).astype(np.int64)
    if few == many:
        found[few] += summed[of_few]
        return
    place = np.searchsorted(distinct, many_keys)
    place[place == len(distinct)] = 0
    met = np.flatnonzero(distinct[place] == many_keys)
    place = place[met]
    found[many][met] += summed[place]
    back = np.bincount(place, held[many][met], len(distinct)).astype(np.int64)
    found[few] += back[of_few]


def compatible_of_some(codes: Integers, wild: Flags, asked: Integers) -> list[Integers]:
    """Return for some combinations which of all are compatible with them.

    For each, those that agree in its rarest shown value, or hide that column, are compared in the
    other columns.

    Parameters
    ----------
    codes, wild
        As for :func:`compatible_counts`.
    asked
        Their places, shape (m,).
    """
    columns = range(codes.shape[1])
    # one array for each column, -1 where hidden: few bytes and one look for every comparison
    cells = [np.where(wild[:, column], -1, codes[:, column]).astype(np.int32) for column in columns]
    order, starts, hidden = [], [], []
    for column in columns:
        by_value = np.argsort(cells[column], kind="stable")
        counts = np.bincount(cells[column] + 1, minlength=int(codes[:, column].max()) + 2)
        ends = np.cumsum(counts)
        order.append(by_value)
        starts.append(ends)  # of value v: from ends[v] to ends[v + 1]
        hidden.append(by_value[: ends[0]])
    found = []
    for one in asked:
        seen = [column for column in columns if cells[column][one] >= 0]
        if not seen:
            found.append(np.arange(len(codes)))
            continue
        sizes = {
            column: starts[column][cells[column][one] + 1] - starts[column][cells[column][one]]
            for column in seen
        }
        costs = {column: size + len(hidden[column]) for column, size in sizes.items()}
        seen.sort(key=costs.__getitem__)
        value = cells[seen[0]][one]
        first, last = starts[seen[0]][value], starts[seen[0]][value + 1]
        left = np.concatenate([order[seen[0]][first:last], hidden[seen[0]]])
        for column in sorted(seen[1:], key=sizes.__getitem__):
            found_cells = cells[column][left]
            left = left[(found_cells == cells[column][one]) | (found_cells < 0)]
        found.append(left)
    return found
