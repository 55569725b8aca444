"""The fitted classes of a micro-aggregation: who belongs to which, and what they carry."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import polars as pl

from sfumato.anonymization.microaggregation.values import Aggregate
from sfumato.anonymization.reasons import why_changed, why_kept
from sfumato.anonymization.recoding import ColumnChange, Recoding
from sfumato.anonymization.released import checked_columns
from sfumato.anonymization.scales import numbers_of_column
from sfumato.privacy import Criterion, KAnonymity
from sfumato.table import SUPPRESSED, Role, Schema
from sfumato.table.types import type_of

__all__ = ["Axis", "MicroAggregationRecoding", "group_labels", "points_of", "tuple_keys"]

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Axis:
    """A column of numbers along which distances are measured.

    Parameters
    ----------
    name
        The column.
    mean, spread
        Mean and standard deviation of its numbers at fitting.
    has_missing
        Whether cells were missing at fitting. A missing cell lies at the mean, and as far from any
        number in a direction of its own that it is, on average, as far from one as two people are.
    """

    name: str
    mean: float
    spread: float
    has_missing: bool

    @classmethod
    def of(cls, values: pl.Series) -> Self:
        """Measure a column."""
        numbers = numbers_of_column(values)
        present = np.sort(numbers[~np.isnan(numbers)])
        if not len(present):
            return cls(values.name, 0.0, 1.0, has_missing=True)
        # divided first, so that no sum of large numbers overflows
        largest = max(float(np.abs(present).max()), np.finfo(np.float64).tiny)
        mean, spread = float((present / largest).mean()), float((present / largest).std())
        return cls(
            values.name, mean * largest, spread * largest or 1.0, len(present) < len(numbers)
        )

    def coordinates(self, values: pl.Series) -> list[Floats]:
        """Return where each value lies: the standardised number and, if need be, if it is there."""
        numbers = numbers_of_column(values)
        missing = np.isnan(numbers)
        places = numbers / self.spread - self.mean / self.spread
        places[missing] = 0.0
        return [places, missing.astype(np.float64)] if self.has_missing else [places]


def points_of(table: pl.DataFrame, axes: tuple[Axis, ...]) -> Floats:
    """Return the rows as points, shape (n, coordinates)."""
    columns = [column for axis in axes for column in axis.coordinates(table[axis.name])]
    return np.column_stack(columns) if columns else np.zeros((table.height, 0))


def group_labels(table: pl.DataFrame, schema: Schema, levels: dict[str, int]) -> pl.DataFrame:
    """Return the labels of the columns that are generalized, at their levels.

    Raises
    ------
    HierarchyError
        If a value is not held by a column's hierarchy.
    """
    labels = []
    for name, level in levels.items():
        hierarchy = schema.columns[name].hierarchy
        texts = table[name].cast(pl.String)
        labels.append(texts if hierarchy is None else hierarchy.generalize(table[name], level))
    return pl.DataFrame(labels)


def tuple_keys(table: pl.DataFrame, names: tuple[str, ...]) -> pl.DataFrame:
    """Return what tells combinations of quasi-identifiers apart, as texts under our own names."""
    return table.select(
        pl.col(name).cast(pl.String).alias(str(number)) for number, name in enumerate(names)
    )


@dataclass(frozen=True, eq=False)
class MicroAggregationRecoding(Recoding):
    """Everybody carries the aggregates of a class.

    Parameters
    ----------
    k
        Least number of people of a class at fitting.
    schema
        The schema of the source table.
    levels
        The generalized quasi-identifiers, each with its level.
    aggregates
        The micro-aggregated ones, each with its aggregate.
    ignore_missing
        Whether missing cells are left out of account in an aggregate.
    axes
        The columns along which distances were measured; none if the groups are the classes.
    classes
        A row for each class: what its people carry in each quasi-identifier.
    centres
        The mean of each class as a point, shape (c, coordinates).
    sizes
        People of each class at fitting, shape (c,).
    entries
        For each fitted combination of quasi-identifiers ("0", "1", ...) its ``class``.
    """

    k: int
    schema: Schema
    levels: dict[str, int]
    aggregates: dict[str, Aggregate]
    ignore_missing: bool
    axes: tuple[Axis, ...]
    classes: pl.DataFrame
    centres: Floats
    sizes: Integers
    entries: pl.DataFrame

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, MicroAggregationRecoding):
            return NotImplemented
        return self.to_dict() == other.to_dict()

    def __hash__(self) -> int:
        return hash((self.k, tuple(self.aggregates), len(self.sizes)))

    @property
    def promises(self) -> tuple[Criterion, ...]:
        """k-anonymity of the rows it was fitted on."""
        return (KAnonymity(k=self.k),)

    def recode(self, table: pl.DataFrame) -> pl.DataFrame:
        """Return the recoded rows: each carries what its class carries.

        A row that is as one of the fitted ones goes to its class. Any other goes to the class with
        the nearest mean among those with its labels in the generalized columns (or, where there is
        none, among those of ``*``). If there is no such class either, it is suppressed: ``*`` in
        the columns of texts, missing in those of numbers.

        Raises
        ------
        DataError
            If a column that is released is absent, or one is unknown.
        HierarchyError
            If a value is not held by a column's hierarchy.
        """
        kept = [name for name in self.schema.columns if name not in self.schema.identifiers]
        checked_columns(table, self.schema, kept)
        of_row = self._classes(table)
        star = pl.DataFrame(
            [
                pl.Series(name, [SUPPRESSED if dtype == pl.String else None], dtype=dtype)
                for name, dtype in self.classes.schema.items()
            ]
        )
        carried = pl.concat([self.classes, star])
        place = np.where(of_row < 0, len(self.sizes), of_row)
        return table.select(kept).with_columns(carried[place].get_columns())

    def _classes(self, table: pl.DataFrame) -> Integers:
        """Return the class of each row, -1 where there is none."""
        keys = tuple_keys(table, self.schema.quasi_identifiers)
        found = keys.join(
            self.entries, on=keys.columns, how="left", nulls_equal=True, maintain_order="left"
        )["class"]
        of_row = found.fill_null(-1).to_numpy().copy()
        strange = np.flatnonzero(of_row < 0)
        if len(strange):
            # from all rows rather than the strange ones, so that an error counts rows
            group, of_class = self._groups(table)
            of_row[strange] = self._nearest(table[strange], group[strange], of_class)
        return of_row

    def _groups(self, table: pl.DataFrame) -> tuple[Integers, Integers]:
        """Return the group of each row, -1 if no class has its labels, and that of each class."""
        if not self.levels:
            return np.zeros(table.height, np.int64), np.zeros(len(self.sizes), np.int64)
        labels = group_labels(table, self.schema, self.levels)
        names = list(self.levels)
        known = self.classes.select(names).unique(maintain_order=True).with_row_index("group")
        joined = known.filter(pl.all_horizontal(pl.col(names).eq_missing(SUPPRESSED)))["group"]
        other = int(joined[0]) if len(joined) else -1
        both = (
            frame.join(known, on=names, how="left", nulls_equal=True, maintain_order="left")
            for frame in (labels, self.classes.select(names))
        )
        first, second = (
            found["group"].cast(pl.Int64).fill_null(other).to_numpy() for found in both
        )
        return first, second

    def _nearest(self, table: pl.DataFrame, group: Integers, of_class: Integers) -> Integers:
        """Return for each row the class of its group with the nearest mean."""
        from sfumato.anonymization.microaggregation.mdav import nearest_centres

        points = points_of(table, self.axes)
        found = np.full(len(points), -1, dtype=np.int64)
        for one in np.unique(group[group >= 0]):
            candidates = np.flatnonzero(of_class == one)
            here = np.flatnonzero(group == one)
            nearest = nearest_centres(points[here], self.centres[candidates])
            found[here] = candidates[nearest]
        return found

    def describe(self) -> tuple[ColumnChange, ...]:
        """Return what is done to each column, and why."""
        classes = f"{len(self.sizes):,} classes, the smallest of {int(self.sizes.min()):,} people"
        within = " and the same labels" if self.levels else ""
        near = "similar numbers" if self.axes else "the same labels"
        who = f"of at least {self.k} people with {near}{within if self.axes else ''} ({classes})"
        missing = "missing cells ignored" if self.ignore_missing else "missing if one is missing"
        changes = []
        for name, column in self.schema.columns.items():
            role = Role(column.role)
            if role == Role.IDENTIFIER:
                how = "left out of the release"
                changes.append(ColumnChange(name, None, "suppressed", how, why_changed(role)))
            elif name in self.aggregates:
                how = f"replaced by the {self.aggregates[name]} {who}; {missing}"
                changes.append(ColumnChange(name, name, "generalized", how, why_changed(role)))
            elif name in self.levels:
                how = f"replaced by its group at level {self.levels[name]} of its hierarchy"
                if (self.classes[name] == SUPPRESSED).any():
                    how += (
                        f", or by '{SUPPRESSED}' where fewer than {self.k} people share such groups"
                    )
                changes.append(ColumnChange(name, name, "generalized", how, why_changed(role)))
            else:
                how = "released as it is"
                changes.append(ColumnChange(name, name, "kept", how, why_kept(role)))
        return tuple(changes)

    def released_schema(self) -> Schema:
        """Return the schema of the release: what became a text is a category.

        A column keeps its hierarchy only where its values are still values of the source.
        """
        kept = [name for name in self.schema.columns if name not in self.schema.identifiers]
        changed = {}
        for name in self.schema.quasi_identifiers:
            column = self.schema.columns[name]
            if self.aggregates.get(name) == "mode":
                changed[name] = column
            elif self.classes.schema[name] == pl.String:
                changed[name] = replace(column, type="category", hierarchy=None)
            else:
                changed[name] = replace(column, type=type_of(self.classes[name]), hierarchy=None)
        return self.schema.select(kept).with_columns(changed)

    def to_dict(self) -> dict[str, Any]:
        """Return the recoding as plain JSON values."""
        return {
            "k": self.k,
            "schema": self.schema.to_dict(),
            "levels": dict(self.levels),
            "aggregates": dict(self.aggregates),
            "ignore_missing": self.ignore_missing,
            "axes": [[axis.name, axis.mean, axis.spread, axis.has_missing] for axis in self.axes],
            "classes": {name: _to_plain(self.classes[name]) for name in self.classes.columns},
            "centres": self.centres.tolist(),
            "sizes": self.sizes.tolist(),
            "entries": self.entries.to_dict(as_series=False),
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Return the recoding that :meth:`to_dict` described."""
        sizes = np.asarray(values["sizes"], dtype=np.int64)
        entries = values["entries"]
        return cls(
            values["k"],
            Schema.from_dict(values["schema"]),
            dict(values["levels"]),
            dict(values["aggregates"]),
            values["ignore_missing"],
            tuple(
                Axis(name, mean, spread, has_missing=missing)
                for name, mean, spread, missing in values["axes"]
            ),
            pl.DataFrame([_from_plain(name, column) for name, column in values["classes"].items()]),
            np.asarray(values["centres"], dtype=np.float64).reshape(len(sizes), -1),
            sizes,
            pl.DataFrame(
                entries,
                schema={name: pl.Int64 if name == "class" else pl.String for name in entries},
            ),
        )


