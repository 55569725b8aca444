"""Reports in a folder: append-only logs that are the truth, and SQLite as their index.

A group of reports is appended to its round's log and synchronized once; only then is it entered
into the index, in write-ahead mode without a synchronization of its own. What the index lost in a
crash is read from the log's end when the store is opened. So a report costs a share of one
synchronization, and nothing that was acknowledged depends on the index.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import RLock
from typing import Any

import numpy as np

from sfumato.atomic import sync_folder
from sfumato.donation.storage.admission import admit
from sfumato.donation.storage.report_log import MOST_GROUP_BYTES, ReportLog
from sfumato.donation.storage.report_store import Ids, Kept, StoredReport
from sfumato.errors import EngineError, ProtocolError

__all__ = ["FileStore"]

_TABLES = """
create table if not exists task(task_id blob not null);
create table if not exists reports(
    report_id blob primary key, round integer not null, digest blob not null,
    bucket integer not null, offset integer not null, length integer not null) without rowid;
create table if not exists rounds(
    round integer primary key, frozen integer not null, erased integer not null,
    indexed integer not null);
"""
_AT_ONCE = 500


class FileStore:
    """A :class:`~sfumato.donation.storage.ReportStore` in a folder.

    Parameters
    ----------
    folder
        Made if it is not there; open to its owner alone.
    task_id
        The task; a folder holds one.
    most_reports
        How many reports a round may hold.

    Raises
    ------
    EngineError
        If the folder cannot be used, is in use by another process, belongs to another task, or is
        damaged.
    """

    def __init__(self, folder: str | Path, task_id: bytes, most_reports: int) -> None:
        self._folder = Path(folder)
        self._task_id = task_id
        self._most = most_reports
        self._lock = RLock()
        self._logs: dict[int, ReportLog] = {}
        self._counts: dict[int, int] = {}
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            sync_folder(self._folder.parent)
        except OSError as error:
            reason = (error.strerror or "the disk refused").lower()
            raise EngineError(f"{self._folder}: {reason}") from None
        with self._guarded():
            # in autocommit: transactions are begun and ended by name
            self._index = sqlite3.connect(
                self._folder / "reports.sqlite",
                isolation_level=None,
                check_same_thread=False,
                timeout=1,
            )
        try:
            with self._guarded():
                self._prepare()
                for round_number, erased in self._rounds():
                    if erased:  # the end may have come between the decision and the deed
                        self._unlink(round_number)
                    else:
                        self._recover(round_number)
        except EngineError:
            self.close()
            raise

    def _prepare(self) -> None:
        self._index.execute("pragma locking_mode = exclusive")
        self._index.execute("pragma journal_mode = wal")
        self._index.execute("pragma synchronous = normal")
        self._index.executescript(_TABLES)
        with self._transaction():
            known = self._index.execute("select task_id from task").fetchall()
            if not known:
                if any(path.name != "round-0.log" for path in self._folder.glob("round-*.log")):
                    # which rounds are frozen only the index knows, and frozen they stay
                    raise EngineError(f"the index of {self._folder} is lost: restore it")
                self._index.execute("insert into task values (?)", (self._task_id,))
                self._index.execute("insert into rounds values (0, 0, 0, 0)")
            elif known != [(self._task_id,)]:
                raise EngineError(f"{self._folder} holds the reports of another task")

    def _rounds(self) -> list[tuple[int, int]]:
        """Return number of each round, and whether it is erased."""
        return self._index.execute("select round, erased from rounds order by round").fetchall()

    def _log(self, round_number: int) -> ReportLog:
        if round_number not in self._logs:
            path = self._log_path(round_number)
            self._logs[round_number] = ReportLog(path, self._task_id, round_number)
        return self._logs[round_number]

    def _log_path(self, round_number: int) -> Path:
        return self._folder / f"round-{round_number}.log"

    def _recover(self, round_number: int) -> None:
        """Enter into the index what the log holds and the index does not."""
        rows = self._index.execute("select indexed from rounds where round = ?", (round_number,))
        ((indexed,),) = rows.fetchall()
        log = self._log(round_number)
        found = [
            (r.report_id, round_number, r.digest, r.time_bucket, offset, length)
            for offset, length, r in log.recover(indexed)
        ]
        with self._transaction():
            self._enter(found, round_number, log.end)

    def _enter(self, rows: Sequence[tuple[Any, ...]], round_number: int, end: int) -> None:
        # many rows a statement: the interpreter's lock is let go and taken again for each statement
        for start in range(0, len(rows), _AT_ONCE):
            part = rows[start : start + _AT_ONCE]
            marks = ",".join(["(?, ?, ?, ?, ?, ?)"] * len(part))
            statement = f"insert or ignore into reports values {marks}"  # noqa: S608 - question marks
            self._index.execute(statement, [value for row in part for value in row])
        self._index.execute("update rounds set indexed = ? where round = ?", (end, round_number))

    # -- what a store does -------------------------------------------------------------------

    @property
    def round_number(self) -> int:
        """The round that is open."""
        with self._guarded():
            return self._open_round()

    def _open_round(self) -> int:
        rows = self._index.execute("select round from rounds where frozen = 0")
        ((number,),) = rows.fetchall()
        return int(number)

    def put(self, reports: Sequence[StoredReport]) -> list[Kept]:
        """Keep reports; see :class:`~sfumato.donation.storage.ReportStore`."""
        kept: list[Kept] = []
        with self._guarded():
            for group in _groups(reports):
                kept += self._put(group)
        return kept

    def _put(self, reports: Sequence[StoredReport]) -> list[Kept]:
        current = self._open_round()
        room = self._most - self._count(current)
        known = self._known([report.report_id for report in reports])
        kept, new = admit(reports, known, current, room)
        if new:
            self._append(new, current)
        return kept

    def _append(self, new: Sequence[StoredReport], current: int) -> None:
        log = self._log(current)
        start = log.end
        places = log.append(new)
        rows = [
            (report.report_id, current, report.digest, report.time_bucket, *place)
            for report, place in zip(new, places, strict=True)
        ]
        try:
            with self._transaction():
                self._enter(rows, current, log.end)
        except sqlite3.Error:
            log.undo(start)
            raise
        self._counts[current] = self._count(current) + len(new)

    def _known(self, ids: Sequence[bytes]) -> dict[bytes, tuple[int, bytes, int]]:
        known: dict[bytes, tuple[int, bytes, int]] = {}
        for start in range(0, len(ids), _AT_ONCE):
            part = ids[start : start + _AT_ONCE]
            marks = ",".join("?" * len(part))
            query = (
                f"select report_id, round, digest, bucket from reports where report_id in ({marks})"  # noqa: S608 - only question marks are put in
            )
            rows = self._index.execute(query, part)
            known |= {report_id: (number, digest, at) for report_id, number, digest, at in rows}
        return known

    def count(self, round_number: int) -> int:
        """Return how many reports a round holds."""
        with self._guarded():
            return self._count(round_number)

    def _count(self, round_number: int) -> int:
        if round_number not in self._counts:
            rows = self._index.execute(
                "select count(*) from reports where round = ?", (round_number,)
            )
            ((self._counts[round_number],),) = rows.fetchall()
        return self._counts[round_number]

    def freeze(self, round_number: int) -> Ids:
        """Close a round for good and return its numbers."""
        with self._guarded():
            return self._freeze(round_number)

    def _freeze(self, round_number: int) -> Ids:
        current = self._open_round()
        if round_number > current:
            raise ProtocolError(f"round {round_number} is not open yet: the open one is {current}")
        if round_number == current:
            with self._decision():
                self._index.execute("update rounds set frozen = 1 where round = ?", (round_number,))
                self._index.execute("insert into rounds values (?, 0, 0, 0)", (round_number + 1,))
        rows = self._index.execute(
            "select report_id from reports where round = ? order by report_id", (round_number,)
        )
        data = b"".join(report_id for (report_id,) in rows)
        return np.frombuffer(data, dtype=np.uint8).reshape(-1, 16)

    def read(self, round_number: int) -> Iterator[StoredReport]:
        """Return the reports of a round in the order of their numbers."""
        with self._guarded():
            places = self._places(round_number)
        for offset, length in places:
            with self._lock:
                yield self._log(round_number).read(offset, length)

    def _places(self, round_number: int) -> list[tuple[int, int]]:
        rows = self._index.execute("select erased from rounds where round = ?", (round_number,))
        if rows.fetchall() != [(0,)]:
            raise ProtocolError(f"round {round_number} has been erased, or was never open")
        return self._index.execute(
            "select offset, length from reports where round = ? order by report_id",
            (round_number,),
        ).fetchall()

    def erase(self, round_number: int) -> None:
        """Forget the bodies of a frozen round."""
        with self._guarded():
            if round_number >= self._open_round():
                raise ProtocolError(f"round {round_number} is not frozen: freeze it first")
            with self._decision():  # first: a round without its log is damage otherwise
                self._index.execute("update rounds set erased = 1 where round = ?", (round_number,))
            if round_number in self._logs:
                self._logs.pop(round_number).close()
            self._unlink(round_number)

    def _unlink(self, round_number: int) -> None:
        path = self._log_path(round_number)
        try:
            path.unlink(missing_ok=True)
            sync_folder(self._folder)
        except OSError as error:
            raise EngineError(f"{path}: {(error.strerror or 'not erased').lower()}") from None

    def close(self) -> None:
        """Let go of the folder."""
        with self._lock:
            for log in self._logs.values():
                log.close()
            self._logs.clear()
            self._index.close()

    @contextmanager
    def _decision(self) -> Iterator[None]:
        """Begin a transaction that is synchronized by itself: no log brings it back."""
        self._index.execute("pragma synchronous = full")
        try:
            with self._transaction():
                yield
        finally:
            self._index.execute("pragma synchronous = normal")

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._index.execute("begin immediate")
        try:
            yield
            self._index.execute("commit")
        except (sqlite3.Error, EngineError):
            with suppress(sqlite3.Error):
                self._index.execute("rollback")
            raise

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """Hold the store, and tell the index's errors as the house does."""
        with self._lock:
            try:
                yield
            except sqlite3.Error as error:
                name = getattr(error, "sqlite_errorname", "closed")
                reason = "in use by another process" if name.startswith("SQLITE_BUSY") else name
                raise EngineError(f"the index of {self._folder}: {reason}") from None


def _groups(reports: Sequence[StoredReport]) -> Iterator[list[StoredReport]]:
    """Part reports into groups that are made durable together."""
    group: list[StoredReport] = []
    size = 0
    for report in reports:
        if group and size + len(report.body) > MOST_GROUP_BYTES // 2:
            yield group
            group, size = [], 0
        group.append(report)
        size += len(report.body)
    if group:
        yield group
