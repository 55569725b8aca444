"""Replicated shares of arrays among three servers.

Convention
----------
A secret is cut into three components of which any two are uniform and independent of it:

- boolean (:class:`BooleanShares`): x = x_0 xor x_1 xor x_2, on each bit;
- arithmetic (:class:`ArithmeticShares`): x = x_0 + x_1 + x_2 modulo 2^8, 2^16, 2^32 or 2^64, by the
  type of the array;
- of a field (:class:`FieldShares`): the same modulo the prime 2^61 - 1, in arrays of ``uint64``.

Server i holds the components i and i + 1 (indices modulo 3) as ``first`` and ``second``, so that
component i lies with the servers i and i - 1, and server i lacks component i + 2. One server alone
sees two of three components: a uniform pair, whatever the secret is. Any two see all.

Source: Araki, Furukawa, Lindell, Nof, Ohara, "High-throughput semi-honest secure three-party
computation with an honest majority" (CCS 2016), section 2.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self, TypeVar

import numpy as np
import numpy.typing as npt

from sfumato.donation.sharing.mersenne import (
    add_modulo,
    multiply_modulo,
    reduce_modulo,
    subtract_modulo,
    sum_modulo,
)

__all__ = [
    "ArithmeticShares",
    "BooleanShares",
    "FieldShares",
    "Shares",
    "SummedShares",
    "concatenate",
    "reconstruct",
    "split",
]

Words = npt.NDArray[Any]


@dataclass(frozen=True, eq=False, repr=False)
class Shares(ABC):
    """What one server holds of a shared array; it prints its shape, never a share.

    Attributes
    ----------
    first, second
        Components i and i + 1 of server i: unsigned integers of equal shape and type.
    """

    first: Words
    second: Words

    @staticmethod
    @abstractmethod
    def plus(one: Words, other: Words) -> Words:
        """Return the sum of components, of which that of all three is the secret."""

    @staticmethod
    @abstractmethod
    def minus(one: Words, other: Words) -> Words:
        """Return the difference of components."""

    @staticmethod
    @abstractmethod
    def times(one: Words, other: Words) -> Words:
        """Return the product of components."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(shape={self.shape}, dtype={self.dtype})"

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the shared array."""
        return self.first.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the shared array."""
        return self.first.dtype

    def __len__(self) -> int:
        return len(self.first)

    def __getitem__(self, item: Any) -> Self:
        return type(self)(self.first[item], self.second[item])

    def reshape(self, *shape: int) -> Self:
        """Return the same shares in another shape."""
        return type(self)(self.first.reshape(shape), self.second.reshape(shape))

    @staticmethod
    def reduced(words: Words) -> Words:
        """Return words, drawn or received, as components: uniform if they are."""
        return words


S = TypeVar("S", bound=Shares)


class BooleanShares(Shares):
    """Shares by exclusive or."""

    @staticmethod
    def plus(one: Words, other: Words) -> Words:
        """Return the exclusive or."""
        return one ^ other

    minus = plus

    @staticmethod
    def times(one: Words, other: Words) -> Words:
        """Return the conjunction."""
        return one & other

    def __xor__(self, other: BooleanShares) -> BooleanShares:
        return BooleanShares(self.first ^ other.first, self.second ^ other.second)

    def __and__(self, public: Any) -> BooleanShares:
        """Return the conjunction with a public value."""
        return BooleanShares(self.first & public, self.second & public)

    def view(self, dtype: npt.DTypeLike) -> BooleanShares:
        """Return the same bits as another type of unsigned integers."""
        return BooleanShares(self.first.view(dtype), self.second.view(dtype))


class SummedShares(Shares):
    """Shares by addition, of whichever modulus."""

    @staticmethod
    @abstractmethod
    def total(components: Words, axis: int | None = None) -> Words:
        """Return the sum of components over an axis; over all by default."""

    def sum(self, axis: int | None = None) -> Self:
        """Return the sum over an axis; over all by default."""
        return type(self)(self.total(self.first, axis), self.total(self.second, axis))

    def __add__(self, other: Self) -> Self:
        return type(self)(self.plus(self.first, other.first), self.plus(self.second, other.second))

    def __sub__(self, other: Self) -> Self:
        return type(self)(
            self.minus(self.first, other.first), self.minus(self.second, other.second)
        )

    def __mul__(self, public: Any) -> Self:
        """Return the product with a public value of the same type."""
        return type(self)(self.times(self.first, public), self.times(self.second, public))


A = TypeVar("A", bound=SummedShares)


class ArithmeticShares(SummedShares):
    """Shares by addition modulo the size of the type."""

    @staticmethod
    def plus(one: Words, other: Words) -> Words:
        """Return the sum modulo the size of the type."""
        return one + other

    @staticmethod
    def minus(one: Words, other: Words) -> Words:
        """Return the difference modulo the size of the type."""
        return one - other

    @staticmethod
    def times(one: Words, other: Words) -> Words:
        """Return the product modulo the size of the type."""
        return one * other

    @staticmethod
    def total(components: Words, axis: int | None = None) -> Words:
        """Return the sum modulo the size of the type."""
        return np.asarray(components.sum(axis=axis, dtype=components.dtype))


class FieldShares(SummedShares):
    """Shares by addition modulo the prime 2^61 - 1."""

    @staticmethod
    def plus(one: Words, other: Words) -> Words:
        """Return the sum modulo the prime."""
        return add_modulo(one, other)

    @staticmethod
    def minus(one: Words, other: Words) -> Words:
        """Return the difference modulo the prime."""
        return subtract_modulo(one, other)

    @staticmethod
    def times(one: Words, other: Words) -> Words:
        """Return the product modulo the prime."""
        return multiply_modulo(one, other)

    @staticmethod
    def total(components: Words, axis: int | None = None) -> Words:
        """Return the sum modulo the prime."""
        return sum_modulo(components, axis)

    @staticmethod
    def reduced(words: Words) -> Words:
        """Return words modulo the prime: of uniform ones uniform within 2^-61."""
        return reduce_modulo(words)


def split(kind: type[S], values: Words, randomness: Callable[[int], bytes]) -> tuple[S, S, S]:
    """Cut an array of unsigned integers into the shares of the three servers.

    Parameters
    ----------
    kind
        Of which kind.
    values
        The secret.
    randomness
        Source of secret uniform bytes.
    """
    count = values.nbytes
    zero, one = (
        kind.reduced(np.frombuffer(randomness(count), values.dtype).reshape(values.shape))
        for _ in range(2)
    )
    two = kind.minus(kind.minus(values, zero), one)
    return kind(zero, one), kind(one, two), kind(two, zero)


def reconstruct(shares: Sequence[Shares]) -> Words:
    """Return the secret of the shares of servers 0, 1 and 2 (or of the first two alone)."""
    plus = type(shares[0]).plus
    return plus(plus(shares[0].first, shares[0].second), shares[1].second)


def concatenate(parts: Sequence[S], axis: int = 0) -> S:
    """Return the shares of the concatenated arrays."""
    return type(parts[0])(
        np.concatenate([part.first for part in parts], axis),
        np.concatenate([part.second for part in parts], axis),
    )
