"""A column's cells in few groups: what a network tells apart, the rest follows its own shares.

A number may have a thousand cells, and a network that gives each a probability learns single people
where it should learn the table. It learns groups of neighbouring cells instead, of like frequency;
a cell that many people share is a group of its own. Within its group a cell is drawn by its share
of the training rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sfumato.synthesis.codec import ColumnGrid

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

__all__ = ["CellGroups"]


@dataclass(frozen=True, eq=False)
class CellGroups:
    """The groups of one column.

    Parameters
    ----------
    group_of
        Group of each cell, shape (cells,), ascending from 0.
    share
        Share of each cell among the training rows, shape (cells,); sums to 1.
    """

    group_of: Integers
    share: Floats

    @classmethod
    def fit(cls, grid: ColumnGrid, codes: Integers, most: int) -> Self:
        """Group the cells of a column.

        Parameters
        ----------
        grid
            The column's cells.
        codes
            Cell of each row, shape (n,); -1 where it was not learned.
        most
            About how many groups a number has at most; a category keeps each of its values.
        """
        counts = np.bincount(codes[codes >= 0], minlength=grid.cells).astype(np.float64)
        share = counts / counts.sum()
        if grid.kind == "category" or grid.cells <= most:
            return cls(np.arange(grid.cells), share)
        group_of = np.zeros(grid.cells, dtype=np.int64)
        group, filled = 0, 0.0
        for cell, part in enumerate(share):  # over cells, of which there are few
            alone = cell >= grid.values or part >= 1 / most
            if filled > 0 and (alone or filled + part > 1 / most):
                group, filled = group + 1, 0.0
            group_of[cell] = group
            filled = 1.0 if alone else filled + part
        return cls(group_of, share)

    @property
    def groups(self) -> int:
        """Number of groups."""
        return int(self.group_of[-1]) + 1

    @property
    def group_share(self) -> Floats:
        """Share of each group among the training rows, shape (groups,)."""
        shares = np.bincount(self.group_of, weights=self.share, minlength=self.groups)
        return shares.astype(np.float64)

    def cells(self, groups: Integers, uniform: Floats) -> Integers:
        """Return a cell of each of the groups, drawn by its share.

        Parameters
        ----------
        groups, uniform
            Group and a random number from 0 to 1 of each row, shape (n,).
        """
        end = np.cumsum(self.share)
        group_end = np.cumsum(self.group_share)
        height = group_end[groups] - (1.0 - uniform) * self.group_share[groups]
        first = np.searchsorted(self.group_of, np.arange(self.groups))
        last = np.r_[first[1:], self.group_of.size] - 1
        found = np.searchsorted(end, height, side="right")
        return np.clip(found, first[groups], last[groups]).astype(np.int64)

    def to_dict(self) -> dict[str, Any]:
        """Return the groups as plain JSON values."""
        return {"group_of": self.group_of.tolist(), "share": self.share.tolist()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Return the groups that :meth:`to_dict` described."""
        return cls(
            np.asarray(values["group_of"], dtype=np.int64),
            np.asarray(values["share"], dtype=np.float64),
        )
