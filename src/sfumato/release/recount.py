"""The checks of a released file, by code that shares nothing with what made the release.

docs/findings.md has a section for each code.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from sfumato.release.cells import direct_identifiers, numbers_rows
from sfumato.release.certificate import CERTIFICATE_FILE, Certificate
from sfumato.release.folders import MANIFEST_FILE, sha256
from sfumato.release.recounts import CriterionCount, judge, reading_of
from sfumato.release.recounts.outcome import Outcome
from sfumato.release.subject import Subject
from sfumato.release.verification import Finding, Status, Verification

__all__ = ["CODES", "incomplete", "recount", "with_ledger"]

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
    "SF014": "Every other promise, counting the suppressed rows as one class",
    "SF015": "k-map",
    "SF016": "l-diversity",
    "SF017": "t-closeness",
    "SF018": "delta-disclosure privacy",
    "SF019": "beta-likeness",
    "SF020": "(alpha, k)-anonymity",
    "SF021": "delta-presence",
    "SF022": "Risk of re-identification",
    "SF023": "Uniqueness",
    "SF024": "Cost and benefit of an attack",
    "SF025": "Differential privacy by sampling, as far as classes show it",
    "SF026": "Differential privacy by sampling, as far as no file shows it",
    "SF027": "The ledger bears out the promise of differential privacy",
    "SF028": "Differential privacy by noise, as far as no file shows it",
}
_ADVICE = frozenset({"SF008", "SF011", "SF013", "SF014", "SF026", "SF028"})
_FAMILIES = tuple(code for code in CODES if "SF015" <= code <= "SF025")
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


def recount(subject: Subject) -> Verification:
    """Run every check."""
    tally = subject.tally
    without = tally.without_suppressed().smallest
    everything = tally.smallest
    counts = judge(
        subject.promises,
        None if subject.nothing_to_group_by else tally,
        subject.hierarchies,
        subject.population,
        [name for name in subject.cells.columns if name not in subject.quasi_identifiers],
    )
    findings = (
        *_files(subject),
        *_columns(subject),
        *_contents(subject),
        *_classes(subject, without, everything, counts),
        *_criteria(subject, counts),
        *_ledger(subject.certificate),
    )
    return Verification(
        subject.name,
        findings,
        subject.cells.height,
        tally.suppressed,
        without,
        everything,
        counts,
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


def _classes(
    subject: Subject,
    without: int | None,
    everything: int | None,
    counts: Sequence[CriterionCount],
) -> list[Finding]:
    suppressed = subject.tally.suppressed
    if subject.certificate is None:
        stars = _finding("SF009", "not applicable", f"{suppressed:,} rows are suppressed")
    else:
        certified = subject.certificate.rows_suppressed
        stars = _finding(
            "SF009",
            "passed" if suppressed == certified else "failed",
            f"{suppressed:,} rows have * in every quasi-identifier; {certified:,} are certified",
        )
    asked = [int(one.promise["k"]) for one in counts if one.code == "SF010"]
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
        _recountable(subject, counts),
        _persons(subject),
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


def _criteria(subject: Subject, counts: Sequence[CriterionCount]) -> list[Finding]:
    """Return what was found of each family of criteria but k-anonymity."""
    families = [one for one in counts if one.code in _FAMILIES]
    return [
        # As for k-anonymity: what sfumato promises counts the suppressed rows too.
        replace(_with_suppressed(subject, families), blocking=subject.certificate is not None),
        *(_family(code, [one for one in families if one.code == code]) for code in _FAMILIES),
        _beyond_the_file([one for one in families if one.code == "SF025"]),
    ]


def _family(code: str, counts: Sequence[CriterionCount]) -> Finding:
    if not counts:
        return _finding(code, "not applicable", "it is not promised")
    words = [
        f"{_named(one)}: {one.because or (one.without_suppressed or _NONE).words}" for one in counts
    ]
    return _finding(code, _worst([one.status for one in counts]), "; ".join(words))


def _with_suppressed(subject: Subject, counts: Sequence[CriterionCount]) -> Finding:
    rows = subject.tally.suppressed
    counted = [one for one in counts if one.with_suppressed is not None]
    if not rows or not counted:
        return _finding(
            "SF014",
            "not applicable",
            "no row is suppressed" if not rows else "nothing else is promised about classes",
        )
    words = [
        f"{_named(one)}: {one.with_suppressed.words}"
        for one in counted
        if one.with_suppressed is not None and not one.with_suppressed.kept
    ]
    kept = f"every one is kept with {rows:,} suppressed rows as a class"
    return _finding("SF014", "failed" if words else "passed", "; ".join(words) or kept)


def _beyond_the_file(counts: Sequence[CriterionCount]) -> Finding:
    if not counts:
        return _finding("SF026", "not applicable", "it is not promised")
    return _finding(
        "SF026",
        "not run",
        "no file shows whether its rows were drawn at random and at which rate, nor whether the "
        "generalization was chosen without looking at the data",
    )


def with_ledger(verification: Verification, certificate: Certificate) -> Verification:
    """Return the verification of a table whose certificate is at hand, though no folder is."""
    found = {one.code: one for one in _ledger(certificate)}
    return replace(
        verification,
        findings=tuple(found.get(one.code, one) for one in verification.findings),
    )


def _ledger(certificate: Certificate | None) -> list[Finding]:
    """Return whether the ledger sums to what is promised, and what no file can show."""
    found = None
    if certificate is not None:
        # the ledger's own code adds it up: loaded for no mere file
        from sfumato.release.ledger_recount import ledger_finding

        found = ledger_finding(certificate)
    if found is None:
        return [
            _finding(code, "not applicable", "there is no privacy budget")
            for code in ("SF027", "SF028")
        ]
    kept, words = found
    return [
        _finding("SF027", "passed" if kept else "failed", words),
        _finding(
            "SF028",
            "not run",
            "no file shows that noise was drawn as it was charged, nor that bounds and categories "
            "were declared without looking at the data",
        ),
    ]


def _named(count: CriterionCount) -> str:
    column = count.promise.get("column")
    kind = str(count.promise.get("kind"))
    return kind if column is None else f"{kind} of {column!r}"


def _worst(found: Sequence[Status]) -> Status:
    ranked: tuple[Status, ...] = ("failed", "not run", "passed")
    return next((status for status in ranked if status in found), "not applicable")


_NONE = Outcome(
    kept=True,
    worst=None,
    limit=None,
    classes=0,
    rows=0,
    failing_classes=0,
    failing_rows=0,
    words="there is no class",
)


def _recountable(subject: Subject, counts: Sequence[CriterionCount]) -> Finding:
    uncounted = [one for one in counts if one.status == "not run"]
    if uncounted:
        reasons = dict.fromkeys(f"{one.because}" for one in uncounted)
        return _finding("SF012", "not run", "; ".join(reasons))
    unsaid = _unsaid(subject)
    if unsaid:
        return _finding(
            "SF012",
            "failed",
            f"it was made with {', '.join(unsaid)}, which is not among the promises",
        )
    if subject.promises:
        return _finding("SF012", "passed", "every promise was recounted")
    return _finding("SF012", "not applicable", "nothing is promised about classes")


def _unsaid(subject: Subject) -> list[str]:
    """Return what the release was made to keep and its certificate does not promise.

    A technique that makes classes keeps them as its settings say: a whole number ``k``, a list of
    ``criteria``. Rows that a model invented are no classes of people.
    """
    certificate = subject.certificate
    if certificate is None or certificate.synthetic or not certificate.steps:
        return []
    settings = certificate.steps[-1].settings
    promised = [{"kind": one.kind, **one.settings} for one in certificate.promises]
    unsaid = []
    k = settings.get("k")
    if isinstance(k, int) and not isinstance(k, bool) and k > 1:
        kept = (one.get("k") for one in promised if one["kind"] == "k-anonymity")
        if max((one for one in kept if isinstance(one, int)), default=0) < k:
            unsaid.append(f"k = {k}")
    criteria = settings.get("criteria")
    for one in criteria if isinstance(criteria, list | tuple) else ():
        if not isinstance(one, Mapping) or not any(_as_strict(other, one) for other in promised):
            kind = one.get("kind") if isinstance(one, Mapping) else one
            unsaid.append(f"a criterion ({kind})")
    return unsaid


def _as_strict(promise: Mapping[str, Any], made_with: Mapping[str, Any]) -> bool:
    """Whether a promise says what the release was made with, defaults written out or not."""
    said, meant = reading_of(promise), reading_of(made_with)
    if isinstance(said, str) or isinstance(meant, str):
        return dict(promise) == dict(made_with)
    if said.kind == meant.kind == "k-anonymity":
        return bool(said["k"] >= meant["k"])
    # A path is told from another folder in a step than in a promise.
    paths = {"population": None}
    return said.kind == meant.kind and {**said.settings, **paths} == {**meant.settings, **paths}


def _persons(subject: Subject) -> Finding:
    certificate = subject.certificate
    persons = certificate.persons_in if certificate is not None else None
    if not subject.promises or (subject.person is None and persons is None):
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
