"""The research subset: only the rows that a study asks for are released."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Self

import numpy as np
import polars as pl
from pydantic import Field, FiniteFloat, field_validator, model_validator

from sfumato.anonymization.randomness import RandomStream, digest
from sfumato.anonymization.recoding import ColumnChange, Recoding
from sfumato.anonymization.released import checked_columns
from sfumato.anonymization.sampling.kept import kept_changes, kept_schema
from sfumato.anonymization.sampling.random_rows import chosen_in_groups
from sfumato.errors import DataError, PlanError, SchemaError, did_you_mean
from sfumato.progress import Progress, silent
from sfumato.settings import Settings
from sfumato.table import Schema

__all__ = ["Condition", "ResearchSubset", "ResearchSubsetRecoding"]

Scalar = bool | int | FiniteFloat | str


class Condition(Settings):
    """What a row must hold in one column; all that is said must be true.

    A missing cell fulfils no condition but ``missing = true``.

    Parameters
    ----------
    column
        Name of the column.
    equals, among
        The value, or one of several. A number matches by its value, anything else by its text.
    at_least, above, at_most, below
        Bounds of a column of numbers, in its unit; ``at_least`` and ``at_most`` belong to it.
    missing
        Whether the cell is missing.
    """

    column: str
    equals: Scalar | None = None
    among: tuple[Scalar, ...] | None = None
    at_least: FiniteFloat | None = None
    above: FiniteFloat | None = None
    at_most: FiniteFloat | None = None
    below: FiniteFloat | None = None
    missing: bool | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.model_dump(exclude={"column"}, exclude_none=True):
            raise ValueError(
                f"the condition on {self.column!r} says nothing: give equals, among, at_least, "
                "above, at_most, below or missing"
            )
        return self

    def holds(self, table: pl.DataFrame) -> pl.Series:
        """Return which rows fulfil the condition, shape (n,), never missing.

        Raises
        ------
        PlanError
            If the table lacks the column, or bounds are said of one that holds no numbers.
        """
        if self.column not in table.columns:
            hint = did_you_mean(self.column, table.columns)
            raise PlanError(f"where: the table has no column {self.column!r}.{hint}")
        values = table[self.column]
        cell = pl.col(self.column)
        tests = []
        if self.missing is not None:
            tests.append(cell.is_null() if self.missing else cell.is_not_null())
        if self.equals is not None:
            tests.append(_is_one_of(values, (self.equals,)))
        if self.among is not None:
            tests.append(_is_one_of(values, self.among))
        bounds = {
            bound: limit
            for bound in ("at_least", "above", "at_most", "below")
            if (limit := getattr(self, bound)) is not None
        }
        if bounds and not values.dtype.is_numeric():
            raise PlanError(
                f"where: {', '.join(bounds)} need numbers, but the column {self.column!r} holds "
                f"{values.dtype}"
            )
        compared = {"at_least": cell.ge, "above": cell.gt, "at_most": cell.le, "below": cell.lt}
        tests += [compared[bound](limit) for bound, limit in bounds.items()]
        every = pl.all_horizontal(test.fill_null(value=False) for test in tests)
        return table.select(every.alias("holds")).to_series()

    def describe(self) -> str:
        """Return the condition in words, without its values: they may be a person's."""
        names = self.model_dump(exclude={"column"}, exclude_none=True)
        return f"{self.column} ({', '.join(names)})"


class ResearchSubset(Settings):
    """Release only a subset of the rows: drawn by chance, or those that fulfil conditions.

    Say one of ``share``, ``count`` and ``where``, or conditions with a share or a count of the rows
    that fulfil them. Where the schema names a person column, a share and a count are of persons,
    who are drawn whole; conditions are about rows.

    Parameters
    ----------
    share
        Share of the people that is kept, above 0 and at most 1; ``ceil(share * n)`` of them.
    count
        How many people are kept, at least 1.
    where
        Conditions that a row must fulfil, all of them.
    seed
        Of the draw, which also depends on the whole table.

    Notes
    -----
    F. Prasser et al., "Flexible data anonymization using ARX", Software: Practice and Experience
    50(7), 2020, section 3: the research subset, by random sampling or by a query.

    Examples
    --------
    >>> table = pl.DataFrame({"age": [34, 71, None, 52], "ward": ["a", "a", "b", "b"]})
    >>> subset = ResearchSubset(where=[{"column": "age", "at_least": 50}])
    >>> subset.fit(table, Schema(rest="other")).apply(table)["age"].to_list()
    [71, 52]
    """

    share: float | None = Field(default=None, gt=0, le=1)
    count: int | None = Field(default=None, ge=1)
    where: tuple[Condition, ...] = ()
    seed: int = Field(default=0, ge=0)

    @field_validator("where", mode="before")
    @classmethod
    def _read(cls, value: Any) -> Any:
        return [Condition.of(one) if isinstance(one, dict) else one for one in value]

    @model_validator(mode="after")
    def _one(self) -> Self:
        if self.share is not None and self.count is not None:
            raise ValueError("share and count are two ways to say it: give one of them")
        if self.share is None and self.count is None and not self.where:
            raise ValueError("give share, count or where")
        return self

    def fit(
        self, table: pl.DataFrame, schema: Schema, *, progress: Progress = silent
    ) -> ResearchSubsetRecoding:
        """Check that the subset can be drawn.

        Raises
        ------
        SchemaError
            If the schema does not fit the table.
        PlanError
            If a condition does not fit its column, or the count is larger than the table.
        DataError
            If no row is in the subset.
        """
        full = schema.check(table)
        for condition in self.where:
            if condition.column in full.identifiers:
                raise SchemaError(
                    f"where: {condition.column!r} is an identifier; whose rows are released would "
                    "then tell whom it names"
                )
        progress("choosing the subset", 0, 1)
        kept = _chosen(self, table, full.person)
        if self.count is not None and int(kept.sum()) < self.count:
            _refuse_small(self.count, table.filter(kept), full.person)
        if not kept.any():
            raise DataError("nothing is left to release: no row fulfils `where`")
        progress("choosing the subset", 1, 1)
        return ResearchSubsetRecoding(self, full, table.height, int(kept.sum()))


