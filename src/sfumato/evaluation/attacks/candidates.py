"""Which released rows could be a person's, by what the person's cells could stand for.

Rows with the same quasi-identifiers are one class. A person could be in every class whose cells
could stand for her values: in one class of a partition, in several where outlines overlap. Rows
that show no quasi-identifier at all could be anybody's; they are left out while others are shown,
since an attacker gains nothing from them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from sfumato.evaluation.attacks.coded_cells import CodedCells, Side
from sfumato.evaluation.attacks.tables import STAR, AttackColumn, AttackTables
from sfumato.table.counting import count_tuples

__all__ = ["CandidateClasses", "Candidates", "Labels", "candidates", "labels_of"]

Codes = npt.NDArray[np.int32]
Rows = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

_NOBODY = np.iinfo(np.int32).max - 2
_EVERYTHING = np.iinfo(np.int32).max
_NUMBERS_AS_VALUES = 50
_TABLE = 50_000_000  # cells of a table of labels and values
_SHARES = (0.5, 0.9, 0.99, 1.0)  # of the classes that are found by an index


@dataclass(frozen=True, eq=False)
class Labels:
    """What a column to learn says in each released row, and what is right of each person.

    Parameters
    ----------
    released
        Label of each released row, shape (n,); the last label is that of suppressed cells.
    real
        Value of each real row, shape (N,).
    labels
        How many labels there are, the suppressed one among them.
    right
        Whether a label is right of a value, shape (labels, values); None where they are the same
        codes.
    """

    released: Codes
    real: Codes
    labels: int
    right: Flags | None

    @property
    def suppressed(self) -> int:
        """The label of suppressed cells."""
        return self.labels - 1

    def is_right(self, label: Codes, value: Codes) -> Flags:
        """Return whether labels are right of values; that of suppressed cells never is."""
        said = label != self.suppressed
        if self.right is None:
            return np.asarray(said & (label == value))
        return np.asarray(said & self.right[label, value])


@dataclass(frozen=True, eq=False)
class Candidates:
    """The labels that each person's candidate rows carry.

    Parameters
    ----------
    starts
        The labels of person p are those from ``starts[p]`` to ``starts[p + 1]``, shape (N + 1,).
    labels, counts
        Each label, and how many candidate rows carry it.
    """

    starts: Rows
    labels: Codes
    counts: Rows

    @property
    def person(self) -> Rows:
        """The person of each label."""
        return np.repeat(np.arange(len(self.starts) - 1), np.diff(self.starts))


def labels_of(column: AttackColumn, bins: int) -> Labels | None:
    """Return a column as labels to be learned.

    Parameters
    ----------
    column
        The column. Many different numbers are read in bins of as many released rows each; intervals
        of numbers are labels of their own.
    bins
        How many.

    Returns
    -------
    Labels or None
        None if labels and values are too many to be compared.
    """
    if column.kind == "number":
        return _labels_of_numbers(column, bins)
    if column.covers is None:
        labels = np.where(column.released == STAR, column.values, column.released)
        return Labels(labels.astype(np.int32), column.real, column.values + 1, None)
    everything: Flags = np.asarray(column.covers.all(axis=1))
    last = len(column.covers)
    labels = np.where(everything[column.released], last, column.released).astype(np.int32)
    return Labels(labels, column.real, last + 1, _with_suppressed(column.covers))


def _with_suppressed(right: Flags) -> Flags:
    return np.vstack([right, np.ones((1, right.shape[1]), dtype=np.bool_)])


def _labels_of_numbers(column: AttackColumn, bins: int) -> Labels | None:
    low, high = column.low, column.high
    star = np.asarray((low == -np.inf) & (high == np.inf))
    exact = ((low == high) | np.isnan(low) | star).all()
    if not exact:
        values, real = np.unique(column.numbers, return_inverse=True)
        pairs, label = np.unique(
            np.stack([low[~star], high[~star]], axis=1), axis=0, return_inverse=True
        )
        if len(pairs) * len(values) > _TABLE:
            return None
        right = (pairs[:, :1] <= values) & (values <= pairs[:, 1:])
        right |= np.isnan(pairs[:, :1]) & np.isnan(values)
        labels = np.full(len(low), len(pairs), dtype=np.int32)
        labels[~star] = label.ravel()
        return Labels(labels, real.astype(np.int32), len(pairs) + 1, _with_suppressed(right))
    shown = np.sort(low[np.isfinite(low)])
    edges = np.unique(shown)
    if len(edges) > _NUMBERS_AS_VALUES:
        # bins end at released numbers, so that a change of unit changes nothing
        edges = np.unique(shown[(np.arange(bins) * len(shown)) // bins])
        codes = [np.searchsorted(edges, one, side="right") for one in (low, column.numbers)]
        missing = len(edges) + 1
    else:
        edges = np.unique(np.append(edges, column.numbers[~np.isnan(column.numbers)]))
        codes = [np.searchsorted(edges, one) for one in (low, column.numbers)]
        missing = len(edges)
    for code, numbers in zip(codes, (low, column.numbers), strict=True):
        code[np.isnan(numbers)] = missing
    codes[0][star] = missing + 1
    return Labels(codes[0].astype(np.int32), codes[1].astype(np.int32), missing + 2, None)


def candidates(tables: AttackTables, known: Sequence[str], labels: Labels) -> Candidates:
    """Return the labels of the released rows that could be each person's.

    Parameters
    ----------
    tables
        The release and its real rows.
    known
        What the attacker knows: columns of ``tables``, at least one.
    labels
        What the released rows say.
    """
    return CandidateClasses.of(tables, known).labelled(labels)


@dataclass(frozen=True, eq=False)
class CandidateClasses:
    """Classes of released rows alike in what is known, ready to be looked up for each person.

    Parameters
    ----------
    low, high
        Ends of each class in codes, shape (K, q).
    blank
        Whether a class shows nothing of what is known, shape (K,).
    of_row
        The class of each released row, shape (n,).
    people
        The real rows, in the same codes.
    order, begins, ends, wide
        Person p can only be in classes ``order[begins[p]:ends[p]]`` or in one of ``wide``.
    """

    low: Codes
    high: Codes
    blank: Flags
    of_row: Rows
    people: Side
    order: Rows
    begins: Rows
    ends: Rows
    wide: Rows

    @classmethod
    def of(cls, tables: AttackTables, known: Sequence[str]) -> CandidateClasses:
        """Make the classes of a release; parameters as of :func:`candidates`."""
        cells = _cells(tables, known)
        low, high, blank, of_row = _classes(cells)
        side = cells.real
        index = _index(low, high, side.low, side.table_starts)
        return cls(low, high, blank, of_row, side, *index)

    def labelled(self, labels: Labels) -> Candidates:
        """Return the labels of the released rows that could be each person's.

        Parameters
        ----------
        labels
            What the released rows say.
        """
        from sfumato.evaluation.attacks.homogeneity_kernels import count_candidates

        entries = count_tuples(
            [self.of_row.astype(np.uint32), labels.released.astype(np.uint32)],
            [max(len(self.low), 1), labels.labels],
            len(self.of_row),
            inverse=False,
        )
        of_entry = entries.distinct[:, 0].astype(np.int64)
        label, count = entries.distinct[:, 1].astype(np.int32), entries.counts
        if self.blank.any() and not self.blank.all():
            shown = ~self.blank[of_entry]
            of_entry, label, count = of_entry[shown], label[shown], count[shown]
        entry_starts = np.concatenate(
            [[0], np.cumsum(np.bincount(of_entry, minlength=len(self.low)))]
        )
        side = self.people
        starts = np.zeros(len(side.low) + 1, dtype=np.int64)
        found_labels, found_counts = np.zeros(0, dtype=np.int32), np.zeros(0, dtype=np.int64)
        for writes in (False, True):
            count_candidates(
                self.low,
                self.high,
                side.tables,
                side.table_starts,
                side.table_widths,
                side.low,
                self.order,
                self.begins,
                self.ends,
                self.wide,
                entry_starts.astype(np.int64),
                label,
                count.astype(np.int64),
                starts,
                found_labels,
                found_counts,
                writes,
            )
            if not writes:
                starts = np.cumsum(starts)
                found_labels = np.zeros(starts[-1], dtype=np.int32)
                found_counts = np.zeros(starts[-1], dtype=np.int64)
        return Candidates(starts, found_labels, found_counts)


def _cells(tables: AttackTables, known: Sequence[str]) -> CodedCells:
    columns = tuple(tables.by_name[name] for name in known)
    return CodedCells.of(replace(tables, columns=columns), np.arange(len(tables.member)))


def _classes(cells: CodedCells) -> tuple[Codes, Codes, Flags, Rows]:
    """Return the ends of each class, whether all its cells could be anything, and each row's."""
    side = cells.released
    low, high = side.low.copy(), side.high.copy()
    anything = np.asarray(~cells.told & ~cells.hollow)
    low[anything], high[anything] = -1, _EVERYTHING
    nobody = np.asarray(cells.hollow & (side.table_starts < 0))  # else the table of sets says so
    low[nobody], high[nobody] = _NOBODY, -1
    blank: Flags = np.asarray(anything.all(axis=1))
    columns = [low[:, place] + 1 for place in range(low.shape[1])]
    intervals = np.flatnonzero((low != high).any(axis=0) & (side.table_starts < 0))
    columns += [
        np.where(high[:, place] == _EVERYTHING, 0, high[:, place] + 1) for place in intervals
    ]
    counted = count_tuples(
        [column.astype(np.uint32) for column in columns],
        [int(column.max(initial=0)) + 1 for column in columns],
        len(low),
        inverse=True,
    )
    of_row = counted.inverse if counted.inverse is not None else np.zeros(0, dtype=np.int64)
    classes = len(counted.counts)
    member = np.zeros(classes, dtype=np.int64)
    member[of_row] = np.arange(len(low))  # any row of the class
    return low[member], high[member], blank[member], of_row


