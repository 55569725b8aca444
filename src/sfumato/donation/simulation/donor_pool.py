"""Many donors at once: processes that make reports and send them, batch by batch."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    wait,
)
from dataclasses import dataclass
from functools import lru_cache

import polars as pl

from sfumato.donation.clients.donor import make_donations
from sfumato.donation.clients.task_servers import TaskServers
from sfumato.donation.messages import Report, SignedTask
from sfumato.donation.simulation.leaving import leave_with_pool
from sfumato.errors import ProtocolError
from sfumato.progress import Progress, silent

__all__ = ["DonorFigures", "donate_all", "send_all"]

_CONNECTIONS = 16
_BATCH = 500


@dataclass(frozen=True)
class DonorFigures:
    """What the donors' side took.

    Parameters
    ----------
    donors
        Donors whose report all three servers have acknowledged.
    cpu_seconds
        Of all donors together: making, sealing and sending.
    """

    donors: int
    cpu_seconds: float


def donate_all(
    signed: SignedTask,
    certificates: Sequence[str],
    table: pl.DataFrame,
    round_number: int,
    *,
    processes: int = 1,
    batch: int = _BATCH,
    progress: Progress = silent,
) -> DonorFigures:
    """Donate every row of a table, each as a donor of its own.

    Parameters
    ----------
    signed, certificates
        The task, and by which certificates its servers are known.
    table
        The donors' answers.
    round_number
        The open round.
    processes
        How many processes donate.
    batch
        Rows that a process takes at once.
    progress
        Told how many have donated.

    Raises
    ------
    SfumatoError
        Of the first donor that fails.
    """
    parts = _parts(table, batch)
    done, cpu = 0, 0.0
    context = multiprocessing.get_context("spawn")
    common = (signed.to_bytes(), tuple(certificates), round_number)
    progress("donating", 0, table.height)
    theirs, ours = context.Pipe(duplex=False)
    with (
        theirs,
        ProcessPoolExecutor(
            processes, mp_context=context, initializer=leave_with_pool, initargs=(theirs,)
        ) as pool,
        ours,  # closed first: if this ends before they have donated, they are not waited for
    ):
        running: set[Future[tuple[int, float]]] = set()
        while True:
            for part in parts:
                running.add(pool.submit(_donate, *common, part))
                if len(running) > 2 * processes:
                    break
            if not running:
                return DonorFigures(done, cpu)
            finished, running = wait(running, return_when=FIRST_COMPLETED)
            for future in finished:
                count, seconds = future.result()
                done, cpu = done + count, cpu + seconds
            progress("donating", done, table.height)


def send_all(
    servers: Sequence[Sequence[TaskServers]], reports: Sequence[Report], pool: ThreadPoolExecutor
) -> None:
    """Send reports to all three servers, over several connections to each.

    Parameters
    ----------
    servers
        For each connection and each server a way of its own, shape (connections, 3).
    reports
        The reports.
    pool
        With at least as many threads as there are ways.
    """
    lanes = len(servers)

    def lane(place: int, server: int) -> None:
        for report in reports[place::lanes]:
            servers[place][server].put(server, report)

    sent = [pool.submit(lane, place, server) for place in range(lanes) for server in range(3)]
    for future in sent:
        future.result()


@lru_cache(maxsize=1)
def _place(task: bytes, certificates: tuple[str, ...]) -> _Place:
    """Return what a donating process keeps open from one batch to the next."""
    signed = SignedTask.from_bytes(task)
    ways = [
        [TaskServers.connect(signed, certificates) for _ in range(3)] for _ in range(_CONNECTIONS)
    ]
    return _Place(signed, ways, ThreadPoolExecutor(3 * _CONNECTIONS))


@dataclass(frozen=True, eq=False)
class _Place:
    signed: SignedTask
    ways: list[list[TaskServers]]
    pool: ThreadPoolExecutor


def _donate(
    task: bytes, certificates: tuple[str, ...], round_number: int, part: bytes
) -> tuple[int, float]:
    start = time.process_time()
    try:
        place = _place(task, certificates)
        rows = pl.read_ipc(part)
        reports = make_donations(place.signed.configuration, rows, round_number)
        send_all(place.ways, reports, place.pool)
    except ProtocolError as error:  # some of its kinds cannot cross from process to process
        raise ProtocolError(str(error)) from None
    return len(reports), time.process_time() - start


def _parts(table: pl.DataFrame, batch: int) -> Iterator[bytes]:
    for part in table.iter_slices(batch):
        yield part.write_ipc(None).getvalue()
