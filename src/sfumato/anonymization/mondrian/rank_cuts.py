"""Cuts by rank: a group that no value can part is parted all the same, equal values too.

Numbers are parted at the middle person: who has the middle value itself goes to the lower part up
to a quota, then to the upper. Of a hierarchy's node, up to half of the people, all of the child
that has most of them, become a group of that child; the others stay together at the node. Who of
several people with equal values goes where follows the order of the distinct tuples, and within
one tuple that of the rows.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from sfumato.anonymization.mondrian.axes import Axis
from sfumato.anonymization.mondrian.open_groups import OpenGroups, SortedGroups
from sfumato.anonymization.mondrian.partition_nodes import LOWER, UPPER, Partition
from sfumato.anonymization.mondrian.people import People, changes
from sfumato.anonymization.mondrian.promises import Promises

__all__ = ["cut_by_rank"]

Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


def cut_by_rank(
    people: People,
    groups: OpenGroups,
    chosen: Integers,
    axes: tuple[Axis, ...],
    promises: Promises,
    created: int,
) -> tuple[Partition, OpenGroups]:
    """Part each group along its chosen axis by rank, if both parts then keep the promises.

    Parameters
    ----------
    people
        Who is in the groups.
    groups
        Groups that have at least two parts on their chosen axis (g of them).
    chosen
        The axis of each, shape (g,).
    axes, promises
        All axes, and what every part must keep.
    created
        The number of the first new node.

    Returns
    -------
    made, open
        The new nodes, and the groups of the next round: the parts of the cuts that were made, and
        whole the groups whose cut was refused.
    """
    along = groups.sorted_along(people, chosen, axes)
    along, key = _ranked(people, along, axes)
    groups = along.groups
    sizes = people.count(groups.entries, groups.weights, groups.group, len(chosen))
    up_to, _ = people.running(groups.entries, groups.weights, groups.group)
    quota = _people_below(people, along, key, sizes)
    # the last piece of the lower part: the first up to which there are enough people
    enough = up_to >= quota[groups.group]
    starts = np.flatnonzero(changes(groups.group))
    boundary = np.flatnonzero(enough)[np.searchsorted(np.flatnonzero(enough), starts)]
    parted_key = key[boundary]
    along, key, boundary = _split(people, along, key, boundary, up_to[boundary] - quota)
    groups = along.groups
    part = (np.arange(len(key)) > boundary[groups.group]).astype(np.int64)
    kept = _kept(people, groups, part, promises)
    return _made(people, along, key, part, parted_key, kept, axes, created)


def _ranked(
    people: People, along: SortedGroups, axes: tuple[Axis, ...]
) -> tuple[SortedGroups, Integers]:
    """Return the groups in the order in which they are parted, and the key of that order.

    The key is the code of a number; elsewhere 0 for the child that has most people, 1 for others.
    """
    groups = along.groups
    part = along.parts(axes)
    begins = changes(groups.group) | changes(part)
    child = np.cumsum(begins) - 1
    parent = groups.group[begins]
    sizes = people.count(groups.entries, groups.weights, child, len(parent))
    # of each group the child with most people, the first of several
    largest = np.lexsort((np.arange(len(parent)), -sizes, parent))[changes(np.sort(parent))]
    key = np.where(
        along.by_median[groups.group], along.on_axis, child != largest[groups.group]
    ).astype(np.int64)
    order = np.lexsort((groups.since, groups.entries, key, groups.group))
    ordered = replace(along, groups=groups.reordered(order), on_axis=along.on_axis[order])
    return ordered, key[order]


def _people_below(people: People, along: SortedGroups, key: Integers, sizes: Integers) -> Integers:
    """Return how many people of each group shall go to its lower part."""
    half = sizes // 2
    groups = along.groups
    inside = key == 0
    largest = people.count(
        groups.entries[inside], groups.weights[inside], groups.group[inside], len(sizes)
    )
    return np.where(along.by_median, half, np.minimum(half, largest))


def _split(
    people: People,
    along: SortedGroups,
    key: Integers,
    boundary: Integers,
    beyond: Integers,
) -> tuple[SortedGroups, Integers, Integers]:
    """Part the boundary pieces of which only some people belong to the lower part.

    Parameters
    ----------
    people
        Who is in the pieces; where persons are counted, a tuple of a person stays whole.
    along, key
        The groups in the order in which they are parted.
    boundary
        The last piece of the lower part of each group.
    beyond
        How many people of that piece belong to the upper part.
    """
    torn = boundary[beyond > 0] if people.persons is None else boundary[:0]
    above = beyond[beyond > 0] if people.persons is None else beyond[:0]
    groups = along.groups
    place = np.repeat(np.arange(len(key)), 1 + np.isin(np.arange(len(key)), torn))
    second = np.append(False, place[1:] == place[:-1])
    first = np.append(second[1:], False)
    weights, since = groups.weights[place], groups.since[place]
    weights[second] = above
    weights[first] -= above
    since[second] += weights[first]
    groups = replace(groups.reordered(place), weights=weights, since=since)
    moved = boundary + np.searchsorted(torn, boundary)
    return replace(along, groups=groups, on_axis=along.on_axis[place]), key[place], moved


def _kept(people: People, groups: OpenGroups, part: Integers, promises: Promises) -> Flags:
    """Return of which groups both parts are there and keep the promises."""
    begins = changes(groups.group) | changes(part)
    child = np.cumsum(begins) - 1
    of = groups.group[begins]
    sizes = people.count(groups.entries, groups.weights, child, len(of))
    kept = promises.kept_parts(people, groups.entries, groups.weights, child, sizes)
    starts = np.flatnonzero(changes(of))
    both: Flags = np.logical_and.reduceat(kept, starts) & (np.diff(starts, append=len(of)) == 2)
    return both


def _made(
    people: People,
    along: SortedGroups,
    key: Integers,
    part: Integers,
    parted_key: Integers,
    kept: Flags,
    axes: tuple[Axis, ...],
    created: int,
) -> tuple[Partition, OpenGroups]:
    """Make the cuts that are kept."""
    groups, chosen = along.groups, along.chosen
    part = np.where(kept[groups.group], part, 0)
    begins = changes(groups.group) | changes(part)
    child = np.cumsum(begins) - 1
    of, code, upper = groups.group[begins], along.on_axis[begins], part[begins] == 1
    size = people.count(groups.entries, groups.weights, child, len(of))
    fresh = kept[of]
    numbers = along.by_median[of]
    levels, closed = groups.levels[of], groups.closed[of]
    below = np.where(numbers, along.level[of], along.levels_of_parts(axes, of, code))
    levels[np.arange(len(of)), chosen[of]] = np.where(fresh & ~upper, below, along.level[of])
    closed[np.flatnonzero(~fresh), chosen[of[~fresh]]] = True
    closed[fresh] = False

    # numbers: how far the parts reach on the axis, unless as far as the group did
    first, last = _extremes(along)
    at = parted_key[of]
    cut = np.where(upper, np.where(at > first[of], at, -1), np.where(at < last[of], at + 1, -1))
    at_border = key == parted_key[groups.group]
    parted = np.bincount(groups.group[at_border], groups.weights[at_border], len(kept))
    in_lower = at_border & (part == 0)
    quota = np.bincount(groups.group[in_lower], groups.weights[in_lower], len(kept))
    node = groups.node[of]
    zero = np.zeros(int(fresh.sum()), dtype=np.int64)
    is_lower = ~upper[fresh]
    made = Partition(
        node[fresh],
        chosen[of][fresh],
        along.level[of][fresh],
        code[fresh],
        np.where(numbers, cut, -1)[fresh],
        size[fresh],
        np.where(is_lower, LOWER, UPPER),
        np.where(is_lower, quota[of][fresh].astype(np.int64), zero),
        np.where(is_lower, parted[of][fresh].astype(np.int64), zero),
    )
    node[fresh] = created + np.arange(len(zero))
    rest = replace(
        groups,
        group=child,
        node=node,
        levels=levels,
        closed=closed,
        by_rank=groups.by_rank[of] & ~fresh,
    )
    return made, rest


def _extremes(along: SortedGroups) -> tuple[Integers, Integers]:
    """Return the least and the greatest code of each group on its axis."""
    starts = np.flatnonzero(changes(along.groups.group))
    return np.minimum.reduceat(along.on_axis, starts), np.maximum.reduceat(along.on_axis, starts)
