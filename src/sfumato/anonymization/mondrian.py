"""Mondrian: cut the people into groups of at least k, again and again, where they differ most."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import Field

from sfumato.anonymization.axes import Axis, HierarchyAxis, NumberAxis
from sfumato.anonymization.partition import partition
from sfumato.anonymization.people import People
from sfumato.anonymization.reasons import why_changed, why_kept
from sfumato.anonymization.recoding import ColumnChange, Recoding
from sfumato.anonymization.released import checked_columns
from sfumato.anonymization.suppression import refuse_small_table
from sfumato.anonymization.tree import Quasi, Tree, numbers_of_column
from sfumato.errors import InternalError, SchemaError
from sfumato.privacy import Criterion, KAnonymity
from sfumato.progress import Progress, silent
from sfumato.settings import Settings
from sfumato.table import Hierarchy, Ladder, Role, Schema

__all__ = ["Mondrian", "MondrianRecoding"]

Integers = npt.NDArray[np.int64]


class Mondrian(Settings):
    """Cut everybody into ever smaller groups that all have at least k people.

    The widest quasi-identifier of a group is cut: by its hierarchy into all children of the
    group's node, or, for numbers and dates without a hierarchy, in two parts at the value nearest
    to the median. A cut that would leave a part with fewer than k people is not made; then the
    next widest is tried. Equal values always stay together. Nothing is drawn: the same table gives
    the same groups. Missing values are a value of their own. An interval ends at the roundest
    number between two neighbouring ones, so that it need not tell anybody's own.

    The width is the share of the hierarchy's leaves below the node, or the share of the column's
    range; of equally wide ones the first in the schema is cut.

    Parameters
    ----------
    k
        Least number of people of a group; persons where the schema names a person column, else
        rows.
    suppression_limit
        Largest share of the rows, 0 to 1, that may be suppressed; as none is, every limit is kept.

    Notes
    -----
    K. LeFevre, D. DeWitt, R. Ramakrishnan, "Mondrian multidimensional k-anonymity", ICDE 2006.
    """

    k: int = Field(default=5, ge=2)
    suppression_limit: float = Field(default=1.0, ge=0, le=1)

    def fit(
        self, table: pl.DataFrame, schema: Schema, *, progress: Progress = silent
    ) -> MondrianRecoding:
        """Find the groups.

        Raises
        ------
        PlanError
            If k is larger than the table.
        SchemaError
            If the schema does not fit the table or has no quasi-identifier.
        HierarchyError
            If a column holds a value that its hierarchy does not hold.
        """
        full = schema.check(table)
        # in the order of the schema as it was given, which decides between equally wide columns
        names = tuple(dict.fromkeys((*schema.quasi_identifiers, *full.quasi_identifiers)))
        if not names:
            raise SchemaError("mondrian cuts along quasi-identifiers, but the schema has none")
        persons = None if full.person is None else table[full.person]
        everybody = table.height if persons is None else persons.n_unique()
        refuse_small_table(self.k, everybody, counts_persons=persons is not None)
        columns = tuple(Quasi(name, _hierarchy(table[name], full)) for name in names)
        coded = [_coded(table[quasi.name], quasi) for quasi in columns]
        people = _people([codes for codes, _, _ in coded], persons)
        total = len(people.codes)
        grown = partition(
            people,
            tuple(axis for _, axis, _ in coded),
            self.k,
            lambda settled: progress("cutting into groups", settled, total),
        )
        dtypes = tuple(table[name].dtype for name in names)
        tree = Tree.of(grown, columns, tuple(scale for _, _, scale in coded), dtypes)
        if tree.sizes.min() < self.k:
            raise InternalError("a group smaller than k was made")
        return MondrianRecoding(self.k, full, tree)


@dataclass(frozen=True)
class MondrianRecoding(Recoding):
    """The fitted groups.

    Parameters
    ----------
    k
        Least number of people of a group at fitting.
    schema
        The schema of the source table.
    tree
        The cuts.
    """

    k: int
    schema: Schema
    tree: Tree

    @property
    def promises(self) -> tuple[Criterion, ...]:
        """k-anonymity of the rows it was fitted on."""
        return (KAnonymity(self.k),)

    @property
    def class_sizes(self) -> Integers:
        """How many people each group has at fitting."""
        return self.tree.sizes

    def recode(self, table: pl.DataFrame) -> pl.DataFrame:
        """Return the recoded rows: each carries the labels of the group into which it falls.

        A person who was not there at fitting falls into the same groups; whoever has a value that
        no group holds stays above it and carries coarser labels.

        Raises
        ------
        DataError
            If a column that is released is absent, or one is unknown.
        HierarchyError
            If a value is not held by a column's hierarchy.
        """
        kept = [name for name in self.schema.columns if name not in self.schema.identifiers]
        checked_columns(table, self.schema, kept)
        return table.select(kept).with_columns(self.tree.labels(table).get_columns())

    def describe(self) -> tuple[ColumnChange, ...]:
        """Return what is done to each column, and why."""
        labels = {quasi.name: quasi for quasi in self.tree.columns}
        changes = []
        for name, column in self.schema.columns.items():
            role = Role(column.role)
            if role == Role.IDENTIFIER:
                how = "left out of the release"
                changes.append(ColumnChange(name, None, "suppressed", how, why_changed(role)))
            elif name in labels:
                kind = "a group of its hierarchy" if labels[name].hierarchy else "an interval"
                how = (
                    f"replaced by {kind}, as fine as {self.k} people who share all "
                    f"quasi-identifiers allow ({len(self.class_sizes):,} groups of people, the "
                    f"smallest of {int(self.class_sizes.min()):,})"
                )
                changes.append(ColumnChange(name, name, "generalized", how, why_changed(role)))
            else:
                how = "released as it is"
                changes.append(ColumnChange(name, name, "kept", how, why_kept(role)))
        return tuple(changes)

    def released_schema(self) -> Schema:
        """Return the schema of the release: quasi-identifiers are categories."""
        kept = [name for name in self.schema.columns if name not in self.schema.identifiers]
        changed = {
            name: replace(self.schema.columns[name], type="category", hierarchy=None)
            for name in self.schema.quasi_identifiers
        }
        return self.schema.select(kept).with_columns(changed)

    def to_dict(self) -> dict[str, Any]:
        """Return the recoding as plain JSON values."""
        return {"k": self.k, "schema": self.schema.to_dict(), "tree": self.tree.to_dict()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Return the recoding that :meth:`to_dict` described."""
        schema = Schema.from_dict(values["schema"])
        return cls(values["k"], schema, Tree.from_dict(values["tree"]))


