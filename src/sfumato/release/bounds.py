"""A figure of a release as far as the data let it be: its value and the end that is worse."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from sfumato.release.frontier_plan import applies, family_named

if TYPE_CHECKING:
    from sfumato.evaluation import Figure

__all__ = ["Candidate", "Reach", "absence", "matching", "reach", "reaches", "worst_of"]


@dataclass(frozen=True)
class Candidate:
    """What is known of one release.

    Parameters
    ----------
    name, technique
        As in the plan.
    synthetic
        Whether its rows were drawn from a model, so that no row stands for one person.
    verified
        Whether a recount of the data confirmed all that it promises.
    risks, utility
        Its figures by key.
    promises
        What it promises, a sentence each.
    """

    name: str
    technique: str
    synthetic: bool
    verified: bool
    risks: Mapping[str, Figure]
    utility: Mapping[str, Figure]
    promises: tuple[str, ...] = ()

    @property
    def figures(self) -> dict[str, Figure]:
        """All figures by key."""
        return {**self.utility, **self.risks}


@dataclass(frozen=True)
class Reach:
    """A figure as far as the data let it be.

    Parameters
    ----------
    key, name, unit
        Of the figure.
    point
        Its value; of an attack the excess over people who are not in the release.
    low, high
        The interval; both are the point where it was counted exactly.
    lower_is_better
        Which way is better.
    excess
        Whether it is the excess over a control.
    """

    key: str
    name: str
    unit: str
    point: float
    low: float
    high: float
    lower_is_better: bool
    excess: bool = False

    @property
    def bound(self) -> float:
        """The end that is worse."""
        return self.high if self.lower_is_better else self.low

    @property
    def badness(self) -> float:
        """The end that is worse, so that less is better."""
        return self.high if self.lower_is_better else -self.low

    def to_dict(self) -> dict[str, Any]:
        """Return the figure as plain JSON values."""
        # JSON knows no infinity: what has no end has no number
        ends = {"value": self.point, "low": self.low, "high": self.high}
        finite = {name: end if math.isfinite(end) else None for name, end in ends.items()}
        return {"key": self.key, **finite, "unit": self.unit, "excess": self.excess}


def reach(key: str, figure: Figure) -> Reach | None:
    """Return how far a figure may lie, or None if it was not computed.

    Parameters
    ----------
    key
        The figure's key.
    figure
        A figure with ``upper`` is read as its excess over the control (or the baseline).
    """
    if figure.value is None:
        return None
    if figure.upper is not None:
        reference = figure.control if figure.control is not None else figure.baseline
        point = figure.value - (reference or 0.0)
        upper = max(figure.upper, point)
        return Reach(
            key, figure.name, figure.unit, point, point, upper, lower_is_better=True, excess=True
        )
    low, high = figure.interval or (figure.value, figure.value)
    value = figure.value
    lower_is_better = figure.direction != "higher is better"
    if figure.direction == "closer to the baseline is better":
        middle = figure.baseline or 0.0
        holds = low <= middle <= high
        ends = sorted((abs(low - middle), abs(high - middle)))
        value, low, high = abs(value - middle), 0.0 if holds else ends[0], ends[1]
    return Reach(
        key,
        figure.name,
        figure.unit,
        value,
        low,
        high,
        lower_is_better,
        # a test against control people whose value is the difference itself
        excess=figure.p_value is not None and lower_is_better and figure.baseline == 0.0,
    )


def matching(figures: Mapping[str, Figure], key: str) -> dict[str, Figure]:
    """Return the figure of a key, those of a family of attacks, or all that begin with the key.

    In a key ``*`` stands for any part, as in a policy.
    """
    if key in figures:
        return {key: figures[key]}
    if "*" in key:
        return {one: figure for one, figure in figures.items() if fnmatchcase(one, key)}
    family = family_named(key)
    if family is not None:
        return family.of(figures)
    return {one: figure for one, figure in figures.items() if one.startswith(f"{key}/")}


def reaches(candidate: Candidate, key: str) -> list[Reach]:
    """Return what is known of the figures of a key.

    Parameters
    ----------
    candidate
        A release; figures that such a release cannot have are left out.
    key
        Of one figure, of a family of attacks (of which those count that are an excess of a share
        of people, and so can be compared), or the first part of several keys.
    """
    if not applies(key, synthetic=candidate.synthetic):
        return []
    known = [
        one
        for name, figure in matching(candidate.figures, key).items()
        if applies(name, synthetic=candidate.synthetic) and (one := reach(name, figure))
    ]
    if family_named(key) is not None and key not in candidate.figures:
        return [one for one in known if one.excess and one.unit == "share"]
    return known


def worst_of(found: Sequence[Reach]) -> Reach | None:
    """Return the figure that is worst at its worse end."""
    return max(found, key=lambda one: one.badness, default=None)


def absence(candidate: Candidate, key: str) -> str:
    """Return why nothing is known of the figures of a key."""
    because = [figure.because for figure in matching(candidate.figures, key).values()]
    told = next((text for text in because if text), "")
    return f"{key} was not computed: {told}" if told else f"{key} was not measured"
