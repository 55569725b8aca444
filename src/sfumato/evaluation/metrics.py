"""What a classifier's predictions are worth, each score beside what a guess reaches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sfumato.errors import InternalError
from sfumato.evaluation.estimates import (
    Estimate,
    area_under_roc,
    average_precision,
    mean,
    ratio,
)
from sfumato.evaluation.figures import Direction, Figure

__all__ = ["SCORES", "Prediction", "Score", "estimates", "figures", "not_computed"]


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a model said about the test rows, and what is true.

    Parameters
    ----------
    target
        Name of the target column.
    classes
        Names of the classes; codes below are places in it.
    positive
        The class that is looked for, or None with more than two classes: scores are then macro
        averages over the classes that the test rows hold.
    actual
        Array of shape (n,), code of each row's class.
    ranking
        Array of shape (n, classes): the model's score of each class, higher is likelier.
    are_probabilities
        Whether ``ranking`` holds probabilities.
    chosen
        Array of shape (n,), code of the predicted class.
    training_shares
        Array of shape (classes,): the share of each class in the rows learned from, before any
        row was made; what a guess knows.
    """

    target: str
    classes: tuple[str, ...]
    positive: int | None
    actual: np.ndarray
    ranking: np.ndarray
    are_probabilities: bool
    chosen: np.ndarray
    training_shares: np.ndarray

    @property
    def rows(self) -> int:
        """How many test rows."""
        return len(self.actual)

    @property
    def scored_classes(self) -> list[int]:
        """The classes that scores are made for: the positive one, or all that occur."""
        return [self.positive] if self.positive is not None else np.unique(self.actual).tolist()

    @property
    def looked_for(self) -> str:
        """The positive class in words."""
        if self.positive is None:
            return f"each class of {self.target}"
        return f"{self.target} = {self.classes[self.positive]}"


@dataclass(frozen=True)
class Score:
    """What is known of a score before anything is measured.

    Parameters
    ----------
    name
        The field's term.
    direction
        Which way is better.
    meaning
        One sentence; ``{positive}`` stands for the class looked for.
    source
        Where it is defined.
    """

    name: str
    direction: Direction
    meaning: str
    source: str


SKLEARN = "scikit-learn user guide, 3.4 Metrics and scoring"
SCORES: dict[str, Score] = {
    "accuracy": Score(
        "accuracy",
        "higher is better",
        "Share of the test rows that are predicted right; with a rare class, a guess reaches "
        "nearly as much, so read it beside its baseline.",
        SKLEARN,
    ),
    "balanced_accuracy": Score(
        "balanced accuracy",
        "higher is better",
        "Mean of the recalls of all classes: each class counts the same, however rare.",
        "Brodersen et al., ICPR 2010",
    ),
    "precision": Score(
        "precision",
        "higher is better",
        "Of the test rows predicted as {positive}, the share that are.",
        SKLEARN,
    ),
    "recall": Score(
        "recall (sensitivity)",
        "higher is better",
        "Of the test rows that are {positive}, the share that is found.",
        SKLEARN,
    ),
    "f1": Score(
        "F1",
        "higher is better",
        "Harmonic mean of precision and recall for {positive}.",
        "van Rijsbergen, Information Retrieval (1979), ch. 7",
    ),
    "auc": Score(
        "area under the ROC curve",
        "higher is better",
        "How often a row that is {positive} is ranked above one that is not; needs no threshold.",
        "Hanley & McNeil, Radiology 143 (1982)",
    ),
    "average_precision": Score(
        "average precision",
        "higher is better",
        "Mean precision over the ranks at which {positive} is found; a guess reaches its share "
        "of the rows.",
        "Davis & Goadrich, ICML 2006",
    ),
    "brier": Score(
        "Brier score",
        "lower is better",
        "Mean squared error of the predicted probabilities; a network that weighs the rare class "
        "more overstates it, which costs here and not in the AUC.",
        "Brier, Monthly Weather Review 78 (1950)",
    ),
    "majority_accuracy": Score(
        "accuracy of always guessing the commonest class",
        "higher is better",
        "Share of the test rows that are of the class commonest in the training part: what "
        "accuracy has to beat.",
        SKLEARN,
    ),
}
ONE_CLASS = "all test rows are of one class"


def estimates(prediction: Prediction) -> dict[str, Estimate | str]:
    """Return each score of :data:`SCORES`, or the reason why there is none.

    Binary scores are those of the positive class; with more classes they are macro averages.
    """
    actual, chosen = prediction.actual, prediction.chosen
    everyone = np.ones(len(actual))
    majority = int(np.argmax(prediction.training_shares))
    one_class = len(np.unique(actual)) < 2
    found: dict[str, Estimate | str] = {
        "accuracy": _sure(ratio(actual == chosen, everyone, proportion=True)),
        "majority_accuracy": _sure(ratio(actual == majority, everyone, proportion=True)),
        "balanced_accuracy": ONE_CLASS
        if one_class
        else mean([_sure(_recall(actual, chosen, code)) for code in np.unique(actual).tolist()]),
        "precision": _macro(prediction, _precision, "no test row is predicted so"),
        "recall": _macro(prediction, _recall, "no test row is so"),
        "f1": _macro(prediction, _f1, "no test row is or is predicted so"),
        "brier": _brier(prediction),
    }
    for name, area in (("auc", area_under_roc), ("average_precision", average_precision)):
        found[name] = ONE_CLASS if one_class else _macro_rank(prediction, area)
    return {name: found[name] for name in SCORES}


