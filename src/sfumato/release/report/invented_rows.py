"""Invented people before and after a recoding, turned so that each column is a line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sfumato.anonymization.recoding import ColumnChange
    from sfumato.release.invented import InventedPeople

__all__ = ["InventedLine", "invented_lines"]

_MOST_PEOPLE = 3


@dataclass(frozen=True)
class InventedLine:
    """One column: for each invented person the text before and after, None if not released."""

    column: str
    cells: tuple[tuple[str, str | None], ...]

    @property
    def changed(self) -> bool:
        """Whether any person's text changed."""
        return any(before != after for before, after in self.cells)


def invented_lines(
    people: InventedPeople, changes: Sequence[ColumnChange]
) -> tuple[InventedLine, ...]:
    """Return one line per source column, for at most three people.

    Parameters
    ----------
    people
        The invented rows.
    changes
        Tells under which name a source column is released.
    """
    released_as = {change.column: change.released_as for change in changes}
    place_after = {name: place for place, name in enumerate(people.columns_after)}
    pairs = list(zip(people.before, people.after, strict=True))[:_MOST_PEOPLE]
    lines = []
    for place, column in enumerate(people.columns_before):
        after = place_after.get(released_as.get(column, column) or "")
        cells = tuple((old[place], None if after is None else new[after]) for old, new in pairs)
        lines.append(InventedLine(column, cells))
    return tuple(lines)
