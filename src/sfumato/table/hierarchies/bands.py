"""Hierarchies of numbers: intervals between given bounds, and bands of fixed width."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from math import inf, isfinite

import numpy as np
import numpy.typing as npt
import polars as pl

from sfumato.errors import HierarchyError
from sfumato.table.hierarchies.intervals import Closed, interval_label, number_text
from sfumato.table.hierarchies.keys import numbers_of, texts_of

__all__ = ["Bands", "Intervals", "merged_in_pairs"]


@dataclass(frozen=True)
class Intervals:
    """The climber of intervals between bounds; each level drops some bounds of the one below.

    Parameters
    ----------
    bounds
        For each level the rising bounds; those of a level are among those of the level below.
    closed
        Which end of an interval belongs to it.
    labels
        Names of the intervals of the first level, or None for their ends.
    open_ended
        Whether values below the first and from the last bound on form groups of their own;
        otherwise they are not held.
    """

    bounds: tuple[tuple[float, ...], ...]
    closed: Closed
    labels: tuple[str, ...] | None
    open_ended: bool

    def __post_init__(self) -> None:
        if self.closed not in ("left", "right"):
            raise HierarchyError(
                f"intervals: closed must be 'left' or 'right', not {self.closed!r}"
            )
        least = 1 if self.open_ended else 2
        finer = self.bounds[0]
        for level, bounds in enumerate(self.bounds, start=1):
            if len(bounds) < least:
                raise HierarchyError(f"intervals: level {level} needs at least {least} bounds")
            if not all(isfinite(bound) for bound in bounds):
                raise HierarchyError(
                    f"intervals: the bounds of level {level} must be finite numbers; the first "
                    "and last interval are open-ended anyway"
                )
            if any(low >= high for low, high in pairwise(bounds)):
                raise HierarchyError(f"intervals: the bounds of level {level} must rise")
            strange = [bound for bound in bounds if bound not in finer]
            if strange:
                raise HierarchyError(
                    f"intervals: the bound {number_text(strange[0])} of level {level} is not "
                    f"among those of level {level - 1}: a level merges neighbours of the one below"
                )
            if not self.open_ended and (bounds[0], bounds[-1]) != (finer[0], finer[-1]):
                raise HierarchyError(
                    f"intervals: level {level} must begin and end where level 1 does "
                    "(open_ended is false)"
                )
            finer = bounds
        wanted = len(self.bounds[0]) + (1 if self.open_ended else -1)
        if self.labels is not None and len(self.labels) != wanted:
            raise HierarchyError(f"intervals: {wanted} intervals, but {len(self.labels)} labels")
        if self.labels is not None and len(set(self.labels)) != wanted:
            raise HierarchyError("intervals: a label stands twice: each interval needs its own")

    @property
    def height(self) -> int:
        """Levels above the leaf, the top included."""
        return len(self.bounds) + 1

    @property
    def leaves(self) -> None:
        """None: any number is held."""
        return None

    def climb(self, values: pl.Series) -> tuple[pl.Series, ...]:
        """Return the label of each value at levels 0 to ``height - 1``."""
        numbers = numbers_of(values).fill_null(np.nan).to_numpy()
        side: Closed = "right" if self.closed == "left" else "left"
        held = ~np.isnan(numbers)
        if not self.open_ended:
            place = np.searchsorted(self.bounds[0], numbers, side=side)
            held &= (place > 0) & (place < len(self.bounds[0]))
        climbed = [_where(held, texts_of(values))]
        for level, bounds in enumerate(self.bounds):
            labels = pl.Series(self._level_labels(level), dtype=pl.String)
            place = np.searchsorted(bounds, numbers, side=side)
            if not self.open_ended:
                place = np.clip(place - 1, 0, len(bounds) - 2)
            climbed.append(_where(held, labels.gather(np.minimum(place, len(labels) - 1))))
        return tuple(climbed)

    def _level_labels(self, level: int) -> list[str]:
        if level == 0 and self.labels is not None:
            return list(self.labels)
        ends = [*self.bounds[level]]
        if self.open_ended:
            ends = [-inf, *ends, inf]
        return [interval_label(low, high, self.closed) for low, high in pairwise(ends)]

    def describe(self) -> str:
        """Return the hierarchy in words."""
        levels = [
            f"level {level} has {', '.join(self._level_labels(level - 1))}"
            for level in range(1, self.height)
        ]
        return f"intervals closed on the {self.closed}: " + "; ".join(levels)

    def examples(self) -> pl.Series:
        """Return a number of each interval of the first level."""
        bounds = np.asarray(self.bounds[0])
        middles = (bounds[1:] + bounds[:-1]) / 2
        if self.open_ended:
            middles = np.concatenate([[bounds[0] - 1], middles, [bounds[-1] + 1]])
        return pl.Series(middles)

    def mend(self) -> str:
        """Return what to do about a value that is not held."""
        if self.open_ended:
            return "intervals need finite numbers: mend the cells, or call their text missing"
        low, high = number_text(self.bounds[0][0]), number_text(self.bounds[0][-1])
        return f"only numbers from {low} to {high} are held: mend the cells or widen the bounds"


@dataclass(frozen=True)
class Bands:
    """The climber of bands of fixed width, with one group above ``top`` and one below ``bottom``.

    Parameters
    ----------
    widths
        Width of a band at each level; each divides the next.
    origin
        Where a band begins.
    top
        All from here on are one group at every level, or None.
    bottom
        All below here are one group at every level, or None.
    """

    widths: tuple[float, ...]
    origin: float
    top: float | None
    bottom: float | None

    def __post_init__(self) -> None:
        if not self.widths or not all(isfinite(width) and width > 0 for width in self.widths):
            raise HierarchyError("bands: widths must be at least one positive number")
        for narrow, wide in pairwise(self.widths):
            if wide <= narrow or (_exact(wide) / _exact(narrow)).denominator != 1:
                raise HierarchyError(
                    f"bands: the width {number_text(wide)} is not a multiple of "
                    f"{number_text(narrow)}: a level merges whole bands of the one below"
                )
        if self.top is not None and self.bottom is not None and self.bottom >= self.top:
            raise HierarchyError("bands: bottom must be below top")

    @property
    def height(self) -> int:
        """Levels above the leaf, the top included."""
        return len(self.widths) + 1

    @property
    def leaves(self) -> None:
        """None: any number is held."""
        return None

    def climb(self, values: pl.Series) -> tuple[pl.Series, ...]:
        """Return the label of each value at levels 0 to ``height - 1``."""
        numbers = numbers_of(values).fill_null(np.nan).to_numpy()
        held = ~np.isnan(numbers)
        band = self._band(np.where(held, numbers, self.origin))
        climbed = [_where(held, texts_of(values))]
        for width in self.widths:
            wide = band // int(_exact(width) / _exact(self.widths[0]))
            labels = self._labels(numbers, wide, width)
            climbed.append(_where(held, labels))
        return tuple(climbed)

    def _band(self, numbers: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
        """Return the number of the narrowest band, exact at its ends in spite of rounding."""
        width = self.widths[0]
        band = np.floor((numbers - self.origin) / width).astype(np.int64)
        for step in (1, -1):
            edges = self._edges(band + max(step, 0), width)
            beyond = numbers >= edges if step == 1 else numbers < edges
            band += step * beyond
        return band

    def _edges(self, band: npt.NDArray[np.int64], width: float) -> npt.NDArray[np.float64]:
        """Return where bands begin, as the float nearest to the decimal number."""
        distinct, inverse = np.unique(band, return_inverse=True)
        edges = [float(_exact(self.origin) + int(number) * _exact(width)) for number in distinct]
        return np.asarray(edges, dtype=np.float64)[inverse]

    def _labels(
        self, numbers: npt.NDArray[np.float64], band: npt.NDArray[np.int64], width: float
    ) -> pl.Series:
        distinct, inverse = np.unique(band, return_inverse=True)
        low = self._edges(distinct, width)
        high = self._edges(distinct + 1, width)
        top, bottom = self.top, self.bottom
        if top is not None:
            high = np.where(low < top, np.minimum(high, top), high)
        if bottom is not None:
            low = np.where(high > bottom, np.maximum(low, bottom), low)
        texts = [interval_label(*ends) for ends in zip(low.tolist(), high.tolist(), strict=True)]
        labels = pl.Series(texts, dtype=pl.String).gather(inverse)
        if top is not None:
            labels = _choose(numbers >= top, interval_label(top, inf), labels)
        if bottom is not None:
            labels = _choose(numbers < bottom, interval_label(-inf, bottom), labels)
        return labels

    def describe(self) -> str:
        """Return the hierarchy in words."""
        widths = ", then ".join(number_text(width) for width in self.widths)
        text = f"bands of width {widths}, from {number_text(self.origin)}, closed on the left"
        if self.bottom is not None:
            text += f"; all below {number_text(self.bottom)} in one group"
        if self.top is not None:
            text += f"; all from {number_text(self.top)} on in one group"
        return text

    def examples(self) -> pl.Series:
        """Return a number of each of some bands."""
        low = self.origin if self.bottom is None else self.bottom
        high = low + 20 * self.widths[0] if self.top is None else self.top
        return pl.Series(np.arange(low, high + self.widths[0], self.widths[0], dtype=np.float64))

    def mend(self) -> str:
        """Return what to do about a value that is not held."""
        return "bands need finite numbers: mend the cells, or call their text missing"


def _exact(number: float) -> Fraction:
    """Return the decimal number that the shortest text of a float says: 0.1 is one tenth."""
    return Fraction(repr(float(number)))


def _where(held: npt.NDArray[np.bool_], labels: pl.Series) -> pl.Series:
    return _choose(~held, None, labels)


def _choose(mask: npt.NDArray[np.bool_], label: str | None, labels: pl.Series) -> pl.Series:
    other = pl.Series([label], dtype=pl.String)
    return other.new_from_index(0, len(labels)).zip_with(pl.Series(mask), labels)


def merged_in_pairs(bounds: Sequence[float], levels: int) -> tuple[tuple[float, ...], ...]:
    """Return bounds for each level, each of which merges the intervals below two by two.

    Parameters
    ----------
    bounds
        The rising bounds of the first level.
    levels
        How many levels of intervals there shall be, at least 1.
    """
    merged = [tuple(bounds)]
    while len(merged) < levels and len(merged[-1]) > 1:
        merged.append(merged[-1][1::2])
    return tuple(merged)
