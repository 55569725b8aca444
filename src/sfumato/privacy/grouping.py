"""Numbering equal rows, and distinct combinations of numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

__all__ = ["distinct", "numbered", "polars_frame"]

Integers = npt.NDArray[np.int64]


def polars_frame(table: Any) -> pl.DataFrame:
    """Return a data frame of any kind as a Polars frame."""
    if isinstance(table, pl.DataFrame):
        return table
    from sfumato.table import take

    frame: pl.DataFrame = take(table)[0]
    return frame


def numbered(frame: pl.DataFrame, columns: Sequence[str]) -> tuple[Integers, int]:
    """Return each row's group id in order of first appearance, and the number of groups."""
    if not columns:
        return np.zeros(frame.height, dtype=np.int64), min(frame.height, 1)
    keys = [pl.col(name).alias(f"key {number}") for number, name in enumerate(columns)]
    groups = (
        frame.select(keys)
        .with_row_index("row")
        .group_by(pl.all().exclude("row"), maintain_order=True)
        .agg("row")
        .get_column("row")
    )
    sizes = groups.list.len().to_numpy()
    of_row = np.empty(frame.height, dtype=np.int64)
    of_row[groups.explode().to_numpy()] = np.repeat(np.arange(len(sizes)), sizes)
    return of_row, len(sizes)


def distinct(*ids: Integers) -> tuple[Integers, ...]:
    """Return the distinct combinations of ids, one array for each of the arguments."""
    table = pl.DataFrame({str(number): array for number, array in enumerate(ids)}).unique()
    return tuple(table[name].to_numpy() for name in table.columns)
