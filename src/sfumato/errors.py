"""Everything that sfumato raises on purpose, as one tree.

::

    SfumatoError                what the user can mend; exit code 2 unless said
    ├── DataError               the table: a file, a column, a row number
    ├── SchemaError             what is said about the table: roles, types
    │   └── HierarchyError      a hierarchy, or a value that it does not hold
    ├── PlanError               a plan file or a setting
    ├── MissingExtra            an optional part is not installed
    ├── GuaranteeNotMet         a promise is not kept (exit code 1)
    ├── BudgetExceeded          a privacy budget would be overdrawn
    ├── EngineError             a machine's limit: disk, memory, a database
    └── ProtocolError           a message of the donation protocol
    InternalError               a defect of sfumato itself (an AssertionError)

A message says the rule, the setting's value and the mend. It may name a file, a column, a row
number, a count or a key of a hierarchy; it never holds a cell of a person's row.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "BudgetExceeded",
    "DataError",
    "EngineError",
    "GuaranteeNotMet",
    "HierarchyError",
    "InternalError",
    "MissingExtra",
    "PlanError",
    "ProtocolError",
    "SchemaError",
    "SfumatoError",
    "did_you_mean",
]


class SfumatoError(Exception):
    """Something that the user can mend; the message says how."""

    exit_code: ClassVar[int] = 2


class DataError(SfumatoError):
    """The table cannot be read, or not be used as asked."""


class SchemaError(SfumatoError):
    """What is said about the table does not fit it, or itself."""


class HierarchyError(SchemaError):
    """A hierarchy is malformed, or lacks a value that the column holds."""


class PlanError(SfumatoError):
    """A plan file or a setting is wrong."""


class MissingExtra(SfumatoError):
    """An optional part of sfumato is needed and not installed."""

    def __init__(self, extra: str, what: str) -> None:
        """Say what needs the extra and the command that installs it."""
        super().__init__(f"{what} needs an optional part: pip install 'sfumato[{extra}]'")


class GuaranteeNotMet(SfumatoError):
    """A promise does not hold for the data, so nothing is released."""

    exit_code: ClassVar[int] = 1


class BudgetExceeded(SfumatoError):
    """A privacy budget would be overdrawn."""


class EngineError(SfumatoError):
    """The machine, the disk or a database refused."""


class ProtocolError(SfumatoError):
    """A message of the donation protocol is malformed or out of turn."""


class InternalError(AssertionError):
    """A defect of sfumato itself: please report it."""


def did_you_mean(wrong: str, known: Iterable[str]) -> str:
    """Return a hint such as " Did you mean 'age'?", or an empty text.

    Parameters
    ----------
    wrong
        The name that was not found.
    known
        The names that exist.

    Examples
    --------
    >>> did_you_mean("Agee", ["Age", "Sex"])
    " Did you mean 'Age'?"
    """
    close = get_close_matches(wrong, list(known), n=1, cutoff=0.6)
    return f" Did you mean {close[0]!r}?" if close else ""
