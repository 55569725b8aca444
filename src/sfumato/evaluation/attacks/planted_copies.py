"""Copies of real people as a careless maker would release them: as they are, or lightly changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from sfumato.evaluation.attacks.linkage import NOISE, Shown
from sfumato.evaluation.attacks.tables import STAR

if TYPE_CHECKING:
    from sfumato.evaluation.attacks.tables import AttackColumn, AttackTables

__all__ = ["REDRAWN", "Kind", "planted_copies"]

Kind = Literal["verbatim", "noisy"]
Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

#: Share of a noisy copy's categories that are redrawn.
REDRAWN = 0.25


def planted_copies(tables: AttackTables, rows: Integers, kind: Kind, *, seed: int) -> list[Shown]:
    """Return copies of real rows in the way the release writes its cells, one entry a column.

    Parameters
    ----------
    tables
        The release, with at least one row, and the real rows.
    rows
        Numbers of the real rows.
    kind
        "verbatim", or "noisy": numbers moved by normal noise of 1 % of the range (rounded if all
        numbers of the column are whole), a quarter of the categories replaced by those of released
        rows drawn at random. Of a generalized column the most frequent released cell that holds
        the value is taken.
    seed
        Of the noise and of the draws.
    """
    random = np.random.default_rng(seed)
    categories = [column.name for column in tables.columns if column.kind == "category"]
    redrawn = np.zeros((len(rows), len(categories)), np.bool_)
    if kind == "noisy" and categories:
        number = max(1, round(REDRAWN * len(categories)))
        chosen = random.random(redrawn.shape).argsort(axis=1).argsort(axis=1)
        redrawn = chosen < number
    found = []
    for column in tables.columns:
        if column.kind == "category":
            label = _label_of(column, rows)
            other = random.integers(tables.rows, size=len(rows))
            replaced = redrawn[:, categories.index(column.name)]
            label = np.where(replaced, column.released[other], label).astype(np.int64)
            found.append(Shown(column.name, label, np.zeros(0), np.zeros(0)))
            continue
        value = column.numbers[rows]
        if kind == "noisy":
            value = value + random.normal(0, NOISE * column.width, len(rows))
            known = column.low[np.isfinite(column.low)]
            if (known == np.rint(known)).all():
                value = np.rint(value)
        found.append(_number_cells(column, value))
    return found


def _label_of(column: AttackColumn, rows: Integers) -> Integers:
    value = column.real[rows].astype(np.int64)
    if column.covers is None:
        return value
    often = np.bincount(column.released[column.released != STAR], minlength=len(column.covers))
    best = np.where(column.covers, (often + 1)[:, None], 0)
    return np.where(best.max(axis=0) > 0, best.argmax(axis=0), STAR)[value].astype(np.int64)


def _number_cells(column: AttackColumn, value: Floats) -> Shown:
    none = np.zeros(0, np.int64)
    wide = (column.low < column.high) & np.isfinite(column.low) & np.isfinite(column.high)
    if not wide.any():
        return Shown(column.name, none, value, value)
    cells, often = np.unique(
        np.stack([column.low[wide], column.high[wide]]), axis=1, return_counts=True
    )
    low, high = value.copy(), value.copy()
    for cell in np.argsort(often, kind="stable"):  # the most frequent one is written last
        inside = (cells[0, cell] <= value) & (value <= cells[1, cell])
        low[inside], high[inside] = cells[0, cell], cells[1, cell]
    return Shown(column.name, none, low, high)
