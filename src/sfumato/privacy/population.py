"""Promises that rest on how many people of a population match each class."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import Field, field_validator, model_validator

from sfumato.errors import PlanError, SchemaError, did_you_mean
from sfumato.privacy.classes import EquivalenceClasses
from sfumato.privacy.criteria import Criterion
from sfumato.privacy.sensitive_values import SLACK

__all__ = ["DeltaPresence", "KMap", "population_sizes", "smallest_sample_size"]

Booleans = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]

Estimate = Literal["poisson", "zero-truncated-poisson"]


class PopulationCriterion(Criterion):
    """A promise that compares classes with a table of the population.

    The table has the quasi-identifiers of the classes under the same names, generalized the same
    way, one row for each person. A missing cell there is a value of its own.
    """

    @property
    def monotone_suppression(self) -> bool:
        """True: each class is compared alone."""
        return True


class KMap(PopulationCriterion):
    """Every class is shared by at least k people of the population, in the release or not.

    Either by a table of the population, which must hold everybody of whom the release may speak;
    or by an estimate from the size of the class: it must be so large that a class of only k people
    of the population would have left so many rows with a probability of at most ``significance``.
    The estimate takes the table for a random sample of the population, and is a likelihood, not a
    count.

    Parameters
    ----------
    k
        Smallest number of people of the population, at least 2.
    population
        CSV or Parquet file of the population.
    estimate
        ``"poisson"``: the number of sampled rows of a class of k people is taken for a Poisson
        variable of mean k times the sampling fraction. ``"zero-truncated-poisson"``: the same,
        given that the class was sampled at all.
    population_size
        People of the population; needed for an estimate.
    significance
        For an estimate: the probability, above 0 and below 1, with which a class of only k people
        may pass. By default 0.01.

    Notes
    -----
    L. Sweeney, "Computational disclosure control", PhD thesis, MIT, 2001 (k-map). The
    estimates are D3 and D4 of K. El Emam, F. K. Dankar, "Protecting privacy using k-anonymity",
    JAMIA 15(5), 2008. The size asked for is the least m with P(X >= m) <= significance, and k if
    that is less. (ARX asks for m + 1 with the Poisson estimate, and for m with the truncated one.)
    """

    kind: ClassVar[str] = "k-map"
    __init__ = Criterion.__init__

    k: int = Field(ge=2)
    population: str | None = None
    estimate: Estimate | None = None
    population_size: int | None = Field(default=None, ge=1)
    significance: float = Field(default=0.01, gt=0, lt=1)

    @field_validator("population", mode="before")
    @classmethod
    def _text(cls, value: Any) -> Any:
        return str(value) if isinstance(value, Path) else value

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.estimate is not None and self.population is not None:
            raise ValueError("give a table of the population or an estimate, not both")
        if (self.estimate is None) != (self.population_size is None):
            raise ValueError("an estimate needs the population_size, and nothing else does")
        return self

    @property
    def monotone_generalization(self) -> bool:
        """True: a joined class is shared by the people of both."""
        return True

    @property
    def monotone_growth(self) -> bool:
        """True: a class only grows."""
        return True

    def kept(self, classes: EquivalenceClasses) -> Booleans:
        """Return which classes are shared by k people of the population, shape (n_classes,).

        Raises
        ------
        PlanError
            If neither a table nor an estimate is given, and the classes do not bring the counts;
            if the table is larger than ``population_size``.
        SchemaError
            If the table of the population lacks a quasi-identifier.
        """
        if self.estimate is None:
            return population_sizes(classes, self.population, self.kind) >= self.k
        return classes.sizes >= self.smallest_size(int(classes.members.sum()))

    def smallest_size(self, rows: int) -> int:
        """Return the size that a class must have by the estimate.

        Parameters
        ----------
        rows
            Rows (or persons) of the table: the sample.

        Raises
        ------
        PlanError
            If no estimate was asked for, or the sample is larger than the population.
        """
        if self.estimate is None or self.population_size is None:
            raise PlanError("k-map: a size of classes follows from an estimate only")
        if rows > self.population_size:
            raise PlanError(
                f"k-map: population_size is {self.population_size:,}, but the table alone has "
                f"{rows:,}"
            )
        fraction = rows / self.population_size
        return smallest_sample_size(self.k, fraction, self.estimate, self.significance)

    def describe(self) -> str:
        """Return the promise in words."""
        start = (
            f"{self.k}-map: whoever knows the quasi-identifiers of a released row finds at least "
            f"{self.k} people of the population to whom they apply, "
        )
        if self.estimate is None:
            where = f" in {Path(self.population).name!r}" if self.population else ""
            return f"{start}as counted{where}; a missing cell is a value of its own"
        return (
            f"{start}as estimated ({self.estimate}) for a random sample of "
            f"{self.population_size:,} people: a class of only {self.k} people passes with a "
            f"probability of at most {self.significance:g}"
        )


class DeltaPresence(PopulationCriterion):
    """Nobody learns for sure from the release whether a person of the population is in it.

    For each class the share of the matching people of the population that is in the release lies
    between two limits.

    Parameters
    ----------
    delta_min, delta_max
        The limits, ``0 <= delta_min <= delta_max <= 1``. A ``delta_min`` above 0 also asks that
        everybody of the population matches a released class.
    population
        CSV or Parquet file of the population, the released people among them. It may be left out
        where the classes bring the counts.

    Notes
    -----
    M. E. Nergiz, M. Atzori, C. Clifton, "Hiding the presence of individuals from shared databases",
    SIGMOD 2007. The share of a joined class lies between those of its parts.
    """

    kind: ClassVar[str] = "delta-presence"
    __init__ = Criterion.__init__

    delta_min: float = Field(ge=0, le=1)
    delta_max: float = Field(ge=0, le=1)
    population: str | None = None

    @field_validator("population", mode="before")
    @classmethod
    def _text(cls, value: Any) -> Any:
        return str(value) if isinstance(value, Path) else value

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.delta_min > self.delta_max:
            raise ValueError("delta_min must not be above delta_max")
        return self

    @property
    def monotone_generalization(self) -> bool:
        """True: the share of a joined class lies between those of its parts."""
        return True

    def kept(self, classes: EquivalenceClasses) -> Booleans:
        """Return which classes have a share between the limits, shape (n_classes,).

        A class that holds more rows than the population has matching people contradicts that the
        release is a part of it, and is not kept.
        """
        people = population_sizes(classes, self.population, self.kind)
        with np.errstate(divide="ignore"):
            share = classes.sizes / people
        kept: Booleans = (share >= self.delta_min - SLACK) & (share <= self.delta_max + SLACK)
        return kept

    def holds(self, classes: EquivalenceClasses) -> bool:
        """Whether every class keeps the limits, and with a lower one nobody is surely absent."""
        if not super().holds(classes):
            return False
        if self.delta_min == 0 or self.population is None:
            return True
        matched = population_sizes(classes, self.population, self.kind).sum()
        return bool(matched == _read(self.population).height)

    def describe(self) -> str:
        """Return the promise in words."""
        return (
            f"({self.delta_min:g}, {self.delta_max:g})-presence: whoever knows the "
            "quasi-identifiers of a person of the population believes with a probability between "
            f"{self.delta_min:g} and {self.delta_max:g} that this person is in the release; a "
            "missing cell is a value of its own"
        )


def smallest_sample_size(k: int, fraction: float, estimate: Estimate, significance: float) -> int:
    """Return the least size m, at most k, that k people seldom leave in a sample.

    Parameters
    ----------
    k
        People of the population in the class.
    fraction
        Sampling fraction, above 0 and at most 1.
    estimate
        The distribution of the number X of sampled rows.
    significance
        P(X >= m) is at most this.
    """
    from scipy.stats import poisson

    mean = k * fraction
    sizes = np.arange(1, k + 1)
    tail = poisson.sf(sizes - 1, mean)
    if estimate == "zero-truncated-poisson" and mean > 0:
        tail = tail / -math.expm1(-mean)
    rare = np.flatnonzero(tail <= significance)
    return int(sizes[rare[0]]) if len(rare) else k


def population_sizes(classes: EquivalenceClasses, population: str | None, kind: str) -> Integers:
    """Return how many people of the population match each class, shape (n_classes,).

    Counts that the classes bring along go before the table.

    Raises
    ------
    PlanError
        If there is neither.
    SchemaError
        If the table lacks a quasi-identifier.
    """
    if classes.counted_population is not None:
        return classes.counted_population
    if population is None:
        raise PlanError(f"{kind} needs 'population', the path of a table of the population")
    keys = classes.keys
    if keys is None:
        raise PlanError(
            f"{kind} by a table of the population needs to know the quasi-identifiers of the "
            "classes, which were only counted"
        )
    people = _read(population)
    for name in keys.columns:
        if name not in people.columns:
            hint = did_you_mean(name, people.columns)
            raise SchemaError(f"the table of the population has no column {name!r}.{hint}")
    pairs = [_comparable(keys[name], people[name]) for name in keys.columns]
    wanted = pl.DataFrame([ours.alias(str(i)) for i, (ours, _) in enumerate(pairs)])
    held = pl.DataFrame([theirs.alias(str(i)) for i, (_, theirs) in enumerate(pairs)])
    counted = held.group_by(pl.all()).agg(people=pl.len())
    matched = wanted.join(
        counted, on=wanted.columns, how="left", nulls_equal=True, maintain_order="left"
    )
    return matched["people"].fill_null(0).to_numpy().astype(np.int64)


def _comparable(ours: pl.Series, theirs: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Return two columns in one type: numbers as numbers, all else as texts."""
    if ours.dtype == theirs.dtype and not isinstance(ours.dtype, pl.Categorical | pl.Enum):
        return ours, theirs
    if ours.dtype.is_numeric() and theirs.dtype.is_numeric():
        return ours.cast(pl.Float64), theirs.cast(pl.Float64)
    return ours.cast(pl.String), theirs.cast(pl.String)


def _read(path: str) -> pl.DataFrame:
    from sfumato.table import read

    return read(path)
