"""The recoding of every technique that ends in classes of people who share their labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import polars as pl

from sfumato.anonymization.boxes import Boxes
from sfumato.anonymization.people_coding import CodedPeople, sensitive_columns
from sfumato.anonymization.recoding import ColumnChange, Recoding
from sfumato.anonymization.released import (
    checked_columns,
    labelled_changes,
    labelled_schema,
)
from sfumato.errors import GuaranteeNotMet, InternalError
from sfumato.privacy import Criterion
from sfumato.table import Schema
from sfumato.table.counting import count_tuples

__all__ = ["ClassRecoding", "Placement"]

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Placement:
    """Which class the rows of each entry go to; an entry may be parted between classes.

    Parameters
    ----------
    entry, of_class, rows
        Arrays of one length: an entry of the coded people, a class (numbered from 0, without
        gaps), and how many rows of that entry are in that class (at least 1).
    """

    entry: Integers
    of_class: Integers
    rows: Integers

    @classmethod
    def whole(cls, people: CodedPeople, of_class: npt.ArrayLike) -> Self:
        """Return the placement in which no entry is parted.

        Parameters
        ----------
        people
            The entries (m).
        of_class
            The class of each entry, shape (m,).
        """
        classes = np.unique(np.asarray(of_class, dtype=np.int64), return_inverse=True)[1]
        return cls(np.arange(len(people)), classes.astype(np.int64), people.rows.copy())

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return int(self.of_class.max(initial=-1)) + 1

    def extremes(self, people: CodedPeople) -> tuple[Integers, Integers]:
        """Return the least and the greatest code of each class, each of shape (n_classes, q)."""
        order = np.argsort(self.of_class, kind="stable")
        starts = np.flatnonzero(np.diff(self.of_class[order], prepend=-1))
        codes = people.codes[self.entry[order]].astype(np.int64)
        if not len(starts):
            return codes, codes
        return np.minimum.reduceat(codes, starts), np.maximum.reduceat(codes, starts)


@dataclass(frozen=True, eq=False)
class ClassRecoding(Recoding):
    """Everybody carries the labels of a class: per column what all its people have in common.

    Parameters
    ----------
    technique
        What made the classes, in words, such as "local recoding".
    criteria
        What every class keeps.
    schema
        The schema of the source table.
    boxes
        The classes (c): their labels, and which values they hold.
    sizes
        People of each class at fitting, shape (c,).
    entries
        A row for each part of a fitted entry: the text of each quasi-identifier ("0", "1", ...),
        of each sensitive value that a criterion counts ("s0", ...), whether the row is the first
        of its person ("first", only where persons have several rows), ``class`` and ``rows``.
    counted
        The sensitive columns that entries tell apart.
    notes
        What else is to be said about how the classes were found, a sentence each.
    """

    technique: str
    criteria: tuple[Criterion, ...]
    schema: Schema
    boxes: Boxes
    sizes: Integers
    entries: pl.DataFrame
    counted: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        table: pl.DataFrame,
        people: CodedPeople,
        placement: Placement,
        schema: Schema,
        criteria: Sequence[Criterion],
        technique: str,
        notes: Sequence[str] = (),
    ) -> Self:
        """Put labels on classes.

        Parameters
        ----------
        table
            The rows that were coded.
        people, placement
            The entries, and the class of each of their rows.
        schema, criteria
            The checked schema; what every class keeps.
        technique, notes
            What is said about how the classes were found.

        Raises
        ------
        InternalError
            If the placement does not place every row once.
        """
        placed = np.bincount(placement.entry, placement.rows, len(people)).astype(np.int64)
        if not np.array_equal(placed, people.rows):
            raise InternalError("a placement must place every row once")
        low, high = placement.extremes(people)
        boxes, class_of_box = Boxes.of(people.scales, low, high)
        # classes of the same labels are one class to whoever reads the release
        of_class = class_of_box[placement.of_class]
        unit = np.where(people.rows > 0, people.weights / np.maximum(people.rows, 1), 0)
        weighted = placement.rows * unit[placement.entry]
        sizes = np.bincount(of_class, weighted, len(boxes)).astype(np.int64)
        counted = sensitive_columns(criteria, schema)
        first_row = np.full(len(people), -1, dtype=np.int64)
        first_row[people.of_row[::-1]] = np.arange(table.height - 1, -1, -1)
        parts = (
            pl.DataFrame({"entry": placement.entry, "class": of_class, "rows": placement.rows})
            .group_by("entry", "class", maintain_order=True)
            .agg(pl.col("rows").sum())
        )
        keys = _keys(table, boxes, counted, schema)
        told = keys[first_row[parts["entry"].to_numpy()]]
        entries = told.with_columns(parts["class"], parts["rows"])
        return cls(
            technique,
            tuple(criteria),
            schema,
            boxes,
            sizes,
            entries,
            counted,
            tuple(notes),
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ClassRecoding):
            return NotImplemented
        return self.to_dict() == other.to_dict()

    def __hash__(self) -> int:
        return hash((self.technique, self.criteria, len(self.sizes)))

    @property
    def promises(self) -> tuple[Criterion, ...]:
        """What every class of the fitted rows keeps."""
        return self.criteria

    @property
    def silent_share(self) -> float:
        """Share of the fitted rows of which no quasi-identifier says anything."""
        silent = np.flatnonzero(self.boxes.silent)
        rows = int(self.entries.filter(pl.col("class").is_in(silent))["rows"].sum())
        return rows / max(int(self.entries["rows"].sum()), 1)

    def refuse_silence(self, limit: float) -> None:
        """Raise if more rows than a share of all say nothing in every quasi-identifier.

        Raises
        ------
        GuaranteeNotMet
            With both shares.
        """
        share = self.silent_share
        if share > limit:
            raise GuaranteeNotMet(
                f"{100 * share:.3g} % of the rows would be suppressed, and suppression_limit "
                f"allows {100 * limit:.3g} %: allow more, or ask less of the classes"
            )

    def recode(self, table: pl.DataFrame) -> pl.DataFrame:
        """Return the recoded rows: each carries the labels of its class.

        A row that is as one of the fitted ones goes to its class, in the order of the rows where
        these were parted between classes. Any other goes to the class that holds its values and
        says most; if there is none, it is suppressed: every quasi-identifier becomes ``*``.

        Raises
        ------
        DataError
            If a column that is released is absent, or one is unknown.
        HierarchyError
            If a value is not held by a column's hierarchy.
        """
        kept = [name for name in self.schema.columns if name not in self.schema.identifiers]
        checked_columns(table, self.schema, kept)
        of_class = self._classes(table)
        labels = self.boxes.labels(of_class)
        return table.select(kept).with_columns(labels.get_columns())

    def _classes(self, table: pl.DataFrame) -> Integers:
        """Return the class of each row, -1 where none holds it."""
        known = [name for name in self.entries.columns if name not in ("class", "rows")]
        keys = _keys(table, self.boxes, self.counted, self.schema)
        if "first" in known and "first" not in keys.columns:
            keys = keys.with_columns(pl.lit(value=True).alias("first"))
        of_part, of_row = _same_numbers(self.entries.select(known), keys.select(known))
        order = np.argsort(of_part, kind="stable")
        parts = of_part[order]
        upto = np.cumsum(self.entries["rows"].to_numpy()[order])
        first = np.searchsorted(parts, of_row, side="left")
        last = np.searchsorted(parts, of_row, side="right") - 1
        held = last >= first
        # the rows of an entry fill its parts one after the other; what is over goes to the last
        before = np.append(0, upto)[np.minimum(first, len(upto))]
        place = np.searchsorted(upto, before + _rank_among_equals(of_row), side="right")
        part = order[np.minimum(place, np.maximum(last, 0))]
        found = np.where(held, self.entries["class"].to_numpy()[part], -1)
        strange = np.flatnonzero(found < 0)
        if len(strange):
            # from all rows rather than the strange ones, so that an error counts rows
            found[strange] = self.boxes.holding(table, strange)
        return found

    def describe(self) -> tuple[ColumnChange, ...]:
        """Return what is done to each column, and why."""
        smallest = int(self.sizes.min()) if len(self.sizes) else 0
        found = f"{self.technique}: {len(self.sizes):,} classes of people, the smallest of "
        said = {
            name: f"{how} ({found}{smallest:,})"
            for name, how in self.boxes.describe(self.sizes).items()
        }
        first = next(iter(said))
        said[first] = "; ".join([said[first], *self.notes])
        return labelled_changes(self.schema, said)

    def released_schema(self) -> Schema:
        """Return the schema of the release: quasi-identifiers are categories."""
        return labelled_schema(self.schema)

    def to_dict(self) -> dict[str, Any]:
        """Return the recoding as plain JSON values."""
        return {
            "technique": self.technique,
            "criteria": [criterion.to_dict() for criterion in self.criteria],
            "schema": self.schema.to_dict(),
            "boxes": self.boxes.to_dict(),
            "sizes": self.sizes.tolist(),
            "entries": self.entries.to_dict(as_series=False),
            "counted": list(self.counted),
            "notes": list(self.notes),
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Return the recoding that :meth:`to_dict` described."""
        types = {"first": pl.Boolean, "class": pl.Int64, "rows": pl.Int64}
        return cls(
            values["technique"],
            tuple(Criterion.from_dict(one) for one in values["criteria"]),
            Schema.from_dict(values["schema"]),
            Boxes.from_dict(values["boxes"]),
            np.asarray(values["sizes"], dtype=np.int64),
            pl.DataFrame(
                values["entries"],
                schema={name: types.get(name, pl.String) for name in values["entries"]},
            ),
            tuple(values["counted"]),
            tuple(values["notes"]),
        )


