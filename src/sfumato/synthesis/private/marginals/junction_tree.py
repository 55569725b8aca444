"""Junction trees: sets of columns that are modelled together, joined to a tree.

The graph in which the columns of each measured set are neighbours is triangulated by elimination:
the column whose elimination adds the fewest edges goes first (min-fill), of equals the one with the
smaller table; the smallest table first is tried too, and what needs fewer cells is kept. The
maximal cliques of the triangulated graph, joined so that neighbours share as much as possible, form
a tree in which every column's cliques are connected.

References
----------
S. Lauritzen, D. Spiegelhalter, JRSS B 50 (1988). D. Koller, N. Friedman, "Probabilistic graphical
models" (2009), 9.4 (orders of elimination) and 10.4 (construction of clique trees).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

__all__ = ["JunctionTree", "cells_of", "neighbours"]


@dataclass(frozen=True)
class JunctionTree:
    """Cliques in an order in which each one's parent comes before it.

    Parameters
    ----------
    sizes
        Number of cells of each column.
    parents
        Place of each clique's parent; -1 for the first clique.
    separators
        Columns that each clique shares with its parent, in the order of the parent's axes.
    residuals
        Columns that come in with each clique; every column is the residual of one clique.
    """

    sizes: tuple[int, ...]
    parents: tuple[int, ...]
    separators: tuple[tuple[int, ...], ...]
    residuals: tuple[tuple[int, ...], ...]

    @cached_property
    def axes(self) -> tuple[tuple[int, ...], ...]:
        """Columns of each clique's table: its separator, then its residual."""
        return tuple(s + r for s, r in zip(self.separators, self.residuals, strict=True))

    @cached_property
    def children(self) -> tuple[tuple[int, ...], ...]:
        """Places of each clique's children."""
        found: list[list[int]] = [[] for _ in self.parents]
        for place, parent in enumerate(self.parents):
            if parent >= 0:
                found[parent].append(place)
        return tuple(tuple(one) for one in found)

    @property
    def cells(self) -> int:
        """Number of cells of all cliques' tables together."""
        return sum(math.prod(self.shape(place)) for place in range(len(self.parents)))

    def shape(self, place: int) -> tuple[int, ...]:
        """Return the shape of a clique's table."""
        return tuple(self.sizes[column] for column in self.axes[place])

    def matrix(self, place: int) -> tuple[int, int]:
        """Return the number of cells of a clique's separator and of its residual."""
        return (
            math.prod(self.sizes[column] for column in self.separators[place]),
            math.prod(self.sizes[column] for column in self.residuals[place]),
        )

    def home(self, columns: Iterable[int]) -> int | None:
        """Return the place of the smallest clique that holds all these columns, or None."""
        wanted = set(columns)
        holding = [place for place, axes in enumerate(self.axes) if wanted <= set(axes)]
        return min(holding, key=lambda place: math.prod(self.shape(place)), default=None)

    @classmethod
    def of(cls, sizes: Sequence[int], sets: Iterable[Iterable[int]]) -> Self:
        """Return a tree in which each set of columns lies in one clique.

        Parameters
        ----------
        sizes
            Number of cells of each column.
        sets
            Sets of columns that must lie together.
        """
        cliques, _ = _smallest(sizes, neighbours(len(sizes), sets), math.inf)
        parts = [_members(one) for one in cliques]
        first = max(range(len(parts)), key=lambda place: (len(parts[place]), -place))
        order, parents = [first], [-1]
        separators: list[tuple[int, ...]] = [()]
        residuals: list[tuple[int, ...]] = [tuple(parts[first])]
        axes: list[tuple[int, ...]] = [residuals[0]]
        waiting = [place for place in range(len(parts)) if place != first]
        while waiting:
            _, _, place, above = max(
                ((cliques[place] & cliques[order[at]]).bit_count(), -at, place, at)
                for place in waiting
                for at in range(len(order))
            )
            shared = tuple(one for one in axes[above] if one in parts[place])
            order.append(place)
            parents.append(above)
            separators.append(shared)
            residuals.append(tuple(one for one in parts[place] if one not in shared))
            axes.append(shared + residuals[-1])
            waiting.remove(place)
        return cls(tuple(sizes), tuple(parents), tuple(separators), tuple(residuals))

    def to_dict(self) -> dict[str, Any]:
        """Return the tree as plain JSON values."""
        return {
            "sizes": list(self.sizes),
            "parents": list(self.parents),
            "separators": [list(one) for one in self.separators],
            "residuals": [list(one) for one in self.residuals],
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Return the tree that :meth:`to_dict` described."""
        return cls(
            tuple(values["sizes"]),
            tuple(values["parents"]),
            tuple(tuple(one) for one in values["separators"]),
            tuple(tuple(one) for one in values["residuals"]),
        )


def neighbours(width: int, sets: Iterable[Iterable[int]]) -> list[int]:
    """Return each column's neighbours as the bits of one integer, itself left out."""
    found = [0] * width
    for one in sets:
        members = list(one)
        bits = sum(1 << column for column in members)
        for column in members:
            found[column] |= bits & ~(1 << column)
    return found


def cells_of(sizes: Sequence[int], graph: Sequence[int], most: float = math.inf) -> float:
    """Return the number of cells of a graph's junction tree; infinity if above ``most``.

    Parameters
    ----------
    sizes
        Number of cells of each column.
    graph
        Neighbours of each column, see :func:`neighbours`.
    most
        Where to stop counting.
    """
    return _smallest(sizes, graph, most)[1]


def _smallest(sizes: Sequence[int], graph: Sequence[int], most: float) -> tuple[list[int], float]:
    """Return maximal cliques, as bits, and their cells, by whichever order needs fewer cells."""
    by_fill = _eliminated(sizes, graph, most, by_fill=True)
    if by_fill[1] <= most < math.inf:
        return by_fill  # small enough
    by_table = _eliminated(sizes, graph, most, by_fill=False)
    return min(by_fill, by_table, key=lambda one: one[1])


def _eliminated(
    sizes: Sequence[int], graph: Sequence[int], most: float, *, by_fill: bool
) -> tuple[list[int], float]:
    near = list(graph)
    members = [_members(bits) for bits in near]
    keys = {
        column: _key(column, near, members, sizes, by_fill=by_fill) for column in range(len(near))
    }
    found: list[int] = []
    cells = 0.0
    while keys:
        column = min(keys, key=keys.__getitem__)
        del keys[column]
        around = members[column]
        clique = near[column] | 1 << column
        if not any(clique & one == clique for one in found):
            found.append(clique)
            cells += _table(column, around, sizes)
            if cells > most:
                return found, math.inf
        touched = 0
        for one in around:
            before = near[one]
            near[one] = (before | near[column]) & ~(1 << one) & ~(1 << column)
            touched |= near[one] | 1 << one
        for one in around:
            members[one] = _members(near[one])
        for one in _members(touched):
            keys[one] = _key(one, near, members, sizes, by_fill=by_fill)
    return found, cells


def _table(column: int, around: Sequence[int], sizes: Sequence[int]) -> int:
    """Return the cells of the table of a column and its neighbours."""
    return sizes[column] * math.prod(sizes[one] for one in around)


def _key(
    column: int,
    near: Sequence[int],
    members: Sequence[Sequence[int]],
    sizes: Sequence[int],
    *,
    by_fill: bool,
) -> tuple[int, int, int]:
    bits = near[column]
    fill = sum((bits & ~near[one]).bit_count() - 1 for one in members[column]) // 2
    cells = _table(column, members[column], sizes)
    return (fill, cells, column) if by_fill else (cells, fill, column)


def _members(bits: int) -> list[int]:
    found = []
    while bits:
        lowest = bits & -bits
        found.append(lowest.bit_length() - 1)
        bits ^= lowest
    return found
