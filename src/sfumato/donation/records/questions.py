"""The questions of a donation task, with all their possible answers said in advance."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, Literal, Self

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import Field, GetPydanticSchema, model_validator
from pydantic_core import core_schema

from sfumato.donation.records.numbers import NumberRange
from sfumato.errors import DataError, SchemaError
from sfumato.settings import Settings
from sfumato.table import Hierarchy, Ladder

__all__ = [
    "CategoryQuestion",
    "NumberQuestion",
    "QuasiIdentifierQuestion",
    "SensitiveQuestion",
]

_MOST_LEAVES = 2**24


def _hierarchy(value: Any) -> Hierarchy:
    if isinstance(value, Hierarchy):
        return value
    if not isinstance(value, Mapping):
        raise ValueError("must be a hierarchy, such as { bands = [5, 10] }")  # noqa: TRY004
    if "file" in value:  # a task comes from others, and must not name files of this machine
        raise ValueError("give the lines of the file: a task is read on other machines")
    try:
        return Hierarchy.from_dict(value)
    except SchemaError as error:
        raise ValueError(str(error)) from None


# Said whole: pydantic would otherwise look into the dataclass and not understand its climber.
DonationHierarchy = Annotated[
    Hierarchy,
    GetPydanticSchema(
        lambda _source, _handler: core_schema.no_info_plain_validator_function(
            _hierarchy,
            serialization=core_schema.plain_serializer_function_ser_schema(
                lambda hierarchy: hierarchy.to_dict()
            ),
        )
    ),
]


class QuasiIdentifierQuestion(Settings):
    """A question whose answer others may know too; only a coarse form of it is ever opened.

    Parameters
    ----------
    column
        Name of the column in the released table.
    label
        The question as the donor reads it.
    hierarchy
        How answers become broader.
    choices
        The possible answers, if the hierarchy is a rule and the answers are no numbers.
    range
        The possible answers, if they are numbers.
    missing
        Whether "no answer" is an answer.

    Raises
    ------
    PlanError
        If the possible answers are not said once, or the hierarchy does not hold them.
    """

    column: Annotated[str, Field(min_length=1)]
    label: Annotated[str, Field(min_length=1)]
    hierarchy: DonationHierarchy
    choices: tuple[str, ...] | None = None
    range: NumberRange | None = None
    missing: bool = False

    @model_validator(mode="after")
    def _answers_are_said(self) -> Self:
        listed = self.hierarchy.leaves is not None
        if self.choices is not None and self.range is not None:
            raise ValueError("say choices or range, not both")
        if self.choices is None and self.range is None and not listed:
            raise ValueError("the hierarchy is a rule: say its values by choices or range")
        if self.choices is not None and len(set(self.choices)) != len(self.choices):
            raise ValueError("a choice stands twice")
        if self.range is not None and self.range.steps > _MOST_LEAVES:
            raise ValueError("the range has too many steps: choose a coarser resolution")
        try:
            leaves = self.ladder.n_leaves
        except (SchemaError, DataError) as error:
            raise ValueError(str(error)) from None
        if leaves < 2:
            raise ValueError("a question needs at least two possible answers")
        return self

    @cached_property
    def ladder(self) -> Ladder:
        """All possible answers as leaves of the hierarchy."""
        domain = self._domain()
        if self.missing:
            domain = domain.append(pl.Series(self.column, [None], dtype=domain.dtype))
        return self.hierarchy.ladder(domain)

    def _domain(self) -> pl.Series:
        if self.range is not None:
            return self.range.grid(self.column)
        texts = self.choices if self.choices is not None else self.hierarchy.leaves
        return pl.Series(self.column, texts, dtype=pl.String)

    @cached_property
    def _leaf_of_step(self) -> npt.NDArray[np.int64]:
        """The leaf of each step of the range; the last entry is the missing answer's."""
        leaves = self.ladder.codes(self._domain()).astype(np.int64)
        return np.append(leaves, self.ladder.n_leaves - 1)

    def codes(self, series: pl.Series) -> npt.NDArray[np.int64]:
        """Return the leaf number of each answer.

        Parameters
        ----------
        series
            Answers (n,).

        Raises
        ------
        DataError, HierarchyError
            If an answer is none of the possible ones; names column and row, never the answer.
        """
        if not self.missing:
            _refuse_missing(series)
        if self.range is None:
            return self.ladder.codes(series).astype(np.int64)
        return self._leaf_of_step[self.range.codes(series)]

    def values(self, leaves: npt.NDArray[np.integer[Any]]) -> pl.Series:
        """Return the answers of leaf numbers (n,): numbers if they are, else texts."""
        if self.range is None:
            return self.ladder.decode(leaves).alias(self.column)
        step = np.zeros(self.ladder.n_leaves, dtype=np.int64)
        step[self._leaf_of_step[:-1]] = np.arange(self.range.steps)
        values = self.range.values(step[leaves], self.column)
        gone = self.missing & (np.asarray(leaves) == self.ladder.n_leaves - 1)
        return _with_missing(values, gone)


