"""What the recoder asks of the counts, whether they lie in the clear or in shares."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

__all__ = ["Linear", "Numbers"]

V = TypeVar("V")

Linear = Callable[..., npt.NDArray[Any]]
"""A function of arrays that is linear modulo the size of their type: sums, choices, multiples."""


class Numbers(Protocol[V]):
    """Arithmetic of whole numbers under 2^31 that may be hidden; ``V`` is an array of them.

    Each operation works on the last axis; those before it are computed side by side.
    """

    def linear(self, function: Linear, *values: V) -> V:
        """Return a linear function of arrays: on shares it is applied to each component."""

    def at_least(self, values: V, bound: int, width: int) -> V:
        """Return 1 where a value, under 2^width, is at least the public bound, else 0."""

    def times(self, one: V, other: V) -> V:
        """Return the products."""

    def first_greatest(self, values: V, width: int) -> V:
        """Return 1 at the place of each row's greatest value, the first of equal ones, else 0."""

    def place_of_greatest(self, values: V, width: int) -> npt.NDArray[np.int64]:
        """Open the place of the greatest value of each row, the first of equal ones."""

    def open(self, values: V) -> npt.NDArray[np.int64]:
        """Open values."""
