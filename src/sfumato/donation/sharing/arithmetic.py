"""Products of arithmetic shares, and the ways between arithmetic and boolean shares.

Sums and products with public numbers are local (operators). A product of two shared numbers takes
one message, as AND does, and the same holds of it: a semi-honest server sees uniform words; an
active one can add a difference of its choice to the result, which :func:`verify_products` finds.

From arithmetic to boolean: each component is known to two servers, so its bits are shared without a
message; the three are added by one row of full adders (carry-save) and a parallel prefix adder of
depth log2(width). From boolean to arithmetic: x ^ y = x + y - 2xy, twice.

Sources: Araki et al. (CCS 2016), section 2; Mohassel and Rindal, "ABY3" (CCS 2018), sections 5.3
and 5.4; Sklansky, "Conditional-sum addition logic" (1960).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from sfumato.donation.sharing.boolean import conjunction, stack_gates
from sfumato.donation.sharing.party import Party
from sfumato.donation.sharing.shares import (
    A,
    ArithmeticShares,
    BooleanShares,
    S,
    concatenate,
)
from sfumato.donation.sharing.slicing import SlicedShares, slice_numbers, unslice_numbers
from sfumato.errors import InternalError

__all__ = ["add", "bits_to_numbers", "multiply", "reshare", "to_bits", "to_numbers"]


def multiply(party: Party, x: A, y: A) -> A:
    """Return shares of the product: one round.

    Parameters
    ----------
    party
        The server.
    x, y
        Shares of the same kind and type, whose shapes broadcast.

    Raises
    ------
    ProtocolError
        If a peer is gone, or sends another number of bytes.
    """
    party.begin("multiply")
    kind = type(x)
    part = np.asarray(kind.times(x.first, kind.plus(y.first, y.second)))
    part = kind.plus(part, kind.times(x.second, y.first))
    part = kind.plus(part, party.zero(kind, part.shape, part.dtype))
    z = party.replicate(kind, part)
    if party.products is not None:
        party.products.append((x, y, z))
    return z


def reshare(
    party: Party,
    kind: type[S],
    part: npt.NDArray[Any] | None,
    shape: tuple[int, ...],
    dtype: npt.DTypeLike,
    leader: int = 0,
) -> S:
    """Turn a sharing between two neighbours into a replicated one among all three: one round.

    The servers ``leader`` and ``leader + 1`` hold parts whose sum (exclusive or, for boolean
    shares) is the secret. Two components are drawn, each from a key that one of the two has in
    common with the third server; each of the two sends its part less the component it knows, and
    the third component is the sum of both. Each message is masked by a component that its receiver
    lacks, so both are uniform; the third server receives nothing.

    Parameters
    ----------
    party
        The server.
    kind
        Of which kind.
    part
        The part of this server; None at the third server.
    shape, dtype
        Of the shared array, public.
    leader
        Index of the first of the two.

    Raises
    ------
    ProtocolError
        If a peer is gone, or sends another number of bytes.
    """
    party.begin("reshare")
    place = (party.index - leader) % 3
    if place == 2:
        return party.random(kind, shape, dtype, "reshare")
    if part is None or part.shape != shape or part.dtype != np.dtype(dtype):
        raise InternalError(f"server {party.index} reshares no {np.dtype(dtype)} array of {shape}")
    # the leader has its first key in common with the third server, the other its second
    drawn = kind.reduced(party.streams[place].draw(shape, dtype, "reshare"))
    masked = kind.minus(part, drawn)
    peer = party.next if place == 0 else party.previous
    other = kind.reduced(party.exchange(masked, peer, peer))
    both = kind.plus(masked, other)
    return kind(drawn, both) if place == 0 else kind(both, drawn)


def add(party: Party, x: SlicedShares, y: SlicedShares) -> SlicedShares:
    """Return shares of the sum of sliced numbers, modulo 2^width, in 1 + log2(width) rounds."""
    width = x.width
    if width == 1:
        return SlicedShares(x.planes ^ y.planes, x.count)
    half = x.planes ^ y.planes
    # the topmost carry leaves the number
    generate = conjunction(party, x.planes[:-1], y.planes[:-1])
    carries = _prefixes(party, generate, half[:-1])
    return SlicedShares(concatenate([half[:1], half[1:] ^ carries]), x.count)


def to_bits(party: Party, x: ArithmeticShares, width: int) -> SlicedShares:
    """Return arithmetic shares as sliced ones, in 2 + log2(width) rounds.

    Parameters
    ----------
    party
        The server.
    x
        Shares of ``(..., n)`` numbers.
    width
        Bits to keep, at most those of the type: the result is x modulo 2^width.
    """
    return add(party, *save_carries(party, x, width))


def save_carries(
    party: Party, x: ArithmeticShares, width: int
) -> tuple[SlicedShares, SlicedShares]:
    """Return two sliced numbers whose sum is x modulo 2^width: one round of full adders."""
    count = x.shape[-1]
    first, second = slice_numbers(x.first, width), slice_numbers(x.second, width)
    sums = BooleanShares(first, second)
    if width == 1:
        return SlicedShares(sums, count), SlicedShares(sums & np.uint64(0), count)
    # Of the numbers a, b, c (components 0, 1, 2) each server writes down the shares of a ^ c and of
    # b ^ c: a component contributes where it is held.
    zero = np.zeros_like(first)
    held = {party.index: first, party.next: second}
    left, right = (
        BooleanShares(
            *(held[place] if place in chosen else zero for place in (party.index, party.next))
        )[:-1]
        for chosen in ((0, 2), (1, 2))
    )
    third = BooleanShares(
        *(held[place] if place == 2 else zero for place in (party.index, party.next))
    )[:-1]
    majority = conjunction(party, left, right) ^ third
    carries = concatenate([BooleanShares(zero[:1], zero[:1]), majority])
    return SlicedShares(sums, count), SlicedShares(carries, count)


def to_numbers(
    party: Party,
    x: SlicedShares,
    dtype: npt.DTypeLike = np.uint64,
    kind: type[A] = ArithmeticShares,  # type: ignore[assignment]
) -> A:
    """Return sliced shares as numbers, in two rounds.

    Parameters
    ----------
    party
        The server.
    x
        Shares of numbers; one plane for bits.
    dtype
        Unsigned integer type of the result.
    kind
        :class:`ArithmeticShares` or :class:`FieldShares` (then ``uint64``, and at most 60 planes).
    """
    # (1, width, ..., words) -> (width, ..., n): each plane as numbers 0 and 1
    bits = [
        unslice_numbers(part[np.newaxis], x.count).astype(dtype)
        for part in (x.planes.first, x.planes.second)
    ]
    whole = bits_to_numbers(party, bits[0], bits[1], kind)
    unit = np.dtype(dtype).type(1)
    weights = (unit << np.arange(x.width, dtype=dtype)).reshape(-1, *(1,) * (bits[0].ndim - 1))
    summed: A = (whole * weights).sum(axis=0)
    return summed


def bits_to_numbers(
    party: Party, first: npt.NDArray[Any], second: npt.NDArray[Any], kind: type[A]
) -> A:
    """Return shared bits as numbers, in two rounds.

    Parameters
    ----------
    party
        The server.
    first, second
        Its components of bits shared by exclusive or, as numbers 0 and 1.
    kind
        :class:`ArithmeticShares` or :class:`FieldShares`.
    """
    held = {party.index: first, party.next: second}
    zero = np.zeros_like(first)
    zeroth, once, twice = (
        kind(*(held[place] if place == chosen else zero for place in (party.index, party.next)))
        for chosen in range(3)
    )
    two = first.dtype.type(2)
    both: A = zeroth + once - multiply(party, zeroth, once) * two
    whole: A = both + twice - multiply(party, both, twice) * two
    return whole


def top_carry(party: Party, generate: BooleanShares, propagate: BooleanShares) -> BooleanShares:
    """Return the carry out of the last position, ``(1, ..., words)``, in log2 rounds.

    Parameters
    ----------
    party
        The server.
    generate, propagate
        Whether each position, least significant first, makes a carry, or passes one on; never both.
    """
    while len(generate) > 1:
        odd = len(generate) % 2  # the least significant one waits
        low, high = slice(odd, None, 2), slice(odd + 1, None, 2)
        carried, passed = stack_gates(
            party, [(propagate[high], generate[low]), (propagate[high], propagate[low])]
        )
        generate, propagate = (
            concatenate([old[:odd], new])
            for old, new in (
                (generate, generate[high] ^ carried),
                (propagate, passed),
            )
        )
    return generate


def _prefixes(party: Party, generate: BooleanShares, propagate: BooleanShares) -> BooleanShares:
    """Return the carry out of every position, in log2 rounds (Sklansky's prefix tree)."""
    positions = np.arange(len(generate))
    span = 1
    while span < len(positions):
        high = positions[(positions & span) > 0]
        low = (high & ~(2 * span - 1)) + span - 1
        carried, passed = stack_gates(
            party, [(propagate[high], generate[low]), (propagate[high], propagate[low])]
        )
        generate, propagate = (
            _replaced(old, high, new)
            for old, new in ((generate, generate[high] ^ carried), (propagate, passed))
        )
        span *= 2
    return generate


def _replaced(x: BooleanShares, places: npt.NDArray[np.intp], new: BooleanShares) -> BooleanShares:
    first, second = x.first.copy(), x.second.copy()
    first[places], second[places] = new.first, new.second
    return BooleanShares(first, second)
