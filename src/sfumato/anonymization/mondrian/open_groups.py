"""The groups that may still be cut, and how they lie along one column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Self

import numpy as np
import numpy.typing as npt

from sfumato.anonymization.mondrian.axes import BOTH, Axis, HierarchyAxis, NumberAxis
from sfumato.anonymization.mondrian.people import People, changes

__all__ = ["OpenGroups", "SortedGroups"]

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class OpenGroups:
    """Groups that may still be cut (g of them).

    Parameters
    ----------
    entries
        The pieces that are in them, shape (m,), sorted by group: of which tuple each is,
    since
        its first person in the order of that tuple's,
    weights
        and how many of its people it has.
    group
        The group of each piece, from 0 to g - 1.
    node
        The node of each group.
    levels
        The level of each group on each axis, shape (g, q).
    closed
        Along which axes a cut of the group was refused, shape (g, q).
    by_rank
        Which groups have no cut by their values alone, shape (g,).
    """

    entries: Integers
    since: Integers
    weights: Integers
    group: Integers
    node: Integers
    levels: Integers
    closed: Flags
    by_rank: Flags

    @classmethod
    def of(cls, people: People, top: Integers) -> Self:
        """Return everybody as a single group at the top of every axis."""
        zeros = np.zeros(len(people), dtype=np.int64)
        return cls(
            np.arange(len(people)),
            zeros,
            people.whole(),
            zeros,
            np.zeros(1, dtype=np.int64),
            top[None, :],
            np.zeros((1, len(top)), dtype=np.bool_),
            np.zeros(1, dtype=np.bool_),
        )

    @classmethod
    def joined(cls, parts: Sequence[OpenGroups]) -> Self:
        """Return the groups of several parts in their order."""
        held = {
            field.name: np.concatenate([getattr(part, field.name) for part in parts])
            for field in fields(cls)
        }
        before = np.cumsum([0, *(len(part.node) for part in parts)])
        shift = np.repeat(before[:-1], [len(part.group) for part in parts])
        return cls(**{**held, "group": held["group"] + shift})

    def only(self, wanted: Flags) -> OpenGroups:
        """Return some of the groups."""
        if wanted.all():
            return self
        here = wanted[self.group]
        return OpenGroups(
            self.entries[here],
            self.since[here],
            self.weights[here],
            (np.cumsum(wanted) - 1)[self.group[here]],
            self.node[wanted],
            self.levels[wanted],
            self.closed[wanted],
            self.by_rank[wanted],
        )

    def reordered(self, order: Integers) -> OpenGroups:
        """Return the pieces in another order, which leaves those of a group together."""
        return OpenGroups(
            self.entries[order],
            self.since[order],
            self.weights[order],
            self.group[order],
            self.node,
            self.levels,
            self.closed,
            self.by_rank,
        )

    def sorted_along(
        self, people: People, chosen: Integers, axes: tuple[Axis, ...]
    ) -> SortedGroups:
        """Return the groups, the pieces of each sorted by their code on its chosen axis."""
        on_axis = people.codes[self.entries, chosen[self.group]]
        order = np.lexsort((on_axis, self.group))
        level = self.levels[np.arange(len(chosen)), chosen]
        by_median = np.zeros(len(chosen), dtype=np.bool_)
        for number, axis in enumerate(axes):
            here = chosen == number
            by_median[here] = axis.by_median(level[here])
        return SortedGroups(self.reordered(order), on_axis[order], chosen, level, by_median)


@dataclass(frozen=True)
class SortedGroups:
    """Groups whose pieces are sorted along one axis each.

    Parameters
    ----------
    groups
        The groups.
    on_axis
        The code of each piece on the chosen axis of its group, rising within a group.
    chosen, level, by_median
        For each group its axis, its level there, and whether it is cut in two between numbers.
    """

    groups: OpenGroups
    on_axis: Integers
    chosen: Integers
    level: Integers
    by_median: Flags

    def only(self, wanted: Flags) -> SortedGroups:
        """Return some of the groups."""
        if wanted.all():
            return self
        here = wanted[self.groups.group]
        return SortedGroups(
            self.groups.only(wanted),
            self.on_axis[here],
            self.chosen[wanted],
            self.level[wanted],
            self.by_median[wanted],
        )

    def parts(self, axes: tuple[Axis, ...]) -> Integers:
        """Return the part of each piece when its group is cut into all parts."""
        part = np.zeros(len(self.on_axis), dtype=np.int64)
        of_piece = self.chosen[self.groups.group]
        for number, axis in enumerate(axes):
            here = of_piece == number
            if here.any():
                part[here] = axis.parts(self.level[self.groups.group[here]], self.on_axis[here])
        return part

    def levels_of_parts(self, axes: tuple[Axis, ...], of: Integers, codes: Integers) -> Integers:
        """Return the level of parts of the groups ``of``, each named by a code of it."""
        levels = np.zeros(len(of), dtype=np.int64)
        for number, axis in enumerate(axes):
            here = self.chosen[of] == number
            levels[here] = axis.levels_of_parts(self.level[of[here]], codes[here])
        return levels

    def gains_of_parts(
        self,
        axes: tuple[Axis, ...],
        whole: Integers,
        sizes: Integers,
        begins: Flags,
        starts: Integers,
    ) -> Floats:
        """Return how much of its people's widths each group loses when it is cut into all parts.

        Parameters
        ----------
        axes
            All axes.
        whole
            People of each group.
        sizes
            People of each part.
        begins
            Where a part begins among the pieces.
        starts
            Where a group begins among the parts.
        """
        code = self.on_axis[begins]
        of = self.groups.group[begins]
        gains = np.zeros(len(self.chosen))
        for number, axis in enumerate(axes):
            here = self.chosen == number
            if not here.any():
                continue
            parts = here[of]
            into = np.flatnonzero(changes(of[parts]))
            if isinstance(axis, HierarchyAxis):
                level = self.level[of[parts]]
                # whole leaves are added up, so that no order of adding can matter
                below = np.where(level > 1, axis.leaves[level - 1, code[parts]], 0)
                lost = np.add.reduceat(sizes[parts] * below, into)
                node = axis.leaves[self.level[here], code[starts[here]]]
                gains[here] = (whole[here] * node - lost) / axis.groups.shape[1]
            elif isinstance(axis, NumberAxis):
                ends = np.flatnonzero(begins)[1:] - 1
                last = self.on_axis[np.append(ends, len(self.on_axis) - 1)]
                width = np.zeros(int(parts.sum()))
                numbers = code[parts] < len(axis.values)
                if axis.spread > 0:
                    low, high = code[parts][numbers], last[parts][numbers]
                    width[numbers] = (axis.values[high] - axis.values[low]) / axis.spread
                mixed = self.level[here] == BOTH
                mixed &= np.maximum.reduceat(code[parts], into) == len(axis.values)
                alone = width[into]
                gains[here] = np.where(mixed, whole[here] - sizes[parts][into] * alone, 0.0)
        return gains

    def gains_of_cuts(
        self,
        axes: tuple[Axis, ...],
        cuts: Integers,
        sizes: tuple[Integers, Integers],
        whole: Integers,
        ends: tuple[Integers, Integers],
    ) -> Floats:
        """Return how much of its people's widths a group of numbers loses by each cut in two.

        Parameters
        ----------
        axes
            All axes.
        cuts
            Where the upper part of each cut begins among the pieces.
        sizes
            People of the lower and of the upper part.
        whole
            People of each group.
        ends
            The first and the last piece of each group.
        """
        of = self.groups.group[cuts]
        gains = np.zeros(len(cuts))
        for number, axis in enumerate(axes):
            here = self.chosen[of] == number
            if not isinstance(axis, NumberAxis) or not here.any():
                continue
            low = axis.values[self.on_axis[ends[0][of[here]]]]
            high = axis.values[self.on_axis[ends[1][of[here]]]]
            last_below = axis.values[self.on_axis[cuts[here] - 1]]
            first_above = axis.values[self.on_axis[cuts[here]]]
            below, above = sizes[0][here], sizes[1][here]
            kept = below * (last_below - low) + above * (high - first_above)
            gains[here] = (whole[of[here]] * (high - low) - kept) / axis.spread
        return gains
