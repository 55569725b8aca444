"""Reading a plan's source once, with the hash that ties every release to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import polars as pl

from sfumato.release.folders import sha256
from sfumato.release.making import content_sha256

if TYPE_CHECKING:
    from sfumato.release.plan import Plan

__all__ = ["SourceTable", "read_source"]


@dataclass(frozen=True)
class SourceTable:
    """A table and where it came from.

    Parameters
    ----------
    table
        All rows.
    name
        The file's name without its folder, or the kind of database.
    sha256
        Of the file's bytes; of the table's content for a database.
    notes
        What the reader inferred, a sentence each.
    """

    table: pl.DataFrame
    name: str
    sha256: str
    notes: tuple[str, ...]


def read_source(plan: Plan) -> SourceTable:
    """Read the source of a plan; what the schema says of missing texts and types holds for it.

    Raises
    ------
    DataError
        If it cannot be read.
    """
    source = plan.source
    reading = source.said_by(plan.schema).report(plan.base)
    if source.path is None:
        scheme = urlsplit(source.url or "").scheme
        return SourceTable(
            reading.frame, f"{scheme} database", content_sha256(reading.frame), reading.notes
        )
    path = plan.base / source.path
    return SourceTable(reading.frame, path.name, sha256(path), reading.notes)
