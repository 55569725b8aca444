"""Several releases of one table in one go, as k-AnonML makes them, with what each of them lost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sfumato.cli.figure_lines import aligned
from sfumato.errors import DataError, GuaranteeNotMet, PlanError, SchemaError

if TYPE_CHECKING:
    from sfumato.cli.console import Console
    from sfumato.cli.other_configurations import AnonymizationConfiguration, Ranges
    from sfumato.release.study import StudyRelease
    from sfumato.settings import Settings
    from sfumato.table import Schema, Source

__all__ = [
    "Wanted",
    "make_configured_releases",
    "make_releases",
    "wanted_by_ranges",
    "with_promises",
]


@dataclass(frozen=True)
class Wanted:
    """One release to make.

    Parameters
    ----------
    folder
        Name of its folder.
    technique
        Registered name.
    settings
        Of the technique.
    k, s
        What it was asked for: k, and the percentage of rows that may be suppressed.
    """

    folder: str
    technique: str
    settings: Mapping[str, Any]
    k: int | None = None
    s: int | None = None


@dataclass(frozen=True)
class _Row:
    """One line of the table that is told: what was made, or why not."""

    folder: str
    technique: str
    k: int | None
    s: int | None
    made: bool
    ncp: float | None = None
    classes: int | None = None
    smallest_class: int | None = None
    suppressed: int | None = None
    rows: int | None = None
    because: str = ""


def with_promises(
    kind: type[Settings],
    settings: Mapping[str, Any],
    *,
    k: int | None = None,
    suppression_limit: float | None = None,
    criteria: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """Return a technique's settings with what the command line asks for besides.

    Parameters
    ----------
    kind
        The technique's settings class.
    settings
        From the command line or a file.
    k
        For k-anonymity: the setting ``k``, or a criterion where the technique has no such setting.
    suppression_limit
        The setting of that name.
    criteria
        Added to the setting ``criteria``.

    Raises
    ------
    PlanError
        If criteria are asked for and the technique knows none.
    """
    asked = dict(settings)
    added = [dict(one) for one in criteria]
    if k is not None:
        if "k" not in kind.model_fields and "criteria" in kind.model_fields:
            added.insert(0, {"kind": "k-anonymity", "k": k})
        else:
            asked["k"] = k
    if suppression_limit is not None:
        asked["suppression_limit"] = suppression_limit
    if added:
        if "criteria" not in kind.model_fields:
            raise PlanError(
                f"--criterion: {kind.__name__} knows no criteria; choose a technique with the "
                "setting criteria (sfumato techniques lists them)"
            )
        asked["criteria"] = [*asked.get("criteria", ()), *added]
    return asked


def wanted_by_ranges(
    ranges: Ranges,
    technique: str,
    settings: Mapping[str, Any],
    *,
    k: int | None,
    suppression_limit: float | None,
    criteria: Sequence[Mapping[str, Any]],
) -> list[Wanted]:
    """Return a release for each combination of the ranges.

    Raises
    ------
    PlanError
        If k or the limit is also given as a single value, or a setting is wrong.
    """
    from sfumato.release.registry import technique as registered

    if ranges.k and (k is not None or "k" in settings):
        raise PlanError("k is given twice: by --k (or --set k) and by a range; give one")
    if ranges.s and (suppression_limit is not None or "suppression_limit" in settings):
        raise PlanError("the suppression limit is given twice: by itself and by a range; give one")
    kind = registered(technique)
    found = []
    for folder, one, percent in ranges.combinations(k):
        limit = suppression_limit if percent is None else percent / 100
        asked = with_promises(kind, settings, k=one, suppression_limit=limit, criteria=criteria)
        kind.of(asked)  # a wrong setting is told before anything is read
        found.append(Wanted(folder, technique, asked, one, percent))
    return found


def make_releases(
    console: Console,
    where: Source,
    schema: Schema,
    wanted: Sequence[Wanted],
    out: Path,
    *,
    file_format: str,
) -> int:
    """Make the releases, each in a folder of its own, and tell what each lost.

    A release that does not keep its promise is not made, the others are; the exit code is then 1.
    """
    from sfumato.release import Plan
    from sfumato.release.plan import ReleasePlan
    from sfumato.release.registry import makes
    from sfumato.release.registry import technique as registered
    from sfumato.release.running import release_alone

    for technique in dict.fromkeys(one.technique for one in wanted):
        if makes(registered(technique)) not in ("recoding", "unknown"):
            raise PlanError(f"the technique {technique!r} belongs to: sfumato synthesize")
    real = None
    rows = []
    for one in wanted:
        asked = ReleasePlan(
            name="release",
            technique=one.technique,
            settings=dict(one.settings),
            format=file_format,
        )
        folder = out / one.folder
        plan = Plan(one.folder, where, schema, (asked,), 0, control=0)
        console.say(f"{one.folder}:")
        try:
            with console.progress() as progress:
                release = release_alone(plan, folder, progress=progress)
        except GuaranteeNotMet as error:
            rows.append(
                _Row(one.folder, one.technique, one.k, one.s, made=False, because=str(error))
            )
            continue
        if real is None:
            real = where.said_by(schema).read()
        rows.append(_row(one, release, real, schema, folder))
    values = {"folder": str(out), "releases": [asdict(row) for row in rows]}
    console.result(values, [*_table(rows), f"releases: {out}"])
    return 0 if all(row.made for row in rows) else 1


def make_configured_releases(
    console: Console,
    configuration: AnonymizationConfiguration,
    folder: Path,
    where: Source,
    settings: Mapping[str, Any],
    out: Path,
    *,
    file_format: str,
) -> int:
    """Make the releases that a file of Anonify asks for: every algorithm with every k.

    Parameters
    ----------
    folder
        The folder of the file, from which its paths start.
    where
        The table that it names.
    settings
        For all the techniques.
    """
    from sfumato.release.registry import technique as registered

    wanted = []
    for algorithm in configuration.algo_conf.algo:
        technique = configuration.technique(algorithm)
        kind = registered(technique)
        for k in configuration.algo_conf.k:
            asked = with_promises(kind, settings, k=k)
            kind.of(asked)
            wanted.append(Wanted(f"{algorithm}_k{k}", technique, asked, k))
    columns = where.model_copy(update={"n_rows": 1}).read().columns
    schema = configuration.schema_of(columns, folder)
    return make_releases(console, where, schema, wanted, out, file_format=file_format)


def _row(one: Wanted, release: StudyRelease, real: Any, schema: Schema, folder: Path) -> _Row:
    from sfumato.evaluation.loss import information_loss
    from sfumato.table import Source

    risks = release.evaluation.risks
    path = folder / release.data_file
    ncp, because = None, ""
    try:
        released = Source(path=str(path)).read()
        ncp = information_loss(real, released, schema.check(real), measure="ncp").value
    except (DataError, SchemaError) as error:
        because = f"NCP not computed: {error}"
    classes, smallest = risks["classes"].value, risks["smallest_class"].value
    return _Row(
        folder=one.folder,
        technique=one.technique,
        k=one.k,
        s=one.s,
        made=True,
        ncp=ncp,
        classes=None if classes is None else int(classes),
        smallest_class=None if smallest is None else int(smallest),
        suppressed=release.certificate.rows_suppressed,
        rows=release.certificate.rows_out,
        because=because,
    )


def _table(rows: Sequence[_Row]) -> list[str]:
    """Return the lines of a table in plain text, columns aligned."""
    head = ("release", "NCP %", "classes", "smallest", "suppressed", "rows")
    cells: list[tuple[str, ...]] = [head]
    for row in rows:
        numbers = (row.classes, row.smallest_class, row.suppressed, row.rows)
        cells.append(
            (
                row.folder,
                "–" if row.ncp is None else f"{100 * row.ncp:.6f}",
                *("–" if number is None else f"{number:,}" for number in numbers),
            )
        )
    return [*aligned(cells), *(f"{row.folder}: {row.because}" for row in rows if row.because)]
