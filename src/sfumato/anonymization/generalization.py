"""Rules that make a column coarser without chance: suppress, generalize, code, round, map."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar, Literal, Self

import numpy as np
import polars as pl
from pydantic import Field, FiniteFloat, field_serializer, field_validator, model_validator

from sfumato.anonymization.recoding import Action
from sfumato.anonymization.rule import Place, Rule
from sfumato.errors import DataError
from sfumato.table import Hierarchy
from sfumato.table.hierarchies.keys import distinct_values, match_keys, replace_values, rows_holding

__all__ = ["Generalize", "Map", "Rename", "Round", "Suppress", "TopBottomCoding"]

Scalar = bool | int | FiniteFloat | str


class Suppress(Rule):
    """The column is not released: ``{ suppress = true }``."""

    keywords: ClassVar[tuple[str, ...]] = ("suppress",)
    action: ClassVar[Action] = "suppressed"

    suppress: Literal[True] = True

    def apply(self, values: pl.Series, place: Place) -> pl.Series:  # noqa: ARG002
        """Return the values; the column is left out by whoever applies the rules."""
        return values

    def describe(self, place: Place) -> str:  # noqa: ARG002
        """Return what is done."""
        return "left out of the release"

    def to_plain(self) -> dict[str, Any]:
        """Return the rule as a plan would spell it."""
        return {"suppress": True}


class Rename(Rule):
    """The column has another name in the release: ``{ rename = "Region" }``."""

    keywords: ClassVar[tuple[str, ...]] = ("rename only",)
    action: ClassVar[Action] = "kept"

    rename: str = Field(min_length=1)

    def apply(self, values: pl.Series, place: Place) -> pl.Series:  # noqa: ARG002
        """Return the values as they are."""
        return values

    def describe(self, place: Place) -> str:  # noqa: ARG002
        """Return what is done."""
        return "released as it is, under another name"


class Generalize(Rule):
    """Each value becomes its group: ``{ generalize = 1 }``.

    Parameters
    ----------
    generalize
        Level of the hierarchy: 1 is the groups just above the values, the hierarchy's height is
        ``*``.
    hierarchy
        A hierarchy for this rule, as in a schema file; left out, that of the schema's column.
    """

    keywords: ClassVar[tuple[str, ...]] = ("generalize",)
    action: ClassVar[Action] = "generalized"

    generalize: int = Field(ge=1)
    hierarchy: Any = None

    @field_validator("hierarchy", mode="before")
    @classmethod
    def _hierarchy(cls, value: Any) -> Any:
        return Hierarchy.from_dict(dict(value)) if isinstance(value, Mapping) else value

    @field_serializer("hierarchy")
    def _plain(self, value: Any) -> Any:
        return None if value is None else value.to_dict()

    def fitted(self, values: pl.Series, place: Place) -> Self:  # noqa: ARG002
        """Check that there is a hierarchy, and that it has the level."""
        hierarchy = self._found(place)
        if self.generalize > hierarchy.height:
            raise place.refuse(
                f"generalize = {self.generalize}",
                f"is above the hierarchy's top: its levels are 1 to {hierarchy.height}",
            )
        return self

    def apply(self, values: pl.Series, place: Place) -> pl.Series:
        """Return the label of each value's group, as text."""
        hierarchy = self._found(place)
        labels: pl.Series = hierarchy.generalize(values.alias(place.column), self.generalize)
        return labels

    def describe(self, place: Place) -> str:
        """Return what is done."""
        hierarchy = self._found(place)
        if self.generalize == hierarchy.height:
            return "replaced by '*', the same for everybody"
        return (
            f"replaced by its group at level {self.generalize} of {hierarchy.height} of the "
            f"hierarchy ({hierarchy.describe()})"
        )

    def _found(self, place: Place) -> Any:
        hierarchy = self.hierarchy
        if hierarchy is None:
            hierarchy = place.schema.columns[place.column].hierarchy
        if hierarchy is None:
            raise place.refuse(
                f"generalize = {self.generalize}",
                "needs a hierarchy, and the schema has none for the column: give it one there, or "
                "in the rule as hierarchy = { ... }",
            )
        return hierarchy


