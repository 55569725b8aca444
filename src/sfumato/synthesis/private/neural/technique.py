"""Differentially private synthesis by a neural decoder, in two ways that can be compared.

References
----------
T. Liu, G. Vietri, Z. S. Wu, "Iterative methods for private synthetic data: unifying framework and
new methods", NeurIPS 2021, for a decoder fitted to noisy marginals. M. Abadi et al., "Deep learning
with differential privacy", CCS 2016, and D. Kingma, M. Welling, "Auto-encoding variational Bayes",
ICLR 2014, for an autoencoder trained on the rows.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field

from sfumato.errors import PlanError
from sfumato.privacy.differential.noise import DiscreteGaussian
from sfumato.privacy.differential.rationals import Rational
from sfumato.privacy.differential.subsampling import SampledGaussian, sampled_gaussian
from sfumato.progress import Progress, silent
from sfumato.synthesis.private.latent_generator import PrivateColumn
from sfumato.synthesis.private.neural.decoder import Network
from sfumato.synthesis.private.neural.decoder_generator import DecoderGenerator
from sfumato.synthesis.private.neural.decoder_model import DecoderModel, Member, latent_points
from sfumato.synthesis.private.neural.gradient_training import (
    UNITS,
    Autoencoder,
    train_privately,
)
from sfumato.synthesis.private.neural.marginal_training import fit_decoder
from sfumato.synthesis.private.pair_counts import PairBudget, noisy_marginals
from sfumato.synthesis.private.private_synthesizer import CountingSynthesizer

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    from sfumato.synthesis.private.cells import Cells
    from sfumato.synthesis.private.counted_columns import CountedColumns
    from sfumato.table import Schema

    Integers = NDArray[np.int64]

__all__ = ["DPVariationalAutoencoder"]

_MARGIN = Fraction(1, 10**6)
_MOST_VALUES = 10  # of a target within whose values pairs are counted


class DPVariationalAutoencoder(CountingSynthesizer):
    """Learn a neural decoder under a total budget: from noisy marginals, or from the rows.

    Parameters
    ----------
    budget
        What is promised, to a row or a person: ``Budget(epsilon=1, delta="1e-9")``. It needs a
        delta above 0, or rho or mu. For gradients: epsilon and delta, neighbours by presence, and
        one row of each person.
    domain
        What each column can hold, known without the data; see :class:`DPLatentFactor`.
    fitting
        "marginals": the decoder is fitted to noisy counts of all columns and pairs, by which no
        step costs anything; "gradients": it is trained with an encoder on the rows, each step on a
        sample of them and with noise on its slope (DP-SGD): less like the table, and here to be
        compared with.
    latent
        Coordinates of the latent noise.
    hidden
        Width of each of the decoder's two hidden layers.
    points
        Latent points at which the decoder is met: as many hidden classes, so to speak.
    fits
        Number of decoders whose mixture is the model; of marginals only.
    cells, singles, discover
        See :class:`DPLatentFactor`; for gradients nothing can be discovered, since all noise is
        fixed beforehand.
    within, emphasis
        As of :class:`DPLatentFactor`; of marginals only.
    steps
        Steps of a fit or of the training; None: 1,000, or 500 for gradients.
    learning_rate
        First step of Adam; None: 0.003, or 0.002 for gradients.
    sampling_rate
        Probability with which each person is looked at in a step; of gradients only.
    clip
        Length to which a row's slope is clipped; of gradients only.
    insecure_seed
        For tests only: noise from a seed. The model is then **not private**, and says so.
    derived, rules, least_kept
        See :class:`~sfumato.synthesis.private.private_synthesizer.PrivateSynthesizer`: they cost
        nothing.

    Examples
    --------
    >>> from sfumato.privacy.differential import Budget
    >>> DPVariationalAutoencoder(
    ...     budget=Budget(epsilon=1, delta="1e-9"),
    ...     domain={"age": (0, 120, 1), "sex": ["F", "M"]},
    ... ).fitting
    'marginals'
    """

    fitting: Literal["marginals", "gradients"] = "marginals"
    latent: int = Field(default=16, ge=1, le=256)
    hidden: int = Field(default=128, ge=1, le=1024)
    points: int = Field(default=500, ge=2, le=10_000)
    fits: int = Field(default=4, ge=1)
    within: Rational = Fraction(2, 5)
    emphasis: float = Field(default=4.0, ge=1)
    steps: int | None = Field(default=None, ge=1)
    learning_rate: float | None = Field(default=None, gt=0)
    sampling_rate: Rational = Field(default=Fraction(1, 32), gt=0, le=1)
    clip: float = Field(default=1.0, ge=1e-6, le=1e6)

    def model_post_init(self, _context: object, /) -> None:
        """Refuse shares that leave nothing, and a budget that buys no such noise."""
        parts = (self.within, self.discover)
        if self.singles <= 0 or min(parts) < 0 or self.singles + sum(parts) >= 1:
            raise PlanError(
                "DPVariationalAutoencoder: singles must be above 0, within and discover 0 or more, "
                "and all three together below 1: the pairs get the rest"
            )
        self.budget.share(self.singles).gaussian_variance()
        if self.fitting == "gradients":
            self._check_gradients()

    def _check_gradients(self) -> None:
        budget = self.budget
        if budget.rows_per_person != 1:
            raise PlanError(
                'DPVariationalAutoencoder: with fitting = "gradients" one row of each person is '
                "looked at: set rows_per_person = 1"
            )
        plain = budget.epsilon is not None and budget.neighbours == "add_remove"
        if not plain or budget.accounting not in ("best", "rdp"):
            raise PlanError(
                'DPVariationalAutoencoder: fitting = "gradients" is accounted for by Renyi '
                'divergences: it needs an epsilon and a delta, neighbours = "add_remove" and '
                'accounting = "best"'
            )
        if self.discover > 0:
            raise PlanError(
                'DPVariationalAutoencoder: with fitting = "gradients" all noise is fixed '
                "beforehand: declare every column and set discover = 0"
            )

    def learn(
        self, table: pl.DataFrame, schema: Schema, *, progress: Progress = silent
    ) -> DecoderGenerator:
        """Learn the model of the columns that are not derived; see :meth:`fit`."""
        # before a row is looked at
        noise = self._slope_noise() if self.fitting == "gradients" else None
        counted = self.counted(table, schema, progress)
        cells = [one.cells(counted.rows / self.cells) for one in counted.histograms]
        network = Network(self.latent, (self.hidden,) * 2, tuple(one.size for one in cells))
        codes = [one.codes(of) for one, of in zip(cells, counted.points, strict=True)]
        counted.points.clear()  # of no use any more, and as large as the table
        if noise is None:
            members = self._by_marginals(counted, cells, codes, network, progress)
        else:
            members = self._by_gradients(counted, cells, codes, network, noise, progress)
        return DecoderGenerator(
            columns=tuple(
                PrivateColumn(name, str(counted.dtypes[name]), counted.declared[name], one)
                for name, one in zip(counted.names, cells, strict=True)
            ),
            model=DecoderModel.rounded(network, members),
            draws=(),
            ledger=counted.counting.ledger.to_dict(),
            rows=round(counted.rows),
            schema=counted.schema.select(list(counted.names)),
            left_out=counted.left_out,
            fitting=self.fitting,
        )

    def _by_marginals(
        self,
        counted: CountedColumns,
        cells: list[Cells],
        codes: list[Integers],
        network: Network,
        progress: Progress,
    ) -> tuple[Member, ...]:
        names, schema = counted.names, counted.schema
        target = names.index(schema.target) if schema.target in names else None
        few = target is not None and 2 <= cells[target].size <= _MOST_VALUES
        within = self.within if few else Fraction(0)
        noisy = noisy_marginals(
            [
                np.where(of < 0, one.size, of).astype(np.int16)
                for one, of in zip(cells, codes, strict=True)
            ],
            network.sizes,
            [
                (one.totals(of.counts), one.totals(of.deviation**2))
                for one, of in zip(cells, counted.histograms, strict=True)
            ],
            counted.rows,
            counted.counting,
            PairBudget(counted.rest - within, within, target, self.emphasis),
            progress,
        )
        # from here on the counts are given: only post-processing
        members = []
        for place in range(self.fits):
            random = np.random.default_rng(place)
            points = latent_points(self.points, self.latent, random)
            flat = fit_decoder(
                noisy,
                network,
                points,
                steps=self.steps or 1000,
                rate=self.learning_rate or 0.003,
                random=random,
                progress=progress,
            )
            members.append(Member(flat, points))
        return tuple(members)

    def _by_gradients(
        self,
        counted: CountedColumns,
        cells: list[Cells],
        codes: list[Integers],
        network: Network,
        noise: SampledGaussian,
        progress: Progress,
    ) -> tuple[Member, ...]:
        ledger = counted.counting.ledger
        # all noise was fixed beforehand, so that divergences of any order may be added up
        ledger.budget = ledger.budget.model_copy(update={"accounting": "rdp"})
        totals = [
            np.maximum(one.totals(of.counts), 1e-9)
            for one, of in zip(cells, counted.histograms, strict=True)
        ]
        random = np.random.default_rng(0)
        flat = train_privately(
            np.stack(codes, axis=1),
            Autoencoder(network),
            np.concatenate([one / one.sum() for one in totals]),
            mechanism=noise,
            steps=self._slopes,
            rows=counted.rows,
            ledger=ledger,
            clip=self.clip,
            rate=self.learning_rate or 0.002,
            weight=1.0,
            random=random,
            progress=progress,
        )
        return (Member(flat, latent_points(self.points, self.latent, random)),)

    @property
    def _slopes(self) -> int:
        return self.steps or 500

    def _slope_noise(self) -> SampledGaussian:
        """Return the noise of each slope, from what is declared alone."""
        # the columns' histograms together cost no more than one answer with a little more than
        # all of their share, which pays for no whole numbers
        variance = self.budget.share(self.singles).continuous_variance
        singles = DiscreteGaussian(sigma_squared=variance * (1 - _MARGIN))
        return sampled_gaussian(
            self.budget,
            sensitivity_squared=UNITS**2,
            rate=self.sampling_rate,
            times=self._slopes,
            beside=[singles],
        )
