"""How probable a row is: single columns, and the pairs that depend most on each other.

Columns of people hang together; taken as independent, a married wife is twice as rare as she is.
A tree of pairs catches most of it at a cost that is linear in the rows.

References
----------
C. K. Chow, C. N. Liu, "Approximating discrete probability distributions with dependence trees",
IEEE Transactions on Information Theory 14 (1968), section III.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from sfumato.evaluation.attacks.tables import AttackColumn, AttackTables

__all__ = ["Cells", "DependenceTree", "frequent_codes", "neighbours", "number_bins", "real_cells"]

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

#: Numbers this near, as a share of the column's range, count as alike.
ALIKE = 0.01
_BINS = 15  # odd, so that no bin ends in the middle
_MOST_CODES = 64
_ENOUGH_ROWS = 20_000  # to see which pairs depend on each other
_PRIOR = 0.3  # rows that are added to a pair's count and to what would be expected


@dataclass(frozen=True, eq=False)
class Cells:
    """Rows as small codes, with how often each cell occurs by itself.

    Parameters
    ----------
    codes
        One array of codes a column, each shape (rows,): what pairs are counted of.
    log_share
        One array a column, shape (rows,): logarithm of the share of rows that have such a cell;
        for numbers those within ``ALIKE`` of the range.
    log_share_of_others
        The same where the row itself was not counted.
    """

    codes: tuple[Integers, ...]
    log_share: tuple[Floats, ...]
    log_share_of_others: tuple[Floats, ...]


def real_cells(tables: AttackTables) -> Cells:
    """Return the real rows as codes, counted among themselves."""
    parts = [_real_column(column) for column in tables.columns]
    return Cells(
        tuple(part[0] for part in parts),
        tuple(part[1] for part in parts),
        tuple(part[2] for part in parts),
    )


def _real_column(column: AttackColumn) -> tuple[Integers, Floats, Floats]:
    if column.kind == "category":
        count = np.bincount(column.real, minlength=column.values)[column.real]
        codes = frequent_codes(column.real.astype(np.int64), column.values)
    else:
        ranked = np.sort(column.numbers[~np.isnan(column.numbers)])
        count = neighbours(column.numbers, ranked, column.width * ALIKE)
        count = np.where(np.isnan(column.numbers), len(column.numbers) - len(ranked), count)
        codes = number_bins(column.numbers, ranked)
    rows = max(len(count), 1)
    return codes, np.log(count / rows), np.log((count - 0.5) / rows)


def neighbours(values: Floats, ranked: Floats, reach: float) -> Integers:
    """Return how many of the ranked numbers lie within reach of each value; 0 for nan.

    Parameters
    ----------
    values
        Numbers, shape (n,).
    ranked
        Known numbers, ascending, without nan, shape (m,).
    reach
        In the unit of the numbers.
    """
    first = np.searchsorted(ranked, values - reach, side="left")
    last = np.searchsorted(ranked, values + reach, side="right")
    return np.where(np.isnan(values), 0, last - first).astype(np.int64)


def number_bins(values: Floats, ranked: Floats, bins: int = _BINS) -> Integers:
    """Return the bin of each number among ranked ones, bins of about equally many; nan is the last.

    Ties share a bin, and numbers with their sign turned fall in the same bins counted from the
    other end.
    """
    middle = np.searchsorted(ranked, values, side="left") + np.searchsorted(
        ranked, values, side="right"
    )
    scaled = middle * bins
    whole = 2 * max(len(ranked), 1)
    code = scaled // whole
    at_edge = (scaled % whole == 0) & (2 * scaled > bins * whole)
    code = np.clip(code - at_edge, 0, bins - 1)
    return np.where(np.isnan(values), bins, code).astype(np.int64)


def frequent_codes(codes: Integers, values: int) -> Integers:
    """Return codes with the values beyond the most frequent ones taken together."""
    count = np.bincount(codes, minlength=values)
    if (count > 0).sum() <= _MOST_CODES:
        kept = count > 0
    else:
        kept = count > np.partition(count, -_MOST_CODES)[-_MOST_CODES]
    place = np.where(kept, np.cumsum(kept) - 1, kept.sum())
    return place[codes].astype(np.int64)


@dataclass(frozen=True, eq=False)
class DependenceTree:
    """Pairs of columns that depend on each other, without a circle, and how often cells co-occur.

    Parameters
    ----------
    pairs
        Column numbers of each pair; at most one fewer than columns.
    joint
        For each pair the counts of its two codes, shape (codes, codes).
    rows
        Rows counted.
    """

    pairs: tuple[tuple[int, int], ...]
    joint: tuple[Floats, ...]
    rows: int

    @classmethod
    def learn(cls, cells: Cells) -> Self:
        """Find the tree with the most mutual information, from at most 20,000 rows spread evenly.

        Parameters
        ----------
        cells
            The rows to count; of them the codes alone are used.
        """
        codes = cells.codes
        rows = len(codes[0])
        step = max(1, rows // _ENOUGH_ROWS)
        sizes = [int(column.max(initial=0)) + 1 for column in codes]
        sample = [column[::step] for column in codes]
        links = [
            (_mutual_information(_count(sample, sizes, a, b)), a, b)
            for a in range(len(codes))
            for b in range(a)
        ]
        pairs = _spanning(links, len(codes))
        joint = tuple(_count(codes, sizes, a, b) for a, b in pairs)
        return cls(tuple(pairs), joint, rows)

    def log_probability(self, cells: Cells, *, without_itself: bool) -> Floats:
        """Return the logarithm of each row's probability, shape (rows,).

        Parameters
        ----------
        cells
            Rows in the codes that the tree was learnt from.
        without_itself
            Whether each row is one of those counted, and is to be left out of the counts.

        Notes
        -----
        To a pair's count and to what it would be if the two columns were independent a third of a
        row is added, so that what was hardly to be expected and is not there tells nothing.
        """
        shares = cells.log_share_of_others if without_itself else cells.log_share
        total = np.zeros(len(cells.codes[0]))
        for share in shares:
            total += share
        itself = 1.0 if without_itself else 0.0
        total += self.log_dependence(cells, itself=itself).sum(axis=1)
        return total

    def beside(self, cells: Cells, times: float) -> DependenceTree:
        """Return the tree with some rows counted in addition.

        Parameters
        ----------
        cells
            The rows, in the codes that the tree was learnt from.
        times
            How much each counts, 0 or more.
        """
        joint = []
        for (a, b), known in zip(self.pairs, self.joint, strict=True):
            inside = (cells.codes[a] < known.shape[0]) & (cells.codes[b] < known.shape[1])
            more = known.copy()
            np.add.at(more, (cells.codes[a][inside], cells.codes[b][inside]), times)
            joint.append(more)
        return DependenceTree(
            self.pairs, tuple(joint), self.rows + round(times * len(cells.codes[0]))
        )

    def log_dependence(self, cells: Cells, *, itself: float) -> Floats:
        """Return how much more probable each pair is than its cells alone say, in nats.

        Parameters
        ----------
        cells
            As in :meth:`log_probability`.
        itself
            How much each row was counted itself, which is left out.

        Returns
        -------
        array
            Shape (rows, pairs).
        """
        rows = max(self.rows - itself, 1.0)
        found = np.zeros((len(cells.codes[0]), len(self.pairs)))
        for place, ((a, b), joint) in enumerate(zip(self.pairs, self.joint, strict=True)):
            known = (cells.codes[a] < joint.shape[0]) & (cells.codes[b] < joint.shape[1])
            first, second = np.where(known, cells.codes[a], 0), np.where(known, cells.codes[b], 0)
            left = joint.sum(axis=1)[first] - itself
            right = joint.sum(axis=0)[second] - itself
            expected = left * right / rows
            seen = np.maximum(joint[first, second] - itself, 0.0)
            ratio = np.log((seen + _PRIOR) / (expected + _PRIOR))
            found[:, place] = np.where(known, ratio, 0.0)
        return found


def _count(codes: Sequence[Integers], sizes: Sequence[int], a: int, b: int) -> Floats:
    flat = np.bincount(codes[a] * sizes[b] + codes[b], minlength=sizes[a] * sizes[b])
    return flat.reshape(sizes[a], sizes[b]).astype(np.float64)


def _mutual_information(joint: Floats) -> float:
    """Return the mutual information less what chance alone brings (Miller and Madow), in nats."""
    rows = max(joint.sum(), 1.0)
    left, right = joint.sum(axis=1), joint.sum(axis=0)
    expected = np.outer(left, right) / rows
    seen = joint > 0
    found = float((joint[seen] * np.log(joint[seen] / expected[seen])).sum() / rows)
    by_chance = ((left > 0).sum() - 1) * ((right > 0).sum() - 1) / (2 * rows)
    return found - float(by_chance)


def _spanning(links: list[tuple[float, int, int]], columns: int) -> list[tuple[int, int]]:
    """Return the pairs of the tree with the most weight (Kruskal), none that tells nothing."""
    group = list(range(columns))
    pairs = []
    for weight, a, b in sorted(links, key=lambda link: -link[0]):
        if weight <= 0 or group[a] == group[b]:
            continue
        pairs.append((a, b))
        joined, old = group[a], group[b]
        group = [joined if one == old else one for one in group]
    return pairs
