"""People who do not exist, before and after a recoding: shown instead of a patient.

Each cell is drawn by itself, from coarse values that many people share; whoever would have a real
person's quasi-identifiers is left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import polars as pl

from sfumato.errors import HierarchyError
from sfumato.release.making import Made
from sfumato.table import SUPPRESSED, Role

if TYPE_CHECKING:
    from sfumato.anonymization.recoding import Recoding
    from sfumato.table import Column, Schema

__all__ = ["InventedPeople", "invent"]

_SHARES = (0.1, 0.25, 0.5, 0.75, 0.9)
_COMMON = 20  # a value is drawn only if so many rows share it
_CANDIDATES = 24


@dataclass(frozen=True)
class InventedPeople:
    """Invented rows, as texts.

    Parameters
    ----------
    columns_before, before
        Names of the source's columns and one tuple of texts per invented person; "" is missing.
    columns_after, after
        The same people as the release would show them.
    """

    columns_before: tuple[str, ...]
    before: tuple[tuple[str, ...], ...]
    columns_after: tuple[str, ...]
    after: tuple[tuple[str, ...], ...]

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Return the people that ``dataclasses.asdict`` described."""
        return cls(
            tuple(values["columns_before"]),
            tuple(tuple(row) for row in values["before"]),
            tuple(values["columns_after"]),
            tuple(tuple(row) for row in values["after"]),
        )


def invent(
    table: pl.DataFrame,
    schema: Schema,
    recodings: Sequence[Recoding],
    columns: Sequence[str],
    *,
    people: int = 3,
    seed: int = 0,
) -> InventedPeople | None:
    """Invent people and recode them.

    Parameters
    ----------
    table
        The real rows, whose coarse values are drawn from and whose quasi-identifiers are avoided.
    schema
        Their schema.
    recodings
        The fitted recodings on the way to the release, in order.
    columns
        The release's columns, in its order.
    people
        How many to invent.
    seed
        Of the draw.

    Returns
    -------
    InventedPeople or None
        None if nobody can be invented whose quasi-identifiers are not those of a real person, as
        where there are so few that every combination occurs.
    """
    generator = np.random.Generator(np.random.PCG64(seed))
    drawn = pl.DataFrame(
        [_drawn(table[name], schema.columns[name], generator) for name in table.columns]
    )
    known = [name for name in schema.quasi_identifiers if name in table.columns]
    if known:
        drawn = drawn.join(table.select(known).unique(), on=known, how="anti", nulls_equal=True)
        drawn = drawn.unique(known, maintain_order=True)
    shown: list[tuple[int, pl.DataFrame, pl.DataFrame]] = []
    for person in drawn.iter_slices(1):
        after = _recoded(person, schema, recodings)
        if after is not None:
            stars = sum(value == SUPPRESSED for value in after.row(0))
            shown.append((stars, person, after.select(columns)))
    if not shown:
        return None
    # Who is in a group tells more about the recoding than a row of stars.
    shown = sorted(shown, key=lambda one: one[0])[:people]
    return InventedPeople(
        tuple(drawn.columns),
        tuple(_texts(person) for _, person, _ in shown),
        tuple(shown[0][2].columns),
        tuple(_texts(after) for _, _, after in shown),
    )


def _recoded(
    person: pl.DataFrame, schema: Schema, recodings: Sequence[Recoding]
) -> pl.DataFrame | None:
    """Return an invented person as the release shows her, or None if it leaves her out."""
    rows = after = person
    for recoding in recodings:
        if not recoding.kept_rows(rows).any():
            return None
        made = Made.of(recoding, rows, schema)
        after = made.data
        rows, schema = made.onward()
    return after


def _drawn(values: pl.Series, column: Column, generator: np.random.Generator) -> pl.Series:
    if column.role == Role.IDENTIFIER:
        numbers = [900_001 + person for person in range(_CANDIDATES)]
        texts = [f"invented-{person + 1}" for person in range(_CANDIDATES)]
        drawn: list[object] = list(numbers if values.dtype.is_integer() else texts)
        if values.dtype.is_integer() or values.dtype == pl.String:
            return pl.Series(values.name, drawn).cast(values.dtype, strict=False)
        return pl.Series(values.name, [None] * _CANDIDATES, dtype=values.dtype)
    pool = _coarse(values, column)
    if pool.is_empty():
        return pl.Series(values.name, [None] * _CANDIDATES, dtype=values.dtype)
    return pool.gather(generator.integers(pool.len(), size=_CANDIDATES)).alias(values.name)


def _coarse(values: pl.Series, column: Column) -> pl.Series:
    """Return values that tell of nobody: common ones, or quantiles rounded to two digits."""
    present = values.drop_nulls()
    if present.is_empty():
        return present
    if values.dtype.is_numeric() and present.n_unique() > _COMMON:
        wanted = pl.Series([present.quantile(share) for share in _SHARES]).round_sig_figs(2)
        pool = wanted.cast(values.dtype, strict=False).drop_nulls().unique(maintain_order=True)
        if _known(pool, column):
            return pool
    if values.dtype.is_temporal() and values.dtype != pl.Time and values.dtype != pl.Duration:
        pool = present.sort().gather([int(share * (present.len() - 1)) for share in _SHARES])
        return pool.dt.truncate("1mo").unique(maintain_order=True)
    counts = present.value_counts(name="rows").filter(pl.col("rows") >= _COMMON)
    return counts[values.name].sort()


def _known(pool: pl.Series, column: Column) -> bool:
    if column.hierarchy is None:
        return True
    try:
        column.hierarchy.generalize(pool, column.hierarchy.height)
    except HierarchyError:
        return False
    return True


def _texts(person: pl.DataFrame) -> tuple[str, ...]:
    return tuple("" if value is None else str(value) for value in person.row(0))
