"""Making the releases of a plan in several processes, with the same results as in one.

Every step's seed follows from the plan and the release's name, so it does not matter which process
makes what. The plan's first release is made before all others, since they are compared with it; one
that starts from another waits for it. Processes are spawned, never forked: nothing of the parent's
threads is in them. Each is told how many threads it may use before it loads a library.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Any, Protocol

from sfumato.errors import (
    BudgetExceeded,
    DataError,
    EngineError,
    GuaranteeNotMet,
    InternalError,
    MissingExtra,
    PlanError,
    SchemaError,
    SfumatoError,
)
from sfumato.release.study import NotMade
from sfumato.release.worker import Failed, Verb, made, packed, send, work

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess

    from sfumato.release.evaluation import Evaluation
    from sfumato.release.study import StudyRelease
    from sfumato.release.workshop import Workshop

__all__ = ["Alone", "Crew", "Team", "assembled", "available_memory", "cores", "crew_size"]

#: What speaks against one release and not against the others.
_OF_ONE_RELEASE = (
    BudgetExceeded,
    DataError,
    GuaranteeNotMet,
    MissingExtra,
    PlanError,
    SchemaError,
)
_PATIENCE = 5.0  # seconds for a process to end by itself
_MEMORY_TO_USE = 0.8


class Crew(Protocol):
    """Who makes the releases of a plan: this process alone, or several."""

    def release(self, names: Sequence[str]) -> dict[str, StudyRelease | NotMade]:
        """Make releases and put them in place; those that cannot be made say why."""
        ...

    def measure(self, names: Sequence[str], rows: int) -> dict[str, Evaluation | NotMade]:
        """Measure releases of a sample of the rows; nothing is handed out."""
        ...


def cores() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def available_memory() -> float | None:
    """Return the bytes that can still be used, or None if the system does not tell."""
    found = []
    try:
        with open("/proc/meminfo", encoding="ascii") as file:  # noqa: PTH123
            told = dict(line.split(":", 1) for line in file)
        found.append(float(told["MemAvailable"].split()[0]) * 1024)
        with open("/sys/fs/cgroup/memory.max", encoding="ascii") as file:  # noqa: PTH123
            most = file.read().strip()
        with open("/sys/fs/cgroup/memory.current", encoding="ascii") as file:  # noqa: PTH123
            used = float(file.read())
        if most != "max":
            found.append(float(most) - used)
    except (OSError, KeyError, ValueError, IndexError):
        pass
    return min(found, default=None)


def crew_size(
    jobs: int | None, releases: int, bytes_each: float | None, *, memory: float | None = None
) -> int:
    """Return how many releases are made at the same time.

    Parameters
    ----------
    jobs
        How many are asked for; None is one for each processor.
    releases
        How many there are to make.
    bytes_each
        Memory that one process is likely to need; None if that is not known.
    memory
        Bytes that may be used by all of them; what the system says is free by default.

    Examples
    --------
    >>> crew_size(8, 20, 4e9, memory=20e9), crew_size(8, 3, 1e9, memory=20e9)
    (4, 3)
    """
    wanted = cores() if jobs is None else jobs
    free = available_memory() if memory is None else memory
    if free is not None and bytes_each:
        wanted = min(wanted, int(free * _MEMORY_TO_USE / bytes_each))
    return max(1, min(wanted, releases))


@contextmanager
def assembled(
    workshop: Workshop, jobs: int, *, tolerant: bool, costs: Mapping[str, float]
) -> Iterator[Crew]:
    """Have releases made by so many processes while the block runs.

    Parameters
    ----------
    workshop
        With everything that was read.
    jobs
        Processes, from 1: this one alone.
    tolerant
        Whether a release that cannot be made stops the others.
    costs
        How long each release is likely to take, in any unit: the longest begin first.
    """
    if jobs <= 1:
        yield Alone(workshop, tolerant=tolerant)
        return
    team = Team(workshop, jobs, tolerant=tolerant, costs=costs)
    try:
        yield team
    finally:
        team.dismiss()


class Alone:
    """The process that asks makes one release after the other itself.

    Parameters are those of :func:`assembled`.
    """

    def __init__(self, workshop: Workshop, *, tolerant: bool) -> None:
        self.workshop = workshop
        self.tolerant = tolerant

    def release(self, names: Sequence[str]) -> dict[str, StudyRelease | NotMade]:
        """Make releases and put them in place."""
        return self._each("release", names)

    def measure(self, names: Sequence[str], rows: int) -> dict[str, Evaluation | NotMade]:
        """Measure releases of a sample of the rows."""
        return self._each("measure", names, rows)

    def _each(self, verb: Verb, names: Sequence[str], rows: int = 0) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for place, name in enumerate(names):
            self.workshop.progress("all releases", place, len(names))
            without = _missing_origin(self.workshop, name, found)
            if without is not None:
                found[name] = without
                continue
            try:
                found[name] = made(self.workshop, verb, name, rows)
            except _OF_ONE_RELEASE as error:
                if not self.tolerant or name == self.workshop.plan.releases[0].name:
                    raise
                found[name] = NotMade(name, str(error))
        self.workshop.progress("all releases", len(names), len(names))
        return found


@dataclass
class _Worker:
    """A process and the line to it."""

    process: BaseProcess
    line: Connection
    name: str = ""
    opened: bool = False
    compares: bool = False


@dataclass
class Team:
    """Several processes that make the releases of one plan.

    Parameters are those of :func:`assembled`.
    """

    workshop: Workshop
    jobs: int
    tolerant: bool
    costs: Mapping[str, float]
    _workers: list[_Worker] = field(default_factory=list, repr=False)
    _opening: bytes = field(default=b"", repr=False)

    def __post_init__(self) -> None:
        threads = max(1, cores() // self.jobs)
        context = get_context("spawn")
        for _ in range(self.jobs):
            ours, theirs = context.Pipe()
            process = context.Process(target=work, args=(theirs, threads), daemon=True)
            process.start()
            theirs.close()
            self._workers.append(_Worker(process, ours))

    def release(self, names: Sequence[str]) -> dict[str, StudyRelease | NotMade]:
        """Make releases and put them in place, the plan's first one before all others."""
        first = self.workshop.plan.releases[0].name
        done = {name: self.workshop.finished(name) for name in names}
        found: dict[str, Any] = {name: one for name, one in done.items() if one is not None}
        if len(found) == len(names):
            return found
        if first in names and first not in found:
            # Here and alone, with every thread: all others are compared with it.
            found[first] = self.workshop.release(first)
        rest = [name for name in names if name not in found]
        return self._each("release", rest, found)

    def measure(self, names: Sequence[str], rows: int) -> dict[str, Evaluation | NotMade]:
        """Measure releases of a sample of the rows."""
        return self._each("measure", names, {}, rows)

    def dismiss(self) -> None:
        """End the processes: those that wait by a word, those at work by force."""
        for worker in self._workers:
            if worker.name:
                worker.process.terminate()
            else:
                send(worker.line, None)
        for worker in self._workers:
            worker.process.join(_PATIENCE)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
            worker.line.close()
        self._workers = []

    # -- handing out -------------------------------------------------------------------------

    def _each(
        self, verb: Verb, names: Sequence[str], found: dict[str, Any], rows: int = 0
    ) -> dict[str, Any]:
        waiting = sorted(names, key=lambda name: -self.costs.get(name, 0.0))
        if not waiting:
            return found
        failed: dict[str, SfumatoError] = {}
        total = len(found) + len(names)
        tell = self.workshop.progress
        tell("all releases", len(found), total)
        while waiting or self._busy:
            if not failed:
                self._hand_out(verb, waiting, found, rows)
            if not self._busy:  # the last ones could not be made, or nothing more is wanted
                break
            for worker, message in self._heard():
                name, worker.name = worker.name, ""
                if not isinstance(message, Failed):
                    found[name] = message
                elif self.tolerant and issubclass(message.kind, _OF_ONE_RELEASE):
                    found[name] = NotMade(name, message.message)
                else:
                    failed[name] = message.error()
            tell("all releases", len(found), total)
        if failed:
            # What others are at is finished first, and the plan's order says which error is told.
            raise next(failed[name] for name in names if name in failed)
        order = [release.name for release in self.workshop.plan.releases]
        return {name: found[name] for name in order if name in found}

    @property
    def _busy(self) -> list[_Worker]:
        return [worker for worker in self._workers if worker.name]

    def _hand_out(self, verb: Verb, waiting: list[str], found: dict[str, Any], rows: int) -> None:
        for worker in self._workers:
            while not worker.name:
                name = self._next(waiting, found)
                if name is None:
                    return
                waiting.remove(name)
                without = _missing_origin(self.workshop, name, found)
                if without is not None:
                    found[name] = without
                    continue
                self._prepare(worker, verb)
                worker.line.send_bytes(packed((verb, name, rows)))
                worker.name = name

    def _prepare(self, worker: _Worker, verb: Verb) -> None:
        """Give a process the rows once, and what releases are compared with once it is known."""
        if not worker.opened:
            if not self._opening:
                shop = self.workshop
                given = (shop.plan, shop.out, shop.facts, shop.split, shop.schema)
                self._opening = packed(("open", given))
            worker.line.send_bytes(self._opening)
            worker.opened = True
        if verb == "release" and not worker.compares:
            worker.line.send_bytes(packed(("baseline", self.workshop.baseline)))
            worker.compares = True

    def _next(self, waiting: Sequence[str], found: Mapping[str, Any]) -> str | None:
        """Return a release whose origin is finished, or None if all must wait."""
        ahead = {*waiting, *(worker.name for worker in self._workers)}
        for name in waiting:
            origin = self.workshop.plan.release(name).origin
            if origin is None or origin in found or origin not in ahead:
                return name
        return None

    def _heard(self) -> list[tuple[_Worker, Any]]:
        """Pass on how far the work is, and return what was finished."""
        by_line: dict[Any, _Worker] = {worker.line: worker for worker in self._busy}
        finished = []
        for line in wait(list(by_line)):
            worker = by_line[line]
            try:
                kind, message = pickle.loads(worker.line.recv_bytes())  # noqa: S301 (our own)
            except (EOFError, OSError):
                raise EngineError(
                    f"the process that made {worker.name!r} ended without a word, most likely for "
                    "want of memory: run again with --jobs 1 (what is finished stays)"
                ) from None
            if kind == "progress":
                self.workshop.progress(*message)
            elif kind == "defect":
                raise InternalError(f"{message}, while {worker.name!r} was made")
            else:
                finished.append((worker, message))
        return finished


def _missing_origin(workshop: Workshop, name: str, found: Mapping[str, Any]) -> NotMade | None:
    """Return why a release cannot be made if the one it starts from was not."""
    origin = workshop.plan.release(name).origin
    if origin is not None and isinstance(found.get(origin), NotMade):
        return NotMade(name, f"{origin!r}, from which it starts, was not made")
    return None
