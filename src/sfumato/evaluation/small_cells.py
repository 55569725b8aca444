"""Small cells of the tables that anybody can make of a release, and those behind suppressed cells.

Who counts a release by one, two or more columns gets a table; a cell of few people says something
about them. A suppressed cell (``*``) hides a value, but the rows where it stands are what a margin
has more than the other cells of its line.

References
----------
ResDAC, "CMS cell size suppression policy" (2024-01-26): no cell of 1 to 10, and none that can be
derived from others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from sfumato.errors import PlanError, SchemaError, did_you_mean
from sfumato.evaluation.derivable_cells import derivable_cells
from sfumato.evaluation.figures import Direction, Figure
from sfumato.privacy.grouping import distinct, numbered, polars_frame
from sfumato.table.counting import count_keys
from sfumato.table.hierarchies.ladder import SUPPRESSED

__all__ = ["SmallCells", "count_small_cells", "small_cell_figures"]

Integers = npt.NDArray[np.int64]

_LOWER: Direction = "lower is better"
_CMS = "CMS cell size suppression policy (ResDAC, 2024-01-26)"
_EXACT = "exact: counted over the whole release"
_MOST_TOGETHER = 4
_NAMED = 5
_MOST_CELLS = 4_000_000


@dataclass(frozen=True)
class SmallCells:
    """What the table of one set of columns shows.

    Parameters
    ----------
    columns
        Names of the columns.
    cells
        Cells that are not empty and hold no ``*``.
    small
        Of them, those of 1 to ``below - 1`` people.
    hidden
        Cells with ``*`` that have 1 to ``below - 1`` people: what remains of a margin if the other
        cells of its line are subtracted.
    uncovered
        Small cells, those with ``*`` among them, that would still follow from the margins if all
        small cells, and no others, were left out of the table; None for a table that is too large
        to tell, or of one column.
    """

    columns: tuple[str, ...]
    cells: int
    small: int
    hidden: int
    uncovered: int | None


def count_small_cells(
    released: Any,
    columns: Sequence[str] | None = None,
    *,
    sets: Sequence[Sequence[str]] = (),
    below: int = 11,
    person: str | None = None,
) -> tuple[SmallCells, ...]:
    """Count the small cells of the tables of every column, every pair, and further sets.

    Parameters
    ----------
    released
        The released table, a data frame of any kind.
    columns
        Columns whose one- and two-way tables are made; by default all but that of the person.
    sets
        Further sets of columns whose tables are looked at, of at most 4 columns each.
    below
        A cell of 1 to ``below - 1`` people is small; at least 2.
    person
        Column that says whose row it is; cells then count people.

    Raises
    ------
    SchemaError
        If a column is absent.
    PlanError
        If ``below`` is less than 2, or a set has no columns, more than 4, or one twice.
    """
    frame = polars_frame(released)
    names = [name for name in (frame.columns if columns is None else columns) if name != person]
    wanted: list[tuple[str, ...]] = [(name,) for name in names]
    wanted += combinations(names, 2)
    wanted += [tuple(one) for one in sets]
    if below < 2:
        raise PlanError(
            f"a small cell has fewer people than 'below', which is 2 or more, not {below}"
        )
    for one in wanted:
        if not 1 <= len(one) <= _MOST_TOGETHER or len(set(one)) < len(one):
            raise PlanError(
                f"a set has 1 to {_MOST_TOGETHER} different columns, not {', '.join(one) or 'none'}"
            )
    used = list(dict.fromkeys(name for one in wanted for name in one))
    for name in [*used, *([] if person is None else [person])]:
        if name not in frame.columns:
            hint = did_you_mean(name, frame.columns)
            raise SchemaError(f"The released table has no column {name!r}.{hint}")
    codes = {name: _coded(frame[name]) for name in used}
    people = None
    if person is not None:
        people, persons = numbered(frame, [person])
        if persons == frame.height:  # a row is a person: nobody is counted twice
            people = None
    return tuple(_counted(one, [codes[name] for name in one], below, people) for one in wanted)


@dataclass(frozen=True, eq=False)
class _Coded:
    codes: npt.NDArray[np.uint64]
    width: int
    star: int  # code of the suppressed value, -1 if there is none


def _coded(column: pl.Series) -> _Coded:
    codes, width = numbered(column.to_frame(), [column.name])
    star = -1
    if column.dtype in (pl.String, pl.Categorical, pl.Enum):
        at = (column.cast(pl.String) == SUPPRESSED).fill_null(value=False).arg_max()
        if at is not None and column.cast(pl.String)[at] == SUPPRESSED:
            star = int(codes[at])
    return _Coded(codes.astype(np.uint64), max(width, 1), star)


def _counted(
    columns: tuple[str, ...], coded: list[_Coded], below: int, people: Integers | None
) -> SmallCells:
    cells, counts = _table([one.codes for one in coded], [one.width for one in coded], people)
    stars = np.array([one.star for one in coded])[:, None]
    hidden = (cells == stars).any(axis=0)
    small = counts < below
    return SmallCells(
        columns,
        int((~hidden).sum()),
        int((small & ~hidden).sum()),
        int((small & hidden).sum()),
        _uncovered(cells, counts, [one.width for one in coded], below),
    )


def _table(
    codes: list[npt.NDArray[np.uint64]], widths: list[int], people: Integers | None
) -> tuple[Integers, Integers]:
    """Return the cells that are not empty, shape (columns, cells), and their counts."""
    key, bound = codes[0], widths[0]
    for code, width in zip(codes[1:], widths[1:], strict=True):
        key = key * np.uint64(width) + code
        bound *= width
    if people is not None:
        key = distinct(key.astype(np.int64), people)[0].astype(np.uint64)
    found = count_keys(key, bound, inverse=False)
    rest, cells = found.distinct.astype(np.int64), []
    for width in reversed(widths):
        rest, code = np.divmod(rest, width)
        cells.append(code)
    return np.stack(cells[::-1]), found.counts


def _uncovered(cells: Integers, counts: Integers, widths: list[int], below: int) -> int | None:
    """Return how many small cells who hides only these still gives away by the margins.

    A margin that is small itself is not shown either.
    """
    if len(widths) == 1 or np.prod([float(width) for width in widths]) > _MOST_CELLS:
        return None
    table = np.zeros(widths, dtype=np.int64)
    table[tuple(cells)] = counts
    small = (table > 0) & (table < below)
    if not small.any():
        return 0
    sums = [table.sum(axis=axis) for axis in range(len(widths))]
    margins = tuple((one == 0) | (one >= below) for one in sums)
    return int(derivable_cells(small, margins).sum())


def small_cell_figures(found: Sequence[SmallCells], *, below: int = 11) -> dict[str, Figure]:
    """Return the small cells of all tables as figures that name sets of columns, never values.

    Parameters
    ----------
    found
        What :func:`count_small_cells` returned.
    below
        The same as there.

    Returns
    -------
    dict of Figure
        ``cells_below_11`` over all tables, the same with ``/one_way``, ``/two_way``, ``/three_way``
        and ``/four_way`` for those that were made, ``/by_differencing`` (rows behind ``*`` that a
        margin and the other cells of its line give away) and ``/uncovered`` (small cells that would
        still follow if only they were left out).
    """
    key = f"cells_below_{below}"
    ways = {1: "one_way", 2: "two_way", 3: "three_way", 4: "four_way"}
    size = f"fewer than {below}"
    figures = {
        key: _figure(
            f"cells of {size}",
            found,
            [one.small for one in found],
            f"Cells of 1 to {below - 1} people in {{tables}} that the release can be counted by.",
        )
    }
    for width, way in ways.items():
        some = [one for one in found if len(one.columns) == width]
        if some:
            figures[f"{key}/{way}"] = _figure(
                f"cells of {size}, {way.replace('_', '-')} tables",
                some,
                [one.small for one in some],
                f"Cells of 1 to {below - 1} people in {{tables}} by {width} column(s).",
            )
    figures[f"{key}/by_differencing"] = _figure(
        f"cells of {size} by differencing",
        found,
        [one.hidden for one in found],
        "Groups of so few people behind a suppressed cell (*): what a margin has more than the "
        "other cells of its line, in {tables}.",
    )
    tested = [one for one in found if one.uncovered is not None]
    if tested:
        figures[f"{key}/uncovered"] = _figure(
            f"cells of {size} that margins would give away",
            tested,
            [one.uncovered or 0 for one in tested],
            "Small cells that would still follow from the totals if they, and no others, were left "
            "out of {tables}: these need a second cell left out in their line.",
        )
    return figures


def _figure(name: str, found: Sequence[SmallCells], counts: Sequence[int], meaning: str) -> Figure:
    with_some = sorted(
        ((count, one.columns) for one, count in zip(found, counts, strict=True) if count),
        key=lambda pair: (-pair[0], pair[1]),
    )
    text = meaning.format(tables=f"{len(found):,} table{'s' * (len(found) != 1)}")
    if with_some:
        named = "; ".join(" x ".join(columns) for _, columns in with_some[:_NAMED])
        more = len(with_some) - _NAMED
        text += f" Most in: {named}" + (f"; and {more:,} more." if more > 0 else ".")
    return Figure(
        name,
        float(sum(counts)),
        "cells",
        _LOWER,
        text,
        _CMS,
        interval_method=_EXACT,
        not_shown="Tables of more columns than were looked at, and what other releases add.",
    )
