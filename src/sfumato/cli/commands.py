"""What each command does: read, call a room, write, say what came out."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sfumato.cli.figure_lines import figure_words
from sfumato.cli.reading import read
from sfumato.errors import PlanError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sfumato.cli.console import Console
    from sfumato.release import Certificate, Study
    from sfumato.release.frontier import Frontier
    from sfumato.table import Source

__all__ = [
    "list_techniques",
    "make_release",
    "profile_table",
    "run_plan",
    "start_plan",
    "verify_release",
]


def profile_table(
    console: Console, where: Source, *, out: Path, schema_out: Path | None, schema: Path | None
) -> None:
    """Write a table's profile and, if asked for, the schema it suggests."""
    from sfumato.release.folders import write_text
    from sfumato.release.report import render_profile
    from sfumato.table import Schema, profile

    _refuse_existing(schema_out)
    said = None if schema is None else Schema.read(schema)
    table = read(console, where, said)
    known = None if said is None else said.check(table)
    with console.progress() as progress:
        found = profile(table, known, progress=progress)
    write_text(out, render_profile(found))
    written = [f"profile: {out}"]
    if schema_out is not None:
        (known or Schema.suggest(table)).write(schema_out)
        written.append(f"suggested schema, to be read and corrected: {schema_out}")
    console.result(found.to_dict(), written)


def start_plan(
    console: Console, where: Source, out: Path, *, frontier: bool = False, force: bool
) -> None:
    """Write a starter plan and schema beside each other."""
    from sfumato.cli.frontier_starter import frontier_plan
    from sfumato.cli.starter import starter_plan
    from sfumato.release.folders import write_text
    from sfumato.table import Schema

    plan_file, schema_file = out / "plan.toml", out / "schema.toml"
    if not force:
        _refuse_existing(plan_file)
        _refuse_existing(schema_file)
    table = read(console, where)
    schema = Schema.suggest(table)
    out.mkdir(parents=True, exist_ok=True)
    schema.write(schema_file)
    written = (
        frontier_plan(where, out, schema, table.height)
        if frontier
        else starter_plan(where, out, schema)
    )
    write_text(plan_file, written)
    console.result(
        {"plan": str(plan_file), "schema": str(schema_file)},
        [
            f"schema, to be read and corrected: {schema_file}",
            f"plan: {plan_file}",
            f"then: sfumato run {plan_file} --out {out / 'study'}",
        ],
    )


def run_plan(
    console: Console,
    plan_file: Path,
    out: Path,
    *,
    jobs: int | None = 1,
    only_estimate: bool,
    step: str | None = None,
    spend_again: Sequence[str] = (),
) -> None:
    """Run a plan or one step of it, or say how long it would take.

    Parameters
    ----------
    step
        "prepare", "train", "apply" or "evaluate"; None for all of them.
    spend_again
        Releases whose budget is spent a second time.
    """
    from sfumato.release import Plan, run
    from sfumato.release.estimate import estimate
    from sfumato.release.plan_steps import run_step, spend_again_on

    plan = Plan.read(plan_file)
    expected = estimate(plan, jobs)
    for line in expected.describe():
        console.say(line)
    if only_estimate:
        console.result(expected.to_dict(), [])
        return
    if spend_again:
        spend_again_on(plan, out, spend_again)
    if step is not None:
        with console.progress() as progress:
            done = run_step(plan_file, out, step, jobs=jobs, progress=progress)
        console.result(done.to_dict(), done.describe())
        return
    with console.progress() as progress:
        study = run(plan_file, out, jobs=jobs, progress=progress)
    console.result(_study_values(study), _study_words(study))


def make_release(
    console: Console,
    where: Source,
    schema_file: Path,
    technique: str,
    settings: dict[str, Any],
    out: Path,
    *,
    file_format: str,
    makes: str,
    rows: int | None = None,
    seed: int = 0,
) -> None:
    """Make one release with one technique and write its folder.

    Parameters
    ----------
    makes
        What the command is for: "recoding" (anonymize) or "generator" (synthesize).
    """
    from sfumato.release import Plan
    from sfumato.release.estimate import estimate
    from sfumato.release.plan import ReleasePlan
    from sfumato.release.registry import makes as what_it_makes
    from sfumato.release.registry import technique as registered
    from sfumato.release.running import release_alone
    from sfumato.table import Schema

    kind = registered(technique)
    if what_it_makes(kind) not in (makes, "unknown"):
        other = "synthesize" if makes == "recoding" else "anonymize"
        raise PlanError(f"the technique {technique!r} belongs to: sfumato {other}")
    kind.of(settings)  # a wrong setting is told before anything is read
    asked = ReleasePlan(
        name="release", technique=technique, settings=settings, rows=rows, format=file_format
    )
    plan = Plan(out.resolve().name, where, Schema.read(schema_file), (asked,), seed, control=0)
    if makes == "generator":
        with suppress(PlanError, OSError, EOFError):  # reading it says better what is wrong
            for line in estimate(plan).describe():
                console.say(line)
    with console.progress() as progress:
        release = release_alone(plan, out, progress=progress)
    values = {
        "folder": str(out),
        "certificate": release.certificate.to_dict(),
        "verification": release.verification.to_dict(),
        "evaluation": release.evaluation.to_dict(),
    }
    console.result(values, _release_words(release.certificate, out))


