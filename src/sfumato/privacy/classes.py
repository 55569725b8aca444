"""Equivalence classes: the rows that their quasi-identifiers cannot tell apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import polars as pl

from sfumato.errors import SchemaError, did_you_mean

__all__ = ["EquivalenceClasses", "ValueCounts"]

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ValueCounts:
    """How often each value of a sensitive column occurs in each class; absent pairs are left out.

    Parameters
    ----------
    classes, values, counts
        Arrays of one length: class id, value id, and how many rows (or persons) of that class hold
        that value (at least 1). Sorted by class, then value.
    labels
        The distinct values by value id, in order of first appearance; a null is a value.
    n_classes
        Number of classes, also those that hold no value.
    """

    classes: Integers
    values: Integers
    counts: Integers
    labels: pl.Series
    n_classes: int

    def dense(self) -> Integers:
        """Return the counts as an array of shape (n_classes, n_values)."""
        table = np.zeros((self.n_classes, len(self.labels)), dtype=np.int64)
        table[self.classes, self.values] = self.counts
        return table


@dataclass(frozen=True, eq=False)
class EquivalenceClasses:
    """Rows grouped by equal quasi-identifiers.

    A missing value is a value of its own: two rows that both lack an age are equal there, and a
    lone row that lacks one is a class of one. Row labels of a data frame play no part.

    Parameters
    ----------
    of_row
        Class id of each row, shape (n_rows,); ids count from 0 in order of first appearance.
    sizes
        Size of each class, shape (n_classes,): its rows, or its distinct persons if
        ``counts_persons``.
    counts_persons
        Whether a class's size is its number of distinct persons.
    columns
        The quasi-identifiers that define the classes.

    Notes
    -----
    L. Sweeney, "k-anonymity: a model for protecting privacy", IJUFKS 10(5), 2002, section 3.

    Examples
    --------
    >>> table = pl.DataFrame({"age": [30, 30, None, None, 41]})
    >>> EquivalenceClasses.of(table, ["age"]).sizes
    array([2, 2, 1])
    """

    of_row: Integers
    sizes: Integers
    counts_persons: bool = False
    columns: tuple[str, ...] = ()
    _sensitive: dict[str, pl.Series] = field(default_factory=dict, repr=False)
    _person_of_row: Integers | None = field(default=None, repr=False)

    @classmethod
    def of(
        cls,
        table: Any,
        columns: Sequence[str],
        *,
        sensitive: Sequence[str] = (),
        person: str | None = None,
    ) -> Self:
        """Group the rows of a table by equal values in ``columns``.

        Parameters
        ----------
        table
            A data frame of any kind that sfumato takes; Polars is used as it is.
        columns
            The quasi-identifiers. With none of them, all rows are one class.
        sensitive
            Columns whose values :meth:`sensitive_counts` will be asked for.
        person
            The column that says whose row it is; a class's size is then its number of distinct
            persons. Rows without a person count together as one person, so that a missing id never
            makes a class look larger.

        Raises
        ------
        SchemaError
            If a named column is absent.
        """
        frame = _polars(table)
        named = [*columns, *sensitive, *([person] if person is not None else [])]
        for name in named:
            if name not in frame.columns:
                hint = did_you_mean(name, frame.columns)
                raise SchemaError(f"no column {name!r} in the table.{hint}")
        of_row, n_classes = _numbered(frame, columns)
        persons = None if person is None else _numbered(frame, [person])[0]
        if persons is None:
            sizes = np.bincount(of_row, minlength=n_classes).astype(np.int64)
        else:
            pairs = _distinct(of_row, persons)
            sizes = np.bincount(pairs[0], minlength=n_classes).astype(np.int64)
        kept = {name: frame[name] for name in sensitive}
        return cls(of_row, sizes, persons is not None, tuple(columns), kept, persons)

    @classmethod
    def from_counts(
        cls, sizes: npt.ArrayLike, of_row: npt.ArrayLike | None = None, *, persons: bool = False
    ) -> Self:
        """Return classes whose sizes are already counted, as from distinct coded tuples.

        Parameters
        ----------
        sizes
            Size of each class, shape (n_classes,), each at least 1.
        of_row
            Class id of each row, shape (n_rows,); left out where no row needs to be told.
        persons
            Whether the sizes count distinct persons.
        """
        rows = np.empty(0, dtype=np.int64) if of_row is None else np.asarray(of_row, np.int64)
        return cls(rows, np.asarray(sizes, dtype=np.int64), persons)

    def __len__(self) -> int:
        return len(self.sizes)

    @cached_property
    def smallest(self) -> int:
        """The size of the smallest class; 0 if there is no row."""
        return int(self.sizes.min()) if len(self.sizes) else 0

    def size_of_row(self) -> Integers:
        """Return the size of each row's class, shape (n_rows,)."""
        sizes: Integers = self.sizes[self.of_row]
        return sizes

    def sensitive_values(self, column: str) -> ValueCounts:
        """Return how often each value of a sensitive column occurs in each class, sparsely.

        Where persons are counted, a person who has the value in several rows of a class counts
        once.

        Raises
        ------
        SchemaError
            If the column was not among the ``sensitive`` columns.
        """
        if column not in self._sensitive:
            known = ", ".join(self._sensitive) or "none"
            raise SchemaError(f"column {column!r} was not named as sensitive here; named: {known}")
        series = self._sensitive[column]
        values, n_values = _numbered(series.to_frame(), [column])
        classes, of_pair = self.of_row, values
        if self._person_of_row is not None:
            classes, of_pair, _ = _distinct(classes, values, self._person_of_row)
        keys, counts = np.unique(classes * max(n_values, 1) + of_pair, return_counts=True)
        labels = series.unique(maintain_order=True)
        classes, of_pair = np.divmod(keys, max(n_values, 1))
        return ValueCounts(classes, of_pair, counts.astype(np.int64), labels, len(self))

    def sensitive_counts(self, column: str) -> Integers:
        """Return the counts of :meth:`sensitive_values` as an array (n_classes, n_values)."""
        return self.sensitive_values(column).dense()


def _polars(table: Any) -> pl.DataFrame:
    if isinstance(table, pl.DataFrame):
        return table
    from sfumato.table import take

    frame: pl.DataFrame = take(table)[0]
    return frame


def _numbered(frame: pl.DataFrame, columns: Sequence[str]) -> tuple[Integers, int]:
    """Return each row's group id in order of first appearance, and the number of groups."""
    if not columns:
        return np.zeros(frame.height, dtype=np.int64), min(frame.height, 1)
    keys = [pl.col(name).alias(f"key {number}") for number, name in enumerate(columns)]
    groups = (
        frame.select(keys)
        .with_row_index("row")
        .group_by(pl.all().exclude("row"), maintain_order=True)
        .agg("row")
        .get_column("row")
    )
    sizes = groups.list.len().to_numpy()
    of_row = np.empty(frame.height, dtype=np.int64)
    of_row[groups.explode().to_numpy()] = np.repeat(np.arange(len(sizes)), sizes)
    return of_row, len(sizes)


def _distinct(*ids: Integers) -> tuple[Integers, ...]:
    """Return the distinct combinations of ids, one array for each of the arguments."""
    table = pl.DataFrame({str(number): array for number, array in enumerate(ids)}).unique()
    return tuple(table[name].to_numpy() for name in table.columns)
