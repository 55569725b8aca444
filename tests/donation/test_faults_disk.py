"""A disk that refuses, at each thing that a round writes: nothing is half there, nothing lost."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pytest
from tests.donation.rounds import Killed, Servers, donations, people, round_task
from tests.donation.test_rounds import check_release
from tests.donation.test_rounds_faults import finish, lie, samples

from sfumato.atomic import whole_file
from sfumato.donation.messages import Freeze
from sfumato.donation.rounds import Interrupted, RoundSettings, RoundState
from sfumato.donation.rounds.journal import Journal
from sfumato.errors import EngineError, ProtocolError

TABLE = people(40)
OPEN = RoundSettings(qid_open=True, audited=False)
FULL = "no space left on device"


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


def refusing(refuses: Callable[[Path], bool], octets: int) -> Any:
    """Return :func:`whole_file` on a disk that takes so many bytes of some files and no more."""

    class Full:
        def __init__(self, file: IO[bytes]) -> None:
            self._file = file

        def __getattr__(self, name: str) -> Any:
            return getattr(self._file, name)

        def write(self, data: bytes) -> int:
            self._file.write(data[:octets])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    @contextmanager
    def opened(path: Path) -> Iterator[Any]:
        with whole_file(path) as file:
            yield Full(file) if refuses(Path(path)) else file

    return opened


def left(servers: Servers, index: int) -> set[str]:
    return {path.name for path in (servers.folder / str(index) / "round-0").iterdir()}


@pytest.mark.parametrize("octets", [pytest.param(0, marks=pytest.mark.slow), 20])
@pytest.mark.parametrize(
    ("module", "name", "state"),
    [
        ("vault", "round.key", RoundState.RECODED),
        ("vault", "prepared.sealed", RoundState.RECODED),
        ("round", "bundle", RoundState.SAMPLED),
    ],
)
def test_a_file_that_the_disk_does_not_take_is_not_there(
    servers, task, monkeypatch, module, name, state, octets
):
    victim = servers.folder / "1" / "round-0"

    def refuses(path: Path) -> bool:
        return path.parent.name == "round-0" and path == victim / name

    opened = refusing(refuses, octets)
    with monkeypatch.context() as patched:
        patched.setattr(f"sfumato.donation.rounds.{module}.whole_file", opened)
        outcomes = servers.run()
    assert isinstance(outcomes[1], EngineError)
    assert FULL in str(outcomes[1]).lower()
    assert str(victim) in str(outcomes[1])
    assert servers.rounds[1].state is state
    assert name not in left(servers, 1)
    assert not any(path.endswith(".part") for path in left(servers, 1))
    if state is RoundState.RECODED:
        assert isinstance(outcomes[0], Interrupted)
        assert not samples(servers)  # it has not signed what it could not keep
    else:  # the sample is fixed: the two others have released, and this one needs nobody to
        assert [outcomes[0], outcomes[2]] == [RoundState.ERASED] * 2
        before = samples(servers)
        assert servers.rounds[1].is_settled
        assert servers.rounds[1].end() is RoundState.ERASED
        assert samples(servers) == before
        check_release(servers, task[1], TABLE)
    finish(servers, task[1], TABLE)


@pytest.mark.parametrize(
    "state",
    [
        RoundState.VERIFIED,
        RoundState.RECODED,
        RoundState.RELEASED,
        RoundState.ERASED,
        *(
            pytest.param(state, marks=pytest.mark.slow)
            for state in (RoundState.SHUFFLED, RoundState.COUNTED)
        ),
    ],
)
def test_a_state_that_the_disk_does_not_take_is_not_reached(servers, task, monkeypatch, state):
    append = Journal.append
    victim = servers.rounds[2]._journal

    def full(self: Journal, line: Any) -> None:
        if self is victim and line["state"] == state:
            raise EngineError(f"{self._path}: {FULL}")
        append(self, line)

    with monkeypatch.context() as patched:
        patched.setattr(Journal, "append", full)
        outcomes = servers.run()
    assert isinstance(outcomes[2], EngineError)
    assert servers.rounds[2].state is not state
    if state in {RoundState.RELEASED, RoundState.ERASED}:
        assert outcomes[:2] == [RoundState.ERASED] * 2
        assert (servers.rounds[2].bundle is None) == (state is RoundState.RELEASED)
    finish(servers, task[1], TABLE)


# ---------------------------------------------------------------- ending for good


def aborted(servers: Servers) -> list[Any]:
    return lie(servers, 1, "compare recodings", skip=1)


def test_an_end_for_good_that_the_disk_does_not_take_is_not_forgotten(servers, task, monkeypatch):
    append = Journal.append

    def full(self: Journal, line: Any) -> None:
        if line["state"] == RoundState.ABORTED:
            raise EngineError(f"{self._path}: {FULL}")
        append(self, line)

    with monkeypatch.context() as patched:
        patched.setattr(Journal, "append", full)
        assert any(isinstance(one, EngineError) for one in aborted(servers))
        servers.alter = lambda index, inner: inner
        # the liar behaves now, and the disk is still full: no further attempt is made
        outcomes = servers.run()
        assert any(isinstance(one, EngineError) for one in outcomes)
        assert not samples(servers)
    outcomes = servers.run()
    assert all(isinstance(one, ProtocolError) for one in outcomes)
    servers.run()
    assert all(each.state is RoundState.ABORTED for each in servers.rounds)
    assert all("recoding" in each.reason for each in servers.rounds)
    assert not servers.bundles()


def test_proof_that_the_disk_does_not_take_does_not_stop_the_end(servers, task, monkeypatch):
    parties = task[0]
    ids = servers.ingests[1].freeze(0).ids
    other = Freeze.sign(parties.signers[1], parties.task.task_id, 0, 1, ids[:-1])
    opened = refusing(lambda path: path.name.startswith("evidence-"), 10)
    monkeypatch.setattr("sfumato.donation.rounds.round.whole_file", opened)
    honest = servers.ingests[1].freeze
    calls: list[int] = []

    def two(number: int) -> Freeze:
        calls.append(number)
        return other if len(calls) > 1 else honest(number)

    # it freezes once, is stopped, and then signs another freeze of the same round
    monkeypatch.setattr(servers.ingests[1], "freeze", two)
    append = Journal.append

    def killed(self: Journal, line: Any) -> None:
        append(self, line)
        if line["state"] == RoundState.VERIFIED:
            raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(Journal, "append", killed)
        servers.run()
    servers.run()
    for index in (0, 2):
        each = servers.rounds[index]
        assert each.state is RoundState.ABORTED
        assert each.reason == "freeze: server 1 signed two different ones for the same round"
        assert not any(name.startswith("evidence") for name in left(servers, index))


def test_what_was_not_erased_when_it_ended_for_good_is_erased_later(servers, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(
            "sfumato.donation.rounds.round.Round._erase", lambda self: (_ for _ in ()).throw(Killed)
        )
        outcomes = aborted(servers)
    assert any(isinstance(one, Killed) for one in outcomes)
    stopped = [index for index, one in enumerate(outcomes) if isinstance(one, Killed)]
    servers.restart()
    for index in stopped:
        each = servers.rounds[index]
        assert each.state is RoundState.ABORTED
        assert list((servers.folder / str(index) / "reports").glob("round-0.log"))
        assert each.is_settled
        assert each.end() is RoundState.ABORTED
        assert not list((servers.folder / str(index) / "reports").glob("round-0.log"))


# ---------------------------------------------------------------- reports


@pytest.mark.parametrize("when", ["write", "sync"])
def test_no_report_is_acknowledged_that_the_disk_does_not_take(task, tmp_path, monkeypatch, when):
    parties, researcher, reports = task
    servers = Servers(tmp_path, parties, OPEN).start()
    for ingest in servers.ingests:
        assert len(ingest.take(reports[:30])) == 30

    def full(*_arguments: Any) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite" if when == "write" else "fdatasync", full)
        with pytest.raises(EngineError, match=FULL):
            servers.ingests[0].take(reports[30:])
    servers.restart()  # as it must after a failed synchronization
    assert servers.ingests[0].store.count(0) in ({30} if when == "write" else {30, 40})
    servers.take(reports[30:])  # the donors send again what was not acknowledged
    assert servers.run() == [RoundState.ERASED] * 3
    assert check_release(servers, researcher, TABLE).records == 40
    servers.stop()
