"""Interval labels: how a range of numbers is written, and read back."""

from __future__ import annotations

from math import isinf
from typing import Literal

import numpy as np
import numpy.typing as npt
import polars as pl

__all__ = ["Closed", "interval_label", "number_text", "parse_intervals"]

Closed = Literal["left", "right"]

_NUMBER = r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?"
_END = rf"(?:{_NUMBER}|[+-]?(?:inf|∞))"
# "[20, 30)", "(18.5, 25]", ARX's "[70-80)"
_BRACKETED = rf"^[\[\(\]]\s*({_END})\s*(?:,|;|-|–|\s)\s*({_END})\s*[\]\)\[]$"
# "20-30", "20 - 30", "20 to 30", "-5--1"
_DASHED = rf"^({_NUMBER})\s*(?:-|–|to)\s*({_NUMBER})$"
_BELOW = rf"^(?:<=?|≤)\s*({_NUMBER})$"
_ABOVE = rf"^(?:>=?|≥)\s*({_NUMBER})$"
_FROM = rf"^({_NUMBER})\s*\+$"
_EXACT = rf"^({_NUMBER})$"


def number_text(number: float) -> str:
    """Return a number as the shortest text that reads back as the same number.

    Examples
    --------
    >>> number_text(20.0), number_text(18.5)
    ('20', '18.5')
    """
    number = float(number)
    if number.is_integer() and abs(number) < 1e15:
        return str(int(number))
    return repr(number)


def interval_label(low: float, high: float, closed: Closed = "left") -> str:
    """Return the text of an interval, its closed end stated.

    Parameters
    ----------
    low, high
        Ends, ``low < high``; an infinite end leaves that side open.
    closed
        Which end belongs to the interval.

    Examples
    --------
    >>> interval_label(20, 30), interval_label(20, 30, "right")
    ('[20, 30)', '(20, 30]')
    >>> interval_label(float("-inf"), 18.5), interval_label(40, float("inf"), "right")
    ('<18.5', '>40')
    """
    left = closed == "left"
    if isinf(low) and isinf(high):
        return "*"
    if isinf(low):
        return f"{'<' if left else '<='}{number_text(high)}"
    if isinf(high):
        return f"{'>=' if left else '>'}{number_text(low)}"
    between = f"{number_text(low)}, {number_text(high)}"
    return f"[{between})" if left else f"({between}]"


def parse_intervals(
    series: pl.Series,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Read interval labels back into their ends.

    Understood are our own labels ("[20, 30)", "<18.5", ">=40") and the usual ones of other tools:
    "20-30", "20 - 30", "20 to 30", "[70-80)", "90+", "≤5". A plain number is the interval of
    itself. Whether a column such as "40-49" *is* a column of intervals is the caller's to decide.

    Parameters
    ----------
    series
        Texts (n rows), or anything that Polars writes as text.

    Returns
    -------
    low, high
        Arrays of shape (n,); ``nan`` where the text is no interval or is missing, infinite where
        the interval has no end.

    Examples
    --------
    >>> low, high = parse_intervals(pl.Series(["[20, 30)", "70-80", ">=90", "n/a"]))
    >>> low.tolist(), high.tolist()
    ([20.0, 70.0, 90.0, nan], [30.0, 80.0, inf, nan])
    """
    texts = series.cast(pl.String)
    distinct = texts.drop_nulls().unique()
    ends = (
        distinct.alias("text")
        .to_frame()
        .with_columns(clean=pl.col("text").str.strip_chars().str.replace_all("∞", "inf"))
        .with_columns(
            bracketed=pl.col("clean").str.extract_groups(_BRACKETED),
            dashed=pl.col("clean").str.extract_groups(_DASHED),
            below=pl.col("clean").str.extract(_BELOW),
            above=pl.coalesce(
                pl.col("clean").str.extract(_ABOVE), pl.col("clean").str.extract(_FROM)
            ),
            exact=pl.col("clean").str.extract(_EXACT),
        )
        .select(
            "text",
            low=_number(
                pl.col("bracketed").struct.field("1"),
                pl.col("dashed").struct.field("1"),
                pl.col("above"),
                pl.when(pl.col("below").is_not_null()).then(pl.lit("-inf")),
                pl.col("exact"),
            ),
            high=_number(
                pl.col("bracketed").struct.field("2"),
                pl.col("dashed").struct.field("2"),
                pl.col("below"),
                pl.when(pl.col("above").is_not_null()).then(pl.lit("inf")),
                pl.col("exact"),
            ),
        )
        .filter(pl.col("low") <= pl.col("high"))
    )
    return _spread(texts, ends, "low"), _spread(texts, ends, "high")


def _number(*candidates: pl.Expr) -> pl.Expr:
    return pl.coalesce(*candidates).cast(pl.Float64, strict=False)


def _spread(texts: pl.Series, ends: pl.DataFrame, end: str) -> npt.NDArray[np.float64]:
    if ends.is_empty():
        return np.full(len(texts), np.nan)
    numbers = texts.replace_strict(ends["text"], ends[end], default=None, return_dtype=pl.Float64)
    return numbers.fill_null(np.nan).to_numpy()
