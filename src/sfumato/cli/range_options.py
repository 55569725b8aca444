"""Options that come from other tools: k-AnonML's ranges, and a JSON file in place of a table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = [
    "DataOrConfiguration",
    "OptionalSchemaFile",
    "StartK",
    "StartS",
    "StepK",
    "StepS",
    "StopK",
    "StopS",
]

_RANGES = "A release for each combination (k-AnonML's arguments)"

DataOrConfiguration = Annotated[
    str,
    typer.Argument(
        metavar="DATA",
        help="CSV (also .gz), Parquet or Excel file, a database URL (duckdb:///, sqlite:///, "
        "postgresql://) with --query, or a JSON file of Anonify.",
    ),
]
OptionalSchemaFile = Annotated[
    Path | None,
    typer.Option(
        "--schema",
        metavar="FILE",
        help="The schema: a role for every column. Needed unless DATA is a JSON file.",
    ),
]
StartK = Annotated[int | None, typer.Option(help="The first k, from 2.", rich_help_panel=_RANGES)]
StopK = Annotated[
    int | None, typer.Option(help="The last k, 100 if not said.", rich_help_panel=_RANGES)
]
StepK = Annotated[int | None, typer.Option(help="From k to k.", rich_help_panel=_RANGES)]
StartS = Annotated[
    int | None,
    typer.Option(
        help="The first percentage of rows that may be suppressed.", rich_help_panel=_RANGES
    ),
]
StopS = Annotated[
    int | None, typer.Option(help="The last one; the first if not said.", rich_help_panel=_RANGES)
]
StepS = Annotated[
    int | None, typer.Option(help="From percentage to percentage.", rich_help_panel=_RANGES)
]
