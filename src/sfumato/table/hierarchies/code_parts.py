"""Hierarchies of codes that are read from the left: prefixes, postcodes, ATC.

References
----------
ATC: WHO Collaborating Centre for Drug Statistics Methodology, "ATC: Structure and principles":
anatomical main group (1 character), therapeutic (3), pharmacological (4), chemical subgroup (5),
substance (7). HIPAA: 45 CFR 164.514(b)(2)(i)(B): the first three digits of a ZIP code may stay
where the area holds more than 20,000 people.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import polars as pl

from sfumato.errors import HierarchyError, did_you_mean
from sfumato.table.hierarchies.keys import texts_of

__all__ = ["POSTCODE_SYSTEMS", "CodeParts", "Part", "atc_parts", "postcode_parts", "prefix_parts"]


@dataclass(frozen=True)
class Part:
    """What stays of a code at one level.

    Parameters
    ----------
    pattern
        Regular expression whose first group is what stays.
    mask
        Text put after it, such as "**".
    """

    pattern: str
    mask: str = ""


@dataclass(frozen=True)
class CodeParts:
    """The climber of codes of which less and less is kept.

    Parameters
    ----------
    name
        What the codes are, in words.
    parts
        What stays at each level, from much to little.
    whole
        Regular expression that a code must match.
    form
        The same in words, for a message.
    digits
        Width to which the codes of a column of numbers are filled up with zeros from the left, or
        0 for none.
    tidy
        Whether letter case and blanks around and within the code are evened out first.
    sample
        Codes for a preview.
    """

    name: str
    parts: tuple[Part, ...]
    whole: str
    form: str
    sample: tuple[str, ...]
    digits: int = 0
    tidy: bool = False

    @property
    def height(self) -> int:
        """Levels above the leaf, the top included."""
        return len(self.parts) + 1

    @property
    def leaves(self) -> None:
        """None: any code of the form is held."""
        return None

    def climb(self, values: pl.Series) -> tuple[pl.Series, ...]:
        """Return the label of each value at levels 0 to ``height - 1``."""
        texts = texts_of(values)
        code = pl.col("text")
        if self.digits and values.dtype.is_numeric():
            code = code.str.strip_suffix(".0").str.zfill(self.digits)
        if self.tidy:
            code = code.str.strip_chars().str.to_uppercase().str.replace_all(r"\s+", " ")
        held = code.str.contains(self.whole)
        kept = [
            pl.when(held).then(code.str.extract(part.pattern) + part.mask).alias(f"{level}")
            for level, part in enumerate(self.parts, start=1)
        ]
        frame = pl.DataFrame({"text": texts}).select(
            pl.when(held).then(pl.col("text")).alias("0"), *kept
        )
        return tuple(frame.get_columns())

    def describe(self) -> str:
        """Return the hierarchy in words."""
        climbed = self.climb(self.examples().head(1))
        return (
            f"{self.name}, such as " + " -> ".join(str(labels[0]) for labels in climbed) + " -> *"
        )

    def examples(self) -> pl.Series:
        """Return invented codes."""
        return pl.Series(self.sample, dtype=pl.String)

    def mend(self) -> str:
        """Return what to do about a value that is not held."""
        return f"a code must be {self.form}: mend the cells, or call their text missing"


def prefix_parts(lengths: Sequence[int]) -> CodeParts:
    """Return the climber that keeps the first characters, then fewer.

    Parameters
    ----------
    lengths
        Characters kept at each level, falling, at least 1.

    Raises
    ------
    HierarchyError
        If the lengths do not fall, or one is below 1.
    """
    if not lengths or min(lengths) < 1 or any(a <= b for a, b in pairwise(lengths)):
        raise HierarchyError(
            f"prefix: the lengths {list(lengths)} must fall and be at least 1, such as [3, 1]"
        )
    parts = tuple(Part(rf"(?s)^(.{{1,{length}}})", "*") for length in lengths)
    kept = ", then ".join(str(length) for length in lengths)
    return CodeParts(
        f"the first {kept} characters", parts, r"(?s).", "a text", ("AB1234", "AB2345", "CD3456")
    )


def atc_parts() -> CodeParts:
    """Return the climber of ATC codes: 7 characters, then 5, 4, 3, 1."""
    letters = "[ABCDGHJLMNPRSV]"
    # a code of a higher level (A10B) is its own group at the levels that it does not reach
    parts = tuple(Part(rf"^(.{{1,{length}}})") for length in (5, 4, 3, 1))
    return CodeParts(
        "ATC codes by level",
        parts,
        rf"^{letters}(?:[0-9]{{2}}(?:[A-Z](?:[A-Z](?:[0-9]{{2}})?)?)?)?$",
        "an ATC code such as A10BA02",
        ("A10BA02", "A10BB01", "C07AB02", "N02BE01"),
        tidy=True,
    )


def _digits(count: int, *kept: int) -> tuple[Part, ...]:
    return tuple(Part(rf"^(\d{{{length}}})", "*" * (count - length)) for length in kept)


def _five(name: str, *kept: int, sample: tuple[str, ...]) -> CodeParts:
    form = "five digits (as text: a column of numbers is filled up with zeros)"
    return CodeParts(name, _digits(5, *kept), r"^\d{5}$", form, sample, digits=5, tidy=True)


POSTCODE_SYSTEMS: dict[str, CodeParts] = {
    "US": CodeParts(
        "US ZIP codes: five digits, the first three, the first",
        (Part(r"^(\d{5})"), *_digits(5, 3, 1)),
        r"^\d{5}(?:-\d{4})?$",
        "a ZIP code of 5 digits, or of 5 and 4 (a column of numbers is filled up with zeros)",
        ("02139", "02139-4307", "10001", "94103"),
        digits=5,
        tidy=True,
    ),
    "DE": _five("German postcodes", 3, 2, 1, sample=("10115", "10243", "80331")),
    "FR": _five("French postcodes: the department", 2, sample=("75001", "69001")),
    "ES": _five("Spanish postcodes: the province", 3, 2, sample=("28001", "08001")),
    "IT": _five("Italian postcodes", 3, 2, 1, sample=("00118", "20121")),
    "AT": CodeParts(
        "Austrian postcodes",
        _digits(4, 2, 1),
        r"^\d{4}$",
        "four digits",
        ("1010", "1090", "8010"),
        digits=4,
        tidy=True,
    ),
    "CH": CodeParts(
        "Swiss postcodes",
        _digits(4, 2, 1),
        r"^\d{4}$",
        "four digits",
        ("3000", "8001", "8048"),
        digits=4,
        tidy=True,
    ),
    "NL": CodeParts(
        "Dutch postcodes",
        (Part(r"^(\d{4})", " **"), Part(r"^(\d{2})", "** **"), Part(r"^(\d)", "*** **")),
        r"^\d{4} ?[A-Z]{2}$",
        "four digits and two letters",
        ("1012 AB", "1017 CD", "3511 EF"),
        tidy=True,
    ),
    "GB": CodeParts(
        "British postcodes: outward code, then area",
        (Part(r"^([A-Z]{1,2}\d[A-Z\d]?) ?\d[A-Z]{2}$"), Part(r"^([A-Z]{1,2})")),
        r"^[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2}$",
        "a full postcode such as SW1A 1AA",
        ("SW1A 1AA", "SW7 2AZ", "M1 1AE"),
        tidy=True,
    ),
    "CA": CodeParts(
        "Canadian postcodes: forward sortation area, then district",
        (Part(r"^([A-Z]\d[A-Z])", " ***"), Part(r"^([A-Z])", "** ***")),
        r"^[A-Z]\d[A-Z] ?\d[A-Z]\d$",
        "a postcode such as K1A 0B1",
        ("K1A 0B1", "K2P 1L4", "M5V 3L9"),
        tidy=True,
    ),
}


def postcode_parts(country: str) -> CodeParts:
    """Return the climber of a country's postcodes.

    Raises
    ------
    HierarchyError
        If the country (ISO 3166, two letters) is not known.
    """
    if country not in POSTCODE_SYSTEMS:
        hint = did_you_mean(country, POSTCODE_SYSTEMS)
        known = ", ".join(POSTCODE_SYSTEMS)
        raise HierarchyError(
            f"postcode: no system {country!r}.{hint} Known: {known}; or use prefix = [3, 1]"
        )
    return POSTCODE_SYSTEMS[country]
