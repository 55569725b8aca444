"""The nearest records under Gower's distance: exact, ties known, on any columns.

The distance of a released row and a real one is the sum of :meth:`AttackColumn.cost` over the
columns, in whole units, so that equal distances are equal and no order of summing matters. Equal
rows are looked up once and searched once.

References
----------
J. C. Gower, "A general coefficient of similarity and some of its properties", Biometrics 27 (1971);
J. H. Friedman, J. L. Bentley, R. A. Finkel, "An algorithm for finding best matches in logarithmic
expected time", ACM TOMS 3 (1977), for boxes of alike rows that bound how near a row can be.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from sfumato.evaluation.attacks.nearest_cells import (
    Side,
    bits_of,
    distinct,
    ends_of,
    height,
    in_blocks,
    near_ends,
    take,
    together,
    what_fits,
)
from sfumato.evaluation.attacks.tables import AttackColumn

if TYPE_CHECKING:
    from sfumato.evaluation.attacks.nearest_kernels import Blocks, Sought

__all__ = ["Neighbours", "Search", "nearest_other", "nearest_real", "nearest_released"]

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The distances of the nearest rows of each row that was looked up.

    Parameters
    ----------
    distances
        Distinct distances in rising order, in units of 1 / GRID of a column, shape (n, k); -1
        where there is none.
    counts
        How many rows lie at each: all of them, also at the last one, shape (n, k).
    """

    distances: Integers
    counts: Integers

    def at(self, k: int) -> tuple[Integers, Integers, Integers]:
        """Return the distance of the k-th nearest row, the rows nearer, and those as near.

        Parameters
        ----------
        k
            At least 1, at most what was searched for. Where there are fewer rows, the furthest is
            taken; where there is none, the distance is -1.

        Returns
        -------
        distance, nearer, tied
            Each of shape (n,).
        """
        reached = np.cumsum(self.counts, axis=1)
        place = np.minimum((reached < k).sum(axis=1), (self.counts > 0).sum(axis=1) - 1)
        place = np.maximum(place, 0)
        rows = np.arange(len(place))
        tied = self.counts[rows, place]
        return self.distances[rows, place], reached[rows, place] - tied, tied

    def mean(self, k: int) -> Floats:
        """Return the mean distance of the k nearest rows, in units; nan where there is none."""
        before = np.cumsum(self.counts, axis=1) - self.counts
        taken = np.clip(k - before, 0, self.counts)
        total = (taken * self.distances).sum(axis=1)
        rows = taken.sum(axis=1)
        return np.where(rows > 0, total / np.maximum(rows, 1), np.nan)


def nearest_released(
    columns: Sequence[AttackColumn], k: int = 1, *, rows: Integers | None = None
) -> Neighbours:
    """Find the nearest released rows of real rows.

    Parameters
    ----------
    columns
        On which rows are compared, at least 1.
    k
        Nearest rows that are wanted, at least 1.
    rows
        Numbers of the real rows that are looked up; all by default.
    """
    return Search.among(columns, "released").nearest(k, rows)


def nearest_real(
    columns: Sequence[AttackColumn], k: int = 1, *, rows: Integers | None = None
) -> Neighbours:
    """Find the nearest real rows of released rows; as :func:`nearest_released`."""
    return Search.among(columns, "real").nearest(k, rows)


def nearest_other(
    columns: Sequence[AttackColumn], k: int = 1, *, rows: Integers | None = None
) -> Neighbours:
    """Find the nearest other real rows of real rows; as :func:`nearest_released`.

    A person's own row is left out, an equal one of somebody else is not.
    """
    return Search.among([_both_real(column) for column in columns], "released").nearest(
        k, rows, others=True
    )


@dataclass(frozen=True, eq=False)
class Found:
    """The distinct rows that lie within a distance of each row that was looked up.

    Parameters
    ----------
    starts
        Where the rows found for each begin, shape (n + 1,).
    groups
        Distinct rows, numbered as in ``Search.group``.
    distances
        Their distances, in units.
    """

    starts: Integers
    groups: Integers
    distances: Integers


