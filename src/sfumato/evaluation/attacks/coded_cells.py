"""Released cells and real values in codes in which predicates are tested fast and exactly.

Codes keep the order of numbers, so an interval of numbers is one of codes; a category's generalized
cells are intervals too where its hierarchy's order allows, else sets that are looked up in a table.
Each column has an index, so that a conjunction is tried on the rows of its rarest atom only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sfumato.evaluation.attacks.tables import STAR, AttackColumn, AttackTables

__all__ = ["CodedCells", "Side"]

Codes = npt.NDArray[np.int32]
Rows = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Bytes = npt.NDArray[np.uint8]

_PARTS = ("low", "high", "real", "told", "hollow")
_ATOMS = ("side_low", "side_high", "near_low", "near_high")
_SLACK = 1 + 1e-9  # so that a change of unit does not move a value over the edge of a window


@dataclass(frozen=True, eq=False)
class _Column:
    """One column in codes; arrays as in :class:`CodedCells`."""

    codes: int
    low: Codes
    high: Codes
    real: Codes
    told: Flags
    side_low: Codes
    side_high: Codes
    near_low: Codes
    near_high: Codes
    hollow: Flags
    within: Flags | None = None
    covers: Flags | None = None


@dataclass(frozen=True, eq=False)
class Side:
    """Rows in codes with their indexes, as the compiled loop wants them.

    ``low`` and ``high`` are of shape (n, C), ``low_by_column`` and ``high_by_column`` of (C, n).
    """

    low: Codes
    high: Codes
    low_by_column: Codes
    high_by_column: Codes
    spread: Bytes
    order: Codes
    first: Codes
    first_starts: Rows
    tables: Bytes
    table_starts: Rows
    table_widths: Rows

    @classmethod
    def of(
        cls, low: Codes, high: Codes, codes: Sequence[int], tables: Sequence[Flags | None]
    ) -> Side:
        """Index rows by each column."""
        n, width = low.shape
        order = np.empty((width, n), dtype=np.int32)
        firsts, table_parts = [], []
        first_starts = np.zeros(width, dtype=np.int64)
        table_starts = np.full(width, -1, dtype=np.int64)
        table_widths = np.zeros(width, dtype=np.int64)
        begin, table_begin = 0, 0
        for column in range(width):
            cells = np.ascontiguousarray(low[:, column])
            order[column] = np.argsort(cells, kind="stable")
            counted = np.bincount(cells + 1, minlength=codes[column] + 3)
            firsts.append(np.concatenate([[0], np.cumsum(counted)]).astype(np.int32))
            first_starts[column] = begin
            begin += len(firsts[-1])
            table = tables[column]
            if table is not None:
                table_parts.append(table.astype(np.uint8).ravel())
                table_starts[column], table_widths[column] = table_begin, table.shape[1]
                table_begin += table.size
        by_column = np.ascontiguousarray(low.T)
        spread = (low != high).any(axis=0)
        return cls(
            low,
            high,
            by_column,
            np.ascontiguousarray(high.T) if spread.any() else by_column,
            np.asarray(spread).astype(np.uint8),
            order,
            np.concatenate(firsts),
            first_starts,
            np.concatenate(table_parts) if table_parts else np.zeros(1, dtype=np.uint8),
            table_starts,
            table_widths,
        )


@dataclass(frozen=True, eq=False)
class CodedCells:
    """Released cells and real values in one system of codes for each column.

    Parameters
    ----------
    names
        The columns (C).
    numeric
        Whether each is a number's.
    released
        The released rows (n), with their indexes.
    real
        The real rows that are attacked, with their indexes.
    told
        Whether a released cell tells anything: ``*`` does not, shape (n, C).
    hollow
        Whether it stands for no value that any real row has; it then tells nothing, shape (n, C).
    side_low, side_high
        The one-sided atom of each released cell: for numbers at least the value where it lies
        above the released median, at most the value below it; shape (n, C).
    near_low, near_high
        The atom of values near each cell, shape (n, C).
    codes
        How many codes each column has. For numbers the last but one stands for what is above all,
        the last one is a missing number's; the code above that is of cells that tell nothing.
    """

    names: tuple[str, ...]
    numeric: Flags
    released: Side
    real: Side
    told: Flags
    hollow: Flags
    side_low: Codes
    side_high: Codes
    near_low: Codes
    near_high: Codes
    codes: tuple[int, ...]

    @classmethod
    def of(cls, tables: AttackTables, rows: Rows, *, tolerance: float = 0.0) -> CodedCells:
        """Code a release and some of the real rows.

        Parameters
        ----------
        tables
            The release, its members and its controls.
        rows
            Real rows to attack, as row numbers.
        tolerance
            Half the width of the window of near numbers, as a share of the released range.
        """
        read = [_coded(column, rows, tolerance) for column in tables.columns]
        shape = {
            name: np.stack([getattr(column, name) for column in read], axis=1)
            for name in _PARTS + _ATOMS
        }
        codes = tuple(column.codes for column in read)
        real = np.ascontiguousarray(shape["real"])
        return cls(
            names=tuple(column.name for column in tables.columns),
            numeric=np.array([column.kind == "number" for column in tables.columns]),
            released=Side.of(
                np.ascontiguousarray(shape["low"]),
                np.ascontiguousarray(shape["high"]),
                codes,
                [column.within for column in read],
            ),
            real=Side.of(real, real, codes, [column.covers for column in read]),
            told=shape["told"],
            hollow=shape["hollow"],
            side_low=shape["side_low"],
            side_high=shape["side_high"],
            near_low=shape["near_low"],
            near_high=shape["near_high"],
            codes=codes,
        )

    def shares(self) -> Floats:
        """Return the share of released rows near each cell, shape (n, C); 1 where it tells nothing.

        Cells that are intervals count by their lower end.
        """
        n, width = self.told.shape
        shares = np.ones((n, width))
        side = self.released
        for column in range(width):
            if side.table_starts[column] >= 0:
                labels = int(side.table_widths[column])
                start = side.table_starts[column]
                within = side.tables[start : start + labels * labels].reshape(labels, labels)
                counted = within @ np.bincount(side.low[:, column], minlength=labels)
                near = counted[side.low[:, column]]
            else:
                first = side.first[side.first_starts[column] :]
                near = first[self.near_high[:, column] + 2] - first[self.near_low[:, column] + 1]
            shares[:, column] = np.where(self.told[:, column], np.maximum(near, 1) / max(n, 1), 1.0)
        return shares


def _coded(column: AttackColumn, rows: Rows, tolerance: float) -> _Column:
    if column.kind == "number":
        return _coded_number(column, rows, tolerance)
    if column.covers is None:
        star = column.released == STAR
        low = np.where(star, column.values + 1, column.released).astype(np.int32)
        return _plain(column.values, low, low, column.real[rows], ~star)
    covers = column.covers
    used, place = np.unique(column.released, return_inverse=True)
    held = covers[used]
    size = held.sum(axis=1)
    first = held.argmax(axis=1)
    last = column.values - 1 - held[:, ::-1].argmax(axis=1)
    told = ((size > 0) & (size < column.values))[place]
    if (size == np.where(size > 0, last - first + 1, 0)).all():
        # a cell that tells nothing, or stands for no known value, satisfies no atom
        low = np.where(told, first[place], column.values + 1).astype(np.int32)
        high = np.where(told, last[place], column.values + 1).astype(np.int32)
        return _plain(column.values, low, high, column.real[rows], told, (size == 0)[place])
    counted = held.astype(np.float32)
    # none of the other's values is outside the atom's
    within = ((counted @ (1 - counted).T).T == 0) & (size > 0)
    label = place.astype(np.int32)
    codes = max(column.values, len(used))
    coded = _plain(codes, label, label, column.real[rows], told, (size == 0)[place])
    return _Column(**{**vars(coded), "within": within, "covers": held})


def _plain(
    codes: int, low: Codes, high: Codes, real: Codes, told: Flags, hollow: Flags | None = None
) -> _Column:
    empty = np.zeros(len(low), dtype=np.bool_) if hollow is None else hollow
    return _Column(codes, low, high, real.astype(np.int32), told, low, high, low, high, empty)


def _coded_number(column: AttackColumn, rows: Rows, tolerance: float) -> _Column:
    low, high, numbers = column.low, column.high, column.numbers[rows]
    ends = np.concatenate([low, high, numbers])
    values = np.unique(ends[np.isfinite(ends)])
    above, missing = len(values), len(values) + 1

    def code(number: Floats) -> Codes:
        place = np.searchsorted(values, number).astype(np.int32)
        place[number == -np.inf] = -1
        place[np.isnan(number)] = missing
        return place

    coded_low, coded_high = code(low), code(high)
    told = ~((low == -np.inf) & (high == np.inf))
    coded_low[~told] = coded_high[~told] = missing + 1
    gone = np.isnan(low)
    middle = np.where(np.isfinite(low), low, high)
    both = np.isfinite(low) & np.isfinite(high)
    middle[both] = low[both] / 2 + high[both] / 2
    known = middle[np.isfinite(middle)]
    centre = np.median(known) if known.size else 0.0
    upper = np.isfinite(low) & (middle > centre)
    lower = np.isfinite(high) & (middle < centre)
    reach = tolerance * column.width * _SLACK
    near_low = np.searchsorted(values, low - reach, side="left").astype(np.int32)
    near_high = (np.searchsorted(values, high + reach, side="right") - 1).astype(np.int32)
    near_low[low == -np.inf] = -1
    near_high[high == np.inf] = above
    near_low[gone] = near_high[gone] = missing
    return _Column(
        missing,
        coded_low,
        coded_high,
        code(numbers),
        told,
        np.where(lower, -1, coded_low).astype(np.int32),
        np.where(upper, above, coded_high).astype(np.int32),
        near_low,
        near_high,
        np.zeros(len(low), dtype=np.bool_),
    )
