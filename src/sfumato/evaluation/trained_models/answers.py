"""What a model answers about rows, and the quantities that attacks are made of.

References
----------
S. Yeom et al., "Privacy risk in machine learning: analyzing the connection to overfitting" (IEEE
CSF 2018), section 3: the loss; L. Song, P. Mittal, "Systematic evaluation of privacy risks of
machine learning models" (USENIX Security 2021), section 4.1: the modified entropy; N. Carlini et
al., "Membership inference attacks from first principles" (IEEE S&P 2022), section V: the logit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sfumato.errors import PlanError

__all__ = ["Answers", "Subject", "again", "ask", "cannot_copy"]

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

_LEAST = 1e-5  # probabilities are kept this far from 0 and 1
_NEAR = 1e-3  # of the spread: errors below are alike
_DECIMALS = 9


@dataclass(frozen=True, eq=False)
class Subject:
    """A trained model, and what it can answer.

    Parameters
    ----------
    model
        The fitted estimator.
    classes
        Sorted; None for a regression.
    probable
        Whether it gives probabilities.
    spread
        Standard deviation of all people's answers, for a regression; 1 otherwise.
    """

    model: Any
    classes: npt.NDArray[Any] | None
    probable: bool
    spread: float = 1.0

    @classmethod
    def of(cls, model: Any, y: npt.NDArray[Any]) -> Subject:
        """Look at a fitted estimator.

        Raises
        ------
        PlanError
            If it cannot predict.
        """
        if isinstance(model, type) or not hasattr(model, "predict"):
            raise PlanError("a model is a fitted estimator with predict, as scikit-learn has them")
        classes = getattr(model, "classes_", None)
        if classes is None:
            if y.dtype.kind not in "iufb":
                raise PlanError("the answers are no numbers, and the model has no `classes_`")
            return cls(model, None, probable=False, spread=float(y.astype(float).std()) or 1.0)
        return cls(model, np.asarray(classes), probable=hasattr(model, "predict_proba"))

    @property
    def classifies(self) -> bool:
        """Whether the answers are classes."""
        return self.classes is not None


@dataclass(frozen=True, eq=False)
class Answers:
    """What a model says about rows whose true answers are known.

    Parameters
    ----------
    outputs
        Probability of each class, or the predicted number, shape (n, classes) or (n, 1).
    truth
        Number of the true class, -1 for one that the model does not know, shape (n,); the true
        number for a regression.
    correct
        Whether the predicted class is the true one, shape (n,); all False for a regression.
    spread
        As of the subject; 0 for a classifier.
    """

    outputs: Floats
    truth: npt.NDArray[Any]
    correct: Flags
    spread: float = 0.0

    @property
    def of_truth(self) -> Floats:
        """Probability given to the true class, shape (n,)."""
        known = self.truth >= 0
        place = np.where(known, self.truth, 0)
        return np.where(known, self.outputs[np.arange(len(place)), place], 0.0)

    def _error(self) -> Floats:
        return np.asarray(np.abs(self.outputs[:, 0] - self.truth) / self.spread, dtype=np.float64)

    def loss(self) -> Floats:
        """Return the logarithmic loss, or the squared error, shape (n,)."""
        if self.spread:
            error: Floats = np.square(self.outputs[:, 0] - self.truth).round(_DECIMALS)
            return error
        loss: Floats = -np.log(np.maximum(self.of_truth, _LEAST)).round(_DECIMALS)
        return loss

    def logit(self) -> Floats:
        """Return a confidence that is about normal over trainings, higher for a better fit.

        The log odds of the true class; for a regression the negative logarithm of the error.
        """
        if self.spread:
            logit: Floats = -np.log(self._error() + _NEAR)
            return logit
        share = np.clip(self.of_truth, _LEAST, 1 - _LEAST)
        odds: Floats = np.log(share) - np.log1p(-share)
        return odds

    def modified_entropy(self) -> Floats:
        """Return the entropy that also falls with what the wrong classes get, shape (n,).

        For a regression the absolute error takes its place.
        """
        if self.spread:
            return self._error()
        share = np.clip(self.outputs, _LEAST, 1 - _LEAST)
        wrong = -self.outputs * np.log1p(-share)
        known = self.truth >= 0
        place = np.where(known, self.truth, 0)
        every = np.arange(len(place))
        true = self.of_truth
        of_truth = -(1 - true) * np.log(np.maximum(true, _LEAST))
        others = wrong.sum(axis=1) - np.where(known, wrong[every, place], 0.0)
        return np.asarray(np.maximum(of_truth + others, 0.0), dtype=np.float64)


def ask(subject: Subject, X: Any, y: npt.NDArray[Any], model: Any = None) -> Answers:
    """Ask the model, or another one trained in its place, about rows.

    Parameters
    ----------
    subject
        The model that is judged.
    X, y
        Rows and their true answers, (n,).
    model
        One trained in its place; its classes may be fewer.
    """
    model = subject.model if model is None else model
    if subject.classes is None:
        said = np.asarray(model.predict(X), dtype=np.float64).reshape(len(y), -1)
        return Answers(
            said[:, :1], y.astype(np.float64), np.zeros(len(y), dtype=np.bool_), subject.spread
        )
    truth = _numbered(y, subject.classes)
    outputs = np.zeros((len(y), len(subject.classes)))
    if subject.probable:
        known = _numbered(np.asarray(model.classes_), subject.classes)
        said = np.asarray(model.predict_proba(X), dtype=np.float64)
        outputs[:, known[known >= 0]] = said[:, known >= 0]
        chosen = outputs.argmax(axis=1)
    else:
        chosen = _numbered(np.asarray(model.predict(X)), subject.classes)
        outputs[np.arange(len(y)), chosen] = 1.0
    return Answers(outputs, truth, chosen == truth)


def cannot_copy(learner: Any) -> str:
    """Return why an estimator cannot be trained again, or an empty text."""
    from sklearn.base import clone

    try:
        clone(learner)
    except TypeError:
        return (
            "scikit-learn cannot clone the model, so it cannot be trained anew: give the unfitted "
            "estimator as `learner`"
        )
    return ""


def again(learner: Any, X: Any, y: npt.NDArray[Any], *, seed: int) -> Any:
    """Train a copy of an estimator on other rows; what was None in its randomness is seeded.

    Raises
    ------
    TypeError
        If the estimator cannot be copied: ask :func:`cannot_copy` first.
    """
    from sklearn.base import clone

    model = clone(learner)
    given = model.get_params(deep=True)
    free = [
        name
        for name, value in given.items()
        if value is None and (name == "random_state" or name.endswith("__random_state"))
    ]
    if free:
        model.set_params(**dict.fromkeys(free, seed))
    return model.fit(X, y)


def _numbered(values: npt.NDArray[Any], classes: npt.NDArray[Any]) -> Integers:
    """Return the place of each value among sorted classes, -1 for one that is not there."""
    place = np.minimum(np.searchsorted(classes, values), len(classes) - 1)
    return np.where(classes[place] == values, place, -1).astype(np.int64)
