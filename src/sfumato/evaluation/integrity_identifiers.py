"""Whether identifiers are left in a released table, in columns, cells, texts or names."""

from __future__ import annotations

import re
from collections.abc import Iterator

import polars as pl

from sfumato.evaluation.integrity_findings import (
    IntegrityFinding,
    failed,
    not_applicable,
    passed,
)
from sfumato.evaluation.integrity_sides import Sides
from sfumato.table.role_names import plain_words
from sfumato.table.role_patterns import PATTERNS, Pattern
from sfumato.table.roles import suggest_roles
from sfumato.table.schema import Role

__all__ = ["identifier_findings", "names_with_data"]

# A cell that has one of these inside is a hit; of other forms the whole cell must be one.
_INSIDE = {
    "e-mail addresses": r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}",
    "web addresses": r"(?i)\b(?:https?|ftp)://\S+|\bwww\.\S+\.\S+",
    "telephone numbers": r"(?:^|[^\w.])\+\d{1,3}[ ./-]?(?:\(?\d{1,4}\)?[ ./-]?){2,5}\d(?:$|\W)",
    "UUIDs": r"\b[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}\b",
    "social security numbers": r"\b\d{3}-\d{2}-\d{4}\b",
}
_WHOLE = frozenset(
    {"IP addresses", "MAC addresses", "IBANs", "card numbers", "record numbers"},
)
_DNI = "TRWAGMYFPDXBNJZSQVHLCKE"
_FREE_TEXT_WORDS = 4
_TELLING_TEXT, _TELLING_DIGITS = 5, 6
_MOST_TEXTS = 200_000
_NUMBER_IN_NAME = re.compile(r"\d{6,}|[^\s@]+@[^\s@]+\.[A-Za-z]{2,}")


def identifier_findings(sides: Sides) -> Iterator[IntegrityFinding]:
    """Yield SF101 to SF105 and SF119."""
    left = [name for name in sides.identifiers if name in sides.released.columns]
    if sides.schema is None:
        yield not_applicable("SF101", "There is no schema that names identifiers.")
    elif left:
        meaning = "Columns that the schema calls identifiers are in the release."
        yield failed("SF101", left, len(left), "columns", meaning)
    else:
        yield passed("SF101", "columns")
    yield _identifying_columns(sides)
    yield _identifying_cells(sides)
    yield _repeated_identifiers(sides)
    yield _free_text(sides)
    yield _names_with_data(sides)


def _identifying_columns(sides: Sides) -> IntegrityFinding:
    suggested = suggest_roles(sides.released.select(sides.columns)) if sides.columns else {}
    found = {name: one for name, one in suggested.items() if one.role == Role.IDENTIFIER and name}
    if not found:
        return passed("SF102", "columns")
    reasons = "; ".join(f"{name!r}: {one.reasons[0]}" for name, one in found.items())
    return failed("SF102", list(found), len(found), "columns", f"May name people: {reasons}.")


def _identifying_cells(sides: Sides) -> IntegrityFinding:
    hits: dict[str, int] = {}
    kinds: set[str] = set()
    for name in sides.texts:
        cells = sides.released[name].drop_nulls().rename("cell").value_counts(name="rows")
        if cells.is_empty():
            continue
        marked = pl.Series([False] * cells.height)
        for kind, form in _INSIDE.items():
            now = cells["cell"].str.contains(form)
            kinds |= {kind} if now.any() else set()
            marked = marked | now
        for pattern in PATTERNS:
            if pattern.kind in _WHOLE:
                now = _fits(cells["cell"], pattern)
                kinds |= {pattern.kind} if now.any() else set()
                marked = marked | now
        now = _fits(cells["cell"], _SPANISH)
        kinds |= {_SPANISH.kind} if now.any() else set()
        rows = int(cells.filter(marked | now)["rows"].sum())
        if rows:
            hits[name] = rows
    if not hits:
        return passed("SF103", "cells")
    return failed(
        "SF103",
        list(hits),
        sum(hits.values()),
        "cells",
        f"Cells hold what looks like {', '.join(sorted(kinds))}.",
    )