@dataclass(frozen=True)
class ResearchSubsetRecoding(Recoding):
    """The fitted subset.

    Parameters
    ----------
    settings
        What was asked for.
    schema
        The schema of the source table.
    rows_before, rows_after
        Rows of the fitted table, and of them those in the subset.
    """

    settings: ResearchSubset
    schema: Schema
    rows_before: int
    rows_after: int

    def recode(self, table: pl.DataFrame) -> pl.DataFrame:
        """Return the rows of the subset, without identifiers, in their order.

        The same table gives the same rows; of another one a subset of its own is drawn, the whole
        of it if it has no more people than ``count``.

        Raises
        ------
        DataError
            If a column that is released is absent, or one is unknown.
        """
        names = [name for name in self.schema.columns if name not in self.schema.identifiers]
        checked_columns(table, self.schema, names)
        kept = self.kept_rows(table)
        return table.select(name for name in table.columns if name in names).filter(kept)

    def kept_rows(self, table: pl.DataFrame) -> pl.Series:
        """Return which rows of a table are in the subset, shape (n,)."""
        person = self.schema.person
        needed = [condition.column for condition in self.settings.where]
        checked_columns(table, self.schema, (*needed, *((person,) if person else ())))
        return _chosen(self.settings, table, person)

    def without_chance(self) -> ResearchSubsetRecoding:
        """Return the recoding that keeps every row that fulfils the conditions."""
        settings = self.settings.model_copy(update={"share": None, "count": None})
        return ResearchSubsetRecoding(settings, self.schema, self.rows_before, self.rows_after)

    def describe(self) -> tuple[ColumnChange, ...]:
        """Return what is done to each column: rows are left out, no cell is changed."""
        settings = self.settings
        unit = "rows" if self.schema.person is None else "persons"
        drawn = None
        if settings.share is not None:
            drawn = f"{100 * settings.share:g} % of the {unit}, drawn by chance"
        elif settings.count is not None:
            drawn = f"{settings.count:,} {unit}, drawn by chance"
        left = f"{self.rows_after:,} of {self.rows_before:,} rows are released"
        asked = {condition.column: condition.describe() for condition in settings.where}
        said = {
            name: f"rows were chosen by it: {condition}; {left}"
            for name, condition in asked.items()
        }
        if drawn is not None:
            everywhere = f"only {drawn}: {left}"
            said = {
                name: f"{said[name]}; {everywhere}" if name in said else everywhere
                for name in self.schema.columns
            }
        return kept_changes(self.schema, said)

    def released_schema(self) -> Schema:
        """Return the schema without identifiers."""
        return kept_schema(self.schema)

    def to_dict(self) -> dict[str, Any]:
        """Return the recoding as plain JSON values."""
        return {
            "settings": self.settings.model_dump(mode="json"),
            "schema": self.schema.to_dict(),
            "rows_before": self.rows_before,
            "rows_after": self.rows_after,
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Return the recoding that :meth:`to_dict` described."""
        return cls(
            ResearchSubset.of(values["settings"]),
            Schema.from_dict(values["schema"]),
            values["rows_before"],
            values["rows_after"],
        )


def _chosen(settings: ResearchSubset, table: pl.DataFrame, person: str | None) -> pl.Series:
    kept = np.ones(table.height, dtype=np.bool_)
    for condition in settings.where:
        kept &= condition.holds(table).to_numpy()
    if settings.share is None and settings.count is None:
        return pl.Series(kept)
    rows = np.flatnonzero(kept)
    unit_of_row = np.arange(len(rows))
    if person is not None and len(rows):
        # rows without a person are one person, as they are when classes are counted
        whose = table[person].gather(rows).rank("dense").fill_null(0).to_numpy()
        unit_of_row = np.unique(whose, return_inverse=True)[1]
    units = int(unit_of_row.max()) + 1 if len(rows) else 0
    wanted = settings.count
    if wanted is None:
        above, below = Fraction(repr(settings.share)).as_integer_ratio()
        wanted = -(-above * units // below)
    wanted = min(wanted, units)
    stream = RandomStream.of(settings.seed, digest(table), "research subset")
    groups = np.zeros(units, dtype=np.int64)
    drawn = chosen_in_groups(groups, np.array([wanted], dtype=np.int64), stream)
    kept[rows] = drawn[unit_of_row]
    return pl.Series(kept)


def _refuse_small(count: int, kept: pl.DataFrame, person: str | None) -> None:
    people = kept.height if person is None else kept[person].n_unique()
    if people < count:
        unit = "rows" if person is None else "persons"
        raise PlanError(
            f"count = {count:,} is more than there are to choose from: {people:,} {unit}"
        )


def _is_one_of(values: pl.Series, wanted: tuple[bool | int | float | str, ...]) -> pl.Expr:
    cell = pl.col(values.name)
    if values.dtype == pl.Boolean:
        texts = [str(value).lower() for value in wanted]
        return cell.cast(pl.String).is_in(texts)
    if values.dtype.is_numeric():
        numbers = [float(value) for value in wanted if _is_number(value)]
        return cell.cast(pl.Float64).is_in(numbers)
    return cell.cast(pl.String).is_in([str(value) for value in wanted])


def _is_number(value: bool | int | float | str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True