class CategoryQuestion(Settings):
    """A sensitive question with listed answers; shared exactly, by the rows that are sampled.

    Parameters
    ----------
    column, label
        As for a quasi-identifier.
    choices
        The possible answers, 2 to 65,535.
    missing
        Whether "no answer" is an answer.
    """

    kind: Literal["category"] = "category"
    column: Annotated[str, Field(min_length=1)]
    label: Annotated[str, Field(min_length=1)]
    choices: Annotated[tuple[str, ...], Field(min_length=2, max_length=65_535)]
    missing: bool = False

    @model_validator(mode="after")
    def _choices_differ(self) -> Self:
        if len(set(self.choices)) != len(self.choices):
            raise ValueError("a choice stands twice")
        return self

    @property
    def n_codes(self) -> int:
        """How many answers there are, "no answer" included as the last."""
        return len(self.choices) + int(self.missing)

    def codes(self, series: pl.Series) -> npt.NDArray[np.int64]:
        """Return the position of each answer (n,) among the choices.

        Raises
        ------
        DataError
            If an answer is no choice; names column and row.
        """
        if not self.missing:
            _refuse_missing(series)
        leaves = Hierarchy.flat().ladder(pl.Series(series.name, self.choices))
        # by the keys of a hierarchy, so that 1, 1.0 and "1" are one answer here as there
        codes = _flat_codes(leaves, series)
        position = np.empty(len(self.choices) + 1, dtype=np.int64)
        position[leaves.codes(pl.Series(series.name, self.choices))] = np.arange(len(self.choices))
        position[-1] = len(self.choices)
        return position[codes]

    def values(self, codes: npt.NDArray[np.integer[Any]]) -> pl.Series:
        """Return the answers (n,) as texts."""
        answers: list[str | None] = [*self.choices, *([None] if self.missing else [])]
        return pl.Series(self.column, answers, dtype=pl.String).gather(codes)


class NumberQuestion(Settings):
    """A sensitive question with a number as answer; shared exactly to its resolution.

    Parameters
    ----------
    column, label
        As for a quasi-identifier.
    range
        Bounds and resolution.
    missing
        Whether "no answer" is an answer.
    """

    kind: Literal["number"] = "number"
    column: Annotated[str, Field(min_length=1)]
    label: Annotated[str, Field(min_length=1)]
    range: NumberRange
    missing: bool = False

    @property
    def n_codes(self) -> int:
        """How many answers there are, "no answer" included as the last."""
        return self.range.steps + int(self.missing)

    def codes(self, series: pl.Series) -> npt.NDArray[np.int64]:
        """Return the step of each answer (n,).

        Raises
        ------
        DataError
            If an answer is no number within the bounds; names column and row.
        """
        if not self.missing:
            _refuse_missing(series)
        codes = self.range.codes(series)
        return np.where(codes < 0, self.range.steps, codes)

    def values(self, codes: npt.NDArray[np.integer[Any]]) -> pl.Series:
        """Return the answers (n,) as numbers."""
        gone = codes >= self.range.steps
        return _with_missing(self.range.values(np.where(gone, 0, codes), self.column), gone)


SensitiveQuestion = Annotated[CategoryQuestion | NumberQuestion, Field(discriminator="kind")]


def _flat_codes(ladder: Ladder, series: pl.Series) -> npt.NDArray[np.int64]:
    """Return the leaf of each answer; -1 for a missing one."""
    present = series.drop_nulls()
    codes = np.full(len(series), -1, dtype=np.int64)
    codes[series.is_not_null().to_numpy()] = ladder.codes(present)
    return codes


def _refuse_missing(series: pl.Series) -> None:
    if series.null_count():
        first = int(series.is_null().arg_max() or 0) + 1
        raise DataError(
            f"column {series.name!r}: {series.null_count()} answers are missing, first in row "
            f"{first}, and the question must be answered: set missing = true, or leave these rows "
            "out"
        )


def _with_missing(values: pl.Series, gone: npt.NDArray[np.bool_]) -> pl.Series:
    if not gone.any():
        return values
    return values.scatter(np.flatnonzero(gone), None)
