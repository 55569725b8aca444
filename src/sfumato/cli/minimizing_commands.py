"""The command that minimizes a model's inputs, and its help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sfumato.cli.console import Console
from sfumato.cli.options import (
    Data,
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
    Sheet,
    source,
)

__all__ = ["AllowPickle", "Model", "Train", "minimize"]

_MODEL = "The model"

Model = Annotated[
    Path | None,
    typer.Option(
        "--model",
        metavar="FILE",
        help="A fitted model: .skops or .onnx; a pickle only with --allow-pickle.",
        rich_help_panel=_MODEL,
    ),
]
Train = Annotated[
    str | None,
    typer.Option(
        "--train",
        metavar="NAME",
        help="Train one on the schema's target: decision-tree, random-forest, gradient-boosting, "
        "logistic-regression or mlp.",
        rich_help_panel=_MODEL,
    ),
]
AllowPickle = Annotated[
    bool,
    typer.Option(
        "--allow-pickle",
        help="Load the model from a pickle. It is code that runs with your rights: only for files "
        "that you made yourself.",
        rich_help_panel=_MODEL,
    ),
]


def minimize(
    data: Data,
    schema: SchemaFile,
    model: Model = None,
    train: Train = None,
    allow_pickle: AllowPickle = False,
    target_accuracy: Annotated[
        float,
        typer.Option(min=0, max=1, help="Least share of rows (or R2) answered as before, 0 to 1."),
    ] = 0.998,
    keep: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN", help="A column that may not be touched; repeatable."),
    ] = None,
    confidence: Annotated[
        float,
        typer.Option(min=0.5, max=0.9999, help="With which other rows keep the target, one-sided."),
    ] = 0.95,
    out: Out = Path("minimized"),
    seed: Seed = 18,
    delimiter: Delimiter = None,
    encoding: Encoding = None,
    decimal: Decimal = None,
    missing: Missing = None,
    sheet: Sheet = None,
    query: Query = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Tell which inputs a model does not need in full detail.

    Writes the ranges and categories that are enough (generalizations.json), what is to be asked of
    a person (form.txt), and the inputs of the table so minimized (minimized.csv).
    """
    from sfumato.cli.minimizing import Wanted, minimize_table

    where = source(
        data,
        delimiter=delimiter,
        encoding=encoding,
        decimal=decimal,
        missing=missing,
        sheet=sheet,
        query=query,
    )
    wanted = Wanted(
        model, train, allow_pickle, target_accuracy, tuple(keep or ()), confidence, seed
    )
    minimize_table(Console(quiet=quiet, as_json=as_json), where, schema, wanted, out)