@dataclass(frozen=True, eq=False)
class Search:
    """Rows of one side, ready to be searched for those near rows of the other side.

    Parameters
    ----------
    columns
        On which rows are compared.
    side
        The side that is searched.
    blocks
        Its distinct rows.
    group
        The distinct row of each row of that side, shape (rows,).
    """

    columns: tuple[AttackColumn, ...]
    side: Side
    blocks: Blocks
    group: Integers

    @classmethod
    def among(
        cls, columns: Sequence[AttackColumn], side: Side, *, other_view: Sequence[AttackColumn] = ()
    ) -> Search:
        """Make the rows of one side ready.

        Parameters
        ----------
        columns
            On which rows are compared, at least 1.
        side
            The side that is searched.
        other_view
            More columns, of another view of the same rows.
        """
        blocks, group, ordered = in_blocks(columns, other_view, side)
        return cls(ordered, side, blocks, group)

    def sought(
        self, rows: Integers | None = None, *, others: bool = False
    ) -> tuple[Sought, Integers]:
        """Return the distinct rows of the other side, and which of them each row is.

        Parameters
        ----------
        rows
            Numbers of the rows that are looked up; all by default.
        others
            Whether either side is the same rows, of which each is not to find itself.
        """
        from sfumato.evaluation.attacks.nearest_kernels import Sought

        other: Side = "real" if self.side == "released" else "released"
        chosen = np.arange(height(self.columns[0], other)) if rows is None else rows
        ends = [ends_of(column, other, chosen) for column in self.columns]
        first, _, group = distinct(self.columns, ends)
        ends = [take(one, first) for one in ends]
        reach = np.zeros((len(first), len(ends)), np.uint64)
        table = np.zeros((len(first), len(ends)), np.int64)
        begin = 0
        for place, (column, (low, high)) in enumerate(zip(self.columns, ends, strict=True)):
            if column.kind == "number":
                continue
            if column.covers is None:
                reach[:, place] = bits_of(low, high)
                continue
            codes, fits = low.astype(np.int64), what_fits(column, self.side)
            of_code = np.zeros(len(fits), np.uint64)
            for bit in range(min(64, fits.shape[1])):
                of_code |= fits[:, bit::64].any(axis=1).astype(np.uint64) << np.uint64(bit)
            reach[:, place] = of_code[codes]
            table[:, place] = begin + codes * fits.shape[1]
            begin += fits.size
        near = [near_ends(column, one) for column, one in zip(self.columns, ends, strict=True)]
        own = self.group[chosen[first]] if others else np.full(len(first), -1, np.int64)
        return Sought(together(ends), together(near), reach, table, own), group

    def nearest(
        self, k: int = 1, rows: Integers | None = None, *, others: bool = False
    ) -> Neighbours:
        """Find the k nearest rows; parameters as of :meth:`sought`."""
        from sfumato.evaluation.attacks.nearest_kernels import nearest

        sought, group = self.sought(rows, others=others)
        distances = np.full((len(sought.cells), k), -1, np.int64)
        counts = np.zeros_like(distances)
        if len(self.group):
            nearest(self.blocks, sought, k, distances, counts)
        return Neighbours(distances[group], counts[group])

    def within(self, reach: Integers, rows: Integers | None = None) -> Found:
        """Find all rows within a distance of each.

        Parameters
        ----------
        reach
            Greatest distance of each row that is looked up, in units, ends included, shape (n,).
        rows
            Numbers of the rows that are looked up; all by default.
        """
        from sfumato.evaluation.attacks.nearest_kernels import within

        sought, group = self.sought(rows)
        of_first = np.empty(len(sought.cells), np.int64)
        of_first[group] = reach
        starts = np.zeros(len(of_first) + 1, np.int64)
        groups, distances = np.zeros((2, 0), np.int64)
        if len(self.group):
            groups, distances = within(self.blocks, sought, of_first, starts)
        sizes = np.diff(starts)[group]
        ends = np.cumsum(sizes)
        place = np.arange(sizes.sum()) + np.repeat(starts[group] - (ends - sizes), sizes)
        return Found(np.concatenate([[0], ends]), groups[place], distances[place])


def _both_real(column: AttackColumn) -> AttackColumn:
    """Return a column whose released cells are the real ones."""
    if column.kind == "number":
        return replace(column, low=column.numbers, high=column.numbers)
    return replace(column, released=column.real, covers=None)
