"""A plan step by step: prepare, train, apply, evaluate, each alone, from what the ones before kept.

`run` does all of it in one go. A step alone does its part for every release, keeps it, and refuses
to go on from what is missing or stale. What is kept lies in the study's folder under ``.kept`` and
is for its makers alone; a release folder is put in its place by ``evaluate`` only, as by `run`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sfumato.errors import PlanError, did_you_mean
from sfumato.progress import Progress, silent
from sfumato.release.folders import disk_errors, exclusive
from sfumato.release.kept import KEPT_FOLDER, PREPARATION_FILE, Kept, Part
from sfumato.release.plan import Plan
from sfumato.release.private_release import ledger_of
from sfumato.release.release_folder import MODEL_FILE, RECODING_FILE
from sfumato.release.running import opened, refuse_own_plan, refuse_strange_folder, run
from sfumato.release.workshop import WORK_FOLDER, Workshop

if TYPE_CHECKING:
    from sfumato.table.preparation.table_preparation import TablePreparation

__all__ = ["STEP_NAMES", "StepDone", "run_step", "spend_again_on"]

STEP_NAMES = ("prepare", "train", "apply", "evaluate")


@dataclass(frozen=True)
class StepDone:
    """What a step did.

    Parameters
    ----------
    step
        Its name.
    done, found
        The releases for which it was done now, and those for which it had been done before.
    folder
        Where what it made is.
    """

    step: str
    done: tuple[str, ...]
    found: tuple[str, ...]
    folder: str

    def to_dict(self) -> dict[str, Any]:
        """Return what was done as plain JSON values."""
        return asdict(self)

    def describe(self) -> list[str]:
        """Return what was done, a line each."""
        said = [f"{self.step}: {name}" for name in self.done]
        said += [f"{self.step}: {name} was done before and is kept" for name in self.found]
        following = STEP_NAMES[STEP_NAMES.index(self.step) + 1 :]
        said.append(f"{'report' if not following else 'kept'} in {self.folder}")
        return [*said, f"then: --step {following[0]}"] if following else said


def run_step(
    plan: Plan | str | Path,
    out: str | Path,
    step: str,
    *,
    jobs: int | None = 1,
    progress: Progress = silent,
) -> StepDone:
    """Do one step of a plan for every release, from what the steps before kept.

    Parameters
    ----------
    plan
        A plan, or the path of its file.
    out
        The study's folder.
    step
        "prepare": read the source, set people aside, and keep the prepared rows; "train": learn
        and keep each model; "apply": make each release's rows with its model; "evaluate": measure
        them, certify them and put them in place.
    jobs
        As for :func:`run`; of "evaluate" only.
    progress
        Told how far the work is.

    Raises
    ------
    PlanError
        If there is no such step, if the plan searches a frontier, if what the step needs is missing
        or stale, or if it would spend a second budget on the same people.
    DataError, SchemaError, GuaranteeNotMet, EngineError
        As :func:`run`.
    """
    if step not in STEP_NAMES:
        raise PlanError(
            f"there is no step {step!r}.{did_you_mean(step, STEP_NAMES)} "
            f"Known: {', '.join(STEP_NAMES)}"
        )
    out = Path(out).absolute()
    given = plan
    if isinstance(plan, str | Path):
        refuse_own_plan(Path(plan), out)
        plan = Plan.read(plan)
    if plan.frontier is not None:
        raise PlanError(
            "a plan with a [frontier] makes and leaves out releases as it goes: run it without "
            "--step, or take the section out"
        )
    refuse_strange_folder(out)
    done: list[str] = []
    found: list[str] = []
    with exclusive(out):
        workshop = opened(plan, out, progress)
        for release in plan.releases:
            name = release.name
            if step == "prepare":
                if release.origin is not None:
                    continue  # it is made of another release's rows
                new = _keep_prepared(workshop, name)
            elif step == "train":
                new = _keep_model(workshop, name)
            elif step == "apply":
                new = _keep_rows(workshop, name)
            else:
                new = workshop.finished(name) is None
                _check_applied(workshop, name)
            (done if new else found).append(name)
    if step == "evaluate":
        run(given, out, jobs=jobs, progress=progress)
        return StepDone(step, tuple(done), tuple(found), str(out))
    return StepDone(
        step,
        tuple(done),
        tuple(found),
        str(out / (WORK_FOLDER if step == "apply" else KEPT_FOLDER)),
    )


def spend_again_on(plan: Plan, out: str | Path, names: Sequence[str]) -> None:
    """Give up what releases learned under their budgets, so that they are learned anew.

    What was spent stays written down, and the next certificate tells of it.

    Parameters
    ----------
    plan
        The plan.
    out
        The study's folder.
    names
        Releases with a budget.

    Raises
    ------
    PlanError
        If a release has no budget, or spent none here.
    """
    out = Path(out).absolute()
    kept = Kept(out)
    for name in names:
        plan.release(name)
        if not kept.spending(name):
            raise PlanError(
                f"the release {name!r} has spent no budget in {out}: leave out --spend-again"
            )
    with exclusive(out):
        for name in names:
            kept.spend_again(name)


def _keep_prepared(workshop: Workshop, name: str) -> bool:
    """Prepare a release's rows and keep them; say whether that was to be done."""
    facts = workshop.facts_of(name, "prepared")
    if workshop.kept.is_fresh(name, "prepared", facts):
        return False
    rows = workshop.prepared(name)

    def fill(folder: Path) -> None:
        from sfumato.table import write

        write(rows.split.train, folder / "train.parquet")
        write(rows.split.control, folder / "control.parquet")
        with disk_errors(folder):
            rows.schema.write(folder / "schema.toml", self_contained=True)
        _write_preparation(rows.preparation, folder)
        workshop.kept.write_ledger(folder, name, rows.paid)

    workshop.kept.write(name, "prepared", facts, fill)
    return True


