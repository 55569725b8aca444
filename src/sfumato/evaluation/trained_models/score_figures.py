"""What a membership score says of members and controls: four figures of every attack.

References
----------
N. Carlini et al., "Membership inference attacks from first principles" (IEEE S&P 2022), section IV:
true positives at few false ones; E. R. DeLong et al., Biometrics 44 (1988): the interval of the
area; F. Wilcoxon, Biometrics Bulletin 1 (1945): the sum of ranks.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from sfumato.evaluation.attacks.true_positives import true_positives_figure
from sfumato.evaluation.estimates import NORMAL_95, ONE_SIDED_95, area_under_roc, wilson
from sfumato.evaluation.exchangeability import Excess, clopper_pearson, noticed_excess, top_excess
from sfumato.evaluation.figures import Direction, Figure

__all__ = ["Attempt", "around_control", "score_figures", "unscored"]

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

_STEPS = 100  # groups of ranks, so that labels can be drawn for all of a group at once
_DRAWS = 9_999
_NULL_SEED = 1945
_LOWER: Direction = "lower is better"


@dataclass(frozen=True)
class Attempt:
    """What a score is of, in words.

    Parameters
    ----------
    key, name
        Short key, and what the figures' names begin with.
    told
        Ends the sentence "the people ...", such as "whom the model fits best".
    source
        Paper and section.
    not_shown
        What it does not show.
    """

    key: str
    name: str
    told: str
    source: str
    not_shown: str


def score_figures(
    attempt: Attempt,
    score: Floats,
    member: Flags,
    groups: dict[str, Integers],
    *,
    false_positives: tuple[float, ...],
    seed: int,
) -> dict[str, Figure]:
    """Return the figures of one score for each group of people.

    Parameters
    ----------
    attempt
        What the score is of.
    score
        Higher for likelier members; must not depend on who is one. Shape (n,).
    member
        Who is, shape (n,).
    groups
        Row numbers by the end of the key.
    false_positives
        Shares of the controls who may be accused.
    seed
        Of the draws of labels.

    Returns
    -------
    dict of Figure
        ``<key><group>/top`` (exact test at all depths), ``/auc`` (exact test of the sum of ranks)
        and ``/tpr_at_<x>_percent``.
    """
    found: dict[str, Figure] = {}
    for ending, rows in groups.items():
        key = f"{attempt.key}{ending}"
        whose = ", the most isolated people" if ending else ""
        name = f"{attempt.name}{whose}"
        ours, who = score[rows], member[rows]
        lacking = ""
        if who.all() or not who.any():
            lacking = "there are no members or no controls among these people"
        if lacking:
            found[f"{key}/top"] = _none(
                f"{name}: members among the highest scores", attempt, lacking
            )
            found[f"{key}/auc"] = _none(f"{name}: area under the curve", attempt, lacking)
        else:
            found[f"{key}/top"] = _top(name, attempt, ours, who, seed)
            found[f"{key}/auc"] = _area(name, attempt, ours, who)
        for rate in false_positives:
            found[f"{key}/tpr_at_{100 * rate:g}_percent"] = true_positives_figure(
                ours,
                who,
                rate,
                attack=name,
                source=attempt.source,
                not_shown=attempt.not_shown,
                lacking=lacking,
            )
    return found


def unscored(attempt: Attempt, because: str) -> dict[str, Figure]:
    """Return the typed absence of an attack's figures."""
    return {f"{attempt.key}/auc": _none(f"{attempt.name}: area under the curve", attempt, because)}


def around_control(found: Excess) -> tuple[float, float]:
    """Return the interval of the members' share: that of the excess, laid on the controls'."""
    low, high = found.interval
    return max(0.0, found.controls + float(low)), min(1.0, found.controls + float(high))


def _none(name: str, attempt: Attempt, because: str) -> Figure:
    return Figure.not_computed(name, because, unit="share", direction=_LOWER, source=attempt.source)


def _top(name: str, attempt: Attempt, score: Floats, member: Flags, seed: int) -> Figure:
    found = top_excess(score[member], score[~member], seed=seed)
    return Figure(
        name=f"{name}: members among the highest scores",
        value=found.members / found.depth,
        unit="share",
        direction=_LOWER,
        meaning=(
            f"Of the {found.depth:,} people {attempt.told}, {found.members:,} are members; by "
            f"chance it would be {found.expected:,.1f}. The depth is the one where most are found "
            "beyond chance, and the test allows for this choice."
        ),
        source=attempt.source,
        interval=clopper_pearson(found.members, found.depth),
        interval_method="Clopper-Pearson, 95 %; p by exchanging members and controls, all depths",
        baseline=found.expected / found.depth,
        p_value=found.p_value,
        detectable=found.detectable,
        attacks=len(score),
        not_shown=attempt.not_shown,
    )


def _area(name: str, attempt: Attempt, score: Floats, member: Flags) -> Figure:
    area = area_under_roc(member, score)
    if area is None:  # pragma: no cover (asked for with both kinds only)
        return _none(name, attempt, "there are no members or no controls")
    places, n = _places(score), int(member.sum())
    p_value = _rank_sum_test(places, member)
    reach = NORMAL_95 * area.standard_error
    interval = (max(0.0, area.value - reach), min(1.0, area.value + reach))
    if not area.standard_error:  # all alike, or told apart without a fault
        interval = wilson(area.value * area.rows, area.rows)
    return Figure(
        name=f"{name}: area under the curve",
        value=area.value,
        unit="share",
        direction="closer to the baseline is better",
        meaning=(
            f"How often a member is rather among the people {attempt.told} than a control person, "
            "both drawn at random; one half is chance."
        ),
        source=attempt.source,
        interval=interval,
        interval_method="DeLong, 95 %; p by exchanging members and controls, sum of ranks",
        baseline=0.5,
        p_value=p_value,
        upper=min(1.0, area.value - 0.5 + ONE_SIDED_95 * area.standard_error),
        detectable=noticed_excess(n, len(score) - n, 0.5, float(places.var())),
        attacks=len(score),
        not_shown=f"{attempt.not_shown} A few people who are given away do not move it.",
    )


def _places(score: Floats) -> Floats:
    """Return the rank of each score as a share, in at most 100 steps; equal scores share one."""
    from scipy.stats import rankdata

    shares = (rankdata(score) - 0.5) / len(score)
    groups = np.minimum((shares * _STEPS).astype(np.int64), _STEPS - 1)
    means = np.bincount(groups, shares) / np.maximum(np.bincount(groups), 1)
    return np.asarray(means[groups], dtype=np.float64)


def _rank_sum_test(places: Floats, member: Flags) -> float:
    """Return the chance of so high a sum of the members' places if labels are exchanged."""
    values, counts = np.unique(places, return_counts=True)
    law = _rank_sums(tuple(values.tolist()), tuple(counts.tolist()), int(member.sum()))
    total = float(places[member].sum())
    at_least = len(law) - int(np.searchsorted(law, total - 1e-9, side="left"))
    return (1 + at_least) / (len(law) + 1)


@lru_cache(maxsize=64)
def _rank_sums(values: tuple[float, ...], counts: tuple[int, ...], members: int) -> Floats:
    """Return drawn sums of the members' places, ascending: the same for all scores without ties."""
    random = np.random.default_rng(_NULL_SEED)
    drawn = random.multivariate_hypergeometric(counts, members, size=_DRAWS) @ np.asarray(values)
    return np.sort(drawn)
