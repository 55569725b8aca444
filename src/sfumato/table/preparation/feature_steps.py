"""Steps that make features: scales, bins, parts of a date, years, expressions, one column each."""

from __future__ import annotations

import datetime as dt
import json
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
import polars as pl
from pydantic import Field, field_validator, model_validator

from sfumato.errors import PlanError, SchemaError
from sfumato.table.hierarchies.intervals import interval_label
from sfumato.table.preparation.category_encoders import texts
from sfumato.table.preparation.cleaning_steps import (
    Grid,
    check_grid,
    check_price,
    wrong_type,
)
from sfumato.table.preparation.step import (
    Answer,
    Cell,
    Part,
    PreparationStep,
    Question,
    need,
    retyped,
)
from sfumato.table.schema import Column, Role

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sfumato.table import Schema

__all__ = ["Bins", "DateParts", "Derive", "Normalize", "OneHot", "Years"]

_WHOLE_TABLE = frozenset(
    {
        *("Agg", "Over", "Rolling", "SortBy", "Sort", "Filter", "Gather", "Slice", "Explode"),
        *("Rank", "Shift", "CumSum", "CumCount", "CumMax", "CumMin", "CumProd", "Diff", "Unique"),
        *("AnonymousFunction", "SubPlan", "Random", "Mode", "ArgSort", "Reverse", "Interpolate"),
    }
)  # nodes of an expression that look at other rows
_PARTS = ("year", "quarter", "month", "week", "weekday", "day", "hour")
_MOST_BINS = 100


class Normalize(PreparationStep):
    """Bring numbers to a common scale.

    Parameters
    ----------
    column
        A column of numbers.
    by
        "bounds": the declared ``low`` becomes 0 and ``high`` 1, what lies beyond goes to the bound;
        "standard": less the mean, divided by the standard deviation; "quantiles": the two
        quantiles of ``ranks`` become 0 and 1.
    low, high
        For "bounds".
    mean, deviation
        For "standard", if they are declared.
    ranks
        For "quantiles": two ranks above 0 and below 1.
    bounds
        Lowest, highest and step of the numbers, declared; what is paid for needs them.
    share
        Share of the privacy budget that is paid for mean and deviation, or for both quantiles.
    """

    name: ClassVar[str] = "normalize"
    mend: ClassVar[str] = (
        'declare the scale: by = "bounds" with low and high, or mean and deviation'
    )
    step: Literal["normalize"] = "normalize"
    column: str
    by: Literal["bounds", "standard", "quantiles"]
    low: float | None = None
    high: float | None = None
    mean: float | None = None
    deviation: float | None = Field(default=None, gt=0)
    ranks: tuple[Part, Part] = (Fraction(1, 20), Fraction(19, 20))
    bounds: Grid | None = None
    share: Part | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        ends = (self.low is not None) + (self.high is not None)
        if ends != (2 if self.by == "bounds" else 0):
            raise ValueError('normalize: low and high go with by = "bounds", and only with it')
        if self.low is not None and self.high is not None and not self.low < self.high:
            raise ValueError("normalize: low must be below high")
        declared = (self.mean is not None) + (self.deviation is not None)
        if declared == 1 or (declared and self.by != "standard"):
            raise ValueError('normalize: mean and deviation go together, with by = "standard"')
        if not self.ranks[0] < self.ranks[1]:
            raise ValueError("normalize: of the ranks the lower one stands first")
        check_grid(self.bounds)
        check_price(self, asks=bool(self.questions))
        if self.share is not None and self.bounds is None:
            raise ValueError("normalize: what is paid for needs bounds, [low, high, step]")
        return self

    @property
    def questions(self) -> tuple[Question, ...]:
        """Mean and deviation, or two quantiles, unless they are declared."""
        if self.by == "standard" and self.mean is None:
            return (Question(self.column, "moments", grid=self.bounds),)
        if self.by == "quantiles":
            return tuple(
                Question(self.column, "quantile", rank, self.bounds) for rank in self.ranks
            )
        return ()

    def _scale(self, answers: Sequence[Answer]) -> tuple[float, float]:
        """Return what is taken off and what divides."""
        if self.by == "bounds":
            shift, divisor = float(self.low or 0), float(self.high or 0) - float(self.low or 0)
        elif self.mean is not None:
            shift, divisor = self.mean, float(self.deviation or 1)
        elif self.by == "standard":
            shift, divisor = answers[0] if isinstance(answers[0], tuple | list) else (0.0, 1.0)
        elif any(answer is None for answer in answers):
            shift, divisor = 0.0, 1.0
        else:
            first, last = (float(answer) for answer in answers)  # type: ignore[arg-type]
            shift, divisor = first, last - first
        return shift, divisor if divisor > 0 else 1.0

    def applied(self, table: pl.DataFrame, answers: Sequence[Answer]) -> pl.DataFrame:
        """Return the table with the column scaled."""
        need(table, self, [self.column])
        kind = table.schema[self.column]
        if not kind.is_numeric():
            raise wrong_type(self, self.column, kind, "numbers")
        shift, divisor = self._scale(answers)
        # NumPy divides each cell alike, however many there are
        numbers = table[self.column].cast(pl.Float64)
        scaled = (numbers.to_numpy() - shift) / divisor
        if self.by == "bounds":
            scaled = np.clip(scaled, 0, 1)
        made = pl.Series(self.column, scaled, dtype=pl.Float64)
        return table.with_columns(made.set(numbers.is_null(), None))

    def schema_after(self, schema: Schema) -> Schema:
        """Return the schema with a number and no hierarchy of the old values."""
        return retyped(schema, self.column, "number")

    def describe(self, answers: Sequence[Answer]) -> str:
        """Say how it was scaled."""
        shift, divisor = self._scale(answers)
        return f"{self.column}: less {shift:.6g}, divided by {divisor:.6g} ({self.by})."


