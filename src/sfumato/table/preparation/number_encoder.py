"""A column of numbers as one scaled number, whatever its cells look like."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import polars as pl

from sfumato.table.preparation.encoder import OneFeature
from sfumato.table.preparation.midpoints import open_half_width, read_numbers

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Number"]

# A standardised value beyond this says no more than this, and it still fits a 32-bit float.
_FARTHEST = 1e6


@dataclass(frozen=True)
class Number(OneFeature):
    """A number, ``(value - shift) / divisor``; a range of numbers counts as its middle.

    Parameters
    ----------
    shift, divisor
        Mean and standard deviation (over n, not n - 1) of the training rows; or the lower of two
        values and their distance; or 0 and 1 if the number is kept as it is.
    half_width
        How far from its only end the middle of a half-open range lies.
    """

    kind: ClassVar[str] = "number"
    shift: float
    divisor: float
    half_width: float

    @classmethod
    def fit(cls, cells: pl.Series, *, scale: bool = True) -> Number:
        """Learn the scale from training cells; two-valued columns become 0 and 1."""
        half_width = 0.0
        if cells.dtype in (pl.String, pl.Categorical, pl.Enum):
            half_width = open_half_width(cells.cast(pl.String).unique())
        values, suppressed = read_numbers(cells, half_width)
        known = values[~np.isnan(values)]
        distinct = np.unique(known) if known.size else np.zeros(1)
        shift, divisor = 0.0, 1.0
        if distinct.size == 2:
            shift, divisor = float(distinct[0]), float(distinct[1] - distinct[0])
        elif scale and known.size:
            shift, divisor = float(known.mean()), float(known.std())
        # A constant column, or one whose spread vanishes beside its size, is only shifted.
        divisor = divisor if divisor > abs(shift) * 1e-14 and distinct.size > 1 else 1.0
        typical = float(_typical(known, distinct)) if known.size else shift
        mean = float(known.mean()) if known.size else shift
        return cls(
            column=cells.name,
            for_missing=_bounded((typical - shift) / divisor),
            for_suppressed=_bounded((mean - shift) / divisor),
            marks_missing=bool((np.isnan(values) & ~suppressed).any()),
            marks_suppressed=bool(suppressed.any()),
            shift=shift,
            divisor=divisor,
            half_width=half_width,
        )

    def read(self, cells: pl.Series) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Return the scaled numbers, and which cells are ``"*"``."""
        values, suppressed = read_numbers(cells, self.half_width)
        if (self.shift, self.divisor) != (0.0, 1.0):
            values = (values - self.shift) / self.divisor
        return np.clip(values, -_FARTHEST, _FARTHEST), suppressed

    def describe(self) -> str:
        """Say in one sentence what is done to the column."""
        if (self.shift, self.divisor) == (0.0, 1.0):
            how = "a number, kept as it is"
        else:
            how = f"a number, less {self.shift:.6g}, divided by {self.divisor:.6g}"
        ranges = ", a range counts as its middle" if self.half_width else ""
        return f"{self.column}: {how}{ranges}{self._stand_ins()}."


def _typical(known: NDArray[np.float64], distinct: NDArray[np.float64]) -> float:
    """Return the median; of a two-valued column the more frequent value."""
    if distinct.size == 2:
        lower = int((known == distinct[0]).sum())
        return float(distinct[0] if 2 * lower >= known.size else distinct[1])
    return float(np.median(known))


def _bounded(value: float) -> float:
    return float(min(max(value, -_FARTHEST), _FARTHEST))
