"""The study of Anonify: a k-anonymous table and samples of it, assessed in four ways.

Information loss, distributions, eight classifiers (as published, and honestly), risk and certainty.
Samples are drawn by :class:`~sfumato.anonymization.sampling.stratified.StratifiedSampling`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import polars as pl

from sfumato.anonymization.sampling.stratified import StratifiedSampling
from sfumato.errors import DataError, SchemaError, did_you_mean
from sfumato.evaluation.anonify.settings import AnonifySettings
from sfumato.progress import Progress, silent
from sfumato.release.folders import write_text
from sfumato.release.plan import derived_seed

if TYPE_CHECKING:
    from sfumato.evaluation.anonify import ClassifierScores, Distribution, Pairing
    from sfumato.evaluation.certainty import SamplingRisk
    from sfumato.evaluation.loss import InformationLoss
    from sfumato.table import Schema

__all__ = ["AnonifyStudy", "StudiedTable", "anonify_study"]

STUDY_FILE = "anonify.json"
REPORT_FILE = "report.html"
_FORMAT = 1

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class StudiedTable:
    """What is known of the anonymized table before it is sampled.

    Parameters
    ----------
    rows_original, rows
        Rows of the real table and of the anonymized one.
    classes, smallest_class
        Equivalence classes, and the rows of the smallest.
    smallest_class_without_suppressed
        The same without the class of suppressed rows; None if no other class is.
    suppressed
        Rows whose quasi-identifiers are all ``*``.
    """

    rows_original: int
    rows: int
    classes: int
    smallest_class: int
    smallest_class_without_suppressed: int | None
    suppressed: int


@dataclass(frozen=True)
class AnonifyStudy:
    """Everything that the study found.

    Parameters
    ----------
    settings
        What was asked for.
    quasi_identifiers, sensitive, target
        The columns that were looked at; no target, no classifiers.
    table
        The anonymized table.
    loss
        Its normalized certainty penalty, or None; ``loss_because`` says why.
    distributions
        A table for each quasi-identifier and sensitive column.
    risks
        By version (the anonymized table, and each share that is deleted).
    scores
        By classifier, version and convention.
    notes
        What the reader must know, a sentence each.
    """

    settings: AnonifySettings
    quasi_identifiers: tuple[str, ...]
    sensitive: tuple[str, ...]
    target: str | None
    table: StudiedTable
    loss: InformationLoss | None
    loss_because: str
    distributions: tuple[Distribution, ...]
    risks: Mapping[str, SamplingRisk]
    scores: tuple[ClassifierScores, ...]
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the study as plain JSON values."""
        return {
            "format": _FORMAT,
            "settings": self.settings.model_dump(mode="json"),
            "quasi_identifiers": list(self.quasi_identifiers),
            "sensitive": list(self.sensitive),
            "target": self.target,
            "table": asdict(self.table),
            "information_loss": None if self.loss is None else self.loss.to_dict(),
            "information_loss_because": self.loss_because,
            "distributions": [one.to_dict() for one in self.distributions],
            "risk_and_certainty": {name: risk.to_dict() for name, risk in self.risks.items()},
            "classifiers": [one.to_dict() for one in self.scores],
            "notes": list(self.notes),
        }

    def save(self, folder: str | Path) -> Path:
        """Write ``anonify.json`` and ``report.html`` into a folder, and return the report.

        Raises
        ------
        EngineError
            If the disk refuses.
        """
        from sfumato.release.report.anonify_report import render_anonify

        folder = Path(folder)
        record = json.dumps(self.to_dict(), indent=1, allow_nan=False, ensure_ascii=False)
        write_text(folder / STUDY_FILE, record + "\n")
        report = folder / REPORT_FILE
        write_text(report, render_anonify(self))
        return report


