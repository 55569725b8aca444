"""One donor's answers, from a file or a form: checked question by question.

A message names the question and its possible answers, never the answer that was given.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from sfumato.donation.messages import TaskConfiguration
from sfumato.donation.records import CategoryQuestion, NumberQuestion, QuasiIdentifierQuestion
from sfumato.errors import DataError, HierarchyError, SchemaError, did_you_mean

__all__ = ["answers_row", "possible_answers", "problems_of", "read_answers"]

_MOST_LISTED = 12
_MOST_BYTES = 1 << 20

Question = QuasiIdentifierQuestion | CategoryQuestion | NumberQuestion


def read_answers(path: Path) -> dict[str, str | None]:
    """Read a record: a JSON object, or a CSV file of one row below its header.

    Returns
    -------
    dict
        Each answer as a text, None for no answer.

    Raises
    ------
    DataError
        If the file cannot be read or holds something else than one record.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
        text = data.decode("utf-8-sig")
    except OSError as error:
        raise DataError(f"{path}: {(error.strerror or 'unreadable').lower()}") from None
    except UnicodeDecodeError:
        raise DataError(f"{path}: a record must be a text in UTF-8") from None
    if len(data) > _MOST_BYTES:
        raise DataError(f"{path}: too large for one record")
    if path.suffix.lower() == ".json":
        return _of_json(path, text)
    return _of_csv(path, text)


def answers_row(task: TaskConfiguration, answers: Mapping[str, str | None]) -> pl.DataFrame:
    """Return one donor's answers as a table of one row.

    Raises
    ------
    SchemaError
        If a question is not answered, or a column is no question.
    DataError
        If an answer is none of the possible ones; names every such question.
    """
    questions = _questions(task)
    names = [question.column for question in questions]
    for name in answers:
        if name not in names:
            raise SchemaError(
                f"the record has a column {name!r}, and the task no such question."
                f"{did_you_mean(name, names)} Leave out what is not asked for"
            )
    absent = [name for name in names if name not in answers]
    if absent:
        raise SchemaError(f"the record lacks an answer to: {', '.join(absent)}")
    wrong = problems_of(task, answers)
    if wrong:
        told = (f"{q.column}: {wrong[q.column]}" for q in questions if q.column in wrong)
        raise DataError("; ".join(told))
    return pl.DataFrame([_series(question, answers) for question in questions])


def problems_of(task: TaskConfiguration, answers: Mapping[str, str | None]) -> dict[str, str]:
    """Return for each question whose answer is none of the possible ones what is possible.

    Parameters
    ----------
    task
        The configuration.
    answers
        By column; one that is absent counts as no answer.
    """
    wrong = {}
    for question in _questions(task):
        try:
            question.codes(_series(question, answers))
        except (DataError, HierarchyError):
            wrong[question.column] = f"choose {possible_answers(question)}"
    return wrong


def possible_answers(question: Question) -> str:
    """Return the possible answers in words."""
    bounds = None if isinstance(question, CategoryQuestion) else question.range
    if bounds is not None:
        text = f"a number from {bounds.minimum} to {bounds.maximum} in steps of {bounds.resolution}"
    else:
        choices = _choices(question)
        text = "one of " + ", ".join(repr(choice) for choice in choices[:_MOST_LISTED])
        if len(choices) > _MOST_LISTED:
            text += f" and {len(choices) - _MOST_LISTED} more"
    return f"{text}, or no answer" if question.missing else text


def _choices(question: Question) -> tuple[str, ...]:
    if isinstance(question, NumberQuestion):
        return ()
    if isinstance(question, CategoryQuestion):
        return question.choices
    return question.choices or question.hierarchy.leaves or ()


def _questions(task: TaskConfiguration) -> tuple[Question, ...]:
    return (*task.quasi_identifiers, *task.sensitive)


def _series(question: Question, answers: Mapping[str, str | None]) -> pl.Series:
    return pl.Series(question.column, [answers.get(question.column)], dtype=pl.String)


def _of_json(path: Path, text: str) -> dict[str, str | None]:
    try:
        values: Any = json.loads(text)
    except (ValueError, RecursionError):
        raise DataError(f"{path} is not JSON") from None
    if not isinstance(values, dict):
        raise DataError(f"{path}: a record is one JSON object, a member for each question")
    return {name: _text(path, name, value) for name, value in values.items()}


def _of_csv(path: Path, text: str) -> dict[str, str | None]:
    try:
        lines = [line for line in csv.reader(text.splitlines(), strict=True) if line]
    except csv.Error:
        raise DataError(f"{path} is not CSV: separate answers by commas") from None
    if len(lines) != 2:
        raise DataError(
            f"{path}: a record is one row below its header (the file has "
            f"{max(len(lines) - 1, 0)} rows): a person donates once"
        )
    header, row = lines
    if len(header) != len(row) or len(set(header)) < len(header):
        raise DataError(f"{path}: needs each column once, and an entry for each")
    return {name: entry.strip() or None for name, entry in zip(header, row, strict=True)}


def _text(path: Path, name: str, value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value.strip() or None if isinstance(value, str) else None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, int | float):
        return str(value)
    raise DataError(f"{path}: the answer to {name!r} must be a text, a number or null")
