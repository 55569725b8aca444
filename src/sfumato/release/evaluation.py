"""What one release was measured to be: risk and use, each figure with what it is compared to."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from sfumato.errors import DataError
from sfumato.progress import Progress, silent
from sfumato.release.folders import write_text

if TYPE_CHECKING:
    from sfumato.anonymization.recoding import Recoding
    from sfumato.evaluation import Fidelity, Figure, Learned
    from sfumato.evaluation.integrity_findings import IntegrityFinding
    from sfumato.evaluation.utility import Utility
    from sfumato.release.plan import EvaluationPlan
    from sfumato.table import Schema

__all__ = ["EVALUATION_FILE", "Evaluation", "evaluate"]

EVALUATION_FILE = "evaluation.json"
_FORMAT = 2
_INSIDE = "the reason names numbers and is told inside the house only"
_NOTE_INSIDE = "What else was left out names numbers and is told inside the house only."


@dataclass(frozen=True)
class Evaluation:
    """Risk and use of one release.

    Parameters
    ----------
    release
        Name of the release.
    rows_real, rows_released, rows_control
        Rows that the release was made from, that it holds, and that were kept from it.
    risks
        Figures of what an attacker finds, by a short key such as "prosecutor_highest".
    utility
        Figures of what is kept, by a short key: those of the fidelity, and each score of each
        result in ``learned`` as "auc/mlp/honest".
    fidelity
        The comparison column by column, or None if it was not asked for.
    learned
        One result for each model and protocol.
    not_run
        What was left out and why, a sentence each.
    use
        What the release is still good for, with its tables; None if it was not asked.
    integrity
        What the file itself gives away: one finding for each check.
    judgements
        What is said under each policy of the plan, as plain values.
    inputs
        SHA-256 of what was compared, by "real", "released" and "control"; empty where a study's
        certificate tells it.
    """

    release: str
    rows_real: int
    rows_released: int
    rows_control: int
    risks: dict[str, Figure]
    utility: dict[str, Figure]
    fidelity: Fidelity | None
    learned: tuple[Learned, ...]
    not_run: tuple[str, ...] = ()
    use: Utility | None = None
    integrity: tuple[IntegrityFinding, ...] = ()
    judgements: tuple[dict[str, Any], ...] = ()
    inputs: dict[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the evaluation as plain JSON values."""
        return {
            "format": _FORMAT,
            "release": self.release,
            "rows_real": self.rows_real,
            "rows_released": self.rows_released,
            "rows_control": self.rows_control,
            "risks": {key: figure.to_dict() for key, figure in self.risks.items()},
            "utility": {key: figure.to_dict() for key, figure in self.utility.items()},
            "fidelity": None if self.fidelity is None else self.fidelity.to_dict(),
            "learned": [learned.to_dict() for learned in self.learned],
            "not_run": list(self.not_run),
            "use": None if self.use is None else self.use.to_dict(),
            "integrity": [asdict(finding) for finding in self.integrity],
            "judgements": list(self.judgements),
            "inputs": self.inputs,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Return the evaluation that :meth:`to_dict` described."""
        from sfumato.evaluation import Fidelity, Learned
        from sfumato.evaluation.integrity_findings import IntegrityFinding
        from sfumato.evaluation.utility import Utility

        if values["format"] != _FORMAT:
            raise DataError(f"an evaluation of format {_FORMAT} is needed")
        fidelity = values["fidelity"]
        return cls(
            release=values["release"],
            rows_real=values["rows_real"],
            rows_released=values["rows_released"],
            rows_control=values["rows_control"],
            risks=_figures(values["risks"]),
            utility=_figures(values["utility"]),
            fidelity=None if fidelity is None else Fidelity.from_dict(fidelity),
            learned=tuple(Learned.from_dict(learned) for learned in values["learned"]),
            not_run=tuple(values["not_run"]),
            use=None if values["use"] is None else Utility.from_dict(values["use"]),
            integrity=tuple(
                IntegrityFinding(**{**finding, "columns": tuple(finding["columns"])})
                for finding in values["integrity"]
            ),
            judgements=tuple(values["judgements"]),
            inputs=dict(values["inputs"]),
        )

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """Read an evaluation file.

        Raises
        ------
        DataError
            If the file is absent or not an evaluation.
        """
        try:
            return cls.from_dict(json.loads(Path(path).read_text("utf-8")))
        except (DataError, OSError, ValueError, KeyError, TypeError, AttributeError):
            raise DataError(f"{path} is not an evaluation that this sfumato can read") from None

    def write(self, path: str | Path) -> None:
        """Write the evaluation as JSON, whole or not at all."""
        text = json.dumps(self.to_dict(), indent=1, allow_nan=False)
        write_text(path, text + "\n")

    def outward(self) -> Self:
        """Return what may leave the house: rounded aggregates, without distributions and findings.

        An evaluation is itself a release. Exact counts of few people, least and greatest values
        and histograms stay inside; see :func:`sfumato.evaluation.outward` for the rounding. So do
        sentences that name numbers: why a figure was not computed, what was left out, and by how
        much a limit is kept.
        """
        from sfumato.evaluation import outward

        people = self.rows_real + self.rows_control
        return replace(
            self,
            risks=_without_reasons(outward(self.risks, people=people)),
            utility=_without_reasons(outward(self.utility, people=people)),
            fidelity=None,
            learned=(),
            use=None,
            integrity=(),
            not_run=tuple(
                dict.fromkeys(_without_numbers(note, _NOTE_INSIDE) for note in self.not_run)
            ),
            judgements=tuple(_without_values(one, self.risks) for one in self.judgements),
        )

    def save(self, folder: str | Path) -> Path:
        """Write the evaluation into a folder, and return its report.

        ``evaluation.json`` and ``report.html`` are for the house; ``outward.html`` holds rounded
        aggregates only (:meth:`outward`).

        Raises
        ------
        EngineError
            If the disk refuses.
        """
        from sfumato.release.report import render_evaluation

        folder = Path(folder)
        self.write(folder / EVALUATION_FILE)
        report = folder / "report.html"
        write_text(report, render_evaluation(self))
        write_text(folder / "outward.html", render_evaluation(self.outward(), for_others=True))
        return report


def evaluate(
    real: Any,
    released: Any,
    schema: Schema,
    *,
    control: Any = None,
    target: str | None = None,
    recoding: Recoding | None = None,
    plan: EvaluationPlan | None = None,
    name: str = "release",
    synthetic: bool = False,
    seed: int = 0,
    progress: Progress = silent,
) -> Evaluation:
    """Measure the risk and the use of a release, whoever made it.

    Parameters
    ----------
    real
        The rows that the release was made from; a frame of any kind.
    released
        The released rows, or a :class:`~sfumato.release.Release`, which brings its recoding.
    schema
        The schema of the real rows.
    control
        Real rows of people who are not in the release. Without them nothing can be learned and
        tested, and no risk has its control.
    target
        The column to learn; the schema's by default.
    recoding
        The fitted recoding by which the release was made, so that real rows can be written as
        the release writes them. Without it, columns that are written otherwise are left out of
        the comparison and named in ``not_run``.
    plan
        What to measure. By default everything; what can be learned is measured with
        gradient-boosted trees, on the release and on the real rows.
    name
        What to call the release.
    synthetic
        Whether the released rows were drawn from a model, so that none stands for one person; a
        :class:`~sfumato.release.Release` tells it by itself.
    seed
        Of every random step.
    progress
        Told how far the work is.

    Raises
    ------
    DataError
        If the tables cannot be compared.
    SchemaError
        If the schema does not fit the real rows.
    """
    from sfumato.release.assessment import assess
    from sfumato.release.compared import Compared
    from sfumato.release.making import content_sha256
    from sfumato.release.plan import EvaluationPlan, LearningPlan
    from sfumato.release.release import Release
    from sfumato.table import take

    real_rows, _ = take(real)
    control_rows = None if control is None else take(control)[0]
    schema = schema.check(real_rows)
    if plan is None:
        plan = EvaluationPlan(learning=LearningPlan(models=("gradient-boosting",)))
    if isinstance(released, Release):
        recoding = recoding or released.recoding
        synthetic = released.generator is not None
        name = released.name if name == "release" else name
        released = released.made.data
    released_rows = take(released)[0]
    compared = replace(
        Compared.of(name, real_rows, released_rows, control_rows, schema, recoding),
        synthetic=synthetic,
    )
    wanted = target or plan.target or schema.target
    found = assess(compared, plan, target=wanted, seed=seed, real_too=True, progress=progress)
    tables = {"real": real_rows, "released": released_rows, "control": control_rows}
    hashes = {key: content_sha256(one) for key, one in tables.items() if one is not None}
    return replace(found, inputs=hashes)


def _figures(values: Mapping[str, Any]) -> dict[str, Figure]:
    from sfumato.evaluation import Figure

    return {key: Figure.from_dict(given) for key, given in values.items()}


def _without_numbers(sentence: str, otherwise: str = "") -> str:
    """Return a sentence that names no number, or what is said in the place of one that does."""
    return sentence if not any(sign.isdigit() for sign in sentence) else otherwise


def _without_reasons(figures: Mapping[str, Figure]) -> dict[str, Figure]:
    return {
        key: replace(figure, because=_without_numbers(figure.because, _INSIDE))
        for key, figure in figures.items()
    }


def _without_values(judgement: Mapping[str, Any], risks: Mapping[str, Figure]) -> dict[str, Any]:
    """Return what is said under a policy, but not how far the figure is from the limit."""
    policy, key = judgement["policy"], judgement["figure"]
    name = risks[key].name if key in risks else key
    limit = "" if policy["limit"] is None else f", {policy['direction']} {policy['limit']:.4g}"
    return {
        **judgement,
        "value": None,
        "reach": None,
        "sentence": f"{policy['name']}, {name}{limit}. Source: {policy['source']}.",
    }
