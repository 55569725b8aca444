"""Writing so that a crash leaves the old file or folder, or the new one, never half of one.

A folder is filled beside its place under a name of its own, each file and the folder are forced to
the disk, and one rename puts it in place. The list of its files with their hashes, the manifest, is
written last: a folder without one is unfinished.
"""

from __future__ import annotations

import ctypes
import errno
import hashlib
import json
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sfumato.atomic import sync_folder, write_whole
from sfumato.errors import EngineError, PlanError

__all__ = [
    "MANIFEST_FILE",
    "disk_errors",
    "exclusive",
    "is_complete",
    "manifest",
    "put_in_place",
    "recover",
    "refuse_foreign",
    "sha256",
    "write_manifest",
    "write_text",
]

MANIFEST_FILE = "manifest.json"
_OLD = ".old-"


def sha256(path: str | Path) -> str:
    """Return the SHA-256 of a file's bytes, as 64 hexadecimal digits."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def disk_errors(path: str | Path) -> Iterator[None]:
    """Turn the operating system's refusal to write into one clear error.

    Raises
    ------
    EngineError
        If the disk is full, the folder cannot be written to, or the like.
    """
    try:
        yield
    except OSError as error:
        reasons = {
            errno.ENOSPC: "the disk is full: free some space and run again",
            errno.EDQUOT: "the disk quota is used up: free some space and run again",
            errno.EFBIG: "a file would pass the size limit that is set for this process",
            errno.EACCES: "writing there is not allowed",
            errno.EPERM: "writing there is not allowed",
            errno.EROFS: "the disk is read-only",
            errno.ENOTDIR: "a part of the path is a file",
        }
        reason = reasons.get(error.errno or 0, os.strerror(error.errno) if error.errno else "?")
        raise EngineError(f"cannot write {path}: {reason}") from error


def write_text(path: str | Path, text: str) -> None:
    """Write a text file whole or not at all.

    Raises
    ------
    EngineError
        If the disk refuses; an older file of that name is then as it was.
    """
    path = Path(path)
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, text)


def write_manifest(folder: Path, facts: dict[str, Any]) -> None:
    """Finish a folder: list its files with their hashes, beside ``facts``.

    Parameters
    ----------
    folder
        The folder; files in folders below it are listed too.
    facts
        Plain JSON values, such as the fingerprint of what the folder was made from.
    """
    files = {
        str(path.relative_to(folder).as_posix()): sha256(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != MANIFEST_FILE
    }
    content = {**facts, "files": files}
    write_text(folder / MANIFEST_FILE, json.dumps(content, indent=1, sort_keys=True) + "\n")


def manifest(folder: Path) -> dict[str, Any] | None:
    """Return a folder's manifest, or None if it has none that can be read."""
    try:
        content = json.loads((folder / MANIFEST_FILE).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) and isinstance(content.get("files"), dict) else None


def is_complete(folder: Path) -> bool:
    """Return whether every file of the manifest is there with the bytes that were written."""
    content = manifest(folder)
    if content is None:
        return False
    return all(
        (folder / name).is_file() and sha256(folder / name) == digest
        for name, digest in content["files"].items()
    )


def refuse_foreign(place: Path) -> None:
    """Refuse a place where something stands that sfumato did not write.

    Raises
    ------
    PlanError
        If it is a file, or a folder that holds anything but a finished release.
    """
    foreign = place.exists() and manifest(place) is None
    if foreign and not (place.is_dir() and not any(place.iterdir())):
        raise PlanError(
            f"{place} exists and was not written by sfumato: name another folder, or move it away"
        )


def put_in_place(new: Path, place: Path) -> None:
    """Move a finished folder to its place; one that sfumato finished there before makes way.

    Raises
    ------
    PlanError
        If something stands in that place that sfumato did not write.
    EngineError
        If the disk refuses.
    """
    refuse_foreign(place)
    with disk_errors(place):
        for path in new.rglob("*"):
            if path.is_file():
                _sync_file(path)
        sync_folder(new)
        if not place.exists():
            new.rename(place)
        elif _exchange(new, place):
            shutil.rmtree(new)
        else:
            # Two renames: between them the place is empty, and recover() puts the old one back.
            old = place.with_name(f"{_OLD}{place.name}")
            shutil.rmtree(old, ignore_errors=True)
            place.rename(old)
            new.rename(place)
            shutil.rmtree(old)
        sync_folder(place.parent)


def recover(place: Path) -> None:
    """Put back what :func:`put_in_place` had moved aside when it was interrupted."""
    old = place.with_name(f"{_OLD}{place.name}")
    if not old.exists():
        return
    with disk_errors(place):
        if place.exists():
            shutil.rmtree(old)
        else:
            old.rename(place)


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Hold a folder so that no second run writes into it; the system lets go when we die.

    Raises
    ------
    PlanError
        If another process holds it.
    EngineError
        If the folder cannot be made.
    """
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        if not _lock(descriptor):
            raise PlanError(f"another run is writing into {folder}: wait for it, or use --out")
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _exchange(one: Path, other: Path) -> bool:
    """Swap two folders in one step where the kernel can (Linux 3.15); say whether it did."""
    if not sys.platform.startswith("linux"):
        return False
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        return False
    current_folder, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE of <fcntl.h>, <linux/fs.h>
    paths = (os.fsencode(one.absolute()), os.fsencode(other.absolute()))
    return bool(rename(current_folder, paths[0], current_folder, paths[1], exchange) == 0)


def _sync_file(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
