"""Counting the equivalence classes of a generalization from distinct tuples, many times over.

Each tuple at a node is one 64-bit key (mixed radix; several keys in turn where one is too short),
the sum of one look-up for each column; equal keys are numbered in a hash table. A node that was
counted is a starting point for every node above it (roll-up), so that few tuples are left to count.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import polars as pl

from sfumato.anonymization.lattice.node_kernels import (
    best_start,
    count_persons,
    count_rows,
    number_keys,
    pack_keys,
)
from sfumato.anonymization.lattice.tuples import LatticeTuples, Members
from sfumato.errors import InternalError
from sfumato.table import SUPPRESSED

__all__ = ["Node", "NodeCounter"]

Integers = npt.NDArray[np.int64]
Small = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float64]
Levels = tuple[int, ...]

_LARGEST_KEY = 2**63
_MOST_SNAPSHOTS = 1024
# A node is a starting point if it has at most this share of the tuples that it was counted from.
_WORTH_KEEPING = 0.7
# Starting points are let go beyond this many tuples in all (or four times the table's tuples).
_MOST_KEPT = 4_000_000


@dataclass(frozen=True, eq=False)
class _Start:
    """Tuples from which nodes are counted: all, or the classes of a node that was counted."""

    levels: Levels
    codes: Small
    rows: Integers
    of_tuple: Small | None  # the entry of each tuple of the table; None if they are the same

    def members(self, of_class: Small) -> Small:
        """Return the class of each tuple of the table, from the class of each entry."""
        return of_class if self.of_tuple is None else of_class[self.of_tuple]


@dataclass(frozen=True, eq=False)
class Node:
    """The equivalence classes of one generalization.

    Parameters
    ----------
    levels
        Level of each column, shape (q,).
    rows
        Rows of each class, shape (c,).
    first
        A tuple of each class, as a place in ``codes``, shape (c,).
    codes
        Leaf numbers of the tuples from which the node was counted, shape (q, m'). They are codes of
        one tuple of the class; all tuples of a class have the same groups at the node's levels.
    """

    levels: Levels
    rows: Integers
    first: Small
    codes: Small
    _of_entry: Small | None
    _start: _Start
    _tuples: LatticeTuples

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def of_tuple(self) -> Small:
        """The class of each tuple of the table, shape (m,)."""
        if self._of_entry is None:
            raise InternalError(
                "the classes of tuples were not kept, as nothing but rows is counted"
            )
        return self._start.members(self._of_entry)

    @cached_property
    def sizes(self) -> Integers:
        """People of each class: distinct persons, or rows where each row is one."""
        if self._tuples.persons is None:
            return self.rows
        sizes: Integers = _count(self._tuples.persons, self.of_tuple, len(self))[:, 0]
        return sizes

    def histogram(self, column: str, classes: Integers | None = None) -> Integers:
        """Return how many people of each class have each value, shape (c, n_values).

        Parameters
        ----------
        column
            A sensitive column.
        classes
            The classes (c) that are asked about; all by default.
        """
        return self._held(self._tuples.sensitive[column], classes)

    def joined(self, column: str, picked: npt.NDArray[np.bool_]) -> Integers:
        """Return how many people of the picked classes together have each value, (n_values,)."""
        return self._joined(self._tuples.sensitive[column], picked)

    def joined_size(self, picked: npt.NDArray[np.bool_]) -> int:
        """Return how many people the picked classes have together."""
        if self._tuples.persons is None:
            return int(self.rows[picked].sum())
        return int(self._joined(self._tuples.persons, picked)[0])

    def labels(self, classes: Integers) -> pl.DataFrame:
        """Return the released texts of classes, a column for each quasi-identifier.

        Parameters
        ----------
        classes
            Shape (c,); -1 is the class of suppressed rows, ``*`` in every column.
        """
        columns = []
        for column, (name, ladder) in enumerate(
            zip(self._tuples.names, self._tuples.ladders, strict=True)
        ):
            codes = self.codes[column, self.first[classes]]
            texts = ladder.decode(codes, self.levels[column]).alias(name)
            starred = np.flatnonzero(classes < 0)
            if len(starred):
                texts = texts.scatter(starred, [SUPPRESSED] * len(starred))
            columns.append(texts)
        return pl.DataFrame(columns)

    def groups(self, column: int) -> Integers:
        """Return the group of each class in a column (its number), shape (c,)."""
        ladder = self._tuples.ladders[column]
        groups: Integers = ladder.levels[self.levels[column]][self.codes[column, self.first]]
        return groups

    def in_order(self, classes: Integers) -> Integers:
        """Return classes sorted by their groups, first column first."""
        width = len(self._tuples.ladders)
        keys = [self.groups(column)[classes] for column in reversed(range(width))]
        ordered: Integers = classes[np.lexsort(keys)]
        return ordered

    def mean_shares(self, classes: Integers) -> Floats:
        """Return what generalization took from a row of each class, 0 (exact) to 1, shape (c,).

        The share of the hierarchy's leaves that its groups hold beyond one, the mean over columns.

        Parameters
        ----------
        classes
            Shape (c,); -1 is the class of suppressed rows.
        """
        shares = np.zeros(len(classes))
        for column, ladder in enumerate(self._tuples.ladders):
            leaves = ladder.sizes[self.levels[column]][self.groups(column)[classes]]
            shares += np.minimum((leaves - 1) / max(ladder.domain_size - 1, 1), 1.0)
        means: Floats = np.where(classes < 0, 1.0, shares / len(self._tuples.ladders))
        return means

    def _held(self, members: Members, classes: Integers | None = None) -> Integers:
        number = len(self)
        of_tuple = self.of_tuple
        if classes is not None and len(classes) < number:
            # those that are not asked about share a last line, which is left out again
            place = np.full(number, len(classes), dtype=np.int32)
            place[classes] = np.arange(len(classes))
            number, of_tuple = len(classes) + 1, place[of_tuple]
            return _count(members, of_tuple, number)[:-1]
        return _count(members, of_tuple, number)

    def _joined(self, members: Members, picked: npt.NDArray[np.bool_]) -> Integers:
        both = picked.astype(np.int32)[self.of_tuple]
        joined: Integers = _count(members, both, 2)[1]
        return joined


def _count(members: Members, of_class: Small, classes: int) -> Integers:
    """Return how many rows or persons of each class have each value."""
    held = np.zeros((classes, members.n_values), dtype=np.int64)
    if members.persons is None:
        count_rows(members.of_tuple, members.values, members.counts, of_class, held)
    else:
        count_persons(members.of_tuple, members.values, members.persons, of_class, held)
    return held


class NodeCounter:
    """Counts the classes of nodes, each from the smallest node below it that is still at hand.

    Parameters
    ----------
    tuples
        The distinct tuples.
    """

    def __init__(self, tuples: LatticeTuples) -> None:
        self.tuples = tuples
        self.counted = 0
        width, entries = tuples.codes.shape
        self._parts = list(_key_parts(tuples, entries))
        self._tables, self._starts = _key_tables(tuples, self._parts)
        self._heights = np.array(tuples.heights)
        everything = _Start((0,) * width, tuples.codes, tuples.rows, None)
        self._follow = tuples.persons is not None or bool(tuples.sensitive)
        # written anew for each node
        self._keys = np.empty(entries, dtype=np.uint64)
        self._of_entry = np.empty(entries, dtype=np.int32)
        self._first = np.empty(entries, dtype=np.int32)
        self._totals = np.empty(entries, dtype=np.int64)
        self._kept = [everything]
        self._levels = np.zeros((_MOST_SNAPSHOTS, width), dtype=np.int32)
        self._sizes = np.zeros(_MOST_SNAPSHOTS, dtype=np.int64)
        self._sizes[0] = entries
        self._room = max(_MOST_KEPT, 4 * entries)
        self._used = 0
        self._oldest: deque[int] = deque()
        self._free: list[int] = []

    def at(self, levels: Levels) -> Node:
        """Count the classes of one node.

        Parameters
        ----------
        levels
            Level of each column, shape (q,).
        """
        self.counted += 1
        wanted = np.array(levels, dtype=np.int32)
        last = len(self._kept)
        place = best_start(self._levels[:last], self._sizes[:last], wanted)
        start = self._kept[place]
        entries = len(start.rows)
        keys, of_entry = self._keys[:entries], self._of_entry[:entries]
        first, totals = self._first[:entries], self._totals[:entries]
        keys.fill(0)
        starts = self._starts[np.arange(len(levels)), wanted]
        found = 0
        for number, part in enumerate(self._parts):
            columns = part[wanted[part] < self._heights[part]]
            if number:
                keys[:] = of_entry
                if not len(columns):
                    continue
            pack_keys(start.codes, self._tables, starts, columns, keys)
            found = number_keys(keys, start.rows, of_entry, first, totals)
        node = Node(
            tuple(levels),
            totals[:found].copy(),
            first[:found].copy(),
            start.codes,
            of_entry.copy() if self._follow else None,
            start,
            self.tuples,
        )
        if found <= _WORTH_KEEPING * entries:
            self._keep(node, wanted)
        return node

    def _keep(self, node: Node, levels: Small) -> None:
        """Make a counted node a starting point; the oldest go when there are too many."""
        size = len(node)
        while self._used + size > self._room and self._let_go():
            pass
        if self._used + size > self._room:
            return
        if not self._free and len(self._kept) == _MOST_SNAPSHOTS:
            self._let_go()
        if self._free:
            place = self._free.pop()
        else:
            place = len(self._kept)
            self._kept.append(self._kept[0])
        codes = np.ascontiguousarray(node.codes[:, node.first])
        followed = node.of_tuple if self._follow else None
        self._kept[place] = _Start(node.levels, codes, node.rows, followed)
        self._levels[place] = levels
        self._sizes[place] = size
        self._used += size
        self._oldest.append(place)

    def _let_go(self) -> bool:
        """Forget the oldest starting point; return whether there was one."""
        if not self._oldest:
            return False
        place = self._oldest.popleft()
        self._used -= int(self._sizes[place])
        self._kept[place] = self._kept[0]
        self._sizes[place] = np.iinfo(np.int64).max
        self._free.append(place)
        return True


def _key_parts(tuples: LatticeTuples, entries: int) -> Iterator[Integers]:
    """Give the columns that fit into one key together, those of the next key, and so on."""
    part: list[int] = []
    bound = 1
    for column, ladder in enumerate(tuples.ladders):
        if part and bound * ladder.n_leaves >= _LARGEST_KEY:
            yield np.array(part, dtype=np.int64)
            # the numbers of the keys so far take the place of a column
            part, bound = [], max(entries, 1)
        part.append(column)
        bound *= max(ladder.n_leaves, 1)
    yield np.array(part, dtype=np.int64)


def _key_tables(
    tuples: LatticeTuples, parts: list[Integers]
) -> tuple[npt.NDArray[np.uint64], Integers]:
    """Return the part of the key for each column, level and leaf, and where each begins."""
    width, entries = tuples.codes.shape
    starts = np.zeros((width, max(tuples.heights, default=0) + 1), dtype=np.int64)
    tables: list[npt.NDArray[np.uint64]] = []
    length = 0
    for number, part in enumerate(parts):
        factor = max(entries, 1) if number else 1
        for column in part:
            ladder = tuples.ladders[column]
            for level, groups in enumerate(ladder.levels):
                starts[column, level] = length
                tables.append(groups.astype(np.uint64) * np.uint64(factor))
                length += len(groups)
            factor *= max(ladder.n_leaves, 1)
    return np.concatenate(tables), starts
