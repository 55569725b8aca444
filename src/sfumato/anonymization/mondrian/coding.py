"""A table's people as Mondrian needs them: coded, and counted once where they are equal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from sfumato.anonymization.mondrian.axes import Axis, HierarchyAxis, NumberAxis
from sfumato.anonymization.mondrian.people import People
from sfumato.anonymization.scales import numbers_of_column
from sfumato.table import Hierarchy, Ladder
from sfumato.table.counting import count_tuples

__all__ = ["CodedColumn", "CodedEntries", "coded_column", "coded_entries", "coded_people"]

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_ROWS_AT_ONCE = 2**20


@dataclass(frozen=True, eq=False)
class CodedColumn:
    """One quasi-identifier as small integers.

    Parameters
    ----------
    codes
        The code of each row, unsigned; the last is that of a missing cell.
    n_codes
        Every code is below it.
    scale
        The ladder of the codes, or the rising numbers that they stand for.
    axis
        The axis along which groups are cut.
    """

    codes: npt.NDArray[Any]
    n_codes: int
    scale: Ladder | Floats
    axis: Axis


@dataclass(frozen=True, eq=False)
class CodedEntries:
    """Distinct entries (m) in rising order, to be told apart when equal values are parted.

    Parameters
    ----------
    values
        Shape (m, q): the code of each entry, or its number; ``nan`` for no number.
    of_row
        The entry of each row.
    """

    values: Floats
    of_row: Integers


def coded_column(values: pl.Series, hierarchy: Hierarchy | None) -> CodedColumn:
    """Return the codes of a column, by its hierarchy or as numbers.

    Raises
    ------
    HierarchyError
        If a row holds a value that the hierarchy does not hold.
    """
    if hierarchy is not None:
        ladder = hierarchy.ladder(values)
        axis = HierarchyAxis(ladder.levels, ladder.sizes)
        return CodedColumn(ladder.codes(values), ladder.n_leaves, ladder, axis)
    codes, distinct = _number_codes(values)
    has_missing = bool(len(codes)) and int(codes.max()) == len(distinct)
    return CodedColumn(codes, len(distinct) + 1, distinct, NumberAxis(distinct, has_missing))


def coded_people(
    table: pl.DataFrame,
    columns: Sequence[CodedColumn],
    counted: Sequence[str] = (),
    person: str | None = None,
) -> People:
    """Count equal people once; keep apart who has equal values where one person has several rows.

    Parameters
    ----------
    table
        The rows.
    columns
        The coded quasi-identifiers.
    counted
        Sensitive columns whose values are told apart.
    person
        The column that says whose row it is, if persons are counted. Rows without a person are
        those of one.
    """
    values = {name: _value_numbers(table[name]) for name in counted}
    q = len(columns)
    codes = [column.codes for column in columns]
    radices = [column.n_codes for column in columns]
    for numbers, labels in values.values():
        codes.append(numbers)
        radices.append(max(len(labels), 1))
    if person is not None:
        persons = _person_numbers(table[person])
        codes.append(persons)
        radices.append(int(persons.max(initial=0)) + 1)
    found = count_tuples(codes, radices, table.height, inverse=False)
    sensitive = {
        name: (found.distinct[:, q + place].astype(np.int64), labels)
        for place, (name, (_, labels)) in enumerate(values.items())
    }
    quasi = found.distinct[:, :q]
    if person is None:
        return People(quasi.astype(np.int32), found.counts, None, sensitive)
    return People(quasi.astype(np.int64), None, found.distinct[:, -1].astype(np.int64), sensitive)


def coded_entries(
    table: pl.DataFrame,
    names: Sequence[str],
    ladders: Sequence[Ladder | None],
    counted: Sequence[str],
    person: str | None,
) -> CodedEntries:
    """Return the distinct entries of a table, in the order that :func:`coded_people` gives them.

    Parameters
    ----------
    table
        The rows.
    names, ladders
        The quasi-identifiers, and the ladder of each; None for numbers.
    counted, person
        See :func:`coded_people`.
    """
    codes, radices, scales = [], [], []
    for name, ladder in zip(names, ladders, strict=True):
        if ladder is None:
            of_row, distinct = _number_codes(table[name])
            scales.append(np.append(distinct, np.nan))
        else:
            of_row = ladder.codes(table[name])
            scales.append(np.arange(ladder.n_leaves, dtype=np.float64))
        codes.append(of_row)
        radices.append(len(scales[-1]))
    for name in counted:
        numbers, labels = _value_numbers(table[name])
        codes.append(numbers)
        radices.append(max(len(labels), 1))
    if person is not None:
        persons = _person_numbers(table[person])
        codes.append(persons)
        radices.append(int(persons.max(initial=0)) + 1)
    found = count_tuples(codes, radices, table.height, inverse=True)
    values = np.empty((len(found.counts), len(names)))
    for number, scale in enumerate(scales):
        values[:, number] = scale[found.distinct[:, number].astype(np.int64)]
    of_entry = found.inverse if found.inverse is not None else np.zeros(0, dtype=np.int64)
    return CodedEntries(values, of_entry)


def _number_codes(values: pl.Series) -> tuple[npt.NDArray[Any], Floats]:
    """Return the place of each row's number among the distinct ones, the last for a missing one."""
    physical = values.to_physical()
    if physical.dtype.is_float():
        physical = physical.fill_nan(None)
    distinct = physical.unique().drop_nulls().sort()
    places = pl.Series(np.arange(len(distinct)), dtype=pl.UInt32)
    codes = np.empty(len(values), dtype=np.uint32)
    if not len(distinct):
        codes[:] = 0
        return codes, np.zeros(0)
    # part by part, so that what is needed on the way stays small beside the column
    step = max(_ROWS_AT_ONCE, 8 * len(distinct))
    for start in range(0, len(values), step):
        part = physical.slice(start, step).replace_strict(
            distinct, places, default=len(distinct), return_dtype=pl.UInt32
        )
        codes[start : start + len(part)] = part.to_numpy()
    return codes, numbers_of_column(distinct)


def _value_numbers(values: pl.Series) -> tuple[npt.NDArray[Any], pl.Series]:
    """Return the number of each row's value, and the values in this order; missing is the last."""
    labels = values.unique().sort(nulls_last=True)
    numbers = values.rank("dense").fill_null(len(labels)).cast(pl.UInt32).to_numpy() - 1
    return numbers, labels


def _person_numbers(persons: pl.Series) -> npt.NDArray[Any]:
    return persons.rank("dense").fill_null(0).cast(pl.UInt32).to_numpy()
