"""Column by column and pair by pair: how like the released rows are to the real ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from autoencoder_study_parts.tables import DataSet
from scipy.stats import ks_2samp

__all__ = ["ColumnLikeness", "correlations", "likeness", "mean_difference"]


@dataclass(frozen=True)
class ColumnLikeness:
    """One column of a release beside the same of its members.

    Parameters
    ----------
    ks
        Kolmogorov-Smirnov distance, 0 to 1.
    ks_rounded
        The same after whole-number columns are rounded; None if the column holds fractions.
    ks_control
        The distance of other real people from the members: what sampling alone gives.
    spread
        Standard deviation as a share of the real one.
    """

    name: str
    mean_real: float
    mean: float
    sd_real: float
    sd: float
    spread: float
    ks: float
    ks_rounded: float | None
    ks_control: float


def likeness(data: DataSet, rows: pl.DataFrame) -> list[ColumnLikeness]:
    """Compare each column of the release with the members'."""
    found = []
    for name in data.members.columns:
        real, other, made = (
            table[name].to_numpy().astype(float) for table in (data.members, data.controls, rows)
        )
        whole = bool((real == np.rint(real)).all())
        spread = made.std() / real.std() if real.std() > 0 else float("nan")
        found.append(
            ColumnLikeness(
                name,
                float(real.mean()),
                float(made.mean()),
                float(real.std(ddof=1)),
                float(made.std(ddof=1)),
                float(spread),
                float(ks_2samp(real, made).statistic),
                float(ks_2samp(real, np.rint(made)).statistic) if whole else None,
                float(ks_2samp(real, other).statistic),
            )
        )
    return found


def correlations(rows: pl.DataFrame) -> np.ndarray:
    """Return Pearson's correlations of all columns; 0 where a column is constant."""
    values = rows.to_numpy().astype(float)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.nan_to_num(np.corrcoef(values.T))


def mean_difference(data: DataSet, rows: pl.DataFrame) -> float:
    """Return the mean absolute difference of the correlations of all pairs of features."""
    real, made = correlations(data.members[data.features]), correlations(rows[data.features])
    return float(np.abs(real - made)[np.triu_indices(len(real), 1)].mean())
