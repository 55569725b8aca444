"""`sfumato evaluate-model`: what a trained model gives away of the people it learned from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sfumato.cli.figure_lines import figure_table
from sfumato.cli.reading import read
from sfumato.errors import DataError, PlanError

if TYPE_CHECKING:
    import polars as pl

    from sfumato.cli.console import Console
    from sfumato.evaluation.trained_models import ModelAttacks
    from sfumato.table import Source

__all__ = ["Judged", "judge_model"]


@dataclass(frozen=True)
class Judged:
    """The model that is judged.

    Parameters
    ----------
    path, allow_pickle
        Its file, and whether that may be a pickle.
    target
        The column that it predicts; the schema's target if None.
    """

    path: Path
    allow_pickle: bool
    target: str | None


def judge_model(
    console: Console,
    members: Source,
    control: Source,
    schema_file: Path,
    judged: Judged,
    attacks: ModelAttacks,
    *,
    out: Path,
    seed: int,
) -> None:
    """Attack a model with the rows that it was trained on and with others; write what was found.

    Parameters
    ----------
    console
        Where the result goes.
    members, control
        The rows that it was trained on, and rows of others, drawn alike.
    schema_file
        Who the columns are.
    judged
        The model.
    attacks
        What is tried.
    out
        The folder to write.
    seed
        Of every random step.

    Raises
    ------
    PlanError
        If no target is known, or both tables are one file.
    DataError
        If the model cannot be read, or the tables do not fit it.
    """
    from sfumato.anonymization.guided.guide import TableModel
    from sfumato.anonymization.guided.model_files import load_model
    from sfumato.atomic import write_whole
    from sfumato.evaluation.trained_models import evaluate_model
    from sfumato.release.report.model_report import render_model
    from sfumato.table import Schema

    if members.path is not None and members.path == control.path:
        raise PlanError(f"{members.path} is given twice: controls are people it never saw")
    schema = Schema.read(schema_file)
    target = judged.target or schema.target
    if target is None:
        raise PlanError("what the model predicts is not known: give --target, or name it in schema")
    model = load_model(judged.path, allow_pickle=judged.allow_pickle)
    learned = read(console, members, schema)
    others = read(console, control, schema)
    full = schema.check(learned)
    full = Schema.of(full.columns, target=target, person=full.person, missing=full.missing)
    asked = TableModel.of_fitted(model, learned, full, "auto")

    def pair(table: pl.DataFrame, what: str) -> tuple[Any, Any]:
        absent = [name for name in (*asked.names, target) if name not in table.columns]
        if absent:
            raise DataError(f"{what}: there is no column {absent[0]!r}, which the model needs")
        known = table.filter(table[target].is_not_null())
        return asked.read(known), known[target].to_numpy()

    with console.progress() as progress:
        found = evaluate_model(
            model,
            pair(learned, "the training rows"),
            pair(others, "the control rows"),
            attacks=attacks,
            seed=seed,
            progress=progress,
        )
    out.mkdir(parents=True, exist_ok=True)
    found.save(out / "evaluation.json")
    found.save(out / "outward.json", for_others=True)
    write_whole(out / "report.html", render_model(found, name=judged.path.name))
    words = [
        *figure_table(found.figures),
        f"all tests together: {found.verdict.value}",
        f"report: {out / 'report.html'}",
    ]
    console.result(found.to_dict(), words)
