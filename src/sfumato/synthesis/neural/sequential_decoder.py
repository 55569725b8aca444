"""A decoder that turns a latent point into a row, column after column; NumPy only.

The point sets the state of a hidden layer, and each column drawn adds its own share to it before
the next is drawn. A column's groups get probabilities from the state as it then is. Drawing so
needs no PyTorch.

References
----------
H. Larochelle, I. Murray, "The neural autoregressive distribution estimator", AISTATS 2011; as the
decoder of a variational autoencoder: X. Chen et al., "Variational lossy autoencoder", ICLR 2017.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from sfumato.synthesis.neural.arrays import packed, unpacked

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Singles = NDArray[np.float32]
    Integers = NDArray[np.int64]

__all__ = ["SequentialDecoder", "drawn_groups", "matched_bias"]

_ROUNDS = 20  # of a fixed point that is met in a few


@dataclass(frozen=True, eq=False)
class SequentialDecoder:
    """Weights of the decoder.

    Parameters
    ----------
    weights
        By name: "first" (latent, hidden), "first_bias" (hidden,), "second" (hidden, hidden),
        "second_bias" (hidden,) from the point to the state; for the column at place j of the order
        "bias_j" (hidden,), "out_j" (hidden, groups), "out_bias_j" (groups,), and "in_j" (groups,
        hidden), what a drawn group adds to the state.
    order
        Numbers of the columns in the order in which they are drawn.
    heard
        How many of the first columns add to the state; the others are drawn independently, given
        these and the point.
    """

    weights: dict[str, Singles]
    order: tuple[int, ...]
    heard: int

    def state(self, points: Singles) -> Singles:
        """Return the state that points set, shape (n, hidden)."""
        layer = np.maximum(points @ self.weights["first"] + self.weights["first_bias"], 0)
        return np.asarray(layer @ self.weights["second"] + self.weights["second_bias"])

    def logits(self, state: Singles, place: int) -> Singles:
        """Return what the state says of the column at a place of the order, (n, groups)."""
        layer = np.maximum(state + self.weights[f"bias_{place}"], 0)
        return np.asarray(layer @ self.weights[f"out_{place}"] + self.weights[f"out_bias_{place}"])

    def add(self, state: Singles, place: int, groups: Integers) -> None:
        """Add to the state what the drawn groups of a column tell, in place."""
        if place < self.heard:
            state += self.weights[f"in_{place}"][groups]

    def calibrated(
        self,
        points: Singles,
        first: Integers | None,
        shares: Sequence[Floats],
        uniform: Floats,
        told: Callable[[int, int], None],
    ) -> Self:
        """Return the decoder with biases under which each column has its shares on average.

        Column after column is drawn for the given points; each gets the bias that makes the mean
        of its probabilities over these rows the shares of the training rows.

        Parameters
        ----------
        points
            Points drawn as rows are drawn, shape (n, latent).
        first
            Groups of the first column, if it is not drawn here, shape (n,).
        shares
            Of the groups of each column, by number of the column.
        uniform
            Random numbers from 0 to 1, shape (n, columns).
        told
            Called with the columns done and those in all.
        """
        weights = dict(self.weights)
        state = self.state(points)
        for place, column in enumerate(self.order):
            told(place, len(self.order))
            if place == 0 and first is not None:
                groups = first
            else:
                logits = self.logits(state, place)
                shift = matched_bias(logits, shares[column])
                weights[f"out_bias_{place}"] = self.weights[f"out_bias_{place}"] + shift
                groups = drawn_groups(logits + shift, uniform[:, place])[0]
            self.add(state, place, groups)
        told(len(self.order), len(self.order))
        return replace(self, weights=weights)

    def to_dict(self) -> dict[str, Any]:
        """Return the decoder as plain JSON values."""
        return {
            "weights": {name: packed(one) for name, one in self.weights.items()},
            "order": list(self.order),
            "heard": self.heard,
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Return the decoder that :meth:`to_dict` described."""
        weights = {name: unpacked(one) for name, one in values["weights"].items()}
        return cls(weights, tuple(values["order"]), values["heard"])


def drawn_groups(logits: Singles, uniform: Floats) -> tuple[Integers, Singles]:
    """Return a group for each row, drawn by its logits, and the probabilities of all.

    Parameters
    ----------
    logits
        Shape (n, groups).
    uniform
        Random numbers from 0 to 1, shape (n,).
    """
    chances = np.exp(logits - logits.max(axis=1, keepdims=True))
    reached = np.cumsum(chances, axis=1)
    height = uniform.astype(np.float32) * reached[:, -1]
    groups = (reached <= height[:, None]).sum(axis=1)
    chances /= reached[:, -1:]
    # A rounded random number of 1 would lie above the last group: it gets the likeliest.
    over = groups >= logits.shape[1]
    groups[over] = logits[over].argmax(axis=1)
    return groups.astype(np.int64), chances


def matched_bias(logits: Singles, share: Floats) -> Singles:
    """Return the bias that makes mean probabilities the shares (iterative proportional fitting)."""
    shift = np.zeros(share.size, dtype=np.float32)
    wanted = np.log(np.maximum(share, 1e-9))
    for _ in range(_ROUNDS):
        moved = logits + shift
        moved -= moved.max(axis=1, keepdims=True)
        chances = np.exp(moved, out=moved)
        chances /= chances.sum(axis=1, keepdims=True)
        step = wanted - np.log(np.maximum(chances.mean(axis=0, dtype=np.float64), 1e-9))
        shift += np.clip(step, -3.0, 3.0).astype(np.float32)
        if np.abs(step[share > 0]).max(initial=0.0) < 1e-4:
            break
    return shift
