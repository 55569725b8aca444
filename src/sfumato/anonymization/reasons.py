"""Why a column is changed, or left as it is: one sentence, from its role."""

from __future__ import annotations

from sfumato.table import Role

__all__ = ["why_changed", "why_kept"]

_CHANGED = {
    Role.IDENTIFIER: "an identifier names a person, so it is never released as it is",
    Role.QUASI_IDENTIFIER: (
        "others may know it, and together with what else they know it can single a person out"
    ),
    Role.SENSITIVE: "nobody should learn the exact value of a person they recognise",
    Role.TARGET: "it is what is studied, and should not be learned of one person exactly",
    Role.OTHER: "the plan asks for it, though the column is not said to identify anybody",
}
_KEPT = {
    Role.IDENTIFIER: "the plan asks for it",
    Role.QUASI_IDENTIFIER: (
        "others may know it and nothing in the plan coarsens it, so it can help to single a "
        "person out"
    ),
    Role.SENSITIVE: (
        "it is what is studied; it is guarded by making the columns that others may know coarser"
    ),
    Role.TARGET: (
        "it is what is studied; it is guarded by making the columns that others may know coarser"
    ),
    Role.OTHER: "it is said to be known to few and to identify nobody",
}


def why_changed(role: Role) -> str:
    """Return why a column of this role is changed."""
    return _CHANGED[Role(role)]


def why_kept(role: Role) -> str:
    """Return why a column of this role is released as it is, and what that means."""
    return _KEPT[Role(role)]
