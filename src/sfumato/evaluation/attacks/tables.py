"""A release, its members and its controls on one footing, so that all attacks see the same.

Encoding and scale are fixed once: the scale of a number by the release alone, never by whom it is
compared to, so that members and controls are measured with the same ruler. A released cell stands
for a set: an exact value for itself, a generalized one for all values below it, ``*`` for
everything. Missing is a value of its own. Rows and columns are brought into an order of their own,
so that no result depends on the order in which they came.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from sfumato.errors import DataError, HierarchyError, SchemaError, did_you_mean
from sfumato.evaluation.alignment import MISSING, PRESENT, SUPPRESSED, AlignedColumn, align
from sfumato.evaluation.released_cells import ReleasedColumn, read_column
from sfumato.table import Schema

__all__ = ["GRID", "STAR", "AttackColumn", "AttackTables", "Remake"]

Integers = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

#: Code of a suppressed cell of a category that stands for single values.
STAR = -2
#: Distances of numbers are whole multiples of 1 / GRID, so that sums do not depend on their order.
GRID = 65_536
_DENSE = 50_000_000  # cells of a table of labels and leaves
_SHARED_ENOUGH = 0.5

#: Makes a release anew: (rows, released rows wanted, seed) -> released rows.
Remake = Callable[[pl.DataFrame, int, int], pl.DataFrame]


@dataclass(frozen=True, eq=False)
class AttackColumn:
    """One column: what each released cell stands for and what each real person has.

    Parameters
    ----------
    name
        Name of the column.
    kind
        "category" or "number".
    released
        Category: code of the label of each released row, shape (n,); ``STAR`` for a suppressed
        cell where ``covers`` is None. Number: empty.
    real
        Category: code of the value of each real row, shape (N,). Number: empty.
    values
        Category: how many values there are; codes of real rows are below it.
    covers
        Category: whether a label could stand for a value, shape (labels, values). None where
        labels and values are the same codes.
    low, high
        Number: the ends of what each released cell stands for, ends included, shape (n,); equal
        for an exact number, -inf and inf for ``*``, nan for a missing one. Category: empty.
    numbers
        Number: the value of each real row, nan where missing, shape (N,). Category: empty.
    width
        Number: the range of the released numbers, in the column's unit; above 0.
    """

    name: str
    kind: Literal["category", "number"]
    released: Integers
    real: Integers
    values: int
    covers: Flags | None
    low: Floats
    high: Floats
    numbers: Floats
    width: float = 1.0

    def stands_for(self, released: npt.NDArray[np.int64], real: npt.NDArray[np.int64]) -> Flags:
        """Return whether released cells could stand for the values of real rows.

        Parameters
        ----------
        released, real
            Row numbers of either side; they broadcast against each other.
        """
        if self.kind == "number":
            low, high, value = self.low[released], self.high[released], self.numbers[real]
            anything = (np.isnan(low) & np.isnan(value)) | ((low == -np.inf) & (high == np.inf))
            return np.asarray(anything | ((low <= value) & (value <= high)))
        if self.covers is not None:
            return np.asarray(self.covers[self.released[released], self.real[real]])
        label = self.released[released]
        return np.asarray((label == self.real[real]) | (label == STAR))

    def cost(
        self, released: npt.NDArray[np.int64], real: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.int32]:
        """Return Gower's distance of cells in units of 1 / GRID, 0 to GRID; broadcasts.

        0 where the cell could stand for the value; GRID for another category and where only one
        side is missing; for numbers the gap to the cell over ``width``, at least 1 unit, at most
        GRID.
        """
        fits = self.stands_for(released, real)
        if self.kind == "category":
            return np.where(fits, 0, GRID).astype(np.int32)
        low, high, value = self.low[released], self.high[released], self.numbers[real]
        gap = np.maximum(np.maximum(low - value, value - high), 0.0) / self.width
        units = np.clip(np.rint(np.nan_to_num(gap, nan=1.0, posinf=1.0) * GRID), 1, GRID)
        return np.where(fits, 0, units).astype(np.int32)


@dataclass(frozen=True, eq=False)
class AttackTables:
    """The released rows, and real rows of members and of controls in one table.

    Parameters
    ----------
    columns
        What can be compared, by name in alphabetical order.
    rows
        Released rows (n).
    member
        Whether each real row is a member's (else a control's), shape (N,); members come first.
    released_frame, real_frame
        The same rows as frames with the same columns, in the same order of rows.
    schema
        Schema of the real rows.
    target
        The column to learn, if it can be compared.
    synthetic
        Whether the released rows were drawn from a model.
    notes
        What could not be compared, a sentence each.
    remake
        Makes a release anew from other rows, by the same technique; None if it is not known.
    source_frame
        The rows of ``real_frame`` with every column that members and controls share, as a
        technique reads them; None if the release cannot be made anew.
    members_in_all, controls_in_all
        People before the number of those attacked was limited.
    """

    columns: tuple[AttackColumn, ...]
    rows: int
    member: Flags
    released_frame: pl.DataFrame = field(repr=False)
    real_frame: pl.DataFrame = field(repr=False)
    schema: Schema = field(repr=False)
    target: str | None = None
    synthetic: bool = False
    notes: tuple[str, ...] = ()
    remake: Remake | None = None
    source_frame: pl.DataFrame | None = field(default=None, repr=False)
    members_in_all: int = 0
    controls_in_all: int = 0

    @property
    def n_members(self) -> int:
        """How many members there are."""
        return int(self.member.sum())

    @property
    def n_controls(self) -> int:
        """How many controls there are."""
        return len(self.member) - self.n_members

    @cached_property
    def by_name(self) -> dict[str, AttackColumn]:
        """The columns by name."""
        return {column.name: column for column in self.columns}

    def equal(self, seed: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return row numbers of equally many members and controls, drawn at random, each sorted."""
        random = np.random.default_rng(seed)
        size = min(self.n_members, self.n_controls)
        members, controls = np.flatnonzero(self.member), np.flatnonzero(~self.member)
        return (
            np.sort(random.choice(members, size, replace=False)),
            np.sort(random.choice(controls, size, replace=False)),
        )

    @classmethod
    def of(
        cls,
        released: pl.DataFrame,
        members: pl.DataFrame,
        controls: pl.DataFrame | None,
        schema: Schema,
        *,
        columns: Sequence[str] | None = None,
        target: str | None = None,
        synthetic: bool = False,
        remake: Remake | None = None,
        most: int | None = None,
        seed: int = 0,
    ) -> AttackTables:
        """Put a release, its members and its controls on one footing.

        Parameters
        ----------
        released
            The released rows, whoever made them.
        members, controls
            Real rows in the words of the source. One row of each person is taken if the schema
            names a person.
        schema
            Of the real rows; its hierarchies tell what generalized cells stand for.
        columns
            Columns to compare; by default all that are shared and are no identifiers.
        target, synthetic, remake
            As the fields.
        most
            Most members and most controls that are attacked, drawn at random; None for all.
        seed
            Of drawing rows.

        Raises
        ------
        SchemaError
            If a named column is absent.
        DataError
            If no column can be compared.
        """
        if controls is None:
            controls = members.clear()
        names = _names(released, members, controls, schema, columns)
        # A technique reads columns that its release does not show.
        kept_too = [] if remake is None else [c for c in members.columns if c in controls.columns]
        wanted = [*names, *(name for name in kept_too if name not in names)]
        taken = [_people(table, wanted, schema.person) for table in (members, controls)]
        n_members = taken[0].height
        read, notes = [], []
        pooled = pl.concat(taken, how="vertical_relaxed")
        for name in names:
            column, note = read_attack_column(name, released, pooled, schema)
            if column is None:
                notes.append(note)
            else:
                read.append(column)
        if not read:
            raise DataError(
                "the release and the real rows have no column in common that could be compared"
            )
        order = _order(read, "released")
        pools = _order(read, "real")
        random = np.random.default_rng(seed)
        chosen = [
            _some(pools[is_member], most, random)
            for is_member in (pools < n_members, pools >= n_members)
        ]
        real_order = np.concatenate(chosen)
        kept = tuple(_reordered(column, order, real_order) for column in read)
        shown = [column.name for column in kept]
        return cls(
            columns=kept,
            rows=released.height,
            member=np.arange(len(real_order)) < len(chosen[0]),
            released_frame=released.select(shown)[order],
            real_frame=pooled.select(shown)[real_order],
            schema=schema,
            target=target if target in shown else None,
            synthetic=synthetic,
            notes=tuple(notes),
            remake=remake,
            source_frame=None if remake is None else pooled.select(kept_too)[real_order],
            members_in_all=n_members,
            controls_in_all=taken[1].height,
        )


