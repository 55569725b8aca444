"""The questions of a task, made of a table and its schema; for simulations alone.

In a real task the possible answers are declared before anybody is asked. A schema declares them
where a hierarchy lists its values. Where it does not, they are read off the table here, which a
real task must never do: an answer that only one person gives would be a possible one because that
person gave it. What was read off is said.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl

from sfumato.donation.records import (
    CategoryQuestion,
    NumberQuestion,
    NumberRange,
    QuasiIdentifierQuestion,
    RecordCodec,
)
from sfumato.errors import DataError, PlanError, SchemaError
from sfumato.table import Hierarchy, Role, Schema

__all__ = ["TableQuestions", "questions_of_table"]

_LEAST_CHOICES, _MOST_CHOICES = 2, 65_535
_MOST_DECIMALS = 6
_FEW_BYTES = 256


@dataclass(frozen=True)
class TableQuestions:
    """What is asked, and what had to be read off the table for it.

    Parameters
    ----------
    quasi_identifiers, sensitive
        The questions.
    read_off
        Columns whose possible answers no schema declares.
    left_out
        Columns that are not asked for: identifiers.
    """

    quasi_identifiers: tuple[QuasiIdentifierQuestion, ...]
    sensitive: tuple[CategoryQuestion | NumberQuestion, ...]
    read_off: tuple[str, ...]
    left_out: tuple[str, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that are asked for."""
        return tuple(q.column for q in (*self.quasi_identifiers, *self.sensitive))

    @property
    def record_bytes(self) -> int:
        """Length of a record that holds all answers: 256 bytes, or as many more as it needs."""
        codec = RecordCodec.of(self.quasi_identifiers, self.sensitive, 65_536)
        return max(_FEW_BYTES, codec.used_bytes)

    def describe(self) -> list[str]:
        """Return what must be known of the questions, a sentence each."""
        words = []
        if self.left_out:
            words.append(f"Not asked for, as they name a person: {', '.join(self.left_out)}")
        if self.read_off:
            words.append(
                "The schema declares no possible answers for these columns, so they were read off "
                f"the table; a real task must declare them: {', '.join(self.read_off)}"
            )
        return words


def questions_of_table(table: pl.DataFrame, schema: Schema) -> TableQuestions:
    """Return the questions to which the rows of a table are answers.

    Parameters
    ----------
    table
        The donors' rows.
    schema
        Quasi-identifiers with their hierarchies; every other column but identifiers is sensitive:
        it is released exactly, in the rows that are sampled.

    Raises
    ------
    SchemaError
        If there is no quasi-identifier, or one of numbers has no hierarchy.
    PlanError
        If a column has too many different answers.
    """
    full = schema.check(table)
    if not full.quasi_identifiers:
        raise SchemaError("a donation task needs a quasi-identifier, and the schema names none")
    quasi, sensitive, read_off = [], [], []
    for name, column in full.columns.items():
        if column.role == Role.IDENTIFIER:
            continue
        label = column.note or name
        if column.role == Role.QUASI_IDENTIFIER:
            question, declared = _coarse(table[name], column.hierarchy, label)
            quasi.append(question)
        else:
            answer, declared = _exact(table[name], column.hierarchy, label)
            sensitive.append(answer)
        if not declared:
            read_off.append(name)
    return TableQuestions(tuple(quasi), tuple(sensitive), tuple(read_off), full.identifiers)


def _coarse(
    values: pl.Series, hierarchy: Hierarchy | None, label: str
) -> tuple[QuasiIdentifierQuestion, bool]:
    given: dict[str, Any] = {
        "column": values.name,
        "label": label,
        "missing": values.null_count() > 0,
    }
    if hierarchy is not None and hierarchy.leaves is not None:
        return QuasiIdentifierQuestion(hierarchy=hierarchy, **given), True
    if values.dtype.is_numeric() and hierarchy is not None:
        given["range"] = _range(values)
    elif values.dtype.is_numeric() and values.n_unique() > 2:
        raise SchemaError(
            f"column {values.name!r}: a quasi-identifier of numbers needs a hierarchy, such as "
            "hierarchy = { bands = [5, 10, 20] }"
        )
    else:
        given["choices"] = _choices(values)
    return QuasiIdentifierQuestion(hierarchy=hierarchy or Hierarchy.flat(), **given), False


def _exact(
    values: pl.Series, hierarchy: Hierarchy | None, label: str
) -> tuple[CategoryQuestion | NumberQuestion, bool]:
    given: dict[str, Any] = {
        "column": values.name,
        "label": label,
        "missing": values.null_count() > 0,
    }
    if values.dtype.is_numeric():
        return NumberQuestion(range=_range(values), **given), False
    leaves = None if hierarchy is None else hierarchy.leaves
    if leaves is not None and len(leaves) <= _MOST_CHOICES:
        return CategoryQuestion(choices=leaves, **given), True
    return CategoryQuestion(choices=_choices(values), **given), False


def _choices(values: pl.Series) -> tuple[str, ...]:
    texts: Sequence[str] = values.drop_nulls().cast(pl.String).unique().sort().to_list()
    if len(texts) > _MOST_CHOICES:
        raise PlanError(
            f"column {values.name!r} has {len(texts):,} different answers, and a question at most "
            f"{_MOST_CHOICES:,}: leave it out, or group them"
        )
    others = (other for other in ("(other)", "(another)") if other not in texts)
    while len(texts) < _LEAST_CHOICES:  # a question needs two answers, whatever the table holds
        texts = [*texts, next(others)]
    return tuple(texts)


def _range(values: pl.Series) -> NumberRange:
    """Return the least range that holds all numbers, in steps of their last decimal."""
    numbers = values.drop_nulls().cast(pl.Float64)
    if not numbers.is_finite().all():
        raise DataError(f"column {values.name!r} holds numbers that are not finite")
    decimals = _decimals(numbers)
    step = Decimal(1).scaleb(-decimals)
    array = numbers.to_numpy()
    bounds = (array.min(), array.max()) if len(array) else (0.0, 0.0)
    least, greatest = (Decimal(f"{number:.{decimals}f}") for number in bounds)
    return NumberRange(minimum=least, maximum=max(greatest, least + step), resolution=step)


def _decimals(numbers: pl.Series) -> int:
    """Return after how many decimals all numbers end, at most six."""
    array = numbers.to_numpy()
    for decimals in range(_MOST_DECIMALS):
        if np.array_equal(np.round(array, decimals), array):
            return decimals
    return _MOST_DECIMALS
