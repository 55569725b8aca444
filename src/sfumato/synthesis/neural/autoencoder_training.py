"""The plain autoencoder's training; needs PyTorch, so it is imported only where it is used."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from sfumato.synthesis.neural.training import Course, matrix, train

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Singles = NDArray[np.float32]

__all__ = ["Encoded", "learn_autoencoder"]

_AT_ONCE = 8_192  # rows that a pass without gradients takes at a time; bounds the memory


@dataclass(frozen=True, eq=False)
class Encoded:
    """What training gives.

    Parameters
    ----------
    layers
        Weights (inputs, outputs) and biases of the decoder, first to last.
    points
        The latent point of each training row, shape (n, latent).
    spread
        Root mean square by which what is written misses each number, on rows held out, (width,).
    epochs
        The best epoch.
    """

    layers: tuple[tuple[Singles, Singles], ...]
    points: Singles
    spread: Floats
    epochs: int


class DenseNetwork(nn.Module):
    """Layers with ReLU between them, the last one sigmoid: outward and back by the same widths.

    The latent layer is linear.

    Parameters
    ----------
    widths
        From the input to the latent layer.
    generator
        Of the first weights.
    """

    def __init__(self, widths: Sequence[int], generator: torch.Generator) -> None:
        super().__init__()
        self.inner = len(widths) - 1
        both = [*widths, *reversed(widths[:-1])]
        self.weights = nn.ParameterList(
            matrix(before, after, generator) for before, after in pairwise(both)
        )
        self.biases = nn.ParameterList(nn.Parameter(torch.zeros(after)) for after in both[1:])

    def encode(self, numbers: torch.Tensor) -> torch.Tensor:
        """Return latent points."""
        for place in range(self.inner):
            numbers = numbers @ self.weights[place] + self.biases[place]
            # normal distributions are fitted to the points: no unit may be cut off at 0, or dead
            numbers = torch.relu(numbers) if place + 1 < self.inner else numbers
        return numbers

    def forward(self, numbers: torch.Tensor) -> torch.Tensor:
        """Return what is written for rows, before the sigmoid."""
        points = self.encode(numbers)
        last = len(self.weights) - 1
        for place in range(self.inner, len(self.weights)):
            points = points @ self.weights[place] + self.biases[place]
            points = torch.relu(points) if place < last else points
        return points


def learn_autoencoder(
    numbers: Singles,
    counts: Singles,
    aside: NDArray[np.bool_],
    widths: Sequence[int],
    *,
    noise: float,
    course: Course,
    seed: int,
    told: Callable[[int, int], None],
) -> Encoded:
    """Train the network to write what it reads.

    Parameters
    ----------
    numbers, counts
        Rows as numbers from 0 to 1 and what each counts in the loss, shape (n, width).
    aside
        Rows that only tell when to stop, shape (n,).
    widths
        Of the hidden layers from the first to the latent one.
    noise
        Standard deviation of what is added to a number as it is read.
    course, seed, told
        See :func:`~sfumato.synthesis.neural.training.train`.
    """
    generator = torch.Generator().manual_seed(seed)
    network = DenseNetwork([numbers.shape[1], *widths], generator)
    rows, parts = torch.from_numpy(numbers), torch.from_numpy(counts)
    learned, weight = rows[~aside], parts[~aside]
    judged, judged_weight = (rows[aside], parts[aside]) if aside.any() else (learned, weight)

    def missed(read: torch.Tensor, wanted: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        return (torch.sigmoid(network(read)) - wanted).square() * weight

    def step(batch: torch.Tensor, _: float) -> torch.Tensor:
        wanted = learned[batch]
        read = wanted
        if noise > 0:
            added = noise * torch.randn(wanted.shape, generator=generator)
            read = (wanted + added).clamp(0.0, 1.0)
        return missed(read, wanted, weight[batch]).mean()

    def each() -> torch.Tensor:
        total = torch.zeros(numbers.shape[1])
        for part in torch.split(torch.arange(len(judged)), _AT_ONCE):
            total += missed(judged[part], judged[part], judged_weight[part]).sum(dim=0)
        return total

    best = train(network, len(learned), step, lambda: float(each().mean()), course, generator, told)
    with torch.no_grad():
        spread = (each() / judged_weight.sum(dim=0).clamp(min=1.0)).sqrt()
        points = torch.cat([network.encode(part) for part in torch.split(rows, _AT_ONCE)])
    layers = tuple(
        (
            network.weights[place].detach().numpy().copy(),
            network.biases[place].detach().numpy().copy(),
        )
        for place in range(network.inner, len(network.weights))
    )
    return Encoded(layers, points.numpy(), spread.numpy().astype(np.float64), best)
