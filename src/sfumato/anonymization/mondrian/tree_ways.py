"""Which way people go at each node of a tree, as arrays; and how they fall down it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = [
    "BETWEEN_NUMBERS",
    "MISSING_OR_NOT",
    "Pieces",
    "RankCuts",
    "Ways",
    "fall",
    "fall_in_order",
]

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

# What stands for a table of branches where there is none.
BETWEEN_NUMBERS, MISSING_OR_NOT = -1, -2

# From so many rows on the compiled loop is faster than arrays, its loading included.
_MANY = 250_000


@dataclass(frozen=True)
class RankCuts:
    """The nodes that were cut by rank (r of them).

    Parameters
    ----------
    number
        For each node of the tree its place among these, -1 if it was not cut by rank.
    lower, upper
        The two parts.
    from_, below
        Numbers from ``from_`` up to ``below`` are held by both parts; infinite for no end. ``nan``
        where no numbers are cut.
    branch
        The branch that both parts hold where no numbers are cut, else -1.
    quota, parted
        How many of those whom both could hold were in the lower part at fitting, and in both.
    """

    number: Integers
    lower: Integers
    upper: Integers
    from_: Floats
    below: Floats
    branch: Integers
    quota: Integers
    parted: Integers


@dataclass(frozen=True)
class Ways:
    """Which way people go.

    Parameters
    ----------
    column
        For each node the column that is cut there, -1 for a final node.
    offset
        For each node where the branches of its kind of cut begin in ``branches``;
        ``BETWEEN_NUMBERS``, or ``MISSING_OR_NOT`` where missing cells (branch 1) are split off.
    branches
        The branch into which each code of a column goes, -1 for none, for all kinds of cuts.
    border
        For each node that is cut between numbers the least number of its upper part, else ``nan``.
    keys, children
        Node times ``fan`` plus branch, rising, and the child there.
    fan
        More than any branch.
    first
        For each node where its children begin in ``children``, and at last their number.
    rank
        The cuts by rank.
    """

    column: Integers
    offset: Integers
    branches: Integers
    border: Floats
    keys: Integers
    children: Integers
    fan: int
    first: Integers
    rank: RankCuts


def fall(ways: Ways, values: Floats) -> Integers:
    """Return the node at which each row ends, in a tree without cuts by rank.

    Parameters
    ----------
    ways
        Which way people go.
    values
        For each row (n) and column (q) its code, or its number; ``nan`` for no number.
    """
    if len(values) >= _MANY:
        from sfumato.anonymization.mondrian.tree_kernels import fall_compiled

        return fall_compiled(ways, values)
    node = np.zeros(len(values), dtype=np.int64)
    falling = np.flatnonzero(ways.column[node] >= 0)
    while len(falling):
        here = node[falling]
        child = _children(ways, here, values[falling, ways.column[here]])
        held = child >= 0
        falling = falling[held]
        node[falling] = child[held]
        falling = falling[ways.column[node[falling]] >= 0]
    return node


@dataclass(frozen=True)
class Pieces:
    """Entries, or parts of their rows, on the way down (arrays of one length).

    Parameters
    ----------
    entry
        Which entry.
    since, weights
        The first of its rows, in their order, and how many.
    node
        Where they are.
    """

    entry: Integers
    since: Integers
    weights: Integers
    node: Integers


def fall_in_order(ways: Ways, values: Floats, weights: Integers, *, divisible: bool) -> Pieces:
    """Return the pieces of entries and the node at which each ends.

    Parameters
    ----------
    ways
        Which way people go.
    values
        As for :func:`fall`, for each distinct entry (m), in rising order.
    weights
        Rows of each entry.
    divisible
        Whether rows of one entry may part ways.
    """
    count = len(values)
    zeros = np.zeros(count, dtype=np.int64)
    pieces = Pieces(np.arange(count), zeros, weights, zeros)
    done: list[Pieces] = []
    while len(pieces.entry):
        column = ways.column[pieces.node]
        pieces = _set_aside(pieces, column < 0, done)
        by_rank = ways.rank.number[pieces.node] >= 0
        here = pieces.node
        child = np.full(len(here), -1, dtype=np.int64)
        value = values[pieces.entry, ways.column[here]]
        child[~by_rank] = _children(ways, here[~by_rank], value[~by_rank])
        if by_rank.any():
            pieces, child = _parted(ways, pieces, child, values, by_rank, divisible=divisible)
        pieces = Pieces(
            pieces.entry, pieces.since, pieces.weights, np.where(child >= 0, child, pieces.node)
        )
        pieces = _set_aside(pieces, child < 0, done)
    return Pieces(
        np.concatenate([zeros[:0], *(part.entry for part in done)]),
        np.concatenate([zeros[:0], *(part.since for part in done)]),
        np.concatenate([zeros[:0], *(part.weights for part in done)]),
        np.concatenate([zeros[:0], *(part.node for part in done)]),
    )


def _set_aside(pieces: Pieces, which: Flags, done: list[Pieces]) -> Pieces:
    """Put pieces that fall no further to those that are done; return the others."""
    some, rest = (
        Pieces(pieces.entry[of], pieces.since[of], pieces.weights[of], pieces.node[of])
        for of in (which, ~which)
    )
    done.append(some)
    return rest


def _children(ways: Ways, node: Integers, value: Floats) -> Integers:
    """Return the child into which each value falls at its node, -1 if none holds it."""
    branch = _branch(ways, node, value)
    key = node * ways.fan + branch
    place = np.minimum(np.searchsorted(ways.keys, key), len(ways.keys) - 1)
    held = branch >= 0
    held[held] = ways.keys[place[held]] == key[held]
    child = np.full(len(node), -1, dtype=np.int64)
    child[held] = ways.children[place[held]]
    return child


def _branch(ways: Ways, node: Integers, value: Floats) -> Integers:
    """Return the branch of each value at its node, -1 for none."""
    offset = ways.offset[node]
    missing = np.isnan(value)
    branch = np.where(missing, -1, value >= ways.border[node]).astype(np.int64)
    split = offset == MISSING_OR_NOT
    branch[split] = missing[split]
    named = offset >= 0
    branch[named] = ways.branches[offset[named] + value[named].astype(np.int64)]
    return branch


def _parted(
    ways: Ways,
    pieces: Pieces,
    child: Integers,
    values: Floats,
    by_rank: Flags,
    *,
    divisible: bool,
) -> tuple[Pieces, Integers]:
    """Send the pieces at cuts by rank on, parting one of each cut where it must be.

    Whom both parts could hold go to the lower one as long as its share of them, that of the
    fitting, is not used up: in the order of the entries, and of the rows of an entry.
    """
    rank = ways.rank
    value = values[pieces.entry, ways.column[pieces.node]]
    cut = rank.number[pieces.node]
    numbers = by_rank & (rank.branch[cut] < 0)
    region = np.ones(len(cut), dtype=np.int64)  # 0: lower, 1: upper, 2: either
    low = numbers & (value < rank.from_[cut])
    either = numbers & (value >= rank.from_[cut]) & (value < rank.below[cut])
    named = by_rank & ~numbers
    either[named] = _branch(ways, pieces.node[named], value[named]) == rank.branch[cut[named]]
    region[low], region[either] = 0, 2
    none = numbers & np.isnan(value)
    child = child.copy()
    child[by_rank & (region == 0)] = rank.lower[cut[by_rank & (region == 0)]]
    child[by_rank & (region == 1) & ~none] = rank.upper[cut[by_rank & (region == 1) & ~none]]

    order = np.flatnonzero(either)
    if not len(order):
        return pieces, child
    order = order[np.lexsort((pieces.since[order], pieces.entry[order], cut[order]))]
    of, weights = cut[order], pieces.weights[order]
    begins = np.diff(of, prepend=-1) != 0
    group = np.cumsum(begins) - 1
    up_to = np.cumsum(weights)
    up_to -= (up_to - weights)[begins][group]
    total = np.bincount(group, weights).astype(np.int64)
    which = of[begins]
    quota = (total * rank.quota[which] + rank.parted[which] // 2) // rank.parted[which]
    in_lower = np.clip(quota[group] - (up_to - weights), 0, weights)
    if not divisible:
        in_lower = np.where(in_lower == weights, weights, 0)
    child[order] = np.where(in_lower > 0, rank.lower[of], rank.upper[of])
    torn = (in_lower > 0) & (in_lower < weights)
    if not torn.any():
        return pieces, child
    place, kept = order[torn], in_lower[torn]
    whole = pieces.weights.copy()
    whole[place] = kept
    return Pieces(
        np.append(pieces.entry, pieces.entry[place]),
        np.append(pieces.since, pieces.since[place] + kept),
        np.append(whole, weights[torn] - kept),
        np.append(pieces.node, pieces.node[place]),
    ), np.append(child, rank.upper[of[torn]])
