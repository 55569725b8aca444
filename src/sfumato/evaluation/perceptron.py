"""The network itself and its training; needs PyTorch, so it is imported only where it is used.

All randomness (first weights, order of the rows, dropout) comes from one ``torch.Generator``: the
caller's global random state is neither read nor moved. Everything runs on the processor.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from sfumato.errors import PlanError

if TYPE_CHECKING:
    from collections.abc import Callable

    from sfumato.evaluation.network import Epoch, MultilayerPerceptron

__all__ = ["Perceptron", "probabilities", "train"]

Rows = tuple[np.ndarray, np.ndarray]
ROWS_AT_ONCE = 16_384  # rows a pass without gradients takes at a time; bounds the memory


class Perceptron(nn.Module):
    """Linear layers with batch norm, ReLU and dropout between them.

    Every hidden layer but the last has batch norm and dropout; the last has neither, as in the
    network that this one stands for.

    Parameters
    ----------
    features
        Number of input columns.
    hidden
        Width of each hidden layer.
    outputs
        1 for two classes, else the number of classes.
    dropout
        Share of a layer's values set to zero while training, in [0, 1).
    generator
        Source of the first weights and of the dropped values.
    """

    def __init__(
        self,
        features: int,
        hidden: tuple[int, ...],
        outputs: int,
        dropout: float,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        widths = (features, *hidden)
        self.hidden = nn.ModuleList(
            _linear(before, after, generator) for before, after in pairwise(widths)
        )
        self.norms = nn.ModuleList(nn.BatchNorm1d(width) for width in hidden[:-1])
        self.last = _linear(widths[-1], outputs, generator)
        self.dropout = dropout
        self.generator = generator

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Return the logits, shape (rows, outputs)."""
        for place, layer in enumerate(self.hidden):
            rows = layer(rows)
            if place < len(self.norms):
                rows = self._drop(torch.relu(self.norms[place](rows)))
            else:
                rows = torch.relu(rows)
        return self.last(rows)  # type: ignore[no-any-return]

    def _drop(self, rows: torch.Tensor) -> torch.Tensor:
        # PyTorch's own dropout draws one number per value on one core and takes 40 % of an epoch
        # here; 16 bits of a 64-bit draw are as good (the share is right to 1 in 65,536) and it
        # lets a generator be named.
        if not self.training or self.dropout == 0.0:
            return rows
        draws = torch.randint(
            -(2**63), 2**63 - 1, ((rows.numel() + 3) // 4,), generator=self.generator
        )
        bits = draws.view(torch.int16)[: rows.numel()].view(rows.shape)
        kept = bits >= round(self.dropout * 2**16) - 2**15
        return rows * kept.to(rows.dtype).mul_(1.0 / (1.0 - self.dropout))


def train(
    settings: MultilayerPerceptron,
    rows: Rows,
    validation: Rows,
    n_classes: int,
    *,
    seed: int,
    after_epoch: Callable[[Epoch], None],
) -> tuple[Perceptron, tuple[Epoch, ...], int]:
    """Train a network and return it with the weights of its best epoch.

    Parameters
    ----------
    rows, validation
        (X, y): X of shape (n, features), float32; y of shape (n,), codes 0..n_classes - 1.
    n_classes
        Number of classes, at least 2.
    seed
        Of the one generator.
    after_epoch
        Called with the record of each epoch.

    Returns
    -------
    tuple
        The network in evaluation mode, the epochs in order, the number (from 1) of the best.
    """
    from sfumato.evaluation.network import Epoch

    generator = torch.Generator().manual_seed(seed)
    X, y = _tensors(rows, n_classes)
    held_X, held_y = _tensors(validation, n_classes)
    outputs = 1 if n_classes == 2 else n_classes
    network = Perceptron(X.shape[1], settings.hidden, outputs, settings.dropout, generator)
    balanced = settings.class_weight == "balanced"
    loss = _loss(rows[1], n_classes, balanced=balanced)
    held_loss_of = _loss(rows[1], n_classes, balanced=balanced, scored=validation[1])
    optimizer = torch.optim.Adam(
        network.parameters(),
        lr=settings.learning_rate,
        weight_decay=settings.weight_decay,
        fused=True,
    )
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, patience=settings.scheduler_patience, factor=settings.scheduler_factor
    )
    best_loss, best_epoch, best_weights = math.inf, 0, _copy(network)
    epochs: list[Epoch] = []
    for number in range(1, settings.epochs + 1):
        rate = optimizer.param_groups[0]["lr"]
        train_loss = _pass(network, optimizer, loss, X, y, settings.batch_size, generator)
        held_loss = float(held_loss_of(_logits(network, held_X).squeeze(-1), held_y))
        if not (math.isfinite(train_loss) and math.isfinite(held_loss)):
            raise PlanError(
                f"the network's loss is no longer a finite number in epoch {number}: "
                f"lower learning_rate (now {settings.learning_rate:g})"
            )
        epochs.append(Epoch(number, train_loss, held_loss, rate))
        after_epoch(epochs[-1])
        scheduler.step(held_loss)
        if held_loss < best_loss:
            best_loss, best_epoch, best_weights = held_loss, number, _copy(network)
        elif number - best_epoch >= settings.patience:
            break
    network.load_state_dict(best_weights)
    return network.eval(), tuple(epochs), best_epoch


