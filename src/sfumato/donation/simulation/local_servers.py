"""Three servers on this machine, each a process of its own, with a folder as any other has."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from sfumato.donation.clients.connection import ServerLost
from sfumato.donation.clients.task_servers import TaskServers
from sfumato.donation.messages import SignedTask, TaskConfiguration
from sfumato.donation.organisation import Organisation, ServerSettings
from sfumato.donation.rounds import RoundSettings
from sfumato.donation.serving import Limits
from sfumato.errors import EngineError, InternalError

__all__ = ["LocalServers"]

_HERE = "127.0.0.1"
_PROGRAM = (
    "import sys; from sfumato.donation.server_process import run_server; "
    "from sfumato.donation.simulation.leaving import leave_with_parent; "
    "leave_with_parent(); run_server(*sys.argv[1:])"
)
_STOP_SECONDS = 20.0
# all donors of a simulation have one address
_ANY_RATE = Limits(requests_per_second=1e9, burst=1_000_000_000, most_waiting=100_000)


class LocalServers:
    """Three organisations' servers; a context in which they run.

    Parameters
    ----------
    folder
        Where their folders are made.
    closing_key
        The researcher's verifying key.
    rounds
        How rounds are run.
    timeout
        Seconds after which a server takes a silent one for lost.
    """

    def __init__(
        self,
        folder: Path,
        closing_key: bytes,
        rounds: RoundSettings | None = None,
        *,
        timeout: float = 900.0,
    ) -> None:
        self.organisations: list[Organisation] = []
        self.cpu_seconds: list[float | None] = [None] * 3
        """What each process has used, once it is stopped; None where the system does not say."""
        self._processes: list[subprocess.Popen[bytes]] = []
        self._logs: list[Path] = []
        self._signed: SignedTask | None = None
        ports = _free_ports(6)
        for index in range(3):
            settings = ServerSettings(
                index=index,
                name=f"Organisation {index}",
                host=_HERE,
                port=ports[index],
                link_host=_HERE,
                link_port=ports[3 + index],
                closing_key=closing_key,
                timeout_seconds=timeout,
                limits=_ANY_RATE,
                rounds=rounds or RoundSettings(),
            )
            place = folder / f"server-{index}"
            self.organisations.append(Organisation.create(place, settings))
            self._logs.append(place / "log.txt")

    @property
    def certificates(self) -> tuple[str, ...]:
        """The certificate of each server, PEM."""
        return tuple(each.card.certificate for each in self.organisations)

    def agree_on(self, values: Mapping[str, Any]) -> SignedTask:
        """Return the task that all three have signed, and put it in place.

        Parameters
        ----------
        values
            All of a :class:`TaskConfiguration` but the servers.
        """
        cards = [each.card for each in self.organisations]
        task = TaskConfiguration(**values, servers=[card.party for card in cards])
        self._signed = SignedTask(task, tuple(each.sign(task) for each in self.organisations))
        for each in self.organisations:
            each.join(self._signed, cards)
        return self._signed

    def connect(self, **options: Any) -> TaskServers:
        """Return ways to the servers; see :meth:`TaskServers.connect`."""
        if self._signed is None:
            raise InternalError("the servers have no task yet")
        return TaskServers.connect(self._signed, self.certificates, **options)

    def start(self, seconds: float = 120.0) -> None:
        """Start the processes and wait until they answer.

        Raises
        ------
        EngineError
            If one ends, or does not answer in time; with the last line that it wrote.
        """
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
        for each, log in zip(self.organisations, self._logs, strict=True):
            with log.open("wb") as file:
                self._processes.append(
                    subprocess.Popen(  # noqa: S603 - our own program
                        [sys.executable, "-c", _PROGRAM, str(each.folder)],
                        env=environment,
                        stdin=subprocess.PIPE,  # its end tells it that this process has gone
                        stdout=file,
                        stderr=file,
                        start_new_session=True,  # ended by us, in order, not by the terminal
                    )
                )
        with ExitStack() as stack:
            servers = self.connect(timeout=5.0, patience=0.0)
            stack.callback(servers.close_connections)
            end = time.monotonic() + seconds
            for index in range(3):
                self._wait_for(servers, index, end)

    def _wait_for(self, servers: TaskServers, index: int, end: float) -> None:
        while True:
            self.check()
            try:
                servers.status(index)
            except ServerLost:
                if time.monotonic() > end:
                    raise EngineError(
                        f"server {index} has not started in time{self._last_line(index)}"
                    ) from None
                time.sleep(0.2)
            else:
                return

    def check(self) -> None:
        """Raise if a server has ended by itself.

        Raises
        ------
        EngineError
            With the last line that it wrote.
        """
        for index, process in enumerate(self._processes):
            if process.poll() is not None:
                raise EngineError(f"server {index} has ended{self._last_line(index)}")

    def written_bytes(self) -> tuple[int | None, ...]:
        """Return what each process has written so far, to its links and its disk.

        None where the system does not say; Linux does. What is answered over HTTP is not in it.
        """
        return tuple(_written(process.pid) for process in self._processes)

    def stop(self) -> None:
        """End all processes; what each has used of a processor is then known."""
        for process in self._processes:
            if process.poll() is None:
                process.terminate()
        for index, process in enumerate(self._processes):
            self.cpu_seconds[index] = _ended(process)
            if process.stdin is not None:
                process.stdin.close()
        self._processes.clear()

    def __enter__(self) -> Self:
        """Start the servers."""
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        """Stop them."""
        self.stop()

    def _last_line(self, index: int) -> str:
        lines = self._logs[index].read_text("utf-8", "replace").split("\n")
        told = next((line.strip() for line in reversed(lines) if line.strip()), "")
        return f": {told}" if told else ""


def _ended(process: subprocess.Popen[bytes]) -> float | None:
    """Wait for the end of a process and return its CPU seconds, where the system says them."""
    end = time.monotonic() + _STOP_SECONDS
    if not hasattr(os, "wait4"):
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        return None
    while process.returncode is None:
        try:
            number, status, usage = os.wait4(process.pid, os.WNOHANG)
        except ChildProcessError:  # it was waited for already, by a poll
            process.poll()
            return None
        if number:
            process.returncode = os.waitstatus_to_exitcode(status)
            return usage.ru_utime + usage.ru_stime
        if time.monotonic() > end:
            process.kill()
        time.sleep(0.02)
    return None


def _written(process: int) -> int | None:
    try:
        lines = Path(f"/proc/{process}/io").read_text("utf-8").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) for line in lines if line.startswith("wchar:")), None)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server((_HERE, 0)) for _ in range(count)]
    ports = [int(each.getsockname()[1]) for each in sockets]
    for each in sockets:
        each.close()
    return ports
