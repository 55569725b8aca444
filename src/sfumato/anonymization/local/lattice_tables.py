"""Codes, groups, costs and mixing words of all columns in flat arrays, as the kernels want them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from sfumato.anonymization.people_coding import CodedPeople
from sfumato.anonymization.scales import LossMeasure

__all__ = ["LatticeTables"]

_DECIMALS = 10

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LatticeTables:
    """What a search needs to know of the columns.

    The value for a code at a level of column c stands at ``offsets[c] + level * widths[c] + code``
    of ``groups``, ``cost`` and ``mixing``.

    Parameters
    ----------
    codes
        Shape (m, q), int32: the entries.
    rows, unit
        Rows of each entry, and the people that one of them counts for (0 or 1), shape (m,).
    groups, cost, mixing
        The group of a code; what a row loses there, as a share of the whole loss; a random 64-bit
        word that is equal within a group. Two cells whose words add up alike by chance would be
        taken for one: that costs loss, and never a promise.
    offsets, widths, heights
        Of each column, shape (q,).
    silence
        What a row loses besides where nothing at all is said of it; the last number of ``cost``.
    signed_heights
        The same heights, negative for numbers without a hierarchy: where their levels end the
        positions of the numbers stand in ``cost``.
    """

    codes: npt.NDArray[np.int32]
    rows: Integers
    unit: Integers
    groups: Integers
    cost: Floats
    mixing: npt.NDArray[np.uint64]
    offsets: Integers
    widths: Integers
    heights: Integers
    signed_heights: Integers
    silence: float

    @classmethod
    def of(
        cls,
        people: CodedPeople,
        measure: LossMeasure,
        importance: Sequence[float] | None,
        silence: float,
    ) -> Self:
        """Return the tables of coded people.

        Parameters
        ----------
        people
            The entries.
        measure, importance
            See :meth:`CodedPeople.costs`.
        silence
            What a row loses besides where nothing at all is said of it, so that it counts as
            suppressed.
        """
        costs = people.costs(measure, importance)
        words = np.random.default_rng(0)  # any words do: they only tell groups apart
        groups, mixing, flat, sizes, signed = [], [], [], [], []
        for scale, table in zip(people.scales, costs, strict=True):
            positions = None if measure == "entropy" else scale.positions()
            rows = [*scale.groups] if positions is None else [*scale.groups, scale.groups[-1]]
            groups += rows
            mixing += [words.integers(0, 2**64, scale.n_codes, dtype=np.uint64)[of] for of in rows]
            flat += [*table] if positions is None else [*table, positions * table[-1, 0]]
            sizes.append(len(rows) * scale.n_codes)
            signed.append(scale.height if positions is None else -scale.height)
        unit = (people.weights > 0).astype(np.int64)
        return cls(
            people.codes,
            people.rows,
            unit,
            np.concatenate(groups),
            np.concatenate([*flat, [silence]]),
            np.concatenate(mixing),
            np.cumsum([0, *sizes[:-1]]),
            np.array([scale.n_codes for scale in people.scales]),
            np.array([scale.height for scale in people.scales]),
            np.array(signed),
            silence,
        )

    @property
    def n_nodes(self) -> int:
        """Nodes of the lattice."""
        return math.prod(int(height) + 1 for height in self.heights)

    def mean_costs(self) -> list[Floats]:
        """Return for each column what a row loses on average at each level, shape (levels,)."""
        means = []
        for column, codes in enumerate(self.codes.T):
            start, width = self.offsets[column], self.widths[column]
            held = np.bincount(codes, self.rows, width) / max(int(self.rows.sum()), 1)
            levels = self.heights[column] + 1
            table = self.cost[start : start + levels * width].reshape(levels, width)
            means.append(table @ held)
        return means

    def nodes(self, ties: Sequence[int] | None = None) -> npt.NDArray[np.int8]:
        """Return all nodes by rising mean loss, shape (n_nodes, q): a level for each column.

        The node that says nothing of anybody is left out where that costs more than its levels.

        Parameters
        ----------
        ties
            The columns in an order: of nodes that lose as much, those come first that say the
            later columns more exactly. By default their order as it is.
        """
        ranges = [np.arange(height + 1, dtype=np.int8) for height in self.heights]
        grid = np.stack([axis.ravel() for axis in np.meshgrid(*ranges, indexing="ij")], axis=1)
        mean = np.zeros(len(grid))
        for column, means in enumerate(self.mean_costs()):
            mean += means[grid[:, column]]
        if self.silence > 0:
            kept = (grid < self.heights).any(axis=1)
            grid, mean = grid[kept], mean[kept]
        # what differs by rounding only is a tie
        columns = [grid[:, column] for column in (ties or range(grid.shape[1]))]
        order = np.lexsort([*columns, np.round(mean, _DECIMALS)])
        return np.ascontiguousarray(grid[order])

    def shared(self) -> tuple[npt.NDArray[Any], ...]:
        """Return the arrays that describe the boxes of classes: groups to heights without words."""
        return self.groups, self.cost, self.offsets, self.widths, self.signed_heights
