"""Mondrian's cuts: how a set of coded people is split until no group can be split any more.

All groups of one round are cut at once, in arrays, so there is no loop over people or groups and
no recursion. A round takes of each open group the widest column, cuts it, and keeps the cut if
every part has k people; a refused column is closed for that group, and the group comes again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sfumato.anonymization.axes import MISSING, NUMBERS, Axis, NumberAxis
from sfumato.anonymization.people import People, changes

__all__ = ["Partition", "partition"]

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Partition:
    """The tree of groups; node 0 is everybody.

    Parameters
    ----------
    parent, axis, level
        For each node the node it was cut from, the axis of that cut, and the level which the
        parent had on that axis; -1 for node 0.
    code
        For each node a code of it on that axis, which names its group.
    cut
        For the upper part of a median cut, its least code; otherwise -1.
    size
        People of each node.
    """

    parent: Integers
    axis: Integers
    level: Integers
    code: Integers
    cut: Integers
    size: Integers


def partition(
    people: People,
    axes: tuple[Axis, ...],
    k: int,
    progress: Callable[[int], None] | None = None,
) -> Partition:
    """Cut everybody into groups of at least k.

    Parameters
    ----------
    people
        Distinct tuples (m of them, q columns).
    axes
        One for each column.
    k
        Least number of people of a group; there must be as many in all.
    progress
        Called after each round with the number of tuples whose group is settled.

    Notes
    -----
    K. LeFevre, D. DeWitt, R. Ramakrishnan, "Mondrian multidimensional k-anonymity", ICDE 2006,
    strict partitioning: equal values stay together.
    """
    total = len(people.codes)
    groups = _Open(
        entries=np.arange(total),
        group=np.zeros(total, dtype=np.int64),
        node=np.zeros(1, dtype=np.int64),
        levels=np.array([[axis.top for axis in axes]], dtype=np.int64),
        closed=np.zeros((1, len(axes)), dtype=np.bool_),
    )
    everybody = people.count(groups.entries, groups.group, 1)
    nodes = [np.array([[-1, -1, -1, -1, -1, int(everybody[0])]], dtype=np.int64)]
    created = 1
    while len(groups.entries):
        widths = _widths(people.codes, groups, axes)
        cuttable = widths.max(axis=1) > 0
        groups = groups.only(cuttable)
        if progress is not None:
            progress(total - len(groups.entries))
        if len(groups.entries):
            chosen = widths[cuttable].argmax(axis=1)
            made, groups = _cut(people, groups, chosen, axes, k, created)
            nodes.append(made)
            created += len(made)
    parent, axis, level, code, cut, size = np.concatenate(nodes).T
    return Partition(parent, axis, level, code, cut, size)


@dataclass(frozen=True)
class _Open:
    """Groups that may still be cut (g of them).

    Parameters
    ----------
    entries
        The tuples that are in them, shape (m,), sorted by group.
    group
        The group of each of these, from 0 to g - 1.
    node
        The node of each group.
    levels
        The level of each group on each axis, shape (g, q).
    closed
        Along which axes a cut of the group was refused, shape (g, q).
    """

    entries: Integers
    group: Integers
    node: Integers
    levels: Integers
    closed: Flags

    def only(self, wanted: Flags) -> _Open:
        """Return some of the groups."""
        here = wanted[self.group]
        return _Open(
            self.entries[here],
            (np.cumsum(wanted) - 1)[self.group[here]],
            self.node[wanted],
            self.levels[wanted],
            self.closed[wanted],
        )

    def sorted_along(self, on_axis: Integers) -> tuple[_Open, Integers]:
        """Return the groups with the entries of each sorted by a code, and the sorted codes."""
        order = np.lexsort((on_axis, self.group))
        entries, group = self.entries[order], self.group[order]
        return _Open(entries, group, self.node, self.levels, self.closed), on_axis[order]


def _cut(
    people: People,
    groups: _Open,
    chosen: Integers,
    axes: tuple[Axis, ...],
    k: int,
    created: int,
) -> tuple[Integers, _Open]:
    """Cut each group along its chosen axis, if every part then has k people.

    Returns
    -------
    made, open
        The new nodes, numbered from ``created`` (rows as the fields of :class:`Partition`), and
        the groups of the next round: the parts of the cuts that were made, and whole the groups
        whose cut was refused.
    """
    groups, on_axis = groups.sorted_along(people.codes[groups.entries, chosen[groups.group]])
    level = groups.levels[np.arange(len(chosen)), chosen]
    by_median = _by_median(axes, chosen, level)
    part, border = _parts(people, groups, on_axis, chosen, level, axes, k)
    begins = changes(groups.group) | changes(part)
    child = np.cumsum(begins) - 1
    parent, code = groups.group[begins], on_axis[begins]
    size = people.count(groups.entries, child, len(parent))
    kept = np.minimum.reduceat(size, np.flatnonzero(changes(parent))) >= k
    # numbers in one part had no admissible border; a hierarchy's node may have a single child
    kept &= ~by_median | (border >= 0)

    new = kept[parent]
    of = parent[new]
    new_level = _levels_of_parts(axes, chosen[of], level[of], code[new])
    least = np.where(by_median[of] & (code[new] == border[of]), code[new], -1)
    made = np.stack([groups.node[of], chosen[of], level[of], code[new], least, size[new]], axis=1)

    starts = changes(groups.group) | (begins & kept[groups.group])
    of_next = groups.group[starts]
    fresh = kept[of_next]
    node, levels, closed = groups.node[of_next], groups.levels[of_next], groups.closed[of_next]
    node[fresh] = created + np.arange(len(of))
    levels[np.flatnonzero(fresh), chosen[of]] = new_level
    closed[fresh] = False
    closed[np.flatnonzero(~fresh), chosen[of_next[~fresh]]] = True
    return made, _Open(groups.entries, np.cumsum(starts) - 1, node, levels, closed)


def _widths(codes: Integers, groups: _Open, axes: tuple[Axis, ...]) -> Floats:
    """Return the width of each group on each axis, 0 where it cannot be cut."""
    starts = np.flatnonzero(changes(groups.group))
    widths = np.empty(groups.levels.shape)
    for number, axis in enumerate(axes):
        on_axis = codes[groups.entries, number]
        first = np.minimum.reduceat(on_axis, starts)
        last = np.maximum.reduceat(on_axis, starts)
        widths[:, number] = axis.widths(groups.levels[:, number], first, last)
    widths[groups.closed] = 0
    return widths


def _by_median(axes: tuple[Axis, ...], chosen: Integers, level: Integers) -> Flags:
    """Return which groups are cut at a median."""
    numbers = np.array([isinstance(axis, NumberAxis) for axis in axes])
    flags: Flags = numbers[chosen] & (level == NUMBERS)
    return flags


def _levels_of_parts(
    axes: tuple[Axis, ...], chosen: Integers, level: Integers, codes: Integers
) -> Integers:
    """Return the level of each part on the axis along which it was cut."""
    levels = level - 1
    for number, axis in enumerate(axes):
        if isinstance(axis, NumberAxis):
            here = chosen == number
            levels[here] = np.where(codes[here] == len(axis.values), MISSING, NUMBERS)
    return levels


def _parts(
    people: People,
    groups: _Open,
    on_axis: Integers,
    chosen: Integers,
    level: Integers,
    axes: tuple[Axis, ...],
    k: int,
) -> tuple[Integers, Integers]:
    """Return the part of each entry, and the least code of the upper part of a median cut or -1."""
    part = np.zeros(len(on_axis), dtype=np.int64)
    for number, axis in enumerate(axes):
        here = chosen[groups.group] == number
        part[here] = axis.parts(level[groups.group[here]], on_axis[here])
    border = np.full(len(chosen), -1, dtype=np.int64)
    by_median = _by_median(axes, chosen, level)
    here = by_median[groups.group]
    if here.any():
        dense = (np.cumsum(by_median) - 1)[groups.group[here]]
        found = _median_cuts(people, groups.entries[here], dense, on_axis[here], k)
        border[by_median] = found
        part[here] = (found[dense] >= 0) & (on_axis[here] >= found[dense])
    return part, border


def _median_cuts(
    people: People, entries: Integers, group: Integers, on_axis: Integers, k: int
) -> Integers:
    """Return for each group the least code above the cut nearest to the median, or -1.

    A cut lies between two different codes and leaves at least k people on each side; of two as
    near, the lower one is taken.
    """
    up_to, from_here = people.running(entries, group)
    below = np.roll(up_to, 1)
    possible = changes(on_axis) & ~changes(group) & (below >= k) & (from_here >= k)
    distance = np.where(possible, np.abs(below - from_here), np.iinfo(np.int64).max)
    starts = np.flatnonzero(changes(group))
    nearest = np.minimum.reduceat(distance, starts)
    best = np.flatnonzero(possible & (distance == nearest[group]))
    cut = np.full(len(starts), -1, dtype=np.int64)
    # backwards, so that the first of several is the one that stays
    cut[group[best[::-1]]] = on_axis[best[::-1]]
    return cut
