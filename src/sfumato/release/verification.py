"""The recount of a release from the released file alone.

Nothing here comes from the rooms that make or define a promise: cells are read as text, classes
are counted by a group-by of this module's own. A finding has a code that docs/findings.md explains.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

__all__ = ["Finding", "Status", "Verification"]

Status = Literal["passed", "failed", "not applicable", "not run"]


@dataclass(frozen=True)
class Finding:
    """One check and what it found.

    Parameters
    ----------
    code
        Such as "SF009"; docs/findings.md has a section for each.
    title
        What was checked.
    status
        What came out.
    explanation
        What was counted, in one sentence; never a cell of a row.
    blocking
        Whether a release that fails this check must not be handed out; the others are advice.
    """

    code: str
    title: str
    status: Status
    explanation: str
    blocking: bool = True


@dataclass(frozen=True)
class Verification:
    """All findings about one released file.

    Parameters
    ----------
    subject
        Name of the file or frame.
    findings
        In the order of their codes.
    rows, suppressed_rows
        Rows, and those whose quasi-identifiers are all "*"; None if they could not be counted.
    smallest_class, smallest_class_with_suppressed
        Rows in the smallest class of equal quasi-identifiers, leaving the suppressed rows out and
        counting them as one class; None where there is no class to count.
    """

    subject: str
    findings: tuple[Finding, ...]
    rows: int | None = None
    suppressed_rows: int | None = None
    smallest_class: int | None = None
    smallest_class_with_suppressed: int | None = None

    @property
    def passed(self) -> bool:
        """Whether every blocking check that applies was run and passed."""
        return all(
            finding.status in ("passed", "not applicable")
            for finding in self.findings
            if finding.blocking
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the findings as plain JSON values."""
        return {"passed": self.passed, **asdict(self)}
