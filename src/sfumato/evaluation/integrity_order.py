"""Whether rows stand in an order that says whose they are.

References
----------
C. Spearman, "The proof and measurement of association between two things", American Journal of
Psychology 15 (1904); W. Hoeffding, "A combinatorial central limit theorem", Annals of Mathematical
Statistics 22 (1951); P. I. Good, "Permutation, Parametric and Bootstrap Tests of Hypotheses" (2005)
for ranks permuted within blocks.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from sfumato.evaluation.integrity_findings import (
    IntegrityFinding,
    failed,
    not_applicable,
    passed,
)
from sfumato.evaluation.integrity_sides import Sides

__all__ = ["RowOrder", "order_findings", "row_order"]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

_LEVEL = 1e-3
_LEAST_ROWS = 10
_FEW = 50
_DRAWS = 1_999
_LEAST_DISTINCT = 20
_INDEX_NAMES = ("index", "level_0", "rowid", "row_number", "rownum", "row_id", "_row", "rowname")


@dataclass(frozen=True)
class RowOrder:
    """How far the order of released rows follows the source.

    Parameters
    ----------
    correlation
        "matched rows": Spearman's, between places of rows that only one row of either table has,
        -1 to 1. "same places": the mean over columns of the correlation between what released cells
        stand for and the real cells at the same places, -1 to 1.
    rows
        Rows that were compared.
    p_value
        Probability of an order as close, for matched rows either way, if rows had been shuffled.
    how
        "matched rows" or "same places".
    """

    correlation: float
    rows: int
    p_value: float
    how: str


def order_findings(sides: Sides, found: RowOrder | str) -> Iterator[IntegrityFinding]:
    """Yield SF106 (of what :func:`row_order` returned), SF107 and SF121."""
    if isinstance(found, str):
        status = "not applicable" if sides.real is None else "not run"
        yield not_applicable("SF106", found, status)  # type: ignore[arg-type]
    elif found.p_value <= _LEVEL:
        yield failed("SF106", (), found.rows, "rows", _order_in_words(found), found.p_value)
    else:
        yield passed("SF106", "rows", _order_in_words(found), found.p_value)
    numbering = [name for name in sides.columns if _numbers_rows(sides.released[name])]
    if numbering:
        meaning = "Every row has a number of its own, and the numbers run on."
        yield failed("SF107", numbering, len(numbering), "columns", meaning)
    else:
        yield passed("SF107", "columns")
    index = [name for name in sides.released.columns if _is_index(name)]
    index = [name for name in index if sides.real is None or name not in sides.real.columns]
    if index:
        meaning = "Columns are named as programs name the index of a table."
        yield failed("SF121", index, len(index), "columns", meaning)
    else:
        yield passed("SF121", "columns")


def row_order(sides: Sides) -> RowOrder | str:
    """Return how far the order of the rows follows the source, or why it is not known.

    Rows that are alone in both tables, in all columns that are written alike, are matched, and
    their places compared; within equal values of a column by which the release is sorted, since
    such an order says no more than the column does. With too few of them, and equally many rows
    on both sides, the cells at the same places are compared, whatever they were generalized to.
    """
    real = sides.real
    if real is None:
        return "There is no real table whose order could be followed."
    if min(real.height, sides.released.height) < _LEAST_ROWS:
        return f"Fewer than {_LEAST_ROWS} rows have no order to speak of."
    if sides.alike:
        found = _of_matched_rows(sides, real)
        if found is not None:
            return found
    if real.height != sides.released.height or not sides.shared or real.height < 2 * _FEW:
        return "Too few rows are alone in both tables to be matched, or at the same places."
    return _of_same_places(sides, real)


def _of_matched_rows(sides: Sides, real: pl.DataFrame) -> RowOrder | None:
    names = list(sides.alike)
    keys = [
        pl.col(name).cast(pl.Float64) if name in sides.numbers else pl.col(name) for name in names
    ]
    alone = [
        table.select(keys).with_row_index("place of the row").filter(pl.struct(names).is_unique())
        for table in (sides.released, real)
    ]
    matched = alone[0].join(alone[1], on=names, how="inner", nulls_equal=True, suffix=" there")
    if matched.height < _LEAST_ROWS:
        return None
    matched = matched.sort("place of the row")
    here = matched["place of the row"].to_numpy().astype(np.int64)
    there = matched["place of the row there"].to_numpy().astype(np.int64)
    blocks = _blocks(sides.released.select(sides.columns))[here]
    correlation, p_value = _within_blocks(here, there, blocks, sides.seed)
    return RowOrder(correlation, matched.height, p_value, "matched rows")


def _blocks(released: pl.DataFrame) -> Integers:
    """Return the run of equal values that each row is in, of the column that sorts them best.

    A column that numbers the rows is none: it is the order itself.
    """
    best = np.zeros(released.height, np.int64)
    for column in released.iter_columns():
        if (
            _numbers_rows(column)
            or column.null_count()
            or column.dtype not in (pl.Int64, pl.Float64, pl.String, pl.Date)
        ):
            continue
        if column.is_sorted() or column.is_sorted(descending=True):
            runs = column.rle_id().to_numpy().astype(np.int64)
            if runs.max() > best.max():
                best = runs
    return best


def _within_blocks(
    here: Integers, there: Integers, blocks: Integers, seed: int
) -> tuple[float, float]:
    order = np.lexsort((here, blocks))
    blocks = blocks[order]
    starts = np.flatnonzero(np.concatenate([[True], blocks[1:] != blocks[:-1]]))
    sizes = np.diff(np.append(starts, len(blocks)))
    mine = _centred(np.arange(len(blocks)), starts, sizes)
    theirs_of = there[order]
    ranks = np.empty(len(blocks), np.int64)
    ranks[np.lexsort((theirs_of, blocks))] = np.arange(len(blocks))
    theirs = _centred(ranks, starts, sizes)
    # the ranks of a block without ties: their squares sum to n (n^2 - 1) / 12
    squares = sizes * (sizes.astype(np.float64) ** 2 - 1) / 12
    total = float(squares.sum())
    if total <= 0:
        return 0.0, 1.0
    product = float((mine * theirs).sum())
    if len(blocks) >= _FEW:
        spread = math.sqrt(float((squares**2 / np.maximum(sizes - 1, 1)).sum()))
        p_value = math.erfc(abs(product) / spread / math.sqrt(2))
    else:
        random = np.random.default_rng(seed)
        # a number below 1 beside the block shuffles rows within their block only
        shuffled = np.argsort(blocks + random.random((_DRAWS, len(blocks))), axis=1)
        drawn = theirs[shuffled] @ mine
        p_value = (1 + int((np.abs(drawn) >= abs(product) - 1e-9).sum())) / (_DRAWS + 1)
    return product / total, max(p_value, 1e-300)


def _centred(ranks: Integers, starts: Integers, sizes: Integers) -> Floats:
    middle = starts + (sizes - 1) / 2
    return np.asarray(ranks - np.repeat(middle, sizes), np.float64)


def _of_same_places(sides: Sides, real: pl.DataFrame) -> RowOrder:
    """Compare cells at the same places, whatever the released ones were generalized to.

    What a released label stands for is learned on the even rows, as the mean of the real cells at
    its places; on the odd rows it is then a linear statistic of permutations, whose mean is 0 and
    whose variance is known (Hoeffding 1951).
    """
    learned, known = [], []
    for name in sides.shared:
        labels, cells = _coded(sides.released[name]), _scored(real[name])
        size = int(labels.max()) + 1
        rows = np.bincount(labels[::2], minlength=size)
        sums = np.bincount(labels[::2], weights=cells[::2], minlength=size)
        means = sums / np.maximum(rows, 1)
        learned.append(_standard(means[labels[1::2]]))
        known.append(_standard(cells[1::2]))
    mine, theirs = np.stack(learned, axis=1), np.stack(known, axis=1)
    product = float((mine * theirs).sum())
    spread = math.sqrt(max(float(np.trace((mine.T @ mine) @ (theirs.T @ theirs))), 0.0))
    if spread <= 0:
        return RowOrder(0.0, len(mine), 1.0, "same places")
    z = product / (spread / math.sqrt(len(mine) - 1))
    moving = (mine.any(axis=0) & theirs.any(axis=0)).sum()
    correlation = product / len(mine) / max(int(moving), 1)
    p_value = max(math.erfc(z / math.sqrt(2)) / 2, 1e-300)
    return RowOrder(correlation, len(mine), p_value, "same places")


def _coded(column: pl.Series) -> Integers:
    return column.cast(pl.String).rank("dense").fill_null(0).to_numpy().astype(np.int64)


def _scored(column: pl.Series) -> Floats:
    """Return the ranks of a column's cells; missing ones stand in the middle."""
    ranks = column.rank("average").to_numpy().astype(np.float64)
    known = np.isfinite(ranks)
    return np.where(known, ranks, ranks[known].mean() if known.any() else 0.0)


