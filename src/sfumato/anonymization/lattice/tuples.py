"""A table as distinct tuples of quasi-identifiers, for counting classes at nodes of a lattice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np
import numpy.typing as npt
import polars as pl

from sfumato.errors import PlanError, SchemaError, did_you_mean
from sfumato.privacy import Criterion
from sfumato.table import CodedTable, Ladder, Schema, encode

__all__ = ["LatticeTuples", "Members", "criterion_columns"]

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Members:
    """What is counted in each class beyond its rows: values of a sensitive column, or persons.

    Parameters
    ----------
    of_tuple
        The tuple in which each entry stands, shape (e,).
    values
        Value number of each entry, shape (e,); all 0 where only persons are counted.
    counts
        Rows of each entry, shape (e,); 1 each where persons are counted.
    persons
        Person of each entry, shape (e,), rising; None where rows are counted. A person counts once
        for each class and value, in however many tuples of the class she stands.
    n_values
        Number of values.
    labels
        The values by their number.
    totals
        How many rows (or persons) of the whole table have each value, shape (n_values,).
    """

    of_tuple: Integers
    values: Integers
    counts: Integers
    persons: Integers | None
    n_values: int
    labels: pl.Series
    totals: Integers

    @classmethod
    def of(
        cls, of_tuple: Integers, values: Integers, persons: Integers | None, labels: pl.Series
    ) -> Members:
        """Count what each row holds once.

        Parameters
        ----------
        of_tuple, values, persons
            Shape (n,), for each row of the table.
        labels
            The values by their number.
        """
        n_values = max(len(labels), 1)
        if persons is None:
            keys, counts = np.unique(of_tuple * n_values + values, return_counts=True)
            tuples, found = np.divmod(keys, n_values)
            totals = np.bincount(values, minlength=n_values)
            return cls(tuples, found, counts, None, n_values, labels, totals)
        # sorted by person, so that one pass with a mark for each class counts each person once
        triples = pl.DataFrame({"person": persons, "tuple": of_tuple, "value": values})
        distinct = triples.unique().sort("person", "tuple", "value")
        person, tuples, found = (distinct[name].to_numpy() for name in distinct.columns)
        pairs = triples.select("person", "value").unique()
        totals = np.bincount(pairs["value"].to_numpy(), minlength=n_values)
        ones = np.ones(len(person), dtype=np.int64)
        return cls(tuples, found, ones, person, n_values, labels, totals)


@dataclass(frozen=True, eq=False)
class LatticeTuples:
    """The distinct tuples of the quasi-identifiers.

    Parameters
    ----------
    names
        The quasi-identifiers (q).
    ladders
        For each its leaves and groups.
    codes
        Leaf numbers, shape (q, m), int32: a column's codes lie together.
    rows
        Rows of each tuple, shape (m,).
    persons
        Who stands in which tuple, where the schema names a person and one has several rows; None
        where each row is a person.
    sensitive
        For each column that a criterion asks for, its values in each tuple.
    """

    names: tuple[str, ...]
    ladders: tuple[Ladder, ...]
    codes: npt.NDArray[np.int32]
    rows: Integers
    persons: Members | None = None
    sensitive: dict[str, Members] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        table: pl.DataFrame,
        schema: Schema,
        criteria: Sequence[Criterion] = (),
        counted: Sequence[str] = (),
    ) -> Self:
        """Code and count the rows of a table.

        Parameters
        ----------
        table, schema
            The rows, and a schema that was checked against them.
        criteria
            The promises that will be asked of classes; their columns are counted too.
        counted
            Further columns whose values are counted in each class.

        Raises
        ------
        SchemaError
            If there is no quasi-identifier, or a criterion's column is absent.
        PlanError
            If a criterion's column is a quasi-identifier.
        HierarchyError
            If a row holds a value that its column's hierarchy does not hold.
        """
        named = set(schema.quasi_identifiers)
        names = tuple(name for name in schema.columns if name in named)
        if not names:
            raise SchemaError(
                "the schema names no quasi-identifier, and there is nothing else to generalize"
            )
        columns = dict.fromkeys((*criterion_columns(criteria, schema), *counted))
        return cls.of_coded(
            encode(table, names, schema.hierarchies),
            {name: table[name] for name in columns},
            None if schema.person is None else table[schema.person],
        )

    @classmethod
    def of_coded(
        cls,
        coded: CodedTable,
        sensitive: dict[str, pl.Series] | None = None,
        persons: pl.Series | None = None,
    ) -> Self:
        """Count the rows of a coded table.

        Parameters
        ----------
        coded
            The quasi-identifiers.
        sensitive
            The columns (n rows) that criteria ask for.
        persons
            Whose row each row is; rows without a person count together as one.
        """
        sensitive = sensitive or {}
        if persons is not None and persons.n_unique() == len(persons):
            persons = None  # each row is a person, and rows are counted faster
        told = bool(sensitive) or persons is not None
        tuples = coded.tuples(inverse=told)
        codes = np.ascontiguousarray(tuples.codes.T, dtype=np.int32)
        if tuples.inverse is None:
            return cls(coded.columns, coded.ladders, codes, tuples.counts)
        of_row = tuples.inverse
        person = None
        people = None
        if persons is not None:
            person = persons.rank("dense").fill_null(0).cast(pl.Int64).to_numpy()
            nobody = np.zeros(len(of_row), dtype=np.int64)
            people = Members.of(of_row, nobody, person, pl.Series(["person"]))
        counted = {
            name: Members.of(of_row, *_numbered(values, person))
            for name, values in sensitive.items()
        }
        return cls(coded.columns, coded.ladders, codes, tuples.counts, people, counted)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def n_rows(self) -> int:
        """Rows of the table."""
        return int(self.rows.sum())

    @property
    def n_people(self) -> int:
        """Persons of the table, or rows where each row is one."""
        return self.n_rows if self.persons is None else int(self.persons.totals[0])

    @property
    def heights(self) -> tuple[int, ...]:
        """The level of ``*`` of each column."""
        return tuple(ladder.height for ladder in self.ladders)

    def leaf_rows(self) -> list[Integers]:
        """Return for each column how many rows hold each leaf."""
        return [
            np.bincount(codes, self.rows, ladder.n_leaves).astype(np.int64)
            for codes, ladder in zip(self.codes, self.ladders, strict=True)
        ]


def criterion_columns(criteria: Sequence[Criterion], schema: Schema) -> tuple[str, ...]:
    """Return the columns that criteria ask for, each once.

    Raises
    ------
    SchemaError
        If the table has no such column.
    PlanError
        If it is a quasi-identifier: generalizing it would change what is counted.
    """
    columns: dict[str, None] = {}
    for criterion in criteria:
        for name in criterion.columns:
            if name not in schema.columns:
                hint = did_you_mean(name, schema.columns)
                raise SchemaError(f"{criterion.kind}: there is no column {name!r}.{hint}")
            if name in schema.quasi_identifiers:
                raise PlanError(
                    f"{criterion.kind}: column {name!r} is a quasi-identifier, whose values are "
                    "generalized; give it the role sensitive"
                )
            columns[name] = None
    return tuple(columns)


def _numbered(
    values: pl.Series, person: Integers | None
) -> tuple[Integers, Integers | None, pl.Series]:
    """Return the value number of each row, whose row it is, and the values; missing is a value."""
    labels = values.unique(maintain_order=True)
    frame = pl.DataFrame({"value": values})
    numbers = pl.DataFrame({"value": labels}).with_row_index("number")
    joined = frame.join(numbers, on="value", how="left", nulls_equal=True, maintain_order="left")
    return joined["number"].cast(pl.Int64).to_numpy(), person, labels
