"""How the cells of a column become numbers or codes that a model can learn, and back again.

A cell is a value, missing (null) or suppressed (``*``). Whether there is a value, and which, are
learned as two variables, so that a suppressed row stays suppressed as a whole and a missing number
is neither high nor low.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
import polars as pl

from sfumato.errors import DataError, PlanError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

__all__ = [
    "MISSING",
    "PRESENT",
    "SUPPRESSED_CELL",
    "CodedColumn",
    "ColumnCoding",
    "code_column",
    "coding_of",
]

PRESENT, MISSING, SUPPRESSED_CELL = 0, 1, 2
_STAR = "*"
_POOLED = "(other)"
_MANY_NUMBERS = 50  # texts such as "12.5" and "*" are read as numbers from this many values on
_MOST_DECIMALS = 6

_PLAIN: dict[str, pl.DataType] = {
    str(kind): kind()
    for kind in (
        *(pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.UInt8, pl.UInt16, pl.UInt32, pl.UInt64),
        *(pl.Float32, pl.Float64, pl.Boolean, pl.String, pl.Categorical, pl.Date, pl.Time),
    )
}


@dataclass(frozen=True)
class ColumnCoding:
    """How a column is written: all that turns learned numbers back into cells.

    Parameters
    ----------
    name
        Name of the column.
    kind
        "number" (also dates and times) or "category".
    dtype
        Polars type, as plain values.
    values
        The category's values in latent order; empty for a number.
    decimals, step
        Resolution of a number: decimals (None: as it comes), and the whole number that all whole
        numbers are multiples of.
    as_text
        Whether numbers are written as texts, since the column also holds ``*``.
    dropped
        People-weighted share of the rows whose value too few people share to be learned.
    ordered
        Whether the category's values stand in an order that was declared.
    """

    name: str
    kind: Literal["number", "category"]
    dtype: dict[str, Any]
    values: tuple[str | int | float | bool, ...] = ()
    decimals: int | None = None
    step: int = 1
    as_text: bool = False
    dropped: float = 0.0
    ordered: bool = False

    def read(self, series: pl.Series) -> tuple[Floats | Integers, Integers]:
        """Return content and state of cells that are written as this column is.

        A value that was not learned is -1 in a category; a text that is no number, where numbers
        are expected, is NaN.
        """
        state = np.where(series.is_null().to_numpy(), MISSING, PRESENT).astype(np.int64)
        if isinstance(series.dtype, pl.String | pl.Categorical | pl.Enum):
            stars = (series.cast(pl.String) == _STAR).fill_null(value=False).to_numpy()
            state[stars] = SUPPRESSED_CELL
        if self.kind == "category":
            codes = _codes(series, list(self.values))
            if self.values and _POOLED in self.values:
                codes = np.where(codes < 0, self.values.index(_POOLED), codes)
            return np.where(state == PRESENT, codes, -1), state
        if self.as_text:
            series = series.cast(pl.String).cast(pl.Float64, strict=False)
        content = _amounts(series).cast(pl.Float64).to_numpy().astype(np.float64)
        return np.where(state == PRESENT, content, np.nan), state

    def written(self, value: Any) -> pl.Series:
        """Return one value as a column of this kind and of length 1.

        Raises
        ------
        DataError
            If the value is of another type than the column.
        """
        dtype = _dtype_of(self.dtype)
        wrong = DataError(
            f"The value given for {self.name!r} is of another type than the column: "
            f"{type(value).__name__} instead of {self.dtype['type']}"
        )
        if dtype.is_integer() and isinstance(value, float) and not value.is_integer():
            raise wrong
        if isinstance(dtype, pl.Enum | pl.Categorical):
            dtype = pl.String()
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if (dtype.is_numeric() and not number and not dtype.is_decimal()) or (
            dtype == pl.Boolean and number and value not in (0, 1)
        ):
            raise wrong
        value = bool(value) if dtype == pl.Boolean and number else value
        if self.as_text and number:
            value = str(value)
        try:
            return pl.Series(self.name, [value], dtype=dtype, strict=not dtype.is_numeric())
        except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError):
            raise wrong from None

    def fitted(self, values: pl.Series, text: str) -> pl.Series:
        """Return computed values in the column's type and resolution.

        Raises
        ------
        PlanError
            If they are of another type; ``text`` is what they were computed by.
        """
        dtype = _dtype_of(self.dtype)
        values = values.alias(self.name)
        numeric = dtype.is_numeric() and (values.dtype.is_numeric() or values.dtype == pl.Boolean)
        wrong = PlanError(f"{text!r} gives {values.dtype}, but the column {self.name!r} is {dtype}")
        if numeric:
            exact = values.cast(pl.Float64)
            exact = exact.set(~exact.is_finite().fill_null(value=True), None)
            values = exact if self.decimals is None else exact.round(self.decimals)
        elif (
            dtype.is_numeric()
            or values.dtype.is_numeric()
            or (dtype == pl.Boolean) != (values.dtype == pl.Boolean)
        ):
            raise wrong
        try:
            return values.cast(dtype)
        except pl.exceptions.PolarsError:
            raise wrong from None

    def differing(self, computed: pl.Series, held: pl.Series) -> float:
        """Return the share of rows in which two columns of this kind differ."""
        if computed.dtype.is_float():
            apart = (computed - held).abs() > 1e-9 * held.abs().clip(lower_bound=1.0)
            differs = apart.fill_null(value=False) | (computed.is_null() != held.is_null())
        else:
            differs = computed.ne_missing(held)
        return int(differs.sum()) / max(held.len(), 1)

    def write(self, content: Floats | Integers | None, state: Integers | None, n: int) -> pl.Series:
        """Return the column that the numbers, or codes of values, and the states stand for.

        Parameters
        ----------
        content
            Numbers, or codes of ``values``, shape (n,); None if no row has a value.
        state
            0 value, 1 missing, 2 suppressed, shape (n,); None if every row has a value.
        n
            Number of rows.
        """
        dtype = _dtype_of(self.dtype)
        if content is None:
            cells = pl.Series(self.name, [None], dtype=dtype).new_from_index(0, n)
        elif self.kind == "category":
            exact = pl.Series(self.name, list(self.values), strict=False)
            cells = exact.gather(content.astype(np.uint32)).cast(dtype)
        else:
            cells = self._numbers(content, dtype)
        if state is None:
            return cells
        cells = cells.set(pl.Series(state != PRESENT), None)
        if (state == SUPPRESSED_CELL).any():
            cells = cells.set(pl.Series(state == SUPPRESSED_CELL), _STAR)
        return cells

    def _numbers(self, content: Floats | Integers, dtype: pl.DataType) -> pl.Series:
        whole = self.decimals == 0 and not dtype.is_float()
        numbers = pl.Series(self.name, content.astype(np.int64) if whole else content)
        if self.as_text:
            return numbers.cast(pl.String)
        if isinstance(dtype, pl.Datetime | pl.Duration):
            micro = (
                pl.Datetime("us", dtype.time_zone)
                if isinstance(dtype, pl.Datetime)
                else pl.Duration("us")
            )
            return numbers.cast(micro).cast(dtype)
        if dtype == pl.Time:
            return (numbers * 1000).cast(pl.Time)
        return numbers.cast(dtype)

    def to_dict(self) -> dict[str, Any]:
        """Return the coding as plain JSON values."""
        return {**asdict(self), "values": list(self.values)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Return the coding that :meth:`to_dict` described."""
        return cls(**{**values, "values": tuple(values["values"])})


