"""Whose values a group carries: for each column, or slice of columns, one of its own people."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import chain

import numpy as np
import numpy.typing as npt
import polars as pl

from sfumato.anonymization.guided.coding import is_number
from sfumato.anonymization.scales import numbers_of_column

__all__ = ["column_groups", "representatives"]

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


def column_groups(
    names: Sequence[str], slices: Sequence[Sequence[str]]
) -> tuple[tuple[str, ...], ...]:
    """Return the columns that are represented together: each slice, and each other one alone."""
    held = set(chain.from_iterable(slices))
    return (*(tuple(one) for one in slices), *((name,) for name in names if name not in held))


def representatives(
    table: pl.DataFrame,
    groups: Sequence[Sequence[str]],
    categorical: Collection[str],
    of_row: Integers,
    n: int,
) -> Integers:
    """Return the row whose values each class carries in each group of columns, shape (n, groups).

    Numbers: the actual value nearest to the median of the class; a missing cell where more than
    half of the cells are. Others, and slices: the most frequent (whole) value. Of equals the row
    that stands first.

    Parameters
    ----------
    table
        The rows.
    groups
        Columns that are represented together.
    categorical
        Columns of numbers that are categories all the same.
    of_row
        The class of each row, 0 to n - 1, each with at least one row.
    """
    found = np.empty((n, len(groups)), dtype=np.int64)
    for place, names in enumerate(groups):
        values = table[names[0]]
        if len(names) == 1 and is_number(values) and names[0] not in categorical:
            found[:, place] = nearest_to_median(numbers_of_column(values), of_row, n)
        else:
            dense = table.select(
                pl.struct([pl.col(name).cast(pl.String) for name in names]).rank("dense")
            )
            found[:, place] = most_frequent(
                dense.to_series().to_numpy().astype(np.int64), of_row, n
            )
    return found


def most_frequent(codes: Integers, of_row: Integers, n: int) -> Integers:
    """Return for each class the first row that has its most frequent code."""
    width = int(codes.max(initial=0)) + 1
    pairs, first, counts = np.unique(of_row * width + codes, return_index=True, return_counts=True)
    of_pair = pairs // width
    order = np.lexsort((first, -counts, of_pair))
    starts = np.searchsorted(of_pair[order], np.arange(n))
    chosen: Integers = first[order[starts]]
    return chosen


def nearest_to_median(numbers: Floats, of_row: Integers, n: int) -> Integers:
    """Return for each class the first row whose number is nearest to the median of its numbers."""
    order = np.lexsort((numbers, of_row))  # missing numbers stand last in their class
    sizes = np.bincount(of_row, minlength=n)
    known = np.bincount(of_row[~np.isnan(numbers)], minlength=n)
    starts = np.cumsum(sizes) - sizes
    last = len(numbers) - 1
    low = numbers[order[np.minimum(starts + np.maximum(known - 1, 0) // 2, last)]]
    high = numbers[order[np.minimum(starts + known // 2, last)]]
    # half of each, so that no sum of large numbers overflows
    median = np.where(known % 2 == 1, low, low / 2 + high / 2)
    absent = 2 * known < sizes
    distance = np.where(
        np.isnan(numbers), np.where(absent[of_row], -1.0, np.inf), np.abs(numbers - median[of_row])
    )
    nearest = np.lexsort((distance, of_row))  # stable: of equals the first row
    chosen: Integers = nearest[starts]
    return chosen