def verify_release(
    console: Console,
    released: Path,
    schema: Path | None,
    k: int | None,
    criteria: Sequence[str] = (),
    population: Path | None = None,
) -> int:
    """Recount a release's promises; return the exit code.

    Parameters
    ----------
    criteria
        Promises to check besides those of the release, each as a text.
    """
    from sfumato.release import verify
    from sfumato.release.recounts import checked_promise, criterion_of_text
    from sfumato.table import Schema

    known = None if schema is None else Schema.read(schema)
    asked = [criterion_of_text(text) for text in criteria]
    for values in asked:
        checked_promise(values)  # what was misspelt is an error here, and not merely unknown
    if k is not None:
        asked.insert(0, {"kind": "k-anonymity", "k": k})
    verification = verify(released, known, asked, population=population)
    marks = {"passed": "✓", "failed": "✗", "not applicable": "–", "not run": "?"}
    words = [
        f"{marks[finding.status]} {finding.code} {finding.title}: {finding.explanation}"
        for finding in verification.findings
        # Of the many kinds of promises only those that somebody made are worth a line.
        if finding.code < "SF014" or finding.status != "not applicable"
    ]
    status = {finding.code: finding.status for finding in verification.findings}
    borne_out = status.get("SF027") == "passed"
    promised = status.get("SF012") == "passed" or borne_out
    kept = "every promise is kept" if promised else "no promise; every check that applies passed"
    kept += "; what is marked ✗ is advice" if "failed" in status.values() else ""
    verdict = kept if verification.passed else "NOT kept: see ✗ and ?"
    console.result(
        verification.to_dict(), [*words, f"{verification.subject or released}: {verdict}"]
    )
    return 0 if verification.passed else 1


def list_techniques(console: Console) -> None:
    """Say which techniques there are and what can be set."""
    from sfumato.release.registry import makes, technique, technique_names

    values = {}
    words = []
    for name in technique_names():
        kind = technique(name)
        command = {"recoding": "anonymize", "generator": "synthesize"}.get(makes(kind), "run")
        first = (kind.__doc__ or "").strip().partition("\n")[0]
        settings = {
            setting: "required"
            if field.is_required()
            else repr(field.get_default(call_default_factory=True))
            for setting, field in kind.model_fields.items()
        }
        values[name] = {"command": command, "what": first, "settings": settings}
        words.append(f"{name}  (sfumato {command})  {first}")
        words += [f"    {setting} = {given}" for setting, given in settings.items()]
    console.result(values, words)


def _refuse_existing(path: Path | None) -> None:
    if path is not None and path.exists():
        raise PlanError(f"{path} exists: it may hold your corrections, so name another file")


def _release_words(certificate: Certificate, folder: Path) -> list[str]:
    words = [f"{certificate.rows_out:,} rows released"]
    if certificate.rows_suppressed:
        words.append(f"{certificate.rows_suppressed:,} of them suppressed (written as *)")
    words += [f"promised: {promise.sentence}" for promise in certificate.promises]
    words += [f"not promised: {sentence}" for sentence in certificate.not_promised]
    return [
        *words,
        f"release: {folder}",
        f"report to open: {folder / 'report.html'}",
        f"check it at any time: sfumato verify {folder}",
    ]


def _study_values(study: Study) -> dict[str, Any]:
    drawn = {} if study.frontier is None else {"frontier": study.frontier.to_dict()}
    return {
        **drawn,
        "report": str(study.report),
        "releases": {
            release.name: {
                "folder": str(study.folder / release.folder),
                "verified": release.verification.passed,
                "evaluation": release.evaluation.to_dict(),
            }
            for release in study.releases
        },
    }


def _study_words(study: Study) -> list[str]:
    if study.frontier is not None:
        return _frontier_words(study, study.frontier)
    words = []
    for release in study.releases:
        words.append(f"{release.name}:")
        words += [f"  {line}" for line in figure_words(release.evaluation)]
    return [*words, f"report to open: {study.report}"]


def _frontier_words(study: Study, frontier: Frontier) -> list[str]:
    """Say each release's place in a line, then the recommendation; the report has the rest."""
    from sfumato.release.report.frontier_figures import figure_text
    from sfumato.release.report.frontier_words import statement

    told = statement(study, frontier)
    words = []
    for place in frontier.places:
        mark = "✓" if place.keeps else "✗" if place.breaks else "?"
        rival = f"; dominated by {place.dominated_by[-1]}" if place.dominated_by else ""
        use = "–" if place.utility is None else figure_text(place.utility)
        words.append(f"{mark} {place.name}: risk {figure_text(place.risk)}; use {use}{rival}")
    words += [f"– {one.name}: not made, as {one.because}" for one in study.not_made]
    against = [f"against it: {sentence}" for sentence in told.against[:3]]
    return [
        *words,
        f"{told.headline}.",
        *told.chosen,
        *against,
        f"report to open: {study.report}",
    ]