def _names(
    released: pl.DataFrame,
    members: pl.DataFrame,
    controls: pl.DataFrame,
    schema: Schema,
    columns: Sequence[str] | None,
) -> list[str]:
    hidden = {*schema.identifiers, schema.person}
    shared = [
        name
        for name in released.columns
        if name in members.columns and name in controls.columns and name not in hidden
    ]
    for name in columns or ():
        if name not in shared:
            hint = did_you_mean(name, shared)
            raise SchemaError(
                f"column {name!r} cannot be attacked: it is an identifier or not in all "
                f"tables.{hint}"
            )
    return sorted(shared if columns is None else set(columns))


def _people(table: pl.DataFrame, names: Sequence[str], person: str | None) -> pl.DataFrame:
    """Return the compared columns, one row a person; a row without a person is one."""
    if person is None or person not in table.columns:
        return table.select(names)
    given = table[person].is_not_null()
    once = table.filter(given).sort(names).unique(person, keep="first", maintain_order=True)
    return pl.concat([once, table.filter(~given)], how="vertical").select(names)


def _some(
    rows: npt.NDArray[np.int64], most: int | None, random: np.random.Generator
) -> npt.NDArray[np.int64]:
    if most is None or len(rows) <= most:
        return rows
    return rows[np.sort(random.choice(len(rows), most, replace=False))]


