"""The checks of a released file, by code that shares nothing with what made the release.

Cells are texts, a missing cell and "*" are values like any other, and classes are counted by a
group-by of this module's own. docs/findings.md has a section for each code.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from sfumato.errors import DataError, SfumatoError
from sfumato.release.cells import direct_identifiers, numbers_rows, read_as_text
from sfumato.release.certificate import CERTIFICATE_FILE, Certificate
from sfumato.release.folders import sha256
from sfumato.release.verification import Finding, Status, Verification

if TYPE_CHECKING:
    from sfumato.table import Schema

__all__ = ["CODES", "Subject", "incomplete", "recount"]

CODES = {
    "SF001": "The release folder is complete",
    "SF002": "The files are those that were certified",
    "SF003": "The number of rows is as certified",
    "SF004": "No column beyond the schema",
    "SF005": "Every column of the schema is there",
    "SF006": "No identifier column is released",
    "SF007": "No cell looks like a direct identifier",
    "SF008": "No column numbers the rows",
    "SF009": "As many rows are suppressed as certified",
    "SF010": "k-anonymity, leaving the suppressed rows out",
    "SF011": "k-anonymity, counting the suppressed rows as one class",
    "SF012": "Every promise can be recounted",
    "SF013": "The promise is counted in persons",
}
_ADVICE = frozenset({"SF008", "SF011", "SF013"})
_STAR = "*"


@dataclass(frozen=True)
class Subject:
    """What is verified: the cells as texts, and what is stated about them.

    Parameters
    ----------
    name
        For messages.
    cells
        The released table, texts only.
    schema
        What its columns are said to be, or None.
    promises
        The criteria to check, as plain values with their kind.
    certificate, folder
        Of a release folder; None for a bare file or frame.
    """

    name: str
    cells: pl.DataFrame
    schema: Schema | None
    promises: tuple[Mapping[str, Any], ...]
    certificate: Certificate | None = None
    folder: Path | None = None

    @classmethod
    def of_table(
        cls,
        released: str | Path | object,
        schema: Schema | None,
        asked: Sequence[Mapping[str, Any]],
    ) -> Subject:
        """Take a bare file or a frame of any kind."""
        if isinstance(released, str | Path):
            path = Path(released)
            return cls(path.name, read_as_text(path), schema, tuple(asked))
        from sfumato.table import take

        return cls("table", take(released)[0].cast(pl.String), schema, tuple(asked))

    @classmethod
    def of_folder(
        cls, folder: Path, schema: Schema | None, asked: Sequence[Mapping[str, Any]]
    ) -> Subject | str:
        """Take a release folder, or say what it lacks."""
        from sfumato.table import Schema

        try:
            certificate = Certificate.read(folder / CERTIFICATE_FILE)
            names = [name for name in certificate.files if Path(name).stem == "data"]
            if len(names) != 1:
                raise DataError("the certificate does not name one data file")
            cells = read_as_text(folder / names[0])
            schema = schema or Schema.read(folder / "schema.toml")
        except SfumatoError as error:
            return str(error)
        certified = tuple(
            {"kind": promise.kind, **promise.settings} for promise in certificate.promises
        )
        name = certificate.release
        return cls(name, cells, schema, (*certified, *asked), certificate, folder)

    @cached_property
    def quasi_identifiers(self) -> list[str]:
        """The quasi-identifiers that the file has."""
        named = self.schema.quasi_identifiers if self.schema is not None else ()
        return [name for name in named if name in self.cells.columns]

    @cached_property
    def starred(self) -> pl.Series:
        """Which rows have "*" in every quasi-identifier."""
        if not self.quasi_identifiers:
            return pl.repeat(value=False, n=self.cells.height, eager=True, dtype=pl.Boolean)
        stars = [(pl.col(name) == _STAR).fill_null(value=False) for name in self.quasi_identifiers]
        return self.cells.select(pl.all_horizontal(stars).alias("starred")).to_series()

    @cached_property
    def person(self) -> str | None:
        """The column to count persons by, if the file has it."""
        person = self.schema.person if self.schema is not None else None
        return person if person in self.cells.columns else None

    def smallest_class(self, *, with_suppressed: bool) -> int | None:
        """Return the size of the smallest class of equal quasi-identifiers."""
        cells = self.cells if with_suppressed else self.cells.filter(~self.starred)
        if cells.is_empty():
            return None
        size = pl.len() if self.person is None else pl.col(self.person).n_unique()
        if not self.quasi_identifiers:
            return int(cells.select(size).item())
        sizes = cells.group_by(self.quasi_identifiers).agg(size.alias(""))
        smallest = sizes[""].min()
        return int(smallest) if isinstance(smallest, int) else None


def recount(subject: Subject) -> Verification:
    """Run every check."""
    without = subject.smallest_class(with_suppressed=False)
    everything = subject.smallest_class(with_suppressed=True)
    findings = (
        *_files(subject),
        *_columns(subject),
        *_contents(subject),
        *_classes(subject, without, everything),
    )
    return Verification(
        subject.name,
        findings,
        subject.cells.height,
        int(subject.starred.sum()),
        without,
        everything,
    )


def incomplete(folder: Path, because: str) -> Verification:
    """Return the verification of a folder that cannot be read: nothing else was run."""
    broken = _finding("SF001", "failed", because)
    rest = (_finding(code, "not run", "the folder is not complete") for code in list(CODES)[1:])
    return Verification(folder.name, (broken, *rest))


def _finding(code: str, status: Status, explanation: str) -> Finding:
    return Finding(code, CODES[code], status, explanation, blocking=code not in _ADVICE)


def _none_of(code: str, names: list[str], what: str, otherwise: str) -> Finding:
    if names:
        return _finding(code, "failed", f"{what}: {', '.join(names)}")
    return _finding(code, "passed", otherwise)


def _files(subject: Subject) -> list[Finding]:
    certificate, folder = subject.certificate, subject.folder
    if certificate is None or folder is None:
        return [
            _finding(code, "not applicable", "there is no certificate to compare with")
            for code in ("SF001", "SF002", "SF003")
        ]
    files = certificate.files
    changed = [
        name
        for name, digest in files.items()
        if not (folder / name).is_file() or sha256(folder / name) != digest
    ]
    rows = subject.cells.height
    return [
        _finding("SF001", "passed", "the certificate, the schema and the data can be read"),
        _none_of(
            "SF002", changed, "changed or gone since", f"{len(files)} files have their SHA-256"
        ),
        _finding(
            "SF003",
            "passed" if rows == certificate.rows_out else "failed",
            f"{rows:,} rows; {certificate.rows_out:,} are certified",
        ),
    ]


def _columns(subject: Subject) -> list[Finding]:
    columns, schema = subject.cells.columns, subject.schema
    if schema is None:
        return [
            _finding(code, "not applicable", "there is no schema to compare with")
            for code in ("SF004", "SF005", "SF006")
        ]
    known: Collection[str] = schema.columns
    if subject.certificate is not None:
        known = [name for name in subject.certificate.columns if name in schema.columns]
    elif schema.rest is not None:
        known = columns
    beyond = [name for name in columns if name not in known]
    hidden = set(schema.identifiers)
    absent = [name for name in schema.columns if name not in columns and name not in hidden]
    released = [name for name in columns if name in hidden]
    return [
        _none_of("SF004", beyond, "not in the schema", "the schema knows every column"),
        _none_of("SF005", absent, "not in the file", "the file has every column"),
        _none_of("SF006", released, "released", "none is in the file"),
    ]


def _contents(subject: Subject) -> list[Finding]:
    hits = [
        f"{column} ({rows:,} rows with {what})"
        for column, what, rows in direct_identifiers(subject.cells)
    ]
    numbering = [name for name in subject.cells.columns if numbers_rows(subject.cells[name])]
    return [
        _none_of("SF007", hits, "found in", "no e-mail, web or network address, no phone number"),
        _none_of(
            "SF008", numbering, "a number of its own for every row in", "there is no such column"
        ),
    ]


def _classes(subject: Subject, without: int | None, everything: int | None) -> list[Finding]:
    suppressed = int(subject.starred.sum())
    if subject.certificate is None:
        stars = _finding("SF009", "not applicable", f"{suppressed:,} rows are suppressed")
    else:
        certified = subject.certificate.rows_suppressed
        stars = _finding(
            "SF009",
            "passed" if suppressed == certified else "failed",
            f"{suppressed:,} rows have * in every quasi-identifier; {certified:,} are certified",
        )
    asked = [int(one["k"]) for one in subject.promises if one["kind"] == "k-anonymity"]
    unknown = sorted({str(one["kind"]) for one in subject.promises} - {"k-anonymity"})
    if unknown:
        recountable = _finding("SF012", "not run", f"no recount exists for {', '.join(unknown)}")
    elif subject.promises:
        recountable = _finding("SF012", "passed", "every promise was recounted")
    else:
        recountable = _finding("SF012", "not applicable", "nothing is promised about classes")
    unit = "persons" if subject.person else "rows"
    return [
        stars,
        _k_finding("SF010", asked, without, unit),
        replace(
            _k_finding("SF011", asked if suppressed else [], everything, unit),
            # What sfumato promises counts the suppressed rows; other programs leave them out.
            blocking=subject.certificate is not None,
        ),
        recountable,
        _persons(subject, asked),
    ]


def _k_finding(code: str, asked: list[int], smallest: int | None, unit: str) -> Finding:
    counted = "there is no class" if smallest is None else f"the smallest has {smallest:,} {unit}"
    if not asked or smallest is None:
        return _finding(code, "not applicable", f"{counted}; no k to compare with")
    k = max(asked)
    return _finding(code, "passed" if smallest >= k else "failed", f"{counted}; k is {k:,}")


def _persons(subject: Subject, asked: list[int]) -> Finding:
    certificate = subject.certificate
    persons = certificate.persons_in if certificate is not None else None
    if not asked or (subject.person is None and persons is None):
        return _finding("SF013", "not applicable", "no promise is made in persons")
    if subject.person is not None:
        return _finding("SF013", "passed", "distinct persons were counted in every class")
    if certificate is not None and persons == certificate.rows_in:
        return _finding("SF013", "passed", "every row is a person of its own")
    return _finding(
        "SF013",
        "not run",
        "the file does not say which rows are one person's, so rows were counted",
    )
