"""A journal: lines that are on the disk before anything follows from them.

Each line is a chained SHA-256 (32 hexadecimal digits are kept), a space and a JSON object. A line
that was being written when the machine stopped is cut off; any other damage is an error.
"""

from __future__ import annotations

import errno
import hashlib
import hmac
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sfumato.atomic import sync_folder
from sfumato.errors import EngineError

__all__ = ["Journal"]

_DIGITS = 32


class Journal:
    """The lines of one round at one server.

    Parameters
    ----------
    path
        The file; made, open to its owner alone, if it is not there.

    Raises
    ------
    EngineError
        If the file cannot be used, or is damaged other than at its end.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._chain = b""
        self._lines: list[dict[str, Any]] = []
        try:
            if not path.exists():
                os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
                sync_folder(path.parent)
            data = path.read_bytes()
        except OSError as error:
            raise EngineError(f"{path}: {_reason(error)}") from None
        self._end = self._read(data)
        if self._end < len(data):
            self._cut()

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self._lines)

    def __len__(self) -> int:
        return len(self._lines)

    def append(self, line: dict[str, Any]) -> None:
        """Write a line and wait until it is on the disk.

        Raises
        ------
        EngineError
            If the disk refuses; then the journal is as it was before.
        """
        body = json.dumps(line, sort_keys=True, separators=(",", ":")).encode()
        chain = self._next(body)
        data = chain + b" " + body + b"\n"
        try:
            self._write(data)
        except OSError as error:
            self._cut()
            raise EngineError(
                f"{self._path}: {_reason(error)}; nothing half-written was left, and the round "
                "goes on from here once the disk takes it"
            ) from None
        self._chain, self._end = chain, self._end + len(data)
        self._lines.append(line)

    def _write(self, data: bytes) -> None:
        with self._path.open("ab", buffering=0) as file:
            if file.write(data) != len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(file.fileno())

    def _read(self, data: bytes) -> int:
        """Take up all whole lines and return where they end."""
        end = 0
        *lines, _ = data.split(b"\n")
        for number, text in enumerate(lines, 1):
            chain, _, body = text.partition(b" ")
            if not hmac.compare_digest(chain, self._next(body)):
                if number == len(lines) and len(data) == end + len(text) + 1:
                    break  # the last line, half on the disk
                raise EngineError(
                    f"{self._path}, line {number}: damaged. Restore the file; without it the round "
                    "must not be run by this server again"
                )
            self._chain = chain
            self._lines.append(json.loads(body))
            end += len(text) + 1
        return end

    def _next(self, body: bytes) -> bytes:
        digest = hashlib.sha256(b"sfumato journal 1\0" + self._chain + body).hexdigest()
        return digest[:_DIGITS].encode()

    def _cut(self) -> None:
        try:
            with self._path.open("r+b", buffering=0) as file:
                file.truncate(self._end)
                os.fsync(file.fileno())
        except OSError as error:
            raise EngineError(f"{self._path}: {_reason(error)}") from None


def _reason(error: OSError) -> str:
    return (error.strerror or "the disk refused").lower()