def read_attack_column(
    name: str, released: pl.DataFrame, real: pl.DataFrame, schema: Schema
) -> tuple[AttackColumn | None, str]:
    """Read one column, or say why it cannot be compared."""
    aligned = align(name, [released[name], real[name]])
    if aligned.kind == "number":
        return _exact_numbers(aligned), ""
    shown, had = aligned.content
    known = np.isin(shown, np.unique(had[had >= 0])) | (aligned.state[0] != PRESENT)
    if known.all():
        return _exact_categories(aligned), ""
    try:
        return _sets(read_column(real, released, schema, name)), ""
    except (DataError, HierarchyError):
        # values that no real row has, such as a generator's own, are values all the same
        if known.mean() >= _SHARED_ENOUGH:
            return _exact_categories(aligned), ""
        return None, (
            f"Column {name!r} is written otherwise than in the real rows and was left out: give "
            "the schema the hierarchy that the release was made with."
        )


def _exact_numbers(aligned: AlignedColumn) -> AttackColumn:
    shown, had = aligned.content
    star = aligned.state[0] == SUPPRESSED
    low, high = shown.astype(np.float64), shown.astype(np.float64)
    low[star], high[star] = -np.inf, np.inf
    return _number(aligned.name, low, high, had.astype(np.float64))


def _number(name: str, low: Floats, high: Floats, numbers: Floats) -> AttackColumn:
    none = np.zeros(0, dtype=np.int32)
    ends = np.concatenate([low, high])
    ends = ends[np.isfinite(ends)]
    width = float(ends.max() - ends.min()) if ends.size else 0.0
    if width <= 0 or not np.isfinite(width):
        width = 1.0
    return AttackColumn(name, "number", none, none, 0, None, low, high, numbers, width)


