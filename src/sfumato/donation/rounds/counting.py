"""Sums of shared bits by AND gates alone, so that an audit covers them.

Arithmetic shares add for nothing, but the way to them is by products, which the audit does not
cover (:mod:`~..sharing.arithmetic`): an active server could shift a count by a number of its choice
before it is compared, and read off the outcome whether the true count lies above. Here bits are
added by full adders that save their carries (Wallace, "A suggestion for a fast multiplier", IEEE
Transactions on Electronic Computers 1964): three rows become a row of sums and a row of carries
with one gate a place, so n bits cost about n gates, in some log2(n) / log2(1.5) rounds. All places
of a row are added side by side.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sfumato.donation.sharing import (
    BooleanShares,
    Party,
    SlicedShares,
    add,
    concatenate,
    conjunction,
    invert,
    less_than,
    unslice_numbers,
)

__all__ = ["added", "reach", "transposed"]


def added(party: Party, columns: Sequence[BooleanShares], most: int) -> BooleanShares:
    """Return the planes of sums, the least significant first.

    Parameters
    ----------
    party
        The server.
    columns
        For each power of two, the first of them 1, rows of bits ``(rows, words)`` that count so
        much; rows and columns may be of any number, but there is one row at least.
    most
        The greatest sum there can be, at least 1.

    Returns
    -------
    Shape (bits of ``most``, words): the sum over the rows, for each of the places of a word.
    """
    work = list(columns)
    nothing = next(column for column in work if len(column))[:1] & np.uint64(0)
    while any(len(column) > 2 for column in work):
        carries: list[list[BooleanShares]] = [[] for _ in range(len(work) + 1)]
        rest: list[list[BooleanShares]] = [[] for _ in range(len(work) + 1)]
        thirds = [len(column) // 3 for column in work]
        triples = [
            tuple(column[part * third : (part + 1) * third] for part in range(3))
            for column, third in zip(work, thirds, strict=True)
        ]
        # the majority of a, b and c is (a ^ c)(b ^ c) ^ c: one gate
        both = conjunction(
            party,
            concatenate([a ^ c for a, _, c in triples]),
            concatenate([b ^ c for _, b, c in triples]),
        )
        start = 0
        for place, ((a, b, c), third) in enumerate(zip(triples, thirds, strict=True)):
            rest[place] += [a ^ b ^ c, work[place][3 * third :]]
            carries[place + 1].append(both[start : start + third] ^ c)
            start += third
        work = [
            concatenate([*kept, *carried, nothing[:0]])
            for kept, carried in zip(rest, carries, strict=True)
        ]
    bits = most.bit_length()
    work = [*work, *[nothing[:0]] * bits][:bits]
    one, other = (
        concatenate([column[row : row + 1] if len(column) > row else nothing for column in work])
        for row in range(2)
    )
    places = 64 * nothing.shape[-1]
    return add(party, SlicedShares(one, places), SlicedShares(other, places)).planes


def reach(party: Party, sums: BooleanShares, bound: int) -> BooleanShares:
    """Return whether each sum is at least a public bound of 1 or more, as one row of bits.

    Parameters
    ----------
    party
        The server.
    sums
        Planes, as :func:`added` gives them.
    bound
        The bound.
    """
    wanted = max(len(sums), bound.bit_length())
    nothing = sums[:1] & np.uint64(0)
    planes = concatenate([sums, *[nothing] * (wanted - len(sums))])
    places = 64 * sums.shape[-1]
    bounds = np.full(places, bound, np.uint64)
    return invert(party, less_than(party, SlicedShares(planes, places), bounds).planes)


def transposed(rows: BooleanShares, count: int) -> BooleanShares:
    """Return rows of bits as their columns; local.

    Parameters
    ----------
    rows
        ``(rows, words)``, of which the first ``count`` bits count.
    count
        How many bits of a row are of a meaning.

    Returns
    -------
    Shape (count, ceil(rows / 64)): bit j of row i is bit i of row j.
    """
    starts = range(0, len(rows), 64)
    return BooleanShares(
        *(
            np.stack([unslice_numbers(part[at : at + 64], count) for at in starts], axis=1)
            for part in (rows.first, rows.second)
        )
    )
