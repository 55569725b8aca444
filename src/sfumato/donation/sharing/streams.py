"""Shared pseudorandom streams: what two servers draw alike and the third cannot.

A stream is AES-128 in counter mode. Each purpose has a key of its own, HMAC-SHA-256 of the pair's
key and the purpose's name, and each use of a purpose a number of its own in the upper half of the
counter block, so that no block of any stream is ever used twice. Under the assumption that AES is a
pseudorandom permutation, what a purpose yields is indistinguishable from uniform to whoever lacks
the key, up to n^2 / 2^129 for n blocks drawn of one purpose (2^-81 for 256 MB).
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

import numpy as np
import numpy.typing as npt

from sfumato.errors import InternalError

__all__ = ["KeyStream", "MaskStream"]

_ZEROS = memoryview(bytes(1 << 16))


class MaskStream:
    """The bytes of one use of a stream, in order; :meth:`again` starts them anew."""

    def __init__(self, key: bytes, use: int) -> None:
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

        self._key, self._use = key, use
        block = use.to_bytes(8, "big") + bytes(8)
        self._encryptor = Cipher(algorithms.AES(key), modes.CTR(block)).encryptor()

    def __repr__(self) -> str:
        return "MaskStream(...)"

    def fill(self, out: npt.NDArray[Any]) -> None:
        """Overwrite a contiguous array with the next bytes of the stream."""
        if not out.flags.c_contiguous:
            raise InternalError("only a contiguous array can be filled in place")
        target = out.reshape(-1).view(np.uint8).data
        for start in range(0, len(target), len(_ZEROS)):
            part = target[start : start + len(_ZEROS)]
            self._encryptor.update_into(_ZEROS[: len(part)], part)

    def mask(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return a contiguous array, masked by exclusive or with the next bytes of the stream."""
        masked = np.empty_like(array)
        source, target = (one.reshape(-1).view(np.uint8).data for one in (array, masked))
        self._encryptor.update_into(source, target)
        return masked

    def again(self) -> MaskStream:
        """Return the same bytes from their beginning."""
        return MaskStream(self._key, self._use)


class KeyStream:
    """All streams under one secret key.

    Both holders of the key must draw for the same purposes in the same order: the uses of each
    purpose are counted.

    Parameters
    ----------
    key
        32 secret bytes; never shown.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._keys: dict[str, bytes] = {}
        self._uses: dict[str, int] = {}

    def __repr__(self) -> str:
        return "KeyStream(...)"

    def begin(self, purpose: str) -> MaskStream:
        """Begin a use of a purpose that nobody has used yet."""
        if purpose not in self._keys:
            self._keys[purpose] = hmac.digest(self._key, purpose.encode(), hashlib.sha256)[:16]
        use = self._uses.get(purpose, 0)
        self._uses[purpose] = use + 1
        return MaskStream(self._keys[purpose], use)

    def draw(
        self, shape: int | tuple[int, ...], dtype: npt.DTypeLike, purpose: str
    ) -> npt.NDArray[Any]:
        """Return an array of uniform unsigned integers.

        Parameters
        ----------
        shape, dtype
            Of the array; an unsigned integer type.
        purpose
            What it is for.
        """
        numbers = np.empty(shape, np.dtype(dtype).newbyteorder("<"))
        self.begin(purpose).fill(numbers)
        return numbers.astype(dtype, copy=False)
