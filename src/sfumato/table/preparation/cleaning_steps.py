"""Steps that clean: rows that stand twice, texts, values out of bounds, missing cells."""

from __future__ import annotations

import datetime as dt
from fractions import Fraction
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import polars as pl
from pydantic import Field, model_validator

from sfumato.errors import SchemaError
from sfumato.table.preparation.category_encoders import texts
from sfumato.table.preparation.encoder import missing_mark
from sfumato.table.preparation.step import (
    Answer,
    Cell,
    Part,
    PreparationStep,
    Question,
    need,
    text_of,
)
from sfumato.table.schema import Column, Role

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sfumato.table import Schema

__all__ = [
    "Bounds",
    "Drop",
    "DropDuplicates",
    "Grid",
    "Impute",
    "Trim",
    "check_grid",
    "check_price",
    "wrong_type",
]

Grid = tuple[float, float, float]
_END = float | dt.date


class DropDuplicates(PreparationStep):
    """Keep the first of the rows that are equal in some columns.

    Parameters
    ----------
    columns
        Rows equal in all of these are one; without any, rows that are equal throughout.
    """

    name: ClassVar[str] = "drop-duplicates"
    step: Literal["drop-duplicates"] = "drop-duplicates"
    columns: tuple[str, ...] = ()

    @property
    def row_by_row(self) -> bool:
        """A row that is left out depends on another one."""
        return False

    def applied(self, table: pl.DataFrame, answers: Sequence[Answer]) -> pl.DataFrame:  # noqa: ARG002
        """Return the first row of each kind, in the table's order."""
        need(table, self, self.columns)
        subset = list(self.columns) or None
        return table.unique(subset=subset, keep="first", maintain_order=True)

    def describe(self, answers: Sequence[Answer]) -> str:  # noqa: ARG002
        """Say which rows were left out."""
        where = f"in {', '.join(self.columns)}" if self.columns else "throughout"
        return f"Of rows that are equal {where} the first was kept."


class Drop(PreparationStep):
    """Leave columns out.

    Parameters
    ----------
    columns
        At least one.
    """

    name: ClassVar[str] = "drop"
    step: Literal["drop"] = "drop"
    columns: tuple[str, ...] = Field(min_length=1)

    @property
    def touches(self) -> tuple[str, ...] | None:
        """The columns that are left out."""
        return self.columns

    def applied(self, table: pl.DataFrame, answers: Sequence[Answer]) -> pl.DataFrame:  # noqa: ARG002
        """Return the table without the columns."""
        need(table, self, self.columns)
        return table.drop(self.columns)

    def schema_after(self, schema: Schema) -> Schema:
        """Return the schema without them."""
        return schema.select([name for name in schema.columns if name not in self.columns])

    def describe(self, answers: Sequence[Answer]) -> str:  # noqa: ARG002
        """Say which."""
        return f"{', '.join(self.columns)}: left out."


class Trim(PreparationStep):
    """Take blanks off the ends of texts, and make each run of blanks within one blank.

    Parameters
    ----------
    columns
        Columns of texts; without any, all of them.
    case
        "keep", "lower" or "upper".
    """

    name: ClassVar[str] = "trim"
    step: Literal["trim"] = "trim"
    columns: tuple[str, ...] = ()
    case: Literal["keep", "lower", "upper"] = "keep"

    @property
    def touches(self) -> tuple[str, ...] | None:
        """The named columns, or any."""
        return self.columns or None

    def applied(self, table: pl.DataFrame, answers: Sequence[Answer]) -> pl.DataFrame:  # noqa: ARG002
        """Return the table with tidy texts; one of blanks alone is missing."""
        need(table, self, self.columns)
        names = self.columns or [name for name, kind in table.schema.items() if kind == pl.String]
        for name in names:
            if table.schema[name] != pl.String:
                raise wrong_type(self, name, table.schema[name], "texts")
        return table.with_columns(self._tidy(name) for name in names)

    def _tidy(self, name: str) -> pl.Expr:
        tidy = pl.col(name).str.replace_all(r"\s+", " ").str.strip_chars()
        if self.case != "keep":
            tidy = tidy.str.to_lowercase() if self.case == "lower" else tidy.str.to_uppercase()
        return pl.when(tidy != "").then(tidy).otherwise(None).alias(name)

    def describe(self, answers: Sequence[Answer]) -> str:  # noqa: ARG002
        """Say which texts were trimmed."""
        case = "" if self.case == "keep" else f" and brought to {self.case} case"
        return f"{', '.join(self.columns) or 'All texts'}: trimmed of blanks{case}."


