"""The keys of a task that end with its round, so that what was sealed to them stays sealed.

A task has one round. Donors seal to a key that was made for this task, and what the server stores
is what they sealed. When the round is erased, or cancelled, that key is destroyed: then nothing on
the server's disk opens a report, whether the log's blocks are still on it or somebody has kept a
copy of the traffic (forward secrecy). The share of the key by which reports are checked goes with
it. A second round under the same keys would be wrong for another reason too: the key of the checks
is opened to all in the first one, so that reports could be made to fit it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sfumato.atomic import sync_folder
from sfumato.donation.messages import EnvelopeConfiguration
from sfumato.donation.protecting import EnvelopeKey, Kem
from sfumato.donation.rounds.vault import erase_file
from sfumato.donation.storage import Kept, Outcome, ReportStore, StoredReport
from sfumato.errors import EngineError, PlanError, ProtocolError

__all__ = ["ErasableEnvelopeKey", "ForgettingStore", "TaskKeys", "read_octets", "read_text"]

_MARK = "erased"
_ERASED_FILES = ("envelope", "verification")
_ROUND = 0


class ErasableEnvelopeKey(EnvelopeKey):
    """The private key of a receiver, until it is erased.

    Parameters
    ----------
    kem
        Its mechanism.
    public_key
        The public key that others know.
    secret
        As :class:`~..protecting.EnvelopeKey` takes it; None if it is erased already.

    Raises
    ------
    ProtocolError
        If the secret is not that of the public key.
    """

    __slots__ = ("_is_erased",)

    def __init__(self, kem: Kem, public_key: bytes, secret: bytes | None) -> None:
        super().__init__(
            kem, EnvelopeKey.generate(kem).secret_bytes() if secret is None else secret
        )
        self._is_erased = secret is None
        if secret is not None and self.public_key != public_key:
            raise ProtocolError("the envelope key is not the one of the server's card")
        self.public_key = public_key

    def open(self, sealed: bytes, info: bytes) -> bytes:
        """Return the plaintext of a message; see :meth:`~..protecting.EnvelopeKey.open`."""
        if self._is_erased:
            raise ProtocolError(
                "the task's round is over, and the key that opens its reports is erased"
            )
        return super().open(sealed, info)

    def erase(self) -> None:
        """Put another key, which nobody knows, in the place of the secret."""
        other = EnvelopeKey.generate(self.kem)
        self._secret, self._key, self._is_erased = other._secret, other._key, True


class TaskKeys:
    """The erasable keys of one server's folder.

    Parameters
    ----------
    folder
        Where they lie.
    public
        The public side of the envelope, as the server's card says it.

    Raises
    ------
    PlanError
        If a key is missing that was not erased, or malformed.
    """

    def __init__(self, folder: Path, public: EnvelopeConfiguration) -> None:
        self._folder = folder
        secret, self.verification_part = None, b""
        if not self.are_erased:
            kem, _, digits = read_text(folder / "envelope").partition(" ")
            if kem != public.kem:
                raise PlanError(f"{folder / 'envelope'} is not the key of the card: restore it")
            secret = read_octets(digits)
            self.verification_part = read_octets(read_text(folder / "verification"))
        self.envelope = ErasableEnvelopeKey(public.kem, public.public_key, secret)

    @property
    def are_erased(self) -> bool:
        """Whether they were destroyed, or are about to be."""
        return (self._folder / _MARK).exists()

    def erase(self) -> None:
        """Destroy them on the disk and in this process; may be repeated after a stop.

        Raises
        ------
        EngineError
            If the disk refuses.
        """
        try:
            # said first: after a stop in between it is known that the rest must go too
            os.close(os.open(self._folder / _MARK, os.O_WRONLY | os.O_CREAT, 0o600))
            sync_folder(self._folder)
            for name in _ERASED_FILES:
                erase_file(self._folder / name)
        except OSError as error:
            reason = (error.strerror or "the disk refused").lower()
            raise EngineError(f"{self._folder}: {reason}") from None
        self.envelope.erase()


class ForgettingStore:
    """A :class:`~..storage.ReportStore` of one round, whose erasure begins with the keys.

    Parameters
    ----------
    inner
        Where reports are kept.
    keys
        What opens them.
    """

    def __init__(self, inner: ReportStore, keys: TaskKeys) -> None:
        self._inner, self._keys = inner, keys

    @property
    def round_number(self) -> int:
        """The round that is open; above 0, none is."""
        return self._inner.round_number

    def put(self, reports: Sequence[StoredReport]) -> list[Kept]:
        """Keep reports of the task's round; those of another are refused as closed."""
        own = [report for report in reports if report.round_number == _ROUND]
        kept = iter(self._inner.put(own))
        return [
            next(kept)
            if report.round_number == _ROUND
            else Kept(Outcome.CLOSED, report.time_bucket)
            for report in reports
        ]

    def count(self, round_number: int) -> int:
        """Return how many reports a round holds."""
        return self._inner.count(round_number)

    def freeze(self, round_number: int) -> npt.NDArray[np.uint8]:
        """Close a round for good and return its numbers."""
        return self._inner.freeze(round_number)

    def read(self, round_number: int) -> Iterator[StoredReport]:
        """Return the reports of a round in the order of their numbers."""
        return self._inner.read(round_number)

    def erase(self, round_number: int) -> None:
        """Destroy the keys, then forget the bodies of the frozen round."""
        if round_number >= self.round_number:
            raise ProtocolError(f"round {round_number} is not frozen: freeze it first")
        self._keys.erase()
        self._inner.erase(round_number)

    def forget(self) -> None:
        """Close and erase the round, however far it is."""
        self.freeze(_ROUND)
        self.erase(_ROUND)

    def close(self) -> None:
        """Let go of the store."""
        self._inner.close()


def read_text(path: Path) -> str:
    """Return the text of a key file.

    Raises
    ------
    PlanError
        If it cannot be read.
    """
    try:
        return path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError):
        raise PlanError(f"{path}: cannot be read; keys are made by --init") from None


def read_octets(digits: str) -> bytes:
    """Return the bytes of hexadecimal digits in a key file.

    Raises
    ------
    PlanError
        If they are none.
    """
    try:
        return bytes.fromhex(digits)
    except ValueError:
        raise PlanError("a key file is malformed: restore it") from None
