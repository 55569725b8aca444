"""How many members are told at few false alarms: the figure of a membership attack.

References
----------
N. Carlini et al., "Membership inference attacks from first principles", IEEE S&P 2022, section IV.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from sfumato.evaluation.exchangeability import clopper_pearson
from sfumato.evaluation.figures import Figure

__all__ = ["true_positive_rate", "true_positives_figure"]

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

_ONE_SIDED = 0.9  # two-sided level whose upper end is a one-sided 95 % bound
_RATES = "Carlini et al. 2022 (IEEE S&P), section IV: true positives at low false positives"


def true_positive_rate(members: Floats, controls: Floats, false_positives: float) -> float:
    """Return the share of members above the score that a share of the controls exceeds.

    Parameters
    ----------
    members, controls
        Scores, higher for likelier members, at least one of either.
    false_positives
        Share of the controls, between 0 and 1. Ties at the threshold are accused by chance, so
        that exactly this share is.
    """
    allowed = false_positives * len(controls)
    ranked = np.sort(controls)[::-1]
    threshold = ranked[min(math.floor(allowed + 1e-9), len(ranked) - 1)]
    above, tied = int((controls > threshold).sum()), int((controls == threshold).sum())
    part = min(1.0, (allowed - above) / tied)
    return float((members > threshold).mean() + part * (members == threshold).mean())


def true_positives_figure(
    score: Floats,
    member: Flags,
    rate: float,
    *,
    attack: str,
    source: str,
    not_shown: str,
    lacking: str = "",
) -> Figure:
    """Return the share of the members who are told where a share of the controls is accused.

    Parameters
    ----------
    score
        Higher for likelier members, shape (n,).
    member
        Which of them are members, shape (n,).
    rate
        Share of the controls who may be accused wrongly, between 0 and 1.
    attack
        What the scores are of, such as "membership by distance".
    source, not_shown
        As of the figure.
    lacking
        Why nothing can be told of these people; empty if something can.
    """
    called = f"{100 * rate:g} %"
    name = f"{attack}: true positive rate at {called} false positives"
    controls, members = int((~member).sum()), int(member.sum())
    if not lacking and rate * controls < 1:
        lacking = (
            f"{called} of {controls:,} control people are less than one: at least "
            f"{math.ceil(1 / rate):,} are needed"
        )
    if lacking:
        return Figure.not_computed(
            name, lacking, unit="share", direction="lower is better", source=source
        )
    value = true_positive_rate(score[member], score[~member], rate)
    told = round(value * members)
    return Figure(
        name=name,
        value=value,
        unit="share",
        direction="lower is better",
        meaning=(
            f"Share of the members who are told from their score, if {called} of the people whom "
            "the release never saw are accused wrongly. A guess without the release finds as many "
            "as it accuses wrongly."
        ),
        source=f"{_RATES}; {source}",
        interval=clopper_pearson(told, members),
        interval_method="Clopper-Pearson, 95 %, at the threshold that these controls set",
        baseline=rate,
        control=rate,
        upper=clopper_pearson(told, members, level=_ONE_SIDED)[1] - rate,
        attacks=len(score),
        not_shown=not_shown,
    )
