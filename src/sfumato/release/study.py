"""A study: the record of a plan that was run, in plain frozen values that a report can show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from sfumato.anonymization.recoding import ColumnChange
    from sfumato.release.certificate import Certificate
    from sfumato.release.evaluation import Evaluation
    from sfumato.release.frontier import Frontier
    from sfumato.release.invented import InventedPeople
    from sfumato.release.plan import Plan
    from sfumato.release.search import Search
    from sfumato.release.verification import Verification

__all__ = ["NotMade", "SourceFacts", "Study", "StudyRelease"]


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

    @property
    def data_sha256(self) -> str:
        """SHA-256 of the data file."""
        return self.certificate.files[self.data_file]

    def to_dict(self) -> dict[str, Any]:
        """Return all but certificate and evaluation, which have files of their own."""
        values = {
            field.name: getattr(self, field.name)
            for field in fields(self)
            if field.name not in ("certificate", "evaluation")
        }
        values["changes"] = [asdict(change) for change in self.changes]
        values["learned"] = list(self.learned)
        values["invented"] = None if self.invented is None else asdict(self.invented)
        values["verification"] = self.verification.to_dict()
        return values

    @classmethod
    def from_dict(
        cls, values: Mapping[str, Any], certificate: Certificate, evaluation: Evaluation
    ) -> Self:
        """Return the release that :meth:`to_dict` and the two files described."""
        from sfumato.anonymization.recoding import ColumnChange
        from sfumato.release.invented import InventedPeople
        from sfumato.release.verification import Verification

        given = dict(values)
        given["changes"] = tuple(ColumnChange(**change) for change in given["changes"])
        given["learned"] = tuple(given["learned"])
        if given["invented"] is not None:
            given["invented"] = InventedPeople.from_dict(given["invented"])
        given["verification"] = Verification.from_dict(given["verification"])
        return cls(**given, certificate=certificate, evaluation=evaluation)


@dataclass(frozen=True)
class NotMade:
    """A release of a plan that was not made.

    Parameters
    ----------
    name
        Of the release.
    because
        Why, as a sentence or its part.
    """

    name: str
    because: str


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
    not_made
        Releases of the plan that could not be made, where the plan draws a frontier.
    search
        Which releases were left out and why, where the plan searches for some.
    frontier
        The releases set against each other, where the plan asks for it.
    """

    plan: Plan
    folder: Path
    source: SourceFacts
    releases: tuple[StudyRelease, ...]
    sfumato: str
    not_made: tuple[NotMade, ...] = ()
    search: Search | None = None
    frontier: Frontier | None = None

    @property
    def name(self) -> str:
        """The plan's name."""
        return self.plan.name

    @property
    def report(self) -> Path:
        """The study's report."""
        return self.folder / "report.html"

    def to_dict(self) -> dict[str, Any]:
        """Return what was run, as plain JSON values; each release's folder tells the rest."""
        told: dict[str, Any] = {
            "name": self.name,
            "sfumato": self.sfumato,
            "source": {**asdict(self.source), "notes": list(self.source.notes)},
            "releases": [
                {
                    "name": release.name,
                    "folder": release.folder,
                    "technique": release.technique,
                    "of": release.of,
                    "verified": release.verification.passed,
                    "data_sha256": release.data_sha256,
                }
                for release in self.releases
            ],
        }
        if self.frontier is not None:
            told["not_made"] = [asdict(one) for one in self.not_made]
            told["search"] = None if self.search is None else asdict(self.search)
            told["frontier"] = self.frontier.to_dict()
        return told

    def __getitem__(self, name: str) -> StudyRelease:
        """Return the release of that name."""
        for release in self.releases:
            if release.name == name:
                return release
        raise KeyError(name)
