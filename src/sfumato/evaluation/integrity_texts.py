"""Whether dates are too exact, characters invisible, or a file says more than its table."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import time
from pathlib import Path

import polars as pl

from sfumato.errors import DataError
from sfumato.evaluation.integrity_findings import (
    IntegrityFinding,
    failed,
    not_applicable,
    passed,
)
from sfumato.evaluation.integrity_sides import Sides
from sfumato.table.role_names import rule_of_name

__all__ = ["file_finding", "text_findings"]

# zero-width and joining marks, directions, soft hyphens, unusual blanks, controls but tab and line
# ends, tags and private use
_INVISIBLE = (
    r"[\u00AD\u034F\u061C\u115F\u1160\u17B4\u17B5\u180B-\u180E\u200B-\u200F\u202A-\u202E"
    r"\u2060-\u206F\u3164\uFEFF\uFFA0\u00A0\u2000-\u200A\u202F\u205F\u3000"
    r"\x00-\x08\x0B\x0C\x0E-\x1F\x7F-\x9F\uE000-\uF8FF\x{E0000}-\x{E007F}]"
)
_DAY = r"^\d{4}-\d{1,2}-\d{1,2}|^\d{1,2}[./-]\d{1,2}[./-]\d{2,4}|^\d{4}/\d{1,2}/\d{1,2}"
_TIME = r"\d{1,2}:\d{2}"
_MOSTLY = 0.9
_KNOWN_METADATA = frozenset({"ARROW:schema"})


def text_findings(sides: Sides) -> Iterator[IntegrityFinding]:
    """Yield SF118 and SF120."""
    exact = {name: rows for name in sides.columns if (rows := _too_exact(sides, name))}
    if exact:
        yield failed(
            "SF118",
            list(exact),
            sum(exact.values()),
            "cells",
            "Dates of birth are given to the day, or other dates with the time of day.",
        )
    else:
        yield passed("SF118", "cells")
    invisible = {
        name: rows
        for name in sides.texts
        if (rows := int(sides.released[name].str.contains(_INVISIBLE).sum()))
    }
    names = pl.Series(sides.released.columns, dtype=pl.String)
    marked = names.filter(names.str.contains(_INVISIBLE)).to_list()
    if invisible or marked:
        yield failed(
            "SF120",
            [*invisible, *(name for name in marked if name not in invisible)],
            sum(invisible.values()) + len(marked),
            "cells and names",
            "Characters are there that nobody sees: blanks of no width, marks, controls.",
        )
    else:
        yield passed("SF120", "cells and names")


def _too_exact(sides: Sides, name: str) -> int:
    """Return how many cells of a column are dates that are too exact."""
    column = sides.values(name)
    rule = rule_of_name(name)
    birth = rule is not None and rule.kind == "a date of birth"
    if column.dtype == pl.Date:
        return len(column) if birth and not _all_first(column) else 0
    if isinstance(column.dtype, pl.Datetime):
        timed = int((column.dt.time() != time(0)).sum())
        return len(column) if birth and not _all_first(column.dt.date()) else timed
    if column.dtype != pl.String or column.is_empty():
        return 0
    days = column.filter(column.str.contains(_DAY))
    if len(days) < _MOSTLY * len(column):
        return 0
    return len(days) if birth else int(days.str.contains(_TIME).sum())


def _all_first(column: pl.Series) -> bool:
    """Return whether all dates are the first of a month or year: cut already."""
    return bool((column.dt.day() == 1).all())


def file_finding(path: Path | None) -> IntegrityFinding:
    """Return SF122 of a released file.

    Parameters
    ----------
    path
        The file, or None for a frame.

    Raises
    ------
    DataError
        If it cannot be read.
    """
    if path is None:
        return not_applicable("SF122", "A frame has no file.")
    if path.suffix != ".parquet":
        return not_applicable("SF122", "Only Parquet files hold metadata beside the table.")
    try:
        beside = pl.read_parquet_metadata(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise DataError(f"{path} cannot be read: {type(error).__name__}") from None
    extra = sorted(key for key in beside if key not in _KNOWN_METADATA)
    if not extra:
        return passed("SF122", "entries")
    meaning = f"The file holds metadata: {', '.join(extra)}."
    return failed("SF122", (), len(extra), "entries", meaning)
