"""What the classes of a guided tree carry: values of their own people, or labels that hold them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import polars as pl

from sfumato.anonymization.boxes import Boxes
from sfumato.anonymization.scales import scale_of
from sfumato.table import Schema

__all__ = ["Carried", "carried_by", "labels_of", "values_of"]

Integers = npt.NDArray[np.int64]

_PLAIN = {"number": pl.Float64, "whole": pl.Int64, "large": pl.UInt64, "truth": pl.Boolean}
_MOMENTS = {"date": pl.Date(), "moment": pl.Datetime("us"), "span": pl.Duration("us")}


@dataclass(frozen=True, eq=False)
class Carried:
    """The values of each class.

    Parameters
    ----------
    values
        A row for each class, a column for each quasi-identifier.
    how
        For each column how its value is chosen, in words.
    """

    values: pl.DataFrame
    how: tuple[str, ...]

    def describe(self) -> dict[str, str]:
        """Return for each column what stands in it, in words."""
        return dict(zip(self.values.columns, self.how, strict=True))

    def to_dict(self) -> dict[str, Any]:
        """Return the values as plain JSON values."""
        columns = {}
        for column in self.values.iter_columns():
            kind, plain = _plain(column)
            columns[column.name] = {"kind": kind, "values": plain.to_list()}
        return {"columns": columns, "how": list(self.how)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Return the values that :meth:`to_dict` described."""
        columns = []
        for name, one in values["columns"].items():
            if one["kind"] in _MOMENTS:
                plain = pl.Series(name, one["values"], dtype=pl.Int64)
                columns.append(_moment(plain, _MOMENTS[one["kind"]]))
            else:
                dtype = _PLAIN.get(one["kind"], pl.String)
                columns.append(pl.Series(name, one["values"], dtype=dtype))
        return cls(pl.DataFrame(columns), tuple(values["how"]))


def values_of(
    table: pl.DataFrame, groups: Sequence[Sequence[str]], rows: Integers, how: Sequence[str]
) -> tuple[Carried, Integers]:
    """Return what leaves carry, and the class of each leaf.

    Parameters
    ----------
    table
        The rows.
    groups
        Columns that are represented together.
    rows
        Shape (leaves, groups): the row whose values a leaf carries.
    how
        For each group how the row is chosen, in words.
    """
    columns = [
        table[name].gather(rows[:, place]) for place, names in enumerate(groups) for name in names
    ]
    leaves = pl.DataFrame(columns)
    order = [name for name in table.columns if name in leaves.columns]
    leaves = leaves.select(order)
    distinct = leaves.unique(maintain_order=True)
    of_leaf = leaves.join(
        distinct.with_row_index("class of a leaf"),
        on=order,
        how="left",
        nulls_equal=True,
        maintain_order="left",
    )["class of a leaf"]
    said = {name: one for names, one in zip(groups, how, strict=True) for name in names}
    return (
        Carried(distinct, tuple(said[name] for name in order)),
        of_leaf.cast(pl.Int64).to_numpy(),
    )


def labels_of(
    table: pl.DataFrame, schema: Schema, names: Sequence[str], leaf_of_row: Integers, n: int
) -> tuple[Boxes, Integers]:
    """Return the labels that hold everybody of each leaf, and the class of each leaf.

    Raises
    ------
    HierarchyError
        If a value is not held by a column's hierarchy.
    """
    order = np.argsort(leaf_of_row, kind="stable")
    starts = np.searchsorted(leaf_of_row[order], np.arange(n))
    coded = [scale_of(table[name], schema) for name in names]
    sorted_codes = [codes[order].astype(np.int64) for _, codes in coded]
    low = np.column_stack([np.minimum.reduceat(codes, starts) for codes in sorted_codes])
    high = np.column_stack([np.maximum.reduceat(codes, starts) for codes in sorted_codes])
    return Boxes.of([scale for scale, _ in coded], low, high)


def carried_by(carried: Carried | Boxes, table: pl.DataFrame, of_row: Integers) -> list[pl.Series]:
    """Return the columns that rows of some classes, shape (n,), carry."""
    if isinstance(carried, Boxes):
        return carried.labels(_held(carried, table, of_row)).get_columns()
    return [
        _as(column, table[column.name].dtype).gather(of_row)
        for column in carried.values.iter_columns()
    ]


def _held(boxes: Boxes, table: pl.DataFrame, of_row: Integers) -> Integers:
    """Return the box of each row: its own where that holds it, else another or -1."""
    held = np.ones(table.height, dtype=np.bool_)
    for column, side in enumerate(boxes.sides):
        values = table[side.name]
        distinct = values.unique(maintain_order=True)
        places = (
            pl.DataFrame({side.name: values})
            .join(
                pl.DataFrame({side.name: distinct}).with_row_index("place of a value"),
                on=side.name,
                how="left",
                nulls_equal=True,
                maintain_order="left",
            )["place of a value"]
            .to_numpy()
        )
        held &= side.holds(distinct)[places, boxes.nodes[of_row, column]]
    strange = np.flatnonzero(~held)
    found = of_row.copy()
    if len(strange):
        found[strange] = boxes.holding(table, strange)
    return found


def _as(values: pl.Series, dtype: pl.DataType) -> pl.Series:
    """Return values in another type, or as they are if it cannot say them."""
    if values.dtype == dtype:
        return values
    if isinstance(dtype, pl.Datetime | pl.Duration) and values.dtype.is_temporal():
        return _moment(_plain(values)[1], dtype)
    cast = values.cast(dtype, strict=False)
    same = cast.cast(values.dtype, strict=False).eq_missing(values).all()
    return cast if same else values


def _plain(column: pl.Series) -> tuple[str, pl.Series]:
    """Return the kind of a column, and its values as JSON can say them."""
    dtype = column.dtype
    if dtype == pl.Date:
        return "date", column.to_physical().cast(pl.Int64)
    if isinstance(dtype, pl.Datetime | pl.Duration):
        kind = "moment" if isinstance(dtype, pl.Datetime) else "span"
        numbers = column.to_physical().cast(pl.Int64)
        if dtype.time_unit == "ns":
            return kind, numbers // 1000
        return kind, numbers * 1000 if dtype.time_unit == "ms" else numbers
    if dtype == pl.Boolean:
        return "truth", column
    if dtype == pl.UInt64:
        return "large", column
    if dtype.is_integer():
        return "whole", column.cast(pl.Int64)
    if dtype.is_float():
        return "number", column.cast(pl.Float64)
    return "text", column.cast(pl.String)


def _moment(microseconds: pl.Series, dtype: pl.DataType) -> pl.Series:
    """Return days or microseconds since 1970 in a type of dates or times."""
    unit = getattr(dtype, "time_unit", None)
    if unit == "ns":
        return (microseconds * 1000).cast(dtype)
    return (microseconds // 1000 if unit == "ms" else microseconds).cast(dtype)
