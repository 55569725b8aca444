"""Stops at every edge, lost messages, full disks, liars: one release at most, never a wrong one."""

from __future__ import annotations

import errno
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.donation.rounds import Killed, Servers, donations, killed_at, people, round_task
from tests.donation.test_rounds import check_release
from tests.donation.test_sharing import Liar, flip

from sfumato.donation.messages import Freeze
from sfumato.donation.rounds import Deviation, Interrupted, RoundSettings, RoundState, TooFewDonors
from sfumato.donation.rounds.journal import Journal
from sfumato.donation.sharing import MemoryChannels
from sfumato.errors import EngineError, ProtocolError

TABLE = people(60)
OPEN = RoundSettings(qid_open=True, audited=False)
EDGES = [state for state in RoundState if state not in {RoundState.OPEN, RoundState.ABORTED}]


@pytest.fixture(scope="module")
def task() -> tuple[Any, Any, list[bytes]]:
    parties, researcher = round_task()
    return parties, researcher, donations(parties, TABLE)


@pytest.fixture
def servers(task: Any, tmp_path: Path) -> Any:
    made = Servers(tmp_path, task[0], OPEN).start()
    made.take(task[2])
    yield made
    made.stop()


def samples(servers: Servers) -> set[bytes]:
    """Return the digests of all manifests that any server holds as signed by all."""
    return {each.signed.manifest.digest for each in servers.rounds if each.signed is not None}


def finish(servers: Servers, researcher: Any, table: Any = TABLE) -> None:
    """Run on without faults; whatever was fixed before the fault must be what is released."""
    before = samples(servers)
    bundles = {index: each.bundle for index, each in enumerate(servers.rounds) if each.bundle}
    servers.restart()
    assert servers.run() == [RoundState.ERASED] * 3
    check_release(servers, researcher, table)
    assert len(samples(servers)) == 1
    assert before <= samples(servers)
    for index, bundle in bundles.items():
        assert servers.rounds[index].bundle == bundle


# ---------------------------------------------------------------- one server stops


def slow(*values: Any) -> Any:
    return pytest.param(*values, marks=pytest.mark.slow)


def edge(state: str, when: str, index: int) -> Any:
    # what is on the disk after one state is written is what is there before the next one is, and
    # before the sample all states lead to the same restart
    fast = when == "before" and state in EDGES[4:] and index == (EDGES.index(state)) % 3
    marks = [] if fast else [pytest.mark.slow]
    return pytest.param(state, when, index, marks=marks)


@pytest.mark.parametrize(
    ("state", "when", "index"),
    [
        edge(state, when, index)
        for state in EDGES
        for when in ("before", "after")
        for index in range(3)
    ],
)
def test_a_server_killed_at_an_edge_goes_on(servers, task, monkeypatch, state, when, index):
    killed_at(monkeypatch, servers, index, state, when)
    finish(servers, task[1])


def test_all_three_stopped_together_with_half_a_line_in_the_journal(servers, task, monkeypatch):
    append = Journal.append

    def killed(self: Journal, line: Any) -> None:
        append(self, line)
        if line["state"] == RoundState.LABELLED:
            raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(Journal, "append", killed)
        servers.run()
    prepared = {each._prepared()[0].digest for each in servers.rounds}
    for index in range(3):
        path = servers.folder / str(index) / "round-0" / "journal"
        path.write_bytes(path.read_bytes() + b'0123456789abcdef {"state": "SAMP')
    finish(servers, task[1])
    assert samples(servers) == prepared  # the sample on the disks was signed, not drawn again


def test_one_that_has_not_kept_the_sample_leads_to_a_fresh_one(servers, task, monkeypatch):
    killed_at(monkeypatch, servers, 1, RoundState.LABELLED, "before")
    prepared = servers.rounds[0]._prepared()[0]
    assert not samples(servers)
    finish(servers, task[1])
    after = servers.rounds[0].signed.manifest
    assert after.digest != prepared.digest
    assert after.class_sizes == prepared.class_sizes
    assert after.accepted_hash == prepared.accepted_hash


