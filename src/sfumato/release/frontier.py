"""Risk against use: which releases are dominated, which keep the limits, which is most useful.

Nothing is measured here and nothing is blended: a release's place on the axis of risk is one of its
own figures, the one that is worst, and each limit is judged by its own figure. What the data leave
open counts against the release. The largest of several one-sided 95 % bounds is a 95 % bound of the
largest of the risks, whatever ties them (as in Berger's intersection-union test, see
:mod:`sfumato.release.limits`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from sfumato.release.bounds import Candidate, Reach, absence, reach, reaches, worst_of
from sfumato.release.frontier_plan import (
    ATTACK_FAMILIES,
    CRITERIA,
    LARGEST,
    LIMITS,
    OF_CRITERIA,
    FrontierPlan,
    applies,
)
from sfumato.release.limits import Check, checked

if TYPE_CHECKING:
    from sfumato.evaluation import Figure

__all__ = ["Frontier", "Place", "draw_frontier"]

_USES = ("auc/gradient-boosting/honest", "auc/mlp/honest", "auc/logistic-regression/honest")
_LINKED = "marketer"
_DISTANCES = ("mean_two_way_total_variation", "mean_total_variation")


@dataclass(frozen=True)
class Place:
    """Where a release stands.

    Parameters
    ----------
    candidate
        The release.
    number
        Its position in the plan, from 1.
    risk, utility
        Its place on the two axes; None if a figure is missing, and ``unplaced`` says which.
    checks
        One for each limit.
    dominated_by
        Releases that have no more risk and no less use, and less or more of one.
    clearly
        Whether one of these is better beyond the intervals.
    families
        Its place on each further axis of risk, by key.
    """

    candidate: Candidate
    number: int
    risk: Reach | None
    utility: Reach | None
    checks: tuple[Check, ...]
    unplaced: str = ""
    dominated_by: tuple[str, ...] = ()
    clearly: bool = False
    families: Mapping[str, Reach] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The release's name."""
        return self.candidate.name

    @property
    def on_front(self) -> bool:
        """Whether it has a place and nothing dominates it."""
        return self.risk is not None and self.utility is not None and not self.dominated_by

    @property
    def keeps(self) -> bool:
        """Whether its promises are verified and all limits kept, one of risk at least."""
        return (
            self.candidate.verified
            and all(check.status in ("kept", "does not apply") for check in self.checks)
            and any(check.status == "kept" and check.of_risk for check in self.checks)
        )

    @property
    def breaks(self) -> bool:
        """Whether a promise or a limit is broken beyond doubt."""
        return not self.candidate.verified or any(check.status == "broken" for check in self.checks)

    @property
    def used(self) -> float:
        """The largest share of a limit that is used up; infinite if a limit cannot be judged."""
        told = [check.used for check in self.checks if check.status != "does not apply"]
        applies = any(check.of_risk and check.status != "does not apply" for check in self.checks)
        return max(told) if told and applies else math.inf


