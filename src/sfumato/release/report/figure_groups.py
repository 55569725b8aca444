"""Figures gathered over versions: each figure once, a line per version, to compare them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sfumato.release.report.readings import Reading, reading

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from sfumato.evaluate import Figure
    from sfumato.release.evaluation import Evaluation

__all__ = ["FigureGroup", "FigureRow", "figure_groups", "left_out"]


@dataclass(frozen=True)
class FigureRow:
    """A figure of one version and how it may be read."""

    version: str
    figure: Figure
    reading: Reading


@dataclass(frozen=True)
class FigureGroup:
    """One figure over all versions that have it.

    ``meaning`` is empty where it differs from version to version; then each row says its own.
    """

    name: str
    meaning: str
    direction: str
    source: str
    rows: tuple[FigureRow, ...]


def figure_groups(
    figures: Mapping[str, Mapping[str, Figure]], rows_are_people: Collection[str] = ()
) -> tuple[FigureGroup, ...]:
    """Return the figures of all versions, in the order in which they first appear.

    Parameters
    ----------
    figures
        For each version's name its figures by key.
    rows_are_people
        The versions of which each row is a real person's, recoded.
    """
    keys = dict.fromkeys(key for of_version in figures.values() for key in of_version)
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
        meanings = {row.figure.meaning for row in rows if row.figure.computed}
        meaning = meanings.pop() if len(meanings) == 1 else ""
        groups.append(FigureGroup(figure.name, meaning, figure.direction, figure.source, rows))
    return tuple(groups)


def left_out(evaluations: Mapping[str, Evaluation]) -> tuple[tuple[str, str], ...]:
    """Return what was not evaluated: (version, sentence)."""
    return tuple(
        (version, sentence)
        for version, evaluation in evaluations.items()
        for sentence in evaluation.not_run
    )
