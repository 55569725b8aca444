"""Classes of equal quasi-identifiers, counted from cells as texts.

Every column becomes small integers first, the integers of a row become one key, and equal keys are
counted: in a table as long as there are possible keys where that is short, else by sorting.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import polars as pl

__all__ = ["Tally", "Values"]

Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

_STAR = "*"
_SHORT = 1 << 20  # a table of so many possible keys is always short enough to be laid out


@dataclass(frozen=True, eq=False)
class Values:
    """How often each value of a sensitive column occurs in each class, absent pairs left out.

    Parameters
    ----------
    classes, values, counts
        Arrays of one length: class, value, and its rows (or persons) there, at least 1; sorted by
        class.
    labels
        The text of each value, null for a missing cell, which is a value like any other.
    overall
        Rows (or persons) of each value in the whole table, suppressed rows among them, shape
        (n_values,).
    """

    classes: Integers
    values: Integers
    counts: Integers
    labels: pl.Series
    overall: Integers

    def kept(self, classes: Flags) -> Values:
        """Return the counts of some classes, renumbered; the whole table stays what it is."""
        number = np.cumsum(classes) - 1
        entries = classes[self.classes]
        return replace(
            self,
            classes=number[self.classes[entries]],
            values=self.values[entries],
            counts=self.counts[entries],
        )


@dataclass(frozen=True, eq=False)
class Tally:
    """Classes of a table.

    Parameters
    ----------
    sizes
        Persons (where a person column is named) or rows of each class, shape (n_classes,).
    rows
        Rows of each class.
    starred
        Which classes have "*" in every quasi-identifier: at most one.
    labels
        The quasi-identifiers of each class.
    sensitive
        The counted values of each sensitive column asked for.
    people, suppressed
        Sum of the sizes, and rows with "*" in every quasi-identifier, of the whole table; these
        stay what they are where the suppressed rows are left out.
    in_persons
        Whether sizes and counts are persons.
    """

    sizes: Integers
    rows: Integers
    starred: Flags
    labels: pl.DataFrame
    sensitive: Mapping[str, Values] = field(default_factory=dict)
    people: int = 0
    suppressed: int = 0
    in_persons: bool = False

    @classmethod
    def of(
        cls,
        cells: pl.DataFrame,
        quasi_identifiers: Sequence[str],
        sensitive: Sequence[str] = (),
        person: str | None = None,
    ) -> Tally:
        """Count the classes of a table.

        Parameters
        ----------
        cells
            Columns of texts.
        quasi_identifiers
            What a class has in common; with none of them all rows are one class.
        sensitive
            Columns whose values are counted in each class.
        person
            The column that says whose row it is; rows that lack it are one person together.
        """
        of_row, n_classes = _classes(cells, quasi_identifiers)
        rows = np.bincount(of_row, minlength=n_classes)
        persons = None if person is None else _coded(cells[person])
        sizes = rows
        if persons is not None:
            classes, _ = np.divmod(_keys(of_row, *persons)[0], persons[1])
            sizes = np.bincount(classes, minlength=n_classes)
        anyone = np.empty(n_classes, dtype=np.int64)
        anyone[of_row] = np.arange(len(of_row))
        labels = cells.select(quasi_identifiers)[anyone] if quasi_identifiers else pl.DataFrame()
        starred = _starred(labels, n_classes)
        return cls(
            sizes.astype(np.int64),
            rows.astype(np.int64),
            starred,
            labels,
            {name: _values(cells[name], of_row, persons) for name in dict.fromkeys(sensitive)},
            people=int(sizes.sum()),
            suppressed=int(rows[starred].sum()),
            in_persons=persons is not None,
        )

    def __len__(self) -> int:
        return len(self.sizes)

    @property
    def smallest(self) -> int | None:
        """The size of the smallest class, or None if there is none."""
        return int(self.sizes.min()) if len(self) else None

    def without_suppressed(self) -> Tally:
        """Return the other classes; what the whole table looks like stays with them."""
        stay = ~self.starred
        return replace(
            self,
            sizes=self.sizes[stay],
            rows=self.rows[stay],
            starred=self.starred[stay],
            labels=self.labels.filter(stay) if self.labels.width else self.labels,
            sensitive={name: values.kept(stay) for name, values in self.sensitive.items()},
        )


def _starred(labels: pl.DataFrame, n_classes: int) -> Flags:
    if not labels.width or labels.is_empty():
        return np.zeros(n_classes, dtype=np.bool_)
    stars = (pl.col(name).eq_missing(pl.lit(_STAR)) for name in labels.columns)
    return labels.select(pl.all_horizontal(*stars).alias("starred")).to_series().to_numpy()


def _coded(column: pl.Series) -> tuple[Integers, int]:
    """Return a column of texts as integers from 0, and their number; a missing cell has its own."""
    texts = column.cast(pl.Categorical(pl.Categories.random())).to_physical()
    highest = texts.max()
    number = int(highest) + 1 if isinstance(highest, int) else 0
    codes = texts.cast(pl.Int64).fill_null(number).to_numpy()
    return codes, number + bool(texts.null_count())


def _classes(cells: pl.DataFrame, names: Sequence[str]) -> tuple[Integers, int]:
    """Return the class of each row, numbered from 0, and how many there are."""
    of_row = np.zeros(cells.height, dtype=np.int64)
    number = min(cells.height, 1)
    for name in names:
        codes, values = _coded(cells[name])
        if number * values > max(_SHORT, 4 * cells.height):
            of_row, number = _numbered(of_row, number)
        of_row *= values
        of_row += codes
        number *= values
    return _numbered(of_row, number)


def _numbered(keys: Integers, possible: int) -> tuple[Integers, int]:
    """Return keys as numbers without a gap, and how many differ."""
    if possible <= max(_SHORT, 4 * len(keys)):
        there = np.bincount(keys, minlength=possible) > 0
        number = np.cumsum(there) - 1
        return number[keys], int(there.sum())
    distinct, of_row = np.unique(keys, return_inverse=True)
    return of_row, len(distinct)


def _keys(of_row: Integers, codes: Integers, values: int) -> tuple[Integers, Integers]:
    """Return the distinct keys ``class * values + code``, sorted, and how often each occurs."""
    keys = of_row * values + codes
    possible = (int(of_row.max()) + 1) * values if len(of_row) else 0
    if possible <= max(_SHORT, 4 * len(keys)):
        counts = np.bincount(keys, minlength=possible)
        there = np.flatnonzero(counts)
        return there, counts[there]
    distinct, counts = np.unique(keys, return_counts=True)
    return distinct, counts


def _values(column: pl.Series, of_row: Integers, persons: tuple[Integers, int] | None) -> Values:
    codes, number = _coded(column)
    anywhere = np.empty(number, dtype=np.int64)
    anywhere[codes] = np.arange(len(codes))
    keys, counts = _keys(of_row, codes, number)
    if persons is not None:
        # A person with the value in several rows of a class is one person of it.
        place = np.searchsorted(keys, of_row * number + codes)
        pairs, _ = np.divmod(_keys(place, *persons)[0], persons[1])
        counts = np.bincount(pairs, minlength=len(keys))
    classes, values = np.divmod(keys, max(number, 1))
    overall = np.bincount(values, weights=counts, minlength=number).astype(np.int64)
    return Values(classes, values, counts.astype(np.int64), column.gather(anywhere), overall)
