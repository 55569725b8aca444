"""A column's cells: how its declared points are joined, from noisy counts alone.

Everything here is computed from what was already released with noise: it costs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

__all__ = ["Cells", "nearest_shares"]

_SURE = 3.0  # standard deviations of noise that a cell of its own lies above 0


@dataclass(frozen=True, eq=False)
class Cells:
    """Stretches of a column's points, and the cells of the model that they are joined to.

    Parameters
    ----------
    starts
        First point of each stretch, ascending from 0; the last one is the single point that stands
        for missing. Shape (stretches,).
    cell
        The cell of each stretch; -1 where it is not learned. Shape (stretches,).
    share
        The stretch's share of its cell, shape (stretches,).
    size
        Number of cells.
    ordered
        Whether the points have an order.
    """

    starts: Integers
    cell: Integers
    share: Floats
    size: int
    ordered: bool

    @property
    def missing(self) -> int:
        """The point that stands for missing."""
        return int(self.starts[-1])

    def codes(self, points: Integers) -> Integers:
        """Return the cell of each point, shape (n,); -1 where it is not learned."""
        return self.cell[np.searchsorted(self.starts, points, side="right") - 1]

    def points(
        self, codes: Integers, random: np.random.Generator, *, even: bool = True
    ) -> Integers:
        """Return a point for each cell, shape (n,).

        The stretches of a cell are met in their shares as evenly as whole rows allow; within a
        stretch every point is as likely. Without ``even`` each row is drawn by itself.
        """
        order = np.argsort(codes + random.random(codes.size))
        counts = np.bincount(codes, minlength=self.size)
        first = np.cumsum(counts) - counts
        cell = codes[order]
        rank = np.arange(codes.size) - first[cell]
        within = (rank + random.random(self.size)[cell]) / counts[cell]
        if not even:
            within = random.random(codes.size)
        known = np.flatnonzero(self.cell >= 0)
        known = known[np.argsort(self.cell[known], kind="stable")]
        owner = self.cell[known]
        ends = np.cumsum(self.share[known])
        base = np.concatenate([[0.0], ends])[np.searchsorted(owner, np.arange(self.size))]
        last = np.searchsorted(owner, np.arange(self.size), side="right") - 1
        width = ends[last] - base
        target = base[cell] + np.mod(within, 1.0) * width[cell]
        place = np.clip(np.searchsorted(ends, target, side="right"), 0, last[cell])
        stretch = np.empty(codes.size, dtype=np.int64)
        stretch[order] = known[place]
        lengths = np.diff(np.append(self.starts, self.starts[-1] + 1))
        return self.starts[stretch] + (random.random(codes.size) * lengths[stretch]).astype(
            np.int64
        )

    def chance(self, point: int) -> tuple[int, float]:
        """Return the cell of a point and the point's share of it (-1 and 0 if not learned)."""
        stretch = int(np.searchsorted(self.starts, point, side="right")) - 1
        lengths = np.diff(np.append(self.starts, self.starts[-1] + 1))
        return int(self.cell[stretch]), float(self.share[stretch] / lengths[stretch])

    @classmethod
    def joined(
        cls,
        starts: Integers,
        counts: Floats,
        deviation: Floats,
        *,
        ordered: bool,
        least: float,
    ) -> Self:
        """Join stretches until each cell is surely not empty.

        Parameters
        ----------
        starts
            First point of each stretch; the last is missing.
        counts, deviation
            Noisy count of each stretch, and the standard deviation of its noise.
        ordered
            Whether neighbours are joined, as numbers are; otherwise all values too rare to stand
            by themselves become one cell.
        least
            Count from which an ordered cell is closed.
        """
        stretches = len(starts)
        cell = np.full(stretches, -1, dtype=np.int64)
        if ordered:
            cell[:-1] = _neighbours(counts[:-1], deviation[:-1], least)
        else:
            cell[:-1] = _rest(counts[:-1], deviation[:-1])
        size = int(cell.max()) + 1
        if counts[-1] > _SURE * deviation[-1]:
            cell[-1] = size
            size += 1
        share = np.zeros(stretches)
        for one in range(size):
            inside = np.flatnonzero(cell == one)
            share[inside] = nearest_shares(counts[inside], deviation[inside])
        return cls(starts, cell, share, size, ordered)

    def totals(self, counts: Floats) -> Floats:
        """Return the sum of the stretches' counts in each cell, shape (size,)."""
        known = self.cell >= 0
        sums = np.bincount(self.cell[known], weights=counts[known], minlength=self.size)
        return np.asarray(sums, dtype=np.float64)

    def to_dict(self) -> dict[str, Any]:
        """Return the cells as plain JSON values."""
        return {
            "starts": self.starts.tolist(),
            "cell": self.cell.tolist(),
            "share": self.share.tolist(),
            "size": self.size,
            "ordered": self.ordered,
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Return the cells that :meth:`to_dict` described."""
        return cls(
            np.array(values["starts"], dtype=np.int64),
            np.array(values["cell"], dtype=np.int64),
            np.array(values["share"], dtype=np.float64),
            values["size"],
            values["ordered"],
        )


def nearest_shares(counts: Floats, deviation: Floats) -> Floats:
    """Return the shares of 0 or more, summing to 1, nearest to noisy counts.

    The total of the counts is kept and the same amount, in units of each count's variance, taken
    from all of them, so that noise on many empty stretches does not add up to people.
    """
    total = float(counts.sum())
    if counts.size == 1 or total <= 0:
        return np.full(counts.size, 1 / counts.size)
    variance = np.maximum(deviation, 1e-9) ** 2
    # counts - variance * t, kept at 0 and above, sums to the total at one t of 0 or more
    order = np.argsort(-counts / variance, kind="stable")
    excess = (np.cumsum(counts[order]) - total) / np.cumsum(variance[order])
    last = int(np.flatnonzero(counts[order] / variance[order] > excess)[-1])
    kept = np.maximum(counts - variance * excess[last], 0.0)
    return np.asarray(kept / kept.sum())


def _neighbours(counts: Floats, deviation: Floats, least: float) -> Integers:
    """Return the cell of each stretch when neighbours are joined from the lowest on.

    A stretch that fills a cell by itself has one to itself, if what lies open before it does too.
    """
    cell = np.zeros(counts.size, dtype=np.int64)
    current, held, noise = 0, 0.0, 0.0
    for place in range(counts.size):  # stretches, not rows
        alone = counts[place] >= max(least, _SURE * deviation[place])
        if alone and held > _SURE * np.sqrt(noise) > 0:
            current, held, noise = current + 1, 0.0, 0.0
        cell[place] = current
        held, noise = held + counts[place], noise + deviation[place] ** 2
        if held >= max(least, _SURE * np.sqrt(noise)):
            current, held, noise = current + 1, 0.0, 0.0
    if current > 0 and cell[-1] == current and held <= _SURE * np.sqrt(noise):
        cell[cell == current] = current - 1
    return np.unique(cell, return_inverse=True)[1].astype(np.int64)


def _rest(counts: Floats, deviation: Floats) -> Integers:
    rare = counts <= _SURE * deviation
    if rare.sum() <= 1:
        return np.arange(counts.size, dtype=np.int64)
    cell = np.cumsum(~rare) - 1
    cell[rare] = (~rare).sum()
    return cell.astype(np.int64)
