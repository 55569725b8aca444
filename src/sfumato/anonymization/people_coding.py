"""The people of a table as distinct entries of small integers, each counted once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Self

import numpy as np
import numpy.typing as npt
import polars as pl

from sfumato.anonymization.scales import LossMeasure, Scale, scale_of
from sfumato.errors import PlanError, SchemaError, did_you_mean
from sfumato.privacy import Criterion
from sfumato.table import Schema
from sfumato.table.counting import count_tuples
from sfumato.table.hierarchies.ladder import smallest_unsigned

__all__ = ["CodedPeople", "sensitive_columns"]

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class CodedPeople:
    """Distinct entries: equal quasi-identifiers and, where a criterion asks, sensitive values.

    A person who has several rows counts once, in the entry of the first of them: the weights of a
    group of entries then add up to no more than its distinct persons, so that what holds for the
    weights holds for the persons.

    Parameters
    ----------
    scales
        The quasi-identifiers (q).
    codes
        Shape (m, q), int32, the entries in rising order (first column first).
    weights
        People of each entry, shape (m,); 0 for rows of persons who are counted elsewhere.
    rows
        Rows of each entry, shape (m,).
    of_row
        The entry of each row, shape (n_rows,).
    sensitive
        For each sensitive column that was asked for the value number of each entry, shape (m,),
        and the labels of these numbers.
    """

    scales: tuple[Scale, ...]
    codes: npt.NDArray[np.int32]
    weights: Integers
    rows: Integers
    of_row: Integers
    sensitive: dict[str, tuple[Integers, pl.Series]] = field(default_factory=dict)

    @classmethod
    def of(cls, table: pl.DataFrame, schema: Schema, criteria: Sequence[Criterion] = ()) -> Self:
        """Code and count the rows of a table.

        Parameters
        ----------
        table, schema
            The rows, and a schema that was checked against them.
        criteria
            Promises that will be asked of classes; their sensitive columns are coded too.

        Raises
        ------
        SchemaError
            If there is no quasi-identifier, or a criterion's column is absent or is one.
        HierarchyError
            If a row holds a value that its column's hierarchy does not hold.
        """
        names = tuple(name for name in schema.columns if name in set(schema.quasi_identifiers))
        if not names:
            raise SchemaError(
                "the schema names no quasi-identifier, and there is nothing else to generalize by"
            )
        coded = [scale_of(table[name], schema) for name in names]
        scales = tuple(scale for scale, _ in coded)
        columns = [codes for _, codes in coded]
        radices = [scale.n_codes for scale in scales]
        values: dict[str, tuple[Integers, pl.Series]] = {}
        for name in sensitive_columns(criteria, schema):
            of_value, labels = _numbered(table[name])
            values[name] = (of_value, labels)
            columns.append(of_value.astype(smallest_unsigned(len(labels))))
            radices.append(len(labels))
        counted_once = _first_rows(table, schema)
        if counted_once is not None:
            columns.append(counted_once.astype(np.uint8))
            radices.append(2)
        counted = count_tuples(columns, radices, table.height, inverse=True)
        del coded, columns
        entries = counted.distinct
        inverse = counted.inverse if counted.inverse is not None else np.zeros(0, dtype=np.int64)
        q = len(names)
        sensitive = {
            name: (entries[:, q + place].astype(np.int64), labels)
            for place, (name, (_, labels)) in enumerate(values.items())
        }
        weights = counted.counts
        if counted_once is not None:
            weights = weights * entries[:, -1].astype(np.int64)
        codes = np.ascontiguousarray(entries[:, :q], dtype=np.int32)
        return cls(scales, codes, weights, counted.counts, inverse, sensitive)

    def __len__(self) -> int:
        return len(self.weights)

    @property
    def names(self) -> tuple[str, ...]:
        """The quasi-identifiers."""
        return tuple(scale.name for scale in self.scales)

    @cached_property
    def n_people(self) -> int:
        """People in all."""
        return int(self.weights.sum())

    def costs(
        self, measure: LossMeasure, importance: Sequence[float] | None = None
    ) -> tuple[Floats, ...]:
        """Return for each column what a person loses at each level, its share of the whole loss.

        Parameters
        ----------
        measure
            See :meth:`Scale.costs`.
        importance
            Weight of each column, shape (q,), 0 or more; equal ones by default. They are scaled to
            add up to 1, so that a person without any exact value loses 1.
        """
        q = len(self.scales)
        share = np.full(q, 1.0) if importance is None else np.asarray(importance, dtype=float)
        share = share / share.sum()
        return tuple(
            weight * scale.costs(measure, np.bincount(column, self.rows, scale.n_codes))
            for scale, column, weight in zip(self.scales, self.codes.T, share, strict=True)
        )


def sensitive_columns(criteria: Sequence[Criterion], schema: Schema) -> tuple[str, ...]:
    """Return the sensitive columns that criteria ask for, each once.

    Raises
    ------
    SchemaError
        If the table has no such column.
    PlanError
        If it is a quasi-identifier: generalizing it would change what is counted.
    """
    named = dict.fromkeys(name for one in criteria for name in getattr(one, "columns", ()))
    for name in named:
        if name not in schema.columns:
            hint = did_you_mean(name, schema.columns)
            raise SchemaError(f"a criterion asks for column {name!r}, which is not there.{hint}")
        if name in schema.quasi_identifiers:
            raise PlanError(
                f"column {name!r} is a quasi-identifier and cannot be the sensitive column of a "
                "criterion as well: give it the role sensitive"
            )
    return tuple(named)


def _first_rows(table: pl.DataFrame, schema: Schema) -> npt.NDArray[np.bool_] | None:
    """Return which rows count: the first of each person; None if each row is a person."""
    if schema.person is None:
        return None
    # rows without a person count together as one, so that a missing id hides nobody
    first = table[schema.person].is_first_distinct()
    return None if first.all() else first.to_numpy()


def _numbered(values: pl.Series) -> tuple[Integers, pl.Series]:
    """Return the number of each row's value, and the values in rising order, a missing one last."""
    labels = values.unique().sort(nulls_last=True)
    known = pl.DataFrame({"value": labels}).with_row_index("number")
    rows = pl.DataFrame({"value": values})
    found = rows.join(known, on="value", how="left", nulls_equal=True, maintain_order="left")
    return found["number"].cast(pl.Int64).to_numpy(), labels
