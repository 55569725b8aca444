"""An autoencoder that draws: a density is fitted to its latent points, and nobody is rebuilt.

The network squeezes a row through a narrow layer and writes it again. Handing out what it writes
for the people it was trained on would hand out these people, a little blurred. Here a mixture is
fitted to the points of the narrow layer, for each class of the target, and rows are written from
points drawn from it.

References
----------
G. E. Hinton, R. R. Salakhutdinov, "Reducing the dimensionality of data with neural networks",
Science 313 (2006); P. Vincent et al., "Extracting and composing robust features with denoising
autoencoders", ICML 2008; P. Ghosh et al., "From variational to deterministic autoencoders", ICLR
2020 (density afterwards).
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from pydantic import Field, field_validator

from sfumato.errors import MissingExtra
from sfumato.progress import Progress, silent
from sfumato.synthesis.codec import Codec, read_table
from sfumato.synthesis.neural.autoencoder_generator import AutoencoderGenerator, written
from sfumato.synthesis.neural.column_scores import ColumnScores
from sfumato.synthesis.neural.held_out import held_out_rows
from sfumato.synthesis.neural.latent_density import MOST_CLASSES, LatentDensity
from sfumato.synthesis.synthesizer import Synthesizer

if TYPE_CHECKING:
    import polars as pl

    from sfumato.table import Schema

__all__ = ["Autoencoder"]

_CALIBRATING = 20_000  # rows drawn to set the biases


class _Architecture(NamedTuple):
    layers: tuple[int, ...]
    latent: int
    noise: float
    epochs: int
    batch_size: int


# The three networks of the autoencoder study, by the table that each was made for; and one for few
# rows: from the second what rows lie nearest to, or densest in, tells who was trained on.
_ARCHITECTURES = {
    "obesity": _Architecture((64, 32), 16, 0.05, 2000, 32),
    "back pain": _Architecture((64, 12), 6, 0.0, 1000, 12),
    "cardio": _Architecture((24, 12), 12, 0.05, 1000, 256),
    "few rows": _Architecture((64, 12), 3, 0.1, 1000, 32),
}
_SMALL, _LARGE = 1_000, 20_000  # rows below, from which the last and the third are taken
_AVERAGED, _DECAY, _ROWS_OF_DECAY = 0.98, 0.1, 2_000  # from so few rows on decay is at its most


class Autoencoder(Synthesizer):
    """Learn an autoencoder and the density of its latent points; needs the extra ``neural``.

    Parameters
    ----------
    architecture
        Which network of the autoencoder study gives the settings that are None: "obesity" (layers
        of 64 and 32, latent 16, noise 0.05, 2,000 epochs, batches of 32), "back pain" (64 and 12,
        latent 6, no noise, 1,000 epochs, batches of 12), "cardio" (24 and 12, latent 12, noise
        0.05, 1,000 epochs, batches of 256). "few rows" is ours: 64 and 12, latent 3, noise 0.1,
        1,000 epochs, batches of 32. "by size": "few rows" below 1,000 rows, "obesity" below 20,000,
        else "cardio".
    layers, latent
        Widths of the hidden layers before the latent one (after it in reverse) and of that one.
    noise
        Standard deviation of what is added to each number as it is read; numbers lie in 0 to 1.
    epochs, batch_size, learning_rate
        Most passes over the rows, rows of a step, and Adam's first step.
    rows_per_epoch
        Most rows of a pass.
    patience
        Epochs without a smaller error on a tenth of the people, who are held out, after which
        training stops.
    conditional
        Whether the schema's target is drawn first, from its own distribution, and the latent point
        from the density of its class; without, or with more than 20 classes, it is one more column.
    mixture
        Most parts of the mixture that is fitted to the latent points of a class; as many are
        taken, and as wide, as make the rows held out most likely.
    seed
        Of the training. The same seed and rows give the same model on the same machine and number
        of threads.
    cells
        Most cells in the distribution of a number.
    minimum, rare, derived, rules, least_kept
        See :class:`~sfumato.synthesis.synthesizer.Synthesizer`.

    Examples
    --------
    >>> Autoencoder(architecture="cardio", latent=8).architecture
    'cardio'
    """

    architecture: Literal["by size", "few rows", "obesity", "back pain", "cardio"] = "by size"
    layers: tuple[int, ...] | None = None
    latent: int | None = Field(default=None, ge=1, le=256)
    noise: float | None = Field(default=None, ge=0, le=1)
    epochs: int | None = Field(default=None, ge=1)
    batch_size: int | None = Field(default=None, ge=1)
    learning_rate: float = Field(default=0.001, gt=0, lt=1)
    rows_per_epoch: int = Field(default=100_000, ge=1)
    patience: int = Field(default=30, ge=1)
    conditional: bool = True
    mixture: int = Field(default=10, ge=1, le=200)
    seed: int = Field(default=0, ge=0)
    cells: int = Field(default=1000, ge=10, le=10_000)

    @field_validator("layers")
    @classmethod
    def _layers_have_a_width(cls, value: tuple[int, ...] | None) -> tuple[int, ...] | None:
        if value is not None and not all(1 <= one <= 4096 for one in value):
            raise ValueError("each of `layers` is a width from 1 to 4096")
        return value

    def learn(
        self, table: pl.DataFrame, schema: Schema, *, progress: Progress = silent
    ) -> AutoencoderGenerator:
        """Learn the network of the columns that are not derived; see ``fit``.

        Raises
        ------
        MissingExtra
            If PyTorch is not installed.
        """
        if find_spec("torch") is None:
            raise MissingExtra("neural", "The autoencoder")
        from sfumato.synthesis.neural.autoencoder_training import learn_autoencoder
        from sfumato.synthesis.neural.training import Course

        read = read_table(table, schema, minimum=self.minimum, rare=self.rare, progress=progress)
        codec, codes = Codec.fit(read, minimum=self.minimum, cells=self.cells, progress=progress)
        scores = [ColumnScores.fit(grid, codes[:, place]) for place, grid in enumerate(codec.grids)]
        label = None
        if self.conditional and len(codec.names) > 1 and read.schema.target in codec.names:
            place = codec.names.index(read.schema.target)
            label = place if codec.sizes[place] <= MOST_CLASSES else None
        features = [place for place in range(len(scores)) if place != label]
        encoded = [scores[place].encode(codes[:, place]) for place in features]
        numbers = np.concatenate([one for one, _ in encoded], axis=1)
        counts = np.concatenate([one for _, one in encoded], axis=1)
        chosen = self._chosen(table.height)
        aside = held_out_rows(table, schema.person, self.seed)
        learned = learn_autoencoder(
            numbers,
            counts,
            aside,
            [*chosen.layers, chosen.latent],
            noise=chosen.noise,
            course=Course(
                epochs=chosen.epochs,
                batch_size=chosen.batch_size,
                rows_per_epoch=self.rows_per_epoch,
                learning_rate=self.learning_rate,
                patience=self.patience,
                decay=_DECAY * min(1.0, _ROWS_OF_DECAY / max(table.height, 1)),
                averaged=_AVERAGED,
            ),
            seed=self.seed,
            told=lambda done, total: progress("training the network", done, total),
        )
        classes = np.zeros(len(codes), dtype=np.int64) if label is None else codes[:, label]
        n_classes = 1 if label is None else codec.sizes[label]
        density = LatentDensity.judged(
            learned.points,
            classes,
            n_classes,
            aside,
            parts=self.mixture,
            minimum=self.minimum,
            seed=self.seed,
            told=lambda done, total: progress("fitting the latent density", done, total),
        )
        random = np.random.default_rng([self.seed, 1])
        n = min(_CALIBRATING, max(2_000, 4 * table.height))
        labels = np.zeros(n, dtype=np.int64)
        if label is not None:
            labels = random.choice(n_classes, n, p=scores[label].share)
        normal = random.standard_normal((n, chosen.latent)).astype(np.float32)
        rows = written(learned.layers, density.draw(labels, random.random(n), normal))
        start = 0
        for place in features:
            end = start + scores[place].width
            scores[place] = scores[place].calibrated(
                rows[:, start:end],
                random.standard_normal(n),
                float(learned.spread[end - 1]) if end > start else 0.0,
            )
            start = end
        return AutoencoderGenerator(
            codec=codec,
            scores=tuple(scores),
            density=density,
            layers=learned.layers,
            target=label,
            epochs=learned.epochs,
            schema=read.schema,
            left_out=read.left_out,
            minimum=self.minimum,
            rows=table.height,
        )

    def _chosen(self, rows: int) -> _Architecture:
        """Return the architecture, with what was set in place of what the study had."""
        name = self.architecture
        if name == "by size":
            name = "few rows" if rows < _SMALL else "obesity" if rows < _LARGE else "cardio"
        own: dict[str, Any] = {
            field: getattr(self, field)
            for field in _Architecture._fields
            if getattr(self, field) is not None
        }
        return _ARCHITECTURES[name]._replace(**own)
