"""What the people of a class carry together instead of their own values."""

from __future__ import annotations

from math import inf
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from sfumato.anonymization.number_intervals import exact_text, interval_text, round_borders
from sfumato.anonymization.scales import numbers_of_column
from sfumato.errors import PlanError
from sfumato.table import SUPPRESSED

__all__ = ["Aggregate", "aggregated", "check_aggregate", "counts_as_number"]

Aggregate = Literal["mean", "geometric-mean", "median", "mode", "interval", "set"]
"""How the values of a class become one. Of several most frequent values the least is the mode; an
interval runs from one round number to another around all of them; a set names each once."""

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_VERY_LARGE = 1e280
_NEED_NUMBERS = ("mean", "geometric-mean", "median", "interval")


def counts_as_number(dtype: pl.DataType) -> bool:
    """Whether values of a type can be averaged: numbers, days and points in time."""
    return dtype.is_numeric() or dtype == pl.Date or dtype == pl.Datetime


def check_aggregate(values: pl.Series, aggregate: Aggregate) -> None:
    """Refuse an aggregate that a column cannot have.

    Raises
    ------
    PlanError
        If it needs numbers, or numbers above 0, and the column holds others.
    """
    dtype = values.dtype
    if aggregate in _NEED_NUMBERS and not counts_as_number(dtype):
        raise PlanError(
            f"columns.{values.name}: {aggregate} needs numbers or dates, but the column holds "
            f"{dtype}. For categories there are mode and set"
        )
    if aggregate == "geometric-mean":
        if not dtype.is_numeric():
            raise PlanError(f"columns.{values.name}: geometric-mean needs numbers, not {dtype}")
        below = int((values <= 0).sum())
        if below:
            raise PlanError(
                f"columns.{values.name}: geometric-mean needs numbers above 0, but {below:,} rows "
                "hold others; take mean or median"
            )


def aggregated(
    values: pl.Series,
    of_row: Integers,
    n_classes: int,
    aggregate: Aggregate,
    *,
    whole: bool,
    ignore_missing: bool,
) -> pl.Series:
    """Return the value of each class, shape (n_classes,).

    The order of the rows makes no difference, not even to the last bit.

    Parameters
    ----------
    values
        The column (n rows).
    of_row
        Class of each row, shape (n,).
    n_classes
        Number of classes.
    aggregate
        How.
    whole
        Whether means and medians of whole numbers are rounded to whole numbers, halves up. Those of
        dates and times always are, to the type's unit.
    ignore_missing
        Whether a class's missing cells are left out of account; if not, a class with a missing cell
        has a missing value. A class without any value has a missing one in both cases.
    """
    frame = pl.DataFrame({"class": of_row, "value": values})
    counts = np.bincount(of_row, minlength=n_classes)
    frame = frame.filter(pl.col("value").is_not_null()).sort("class", "value")
    classes = frame["class"].to_numpy()
    present = np.bincount(classes, minlength=n_classes)
    told = present > 0 if ignore_missing else present == counts
    if not len(classes):
        dtype = _type_of(values.dtype, aggregate, whole=whole)
        return pl.Series(values.name, [None] * n_classes, dtype=dtype)
    held, starts = np.unique(classes, return_index=True)
    sizes = present[held]
    found = _of_sorted(frame["value"], starts, sizes, aggregate, whole=whole)
    place = pl.Series([None] * n_classes, dtype=pl.Int64).scatter(held, np.arange(len(held)))
    place = pl.select(pl.when(pl.Series(told)).then(place)).to_series()
    return found.gather(place).alias(values.name)


def _type_of(dtype: pl.DataType, aggregate: Aggregate, *, whole: bool) -> Any:
    """Return the type that an aggregate of a column has."""
    if aggregate in ("interval", "set"):
        return pl.String
    if aggregate == "mode" or dtype.is_temporal():
        return dtype
    return pl.Int64 if whole and dtype.is_integer() else pl.Float64


def _of_sorted(
    values: pl.Series, starts: Integers, sizes: Integers, aggregate: Aggregate, *, whole: bool
) -> pl.Series:
    """Return the aggregate of each run of rising values."""
    if aggregate == "mode":
        return values.gather(_most_frequent(values, starts))
    if aggregate == "set":
        return _sets(values, starts, sizes)
    numbers = numbers_of_column(values)
    ends = starts + sizes - 1
    if aggregate == "interval":
        return _intervals(numbers, starts, ends, values.dtype)
    if aggregate == "mean":
        # a power of two changes no digit, and keeps the sum of very large numbers finite
        scale = 2.0**64 if np.abs(numbers).max() > _VERY_LARGE else 1.0
        found = np.add.reduceat(numbers / scale, starts) / sizes * scale
    elif aggregate == "geometric-mean":
        found = np.exp(np.add.reduceat(np.log(numbers), starts) / sizes)
    else:
        found = numbers[starts + (sizes - 1) // 2] / 2 + numbers[starts + sizes // 2] / 2
    # rounding must not carry a mean beyond what it is the mean of
    found = np.clip(found, numbers[starts], numbers[ends])
    if values.dtype.is_temporal():
        days = pl.Series(np.floor(found + 0.5)).cast(values.to_physical().dtype)
        return days.cast(values.dtype)
    if whole and values.dtype.is_integer():
        return pl.Series(np.floor(found + 0.5)).cast(pl.Int64)
    return pl.Series(found)


def _most_frequent(values: pl.Series, starts: Integers) -> Integers:
    """Return where the most frequent value of each run begins, the least of several."""
    begins = values.ne_missing(values.shift(1)).to_numpy().copy()
    begins[starts] = True
    first = np.flatnonzero(begins)
    length = np.diff(first, append=len(values))
    run = np.searchsorted(starts, first, side="right") - 1
    order = np.lexsort((first, -length, run))
    of_run = run[order]
    best: Integers = first[order[np.flatnonzero(np.diff(of_run, prepend=-1))]]
    return best


def _sets(values: pl.Series, starts: Integers, sizes: Integers) -> pl.Series:
    """Return the different values of each run as a text; one that stands alone as itself."""
    run = np.repeat(np.arange(len(starts)), sizes)
    frame = pl.DataFrame({"run": run, "value": values.cast(pl.String)}).unique(maintain_order=True)
    texts = frame.group_by("run", maintain_order=True).agg(
        pl.when(pl.len() == 1)
        .then(pl.col("value").first())
        .otherwise(pl.lit("{") + pl.col("value").str.join(", ") + pl.lit("}"))
    )
    return texts["value"]


def _intervals(numbers: Floats, starts: Integers, ends: Integers, dtype: Any) -> pl.Series:
    """Return an interval around the numbers of each run, which ends at round numbers."""
    distinct = np.unique(numbers)
    n = len(distinct)
    first = np.searchsorted(distinct, numbers[starts])
    last = np.searchsorted(distinct, numbers[ends])
    # the border below each number, and one above the last
    borders = round_borders(np.append(-inf, distinct), np.append(distinct, inf))
    low = np.where(first == 0, -inf, borders[first])
    high = np.where(last == n - 1, inf, borders[last + 1])
    labels = []
    for start, stop, least, single in zip(low, high, first, first == last, strict=True):
        if single:
            labels.append(exact_text(float(distinct[least]), dtype))
        elif start == -inf and stop == inf:
            labels.append(SUPPRESSED)
        else:
            labels.append(interval_text(float(start), float(stop), dtype))
    return pl.Series(labels, dtype=pl.String)
