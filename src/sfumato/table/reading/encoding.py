"""The encoding of a text file: found, checked, and brought to UTF-8."""

from __future__ import annotations

import codecs
import io
import re
from pathlib import Path

from sfumato.errors import DataError
from sfumato.table.reading.opening import open_bytes

__all__ = ["decoded", "find_encoding", "in_utf8", "is_utf8", "recheck_encoding"]

_BLOCK = 1 << 24
#: Bytes that Windows-1252 does not define; a text that holds them is read as Latin-1.
_UNDEFINED = re.compile(rb"[\x81\x8d\x8f\x90\x9d]")


def find_encoding(sample: bytes, where: str) -> str:
    """Return the name of the encoding that a text is in.

    Parameters
    ----------
    sample
        The first bytes of the text.
    where
        The file, for the message.

    Raises
    ------
    DataError
        If the bytes are no text.

    Examples
    --------
    >>> find_encoding("Müller;3".encode("cp1252"), "people.csv")
    'cp1252'
    """
    if sample.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    if sample.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if b"\0" in sample:
        for order, zeros in (("utf-16-le", sample[1::2]), ("utf-16-be", sample[::2])):
            if zeros.count(0) > 0.7 * len(zeros):
                return order
        raise DataError(f"{where} is not a text file: it holds zero bytes")
    try:
        codecs.getincrementaldecoder("utf-8")().decode(sample)
    except UnicodeDecodeError:
        return _one_byte_encoding(sample)
    return "utf-8"


def _one_byte_encoding(sample: bytes) -> str:
    # In Latin scripts few letters of a word lie outside ASCII, and there Windows-1252 is by far
    # the most likely; a detector that weighs languages is asked only where most letters do.
    words = re.findall(rb"[A-Za-z\x80-\xff]*[\x80-\xff][A-Za-z\x80-\xff]*", sample)
    letters = b"".join(words)
    foreign = sum(byte >= 0x80 for byte in letters[:100_000])
    if foreign >= 20 and foreign > 0.7 * len(letters[:100_000]):
        from charset_normalizer import from_bytes

        best = from_bytes(b"\n".join(words)[:100_000]).best()
        if best is not None and not best.encoding.startswith("utf"):
            return str(best.encoding)
    return "latin-1" if _UNDEFINED.search(sample) else "cp1252"


def is_utf8(encoding: str) -> bool:
    """Return whether texts in an encoding are UTF-8 as they are."""
    return codecs.lookup(encoding).name in ("utf-8", "utf-8-sig", "ascii")


def decoded(head: bytes, encoding: str, path: Path, *, whole: bool) -> str:
    """Return the text of the first bytes of a file; unless they are all, the last may be cut."""
    try:
        return codecs.getincrementaldecoder(encoding)().decode(head, final=whole)
    except UnicodeDecodeError as error:
        raise _undecodable(path, encoding, head[: error.start].count(b"\n")) from None


def _undecodable(path: Path, encoding: str, line: int) -> DataError:
    return DataError(
        f"{path} is not encoded in {encoding}: line {line + 1:,} holds bytes that are no text in "
        "it; say another encoding, or leave it out to have it found"
    )


def in_utf8(path: Path, encoding: str) -> bytes:
    """Return a file's text in UTF-8."""
    decoder = codecs.getincrementaldecoder(encoding)()
    result = io.BytesIO()
    lines = 0
    with open_bytes(path) as file:
        while True:
            block = file.read(_BLOCK)
            try:
                result.write(decoder.decode(block, final=not block).encode())
            except UnicodeDecodeError as error:
                lines += block[: error.start].count(b"\n")
                raise _undecodable(path, encoding, lines) from None
            if not block:
                return result.getvalue()
            lines += block.count(b"\n")


def recheck_encoding(path: Path, encoding: str, *, given: bool) -> str:
    """Return the encoding, or another one if a later part of the file is not in it.

    Raises
    ------
    DataError
        If it is not in it and the user gave it.
    """
    decoder = codecs.getincrementaldecoder(encoding)()
    lines = 0
    with open_bytes(path) as file:
        while True:
            block = file.read(_BLOCK)
            try:
                decoder.decode(block, final=not block)
            except UnicodeDecodeError as error:
                if given:
                    lines += block[: error.start].count(b"\n")
                    raise _undecodable(path, encoding, lines) from None
                return find_encoding(block, str(path))
            if not block:
                return encoding
            lines += block.count(b"\n")