def test_one_server_gone_after_the_sample_leaves_two_bundles(servers, task, monkeypatch):
    outcomes = killed_at(monkeypatch, servers, 2, RoundState.SAMPLED, "before")
    assert outcomes[:2] == [RoundState.ERASED] * 2
    check_release(servers, task[1], TABLE) if len(servers.bundles()) == 3 else None
    assert len(servers.bundles()) == 2
    signed = servers.rounds[0].signed
    # who was away takes the signed manifest from anywhere, and releases the same
    assert servers.rounds[2].adopt(signed) is RoundState.ERASED
    check_release(servers, task[1], TABLE)


# ---------------------------------------------------------------- the network


class Cut(MemoryChannels):
    """Channels on which nothing more arrives after some frames."""

    def __init__(self, inner: Any, frames: int) -> None:
        self._inner, self._left = inner, frames

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    step = property(lambda self: self._inner.step)
    traffic = property(lambda self: self._inner.traffic)

    def begin(self, step: str) -> None:
        self._inner.begin(step)

    def send(self, to: int, data: Any) -> None:
        self._inner.send(to, data)

    def transcript(self, peer: int) -> Any:
        return self._inner.transcript(peer)

    def close(self) -> None:
        self._inner.close()

    def receive(self, sender: int) -> memoryview:
        self._left -= 1
        if self._left < 0:
            raise ProtocolError("the network is gone")
        return self._inner.receive(sender)


def frames_of_a_round(servers: Servers) -> int:
    counted = []

    class Counting(Cut):
        def receive(self, sender: int) -> memoryview:
            counted.append(sender)
            return self._inner.receive(sender)

    servers.alter = lambda index, inner: Counting(inner, 0) if index == 0 else inner
    servers.run()
    return len(counted)


def test_the_network_may_be_lost_at_any_message(task, tmp_path):
    whole = Servers(tmp_path / "whole", task[0], OPEN).start()
    whole.take(task[2])
    frames = frames_of_a_round(whole)
    whole.stop()
    assert 40 < frames < 500
    for number, frame in enumerate(np.linspace(0, frames - 1, 4).astype(int)):
        servers = Servers(tmp_path / str(frame), task[0], OPEN).start()
        servers.take(task[2])
        index = number % 3
        servers.alter = lambda i, inner, at=index, n=int(frame): Cut(inner, n) if i == at else inner
        outcomes = servers.run()
        assert isinstance(outcomes[index], Interrupted), (frame, outcomes)
        for state in outcomes:
            assert isinstance(state, Interrupted) or state is RoundState.ERASED
        servers.alter = lambda i, inner: inner
        finish(servers, task[1])
        servers.stop()


# ---------------------------------------------------------------- the disk


