"""A server that lies, stops for good or comes back late: one release, and never a wrong one."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.donation.rounds import PARTS, Servers, donations, killed_at, people, round_task
from tests.donation.test_rounds import check_release
from tests.donation.test_rounds_faults import finish, lie, samples

from sfumato.donation.clients import Researcher, ResearcherKeys, TaskServers
from sfumato.donation.clients.connection import Answer, ServerLost
from sfumato.donation.links import LinkLost
from sfumato.donation.links.switchboard import _agreed
from sfumato.donation.protecting import SigningKey
from sfumato.donation.rounds import (
    Interrupted,
    RoundKeys,
    RoundSettings,
    RoundState,
    SignedManifest,
    combine_bundles,
)
from sfumato.donation.rounds.bundle import seal_bundle
from sfumato.donation.rounds.closing import CloseRequest
from sfumato.donation.rounds.desk import RoundDesk
from sfumato.errors import EngineError, ProtocolError

TABLE = people(40)
OPEN = RoundSettings(qid_open=True, audited=False)


@pytest.fixture(scope="module")
def task() -> tuple[Any, Any, list[bytes]]:
    parties, researcher = round_task()
    return parties, researcher, donations(parties, TABLE)


@pytest.fixture
def servers(task: Any, tmp_path: Path) -> Iterator[Servers]:
    made = Servers(tmp_path, task[0], OPEN).start()
    made.take(task[2])
    yield made
    made.stop()


# ---------------------------------------------------------------- one server lies


@pytest.mark.parametrize(
    ("liar", "step", "which", "words"),
    [
        (1, "shuffle, pass 1", {}, "the records that came out are not those that went in"),
        (2, "shuffle, pass 2", {}, "the records that came out are not those that went in"),
        (0, "multiply tags", {}, "not those that went in"),
        (1, "open to all", {"to": 2}, "differ: one of the two lies, so nothing is opened"),  # label
        (2, "compare samples", {"skip": 1}, "server 2 has another sample, or counts otherwise"),
        (0, "settle", {"skip": 1}, "server 0 sent something else"),
        (1, "compare recodings", {"skip": 1}, "the servers do not have the same recoding"),
        (2, "compare accepted reports", {"skip": 1}, "do not accept the same reports"),
    ],
)
def test_what_was_wrong_is_said_and_nothing_is_released(servers, liar, step, which, words):
    lie(servers, liar, step, **which)
    servers.alter = lambda index, inner: inner
    servers.run()
    honest = [servers.rounds[index] for index in range(3) if index != liar]
    assert all(each.state is RoundState.ABORTED for each in honest)
    assert any(words in each.reason for each in honest)
    told = [each.reason for each in honest if "has aborted the round" in each.reason]
    assert all(words in one for one in told)  # the other hears why
    assert not samples(servers)
    assert not servers.bundles()


@pytest.mark.parametrize("liar", [0, 2])
def test_a_wrong_signature_of_the_sample_aborts_nothing(servers, task, liar):
    """The others may have all three signatures: who has signed keeps its shares."""
    lie(servers, liar, "sign the sample", skip=1)
    assert all(each.state is not RoundState.ABORTED for each in servers.rounds)
    servers.alter = lambda index, inner: inner
    finish(servers, task[1], TABLE)


@pytest.mark.parametrize("length", [0, 65])
def test_a_signature_of_another_length_aborts_nothing(servers, task, length):
    class Short:
        def __init__(self, inner: Any) -> None:
            self._inner = inner

        def __getattr__(self, name: str) -> Any:
            return getattr(self._inner, name)

        def send(self, to: int, data: Any) -> None:
            if self._inner.step == "sign the sample" and to == 0:
                size = len(memoryview(data).cast("B"))
                data = length.to_bytes(8, "big") if size == 8 else np.zeros(length, np.uint8)
            self._inner.send(to, data)

    servers.alter = lambda index, inner: Short(inner) if index == 1 else inner
    outcomes = servers.run()
    assert isinstance(outcomes[0], Interrupted)
    assert servers.rounds[0].state is RoundState.LABELLED
    servers.alter = lambda index, inner: inner
    finish(servers, task[1], TABLE)


def test_a_lie_among_mailbox_proofs_drops_reports_and_is_counted(tmp_path):
    parties, researcher = round_task(mode="dpf")
    servers = Servers(tmp_path, parties, OPEN).start()
    servers.take(donations(parties, TABLE))
    outcomes = lie(servers, 0, "compare mailbox proofs", consistently=True)
    if outcomes[1] is RoundState.ERASED:
        bundles = servers.bundles()
        released, manifest = combine_bundles(parties.task, bundles, researcher)
        assert manifest.records + manifest.dropped == TABLE.height
        assert released.join(TABLE, on="glucose").height == released.height
    else:
        assert not servers.bundles()
    servers.stop()


@pytest.mark.parametrize(
    ("liar", "what"),
    [(0, "share"), (1, "share"), (2, "kept rows"), (0, "manifest"), (1, "signature")],
)
def test_a_server_that_hands_out_something_else_is_left_out_and_named(servers, task, liar, what):
    parties, researcher, _ = task
    prepared: list[Any] = []
    release = servers.rounds[liar]._release

    def noting() -> None:
        prepared.extend(servers.rounds[liar]._prepared())
        release()

    servers.rounds[liar]._release = noting
    assert servers.run() == [RoundState.ERASED] * 3
    manifest, shares = prepared
    signed = servers.rounds[liar].signed
    if what == "share":
        changed = shares.components[0].copy()
        changed[0, 0] ^= 1
        shares = replace(shares, components=(changed, shares.components[1]))
    elif what == "kept rows":
        changed = shares.classes.copy()
        changed[:2] = changed[:2][::-1] + (changed[0] == changed[1])
        shares = replace(shares, classes=changed)
    elif what == "manifest":  # what it alone has signed, with the signatures of the true one
        signed = object.__new__(SignedManifest)
        signed.manifest = manifest.model_copy(update={"rows": manifest.rows, "suppressed": 7})
        signed.signatures = servers.rounds[liar].signed.signatures
    key = SigningKey.generate() if what == "signature" else parties.signers[liar]
    false = seal_bundle(parties.task, liar, signed, shares, key)
    bundles = [each.bundle for each in servers.rounds]
    bundles[liar] = false

    class Way:
        def __init__(self, index: int) -> None:
            self.name = str(index)

        def request(self, method: str, path: str, *_: Any) -> Answer:
            return Answer(200, bundles[int(self.name)])

        def close(self) -> None:
            pass

    ways = TaskServers(parties.signed, [Way(index) for index in range(3)])
    found = Researcher(ways, ResearcherKeys(SigningKey.generate(), researcher)).collect(0)
    (note,) = found.notes
    assert note.startswith(f"the bundle of server {liar} is left out: ")
    assert {
        "share": f"component {liar} of server {liar} is not the one that it signed",
        "kept rows": f"the classes of server {liar} are not the signed ones",
        "manifest": "signature of the release manifest",
        "signature": "the signature of the bundle",
    }[what] in note
    assert len(found.bundles) == 2
    released, _ = combine_bundles(parties.task, found.bundles, researcher)
    bundles[liar] = servers.rounds[liar].bundle
    assert released.equals(combine_bundles(parties.task, bundles, researcher)[0])
    with pytest.raises(ProtocolError):
        combine_bundles(parties.task, [false, *found.bundles], researcher)


def test_a_peer_does_not_use_up_the_numbers_of_attempts():
    assert _agreed(3, {0: 4, 2: 1}) == 4
    with pytest.raises(LinkLost, match="server 2 proposes attempt 4294967295, and this one 3"):
        _agreed(3, {0: 4, 2: 2**32 - 1})


# ---------------------------------------------------------------- gone for good, and back


class Away:
    """The two others do not come; what they hand out is what is given."""

    def __init__(self, bundles: list[bytes]) -> None:
        self.bundles = bundles
        self.tries = 0

    def __call__(self, number: int, proposal: int) -> Any:
        self.tries += 1
        raise LinkLost("server 2 has not come to round 0")

    def wait(self, failures: int) -> None:
        time.sleep(0.001)

    def bundles_of_peers(self, number: int) -> list[bytes]:
        return self.bundles


def desk_of(servers: Servers, index: int, meet: Any) -> RoundDesk:
    """Return a desk that goes on with a server's round."""
    folder = servers.folder / str(index)
    ingest, key = servers.ingests[index], SigningKey.generate()
    order = CloseRequest.sign(key, ingest.task.task_id, 0, int(time.time()))
    (folder / "close-0.json").write_bytes(order.to_json())
    keys = RoundKeys(servers.parties.signers[index], PARTS[index])
    return RoundDesk(
        ingest, folder, keys, OPEN, meet, closing_key=key.verifying_key, most_attempts=3
    )


