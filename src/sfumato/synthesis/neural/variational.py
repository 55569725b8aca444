"""A variational autoencoder for mixed types: a row is drawn from a point in latent space.

An encoder reads a row's cells and gives a distribution of latent points; a decoder gives each
column's cells their probabilities. After training a mixture is fitted to the points of the training
rows, for each class of the target, and the decoder's biases are set so that each column keeps its
own distribution.

References
----------
D. P. Kingma, M. Welling, "Auto-encoding variational Bayes", ICLR 2014; D. P. Kingma et al.,
"Improved variational inference with inverse autoregressive flow", NeurIPS 2016, section 4 (free
bits); S. R. Bowman et al., "Generating sentences from a continuous space", CoNLL 2016 (warm-up).
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field

from sfumato.errors import MissingExtra
from sfumato.progress import Progress, silent
from sfumato.synthesis.codec import Codec, cells_without_gaps, read_table
from sfumato.synthesis.dependence import by_dependence
from sfumato.synthesis.neural.cell_groups import CellGroups
from sfumato.synthesis.neural.held_out import held_out_rows
from sfumato.synthesis.neural.latent_density import LatentDensity
from sfumato.synthesis.neural.smooth_basis import smooth_basis
from sfumato.synthesis.neural.variational_generator import VariationalGenerator
from sfumato.synthesis.synthesizer import Synthesizer

if TYPE_CHECKING:
    import polars as pl

    from sfumato.table import Schema

__all__ = ["VariationalAutoencoder"]

_LEAST_GAP, _MOST_GAP, _GAP_ROWS = 0.1, 2.0, 8_000  # nats; nats times rows
_CALIBRATING = 20_000  # rows drawn to set the biases
_STEPS, _LEAST_EPOCHS = 1_400, 20  # of a training whose length is not given


class VariationalAutoencoder(Synthesizer):
    """Learn a latent space from which rows are drawn; needs the extra ``neural``.

    Parameters
    ----------
    latent, hidden
        Number of latent dimensions; width of the hidden layers.
    decoder
        "sequential": each column is drawn given the latent point and the columns before it;
        "independent": given the latent point and the target alone.
    conditional
        Whether the schema's target is drawn first, from its own distribution, and all else given
        it, so that rare classes keep their share; without, it is drawn last.
    epochs
        Most passes over the rows; None is as many as give about 1,400 steps, at least 20.
    batch_size, rows_per_epoch
        Most rows of a step (a twentieth of the rows, at least 32, where there are few) and of a
        pass.
    learning_rate
        Of Adam's first step where a step has 512 rows, less by the square root where it has fewer;
        it falls along half a cosine.
    beta, warm_up, free_nats
        Weight of the divergence from the prior; share of the training over which it grows to that
        weight; divergence of a latent dimension in nats that costs nothing.
    mixture
        Most parts of the mixture that is fitted to the latent points of a class (of all rows if
        the target has more than 20).
    groups
        About how many groups of a number's cells the network tells apart.
    patience
        Epochs without a better likelihood of a tenth of the people, who are held out, after which
        training stops.
    gap
        Training also stops before its rows are likelier than those held out by more than this, on
        average, in nats of a row: what a network knows of its rows alone is what betrays them.
        None for 8,000 over the rows, but at most 2 and at least 0.1: the more rows an attack
        has, the smaller is what it finds.
    seed
        Of the training. The same seed and rows give the same model on the same machine and number
        of threads.
    cells
        Most cells in the distribution of a number.
    minimum, rare, derived, rules, least_kept
        See :class:`~sfumato.synthesis.synthesizer.Synthesizer`.

    Examples
    --------
    >>> VariationalAutoencoder(latent=8, beta=0.5).hidden
    128
    """

    latent: int = Field(default=8, ge=1, le=256)
    hidden: int = Field(default=128, ge=4, le=4096)
    decoder: Literal["sequential", "independent"] = "sequential"
    conditional: bool = True
    epochs: int | None = Field(default=None, ge=1)
    batch_size: int = Field(default=512, ge=1)
    rows_per_epoch: int = Field(default=100_000, ge=1)
    learning_rate: float = Field(default=0.003, gt=0, lt=1)
    beta: float = Field(default=1.0, ge=0)
    warm_up: float = Field(default=0.0, ge=0, le=1)
    free_nats: float = Field(default=0.05, ge=0)
    mixture: int = Field(default=10, ge=1, le=200)
    groups: int = Field(default=64, ge=2, le=1000)
    patience: int = Field(default=10, ge=1)
    gap: float | None = Field(default=None, gt=0)
    seed: int = Field(default=0, ge=0)
    cells: int = Field(default=1000, ge=10, le=10_000)

    def learn(
        self, table: pl.DataFrame, schema: Schema, *, progress: Progress = silent
    ) -> VariationalGenerator:
        """Learn the network of the columns that are not derived; see ``fit``.

        Raises
        ------
        MissingExtra
            If PyTorch is not installed.
        """
        if find_spec("torch") is None:
            raise MissingExtra("neural", "The variational autoencoder")
        from sfumato.synthesis.neural.training import Course
        from sfumato.synthesis.neural.variational_training import learn_variational

        read = read_table(table, schema, minimum=self.minimum, rare=self.rare, progress=progress)
        codec, found = Codec.fit(read, minimum=self.minimum, cells=self.cells, progress=progress)
        groups = tuple(
            CellGroups.fit(grid, found[:, place], self.groups)
            for place, grid in enumerate(codec.grids)
        )
        aims = np.empty_like(found)
        for place, one in enumerate(groups):
            aims[:, place] = np.where(found[:, place] < 0, -1, one.group_of[found[:, place]])
        sizes = [one.groups for one in groups]
        inputs = cells_without_gaps(aims, sizes)
        target = read.schema.target if read.schema.target in codec.names else None
        places = [] if target is None else [codec.names.index(target)]
        labelled = bool(places) and self.conditional
        order = by_dependence(
            inputs.astype(np.int32),
            sizes,
            places if labelled else [],
            [] if labelled else places,
        )
        aside = held_out_rows(table, schema.person, self.seed)
        learned_from = int((~aside).sum())
        course = Course.of(
            learned_from,
            epochs=self.epochs,
            batch_size=self.batch_size,
            rows_per_epoch=self.rows_per_epoch,
            learning_rate=self.learning_rate,
            patience=self.patience,
            steps=_STEPS,
            least_epochs=_LEAST_EPOCHS,
            gap=self.gap or float(np.clip(_GAP_ROWS / learned_from, _LEAST_GAP, _MOST_GAP)),
        )
        learned = learn_variational(
            inputs,
            aims,
            aside,
            [smooth_basis(*one) for one in zip(codec.grids, groups, strict=True)],
            order,
            heard=len(order) if self.decoder == "sequential" else int(labelled),
            latent=self.latent,
            hidden=self.hidden,
            beta=self.beta,
            warm_up=self.warm_up,
            free_nats=self.free_nats,
            course=course,
            seed=self.seed,
            told=lambda done, total: progress("training the network", done, total),
        )
        classes = aims[:, order[0]] if labelled else np.zeros(len(aims), dtype=np.int64)
        density = LatentDensity.fit(
            learned.points,
            classes,
            sizes[order[0]] if labelled else 1,
            parts=self.mixture,
            minimum=self.minimum,
            seed=self.seed,
            told=lambda done, total: progress("fitting the latent density", done, total),
        )
        random = np.random.default_rng([self.seed, 1])
        n = min(_CALIBRATING, 4 * table.height)
        labels = np.zeros(n, dtype=np.int64)
        if labelled:
            share = groups[order[0]].group_share
            labels = random.choice(share.size, n, p=share)
        points = density.draw(
            labels,
            random.random(n),
            random.standard_normal((n, self.latent)).astype(np.float32),
        )
        decoder = learned.decoder.calibrated(
            points,
            labels if labelled else None,
            [one.group_share for one in groups],
            random.random((n, len(order))),
            lambda done, total: progress("calibrating the columns", done, total),
        )
        return VariationalGenerator(
            codec=codec,
            groups=groups,
            density=density,
            decoder=decoder,
            labelled=labelled,
            epochs=learned.epochs,
            schema=read.schema,
            left_out=read.left_out,
            minimum=self.minimum,
            rows=table.height,
        )
