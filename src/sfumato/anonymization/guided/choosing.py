"""The tree under which a model trained on a release is best on other rows."""

from __future__ import annotations

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

__all__ = ["candidates", "chosen_settings"]

_FOLDS = 3
_MOST_ROWS = 12_000


def candidates(asked: Guided) -> list[Guided]:
    """Return the settings among which is chosen: those asked for, and others of the same k."""
    changes: list[dict[str, Any]] = [
        {},
        {"guide": "scores", "encoding": "ordered"},
        {"guide": "predictions", "encoding": "one-hot"},
        {"guide": "predictions", "encoding": "ordered", "criterion": "entropy"},
        {"guide": "scores", "encoding": "ordered", "max_depth": 8},
        {"guide": "scores", "encoding": "ordered", "train_on": "all"},
        {"guide": "effects", "encoding": "ordered"},
    ]
    made = [asked.model_copy(update={"choose": "as-set", **change}) for change in changes]
    return list({repr(one): one for one in made}.values())


def chosen_settings(
    asked: Guided,
    table: pl.DataFrame,
    schema: Schema,
    estimator: Any,
    predictions: Any,
    progress: Progress,
) -> tuple[Guided, tuple[str, ...]]:
    """Return the settings under which the model was best on rows it had not seen, and a note.

    Each candidate anonymizes two thirds of (at most 12,000) rows; a model trained on them is
    judged on the other third, three times over. Of equally good ones the first is taken.

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
    known = table.filter(pl.col(target).is_not_null())
    rows = known.sample(min(_MOST_ROWS, known.height), seed=asked.seed, shuffle=True)
    answers = rows[target].to_numpy()
    regression = is_regression(answers, asked.task)
    share = rows.height * (_FOLDS - 1) / _FOLDS / table.height
    fold = np.arange(rows.height) % _FOLDS
    made = candidates(asked)
    total = np.zeros(len(made))
    for part in range(_FOLDS):
        train, test = rows.filter(pl.Series(fold != part)), rows.filter(pl.Series(fold == part))
        for number, one in enumerate(made):
            # classes are as large a share of the part as they will be of the whole
            scaled = one.model_copy(
                update={"k": None if one.k is None else max(round(one.k * share), 2)}
            )
            recoding = scaled.grown(train, schema, scaled.guide_for(train, schema))
            released = recoding.recode(train)
            described = recoding.released_schema()
            seen = recoding.recode(test) if one.represent == "labels" else test
            model = TableModel.of_name(one.model, released, described, [target], one.task, one.seed)
            total[number] += utility(model, seen, test[target].to_numpy(), regression=regression)
            progress("choosing the tree", part * len(made) + number + 1, _FOLDS * len(made))
    mean = total / _FOLDS
    best = made[int(np.argmax(mean))]
    measure = "R2" if regression else "AUC"
    note = (
        f"chosen of {len(made)} by cross-validated {measure} ({mean.max():.4g}; as set "
        f"{mean[0]:.4g}): guide {best.guide}, encoding {best.encoding}, train_on {best.train_on}, "
        f"max_depth {best.max_depth}"
    )
    return best, (note,)


def utility(
    model: TableModel, rows: pl.DataFrame, actual: npt.NDArray[Any], *, regression: bool
) -> float:
    """Return R2, or the area under the curve (of several classes their mean, each against all)."""
    from sklearn.metrics import r2_score, roc_auc_score

    if regression:
        return float(r2_score(actual, model.answers(rows)))
    classes = list(model.model.classes_)
    texts = actual if actual.dtype.kind in "iufb" else actual.astype(str)
    shown = [place for place, one in enumerate(classes) if 0 < (texts == one).sum() < len(texts)]
    sure = np.asarray(model.model.predict_proba(model.read(rows)))
    if not shown:
        return 0.5
    return float(np.mean([roc_auc_score(texts == classes[at], sure[:, at]) for at in shown]))
