"""Figures gathered over versions: each figure once, a line per version, to compare them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sfumato.release.report.families import FAMILIES, family_of
from sfumato.release.report.readings import Reading, reading

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from sfumato.evaluation import Figure
    from sfumato.release.evaluation import Evaluation

__all__ = ["FigureGroup", "FigureRow", "by_family", "figure_groups", "left_out"]


@dataclass(frozen=True)
class FigureRow:
    """A figure of one version and how it may be read."""

    version: str
    figure: Figure
    reading: Reading


@dataclass(frozen=True)
class FigureGroup:
    """One figure over all versions that have it.

    ``meaning`` and ``method`` (of the intervals) are empty where they differ from version to
    version; then each row says its own.
    """

    key: str
    name: str
    meaning: str
    method: str
    direction: str
    source: str
    not_shown: str
    rows: tuple[FigureRow, ...]

    @property
    def measured(self) -> bool:
        """Whether any version has a value."""
        return any(row.figure.computed for row in self.rows)

    @property
    def exact(self) -> bool:
        """Whether every version's figure was counted over the whole file, as far as computed."""
        outcomes = {row.reading.outcome for row in self.rows}
        return "exact" in outcomes and outcomes <= {"exact", "not computed"}

    def of(self, version: str) -> FigureRow | None:
        """Return a version's line, or None if it has no such figure."""
        return next((row for row in self.rows if row.version == version), None)


# The gravest first; figures that are not named here follow in their own order.
_ORDER = (
    "unique",
    "smallest_class",
    "smallest_class_without_suppressed",
    "suppressed",
    "prosecutor_highest",
    "prosecutor_average",
    "at_risk",
    "marketer",
    "journalist_highest",
    "journalist_average",
    "journalist_at_risk",
    "wildcard_smallest",
    "wildcard_highest",
    "wildcard_average",
    "wildcard_at_risk",
    "classes",
    "nearer_to_train",
    "exact_copies",
    "distance_lowest",
    "distance_median",
    "mean_total_variation",
    "largest_distance",
    "mean_association_difference",
    "target_association_difference",
)


def figure_groups(
    figures: Mapping[str, Mapping[str, Figure]], rows_are_people: Collection[str] = ()
) -> tuple[FigureGroup, ...]:
    """Return the figures of all versions, the gravest first.

    Parameters
    ----------
    figures
        For each version's name its figures by key.
    rows_are_people
        The versions of which each row is a real person's, recoded.
    """
    present = dict.fromkeys(key for of_version in figures.values() for key in of_version)
    keys = [key for key in _ORDER if key in present]
    keys += [key for key in present if key not in _ORDER]
    groups = []
    for key in keys:
        rows = tuple(
            FigureRow(
                version,
                of_version[key],
                reading(of_version[key], rows_are_people=version in rows_are_people),
            )
            for version, of_version in figures.items()
            if key in of_version
        )
        figure = rows[0].figure
        meaning = _shared([row.figure.meaning for row in rows if row.figure.computed])
        method = _shared([row.figure.interval_method for row in rows if row.figure.interval])
        groups.append(
            FigureGroup(
                key,
                figure.name,
                meaning,
                method,
                figure.direction,
                figure.source,
                figure.not_shown,
                rows,
            )
        )
    return tuple(groups)


def by_family(
    groups: Sequence[FigureGroup],
) -> tuple[tuple[str, str, tuple[FigureGroup, ...]], ...]:
    """Return (title, question, figures) for each question that figures answer; the rest last."""
    found = []
    for family in FAMILIES:
        own = tuple(group for group in groups if family_of(group.key) is family)
        if own:
            found.append((family.title, family.question, own))
    rest = tuple(group for group in groups if family_of(group.key) is None)
    if rest:
        found.append(("Other searches", "", rest))
    return tuple(found)


def _shared(texts: Sequence[str]) -> str:
    """Return the text if all are the same, or nothing."""
    return texts[0] if len(set(texts)) == 1 else ""


def left_out(evaluations: Mapping[str, Evaluation]) -> tuple[tuple[str, str], ...]:
    """Return what was not evaluated: (version, sentence)."""
    found = []
    for version, evaluation in evaluations.items():
        found += [(version, sentence) for sentence in evaluation.not_run]
        missing: dict[str, list[str]] = {}
        for figure in evaluation.risks.values():
            if not figure.computed:
                missing.setdefault(figure.because, []).append(figure.name)
        found += [
            (version, f"not computed, because {because}: {'; '.join(names)}.")
            for because, names in missing.items()
        ]
    return tuple(found)
