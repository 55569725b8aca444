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

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field

from sfumato.progress import Progress, silent
from sfumato.synthesis.codec import Codec, read_table
from sfumato.synthesis.latent_factor.chain import Chain, held_out_likelihood
from sfumato.synthesis.latent_factor.factor_generator import FactorGenerator
from sfumato.synthesis.latent_factor.factor_law import FactorLaw
from sfumato.synthesis.latent_factor.factor_model import FactorModel
from sfumato.synthesis.latent_factor.factor_stratum import FactorStratum, SharedCells
from sfumato.synthesis.latent_factor.factor_variables import (
    FactorVariable,
    LinkName,
    chosen_links,
    starting_factors,
    variables_of,
)
from sfumato.synthesis.neural.held_out import held_out_rows
from sfumato.synthesis.strata import rows_by_class
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
_ROWS_OF_A_FACTOR, _ROWS_FOR_A_COLUMN = 100, 5
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
    by_target, minimum_class
        Whether each class of the schema's target is learned by itself, with factors of its own, if
        there are at most twenty; and the least number of rows of such a class, at least 50, and
        five for each column. Less frequent classes are learned together.
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
    by_target: bool = True
    minimum_class: int = Field(default=200, ge=50)
    posterior: int = Field(default=0, ge=0)
    seed: int = Field(default=0, ge=0)
    cells: int = Field(default=1000, ge=10, le=10_000)

    def learn(
        self, table: pl.DataFrame, schema: Schema, *, progress: Progress = silent
    ) -> FactorGenerator:
        """Learn the factors behind the columns that are not derived; see ``fit``."""
        read = read_table(table, schema, minimum=self.minimum, rare=self.rare, progress=progress)
        codec, codes = Codec.fit(read, minimum=self.minimum, cells=self.cells, progress=progress)
        learned = _Learned(
            codec,
            codes,
            chosen_links(codec, codes, self.links),
            read.people,
            _who(table, schema),
            held_out_rows(table, schema.person, self.seed),
        )
        everyone = np.arange(table.height)
        factors = self.factors or self._factors(learned, everyone, progress)
        target = None
        groups = [everyone]
        if self.by_target and read.schema.target in codec.names and len(codec.names) > 1:
            target = codec.names.index(read.schema.target)
            known = codes[:, target] < codec.grids[target].values
            classes = np.where(known, codes[:, target], -1)
            needed = max(self.minimum_class, _ROWS_FOR_A_COLUMN * len(codec.names))
            groups = rows_by_class(classes, needed)
        strata = []
        draws: list[tuple[FactorStratum, ...]] = []
        # the Bayesian bootstrap: each draw gives every person a weight of its own
        random = np.random.default_rng([self.seed, 2])
        who = learned.who
        weights = [
            random.standard_exponential(int(who.max()) + 1)[who] for _ in range(self.posterior)
        ]
        for rows in groups:
            common: dict[int, int] = {}
            if target is not None and len(groups) > 1 and np.ptp(codes[rows, target]) == 0:
                common = {target: int(codes[rows[0], target])}
            stratum, drawn = self._stratum(learned, rows, common, factors, weights, progress)
            strata.append(stratum)
            draws.append(drawn)
        return FactorGenerator(
            codec=codec,
            strata=tuple(strata),
            draws=tuple(zip(*draws, strict=True)),
            target=read.schema.target if len(groups) > 1 else None,
            schema=read.schema,
            left_out=read.left_out,
            minimum=self.minimum,
            rows=table.height,
        )

    def _stratum(
        self,
        learned: _Learned,
        rows: Integers,
        common: dict[int, int],
        factors: int,
        weights: Sequence[Floats],
        progress: Progress,
    ) -> tuple[FactorStratum, tuple[FactorStratum, ...]]:
        """Return the model of some rows, and as many drawn from its posterior as weights."""
        share = rows.size / len(learned.codes)
        factors = factors if self.factors else min(factors, max(1, rows.size // _ROWS_OF_A_FACTOR))
        # half a stratum is a quarter of the rows, but no small one is learned from a few
        most = max(round(self.most_rows * share), self.most_rows // 2)
        kept, out = learned.parted(rows, np.random.default_rng(self.seed))
        variables, links, seen = self._variables(learned, rows, common, factors)
        chain = self._chain(links, seen, kept[:most], factors)
        self._settle(chain, [one.rows(out) for one in seen], progress)
        blurred = [learned.blurred(variable, rows, self.minimum) for variable in variables]

        def calibrated(chain: Chain, weight: Floats | None) -> FactorModel:
            counted = [learned.counts(variable, rows, weight) for variable in variables]
            shares = [one.shares(each) for one, each in zip(blurred, counted, strict=True)]
            return FactorModel.calibrated(chain.law, chain.links, shares)

        found = FactorStratum(share, common, variables, calibrated(chain, None))
        if not weights:
            return found, ()
        # the posterior is that of all rows
        whole = self._chain(links, seen, np.arange(rows.size), factors)
        whole.links, whole.law, whole.pace = chain.links, chain.law, chain.pace
        whole.factors = np.zeros((rows.size, factors))
        whole.move(_BURN_IN)
        drawn = []
        for draw, weight in enumerate(weights):
            progress("drawing models", draw, len(weights))
            for _ in range(_BURN_IN if draw == 0 else _THINNING):
                whole.turn(1.0, draw=True)
            weighs = float(weight[rows].sum() / weight.sum())
            drawn.append(FactorStratum(weighs, common, variables, calibrated(whole, weight)))
        progress("drawing models", len(weights), len(weights))
        return found, tuple(drawn)

    def _variables(
        self, learned: _Learned, rows: Integers, common: dict[int, int], factors: int
    ) -> tuple[tuple[FactorVariable, ...], tuple[Link, ...], tuple[Seen, ...]]:
        return variables_of(
            learned.codec,
            learned.codes[rows],
            learned.links,
            factors=factors,
            groups=self.groups,
            missing=self.missing,
            common=common,
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

    def _factors(self, learned: _Learned, rows: Integers, progress: Progress) -> int:
        """Return how many factors make held-out rows most likely."""
        kept, out = learned.parted(rows, np.random.default_rng(self.seed))
        best, most = 1, -np.inf
        for place, factors in enumerate(_CANDIDATES):
            progress("choosing the number of factors", place, len(_CANDIDATES))
            if factors > 1 and factors >= 2 * len(learned.codec.grids):
                break
            _, links, seen = self._variables(learned, rows, {}, factors)
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


@dataclass(frozen=True, eq=False)
class _Learned:
    """What is learned from: the cells of all rows, and whose rows they are.

    ``links`` are those of columns with values; ``aside`` says which rows are held out.
    """

    codec: Codec
    codes: Integers
    links: dict[str, LinkName]
    people: Floats
    who: Integers
    aside: NDArray[np.bool_]

    def parted(self, rows: Integers, random: np.random.Generator) -> tuple[Integers, Integers]:
        """Return which of some rows are learned from and held out, by their place among them."""
        aside = self.aside[rows]
        kept = random.permutation(np.flatnonzero(~aside))
        out = random.permutation(np.flatnonzero(aside))[:_HELD_OUT]
        # of a class whose people were all drawn into one part, that part is both
        return (kept if kept.size else out), (out if out.size else kept[:_HELD_OUT])

    def counts(
        self, variable: FactorVariable, rows: Integers, weight: Floats | None = None
    ) -> Floats:
        """Return what some rows weigh in each cell of a variable."""
        codes = self.codes[rows, variable.column]
        values = self.codec.grids[variable.column].values
        return variable.counts(codes, values, None if weight is None else weight[rows])

    def blurred(self, variable: FactorVariable, rows: Integers, minimum: int) -> SharedCells:
        """Return how the cells of a variable are shared in which few people of some rows are."""
        grid = self.codec.grids[variable.column]
        return SharedCells.of(
            self.counts(variable, rows, self.people),
            variable.shares(self.codes[:, variable.column], grid.values),
            minimum,
            ordered=grid.kind == "number" and not variable.states,
        )


def _step(turn: int, whole: int) -> float:
    """Return the share of a step that is taken: all of it at first, ever less afterwards."""
    return 1.0 if turn < whole else 1.0 / (turn - whole + 1) ** 0.75


def _who(table: pl.DataFrame, schema: Schema) -> Integers:
    """Return the number of the person of each row."""
    if schema.person is None:
        return np.arange(table.height)
    return table[schema.person].rank("dense").fill_null(0).to_numpy().astype(np.int64)
