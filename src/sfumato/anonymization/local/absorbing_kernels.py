"""Nobody is left behind: whoever no class took joins the class that this costs least."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from sfumato.anonymization.local.class_rules import ClassRules, keeps
from sfumato.anonymization.local.repair_kernels import box_cost, join_cost

__all__ = ["absorb", "join_classes"]

Array = npt.NDArray[Any]


@njit(cache=True)
def _joined_cost(
    groups: Array,
    cost: Array,
    offsets: Array,
    widths: Array,
    heights: Array,
    low: Array,
    high: Array,
    other_low: Array,
    other_high: Array,
) -> float:
    """Return what each row loses in a class that holds both boxes."""
    total = 0.0
    silent = True
    for c in range(len(low)):
        first = min(low[c], other_low[c])
        last = max(high[c], other_high[c])
        level, part = join_cost(groups, cost, offsets[c], widths[c], heights[c], first, last)
        total += part
        silent = silent and level == abs(heights[c])
    return total + cost[len(cost) - 1] if silent else total


@njit(cache=True)
def _widen(low: Array, high: Array, other_low: Array, other_high: Array) -> None:
    """Widen a box, in place, so that it holds another one."""
    for c in range(len(low)):
        low[c] = min(low[c], other_low[c])
        high[c] = max(high[c], other_high[c])


@njit(cache=True)
def absorb(
    codes: Array,
    unit: Array,
    groups: Array,
    cost: Array,
    offsets: Array,
    widths: Array,
    heights: Array,
    rules: ClassRules,
    piece_entry: Array,
    piece_class: Array,
    piece_rows: Array,
    n_classes: int,
    left: Array,
) -> tuple[Array, Array, Array]:
    """Put whom no class took into classes, so that each still keeps the rules.

    A row goes to the class that this costs least of those that keep the rules with it. Where none
    does, it goes to the one that costs least, and near classes are joined to that until it does.

    Parameters
    ----------
    left
        Rows of each entry that are still to be placed, shape (m,). Without any class yet, they
        become one.

    Others as in :func:`sfumato.anonymization.local.repair_kernels.repair`.

    Returns
    -------
    piece_entry, piece_class, piece_rows
        The classes with these rows; class numbers may have gaps.
    """
    m, q = codes.shape
    columns = rules.values.shape[1]
    ruled = len(rules.kind) > 0
    n_pieces = len(piece_entry)
    total = 0
    for i in range(m):
        total += left[i]
    room = n_pieces + total
    entry = np.empty(room, np.int64)
    of_class = np.empty(room, np.int64)
    rows = np.empty(room, np.int64)
    for piece in range(n_pieces):
        entry[piece] = piece_entry[piece]
        of_class[piece] = piece_class[piece]
        rows[piece] = piece_rows[piece]
    first_class = n_classes == 0
    n_classes = max(n_classes, 1)
    n_rows = np.zeros(n_classes, np.int64)
    counts = np.zeros((n_classes if ruled else 0, len(rules.whole)), np.int64)
    low = np.full((n_classes, q), 2**31 - 1, np.int32)
    high = np.full((n_classes, q), -1, np.int32)
    each = np.zeros(n_classes, np.float64)
    into = np.arange(n_classes)
    for piece in range(n_pieces):
        of = piece_class[piece]
        i = piece_entry[piece]
        n_rows[of] += piece_rows[piece]
        if ruled:
            for column in range(columns):
                counts[of, rules.values[i, column]] += piece_rows[piece] * unit[i]
        _widen(low[of], high[of], codes[i], codes[i])
    for of in range(n_classes):
        if n_rows[of] > 0:
            each[of] = box_cost(groups, cost, offsets, widths, heights, low[of], high[of])
    for i in range(m):
        # without rules the rows of an entry go together; with rules one by one
        while left[i] > 0:
            amount = 1 if ruled and not first_class else left[i]
            best, cheapest = -1, -1
            best_price, cheapest_price = np.inf, np.inf
            for of in range(n_classes):
                if n_rows[of] == 0 and not first_class:
                    continue
                joined = _joined_cost(
                    groups, cost, offsets, widths, heights, low[of], high[of], codes[i], codes[i]
                )
                price = joined * (n_rows[of] + amount) - each[of] * n_rows[of]
                if price < cheapest_price:
                    cheapest_price, cheapest = price, of
                if price >= best_price:
                    continue
                if ruled and not first_class:
                    for column in range(columns):
                        counts[of, rules.values[i, column]] += amount * unit[i]
                    kept = keeps(counts[of], rules)
                    for column in range(columns):
                        counts[of, rules.values[i, column]] -= amount * unit[i]
                    if not kept:
                        continue
                best_price, best = price, of
            home = best if best >= 0 else cheapest
            n_rows[home] += amount
            if ruled:
                for column in range(columns):
                    counts[home, rules.values[i, column]] += amount * unit[i]
            _widen(low[home], high[home], codes[i], codes[i])
            each[home] = box_cost(groups, cost, offsets, widths, heights, low[home], high[home])
            entry[n_pieces] = i
            of_class[n_pieces] = home
            rows[n_pieces] = amount
            n_pieces += 1
            left[i] -= amount
            while best < 0:
                # everybody in one class: the caller sees whether the table keeps the rules
                other = _class_to_join(
                    home,
                    groups,
                    cost,
                    offsets,
                    widths,
                    heights,
                    rules,
                    n_rows,
                    counts,
                    low,
                    high,
                    each,
                )
                if other < 0:
                    break
                into[other] = home
                n_rows[home] += n_rows[other]
                n_rows[other] = 0
                for v in range(len(rules.whole)):
                    counts[home, v] += counts[other, v]
                _widen(low[home], high[home], low[other], high[other])
                each[home] = box_cost(groups, cost, offsets, widths, heights, low[home], high[home])
                if keeps(counts[home], rules):
                    break
    for piece in range(n_pieces):
        of = of_class[piece]
        while into[of] != of:
            of = into[of]
        of_class[piece] = of
    return entry[:n_pieces], of_class[:n_pieces], rows[:n_pieces]


@njit(cache=True)
def _class_to_join(
    home: int,
    groups: Array,
    cost: Array,
    offsets: Array,
    widths: Array,
    heights: Array,
    rules: ClassRules,
    n_rows: Array,
    counts: Array,
    low: Array,
    high: Array,
    each: Array,
) -> int:
    """Return the cheapest class to join that mends the rules, else just the cheapest, or -1."""
    best, cheapest = -1, -1
    best_price, cheapest_price = np.inf, np.inf
    both = np.empty(len(rules.whole), np.int64)
    for of in range(len(n_rows)):
        if of == home or n_rows[of] == 0:
            continue
        joined = _joined_cost(
            groups, cost, offsets, widths, heights, low[of], high[of], low[home], high[home]
        )
        price = joined * (n_rows[of] + n_rows[home])
        price -= each[of] * n_rows[of] + each[home] * n_rows[home]
        if price < cheapest_price:
            cheapest_price, cheapest = price, of
        if price < best_price:
            for v in range(len(both)):
                both[v] = counts[of, v] + counts[home, v]
            if keeps(both, rules):
                best_price, best = price, of
    return best if best >= 0 else cheapest


@njit(cache=True)
def join_classes(
    codes: Array,
    groups: Array,
    cost: Array,
    offsets: Array,
    widths: Array,
    heights: Array,
    piece_entry: Array,
    of_class: Array,
    piece_rows: Array,
    n_classes: int,
    broken: Array,
) -> None:
    """Join each broken class to the class that this costs least; ``of_class`` is changed in place.

    Parameters
    ----------
    broken
        Which classes do not keep a promise, shape (n_classes,).
    """
    q = codes.shape[1]
    n_rows = np.zeros(n_classes, np.int64)
    low = np.full((n_classes, q), 2**31 - 1, np.int32)
    high = np.full((n_classes, q), -1, np.int32)
    each = np.zeros(n_classes, np.float64)
    into = np.arange(n_classes)
    for piece in range(len(piece_entry)):
        of = of_class[piece]
        n_rows[of] += piece_rows[piece]
        _widen(low[of], high[of], codes[piece_entry[piece]], codes[piece_entry[piece]])
    for of in range(n_classes):
        if n_rows[of] > 0:
            each[of] = box_cost(groups, cost, offsets, widths, heights, low[of], high[of])
    for of in range(n_classes):
        if not broken[of] or n_rows[of] == 0:
            continue
        best = -1
        best_price = np.inf
        for other in range(n_classes):
            if other == of or n_rows[other] == 0:
                continue
            joined = _joined_cost(
                groups, cost, offsets, widths, heights, low[of], high[of], low[other], high[other]
            )
            price = joined * (n_rows[of] + n_rows[other])
            price -= each[of] * n_rows[of] + each[other] * n_rows[other]
            if price < best_price:
                best_price = price
                best = other
        if best < 0:
            continue
        into[of] = best
        n_rows[best] += n_rows[of]
        n_rows[of] = 0
        _widen(low[best], high[best], low[of], high[of])
        each[best] = box_cost(groups, cost, offsets, widths, heights, low[best], high[best])
    for piece in range(len(of_class)):
        of = of_class[piece]
        while into[of] != of:
            of = into[of]
        of_class[piece] = of
