"""Smooth functions over a number's groups: what is learned of one tells of its neighbours.

Weights of each group by itself know nothing of order: what sixty rows of a group teach is lost on
the next. A number's weights are therefore sums of few smooth functions of where a group lies, and
of small weights of each group by itself. After training the sums are one table of weights.

References
----------
P. H. C. Eilers, B. D. Marx, "Flexible smoothing with B-splines and penalties", Statistical Science
11 (1996), section 2: few smooth functions in place of many free cells.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sfumato.synthesis.codec import ColumnGrid
    from sfumato.synthesis.neural.cell_groups import CellGroups

    Floats = NDArray[np.float64]

__all__ = ["smooth_basis"]

_WAVES = 10
_FARTHEST = 4.0  # standard deviations; an outlier moves no more than that


def smooth_basis(grid: ColumnGrid, groups: CellGroups) -> Floats:
    """Return smooth functions at each group, shape (groups, functions).

    They are the mean value of the group, its square, and cosines of its place among the rows, each
    with mean 0 and variance 1 over the rows that have a value; 0 for missing and suppressed. A
    category, and a number of fewer than three groups, has none.

    Parameters
    ----------
    grid, groups
        The cells of the column and their groups.
    """
    count = int(groups.group_of[grid.values - 1]) + 1 if grid.values else 0
    if not grid.ordered or count < 3:
        return np.zeros((groups.groups, 0))
    group = groups.group_of[: grid.values]
    rows = groups.share[: grid.values] + 1e-9  # a cell without a row has a place, too
    share = np.bincount(group, weights=rows)
    centre = np.bincount(group, weights=rows * grid.centres) / share
    share = share / share.sum()
    place = np.cumsum(share) - share / 2
    centre -= share @ centre
    value = np.clip(centre / np.sqrt(share @ centre**2), -_FARTHEST, _FARTHEST)
    waves = [np.cos(np.pi * k * place) for k in range(1, min(_WAVES, count - 2) + 1)]
    basis = np.column_stack([value, value**2, *waves])
    basis -= share @ basis
    basis /= np.maximum(np.sqrt(share @ basis**2), 1e-6)
    return np.concatenate([basis, np.zeros((groups.groups - count, basis.shape[1]))])
