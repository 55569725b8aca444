"""The two XOFs of the VDAF draft: streams of bytes and of field elements from a seed.

(draft-irtf-cfrg-vdaf, section "Extendable Output Functions".) Every length prefix is little endian.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Protocol

import numpy as np

from sfumato.donation.functions.fixed_key_hash import FixedKeyHash, sigma
from sfumato.donation.vdaf.fields import Field
from sfumato.donation.vdaf.turbo_shake import TurboShake128
from sfumato.errors import ProtocolError

__all__ = ["Xof", "XofFixedKeyAes128", "XofTurboShake128", "domain_tag", "next_vector"]

_VERSION = 18


def domain_tag(algorithm_class: int, algorithm: int, usage: int, context: bytes) -> bytes:
    """Return the tag that separates uses from each other: version 18 of the draft.

    Parameters
    ----------
    algorithm_class
        0 for a VDAF, 1 for an IDPF.
    algorithm
        The algorithm's number.
    usage
        The use's number.
    context
        The application's own bytes.
    """
    head = bytes((_VERSION, algorithm_class))
    return head + algorithm.to_bytes(4, "big") + usage.to_bytes(2, "big") + context


class Xof(Protocol):
    """A stream that a seed, a domain tag and a binder say all of."""

    def next(self, length: int) -> bytes:
        """Return the next `length` bytes."""
        ...


def next_vector(xof: Xof, field: Field, length: int) -> list[int]:
    """Return the next uniform elements of a field: numbers that are too large are passed over."""
    numbers: list[int] = []
    while len(numbers) < length:
        number = int.from_bytes(xof.next(field.encoded_bytes), "little") & field.mask
        if number < field.modulus:
            numbers.append(number)
    return numbers


class XofTurboShake128:
    """A random oracle. The seed has up to 255 bytes, 32 as a rule."""

    seed_bytes = 32

    def __init__(self, seed: bytes, tag: bytes, binder: bytes) -> None:
        head = len(tag).to_bytes(2, "little") + tag + len(seed).to_bytes(1, "little")
        self._stream = TurboShake128(head + seed + binder, 1)

    def next(self, length: int) -> bytes:
        """Return the next `length` bytes."""
        return self._stream.read(length)


@lru_cache(maxsize=16)
def _fixed_hash(tag: bytes, binder: bytes) -> FixedKeyHash:
    """Return the hash of a tag and a binder, both public: all labels of a report share it."""
    stream = TurboShake128(len(tag).to_bytes(2, "little") + tag + binder, 2)
    return FixedKeyHash(stream.read(16))


class XofFixedKeyAes128:
    """Fixed-key AES in counter mode: for seeds that are uniform and secret. 16 bytes."""

    seed_bytes = 16

    def __init__(self, seed: bytes, tag: bytes, binder: bytes) -> None:
        if len(seed) != self.seed_bytes:
            raise ProtocolError(f"a seed has {len(seed)} bytes; it has {self.seed_bytes}")
        self._hash = _fixed_hash(tag, binder)
        self._seed = np.frombuffer(seed, "<u8").astype(np.uint64)
        self._used = 0

    def next(self, length: int) -> bytes:
        """Return the next `length` bytes."""
        first, last = self._used // 16, -(-(self._used + length) // 16)
        inputs = np.tile(self._seed, (last - first, 1))
        inputs[:, 0] ^= np.arange(first, last, dtype=np.uint64)
        stream = self._hash(sigma(inputs)).tobytes()
        start = self._used - 16 * first
        self._used += length
        return stream[start : start + length]
