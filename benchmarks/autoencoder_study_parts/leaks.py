"""Two checks that need no attack: does row i lie at person i, and do rows lie at members at all.

They stand beside the attack suite's figures and are tested together with them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import polars as pl
from autoencoder_study_parts.tables import DataSet
from scipy.spatial import cKDTree

from sfumato.evaluation import Figure
from sfumato.evaluation.estimates import wilson
from sfumato.evaluation.exchangeability import excess

__all__ = ["NEARER", "OWN", "Closeness", "closeness"]

OWN, NEARER = "copies/own_source", "membership/nearest_person"
_HERE = "benchmarks/autoencoder_study_parts/leaks.py"
_ONE_SIDED_95, _POWER_80 = 1.6448536269514722, 0.8416212335729143
_LEAST_P = 1e-300  # smaller ones are no numbers any more; the exponent is kept beside


@dataclass(frozen=True)
class Closeness:
    """What the two checks found.

    Parameters
    ----------
    figures
        By key.
    log10_p_own
        Decimal exponent of the bound on the p-value of the own-source check; 0 if not tested.
    median_distance, median_distance_of_controls
        From a released row, and from a control person, to the nearest member, in standard
        deviations of the members.
    """

    figures: dict[str, Figure]
    log10_p_own: float
    median_distance: float
    median_distance_of_controls: float


def closeness(data: DataSet, rows: pl.DataFrame, seed: int) -> Closeness:
    """Find each released row's nearest real person over all features, in standard deviations."""
    members, controls, made = (
        table[data.features].to_numpy().astype(float)
        for table in (data.members, data.controls, rows)
    )
    scale = members.std(axis=0)
    scale[scale == 0] = 1.0
    tree = cKDTree(members / scale)
    distance, nearest = tree.query(made / scale)
    distance_of_controls, _ = tree.query(controls / scale)
    own, exponent = _own_source(nearest, len(members))
    nearer = _nearest_person(members / scale, controls / scale, made / scale, seed)
    return Closeness(
        {OWN: own, NEARER: nearer},
        exponent,
        float(np.median(distance)),
        float(np.median(distance_of_controls)),
    )


def _own_source(nearest: np.ndarray, members: int) -> tuple[Figure, float]:
    """Count the rows whose nearest training row is the one of the same number.

    If the order of the released rows meant nothing, they could be shuffled: one hit is expected,
    and of m given hits at most one in m! shufflings has them all, so that P(hits >= m) <= 1/m!
    (the m-th factorial moment is at most 1), whatever the distances are.
    """
    name = "rows whose nearest training row is the row of the same number"
    if len(nearest) != members:
        because = "the release has not as many rows as there were training rows"
        absent = Figure.not_computed(
            name, because, unit="share", direction="lower is better", source=_HERE
        )
        return absent, 0.0
    hits = int((nearest == np.arange(members)).sum())
    log_p = -math.lgamma(hits + 1)
    figure = Figure(
        name,
        hits / members,
        "share",
        "lower is better",
        "Share of released rows that lie nearer to the person in the same row of the training "
        "table than to any other person trained on.",
        f"{_HERE}; P(hits >= m) <= 1/m! over all orders of the rows",
        interval=wilson(hits, members),
        interval_method="Wilson",
        baseline=1 / members,
        p_value=max(math.exp(log_p) if log_p > -690 else 0.0, _LEAST_P),
        upper=wilson(hits, members)[1] - 1 / members,
        # 4 hits are needed for 1/m! below 5 %; 5.5 are expected where 4 come in 4 of 5 cases
        detectable=min(1.0, 4.5 / members),
        attacks=members,
        not_shown="A release in another order shows nothing here, however near its rows are.",
    )
    return figure, log_p / math.log(10)


def _nearest_person(
    members: np.ndarray, controls: np.ndarray, made: np.ndarray, seed: int
) -> Figure:
    """Count the rows whose nearest real person is a member, against labels that mean nothing."""
    n, total = len(members), len(members) + len(controls)
    # people in an order that is drawn, so that a tie favours nobody
    order = np.random.default_rng(seed).permutation(total)
    tree = cKDTree(np.concatenate([members, controls])[order])
    rows_of = np.bincount(order[tree.query(made)[1]], minlength=total).astype(float)
    most = rows_of.max()
    test = excess(rows_of[:n] / most, rows_of[n:] / most, seed=seed)
    value = float(rows_of[:n].sum() / len(made))
    # what the share varies by where labels mean nothing (Fisher 1935)
    around = ((rows_of - rows_of.mean()) ** 2).sum()
    spread = math.sqrt(n * (total - n) / (total * (total - 1)) * around) / len(made)
    room, noticed = 1 - n / total, (_ONE_SIDED_95 + _POWER_80) * spread
    return Figure(
        "rows nearest to a person trained on, rather than to a control",
        value,
        "share",
        "closer to the baseline is better",
        "Share of released rows whose nearest real person is one that the release was made from.",
        f"{_HERE}; Fisher 1935, labels of members and controls permuted",
        interval=wilson(round(rows_of[:n].sum()), len(made)),
        interval_method="Wilson, as if rows were independent; the p-value does not need that",
        baseline=n / total,
        p_value=test.p_value,
        upper=min(room, value - n / total + _ONE_SIDED_95 * spread),
        # where chance alone may reach all rows, no leak would be noticed
        detectable=noticed if noticed < room else None,
        attacks=total,
        not_shown="It is an average: a few people given away among many do not move it.",
    )
