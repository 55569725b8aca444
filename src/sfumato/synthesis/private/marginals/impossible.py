"""Combinations that are declared impossible: structural zeros of the model.

A rule names values of some columns that no row has together. Cells are kept apart at its values, so
that it can be held exactly; no drawn row breaks it, and no real row is looked at for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from typing import TYPE_CHECKING, Any

import numpy as np

from sfumato.errors import PlanError, did_you_mean
from sfumato.synthesis.private.cells import Cells, nearest_shares
from sfumato.synthesis.private.domain import DeclaredNumbers, DeclaredValues
from sfumato.synthesis.private.histograms import Histogram

if TYPE_CHECKING:
    import numpy.typing as npt

    from sfumato.synthesis.private.marginals.propagation import Floats

    Integers = npt.NDArray[np.int64]

__all__ = ["cut", "ranges_of", "separated", "zeros"]

Ranges = list[tuple[int, int]]


def ranges_of(
    rules: Sequence[Mapping[str, Any]],
    names: Sequence[str],
    declared: Mapping[str, DeclaredNumbers | DeclaredValues],
) -> list[dict[int, Ranges]]:
    """Return, for each rule, the ranges of points that it names, by place of the column.

    Parameters
    ----------
    rules
        For each rule its columns' values: one value or, for categories, a list of values, for
        numbers and dates ``[from, to]``, both included. None stands for missing.
    names
        The columns that are learned.
    declared
        What each can hold.

    Raises
    ------
    PlanError
        If a column is not learned, a value not declared, or a rule names no column.
    """
    found = []
    for rule in rules:
        if not rule:
            raise PlanError("impossible: a rule must name a column and its values")
        of_rule: dict[int, Ranges] = {}
        for name, value in rule.items():
            if name not in names:
                raise PlanError(
                    f"impossible: no column {name!r} is learned.{did_you_mean(name, names)}"
                )
            kind = declared[name]
            if isinstance(kind, DeclaredNumbers) and isinstance(value, Sequence):
                single = isinstance(value, str) or len(value) != 2
                ends = [value, value] if single else list(value)
                low, high = (kind.interval(one, name) for one in ends)
                if low > high or high == kind.size:
                    raise PlanError(f"impossible: {name!r} needs [from, to], from below to")
                of_rule[names.index(name)] = [(low, high)]
            else:
                several = value if isinstance(value, list | tuple) else [value]
                points = [kind.interval(one, name) for one in several]
                of_rule[names.index(name)] = [(one, one) for one in points]
        found.append(of_rule)
    return found


def cut(histogram: Histogram, ranges: Ranges) -> Histogram:
    """Return a histogram with a stretch's edge wherever a range begins or ends.

    A stretch that is cut shares its count by length.
    """
    edges = {edge for low, high in ranges for edge in (low, high + 1)}
    last = int(histogram.starts[-1])
    added = np.array(sorted(edge for edge in edges if 0 < edge < last), dtype=np.int64)
    starts = np.union1d(histogram.starts, added)
    home = np.searchsorted(histogram.starts, starts, side="right") - 1
    before = np.diff(np.append(histogram.starts, last + 1))
    part = np.diff(np.append(starts, last + 1)) / before[home]
    return Histogram(
        starts, histogram.counts[home] * part, histogram.deviation[home] * part, histogram.ordered
    )


def separated(cells: Cells, histogram: Histogram, ranges: Sequence[Ranges]) -> Cells:
    """Return cells of which none lies partly in any of the ranges.

    Parameters
    ----------
    cells
        The cells of the histogram's stretches.
    histogram
        Cut at the ranges' ends.
    ranges
        The ranges of each rule.
    """
    inside = np.array([_inside(cells.starts, one) for one in ranges]).reshape(len(ranges), -1)
    learned = np.flatnonzero(cells.cell >= 0)
    keys = np.vstack([cells.cell[learned], inside[:, learned]]).T
    if cells.ordered:
        # a run of stretches of one kind is a cell, so that cells stay in order
        change = np.any(keys[1:] != keys[:-1], axis=1)
        numbers = np.concatenate([[0], np.cumsum(change)])
    else:
        numbers = np.unique(keys, axis=0, return_inverse=True)[1].ravel()
    cell = np.full(cells.cell.size, -1, dtype=np.int64)
    cell[learned] = numbers
    size = int(numbers.max()) + 1
    share = np.zeros(cell.size)
    for one in range(size):
        within = np.flatnonzero(cell == one)
        share[within] = nearest_shares(histogram.counts[within], histogram.deviation[within])
    return Cells(cells.starts, cell, share, size, cells.ordered)


def zeros(
    rules: Sequence[Mapping[int, Ranges]], cells: Sequence[Cells]
) -> list[tuple[tuple[int, ...], Floats]]:
    """Return each rule's columns and a table of 0, minus infinity where it is impossible.

    Parameters
    ----------
    rules
        What :func:`ranges_of` returned.
    cells
        The cells of each column, separated at the rules' ranges.
    """
    found = []
    for rule in rules:
        columns = tuple(sorted(rule))
        masks = []
        for column in columns:
            one = cells[column]
            inside = _inside(one.starts, rule[column])
            mask = np.zeros(one.size, dtype=np.bool_)
            mask[one.cell[inside & (one.cell >= 0)]] = True
            masks.append(mask)
        hit = reduce(np.logical_and.outer, masks)
        found.append((columns, np.where(hit, -np.inf, 0.0)))
    return found


def _inside(starts: Integers, ranges: Ranges) -> npt.NDArray[np.bool_]:
    found = np.zeros(starts.size, dtype=np.bool_)
    for low, high in ranges:
        found |= (starts >= low) & (starts <= high)
    return found
