"""What can be learned from a release: a classifier trained on it, scored on real test rows."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from sfumato.errors import PlanError
from sfumato.evaluation.classes import Classes, classes_of
from sfumato.evaluation.learned import Learned, judge, nothing_to_judge
from sfumato.evaluation.metrics import Prediction
from sfumato.evaluation.models import Answer, Fitted, fit, model_name, model_of
from sfumato.evaluation.network import MultilayerPerceptron
from sfumato.evaluation.protocols import (
    Parts,
    Protocol,
    honest_parts,
    leaking_parts,
    validation_part,
)
from sfumato.progress import silent
from sfumato.table import prepare

if TYPE_CHECKING:
    from sfumato.progress import Progress
    from sfumato.table import Schema
    from sfumato.table.preparation.settings import PreparationSettings

__all__ = ["train_and_test"]

VALIDATION_SHARE = 0.15


def train_and_test(
    train: pl.DataFrame,
    test: pl.DataFrame,
    schema: Schema | None = None,
    *,
    target: str,
    model: object = "mlp",
    protocol: Protocol | str = Protocol.HONEST,
    seed: int = 0,
    version: str = "",
    positive: str | None = None,
    preparation: PreparationSettings | None = None,
    progress: Progress = silent,
) -> Learned:
    """Train a model on a release and score it on test rows that nobody learned from.

    Everything that is learned (categories, means, what fills a gap, SMOTE, the network) is learned
    from ``train`` alone. A network also sets 15 % of ``train`` aside, the same share of each class,
    to tell when to stop; these rows are real under the honest protocols.

    Parameters
    ----------
    train
        The released rows.
    test
        Real rows of people who are not in ``train``, recoded as the release is; the same for every
        version, so that scores can be compared. Not used by the protocol "as-published".
    schema
        Of the release: identifiers and the person column are no features.
    target
        The column to predict, of at most 50 classes. Rows without it are left out and noted.
    model
        A name (:data:`sfumato.evaluation.models.MODEL_NAMES`), ``MultilayerPerceptron(...)``, or
        any scikit-learn classifier.
    protocol
        "honest", "honest-smote" or "as-published". The last takes ``train`` for the whole table,
        runs SMOTE over it and only then splits it 70/15/15 (seed 42).
    seed
        Of the validation part, of SMOTE (honest) and of the model.
    version
        What to call the release.
    positive
        Name of the class looked for; see :func:`sfumato.evaluation.classes.classes_of`.
    preparation
        How columns become numbers, where it should differ from what they suggest.
    progress
        Told after each epoch.

    Raises
    ------
    SchemaError, DataError, PlanError
        If the target is absent, missing in all rows or has too many classes; if the tables cannot
        be prepared alike; if the model is unknown.
    """
    is_network = isinstance(model_of(model), MultilayerPerceptron)
    protocol = _protocol(protocol)
    classes = classes_of(train, test, target, positive=positive).said()
    train, train_codes = train.filter(classes.train >= 0), classes.train[classes.train >= 0]
    test, test_codes = test.filter(classes.test >= 0), classes.test[classes.test >= 0]
    held = np.zeros(train.height, dtype=bool)
    if is_network and protocol is not Protocol.AS_PUBLISHED:
        held = validation_part(train_codes, VALIDATION_SHARE, seed)
    prepared = prepare(train.filter(~held), schema, target=target, settings=preparation)
    rows = (prepared.matrix(train), train_codes)
    if protocol is Protocol.AS_PUBLISHED:
        parts = leaking_parts(rows)
    else:
        tested = (prepared.matrix(test), test_codes)
        parts = honest_parts(
            rows, held, tested, balanced=protocol is Protocol.HONEST_SMOTE, seed=seed
        )

    prediction, fitted, answer, seconds = None, Fitted(None), None, 0.0
    obstacle = _obstacle(parts, stops_early=is_network)
    if obstacle:
        judged = nothing_to_judge(obstacle)
    else:
        task = f"training {model_name(model)} on {version or 'the table'} ({protocol.value})"
        started = time.process_time()
        fitted = fit(model, parts.train, parts.validation, seed=seed, task=task, progress=progress)
        answer = fitted.answer(parts.test[0], len(classes.names), classes.positive)
        seconds = time.process_time() - started
        prediction = _prediction(classes, parts, answer)
        judged = judge(prediction)
    code = classes.positive
    return Learned(
        version=version,
        model=model_name(model),
        protocol=protocol,
        target=target,
        positive=None if code is None else classes.names[code],
        settings=_settings(model),
        rows_train=len(parts.train[1]),
        rows_made=parts.made,
        rows_validation=len(parts.validation[1]) if fitted.history else 0,
        rows_test=len(parts.test[1]),
        rows_test_made=parts.test_made,
        positives_train=None if code is None else int((parts.train[1] == code).sum()),
        positives_test=None if code is None else int((parts.test[1] == code).sum()),
        features=len(prepared.feature_names),
        threshold=None if answer is None else answer.threshold,
        scores=judged.scores,
        confusion=judged.confusion,
        roc=judged.roc,
        precision_recall=judged.precision_recall,
        calibration=judged.calibration,
        history=fitted.history,
        epochs=len(fitted.history),
        best_epoch=fitted.best_epoch,
        seconds_cpu=seconds,
        warning=_warning(parts, classes) if protocol is Protocol.AS_PUBLISHED else "",
        notes=(*_unlabelled(classes, protocol), *parts.notes, *fitted.notes),
        prediction=prediction,
    )


def _protocol(name: str) -> Protocol:
    try:
        return Protocol(name)
    except ValueError:
        known = ", ".join(Protocol)
        raise PlanError(f"there is no protocol {name!r}. Known: {known}") from None


def _obstacle(parts: Parts, *, stops_early: bool) -> str:
    """Return why nothing can be learned, or an empty text."""
    if len(np.unique(parts.train[1])) < 2:
        return "all training rows are of one class: there is nothing to learn"
    if stops_early and len(parts.validation[1]) == 0:
        return "there are too few training rows to hold some out for early stopping"
    return ""


def _prediction(classes: Classes, parts: Parts, answer: Answer) -> Prediction:
    return Prediction(
        target=classes.target,
        classes=classes.names,
        positive=classes.positive,
        actual=parts.test[1],
        ranking=answer.ranking,
        are_probabilities=answer.are_probabilities,
        chosen=answer.chosen,
        training_shares=np.bincount(parts.known, minlength=len(classes.names)) / len(parts.known),
    )


def _unlabelled(classes: Classes, protocol: Protocol) -> tuple[str, ...]:
    found = []
    for codes, what in ((classes.train, "training"), (classes.test, "test")):
        missing = int((codes < 0).sum())
        if missing and not (what == "test" and protocol is Protocol.AS_PUBLISHED):
            found.append(f"{missing} {what} rows without a target were left out")
    return tuple(found)


def _warning(parts: Parts, classes: Classes) -> str:
    """Return why the leaking protocol's scores say nothing about people, in one sentence."""
    tested = len(parts.test[1])
    balance = ""
    if classes.positive is not None:
        real = np.mean(classes.train[classes.train >= 0] == classes.positive)
        shown = np.mean(parts.test[1] == classes.positive)
        balance = f", and {shown:.0%} of them are positive where real rows are {real:.1%}"
    return (
        f"Not to be believed: SMOTE ran before the split, so {parts.test_made:,} of the "
        f"{tested:,} test rows are made up between rows that the model may have learned from"
        f"{balance}."
    )


def _settings(model: object) -> dict[str, Any]:
    chosen = model_of(model)
    if isinstance(chosen, MultilayerPerceptron):
        return chosen.model_dump(mode="json")
    if not hasattr(chosen, "get_params"):
        return {}
    return {
        name: value
        for name, value in chosen.get_params(deep=False).items()
        if value is None or isinstance(value, bool | int | float | str)
    }
