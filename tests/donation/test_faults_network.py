"""The network lost at each step of a round: it goes on with one sample, and says who is missing."""

from __future__ import annotations

import re
from typing import Any

import pytest
from tests.donation.rounds import Servers, donations, people, round_task
from tests.donation.test_rounds import check_release
from tests.donation.test_rounds_faults import finish, samples

from sfumato.donation.rounds import Interrupted, RoundSettings, RoundState
from sfumato.errors import ProtocolError

TABLE = people(40)
OPEN = RoundSettings(qid_open=True, audited=False)
STEPS = (
    "agree on keys",
    "greet",
    "freeze",
    "compare freezes",
    "compare headers",
    "compare accepted reports",
    "shuffle, pass 0",
    "shuffle, pass 1",
    "shuffle, pass 2",
    "toss a coin: commit",
    "toss a coin: open",
    "multiply tags",
    "open to all",
    "compare recodings",
    "settle",
    "compare samples",
    "sign the sample",
)
IN_SHARES = (  # and of the counts in shares, which are slower
    "open verification key",
    "compare proofs",
    "tell verdicts",
    "reshare",
    "AND",
    "multiply",
    "audit: commit",
    "audit: open",
    "audit of products: commit",
    "audit of products: open",
)
GONE = "the network is gone"
FAST = ("agree on keys", "freeze", "shuffle, pass 1", "open to all", "settle", "sign the sample")
LAST = ("compare samples", "sign the sample")
"""Here a peer may be at the end already."""


class Dropped:
    """Channels of a server whose network is lost in a step, after so many frames of it."""

    def __init__(self, inner: Any, step: str, frames: int) -> None:
        self._inner, self._at, self._left = inner, step, frames
        self.gone = False
        self.steps: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def begin(self, step: str) -> None:
        self.steps.append(step)
        self._inner.begin(step)

    def send(self, to: int, data: Any) -> None:
        if self._inner.step == self._at:
            self._left -= 1
            self.gone = self.gone or self._left < 0
        if self.gone:
            raise ProtocolError(GONE)
        self._inner.send(to, data)

    def receive(self, sender: int) -> Any:
        if self.gone or self._inner.step == self._at:
            self.gone = True
            raise ProtocolError(GONE)
        return self._inner.receive(sender)


@pytest.fixture(scope="module")
def task() -> tuple[Any, Any, list[bytes]]:
    parties, researcher = round_task()
    return parties, researcher, donations(parties, TABLE)


def lose(servers: Servers, victim: int, step: str, frames: int) -> list[Any]:
    """Run a round in which a server's network is lost; check what each server is left with."""
    dropped: list[Dropped] = []

    def alter(index: int, inner: Any) -> Any:
        if index != victim:
            return inner
        dropped.append(Dropped(inner, step, frames))
        return dropped[0]

    servers.alter = alter
    outcomes = servers.run(timeout=20)
    assert dropped[0].gone, f"the round has no step {step!r}"
    for index, outcome in enumerate(outcomes):
        if outcome is RoundState.ERASED:
            assert step in LAST
            assert index != victim
            continue
        assert isinstance(outcome, Interrupted), (index, outcome)
        words = str(outcome)
        assert words == GONE if index == victim else re.search(r"server [012] has closed", words)
        assert servers.rounds[index].state not in {RoundState.ABORTED, RoundState.ERASED}
    servers.alter = lambda index, inner: inner
    return outcomes


@pytest.mark.parametrize(
    ("step", "frames"),
    [
        pytest.param(step, frames, marks=[] if frames and step in FAST else [pytest.mark.slow])
        for frames in (0, 2)  # before anything is sent; when one peer has heard and one has not
        for step in STEPS
        if frames or step not in {"greet", "freeze", "compare freezes"}
    ],
)
def test_the_network_may_be_lost_at_each_step(task, tmp_path, step: str, frames: int):
    parties, researcher, reports = task
    servers = Servers(tmp_path, parties, OPEN).start()
    servers.take(reports)
    lose(servers, STEPS.index(step) % 3, step, frames)
    finish(servers, researcher, TABLE)
    servers.stop()


@pytest.mark.slow
@pytest.mark.parametrize("step", IN_SHARES)
def test_the_network_may_be_lost_at_each_step_in_shares(tmp_path, step: str):
    parties, researcher = round_task()
    table = people(20)
    servers = Servers(tmp_path, parties, RoundSettings()).start()
    servers.take(donations(parties, table))
    lose(servers, IN_SHARES.index(step) % 2, step, 0)
    finish(servers, researcher, table)
    servers.stop()


def test_the_network_may_be_lost_among_mailboxes(tmp_path):
    parties, researcher = round_task(mode="dpf")
    servers = Servers(tmp_path, parties, OPEN).start()
    servers.take(donations(parties, TABLE))
    for step in ("open verification key", "compare mailbox proofs", "tell verdicts", "reshare"):
        lose(servers, 1, step, 0)
        assert not samples(servers)
    finish(servers, researcher, TABLE)
    servers.stop()


@pytest.mark.parametrize(
    ("settings", "steps"),
    [
        (OPEN, STEPS),
        pytest.param(RoundSettings(), (*STEPS, *IN_SHARES), marks=pytest.mark.slow),
    ],
)
def test_these_are_all_steps_of_a_round(task, tmp_path, settings, steps):
    parties, researcher, reports = task
    seen: list[Dropped] = []
    servers = Servers(tmp_path, parties, settings).start()
    servers.take(reports)

    def alter(_index: int, inner: Any) -> Any:
        seen.append(Dropped(inner, "never", 0))
        return seen[-1]

    servers.alter = alter
    assert servers.run() == [RoundState.ERASED] * 3
    check_release(servers, researcher, TABLE)
    assert {step for each in seen for step in each.steps} == set(steps)
    servers.stop()
