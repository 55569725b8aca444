"""The budget: what is promised, to whom, and how it is shared out before any data are read."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal, NamedTuple, Self

from pydantic import Field, field_validator, model_validator

from sfumato.errors import BudgetExceeded, PlanError
from sfumato.privacy.differential import conversions
from sfumato.privacy.differential.costs import Accounting, Cost, epsilon_bounds, rounding_variance
from sfumato.privacy.differential.discrete_trade_off import unit_variance
from sfumato.privacy.differential.rationals import (
    Number,
    Rational,
    rational,
    rounded_down,
    rounded_up,
)
from sfumato.settings import Settings

__all__ = ["Budget", "CountSensitivity", "Share"]

# The numeric composition is up to this share above the formula that shares are made by.
_NUMERIC_MARGIN = 1e-4
_MARGIN = 1e-9  # of epsilon and delta, kept for SLACK of up to 10,000 charges
_LIKE_PERCENT = 20


class CountSensitivity(NamedTuple):
    """How far one person moves the counts of one histogram, or of several together.

    Parameters
    ----------
    most
        In one cell.
    total
        Summed over cells (L1).
    squared
        Squared Euclidean length (L2 squared).
    """

    most: int
    total: int
    squared: int


class Budget(Settings):
    """What a release promises about every person, in one of four ways.

    Give exactly one of ``epsilon`` (with or without ``delta``), ``rho``, ``mu`` and
    ``no_promise = True``.

    Parameters
    ----------
    epsilon
        Above 0. An epsilon of 0 is refused: an answer that no person may change needs no data.
        Infinity is refused too: say ``no_promise``.
    delta
        The probability with which the rest need not hold; below one over the number of people.
        0 is pure differential privacy. With ``rho`` or ``mu``: what thresholds may spend, and at
        what an epsilon is told.
    rho
        Zero-concentrated differential privacy (Bun & Steinke 2016).
    mu
        Gaussian differential privacy (Dong, Roth & Su 2022).
    no_promise
        Nothing is promised: every charge is recorded, none is refused.
    neighbours
        "add_remove": tables that differ by the presence of one unit. "replace": by the values of
        one unit, the number of units being public.
    unit
        "row", or "person" who owns at most ``rows_per_person`` rows: the caller keeps no more of
        each person.
    rows_per_person
        Of the unit "person".
    people
        How many units there are, if that is public; ``delta`` is held against it.
    large_delta
        What happens to a delta of one over ``people`` or more: "refuse" or "warn".
    threshold_delta
        The part of ``delta`` set aside for thresholds on unknown categories.
    accounting
        Which bound counts: "best" is the least of all that hold, right where the noise of every
        answer is fixed before the first. Where noise is chosen by looking at earlier answers,
        choose "pure", "zcdp" or "gdp", which stay valid (Feldman & Zrnic 2021; Smith & Thakurta
        2022).

    Examples
    --------
    >>> budget = Budget(epsilon=1, delta="1e-9", people=30_000)
    >>> budget.split({"one-way": 0.3, "two-way": 0.7})["one-way"].gaussian_variance(14) > 14 * 31
    True
    """

    epsilon: Rational | None = None
    delta: Rational = Fraction(0)
    rho: Rational | None = None
    mu: Rational | None = None
    no_promise: bool = False
    neighbours: Literal["add_remove", "replace"] = "add_remove"
    unit: Literal["row", "person"] = "row"
    rows_per_person: int = Field(default=1, ge=1)
    people: int | None = Field(default=None, ge=1)
    large_delta: Literal["refuse", "warn"] = "refuse"
    threshold_delta: Rational = Fraction(0)
    accounting: Accounting = "best"

    @field_validator("epsilon", "rho", "mu", mode="before")
    @classmethod
    def _promises_something(cls, value: Any) -> Any:
        if isinstance(value, float | str) and str(value).strip().lower().lstrip("+") in _INFINITIES:
            raise ValueError("infinity promises nothing: say no_promise = true if that is meant")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        given = [n for n in ("epsilon", "rho", "mu") if getattr(self, n) is not None]
        if len(given) + self.no_promise != 1:
            raise ValueError("give exactly one of epsilon, rho, mu and no_promise = true")
        if given and not getattr(self, given[0]) > 0:
            raise ValueError(
                f"{given[0]} must be above 0: an answer that no person may change needs no data"
            )
        if not 0 <= self.threshold_delta <= self.delta < 1:
            raise ValueError("0 <= threshold_delta <= delta < 1 must hold")
        if self.unit == "row" and self.rows_per_person != 1:
            raise ValueError('rows_per_person needs unit = "person"')
        if self._delta_is_large and self.large_delta == "refuse":
            raise ValueError(
                f"delta = {float(self.delta):.3g} is not below 1 / people = 1 / {self.people}: a "
                "mechanism may then publish a person. Take 1 / people squared"
            )
        return self

    @property
    def _delta_is_large(self) -> bool:
        return self.people is not None and self.delta * self.people >= 1

    @property
    def pure(self) -> bool:
        """Whether only pure answers fit, whose epsilons are added."""
        return self.epsilon is not None and (self.delta == 0 or self.accounting == "pure")

    @property
    def cautions(self) -> tuple[str, ...]:
        """What a data steward should think about before spending, a sentence each."""
        found = []
        if self.no_promise:
            found.append("No promise is made: the noise protects nobody to any stated degree.")
        if self.epsilon is not None and self.epsilon > _LIKE_PERCENT:
            found.append(
                f"epsilon = {float(self.epsilon):g} is no percentage: it lets odds change by a "
                f"factor of exp({float(self.epsilon):g}), which protects nobody."
            )
        if self._delta_is_large:
            found.append(
                f"delta = {float(self.delta):.3g} is not below 1 / {self.people}: a mechanism that "
                "publishes a person outright could keep this promise."
            )
        if self.delta and self.people is None:
            found.append("The number of people was not declared, so delta was not held against it.")
        return tuple(found)

    def count_sensitivity(self, histograms: int = 1) -> CountSensitivity:
        """Return how far one unit moves the counts of so many histograms of rows.

        Each row falls into one cell of each histogram. Under "replace" a row leaves one cell and
        enters another; a person's rows may all lie in one cell.

        Parameters
        ----------
        histograms
            How many are released together, 1 or more.

        Examples
        --------
        >>> Budget(epsilon=1).count_sensitivity()
        CountSensitivity(most=1, total=1, squared=1)
        >>> Budget(epsilon=1, unit="person", rows_per_person=3).count_sensitivity(2)
        CountSensitivity(most=3, total=6, squared=18)
        """
        rows, sides = self.rows_per_person, 2 if self.neighbours == "replace" else 1
        total = sides * rows * histograms
        return CountSensitivity(most=rows, total=total, squared=sides * rows**2 * histograms)

    def share(self, fraction: Number = 1) -> Share:
        """Return a part of the budget, above 0 and at most 1."""
        return Share(self, rational(fraction))

    def split(self, shares: Mapping[str, Number]) -> dict[str, Share]:
        """Return named parts of the budget.

        Parameters
        ----------
        shares
            Fractions above 0 that sum to at most 1.

        Raises
        ------
        BudgetExceeded
            If they sum to more than 1.
        """
        return self.share(1).split(shares)

    def gaussian_sigma(self, sensitivity_squared: Number = 1, share: Number = 1) -> Fraction:
        """Return the sigma **squared** of discrete Gaussian noise for a share of the budget.

        Parameters
        ----------
        sensitivity_squared
            The squared Euclidean length by which one unit moves the integers
            (:meth:`count_sensitivity`).
        share
            Above 0, at most 1. Answers whose shares sum to at most 1 keep the promise together.

        Returns
        -------
        Fraction
            Rounded up, so that the cost is never more than the share. For the whole budget and a
            squared sensitivity of 1 it is found by the privacy loss distribution itself.
        """
        return self.share(share).gaussian_variance(sensitivity_squared)

    def describe(self) -> list[str]:
        """Return the promise in sentences, then the cautions."""
        unit = (
            "one row"
            if self.unit == "row"
            else f"one person with at most {self.rows_per_person} rows"
        )
        change = (
            f"if {unit} is {'added or removed' if self.neighbours == 'add_remove' else 'replaced'}"
        )
        if self.no_promise:
            return list(self.cautions)
        if self.epsilon is not None:
            said = (
                f"The probability of every release changes by a factor of at most "
                f"exp({float(self.epsilon):g}) {change}"
            )
            said += f", but for a probability of {float(self.delta):.3g}" if self.delta else ""
        elif self.rho is not None:
            said = f"{float(self.rho):g}-zero-concentrated differential privacy {change}"
        else:
            said = (
                f"Telling two tables apart is as hard as telling one draw of N(0, 1) from one of "
                f"N({float(self.mu or 0):g}, 1), {change}"
            )
        return [f"{said}.", *self.cautions]

    def to_dict(self) -> dict[str, Any]:
        """Return the settings that differ from their defaults; rational numbers as texts."""
        values = self.model_dump(exclude_defaults=True)
        return {k: str(v) if isinstance(v, Fraction) else v for k, v in values.items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Return the budget that :meth:`to_dict` wrote."""
        return cls.of(values)


