"""Mondrian's cuts: how a set of coded people is split until no group can be split any more.

All groups of one round are cut at once, in arrays, so there is no loop over people or groups and
no recursion. A round takes of each open group the widest column, cuts it, and keeps the cut if
every part has k people; a refused column is closed for that group, and the group comes again.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

__all__ = ["Axis", "HierarchyAxis", "NumberAxis", "Partition", "People", "partition"]

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

# The levels of a number axis: missing cells, numbers, and both together.
MISSING, NUMBERS, BOTH = 0, 1, 2


class Axis(Protocol):
    """One quasi-identifier as an axis along which groups are cut."""

    @property
    def top(self) -> int:
        """The level of the group of everybody; a group of level 0 cannot be cut."""
        ...

    def widths(self, levels: Integers, first: Integers, last: Integers) -> Floats:
        """Return the width of groups, each from 0 to 1; those that cannot be cut have width 0.

        Parameters
        ----------
        levels
            Level of each group, shape (g,).
        first, last
            Least and greatest code in each group, shape (g,).
        """
        ...

    def parts(self, levels: Integers, codes: Integers) -> Integers:
        """Return the number of the part into which each code falls, never falling with the code.

        Parameters
        ----------
        levels
            Level of the group that the code is cut from, shape (m,).
        codes
            Shape (m,).
        """
        ...


@dataclass(frozen=True)
class HierarchyAxis:
    """A column with a hierarchy: a group is cut into all children of its node.

    Parameters
    ----------
    levels
        For each level an array (n_leaves,): the group of each leaf, which never falls along them.
    sizes
        For each level an array: leaves of each group.
    """

    levels: tuple[Integers, ...]
    sizes: tuple[Integers, ...]

    @property
    def top(self) -> int:
        """The level of ``*``."""
        return len(self.levels) - 1

    def widths(self, levels: Integers, first: Integers, last: Integers) -> Floats:  # noqa: ARG002
        """Return the leaves of the node as a share of all leaves."""
        shares: Floats = self._leaves[levels, first] / self._groups.shape[1]
        return np.where(levels > 0, shares, 0.0)

    def parts(self, levels: Integers, codes: Integers) -> Integers:
        """Return the child of each code's node."""
        found: Integers = self._groups[levels - 1, codes]
        return found

    @cached_property
    def _groups(self) -> Integers:
        """The group of each leaf at each level, shape (n_levels, n_leaves)."""
        return np.stack(self.levels)

    @cached_property
    def _leaves(self) -> Integers:
        """How many leaves that group has, shape (n_levels, n_leaves)."""
        leaves = [size[of] for size, of in zip(self.sizes, self.levels, strict=True)]
        return np.stack(leaves)


