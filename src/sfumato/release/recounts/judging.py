"""Each promise joined with the formula that recounts it, with and without the suppressed rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import polars as pl

from sfumato.errors import HierarchyError
from sfumato.release.recounts.closeness import beta_likeness, delta_disclosure, t_closeness
from sfumato.release.recounts.diversity import alpha_k_anonymity, l_diversity
from sfumato.release.recounts.outcome import CriterionCount, NotCounted, Outcome, Status
from sfumato.release.recounts.populations import (
    Population,
    cost_benefit,
    delta_presence,
    k_map,
)
from sfumato.release.recounts.promises import Asked, reading_of
from sfumato.release.recounts.sizes import (
    average_risk,
    differential_privacy,
    highest_risk,
    k_anonymity,
    sample_uniqueness,
    strict_average_risk,
)
from sfumato.release.recounts.tally import Tally
from sfumato.release.recounts.uniqueness import population_uniqueness

if TYPE_CHECKING:
    from sfumato.table import Hierarchy

__all__ = ["judge"]

_FORMULAS: Mapping[str, Callable[[Asked, Tally], Outcome]] = {
    "k-anonymity": k_anonymity,
    "l-diversity": l_diversity,
    "delta-disclosure": delta_disclosure,
    "beta-likeness": beta_likeness,
    "alpha-k-anonymity": alpha_k_anonymity,
    "highest-risk": highest_risk,
    "average-risk": average_risk,
    "strict-average-risk": strict_average_risk,
    "sample-uniqueness": sample_uniqueness,
    "population-uniqueness": population_uniqueness,
}
_IN_A_POPULATION: Mapping[str, Callable[[Asked, Tally, Population | None], Outcome]] = {
    "k-map": k_map,
    "delta-presence": delta_presence,
    "cost-benefit": cost_benefit,
}


def judge(
    promises: Sequence[Mapping[str, Any]],
    tally: Tally | None,
    hierarchies: Mapping[str, Hierarchy],
    population: Callable[[str | None], Population | None],
    untouched: Sequence[str] = (),
) -> tuple[CriterionCount, ...]:
    """Recount each promise.

    Parameters
    ----------
    promises
        Their plain values: a kind and settings.
    tally
        The classes of the released table, with every sensitive column that the file has; None if
        the file has nothing to group by.
    hierarchies
        The hierarchy of each column whose schema has one, for a promise that brings none.
    population
        Gives the population whose path a promise holds, or None if it is not there.
    untouched
        Columns of the file that are no quasi-identifiers.
    """
    known = _Known(hierarchies, population, untouched)
    return tuple(_judged(values, tally, known) for values in promises)


@dataclass(frozen=True)
class _Known:
    """What a formula may need besides the classes."""

    hierarchies: Mapping[str, Hierarchy]
    population: Callable[[str | None], Population | None]
    untouched: Sequence[str]


def _judged(values: Mapping[str, Any], tally: Tally | None, known: _Known) -> CriterionCount:
    asked = reading_of(values)
    if isinstance(asked, str):
        return CriterionCount(dict(values), "SF012", "not run", asked)
    if tally is None:
        because = "the schema names no quasi-identifier that the file has, so no class"
        return CriterionCount(dict(values), asked.code, "not run", because)
    if asked.column is not None and asked.column not in tally.sensitive:
        because = f"the file has no column {asked.column!r}"
        return CriterionCount(dict(values), asked.code, "not run", because)
    try:
        count = _counter(asked, tally, known)
        everything = count(tally)
        without = count(tally.without_suppressed()) if tally.starred.any() else everything
    except NotCounted as reason:
        return CriterionCount(dict(values), asked.code, "not run", str(reason))
    if not without.classes:
        because = "there is no class but that of the suppressed rows"
        return CriterionCount(dict(values), asked.code, "not applicable", because, None, everything)
    status: Status = "passed" if without.kept else "failed"
    return CriterionCount(dict(values), asked.code, status, None, without, everything)


def _counter(asked: Asked, tally: Tally, known: _Known) -> Callable[[Tally], Outcome]:
    """Return the formula of a promise with all that it needs but the classes."""
    if asked.kind in _FORMULAS:
        formula = _FORMULAS[asked.kind]
        return lambda classes: formula(asked, classes)
    if asked.kind in _IN_A_POPULATION:
        compare = _IN_A_POPULATION[asked.kind]
        people = known.population(asked["population"])
        return lambda classes: compare(asked, classes, people)
    if asked.kind == "differential-privacy":
        return lambda classes: differential_privacy(asked, classes, known.untouched)
    levels: tuple[npt.NDArray[np.int64], ...] = ()
    if asked["distance"] == "hierarchical":
        levels = _levels(asked, tally.sensitive[str(asked.column)].labels, known.hierarchies)
    return lambda classes: t_closeness(asked, classes, levels)


def _levels(
    asked: Asked, labels: pl.Series, hierarchies: Mapping[str, Hierarchy]
) -> tuple[npt.NDArray[np.int64], ...]:
    """Return the group of each value at each level below the root.

    A missing value and "*" stand alone up to the root.
    """
    from sfumato.table import Hierarchy

    hierarchy = hierarchies.get(str(asked.column))
    try:
        if asked["hierarchy"] is not None:
            hierarchy = Hierarchy.from_dict(asked["hierarchy"])
        if hierarchy is None:
            raise NotCounted(
                f"neither the promise nor the schema has a hierarchy of {asked.column!r}"
            )
        alone = labels.is_null() | (labels == "*").fill_null(value=False)
        held = pl.Series(asked.column, labels.set(alone, None), dtype=pl.String)
        climbed = [hierarchy.generalize(held, level) for level in range(hierarchy.height)]
    except HierarchyError as error:
        # Its message may count rows of another table than the one that is verified.
        raise NotCounted(
            f"the hierarchy of {asked.column!r} is not sound, or does not hold every value"
        ) from error
    groups = []
    for texts in climbed:
        keyed = pl.DataFrame({"group": texts, "own": labels.set(~alone, None), "alone": alone})
        groups.append(keyed.select(pl.struct(pl.all()).rank("dense") - 1).to_series().to_numpy())
    return tuple(number.astype(np.int64) for number in groups)
