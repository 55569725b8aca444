"""The researcher: closes a round, waits for it, and collects the bundles."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from sfumato.donation.clients.connection import ServerLost, ServerRefused
from sfumato.donation.clients.task_servers import ServerStatus, TaskServers
from sfumato.donation.messages import EnvelopeConfiguration, ResearcherParty
from sfumato.donation.protecting import EnvelopeKey, Kem, SigningKey
from sfumato.donation.rounds import RoundState, open_bundle
from sfumato.donation.rounds.closing import CloseRequest
from sfumato.errors import EngineError, PlanError, ProtocolError
from sfumato.progress import Progress, silent

__all__ = ["Collected", "Researcher", "ResearcherKeys"]

_STEPS = {state.value: place for place, state in enumerate(RoundState)}
_LAST = _STEPS[RoundState.ERASED]
_ENOUGH = 2


@dataclass(frozen=True)
class ResearcherKeys:
    """What a researcher keeps secret; nothing of it prints.

    Parameters
    ----------
    signer
        Signs the orders to close rounds; the servers know its verifying key as ``closing_key``.
    envelope
        Opens the bundles.
    """

    signer: SigningKey = field(repr=False)
    envelope: EnvelopeKey = field(repr=False)

    @classmethod
    def generate(cls, kem: Kem = "x25519") -> Self:
        """Return new keys, from the operating system's randomness."""
        return cls(SigningKey.generate(), EnvelopeKey.generate(kem))

    def party(self, name: str) -> ResearcherParty:
        """Return how a task names the researcher."""
        return ResearcherParty(
            name=name,
            envelope=EnvelopeConfiguration.of_key(0, self.envelope),
            verifying_key=self.signer.verifying_key,
        )

    def write(self, folder: Path) -> None:
        """Write the keys into a new folder that its owner alone reads.

        Raises
        ------
        EngineError
            If there are keys already, or the folder cannot be written.
        """
        secrets = {
            "signing": self.signer.secret_bytes().hex(),
            "envelope": f"{self.envelope.kem} {self.envelope.secret_bytes().hex()}",
        }
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for name, text in secrets.items():
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
                with os.fdopen(os.open(folder / name, flags, 0o600), "w") as file:
                    file.write(text)
                    file.flush()
                    os.fsync(file.fileno())
        except OSError as error:
            reason = (error.strerror or "refused").lower()
            raise EngineError(f"{folder}: {reason}; keys are never written over") from None

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read the keys of a folder.

        Raises
        ------
        PlanError
            If they are not there, or malformed.
        """
        try:
            signing = bytes.fromhex((folder / "signing").read_text("utf-8").strip())
            kem, _, digits = (folder / "envelope").read_text("utf-8").strip().partition(" ")
            secret = bytes.fromhex(digits)
        except (OSError, ValueError):
            raise PlanError(f"{folder}: the researcher's keys cannot be read there") from None
        if kem not in {"x25519", "mlkem768-x25519"}:
            raise PlanError(f"{folder}: the file envelope is malformed")
        known: Kem = "x25519" if kem == "x25519" else "mlkem768-x25519"
        return cls(SigningKey(signing), EnvelopeKey(known, secret))


@dataclass(frozen=True)
class Collected:
    """What the servers handed over for a round.

    Parameters
    ----------
    bundles
        Two or three that hold.
    notes
        What became of the others, a sentence each.
    """

    bundles: tuple[bytes, ...] = field(repr=False)
    notes: tuple[str, ...] = ()


class Researcher:
    """The researcher's side of a task.

    Parameters
    ----------
    servers
        The servers.
    keys
        The researcher's.
    clock, sleep
        Seconds since 1970, and waiting; of tests.
    """

    def __init__(
        self,
        servers: TaskServers,
        keys: ResearcherKeys,
        *,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._servers, self._keys = servers, keys
        self._clock, self._sleep = clock, sleep

    def close(self, number: int | None = None) -> tuple[ServerStatus, ...]:
        """Order all three servers to close a round; the order may be repeated.

        Parameters
        ----------
        number
            The round; the one that all have open by default.

        Raises
        ------
        ServerRefused, ServerLost, ProtocolError
            Of the first server that fails: order it again, as a round needs all three.
        """
        if number is None:
            rounds = {status.open_round for status in self._servers.statuses()}
            if len(rounds) > 1:
                raise ProtocolError(
                    "close: the servers have different rounds open: say which one by --round"
                )
            number = rounds.pop()
        now = int(self._clock())
        order = CloseRequest.sign(self._keys.signer, self._servers.signed.task_id, number, now)
        return tuple(
            self._servers.order(server, order.to_json()) for server in range(len(self._servers))
        )

    def latest_round(self) -> int:
        """Return the round that was ordered last, as far as the servers that answer know.

        Raises
        ------
        ServerLost
            If fewer than two answer.
        """
        return max(status.round_number for status in self._heard(self._servers.status)[0])

    def wait(
        self, number: int, seconds: float, progress: Progress = silent, interval: float = 0.5
    ) -> None:
        """Wait until all three servers have released a round, or two when the time is over.

        A server that does not answer is left out, as two of three are enough.

        Parameters
        ----------
        number
            The round.
        seconds
            For how long at most.
        progress
            Told the state of the server that is furthest behind.
        interval
            Seconds between two questions.

        Raises
        ------
        ProtocolError
            If the round was aborted, or stays open for lack of donors.
        ServerLost
            If fewer than two servers answer.
        EngineError
            If it takes longer.
        """
        end = time.monotonic() + seconds
        while True:
            found, lost = self._heard(lambda server: self._servers.round_status(server, number))
            released = sum(status.is_released for status in found)
            aborted = [status for status in found if status.is_aborted]
            if released < _ENOUGH and aborted:
                raise ProtocolError(f"round {number} was aborted: {aborted[0].error}")
            short = [status.error for status in found if status.lacks_donors]
            if len(short) == len(found):
                raise ProtocolError(f"round {number} is not closed: {short[0]}")
            least = min(_STEPS[status.state] for status in found if not status.is_aborted)
            progress("the servers' round", least, _LAST)
            if released + len(aborted) == len(found):
                return
            if time.monotonic() > end:
                if released >= _ENOUGH:
                    return
                words = "; ".join([*(status.describe() for status in found), *map(str, lost)])
                raise EngineError(f"round {number} has not ended after {seconds:g} s: {words}")
            self._sleep(interval)

    def _heard(
        self, ask: Callable[[int], ServerStatus]
    ) -> tuple[list[ServerStatus], list[ServerLost]]:
        """Return what the servers say, and who of them does not answer: one at most."""
        found, lost = [], []
        for server in range(len(self._servers)):
            try:
                found.append(ask(server))
            except ServerLost as error:
                lost.append(error)
        if len(found) < _ENOUGH:
            raise lost[0]
        return found, lost

    def collect(self, number: int) -> Collected:
        """Fetch the bundles of a round and leave out what does not hold.

        Raises
        ------
        ProtocolError
            If fewer than two hold.
        """
        bundles, notes = [], []
        for server in range(len(self._servers)):
            try:
                data = self._servers.bundle(server, number)
                if data is None:
                    notes.append(f"server {server} has no bundle of round {number}")
                    continue
                opened = open_bundle(self._servers.task, data, self._keys.envelope)
            except (ServerLost, ServerRefused) as error:
                notes.append(str(error))
            except ProtocolError as error:
                notes.append(f"the bundle of server {server} is left out: {error}")
            else:
                if (opened.server, opened.manifest.round_number) == (server, number):
                    bundles.append(data)
                else:
                    notes.append(f"server {server} sent the bundle of another server or round")
        if len(bundles) < _ENOUGH:
            raise ProtocolError(
                f"round {number}: two of three bundles are needed, and {len(bundles)} can be used: "
                + "; ".join(notes)
            )
        return Collected(tuple(bundles), tuple(notes))
