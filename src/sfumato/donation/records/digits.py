"""A quasi-identifier's answer as digits, coarsest first.

Each level of a hierarchy below ``*`` is one digit: which child of its parent the group is. Opening
fewer digits is generalizing. A digit takes the bits that the level's largest family needs, so the
prefix of one level has the same length for every answer, and equality with a group's prefix is one
comparison of fixed length on shares.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from sfumato.errors import PlanError, ProtocolError
from sfumato.table import Ladder

__all__ = ["DigitLayout"]

_MOST_BITS = 63


@dataclass(frozen=True, eq=False)
class DigitLayout:
    """Where the digits of one quasi-identifier stand.

    Parameters
    ----------
    column
        Name of the column.
    digit_bits
        For each level from ``height - 1`` (coarsest) to 0 (the exact answer) the bits of its
        digit; 0 where a level adds nothing.
    words
        Shape (n_leaves,), rising: all digits of each leaf as one whole number.
    """

    column: str
    digit_bits: tuple[int, ...]
    words: npt.NDArray[np.uint64] = field(repr=False)

    @classmethod
    def of(cls, ladder: Ladder) -> Self:
        """Return the digits of a ladder's leaves.

        Raises
        ------
        PlanError
            If they need more than 63 bits.
        """
        words = np.zeros(ladder.n_leaves, dtype=np.uint64)
        bits = []
        for level in range(ladder.height - 1, -1, -1):
            groups, parents = ladder.levels[level], ladder.levels[level + 1]
            starts = np.flatnonzero(np.diff(parents, prepend=-1))
            children = groups - groups[starts][parents]
            width = int(children.max()).bit_length()
            bits.append(width)
            if sum(bits) > _MOST_BITS:
                raise PlanError(
                    f"question {ladder.column!r}: its answers need more than {_MOST_BITS} bits: "
                    "use a hierarchy with fewer or more even groups"
                )
            words = (words << np.uint64(width)) | children.astype(np.uint64)
        words.flags.writeable = False
        return cls(ladder.column, tuple(bits), words)

    @property
    def bits(self) -> int:
        """Bits of all digits."""
        return sum(self.digit_bits)

    def prefix_bits(self, level: int) -> int:
        """Return how many leading bits tell the group at a level, 0 (exact) to height (``*``)."""
        return sum(self.digit_bits[: len(self.digit_bits) - level])

    def prefixes(self, level: int) -> npt.NDArray[np.uint64]:
        """Return the prefix of each group at a level, in the order of the ladder's labels."""
        shift = np.uint64(self.bits - self.prefix_bits(level))
        return np.unique(self.words >> shift)

    def encode(self, leaves: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.uint8]:
        """Return the digits of leaves (n,) as bits of shape (n, bits), coarsest first."""
        shifts = np.arange(self.bits - 1, -1, -1, dtype=np.uint64)
        bits: npt.NDArray[np.uint64] = self.words[leaves][:, None] >> shifts & np.uint64(1)
        return bits.astype(np.uint8)

    def decode(self, bits: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
        """Return the leaves (n,) of digits of shape (n, bits).

        Raises
        ------
        ProtocolError
            If digits belong to no answer.
        """
        words = np.zeros(len(bits), dtype=np.uint64)
        for position in range(self.bits):
            words = (words << np.uint64(1)) | bits[:, position]
        leaves = np.minimum(np.searchsorted(self.words, words), len(self.words) - 1)
        strange = self.words[leaves] != words
        if strange.any():
            raise ProtocolError(
                f"record: the digits of {self.column!r} belong to no answer in "
                f"{int(strange.sum())} of {len(bits)} records"
            )
        return leaves.astype(np.int64)
