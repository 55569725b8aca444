"""A hierarchy of dates: day, month, quarter, year, decade."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import polars as pl

from sfumato.errors import HierarchyError, did_you_mean
from sfumato.table.hierarchies.keys import texts_of

__all__ = ["DATE_LEVELS", "DateParts", "date_parts"]

_DAY = pl.col("day")
_YEAR = _DAY.dt.year()


def _years(width: int) -> pl.Expr:
    first = (_YEAR // width) * width
    return pl.format("{}-{}", first, first + (width - 1))


_LABELS: dict[str, pl.Expr] = {
    "day": _DAY.dt.strftime("%Y-%m-%d"),
    "month": _DAY.dt.strftime("%Y-%m"),
    "quarter": pl.format("{}-Q{}", _YEAR, _DAY.dt.quarter()),
    "half-year": pl.format("{}-H{}", _YEAR, (_DAY.dt.month() - 1) // 6 + 1),
    "year": pl.format("{}", _YEAR),
    "five-years": _years(5),
    "decade": pl.format("{}s", (_YEAR // 10) * 10),
}
DATE_LEVELS: tuple[str, ...] = tuple(_LABELS)
"""The parts of a date, from fine to coarse; each lies within the next."""


@dataclass(frozen=True)
class DateParts:
    """The climber of dates, date-times and ISO texts (2021-03-04, 2021-03-04T10:30:00).

    Parameters
    ----------
    levels
        Names of :data:`DATE_LEVELS`, from fine to coarse.
    """

    levels: tuple[str, ...]

    @property
    def height(self) -> int:
        """Levels above the leaf, the top included."""
        return len(self.levels) + 1

    @property
    def leaves(self) -> None:
        """None: any date is held."""
        return None

    def climb(self, values: pl.Series) -> tuple[pl.Series, ...]:
        """Return the label of each value at levels 0 to ``height - 1``."""
        texts = texts_of(values)
        frame = pl.DataFrame({"text": texts, "day": _days(values, texts)}).select(
            pl.when(_DAY.is_not_null()).then(pl.col("text")).alias("0"),
            *(_LABELS[level].alias(f"{number}") for number, level in enumerate(self.levels, 1)),
        )
        return tuple(frame.get_columns())

    def describe(self) -> str:
        """Return the hierarchy in words."""
        return "dates by " + ", then ".join(self.levels)

    def examples(self) -> pl.Series:
        """Return invented dates."""
        return pl.Series([date(2021, 3, 4), date(2021, 3, 27), date(2021, 11, 8), date(2019, 1, 1)])

    def mend(self) -> str:
        """Return what to do about a value that is not held."""
        return (
            "cells must be dates, or texts such as 2021-03-04: give the column the type 'date' "
            "when it is read"
        )


def date_parts(levels: Sequence[str]) -> DateParts:
    """Return the climber of the named parts.

    Raises
    ------
    HierarchyError
        If a name is not in :data:`DATE_LEVELS`, or they do not go from fine to coarse.
    """
    for level in levels:
        if level not in DATE_LEVELS:
            raise HierarchyError(
                f"dates: unknown level {level!r}.{did_you_mean(level, DATE_LEVELS)} "
                f"Known, from fine to coarse: {', '.join(DATE_LEVELS)}"
            )
    places = [DATE_LEVELS.index(level) for level in levels]
    if not places or places != sorted(set(places)):
        raise HierarchyError(
            f"dates: the levels {list(levels)} must go from fine to coarse, in this order: "
            f"{', '.join(DATE_LEVELS)}"
        )
    return DateParts(tuple(levels))


def _days(values: pl.Series, texts: pl.Series) -> pl.Series:
    if values.dtype == pl.Date or isinstance(values.dtype, pl.Datetime):
        return values.cast(pl.Date)
    if values.dtype != pl.String:
        return pl.Series([None] * len(values), dtype=pl.Date)
    # the rest must be a time of day, or nothing
    iso = r"^(\d{4}-\d{2}-\d{2})(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:?\d{2})?)?$"
    return texts.str.strip_chars().str.extract(iso).str.to_date("%Y-%m-%d", strict=False)