def anonify_study(
    original: Any,
    anonymized: Any,
    schema: Schema,
    *,
    target: str | None = None,
    settings: AnonifySettings | None = None,
    progress: Progress = silent,
) -> AnonifyStudy:
    """Assess a k-anonymous table, and samples of it, as Anonify's paper does.

    Parameters
    ----------
    original
        The real rows, a frame of any kind.
    anonymized
        Their k-anonymous form, whoever made it; its rows may stand in any order.
    schema
        Of the real rows: quasi-identifiers, sensitive columns, target.
    target
        The column to learn; the schema's by default. Without one no classifier is trained.
    settings
        Shares to delete, runs, bins, codes, classifiers; the paper's by default.
    progress
        Told how far the work is.

    Raises
    ------
    SchemaError
        If the schema does not fit the real rows, has no quasi-identifier, or the anonymized table
        lacks one.
    DataError
        If the tables cannot be compared.

    Notes
    -----
    S. Gaballah et al., "Anonify", PoPETs 2024(3), doi 10.56553/popets-2024-0069, section 6.
    """
    from sfumato.table import take

    real, released = take(original)[0], take(anonymized)[0]
    asked = settings or AnonifySettings()
    full = schema.check(real)
    names, sensitive = _columns(full, released, asked)
    target = target or full.target
    if target is not None and target not in real.columns:
        hint = did_you_mean(target, real.columns)
        raise SchemaError(f"the table has no column {target!r} to learn.{hint}")
    if target is not None and target not in released.columns:
        raise DataError(f"the anonymized table has no column {target!r} to learn")
    notes: list[str] = []
    samples = {
        share: _samples(released, names, share, asked)
        for share in dict.fromkeys((*asked.delete, asked.distribution_delete))
    }
    progress("drawing the samples", 1, 1)
    loss, because = _loss(real, released, full)
    drawn = samples[asked.distribution_delete]
    tables = _distributions(real, released, names, sensitive, asked, drawn, notes)
    risks = _risks(released, names, asked, samples)
    scores: tuple[ClassifierScores, ...] = ()
    if target is not None:
        chosen = {share: samples[share] for share in asked.delete}
        scores = _learned(real, released, full, target, asked, chosen, notes, progress)
    whole = risks[ANONYMIZED]
    return AnonifyStudy(
        settings=asked,
        quasi_identifiers=names,
        sensitive=sensitive,
        target=target,
        table=_studied(real, released, whole),
        loss=loss,
        loss_because=because,
        distributions=tables,
        risks=risks,
        scores=scores,
        notes=tuple(notes),
    )


ORIGINAL, ANONYMIZED = "original", "anonymized"


def sample_name(share: float) -> str:
    """Return what a sampled version is called, such as "30 % deleted"."""
    return f"{100 * share:.10g} % deleted"


