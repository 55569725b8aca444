"""How much of its accuracy a model keeps if columns are taken from its input.

A few columns are selected by one of three measures of use, all others are made to say nothing
(each cell the column's average or commonest value, or the cell of another row), and the model, as
it stands, answers the changed rows. The value is the worst ratio over all ways.

References
----------
A. Goldsteen et al., "Data minimization for GDPR compliance in machine learning models" (AI and
Ethics 2022), section 3: accuracy relative to the unchanged model; L. Breiman, Machine Learning 45
(2001), section 10: permutation importance; B. Efron, Annals of Statistics 7 (1979): the bootstrap.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sfumato.evaluation.figures import Direction, Figure
from sfumato.evaluation.trained_models.answers import Subject, ask
from sfumato.evaluation.trained_models.rows import (
    People,
    codes_of,
    columns_of,
    is_number,
    put_numbers,
    put_rows,
    told_apart,
)
from sfumato.evaluation.trained_models.settings import ModelAttacks

__all__ = ["Minimized", "minimization_figures", "minimized"]

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_SOURCE = "Goldsteen et al. 2022 (AI and Ethics), section 3; Breiman 2001; Efron 1979"
_REPEATS = 3
_CELLS = 4_000_000  # weights of rows drawn at a time
_TAILS = (2.5, 97.5)
_MODIFIERS = ("average", "permutation")


@dataclass(frozen=True, eq=False)
class Minimized:
    """How well the model answers rows of which columns were taken away.

    Parameters
    ----------
    whole
        Of the unchanged rows: whether it is right, or its squared error, shape (n,).
    ways
        Of the changed rows, by selection, share of columns kept, and what the others became.
    nothing
        With every column averaged.
    classifies
        Whether the quantities are hits (more is better) or errors.
    """

    whole: Floats
    ways: dict[tuple[str, float, str], Floats]
    nothing: Floats
    classifies: bool


def minimized(subject: Subject, people: People, attacks: ModelAttacks, *, seed: int) -> Minimized:
    """Ask the model about the control rows with columns taken away.

    Columns are selected by the members; the answers are to control rows only, since a model that
    kept its members by heart would answer those rightly from any column.

    Parameters
    ----------
    subject, people
        The model, and the people attacked.
    attacks
        With ``kept``.
    seed
        Of the permutations.
    """
    random = np.random.default_rng(seed)
    members = people.some(np.flatnonzero(people.member))
    tested = people.some(np.flatnonzero(~people.member))
    uses = {
        "dependence": _dependence(subject, members),
        "variance": _variance(members),
        "importance": _importance(subject, members, random),
    }
    columns = people.X.shape[1]
    averages = [_average(values) for values in columns_of(members.X)]
    ways = {}
    for selector, use in uses.items():
        order = np.argsort(-use, kind="stable")
        for share in attacks.kept:
            keep = max(1, round(share * columns))
            if keep == columns:
                continue
            for modifier in _MODIFIERS:
                X = _without(tested.X, members.X, order[keep:], averages, modifier, random)
                ways[(selector, share, modifier)] = _quality(subject, X, tested.y)
    everything = np.arange(columns)
    nothing = _without(tested.X, members.X, everything, averages, "average", random)
    return Minimized(
        _quality(subject, tested.X, tested.y),
        ways,
        _quality(subject, nothing, tested.y),
        subject.classifies,
    )


def minimization_figures(found: Minimized, *, resamples: int, seed: int) -> dict[str, Figure]:
    """Return the worst ratio over all ways, and each way's ratio.

    Parameters
    ----------
    found
        Answers to rows with columns taken away.
    resamples
        Bootstrap samples of the rows.
    seed
        Of the bootstrap.
    """
    what = "accuracy" if found.classifies else "mean squared error"
    title = f"ratio of the {what} on minimized rows, worst of all ways"
    direction: Direction = "higher is better" if found.classifies else "lower is better"
    whole = float(found.whole.mean())
    because = ""
    if not found.ways:
        because = "there is only one column, or the shares to keep leave all of them"
    elif whole == 0:
        because = f"the {what} on the unchanged rows is 0"
    if because:
        return {
            "minimization/worst": Figure.not_computed(
                title, because, unit="ratio", direction=direction, source=_SOURCE
            )
        }
    stacked = np.stack([*found.ways.values(), found.whole])
    drawn = _resampled(stacked, resamples, seed)
    ratios = drawn[:, :-1] / np.maximum(drawn[:, -1:], 1e-12)
    values = stacked[:-1].mean(axis=1) / whole
    worst = int(values.argmin() if found.classifies else values.argmax())
    method = f"bootstrap of the rows ({resamples:,}), 95 %"
    baseline = float(found.nothing.mean()) / whole
    rows = len(found.whole)

    def figure(
        name: str, value: float, interval: tuple[float, float], meaning: str, how: str = method
    ) -> Figure:
        return Figure(
            name=name,
            value=value,
            unit="ratio",
            direction=direction,
            meaning=meaning,
            source=_SOURCE,
            interval=interval,
            interval_method=how,
            baseline=baseline,
            attacks=rows,
            not_shown=(
                "What a model that is trained on minimized rows reaches; and a column may be "
                "needed for few people only."
            ),
        )

    ways = list(found.ways)
    figures = {
        "minimization/worst": figure(
            title,
            float(values[worst]),
            _of_worst(ratios, lowest=found.classifies),
            (
                f"The {what} on {rows:,} control rows with columns taken away, over that on the "
                f"whole rows, in the worst of {len(ways)} ways ({_way(ways[worst])}). Near 1, the "
                "model does without these columns: they need not be collected for it. The "
                "baseline is the ratio with every column averaged."
            ),
            f"{method}, for all ways together",
        )
    }
    for place, way in enumerate(ways):
        selector, share, modifier = way
        figures[f"minimization/{selector}/{100 * share:g}_percent/{modifier}"] = figure(
            f"ratio of the {what} on minimized rows, {_way(way)}",
            float(values[place]),
            _between(ratios[:, place], *_TAILS),
            f"The {what} on {rows:,} control rows over that on the whole rows: {_way(way)}.",
        )
    return figures


def _between(samples: Floats, low: float, high: float) -> tuple[float, float]:
    ends = np.percentile(samples, (low, high))
    return float(ends[0]), float(ends[1])


def _of_worst(ratios: Floats, *, lowest: bool) -> tuple[float, float]:
    """Return an interval of the worst of all true ratios.

    The end away from the others must hold for the worst way only, whichever it is; the other end
    for every way at once (Bonferroni), since the worst of many noisy ratios looks worse than it is.
    """
    each = _TAILS[0] / ratios.shape[1]
    if lowest:
        ends = np.percentile(ratios, (_TAILS[0], 100 - each), axis=0).min(axis=1)
    else:
        ends = np.percentile(ratios, (each, _TAILS[1]), axis=0).max(axis=1)
    return float(ends[0]), float(ends[1])


def _way(way: tuple[str, float, str]) -> str:
    selector, share, modifier = way
    others = "averaged" if modifier == "average" else "dealt anew"
    return f"{share:.0%} of the columns kept by {selector}, the others {others}"


def _resampled(stacked: Floats, resamples: int, seed: int) -> Floats:
    """Return means over bootstrap samples of the rows, shape (resamples, quantities)."""
    random = np.random.default_rng(seed)
    rows = stacked.shape[1]
    even = np.full(rows, 1 / rows)
    means = [
        random.multinomial(rows, even, size=len(part)) @ stacked.T / rows
        for part in np.array_split(np.arange(resamples), max(1, resamples * rows // _CELLS))
    ]
    return np.concatenate(means)


def _quality(subject: Subject, X: Any, y: npt.NDArray[Any]) -> Floats:
    answers = ask(subject, X, y)
    return answers.correct.astype(np.float64) if subject.classifies else answers.loss()


def _average(values: npt.NDArray[Any]) -> float | int:
    """Return the mean of a number, or the row number of the commonest value of a category."""
    if is_number(values):
        return float(np.nanmean(values.astype(np.float64)))
    codes = codes_of(values)
    return int(np.flatnonzero(codes == np.bincount(codes).argmax())[0])


def _without(
    X: Any,
    members: Any,
    columns: Integers,
    averages: list[float | int],
    modifier: str,
    random: np.random.Generator,
) -> Any:
    rows = X.shape[0]
    for column in columns.tolist():
        average = averages[column]
        if modifier == "permutation":
            X = put_rows(X, column, X, random.permutation(rows))
        elif isinstance(average, float):
            X = put_numbers(X, column, np.full(rows, average))
        else:
            X = put_rows(X, column, members, np.full(rows, average))
    return X


def _dependence(subject: Subject, members: People) -> Floats:
    """Return the F statistic of each column and the answer."""
    from sklearn.feature_selection import f_classif, f_regression

    numbers = told_apart(members.X)
    varies = numbers.std(axis=0) > 0
    use = np.full(numbers.shape[1], -1.0)
    measure = f_classif if subject.classifies else f_regression
    if varies.any() and len(np.unique(members.y)) > 1:
        with np.errstate(all="ignore"):
            use[varies] = np.nan_to_num(measure(numbers[:, varies], members.y)[0], posinf=1e300)
    return use


def _variance(members: People) -> Floats:
    """Return the variance of each column, each over its range."""
    numbers = told_apart(members.X)
    return np.asarray(
        (numbers / np.maximum(np.ptp(numbers, axis=0), 1e-12)).var(axis=0), dtype=np.float64
    )


def _importance(subject: Subject, members: People, random: np.random.Generator) -> Floats:
    """Return what the model loses if the cells of a column are dealt anew."""
    sign = 1.0 if subject.classifies else -1.0
    whole = float(_quality(subject, members.X, members.y).mean())
    lost = []
    for column in range(members.X.shape[1]):
        dealt = [
            put_rows(members.X, column, members.X, random.permutation(len(members)))
            for _ in range(_REPEATS)
        ]
        kept = np.mean([_quality(subject, X, members.y).mean() for X in dealt])
        lost.append(sign * (whole - float(kept)))
    return np.asarray(lost)
