"""Differentially private synthesis by latent factors.

Noisy counts are taken once, of every column, every pair of columns and every pair within the values
of the target; a model with hidden variables is fitted to them and rows are drawn from the model.
All that is random enters at the counts: nothing is perturbed person by person, no step looks at the
data again, and the number of rows, the cells and the atoms come from the noisy counts.

References
----------
Y. Zhang, X. Xu, L. Tang, A. Qu, "Differentially private data release for mixed-type data via latent
factor models", JMLR 25 (2024), for the idea; bounded sufficient statistics are perturbed here
instead of factors and loadings. R. McKenna, G. Miklau, D. Sheldon, "Winning the NIST contest",
J. Privacy and Confidentiality 11 (2021), for select, measure, fit. J. Dong, A. Roth, W. Su,
"Gaussian differential privacy", JRSS B 84 (2022), for the accounting.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field

from sfumato.errors import PlanError
from sfumato.privacy.differential.rationals import Rational
from sfumato.progress import Progress, silent
from sfumato.synthesis.private.cells import Cells, nearest_shares
from sfumato.synthesis.private.copula_factor import CopulaFactor, fit_copula_factor
from sfumato.synthesis.private.histograms import Histogram
from sfumato.synthesis.private.latent_generator import (
    LatentFactorGenerator,
    PrivateColumn,
)
from sfumato.synthesis.private.mixture import Mixture
from sfumato.synthesis.private.mixture_fitting import NoisyMarginals, fit_mixture
from sfumato.synthesis.private.moments import Scores
from sfumato.synthesis.private.noisy_counting import NoisyCounting
from sfumato.synthesis.private.pair_counts import PairBudget, noisy_marginals
from sfumato.synthesis.private.posterior import posterior_draws
from sfumato.synthesis.private.private_synthesizer import CountingSynthesizer

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    from sfumato.table import Schema

__all__ = ["DPLatentFactor"]

_FITS_OF_A_DRAW = 2
_STEPS_OF_A_DRAW = 1500  # moments of few cells are learned last
_STEPS = (100, 2000)
_MOST_VALUES = 10  # of a target within whose values pairs are counted


class DPLatentFactor(CountingSynthesizer):
    """Learn noisy marginals under a total budget, and hidden classes that explain them.

    Parameters
    ----------
    budget
        What is promised, to a row or a person: ``Budget(epsilon=1, delta="1e-9")``. It needs a
        delta above 0, or rho or mu.
    domain
        What each column can hold, known without the data: ``(low, high, step)`` for numbers and
        dates, a list of values for categories. The schema may declare it too: truth values, and
        hierarchies that list their values.
    model
        "latent class": hidden classes, in which the columns are independent; "copula": normal
        factors behind the columns, from their second moments: quicker, and mostly less like the
        table.
    cells
        Most cells of a number in the model, about; 4 to 256.
    singles
        Share of the budget for each column by itself, above 0 and below 1.
    within
        Share of the budget for pairs within each value of the schema's target, from 0; the pairs
        themselves get the rest. Without a target of at most ten values it goes to the pairs.
    discover
        Share of the budget, 0 or more, with which it is found out what undeclared columns can hold;
        for categories the budget also needs a ``threshold_delta``.
    emphasis
        How many times a pair with the target counts when the budget is shared out, at least 1.
    classes
        Hidden classes of one fit.
    fits
        Number of fits whose mixture is the model.
    steps
        Steps of a fit. Fewer smooth more; None: 100 to 2000, the more the more rows there are for
        the noise.
    factors
        Factors of a copula.
    posterior
        Models drawn about the fitted one, for several releases and valid intervals
        (:meth:`LatentFactorGenerator.releases`); of hidden classes only. Each is held to the means
        and products that regressions are made of, takes about two fifths of the time of the model,
        and no budget.
    insecure_seed
        For tests only: noise from a seed. The model is then **not private**, and says so.
    derived, rules, least_kept
        See :class:`~sfumato.synthesis.private.private_synthesizer.PrivateSynthesizer`: they cost
        nothing.

    Examples
    --------
    >>> from sfumato.privacy.differential import Budget
    >>> DPLatentFactor(
    ...     budget=Budget(epsilon=1, delta="1e-9"),
    ...     domain={"age": (0, 120, 1), "sex": ["F", "M"]},
    ... ).cells
    32
    """

    model: Literal["latent class", "copula"] = "latent class"
    within: Rational = Fraction(2, 5)
    emphasis: float = Field(default=4.0, ge=1)
    classes: int = Field(default=30, ge=1)
    fits: int = Field(default=10, ge=1)
    steps: int | None = Field(default=None, ge=1)
    factors: int = Field(default=6, ge=1)
    posterior: int = Field(default=0, ge=0)

    def model_post_init(self, _context: object, /) -> None:
        """Refuse shares that leave nothing for pairs, and a budget that buys no such noise."""
        parts = (self.within, self.discover)
        if self.singles <= 0 or min(parts) < 0 or self.singles + sum(parts) >= 1:
            raise PlanError(
                "DPLatentFactor: singles must be above 0, within and discover 0 or more, and all "
                "three together below 1: the pairs get the rest"
            )
        self.budget.share(self.singles).gaussian_variance()

    def learn(
        self, table: pl.DataFrame, schema: Schema, *, progress: Progress = silent
    ) -> LatentFactorGenerator:
        """Learn the model of the columns that are not derived; see :meth:`fit`."""
        counted = self.counted(table, schema, progress)
        names, histograms, number = counted.names, counted.histograms, counted.rows
        counting, rest, schema = counted.counting, counted.rest, counted.schema
        cells = [one.cells(number / self.cells) for one in histograms]
        codes = [_codes(one, of) for one, of in zip(cells, counted.points, strict=True)]
        counted.points.clear()  # of no use any more, and as large as the table
        model: Mixture | CopulaFactor
        draws: tuple[Mixture, ...] = ()
        if self.model == "copula":
            model = fit_copula_factor(
                codes,
                [_shares(one, of) for one, of in zip(cells, histograms, strict=True)],
                [one.ordered for one in cells],
                [bool(one.cell[-1] >= 0) for one in cells],
                number,
                counting.ledger,
                share=rest,
                factors=self.factors,
            )
        else:
            target = names.index(schema.target) if schema.target in names else None
            few = target is not None and 2 <= cells[target].size <= _MOST_VALUES
            within = self.within if few else Fraction(0)
            pairs = PairBudget(rest - within, within, target, self.emphasis)
            singles = [
                (one.totals(of.counts), one.totals(of.deviation**2))
                for one, of in zip(cells, histograms, strict=True)
            ]
            sizes = [one.size for one in cells]
            noisy = noisy_marginals(codes, sizes, singles, number, counting, pairs, progress)
            # from here on the counts are given: only post-processing
            steps = self.steps or _steps(number, counting)
            model = self._mixture(noisy, np.random.default_rng(0), self.fits, steps, progress)
            if self.posterior:
                draws = posterior_draws(
                    model,
                    noisy,
                    number,
                    counting,
                    pairs,
                    Scores.of(cells, histograms, number),
                    lambda given, random: self._mixture(
                        given, random, _FITS_OF_A_DRAW, max(steps, _STEPS_OF_A_DRAW), silent
                    ),
                    draws=self.posterior,
                    progress=progress,
                )
        return LatentFactorGenerator(
            columns=tuple(
                PrivateColumn(name, str(counted.dtypes[name]), counted.declared[name], one)
                for name, one in zip(names, cells, strict=True)
            ),
            model=model,
            draws=draws,
            ledger=counting.ledger.to_dict(),
            rows=round(number),
            schema=schema.select(list(names)),
            left_out=counted.left_out,
        )

    def _mixture(
        self,
        noisy: NoisyMarginals,
        random: np.random.Generator,
        fits: int,
        steps: int,
        progress: Progress,
    ) -> Mixture:
        return fit_mixture(
            noisy,
            classes=self.classes,
            members=fits,
            steps=steps,
            rate=0.05,
            spread=1.0,
            random=random,
            progress=progress,
        )


def _steps(rows: float, counting: NoisyCounting) -> int:
    """Return steps by the rows for each unit of noise, if one histogram had all the budget."""
    half = Fraction(1, 2)
    deviation = float(half * counting.mechanism(half).sigma_squared) ** 0.5
    return int(np.clip(rows / deviation / 3.5, *_STEPS))


def _shares(cells: Cells, histogram: Histogram) -> NDArray[np.float64]:
    return nearest_shares(
        cells.totals(histogram.counts), np.sqrt(cells.totals(histogram.deviation**2))
    )


def _codes(cells: Cells, points: NDArray[np.int64]) -> NDArray[np.int16]:
    codes = cells.codes(points)
    return np.where(codes < 0, cells.size, codes).astype(np.int16)
