"""What it is worth that a released cell agrees with a person's: the weights of record linkage.

A category that agrees is worth one over the share of people who have it; a number, its density
under a little noise over that of all people under the same noise; a cell that stands for a set, one
over the share of people in the set. Where many people agree, agreement says little.

References
----------
I. P. Fellegi, A. B. Sunter, "A theory for record linkage", JASA 64 (1969), section 3.3 (weights by
frequency).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from sfumato.evaluation.attacks.dependence import frequent_codes, number_bins
from sfumato.evaluation.attacks.tables import STAR

if TYPE_CHECKING:
    from sfumato.evaluation.attacks.tables import AttackColumn, AttackTables

__all__ = [
    "CategoryLinkage",
    "NumberLinkage",
    "Shown",
    "column_linkage",
    "kernel_steps",
    "kernel_table",
    "shown_cells",
]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]

#: Ratio of a cell that differs: a category of one kept, of one redrawn, a number.
CHANGED = (0.02, 0.25, 0.005)
#: Share of numbers that stay as they are, where numbers are moved.
KEPT_NUMBERS = 0.05
#: Standard deviation of the noise, as a share of the column's range.
NOISE = 0.01

_REACH = 4.0  # standard deviations beyond which a number differs
_STEPS = 16
_SLACK = 1e-7  # so that a change of units does not move a number over a step
_GRID = 8  # cells a standard deviation, of the density of all people
_BINS = 62  # of numbers, to find those in reach
_MISSING_BIN = _BINS + 2
_MOST_VALUES = 4_096
_CHUNK = 64
_APART = 1e9


def kernel_table() -> Floats:
    """Return the kernel at each sixteenth of a standard deviation, up to four, and 0 beyond."""
    steps = (np.arange(int(_REACH * _STEPS) + 1) + 0.5) / _STEPS
    return np.append(np.exp(-0.5 * np.square(steps)), 0.0)


def kernel_steps(away: Floats, single: npt.NDArray[np.bool_]) -> Integers:
    """Return where in the table of the kernel a number is that lies so far from a released one.

    Parameters
    ----------
    away
        In standard deviations, nan for a missing number.
    single
        Whether the released cell is a single value; no other has noise.
    """
    near = single & (away <= _REACH + _SLACK)
    return np.where(
        near, (np.where(near, away, 0.0) + _SLACK) * _STEPS, _REACH * _STEPS + 1
    ).astype(np.int64)


@dataclass(frozen=True, eq=False)
class Shown:
    """The cells of one column of some released rows.

    Parameters
    ----------
    name
        Name of the column.
    label
        Category: code of each cell, ``STAR`` where suppressed, shape (n,). Number: empty.
    low, high
        Number: ends of each cell, shape (n,). Category: empty.
    """

    name: str
    label: Integers
    low: Floats
    high: Floats

    def __len__(self) -> int:
        return max(len(self.label), len(self.low))

    def arrays(self) -> dict[str, Integers | Floats]:
        """Return the arrays that tell the cells apart."""
        if len(self.low):
            return {"low": self.low, "high": self.high}
        return {"label": self.label}

    def taken(self, rows: Integers) -> Shown:
        """Return the cells of some rows."""
        if len(self.low):
            return Shown(self.name, self.label, self.low[rows], self.high[rows])
        return Shown(self.name, self.label[rows], self.low, self.high)


def shown_cells(tables: AttackTables) -> list[Shown]:
    """Return the cells of all released rows, one entry a column."""
    return [
        Shown(column.name, column.released.astype(np.int64), column.low, column.high)
        if column.kind == "category"
        else Shown(column.name, np.zeros(0, np.int64), column.low, column.high)
        for column in tables.columns
    ]


def column_linkage(column: AttackColumn) -> CategoryLinkage | NumberLinkage:
    """Return how a column's cells are weighed; a category of very many values as a number."""
    if column.kind == "number":
        return NumberLinkage.of(column)
    if column.covers is None and column.values > _MOST_VALUES:
        return NumberLinkage.of_codes(column)
    return CategoryLinkage.of(column)


