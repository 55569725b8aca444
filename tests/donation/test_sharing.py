"""Shares, channels, keys, coins and openings: what three servers agree on, and lies about it."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from dataclasses import replace
from queue import SimpleQueue
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfumato.donation.sharing import (
    FRAME_LIMIT,
    ArithmeticShares,
    BooleanShares,
    FramedChannels,
    KeyStream,
    MemoryChannels,
    Party,
    compare_transcripts,
    concatenate,
    open_to_all,
    open_to_one,
    outcomes_of_three,
    reconstruct,
    reshare,
    run_three,
    split,
    toss,
)
from sfumato.errors import InternalError, ProtocolError


class Liar:
    """Channels of a server that alters what it sends in one step, before it is framed.

    If it lies ``consistently``, it goes on with what it sent; else with what it should have sent.
    """

    def __init__(self, inner: Any, step: str, alter: Callable[[np.ndarray], np.ndarray], **which):
        self._inner, self._step, self._alter = inner, step, alter
        self._to, self._skip = which.get("to"), which.get("skip", 0)
        self._consistently = which.get("consistently", False)
        self.told = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def send(self, to: int, data: Any) -> None:
        if not self.told and self._inner.step.startswith(self._step) and self._to in (None, to):
            if self._skip:
                self._skip -= 1
            else:
                octets = np.frombuffer(memoryview(data).cast("B"), np.uint8)
                data = self._alter(octets if self._consistently else octets.copy())
                self.told = True
        self._inner.send(to, data)


def flip(octets: np.ndarray) -> np.ndarray:
    """Flip the lowest bit of the first byte."""
    octets[0] ^= 1
    return octets


def lying(party: Party, liar: int, step: str, **which: Any) -> Party:
    """Return the party, its channels altered if it is the liar."""
    if party.index != liar:
        return party
    alter = which.pop("alter", flip)
    return replace(party, channels=Liar(party.channels, step, alter, **which))


def honest_errors(outcomes: list[Any], liar: int) -> list[ProtocolError]:
    """Return what the two honest servers raised; both must refuse."""
    errors = [one for server, one in enumerate(outcomes) if server != liar]
    assert all(isinstance(one, ProtocolError) for one in errors), outcomes
    return errors


kinds = st.sampled_from([BooleanShares, ArithmeticShares])
types = st.sampled_from([np.uint8, np.uint16, np.uint32, np.uint64])


@given(kind=kinds, dtype=types, shape=st.tuples(st.integers(0, 5), st.integers(1, 4)))
@settings(deadline=None, max_examples=30)
def test_two_servers_hold_all_and_the_convention_holds(kind, dtype, shape):
    values = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)
    shares = split(kind, values, os.urandom)
    assert np.array_equal(reconstruct(shares), values)
    assert np.array_equal(reconstruct(shares[:2]), values)
    for server in range(3):
        assert shares[server].second is shares[(server + 1) % 3].first


def test_what_is_secret_is_not_printed():
    shares = split(BooleanShares, np.full(3, 77, np.uint8), lambda count: b"M" * count)
    party = run_three(lambda party: repr(party) + repr(party.streams) + repr(party.channels))[0]
    text = repr(shares) + party + repr(KeyStream(b"secret key")) + repr(KeyStream(b"k").begin("p"))
    assert "BooleanShares(shape=(3,), dtype=uint8)" in text
    assert not any(word in text for word in ("77", "secret", "b'"))


def test_streams_of_keys_purposes_and_uses_differ_and_both_holders_agree():
    def draw(party: Party) -> list[list[bytes]]:
        return [
            [stream.draw(4, np.uint64, purpose).tobytes() for purpose in "aab"]
            for stream in party.streams
        ]

    drawn = run_three(draw)
    for server in range(3):
        assert drawn[server][1] == drawn[(server + 1) % 3][0]
    assert len({one for server in drawn for one in server[0]}) == 9
    with pytest.raises(InternalError, match="contiguous"):
        KeyStream(b"k").begin("p").fill(np.empty((4, 4), np.uint64)[:, :2])
    whole = KeyStream(b"k").begin("p")
    long = np.empty(100_000, np.uint64)  # longer than the block of zeros that is encrypted
    whole.fill(long)
    assert np.array_equal(KeyStream(b"k").draw(100_000, np.uint64, "p"), long)
    assert len(np.unique(long)) == len(long)


def test_shared_randomness_and_zero_sum_up():
    def draw(party: Party) -> tuple[Any, ...]:
        return (
            party.random(BooleanShares, (5,), np.uint64, "test"),
            party.zero(BooleanShares, (5,), np.uint64),
            party.zero(ArithmeticShares, (5,), np.uint32),
        )

    drawn = run_three(draw)
    assert np.array_equal(
        reconstruct([one[0] for one in drawn]), reconstruct([drawn[0][0], drawn[1][0]])
    )
    assert not np.any(drawn[0][1] ^ drawn[1][1] ^ drawn[2][1])
    assert not np.any(drawn[0][2] + drawn[1][2] + drawn[2][2])
    assert np.all(drawn[0][1])
    assert np.all(drawn[0][2])


@pytest.mark.parametrize("kind", [BooleanShares, ArithmeticShares])
@pytest.mark.parametrize("leader", range(3))
def test_two_additive_shares_become_replicated(kind, leader):
    values = np.arange(10, dtype=np.uint32).reshape(2, 5)
    mask = np.frombuffer(os.urandom(40), np.uint32).reshape(2, 5)
    parts = [mask, values ^ mask if kind is BooleanShares else values - mask, None]

    def work(party: Party) -> Any:
        part = parts[(party.index - leader) % 3]
        return reshare(party, kind, part, (2, 5), np.uint32, leader), party.channels.traffic

    results = run_three(work)
    shares = [one for one, _ in results]
    assert np.array_equal(reconstruct(shares), values)
    for server in range(3):
        assert np.array_equal(shares[server].second, shares[(server + 1) % 3].first)
    assert results[(leader + 2) % 3][1].sent == 64  # its keys only
    with pytest.raises(InternalError, match="reshares no"):
        run_three(lambda party: reshare(party, kind, None, (2, 5), np.uint32, leader))


@pytest.mark.parametrize("kind", [BooleanShares, ArithmeticShares])
def test_opening(kind):
    values = np.arange(12, dtype=np.uint16).reshape(3, 4)
    shares = split(kind, values, os.urandom)
    empty = split(kind, values[:0], os.urandom)

    def work(party: Party) -> Any:
        own = shares[party.index]
        public = party.known(kind, values, np.uint16)
        joined = concatenate([own, public])
        return (
            open_to_all(party, joined),
            open_to_all(party, empty[party.index]),
            [open_to_one(party, own, server) for server in range(3)],
        )

    for server, (joined, none, one) in enumerate(run_three(work)):
        assert np.array_equal(joined, np.concatenate([values, values]))
        assert none.shape == (0, 4)
        assert np.array_equal(one[server], values)
        assert one[(server + 1) % 3] is None
        assert one[(server + 2) % 3] is None


@pytest.mark.parametrize("liar", range(3))
@pytest.mark.parametrize("which", ["share", "digest"])
def test_a_wrong_share_or_digest_is_not_opened(liar, which):
    shares = split(BooleanShares, np.arange(9, dtype=np.uint64), os.urandom)
    peer = (liar + (1 if which == "share" else 2)) % 3

    def work(party: Party) -> Any:
        return open_to_all(lying(party, liar, "open to all", to=peer), shares[party.index])

    error = outcomes_of_three(work)[peer]
    assert isinstance(error, ProtocolError)
    assert "open to all" in str(error)
    assert f"server {liar}" in str(error)

    def single(party: Party) -> Any:
        return open_to_one(lying(party, liar, "open to server"), shares[party.index], peer)

    error = outcomes_of_three(single)[peer]
    assert isinstance(error, ProtocolError)
    assert f"server {liar}" in str(error)


def test_long_arrays_go_in_several_frames():
    values = np.arange(1_200_000, dtype=np.uint64)
    shares = split(ArithmeticShares, values, os.urandom)
    opened = run_three(
        lambda party: (open_to_all(party, shares[party.index]), party.channels.traffic)
    )
    assert all(np.array_equal(one, values) for one, _ in opened)
    assert opened[0][1].frames == 2 + 1 + 3
    assert opened[0][1].rounds == 2


def test_coins_are_common_and_new():
    coins = run_three(
        lambda party: [toss(party, os.urandom).draw(2, np.uint64, "x").tobytes() for _ in "ab"]
    )
    assert coins[0] == coins[1] == coins[2]
    assert coins[0][0] != coins[0][1]


@pytest.mark.parametrize("liar", range(3))
def test_two_commitments_or_another_coin_are_caught(liar):
    def work(party: Party, step: str, **which: Any) -> Any:
        return toss(lying(party, liar, step, **which), os.urandom)

    peer = (liar + 1) % 3
    outcomes = outcomes_of_three(lambda party: work(party, "toss a coin: commit", to=peer))
    assert "other commitments" in str(outcomes[(liar + 2) % 3]) + str(outcomes[peer])
    honest_errors(outcomes, liar)

    def later(octets: np.ndarray) -> np.ndarray:
        octets[-1] ^= 1
        return octets

    outcomes = outcomes_of_three(
        lambda party: work(party, "toss a coin: open", to=peer, alter=later)
    )
    assert "another coin" in str(outcomes[peer])


def test_transcripts():
    def work(party: Party) -> None:
        toss(party, os.urandom)
        compare_transcripts(party)
        with pytest.raises(ProtocolError, match="another record"):
            compare_transcripts(lying(party, party.index, "compare"))

    run_three(work)


def pair() -> tuple[FramedChannels, FramedChannels]:
    first, second, _ = MemoryChannels.three(timeout=0.05)
    return first, second


def test_frames_out_of_turn_are_refused():
    first, second = pair()
    first.begin("one")
    first.send(1, b"abc")
    second.begin("two")
    with pytest.raises(ProtocolError, match="step 'two': server 0 sent frame 0"):
        second.receive(0)
    first, second = pair()
    with pytest.raises(ProtocolError, match="not answered within"):
        second.receive(0)
    first.close()
    with pytest.raises(ProtocolError, match="closed"):
        second.receive(0)
    with pytest.raises(InternalError, match="longer"):
        first.send(1, np.zeros(FRAME_LIMIT + 1, np.uint8))


class Scripted:
    """A link that yields given bytes, whatever is asked."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def write(self, data: memoryview) -> None:
        self.data += bytes(data)

    def read(self, length: int) -> memoryview:
        part, self.data = self.data[:length], self.data[length:]
        return memoryview(part)

    def close(self) -> None:
        pass


