"""`sfumato sample` and `sfumato assess`: samples of a k-anonymous table and their worth."""

from __future__ import annotations

import json
import shutil
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sfumato.errors import PlanError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import polars as pl

    from sfumato.anonymization.sampling.stratified import StratifiedSampling
    from sfumato.cli.console import Console
    from sfumato.cli.other_configurations import SamplingConfiguration
    from sfumato.release.anonify import AnonifyStudy
    from sfumato.table import Schema, Source

__all__ = [
    "assess_release",
    "percent",
    "refuse_beside_configuration",
    "sample_by_configuration",
    "sample_table",
]

SUMMARY_FILE = "summary.json"


def sample_table(
    console: Console,
    where: Source,
    schema_file: Path | None,
    settings: Mapping[str, Any],
    *,
    runs: int,
    out: Path,
) -> None:
    """Write samples of a table, with a summary.

    Parameters
    ----------
    schema_file
        Says the quasi-identifiers; an error without it.
    settings
        Of the sampling; the i-th run has the i-th seed from the one given on.
    runs
        How many samples.
    """
    from sfumato.table import Schema

    if schema_file is None:
        raise PlanError("--schema is needed: it says which columns are quasi-identifiers")
    if settings.get("delete") is None:
        raise PlanError("--delete is needed: the share of every class, 0 to 1, that is deleted")
    name = Path(where.path.removesuffix(".gz")).stem if where.path else "table"
    sampling = _sampling(settings)
    _write(console, where, Schema.read(schema_file), sampling, name, runs, out)


def sample_by_configuration(
    console: Console,
    configuration: SamplingConfiguration,
    where: Source,
    settings: Mapping[str, Any],
    *,
    out: Path,
) -> None:
    """Write the samples that a file of Anonify asks for.

    Parameters
    ----------
    where
        The input of the file.
    settings
        Of the sampling, but for what the file says.
    """
    from sfumato.table import Schema

    sampling = _sampling({**settings, "delete": configuration.deletion_percentage})
    schema = Schema(quasi_identifiers=configuration.qids, rest="other")
    _write(console, where, schema, sampling, configuration.id, configuration.num_experiments, out)


def assess_release(
    console: Console,
    original: Source,
    anonymized: Source,
    schema_file: Path,
    settings: Mapping[str, Any],
    *,
    target: str | None,
    out: Path,
) -> None:
    """Assess a k-anonymous table and samples of it as Anonify does, and write the report."""
    from sfumato.evaluation.anonify.settings import AnonifySettings
    from sfumato.release.anonify import anonify_study
    from sfumato.table import Schema, read_with_report

    asked = AnonifySettings.of(settings)  # a wrong setting is told before anything is read
    schema = Schema.read(schema_file)
    real = read_with_report(original.said_by(schema)).frame
    released = read_with_report(anonymized).frame
    console.say(f"read {real.height:,} real and {released.height:,} anonymized rows")
    with console.progress() as progress:
        study = anonify_study(
            real, released, schema, target=target, settings=asked, progress=progress
        )
    report = study.save(out)
    console.result(study.to_dict(), [*_study_words(study), f"report: {report}"])


def percent(share: float) -> str:
    """Return a share as percent, in as many digits as it was written with.

    Examples
    --------
    >>> percent(0.3), percent(0.29), percent(0.125), percent(1.0)
    ('30', '29', '12.5', '100')
    """
    return format((Decimal(repr(share)) * 100).normalize(), "f")


def _sampling(settings: Mapping[str, Any]) -> StratifiedSampling:
    from sfumato.anonymization.sampling.stratified import StratifiedSampling

    return StratifiedSampling.of({k: v for k, v in settings.items() if v is not None})


def _write(
    console: Console,
    where: Source,
    schema: Schema,
    sampling: StratifiedSampling,
    name: str,
    runs: int,
    out: Path,
) -> None:
    """Draw the samples and put their folder in place, whole or not at all."""
    from sfumato.release.folders import (
        disk_errors,
        put_in_place,
        recover,
        refuse_foreign,
        write_manifest,
        write_text,
    )

    out = out.absolute()
    recover(out)
    refuse_foreign(out)
    table = _read_cells(console, where, schema)
    full = schema.check(table)
    if full.identifiers:
        console.say(f"identifiers are left out: {', '.join(full.identifiers)}")
    part = out.with_name(f".{out.name}.part")
    with disk_errors(out):
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
    try:
        samples = []
        with console.progress() as progress:
            for run in range(runs):
                progress("sampling", run, runs)
                file = f"{name}_sampled_p{percent(sampling.delete)}_t{run}.csv"
                samples.append(_sample(table, full, sampling, run, part / file))
            progress("sampling", runs, runs)
        summary = {
            "quasi_identifiers": list(sampling.quasi_identifiers or full.quasi_identifiers),
            "delete": sampling.delete,
            "k": sampling.k,
            "keep_k": sampling.keep_k,
            "suppressed": sampling.suppressed,
            "runs": samples,
        }
        text = json.dumps(summary, indent=1, allow_nan=False, ensure_ascii=False)
        write_text(part / SUMMARY_FILE, text + "\n")
        write_manifest(part, {"samples": name})
        put_in_place(part, out)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    console.result({"folder": str(out), **summary}, _words(summary, out))