@dataclass(frozen=True, eq=False)
class CategoryLinkage:
    """Weights of one category.

    Parameters
    ----------
    name
        Name of the column.
    exact
        Whether all cells are single values.
    sets
        A bit a person for each label, the last label for a suppressed cell, shape (labels, words).
    share, share_of_others
        Share of rows with each label, and the same without one of them, shape (labels,).
    tree
        The code of each label in the dependence tree, shape (labels,).
    """

    name: str
    exact: bool
    sets: Words
    share: Floats
    share_of_others: Floats
    tree: Integers

    @classmethod
    def of(cls, column: AttackColumn) -> CategoryLinkage:
        """Count one column."""
        real, released = column.real.astype(np.int64), column.released.astype(np.int64)
        had = np.bincount(real, minlength=column.values).astype(np.float64)
        known = released[released != STAR]
        if column.covers is None:
            labels, covers, itself = column.values, None, 1.0
            often = had + np.bincount(known, minlength=labels)
        else:
            labels, covers, itself = len(column.covers), column.covers, 0.0
            often = covers @ had
        rows = max(len(real) + (len(known) if covers is None else 0), 1)
        often, others = (
            np.append(np.clip((often - less) / rows, 0.5 / rows, 1.0), 1.0)
            for less in (0.0, itself)
        )
        exact = covers is None and len(known) == len(released)
        counted = (
            np.concatenate([known, real]) if exact else np.where(released == STAR, labels, released)
        )
        tree = np.zeros(labels + 1, np.int64)
        codes = frequent_codes(counted, labels + 1) if len(counted) else counted
        tree[:] = codes.max(initial=0)
        tree[counted] = codes
        sets = _bits_of_labels(real, labels, covers)
        return cls(column.name, exact, sets, often, others, tree)

    def labels(self, cells: Shown) -> Integers:
        """Return the number of each cell's set."""
        return np.where(cells.label == STAR, len(self.sets) - 1, cells.label)

    def ratios(self, cells: Shown, *, counted: bool) -> Floats:
        """Return the ratio of agreement of each cell, for one kept and one redrawn, shape (2, n).

        ``counted`` says whether the cells themselves are among those counted.
        """
        different = np.array(CHANGED[:2])[:, None]
        share = (self.share_of_others if counted else self.share)[self.labels(cells)]
        return np.asarray((1 - different) / share + different, dtype=np.float64)

    def tree_codes(self, cells: Shown) -> Integers:
        """Return the codes that the dependence tree counts."""
        return self.tree[self.labels(cells)]

    def of_real(self, column: AttackColumn) -> Shown:
        """Return the real rows as if released unchanged; for exact columns."""
        none = np.zeros(0)
        return Shown(self.name, column.real.astype(np.int64), none, none)


@dataclass(frozen=True, eq=False)
class NumberLinkage:
    """Weights of one number, or of a category of very many values.

    Parameters
    ----------
    name
        Name of the column.
    exact
        Whether all cells are single values or missing.
    values
        Of the people, nan where missing, shape (N,).
    bins
        The bin of each person, shape (N,).
    known
        All exact values of people and of the release, ascending.
    pooled
        How many cells were counted, missing ones too.
    missing
        Share of them that are missing.
    lowest, width
        Start and range of the released numbers.
    density
        Mean kernel of all people at grid points over the range; empty for codes.
    scale
        One over the standard deviation of the noise.
    """

    name: str
    exact: bool
    values: Floats
    bins: Integers
    known: Floats
    pooled: int
    missing: float
    lowest: float
    width: float
    density: Floats
    scale: float

    @classmethod
    def of(cls, column: AttackColumn) -> NumberLinkage:
        """Count one column of numbers."""
        ends = np.concatenate([column.low, column.high])
        ends = ends[np.isfinite(ends)]
        return cls._of(
            column.name,
            column.low,
            column.high,
            column.numbers,
            float(ends.min(initial=np.inf)) if len(ends) else 0.0,
            column.width,
            noisy=True,
        )

    @classmethod
    def of_codes(cls, column: AttackColumn) -> NumberLinkage:
        """Count one category of very many values."""
        star = column.released == STAR
        low = np.where(star, -np.inf, column.released)
        high = np.where(star, np.inf, column.released)
        width = float(max(column.values - 1, 1))
        return cls._of(
            column.name, low, high, column.real.astype(np.float64), 0.0, width, noisy=False
        )

    @classmethod
    def _of(
        cls,
        name: str,
        low: Floats,
        high: Floats,
        values: Floats,
        lowest: float,
        width: float,
        *,
        noisy: bool,
    ) -> NumberLinkage:
        single = low == high
        exact = bool((single | np.isnan(low)).all())
        every = np.concatenate([low[single], values])
        known = np.sort(every[~np.isnan(every)])
        pooled = len(every) + int(np.isnan(low).sum())
        missing = 1.0 - len(known) / max(pooled, 1)
        deviation = NOISE * width
        density = _smoothed((known - lowest) / deviation, pooled) if noisy else np.zeros(0)
        scale = 1 / deviation if noisy else _APART
        bins = _bins(values, lowest, width)
        return cls(name, exact, values, bins, known, pooled, missing, lowest, width, density, scale)

    @cached_property
    def distinct(self) -> tuple[Floats, Integers]:
        """The different values of people, ascending, and which one each person has."""
        values, code = np.unique(self.values, return_inverse=True)
        return values, code.reshape(-1)

    def sets(self, cells: Shown) -> tuple[Words, Integers]:
        """Return a bit a person in reach for each kind of cell, and the kind of each cell."""
        low, high = self.ends(cells)
        reach = _REACH / self.scale * (1 + 1e-9)
        star = (low == -np.inf) & (high == np.inf)
        first = np.where(star, 0, _bins(low - reach, self.lowest, self.width))
        last = np.where(star, _MISSING_BIN, _bins(high + reach, self.lowest, self.width))
        kinds, label = np.unique(first * (_MISSING_BIN + 1) + last, return_inverse=True)
        first, last = np.divmod(kinds, _MISSING_BIN + 1)
        fits = [(self.bins >= a) & (self.bins <= b) for a, b in zip(first, last, strict=True)]
        return _packed_bits(np.array(fits).reshape(len(kinds), len(self.bins))), label.reshape(-1)

    def ratios(self, cells: Shown, *, counted: bool) -> tuple[Floats, Floats]:
        """Return the ratio of agreement and the factor of the kernel, of each cell.

        ``counted`` says whether the cells themselves are among those counted.
        """
        low, high = self.ends(cells)
        itself = ((low == high) & counted).astype(np.float64)
        different = CHANGED[2]
        inside = np.searchsorted(self.known, high, side="right") - np.searchsorted(
            self.known, low, side="left"
        )
        pooled = max(self.pooled, 1)
        share = np.clip((inside - itself) / pooled, 0.5 / pooled, 1.0)
        share = np.where(np.isnan(low), max(self.missing, 0.5 / pooled), share)
        tie = (1 - different) / share + different
        tie = np.where((low == -np.inf) & (high == np.inf), 1.0, tie)
        if not len(self.density):
            return tie, np.zeros(len(tie))
        place = np.nan_to_num((low - self.lowest) * self.scale * _GRID, posinf=0, neginf=0)
        at = np.interp(place, np.arange(len(self.density)), self.density) - itself / pooled
        return tie, np.asarray((1 - different) / np.maximum(at, 0.5 / pooled), np.float64)

    def tree_codes(self, cells: Shown) -> Integers:
        """Return the codes that the dependence tree counts."""
        return number_bins(self.ends(cells)[0], self.known)

    def of_real(self, column: AttackColumn) -> Shown:
        """Return the real rows as if released unchanged; for exact columns."""
        if column.kind == "category":
            none = np.zeros(0)
            return Shown(self.name, column.real.astype(np.int64), none, none)
        return Shown(self.name, np.zeros(0, np.int64), column.numbers, column.numbers)

    def ends(self, cells: Shown) -> tuple[Floats, Floats]:
        """Return the ends of what each cell stands for."""
        if len(cells.low) or not len(cells.label):
            return cells.low, cells.high
        star = cells.label == STAR
        code = cells.label.astype(np.float64)
        return np.where(star, -np.inf, code), np.where(star, np.inf, code)


