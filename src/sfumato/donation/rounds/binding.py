"""A donor votes for the cell of its own record, or its report is dropped.

A vote is one-hot with value 1 modulo 2^32 (:mod:`~..functions.verification`), so the lowest bits of
the two servers' shares of a donor's counts are shares of it by exclusive or. Every cell has a mark,
a number of 32 bits that both servers know; the exclusive or of the marks of the cells where a
server's share is odd is its share of the mark of the donor's cell, made by each server alone.

The mark of a cell is H(digits) ^ h, where the digits are those that a record of this cell holds, H
is a linear map over GF(2) to 32 bits and h a number, both drawn from the key of the checks. As H is
linear, a record's mark is made on shares too: in the mode ``"shuffle"`` of the three components, of
which server 0 takes 0 and 1 and server 1 takes 2; in the mode ``"dpf"`` of the exclusive or of all
rows that a donor's key writes, of which each of the two has a share. The two marks are equal if and
only if servers 0 and 1 hold the same number, which they compare with the proofs.

**What it proves.** Until the key is opened, nobody knows it while one of the three servers keeps to
the protocol, and every report is fixed by then. So the difference of a report's two words of digits
is a constant. If it is not zero, H of it is uniform: each bit that is 1 in it adds a column of H,
and the columns are independent and uniform. The report passes with probability 2^-32. The same
holds for a record whose digits belong to no answer, as they differ from every cell's, also in the
bits that fill up their last byte; and for a vote beyond the cells, whose mark is zero, as h is
uniform and in the record's mark alone. A donor that changes many reports by the same difference has
one chance for all of them together.

**What it tells.** An honest donor's marks are equal, so what a server hears is what it holds. Of a
dishonest donor it hears H of the donor's own difference.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from hashlib import shake_128

import numpy as np
import numpy.typing as npt

from sfumato.donation.functions import VerificationKey
from sfumato.donation.records import RecordCodec

__all__ = ["DigitMarks"]

Marks = npt.NDArray[np.uint32]


class DigitMarks:
    """The marks of cells and of records.

    Parameters
    ----------
    codec
        Where a record's digits stand.
    key
        The opened key of the checks.
    """

    def __init__(self, codec: RecordCodec, key: VerificationKey) -> None:
        self._codec = codec
        self._octets = codec.sensitive_block.start
        stream = shake_128(b"sfumato digits" + key.secret).digest(4 * (8 * self._octets + 1))
        drawn = np.frombuffer(stream, "<u4").astype(np.uint32)
        self._constant, self._of_bits = drawn[0], drawn[1:]

    def of_cells(self) -> Marks:
        """Return the mark of each cell, shape (n_cells,)."""
        marks = np.array([self._constant])
        for layout, offset in zip(self._codec.digits, self._codec.digit_offsets, strict=True):
            own = self._hashed(layout.encode(np.arange(len(layout.words))), offset)
            marks = (marks[:, np.newaxis] ^ own).reshape(-1)
        return marks

    def of_shares(self, components: Sequence[npt.NDArray[np.uint8]], server: int) -> Marks:
        """Return the share of server 0 or 1 of the marks of records, shape (n,).

        Parameters
        ----------
        components
            In the mode ``"shuffle"`` the two that the server holds of each record, in the mode
            ``"dpf"`` its one share; bytes of shape (n, length).
        server
            0 or 1.
        """
        # component 1 is held by both, and server 0 takes it
        own = components if server == 0 else components[-1:]
        digits = reduce(np.bitwise_xor, [each[:, : self._octets] for each in own])
        marks = self._hashed(np.unpackbits(digits, axis=1), 0)
        return marks ^ self._constant if server == 0 else marks

    def _hashed(self, bits: npt.NDArray[np.uint8], offset: int) -> Marks:
        """Return H of bits, shape (n, bits), that stand from this one on."""
        marks = np.zeros(len(bits), np.uint32)
        for place, bit in enumerate(bits.T, start=offset):
            marks ^= np.where(bit > 0, self._of_bits[place], np.uint32(0))
        return marks
