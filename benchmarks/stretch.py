"""The Diabetes table made longer, so that every benchmark measures on the same rows.

Rows are drawn with replacement; ages move by up to a year and body mass indices by up to fifty
places among the values that occur, so that tuples do not merely repeat and every value stays a
leaf of the table's hierarchies. No row is written anywhere.
"""

from __future__ import annotations

import numpy as np
import polars as pl

__all__ = ["stretched"]

_STEPS = 50  # how far a body mass index moves, in places among the distinct values
_INFANT = 2  # ages below are fractions of years and stay as they are
_ROWS_AT_ONCE = 2**20


def stretched(table: pl.DataFrame, rows: int, seed: int = 7) -> pl.DataFrame:
    """Return a longer table of the same kind of people.

    Parameters
    ----------
    table
        The Diabetes table: columns ``age`` in years and ``bmi`` among others.
    rows
        How many rows to return.
    seed
        Of the draw and the jitter; the same seed gives the same rows.
    """
    random = np.random.default_rng(seed)
    values = table["bmi"].unique().sort().to_numpy()
    oldest = table["age"].max()
    parts = []
    for start in range(0, rows, _ROWS_AT_ONCE):
        count = min(_ROWS_AT_ONCE, rows - start)
        part = table[random.integers(0, table.height, count)]
        age = part["age"].to_numpy()
        moved = np.clip(age + random.integers(-1, 2, count), _INFANT, oldest)
        place = np.searchsorted(values, part["bmi"].to_numpy())
        place = np.clip(place + random.integers(-_STEPS, _STEPS + 1, count), 0, len(values) - 1)
        parts.append(
            part.with_columns(
                age=pl.Series(np.where(age < _INFANT, age, moved)), bmi=pl.Series(values[place])
            )
        )
    return pl.concat(parts, rechunk=False)
