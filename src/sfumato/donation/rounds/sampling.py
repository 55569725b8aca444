"""Which rows are released: from every class of at least k, all but ceil(p n), by shuffled order."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from sfumato.errors import InternalError

__all__ = ["KeptRows", "kept_rows"]


@dataclass(frozen=True, eq=False)
class KeptRows:
    """The sample of a round; the same at every server.

    Parameters
    ----------
    rows
        Places of the kept records in the shuffled order, rising.
    classes
        The class of each kept record.
    class_sizes
        How many records each class holds before the sampling.
    suppressed
        Records of no class, or of a class that is not released.
    """

    rows: npt.NDArray[np.int64]
    classes: npt.NDArray[np.int32]
    class_sizes: npt.NDArray[np.int64]
    suppressed: int


def kept_rows(
    labels: npt.NDArray[np.int32],
    classes: int,
    k: int,
    deletion_share: Fraction,
    released: npt.NDArray[np.bool_] | None = None,
) -> KeptRows:
    """Choose the sample.

    Of n records of a class the first ``n - ceil(p n)`` in shuffled order are kept. No server knows
    the order of the shuffle, so to each of them, and to everybody else, the sample is uniform; and
    it is a function of the labels, so it cannot be drawn twice from one shuffle.

    Parameters
    ----------
    labels
        The class of each record in shuffled order, -1 for none: as opened, so that the classes are
        counted here from records, whatever the donors' histogram said.
    classes
        How many classes there are.
    k
        Classes of fewer records are suppressed.
    deletion_share
        p, from 0 to below 1, exactly.
    released
        For each class whether another criterion allows its release; all by default.
    """
    if not 0 <= deletion_share < 1 or k < 1:
        raise InternalError(f"deletion share {deletion_share} or k {k} is out of range")
    sizes = np.bincount(labels[labels >= 0], minlength=classes).astype(np.int64)
    allowed = sizes >= k
    if released is not None:
        allowed &= released
    top, bottom = deletion_share.numerator, deletion_share.denominator
    keep = np.where(allowed, sizes - -(-sizes * top // bottom), 0)
    order = np.argsort(labels, kind="stable")
    order = order[labels[order] >= 0]
    ordered = labels[order]
    starts = np.concatenate([[0], np.cumsum(sizes)])[:-1]
    place = np.arange(len(order)) - starts[ordered]
    rows = np.sort(order[place < keep[ordered]])
    suppressed = len(labels) - int(sizes[allowed].sum())
    return KeptRows(rows.astype(np.int64), labels[rows], sizes, suppressed)
