"""Cost and benefit: publish what is worth its risk when an attacker weighs gain against cost."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, field_validator, model_validator

from sfumato.errors import PlanError
from sfumato.privacy.classes import EquivalenceClasses
from sfumato.privacy.criteria import Criterion
from sfumato.privacy.population import population_sizes

__all__ = ["CostBenefit"]

Booleans = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]


class CostBenefit(Criterion):
    """Publishing each row pays, given that an attacker attacks where that pays.

    An attacker finds the person of a row with probability 1 over the number of people who match it
    (of the release for a prosecutor, who knows that the person is in it; of the population for a
    journalist). He attacks if ``adversary_gain * probability > adversary_cost`` (with
    ``no_attack``, also if both are equal). The publisher gets
    ``publisher_benefit * (1 - loss) - publisher_loss * probability`` from a row that is attacked,
    and the benefit alone from one that is not; a class is kept if that is above 0. The loss is the
    share of a row's information that generalization took away, where the classes bring it along;
    otherwise 0, so that the benefit must be that of the row as released.

    Parameters
    ----------
    attacker
        ``"prosecutor"`` or ``"journalist"``.
    no_attack
        Whether a class is kept only if no attack pays, whatever the publisher would gain.
    publisher_benefit
        What publishing one row untouched is worth, in any currency, at least 0.
    publisher_loss
        What one successful attack costs the publisher, at least 0.
    adversary_gain
        What one successful attack is worth to the attacker, at least 0.
    adversary_cost
        What one attempt costs the attacker, at least 0.
    population
        For a journalist: CSV or Parquet file of the population, as for :class:`KMap`.
    population_size
        For a journalist without such a file: people of the population; each class is then taken to
        be as many times larger in the population as the population is larger than the table.

    Notes
    -----
    Z. Wan et al., "A game theoretic framework for analyzing re-identification risk", PLOS ONE
    10(3), 2015, "Methods". F. Prasser et al., "An open source tool for game theoretic health data
    de-identification", AMIA Annual Symposium 2017 (the variants by class, as in ARX). Not monotone
    in general: more generalization may take away more benefit than risk.
    """

    kind: ClassVar[str] = "cost-benefit"
    __init__ = Criterion.__init__

    attacker: Literal["prosecutor", "journalist"] = "prosecutor"
    no_attack: bool = False
    publisher_benefit: float = Field(default=1200.0, ge=0)
    publisher_loss: float = Field(default=300.0, ge=0)
    adversary_gain: float = Field(default=300.0, ge=0)
    adversary_cost: float = Field(default=4.0, ge=0)
    population: str | None = None
    population_size: int | None = Field(default=None, ge=1)

    @field_validator("population", mode="before")
    @classmethod
    def _text(cls, value: Any) -> Any:
        return str(value) if isinstance(value, Path) else value

    @model_validator(mode="after")
    def _settings_fit(self) -> Self:
        given = [name for name in ("population", "population_size") if getattr(self, name)]
        if self.attacker == "prosecutor" and given:
            raise ValueError(f"{given[0]} is for a journalist: a prosecutor needs none")
        if len(given) > 1:
            raise ValueError("give the population or the population_size, not both")
        return self

    @property
    def monotone_generalization(self) -> bool:
        """True where only the attacker decides."""
        return self.no_attack

    @property
    def monotone_suppression(self) -> bool:
        """True: each row is weighed alone."""
        return True

    @property
    def monotone_growth(self) -> bool:
        """True where only the attacker decides: a larger class pays him less."""
        return self.no_attack

    def kept(self, classes: EquivalenceClasses) -> Booleans:
        """Return which classes pay, shape (n_classes,).

        Raises
        ------
        PlanError
            If the table is larger than ``population_size``.
        """
        people = self._people(classes)
        if self.no_attack:
            # an attacker to whom it is all the same might attack
            return (self.adversary_gain == 0) | (self.adversary_gain < self.adversary_cost * people)
        attacked = self.adversary_gain > self.adversary_cost * people
        loss = 0.0 if classes.loss is None else classes.loss
        benefit = self.publisher_benefit * (1 - loss)
        kept: Booleans = benefit - np.where(attacked, self.publisher_loss / people, 0.0) > 0
        return kept

    def _people(self, classes: EquivalenceClasses) -> Floats:
        """Return among how many people the attacker looks, for each class."""
        if self.attacker == "prosecutor":
            return classes.sizes.astype(np.float64)
        if self.population_size is None:
            people = population_sizes(classes, self.population, self.kind)
            # a released row matches at least the person whose it is
            return np.maximum(people, 1).astype(np.float64)
        table = max(int(classes.members.sum()), 1)
        if table > self.population_size:
            raise PlanError(
                f"cost-benefit: population_size is {self.population_size:,}, but the table alone "
                f"has {table:,}"
            )
        larger = self.population_size / table
        return classes.sizes.astype(np.float64) * larger

    def describe(self) -> str:
        """Return the promise in words."""
        who = (
            "who knows that the person is in the release"
            if self.attacker == "prosecutor"
            else "who looks for the person in the population"
        )
        start = (
            f"cost-benefit ({self.attacker}): for an attacker {who}, to whom a success is worth "
            f"{self.adversary_gain:g} and an attempt costs {self.adversary_cost:g}, "
        )
        if self.no_attack:
            if self.adversary_cost == 0 or self.adversary_gain < self.adversary_cost:
                return f"{start}no attack on any released row pays"
            among = math.floor(self.adversary_gain / self.adversary_cost) + 1
            return f"{start}no attack on any released row pays, as at least {among} people match it"
        return (
            f"{start}publishing each released row still pays: its benefit "
            f"({self.publisher_benefit:g} for an untouched row) is more than the expected loss "
            f"({self.publisher_loss:g} for each success)"
        )
