"""The hash of the tree: AES with public keys of each report, on arrays of labels.

`H(x) = AES(k, s(x)) ^ s(x)` with the orthomorphism `s(low, high) = (high, high ^ low)` is circular
correlation robust when AES is an ideal cipher (Guo, Katz, Wang, Yu, *Efficient and Secure
Multiparty Computation from Fixed-Key Block Ciphers*, IEEE S&P 2020, section 4.2). The keys are
public. They are drawn anew for every report from its nonce, as in the XOF of the VDAF draft, so
that one table of AES outputs does not serve against many donors at once; and there are four, one
for each use, which makes the uses independent functions:

======= ============================================================
 0       a label's children
 1       the row of a last label: `AES(k, s(x) ^ j) ^ s(x)`, j = 0, 1, …
 2, 3    the two halves of the tag by which a last label is checked
======= ============================================================

A label is two words of 64 bits, low one first. The lowest bit is its control bit.
"""

from __future__ import annotations

from functools import cache
from hashlib import shake_128
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from sfumato.errors import MissingExtra, ProtocolError

if TYPE_CHECKING:
    from sfumato.donation.functions.point_function import PointFunction

__all__ = [
    "CHILDREN",
    "ROW",
    "TAG",
    "FixedKeyHash",
    "Words",
    "control_masks",
    "correct",
    "fixed_keys",
    "sigma",
    "substitution_table",
]

Words = npt.NDArray[np.uint64]

CHILDREN, ROW, TAG = 0, 1, (2, 3)
_DOMAIN = b"sfumato point function"
_NONCE_BYTES = (16, 64)


def fixed_keys(function: PointFunction, nonce: bytes) -> tuple[bytes, bytes, bytes, bytes]:
    """Return the four AES keys of a report.

    Parameters
    ----------
    function
        The family; keys of different families are unrelated.
    nonce
        16 to 64 bytes that no other report has.

    Raises
    ------
    ProtocolError
        If the nonce has another length.
    """
    least, most = _NONCE_BYTES
    if not least <= len(nonce) <= most:
        raise ProtocolError(f"the nonce has {len(nonce)} bytes; it has {least} to {most}")
    stream = shake_128(_DOMAIN + function.header + nonce).digest(64)
    return stream[:16], stream[16:32], stream[32:48], stream[48:]


def sigma(labels: Words) -> Words:
    """Return `(high, high ^ low)` of each label, an array of shape (…, 2)."""
    image = np.empty_like(labels)
    image[..., 0] = labels[..., 1]
    np.bitwise_xor(labels[..., 0], labels[..., 1], out=image[..., 1])
    return image


def control_masks(labels: Words) -> Words:
    """Return all ones where the control bit of a label is set, else zero: shape (…, 1)."""
    masks: Words = np.negative(labels[..., :1] & np.uint64(1))
    return masks


def correct(values: Words, labels: Words, correction: Words) -> None:
    """XOR a correction, in place, to the values (n, 2) of labels whose control bit is set."""
    masks = control_masks(labels)[:, 0]
    for word in (0, 1):
        values[:, word] ^= masks & correction[word]


class FixedKeyHash:
    """AES under one public key, on arrays.

    Parameters
    ----------
    key
        16 bytes.

    Raises
    ------
    MissingExtra
        If `cryptography` is not installed.
    """

    def __init__(self, key: bytes) -> None:
        if find_spec("cryptography") is None:
            raise MissingExtra("donate", "donation")
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

        # ECB is the bare permutation, which is what a fixed-key hash is built on.
        cipher = Cipher(algorithms.AES(key), modes.ECB())  # noqa: S305
        self._encryptor = cipher.encryptor()

    def permute(self, blocks: Words) -> Words:
        """Return AES of each block: a contiguous array of shape (…, 2)."""
        # The library asks for room for one more block than it writes.
        room = np.empty(blocks.size + 2, np.uint64)
        self._encryptor.update_into(
            blocks.reshape(-1).view(np.uint8).data, room.view(np.uint8).data
        )
        return room[: blocks.size].reshape(blocks.shape)

    def __call__(self, images: Words) -> Words:
        """Return `AES(x) ^ x` for x = sigma of labels."""
        hashed = self.permute(images)
        hashed ^= images
        return hashed

    def rows(self, images: Words, blocks: int) -> Words:
        """Return `AES(x ^ j) ^ x` for j below `blocks`, shape (labels, blocks, 2)."""
        # Word by word, as NumPy is slow on arrays whose last axis has two elements.
        inputs = np.empty((len(images), blocks, 2), np.uint64)
        for block in range(blocks):
            np.bitwise_xor(images[:, 0], np.uint64(block), out=inputs[:, block, 0])
            inputs[:, block, 1] = images[:, 1]
        rows = self.permute(inputs)
        for block in range(blocks):
            for word in (0, 1):
                rows[:, block, word] ^= images[:, word]
        return rows


@cache
def substitution_table() -> npt.NDArray[np.uint8]:
    """AES's table of bytes: the inverse in GF(2**8), then an affine map (FIPS 197, 5.1.1)."""
    powers = [1]
    for _ in range(254):
        last = powers[-1]
        doubled = (last << 1) ^ (0x11B if last & 0x80 else 0)
        powers.append(last ^ doubled)  # times 3, which generates the field
    logarithm = {value: power for power, value in enumerate(powers)}
    table = np.zeros(256, np.uint8)
    for value in range(256):
        inverse = powers[-logarithm[value] % 255] if value else 0
        turned = inverse
        for _ in range(4):
            inverse = ((inverse << 1) | (inverse >> 7)) & 0xFF
            turned ^= inverse
        table[value] = turned ^ 0x63
    return table
