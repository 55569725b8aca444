"""Top-down greedy: part everybody in two around two far people, again and again."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sfumato.anonymization.clustering.measure import Tables, compiled, cost_of_box, cost_with
from sfumato.anonymization.clustering.nearest import Parts

__all__ = ["part_top_down"]

Integers = npt.NDArray[np.int64]
Codes = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float64]

_ROUNDS = 3  # of looking for the farthest from the farthest


@compiled
def part_top_down(
    tables: Tables, codes: Codes, people: Integers, k: int, order: Integers, draws: Floats
) -> Parts:
    """Part a group in two as long as it has 2k people and costs anything.

    From a random entry the farthest is looked for, and the farthest from that, three times in all;
    the last two found are the seeds. Everybody joins a seed, in two ways: the nearer of the two;
    and the one whose box is widened to the lower cost. If a side then has fewer than k people,
    those of the other that widen it least move over until it has k. Of the two ways the cheaper is
    taken.

    Parameters
    ----------
    tables
        Costs of the columns (q).
    codes, people
        Distinct entries, shape (m, q), and how many people have each, shape (m,), at least 1.
    k
        Least number of people of a group.
    order
        In which order the entries join the seeds, shape (m,).
    draws
        Uniform numbers in [0, 1) that choose where the search for seeds begins, used in turn.

    Notes
    -----
    J. Xu, W. Wang, J. Pei, X. Wang, B. Shi, A. Fu, "Utility-based anonymization using local
    recoding", KDD 2006, section 4.2. There, small groups are mended at the end, by moving people
    or by joining groups; here at once, where moving never costs more than not to part the group.
    """
    m, q = codes.shape
    total = people.sum()
    # parting an entry adds a part; there are fewer splits than groups of k
    capacity = m + total // k + 2
    entries = np.empty(capacity, dtype=np.int64)  # a stack of groups, the last on top
    rows = np.empty(capacity, dtype=np.int64)
    entries[:m], rows[:m] = order, people[order]
    starts = np.zeros(total // k + 2, dtype=np.int64)
    found = np.empty((3, capacity), dtype=np.int64)
    sides = np.empty((2, capacity), dtype=np.int64)
    low, high = np.empty((2, q), dtype=np.int32), np.empty((2, q), dtype=np.int32)
    groups, top, parts, clusters, splits = 1, m, 0, 0, 0
    while groups > 0:
        groups -= 1
        start = starts[groups]
        n = top - start
        group, people_of = entries[start:top].copy(), rows[start:top].copy()
        top = start
        _widen(codes, group, low, high)
        if people_of.sum() < 2 * k or cost_of_box(tables, low, high, 0) <= 0:
            found[0, parts : parts + n] = group
            found[1, parts : parts + n] = clusters
            found[2, parts : parts + n] = people_of
            parts += n
            clusters += 1
            continue
        seeds = _far_apart(tables, codes, group, int(draws[splits % len(draws)] * n))
        splits += 1
        near = _two_sides(tables, codes, group, people_of, k, seeds, sides[0], by_box=False)
        wide = _two_sides(tables, codes, group, people_of, k, seeds, sides[1], by_box=True)
        way = int(wide[0] < near[0])
        _, small, parted, moving = wide if way == 1 else near
        # the two sides replace the group on the stack
        for which in range(2):
            starts[groups] = top
            groups += 1
            for place in range(n):
                here = people_of[place]
                if place == parted:
                    here = moving if which == small else here - moving
                elif sides[way, place] != which:
                    continue
                entries[top], rows[top] = group[place], here
                top += 1
    return found[0, :parts].copy(), found[1, :parts].copy(), found[2, :parts].copy()


@compiled
def _widen(codes: Codes, group: Integers, low: Codes, high: Codes) -> None:
    """Make the first box that of a group."""
    low[0], high[0] = codes[group[0]], codes[group[0]]
    for entry in group:
        _take_in(codes, entry, low, high, 0)


@compiled
def _take_in(codes: Codes, entry: int, low: Codes, high: Codes, box: int) -> None:
    """Widen a box by an entry."""
    for column in range(codes.shape[1]):
        low[box, column] = min(low[box, column], codes[entry, column])
        high[box, column] = max(high[box, column], codes[entry, column])


@compiled
def _far_apart(tables: Tables, codes: Codes, group: Integers, begin: int) -> tuple[int, int]:
    """Return the places of two entries of a group that are far apart."""
    one, other = begin, begin
    for _ in range(_ROUNDS):
        farthest, distance = one, -1.0
        for place in range(len(group)):
            cost = cost_with(tables, codes, codes, group[one], codes, codes, group[place], np.inf)
            if cost > distance:
                farthest, distance = place, cost
        one, other = farthest, one
    return one, other


@compiled
def _two_sides(
    tables: Tables,
    codes: Codes,
    group: Integers,
    people: Integers,
    k: int,
    seeds: tuple[int, int],
    side: Integers,
    by_box: bool,
) -> tuple[float, int, int, int]:
    """Give everybody of a group to one of two seeds, and fill up the smaller side to k people.

    Parameters
    ----------
    tables, codes
        Costs of the columns; all entries.
    group, people
        The entries of the group and the people of each, at least 2k in all.
    k
        Least number of people of a side.
    seeds
        The places of the two seeds in the group.
    side
        Filled with the side of each, 0 or 1.
    by_box
        Whether the box of a side as it grows is measured, or the seed alone.

    Returns
    -------
    cost, small, parted, moving
        The cost of both sides, times their people; the side that was smaller; the place of the
        entry of which only ``moving`` people go there, or -1.
    """
    q = codes.shape[1]
    low, high = np.empty((2, q), dtype=np.int32), np.empty((2, q), dtype=np.int32)
    sizes = np.empty(2, dtype=np.int64)
    for which in range(2):
        low[which], high[which] = codes[group[seeds[which]]], codes[group[seeds[which]]]
        side[seeds[which]] = which
        sizes[which] = people[seeds[which]]
    start_low, start_high = low.copy(), high.copy()
    from_low, from_high = (low, high) if by_box else (start_low, start_high)
    for place in range(len(group)):
        if place in seeds:
            continue
        entry = group[place]
        first = cost_with(tables, from_low, from_high, 0, codes, codes, entry, np.inf)
        second = cost_with(tables, from_low, from_high, 1, codes, codes, entry, np.inf)
        nearer = int(first > second or (first == second and sizes[0] > sizes[1]))
        side[place] = nearer
        sizes[nearer] += people[place]
        _take_in(codes, entry, low, high, nearer)

    small = int(sizes[1] < sizes[0])
    parted, moving = -1, 0
    bound = np.zeros(len(group))
    while sizes[small] < k:
        nearest, least = -1, np.inf
        for place in range(len(group)):
            # what it would have cost earlier is a lower bound: a box that grows never costs less
            if side[place] == small or bound[place] >= least:
                continue
            cost = cost_with(tables, low, high, small, codes, codes, group[place], np.inf)
            bound[place] = cost
            if cost < least:
                nearest, least = place, cost
        some = min(people[nearest], k - sizes[small])
        if some < people[nearest]:
            parted, moving = nearest, some
        else:
            side[nearest] = small
        sizes[small] += some
        sizes[1 - small] -= some
        _take_in(codes, group[nearest], low, high, small)
    larger = 1 - small
    first_of = -1
    for place in range(len(group)):
        if side[place] == larger:
            if first_of < 0:
                first_of = place
                low[larger], high[larger] = codes[group[place]], codes[group[place]]
            _take_in(codes, group[place], low, high, larger)
    cost = sizes[0] * cost_of_box(tables, low, high, 0)
    cost += sizes[1] * cost_of_box(tables, low, high, 1)
    return cost, small, parted, moving