class _New(PreparationStep):
    """A step that makes one new column.

    Parameters
    ----------
    column
        Its name; a column of that name is replaced.
    role
        Its role in the schema.
    """

    column: str
    role: Role = Role.OTHER

    def schema_after(self, schema: Schema) -> Schema:
        """Return the schema with the new column."""
        return schema.with_columns({self.column: Column(self.role)})


class Derive(_New):
    """Compute a column from others.

    Parameters
    ----------
    column, role
        Its name and its role.
    by
        An SQL expression of columns, computed for each row by itself, such as
        ``weight / POWER(height, 2)``.
    """

    name: ClassVar[str] = "derive"
    step: Literal["derive"] = "derive"
    by: str

    @field_validator("by")
    @classmethod
    def _of_one_row(cls, text: str) -> str:
        problem = _not_of_one_row(text)
        if problem:
            raise ValueError(f"derive: {text!r} {problem}")
        return text

    def applied(self, table: pl.DataFrame, answers: Sequence[Answer]) -> pl.DataFrame:  # noqa: ARG002
        """Return the table with the column; a result that is no finite number is missing."""
        expression = pl.sql_expr(self.by)
        need(table, self, expression.meta.root_names())
        try:
            found = table.select(expression.alias(self.column)).to_series()
        except pl.exceptions.PolarsError as error:
            raise PlanError(
                f"prepare: the step 'derive' cannot compute {self.column!r}: "
                f"{type(error).__name__} in {self.by!r}"
            ) from None
        if found.dtype.is_integer():
            found = found.cast(pl.Int64, strict=False)
        elif found.dtype.is_numeric():
            found = found.cast(pl.Float64)
            found = found.set(~found.is_finite().fill_null(value=True), None)
        return table.with_columns(found)

    def describe(self, answers: Sequence[Answer]) -> str:  # noqa: ARG002
        """Say how it was computed."""
        return f"{self.column}: computed as {self.by}."


class Years(_New):
    """Count the completed years between two days, as for an age.

    Parameters
    ----------
    column, role
        Name and role of the new column.
    start
        A column of dates.
    end
        A column of dates, or a day such as ``"2022-12-31"``.
    """

    name: ClassVar[str] = "years"
    step: Literal["years"] = "years"
    start: str
    end: dt.date | str

    @field_validator("end", mode="before")
    @classmethod
    def _a_day(cls, value: Any) -> Any:
        try:
            return dt.date.fromisoformat(value) if isinstance(value, str) else value
        except ValueError:
            return value  # the name of a column

    def applied(self, table: pl.DataFrame, answers: Sequence[Answer]) -> pl.DataFrame:  # noqa: ARG002
        """Return the table with the years."""
        days = []
        for end in (self.start, self.end):
            if isinstance(end, dt.date):
                days.append(pl.lit(end))
                continue
            need(table, self, [end])
            if table.schema[end] not in (pl.Date, pl.Datetime):
                raise wrong_type(self, end, table.schema[end], "dates")
            days.append(pl.col(end).cast(pl.Date))
        first, last = days
        earlier = _day_of_year(last) < _day_of_year(first)
        years = last.dt.year().cast(pl.Int64) - first.dt.year() - earlier.cast(pl.Int64)
        return table.with_columns(years.alias(self.column))

    def describe(self, answers: Sequence[Answer]) -> str:  # noqa: ARG002
        """Say between what."""
        return f"{self.column}: completed years from {self.start} to {self.end}."


