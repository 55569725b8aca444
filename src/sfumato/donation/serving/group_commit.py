"""Many requests, one synchronization: what comes while the disk works is stored together next."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

from sfumato.donation.serving.counters import Counters
from sfumato.donation.storage import Kept, ReportStore, StoredReport
from sfumato.errors import EngineError

__all__ = ["GroupCommit", "StoreBusy"]

_MOST_AT_ONCE = 512


class StoreBusy(EngineError):
    """More reports wait for the disk than may."""


class GroupCommit:
    """Puts reports into a store, a group at a time, on a thread of its own.

    Parameters
    ----------
    store
        Where to.
    most_waiting
        How many reports may wait.
    counters
        Where groups are counted.
    """

    def __init__(self, store: ReportStore, most_waiting: int, counters: Counters) -> None:
        self._store = store
        self._most_waiting = most_waiting
        self._counters = counters
        self._waiting: list[tuple[StoredReport, asyncio.Future[Kept]]] = []
        self._thread = ThreadPoolExecutor(1, "donation-store")
        self._running: asyncio.Task[None] | None = None

    async def put(self, report: StoredReport) -> Kept:
        """Return what became of a report, once it is durable.

        Raises
        ------
        EngineError
            If the store refuses.
        StoreBusy
            If too many reports wait.
        """
        if len(self._waiting) >= self._most_waiting:
            raise StoreBusy("too many reports wait for the disk: try again in a moment")
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Kept] = loop.create_future()
        self._waiting.append((report, done))
        if self._running is None:
            self._running = loop.create_task(self._store_all())
        return await done

    async def close(self) -> None:
        """Store what waits and let go of the thread."""
        if self._running is not None:
            await self._running
        self._thread.shutdown()

    async def _store_all(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._waiting:
                group = self._waiting[:_MOST_AT_ONCE]
                del self._waiting[:_MOST_AT_ONCE]
                reports = [report for report, _ in group]
                try:
                    kept = await loop.run_in_executor(self._thread, self._store.put, reports)
                except EngineError as error:
                    self._counters.store_failed()
                    for _, done in group:
                        if not done.done():
                            done.set_exception(EngineError(str(error)))
                    continue
                self._counters.group_stored(len(group))
                for (_, done), each in zip(group, kept, strict=True):
                    if not done.done():  # its client may have gone
                        done.set_result(each)
        finally:
            self._running = None
