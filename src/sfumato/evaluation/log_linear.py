"""Population uniques by a log-linear model of the table of quasi-identifiers.

Combinations that are unique in a sample are not alike: one whose values are all common is hardly
unique in the population. A log-linear model of the counts predicts for each combination how many
people of the population share it.

References
----------
C. J. Skinner, N. Shlomo, "Assessing identification risk in survey microdata using log-linear
models", JASA 103(483), 2008: the measures tau_1 and tau_2 (section 2), the criterion by which a
model is chosen (section 3). W. E. Deming, F. F. Stephan, Annals of Mathematical Statistics 11
(1940), iterative proportional fitting.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

__all__ = ["MOST_CELLS", "LogLinear", "log_linear"]

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

#: Above this number of cells of the whole table only main effects are fitted.
MOST_CELLS = 300_000
_ROUNDS = 40
_CLOSE = 1e-4


@dataclass(frozen=True)
class LogLinear:
    """The risk of the sample's uniques by the model that was chosen.

    Parameters
    ----------
    terms
        "main effects" or "two-way interactions".
    unique
        Expected number of sample uniques that are population uniques (tau_1).
    correct
        Expected number of correct matches if each sample unique is linked to one of the people of
        the population who share its combination (tau_2).
    spread
        Standard deviations of either number, given the model.
    misfit
        The estimated bias of ``unique`` by the terms that were tried; the least was chosen. Empty
        if the table has too many cells to tell.
    """

    terms: str
    unique: float
    correct: float
    spread: tuple[float, float]
    misfit: dict[str, float]


def log_linear(codes: Sequence[Integers], sizes: Integers, fraction: float) -> LogLinear:
    """Fit log-linear models to the sample and return the risk of its uniques.

    Parameters
    ----------
    codes
        For each quasi-identifier the value of each class, counted from 0, shape (u,).
    sizes
        Rows of each class, shape (u,), each at least 1.
    fraction
        Sampling fraction, above 0 and at most 1.
    """
    widths = [int(code.max()) + 1 for code in codes]
    alone = np.flatnonzero(sizes == 1)
    cells = math.prod(widths)
    main = _main_effects([code[alone] for code in codes], codes, widths, sizes)
    if cells > MOST_CELLS:
        return _risk("main effects", main / fraction, fraction, {})
    table = np.zeros(widths, dtype=np.float64)
    np.add.at(table, tuple(codes), sizes)
    grids = [np.arange(width, dtype=np.int64) for width in widths]
    mesh = [grid.ravel() for grid in np.meshgrid(*grids, indexing="ij")]
    whole = _main_effects(mesh, codes, widths, sizes).reshape(widths)
    fits = {"main effects": whole}
    if len(widths) > 2:
        fits["two-way interactions"] = _two_way(table, whole)
    misfit = {terms: _misfit(table, fit / fraction, fraction) for terms, fit in fits.items()}
    terms = min(misfit, key=lambda one: abs(misfit[one]))
    means = fits[terms][tuple(code[alone] for code in codes)]
    return _risk(terms, means / fraction, fraction, misfit)


def _main_effects(
    wanted: Sequence[Integers], codes: Sequence[Integers], widths: Sequence[int], sizes: Integers
) -> Floats:
    """Return the expected sample counts of cells if all quasi-identifiers were independent."""
    rows = float(sizes.sum())
    means = np.full(len(wanted[0]), rows)
    for cell, code, width in zip(wanted, codes, widths, strict=True):
        means *= (np.bincount(code, sizes, width) / rows)[cell]
    return means


def _two_way(table: Floats, start: Floats) -> Floats:
    """Fit all two-way margins by iterative proportional fitting."""
    fit = start.copy()
    axes = range(table.ndim)
    pairs = [tuple(axis for axis in axes if axis not in pair) for pair in combinations(axes, 2)]
    margins = [table.sum(axis=others, keepdims=True) for others in pairs]
    for _ in range(_ROUNDS):
        farthest = 0.0
        for others, margin in zip(pairs, margins, strict=True):
            now = fit.sum(axis=others, keepdims=True)
            farthest = max(farthest, float(np.abs(now - margin).max()))
            fit *= np.divide(margin, now, out=np.zeros_like(now), where=now > 0)
        if farthest <= _CLOSE * table.sum():
            break
    return fit


def _misfit(table: Floats, means: Floats, fraction: float) -> float:
    """Return the estimated bias of tau_1 that a model's misfit causes (the paper's B_1)."""
    off = table - fraction * means
    rest = 1 - fraction
    inner = off + rest * (off**2 - table) / (2 * fraction)
    return float((means * np.exp(-means) * rest * inner).sum())


def _risk(terms: str, means: Floats, fraction: float, misfit: dict[str, float]) -> LogLinear:
    """Return tau_1 and tau_2 from the expected population counts of the sample's uniques."""
    more = (1 - fraction) * means  # expected others of the population
    unique = np.exp(-more)
    correct = np.divide(-np.expm1(-more), more, out=np.ones_like(more), where=more > 1e-12)
    spread = (
        math.sqrt(float((unique * (1 - unique)).sum())),
        math.sqrt(float((correct * (1 - correct)).sum())),
    )
    return LogLinear(terms, float(unique.sum()), float(correct.sum()), spread, misfit)
