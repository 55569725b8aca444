"""The commands that judge what others may have made, and their help."""

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
    Quiet,
    SchemaFile,
    Seed,
    Set,
    SettingsFile,
    source,
    technique_settings,
)

if TYPE_CHECKING:
    from sfumato.table import Source

__all__ = ["audit", "evaluate", "intersect"]

_MEASURING = "What is measured"
_TRYING = "How the claim is tried"

Real = Annotated[str, typer.Argument(metavar="REAL", help="The real table.")]
Synthetic = Annotated[
    bool,
    typer.Option("--synthetic", help="The rows were drawn from a model: none is a person."),
]


def evaluate(
    real: Real,
    released: Annotated[
        str, typer.Argument(metavar="RELEASED", help="The released table, whoever made it.")
    ],
    schema: SchemaFile,
    control: Annotated[
        str | None,
        typer.Option(metavar="CONTROL", help="Real people who are not in the release."),
    ] = None,
    target: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="What a model should learn.")
    ] = None,
    synthetic: Synthetic = False,
    plan: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Measure as this plan does: a TOML file, of which the section 'evaluation' is "
            "read and nothing else.",
            rich_help_panel=_MEASURING,
        ),
    ] = None,
    attack: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Try this attack and no others but those named so; repeatable.",
            rich_help_panel=_MEASURING,
        ),
    ] = None,
    most: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Most members and most controls that are attacked; 0 tries no attack.",
            rich_help_panel=_MEASURING,
        ),
    ] = None,
    policy: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME[=LIMIT]",
            help="Hold the figures against this limit, such as ema-0070 or edpb-linkability=0.01; "
            "repeatable.",
            rich_help_panel=_MEASURING,
        ),
    ] = None,
    group: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN",
            help="Look at the groups of this column one by one; repeatable.",
            rich_help_panel=_MEASURING,
        ),
    ] = None,
    question: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SQL",
            help="A question of your own about the table t that has one number as its answer, such "
            'as "SELECT avg(bmi) FROM t"; repeatable.',
            rich_help_panel=_MEASURING,
        ),
    ] = None,
    population_size: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="People of whom the table is a random sample: who is alone among them is "
            "estimated.",
            rich_help_panel=_MEASURING,
        ),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="Any other setting of a plan's section 'evaluation', such as risk.threshold=0.1; "
            "overrides all above; repeatable.",
            rich_help_panel=_MEASURING,
        ),
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", metavar="FOLDER", help="The folder to write.")
    ] = Path("evaluation"),
    seed: Seed = 0,
    delimiter: Delimiter = None,
    encoding: Encoding = None,
    decimal: Decimal = None,
    missing: Missing = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Measure the risk and the utility of any released file, whoever made it."""
    from sfumato.cli.evaluating import Measured, evaluate_release

    console = Console(quiet=quiet, as_json=as_json)

    def table(place: str) -> Source:
        return source(
            place, delimiter=delimiter, encoding=encoding, decimal=decimal, missing=missing
        )

    evaluate_release(
        console,
        table(real),
        table(released),
        None if control is None else table(control),
        schema,
        measured=Measured(
            plan=plan,
            pairs=tuple(set_ or ()),
            attacks=tuple(attack or ()),
            most=most,
            policies=tuple(policy or ()),
            groups=tuple(group or ()),
            questions=tuple(question or ()),
            population_size=population_size,
        ),
        target=target,
        synthetic=synthetic,
        out=out,
        seed=seed,
    )


def intersect(
    real: Real,
    first: Annotated[str, typer.Argument(metavar="FIRST", help="One release of these people.")],
    second: Annotated[
        str,
        typer.Argument(metavar="SECOND", help="Another one; it may show other columns."),
    ],
    schema: SchemaFile,
    control: Annotated[
        str | None,
        typer.Option(metavar="CONTROL", help="Real people who are in neither release."),
    ] = None,
    sensitive: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN",
            help="Learn this column; repeatable. The schema's sensitive ones and its target if "
            "none is named.",
        ),
    ] = None,
    bins: Annotated[
        int, typer.Option(min=2, help="Numbers of many values are learned by so many bins.")
    ] = 10,
    smallest: Annotated[
        int, typer.Option(min=2, help="The smallest count of people that may be shown.")
    ] = 11,
    synthetic: Synthetic = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FOLDER", help="Write a report into this folder."),
    ] = None,
    seed: Seed = 0,
    delimiter: Delimiter = None,
    encoding: Encoding = None,
    decimal: Decimal = None,
    missing: Missing = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Tell what two releases of the same people give away together that neither does alone.

    Whose value is left when both are laid on top of each other, and which small counts follow by
    subtracting one from the other.
    """
    from sfumato.cli.evaluating import intersect_releases

    console = Console(quiet=quiet, as_json=as_json)

    def table(place: str) -> Source:
        return source(
            place, delimiter=delimiter, encoding=encoding, decimal=decimal, missing=missing
        )

    intersect_releases(
        console,
        table(real),
        table(first),
        table(second),
        None if control is None else table(control),
        schema,
        sensitive=tuple(sensitive or ()),
        bins=bins,
        smallest=smallest,
        synthetic=synthetic,
        out=out,
        seed=seed,
    )


