"""What all recodings on the way to a release do to a source column, one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sfumato.anonymization.recoding import ColumnChange, Recoding

__all__ = ["all_changes", "released_name"]


def released_name(column: str | None, recodings: Sequence[Recoding]) -> str | None:
    """Return the name under which a source column is released, or None if it is not."""
    for recoding in recodings:
        names = {change.column: change.released_as for change in recoding.describe()}
        column = names.get(column) if column is not None else None
    return column


def all_changes(recodings: Sequence[Recoding]) -> tuple[ColumnChange, ...]:
    """Return what all recodings together do to each source column."""
    changes: tuple[ColumnChange, ...] = ()
    for position, recoding in enumerate(recodings):
        described = recoding.describe()
        if position == 0:
            changes = described
            continue
        later = {change.column: change for change in described}
        changes = tuple(
            _joined(change, later[change.released_as]) if change.released_as in later else change
            for change in changes
        )
    return changes


def _joined(first: ColumnChange, then: ColumnChange) -> ColumnChange:
    if then.action == "kept":
        # what was done to the rows, such as leaving out some of them, is said behind
        said = then.how.removeprefix("released as it is").removeprefix("; ")
        how = f"{first.how}; then {said}" if said else first.how
        return replace(first, released_as=then.released_as, how=how)
    if first.action == "kept":
        return replace(then, column=first.column)
    return replace(then, column=first.column, how=f"{first.how}; then {then.how}")
