"""Information loss of numbers: how far what is shown lies from what is."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sfumato.errors import SchemaError
from sfumato.evaluation.loss_measures import (
    Measured,
    Options,
    leaves_of,
    need_pairs,
)
from sfumato.evaluation.released_cells import ReleasedCells, ReleasedColumn

__all__ = [
    "record_squared_error",
    "squared_error",
    "sum_of_squares_within",
]

Floats = npt.NDArray[np.float64]


def squared_error(cells: ReleasedCells, options: Options) -> Measured:  # noqa: ARG001
    """Squared distance of each number from the middle of what is shown, by the variance."""
    need_pairs(cells, "squared-error")
    losses = {}
    for column in _columns_of_numbers(cells, "squared-error"):
        real, shown = _numbers(column)
        mean = _weighted_mean(real, cells.weights)
        error = np.where(np.isnan(shown), mean, shown) - real
        losses[column.name] = _ratio(cells, error, real - mean)
    return Measured(float(np.mean(list(losses.values()))), losses)


def record_squared_error(cells: ReleasedCells, options: Options) -> Measured:  # noqa: ARG001
    """Squared distance of each row from what is shown of it, mean over columns and rows."""
    need_pairs(cells, "record-squared-error")
    losses = {}
    for column in cells.columns:
        if column.domain.numbers is None:
            share = np.where(column.meanings.exact, 0.0, column.meanings.share)
            distance = np.where(column.hidden, 1.0, share)[column.of_row]
        else:
            low, high = column.domain.ends
            real, shown = _numbers(column)
            distance = np.abs(shown - real) / (high - low if high > low else 1.0)
            distance = np.where(np.isnan(distance), column.hidden[column.of_row], distance)
        squares = np.minimum(distance, 1.0) ** 2
        losses[column.name] = float(cells.weights @ squares) / cells.total
    return Measured(float(np.mean(list(losses.values()))), losses)


def sum_of_squares_within(cells: ReleasedCells, options: Options) -> Measured:  # noqa: ARG001
    """Spread of the real numbers within classes, as a share of their whole spread."""
    need_pairs(cells, "sse-sst")
    losses = {}
    for column in _columns_of_numbers(cells, "sse-sst"):
        real, _ = _numbers(column)
        known = ~np.isnan(real)
        of_class, weights = cells.class_of_row[known], cells.weights[known]
        sums = np.bincount(of_class, weights * real[known])
        sizes = np.bincount(of_class, weights)
        means = sums / np.maximum(sizes, np.finfo(np.float64).tiny)
        within = np.zeros(len(real))
        within[known] = real[known] - means[of_class]
        losses[column.name] = _ratio(cells, within, real - _weighted_mean(real, cells.weights))
    return Measured(float(np.mean(list(losses.values()))), losses)


def _columns_of_numbers(cells: ReleasedCells, measure: str) -> list[ReleasedColumn]:
    found = [column for column in cells.columns if column.domain.numbers is not None]
    if not found:
        raise SchemaError(f"{measure!r} measures numbers, and no quasi-identifier is one")
    return found


def _numbers(column: ReleasedColumn) -> tuple[Floats, Floats]:
    """Return the number of each row, and the middle of what is shown of it; ``nan`` for none."""
    numbers = column.domain.numbers
    if numbers is None:  # pragma: no cover (only columns of numbers are asked)
        raise ValueError("a column of numbers was asked for")
    shown = column.meanings.middle[column.of_row]
    return numbers[leaves_of(column)], shown


def _ratio(cells: ReleasedCells, error: Floats, whole: Floats) -> float:
    """Return the weighted sum of squared errors by that of the whole, missing numbers left out."""
    known = ~np.isnan(whole)
    squares = float(cells.weights[known] @ whole[known] ** 2)
    errors = float(cells.weights[known] @ np.nan_to_num(error[known]) ** 2)
    if squares == 0:
        return 0.0 if errors == 0 else 1.0
    return errors / squares


def _weighted_mean(values: Floats, weights: Floats) -> float:
    known = ~np.isnan(values)
    weight = weights[known].sum()
    return float(values[known] @ weights[known] / weight) if weight else 0.0