def audit(
    mechanism: Annotated[
        str,
        typer.Argument(
            metavar="MECHANISM",
            help="module:function or file.py:function, taking (data, seed) and returning what it "
            "would release; or a technique that `sfumato techniques` lists.",
        ),
    ],
    epsilon: Annotated[float, typer.Option(help="What is claimed for adding or removing one row.")],
    data: Annotated[
        str | None,
        typer.Argument(metavar="DATA", help="The table that it runs on.", show_default=False),
    ] = None,
    delta: Annotated[float, typer.Option(help="The claimed delta, from 0 to below 1.")] = 0.0,
    pair: Annotated[
        tuple[str, str] | None,
        typer.Option(
            metavar="FIRST SECOND",
            help="Two inputs that must look alike, such as 120 119, in place of DATA.",
            rich_help_panel=_TRYING,
        ),
    ] = None,
    how: Annotated[
        str | None,
        typer.Option(
            metavar="WAY",
            help="one-run: many records with a coin each, one release (a technique's default). "
            "neighbouring-tables: many runs on two tables that differ by one record (a function's "
            "default).",
            rich_help_panel=_TRYING,
        ),
    ] = None,
    runs: Annotated[
        int | None,
        typer.Option(
            min=20,
            help="Runs on either table; 10,000 of a function and 200 of a technique if not said.",
            rich_help_panel=_TRYING,
        ),
    ] = None,
    canaries: Annotated[
        int | None,
        typer.Option(
            min=2,
            help="Records with a coin in one run; 1,000 if not said.",
            rich_help_panel=_TRYING,
        ),
    ] = None,
    batch: Annotated[
        bool,
        typer.Option(
            "--batch",
            help="The function takes (data, runs, seed) and returns an array of all runs.",
            rich_help_panel=_TRYING,
        ),
    ] = False,
    gaussian: Annotated[
        bool,
        typer.Option(
            "--gaussian",
            help="The claim is one of Gaussian noise: the bound is about twice as tight.",
            rich_help_panel=_TRYING,
        ),
    ] = False,
    confidence: Annotated[
        float,
        typer.Option(
            help="Of the bound that is printed, above 0 and below 1.", rich_help_panel=_TRYING
        ),
    ] = 0.95,
    schema: Annotated[
        Path | None,
        typer.Option("--schema", metavar="FILE", help="The schema; a technique needs it."),
    ] = None,
    seed: Seed = 0,
    settings: SettingsFile = None,
    set_: Set = None,
    delimiter: Delimiter = None,
    encoding: Encoding = None,
    decimal: Decimal = None,
    missing: Missing = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Audit the epsilon that a mechanism claims: a lower bound, and what it could have been.

    Three outcomes: violation (exit code 1), not refuted, not refutable (both 0). None of them says
    that something is private. The function is run: name only code that you trust.
    """
    from sfumato.cli.auditing import Claim, Trial, audit_claim

    console = Console(quiet=quiet, as_json=as_json)
    where = (
        None
        if data is None
        else source(data, delimiter=delimiter, encoding=encoding, decimal=decimal, missing=missing)
    )
    claim = Claim(mechanism, epsilon, delta, technique_settings(console, settings, set_))
    trial = Trial(
        how=how,
        pair=pair,
        runs=runs,
        canaries=canaries,
        batch=batch,
        gaussian=gaussian,
        seed=seed,
        confidence=confidence,
    )
    raise typer.Exit(audit_claim(console, claim, trial, where, schema))