_TYPES: dict[str, type[pl.DataType]] = {
    str(kind()): kind
    for kind in (
        pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.UInt8, pl.UInt16, pl.UInt32, pl.UInt64,
        pl.Float32, pl.Float64, pl.Boolean, pl.String, pl.Date, pl.Time,
    )
}  # fmt: skip


def _to_plain(values: pl.Series) -> dict[str, Any]:
    """Return a column as plain JSON values with its type."""
    dtype = values.dtype
    if isinstance(dtype, pl.Datetime):
        kind: Any = [dtype.time_unit, dtype.time_zone]
    else:
        kind = str(dtype)
    plain = values.to_physical() if dtype.is_temporal() else values
    return {"type": kind, "values": plain.to_list()}


def _from_plain(name: str, column: dict[str, Any]) -> pl.Series:
    kind, values = column["type"], column["values"]
    if isinstance(kind, list):
        return pl.Series(name, values, dtype=pl.Int64).cast(pl.Datetime(kind[0], kind[1]))
    dtype = _TYPES[kind]
    if dtype == pl.Date:
        return pl.Series(name, values, dtype=pl.Int32).cast(pl.Date)
    if dtype == pl.Time:
        return pl.Series(name, values, dtype=pl.Int64).cast(pl.Time)
    return pl.Series(name, values, dtype=dtype)
