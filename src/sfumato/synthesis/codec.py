"""One codec for mixed types: every cell of a table as a whole number, and back again.

Each column is cut into cells. A category has one for each of its values. A number (also a date or a
time) has one for each *atom*, a value that many people share, and one for each stretch between
atoms, no narrower than ``minimum`` people. Two more stand for missing and suppressed, where they
occur. A model that learns whole numbers thus learns the whole value, and what it draws is written
back as a valid value: integers whole, within the bounds, in the column's own type.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
import polars as pl

from sfumato.errors import DataError
from sfumato.progress import Progress, silent
from sfumato.synthesis.columns import (
    MISSING,
    PRESENT,
    SUPPRESSED_CELL,
    CodedColumn,
    ColumnCoding,
    code_column,
)
from sfumato.synthesis.margins import CategoryMargin, NumberMargin, fit_numbers, fit_parts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from sfumato.table import Schema

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

__all__ = ["Codec", "ColumnGrid", "ReadTable", "read_table"]

_MOST_CLASSES = 20  # a target of more whole numbers is an amount

_STATES = (MISSING, SUPPRESSED_CELL)


@dataclass(frozen=True, eq=False)
class ReadTable:
    """The columns of a table that can be learned, and what each row counts as.

    Parameters
    ----------
    columns
        The columns as numbers or codes.
    people
        Share of a person that each row stands for, shape (n,).
    left_out
        Columns that identify a person and are not learned.
    schema
        Schema of the columns that are learned.
    """

    columns: tuple[CodedColumn, ...]
    people: Floats
    left_out: tuple[str, ...]
    schema: Schema


def read_table(
    table: pl.DataFrame,
    schema: Schema,
    *,
    minimum: int,
    rare: Literal["drop", "pool"] = "drop",
    progress: Progress = silent,
) -> ReadTable:
    """Return the columns of a table as a synthesizer learns them.

    Parameters
    ----------
    table
        The table; columns with the role identifier, and the person column, are left out.
    schema
        Its schema. Whole numbers of its target are names of classes, if they are at most twenty
        and the schema gives them no type.
    minimum
        Least number of people who share a category's value for it to be learned.
    rare
        What becomes of rarer values: see :func:`sfumato.synthesis.columns.code_column`.
    progress
        Told how far the work is.

    Raises
    ------
    SchemaError
        If the schema does not fit the table.
    DataError
        If the table has too few people, or a column that cannot be learned.
    """
    schema = schema.check(table)
    left_out = tuple(name for name in schema.identifiers if name in table.columns)
    if schema.person is not None and schema.person not in left_out:
        left_out = (*left_out, schema.person)
    names = [name for name in table.columns if name not in left_out]
    if not names:
        raise DataError("Nothing to synthesize: every column of the table is an identifier")
    people = _people(table, schema.person)
    if people.sum() < minimum - 1e-9:
        raise DataError(
            f"The table tells of {round(people.sum())} people; a synthesizer with `minimum` = "
            f"{minimum} needs at least {minimum}"
        )
    coded = []
    for done, name in enumerate(names):
        progress("reading the columns", done, len(names))
        coded.append(
            code_column(
                table[name],
                people,
                minimum=minimum,
                pool=rare == "pool",
                categorical=schema.columns[name].type in ("category", "text", "boolean")
                or (name == schema.target and _names_classes(table[name], people, schema, minimum)),
                order=_declared_order(schema, name),
            )
        )
    progress("reading the columns", len(names), len(names))
    return ReadTable(tuple(coded), people, left_out, schema.select(names))


@dataclass(frozen=True, eq=False)
class ColumnGrid:
    """The cells of one column: first those of its values, lowest first, then the empty ones.

    Parameters
    ----------
    coding
        How the column is written.
    margin
        The cells of its values and their shares among the rows that have one; None if no value is
        learned.
    empty
        The states without a value that occur, of 1 (missing) and 2 (suppressed), ascending.
    ordered
        Whether the order of the values has a meaning: of numbers, dates, and of categories that
        the schema gives an order.
    """

    coding: ColumnCoding
    margin: NumberMargin | CategoryMargin | None
    empty: tuple[int, ...] = ()
    ordered: bool = True

    @classmethod
    def fit(
        cls, column: CodedColumn, people: Floats, *, minimum: int, cells: int
    ) -> tuple[Self, Integers]:
        """Cut a column into cells.

        Parameters
        ----------
        column
            The column.
        people
            Share of a person that each row stands for, shape (n,).
        minimum
            Least number of people in a cell; a state that fewer have is not learned.
        cells
            Most cells of a number.

        Returns
        -------
        tuple of (ColumnGrid, codes)
            The grid and the cell of each row, shape (n,); -1 where it was not learned.
        """
        there = column.there
        codes = np.full(there.size, -1, dtype=np.int64)
        margin: NumberMargin | CategoryMargin | None = None
        coding = column.coding
        weight = np.bincount(column.state, weights=people, minlength=3)
        if people[there].sum() >= minimum - 1e-9:
            if coding.kind == "number":
                margin, codes[there] = fit_numbers(
                    np.asarray(column.content, dtype=np.float64)[there],
                    people[there],
                    minimum=minimum,
                    cells=cells,
                    decimals=coding.decimals,
                    step=coding.step,
                )
            else:
                codes = np.asarray(column.content, dtype=np.int64).copy()
                margin = fit_parts(codes, len(coding.values))
        empty = [state for state in _STATES if weight[state] >= minimum - 1e-9]
        if margin is None and not empty:
            empty = [1 + int(weight[1:].argmax())]
        grid = cls(coding, margin, tuple(empty), coding.kind == "number" or coding.ordered)
        for place, state in enumerate(empty):
            codes[column.state == state] = grid.values + place
        return grid, codes

    @property
    def name(self) -> str:
        """Name of the column."""
        return self.coding.name

    @property
    def kind(self) -> Literal["number", "category"]:
        """What its values are; dates and times are numbers."""
        return self.coding.kind

    @property
    def values(self) -> int:
        """Number of cells that hold a value."""
        return 0 if self.margin is None else int(self.margin.probability.size)

    @property
    def cells(self) -> int:
        """Number of cells in all."""
        return self.values + len(self.empty)

    @property
    def labels(self) -> tuple[Any, ...] | None:
        """The value of each cell of a category; None for a number."""
        return self.coding.values[: self.values] if self.kind == "category" else None

    @property
    def centres(self) -> Floats:
        """Where each value's cell lies: the middle of a stretch, the number of a category."""
        if isinstance(self.margin, NumberMargin):
            return np.asarray((self.margin.low + self.margin.high) / 2)
        return np.arange(self.values, dtype=np.float64)

    @property
    def atoms(self) -> NDArray[np.bool_]:
        """Whether each value's cell holds one value only, shape (values,)."""
        if isinstance(self.margin, NumberMargin):
            return np.asarray(self.margin.low == self.margin.high)
        return np.ones(self.values, dtype=np.bool_)

    def encode(self, series: pl.Series) -> Integers:
        """Return the cell of each row, shape (n,); -1 for a value or a state not learned.

        A number that lies in no cell goes to the nearest.
        """
        content, state = self.coding.read(series)
        codes = np.full(state.size, -1, dtype=np.int64)
        if isinstance(self.margin, NumberMargin):
            there = np.isfinite(content)
            numbers = np.asarray(content, dtype=np.float64)
            codes[there] = self.margin.cells_of(numbers[there], nearest=True)
        elif self.margin is not None:
            codes = np.asarray(content, dtype=np.int64).copy()
        codes[state != PRESENT] = -1
        for place, empty in enumerate(self.empty):
            codes[state == empty] = self.values + place
        return codes

    def encode_value(self, value: Any) -> int:
        """Return the cell of one value as a person writes it; None stands for missing.

        Raises
        ------
        DataError
            If the value was not learned.
        """
        if value is None or (value == "*" and SUPPRESSED_CELL in self.empty):
            state = MISSING if value is None else SUPPRESSED_CELL
            if state in self.empty:
                return self.values + self.empty.index(state)
            raise self._not_learned()
        if value == "*" and self.kind == "number":
            raise self._not_learned()
        content, _ = self.coding.read(self.coding.written(value))
        if isinstance(self.margin, NumberMargin) and np.isfinite(content[0]):
            code = int(self.margin.cells_of(np.asarray(content, dtype=np.float64))[0])
        else:
            code = -1 if self.margin is None else int(content[0])
        if code < 0:
            raise self._not_learned()
        return code

    def _not_learned(self) -> DataError:
        reach = f"one of its {self.values} learned values"
        if isinstance(self.margin, NumberMargin):
            reach = "within what was learned"
        return DataError(
            f"The value given for {self.name!r} was not learned: give {reach}, or fit on a table in"
            f" which enough people have it"
        )

    def decode(self, codes: Integers, within: Floats) -> pl.Series:
        """Return the column that cells stand for.

        Parameters
        ----------
        codes
            Cell of each row, shape (n,), 0 to ``cells - 1``.
        within
            Where in its cell each row lies, shape (n,), from 0 (lowest) to 1; random numbers fill a
            stretch evenly.
        """
        there = codes < self.values
        state = None
        if not there.all():
            empty = np.asarray(self.empty, dtype=np.int64)
            state = np.where(there, PRESENT, empty[np.maximum(codes - self.values, 0)])
        content: Floats | Integers | None = None
        inside = np.where(there, codes, 0)
        if isinstance(self.margin, NumberMargin):
            content = self.margin.values(inside, within)
        elif self.margin is not None:
            content = inside
        return self.coding.write(content, state, codes.size)

    def to_dict(self) -> dict[str, Any]:
        """Return the grid as plain JSON values."""
        return {
            "coding": self.coding.to_dict(),
            "margin": None if self.margin is None else self.margin.to_dict(),
            "empty": list(self.empty),
            "ordered": self.ordered,
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Return the grid that :meth:`to_dict` described."""
        margin: NumberMargin | CategoryMargin | None = None
        if values["margin"] is not None:
            kind = NumberMargin if "low" in values["margin"] else CategoryMargin
            margin = kind.from_dict(values["margin"])
        coding = ColumnCoding.from_dict(values["coding"])
        return cls(coding, margin, tuple(values["empty"]), values["ordered"])


@dataclass(frozen=True, eq=False)
class Codec:
    """The grids of a table's columns.

    Parameters
    ----------
    grids
        One for each column, in the order of the table.

    Examples
    --------
    >>> from sfumato.table import Schema
    >>> ages = [30, 40, 50, None] * 10
    >>> table = pl.DataFrame({"age": ages, "smokes": [True, False] * 20})
    >>> read = read_table(table, Schema(rest="other"), minimum=5)
    >>> codec, codes = Codec.fit(read, minimum=5)
    >>> codec.sizes
    (4, 2)
    >>> codes[:4, 0].tolist()
    [0, 1, 2, 3]
    >>> codec.decode(codes, np.zeros(codes.shape)).equals(table)
    True
    """

    grids: tuple[ColumnGrid, ...]

    @classmethod
    def fit(
        cls, read: ReadTable, *, minimum: int, cells: int = 1000, progress: Progress = silent
    ) -> tuple[Self, Integers]:
        """Cut every column into cells.

        Parameters
        ----------
        read
            The columns, see :func:`read_table`.
        minimum
            Least number of people in a cell.
        cells
            Most cells of a number.
        progress
            Told how far the work is.

        Returns
        -------
        tuple of (Codec, codes)
            The codec and the cell of each row in each column, shape (n, columns); -1 for a value
            that was not learned.
        """
        grids, codes = [], []
        for done, column in enumerate(read.columns):
            progress("cutting the columns into cells", done, len(read.columns))
            grid, found = ColumnGrid.fit(column, read.people, minimum=minimum, cells=cells)
            grids.append(grid)
            codes.append(found)
        progress("cutting the columns into cells", len(read.columns), len(read.columns))
        return cls(tuple(grids)), np.column_stack(codes)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(grid.name for grid in self.grids)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of cells of each column."""
        return tuple(grid.cells for grid in self.grids)

    def encode(self, table: pl.DataFrame) -> Integers:
        """Return the cell of each row in each column, shape (n, columns), -1 if not learned."""
        return np.column_stack([grid.encode(table[grid.name]) for grid in self.grids])

    def given(self, values: dict[str, Any]) -> dict[int, int]:
        """Return the cells of given values by the number of their column.

        Raises
        ------
        DataError
            If a column is not in the model or its value was not learned.
        """
        places = {name: place for place, name in enumerate(self.names)}
        return {
            places[name]: self.grids[places[name]].encode_value(value)
            for name, value in values.items()
        }

    def with_given(self, rows: pl.DataFrame, values: dict[str, Any]) -> pl.DataFrame:
        """Return drawn rows with given values as they were given, where their type can hold them.

        Parameters
        ----------
        rows
            Rows that lie in the values' cells.
        values
            What was given, by column; missing and suppressed are in the rows already.
        """
        written = (
            grid.coding.written(values[name])
            for name, grid in zip(self.names, self.grids, strict=True)
            if values.get(name) not in (None, "*")
        )
        return rows.with_columns(
            one.new_from_index(0, rows.height)
            for one in written
            if one.dtype == rows.schema[one.name]
        )

    def decode(self, codes: Integers, within: Floats) -> pl.DataFrame:
        """Return the rows that cells stand for; see :meth:`ColumnGrid.decode`.

        Parameters
        ----------
        codes, within
            Shape (n, columns).
        """
        return pl.DataFrame(
            [
                grid.decode(codes[:, place], within[:, place])
                for place, grid in enumerate(self.grids)
            ]
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the codec as plain JSON values."""
        return {"grids": [grid.to_dict() for grid in self.grids]}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Return the codec that :meth:`to_dict` described."""
        return cls(tuple(ColumnGrid.from_dict(one) for one in values["grids"]))


def cells_without_gaps(codes: Integers, sizes: Sequence[int]) -> Integers:
    """Return the codes with every -1 replaced by the column's most frequent cell."""
    filled = codes.copy()
    for place, size in enumerate(sizes):
        there = codes[:, place] >= 0
        if not there.all():
            filled[~there, place] = np.bincount(codes[there, place], minlength=size).argmax()
    return filled


def _declared_order(schema: Schema, name: str) -> tuple[str, ...]:
    """Return the values of a column from least to greatest, if its hierarchy is an order of them.

    Other hierarchies list their values too, but their order says nothing: such as that of a file.
    """
    hierarchy = schema.columns[name].hierarchy
    if hierarchy is None or "ordered" not in hierarchy.recipe:
        return ()
    return tuple(value for group in hierarchy.recipe["ordered"] for value in group)


def _names_classes(series: pl.Series, people: Floats, schema: Schema, minimum: int) -> bool:
    """Return whether the target's whole numbers are names of classes.

    Such numbers have no order: who takes them for amounts puts class 1 between 0 and 2, and blurs
    every boundary. A type in the schema is always kept, and so are numbers that mostly are of few
    people each, of which no class could be learned.
    """
    if schema.columns[series.name].type is not None or not series.dtype.is_integer():
        return False
    there = series.is_not_null()
    counted = (
        pl.DataFrame({"value": series, "people": people})
        .filter(there)
        .group_by("value")
        .agg(pl.col("people").sum())["people"]
    )
    learned = counted.filter(counted >= minimum - 1e-9).sum()
    return counted.len() <= _MOST_CLASSES and 2 * float(learned) >= float(counted.sum()) > 0


def _people(table: pl.DataFrame, person: str | None) -> Floats:
    """Return what each row counts as: its share of the rows of its person."""
    if person is None:
        return np.ones(table.height)
    rows = table.select(1.0 / pl.len().over(person)).to_series()
    return rows.to_numpy().astype(np.float64)
