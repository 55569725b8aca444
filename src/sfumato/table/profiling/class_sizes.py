"""How many people share each combination of values: the groups, and the smallest of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["ClassSizes", "SizeBin", "SmallGroup", "class_sizes", "size_histogram"]

# Where classes of one size end and larger ones begin; 5, 11 and 20 are customary thresholds.
_EDGES = (1, 2, 3, 5, 11, 20, 50, 100, 1000)


@dataclass(frozen=True)
class SmallGroup:
    """One group: its values, in the order of the columns, and its size.

    Parameters
    ----------
    labels
        The group's values as texts; None where the value is missing.
    size
        Rows, or distinct persons, that share them.
    """

    labels: tuple[str | None, ...]
    size: int


@dataclass(frozen=True)
class SizeBin:
    """How many groups, and rows in them, have a size of ``low`` to ``high`` (None: and more)."""

    low: int
    high: int | None
    groups: int
    members: int


@dataclass(frozen=True)
class ClassSizes:
    """The groups that some columns make of the rows.

    Parameters
    ----------
    columns
        The columns.
    unit
        What a size counts: "rows", or "persons" if one person has several rows.
    groups
        Number of groups (equivalence classes).
    smallest, median, largest
        Sizes.
    smallest_groups
        The ten smallest groups, or fewer; ties by their values.
    histogram
        Groups by size.
    """

    columns: tuple[str, ...]
    unit: str
    groups: int
    smallest: int
    median: float
    largest: int
    smallest_groups: tuple[SmallGroup, ...]
    histogram: tuple[SizeBin, ...]


def class_sizes(
    table: pl.DataFrame, columns: Sequence[str], *, person: str | None = None, shown: int = 10
) -> ClassSizes:
    """Group the rows of a table by some columns; a missing value is a value of its own.

    Parameters
    ----------
    table
        The rows, at least one.
    columns
        The columns, at least one.
    person
        The column that says whose row it is; sizes then count persons.
    shown
        How many of the smallest groups to name.

    Examples
    --------
    >>> made = class_sizes(pl.DataFrame({"sex": ["f", "m", "f"]}), ["sex"])
    >>> made.groups, made.smallest_groups[0]
    (2, SmallGroup(labels=('m',), size=1))
    """
    size = "".join(columns) + " size"
    counted = pl.len() if person is None else pl.col(person).n_unique()
    groups = table.group_by(list(columns)).agg(counted.cast(pl.Int64).alias(size))
    sizes = groups[size].to_numpy()
    order = [size, *columns]
    first = groups.bottom_k(shown, by=order).sort(order, nulls_last=True).head(shown)
    return ClassSizes(
        columns=tuple(columns),
        unit="rows" if person is None else "persons",
        groups=int(sizes.size),
        smallest=int(sizes.min()),
        median=float(np.median(sizes)),
        largest=int(sizes.max()),
        smallest_groups=tuple(
            SmallGroup(tuple(None if cell is None else str(cell) for cell in row[:-1]), row[-1])
            for row in first.select(*columns, size).iter_rows()
        ),
        histogram=size_histogram(sizes),
    )


def size_histogram(sizes: NDArray[np.int64]) -> tuple[SizeBin, ...]:
    """Return how many groups and members have each range of sizes; empty ranges are left out.

    Examples
    --------
    >>> size_histogram(np.array([1, 1, 4]))
    (SizeBin(low=1, high=1, groups=2, members=2), SizeBin(low=3, high=4, groups=1, members=4))
    """
    bins = []
    ends = [edge - 1 for edge in _EDGES[1:]]
    for low, high in zip(_EDGES, [*ends, None], strict=True):
        inside = sizes >= low if high is None else (sizes >= low) & (sizes <= high)
        if inside.any():
            members = int(sizes[inside].sum())
            bins.append(SizeBin(low, high, int(np.count_nonzero(inside)), members))
    return tuple(bins)
