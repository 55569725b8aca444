"""Everything that is measured of one data set, and all of it as JSON values."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from autoencoder_study_parts.leaks import Closeness, closeness
from autoencoder_study_parts.learning import Score, difference, tested
from autoencoder_study_parts.likeness import (
    ColumnLikeness,
    correlations,
    likeness,
    mean_difference,
)
from autoencoder_study_parts.tables import STUDIED, DataSet, Release

import sfumato as sf
from sfumato.evaluation.attacks.linkability import Linkability
from sfumato.evaluation.attacks.suite import AttackPlan, adjusted
from sfumato.evaluation.attacks.tables import AttackTables
from sfumato.release.plan import EvaluationPlan

__all__ = ["Measured", "Study", "measured", "plain", "published"]


@dataclass(frozen=True)
class Measured:
    """What was measured of one release."""

    release: Release
    learned: dict[str, Score]
    columns: list[ColumnLikeness]
    correlations: np.ndarray = field(repr=False)
    correlation_difference: float
    closeness: Closeness
    evaluation: sf.Evaluation

    def figure(self, key: str, target: str) -> float | None:
        """Return a figure by the key that published.toml calls it by."""
        head, _, column = key.partition("/")
        of_column = {one.name: one for one in self.columns}
        distances = [one.ks for one in self.columns if one.name != target]
        match head:
            case "own_source":
                return self.closeness.figures["copies/own_source"].value
            case "nearer_to_member":
                # as it was counted then: nearest member against nearest control
                return self.closeness.figures["membership/nearest_person"].value
            case "median_distance" | "median_distance_of_controls":
                return getattr(self.closeness, head)
            case "correlation_difference":
                return self.correlation_difference
            case "ks":
                return of_column[column].ks
            case "sd":
                return of_column[column].sd
            case "spread":
                return of_column[column].spread
            case "lowest_ks":
                return min(distances)
            case "highest_ks":
                return max(distances)
        return None


@dataclass(frozen=True)
class Study:
    """One data set: what the real rows teach, and what was measured of each release."""

    data: DataSet
    learned: dict[str, Score]
    correlations: np.ndarray = field(repr=False)
    releases: tuple[Measured, ...]


def published() -> dict[str, Any]:
    """Return the published figures."""
    text = Path(__file__).with_name("published.toml").read_text("utf-8")
    return tomllib.loads(text)


def measured(data: DataSet, attacks: tuple[str, ...], seed: int) -> Study:
    """Measure a data set; nothing is learned where there is no release to compare."""
    real = tested(data.members, data.controls, data.target, seed) if data.releases else {}
    releases = tuple(_release(data, release, attacks, seed) for release in data.releases)
    return Study(data, real, correlations(data.members), releases)


def _release(data: DataSet, release: Release, attacks: tuple[str, ...], seed: int) -> Measured:
    schema = sf.Schema(quasi_identifiers=data.quasi_identifiers, target=data.target, rest="other")
    evaluation = sf.evaluate(
        data.members,
        release.rows,
        schema,
        control=data.controls,
        target=data.target,
        plan=EvaluationPlan(attacks=AttackPlan(only=attacks)),
        name=release.title,
        synthetic=True,
        seed=seed,
    )
    near = closeness(data, release.rows, seed)
    # all tests of a release are judged together, these with the suite's
    risks = near.figures | evaluation.risks | _linked(data, release, schema, seed)
    evaluation = replace(evaluation, risks=adjusted(risks))
    return Measured(
        release,
        tested(release.rows, data.controls, data.target, seed),
        likeness(data, release.rows),
        correlations(release.rows),
        mean_difference(data, release.rows),
        near,
        evaluation,
    )


def _linked(data: DataSet, release: Release, schema: sf.Schema, seed: int) -> dict[str, sf.Figure]:
    """Ask whether two parties who hold the study's columns can join a person's two records."""
    tables = AttackTables.of(
        release.rows,
        data.members,
        data.controls,
        schema.check(data.members),
        target=data.target,
        synthetic=True,
        seed=seed,
    )
    found = Linkability(nearest=(5, 10), views=STUDIED[data.key].views).run(tables, seed=seed)
    return {
        key.replace("linkability/", "linkability/as_published/"): replace(
            figure, name=f"{figure.name}, by the study's columns"
        )
        for key, figure in found.items()
    }


def plain(
    results: Mapping[str, Study], known: Mapping[str, Any], checks: list[Any]
) -> dict[str, Any]:
    """Return all figures as JSON values."""
    return {
        "sfumato": sf.__version__,
        "published": dict(known),
        "checks": [asdict(check) for check in checks],
        "data": {key: _data_set(study) for key, study in results.items()},
    }


def _data_set(study: Study) -> dict[str, Any]:
    data = study.data
    return {
        "title": data.title,
        "target": data.target,
        "members": data.members.height,
        "controls": data.controls.height,
        "split": data.split,
        "left_out": not study.releases,
        "columns": data.members.columns,
        "correlations_real": _numbers(study.correlations),
        "trtr": {name: _score(score) for name, score in study.learned.items()},
        "releases": {one.release.key: _one(study, one) for one in study.releases},
    }


def _one(study: Study, one: Measured) -> dict[str, Any]:
    return {
        "title": one.release.title,
        "rows": one.release.rows.height,
        "tstr": {
            name: _score(score) | {"difference": difference(score, study.learned[name])}
            for name, score in one.learned.items()
        },
        "columns": [
            {key: _finite(value) for key, value in asdict(column).items()} for column in one.columns
        ],
        "correlations": _numbers(one.correlations),
        "mean_correlation_difference": one.correlation_difference,
        "median_distance": one.closeness.median_distance,
        "median_distance_of_controls": one.closeness.median_distance_of_controls,
        "log10_p_own_source": one.closeness.log10_p_own,
        "evaluation": one.evaluation.to_dict(),
    }


def _score(score: Score) -> dict[str, Any]:
    return {
        "accuracy": score.accuracy,
        "interval": score.interval,
        "auc": score.auc,
        "tested_on": len(score.right),
    }


def _numbers(matrix: np.ndarray) -> list[list[float]]:
    return [[round(float(value), 6) for value in row] for row in matrix]


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