class TopBottomCoding(Rule):
    """Extreme numbers become the border: ``{ top = 90, bottom = 18 }``.

    Parameters
    ----------
    top, bottom
        Numbers above ``top`` become ``top``, those below ``bottom`` become ``bottom``; at least
        one of them, in the column's unit.
    """

    keywords: ClassVar[tuple[str, ...]] = ("top", "bottom")
    action: ClassVar[Action] = "generalized"

    top: int | FiniteFloat | None = None
    bottom: int | FiniteFloat | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.top is None and self.bottom is None:
            raise ValueError("top or bottom must be given")
        if self.top is not None and self.bottom is not None and self.bottom >= self.top:
            raise ValueError(f"bottom must be below top (got {self.bottom} and {self.top})")
        return self

    def fitted(self, values: pl.Series, place: Place) -> Self:
        """Check that the column holds numbers, and that the borders are of their kind."""
        place.numbers("top and bottom coding", values)
        for name, border in (("top", self.top), ("bottom", self.bottom)):
            if border is not None and values.dtype.is_integer() and border != int(border):
                raise place.refuse(f"{name} = {border}", "must be whole: the column is")
        return self

    def apply(self, values: pl.Series, place: Place) -> pl.Series:
        """Return the numbers, none beyond a border; whole ones stay whole."""
        place.numbers("top and bottom coding", values)
        # widened, as a narrow type may not hold the border
        wide = values.cast(pl.Int64 if values.dtype.is_integer() else pl.Float64)
        return wide.clip(self.bottom, self.top)

    def describe(self, place: Place) -> str:  # noqa: ARG002
        """Return what is done."""
        top = None if self.top is None else f"numbers above {self.top} replaced by {self.top}"
        bottom = f"numbers below {self.bottom} replaced by {self.bottom}"
        return " and ".join(filter(None, (top, bottom if self.bottom is not None else None)))


class Round(Rule):
    """Each number becomes the nearest multiple: ``{ round = 5 }``; halves go up.

    Parameters
    ----------
    round
        The base, in the column's unit; above 0.
    """

    keywords: ClassVar[tuple[str, ...]] = ("round",)
    action: ClassVar[Action] = "generalized"

    round: int | FiniteFloat = Field(gt=0)

    def fitted(self, values: pl.Series, place: Place) -> Self:
        """Check that the column holds numbers, and that the base is of their kind."""
        place.numbers("round", values)
        if values.dtype.is_integer() and self.round != int(self.round):
            raise place.refuse(f"round = {self.round}", "must be whole: the column is")
        return self

    def apply(self, values: pl.Series, place: Place) -> pl.Series:
        """Return the rounded numbers; whole ones stay whole."""
        place.numbers("round", values)
        if values.dtype.is_integer():
            base = int(self.round)
            rounded = (pl.col(values.name).cast(pl.Int64) + base // 2).floordiv(base) * base
        else:
            # the decimals of the base clear what binary fractions add: 3 * 0.1 is 0.3 here
            exponent = Decimal(str(self.round)).normalize().as_tuple().exponent
            decimals = max(-int(exponent), 0)
            steps = (pl.col(values.name).cast(pl.Float64) / self.round + 0.5).floor()
            rounded = (steps * self.round).round(decimals)
        return values.to_frame().select(rounded).to_series()

    def describe(self, place: Place) -> str:  # noqa: ARG002
        """Return what is done."""
        return f"rounded to multiples of {self.round}"


class Map(Rule):
    """Each value becomes the one that the plan names: ``{ map = { yes = 1, no = 0 } }``.

    Parameters
    ----------
    map
        The new value for each old one. Old values are texts in a plan; a number matches by its
        value, so "80" is the key of 80.0.
    other
        The new value for all others; left out, another value is an error, so that nothing is
        swallowed in silence.
    """

    keywords: ClassVar[tuple[str, ...]] = ("map",)
    action: ClassVar[Action] = "generalized"

    map: dict[str, Scalar] = Field(min_length=1)
    other: Scalar | None = None

    @field_validator("map", mode="before")
    @classmethod
    def _texts(cls, value: Any) -> Any:
        return {str(key): new for key, new in value.items()} if isinstance(value, dict) else value

    def apply(self, values: pl.Series, place: Place) -> pl.Series:
        """Return the new values, as text unless all of them are numbers or all are yes/no."""
        distinct = distinct_values(values)
        found = match_keys(distinct, pl.Series(list(self.map), dtype=pl.String))
        if found.null_count() and self.other is None:
            count, first = rows_holding(values, distinct.filter(found.is_null()))
            raise DataError(
                f"column {place.column!r}: {count} rows (first: row {first}) hold a value that "
                "the map does not name; add it, or say what becomes of all others: other = ..."
            )
        new = self._new()
        # the value for all others stands last
        positions = found.fill_null(len(self.map))
        return replace_values(values, distinct, new.gather(positions), new.dtype)

    def describe(self, place: Place) -> str:  # noqa: ARG002
        """Return what is done."""
        groups = len({*map_values(self)})
        rest = "" if self.other is None else f"; any other value becomes {self.other!r}"
        return f"{len(self.map)} values mapped to {groups}{rest}"

    def _new(self) -> pl.Series:
        new = map_values(self)
        kinds = {type(value) for value in new}
        if kinds == {bool}:
            return pl.Series(new, dtype=pl.Boolean)
        if kinds == {int}:
            return pl.Series(new, dtype=pl.Int64)
        if kinds <= {int, float}:
            return pl.Series(np.array(new, dtype=np.float64))
        return pl.Series([str(value) for value in new], dtype=pl.String)


def map_values(rule: Map) -> list[bool | int | float | str]:
    """Return all new values of a map, the one for all others last."""
    return [*rule.map.values(), *([] if rule.other is None else [rule.other])]
