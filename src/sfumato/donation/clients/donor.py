"""A donor: answers become a sealed report, and three receipts come back."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import polars as pl

from sfumato.donation.clients.task_servers import TaskServers
from sfumato.donation.messages import Receipt, Report, TaskConfiguration, make_report
from sfumato.donation.rounds.function_keys import KeyPair, count_keys
from sfumato.donation.rounds.mailboxes import mailbox_keys
from sfumato.errors import ProtocolError

__all__ = ["Donor", "make_donations"]

_ID_BYTES = 16
RandomBytes = Callable[[int], bytes]


def make_donations(
    task: TaskConfiguration,
    table: pl.DataFrame,
    round_number: int,
    *,
    token: tuple[bytes, bytes] | None = None,
    random_bytes: RandomBytes = os.urandom,
) -> list[Report]:
    """Return a report for each row of a table; of a donor, one row.

    Parameters
    ----------
    task
        The signed configuration.
    table
        The answers; a column for each question.
    round_number
        The open round.
    token
        The report's number and the registrar's signature of it, where the task has a registrar;
        then for one row.
    random_bytes
        Returns that many secret random bytes; the operating system's by default.

    Raises
    ------
    SchemaError, DataError, HierarchyError
        If an answer is none of the possible ones; names column and row.
    PlanError
        If the task lays its keys out otherwise than its questions need.
    ProtocolError
        If the token does not fit the task.
    """
    if token is not None and table.height != 1:
        raise ProtocolError("token: is for one report")
    codec = task.codec
    records, cells = codec.encode(table), codec.cells(table)
    reports = []
    for record, cell in zip(records, cells.tolist(), strict=True):
        report_id, signature = token or (random_bytes(_ID_BYTES), b"")
        keys = count_keys(task, report_id, cell, random_bytes) if task.histogram else None
        octets = record.tobytes()
        mailboxes: tuple[KeyPair, ...] = ()
        if task.mode == "dpf":
            mailboxes = mailbox_keys(task, report_id, octets, random_bytes)
            octets = b""
        reports.append(
            make_report(
                task,
                round_number,
                octets,
                histogram_keys=keys,
                mailbox_keys=mailboxes,
                report_id=report_id,
                token=signature,
                random_bytes=random_bytes,
            )
        )
    return reports


class Donor:
    """Sends reports to all three servers of a task.

    Parameters
    ----------
    servers
        The servers.
    """

    def __init__(self, servers: TaskServers) -> None:
        self._servers = servers

    def open_round(self) -> int:
        """Return the round for which all three servers take reports.

        Raises
        ------
        ProtocolError
            If they do not say the same, as while a round is being closed.
        ServerLost
            If one does not answer.
        """
        rounds = {status.open_round for status in self._servers.statuses()}
        if len(rounds) > 1:
            raise ProtocolError(
                "the servers are between two rounds: try again when all three have closed the "
                "last one"
            )
        return rounds.pop()

    def send(self, report: Report) -> tuple[Receipt, ...]:
        """Send a report to all three servers and return their receipts.

        The same report may be sent again, and then gives receipts that say the same; it counts
        once, and only when all three have it.

        Raises
        ------
        ServerRefused, ServerLost, ProtocolError
            Of the first server that fails.
        """
        with ThreadPoolExecutor(len(self._servers)) as pool:
            sent = pool.map(lambda server: self._servers.put(server, report), range(3))
            return tuple(sent)
