"""What a recount of a release found, and how to ask for one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from sfumato.errors import DataError, GuaranteeNotMet, SchemaError, did_you_mean
from sfumato.release.recounts.outcome import CriterionCount, Status

if TYPE_CHECKING:
    from sfumato.release.subject import Subject
    from sfumato.table import Schema

__all__ = ["Finding", "Status", "Verification", "verify"]


@dataclass(frozen=True)
class Finding:
    """One check and what it found.

    Parameters
    ----------
    code
        Such as "SF010"; docs/findings.md has a section for each.
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
        Name of the file or folder, or "table" for a frame.
    findings
        In the order of their codes.
    rows, suppressed_rows
        Rows, and those whose quasi-identifiers are all "*"; None if they could not be counted.
    smallest_class, smallest_class_with_suppressed
        Rows (or persons, if the file has the schema's person column) in the smallest class of
        equal quasi-identifiers, leaving the suppressed rows out and counting them as one class;
        None where there is no class to count.
    criteria
        What was counted for each promise, in the order in which they were made.
    """

    subject: str
    findings: tuple[Finding, ...]
    rows: int | None = None
    suppressed_rows: int | None = None
    smallest_class: int | None = None
    smallest_class_with_suppressed: int | None = None
    criteria: tuple[CriterionCount, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether every blocking check that applies was run and passed."""
        return not self.broken

    @property
    def broken(self) -> tuple[Finding, ...]:
        """The blocking findings that forbid to hand the release out."""
        return tuple(
            finding
            for finding in self.findings
            if finding.blocking and finding.status in ("failed", "not run")
        )

    def __getitem__(self, code: str) -> Finding:
        """Return the finding of that code."""
        for finding in self.findings:
            if finding.code == code:
                return finding
        raise KeyError(code)

    def demand(self) -> None:
        """Raise if the release must not be handed out.

        Raises
        ------
        GuaranteeNotMet
            If a blocking check failed or could not be run.
        """
        if self.broken:
            sentences = (f"{one.code} {one.title}: {one.explanation}" for one in self.broken)
            raise GuaranteeNotMet(f"{self.subject}: {'; '.join(sentences)}")

    def to_dict(self) -> dict[str, Any]:
        """Return the findings as plain JSON values."""
        return {"passed": self.passed, **asdict(self)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Verification:
        """Return the verification that :meth:`to_dict` described."""
        given = {name: value for name, value in values.items() if name != "passed"}
        given["findings"] = tuple(Finding(**finding) for finding in given["findings"])
        criteria = given.get("criteria", ())
        given["criteria"] = tuple(CriterionCount.from_dict(one) for one in criteria)
        return cls(**given)


class _Criterion(Protocol):
    def to_dict(self) -> dict[str, Any]: ...


def verify(
    released: str | Path | object,
    schema: Schema | str | Path | None = None,
    criteria: Iterable[_Criterion | Mapping[str, Any]] = (),
    *,
    population: str | Path | None = None,
) -> Verification:
    """Recount what a release promises, from the released file alone.

    Parameters
    ----------
    released
        A release folder, a released file (CSV, also gzipped, or Parquet; whoever made it), or a
        data frame of any kind.
    schema
        The schema, or its file; a release folder brings its own.
    criteria
        Promises to check besides those of the folder's certificate, as criteria
        (``KAnonymity(5)``) or as their plain values.
    population
        A CSV or Parquet file of the population, a row for each person, whose quasi-identifiers
        are generalized as the release's are: for k-map, delta-presence and the journalist's
        cost and benefit. It goes before the path that a promise may hold.

    Raises
    ------
    DataError
        If a file cannot be read.
    SchemaError
        If a bare file comes with criteria but without a schema, or a criterion asked for is about
        a column that the file does not have.
    """
    from sfumato.release.recount import incomplete, recount
    from sfumato.release.subject import Subject
    from sfumato.table import Schema

    if schema is not None and not isinstance(schema, Schema):
        schema = Schema.read(schema)
    asked = tuple(
        dict(criterion) if isinstance(criterion, Mapping) else criterion.to_dict()
        for criterion in criteria
    )
    subject: Subject | str
    if isinstance(released, str | Path) and Path(released).is_dir():
        subject = Subject.of_folder(Path(released), schema, asked)
        if isinstance(subject, str):
            return incomplete(Path(released), subject)
    elif asked and schema is None:
        raise SchemaError(
            "a promise about classes needs a schema that names the quasi-identifiers: give one"
        )
    else:
        subject = Subject.of_table(released, schema, asked)
    _demand_columns(subject, asked)
    if population is None:
        return recount(subject)
    if not Path(population).is_file():
        raise DataError(f"{population}: there is no such file")
    return recount(subject.in_population(Path(population)))


def _demand_columns(subject: Subject, asked: Iterable[Mapping[str, Any]]) -> None:
    """Refuse a criterion that somebody asks for about a column that is not there."""
    for one in asked:
        column = one.get("column")
        if isinstance(column, str) and column not in subject.cells.columns:
            hint = did_you_mean(column, subject.cells.columns)
            raise SchemaError(f"{one.get('kind')}: {subject.name} has no column {column!r}.{hint}")
