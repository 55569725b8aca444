"""A step from one table to the next: what it needs to know of the table, and what it does.

A step is declared, so that everything it needs stands in the plan; or it asks a question of the
table, such as the median of a column. Who answers is not decided here: exactly, where nothing is
promised to the people in the table, or by a mechanism that is paid for, where something is. Once
the questions are answered a step changes each row by that row alone.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, TypeAlias

import polars as pl
from pydantic import BeforeValidator, PlainSerializer

from sfumato.errors import SchemaError, did_you_mean
from sfumato.settings import Settings
from sfumato.table.schema import Column, Schema

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sfumato.table.types import ColumnType

__all__ = ["Answer", "Cell", "Part", "PreparationStep", "Question", "need", "retyped", "text_of"]


def _part(value: Any) -> Any:
    """Return a part as it was written: 0.1 is one tenth."""
    if isinstance(value, bool) or not isinstance(value, int | float | str | Fraction):
        raise ValueError("a number or a text such as '1/20' is needed")  # noqa: TRY004 (pydantic's)
    try:
        part = Fraction(str(value))
    except (ValueError, ZeroDivisionError):
        raise ValueError("a number or a text such as '1/20' is needed") from None
    if not 0 < part < 1:
        raise ValueError("it must lie above 0 and below 1")
    return part


#: A part of one, above 0 and below 1, exact.
Part: TypeAlias = Annotated[Fraction, BeforeValidator(_part), PlainSerializer(str)]
Cell: TypeAlias = bool | int | float | str
#: What a question gives: a number or category, a mean with a deviation, or nothing known.
Answer: TypeAlias = Cell | tuple[float, float] | None


def text_of(value: Cell) -> str:
    """Return a declared value as texts show it: 2.0 as 2, truth values in lower case."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


@dataclass(frozen=True)
class Question:
    """What a step wants to know of a column's cells.

    Parameters
    ----------
    column
        The column.
    kind
        "quantile", "mode", or "moments": mean and standard deviation.
    rank
        Of a quantile, above 0 and below 1.
    grid
        Lowest, highest and step of the numbers, where they are declared.
    values
        The categories of a mode, where they are declared.
    """

    column: str
    kind: Literal["quantile", "mode", "moments"]
    rank: Fraction | None = None
    grid: tuple[float, float, float] | None = None
    values: tuple[Cell, ...] | None = None

    @property
    def what(self) -> str:
        """The question in words, such as "median of age"."""
        if self.kind == "quantile":
            half = self.rank == Fraction(1, 2)
            return f"{'median' if half else f'quantile {self.rank}'} of {self.column}"
        return f"{'mode' if self.kind == 'mode' else 'mean and deviation'} of {self.column}"


class PreparationStep(Settings):
    """Frozen settings of one step; subclasses name it in ``step``."""

    name: ClassVar[str]
    mend: ClassVar[str] = ""
    """How the step is declared, so that it need not ask."""

    @property
    def questions(self) -> tuple[Question, ...]:
        """What it asks of the table; empty if everything is declared."""
        return ()

    @property
    def price(self) -> Fraction | None:
        """Share of a privacy budget that its questions may cost together; None if not said."""
        share = getattr(self, "share", None)
        return None if share is None else Fraction(share)

    @property
    def touches(self) -> tuple[str, ...] | None:
        """The columns that it changes or leaves out; None if it may be any."""
        column = getattr(self, "column", None)
        return () if column is None else (column,)

    @property
    def row_by_row(self) -> bool:
        """Whether a row's fate depends on that row alone, once the questions are answered."""
        return True

    @abstractmethod
    def applied(self, table: pl.DataFrame, answers: Sequence[Answer]) -> pl.DataFrame:
        """Return the table after the step; the answers are those to :attr:`questions`."""

    def schema_after(self, schema: Schema) -> Schema:
        """Return the schema of the table after the step."""
        return schema

    @abstractmethod
    def describe(self, answers: Sequence[Answer]) -> str:
        """Say in one sentence what was done."""


def need(table: pl.DataFrame, step: PreparationStep, columns: Iterable[str]) -> None:
    """Refuse a column that the table does not have.

    Raises
    ------
    SchemaError
        It names the step and the column.
    """
    for column in columns:
        if column not in table.columns:
            raise SchemaError(
                f"prepare: the step {step.name!r} needs the column {column!r}, which is absent."
                f"{did_you_mean(column, table.columns)}"
            )


def retyped(schema: Schema, column: str, kind: ColumnType | None) -> Schema:
    """Return the schema with another type of a column, and no hierarchy of its old values."""
    said = schema.columns.get(column)
    if said is None:
        return schema
    return schema.with_columns({column: Column(said.role, kind, None, said.note)})
