"""Gower's distance between rows, on a scale that the real rows alone set, for tables' likeness.

The sum over columns of 0 or 1 for a category and of the difference over the real range (at most 1)
for a number. Missing and suppressed cells are values: for use, ``*`` is like nothing but another
``*``. Numbers are kept to 1/4096 of their range, so that sums are exact in single precision and
ties are ties.

References
----------
J. C. Gower, "A general coefficient of similarity and some of its properties", Biometrics 27 (1971).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sfumato.evaluation.alignment import MISSING, PRESENT, SUPPRESSED, AlignedColumn
from sfumato.evaluation.utility.footing import REAL

__all__ = ["GowerRows", "gower_distances", "gower_rows"]

Floats32 = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]

_GRID = 4096.0
# further than 1 from every value, and from one another
_PLACES = {MISSING: 2.0**12, SUPPRESSED: 2.0**13}
_FURTHEST = 2.0**11


@dataclass(frozen=True, eq=False)
class GowerRows:
    """Rows of one table.

    Parameters
    ----------
    indicators
        1 where a row has a value of a category, shape (n, values of all categories).
    numbers
        Numbers over the real range, shape (number columns, n).
    categories
        Number of category columns.
    """

    indicators: Floats32
    numbers: Floats32
    categories: int

    def __len__(self) -> int:
        return len(self.indicators)

    def take(self, rows: Integers) -> GowerRows:
        """Return some of the rows."""
        return GowerRows(self.indicators[rows], self.numbers[:, rows], self.categories)


def gower_rows(columns: Sequence[AlignedColumn]) -> tuple[GowerRows, ...]:
    """Return the rows of each table.

    Parameters
    ----------
    columns
        Each over the same tables, the real one first.
    """
    tables = len(columns[0].state)
    blocks: list[list[Floats32]] = [[] for _ in range(tables)]
    numbers: list[list[Floats32]] = [[] for _ in range(tables)]
    for column in columns:
        own = _scaled(column) if column.kind == "number" else _indicators(column)
        for table, values in enumerate(own):
            (numbers if column.kind == "number" else blocks)[table].append(values)
    found = []
    for table in range(tables):
        rows = len(columns[0].state[table])
        found.append(
            GowerRows(
                np.hstack([np.zeros((rows, 0), dtype=np.float32), *blocks[table]]),
                np.array(numbers[table], dtype=np.float32).reshape(len(numbers[table]), rows),
                len(blocks[table]),
            )
        )
    return tuple(found)


def gower_distances(first: GowerRows, second: GowerRows) -> Floats32:
    """Return Gower's distances, times the number of columns, shape (first, second)."""
    total = np.float32(first.categories) - first.indicators @ second.indicators.T
    for ours, theirs in zip(first.numbers, second.numbers, strict=True):
        apart = np.abs(ours[:, None] - theirs[None, :])
        np.minimum(apart, np.float32(1), out=apart)
        total += apart
    return np.asarray(total, dtype=np.float32)


def _indicators(column: AlignedColumn) -> list[Floats32]:
    size = len(column.labels)
    codes = [
        np.where(state == PRESENT, content.astype(np.int64), size - 1 + state)
        for content, state in zip(column.content, column.state, strict=True)
    ]
    held = np.unique(np.concatenate(codes))
    return [(code[:, None] == held[None, :]).astype(np.float32) for code in codes]


def _scaled(column: AlignedColumn) -> list[Floats32]:
    known = column.content[REAL][column.state[REAL] == PRESENT]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 0.0)
    width = high - low if high > low else 1.0
    scaled = []
    for content, state in zip(column.content, column.state, strict=True):
        one = np.rint((np.nan_to_num(content) - low) / width * _GRID) / _GRID
        one = np.clip(one, -_FURTHEST, _FURTHEST)
        for kind, place in _PLACES.items():
            one = np.where(state == kind, place, one)
        scaled.append(one.astype(np.float32))
    return scaled
