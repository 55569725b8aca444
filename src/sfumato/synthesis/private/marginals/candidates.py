"""What may be measured next: sets of columns of the workload, at several resolutions.

Noise is per cell, so that a fine marginal of few people in each cell is mostly noise. Each set of
columns is offered with its numbers in 4, 8 and 16 groups too, and with the rare values of its
categories together; the score decides.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from sfumato.synthesis.private.marginals.propagation import Floats

    Integers = npt.NDArray[np.int64]

__all__ = ["Candidate", "Workload", "candidates", "resolutions", "workload_sets"]

Workload: TypeAlias = Literal["pairs", "triples", "target"]

_RESOLUTIONS = (4, 8, 16)
_COARSE_TRIPLE = 8  # groups of a column in a triple that is not of the target
_FEW = 10  # values of a target with which triples are offered


@dataclass(frozen=True, eq=False)
class Candidate:
    """A marginal that may be measured.

    Parameters
    ----------
    columns
        Its columns, ascending.
    groups
        For each column the group of each of its cells.
    weight
        What an error of it counts, a whole number of 1 or more.
    """

    columns: tuple[int, ...]
    groups: tuple[Integers, ...]
    weight: int

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of groups along each axis."""
        return tuple(int(group.max()) + 1 for group in self.groups)

    @property
    def size(self) -> int:
        """Number of its cells."""
        return math.prod(self.shape)


def workload_sets(
    sizes: Sequence[int], workload: Workload, target: int | None, emphasis: int
) -> dict[tuple[int, ...], int]:
    """Return the sets of columns that are to come out right, and what an error of each counts.

    Parameters
    ----------
    sizes
        Number of cells of each column.
    workload
        "pairs": every pair; "triples": every pair and triple, weighted by how many columns it
        shares with each triple (AIM's rule); "target": every pair, pairs with the target
        ``emphasis`` times, and every triple with a target of few values.
    target
        Place of the target, or None.
    emphasis
        Weight of a pair with the target.
    """
    width = range(len(sizes))
    pairs = list(itertools.combinations(width, 2))
    if workload == "triples" and len(sizes) > 2:
        # over all triples the columns in common sum to (d - 1)(d - 2) / 2 for each column
        return {
            **dict.fromkeys(pairs, 2),
            **dict.fromkeys(itertools.combinations(width, 3), 3),
        }
    if workload != "target" or target is None:
        return dict.fromkeys(pairs, 1)
    found: dict[tuple[int, ...], int] = {}
    for pair in pairs:
        found[pair] = emphasis if target in pair else 1
    if sizes[target] <= _FEW:
        for i, j in pairs:
            if target not in (i, j):
                first, second, third = sorted((i, j, target))
                found[first, second, third] = 2
    return found


def resolutions(shares: Floats, *, ordered: bool, missing: bool) -> list[Integers]:
    """Return the groupings in which a column is offered, the finest first.

    Parameters
    ----------
    shares
        Share of the rows in each cell, as far as is known from noisy counts.
    ordered
        Whether neighbours are grouped, into groups of about as many rows; otherwise the rarest
        cells become one group.
    missing
        Whether the last cell stands for missing; it keeps a group of its own.
    """
    size = shares.size
    found = [np.arange(size, dtype=np.int64)]
    known = size - missing
    for wanted in sorted(_RESOLUTIONS, reverse=True):
        if known * 3 < wanted * 4:
            continue
        part = shares[:known] / shares[:known].sum()
        if ordered:
            middle = np.cumsum(part) - part / 2
            raw = np.floor(middle * wanted).astype(np.int64)
        else:
            rank = np.empty(known, dtype=np.int64)
            rank[np.argsort(-part, kind="stable")] = np.arange(known)
            raw = np.minimum(rank, wanted - 1)
        group = np.unique(raw, return_inverse=True)[1].astype(np.int64)
        if missing:
            group = np.append(group, group.max() + 1)
        if 1 < group.max() + 1 < found[-1].max() + 1:
            found.append(group)
    return found


def candidates(
    sets: dict[tuple[int, ...], int],
    levels: Sequence[Sequence[Integers]],
    target: int | None,
    most: int,
) -> list[Candidate]:
    """Return every set at every resolution.

    Parameters
    ----------
    sets
        What :func:`workload_sets` returned.
    levels
        What :func:`resolutions` returned for each column.
    target
        Place of the target; it is never coarse.
    most
        A candidate of more cells is not offered.
    """
    found = []
    for columns, weight in sets.items():
        offered = [levels[one][:1] if one == target else levels[one] for one in columns]
        if len(columns) > 2 and target not in columns:
            offered = [_coarse(each) for each in offered]
        for groups in itertools.product(*offered):
            one = Candidate(columns, groups, weight)
            if one.size <= most:
                found.append(one)
    return found


def _coarse(levels: Sequence[Integers]) -> Sequence[Integers]:
    few = [group for group in levels if group.max() < _COARSE_TRIPLE]
    return few or levels[-1:]
