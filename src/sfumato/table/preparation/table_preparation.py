"""A fitted way from the source's rows to those that a release is made of.

The steps stand in the plan; what they asked of the table was answered once, on the rows that the
release is made of. The same preparation then meets any rows: those set aside, next month's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import polars as pl

from sfumato.errors import DataError, PlanError, did_you_mean
from sfumato.fitted import Fitted
from sfumato.table.preparation.category_encoders import texts
from sfumato.table.preparation.cleaning_steps import Bounds, Drop, DropDuplicates, Impute, Trim
from sfumato.table.preparation.feature_steps import (
    Bins,
    DateParts,
    Derive,
    Normalize,
    OneHot,
    Years,
)
from sfumato.table.preparation.step import Answer, PreparationStep, Question

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sfumato.table.schema import Schema

__all__ = ["STEPS", "Asked", "TablePreparation", "exact_answer", "fit_steps", "step_of_plan"]

STEPS: dict[str, type[PreparationStep]] = {
    kind.name: kind
    for kind in (
        *(Bins, Bounds, DateParts, Derive, Drop, DropDuplicates),
        *(Impute, Normalize, OneHot, Trim, Years),
    )
}


class Asked(Protocol):
    """Who answers a step's question about a column's cells."""

    def __call__(self, step: PreparationStep, question: Question, table: pl.DataFrame) -> Answer:
        """Return the answer; the table is the one that the step meets."""
        ...


@dataclass(frozen=True)
class TablePreparation(Fitted):
    """Steps with the answers to their questions.

    Parameters
    ----------
    steps
        In order.
    answers
        For each step the answers to its questions.
    """

    word = "preparation"

    steps: tuple[PreparationStep, ...] = ()
    answers: tuple[tuple[Answer, ...], ...] = ()

    def apply(self, table: pl.DataFrame) -> pl.DataFrame:
        """Return rows as the steps make them; the table is left as it is.

        Raises
        ------
        SchemaError
            If a column is absent or of another type than a step needs.
        """
        for step, answers in zip(self.steps, self.answers, strict=True):
            table = step.applied(table, answers)
        return table

    def schema(self, schema: Schema) -> Schema:
        """Return the schema of the prepared table; of the source's it must cover every column."""
        for step in self.steps:
            schema = step.schema_after(schema)
        return schema

    def describe(self) -> tuple[str, ...]:
        """Return what each step did, a sentence each."""
        return tuple(
            step.describe(answers) for step, answers in zip(self.steps, self.answers, strict=True)
        )

    def to_dict(self) -> dict[str, Any]:
        """Return all that :meth:`from_dict` needs, as plain JSON values."""
        return {
            "steps": [step.model_dump(mode="json", exclude_none=True) for step in self.steps],
            "answers": [
                [list(one) if isinstance(one, tuple) else one for one in answers]
                for answers in self.answers
            ],
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> TablePreparation:
        """Return the preparation that :meth:`to_dict` described.

        Raises
        ------
        DataError
            If it is malformed.
        """
        try:
            steps = tuple(step_of_plan(one) for one in values["steps"])
            answers = tuple(
                tuple(tuple(one) if isinstance(one, list) else one for one in several)
                for several in values["answers"]
            )
        except (KeyError, TypeError, PlanError):
            raise DataError("a preparation is malformed: write it with save") from None
        if [len(one.questions) for one in steps] != [len(one) for one in answers]:
            raise DataError("a preparation is malformed: its answers do not fit its steps")
        return cls(steps, answers)


def step_of_plan(values: Mapping[str, Any]) -> PreparationStep:
    """Return the step that a plan's table asks for.

    Raises
    ------
    PlanError
        If there is no such step, or a setting is wrong.
    """
    name = values.get("step")
    kind = STEPS.get(name) if isinstance(name, str) else None
    if kind is None:
        hint = did_you_mean(name, STEPS) if isinstance(name, str) else ""
        raise PlanError(f"there is no step {name!r}.{hint} Known: {', '.join(STEPS)}")
    return kind.of(values)


def fit_steps(
    table: pl.DataFrame, steps: Iterable[PreparationStep], asked: Asked
) -> TablePreparation:
    """Answer the questions of all steps, each on the rows that the steps before it made.

    Parameters
    ----------
    table
        The rows that a release is made of.
    steps
        In order.
    asked
        Who answers, such as :func:`exact_answer`.

    Raises
    ------
    SchemaError
        If a column is absent or of another type than a step needs.
    """
    steps, answers = tuple(steps), []
    for step in steps:
        answers.append(tuple(asked(step, question, table) for question in step.questions))
        table = step.applied(table, answers[-1])
    return TablePreparation(steps, tuple(answers))


def exact_answer(
    step: PreparationStep,  # noqa: ARG001  (who pays looks at it)
    question: Question,
    table: pl.DataFrame,
) -> Answer:
    """Answer a question exactly: where nothing is promised to the people in the table.

    Missing cells are not counted; of two categories that are as frequent the first by name is the
    mode. None if no cell is known.
    """
    if question.column not in table.columns:
        return None  # the step itself says so
    cells = table[question.column].drop_nulls()
    if question.kind == "mode":
        counted = texts(cells).value_counts(name="rows")
        ordered = counted.sort("rows", question.column, descending=[True, False])
        return None if ordered.is_empty() else str(ordered[question.column][0])
    if cells.is_empty() or not cells.dtype.is_numeric():
        return None
    numbers = cells.cast(pl.Float64).to_numpy()
    if question.kind == "moments":
        return float(numbers.mean()), float(numbers.std())
    return float(np.quantile(numbers, float(question.rank or 0)))
