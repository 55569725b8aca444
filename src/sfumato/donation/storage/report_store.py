"""What every store of reports does, however it keeps them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

import numpy as np
import numpy.typing as npt

__all__ = ["Kept", "Outcome", "ReportStore", "StoredReport"]

Ids = npt.NDArray[np.uint8]


class Outcome(StrEnum):
    """What became of a report that was put into a store."""

    STORED = "stored"
    """It was new, and is now on the disk."""
    REPEATED = "repeated"
    """The same bytes were stored before; nothing has changed."""
    CONFLICT = "conflict"
    """Other bytes, or the same in another round, were stored under its number before."""
    CLOSED = "closed"
    """It is new, and its round is not the open one."""
    FULL = "full"
    """It is new, and the round holds as many reports as it may."""


@dataclass(frozen=True)
class StoredReport:
    """One report as it is kept.

    Parameters
    ----------
    report_id
        16 bytes.
    round_number
        The round for which it was made.
    digest
        SHA-256 of the report as it came.
    time_bucket
        When it came, rounded down, in seconds since 1970.
    body
        What is kept of it.
    """

    report_id: bytes = field(repr=False)
    round_number: int
    digest: bytes = field(repr=False)
    time_bucket: int
    body: bytes = field(repr=False)


@dataclass(frozen=True)
class Kept:
    """What became of a report, and the time under which it is kept.

    Parameters
    ----------
    outcome
        What became of it.
    time_bucket
        Of the stored report: the first one's if it was repeated.
    """

    outcome: Outcome
    time_bucket: int


class ReportStore(Protocol):
    """The reports of one task at one server.

    One process owns a store. Rounds are numbered from 0; one is open, the one after the last that
    was frozen. A store never forgets a number, also not when it erases a round.
    """

    @property
    def round_number(self) -> int:
        """The round that is open."""
        ...

    def put(self, reports: Sequence[StoredReport]) -> list[Kept]:
        """Keep reports; what is returned as stored or repeated survives a crash.

        Parameters
        ----------
        reports
            A few thousand at most; they are made durable together.

        Raises
        ------
        EngineError
            If the disk or the database refuses; then none of the new ones is kept.
        """
        ...

    def count(self, round_number: int) -> int:
        """Return how many reports a round holds."""
        ...

    def freeze(self, round_number: int) -> Ids:
        """Close a round for good and return its numbers, shape (n, 16), rising.

        Freezing a frozen round again returns the same.

        Raises
        ------
        ProtocolError
            If the round is neither open nor frozen.
        """
        ...

    def read(self, round_number: int) -> Iterator[StoredReport]:
        """Return the reports of a round in the order of their numbers.

        Raises
        ------
        EngineError
            If one is damaged.
        """
        ...

    def erase(self, round_number: int) -> None:
        """Forget the bodies of a frozen round; the numbers stay, so that none is used again.

        Raises
        ------
        ProtocolError
            If the round is open.
        """
        ...

    def close(self) -> None:
        """Let go of the store."""
        ...
