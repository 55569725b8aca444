"""Models that the noisy counts could as well have come from: draws from an approximate posterior.

The noise is known, so it can be drawn again. A table is drawn row by row from the fitted model and
counted with noise of the same size; how far these counts lie from what the model expects is added
to the real noisy counts, and the model is fitted anew. The new models scatter about the fitted one
as far as the noise and the drawing of the people together allow (randomize, then optimize; exact
for linear models). They are held to means and products of the columns that noise does not bias
(:mod:`.moments`). All of it is post-processing and costs nothing.

References
----------
J. Bardsley, A. Solonen, H. Haario, M. Laine, "Randomize-then-optimize", SIAM J. Scientific
Computing 36 (2014). O. Raisa, J. Jalko, S. Kaski, A. Honkela, "Noise-aware statistical inference
with differentially private synthetic data", AISTATS 2023, for what the draws are good for.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from sfumato.progress import Progress, silent
from sfumato.synthesis.private.noisy_counting import NoisyCounting
from sfumato.synthesis.private.pair_counts import PairBudget, noisy_marginals

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from fractions import Fraction

    from numpy.typing import NDArray

    from sfumato.synthesis.private.mixture import Mixture
    from sfumato.synthesis.private.mixture_fitting import NoisyMarginals
    from sfumato.synthesis.private.moments import Scores

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

__all__ = ["posterior_draws"]


class _Imitated(NoisyCounting):
    """Counts invented rows with noise like that of the real ones; nothing is charged."""

    def __init__(self, counting: NoisyCounting, random: np.random.Generator) -> None:
        super().__init__(counting.ledger)
        self._mechanisms = counting._mechanisms
        self._random = random

    def pay(self, share: Fraction, label: str, times: int = 1) -> None:
        """Charge nothing: no real row is looked at."""

    def noised(self, counts: Integers, share: Fraction) -> tuple[Floats, float]:
        sigma = float(self.mechanism(share).sigma_squared) ** 0.5
        return counts + sigma * self._random.standard_normal(counts.shape), sigma


def posterior_draws(
    model: Mixture,
    noisy: NoisyMarginals,
    rows: float,
    counting: NoisyCounting,
    budget: PairBudget,
    scores: Scores,
    fit: Callable[[NoisyMarginals, np.random.Generator], Mixture],
    *,
    draws: int,
    progress: Progress = silent,
) -> tuple[Mixture, ...]:
    """Return so many models drawn about the fitted one.

    Parameters
    ----------
    model
        The fitted model.
    noisy
        What it was fitted to.
    rows
        Noisy number of rows.
    counting
        How the rows were counted.
    budget
        How pairs shared the budget.
    scores
        Of the means and products to which each model is held.
    fit
        Fits a model to noisy marginals.
    draws
        How many.
    progress
        Told how far the work is.
    """
    expected = _expected(model, noisy)
    found = []
    for draw in range(draws):
        progress("drawing models", draw, draws)
        random = np.random.default_rng([1, draw])
        people = model.sample(round(rows), random, even=False)
        codes = [people[:, place].astype(np.int16) for place in range(people.shape[1])]
        variance = rows**2 / noisy.single_weights
        singles = _singles(codes, noisy.sizes, variance, random)
        again = noisy_marginals(
            codes, noisy.sizes, singles, rows, _Imitated(counting, random), budget
        )
        moved = np.concatenate([one for one, _ in singles]) / rows - expected.singles
        shifted = replace(
            noisy,
            singles=noisy.singles + moved,
            pairs=noisy.pairs + again.pairs - expected.pairs,
            within=None
            if noisy.within is None or again.within is None or expected.within is None
            else noisy.within + again.within - expected.within,
        )
        means = scores.moved(noisy, moved, random)
        held = replace(shifted, moments=scores.moments(shifted, means))
        found.append(fit(held, random))
    progress("drawing models", draws, draws)
    return tuple(found)


def _singles(
    codes: Sequence[NDArray[np.int16]],
    sizes: Sequence[int],
    variance: Floats,
    random: np.random.Generator,
) -> list[tuple[Floats, Floats]]:
    ends = np.cumsum(sizes)
    found = []
    for one, size, end in zip(codes, sizes, ends, strict=True):
        spread = variance[end - size : end]
        counts = np.bincount(one, minlength=size) + np.sqrt(spread) * random.standard_normal(size)
        found.append((counts, spread))
    return found


def _expected(model: Mixture, noisy: NoisyMarginals) -> NoisyMarginals:
    """Return what the model says of all that was measured."""
    tables = model.tables.astype(np.float32)
    shares = model.shares.astype(np.float32)
    within = None
    if noisy.within is not None and noisy.target is not None:
        belongs = model.column(noisy.target).astype(np.float32)
        within = np.stack([(tables * (shares * one)[:, None]).T @ tables for one in belongs.T])
    return replace(
        noisy,
        singles=np.asarray(model.shares @ model.tables, dtype=np.float64),
        pairs=np.asarray((tables * shares[:, None]).T @ tables, dtype=np.float32),
        within=within,
    )