@dataclass(frozen=True, eq=False)
class CodedColumn:
    """A column as a model learns it.

    Parameters
    ----------
    coding
        How it is written back.
    content
        Numbers (NaN where there is no value) or codes of the values (-1 where there is none, or
        one that is not learned), shape (n,).
    state
        0 value, 1 missing, 2 suppressed, shape (n,).
    scores
        Where each value of a category lies on its axis, ascending, shape (values,); None for a
        number, and before the values are ordered.
    """

    coding: ColumnCoding
    content: Floats | Integers
    state: Integers
    scores: Floats | None = None

    @property
    def there(self) -> NDArray[np.bool_]:
        """Whether each row has a value that is learned."""
        if self.coding.kind == "category":
            return np.asarray(self.content >= 0)
        return ~np.isnan(self.content)


def code_column(
    series: pl.Series,
    people: Floats,
    *,
    minimum: int,
    pool: bool,
    categorical: bool,
    order: Sequence[str] = (),
) -> CodedColumn:
    """Return the column as numbers or codes.

    Parameters
    ----------
    series
        The column.
    people
        What each row counts as, shape (n,); see :func:`sfumato.synthesis.margins.fit_numbers`.
    minimum
        Least number of people who share a category's value for it to be learned.
    pool
        Whether the values of too few people become one value "(other)" instead of being left out.
    categorical
        Whether whole numbers are to be read as names, not as amounts.
    order
        The texts of a category's values from least to greatest. It holds if it names every value
        that is learned; without one the values stand in alphabetical order, which has no meaning.

    Raises
    ------
    DataError
        If the column's type cannot be learned, a number is not finite, or most rows hold a text
        that too few people share (free text, an identifier).
    """
    if series.dtype == pl.Null:
        series = series.cast(pl.String)
    state = np.where(series.is_null().to_numpy(), MISSING, PRESENT).astype(np.int64)
    text = isinstance(series.dtype, pl.String | pl.Categorical | pl.Enum)
    if text:
        stars = (series.cast(pl.String) == _STAR).fill_null(value=False).to_numpy()
        state[stars] = SUPPRESSED_CELL
        numbers = None if categorical else _numbers_in_text(series, state)
        if numbers is not None:
            return _number(series.name, numbers, series.dtype, state, as_text=True)
    if text or series.dtype == pl.Boolean or (categorical and series.dtype.is_integer()):
        return _category(series, state, people, minimum=minimum, pool=pool and text, order=order)
    return _number(series.name, _amounts(series), series.dtype, state)


