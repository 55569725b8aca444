"""Open a store by the place where it is."""

from __future__ import annotations

from pathlib import Path

from sfumato.donation.storage.report_store import ReportStore

__all__ = ["open_store"]


def open_store(place: str | Path, task_id: bytes, most_reports: int = 1_000_000) -> ReportStore:
    """Return the store of a task.

    Parameters
    ----------
    place
        A folder, or ``postgresql://user@host/database``.
    task_id
        The task, 32 bytes.
    most_reports
        How many reports a round may hold.

    Raises
    ------
    MissingExtra
        If PostgreSQL is asked for and psycopg is not installed.
    EngineError
        If the place cannot be used, or belongs to another task.
    """
    if str(place).startswith(("postgresql://", "postgres://")):
        from sfumato.donation.storage.postgresql_store import PostgresqlStore

        return PostgresqlStore(str(place), task_id, most_reports)
    from sfumato.donation.storage.file_store import FileStore

    return FileStore(place, task_id, most_reports)