def _fits(cells: pl.Series, pattern: Pattern) -> pl.Series:
    fitting = cells.str.strip_chars().str.contains(pattern.form)
    check = pattern.check
    if check is None or not fitting.any():
        return fitting
    right = [check(text.strip()) for text in cells.filter(fitting)]
    places = fitting.arg_true().filter(pl.Series(right, dtype=pl.Boolean))
    return pl.Series(range(len(cells)), dtype=pl.UInt32).is_in(places.implode())


def _dni(text: str) -> bool:
    """Return whether the letter of a Spanish national number is right (modulo 23)."""
    return text[-1].upper() == _DNI[int(text[:8]) % len(_DNI)]


_SPANISH = Pattern("national numbers", "identifier", "G", r"^\d{8}-?[A-Za-z]$", _dni)


def _repeated_identifiers(sides: Sides) -> IntegrityFinding:
    if sides.real is None or not sides.identifiers:
        return not_applicable("SF104", "There are no real identifiers to look for.")
    hits: dict[str, int] = {}
    sought = [
        _telling(sides.real[name]) for name in sides.identifiers if name in sides.real.columns
    ]
    known = pl.concat(sought).unique() if sought else pl.Series([], dtype=pl.String)
    if known.is_empty():
        return not_applicable(
            "SF104", "The real identifiers are too short to be told from other values."
        )
    inside = known.filter(known.str.len_chars() >= _TELLING_DIGITS).str.to_lowercase()
    for name in sides.columns:
        column = sides.released[name].drop_nulls()
        texts = column.cast(pl.String, strict=False).str.strip_chars()
        found = texts.is_in(known.implode())
        if column.dtype == pl.String and len(inside) and len(texts) <= _MOST_TEXTS:
            long = texts.str.len_chars() > _TELLING_DIGITS
            found = found | (long & texts.str.to_lowercase().str.contains_any(inside.implode()))
        rows = int(found.sum())
        if rows:
            hits[name] = rows
    if not hits:
        return passed("SF104", "cells")
    meaning = "Values of the real table's identifiers stand in other columns."
    return failed("SF104", list(hits), sum(hits.values()), "cells", meaning)


def _telling(column: pl.Series) -> pl.Series:
    """Return the values that can hardly be anything else: long texts, long numbers."""
    texts = column.drop_nulls().cast(pl.String, strict=False).str.strip_chars().rename("value")
    only_digits = texts.str.contains(r"^\d*$")
    length = texts.str.len_chars()
    return texts.filter(
        (only_digits & (length >= _TELLING_DIGITS)) | (~only_digits & (length >= _TELLING_TEXT))
    )


def _free_text(sides: Sides) -> IntegrityFinding:
    found = []
    for name in sides.texts:
        distinct = sides.values(name).unique()
        if len(distinct) < max(20, sides.released.height // 5):
            continue
        words = distinct.str.count_matches(r"\S+").mean()
        if isinstance(words, float) and words >= _FREE_TEXT_WORDS:
            found.append(name)
    if not found:
        return passed("SF105", "columns")
    meaning = "Hardly a text of these columns is written twice, and they are sentences."
    return failed("SF105", found, len(found), "columns", meaning)


def names_with_data(sides: Sides) -> tuple[str, ...]:
    """Return the released columns whose names hold a number, an address or a name of a person."""
    found = {name for name in sides.released.columns if _NUMBER_IN_NAME.search(name)}
    if sides.real is not None:
        known: set[str] = set()
        for name in sides.identifiers:
            if name in sides.real.columns:
                known |= {plain_words(text) for text in _telling(sides.real[name]).unique()}
        known.discard("")
        if known:
            source = set(sides.real.columns)
            new = [name for name in sides.released.columns if name not in source]
            found |= {name for name in new if _holds(plain_words(name), known)}
    return tuple(name for name in sides.released.columns if name in found)


def _names_with_data(sides: Sides) -> IntegrityFinding:
    found = names_with_data(sides)
    if not found:
        return passed("SF119", "columns")
    meaning = "The names of these columns hold a number, an address or a name of a person."
    return failed("SF119", found, len(found), "columns", meaning)


def _holds(words: str, known: set[str]) -> bool:
    parts = words.split()
    return any(
        " ".join(parts[start:stop]) in known
        for start in range(len(parts))
        for stop in range(start + 1, min(start + 5, len(parts)) + 1)
    )
