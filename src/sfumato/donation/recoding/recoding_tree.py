"""A recoding that was computed from counts: which cells make a class, and how it is labelled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sfumato.donation.recoding.cell_domain import CellDomain
from sfumato.errors import ProtocolError

__all__ = ["RecodingTree", "Region"]


@dataclass(frozen=True)
class Region:
    """A box of cells: one group of each column.

    Parameters
    ----------
    levels
        For each column the level of its group.
    groups
        For each column the number of its group at that level.
    """

    levels: tuple[int, ...]
    groups: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class RecodingTree:
    """The classes of a recoding.

    Parameters
    ----------
    domain
        The cells.
    regions
        The classes in the order in which they are asked: a cell belongs to the first region that
        holds it, so that a class may be a box less the boxes before it. It is labelled as its box.
    """

    domain: CellDomain
    regions: tuple[Region, ...]

    def __len__(self) -> int:
        return len(self.regions)

    def box(self, region: Region) -> tuple[slice, ...]:
        """Return the leaves of a region, for each column."""
        slices = []
        for ladder, starts, level, group in zip(
            self.domain.ladders, self.domain.starts, region.levels, region.groups, strict=True
        ):
            start = int(starts[level][group])
            slices.append(slice(start, start + int(ladder.sizes[level][group])))
        return tuple(slices)

    def owners(self) -> npt.NDArray[np.int32]:
        """Return for each cell, in the domain's shape, its class; -1 for a suppressed one."""
        owner = np.full(self.domain.shape, -1, dtype=np.int32)
        for number in range(len(self.regions) - 1, -1, -1):
            owner[self.box(self.regions[number])] = number
        return owner

    def losses(self) -> npt.NDArray[np.int64]:
        """Return the loss of each class, in ``LOSS_UNIT``."""
        losses = self.domain.losses
        columns = len(self.domain.ladders)
        return np.array(
            [
                sum(
                    int(losses[axis][level][group])
                    for axis, (level, group) in enumerate(
                        zip(region.levels, region.groups, strict=True)
                    )
                )
                // columns
                for region in self.regions
            ],
            dtype=np.int64,
        )

    def labels(self) -> list[tuple[str, ...]]:
        """Return for each class the label of each column."""
        return [
            tuple(
                ladder.labels[level][group]
                for ladder, level, group in zip(
                    self.domain.ladders, region.levels, region.groups, strict=True
                )
            )
            for region in self.regions
        ]

    def to_dict(self) -> dict[str, Any]:
        """Return the classes as JSON: the same at every server, and signed by each."""
        return {
            "columns": [ladder.column for ladder in self.domain.ladders],
            "classes": [[*region.levels, *region.groups] for region in self.regions],
        }

    @classmethod
    def from_dict(cls, domain: CellDomain, values: dict[str, Any]) -> RecodingTree:
        """Return the recoding that :meth:`to_dict` gave.

        Raises
        ------
        ProtocolError
            If it is none of this domain.
        """
        columns = len(domain.ladders)
        names = [ladder.column for ladder in domain.ladders]
        if set(values) != {"columns", "classes"} or values["columns"] != names:
            raise ProtocolError(f"recoding: must be of the columns {', '.join(names)}")
        regions = []
        for line in values["classes"]:
            if len(line) != 2 * columns or not all(type(number) is int for number in line):
                raise ProtocolError("recoding: a class is a level and a group for each column")
            levels, groups = tuple(line[:columns]), tuple(line[columns:])
            for ladder, level, group in zip(domain.ladders, levels, groups, strict=True):
                held = 0 <= level <= ladder.height and 0 <= group < len(ladder.sizes[level])
                if not held:
                    raise ProtocolError(f"recoding: column {ladder.column!r} has no such group")
            regions.append(Region(levels, groups))
        return cls(domain, tuple(regions))
