"""A column's values as leaves of a tree, numbered so that every group is a run of numbers.

The leaves are numbered in depth-first order of the hierarchy (numbers by value within a group),
so that every generalized value, at every level, is an interval of codes. Generalizing is one look
into an array; the lowest common ancestor of a set of codes is that of its least and greatest.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import polars as pl

from sfumato.errors import HierarchyError, InternalError
from sfumato.table.hierarchies.keys import (
    distinct_values,
    match_keys,
    numbers_of,
    replace_values,
    rows_holding,
)

__all__ = ["MISSING_LABEL", "SUPPRESSED", "Climber", "Ladder", "build_ladder", "smallest_unsigned"]

SUPPRESSED = "*"
"""The label of the top of every hierarchy, and of a suppressed cell."""

MISSING_LABEL = "(missing)"
"""The label of the leaf that stands for a missing cell; its only ancestor is ``*``."""

_ROWS_AT_ONCE = 2**20


class Climber(Protocol):
    """One kind of hierarchy: how a value climbs from itself to the level below ``*``."""

    @property
    def height(self) -> int:
        """Levels above the leaf, the top included; at least 1."""
        ...

    @property
    def leaves(self) -> pl.Series | None:
        """All values in their natural order, or None if any value of a form is held."""
        ...

    def climb(self, values: pl.Series) -> tuple[pl.Series, ...]:
        """Return the label of each value at levels 0 to ``height - 1``.

        ``values`` are distinct and none is missing. A value that the hierarchy does not hold is
        missing at every level.
        """
        ...

    def describe(self) -> str:
        """Return the hierarchy in words."""
        ...

    def examples(self) -> pl.Series:
        """Return a few values, invented where the leaves are not listed."""
        ...

    def mend(self) -> str:
        """Return what to do about a value that is not held."""
        ...


@dataclass(frozen=True, eq=False)
class Ladder:
    """The leaves of one column and their groups at every level.

    Parameters
    ----------
    column
        Name of the column.
    levels
        For each level 0 to ``height`` an array of shape (n_leaves,): the number of the group that
        holds the leaf. Group numbers start at 0 and never fall along the leaves.
    labels
        For each level the text of each group; ``labels[height]`` is ``("*",)``.
    sizes
        For each level an array: how many leaves each group holds.
    has_missing
        Whether the last leaf stands for a missing cell.
    """

    column: str
    levels: tuple[npt.NDArray[np.int64], ...]
    labels: tuple[tuple[str, ...], ...]
    sizes: tuple[npt.NDArray[np.int64], ...]
    has_missing: bool
    _keys: pl.Series = field(repr=False)

    @property
    def height(self) -> int:
        """Levels above the leaf, ``*`` included."""
        return len(self.levels) - 1

    @property
    def n_leaves(self) -> int:
        """Leaves in all, the one for missing cells included."""
        return len(self.levels[0])

    @property
    def domain_size(self) -> int:
        """Leaves of the hierarchy: D of the loss measures, without the leaf for missing cells."""
        return self.n_leaves - int(self.has_missing)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The smallest unsigned type that holds every code."""
        return smallest_unsigned(self.n_leaves)

    def numbers(self) -> npt.NDArray[np.float64] | None:
        """Return the leaves as numbers, ``nan`` for missing; None if a leaf is no number."""
        numbers = numbers_of(self._keys)
        if numbers.null_count() or self.domain_size == 0:
            return None
        tail = [np.nan] if self.has_missing else []
        return np.concatenate([numbers.to_numpy(), tail])

    def bounds(self, level: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return the first and the last code of each group at a level, ends included."""
        last = np.cumsum(self.sizes[level]) - 1
        return last - self.sizes[level] + 1, last

    def codes(self, series: pl.Series) -> npt.NDArray[Any]:
        """Return the leaf number of each row.

        Parameters
        ----------
        series
            The column (n rows) that the ladder was made for, or other rows of it.

        Returns
        -------
        np.ndarray
            Shape (n,), the smallest unsigned type that holds every leaf.

        Raises
        ------
        HierarchyError
            If a row holds a value that is no leaf, or is missing and no leaf stands for that.
        """
        if series.null_count() and not self.has_missing:
            first = int(series.is_null().arg_max() or 0) + 1
            raise HierarchyError(
                f"column {self.column!r}: {series.null_count()} cells are missing (first in row "
                f"{first}), and the ladder was made from rows without a missing cell"
            )
        values = distinct_values(series)
        leaves = match_keys(values, self._keys)
        if leaves.null_count():
            count, first = rows_holding(series, values.filter(leaves.is_null()))
            raise HierarchyError(
                f"column {self.column!r}: {count} rows (first: row {first}) hold a value that is "
                "none of the leaves that the ladder was made of"
            )
        kind = _POLARS_UNSIGNED[self.dtype.itemsize]
        codes = np.empty(len(series), dtype=self.dtype)
        # part by part, so that what is needed on the way stays small beside the column
        step = max(_ROWS_AT_ONCE, 8 * len(values))
        for start in range(0, len(series), step):
            part = replace_values(series.slice(start, step), values, leaves, kind)
            if self.has_missing:
                part = part.fill_null(self.n_leaves - 1)
            codes[start : start + len(part)] = part.to_numpy()
        return codes

    def decode(self, codes: npt.NDArray[Any], level: int = 0) -> pl.Series:
        """Return the label of each code at a level; missing cells stay missing below ``*``."""
        labels = pl.Series(self.labels[level], dtype=pl.String)
        if self.has_missing and level < self.height:
            labels = labels.scatter(len(labels) - 1, None)
        return labels.gather(self.levels[level][codes]).alias(self.column)


def build_ladder(
    column: str, climbed: tuple[pl.Series, ...], *, missing: bool, where: str
) -> Ladder:
    """Return the ladder of the leaves, numbered depth-first.

    Parameters
    ----------
    column
        Name of the column.
    climbed
        For each level 0 to ``height - 1`` the label of each leaf; the leaves in their natural
        order.
    missing
        Whether a last leaf stands for missing cells.
    where
        What the hierarchy is, for a message.

    Raises
    ------
    HierarchyError
        If a group has two parents, so that no order makes every group a run.
    """
    count = len(climbed[0])
    ranks = [np.arange(count, dtype=np.int64)]
    ranks += [_first_seen(labels) for labels in climbed[1:]]
    order = np.lexsort(ranks)
    levels = [np.arange(count, dtype=np.int64)]
    # from the top down: the first group that is no single run has two parents just above it
    for level in range(len(ranks) - 1, 0, -1):
        rank = ranks[level][order]
        groups = np.cumsum(np.diff(rank, prepend=rank[:1]) != 0)
        if count and groups[-1] != rank.max():
            raise _two_parents(where, climbed, level)
        levels.insert(1, groups.astype(np.int64))
    ordered = [labels.gather(order) for labels in climbed]
    texts = [
        tuple(labels.filter(_starts(groups)).to_list())
        for labels, groups in zip(ordered, levels, strict=True)
    ]
    if missing:
        levels = [np.append(groups, groups[-1] + 1 if count else 0) for groups in levels]
        texts = [(*labels, MISSING_LABEL) for labels in texts]
    levels.append(np.zeros(count + int(missing), dtype=np.int64))
    texts.append((SUPPRESSED,))
    sizes = [np.bincount(groups, minlength=1).astype(np.int64) for groups in levels]
    for array in (*levels, *sizes):
        array.flags.writeable = False
    return Ladder(column, tuple(levels), tuple(texts), tuple(sizes), missing, ordered[0])


def smallest_unsigned(values: int) -> np.dtype[Any]:
    """Return the smallest unsigned type that numbers ``values`` things from 0."""
    for kind in (np.uint8, np.uint16, np.uint32):
        if values <= np.iinfo(kind).max + 1:
            return np.dtype(kind)
    raise InternalError(f"{values} leaves: more than a column can hold")


_POLARS_UNSIGNED: dict[int, type[pl.DataType]] = {1: pl.UInt8, 2: pl.UInt16, 4: pl.UInt32}


def _first_seen(labels: pl.Series) -> npt.NDArray[np.int64]:
    """Return a number for each label, by the order in which labels first appear."""
    distinct = labels.unique(maintain_order=True)
    if distinct.is_empty():
        return np.zeros(0, dtype=np.int64)
    numbers = pl.Series(range(len(distinct)), dtype=pl.Int64)
    return labels.replace_strict(distinct, numbers, return_dtype=pl.Int64).to_numpy()


def _starts(groups: npt.NDArray[np.int64]) -> pl.Series:
    return pl.Series(np.diff(groups, prepend=-1) > 0)


def _two_parents(where: str, climbed: tuple[pl.Series, ...], level: int) -> HierarchyError:
    parents = pl.DataFrame({"group": climbed[level], "parent": climbed[level + 1]}).unique(
        maintain_order=True
    )
    twice = parents.filter(pl.col("group").is_duplicated())
    group = twice["group"][0]
    found = twice.filter(pl.col("group") == group)["parent"].to_list()
    return HierarchyError(
        f"{where}: the group {group!r} of level {level} has two parents, {found[0]!r} and "
        f"{found[1]!r}: a group must have one"
    )
