"""Whether a released table has the columns, values, gaps and repetitions of its source."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import polars as pl

from sfumato.evaluation.integrity_findings import (
    IntegrityFinding,
    failed,
    not_applicable,
    passed,
)
from sfumato.evaluation.integrity_sides import Sides
from sfumato.table import SUPPRESSED

__all__ = ["structure_findings"]

Floats = npt.NDArray[np.float64]

_NUMBER = r"[-+]?(?:\d+(?:[.,]\d+)*|[.]\d+)(?:[eE][-+]?\d+)?"
# 20-30, [20, 30), >= 80, 80+, <5, 20, {20, 21}: a number, a range or a set of numbers
_RANGE = (
    rf"^\s*[\[({{]?\s*[<>≤≥]?=?\s*{_NUMBER}\s*(?:[-–—:;,~]|\.\.|to)?\s*(?:{_NUMBER})?"
    rf"(?:\s*,\s*{_NUMBER})*\s*[\])}}+]?\s*$"
)
_GAP = 0.02
_NORMAL_999 = 3.2905267314919255
_SMALL_CELL = 10
_TWICE = 2.0
_TOLERANCE, _SPARE = 3.0, 5.0


def structure_findings(sides: Sides) -> Iterator[IntegrityFinding]:
    """Yield SF108 and SF112 to SF117."""
    if sides.real is None:
        for code in ("SF108", "SF113", "SF114", "SF115", "SF116"):
            yield not_applicable(code, "There is no real table to compare with.")
    else:
        yield _repeated_rows(sides, sides.real)
        yield _types(sides, sides.real)
        yield _domains(sides)
        yield _constant(sides, sides.real)
        yield _missing(sides, sides.real)
    yield _columns(sides)
    yield _small_cells(sides)


def _columns(sides: Sides) -> IntegrityFinding:
    if sides.real is not None:
        expected = [name for name in sides.real.columns if name not in sides.identifiers]
    elif sides.schema is not None and sides.schema.rest is None:
        expected = [name for name in sides.schema if name not in sides.identifiers]
    else:
        return not_applicable("SF112", "Neither real rows nor a schema say which columns to have.")
    absent = [name for name in expected if name not in sides.columns]
    extra = [name for name in sides.columns if name not in expected]
    if not absent and not extra:
        return passed("SF112", "columns")
    parts = []
    if absent:
        parts.append(f"{len(absent)} columns of the source are not there")
    if extra:
        parts.append(f"{len(extra)} columns are not in the source")
    meaning = f"{' and '.join(parts)}."
    return failed("SF112", [*absent, *extra], len(absent) + len(extra), "columns", meaning)


def _types(sides: Sides, real: pl.DataFrame) -> IntegrityFinding:
    wrong: dict[str, int] = {}
    for name in sides.shared:
        mine, theirs = sides.values(name), real[name].dtype
        if mine.is_empty() or mine.dtype == theirs:
            continue
        if theirs.is_numeric() and mine.dtype == pl.String:
            strange = int((~mine.str.contains(_RANGE)).sum())
            # a hierarchy may give numbers names: then nearly all of them have one
            if 0 < strange < len(mine) / 2:
                wrong[name] = strange
        elif theirs.is_numeric() != mine.dtype.is_numeric() and mine.dtype != pl.String:
            wrong[name] = len(mine)
    if not wrong:
        return passed("SF113", "cells")
    meaning = "Cells of these columns are of another kind than the others or than the source's."
    return failed("SF113", list(wrong), sum(wrong.values()), "cells", meaning)


def _domains(sides: Sides) -> IntegrityFinding:
    outside: dict[str, int] = {}
    for name in sides.alike:
        mine, theirs = sides.values(name), sides.values(name, real=True)
        if mine.is_empty() or theirs.is_empty():
            continue
        if mine.dtype != pl.String and mine.dtype != pl.Boolean:
            numbers, real = (one.to_physical().cast(pl.Float64) for one in (mine, theirs))
            rows = _beyond(numbers.to_numpy(), real.to_numpy())
        else:
            rows = int((~mine.is_in(theirs.unique().implode())).sum())
            # values that one row of the source has say how many it does not know (Good-Turing)
            alone = int(theirs.is_unique().sum())
            expected = len(mine) * alone / len(theirs)
            rows = rows if rows > _TOLERANCE * expected + _SPARE else 0
        if rows:
            outside[name] = rows
    if not sides.alike:
        return not_applicable("SF114", "No column is written as in the source.")
    if not outside:
        return passed("SF114", "cells")
    meaning = (
        "Cells hold numbers beyond the source's, or values that it does not have, more than as "
        "many other people of the same kind would have."
    )
    return failed("SF114", list(outside), sum(outside.values()), "cells", meaning)


def _beyond(numbers: Floats, real: Floats) -> int:
    """Return how many numbers are outside the source, if other people would have fewer."""
    low, high = real.min(), real.max()
    outside = int(((numbers < low) | (numbers > high)).sum())
    expected = 2 * len(numbers) / (len(real) + 1)
    return outside if outside > _TOLERANCE * expected + _SPARE else 0


def _constant(sides: Sides, real: pl.DataFrame) -> IntegrityFinding:
    if sides.released.height < 2:
        return not_applicable("SF115", "One row has nothing that could differ.")
    constant = [
        name
        for name in sides.shared
        if sides.released[name].n_unique() == 1 and real[name].n_unique() > 1
    ]
    if not constant:
        return passed("SF115", "columns")
    meaning = "All rows of these columns are the same, which the source's are not."
    return failed("SF115", constant, len(constant), "columns", meaning)


def _missing(sides: Sides, real: pl.DataFrame) -> IntegrityFinding:
    """Compare shares by a test of two shares at one in a thousand, and by two points at least."""
    n, m = sides.released.height, real.height
    differ = []
    for name in sides.shared:
        mine, theirs = sides.released[name].null_count(), real[name].null_count()
        if not n or not m:
            continue
        gap = abs(mine / n - theirs / m)
        pooled = (mine + theirs) / (n + m)
        spread = math.sqrt(pooled * (1 - pooled) * (1 / n + 1 / m))
        if gap > _GAP and gap > _NORMAL_999 * spread:
            differ.append(name)
    if not differ:
        return passed("SF116", "columns")
    meaning = f"The share of missing cells differs by more than {_GAP:.0%} from the source's."
    return failed("SF116", differ, len(differ), "columns", meaning)


def _repeated_rows(sides: Sides, real: pl.DataFrame) -> IntegrityFinding:
    if not sides.shared or sides.alike != sides.shared:
        return not_applicable("SF108", "Generalized rows are meant to be alike.")
    n, m = sides.released.height, real.height
    if not n or not m:
        return not_applicable("SF108", "One of the tables has no rows.")
    repeated = n - sides.released.select(sides.shared).n_unique()
    # a larger table repeats more: pairs of rows grow with the square of the rows
    chance = (m - real.select(sides.shared).n_unique()) * (n / m) * max(1.0, n / m)
    limit = _TWICE * min(chance, n) + 3 * math.sqrt(chance + 1)
    if repeated <= limit:
        return passed("SF108", "rows")
    meaning = (
        f"{repeated:,} rows repeat another one; by the source about {min(chance, n):,.0f} would."
    )
    return failed("SF108", (), repeated, "rows", meaning)


def _small_cells(sides: Sides) -> IntegrityFinding:
    if sides.synthetic:
        return not_applicable("SF117", "Invented rows are no people: their classes hide nobody.")
    schema = sides.schema
    known = () if schema is None else schema.quasi_identifiers
    names = [name for name in known if name in sides.released.columns]
    if not names or sides.released.is_empty():
        return not_applicable("SF117", "No quasi-identifier of a schema is in the table.")
    hidden = pl.all_horizontal(
        pl.col(name).cast(pl.String, strict=False).eq_missing(SUPPRESSED) for name in names
    )
    sizes = sides.released.filter(~hidden).group_by(names).len("rows in the class")
    small = sizes.filter(pl.col("rows in the class") <= _SMALL_CELL)
    if small.is_empty():
        return passed("SF117", "classes")
    rows = int(small["rows in the class"].sum())
    meaning = f"{small.height:,} classes of 1 to {_SMALL_CELL} rows hold {rows:,} rows."
    return failed("SF117", names, small.height, "classes", meaning)
