"""What a reader should tell the user about a text column that it left as text."""

from __future__ import annotations

import polars as pl

from sfumato.table.reading.inference import Inferred, Parse
from sfumato.table.types import MISSING_WORDS, cells

__all__ = ["quoted", "text_note", "words_in"]


def text_note(column: pl.Series, found: Inferred | None, missing: tuple[str, ...]) -> str | None:
    """Return a note on a text column, if one is due.

    Parameters
    ----------
    column
        The texts.
    found
        What the inference found, if the type was inferred.
    missing
        The texts that the user said mean a missing value.

    Examples
    --------
    >>> text_note(pl.Series("ward", ["A", "?", "B"]), None, ("",))[:66]
    "column 'ward' holds 1 cell, the first in row 2, with a text that o"
    """
    flags = column.is_in(MISSING_WORDS)
    start = f"column {column.name!r}"
    if flags.any():
        words = words_in(column)
        listed = ", ".join(f'"{word}"' for word in (*missing, *words))
        verb = f"would be of type {found.would_be} but for" if found and found.would_be else "holds"
        return (
            f"{start} {verb} {cells(flags)}, with a text that often means missing: "
            f"{quoted(words)}; say missing = [{listed}] if it does"
        )
    if found is None:
        return None
    if found.would_be:
        numbers = Parse("number", decimal=found.parse.decimal).as_numbers(column)
        others = ~numbers.is_finite().fill_null(value=False) & column.is_not_null()
        return f"{start} would be of type {found.would_be} but for {cells(others)}; it stays text"
    if found.swapped:
        return (
            f"{start} holds dates that can be read day first and month first, so it stays text; "
            "say day_first = true or false"
        )
    if found.commas:
        return (
            f"{start} holds numbers with a comma, which may part decimals or thousands, so it "
            "stays text; say decimal = ',' if it parts decimals"
        )
    if found.codes:
        return (
            f"{start} holds digits that a number would not keep (leading zeros, a plus sign, or "
            "more than 18 of them), so it stays text"
        )
    return None


def words_in(column: pl.Series) -> tuple[str, ...]:
    """Return which words that often mean missing a text column holds."""
    present = set(column.filter(column.is_in(MISSING_WORDS)).unique())
    return tuple(word for word in MISSING_WORDS if word in present)


def quoted(words: tuple[str, ...]) -> str:
    """Return words as a message lists them.

    Examples
    --------
    >>> quoted(("NA", "?"))
    "'NA', '?'"
    """
    return ", ".join(repr(word) for word in words)
