"""Reading a table for a command, and saying what was found in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

    from sfumato.cli.console import Console
    from sfumato.table import Schema, Source

__all__ = ["read"]


def read(console: Console, where: Source, schema: Schema | None = None) -> pl.DataFrame:
    """Read a table as its schema says, and say what was found in it."""
    from sfumato.table import read_with_report

    reading = read_with_report(where if schema is None else where.said_by(schema))
    console.say(f"read {reading.frame.height:,} rows, {reading.frame.width} columns")
    for note in reading.notes:
        console.say(f"  {note}")
    return reading.frame
