"""Columns of several tables on one footing, whatever types they are kept in.

A release may hold as text what the real table holds as number, since some cells became ``*``; a
column may be a category in one table and an integer in the other. Missing and suppressed cells are
told apart from values and never dropped in silence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import polars as pl

from sfumato.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

__all__ = ["MISSING", "PRESENT", "SUPPRESSED", "AlignedColumn", "align"]

PRESENT, MISSING, SUPPRESSED = 0, 1, 2
_STAR = "*"
_MANY_NUMBERS = 50
_DAY = 86_400_000_000  # microseconds


@dataclass(frozen=True, eq=False)
class AlignedColumn:
    """One column of several tables.

    Parameters
    ----------
    name
        Name of the column.
    kind
        "number" or "category".
    labels
        The values of a category in the order of their codes, over all tables; empty for a number.
    content
        For each table its numbers (NaN where there is no value) or codes (-1), shape (rows,).
    state
        For each table 0 value, 1 missing, 2 suppressed, shape (rows,).
    is_time
        Whether numbers are dates or times, in microseconds since 1970.
    """

    name: str
    kind: Literal["number", "category"]
    labels: tuple[str, ...]
    content: tuple[Floats | Integers, ...]
    state: tuple[Integers, ...]
    is_time: bool = False


def align(name: str, series: Sequence[pl.Series]) -> AlignedColumn:
    """Return the column of each table on one footing.

    It is a number if every table holds numbers, dates or booleans (not booleans alone), or texts
    that are such numbers beside ``*``; else a category, compared by its texts.

    Parameters
    ----------
    name
        Name of the column.
    series
        The column in each table.

    Raises
    ------
    DataError
        If a number is not finite, or the column's type cannot be compared.
    """
    states = tuple(_state(one) for one in series)
    numbers = _as_numbers(name, series, states)
    if numbers is not None:
        is_time = any(one.dtype.is_temporal() for one in series)
        return AlignedColumn(name, "number", (), numbers, states, is_time)
    texts = [_as_text(name, one) for one in series]
    known = [
        text.filter(pl.Series(state == PRESENT)) for text, state in zip(texts, states, strict=True)
    ]
    labels = pl.concat(known).unique().sort().to_list()
    codes = tuple(
        np.where(
            state == PRESENT,
            text.replace_strict(
                labels, list(range(len(labels))), default=-1, return_dtype=pl.Int64
            ).fill_null(-1)
            if labels
            else -1,
            -1,
        ).astype(np.int64)
        for text, state in zip(texts, states, strict=True)
    )
    return AlignedColumn(name, "category", tuple(labels), codes, states)


def _is_text(series: pl.Series) -> bool:
    return isinstance(series.dtype, pl.String | pl.Categorical | pl.Enum)


def _state(series: pl.Series) -> Integers:
    state = np.where(series.is_null().to_numpy(), MISSING, PRESENT).astype(np.int64)
    if _is_text(series):
        stars = (series.cast(pl.String) == _STAR).fill_null(value=False)
        state[stars.to_numpy()] = SUPPRESSED
    return state


def _as_numbers(
    name: str, series: Sequence[pl.Series], states: Sequence[Integers]
) -> tuple[Floats, ...] | None:
    """Return the numbers of every table, or None if some are no numbers."""
    if all(one.dtype == pl.Boolean or _is_text(one) for one in series) and not all(
        _many_numbers(one, state) for one, state in zip(series, states, strict=True)
    ):
        return None
    arrays = []
    for one, state in zip(series, states, strict=True):
        numbers = _numbers(one, state)
        if numbers is None:
            return None
        if np.isinf(numbers).any() or np.isnan(numbers[state == PRESENT]).any():
            raise DataError(f"Column {name!r} holds numbers that are not finite: make them missing")
        arrays.append(numbers)
    return tuple(arrays)


def _many_numbers(series: pl.Series, state: Integers) -> bool:
    """Return whether a text column holds many different numbers and nothing else but ``*``."""
    return (
        _is_text(series)
        and series.n_unique() > _MANY_NUMBERS
        and _numbers(series, state) is not None
    )


def _numbers(series: pl.Series, state: Integers) -> Floats | None:
    dtype = series.dtype
    if _is_text(series):
        texts = series.cast(pl.String).set(pl.Series(state != PRESENT), None)
        parsed = texts.cast(pl.Float64, strict=False)
        if parsed.null_count() != int((state != PRESENT).sum()):
            return None
        return np.asarray(parsed.to_numpy(), dtype=np.float64)
    if dtype == pl.Null:
        return np.full(len(series), np.nan)
    if dtype == pl.Date:
        series = series.to_physical().cast(pl.Int64) * _DAY
    elif isinstance(dtype, pl.Datetime):
        series = series.dt.cast_time_unit("us").to_physical()
    elif isinstance(dtype, pl.Duration):
        series = series.dt.total_microseconds()
    elif dtype == pl.Time:
        series = series.to_physical() // 1000
    elif not (dtype.is_numeric() or dtype == pl.Boolean):
        return None
    return np.asarray(series.cast(pl.Float64).to_numpy(), dtype=np.float64)


def _as_text(name: str, series: pl.Series) -> pl.Series:
    dtype = series.dtype
    if dtype.is_nested() or dtype in (pl.Object, pl.Binary):
        raise DataError(f"Column {name!r} is of type {dtype}, which cannot be compared")
    if dtype.is_float():
        # 80.0 and "80" are one value.
        whole = series.cast(pl.Int64, strict=False)
        same = (whole.cast(pl.Float64) == series).fill_null(value=False)
        return whole.cast(pl.String).zip_with(same, series.cast(pl.String))
    return series.cast(pl.String)
