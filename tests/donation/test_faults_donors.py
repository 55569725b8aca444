"""Donors that cheat, and deadlines that the servers' clocks do not cross together."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.donation.rounds import Servers, donations, people, round_task
from tests.donation.tasks import Parties
from tests.donation.test_rounds import check_release

from sfumato.donation.clients import Donor, ServerRefused, TaskServers
from sfumato.donation.clients.connection import Answer
from sfumato.donation.messages import Refusal, RefusalKind, Report, make_report
from sfumato.donation.rounds import RoundSettings, RoundState, count_keys
from sfumato.donation.serving import Ingest
from sfumato.donation.storage import open_store

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


# ---------------------------------------------------------------- clocks


def at(parties: Parties, folder: Path, offsets: tuple[timedelta, ...]) -> list[Ingest]:
    """Return the three servers' ingests, each with a clock of its own beside the deadline."""
    closes = parties.task.closes
    return [
        Ingest(
            parties.signed,
            index,
            parties.envelopes[index],
            parties.signers[index],
            open_store(folder / str(index), parties.task.task_id),
            clock=(closes + offset).timestamp,
        )
        for index, offset in enumerate(offsets)
    ]


def test_deadlines_that_two_servers_cross_at_other_times_count_no_report_twice(task, tmp_path):
    """One server's clock is past the deadline while the two others still take reports."""
    parties, researcher, reports = task
    early, late = timedelta(seconds=-30), timedelta(seconds=30)
    ingests = at(parties, tmp_path, (early, early, early))
    for ingest in ingests:
        ingest.take(reports[:-5])
        ingest.store.close()
    ingests = at(parties, tmp_path, (early, late, early))
    for index, ingest in enumerate(ingests):
        answers = ingest.take(reports[-5:])
        refused = [one for one in answers if isinstance(one, Refusal)]
        assert len(refused) == (5 if index == 1 else 0)
        for one in refused:
            assert one.kind is RefusalKind.EXPIRED
            assert "the task takes donations from" in str(one)
            assert f"{parties.task.closes:%Y-%m-%d %H:%M} (UTC)" in str(one)
        # what was acknowledged before the deadline is known after it, and given up by nobody
        assert ingest.store.count(0) == (35 if index == 1 else 40)
    for ingest in ingests:
        ingest.store.close()
    folder = tmp_path / "round"
    servers = Servers(folder, parties, OPEN)
    for index in range(3):
        (folder / str(index)).mkdir(parents=True)
        (tmp_path / str(index)).rename(folder / str(index) / "reports")
    servers.start()
    assert servers.run() == [RoundState.ERASED] * 3
    manifest = check_release(servers, researcher, TABLE.head(35))
    assert manifest.records == 35
    servers.stop()


def test_a_donor_between_two_deadlines_is_told_which_server_refuses(task, tmp_path):
    parties, _, reports = task
    early, late = timedelta(seconds=-30), timedelta(seconds=30)
    ingests = at(parties, tmp_path, (early, early, late))

    class Way:
        def __init__(self, index: int) -> None:
            self.name, self.index = f"{index} (Server {index})", index

        def request(self, method: str, path: str, body: bytes = b"", *_: Any) -> Answer:
            (answer,) = ingests[self.index].take([body])
            if isinstance(answer, Refusal):
                words = f'{{"code": "{answer.kind}", "detail": "{answer}"}}'
                return Answer(409, words.encode())
            return Answer(201, answer.to_bytes())

        def close(self) -> None:
            pass

    donor = Donor(TaskServers(parties.signed, [Way(index) for index in range(3)]))
    report = Report.from_bytes(reports[0], parties.task.layout)
    with pytest.raises(ServerRefused, match=r"server 2 \(Server 2\) refuses: report: the task"):
        donor.send(report)
    assert [ingest.store.count(0) for ingest in ingests] == [1, 1, 0]
    for ingest in ingests:
        ingest.store.close()


# ---------------------------------------------------------------- donors


def test_a_donor_that_says_two_things_is_dropped_alone(servers, task):
    """Another report under one number at each server: all three have it, and none accepts it."""
    parties, researcher, _ = task
    report_id = bytes(range(1, 17))
    record = parties.task.codec.encode(people(1, 8))[0].tobytes()
    cell = int(parties.task.codec.cells(people(1, 8))[0])
    made = [
        make_report(
            parties.task,
            0,
            record,
            report_id=report_id,
            histogram_keys=count_keys(parties.task, report_id, cell, lambda n: bytes([9]) * n),
        ).data
        for _ in range(3)
    ]
    assert len(set(made)) == 3
    for index, ingest in enumerate(servers.ingests):
        (receipt,) = ingest.take([made[index]])
        assert type(receipt).__name__ == "Receipt"
        # and a second one at the same server is refused, with the reason
        (second,) = ingest.take([made[(index + 1) % 3]])
        assert isinstance(second, Refusal)
        assert second.kind is RefusalKind.CONFLICT
        assert "another one came under this number before" in str(second)
    assert servers.run() == [RoundState.ERASED] * 3
    manifest = check_release(servers, researcher, TABLE)
    assert (manifest.records, manifest.dropped) == (TABLE.height, 1)


def test_a_donor_that_votes_for_the_cell_of_another_is_dropped_alone(task, tmp_path):
    parties, researcher, reports = task
    servers = Servers(tmp_path, parties, RoundSettings(audited=False)).start()
    servers.take(reports)
    report_id, one = bytes(range(2, 18)), people(1, 8)
    cell = int(parties.task.codec.cells(one)[0])
    liar = make_report(
        parties.task,
        0,
        parties.task.codec.encode(one)[0].tobytes(),
        report_id=report_id,
        histogram_keys=count_keys(parties.task, report_id, cell ^ 1, lambda n: bytes([9]) * n),
    ).data
    # each server takes it: what is in it is seen when the round is verified
    for ingest in servers.ingests:
        assert type(ingest.take([liar])[0]).__name__ == "Receipt"
    assert servers.run() == [RoundState.ERASED] * 3
    manifest = check_release(servers, researcher, TABLE)
    assert (manifest.records, manifest.dropped) == (TABLE.height, 1)
    servers.stop()


def test_reports_are_not_replayed_in_another_round_or_task(servers, task, tmp_path):
    _, researcher, reports = task
    assert servers.run() == [RoundState.ERASED] * 3
    check_release(servers, researcher, TABLE)
    later = [bytearray(one) for one in reports[:2]]
    at_round = 1 + 32
    for one in later:
        one[at_round : at_round + 4] = (1).to_bytes(4, "big")
    for ingest in servers.ingests:
        answers = ingest.take([bytes(one) for one in later])
        assert all(isinstance(one, Refusal) for one in answers)
        assert {one.kind for one in answers} == {RefusalKind.ENVELOPE}  # the round is bound in
        assert ingest.store.count(1) == 0
    strangers, _ = round_task()
    elsewhere = Servers(tmp_path / "elsewhere", strangers, OPEN).start()
    for ingest in elsewhere.ingests:
        assert {one.kind for one in ingest.take(reports[:2])} == {RefusalKind.TASK}
        assert ingest.store.count(0) == 0
    elsewhere.stop()
