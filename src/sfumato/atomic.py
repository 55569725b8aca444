"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import secrets
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["clear_parts", "sync_folder", "whole_file", "write_whole"]


@contextmanager
def whole_file(path: str | Path) -> Iterator[IO[bytes]]:
    """Open a file for writing that gets its name when the block has ended well.

    Until then, and if anything goes wrong, what was there before stays. A symbolic link keeps
    pointing where it did. What is not a regular file (a device, a pipe) is written to as it is:
    it must never be replaced by a file.

    Parameters
    ----------
    path
        The file; its folder must exist.

    Raises
    ------
    OSError
        If the system refuses.
    """
    place = Path(os.path.realpath(path))
    if place.exists() and not place.is_file():
        with place.open("wb") as file:
            yield file
        return
    part = place.with_name(f".{place.name}.{secrets.token_hex(4)}.part")
    try:
        with part.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(place)
    finally:
        part.unlink(missing_ok=True)
    sync_folder(place.parent)


def write_whole(path: str | Path, text: str) -> None:
    """Write a UTF-8 text file as :func:`whole_file` does."""
    with whole_file(path) as file:
        file.write(text.encode())


def clear_parts(folder: Path) -> None:
    """Remove what :func:`whole_file` left in a folder when its process was killed."""
    for part in folder.glob(".*.part"):
        if part.is_file():
            part.unlink()


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable, where the system can."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:  # such as on Windows, where a folder cannot be opened
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
