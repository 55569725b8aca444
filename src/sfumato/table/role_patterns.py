"""What the form of a column's values says: e-mail addresses, telephone numbers, codes, dates."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import polars as pl

__all__ = ["Pattern", "embedded_identifier", "pattern_of_values"]

# So many distinct texts are looked at; so great a share of them must have the form.
_SAMPLE = 1_000
_SHARE = 0.9


@dataclass(frozen=True)
class Pattern:
    """A form of text.

    Parameters
    ----------
    kind
        What such texts are, in words.
    role
        The role that this suggests.
    hipaa
        Letter of HIPAA's list, or empty.
    form
        Regular expression that the whole text fits.
    check
        A test of check digits, or None.
    preset
        The hierarchy for such values, or empty.
    """

    kind: str
    role: Literal["identifier", "quasi-identifier", "sensitive"]
    hipaa: str
    form: str
    check: Callable[[str], bool] | None = None
    preset: str = ""


def _iban(text: str) -> bool:
    """Return whether the check digits of an IBAN are right (ISO 13616, modulo 97)."""
    bare = re.sub(r"\s", "", text).upper()
    moved = bare[4:] + bare[:4]
    return int("".join(str(int(mark, 36)) for mark in moved)) % 97 == 1


def _luhn(text: str) -> bool:
    """Return whether the check digit of a card number is right (ISO/IEC 7812-1)."""
    digits = [int(mark) for mark in reversed(re.sub(r"\D", "", text))]
    doubled = [2 * digit - 9 * (digit > 4) for digit in digits[1::2]]
    return (sum(digits[::2]) + sum(doubled)) % 10 == 0


_OCTET = r"(?:25[0-5]|2[0-4]\d|1?\d?\d)"
_DATE = r"(?:\d{4}-\d{1,2}-\d{1,2}|\d{1,2}[./-]\d{1,2}[./-](?:\d{4}|\d{2})|\d{4}/\d{1,2}/\d{1,2})"
_MAIL = r"[^\s@,;<>]+@[^\s@,;<>]+\.[A-Za-z]{2,}"
_SSN = r"\d{3}-\d{2}-\d{4}"

PATTERNS: tuple[Pattern, ...] = (
    Pattern("e-mail addresses", "identifier", "F", rf"^{_MAIL}$"),
    Pattern("web addresses", "identifier", "N", r"^(?:(?:https?|ftp)://|www\.)\S+$"),
    Pattern("IP addresses", "identifier", "O", rf"^{_OCTET}(?:\.{_OCTET}){{3}}$"),
    Pattern("IP addresses", "identifier", "O", r"^(?:[0-9A-Fa-f]{0,4}:){3,7}[0-9A-Fa-f]{1,4}$"),
    Pattern("MAC addresses", "identifier", "M", r"^[0-9A-Fa-f]{2}(?:[:-][0-9A-Fa-f]{2}){5}$"),
    Pattern("social security numbers", "identifier", "G", rf"^{_SSN}$"),
    Pattern("IBANs", "identifier", "J", r"^[A-Z]{2}\d{2}(?: ?[A-Z0-9]){11,30}$", _iban),
    Pattern("card numbers", "identifier", "J", r"^(?:\d[ -]?){12,18}\d$", _luhn),
    Pattern(
        "UUIDs",
        "identifier",
        "R",
        r"^[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}$",
    ),
    Pattern(
        "dates", "quasi-identifier", "C", rf"^{_DATE}(?:[T ]\d{{1,2}}:\d{{2}}.*)?$", None, "date"
    ),
    Pattern(
        "telephone numbers",
        "identifier",
        "D",
        r"^(?:\+\d[\d ()/.-]{6,18}\d|\(?0\d{2,4}\)?[ /-]\d[\d -]{4,}\d"
        r"|\(?\d{3}\)?[ .-]\d{3}[ .-]\d{4})$",
    ),
    Pattern("US ZIP codes", "quasi-identifier", "B", r"^\d{5}-\d{4}$", None, "postcode-us"),
    Pattern(
        "British postcodes",
        "quasi-identifier",
        "B",
        r"^[A-Z]{1,2}\d[A-Z\d]? \d[A-Z]{2}$",
        None,
        "postcode-gb",
    ),
    Pattern(
        "Canadian postcodes",
        "quasi-identifier",
        "B",
        r"^[A-Z]\d[A-Z] \d[A-Z]\d$",
        None,
        "postcode-ca",
    ),
    Pattern("ATC codes", "sensitive", "", r"^[A-DGHJLMNPRSV]\d{2}[A-Z]{2}\d{2}$", None, "atc"),
    Pattern("ICD-10 codes", "sensitive", "", r"^[A-Z]\d[0-9A-Z]\.[0-9A-Z]{1,4}$", None, "icd10"),
    Pattern(
        "record numbers",
        "identifier",
        "H",
        r"^(?i:mrn|pat|pt|p|id|case|fall|rec)[-_ #:]?\d{4,}$",
    ),
)


def pattern_of_values(column: pl.Series) -> Pattern | None:
    """Return the form that at least 90 % of a sample of a text column's values have, or None.

    Parameters
    ----------
    column
        Texts; of another type nothing is said.
    """
    if column.dtype != pl.String:
        return None
    sample = _sample(column).str.strip_chars()
    if sample.is_empty():
        return None
    for pattern in PATTERNS:
        fitting = sample.filter(sample.str.contains(pattern.form))
        if pattern.check is not None:
            right = pl.Series([pattern.check(text) for text in fitting], dtype=pl.Boolean)
            fitting = fitting.filter(right)
        if len(fitting) >= _SHARE * len(sample):
            return pattern
    return None


def embedded_identifier(column: pl.Series) -> str | None:
    """Return what identifies a person inside longer texts: an e-mail address, a number; or None."""
    if column.dtype != pl.String:
        return None
    sample = _sample(column)
    for kind, form in (("an e-mail address", _MAIL), ("a social security number", rf"\b{_SSN}\b")):
        if sample.str.contains(form).any():
            return kind
    return None


def _sample(column: pl.Series) -> pl.Series:
    """Return up to 1,000 distinct texts from all over the column, always the same ones."""
    filled = column.drop_nulls()
    step = max(1, len(filled) // (10 * _SAMPLE))
    return filled.gather_every(step).unique(maintain_order=True).head(_SAMPLE)