class Bounds(PreparationStep):
    """Say what a column can hold; what lies beyond is made missing, or moved to the bound.

    Parameters
    ----------
    column
        A column of numbers or dates with ``low`` or ``high`` or both; any other with ``values``.
    low, high
        The ends, both allowed.
    values
        The categories.
    beyond
        "missing" or "clip".
    """

    name: ClassVar[str] = "bounds"
    step: Literal["bounds"] = "bounds"
    column: str
    low: _END | None = None
    high: _END | None = None
    values: tuple[Cell, ...] | None = None
    beyond: Literal["missing", "clip"] = "missing"

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        ends = [end for end in (self.low, self.high) if end is not None]
        if bool(ends) == (self.values is not None):
            raise ValueError("bounds needs low or high or both, or else values")
        if len(ends) == 2:
            if isinstance(self.low, dt.date) != isinstance(self.high, dt.date):
                raise ValueError("bounds: both ends are numbers, or both are dates")
            if not self.low < self.high:  # type: ignore[operator]
                raise ValueError("bounds: low must be below high")
        if self.values is not None and self.beyond == "clip":
            raise ValueError('bounds: values cannot be clipped to: beyond = "missing"')
        return self

    def applied(self, table: pl.DataFrame, answers: Sequence[Answer]) -> pl.DataFrame:  # noqa: ARG002
        """Return the table with nothing out of bounds."""
        need(table, self, [self.column])
        cells = pl.col(self.column)
        if self.values is not None:
            known = [text_of(value) for value in self.values]
            inside = texts(table[self.column]).is_in(known).fill_null(value=False)
            return table.with_columns(pl.when(inside).then(cells).otherwise(None))
        kind = table.schema[self.column]
        dates = any(isinstance(end, dt.date) for end in (self.low, self.high))
        if not (kind.is_temporal() if dates else kind.is_numeric()):
            raise wrong_type(self, self.column, kind, "dates" if dates else "numbers")
        for end, above in ((self.low, False), (self.high, True)):
            if end is None:
                continue
            beyond = cells > end if above else cells < end
            bound = pl.lit(end if self.beyond == "clip" else None).cast(
                pl.Float64 if kind.is_integer() else kind
            )
            moved = bound.ceil() if not above and kind.is_integer() else bound
            moved = moved.floor() if above and kind.is_integer() else moved
            cells = pl.when(beyond).then(moved.cast(kind)).otherwise(cells)
        return table.with_columns(cells.alias(self.column))

    def describe(self, answers: Sequence[Answer]) -> str:  # noqa: ARG002
        """Say what is allowed."""
        held = f"one of {len(self.values or ())} declared values"
        if self.values is None:
            low = (
                ""
                if self.low is None
                else f" from {self.low:g}"
                if _plain(self.low)
                else (f" from {self.low}")
            )
            high = (
                ""
                if self.high is None
                else f" up to {self.high:g}"
                if _plain(self.high)
                else (f" up to {self.high}")
            )
            held = f"within the declared bounds{low}{high}"
        fate = "made missing" if self.beyond == "missing" else "moved to the bound"
        return f"{self.column}: {held}; what lay beyond was {fate}."


