"""The states of a round, and how a server is interrupted in one."""

from __future__ import annotations

from enum import StrEnum

from sfumato.errors import ProtocolError

__all__ = ["Deviation", "Interrupted", "RoundState", "TooFewDonors"]


class RoundState(StrEnum):
    """How far a round has come at one server; what it writes to its journal."""

    OPEN = "OPEN"
    """Reports are taken."""
    FROZEN = "FROZEN"
    """All three have signed which reports they hold, and no other will be added."""
    VERIFIED = "VERIFIED"
    """Reports whose parts do not fit each other are dropped."""
    SHUFFLED = "SHUFFLED"
    """The records lie in shares in an order that no server knows."""
    COUNTED = "COUNTED"
    """The counts of cells lie in shares of all three."""
    RECODED = "RECODED"
    """The recoding is public among the three."""
    LABELLED = "LABELLED"
    """The class of each shuffled record is opened, the sample is fixed and on the disk."""
    SAMPLED = "SAMPLED"
    """All three have signed the sample: there will never be another one."""
    RELEASED = "RELEASED"
    """The bundle for the researcher is on the disk, sealed."""
    ERASED = "ERASED"
    """Keys, shares and reports of the round are gone."""
    ABORTED = "ABORTED"
    """The round will never be released; keys, shares and reports are gone."""

    @property
    def is_final(self) -> bool:
        """Whether nothing more will happen."""
        return self in {RoundState.ERASED, RoundState.ABORTED}


class Interrupted(ProtocolError):
    """A peer is gone, slow or out of step: the same round may be tried again."""


class TooFewDonors(ProtocolError):
    """The round stays open, as nothing has been frozen yet."""


class Deviation(ProtocolError):
    """A server, or all donors together, broke the protocol: the round is aborted.

    Parameters
    ----------
    message
        What was seen.
    evidence
        What proves it to others, such as two signed freezes of one round; name and bytes.
    """

    def __init__(self, message: str, evidence: dict[str, bytes] | None = None) -> None:
        super().__init__(message)
        self.evidence = evidence or {}
