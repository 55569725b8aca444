"""Which releases of a plan are made of the whole table, where not all of them are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sfumato.release.bounds import Candidate
from sfumato.release.frontier import Place, draw_frontier
from sfumato.release.plan import derived_seed
from sfumato.release.study import NotMade

if TYPE_CHECKING:
    from sfumato.release.evaluation import Evaluation
    from sfumato.release.plan import Plan

__all__ = ["Round", "Search", "in_order", "search", "sizes"]

Measure = Callable[[Sequence[str], int], "Mapping[str, Evaluation | NotMade]"]


@dataclass(frozen=True)
class Round:
    """One round of a search by halving.

    Parameters
    ----------
    rows
        About how many rows the releases were made of.
    tried, dropped
        Names, in the plan's order.
    """

    rows: int
    tried: tuple[str, ...]
    dropped: tuple[str, ...]


@dataclass(frozen=True)
class Search:
    """What a search decided.

    Parameters
    ----------
    kind
        As in the plan.
    chosen
        The releases to make of the whole table, in the plan's order.
    left_out
        The others.
    rounds
        Of a search by halving.
    not_made
        Releases that could not be made of a sample.
    """

    kind: str
    chosen: tuple[str, ...]
    left_out: tuple[str, ...]
    rounds: tuple[Round, ...] = ()
    not_made: tuple[NotMade, ...] = ()


def search(plan: Plan, rows: int, measure: Measure) -> Search:
    """Decide which releases of a plan are made.

    Parameters
    ----------
    plan
        A plan with a frontier.
    rows
        Rows from which releases are made.
    measure
        Measures releases of a sample of the rows; called for "halving" only.
    """
    names = [release.name for release in plan.releases]
    wanted = plan.frontier
    kind = "grid" if wanted is None else wanted.search
    if wanted is None or kind == "grid" or len(names) <= wanted.candidates:
        return Search("grid", tuple(names), ())
    rounds: list[Round] = []
    failed: list[NotMade] = []
    if kind == "random":
        chosen = _with_origins(plan, _drawn(plan, wanted.candidates))
    else:
        chosen = names
        for count, sample in sizes(len(names), wanted.candidates, wanted.rows, rows):
            measured = measure(chosen, sample)
            failed += [one for one in measured.values() if isinstance(one, NotMade)]
            best = [name for name in _ranked(plan, measured) if name != names[0]]
            kept = _with_origins(plan, [names[0], *best[: count - 1]])
            dropped = tuple(name for name in chosen if name not in kept)
            rounds.append(Round(sample, tuple(chosen), dropped))
            chosen = kept
    left = tuple(name for name in names if name not in chosen)
    return Search(kind, tuple(chosen), left, tuple(rounds), tuple(failed))


def sizes(releases: int, candidates: int, rows: int, most: int) -> list[tuple[int, int]]:
    """Return, for each round of halving, how many releases are kept and how many rows they get.

    Parameters
    ----------
    releases, candidates
        How many there are, and how many are wanted in the end.
    rows
        Of the first sample; each further one is twice as large, up to half of the rows.
    most
        Rows that there are.

    Examples
    --------
    >>> sizes(30, 8, 10_000, 200_000)
    [(15, 10000), (8, 20000)]
    >>> sizes(30, 8, 10_000, 12_000)
    [(15, 6000), (8, 6000)]
    """
    found = []
    while releases > candidates:
        releases = max(candidates, -(-releases // 2))
        found.append((releases, min(rows, most // 2)))
        rows *= 2
    return found


def in_order(plan: Plan, names: Iterable[str]) -> list[str]:
    """Return releases in the order of the plan."""
    wanted = set(names)
    return [release.name for release in plan.releases if release.name in wanted]


def _with_origins(plan: Plan, names: Iterable[str]) -> list[str]:
    """Return releases with those that they start from."""
    return in_order(plan, {step.name for name in names for step in plan.lineage(name)})


def _drawn(plan: Plan, count: int) -> list[str]:
    """Draw releases by the plan's seed: the first one always, others by a number of their own."""
    first, *others = (release.name for release in plan.releases)
    drawn = sorted(others, key=lambda name: derived_seed(plan.seed, "search", name))
    return [first, *drawn[: count - 1]]


def _ranked(plan: Plan, measured: Mapping[str, Evaluation | NotMade]) -> list[str]:
    """Return measured releases, best first: front by front, as they are peeled off.

    Within a front those that break no limit come first, then those of more use.
    """
    from sfumato.release.registry import makes, technique

    wanted = plan.frontier
    found = [
        Candidate(
            name=name,
            technique=plan.release(name).technique,
            synthetic=makes(technique(plan.release(name).technique)) == "generator",
            verified=True,
            risks=one.risks,
            utility=one.utility,
        )
        for name, one in measured.items()
        if not isinstance(one, NotMade)
    ]
    order: list[str] = []
    while found and wanted is not None:
        drawn = draw_frontier(found, wanted)
        front = [place for place in drawn.places if place.on_front] or list(drawn.places)
        order += [place.name for place in sorted(front, key=_preference)]
        found = [one for one in found if one.name not in order]
    return order


def _preference(place: Place) -> tuple[bool, float, int]:
    one = place.utility
    use = float("-inf") if one is None else (-one.point if one.lower_is_better else one.point)
    return place.breaks, -use, place.number
