"""What a check of a released file says: code, state, how bad, how many, what to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

__all__ = ["CODES", "IntegrityFinding", "Severity", "Status", "failed", "not_applicable", "passed"]

Severity = Literal["leak", "fault", "look"]
Status = Literal["passed", "failed", "not applicable", "not run"]

#: code: (what was checked, how bad a failure is, what to do).
CODES: dict[str, tuple[str, Severity, str]] = {
    "SF101": (
        "No identifier of the schema is released",
        "leak",
        "Leave the column out, or replace it by a pseudonym.",
    ),
    "SF102": (
        "No other column looks like an identifier",
        "look",
        "Give the column the role identifier and leave it out, if it names or numbers people.",
    ),
    "SF103": (
        "No cell holds an address or a number of a person",
        "leak",
        "Suppress these cells, or the column.",
    ),
    "SF104": (
        "No other column repeats an identifier's values",
        "leak",
        "Suppress the column, or clean its texts.",
    ),
    "SF105": (
        "No column holds free text",
        "look",
        "Leave free text out, or have every cell read before it is released.",
    ),
    "SF106": (
        "The order of the rows does not follow the source",
        "leak",
        "Shuffle the rows, or sort them by released columns, before they are released.",
    ),
    "SF107": (
        "No column numbers the rows",
        "leak",
        "Leave the column out.",
    ),
    "SF108": (
        "Rows are not repeated more often than in the source",
        "look",
        "Look for rows that were written twice, or for a generator that repeats itself.",
    ),
    "SF109": (
        "Numbers have no more decimals than in the source",
        "fault",
        "Round each column to the decimals of the source.",
    ),
    "SF110": (
        "No number is a real one that was scaled and scaled back",
        "leak",
        "Round to the decimals of the source, and find out why real values come through.",
    ),
    "SF111": (
        "No number is so exact that it is one person's",
        "leak",
        "Round the column, or learn it in cells that several people share.",
    ),
    "SF112": (
        "The columns are those of the source",
        "fault",
        "Add what is missing; give what is new a role, or leave it out.",
    ),
    "SF113": (
        "Columns of numbers hold numbers or ranges",
        "fault",
        "Write numbers as numbers, and generalized ones as ranges such as [20, 30).",
    ),
    "SF114": (
        "Values lie within those of the source",
        "fault",
        "Clip numbers to the source's range, and draw categories from those that exist.",
    ),
    "SF115": (
        "No column lost all its values but one",
        "fault",
        "Find out why the column became constant, or leave it out.",
    ),
    "SF116": (
        "As many cells are missing as in the source",
        "look",
        "Learn missing cells as values, or say why they differ.",
    ),
    "SF117": (
        "No class of quasi-identifiers holds 1 to 10 people",
        "look",
        "Generalize more, or suppress the small classes (CMS: no cell of 1 to 10).",
    ),
    "SF118": (
        "Dates are no more exact than they need be",
        "look",
        "Release a month or a year of birth; cut times of day.",
    ),
    "SF119": (
        "No name of a column holds data of a person",
        "leak",
        "Rename the column; columns made of values need values that many people share.",
    ),
    "SF120": (
        "No invisible characters are in cells or names",
        "look",
        "Remove them: they can mark a row, and make equal values different.",
    ),
    "SF121": (
        "No index was written as a column",
        "leak",
        "Leave the column out: it numbers the rows of another table.",
    ),
    "SF122": (
        "The file holds nothing beside the table",
        "look",
        "Write the file anew without the metadata of the program that made the table.",
    ),
}


@dataclass(frozen=True)
class IntegrityFinding:
    """One check of a released table and what it found.

    Parameters
    ----------
    code
        Such as "SF106"; docs/audit.md has a line for each.
    title
        What should hold.
    status
        "passed", "failed", "not applicable" (nothing to compare with) or "not run" (it should have
        been checked and could not be).
    severity
        What a failure is: "leak" (it gives people away), "fault" (the file does not say what it
        should) or "look" (a person should look).
    columns
        The columns that it is about.
    count
        How many cells, rows, classes or columns; ``unit`` says which. 0 if it passed, None if it
        was not run.
    meaning
        One sentence; never a cell of a row.
    mend
        What to do.
    p_value
        Where a test was made: how probable so much is if there were nothing to find.
    """

    code: str
    title: str
    status: Status
    severity: Severity
    columns: tuple[str, ...]
    count: int | None
    unit: str
    meaning: str
    mend: str
    p_value: float | None = None


def failed(
    code: str,
    columns: Sequence[str],
    count: int,
    unit: str,
    meaning: str,
    p_value: float | None = None,
) -> IntegrityFinding:
    """Return the finding of a check that failed."""
    title, severity, mend = CODES[code]
    return IntegrityFinding(
        code, title, "failed", severity, tuple(columns), count, unit, meaning, mend, p_value
    )


def passed(
    code: str, unit: str, meaning: str = "Nothing found.", p_value: float | None = None
) -> IntegrityFinding:
    """Return the finding of a check that passed."""
    title, severity, mend = CODES[code]
    return IntegrityFinding(code, title, "passed", severity, (), 0, unit, meaning, mend, p_value)


def not_applicable(code: str, because: str, status: Status = "not applicable") -> IntegrityFinding:
    """Return the finding of a check that was not made, with the reason."""
    title, severity, mend = CODES[code]
    return IntegrityFinding(code, title, status, severity, (), None, "", because, mend)
