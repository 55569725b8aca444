"""The options that several commands share, so that they read the same everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sfumato.errors import PlanError

if TYPE_CHECKING:
    from sfumato.cli.console import Console
    from sfumato.table import Source

__all__ = [
    "Data",
    "Decimal",
    "Delimiter",
    "Delta",
    "Encoding",
    "Epsilon",
    "Jobs",
    "Json",
    "Missing",
    "NeighboursOption",
    "Out",
    "Query",
    "Quiet",
    "SchemaFile",
    "Seed",
    "Set",
    "SettingsFile",
    "Sheet",
    "source",
    "technique_settings",
]

_READING = "Reading the data"
_TELLING = "Telling"
_BUDGET = "A privacy budget"

Data = Annotated[
    str,
    typer.Argument(
        metavar="DATA",
        help="CSV (also .gz), Parquet or Excel file, or a database URL "
        "(duckdb:///, sqlite:///, postgresql://) with --query.",
    ),
]
SchemaFile = Annotated[
    Path, typer.Option("--schema", metavar="FILE", help="The schema: a role for every column.")
]
Out = Annotated[Path, typer.Option("--out", metavar="FOLDER", help="The folder to write.")]
Jobs = Annotated[
    int | None,
    typer.Option(
        "--jobs",
        min=1,
        help="Releases made at the same time, each in a process of its own; as many as there are "
        "processors, as far as the memory goes, if not said. The releases are the same.",
    ),
]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Seed of every random step.")]
Epsilon = Annotated[
    str | None,
    typer.Option(
        "--epsilon",
        metavar="NUMBER",
        help="The privacy budget: odds change by a factor of at most exp(epsilon). Above 0.",
        rich_help_panel=_BUDGET,
    ),
]
Delta = Annotated[
    str | None,
    typer.Option(
        "--delta",
        metavar="NUMBER",
        help="The probability with which that need not hold, such as 1e-9: far below one over the "
        "number of people.",
        rich_help_panel=_BUDGET,
    ),
]
NeighboursOption = Annotated[
    str | None,
    typer.Option(
        "--neighbours",
        metavar="add_remove|replace",
        help="What may differ: the presence of a person (add_remove, if not said), or their values "
        "(replace).",
        rich_help_panel=_BUDGET,
    ),
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="NAME=VALUE", help="A setting of the technique, as in a plan; repeatable."
    ),
]
SettingsFile = Annotated[
    Path | None,
    typer.Option("--settings", metavar="FILE", help="The technique's settings as a TOML file."),
]
Json = Annotated[
    bool,
    typer.Option("--json", help="The result as JSON on standard output.", rich_help_panel=_TELLING),
]
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="Say nothing but errors.", rich_help_panel=_TELLING)
]
Delimiter = Annotated[
    str | None,
    typer.Option(help="The CSV's delimiter; found if not given.", rich_help_panel=_READING),
]
Encoding = Annotated[
    str | None,
    typer.Option(help="The CSV's encoding; found if not given.", rich_help_panel=_READING),
]
Decimal = Annotated[
    str | None,
    typer.Option(
        help="The decimal mark, '.' or ','; found if not given.", rich_help_panel=_READING
    ),
]
Missing = Annotated[
    list[str] | None,
    typer.Option(
        help="A text that means 'missing', beside the empty cell; repeatable.",
        rich_help_panel=_READING,
    ),
]
Sheet = Annotated[
    str | None, typer.Option(help="The Excel sheet, by name.", rich_help_panel=_READING)
]
Query = Annotated[
    str | None, typer.Option(help="The query to read from a database.", rich_help_panel=_READING)
]


def source(
    data: str,
    *,
    delimiter: str | None = None,
    encoding: str | None = None,
    decimal: str | None = None,
    missing: list[str] | None = None,
    sheet: str | None = None,
    query: str | None = None,
) -> Source:
    """Return where the data is and how to read it."""
    from sfumato.table import Source

    place = {"url": data} if "://" in data else {"path": data}
    given = {
        "delimiter": delimiter,
        "encoding": encoding,
        "decimal": decimal,
        "sheet": sheet,
        "query": query,
        "missing": ("", *missing) if missing else None,
    }
    return Source(**place, **{name: value for name, value in given.items() if value is not None})


def technique_settings(
    console: Console, file: Path | None, pairs: list[str] | None
) -> dict[str, Any]:
    """Return the settings of a file, overridden by ``--set name=value`` (values as in TOML)."""
    import tomllib

    settings: dict[str, Any] = {}
    if file is not None:
        try:
            settings = tomllib.loads(file.read_text("utf-8"))
        except OSError as error:
            raise PlanError(f"{file}: {error.strerror}") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise PlanError(f"{file} is not TOML: {error}") from None
        console.say(f"settings read from {file}")
    for pair in pairs or ():
        name, equals, text = pair.partition("=")
        if not equals or not name.strip():
            raise PlanError(f"--set takes NAME=VALUE, such as --set k=5 (got {pair!r})")
        try:
            value = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            value = text
        settings[name.strip()] = value
    return settings
