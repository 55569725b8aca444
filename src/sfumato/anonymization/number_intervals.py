"""Intervals of numbers and dates: where they end, and how they are written."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from math import inf

import numpy as np
import numpy.typing as npt
import polars as pl

from sfumato.table import SUPPRESSED, interval_label

__all__ = ["exact_text", "interval_text", "round_borders"]

Floats = npt.NDArray[np.float64]

_MOST_DECIMALS = 9


def round_borders(below: Floats, above: Floats) -> Floats:
    """Return for each pair the roundest number above the one and at most the other.

    A border that were the least number of its group would tell the exact number of somebody.

    Parameters
    ----------
    below, above
        Shape (n,), ``below < above``. Where one is infinite, ``above`` is the border.
    """
    rounded = above.copy()
    finite = np.isfinite(below) & np.isfinite(above)
    open_ = finite.copy()
    largest = float(np.abs(np.append(below[finite], above[finite])).max(initial=1.0))
    for power in range(int(np.ceil(np.log10(max(largest, 1.0)))) + 1, -_MOST_DECIMALS - 1, -1):
        if power >= 0:
            multiples = (np.floor(below[open_] / 10.0**power) + 1) * 10.0**power
        else:
            multiples = np.round((np.floor(below[open_] * 10.0**-power) + 1) / 10.0**-power, -power)
        fits = (multiples > below[open_]) & (multiples <= above[open_])
        places = np.flatnonzero(open_)[fits]
        rounded[places] = multiples[fits]
        open_[places] = False
    return rounded


def interval_text(low: float, high: float, dtype: pl.DataType) -> str:
    """Return the label of the values from ``low`` up to but without ``high``.

    Parameters
    ----------
    low, high
        Numbers; days or the type's units since 1970 for dates and times. Infinite for no end.
    dtype
        Type of the column.
    """
    if not dtype.is_temporal():
        return interval_label(low, high)
    if low == -inf and high == inf:
        return SUPPRESSED
    if low == -inf:
        return f"<{_moment(high, dtype)}"
    if high == inf:
        return f">={_moment(low, dtype)}"
    return f"[{_moment(low, dtype)}, {_moment(high, dtype)})"


def exact_text(number: float, dtype: pl.DataType) -> str:
    """Return a single value as it is written in a release."""
    if dtype.is_temporal():
        return _moment(number, dtype)
    if dtype.is_integer():
        return str(int(number))
    return str(pl.Series([number], dtype=dtype).cast(pl.String)[0])


def _moment(number: float, dtype: pl.DataType) -> str:
    if dtype == pl.Date:
        return (date(1970, 1, 1) + timedelta(days=number)).isoformat()
    unit = getattr(dtype, "time_unit", "us")
    microseconds = number * {"ms": 1e3, "us": 1, "ns": 1e-3}[unit]
    epoch = datetime(1970, 1, 1)  # noqa: DTZ001 (as the column: without a zone)
    return (epoch + timedelta(microseconds=microseconds)).isoformat(" ")
