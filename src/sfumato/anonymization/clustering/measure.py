"""What it costs to say a group of people by one label per column: the measure of the clusterings.

The cost of a column is that of the lowest common ancestor of its least and greatest code (NCP:
leaves below it as a share of all, 0 for an exact value); of a column of numbers without a
hierarchy, the width of the interval as a share of the column's range. The cost of a group is the
sum over its columns, each times its weight: from 0 to 1.

The compiled functions take plain arrays, so that they can be called from other kernels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar, cast

import numpy as np
import numpy.typing as npt
from numba import njit

from sfumato.anonymization.scales import Scale

__all__ = ["Tables", "compiled", "cost_of_box", "cost_with", "costs_of_boxes", "tables_of"]

Integers = npt.NDArray[np.int64]
Codes = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float64]
Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """Compile a function of arrays and numbers at its first call; the code is kept on disk."""
    return cast("Function", njit(cache=True, nogil=True)(function))


class Tables(NamedTuple):
    """The costs of all columns (q) laid out one after the other.

    Parameters
    ----------
    groups
        For each column, level after level, the group of each code. Empty for numbers.
    costs
        In the same places the cost of that group; for a column of numbers the place of each number
        between the least (0) and the greatest (the column's weight).
    start
        Where each column begins in both, shape (q,).
    n_codes
        How many codes each column has, shape (q,); for numbers without that of a missing cell.
    height
        Levels above the codes, shape (q,); 0 marks a column of numbers.
    most
        Cost of ``*`` in each column, shape (q,).
    """

    groups: Integers
    costs: Floats
    start: Integers
    n_codes: Integers
    height: Integers
    most: Floats


def tables_of(scales: Sequence[Scale], weights: Sequence[float] | None = None) -> Tables:
    """Return the cost tables of quasi-identifiers.

    Parameters
    ----------
    scales
        The columns (q).
    weights
        Weight of each, shape (q,), 0 or more and not all 0; equal ones by default. They are scaled
        to add up to 1.
    """
    share = np.ones(len(scales)) if weights is None else np.asarray(weights, np.float64)
    share = share / share.sum()
    groups, costs = [], []
    for scale, weight in zip(scales, share, strict=True):
        if scale.numbers is not None:
            places = weight * _places(scale.numbers)
            groups.append(np.zeros(len(places), dtype=np.int64))
            costs.append(places)
        else:
            empty = np.zeros(scale.n_codes, dtype=np.int64)
            groups.append(scale.groups.ravel())
            costs.append(weight * scale.costs("ncp", empty).ravel())
    lengths = [len(part) for part in costs]
    return Tables(
        np.concatenate(groups).astype(np.int64),
        np.concatenate(costs).astype(np.float64),
        np.cumsum([0, *lengths[:-1]]).astype(np.int64),
        np.array([_n_codes(scale) for scale in scales], dtype=np.int64),
        np.array([0 if scale.numbers is not None else scale.height for scale in scales], np.int64),
        share.astype(np.float64),
    )


def _n_codes(scale: Scale) -> int:
    return scale.n_codes if scale.numbers is None else len(scale.numbers)


def _places(numbers: Floats) -> Floats:
    """Return where each number lies in its column's range, from 0 to 1."""
    if len(numbers) < 2:
        return np.zeros(len(numbers))
    with np.errstate(over="ignore", invalid="ignore"):
        places: Floats = (numbers - numbers[0]) / (numbers[-1] - numbers[0])
    if not np.isfinite(places).all():  # infinite, or too far apart for a difference
        places = np.arange(len(numbers)) / (len(numbers) - 1)
    return places


@compiled
def _cost_of_run(tables: Tables, column: int, low: int, high: int) -> float:
    """Return the cost of the codes from ``low`` to ``high`` in one column."""
    if low == high:
        return 0.0
    n_codes = tables.n_codes[column]
    first = tables.start[column] + low
    last = tables.start[column] + high
    if tables.height[column] == 0:
        if high >= n_codes:  # missing and present cells together
            return float(tables.most[column])
        return float(tables.costs[last] - tables.costs[first])
    for _ in range(tables.height[column]):
        first += n_codes
        last += n_codes
        if tables.groups[first] == tables.groups[last]:
            return float(tables.costs[first])
    return float(tables.most[column])


@compiled
def cost_of_box(tables: Tables, low: Codes, high: Codes, box: int) -> float:
    """Return the cost of one box; ``low`` and ``high`` have shape (n_boxes, q)."""
    cost = 0.0
    for column in range(low.shape[1]):
        cost += _cost_of_run(tables, column, low[box, column], high[box, column])
    return cost


@compiled
def cost_with(
    tables: Tables,
    low: Codes,
    high: Codes,
    box: int,
    other_low: Codes,
    other_high: Codes,
    other: int,
    limit: float,
) -> float:
    """Return the cost of the box around two boxes.

    As soon as it is seen to be above ``limit``, a number above the limit is returned instead. A
    single entry is a box whose least and greatest codes are the same array.
    """
    cost = 0.0
    for column in range(low.shape[1]):
        first = min(low[box, column], other_low[other, column])
        last = max(high[box, column], other_high[other, column])
        cost += _cost_of_run(tables, column, first, last)
        if cost > limit:
            return cost
    return cost


@compiled
def costs_of_boxes(tables: Tables, low: Codes, high: Codes) -> Floats:
    """Return the cost of each box, shape (n_boxes,)."""
    costs = np.empty(low.shape[0])
    for box in range(low.shape[0]):
        costs[box] = cost_of_box(tables, low, high, box)
    return costs