@pytest.mark.parametrize(
    "state",
    [
        slow(RoundState.FROZEN),
        RoundState.LABELLED,
        slow(RoundState.SAMPLED),
    ],
)
def test_a_full_disk_stops_the_attempt_and_leaves_nothing_half(servers, task, monkeypatch, state):
    write = Journal._write
    victim = servers.rounds[0]._journal

    def full(self: Journal, data: bytes) -> None:
        if self is victim and f'"{state}"'.encode() in data:
            with self._path.open("ab") as file:
                file.write(data[: len(data) // 2])
            raise OSError(errno.ENOSPC, "No space left on device")
        write(self, data)

    before = (servers.folder / "0" / "round-0" / "journal").read_bytes()
    with monkeypatch.context() as patched:
        patched.setattr(Journal, "_write", full)
        outcomes = servers.run()
    assert isinstance(outcomes[0], EngineError)
    assert "no space left" in str(outcomes[0])
    text = (servers.folder / "0" / "round-0" / "journal").read_bytes()
    assert text.startswith(before)
    assert text.endswith(b"\n") or not text
    finish(servers, task[1])


def test_a_damaged_journal_is_not_believed(servers):
    servers.run()
    path = servers.folder / "1" / "round-0" / "journal"
    lines = path.read_bytes().split(b"\n")
    assert b"60" in lines[1]
    lines[1] = lines[1].replace(b"60", b"61")
    path.write_bytes(b"\n".join(lines))
    with pytest.raises(EngineError, match="line 2: damaged"):
        Journal(path)
    path.write_bytes(b"")
    assert len(Journal(path)) == 0


# ---------------------------------------------------------------- too few, twice, other settings


def test_too_few_donors_leave_the_round_open(task, tmp_path):
    servers = Servers(tmp_path, task[0], OPEN).start()
    servers.take(task[2][:20])
    servers.ingests[1].store.erase  # noqa: B018 - it is there and not called
    small = round_task(n_min=40)
    servers.stop()
    servers = Servers(tmp_path / "small", small[0], OPEN).start()
    servers.take(donations(small[0], TABLE[:39]))
    outcomes = servers.run()
    assert all(isinstance(one, TooFewDonors) for one in outcomes)
    assert all(each.state is RoundState.OPEN for each in servers.rounds)
    servers.take(donations(small[0], TABLE[39:]))
    assert servers.run() == [RoundState.ERASED] * 3
    check_release(servers, small[1], TABLE)
    servers.stop()


def test_too_few_in_common_are_never_processed(tmp_path):
    parties, _ = round_task(n_min=40)
    servers = Servers(tmp_path, parties, OPEN).start()
    reports = donations(parties, TABLE)
    for index in range(3):
        servers.ingests[index].take(reports[7 * index : 7 * index + 45])
    outcomes = servers.run()
    assert all(isinstance(one, Deviation) for one in outcomes)
    assert all("n_min" in each.reason for each in servers.rounds)
    assert all(each.state is RoundState.ABORTED for each in servers.rounds)
    assert not any((servers.folder / str(i) / "reports" / "round-0.log").exists() for i in range(3))
    assert all(isinstance(one, Deviation) for one in servers.run())
    servers.stop()


def test_servers_that_are_set_otherwise_do_not_begin(servers, task):
    servers.rounds[1]._settings = RoundSettings(qid_open=False, audited=False)
    outcomes = servers.run()
    assert all(isinstance(one, Interrupted) for one in outcomes)
    assert all(each.state is RoundState.OPEN for each in servers.rounds)


# ---------------------------------------------------------------- one server lies


def lie(servers: Servers, liar: int, step: str, **which: Any) -> list[Any]:
    alter = which.pop("alter", flip)
    servers.alter = lambda index, inner: (
        Liar(inner, step, alter, **which) if index == liar else inner
    )
    return servers.run()


@pytest.mark.parametrize(
    ("liar", "step", "which"),
    [
        (0, "shuffle, pass 0", {}),  # a wrong share, or another permutation
        slow(2, "multiply tags", {}),
        (0, "open to all", {}),
        (2, "freeze", {"skip": 1}),
        slow(1, "compare freezes", {"skip": 1}),
        slow(0, "compare accepted reports", {"skip": 1}),
        (2, "settle", {"skip": 1}),
        (1, "compare samples", {"skip": 1}),
        slow(0, "compare recodings", {"skip": 1}),
    ],
)
def test_a_lying_server_gets_no_release(servers, liar, step, which):
    outcomes = lie(servers, liar, step, **which)
    honest = [index for index in range(3) if index != liar]
    errors = [outcomes[index] for index in honest]
    assert all(isinstance(one, ProtocolError) for one in errors), outcomes
    assert any(not isinstance(one, Interrupted) for one in errors)
    # who saw the lie has aborted; the other hears it at the next attempt, liar or not
    servers.alter = lambda index, inner: inner
    servers.run()
    for index in honest:
        assert servers.rounds[index].state is RoundState.ABORTED
        assert servers.rounds[index].bundle is None
        assert servers.rounds[index].reason
        assert not (servers.folder / str(index) / "round-0" / "round.key").exists()


@pytest.mark.parametrize("liar", [0, 1])
@pytest.mark.parametrize("consistently", [False, True])
def test_a_wrong_count_is_found_before_it_is_worked_with(task, tmp_path, liar, consistently):
    servers = Servers(tmp_path, task[0]).start()
    servers.take(task[2])

    def more(octets: np.ndarray) -> np.ndarray:
        counts = (octets if consistently else octets.copy()).view(np.uint32)
        counts[::3] += 4
        return counts.view(np.uint8)

    outcomes = lie(servers, liar, "reshare", alter=more, consistently=consistently)
    honest = [outcomes[index] for index in range(3) if index != liar]
    assert all(isinstance(one, ProtocolError) for one in honest)
    if consistently:
        assert all("not those of the accepted reports" in str(one) for one in honest)
    assert not any(RoundState.COUNTED in states(each) for each in servers.rounds)
    assert not servers.bundles()
    servers.stop()


def states(each: Any) -> list[str]:
    return [line["state"] for line in each._journal]


def test_who_has_signed_keeps_its_shares_whatever_it_hears(servers, task):
    outcomes = lie(servers, 1, "sign the sample", skip=1)
    assert isinstance(outcomes[0], Interrupted)
    assert outcomes[2] is RoundState.ERASED
    servers.alter = lambda index, inner: inner
    finish(servers, task[1])


def test_two_freezes_of_one_server_are_evidence_against_it(servers, task):
    parties = task[0]
    other = Freeze.sign(
        parties.signers[1], parties.task.task_id, 0, 1, servers.ingests[1].freeze(0).ids[:-1]
    ).to_bytes()

    class TwoFaced(Cut):
        """Sends another freeze to server 2, of which the length differs too."""

        def send(self, to: int, data: Any) -> None:
            if to == 2 and self._inner.step == "freeze":
                data = (
                    len(other).to_bytes(8, "big") if len(data) == 8 else np.frombuffer(other, "u1")
                )
            self._inner.send(to, data)

    servers.alter = lambda index, inner: TwoFaced(inner, 10**9) if index == 1 else inner
    outcomes = servers.run()
    assert all(isinstance(outcomes[index], Deviation) for index in (0, 2))
    for index in (0, 2):
        folder = servers.folder / str(index) / "round-0"
        assert "server 1 signed two" in servers.rounds[index].reason
        words = [path.read_bytes() for path in sorted(folder.glob("evidence-*"))]
        assert len(words) == 2
        assert words[0] != words[1]
        assert {len(one) for one in words} == {75 + 64}


def test_another_set_of_reports_in_a_second_attempt_is_refused(servers, task, monkeypatch):
    """Else a server could leave out one donor and compare the classes of both attempts."""
    append = Journal.append

    def killed(self: Journal, line: Any) -> None:
        if line["state"] == RoundState.LABELLED:
            raise Killed
        append(self, line)

    with monkeypatch.context() as patched:
        patched.setattr(Journal, "append", killed)
        servers.run()
    servers.restart()
    honest = servers.ingests[1].shares

    def without_one(number: int) -> Any:
        for place, share in enumerate(honest(number)):
            yield share if place else replace(share, header_hash=bytes(32))

    monkeypatch.setattr(servers.ingests[1], "shares", without_one)
    outcomes = servers.run()
    for index in (0, 2):
        assert isinstance(outcomes[index], ProtocolError)
        assert not isinstance(outcomes[index], Interrupted)
        assert servers.rounds[index].state is RoundState.ABORTED


def test_a_replayed_report_counts_once(servers, task):
    answers = [ingest.take(task[2][:5]) for ingest in servers.ingests]
    assert all(type(one).__name__ == "Receipt" for each in answers for one in each)
    assert servers.run() == [RoundState.ERASED] * 3
    assert check_release(servers, task[1], TABLE).records == 60
    late = servers.ingests[0].take(task[2][:1])  # the same bytes, after the round: known, no vote
    assert type(late[0]).__name__ == "Receipt"
    assert servers.ingests[0].store.count(1) == 0
