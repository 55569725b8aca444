"""VERIFIED, put together: accepted reports, their counts and, in mode dpf, their records."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from sfumato.donation.functions import PartyKey, PointFunction, VerificationKey
from sfumato.donation.messages import ServerShares, TaskConfiguration, share_components
from sfumato.donation.rounds.binding import DigitMarks
from sfumato.donation.rounds.exchanging import digest_of, tell_both
from sfumato.donation.rounds.function_keys import check_count_layout, nonce_of, read_keys
from sfumato.donation.rounds.mailboxes import (
    TABLES,
    Mailboxes,
    check_mailboxes,
    mailbox_function,
)
from sfumato.donation.rounds.states import Deviation
from sfumato.donation.rounds.verifying import (
    Mask,
    agree_on_headers,
    check_counts,
    open_verification_key,
)
from sfumato.donation.sharing import Party

__all__ = ["Accepted", "accept_reports"]

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Accepted:
    """The reports of a round after all checks; nothing of it prints.

    Parameters
    ----------
    reports
        What this server has learnt from each.
    digest
        A hash of their numbers.
    table
        Share of their counts at servers 0 and 1, else None.
    mailboxes
        Their records in the mode ``"dpf"``, else None; this server's share of each, in the order of
        `reports`, is ``mailboxes.records``.
    """

    reports: list[ServerShares] = field(repr=False)
    digest: bytes
    table: npt.NDArray[np.uint32] | None = field(repr=False)
    mailboxes: Mailboxes | None = field(repr=False)


def accept_reports(
    party: Party,
    task: TaskConfiguration,
    reports: list[ServerShares],
    verification_part: bytes,
    *,
    counted: bool,
) -> Accepted:
    """Check the reports that all three hold, and agree which are accepted.

    Parameters
    ----------
    party
        The server.
    task
        The task.
    reports
        What this server has learnt from each, in the order of their numbers.
    verification_part
        This server's part of the key of the checks.
    counted
        Whether the histogram is needed.

    Raises
    ------
    Deviation
        If a server breaks the protocol, or too few are left.
    """
    headers = np.frombuffer(b"".join(s.header_hash for s in reports), np.uint8).reshape(-1, 32)
    reports = _only(reports, agree_on_headers(party, headers))
    table, mailboxes = None, None
    if counted or task.mode == "dpf":
        key = open_verification_key(party, task, verification_part)
        if task.mode == "dpf":
            family = mailbox_function(task)
            keys = _mailbox_keys(party.index, family, reports)
            mailboxes = check_mailboxes(party, family, keys, len(reports), key)
            keys = [_only(some, mailboxes.accepted) for some in keys]
            reports = _only(reports, mailboxes.accepted)
        if counted:
            accepted, table = _count(party, task, reports, mailboxes, key)
            if mailboxes is not None:
                mailboxes.take_out(keys, ~accepted, key)
                if mailboxes.records is not None:
                    mailboxes = replace(mailboxes, records=mailboxes.records[accepted])
            reports = _only(reports, accepted)
    digest = digest_of("accepted", *(s.report_id for s in reports))
    said = tell_both(party, "compare accepted reports", digest)
    if any(other != digest for other in said.values()):
        raise Deviation("verify: the servers do not accept the same reports")
    if len(reports) < task.n_min:
        raise Deviation(
            f"verify: {len(reports)} reports hold, and a round needs {task.n_min} (n_min)"
        )
    return Accepted(reports, digest, table, mailboxes)


def _count(
    party: Party,
    task: TaskConfiguration,
    reports: list[ServerShares],
    mailboxes: Mailboxes | None,
    key: VerificationKey,
) -> tuple[Mask, npt.NDArray[np.uint32] | None]:
    function = check_count_layout(task)
    keys: list[PartyKey | None] = []
    marks = DigitMarks(task.codec, key)
    record_marks = np.zeros(len(reports), np.uint32)
    if party.index < 2 and reports:
        if mailboxes is not None and mailboxes.records is not None:
            record_marks = marks.of_shares([mailboxes.records], party.index)
        else:
            record_marks = marks.of_shares(share_components(reports), party.index)
        nonces = [nonce_of(s.task_id, s.report_id, 0) for s in reports]
        keys = read_keys(function, nonces, party.index, [s.histogram_key for s in reports])
    counted = check_counts(party, function, keys, marks.of_cells(), record_marks, key)
    return counted.accepted, counted.table


def _mailbox_keys(
    index: int, function: PointFunction, reports: list[ServerShares]
) -> list[list[PartyKey | None]]:
    if index == 2:
        return []
    return [
        read_keys(
            function,
            [nonce_of(s.task_id, s.report_id, 1 + table) for s in reports],
            index,
            [s.mailbox_keys[table] for s in reports],
        )
        for table in range(TABLES)
    ]


def _only(values: list[T], mask: Mask) -> list[T]:
    return [value for value, good in zip(values, mask, strict=True) if good]
