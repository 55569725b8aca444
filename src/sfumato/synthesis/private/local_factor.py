"""Latent factors of data that no curator may see: each person's answers are randomized first.

Every cell is replaced, with a stated probability, by another of its column before anybody collects
it (randomized response). Counts of columns and pairs are then estimated without bias, since the
randomization is known, and hidden classes are fitted to them as to any noisy counts. This needs no
trust and many people: the noise is that of every single answer.

References
----------
S. L. Warner, JASA 60 (1965); P. Kairouz, K. Bonawitz, D. Ramage, "Discrete distribution estimation
under local privacy", ICML 2016; for pairs, R. Bassily, A. Smith, STOC 2015, section 1.
"""

from __future__ import annotations

import itertools
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from sfumato.errors import DataError, PlanError
from sfumato.privacy.differential import Ledger, RandomizedResponse, RandomWords
from sfumato.progress import Progress, silent
from sfumato.synthesis.private.cells import Cells, nearest_shares
from sfumato.synthesis.private.domain import (
    DeclaredNumbers,
    DeclaredValues,
    declared_domain,
)
from sfumato.synthesis.private.latent_generator import (
    LatentFactorGenerator,
    PrivateColumn,
    kept_dtype,
)
from sfumato.synthesis.private.mixture_fitting import NoisyMarginals, fit_mixture
from sfumato.synthesis.private.private_synthesizer import PrivateSynthesizer

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    from sfumato.table import Schema

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

__all__ = ["LocalLatentFactor"]


class LocalLatentFactor(PrivateSynthesizer):
    """Randomize each person's row by itself, and learn hidden classes from the randomized rows.

    Parameters
    ----------
    budget
        A budget of epsilon alone, with ``neighbours="replace"``: what a person's whole row keeps,
        whoever collects it. It is shared equally between the columns.
    domain
        What each column can hold; as for :class:`DPLatentFactor`. There is no way to discover it.
    cells
        Most cells of a number, of equal width; 2 to 256.
    classes, fits, steps
        Of the fit; as for :class:`DPLatentFactor`.
    insecure_seed
        For tests only: the model is then **not private**.
    derived, rules, least_kept
        As for :class:`DPLatentFactor`: they cost nothing.

    Examples
    --------
    >>> from sfumato.privacy.differential import Budget
    >>> LocalLatentFactor(budget=Budget(epsilon=4, neighbours="replace")).cells
    8
    """

    cells: int = Field(default=8, ge=2, le=256)
    classes: int = Field(default=10, ge=1)
    fits: int = Field(default=8, ge=1)
    steps: int = Field(default=200, ge=1)
    insecure_seed: int | None = None

    def model_post_init(self, _context: object, /) -> None:
        """Refuse a budget that randomized response does not keep."""
        if not self.budget.pure or self.budget.neighbours != "replace":
            raise PlanError(
                'LocalLatentFactor: the budget must be Budget(epsilon=..., neighbours="replace"): '
                "randomized response needs no delta, and nobody's taking part is hidden"
            )
        if self.budget.unit != "row":
            raise PlanError("LocalLatentFactor: a row is what one person sends: unit = 'row'")

    def learn(
        self, table: pl.DataFrame, schema: Schema, *, progress: Progress = silent
    ) -> LatentFactorGenerator:
        """Randomize the rows and learn the model from nothing but the randomized ones.

        The number of rows is known to who collects them. See :meth:`fit`.
        """
        schema = schema.check(table)
        if schema.person is not None:
            raise PlanError("LocalLatentFactor: each person sends one row: no person column")
        left_out = [name for name in schema.identifiers if name in table.columns]
        names = [name for name in table.columns if name not in left_out]
        if len(names) < 2 or table.height == 0:
            raise DataError(
                "Nothing to learn: rows and two columns that identify nobody are needed"
            )
        dtypes = {name: kept_dtype(table.schema[name], name) for name in names}
        declared = declared_domain(self.domain, schema, dtypes)
        ledger = Ledger(self.budget, RandomWords(self.insecure_seed))
        each = self.budget.share(Fraction(1, len(names))).epsilon
        cells = [_cells(declared[name], self.cells) for name in names]
        responses, mechanisms = [], []
        for name, one in zip(names, cells, strict=True):
            mechanism = RandomizedResponse(epsilon=each, categories=one.size)
            ledger.charge(f"answers of {name}", mechanism)
            answered = mechanism.release(one.codes(declared[name].codes(table[name])), ledger.words)
            responses.append(answered)
            mechanisms.append(mechanism)
        noisy = _estimated(responses, mechanisms)
        model = fit_mixture(
            noisy,
            classes=self.classes,
            members=self.fits,
            steps=self.steps,
            rate=0.05,
            spread=1.0,
            random=np.random.default_rng(0),
            progress=progress,
        )
        return LatentFactorGenerator(
            columns=tuple(
                PrivateColumn(name, str(dtypes[name]), declared[name], one)
                for name, one in zip(names, cells, strict=True)
            ),
            model=model,
            draws=(),
            ledger=ledger.to_dict(),
            rows=table.height,
            schema=schema.select(names),
            left_out=tuple(left_out),
        )


def _cells(declared: DeclaredNumbers | DeclaredValues, most: int) -> Cells:
    """Return cells of equal width, one for each category, and one for missing."""
    size = declared.size
    ordered = isinstance(declared, DeclaredNumbers)
    number = min(size, most) if ordered else size
    starts = np.append(np.arange(number, dtype=np.int64) * size // number, size)
    return Cells(
        starts, np.arange(number + 1, dtype=np.int64), np.ones(number + 1), number + 1, ordered
    )


def _estimated(responses: list[Integers], mechanisms: list[RandomizedResponse]) -> NoisyMarginals:
    """Return unbiased shares of cells and of pairs of cells, and how surely they are known."""
    people = len(responses[0])
    sizes = tuple(mechanism.categories for mechanism in mechanisms)
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    width = int(offsets[-1])
    estimates = [
        mechanism.estimate(one) for mechanism, one in zip(mechanisms, responses, strict=True)
    ]
    pairs, weights = np.zeros((2, width, width), dtype=np.float32)
    for i, j in itertools.combinations(range(len(sizes)), 2):
        seen = np.bincount(responses[i] * sizes[j] + responses[j], minlength=sizes[i] * sizes[j])
        undone, deviation = seen.reshape(sizes[i], sizes[j]) / people, 1.0
        for axis, mechanism in enumerate((mechanisms[i], mechanisms[j])):
            keep = float(mechanism.keep)
            other = (1 - keep) / (mechanism.categories - 1)
            # seen = (keep - other) true + other total, along this axis
            undone = (undone - other * undone.sum(axis=axis, keepdims=True)) / (keep - other)
            deviation /= keep - other
        # an answer's cell is seen at about 1 / cells: the variance of its count, undone
        variance = deviation**2 / (sizes[i] * sizes[j] * people)
        rows, columns = slice(*offsets[i : i + 2]), slice(*offsets[j : j + 2])
        pairs[rows, columns], pairs[columns, rows] = undone, undone.T
        weights[rows, columns] = weights[columns, rows] = 1 / (2 * variance)
    return NoisyMarginals(
        sizes=sizes,
        singles=np.concatenate(
            [nearest_shares(one.counts, one.standard_errors) for one in estimates]
        ),
        single_weights=np.concatenate(
            [(people / np.maximum(one.standard_errors, 1.0)) ** 2 for one in estimates]
        ),
        pairs=pairs,
        pair_weights=weights,
    )
