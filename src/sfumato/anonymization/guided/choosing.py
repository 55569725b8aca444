"""The tree under which a model trained on a release is best on other rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import polars as pl

from sfumato.anonymization.guided.guide import TableModel, is_regression
from sfumato.errors import PlanError
from sfumato.progress import Progress
from sfumato.table import Schema

if TYPE_CHECKING:
    from sfumato.anonymization.guided.guided import Guided

__all__ = ["CHANGES", "best_of", "chosen_settings", "least_of_part", "utility"]

Integers = npt.NDArray[np.int64]

_FOLDS = 3
_MOST_ROWS = 12_000

#: What is tried beside the settings that were asked for, under the same k.
CHANGES: tuple[dict[str, Any], ...] = (
    {"guide": "expected", "encoding": "ordered"},
    {"guide": "expected", "encoding": "ordered", "max_depth": 8},
    {"guide": "scores", "encoding": "ordered"},
    {"guide": "scores", "encoding": "ordered", "train_on": "all"},
    {"guide": "effects", "encoding": "ordered"},
    {"guide": "predictions", "encoding": "one-hot"},
    {"guide": "predictions", "encoding": "ordered", "criterion": "entropy"},
)


def best_of(
    judge: Callable[[dict[str, Any], Integers, Integers], float],
    asked: Mapping[str, Any],
    persons: Integers,
    seed: int,
    progress: Progress,
    *,
    measure: str,
) -> tuple[dict[str, Any], str]:
    """Return the changes that are best on people who were held out, and what they reach, in words.

    Of (at most some 12,000) rows a third is held out three times over. Of equally good changes the
    first is taken.

    Parameters
    ----------
    judge
        Gives how good a release of some rows, made with some changes, is for others (the higher
        the better).
    asked
        The settings that were asked for.
    persons
        The number of each row's person, shape (n,).
    seed
        Of who is held out.
    progress
        Told how far the work is.
    measure
        What ``judge`` gives, in words.
    """
    tried = [{}, *(one for one in CHANGES if any(asked[name] != one[name] for name in one))]
    place = np.random.default_rng(seed).permutation(int(persons.max()) + 1)[persons]
    rows = np.argsort(place, kind="stable")[:_MOST_ROWS]
    fold = place[rows] % _FOLDS
    total = np.zeros(len(tried))
    for part in range(_FOLDS):
        for number, changes in enumerate(tried):
            progress("choosing the tree", part * len(tried) + number, _FOLDS * len(tried))
            total[number] += judge(changes, rows[fold != part], rows[fold == part])
    progress("choosing the tree", 1, 1)
    mean = total / _FOLDS
    best = tried[int(np.argmax(mean))]
    changed = ", ".join(f"{name} {value}" for name, value in best.items()) or "nothing is changed"
    return best, (
        f"chosen of {len(tried)} by cross-validated {measure} ({mean.max():.4g}; as set "
        f"{mean[0]:.4g}): {changed}"
    )


def least_of_part(k: int | None, part: int, everybody: int) -> int | None:
    """Return the k of a part, whose classes are as large a share of it as they will be of all."""
    return None if k is None else max(round(k * part / everybody), 2)


def chosen_settings(
    asked: Guided,
    table: pl.DataFrame,
    schema: Schema,
    estimator: Any,
    predictions: Any,
    progress: Progress,
) -> tuple[Guided, tuple[str, ...]]:
    """Return the settings under which the model was best on others, and what is to be said of it.

    Raises
    ------
    PlanError
        If a model was given: it cannot be trained anew on other rows.
    """
    if estimator is not None or predictions is not None or asked.model_file is not None:
        raise PlanError(
            "choose = 'cross-validation' trains the model anew on parts of the table: set model, "
            "and give no fitted estimator, file or predictions (GuidedAnonymizer takes an "
            "estimator to train)"
        )
    targets = asked.targets or ((schema.target,) if schema.target else ())
    if len(targets) != 1:
        raise PlanError("choose = 'cross-validation' needs one target, in the schema or in targets")
    target = targets[0]
    table = table.filter(pl.col(target).is_not_null())
    regression = is_regression(table[target].to_numpy(), asked.task)

    def judge(changes: dict[str, Any], train: Integers, test: Integers) -> float:
        least = least_of_part(asked.k, len(train), table.height)
        one = asked.model_copy(update={"choose": "as-set", "k": least, **changes})
        learned, seen = table[train], table[test]
        recoding = one.grown(learned, schema, one.guide_for(learned, schema))
        released, described = recoding.recode(learned), recoding.released_schema()
        model = TableModel.of_name(one.model, released, described, [target], one.task, one.seed)
        asked_of = recoding.recode(seen) if one.represent == "labels" else seen
        return utility(model, asked_of, seen[target].to_numpy(), regression=regression)

    persons = np.arange(table.height)
    if schema.person is not None:
        persons = table[schema.person].cast(pl.String).rank("dense").to_numpy().astype(np.int64) - 1
    changes, said = best_of(
        judge,
        asked.model_dump(),
        persons,
        asked.seed,
        progress,
        measure="R2" if regression else "AUC",
    )
    return asked.model_copy(update={"choose": "as-set", **changes}), (said,)


def utility(model: TableModel, rows: Any, actual: npt.NDArray[Any], *, regression: bool) -> float:
    """Return how well a model answers rows.

    R2 of quantities; the area under the curve of classes (of several their mean, each against all
    others), or the share of right answers of a model that tells no probabilities.
    """
    from sklearn.metrics import r2_score, roc_auc_score

    if regression:
        return float(r2_score(actual, model.answers(rows)))
    texts = actual if actual.dtype.kind in "iufb" else actual.astype(str)
    if not hasattr(model.model, "predict_proba"):
        return float(np.mean(model.answers(rows) == texts))
    classes = list(model.model.classes_)
    shown = [place for place, one in enumerate(classes) if 0 < (texts == one).sum() < len(texts)]
    sure = np.asarray(model.model.predict_proba(model.read(rows)))
    if not shown:
        return 0.5
    return float(np.mean([roc_auc_score(texts == classes[at], sure[:, at]) for at in shown]))
