"""What a point function is over, what it gives there, and how its tree is laid out.

A point function is zero on its whole domain but at one position. Its two keys are the roots of two
binary trees of labels of 128 bits; a label of the last level gives one *row* of output. Small
payloads share a row (early termination: Boyle, Gilboa, Ishai, *Function Secret Sharing:
Improvements and Extensions*, CCS 2016, section 3.2.3), which takes levels off the tree.

Levels are kept in contiguous buffers, left children before right ones, so that no step of an
evaluation has a stride. The first `top` levels make the roots of subtrees of
:data:`SUBTREE_LEVELS` levels, whose labels fit into a processor's nearest cache; within each of the
two parts the *lowest* bit of the index is the first branch. That order is part of the format: keys
of one order are meaningless in another.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from sfumato.errors import ProtocolError

__all__ = ["SUBTREE_LEVELS", "Payload", "PointFunction"]

Payload = Literal["bit", "u32", "u64", "block", "count", "record"]

SUBTREE_LEVELS = 10
_MOST_BITS = 32
_LONGEST = 1 << 15
_ROW_BYTES = 64
_BITS = {"bit": 1, "u32": 32, "u64": 64, "block": 128}
_CODES: dict[Payload, int] = {"bit": 1, "u32": 2, "u64": 3, "block": 4, "count": 5, "record": 6}
_VERSION = 1


@dataclass(frozen=True)
class PointFunction:
    """A family of point functions: one domain, one kind of payload.

    Parameters
    ----------
    domain_bits
        Positions are the numbers of this many bits: 1 to 32. Verifiable kinds need at least 3.
    payload
        What is at the position:

        - ``"bit"``: one bit, shares are XORed;
        - ``"u32"``, ``"u64"``: a number modulo 2**32 or 2**64, shares are added;
        - ``"block"``: 16 bytes, XORed;
        - ``"count"``: the number one modulo 2**32, added; **verifiable**: servers can check that it
          is one, at one position;
        - ``"record"``: `length` bytes, XORed; **verifiable**: servers can check that there is at
          most one position.
    length
        Bytes of a record, 1 to 32,768; 16 for every other payload.

    Raises
    ------
    ProtocolError
        If a parameter is out of its range.
    """

    domain_bits: int
    payload: Payload
    length: int = 16

    def __post_init__(self) -> None:
        if self.payload not in _CODES:
            raise ProtocolError(f"payload is {self.payload!r}; it is one of {', '.join(_CODES)}")
        least = 3 if self.verifiable else 1
        if not least <= self.domain_bits <= _MOST_BITS:
            raise ProtocolError(
                f"domain_bits is {self.domain_bits}; with payload {self.payload!r} it is "
                f"{least} to {_MOST_BITS}"
            )
        if self.payload == "record" and not 1 <= self.length <= _LONGEST:
            raise ProtocolError(f"length is {self.length}; a record has 1 to {_LONGEST} bytes")
        if self.payload != "record" and self.length != 16:
            raise ProtocolError(f"length is {self.length}; only a record has one of its own")

    @cached_property
    def verifiable(self) -> bool:
        """Whether the two servers can check that a pair of keys is a point function."""
        return self.payload in {"count", "record"}

    @cached_property
    def size(self) -> int:
        """Number of positions."""
        return 1 << self.domain_bits

    @cached_property
    def shared_bits(self) -> int:
        """Levels of the tree that early termination saves: log2 of the positions of one row."""
        if self.verifiable:
            return 0
        return (8 * _ROW_BYTES // _BITS[self.payload]).bit_length() - 1

    @cached_property
    def depth(self) -> int:
        """Levels of the tree below the root."""
        return max(0, self.domain_bits - self.shared_bits)

    @cached_property
    def top(self) -> int:
        """Levels above the roots of the subtrees."""
        return max(0, self.depth - SUBTREE_LEVELS)

    @cached_property
    def rows(self) -> int:
        """Labels of the last level."""
        return 1 << self.depth

    @cached_property
    def subtree_rows(self) -> int:
        """Labels of the last level in one subtree."""
        return 1 << (self.depth - self.top)

    @cached_property
    def payload_bytes(self) -> int:
        """Bytes of the correction of a row: those of the row, without its padding.

        A count's correction is the first word of the check's, so it has none of its own.
        """
        return {"count": 0, "record": self.length}.get(self.payload, _ROW_BYTES)

    @cached_property
    def row_bytes(self) -> int:
        """Bytes of a row of output in memory: a multiple of 32 but for a count."""
        return 4 if self.payload == "count" else -(-self.payload_bytes // 32) * 32

    @cached_property
    def check_bytes(self) -> int:
        """Bytes of the correction of the check."""
        return 32 if self.verifiable else 0

    @cached_property
    def header(self) -> bytes:
        """Five bytes that begin every public share: version, payload, domain bits, length."""
        code = _CODES[self.payload]
        return bytes((_VERSION, code, self.domain_bits)) + self.length.to_bytes(2, "big")

    @cached_property
    def public_bytes(self) -> int:
        """Bytes of an encoded public share."""
        return len(self.header) + 16 * self.depth + self.check_bytes + self.payload_bytes

    def branches(self, row: int) -> list[int]:
        """Return the branch (0 left, 1 right) at each level on the way to a row.

        Takes the same steps for every row.
        """
        subtree = self.depth - self.top
        high = [(row >> (subtree + level)) & 1 for level in range(self.top)]
        return high + [(row >> level) & 1 for level in range(subtree)]
