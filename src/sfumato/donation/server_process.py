"""One organisation's server as a process: reports by HTTPS, rounds with the others by TLS."""

from __future__ import annotations

import logging
import signal
import ssl
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import TIMEOUT_MAX, Timer, current_thread, main_thread
from types import FrameType
from urllib.request import HTTPSHandler, ProxyHandler, build_opener

from sfumato.donation.links import Switchboard
from sfumato.donation.organisation import ForgettingStore, Organisation
from sfumato.donation.rounds import RoundKeys
from sfumato.donation.rounds.desk import RoundDesk
from sfumato.donation.rounds.rounds_endpoints import RoundsApplication
from sfumato.donation.serving import DonationApplication, Ingest
from sfumato.donation.serving.running import uvicorn_server
from sfumato.donation.sharing import Channels, FramedChannels
from sfumato.donation.storage import open_store
from sfumato.errors import EngineError

__all__ = ["DonationServer", "run_server"]

_LOG = logging.getLogger("sfumato.donation.server")
_ASK_SECONDS = 10.0
_GOODBYE_SECONDS = 5.0
_ROUND_BITS, _ATTEMPT_BITS = 20, 12


@dataclass(frozen=True, eq=False)
class _Meeting:
    """Meets the two others by the switchboard."""

    switchboard: Switchboard
    organisation: Organisation

    def __call__(self, number: int, proposal: int) -> tuple[Channels, int]:
        meeting = self.switchboard.meet(number, proposal)
        # frames of another round or attempt are refused
        name = number % (1 << _ROUND_BITS) << _ATTEMPT_BITS
        name |= meeting.attempt % (1 << _ATTEMPT_BITS)
        return FramedChannels(meeting.links, name), meeting.attempt

    def wait(self, failures: int) -> None:
        self.switchboard.wait(failures)

    def bundles_of_peers(self, number: int) -> list[bytes]:
        task = self.organisation.task
        found = []
        # a class and two shares for each row, and the rest: a peer must not fill the memory
        row_bytes = 4 + 2 * sum(task.configuration.codec.sensitive_widths)
        most_bytes = (1 << 24) + task.configuration.n_max * row_bytes
        for card in self.organisation.cards():
            if card.index == self.organisation.settings.index:
                continue
            context = ssl.create_default_context()
            context.load_verify_locations(cadata=card.certificate)
            opener = build_opener(ProxyHandler({}), HTTPSHandler(context=context))
            url = f"{card.url}/v1/tasks/{task.task_id.hex()}/rounds/{number}/bundle"
            # what comes is believed for its signatures, not for where it came from
            with (
                suppress(OSError, ValueError),
                opener.open(url, timeout=_ASK_SECONDS) as answer,
            ):
                found.append(answer.read(most_bytes))  # one that is cut off does not hold
        return found


class DonationServer:
    """All that one server runs, but for the HTTP server around it.

    Parameters
    ----------
    organisation
        Its folder, with the task in place.

    Raises
    ------
    PlanError
        If something is missing in the folder.
    EngineError
        If a port or the store cannot be used.
    ProtocolError
        If keys, cards and task do not fit each other.
    """

    def __init__(self, organisation: Organisation) -> None:
        settings = organisation.settings
        signed = organisation.task
        task = signed.configuration
        keys, signer = organisation.task_keys, organisation.signer
        inner = open_store(organisation.store, task.task_id, task.n_max)
        self._store = ForgettingStore(inner, keys)
        self._erased_by = task.erased_by.timestamp()
        self._deadline: Timer | None = None
        if keys.are_erased:  # a stop may have come in between
            keys.erase()
        self.ingest = Ingest(signed, settings.index, keys.envelope, signer, self._store)
        self.switchboard = Switchboard(
            settings.index,
            task.task_id,
            (settings.link_host, settings.link_port),
            organisation.certificate,
            organisation.tls_key,
            organisation.peers(),
            timeout=settings.timeout_seconds,
            called=self._called,
        )
        self.desk = RoundDesk(
            self.ingest,
            organisation.folder / "rounds",
            RoundKeys(signer, keys.verification_part),
            settings.rounds,
            _Meeting(self.switchboard, organisation),
            closing_key=organisation.closing_key,
            most_attempts=settings.most_attempts,
        )
        donations = DonationApplication(self.ingest, settings.limits)
        self.application = RoundsApplication(donations, self.desk, settings.limits)

    def start(self) -> None:
        """Begin to work at rounds that were ordered; forget all at the task's ``erased_by``."""
        left = self._erased_by - time.time()
        if left <= 0:
            self._forget()
        else:
            self._deadline = Timer(min(left, TIMEOUT_MAX), self._forget)
            self._deadline.daemon = True
            self._deadline.start()
        self.desk.start()

    def _forget(self) -> None:
        """Erase keys and reports, whatever has become of the round: that was promised."""
        try:
            self._store.forget()
        except EngineError as error:
            _LOG.warning("erased_by has passed, and the disk refuses: %s", error)
        else:
            _LOG.info("erased_by has passed: keys and reports of the task are erased")

    def stop(self) -> None:
        """Let go of ports and store; a round that runs goes on at the next start."""
        if self._deadline is not None:
            self._deadline.cancel()
        self.desk.stop()
        self.switchboard.close()
        self.desk.join(_GOODBYE_SECONDS)
        self._store.close()

    def _called(self, number: int) -> None:
        with suppress(AttributeError):  # a call that comes before the desk is there comes again
            self.desk.called(number)


def run_server(folder: str | Path) -> None:
    """Run a server until the process is told to end.

    Parameters
    ----------
    folder
        Of the organisation.

    Raises
    ------
    MissingExtra
        If uvicorn is not installed.
    PlanError, EngineError, ProtocolError
        As :class:`DonationServer`.
    """
    organisation = Organisation(folder)
    settings = organisation.settings
    logging.getLogger("sfumato.donation").setLevel(logging.INFO)
    server = DonationServer(organisation)
    certificate = private_key = None
    if not settings.plain:
        certificate = settings.certificate or organisation.certificate
        private_key = settings.private_key or organisation.tls_key
    if current_thread() is main_thread():
        # uvicorn ends in peace and then raises the signal again: that must not skip what follows
        signal.signal(signal.SIGTERM, _end)
    try:
        server.start()
        uvicorn_server(
            server.application,
            settings.host,
            settings.port,
            certificate=certificate,
            private_key=private_key,
        ).run()
    finally:
        server.stop()


def _end(_number: int, _frame: FrameType | None) -> None:
    raise SystemExit(0)
