"""Messages of any length between the three, and the channels of a round that may be interrupted."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np
import numpy.typing as npt

from sfumato.donation.rounds.states import Interrupted
from sfumato.donation.sharing import Channels, Party, Traffic
from sfumato.errors import ProtocolError

__all__ = [
    "RoundChannels",
    "digest_of",
    "json_object",
    "receive_octets",
    "send_octets",
    "tell_both",
]

_LONGEST = 1 << 31


class RoundChannels:
    """Channels whose failures to receive are :class:`Interrupted`.

    So what a peer *says* that is wrong, which is raised by who reads it, is told apart from a peer
    that is gone. A frame out of turn is counted among the latter: it may come of an attempt that
    another server has given up; a server that sends nothing else uses up the attempts.

    Parameters
    ----------
    inner
        The channels.
    """

    def __init__(self, inner: Channels) -> None:
        self._inner = inner

    @property
    def step(self) -> str:
        """Name of the running step."""
        return self._inner.step

    @property
    def traffic(self) -> Traffic:
        """What was exchanged so far."""
        return self._inner.traffic

    def begin(self, step: str) -> None:
        """Begin a step."""
        self._inner.begin(step)

    def send(self, to: int, data: Any) -> None:
        """Send one frame."""
        try:
            self._inner.send(to, data)
        except ProtocolError as error:
            raise Interrupted(str(error)) from None

    def receive(self, sender: int) -> memoryview:
        """Return the next frame of a server."""
        try:
            return self._inner.receive(sender)
        except ProtocolError as error:
            raise Interrupted(str(error)) from None

    def transcript(self, peer: int) -> tuple[bytes, bytes]:
        """Return the SHA-256 of what was sent to a server, and of what was received from it."""
        return self._inner.transcript(peer)

    def close(self) -> None:
        """Tell the others that nothing more will come."""
        self._inner.close()


def send_octets(party: Party, data: bytes | memoryview, to: int) -> None:
    """Send bytes of a length that the receiver does not know."""
    octets = np.frombuffer(data, np.uint8)
    party.channels.send(to, len(octets).to_bytes(8, "big"))
    party.send_array(octets, to)


def receive_octets(party: Party, sender: int, longest: int = _LONGEST) -> bytes:
    """Receive what :func:`send_octets` sent.

    Raises
    ------
    Interrupted
        If the peer is gone, or announces more than ``longest`` bytes.
    """
    length = int.from_bytes(party.channels.receive(sender), "big")
    if length > longest:
        raise Interrupted(f"server {sender} announced {length} bytes; the limit is {longest}")
    return party.receive_array(sender, (length,), np.uint8).tobytes()


def tell_both(party: Party, step: str, data: bytes) -> dict[int, bytes]:
    """Send the same bytes to both peers; return what each server sent, this one included."""
    party.begin(step)
    peers = (party.previous, party.next)
    for peer in peers:
        send_octets(party, data, peer)
    said = {peer: receive_octets(party, peer) for peer in peers}
    said[party.index] = data
    return said


def json_object(data: bytes) -> dict[str, Any]:
    """Read a JSON object that another party sent.

    Raises
    ------
    ValueError
        If it is none; or is nested so deeply that reading it would end the thread that reads.
    """
    try:
        values = json.loads(data)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(values, dict):
        raise ValueError("not an object")  # noqa: TRY004 - one error for all that is malformed
    return values


def digest_of(context: str, *parts: bytes | npt.NDArray[Any]) -> bytes:
    """Return a SHA-256 over parts, each with its length, told apart by a context."""
    running = hashlib.sha256(b"sfumato donation v1 " + context.encode() + b"\0")
    for part in parts:
        data = part if isinstance(part, bytes) else np.ascontiguousarray(part).tobytes()
        running.update(len(data).to_bytes(8, "big"))
        running.update(data)
    return running.digest()
