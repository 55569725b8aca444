"""Errors over HTTP: problem details (RFC 9457) with a code for each kind."""

from __future__ import annotations

import json
from dataclasses import dataclass

from sfumato.donation.messages import Refusal, RefusalKind

__all__ = ["PROBLEMS", "PROBLEM_MEDIA_TYPE", "PROBLEM_PATH", "Problem", "problem_type", "refused"]

PROBLEM_MEDIA_TYPE = b"application/problem+json"
PROBLEM_PATH = "/v1/problems/"

PROBLEMS: dict[str, tuple[int, str]] = {
    RefusalKind.LENGTH: (400, "The message has the wrong length"),
    RefusalKind.VERSION: (400, "The version of the protocol is not known"),
    RefusalKind.TASK: (400, "The message belongs to another task"),
    RefusalKind.ROUND: (409, "The round is not open"),
    RefusalKind.REPORT_ID: (400, "The number is not the one in the address, or not random"),
    RefusalKind.TOKEN: (403, "The registrar did not sign for this report"),
    RefusalKind.KEY: (400, "The report is sealed to a key that the task does not name"),
    RefusalKind.ENVELOPE: (400, "This server's part does not open"),
    RefusalKind.COMMITMENT: (400, "A share is not the one that the header commits to"),
    RefusalKind.CONFLICT: (409, "Another report came under this number"),
    RefusalKind.EXPIRED: (409, "The task takes no donations now"),
    RefusalKind.FULL: (409, "The round is full"),
    RefusalKind.CODING: (400, "The message contradicts itself"),
    "order-refused": (403, "The order to close the round does not hold"),
    "not-found": (404, "There is nothing at this address"),
    "method-not-allowed": (405, "This address does not know the method"),
    "request-timeout": (408, "The body did not arrive in time"),
    "length-required": (411, "The length of the body must be said"),
    "too-large": (413, "The body is larger than any report"),
    "unsupported-media-type": (415, "The body is not of the media type of reports"),
    "too-many-requests": (429, "This address asks too often"),
    "store-unavailable": (503, "The server's disk or database refuses"),
    "busy": (503, "Too many reports wait for the disk"),
    "too-few-donors": (409, "A round needs more donors (n_min) and stays open"),
    "round-aborted": (409, "The round was aborted and will never be released"),
    "round-interrupted": (503, "A server was gone or out of step: the round is tried again"),
    "servers-away": (503, "The round waits for the two other servers"),
    "rounds-stopped": (503, "This server works at no round any more"),
}
"""For each code the status and the title."""


def problem_type(code: str) -> str:
    """Return what names a problem in documents of RFC 9457: an address that explains it."""
    return f"{PROBLEM_PATH}{code}"


@dataclass(frozen=True)
class Problem:
    """One error answer.

    Parameters
    ----------
    code
        A key of :data:`PROBLEMS`.
    detail
        What was wrong and what mends it; nothing of the request's content.
    headers
        More headers.
    """

    code: str
    detail: str
    headers: tuple[tuple[bytes, bytes], ...] = ()

    @property
    def status(self) -> int:
        """The status of HTTP."""
        return PROBLEMS[self.code][0]

    def to_json(self) -> bytes:
        """Return the body."""
        status, title = PROBLEMS[self.code]
        values = {
            "type": problem_type(self.code),
            "title": title,
            "status": status,
            "detail": self.detail,
            "code": str(self.code),
        }
        return json.dumps(values).encode()


def refused(refusal: Refusal) -> Problem:
    """Return the problem of a refusal."""
    return Problem(refusal.kind.value, str(refusal))
