"""In which order to draw columns, so that each finds those it depends on drawn before it."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Codes = NDArray[np.int32]

__all__ = ["by_dependence", "mutual_information"]

_GROUPS = 16  # groups of neighbouring cells that a column is told by
_ROWS = 20_000


def mutual_information(codes: Codes, sizes: Sequence[int]) -> Floats:
    """Return the mutual information of each two columns in nats, shape (columns, columns).

    Parameters
    ----------
    codes
        Cells, shape (n, columns), at least 0. Of more than 20,000 rows as many are taken, at equal
        steps; of more than 16 cells neighbours are told together, in groups of like frequency.
    sizes
        Number of cells of each column.
    """
    rows = codes[:: max(1, len(codes) // _ROWS)]
    groups = []
    for place, size in enumerate(sizes):
        counts = np.bincount(rows[:, place], minlength=size)
        middle = (np.cumsum(counts) - counts / 2) / max(counts.sum(), 1)
        group = np.arange(size) if size <= _GROUPS else (middle * _GROUPS).astype(np.int64)
        groups.append(np.minimum(group, _GROUPS - 1)[rows[:, place]])
    found = np.zeros((len(groups), len(groups)))
    for i, j in itertools.combinations(range(len(groups)), 2):
        pairs = np.bincount(groups[i] * _GROUPS + groups[j], minlength=_GROUPS**2)
        joint = pairs.reshape(_GROUPS, _GROUPS) / len(rows)
        apart = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0)
        there = joint > 0
        told = float((joint[there] * np.log(joint[there] / apart[there])).sum())
        # What independent columns would show by chance (G. A. Miller, 1955).
        chance = (
            (np.count_nonzero(joint.sum(axis=1)) - 1)
            * (np.count_nonzero(joint.sum(axis=0)) - 1)
            / (2 * len(rows))
        )
        found[i, j] = found[j, i] = max(0.0, told - chance)
    return found


def by_dependence(
    codes: Codes, sizes: Sequence[int], first: Sequence[int] = (), last: Sequence[int] = ()
) -> list[int]:
    """Return the columns so that each is tied as strongly as can be to those before it.

    It begins with the column that tells most of all others; then comes, each time, the column of
    which those before tell most in sum.

    Parameters
    ----------
    codes, sizes
        See :func:`mutual_information`.
    first, last
        Columns with which the order begins and ends.
    """
    told = mutual_information(codes, sizes)
    order = list(first)
    waiting = [one for one in range(len(sizes)) if one not in first and one not in last]
    while waiting:
        strength = told[:, order].sum(axis=1) if order else told.sum(axis=1)
        best = max(waiting, key=lambda one: (float(strength[one]), -one))
        order.append(best)
        waiting.remove(best)
    return [*order, *last]