@dataclass(frozen=True)
class NumberAxis:
    """A column of numbers: missing cells are split off first, numbers are cut near the median.

    Parameters
    ----------
    values
        The distinct numbers, rising; their positions are the codes.
    has_missing
        Whether the code after the last number stands for a missing cell.
    """

    values: Floats
    has_missing: bool

    @property
    def top(self) -> int:
        """The level of everybody."""
        return BOTH if self.has_missing else NUMBERS

    def widths(self, levels: Integers, first: Integers, last: Integers) -> Floats:
        """Return the range of the numbers as a share of the whole column's range."""
        if not len(self.values):
            return np.where(levels == BOTH, 1.0, 0.0)
        whole = self.values[-1] - self.values[0]
        clipped = np.minimum(last, len(self.values) - 1)
        span = self.values[clipped] - self.values[np.minimum(first, clipped)]
        shares = span / whole if whole > 0 else np.zeros(len(levels))
        mixed = (levels == BOTH) & (last == len(self.values))
        # all numbers, but of a group that may hold missing cells: seen as numbers from here on
        return np.where(levels == MISSING, 0.0, np.where(mixed, 1.0, shares))

    def parts(self, levels: Integers, codes: Integers) -> Integers:
        """Return 1 for missing cells, 0 for numbers; :func:`partition` finds the median cut."""
        missing: Flags = (levels == BOTH) & (codes == len(self.values))
        return missing.astype(np.int64)


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
            raise ValueError("weights or persons are needed")
        many = int(self.persons.max()) + 1
        keys, first = np.unique(group * many + self.persons[entries], return_index=True)
        return first, keys // many


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
    node
        The final node of each entry, shape (m,).
    """

    parent: Integers
    axis: Integers
    level: Integers
    code: Integers
    cut: Integers
    size: Integers
    node: Integers


def partition(people: People, axes: tuple[Axis, ...], k: int, progress: Any = None) -> Partition:
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
        Called with the number of entries that are settled after each round.

    Notes
    -----
    K. LeFevre, D. DeWitt, R. Ramakrishnan, "Mondrian multidimensional k-anonymity", ICDE 2006,
    strict partitioning: equal values stay together.
    """
    codes = people.codes
    everybody, q = codes.shape
    entries = np.arange(everybody)
    group = np.zeros(everybody, dtype=np.int64)
    ids = np.zeros(1, dtype=np.int64)
    levels = np.array([[axis.top for axis in axes]], dtype=np.int64)
    closed = np.zeros((1, q), dtype=np.bool_)
    size = people.count(entries, group, 1)
    nodes = [np.array([[-1, -1, -1, -1, -1, int(size[0])]], dtype=np.int64)]
    created = 1
    settled = np.zeros(everybody, dtype=np.int64)
    while len(entries):
        widths = _widths(codes, entries, group, levels, closed, axes)
        chosen = widths.argmax(axis=1)
        cuttable = widths[np.arange(len(ids)), chosen] > 0
        done = ~cuttable[group]
        settled[entries[done]] = ids[group[done]]
        entries, group = entries[~done], (np.cumsum(cuttable) - 1)[group[~done]]
        ids, levels, closed, chosen = (
            ids[cuttable],
            levels[cuttable],
            closed[cuttable],
            chosen[cuttable],
        )
        if progress is not None:
            progress(everybody - len(entries))
        if not len(entries):
            break
        on_axis = codes[entries, chosen[group]]
        order = np.lexsort((on_axis, group))
        entries, group, on_axis = entries[order], group[order], on_axis[order]
        part, cut = _parts(people, entries, group, on_axis, levels, chosen, axes, k)
        child = np.cumsum(_changes(group) | _changes(part)) - 1
        parent = group[_changes(child)]
        size = people.count(entries, child, len(parent))
        kept = np.minimum.reduceat(size, np.flatnonzero(_changes(parent))) >= k
        # a number axis without an admissible cut comes back in one part, which is no cut
        single = np.bincount(parent, minlength=len(ids)) == 1
        by_median = _by_median(axes, levels, chosen)
        kept &= ~(single & by_median)
        closed[np.flatnonzero(~kept), chosen[~kept]] = True
        # children of kept cuts become groups of their own; the others stay whole
        born = kept[parent]
        code = on_axis[_changes(child)]
        new = np.flatnonzero(born)
        new_axis = chosen[parent[new]]
        new_level = _child_levels(axes, levels[parent[new], new_axis], new_axis, code[new])
        upper = by_median[parent[new]] & (code[new] == cut[parent[new]])
        cut_level = levels[parent[new], new_axis]
        least = np.where(upper, code[new], -1)
        rows = [ids[parent[new]], new_axis, cut_level, code[new], least, size[new]]
        nodes.append(np.stack(rows, axis=1))
        starts = _changes(group) | (_changes(child) & kept[group])
        group_of = group[starts]
        next_ids = ids[group_of].copy()
        next_levels, next_closed = levels[group_of], closed[group_of].copy()
        is_new = kept[group_of]
        next_ids[is_new] = created + np.arange(len(new))
        next_levels[np.flatnonzero(is_new), new_axis] = new_level
        next_closed[is_new] = False
        created += len(new)
        group = np.cumsum(starts) - 1
        ids, levels, closed = next_ids, next_levels, next_closed
    table = np.concatenate(nodes)
    parent, cut_axis, level, code, cut, size = table.T
    return Partition(parent, cut_axis, level, code, cut, size, settled)