def _columns(
    schema: Schema, released: pl.DataFrame, settings: AnonifySettings
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    names = schema.quasi_identifiers
    if not names:
        raise SchemaError("classes are made of quasi-identifiers, but the schema has none")
    for name in names:
        if name not in released.columns:
            hint = did_you_mean(name, released.columns)
            raise DataError(f"the anonymized table has no column {name!r}.{hint}")
    for where, named in (("bins", settings.bins), ("codes", settings.codes)):
        for name in named:
            if name not in schema.columns:
                hint = did_you_mean(name, schema.columns)
                raise SchemaError(f"{where}: no column {name!r} in the table.{hint}")
    studied = dict.fromkeys((*schema.sensitive, *([schema.target] if schema.target else [])))
    return names, tuple(name for name in studied if name in released.columns)


def _samples(
    released: pl.DataFrame, names: Sequence[str], share: float, settings: AnonifySettings
) -> tuple[Flags, ...]:
    """Return which rows each sample keeps."""
    from sfumato.table import Schema

    schema = Schema(quasi_identifiers=names, rest="other")
    kept = []
    for run in range(settings.runs):
        seed = derived_seed(settings.seed, "anonify", sample_name(share), str(run))
        sampling = StratifiedSampling(delete=share, seed=seed)
        kept.append(sampling.fit(released, schema).kept_rows(released).to_numpy())
    return tuple(kept)


def _loss(
    real: pl.DataFrame, released: pl.DataFrame, schema: Schema
) -> tuple[InformationLoss | None, str]:
    from sfumato.evaluation.loss import information_loss

    try:
        return information_loss(real, released, schema, measure="ncp"), ""
    except (DataError, SchemaError) as error:
        return None, str(error)


def _distributions(
    real: pl.DataFrame,
    released: pl.DataFrame,
    names: Sequence[str],
    sensitive: Sequence[str],
    settings: AnonifySettings,
    drawn: Sequence[Flags],
    notes: list[str],
) -> tuple[Distribution, ...]:
    from sfumato.evaluation.anonify import bins_of, distributions

    bins = []
    for name in names:
        try:
            bins.append(bins_of(real[name], settings.bins.get(name)))
        except SchemaError as error:
            if name in settings.bins:
                raise
            notes.append(f"No distribution by {name}: {error}.")
    found = distributions(real, released, bins, sensitive, drawn)
    for name in dict.fromkeys(one.quasi_identifier for one in found):
        left = next(one.left_out_anonymized for one in found if one.quasi_identifier == name)
        if left > released.height / 2:
            notes.append(
                f"By {name}, {left:,} of {released.height:,} anonymized rows are in no bin: their "
                f"values are wider than the bins. Give wider ones (bins.{name})."
            )
    return found


def _risks(
    released: pl.DataFrame,
    names: Sequence[str],
    settings: AnonifySettings,
    samples: Mapping[float, Sequence[Flags]],
) -> dict[str, SamplingRisk]:
    """Return risk and certainty; every sample of a share has the same, so that one is enough."""
    from sfumato.evaluation.certainty import sampling_risk

    shown = released.select(names)
    found = {ANONYMIZED: sampling_risk(shown, shown, names)}
    for share in settings.delete:
        sample = shown.filter(pl.Series(samples[share][0]))
        found[sample_name(share)] = sampling_risk(shown, sample, names)
    return found


def _studied(real: pl.DataFrame, released: pl.DataFrame, risk: SamplingRisk) -> StudiedTable:
    with_them, without = risk.with_suppressed, risk.without_suppressed
    others = 0 if without is None else without.people
    return StudiedTable(
        rows_original=real.height,
        rows=released.height,
        classes=with_them.classes,
        smallest_class=round(1 / with_them.highest_risk),
        smallest_class_without_suppressed=None
        if without is None
        else round(1 / without.highest_risk),
        suppressed=with_them.people - others,
    )


def _learned(
    real: pl.DataFrame,
    released: pl.DataFrame,
    schema: Schema,
    target: str,
    settings: AnonifySettings,
    samples: Mapping[float, tuple[Flags, ...]],
    notes: list[str],
    progress: Progress,
) -> tuple[ClassifierScores, ...]:
    from sfumato.evaluation.anonify.learning import Version, learn
    from sfumato.evaluation.anonify.study_encoding import StudyEncoding
    from sfumato.evaluation.anonify.whose import pair_rows
    from sfumato.evaluation.classes import classes_of

    left_out = {*schema.identifiers, schema.person, target}
    columns = [name for name in real.columns if name in released.columns and name not in left_out]
    if not columns:
        raise DataError(f"there is no column to learn {target!r} from")
    classes = classes_of(real, released, target).said()
    pairing = pair_rows(real, released, schema.quasi_identifiers, schema.hierarchies)
    notes += _told(pairing, released)
    encoding = StudyEncoding.of(columns, (real, released), settings.codes)
    labelled = classes.train >= 0, classes.test >= 0
    if not (labelled[0].all() and labelled[1].all()):
        raise DataError(f"the target {target!r} is missing in some rows: leave them out first")
    mine = None if pairing.because else pairing.of_released
    matrix = encoding.matrix(released)
    versions = [Version(ORIGINAL, encoding.matrix(real), classes.train)]
    versions += [
        Version(name, matrix, classes.test, kept, mine, pairing.because)
        for name, kept in (
            (ANONYMIZED, ()),
            *((sample_name(share), kept) for share, kept in samples.items()),
        )
    ]
    return learn(versions, settings, classes.names, classes.positive, target, progress=progress)


def _told(pairing: Pairing, released: pl.DataFrame) -> list[str]:
    told = []
    if pairing.because:
        told.append(
            f"No honest score of the anonymized versions: {pairing.because}, so that it cannot be "
            "told which released rows are the test people's."
        )
    elif pairing.by == "content":
        told.append(
            "The anonymized rows stand in another order than the real ones. Whose row is whose was "
            "found by the cells that agree; rows that are alike in all that is shown may be "
            "exchanged."
        )
        if pairing.unpaired:
            told.append(
                f"{pairing.unpaired:,} of {released.height:,} anonymized rows can be no real row: "
                "the release changed more than the quasi-identifiers."
            )
    told.append(
        "The anonymized table was made with the test people among the others, as any release is; "
        "the honest scores train on no row of theirs, but the outlines were drawn with them."
    )
    return told
