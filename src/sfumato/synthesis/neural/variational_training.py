"""The variational network and its loss; needs PyTorch, so it is imported only where it is used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from sfumato.synthesis.neural.sequential_decoder import SequentialDecoder
from sfumato.synthesis.neural.training import Course, matrix, train

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Singles = NDArray[np.float32]
    Integers = NDArray[np.int64]

__all__ = ["Learned", "learn_variational"]

_AT_ONCE = 8_192  # rows that a pass without gradients takes at a time; bounds the memory
_FREE = 0.1  # of an ordered group's own weights beside the smooth ones
_FIRST_OUT = 0.05  # of the first output weights: training begins at the columns' own shares
_LEAST_LOG, _MOST_LOG = -8.0, 4.0  # of a latent variance


@dataclass(frozen=True, eq=False)
class Learned:
    """What training gives.

    Parameters
    ----------
    decoder
        From a latent point to a row.
    points
        A latent point of each training row, drawn from its own distribution, (n, latent).
    epochs
        The best epoch.
    """

    decoder: SequentialDecoder
    points: Singles
    epochs: int


class GroupWeights(nn.Module):
    """Weights of each group of a column: smooth functions times coefficients, and a free rest.

    Parameters
    ----------
    basis
        Shape (groups, functions), see :func:`~.smooth_basis.smooth_basis`; without functions each
        group's weights are free.
    width, bound
        Number of weights of a group, and the size of the largest first one.
    generator
        Of the first weights.
    """

    def __init__(self, basis: Floats, width: int, bound: float, generator: torch.Generator) -> None:
        super().__init__()
        groups, functions = basis.shape
        self.basis = torch.from_numpy(basis.astype(np.float32))
        self.free = nn.Parameter(
            torch.empty(groups, width).uniform_(-bound, bound, generator=generator)
        )
        self.smooth: nn.Parameter | None = None
        if functions:
            bound /= functions**0.5
            self.smooth = nn.Parameter(
                torch.empty(functions, width).uniform_(-bound, bound, generator=generator)
            )

    def forward(self) -> torch.Tensor:
        """Return the weights, shape (groups, width)."""
        if self.smooth is None:
            return self.free
        return self.basis @ self.smooth + _FREE * self.free


class VariationalNetwork(nn.Module):
    """An encoder on cells as tokens, and the decoder column by column.

    Parameters
    ----------
    bases
        Smooth functions of each column's groups in the order of drawing, (groups, functions).
    heard
        How many of the first columns the later ones are drawn from.
    latent, hidden
        Widths.
    generator
        Of the first weights.
    """

    def __init__(
        self,
        bases: Sequence[Floats],
        heard: int,
        latent: int,
        hidden: int,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        sizes = [len(basis) for basis in bases]
        self.sizes, self.heard = tuple(sizes), heard
        starts = np.r_[0, np.cumsum(sizes)[:-1]].astype(np.int64)
        self.starts = torch.from_numpy(starts)
        columns = len(sizes)
        token, output = (3.0 / columns) ** 0.5, _FIRST_OUT * (3.0 / hidden) ** 0.5
        self.read = nn.ModuleList(GroupWeights(one, hidden, token, generator) for one in bases)
        self.read_bias = nn.Parameter(torch.zeros(hidden))
        self.encode = matrix(hidden, hidden, generator)
        self.encode_bias = nn.Parameter(torch.zeros(hidden))
        self.place = matrix(hidden, 2 * latent, generator, 0.5)
        self.place_bias = nn.Parameter(torch.zeros(2 * latent))
        self.first = matrix(latent, hidden, generator, 2**0.5)
        self.first_bias = nn.Parameter(torch.zeros(hidden))
        self.second = matrix(hidden, hidden, generator)
        self.second_bias = nn.Parameter(torch.zeros(hidden))
        self.bias = nn.Parameter(torch.zeros(columns, hidden))
        self.out = nn.ModuleList(GroupWeights(one, hidden, output, generator) for one in bases)
        self.out_bias = nn.ParameterList(nn.Parameter(torch.zeros(size)) for size in sizes)
        self.heard_groups = nn.ModuleList(
            GroupWeights(one, hidden, token, generator) for one in bases[:heard]
        )

    def posterior(self, groups: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return mean and log variance of each row's latent point."""
        tokens = groups + self.starts
        read = torch.cat([weights() for weights in self.read])
        layer = functional.embedding_bag(tokens, read, mode="sum") + self.read_bias
        layer = torch.relu(torch.relu(layer) @ self.encode + self.encode_bias)
        mean, log_variance = (layer @ self.place + self.place_bias).chunk(2, dim=1)
        return mean, log_variance.clamp(_LEAST_LOG, _MOST_LOG)

    def loss_of(
        self, points: torch.Tensor, groups: torch.Tensor, aims: torch.Tensor
    ) -> torch.Tensor:
        """Return the negative log-likelihood of rows, summed; an aim of -1 counts nothing."""
        layer = torch.relu(points @ self.first + self.first_bias)
        state = layer @ self.second + self.second_bias
        loss = points.new_zeros(())
        for place in range(len(self.sizes)):
            layer = torch.relu(state + self.bias[place])
            logits = layer @ self.out[place]().T + self.out_bias[place]
            loss = loss + functional.cross_entropy(
                logits, aims[:, place], ignore_index=-1, reduction="sum"
            )
            if place < self.heard and place + 1 < len(self.sizes):
                state = state + functional.embedding(groups[:, place], self.heard_groups[place]())
        return loss