def _widths(
    codes: Integers,
    entries: Integers,
    group: Integers,
    levels: Integers,
    closed: Flags,
    axes: tuple[Axis, ...],
) -> Floats:
    starts = np.flatnonzero(_changes(group))
    widths = np.empty(levels.shape)
    for number, axis in enumerate(axes):
        on_axis = codes[entries, number]
        first = np.minimum.reduceat(on_axis, starts)
        last = np.maximum.reduceat(on_axis, starts)
        widths[:, number] = axis.widths(levels[:, number], first, last)
    widths[closed] = 0
    return widths


def _by_median(axes: tuple[Axis, ...], levels: Integers, chosen: Integers) -> Flags:
    """Return for which groups the chosen axis is cut at a median."""
    numeric = np.array([isinstance(axis, NumberAxis) for axis in axes])
    flags: Flags = numeric[chosen] & (levels[np.arange(len(chosen)), chosen] == NUMBERS)
    return flags


def _child_levels(
    axes: tuple[Axis, ...], levels: Integers, chosen: Integers, codes: Integers
) -> Integers:
    """Return the level of each child on the axis along which it was cut."""
    result = levels - 1
    for number, axis in enumerate(axes):
        if isinstance(axis, NumberAxis):
            missing = codes == len(axis.values)
            here = chosen == number
            result[here] = np.where(missing[here], MISSING, NUMBERS)
    return result


def _parts(
    people: People,
    entries: Integers,
    group: Integers,
    on_axis: Integers,
    levels: Integers,
    chosen: Integers,
    axes: tuple[Axis, ...],
    k: int,
) -> tuple[Integers, Integers]:
    """Return the part of each entry, and for each group the least code of its upper part."""
    part = np.zeros(len(entries), dtype=np.int64)
    level = levels[np.arange(len(chosen)), chosen]
    for number, axis in enumerate(axes):
        here = chosen[group] == number
        part[here] = axis.parts(level[group[here]], on_axis[here])
    cut = np.full(len(chosen), -1, dtype=np.int64)
    by_median = _by_median(axes, levels, chosen)
    here = by_median[group]
    if here.any():
        dense = (np.cumsum(by_median) - 1)[group[here]]
        found = _median_cuts(people, entries[here], dense, on_axis[here], k)
        cut[by_median] = found
        part[here] = (found[dense] >= 0) & (on_axis[here] >= found[dense])
    return part, cut


def _median_cuts(
    people: People, entries: Integers, group: Integers, on_axis: Integers, k: int
) -> Integers:
    """Return for each group the least code above the cut nearest to the median, or -1.

    A cut lies between two different codes and leaves at least k people on each side; of two as
    near, the lower one is taken.
    """
    up_to, from_here = people.running(entries, group)
    below = np.roll(up_to, 1)
    possible = _changes(on_axis) & ~_changes(group) & (below >= k) & (from_here >= k)
    distance = np.where(possible, np.abs(below - from_here), np.iinfo(np.int64).max)
    starts = np.flatnonzero(_changes(group))
    nearest = np.minimum.reduceat(distance, starts)
    best = np.flatnonzero(possible & (distance == nearest[group]))
    cut = np.full(len(starts), -1, dtype=np.int64)
    # backwards, so that the first of several is the one that stays
    cut[group[best[::-1]]] = on_axis[best[::-1]]
    return cut


def _changes(sorted_values: Integers) -> Flags:
    """Return where a new value begins."""
    flags = np.ones(len(sorted_values), dtype=np.bool_)
    flags[1:] = sorted_values[1:] != sorted_values[:-1]
    return flags


def _running(values: Integers, group: Integers) -> Integers:
    """Return running sums that begin anew in each group."""
    total = np.cumsum(values)
    starts = np.flatnonzero(_changes(group))
    before = np.append(0, total)[starts]
    sums: Integers = total - before[group]
    return sums
