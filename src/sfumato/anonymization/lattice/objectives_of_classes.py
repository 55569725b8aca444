"""Measures of loss that look at whole classes: their sizes, their combinations, their target.

Their floor is known only where the classes of a node were counted.
"""

from __future__ import annotations

import math

import numpy as np

from sfumato.anonymization.lattice.node_counting import Node
from sfumato.anonymization.lattice.objectives_of_columns import (
    Flags,
    Floats,
    Integers,
    Levels,
    Objective,
    leaf_shares,
    sum_c_log_c,
)
from sfumato.anonymization.lattice.tuples import LatticeTuples
from sfumato.errors import InternalError

__all__ = [
    "AmbiguityLoss",
    "ClassSizeLoss",
    "ClassificationLoss",
    "DiscernibilityLoss",
    "DivergenceLoss",
]


class DiscernibilityLoss(Objective):
    """Each row costs the size of its class, a suppressed one the whole table.

    Notes
    -----
    R. Bayardo, R. Agrawal, "Data privacy through optimal k-anonymization", ICDE 2005, section 3.
    """

    counts_below = True

    def floor(self, levels: Levels, node: Node | None) -> Floats:  # noqa: ARG002
        """Return the sum of the squared class sizes."""
        rows = _counted(node).rows.astype(np.float64)
        return np.array([rows @ rows])

    def penalty(self, node: Node, suppressed: Flags) -> Floats:
        """Return what suppressed rows cost more."""
        rows = node.rows[suppressed].astype(np.float64)
        return np.array([rows.sum() * self.n - rows @ rows])


class ClassSizeLoss(Objective):
    """Average class size: rows over classes, the suppressed rows being one class.

    Notes
    -----
    K. LeFevre, D. DeWitt, R. Ramakrishnan, "Mondrian multidimensional k-anonymity", ICDE 2006,
    section 2.3 (there divided by k).
    """

    counts_below = True

    def floor(self, levels: Levels, node: Node | None) -> Floats:  # noqa: ARG002
        """Return the rows over the classes and one more."""
        return np.array([self.n / (len(_counted(node)) + 1)])

    def penalty(self, node: Node, suppressed: Flags) -> Floats:  # noqa: ARG002
        """Return nothing: fewer classes could only cost more."""
        return np.zeros(1)

    def value(self, node: Node, suppressed: Flags, penalty: Floats) -> float:  # noqa: ARG002
        """Return the average class size."""
        classes = int((~suppressed).sum()) + int(suppressed.any())
        return self.n / max(classes, 1)


class AmbiguityLoss(Objective):
    """How many combinations of exact values a row may stand for, the mean over rows.

    Notes
    -----
    J. Goldberger, T. Tassa, "Efficient anonymizations with enhanced utility", Transactions on Data
    Privacy 3, 2010, section 2.
    """

    counts_below = True

    def __init__(self, tuples: LatticeTuples) -> None:
        super().__init__(tuples)
        self._all = math.prod(float(max(ladder.domain_size, 1)) for ladder in tuples.ladders)

    def _shares(self, node: Node) -> Floats:
        shares = np.ones(len(node))
        for column, ladder in enumerate(self.tuples.ladders):
            level = node.levels[column]
            of_leaf = leaf_shares(ladder, level)
            shares *= of_leaf[node.codes[column, node.first]]
        return shares

    def floor(self, levels: Levels, node: Node | None) -> Floats:  # noqa: ARG002
        """Return the mean number."""
        counted = _counted(node)
        return np.array([self._shares(counted) @ counted.rows / self.n * self._all])

    def penalty(self, node: Node, suppressed: Flags) -> Floats:
        """Return what suppressed rows, which may be anything, add."""
        more = (1 - self._shares(node)) * node.rows
        return np.array([more[suppressed].sum() / self.n * self._all])


class DivergenceLoss(Objective):
    """Kullback-Leibler divergence, in bits, of what the release says from the table.

    A class of s rows says that each combination of exact values below it is held by s over their
    number; all suppressed rows are one class of all combinations.

    Notes
    -----
    A. Machanavajjhala et al., "l-diversity", ACM TKDD 1(1), 2007, section 7; D. Kifer, J. Gehrke,
    "Injecting utility into anonymized datasets", SIGMOD 2006.
    """

    counts_below = True

    def __init__(self, tuples: LatticeTuples) -> None:
        super().__init__(tuples)
        self._cells = float(sum(np.log2(max(ladder.n_leaves, 1)) for ladder in tuples.ladders))
        self._own = sum_c_log_c(tuples.rows) / max(self.n, 1)

    def _bits(self, node: Node) -> Floats:
        """Return -log2 of the rows that a class gives each combination, for each class."""
        bits = -np.log2(node.rows)
        for column, ladder in enumerate(self.tuples.ladders):
            level = node.levels[column]
            bits += np.log2(ladder.sizes[level][node.groups(column)])
        return bits

    def floor(self, levels: Levels, node: Node | None) -> Floats:  # noqa: ARG002
        """Return the divergence if any row could be suppressed at the least cost."""
        counted = _counted(node)
        bits = np.minimum(self._bits(counted), self._cells - np.log2(self.n))
        return np.array([bits @ counted.rows / self.n + self._own])

    def penalty(self, node: Node, suppressed: Flags) -> Floats:  # noqa: ARG002
        """Return nothing: the floor allows for suppression."""
        return np.zeros(1)

    def value(self, node: Node, suppressed: Flags, penalty: Floats) -> float:  # noqa: ARG002
        """Return the divergence."""
        starred = int(node.rows[suppressed].sum())
        bits = float((self._bits(node) * node.rows)[~suppressed].sum())
        if starred:
            bits += starred * (self._cells - float(np.log2(starred)))
        return bits / self.n + self._own


class ClassificationLoss(Objective):
    """Rows that are suppressed, or whose target is not the commonest of their class; the share.

    Notes
    -----
    V. Iyengar, "Transforming data to satisfy privacy constraints", KDD 2002, section 2.3.
    """

    counts_below = True

    def __init__(self, tuples: LatticeTuples, target: str) -> None:
        super().__init__(tuples)
        self._target = target

    def _commonest(self, node: Node) -> Integers:
        held = node.histogram(self._target)
        commonest: Integers = held.max(axis=1)
        return commonest

    def floor(self, levels: Levels, node: Node | None) -> Floats:  # noqa: ARG002
        """Return the share of rows that are not the commonest."""
        return np.array([1 - self._commonest(_counted(node)).sum() / self.n])

    def penalty(self, node: Node, suppressed: Flags) -> Floats:
        """Return the share of rows that were the commonest of a class and are suppressed."""
        return np.array([self._commonest(node)[suppressed].sum() / self.n])


def _counted(node: Node | None) -> Node:
    if node is None:
        raise InternalError("the floor of this measure needs the classes of the node")
    return node
