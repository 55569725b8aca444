"""Bit slicing: bit b of 64 numbers in one word, so that one gate on words is 64 gates on numbers.

A sliced array of n numbers of w bits is an array of planes, ``(w, ceil(n / 64))`` words: bit j of
word i of plane b is bit b of number 64 i + j. Slicing is linear over exclusive or, so each server
slices its own components. The transposition of 64 x 64 bits takes six exchanges of halves.

Source: Warren, "Hacker's Delight" (2nd edition), section 7-3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sfumato.donation.sharing.shares import BooleanShares

__all__ = ["SlicedShares", "slice_numbers", "slice_shares", "unslice_numbers", "unslice_shares"]

Words = npt.NDArray[np.uint64]


@dataclass(frozen=True, eq=False)
class SlicedShares:
    """Shares of numbers, by bits.

    Attributes
    ----------
    planes
        ``(width, ..., words)`` words of 64 bits, plane 0 the least significant.
    count
        How many numbers the last axis holds; the bits beyond are of no meaning.
    """

    planes: BooleanShares
    count: int

    def __repr__(self) -> str:
        return f"SlicedShares(width={self.width}, count={self.count})"

    @property
    def width(self) -> int:
        """Bits of a number."""
        return len(self.planes)


def slice_numbers(numbers: npt.NDArray[Any], width: int) -> Words:
    """Return the planes of unsigned integers.

    Parameters
    ----------
    numbers
        ``(..., n)`` unsigned integers; bits beyond ``width`` are left out.
    width
        Bits to keep, 1 to 64.

    Returns
    -------
    ``(width, ..., ceil(n / 64))`` words.
    """
    count = numbers.shape[-1]
    padded = np.zeros((*numbers.shape[:-1], -(-count // 64) * 64), np.uint64)
    padded[..., :count] = numbers
    blocks = padded.reshape(*numbers.shape[:-1], -1, 64)
    _transpose(blocks)
    return np.ascontiguousarray(np.moveaxis(blocks, -1, 0)[:width])


def unslice_numbers(planes: Words, count: int) -> Words:
    """Return the numbers of planes: the inverse of :func:`slice_numbers`.

    Parameters
    ----------
    planes
        ``(width, ..., words)`` words, width at most 64.
    count
        How many numbers the last axis holds.
    """
    blocks = np.zeros((*planes.shape[1:], 64), np.uint64)
    blocks[..., : len(planes)] = np.moveaxis(planes, 0, -1)
    _transpose(blocks)
    return np.ascontiguousarray(blocks.reshape(*planes.shape[1:-1], -1)[..., :count])


def slice_shares(shares: BooleanShares, width: int) -> SlicedShares:
    """Return boolean shares of numbers as sliced ones; local.

    Parameters
    ----------
    shares
        Of ``(..., n)`` unsigned integers.
    width
        Bits to keep, 1 to 64.
    """
    planes = (slice_numbers(part, width) for part in (shares.first, shares.second))
    return SlicedShares(BooleanShares(*planes), shares.shape[-1])


def unslice_shares(sliced: SlicedShares) -> BooleanShares:
    """Return sliced shares as boolean shares of 64-bit numbers; local."""
    planes = sliced.planes
    return BooleanShares(
        *(unslice_numbers(part, sliced.count) for part in (planes.first, planes.second))
    )


def _transpose(blocks: Words) -> None:
    """Transpose blocks of 64 words as matrices of bits, in place."""
    rows = blocks.reshape(-1, 64)
    mask = 0xFFFFFFFF
    width = 32
    while width:
        pairs = rows.reshape(-1, 64 // (2 * width), 2, width)
        low, high = pairs[:, :, 0], pairs[:, :, 1]
        moved = low >> np.uint64(width)
        moved ^= high
        moved &= np.uint64(mask)
        high ^= moved
        low ^= moved << np.uint64(width)
        width //= 2
        mask ^= (mask << width) & 0xFFFFFFFFFFFFFFFF
