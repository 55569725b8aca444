"""Lone people take along rows that a class can spare, where joining a whole class costs more."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from sfumato.anonymization.class_recoding import Placement
from sfumato.anonymization.people_coding import CodedPeople
from sfumato.progress import Progress, silent

__all__ = ["take_surplus"]

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_MOST_CELLS = 4_000_000_000  # cells that are compared at most; beyond, whole classes are joined


def take_surplus(
    people: CodedPeople,
    of_class: Integers,
    k: int,
    weights: Sequence[float],
    progress: Progress = silent,
) -> Placement:
    """Return a placement in which classes below k took along what they lack, where that is cheap.

    A class of u < k people may take k - u rows of one entry out of a class that keeps k without
    them. It does if this suppresses fewer cells than the cheapest whole class to join it with.
    What is still below k is left as it is.

    Parameters
    ----------
    people
        The entries (m), a row a person, on hierarchies without groups.
    of_class
        The class of each entry, shape (m,).
    k
        Least number of people of a class.
    weights
        What a cell of each column is worth, shape (q,).
    progress
        Told how many classes below k were looked at.
    """
    placement = Placement.whole(people, of_class)
    of_class = placement.of_class.copy()
    rows = people.rows.astype(np.int64).copy()  # of each entry, in its own class
    low, high = placement.extremes(people)
    sizes = np.bincount(of_class, rows, placement.n_classes).astype(np.int64)
    worth = np.asarray(weights, dtype=np.float64)
    stars = (low != high) @ worth  # a row of each class
    small = np.flatnonzero(sizes < k)
    if len(small) * people.codes.size > _MOST_CELLS:
        return placement
    taken: list[tuple[int, int, int]] = []
    for place, one in enumerate(small.tolist()):
        progress("sparing rows", place, len(small))
        lacking = k - int(sizes[one])
        others = np.arange(len(sizes)) != one
        joined = _joined_stars(low, high, one, worth)
        whole = (sizes + sizes[one]) * joined - sizes * stars - sizes[one] * stars[one]
        spare = (rows >= lacking) & (sizes[of_class] >= k + lacking) & others[of_class]
        if not spare.any():
            continue
        entries = np.flatnonzero(spare)
        codes = people.codes[entries]
        apart = (np.minimum(codes, low[one]) != np.maximum(codes, high[one])) @ worth
        cost = k * apart - lacking * stars[of_class[entries]] - sizes[one] * stars[one]
        best = int(cost.argmin())
        living = others & (sizes > 0)
        if cost[best] >= whole[living].min():
            continue
        entry = int(entries[best])
        taken.append((entry, one, lacking))
        rows[entry] -= lacking
        sizes[of_class[entry]] -= lacking
        sizes[one] = k
        low[one] = np.minimum(low[one], people.codes[entry])
        high[one] = np.maximum(high[one], people.codes[entry])
        stars[one] = (low[one] != high[one]) @ worth
    progress("sparing rows", len(small), len(small))
    extra = np.array(taken, dtype=np.int64).reshape(-1, 3)
    kept = rows > 0
    return Placement(
        np.concatenate([placement.entry[kept], extra[:, 0]]),
        np.unique(np.concatenate([of_class[kept], extra[:, 1]]), return_inverse=True)[1],
        np.concatenate([rows[kept], extra[:, 2]]),
    )


def _joined_stars(low: Integers, high: Integers, one: int, worth: Floats) -> Floats:
    """Return what a row of each class loses that is joined with one of them."""
    apart = np.minimum(low, low[one]) != np.maximum(high, high[one])
    found: Floats = apart @ worth
    return found
