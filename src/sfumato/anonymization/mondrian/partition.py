"""Mondrian's cuts: how a set of coded people is split until no group can be split any more.

All groups of one round are cut at once, in arrays, so there is no loop over people or groups and
no recursion. A round takes of each open group the widest column (or that whose cut gains most),
cuts it, and keeps the cut if every part keeps the promises; a refused column is closed for that
group, and the group comes again. Where the size of a group is all that is promised and there are
many people, the same cuts are made one group at a time by compiled loops.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from sfumato.anonymization.mondrian.axes import Axis
from sfumato.anonymization.mondrian.open_groups import OpenGroups, SortedGroups
from sfumato.anonymization.mondrian.partition_nodes import Partition
from sfumato.anonymization.mondrian.people import People, changes
from sfumato.anonymization.mondrian.promises import Promises
from sfumato.anonymization.mondrian.rank_cuts import cut_by_rank

__all__ = ["Choice", "Partition", "partition"]

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

Choice = Literal["width", "gain"]

# From so many tuples on the compiled loops are faster than arrays, their loading included.
_MANY = 150_000


def partition(
    people: People,
    axes: tuple[Axis, ...],
    k: int,
    progress: Callable[[int], None] | None = None,
    *,
    promises: Promises | None = None,
    choose: Choice = "width",
    relaxed: bool = False,
    compiled: bool | None = None,
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
    promises
        What every group keeps besides.
    choose
        Which cut is made: "width", along the column that is widest, numbers nearest to the median;
        "gain", that which takes most of the widths of all people away.
    relaxed
        Whether a group that no cut can part is parted by rank, equal values too.
    compiled
        Whether the compiled loops are used, where they can be; by default for many tuples.

    Notes
    -----
    K. LeFevre, D. DeWitt, R. Ramakrishnan, "Mondrian multidimensional k-anonymity", ICDE 2006:
    strict partitioning (equal values stay together), section 3; relaxed, section 3.2.
    """
    promises = promises or Promises(k, (), {})
    promises = replace(promises, least=max(k, promises.least))
    many = len(people) >= _MANY if compiled is None else compiled
    if many and people.weights is not None and not promises.others and not relaxed:
        from sfumato.anonymization.mondrian.kernels import cut_all

        return cut_all(people.codes, people.weights, axes, promises.least, choose, progress)
    total = len(people)
    groups = OpenGroups.of(people, np.array([axis.top for axis in axes], dtype=np.int64))
    everybody = people.count(groups.entries, groups.weights, groups.group, 1)
    nodes = [Partition.root(int(everybody[0]))]
    created = 1
    while len(groups.entries):
        widths = _widths(people.codes, groups, axes)
        if relaxed:
            groups, widths = _turned(groups, widths, people, axes)
        cuttable = widths.max(axis=1) > 0
        groups, widths = groups.only(cuttable), widths[cuttable]
        if progress is not None:
            open_ = np.zeros(total, dtype=np.bool_)
            open_[groups.entries] = True
            progress(total - int(open_.sum()))
        ahead = []
        for by_rank in (False, True):
            here = groups.by_rank == by_rank
            if not here.any():
                continue
            some, wide = groups.only(here), widths[here]
            if by_rank:
                made, rest = cut_by_rank(people, some, wide.argmax(axis=1), axes, promises, created)
            else:
                cut = _cut_most if choose == "gain" else _cut_widest
                made, rest = cut(people, some, wide, axes, promises, created)
            nodes.append(made)
            created += len(made.parent)
            ahead.append(rest)
        groups = OpenGroups.joined(ahead) if ahead else groups
    return Partition.joined(nodes)


def _widths(codes: Integers, groups: OpenGroups, axes: tuple[Axis, ...]) -> Floats:
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


def _turned(
    groups: OpenGroups, widths: Floats, people: People, axes: tuple[Axis, ...]
) -> tuple[OpenGroups, Floats]:
    """Open every axis of the groups without a cut left once more, for cuts by rank."""
    turning = (widths.max(axis=1) <= 0) & ~groups.by_rank
    closed = groups.closed.copy()
    closed[turning] = False
    groups = replace(groups, closed=closed, by_rank=groups.by_rank | turning)
    return groups, _widths(people.codes, groups, axes) if turning.any() else widths