@dataclass(frozen=True)
class Share:
    """A part of a budget, and the noise that it buys.

    Under zCDP and Gaussian differential privacy parts of rho and of mu squared add up; under pure
    differential privacy parts of epsilon.

    Parameters
    ----------
    budget
        The whole.
    fraction
        Above 0, at most 1.
    """

    budget: Budget
    fraction: Fraction

    def __post_init__(self) -> None:
        """Refuse a fraction out of range."""
        if not 0 < self.fraction <= 1:
            raise PlanError(f"a share is above 0 and at most 1, not {float(self.fraction):g}")
        if self.budget.no_promise:
            raise PlanError("a budget without a promise has no shares: choose the noise yourself")

    def split(self, shares: Mapping[str, Number]) -> dict[str, Share]:
        """Return named parts of this part; their fractions sum to at most 1."""
        parts = {name: rational(value) for name, value in shares.items()}
        # 0.1 + 0.2 + 0.7 is 1, since each is read as it was written
        if sum(parts.values()) > 1:
            raise BudgetExceeded(
                f"the shares {', '.join(parts)} sum to {float(sum(parts.values())):g}: at most 1 "
                "can be spent"
            )
        return {name: Share(self.budget, self.fraction * part) for name, part in parts.items()}

    def gaussian_variance(self, sensitivity_squared: Number = 1) -> Fraction:
        """Return sigma squared of discrete Gaussian noise: see :meth:`Budget.gaussian_sigma`."""
        squared = rational(sensitivity_squared)
        if squared <= 0:
            raise PlanError("sensitivity_squared must be above 0")
        if self.budget.pure:
            raise PlanError(
                "Gaussian noise needs a delta above 0, rho or mu, and no pure accounting: take "
                "Laplace noise"
            )
        continuous = squared * self.continuous_variance
        if self._by_rho:
            return rounded_up(continuous)
        variance = continuous + rounding_variance(squared)
        exact = unit_variance(float(1 / continuous))
        if exact < variance:
            variance = Fraction(exact)
        if self.fraction == 1 and squared == 1 and self.budget.accounting in ("best", "pld"):
            variance = min(variance, self._lone_variance(continuous, variance))
        return rounded_up(variance)

    @property
    def continuous_variance(self) -> Fraction:
        """The variance of Gaussian noise on a real number that moves by 1."""
        if self._by_rho:
            return 1 / (2 * self.fraction * self._rho)
        return 1 / (self.fraction * self._mu_squared)

    @property
    def epsilon(self) -> Fraction:
        """The epsilon of a pure mechanism (Laplace noise, randomized response), rounded down."""
        if self.budget.pure:
            return self.fraction * (self.budget.epsilon or Fraction(0))
        if self._by_rho:
            return rounded_down(math.sqrt(float(2 * self.fraction * self._rho)) * (1 - 1e-15))
        mu = math.sqrt(float(self.fraction * self._mu_squared))
        return rounded_down(conversions.pure_epsilon_of_mu(mu) * (1 - 1e-14))

    @property
    def exponential_epsilon(self) -> Fraction:
        """The epsilon of an exponential mechanism, rounded down.

        Twice :attr:`epsilon` but for pure differential privacy: a bounded range costs what a pure
        mechanism of half its epsilon does.
        """
        return self.epsilon if self.budget.pure else 2 * self.epsilon

    @property
    def _by_rho(self) -> bool:
        budget = self.budget
        return not budget.pure and (budget.rho is not None or budget.accounting == "zcdp")

    @property
    def _rho(self) -> Fraction:
        budget = self.budget
        if budget.rho is not None:
            return budget.rho
        if budget.mu is not None:
            raise PlanError('accounting = "zcdp" does not prove a promise of mu: state rho')
        return rounded_down(conversions.zcdp_rho(*self._noise_promise))

    @property
    def _mu_squared(self) -> Fraction:
        budget = self.budget
        if budget.mu is not None:
            return budget.mu**2 * rational(1 - _MARGIN)
        return rounded_down(conversions.gdp_mu(*self._noise_promise) ** 2)

    @property
    def _noise_promise(self) -> tuple[float, float]:
        """Epsilon and delta that are left for noise."""
        budget = self.budget
        rest = budget.delta - budget.threshold_delta
        if not rest > 0:
            raise PlanError("threshold_delta leaves no delta for the noise: make it smaller")
        margin = _NUMERIC_MARGIN if budget.accounting == "pld" else _MARGIN
        return float(budget.epsilon or 0) * (1 - margin), float(rest) * (1 - _MARGIN)

    def _lone_variance(self, low: Fraction, enough: Fraction) -> Fraction:
        """Return the least variance (from above) of one answer, by its privacy loss."""
        if self.budget.epsilon is None:
            return enough
        epsilon, delta = self._noise_promise
        high = enough
        for _ in range(24):
            middle = rounded_up((low + high) / 2)
            found = epsilon_bounds([(Cost.gaussian(1, middle), 1)], delta, "pld")["pld"]
            low, high = (low, middle) if found <= epsilon else (middle, high)
        return high


_INFINITIES = ("inf", "infinity")
