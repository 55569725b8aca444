"""Numbers that hide in texts: ``"25.0"``, ``"[20, 30)"``, ``"<18.5"``, ``"Age 18 to 24"``.

A column of a release is often a text only because its numbers became ranges, or because some of
its cells were suppressed. Read as numbers (a range as its middle) such a column keeps its order and
its distances.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from sfumato.table.hierarchies.intervals import parse_intervals
from sfumato.table.hierarchies.ladder import SUPPRESSED

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["LARGEST", "are_numbers", "midpoints", "open_half_width", "read_numbers"]

_NUMBER = r"([+-]?\d+(?:\.\d+)?)"
_BEFORE = r"(?i)^\s*(?:ages?|aged)?\s*"
_AFTER = r"\s*(?:years?|yrs?)?(?:\s+old|\s+of\s+age)?\s*$"
_BAND = rf"{_BEFORE}{_NUMBER}\s*(?:to|through|until|and|–)\s*{_NUMBER}{_AFTER}"
_FROM = (
    rf"{_BEFORE}{_NUMBER}\s*(?:years?|yrs?)?\s*"
    r"(?:\+|plus|(?:or|and)\s+(?:older|over|above|more|up|higher))(?:\s+of\s+age)?\s*$"
)
_UP_TO = (
    rf"{_BEFORE}(?:under|below|younger\s+than|less\s+than|up\s+to|at\s+most)\s*{_NUMBER}{_AFTER}"
    rf"|{_BEFORE}{_NUMBER}\s*(?:years?|yrs?)?\s*(?:or|and)\s+(?:younger|under|below|less|lower)\s*$"
)
# Beyond this a square overflows in the sums of a standard deviation.
LARGEST = 1e150


def spans(texts: pl.Series) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the lower and upper end of the range that each text names.

    Parameters
    ----------
    texts
        Texts, shape (n,).

    Returns
    -------
    tuple
        Two float arrays of shape (n,). A number has equal ends, a half-open range one infinite end,
        and a text that names neither has NaN for both.

    Examples
    --------
    >>> low, high = spans(pl.Series(["7", "Age 18 to 24", "80 or older", "red"]))
    >>> low.tolist(), high.tolist()
    ([7.0, 18.0, 80.0, nan], [7.0, 24.0, inf, nan])
    """
    low, high = (np.array(ends, dtype=np.float64) for ends in parse_intervals(texts))
    unread = np.isnan(low)
    if unread.any():
        low[unread], high[unread] = _spans_in_words(texts.filter(pl.Series(unread)))
    void = (np.isinf(low) & np.isinf(high)) | (low > high)
    low[void] = high[void] = np.nan
    return low, high


def _spans_in_words(texts: pl.Series) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    text = pl.col("text")
    ends = (
        pl.DataFrame({"text": texts})
        .select(
            low=pl.coalesce(text.str.extract(_BAND, 1), text.str.extract(_FROM, 1)),
            high=pl.coalesce(
                text.str.extract(_BAND, 2),
                text.str.extract(_UP_TO, 1),
                text.str.extract(_UP_TO, 2),
            ),
        )
        .cast(pl.Float64)
    )
    low = ends["low"].fill_null(np.nan).to_numpy(writable=True)
    high = ends["high"].fill_null(np.nan).to_numpy(writable=True)
    from_only, up_to_only = np.isnan(high) & ~np.isnan(low), np.isnan(low) & ~np.isnan(high)
    high[from_only] = np.inf
    low[up_to_only] = -np.inf
    return low, high


def are_numbers(distinct: pl.Series) -> bool:
    """Whether every one of these texts names a number or a range; ``"*"`` and null say nothing.

    Texts with leading zeros such as ``"0123"`` are codes, not numbers.

    Examples
    --------
    >>> are_numbers(pl.Series(["20-30", "*", "41"])), are_numbers(pl.Series(["01067", "20095"]))
    (True, False)
    """
    telling = distinct.drop_nulls().filter(distinct.drop_nulls() != SUPPRESSED)
    if telling.is_empty() or telling.str.contains(r"^\s*[+-]?0\d").any():
        return False
    low, high = spans(telling)
    return not bool((np.isnan(low) | np.isnan(high)).any())


def open_half_width(distinct: pl.Series) -> float:
    """Return half the median width of the ranges with two ends; 0 if there are none.

    A half-open range such as ``">=40"`` has no middle; it is read as if it were as wide as its
    neighbours.
    """
    low, high = spans(distinct.drop_nulls())
    with np.errstate(invalid="ignore"):
        widths = high - low
    widths = widths[np.isfinite(widths) & (widths > 0)]
    return float(np.median(widths) / 2) if widths.size else 0.0


def midpoints(distinct: pl.Series, half_width: float) -> NDArray[np.float64]:
    """Return the number, or the middle of the range, that each text names; NaN where it names none.

    Parameters
    ----------
    distinct
        Texts, shape (n,).
    half_width
        How far from its only end the middle of a half-open range lies, in units of the column.
    """
    low, high = spans(distinct)
    with np.errstate(invalid="ignore"):
        middle = low / 2 + high / 2
    middle = np.where(np.isinf(low), high - half_width, middle)
    middle = np.where(np.isinf(high), low + half_width, middle)
    return np.where(low == high, low, middle)


def read_numbers(
    column: pl.Series, half_width: float = 0.0
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return a column of any type as numbers, and which of its cells are suppressed.

    Dates become days since 1970-01-01, times of day hours, durations days, true 1 and false 0.
    Nothing is refused: what is no number is NaN, and so are infinities.

    Parameters
    ----------
    column
        Cells, shape (n,).
    half_width
        See :func:`midpoints`.

    Returns
    -------
    tuple
        Floats of shape (n,), NaN where there is no number, at most 1e150 in size; and booleans of
        shape (n,), true where the cell is ``"*"``.
    """
    suppressed = np.zeros(len(column), dtype=np.bool_)
    if column.dtype in (pl.Categorical, pl.Enum):
        column = column.cast(pl.String)
    kind = column.dtype
    if kind == pl.String:
        suppressed = (column == SUPPRESSED).fill_null(value=False).to_numpy()
        distinct = column.unique().drop_nulls()
        values = _looked_up(column, distinct, midpoints(distinct, half_width))
    elif kind.is_numeric() or kind == pl.Boolean:
        values = _floats(column)
    elif kind == pl.Date:
        values = _floats(column.to_physical())
    elif kind == pl.Datetime:
        values = _floats(column.dt.epoch("us")) / 86.4e9
    elif kind == pl.Duration:
        values = _floats(column.dt.total_microseconds()) / 86.4e9
    elif kind == pl.Time:
        values = _floats(column.to_physical()) / 3.6e12
    else:
        values = np.full(len(column), np.nan)
    values = np.where(np.isfinite(values), values, np.nan)
    return np.clip(values, -LARGEST, LARGEST), suppressed


def _floats(column: pl.Series) -> NDArray[np.float64]:
    return column.cast(pl.Float64).fill_null(np.nan).to_numpy()


def _looked_up(
    column: pl.Series, distinct: pl.Series, values: NDArray[np.float64]
) -> NDArray[np.float64]:
    if distinct.is_empty():
        return np.full(len(column), np.nan)
    read = column.replace_strict(distinct, pl.Series(values), default=None, return_dtype=pl.Float64)
    return read.fill_null(np.nan).to_numpy()
