"""Whether one version teaches less than another beyond the noise of the test rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sfumato.errors import DataError
from sfumato.evaluation.estimates import NORMAL_95
from sfumato.evaluation.figures import Figure
from sfumato.evaluation.metrics import SCORES, Prediction, estimates

if TYPE_CHECKING:
    from sfumato.evaluation.learned import Learned

__all__ = ["compare"]


def compare(version: Learned, reference: Learned) -> dict[str, Figure]:
    """Return the difference of each score, paired by test row.

    Both versions are scored on the same people, so most of the noise of the test rows cancels; the
    interval holds what is left of it. It does not hold the chance of training: a network trained
    again with another seed moves a little too.

    Parameters
    ----------
    version, reference
        Results of :func:`sfumato.evaluation.train_and_test` on the same test rows, by one model.

    Returns
    -------
    dict
        For each score ``version`` minus ``reference``, with its 95 % interval and 0 as baseline.

    Raises
    ------
    DataError
        If the test rows are not the same ones (as under the protocol "as-published"), or the
        predictions are no longer at hand.

    References
    ----------
    DeLong, DeLong & Clarke-Pearson, "Comparing the areas under two or more correlated receiver
    operating characteristic curves", Biometrics 44 (1988).
    """
    first, second = version.prediction, reference.prediction
    if first is None or second is None:
        raise DataError(
            "versions can be compared only where both models learned, in the same run: "
            "predictions are not written to a file"
        )
    if version.rows_test_made or reference.rows_test_made or not _same_rows(first, second):
        raise DataError(
            f"{version.version!r} and {reference.version!r} were not scored on the same real test "
            "rows, so their difference says nothing"
        )
    ours, theirs = estimates(first), estimates(second)
    found: dict[str, Figure] = {}
    for key, score in SCORES.items():
        if key == "majority_accuracy":
            continue
        name = f"difference in {score.name}, {version.version} minus {reference.version}"
        here, there = ours[key], theirs[key]
        if isinstance(here, str) or isinstance(there, str):
            because = here if isinstance(here, str) else str(there)
            found[key] = Figure.not_computed(
                name, because, unit="share", direction=score.direction, source=score.source
            )
            continue
        change = here.value - there.value
        spread = float(np.sqrt(np.square(here.influence - there.influence).sum())) / first.rows
        low, high = change - NORMAL_95 * spread, change + NORMAL_95 * spread
        found[key] = Figure(
            name=name,
            value=change,
            unit="share",
            direction=score.direction,
            meaning=_verdict(version.version, reference.version, low, high, score.direction),
            source="DeLong et al., Biometrics 44 (1988)" if key == "auc" else score.source,
            interval=(low, high),
            interval_method="paired by test row: "
            + ("DeLong, 95 %" if key == "auc" else "infinitesimal jackknife, 95 %"),
            baseline=0.0,
        )
    return found


def _same_rows(first: Prediction, second: Prediction) -> bool:
    if first.target != second.target or len(first.actual) != len(second.actual):
        return False
    ours = np.array(first.classes)[first.actual]
    theirs = np.array(second.classes)[second.actual]
    return bool(np.array_equal(ours, theirs))


def _verdict(version: str, reference: str, low: float, high: float, direction: str) -> str:
    if low <= 0.0 <= high:
        return (
            f"{version} and {reference} do not differ beyond the noise of the test rows "
            "(the interval holds 0)."
        )
    better = (low > 0.0) == (direction == "higher is better")
    word = "better" if better else "worse"
    return (
        f"{version} is {word} than {reference} beyond the noise of the test rows "
        "(one training run each)."
    )
