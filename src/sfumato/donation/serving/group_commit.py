"""Many requests, one synchronization: what comes while the disk works is stored together next."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, Protocol, TypeVar

from sfumato.donation.messages import Refusal
from sfumato.donation.serving.counters import Counters
from sfumato.donation.storage import StoredReport
from sfumato.errors import EngineError

__all__ = ["GroupCommit", "StoreBusy"]

_MOST_AT_ONCE = 512

Answer = TypeVar("Answer", covariant=True)


class StoreBusy(EngineError):
    """More reports wait for the disk than may."""


class Keeper(Protocol[Answer]):
    """Makes a group of reports durable; a store, or what stands before it."""

    def put(self, reports: Sequence[StoredReport]) -> Sequence[Answer | Refusal]:
        """Return what became of each report."""
        ...


class GroupCommit(Generic[Answer]):
    """Has reports kept, a group at a time, on a thread of its own.

    The first report does not wait for others; what comes while it is made durable is the next
    group. So groups grow with the load, and without load there are none.

    Parameters
    ----------
    keeper
        Keeps them.
    most_waiting
        How many reports may wait.
    counters
        Where groups are counted.
    """

    def __init__(self, keeper: Keeper[Answer], most_waiting: int, counters: Counters) -> None:
        self._keeper = keeper
        self._most_waiting = most_waiting
        self._counters = counters
        self._waiting: list[tuple[StoredReport, asyncio.Future[Answer]]] = []
        self._thread = ThreadPoolExecutor(1, "donation-store")
        self._running: asyncio.Task[None] | None = None

    async def put(self, report: StoredReport) -> Answer:
        """Return what became of a report, once it is durable.

        Raises
        ------
        Refusal
            If it is not kept, for a reason of its own.
        EngineError
            If the store refuses.
        StoreBusy
            If too many reports wait.
        """
        if len(self._waiting) >= self._most_waiting:
            raise StoreBusy("too many reports wait for the disk: try again in a moment")
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Answer] = loop.create_future()
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
                    answers = await loop.run_in_executor(self._thread, self._keeper.put, reports)
                except EngineError as error:
                    self._counters.store_failed()
                    for _, done in group:
                        if not done.done():
                            done.set_exception(EngineError(str(error)))
                    continue
                self._counters.group_stored(len(group))
                for (_, done), answer in zip(group, answers, strict=True):
                    if done.done():  # its client has gone
                        continue
                    if isinstance(answer, Refusal):
                        done.set_exception(answer)
                    else:
                        done.set_result(answer)
        finally:
            self._running = None
