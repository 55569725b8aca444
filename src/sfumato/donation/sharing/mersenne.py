"""Numbers modulo the prime 2^61 - 1, and their additive shares.

For sums of numbers that must not wrap at a power of two, and for checks that need a field. A number
is a uint64 under the prime; products are split into halves of 32 and 29 bits, so that no step
leaves 64 bits.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = [
    "PRIME",
    "add_modulo",
    "draw_modulo",
    "multiply_modulo",
    "power_modulo",
    "reduce_modulo",
    "share_additively",
    "subtract_modulo",
    "sum_modulo",
]

PRIME = (1 << 61) - 1

Words = npt.NDArray[np.uint64]

_PRIME = np.uint64(PRIME)
_BITS = np.uint64(61)


def reduce_modulo(numbers: npt.NDArray[np.uint64]) -> Words:
    """Return 64-bit numbers modulo the prime."""
    folded = np.asarray((numbers & _PRIME) + (numbers >> _BITS))
    return np.where(folded >= _PRIME, folded - _PRIME, folded)


def add_modulo(a: Words, b: Words) -> Words:
    """Return the sum of numbers under the prime."""
    return reduce_modulo(a + b)


def subtract_modulo(a: Words, b: Words) -> Words:
    """Return the difference of numbers under the prime."""
    return reduce_modulo(a + (_PRIME - b))


def multiply_modulo(a: Words, b: Words) -> Words:
    """Return the product of numbers under the prime."""
    half = np.uint64(32)
    low = np.uint64(0xFFFFFFFF)
    a_low, a_high, b_low, b_high = a & low, a >> half, b & low, b >> half
    # a b = high 2^64 + middle 2^32 + small, and 2^64 = 8, 2^32 = 2^61 / 2^29 modulo the prime
    middle = reduce_modulo(a_low * b_high) + reduce_modulo(a_high * b_low)
    middle = reduce_modulo(middle)
    shifted = (middle >> np.uint64(29)) + ((middle & np.uint64((1 << 29) - 1)) << half)
    small = reduce_modulo(a_low * b_low)
    high = reduce_modulo((a_high * b_high) << np.uint64(3))
    return reduce_modulo(reduce_modulo(shifted) + small + high)


def sum_modulo(a: Words, axis: int | None = None) -> Words:
    """Return the sum of numbers under the prime, under 2^32 of them, over an axis or over all."""
    half = np.uint64(32)
    low = np.asarray((a & np.uint64(0xFFFFFFFF)).sum(axis=axis, dtype=np.uint64))
    high = np.asarray((a >> half).sum(axis=axis, dtype=np.uint64))
    # high 2^32 = (high / 2^29) 2^61 + (high modulo 2^29) 2^32
    shifted = (high >> np.uint64(29)) + ((high & np.uint64((1 << 29) - 1)) << half)
    return np.asarray(add_modulo(reduce_modulo(shifted), reduce_modulo(low)))


def power_modulo(a: Words, exponent: int) -> Words:
    """Return a power; the inverse is that of exponent ``PRIME - 2``.

    Parameters
    ----------
    a
        Numbers under the prime.
    exponent
        At least 0, public.
    """
    result = np.ones_like(a)
    for bit in bin(exponent)[2:]:
        result = multiply_modulo(result, result)
        if bit == "1":
            result = multiply_modulo(result, a)
    return result


def draw_modulo(randomness: Callable[[int], bytes], count: int) -> Words:
    """Return uniform numbers under the prime, exactly: what is not under it is drawn again.

    Parameters
    ----------
    randomness
        Source of secret uniform bytes.
    count
        How many.
    """
    numbers = np.empty(0, np.uint64)
    while len(numbers) < count:
        words = np.frombuffer(randomness(8 * (count - len(numbers))), "<u8").astype(np.uint64)
        words &= _PRIME
        numbers = np.concatenate([numbers, words[words < _PRIME]])
    return numbers


def share_additively(
    numbers: Words, parties: int, randomness: Callable[[int], bytes]
) -> list[Words]:
    """Cut numbers under the prime into shares that sum to them; fewer than all are uniform.

    Parameters
    ----------
    numbers
        The secrets.
    parties
        How many shares, at least 2.
    randomness
        Source of secret uniform bytes.
    """
    shares: list[Any] = [
        draw_modulo(randomness, numbers.size).reshape(numbers.shape) for _ in range(parties - 1)
    ]
    return [*shares, subtract_modulo(numbers, reduce(add_modulo, shares))]
