"""One of the three servers: its index, its channels and the keys it has in common with each peer.

At the start each pair of neighbours agrees on a key: both send 32 bytes and hash them together, so
that a pair of honest servers has a uniform key if either has good randomness. The key of component
i belongs to the two servers that hold component i; the third never sees it. From these keys come,
without a message, shared randomness (each server draws its two components) and shares of zero (the
masks of the products): server i adds F(key i) - F(key i + 1), which sums to zero around the circle
and of which each server lacks one term of each other's.

Source: Araki et al. (CCS 2016), section 2.2 and protocol 3.1.
"""

from __future__ import annotations

import hashlib
import hmac
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from sfumato.donation.sharing.channels import Channels
from sfumato.donation.sharing.shares import BooleanShares, S, SummedShares
from sfumato.donation.sharing.streams import KeyStream
from sfumato.errors import ProtocolError

__all__ = ["Party", "Randomness", "compare_transcripts", "toss"]

Randomness = Callable[[int], bytes]
"""Source of secret uniform bytes: ``os.urandom`` outside tests."""

_KEY_BYTES = 32
_FRAME_BYTES = 1 << 22  # what a long array is cut into
_AHEAD = 4  # frames sent before the first answer is awaited: what is under way on a slow network

Words = npt.NDArray[Any]
Gate = tuple[BooleanShares, BooleanShares, BooleanShares]
Product = tuple[SummedShares, SummedShares, SummedShares]


