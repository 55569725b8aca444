"""What recodings check before they recode, and what those say that replace values by labels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import polars as pl

from sfumato.anonymization.reasons import why_changed, why_kept
from sfumato.anonymization.recoding import ColumnChange
from sfumato.errors import DataError, did_you_mean
from sfumato.table import Role, Schema

__all__ = ["checked_columns", "labelled_changes", "labelled_schema"]


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


def labelled_changes(schema: Schema, said: Mapping[str, str]) -> tuple[ColumnChange, ...]:
    """Return what is done to each column where some are replaced by labels.

    Parameters
    ----------
    schema
        The schema of the source table.
    said
        For each column that is replaced how, in words.
    """
    changes = []
    for name, column in schema.columns.items():
        role = Role(column.role)
        if role == Role.IDENTIFIER:
            how = "left out of the release"
            changes.append(ColumnChange(name, None, "suppressed", how, why_changed(role)))
        elif name in said:
            changes.append(ColumnChange(name, name, "generalized", said[name], why_changed(role)))
        else:
            how = "released as it is"
            changes.append(ColumnChange(name, name, "kept", how, why_kept(role)))
    return tuple(changes)


def labelled_schema(schema: Schema) -> Schema:
    """Return the schema of a release whose quasi-identifiers are labels: categories."""
    kept = [name for name in schema.columns if name not in schema.identifiers]
    changed = {
        name: replace(schema.columns[name], type="category", hierarchy=None)
        for name in schema.quasi_identifiers
    }
    return schema.select(kept).with_columns(changed)