def _exact_categories(aligned: AlignedColumn) -> AttackColumn:
    """Return a category of single values, numbered by how often they are released.

    So numbered, a new name for a value changes nothing.
    """
    shown, had = aligned.content
    labels = len(aligned.labels)
    often = np.bincount(shown[shown >= 0].astype(np.int64), minlength=labels)
    also = np.bincount(had[had >= 0].astype(np.int64), minlength=labels)
    place = np.empty(labels + 1, dtype=np.int32)
    place[np.lexsort((np.arange(labels), -also, -often))] = np.arange(labels, dtype=np.int32)
    place[labels] = labels  # missing
    codes: list[Integers] = []
    for content, state in zip(aligned.content, aligned.state, strict=True):
        where = np.where(state == MISSING, labels, content.astype(np.int64))
        code = place[where]
        # a real cell "*" is one whose value is not known
        code[state == SUPPRESSED] = STAR if not codes else labels
        codes.append(code.astype(np.int32))
    return _category(aligned.name, codes[0], codes[1], labels + 1, None)


def _category(
    name: str, released: Integers, real: Integers, values: int, covers: Flags | None
) -> AttackColumn:
    none = np.zeros(0, dtype=np.float64)
    return AttackColumn(name, "category", released, real, values, covers, none, none, none)


def _sets(cells: ReleasedColumn) -> AttackColumn:
    meanings, domain = cells.meanings, cells.domain
    leaves = cells.leaf_of_real
    missing = domain.ladder.n_leaves - 1 if domain.ladder.has_missing else -1
    of_row = cells.of_row
    if domain.numbers is not None and domain.rising and not meanings.sets:
        known = domain.numbers
        low, high = meanings.low.copy(), meanings.high.copy()
        held = (meanings.last >= meanings.first) & ~meanings.everything
        inside = held & (meanings.last < domain.ladder.domain_size)
        low[inside], high[inside] = known[meanings.first[inside]], known[meanings.last[inside]]
        low[meanings.everything], high[meanings.everything] = -np.inf, np.inf
        if missing >= 0:
            at_missing = held & (meanings.first == missing)
            low[at_missing] = high[at_missing] = np.nan
        return _number(cells.name, low[of_row], high[of_row], known[leaves])
    n_labels, n_leaves = len(meanings.first), domain.ladder.n_leaves
    if n_labels * n_leaves > _DENSE:
        raise DataError(
            f"column {cells.name!r}: {n_labels:,} labels of {n_leaves:,} values are too many to "
            "compare; give the column a hierarchy with fewer leaves or leave it out"
        )
    every = np.arange(n_leaves)
    covers = (meanings.first[:, None] <= every) & (every <= meanings.last[:, None])
    for label, codes in meanings.sets.items():
        covers[label] = False
        covers[label, codes] = True
    covers[meanings.everything] = True
    return _category(cells.name, of_row.astype(np.int32), leaves.astype(np.int32), n_leaves, covers)


def _order(columns: Sequence[AttackColumn], side: str) -> npt.NDArray[np.int64]:
    """Return the rows of one side in the order of their codes and numbers."""
    keys: dict[str, npt.NDArray[np.int32] | Floats] = {}
    for place, column in enumerate(columns):
        if column.kind == "category":
            keys[f"{place}"] = column.released if side == "released" else column.real
        elif side == "released":
            keys[f"{place}"], keys[f"{place} high"] = column.low, column.high
        else:
            keys[f"{place}"] = column.numbers
    rows = pl.DataFrame(keys).with_row_index("row")
    order: npt.NDArray[np.int64] = (
        rows.sort([*keys, "row"], nulls_last=True)["row"].to_numpy().astype(np.int64)
    )
    return order


def _reordered(
    column: AttackColumn, released: npt.NDArray[np.int64], real: npt.NDArray[np.int64]
) -> AttackColumn:
    if column.kind == "category":
        return _category(
            column.name,
            column.released[released],
            column.real[real],
            column.values,
            column.covers,
        )
    return _number(column.name, column.low[released], column.high[released], column.numbers[real])
