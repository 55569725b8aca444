"""What one model learned from one version of a table, as a record that a report can show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import numpy as np

from sfumato.errors import DataError
from sfumato.evaluation.curves import (
    CalibrationBin,
    Curve,
    calibration,
    precision_recall_curve,
    roc_curve,
)
from sfumato.evaluation.figures import Figure
from sfumato.evaluation.metrics import SCORES, Prediction, figures, not_computed
from sfumato.evaluation.network import Epoch
from sfumato.evaluation.protocols import Protocol

__all__ = ["Confusion", "Judgement", "Learned", "judge", "nothing_to_judge"]


@dataclass(frozen=True)
class Confusion:
    """Test rows by what they are and what they are predicted as.

    Parameters
    ----------
    classes
        Names of the classes.
    counts
        ``counts[i][j]``: rows of class i that are predicted as class j.
    """

    classes: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Learned:
    """What one model learned from one version under one protocol.

    Parameters
    ----------
    version, model, protocol
        What was learned from, by what, and how it was split and balanced.
    target, positive
        The column predicted, and the name of the class looked for (None with more than two).
    settings
        The network's settings, or the estimator's parameters that differ from a plain value.
    rows_train, rows_made, rows_validation, rows_test
        Rows learned from, how many of them SMOTE made, rows held out for early stopping, rows
        scored.
    rows_test_made
        Rows scored that SMOTE made: 0 but for the leak.
    positives_train, positives_test
        Rows of the positive class among them (None with more than two classes).
    features
        Number of input columns.
    threshold
        What the positive class's score must pass to be predicted; None with more classes.
    scores
        A figure for each of :data:`sfumato.evaluation.metrics.SCORES`.
    confusion, roc, precision_recall, calibration
        Of the test rows; curves are for the positive class, or one for each class. Empty where
        they could not be computed.
    history, epochs, best_epoch
        Of the network: the epochs, how many, and which weights were kept.
    seconds_cpu
        Processor time of training and prediction.
    warning
        Why not to believe it, in one sentence; empty where there is no reason.
    notes
        What was left out or done otherwise, a sentence each.
    prediction
        The predictions row by row, kept in memory to compare versions and never written.
    """

    version: str
    model: str
    protocol: Protocol
    target: str
    positive: str | None
    settings: Mapping[str, Any]
    rows_train: int
    rows_made: int
    rows_validation: int
    rows_test: int
    rows_test_made: int
    positives_train: int | None
    positives_test: int | None
    features: int
    threshold: float | None
    scores: dict[str, Figure]
    confusion: Confusion | None
    roc: tuple[Curve, ...]
    precision_recall: tuple[Curve, ...]
    calibration: tuple[CalibrationBin, ...]
    history: tuple[Epoch, ...]
    epochs: int
    best_epoch: int | None
    seconds_cpu: float
    warning: str = ""
    notes: tuple[str, ...] = ()
    prediction: Prediction | None = field(default=None, repr=False, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the predictions, as plain JSON values."""
        values = {
            name.name: getattr(self, name.name)
            for name in fields(self)
            if name.name != "prediction"
        }
        values["protocol"] = self.protocol.value
        values["settings"] = dict(self.settings)
        values["scores"] = {name: figure.to_dict() for name, figure in self.scores.items()}
        values["confusion"] = None if self.confusion is None else asdict(self.confusion)
        for name in ("roc", "precision_recall", "calibration", "history"):
            values[name] = [asdict(part) for part in values[name]]
        return {name: _plain(value) for name, value in values.items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Learned:
        """Return what :meth:`to_dict` described, without the predictions.

        Raises
        ------
        DataError
            If a part is absent or unknown.
        """
        given = dict(values)
        try:
            given["protocol"] = Protocol(given["protocol"])
            given["scores"] = {
                name: Figure(**_with_tuples(figure)) for name, figure in given["scores"].items()
            }
            if given["confusion"] is not None:
                given["confusion"] = Confusion(**_with_tuples(given["confusion"]))
            for name, kind in (
                ("roc", Curve),
                ("precision_recall", Curve),
                ("calibration", CalibrationBin),
                ("history", Epoch),
            ):
                given[name] = tuple(kind(**_with_tuples(part)) for part in given[name])
            given["notes"] = tuple(given["notes"])
            return cls(**given)
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(
                f"this is not what was learned by a model of sfumato: {error}"
            ) from None


@dataclass(frozen=True)
class Judgement:
    """All that is measured of predictions.

    Parameters
    ----------
    scores, confusion, roc, precision_recall, calibration
        As in :class:`Learned`.
    """

    scores: dict[str, Figure]
    confusion: Confusion | None = None
    roc: tuple[Curve, ...] = ()
    precision_recall: tuple[Curve, ...] = ()
    calibration: tuple[CalibrationBin, ...] = ()


def judge(prediction: Prediction) -> Judgement:
    """Return the scores, the confusion matrix and the curves of predictions."""
    actual, ranking, positive = prediction.actual, prediction.ranking, prediction.positive
    drawn = []
    if len(np.unique(actual)) > 1:
        drawn = [
            (prediction.classes[code], actual == code, ranking[:, code])
            for code in prediction.scored_classes
        ]
    calibrated: tuple[CalibrationBin, ...] = ()
    if positive is not None and prediction.are_probabilities:
        calibrated = calibration(actual == positive, ranking[:, positive])
    size = len(prediction.classes)
    cells = np.bincount(actual * size + prediction.chosen, minlength=size * size)
    return Judgement(
        scores=figures(prediction),
        confusion=Confusion(
            prediction.classes, tuple(map(tuple, cells.reshape(size, size).tolist()))
        ),
        roc=tuple(roc_curve(*rows) for rows in drawn),
        precision_recall=tuple(precision_recall_curve(*rows) for rows in drawn),
        calibration=calibrated,
    )


def nothing_to_judge(because: str) -> Judgement:
    """Return a judgement in which every score says why it was not computed."""
    return Judgement({name: not_computed(name, because) for name in SCORES})


def _plain(value: Any) -> Any:
    """Return tuples as lists, as JSON reads them back."""
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    return value


def _with_tuples(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return lists as tuples, as the frozen records hold them."""
    return {name: _tuples(value) for name, value in values.items()}


def _tuples(value: Any) -> Any:
    return tuple(_tuples(part) for part in value) if isinstance(value, list) else value