def _keys(
    table: pl.DataFrame, boxes: Boxes, counted: Sequence[str], schema: Schema
) -> pl.DataFrame:
    """Return what tells the entries apart, as texts under names of our own."""
    keys = [
        side.keys(table[side.name]).alias(str(number)) for number, side in enumerate(boxes.sides)
    ]
    keys += [table[name].cast(pl.String).alias(f"s{number}") for number, name in enumerate(counted)]
    person = schema.person
    if person is not None and person in table.columns:
        first = table[person].is_first_distinct()
        if not first.all():
            keys.append(first.alias("first"))
    return pl.DataFrame(keys)


def _same_numbers(entries: pl.DataFrame, rows: pl.DataFrame) -> tuple[Integers, Integers]:
    """Return a number for each entry and each row, equal where they have the same keys."""
    columns, radices = [], []
    for known, given in zip(entries.iter_columns(), rows.iter_columns(), strict=True):
        words = known.unique()
        numbers = pl.DataFrame({"word": words}).with_row_index("number")
        both = pl.concat([known, given.alias(known.name)]).to_frame("word")
        numbered = both.join(
            numbers, on="word", how="left", nulls_equal=True, maintain_order="left"
        )
        # what no entry has is equal to nothing
        columns.append(numbered["number"].fill_null(len(words)).to_numpy())
        radices.append(len(words) + 1)
    total = entries.height + rows.height
    inverse = count_tuples(columns, radices, total, inverse=True).inverse
    if inverse is None:
        raise InternalError("tuples were counted without their numbers")
    return inverse[: entries.height], inverse[entries.height :]


def _rank_among_equals(numbers: Integers) -> Integers:
    """Return how many earlier ones have the same number, shape (n,)."""
    order = np.argsort(numbers, kind="stable")
    sorted_numbers = numbers[order]
    starts = np.flatnonzero(np.diff(sorted_numbers, prepend=-1))
    lengths = np.diff(starts, append=len(numbers))
    rank = np.empty(len(numbers), dtype=np.int64)
    rank[order] = np.arange(len(numbers)) - np.repeat(starts, lengths)
    return rank
