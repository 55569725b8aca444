"""Stores: each number once, nothing acknowledged is lost, nothing torn is kept."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.table.test_databases import Server, server  # noqa: F401 - a fixture: a real PostgreSQL

from sfumato.donation.storage import Kept, Outcome, ReportStore, StoredReport, open_store
from sfumato.donation.storage import report_log as report_log_module
from sfumato.donation.storage.file_store import FileStore
from sfumato.donation.storage.report_log import ReportLog
from sfumato.errors import EngineError, MissingExtra, ProtocolError

TASK = bytes(range(32))
Open = Callable[[], ReportStore]


def report(number: int, *, body: bytes | None = None, round_number: int = 0) -> StoredReport:
    body = b"body %d" % number if body is None else body
    report_id = sha256(b"%d" % number).digest()[:16]
    return StoredReport(report_id, round_number, sha256(body).digest(), 3600, body)


@pytest.fixture(params=["folder", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    stores: list[ReportStore] = []
    place: Path | str = tmp_path / "store"
    task = TASK
    if request.param == "postgresql":
        place = request.getfixturevalue("server").url()
        task = os.urandom(32)

    def again(limit: int = 100) -> ReportStore:
        while stores:
            stores.pop().close()
        stores.append(open_store(place, task, limit))
        return stores[-1]

    yield again
    while stores:
        stores.pop().close()


def outcomes(kept: list[Kept]) -> list[Outcome]:
    return [each.outcome for each in kept]


def test_each_number_once(opened: Open) -> None:
    store = opened()
    first, second = report(1), report(2)
    assert outcomes(store.put([first, second])) == [Outcome.STORED] * 2
    later = StoredReport(first.report_id, 0, first.digest, 7200, first.body)
    other = StoredReport(first.report_id, 0, sha256(b"x").digest(), 7200, b"x")
    assert store.put([later, other]) == [Kept(Outcome.REPEATED, 3600), Kept(Outcome.CONFLICT, 3600)]
    twice = report(3), report(3), report(3, body=b"other")
    wanted = [Outcome.STORED, Outcome.REPEATED, Outcome.CONFLICT]
    assert outcomes(store.put(twice)) == wanted
    assert store.put([]) == []
    assert store.count(0) == 3
    by_number = sorted((first, second, report(3)), key=lambda each: each.report_id)
    assert list(store.read(0)) == by_number
    assert list(opened().read(0)) == by_number


def test_a_frozen_round_takes_no_more_and_the_next_one_does(opened: Open) -> None:
    store = opened()
    store.put([report(1), report(2)])
    assert store.round_number == 0
    with pytest.raises(ProtocolError, match="not open yet"):
        store.freeze(1)
    ids = store.freeze(0)
    assert [i.tobytes() for i in ids] == sorted(report(n).report_id for n in (1, 2))
    store = opened()
    assert (store.freeze(0) == ids).all()
    assert store.round_number == 1
    assert outcomes(
        store.put(
            [
                report(3),  # too late
                report(1),  # repeated: its receipt is still good
                report(1, round_number=1),  # replayed into the next round
                report(4, round_number=1),
                report(5, round_number=2),  # too early
            ]
        )
    ) == [Outcome.CLOSED, Outcome.REPEATED, Outcome.CONFLICT, Outcome.STORED, Outcome.CLOSED]
    assert [store.count(number) for number in range(3)] == [2, 1, 0]


def test_a_full_round_says_so(opened: Open) -> None:
    store = opened(3)
    assert (
        outcomes(store.put([report(n) for n in range(5)]))
        == [Outcome.STORED] * 3 + [Outcome.FULL] * 2
    )
    assert outcomes(store.put([report(0), report(9)])) == [Outcome.REPEATED, Outcome.FULL]
    store.freeze(0)
    assert outcomes(store.put([report(9, round_number=1)])) == [Outcome.STORED]


def test_an_erased_round_keeps_its_numbers_only(opened: Open, tmp_path: Path) -> None:
    store = opened()
    store.put([report(1, body=b"CANARY")])
    with pytest.raises(ProtocolError, match="freeze it first"):
        store.erase(0)
    ids = store.freeze(0)
    store.erase(0)
    store.erase(0)
    with pytest.raises(ProtocolError, match="erased"):
        list(store.read(0))
    store = opened()
    assert (store.freeze(0) == ids).all()
    assert outcomes(store.put([report(1, round_number=1)])) == [Outcome.CONFLICT]
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or b"CANARY" not in path.read_bytes()


def test_many_threads_at_once(opened: Open) -> None:
    store = opened(10_000)
    kept: list[Kept] = []

    def put(start: int) -> None:
        for number in range(start, start + 20):
            kept.extend(store.put([report(number), report(number % 7)]))

    threads = [threading.Thread(target=put, args=(20 * n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes(kept).count(Outcome.STORED) == store.count(0) == 80
    assert Outcome.CONFLICT not in outcomes(kept)


# ---------------------------------------------------------------- the folder


def test_a_folder_holds_one_task_and_one_process(tmp_path: Path) -> None:
    store = open_store(tmp_path, TASK)
    with pytest.raises(EngineError, match="in use by another process"):
        open_store(tmp_path, TASK)
    store.close()
    with pytest.raises(EngineError, match="another task"):
        open_store(tmp_path, bytes(32))
    with pytest.raises(EngineError, match="closed"):
        store.put([report(1)])
    open_store(tmp_path, TASK).close()
    (tmp_path / "file").touch()
    with pytest.raises(EngineError):
        open_store(tmp_path / "file", TASK)


CHILD = textwrap.dedent(
    """
    import sys
    from hashlib import sha256
    from sfumato.donation.storage import StoredReport, open_store

    store = open_store(sys.argv[1], bytes(range(32)))
    start = int(sys.argv[2])
    for number in range(start, start + 1_000_000, 8):
        group = []
        for each in range(number, number + 8):
            body = b"body %d" % each
            name = sha256(b"%d" % each).digest()[:16]
            group.append(StoredReport(name, 0, sha256(body).digest(), 3600, body))
        assert all(kept.outcome == "stored" for kept in store.put(group))
        print(number + 8, flush=True)
    """
)


def test_kill_nine_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    start = 0
    for _ in range(2):
        command = [sys.executable, "-c", CHILD, str(tmp_path / "store"), str(start)]
        child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        for _ in range(30):
            acknowledged = int(child.stdout.readline())
        child.send_signal(signal.SIGKILL)
        rest = child.stdout.read()
        child.wait()
        child.stdout.close()
        whole = [line for line in rest.splitlines(keepends=True) if line.endswith("\n")]
        acknowledged = int(whole[-1]) if whole else acknowledged
        store = open_store(tmp_path / "store", TASK)
        found = {each.report_id: each for each in store.read(0)}
        for number in range(acknowledged):
            assert found[report(number).report_id] == report(number)
        assert len(found) - acknowledged in (0, 8)  # a group in flight is whole, or not there
        store.close()
        start = len(found)


@given(cut=st.integers(1, 400), junk=st.binary(max_size=40))
@settings(max_examples=12)
def test_a_torn_tail_is_cut_off(tmp_path_factory: pytest.TempPathFactory, cut: int, junk) -> None:
    """The index lost its last entries and the log is torn anywhere in its last group."""
    folder = tmp_path_factory.mktemp("torn")
    store = open_store(folder, TASK)
    store.put([report(n) for n in range(3)])
    store.close()
    shutil.copytree(folder, folder / "before")
    store = open_store(folder, TASK)
    store.put([report(n) for n in range(3, 8)])
    store.close()
    log = folder / "round-0.log"
    whole = log.read_bytes()
    known = len((folder / "before" / "round-0.log").read_bytes())
    torn = whole[: max(known, len(whole) - cut)] + junk
    for name in folder.glob("reports.sqlite*"):
        name.unlink()
    for name in (folder / "before").glob("reports.sqlite*"):
        shutil.copy(name, folder / name.name)
    log.write_bytes(torn)
    store = open_store(folder, TASK)
    found = list(store.read(0))
    entry = (len(whole) - known) // 5
    kept = (len(torn) - len(junk) - known) // entry if junk != whole[len(torn) :] else 5
    assert {each.report_id for each in found} >= {report(n).report_id for n in range(3 + kept)}
    assert log.stat().st_size == known + (len(found) - 3) * entry
    again = store.put([report(n) for n in range(8)])
    assert outcomes(again).count(Outcome.STORED) == 8 - len(found)
    assert sorted(store.read(0), key=lambda r: r.body) == [report(n) for n in range(8)]
    store.close()


def test_a_lost_index_is_made_again_from_the_log(tmp_path: Path) -> None:
    store = open_store(tmp_path, TASK)
    store.put([report(n) for n in range(5)])
    store.close()
    for path in tmp_path.glob("reports.sqlite*"):
        path.unlink()
    store = open_store(tmp_path, TASK)
    assert outcomes(store.put([report(n) for n in range(6)])).count(Outcome.REPEATED) == 5
    store.close()


def test_damage_that_is_no_torn_tail_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(tmp_path, TASK)
    store.put([report(n) for n in range(5)])
    store.close()
    log = tmp_path / "round-0.log"
    whole = log.read_bytes()
    log.write_bytes(whole[:-1])
    with pytest.raises(EngineError, match="shorter than what was acknowledged"):
        open_store(tmp_path, TASK)
    spoiled = bytearray(whole)
    spoiled[120] ^= 1
    log.write_bytes(spoiled)
    store = open_store(tmp_path, TASK)
    with pytest.raises(EngineError, match="damaged at byte"):
        list(store.read(0))
    store.close()
    for path in tmp_path.glob("reports.sqlite*"):
        path.unlink()
    monkeypatch.setattr(report_log_module, "MOST_GROUP_BYTES", 100)
    with pytest.raises(EngineError, match="damaged at byte"):
        open_store(tmp_path, TASK)
    log.write_bytes(b"something else")
    with pytest.raises(EngineError, match="not the log of this task"):
        open_store(tmp_path, TASK)


def test_a_full_disk_stores_nothing_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(tmp_path, TASK)
    store.put([report(1)])
    real = os.pwrite

    def short(file: int, data: bytes, at: int) -> int:
        if len(data) > 10:
            return real(file, data[:10], at)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", short)
    with pytest.raises(EngineError, match="no space left"):
        store.put([report(2)])
    monkeypatch.undo()
    assert outcomes(store.put([report(2)])) == [Outcome.STORED]
    assert store.count(0) == 2
    assert len(list(store.read(0))) == 2
    store.close()


def failing(_: int) -> None:
    raise OSError(5, "Input/output error")


def test_after_a_failed_synchronization_nothing_is_acknowledged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(tmp_path, TASK)
    monkeypatch.setattr(os, "fdatasync", failing)
    for _ in range(2):
        with pytest.raises(EngineError, match=r"input/output|restart the server"):
            store.put([report(1)])
        monkeypatch.undo()
    store.close()


def test_an_index_that_refuses_takes_the_log_back(tmp_path: Path) -> None:
    store = FileStore(tmp_path, TASK, 100)
    store.put([report(1)])
    size = (tmp_path / "round-0.log").stat().st_size
    store._index.execute("pragma query_only = on")
    with pytest.raises(EngineError, match="SQLITE_READONLY"):
        store.put([report(2)])
    assert (tmp_path / "round-0.log").stat().st_size == size
    store._index.execute("pragma query_only = off")
    assert outcomes(store.put([report(2)])) == [Outcome.STORED]
    store.close()


def test_groups_have_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sfumato.donation.storage import file_store

    monkeypatch.setattr(file_store, "MOST_GROUP_BYTES", 40)
    appended: list[int] = []
    real = ReportLog.append

    def counting(self: ReportLog, reports: list) -> list:
        appended.append(len(reports))
        return real(self, reports)

    monkeypatch.setattr(ReportLog, "append", counting)
    store = open_store(tmp_path, TASK)
    store.put([report(n) for n in range(7)])
    assert appended == [3, 3, 1]
    store.close()


def test_what_is_kept_never_prints() -> None:
    shown = repr(report(1))
    assert "body 1" not in shown
    assert report(1).report_id.hex() not in shown


def test_the_folder_is_its_owners_alone(tmp_path: Path) -> None:
    store = open_store(tmp_path / "store", TASK)
    store.put([report(1)])
    assert (tmp_path / "store").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "store" / "round-0.log").stat().st_mode & 0o777 == 0o600
    store.close()


def test_postgresql_without_its_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(MissingExtra, match=r"pip install 'sfumato\[database\]'"):
        open_store("postgresql://nobody@127.0.0.1:1/none", TASK)


def test_a_database_that_is_not_there_is_told_without_the_password() -> None:
    pytest.importorskip("psycopg")
    with pytest.raises(EngineError, match=r"postgresql://127\.0\.0\.1/none") as caught:
        open_store("postgresql://nobody:CANARY@127.0.0.1:1/none", TASK)
    assert "CANARY" not in str(caught.value)


@pytest.mark.postgresql
def test_a_lost_connection_is_made_anew_and_commits_are_durable(
    server: Server,  # noqa: F811 - the fixture
) -> None:
    import psycopg

    store = open_store(server.url(), os.urandom(32), 3)
    store.put([report(1)])
    assert store._database.execute("show synchronous_commit").fetchone() == ("on",)
    with psycopg.connect(server.url(), autocommit=True) as other:
        other.execute("select pg_terminate_backend(%s)", (store._database.info.backend_pid,))
    with pytest.raises(EngineError, match="nothing was stored"):
        store.put([report(2)])
    assert outcomes(store.put([report(2), report(1)])) == [Outcome.STORED, Outcome.REPEATED]
    assert store.count(0) == 2
    store.close()


def test_what_a_killed_server_left_unsynchronized_is_synchronized_before_it_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A write was done and its synchronization not: a repeated report must not be acknowledged
    for entries that only the system's cache holds."""
    store = open_store(tmp_path, TASK)
    store.put([report(1)])
    monkeypatch.setattr(os, "fdatasync", failing)
    with pytest.raises(EngineError, match="input/output"):
        store.put([report(2)])
    monkeypatch.undo()
    store.close()
    log = tmp_path / "round-0.log"
    assert report(2).body in log.read_bytes()
    done: list[str] = []
    write, sync = os.pwrite, os.fsync

    def writing(file: int, data: bytes, at: int) -> int:
        done.append("written" if report(2).body in bytes(data) else "other")
        return write(file, data, at)

    def syncing(file: int) -> None:
        done.append("synchronized")
        sync(file)

    monkeypatch.setattr(os, "pwrite", writing)
    monkeypatch.setattr(os, "fsync", syncing)
    again = open_store(tmp_path, TASK)
    monkeypatch.undo()
    assert "synchronized" in done[done.index("written") :]
    assert outcomes(again.put([report(2), report(3)])) == [Outcome.REPEATED, Outcome.STORED]
    again.close()


