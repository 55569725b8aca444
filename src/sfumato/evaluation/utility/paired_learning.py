"""What can be learned from a release, beside what as many real rows teach.

A model learns once from released rows and once from equally many real ones, with the same seed, and
both are tested on the same real people. Most of the noise of the test rows cancels in the
difference. Group by group, the same pair tells whether the release makes a model less fair.

References
----------
Esteban, Hyland & Rätsch, arXiv 1706.02633 (train on synthetic, test on real). DeLong, DeLong &
Clarke-Pearson, Biometrics 44 (1988) (paired areas). Hardt, Price & Srebro, "Equality of opportunity
in supervised learning", NeurIPS 2016 (equalized odds); Dwork et al., ITCS 2012 (demographic
parity).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from sfumato.errors import DataError, PlanError
from sfumato.evaluation.classes import MOST_CLASSES
from sfumato.evaluation.figures import Figure
from sfumato.evaluation.learned import Learned
from sfumato.evaluation.learning import train_and_test
from sfumato.evaluation.models import model_name
from sfumato.evaluation.utility.fairness import FairnessGap, fairness_gaps
from sfumato.evaluation.utility.paired_scores import (
    PairedScore,
    paired_classes,
    paired_numbers,
)
from sfumato.evaluation.utility.records import Record, absent, random_stream
from sfumato.evaluation.utility.threads import one_thread
from sfumato.progress import Progress, silent
from sfumato.table import Schema

__all__ = ["PairedLearning", "learn_in_pairs"]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

_SOURCE = "Esteban et al., arXiv 1706.02633"
_FEWEST = 10


@dataclass(frozen=True)
class PairedLearning(Record):
    """What the release teaches, and what as many real rows do.

    Parameters
    ----------
    figures
        ``learning/<model>/<score>/released`` (its control is what the real rows teach) and
        ``.../difference``; ``fairness/<model>/<column>/<measure>``, the difference of the gaps.
    scores
        Model by model and score by score.
    fairness
        Gaps between groups, after learning from either.
    rows_train, rows_test
        Rows that each model learned from, and was tested on.
    """

    figures: dict[str, Figure]
    scores: tuple[PairedScore, ...]
    fairness: tuple[FairnessGap, ...]
    rows_train: int
    rows_test: int


def learn_in_pairs(
    released: pl.DataFrame,
    real: pl.DataFrame,
    test: pl.DataFrame | None,
    schema: Schema | None,
    *,
    target: str | None,
    models: tuple[object, ...],
    test_as_released: pl.DataFrame | None = None,
    schema_as_released: Schema | None = None,
    groups: dict[str, Integers] | None = None,
    group_names: dict[str, tuple[str, ...]] | None = None,
    most: int = 20_000,
    bootstrap: int = 200,
    seed: int = 0,
    progress: Progress = silent,
) -> PairedLearning:
    """Learn from released and from as many real rows, and test both on the same people.

    Parameters
    ----------
    released, real
        Rows to learn from.
    test
        Real rows of other people, written as ``real`` is; None if there are none.
    schema
        Which columns are no features.
    target
        The column to predict: classes, or a number (of more than 50 values, or with fractions).
    models
        Names or scikit-learn estimators; each learns anew.
    test_as_released
        The same test rows in the same order, written as the release is; ``test`` by default.
    schema_as_released
        Schema of the release; ``schema`` by default.
    groups, group_names
        For columns whose groups are looked at, the group of each test row (shape (test rows,), -1
        for none), and what the groups are called.
    most
        Most rows that a model learns from.
    bootstrap
        Repetitions of the bootstrap for the gaps between groups.
    seed
        Of drawing rows and of the models.
    progress
        Told by the models.
    """
    shown = test if test_as_released is None else test_as_released
    because = _obstacle(released, real, test, shown, target)
    if because or test is None or shown is None or target is None:
        return _nothing(because)
    by_number = is_number(real[target], test[target])
    known = _known(released[target], by_number=by_number), _known(real[target], by_number=by_number)
    size = min(most, *(len(one) for one in known))
    if size < _FEWEST:
        return _nothing(f"fewer than {_FEWEST} rows of a table hold the target {target!r}")
    trains = []
    for table, rows, word in ((released, known[0], "released"), (real, known[1], "real")):
        drawn = random_stream(seed, "learning", word).permutation(rows)[:size]
        trains.append(table[np.sort(drawn)])
    if by_number:
        trains[0] = trains[0].with_columns(pl.col(target).cast(pl.Float64, strict=False))
    schemas = schema_as_released or schema, schema
    tests = shown, test
    figures: dict[str, Figure] = {}
    scores: list[PairedScore] = []
    gaps: list[FairnessGap] = []
    for model in models:
        with one_thread():  # on so few rows threads cost more than they save
            if by_number:
                scores += paired_numbers(trains, tests, schemas, target, model, seed)
                continue
            learned = _classes(trains, tests, schemas, target, model, seed, progress)
        if isinstance(learned, str):
            figures[f"learning/{model_name(model)}"] = absent(
                f"what {model_name(model)} learns from the release",
                learned,
                _SOURCE,
                unit="share",
                direction="higher is better",
            )
            continue
        scores += paired_classes(*learned)
        gaps += _gaps(*learned, groups or {}, group_names or {}, tests, target, bootstrap, seed)
    for one in scores:
        key = f"learning/{one.model}/{one.score}"
        figures |= {f"{key}/released": one.released, f"{key}/difference": one.difference}
    for gap in gaps:
        figures[f"fairness/{gap.model}/{gap.column}/{gap.measure}"] = gap.difference
    return PairedLearning(figures, tuple(scores), tuple(gaps), size, test.height)


def _nothing(because: str) -> PairedLearning:
    figure = absent(
        "what a model learns from the release, less what as many real rows teach",
        because,
        _SOURCE,
        unit="share",
        direction="higher is better",
    )
    return PairedLearning({"learning/difference": figure}, (), (), 0, 0)


def _obstacle(
    released: pl.DataFrame,
    real: pl.DataFrame,
    test: pl.DataFrame | None,
    shown: pl.DataFrame | None,
    target: str | None,
) -> str:
    if target is None:
        return "no target is named, or the release does not have it"
    if test is None or shown is None or test.is_empty():
        return "there are no control rows to test on"
    if test.height != shown.height:
        return "the control rows written as the release is are not the same rows"
    for table, what in ((released, "released"), (real, "real"), (test, "control")):
        if target not in table.columns:
            return f"the {what} rows have no target {target!r}"
        if table[target].null_count() == table.height:
            return f"the target is missing in all {what} rows"
        if table.width < 2:
            return "there is no column to learn from"
    return ""


def is_number(real: pl.Series, test: pl.Series) -> bool:
    """Return whether a target is predicted as a number: a numeric type and too many values."""
    if not (real.dtype.is_numeric() and test.dtype.is_numeric()):
        return False
    values = pl.concat([real.cast(pl.Float64), test.cast(pl.Float64)]).drop_nulls()
    return values.n_unique() > MOST_CLASSES or bool((values != values.round()).any())


def _known(target: pl.Series, *, by_number: bool) -> Integers:
    known = target.cast(pl.Float64, strict=False) if by_number else target
    return np.flatnonzero(known.is_not_null().to_numpy())


def _classes(
    trains: list[pl.DataFrame],
    tests: tuple[pl.DataFrame, pl.DataFrame],
    schemas: tuple[Schema | None, Schema | None],
    target: str,
    model: object,
    seed: int,
    progress: Progress,
) -> tuple[Learned, Learned] | str:
    pair = []
    for train, test, schema, version in zip(
        trains, tests, schemas, ("released", "real"), strict=True
    ):
        try:
            pair.append(
                train_and_test(
                    train,
                    test,
                    schema,
                    target=target,
                    model=model,
                    seed=seed,
                    version=version,
                    progress=progress,
                )
            )
        except (DataError, PlanError) as error:
            return f"on {version} rows: {error}"
    return pair[0], pair[1]


def _gaps(
    released: Learned,
    real: Learned,
    groups: dict[str, Integers],
    names: dict[str, tuple[str, ...]],
    tests: tuple[pl.DataFrame, pl.DataFrame],
    target: str,
    bootstrap: int,
    seed: int,
) -> list[FairnessGap]:
    if released.prediction is None or real.prediction is None:
        return []
    known = tests[1][target].is_not_null().to_numpy()
    if int(known.sum()) != released.prediction.rows or released.prediction.rows != (
        real.prediction.rows
    ):
        return []
    found = []
    for column, of_row in groups.items():
        if column == target:
            continue
        found += fairness_gaps(
            released.prediction,
            real.prediction,
            of_row[known],
            names[column],
            model=released.model,
            column=column,
            bootstrap=bootstrap,
            seed=seed,
        )
    return found
