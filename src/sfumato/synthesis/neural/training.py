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

_WHOLE_BATCH = 512  # rows of a step for which a learning rate is meant
_ROWS_OF_DECAY = 2_000
_AVERAGED = 0.98


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
    decay
        Weight decay, decoupled from the gradient (Loshchilov, Hutter, ICLR 2019).
    averaged
        Share that the running mean of the weights keeps in each step (Polyak, Juditsky 1992); the
        mean is judged and kept. With 0 it is the weights themselves.
    gap
        Training ends before its rows' loss is lower than that of rows held out by more than this,
        beyond what it was by chance before training.
    """

    epochs: int
    batch_size: int
    rows_per_epoch: int
    learning_rate: float
    patience: int
    decay: float = 0.0
    averaged: float = 0.0
    gap: float = math.inf

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
        gap: float = math.inf,
    ) -> Course:
        """Return the course for so many rows; without ``epochs`` as many as give ``steps``.

        A step of fewer than 512 rows is shorter by the square root (Malladi et al., NeurIPS 2022),
        and the decay weighs as a fixed number of rows would.
        """
        batch = max(1, min(batch_size, max(32, rows // 20), rows))
        per_epoch = max(1, min(rows, rows_per_epoch) // batch)
        if epochs is None:
            epochs = min(1000, max(least_epochs, math.ceil(steps / per_epoch)))
        rate = learning_rate * min(1.0, math.sqrt(batch / _WHOLE_BATCH))
        decay = min(1.0, _ROWS_OF_DECAY / max(rows, 1))
        return cls(epochs, batch, rows_per_epoch, rate, patience, decay, _AVERAGED, gap)


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
    seen: Callable[[], float] | None = None,
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
    seen
        Returns the loss on some of the training rows; without it ``course.gap`` is not minded.

    Raises
    ------
    PlanError
        If the loss runs away (the learning rate is too high).
    """
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=course.learning_rate, weight_decay=course.decay, fused=True
    )
    weights = list(network.parameters())
    mean = [one.detach().clone() for one in weights]
    taken = min(rows, course.rows_per_epoch)
    steps = max(1, taken // course.batch_size)
    best_loss, best_epoch, best = math.inf, 0, _copy(network)
    by_chance = 0.0
    if seen is not None:
        with torch.no_grad():
            by_chance = held_out() - seen()
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
            if course.averaged > 0:
                taken_in = epoch * steps + number + 1
                kept = min(course.averaged, taken_in / (taken_in + 9))
                torch._foreach_lerp_(mean, [one.detach() for one in weights], 1 - kept)
        network.eval()
        with torch.no_grad():
            live = [one.clone() for one in weights]
            if course.averaged > 0:
                _put(weights, mean)
            missed = held_out()
            ahead = 0.0 if seen is None else missed - seen() - by_chance
        if not math.isfinite(missed):
            raise PlanError(
                f"the network's loss is no longer a finite number in epoch {epoch + 1}: lower "
                f"learning_rate (now {course.learning_rate:g})"
            )
        told(epoch + 1, course.epochs)
        if best_epoch and ahead > course.gap:
            break
        if missed < best_loss:
            best_loss, best_epoch, best = missed, epoch + 1, _copy(network)
        elif epoch + 1 - best_epoch >= course.patience:
            break
        _put(weights, live)
    told(course.epochs, course.epochs)
    network.load_state_dict(best)
    return best_epoch


def _put(weights: list[nn.Parameter], values: list[torch.Tensor]) -> None:
    with torch.no_grad():
        for one, value in zip(weights, values, strict=True):
            one.copy_(value)


def _copy(network: nn.Module) -> dict[str, torch.Tensor]:
    # state_dict() hands out the live tensors: without clone, "the best weights" would be the last.
    return {name: weights.detach().clone() for name, weights in network.state_dict().items()}
