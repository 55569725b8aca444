"""What a full-domain generalization loses, and how little it can lose below a node.

Every measure is a sum over columns (or over everything) of two parts: a *floor*, what the levels
cost if nobody is suppressed, which never falls on the way up the lattice; and a *penalty* for
suppressed rows, which never rises on the way up as long as no class is suppressed above a node that
kept it. So the floor at the lower end of a box of nodes and the penalty at its upper end bound
every node between them from below: that is all that a search needs to know of a measure.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from sfumato.anonymization.lattice.node_counting import Node
from sfumato.anonymization.lattice.node_kernels import picked_sums
from sfumato.anonymization.lattice.tuples import LatticeTuples
from sfumato.table import Ladder

__all__ = [
    "ColumnTablesLoss",
    "EntropyLoss",
    "HeightLoss",
    "Objective",
    "ShareLoss",
    "leaf_shares",
    "level_shares",
    "ncp_shares",
    "rest_of",
    "sum_c_log_c",
]

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Levels = tuple[int, ...]


class Objective(ABC):
    """A measure of loss over the nodes of a lattice; lower is better.

    Parameters
    ----------
    tuples
        What is generalized.
    """

    counts_below: ClassVar[bool]
    """Whether the floor is known only where the classes of a node were counted."""

    def __init__(self, tuples: LatticeTuples) -> None:
        self.tuples = tuples
        self.n = tuples.n_rows

    @abstractmethod
    def floor(self, levels: Levels, node: Node | None) -> Floats:
        """Return what the levels cost at least if nobody is suppressed.

        Parameters
        ----------
        levels
            Shape (q,).
        node
            Its classes; may be None unless ``counts_below``.
        """

    @abstractmethod
    def penalty(self, node: Node, suppressed: Flags) -> Floats:
        """Return what suppressing classes adds to the floor, in its shape.

        Parameters
        ----------
        node
            The classes (c).
        suppressed
            Shape (c,).
        """

    def total(self, parts: Floats) -> float:
        """Return the measure from floor and penalty together; rises with each part."""
        return float(parts.sum())

    def value(self, node: Node, suppressed: Flags, penalty: Floats) -> float:  # noqa: ARG002
        """Return the measure of a node.

        Parameters
        ----------
        node, suppressed
            The classes (c), and which are suppressed, shape (c,).
        penalty
            What :meth:`penalty` says of these.
        """
        return self.total(self.floor(node.levels, node) + penalty)

    def rises(self, column: int, low: int, high: int) -> float:
        """Return about how much a column's part grows from one level to another."""
        return float(high - low) / self.tuples.heights[column]


class ColumnTablesLoss(Objective):
    """A measure that says for each column, level and leaf what one row there loses.

    Parameters
    ----------
    tuples
        What is generalized.
    kept
        For each column and level, shape (n_leaves,): what a row loses.
    added
        The same for what a suppressed row loses more.
    weights
        Of each column, shape (q,).
    """

    counts_below = False

    def __init__(
        self,
        tuples: LatticeTuples,
        kept: Sequence[Sequence[Floats]],
        added: Sequence[Sequence[Floats]],
        weights: Floats,
    ) -> None:
        super().__init__(tuples)
        self.weights = weights
        leaf_rows = tuples.leaf_rows()
        self._floors = [
            np.array([float(rows @ loss) for loss in column])
            for rows, column in zip(leaf_rows, kept, strict=True)
        ]
        flat = [loss for column in added for loss in column]
        self._added = np.concatenate(flat)
        ends = np.cumsum([0, *(len(loss) for loss in flat)])
        self._starts = np.zeros((len(kept), max(map(len, kept))), dtype=np.int64)
        place = 0
        for column, levels in enumerate(kept):
            for level in range(len(levels)):
                self._starts[column, level] = ends[place]
                place += 1
        self._columns = np.arange(len(kept))

    def floor(self, levels: Levels, node: Node | None) -> Floats:  # noqa: ARG002
        """Return the sum over all rows, for each column."""
        return np.array([of[level] for of, level in zip(self._floors, levels, strict=True)])

    def penalty(self, node: Node, suppressed: Flags) -> Floats:
        """Return the sum over suppressed rows of what they lose more, for each column."""
        picked = np.flatnonzero(suppressed)
        sums = np.zeros(len(self._columns))
        starts = self._starts[self._columns, np.array(node.levels)]
        picked_sums(node.codes, node.first[picked], node.rows[picked], self._added, starts, sums)
        return sums

    def total(self, parts: Floats) -> float:
        """Return the weighted mean over columns and rows."""
        return float(parts @ self.weights) / max(self.n, 1)

    def rises(self, column: int, low: int, high: int) -> float:
        """Return how much the weighted floor grows."""
        of = self._floors[column]
        return float((of[high] - of[low]) * self.weights[column])


