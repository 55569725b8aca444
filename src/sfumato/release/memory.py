"""What was learned is kept until its release is finished: training is the long part of a study."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from sfumato.errors import DataError
from sfumato.evaluation import Learned
from sfumato.release.folders import write_text

__all__ = ["FileMemory", "Memory", "Nothing"]


class Memory(Protocol):
    """Where results of training are kept, so that an interrupted study need not repeat them."""

    def recall(self, key: Mapping[str, object]) -> Learned | None:
        """Return what was learned under these settings, or None."""
        ...

    def keep(self, key: Mapping[str, object], learned: Learned) -> None:
        """Keep a result."""
        ...


class Nothing:
    """A memory that keeps nothing."""

    def recall(self, key: Mapping[str, object]) -> Learned | None:  # noqa: ARG002
        """Return None."""
        return None

    def keep(self, key: Mapping[str, object], learned: Learned) -> None:
        """Do nothing."""


class FileMemory:
    """A memory of one file for each result; they hold scores and curves, never a person's row.

    Parameters
    ----------
    folder
        Where the files are.
    made
        Fingerprint of the release that was learned from.
    """

    def __init__(self, folder: Path, made: str) -> None:
        self._folder = folder
        self._made = made

    def recall(self, key: Mapping[str, object]) -> Learned | None:
        """Return what was learned under these settings, or None."""
        try:
            return Learned.from_dict(json.loads(self._path(key).read_text("utf-8")))
        except (OSError, ValueError, KeyError, TypeError, DataError):
            return None

    def keep(self, key: Mapping[str, object], learned: Learned) -> None:
        """Write a result, whole or not at all."""
        text = json.dumps(learned.to_dict(), sort_keys=True, allow_nan=False)
        write_text(self._path(key), text + "\n")

    def _path(self, key: Mapping[str, object]) -> Path:
        text = json.dumps({"made": self._made, **key}, sort_keys=True, default=str)
        return self._folder / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.json"
