"""The seven types of a column, and how any typed table is brought to them.

A table inside sfumato holds whole numbers as ``Int64``, numbers as ``Float64``, truth values as
``Boolean``, days as ``Date``, points in time as ``Datetime("us")`` and everything else as
``String``. Missing is null, never NaN; every number is finite.
"""

from __future__ import annotations

from typing import Literal, get_args

import polars as pl

from sfumato.errors import DataError

__all__ = [
    "COLUMN_TYPES",
    "MISSING_WORDS",
    "ColumnType",
    "cells",
    "check_finite",
    "check_names",
    "normalize",
    "type_of",
]

ColumnType = Literal["integer", "number", "boolean", "date", "datetime", "category", "text"]

COLUMN_TYPES: tuple[ColumnType, ...] = get_args(ColumnType)

#: Texts that often stand for a missing value. They may be named in a message, because they say
#: nothing about a person; none of them is ever turned into a missing value unasked.
MISSING_WORDS: tuple[str, ...] = (
    "NA",
    "N/A",
    "n/a",
    "na",
    "N.A.",
    "<NA>",
    "#N/A",
    "NaN",
    "nan",
    "NAN",
    "NULL",
    "Null",
    "null",
    "None",
    "none",
    "NONE",
    "Nil",
    "nil",
    "NIL",
    "Unknown",
    "unknown",
    "UNKNOWN",
    "Missing",
    "missing",
    "MISSING",
    "?",
    "-",
    "--",
    ".",
    "..",
    "No Info",
    "No info",
    "no info",
    "Not available",
    "not available",
    "Not known",
    "not known",
)

_LARGEST = 2**63 - 1
_SAMPLE_ROWS = 10_000


def cells(flags: pl.Series) -> str:
    """Say how many rows a boolean column flags and the number of the first.

    Examples
    --------
    >>> cells(pl.Series([False, True, True]))
    '2 cells, the first in row 2'
    """
    count = int(flags.sum())
    first = flags.arg_max()
    return f"{count:,} {'cell' if count == 1 else 'cells'}, the first in row {(first or 0) + 1:,}"


def type_of(column: pl.Series) -> ColumnType:
    """Return the type of a column of a normalized table.

    A ``String`` column is ``text`` if its values hardly repeat or are long (notes, names, keys),
    else ``category``; its first 10,000 rows decide.

    Examples
    --------
    >>> type_of(pl.Series(["never", "current", "never"]))
    'category'
    """
    dtype = column.dtype
    if dtype.is_integer():
        return "integer"
    if dtype.is_numeric():
        return "number"
    if dtype == pl.Boolean:
        return "boolean"
    if dtype == pl.Date:
        return "date"
    if isinstance(dtype, pl.Datetime):
        return "datetime"
    texts = column.head(_SAMPLE_ROWS).drop_nulls().cast(pl.String)
    distinct = texts.unique()
    hardly_repeats = len(distinct) >= 20 and len(distinct) > len(texts) / 2
    lengths = distinct.str.len_chars().sum()
    return "text" if hardly_repeats or lengths > 60 * max(len(distinct), 1) else "category"


def check_names(names: list[str], where: str) -> None:
    """Raise :class:`DataError` if a column has no name of its own.

    Two columns may not have the same name, and none the name ``*`` (the suppressed value) or one
    such as ``^a.*$``: Polars takes these two for patterns that stand for many columns.

    Parameters
    ----------
    names
        The column names, in order.
    where
        The file or query, for the message.
    """
    if not names:
        raise DataError(f"{where} has no columns")
    for position, name in enumerate(names, 1):
        if not name.strip():
            raise DataError(f"{where}: column {position} has no name; give every column a name")
        if name == "*" or (name.startswith("^") and name.endswith("$")):
            raise DataError(
                f"{where}: column {position} is named {name!r}, which is a pattern and no name; "
                "rename it (a file without a header line needs names = [...])"
            )
    seen: dict[str, int] = {}
    for position, name in enumerate(names, 1):
        if name in seen:
            raise DataError(
                f"{where}: columns {seen[name]} and {position} have the same name {name!r}; "
                "rename one of them"
            )
        seen[name] = position


def check_finite(frame: pl.DataFrame, where: str) -> None:
    """Raise :class:`DataError` if a number is NaN or infinite."""
    for column in frame.iter_columns():
        if column.dtype.is_float() and not column.is_finite().all():
            raise DataError(
                f"{where}: column {column.name!r} holds numbers that are not finite "
                f"({cells(~column.is_finite())}); replace them, or make them missing"
            )


def normalize(frame: pl.DataFrame, where: str) -> pl.DataFrame:
    """Return the frame with the six dtypes that a table has; values are the same.

    Whole numbers that do not fit 64 signed bits become texts, as in a text file.

    Raises
    ------
    DataError
        If a column holds lists, bytes, durations or other things that are not one plain value, or
        if a number is NaN or infinite.
    """
    check_names(frame.columns, where)
    normal = frame.with_columns(_normal(column, where) for column in frame.iter_columns())
    check_finite(normal, where)
    return normal


def _normal(column: pl.Series, where: str) -> pl.Series:
    dtype = column.dtype
    if dtype in (pl.String, pl.Boolean, pl.Date, pl.Int64, pl.Float64):
        return column
    if dtype.is_integer():
        small = dtype in (pl.Int8, pl.Int16, pl.Int32, pl.UInt8, pl.UInt16, pl.UInt32)
        return column.cast(pl.Int64 if small or _fits(column) else pl.String)
    if isinstance(dtype, pl.Decimal):
        if dtype.scale == 0:
            return column.cast(pl.Int64 if _fits(column) else pl.String)
        return column.cast(pl.Float64)
    if dtype.is_float():
        return column.cast(pl.Float64)
    if isinstance(dtype, pl.Datetime):
        return column.cast(pl.Datetime("us", dtype.time_zone))
    if dtype in (pl.Categorical, pl.Enum, pl.Time, pl.Null):
        return column.cast(pl.String)
    raise DataError(
        f"{where}: column {column.name!r} holds {dtype.base_type()} values; a table has one plain "
        "value in each cell (number, text, truth value, date): convert the column first"
    )


def _fits(column: pl.Series) -> bool:
    """Whether whole numbers fit 64 signed bits."""
    low, high = column.min(), column.max()
    return low is None or (int(low) >= -_LARGEST and int(high) <= _LARGEST)  # type: ignore[arg-type]