def _hierarchy(values: pl.Series, schema: Schema) -> Hierarchy | None:
    """Return the hierarchy along which a column is cut, or None for numbers and dates."""
    hierarchy = schema.columns[values.name].hierarchy
    if hierarchy is None and not (values.dtype.is_numeric() or values.dtype.is_temporal()):
        return Hierarchy.flat()
    return hierarchy


def _coded(
    values: pl.Series, quasi: Quasi
) -> tuple[Integers, Axis, Ladder | npt.NDArray[np.float64]]:
    """Return a column's codes, its axis, and what the codes stand for."""
    if quasi.hierarchy is not None:
        ladder = quasi.hierarchy.ladder(values)
        codes = ladder.codes(values).astype(np.int64)
        return codes, HierarchyAxis(ladder.levels, ladder.sizes), ladder
    numbers = numbers_of_column(values)
    missing = np.isnan(numbers)
    distinct = np.unique(numbers[~missing])
    codes = np.where(missing, len(distinct), np.searchsorted(distinct, numbers))
    return codes, NumberAxis(distinct, bool(missing.any())), distinct


def _people(codes: list[Integers], persons: pl.Series | None) -> People:
    """Count equal tuples once; keep apart who has them where one person has several."""
    table = pl.DataFrame({str(number): column for number, column in enumerate(codes)})
    names = table.columns
    if persons is None or persons.n_unique() == len(persons):
        counted = table.group_by(names, maintain_order=True).len("people")
        return People(counted.select(names).to_numpy(), counted["people"].cast(pl.Int64).to_numpy())
    numbers = persons.rank("dense").fill_null(0).cast(pl.Int64).alias("person")
    pairs = table.with_columns(numbers).unique(maintain_order=True)
    return People(pairs.select(names).to_numpy(), None, pairs["person"].to_numpy())
