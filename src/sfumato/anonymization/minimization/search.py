"""The search for cells: pruned level by level, or freed of columns, until the target is kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from sfumato.anonymization.guided.carried import Carried
from sfumato.anonymization.guided.coding import codes_of, is_number, matrix
from sfumato.anonymization.guided.guide import guide_of_answers
from sfumato.anonymization.guided.guide_tree import Growth, GuideTree
from sfumato.anonymization.guided.learning_frames import Rows
from sfumato.anonymization.guided.representatives import most_frequent
from sfumato.anonymization.minimization.bounds import lower_bound, relative_accuracy
from sfumato.anonymization.minimization.generalizations import Generalizations
from sfumato.anonymization.scales import numbers_of_column

__all__ = ["Asked", "Found", "search"]

Integers = npt.NDArray[np.int64]
Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Asked:
    """What is asked of the generalizations.

    Parameters
    ----------
    target
        Least relative accuracy.
    features
        The columns that may be generalized.
    categorical
        Columns of numbers that are categories.
    slices
        Columns that are generalized together or not at all.
    only_features
        Whether cells are made of these columns alone.
    held_out
        Share of the rows that are held out, 0 to 1.
    confidence
        See :class:`Minimize`.
    regression
        Whether the model answers quantities.
    seed
        Of the split, and of equally good splits of the tree.
    """

    target: float
    features: tuple[str, ...]
    categorical: tuple[str, ...]
    slices: tuple[tuple[str, ...], ...]
    only_features: bool
    held_out: float
    confidence: float | None
    regression: bool
    seed: int


@dataclass(frozen=True, eq=False)
class Found:
    """The generalizations, and the row whose values each cell carries (of those given)."""

    generalizations: Generalizations
    representatives: Integers


@dataclass(frozen=True, eq=False)
class _Cells:
    """Cells of one tree: which cell each row is in, and the row that stands for each cell."""

    tree: GuideTree
    of_row: Integers
    rows: Integers


def search(rows: Rows, before: Array, ask: Callable[[Any], Array], asked: Asked) -> Found:
    """Return generalizations under which the model still answers as before.

    Parameters
    ----------
    rows
        The model's inputs (n).
    before
        What it answers to them.
    ask
        Gives its answers to rows of the same kind.
    asked
        What is asked.

    Notes
    -----
    The cells are grown on one part of the rows. Which columns are freed first is decided on a
    second part. Then candidates are tried on a third, from the most detailed one on, and the
    last before the first that fails is kept: a fixed sequence of tests, each at the same
    confidence, so that the confidence holds for the one that is kept (W. Maurer et al. 1995).
    """
    part = _parts(before, asked)
    grow, order, confirm = (np.flatnonzero(part == one) for one in range(3))
    if asked.confidence is None:
        order = confirm = np.concatenate([order, confirm])
    names = [name for name in rows.names if name in asked.features or not asked.only_features]
    table = rows.table
    codes = codes_of(table, names, asked.categorical)
    features = matrix(table, codes)
    guide = guide_of_answers(
        before, len(before), "regression" if asked.regression else "classification", ""
    )
    tree = GuideTree.grow(
        features[grow],
        guide.target[grow],
        Growth(seed=asked.seed),
        regression=asked.regression,
    )
    groups = _groups(asked)

    def cells_of(one: GuideTree) -> _Cells:
        of_row = one.fall(features)
        return _Cells(one, of_row, _stand_ins(features, of_row, grow, guide.target, asked, one))

    def answers(cells: _Cells, free: Sequence[tuple[str, ...]], tested: Integers) -> Array:
        told = {name for group in groups if group not in free for name in group}
        stand_ins = cells.rows[cells.of_row[tested]]
        return ask(rows.mixed(tested, dict.fromkeys(told, stand_ins)))

    def accuracy(cells: _Cells, free: Sequence[tuple[str, ...]], tested: Integers) -> float:
        found = answers(cells, free, tested)
        return relative_accuracy(found, before[tested], regression=asked.regression)

    def sure(cells: _Cells, free: Sequence[tuple[str, ...]]) -> tuple[float, float]:
        """Return the accuracy on the confirming rows, and what it is at least."""
        if len(free) == len(groups):
            return 1.0, 1.0  # nothing is changed, so nothing is answered otherwise
        found = answers(cells, free, confirm)
        share = relative_accuracy(found, before[confirm], regression=asked.regression)
        if asked.confidence is None:
            return share, share
        least = lower_bound(
            found,
            before[confirm],
            regression=asked.regression,
            confidence=asked.confidence,
            seed=asked.seed,
        )
        return share, least

    def described(
        cells: _Cells, free: Sequence[tuple[str, ...]], kept: tuple[float, float]
    ) -> Found:
        told = [name for group in groups if group not in free for name in group]
        generalized = tuple(name for name in rows.names if name in told)
        untouched = tuple(name for name in rows.names if name not in told)
        carried = Carried(
            pl.DataFrame([table[name].gather(cells.rows) for name in generalized]),
            ("the value of the cell",) * len(generalized),
        )
        limits = {}
        for code in codes:
            if code.categories is None:
                numbers = numbers_of_column(table[code.name])
                known = numbers[~np.isnan(numbers)]
                limits[code.name] = (
                    (float(known.min()), float(known.max())) if len(known) else (0.0, 0.0)
                )
        whole = tuple(
            name
            for name in names
            if is_number(table[name])
            and not np.any(numbers_of_column(table[name].drop_nulls()) % 1)
        )
        made = Generalizations(
            codes,
            cells.tree,
            carried,
            generalized,
            untouched,
            limits,
            whole,
            kept[0],
            kept[1],
            asked.confidence,
            asked.target,
        )
        return Found(made, cells.rows)

    cells = cells_of(tree)
    kept = sure(cells, [])
    if kept[1] >= asked.target:
        # level by level from the bottom, as long as the target is kept
        for depth in range(int(tree.depth.max(initial=0)) - 1, -1, -1):
            coarser = cells_of(tree.cut(tree.depth == depth))
            found = sure(coarser, [])
            if found[1] < asked.target:
                break
            cells, kept = coarser, found
        return described(cells, [], kept)
    people = np.bincount(cells.of_row, minlength=len(tree.leaves))
    penalties = described(cells, [], kept).generalizations.column_penalties(people)
    freed: list[tuple[str, ...]] = []
    now = accuracy(cells, freed, order)
    while len(freed) < len(groups):
        left = [group for group in groups if group not in freed]
        gains = np.array([accuracy(cells, [*freed, one], order) for one in left]) - now
        lost = np.array([np.mean([penalties[name] for name in one]) for one in left])
        ratios = np.where(gains > 0, lost / np.where(gains > 0, gains, 1), np.inf)
        # where no column helps alone, the one that is generalized least goes first
        best = int(np.argmin(ratios if np.isfinite(ratios).any() else lost))
        now += float(gains[best])
        freed.append(left[best])
        if asked.confidence is None and now >= asked.target:
            return described(cells, freed, sure(cells, freed))
    free = freed
    kept = sure(cells, free)
    while free:
        found = sure(cells, free[:-1])
        if found[1] < asked.target:
            break
        free, kept = free[:-1], found
    return described(cells, free, kept)


def _groups(asked: Asked) -> list[tuple[str, ...]]:
    held = {name for one in asked.slices for name in one}
    alone = [(name,) for name in asked.features if name not in held]
    return [*asked.slices, *alone]


def _parts(before: Array, asked: Asked) -> Integers:
    """Return the part of each row: 0 to grow cells, 1 to order columns, 2 to confirm."""
    n = len(before)
    chance = np.random.default_rng(asked.seed)
    order = chance.permutation(n)
    if not asked.regression and before.ndim == 1:
        # by class, so that each part has its share of each
        classes = np.unique(before, return_inverse=True)[1].reshape(-1)
        order = order[np.argsort(classes[order], kind="stable")]
    place = (np.arange(n) + chance.random()) * 0.6180339887498949 % 1.0
    part = np.zeros(n, dtype=np.int64)
    part[order] = np.where(
        place < 1 - asked.held_out, 0, np.where(place < 1 - asked.held_out / 2, 1, 2)
    )
    return part


def _stand_ins(
    features: npt.NDArray[np.float32],
    of_row: Integers,
    grow: Integers,
    target: Array,
    asked: Asked,
    tree: GuideTree,
) -> Integers:
    """Return for each cell the row that stands for it.

    Of the rows that the cells were grown on, with the class that most of the cell have, the one
    nearest to the cell's median, feature by feature on a scale of one.
    """
    n = len(tree.leaves)
    cell = of_row[grow]
    part = features[grow].astype(np.float64)
    spread = part.std(axis=0)
    part = part / np.where(spread > 0, spread, 1.0)
    sizes = np.bincount(cell, minlength=n)
    starts = np.cumsum(sizes) - sizes
    distance = np.zeros(len(cell))
    for column in part.T:
        ranked = column[np.lexsort((column, cell))]
        last = len(ranked) - 1
        low = ranked[np.minimum(starts + (sizes - 1) // 2, last)]
        high = ranked[np.minimum(starts + sizes // 2, last)]
        distance += (column - (low + high)[cell] / 2) ** 2
    if not asked.regression:
        codes = np.unique(target[grow].reshape(len(grow), -1), axis=0, return_inverse=True)[1]
        codes = codes.reshape(-1).astype(np.int64)
        usual = codes[most_frequent(codes, cell, n)]
        distance = np.where(codes == usual[cell], distance, np.inf)
    nearest = np.lexsort((distance, cell))
    found: Integers = grow[nearest[starts]]
    return found
