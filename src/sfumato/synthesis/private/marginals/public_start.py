"""Public rows as the model's beginning: the tree of columns that explains them best.

References
----------
C. Chow, C. Liu, "Approximating discrete probability distributions with dependence trees", IEEE
Transactions on Information Theory 14 (1968).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from sfumato.synthesis.private.marginals.propagation import Floats

__all__ = ["public_tables"]


def public_tables(
    codes: Sequence[npt.NDArray[np.int16]], sizes: Sequence[int], most_cells: int
) -> list[tuple[tuple[int, ...], Floats]]:
    """Return logarithms of tables whose product is a tree model of public rows.

    Parameters
    ----------
    codes
        The cell of each public row in each column; ``sizes[j]`` where it is none.
    sizes
        Number of cells of each column.
    most_cells
        Most cells of all tables together; what does not fit is left out.
    """
    singles = []
    for code, size in zip(codes, sizes, strict=True):
        held = np.bincount(code, minlength=size + 1)[:size] + 0.5
        singles.append(held / held.sum())
    found: list[tuple[tuple[int, ...], Floats]] = [
        ((place,), np.log(share)) for place, share in enumerate(singles)
    ]
    gains = []
    for i, j in itertools.combinations(range(len(sizes)), 2):
        key = codes[i].astype(np.int64) * (sizes[j] + 1) + codes[j]
        counts = np.bincount(key, minlength=(sizes[i] + 1) * (sizes[j] + 1))
        counts = counts.reshape(sizes[i] + 1, -1)[:-1, :-1]
        apart = np.outer(singles[i], singles[j])
        # as many rows without a tie as the table has cells keep empty cells possible
        joint = (counts + counts.size * apart) / (counts.sum() + counts.size)
        ratio = np.log(joint / np.outer(joint.sum(axis=1), joint.sum(axis=0)))
        gains.append((float((joint * ratio).sum()), (i, j), ratio))
    gains.sort(key=lambda one: -one[0])
    component = list(range(len(sizes)))
    cells = sum(sizes)
    for _, (i, j), ratio in gains:
        if component[i] != component[j] and cells + ratio.size <= most_cells:
            cells += ratio.size
            found.append(((i, j), ratio))
            component = [component[i] if one == component[j] else one for one in component]
    return found
