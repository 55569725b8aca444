"""Every column cut into a few cells, once and from the real rows alone.

Numbers are cut at their quantiles; a value that holds as many rows as a whole cell is a cell of its
own, and so is every value where there are few. Of a category the commonest values are cells and all
others are one. Missing and suppressed cells are two more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sfumato.evaluation.alignment import MISSING, PRESENT, SUPPRESSED, AlignedColumn
from sfumato.evaluation.utility.footing import REAL

__all__ = ["BinnedColumn", "bin_columns"]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Codes = npt.NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class BinnedColumn:
    """One column as cells.

    Parameters
    ----------
    name
        Name of the column.
    codes
        The cell of each row of each table, 0 to ``size`` - 1.
    size
        Number of cells that occur in some table.
    labels
        What each cell is called: a value of a category; empty for a range of numbers.
    ranges
        Whether cells are ranges, in their order.
    """

    name: str
    codes: tuple[Codes, ...]
    size: int
    labels: tuple[str, ...]
    ranges: bool

    @property
    def called(self) -> tuple[str, ...]:
        """What to call the cells in a report: a range of numbers by its place, not by its ends."""
        ranges = [place for place, label in enumerate(self.labels) if not label]
        names = {place: f"band {at} of {len(ranges)}" for at, place in enumerate(ranges, 1)}
        return tuple(names.get(place, label) for place, label in enumerate(self.labels))

    def shares(self, table: int) -> Floats:
        """Return the share of a table's rows in each cell."""
        codes = self.codes[table]
        return np.asarray(np.bincount(codes, minlength=self.size) / max(len(codes), 1))


def bin_columns(
    columns: Sequence[AlignedColumn], *, bins: int = 20, values: int = 60
) -> tuple[BinnedColumn, ...]:
    """Return the columns as cells that the real rows alone decide.

    Parameters
    ----------
    columns
        Each over the real and other tables, the real one first.
    bins
        Cells of a number, at least 2; up to as many more for values of their own.
    values
        Most values of a category that are cells of their own.
    """
    return tuple(
        _numbers(column, bins) if column.kind == "number" else _values(column, values)
        for column in columns
    )


def _numbers(column: AlignedColumn, bins: int) -> BinnedColumn:
    real = column.content[REAL][column.state[REAL] == PRESENT].astype(np.float64)
    edges = _edges(real, bins)
    codes = []
    for content, state in zip(column.content, column.state, strict=True):
        code = np.searchsorted(edges, np.nan_to_num(content.astype(np.float64)), side="right")
        codes.append(_with_states(code, state, len(edges) + 1))
    return _compact(column.name, codes, [""] * (len(edges) + 1), ranges=True)


def _edges(real: Floats, bins: int) -> Floats:
    """Return the numbers at which a new cell begins."""
    if real.size == 0:
        return np.zeros(0)
    distinct, counts = np.unique(real, return_counts=True)
    alone = counts >= real.size / bins
    if distinct.size <= bins:
        alone[:] = True
    atoms = distinct[alone]
    edges = [atoms, np.nextafter(atoms, np.inf)]
    others = np.repeat(distinct[~alone], counts[~alone])
    if others.size:
        steps = max(2, round(bins * others.size / real.size))
        places = np.arange(1, steps) / steps
        edges.append(np.quantile(others, places, method="inverted_cdf"))
    return np.unique(np.concatenate(edges))


def _values(column: AlignedColumn, values: int) -> BinnedColumn:
    real = column.content[REAL].astype(np.int64)
    counts = np.bincount(real[real >= 0], minlength=len(column.labels))
    order = np.argsort(-counts, kind="stable")
    order = order[counts[order] > 0][:values]
    place = np.full(len(column.labels) + 1, len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    codes = [
        _with_states(place[content.astype(np.int64)], state, len(order) + 1)
        for content, state in zip(column.content, column.state, strict=True)
    ]
    names = [column.labels[code] for code in order.tolist()] + ["(other)"]
    return _compact(column.name, codes, names, ranges=False)


def _with_states(code: Integers, state: Integers, cells: int) -> Integers:
    code = np.where(state == MISSING, cells, code)
    return np.where(state == SUPPRESSED, cells + 1, code)


def _compact(name: str, codes: list[Integers], names: list[str], *, ranges: bool) -> BinnedColumn:
    """Leave out the cells that no table has."""
    names = [*names, "(missing)", "*"]
    counts = sum(np.bincount(code, minlength=len(names)) for code in codes)
    used = np.flatnonzero(counts)
    place = np.zeros(len(names), dtype=np.int32)
    place[used] = np.arange(used.size, dtype=np.int32)
    return BinnedColumn(
        name,
        tuple(place[code] for code in codes),
        int(used.size),
        tuple(names[cell] for cell in used.tolist()),
        ranges,
    )
