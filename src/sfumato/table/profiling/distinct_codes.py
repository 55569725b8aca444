"""Columns as dense integer codes, and how many rows share each combination of codes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Codes", "codes_of", "combination_sizes"]

# Keys below so many cells are counted in an array, others are sorted.
_CELLS_PER_ROW = 2
_LARGEST_KEY = 2**62


@dataclass(frozen=True, eq=False)
class Codes:
    """One column as integers.

    Parameters
    ----------
    codes
        The code of each row, shape (n,), 0 to ``distinct - 1``.
    distinct
        How many codes there are; missing cells share one.
    """

    codes: NDArray[np.int64]
    distinct: int


def codes_of(column: pl.Series) -> Codes:
    """Return a column as dense codes; missing is a value of its own."""
    values = column.drop_nulls().unique()
    count = len(values)
    if count == 0:
        return Codes(np.zeros(len(column), dtype=np.int64), 1)
    if isinstance(column.dtype, pl.Categorical | pl.Enum):
        column, values = column.to_physical(), values.to_physical()
    codes = column.replace_strict(
        values, pl.Series(range(count), dtype=pl.Int64), default=None, return_dtype=pl.Int64
    )
    if not column.has_nulls():
        return Codes(codes.to_numpy(), count)
    return Codes(codes.fill_null(count).to_numpy(), count + 1)


def combination_sizes(columns: Sequence[Codes], person: Codes | None = None) -> NDArray[np.int64]:
    """Return the number of rows of each distinct combination of codes, in no particular order.

    Parameters
    ----------
    columns
        At least one column, all of one length n.
    person
        Whose row it is: sizes then count distinct persons.

    Examples
    --------
    >>> columns = [codes_of(pl.Series(cells)) for cells in ([1, 1, 2], ["a", "a", "b"])]
    >>> sorted(combination_sizes(columns).tolist())
    [1, 2]
    """
    key, cells = _packed(columns)
    if person is not None:
        # One row for each person of each combination, then the combinations are counted.
        pairs, cells = _packed([Codes(key, cells), person])
        key = np.unique(pairs) // person.distinct
        cells = cells // person.distinct
    if cells <= _CELLS_PER_ROW * key.size + 4096:
        sizes = np.bincount(key, minlength=0)
        return sizes[sizes > 0].astype(np.int64)
    ordered = np.sort(key)
    starts = np.flatnonzero(np.diff(ordered)) + 1
    return np.diff(np.concatenate(([0], starts, [ordered.size]))).astype(np.int64)


def _packed(columns: Sequence[Codes]) -> tuple[NDArray[np.int64], int]:
    """Return one integer for each row that tells its combination, and an upper bound of them."""
    key, cells = columns[0].codes, columns[0].distinct
    for column in columns[1:]:
        if cells * column.distinct >= _LARGEST_KEY:
            distinct, key = np.unique(key, return_inverse=True)
            cells = distinct.size
        key = key * column.distinct + column.codes
        cells *= column.distinct
    return key, cells
