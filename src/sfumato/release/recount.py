"""The checks of a released file, by code that shares nothing with what made the release.

docs/findings.md has a section for each code.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from sfumato.release.cells import direct_identifiers, numbers_rows
from sfumato.release.certificate import CERTIFICATE_FILE
from sfumato.release.folders import MANIFEST_FILE, sha256
from sfumato.release.subject import Subject
from sfumato.release.verification import Finding, Status, Verification

__all__ = ["CODES", "incomplete", "recount"]

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
# What a release folder holds beside the files that its certificate names.
_BESIDE = frozenset(
    {
        CERTIFICATE_FILE,
        MANIFEST_FILE,
        "evaluation.json",
        "plan.toml",
        "release.json",
        "report.html",
        ".DS_Store",
    }
)
# What was fitted helps who made the release and may tell more than it: it need not be handed out.
_INSIDE = frozenset({"recoding.json", "model.json"})
_MAKES_CLASSES = frozenset({"mondrian", "rules"})  # their k is a promise


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
    kept = [name for name in files if name in _INSIDE and not (folder / name).exists()]
    changed = [
        name
        for name, digest in files.items()
        if name not in kept and (not (folder / name).is_file() or sha256(folder / name) != digest)
    ]
    foreign = sorted(
        path.name for path in folder.iterdir() if path.name not in files | dict.fromkeys(_BESIDE)
    )
    rows = subject.cells.height
    return [
        _finding("SF001", "passed", "the certificate, the schema and the data can be read"),
        _none_of(
            "SF002",
            changed or foreign,
            "changed or gone since" if changed else "in the folder, and nobody certified it",
            f"{len(files) - len(kept)} files have their SHA-256"
            + (f"; not handed out: {', '.join(kept)}" if kept else ""),
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
    asked = [k for one in subject.promises if (k := _k_of(one)) is not None]
    unit = "persons" if subject.person else "rows"
    return [
        stars,
        _without_groups("SF010", asked)
        if subject.nothing_to_group_by
        else _k_finding("SF010", asked, without, unit),
        replace(
            _k_finding("SF011", asked if suppressed else [], everything, unit),
            # What sfumato promises counts the suppressed rows; other programs leave them out.
            blocking=subject.certificate is not None,
        ),
        _recountable(subject, asked),
        _persons(subject, asked),
    ]


def _k_finding(code: str, asked: list[int], smallest: int | None, unit: str) -> Finding:
    counted = "there is no class" if smallest is None else f"the smallest has {smallest:,} {unit}"
    if not asked or smallest is None:
        return _finding(code, "not applicable", f"{counted}; no k to compare with")
    k = max(asked)
    return _finding(code, "passed" if smallest >= k else "failed", f"{counted}; k is {k:,}")


def _without_groups(code: str, asked: list[int]) -> Finding:
    if not asked:
        return _finding(code, "not applicable", "no quasi-identifier is named")
    return _finding(
        code, "not run", "the schema names no quasi-identifier that the file has, so no class"
    )


def _k_of(promise: Mapping[str, Any]) -> int | None:
    """Return the k of a promise of k-anonymity, or None if it is none, or one that says nothing."""
    k = promise.get("k")
    sound = isinstance(k, int) and not isinstance(k, bool) and k >= 2
    return k if sound and promise.get("kind") == "k-anonymity" else None


def _recountable(subject: Subject, asked: list[int]) -> Finding:
    unknown = sorted(
        {str(one.get("kind")) for one in subject.promises if _k_of(one) is None} - {"k-anonymity"}
    )
    if unknown:
        return _finding("SF012", "not run", f"no recount exists for {', '.join(unknown)}")
    if any(_k_of(one) is None for one in subject.promises):
        return _finding("SF012", "not run", "a promise of k-anonymity lacks a k of at least 2")
    unsaid = _unsaid(subject, asked)
    if unsaid is not None:
        return _finding(
            "SF012", "failed", f"it was made with k = {unsaid}, which is not among the promises"
        )
    if subject.promises:
        return _finding("SF012", "passed", "every promise was recounted")
    return _finding("SF012", "not applicable", "nothing is promised about classes")


def _unsaid(subject: Subject, asked: list[int]) -> int | None:
    """Return the k with which the release was made, where its certificate promises no such k."""
    steps = subject.certificate.steps if subject.certificate is not None else ()
    if not steps or steps[-1].technique not in _MAKES_CLASSES:
        return None
    made_with = steps[-1].settings.get("k")
    if not isinstance(made_with, int) or max(asked, default=0) >= made_with:
        return None
    return made_with


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
