"""What a column can hold, said before the data are seen: a grid of numbers, or a list of values.

A bound, a step or a list of categories that is read off the data tells of the people in it. Here
each is declared, and what the data hold is fitted to the declaration: a number goes to the nearest
point of its grid, a value that was not declared counts as missing. Nothing raises because of a
cell, since an error is an answer too.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import numpy as np
import polars as pl
from pydantic import BeforeValidator, field_validator, model_validator

from sfumato.errors import DataError, PlanError, SchemaError, did_you_mean
from sfumato.privacy.differential.rationals import rational
from sfumato.settings import Settings

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sfumato.table import Schema
    from sfumato.table.schema import Column

    Integers = NDArray[np.int64]

__all__ = ["Declared", "DeclaredNumbers", "DeclaredValues", "declared_domain"]

_MOST_POINTS = 2**31
_EPOCH = dt.date(1970, 1, 1)


class DeclaredNumbers(Settings):
    """A grid of numbers or days: from ``low`` to ``high`` by ``step``.

    Parameters
    ----------
    low, high
        The ends, both part of the grid; numbers, or dates such as ``"1900-01-01"``.
    step
        The distance of its points, above 0; days for dates.

    Examples
    --------
    >>> DeclaredNumbers(low=3, high=9, step=0.1).size
    61
    """

    low: float | dt.date
    high: float | dt.date
    step: float = 1

    @model_validator(mode="after")
    def _is_a_grid(self) -> DeclaredNumbers:
        if isinstance(self.low, dt.date) != isinstance(self.high, dt.date):
            raise ValueError("both ends are numbers, or both are dates")
        ends = (self.step, *(x for x in (self.low, self.high) if isinstance(x, float)))
        if not all(math.isfinite(x) for x in ends):
            raise ValueError("low, high and step must be finite")
        if self.step <= 0:
            raise ValueError("step must be above 0")
        if self._end <= self._start:
            raise ValueError("low must be below high")
        if self.days and self.step != int(self.step):
            raise ValueError("the step of dates is a whole number of days")
        if self.size > _MOST_POINTS:
            raise ValueError("a grid has at most 2**31 points: take a wider step")
        return self

    @property
    def days(self) -> bool:
        """Whether the points are dates."""
        return isinstance(self.low, dt.date)

    @property
    def _start(self) -> Fraction:
        return _amount(self.low)

    @property
    def _end(self) -> Fraction:
        return _amount(self.high)

    @property
    def size(self) -> int:
        """Number of points."""
        return int((self._end - self._start) / rational(self.step)) + 1

    def codes(self, series: pl.Series) -> Integers:
        """Return the nearest point of each cell, counted from 0; ``size`` where there is none."""
        if self.days:
            if not series.dtype.is_temporal() or series.dtype in (pl.Time, pl.Duration):
                raise SchemaError(_of_type(series, "dates", "date"))
            series = series.cast(pl.Date).to_physical()
        elif not (series.dtype.is_numeric() or series.dtype == pl.Null):
            raise SchemaError(_of_type(series, "numbers", "number"))
        amounts = series.cast(pl.Float64).to_numpy().astype(np.float64)
        place = np.rint((np.nan_to_num(amounts) - float(self._start)) / self.step)
        place = np.clip(place, 0, self.size - 1).astype(np.int64)
        return np.where(np.isnan(amounts), self.size, place)

    def decoded(self, codes: Integers, name: str, dtype: pl.DataType) -> pl.Series:
        """Return the points' values in the column's type; null at ``size``."""
        start, step = self._start, rational(self.step)
        if self.days:
            numbers = pl.Series(name, codes * int(step) + int(start))
            cells = numbers.cast(pl.Int32).cast(pl.Date).cast(dtype)
        else:
            denominator = math.lcm(start.denominator, step.denominator)
            # whole numbers over one denominator: the nearest float of each point, exactly
            whole = codes * int(step * denominator) + int(start * denominator)
            if dtype.is_integer():
                cells = pl.Series(name, whole // denominator).cast(dtype)
            else:
                cells = pl.Series(name, whole / denominator).cast(dtype)
        return cells.set(pl.Series(codes >= self.size), None)

    def interval(self, value: Any, name: str) -> int:
        """Return the point that a given value stands for.

        Raises
        ------
        DataError
            If it is no number (or date), or not within the bounds.
        """
        if value is None:
            return self.size
        try:
            amount = _amount(dt.date.fromisoformat(value) if isinstance(value, str) else value)
        except (TypeError, ValueError, PlanError):
            raise DataError(f"The value given for {name!r} is no number of its grid") from None
        if not self._start <= amount <= self._end:
            raise DataError(
                f"The value given for {name!r} lies outside its declared bounds: "
                f"{self.low} to {self.high}"
            )
        return min(round((amount - self._start) / rational(self.step)), self.size - 1)


class DeclaredValues(Settings):
    """A list of the values that a column can hold.

    Parameters
    ----------
    values
        Texts, whole numbers or truth values, each once; at least one.
    """

    values: tuple[bool | int | str, ...]

    @field_validator("values")
    @classmethod
    def _each_once(cls, value: tuple[bool | int | str, ...]) -> tuple[bool | int | str, ...]:
        if not value:
            raise ValueError("at least one value is needed")
        if len({(type(one), one) for one in value}) < len(value):
            raise ValueError("a value stands twice")
        return value

    @property
    def size(self) -> int:
        """Number of values."""
        return len(self.values)

    def codes(self, series: pl.Series) -> Integers:
        """Return the place of each cell's value; ``size`` where it is missing or not declared."""
        texts = _texts(series)
        found = texts.replace_strict(
            [_text(value) for value in self.values],
            list(range(self.size)),
            default=self.size,
            return_dtype=pl.Int64,
        )
        return found.fill_null(self.size).to_numpy().astype(np.int64)

    def decoded(self, codes: Integers, name: str, dtype: pl.DataType) -> pl.Series:
        """Return the values in the column's type; null at ``size``."""
        if dtype == pl.Boolean:
            exact = pl.Series(name, [_text(value) == "true" for value in self.values])
        elif dtype.is_numeric():
            exact = pl.Series(name, [float(value) for value in self.values])
        else:
            exact = pl.Series(name, [_text(value) for value in self.values])
        there = codes < self.size
        cells = exact.gather(np.where(there, codes, 0).astype(np.uint32)).cast(dtype)
        return cells.set(pl.Series(~there), None)

    def interval(self, value: Any, name: str) -> int:
        """Return the place of a given value.

        Raises
        ------
        DataError
            If it was not declared.
        """
        if value is None:
            return self.size
        known = [_text(one) for one in self.values]
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if _text(value) not in known:
            raise DataError(
                f"The value given for {name!r} is not among its declared values."
                f"{did_you_mean(_text(value), known)}"
            )
        return known.index(_text(value))


