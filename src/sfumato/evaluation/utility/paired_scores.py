"""Scores of a pair of models, learned from the release and from as many real rows.

References
----------
DeLong, DeLong & Clarke-Pearson, Biometrics 44 (1988) (paired areas); Jaeckel 1972 (infinitesimal
jackknife, paired by test row).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from sfumato.errors import DataError, PlanError
from sfumato.evaluation.comparison import compare
from sfumato.evaluation.estimates import NORMAL_95
from sfumato.evaluation.figures import Figure
from sfumato.evaluation.learned import Learned
from sfumato.evaluation.models import model_name
from sfumato.evaluation.utility.number_learning import (
    NUMBER_SCORES,
    NumberScore,
    number_scores,
    predict_numbers,
)
from sfumato.evaluation.utility.records import Record, absent
from sfumato.table import Schema

__all__ = ["PairedScore", "paired_classes", "paired_numbers"]

_SCORES = ("auc", "average_precision", "balanced_accuracy", "f1", "accuracy", "brier")


@dataclass(frozen=True)
class PairedScore(Record):
    """One score of one model, learned from the release and from as many real rows.

    Parameters
    ----------
    model, score
        Their names.
    released, real
        The score after learning from either, on the same real test rows.
    difference
        Released minus real, with its paired interval.
    """

    model: str
    score: str
    released: Figure
    real: Figure
    difference: Figure


def paired_classes(released: Learned, real: Learned) -> list[PairedScore]:
    """Return the scores of a pair of classifiers, and their differences on the same test rows.

    Parameters
    ----------
    released, real
        What one model learned from either table, from :func:`sfumato.evaluation.train_and_test`.
    """
    differences: dict[str, Figure] = {}
    because = "no model learned from one of the tables: its target is of one class"
    if released.prediction is not None and real.prediction is not None:
        try:
            differences = compare(released, real)
        except DataError as error:
            because = str(error)
    found = []
    for key in _SCORES:
        ours, theirs = released.scores[key], real.scores[key]
        difference = differences.get(key) or absent(
            f"difference in {ours.name}, released minus real",
            because,
            ours.source,
            unit="share",
            direction=ours.direction,
        )
        found.append(
            PairedScore(released.model, key, _with_control(ours, theirs), theirs, difference)
        )
    return found


def _with_control(ours: Figure, theirs: Figure) -> Figure:
    return replace(
        ours,
        control=theirs.value,
        not_shown="What chance in training does: each model learned once. The control is what as "
        "many real rows teach.",
    )


def paired_numbers(
    trains: list[pl.DataFrame],
    tests: tuple[pl.DataFrame, pl.DataFrame],
    schemas: tuple[Schema | None, Schema | None],
    target: str,
    model: object,
    seed: int,
) -> list[PairedScore]:
    """Learn a number from either table, and return its scores on the same test rows.

    Parameters
    ----------
    trains, tests, schemas
        Released and real rows to learn from; the test rows written as either is; their schemas.
    target, model, seed
        As in :func:`sfumato.evaluation.utility.number_learning.predict_numbers`.
    """
    actual = tests[1][target].cast(pl.Float64).to_numpy()
    known = np.isfinite(actual)
    results, called, because = [], model_name(model), ""
    for train, test, schema in zip(trains, tests, schemas, strict=True):
        try:
            called, predicted = predict_numbers(
                train, test, schema, target=target, model=model, seed=seed
            )
        except (DataError, PlanError) as error:
            because = str(error)
            break
        results.append(number_scores(actual[known], predicted[known]))
    mean = float(actual[known].mean())
    by_guess = number_scores(actual[known], np.full(int(known.sum()), mean))
    found = []
    for key, (name, direction, source) in NUMBER_SCORES.items():
        unit = "share" if key == "r2" else f"units of {target}"
        pair = [one[key] for one in results]
        told = because or next((one for one in pair if isinstance(one, str)), "")
        scores = [one for one in pair if isinstance(one, NumberScore)]
        if told or len(scores) < 2:
            nothing = absent(name, told, source, unit=unit, direction=direction)
            found.append(PairedScore(called, key, nothing, nothing, nothing))
            continue
        guess = by_guess[key]
        made = [
            Figure(
                name=name,
                value=one.value,
                unit=unit,
                direction=direction,
                meaning=f"Of a model of {target}, on real test rows.",
                source=source,
                interval=_normal(one.value, one.standard_error),
                interval_method="infinitesimal jackknife over test rows, 95 %",
                baseline=guess.value if isinstance(guess, NumberScore) else None,
                control=scores[1].value if place == 0 else None,
            )
            for place, one in enumerate(scores)
        ]
        change = NumberScore(
            scores[0].value - scores[1].value, scores[0].influence - scores[1].influence
        )
        low, high = _normal(change.value, change.standard_error)
        difference = Figure(
            name=f"difference in {name}, released minus real",
            value=change.value,
            unit=unit,
            direction=direction,
            meaning="The release teaches no less beyond the noise of the test rows."
            if low <= 0 <= high
            else "The release and as many real rows differ beyond the noise of the test rows.",
            source=source,
            interval=(low, high),
            interval_method="paired by test row: infinitesimal jackknife, 95 %",
            baseline=0.0,
        )
        found.append(PairedScore(called, key, made[0], made[1], difference))
    return found


def _normal(value: float, spread: float) -> tuple[float, float]:
    return value - NORMAL_95 * spread, value + NORMAL_95 * spread
