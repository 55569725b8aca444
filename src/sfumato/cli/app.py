"""The commands and their help; what they do lives in the rooms."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sfumato.cli.console import Console
from sfumato.cli.donation_commands import donate
from sfumato.cli.evaluation_commands import audit, evaluate, intersect
from sfumato.cli.minimizing_commands import AllowPickle, Model, Train, minimize
from sfumato.cli.model_commands import evaluate_model
from sfumato.cli.options import (
    Data,
    Decimal,
    Delimiter,
    Delta,
    Encoding,
    Epsilon,
    Jobs,
    Json,
    Missing,
    NeighboursOption,
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
from sfumato.cli.range_options import (
    DataOrConfiguration,
    OptionalSchemaFile,
    StartK,
    StartS,
    StepK,
    StepS,
    StopK,
    StopS,
)
from sfumato.cli.sampling_commands import assess, sample

if TYPE_CHECKING:
    from sfumato.table import Source

__all__ = ["app"]

app = typer.Typer(
    name="sfumato",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Turn a sensitive table about people into a release you can defend.\n\n"
    "A newcomer starts with `sfumato demo`; with an own table: `profile`, `init`, `run`, `verify`.",
)


def _version(wanted: bool) -> None:
    if wanted:
        from sfumato import __version__

        typer.echo(f"sfumato {__version__}")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[  # noqa: ARG001
        bool, typer.Option("--version", callback=_version, is_eager=True, help="The version.")
    ] = False,
    log: Annotated[
        bool, typer.Option("--log", help="Log the steps on standard error (never a cell).")
    ] = False,
) -> None:
    if log:
        import logging

        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s")


@app.command()
def demo(
    out: Out = Path("demo"),
    rows: Annotated[
        int | None,
        typer.Option(min=1000, help="Use only so many random rows: a quicker, rougher look."),
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Run the main job on bundled real data; ends with a report to open.

    237,630 adults of a national health survey (CDC BRFSS 2022) are released as a clean, an
    anonymized, a k-anonymous and a synthetic table. A neural network learns heart attacks from
    each and is tested on the same real people; who could be found in each is counted. Run it
    again and it resumes.
    """
    from sfumato.cli.commands import run_plan
    from sfumato.cli.demonstration import demo_plan

    console = Console(quiet=quiet, as_json=as_json)
    console.say("the demo: real patients, four versions of their table, one yardstick")
    run_plan(console, demo_plan(out, rows), out, jobs=None, only_estimate=False)


@app.command()
def profile(
    data: Data,
    out: Annotated[
        Path, typer.Option("--out", metavar="FILE", help="The report to write (HTML).")
    ] = Path("profile.html"),
    schema_out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the suggested schema here, to be corrected."),
    ] = None,
    schema: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A schema you have: its roles are used."),
    ] = None,
    delimiter: Delimiter = None,
    encoding: Encoding = None,
    decimal: Decimal = None,
    missing: Missing = None,
    sheet: Sheet = None,
    query: Query = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Tell what is in a table, who is at risk in it and what roles its columns may have.

    The report is an internal document: it shows group sizes and values of quasi-identifiers, never
    a cell of an identifier.
    """
    from sfumato.cli.commands import profile_table

    console = Console(quiet=quiet, as_json=as_json)
    where = source(
        data,
        delimiter=delimiter,
        encoding=encoding,
        decimal=decimal,
        missing=missing,
        sheet=sheet,
        query=query,
    )
    profile_table(console, where, out=out, schema_out=schema_out, schema=schema)


@app.command()
def init(
    data: Data,
    out: Out = Path(),
    delimiter: Delimiter = None,
    encoding: Encoding = None,
    decimal: Decimal = None,
    missing: Missing = None,
    sheet: Sheet = None,
    query: Query = None,
    frontier: Annotated[
        bool,
        typer.Option(
            "--frontier",
            help="A plan of every technique that fits the table, set against each other.",
        ),
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite a plan that exists.")] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write a starter plan.toml and schema.toml for a table, to be read and corrected."""
    from sfumato.cli.commands import start_plan

    console = Console(quiet=quiet, as_json=as_json)
    where = source(
        data,
        delimiter=delimiter,
        encoding=encoding,
        decimal=decimal,
        missing=missing,
        sheet=sheet,
        query=query,
    )
    start_plan(console, where, out, frontier=frontier, force=force)


