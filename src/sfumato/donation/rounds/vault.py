"""Shares on the disk, under a key of the round: without the key they are nothing.

Erasing a round means deleting its key, which is one small file that was written once; whether the
disk still holds old blocks of the sealed files does not matter then.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from sfumato.atomic import sync_folder, whole_file
from sfumato.donation.sharing import Randomness
from sfumato.errors import EngineError

__all__ = ["Vault", "erase_file", "join_parts", "split_parts"]

_KEY_BYTES = 32
_NONCE_BYTES = 12


class Vault:
    """Sealed files of one round.

    Parameters
    ----------
    folder
        Where; it exists.
    context
        What the files belong to, such as task, round and server.
    randomness
        Source of secret uniform bytes.
    """

    def __init__(self, folder: Path, context: bytes, randomness: Randomness) -> None:
        self._folder, self._context, self._randomness = folder, context, randomness
        self._key_path = folder / "round.key"

    def put(self, name: str, data: bytes) -> None:
        """Seal bytes under a name; they are on the disk when this returns.

        Raises
        ------
        EngineError
            If the disk refuses; then what lay there before still does.
        """
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        try:
            key = self._key() or self._make_key()
            nonce = self._randomness(_NONCE_BYTES)
            sealed = AESGCM(key).encrypt(nonce, data, self._bound(name))
            with whole_file(self._path(name)) as file:
                os.fchmod(file.fileno(), 0o600)
                file.write(nonce + sealed)
        except OSError as error:
            raise EngineError(f"{self._path(name)}: {_reason(error)}") from None

    def get(self, name: str) -> bytes | None:
        """Return what was sealed under a name, or None if there is nothing.

        Raises
        ------
        EngineError
            If the file is damaged or cannot be read.
        """
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        path = self._path(name)
        try:
            key = self._key()
            if key is None or not path.exists():
                return None
            data = path.read_bytes()
            return AESGCM(key).decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], self._bound(name))
        except OSError as error:
            raise EngineError(f"{path}: {_reason(error)}") from None
        except (InvalidTag, ValueError):
            raise EngineError(f"{path}: damaged, or sealed under another key") from None

    def drop(self, name: str) -> None:
        """Delete what was sealed under a name."""
        self._path(name).unlink(missing_ok=True)

    def erase(self) -> None:
        """Delete the key, then all that was sealed under it."""
        erase_file(self._key_path)
        for path in self._folder.glob("*.sealed"):
            path.unlink()

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.sealed"

    def _bound(self, name: str) -> bytes:
        return b"sfumato donation v1 vault\0" + self._context + name.encode()

    def _key(self) -> bytes | None:
        if not self._key_path.exists():
            return None
        key = self._key_path.read_bytes()
        # zeros: an erasure that was interrupted before the name was gone
        return key if any(key) else None

    def _make_key(self) -> bytes:
        key = self._randomness(_KEY_BYTES)
        with whole_file(self._key_path) as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(key)
        return key


def erase_file(path: Path) -> None:
    """Write zeros over a small file, then delete it; on the disk when this returns.

    Whether zeros reach the place where the bytes lay is the disk's affair: one that writes every
    block anew, as solid state drives do, may keep the old one until it needs the room.

    Raises
    ------
    OSError
        If the file cannot be deleted.
    """
    if path.exists():
        with suppress(OSError), path.open("r+b") as file:
            file.write(bytes(path.stat().st_size))
            file.flush()
            os.fsync(file.fileno())
        path.unlink()
    sync_folder(path.parent)


def join_parts(parts: Sequence[bytes]) -> bytes:
    """Return parts of any length as one text: each after its length in 8 bytes, big endian."""
    return b"".join(len(part).to_bytes(8, "big") + part for part in parts)


def split_parts(data: bytes) -> list[bytes] | None:
    """Return what :func:`join_parts` joined, or None if it is nothing of the kind."""
    parts, place = [], 0
    while place < len(data):
        length = int.from_bytes(data[place : place + 8], "big")
        start, place = place + 8, place + 8 + length
        if place > len(data):
            return None
        parts.append(data[start:place])
    return parts


def _reason(error: OSError) -> str:
    return (error.strerror or "the disk refused").lower()