def figures(prediction: Prediction) -> dict[str, Figure]:
    """Return each score as a figure with its 95 % interval and its baseline."""
    baselines = _baselines(prediction)
    macro = "" if prediction.positive is not None else ", macro average"
    whole = ("accuracy", "balanced_accuracy", "brier", "majority_accuracy")
    found = {}
    for name, estimate in estimates(prediction).items():
        score = SCORES[name]
        if isinstance(estimate, str):
            found[name] = not_computed(name, estimate)
            continue
        found[name] = Figure(
            name=score.name + ("" if name in whole else macro),
            value=estimate.value,
            unit=_unit(name),
            direction=score.direction,
            meaning=score.meaning.format(positive=prediction.looked_for),
            source=score.source,
            interval=estimate.interval(),
            interval_method="DeLong on the logit scale, 95 %"
            if name == "auc" and not macro
            else estimate.interval_method,
            baseline=baselines.get(name),
        )
    return found


def not_computed(name: str, because: str) -> Figure:
    """Return the typed absence of one of :data:`SCORES`."""
    score = SCORES[name]
    return Figure.not_computed(
        score.name, because, unit=_unit(name), direction=score.direction, source=score.source
    )


def _unit(name: str) -> str:
    return "squared error, 0 to 1" if name == "brier" else "share"


def _sure(estimate: Estimate | None) -> Estimate:
    if estimate is None:
        raise InternalError("a score of rows that exist is defined")
    return estimate


def _precision(actual: np.ndarray, chosen: np.ndarray, code: int) -> Estimate | None:
    said = chosen == code
    return ratio(said & (actual == code), said, proportion=True)


def _recall(actual: np.ndarray, chosen: np.ndarray, code: int) -> Estimate | None:
    true = actual == code
    return ratio(true & (chosen == code), true, proportion=True)


def _f1(actual: np.ndarray, chosen: np.ndarray, code: int) -> Estimate | None:
    said, true = chosen == code, actual == code
    return ratio(2.0 * (said & true), said.astype(float) + true)


def _macro(
    prediction: Prediction,
    score: Callable[[np.ndarray, np.ndarray, int], Estimate | None],
    because: str,
) -> Estimate | str:
    codes = prediction.scored_classes
    parts = [score(prediction.actual, prediction.chosen, code) for code in codes]
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        if len(parts) == 1:
            return f"{because} ({prediction.looked_for})"
        return f"for {len(parts) - len(known)} of {len(parts)} classes, {because}"
    return mean(known)


def _macro_rank(
    prediction: Prediction, area: Callable[[np.ndarray, np.ndarray], Estimate | None]
) -> Estimate:
    return mean(
        [
            _sure(area(prediction.actual == code, prediction.ranking[:, code]))
            for code in prediction.scored_classes
        ]
    )


def _brier(prediction: Prediction) -> Estimate | str:
    if not prediction.are_probabilities:
        return "the model ranks rows and gives no probabilities"
    error = _squared_error(prediction.ranking, prediction.actual)
    return _sure(ratio(error, np.ones(len(error))))


def _squared_error(probability: np.ndarray, actual: np.ndarray) -> np.ndarray:
    """Half the squared distance to the truth: for two classes, (p - y)², so 0 to 1 for any."""
    truth = np.zeros_like(probability)
    truth[np.arange(len(actual)), actual] = 1.0
    half: np.ndarray = np.square(probability - truth).sum(axis=1) / 2.0
    return half


def _baselines(prediction: Prediction) -> dict[str, float]:
    """Return what a guess that knows only the training part's class shares reaches."""
    actual, shares = prediction.actual, prediction.training_shares
    right = float(np.mean(actual == int(np.argmax(shares))))
    guess = np.broadcast_to(shares, (len(actual), len(shares)))
    present = prediction.scored_classes
    found = {
        "accuracy": right,
        "balanced_accuracy": 1.0 / max(1, len(np.unique(actual))),
        "auc": 0.5,
        "brier": float(_squared_error(guess, actual).mean()),
    }
    if prediction.positive is not None:
        prevalence = float(np.mean(actual == prediction.positive))
        # F1 of calling every row positive, the best that a guess can do.
        found |= {
            "precision": prevalence,
            "average_precision": prevalence,
            "f1": 2.0 * prevalence / (1.0 + prevalence),
        }
    else:
        # Macro: always guessing the commonest class scores its own F1 and 0 for the others.
        found |= {
            "precision": 1.0 / len(present),
            "average_precision": 1.0 / len(present),
            "f1": 2.0 * right / (1.0 + right) / len(present),
        }
    return found