def _bins(values: Floats, lowest: float, width: float) -> Integers:
    """Return the bin of each number, rising with it; below and above the range are bins too."""
    scaled = np.clip((values - lowest) / width * _BINS, -1, _BINS)
    code = np.floor(np.nan_to_num(scaled)).astype(np.int64) + 1
    return np.where(np.isnan(values), _MISSING_BIN, code)


def _smoothed(places: Floats, pooled: int) -> Floats:
    """Return the mean kernel of all numbers at grid points from 0 to one range.

    Numbers are dealt to the two grid points beside them, so that a turned sign changes nothing.
    """
    size = round(_GRID / NOISE)
    margin = int(_REACH) * _GRID
    at = np.clip(places * _GRID, -margin, size + margin) + margin
    left = np.minimum(np.floor(at).astype(np.int64), size + 2 * margin - 1)
    part = at - left
    mass = np.bincount(left, weights=1 - part, minlength=size + 2 * margin + 1)
    mass += np.bincount(left + 1, weights=part, minlength=size + 2 * margin + 1)
    steps = np.arange(-margin, margin + 1) / _GRID
    return np.convolve(mass, np.exp(-0.5 * steps * steps), mode="valid") / max(pooled, 1)


def _bits_of_labels(real: Integers, labels: int, covers: npt.NDArray[np.bool_] | None) -> Words:
    parts = []
    for start in range(0, labels, _CHUNK):
        label = np.arange(start, min(start + _CHUNK, labels))
        fits = label[:, None] == real[None] if covers is None else covers[label][:, real]
        parts.append(_packed_bits(fits))
    parts.append(_packed_bits(np.ones((1, len(real)), np.bool_)))
    return np.concatenate(parts)


def _packed_bits(fits: npt.NDArray[np.bool_]) -> Words:
    """Return flags as bits of 64-bit words, shape (rows, words)."""
    words = max(1, -(-fits.shape[1] // 64))
    whole = np.zeros((len(fits), words * 8), np.uint8)
    packed = np.packbits(fits, axis=1, bitorder="little")
    whole[:, : packed.shape[1]] = packed
    return whole.view("<u8").astype(np.uint64)
