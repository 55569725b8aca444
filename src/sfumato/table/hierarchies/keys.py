"""How a cell finds its line in a hierarchy: first by its exact text, then by its value as number.

A column of numbers holds 80.0 where a hierarchy's file says "80" or "80.0"; both are the same
key. Codes with leading zeros ("007") are texts and only match exactly.
"""

from __future__ import annotations

import polars as pl

from sfumato.errors import DataError

__all__ = [
    "distinct_values",
    "match_keys",
    "numbers_of",
    "replace_values",
    "rows_holding",
    "texts_of",
]

# A text that a number would be written as: no leading zeros, so that codes stay codes.
_NUMBER = r"^[+-]?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$"
# Above this, neighbouring integers are no longer different floats: only the text can match.
_EXACT_INTEGER = float(2**53)


def distinct_values(series: pl.Series) -> pl.Series:
    """Return the distinct values that are not missing, in order of first appearance."""
    return series.drop_nulls().unique(maintain_order=True)


def texts_of(values: pl.Series) -> pl.Series:
    """Return the text of each value; missing stays missing.

    Raises
    ------
    DataError
        If the column holds lists, structures or bytes.
    """
    kind = values.dtype
    if kind == pl.String:
        return values
    if kind.is_nested() or kind == pl.Binary or kind == pl.Object:
        raise DataError(
            f"column {values.name!r} holds {kind}: a hierarchy needs numbers, texts, dates or "
            "yes/no values"
        )
    texts = values.cast(pl.String)
    if isinstance(kind, pl.Datetime):
        return texts.str.replace(r"(\.\d*?)0+( |$)", "${1}${2}").str.replace(r"\.( |$)", "${1}")
    return texts


def numbers_of(values: pl.Series) -> pl.Series:
    """Return each value as a 64-bit number; missing where it is none, or is not finite."""
    kind = values.dtype
    if kind == pl.Float32:
        # through the shortest text, so that 25.19 in 32 bits is the key 25.19
        numbers = values.cast(pl.String).cast(pl.Float64)
    elif kind.is_numeric() or kind == pl.Boolean:
        numbers = values.cast(pl.Float64)
    elif kind == pl.String or kind == pl.Categorical or kind == pl.Enum:
        texts = values.cast(pl.String)
        frame = pl.DataFrame({"text": texts})
        clean = pl.when(pl.col("text").str.contains(_NUMBER)).then(pl.col("text"))
        numbers = frame.select(clean.cast(pl.Float64, strict=False)).to_series()
    else:
        numbers = pl.Series(values.name, [None] * len(values), dtype=pl.Float64)
    frame = numbers.alias("number").to_frame()
    finite = pl.when(pl.col("number").is_finite()).then(pl.col("number"))
    return frame.select(finite).to_series().alias(values.name)


def match_keys(values: pl.Series, keys: pl.Series) -> pl.Series:
    """Find the key of each value.

    Parameters
    ----------
    values
        Distinct values of a column, none missing.
    keys
        Distinct texts (m).

    Returns
    -------
    pl.Series
        Position of the key (UInt32, 0 to m - 1) for each value; missing where there is none.
    """
    positions = pl.Series(range(len(keys)), dtype=pl.UInt32)
    found = _look_up(texts_of(values), keys, positions)
    if found.null_count() == 0:
        return found
    numbers = numbers_of(values)
    if numbers.null_count() == len(numbers):
        return found
    by_number = (
        pl.DataFrame({"number": numbers_of(keys), "position": positions})
        .drop_nulls()
        .filter(pl.col("number").abs() < _EXACT_INTEGER)
        # two keys of one value ("1.1", "1.10") are told apart by their text only
        .filter(pl.col("number").is_unique())
    )
    fallback = _look_up(numbers, by_number["number"], by_number["position"])
    if values.dtype == pl.Boolean:
        fallback = fallback.zip_with(
            fallback.is_not_null(), _look_up(texts_of(values), keys.str.to_lowercase(), positions)
        )
    return found.zip_with(found.is_not_null(), fallback)


def replace_values(
    series: pl.Series, values: pl.Series, by: pl.Series, dtype: pl.DataType | type[pl.DataType]
) -> pl.Series:
    """Replace each of the distinct ``values`` of a column by its partner; others become missing."""
    if series.dtype == pl.Categorical or series.dtype == pl.Enum:
        series, values = series.to_physical(), values.to_physical()
    return _look_up(series, values, by, dtype)


def rows_holding(series: pl.Series, values: pl.Series) -> tuple[int, int]:
    """Return how many rows hold one of the values, and the first such row's number (from 1)."""
    flags = pl.Series([True] * len(values), dtype=pl.Boolean)
    held = replace_values(series, values, flags, pl.Boolean).fill_null(value=False)
    first = held.arg_max()
    return int(held.sum()), (first or 0) + 1


def _look_up(
    series: pl.Series,
    old: pl.Series,
    new: pl.Series,
    dtype: pl.DataType | type[pl.DataType] = pl.UInt32,
) -> pl.Series:
    if len(old) == 0:
        return pl.Series(series.name, [None] * len(series), dtype=dtype)
    return series.replace_strict(old, new, default=None, return_dtype=dtype)
