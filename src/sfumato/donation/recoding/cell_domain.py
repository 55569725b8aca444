"""The cells that are counted: every combination of exact quasi-identifier answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from sfumato.errors import InternalError
from sfumato.table import Ladder

__all__ = ["LOSS_UNIT", "CellDomain"]

LOSS_UNIT = 1024
"""A loss of 1 (a suppressed answer) as a whole number: shares are of integers."""

Counts = npt.NDArray[Any]


@dataclass(frozen=True)
class CellDomain:
    """The combinations of the leaves of several ladders.

    Parameters
    ----------
    ladders
        One for each quasi-identifier, at least one.
    """

    ladders: tuple[Ladder, ...]

    def __post_init__(self) -> None:
        if not self.ladders:
            raise InternalError("a domain of no column")

    @property
    def shape(self) -> tuple[int, ...]:
        """Leaves of each ladder."""
        return tuple(ladder.n_leaves for ladder in self.ladders)

    @property
    def n_cells(self) -> int:
        """Cells in all."""
        return int(np.prod(self.shape))

    @property
    def top(self) -> tuple[int, ...]:
        """The levels at which every answer is ``*``."""
        return tuple(ladder.height for ladder in self.ladders)

    def levels(self) -> list[tuple[int, ...]]:
        """Return every choice of one level for each column, but the one of all ``*``."""
        choices = product(*(range(ladder.height + 1) for ladder in self.ladders))
        return [levels for levels in choices if levels != self.top]

    @cached_property
    def starts(self) -> tuple[tuple[npt.NDArray[np.int64], ...], ...]:
        """For each column and level the first leaf of each group."""
        return tuple(
            tuple(np.flatnonzero(np.diff(groups, prepend=-1)) for groups in ladder.levels)
            for ladder in self.ladders
        )

    @cached_property
    def losses(self) -> tuple[tuple[npt.NDArray[np.int64], ...], ...]:
        """For each column and level the NCP of each group, in units of 1 / (1024 columns).

        0 for a leaf, else its leaves over those of the column (Xu et al. 2006, for categories).
        """
        return tuple(
            tuple(
                np.where(sizes > 1, sizes * LOSS_UNIT // ladder.n_leaves, 0).astype(np.int64)
                for sizes in ladder.sizes
            )
            for ladder in self.ladders
        )

    def summed(self, counts: Counts, levels: Sequence[int]) -> Counts:
        """Return the counts of the groups at the levels: axes of leaves become axes of groups."""
        for axis, level in enumerate(levels):
            if level:
                counts = np.add.reduceat(
                    counts, self.starts[axis][level], axis=axis, dtype=counts.dtype
                )
        return counts

    def loss(self, levels: Sequence[int]) -> npt.NDArray[np.int64]:
        """Return the loss of each group at the levels: the mean over columns, in ``LOSS_UNIT``."""
        parts = [self.losses[axis][level] for axis, level in enumerate(levels)]
        whole = parts[0]
        for part in parts[1:]:
            whole = whole[..., None] + part
        return whole // len(parts)

    def spread(self, values: Counts, levels: Sequence[int]) -> Counts:
        """Return for each cell the value of its group at the levels."""
        for axis, level in enumerate(levels):
            if level:
                values = np.take(values, self.ladders[axis].levels[level], axis=axis)
        return values
