"""Which of the reports that came together are new; the same rule for every store."""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence

from sfumato.donation.storage.report_store import Kept, Outcome, StoredReport

__all__ = ["admit"]


def admit(
    reports: Sequence[StoredReport],
    known: Mapping[bytes, tuple[int, bytes, int]],
    current: int,
    room: int,
) -> tuple[list[Kept], list[StoredReport]]:
    """Return what becomes of each report, and those that are to be stored.

    Parameters
    ----------
    reports
        As they came; a number may stand twice.
    known
        Round, digest and time of the stored reports, by their numbers.
    current
        The open round.
    room
        How many more reports it may hold.
    """
    seen = dict(known)
    kept: list[Kept] = []
    new: list[StoredReport] = []
    for report in reports:
        before = seen.get(report.report_id)
        if before is not None:
            kept.append(_compared(report, before))
        elif report.round_number != current:
            kept.append(Kept(Outcome.CLOSED, report.time_bucket))
        elif len(new) >= room:
            kept.append(Kept(Outcome.FULL, report.time_bucket))
        else:
            new.append(report)
            seen[report.report_id] = (current, report.digest, report.time_bucket)
            kept.append(Kept(Outcome.STORED, report.time_bucket))
    return kept, new


def _compared(report: StoredReport, before: tuple[int, bytes, int]) -> Kept:
    round_number, digest, bucket = before
    same = hmac.compare_digest(digest, report.digest) and round_number == report.round_number
    return Kept(Outcome.REPEATED if same else Outcome.CONFLICT, bucket)
