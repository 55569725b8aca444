"""Where a server's rounds are run: on the researcher's order, with the two others, until the end.

One thread works at one round at a time. A round is begun when the researcher's order is on this
server's disk; as an attempt needs all three, it runs once all three have it. A peer that calls for
a round that is finished here is met as well: so a server that was down learns how it ended.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path
from threading import Condition, Thread
from typing import Any, Protocol

from sfumato.atomic import clear_parts, whole_file
from sfumato.donation.rounds.bundle import read_manifest
from sfumato.donation.rounds.closing import CloseRequest
from sfumato.donation.rounds.round import Round
from sfumato.donation.rounds.round_settings import RoundKeys, RoundSettings
from sfumato.donation.rounds.states import Interrupted, RoundState, TooFewDonors
from sfumato.donation.serving import Ingest
from sfumato.donation.serving.problems import problem_type
from sfumato.donation.sharing import Channels
from sfumato.errors import EngineError, ProtocolError

__all__ = ["Meet", "RoundDesk"]

_LOG = logging.getLogger("sfumato.donation.rounds")
_CLOCK_SECONDS = 3600.0
_ASK_AFTER = 3  # meetings that were missed
_LONGEST_WORDS = 1000  # a peer's words may be in it
_DISK_REFUSES = "this server's disk or store refuses: see its log, and start it again once mended"


class Meet(Protocol):
    """How a server meets the two others."""

    def __call__(self, number: int, proposal: int) -> tuple[Channels, int]:
        """Return channels for an attempt of a round, and its number.

        Raises
        ------
        ProtocolError
            If they do not come: it is tried again.
        """

    def wait(self, failures: int) -> None:
        """Wait a little before the next try."""

    def bundles_of_peers(self, number: int) -> list[bytes]:
        """Return what bundles of a round the two others hand out; none if they do not answer."""


class RoundDesk:
    """The rounds of one task at one server.

    Parameters
    ----------
    ingest
        The server's reports.
    folder
        Where rounds are journaled.
    keys
        The server's keys.
    settings
        How rounds are run.
    meet
        How the others are met.
    closing_key
        Verifying key of who may close a round; None: nobody may.
    most_attempts
        How often a round is tried, until it is ordered again or the server is started again.
    clock
        Returns seconds since 1970.
    """

    def __init__(
        self,
        ingest: Ingest,
        folder: Path,
        keys: RoundKeys,
        settings: RoundSettings,
        meet: Meet,
        *,
        closing_key: bytes | None,
        most_attempts: int = 100,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._ingest, self._folder, self._keys, self._settings = ingest, folder, keys, settings
        self._meet, self._closing_key, self._clock = meet, closing_key, clock
        self._most_attempts = most_attempts
        self._rounds: dict[int, Round] = {}
        self._failures: dict[int, int] = {}
        self._missed = 0
        self._errors: dict[int, tuple[str, str]] = {}
        self._called: set[int] = set()
        self._changed = Condition()
        self._started = self._stopping = False
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            clear_parts(folder)
        except OSError as error:
            raise EngineError(f"{folder}: {(error.strerror or 'unusable').lower()}") from None
        for path in folder.glob("close-*.json"):
            digits = path.stem.removeprefix("close-")
            if digits.isdecimal():
                self._rounds[int(digits)] = self._open(int(digits))
        self._thread = Thread(target=self._work, name="donation rounds", daemon=True)

    def start(self) -> None:
        """Begin to work at what is ordered."""
        self._started = True
        self._thread.start()

    def stop(self) -> None:
        """Work no more; a round that runs is left where it is and goes on at the next start."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()

    def join(self, seconds: float) -> None:
        """Wait for the work to end; what still waits for a peer is left behind."""
        if self._thread.is_alive():
            self._thread.join(seconds)

    # -- orders ------------------------------------------------------------------------------

    def close(self, request: CloseRequest) -> bool:
        """Take the order to close a round; it is on the disk when this returns.

        Returns
        -------
        bool
            Whether it is new.

        Raises
        ------
        ProtocolError
            If it is not the researcher's, not of now, or of a round that is not open.
        EngineError
            If the disk refuses.
        """
        if self._closing_key is None:
            raise ProtocolError("close: this server knows no key of a researcher (closing_key)")
        request.check(self._closing_key, self._clock(), _CLOCK_SECONDS)
        number = request.round_number
        with self._changed:
            new = number not in self._rounds
            if new:
                current = self._ingest.store.round_number
                if number > current:
                    raise ProtocolError(f"close: round {number} is not open; {current} is")
                path = self._folder / f"close-{number}.json"
                try:
                    with whole_file(path) as file:
                        file.write(request.to_json())
                except OSError as error:
                    raise EngineError(f"{path}: {(error.strerror or 'refused').lower()}") from None
                self._rounds[number] = self._open(number)
            self._failures.pop(number, None)
            self._errors.pop(number, None)
            self._changed.notify_all()
        return new

    def called(self, number: int) -> None:
        """Hear that a peer wants to meet for a round."""
        with self._changed:
            if number in self._rounds:
                self._called.add(number)
                self._changed.notify_all()

    # -- what is known -----------------------------------------------------------------------

    @property
    def latest(self) -> int:
        """The round that was ordered last; the open one before any was."""
        with self._changed:
            return max(self._rounds, default=self._ingest.store.round_number)

    def status(self, number: int) -> dict[str, Any] | None:
        """Return state, round, reports received and accepted, and what went wrong, if something.

        What went wrong is told as ``error``, in words, and ``problem``, a type of RFC 9457. None
        for a round that was neither ordered nor is open. Counts of an open round are told in
        hundreds.
        """
        store = self._ingest.store
        with self._changed:
            found, error = self._rounds.get(number), self._errors.get(number)
        if found is None and number != store.round_number:
            return None
        state = RoundState.OPEN if found is None else found.state
        received = store.count(number)
        if state is RoundState.OPEN:
            received -= received % 100
        values: dict[str, Any] = {
            "state": state.value,
            "round": number,
            "received": received,
            "accepted": (found.accepted if found else None) or 0,
        }
        if found is not None and found.reason:
            wrong = "round-aborted", found.reason
        elif error is not None and not state.is_final:
            wrong = error
        elif self._started and not self._thread.is_alive() and not self._stopping:
            wrong = "rounds-stopped", "this server's rounds have stopped by a defect: see its log"
        else:
            return values
        code, words = wrong
        return values | {"error": words[:_LONGEST_WORDS], "problem": problem_type(code)}

    def metrics(self) -> str:
        """Return state and attempts of each round as text, in the format of Prometheus."""
        with self._changed:
            rounds = sorted(self._rounds.items())
        lines = [
            "# TYPE sfumato_donation_round_state gauge",
            *(
                f'sfumato_donation_round_state{{round="{number}",state="{each.state}"}} 1'
                for number, each in rounds
            ),
            "# TYPE sfumato_donation_round_attempts gauge",
            *(
                f'sfumato_donation_round_attempts{{round="{number}"}} {each.attempts}'
                for number, each in rounds
            ),
        ]
        return "\n".join(lines) + "\n"

    def bundle(self, number: int) -> bytes | None:
        """Return the bundle of a round, if it is there."""
        with self._changed:
            found = self._rounds.get(number)
        return None if found is None else found.bundle

    # -- the work ----------------------------------------------------------------------------

    def _open(self, number: int) -> Round:
        folder = self._folder / f"round-{number}"
        return Round(self._ingest, number, folder, self._keys, self._settings)

    def _work(self) -> None:
        with self._changed:
            aborted = [n for n, each in self._rounds.items() if each.state is RoundState.ABORTED]
        for number in aborted:  # a stop may have come between the decision and the erasure
            self._attend(number, called=False)
        while (found := self._next()) is not None:
            self._attend(*found)

    def _attend(self, number: int, called: bool) -> None:
        try:
            self._try(number, called)
        except (EngineError, OSError) as error:
            # where the disk is and what lies there is for this server's log alone
            _LOG.warning("round %d: this server's disk: %s", number, error)
            self._note(number, "store-unavailable", _DISK_REFUSES)
        except TooFewDonors as error:
            self._note(number, "too-few-donors", str(error))
        except ProtocolError as error:
            self._note(number, "round-interrupted", str(error))

    def _next(self) -> tuple[int, bool] | None:
        """Wait for a round to work at; return it and whether a peer called. None at the end."""
        with self._changed:
            while True:
                if self._stopping:
                    return None
                for number in sorted(self._rounds):
                    failures = self._failures.get(number, 0)
                    called = number in self._called
                    if called or (
                        not self._rounds[number].state.is_final and failures < self._most_attempts
                    ):
                        self._called.discard(number)
                        return number, called
                self._changed.wait()

    def _try(self, number: int, called: bool) -> None:
        each = self._rounds[number]
        if each.is_settled:  # it ends without the others, who may be gone for good
            each.end()
            self._settle(number)
            if not called:
                return
        failures = self._failures.get(number, 0) + self._missed
        if failures:
            self._meet.wait(failures)
        try:
            channels, attempt = self._meet(number, each.attempts + 1)
        except ProtocolError as error:
            self._missed += 1
            with self._changed:
                self._errors[number] = "servers-away", f"waits for the two others: {error}"
            if each.state is RoundState.LABELLED and self._missed % _ASK_AFTER == 0:
                self._adopt(each)
            return
        self._missed = 0
        try:
            state = each.run(channels, attempt)
        except TooFewDonors:
            with self._changed:  # until it is ordered again
                self._failures[number] = self._most_attempts
            raise
        except Interrupted as error:
            if each.state is RoundState.LABELLED and (failures + 1) % _ASK_AFTER == 0:
                self._adopt(each)
            if not each.is_settled:
                raise ProtocolError(str(error)) from None
            state = each.state
        self._settle(number)
        _LOG.info("round %d: %s in attempt %d", number, state.value, attempt)

    def _adopt(self, each: Round) -> None:
        """Release what a peer has released, if one of the others is gone for good.

        A bundle shows the manifest with all three signatures: the sample is fixed, and this server
        signed it and has its shares. It needs nobody to hand out its own bundle.
        """
        for data in self._meet.bundles_of_peers(each.number):
            try:
                _, signed, _ = read_manifest(self._ingest.task, data)
            except ProtocolError as error:
                _LOG.warning("round %d: a peer's bundle: %s", each.number, error)
                continue
            if signed.manifest.round_number == each.number:
                each.adopt(signed)
                return

    def _settle(self, number: int) -> None:
        with self._changed:
            self._failures.pop(number, None)
            self._errors.pop(number, None)
            self._called.discard(number)

    def _note(self, number: int, code: str, message: str) -> None:
        with self._changed:
            failures = self._failures[number] = self._failures.get(number, 0) + 1
            if failures == self._most_attempts:
                message += f"; not tried again after {failures} attempts: order the round again"
            self._errors[number] = code, message
            self._called.discard(number)
        _LOG.warning("round %d: %s", number, message)