def _standard(values: Floats) -> Floats:
    spread = values.std()
    if spread <= 1e-12 * max(1.0, float(np.abs(values).max())):
        return np.zeros(len(values))
    return np.asarray((values - values.mean()) / spread)


def _order_in_words(found: RowOrder) -> str:
    if found.how == "matched rows":
        return (
            f"{found.rows:,} rows that are alone in both tables stand in orders with a rank "
            f"correlation of {found.correlation:.2f} (p = {found.p_value:.2g})."
        )
    return (
        f"Cells of {found.rows:,} rows at the same places in both tables are correlated by "
        f"{found.correlation:.2f} on average (p = {found.p_value:.2g})."
    )


def _numbers_rows(column: pl.Series) -> bool:
    """Return whether a column counts the rows: whole numbers, each once, hardly a gap."""
    filled = column.drop_nulls()
    if len(filled) < max(_LEAST_DISTINCT, len(column)):
        return False
    if filled.dtype == pl.String:
        digits = filled.str.extract(r"^\D*0*(\d{1,15})$", 1)
        if digits.null_count():
            return False
        filled = digits.cast(pl.Int64)
    elif filled.dtype.is_float():
        if not bool((filled == filled.round(0)).all()) or float(filled.abs().max()) > 2**53:  # type: ignore[arg-type]
            return False
        filled = filled.cast(pl.Int64)
    elif not filled.dtype.is_integer():
        return False
    if filled.n_unique() < len(filled):
        return False
    numbers = filled.to_numpy()
    return int(numbers.max()) - int(numbers.min()) < 2 * len(numbers)


def _is_index(name: str) -> bool:
    bare = name.strip().lower()
    return bare in _INDEX_NAMES or bare.startswith(("unnamed:", "__index_level_"))
