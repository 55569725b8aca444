"""Open a file of the user: what can go wrong is said in one clear error."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from sfumato.errors import DataError

__all__ = ["open_bytes", "read_sample"]

_SAMPLE_BYTES = 1 << 20
_NOT_TEXT = {
    b"PAR1": "a Parquet file; name it .parquet",
    b"PK\x03\x04": "a zip archive or an Excel workbook; unpack it, or name it .xlsx",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook; name it .xls",
    b"SQLite format 3": "an SQLite database; read it by sqlite:/// and a query",
    b"\x28\xb5\x2f\xfd": "compressed by zstd; unpack it",
    b"BZh": "compressed by bzip2; unpack it",
    b"\xfd7zXZ": "compressed by xz; unpack it",
    b"%PDF": "a PDF file",
}


@contextmanager
def open_bytes(path: Path, *, unpack: bool = True) -> Iterator[IO[bytes]]:
    """Open a file, unpacking gzip if its name ends in ``.gz``.

    Raises
    ------
    DataError
        If there is no such file, it is a folder, it may not be read, or the gzip is damaged.
    """
    try:
        with path.open("rb") as file:
            if unpack and path.suffix.lower() == ".gz":
                with gzip.open(file) as unpacked:
                    yield cast("IO[bytes]", unpacked)
            else:
                yield file
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file") from None
    except IsADirectoryError:
        raise DataError(f"{path} is a folder, not a file") from None
    except PermissionError:
        raise DataError(f"{path} may not be read: permission denied") from None
    except EOFError:
        raise DataError(f"{path} is cut short: its gzip ends before its end") from None
    except (gzip.BadGzipFile, zlib.error):
        raise DataError(
            f"{path} is not gzip, or damaged; name it without .gz if it is plain text"
        ) from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or 'input error'}") from None


def read_sample(path: Path) -> tuple[bytes, bool]:
    """Return the first megabyte of a text file and whether that is all of it.

    Raises
    ------
    DataError
        If the file is empty, or its first bytes are those of another kind of file.
    """
    with open_bytes(path, unpack=False) as file:
        packed = file.read(2) == b"\x1f\x8b"
    if packed and path.suffix.lower() != ".gz":
        raise DataError(f"{path} is compressed by gzip: name it {path.name}.gz")
    with open_bytes(path) as file:
        sample = file.read(_SAMPLE_BYTES + 1)
    if not sample.strip():
        raise DataError(f"{path} is empty")
    for magic, what in _NOT_TEXT.items():
        if sample.startswith(magic):
            raise DataError(f"{path} is not a text file: it is {what}")
    return sample[:_SAMPLE_BYTES], len(sample) <= _SAMPLE_BYTES
