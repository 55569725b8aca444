"""A table as small integers, and its distinct tuples counted once.

Each column is coded by its :class:`~sfumato.table.hierarchies.ladder.Ladder`; a row of codes packs
into one 64-bit key (mixed radix), equal keys are counted once, and everything above works on the
distinct tuples with their counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from sfumato.errors import SchemaError, did_you_mean
from sfumato.table.counting import count_tuples
from sfumato.table.hierarchies.hierarchy import Hierarchy
from sfumato.table.hierarchies.ladder import Ladder
from sfumato.table.schema import Schema

__all__ = ["CodedTable", "Tuples", "encode"]


@dataclass(frozen=True, eq=False)
class Tuples:
    """The distinct tuples of coded columns.

    Parameters
    ----------
    codes
        Shape (m, q), the m distinct tuples in rising order (first column first), in the smallest
        unsigned type that holds every code.
    counts
        Shape (m,), how many rows hold each.
    inverse
        Shape (n,), the tuple of each row, or None if it was not asked for.
    """

    codes: npt.NDArray[Any]
    counts: npt.NDArray[np.int64]
    inverse: npt.NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.counts)


@dataclass(frozen=True, eq=False)
class CodedTable:
    """Columns as leaf numbers of their ladders.

    Parameters
    ----------
    columns
        Names (q).
    ladders
        For each column its leaves and groups.
    codes
        For each column an array of shape (n_rows,) of the smallest unsigned type; a missing cell
        is the last leaf.
    n_rows
        Rows.
    """

    columns: tuple[str, ...]
    ladders: tuple[Ladder, ...]
    codes: tuple[npt.NDArray[Any], ...]
    n_rows: int

    def tuples(self, *, inverse: bool = False) -> Tuples:
        """Count the distinct tuples.

        Parameters
        ----------
        inverse
            Whether to return which tuple each row holds (8 bytes a row).
        """
        radices = [ladder.n_leaves for ladder in self.ladders]
        return Tuples(*count_tuples(self.codes, radices, self.n_rows, inverse=inverse))

    def generalize(self, levels: Sequence[int]) -> pl.DataFrame:
        """Return the columns as labels, each at its level; missing stays missing below ``*``.

        Parameters
        ----------
        levels
            For each column (q) a level from 0 to the height of its ladder.
        """
        parts = zip(self.ladders, self.codes, levels, strict=True)
        return pl.DataFrame([ladder.decode(codes, level) for ladder, codes, level in parts])


def encode(
    table: pl.DataFrame,
    columns: Schema | Sequence[str],
    hierarchies: Mapping[str, Hierarchy | None] | None = None,
) -> CodedTable:
    """Return columns of a table as leaf numbers.

    Parameters
    ----------
    table
        The rows.
    columns
        A schema, whose quasi-identifiers are coded by their hierarchies; or names of columns.
    hierarchies
        For names: the hierarchy of each column. A column without one has its distinct values as
        leaves and nothing between them and ``*``.

    Raises
    ------
    SchemaError
        If a column is absent.
    HierarchyError
        If a row holds a value that its column's hierarchy does not hold.
    """
    if isinstance(columns, Schema):
        names: tuple[str, ...] = columns.quasi_identifiers
        hierarchies = {**columns.hierarchies, **(hierarchies or {})}
    else:
        names = tuple(columns)
        hierarchies = hierarchies or {}
    for name in names:
        if name not in table.columns:
            raise SchemaError(
                f"the table has no column {name!r}.{did_you_mean(name, table.columns)}"
            )
    coded = []
    for name in names:
        column = table[name]
        ladder = (hierarchies.get(name) or Hierarchy.flat()).ladder(column)
        coded.append((ladder, ladder.codes(column)))
    ladders = tuple(ladder for ladder, _ in coded)
    return CodedTable(names, ladders, tuple(codes for _, codes in coded), table.height)
