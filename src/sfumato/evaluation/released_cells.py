"""A released table read label by label, beside the real rows it was made from.

Everything is counted once here: the distinct labels of each quasi-identifier with what they stand
for, how many rows carry them, the classes of rows that carry the same labels. The measures of
information loss work on these counts and never look at a row again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import polars as pl

from sfumato.errors import DataError, SchemaError, did_you_mean
from sfumato.evaluation.label_meanings import Domain, LabelMeanings, Reach, read_labels
from sfumato.table import Hierarchy, Schema
from sfumato.table.counting import count_tuples
from sfumato.table.hierarchies.keys import match_keys, texts_of
from sfumato.table.hierarchies.ladder import MISSING_LABEL, SUPPRESSED

__all__ = ["ReleasedCells", "ReleasedColumn", "read_cells", "read_column"]

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class ReleasedColumn:
    """One quasi-identifier of a release.

    Parameters
    ----------
    name
        Its name in the schema.
    meanings
        What each distinct label stands for (n_labels).
    of_row
        The label of each released row, shape (n,).
    star, missing
        The labels of suppressed cells and of cells that are missing in the real table too; -1 if
        no cell is missing there.
    real_counts
        How many real rows hold each leaf, shape (n_leaves,).
    leaf_of_row
        The leaf of the real row of each released row, shape (n,); None if the rows are not paired.
    leaf_of_real
        The leaf of each real row.
    """

    name: str
    meanings: LabelMeanings
    of_row: Integers
    star: int
    missing: int
    real_counts: Floats
    leaf_of_row: Integers | None
    leaf_of_real: Integers

    @property
    def domain(self) -> Domain:
        """The values that the column can take."""
        return self.meanings.domain

    @property
    def hidden(self) -> Flags:
        """Which labels are those of suppressed cells: ``*``."""
        return self.meanings.everything

    @cached_property
    def counts(self) -> Floats:
        """How many released rows carry each label, unweighted, shape (n_labels,)."""
        return np.bincount(self.of_row, minlength=len(self.meanings.first)).astype(np.float64)

    @cached_property
    def real_rows(self) -> Floats:
        """How many real rows each label could stand for, shape (n_labels,)."""
        return self.meanings.under(self.real_counts)


@dataclass(frozen=True, eq=False)
class ReleasedCells:
    """The quasi-identifiers of a release, read.

    Parameters
    ----------
    columns
        One for each quasi-identifier.
    rows
        Released rows (n), unweighted.
    weights
        How many people each released row stands for, shape (n,).
    real_rows
        Rows of the real table.
    paired
        Whether the real row of each released row is known.
    why_not_paired
        If not, why, and what to do, as half a sentence.
    real, released
        The tables, the real one with a row for each released one if they are paired.
    """

    columns: tuple[ReleasedColumn, ...]
    rows: int
    weights: Floats
    real_rows: int
    paired: bool
    why_not_paired: str
    real: pl.DataFrame
    released: pl.DataFrame

    @cached_property
    def total(self) -> float:
        """The people that all rows stand for."""
        return float(self.weights.sum())

    @cached_property
    def suppressed(self) -> Flags:
        """Which rows have every quasi-identifier suppressed, shape (n,)."""
        hidden = [column.hidden[column.of_row] for column in self.columns]
        gone: Flags = np.logical_and.reduce(hidden)
        return gone

    @cached_property
    def suppressed_weight(self) -> float:
        """The people of the suppressed rows."""
        return float(self.weights[self.suppressed].sum())

    @cached_property
    def class_of_row(self) -> Integers:
        """The class of each row: rows whose labels are all the same, shape (n,)."""
        counted = count_tuples(
            [column.of_row.astype(np.uint32) for column in self.columns],
            [len(column.meanings.first) for column in self.columns],
            self.rows,
            inverse=True,
        )
        if counted.inverse is None:  # pragma: no cover (asked for)
            raise ValueError("the classes of the rows were asked for")
        return counted.inverse

    @cached_property
    def class_sizes(self) -> Floats:
        """The people of each class."""
        sizes: Floats = np.bincount(self.class_of_row, self.weights).astype(np.float64)
        return sizes

    @cached_property
    def class_suppressed(self) -> Flags:
        """Whether a class is that of the suppressed rows."""
        flags = np.zeros(len(self.class_sizes), dtype=np.bool_)
        flags[self.class_of_row[self.suppressed]] = True
        return flags

    def weight_of_labels(self, column: ReleasedColumn) -> Floats:
        """Return how many people carry each label of a column."""
        n_labels = len(column.meanings.first)
        return np.bincount(column.of_row, self.weights, n_labels).astype(np.float64)

    @cached_property
    def full_domain_levels(self) -> tuple[int, ...] | None:
        """The level at which each column was generalized; None if rows are at different ones.

        Suppressed rows do not count; None too if all are suppressed.
        """
        kept = ~self.suppressed
        if not kept.any():
            return None
        levels = []
        for column in self.columns:
            seen = np.unique(column.of_row[kept])
            seen = seen[seen != column.missing]
            common = column.meanings.at_levels[seen].all(axis=0)
            if not common.any():
                return None
            levels.append(int(common.argmax()))
        return tuple(levels)


def read_cells(
    real: pl.DataFrame,
    released: pl.DataFrame,
    schema: Schema,
    *,
    columns: Sequence[str] | None = None,
    key: str | None = None,
    weights: npt.ArrayLike | None = None,
) -> ReleasedCells:
    """Read the quasi-identifiers of a release.

    Parameters
    ----------
    real
        The rows that it was made from.
    released
        The released rows. A quasi-identifier that they lack counts as suppressed in every row.
    schema
        Of the real rows: its quasi-identifiers and their hierarchies.
    columns
        Which quasi-identifiers to read; all by default.
    key
        A column of both tables that says which rows belong together.
    weights
        How many people each released row stands for, shape (n,); 1 by default.

    Raises
    ------
    SchemaError
        If a column is absent or there is no quasi-identifier.
    DataError
        If a released label is none of its column, or the keys or weights do not fit.
    HierarchyError
        If a real row holds a value that its hierarchy does not hold.
    """
    names = tuple(schema.quasi_identifiers if columns is None else columns)
    if not names:
        raise SchemaError(
            "the schema has no quasi-identifiers, so there is nothing whose loss to measure: "
            "name them"
        )
    for name in (*names, *([key] if key is not None else [])):
        if name not in real.columns:
            hint = did_you_mean(name, real.columns)
            raise SchemaError(f"the real table has no column {name!r}.{hint}")
    if real.is_empty() or released.is_empty():
        which = "real" if real.is_empty() else "released"
        raise DataError(f"the {which} table has no rows, so no loss can be measured")
    places, why_not = _pairs(real, released, key, weighted=weights is not None)
    read = tuple(read_column(real, released, schema, name, places) for name in names)
    return ReleasedCells(
        columns=read,
        rows=released.height,
        weights=_weights(weights, released.height),
        real_rows=real.height,
        paired=places is not None,
        why_not_paired=why_not,
        real=real if places is None else real[places],
        released=released,
    )


def _weights(weights: npt.ArrayLike | None, rows: int) -> Floats:
    if weights is None:
        return np.ones(rows)
    given = np.asarray(weights, dtype=np.float64)
    if given.shape != (rows,) or not np.isfinite(given).all() or (given < 0).any():
        raise DataError(
            f"weights: a number of at least 0 is needed for each of the {rows} released rows"
        )
    if not given.any():
        raise DataError("weights: all are 0, so no row stands for anybody")
    return given


def _pairs(
    real: pl.DataFrame, released: pl.DataFrame, key: str | None, *, weighted: bool
) -> tuple[Integers | None, str]:
    """Return the real row of each released row, or why it is not known."""
    if key is not None:
        return _by_key(real, released, key), ""
    if weighted:
        return None, "the released rows are weighted, so that a row is no person's"
    if real.height == released.height:
        return np.arange(real.height), ""
    return None, (
        f"the real table has {real.height} rows and the released one {released.height}, so which "
        "belong together is not known: name a column of both that tells it (key), or give the "
        "real rows of the released ones only, in their order"
    )


def _by_key(real: pl.DataFrame, released: pl.DataFrame, key: str) -> Integers:
    if key not in released.columns:
        hint = did_you_mean(key, released.columns)
        raise SchemaError(f"the released table has no column {key!r}.{hint}")
    known = real[key].cast(pl.String)
    if known.null_count() or known.n_unique() < len(known):
        raise DataError(
            f"the key {key!r} does not name each row of the real table once: choose a column "
            "whose values are all different"
        )
    places = pl.Series(range(len(known)), dtype=pl.Int64)
    asked = released[key].cast(pl.String)
    found = asked.replace_strict(known, places, default=None, return_dtype=pl.Int64)
    if found.null_count():
        raise DataError(
            f"the key {key!r}: {found.null_count()} of {len(found)} released rows are not in the "
            "real table"
        )
    return found.to_numpy()


def read_column(
    real: pl.DataFrame,
    released: pl.DataFrame,
    schema: Schema,
    name: str,
    places: Integers | None = None,
) -> ReleasedColumn:
    """Read one released column beside the real one.

    Parameters
    ----------
    real, released, schema
        As in :func:`read_cells`.
    name
        Name of the column.
    places
        The real row of each released row, shape (n,); None if the rows are not paired.

    Raises
    ------
    DataError
        If a released label is none of the column.
    HierarchyError
        If a real row holds a value that its hierarchy does not hold.
    """
    column = real[name]
    hierarchy = schema.hierarchies.get(name)
    ladder = (hierarchy or Hierarchy.flat()).ladder(column)
    codes = ladder.codes(column).astype(np.int64)
    numbers = ladder.numbers()
    temporal = column.dtype in (pl.Date, pl.Datetime)
    by_width = hierarchy is None and (column.dtype.is_numeric() or temporal)
    if by_width and temporal:
        numbers = _days(column, ladder.has_missing)
    domain = Domain(ladder, numbers, by_width, temporal and by_width)
    shown = (
        released[name]
        if name in released.columns
        else pl.repeat(SUPPRESSED, released.height, dtype=pl.String, eager=True)
    )
    labels, of_row = _distinct(shown, pl.Series(ladder.labels[0], dtype=pl.String))
    star = int((labels == SUPPRESSED).arg_max() or 0)
    missing = int((labels == MISSING_LABEL).arg_max() or 0) if ladder.has_missing else -1
    leaf_of_row = None if places is None else codes[places]
    gone = of_row < 0
    if ladder.has_missing:
        was_missing = gone if leaf_of_row is None else gone & (leaf_of_row == ladder.n_leaves - 1)
        of_row[was_missing] = missing
        gone = of_row < 0
    of_row[gone] = star
    reach = None if leaf_of_row is None else _reach(of_row, leaf_of_row, len(labels))
    meanings = read_labels(labels, domain, reach)
    _refuse_unknown(name, meanings, of_row, with_hierarchy=hierarchy is not None)
    counts = np.bincount(codes, minlength=ladder.n_leaves).astype(np.float64)
    return ReleasedColumn(name, meanings, of_row, star, missing, counts, leaf_of_row, codes)


def _days(column: pl.Series, missing: object) -> Floats:
    moments = column.drop_nulls().unique().sort().cast(pl.Datetime("us")).to_physical()
    days = moments.cast(pl.Float64).to_numpy() / 86_400e6
    return np.append(days, np.nan) if missing else days


def _distinct(shown: pl.Series, leaves: pl.Series) -> tuple[pl.Series, Integers]:
    """Return the distinct labels as texts, ``*`` and "(missing)" among them, and each row's.

    A missing cell has -1.
    """
    values = shown.drop_nulls().unique(maintain_order=True)
    texts = texts_of(values)
    if values.dtype != pl.String:
        # a number or a yes is called as its leaf is
        found = match_keys(values, leaves)
        texts = pl.select(pl.coalesce(leaves.gather(found), texts)).to_series()
    labels = pl.concat([texts, pl.Series([SUPPRESSED, MISSING_LABEL])]).unique(maintain_order=True)
    numbers = pl.Series(range(len(labels)), dtype=pl.Int64)
    called = texts.replace_strict(labels, numbers, return_dtype=pl.Int64)
    if shown.dtype in (pl.Categorical, pl.Enum):
        shown, values = shown.to_physical(), values.to_physical()
    if values.is_empty():
        return labels, np.full(len(shown), -1, dtype=np.int64)
    of_row = shown.replace_strict(values, called, default=-1, return_dtype=pl.Int64)
    return labels, of_row.to_numpy(writable=True)


def _reach(of_row: Integers, leaves: Integers, labels: int) -> Reach:
    least = np.full(labels, np.iinfo(np.int64).max)
    greatest = np.full(labels, -1, dtype=np.int64)
    np.minimum.at(least, of_row, leaves)
    np.maximum.at(greatest, of_row, leaves)
    return Reach(least, greatest)


def _refuse_unknown(
    name: str, meanings: LabelMeanings, of_row: Integers, *, with_hierarchy: bool
) -> None:
    wrong = meanings.unknown[of_row]
    if not wrong.any():
        return
    count = int(wrong.sum())
    said = "row shows" if count == 1 else "rows show"
    known = (
        "a label of its hierarchy at any level"
        if with_hierarchy
        else "a value of the real column, which has no hierarchy in the schema"
    )
    raise DataError(
        f"column {name!r}: {count} released {said} something that is neither {known}, nor '*', an "
        "interval of its numbers or a set such as {a, b}; first in released row "
        f"{int(wrong.argmax()) + 1}: give the schema the hierarchy that the release was made with"
    )
