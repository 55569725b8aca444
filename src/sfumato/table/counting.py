"""Counting equal tuples of small integers: pack a tuple into one key, count the keys.

The one place where the rows are grouped; a faster counter (compiled, on many cores) replaces
:func:`count_keys` and nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from sfumato.table.hierarchies.ladder import smallest_unsigned

__all__ = ["Counted", "count_keys", "count_tuples"]

# A key stays below this, so that it is the same number as a signed integer.
_LARGEST_KEY = 2**63
# Keys below this (or below the number of rows) are counted in an array of that length.
_DIRECT = 2**20


class Counted(NamedTuple):
    """Distinct keys or tuples in rising order, their counts, and the place of each row among them.

    Parameters
    ----------
    distinct
        Shape (m,) for keys, (m, q) for tuples.
    counts
        Shape (m,), int64.
    inverse
        Shape (n,), int64, or None if it was not asked for.
    """

    distinct: npt.NDArray[Any]
    counts: npt.NDArray[np.int64]
    inverse: npt.NDArray[np.int64] | None


def count_keys(keys: npt.NDArray[Any], bound: int, *, inverse: bool) -> Counted:
    """Count equal keys.

    Parameters
    ----------
    keys
        Shape (n,), uint32 or uint64.
    bound
        Every key is below it; at most 2**63.
    inverse
        Whether to return the place of each row's key among the distinct ones.
    """
    if bound <= max(_DIRECT, len(keys)):
        table = np.bincount(keys.astype(np.int64, copy=False), minlength=1)
        distinct = np.flatnonzero(table)
        place = None
        if inverse:
            place = np.empty(len(table), dtype=np.int64)
            place[distinct] = np.arange(len(distinct))
            place = place[keys]
        return Counted(distinct.astype(keys.dtype), table[distinct], place)
    if inverse:
        found, place, counts = np.unique(keys, return_inverse=True, return_counts=True)
        return Counted(found, counts.astype(np.int64), place.astype(np.int64, copy=False))
    ordered = np.sort(keys)
    changes = np.flatnonzero(ordered[1:] != ordered[:-1]) + 1
    starts = np.concatenate([[0], changes]) if len(keys) else changes
    return Counted(ordered[starts], np.diff(starts, append=len(keys)), None)


def count_tuples(
    columns: Sequence[npt.NDArray[Any]], radices: Sequence[int], rows: int, *, inverse: bool
) -> Counted:
    """Count equal rows of codes.

    Columns are packed into one key as long as it stays below 2**63. If there are more columns,
    the distinct keys so far are numbered in rising order, and their numbers stand for these
    columns in the next key.

    Parameters
    ----------
    columns
        Arrays of shape (rows,), unsigned.
    radices
        For each column a bound that every code is below.
    rows
        Number of rows.
    inverse
        Whether to return the tuple of each row.
    """
    width = len(columns)
    small = smallest_unsigned(max(radices, default=1))
    if rows == 0:
        place = np.zeros(0, dtype=np.int64) if inverse else None
        return Counted(np.zeros((0, width), small), np.zeros(0, dtype=np.int64), place)
    word: type[np.unsignedinteger[Any]] = np.uint64
    if math.prod(radices) <= 2**32:
        word = np.uint32  # half the memory, and sorted faster
    key = np.zeros(rows, dtype=word)
    bound = 1
    packed: list[int] = []  # radices of the columns in the key; the first may stand for `head`
    head: npt.NDArray[Any] | None = None
    for column, radix in zip(columns, radices, strict=True):
        if bound * radix > _LARGEST_KEY:
            counted = count_keys(key, bound, inverse=True)
            head = _unpack(counted.distinct, packed, head)
            key, bound = _inverse(counted).astype(word), len(counted.counts)
            packed = [bound]
        key *= word(radix)
        key += column
        bound *= radix
        packed.append(radix)
    counted = count_keys(key, bound, inverse=inverse)
    codes = np.ascontiguousarray(_unpack(counted.distinct, packed, head), dtype=small)
    return Counted(codes.reshape(len(counted.counts), width), counted.counts, counted.inverse)


def _unpack(
    keys: npt.NDArray[Any], radices: Sequence[int], head: npt.NDArray[Any] | None
) -> npt.NDArray[Any]:
    """Return the codes that keys were packed from, shape (m, columns)."""
    columns = []
    rest = keys
    for radix in reversed(radices):
        rest, code = np.divmod(rest, keys.dtype.type(radix))
        columns.append(code)
    columns.reverse()
    if head is not None:
        return np.column_stack([head[columns[0].astype(np.int64)], *columns[1:]])
    return np.column_stack(columns) if columns else np.zeros((len(keys), 0), dtype=np.uint64)


def _inverse(counted: Counted) -> npt.NDArray[np.int64]:
    if counted.inverse is None:
        raise ValueError("the inverse was not asked for")
    return counted.inverse
