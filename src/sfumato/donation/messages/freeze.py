"""Which reports a round holds: a server's signed word, by which rounds are told apart.

Clocks do not matter: a round ends for a server when it signs its freeze, and the next one begins.
What counts is what all three servers have frozen.
"""

from __future__ import annotations

import hmac
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from sfumato.donation.messages.layout import ID_BYTES, VERSION
from sfumato.donation.messages.merkle import merkle_root
from sfumato.donation.messages.refusals import Refusal, RefusalKind
from sfumato.donation.messages.task import TaskConfiguration
from sfumato.donation.protecting import SigningKey, check_signature
from sfumato.errors import ProtocolError

__all__ = ["Freeze", "common_ids"]

_CONTEXT = "freeze"
_FIELDS = struct.Struct(">B32sIBI32sB")
_SIGNATURE = 64

Ids = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Freeze:
    """The numbers of all reports that a server holds for a round.

    ::

        version 1 | task 32 | round 4 | server 1 | count 4 | Merkle root 32 | width 1
        differences of neighbouring numbers, width bytes each | signature 64

    Parameters
    ----------
    task_id, round_number
        The round.
    server
        Who signs: 0, 1 or 2.
    ids
        Shape (n, 16), rising, each once.
    root
        Merkle root over the numbers.
    signature
        64 bytes, of all before the differences: root and count fix these.
    """

    task_id: bytes
    round_number: int
    server: int
    ids: Ids
    root: bytes
    signature: bytes

    @classmethod
    def sign(
        cls, key: SigningKey, task_id: bytes, round_number: int, server: int, ids: Ids
    ) -> Self:
        """Return the freeze of a round.

        Parameters
        ----------
        key
            The server's.
        task_id, round_number, server
            The round, and who signs.
        ids
            Shape (n, 16), in any order.

        Raises
        ------
        ProtocolError
            If a number stands twice.
        """
        ordered = np.frombuffer(b"".join(sorted(_texts(ids))), dtype=np.uint8).reshape(-1, ID_BYTES)
        if len(ordered) > 1 and not (np.diff(ordered.astype(np.int16), axis=0) != 0).any(1).all():
            raise ProtocolError("freeze: a report's number stands twice")
        root = merkle_root(_texts(ordered))
        unsigned = cls(task_id, round_number, server, ordered, root, b"")
        signature = key.sign(_CONTEXT, unsigned._signed())
        return cls(task_id, round_number, server, ordered, root, signature)

    def to_bytes(self) -> bytes:
        """Return the freeze as bytes, the numbers coded by their differences."""
        return self._signed() + _differences(self.ids).tobytes() + self.signature

    @classmethod
    def from_bytes(cls, data: bytes, task: TaskConfiguration) -> Self:
        """Read a freeze and check numbers, root and signature.

        Raises
        ------
        Refusal
            If it is malformed, of another task, or its root is not that of its numbers.
        ProtocolError
            If the signature does not hold.
        """
        if len(data) < _FIELDS.size + _SIGNATURE:
            raise Refusal(RefusalKind.LENGTH, "freeze: too short")
        version, task_id, round_number, server, count, root, width = _FIELDS.unpack_from(data)
        if version != VERSION:
            raise Refusal(RefusalKind.VERSION, f"freeze: version {version} is unknown")
        if task_id != task.task_id:
            raise Refusal(RefusalKind.TASK, "freeze: of another task")
        if server >= len(task.servers) or width > ID_BYTES or count > task.n_max:
            raise Refusal(RefusalKind.CODING, "freeze: no such server, width or count")
        if len(data) != _FIELDS.size + count * width + _SIGNATURE:
            raise Refusal(RefusalKind.LENGTH, "freeze: its length does not fit its count")
        octets = np.frombuffer(data[_FIELDS.size : -_SIGNATURE], dtype=np.uint8)
        ids = _sums(octets.reshape(count, width))
        if _width(ids) != width:
            raise Refusal(RefusalKind.CODING, "freeze: the numbers could be written shorter")
        if not hmac.compare_digest(merkle_root(_texts(ids)), root):
            raise Refusal(RefusalKind.CODING, "freeze: the root is not that of the numbers")
        freeze = cls(task_id, round_number, server, ids, root, data[-_SIGNATURE:])
        key = task.servers[server].verifying_key
        check_signature(key, _CONTEXT, freeze._signed(), freeze.signature)
        return freeze

    def _signed(self) -> bytes:
        return _FIELDS.pack(
            VERSION,
            self.task_id,
            self.round_number,
            self.server,
            len(self.ids),
            self.root,
            _width(self.ids),
        )