def learn_variational(
    groups: Integers,
    aims: Integers,
    aside: NDArray[np.bool_],
    bases: Sequence[Floats],
    order: Sequence[int],
    *,
    heard: int,
    latent: int,
    hidden: int,
    beta: float,
    warm_up: float,
    free_nats: float,
    course: Course,
    seed: int,
    told: Callable[[int, int], None],
) -> Learned:
    """Train the network on rows.

    Parameters
    ----------
    groups, aims
        Group of each row in each column, shape (n, columns), as it is read and as it is to be
        learned; an aim of -1 is not learned.
    aside
        Rows that only tell when to stop, shape (n,).
    bases
        Smooth functions of each column's groups, (groups, functions).
    order
        Numbers of the columns in the order of drawing.
    heard, latent, hidden
        See :class:`VariationalNetwork`.
    beta
        Weight of the divergence from the prior.
    warm_up
        Share of the training over which that weight grows from 0.
    free_nats
        Divergence of each latent dimension, on average over a batch, that costs nothing.
    course, seed, told
        See :func:`~sfumato.synthesis.neural.training.train`.
    """
    generator = torch.Generator().manual_seed(seed)
    network = VariationalNetwork(
        [bases[column] for column in order], heard, latent, hidden, generator
    )
    columns = list(order)
    read = torch.from_numpy(np.ascontiguousarray(groups[:, columns]))
    wanted = torch.from_numpy(np.ascontiguousarray(aims[:, columns]))
    with torch.no_grad():
        for place, column in enumerate(columns):
            learned = aims[:, column]
            counts = np.bincount(learned[learned >= 0], minlength=len(bases[column]))
            network.out_bias[place].copy_(torch.from_numpy(np.log((counts + 0.5) / counts.sum())))
    train_read, train_wanted = read[~aside], wanted[~aside]
    held_read, held_wanted = read[aside], wanted[aside]
    held_noise = torch.randn(len(held_read), latent, generator=generator)
    compared = torch.linspace(0, len(train_read) - 1, min(len(held_read), len(train_read))).long()

    def step(batch: torch.Tensor, done: float) -> torch.Tensor:
        rows, goal = train_read[batch], train_wanted[batch]
        mean, log_variance = network.posterior(rows)
        noise = torch.randn(mean.shape, generator=generator)
        points = mean + torch.exp(0.5 * log_variance) * noise
        apart = _divergence(mean, log_variance).mean(dim=0).clamp(min=free_nats).sum()
        weight = beta * min(1.0, done / warm_up) if warm_up > 0 else beta
        return network.loss_of(points, rows, goal) / len(batch) + weight * apart

    def judged(read: torch.Tensor, wanted: torch.Tensor) -> float:
        total = 0.0
        for part in torch.split(torch.arange(len(read)), _AT_ONCE):
            rows = read[part]
            mean, log_variance = network.posterior(rows)
            points = mean + torch.exp(0.5 * log_variance) * held_noise[part]
            total += float(network.loss_of(points, rows, wanted[part]))
            total += beta * float(_divergence(mean, log_variance).sum())
        return total / max(len(read), 1)

    best = train(
        network,
        len(train_read),
        step,
        lambda: judged(held_read, held_wanted),
        course,
        generator,
        told,
        lambda: judged(train_read[compared], train_wanted[compared]),
    )
    points = []
    with torch.no_grad():
        for part in torch.split(read, _AT_ONCE):
            mean, log_variance = network.posterior(part)
            noise = torch.randn(mean.shape, generator=generator)
            points.append((mean + torch.exp(0.5 * log_variance) * noise).numpy())
    return Learned(_decoder(network, tuple(order)), np.concatenate(points), best)


def _divergence(mean: torch.Tensor, log_variance: torch.Tensor) -> torch.Tensor:
    """Return the divergence from the standard normal of each row and dimension, in nats."""
    return 0.5 * (mean.square() + log_variance.exp() - 1.0 - log_variance)


def _decoder(network: VariationalNetwork, order: tuple[int, ...]) -> SequentialDecoder:
    named: dict[str, torch.Tensor] = {
        name: getattr(network, name) for name in ("first", "first_bias", "second", "second_bias")
    }
    for place in range(len(order)):
        named[f"bias_{place}"] = network.bias[place]
        named[f"out_{place}"] = network.out[place]().T
        named[f"out_bias_{place}"] = network.out_bias[place]
        if place < network.heard:
            named[f"in_{place}"] = network.heard_groups[place]()
    weights = {name: one.detach().numpy().copy() for name, one in named.items()}
    return SequentialDecoder(weights, order, network.heard)