def until(desk: RoundDesk, wanted: Any) -> dict[str, Any]:
    end = time.monotonic() + 20
    while not wanted(status := desk.status(0)):
        assert time.monotonic() < end, status
        time.sleep(0.005)
    return status


@pytest.mark.parametrize(
    ("state", "when"),
    [
        (RoundState.SAMPLED, "after"),
        (RoundState.RELEASED, "before"),
        (RoundState.RELEASED, "after"),
        (RoundState.ERASED, "before"),
    ],
)
def test_who_has_all_signatures_releases_alone_when_it_comes_back(
    servers, task, monkeypatch, state, when
):
    """The two others are gone for good, one of them with its bundle."""
    killed_at(monkeypatch, servers, 0, state, when)
    signed = samples(servers)
    other = servers.rounds[1].bundle
    servers.restart()
    away = Away([])
    desk = desk_of(servers, 0, away)
    desk.start()
    until(desk, lambda status: status["state"] == RoundState.ERASED)
    desk.stop()
    desk.join(5)
    assert away.tries == 0
    bundles = [desk.bundle(0), other or servers.rounds[1].bundle]
    released, manifest = combine_bundles(task[0].task, bundles, task[1])
    assert {manifest.digest} == signed
    assert released.join(TABLE, on="glucose").height == released.height == manifest.rows


