"""Replicated shares of arrays among three servers.

Convention
----------
A secret is cut into three components of which any two are uniform and independent of it:

- boolean (:class:`BooleanShares`): x = x_0 xor x_1 xor x_2, on each bit;
- arithmetic (:class:`ArithmeticShares`): x = x_0 + x_1 + x_2 modulo 2^8, 2^16, 2^32 or 2^64, by the
  type of the array.

Server i holds the components i and i + 1 (indices modulo 3) as ``first`` and ``second``, so that
component i lies with the servers i and i - 1, and server i lacks component i + 2. One server alone
sees two of three components: a uniform pair, whatever the secret is. Any two see all.

Source: Araki, Furukawa, Lindell, Nof, Ohara, "High-throughput semi-honest secure three-party
computation with an honest majority" (CCS 2016), section 2.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

__all__ = ["ArithmeticShares", "BooleanShares", "Shares", "concatenate", "reconstruct", "split"]

Words = npt.NDArray[Any]


@dataclass(frozen=True, eq=False, repr=False)
class Shares:
    """What one server holds of a shared array; it prints its shape, never a share.

    Attributes
    ----------
    first, second
        Components i and i + 1 of server i: unsigned integers of equal shape and type.
    """

    first: Words
    second: Words

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


S = TypeVar("S", bound=Shares)


class BooleanShares(Shares):
    """Shares by exclusive or."""

    def __getitem__(self, item: Any) -> BooleanShares:
        return BooleanShares(self.first[item], self.second[item])

    def __xor__(self, other: BooleanShares) -> BooleanShares:
        return BooleanShares(self.first ^ other.first, self.second ^ other.second)

    def __and__(self, public: Any) -> BooleanShares:
        """Return the conjunction with a public value."""
        return BooleanShares(self.first & public, self.second & public)

    def reshape(self, *shape: int) -> BooleanShares:
        """Return the same shares in another shape."""
        return BooleanShares(self.first.reshape(shape), self.second.reshape(shape))

    def view(self, dtype: npt.DTypeLike) -> BooleanShares:
        """Return the same bits as another type of unsigned integers."""
        return BooleanShares(self.first.view(dtype), self.second.view(dtype))


class ArithmeticShares(Shares):
    """Shares by addition modulo the size of the type."""

    def __getitem__(self, item: Any) -> ArithmeticShares:
        return ArithmeticShares(self.first[item], self.second[item])

    def __add__(self, other: ArithmeticShares) -> ArithmeticShares:
        return ArithmeticShares(self.first + other.first, self.second + other.second)

    def __sub__(self, other: ArithmeticShares) -> ArithmeticShares:
        return ArithmeticShares(self.first - other.first, self.second - other.second)

    def __mul__(self, public: Any) -> ArithmeticShares:
        """Return the product with a public value of the same type."""
        return ArithmeticShares(self.first * public, self.second * public)

    def reshape(self, *shape: int) -> ArithmeticShares:
        """Return the same shares in another shape."""
        return ArithmeticShares(self.first.reshape(shape), self.second.reshape(shape))

    def sum(self, axis: int | tuple[int, ...] | None = None) -> ArithmeticShares:
        """Return the sum over axes, modulo the size of the type; all axes by default."""
        first = np.asarray(self.first.sum(axis=axis, dtype=self.dtype))
        return ArithmeticShares(first, np.asarray(self.second.sum(axis=axis, dtype=self.dtype)))


def split(kind: type[S], values: Words, randomness: Callable[[int], bytes]) -> tuple[S, S, S]:
    """Cut an array of unsigned integers into the shares of the three servers.

    Parameters
    ----------
    kind
        :class:`BooleanShares` or :class:`ArithmeticShares`.
    values
        The secret.
    randomness
        Source of secret uniform bytes.
    """
    count = values.nbytes
    zero, one = (
        np.frombuffer(randomness(count), values.dtype).reshape(values.shape) for _ in range(2)
    )
    two = values ^ zero ^ one if issubclass(kind, BooleanShares) else values - zero - one
    return kind(zero, one), kind(one, two), kind(two, zero)


def reconstruct(shares: Sequence[Shares]) -> Words:
    """Return the secret of the shares of servers 0, 1 and 2 (or of the first two alone)."""
    zero, one, two = shares[0].first, shares[0].second, shares[1].second
    whole: Words
    whole = zero ^ one ^ two if isinstance(shares[0], BooleanShares) else zero + one + two
    return whole


def concatenate(parts: Sequence[S], axis: int = 0) -> S:
    """Return the shares of the concatenated arrays."""
    return type(parts[0])(
        np.concatenate([part.first for part in parts], axis),
        np.concatenate([part.second for part in parts], axis),
    )
