"""What one answer costs, and what several cost together, by every bound that holds for them.

How a discrete Gaussian is priced
---------------------------------
A discrete Gaussian gives exactly the zCDP of a Gaussian, but not exactly its delta: a count that
moves by 1 under sigma = 5.565 costs epsilon 1.0013, where the Gaussian formula says 1.0000. So
the formula for Gaussian differential privacy is never applied to it as it stands. Instead:

- for a change of 1 (squared sensitivity 1) the distribution of its privacy loss is computed;
- the mu of Gaussian differential privacy that it keeps is computed from its distribution
  function, and holds for any change of integers (:mod:`.discrete_trade_off`): at sigma**2 = 4 it is
  1.1 % above the Gaussian's, at 3,255 (105 marginals of a table at epsilon 1) 0.001 %;
- where sigma is above 100, discrete noise of variance sigma**2 is compared with a continuous
  Gaussian of variance sigma**2 - r**2 that is rounded at random by a discrete Gaussian of variance
  r**2 around it (Peikert, CRYPTO 2010, Theorem 3.1). Integer by integer their probabilities differ
  by a factor within 1 +- h, h = 2 exp(-2 pi**2 r**2) (Poisson's sum), and rounding is
  post-processing. With r**2 from :func:`rounding_variance` the at most D**2 cells that a change of
  length D moves differ together by a factor of 1 + 1e-14, which :data:`SLACK` covers for each
  charge.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from sfumato.errors import PlanError
from sfumato.privacy.differential import conversions
from sfumato.privacy.differential.discrete_trade_off import unit_mu_squared
from sfumato.privacy.differential.rationals import Number, rational
from sfumato.privacy.differential.renyi import ORDERS, renyi_epsilon, sampled_gaussian_renyi

__all__ = ["SLACK", "Accounting", "Cost", "Priced", "epsilon_bounds", "rounding_variance"]

Accounting: TypeAlias = Literal["best", "pure", "zcdp", "gdp", "rdp", "pld"]

#: Epsilon, and share of delta, that each charge adds where the Gaussian formula is used.
SLACK = 1e-13

_LARGEST_GRID_VARIANCE = 10**8  # beyond, a lattice of 1 is as good as continuous
_LARGEST_PURE = 50  # an epsilon beyond is a loss without bound for the numeric composition
_INFLATION = 8e-5  # of the variance of the loss by the grid, times 4


@dataclass(frozen=True)
class Cost:
    """The privacy that one answer costs; exact rational numbers.

    Made by :meth:`pure`, :meth:`bounded_range`, :meth:`gaussian`, :meth:`sampled_gaussian` and
    :meth:`approximate`.

    Parameters
    ----------
    kind
        Which of them.
    epsilon
        Of a pure, bounded-range or approximate cost.
    sensitivity_squared, sigma_squared
        Of a discrete Gaussian: how far a person moves the integers at most (squared Euclidean
        length), and the noise.
    delta
        The probability that the rest does not hold.
    rate
        Of a discrete Gaussian on a sample: the probability with which a person is in it.
    """

    kind: Literal["pure", "bounded range", "gaussian", "sampled gaussian", "approximate"]
    epsilon: Fraction | None = None
    sensitivity_squared: Fraction | None = None
    sigma_squared: Fraction | None = None
    delta: Fraction = Fraction(0)
    rate: Fraction | None = None

    @classmethod
    def pure(cls, epsilon: Number, delta: Number = 0) -> Cost:
        """Return the cost of an answer whose probability changes by at most exp(epsilon)."""
        return cls("pure", epsilon=_positive(epsilon), delta=_delta(delta))

    @classmethod
    def bounded_range(cls, epsilon: Number) -> Cost:
        """Return the cost of an exponential mechanism of weights exp(epsilon score / (2 D))."""
        return cls("bounded range", epsilon=_positive(epsilon))

    @classmethod
    def gaussian(
        cls, sensitivity_squared: Number, sigma_squared: Number, delta: Number = 0
    ) -> Cost:
        """Return the cost of discrete Gaussian noise on integers."""
        return cls(
            "gaussian",
            sensitivity_squared=_positive(sensitivity_squared),
            sigma_squared=_positive(sigma_squared),
            delta=_delta(delta),
        )

    @classmethod
    def sampled_gaussian(
        cls, sensitivity_squared: Number, sigma_squared: Number, rate: Number
    ) -> Cost:
        """Return the cost of discrete Gaussian noise on integers summed over a Poisson sample.

        For neighbours by the presence of one person (:mod:`.renyi`). Of the bounds only that of
        Renyi divergences gains from the sampling; the others count it as if all were looked at.
        """
        probability = _positive(rate)
        if probability > 1:
            raise PlanError(f"a sampling rate is at most 1, not {rate}")
        return cls(
            "sampled gaussian",
            sensitivity_squared=_positive(sensitivity_squared),
            sigma_squared=_positive(sigma_squared),
            rate=probability,
        )

    @classmethod
    def approximate(cls, epsilon: Number, delta: Number) -> Cost:
        """Return the cost of an answer of which nothing is known but its epsilon and delta."""
        return cls("approximate", epsilon=_positive(epsilon), delta=_delta(delta))

    @property
    def rho(self) -> Fraction:
        """The rho of zero-concentrated differential privacy, beside :attr:`delta`.

        Half the squared epsilon (Bun & Steinke 2016, Proposition 1.4), an eighth of it for a
        bounded range (Cesar & Rogers 2021), D**2 / (2 sigma**2) for a discrete Gaussian of
        sensitivity D (Canonne, Kamath & Steinke 2020).
        """
        if self.epsilon is not None:
            return self.epsilon**2 / (8 if self.kind == "bounded range" else 2)
        return self._squared / (2 * self._variance)

    @property
    def mu_squared(self) -> float:
        """The squared mu of Gaussian differential privacy, beside delta and :data:`SLACK`.

        Of a bounded range of epsilon it is that of a pure epsilon / 2. With losses between
        t - epsilon and t, no pair of distributions is further apart than two outcomes of the losses
        t - epsilon and t, whose probabilities p and q differ by epsilon in log odds: of all
        likelihood ratios in an interval with mean 1 the two ends are spread most (Dong, Durfee &
        Rogers, ICML 2020, for the range). The mu of such a pair is the distance of the normal
        quantiles of p and q. The quantile as a function of the log odds is steepest at 0, and the
        less steep the further away, since the logistic distribution has the heavier tails (van
        Zwet, 1964); so over stretches of length epsilon it rises most over the one about 0: from
        -epsilon / 2 to epsilon / 2, the two outcomes of randomized response of epsilon / 2.
        """
        if self.epsilon is not None:
            pure = self.epsilon / (2 if self.kind == "bounded range" else 1)
            return conversions.pure_mu(float(pure)) ** 2
        rest = self._variance - rounding_variance(self._squared)
        rounded = float(self._squared / rest) if rest > 0 else math.inf
        return min(rounded, float(self._squared) * unit_mu_squared(self._variance))

    @property
    def renyi(self) -> npt.NDArray[np.float64]:
        """The Renyi divergence at each of :data:`.renyi.ORDERS`, beside :attr:`delta`."""
        if self.rate is not None:
            return sampled_gaussian_renyi(float(self.rate), float(self._squared / self._variance))
        return float(self.rho) * np.array(ORDERS, dtype=np.float64)

    @property
    def _squared(self) -> Fraction:
        return self.sensitivity_squared or Fraction(0)

    @property
    def _variance(self) -> Fraction:
        return self.sigma_squared or Fraction(1)

    def describe(self) -> str:
        """Return the cost in a few words."""
        if self.epsilon is not None:
            text = f"epsilon {float(self.epsilon):.4g}"
            text += " (bounded range)" if self.kind == "bounded range" else ""
        else:
            text = f"rho {float(self.rho):.4g} (mu {math.sqrt(2 * self.rho):.4g})"
        text += f" on a sample of {float(self.rate):.4g}" if self.rate else ""
        return text + (f", delta {float(self.delta):.3g}" if self.delta else "")

    def to_dict(self) -> dict[str, str]:
        """Return the cost as texts, exact: a rational number as "p/q"."""
        names = ("epsilon", "sensitivity_squared", "sigma_squared", "delta", "rate")
        values = {name: getattr(self, name) for name in names}
        return {"kind": self.kind, **{n: str(v) for n, v in values.items() if v}}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Cost:
        """Return the cost that :meth:`to_dict` wrote; PlanError if it is none."""
        numbers = {name: rational(text) for name, text in values.items() if name != "kind"}
        makers: dict[str, Any] = {
            "pure": cls.pure,
            "bounded range": cls.bounded_range,
            "gaussian": cls.gaussian,
            "sampled gaussian": cls.sampled_gaussian,
            "approximate": cls.approximate,
        }
        try:
            made: Cost = makers[values["kind"]](**numbers)
        except (KeyError, TypeError):
            raise PlanError(
                "a cost needs its kind and the numbers of its kind, no others"
            ) from None
        return made


Priced: TypeAlias = tuple[Cost, int]


def rounding_variance(sensitivity_squared: Fraction) -> Fraction:
    """Return the r**2 at which 2 exp(-2 pi**2 r**2) times the cells moved is below 1e-14."""
    cells = max(1, math.floor(sensitivity_squared))
    return Fraction(math.ceil(8 * (math.log(2 * cells) + 32.3) / (2 * math.pi**2)), 8)


def epsilon_bounds(
    charges: Sequence[Priced], delta: float, accounting: Accounting = "best", enough: float = 0.0
) -> dict[str, float]:
    """Return what the charges cost together at delta, by each bound that holds.

    Parameters
    ----------
    charges
        Costs, and how many times each was paid.
    delta
        All of it, from 0 to below 1: the charges' own deltas are taken off.
    accounting
        Which bound; "best" for all of them.
    enough
        The numeric composition, which takes milliseconds, is left out if another bound is at most
        this.

    Returns
    -------
    dict
        Of "pure" (epsilons added), "zcdp", "gdp", "rdp" (Renyi divergences at integer orders;
        among the best only if a sample was looked at, as "zcdp" is no worse for all else) and "pld"
        (the privacy loss distribution; of no samples) those that apply. Empty if the charges' own
        deltas exceed delta.
    """
    own = float(sum((cost.delta * times for cost, times in charges), Fraction(0)))
    rest = delta - own
    found: dict[str, float] = {}
    if rest < 0:
        return found
    wanted = ("pure", "zcdp", "gdp", "pld") if accounting == "best" else (accounting,)
    if not charges:
        return dict.fromkeys(wanted, 0.0)
    if "pure" in wanted and all(cost.epsilon is not None for cost, _ in charges):
        total = sum(((cost.epsilon or 0) * times for cost, times in charges), Fraction(0))
        found["pure"] = float(total) if float(total) >= total else math.nextafter(total, math.inf)
    if rest > 0 and "zcdp" in wanted:
        rho = float(sum(cost.rho * times for cost, times in charges))
        found["zcdp"] = conversions.zcdp_epsilon(rho, rest)
    if rest > 0 and "gdp" in wanted:
        mu = math.sqrt(sum(cost.mu_squared * times for cost, times in charges))
        slack = SLACK * sum(times for _, times in charges)
        found["gdp"] = conversions.gdp_epsilon(mu, rest * (1 - slack)) + slack
    sampled = any(cost.rate is not None for cost, _ in charges)
    if rest > 0 and ("rdp" in wanted or (sampled and accounting == "best")):
        divergences = sum(cost.renyi * times for cost, times in charges)
        found["rdp"] = renyi_epsilon(np.asarray(divergences), rest)
    if sampled:
        return found
    if rest > 0 and "pld" in wanted and not any(value <= enough for value in found.values()):
        found["pld"] = _numeric(charges, rest)
    return found


def _numeric(charges: Sequence[Priced], delta: float) -> float:
    from sfumato.privacy.differential import loss_distribution as losses

    merged: dict[Cost, int] = {}
    for cost, times in charges:
        merged[cost] = merged.get(cost, 0) + times
    total = sum(merged.values())
    spread = sum(_loss_variance(cost) * times for cost, times in merged.items())
    if not 0 < spread < math.inf:
        return math.inf
    # each charge's loss is spread over one cell of the grid: a variance of step**2 / 4 at most
    step = min(0.01, math.sqrt(_INFLATION * spread / total))
    parts, slack = [], 0.0
    for cost, times in merged.items():
        if cost.epsilon is not None:
            size = float(cost.epsilon)
            ranged = cost.kind == "bounded range"
            loss = losses.bounded_range_loss if ranged else losses.pure_loss
            parts.append((loss(size, step), times))
        elif cost.sensitivity_squared == 1 and (cost.sigma_squared or 0) <= _LARGEST_GRID_VARIANCE:
            variance = float(cost.sigma_squared or 0)
            parts.append((losses.discrete_gaussian_loss(variance, step), times))
        else:
            parts.append((losses.gaussian_loss(math.sqrt(cost.mu_squared), step), times))
            slack += SLACK * times
    return losses.composed_epsilon(parts, delta * (1 - slack)) + slack


def _loss_variance(cost: Cost) -> float:
    """Return about what the variance of the privacy loss is; infinite if out of reach."""
    if cost.epsilon is not None:
        return float(2 * cost.rho) if cost.epsilon <= _LARGEST_PURE else math.inf
    size = float(2 * cost.rho) if cost.sensitivity_squared == 1 else cost.mu_squared
    return size if size <= _LARGEST_PURE else math.inf


def _positive(value: Number) -> Fraction:
    number = rational(value)
    if number <= 0:
        raise PlanError("a cost and its noise must be above 0")
    return number


def _delta(value: Number) -> Fraction:
    number = rational(value)
    if not 0 <= number < 1:
        raise PlanError(f"delta must be from 0 to below 1, not {value}")
    return number
