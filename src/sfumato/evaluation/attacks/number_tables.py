"""What it is worth that a released number meets a person's, looked up where there are few of both.

Most numbers of people take few values: ages, counts, answers coded 0 and 1. For such a column every
released cell is weighed against every value once, and pairs of rows only look up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from sfumato.evaluation.attacks.linkage import CHANGED, KEPT_NUMBERS, kernel_steps, kernel_table

if TYPE_CHECKING:
    from sfumato.evaluation.attacks.linkage import NumberLinkage

__all__ = ["NumberTables"]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

_MOST_CELLS = 250_000  # of one column's table


@dataclass(frozen=True, eq=False)
class NumberTables:
    """Tables of all columns, one after the other.

    Parameters
    ----------
    start
        Where a released cell's part of the table begins, -1 for a column without one, shape
        (rows, columns).
    codes
        Where in that part a person's value is, shape (columns, people).
    exact, noisy
        Ratio where numbers are kept, and where they are moved, shape (cells,).
    state
        0 for a cell that could be the person's as it is, 1 for one in reach of the noise, 2 for one
        that differs, shape (cells,).
    """

    start: Integers
    codes: npt.NDArray[np.uint32]
    exact: Floats
    noisy: Floats
    state: npt.NDArray[np.uint8]

    @classmethod
    def of(
        cls,
        numbers: tuple[NumberLinkage, ...],
        low: Floats,
        high: Floats,
        tie: Floats,
        spread: Floats,
        people: int,
    ) -> NumberTables:
        """Weigh each cell of some released rows against each value.

        Parameters
        ----------
        numbers
            How the columns are weighed.
        low, high
            Ends of the released cells, shape (rows, columns).
        tie, spread
            As of :meth:`~sfumato.evaluation.attacks.linkage.NumberLinkage.ratios`, same shape.
        people
            Number of people.
        """
        start = np.full(low.shape, -1, np.int64)
        codes = np.zeros((len(numbers), people), np.uint32)
        tables: list[tuple[Floats, Floats, npt.NDArray[np.uint8]]] = []
        end = 0
        for place, number in enumerate(numbers):
            values, code = number.distinct
            if not len(values) or len(values) > _MOST_CELLS:
                continue
            first, kind = _cells(low[:, place], high[:, place])
            if len(first) * len(values) > _MOST_CELLS:
                continue
            cell = first, np.full(len(first), place)
            tables.append(
                _weighed(low[cell], high[cell], tie[cell], spread[cell], values, number.scale)
            )
            start[:, place] = end + kind * len(values)
            codes[place] = code
            end += len(first) * len(values)
        whole = [np.concatenate(parts) for parts in zip(*tables, strict=True)]
        if not whole:
            none = np.zeros(0)
            return cls(start, codes, none, none, np.zeros(0, np.uint8))
        return cls(start, codes, whole[0], whole[1], whole[2].astype(np.uint8))


def _cells(low: Floats, high: Floats) -> tuple[Integers, Integers]:
    """Return the first row of each kind of cell, and the kind of each row's."""
    if np.array_equal(low, high, equal_nan=True):
        _, first, kind = np.unique(low, return_index=True, return_inverse=True)
        return first, kind
    by_low = np.unique(low, return_inverse=True)[1]
    ends, by_high = np.unique(high, return_inverse=True)
    _, first, kind = np.unique(by_low * len(ends) + by_high, return_index=True, return_inverse=True)
    return first, kind


def _weighed(
    low: Floats, high: Floats, tie: Floats, spread: Floats, values: Floats, scale: float
) -> tuple[Floats, Floats, npt.NDArray[np.uint8]]:
    """Return both ratios and the state of each cell with each value, flat, cells first."""
    low, high, tie, spread = low[:, None], high[:, None], tie[:, None], spread[:, None]
    single, other = low == high, CHANGED[2]
    anything = (low == -np.inf) & (high == np.inf)
    inside = ((low <= values) & (values <= high)) | anything | (np.isnan(low) & np.isnan(values))
    with np.errstate(invalid="ignore"):
        steps = kernel_steps(np.abs(values - low) * scale, single)
    moved = kernel_table()[steps] * spread + other
    stays = np.where(single, KEPT_NUMBERS * tie + (1 - KEPT_NUMBERS) * moved, tie)
    near = inside | (steps < len(kernel_table()) - 1)
    state = np.where(inside, 0, np.where(near, 1, 2)).astype(np.uint8)
    exact = np.where(inside, tie, other)
    return exact.ravel(), np.where(inside, stays, moved).ravel(), state.ravel()
