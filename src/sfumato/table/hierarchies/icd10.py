"""The hierarchy of ICD-10 codes: code, category, block, chapter.

Chapters and blocks are those of the World Health Organization's edition of 2019 (ICD-10 Version:
2019, volume 1, tabular list). Categories that only national modifications have (ICD-10-CM such as
C4A, ICD-10-GM such as U80) are placed in the block beside which they stand; a category of no block
is not held.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import polars as pl

from sfumato.table.hierarchies.keys import texts_of

__all__ = ["ICD10_EDITION", "Icd10", "icd10_categories"]

ICD10_EDITION = "ICD-10, WHO edition of 2019"

_CHAPTERS = {
    "I": "A00-B99",
    "II": "C00-D48",
    "III": "D50-D89",
    "IV": "E00-E90",
    "V": "F00-F99",
    "VI": "G00-G99",
    "VII": "H00-H59",
    "VIII": "H60-H95",
    "IX": "I00-I99",
    "X": "J00-J99",
    "XI": "K00-K93",
    "XII": "L00-L99",
    "XIII": "M00-M99",
    "XIV": "N00-N99",
    "XV": "O00-O99",
    "XVI": "P00-P96",
    "XVII": "Q00-Q99",
    "XVIII": "R00-R99",
    "XIX": "S00-T98",
    "XX": "V01-Y98",
    "XXI": "Z00-Z99",
    "XXII": "U00-U85",
}
_FORM = r"^([A-Z]\d[0-9A-Z])(?:\.?[0-9A-Z]{0,4}-?)?[+*#!†]?$"


@dataclass(frozen=True)
class Icd10:
    """The climber of ICD-10 codes, with or without the dot: I21.4, I214, I21."""

    @property
    def height(self) -> int:
        """Levels above the leaf, the top included."""
        return 4

    @property
    def leaves(self) -> None:
        """None: any code of a known category is held."""
        return None

    def climb(self, values: pl.Series) -> tuple[pl.Series, ...]:
        """Return the code, its category, block and chapter."""
        table = icd10_categories()
        texts = texts_of(values)
        category = texts.str.strip_chars().str.to_uppercase().str.extract(_FORM)
        frame = (
            pl.DataFrame({"text": texts, "category": category})
            .join(table, on="category", how="left", maintain_order="left")
            .select(
                pl.when(pl.col("chapter").is_not_null()).then(pl.col("text", "category")),
                "block",
                "chapter",
            )
        )
        return tuple(frame.get_columns())

    def describe(self) -> str:
        """Return the hierarchy in words."""
        return f"{ICD10_EDITION}: code, category (I21), block (I20-I25), chapter (I00-I99), *"

    def examples(self) -> pl.Series:
        """Return some codes."""
        return pl.Series(["E11.9", "I21.0", "I21.4", "I50.9", "J45.0", "Z38.0"])

    def mend(self) -> str:
        """Return what to do about a value that is not held."""
        return f"a code must be one of {ICD10_EDITION}, such as I21.4 or I214: mend the cells"


@cache
def icd10_categories() -> pl.DataFrame:
    """Return every category that is held with its block and chapter, and the block's title."""
    file = files("sfumato.table.hierarchies.presets").joinpath("icd10_who_2019.csv")
    rows = []
    for chapter, block, also, title in csv.reader(
        file.read_text("utf-8").splitlines(), delimiter=";"
    ):
        first, last = (_ordinal(end) for end in block.split("-"))
        categories = [_category(number) for number in range(first, last + 1)]
        rows += [
            (category, block, _CHAPTERS[chapter], title)
            for category in (*categories, *also.split())
        ]
    return pl.DataFrame(rows, schema=["category", "block", "chapter", "title"], orient="row")


def _ordinal(category: str) -> int:
    return (ord(category[0]) - ord("A")) * 100 + int(category[1:])


def _category(ordinal: int) -> str:
    letter, number = divmod(ordinal, 100)
    return f"{chr(ord('A') + letter)}{number:02}"