@dataclass(frozen=True, eq=False, repr=False)
class Party:
    """A server in a computation of three.

    Attributes
    ----------
    index
        0, 1 or 2.
    channels
        The way to the others.
    streams
        Key streams of the components ``index`` and ``index + 1``.
    gates, products
        The AND gates since the last :func:`verify_gates`, and the products since the last
        :func:`verify_products`; None if they are not kept.
    """

    index: int
    channels: Channels
    streams: tuple[KeyStream, KeyStream]
    gates: list[Gate] | None = field(default=None)
    products: list[Product] | None = field(default=None)

    def __repr__(self) -> str:
        return f"Party(index={self.index}, step={self.channels.step!r})"

    @classmethod
    def agree(
        cls, index: int, channels: Channels, randomness: Randomness, *, audited: bool = False
    ) -> Party:
        """Agree with each neighbour on a key and return the server.

        Parameters
        ----------
        index
            0, 1 or 2.
        channels
            The way to the others: confidential and authenticated, as TLS is.
        randomness
            Source of secret uniform bytes.
        audited
            Whether gates and products are kept to be verified.

        Raises
        ------
        ProtocolError
            If a peer is gone or sends anything else.
        """
        channels.begin("agree on keys")
        peers = ((index + 2) % 3, (index + 1) % 3)
        halves = [randomness(_KEY_BYTES) for _ in peers]
        for peer, half in zip(peers, halves, strict=True):
            channels.send(peer, half)
        streams = []
        for place, (peer, half) in enumerate(zip(peers, halves, strict=True)):
            other = bytes(channels.receive(peer))
            if len(other) != _KEY_BYTES:
                raise ProtocolError(
                    f"step {channels.step!r}: server {peer} sent {len(other)} bytes for a key of "
                    f"{_KEY_BYTES}"
                )
            component = (index + place) % 3
            # of component i, server i's half comes first
            pair = half + other if place == 0 else other + half
            label = f"sfumato pair key 1, component {component}".encode()
            streams.append(KeyStream(hashlib.sha256(label + pair).digest()))
        kept: tuple[list[Gate] | None, list[Product] | None]
        kept = ([], []) if audited else (None, None)
        return cls(index, channels, (streams[0], streams[1]), *kept)

    @property
    def next(self) -> int:
        """Index of the server that also holds component ``index + 1``."""
        return (self.index + 1) % 3

    @property
    def previous(self) -> int:
        """Index of the server that also holds component ``index``."""
        return (self.index + 2) % 3

    def begin(self, step: str) -> None:
        """Begin a step; see :meth:`Channels.begin`."""
        self.channels.begin(step)

    def known(self, kind: type[S], values: Any, dtype: npt.DTypeLike = np.uint64) -> S:
        """Return shares of a public array: component 0 is the array, the others are zero."""
        array = np.asarray(values, dtype)
        nothing = np.zeros_like(array)
        return kind(array if self.index == 0 else nothing, array if self.index == 2 else nothing)

    def random(
        self, kind: type[S], shape: int | tuple[int, ...], dtype: npt.DTypeLike, purpose: str
    ) -> S:
        """Return shares of a uniform array that no server knows; no message is sent."""
        first, second = (
            kind.reduced(stream.draw(shape, dtype, purpose)) for stream in self.streams
        )
        return kind(first, second)

    def zero(self, kind: type[S], shape: tuple[int, ...], dtype: npt.DTypeLike) -> Words:
        """Return this server's part of a fresh uniform three-party sharing of zero."""
        drawn = self.random(kind, shape, dtype, "zero")
        return kind.minus(drawn.first, drawn.second)

    def replicate(self, kind: type[S], part: Words) -> S:
        """Turn a three-party sharing, masked by :meth:`zero`, into a replicated one.

        Each server sends its part to the server before it.

        Raises
        ------
        ProtocolError
            If the peer is gone, or sends another number of bytes.
        """
        return kind(part, kind.reduced(self.exchange(part, self.previous, self.next)))

    def exchange(self, array: Words, to: int, sender: int) -> Words:
        """Send an array and receive one of the same shape and type, in frames of 4 MB.

        Raises
        ------
        ProtocolError
            If the peer is gone, or sends another number of bytes.
        """
        flat = np.ascontiguousarray(array).reshape(-1)
        received = np.empty_like(flat)
        frames = self._frames(flat)
        for place in range(len(frames) + _AHEAD):
            if place < len(frames):
                self.channels.send(to, flat[frames[place]])
            if place >= _AHEAD:
                part = received[frames[place - _AHEAD]]
                part[...] = self.receive_frame(sender, part.shape, flat.dtype)
        return received.reshape(array.shape)

    def send_array(self, array: Words, to: int) -> None:
        """Send an array, in frames of 4 MB."""
        flat = np.ascontiguousarray(array).reshape(-1)
        for part in self._frames(flat):
            self.channels.send(to, flat[part])

    def receive_array(self, sender: int, shape: tuple[int, ...], dtype: npt.DTypeLike) -> Words:
        """Receive an array of a known shape and type, in frames of 4 MB.

        Raises
        ------
        ProtocolError
            If the peer is gone, or sends another number of bytes.
        """
        flat = np.empty(math.prod(shape), dtype)
        for part in self._frames(flat):
            flat[part] = self.receive_frame(sender, flat[part].shape, flat.dtype)
        return flat.reshape(shape)

    @staticmethod
    def _frames(flat: Words) -> list[slice]:
        step = _FRAME_BYTES // flat.itemsize
        return [slice(start, start + step) for start in range(0, max(len(flat), 1), step)]

    def receive_frame(self, sender: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Words:
        """Receive one frame as an array, not to be written to.

        Raises
        ------
        ProtocolError
            If the peer is gone, or sends another number of bytes.
        """
        data = self.channels.receive(sender)
        expected = math.prod(shape) * dtype.itemsize
        if len(data) != expected:
            raise ProtocolError(
                f"step {self.channels.step!r}: server {sender} sent {len(data)} bytes where "
                f"{expected} were due"
            )
        return np.frombuffer(data, dtype.newbyteorder("<")).reshape(shape)


def toss(party: Party, randomness: Randomness) -> KeyStream:
    """Return a public stream that no server could foresee or steer: a coin tossed by all.

    Each server commits to 32 bytes by SHA-256 and opens only when it has the commitments of both
    others. With the opening goes the digest of all three commitments, so that a server which
    committed to different coins towards the two others is caught. The honest coins are uniform and
    hidden until every coin is fixed, hence so is the hash of all (Blum 1981, in the random oracle
    model).

    Parameters
    ----------
    party
        The server.
    randomness
        Source of secret uniform bytes.

    Raises
    ------
    ProtocolError
        If a peer opens what it has not committed to.
    """
    party.begin("toss a coin: commit")
    channels = party.channels
    peers = (party.previous, party.next)
    coins = {party.index: randomness(2 * _KEY_BYTES)}
    commitments = {party.index: _commitment(party.index, coins[party.index])}
    for peer in peers:
        channels.send(peer, commitments[party.index])
    for peer in peers:
        commitments[peer] = bytes(channels.receive(peer))
    party.begin("toss a coin: open")
    seen = hashlib.sha256(b"".join(commitments[server] for server in range(3))).digest()
    for peer in peers:
        channels.send(peer, seen + coins[party.index])
    for peer in peers:
        opening = bytes(channels.receive(peer))
        if not hmac.compare_digest(opening[:32], seen):
            raise ProtocolError(
                f"step {channels.step!r}: server {peer} has seen other commitments than this "
                "server: one of the others committed to two coins"
            )
        coins[peer] = opening[32:]
        if not hmac.compare_digest(_commitment(peer, coins[peer]), commitments[peer]):
            raise ProtocolError(
                f"step {channels.step!r}: server {peer} opened another coin than it committed to"
            )
    whole = b"".join(coins[server] for server in range(3))
    return KeyStream(hashlib.sha256(b"sfumato coin 1" + whole).digest())


def _commitment(server: int, coin: bytes) -> bytes:
    return hashlib.sha256(f"sfumato commitment 1, server {server}".encode() + coin).digest()


def compare_transcripts(party: Party) -> None:
    """Compare with each peer the digests of all that went between the two.

    Raises
    ------
    ProtocolError
        If a peer has seen other bytes.
    """
    party.begin("compare transcripts")
    peers = (party.previous, party.next)
    digests = {peer: party.channels.transcript(peer) for peer in peers}
    for peer in peers:
        party.channels.send(peer, b"".join(digests[peer]))
    for peer in peers:
        sent, received = digests[peer]
        if not hmac.compare_digest(bytes(party.channels.receive(peer)), received + sent):
            raise ProtocolError(
                f"step {party.channels.step!r}: server {peer} has another record of what it and "
                f"server {party.index} exchanged"
            )