def _sample(
    table: pl.DataFrame, schema: Schema, sampling: StratifiedSampling, run: int, path: Path
) -> dict[str, Any]:
    """Write one sample and return what is known of it."""
    import polars as pl

    from sfumato.evaluation.certainty import sampling_risk
    from sfumato.table import write

    chosen = sampling.model_copy(update={"seed": sampling.seed + run})
    recoding = chosen.fit(table, schema)
    kept = recoding.kept_rows(table)
    names = [name for name in table.columns if name not in schema.identifiers]
    sample = table.filter(pl.Series(kept))
    write(sample.select(names), path)
    risk = sampling_risk(table, sample, recoding.columns, person=schema.person)
    return {
        "file": path.name,
        "seed": chosen.seed,
        "counts": recoding.counts.to_dict(),
        "risk_and_certainty": risk.to_dict(),
    }


def _read_cells(console: Console, where: Source, schema: Schema) -> pl.DataFrame:
    """Read a table; of a text file every cell as it is written, so that it is handed on so."""
    from sfumato.table import read_with_report

    said = where.said_by(schema)
    if where.path is not None and Path(where.path).suffix.lower() not in (
        ".parquet",
        ".xlsx",
        ".xls",
    ):
        first = read_with_report(where, n_rows=1)
        types = dict.fromkeys(first.frame.columns, "text")
        said = said.model_copy(update={"types": types, "delimiter": first.delimiter})
    reading = said.report()
    console.say(f"read {reading.frame.height:,} rows, {reading.frame.width} columns")
    return reading.frame


def _words(summary: Mapping[str, Any], out: Path) -> list[str]:
    words = []
    for run in summary["runs"]:
        counts, risk = run["counts"], run["risk_and_certainty"]["with_suppressed"]
        unit = "persons" if counts["counts_persons"] else "rows"
        words.append(
            f"{run['file']}: {counts['rows_after']:,} of {counts['rows_before']:,} rows, "
            f"{counts['classes_after']:,} of {counts['classes_before']:,} classes; smallest class "
            f"{counts['smallest_before']:,} before, {counts['smallest_after']:,} after ({unit}); "
            f"average risk {100 * risk['average_risk']:.6f} %, "
            f"average certainty {100 * risk['average_certainty']:.3f} %"
        )
        if counts["suppressed_before"]:
            without = counts["smallest_after_without_suppressed"]
            words.append(
                f"  {counts['suppressed_before']:,} suppressed {unit} are a class of their own, "
                f"{counts['suppressed_after']:,} of them are left; without it the smallest class "
                + (f"has {without:,}" if without is not None else "is none")
            )
        if counts["classes_below_k"]:
            words.append(
                f"  {counts['classes_below_k']:,} classes are smaller than k = {counts['k']}"
            )
        if counts["classes_dropped"]:
            words.append(f"  {counts['classes_dropped']:,} classes were left out whole")
    return [*words, f"samples: {out}"]


def _study_words(study: AnonifyStudy) -> Sequence[str]:
    words = []
    if study.loss is not None:
        words.append(f"information loss (NCP): {100 * study.loss.value:.6f} %")
    for name, risk in study.risks.items():
        found = risk.with_suppressed
        words.append(
            f"{name}: average risk {100 * found.average_risk:.6f} %, highest "
            f"{100 * found.highest_risk:.6f} %; average certainty "
            f"{100 * found.average_certainty:.3f} %"
        )
    for one in study.scores:
        if "f1" in one.scores:
            told = ", ".join(f"{key} {spread.median:.4f}" for key, spread in one.scores.items())
            words.append(f"{one.classifier} on {one.version} [{one.convention}]: {told}")
        elif one.because:
            words.append(f"{one.classifier} on {one.version} [{one.convention}]: {one.because}")
    words += [f"note: {note}" for note in study.notes]
    return words


def refuse_beside_configuration(path: Path, given: Mapping[str, Any]) -> None:
    """Refuse options that say again what a configuration file says.

    Raises
    ------
    PlanError
        Naming the first.
    """
    for option, value in given.items():
        if value is not None:
            raise PlanError(f"{path} says it all: leave out {option}, or give a table in its place")