def test_altered_replayed_and_oversized_frames_are_refused():
    sent = Scripted(b"")
    FramedChannels({1: sent}).send(1, np.arange(4, dtype=np.uint16))
    frame = sent.data
    assert len(frame) == 16 + 8 + 32
    assert bytes(FramedChannels({1: Scripted(frame)}).receive(1)) == frame[16:24]
    for place in (0, 5, 7, 11, 16, 23, 24, 55):
        altered = bytearray(frame)
        altered[place] ^= 1
        with pytest.raises(ProtocolError):
            FramedChannels({1: Scripted(bytes(altered))}).receive(1)
    twice = FramedChannels({1: Scripted(frame + frame)})
    twice.receive(1)
    with pytest.raises(ProtocolError, match="where frame 1"):
        twice.receive(1)
    huge = frame[:12] + (FRAME_LIMIT + 1).to_bytes(4, "big")
    with pytest.raises(ProtocolError, match="limit"):
        FramedChannels({1: Scripted(huge)}).receive(1)
    with pytest.raises(ProtocolError, match="of round 7"):
        FramedChannels({1: Scripted(frame)}, number=7).receive(1)


def test_an_array_of_another_size_is_refused():
    def work(party: Party) -> Any:
        party.begin("odd")
        if party.index == 0:
            return party.send_array(np.zeros(3, np.uint8), 1)
        return party.receive_array(0, (4,), np.uint8) if party.index == 1 else None

    with pytest.raises(ProtocolError, match="server 0 sent 3 bytes where 4 were due"):
        run_three(work)


