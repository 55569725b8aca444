"""`sfumato minimize`: which inputs a model does not need in full detail."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sfumato.cli.reading import read
from sfumato.errors import DataError, PlanError

if TYPE_CHECKING:
    import numpy.typing as npt
    import polars as pl

    from sfumato.anonymization.guided.guide import TableModel
    from sfumato.cli.console import Console
    from sfumato.table import Source

__all__ = ["Wanted", "minimize_table"]


@dataclass(frozen=True)
class Wanted:
    """What the command line asks for.

    Parameters
    ----------
    model, train, allow_pickle
        The file of a fitted model, or the name of one to train; whether it may be a pickle.
    target
        Least relative accuracy.
    keep
        Columns that may not be touched.
    confidence, seed
        See :class:`sfumato.anonymization.Minimize`.
    """

    model: Path | None
    train: str | None
    allow_pickle: bool
    target: float
    keep: tuple[str, ...]
    confidence: float
    seed: int


def minimize_table(
    console: Console, where: Source, schema_file: Path, wanted: Wanted, out: Path
) -> None:
    """Learn generalizations of a model's inputs; write them, the form and the minimized table.

    Raises
    ------
    PlanError
        If not exactly one model is named, or the schema names no target to train one on.
    DataError
        If the model or the table cannot be used.
    """
    from sfumato.anonymization.guided.guide import TableModel
    from sfumato.anonymization.guided.model_files import load_model
    from sfumato.anonymization.minimization.minimize import Minimize
    from sfumato.release.folders import write_text
    from sfumato.table import Schema, write

    if (wanted.model is None) == (wanted.train is None):
        raise PlanError("give a fitted model with --model, or train one with --train; one of them")
    schema = Schema.read(schema_file)
    fitted = None
    if wanted.model is not None:
        fitted = load_model(wanted.model, allow_pickle=wanted.allow_pickle)
    table = read(console, where, schema)
    full = schema.check(table)
    if fitted is not None:
        model = TableModel.of_fitted(fitted, table, full, "auto")
    elif full.target is None:
        raise PlanError("--train needs the column to predict: name the target in the schema")
    else:
        target = [full.target]
        model = TableModel.of_name(str(wanted.train), table, full, target, "auto", wanted.seed)
    rows = table.select(model.names)
    minimizer = Minimize(
        _Asked(model),
        target=wanted.target,
        keep=wanted.keep,
        confidence=wanted.confidence,
        task="regression" if model.regression else "classification",
        random_state=wanted.seed,
    )
    try:
        minimized = minimizer.fit(rows).transform(rows)
    except ValueError as error:
        raise DataError(str(error)) from None
    out.mkdir(parents=True, exist_ok=True)
    minimizer.save(out / "generalizations.json")
    form = minimizer.form()
    write_text(out / "form.txt", "".join(f"{line}\n" for line in form))
    write(minimized, out / "minimized.csv")
    made, penalty = minimizer.generalizations_, minimizer.ncp_
    values = {
        "folder": str(out),
        **made.summary(),
        "form": list(form),
        "accuracy": made.accuracy,
        "bound": made.bound,
        "ncp": {"fit": penalty.fit, "generalizations": penalty.generalizations},
    }
    sure = "" if made.bound == made.accuracy else f" (at least {made.bound:.4g})"
    kept = (
        f"answered as before on rows held out: {made.accuracy:.4g}{sure}, with a confidence of "
        f"{wanted.confidence:g}; target {wanted.target:g}"
    )
    if not model.regression:
        answers = model.answers(rows)
        usual = float(np.unique(answers, return_counts=True)[1].max() / len(answers))
        kept += f"; {usual:.4g} would be if always the most usual answer were given"
    left_open = (
        f"detail that is left open (NCP): {100 * penalty.fit:.3g} % in the cells, "
        f"{100 * penalty.generalizations:.3g} % in the form"
    )
    asked = ["what is to be asked of a person:", *(f"  {line}" for line in form)]
    console.result(values, [*asked, kept, left_open, f"written: {out}"])


class _Asked:
    """A model of a table, asked as scikit-learn's are."""

    def __init__(self, model: TableModel) -> None:
        self._model = model

    def predict(self, rows: pl.DataFrame) -> npt.NDArray[Any]:
        """Return what it answers."""
        return self._model.answers(rows)
