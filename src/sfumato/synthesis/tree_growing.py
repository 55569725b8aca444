"""One classification or regression tree for one column, given the columns drawn before it.

References
----------
L. Breiman, J. Friedman, R. Olshen, C. Stone, "Classification and Regression Trees" (1984), sections
4.3 (the Gini index), 8.4 (least squares) and 9.4 (the best split of a category lies in the order of
its mean responses); D. Coppersmith, S. J. Hong, J. R. M. Hosking, "Partitioning nominal attributes
in decision trees", Data Mining and Knowledge Discovery 3 (1999): for more than two classes, in the
order of the first principal component.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from sfumato.synthesis.codec import ColumnGrid

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

__all__ = ["Tree", "grow_tree"]

_PLACES = 64  # places on a predictor's axis between which a split may lie
_MOST_INDICATORS = 32  # a category of more values is told by its first factors
_FACTORS = 16


@dataclass(frozen=True, eq=False)
class Tree:
    """A tree with the cells of its donors.

    Parameters
    ----------
    target
        Number of the column that it draws.
    columns
        Numbers of the predictors' columns, shape (p,).
    axes
        Place of each cell on each predictor's axis, shape (p, most cells).
    feature, threshold, left, begin, end
        The nodes, see :func:`sfumato.synthesis.tree_kernels.grow`. A parent comes before its
        children.
    donors
        Cells of the rows learned from, leaf by leaf, ascending within a leaf.
    """

    target: int
    columns: Integers
    axes: NDArray[np.int32]
    feature: NDArray[np.int32]
    threshold: NDArray[np.int32]
    left: NDArray[np.int32]
    begin: Integers
    end: Integers
    donors: NDArray[np.int32]

    @property
    def leaves(self) -> int:
        """Number of leaves."""
        return int((self.feature < 0).sum())

    def draw(
        self, cells: NDArray[np.int32], uniform: Floats, smoothing: float
    ) -> tuple[NDArray[np.int32], Floats]:
        """Return a cell for each row, and where in it the row lies.

        Parameters
        ----------
        cells
            What was drawn of the predictors, shape (n, columns of the table).
        uniform
            Random numbers between 0 and 1, shape (n,).
        smoothing
            How many rows of its parent's a leaf's donors are joined by.
        """
        from sfumato.synthesis.tree_kernels import fall

        drawn = np.empty(len(cells), dtype=np.int32)
        within = np.empty(len(cells))
        fall(
            *(self.feature, self.threshold, self.left, self.begin, self.end, self.donors),
            *(self.axes, self.columns, cells, np.ascontiguousarray(uniform), smoothing),
            *(drawn, within),
        )
        return drawn, within

    def shares(self, cell: int, smoothing: float) -> Floats:
        """Return the probability of one cell in each node, shape (nodes,)."""
        here = np.concatenate([[0], np.cumsum(self.donors == cell)])
        count = (here[self.end] - here[self.begin]).astype(np.float64)
        size = (self.end - self.begin).astype(np.float64)
        share: Floats = count / size
        if smoothing > 0:
            for node in np.flatnonzero(self.feature >= 0):  # parents before their children
                both = slice(int(self.left[node]), int(self.left[node]) + 2)
                share[both] = (count[both] + smoothing * share[node]) / (size[both] + smoothing)
        return share

    def shares_of(self, cells: NDArray[np.int32], share: Floats) -> Floats:
        """Return ``share`` of the leaf that each row falls into, shape (n,)."""
        from sfumato.synthesis.tree_kernels import leaf_shares

        found = np.empty(len(cells))
        leaf_shares(
            *(self.feature, self.threshold, self.left, share),
            *(self.axes, self.columns, cells, found),
        )
        return found

    def to_dict(self) -> dict[str, Any]:
        """Return the tree as plain JSON values."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {
            name: value.tolist() if isinstance(value, np.ndarray) else value
            for name, value in values.items()
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Return the tree that :meth:`to_dict` described."""
        narrow = {"axes", "feature", "threshold", "left", "donors"}
        arrays: dict[str, Any] = {
            name: np.asarray(value, dtype=np.int32 if name in narrow else np.int64)
            for name, value in values.items()
            if name != "target"
        }
        if arrays["axes"].ndim == 1:  # no predictors
            arrays["axes"] = arrays["axes"].reshape(0, 0)
        return cls(target=values["target"], **arrays)


def grow_tree(
    codes: NDArray[np.int32],
    grids: Sequence[ColumnGrid],
    target: int,
    predictors: Sequence[int],
    people: Floats,
    leaf: float,
    evidence: float,
) -> Tree:
    """Grow the tree of a column.

    Parameters
    ----------
    codes
        Cells of all columns, shape (n, columns), without gaps but in the target's column, where a
        row of -1 is not learned from.
    grids
        What the cells are.
    target, predictors
        Numbers of columns.
    people
        Share of a person that each row stands for, shape (n,).
    leaf
        Least number of people in a leaf.
    evidence
        How many times as good as a split at random a split has to be; 0 takes every split.
    """
    from sfumato.synthesis.tree_kernels import grow

    response = np.ascontiguousarray(codes[:, target])
    rows = np.flatnonzero(response >= 0)
    # A column of one cell tells nothing.
    predictors = [one for one in predictors if grids[one].cells > 1]
    if not predictors or grids[target].cells < 2:
        return _stump(target, response[rows])
    scores, indicator = _scores(codes, grids, target, predictors, rows)
    axes = np.zeros((len(predictors), max(grids[one].cells for one in predictors)), dtype=np.int32)
    starts = np.zeros(len(predictors) + 1, dtype=np.int64)
    placed = np.zeros((len(codes), len(predictors)), dtype=np.int32)
    for k, one in enumerate(predictors):
        axis = _axis(grids[one], codes[rows, one], response[rows], scores)
        axes[k, : axis.size] = axis
        starts[k + 1] = starts[k] + axis.max() + 1
        placed[:, k] = axis[codes[:, one]]
    most = 2 * rows.size + 1
    feature, threshold, left = (np.empty(most, dtype=np.int32) for _ in range(3))
    begin, end = (np.empty(most, dtype=np.int64) for _ in range(2))
    nodes = grow(
        *(placed, starts, response, scores, indicator, people, float(leaf), evidence),
        *(rows, feature, threshold, left, begin, end),
    )
    feature, threshold, left = (one[:nodes].copy() for one in (feature, threshold, left))
    begin, end = begin[:nodes].copy(), end[:nodes].copy()
    # In ascending order within each leaf, so that nothing is left of the order of the rows.
    leaves = np.flatnonzero(feature < 0)
    leaf_of = np.zeros(rows.size, dtype=np.int64)
    leaf_of[begin[leaves]] = 1
    donors = response[rows]
    donors = donors[np.lexsort((donors, np.cumsum(leaf_of)))]
    return Tree(
        target,
        np.asarray(predictors, dtype=np.int64),
        axes,
        *(feature, threshold, left, begin, end, donors),
    )


def _stump(target: int, donors: NDArray[np.int32]) -> Tree:
    """Return the tree of a column without predictors: one leaf."""
    none = np.full(1, -1, dtype=np.int32)
    whole = (np.zeros(1, dtype=np.int64), np.full(1, donors.size, dtype=np.int64))
    axes = np.zeros((0, 0), dtype=np.int32)
    columns = np.zeros(0, dtype=np.int64)
    return Tree(target, columns, axes, none, none.copy(), none.copy(), *whole, np.sort(donors))


def _scores(
    codes: NDArray[np.int32],
    grids: Sequence[ColumnGrid],
    target: int,
    predictors: Sequence[int],
    rows: Integers,
) -> tuple[Floats, bool]:
    """Return what each cell of the response counts as, shape (cells, d), and whether as itself."""
    grid = grids[target]
    if grid.kind == "category" and grid.cells <= _MOST_INDICATORS:
        return np.eye(grid.cells), True
    counts = np.bincount(codes[rows, target], minlength=grid.cells).astype(np.float64)
    if not grid.ordered:
        return _factors(codes[rows], grids, target, predictors, counts), False
    # What has an order counts by its rank: no single extreme decides a split.
    valued = counts[: grid.values]
    ranks = np.zeros((grid.cells, 1 + len(grid.empty)))
    middle = (np.cumsum(valued) - valued / 2) / max(valued.sum(), 1.0)
    mean = float(valued @ middle) / max(valued.sum(), 1.0)
    spread = np.sqrt(float(valued @ (middle - mean) ** 2) / max(valued.sum(), 1.0))
    ranks[: grid.values, 0] = (middle - mean) / spread if spread > 0 else 0.0
    for place in range(len(grid.empty)):
        ranks[grid.values + place, 1 + place] = 2.0
    return ranks, False


def _factors(
    codes: NDArray[np.int32],
    grids: Sequence[ColumnGrid],
    target: int,
    predictors: Sequence[int],
    counts: Floats,
) -> Floats:
    """Return the first factors of a category's values by what the predictors are among them."""
    size = grids[target].cells
    profiles = []
    for one in predictors:
        cells = grids[one].cells
        merged = np.minimum(np.arange(cells), cells - 1) * min(cells, _PLACES) // cells
        width = int(merged.max()) + 1
        table = np.bincount(
            codes[:, target].astype(np.int64) * width + merged[codes[:, one]],
            minlength=size * width,
        ).reshape(size, width)
        expected = table.sum(axis=0) / max(table.sum(), 1)
        shares = table / np.maximum(counts, 1)[:, None]
        profiles.append((shares - expected) / np.sqrt(np.maximum(expected, 1e-12)))
    weighted = np.sqrt(counts / counts.sum())[:, None] * np.hstack(profiles)
    weighted[counts == 0] = 0.0
    axes, values, _ = np.linalg.svd(weighted, full_matrices=False)
    axes, values = axes[:, :_FACTORS], values[:_FACTORS]
    signs = np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])
    scores = axes * signs * values / np.sqrt(np.maximum(counts / counts.sum(), 1e-12))[:, None]
    scores[counts == 0] = 0.0
    return np.ascontiguousarray(scores)


