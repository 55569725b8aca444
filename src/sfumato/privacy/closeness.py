"""t-closeness: a class tells little more about its members than the whole table does."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import Field, model_validator

from sfumato.privacy.criteria import Criterion
from sfumato.privacy.natural_order import natural_order
from sfumato.privacy.sensitive_values import SLACK, CountsCheck, ValueCriterion, shares
from sfumato.table import Hierarchy

__all__ = ["TCloseness", "equal_distance", "hierarchical_distance", "ordered_distance"]

Booleans = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


class TCloseness(ValueCriterion):
    """The sensitive values of each class are spread nearly as in the whole table.

    The earth mover's distance between the two distributions is at most t: how much of the
    distribution must be moved, times how far. The whole table is the one before suppression.

    Parameters
    ----------
    column
        The sensitive column. A missing value counts as a value.
    t
        Largest distance, 0 to 1.
    distance
        How far one value is from another. ``"equal"``: 1, so that the distance of distributions is
        the total variation. ``"ordered"``: the number of steps between them, divided by the number
        of different values less one; numbers and dates by value, ordered categories in their
        order, other texts by the alphabet, a missing value last. ``"hierarchical"``: the level of
        their lowest common ancestor, divided by the height of the hierarchy; a missing value is as
        far as possible from the others.
    hierarchy
        For ``hierarchical``: the hierarchy of the sensitive column, or what
        :meth:`~sfumato.Hierarchy.to_dict` says of it.

    Notes
    -----
    N. Li, T. Li, S. Venkatasubramanian, "t-closeness: privacy beyond k-anonymity and l-diversity",
    ICDE 2007, definition 2, sections 4.1 (ordered) and 4.2 (equal and hierarchical). The distance
    is convex, so joined classes are no farther than the farther of their parts.
    """

    kind: ClassVar[str] = "t-closeness"
    __init__ = Criterion.__init__

    column: str
    t: float = Field(ge=0, le=1)
    distance: Literal["equal", "ordered", "hierarchical"] = "equal"
    hierarchy: dict[str, Any] | None = None

    @model_validator(mode="before")
    @classmethod
    def _recipe(cls, values: Any) -> Any:
        if isinstance(values, dict) and isinstance(values.get("hierarchy"), Hierarchy):
            return {**values, "hierarchy": values["hierarchy"].to_dict()}
        return values

    @model_validator(mode="after")
    def _settings_fit(self) -> Self:
        if (self.hierarchy is None) == (self.distance == "hierarchical"):
            raise ValueError("a hierarchy is needed for the hierarchical distance, and no other")
        if self.hierarchy is not None:
            Hierarchy.from_dict(self.hierarchy)
        return self

    @property
    def monotone_generalization(self) -> bool:
        """True: the distance is convex."""
        return True

    def bound(self, labels: pl.Series | None = None) -> CountsCheck:
        """Return the check of plain arrays for values in a given order.

        Raises
        ------
        PlanError
            If the distance is hierarchical and the values are not given.
        HierarchyError
            If the hierarchy does not hold a value.
        """
        limit = self.t + SLACK
        if self.distance == "equal":
            return lambda _, counts, overall: equal_distance(counts, overall) <= limit
        if self.distance == "ordered":
            order = None if labels is None else natural_order(labels)
            return lambda _, counts, overall: (
                ordered_distance(*_reordered(counts, overall, order)) <= limit
            )
        if labels is None or self.hierarchy is None:
            raise self._needs_labels()
        order, groups = _tree(Hierarchy.from_dict(self.hierarchy), labels.alias(self.column))
        return lambda _, counts, overall: (
            hierarchical_distance(*_reordered(counts, overall, order), groups) <= limit
        )

    def describe(self) -> str:
        """Return the promise in words."""
        how = {
            "equal": "every value is as far from every other",
            "ordered": "values are as far apart as steps lie between them in their order (numbers "
            "and dates by value, texts by the alphabet, a missing value last)",
            "hierarchical": "values are as far apart as they must climb in the hierarchy to meet",
        }
        return (
            f"{self.t:g}-closeness of {self.column!r} ({self.distance}): the values of "
            f"{self.column!r} in every class are spread as in the whole table, up to a distance "
            f"of {self.t:g} on a scale from 0 to 1, where {how[self.distance]}; a missing value "
            "counts as a value"
        )


def equal_distance(counts: npt.NDArray[Any], overall: npt.NDArray[Any]) -> Floats:
    """Return the total variation between each class (c, v) and the whole (v,), shape (c,)."""
    moved: Floats = np.abs(shares(counts) - shares(overall)).sum(axis=1) / 2
    return moved


def ordered_distance(counts: npt.NDArray[Any], overall: npt.NDArray[Any]) -> Floats:
    """Return the earth mover's distance of ordered values, shape (c,).

    Values that the whole table does not hold are no steps.

    Parameters
    ----------
    counts
        Shape (c, v), the values in their order.
    overall
        Shape (v,).
    """
    held = overall > 0
    if not held.all():
        counts, overall = counts[:, held], overall[held]
    steps = max(len(overall) - 1, 1)
    carried = np.cumsum(shares(counts) - shares(overall), axis=1)
    moved: Floats = np.abs(carried[:, :-1]).sum(axis=1) / steps
    return moved


def hierarchical_distance(
    counts: npt.NDArray[Any], overall: npt.NDArray[Any], groups: tuple[Integers, ...]
) -> Floats:
    """Return the earth mover's distance of values in a tree, shape (c,).

    Parameters
    ----------
    counts
        Shape (c, v), the values in depth-first order of the tree.
    overall
        Shape (v,).
    groups
        For each level from 1 to the height: where the groups of that level start among the groups
        of the level below, rising, the first 0.

    Notes
    -----
    Li et al. 2007, section 4.2: at each node the smaller of what its children have too much and
    too little is moved between them, over the node's height divided by that of the tree.
    """
    extra = shares(counts) - shares(overall)
    moved = np.zeros(len(counts), dtype=np.float64)
    if extra.shape[1] == 0:
        return moved
    for level, starts in enumerate(groups, start=1):
        too_much = np.add.reduceat(np.maximum(extra, 0), starts, axis=1)
        rest = np.add.reduceat(extra, starts, axis=1)
        # too little = too much - rest
        moved += np.minimum(too_much, too_much - rest).sum(axis=1) * (level / len(groups))
        extra = rest
    return moved


def _reordered(
    counts: npt.NDArray[Any], overall: npt.NDArray[Any], order: Integers | None
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    return (counts, overall) if order is None else (counts[:, order], overall[order])


def _tree(hierarchy: Hierarchy, labels: pl.Series) -> tuple[Integers, tuple[Integers, ...]]:
    """Return the depth-first order of values, and the starts of each level's groups."""
    ladder = hierarchy.ladder(labels)
    leaves = ladder.codes(labels).astype(np.int64)
    order = np.argsort(leaves, kind="stable").astype(np.int64)
    below = ladder.levels[0][leaves[order]]
    groups = []
    for level in range(1, ladder.height + 1):
        own = ladder.levels[level][leaves[order]]
        # one entry for each group of the level below
        first = np.flatnonzero(np.diff(below, prepend=-1))
        starts = np.flatnonzero(np.diff(own[first], prepend=-1)).astype(np.int64)
        groups.append(starts)
        below = own
    return order, tuple(groups)