@dataclass(frozen=True)
class Frontier:
    """All releases of a study set against each other.

    Parameters
    ----------
    plan
        What was asked for.
    places
        One for each release, in the plan's order.
    risk_keys, utility_key
        The figures behind the axes.
    families
        Keys of the further axes of risk.
    recommended
        The most useful release that keeps the limits; None if none does, or there are no limits.
    ranking
        Releases that keep the limits, the most useful first.
    nearest
        Of the releases that do not, the one that passes the limits least; None if one keeps them.
    differences
        For other releases that keep the limits, the recommended one's utility less theirs on the
        same people, where both were trained in one run.
    """

    plan: FrontierPlan
    places: tuple[Place, ...]
    risk_keys: tuple[str, ...]
    utility_key: str
    families: tuple[str, ...]
    recommended: Place | None
    ranking: tuple[Place, ...]
    nearest: Place | None
    differences: Mapping[str, Figure] = field(default_factory=dict)

    @property
    def front(self) -> tuple[Place, ...]:
        """Releases that nothing dominates, from the least risk."""
        shown = [place for place in self.places if place.on_front]
        return tuple(sorted(shown, key=lambda place: _coordinates(place)))

    @property
    def as_good(self) -> tuple[Place, ...]:
        """Releases of less risk whose use cannot be told from that of the recommended one."""
        best = self.recommended
        if best is None or best.risk is None:
            return ()
        return tuple(
            place
            for place in self.ranking
            if place.name != best.name
            and place.risk is not None
            and place.risk.badness < best.risk.badness
            and not _told_apart(best, place, self.differences.get(place.name))
        )

    def to_dict(self) -> dict[str, Any]:
        """Return what was found as plain JSON values."""
        best, nearest = self.recommended, self.nearest
        return {
            "risk": list(self.risk_keys),
            "utility": self.utility_key,
            "limits": dict(self.plan.limits),
            "recommended": None if best is None else best.name,
            "ranking": [place.name for place in self.ranking],
            "nearest": None if nearest is None else nearest.name,
            "front": [place.name for place in self.front],
            "differences": {name: one.to_dict() for name, one in self.differences.items()},
            "releases": {
                place.name: {
                    "keeps_the_limits": place.keeps,
                    "dominated_by": list(place.dominated_by),
                    "unplaced": place.unplaced,
                    "risk": _dict(place.risk),
                    "utility": _dict(place.utility),
                    "families": {key: _dict(one) for key, one in place.families.items()},
                    "limits": {
                        check.key: {
                            "status": check.status,
                            "worst": _dict(check.worst),
                            "because": check.because,
                        }
                        for check in place.checks
                    },
                }
                for place in self.places
            },
        }

    def __getitem__(self, name: str) -> Place:
        """Return the place of a release."""
        for place in self.places:
            if place.name == name:
                return place
        raise KeyError(name)


def draw_frontier(candidates: Sequence[Candidate], plan: FrontierPlan) -> Frontier:
    """Set releases against each other.

    Parameters
    ----------
    candidates
        In the plan's order, at least one.
    plan
        Axes and limits.
    """
    keys = _risk_keys(candidates, plan)
    utility_key = _utility_key(candidates, plan)
    families = _families(candidates)
    places = []
    for number, candidate in enumerate(candidates, 1):
        checks = tuple(
            checked(candidate, key, limit, candidates) for key, limit in plan.limits.items()
        )
        risk, why = _risk(candidate, keys, checks)
        figure = candidate.figures.get(utility_key)
        utility = None if figure is None else reach(utility_key, figure)
        if utility is None:
            told = "" if figure is None or not figure.because else f": {figure.because}"
            why = why or f"{utility_key} was not computed{told}"
        shown = {
            family: worst
            for family in families
            if (worst := worst_of(reaches(candidate, family))) is not None
        }
        places.append(Place(candidate, number, risk, utility, checks, why, families=shown))
    judged = tuple(_judged(place, places) for place in places)
    ranking = tuple(
        sorted(
            (place for place in judged if place.keeps and place.utility is not None),
            key=lambda place: (-_use(place), _badness(place), place.number),
        )
    )
    nearest = None
    if plan.limits and not ranking:
        open_ones = [place for place in judged if place.candidate.verified and place.utility]
        nearest = min(
            open_ones, key=lambda place: (place.used, -_use(place), place.number), default=None
        )
    recommended = ranking[0] if ranking else None
    return Frontier(plan, judged, keys, utility_key, families, recommended, ranking, nearest)


def _dict(one: Reach | None) -> dict[str, Any] | None:
    return None if one is None else one.to_dict()


# -- the axes ----------------------------------------------------------------------------------


def _risk_keys(candidates: Sequence[Candidate], plan: FrontierPlan) -> tuple[str, ...]:
    asked = (plan.risk,) if isinstance(plan.risk, str) else plan.risk
    if LIMITS in asked and not plan.limits:
        asked = (CRITERIA,)
    families = {CRITERIA: OF_CRITERIA, LARGEST: ATTACK_FAMILIES}
    found: list[str] = []
    for key in asked:
        found += _measured(candidates, families[key]) if key in families else [key]
    return tuple(dict.fromkeys(found))


def _measured(candidates: Sequence[Candidate], families: Sequence[str]) -> list[str]:
    """Return those families of attacks that any release underwent, and the linkage of rows."""

    def any_of(keys: Sequence[str]) -> list[str]:
        return [key for key in keys if any(reaches(one, key) for one in candidates)]

    return [*(any_of(families) or any_of(["exact_copies"])), *any_of([_LINKED])] or [_LINKED]