@app.command()
def run(
    plan: Annotated[Path, typer.Argument(metavar="PLAN", help="The plan file (TOML).")],
    out: Out = Path("study"),
    jobs: Jobs = None,
    estimate: Annotated[
        bool, typer.Option("--estimate", help="Only say how long it would take and stop.")
    ] = False,
    step: Annotated[
        str | None,
        typer.Option(
            metavar="STEP",
            help="Only this step: prepare, train, apply or evaluate. What it makes is kept for "
            "the next one.",
        ),
    ] = None,
    spend_again: Annotated[
        list[str] | None,
        typer.Option(
            metavar="RELEASE",
            help="Give up what this release learned under its budget, and spend another one; "
            "repeatable.",
        ),
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Make every release of a plan and evaluate them side by side.

    With a section 'frontier' in the plan the releases are set against each other, risk against
    use, and the most useful one that keeps the plan's limits is recommended. Run it again and it
    resumes: a finished release is not made again. The same plan gives the same data, byte for byte.
    """
    from sfumato.cli.commands import run_plan

    run_plan(
        Console(quiet=quiet, as_json=as_json),
        plan,
        out,
        jobs=jobs,
        only_estimate=estimate,
        step=step,
        spend_again=spend_again or (),
    )


@app.command()
def anonymize(
    data: DataOrConfiguration,
    schema: OptionalSchemaFile = None,
    out: Out = Path("release"),
    technique: Annotated[
        str, typer.Option(help="One of the techniques that `sfumato techniques` lists.")
    ] = "local-recoding",
    k: Annotated[
        int | None,
        typer.Option(min=2, help="Every person looks like at least k - 1 others (k-anonymity)."),
    ] = None,
    suppression_limit: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="The largest share of rows that may be suppressed."),
    ] = None,
    criterion: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KIND:NAME=VALUE,...",
            help="A promise besides, such as l-diversity:column=occupation,l=3; repeatable.",
        ),
    ] = None,
    metric: Annotated[
        str | None, typer.Option(help="The setting `metric` of the technique, such as OLA's.")
    ] = None,
    model: Model = None,
    train: Train = None,
    allow_pickle: AllowPickle = False,
    start_k: StartK = None,
    stop_k: StopK = None,
    step_k: StepK = None,
    start_s: StartS = None,
    stop_s: StopS = None,
    step_s: StepS = None,
    settings: SettingsFile = None,
    set_: Set = None,
    file_format: Annotated[
        str, typer.Option("--format", help="csv or parquet: the released file.")
    ] = "csv",
    delimiter: Delimiter = None,
    encoding: Encoding = None,
    decimal: Decimal = None,
    missing: Missing = None,
    sheet: Sheet = None,
    query: Query = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Generalize, suppress or perturb a table with one technique, straight to a release folder.

    With ranges of k or of the suppression, a release folder for each combination. DATA may be a
    JSON file of Anonify's anonymization, which says table, algorithms and k.
    """
    from sfumato.cli.anonymizing import Asked, anonymize_by_configuration, anonymize_table
    from sfumato.cli.guiding import with_model
    from sfumato.cli.other_configurations import Ranges, is_configuration

    console = Console(quiet=quiet, as_json=as_json)
    given = technique_settings(console, settings, set_)
    given = with_model(technique, given, model=model, train=train, allow_pickle=allow_pickle)
    asked = Asked(
        settings=given if metric is None else {**given, "metric": metric},
        k=k,
        suppression_limit=suppression_limit,
        criteria=tuple(criterion or ()),
        ranges=Ranges.of(start_k, stop_k, step_k, start_s, stop_s, step_s),
        file_format=file_format,
    )

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

    if is_configuration(data):
        path = Path(data)
        code = anonymize_by_configuration(console, path, asked, out, schema=schema, table=table)
    else:
        code = anonymize_table(console, table(data), schema, technique, asked, out)
    raise typer.Exit(code)


app.command()(minimize)
app.command()(sample)
app.command()(assess)
app.add_typer(donate)


@app.command()
def synthesize(
    data: Data,
    schema: SchemaFile,
    out: Out = Path("synthetic"),
    technique: Annotated[
        str, typer.Option(help="One of the techniques that `sfumato techniques` lists.")
    ] = "copula",
    rows: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Rows to draw; as many as the table has by default, about as many under a budget.",
        ),
    ] = None,
    seed: Seed = 0,
    epsilon: Epsilon = None,
    delta: Delta = None,
    neighbours: NeighboursOption = None,
    settings: SettingsFile = None,
    set_: Set = None,
    file_format: Annotated[
        str, typer.Option("--format", help="csv or parquet: the released file.")
    ] = "csv",
    delimiter: Delimiter = None,
    encoding: Encoding = None,
    decimal: Decimal = None,
    missing: Missing = None,
    sheet: Sheet = None,
    query: Query = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Learn a model of a table and draw people who never lived, straight to a release folder.

    With --epsilon the technique must be one that spends a privacy budget, such as
    dp-latent-factor: what is promised then stands in the certificate with every charge.
    """
    from sfumato.cli.budgeting import with_budget
    from sfumato.cli.commands import make_release

    console = Console(quiet=quiet, as_json=as_json)
    asked = technique_settings(console, settings, set_)
    asked = with_budget(technique, asked, epsilon=epsilon, delta=delta, neighbours=neighbours)
    where = source(
        data,
        delimiter=delimiter,
        encoding=encoding,
        decimal=decimal,
        missing=missing,
        sheet=sheet,
        query=query,
    )
    make_release(
        console,
        where,
        schema,
        technique,
        asked,
        out,
        file_format=file_format,
        makes="generator",
        rows=rows,
        seed=seed,
    )


app.command()(evaluate)
app.command("evaluate-model")(evaluate_model)
app.command()(intersect)
app.command()(audit)


@app.command()
def verify(
    released: Annotated[
        Path, typer.Argument(metavar="RELEASED", help="A release folder, or a released file.")
    ],
    schema: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The schema; a release folder brings its own."),
    ] = None,
    k: Annotated[
        int | None, typer.Option(min=2, help="Check k-anonymity for this k as well.")
    ] = None,
    criterion: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KIND:NAME=VALUE,...",
            help="Check this promise as well, such as l-diversity:column=occupation,l=3 "
            "(values as in TOML; TOML or JSON will do too); repeatable.",
        ),
    ] = None,
    population: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The population, generalized as the release is: for k-map, delta-presence and "
            "the journalist's cost-benefit.",
        ),
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Recount a release's promises from the released data alone. Exit code 1: one is not kept."""
    from sfumato.cli.commands import verify_release

    console = Console(quiet=quiet, as_json=as_json)
    raise typer.Exit(verify_release(console, released, schema, k, criterion or (), population))


@app.command()
def techniques(as_json: Json = False, quiet: Quiet = False) -> None:
    """List the techniques and their settings."""
    from sfumato.cli.commands import list_techniques

    list_techniques(Console(quiet=quiet, as_json=as_json))
