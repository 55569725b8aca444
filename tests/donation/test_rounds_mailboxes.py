"""The mode dpf: what donors write comes out whole, and who breaks the rules loses only his own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.donation.rounds import Killed, Servers, donations, people, round_task
from tests.donation.test_rounds import check_release

from sfumato.donation.messages import make_report
from sfumato.donation.rounds import Deviation, RoundSettings, RoundState, count_keys
from sfumato.donation.rounds import mailboxes as mailboxes_module
from sfumato.donation.rounds.function_keys import key_pair, nonce_of
from sfumato.donation.rounds.journal import Journal
from sfumato.donation.rounds.mailboxes import (
    _hashes,
    _take_out,
    mailbox_function,
    mailbox_keys,
    mailbox_layout,
)
from sfumato.errors import PlanError

TABLE = people(60)
OPEN = RoundSettings(qid_open=True, audited=False)


@pytest.fixture(scope="module")
def task() -> tuple[Any, Any, list[bytes]]:
    parties, researcher = round_task(mode="dpf")
    return parties, researcher, donations(parties, TABLE)


@pytest.fixture
def servers(task: Any, tmp_path: Path) -> Any:
    made = Servers(tmp_path, task[0], OPEN).start()
    made.take(task[2])
    yield made
    made.stop()


def test_a_round_of_mailboxes_releases_a_sample(task, tmp_path):
    servers = Servers(tmp_path, task[0], RoundSettings(audited=False)).start()
    servers.take(task[2])
    assert servers.run() == [RoundState.ERASED] * 3
    manifest = check_release(servers, task[1], TABLE)
    assert (manifest.mode, manifest.records, manifest.lost) == ("dpf", 60, 0)
    servers.stop()


def written(task: Any, kind: str) -> bytes:
    """Return the report of one donor who breaks a rule."""
    function, codec = mailbox_function(task), task.codec
    table = people(1, 7)
    record = codec.encode(table)[0].tobytes()
    report_id = os.urandom(16)
    keys = count_keys(task, report_id, int(codec.cells(table)[0]), os.urandom)
    boxes = list(mailbox_keys(task, report_id, record, os.urandom))
    name = os.urandom(16)
    tags, places = _hashes(task.task_id, [name], function.size)
    payload = name + tags[0].tobytes() + record[: codec.used_bytes]

    def box(number: int, place: int, content: bytes) -> tuple[bytes, bytes]:
        nonce = nonce_of(task.task_id, report_id, 1 + number)
        return key_pair(function, place, content, nonce, os.urandom)

    if kind == "three payloads":
        boxes[1] = box(1, int(places[1, 0]), payload)
    elif kind == "no point function":
        other = box(2, 3, payload)
        boxes[2] = (boxes[2][0], other[1][:16] + boxes[2][1][16:])
    elif kind == "another place":
        boxes = [box(number, int(places[number, 0]) ^ 1, payload) for number in range(3)]
    elif kind == "no id":
        empty = bytes(24) + record[: codec.used_bytes]
        boxes = [box(number, 5 + number, empty) for number in range(3)]
    elif kind == "two votes":
        two = count_keys(task, report_id, 3, os.urandom)
        keys = (keys[0], two[0][:16] + keys[1][16:])
    elif kind == "another cell":
        keys = count_keys(task, report_id, int(codec.cells(table)[0]) ^ 1, os.urandom)
    return make_report(
        task, 0, b"", report_id=report_id, histogram_keys=keys, mailbox_keys=boxes
    ).data


def test_donors_that_break_the_rules_are_dropped_or_lost_alone(task, tmp_path):
    """Soiled cells may cost honest records that lie in them, here at most nine; none is wrong."""
    parties, researcher, reports = task
    servers = Servers(tmp_path, parties, RoundSettings(audited=False)).start()
    servers.take(reports)
    refused = ["three payloads", "no point function", "two votes", "another cell"]
    soiling = ["another place", "no id"]
    servers.take([written(parties.task, kind) for kind in (*refused, *soiling)])
    assert servers.run() == [RoundState.ERASED] * 3
    manifest = servers.rounds[0].signed.manifest
    assert (manifest.records, manifest.dropped) == (62, 4)
    assert 2 <= manifest.lost <= 2 + 9
    from sfumato.donation.rounds import combine_bundles

    released, _ = combine_bundles(parties.task, servers.bundles(), researcher)
    joined = released.join(TABLE, on="glucose", suffix=" given")
    assert joined.height == released.height
    assert joined["smoking"].equals(joined["smoking given"], check_names=False)
    servers.stop()


@pytest.mark.parametrize("server", [0, 1])
def test_a_server_that_changes_its_tables_is_caught(servers, monkeypatch, server):
    collect = mailboxes_module.collect_records

    def changed(party: Any, mailboxes: Any, *rest: Any) -> Any:
        if party.index == server:
            for table in mailboxes.tables:
                table[:, 25] ^= 1  # the same difference everywhere: no record looks wrong
        return collect(party, mailboxes, *rest)

    monkeypatch.setattr("sfumato.donation.rounds.round.collect_records", changed)
    outcomes = servers.run()
    assert all(isinstance(one, Deviation) for one in outcomes)
    assert all("not empty" in each.reason for each in servers.rounds)


def test_other_whole_records_in_a_second_attempt_are_refused(servers, monkeypatch):
    append = Journal.append

    def killed(self: Journal, line: Any) -> None:
        if line["state"] == RoundState.LABELLED:
            raise Killed
        append(self, line)

    with monkeypatch.context() as patched:
        patched.setattr(Journal, "append", killed)
        servers.run()
    servers.restart()
    collect = mailboxes_module.collect_records

    def changed(party: Any, mailboxes: Any, *rest: Any) -> Any:
        if party.index == 0:
            filled = np.arange(len(mailboxes.tables[0])) < 3
            mailboxes.tables[0][filled, 25] ^= 1
            mailboxes.tables[1][:3, 25] ^= 1
            mailboxes.tables[2][:3, 25] ^= 1
        return collect(party, mailboxes, *rest)

    monkeypatch.setattr("sfumato.donation.rounds.round.collect_records", changed)
    outcomes = servers.run()
    assert all(isinstance(one, Deviation) for one in outcomes)
    assert all("attempt before" in each.reason for each in servers.rounds)


@pytest.mark.parametrize("state", ["LABELLED", pytest.param("SAMPLED", marks=pytest.mark.slow)])
def test_a_stopped_round_goes_on(servers, task, monkeypatch, state):
    append = Journal.append
    victim = servers.rounds[1]._journal

    def killed(self: Journal, line: Any) -> None:
        append(self, line)
        if self is victim and line["state"] == state:
            raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(Journal, "append", killed)
        assert isinstance(servers.run()[1], Killed)
    servers.restart()
    assert servers.run() == [RoundState.ERASED] * 3
    check_release(servers, task[1], TABLE)


def filled_tables(count: int, rows: int) -> tuple[np.ndarray, list[np.ndarray], np.ndarray]:
    random = np.random.default_rng(count)
    records = random.integers(0, 256, (count, 40), dtype=np.uint8)
    names = [one.tobytes() for one in records[:, :16]]
    tags, places = _hashes(bytes(32), names, rows)
    records[:, 16:24] = tags
    tables = np.zeros((3 * rows, 40), np.uint8)
    for number in range(3):
        np.bitwise_xor.at(tables, places[number] + number * rows, records)
    masks = random.integers(0, 256, (3 * rows, 16), dtype=np.uint8)
    return tables[:, :24].copy(), [tables[:, 24:] ^ masks, masks], records


@pytest.mark.parametrize(("count", "rows"), [(0, 8), (1, 8), (500, 256), (2800, 2048)])
def test_everything_is_taken_out_while_half_full(count, rows):
    heads, answers, records = filled_tables(count, rows)
    found = _take_out(heads, answers, bytes(32), rows)
    assert len(found.ids) == count
    whole = np.concatenate([found.ids, found.first ^ found.second], axis=1)
    order, wanted = np.argsort(found.ids[:, :8].copy().view(">u8")[:, 0]), records
    wanted = wanted[np.argsort(wanted[:, :8].copy().view(">u8")[:, 0])]
    assert np.array_equal(whole[order], np.delete(wanted, np.s_[16:24], axis=1))
    assert not heads.any()
    assert not (answers[0] ^ answers[1]).any()


def test_what_is_stuck_is_lost_and_not_wrong():
    heads, answers, records = filled_tables(1000, 256)  # far more than can be taken out
    found = _take_out(heads, answers, bytes(32), 256)
    assert len(found.ids) < 900
    known = {one[:16].tobytes(): one[24:].tobytes() for one in records}
    for name, first, second in zip(found.ids, found.first, found.second, strict=True):
        assert known[name.tobytes()] == (first ^ second).tobytes()


def test_a_layout_that_is_none_is_refused(task):
    codec = task[0].task.codec
    layout = mailbox_layout(codec, 100_000)
    assert 3 * 2 ** ((layout.key_bytes - mailbox_layout(codec, 1).key_bytes) // 16 + 3) >= 200_000
    wrong = layout.model_copy(update={"key_bytes": layout.key_bytes + 1})
    other, _ = round_task(mode="dpf", mailbox=wrong)
    with pytest.raises(PlanError, match="mailbox_layout"):
        mailbox_function(other.task)
