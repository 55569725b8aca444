"""What every recoding checks before it recodes."""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

from sfumato.errors import DataError, did_you_mean
from sfumato.table import Schema

__all__ = ["checked_columns"]


def checked_columns(table: pl.DataFrame, schema: Schema, needed: Iterable[str]) -> None:
    """Refuse a table that lacks a needed column or has one that the recoding does not know.

    A column that was not there at fitting has no role; releasing it as it is would be a guess.

    Raises
    ------
    DataError
        Naming the column.
    """
    for name in needed:
        if name not in table.columns:
            hint = did_you_mean(name, table.columns)
            raise DataError(f"the table has no column {name!r}, which the recoding needs.{hint}")
    for name in table.columns:
        if name not in schema.columns:
            raise DataError(
                f"column {name!r} was not there when the recoding was fitted, so nothing is known "
                "of it; leave it out"
            )