def test_the_cause_is_raised_not_its_effect():
    def work(party: Party) -> Any:
        if party.index == 1:
            raise ZeroDivisionError("the cause")
        return open_to_all(party, party.known(BooleanShares, [1]))

    with pytest.raises(ZeroDivisionError, match="the cause"):
        run_three(work)


class SocketLink:
    """Blocking sockets, one for each direction; a thread of its own writes."""

    def __init__(self, outgoing: socket.socket, incoming: socket.socket) -> None:
        self._incoming, self._queue = incoming, SimpleQueue()
        self._outgoing = outgoing
        self._writer = threading.Thread(target=self._write_all)
        self._writer.start()

    def _write_all(self) -> None:
        while (data := self._queue.get()) is not None:
            self._outgoing.sendall(data)
        self._outgoing.close()

    def write(self, data: memoryview) -> None:
        self._queue.put(data)

    def read(self, length: int) -> memoryview:
        buffer = memoryview(bytearray(length))
        place = 0
        while place < length:
            got = self._incoming.recv_into(buffer[place:])
            if not got:
                raise ProtocolError("the peer has gone")
            place += got
        return buffer

    def close(self) -> None:
        self._queue.put(None)
        self._writer.join()
        self._incoming.close()


def test_the_same_code_runs_over_blocking_sockets():
    ways = {(a, b): socket.socketpair() for a in range(3) for b in range(3) if a != b}
    values = np.arange(700_000, dtype=np.uint64)  # 5.6 MB: more than any socket's buffer
    shares = split(BooleanShares, values, os.urandom)
    opened: dict[int, np.ndarray] = {}

    def serve(index: int) -> None:
        links = {
            peer: SocketLink(ways[index, peer][0], ways[peer, index][1])
            for peer in range(3)
            if peer != index
        }
        channels = FramedChannels(links)
        party = Party.agree(index, channels, os.urandom)
        opened[index] = open_to_all(party, shares[index])
        compare_transcripts(party)
        channels.close()

    threads = [threading.Thread(target=serve, args=(index,)) for index in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert all(np.array_equal(opened[index], values) for index in range(3))
