"""The columns of the source by their role, each role with what it means for a person."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["RoleGroup", "role_groups"]

_MEANINGS = {
    "identifier": ("Identifiers", "They name a person by themselves; no version may hold them."),
    "quasi-identifier": (
        "Quasi-identifiers",
        "Others may know them; together they can single a person out of the table.",
    ),
    "sensitive": (
        "Sensitive",
        "What nobody should learn about a named person; kept because the science needs it.",
    ),
    "target": ("Target", "What is to be predicted from the other columns."),
    "other": ("Other", "Said to be known to few and of little harm."),
}


@dataclass(frozen=True)
class RoleGroup:
    """One role, why it matters, and its columns with what the schema notes about each."""

    role: str
    title: str
    why: str
    columns: tuple[tuple[str, str], ...]


def role_groups(
    roles: Mapping[str, str], target: str | None, notes: Mapping[str, str]
) -> tuple[RoleGroup, ...]:
    """Return the columns by role, roles in the order of their risk.

    Parameters
    ----------
    roles
        Role of each column.
    target
        The column to predict; it may have a role of its own beside this.
    notes
        What the schema says about a column.
    """
    groups = []
    for role, (title, why) in _MEANINGS.items():
        columns = tuple(
            (name, _note(name, target, notes)) for name, given in roles.items() if given == role
        )
        if columns:
            groups.append(RoleGroup(role, title, why, columns))
    return tuple(groups)


def _note(name: str, target: str | None, notes: Mapping[str, str]) -> str:
    said = [notes.get(name, "")]
    if name == target:
        said.append("the column to predict")
    return "; ".join(text for text in said if text)
