"""The inner loops of peeling: group entries at a node of the lattice, close what holds k."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from sfumato.anonymization.local.class_rules import ClassRules, keeps, largest_part

__all__ = ["grown", "peel"]

Array = npt.NDArray[Any]

_SHELVES = 128
_MOST_KEYS = 1.5e7  # of the halved tables: 120 MB


@njit(cache=True)
def grown(array: Array, length: int) -> Array:
    """Return the array, or a longer one with its content, so that it has a place ``length``."""
    if length < len(array):
        return array
    larger = np.empty(max(2 * len(array), length + 1), array.dtype)
    for place in range(len(array)):
        larger[place] = array[place]
    return larger


@njit(cache=True)
def _halves(
    codes: Array, nodes: Array, offsets: Array, widths: Array, mixing: Array
) -> tuple[Array, Array, Array, Array]:
    """Return the keys of both halves of the columns for every combination of their levels.

    The key of an entry at a node is then the sum of two numbers rather than of one a column. Empty
    tables if they would take too much memory.

    Returns
    -------
    first, second
        Shape (combinations, m).
    of_first, of_second
        Shape (n_nodes,): the combination that each node has.
    """
    m, q = codes.shape
    levels = np.ones(q, np.int64)
    for number in range(len(nodes)):
        for c in range(q):
            levels[c] = max(levels[c], nodes[number, c] + 1)
    split = 0
    left, right = 1.0, 1.0
    for c in range(q):
        right *= levels[c]
    while split < q and left * levels[split] <= right / levels[split]:
        left *= levels[split]
        right /= levels[split]
        split += 1
    of_first = np.zeros(len(nodes), np.int64)
    of_second = np.zeros(len(nodes), np.int64)
    if (left + right) * m > _MOST_KEYS or len(nodes) < 2 * (left + right):
        return (
            np.empty((0, 0), np.uint64),
            np.empty((0, 0), np.uint64),
            of_first,
            of_second,
        )
    for number in range(len(nodes)):
        for c in range(split):
            of_first[number] = of_first[number] * levels[c] + nodes[number, c]
        for c in range(split, q):
            of_second[number] = of_second[number] * levels[c] + nodes[number, c]
    first = np.zeros((int(left), m), np.uint64)
    second = np.zeros((int(right), m), np.uint64)
    for half in range(2):
        table = first if half == 0 else second
        start = 0 if half == 0 else split
        stop = split if half == 0 else q
        for combination in range(len(table)):
            rest = combination
            for c in range(stop - 1, start - 1, -1):
                level = rest % levels[c]
                rest //= levels[c]
                base = offsets[c] + level * widths[c]
                for i in range(m):
                    table[combination, i] += mixing[base + codes[i, c]]
    return first, second, of_first, of_second


@njit(cache=True)
def _possible(
    codes: Array, people: Array, offsets: Array, widths: Array, groups: Array, levels: Array, k: int
) -> Array:
    """Return for each entry at which levels of each column its group has k people, as bits.

    Where it has fewer, no cell that says the column at that level can ever hold k people of whom
    the entry is one, whatever the other columns say.

    Parameters
    ----------
    people
        People of each entry, shape (m,).
    levels
        Levels of each column; levels beyond the 64th of all are not looked at and are possible.
    """
    m, q = codes.shape
    bits = np.full(m, ~np.uint64(0), np.uint64)
    bit = 0
    for c in range(q):
        for level in range(levels[c]):
            if bit >= 64:
                return bits
            base = offsets[c] + level * widths[c]
            held = np.zeros(widths[c], np.int64)
            for i in range(m):
                held[groups[base + codes[i, c]]] += people[i]
            for i in range(m):
                if held[groups[base + codes[i, c]]] < k:
                    bits[i] &= ~(np.uint64(1) << np.uint64(bit))
            bit += 1
    return bits


@njit(cache=True)
def peel(
    codes: Array,
    rows: Array,
    unit: Array,
    nodes: Array,
    offsets: Array,
    widths: Array,
    groups: Array,
    mixing: Array,
    cost: Array,
    k: int,
    reference: Array,
    pull: bool,
    rules: ClassRules,
) -> tuple[Array, Array, Array, Array, Array, Array]:
    """Visit nodes in the order given and close every cell that holds k people.

    Parameters
    ----------
    codes
        Shape (m, q), int32.
    rows, unit
        Rows of each entry, and the people that one row counts for (0 or 1), shape (m,).
    nodes
        Shape (n_nodes, q): the level of each column.
    offsets, widths
        Where the tables of each column begin in ``groups``, ``mixing`` and ``cost``, and its number
        of codes; the value for a code at a level stands at ``offset + level * width + code``.
    groups
        The group of a code at a level.
    mixing
        Random 64-bit words, equal for codes of one group: their sum over the columns is the key
        of a cell. Two cells that share a key by chance would be one class, which costs loss and
        never a promise.
    cost
        What a row loses in that column at that level.
    k
        People that a class needs.
    reference
        For ``pull``: what a row of each entry loses if it is not closed here, shape (m,).
    pull
        Whether a cell of fewer than k people may borrow from classes that have more than k; not
        with rules.
    rules
        What the sensitive values of a class must keep. With one sensitive column a cell that does
        not keep them is closed for the largest part of it that does.

    Returns
    -------
    entry, of_class, taken
        Which rows of which entry are in which class.
    size, class_cost
        People of each class, and what each of its rows loses at the node where it was closed.
    left
        Rows of each entry that no class took.
    """
    m, q = codes.shape
    left = rows.copy()
    live = np.arange(m)
    n_live = m
    capacity = 1
    while capacity < 2 * m + 2:
        capacity *= 2
    mask = np.uint64(capacity - 1)
    slot_key = np.zeros(capacity, np.uint64)
    slot_stamp = np.zeros(capacity, np.int32)
    slot_cell = np.zeros(capacity, np.int32)
    people = np.zeros(m, np.int64)
    lending = m if pull else 0
    saving = np.zeros(lending, np.float64)
    cell_cost = np.zeros(m, np.float64)
    cell_class = np.zeros(m, np.int64)
    cell_of = np.zeros(m, np.int32)
    ruled = len(rules.kind) > 0
    chain = np.zeros(m if ruled else 0, np.int64)
    head = np.full(m if ruled else 0, -1, np.int64)
    counts = np.zeros(len(rules.whole), np.int64)
    part = np.zeros(len(rules.whole), np.int64)
    columns = rules.values.shape[1]
    base = np.zeros(q, np.int64)

    piece_entry = np.empty(m + 16, np.int64)
    piece_class = np.empty(m + 16, np.int64)
    piece_rows = np.empty(m + 16, np.int64)
    n_pieces = 0
    size = np.zeros(m // 2 + 16, np.int64)
    class_cost = np.zeros(m // 2 + 16, np.float64)
    n_classes = 0
    # pieces of classes that may have more than k, by what their rows lose: the dearest first
    shelf = np.full(_SHELVES, -1, np.int64)
    next_piece = np.empty(lending + 16, np.int64)
    tentative = np.zeros(lending // 2 + 16, np.int64)
    need = np.zeros(lending, np.int64)
    price = np.zeros(lending, np.float64)
    active = np.zeros(lending, np.int32)
    lent_piece = np.empty(16, np.int64)
    lent_cell = np.empty(16, np.int64)
    lent_rows = np.empty(16, np.int64)

    levels = np.ones(q, np.int64)
    for number in range(len(nodes)):
        for c in range(q):
            levels[c] = max(levels[c], nodes[number, c] + 1)
    everybody = np.empty(m, np.int64)
    for i in range(m):
        everybody[i] = rows[i] * unit[i]
    possible = _possible(codes, everybody, offsets, widths, groups, levels, k)
    first, second, of_first, of_second = _halves(codes, nodes, offsets, widths, mixing)
    halved = len(first) > 0
    for number in range(len(nodes)):
        if n_live == 0:
            break
        a, b = of_first[number], of_second[number]
        for c in range(q):
            base[c] = offsets[c] + nodes[number, c] * widths[c]
        stamp = np.int32(number + 1)
        n_cells = 0
        wanted = np.uint64(0)
        bit = 0
        for c in range(q):
            if bit + nodes[number, c] < 64:
                wanted |= np.uint64(1) << np.uint64(bit + nodes[number, c])
            bit += levels[c]
        for place in range(n_live):
            i = live[place]
            if possible[i] & wanted != wanted:
                cell_of[place] = -1
                continue
            if halved:
                key = first[a, i] + second[b, i]
            else:
                key = np.uint64(0)
                for c in range(q):
                    key += mixing[base[c] + codes[i, c]]
            slot = (key ^ (key >> np.uint64(29))) & mask
            while slot_stamp[slot] == stamp and slot_key[slot] != key:
                slot = (slot + np.uint64(1)) & mask
            if slot_stamp[slot] != stamp:
                slot_stamp[slot] = stamp
                slot_key[slot] = key
                slot_cell[slot] = n_cells
                people[n_cells] = 0
                if pull:
                    saving[n_cells] = 0.0
                total = 0.0
                for c in range(q):
                    total += cost[base[c] + codes[i, c]]
                cell_cost[n_cells] = total
                cell_class[n_cells] = -1
                if ruled:
                    head[n_cells] = -1
                n_cells += 1
            cell = slot_cell[slot]
            cell_of[place] = cell
            people[cell] += left[i] * unit[i]
            if ruled:
                chain[place] = head[cell]
                head[cell] = place
            if pull:
                saving[cell] += left[i] * (reference[i] - cell_cost[cell])
        n_active = 0
        for cell in range(n_cells):
            if people[cell] >= k and ruled:
                for v in range(len(counts)):
                    counts[v] = 0
                place = head[cell]
                while place >= 0:
                    i = live[place]
                    for column in range(columns):
                        counts[rules.values[i, column]] += left[i] * unit[i]
                    place = chain[place]
                whole_cell = keeps(counts, rules)
                if not whole_cell and (columns > 1 or not largest_part(counts, rules, k, part)):
                    continue
                size = grown(size, n_classes)
                class_cost = grown(class_cost, n_classes)
                size[n_classes] = 0
                class_cost[n_classes] = cell_cost[cell]
                place = head[cell]
                while place >= 0:
                    i = live[place]
                    take = left[i]
                    if not whole_cell:
                        value = rules.values[i, 0]
                        if unit[i] > 0:
                            take = min(take, part[value])
                            part[value] -= take
                    if take > 0:
                        piece_entry = grown(piece_entry, n_pieces)
                        piece_class = grown(piece_class, n_pieces)
                        piece_rows = grown(piece_rows, n_pieces)
                        piece_entry[n_pieces] = i
                        piece_class[n_pieces] = n_classes
                        piece_rows[n_pieces] = take
                        n_pieces += 1
                        left[i] -= take
                        size[n_classes] += take * unit[i]
                    place = chain[place]
                n_classes += 1
            elif people[cell] >= k:
                size = grown(size, n_classes)
                class_cost = grown(class_cost, n_classes)
                cell_class[cell] = n_classes
                size[n_classes] = people[cell]
                class_cost[n_classes] = cell_cost[cell]
                n_classes += 1
            elif pull and not ruled and saving[cell] > 0 and people[cell] > 0:
                need[cell] = k - people[cell]
                price[cell] = 0.0
                active[n_active] = cell
                n_active += 1
                cell_class[cell] = -2
        if n_active:
            tentative = grown(tentative, n_classes + n_active)
            n_lent = 0
            for level in range(_SHELVES - 1, -1, -1):
                if n_active == 0:
                    break
                if shelf[level] < 0:
                    continue
                # a cell that cannot pay even the dearest of this shelf is given up
                dearest = (level + 1.0) / _SHELVES
                kept = 0
                for place in range(n_active):
                    cell = active[place]
                    if need[cell] == 0:
                        continue
                    least = price[cell] + need[cell] * (cell_cost[cell] - dearest)
                    if least >= saving[cell]:
                        cell_class[cell] = -1
                    else:
                        active[kept] = cell
                        kept += 1
                n_active = kept
                if n_active == 0:
                    break
                before = -1
                piece = shelf[level]
                while piece >= 0:
                    following = next_piece[piece]
                    of = piece_class[piece]
                    if piece_rows[piece] == 0 or (size[of] <= k and tentative[of] != stamp):
                        # a class that gave its surplus away never gets one again
                        if before < 0:
                            shelf[level] = following
                        else:
                            next_piece[before] = following
                        piece = following
                        continue
                    before = piece
                    if size[of] > k:
                        i = piece_entry[piece]
                        if halved:
                            key = first[a, i] + second[b, i]
                        else:
                            key = np.uint64(0)
                            for c in range(q):
                                key += mixing[base[c] + codes[i, c]]
                        slot = (key ^ (key >> np.uint64(29))) & mask
                        while slot_stamp[slot] == stamp and slot_key[slot] != key:
                            slot = (slot + np.uint64(1)) & mask
                        if slot_stamp[slot] == stamp:
                            cell = slot_cell[slot]
                            if cell_class[cell] == -2 and need[cell] > 0:
                                take = min(need[cell], min(piece_rows[piece], size[of] - k))
                                size[of] -= take
                                tentative[of] = stamp
                                need[cell] -= take
                                price[cell] += take * (cell_cost[cell] - class_cost[of])
                                lent_piece = grown(lent_piece, n_lent)
                                lent_cell = grown(lent_cell, n_lent)
                                lent_rows = grown(lent_rows, n_lent)
                                lent_piece[n_lent] = piece
                                lent_cell[n_lent] = cell
                                lent_rows[n_lent] = take
                                n_lent += 1
                    piece = following
            for loan in range(n_lent):
                piece = lent_piece[loan]
                cell = lent_cell[loan]
                if need[cell] > 0 or price[cell] >= saving[cell]:
                    size[piece_class[piece]] += lent_rows[loan]
                    continue
                if cell_class[cell] < 0:
                    size = grown(size, n_classes)
                    class_cost = grown(class_cost, n_classes)
                    cell_class[cell] = n_classes
                    size[n_classes] = k
                    class_cost[n_classes] = cell_cost[cell]
                    n_classes += 1
                piece_rows[piece] -= lent_rows[loan]
                piece_entry = grown(piece_entry, n_pieces)
                piece_class = grown(piece_class, n_pieces)
                piece_rows = grown(piece_rows, n_pieces)
                next_piece = grown(next_piece, n_pieces)
                piece_entry[n_pieces] = piece_entry[piece]
                piece_class[n_pieces] = cell_class[cell]
                piece_rows[n_pieces] = lent_rows[loan]
                n_pieces += 1
        kept = 0
        for place in range(n_live):
            i = live[place]
            if left[i] == 0:
                continue
            of = cell_class[cell_of[place]] if cell_of[place] >= 0 else -1
            if of < 0:
                live[kept] = i
                kept += 1
                continue
            piece_entry = grown(piece_entry, n_pieces)
            piece_class = grown(piece_class, n_pieces)
            piece_rows = grown(piece_rows, n_pieces)
            piece_entry[n_pieces] = i
            piece_class[n_pieces] = of
            piece_rows[n_pieces] = left[i]
            left[i] = 0
            if pull and unit[i] > 0 and size[of] > k:
                level = min(int(class_cost[of] * _SHELVES), _SHELVES - 1)
                next_piece = grown(next_piece, n_pieces)
                next_piece[n_pieces] = shelf[level]
                shelf[level] = n_pieces
            n_pieces += 1
        n_live = kept
    return (
        piece_entry[:n_pieces],
        piece_class[:n_pieces],
        piece_rows[:n_pieces],
        size[:n_classes],
        class_cost[:n_classes],
        left,
    )
