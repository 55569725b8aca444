"""The real people who stand out most, chosen before anything is tried and without their labels.

An attack on average people says little of those who are easiest to find. Who stands out is told
from all real rows alike, members and controls, so that a test among the chosen stays exact.

References
----------
M. Meeus, F. Guepin, A.-M. Cretu, Y.-A. de Montjoye, "Achilles' Heels: Vulnerable Record
Identification in Synthetic Data Publishing" (ESORICS 2023, section 4): choose the records that are
farthest from others. Here the rarity of a row under a dependence tree stands for the distance: it
is linear in the rows.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from sfumato.evaluation.attacks.dependence import DependenceTree, real_cells

if TYPE_CHECKING:
    from sfumato.evaluation.attacks.tables import AttackTables

__all__ = ["isolation", "rarest", "vulnerable"]

_DECIMALS = 9


def isolation(tables: AttackTables) -> npt.NDArray[np.float64]:
    """Return how rare each real row is among the others, in nats, shape (N,).

    It is the negative logarithm of the row's probability under a dependence tree that all real
    rows but this one were counted for; equal rows are equally rare. Labels play no part.

    Parameters
    ----------
    tables
        The release, its members and its controls; of the release only the scale of its numbers
        is used.
    """
    cells = real_cells(tables)
    tree = DependenceTree.learn(cells)
    return np.round(-tree.log_probability(cells, without_itself=True), _DECIMALS)


def vulnerable(tables: AttackTables, share: float = 0.01) -> npt.NDArray[np.int64]:
    """Return the row numbers of the most isolated real people, ascending.

    Parameters
    ----------
    tables
        The release, its members and its controls.
    share
        Of all real rows, above 0 and at most 1; at least one row. Rows as rare as the last one
        chosen are chosen too, so that no label decides.
    """
    return rarest(isolation(tables), share)


def rarest(rarity: npt.NDArray[np.float64], share: float) -> npt.NDArray[np.int64]:
    """Return the row numbers of the rarest people, ascending, and of those as rare as the last.

    Parameters
    ----------
    rarity
        As of :func:`isolation`, shape (N,).
    share
        Of all real rows, above 0 and at most 1; at least one row.
    """
    wanted = math.ceil(share * len(rarity))
    if wanted >= len(rarity):
        return np.arange(len(rarity))
    last = np.partition(rarity, len(rarity) - wanted)[len(rarity) - wanted]
    return np.flatnonzero(rarity >= last)
