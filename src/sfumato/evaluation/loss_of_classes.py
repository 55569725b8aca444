"""Information loss of classes: how many rows, tuples or targets a class mixes up."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from sfumato.errors import SchemaError
from sfumato.evaluation.loss_measures import (
    Measured,
    Options,
    leaves_of,
    need_pairs,
    need_truth,
)
from sfumato.evaluation.released_cells import ReleasedCells
from sfumato.table.counting import count_tuples

__all__ = [
    "ambiguity",
    "average_class_size",
    "classification",
    "discernibility",
    "discernibility_star",
    "kullback_leibler",
]

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


def discernibility(cells: ReleasedCells, options: Options) -> Measured:  # noqa: ARG001
    """Sum of squared class sizes; a suppressed row is confused with every row."""
    sizes = cells.class_sizes
    of_kept = sizes[~cells.class_suppressed]
    value = float(of_kept @ of_kept) + cells.suppressed_weight * cells.total
    before = _sizes_before(cells)
    return Measured(value, least=float(before @ before), most=cells.total**2)


def discernibility_star(cells: ReleasedCells, options: Options) -> Measured:  # noqa: ARG001
    """Sum of squared class sizes; the suppressed rows are one class."""
    sizes, before = cells.class_sizes, _sizes_before(cells)
    return Measured(float(sizes @ sizes), least=float(before @ before), most=cells.total**2)


def average_class_size(cells: ReleasedCells, options: Options) -> Measured:  # noqa: ARG001
    """Rows for each class; the suppressed rows are one class."""
    least = cells.total / len(_sizes_before(cells))
    return Measured(cells.total / len(cells.class_sizes), least=least, most=cells.total)


def _sizes_before(cells: ReleasedCells) -> Floats:
    """Return the class sizes of the real rows; if they are not known, every row is alone."""
    if not cells.paired:
        return cells.weights
    return np.bincount(_tuple_of_row(cells), cells.weights).astype(np.float64)


def _tuple_of_row(cells: ReleasedCells) -> Integers:
    """Return the number of each row's real tuple."""
    counted = count_tuples(
        [leaves_of(column).astype(np.uint32) for column in cells.columns],
        [column.domain.ladder.n_leaves for column in cells.columns],
        cells.rows,
        inverse=True,
    )
    if counted.inverse is None:  # pragma: no cover (asked for)
        raise ValueError("the tuples of the rows were asked for")
    return counted.inverse


def ambiguity(cells: ReleasedCells, options: Options) -> Measured:  # noqa: ARG001
    """Tuples of values that a row could stand for, mean over rows."""
    logs = _log_area(cells)
    value = float(cells.weights @ np.exp2(logs)) / cells.total
    most = float(np.exp2(sum(np.log2(column.domain.size) for column in cells.columns)))
    return Measured(value, least=1.0, most=most)


def kullback_leibler(cells: ReleasedCells, options: Options) -> Measured:  # noqa: ARG001
    """Bits between how tuples are distributed and how the release says they are."""
    need_pairs(cells, "kl")
    need_truth(cells)
    of_row = _tuple_of_row(cells)
    tuples = np.bincount(of_row, cells.weights)[of_row]
    own = np.log2(np.maximum(tuples, np.finfo(np.float64).tiny))
    said = np.log2(np.maximum(cells.class_sizes, np.finfo(np.float64).tiny))[cells.class_of_row]
    most = sum(np.log2(column.domain.size) for column in cells.columns) - np.log2(cells.total)
    value = float(cells.weights @ (own + _log_area(cells) - said)) / cells.total
    return Measured(value, most=float(cells.weights @ own) / cells.total + float(most))


def classification(cells: ReleasedCells, options: Options) -> Measured:
    """Rows that are suppressed or not of the commonest target class of their class."""
    target = options.target
    if target is None:
        raise SchemaError(
            "'classification' measures whether the classes of a target stay apart: name the target "
            "(target=, or in the schema)"
        )
    if target in cells.released.columns:
        values = cells.released[target]
    elif target in cells.real.columns:
        need_pairs(cells, "classification by a target that is not released")
        values = cells.real[target]
    else:
        raise SchemaError(f"neither table has the target {target!r}")
    pairs = (
        pl.DataFrame({"class": cells.class_of_row, "target": values, "weight": cells.weights})
        .filter(~pl.Series(cells.suppressed))
        .group_by("class", "target")
        .agg(pl.col("weight").sum())
        .group_by("class")
        .agg(pl.col("weight").max())
    )
    agreeing = float(pairs["weight"].sum())
    return Measured((cells.total - agreeing) / cells.total)


def _log_area(cells: ReleasedCells) -> Floats:
    """Return the binary logarithm of how many tuples of leaves each row could stand for."""
    areas = np.zeros(cells.rows)
    for column in cells.columns:
        leaves = np.where(column.hidden, column.domain.size, column.meanings.leaves)
        areas += np.log2(leaves)[column.of_row]
    return areas
