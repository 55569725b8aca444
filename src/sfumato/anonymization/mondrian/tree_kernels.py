"""The compiled loop that lets rows fall down a tree."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from sfumato.anonymization.mondrian.tree_ways import BETWEEN_NUMBERS, MISSING_OR_NOT, Ways

__all__ = ["fall_compiled"]

Array = npt.NDArray[Any]

_NUMBERS, _MISSING = 1, 2  # 0: into the groups of a hierarchy
_KINDS = 4


def fall_compiled(ways: Ways, values: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Return the node at which each row ends, as ``fall`` of the ways does."""
    numbers = ways.offset == BETWEEN_NUMBERS
    numbers &= ways.column >= 0
    first = np.minimum(ways.first[:-1], max(len(ways.children) - 2, 0))
    # one line of memory a node: a row of a deep tree meets few that are at hand
    steps = np.empty((len(ways.column), 4), dtype=np.int64)
    steps[:, 0] = np.where(ways.column < 0, -1, ways.column * _KINDS)
    steps[numbers, 0] += _NUMBERS
    steps[ways.offset == MISSING_OR_NOT, 0] += _MISSING
    steps[:, 1] = np.where(numbers, ways.border.view(np.int64), ways.offset)
    steps[:, 2], steps[:, 3] = ways.first[:-1], ways.first[1:]
    if len(ways.children):
        steps[numbers, 2] = ways.children[first[numbers]]
        steps[numbers, 3] = ways.children[first[numbers] + 1]
    # alike rows after each other, so that the nodes on their way are still at hand
    order = np.argsort(_likeness(values))
    ended = np.zeros(len(values), dtype=np.int64)
    _fall(
        np.ascontiguousarray(values[order], dtype=np.float64),
        steps,
        steps.view(np.float64),
        ways.branches,
        ways.keys % ways.fan,
        ways.children,
        ended,
    )
    node = np.empty_like(ended)
    node[order] = ended
    return node


def _likeness(values: npt.NDArray[np.float64]) -> npt.NDArray[np.uint64]:
    """Return a key for each row that is near for rows with near values, first column first."""
    key = np.zeros(len(values), dtype=np.uint64)
    bits = max(63 // max(values.shape[1], 1), 1)
    for column in values.T[:63]:
        known = np.nan_to_num(column, nan=0.0, posinf=0.0, neginf=0.0)
        low, high = known.min(initial=0.0), known.max(initial=0.0)
        step = (2**bits - 1) / (high - low) if high > low else 0.0
        key = (key << np.uint64(bits)) | ((known - low) * step).astype(np.uint64)
    return key


@njit(cache=True, error_model="numpy")
def _fall(
    values: Array,
    steps: Array,
    borders: Array,
    branches: Array,
    branch_of: Array,
    children: Array,
    node: Array,
) -> None:
    """Write the node at which each row ends.

    Parameters
    ----------
    values
        Shape (n, q).
    steps
        For each node its column times the number of kinds plus the kind of its cut, or a negative
        number for a final node; then, between numbers, the border and the two children, otherwise
        where its branches begin, and from where to where its children stand.
    borders
        The same memory as floats.
    branches, branch_of, children
        The branch of each code; and the branches of all children, and these.
    node
        Written, shape (n,).
    """
    for row in range(len(values)):
        here = 0
        while steps[here, 0] >= 0:
            value = values[row, steps[here, 0] // _KINDS]
            kind = steps[here, 0] % _KINDS
            if kind == _NUMBERS:
                if np.isnan(value):
                    break
                here = steps[here, 3] if value >= borders[here, 1] else steps[here, 2]
                continue
            if kind == _MISSING:
                branch = 1 if np.isnan(value) else 0
            else:
                branch = branches[steps[here, 1] + int(value)]
            low, end = steps[here, 2], steps[here, 3]
            high = end
            while low < high:
                middle = (low + high) // 2
                if branch_of[middle] < branch:
                    low = middle + 1
                else:
                    high = middle
            if low == end or branch_of[low] != branch:
                break
            here = children[low]
        node[row] = here