def probabilities(network: Perceptron, rows: np.ndarray) -> np.ndarray:
    """Return the probability of each class, shape (rows, classes), float64."""
    logits = _logits(network, torch.from_numpy(np.ascontiguousarray(rows, np.float32))).double()
    if logits.shape[1] == 1:
        positive = torch.sigmoid(logits)
        return torch.cat([1.0 - positive, positive], dim=1).numpy()
    return torch.softmax(logits, dim=1).numpy()


def _pass(
    network: Perceptron,
    optimizer: torch.optim.Optimizer,
    loss: nn.Module,
    X: torch.Tensor,
    y: torch.Tensor,
    batch_size: int,
    generator: torch.Generator,
) -> float:
    """Go through the rows once, in a new order; return the mean loss."""
    network.train()
    order = torch.randperm(len(X), generator=generator)
    if len(X) % batch_size == 1:
        order = order[:-1]  # batch norm has no variance in a batch of one row
    total = 0.0
    for batch in torch.split(order, batch_size):
        optimizer.zero_grad(set_to_none=True)
        batch_loss = loss(network(X[batch]).squeeze(-1), y[batch])
        batch_loss.backward()
        optimizer.step()
        total += float(batch_loss.detach()) * len(batch)
    return total / len(order)


def _logits(network: Perceptron, X: torch.Tensor) -> torch.Tensor:
    network.eval()
    with torch.inference_mode():
        return torch.cat([network(part) for part in torch.split(X, ROWS_AT_ONCE)])


def _loss(
    codes: np.ndarray, n_classes: int, *, balanced: bool, scored: np.ndarray | None = None
) -> nn.Module:
    """Return cross-entropy on logits; balanced, each class weighs the same in all.

    Parameters
    ----------
    codes
        Array of shape (n,), classes of the training rows.
    scored
        Classes of the rows that the loss is for, where they are others: each class then weighs as
        much as in training. Real rows would else tell a network that learned from SMOTE's when
        to stop by how well it knows the common class.
    """
    counts = np.bincount(codes, minlength=n_classes)
    weights = np.ones(n_classes)
    if scored is not None:
        present = np.maximum(np.bincount(scored, minlength=n_classes), 1)
        weights = (counts / len(codes)) / (present / len(scored))
    if n_classes == 2:
        row_weights = None if scored is None else torch.tensor(weights[scored], dtype=torch.float32)
        positive = torch.tensor(counts[0] / counts[1]) if balanced else None
        return nn.BCEWithLogitsLoss(
            weight=row_weights, pos_weight=None if positive is None else positive.float()
        )
    if balanced:
        weights = weights * len(codes) / (n_classes * np.maximum(counts, 1))
    return nn.CrossEntropyLoss(weight=torch.tensor(weights, dtype=torch.float32))


def _copy(network: Perceptron) -> dict[str, torch.Tensor]:
    # state_dict() hands out the live tensors: without clone, "the best weights" would be the last.
    return {name: weights.detach().clone() for name, weights in network.state_dict().items()}


def _tensors(rows: Rows, n_classes: int) -> tuple[torch.Tensor, torch.Tensor]:
    X, y = rows
    kind = np.float32 if n_classes == 2 else np.int64
    return (
        torch.from_numpy(np.ascontiguousarray(X, np.float32)),
        torch.from_numpy(y.astype(kind)),
    )


def _linear(inputs: int, outputs: int, generator: torch.Generator) -> nn.Linear:
    """Return a linear layer with PyTorch's usual first weights, drawn from ``generator``."""
    layer: nn.Linear = nn.utils.skip_init(nn.Linear, inputs, outputs)  # type: ignore[no-untyped-call]
    bound = 1.0 / math.sqrt(inputs)
    nn.init.uniform_(layer.weight, -bound, bound, generator=generator)
    nn.init.uniform_(layer.bias, -bound, bound, generator=generator)
    return layer
