"""A server's word that it has taken a report, and will not lose it.

Reports that are stored together are signed together: the receipt of each is an entry of a Merkle
tree whose root the server signs, and brings the path that leads from the one to the other. To a
third party it proves what a signature of its own would. All trees have the same depth, what is
free in them is random bytes, and an entry stands at a random place, so that a receipt does not
tell whether others donated in the same moment, nor how many.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Self

from sfumato.donation.messages.layout import VERSION
from sfumato.donation.messages.merkle import root_of_path, sparse_tree
from sfumato.donation.messages.refusals import Refusal, RefusalKind
from sfumato.donation.messages.task import TaskConfiguration
from sfumato.donation.protecting import SigningKey, check_signature

__all__ = ["RECEIPT_BYTES", "RECEIPT_MEDIA_TYPE", "Acknowledged", "Receipt"]

RECEIPT_MEDIA_TYPE = "application/sfumato-donation-receipt"

_CONTEXT = "receipt"
_FIELDS = struct.Struct(">B32s16sIBQ")
_ROOT = struct.Struct(">B32sB32s")
_DEPTH = 5
_PLACES = 2**_DEPTH
_HASH = 32
_PATH_AT = _FIELDS.size + 1
_SIGNATURE_AT = _PATH_AT + _DEPTH * _HASH
RECEIPT_BYTES = _SIGNATURE_AT + 64
_KEY_BYTES = 8

Acknowledged = tuple[bytes, int, int]
"""Number, round and time of a report that is stored for good."""


@dataclass(frozen=True)
class Receipt:
    """Version, task, report, round, server, time, place, path and signature; 287 bytes.

    The same report gives a receipt that says the same, however often it is sent: its first six
    fields. The others may differ, as they depend on what else was signed with it.

    Parameters
    ----------
    task_id, report_id, round_number
        The report.
    server
        Who signs: 0, 1 or 2.
    time_bucket
        Seconds since 1970, rounded down to the task's ``receipt_bucket_seconds``.
    position
        Where the first six fields stand as an entry of the tree, 0 to 31.
    path
        The 5 neighbours (32 bytes each) by which the entry leads to the tree's root.
    signature
        64 bytes, of version, task, server and root.
    """

    task_id: bytes
    report_id: bytes = field(repr=False)
    round_number: int
    server: int
    time_bucket: int
    position: int = field(repr=False)
    path: tuple[bytes, ...] = field(repr=False)
    signature: bytes = field(repr=False)

    @classmethod
    def sign(
        cls,
        key: SigningKey,
        task_id: bytes,
        server: int,
        reports: Sequence[Acknowledged],
        random_bytes: Callable[[int], bytes] = os.urandom,
    ) -> list[Self]:
        """Return the receipts of reports that are stored for good, a signature for every 32.

        Parameters
        ----------
        key
            The server's.
        task_id, server
            The task, and who signs.
        reports
            Number, round and time of each.
        random_bytes
            Returns that many secret random bytes; the operating system's by default.
        """
        receipts: list[Self] = []
        for start in range(0, len(reports), _PLACES):
            part = reports[start : start + _PLACES]
            entries = {
                position: _FIELDS.pack(VERSION, task_id, report_id, number, server, bucket)
                for position, (report_id, number, bucket) in zip(
                    _shuffled_places(random_bytes), part, strict=False
                )
            }
            root, paths = sparse_tree(entries, _DEPTH, random_bytes)
            signature = key.sign(_CONTEXT, _ROOT.pack(VERSION, task_id, server, root))
            receipts += [
                cls(task_id, report_id, number, server, bucket, position, path, signature)
                for (report_id, number, bucket), (position, path) in zip(
                    part, paths.items(), strict=True
                )
            ]
        return receipts

    def to_bytes(self) -> bytes:
        """Return the 287 bytes of the receipt."""
        return b"".join((self._entry(), bytes([self.position]), *self.path, self.signature))

    @classmethod
    def from_bytes(cls, data: bytes, task: TaskConfiguration) -> Self:
        """Read a receipt and check that a server of the task signed it.

        Raises
        ------
        Refusal
            If it is malformed, or of another task.
        ProtocolError
            If the signature does not hold.
        """
        if len(data) != RECEIPT_BYTES:
            raise Refusal(
                RefusalKind.LENGTH, f"receipt: has {RECEIPT_BYTES} bytes (got {len(data)})"
            )
        version, task_id, report_id, round_number, server, bucket = _FIELDS.unpack_from(data)
        if version != VERSION:
            raise Refusal(RefusalKind.VERSION, f"receipt: version {version} is unknown")
        if task_id != task.task_id:
            raise Refusal(RefusalKind.TASK, "receipt: of another task")
        position = data[_FIELDS.size]
        if server >= len(task.servers) or bucket % task.receipt_bucket_seconds:
            raise Refusal(RefusalKind.CODING, "receipt: no such server, or no such time")
        path = tuple(data[at : at + _HASH] for at in range(_PATH_AT, _SIGNATURE_AT, _HASH))
        root = root_of_path(data[: _FIELDS.size], position, _PLACES, path)
        if position >= _PLACES or root is None:
            raise Refusal(RefusalKind.CODING, "receipt: no such place in a tree of receipts")
        signed = _ROOT.pack(VERSION, task_id, server, root)
        signature = data[_SIGNATURE_AT:]
        check_signature(task.servers[server].verifying_key, _CONTEXT, signed, signature)
        return cls(task_id, report_id, round_number, server, bucket, position, path, signature)

    def _entry(self) -> bytes:
        return _FIELDS.pack(
            VERSION,
            self.task_id,
            self.report_id,
            self.round_number,
            self.server,
            self.time_bucket,
        )


def _shuffled_places(random_bytes: Callable[[int], bytes]) -> list[int]:
    """Return all places of a tree in a random order: that of as many random keys."""
    keys = random_bytes(_KEY_BYTES * _PLACES)
    return sorted(
        range(_PLACES), key=lambda place: keys[_KEY_BYTES * place : _KEY_BYTES * (place + 1)]
    )