class DateParts(PreparationStep):
    """Take a date apart: ``admitted year``, ``admitted month`` and so on stand in its place.

    Parameters
    ----------
    column
        A column of dates or times.
    parts
        Of "year", "quarter", "month", "week", "weekday" (1 is Monday), "day", "hour".
    """

    name: ClassVar[str] = "date-parts"
    step: Literal["date-parts"] = "date-parts"
    column: str
    parts: tuple[Literal["year", "quarter", "month", "week", "weekday", "day", "hour"], ...] = (
        Field(min_length=1)
    )

    def applied(self, table: pl.DataFrame, answers: Sequence[Answer]) -> pl.DataFrame:  # noqa: ARG002
        """Return the table with the parts."""
        need(table, self, [self.column])
        kind = table.schema[self.column]
        if not (kind == pl.Datetime or (kind == pl.Date and "hour" not in self.parts)):
            raise wrong_type(self, self.column, kind, "dates (and for the hour times)")
        made = [
            getattr(pl.col(self.column).dt, part)().cast(pl.Int64).alias(f"{self.column} {part}")
            for part in self.parts
        ]
        return _in_place(table, self.column, table.select(made))

    def schema_after(self, schema: Schema) -> Schema:
        """Return the schema with the parts in the role of the date."""
        role = schema.columns[self.column].role if self.column in schema.columns else Role.OTHER
        parts = {f"{self.column} {part}": Column(role, "integer") for part in self.parts}
        return _replaced(schema, self.column, parts)

    def describe(self, answers: Sequence[Answer]) -> str:  # noqa: ARG002
        """Say which parts."""
        return f"{self.column}: replaced by its {', '.join(self.parts)}."


class Bins(PreparationStep):
    """Put numbers into ranges, such as ``[20, 30)``.

    Parameters
    ----------
    column
        A column of numbers.
    edges
        The inner edges, increasing; each begins a range.
    groups
        In place of edges: so many ranges of about as many rows each, 2 to 100.
    bounds
        Lowest, highest and step of the numbers, declared; edges that are paid for need them.
    share
        Share of the privacy budget that the edges may cost together.
    """

    name: ClassVar[str] = "bins"
    mend: ClassVar[str] = "declare the edges"
    step: Literal["bins"] = "bins"
    column: str
    edges: tuple[float, ...] | None = Field(default=None, min_length=1)
    groups: int | None = Field(default=None, ge=2, le=_MOST_BINS)
    bounds: Grid | None = None
    share: Part | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.edges is None) == (self.groups is None):
            raise ValueError("bins: give either edges or groups")
        if self.edges is not None and bool(np.any(np.diff(self.edges) <= 0)):
            raise ValueError("bins: edges must increase")
        check_grid(self.bounds)
        check_price(self, asks=self.groups is not None)
        if self.share is not None and self.bounds is None:
            raise ValueError("bins: edges that are paid for need bounds, [low, high, step]")
        return self

    @property
    def questions(self) -> tuple[Question, ...]:
        """The quantiles that are the edges of the groups."""
        if self.groups is None:
            return ()
        ranks = (Fraction(place, self.groups) for place in range(1, self.groups))
        return tuple(Question(self.column, "quantile", rank, self.bounds) for rank in ranks)

    def _edges(self, answers: Sequence[Answer]) -> list[float]:
        if self.edges is not None:
            return list(self.edges)
        return sorted({float(one) for one in answers if one is not None})  # type: ignore[arg-type]

    def applied(self, table: pl.DataFrame, answers: Sequence[Answer]) -> pl.DataFrame:
        """Return the table with ranges as texts."""
        need(table, self, [self.column])
        kind = table.schema[self.column]
        if not kind.is_numeric():
            raise wrong_type(self, self.column, kind, "numbers")
        edges = self._edges(answers)
        ends = [float("-inf"), *edges, float("inf")]
        labels = [interval_label(*pair) for pair in pairwise(ends)]
        cells = table[self.column].cast(pl.Float64)
        places = np.searchsorted(np.asarray(edges), cells.fill_null(0.0).to_numpy(), side="right")
        ranges = pl.Series(self.column, labels).gather(places.astype(np.uint32))
        return table.with_columns(ranges.set(cells.is_null(), None))

    def schema_after(self, schema: Schema) -> Schema:
        """Return the schema with a category and no hierarchy of the old values."""
        return retyped(schema, self.column, "category")

    def describe(self, answers: Sequence[Answer]) -> str:
        """Say the edges."""
        return f"{self.column}: in ranges that begin at {self._edges(answers)}."


