"""The distribution of one column, told only in groups of several people.

A margin is a list of cells with their probabilities, lowest first. A cell of a number is either an
*atom*, one value that many people share, or a stretch between two ends that no single person's
value sets. A cell of a category is one of its values.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from sfumato.errors import InternalError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

__all__ = ["CategoryMargin", "NumberMargin", "fit_numbers", "fit_parts"]

_ROUNDING = 1e-9  # shares of people such as 1/3 + 1/3 + 1/3 must still reach 1


@dataclass(frozen=True, eq=False)
class CategoryMargin:
    """Cells that are values of a category, in latent order.

    Parameters
    ----------
    probability
        Probability of each value, shape (values,); sums to 1.
    """

    probability: Floats

    def draw(self, uniform: Floats) -> Integers:
        """Return the cell that holds each of the numbers between 0 and 1."""
        return _cells(self.probability, uniform)

    def to_dict(self) -> dict[str, Any]:
        """Return the margin as plain JSON values."""
        return {"probability": self.probability.tolist()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Return the margin that :meth:`to_dict` described."""
        return cls(np.asarray(values["probability"], dtype=np.float64))


@dataclass(frozen=True, eq=False)
class NumberMargin:
    """Cells of a number: atoms (``low == high``) and stretches that are filled evenly.

    Parameters
    ----------
    probability, low, high
        Probability and ends of each cell, shape (cells,), in ascending order.
    decimals
        Decimals that drawn values are rounded to; None leaves them as they are.
    step
        Drawn whole numbers are multiples of this; 1 for numbers with decimals.
    """

    probability: Floats
    low: Floats
    high: Floats
    decimals: int | None
    step: int = 1

    def draw(self, uniform: Floats) -> Floats:
        """Return the values at the given shares (between 0 and 1) of the distribution."""
        cell = _cells(self.probability, uniform)
        start = np.cumsum(self.probability) - self.probability
        return self.values(
            cell, np.clip((uniform - start[cell]) / self.probability[cell], 0.0, 1.0)
        )

    def values(self, cells: Integers, within: Floats) -> Floats:
        """Return the values at the given shares (between 0 and 1) of the given cells."""
        values: Floats = self.low[cells] + within * (self.high[cells] - self.low[cells])
        if self.decimals is None:
            return values
        if self.decimals == 0:
            return np.asarray(np.rint(values / self.step) * self.step)
        return np.round(values, self.decimals)

    def cells_of(self, values: Floats, *, nearest: bool = False) -> Integers:
        """Return the cell that holds each value, -1 where none does.

        Parameters
        ----------
        values
            Finite numbers, shape (n,).
        nearest
            Whether a value that no cell holds gets the nearest cell instead of -1.
        """
        # Half a unit of the last place is within: it is rounded into the cell's values.
        slack = 0.0 if self.decimals is None else self.step * 10.0**-self.decimals / 2 + _ROUNDING
        above = np.minimum(np.searchsorted(self.high, values), self.high.size - 1)
        below = np.maximum(above - 1, 0)
        to_above = np.maximum(np.maximum(self.low[above] - values, values - self.high[above]), 0.0)
        to_below = np.maximum(np.maximum(self.low[below] - values, values - self.high[below]), 0.0)
        cell = np.where(to_below < to_above, below, above)
        if nearest:
            return cell.astype(np.int64)
        is_atom = self.low[cell] == self.high[cell]
        reach = np.where(is_atom, _ROUNDING * np.maximum(1.0, np.abs(values)), slack)
        return np.where(np.minimum(to_above, to_below) <= reach, cell, -1).astype(np.int64)

    def to_dict(self) -> dict[str, Any]:
        """Return the margin as plain JSON values."""
        return {
            "probability": self.probability.tolist(),
            "low": self.low.tolist(),
            "high": self.high.tolist(),
            "decimals": self.decimals,
            "step": self.step,
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Return the margin that :meth:`to_dict` described."""
        probability, low, high = (
            np.asarray(values[name], dtype=np.float64) for name in ("probability", "low", "high")
        )
        return cls(probability, low, high, values["decimals"], values["step"])


def fit_parts(codes: Integers, n_values: int) -> CategoryMargin:
    """Return the shares of each value; ``codes`` below 0 are left out.

    Parameters
    ----------
    codes
        Value of each row, shape (n,), 0 to ``n_values - 1``, or -1 for a row without one.
    n_values
        Number of values of the category.
    """
    counts = np.bincount(codes[codes >= 0], minlength=n_values).astype(np.float64)
    return CategoryMargin(counts / counts.sum())


def fit_numbers(
    values: Floats,
    people: Floats,
    *,
    minimum: int,
    cells: int,
    decimals: int | None,
    step: int = 1,
) -> tuple[NumberMargin, Integers]:
    """Learn the margin of a number so that no cell tells of fewer than ``minimum`` people.

    A value shared by at least ``minimum`` people and by one row in ``cells`` becomes an atom. What
    lies between two atoms is cut into stretches of at least as many people, or, where there are too
    few, joins the nearer atom. The outer ends of a stretch are medians of its ``minimum`` outermost
    people, so that the extremes of a column are never handed out.

    Parameters
    ----------
    values
        The values, shape (n,), finite, n at least 1.
    people
        What each row counts as, shape (n,): 1, or 1 / (rows of the same person), so that a sum of
        ``minimum`` means at least ``minimum`` different people.
    minimum
        Least number of people in a cell, at least 1.
    cells
        Most cells wanted; a bound on the detail of the margin.
    decimals, step
        Resolution of the values, see :class:`NumberMargin`.

    Returns
    -------
    tuple of (NumberMargin, codes)
        The margin and the cell of each row, shape (n,).

    Examples
    --------
    >>> ages = np.repeat([20.0, 30.0, 99.0], [40, 40, 2])
    >>> margin, codes = fit_numbers(ages, np.ones(82), minimum=10, cells=1000, decimals=0)
    >>> margin.low.tolist()  # the two people of 99 are told as 30
    [20.0, 30.0]
    """
    distinct, inverse, rows = np.unique(values, return_inverse=True, return_counts=True)
    weight = np.asarray(np.bincount(inverse, weights=people) + _ROUNDING, dtype=np.float64)
    size = max(float(minimum), weight.sum() / cells)
    cell_of, low, high = _cut(distinct, weight, minimum=float(minimum), size=size)
    shares = np.bincount(cell_of, weights=rows, minlength=low.size) / values.size
    return NumberMargin(shares, low, high, decimals, step), cell_of[inverse]


def _cells(probability: Floats, uniform: Floats) -> Integers:
    inner = np.cumsum(probability)[:-1]
    cell = np.searchsorted(inner, uniform, side="right")
    # A cell without probability is never met, not even at the very end of the scale.
    last = int(np.flatnonzero(probability)[-1])
    return np.minimum(cell, last).astype(np.int64)


def _cut(
    distinct: Floats, weight: Floats, *, minimum: float, size: float
) -> tuple[Integers, Floats, Floats]:
    """Return the cell of each distinct value, and the low and high end of each cell."""
    if weight.sum() < minimum:
        raise InternalError("a margin was asked for of fewer people than a cell may tell of")
    is_atom = weight >= size
    cell_of = np.full(distinct.size, -1, dtype=np.int64)
    low: list[float] = []
    high: list[float] = []
    for start, stop in _runs(is_atom):
        if is_atom[start]:
            cell_of[start] = len(low)
            low.append(float(distinct[start]))
            high.append(float(distinct[start]))
            continue
        ends = _stops(weight[start:stop], minimum=minimum, size=size)
        if not ends:
            continue  # too few people: they join the nearer atom below
        first = start
        for end in (start + offset for offset in ends):
            inside = slice(first, end)
            bottom, top = _outer(distinct[inside], weight[inside], minimum)
            if first > start:
                bottom = (distinct[first - 1] + distinct[first]) / 2
            if end < stop:
                top = (distinct[end - 1] + distinct[end]) / 2
            cell_of[inside] = len(low)
            low.append(float(bottom))
            high.append(float(max(bottom, top)))
            first = end
    return _join(cell_of, distinct, np.array(low), np.array(high)), np.array(low), np.array(high)


def _runs(is_atom: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return (start, stop) of each atom and of each run of values between atoms."""
    starts = np.flatnonzero(np.r_[True, is_atom[1:] | is_atom[:-1]])
    return list(zip(starts.tolist(), [*starts[1:].tolist(), is_atom.size], strict=True))


def _stops(weight: Floats, *, minimum: float, size: float) -> list[int]:
    """Return where each stretch of a run ends; none if the run holds too few people."""
    cumulative = np.cumsum(weight)
    total = cumulative[-1]
    if total < minimum:
        return []
    stops = []
    reached = 0.0
    while total - reached >= 2 * size:
        stop = int(np.searchsorted(cumulative, reached + size - _ROUNDING)) + 1
        if stop >= weight.size or total - cumulative[stop - 1] < size:
            break
        stops.append(stop)
        reached = float(cumulative[stop - 1])
    return [*stops, weight.size]


def _outer(distinct: Floats, weight: Floats, minimum: float) -> tuple[float, float]:
    """Return the medians of the outermost people at either side of a stretch."""
    return _median(distinct, weight, minimum), _median(distinct[::-1], weight[::-1], minimum)


def _median(distinct: Floats, weight: Floats, minimum: float) -> float:
    """Return the median over people, not rows, so that one person's many rows do not set it."""
    cumulative = np.cumsum(weight)
    needed = int(np.searchsorted(cumulative, minimum - _ROUNDING)) + 1
    half = cumulative[min(needed, weight.size) - 1] / 2
    slack = needed * _ROUNDING + _ROUNDING * half
    lower = int(np.searchsorted(cumulative, half - slack))
    upper = int(np.searchsorted(cumulative, half + slack))
    return float((distinct[lower] + distinct[upper]) / 2)


def _join(cell_of: Integers, distinct: Floats, low: Floats, high: Floats) -> Integers:
    """Give each value without a cell to the nearer of the cells on either side."""
    homeless = np.flatnonzero(cell_of < 0)
    if homeless.size == 0:
        return cell_of
    housed = np.flatnonzero(cell_of >= 0)
    place = np.searchsorted(housed, homeless)
    below = cell_of[housed[np.maximum(place - 1, 0)]]
    above = cell_of[housed[np.minimum(place, housed.size - 1)]]
    value = distinct[homeless]
    nearer_below = np.abs(value - high[below]) <= np.abs(low[above] - value)
    joined = cell_of.copy()
    joined[homeless] = np.where(nearer_below, below, above)
    return joined