def test_an_erasure_that_was_broken_off_is_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(tmp_path, TASK)
    store.put([report(1, body=b"CANARY")])
    ids = store.freeze(0)

    def refusing(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Path, "unlink", refusing)
    with pytest.raises(EngineError, match="read-only"):
        store.erase(0)
    monkeypatch.undo()
    store.close()
    log = tmp_path / "round-0.log"
    assert log.exists()
    store = open_store(tmp_path, TASK)
    assert not log.exists()
    assert (store.freeze(0) == ids).all()
    store.close()
    open_store(tmp_path, TASK).close()  # and a log that is gone is no damage


def test_a_frozen_round_does_not_open_again_because_the_index_is_lost(tmp_path: Path) -> None:
    store = open_store(tmp_path, TASK)
    store.put([report(1)])
    store.freeze(0)
    store.put([report(2, round_number=1)])
    store.close()
    for path in tmp_path.glob("reports.sqlite*"):
        path.unlink()
    with pytest.raises(EngineError, match=r"index of .* is lost"):
        open_store(tmp_path, TASK)


def test_the_index_is_plain_sqlite(tmp_path: Path) -> None:
    store = open_store(tmp_path, TASK)
    store.put([report(1)])
    store.close()
    with sqlite3.connect(tmp_path / "reports.sqlite") as index:
        assert index.execute("select count(*) from reports").fetchone() == (1,)
    index.close()
