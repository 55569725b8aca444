"""A decision tree as plain arrays: grown by scikit-learn, cut back, and walked down by anybody."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
import numpy.typing as npt

__all__ = ["Growth", "GuideTree"]

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Growth:
    """How far a tree grows.

    Parameters
    ----------
    least
        Least number of people of a leaf.
    criterion
        What a split makes small, in scikit-learn's words; None for its default.
    max_depth
        Most splits on the way to a leaf; None for no limit.
    ccp_alpha
        Complexity for which a split must gain, at least 0.
    seed
        Which of equally good splits is taken.
    """

    least: int = 1
    criterion: str | None = None
    max_depth: int | None = None
    ccp_alpha: float = 0.0
    seed: int = 10


@dataclass(frozen=True, eq=False)
class GuideTree:
    """Splits; node 0 is everybody, and children stand after their parents.

    Parameters
    ----------
    feature, threshold
        For each node the feature that is asked, and its greatest value that goes left.
    left, right
        The children; -1 for a leaf.
    """

    feature: Integers
    threshold: Floats
    left: Integers
    right: Integers

    @classmethod
    def single(cls) -> Self:
        """Return the tree without a split."""
        none = np.full(1, -1, dtype=np.int64)
        return cls(none, np.zeros(1), none, none)

    @classmethod
    def grow(
        cls,
        features: npt.NDArray[np.float32],
        target: npt.NDArray[Any],
        growth: Growth,
        *,
        regression: bool,
        counted: Flags | None = None,
    ) -> Self:
        """Grow a tree towards a target.

        Parameters
        ----------
        features
            Shape (n, f), without gaps.
        target
            Shape (n,) or (n, outputs).
        growth
            How far.
        regression
            Whether the target is numbers rather than classes.
        counted
            Which rows count as a person, shape (n,); all by default.
        """
        from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

        people = len(features) if counted is None else int(counted.sum())
        if people < 2 * growth.least or not features.shape[1]:
            return cls.single()
        kind = DecisionTreeRegressor if regression else DecisionTreeClassifier
        settings: dict[str, Any] = (
            {} if growth.criterion is None else {"criterion": growth.criterion}
        )
        if counted is None:
            settings["min_samples_leaf"] = growth.least
        else:
            # half a person below, so that no rounding refuses a leaf of just enough
            settings["min_weight_fraction_leaf"] = (growth.least - 0.5) / people
        grown = kind(
            random_state=growth.seed,
            max_depth=growth.max_depth,
            ccp_alpha=growth.ccp_alpha,
            **settings,
        )
        weight = None if counted is None else counted.astype(np.float64)
        tree = grown.fit(features, target, sample_weight=weight).tree_
        return cls(
            tree.feature.astype(np.int64),
            tree.threshold.astype(np.float64),
            tree.children_left.astype(np.int64),
            tree.children_right.astype(np.int64),
        )

    @property
    def n_nodes(self) -> int:
        """Nodes in all."""
        return len(self.left)

    @cached_property
    def leaves(self) -> Integers:
        """The nodes without children, rising."""
        return np.flatnonzero(self.left < 0)

    @cached_property
    def leaf_number(self) -> Integers:
        """The place of each node among the leaves; -1 for others."""
        number = np.full(self.n_nodes, -1, dtype=np.int64)
        number[self.leaves] = np.arange(len(self.leaves))
        return number

    @cached_property
    def parent(self) -> Integers:
        """The parent of each node; -1 for node 0."""
        parent = np.full(self.n_nodes, -1, dtype=np.int64)
        inner = np.flatnonzero(self.left >= 0)
        parent[self.left[inner]] = inner
        parent[self.right[inner]] = inner
        return parent

    @cached_property
    def depth(self) -> Integers:
        """Splits on the way to each node."""
        depth = np.zeros(self.n_nodes, dtype=np.int64)
        front = np.zeros(1, dtype=np.int64)
        while len(front):
            inner = front[self.left[front] >= 0]
            depth[self.left[inner]] = depth[self.right[inner]] = depth[inner] + 1
            front = np.concatenate([self.left[inner], self.right[inner]])
        return depth

    def fall(self, features: npt.NDArray[np.float32]) -> Integers:
        """Return the number of the leaf into which each row falls, shape (n,)."""
        node = np.zeros(len(features), dtype=np.int64)
        going = np.arange(len(features)) if self.left[0] >= 0 else np.zeros(0, dtype=np.int64)
        while len(going):
            here = node[going]
            left = features[going, self.feature[here]] <= self.threshold[here]
            there = np.where(left, self.left[here], self.right[here])
            node[going] = there
            going = going[self.left[there] >= 0]
        return self.leaf_number[node]

    def above(self, leaves: Flags) -> Self:
        """Return the tree in which the parents of some leaves, numbered, are leaves themselves."""
        ends = np.zeros(self.n_nodes, dtype=np.bool_)
        parents = self.parent[self.leaves[leaves]]
        ends[parents[parents >= 0]] = True
        return self.cut(ends)

    def cut(self, ends: Flags) -> Self:
        """Return the tree in which some nodes, shape (n_nodes,), have no children."""
        left = np.where(ends, -1, self.left)
        right = np.where(ends, -1, self.right)
        reached = np.zeros(self.n_nodes, dtype=np.bool_)
        front = np.zeros(1, dtype=np.int64)
        while len(front):
            reached[front] = True
            inner = front[left[front] >= 0]
            front = np.concatenate([left[inner], right[inner]])
        number = np.append(np.cumsum(reached) - 1, -1)
        return replace(
            self,
            feature=np.where(left < 0, -1, self.feature)[reached],
            threshold=np.where(left < 0, 0.0, self.threshold)[reached],
            left=number[left[reached]],
            right=number[right[reached]],
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the tree as plain JSON values."""
        return {
            "feature": self.feature.tolist(),
            "threshold": self.threshold.tolist(),
            "left": self.left.tolist(),
            "right": self.right.tolist(),
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Return the tree that :meth:`to_dict` described."""
        feature, left, right = (
            np.asarray(values[name], dtype=np.int64) for name in ("feature", "left", "right")
        )
        return cls(feature, np.asarray(values["threshold"], dtype=np.float64), left, right)
