"""What a server does with a report, whichever way it came.

A report is opened and checked when it comes, so that a donor learns at once what is wrong with it.
It is stored as it came, sealed: what lies on the disk is unreadable without the round's private
key, and deleting that key erases it. After the freeze it is opened a second time.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from sfumato.donation.messages import (
    Freeze,
    Receipt,
    Refusal,
    RefusalKind,
    Report,
    ServerShares,
    SignedTask,
    open_report,
)
from sfumato.donation.messages.report import check_report
from sfumato.donation.protecting import EnvelopeKey, SigningKey, check_token
from sfumato.donation.storage import Outcome, ReportStore, StoredReport
from sfumato.errors import EngineError, ProtocolError

__all__ = ["Ingest", "Taken"]

_REFUSED = {
    Outcome.CONFLICT: (
        RefusalKind.CONFLICT,
        "report: another one came under this number before: a donor, and a token, count once",
    ),
    Outcome.CLOSED: (
        RefusalKind.ROUND,
        "report: made for a round that is not open; a task has one round: ask for its status",
    ),
    Outcome.FULL: (
        RefusalKind.FULL,
        "report: the round holds as many as the task allows (n_max), so no more are taken",
    ),
}


class Taken(NamedTuple):
    """A report that is kept, and the proof."""

    outcome: Outcome
    receipt: Receipt


class Ingest:
    """Checks, keeps and acknowledges the reports of one task at one server.

    Parameters
    ----------
    signed
        The task.
    server
        Which of its servers this is: 0, 1 or 2.
    envelope
        The private key to which donors seal this server's part.
    signer
        The key that signs its receipts.
    store
        Where reports are kept.
    clock
        Returns seconds since 1970.

    Raises
    ------
    ProtocolError
        If the keys are not those that the task names for this server.
    """

    def __init__(
        self,
        signed: SignedTask,
        server: int,
        envelope: EnvelopeKey,
        signer: SigningKey,
        store: ReportStore,
        clock: Callable[[], float] = time.time,
    ) -> None:
        party = signed.configuration.servers[server]
        if not hmac.compare_digest(party.envelope.public_key, envelope.public_key):
            raise ProtocolError(
                f"the envelope key is not the one that the task names: {party.name}"
            )
        if not hmac.compare_digest(party.verifying_key, signer.verifying_key):
            raise ProtocolError(f"the signing key is not the one that the task names: {party.name}")
        self.signed = signed
        self.task = signed.configuration
        self.server = server
        self.store = store
        self._envelope = envelope
        self._signer = signer
        self._clock = clock
        self._layout = self.task.layout
        self._registrar = self.task.registrar.public_key if self.task.registrar else None
        self._opens = self.task.opens.timestamp()
        self._closes = self.task.closes.timestamp()

    @property
    def accepting(self) -> bool:
        """Whether the task's deadlines let reports in."""
        return self._opens <= self._clock() < self._closes

    def check(self, data: bytes, report_id: bytes | None = None) -> StoredReport:
        """Return a report ready to be stored, after every check that this server can do alone.

        Parameters
        ----------
        data
            As it came.
        report_id
            The number under which it was sent, if it was sent under one.

        Raises
        ------
        Refusal
            Of the kind of the first check that fails.
        """
        now = self._clock()
        if not self._opens <= now < self._closes:
            raise Refusal(
                RefusalKind.EXPIRED,
                f"report: the task takes donations from {self.task.opens:%Y-%m-%d %H:%M} to "
                f"{self.task.closes:%Y-%m-%d %H:%M} (UTC)",
            )
        report = Report.from_bytes(data, self._layout)
        if report_id is not None and report_id != report.report_id:
            raise Refusal(RefusalKind.REPORT_ID, "report: its number is not the one in its address")
        if self._registrar is not None:
            try:
                check_token(self._registrar, self.task.task_id, report.report_id, report.token)
            except ProtocolError as error:
                raise Refusal(RefusalKind.TOKEN, f"report: {error}") from None
        check_report(self.task, report, self.server, self._envelope)
        bucket = int(now) - int(now) % self.task.receipt_bucket_seconds
        digest = hashlib.sha256(data).digest()
        return StoredReport(report.report_id, report.round_number, digest, bucket, data)

    def put(self, reports: Sequence[StoredReport]) -> list[Taken | Refusal]:
        """Keep checked reports together and return their receipts, signed together.

        Those that the store does not keep are refused by the kind ``CONFLICT``, ``ROUND`` or
        ``FULL``.

        Raises
        ------
        EngineError
            If the store refuses.
        """
        kept = self.store.put(reports)
        durable = [
            (report.report_id, report.round_number, each.time_bucket)
            for report, each in zip(reports, kept, strict=True)
            if each.outcome not in _REFUSED
        ]
        receipts = iter(Receipt.sign(self._signer, self.task.task_id, self.server, durable))
        return [
            Refusal(*_REFUSED[each.outcome])
            if each.outcome in _REFUSED
            else Taken(each.outcome, next(receipts))
            for each in kept
        ]

    def take(self, reports: Sequence[bytes]) -> list[Receipt | Refusal]:
        """Check and keep reports that came together, such as from another server.

        Raises
        ------
        EngineError
            If the store refuses.
        """
        checked: list[StoredReport | Refusal] = []
        for data in reports:
            try:
                checked.append(self.check(data))
            except Refusal as refusal:
                checked.append(refusal)
        kept = iter(self.put([each for each in checked if isinstance(each, StoredReport)]))
        answers: list[Receipt | Refusal] = []
        for each in checked:
            answer = each if isinstance(each, Refusal) else next(kept)
            answers.append(answer.receipt if isinstance(answer, Taken) else answer)
        return answers

    def freeze(self, round_number: int) -> Freeze:
        """Close a round for good and sign which reports it holds; the next round is then open.

        Raises
        ------
        ProtocolError
            If the round is neither open nor frozen already.
        """
        ids = self.store.freeze(round_number)
        return Freeze.sign(self._signer, self.task.task_id, round_number, self.server, ids)

    def shares(self, round_number: int) -> Iterator[ServerShares]:
        """Return what this server learns from each report of a round, by their numbers.

        Raises
        ------
        EngineError
            If a stored report is damaged.
        """
        for stored in self.store.read(round_number):
            try:
                report = Report.from_bytes(stored.body, self._layout)
                yield open_report(self.task, report, self.server, self._envelope)
            except Refusal:
                raise EngineError(
                    "a stored report does not open: it was stored under another key"
                ) from None