class Impute(PreparationStep):
    """Fill missing cells.

    Parameters
    ----------
    column
        The column.
    by
        "value": what is declared; "median" or "mean" of numbers, "mode": the most frequent value;
        "keep": nothing is filled, and missing stays a value of its own.
    value
        What is filled in, for "value".
    bounds
        Lowest, highest and step of the numbers, declared; a median or mean that is paid for needs
        them.
    values
        The categories, declared; a mode that is paid for needs them.
    share
        Share of the privacy budget, above 0 and below 1, that median, mean or mode may cost.
    mark
        Whether a column of truth values says which cells were missing.
    """

    name: ClassVar[str] = "impute"
    mend: ClassVar[str] = 'declare what is filled in: by = "value" and value'
    step: Literal["impute"] = "impute"
    column: str
    by: Literal["value", "median", "mean", "mode", "keep"]
    value: Cell | None = None
    bounds: Grid | None = None
    values: tuple[Cell, ...] | None = Field(default=None, min_length=1)
    share: Part | None = None
    mark: bool = False

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.by == "value") != (self.value is not None):
            raise ValueError('impute: value goes with by = "value", and only with it')
        check_grid(self.bounds)
        check_price(self, asks=self.by in ("median", "mean", "mode"))
        if self.share is not None and self.by == "mode" and self.values is None:
            raise ValueError("impute: a mode that is paid for needs values, the categories")
        if self.share is not None and self.by in ("median", "mean") and self.bounds is None:
            raise ValueError(
                f"impute: a {self.by} that is paid for needs bounds, [low, high, step]"
            )
        return self

    @property
    def questions(self) -> tuple[Question, ...]:
        """The column's median, mean or mode."""
        if self.by == "median":
            return (Question(self.column, "quantile", Fraction(1, 2), self.bounds),)
        if self.by == "mean":
            return (Question(self.column, "moments", grid=self.bounds),)
        if self.by == "mode":
            return (Question(self.column, "mode", values=self.values),)
        return ()

    def _filling(self, answers: Sequence[Answer]) -> Answer:
        if self.by in ("value", "keep"):
            return self.value
        (answer,) = answers
        return answer[0] if isinstance(answer, tuple | list) else answer

    def applied(self, table: pl.DataFrame, answers: Sequence[Answer]) -> pl.DataFrame:
        """Return the table with missing cells filled."""
        need(table, self, [self.column])
        cells = table[self.column]
        kind = cells.dtype
        filling = self._filling(answers)
        made = []
        if self.mark:
            made.append(cells.is_null().alias(missing_mark(self.column)))
        if filling is not None:
            if kind == pl.String or kind == pl.Boolean or kind.is_temporal():
                value = _as_kind(filling, kind)
            elif isinstance(filling, str) or not kind.is_numeric():
                value = None
            else:
                value = round(filling) if kind.is_integer() else float(filling)  # type: ignore[arg-type]
            if value is None:
                raise SchemaError(
                    f"prepare: what the step 'impute' fills into {self.column!r} does not fit its "
                    f"type, {kind}"
                )
            made.append(cells.fill_null(pl.lit(value, dtype=kind)))
        return table.with_columns(made)

    def schema_after(self, schema: Schema) -> Schema:
        """Return the schema, with the mark."""
        if not self.mark:
            return schema
        return schema.with_columns({missing_mark(self.column): Column(Role.OTHER, "boolean")})

    def describe(self, answers: Sequence[Answer]) -> str:
        """Say what was filled in."""
        marked = "; a column marks them" if self.mark else ""
        if self.by == "keep":
            return f"{self.column}: missing cells stay missing{marked}."
        how = "as declared" if self.by == "value" else f"the {self.by}"
        filling = self._filling(answers)
        if filling is None:
            return f"{self.column}: no cell is known, so that none was filled{marked}."
        told = f"{filling:.6g}" if _plain(filling) else repr(filling)
        return f"{self.column}: missing cells were filled with {told}, {how}{marked}."


def check_grid(grid: Grid | None) -> None:
    """Refuse bounds that are no grid."""
    if grid is not None and not (grid[0] < grid[1] and 0 < grid[2] <= grid[1] - grid[0]):
        raise ValueError("bounds are [low, high, step] with low below high and step above 0")


def check_price(step: PreparationStep, *, asks: bool) -> None:
    """Refuse a price where nothing is asked."""
    if getattr(step, "share", None) is not None and not asks:
        raise ValueError(f"{step.name}: everything is declared, so that share pays for nothing")


def _as_kind(value: Any, kind: pl.DataType) -> Any:
    """Return a value as a column of this type holds it, or None if it cannot."""
    if kind == pl.String:
        return value if isinstance(value, str) else text_of(value)
    if kind == pl.Boolean:
        known = {"true": True, "false": False}
        return value if isinstance(value, bool) else known.get(text_of(value).lower())
    if kind == pl.Date and isinstance(value, str):
        try:
            return dt.date.fromisoformat(value)
        except ValueError:
            return None
    return None


def _plain(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def wrong_type(step: PreparationStep, column: str, kind: pl.DataType, needed: str) -> SchemaError:
    """Return the error for a step on a column of another type."""
    return SchemaError(
        f"prepare: the step {step.name!r} needs {needed}, but {column!r} is {kind}: give it its "
        "type in the schema"
    )
