"""The parts of utility in the order of a report, and which figures belong to each."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sfumato.release.report.figure_groups import FigureGroup

__all__ = ["USES", "by_use", "use_of"]

#: How the keys of a part begin: its title and what it asks.
USES = {
    "marginals": ("Marginals", "Do one, two and three columns at a time look like the real ones?"),
    "distances": ("Numbers", "How far must numbers move to look like the real ones?"),
    "associations": ("Associations", "Do the columns hang together as they do?"),
    "propensity": ("Propensity", "Can a model tell released rows from real ones?"),
    "coverage": ("Coverage", "Is every kind of person there, and nobody of no kind?"),
    "rare": ("Rare values", "Are rare values kept, lost, or made too many?"),
    "groups": ("Groups", "Is each group of people described as well as the others?"),
    "learning": ("Learning", "Does a model trained on it do as well as on as many real people?"),
    "fairness": ("Fairness", "Does such a model treat groups as one trained on real people?"),
    "regression": ("Regression", "Does a study come to the same coefficients?"),
    "queries": ("Queries", "Do questions get the same answers?"),
}


def use_of(key: str) -> str | None:
    """Return the part that a figure belongs to, or None."""
    head = key.split("/")[0]
    return head if head in USES and "/" in key else None


def by_use(
    groups: Sequence[FigureGroup],
) -> tuple[tuple[str, str, tuple[FigureGroup, ...]], ...]:
    """Return (title, question, figures) for each part that was measured."""
    found = []
    for head, (title, question) in USES.items():
        own = tuple(group for group in groups if use_of(group.key) == head and group.measured)
        if own:
            found.append((title, question, own))
    return tuple(found)
