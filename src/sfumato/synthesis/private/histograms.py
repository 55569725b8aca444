"""Each column by itself: a noisy histogram of its declared points, and the atoms found in it.

An atom is one point that many people share among points that few do: 0 of a capital gain, a body
mass index that a form filled in. A long grid is counted twice, in wide stretches for its shape and
point by point for its atoms: one point stands out of the noise if its noisy count is above what
noise alone reaches anywhere on the grid, save in one of twenty tables.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from sfumato.synthesis.private.cells import Cells
from sfumato.synthesis.private.domain import DeclaredNumbers, DeclaredValues

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sfumato.synthesis.private.noisy_counting import NoisyCounting

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

__all__ = ["Histogram", "column_histogram", "noisy_rows"]

_SHORT = 256  # points that are counted one by one
_STRETCHES = 128  # of a longer grid
_MOST_POINTS = 2**20  # of a grid that is searched for atoms
_FOR_ATOMS = Fraction(1, 4)  # share of the column's budget
_ALARM = 0.05  # chance that noise alone makes an atom


@dataclass(frozen=True, eq=False)
class Histogram:
    """A column's noisy counts.

    Parameters
    ----------
    starts
        First point of each stretch; the last is the point that stands for missing.
    counts, deviation
        Noisy count of each stretch and the standard deviation of its noise.
    ordered
        Whether the points have an order.
    """

    starts: Integers
    counts: Floats
    deviation: Floats
    ordered: bool

    def cells(self, least: float) -> Cells:
        """Return the stretches joined to cells; see :meth:`Cells.joined`."""
        return Cells.joined(
            self.starts, self.counts, self.deviation, ordered=self.ordered, least=least
        )


def column_histogram(
    points: Integers,
    declared: DeclaredNumbers | DeclaredValues,
    counting: NoisyCounting,
    *,
    share: Fraction,
    name: str,
) -> Histogram:
    """Return the noisy histogram of a column.

    Parameters
    ----------
    points
        The declared point of each row; ``declared.size`` for missing.
    declared
        What the column can hold.
    counting
        Counts with noise and pays for it.
    share
        Share of the whole budget (in units of mu squared) that is spent.
    name
        Name of the column, for the ledger.
    """
    size, ordered = declared.size, isinstance(declared, DeclaredNumbers)
    if size <= _SHORT or not ordered:
        noisy, sigma = counting.counts(points, size + 1, share, f"counts of {name}")
        return Histogram(np.arange(size + 1), noisy, np.full(size + 1, sigma), ordered)
    edges = np.arange(_STRETCHES, dtype=np.int64) * size // _STRETCHES
    for_atoms = _FOR_ATOMS * share if size <= _MOST_POINTS else Fraction(0)
    starts = np.append(edges, size)
    place = np.searchsorted(starts, points, side="right") - 1
    noisy, sigma = counting.counts(place, starts.size, share - for_atoms, f"stretches of {name}")
    deviation = np.full(starts.size, sigma)
    if for_atoms > 0:
        fine, fine_sigma = counting.counts(points, size, for_atoms, f"atoms of {name}")
        return _with_atoms(starts, noisy, sigma, fine, fine_sigma)
    return Histogram(starts, noisy, deviation, ordered)


def _with_atoms(
    starts: Integers, counts: Floats, sigma: float, fine: Floats, fine_sigma: float
) -> Histogram:
    from scipy.special import ndtri

    size = int(starts[-1])
    atoms = np.flatnonzero(fine > -ndtri(_ALARM / size) * fine_sigma)
    cut = np.unique(np.concatenate([starts, atoms, atoms + 1]))
    is_atom = np.isin(cut, atoms)
    lengths = np.diff(np.append(cut, size + 1))
    home = np.searchsorted(starts, cut, side="right") - 1
    held = np.bincount(home[is_atom], weights=fine[cut[is_atom]], minlength=starts.size)
    number = np.bincount(home[is_atom], minlength=starts.size)
    rest = np.bincount(home, weights=np.where(is_atom, 0, lengths), minlength=starts.size)
    part = np.where(is_atom, 1.0, lengths / np.maximum(rest[home], 1))
    without = np.sqrt(sigma**2 + number * fine_sigma**2)
    return Histogram(
        cut,
        np.where(is_atom, fine[np.minimum(cut, size - 1)], (counts - held)[home] * part),
        np.where(is_atom, fine_sigma, without[home] * part),
        ordered=True,
    )


def noisy_rows(histograms: list[Histogram]) -> float:
    """Return the number of rows as the columns' noisy counts tell it, at least 1.

    The mean of the columns' totals, each weighted by one over the variance of its noise.
    """
    totals = np.array([one.counts.sum() for one in histograms])
    weights = np.array([1 / (one.deviation**2).sum() for one in histograms])
    return max(float(weights @ totals / weights.sum()), 1.0)
