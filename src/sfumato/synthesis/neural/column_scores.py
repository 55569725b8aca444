"""How a column's cells become numbers from 0 to 1 that an autoencoder reads and writes.

A category has one number for each of its values, 1 for the value that a row has. A number has its
place in the column's distribution, from 0 (lowest) to 1 (highest); where it may be missing or
suppressed, one number each for being there and for each empty state come first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from sfumato.synthesis.neural.sequential_decoder import drawn_groups, matched_bias

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sfumato.synthesis.codec import ColumnGrid

    Floats = NDArray[np.float64]
    Singles = NDArray[np.float32]
    Integers = NDArray[np.int64]

__all__ = ["ColumnScores"]

_LEAST = 1e-4  # of an output that stands for a probability
_KNOTS = 257
_LEAST_SPREAD = 1e-3


@dataclass(frozen=True, eq=False)
class ColumnScores:
    """One column's numbers, and how a cell is drawn from what a network writes.

    Parameters
    ----------
    values
        Number of cells that hold a value.
    share
        Share of each cell among the training rows, shape (cells,); sums to 1.
    ordered
        Whether the values are a number's.
    bias
        Added to the logarithm of what is written of each kind: of the values of a category, or of
        a number's being there and its empty states; shape (kinds,).
    spread
        Standard deviation of a number's place around what is written.
    knots
        Quantiles of the written place with its spread, at equal steps, shape (knots,); what is
        drawn is mapped by them to even shares. Empty for a category.
    """

    values: int
    share: Floats
    ordered: bool
    bias: Singles
    spread: float = 0.0
    knots: Floats = ()  # type: ignore[assignment]

    @classmethod
    def fit(cls, grid: ColumnGrid, codes: Integers) -> Self:
        """Return the scores of a column, not yet calibrated; see the class."""
        counts = np.bincount(codes[codes >= 0], minlength=grid.cells).astype(np.float64)
        ordered = grid.kind == "number" and grid.values > 0
        kinds = 1 + len(grid.empty) if ordered else grid.cells
        return cls(grid.values, counts / counts.sum(), ordered, np.zeros(kinds, dtype=np.float32))

    @property
    def kinds(self) -> int:
        """Number of outputs that stand for probabilities; none where there is only one kind."""
        return self.bias.size if not self.ordered or self.bias.size > 1 else 0

    @property
    def width(self) -> int:
        """Number of numbers that stand for the column."""
        return self.kinds + int(self.ordered)

    @property
    def kind_share(self) -> Floats:
        """Share of each kind."""
        if not self.ordered:
            return self.share
        return np.concatenate(
            [self.share[: self.values].sum(keepdims=True), self.share[self.values :]]
        )

    @property
    def _ends(self) -> Floats:
        """Upper end of each value's cell among the rows that have a value."""
        share = self.share[: self.values]
        return np.asarray(np.cumsum(share) / share.sum())

    def encode(self, codes: Integers) -> tuple[Singles, Singles]:
        """Return the numbers of cells and what each counts in the loss, shape (n, width)."""
        n = codes.size
        numbers = np.zeros((n, self.width), dtype=np.float32)
        counts = np.ones((n, self.width), dtype=np.float32)
        if self.kinds:
            kind = np.where(codes < self.values, 0, codes - self.values + 1)
            kind = kind if self.ordered else codes
            there = np.flatnonzero(codes >= 0)
            numbers[there, kind[there]] = 1.0
        if self.ordered:
            ends = self._ends
            middle = ends - self.share[: self.values] / self.share[: self.values].sum() / 2
            present = (codes >= 0) & (codes < self.values)
            numbers[:, -1] = 0.5
            numbers[present, -1] = middle[codes[present]]
            counts[~present, -1] = 0.0
        counts[codes < 0] = 0.0
        return numbers, counts

    def calibrated(self, written: Singles, normal: Floats, spread: float) -> Self:
        """Return the scores with a bias and knots under which each cell has its share.

        Parameters
        ----------
        written
            What the network writes of the column for drawn points, shape (n, width).
        normal
            Standard normal numbers, shape (n,).
        spread
            Standard deviation of a number's place around what is written.
        """
        bias = self.bias
        there = np.ones(len(written))
        if self.kinds:
            logits = np.log(np.maximum(written[:, : self.kinds], _LEAST))
            bias = matched_bias(logits, self.kind_share)
            there = drawn_groups(logits + bias, np.zeros(len(written)))[1][:, 0].astype(np.float64)
        knots = np.zeros(0)
        spread = max(spread, _LEAST_SPREAD) if self.ordered else 0.0
        if self.ordered:
            place = written[:, -1] + spread * normal
            order = np.argsort(place)
            # a row counts as much as it is likely to have a number
            height = np.cumsum(there[order]) - there[order] / 2
            knots = np.interp(np.linspace(0, height[-1], _KNOTS), height, place[order])
            # strictly ascending, so that there is one way there and one way back
            knots = np.maximum.accumulate(knots) + 1e-9 * np.arange(_KNOTS)
        return type(self)(self.values, self.share, self.ordered, bias, spread, knots)

    def draw(self, written: Singles, uniform: Floats, normal: Floats) -> Integers:
        """Return a cell for each row, drawn from what the network writes.

        Parameters
        ----------
        written
            Shape (n, width).
        uniform, normal
            Random numbers, from 0 to 1 and standard normal, shape (n,).
        """
        cells = np.zeros(len(written), dtype=np.int64)
        if self.kinds:
            cells = drawn_groups(self._logits(written), uniform)[0]
        if not self.ordered:
            return cells
        height = np.interp(
            written[:, -1] + self.spread * normal, self.knots, np.linspace(0, 1, _KNOTS)
        )
        value = np.searchsorted(self._ends[:-1], height, side="right")
        return np.where(cells > 0, self.values + cells - 1, value).astype(np.int64)

    def chance(self, written: Singles, cell: int) -> Floats:
        """Return each row's probability of one cell, shape (n,)."""
        chance = np.ones(len(written))
        if self.kinds:
            kind = cell if not self.ordered else max(0, cell - self.values + 1)
            chances = drawn_groups(self._logits(written), np.zeros(len(written)))[1]
            chance = chances[:, kind].astype(np.float64)
        if not self.ordered or cell >= self.values:
            return chance
        from scipy.special import ndtr

        ends = np.r_[0.0, self._ends]
        low, high = np.interp(ends[[cell, cell + 1]], np.linspace(0, 1, _KNOTS), self.knots)
        above = (
            np.ones(1) if cell == self.values - 1 else ndtr((high - written[:, -1]) / self.spread)
        )
        below = np.zeros(1) if cell == 0 else ndtr((low - written[:, -1]) / self.spread)
        return np.asarray(chance * (above - below))

    def _logits(self, written: Singles) -> Singles:
        return np.asarray(np.log(np.maximum(written[:, : self.kinds], _LEAST)) + self.bias)

    def to_dict(self) -> dict[str, Any]:
        """Return the scores as plain JSON values."""
        return {
            "values": self.values,
            "share": self.share.tolist(),
            "ordered": self.ordered,
            "bias": self.bias.tolist(),
            "spread": self.spread,
            "knots": list(self.knots),
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Return the scores that :meth:`to_dict` described."""
        return cls(
            values["values"],
            np.asarray(values["share"], dtype=np.float64),
            values["ordered"],
            np.asarray(values["bias"], dtype=np.float32),
            values["spread"],
            np.asarray(values["knots"], dtype=np.float64),
        )
