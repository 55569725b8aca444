"""Rows as vectors whose distance is Gower's, on a scale that the release alone sets.

The distance of two rows is the mean over their columns: 0 or 1 for a category, the difference over
the release's range (at most 1) for a number; missing is a value of its own; ``*`` stands for any
value and is at distance 0 from all. Numbers are kept to 1/4096 of their range, so that every sum is
exact in single precision and ties are ties.

References
----------
J. C. Gower, "A general coefficient of similarity and some of its properties", Biometrics 27 (1971).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sfumato.evaluation.alignment import MISSING, SUPPRESSED, AlignedColumn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats32 = NDArray[np.float32]
    Integers = NDArray[np.int64]

__all__ = ["Encoded", "distances", "encode_rows"]

_GRID = 4096.0
_MISSING = np.float32(2**20)  # further than 1 from every value
_FURTHEST = 2.0**18


@dataclass(frozen=True, eq=False)
class Encoded:
    """Rows of one table.

    Parameters
    ----------
    sought
        Indicators of the rows as those that are looked for, shape (n, indicators).
    found
        Indicators of the rows as those that are searched; ``sought @ found.T`` counts the category
        columns in which two rows agree.
    numbers
        Scaled numbers, shape (number columns, n).
    open
        Whether a number is suppressed, shape (number columns, n).
    categories
        Number of category columns.
    """

    sought: Floats32
    found: Floats32
    numbers: Floats32
    open: NDArray[np.bool_]
    categories: int

    def __len__(self) -> int:
        return len(self.sought)

    def take(self, rows: Integers) -> Encoded:
        """Return some of the rows."""
        return Encoded(
            self.sought[rows],
            self.found[rows],
            self.numbers[:, rows],
            self.open[:, rows],
            self.categories,
        )


def encode_rows(columns: Sequence[AlignedColumn]) -> tuple[Encoded, ...]:
    """Return the rows of each table, on the scale of the first, the release.

    Parameters
    ----------
    columns
        At least one column, each aligned over the same tables.
    """
    numeric, nominal = [], []
    for column in columns:
        codes = _two_values(column) if column.kind == "number" else _values(column)
        if codes is None:
            numeric.append(column)
        else:
            nominal.append((codes, column.state))
    scales = [_scale(column) for column in numeric]
    encoded = []
    for table in range(len(columns[0].state)):
        rows = len(columns[0].state[table])
        blocks = [_indicators(codes, state, table) for codes, state in nominal]
        empty = [np.zeros((rows, 0), dtype=np.float32)]
        encoded.append(
            Encoded(
                np.hstack([*empty, *(sought for sought, _ in blocks)]),
                np.hstack([*empty, *(found for _, found in blocks)]),
                np.array(
                    [
                        _scaled(column, table, low, width)
                        for column, (low, width) in zip(numeric, scales, strict=True)
                    ],
                    dtype=np.float32,
                ).reshape(len(numeric), rows),
                np.array([column.state[table] == SUPPRESSED for column in numeric]).reshape(
                    len(numeric), rows
                ),
                len(nominal),
            )
        )
    return tuple(encoded)


def distances(sought: Encoded, found: Encoded) -> Floats32:
    """Return Gower's distances, times the number of columns, shape (sought, found).

    Parameters
    ----------
    sought, found
        Rows of either side, encoded together.
    """
    total = np.float32(sought.categories) - sought.sought @ found.found.T
    for i in range(len(sought.numbers)):
        apart = np.abs(sought.numbers[i][:, None] - found.numbers[i][None, :])
        np.minimum(apart, np.float32(1), out=apart)
        if sought.open[i].any():
            apart[sought.open[i]] = 0
        if found.open[i].any():
            apart[:, found.open[i]] = 0
        total += apart
    return np.asarray(total, dtype=np.float32)


def _two_values(column: AlignedColumn) -> tuple[Integers, ...] | None:
    """Return codes of a number with at most two values: it is told as well by agreement."""
    known = [np.unique(content[~np.isnan(content)]) for content in column.content]
    values = np.unique(np.concatenate(known))
    if values.size > 2:
        return None
    return tuple(
        np.where(np.isnan(content), -1, np.searchsorted(values, np.nan_to_num(content))).astype(
            np.int64
        )
        for content in column.content
    )


def _values(column: AlignedColumn) -> tuple[Integers, ...]:
    return tuple(content.astype(np.int64) for content in column.content)


def _indicators(
    codes: tuple[Integers, ...], state: tuple[Integers, ...], table: int
) -> tuple[Floats32, Floats32]:
    """Return a category's indicators: the product of two rows is 1 where they agree, else 0."""
    # A value that the release does not hold agrees with nothing that is looked for: one code less.
    held = np.unique(codes[0][codes[0] >= 0])
    code, lacking = codes[table], state[table]
    place = np.minimum(np.searchsorted(held, code), max(held.size - 1, 0))
    is_held = (code >= 0) & (held[place] == code) if held.size else np.zeros(code.size, bool)
    shared = np.zeros((code.size, held.size + 3), dtype=np.float32)
    rows = np.flatnonzero(is_held)
    shared[rows, place[rows]] = 1
    shared[lacking == MISSING, held.size] = 1
    suppressed = lacking == SUPPRESSED
    sought, found = shared, shared.copy()
    sought[:, -2], sought[:, -1] = suppressed, ~suppressed
    found[:, -2], found[:, -1] = 1, suppressed
    return sought, found


def _scale(column: AlignedColumn) -> tuple[float, float]:
    released = column.content[0][~np.isnan(column.content[0])]
    if released.size == 0:
        return 0.0, 1.0
    low, high = float(released.min()), float(released.max())
    return low, high - low if high > low else 1.0


def _scaled(column: AlignedColumn, table: int, low: float, width: float) -> Floats32:
    scaled = np.rint((column.content[table] - low) / width * _GRID) / _GRID
    scaled = np.clip(scaled, -_FURTHEST, _FURTHEST)
    return np.where(np.isnan(scaled), _MISSING, scaled).astype(np.float32)
