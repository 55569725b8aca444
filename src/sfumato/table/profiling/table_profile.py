"""What is in a table, who is at risk in it, and what its columns may be.

A profile holds aggregates. It names values of quasi-identifiers where a group of people is small,
so it is a document for the house, not for release; it never holds a cell of an identifier.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from sfumato.errors import DataError, SchemaError, did_you_mean
from sfumato.progress import Progress, silent
from sfumato.table.profiling.class_sizes import ClassSizes, class_sizes
from sfumato.table.profiling.column_profile import Contents, contents_of
from sfumato.table.profiling.correlations import Correlations, correlate
from sfumato.table.profiling.findings import Finding, findings_in
from sfumato.table.profiling.sensitivity import Sensitivity, sensitivity_of, words_of
from sfumato.table.profiling.uniqueness import Uniqueness, uniqueness_of
from sfumato.table.types import ColumnType, type_of

if TYPE_CHECKING:
    from sfumato.table.roles import RoleSuggestion
    from sfumato.table.schema import Schema

__all__ = ["ColumnProfile", "Finding", "Profile", "profile"]

_TASK = "reading the columns"
# Groups that are shown by name; beyond so many unique people the first ten would be anybody.
_SHOWN_GROUPS = 10

_NOTES = (
    "This profile holds counts and averages; it holds no cell of an identifier.",
    (
        "Where groups are small it names values of quasi-identifiers, and minimum and maximum are "
        "single cells: keep it inside, it is no release."
    ),
    "Roles and sensitivity classes are suggestions from names and contents: a person decides.",
)


@dataclass(frozen=True)
class ColumnProfile:
    """One column: what it may be, and what it holds.

    Parameters
    ----------
    name, dtype, type
        Name, the data type in words of Polars, and the type in ours.
    role
        The role in the schema, or the suggested one if there is no schema.
    suggested_role, reasons
        What name and contents suggest, and why.
    hipaa, pattern
        Which of HIPAA's 18 identifiers it may be, and which format its cells have; or None.
    hierarchy_preset
        A hierarchy of ours that may fit; or None.
    sensitivity
        How sensitive it is, and why.
    description
        The schema's note on it.
    contents
        What it holds, in aggregates.
    """

    name: str
    dtype: str
    type: ColumnType
    role: str
    suggested_role: str
    reasons: tuple[str, ...]
    hipaa: str | None
    pattern: str | None
    hierarchy_preset: str | None
    sensitivity: Sensitivity
    description: str
    contents: Contents

    @property
    def identifies(self) -> bool:
        """Whether it is taken for a direct identifier, so that its cells are only counted."""
        return self.sensitivity.kind == "identifier"


@dataclass(frozen=True)
class Profile:
    """A table in aggregates.

    Parameters
    ----------
    rows, persons
        Number of rows; number of persons if the schema says which column names them.
    missing
        Missing cells in all.
    columns
        The columns, in table order.
    correlations
        Pearson correlations of the numeric columns, without identifiers.
    groups
        Sizes of the groups that people form: by where they live, how old they are and their sex,
        by all quasi-identifiers, and as asked.
    uniqueness
        Which columns make people unique.
    findings
        What a person should look at.
    notes
        What the profile holds and what not.
    """

    rows: int
    persons: int | None
    missing: int
    columns: tuple[ColumnProfile, ...]
    correlations: Correlations
    groups: tuple[ClassSizes, ...]
    uniqueness: Uniqueness
    findings: tuple[Finding, ...]
    notes: tuple[str, ...] = _NOTES

    def column(self, name: str) -> ColumnProfile:
        """Return the profile of a column.

        Raises
        ------
        SchemaError
            If there is none of that name.
        """
        for column in self.columns:
            if column.name == name:
                return column
        hint = did_you_mean(name, (column.name for column in self.columns))
        raise SchemaError(f"the profile has no column {name!r}.{hint}")

    @property
    def identifiers(self) -> tuple[ColumnProfile, ...]:
        """The columns taken for direct identifiers."""
        return tuple(column for column in self.columns if column.identifies)

    def to_dict(self) -> dict[str, Any]:
        """Return the profile as plain JSON values."""
        return asdict(self)


def profile(
    table: Any,
    schema: Schema | None = None,
    *,
    groups: Sequence[Sequence[str]] = (),
    combinations: Sequence[Sequence[str]] = (),
    rare_below: int = 10,
    show_rare: bool = False,
    progress: Progress = silent,
) -> Profile:
    """Say what is in a table, in aggregates.

    Parameters
    ----------
    table
        A data frame with at least one row; any kind that sfumato takes.
    schema
        The roles of the columns; without it they are suggested.
    groups
        Further sets of columns whose groups are counted, with the ten smallest named.
    combinations
        Further sets of columns for which unique rows are counted.
    rare_below
        A category that fewer rows hold is rare: it is counted, not named.
    show_rare
        Whether rare categories are named all the same.
    progress
        Told how far the work is.

    Raises
    ------
    DataError
        If the table has no rows or no columns.
    SchemaError
        If the schema does not fit the table, or an asked column is absent or an identifier.

    Examples
    --------
    >>> table = pl.DataFrame({"age": [34, 35, 34], "sex": ["f", "m", "f"]})
    >>> profile(table).column("age").contents.numbers.mean
    34.333333333333336
    """
    from sfumato.table.roles import suggest_roles

    frame = _polars(table)
    if not frame.width or not frame.height:
        raise DataError("there is nothing to profile: the table has no rows or no columns")
    if schema is not None:
        schema = schema.check(frame)
    suggestions = suggest_roles(frame)
    columns = []
    for done, name in enumerate(frame.columns):
        columns.append(
            _column_profile(frame[name], schema, suggestions[name], rare_below, show_rare=show_rare)
        )
        progress(_TASK, done + 1, frame.width)
    person = schema.person if schema is not None else None
    candidates = _candidates(columns, schema)
    _check_asked([*groups, *combinations], columns)
    uniqueness = uniqueness_of(
        frame, candidates, person=person, asked=combinations, progress=progress
    )
    return Profile(
        rows=frame.height,
        persons=None if person is None else frame[person].n_unique(),
        missing=sum(column.contents.missing for column in columns),
        columns=tuple(columns),
        correlations=correlate(frame, _numeric(columns)),
        groups=_groups(frame, uniqueness, groups, columns, person),
        uniqueness=uniqueness,
        findings=tuple(
            finding
            for column in columns
            for finding in findings_in(
                column.name,
                column.contents,
                frame.height,
                identifies=column.identifies,
                reasons=column.reasons,
            )
        ),
    )


def _polars(table: Any) -> pl.DataFrame:
    if isinstance(table, pl.DataFrame):
        return table
    from sfumato.table.frames import take

    frame: pl.DataFrame = take(table)[0]
    return frame


def _column_profile(
    cells: pl.Series,
    schema: Schema | None,
    suggestion: RoleSuggestion,
    rare_below: int,
    *,
    show_rare: bool,
) -> ColumnProfile:
    suggested = str(suggestion.role)
    role, note, identifies = suggested, "", suggested == "identifier"
    if schema is not None:
        declared = schema.columns[cells.name]
        role, note = str(declared.role), declared.note
        # What looks like a name, an e-mail or a number of a person stays hidden whatever is said;
        # that its values are all different is no reason against what the schema says.
        looks_like_one = identifies and suggestion.pattern is not None
        identifies = role == "identifier" or schema.person == cells.name or looks_like_one
    return ColumnProfile(
        name=cells.name,
        dtype=str(cells.dtype),
        type="text" if cells.dtype.is_nested() else type_of(cells),
        role=role,
        suggested_role=suggested,
        reasons=tuple(suggestion.reasons),
        hipaa=suggestion.hipaa,
        pattern=suggestion.pattern,
        hierarchy_preset=suggestion.hierarchy_preset,
        sensitivity=sensitivity_of(cells.name, identifies=identifies),
        description=note,
        contents=contents_of(cells, hidden=identifies, rare_below=rare_below, show_rare=show_rare),
    )


def _candidates(columns: Sequence[ColumnProfile], schema: Schema | None) -> list[str]:
    """Return the quasi-identifiers; if none is known, every column that repeats."""
    able = [
        column
        for column in columns
        if not column.identifies and (column.contents.distinct or 0) > 1
    ]
    named = [column.name for column in able if column.role == "quasi-identifier"]
    if named or schema is not None:
        return named
    return [column.name for column in able if column.type != "text"]


def _check_asked(asked: Sequence[Sequence[str]], columns: Sequence[ColumnProfile]) -> None:
    known = {column.name: column for column in columns}
    for name in (name for names in asked for name in names):
        if name not in known:
            raise SchemaError(f"no column {name!r} to group by.{did_you_mean(name, known)}")
        if known[name].identifies or known[name].contents.distinct is None:
            raise SchemaError(
                f"column {name!r} cannot be grouped by: it is an identifier or nested"
            )


def _numeric(columns: Sequence[ColumnProfile]) -> list[str]:
    return [column.name for column in columns if column.contents.numbers is not None]


def _groups(
    frame: pl.DataFrame,
    uniqueness: Uniqueness,
    asked: Sequence[Sequence[str]],
    columns: Sequence[ColumnProfile],
    person: str | None,
) -> tuple[ClassSizes, ...]:
    """Count groups by place, age and sex, as asked, and by all quasi-identifiers."""
    person = person if uniqueness.unit == "persons" else None
    wanted = [names for names in (_place_age_sex(uniqueness.candidates, columns), *asked) if names]
    made = [class_sizes(frame, names, person=person) for names in wanted]
    if uniqueness.together is not None and list(uniqueness.candidates) not in map(list, wanted):
        shown = _SHOWN_GROUPS if uniqueness.together.unique <= _SHOWN_GROUPS else 0
        made.append(class_sizes(frame, uniqueness.candidates, person=person, shown=shown))
    return tuple(made)


def _place_age_sex(candidates: Sequence[str], columns: Sequence[ColumnProfile]) -> tuple[str, ...]:
    """Return the columns that anyone knows of a neighbour, as far as the table has them.

    Sweeney: Simple demographics often identify people uniquely, 2000 (ZIP code, birth date, sex).
    """
    kind = {column.name: column.sensitivity.kind for column in columns}
    place = [name for name in candidates if kind[name] == "location"]
    age = [name for name in candidates if {"age", "birth", "dob", "yob"} & {*words_of(name)}]
    sex = [name for name in candidates if {"sex", "gender"} & {*words_of(name)}]
    found = tuple(dict.fromkeys(names[0] for names in (place, age, sex) if names))
    return found if len(found) > 1 else ()
