"""Making one release of a study: fit, write, measure, certify, put in place; each step kept."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from sfumato._version import __version__
from sfumato.anonymization.recoding import ColumnChange, Recoding
from sfumato.atomic import clear_parts
from sfumato.errors import DataError, GuaranteeNotMet, SfumatoError
from sfumato.evaluation import Figure, Learned, compare
from sfumato.progress import Progress
from sfumato.release.assessment import assess
from sfumato.release.certificate import CERTIFICATE_FILE, Certificate, Step
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
from sfumato.release.kept import PREPARATION_FILE, PREPARE, Kept, Part, preparation_in, spent_words
from sfumato.release.making import Made, Origin, certify, fit, step_of
from sfumato.release.memory import FileMemory
from sfumato.release.plan import Plan, ReleasePlan, derived_seed
from sfumato.release.preparing import fit_preparation, rest_of, with_preparation_charged
from sfumato.release.private_release import budget_of, check_delta
from sfumato.release.release_folder import load_fitted, write_certificate, write_made
from sfumato.release.splitting import Split, set_aside
from sfumato.release.study import SourceFacts, Study, StudyRelease
from sfumato.release.verification import verify
from sfumato.synthesis.generator import Generator

if TYPE_CHECKING:
    import polars as pl

    from sfumato.table import Schema
    from sfumato.table.preparation.table_preparation import TablePreparation

__all__ = ["PreparedRows", "Workshop"]

WORK_FOLDER = ".work"
RECORD_FILE = "release.json"
_MEASURED_ONLY = frozenset({"SF007"})  # what a recount finds in the cells, not a broken promise


_Decided = Literal["prepared", "fitted", "made", "evaluated"]
_DECIDES: dict[Part, _Decided] = {"prepared": "prepared", "model": "fitted"}


@dataclass(frozen=True, eq=False)
class PreparedRows:
    """The rows of one release after the plan's preparation.

    Parameters
    ----------
    split, schema
        The rows to release, those set aside, and their schema.
    preparation
        What was done to them; None if the plan says nothing.
    paid
        The ledger of what it cost, or None.
    """

    split: Split
    schema: Schema
    preparation: TablePreparation | None = None
    paid: dict[str, Any] | None = None


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
        self._prepared: dict[str, PreparedRows] = {}
        self.kept = Kept(out)

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
        fingerprint = self._fingerprint(name, "evaluated")
        if found is None or found.get("fingerprint") != fingerprint or not is_complete(place):
            return None
        if self.kept.is_given_up(place):
            return None
        return _read_release(place)

    def release(self, name: str) -> StudyRelease:
        """Return a finished release; make it if it is not finished yet."""
        finished = self.finished(name)
        if finished is not None:
            return finished
        work = self.out / WORK_FOLDER / name
        fingerprint = self._fingerprint(name, "evaluated")
        made = self.made(name)
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
        fingerprint = self._fingerprint(name, "evaluated")
        place = self.out / f"{name}-{fingerprint[:16]}.json"
        if place.is_file():
            with suppress(DataError):
                return Evaluation.read(place)
        evaluation = self._evaluation(name, self.made(name), self.out / name)
        evaluation.write(place)
        return evaluation

    def clear(self) -> None:
        """Remove what was kept for going on, after everything is finished."""
        shutil.rmtree(self.out / WORK_FOLDER, ignore_errors=True)

    # -- making ------------------------------------------------------------------------------

    def prepared(self, name: str) -> PreparedRows:
        """Return the rows that a release, or the first one that it is made of, departs from.

        What steps ask of the rows is asked once: a preparation that an earlier step of the run
        kept is used.

        Raises
        ------
        PlanError
            If answers under a budget are kept that the plan or the source no longer fits.
        """
        root = self.plan.lineage(name)[0].name
        if not self.plan.prepare:
            return PreparedRows(self.split, self.schema)
        if root not in self._prepared:
            self._prepared[root] = self._prepare(root)
        return self._prepared[root]

    def _prepare(self, name: str) -> PreparedRows:
        facts = self.facts_of(name, "prepared")
        if self.sample is None and self.kept.is_fresh(name, "prepared", facts):
            preparation, paid = self.kept.preparation(name)
        else:
            technique = self.plan.release(name).built(self.plan.seed, self.plan.base)
            check_delta(technique, self.split.train, self.schema)
            # answers that went into a model which stands are not asked for again
            fitted = self._fitted_before(name)[0]
            before = self._preparation_before(name) if fitted is not None else None
            if before is not None:
                preparation, paid = before, None
            else:
                if self.sample is None and budget_of(technique) is not None:
                    self.kept.refuse_second(name)
                preparation, paid = fit_preparation(
                    self.split.train, self.schema, self.plan.prepare, technique
                )
        split = replace(
            self.split,
            train=preparation.apply(self.split.train),
            control=preparation.apply(self.split.control),
        )
        schema = preparation.schema(self.schema).check(split.train)
        return PreparedRows(split, schema, preparation, paid)

    def _preparation_before(self, name: str) -> TablePreparation | None:
        """Return the preparation that goes with what an earlier run fitted."""
        for folder in self._folders_of(name):
            found = preparation_in(folder)
            if found is not None:
                return found
        return None

    def _folders_of(self, name: str) -> list[Path]:
        """Return the folders in which what was fitted from this plan and source stands."""
        fingerprint = self._fingerprint(name, "fitted")
        folders = [self.out / name, self.out / WORK_FOLDER / name / "release"]
        if self.sample is None:
            folders.append(self.kept.place(name, "model"))
        return [
            folder
            for folder in folders
            if (manifest(folder) or {}).get("fitted") == fingerprint
            and is_complete(folder)
            and not self.kept.is_given_up(folder)
        ]

    def made(self, name: str) -> Made:
        """Return what a release's technique makes; what an earlier run fitted is used."""
        if name in self._kept:
            return self._kept[name]
        release = self.plan.release(name)
        rows = self.prepared(name)
        if release.origin is None:
            table, schema = rows.split.train, rows.schema
        else:
            table, schema = self.made(release.origin).onward()
        fitted, columns = self._fitted_before(name)
        if fitted is None:
            fitted = self._fit(name, rows, table, schema)
        seed = derived_seed(self.plan.seed, name, "sample")
        made = Made.of(fitted, table, schema, columns, rows=release.rows, seed=seed)
        # Held: what another release starts from, and what is being made.
        self._kept = {kept: one for kept, one in self._kept.items() if kept in self._origins}
        self._kept[name] = made
        return made

    def _fit(
        self, name: str, rows: PreparedRows, table: pl.DataFrame, schema: Schema
    ) -> Recoding | Generator:
        """Learn a release's technique from its rows, under what is left of its budget."""
        technique = self.plan.release(name).built(self.plan.seed, self.plan.base)
        budget = budget_of(technique)
        check_delta(technique, table, schema)
        if budget is not None and self.sample is None:
            self.kept.refuse_second(name, but=self.kept.place(name, "prepared"))
        task = f"making {name!r}"
        self.progress(task, 0, 1)
        fitted = fit(rest_of(technique, self.plan.prepare), table, schema, self.progress)
        if budget is not None and rows.paid is not None and isinstance(fitted, Generator):
            fitted = with_preparation_charged(fitted, budget, rows.paid)
        self.progress(task, 1, 1)
        return fitted

    def _fitted_before(self, name: str) -> tuple[Recoding | Generator | None, list[str] | None]:
        """Return what an earlier run fitted, and the order of the columns that it released."""
        for folder in self._folders_of(name):
            fitted = load_fitted(folder)
            if fitted is not None:
                return fitted, (manifest(folder) or {}).get("columns")
        return None, None

    def write_rows(self, name: str) -> Path:
        """Make a release's rows and write them where an interrupted run goes on from."""
        folder = self.out / WORK_FOLDER / name / "release"
        self._write(self.made(name), name, folder)
        return folder

    def is_applied(self, name: str) -> bool:
        """Return whether a release's rows are made, if not measured, from this plan and source."""
        if self.finished(name) is not None:
            return True
        folder = self.out / WORK_FOLDER / name / "release"
        found = manifest(folder)
        fresh = found is not None and found.get("made") == self._fingerprint(name, "made")
        return fresh and is_complete(folder)

    def facts_of(self, name: str, part: Part) -> dict[str, str]:
        """Return what decides about a kept part, for its manifest."""
        decided = _DECIDES[part]
        return {
            decided: self._fingerprint(name, decided),
            "source": self.facts.sha256,
            "sfumato": __version__,
        }

    def _write(self, made: Made, name: str, folder: Path) -> None:
        """Write data, schema and what was fitted, unless an earlier run did."""
        fingerprint = self._fingerprint(name, "made")
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
        preparation = self.prepared(name).preparation
        if preparation is not None:
            with disk_errors(folder):
                preparation.save(folder.parent / PREPARATION_FILE)
        fitted = self._fingerprint(name, "fitted")
        columns = made.data.columns
        write_manifest(folder, {"made": fingerprint, "fitted": fitted, "columns": columns})

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
            memory=FileMemory(work / "learned", self._fingerprint(release.name, "made")),
            progress=self.progress,
        )
        self._learned[name] = evaluation.learned
        return replace(
            evaluation, utility={**evaluation.utility, **_differences(evaluation.learned, baseline)}
        )

    def _recodings(self, name: str) -> tuple[Recoding, ...]:
        """Return the recodings on the way from the source to a release, in order."""
        lineage = (self.made(release.name).recoding for release in self.plan.lineage(name))
        return tuple(recoding for recoding in lineage if recoding is not None)

    def _compared(self, name: str, made: Made, recodings: Sequence[Recoding]) -> Compared:
        columns = made.data.columns
        rows = self.prepared(name)
        split, schema = rows.split, rows.schema
        real = self._in_its_words(split.train, schema, recodings).select(columns)
        notes = []
        control = split.control if split.control.height else None
        if control is not None:
            control = self._in_its_words(control, schema, recodings).select(columns)
            if control.height < split.control.height:
                left_out = split.control.height - control.height
                notes.append(
                    f"{left_out:,} of {split.control.height:,} control rows are suppressed by "
                    "the recoding, so that this release was tested on the others only."
                )
            control = control if control.height else None
        synthetic = made.generator is not None
        origins = None if synthetic else self._origin_rows(rows, recodings)
        lineage = self.plan.lineage(name)
        people = RealPeople.of(
            split.train if origins is None else origins.rows,
            split.control,
            schema,
            all_changes(recodings) if recodings else None,
            remaker(lineage[0].built(self.plan.seed, self.plan.base), schema)
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

    def _origin_rows(self, prepared: PreparedRows, recodings: Sequence[Recoding]) -> Origins:
        """Return the rows of the source that a release holds, as they went into it."""
        rows = source = prepared.split.train
        schema = prepared.schema
        for recoding in recodings:
            source = source.filter(recoding.kept_rows(rows))
            rows, schema = Made.of(recoding, rows, schema).onward()
        return Origins.of(source, prepared.schema, all_changes(recodings))

    def _in_its_words(
        self, rows: pl.DataFrame, schema: Schema, recodings: Sequence[Recoding]
    ) -> pl.DataFrame:
        """Return real rows as a release writes them, but without what is done by chance.

        The rows it was made from and the control rows go the same way: two that differ by what
        chance did to the one of them could not be compared.
        """
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
        rows = self.prepared(name)
        prepared: tuple[str, ...] = ()
        if rows.preparation is not None:
            prepared = rows.preparation.describe()
            told = rows.preparation.to_dict()
            steps = (Step(self.plan.lineage(name)[0].name, PREPARE, told), *steps)
        further = spent_words(self.kept.before(name)) if self.sample is None else ()
        certificate = write_certificate(folder, certify(name, made, origin, steps, further))
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
            invented = invent(rows.split.train, rows.schema, recodings, columns, seed=seed)
        release = StudyRelease(
            name=name,
            why=plan.why,
            technique=plan.technique,
            of=plan.origin,
            folder=name,
            data_file=f"data.{plan.format}",
            synthetic=made.generator is not None,
            changes=self._changes(rows.schema, recodings),
            learned=() if made.generator is None else (*prepared, *made.generator.describe()),
            invented=invented,
            certificate=certificate,
            verification=verification,
            evaluation=evaluation,
        )
        self._write_evidence(release, folder, fingerprint)
        put_in_place(folder, self.out / name)
        return release

    def _changes(self, schema: Schema, recodings: Sequence[Recoding]) -> tuple[ColumnChange, ...]:
        order = {column: position for position, column in enumerate(schema.columns)}
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
        made = self._fingerprint(release.name, "made")
        facts = {
            "made": made,
            "fitted": self._fingerprint(release.name, "fitted"),
            "columns": list(release.certificate.columns),
            "fingerprint": fingerprint,
        }
        write_manifest(folder, facts)

    def _fingerprint(self, name: str, part: _Decided) -> str:
        """Return the hash of everything that decides about a part of a release.

        Of what was fitted nothing decides that is done with it only afterwards, such as how many
        rows are drawn: to draw more is not to ask the people again.
        """
        plan = self.plan.only(name).to_dict()
        plan["source"].pop("path", None)  # the bytes count, not where they lie
        plan.pop("name")
        if part != "evaluated":
            plan.pop("evaluation")
            for release in plan["release"]:
                release.pop("why", None)
        if part in ("prepared", "fitted"):
            for release in plan["release"]:
                for key in ("rows", "format", "shuffle"):
                    release.pop(key, None)
        if part == "prepared":
            plan["release"] = [
                {key: plan["release"][0].get(key) for key in ("budget", "insecure_seed")}
            ]
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
