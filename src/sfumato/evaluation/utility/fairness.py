"""Gaps between groups of people in what a model says of them, after learning from either table.

A row counts as predicted positive if its probability is above the share of positives that the model
learned from, the usual working point for a rare outcome.

References
----------
Dwork et al., "Fairness through awareness", ITCS 2012 (demographic parity). Hardt, Price & Srebro,
"Equality of opportunity in supervised learning", NeurIPS 2016 (equalized odds).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sfumato.evaluation.estimates import NORMAL_95, Estimate, area_under_roc
from sfumato.evaluation.figures import Figure
from sfumato.evaluation.metrics import Prediction
from sfumato.evaluation.utility.records import Record, absent, random_stream

__all__ = ["FairnessGap", "fairness_gaps"]

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]

_FEWEST = 30  # test rows of a group
_FEWEST_OF_CLASS = 5
_MEASURES = {
    "demographic_parity": (
        "demographic parity gap",
        "Dwork et al., ITCS 2012",
        "The most by which two groups' shares of positive predictions differ",
    ),
    "equalized_odds": (
        "equalized odds gap",
        "Hardt et al., NeurIPS 2016",
        "The most by which two groups' true-positive or false-positive rates differ",
    ),
    "auc": (
        "gap of the area under the ROC curve",
        "DeLong et al., Biometrics 44 (1988)",
        "The most by which two groups' areas under the ROC curve differ",
    ),
}


@dataclass(frozen=True)
class FairnessGap(Record):
    """A gap between groups, after learning from the release and from as many real rows.

    Parameters
    ----------
    model, column, measure
        The model, the column that makes the groups, and "demographic_parity", "equalized_odds" or
        "auc".
    released, real
        The gap after learning from either; None where it cannot be told.
    difference
        Released minus real, with its paired interval.
    widest
        The two groups between which the gap is, after learning from the release.
    """

    model: str
    column: str
    measure: str
    released: float | None
    real: float | None
    difference: Figure
    widest: tuple[str, ...]


def fairness_gaps(
    released: Prediction,
    real: Prediction,
    group: Integers,
    names: tuple[str, ...],
    *,
    model: str,
    column: str,
    bootstrap: int = 200,
    seed: int = 0,
) -> list[FairnessGap]:
    """Return the gaps between groups of test rows for a pair of models.

    Parameters
    ----------
    released, real
        Predictions for the same test rows.
    group
        Group of each test row, shape (n,); -1 for none. Groups of fewer than 30 rows, or fewer
        than 5 of an outcome where that is asked, are passed over.
    names
        What the groups are called.
    model, column
        What to call them.
    bootstrap
        Repetitions, over test rows.
    seed
        Of the bootstrap.
    """
    kept = [code for code in range(len(names)) if int((group == code).sum()) >= _FEWEST]
    because = ""
    if released.positive is None or real.positive is None:
        because = "gaps are for a target of two classes"
    elif len(kept) < 2:
        because = f"fewer than two groups of {column} have {_FEWEST} test rows"
    if because or released.positive is None or real.positive is None:
        return [_absent(model, column, measure, because) for measure in _MEASURES]
    positive = released.actual == released.positive
    said = [_said(one) for one in (released, real)]
    found = _rates(positive, said, group, kept, names, model, column, bootstrap, seed)
    rankings = [released.ranking[:, released.positive], real.ranking[:, real.positive]]
    return [*found, _areas(positive, rankings, group, kept, names, model, column)]


def _absent(model: str, column: str, measure: str, because: str) -> FairnessGap:
    name, source, _ = _MEASURES[measure]
    figure = absent(
        f"{name} of {column}, released minus real",
        because,
        source,
        unit="share",
        direction="lower is better",
    )
    return FairnessGap(model, column, measure, None, None, figure, ())


def _said(prediction: Prediction) -> Flags:
    if prediction.positive is None or not prediction.are_probabilities:
        return np.asarray(prediction.chosen == prediction.positive)
    share = prediction.training_shares[prediction.positive]
    return np.asarray(prediction.ranking[:, prediction.positive] > share)


def _rates(
    positive: Flags,
    said: list[Flags],
    group: Integers,
    kept: list[int],
    names: tuple[str, ...],
    model: str,
    column: str,
    bootstrap: int,
    seed: int,
) -> list[FairnessGap]:
    # rows of a group that agree in outcome and both predictions are one cell
    place = np.full(len(names) + 1, -1)
    place[kept] = np.arange(len(kept))
    inside = place[group] >= 0
    cell = ((place[group] * 2 + positive) * 2 + said[0]) * 2 + said[1]
    counts = np.bincount(cell[inside], minlength=len(kept) * 8)
    random = random_stream(seed, "fairness", model, column)
    n = int(counts.sum())
    drawn = random.multinomial(n, counts / n, size=bootstrap)
    tables = np.concatenate([counts[None], drawn]).reshape(-1, len(kept), 2, 2, 2)
    enough = tables[0].sum(axis=(2, 3)).min(axis=0) >= _FEWEST_OF_CLASS  # of each outcome
    found = []
    for measure in ("demographic_parity", "equalized_odds"):
        if measure == "equalized_odds" and not enough.all():
            because = f"a group of {column} has fewer than {_FEWEST_OF_CLASS} rows of an outcome"
            found.append(_absent(model, column, measure, because))
            continue
        gaps: list[Floats] = []
        widest: tuple[str, ...] = ()
        for version, axis in ((0, 4), (1, 3)):
            of_version = tables.sum(axis=axis).astype(np.float64)  # (draws, groups, outcome, said)
            if measure == "demographic_parity":
                rates = of_version.sum(axis=2)[:, :, None, :]
            else:
                rates = of_version
            share = rates[..., 1] / np.maximum(rates.sum(axis=-1), 1)
            gap = share.max(axis=1) - share.min(axis=1)
            gaps.append(gap.max(axis=1))
            if version == 0:
                which = int(gap[0].argmax())
                ends = (int(share[0, :, which].argmax()), int(share[0, :, which].argmin()))
                widest = tuple(names[kept[end]] for end in ends)
        change = gaps[0] - gaps[1]
        low, high = np.quantile(change[1:], [0.025, 0.975])
        found.append(
            _gap(
                model,
                column,
                measure,
                float(gaps[0][0]),
                float(gaps[1][0]),
                (float(low), float(high)),
                "paired bootstrap over test rows, 95 %, percentiles",
                widest,
            )
        )
    return found


def _areas(
    positive: Flags,
    rankings: list[Floats],
    group: Integers,
    kept: list[int],
    names: tuple[str, ...],
    model: str,
    column: str,
) -> FairnessGap:
    areas: list[list[Estimate]] = []
    for ranking in rankings:
        own = []
        for code in kept:
            rows = group == code
            outcomes = int(positive[rows].sum())
            if min(outcomes, int(rows.sum()) - outcomes) < _FEWEST_OF_CLASS:
                because = (
                    f"a group of {column} has fewer than {_FEWEST_OF_CLASS} rows of an outcome"
                )
                return _absent(model, column, "auc", because)
            area = area_under_roc(positive[rows], ranking[rows])
            if area is not None:
                own.append(area)
        areas.append(own)
    values = np.array([[area.value for area in own] for own in areas])
    ends = [(int(one.argmax()), int(one.argmin())) for one in values]
    gaps = [float(one.max() - one.min()) for one in values]
    variance = 0.0
    for at in range(len(kept)):
        # what each row of the group moves: the area of either model, with the sign it enters by
        influence = np.zeros(len(areas[0][at].influence))
        for sign, own, (best, worst) in ((1.0, areas[0], ends[0]), (-1.0, areas[1], ends[1])):
            influence += sign * ((at == best) - (at == worst)) * own[at].influence
        variance += float(np.square(influence).sum()) / len(influence) ** 2
    change, reach = gaps[0] - gaps[1], NORMAL_95 * float(np.sqrt(variance))
    return _gap(
        model,
        column,
        "auc",
        gaps[0],
        gaps[1],
        (change - reach, change + reach),
        "paired by test row: DeLong, 95 %, the widest pair of groups held fixed",
        tuple(names[kept[end]] for end in ends[0]),
    )


def _gap(
    model: str,
    column: str,
    measure: str,
    released: float,
    real: float,
    interval: tuple[float, float],
    method: str,
    widest: tuple[str, ...],
) -> FairnessGap:
    name, source, meaning = _MEASURES[measure]
    figure = Figure(
        name=f"{name} of {column}, released minus real",
        value=released - real,
        unit="share",
        direction="lower is better",
        meaning=f"{meaning}: {released:.3f} after learning from the release, {real:.3f} after as "
        "many real rows; above 0 the release makes the model less fair.",
        source=source,
        interval=interval,
        interval_method=method,
        baseline=0.0,
        not_shown="A gap, being the most of several, is overstated where groups are small, in "
        "either model alike.",
    )
    return FairnessGap(model, column, measure, released, real, figure, widest)
