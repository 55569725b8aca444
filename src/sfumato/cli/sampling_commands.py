"""The commands about samples of a k-anonymous table, and their help."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sfumato.cli.console import Console
from sfumato.cli.options import (
    Decimal,
    Delimiter,
    Encoding,
    Json,
    Missing,
    Out,
    Query,
    Quiet,
    SchemaFile,
    Seed,
    Set,
    SettingsFile,
    Sheet,
    source,
    technique_settings,
)
from sfumato.cli.range_options import DataOrConfiguration, OptionalSchemaFile

if TYPE_CHECKING:
    from sfumato.table import Source

__all__ = ["assess", "sample"]


def sample(
    data: DataOrConfiguration,
    schema: OptionalSchemaFile = None,
    delete: Annotated[
        float | None, typer.Option(help="The share of every class that is deleted, 0 to 1.")
    ] = None,
    runs: Annotated[
        int | None, typer.Option(min=1, help="How many samples; 1 if not said.")
    ] = None,
    seed: Seed = 0,
    k: Annotated[
        int | None, typer.Option(min=2, help="The size below which a class should not fall.")
    ] = None,
    keep_k: Annotated[
        str,
        typer.Option(
            help="What becomes of a class that would fall below k: report (it does, and is "
            "counted), keep (deleting stops at k) or drop (it is left out whole)."
        ),
    ] = "report",
    suppressed: Annotated[
        str,
        typer.Option(help="The class of suppressed rows: sample (as any other) or drop."),
    ] = "sample",
    out: Out = Path("sampled"),
    delimiter: Delimiter = None,
    encoding: Encoding = None,
    decimal: Decimal = None,
    missing: Missing = None,
    sheet: Sheet = None,
    query: Query = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Delete the same share of every class of a k-anonymous table, by chance.

    DATA may be a JSON file of Anonify's stratified sampling, which says table, columns and share.
    """
    from sfumato.cli import sampling
    from sfumato.cli.other_configurations import (
        SamplingConfiguration,
        is_configuration,
        read_configuration,
    )

    console = Console(quiet=quiet, as_json=as_json)

    def table(place: str) -> Source:
        return source(
            place,
            delimiter=delimiter,
            encoding=encoding,
            decimal=decimal,
            missing=missing,
            sheet=sheet,
            query=query,
        )

    asked = {"seed": seed, "k": k, "keep_k": keep_k, "suppressed": suppressed}
    if is_configuration(data):
        given = {"--schema": schema, "--delete": delete, "--runs": runs}
        sampling.refuse_beside_configuration(Path(data), given)
        configuration = read_configuration(Path(data), SamplingConfiguration)
        where = table(str(Path(data).parent / configuration.input))
        sampling.sample_by_configuration(console, configuration, where, asked, out=out)
        return
    sampling.sample_table(
        console, table(data), schema, {**asked, "delete": delete}, runs=runs or 1, out=out
    )


def assess(
    original: Annotated[str, typer.Argument(metavar="ORIGINAL", help="The real table.")],
    anonymized: Annotated[
        str, typer.Argument(metavar="ANONYMIZED", help="Its k-anonymous form, whoever made it.")
    ],
    schema: SchemaFile,
    target: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="What the classifiers should learn.")
    ] = None,
    delete: Annotated[
        list[float] | None,
        typer.Option(help="A share of every class that samples lack; repeatable."),
    ] = None,
    runs: Annotated[
        int | None, typer.Option(min=1, help="How many samples of each share; 10 if not said.")
    ] = None,
    seed: Seed = 0,
    settings: SettingsFile = None,
    set_: Set = None,
    out: Out = Path("assessment"),
    delimiter: Delimiter = None,
    encoding: Encoding = None,
    decimal: Decimal = None,
    missing: Missing = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Assess a k-anonymous table, and samples of it, as Anonify does.

    Information loss, distributions, eight classifiers (as published and honestly, side by side),
    risk and certainty.
    """
    from sfumato.cli.sampling import assess_release

    console = Console(quiet=quiet, as_json=as_json)
    asked = technique_settings(console, settings, set_)
    given = {"delete": delete or None, "runs": runs}
    asked |= {name: value for name, value in given.items() if value is not None}

    def table(place: str) -> Source:
        return source(
            place, delimiter=delimiter, encoding=encoding, decimal=decimal, missing=missing
        )

    assess_release(
        console,
        table(original),
        table(anonymized),
        schema,
        {"seed": seed, **asked},
        target=target,
        out=out,
    )