def _keep_model(workshop: Workshop, name: str) -> bool:
    """Learn a release's model from its kept rows and keep it; say whether that was to be done."""
    facts = workshop.facts_of(name, "model")
    if workshop.kept.is_fresh(name, "model", facts):
        return False
    _need(workshop, workshop.plan.lineage(name)[0].name, "prepared")
    made = workshop.made(name)

    def fill(folder: Path) -> None:
        with disk_errors(folder):
            made.fitted.save(folder / (RECODING_FILE if made.generator is None else MODEL_FILE))
        _write_preparation(workshop.prepared(name).preparation, folder)
        workshop.kept.write_ledger(folder, name, ledger_of(made.fitted))

    workshop.kept.write(name, "model", facts, fill)
    return True


def _keep_rows(workshop: Workshop, name: str) -> bool:
    """Apply a release's kept model and keep the rows; say whether that was to be done."""
    if workshop.is_applied(name):
        return False
    for one in workshop.plan.lineage(name):
        _need(workshop, one.name, "model")
    workshop.write_rows(name)
    return True


def _check_applied(workshop: Workshop, name: str) -> None:
    if not workshop.is_applied(name):
        raise PlanError(
            f"the rows of {name!r} are not made from this plan and source: run --step apply first"
        )


def _need(workshop: Workshop, name: str, part: Part) -> None:
    """Refuse to go on from a part that is missing or stale."""
    why = workshop.kept.why_not(name, part, workshop.facts_of(name, part))
    if why:
        what, step = {
            "prepared": ("the prepared rows", "prepare"),
            "model": ("the model", "train"),
        }[part]
        raise PlanError(f"what is kept for {name!r}, {what}, {why}: run --step {step} first")


def _write_preparation(preparation: TablePreparation | None, folder: Path) -> None:
    if preparation is not None:
        with disk_errors(folder):
            preparation.save(folder / PREPARATION_FILE)
