"""Making one release of a study: fit, write, measure, certify, put in place; each step kept."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from sfumato._version import __version__
from sfumato.anonymization.recoding import ColumnChange, Recoding
from sfumato.atomic import clear_parts
from sfumato.errors import DataError, GuaranteeNotMet, SfumatoError
from sfumato.evaluation import Figure, Learned, compare
from sfumato.progress import Progress
from sfumato.release.assessment import assess
from sfumato.release.certificate import CERTIFICATE_FILE, Certificate
from sfumato.release.changes import all_changes, released_name
from sfumato.release.compared import Compared, Origins, RealPeople, as_released, remaker
from sfumato.release.evaluation import EVALUATION_FILE, Evaluation
from sfumato.release.folders import (
    disk_errors,
    is_complete,
    manifest,
    put_in_place,
    write_manifest,
    write_text,
)
from sfumato.release.invented import invent
from sfumato.release.making import Made, Origin, certify, fit, step_of
from sfumato.release.memory import FileMemory
from sfumato.release.plan import Plan, ReleasePlan, derived_seed
from sfumato.release.private_release import check_delta
from sfumato.release.release_folder import load_fitted, write_certificate, write_made
from sfumato.release.splitting import Split, set_aside
from sfumato.release.study import SourceFacts, Study, StudyRelease
from sfumato.release.verification import verify
from sfumato.synthesis.generator import Generator

if TYPE_CHECKING:
    import polars as pl

    from sfumato.table import Schema

__all__ = ["Workshop"]

WORK_FOLDER = ".work"
RECORD_FILE = "release.json"
_MEASURED_ONLY = frozenset({"SF007"})  # what a recount finds in the cells, not a broken promise


class Workshop:
    """Makes the releases of one run, in the plan's order.

    Parameters
    ----------
    plan, out
        The plan and the study's folder.
    facts
        What was read.
    split
        The rows to release and those set aside.
    schema
        The schema of the source.
    progress
        Told how far the work is.
    sample
        About how many rows are left to release, if ``split`` holds a sample of them only.
    """

    def __init__(
        self,
        plan: Plan,
        out: Path,
        facts: SourceFacts,
        split: Split,
        schema: Schema,
        progress: Progress,
        *,
        sample: int | None = None,
    ) -> None:
        self.plan = plan
        self.out = out
        self.facts = facts
        self.split = split
        self.schema = schema
        self.progress = progress
        self.sample = sample
        self._origins = {release.origin for release in plan.releases}
        self._kept: dict[str, Made] = {}
        self._learned: dict[str, tuple[Learned, ...]] = {}
        self._on_sample: Workshop | None = None

    @property
    def baseline(self) -> tuple[Learned, ...]:
        """What was learned from the plan's first release in this run, to compare others with."""
        return self._learned.get(self.plan.releases[0].name, ())

    @baseline.setter
    def baseline(self, learned: tuple[Learned, ...]) -> None:
        self._learned[self.plan.releases[0].name] = learned

    def finished(self, name: str) -> StudyRelease | None:
        """Return a release that an earlier run finished, or None."""
        place = self.out / name
        found = manifest(place)
        fingerprint = self._fingerprint(name, with_evaluation=True)
        if found is None or found.get("fingerprint") != fingerprint or not is_complete(place):
            return None
        return _read_release(place)

    def release(self, name: str) -> StudyRelease:
        """Return a finished release; make it if it is not finished yet."""
        finished = self.finished(name)
        if finished is not None:
            return finished
        work = self.out / WORK_FOLDER / name
        fingerprint = self._fingerprint(name, with_evaluation=True)
        made = self._made(name)
        self._write(made, name, work / "release")
        evaluation = self._evaluation(name, made, work)
        release = self._finish(name, made, evaluation, work / "release", fingerprint)
        with disk_errors(work):
            shutil.rmtree(work)
        return release

    def on_sample(self, rows: int) -> Workshop:
        """Return a workshop for a sample of the rows, measured against the same control people.

        Parameters
        ----------
        rows
            About how many rows, at most half of them: whole persons, drawn by the plan's seed.
        """
        if self._on_sample is None or self._on_sample.sample != rows:
            seed = derived_seed(self.plan.seed, "sample of rows", str(rows))
            share = min(0.5, rows / max(1, self.split.train.height))
            drawn = set_aside(self.split.train, self.schema, share, seed).control
            split = replace(self.split, train=drawn)
            out = self.out / WORK_FOLDER / f"sample-{rows}"
            self._on_sample = Workshop(
                self.plan, out, self.facts, split, self.schema, self.progress, sample=rows
            )
        return self._on_sample

    def measure(self, name: str) -> Evaluation:
        """Make a release and measure it without handing it out; kept for going on."""
        fingerprint = self._fingerprint(name, with_evaluation=True)
        place = self.out / f"{name}-{fingerprint[:16]}.json"
        if place.is_file():
            with suppress(DataError):
                return Evaluation.read(place)
        evaluation = self._evaluation(name, self._made(name), self.out / name)
        evaluation.write(place)
        return evaluation

    def clear(self) -> None:
        """Remove what was kept for going on, after everything is finished."""
        shutil.rmtree(self.out / WORK_FOLDER, ignore_errors=True)

    # -- making ------------------------------------------------------------------------------

    def _made(self, name: str) -> Made:
        if name in self._kept:
            return self._kept[name]
        release = self.plan.release(name)
        if release.origin is None:
            table, schema = self.split.train, self.schema
        else:
            table, schema = self._made(release.origin).onward()
        fitted, columns = self._fitted_before(name)
        if fitted is None:
            task = f"making {name!r}"
            self.progress(task, 0, 1)
            technique = release.built(self.plan.seed, self.plan.base)
            check_delta(technique, table, schema)
            fitted = fit(technique, table, schema, self.progress)
            self.progress(task, 1, 1)
        seed = derived_seed(self.plan.seed, name, "sample")
        made = Made.of(fitted, table, schema, columns, rows=release.rows, seed=seed)
        # Held: what another release starts from, and what is being made.
        self._kept = {kept: one for kept, one in self._kept.items() if kept in self._origins}
        self._kept[name] = made
        return made

    def _fitted_before(self, name: str) -> tuple[Recoding | Generator | None, list[str] | None]:
        """Return what an earlier run fitted, and the order of the columns that it released."""
        fingerprint = self._fingerprint(name, with_evaluation=False)
        for folder in (self.out / name, self.out / WORK_FOLDER / name / "release"):
            found = manifest(folder)
            if found is not None and found.get("made") == fingerprint and is_complete(folder):
                return load_fitted(folder), found.get("columns")
        return None, None

    def _write(self, made: Made, name: str, folder: Path) -> None:
        """Write data, schema and what was fitted, unless an earlier run did."""
        fingerprint = self._fingerprint(name, with_evaluation=False)
        found = manifest(folder)
        if found is not None and found.get("made") == fingerprint and is_complete(folder):
            with disk_errors(folder):
                clear_parts(folder)
            return
        with disk_errors(folder):
            shutil.rmtree(folder.parent, ignore_errors=True)
            folder.mkdir(parents=True)
        plan = self.plan.release(name)
        write_made(folder, made, f"data.{plan.format}", shuffle=self._order_of(plan))
        write_manifest(folder, {"made": fingerprint, "columns": made.data.columns})

    def _order_of(self, plan: ReleasePlan) -> int | None:
        """Return the seed of the order of a release's rows, or None if it is the source's."""
        return derived_seed(self.plan.seed, plan.name, "order") if plan.shuffle else None

    # -- measuring ---------------------------------------------------------------------------

    def _evaluation(self, name: str, made: Made, work: Path) -> Evaluation:
        release = self.plan.release(name)
        recodings = self._recodings(name)
        compared = self._compared(name, made, recodings)
        baseline = self.baseline
        evaluation = assess(
            compared,
            self.plan.evaluation,
            target=released_name(self.facts.target, recodings),
            seed=self.plan.seed,
            memory=FileMemory(
                work / "learned", self._fingerprint(release.name, with_evaluation=False)
            ),
            progress=self.progress,
        )
        self._learned[name] = evaluation.learned
        return replace(
            evaluation, utility={**evaluation.utility, **_differences(evaluation.learned, baseline)}
        )

    def _recodings(self, name: str) -> tuple[Recoding, ...]:
        """Return the recodings on the way from the source to a release, in order."""
        lineage = (self._made(release.name).recoding for release in self.plan.lineage(name))
        return tuple(recoding for recoding in lineage if recoding is not None)

    def _compared(self, name: str, made: Made, recodings: Sequence[Recoding]) -> Compared:
        columns = made.data.columns
        real = self._in_its_words(self.split.train, recodings).select(columns)
        notes = []
        control = self.split.control if self.split.control.height else None
        if control is not None:
            control = self._in_its_words(control, recodings).select(columns)
            if control.height < self.split.control.height:
                left_out = self.split.control.height - control.height
                notes.append(
                    f"{left_out:,} of {self.split.control.height:,} control rows are suppressed by "
                    "the recoding, so that this release was tested on the others only."
                )
            control = control if control.height else None
        synthetic = made.generator is not None
        origins = None if synthetic else self._origin_rows(recodings)
        lineage = self.plan.lineage(name)
        people = RealPeople.of(
            self.split.train if origins is None else origins.rows,
            self.split.control,
            self.schema,
            all_changes(recodings) if recodings else None,
            remaker(lineage[0].built(self.plan.seed, self.plan.base), self.schema)
            if len(lineage) == 1
            else None,
        )
        return Compared(
            name,
            made.data,
            made.schema,
            real,
            control,
            tuple(notes),
            made.persons,
            synthetic,
            origins,
            people,
            self._order_of(self.plan.release(name)),
        )

    def _origin_rows(self, recodings: Sequence[Recoding]) -> Origins:
        """Return the rows of the source that a release holds, as they are in the source."""
        rows = source = self.split.train
        schema = self.schema
        for recoding in recodings:
            source = source.filter(recoding.kept_rows(rows))
            rows, schema = Made.of(recoding, rows, schema).onward()
        return Origins.of(source, self.schema, all_changes(recodings))

    def _in_its_words(self, rows: pl.DataFrame, recodings: Sequence[Recoding]) -> pl.DataFrame:
        """Return real rows as a release writes them, but without what is done by chance.

        The rows it was made from and the control rows go the same way: two that differ by what
        chance did to the one of them could not be compared.
        """
        schema = self.schema
        for recoding in (one.without_chance() for one in recodings):
            if not recoding.kept_rows(rows).any():
                return recoding.recode(rows)
            recoded = Made.of(recoding, rows, schema)
            exact = as_released(rows, recoded.data, recoding)
            rows, schema = replace(recoded, data=exact).onward()
        return rows

    # -- finishing ---------------------------------------------------------------------------

    def _finish(
        self, name: str, made: Made, evaluation: Evaluation, folder: Path, fingerprint: str
    ) -> StudyRelease:
        plan = self.plan.release(name)
        facts = self.facts
        origin = Origin(facts.name, facts.sha256, facts.rows, facts.control_rows)
        steps = tuple(
            step_of(step.name, step.built(self.plan.seed, self.plan.base), self.plan.base)
            for step in self.plan.lineage(name)
        )
        certificate = write_certificate(folder, certify(name, made, origin, steps))
        verification = verify(folder)
        broken = [one for one in verification.broken if one.code not in _MEASURED_ONLY]
        if broken:
            sentences = "; ".join(f"{one.code} {one.title}: {one.explanation}" for one in broken)
            raise GuaranteeNotMet(f"the release {name!r} is not handed out: {sentences}")
        recodings = self._recodings(name)
        invented = None
        if made.recoding is not None:
            seed = derived_seed(self.plan.seed, "invented")
            columns = made.data.columns
            invented = invent(self.split.train, self.schema, recodings, columns, seed=seed)
        release = StudyRelease(
            name=name,
            why=plan.why,
            technique=plan.technique,
            of=plan.origin,
            folder=name,
            data_file=f"data.{plan.format}",
            synthetic=made.generator is not None,
            changes=self._changes(recodings),
            learned=() if made.generator is None else made.generator.describe(),
            invented=invented,
            certificate=certificate,
            verification=verification,
            evaluation=evaluation,
        )
        self._write_evidence(release, folder, fingerprint)
        put_in_place(folder, self.out / name)
        return release

    def _changes(self, recodings: Sequence[Recoding]) -> tuple[ColumnChange, ...]:
        order = {column: position for position, column in enumerate(self.schema.columns)}
        return tuple(sorted(all_changes(recodings), key=lambda change: order[change.column]))

    def _write_evidence(self, release: StudyRelease, folder: Path, fingerprint: str) -> None:
        from sfumato.release.report import render_study

        release.evaluation.write(folder / EVALUATION_FILE)
        record = json.dumps(release.to_dict(), indent=1, sort_keys=True, allow_nan=False)
        write_text(folder / RECORD_FILE, record + "\n")
        alone = self.plan.only(release.name).for_others()
        write_text(folder / "plan.toml", alone.to_toml())
        study = Study(alone, self.out, self.facts, (release,), __version__)
        write_text(folder / "report.html", render_study(study))
        made = self._fingerprint(release.name, with_evaluation=False)
        columns = list(release.certificate.columns)
        write_manifest(folder, {"made": made, "columns": columns, "fingerprint": fingerprint})

    def _fingerprint(self, name: str, *, with_evaluation: bool) -> str:
        """Return the hash of everything that decides about a release's bytes."""
        plan = self.plan.only(name).to_dict()
        plan["source"].pop("path", None)  # the bytes count, not where they lie
        plan.pop("name")
        if not with_evaluation:
            plan.pop("evaluation")
            for release in plan["release"]:
                release.pop("why", None)
        decides: dict[str, object] = {
            "plan": plan,
            "source": self.facts.sha256,
            "sfumato": __version__,
        }
        if self.sample is not None:
            decides["sample"] = self.sample
        text = json.dumps(decides, sort_keys=True, allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()


def _read_release(place: Path) -> StudyRelease | None:
    """Return a finished release as its folder tells it, or None if this version cannot read it."""
    try:
        record = json.loads((place / RECORD_FILE).read_text("utf-8"))
        certificate = Certificate.read(place / CERTIFICATE_FILE)
        evaluation = Evaluation.read(place / EVALUATION_FILE)
        return StudyRelease.from_dict(record, certificate, evaluation)
    except (OSError, ValueError, KeyError, TypeError, SfumatoError):
        return None


def _differences(learned: Sequence[Learned], baseline: Sequence[Learned]) -> dict[str, Figure]:
    """Return how much less is learned than from the plan's first release, on the same people.

    Only where both were trained in this run: predictions of people are never written.
    """
    before = {(one.model, one.protocol): one for one in baseline if one.prediction is not None}
    found = {}
    for one in learned:
        other = before.get((one.model, one.protocol))
        if other is None or other is one or one.prediction is None or one.rows_test_made:
            continue
        if other.prediction is None or len(one.prediction.actual) != len(other.prediction.actual):
            continue
        for score, figure in compare(one, other).items():
            key = f"difference/{score}/{one.model}/{one.protocol.value}"
            found[key] = figure
    return found
