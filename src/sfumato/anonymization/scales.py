"""A quasi-identifier as integer codes, and what it costs to say it less exactly.

A column with a hierarchy has the leaves of its ladder as codes, in depth-first order, so that the
lowest common ancestor of a set of codes is that of its least and greatest. A column of numbers or
dates without one has its distinct values as codes; any run of them is an interval, and a binary
hierarchy is made of it for the searches that need levels.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from sfumato.table import Hierarchy, Ladder, Schema
from sfumato.table.hierarchies.ladder import smallest_unsigned

__all__ = ["LossMeasure", "Scale", "numbers_of_column", "scale_of"]

Integers = npt.NDArray[np.int64]
Codes = npt.NDArray[np.unsignedinteger[Any]]
Floats = npt.NDArray[np.float64]
LossMeasure = Literal["arithmetic", "geometric", "ncp", "entropy"]

_MOST_LEVELS = 6  # of a binary hierarchy: the lattice grows by this factor for each such column


@dataclass(frozen=True, eq=False)
class Scale:
    """The codes of one quasi-identifier.

    Parameters
    ----------
    name
        The column.
    hierarchy
        Its hierarchy; None for numbers or dates that become intervals.
    groups
        Shape (levels, n_codes), int64: the group of each code at each level; level 0 is the code
        itself, the last level is everything.
    leaves
        Shape (levels, n_codes): leaves of that group.
    ladder
        The ladder that the codes are numbers of; None for numbers.
    numbers
        The rising values that the codes stand for; None with a ladder.
    has_missing
        Whether the last code stands for a missing cell.
    dtype
        Type of the column.
    """

    name: str
    hierarchy: Hierarchy | None
    groups: Integers
    leaves: Integers
    ladder: Ladder | None
    numbers: Floats | None
    has_missing: bool
    dtype: pl.DataType

    @property
    def n_codes(self) -> int:
        """Codes in all, that of a missing cell included."""
        return int(self.groups.shape[1])

    @property
    def height(self) -> int:
        """Levels above the code itself."""
        return len(self.groups) - 1

    @cached_property
    def domain(self) -> int:
        """Leaves of the hierarchy, or distinct numbers: D of the loss measures."""
        return self.n_codes - int(self.has_missing)

    def costs(self, measure: LossMeasure, counts: Integers) -> Floats:
        """Return what one person loses who is said at a level, shape (levels, n_codes).

        Parameters
        ----------
        measure
            "arithmetic" and "geometric": leaves of the node less one, as a share of all leaves
            less one (ARX's Loss). "ncp": leaves as a share of all, 0 for an exact value. "entropy":
            bits that are lost, as a share of the bits that a person's code is worth at most.
        counts
            People of each code, shape (n_codes,).
        """
        if self.numbers is not None and measure != "entropy":
            costs = np.stack([self._widths(level) for level in self.groups])
        elif measure == "entropy":
            total = max(int(counts.sum()), 2)
            known = np.maximum(counts, 1)
            costs = np.empty(self.groups.shape)
            for level, groups in enumerate(self.groups):
                held = np.bincount(groups, counts)[groups]
                costs[level] = np.log2(np.maximum(held, known) / known) / np.log2(total)
        elif measure == "ncp":
            costs = self.leaves / max(self.domain, 1)
        else:
            costs = (self.leaves - 1) / max(self.domain - 1, 1)
        costs[0] = 0.0
        costs[-1] = 1.0 if measure != "entropy" else costs[-1]
        if self.height and self.n_codes == 1:
            costs[:] = 0.0  # a column of one value has nothing to lose
        return costs

    def costs_of_runs(
        self, costs: Floats, first: Integers, last: Integers, *, by_width: bool
    ) -> Floats:
        """Return what a person loses in each run of codes, shape (c,).

        With a hierarchy a run is said by its lowest common ancestor; numbers by an interval that
        is as wide as the run, whatever the levels are.

        Parameters
        ----------
        costs
            Shape (levels, n_codes): what :meth:`costs` gives, times the column's importance.
        first, last
            Least and greatest code of each run, shape (c,).
        by_width
            Whether an interval of numbers costs its share of the column's range.
        """
        level = np.full(len(first), self.height)
        for number in range(self.height - 1, -1, -1):
            level[self.groups[number, first] == self.groups[number, last]] = number
        told: Floats = costs[level, first]
        if not by_width or self.numbers is None or len(self.numbers) < 2:
            return told
        numbers = self.numbers
        inside = last < len(numbers)
        spread = float(numbers[-1] - numbers[0])
        width = (numbers[last[inside]] - numbers[first[inside]]) / spread
        told[inside] = width * costs[-1, 0]
        return told

    def positions(self) -> Floats | None:
        """Return where each number lies in the column's range, 0 to 1, shape (n_codes,).

        ``nan`` for a missing cell; None for a column with a hierarchy.
        """
        if self.numbers is None or len(self.numbers) < 2:
            return None
        spread = float(self.numbers[-1] - self.numbers[0])
        placed = (self.numbers - self.numbers[0]) / spread
        return np.append(placed, np.full(self.n_codes - len(placed), np.nan))

    def _widths(self, groups: Integers) -> Floats:
        """Return the range of each code's group as a share of the column's range."""
        numbers = self.numbers
        if numbers is None or not len(numbers):
            return np.zeros(self.n_codes)
        spread = max(float(numbers[-1] - numbers[0]), np.finfo(np.float64).tiny)
        known = groups[: len(numbers)]
        first = np.flatnonzero(np.diff(known, prepend=-1))
        last = np.append(first[1:], len(known)) - 1
        widths = (numbers[last] - numbers[first])[known - known[0]] / spread
        return np.append(widths, np.zeros(self.n_codes - len(numbers)))


def scale_of(values: pl.Series, schema: Schema) -> tuple[Scale, Codes]:
    """Return the scale of a column and the code of each row, shape (n_rows,), unsigned.

    A text without a hierarchy has its distinct values and ``*`` above them.

    Raises
    ------
    HierarchyError
        If a row holds a value that the column's hierarchy does not hold.
    """
    hierarchy = schema.columns[values.name].hierarchy
    kind = values.dtype
    if hierarchy is None and not (kind.is_numeric() or kind.is_temporal()):
        hierarchy = Hierarchy.flat()
    if hierarchy is not None:
        ladder = hierarchy.ladder(values)
        groups = np.stack(ladder.levels)
        leaves = np.stack([size[of] for size, of in zip(ladder.sizes, ladder.levels, strict=True)])
        scale = Scale(
            values.name, hierarchy, groups, leaves, ladder, None, ladder.has_missing, kind
        )
        return scale, ladder.codes(values)
    numbers = numbers_of_column(values)
    missing = np.isnan(numbers)
    distinct, of_row = np.unique(numbers[~missing], return_inverse=True)
    codes = np.full(len(numbers), len(distinct), dtype=smallest_unsigned(len(distinct) + 1))
    codes[~missing] = of_row
    groups = _halved(np.bincount(of_row, minlength=len(distinct)), with_missing=missing.any())
    leaves = np.stack([np.bincount(level)[level] for level in groups])
    return (
        Scale(values.name, None, groups, leaves, None, distinct, bool(missing.any()), kind),
        codes,
    )


def numbers_of_column(values: pl.Series) -> Floats:
    """Return numbers, or dates as days or microseconds; ``nan`` for missing."""
    numbers: Floats = values.to_physical().cast(pl.Float64).fill_null(np.nan).to_numpy()
    return numbers


def _halved(counts: npt.NDArray[Any], *, with_missing: np.bool_) -> Integers:
    """Return the groups of a binary hierarchy: halves, quarters, ... of the people, then values.

    Parameters
    ----------
    counts
        People of each distinct value, shape (n,).
    with_missing
        Whether a last code stands for missing cells, alone below the top.
    """
    n = len(counts)
    depth = min(_MOST_LEVELS - 1, max(int(np.ceil(np.log2(max(n, 1)))), 0))
    middle = np.cumsum(counts) - counts / 2
    total = max(float(counts.sum()), 1.0)
    levels = [np.arange(n)]
    for parts in range(depth - 1, 0, -1):
        part = np.minimum((middle / total * 2**parts).astype(np.int64), 2**parts - 1)
        dense = np.cumsum(np.diff(part, prepend=part[:1]) != 0)
        if len(dense) and dense[-1] + 1 < len(np.unique(levels[-1])):
            levels.append(dense)
    if with_missing:
        levels = [np.append(level, level[-1] + 1 if n else 0) for level in levels]
    if len(levels[-1]) == 0 or levels[-1][-1] > 0 or len(levels) == 1:
        levels.append(np.zeros(n + int(with_missing), dtype=np.int64))
    return np.stack([level.astype(np.int64) for level in levels])
