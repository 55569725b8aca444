"""Who is cut into groups: distinct coded tuples, and how many people have them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sfumato.errors import InternalError

__all__ = ["People", "changes"]

Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class People:
    """Who is partitioned: distinct coded tuples with the people who have them.

    Parameters
    ----------
    codes
        Shape (m, q).
    weights
        People of each tuple, shape (m,); None if ``persons`` is given.
    persons
        Person of each tuple, shape (m,), where one person can have several tuples.
    """

    codes: Integers
    weights: Integers | None
    persons: Integers | None = None

    def count(self, entries: Integers, group: Integers, groups: int) -> Integers:
        """Return how many people each group has; ``group`` numbers the entries' groups."""
        if self.weights is not None:
            return np.bincount(group, self.weights[entries], groups).astype(np.int64)
        return np.bincount(self._first_of(entries, group)[1], minlength=groups).astype(np.int64)

    def running(self, entries: Integers, group: Integers) -> tuple[Integers, Integers]:
        """Return the people up to and from each entry on, within its group (sorted by group)."""
        if self.weights is not None:
            weights = self.weights[entries]
            up_to = _running(weights, group)
            total = self.count(entries, group, int(group[-1]) + 1)
            from_here: Integers = total[group] - up_to + weights
            return up_to, from_here
        forward = np.zeros(len(entries), dtype=np.int64)
        forward[self._first_of(entries, group)[0]] = 1
        backward = np.zeros(len(entries), dtype=np.int64)
        backward[self._first_of(entries[::-1], group[::-1])[0]] = 1
        reverse = (int(group[-1]) - group)[::-1]
        return _running(forward, group), _running(backward, reverse)[::-1]

    def _first_of(self, entries: Integers, group: Integers) -> tuple[Integers, Integers]:
        """Return where each person first appears in each group, and that group."""
        if self.persons is None:
            raise InternalError("neither weights nor persons were given")
        many = int(self.persons.max()) + 1
        keys, first = np.unique(group * many + self.persons[entries], return_index=True)
        return first, keys // many


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
    sums: Integers = total - before[group]
    return sums
