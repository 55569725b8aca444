"""Predicates on a person's values, built from a release alone.

A predicate is a conjunction of atoms; an atom asks whether a value lies in an interval of one
column's codes (or in the set of a label). A released row satisfies a predicate if everything that
its cells stand for does; a real row if its values do.

References
----------
Article 29 Working Party, opinion 05/2014 (WP216), section 2.2.1; A. Cohen, K. Nissim, "Towards
formalizing the GDPR's notion of singling out", PNAS 117 (2020), definitions 2.1 to 2.3.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sfumato.evaluation.attacks.coded_cells import CodedCells, Side

__all__ = [
    "Matches",
    "Predicates",
    "find",
    "random_conjunctions",
    "rarest_cells",
    "values_and_ends",
    "whole_records",
]

Codes = npt.NDArray[np.int32]
Rows = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Words = npt.NDArray[np.uint64]

_BATCH, _LEAST_BATCH = 50_000, 1_000  # predicates tried at once
# rare combinations are allowed to be less rare while there are few of them
_ENOUGH = 200
_RAISED = 100.0
_HIGHEST_WEIGHT = 0.0101


@dataclass(frozen=True, eq=False)
class Predicates:
    """Conjunctions of atoms, one after the other.

    Parameters
    ----------
    starts
        Where each predicate's atoms begin, and the end, shape (Q + 1,).
    columns, lows, highs
        Column and interval of codes, ends included, of each atom; for a column of sets both ends
        are the label whose set is meant.
    source
        The released row that each was built from, shape (Q,); a number of its own where there is
        none.
    """

    starts: Rows
    columns: Codes
    lows: Codes
    highs: Codes
    source: Rows

    def __len__(self) -> int:
        """Return how many predicates there are."""
        return len(self.source)

    @classmethod
    def of(
        cls,
        sizes: Rows,
        columns: npt.ArrayLike,
        lows: npt.ArrayLike,
        highs: npt.ArrayLike,
        source: Rows,
    ) -> Predicates:
        """Return predicates of so many atoms each."""
        starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        atoms = [np.asarray(part, dtype=np.int32).ravel() for part in (columns, lows, highs)]
        return cls(starts, atoms[0], atoms[1], atoms[2], np.asarray(source, dtype=np.int64))

    @classmethod
    def none(cls) -> Predicates:
        """Return no predicates."""
        nothing = np.zeros(0, dtype=np.int64)
        return cls.of(nothing, nothing, nothing, nothing, nothing)

    @classmethod
    def from_rows(
        cls, rows: Rows, columns: npt.NDArray[np.int64], low: Codes, high: Codes
    ) -> Predicates:
        """Return for each row the conjunction of its atoms in some columns.

        Parameters
        ----------
        rows
            Released rows, shape (Q,).
        columns
            Shape (Q, c); -1 for none.
        low, high
            The atoms of all released cells, shape (n, C).
        """
        used = columns >= 0
        of_row, column = np.repeat(rows, used.sum(axis=1)), columns[used]
        sizes = used.sum(axis=1).astype(np.int64)
        return cls.of(sizes, column, low[of_row, column], high[of_row, column], rows)

    def take(self, chosen: Rows | Flags | slice) -> Predicates:
        """Return some of the predicates, by number or by flag, in that order."""
        numbers = np.arange(len(self))[chosen]
        sizes = np.diff(self.starts)[numbers]
        within = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        atoms = np.repeat(self.starts[numbers], sizes) + within
        columns, lows, highs = self.columns[atoms], self.lows[atoms], self.highs[atoms]
        return Predicates.of(sizes, columns, lows, highs, self.source[numbers])

    def __add__(self, other: Predicates) -> Predicates:
        """Return these predicates and the other ones."""
        sizes = np.concatenate([np.diff(self.starts), np.diff(other.starts)])
        parts = [
            np.concatenate([getattr(self, name), getattr(other, name)])
            for name in ("columns", "lows", "highs", "source")
        ]
        return Predicates.of(sizes, parts[0], parts[1], parts[2], parts[3])

    def distinct(self) -> Rows:
        """Return the numbers of the first of each set of equal predicates, ascending."""
        return np.sort(np.unique(self.keys(), return_index=True)[1]).astype(np.int64)

    def keys(self) -> Words:
        """Return a number for each predicate, the same for equal ones, shape (Q,).

        Two others share one with a chance of 2^-64.
        """
        if not len(self):
            return np.zeros(0, dtype=np.uint64)
        # the order of the atoms plays no part in a sum
        atoms = _mixed(
            _mixed(_mixed(_words(self.columns)) + _words(self.lows)) + _words(self.highs)
        )
        return np.asarray(np.add.reduceat(atoms, self.starts[:-1]), dtype=np.uint64)


def _words(values: Codes) -> Words:
    return values.astype(np.int64).view(np.uint64)


def _mixed(values: Words) -> Words:
    """Scatter integers over 64 bits (splitmix64)."""
    word = values + np.uint64(0x9E3779B97F4A7C15)
    word = (word ^ (word >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    word = (word ^ (word >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: Words = word ^ (word >> np.uint64(31))
    return mixed


@dataclass(frozen=True, eq=False)
class Matches:
    """Who satisfies each predicate.

    Parameters
    ----------
    listed
        The first rows that do, shape (Q, most).
    counts
        How many do, shape (Q,); any number above ``most`` where there are more.
    alone
        Whether exactly one row of the first and of the second group does, shape (Q, 2).
    """

    listed: Codes
    counts: Codes
    alone: Flags


def find(side: Side, predicates: Predicates, *, most: int, group: Flags | None = None) -> Matches:
    """Return who satisfies each predicate.

    Parameters
    ----------
    side
        The rows.
    predicates
        The predicates.
    most
        So many rows are listed at most, at least 1.
    group
        Whether each row is of the first group; if given, it is found out whether either group has
        exactly one row, however many rows there are.
    """
    from sfumato.evaluation.attacks.singling_out_kernels import find_matches

    size = len(predicates)
    listed = np.full((size, most), -1, dtype=np.int32)
    counts = np.zeros(size, dtype=np.int32)
    alone = np.zeros((size, 2), dtype=np.uint8)
    n = len(side.low)
    labels = np.zeros(n, dtype=np.uint8) if group is None else (~group).astype(np.uint8)
    if size and n:
        find_matches(
            side.low_by_column,
            side.high_by_column,
            side.spread,
            side.order,
            side.first,
            side.first_starts,
            side.tables,
            side.table_starts,
            side.table_widths,
            predicates.starts,
            predicates.columns,
            predicates.lows,
            predicates.highs,
            labels,
            group is not None,
            listed,
            counts,
            alone,
        )
    return Matches(listed, counts, alone.astype(np.bool_))


def values_and_ends(
    cells: CodedCells, *, rarest: int, most: int, random: np.random.Generator
) -> Predicates:
    """Return predicates on one column each.

    Values and cells that few released rows hold (a missing one is a value too), rarest first and
    evenly over the columns; for numbers also at most the lowest and at least the highest one shown,
    and beyond them.

    Parameters
    ----------
    cells
        The release in codes.
    rarest
        So many released rows hold a rare value at most, at least 1.
    most
        Predicates at most.
    random
        Chooses among values that are equally rare.
    """
    ends, rare, held, rank = Predicates.none(), Predicates.none(), [], []
    side = cells.released
    for column in range(len(cells.names)):
        low, high = side.low[:, column], side.high[:, column]
        told = cells.told[:, column]
        if not told.any():
            continue
        if cells.numeric[column]:
            ends += _beyond(column, low[told], high[told], above=cells.codes[column] - 1)
        pairs = np.unique((low[told].astype(np.int64) << 32) + high[told])
        lows, highs = (pairs >> 32).astype(np.int32), (pairs & 0xFFFFFFFF).astype(np.int32)
        size = len(pairs)
        of = np.full(size, column, dtype=np.int32)
        own = Predicates.of(np.ones(size, np.int64), of, lows, highs, _nobody(size))
        counts = find(side, own, most=rarest).counts
        few = np.flatnonzero((counts > 0) & (counts <= rarest))
        few = random.permutation(few)
        few = few[np.argsort(counts[few], kind="stable")]
        rare += own.take(few)
        held.append(counts[few])
        rank.append(np.arange(len(few)))
    if len(rare):
        order = np.lexsort((np.concatenate(rank), np.concatenate(held)))
        rare = rare.take(order[: max(most - len(ends), 0)])
    found = ends + rare
    return found.take(found.distinct())


def _beyond(column: int, low: Codes, high: Codes, *, above: int) -> Predicates:
    """Return predicates at and beyond the lowest and the highest number that is shown."""
    lows, highs = low[(low >= 0) & (low < above)], high[(high >= 0) & (high < above)]
    intervals = []
    if lows.size:
        intervals += [(-1, lows.min()), (-1, lows.min() - 1)]
    if highs.size:
        intervals += [(highs.max(), above), (highs.max() + 1, above)]
    size = len(intervals)
    pairs = np.array(intervals, dtype=np.int32).reshape(size, 2)
    ones = np.ones(size, dtype=np.int64)
    return Predicates.of(ones, np.full(size, column), pairs[:, 0], pairs[:, 1], _nobody(size))


def _nobody(size: int) -> Rows:
    return np.full(size, -1, dtype=np.int64)


def random_conjunctions(
    cells: CodedCells, *, columns: int, most: int, tries: int, random: np.random.Generator
) -> Predicates:
    """Return conjunctions of one-sided atoms that single out exactly one released row.

    Parameters
    ----------
    cells
        The release in codes.
    columns
        How many columns each looks at.
    most
        Predicates at most.
    tries
        Conjunctions of random columns of random released rows that are tried at most.
    random
        Chooses rows and columns.
    """
    n, width = cells.told.shape
    found = Predicates.none()
    if not n or columns > width:
        return found
    tried, batch = 0, _batch(most)
    known = np.zeros(0, dtype=np.uint64)
    while tried < tries and len(found) < most:
        batch = min(batch, tries - tried)
        tried += batch
        rows = random.integers(n, size=batch)
        drawn = random.random((batch, width), dtype=np.float32)
        drawn[~cells.told[rows]] = 2.0  # a cell that tells nothing comes last
        if columns < width:
            chosen = np.argpartition(drawn, columns - 1, axis=1)[:, :columns]
        else:
            chosen = np.tile(np.arange(width), (batch, 1))
        tells = np.take_along_axis(drawn, chosen, axis=1).max(axis=1) < 2.0
        new = Predicates.from_rows(rows[tells], chosen[tells], cells.side_low, cells.side_high)
        # of few columns the same one is drawn time and again
        keys, first = np.unique(new.keys(), return_index=True)
        fresh = ~np.isin(keys, known, assume_unique=True)
        known = np.concatenate([known, keys[fresh]])
        new = new.take(np.sort(first[fresh]))
        found += new.take(find(cells.released, new, most=1).counts == 1)
        batch = min(2 * batch, _BATCH)
    return found.take(slice(0, most))


def _batch(most: int) -> int:
    """Return how many predicates are tried first: often most of them are good."""
    return min(max(most, _LEAST_BATCH), _BATCH)


def rarest_cells(cells: CodedCells, *, weight: float, most: int) -> Predicates:
    """Return conjunctions of the rarest cells of the released rows that stand out most.

    Of each row the rarest cells are taken, until so rare a combination would be met by less than
    ``weight`` released rows if columns were independent; numbers in a window around the cell. Rows
    that need the fewest cells come first. Each singles out exactly one released row. Where fewer
    than 200 are found, the weight is raised hundredfold, to 0.01 at most: a narrow table has none.

    Parameters
    ----------
    cells
        The release in codes.
    weight
        Expected rows, above 0: small, so that a match by chance is rare.
    most
        Predicates at most.

    Notes
    -----
    A predicate of negligible weight that isolates is what Cohen and Nissim (2020) call predicate
    singling out. Few, rare cells survive where the other cells of a copied row were changed.
    """
    if not len(cells.told):
        return Predicates.none()
    shares = np.log(cells.shares())
    order = np.argsort(shares, axis=1, kind="stable")
    expected = np.log(len(shares)) + np.cumsum(np.take_along_axis(shares, order, axis=1), axis=1)
    found = _rarest(cells, order, expected, weight, most)
    while len(found) < min(most, _ENOUGH) and weight * _RAISED <= _HIGHEST_WEIGHT:
        weight *= _RAISED
        found = _rarest(cells, order, expected, weight, most)
    return found


def _rarest(
    cells: CodedCells, order: Rows, expected: npt.NDArray[np.float64], weight: float, most: int
) -> Predicates:
    enough = expected <= np.log(weight)
    rows = np.flatnonzero(enough[:, -1])
    needed = enough[rows].argmax(axis=1) + 1
    rows = rows[np.lexsort((expected[rows, needed - 1], needed))]
    found = Predicates.none()
    start, batch = 0, _batch(most)
    while start < len(rows):
        some = rows[start : start + batch]
        start, batch = start + batch, min(2 * batch, _BATCH)
        last = enough[some].argmax(axis=1)
        taken = np.where(np.arange(order.shape[1]) <= last[:, None], order[some], -1)
        new = Predicates.from_rows(some, taken, cells.near_low, cells.near_high)
        found += new.take(find(cells.released, new, most=1).counts == 1)
        found = found.take(found.distinct())
        if len(found) >= most:
            break
    return found.take(slice(0, most))


def whole_records(cells: CodedCells, *, most: int, random: np.random.Generator) -> Predicates:
    """Return for each released row that is the only one of its kind the conjunction of its cells.

    Parameters
    ----------
    cells
        The release in codes.
    most
        Predicates at most; rows are drawn at random if there are more.
    random
        Draws them.
    """
    side = cells.released
    rows = random.permutation(np.flatnonzero(cells.told.any(axis=1)))
    columns = np.where(cells.told[rows], np.arange(cells.told.shape[1]), -1)
    every = Predicates.from_rows(rows, columns, side.low, side.high)
    _, first, often = np.unique(every.keys(), return_index=True, return_counts=True)
    alone = np.sort(first[often == 1])  # two that are equal fit each other's row
    # a row of single values fits no other but an equal one; sets and "*" have to be tried
    exact = (side.table_starts < 0).all() & (
        (cells.told & (side.low == side.high)).all(axis=1)[rows[alone]]
    )
    found, wanted = Predicates.none(), most
    for start in range(0, len(alone), _BATCH):
        some = alone[start : start + _BATCH]
        single = exact[start : start + _BATCH].copy()
        tried = some[~single]
        single[~single] = find(side, every.take(tried), most=1).counts == 1
        found += every.take(some[single][:wanted])
        wanted = most - len(found)
        if wanted <= 0:
            break
    return found
