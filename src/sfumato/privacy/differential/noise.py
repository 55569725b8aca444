"""Integer noise on integers: discrete Laplace, geometric and Gaussian, and sums on a grid."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from sfumato.errors import DataError
from sfumato.privacy.differential.costs import Cost
from sfumato.privacy.differential.mechanism import LARGEST_VALUE, Mechanism, checked_integers
from sfumato.privacy.differential.random_words import RandomWords
from sfumato.privacy.differential.rationals import Rational
from sfumato.privacy.differential.samplers import discrete_gaussian, discrete_laplace

__all__ = ["DiscreteGaussian", "DiscreteLaplace", "Geometric", "NoisySum"]

Integers = npt.NDArray[np.int64]


class DiscreteLaplace(Mechanism):
    """Add integers x with probability proportional to exp(-abs(x) / scale) to integers.

    Parameters
    ----------
    scale
        A rational number above 0, below 2**56.
    sensitivity
        How far one unit moves all integers together (L1), at most.

    Notes
    -----
    Pure differential privacy of epsilon = sensitivity / scale: the probabilities of an output under
    two inputs differ by a factor of at most exp(abs(a - b) / scale) in each cell (Ghosh,
    Roughgarden & Sundararajan, STOC 2009). It is the geometric mechanism.

    Examples
    --------
    >>> DiscreteLaplace(scale=2).cost.epsilon
    Fraction(1, 2)
    """

    kind: ClassVar[str] = "discrete Laplace"

    scale: Rational = Field(gt=0, lt=2**56)
    sensitivity: int = Field(default=1, ge=1)

    @property
    def cost(self) -> Cost:
        """Pure: sensitivity / scale."""
        return Cost.pure(self.sensitivity / self.scale)

    def facts(self) -> dict[str, str]:
        """Return sensitivity and scale."""
        return {"sensitivity": f"{self.sensitivity} (L1)", "scale": str(self.scale)}

    def release(self, data: npt.ArrayLike, words: RandomWords) -> Integers:
        """Return integers of any shape with noise; DataError if they are no integers."""
        values = checked_integers(data, "values")
        noise = discrete_laplace(self.scale, words, values.size).reshape(values.shape)
        return _added(values, noise)


class Geometric(DiscreteLaplace):
    """The geometric mechanism by its epsilon: discrete Laplace noise of scale 1 / epsilon.

    Parameters
    ----------
    epsilon
        Of a count that one unit moves by at most 1; a rational number above 0.

    Examples
    --------
    >>> Geometric(epsilon="0.5").scale
    Fraction(2, 1)
    """

    kind: ClassVar[str] = "geometric"

    def __init__(self, *, epsilon: Any = None, **values: Any) -> None:
        if epsilon is not None and not values:
            from sfumato.privacy.differential.rationals import rational

            exact = rational(epsilon)
            values["scale"] = 1 / exact if exact > 0 else exact
        super().__init__(**values)


class DiscreteGaussian(Mechanism):
    """Add integers x with probability proportional to exp(-x**2 / (2 sigma_squared)) to integers.

    Parameters
    ----------
    sigma_squared
        A rational number above 0, below 2**112 (see :meth:`Budget.gaussian_sigma`).
    sensitivity_squared
        The squared Euclidean length by which one unit moves all integers together, at most.

    Notes
    -----
    Zero-concentrated differential privacy of rho = sensitivity_squared / (2 sigma_squared)
    (Canonne, Kamath & Steinke, NeurIPS 2020, Theorem 4, Corollary 5). Its epsilon at a delta is
    computed by the ledger.
    """

    kind: ClassVar[str] = "discrete Gaussian"

    sigma_squared: Rational = Field(gt=0, lt=2**112)
    sensitivity_squared: Rational = Field(default=Fraction(1), gt=0)

    @property
    def cost(self) -> Cost:
        """Of Gaussian noise."""
        return Cost.gaussian(self.sensitivity_squared, self.sigma_squared)

    def facts(self) -> dict[str, str]:
        """Return squared sensitivity and sigma squared."""
        return {
            "sensitivity": f"{self.sensitivity_squared} (L2 squared)",
            "scale": f"{self.sigma_squared} (sigma squared)",
        }

    def release(self, data: npt.ArrayLike, words: RandomWords) -> Integers:
        """Return integers of any shape with noise; DataError if they are no integers."""
        values = checked_integers(data, "values")
        noise = discrete_gaussian(self.sigma_squared, words, values.size).reshape(values.shape)
        return _added(values, noise)


class NoisySum(Mechanism):
    """The sum of real numbers, clipped to declared bounds and counted in a declared unit.

    Each number is clipped, divided by ``grid`` and rounded to an integer by itself; the integers
    are summed, and the noise is an integer. A missing value (NaN) adds nothing.

    Parameters
    ----------
    lower, upper
        Bounds of a number, declared: not taken from the data.
    grid
        The unit of the sum, above 0. A finer grid costs nothing but reaches 2**56 sooner.
    noise
        "laplace" or "gaussian".
    scale
        Of the noise, in the unit of the numbers: the scale of Laplace, sigma of Gaussian; above 0.
    neighbours, rows_per_unit
        As in the budget.

    Examples
    --------
    >>> mean_age = NoisySum(lower=0, upper=120, grid="1/4", scale=240)
    >>> mean_age.cost.epsilon
    Fraction(1, 2)
    """

    kind: ClassVar[str] = "sum on a grid"

    lower: Rational
    upper: Rational
    grid: Rational = Field(gt=0)
    noise: Literal["laplace", "gaussian"] = "laplace"
    scale: Rational = Field(gt=0)
    neighbours: Literal["add_remove", "replace"] = "add_remove"
    rows_per_unit: int = Field(default=1, ge=1)

    @model_validator(mode="after")
    def _bounds(self) -> Self:
        if not self.lower < self.upper:
            raise ValueError("lower must be below upper")
        if self.scale >= self.grid * 2**56:
            raise ValueError("the scale is 2**56 grid units or more: take a coarser grid")
        low, high = self._whole_bounds
        if low == high == 0:
            raise ValueError("grid is so coarse that every number is rounded to 0")
        if max(-low, high) >= LARGEST_VALUE:
            raise ValueError("the bounds are 2**61 grid units or more: take a coarser grid")
        return self

    @property
    def _whole_bounds(self) -> tuple[int, int]:
        return round(self.lower / self.grid), round(self.upper / self.grid)

    @property
    def sensitivity(self) -> int:
        """How far one unit moves the sum, in grid units."""
        low, high = self._whole_bounds
        if self.neighbours == "add_remove":
            return self.rows_per_unit * max(abs(low), abs(high))
        return self.rows_per_unit * (max(high, 0) - min(low, 0))

    @property
    def mechanism(self) -> DiscreteLaplace | DiscreteGaussian:
        """The noise, in grid units."""
        scale = self.scale / self.grid
        if self.noise == "laplace":
            return DiscreteLaplace(scale=scale, sensitivity=self.sensitivity)
        return DiscreteGaussian(
            sigma_squared=scale**2, sensitivity_squared=Fraction(self.sensitivity) ** 2
        )

    @property
    def cost(self) -> Cost:
        """Of the noise."""
        return self.mechanism.cost

    def facts(self) -> dict[str, str]:
        """Return those of the noise, in grid units, with bounds and grid."""
        bounds = {"bounds": f"{self.lower} to {self.upper}", "grid": str(self.grid)}
        return {**self.mechanism.facts(), **bounds}

    def release(self, data: npt.ArrayLike, words: RandomWords) -> Fraction:
        """Return the noisy sum, exact; DataError if the data are no numbers."""
        array = np.asarray(data)
        if array.dtype.kind not in "iuf":
            raise DataError(f"numbers are needed to sum, not {array.dtype}")
        low, high = self._whole_bounds
        clipped = np.clip(array.astype(np.float64), float(self.lower), float(self.upper))
        # whatever the division rounds to, each row is one integer within the bounds
        whole = np.rint(np.nan_to_num(clipped / float(self.grid), nan=0.0))
        known = np.where(np.isnan(clipped), 0, np.clip(whole.astype(np.int64), low, high))
        if array.size * max(abs(low), abs(high)) >= LARGEST_VALUE:
            raise DataError("the sum may exceed 2**61 grid units: take a coarser grid")
        noisy = self.mechanism.release(np.array([known.sum()]), words)
        return int(noisy[0]) * self.grid


def _added(values: Integers, noise: Integers) -> Integers:
    # values are within 2**61 and noise within 2**62 but for a probability of exp(-64); adding in
    # two's complement is a bijection on 64 bits, so even an overflow would be post-processing
    return values + noise
