"""How strongly each two columns of a table go together, whatever their types.

Two numbers: Pearson's correlation, with its sign. Two categories: Cramer's V, corrected for the
strength that chance alone shows. A number and a category: the correlation ratio, corrected the same
way. A missing or suppressed cell is a value of a category; numbers are compared where they are.

References
----------
W. Bergsma, "A bias-correction for Cramer's V and Tschuprow's T", Journal of the Korean Statistical
Society 42 (2013); T. L. Kelley, "An unbiased correlation ratio measure", PNAS 21 (1935).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from sfumato.evaluation.alignment import AlignedColumn

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

__all__ = ["associations", "ranked"]

_MOST_VALUES = 100  # rarer values of a category are told as one
_STATES = 3


def associations(columns: Sequence[AlignedColumn]) -> tuple[Floats, ...]:
    """Return the association of each two columns, in each of the tables.

    Parameters
    ----------
    columns
        The columns to compare, each aligned over the same tables.

    Returns
    -------
    tuple of arrays of shape (columns, columns)
        One for each table; 1 on the diagonal; NaN where a column does not vary in that table or
        two columns are never known together.
    """
    numbers = [i for i, column in enumerate(columns) if column.kind == "number"]
    categories = [i for i, column in enumerate(columns) if column.kind == "category"]
    codes = {i: _codes(columns[i]) for i in categories}
    tables = len(columns[0].content) if columns else 0
    return tuple(
        _matrix(
            len(columns),
            numbers,
            [np.asarray(columns[i].content[table], dtype=np.float64) for i in numbers],
            categories,
            [codes[i][table] for i in categories],
        )
        for table in range(tables)
    )


def ranked(column: AlignedColumn) -> AlignedColumn:
    """Return a number as its ranks within each table, so that Pearson's becomes Spearman's.

    Ties share their mean rank (Spearman, American Journal of Psychology 15, 1904).

    Parameters
    ----------
    column
        A number; a category is returned as it is.
    """
    from scipy.stats import rankdata

    if column.kind == "category":
        return column
    ranks = tuple(
        np.asarray(rankdata(content, nan_policy="omit"), dtype=np.float64)
        if len(content)
        else np.asarray(content, dtype=np.float64)
        for content in column.content
    )
    return replace(column, content=ranks)


def _codes(column: AlignedColumn) -> list[Integers]:
    """Return the codes of each table: the most frequent values, the rest, missing, suppressed."""
    first = column.content[0]
    counts = np.bincount(first[first >= 0].astype(np.int64), minlength=len(column.labels))
    order = np.argsort(-counts, kind="stable")[:_MOST_VALUES]
    told = np.full(len(column.labels) + 1, _STATES, dtype=np.int64)
    told[order] = _STATES + 1 + np.arange(order.size)
    return [
        np.where(state > 0, state, told[content.astype(np.int64)])
        for content, state in zip(column.content, column.state, strict=True)
    ]


def _matrix(
    size: int,
    numbers: list[int],
    values: list[Floats],
    categories: list[int],
    codes: list[Integers],
) -> Floats:
    matrix = np.full((size, size), np.nan)
    np.fill_diagonal(matrix, 1.0)
    if numbers:
        standard = np.column_stack([_standard(one) for one in values])
        there = ~np.isnan(standard)
        filled = np.where(there, standard, 0.0)
        matrix[np.ix_(numbers, numbers)] = _pearson(filled, there)
    if not categories:
        return matrix
    compact = [_compact(one) for one in codes]
    sizes = [int(one.max()) + 1 for one in compact]
    # one number after the other in memory, as they are counted one by one
    contiguous = np.ascontiguousarray(filled.T) if numbers else np.zeros((0, 0))
    present = [
        None if there[:, j].all() else there[:, j].astype(np.float64) for j in range(len(numbers))
    ]
    squares = [float((one**2).sum()) for one in contiguous]
    for i, category in enumerate(categories):
        for j in range(i):
            joint = compact[i] * np.int32(sizes[j]) + compact[j]
            counts = np.bincount(joint, minlength=sizes[i] * sizes[j])
            value = _cramer(counts.reshape(sizes[i], sizes[j]).astype(np.float64))
            matrix[category, categories[j]] = matrix[categories[j], category] = value
        all_known = np.bincount(compact[i], minlength=sizes[i]).astype(np.float64)
        for j, number in enumerate(numbers):
            sums = np.bincount(compact[i], contiguous[j], sizes[i])
            known = (
                all_known if present[j] is None else np.bincount(compact[i], present[j], sizes[i])
            )
            value = _ratio(np.asarray(sums, float), np.asarray(known, float), squares[j])
            matrix[category, number] = matrix[number, category] = value
    return matrix


def _compact(codes: Integers) -> NDArray[np.int32]:
    """Return codes without gaps; at most a hundred and some, so that pairs of them fit."""
    used = np.flatnonzero(np.bincount(codes))
    place = np.zeros(int(used[-1]) + 1, dtype=np.int32)
    place[used] = np.arange(used.size, dtype=np.int32)
    return place[codes]


def _standard(values: Floats) -> Floats:
    """Return the values with mean 0 and deviation 1, so that sums of squares stay exact."""
    known = values[~np.isnan(values)]
    if known.size == 0:
        return values
    deviation = float(known.std())
    centred = values - known.mean()
    varies = deviation > 1e-12 * max(1.0, abs(float(known.mean())))
    return np.asarray(centred / deviation if varies else centred * 0.0)


def _pearson(filled: Floats, there: NDArray[np.bool_]) -> Floats:
    present = there.astype(np.float64)
    rows = np.maximum(present.T @ present, 1.0)
    sums = filled.T @ present
    products = filled.T @ filled - sums * sums.T / rows
    squares = (filled**2).T @ present - sums**2 / rows
    scale = np.sqrt(np.maximum(squares * squares.T, 0.0))
    varies = scale > 1e-9
    values = np.divide(products, scale, out=np.full_like(products, np.nan), where=varies)
    np.fill_diagonal(values, 1.0)
    return np.asarray(np.clip(values, -1.0, 1.0))


def _cramer(counts: Floats) -> float:
    """Return the bias-corrected Cramer's V of a table of counts; NaN if a side does not vary."""
    rows, columns = (int((counts.sum(axis=axis) > 0).sum()) for axis in (1, 0))
    n = float(counts.sum())
    if min(rows, columns) < 2 or n < 2:
        return float("nan")
    expected = np.outer(counts.sum(axis=1), counts.sum(axis=0)) / n
    filled = expected > 0
    chi2 = float(((counts - expected)[filled] ** 2 / expected[filled]).sum())
    by_chance = (rows - 1) * (columns - 1) / (n - 1)
    phi2 = max(0.0, chi2 / n - by_chance)
    corrected = min(rows - (rows - 1) ** 2 / (n - 1), columns - (columns - 1) ** 2 / (n - 1))
    return float(min(1.0, np.sqrt(phi2 / (corrected - 1)))) if corrected > 1 else float("nan")


def _ratio(sums: Floats, known: Floats, squares: float) -> float:
    """Return the correlation ratio from sums per category; NaN if a side does not vary."""
    inside = known > 0
    n, groups = float(known.sum()), int(inside.sum())
    mean = float(sums.sum()) / max(n, 1.0)
    total = squares - n * mean**2
    if groups < 2 or n <= groups or total <= 1e-9:
        return float("nan")
    between = float((sums[inside] ** 2 / known[inside]).sum()) - n * mean**2
    share = min(max(between / total, 0.0), 1.0)
    return float(np.sqrt(max(0.0, 1.0 - (1.0 - share) * (n - 1) / (n - groups))))