def _cut_widest(
    people: People,
    groups: OpenGroups,
    widths: Floats,
    axes: tuple[Axis, ...],
    promises: Promises,
    created: int,
) -> tuple[Partition, OpenGroups]:
    """Cut each group along its widest axis, if every part then keeps the promises."""
    along = groups.sorted_along(people, widths.argmax(axis=1), axes)
    kept, border, _ = _best(people, along, axes, promises, "width")
    return _made(people, along, border, kept, axes, created)


def _cut_most(
    people: People,
    groups: OpenGroups,
    widths: Floats,
    axes: tuple[Axis, ...],
    promises: Promises,
    created: int,
) -> tuple[Partition, OpenGroups]:
    """Make that cut of each group which gains most; without any, close all its axes."""
    gains = np.full(widths.shape, -np.inf)
    borders = np.full(widths.shape, -1, dtype=np.int64)
    for number in range(len(axes)):
        here = widths[:, number] > 0
        if not here.any():
            continue
        some = groups.only(here)
        along = some.sorted_along(people, np.full(int(here.sum()), number), axes)
        kept, border, gain = _best(people, along, axes, promises, "gain")
        gains[here, number] = np.where(kept, gain, -np.inf)
        borders[here, number] = border
    chosen = gains.argmax(axis=1)
    kept = gains.max(axis=1) > -np.inf
    border = borders[np.arange(len(chosen)), chosen]
    along = groups.sorted_along(people, chosen, axes)
    made, rest = _made(people, along, border, kept, axes, created)
    refused = np.isin(rest.node, groups.node[~kept])
    rest.closed[refused] = True
    return made, rest


def _best(
    people: People,
    along: SortedGroups,
    axes: tuple[Axis, ...],
    promises: Promises,
    choose: Choice,
) -> tuple[Flags, Integers, Floats]:
    """Return for each group whether it can be cut along its axis, where, and what that gains.

    Returns
    -------
    kept, border, gain
        ``border`` is the least code of the upper part where numbers are cut, otherwise -1.
    """
    kept = np.zeros(len(along.chosen), dtype=np.bool_)
    border = np.full(len(along.chosen), -1, dtype=np.int64)
    gain = np.zeros(len(along.chosen))
    if not along.by_median.all():
        some = along.only(~along.by_median)
        kept[~along.by_median], gain[~along.by_median] = _all_parts(people, some, axes, promises)
    if along.by_median.any():
        some = along.only(along.by_median)
        found = _in_two(people, some, axes, promises, choose)
        kept[along.by_median], border[along.by_median], gain[along.by_median] = found
    return kept, border, gain


def _all_parts(
    people: People, along: SortedGroups, axes: tuple[Axis, ...], promises: Promises
) -> tuple[Flags, Floats]:
    """Return which groups can be cut into all their parts, and what that gains."""
    groups, part = along.groups, along.parts(axes)
    begins = changes(groups.group) | changes(part)
    child = np.cumsum(begins) - 1
    parent = groups.group[begins]
    sizes = people.count(groups.entries, groups.weights, child, len(parent))
    starts = np.flatnonzero(changes(parent))
    # asked only of the parts of groups whose parts are all large enough
    large = np.minimum.reduceat(sizes, starts) >= promises.least
    kept = large.copy()
    if promises.others and large.any():
        of_piece = large[groups.group]
        dense = np.cumsum(large[parent]) - 1
        parts_kept = promises.kept_parts(
            people,
            groups.entries[of_piece],
            groups.weights[of_piece],
            dense[child[of_piece]],
            sizes[large[parent]],
        )
        several = np.flatnonzero(changes(parent[large[parent]]))
        kept[large] = np.logical_and.reduceat(parts_kept, several)
        # a single part is the group itself, which keeps what it kept
        kept |= large & (np.diff(starts, append=len(parent)) == 1)
    whole = np.add.reduceat(sizes, starts)
    if people.persons is not None:
        whole = people.count(groups.entries, groups.weights, groups.group, len(kept))
    return kept, along.gains_of_parts(axes, whole, sizes, begins, starts)


