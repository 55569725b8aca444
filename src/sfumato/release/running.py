"""Running a plan: every release from the same rows, measured against the same people.

An interrupted run goes on where it stopped. A release is finished once its folder stands in its
place with a manifest; until then it is built under ``.work``, where what was fitted and what was
learned is kept step by step.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

from sfumato._version import __version__
from sfumato.atomic import clear_parts
from sfumato.errors import PlanError
from sfumato.progress import Progress, silent
from sfumato.release.estimate import estimate_of
from sfumato.release.folders import (
    disk_errors,
    exclusive,
    put_in_place,
    recover,
    refuse_foreign,
    write_text,
)
from sfumato.release.frontier_study import set_against
from sfumato.release.parallel import assembled, crew_size
from sfumato.release.plan import Plan
from sfumato.release.private_release import apart
from sfumato.release.reading import read_source
from sfumato.release.search import search
from sfumato.release.splitting import set_aside
from sfumato.release.study import NotMade, SourceFacts, Study, StudyRelease
from sfumato.release.workshop import Workshop

__all__ = ["opened", "refuse_own_plan", "refuse_strange_folder", "release_alone", "run"]

_OURS = ".lock"


def run(
    plan: Plan | str | Path,
    out: str | Path,
    *,
    jobs: int | None = 1,
    progress: Progress = silent,
) -> Study:
    """Make every release of a plan and evaluate them side by side.

    Where the plan has a ``[frontier]``, the releases are also set against each other; one that
    cannot be made then stops no other, but for the plan's first.

    Parameters
    ----------
    plan
        A plan, or the path of its file.
    out
        The study's folder: a new or empty one, or that of an earlier run. A release that is
        finished there, from the same source by the same plan, is not made again.
    jobs
        How many releases are made at the same time, each in a process of its own; None is one for
        each processor, as far as the memory goes. The releases are the same. With more than one a
        script must be guarded by ``if __name__ == "__main__":``, as for all spawned processes.
    progress
        Told how far the work is.

    Raises
    ------
    PlanError
        If the plan is wrong, or the folder holds something else or is in use.
    DataError, SchemaError
        If the table cannot be used, or the schema does not fit it.
    GuaranteeNotMet
        If a release does not keep what it promises; it is then not put in place.
    EngineError
        If the disk refuses; nothing is left half-written.
    """
    out = Path(out).absolute()
    if isinstance(plan, str | Path):
        refuse_own_plan(Path(plan), out)
        plan = Plan.read(plan)
    refuse_strange_folder(out)
    with exclusive(out):
        clear_parts(out)
        for release in plan.releases:
            recover(out / release.name)
            refuse_foreign(out / release.name)
        workshop = opened(plan, out, progress)
        study = _made(workshop, jobs)
        _write_study(study)
        workshop.clear()
    return study


def _made(workshop: Workshop, jobs: int | None) -> Study:
    """Make what is not made yet; set the releases against each other if the plan asks for it."""
    plan, facts = workshop.plan, workshop.facts
    tolerant = plan.frontier is not None
    expected = estimate_of(plan, facts.rows, facts.columns)
    size = crew_size(jobs, len(plan.releases), expected.bytes_at_peak)
    with assembled(workshop, size, tolerant=tolerant, costs=expected.by_release) as crew:
        decided = search(plan, workshop.split.train.height, crew.measure)
        made = crew.release(decided.chosen)
    releases = tuple(one for one in made.values() if not isinstance(one, NotMade))
    not_made = (*decided.not_made, *(one for one in made.values() if isinstance(one, NotMade)))
    study = Study(plan, workshop.out, facts, releases, __version__)
    return set_against(replace(study, search=decided, not_made=not_made)) if tolerant else study


def release_alone(plan: Plan, folder: str | Path, *, progress: Progress = silent) -> StudyRelease:
    """Make the only release of a plan straight into a folder of its own, whole or not at all.

    Parameters
    ----------
    plan
        A plan with one release.
    folder
        The release's folder; a release that stands there makes way.
    progress
        Told how far the work is.

    Raises
    ------
    PlanError, DataError, SchemaError, GuaranteeNotMet, EngineError
        As :func:`run`.
    """
    (only,) = plan.releases
    folder = Path(folder).absolute()
    recover(folder)
    refuse_foreign(folder)
    out = folder.with_name(f".{folder.name}.part")
    try:
        with exclusive(out):
            release = opened(plan, out, progress).release(only.name)
            put_in_place(out / only.name, folder)
    finally:
        shutil.rmtree(out, ignore_errors=True)
    return release


def opened(plan: Plan, out: Path, progress: Progress) -> Workshop:
    """Read the source, set the control rows aside, and open the workshop for the rest."""
    progress("reading the source", 0, 1)
    source = read_source(plan)
    schema = plan.schema.check(source.table)
    split = set_aside(source.table, schema, plan.control, plan.seed, apart(plan))
    progress("reading the source", 1, 1)
    facts = SourceFacts(
        name=source.name,
        sha256=source.sha256,
        rows=source.table.height,
        columns=source.table.width,
        control_rows=split.control.height,
        persons=split.persons,
        control_persons=split.control_persons,
        roles={name: str(column.role) for name, column in schema.columns.items()},
        target=plan.evaluation.target or schema.target,
        notes=source.notes,
    )
    return Workshop(plan, out, facts, split, schema, progress)


def _write_study(study: Study) -> None:
    from sfumato.release.report import render_study

    write_text(study.folder / "plan.toml", study.plan.to_toml())
    record = json.dumps(study.to_dict(), indent=1, sort_keys=True, allow_nan=False)
    write_text(study.folder / "study.json", record + "\n")
    write_text(study.report, render_study(study))


def refuse_own_plan(plan: Path, out: Path) -> None:
    """Refuse a plan that would be written over."""
    if plan.absolute() == out / "plan.toml":
        raise PlanError(
            f"{plan} lies in the study's own folder, where the plan as run is written: "
            "move the plan, or use another --out"
        )


def refuse_strange_folder(out: Path) -> None:
    """Refuse a folder that holds something else than a study."""
    with disk_errors(out):
        if out.exists() and not (out / _OURS).exists() and any(out.iterdir()):
            raise PlanError(f"{out} is not empty and holds no study: use a new folder for --out")
