"""The baseline: identifiers are left out, and nothing else is changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import polars as pl

from sfumato.anonymization.reasons import why_changed, why_kept
from sfumato.anonymization.recoding import ColumnChange, Recoding
from sfumato.anonymization.released import checked_columns
from sfumato.errors import SchemaError, did_you_mean
from sfumato.progress import Progress, silent
from sfumato.settings import Settings
from sfumato.table import Schema

__all__ = ["Clean", "CleanRecoding"]


class Clean(Settings):
    """Leave out identifiers and columns that nobody needs; promise nothing.

    What a careless release looks like, and so the version that the others are compared with.

    Parameters
    ----------
    drop
        Further columns that are left out.
    """

    drop: tuple[str, ...] = ()

    def fit(
        self, table: pl.DataFrame, schema: Schema, *, progress: Progress = silent
    ) -> CleanRecoding:
        """Note which columns are left out.

        Raises
        ------
        SchemaError
            If the schema does not fit the table, or a column to drop is absent.
        """
        full = schema.check(table)
        for name in self.drop:
            if name not in full.columns:
                hint = did_you_mean(name, full.columns)
                raise SchemaError(f"drop: no column {name!r} in the table.{hint}")
        progress("leaving out identifiers", 1, 1)
        return CleanRecoding(full, self.drop)


@dataclass(frozen=True)
class CleanRecoding(Recoding):
    """The fitted baseline.

    Parameters
    ----------
    schema
        The schema of the source table.
    drop
        Columns that are left out besides the identifiers.
    """

    schema: Schema
    drop: tuple[str, ...] = ()

    def recode(self, table: pl.DataFrame) -> pl.DataFrame:
        """Return the rows without identifiers and dropped columns."""
        kept = self._kept()
        checked_columns(table, self.schema, kept)
        return table.select(name for name in table.columns if name in kept)

    def describe(self) -> tuple[ColumnChange, ...]:
        """Return what is done to each column."""
        changes = []
        kept = self._kept()
        for name, column in self.schema.columns.items():
            if name in kept:
                how, why = "released as it is", why_kept(column.role)
                changes.append(ColumnChange(name, name, "kept", how, why))
            else:
                why = why_changed(column.role)
                how = "left out of the release"
                changes.append(ColumnChange(name, None, "suppressed", how, why))
        return tuple(changes)

    def released_schema(self) -> Schema:
        """Return the schema without the columns that are left out."""
        return self.schema.select(self._kept())

    def to_dict(self) -> dict[str, Any]:
        """Return the recoding as plain JSON values."""
        return {"schema": self.schema.to_dict(), "drop": list(self.drop)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Return the recoding that :meth:`to_dict` described."""
        return cls(Schema.from_dict(values["schema"]), tuple(values["drop"]))

    def _kept(self) -> list[str]:
        out = {*self.schema.identifiers, *self.drop}
        return [name for name in self.schema.columns if name not in out]