def _in_two(
    people: People,
    along: SortedGroups,
    axes: tuple[Axis, ...],
    promises: Promises,
    choose: Choice,
) -> tuple[Flags, Integers, Floats]:
    """Return for groups of numbers whether and where they can be cut in two, and the gain."""
    groups, on_axis = along.groups, along.on_axis
    up_to, from_here = people.running(groups.entries, groups.weights, groups.group)
    below = np.roll(up_to, 1)
    possible = changes(on_axis) & ~changes(groups.group)
    possible &= (below >= promises.least) & (from_here >= promises.least)
    cuts = np.flatnonzero(possible)
    below, above = below[cuts], from_here[cuts]
    of_cut = groups.group[cuts]
    if choose == "width":
        score = -np.abs(below - above).astype(np.float64)
    else:
        starts = np.flatnonzero(changes(groups.group))
        ends = np.append(starts[1:], len(on_axis)) - 1
        score = along.gains_of_cuts(axes, cuts, (below, above), up_to[ends], (starts, ends))
    kept = np.zeros(len(along.chosen), dtype=np.bool_)
    border = np.full(len(along.chosen), -1, dtype=np.int64)
    gain = np.zeros(len(along.chosen))
    # the best first; of equally good ones the lower
    order = np.lexsort((cuts, -score, of_cut))
    begins = np.flatnonzero(changes(of_cut[order])) if len(cuts) else order
    rank = np.empty(len(cuts), dtype=np.int64)
    rank[order] = np.arange(len(cuts)) - np.repeat(begins, np.diff(begins, append=len(cuts)))
    tried, step = 0, 1 if not promises.others else 2
    while (open_ := ~kept[of_cut] & (rank >= tried)).any():
        batch = np.flatnonzero(open_ & (rank < tried + step))
        good = batch[_kept_cuts(people, groups, cuts[batch], below[batch], above[batch], promises)]
        # backwards by rank, so that the best of several is the one that stays
        good = good[np.argsort(-rank[good], kind="stable")]
        kept[of_cut[good]] = True
        border[of_cut[good]] = on_axis[cuts[good]]
        gain[of_cut[good]] = score[good]
        tried, step = tried + step, step * 4
    return kept, border, gain


def _kept_cuts(
    people: People,
    groups: OpenGroups,
    cuts: Integers,
    below: Integers,
    above: Integers,
    promises: Promises,
) -> Flags:
    """Return which of the cuts, in rising order, leave two parts that keep the promises."""
    if not promises.others:
        return np.ones(len(cuts), dtype=np.bool_)
    concerned = np.zeros(len(groups.node), dtype=np.bool_)
    concerned[groups.group[cuts]] = True
    here = concerned[groups.group]
    place = np.cumsum(here) - 1
    return promises.kept_cuts(
        people,
        groups.entries[here],
        groups.weights[here],
        (np.cumsum(concerned) - 1)[groups.group[here]],
        place[cuts],
        (below, above),
    )


def _made(
    people: People,
    along: SortedGroups,
    border: Integers,
    kept: Flags,
    axes: tuple[Axis, ...],
    created: int,
) -> tuple[Partition, OpenGroups]:
    """Make the cuts that were found.

    Returns
    -------
    made, open
        The new nodes, numbered from ``created``, and the groups of the next round: the parts of
        the cuts that were made, and whole the groups whose cut was refused.
    """
    groups, on_axis, chosen = along.groups, along.on_axis, along.chosen
    part = along.parts(axes)
    halved = along.by_median[groups.group]
    part[halved] = (on_axis >= border[groups.group])[halved]
    part[~kept[groups.group]] = 0
    begins = changes(groups.group) | changes(part)
    child = np.cumsum(begins) - 1
    of, code = groups.group[begins], on_axis[begins]
    size = people.count(groups.entries, groups.weights, child, len(of))
    fresh = kept[of]
    least = np.where(along.by_median[of] & (code == border[of]), code, -1)
    levels, closed = groups.levels[of], groups.closed[of]
    new_levels = along.levels_of_parts(axes, of, code)
    levels[np.flatnonzero(fresh), chosen[of[fresh]]] = new_levels[fresh]
    closed[fresh] = False
    closed[np.flatnonzero(~fresh), chosen[of[~fresh]]] = True
    node = groups.node[of]
    made = Partition.of_strict_cuts(
        node[fresh],
        chosen[of][fresh],
        along.level[of][fresh],
        code[fresh],
        least[fresh],
        size[fresh],
    )
    node[fresh] = created + np.arange(int(fresh.sum()))
    return made, replace(
        groups, group=child, node=node, levels=levels, closed=closed, by_rank=groups.by_rank[of]
    )
