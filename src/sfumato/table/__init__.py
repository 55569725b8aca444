"""What a table is: reading and writing it, its schema, its hierarchies, its codes, its profile.

The lowest room. A table is a Polars frame inside and the caller's kind at the border; a
:class:`Schema` says which part each column plays; a :class:`Hierarchy` is a column's ladder from
exact value to ``*``; :func:`encode` turns columns into small integers on which everything above
counts.

Names are imported when they are first used, so that importing the room stays cheap.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sfumato.table.codes import CodedTable, Tuples, encode
    from sfumato.table.frames import Returner, take
    from sfumato.table.hierarchies.hierarchy import Hierarchy
    from sfumato.table.hierarchies.intervals import interval_label, parse_intervals
    from sfumato.table.hierarchies.ladder import MISSING_LABEL, SUPPRESSED, Ladder
    from sfumato.table.hierarchies.presets import preset_names
    from sfumato.table.preparation.fitted import Preparation, prepare
    from sfumato.table.profiling.table_profile import Profile, profile
    from sfumato.table.reading.files import Reading, Source, read, read_with_report, write
    from sfumato.table.roles import RoleSuggestion, suggest_roles
    from sfumato.table.schema import Column, Role, Schema
    from sfumato.table.types import ColumnType

__all__ = [
    "MISSING_LABEL",
    "SUPPRESSED",
    "CodedTable",
    "Column",
    "ColumnType",
    "Hierarchy",
    "Ladder",
    "Preparation",
    "Profile",
    "Reading",
    "Returner",
    "Role",
    "RoleSuggestion",
    "Schema",
    "Source",
    "Tuples",
    "encode",
    "interval_label",
    "parse_intervals",
    "prepare",
    "preset_names",
    "profile",
    "read",
    "read_with_report",
    "suggest_roles",
    "take",
    "write",
]

_HOME = {
    "MISSING_LABEL": "hierarchies.ladder",
    "SUPPRESSED": "hierarchies.ladder",
    "CodedTable": "codes",
    "Column": "schema",
    "ColumnType": "types",
    "Hierarchy": "hierarchies.hierarchy",
    "Ladder": "hierarchies.ladder",
    "Preparation": "preparation.fitted",
    "Profile": "profiling.table_profile",
    "Reading": "reading.files",
    "Returner": "frames",
    "Role": "schema",
    "RoleSuggestion": "roles",
    "Schema": "schema",
    "Source": "reading.files",
    "Tuples": "codes",
    "encode": "codes",
    "interval_label": "hierarchies.intervals",
    "parse_intervals": "hierarchies.intervals",
    "prepare": "preparation.fitted",
    "preset_names": "hierarchies.presets",
    "profile": "profiling.table_profile",
    "read": "reading.files",
    "read_with_report": "reading.files",
    "suggest_roles": "roles",
    "take": "frames",
    "write": "reading.files",
}


def __getattr__(name: str) -> object:
    """Import a public name from its module on first use (PEP 562)."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
