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

from sfumato.errors import DataError, PlanError
from sfumato.privacy.differential.budget import Budget
from sfumato.privacy.differential.ledger import Ledger
from sfumato.privacy.differential.random_words import RandomWords
from sfumato.privacy.differential.rationals import Rational
from sfumato.progress import Progress, silent
from sfumato.settings import Settings
from sfumato.synthesis.private.cells import Cells, nearest_shares
from sfumato.synthesis.private.contribution import bounded, check_unit
from sfumato.synthesis.private.copula_factor import CopulaFactor, fit_copula_factor
from sfumato.synthesis.private.discovery import discovered
from sfumato.synthesis.private.domain import (
    Declared,
    declared_domain,
)
from sfumato.synthesis.private.histograms import Histogram, column_histogram, noisy_rows
from sfumato.synthesis.private.latent_generator import (
    LatentFactorGenerator,
    PrivateColumn,
    kept_dtype,
)
from sfumato.synthesis.private.mixture import Mixture
from sfumato.synthesis.private.mixture_fitting import NoisyMarginals, fit_mixture
from sfumato.synthesis.private.noisy_counting import NoisyCounting
from sfumato.synthesis.private.pair_counts import PairBudget, noisy_marginals
from sfumato.synthesis.private.posterior import posterior_draws

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    from sfumato.table import Schema

__all__ = ["DPLatentFactor"]

_FITS_OF_A_DRAW = 4
_STEPS = (100, 2000)
_MOST_VALUES = 10  # of a target within whose values pairs are counted


class DPLatentFactor(Settings):
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
        (:meth:`LatentFactorGenerator.releases`); of hidden classes only. Each takes two fifths
        of the time of the model, and no budget.
    insecure_seed
        For tests only: noise from a seed. The model is then **not private**, and says so.

    Examples
    --------
    >>> DPLatentFactor(
    ...     budget=Budget(epsilon=1, delta="1e-9"),
    ...     domain={"age": (0, 120, 1), "sex": ["F", "M"]},
    ... ).cells
    32
    """

    budget: Budget
    domain: dict[str, Declared] = Field(default_factory=dict)
    model: Literal["latent class", "copula"] = "latent class"
    cells: int = Field(default=32, ge=4, le=256)
    singles: Rational = Fraction(3, 20)
    within: Rational = Fraction(2, 5)
    discover: Rational = Fraction(0)
    emphasis: float = Field(default=4.0, ge=1)
    classes: int = Field(default=30, ge=1)
    fits: int = Field(default=10, ge=1)
    steps: int | None = Field(default=None, ge=1)
    factors: int = Field(default=6, ge=1)
    posterior: int = Field(default=0, ge=0)
    insecure_seed: int | None = None

    def model_post_init(self, _context: object, /) -> None:
        """Refuse shares that leave nothing for pairs, and a budget that buys no such noise."""
        parts = (self.within, self.discover)
        if self.singles <= 0 or min(parts) < 0 or self.singles + sum(parts) >= 1:
            raise PlanError(
                "DPLatentFactor: singles must be above 0, within and discover 0 or more, and all "
                "three together below 1: the pairs get the rest"
            )
        self.budget.share(self.singles).gaussian_variance()

    def fit(
        self, table: pl.DataFrame, schema: Schema, *, progress: Progress = silent
    ) -> LatentFactorGenerator:
        """Learn the model from the table's rows.

        Parameters
        ----------
        table
            The table to imitate; columns with the role identifier are left out.
        schema
            Its schema.
        progress
            Told how far the work is.

        Raises
        ------
        SchemaError
            If the schema does not fit the table, or it is not declared what a column can hold.
        PlanError
            If the budget protects rows where the schema names persons.
        BudgetExceeded
            If the budget does not suffice; then nothing was read.
        """
        schema = schema.check(table)
        check_unit(self.budget, schema)
        left_out = [name for name in schema.identifiers if name in table.columns]
        if schema.person is not None and schema.person not in left_out:
            left_out.append(schema.person)
        names = [name for name in table.columns if name not in left_out]
        if len(names) < 2:
            raise DataError(
                "Nothing to learn: at least two columns that identify nobody are needed"
            )
        dtypes = {name: kept_dtype(table.schema[name], name) for name in names}
        declared = declared_domain(self.domain, schema, dtypes, complete=self.discover == 0)
        # noise is chosen by looking at noisy counts: only a bound that allows for it may be used
        budget = self.budget
        if budget.accounting in ("best", "pld"):
            budget = budget.model_copy(
                update={"accounting": "gdp" if budget.rho is None else "zcdp"}
            )
        counting = NoisyCounting(Ledger(budget, RandomWords(self.insecure_seed)))
        rows = bounded(table, schema.person, budget.rows_per_person, counting.ledger.words)

        unknown = [name for name in names if name not in declared]
        named = [name for name in unknown if not dtypes[name].is_numeric()]
        for name in unknown:
            declared[name] = discovered(
                rows[name].cast(dtypes[name]),
                counting,
                share=self.discover / len(unknown),
                delta=budget.threshold_delta / max(len(named), 1),
            )
        share = self.singles / len(names)
        histograms, points = [], []
        for done, name in enumerate(names):
            progress("counting each column", done, len(names))
            points.append(declared[name].codes(rows[name]))
            histograms.append(
                column_histogram(points[-1], declared[name], counting, share=share, name=name)
            )
        progress("counting each column", len(names), len(names))
        number = noisy_rows(histograms)
        cells = [one.cells(number / self.cells) for one in histograms]
        codes = [_codes(one, of) for one, of in zip(cells, points, strict=True)]
        del points
        rest = 1 - self.singles - (self.discover if unknown else 0)
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
                    lambda given, random: self._mixture(
                        given, random, _FITS_OF_A_DRAW, steps, silent
                    ),
                    draws=self.posterior,
                    progress=progress,
                )
        return LatentFactorGenerator(
            columns=tuple(
                PrivateColumn(name, str(dtypes[name]), declared[name], one)
                for name, one in zip(names, cells, strict=True)
            ),
            model=model,
            draws=draws,
            ledger=counting.ledger.to_dict(),
            rows=round(number),
            schema=schema.select(names),
            left_out=tuple(left_out),
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
