"""A released table beside the real one, as the checks of its integrity see them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import polars as pl

from sfumato.table import SUPPRESSED, Schema

__all__ = ["Sides"]

_MOSTLY = 0.5


@dataclass(frozen=True, eq=False)
class Sides:
    """What is checked and what it is compared with.

    Parameters
    ----------
    released
        The released rows, at least one column.
    real
        Real rows of the same people, or None.
    schema
        Schema of the real rows, or None.
    seed
        Of draws of orders.
    synthetic
        Whether the released rows are invented, so that a class of them holds no people.
    """

    released: pl.DataFrame
    real: pl.DataFrame | None
    schema: Schema | None
    seed: int = 0
    synthetic: bool = False

    @cached_property
    def identifiers(self) -> tuple[str, ...]:
        """Columns that the schema says name a person."""
        if self.schema is None:
            return ()
        person = () if self.schema.person is None else (self.schema.person,)
        return tuple(dict.fromkeys((*self.schema.identifiers, *person)))

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The released columns that are no identifiers of the schema."""
        return tuple(name for name in self.released.columns if name not in self.identifiers)

    @cached_property
    def shared(self) -> tuple[str, ...]:
        """Those of them that the real table has too."""
        if self.real is None:
            return ()
        return tuple(name for name in self.columns if name in self.real.columns)

    @cached_property
    def alike(self) -> tuple[str, ...]:
        """Shared columns that are written as in the source: not generalized, of the same kind."""
        return tuple(name for name in self.shared if self._is_alike(name))

    @cached_property
    def numbers(self) -> tuple[str, ...]:
        """Shared columns of numbers on both sides."""
        real = self.real
        if real is None:
            return ()
        return tuple(
            name
            for name in self.shared
            if self.released[name].dtype.is_numeric() and real[name].dtype.is_numeric()
        )

    @cached_property
    def texts(self) -> tuple[str, ...]:
        """Released columns of texts."""
        return tuple(name for name in self.columns if self.released[name].dtype == pl.String)

    def values(self, name: str, *, real: bool = False) -> pl.Series:
        """Return the cells of a column that are neither missing nor suppressed."""
        table = self.real if real and self.real is not None else self.released
        filled = table[name].drop_nulls()
        return filled.filter(filled != SUPPRESSED) if filled.dtype == pl.String else filled

    def _is_alike(self, name: str) -> bool:
        if name in self.numbers:
            return True
        mine, theirs = self.values(name), self.values(name, real=True)
        if mine.dtype != theirs.dtype:
            return False
        if mine.dtype != pl.String:
            return True
        distinct = mine.unique()
        if distinct.is_empty():
            return False
        return float(distinct.is_in(theirs.unique().implode()).mean()) >= _MOSTLY  # type: ignore[arg-type]
