"""The ledger: every look at the data, what it cost, and a refusal to overdraw."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from sfumato.errors import BudgetExceeded, PlanError
from sfumato.privacy.differential.budget import Budget
from sfumato.privacy.differential.costs import SLACK, Cost, Priced, epsilon_bounds
from sfumato.privacy.differential.mechanism import Mechanism
from sfumato.privacy.differential.random_words import RandomWords

__all__ = ["Charge", "Ledger", "Spent", "calibrated"]

_FORMAT = 1
_NAMES = {
    "pure": "sum of epsilons",
    "zcdp": "zero-concentrated differential privacy",
    "gdp": "Gaussian differential privacy",
    "rdp": "Renyi divergences",
    "pld": "privacy loss distribution",
}


@dataclass(frozen=True)
class Charge:
    """One look at the data.

    Parameters
    ----------
    label
        What was asked.
    mechanism
        Its kind.
    facts
        Sensitivity and scale of the noise, exact texts.
    cost
        Of one answer.
    times
        How many such answers were given.
    """

    label: str
    mechanism: str
    facts: Mapping[str, str]
    cost: Cost
    times: int = 1

    def describe(self) -> str:
        """Return the charge as one sentence."""
        said = ", ".join(f"{name.replace('_', ' ')} {text}" for name, text in self.facts.items())
        often = f", {self.times} times" if self.times > 1 else ""
        return f"{self.label}: {self.mechanism} ({said}){often}; {self.cost.describe()}."


@dataclass(frozen=True)
class Spent:
    """What has been spent, in the budget's own measure.

    Parameters
    ----------
    measure
        "epsilon", "rho" or "mu".
    amount
        Spent so far.
    limit
        Of the budget; infinite without a promise.
    bound
        Which bound gave it: "pure", "zcdp", "gdp", "rdp" or "pld"; "none" if none holds.
    delta
        Spent by thresholds and other answers with a delta of their own.
    """

    measure: str
    amount: float
    limit: float
    bound: str
    delta: float

    @property
    def within(self) -> bool:
        """Whether the promise holds."""
        return self.amount <= self.limit


class Ledger:
    """The account of one budget. Every answer is charged first and drawn afterwards.

    Parameters
    ----------
    budget
        What is promised.
    words
        The source of all noise that is drawn through the ledger; by default the operating system's.

    Examples
    --------
    >>> from sfumato.privacy.differential import DiscreteLaplace
    >>> ledger = Ledger(Budget(epsilon=1))
    >>> noisy = ledger.run("rows", DiscreteLaplace(scale=2), lambda: [120])
    >>> ledger.spent.amount
    0.5
    >>> ledger.charge("rows again", DiscreteLaplace(scale=1))
    Traceback (most recent call last):
    ...
    sfumato.errors.BudgetExceeded: 'rows again' costs epsilon 1: with it 1.5 of epsilon = 1 ...
    """

    def __init__(self, budget: Budget, words: RandomWords | None = None) -> None:
        self.budget = budget
        self.words = RandomWords() if words is None else words
        self._charges: list[Charge] = []
        self._secure = self.words.secure

    @property
    def charges(self) -> tuple[Charge, ...]:
        """What was charged, in order."""
        return tuple(self._charges)

    @property
    def secure(self) -> bool:
        """Whether the noise is private: no seed was ever used."""
        return self._secure and self.words.secure

    @property
    def spent(self) -> Spent:
        """What has been spent so far, by the best bound that holds."""
        return _spent(self.budget, self._priced())

    @property
    def remaining(self) -> float:
        """What is left of the budget's measure; 0 if nothing is."""
        return max(0.0, self.spent.limit - self.spent.amount)

    def affords(self, mechanism: Mechanism | Cost, times: int = 1) -> bool:
        """Return whether a charge would be accepted."""
        return _spent(self.budget, [*self._priced(), (_cost(mechanism), times)], quick=True).within

    def charge(self, label: str, mechanism: Mechanism | Cost, times: int = 1) -> Charge:
        """Charge an answer before the data are read.

        Parameters
        ----------
        label
            What is asked, for the certificate: no cell of the data.
        mechanism
            The mechanism, or the cost of one that is not ours.
        times
            How many such answers; each may depend on the ones before.

        Raises
        ------
        BudgetExceeded
            If the promise would not hold any more; then nothing is charged.
        PlanError
            If ``times`` is below 1.
        """
        if times < 1:
            raise PlanError(f"times must be at least 1, not {times}")
        cost = _cost(mechanism)
        spent = _spent(self.budget, [*self._priced(), (cost, times)], quick=True)
        if not spent.within:
            often = f" {times} times" if times > 1 else ""
            raise BudgetExceeded(
                f"{label!r} costs {cost.describe()}{often}: with it {spent.amount:.6g} of "
                f"{spent.measure} = {spent.limit:g} would be spent"
                + (f" and delta {spent.delta:.3g}" if spent.delta else "")
                + f" ({self.remaining:.6g} is left). Add more noise or ask less"
            )
        facts = {} if isinstance(mechanism, Cost) else mechanism.facts()
        kind = "other" if isinstance(mechanism, Cost) else mechanism.kind
        made = Charge(label, kind, facts, cost, times)
        self._charges.append(made)
        return made

    def run(self, label: str, mechanism: Mechanism, data: Callable[[], Any] | Any) -> Any:
        """Charge a mechanism, then read the data and return its answer.

        Parameters
        ----------
        label, mechanism
            As for :meth:`charge`.
        data
            What the mechanism takes, or a function that reads it: it is called only if the charge
            was accepted.
        """
        self.charge(label, mechanism)
        return mechanism.release(data() if callable(data) else data, self.words)

    def describe(self) -> list[str]:
        """Return promise, charges and sum in sentences."""
        said = [*self.budget.describe(), *(one.describe() for one in self._charges)]
        spent = self.spent
        if self.budget.no_promise:
            said.append(f"{len(self._charges)} charges were recorded; no promise was made.")
        else:
            delta = f" and delta {spent.delta:.3g} for thresholds" if spent.delta else ""
            said.append(
                f"Together {spent.amount:.6g} of {spent.measure} = {spent.limit:g}{delta}, by "
                f"{_NAMES.get(spent.bound, 'no bound')}."
            )
        if not self.secure:
            said.append("NOT PRIVATE: noise was drawn from a seed and can be subtracted.")
        return said

    def records(self) -> list[dict[str, Any]]:
        """Return one row a charge, for a table or a picture.

        ``share`` is the charge's part of all divergence of order 2, which is that of all rho but
        for sums over samples, whose rho knows nothing of the sampling; ``cumulated`` what was spent
        after it in the budget's measure.
        """
        total = sum(float(cost.renyi[0]) * times for cost, times in self._priced())
        rows = []
        for number, one in enumerate(self._charges):
            rho = float(one.cost.rho * one.times)
            after = _spent(self.budget, self._priced()[: number + 1])
            rows.append(
                {
                    "number": number + 1,
                    "label": one.label,
                    "mechanism": one.mechanism,
                    "times": one.times,
                    "sensitivity": one.facts.get("sensitivity", ""),
                    "scale": one.facts.get("scale", ""),
                    "rho": rho,
                    "delta": float(one.cost.delta * one.times),
                    "share": float(one.cost.renyi[0]) * one.times / total,
                    "cumulated": after.amount,
                    "bound": after.bound,
                }
            )
        return rows

    def to_dict(self) -> dict[str, Any]:
        """Return budget and charges for the certificate; every cost is exact."""
        spent = self.spent
        return {
            "format": _FORMAT,
            "budget": self.budget.to_dict(),
            "private_noise": self.secure,
            "charges": [
                {
                    "label": one.label,
                    "mechanism": one.mechanism,
                    "facts": dict(one.facts),
                    "cost": one.cost.to_dict(),
                    "times": one.times,
                }
                for one in self._charges
            ],
            "spent": {
                "measure": spent.measure,
                "amount": spent.amount,
                "bound": spent.bound,
                "delta": spent.delta,
            },
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Ledger:
        """Return the ledger that :meth:`to_dict` wrote; its sum is computed anew.

        Raises
        ------
        PlanError
            If it was written by another format, or is malformed.
        BudgetExceeded
            If its charges do not keep its promise.
        """
        if values.get("format") != _FORMAT:
            raise PlanError(f"a ledger of format {_FORMAT} is needed, not {values.get('format')!r}")
        try:
            ledger = cls(Budget.from_dict(values["budget"]))
            ledger._secure = values["private_noise"] is True
            for one in values["charges"]:
                ledger._charges.append(
                    Charge(
                        str(one["label"]),
                        str(one["mechanism"]),
                        {str(name): str(text) for name, text in one["facts"].items()},
                        Cost.from_dict(one["cost"]),
                        int(one["times"]),
                    )
                )
        except (KeyError, TypeError, ValueError, AttributeError):
            raise PlanError("the ledger is malformed: write it with Ledger.to_dict") from None
        if any(one.times < 1 for one in ledger._charges):
            raise PlanError("the ledger is malformed: a charge was made less than once")
        if not ledger.spent.within:
            raise BudgetExceeded(
                f"the ledger's charges sum to {ledger.spent.amount:.6g} of {ledger.spent.measure} "
                f"= {ledger.spent.limit:g}"
            )
        return ledger

    def _priced(self) -> list[Priced]:
        return [(one.cost, one.times) for one in self._charges]


def calibrated(
    budget: Budget,
    plan: Callable[[Fraction], Sequence[tuple[str, Mechanism, int]]],
    steps: int = 20,
) -> list[tuple[str, Mechanism, int]]:
    """Return the least noisy plan that a budget affords, by the best bound of the whole plan.

    Shares (:meth:`Budget.split`) add up by one simple rule; a plan of mixed mechanisms that is
    fixed beforehand can do better, since its whole privacy loss is known.

    Parameters
    ----------
    budget
        What is promised.
    plan
        Makes the charges (label, mechanism, times) for a level of spending above 0; every
        mechanism must cost more at a higher level. A level near rho in size is a good unit.
    steps
        Halvings of the interval of levels: the level is right to 2**-steps.

    Raises
    ------
    BudgetExceeded
        If even a level of 2**-40 is too much.
    """

    def fits(level: Fraction) -> bool:
        priced = [(made.cost, times) for _, made, times in plan(level)]
        return _spent(budget, priced, quick=True).within

    low, high = Fraction(1, 2**40), Fraction(1)
    if not fits(low):
        raise BudgetExceeded("the plan exceeds the budget at any level of spending")
    while fits(high) and high < 2**40:
        low, high = high, 2 * high
    while high > 2 * low:
        middle = Fraction(2) ** round((_log2(low) + _log2(high)) / 2)
        low, high = (middle, high) if fits(middle) else (low, middle)
    for _ in range(steps):
        middle = (low + high) / 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return list(plan(low))


def _log2(power: Fraction) -> int:
    return power.numerator.bit_length() - power.denominator.bit_length()


def _cost(mechanism: Mechanism | Cost) -> Cost:
    return mechanism if isinstance(mechanism, Cost) else mechanism.cost


def _spent(budget: Budget, charges: Sequence[Priced], *, quick: bool = False) -> Spent:
    """Return what charges cost; ``quick`` stops at the first bound that is within the budget."""
    infinite = float("inf")
    delta = float(sum((cost.delta * times for cost, times in charges), Fraction(0)))
    if budget.no_promise:
        return Spent(
            "rho", float(sum(c.rho * times for c, times in charges)), infinite, "zcdp", delta
        )
    if budget.rho is not None:
        rho = sum((cost.rho * times for cost, times in charges), Fraction(0))
        # compared as exact numbers, then told as floating-point ones
        amount = float(budget.rho if rho == budget.rho else rho)
        kept = rho <= budget.rho and delta <= budget.delta
        return Spent(
            "rho", _beyond(amount, float(budget.rho), kept), float(budget.rho), "zcdp", delta
        )
    if budget.mu is not None:
        mu = sum(cost.mu_squared * times for cost, times in charges) ** 0.5
        mu += SLACK * sum(times for _, times in charges)
        kept = mu <= float(budget.mu) and delta <= float(budget.delta)
        return Spent("mu", _beyond(mu, float(budget.mu), kept), float(budget.mu), "gdp", delta)
    limit = budget.epsilon or Fraction(0)
    if all(cost.epsilon is not None for cost, _ in charges) and budget.accounting in (
        "best",
        "pure",
    ):
        exact = sum((cost.epsilon or 0) * times for cost, times in charges)
        if delta <= budget.delta and exact <= limit and (quick or budget.pure):
            return Spent("epsilon", float(exact), float(limit), "pure", delta)
    enough = float(limit) if quick else 0.0
    bounds = epsilon_bounds(charges, float(budget.delta), budget.accounting, enough)
    bound = min(bounds, key=lambda name: bounds[name], default="none")
    return Spent("epsilon", bounds.get(bound, infinite), float(limit), bound, delta)


def _beyond(amount: float, limit: float, kept: bool) -> float:
    """Return the amount, or infinity where the promise is broken by delta alone."""
    return amount if kept or amount > limit else float("inf")
