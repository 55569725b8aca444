"""The prime fields of the VDAF draft: numbers modulo a prime, and their bytes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sfumato.errors import ProtocolError

__all__ = ["FIELD64", "FIELD128", "FIELD255", "Field"]


@dataclass(frozen=True)
class Field:
    """A prime field.

    Parameters
    ----------
    modulus
        A prime.
    encoded_bytes
        Bytes of an encoded number, little endian.
    """

    modulus: int
    encoded_bytes: int

    @property
    def mask(self) -> int:
        """The least 2**n - 1 that is not below the modulus."""
        return (1 << self.modulus.bit_length()) - 1

    def encode(self, numbers: Iterable[int]) -> bytes:
        """Return numbers one after the other."""
        return b"".join(number.to_bytes(self.encoded_bytes, "little") for number in numbers)

    def decode(self, encoded: bytes) -> list[int]:
        """Return what :meth:`encode` was given.

        Raises
        ------
        ProtocolError
            If the bytes are not whole numbers below the modulus.
        """
        if len(encoded) % self.encoded_bytes:
            raise ProtocolError(
                f"{len(encoded)} bytes are no whole number of elements, which have "
                f"{self.encoded_bytes}"
            )
        numbers = [
            int.from_bytes(encoded[start : start + self.encoded_bytes], "little")
            for start in range(0, len(encoded), self.encoded_bytes)
        ]
        if any(number >= self.modulus for number in numbers):
            raise ProtocolError("an element is not below the field's modulus")
        return numbers

    def add(self, first: Sequence[int], second: Sequence[int]) -> list[int]:
        """Return the sums of two vectors of one length."""
        return [(a + b) % self.modulus for a, b in zip(first, second, strict=True)]

    def subtract(self, first: Sequence[int], second: Sequence[int]) -> list[int]:
        """Return the differences of two vectors of one length."""
        return [(a - b) % self.modulus for a, b in zip(first, second, strict=True)]


FIELD64 = Field((1 << 32) * 4294967295 + 1, 8)
FIELD128 = Field((1 << 66) * 4611686018427387897 + 1, 16)
FIELD255 = Field((1 << 255) - 19, 32)