class OneHot(PreparationStep):
    """Put a column of truth values for each declared category in the place of a column.

    Parameters
    ----------
    column
        The column; ``column_category`` are the new ones.
    values
        The categories, declared; any other cell is false in all of them.
    """

    name: ClassVar[str] = "one-hot"
    step: Literal["one-hot"] = "one-hot"
    column: str
    values: tuple[Cell, ...] = Field(min_length=1)

    def _names(self) -> dict[str, str]:
        known = [_text(value) for value in self.values]
        return {f"{self.column}_{text}": text for text in known}

    def applied(self, table: pl.DataFrame, answers: Sequence[Answer]) -> pl.DataFrame:  # noqa: ARG002
        """Return the table with a column for each category."""
        need(table, self, [self.column])
        cells = texts(table[self.column])
        made = [
            (cells == text).fill_null(value=False).alias(name)
            for name, text in self._names().items()
        ]
        return _in_place(table, self.column, pl.DataFrame(made))

    def schema_after(self, schema: Schema) -> Schema:
        """Return the schema with the new columns in the role of the old one."""
        role = schema.columns[self.column].role if self.column in schema.columns else Role.OTHER
        made = {name: Column(role, "boolean") for name in self._names()}
        return _replaced(schema, self.column, made)

    def describe(self, answers: Sequence[Answer]) -> str:  # noqa: ARG002
        """Say how many."""
        return f"{self.column}: a column for each of {len(self.values)} declared categories."


def _day_of_year(day: pl.Expr) -> pl.Expr:
    """Return a number that orders days by their place in a year, whether it is a leap year."""
    return day.dt.month().cast(pl.Int64) * 32 + day.dt.day().cast(pl.Int64)


def _text(value: Cell) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _in_place(table: pl.DataFrame, column: str, made: pl.DataFrame) -> pl.DataFrame:
    for name in made.columns:
        if name in table.columns:
            raise SchemaError(
                f"prepare: two columns would be called {name!r}; rename one in the source"
            )
    place = table.columns.index(column)
    names = [*table.columns[:place], *made.columns, *table.columns[place + 1 :]]
    return table.hstack(made).select(names)


def _replaced(schema: Schema, column: str, made: dict[str, Column]) -> Schema:
    names: list[str] = []
    for name in schema.columns:
        names += list(made) if name == column else [name]
    names += [name for name in made if name not in names]
    return schema.with_columns(made).select(names)


def _not_of_one_row(text: str) -> str:
    """Say why an expression is not computed from each row by itself; nothing if it is."""
    try:
        expression = pl.sql_expr(text)
    except (pl.exceptions.PolarsError, TypeError):
        return "is no SQL expression of columns"
    if not expression.meta.root_names():
        return "names no column"
    nodes = set(_nodes(json.loads(expression.meta.serialize(format="json"))))
    if nodes & _WHOLE_TABLE or "Len" in nodes:
        return "looks at other rows: say what is computed from one row alone"
    if "Strict" in nodes:
        return "would stop at a cell that cannot be cast: write TRY_CAST"
    return ""


def _nodes(tree: Any) -> list[str]:
    """Return the names of an expression's nodes; texts of the plan's own literals are none."""
    if isinstance(tree, dict):
        found: list[str] = []
        for key, inner in tree.items():
            if key not in ("Literal", "Column"):
                found += [key, *_nodes(inner)]
        return found
    if isinstance(tree, list):
        return [name for inner in tree for name in _nodes(inner)]
    return [tree] if isinstance(tree, str) else []
