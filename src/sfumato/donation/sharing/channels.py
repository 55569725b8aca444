"""Framed, hashed and counted messages between the three servers.

A message is one frame: round (32 bits), step (16), sub-step (16), number in its channel (32),
length (32), all big endian; the payload; and a running digest of all that has gone through this
channel so far. A frame out of turn, of another step or another length, or after which the two ends
have not seen the same bytes, is refused where it arrives. The steps are numbered by their names, so
that two ends that run different code do not understand each other by chance.

The digest is SHA-256 over the digest before, the header, and Poly1305 of the payload under the
digest before as its one-time key (Bernstein, *The Poly1305-AES message-authentication code*, FSE
2005, section 3). SHA-256 of the payloads themselves would take a third of the time of a shuffle. A
digest tells ends that have seen different bytes apart but with probability 2^-100 or so, as long as
the bytes were not chosen to be confused. On a link of TLS only the sender could do that; and about
what it has sent itself, a server can say anything anyway.

What carries the bytes is a :class:`Link`: two queues in tests, a pair of TLS sockets between real
servers. :class:`FramedChannels` does the rest for all of them.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from sfumato.errors import InternalError, ProtocolError

__all__ = ["FRAME_LIMIT", "Channels", "FramedChannels", "Link", "Traffic"]

FRAME_LIMIT = 1 << 24
"""The longest payload of a frame, in bytes."""

_HEADER = struct.Struct(">IHHII")
_DIGEST_BYTES = 32

Payload = bytes | memoryview | npt.NDArray[Any]


@dataclass(frozen=True)
class Traffic:
    """What one server has exchanged.

    Attributes
    ----------
    sent, received
        Bytes of payload, all peers together.
    frames
        Frames sent.
    rounds
        Steps in which the server waited for a message: the network delays that it costs, as long
        as a step's messages do not wait for each other.
    """

    sent: int = 0
    received: int = 0
    frames: int = 0
    rounds: int = 0

    def __sub__(self, other: Traffic) -> Traffic:
        """Return what was exchanged since ``other``."""
        return Traffic(
            self.sent - other.sent,
            self.received - other.received,
            self.frames - other.frames,
            self.rounds - other.rounds,
        )


class Channels(Protocol):
    """The way from one server to the two others."""

    @property
    def step(self) -> str:
        """Name of the running step."""

    @property
    def traffic(self) -> Traffic:
        """What was exchanged so far."""

    def begin(self, step: str) -> None:
        """Begin a step, one round of messages; all servers begin the same steps in one order."""

    def send(self, to: int, data: Payload) -> None:
        """Send one frame of at most :data:`FRAME_LIMIT` bytes.

        The channel takes the data over: it must not be changed afterwards. Sending never waits for
        the other end to read, since two servers may send to each other at once.
        """

    def receive(self, sender: int) -> memoryview:
        """Return the next frame of a server.

        Raises
        ------
        ProtocolError
            If the peer is gone or too slow, or the frame is not the one expected.
        """

    def transcript(self, peer: int) -> tuple[bytes, bytes]:
        """Return the digests of what was sent to a server, and of what was received from it."""

    def close(self) -> None:
        """Tell the others that nothing more will come."""


class Link(Protocol):
    """Bytes to and from one server, in order and complete."""

    def write(self, data: memoryview) -> None:
        """Send bytes without waiting until they are read: hand them to a thread if need be."""

    def read(self, length: int) -> memoryview:
        """Return exactly ``length`` bytes; a ``ProtocolError`` if they do not come in time."""

    def close(self) -> None:
        """Close both directions."""


class FramedChannels:
    """Channels over one link for each of the two peers.

    Parameters
    ----------
    links
        The link to each other server, by its index (0, 1 or 2).
    number
        Number of the donation round; frames of another round are refused.
    """

    def __init__(self, links: Mapping[int, Link], number: int = 0) -> None:
        self._links = dict(links)
        self._number = number
        self._sent = {peer: _Transcript() for peer in links}
        self._received = {peer: _Transcript() for peer in links}
        self._next_sent = dict.fromkeys(links, 0)
        self._next_received = dict.fromkeys(links, 0)
        self._step, self._code, self._sub = "start", 0, 0
        self._waited = False
        self._bytes_sent = self._bytes_received = self._frames = self._rounds = 0

    def __repr__(self) -> str:
        return f"{type(self).__name__}(peers={sorted(self._links)}, step={self._step!r})"

    @property
    def step(self) -> str:
        """Name of the running step."""
        return self._step

    @property
    def traffic(self) -> Traffic:
        """What was exchanged so far."""
        return Traffic(self._bytes_sent, self._bytes_received, self._frames, self._rounds)

    def begin(self, step: str) -> None:
        """Begin a step, one round of messages; all servers begin the same steps in one order."""
        self._step = step
        self._code = int.from_bytes(hashlib.sha256(step.encode()).digest()[:2], "big")
        self._sub = (self._sub + 1) & 0xFFFF
        self._waited = False

    def send(self, to: int, data: Payload) -> None:
        """Send one frame; see :meth:`Channels.send`."""
        payload = octets(data) if isinstance(data, np.ndarray) else memoryview(data).cast("B")
        if len(payload) > FRAME_LIMIT:
            raise InternalError(f"a frame of {len(payload)} bytes is longer than {FRAME_LIMIT}")
        number = self._next_sent[to]
        header = _HEADER.pack(self._number, self._code, self._sub, number, len(payload))
        digest = self._sent[to].add(header, payload)
        link = self._links[to]
        link.write(memoryview(header))
        if len(payload):
            link.write(payload)
        link.write(memoryview(digest))
        self._next_sent[to] = number + 1
        self._bytes_sent += len(payload)
        self._frames += 1

    def receive(self, sender: int) -> memoryview:
        """Return the next frame of a server; see :meth:`Channels.receive`."""
        if not self._waited:
            self._rounds += 1
            self._waited = True
        link = self._links[sender]
        header = link.read(_HEADER.size)
        number, code, sub, place, length = _HEADER.unpack(header)
        expected = (self._number, self._code, self._sub, self._next_received[sender])
        if (number, code, sub, place) != expected:
            raise ProtocolError(
                f"step {self._step!r}: server {sender} sent frame {place} of round {number}, step "
                f"code {code}.{sub}, where frame {expected[3]} of round {expected[0]}, step code "
                f"{expected[1]}.{expected[2]} was due: the servers must run the same version on "
                "the same round"
            )
        if length > FRAME_LIMIT:
            raise ProtocolError(
                f"step {self._step!r}: server {sender} announced a frame of {length} bytes; the "
                f"limit is {FRAME_LIMIT}"
            )
        payload = link.read(length) if length else memoryview(b"")
        digest = self._received[sender].add(header, payload)
        if not hmac.compare_digest(digest, link.read(_DIGEST_BYTES)):
            raise ProtocolError(
                f"step {self._step!r}: server {sender} has not sent what arrived here: the running "
                "digest of the channel differs"
            )
        self._next_received[sender] = place + 1
        self._bytes_received += length
        return payload

    def transcript(self, peer: int) -> tuple[bytes, bytes]:
        """Return the digests of what was sent to a server, and of what was received from it."""
        return self._sent[peer].digest, self._received[peer].digest

    def close(self) -> None:
        """Tell the others that nothing more will come."""
        for link in self._links.values():
            link.close()


class _Transcript:
    """The running digest of one direction of a channel."""

    def __init__(self) -> None:
        self.digest = hashlib.sha256(b"sfumato transcript 2").digest()

    def add(self, header: bytes | memoryview, payload: memoryview) -> bytes:
        """Take up a frame; return the digest."""
        from cryptography.hazmat.primitives.poly1305 import Poly1305

        tag = Poly1305.generate_tag(self.digest, payload)
        self.digest = hashlib.sha256(self.digest + header + tag).digest()
        return self.digest


def octets(array: npt.NDArray[Any]) -> memoryview:
    """Return the bytes of an array, little endian; without a copy if it is contiguous."""
    flat = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).reshape(-1)
    return flat.view(np.uint8).data