def coding_of(series: pl.Series) -> ColumnCoding:
    """Return how a column is written whose values are computed, not learned."""
    dtype = series.dtype
    if not dtype.is_numeric():
        kept = dtype.categories.to_list() if isinstance(dtype, pl.Enum) else None
        kind: Literal["number", "category"] = "number" if dtype.is_temporal() else "category"
        return ColumnCoding(series.name, kind, _dtype_as_dict(dtype, kept))
    content = series.cast(pl.Float64).to_numpy().astype(np.float64)
    decimals, _ = _resolution(series, content)
    return ColumnCoding(series.name, "number", _dtype_as_dict(dtype), decimals=decimals)


def _amounts(series: pl.Series) -> pl.Series:
    """Return dates and times as whole numbers, numbers as they are."""
    dtype = series.dtype
    if isinstance(dtype, pl.Datetime):
        return series.dt.cast_time_unit("us").to_physical()
    if isinstance(dtype, pl.Duration):
        return series.dt.total_microseconds()
    if dtype == pl.Time:
        return series.to_physical() // 1000
    if dtype == pl.Date:
        return series.to_physical()
    if dtype.is_numeric():
        return series
    raise DataError(
        f"Column {series.name!r} is of type {dtype}, which a synthesizer cannot learn: leave it out"
        f" or turn it into numbers, dates or categories"
    )


def _number(
    name: str, series: pl.Series, dtype: pl.DataType, state: Integers, *, as_text: bool = False
) -> CodedColumn:
    if series.dtype.is_float():
        strange = (~series.is_finite()).fill_null(value=False)
        if strange.any():
            raise DataError(
                f"Column {name!r} holds {strange.sum()} cells that are not finite numbers, first "
                f"in row {strange.arg_max() + 1}: make them missing"  # type: ignore[operator]
            )
    content = series.cast(pl.Float64).to_numpy().astype(np.float64)
    decimals, step = _resolution(series, content)
    coding = ColumnCoding(
        name, "number", _dtype_as_dict(dtype), decimals=decimals, step=step, as_text=as_text
    )
    return CodedColumn(coding, np.where(state == PRESENT, content, np.nan), state)


def _resolution(series: pl.Series, content: Floats) -> tuple[int | None, int]:
    """Return the decimals of the values, and what all whole numbers are multiples of."""
    known = content[~np.isnan(content)]
    if series.dtype.is_integer():
        step = int(np.gcd.reduce(np.abs(known).astype(np.int64))) if known.size else 1
        return 0, max(step, 1)
    if series.dtype.is_decimal():
        return int(getattr(series.dtype, "scale", 0) or 0), 1
    single = series.dtype == pl.Float32
    for decimals in range(_MOST_DECIMALS + 1):
        rounded = np.round(known, decimals)
        if np.array_equal(rounded.astype(np.float32) if single else rounded, known):
            return decimals, 1
    return None, 1


