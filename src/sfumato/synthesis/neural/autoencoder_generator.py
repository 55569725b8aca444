"""What an autoencoder learned, and how people who never lived are drawn from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from sfumato.synthesis.codec import Codec
from sfumato.synthesis.neural.arrays import packed, unpacked
from sfumato.synthesis.neural.column_scores import ColumnScores
from sfumato.synthesis.neural.latent_density import LatentDensity
from sfumato.synthesis.neural.latent_sampling import LatentGenerator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from sfumato.table import Schema

    Floats = NDArray[np.float64]
    Singles = NDArray[np.float32]
    Integers = NDArray[np.int64]

__all__ = ["AutoencoderGenerator", "written"]


def written(layers: Sequence[tuple[Singles, Singles]], points: Singles) -> Singles:
    """Return what a decoder writes for latent points, numbers from 0 to 1, shape (n, width).

    Parameters
    ----------
    layers
        Weights (inputs, outputs) and biases; ReLU between them, a sigmoid after the last.
    points
        Shape (n, latent).
    """
    for place, (weights, bias) in enumerate(layers):
        points = points @ weights + bias
        if place + 1 < len(layers):
            points = np.maximum(points, 0)
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(points, -30, 30))), dtype=np.float32)


@dataclass(frozen=True, eq=False)
class AutoencoderGenerator(LatentGenerator):
    """A fitted autoencoder. Made by :meth:`Autoencoder.fit`.

    Parameters
    ----------
    codec
        How the columns are cut into cells, in the order of the fitted table.
    scores
        The numbers that each column is written as.
    density
        Where latent points lie.
    layers
        Weights and biases of the decoder.
    target
        Number of the target's column, which is drawn first and not written by the decoder.
    epochs
        Epochs after which the network was best.
    schema
        Schema of the sampled table.
    left_out
        Columns that were not learned, since they identify a person.
    minimum
        Least number of people behind a learned value or cell.
    rows
        Rows learned from.
    """

    codec: Codec
    scores: tuple[ColumnScores, ...]
    density: LatentDensity
    layers: tuple[tuple[Singles, Singles], ...]
    target: int | None
    epochs: int
    schema: Schema
    left_out: tuple[str, ...]
    minimum: int
    rows: int

    @property
    def label(self) -> int | None:
        """Number of the column that is drawn first and by itself."""
        return self.target

    @property
    def label_share(self) -> Floats:
        """Share of each cell of that column; one number if there is none."""
        return np.ones(1) if self.label is None else self.scores[self.label].share

    def label_of(self, cell: int) -> int:
        """Return the class that a cell of that column belongs to: each is its own."""
        return cell

    @property
    def randoms(self) -> int:
        """How many random numbers a row's columns need."""
        return 2 * len(self.scores)

    def drawn(
        self, points: Singles, labels: Integers, uniform: Floats, fixed: dict[int, int]
    ) -> tuple[Integers, Floats]:
        """Return the cells of rows, (n, columns), and each row's chance to have the fixed cells."""
        from scipy.special import ndtri

        columns = len(self.scores)
        cells = np.zeros((len(points), columns), dtype=np.int64)
        chance = np.ones(len(points))
        rows = written(self.layers, points)
        start = 0
        for place, score in enumerate(self.scores):
            if place == self.label:
                cells[:, place] = labels
                continue
            part = rows[:, start : start + score.width]
            start += score.width
            if place in fixed:
                cells[:, place] = fixed[place]
                chance *= score.chance(part, fixed[place])
            else:
                normal = ndtri(np.clip(uniform[:, columns + place], 1e-12, 1 - 1e-12))
                cells[:, place] = score.draw(part, uniform[:, place], normal)
        return cells, chance

    def learned(self) -> str:
        """Return how the model was learned, in a sentence."""
        widths = "-".join(str(bias.size) for _, bias in self.layers[:-1]) or "none"
        return (
            f"Learned from {self.rows:,} rows by an autoencoder with {self.density.width} latent "
            f"dimensions (layers after them: {widths}), best after {self.epochs} epochs. A row is "
            f"written from a point drawn in latent space; no person's row is rebuilt."
        )

    def advice(self) -> str:
        """Return what makes the model follow single people less, a sentence without its end."""
        return 'Use architecture = "few rows" (latent 3, noise 0.1) or less, raise `minimum`'

    def to_dict(self) -> dict[str, Any]:
        """Return all that :meth:`from_dict` needs, as plain JSON values."""
        return {
            **self.common(),
            "scores": [one.to_dict() for one in self.scores],
            "layers": [[packed(weights), packed(bias)] for weights, bias in self.layers],
            "target": self.target,
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Return the generator that :meth:`to_dict` described."""
        return cls(
            **cls.common_of(values),
            scores=tuple(ColumnScores.from_dict(one) for one in values["scores"]),
            layers=tuple((unpacked(one), unpacked(two)) for one, two in values["layers"]),
            target=values["target"],
        )
