"""A server's word that it has taken a report, and will not lose it."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Self

from sfumato.donation.messages.layout import VERSION
from sfumato.donation.messages.refusals import Refusal, RefusalKind
from sfumato.donation.messages.task import TaskConfiguration
from sfumato.donation.protecting import SigningKey, check_signature

__all__ = ["RECEIPT_BYTES", "RECEIPT_MEDIA_TYPE", "Receipt"]

RECEIPT_MEDIA_TYPE = "application/sfumato-donation-receipt"

_CONTEXT = "receipt"
_FIELDS = struct.Struct(">B32s16sIBQ")
RECEIPT_BYTES = _FIELDS.size + 64


@dataclass(frozen=True)
class Receipt:
    """Version, task, report, round, server, time and signature; 126 bytes.

    The same report gives the same receipt, however often it is sent.

    Parameters
    ----------
    task_id, report_id, round_number
        The report.
    server
        Who signs: 0, 1 or 2.
    time_bucket
        Seconds since 1970, rounded down to the task's ``receipt_bucket_seconds``.
    signature
        64 bytes.
    """

    task_id: bytes
    report_id: bytes
    round_number: int
    server: int
    time_bucket: int
    signature: bytes

    @classmethod
    def sign(
        cls,
        key: SigningKey,
        task_id: bytes,
        report_id: bytes,
        round_number: int,
        server: int,
        time_bucket: int,
    ) -> Self:
        """Return the receipt of a report that is stored for good."""
        fields = _FIELDS.pack(VERSION, task_id, report_id, round_number, server, time_bucket)
        signature = key.sign(_CONTEXT, fields)
        return cls(task_id, report_id, round_number, server, time_bucket, signature)

    def to_bytes(self) -> bytes:
        """Return the 126 bytes of the receipt."""
        return self._signed() + self.signature

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
        if server >= len(task.servers) or bucket % task.receipt_bucket_seconds:
            raise Refusal(RefusalKind.CODING, "receipt: no such server, or no such time")
        receipt = cls(task_id, report_id, round_number, server, bucket, data[_FIELDS.size :])
        key = task.servers[server].verifying_key
        check_signature(key, _CONTEXT, receipt._signed(), receipt.signature)
        return receipt

    def _signed(self) -> bytes:
        return _FIELDS.pack(
            VERSION,
            self.task_id,
            self.report_id,
            self.round_number,
            self.server,
            self.time_bucket,
        )