class ShareLoss(ColumnTablesLoss):
    """ARX's Loss: the share of the hierarchy's leaves below the released value.

    A column's loss is (sum over rows of the share - n / D) / (n - n / D), with D leaves of the
    hierarchy (not only those that occur); a suppressed row has share 1 (less with a factor below
    0.5). Aggregates: weighted mean; "geometric": product of (loss + 1) to the weight, less 1; sum;
    maximum.
    """

    def __init__(
        self, tuples: LatticeTuples, weights: Floats, factor: float, aggregate: str
    ) -> None:
        general, suppress = gs_factors(factor)
        kept, added = [], []
        for ladder in tuples.ladders:
            shares = [leaf_shares(ladder, level) for level in range(ladder.height + 1)]
            kept.append([general * share for share in shares])
            added.append([share * (1 - general) + suppress * (1 - share) for share in shares])
        super().__init__(tuples, kept, added, weights)
        self._aggregate = aggregate
        domains = np.array([max(ladder.domain_size, 1) for ladder in tuples.ladders])
        self._least = general * self.n / domains
        span = self.n - self._least
        single = domains == 1  # a column of one value has nothing to lose
        self._span = np.where(single | (span <= 0), np.inf, span)

    def losses(self, parts: Floats) -> Floats:
        """Return the loss of each column, 0 (exact) to 1 (everything suppressed)."""
        losses: Floats = np.maximum((parts - self._least) / self._span, 0.0)
        return losses

    def total(self, parts: Floats) -> float:
        """Return the aggregate over the columns."""
        losses = self.losses(parts)
        if self._aggregate == "geometric":
            return float(np.exp(np.log1p(losses) @ self.weights) - 1)
        if self._aggregate == "sum":
            return float(losses @ self.weights)
        if self._aggregate == "max":
            return float((losses * self.weights).max())
        return float(losses @ self.weights)

    def rises(self, column: int, low: int, high: int) -> float:
        """Return how much the column's weighted loss grows."""
        return super().rises(column, low, high) / float(self._span[column])