def _index(
    low: Codes, high: Codes, people: Codes, table_starts: Rows
) -> tuple[Rows, Rows, Rows, Rows]:
    """Return for each person the classes that come into question by the most telling column.

    Classes are sorted by their lower end, and those that are wide in the column are set apart.
    """
    every = np.arange(len(low))
    begin = np.zeros(len(people), dtype=np.int64)
    best = (every, begin, np.full(len(people), len(low), dtype=np.int64), every[:0])
    least = float(len(low)) * len(people)
    for column in np.flatnonzero(table_starts < 0):
        width = np.maximum(high[:, column].astype(np.int64) - low[:, column], 0)
        value = people[:, column].astype(np.int64)
        for width_most in (
            np.unique(np.quantile(width, _SHARES, method="lower")) if len(low) else ()
        ):
            narrow = every[width <= width_most]
            narrow = narrow[np.argsort(low[narrow, column], kind="stable")]
            ordered = low[narrow, column].astype(np.int64)
            begins = np.searchsorted(ordered, value - width_most, side="left")
            ends = np.searchsorted(ordered, value, side="right")
            wide = every[width > width_most]
            work = float((ends - begins).sum()) + float(len(wide)) * len(people)
            if work < least:
                least, best = work, (narrow, begins, ends, wide)
    return best
