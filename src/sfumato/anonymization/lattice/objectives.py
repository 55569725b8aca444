"""The measures of loss that a search of the lattice can minimize, by name."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sfumato.anonymization.lattice.choices import LatticeLoss
from sfumato.anonymization.lattice.objectives_of_classes import (
    AmbiguityLoss,
    ClassificationLoss,
    ClassSizeLoss,
    DiscernibilityLoss,
    DivergenceLoss,
)
from sfumato.anonymization.lattice.objectives_of_columns import (
    ColumnTablesLoss,
    EntropyLoss,
    HeightLoss,
    Objective,
    ShareLoss,
    level_shares,
    ncp_shares,
    rest_of,
)
from sfumato.anonymization.lattice.tuples import LatticeTuples

__all__ = ["Objective", "make_objective"]


def make_objective(
    loss: LatticeLoss,
    tuples: LatticeTuples,
    weights: Sequence[float] | None = None,
    gs_factor: float = 0.5,
    target: str | None = None,
) -> Objective:
    """Return a measure of loss over a lattice.

    Parameters
    ----------
    loss
        Its name.
    tuples
        What is generalized.
    weights
        Importance of each column, shape (q,), 0 or more; equal ones by default. Only their ratios
        count for means ("arithmetic", "geometric", "ncp", "precision"); for sums and the maximum
        they are scaled so that the greatest is 1.
    gs_factor
        0 (only generalization costs) to 1 (only suppression costs); ARX's slider. For the losses
        over shares and for entropy.
    target
        The column to predict, for "classification"; among the tuples' sensitive columns.
    """
    width = len(tuples.names)
    raw = np.ones(width) if weights is None else np.asarray(weights, dtype=np.float64)
    mean = raw / raw.sum()
    scaled = raw / raw.max()
    if loss in ("arithmetic", "geometric"):
        return ShareLoss(tuples, mean, gs_factor, loss)
    if loss in ("sum", "max"):
        return ShareLoss(tuples, scaled, gs_factor, loss)
    if loss == "ncp":
        shares = [ncp_shares(ladder) for ladder in tuples.ladders]
        return ColumnTablesLoss(tuples, shares, rest_of(shares), mean)
    if loss == "precision":
        steps = [level_shares(ladder) for ladder in tuples.ladders]
        return ColumnTablesLoss(tuples, steps, rest_of(steps), mean)
    if loss == "entropy":
        return EntropyLoss(tuples, scaled, gs_factor)
    if loss == "height":
        return HeightLoss(tuples, scaled)
    if loss == "classification":
        return ClassificationLoss(tuples, target or "")
    return _WHOLE[loss](tuples)


_WHOLE: dict[str, type[Objective]] = {
    "discernibility": DiscernibilityLoss,
    "aecs": ClassSizeLoss,
    "ambiguity": AmbiguityLoss,
    "kl": DivergenceLoss,
}
