"""Pearson correlations of the numeric columns, over the rows where both are known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from sfumato.table.preparation.midpoints import read_numbers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["Correlations", "correlate"]

_ROWS_AT_ONCE = 65_536


@dataclass(frozen=True)
class Correlations:
    """A symmetric table of correlations.

    Parameters
    ----------
    columns
        The numeric columns, in table order.
    matrix
        One row for each column; None where a correlation is not defined (a constant column, or
        fewer than two rows where both are known).
    left_out
        How many further numeric columns the table has.
    """

    columns: tuple[str, ...]
    matrix: tuple[tuple[float | None, ...], ...]
    left_out: int = 0

    def between(self, one: str, other: str) -> float | None:
        """Return the correlation of two of the columns."""
        return self.matrix[self.columns.index(one)][self.columns.index(other)]


def correlate(table: pl.DataFrame, columns: Sequence[str], *, limit: int = 60) -> Correlations:
    """Correlate the first ``limit`` of the numeric columns, each pair over its complete rows.

    Examples
    --------
    >>> table = pl.DataFrame({"a": [1, 2, 3, None], "b": [2.0, 4.0, 6.0, 0.0]})
    >>> round(correlate(table, ["a", "b"]).between("a", "b"), 12)
    1.0
    """
    used = list(columns)[:limit]
    width = len(used)
    count, sums, squares, products = (np.zeros((width, width)) for _ in range(4))
    centres, scales = np.zeros(width), np.ones(width)
    for place, name in enumerate(used):
        values, _ = read_numbers(table[name])
        known = values[~np.isnan(values)]
        if known.size:
            # Centred and scaled first: sums of squares of large numbers lose all their digits.
            centres[place] = known.mean()
            scales[place] = known.std() or 1.0
    for start in range(0, table.height, _ROWS_AT_ONCE):
        block = table.slice(start, _ROWS_AT_ONCE)
        values = np.empty((block.height, width))
        for place, name in enumerate(used):
            values[:, place] = read_numbers(block[name])[0]
        values = (values - centres) / scales
        known = ~np.isnan(values)
        values = np.where(known, values, 0.0)
        weight = known.astype(np.float64)
        count += weight.T @ weight
        sums += values.T @ weight
        squares += (values**2).T @ weight
        products += values.T @ values
    return Correlations(
        tuple(used), _correlations(count, sums, squares, products), len(columns) - width
    )


def _correlations(
    count: NDArray[np.float64],
    sums: NDArray[np.float64],
    squares: NDArray[np.float64],
    products: NDArray[np.float64],
) -> tuple[tuple[float | None, ...], ...]:
    """Return correlations from sums; entry (i, j) of each is over the rows where j is known too."""
    with np.errstate(invalid="ignore", divide="ignore"):
        covariance = products - sums * sums.T / count
        variance = squares - sums**2 / count
        matrix = covariance / np.sqrt(variance * variance.T)
    # A spread of rounding errors is no spread.
    void = ~np.isfinite(matrix) | (np.minimum(variance, variance.T) < 1e-9) | (count < 2)
    matrix = np.clip(matrix, -1.0, 1.0)
    return tuple(
        tuple(None if empty else float(value) for value, empty in zip(row, voids, strict=True))
        for row, voids in zip(matrix, void, strict=True)
    )