def _numbers_in_text(series: pl.Series, state: Integers) -> pl.Series | None:
    """Return the numbers of a text column that holds nothing but many numbers and ``*``."""
    if not (state == SUPPRESSED_CELL).any():
        return None
    texts = series.cast(pl.String).set(pl.Series(state != PRESENT), None)
    if texts.n_unique() <= _MANY_NUMBERS:
        return None
    for kind in (pl.Int64, pl.Float64):
        numbers = texts.cast(kind, strict=False)
        # "007" and "1e3" are texts: only what is written back the same is a number.
        if numbers.cast(pl.String).eq_missing(texts).all():
            return numbers
    return None


def _category(
    series: pl.Series,
    state: Integers,
    people: Floats,
    *,
    minimum: int,
    pool: bool,
    order: Sequence[str],
) -> CodedColumn:
    there = state == PRESENT
    found = (
        pl.DataFrame(
            {
                "value": series.cast(pl.String)
                if isinstance(series.dtype, pl.Categorical | pl.Enum)
                else series,
                "people": people,
            }
        )
        .filter(pl.Series(there))
        .group_by("value")
        .agg(pl.col("people").sum())
        .sort("value")
    )
    enough = pl.col("people") >= minimum - 1e-9
    kept = found.filter(enough)["value"].to_list()
    rare = found.filter(~enough)
    total, lost = float(found["people"].sum()), float(rare["people"].sum())
    if total > 0 and lost > total / 2:
        raise DataError(
            f"Column {series.name!r}: {rare.height} of its {found.height} values are each shared by"
            f" fewer than {minimum} people, and they fill {lost / total:.0%} of the rows. It looks"
            f" like free text or an identifier, which a synthesizer must not repeat: give it the"
            f" role 'identifier', generalize it, or set `minimum` lower"
        )
    pooled = pool and lost >= minimum
    places = {text: place for place, text in enumerate(order)}
    ordered = bool(kept) and not pooled and all(str(value) in places for value in kept)
    if ordered:
        kept.sort(key=lambda value: places[str(value)])
    codes = _codes(series, kept)
    if pooled:
        codes = np.where(there & (codes < 0), len(kept), codes)
        kept = [*kept, _POOLED]
    coding = ColumnCoding(
        series.name,
        "category",
        _dtype_as_dict(series.dtype, kept),
        values=tuple(kept),
        dropped=0.0 if pooled or total == 0 else lost / total,
        ordered=ordered,
    )
    return CodedColumn(coding, np.where(there, codes, -1), state)


def _codes(series: pl.Series, kept: list[Any]) -> Integers:
    if not kept:
        return np.full(len(series), -1, dtype=np.int64)
    if isinstance(series.dtype, pl.Categorical | pl.Enum):
        series = series.cast(pl.String)
    codes = series.replace_strict(
        kept, list(range(len(kept))), default=-1, return_dtype=pl.Int64
    ).fill_null(-1)
    return codes.to_numpy().astype(np.int64)


def _dtype_as_dict(dtype: pl.DataType, kept: list[Any] | None = None) -> dict[str, Any]:
    if isinstance(dtype, pl.Datetime):
        return {"type": "Datetime", "unit": dtype.time_unit, "zone": dtype.time_zone}
    if isinstance(dtype, pl.Duration):
        return {"type": "Duration", "unit": dtype.time_unit}
    if isinstance(dtype, pl.Decimal):
        return {"type": "Decimal", "precision": dtype.precision, "scale": dtype.scale}
    if isinstance(dtype, pl.Enum):
        # Only what is learned: the full list may hold a value of a single person.
        known = set(kept or ())
        order = [value for value in dtype.categories.to_list() if value in known or value == _STAR]
        return {"type": "Enum", "categories": [*order, *sorted(known - set(order))]}
    if isinstance(dtype, pl.Categorical):
        return {"type": "Categorical"}
    return {"type": str(dtype)}


def _dtype_of(values: dict[str, Any]) -> pl.DataType:
    kind = values["type"]
    if kind == "Datetime":
        return pl.Datetime(values["unit"], values["zone"])
    if kind == "Duration":
        return pl.Duration(values["unit"])
    if kind == "Decimal":
        return pl.Decimal(values["precision"], values["scale"])
    if kind == "Enum":
        return pl.Enum(values["categories"])
    return _PLAIN[kind]
