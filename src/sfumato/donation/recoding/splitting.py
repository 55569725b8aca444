"""Specializing classes: the second phase of the recoder.

Every open class is looked at in each column and at each finer level at once. Its children of at
least k are split off; if fewer than k (but some) records would be left, the smallest of these
children stays. The split that gains most is made, and its parts are looked at again. All classes
are computed side by side: the lists of children are rows of a few tables of equal length, so that
the servers exchange few, large messages.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from sfumato.donation.recoding.cell_domain import LOSS_UNIT, CellDomain
from sfumato.donation.recoding.numbers import Numbers
from sfumato.donation.recoding.recoding_tree import RecodingTree, Region

__all__ = ["split_classes"]

V = TypeVar("V")
Array = npt.NDArray[Any]

_SHORTEST, _STEP = 64, 8  # tables of rows of 64, 512, 4096, ... children


@dataclass(frozen=True, eq=False)
class _Candidate:
    """One column of one class at one finer level.

    Attributes
    ----------
    number
        The class.
    axis, level
        Column and level of the children.
    groups
        Numbers of the children at that level.
    gains
        What each record of a child gains.
    line
        First leaf of the class's line in the list of all lines.
    starts, leaves
        First leaf of each child in that line, and the leaves of the line.
    """

    number: int
    axis: int
    level: int
    groups: npt.NDArray[np.int64]
    gains: npt.NDArray[np.int64]
    line: int
    starts: npt.NDArray[np.int64]
    leaves: int

    @property
    def row_length(self) -> int:
        length = _SHORTEST
        while length < len(self.groups):
            length *= _STEP
        return length


def split_classes(
    numbers: Numbers[V],
    counts: V,
    domain: CellDomain,
    owner: npt.NDArray[np.int32],
    regions: Sequence[Region],
    *,
    k: int,
    width: int,
) -> list[Region]:
    """Return the classes after every split that gains, in the order in which they are asked.

    Parameters
    ----------
    numbers
        The arithmetic.
    counts
        How many records each cell holds, in the domain's shape.
    domain
        The cells.
    owner
        For each cell its class, the place of its region; -1 for cells of no class of these. It is
        changed to the classes as they are split.
    regions
        The classes, each of at least k.
    k
        Least size of a class.
    width
        Bits of a count.
    """
    whole = list(regions)
    tree = RecodingTree(domain, ())
    open_classes = list(range(len(whole)))
    parts: list[list[int]] = [[] for _ in whole]  # what was split off each class, in turn
    while open_classes:
        candidates, lines = _candidates(domain, tree, whole, open_classes, owner)
        if not candidates:
            break
        values = numbers.linear(lines, counts)
        chosen, gains = _weighed(numbers, values, candidates, k=k, width=width)
        picks = _picked(numbers, gains, candidates, open_classes, width)
        made: list[int] = []
        for place in picks:
            candidate = candidates[place]
            flags = numbers.open(chosen[place])[: len(candidate.groups)] > 0
            parent = whole[candidate.number]
            for group in candidate.groups[flags]:
                levels, groups = list(parent.levels), list(parent.groups)
                levels[candidate.axis], groups[candidate.axis] = candidate.level, int(group)
                child = Region(tuple(levels), tuple(groups))
                box = tree.box(child)
                owner[box][owner[box] == candidate.number] = len(whole)
                made.append(len(whole))
                parts[candidate.number].append(len(whole))
                parts.append([])
                whole.append(child)
            made.append(candidate.number)
        open_classes = made
    return [whole[number] for number in _asked_in_turn(parts, len(regions))]


def _asked_in_turn(parts: Sequence[Sequence[int]], roots: int) -> list[int]:
    """Return the classes so that what was split off comes first, the earlier part before the later.

    A later part of the same class may overlap an earlier one: its box is that of the class.
    """
    order: list[int] = []
    stack = list(range(roots - 1, -1, -1))
    seen: set[int] = set()
    while stack:
        number = stack[-1]
        if number not in seen:
            seen.add(number)
            stack.extend(reversed(parts[number]))
        else:
            order.append(stack.pop())
    return order


def _candidates(
    domain: CellDomain,
    tree: RecodingTree,
    regions: Sequence[Region],
    numbers: Sequence[int],
    owner: npt.NDArray[np.int32],
) -> tuple[list[_Candidate], Any]:
    """Return what can be split, and the function that takes counts to the lines of all classes."""
    found = []
    wanted: list[tuple[int, tuple[slice, ...], int]] = []
    offset = 0
    for number in numbers:
        region = regions[number]
        box = tree.box(region)
        for axis, (ladder, level) in enumerate(zip(domain.ladders, region.levels, strict=True)):
            leaves = box[axis].stop - box[axis].start
            finer = []
            for below in range(level):
                groups = ladder.levels[below][box[axis]]
                starts = np.flatnonzero(np.diff(groups, prepend=-1))
                if len(starts) > 1:
                    losses = domain.losses[axis]
                    gains = losses[level][region.groups[axis]] - losses[below][groups[starts]]
                    finer.append(
                        _Candidate(
                            number, axis, below, groups[starts], gains, offset, starts, leaves
                        )
                    )
            if finer:
                found += finer
                wanted.append((number, box, axis))
                offset += leaves

    def lines(counts: Array) -> Array:
        parts = []
        for number, box, axis in wanted:
            inside = np.where(owner[box] == number, counts[box], 0).astype(counts.dtype)
            others = tuple(other for other in range(counts.ndim) if other != axis)
            parts.append(inside.sum(axis=others, dtype=counts.dtype))
        return np.concatenate(parts)

    return found, lines


def _weighed(
    numbers: Numbers[V], values: V, candidates: Sequence[_Candidate], *, k: int, width: int
) -> tuple[dict[int, V], dict[int, tuple[V, int]]]:
    """Return for each candidate which children are split off, and its gain (a table and a row)."""
    chosen: dict[int, V] = {}
    gained: dict[int, tuple[V, int]] = {}
    for length in sorted({candidate.row_length for candidate in candidates}):
        places = [p for p, candidate in enumerate(candidates) if candidate.row_length == length]
        rows = [candidates[place] for place in places]

        def table(lines: Array, rows: list[_Candidate] = rows, length: int = length) -> Array:
            children = np.zeros((len(rows), length), dtype=lines.dtype)
            for row, candidate in enumerate(rows):
                line = lines[candidate.line : candidate.line + candidate.leaves]
                summed = np.add.reduceat(line, candidate.starts, dtype=lines.dtype)
                children[row, : len(summed)] = summed
            return children

        weights = np.zeros((len(rows), length), dtype=np.uint32)
        for row, candidate in enumerate(rows):
            weights[row, : len(candidate.gains)] = candidate.gains
        children = numbers.linear(table, values)
        split = _split_off(numbers, children, k=k, width=width)
        kept = numbers.times(split, children)
        gains = numbers.linear(
            lambda kept, weights=weights: (kept * weights).sum(axis=-1, dtype=kept.dtype), kept
        )
        for row, place in enumerate(places):
            chosen[place] = numbers.linear(lambda table, row=row: table[row], split)
            gained[place] = (gains, row)
    return chosen, gained


def _split_off(numbers: Numbers[V], children: V, *, k: int, width: int) -> V:
    """Return 1 for the children of each row that are split off, else 0."""
    heavy = numbers.at_least(children, k, width)
    kept = numbers.times(heavy, children)
    left = numbers.linear(
        lambda whole, kept: (whole - kept).sum(axis=-1, keepdims=True, dtype=whole.dtype),
        children,
        kept,
    )
    some, enough = numbers.at_least(left, 1, width), numbers.at_least(left, k, width)
    short = numbers.linear(lambda some, enough: some - enough, some, enough)
    # the smallest heavy child: greatest where 2^width less its count stands for a heavy one
    smallness = numbers.linear(
        lambda heavy, kept: heavy * heavy.dtype.type(1 << width) - kept, heavy, kept
    )
    smallest = numbers.first_greatest(smallness, width + 1)
    given_back = numbers.times(numbers.times(smallest, heavy), short)
    return numbers.linear(lambda heavy, back: heavy - back, heavy, given_back)


def _picked(
    numbers: Numbers[V],
    gains: dict[int, tuple[V, int]],
    candidates: Sequence[_Candidate],
    open_classes: Sequence[int],
    width: int,
) -> list[int]:
    """Return the candidates that are carried out: in each class the one that gains most, if any."""
    by_class: dict[int, list[int]] = {number: [] for number in open_classes}
    for place, candidate in enumerate(candidates):
        by_class[candidate.number].append(place)
    rows = [places for places in by_class.values() if places]
    columns = 1 + max(len(places) for places in rows)
    tables = {id(table): table for table, _ in gains.values()}
    order = {key: position for position, key in enumerate(tables)}

    def side_by_side(*tables: Array) -> Array:
        # the first column, of no gain, is the choice to leave the class as it is
        matrix = np.zeros((len(rows), columns), dtype=tables[0].dtype)
        for row, places in enumerate(rows):
            for column, place in enumerate(places, start=1):
                table, line = gains[place]
                matrix[row, column] = tables[order[id(table)]][line]
        return matrix

    whole = numbers.linear(side_by_side, *tables.values())
    picks = numbers.place_of_greatest(whole, width + LOSS_UNIT.bit_length())
    return [places[pick - 1] for places, pick in zip(rows, picks, strict=True) if pick]
