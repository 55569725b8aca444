"""Order, equality, choice and the place of the least number, on shares.

Circuits on sliced shares (64 numbers a gate on words), of depth log2(width): x < y is the borrow of
x - y, found by the carry tree with ``not x and y`` as generate and ``x = y`` as propagate. Against
a public bound, arithmetic shares need no full conversion: x < t if and only if x - t is negative,
one bit above the width, and only that bit's carry is computed.

Source: Damgard, Fitzi, Kiltz, Nielsen, Toft, "Unconditionally secure constant-rounds MPC for
equality, comparison, bits and exponentiation" (TCC 2006), the prefix form; Mohassel and Rindal
(CCS 2018), section 5.3.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sfumato.donation.sharing.arithmetic import save_carries, top_carry
from sfumato.donation.sharing.boolean import conjunction, conjunction_of_all, invert, select
from sfumato.donation.sharing.party import Party
from sfumato.donation.sharing.shares import ArithmeticShares, BooleanShares, concatenate
from sfumato.donation.sharing.slicing import SlicedShares, slice_numbers
from sfumato.errors import InternalError

__all__ = ["argmin", "at_least", "equal", "least", "less_than"]

Public = npt.NDArray[np.uint64]


def at_least(
    party: Party, x: ArithmeticShares, bound: ArithmeticShares | Public | int, width: int
) -> SlicedShares:
    """Return whether x >= bound, as one plane of bits, in 2 + log2(width) rounds.

    Parameters
    ----------
    party
        The server.
    x
        Shares of ``(..., n)`` numbers, each under 2^width.
    bound
        Shared or public; each under 2^width.
    width
        Bits of a number, under those of the type.
    """
    if width >= 8 * x.dtype.itemsize:
        raise InternalError(f"numbers of {width} bits leave no bit of {x.dtype} for the sign")
    if not isinstance(bound, ArithmeticShares):
        bound = party.known(ArithmeticShares, bound, x.dtype)
    sums, carries = save_carries(party, x - bound, width + 1)
    half = sums.planes ^ carries.planes
    generate = conjunction(party, sums.planes[:-1], carries.planes[:-1])
    negative = half[-1:] ^ top_carry(party, generate, half[:-1])
    return SlicedShares(invert(party, negative), x.shape[-1])


def less_than(party: Party, x: SlicedShares, y: SlicedShares | Public) -> SlicedShares:
    """Return whether x < y, as one plane of bits, in 1 + log2(width) rounds.

    Parameters
    ----------
    party
        The server.
    x, y
        Numbers of the same width and shape; y may be public (then one round less).
    """
    planes = x.planes
    if isinstance(y, SlicedShares):
        generate = conjunction(party, invert(party, planes), y.planes)
        other = y.planes
    else:
        public = slice_numbers(y, x.width)
        generate = invert(party, planes) & public
        other = party.known(BooleanShares, public)
    propagate = invert(party, planes ^ other)
    return SlicedShares(top_carry(party, generate, propagate), x.count)


def equal(party: Party, x: SlicedShares, y: SlicedShares | Public) -> SlicedShares:
    """Return whether x = y, as one plane of bits, in log2(width) rounds.

    Parameters
    ----------
    party
        The server.
    x, y
        Numbers of the same width and shape; y may be public.
    """
    if isinstance(y, SlicedShares):
        other = y.planes
    else:
        other = party.known(BooleanShares, slice_numbers(y, x.width))
    return SlicedShares(conjunction_of_all(party, invert(party, x.planes ^ other)), x.count)


def least(party: Party, x: SlicedShares) -> SlicedShares:
    """Return the least of all numbers of the last axis, by a tournament.

    ``log2(n)`` matches of ``2 + log2(width)`` rounds; the whole lies in the first bit of one word.

    Parameters
    ----------
    party
        The server.
    x
        Numbers, at least one.
    """
    planes, count = x.planes, x.count
    while count > 1:
        half = (count + 1) // 2
        if count > 64:
            # whole words meet whole words; the seats beyond the count play as if the greatest
            words = (planes.shape[-1] + 1) // 2
            planes = _filled(party, planes, count, 2 * words)
            one, other = planes[..., :words], planes[..., words:]
            half = 64 * words
        else:
            planes = _filled(party, planes, count, 1)
            shift = np.uint64(half)
            one = planes
            other = BooleanShares(planes.first >> shift, planes.second >> shift)
            # what the shift drew in from beyond 64 bits are zeros: these seats are dropped below
        smaller = less_than(party, SlicedShares(other, half), SlicedShares(one, half)).planes
        planes = select(party, smaller, other, one)
        count = half
    return SlicedShares(planes, count)


def argmin(party: Party, x: SlicedShares) -> SlicedShares:
    """Return the place of the least number of the last axis, the first of equal ones.

    The places are put below the numbers as further bits, so that no two are equal and the least of
    all carries its place with it.

    Parameters
    ----------
    party
        The server.
    x
        Numbers, at least one; the axes between the first and the last are computed side by side.

    Returns
    -------
    Shares of one number of ``max(1, ceil(log2(n)))`` bits for each row.
    """
    bits = max(1, (x.count - 1).bit_length())
    places = slice_numbers(np.arange(x.count, dtype=np.uint64), bits)
    shape = (bits, *x.planes.shape[1:])
    full = np.broadcast_to(places.reshape(bits, *(1,) * (len(shape) - 2), -1), shape)
    seats = party.known(BooleanShares, full)
    winner = least(party, SlicedShares(concatenate([seats, x.planes]), x.count))
    return SlicedShares(winner.planes[:bits], winner.count)


def _filled(party: Party, planes: BooleanShares, count: int, words: int) -> BooleanShares:
    """Return planes of so many words, all bits set at the seats beyond the count."""
    held = planes.shape[-1]
    beyond = np.zeros(words * 64, bool)
    beyond[count:] = True
    ones = np.packbits(beyond, bitorder="little").view("<u8").astype(np.uint64)
    pad = [(0, 0)] * (len(planes.shape) - 1) + [(0, words - held)]
    padded = BooleanShares(np.pad(planes.first, pad), np.pad(planes.second, pad))
    return (padded & ~ones) ^ party.known(BooleanShares, np.broadcast_to(ones, padded.shape))
