"""Why a message is refused: one kind for each reason, the same in Python and over HTTP."""

from __future__ import annotations

from enum import StrEnum

from sfumato.errors import ProtocolError

__all__ = ["Refusal", "RefusalKind"]


class RefusalKind(StrEnum):
    """The reason of a refusal; its value is the code that the other party is told."""

    LENGTH = "wrong-length"
    """The message is shorter or longer than the task's messages are."""
    VERSION = "unknown-version"
    """The first byte names a version of the protocol that is not spoken here."""
    TASK = "other-task"
    """The message belongs to another task."""
    ROUND = "other-round"
    """The message belongs to a round that is not open."""
    REPORT_ID = "other-report-id"
    """The report's number is not the one that it was sent under, or is all zeros."""
    TOKEN = "token-refused"  # noqa: S105 - a code, no password
    """The registrar did not sign for this report."""
    KEY = "unknown-key"
    """A part is sealed to a key configuration that is not the task's."""
    ENVELOPE = "envelope-does-not-open"
    """The server's part does not open: another key, another header, or changed on the way."""
    COMMITMENT = "broken-commitment"
    """A share is not the one that the header commits to."""
    CONFLICT = "report-id-taken"
    """Another report came under the same number; with a token: it is spent."""
    EXPIRED = "outside-the-deadlines"
    """The task is not open yet, or no longer."""
    FULL = "round-full"
    """The round holds as many reports as the task allows."""
    CODING = "malformed"
    """A message's inner numbers contradict each other."""


class Refusal(ProtocolError):
    """A message that is refused, with the kind of the reason.

    Parameters
    ----------
    kind
        The reason.
    message
        The rule and the mend, in words; no content of a report.
    """

    def __init__(self, kind: RefusalKind, message: str) -> None:
        super().__init__(message)
        self.kind = kind
