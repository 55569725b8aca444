"""A study: the record of a plan that was run, in plain frozen values that a report can show."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sfumato.anonymize.recoding import ColumnChange
    from sfumato.release.certificate import Certificate
    from sfumato.release.evaluation import Evaluation
    from sfumato.release.invented import InventedPeople
    from sfumato.release.plan import Plan
    from sfumato.release.verification import Verification

__all__ = ["SourceFacts", "Study", "StudyRelease"]


@dataclass(frozen=True)
class SourceFacts:
    """What the study read.

    Parameters
    ----------
    name
        File name or database kind, without folder or password.
    sha256
        SHA-256 of the file's bytes, or of the table's content where there is no file.
    rows, columns
        Size of the table.
    control_rows
        Rows set aside before anything was fitted; all figures are measured against them.
    persons, control_persons
        Distinct persons in the table and among the rows set aside, or None without a person
        column.
    roles
        Role of each column, in the table's order.
    target
        The column to predict, or None.
    notes
        What the reader inferred, a sentence each.
    """

    name: str
    sha256: str
    rows: int
    columns: int
    control_rows: int
    persons: int | None
    control_persons: int | None
    roles: dict[str, str]
    target: str | None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class StudyRelease:
    """One release of a study.

    Parameters
    ----------
    name, why
        As in the plan.
    technique
        The technique's registered name; its settings stand in the certificate.
    of
        The release from which this one was learned, or None for the source.
    folder
        The release's folder, relative to the study's.
    data_file
        Name of the data file in that folder.
    synthetic
        Whether the rows were drawn from a model.
    changes
        What was done to each source column (of the release named in ``of`` too), in the source's
        order; empty for a model of the source itself.
    learned
        What a model learned and cannot hold, a sentence each; empty for a recoding.
    invented
        Rows of people who do not exist, before and after the recoding; None for a model.
    certificate, verification, evaluation
        What the release states, what a recount found, what was measured.
    """

    name: str
    why: str
    technique: str
    of: str | None
    folder: str
    data_file: str
    synthetic: bool
    changes: tuple[ColumnChange, ...]
    learned: tuple[str, ...]
    invented: InventedPeople | None
    certificate: Certificate
    verification: Verification
    evaluation: Evaluation


@dataclass(frozen=True)
class Study:
    """A plan that was run.

    Parameters
    ----------
    plan
        The plan as run.
    folder
        Where the study is; the report is its ``report.html``.
    source
        What was read.
    releases
        The releases in the plan's order.
    sfumato
        The version that ran the plan.
    """

    plan: Plan
    folder: Path
    source: SourceFacts
    releases: tuple[StudyRelease, ...]
    sfumato: str

    @property
    def name(self) -> str:
        """The plan's name."""
        return self.plan.name

    @property
    def report(self) -> Path:
        """The study's report."""
        return self.folder / "report.html"

    def __getitem__(self, name: str) -> StudyRelease:
        """Return the release of that name."""
        for release in self.releases:
            if release.name == name:
                return release
        raise KeyError(name)
