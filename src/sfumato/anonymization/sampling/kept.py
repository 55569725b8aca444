"""What recodings share that leave rows out and change no cell."""

from __future__ import annotations

from collections.abc import Mapping

from sfumato.anonymization.reasons import why_changed, why_kept
from sfumato.anonymization.recoding import ColumnChange
from sfumato.table import Role, Schema

__all__ = ["kept_changes", "kept_schema"]


def kept_changes(schema: Schema, said: Mapping[str, str]) -> tuple[ColumnChange, ...]:
    """Return that identifiers are left out and every other column is as it was.

    Parameters
    ----------
    schema
        Of the source table.
    said
        For some columns what is to be said of them besides.
    """
    changes = []
    for name, column in schema.columns.items():
        role = Role(column.role)
        if role == Role.IDENTIFIER:
            how = "left out of the release"
            changes.append(ColumnChange(name, None, "suppressed", how, why_changed(role)))
        else:
            how = "released as it is" + (f"; {said[name]}" if name in said else "")
            changes.append(ColumnChange(name, name, "kept", how, why_kept(role)))
    return tuple(changes)


def kept_schema(schema: Schema) -> Schema:
    """Return a schema without its identifiers."""
    return schema.select([name for name in schema.columns if name not in schema.identifiers])
