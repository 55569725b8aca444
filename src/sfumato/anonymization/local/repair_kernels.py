"""Destroy and repair: take a few neighbouring classes apart, peel their people again, keep gains.

A large-neighbourhood search. Each step takes one class and its nearest ones, forgets them, and
peels their people anew over the nodes that pairs of these people span; the new classes replace the
old ones if they lose less. What is outside is never touched, so every step keeps the promise and
the loss only falls.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from sfumato.anonymization.local.class_rules import ClassRules, keeps
from sfumato.anonymization.local.peeling_kernels import grown, peel

__all__ = ["box_cost", "join_cost", "repair"]

Array = npt.NDArray[Any]


@njit(cache=True)
def join_cost(
    groups: Array, cost: Array, offset: int, width: int, height: int, low: int, high: int
) -> tuple[int, float]:
    """Return the level of the lowest common ancestor of a run of codes, and what it costs.

    Numbers without a hierarchy have a negative height; they cost the width of the run, by their
    positions in the row of ``cost`` behind the last level.
    """
    top = abs(height)
    found = top
    for level in range(top):
        place = offset + level * width
        if groups[place + low] == groups[place + high]:
            found = level
            break
    if height < 0:
        place = offset + (top + 1) * width
        span = cost[place + high] - cost[place + low]
        if span == span:  # with a missing cell it is no number
            return found, span
    return found, cost[offset + found * width + low]


@njit(cache=True)
def box_cost(
    groups: Array,
    cost: Array,
    offsets: Array,
    widths: Array,
    heights: Array,
    low: Array,
    high: Array,
) -> float:
    """Return what each row loses in a class whose codes run from ``low`` to ``high``.

    The last number of ``cost`` is lost besides where nothing at all is said.
    """
    total = 0.0
    silent = True
    for c in range(len(low)):
        level, part = join_cost(groups, cost, offsets[c], widths[c], heights[c], low[c], high[c])
        total += part
        silent = silent and level == abs(heights[c])
    return total + cost[len(cost) - 1] if silent else total


@njit(cache=True)
def _next_random(state: Array) -> float:
    """Return a number in [0, 1); xorshift64*, so that numba's own generator stays untouched."""
    x = state[0]
    x ^= x >> np.uint64(12)
    x ^= x << np.uint64(25)
    x ^= x >> np.uint64(27)
    state[0] = x
    return float((x * np.uint64(2685821657736338717)) >> np.uint64(11)) * 2.0**-53


@njit(cache=True)
def _wider(table: Array, length: int) -> Array:
    """Return a longer table with the same first rows."""
    longer = np.zeros((length, table.shape[1]), table.dtype)
    for row in range(len(table)):
        for c in range(table.shape[1]):
            longer[row, c] = table[row, c]
    return longer


@njit(cache=True)
def _rising(values: Array, count: int) -> Array:
    """Return the order of the first values by size, equal ones in their order (Shell's sort)."""
    order = np.arange(count)
    gap = 1
    while gap < count // 3:
        gap = 3 * gap + 1
    while gap >= 1:
        for place in range(gap, count):
            item = order[place]
            at = place
            while at >= gap and (
                values[order[at - gap]] > values[item]
                or (values[order[at - gap]] == values[item] and order[at - gap] > item)
            ):
                order[at] = order[at - gap]
                at -= gap
            order[at] = item
        gap //= 3
    return order


@njit(cache=True)
def _keeps_with(counts: Array, rules: ClassRules, entry: int, people: int) -> bool:
    """Whether a class still keeps the rules when people of an entry join it."""
    for column in range(rules.values.shape[1]):
        counts[rules.values[entry, column]] += people
    kept: bool = keeps(counts, rules)
    for column in range(rules.values.shape[1]):
        counts[rules.values[entry, column]] -= people
    return kept


