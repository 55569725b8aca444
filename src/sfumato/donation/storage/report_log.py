r"""An append-only file of reports: what is in it, whole, has been acknowledged or may be.

::

    head     "sfumlog1" | task 32 | round 4 | CRC-32 of these 4
    entry    length of the body 4 | number 16 | digest 32 | time 8 | body | CRC-32 of these 4

Reports are appended a group at a time and made durable before the next group begins. So only the
last group can be torn by a crash, and none of it was acknowledged: it is cut off when the file is
opened. Damage that reaches further back than one group can is no torn tail, and is refused.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self

from sfumato.atomic import sync_folder
from sfumato.donation.storage.report_store import StoredReport
from sfumato.errors import EngineError

__all__ = ["MOST_GROUP_BYTES", "ReportLog"]

MOST_GROUP_BYTES = 1 << 24
"""How many bytes are made durable together at most."""

_AT_ONCE = 1 << 20
_MAGIC = b"sfumlog1"
_HEAD = struct.Struct(">8s32sI")
_ENTRY = struct.Struct(">I16s32sQ")
_CHECK = struct.Struct(">I")
_HEAD_BYTES = _HEAD.size + _CHECK.size


class ReportLog:
    """The log of one round, open for appending and reading.

    Parameters
    ----------
    path
        The file; made if it is not there.
    task_id, round_number
        What it belongs to.

    Raises
    ------
    EngineError
        If the file cannot be used, or belongs to another task or round.
    """

    def __init__(self, path: Path, task_id: bytes, round_number: int) -> None:
        self._path = path
        self._round = round_number
        head = _HEAD.pack(_MAGIC, task_id, round_number)
        head += _CHECK.pack(zlib.crc32(head))
        self._broken = False
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
            found = os.pread(self._file, _HEAD_BYTES, 0)
            if found != head and head.startswith(found):  # new, or torn while it was made
                os.ftruncate(self._file, 0)
                os.pwrite(self._file, head, 0)
                os.fsync(self._file)
                sync_folder(path.parent)
                found = head
            self.end = os.fstat(self._file).st_size
        except OSError as error:
            raise self._refusal(error) from None
        if found != head:
            self.close()
            raise EngineError(f"{path} is not the log of this task and round, or damaged")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def recover(self, start: int) -> Iterator[tuple[int, int, StoredReport]]:
        """Return the whole entries from an offset on, then cut off what is torn behind them.

        They are durable when all have been returned: a server that was killed, or that the disk
        refused, may have left entries that only the system's cache holds.

        Parameters
        ----------
        start
            Where entries begin that are not known; 0 for all.

        Returns
        -------
        iterator of (int, int, StoredReport)
            Offset, length and report of each.

        Raises
        ------
        EngineError
            If the file is shorter than what was acknowledged, or damaged before its last group.
        """
        at = max(start, _HEAD_BYTES)
        if self.end < at:
            raise EngineError(
                f"{self._path} is shorter than what was acknowledged: restore it from a copy"
            )
        first = at
        while at < self.end and (entry := self._entry_at(at)) is not None:
            length, report = entry
            yield at, length, report
            at += length
        if self.end - at > MOST_GROUP_BYTES:
            raise EngineError(f"{self._path} is damaged at byte {at}: restore it")
        self._write_again(first, at)
        if at < self.end:
            self._cut(at)

    def append(self, reports: Sequence[StoredReport]) -> list[tuple[int, int]]:
        """Write reports behind all others and return offset and length of each, durable.

        Raises
        ------
        EngineError
            If the disk refuses; then nothing was appended.
        """
        if self._broken:
            raise EngineError(f"{self._path}: an earlier write failed; restart the server")
        entries = [_entry(report) for report in reports]
        start = self.end
        try:
            at = self._write(b"".join(entries), start)
        except OSError as error:
            self._cut(start)
            raise self._refusal(error) from None
        try:
            os.fdatasync(self._file)
        except OSError as error:
            # After a failed sync the system may have dropped the pages: nothing is known then.
            self._broken = True
            raise self._refusal(error) from None
        self.end = at
        places = []
        for entry in entries:
            places.append((start, len(entry)))
            start += len(entry)
        return places

    def undo(self, end: int) -> None:
        """Take back what was appended behind an offset."""
        self._cut(end)

    def read(self, offset: int, length: int) -> StoredReport:
        """Return the report at a place.

        Raises
        ------
        EngineError
            If it is damaged.
        """
        entry = self._entry_at(offset)
        if entry is None or entry[0] != length:
            raise EngineError(f"{self._path} is damaged at byte {offset}: restore it from a copy")
        return entry[1]

    def close(self) -> None:
        """Close the file."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _entry_at(self, at: int) -> tuple[int, StoredReport] | None:
        """Return length and report of a whole entry, or None."""
        try:
            head = os.pread(self._file, _ENTRY.size, at)
            if len(head) < _ENTRY.size:
                return None
            size, report_id, digest, bucket = _ENTRY.unpack(head)
            if size > MOST_GROUP_BYTES:
                return None
            rest = os.pread(self._file, size + _CHECK.size, at + _ENTRY.size)
        except OSError as error:
            raise self._refusal(error) from None
        if len(rest) < size + _CHECK.size:
            return None
        body = rest[:size]
        if _CHECK.unpack(rest[size:])[0] != zlib.crc32(body, zlib.crc32(head)):
            return None
        length = _ENTRY.size + size + _CHECK.size
        return length, StoredReport(report_id, self._round, digest, bucket, body)

    def _write(self, data: bytes, at: int) -> int:
        """Write all of it and return where it ends."""
        rest = memoryview(data)
        while len(rest):
            written = os.pwrite(self._file, rest, at)
            at += written
            rest = rest[written:]
        return at

    def _write_again(self, start: int, stop: int) -> None:
        """Make durable what is read from a part of the file.

        To synchronize is not enough: pages that the disk refused once count as written since.
        """
        try:
            for at in range(start, stop, _AT_ONCE):
                self._write(os.pread(self._file, min(_AT_ONCE, stop - at), at), at)
            if start < stop:
                os.fsync(self._file)
        except OSError as error:
            raise self._refusal(error) from None

    def _cut(self, end: int) -> None:
        try:
            os.ftruncate(self._file, end)
            os.fsync(self._file)
            self.end = end
        except OSError as error:
            self._broken = True
            raise self._refusal(error) from None

    def _refusal(self, error: OSError) -> EngineError:
        return EngineError(f"{self._path}: {(error.strerror or 'the disk refused').lower()}")


def _entry(report: StoredReport) -> bytes:
    head = _ENTRY.pack(len(report.body), report.report_id, report.digest, report.time_bucket)
    data = head + report.body
    return data + _CHECK.pack(zlib.crc32(data))