def test_who_comes_back_after_the_others_have_finished_takes_their_sample(
    servers, task, monkeypatch
):
    killed_at(monkeypatch, servers, 2, RoundState.SAMPLED, "before")
    bundles = [servers.rounds[index].bundle for index in (0, 1)]
    servers.restart()
    desk = desk_of(servers, 2, Away([b"nothing", *bundles]))
    desk.start()
    until(desk, lambda status: status["state"] == RoundState.ERASED)
    desk.stop()
    desk.join(5)
    servers.restart()
    assert len(samples(servers)) == 1
    check_release(servers, task[1], TABLE)


@pytest.mark.parametrize("state", [RoundState.FROZEN, RoundState.RECODED])
def test_a_server_gone_for_good_before_the_sample_releases_nothing(
    servers, task, monkeypatch, state
):
    killed_at(monkeypatch, servers, 2, state, "before")
    servers.restart()
    away = Away([])
    desk = desk_of(servers, 0, away)
    desk.start()
    status = until(desk, lambda status: away.tries > 3)
    desk.stop()
    desk.join(5)
    assert status["problem"] == "/v1/problems/servers-away"
    assert status["error"] == "waits for the two others: server 2 has not come to round 0"
    assert desk.bundle(0) is None
    assert not samples(servers)
    # nothing that was acknowledged is lost: it goes on once the third is there again
    finish(servers, task[1], TABLE)


def test_a_server_that_has_lost_its_shares_says_so_and_two_are_enough(servers, task, monkeypatch):
    killed_at(monkeypatch, servers, 1, RoundState.SAMPLED, "after")
    for path in (servers.folder / "1" / "round-0").glob("*.sealed"):
        path.unlink()
    servers.restart()
    with pytest.raises(ProtocolError, match="finished with the bundles of the two others"):
        servers.rounds[1].end()
    assert servers.rounds[1].bundle is None
    bundles = [servers.rounds[index].bundle for index in (0, 2)]
    released, manifest = combine_bundles(task[0].task, bundles, task[1])
    assert released.height == manifest.rows
    assert len(samples(servers)) == 1


def test_the_researcher_waits_for_two_of_three(servers, task):
    class Way:
        def __init__(self, index: int, state: RoundState | None) -> None:
            self.name, self.state = str(index), state

        def request(self, *_: Any) -> Answer:
            if self.state is None:
                raise ServerLost(f"server {self.name} does not answer")
            words = f'{{"state": "{self.state}", "round": 0, "received": 0, "accepted": 0}}'
            return Answer(200, words.encode())

        def close(self) -> None:
            pass

    def wait(*states: RoundState | None) -> int:
        ways = [Way(index, state) for index, state in enumerate(states)]
        keys = ResearcherKeys.generate()
        researcher = Researcher(TaskServers(task[0].signed, ways), keys, sleep=lambda _: None)
        researcher.wait(0, 0.0)
        return researcher.latest_round()

    done, away = RoundState.ERASED, None
    assert wait(done, done, away) == 0
    assert wait(done, done, RoundState.SAMPLED) == 0
    with pytest.raises(ServerLost, match="server 1 does not answer"):
        wait(done, away, away)
    with pytest.raises(EngineError, match=r"has not ended after 0 s: .*; server 2 does not answer"):
        wait(done, RoundState.SAMPLED, away)
    with pytest.raises(ProtocolError, match="was aborted"):
        wait(done, RoundState.ABORTED, away)
