"""The hierarchy of a column that has none: the value itself, then ``*``."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from sfumato.table.hierarchies.keys import texts_of

__all__ = ["Flat"]


@dataclass(frozen=True)
class Flat:
    """The climber that knows no group between a value and ``*``."""

    @property
    def height(self) -> int:
        """Levels above the leaf, the top included."""
        return 1

    @property
    def leaves(self) -> None:
        """None: any value is held."""
        return None

    def climb(self, values: pl.Series) -> tuple[pl.Series, ...]:
        """Return the text of each value."""
        return (texts_of(values),)

    def describe(self) -> str:
        """Return the hierarchy in words."""
        return "the exact value, no group above it"

    def examples(self) -> pl.Series:
        """Return invented values."""
        return pl.Series(["a value", "another value"])

    def mend(self) -> str:
        """Return what to do about a value that is not held."""
        return "give the column a type that can be written as text"
