"""The researcher's order to close a round and to make its release."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from typing import Self

from sfumato.donation.protecting import SigningKey, check_signature
from sfumato.donation.rounds.exchanging import json_object
from sfumato.errors import ProtocolError

__all__ = ["CloseRequest"]

_CONTEXT = "close round"
_FIELDS = struct.Struct(">32sIQ")
_ROUNDS = 2**32
_FAR = 2**63


@dataclass(frozen=True)
class CloseRequest:
    """A signed order for one round of one task.

    Parameters
    ----------
    task_id, round_number
        The round.
    time
        When it was signed, seconds since 1970.
    signature
        64 bytes.
    """

    task_id: bytes
    round_number: int
    time: int
    signature: bytes

    @classmethod
    def sign(cls, key: SigningKey, task_id: bytes, round_number: int, time: int) -> Self:
        """Return the order."""
        signature = key.sign(_CONTEXT, _FIELDS.pack(task_id, round_number, time))
        return cls(task_id, round_number, time, signature)

    def to_json(self) -> bytes:
        """Return the body of the request: round, time and signature."""
        values = {
            "round": self.round_number,
            "time": self.time,
            "signature": self.signature.hex(),
        }
        return json.dumps(values).encode()

    @classmethod
    def from_json(cls, data: bytes, task_id: bytes) -> Self:
        """Read the body of a request.

        Raises
        ------
        ProtocolError
            If it is none.
        """
        try:
            values = json_object(data)
        except ValueError:
            values = {}
        if set(values) != {"round", "time", "signature"}:
            raise ProtocolError("close: send JSON with round, time and signature, and no more")
        number, time, signature = values["round"], values["time"], values["signature"]
        if type(number) is not int or not 0 <= number < _ROUNDS:
            raise ProtocolError("close: round must be a whole number from 0 to 2^32 - 1")
        if type(time) is not int or not 0 <= time < _FAR:
            raise ProtocolError("close: time must be whole seconds since 1970")
        try:
            octets = bytes.fromhex(signature)
        except (TypeError, ValueError):
            raise ProtocolError("close: signature must be hexadecimal digits") from None
        return cls(task_id, number, time, octets)

    def check(self, verifying_key: bytes, now: float, most_seconds: float) -> None:
        """Refuse an order that is not the key owner's, or not of now.

        Raises
        ------
        ProtocolError
            If it is not.
        """
        fields = _FIELDS.pack(self.task_id, self.round_number, self.time)
        check_signature(verifying_key, _CONTEXT, fields, self.signature)
        if abs(self.time - now) > most_seconds:
            raise ProtocolError(
                f"close: signed more than {most_seconds:g} seconds from now by this server's "
                "clock: sign it again"
            )
