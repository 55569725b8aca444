"""Reports in a PostgreSQL database, for who runs one anyway: with its copies and its backups."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from threading import RLock
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import numpy as np

from sfumato.donation.storage.admission import admit
from sfumato.donation.storage.report_store import Ids, Kept, StoredReport
from sfumato.errors import EngineError, MissingExtra, ProtocolError

if TYPE_CHECKING:
    import psycopg

__all__ = ["PostgresqlStore"]

_TABLES = """
create table if not exists donation_rounds(
    task_id bytea not null, round bigint not null, frozen boolean not null default false,
    erased boolean not null default false, primary key (task_id, round));
create table if not exists donation_reports(
    task_id bytea not null, report_id bytea not null, round bigint not null, digest bytea not null,
    bucket bigint not null, body bytea, primary key (task_id, report_id));
create index if not exists donation_reports_of_round
    on donation_reports(task_id, round, report_id);
"""
_OPEN = "select round from donation_rounds where task_id = %s and not frozen"


class PostgresqlStore:
    """A :class:`~sfumato.donation.storage.ReportStore` in a database.

    Several tasks may share a database, several servers must not: they would not be independent.

    Parameters
    ----------
    url
        ``postgresql://user@host/database``; a password is better given by PGPASSWORD.
    task_id
        The task.
    most_reports
        How many reports a round may hold.

    Raises
    ------
    MissingExtra
        If psycopg is not installed.
    EngineError
        If the database cannot be used.
    """

    def __init__(self, url: str, task_id: bytes, most_reports: int) -> None:
        try:
            import psycopg
        except ImportError:
            raise MissingExtra("database", "a store of reports in PostgreSQL") from None
        parts = urlsplit(url)
        self._place = f"postgresql://{parts.hostname or ''}{parts.path}"
        self._task_id = task_id
        self._most = most_reports
        self._lock = RLock()
        self._errors = psycopg.Error
        self._counts: dict[int, int] = {}
        self._connect = partial(psycopg.connect, url, autocommit=True, connect_timeout=10)
        with self._guarded(connect=True), self._database.transaction():
            self._database.execute(_TABLES)
            self._database.execute(
                "insert into donation_rounds(task_id, round) values (%s, 0) on conflict do nothing",
                (task_id,),
            )

    @property
    def round_number(self) -> int:
        """The round that is open."""
        with self._guarded():
            return self._open_round()

    def _open_round(self, lock: str = "") -> int:
        rows = self._database.execute(f"{_OPEN} {lock}".encode(), (self._task_id,)).fetchall()
        ((number,),) = rows
        return int(number)

    def put(self, reports: Sequence[StoredReport]) -> list[Kept]:
        """Keep reports; see :class:`~sfumato.donation.storage.ReportStore`."""
        with self._guarded():
            with self._database.transaction():
                # held until the commit: a round is not frozen in the middle of a group
                current = self._open_round("for share")
                before = self._count(current)
                known = self._known([report.report_id for report in reports])
                kept, new = admit(reports, known, current, self._most - before)
                self._insert(new)
            # after the commit: what was taken back does not count
            self._counts[current] = before + len(new)
        return kept

    def _insert(self, new: Sequence[StoredReport]) -> None:
        with self._database.cursor() as cursor:
            cursor.executemany(
                "insert into donation_reports values (%s, %s, %s, %s, %s, %s)",
                [
                    (
                        self._task_id,
                        report.report_id,
                        report.round_number,
                        report.digest,
                        report.time_bucket,
                        report.body,
                    )
                    for report in new
                ],
            )

    def _known(self, ids: Sequence[bytes]) -> dict[bytes, tuple[int, bytes, int]]:
        rows = self._database.execute(
            "select report_id, round, digest, bucket from donation_reports "
            "where task_id = %s and report_id = any(%s)",
            (self._task_id, list(ids)),
        )
        return {report_id: (number, digest, at) for report_id, number, digest, at in rows}

    def count(self, round_number: int) -> int:
        """Return how many reports a round holds."""
        with self._guarded():
            return self._count(round_number)

    def _count(self, round_number: int) -> int:
        if round_number not in self._counts:
            rows = self._database.execute(
                "select count(*) from donation_reports where task_id = %s and round = %s",
                (self._task_id, round_number),
            )
            ((self._counts[round_number],),) = rows.fetchall()
        return self._counts[round_number]

    def freeze(self, round_number: int) -> Ids:
        """Close a round for good and return its numbers."""
        with self._guarded(), self._database.transaction():
            current = self._open_round("for update")
            if round_number > current:
                raise ProtocolError(
                    f"round {round_number} is not open yet: the open one is {current}"
                )
            if round_number == current:
                self._database.execute(
                    "update donation_rounds set frozen = true where task_id = %s and round = %s",
                    (self._task_id, round_number),
                )
                self._database.execute(
                    "insert into donation_rounds(task_id, round) values (%s, %s)",
                    (self._task_id, round_number + 1),
                )
            rows = self._database.execute(
                "select report_id from donation_reports where task_id = %s and round = %s "
                "order by report_id",
                (self._task_id, round_number),
            )
            data = b"".join(report_id for (report_id,) in rows)
        return np.frombuffer(data, dtype=np.uint8).reshape(-1, 16)

    def read(self, round_number: int) -> Iterator[StoredReport]:
        """Return the reports of a round in the order of their numbers."""
        after = b""
        while True:
            with self._guarded():
                if self._is_erased(round_number):
                    raise ProtocolError(f"round {round_number} has been erased, or was never open")
                rows = self._database.execute(
                    "select report_id, round, digest, bucket, body from donation_reports "
                    "where task_id = %s and round = %s and report_id > %s "
                    "order by report_id limit 1000",
                    (self._task_id, round_number, after),
                ).fetchall()
            if not rows:
                return
            for row in rows:
                yield StoredReport(*row)
            after = rows[-1][0]

    def _is_erased(self, round_number: int) -> bool:
        rows = self._database.execute(
            "select erased from donation_rounds where task_id = %s and round = %s",
            (self._task_id, round_number),
        ).fetchall()
        return bool(rows != [(False,)])

    def erase(self, round_number: int) -> None:
        """Forget the bodies of a frozen round."""
        with self._guarded(), self._database.transaction():
            if round_number >= self._open_round("for share"):
                raise ProtocolError(f"round {round_number} is not frozen: freeze it first")
            self._database.execute(
                "update donation_reports set body = null where task_id = %s and round = %s",
                (self._task_id, round_number),
            )
            self._database.execute(
                "update donation_rounds set erased = true where task_id = %s and round = %s",
                (self._task_id, round_number),
            )

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._database.close()

    @contextmanager
    def _guarded(self, *, connect: bool = False) -> Iterator[None]:
        """Hold the connection, made anew if it broke; tell errors without words or values."""
        with self._lock:
            try:
                if connect or self._database.broken:
                    self._counts.clear()  # a commit may have been lost with the connection
                    self._database = self._connect()
                    # whatever the database's own settings: what is acknowledged is on its disk
                    self._database.execute("set synchronous_commit = on")
                yield
            except self._errors as error:
                code = getattr(error, "sqlstate", None) or "it cannot be reached"
                raise EngineError(
                    f"{self._place}: {type(error).__name__}, {code}: nothing was stored"
                ) from None

    _database: psycopg.Connection[Any]