def _read(value: Any) -> Any:
    if isinstance(value, Mapping):
        return DeclaredValues(**value) if "values" in value else DeclaredNumbers(**value)
    if isinstance(value, Sequence) and not isinstance(value, str):
        parts = list(value)
        if len(parts) == 3 and not any(isinstance(x, bool) for x in parts):
            low, high, step = parts
            if isinstance(step, int | float) and not isinstance(low, str):
                return DeclaredNumbers(low=low, high=high, step=step)
            if isinstance(step, int | float) and isinstance(low, str):
                return DeclaredNumbers(
                    low=dt.date.fromisoformat(low), high=dt.date.fromisoformat(high), step=step
                )
        return DeclaredValues(values=tuple(parts))
    return value


def _validated(value: Any) -> Any:
    try:
        return _read(value)
    except (PlanError, TypeError) as error:
        raise ValueError(
            f"three numbers are (low, high, step), any other list is one of values, and numbers "
            f"that are names are {{values = [...]}}: {error}"
        ) from None


#: What a column can hold: ``(low, high, step)``, a list of values, or one of the two classes.
Declared: TypeAlias = Annotated[DeclaredNumbers | DeclaredValues, BeforeValidator(_validated)]


def declared_domain(
    domain: Mapping[str, DeclaredNumbers | DeclaredValues],
    schema: Schema,
    dtypes: Mapping[str, pl.DataType],
    *,
    complete: bool = True,
) -> dict[str, DeclaredNumbers | DeclaredValues]:
    """Return what each column was declared to hold, by the settings or by the schema.

    The schema declares a truth value, and a hierarchy that lists its values. The table's cells are
    not looked at.

    Parameters
    ----------
    domain
        What the settings declare, by column.
    schema
        The schema.
    dtypes
        Type of each column that is learned, in their order.
    complete
        Whether every column must be declared.

    Raises
    ------
    SchemaError
        If a column is declared nowhere, or a declared one is not in the table.
    """
    for name in domain:
        if name not in dtypes:
            raise SchemaError(
                f"domain: the table has no column {name!r} to learn.{did_you_mean(name, dtypes)}"
            )
    found: dict[str, DeclaredNumbers | DeclaredValues] = {}
    for name, dtype in dtypes.items():
        said = domain.get(name) or _said(schema.columns.get(name), dtype)
        if said is None and not complete:
            continue
        if said is None:
            raise SchemaError(
                f"Column {name!r}: what it can hold must be known before its cells are seen, or "
                f"the result would tell of them. Declare it, for numbers domain = "
                f"{{{name!r}: (low, high, step)}}, for categories {{{name!r}: [values]}} or a "
                f"hierarchy in the schema; or set `discover` to pay for it from the budget"
            )
        found[name] = said
    return found


def _said(column: Column | None, dtype: pl.DataType) -> DeclaredValues | None:
    if dtype == pl.Boolean or (column is not None and column.type == "boolean"):
        return DeclaredValues(values=(False, True))
    if column is not None and column.hierarchy is not None and column.hierarchy.leaves:
        return DeclaredValues(values=tuple(column.hierarchy.leaves))
    return None


def _amount(value: Any) -> Fraction:
    if isinstance(value, dt.datetime):
        value = value.date()
    if isinstance(value, dt.date):
        return Fraction((value - _EPOCH).days)
    return rational(value)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _texts(series: pl.Series) -> pl.Series:
    if series.dtype.is_float():
        whole = series.cast(pl.Int64, strict=False)
        return whole.set((whole.cast(pl.Float64) != series).fill_null(value=True), None).cast(
            pl.String
        )
    return series.cast(pl.String)


def _of_type(series: pl.Series, what: str, kind: str) -> str:
    return (
        f"Column {series.name!r} is declared as {what} but is {series.dtype}: give it the type "
        f"{kind!r} in the schema, or declare its values"
    )
