"""Who is cut into groups: distinct coded tuples, and how many people have them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import polars as pl

from sfumato.errors import InternalError

__all__ = ["People", "changes"]

Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class People:
    """Who is partitioned: distinct coded tuples with the people who have them.

    A *piece* is a tuple, or a part of its people: parallel arrays ``entries`` (which tuple) and
    ``weights`` (how many of its people) tell what a group holds.

    Parameters
    ----------
    codes
        Shape (m, q).
    weights
        People of each tuple, shape (m,); None if ``persons`` is given.
    persons
        Person of each tuple, shape (m,), where one person can have several tuples.
    sensitive
        For each sensitive column that a promise counts the value number of each tuple, shape (m,),
        and the values in the order of their numbers.
    """

    codes: Integers
    weights: Integers | None
    persons: Integers | None = None
    sensitive: Mapping[str, tuple[Integers, pl.Series]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.codes)

    def whole(self) -> Integers:
        """Return the people of each tuple, shape (m,); 1 where persons are counted."""
        if self.weights is not None:
            return self.weights.astype(np.int64, copy=True)
        return np.ones(len(self), dtype=np.int64)

    def count(self, entries: Integers, weights: Integers, group: Integers, groups: int) -> Integers:
        """Return how many people each group has; ``group`` numbers the pieces' groups."""
        if self.persons is None:
            return np.bincount(group, weights, groups).astype(np.int64)
        counted = group[self._first_of(entries, group)]
        return np.bincount(counted, minlength=groups).astype(np.int64)

    def running(
        self, entries: Integers, weights: Integers, group: Integers
    ) -> tuple[Integers, Integers]:
        """Return the people up to and from each piece on, within its group (sorted by group)."""
        forward, backward = self.new_people(entries, weights, group)
        up_to = _running(forward, group)
        if self.persons is None:
            total = self.count(entries, weights, group, int(group[-1]) + 1)
            from_here: Integers = total[group] - up_to + weights
            return up_to, from_here
        reverse = (int(group[-1]) - group)[::-1]
        return up_to, _running(backward[::-1], reverse)[::-1]

    def new_people(
        self, entries: Integers, weights: Integers, group: Integers
    ) -> tuple[Integers, Integers]:
        """Return how many people of its group each piece is the first, and the last, to hold."""
        if self.persons is None:
            return weights, weights
        forward = np.zeros(len(entries), dtype=np.int64)
        forward[self._first_of(entries, group)] = 1
        backward = np.zeros(len(entries), dtype=np.int64)
        backward[len(entries) - 1 - self._first_of(entries[::-1], group[::-1])] = 1
        return forward, backward

    def _first_of(self, entries: Integers, group: Integers) -> Integers:
        """Return where each person first appears in each group."""
        if self.persons is None:
            raise InternalError("neither weights nor persons were given")
        many = int(self.persons.max()) + 1
        first: Integers = np.unique(group * many + self.persons[entries], return_index=True)[1]
        return first


def changes(sorted_values: Integers) -> Flags:
    """Return where a new value begins."""
    flags = np.ones(len(sorted_values), dtype=np.bool_)
    flags[1:] = sorted_values[1:] != sorted_values[:-1]
    return flags


def _running(values: Integers, group: Integers) -> Integers:
    """Return running sums that begin anew in each group."""
    total = np.cumsum(values)
    starts = np.flatnonzero(changes(group))
    before = np.append(0, total)[starts]
    sums: Integers = total - before[np.cumsum(changes(group)) - 1]
    return sums