def common_ids(task: TaskConfiguration, freezes: Sequence[Freeze]) -> Ids:
    """Return the numbers that all three servers hold: the accepted reports of a round.

    Parameters
    ----------
    task
        The configuration.
    freezes
        One of each server.

    Returns
    -------
    np.ndarray
        Shape (n, 16), rising.

    Raises
    ------
    ProtocolError
        If the freezes are not of all three servers and one round, or have fewer than ``n_min``
        numbers in common.
    """
    if sorted(freeze.server for freeze in freezes) != list(range(len(task.servers))):
        raise ProtocolError("freeze: needs one of each server")
    if len({freeze.round_number for freeze in freezes}) != 1:
        raise ProtocolError("freeze: the servers have frozen different rounds")
    common = set.intersection(*(set(_texts(freeze.ids)) for freeze in freezes))
    if len(common) < task.n_min:
        raise ProtocolError(
            f"freeze: all servers hold {len(common)} reports, and a round needs at least "
            f"{task.n_min} (n_min): let it stay open for more donors"
        )
    return np.frombuffer(b"".join(sorted(common)), dtype=np.uint8).reshape(-1, ID_BYTES)


def _texts(ids: Ids) -> list[bytes]:
    data = np.ascontiguousarray(ids).tobytes()
    return [data[start : start + ID_BYTES] for start in range(0, len(data), ID_BYTES)]


def _differences(ids: Ids) -> Ids:
    """Return each number minus the one before it, without the leading bytes that none needs."""
    return _whole_differences(ids)[:, ID_BYTES - _width(ids) :]


def _whole_differences(ids: Ids) -> Ids:
    difference = np.empty(ids.shape, dtype=np.uint8)
    before = np.vstack([np.zeros((1, ID_BYTES), dtype=np.uint8), ids[:-1]])
    borrow = np.zeros(len(ids), dtype=np.int16)
    for position in range(ID_BYTES - 1, -1, -1):
        digit = ids[:, position].astype(np.int16) - before[:, position] - borrow
        borrow = (digit < 0).astype(np.int16)
        difference[:, position] = (digit + 256 * borrow).astype(np.uint8)
    return difference


def _sums(differences: Ids) -> Ids:
    """Return the running sums of big endian numbers (n, width); refuses what does not rise."""
    count, width = differences.shape
    if count and not differences.any(axis=1).all():
        raise Refusal(RefusalKind.CODING, "freeze: a report's number stands twice, or is zeros")
    ids = np.zeros((count, ID_BYTES), dtype=np.uint8)
    carry = np.zeros(count, dtype=np.int64)
    for position in range(ID_BYTES - 1, -1, -1):
        column = position - (ID_BYTES - width)
        digits = differences[:, column].astype(np.int64) if column >= 0 else np.zeros_like(carry)
        # carries are running too: the sum of all digits up to here, over 256, goes one place up
        total = np.cumsum(digits) + carry
        ids[:, position] = (total & 255).astype(np.uint8)
        carry = total >> 8
    if count and carry.any():
        raise Refusal(RefusalKind.CODING, "freeze: a report's number is too large")
    return ids


def _width(ids: Ids) -> int:
    needed = np.flatnonzero(_whole_differences(ids).any(axis=0))
    return ID_BYTES - int(needed[0]) if len(needed) else 0
