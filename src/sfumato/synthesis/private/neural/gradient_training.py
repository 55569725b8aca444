"""Train an autoencoder on the rows with noisy slopes (DP-SGD), in integers throughout.

Each step looks at a Poisson sample of the people. Each row's slope of the evidence bound is clipped
and put on a grid of integers by itself, the integers are summed, and integer noise is added; what
is divided by is the expected size of the sample, never its own. All steps' noise is fixed before
the first.

Latent noise of a row is drawn for it alone. Given all other rows' noise the sums of neighbouring
tables differ by one row's integers, and the mean over that noise only brings the distributions of
the sums nearer (the Renyi divergence's exponential is jointly convex).

References
----------
M. Abadi et al., "Deep learning with differential privacy", CCS 2016. D. Kingma, M. Welling,
"Auto-encoding variational Bayes", ICLR 2014. P. Kairouz, Z. Liu, T. Steinke, "The distributed
discrete Gaussian mechanism for federated learning with secure aggregation", ICML 2021, for
slopes on a grid of integers with discrete noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sfumato.errors import PlanError
from sfumato.progress import Progress, silent
from sfumato.synthesis.private.neural.decoder import Adam, Network

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sfumato.privacy.differential.ledger import Ledger
    from sfumato.privacy.differential.random_words import RandomWords
    from sfumato.privacy.differential.subsampling import SampledGaussian

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]
    Singles = NDArray[np.float32]

__all__ = ["UNITS", "Autoencoder", "train_privately"]

#: The integer that the clipped length stands for. A row's rounding, at most half the square root of
#: the network's size, is taken off what is left of the slope: some hundred units of a million.
UNITS = 2**20
_LAST_STEP = 0.1  # of the first one


@dataclass(frozen=True)
class Autoencoder:
    """An encoder before a decoder: cells, a hidden layer, means and logarithms of variances.

    Parameters
    ----------
    decoder
        What is kept after training; of two hidden layers.
    """

    decoder: Network

    def __post_init__(self) -> None:
        """Refuse a network that the compiled loop does not know, or whose sums could overflow."""
        if len(self.decoder.hidden) != 2:
            raise PlanError("a decoder that is trained on rows has two hidden layers")
        if self.parameters >= 2 * UNITS:
            raise PlanError(f"a network of {self.parameters:,} numbers is too large: fewer hidden")

    @property
    def layers(self) -> tuple[tuple[int, int], ...]:
        """Rows and columns of each layer's matrix, the encoder's before the decoder's."""
        hidden, latent = self.decoder.hidden[0], self.decoder.latent
        encoder = ((sum(self.decoder.sizes) + 1, hidden), (hidden + 1, 2 * latent))
        return (*encoder, *self.decoder.layers)

    @property
    def parameters(self) -> int:
        """How many numbers both are."""
        return sum(a * b for a, b in self.layers)

    def matrices(self, flat: Singles) -> list[Singles]:
        """Return the layers of a flat vector, as views of it."""
        found, place = [], 0
        for rows, columns in self.layers:
            found.append(flat[place : place + rows * columns].reshape(rows, columns))
            place += rows * columns
        return found

    def initial(self, random: np.random.Generator, shares: Floats) -> Singles:
        """Return a network to begin with, whose decoder says the columns' shares at every point."""
        flat = np.zeros(self.parameters, dtype=np.float32)
        layers = self.matrices(flat)
        # a row has one cell of each column, so that so many rows of the first matrix are added
        for layer, into in zip(layers[:2], (len(self.decoder.sizes), len(layers[1])), strict=True):
            scale = np.float32((1 / into) ** 0.5)
            layer[:-1] = scale * random.standard_normal(layer[:-1].shape, dtype=np.float32)
        flat[-self.decoder.parameters :] = self.decoder.initial(random)
        layers[-1][:-1] *= np.float32(0.5)
        layers[-1][-1] = np.log(np.maximum(shares, 1e-5))
        return flat

    def clipped_sum(
        self, flat: Singles, codes: Integers, noise: Singles, *, weight: float, clip: float
    ) -> Integers:
        """Return the sum over rows of their clipped slopes in whole units, shape (parameters,).

        Parameters
        ----------
        flat
            The network.
        codes
            The cell of each row in each column, shape (rows, columns).
        noise
            Latent noise of each row, shape (rows, latent).
        weight
            Of the divergence from the prior.
        clip
            The length that ``UNITS`` stands for; no row adds more.
        """
        from sfumato.synthesis.private.neural.gradient_kernels import clipped_sum

        total = np.zeros(self.parameters, dtype=np.int64)
        sizes = np.array(self.decoder.sizes, dtype=np.int64)
        clipped_sum(
            codes,
            noise,
            self.decoder.starts,
            sizes,
            *self.matrices(flat),
            np.float32(weight),
            clip,
            UNITS,
            total,
        )
        return total


def train_privately(
    codes: Integers,
    network: Autoencoder,
    shares: Floats,
    *,
    mechanism: SampledGaussian,
    steps: int,
    rows: float,
    ledger: Ledger,
    clip: float,
    rate: float,
    weight: float,
    random: np.random.Generator,
    progress: Progress = silent,
) -> Singles:
    """Return the decoder of an autoencoder that saw the rows through noisy slopes only.

    Parameters
    ----------
    codes
        The cell of each person in each column, shape (people, columns): **data**.
    network
        Shape of the autoencoder.
    shares
        Noisy share of each cell in its column.
    mechanism
        Sampling and noise of a step, for a sensitivity of ``UNITS``.
    steps
        Number of steps.
    rows
        Noisy number of people.
    ledger
        The account, charged before the first step; the source of samples and noise.
    clip
        Length to which a row's slope is clipped.
    rate
        First step of Adam; it falls to a tenth along half a cosine.
    weight
        Of the divergence from the prior in the evidence bound.
    random
        The beginning is drawn from it: it needs no protection.
    progress
        Told how far the work is.

    Raises
    ------
    BudgetExceeded
        If the ledger has not so much left; then no row was looked at.
    """
    if mechanism.sensitivity_squared < UNITS**2:
        raise PlanError(f"the noise must be for a sensitivity of {UNITS}")
    ledger.charge("noisy slopes of the autoencoder", mechanism, steps)
    flat = network.initial(random, shares)
    adam = Adam(flat)
    unit = clip / UNITS / (float(mechanism.rate) * rows)
    for step in range(steps):
        if step % 20 == 0:
            progress("training the autoencoder", step, steps)
        drawn = np.flatnonzero(mechanism.sample(len(codes), ledger.words))
        noise = normals((len(drawn), network.decoder.latent), ledger.words)
        sums = network.clipped_sum(flat, codes[drawn], noise, weight=weight, clip=clip)
        slope = (mechanism.release(sums, ledger.words) * unit).astype(np.float32)
        falling = 0.5 * (1 + np.cos(np.pi * step / steps))
        adam.step(slope, rate * (_LAST_STEP + (1 - _LAST_STEP) * falling))
    progress("training the autoencoder", steps, steps)
    return flat[-network.decoder.parameters :].copy()


def normals(shape: tuple[int, int], words: RandomWords) -> Singles:
    """Return independent normal numbers (Box & Muller 1958); they hide nothing by themselves."""
    size = shape[0] * shape[1]
    half = -(-size // 2)
    uniform = ((words.draw(2 * half) >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53
    radius, angle = np.sqrt(-2 * np.log(uniform[:half])), 2 * np.pi * uniform[half:]
    drawn = np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])[:size]
    return drawn.reshape(shape).astype(np.float32)
