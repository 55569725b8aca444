"""The counts are those of the accepted reports, proved before anything is computed of them.

Servers 0 and 1 add up the histogram, each its part of every report's vote, and share the sums among
all three. Whoever adds numbers of its choice to its sums could have the recoder ask of the shifted
counts whatever it liked (with k - 1 added to a cell: whether it is empty). So the counts are
compared with the records themselves.

1. The counts, now in shares that no server alone can change, are lifted to whole numbers, modulo
   2^64 for the recoder and modulo the prime p = 2^61 - 1 for the comparison (:mod:`~..lifting`).
2. A coin is tossed for a number a_j modulo p of each bit j of the digits of a record.
3. A cell is worth the product of the a_j of the bits that are 1 in its digits, and so is a record.
   The sum of count times worth over all cells, less the sum of the worths of all records, is
   opened after all gates and products are proved: it must be zero.

Each cell has digits of its own, hence a monomial of its own in the a_j. If a count is not the
number of records of its cell, the difference is a polynomial that is not zero (a count is under
2^34 in size, so it differs modulo p too), of degree at most the number of bits, 63 a question; it
vanishes with probability under its degree / p. The records' digits are, in the mode ``"shuffle"``,
in shares that donors dealt to all three; that a donor votes for the cell of its record was checked
before (:mod:`~.binding`), so honest servers do not fail here.

In the mode ``"dpf"`` the digits are the sums of all rows of a donor's mailboxes, of which again
servers 0 and 1 hold parts. A server can change those of one donor as well, but unseen only if it
moves one count from the donor's cell to the changed one, that is, if it guesses the donor's cell:
it can buy an answer to one such guess with the end of the round.

Sources: Schwartz (1980) and Zippel (1979) for polynomials at random points.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sfumato.donation.records import RecordCodec
from sfumato.donation.sharing import (
    ArithmeticShares,
    BooleanShares,
    FieldShares,
    KeyStream,
    Lifted,
    Party,
    Randomness,
    bits_to_numbers,
    lift,
    multiply,
    open_to_all,
    prove,
    toss,
)
from sfumato.donation.sharing.shares import concatenate
from sfumato.errors import InternalError, ProtocolError

__all__ = ["prove_counts"]

_BLOCK = 1 << 14  # records worked on at a time: what is kept for the audit stays small
_CELLS = 1 << 18

Words = npt.NDArray[np.uint64]


def prove_counts(
    party: Party,
    counts: ArithmeticShares,
    records: BooleanShares,
    codec: RecordCodec,
    randomness: Randomness,
) -> ArithmeticShares:
    """Return the counts modulo 2^64 if they are those of the records.

    Parameters
    ----------
    party
        The server; if it keeps its gates and products, they are proved before anything is opened.
    counts
        How many records each cell holds, in the domain's shape; type ``uint32``.
    records
        Shares of the accepted records, uint8, of which the first bytes are the digits.
    codec
        Where the digits stand.
    randomness
        Source of secret uniform bytes, for the coins.

    Raises
    ------
    ProtocolError
        If a count is another one, a result was changed, or a peer is gone.
    """
    if counts.shape != tuple(len(layout.words) for layout in codec.digits):
        raise InternalError("counts and codec are not of one task")
    lifted = _lifted(party, counts, randomness)
    bits = sum(layout.bits for layout in codec.digits)
    points = _points(toss(party, randomness), bits)
    difference = _worth_of_cells(lifted.field, codec, points)
    for start in range(0, len(records), _BLOCK):
        block = records[start : start + _BLOCK]
        difference -= _worths(party, block, codec, points).sum().reshape(1)
        prove(party, randomness)
    if open_to_all(party, difference)[0]:
        raise ProtocolError(
            "step 'count': the counts are not those of the accepted reports: server 0 or server 1 "
            "changed its part of them; nothing was opened"
        )
    return lifted.ring


def _lifted(party: Party, counts: ArithmeticShares, randomness: Randomness) -> Lifted:
    """Return the counts in both kinds, each gate and product proved."""
    flat = counts.reshape(-1)
    parts = []
    for start in range(0, len(flat), _CELLS):
        parts.append(lift(party, flat[start : start + _CELLS]))
        prove(party, randomness)
    return Lifted(
        concatenate([part.ring for part in parts]).reshape(*counts.shape),
        concatenate([part.field for part in parts]).reshape(*counts.shape),
    )


def _points(coin: KeyStream, count: int) -> Words:
    return FieldShares.reduced(coin.draw(count, np.uint64, "points of digits"))


def _worth_of_cells(counts: FieldShares, codec: RecordCodec, points: Words) -> FieldShares:
    """Return the sum of count times worth, shape (1,): local, one axis after the other."""
    stop = len(points)
    left = counts
    for layout in reversed(codec.digits):
        own = points[stop - layout.bits : stop]
        stop -= layout.bits
        digits = layout.encode(np.arange(len(layout.words)))
        worths = np.ones(len(digits), np.uint64)
        for bit, point in zip(digits.T, own, strict=True):
            worths = FieldShares.times(worths, np.where(bit > 0, point, np.uint64(1)))
        left = (left * worths).sum(axis=-1)
    return left.reshape(1)


def _worths(party: Party, records: BooleanShares, codec: RecordCodec, points: Words) -> FieldShares:
    """Return the worth of each record, shape (n,)."""
    places = [
        offset + bit
        for layout, offset in zip(codec.digits, codec.digit_offsets, strict=True)
        for bit in range(layout.bits)
    ]
    if not places:
        return party.known(FieldShares, np.ones(len(records), np.uint64))
    octets = codec.sensitive_block.start
    bits = [
        np.unpackbits(np.ascontiguousarray(part[:, :octets]), axis=1)[:, places].T.astype(np.uint64)
        for part in (records.first, records.second)
    ]
    one = party.known(FieldShares, np.ones(bits[0].shape, np.uint64))
    less = FieldShares.minus(points, np.ones_like(points))[:, np.newaxis]
    factors = one + bits_to_numbers(party, bits[0], bits[1], FieldShares) * less
    while len(factors) > 1:
        half = len(factors) // 2
        product = multiply(party, factors[:half], factors[half : 2 * half])
        factors = concatenate([product, factors[2 * half :]]) if len(factors) % 2 else product
    return factors.reshape(-1)