def _utility_key(candidates: Sequence[Candidate], plan: FrontierPlan) -> str:
    if plan.utility is not None:
        return plan.utility
    computed = [
        key
        for candidate in candidates
        for key, figure in candidate.utility.items()
        if figure.computed
    ]
    honest = [key for key in computed if key.startswith("auc/") and key.endswith("/honest")]
    for key in (*_USES, *honest, *_DISTANCES):
        if key in computed:
            return key
    return _DISTANCES[-1]


def _families(candidates: Sequence[Candidate]) -> tuple[str, ...]:
    """Return the axes of risk that are drawn besides: each family of attacks, and the linkage."""
    known = (*ATTACK_FAMILIES, "exact_copies", _LINKED, "prosecutor_highest")
    return tuple(key for key in known if any(reaches(one, key) for one in candidates))


def _risk(
    candidate: Candidate, keys: Sequence[str], checks: Sequence[Check]
) -> tuple[Reach | None, str]:
    """Return the place on the axis of risk, or why there is none."""
    if keys == (LIMITS,):
        used = [check for check in checks if check.of_risk and check.status != "does not apply"]
        worst = max(used, key=lambda check: check.used, default=None)
        if worst is None or worst.worst is None or not math.isfinite(worst.used):
            return None, "a limit could not be measured" if worst else "no limit of risk applies"
        one = worst.worst
        estimate = replace(worst, worst=replace(one, low=one.point, high=one.point)).used
        unit = "of the limit"
        return Reach(one.key, one.name, unit, estimate, estimate, worst.used, True), ""  # noqa: FBT003
    found = []
    for key in keys:
        if not applies(key, synthetic=candidate.synthetic):
            continue
        known = reaches(candidate, key)
        if not known:
            return None, absence(candidate, key)
        found += known
    comparable = {(one.unit, one.lower_is_better) for one in found}
    if len(comparable) > 1:
        return None, f"the figures of {', '.join(keys)} are in different units"
    worst_one = worst_of(found)
    if worst_one is None:
        return None, f"{', '.join(keys)} does not apply to such a release"
    if not math.isfinite(worst_one.badness):
        return None, f"not enough data to say how large {worst_one.key} may be"
    return worst_one, ""


# -- who dominates whom ------------------------------------------------------------------------


def _use(place: Place) -> float:
    one = place.utility
    if one is None:
        return -math.inf
    return -one.point if one.lower_is_better else one.point


def _badness(place: Place) -> float:
    return math.inf if place.risk is None else place.risk.badness


def _coordinates(place: Place) -> tuple[float, float]:
    return _badness(place), -_use(place)


def _judged(place: Place, places: Sequence[Place]) -> Place:
    if place.risk is None or place.utility is None:
        return place
    risk, use = _coordinates(place)
    better = []
    for other in places:
        if other.risk is None or other.utility is None or not other.candidate.verified:
            continue
        here = _coordinates(other)
        if here[0] <= risk and here[1] <= use and here != (risk, use):
            better.append(other)
    return replace(
        place,
        dominated_by=tuple(other.name for other in sorted(better, key=_coordinates)),
        clearly=any(_beyond(other, place) for other in better),
    )


def _beyond(better: Place, worse: Place) -> bool:
    """Return whether one release is better than another beyond the intervals of both axes."""
    if better.risk is None or worse.risk is None:
        return False
    least = worse.risk.point if worse.risk.lower_is_better else -worse.risk.point
    return better.risk.badness <= least and not _overlap(better, worse)


def _overlap(one: Place, other: Place) -> bool:
    first, second = one.utility, other.utility
    if first is None or second is None:
        return True
    return (
        first.low <= second.high
        and second.low <= first.high
        and not (first.low == first.high and second.low == second.high)
    )


def _told_apart(best: Place, other: Place, difference: Figure | None) -> bool:
    """Return whether the use of two releases differs beyond the noise of the people tested."""
    if difference is not None and difference.interval is not None:
        low, high = difference.interval
        return not low <= 0.0 <= high
    return not _overlap(best, other)
