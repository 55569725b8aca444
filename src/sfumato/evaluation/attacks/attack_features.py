"""Released and real rows as numbers that a learner can be trained on and asked about.

A generalized or suppressed cell stands for a set. Who attacks fills it with a value drawn from that
set as often as it occurs among all real people, members and controls alike, so that real people
can be looked up at the same scale, whether the release generalizes every row alike or each its own
way. Nothing here knows who is a member.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sfumato.evaluation.attacks.tables import STAR, AttackColumn, AttackTables

__all__ = [
    "Filled",
    "LearnerTable",
    "classes_of_secret",
    "fill",
    "known_columns",
    "ranks",
    "secrets",
]

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Singles = npt.NDArray[np.float32]

_TRACE = 1e-6  # so that a value that no real person has can still be drawn from its set
_FEW_NUMBERS = 12


@dataclass(frozen=True, eq=False)
class Filled:
    """One column with a value in every cell.

    Parameters
    ----------
    released
        Code or number of each released row, nan where a number is missing, shape (n,).
    real
        The same of each real row, shape (N,).
    hidden
        Whether the released cell could be anything, shape (n,).
    widened
        Whether the released cell stood for more than one value, shape (n,).
    """

    released: Floats
    real: Floats
    hidden: Flags
    widened: Flags


def fill(column: AttackColumn, random: np.random.Generator) -> Filled:
    """Return a column whose generalized and suppressed cells were drawn.

    Parameters
    ----------
    column
        As the attack sees it.
    random
        What the values are drawn with.
    """
    if column.kind == "number":
        return _filled_numbers(column, random)
    labels = column.released.astype(np.int64)
    real = column.real.astype(np.float64)
    # a real cell may be "*" too: it is no value to draw
    often = np.bincount(column.real[column.real >= 0], minlength=column.values).astype(np.float64)
    weights = often + _TRACE
    if column.covers is None:
        hidden = labels == STAR
        drawn = labels.astype(np.float64)
        if hidden.any():
            ends = np.cumsum(weights)
            drawn[hidden] = _drawn(ends, random.random(int(hidden.sum())) * ends[-1])
        return Filled(drawn, real, hidden, hidden)
    spread = np.where(column.covers, weights, 0.0)
    ends = np.cumsum(spread.ravel())
    last = ends[np.arange(1, len(spread) + 1) * spread.shape[1] - 1]
    first = np.concatenate([[0.0], last[:-1]])
    at = first[labels] + random.random(len(labels)) * (last - first)[labels]
    flat = np.minimum(_drawn(ends, at), (labels + 1) * spread.shape[1] - 1)
    wide = column.covers.sum(axis=1)
    drawn = (flat % spread.shape[1]).astype(np.float64)
    hidden = (wide == column.values)[labels] & (column.values > 1)
    return Filled(drawn, real, hidden, (wide > 1)[labels])


def _drawn(ends: Floats, at: Floats) -> Integers:
    return np.minimum(np.searchsorted(ends, at, side="right"), len(ends) - 1).astype(np.int64)


def _filled_numbers(column: AttackColumn, random: np.random.Generator) -> Filled:
    hidden = (column.low == -np.inf) & (column.high == np.inf)
    widened = hidden | (column.low < column.high)
    drawn = np.where(widened, np.nan, column.low)
    known = np.sort(column.numbers[~np.isnan(column.numbers)])
    low, high = column.low[widened], column.high[widened]
    share = random.random(len(low))
    first = np.searchsorted(known, low, side="left")
    held = np.searchsorted(known, high, side="right") - first
    inside = held > 0
    values = np.full(len(low), np.nan)
    place = first[inside] + np.floor(share[inside] * held[inside]).astype(np.int64)
    values[inside] = known[place]
    between = ~inside & np.isfinite(low) & np.isfinite(high)
    values[between] = low[between] + share[between] * (high - low)[between]
    drawn[widened] = values
    return Filled(drawn, column.numbers, hidden, widened)


def ranks(filled: Filled) -> tuple[Floats, Floats]:
    """Return released and real values as ranks among all of them, -1 where missing.

    Ranks do not depend on a unit, and spread out what is skewed.
    """
    released, real = filled.released, filled.real
    values = np.unique(np.concatenate([released, real]))
    values = values[~np.isnan(values)]
    return tuple(  # type: ignore[return-value]
        np.where(np.isnan(side), -1.0, np.searchsorted(values, side)) for side in (released, real)
    )


@dataclass(frozen=True, eq=False)
class LearnerTable:
    """All columns of released and of real rows as ranks, filled once for every secret.

    Parameters
    ----------
    names
        The columns.
    released, real
        Ranks, -1 where missing, shape (columns, n) and (columns, N).
    """

    names: tuple[str, ...]
    released: Singles
    real: Singles

    @classmethod
    def of(cls, columns: Sequence[AttackColumn], random: np.random.Generator) -> LearnerTable:
        """Fill and rank columns.

        Parameters
        ----------
        columns
            At least one.
        random
            What generalized and suppressed cells are drawn with.
        """
        names = tuple(column.name for column in columns)
        pairs = [ranks(fill(column, random)) for column in columns]
        released, real = (
            np.array([pair[side] for pair in pairs], dtype=np.float32) for side in (0, 1)
        )
        return cls(names, released, real)

    def known(
        self, columns: Sequence[str], *, released: Integers, real: Integers
    ) -> tuple[Singles, Singles]:
        """Return some columns of some rows, shape (rows, columns); one constant for no column."""
        if not columns:
            return np.zeros((len(released), 1), np.float32), np.zeros((len(real), 1), np.float32)
        places = np.array([self.names.index(name) for name in columns])[:, None]
        return (
            np.ascontiguousarray(self.released[places, released].T),
            np.ascontiguousarray(self.real[places, real].T),
        )


@dataclass(frozen=True, eq=False)
class Classes:
    """A secret as classes to be guessed.

    Parameters
    ----------
    released, real
        Class of each row, shape (n,), (N,); the last class, ``count - 1``, is every value that is
        released too seldom to have a class of its own and is never guessed rightly.
    told
        Whether a released row tells the secret at all, shape (n,).
    count
        Number of classes.
    """

    released: Integers
    real: Integers
    told: Flags
    count: int


def classes_of_secret(
    column: AttackColumn, random: np.random.Generator, *, most: int, bins: int
) -> Classes:
    """Return a secret column as classes.

    Parameters
    ----------
    column
        The secret.
    random
        What generalized cells are drawn with.
    most
        Most values with a class of their own, the most released ones.
    bins
        Classes of a number with more than twelve released values: equally many released rows in
        each, as far as ties allow.
    """
    filled = fill(column, random)
    released, real = filled.released, filled.real
    if column.kind == "number":
        known = released[~np.isnan(released) & ~filled.hidden]
        values = np.unique(known)
        if len(values) > _FEW_NUMBERS:
            cuts = np.unique(np.quantile(known, np.arange(1, bins) / bins, method="lower"))
            released, real = _binned(released, cuts), _binned(real, cuts)
        else:
            released, real = _coded(released, values), _coded(real, values)
    # a code of its own for whatever else, then the commonest first
    told = ~filled.hidden
    every = np.unique(released[told]) if told.any() else np.zeros(0)
    often = np.bincount(np.searchsorted(every, released[told]), minlength=len(every))
    kept = np.sort(every[np.argsort(-often, kind="stable")[:most]])
    count = len(kept) + 1
    return Classes(
        _coded(released, kept).astype(np.int64),
        _coded(real, kept).astype(np.int64),
        told,
        count,
    )


def _binned(numbers: Floats, cuts: Floats) -> Floats:
    """Return the bin of each number; missing is a bin of its own, 0."""
    return np.where(np.isnan(numbers), 0.0, np.searchsorted(cuts, numbers, side="left") + 1.0)


def _coded(numbers: Floats, values: Floats) -> Floats:
    """Return the place of each number among the values, ``len(values)`` if it is none."""
    place = np.searchsorted(values, numbers)
    same = (
        (place < len(values)) & (values[np.minimum(place, len(values) - 1)] == numbers)
        if len(values)
        else np.zeros(len(numbers), dtype=np.bool_)
    )
    return np.where(same, place, len(values)).astype(np.float64)


def secrets(tables: AttackTables, columns: Sequence[str] | None) -> tuple[str, ...]:
    """Return the columns to infer: those named, or the schema's sensitive ones and the target.

    A named column that cannot be compared is returned too, so that its figure can say so.
    """
    if columns is not None:
        return tuple(columns)
    named = [*tables.schema.sensitive, tables.target or tables.schema.target]
    return tuple(dict.fromkeys(name for name in named if name is not None))


def known_columns(
    tables: AttackTables, secret: str, known: Sequence[str] | None
) -> tuple[AttackColumn, ...]:
    """Return the columns that the attacker knows: those named, or all but the secret."""
    return tuple(
        column
        for column in tables.columns
        if column.name != secret and (known is None or column.name in known)
    )