class EntropyLoss(Objective):
    """Non-uniform entropy: bits of each cell that its generalized value does not tell, summed.

    A row costs -log2(rows of the leaf / rows of the generalized value) for each column, and a
    suppressed row also -log2(rows of its generalized value among the suppressed / suppressed rows).

    Notes
    -----
    A. Gionis, T. Tassa, "k-anonymization with minimal loss of information", IEEE TKDE 21(2), 2009;
    suppressed rows as in ARX.
    """

    counts_below = False

    def __init__(self, tuples: LatticeTuples, weights: Floats, factor: float) -> None:
        super().__init__(tuples)
        self.weights = weights
        general, self._suppress = gs_factors(factor)
        self._floors = []
        for ladder, rows in zip(tuples.ladders, tuples.leaf_rows(), strict=True):
            own = sum_c_log_c(rows)
            floors = [
                sum_c_log_c(np.bincount(groups, rows, len(sizes))) - own
                for groups, sizes in zip(ladder.levels, ladder.sizes, strict=True)
            ]
            # equal numbers may differ by rounding; level 0 loses nothing by definition
            self._floors.append(general * np.maximum(np.array(floors), 0.0))

    def floor(self, levels: Levels, node: Node | None) -> Floats:  # noqa: ARG002
        """Return the bits lost in each column."""
        return np.array([of[level] for of, level in zip(self._floors, levels, strict=True)])

    def penalty(self, node: Node, suppressed: Flags) -> Floats:
        """Return the bits that are lost in each column by suppressing the values that are left."""
        picked = np.flatnonzero(suppressed)
        bits = np.zeros(len(self._floors))
        if not len(picked) or not self._suppress:
            return bits
        rows = node.rows[picked]
        whole = sum_c_log_c(np.array([rows.sum()]))
        first = node.first[picked]
        for column, ladder in enumerate(self.tuples.ladders):
            groups = ladder.levels[node.levels[column]][node.codes[column, first]]
            bits[column] = whole - sum_c_log_c(np.bincount(groups, rows))
        return self._suppress * np.maximum(bits, 0.0)

    def total(self, parts: Floats) -> float:
        """Return the weighted sum over columns."""
        return float(parts @ self.weights)

    def rises(self, column: int, low: int, high: int) -> float:
        """Return how many weighted bits the column loses from one level to another."""
        of = self._floors[column]
        return float((of[high] - of[low]) * self.weights[column])


class HeightLoss(Objective):
    """The sum of the levels; suppressed rows cost nothing."""

    counts_below = False

    def __init__(self, tuples: LatticeTuples, weights: Floats) -> None:
        super().__init__(tuples)
        self.weights = weights

    def floor(self, levels: Levels, node: Node | None) -> Floats:  # noqa: ARG002
        """Return the weighted levels."""
        return np.array(levels) * self.weights

    def penalty(self, node: Node, suppressed: Flags) -> Floats:  # noqa: ARG002
        """Return nothing."""
        return np.zeros(len(node.levels))


def gs_factors(gs_factor: float) -> tuple[float, float]:
    """Return what generalized rows and suppressed rows count, as ARX's slider has it."""
    general = 1.0 if gs_factor <= 0.5 else 1.0 - 2 * (gs_factor - 0.5)
    suppress = 2 * gs_factor if gs_factor < 0.5 else 1.0
    return general, suppress


def leaf_shares(ladder: Ladder, level: int, exact: float | None = None) -> Floats:
    """Return the share of the hierarchy's leaves that each leaf's group holds, shape (n_leaves,).

    Parameters
    ----------
    ladder, level
        The column's leaves, and a level.
    exact
        Share of a group of one leaf; by default one of all.
    """
    leaves = ladder.sizes[level][ladder.levels[level]].astype(np.float64)
    # the leaf for missing cells is none of the hierarchy's, and everything is no more than all
    shares = np.minimum(leaves / max(ladder.domain_size, 1), 1.0)
    if exact is not None:
        shares[leaves == 1] = exact
    return shares


def ncp_shares(ladder: Ladder) -> list[Floats]:
    """Return for each level the share of the leaves that each leaf's group holds, 0 if one."""
    return [leaf_shares(ladder, level, exact=0.0) for level in range(ladder.height + 1)]


def level_shares(ladder: Ladder) -> list[Floats]:
    """Return for each level its share of the height, for each leaf."""
    steps = np.arange(ladder.height + 1) / ladder.height
    return [np.full(ladder.n_leaves, step) for step in steps]


def rest_of(shares: Sequence[Sequence[Floats]]) -> list[list[Floats]]:
    """Return what each share lacks of 1."""
    return [[1 - share for share in column] for column in shares]


def sum_c_log_c(counts: npt.NDArray[np.generic]) -> float:
    """Return the sum of c * log2(c) over positive counts."""
    held = np.asarray(counts, dtype=np.float64)
    held = held[held > 0]
    return float(held @ np.log2(held))
