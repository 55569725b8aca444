"""Which people are learned by themselves: those of each frequent class of the target."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Integers = NDArray[np.int64]

__all__ = ["MOST_CLASSES", "rows_by_class"]

MOST_CLASSES = 20  # of a target of more no class is learned by itself


def rows_by_class(classes: Integers, needed: int) -> list[Integers]:
    """Return the rows that are learned together: of each frequent class, and of the rest.

    Parameters
    ----------
    classes
        Class of each row, shape (n,), at least 0; -1 for a row without one.
    needed
        Least number of rows that are learned by themselves. A rest of fewer joins the smallest of
        the frequent classes.

    Returns
    -------
    list of arrays
        Numbers of rows, ascending; all rows in one if there are no classes, more than twenty, or
        none that is frequent.
    """
    everyone = np.arange(classes.size)
    names, of_row = np.unique(classes, return_inverse=True)
    known = int((names >= 0).sum())
    if not 2 <= known <= MOST_CLASSES:
        return [everyone]
    groups = [np.flatnonzero(of_row == one) for one in np.flatnonzero(names >= 0)]
    frequent = sorted((rows for rows in groups if rows.size >= needed), key=len)
    if not frequent:
        return [everyone]
    rest = np.setdiff1d(everyone, np.concatenate(frequent))
    if rest.size == 0:
        return frequent
    if rest.size >= needed:
        return [*frequent, rest]
    return [np.union1d(frequent[0], rest), *frequent[1:]]
