"""Numbers in shares of three servers.

What a server sees of a hidden value are uniform words (see :mod:`sfumato.donation.sharing`). Every
gate and product is proved before the next value is opened, if the party keeps them: a changed one
is found but with probability 2^-32, and then nothing is opened. Products are proved modulo 2^32, so
of a number nothing is used beyond: it is sliced to 32 bits at most, and opened modulo 2^32.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from sfumato.donation.recoding.numbers import Linear
from sfumato.donation.sharing import (
    ArithmeticShares,
    BooleanShares,
    Party,
    Randomness,
    SlicedShares,
    argmin,
    at_least,
    equal,
    invert,
    multiply,
    open_to_all,
    prove,
    to_bits,
    to_numbers,
    unslice_shares,
)

__all__ = ["SharedNumbers"]


class SharedNumbers:
    """See :class:`~sfumato.donation.recoding.numbers.Numbers`; arrays are shares of ``uint64``.

    Parameters
    ----------
    party
        The server.
    randomness
        Source of secret uniform bytes, for the coins of the proofs.
    """

    def __init__(self, party: Party, randomness: Randomness) -> None:
        self._party = party
        self._randomness = randomness

    def linear(self, function: Linear, *values: ArithmeticShares) -> ArithmeticShares:
        """Return the function of the arrays: of their components."""
        first = function(*(value.first for value in values))
        return ArithmeticShares(first, function(*(value.second for value in values)))

    def at_least(self, values: ArithmeticShares, bound: int, width: int) -> ArithmeticShares:
        """Return 1 where a value is at least the bound."""
        bits = at_least(self._party, values, bound, width)
        return to_numbers(self._party, bits, values.dtype)

    def times(self, one: ArithmeticShares, other: ArithmeticShares) -> ArithmeticShares:
        """Return the products."""
        return multiply(self._party, one, other)

    def first_greatest(self, values: ArithmeticShares, width: int) -> ArithmeticShares:
        """Return 1 at the place of each row's greatest value."""
        count = values.shape[-1]
        place = self._places(values, width)
        rows = values.shape[:-1]
        words = -(-count // 64)
        # the place, one bit of one word, stands in every bit of every word of its row
        wide = BooleanShares(
            *(
                np.broadcast_to(_filled(part), (place.width, *rows, words)).copy()
                for part in (place.planes.first, place.planes.second)
            )
        )
        seats = np.broadcast_to(np.arange(count, dtype=np.uint64), (*rows, count))
        found = equal(self._party, SlicedShares(wide, count), seats)
        return to_numbers(self._party, found, values.dtype)

    def place_of_greatest(self, values: ArithmeticShares, width: int) -> npt.NDArray[np.int64]:
        """Open the place of each row's greatest value."""
        hidden = unslice_shares(self._places(values, width))
        prove(self._party, self._randomness)
        places = open_to_all(self._party, hidden)
        return places[..., 0].astype(np.int64)

    def open(self, values: ArithmeticShares) -> npt.NDArray[np.int64]:
        """Open values."""
        prove(self._party, self._randomness)
        low = (part.astype(np.uint32) for part in (values.first, values.second))
        return open_to_all(self._party, ArithmeticShares(*low)).astype(np.int64)

    def _places(self, values: ArithmeticShares, width: int) -> SlicedShares:
        bits = to_bits(self._party, values, width)
        # the greatest value has the least complement
        return argmin(self._party, SlicedShares(invert(self._party, bits.planes), bits.count))


def _filled(words: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return words in which every bit is the first bit of the word."""
    nothing: npt.NDArray[Any] = np.uint64(0) - (words & np.uint64(1))
    return nothing