@njit(cache=True)
def repair(
    codes: Array,
    unit: Array,
    groups: Array,
    mixing: Array,
    cost: Array,
    offsets: Array,
    widths: Array,
    heights: Array,
    k: int,
    rules: ClassRules,
    piece_entry: Array,
    piece_class: Array,
    piece_rows: Array,
    n_classes: int,
    steps: int,
    most_items: int,
    most_pieces: int,
    most_classes: int,
    seed: int,
) -> tuple[Array, Array, Array, float]:
    """Improve classes, step by step.

    Parameters
    ----------
    codes, unit, mixing, cost, offsets, widths, k, rules
        As for :func:`sfumato.anonymization.local.peeling_kernels.peel`.
    groups
        Group of each code at each level, in the layout of ``cost``.
    heights
        Levels above the code itself, for each column; negative for numbers without a hierarchy.
    piece_entry, piece_class, piece_rows
        The classes to improve: which rows of which entry each has.
    n_classes
        Number of classes; each has at least k people.
    steps
        How many neighbourhoods are tried.
    most_items, most_pieces, most_classes
        Largest neighbourhood: in items (people who differ only below the finest level that its
        classes have), in parts of entries, and in classes.
    seed
        Of the choice of neighbourhoods.

    Returns
    -------
    piece_entry, piece_class, piece_rows
        The improved classes, numbered without gaps.
    gain
        Loss that was saved, summed over rows.
    """
    q = codes.shape[1]
    state = np.array([np.uint64(seed) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(1)])
    for _ in range(8):
        _next_random(state)
    n_pieces = len(piece_entry)
    space = 2 * n_pieces + 64
    entry = np.empty(space, np.int64)
    rows = np.empty(space, np.int64)
    following = np.empty(space, np.int64)
    for piece in range(n_pieces):
        entry[piece] = piece_entry[piece]
        rows[piece] = piece_rows[piece]
    free = -1
    n_used = n_pieces
    room = 2 * n_classes + 64
    head = np.full(room, -1, np.int64)
    size = np.zeros(room, np.int64)
    n_rows = np.zeros(room, np.int64)
    n_entries = np.zeros(room, np.int64)
    low = np.zeros((room, q), np.int32)
    high = np.zeros((room, q), np.int32)
    each = np.zeros(room, np.float64)
    for piece in range(n_pieces):
        of = piece_class[piece]
        i = piece_entry[piece]
        following[piece] = head[of]
        if head[of] < 0:
            for c in range(q):
                low[of, c] = codes[i, c]
                high[of, c] = codes[i, c]
        head[of] = piece
        size[of] += piece_rows[piece] * unit[i]
        n_rows[of] += piece_rows[piece]
        n_entries[of] += 1
        for c in range(q):
            low[of, c] = min(low[of, c], codes[i, c])
            high[of, c] = max(high[of, c], codes[i, c])
    for of in range(n_classes):
        each[of] = box_cost(groups, cost, offsets, widths, heights, low[of], high[of])

    distance = np.empty(room, np.float64)
    chosen = np.empty(most_classes, np.int64)
    item_entry = np.empty(most_items, np.int64)
    item_rows = np.empty(most_items, np.int64)
    item_loss = np.empty(most_items, np.float64)
    finest = np.empty(q, np.int64)
    columns = rules.values.shape[1]
    ruled = len(rules.kind) > 0
    both_low = np.empty(q, np.int32)
    both_high = np.empty(q, np.int32)
    total_gain = 0.0
    for _ in range(steps):
        # the seed: of a few classes the one that loses most
        seed_class = -1
        for _ in range(3):
            candidate = int(_next_random(state) * n_classes)
            if seed_class < 0 or each[candidate] * n_rows[candidate] > (
                each[seed_class] * n_rows[seed_class]
            ):
                seed_class = candidate
        if each[seed_class] == 0.0:
            continue
        spread = 0.1 + 0.5 * _next_random(state)
        for of in range(n_classes):
            total = 0.0
            for c in range(q):
                first = min(low[seed_class, c], low[of, c])
                last = max(high[seed_class, c], high[of, c])
                if first != last:
                    total += join_cost(
                        groups, cost, offsets[c], widths[c], heights[c], first, last
                    )[1]
            distance[of] = total * (1.0 + spread * _next_random(state))
        distance[seed_class] = -1.0
        wanted = 1 + int(_next_random(state) * most_classes)
        n_chosen = 0
        n_pool = 0
        held = 0.0
        while n_chosen < wanted and n_chosen < n_classes:
            nearest = 0
            for of in range(1, n_classes):
                if distance[of] < distance[nearest]:
                    nearest = of
            if distance[nearest] == np.inf:
                break
            distance[nearest] = np.inf
            if n_pool + n_entries[nearest] > most_pieces:
                break
            chosen[n_chosen] = nearest
            n_chosen += 1
            n_pool += n_entries[nearest]
            held += each[nearest] * n_rows[nearest]
        if n_chosen == 0 or (n_chosen == 1 and size[seed_class] < 2 * k):
            continue
        capacity = 1
        while capacity < 2 * n_pool + 2:
            capacity *= 2
        item_at = np.empty(capacity, np.int64)
        item_key = np.empty(capacity, np.uint64)
        pool_entry = np.empty(n_pool, np.int64)
        pool_rows = np.empty(n_pool, np.int64)
        pool_item = np.empty(n_pool, np.int64)
        n_items = most_items
        # people who differ only below the finest level of all these classes are one item; finer
        # than now where that does not make too many items
        for finer in range(2, -1, -1):
            if n_items < most_items:
                break
            for place in range(capacity):
                item_at[place] = -1
            for c in range(q):
                finest[c] = abs(heights[c])
                for number in range(n_chosen):
                    of = chosen[number]
                    level = join_cost(
                        groups, cost, offsets[c], widths[c], heights[c], low[of, c], high[of, c]
                    )[0]
                    finest[c] = min(finest[c], level)
                finest[c] = max(finest[c] - finer, 0)
            n_pool = 0
            n_items = 0
            for number in range(n_chosen):
                of = chosen[number]
                piece = head[of]
                while piece >= 0 and n_items < most_items:
                    i = entry[piece]
                    key = np.uint64(unit[i])
                    for column in range(columns):
                        key += np.uint64(rules.values[i, column]) * np.uint64(0x9E3779B97F4A7C15)
                        key *= np.uint64(0xD1342543DE82EF95)
                    for c in range(q):
                        key += mixing[offsets[c] + finest[c] * widths[c] + codes[i, c]]
                    slot = (key ^ (key >> np.uint64(29))) & np.uint64(capacity - 1)
                    while item_at[slot] >= 0 and item_key[slot] != key:
                        slot = (slot + np.uint64(1)) & np.uint64(capacity - 1)
                    if item_at[slot] < 0:
                        item_at[slot] = n_items
                        item_key[slot] = key
                        item_entry[n_items] = i
                        item_rows[n_items] = 0
                        item_loss[n_items] = 0.0
                        n_items += 1
                    place = item_at[slot]
                    item_rows[place] += rows[piece]
                    item_loss[place] += rows[piece] * each[of]
                    pool_entry[n_pool] = i
                    pool_rows[n_pool] = rows[piece]
                    pool_item[n_pool] = place
                    n_pool += 1
                    piece = following[piece]
        if n_items >= most_items:
            continue

        # the nodes that pairs of these people span, by what they cost
        local_codes = np.empty((n_items, q), np.int32)
        local_unit = np.empty(n_items, np.int64)
        local_values = np.empty((n_items, columns), np.int64)
        eager = 0.6 + 0.5 * _next_random(state)
        reference = np.empty(n_items, np.float64)
        for place in range(n_items):
            i = item_entry[place]
            for c in range(q):
                local_codes[place, c] = codes[i, c]
            for column in range(columns):
                local_values[place, column] = rules.values[i, column]
            local_unit[place] = unit[i]
            reference[place] = eager * item_loss[place] / item_rows[place]
        pairs = n_items * (n_items - 1) // 2
        tried = min(pairs, 1500)
        capacity = 1
        while capacity < 2 * tried + 2:
            capacity *= 2
        seen = np.zeros(capacity, np.uint64)
        node_levels = np.empty((tried + 1, q), np.int8)
        node_cost = np.empty(tried + 1, np.float64)
        for c in range(q):
            node_levels[0, c] = finest[c]
        node_cost[0] = -1.0
        n_nodes = 1
        most = 0.0
        for of in range(n_chosen):
            most = max(most, each[chosen[of]])
        pair_i, pair_j = 0, 0
        for _ in range(tried):
            if tried == pairs:
                pair_j += 1
                if pair_j == n_items:
                    pair_i += 1
                    pair_j = pair_i + 1
                i, j = pair_i, pair_j
            else:
                i = int(_next_random(state) * n_items)
                j = int(_next_random(state) * n_items)
            total = 0.0
            levels_key = np.uint64(1)
            for c in range(q):
                first = min(local_codes[i, c], local_codes[j, c])
                last = max(local_codes[i, c], local_codes[j, c])
                level, part = join_cost(
                    groups, cost, offsets[c], widths[c], heights[c], first, last
                )
                if level < finest[c]:
                    level = finest[c]
                    part = cost[offsets[c] + level * widths[c] + first]
                total += part
                node_levels[n_nodes, c] = level
                levels_key = levels_key * np.uint64(31) + np.uint64(level)
            if total > 1.3 * most + 1e-9:
                continue
            seat = (levels_key * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(40)
            seat = seat & np.uint64(capacity - 1)
            while seen[seat] != 0 and seen[seat] != levels_key:
                seat = (seat + np.uint64(1)) & np.uint64(capacity - 1)
            if seen[seat] == levels_key:
                continue
            seen[seat] = levels_key
            node_cost[n_nodes] = total
            n_nodes += 1
        # mostly little, so that cheap nodes come first; now and then their order is turned over
        noise = 1.5 * _next_random(state) ** 3
        for node in range(1, n_nodes):
            node_cost[node] *= 1.0 + noise * _next_random(state)
        order = _rising(node_cost, n_nodes)
        visited = np.empty((n_nodes, q), np.int8)
        for node in range(n_nodes):
            for c in range(q):
                visited[node, c] = node_levels[order[node], c]
        local_rows = np.empty(n_items, np.int64)
        for place in range(n_items):
            local_rows[place] = item_rows[place]
        made = peel(
            local_codes,
            local_rows,
            local_unit,
            visited,
            offsets,
            widths,
            groups,
            mixing,
            cost,
            k,
            reference,
            not ruled,
            ClassRules(
                rules.kind,
                rules.start,
                rules.stop,
                rules.limit,
                rules.second,
                rules.places,
                rules.most,
                rules.whole,
                local_values,
            ),
        )
        new_entry, new_class, new_rows, new_size, _, left = made
        n_new = len(new_size)
        if n_new == 0:
            continue
        # whose rows an item's rows are: first come, first placed
        cursor = np.zeros(n_items + 1, np.int64)
        for source in range(n_pool):
            cursor[pool_item[source] + 1] += 1
        for place in range(n_items):
            cursor[place + 1] += cursor[place]
        ordered = np.empty(n_pool, np.int64)
        for source in range(n_pool):
            ordered[cursor[pool_item[source]]] = source
            cursor[pool_item[source]] += 1
        for place in range(n_items, 0, -1):
            cursor[place] = cursor[place - 1]
        cursor[0] = 0
        n_made = 0
        made_entry = np.empty(len(new_entry) + n_pool + n_items, np.int64)
        made_rows = np.empty(len(made_entry), np.int64)
        made_class = np.empty(len(made_entry), np.int64)
        made_item = np.empty(len(made_entry), np.int64)
        for piece in range(len(new_entry) + n_items):
            if piece < len(new_entry):
                place = new_entry[piece]
                amount = new_rows[piece]
                of = new_class[piece]
            else:
                place = piece - len(new_entry)
                amount = left[place]
                of = -1
            while amount > 0:
                source = ordered[cursor[place]]
                part = min(amount, pool_rows[source])
                made_entry[n_made] = pool_entry[source]
                made_rows[n_made] = part
                made_class[n_made] = of
                made_item[n_made] = place
                n_made += 1
                amount -= part
                pool_rows[source] -= part
                if pool_rows[source] == 0:
                    cursor[place] += 1
        new_low = np.full((n_new, q), 2**31 - 1, np.int32)
        new_high = np.full((n_new, q), -1, np.int32)
        class_rows = np.zeros(n_new, np.int64)
        counts = np.zeros((n_new, len(rules.whole)), np.int64)
        for piece in range(n_made):
            of = made_class[piece]
            if of < 0:
                continue
            if ruled:
                i = made_entry[piece]
                for column in range(columns):
                    counts[of, rules.values[i, column]] += made_rows[piece] * unit[i]
            class_rows[of] += made_rows[piece]
            for c in range(q):
                new_low[of, c] = min(new_low[of, c], codes[made_entry[piece], c])
                new_high[of, c] = max(new_high[of, c], codes[made_entry[piece], c])
        new_each = np.empty(n_new, np.float64)
        loss = 0.0
        for of in range(n_new):
            new_each[of] = box_cost(
                groups, cost, offsets, widths, heights, new_low[of], new_high[of]
            )
            loss += class_rows[of] * new_each[of]
        # whom no class took goes to the class that this costs least
        for piece in range(n_made):
            if made_class[piece] >= 0:
                continue
            if loss >= held:
                break
            i = made_entry[piece]
            best = -1
            best_price = np.inf
            for of in range(n_new):
                if ruled and not _keeps_with(counts[of], rules, i, made_rows[piece] * unit[i]):
                    continue
                for c in range(q):
                    both_low[c] = min(new_low[of, c], codes[i, c])
                    both_high[c] = max(new_high[of, c], codes[i, c])
                wider = box_cost(groups, cost, offsets, widths, heights, both_low, both_high)
                price = wider * (class_rows[of] + made_rows[piece]) - new_each[of] * class_rows[of]
                if price < best_price:
                    best_price = price
                    best = of
            if best < 0:
                loss = np.inf
                break
            made_class[piece] = best
            if ruled:
                for column in range(columns):
                    counts[best, rules.values[i, column]] += made_rows[piece] * unit[i]
            for c in range(q):
                new_low[best, c] = min(new_low[best, c], codes[i, c])
                new_high[best, c] = max(new_high[best, c], codes[i, c])
            new_each[best] = box_cost(
                groups, cost, offsets, widths, heights, new_low[best], new_high[best]
            )
            class_rows[best] += made_rows[piece]
            loss += best_price
        if loss >= held - 1e-9:
            continue
        total_gain += held - loss

        # the new classes take the places of the old ones, then new places
        for number in range(n_chosen):
            piece = head[chosen[number]]
            while piece >= 0:
                after = following[piece]
                following[piece] = free
                free = piece
                piece = after
            head[chosen[number]] = -1
        if n_classes + n_new + 1 > len(head):
            longer = 2 * len(head) + n_new
            head = grown(head, longer)
            size = grown(size, longer)
            n_rows = grown(n_rows, longer)
            n_entries = grown(n_entries, longer)
            each = grown(each, longer)
            distance = grown(distance, longer)
            low = _wider(low, len(head))
            high = _wider(high, len(head))
        where = np.empty(n_new, np.int64)
        for of in range(n_new):
            if of < n_chosen:
                where[of] = chosen[of]
            else:
                where[of] = n_classes
                n_classes += 1
            at = where[of]
            head[at] = -1
            size[at] = 0
            n_rows[at] = class_rows[of]
            n_entries[at] = 0
            for c in range(q):
                low[at, c] = new_low[of, c]
                high[at, c] = new_high[of, c]
            each[at] = new_each[of]
        for piece in range(n_made):
            amount = made_rows[piece]
            i = made_entry[piece]
            if free >= 0:
                slot_piece = free
                free = following[free]
            else:
                if n_used == len(entry):
                    entry = grown(entry, n_used)
                    rows = grown(rows, n_used)
                    following = grown(following, n_used)
                slot_piece = n_used
                n_used += 1
            at = where[made_class[piece]]
            entry[slot_piece] = i
            rows[slot_piece] = amount
            following[slot_piece] = head[at]
            head[at] = slot_piece
            size[at] += amount * unit[i]
            n_entries[at] += 1
        # places that are no longer used are filled from the end
        for number in range(n_chosen - 1, n_new - 1, -1):
            gap = chosen[number]
            last = n_classes - 1
            # another gap of this step may be the last place
            for other in range(n_new, number):
                if chosen[other] == last:
                    chosen[other] = gap
                    gap = last
                    break
            if gap != last:
                head[gap] = head[last]
                size[gap] = size[last]
                n_rows[gap] = n_rows[last]
                n_entries[gap] = n_entries[last]
                for c in range(q):
                    low[gap, c] = low[last, c]
                    high[gap, c] = high[last, c]
                each[gap] = each[last]
            head[last] = -1
            n_classes -= 1

    count = 0
    for of in range(n_classes):
        piece = head[of]
        while piece >= 0:
            count += 1
            piece = following[piece]
    out_entry = np.empty(count, np.int64)
    out_class = np.empty(count, np.int64)
    out_rows = np.empty(count, np.int64)
    count = 0
    for of in range(n_classes):
        piece = head[of]
        while piece >= 0:
            out_entry[count] = entry[piece]
            out_class[count] = of
            out_rows[count] = rows[piece]
            count += 1
            piece = following[piece]
    return out_entry, out_class, out_rows, total_gain
