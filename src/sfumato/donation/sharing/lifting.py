"""Small numbers from shares modulo 2^32 to shares modulo 2^64 and modulo 2^61 - 1.

The three components x_0, x_1, x_2, taken as whole numbers, sum to x + 2^32 w, where w is 0, 1 or 2.
For a small x it is told by the two highest bits of each component: their sum t (0 to 9) is 2, 3 or
4 if w = 1 and 6, 7 or 8 if w = 2, so u = [t >= 6] = w - 1 takes four gates. What is returned is the
whole number

    x_0 + x_1 + x_2 - 2^32 (1 + u),

once modulo 2^64 and once modulo the prime, of the same bit u. It is congruent to x modulo 2^32
whatever the components are, and under 2^34 in size: if it is found to be some number under 2^32
modulo the prime, it *is* that number, and so is the other result.

w = 0 is taken for 1, and the result is 2^32 too small: with uniform components that happens to an
x with probability under (x + 1)^2 / 2^65, which for n records in all cells is under n^2 / 2^64.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sfumato.donation.sharing.arithmetic import bits_to_numbers, save_carries
from sfumato.donation.sharing.boolean import conjunction, invert
from sfumato.donation.sharing.party import Party
from sfumato.donation.sharing.shares import A, ArithmeticShares, FieldShares
from sfumato.donation.sharing.slicing import unslice_numbers
from sfumato.errors import InternalError

__all__ = ["Lifted", "lift"]

_TOP = np.uint32(30)
_MODULUS = np.uint64(1 << 32)


class Lifted(NamedTuple):
    """The same whole numbers in two kinds of shares."""

    ring: ArithmeticShares
    field: FieldShares


def lift(party: Party, x: ArithmeticShares) -> Lifted:
    """Return numbers under 2^30 modulo 2^64 and modulo the prime.

    Parameters
    ----------
    party
        The server.
    x
        Shares of type ``uint32``.

    Raises
    ------
    ProtocolError
        If a peer is gone, or sends another number of bytes.
    """
    if x.dtype != np.uint32:
        raise InternalError(f"only shares of uint32 are lifted, not of {x.dtype}")
    flat = x.reshape(-1)
    tops = ArithmeticShares(flat.first >> _TOP, flat.second >> _TOP)
    sums, carries = save_carries(party, tops, 3)
    # t = s_0 + 2 (c_0 + s_1) + 4 c_1; at least 6 if c_1 and one of c_0 and s_1
    middle, sum_1, high = carries.planes[1:2], sums.planes[1:2], carries.planes[2:3]
    neither = conjunction(party, invert(party, middle), invert(party, sum_1))
    twice = conjunction(party, high, invert(party, neither))
    bits = [unslice_numbers(part[np.newaxis, 0], len(flat)) for part in (twice.first, twice.second)]

    def lifted(kind: type[A]) -> A:
        whole = kind(flat.first.astype(np.uint64), flat.second.astype(np.uint64))
        wraps = bits_to_numbers(party, bits[0], bits[1], kind)
        once = party.known(kind, np.full(len(flat), _MODULUS))
        return (whole - once - wraps * _MODULUS).reshape(*x.shape)

    return Lifted(lifted(ArithmeticShares), lifted(FieldShares))
