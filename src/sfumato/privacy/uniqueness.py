"""Population uniqueness: how many people the release shows who are alone in the population."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from sfumato.errors import PlanError
from sfumato.privacy import super_population
from sfumato.privacy.classes import EquivalenceClasses
from sfumato.privacy.criteria import Criterion
from sfumato.privacy.sensitive_values import SLACK
from sfumato.privacy.super_population import Estimator, NoEstimate

__all__ = ["PopulationUniqueness"]

Booleans = npt.NDArray[np.bool_]


class PopulationUniqueness(Criterion):
    """At most this share of the population is estimated to be alone in its class.

    The table is taken for a random sample of the population. Rows that are unique in the release
    are given up until the estimate is low enough; where an estimate has no solution, the release is
    taken not to keep the promise. Without a unique row nobody is exposed, and it is kept.

    Parameters
    ----------
    share
        Largest share of unique people in the population, 0 to 1.
    population_size
        People of the population, at least as many as the table has.
    estimator
        ``"dankar"`` (decides between the others), ``"zayatz"``, ``"pitman"`` or ``"snb"``.

    Notes
    -----
    The sources are with the functions of :mod:`sfumato.privacy.super_population`. An estimate can
    rise when classes are joined, so nothing is promised about monotony.
    """

    kind: ClassVar[str] = "population-uniqueness"
    class_wise: ClassVar[bool] = False
    __init__ = Criterion.__init__

    share: float = Field(ge=0, le=1)
    population_size: int = Field(ge=1)
    estimator: Estimator = "dankar"

    @property
    def monotone_generalization(self) -> bool:
        """False: an estimate, not a count."""
        return False

    @property
    def monotone_suppression(self) -> bool:
        """False: without its large classes the sample looks more unique."""
        return False

    def estimate(self, sizes: npt.NDArray[Any]) -> float:
        """Return the estimated share of unique people in the population.

        Parameters
        ----------
        sizes
            Class sizes of the sample (u), each at least 1.

        Raises
        ------
        PlanError
            If the sample is larger than the population.
        NoEstimate
            If the estimator has no solution.
        """
        n = int(sizes.sum())
        if n > self.population_size:
            raise PlanError(
                f"population-uniqueness: population_size is {self.population_size:,}, but the "
                f"table alone has {n:,}"
            )
        if n == 0 or not (sizes == 1).any():
            return 0.0
        uniques: float = getattr(super_population, self.estimator)(sizes, self.population_size)
        return uniques / self.population_size

    def kept(self, classes: EquivalenceClasses) -> Booleans:
        """Return the largest set of classes found whose release keeps the promise."""
        return self.kept_sizes(classes.sizes)

    def kept_sizes(self, sizes: npt.NDArray[Any]) -> Booleans:
        """Return the largest set of classes found whose release keeps the promise.

        How many unique rows may stay is found by bisection, which takes the estimate to rise with
        their number; what it finds keeps the promise also where it does not.
        """
        alone = np.flatnonzero(sizes == 1)
        kept: Booleans = sizes > 1
        shared = sizes[kept]

        def passes(uniques: int) -> bool:
            if uniques == 0:
                return True
            tried = np.concatenate([shared, np.ones(uniques, dtype=sizes.dtype)])
            try:
                return self.estimate(tried) <= self.share + SLACK
            except NoEstimate:
                return False

        low, high = 0, len(alone)
        if passes(high):
            low = high
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if passes(middle) else (low, middle)
        kept[alone[:low]] = True
        return kept

    def describe(self) -> str:
        """Return the promise in words."""
        names = {
            "dankar": "the decision rule of Dankar et al.",
            "zayatz": "Zayatz's method",
            "pitman": "Pitman's sampling formula",
            "snb": "the slide negative binomial model",
        }
        return (
            f"population uniqueness {self.share:g}: of {self.population_size:,} people of the "
            f"population, of whom the table is taken for a random sample, at most {self.share:.4g} "
            "are alone with their combination of quasi-identifiers, as estimated by "
            f"{names[self.estimator]}; an estimate, not a count"
        )
