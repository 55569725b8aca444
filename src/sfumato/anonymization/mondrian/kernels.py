"""The compiled loop of Mondrian: cutting groups of k, one at a time.

The cuts are those of :func:`~sfumato.anonymization.mondrian.partition.partition`. Tuples are moved
so that those of a group lie together; a group is a stretch of them, and the open ones wait on a
stack.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from sfumato.anonymization.mondrian.axes import (
    BOTH,
    MISSING,
    NUMBERS,
    Axis,
    HierarchyAxis,
    NumberAxis,
)
from sfumato.anonymization.mondrian.cut_kernels import (
    clear,
    halve,
    longer,
    most_gain,
    near_median,
    part_of,
)
from sfumato.anonymization.mondrian.partition_nodes import Partition

__all__ = ["cut_all"]

Array = npt.NDArray[Any]

_HIERARCHY, _NUMBERS = 0, 1
_PARENT, _AXIS, _LEVEL, _CODE, _CUT, _SIZE = range(6)


def cut_all(
    codes: Array,
    weights: Array,
    axes: tuple[Axis, ...],
    k: int,
    choose: str,
    progress: Callable[[int], None] | None = None,
) -> Partition:
    """Cut everybody into groups of at least k.

    Parameters
    ----------
    codes, weights
        Distinct tuples, shape (m, q), and the people of each, shape (m,).
    axes
        One for each column.
    k
        Least number of people of a group.
    choose
        "width" or "gain".
    progress
        Called at the end with the number of tuples.
    """
    moved = np.array(codes, dtype=np.int32, order="C")
    kinds = np.array([isinstance(axis, NumberAxis) for axis in axes], dtype=np.int64)
    tops = np.array([axis.top for axis in axes], dtype=np.int64)
    start = np.zeros((len(axes), int(tops.max()) + 1), dtype=np.int64)
    groups, leaves, values = [], [], []
    value_start, domain = np.zeros(len(axes), dtype=np.int64), np.zeros(len(axes), dtype=np.int64)
    length = numbers = 0
    for number, axis in enumerate(axes):
        if isinstance(axis, HierarchyAxis):
            domain[number] = axis.groups.shape[1]
            for level in range(axis.top + 1):
                start[number, level] = length
                length += domain[number]
            groups.append(axis.groups.reshape(-1))
            leaves.append(axis.leaves.reshape(-1))
        elif isinstance(axis, NumberAxis):
            domain[number] = len(axis.values)
            value_start[number] = numbers
            numbers += len(axis.values)
            values.append(axis.values)
    nodes = _cut(
        moved,
        np.array(weights, dtype=np.int64),
        kinds,
        tops,
        start,
        np.concatenate([*groups, np.zeros(1, dtype=np.int64)]),
        np.concatenate([*leaves, np.zeros(1, dtype=np.int64)]),
        domain,
        value_start,
        np.concatenate([*values, np.zeros(1)]),
        k,
        choose == "gain",
    )
    if progress is not None:
        progress(len(codes))
    return Partition.of_strict_cuts(*(np.ascontiguousarray(column) for column in nodes.T))


@njit(cache=True, error_model="numpy")
def _cut(
    codes: Array,
    weights: Array,
    kinds: Array,
    tops: Array,
    start_of: Array,
    groups: Array,
    leaves: Array,
    domain: Array,
    value_start: Array,
    values: Array,
    k: int,
    by_gain: bool,
) -> Array:
    """Return the nodes, a row each: parent, axis, level, code, cut, size."""
    m, q = codes.shape
    nodes = np.empty((1024, 6), np.int64)
    everybody = 0
    for i in range(m):
        everybody += weights[i]
    for field in range(6):
        nodes[0, field] = -1
    nodes[0, _SIZE] = everybody
    n_nodes = 1
    spare_codes, spare_weights = np.empty_like(codes), np.empty_like(weights)
    most_codes = 2
    for c in range(q):
        most_codes = max(most_codes, domain[c] + 1)
    buckets = np.empty(4096, np.int64)
    counts = np.empty(most_codes, np.int64)
    pieces = np.empty(most_codes, np.int64)
    least = np.empty(most_codes, np.int64)
    keys = np.empty(m if by_gain else 1, np.int64)
    # the open groups: first tuple, end, node; and their levels, and what is closed for good
    waiting = np.empty((256, 3), np.int64)
    waiting_levels, waiting_closed = np.empty((256, q), np.int64), np.empty((256, q), np.int64)
    waiting[0, 0], waiting[0, 1], waiting[0, 2] = 0, m, 0
    for c in range(q):
        waiting_levels[0, c], waiting_closed[0, c] = tops[c], 0
    depth = 1
    first, last = np.empty(q, np.int64), np.empty(q, np.int64)
    level, closed = np.empty(q, np.int64), np.empty(q, np.int64)
    while depth > 0:
        depth -= 1
        start, end, node = waiting[depth, 0], waiting[depth, 1], waiting[depth, 2]
        size = nodes[node, _SIZE]
        for c in range(q):
            level[c], closed[c] = waiting_levels[depth, c], waiting_closed[depth, c]
            first[c], last[c] = codes[start, c], codes[start, c]
        for i in range(start + 1, end):
            for c in range(q):
                code = codes[i, c]
                if code < first[c]:
                    first[c] = code
                if code > last[c]:
                    last[c] = code
        while True:
            # which axis, and for numbers at which code; -1 if there is no cut
            axis, cut, best = -1, -1, -np.inf if by_gain else 0.0
            for c in range(q):
                if closed[c] > 0:
                    continue
                single = True
                if kinds[c] == _HIERARCHY:
                    if level[c] == 0:
                        continue
                    here = start_of[c, level[c]] + first[c]
                    width = leaves[here] / domain[c]
                    child = start_of[c, level[c] - 1]
                    single = groups[child + first[c]] == groups[child + last[c]]
                else:
                    top = domain[c] - 1
                    if level[c] == MISSING:
                        continue
                    if level[c] == BOTH and last[c] > top:
                        width = 1.0
                        single = first[c] > top
                    elif first[c] == last[c]:
                        continue
                    else:
                        at = value_start[c]
                        spread = values[at + top] - values[at]
                        width = (values[at + last[c]] - values[at + first[c]]) / spread
                        single = level[c] == BOTH
                if not by_gain:
                    if width > best:
                        axis, best = c, width
                    continue
                if size < 2 * k and not single:
                    continue
                found, gain = -1, 0.0
                if kinds[c] == _NUMBERS and level[c] == NUMBERS:
                    at = value_start[c]
                    found, gain = most_gain(
                        codes, weights, start, end, c, first[c], last[c], size, k,
                        values[at : at + domain[c]], values[at + domain[c] - 1] - values[at],
                        counts, keys,
                    )  # fmt: skip
                    if found < 0:
                        continue
                elif kinds[c] == _NUMBERS:
                    if last[c] < domain[c]:
                        gain = 0.0
                    elif single:
                        gain = float(size)
                    else:
                        people, greatest = 0, -1
                        for i in range(start, end):
                            if codes[i, c] < domain[c]:
                                people += weights[i]
                                greatest = max(greatest, codes[i, c])
                        if people < k or size - people < k:
                            continue
                        at = value_start[c]
                        spread = values[at + domain[c] - 1] - values[at]
                        alone = 0.0
                        if spread > 0:
                            alone = (values[at + greatest] - values[at + first[c]]) / spread
                        gain = size - people * alone
                else:
                    below = start_of[c, level[c] - 1]
                    base = groups[below + first[c]]
                    n_parts = groups[below + last[c]] - base + 1
                    clear(counts, n_parts)
                    for i in range(start, end):
                        counts[groups[below + codes[i, c]] - base] += weights[i]
                        least[groups[below + codes[i, c]] - base] = codes[i, c]
                    lost, fits = 0, True
                    for part in range(n_parts):
                        if counts[part] == 0:
                            continue
                        if counts[part] < k:
                            fits = False
                            break
                        if level[c] > 1:
                            lost += counts[part] * leaves[below + least[part]]
                    if not fits:
                        continue
                    gain = (size * leaves[start_of[c, level[c]] + first[c]] - lost) / domain[c]
                if gain > best:
                    axis, best, cut = c, gain, found
            if axis < 0:
                break
            c = axis
            if kinds[c] == _NUMBERS and level[c] == NUMBERS:
                if not by_gain:
                    if size >= 2 * k:
                        cut = near_median(
                            codes, weights, start, end, c, first[c], last[c], size, k, buckets
                        )
                    if cut < 0:
                        closed[c] = 2  # no part of this group can be cut here either
                        continue
                n_parts, base, below = 2, 0, -1
            elif kinds[c] == _NUMBERS:
                base = 1 if first[c] == domain[c] else 0
                n_parts = 2 - base if last[c] == domain[c] else 1
                below = -1
            else:
                below = start_of[c, level[c] - 1]
                base = groups[below + first[c]]
                n_parts = groups[below + last[c]] - base + 1
            if n_parts == 1:
                # the group itself becomes its own only part
                nodes = longer(nodes, n_nodes + 1)
                nodes[n_nodes, _PARENT], nodes[n_nodes, _AXIS] = node, c
                nodes[n_nodes, _LEVEL], nodes[n_nodes, _CODE] = level[c], first[c]
                nodes[n_nodes, _CUT], nodes[n_nodes, _SIZE] = -1, size
                node = n_nodes
                n_nodes += 1
                if kinds[c] == _HIERARCHY:
                    level[c] -= 1
                else:
                    level[c] = NUMBERS if base == 0 else MISSING
                continue
            if size < 2 * k:
                closed[c] = 1
                continue
            if cut >= 0:
                halve(codes, weights, start, end, c, cut, counts, pieces, least)
            else:
                clear(counts, n_parts)
                clear(pieces, n_parts)
            for i in range(start, end if cut < 0 else start):
                code = codes[i, c]
                part = part_of(groups, below, base, code, domain[c])
                if pieces[part] == 0 or code < least[part]:
                    least[part] = code
                counts[part] += weights[i]
                pieces[part] += 1
            refused = False
            for part in range(n_parts):
                if pieces[part] > 0 and counts[part] < k:
                    refused = True
                    break
            if refused:
                closed[c] = 1
                continue
            # move the tuples of each part together; from here on ``pieces`` is where a part goes on
            offset = start
            for part in range(n_parts):
                here = pieces[part]
                pieces[part] = offset if cut < 0 else offset + here
                offset += here
            for i in range(start, end if cut < 0 else start):
                code = codes[i, c]
                part = part_of(groups, below, base, code, domain[c])
                to = pieces[part]
                pieces[part] += 1
                for other in range(q):
                    spare_codes[to, other] = codes[i, other]
                spare_weights[to] = weights[i]
            for i in range(start, end if cut < 0 else start):
                for other in range(q):
                    codes[i, other] = spare_codes[i, other]
                weights[i] = spare_weights[i]
            begin = start
            for part in range(n_parts):
                stop = pieces[part]
                if stop == begin:
                    continue
                nodes = longer(nodes, n_nodes + 1)
                nodes[n_nodes, _PARENT], nodes[n_nodes, _AXIS] = node, c
                nodes[n_nodes, _LEVEL], nodes[n_nodes, _CODE] = level[c], least[part]
                nodes[n_nodes, _CUT] = cut if cut >= 0 and part == 1 else -1
                nodes[n_nodes, _SIZE] = counts[part]
                waiting = longer(waiting, depth + 1)
                waiting_levels = longer(waiting_levels, depth + 1)
                waiting_closed = longer(waiting_closed, depth + 1)
                waiting[depth, 0], waiting[depth, 1] = begin, stop
                waiting[depth, 2] = n_nodes
                for other in range(q):
                    waiting_levels[depth, other] = level[other]
                    waiting_closed[depth, other] = 2 if closed[other] == 2 else 0
                if kinds[c] == _HIERARCHY:
                    waiting_levels[depth, c] = level[c] - 1
                elif cut < 0:
                    waiting_levels[depth, c] = MISSING if part == 1 else NUMBERS
                depth += 1
                n_nodes += 1
                begin = stop
            break
    return nodes[:n_nodes]
