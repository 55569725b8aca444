"""What one column holds, in aggregates: its spread, its categories, what is missing and what rare.

No cell of an identifier is looked at further than to count it, and a category that few rows hold is
counted, not named.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from sfumato.table.preparation.category_encoders import texts
from sfumato.table.preparation.midpoints import LARGEST, read_numbers
from sfumato.table.profiling.possible_missing import PossibleMissing, missing_codes, missing_words
from sfumato.table.profiling.spread import Dates, Numbers, spread_of_dates, spread_of_numbers

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Categories", "Contents", "contents_of"]

_SHOWN_CATEGORIES = 60
# So few distinct numbers are shown as categories too.
_FEW_NUMBERS = 30
_YES = frozenset({"1", "true", "yes", "y", "positive", "present"})
_NO = frozenset({"0", "false", "no", "n", "negative", "absent"})


@dataclass(frozen=True)
class Categories:
    """The categories of a column.

    Parameters
    ----------
    shown
        Category and rows, most frequent first: at most 60, none rarer than ``rare_below`` rows
        unless rare ones were asked for.
    not_shown
        How many further categories there are, and ``rows_not_shown`` hold them.
    rare_below
        A category that fewer rows hold is rare.
    rare, rows_rare
        How many categories are rare, and how many rows hold one of them.
    rarest_share
        Share of known cells that hold the rarest category.
    """

    shown: tuple[tuple[str, int], ...]
    not_shown: int
    rows_not_shown: int
    rare_below: int
    rare: int
    rows_rare: int
    rarest_share: float


@dataclass(frozen=True)
class Contents:
    """What a column holds.

    Parameters
    ----------
    missing
        Missing cells (null, or not a finite number).
    distinct
        Distinct known values; None for nested cells, which are not compared.
    held_once
        Values that a single row holds.
    numbers, dates, categories
        Spread and categories, each None where it does not apply, and for identifiers.
    positive_share
        Of a yes/no column (0 and 1, no and yes, ...), the share of known cells that say yes.
    possible_missing
        Values that may stand for a missing one.
    """

    missing: int
    distinct: int | None
    held_once: int | None
    numbers: Numbers | None = None
    dates: Dates | None = None
    categories: Categories | None = None
    positive_share: float | None = None
    possible_missing: tuple[PossibleMissing, ...] = ()


def contents_of(
    column: pl.Series, *, hidden: bool = False, rare_below: int = 10, show_rare: bool = False
) -> Contents:
    """Summarise a column.

    Parameters
    ----------
    column
        The cells, at least one.
    hidden
        Whether it is an identifier: then cells are counted and nothing more.
    rare_below
        A category that fewer rows hold is rare.
    show_rare
        Whether rare categories are named.

    Examples
    --------
    >>> contents_of(pl.Series("sex", ["f"] * 12 + ["m"])).categories.shown
    (('f', 12),)
    """
    kind = column.dtype
    if kind.is_nested() or kind in (pl.Binary, pl.Object):
        return Contents(column.null_count(), None, None)
    if kind.is_numeric() or kind.is_temporal():
        return _of_numbers(column, hidden, rare_below, show_rare)
    return _of_texts(column, hidden, rare_below, show_rare)


def _of_texts(column: pl.Series, hidden: bool, rare_below: int, show_rare: bool) -> Contents:
    counted = texts(column).alias("category").drop_nulls().value_counts(name="rows")
    rows = counted["rows"].to_numpy()
    missing, distinct = column.null_count(), counted.height
    held_once = int(np.count_nonzero(rows == 1))
    if hidden or not distinct:
        return Contents(missing, distinct, held_once)
    return Contents(
        missing,
        distinct,
        held_once,
        categories=_categories(counted, rare_below, show_rare=show_rare),
        positive_share=_positive_share(counted),
        possible_missing=missing_words(counted),
    )


def _of_numbers(column: pl.Series, hidden: bool, rare_below: int, show_rare: bool) -> Contents:
    values, _ = read_numbers(column)
    # Sorted once: the order answers every question below.
    known = np.sort(values[~np.isnan(values)])
    missing = len(column) - known.size
    if not known.size:
        return Contents(missing, 0, 0)
    starts = np.flatnonzero(np.concatenate(([True], known[1:] != known[:-1])))
    rows = np.diff(np.concatenate((starts, [known.size])))
    distinct, held_once = int(rows.size), int(np.count_nonzero(rows == 1))
    if _blurred(column, known):
        exact = column.drop_nulls()
        if exact.dtype.is_float():
            exact = exact.filter(exact.is_finite())
        counts = exact.value_counts(name="rows")["rows"]
        distinct, held_once = len(counts), int((counts == 1).sum())
    if hidden:
        return Contents(missing, distinct, held_once)
    if column.dtype in (pl.Date, pl.Datetime):
        dates = spread_of_dates(known, whole_days=column.dtype == pl.Date)
        return Contents(missing, distinct, held_once, dates=dates)
    numbers = spread_of_numbers(column.name, known)
    values = known[starts]
    codes = missing_codes(values, rows, (numbers.quartile_1, numbers.quartile_3))
    if distinct > _FEW_NUMBERS or column.dtype.is_temporal():
        return Contents(missing, distinct, held_once, numbers, possible_missing=codes)
    counted = pl.DataFrame({"category": texts(pl.Series(values)), "rows": rows.astype(np.int64)})
    return Contents(
        missing,
        distinct,
        held_once,
        numbers,
        categories=_categories(counted, rare_below, show_rare=show_rare),
        positive_share=_positive_share(counted),
        possible_missing=codes,
    )


def _blurred(column: pl.Series, known: NDArray[np.float64]) -> bool:
    """Return whether neighbouring cells may be one number to read_numbers, as very large ones."""
    if column.dtype.is_temporal():
        return column.dtype != pl.Date
    largest = max(-known[0], known[-1])
    return bool(largest >= (2**53 if column.dtype.is_integer() else LARGEST))


def _categories(counted: pl.DataFrame, rare_below: int, *, show_rare: bool) -> Categories:
    """Summarise distinct texts with their rows."""
    total = int(counted["rows"].sum())
    rare = counted.filter(pl.col("rows") < rare_below)
    nameable = counted if show_rare else counted.filter(pl.col("rows") >= rare_below)
    shown = nameable.sort(["rows", "category"], descending=[True, False]).head(_SHOWN_CATEGORIES)
    return Categories(
        shown=tuple((str(text), int(rows)) for text, rows in shown.iter_rows()),
        not_shown=counted.height - shown.height,
        rows_not_shown=total - int(shown["rows"].sum()),
        rare_below=rare_below,
        rare=rare.height,
        rows_rare=int(rare["rows"].sum()),
        rarest_share=int(counted["rows"].to_numpy().min()) / total,
    )


def _positive_share(counted: pl.DataFrame) -> float | None:
    if counted.height > 2:
        return None
    rows = {text.strip().casefold(): count for text, count in counted.iter_rows()}
    if not (rows.keys() <= _YES | _NO):
        return None
    yes = sum(count for text, count in rows.items() if text in _YES)
    return float(yes / sum(rows.values()))
