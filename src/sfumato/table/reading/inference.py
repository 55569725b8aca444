"""From the texts of a column to its type: what a text file or a spreadsheet does not say.

A column becomes a number only if every text is one, so nothing is lost in silence: codes with a
leading zero, a plus sign or more digits than a number can hold stay texts, and so do dates whose
day and month could be swapped.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

import polars as pl

from sfumato.table.types import MISSING_WORDS, ColumnType

__all__ = ["Inferred", "Parse", "find_decimal", "infer", "parse_as"]

#: Texts that mean a number without end; never a value of a table.
INFINITE_WORDS = tuple(
    sign + word
    for sign in ("", "-", "+")
    for word in ("inf", "Inf", "INF", "infinity", "Infinity", "INFINITY")
)

_INTEGER = r"^-?(?:0|[1-9][0-9]{0,17})$"
_DATE_FORMATS = ("%Y-%m-%d", "%Y/%m/%d", "%d.%m.%Y", "%d-%b-%Y", "%d %b %Y")
_DAY_FIRST = ("%d/%m/%Y", "%d-%m-%Y")
_MONTH_FIRST = ("%m/%d/%Y", "%m-%d-%Y")
_TIMES = ("%H:%M:%S%.f", "%H:%M", "%H:%M:%S%.f%#z")
_TRUE = ("true", "t", "yes", "y", "1")
_FALSE = ("false", "f", "no", "n", "0")
_MOST = 0.9


@dataclass(frozen=True)
class Parse:
    """How the texts of one column become values.

    Parameters
    ----------
    type
        The type of the values.
    format
        For dates and datetimes: the pattern of the texts, as chrono writes it.
    decimal
        The decimal separator of numbers, "." or ",".
    trim
        Whether blanks around the texts are dropped first.
    given
        Whether the user named the type: then "007" is the integer 7, "yes" is true, and so on.
    """

    type: ColumnType
    format: str = ""
    decimal: str = "."
    trim: bool = False
    given: bool = False

    def values(self, text: pl.Expr) -> pl.Expr:
        """Return the values of texts; null where a text is no such value."""
        if self.trim:
            text = text.str.strip_chars()
        if self.type in ("category", "text"):
            return text
        if self.type == "integer":
            whole = text.cast(pl.Int64, strict=False)
            if not self.given:
                return whole
            number = self._number(text)
            small = number.is_finite() & (number.abs() < 2**53) & (number == number.round())
            return pl.coalesce(whole, pl.when(small).then(number).cast(pl.Int64, strict=False))
        if self.type == "number":
            return self._number(text)
        if self.type == "boolean":
            lower = text.str.to_lowercase()
            true, false = (_TRUE, _FALSE) if self.given else (_TRUE[:1], _FALSE[:1])
            return pl.when(lower.is_in(true)).then(True).when(lower.is_in(false)).then(False)  # noqa: FBT003
        if self.type == "date":
            return text.str.to_date(self.format, strict=False)
        return text.str.to_datetime(self.format, strict=False, time_unit="us")

    def misfits(self, text: pl.Expr, *, empty: bool = False) -> pl.Expr:
        """Return which texts are present and yet no value of this type.

        Parameters
        ----------
        text
            The texts; null is missing.
        empty
            Whether an empty text is present.
        """
        if self.type in ("category", "text"):
            return pl.lit(False)  # noqa: FBT003
        value = self.values(text)
        wrong = value.is_null() & (text.is_not_null() if empty else text != "")
        if self.trim:
            text = text.str.strip_chars()
        if self.type == "number":
            wrong = wrong | ~value.is_finite()
        elif self.type in ("date", "datetime"):
            wrong = wrong | (value.dt.year() < 1000)
        if self.type in ("integer", "number") and not self.given:
            # A code such as 007, -05 or +49: in the order of bytes ":" follows "9".
            for low, high in (("00", "0:"), ("-00", "-0:"), ("+", ",")):
                wrong = wrong | text.is_between(pl.lit(low), pl.lit(high), closed="left")
        return wrong.fill_null(False)  # noqa: FBT003

    def _number(self, text: pl.Expr) -> pl.Expr:
        if self.decimal == ",":
            # "1.5" must not pass for a number where the comma is the decimal separator.
            text = text.str.replace_many([".", ","], ["?", "."])
        return text.cast(pl.Float64, strict=False)

    def as_numbers(self, texts: pl.Series) -> pl.Series:
        """Return the numbers in texts, infinite ones too; null where there is none."""
        return pl.select(self._number(pl.lit(texts))).to_series()

    def fits(self, texts: pl.Series) -> bool:
        """Return whether every text is a value of this type."""
        return not pl.select(self.misfits(pl.lit(texts), empty=True).any()).item()


@dataclass(frozen=True)
class Inferred:
    """What the distinct texts of a column are.

    Parameters
    ----------
    parse
        How to read them.
    would_be
        The type that only the ``obstacles`` (and missing words) prevent, if there is one.
    missing_words
        Texts among them that often mean a missing value.
    infinite
        Whether the column holds numbers but for texts such as "inf".
    swapped
        Whether the texts are dates that can be read day first and month first.
    codes
        Whether the texts are digits that a number would not hold (leading zeros, too long).
    commas
        Whether the texts are numbers if a comma is the decimal separator.
    """

    parse: Parse
    would_be: ColumnType | None = None
    missing_words: tuple[str, ...] = ()
    infinite: bool = False
    swapped: bool = False
    codes: bool = False
    commas: bool = False

    @property
    def settled(self) -> bool:
        """Whether more texts cannot change the finding for the better."""
        return not (self.would_be or self.swapped or self.infinite or self.commas)


def infer(texts: pl.Series, *, decimal: str = ".", day_first: bool | None = None) -> Inferred:
    """Return the plainest type that all texts fit.

    Parameters
    ----------
    texts
        Distinct texts of one column, without nulls and empty texts.
    decimal
        The decimal separator of the file.
    day_first
        How to read dates such as 03/04/2020; None reads them only if one way fits.

    Examples
    --------
    >>> infer(pl.Series(["1", "20"])).parse.type
    'integer'
    >>> infer(pl.Series(["01", "20"])).parse.type
    'category'
    >>> infer(pl.Series(["1", "NA"])).would_be
    'integer'
    """
    is_word = _is_word(texts)
    present = set(texts.filter(is_word).str.strip_chars())
    words = tuple(word for word in MISSING_WORDS if word in present)
    rest = texts.filter(~is_word)
    parse, swapped = _plainest(rest, decimal, day_first)
    kept = Parse("category", decimal=decimal)
    if parse is not None:
        if not words:
            return Inferred(parse)
        return Inferred(kept, would_be=parse.type, missing_words=words)
    endless = rest.str.strip_chars().is_in(INFINITE_WORDS)
    endless |= (
        Parse("number", decimal=decimal).as_numbers(rest).is_infinite().fill_null(value=False)
    )
    finite = rest.filter(~endless)
    if 0 < len(finite) < len(rest) and _numeric(finite, decimal):
        return Inferred(kept, missing_words=words, infinite=True)
    near = None
    if len(rest) >= 20 and rest.str.contains(_number_pattern(decimal)).mean() > _MOST:  # type: ignore[operator]
        near = "number"
    codes = bool(len(rest)) and rest.str.contains(r"^\+?[0-9]+$").all()
    return Inferred(
        kept,
        would_be="number" if near and not codes else None,
        missing_words=words,
        swapped=swapped,
        codes=codes,
        commas=bool(len(rest)) and decimal == "." and _numeric(rest, ","),
    )


def parse_as(
    wanted: ColumnType, texts: pl.Series, *, decimal: str = ".", day_first: bool | None = None
) -> Parse | None:
    """Return how to read texts as the type that the user named; None if day and month may swap.

    Parameters
    ----------
    wanted
        The type.
    texts
        Distinct texts, to find the pattern of dates in.
    decimal, day_first
        As in :func:`infer`.
    """
    if wanted in ("category", "text"):
        return Parse(wanted, given=True)
    trim = not (texts.str.strip_chars() == texts).all()
    if wanted not in ("date", "datetime"):
        return Parse(wanted, decimal=decimal, trim=trim, given=True)
    patterns = _formats(wanted, day_first)
    if wanted == "date":
        patterns.append("%Y%m%d")
    parses = [Parse(wanted, pattern, trim=trim, given=True) for pattern in patterns]
    fitting = [parse for parse in parses if len(texts) and parse.fits(texts)]
    if len(fitting) > 1:
        return None
    return fitting[0] if fitting else parses[0]


def find_decimal(columns: Iterable[pl.Series], delimiter: str) -> str | None:
    """Return the decimal separator of a file, or None if its columns do not show it.

    A comma counts only where it cannot part thousands: not where fields are parted by commas, and
    not in columns whose every comma has three digits behind it.

    Parameters
    ----------
    columns
        Distinct texts of each column.
    delimiter
        What parts the fields.

    Examples
    --------
    >>> find_decimal([pl.Series(["1,5", "20"])], ";")
    ','
    >>> find_decimal([pl.Series(["1,500", "20"])], ";") is None
    True
    """
    points, commas = 0, 0
    for texts in columns:
        rest = texts.filter(~_is_word(texts)).str.strip_chars()
        if rest.str.contains(r"\.[0-9]").any() and _numeric(rest, "."):
            points += 1
        elif delimiter != "," and rest.str.contains(r",(?:[0-9]{1,2}|[0-9]{4,})$").any():
            commas += _numeric(rest, ",")
    if points or commas:
        return "," if commas > points else "."
    return None


def _is_word(texts: pl.Series) -> pl.Series:
    return texts.str.strip_chars().is_in(MISSING_WORDS)


def _number_pattern(decimal: str) -> str:
    mark = re.escape(decimal)
    whole, short = "(?:0|[1-9][0-9]*)", "(?:0|[1-9][0-9]{0,17})"
    digits = rf"(?:{short}|{whole}?{mark}[0-9]+|{whole}{mark})"
    return rf"^\s*-?{digits}(?:[eE][+-]?[0-9]+)?\s*$"


def _numeric(texts: pl.Series, decimal: str) -> bool:
    return bool(texts.str.contains(_number_pattern(decimal)).all())


def _formats(kind: ColumnType, day_first: bool | None) -> list[str]:
    ordered = {None: (*_DAY_FIRST, *_MONTH_FIRST), True: _DAY_FIRST, False: _MONTH_FIRST}[day_first]
    dates = [*_DATE_FORMATS, *ordered]
    if kind == "date":
        return dates
    return [f"{day}{gap}{time}" for day in dates for gap in (" ", "T") for time in _TIMES]


def _plainest(texts: pl.Series, decimal: str, day_first: bool | None) -> tuple[Parse | None, bool]:
    """Return the plainest parse of all texts, if any; and whether day and month are ambiguous."""
    if not len(texts):
        return None, False
    bare = texts.str.strip_chars()
    trim = not (bare == texts).all()
    if bare.str.to_lowercase().is_in(["true", "false"]).all():
        return Parse("boolean", trim=trim), False
    if bare.str.contains(_INTEGER).all():
        return _if_fits(Parse("integer", trim=trim), texts), False
    if _numeric(bare, decimal):
        return _if_fits(Parse("number", decimal=decimal, trim=trim), texts), False
    if not bare.str.contains(r"^[0-9]{1,4}[-/. ]").all():
        return None, False
    kind: ColumnType = "datetime" if bare.str.contains(":").all() else "date"
    probe = texts.head(100)
    found = [
        parse
        for parse in (Parse(kind, pattern, trim=trim) for pattern in _formats(kind, day_first))
        if parse.fits(probe) and parse.fits(texts)
    ]
    if not found:
        return None, False
    # Two patterns fit: every day could be a month. One reading would be a guess.
    return (None, True) if len(found) > 1 else (found[0], False)


def _if_fits(parse: Parse, texts: pl.Series) -> Parse | None:
    return parse if parse.fits(texts) else None