def _axis(
    grid: ColumnGrid, cells: NDArray[np.int32], response: NDArray[np.int32], scores: Floats
) -> NDArray[np.int32]:
    """Return the place of each cell of a predictor on the axis along which it is split.

    Numbers and categories with a declared order keep it, with the empty cells at the end whose
    response is nearer; other categories are put in the order of their mean response. Neighbours of
    few rows share a place.
    """
    size, answers = grid.cells, len(scores)
    counts = np.bincount(cells, minlength=size).astype(np.float64)
    along = np.arange(size, dtype=np.float64)
    if not grid.ordered or grid.empty:
        table = np.bincount(cells.astype(np.int64) * answers + response, minlength=size * answers)
        sums = table.reshape(size, answers) @ scores
        means = sums / np.maximum(counts, 1.0)[:, None]
        if not grid.ordered:
            along = _principal(means, counts)
        else:
            middle = np.searchsorted(
                np.cumsum(counts[: grid.values]), counts[: grid.values].sum() / 2
            )
            low, high = (
                sums[part].sum(axis=0) / max(counts[part].sum(), 1.0)
                for part in (slice(0, middle), slice(middle, grid.values))
            )
            for cell in range(grid.values, size):
                nearer_low = ((means[cell] - low) ** 2).sum() < ((means[cell] - high) ** 2).sum()
                along[cell] = grid.values - 1.0 - cell if nearer_low else cell
    order = np.lexsort((np.arange(size), along))
    # A group is closed by the cell with which it reaches its share, so that atoms stand alone.
    share = counts[order].sum() / _PLACES
    group = np.zeros(size, dtype=np.int32)
    reached, current, last_empty = 0.0, 0, 0
    if size <= _PLACES:
        group = np.arange(size, dtype=np.int32)
    else:
        empties = set(range(grid.values, size))
        for place, cell in enumerate(order):
            alone = counts[cell] >= share or int(cell) in empties
            if place and (alone or last_empty or reached + counts[cell] > share):
                current, reached = current + 1, 0.0
            group[place] = current
            reached += counts[cell]
            last_empty = int(alone)
    axis = np.empty(size, dtype=np.int32)
    axis[order] = group
    return axis


def _principal(means: Floats, counts: Floats) -> Floats:
    """Return the first principal component of mean responses, weighted by their rows."""
    share = counts / max(counts.sum(), 1.0)
    centred = means - share @ means
    if means.shape[1] == 1:
        return np.asarray(centred[:, 0])
    spread = (centred * share[:, None]).T @ centred
    along = np.asarray(centred @ np.linalg.eigh(spread)[1][:, -1])
    along[counts == 0] = 0.0
    return along if along[np.abs(along).argmax()] >= 0 else -along
