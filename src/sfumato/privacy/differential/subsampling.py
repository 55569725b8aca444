"""Noise on sums over a random sample: who is not looked at loses nothing.

What a sum costs and why is in :mod:`.renyi`.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from sfumato.errors import PlanError
from sfumato.privacy.differential.costs import Cost
from sfumato.privacy.differential.ledger import calibrated
from sfumato.privacy.differential.mechanism import Mechanism
from sfumato.privacy.differential.noise import DiscreteGaussian
from sfumato.privacy.differential.rationals import Number, Rational, rational
from sfumato.privacy.differential.samplers import bernoulli

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sfumato.privacy.differential.budget import Budget
    from sfumato.privacy.differential.random_words import RandomWords

__all__ = ["SampledGaussian", "sampled_gaussian"]

_HALVINGS = 14  # the variance is then right to 1 in 16,000, and never too small


class SampledGaussian(Mechanism):
    """Add discrete Gaussian noise to integers that were summed over a Poisson sample of people.

    Parameters
    ----------
    sigma_squared
        Of the noise, as of :class:`DiscreteGaussian`.
    sensitivity_squared
        The squared Euclidean length of what one person in the sample adds, at most.
    rate
        Probability with which each person is in the sample, above 0 and at most 1; the numerator
        and the denominator below 2**62.

    Notes
    -----
    The sample must be drawn anew for each sum, with :meth:`sample`, and never be told, nor its
    size. It is for neighbours by the presence of one person.

    Examples
    --------
    >>> from sfumato.privacy.differential import RandomWords
    >>> noise = SampledGaussian(sigma_squared=100, sensitivity_squared=25, rate="1/50")
    >>> len(noise.sample(1000, RandomWords()))
    1000
    """

    kind: ClassVar[str] = "sampled discrete Gaussian"

    sigma_squared: Rational = Field(gt=0, lt=2**112)
    sensitivity_squared: Rational = Field(default=Fraction(1), gt=0)
    rate: Rational = Field(gt=0, le=1)

    @property
    def cost(self) -> Cost:
        """Of one sum over one sample."""
        return Cost.sampled_gaussian(self.sensitivity_squared, self.sigma_squared, self.rate)

    def facts(self) -> dict[str, str]:
        """Return squared sensitivity, sigma squared and the sampling rate."""
        return {
            "sensitivity": f"{self.sensitivity_squared} (L2 squared)",
            "scale": f"{self.sigma_squared} (sigma squared)",
            "rate": str(self.rate),
        }

    def sample(self, people: int, words: RandomWords) -> npt.NDArray[np.bool_]:
        """Return who is in the sample, each by an exact draw of its own; shape (people,)."""
        return bernoulli(self.rate.numerator, self.rate.denominator, words, size=people)

    def release(self, data: npt.ArrayLike, words: RandomWords) -> npt.NDArray[np.int64]:
        """Return the sums over a sample with noise; DataError if they are no integers."""
        noise = DiscreteGaussian(
            sigma_squared=self.sigma_squared, sensitivity_squared=self.sensitivity_squared
        )
        return noise.release(data, words)


def sampled_gaussian(
    budget: Budget,
    *,
    sensitivity_squared: Number,
    rate: Number,
    times: int,
    beside: Sequence[Mechanism] = (),
) -> SampledGaussian:
    """Return the least noise for so many sums over samples that a budget affords.

    Found from what is declared alone, so that the noise of everything is fixed before the first
    look at the data.

    Parameters
    ----------
    budget
        What is promised: epsilon and a delta above 0.
    sensitivity_squared, rate
        As of :class:`SampledGaussian`.
    times
        Number of sums, each over a sample of its own; 1 or more.
    beside
        What else is paid from the budget, or what costs at least as much.

    Raises
    ------
    PlanError
        If the budget is stated in another way: only epsilon and delta gain from sampling.
    BudgetExceeded
        If no noise is enough.
    """
    if budget.epsilon is None or budget.delta == 0 or budget.neighbours != "add_remove":
        raise PlanError(
            "sums over samples need a budget of epsilon and a delta above 0, and neighbours = "
            '"add_remove"'
        )
    squared, share = rational(sensitivity_squared), rational(rate)
    account = budget.model_copy(update={"accounting": "rdp"})

    def sums(variance: Fraction) -> SampledGaussian:
        return SampledGaussian(sigma_squared=variance, sensitivity_squared=squared, rate=share)

    def plan(level: Fraction) -> list[tuple[str, Mechanism, int]]:
        rest: list[tuple[str, Mechanism, int]] = [("beside", one, 1) for one in beside]
        return [("sums", sums(squared / (2 * level)), times), *rest]

    return sums(calibrated(account, plan, _HALVINGS)[0][1].cost.sigma_squared or Fraction(0))
