"""Training with an eye on rows held out; needs PyTorch, so it is imported only where it is used.

All randomness comes from one ``torch.Generator``: the caller's global random state is neither read
nor moved. Everything runs on the processor, in single precision, on whole tensors in memory.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn

from sfumato.errors import PlanError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Course", "matrix", "train"]


@dataclass(frozen=True)
class Course:
    """How long, how fast and on how much of the rows a network is trained.

    Parameters
    ----------
    epochs
        Most passes.
    batch_size
        Rows of a step.
    rows_per_epoch
        Most rows of a pass, drawn anew for each.
    learning_rate
        Of the first step; it falls to a hundredth along half a cosine.
    patience
        Epochs without a better loss on the rows held out after which training stops.
    """

    epochs: int
    batch_size: int
    rows_per_epoch: int
    learning_rate: float
    patience: int

    @classmethod
    def of(
        cls,
        rows: int,
        *,
        epochs: int | None,
        batch_size: int,
        rows_per_epoch: int,
        learning_rate: float,
        patience: int,
        steps: int,
        least_epochs: int,
    ) -> Course:
        """Return the course for so many rows; without ``epochs`` as many as give ``steps``."""
        batch = max(1, min(batch_size, max(32, rows // 20), rows))
        per_epoch = max(1, min(rows, rows_per_epoch) // batch)
        if epochs is None:
            epochs = min(1000, max(least_epochs, math.ceil(steps / per_epoch)))
        return cls(epochs, batch, rows_per_epoch, learning_rate, patience)


def matrix(
    inputs: int, outputs: int, generator: torch.Generator, gain: float = 1.0
) -> nn.Parameter:
    """Return first weights of a layer, uniform as scaled by its inputs (He et al. 2015)."""
    bound = gain * math.sqrt(3.0 / max(inputs, 1))
    weights = torch.empty(inputs, outputs)
    return nn.Parameter(weights.uniform_(-bound, bound, generator=generator))


def train(
    network: nn.Module,
    rows: int,
    step: Callable[[torch.Tensor, float], torch.Tensor],
    held_out: Callable[[], float],
    course: Course,
    generator: torch.Generator,
    told: Callable[[int, int], None],
) -> int:
    """Train a network, leave it with the weights of its best epoch, and return that epoch.

    Parameters
    ----------
    network
        The network.
    rows
        Number of rows.
    step
        Returns the loss of a batch, from the rows' numbers and how far training is, from 0 to 1.
    held_out
        Returns the loss on the rows held out.
    course
        How long and how fast.
    generator
        Of the order of the rows.
    told
        Called with the epochs done and those in all.

    Raises
    ------
    PlanError
        If the loss runs away (the learning rate is too high).
    """
    optimizer = torch.optim.Adam(network.parameters(), lr=course.learning_rate, fused=True)
    taken = min(rows, course.rows_per_epoch)
    steps = max(1, taken // course.batch_size)
    best_loss, best_epoch, best = math.inf, 0, _copy(network)
    for epoch in range(course.epochs):
        network.train()
        order = torch.randperm(rows, generator=generator)[:taken]
        for number, batch in enumerate(order.tensor_split(steps)):
            done = (epoch * steps + number) / (course.epochs * steps)
            rate = 0.01 + 0.99 * (1 + math.cos(math.pi * done)) / 2
            for group in optimizer.param_groups:
                group["lr"] = course.learning_rate * rate
            optimizer.zero_grad(set_to_none=True)
            loss = step(batch, done)
            torch.autograd.backward(loss)
            optimizer.step()
        network.eval()
        with torch.no_grad():
            missed = held_out()
        if not math.isfinite(missed):
            raise PlanError(
                f"the network's loss is no longer a finite number in epoch {epoch + 1}: lower "
                f"learning_rate (now {course.learning_rate:g})"
            )
        told(epoch + 1, course.epochs)
        if missed < best_loss:
            best_loss, best_epoch, best = missed, epoch + 1, _copy(network)
        elif epoch + 1 - best_epoch >= course.patience:
            break
    told(course.epochs, course.epochs)
    network.load_state_dict(best)
    return best_epoch


def _copy(network: nn.Module) -> dict[str, torch.Tensor]:
    # state_dict() hands out the live tensors: without clone, "the best weights" would be the last.
    return {name: weights.detach().clone() for name, weights in network.state_dict().items()}
