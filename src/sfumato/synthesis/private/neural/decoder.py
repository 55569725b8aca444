"""A small network from latent noise to every column's distribution, with its slope by hand.

Given the latent point the columns are independent, as in hidden classes; what ties them is that
all their distributions bend with the same point. The network lies in one flat vector, so that its
slope is one vector too: to be clipped, summed and stepped along as a whole.

References
----------
T. Liu, G. Vietri, Z. S. Wu, "Iterative methods for private synthetic data: unifying framework and
new methods", NeurIPS 2021 (GEM), for a generator of product distributions. D. Kingma, J. Ba,
"Adam", ICLR 2015.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Singles = NDArray[np.float32]

__all__ = ["Adam", "Network", "column_shares", "column_slope"]

_FIRST_MOMENT, _SECOND_MOMENT = 0.9, 0.99
_TINY = 1e-12


@dataclass(frozen=True)
class Network:
    """The shape of a decoder: latent noise, hidden layers that are cut off at 0, cells.

    Parameters
    ----------
    latent
        Coordinates of the latent noise, 1 or more.
    hidden
        Width of each hidden layer.
    sizes
        Number of cells of each column.
    """

    latent: int
    hidden: tuple[int, ...]
    sizes: tuple[int, ...]

    @cached_property
    def layers(self) -> tuple[tuple[int, int], ...]:
        """Rows and columns of each layer's matrix; the last row is added without an input."""
        widths = (self.latent, *self.hidden, sum(self.sizes))
        return tuple((a + 1, b) for a, b in pairwise(widths))

    @cached_property
    def parameters(self) -> int:
        """How many numbers the network is."""
        return sum(a * b for a, b in self.layers)

    @cached_property
    def starts(self) -> NDArray[np.int64]:
        """The first cell of each column, all columns side by side."""
        return np.concatenate([[0], np.cumsum(self.sizes)[:-1]]).astype(np.int64)

    def matrices(self, flat: Singles) -> list[Singles]:
        """Return the layers of a flat vector, as views of it."""
        found, place = [], 0
        for rows, columns in self.layers:
            found.append(flat[place : place + rows * columns].reshape(rows, columns))
            place += rows * columns
        return found

    def initial(self, random: np.random.Generator) -> Singles:
        """Return a network to begin with: He's weights, nothing added (He et al., ICCV 2015)."""
        flat = np.zeros(self.parameters, dtype=np.float32)
        for matrix in self.matrices(flat):
            scale = np.float32((2 / (len(matrix) - 1)) ** 0.5)
            matrix[:-1] = scale * random.standard_normal(matrix[:-1].shape, dtype=np.float32)
        return flat

    def activations(self, flat: Singles, points: Singles) -> list[Singles]:
        """Return what goes into each layer, then what comes out of the last, a row a point."""
        found = [points]
        *inner, last = self.matrices(flat)
        for matrix in inner:
            found.append(np.maximum(found[-1] @ matrix[:-1] + matrix[-1], np.float32(0)))
        found.append(found[-1] @ last[:-1] + last[-1])
        return found

    def slope(self, flat: Singles, activations: Sequence[Singles], outer: Singles) -> Singles:
        """Return the slope along the flat vector from the slope along the last layer's output."""
        found = np.empty(self.parameters, dtype=np.float32)
        outer_now = outer
        pairs = list(zip(self.matrices(flat), self.matrices(found), activations, strict=False))
        for place in range(len(pairs) - 1, -1, -1):
            matrix, into, inputs = pairs[place]
            np.matmul(inputs.T, outer_now, out=into[:-1])
            into[-1] = outer_now.sum(axis=0)
            if place:
                outer_now = (outer_now @ matrix[:-1].T) * (inputs > 0)
        return found

    def tables(self, flat: Singles, points: Singles) -> Singles:
        """Return each column's distribution at each latent point, shape (points, cells)."""
        return column_shares(self.activations(flat, points)[-1], self.starts, self.sizes)


def column_shares(logs: Singles, starts: NDArray[np.int64], sizes: Sequence[int]) -> Singles:
    """Return shares that sum to 1 in each column's part of a row, from their logarithms."""
    top = np.repeat(np.maximum.reduceat(logs, starts, axis=1), sizes, axis=1)
    shares: Singles = np.exp(logs - top)
    shares /= np.repeat(np.add.reduceat(shares, starts, axis=1), sizes, axis=1)
    return shares


def column_slope(
    shares: Singles, slope: Singles, starts: NDArray[np.int64], sizes: Sequence[int]
) -> Singles:
    """Return the slope along the logarithms from the slope along the shares."""
    inner = shares * slope
    sums = np.repeat(np.add.reduceat(inner, starts, axis=1), sizes, axis=1)
    return np.asarray(inner - shares * sums, dtype=np.float32)


class Adam:
    """Steps along noisy slopes (Kingma & Ba 2015, Algorithm 1), in place.

    Parameters
    ----------
    flat
        What is moved.
    """

    def __init__(self, flat: Singles) -> None:
        self.flat = flat
        self.mean, self.square = np.zeros_like(flat), np.zeros_like(flat)
        self.steps = 0

    def step(self, slope: Singles, rate: float) -> None:
        """Move against a slope, each coordinate by about ``rate``."""
        self.steps += 1
        self.mean += np.float32(1 - _FIRST_MOMENT) * (slope - self.mean)
        self.square += np.float32(1 - _SECOND_MOMENT) * (slope * slope - self.square)
        move = self.mean / np.float32(1 - _FIRST_MOMENT**self.steps)
        move /= np.sqrt(self.square / np.float32(1 - _SECOND_MOMENT**self.steps)) + np.float32(
            _TINY
        )
        self.flat -= np.float32(rate) * move
