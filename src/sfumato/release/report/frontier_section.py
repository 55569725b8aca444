"""What the section about the frontier shows, and which releases the rest of the report shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sfumato.release.report.frontier_chart import family_charts, frontier_chart
from sfumato.release.report.frontier_figures import figure_text, limit_text, risk_name
from sfumato.release.report.frontier_words import statement
from sfumato.release.report.palette import SERIES

if TYPE_CHECKING:
    from sfumato.release.frontier import Frontier, Place
    from sfumato.release.limits import Check
    from sfumato.release.study import Study

__all__ = ["FrontierLine", "frontier_content", "shown_releases"]

_MOST_SHOWN = 6
_SHAPES = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down")
_MARKS = {
    "kept": "✓",
    "broken": "✗",
    "not enough data": "?",
    "not measured": "?",
    "does not apply": "–",
}


@dataclass(frozen=True)
class FrontierLine:
    """One release in the table.

    Parameters
    ----------
    place
        Where it stands.
    label, kind
        What is said of it in a few words, and the style of that tag.
    risk, use
        Its place on the axes in words.
    risk_from
        Which figure the risk is.
    limits
        Mark, limit and figure of each limit.
    note
        Why it has no place, or who dominates it.
    """

    place: Place
    label: str
    kind: str
    risk: str
    risk_from: str
    use: str
    limits: tuple[tuple[str, str, str], ...]
    note: str


def shown_releases(study: Study) -> tuple[str, ...]:
    """Return the releases that a report shows side by side; all, if there is no frontier.

    Of many: the plan's first, the recommended one and the next, and then others that nothing
    dominates, the most useful first.
    """
    names = tuple(release.name for release in study.releases)
    frontier = study.frontier
    if frontier is None or len(names) <= _MOST_SHOWN:
        return names
    wanted = [names[0]]
    wanted += [place.name for place in frontier.ranking[:2]]
    wanted += [frontier.nearest.name] if frontier.nearest else []
    wanted += [place.name for place in reversed(frontier.front)]
    wanted += [place.name for place in frontier.ranking]
    chosen = list(dict.fromkeys(wanted))[:_MOST_SHOWN]
    return tuple(name for name in names if name in chosen)


def frontier_content(study: Study) -> dict[str, Any]:
    """Return what the section shows; nothing, if the study draws no frontier."""
    frontier = study.frontier
    if frontier is None:
        return {"frontier": None}
    known = dict.fromkeys(place.candidate.technique for place in frontier.places)
    techniques = {technique: position for position, technique in enumerate(known)}
    return {
        "frontier": frontier,
        "statement": statement(study, frontier),
        "picture": frontier_chart(frontier, techniques),
        "family_pictures": family_charts(frontier, techniques),
        "lines": tuple(_line(place, frontier) for place in frontier.places),
        "technique_marks": [
            (technique, SERIES[place % len(SERIES)], _SHAPES[place % len(_SHAPES)])
            for technique, place in techniques.items()
        ],
        "folders": {release.name: release.folder for release in study.releases},
    }


def _line(place: Place, frontier: Frontier) -> FrontierLine:
    best = frontier.recommended
    if best is not None and best.name == place.name:
        label, kind = "recommended", "passed"
    elif place.keeps:
        label, kind = "keeps the limits", "passed"
    elif not frontier.plan.limits:
        label, kind = "no limits", "not-run"
    elif place.breaks:
        label, kind = "breaks a limit", "failed"
    else:
        label, kind = "not enough data to say", "not-run"
    note = place.unplaced
    if place.dominated_by:
        # the one that shows it best: least risk of those with the most use
        certain = "" if place.clearly else ", within the intervals"
        note = f"dominated by {place.dominated_by[-1]}{certain}"
    return FrontierLine(
        place,
        label,
        kind,
        figure_text(place.risk),
        "" if place.risk is None else risk_name(place.risk.key),
        "–" if place.utility is None else figure_text(place.utility),
        tuple(_limit(check) for check in place.checks),
        note,
    )


def _limit(check: Check) -> tuple[str, str, str]:
    told = figure_text(check.worst) if check.worst is not None else check.status
    return _MARKS[check.status], limit_text(check, short=True), told
