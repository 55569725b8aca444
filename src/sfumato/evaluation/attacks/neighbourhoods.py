"""What a release looks like around single people: the statistics that shadow models are told by.

Every statistic is about one real person and all released rows: how near the nearest is, how dense
the release is around, and how much that is told by agreeing with a row (agreeing on what few have
tells more than agreeing on what many have). None looks at labels.

References
----------
J. C. Gower, "A general coefficient of similarity and some of its properties", Biometrics 27 (1971);
I. P. Fellegi, A. B. Sunter, "A theory for record linkage", JASA 64 (1969), for weighing agreement
by rarity; F. Houssiau et al., "TAPAS: a toolbox for adversarial privacy auditing of synthetic
data", arXiv 2211.06550 (2022), section 4, for local statistics about a target.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from sfumato.evaluation.attacks.tables import STAR, AttackColumn, AttackTables, read_attack_column

__all__ = ["STATISTICS", "Surroundings"]

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Singles = npt.NDArray[np.float32]

#: What is measured about each person, in the order of the last axis.
STATISTICS = (
    "distance of the nearest released row",
    "density of released rows within a short distance",
    "density of released rows within a longer distance",
    "best agreement with a released row",
    "agreement with the best rows together",
)
_SHORT, _LONG = 0.03, 0.1  # bandwidths, in Gower's distance
_CELLS = 1_000_000  # cells of a table of people and released rows


@dataclass(frozen=True, eq=False)
class Surroundings:
    """Real people that releases are looked at around.

    Parameters
    ----------
    tables
        The release, its members and its controls: scales and frequencies are taken from here.
    targets
        Row numbers of the people, shape (people,).
    """

    tables: AttackTables
    targets: Integers

    def of(self, released: pl.DataFrame) -> Floats:
        """Return the statistics of one release, shape (people, statistics).

        Parameters
        ----------
        released
            At least one row, with columns of the release attacked; those that are absent or
            written in words of their own are left out.
        """
        columns = []
        for column in self.tables.columns:
            if column.name in released.columns:
                read = self._read(column, released)
                if read is not None:
                    columns.append(read)
        people = len(self.targets)
        found = np.empty((people, len(STATISTICS)))
        step = max(1, _CELLS // released.height)
        categories = _Categories.of(
            [one for one in columns if one[0].kind == "category"], released.height, people
        )
        numbers = [_Numbers.of(*one) for one in columns if one[0].kind == "number"]
        for start in range(0, people, step):
            some = slice(start, min(start + step, people))
            apart, agreement = categories.compare(some)
            for number in numbers:
                number.compare(some, apart, agreement)
            apart /= max(len(columns), 1)
            found[some] = _summary(apart, agreement)
        return found

    def _read(
        self, column: AttackColumn, released: pl.DataFrame
    ) -> tuple[AttackColumn, Floats] | None:
        """Return a released column beside the targets, and how many real people have each value.

        Real values follow the targets' once each, so that the words of all are known.
        """
        values = self.tables.real_frame[column.name]
        counted = values.value_counts()
        every = pl.concat([values[self.targets], counted[column.name]]).to_frame()
        read, _ = read_attack_column(column.name, released, every, self.tables.schema)
        if read is None:
            return None
        if read.kind == "number" and column.kind == "number":
            read = replace(read, width=column.width)
        often = np.zeros(every.height)
        often[len(self.targets) :] = counted.to_series(1).to_numpy()
        return read, often


@dataclass(frozen=True, eq=False)
class _Categories:
    """Category columns as one product of matrices.

    Parameters
    ----------
    labels
        Which labels each released row has, shape (n, labels), sparse.
    fits
        Whether a label fits a person, shape (labels, people).
    told
        What agreement on a label tells, in nats, shape (labels,).
    count
        Number of columns.
    """

    labels: Any
    fits: npt.NDArray[np.bool_]
    told: Singles
    count: int

    @classmethod
    def of(cls, columns: list[tuple[AttackColumn, Floats]], rows: int, people: int) -> _Categories:
        from scipy.sparse import csr_matrix

        if not columns:
            nobody = np.zeros((0, people), dtype=np.bool_)
            none = np.zeros(0, dtype=np.float32)
            return cls(csr_matrix((rows, 0), dtype=np.float32), nobody, none, 0)
        places, fits, told, width = [], [], [], 0
        for column, often in columns:
            labels, place = np.unique(column.released, return_inverse=True)
            covers = (
                (labels[:, None] == column.real) | (labels == STAR)[:, None]
                if column.covers is None
                else column.covers[labels][:, column.real]
            )
            total = max(float(often.sum()), 1.0)
            places.append(place + width)
            fits.append(covers[:, :people])
            told.append(-np.log(np.clip(covers @ often / total, 1 / total, 1.0)))
            width += len(labels)
        joined = np.stack(places, axis=1).ravel()
        ends = np.arange(rows + 1) * len(columns)
        ones = np.ones(len(joined), dtype=np.float32)
        return cls(
            csr_matrix((ones, joined, ends), shape=(rows, width)),
            np.concatenate(fits),
            np.concatenate(told).astype(np.float32),
            len(columns),
        )

    def compare(self, some: slice) -> tuple[Singles, Singles]:
        """Return differing columns and agreement in nats, shape (released, people) each."""
        people = some.stop - some.start
        if not self.count:
            shape = (self.labels.shape[0], people)
            return np.zeros(shape, dtype=np.float32), np.zeros(shape, dtype=np.float32)
        fit = self.fits[:, some].astype(np.float32)
        alike, told = self.labels @ fit, self.labels @ (fit * self.told[:, None])
        return np.float32(self.count) - alike, told


@dataclass(frozen=True, eq=False)
class _Numbers:
    """A number column, with places among the real people's numbers.

    Parameters
    ----------
    column
        As it was read, targets first.
    below, up_to
        How many real people are below the low end, and up to the high end, of each released cell.
    below_real, up_to_real
        The same of each person's own number.
    known, missing
        How many real people have a number, and how many have none.
    least
        The least number that a real person has; distances are taken from there, so that single
        precision is enough.
    """

    column: AttackColumn
    below: Singles
    up_to: Singles
    below_real: Singles
    up_to_real: Singles
    known: float
    missing: float
    least: float

    @classmethod
    def of(cls, column: AttackColumn, often: Floats) -> _Numbers:
        there = ~np.isnan(column.numbers)
        order = np.argsort(column.numbers[there], kind="stable")
        values = column.numbers[there][order]
        running = np.concatenate([[0.0], np.cumsum(often[there][order])]).astype(np.float32)
        return cls(
            column,
            running[np.searchsorted(values, column.low, side="left")],
            running[np.searchsorted(values, column.high, side="right")],
            running[np.searchsorted(values, column.numbers, side="left")],
            running[np.searchsorted(values, column.numbers, side="right")],
            max(float(running[-1]), 1.0),
            float(often[~there].sum()),
            float(values[0]) if len(values) else 0.0,
        )

    def compare(self, some: slice, apart: Singles, agreement: Singles) -> None:
        """Add the column's distance and agreement, shape (released, people) each."""
        low, high, own = (
            ((ends - self.least) / self.column.width).astype(np.float32)
            for ends in (self.column.low, self.column.high, self.column.numbers[some])
        )
        low, high = low[:, None], high[:, None]
        gap = low - own
        np.maximum(gap, own - high, out=gap)
        np.clip(gap, 0.0, 1.0, out=gap)
        # agreement: how few real people are as near to this one as the cell is
        between = self.below[:, None] - self.up_to_real[some]
        np.maximum(between, self.below_real[some] - self.up_to[:, None], out=between)
        np.maximum(between, 0.0, out=between)
        between *= 2.0
        alike = self.up_to_real[some] - self.below_real[some]
        between += np.maximum(alike, (self.up_to - self.below)[:, None])
        between /= np.float32(self.known)
        np.clip(between, np.float32(1 / self.known), 1.0, out=between)
        told = np.log(between, out=between)
        gone, lacks = np.isnan(self.column.low), np.isnan(own)
        if gone.any() or lacks.any():
            hidden = (self.column.low == -np.inf) & (self.column.high == np.inf)
            total = self.known + self.missing
            gap[gone], told[gone] = 1.0, 0.0
            gap[:, lacks], told[:, lacks] = 1.0, 0.0
            gap[np.ix_(gone, lacks)] = 0.0
            told[np.ix_(gone, lacks)] = np.log(max(self.missing, 1.0) / total)
            gap[hidden] = 0.0
        apart += gap
        agreement -= told


def _summary(apart: Singles, agreement: Singles) -> Floats:
    """Return the statistics of each person from distances and agreements with all rows."""
    nearest, best = apart.min(axis=0), agreement.max(axis=0)
    # densities are taken beside the nearest row, so that no far person's underflows
    beyond = nearest - apart
    short = np.log(np.exp(beyond / _SHORT).mean(axis=0)) - nearest / _SHORT
    longer = np.log(np.exp(beyond / _LONG).mean(axis=0)) - nearest / _LONG
    together = np.log(np.exp((agreement - best) * np.float32(0.5)).mean(axis=0)) + best / 2
    return np.stack([nearest, short, longer, best, together], axis=1).astype(np.float64)
