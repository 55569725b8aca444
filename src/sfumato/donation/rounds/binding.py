"""A donor votes for the cell of its own record, or its report is dropped.

A vote is one-hot with value 1 modulo 2^32 (:mod:`~..functions.verification`), so the lowest bits of
the two servers' shares of a donor's counts are shares of it by exclusive or. Every cell has a mark,
a public number of 32 bits; the exclusive or of the marks of the cells where a server's share is odd
is its share of the mark of the donor's cell, made by each server alone.

The mark of a cell is H(digits) ^ h, where the digits are those that a record of this cell holds, H
is a linear map over GF(2) to 32 bits and h a number, both drawn from the key of the checks, which
no donor knew when it sent its report. As H is linear, a record's mark is made on shares too: in the
mode ``"shuffle"`` of the three components, of which server 0 takes 0 and 1 and server 1 takes 2; in
the mode ``"dpf"`` of the exclusive or of all rows that a donor's key writes, of which each of the
two has a share. The two marks are equal if and only if servers 0 and 1 hold the same number.

An honest donor's are equal: then what a server hears is what it holds. If the digits of cell and
record differ, H of the difference is uniform, and is zero with probability 2^-32; so it is for a
record whose digits belong to no answer, and for a vote beyond the cells, whose mark is zero. What a
server hears then is a hash of a dishonest donor's own difference.
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
        self._of_bits, self._constant = drawn[1:], drawn[0]

    def of_cells(self) -> Marks:
        """Return the mark of each cell, shape (n_cells,)."""
        marks = np.array([self._constant])
        for layout, offset in zip(self._codec.digits, self._codec.digit_offsets, strict=True):
            digits = layout.encode(np.arange(len(layout.words)))
            own = self._hashed(digits, offset)
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
        return reduce(np.bitwise_xor, [self._of_octets(each) for each in own]) ^ (
            self._constant if server == 0 else np.uint32(0)
        )

    def _of_octets(self, records: npt.NDArray[np.uint8]) -> Marks:
        bits = np.unpackbits(np.ascontiguousarray(records[:, : self._octets]), axis=1)
        marks = np.zeros(len(records), np.uint32)
        for layout, offset in zip(self._codec.digits, self._codec.digit_offsets, strict=True):
            marks ^= self._hashed(bits[:, offset : offset + layout.bits], offset)
        return marks

    def _hashed(self, digits: npt.NDArray[np.uint8], offset: int) -> Marks:
        """Return H of digits, shape (n, bits), that stand from this bit on."""
        marks = np.zeros(len(digits), np.uint32)
        for place, bit in enumerate(digits.T, start=offset):
            marks ^= np.where(bit > 0, self._of_bits[place], np.uint32(0))
        return marks
