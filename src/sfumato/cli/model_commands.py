"""The command that judges a trained model, and its help."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sfumato.cli.console import Console
from sfumato.cli.minimizing_commands import AllowPickle
from sfumato.cli.options import (
    Decimal,
    Delimiter,
    Encoding,
    Json,
    Missing,
    Out,
    Quiet,
    SchemaFile,
    Seed,
    source,
)

if TYPE_CHECKING:
    from sfumato.table import Source

__all__ = ["evaluate_model"]

_TRYING = "What is tried"


def evaluate_model(
    members: Annotated[
        str, typer.Argument(metavar="MEMBERS", help="The rows that the model was trained on.")
    ],
    control: Annotated[
        str,
        typer.Argument(
            metavar="CONTROL", help="Rows of people it never saw, drawn as the members were."
        ),
    ],
    schema: SchemaFile,
    model: Annotated[
        Path,
        typer.Option(
            "--model",
            metavar="FILE",
            help="The model: .skops or .onnx; a pickle only with --allow-pickle.",
        ),
    ],
    allow_pickle: AllowPickle = False,
    target: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="What it predicts; the schema's target if not said."),
    ] = None,
    attack: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Try this and nothing else but what is named so: loss, label_only, black_box, "
            "shadow_models, privacy_risk, attribute, shapley, minimization; repeatable.",
            rich_help_panel=_TRYING,
        ),
    ] = None,
    secret: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN",
            help="An input that an attacker wants to infer; repeatable.",
            rich_help_panel=_TRYING,
        ),
    ] = None,
    shadows: Annotated[
        int,
        typer.Option(
            min=4, help="Shadow models to train: 16 are quick, 64 better.", rich_help_panel=_TRYING
        ),
    ] = 32,
    most: Annotated[
        int,
        typer.Option(
            min=2, help="Most members and most controls attacked.", rich_help_panel=_TRYING
        ),
    ] = 20_000,
    out: Out = Path("model-evaluation"),
    seed: Seed = 0,
    delimiter: Delimiter = None,
    encoding: Encoding = None,
    decimal: Decimal = None,
    missing: Missing = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Measure what a trained model gives away of the people it learned from.

    Who was a member, what a secret column holds, whose row moved it and what it does not need, each
    with interval and baseline. Writes report.html, evaluation.json (both for the house) and
    outward.json.
    """
    from sfumato.cli.judging_models import Judged, judge_model
    from sfumato.evaluation.trained_models import ModelAttacks

    def table(place: str) -> Source:
        return source(
            place, delimiter=delimiter, encoding=encoding, decimal=decimal, missing=missing
        )

    attacks = ModelAttacks.of(
        {
            "only": tuple(attack) if attack else None,
            "secrets": tuple(secret or ()),
            "shadows": shadows,
            "most": most,
        }
    )
    judge_model(
        Console(quiet=quiet, as_json=as_json),
        table(members),
        table(control),
        schema,
        Judged(model, allow_pickle, target),
        attacks,
        out=out,
        seed=seed,
    )
