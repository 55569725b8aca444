"""Latent factors: a few hidden variables explain columns of every type through link functions.

Each column has a generalized linear model on the same few factors: Gaussian, logistic, cumulative
logits, Poisson or multinomial. The factors' law is a mixture of normals. Model and factors are
learned by a chain of draws, which also gives models from the posterior for several releases.

References
----------
M. Collins, S. Dasgupta, R. Schapire, "A generalization of principal component analysis to the
exponential family", NIPS 2001; M. Khan, B. Marlin, G. Bouchard, K. Murphy, "Variational bounds for
mixed-data factor analysis", NIPS 2010; B. Delyon, M. Lavielle, E. Moulines, Annals of Statistics 27
(1999), for the fit; D. Rubin, "The Bayesian bootstrap", Annals of Statistics 9 (1981), for the
columns' own distributions in the drawn models.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field

from sfumato.progress import Progress, silent
from sfumato.synthesis.codec import Codec, read_table
from sfumato.synthesis.latent_factor.chain import Chain, held_out_likelihood
from sfumato.synthesis.latent_factor.factor_generator import FactorGenerator
from sfumato.synthesis.latent_factor.factor_law import FactorLaw
from sfumato.synthesis.latent_factor.factor_model import FactorModel
from sfumato.synthesis.latent_factor.factor_variables import (
    FactorVariable,
    LinkName,
    starting_factors,
    variables_of,
)
from sfumato.synthesis.neural.held_out import held_out_rows
from sfumato.synthesis.synthesizer import Synthesizer

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl
    from numpy.typing import NDArray

    from sfumato.synthesis.latent_factor.links import Link, Seen
    from sfumato.table import Schema

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

__all__ = ["LatentFactor"]

_CANDIDATES = (1, 2, 4, 8, 12, 16)
_TRIAL_ROWS, _TRIAL_TURNS = 2_000, 30
_HELD_OUT = 500  # rows of which the likelihood is told
_CHECK = 10  # turns between two looks at it
_FIRST = 20  # turns with one normal law and whole steps
_ROWS_OF_A_PART = 50
_THINNING, _BURN_IN = 8, 20


class LatentFactor(Synthesizer):
    """Learn common factors behind all columns.

    Parameters
    ----------
    factors
        Number of factors; None: as many, up to 16, as make rows most likely that were held out.
    links
        Link of a column, by its name: "gaussian" (numbers, by their normal scores), "logistic" (two
        values), "ordinal" (cumulative logits: numbers in groups, categories in the order of their
        sorted values), "poisson" (whole numbers from 0) or "multinomial". Others are chosen:
        logistic for two values, multinomial for categories, Poisson for few small counts about as
        scattered as their mean, ordinal for numbers of few values or with a frequent one, else
        Gaussian.
    missing
        "value": whether a cell is empty is learned as a variable of its own, and empty cells are
        drawn; "masked": empty cells tell nothing, and every drawn cell has a value.
    mixture
        Most parts of the factors' law; 50 rows at least a part.
    groups
        About how many groups of a number's cells an ordinal link tells apart.
    turns
        Most turns of the chain.
    patience
        Looks, one every 10 turns, without a better likelihood of held-out rows after which the
        chain stops.
    most_rows
        Rows that the chain runs on, drawn evenly, if no models are drawn from the posterior; the
        columns' own distributions are always those of all rows.
    posterior
        Models drawn from the posterior, for several releases
        (:meth:`FactorGenerator.releases`).
    seed
        Of the chain.
    cells
        Most cells in the distribution of a number.
    minimum, rare, derived, rules, least_kept
        See :class:`~sfumato.synthesis.synthesizer.Synthesizer`.

    Examples
    --------
    >>> LatentFactor(factors=4, links={"visits": "poisson"}).missing
    'value'
    """

    factors: int | None = Field(default=None, ge=1, le=64)
    links: dict[str, LinkName] = Field(default_factory=dict)
    missing: Literal["value", "masked"] = "value"
    mixture: int = Field(default=8, ge=1, le=50)
    groups: int = Field(default=32, ge=2, le=200)
    turns: int = Field(default=100, ge=_CHECK)
    patience: int = Field(default=3, ge=1)
    most_rows: int = Field(default=8_000, ge=1_000)
    posterior: int = Field(default=0, ge=0)
    seed: int = Field(default=0, ge=0)
    cells: int = Field(default=1000, ge=10, le=10_000)

    def learn(
        self, table: pl.DataFrame, schema: Schema, *, progress: Progress = silent
    ) -> FactorGenerator:
        """Learn the factors behind the columns that are not derived; see ``fit``."""
        read = read_table(table, schema, minimum=self.minimum, rare=self.rare, progress=progress)
        codec, codes = Codec.fit(read, minimum=self.minimum, cells=self.cells, progress=progress)
        random = np.random.default_rng(self.seed)
        aside = held_out_rows(table, schema.person, self.seed)
        kept = random.permutation(np.flatnonzero(~aside))
        out = random.permutation(np.flatnonzero(aside))[:_HELD_OUT]
        factors = self.factors or self._factors(codec, codes, kept, out, progress)
        variables, links, seen = self._variables(codec, codes, factors)
        chain = self._chain(links, seen, kept[: self.most_rows], factors)
        self._settle(chain, [one.rows(out) for one in seen], progress)
        shares = [link.share for link in links]
        model = FactorModel.calibrated(chain.law, chain.links, shares)
        draws: tuple[FactorModel, ...] = ()
        if self.posterior:
            # the posterior is that of all rows
            everyone = np.arange(table.height)
            whole = self._chain(links, seen, everyone, factors)
            whole.links, whole.law, whole.pace = chain.links, chain.law, chain.pace
            whole.factors = np.zeros((table.height, factors))
            draws = self._draws(whole, variables, codec, codes, _who(table, schema), progress)
        return FactorGenerator(
            codec=codec,
            variables=variables,
            model=model,
            draws=draws,
            schema=read.schema,
            left_out=read.left_out,
            minimum=self.minimum,
            rows=table.height,
        )

    def _variables(
        self, codec: Codec, codes: Integers, factors: int
    ) -> tuple[tuple[FactorVariable, ...], tuple[Link, ...], tuple[Seen, ...]]:
        return variables_of(
            codec,
            codes,
            self.links,
            factors=factors,
            groups=self.groups,
            missing=self.missing,
        )

    def _chain(
        self, links: Sequence[Link], seen: Sequence[Seen], rows: Integers, factors: int
    ) -> Chain:
        inside = tuple(one.rows(rows) for one in seen)
        return Chain(
            seen=inside,
            links=tuple(links),
            law=FactorLaw.standard(factors),
            factors=starting_factors(inside, links, factors),
            random=np.random.default_rng([self.seed, factors]),
        )

    def _factors(
        self,
        codec: Codec,
        codes: Integers,
        kept: Integers,
        out: Integers,
        progress: Progress,
    ) -> int:
        """Return how many factors make held-out rows most likely."""
        best, most = 1, -np.inf
        for place, factors in enumerate(_CANDIDATES):
            progress("choosing the number of factors", place, len(_CANDIDATES))
            if factors > 1 and factors >= 2 * len(codec.grids):
                break
            _, links, seen = self._variables(codec, codes, factors)
            chain = self._chain(links, seen, kept[:_TRIAL_ROWS], factors)
            for turn in range(_TRIAL_TURNS):
                chain.turn(_step(turn, _TRIAL_TURNS // 2))
            left = [one.rows(out) for one in seen]
            reached = held_out_likelihood(
                left, chain.links, chain.law, np.random.default_rng(self.seed)
            )
            if reached <= most:
                break
            best, most = factors, reached
        progress("choosing the number of factors", len(_CANDIDATES), len(_CANDIDATES))
        return best

    def _settle(self, chain: Chain, left: list[Seen], progress: Progress) -> None:
        """Turn the chain until held-out rows are no more likely, and go back to the best."""
        parts = max(1, min(self.mixture, len(chain.factors) // _ROWS_OF_A_PART))
        best, most, since = (chain.links, chain.law), -np.inf, 0
        for turn in range(self.turns):
            progress("learning the factors", turn, self.turns)
            chain.turn(_step(turn, self.turns // 2))
            if turn + 1 == min(_FIRST, self.turns // 2):
                chain.split(parts)
            if (turn + 1) % _CHECK or turn + 1 < self.turns // 2:
                continue
            reached = held_out_likelihood(
                left, chain.links, chain.law, np.random.default_rng(self.seed)
            )
            since += 1
            if reached > most:
                best, most, since = (chain.links, chain.law), reached, 0
            if since >= self.patience:
                break
        progress("learning the factors", self.turns, self.turns)
        chain.links, chain.law = best

    def _draws(
        self,
        chain: Chain,
        variables: tuple[FactorVariable, ...],
        codec: Codec,
        codes: Integers,
        who: Integers,
        progress: Progress,
    ) -> tuple[FactorModel, ...]:
        """Return models from the posterior, each with column distributions of its own."""
        chain.move(_BURN_IN)
        found = []
        for draw in range(self.posterior):
            progress("drawing models", draw, self.posterior)
            for _ in range(_BURN_IN if draw == 0 else _THINNING):
                chain.turn(1.0, draw=True)
            weight = chain.random.standard_exponential(int(who.max()) + 1)[who]
            shares = []
            for variable in variables:
                grid = codec.grids[variable.column]
                own = variable.own(codes[:, variable.column], grid.values)
                there = own >= 0
                counted = np.bincount(own[there], weights=weight[there], minlength=variable.cells)
                shares.append(counted / counted.sum())
            found.append(FactorModel.calibrated(chain.law, chain.links, shares))
        progress("drawing models", self.posterior, self.posterior)
        return tuple(found)


def _step(turn: int, whole: int) -> float:
    """Return the share of a step that is taken: all of it at first, ever less afterwards."""
    return 1.0 if turn < whole else 1.0 / (turn - whole + 1) ** 0.75


def _who(table: pl.DataFrame, schema: Schema) -> Integers:
    """Return the number of the person of each row."""
    if schema.person is None:
        return np.arange(table.height)
    return table[schema.person].rank("dense").fill_null(0).to_numpy().astype(np.int64)
