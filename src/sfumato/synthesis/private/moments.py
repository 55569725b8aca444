"""Means and products of columns, which noise does not bias, for a fit to be held to.

Shares of cells are 0 or more, noisy counts are not. A fit of many cells that are empty in truth
turns half of their noise into people: tails become heavy and slopes of regressions flat. A sum of
noisy counts over all cells, each times a number, has no such bias. What a regression is made of are
such sums: the mean of each column, its mean square, the mean product of each two columns, a
category counted by an indicator for each of its cells. They are taken from the noisy counts as they
are, with their variances, and a fit weighs them many times.

References
----------
J. Deville, C. Sarndal, "Calibration estimators in survey sampling", JASA 87 (1992), for holding
weights to totals that are known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from sfumato.synthesis.private.cells import Cells
    from sfumato.synthesis.private.histograms import Histogram
    from sfumato.synthesis.private.mixture_fitting import NoisyMarginals

    Floats = NDArray[np.float64]
    Singles = NDArray[np.float32]

__all__ = ["Moments", "Scores"]

_WEIGHT = 100.0  # times that a moment counts, beside the counts it was made of
_TINY = 1e-9


@dataclass(frozen=True, eq=False)
class Moments:
    """What a fit is held to.

    Parameters
    ----------
    firsts
        What each cell counts for in a mean, shape (S, q); S cells of all columns side by side.
    means, mean_weights
        The means, and 1 / variance of them, shape (q,).
    scores
        What each cell counts for in a product, shape (S, p).
    products, product_weights
        Mean products, and 1 / (2 variance) of them, shape (p, p), symmetric; weight 0 within a
        column.
    """

    firsts: Singles
    means: Singles
    mean_weights: Singles
    scores: Singles
    products: Singles
    product_weights: Singles

    def pulled_shares(self, shares: Singles, scale: float) -> Singles:
        """Return the slope of the means' loss, halved, along the shares of cells, shape (S,)."""
        apart = (self.firsts.T @ shares - self.means) * (self.mean_weights / np.float32(scale))
        return np.asarray(self.firsts @ apart, dtype=np.float32)

    def pulled_pairs(self, pairs: Singles, scale: float) -> Singles:
        """Return the slope of the products' loss, halved, along the pairs of cells, (S, S)."""
        apart = self.scores.T @ pairs @ self.scores - self.products
        apart *= self.product_weights / np.float32(scale)
        return np.asarray(self.scores @ apart @ self.scores.T, dtype=np.float32)


@dataclass(frozen=True, eq=False)
class Scores:
    """What each cell counts for: as rows of it are drawn, and as the counts say without bias.

    Parameters
    ----------
    columns
        Column of each product's score, shape (p,).
    drawn, counted
        Scores of the cells for products, shape (S, p).
    firsts
        Scores of the cells for means, as drawn, shape (S, q).
    means, variances
        The means as counted and their variances, shape (q,).
    """

    columns: NDArray[np.int64]
    drawn: Floats
    counted: Floats
    firsts: Floats
    means: Floats
    variances: Floats

    @classmethod
    def of(cls, cells: Sequence[Cells], histograms: Sequence[Histogram], rows: float) -> Self:
        """Return the scores of columns that were counted.

        Parameters
        ----------
        cells
            The columns' cells.
        histograms
            Their noisy counts.
        rows
            Noisy number of rows.
        """
        width = sum(one.size for one in cells)
        columns: list[int] = []
        products: list[tuple[Floats, Floats]] = []
        firsts: list[tuple[Floats, float, float]] = []
        start = 0
        for place, (cell, histogram) in enumerate(zip(cells, histograms, strict=True)):
            inside = slice(start, start + cell.size)
            start += cell.size
            for stretch, product in _stretch_scores(cell, histogram):
                known = np.where(cell.cell >= 0, stretch, 0.0)
                drawn, counted = _cell_scores(cell, histogram, known)
                first = np.zeros(width)
                first[inside] = drawn
                mean = float(histogram.counts @ known) / rows
                variance = float(histogram.deviation**2 @ known**2) / rows**2
                firsts.append((first, mean, max(variance, _TINY**2)))
                if product:
                    both = np.zeros((2, width))
                    both[:, inside] = drawn, counted
                    products.append((both[0], both[1]))
                    columns.append(place)
        return cls(
            np.array(columns),
            np.stack([one for one, _ in products], axis=1),
            np.stack([one for _, one in products], axis=1),
            np.stack([one for one, _, _ in firsts], axis=1),
            np.array([one for _, one, _ in firsts]),
            np.array([one for _, _, one in firsts]),
        )

    def moved(self, noisy: NoisyMarginals, shares: Floats, random: np.random.Generator) -> Floats:
        """Return by how much the means move with the shares of cells, and by noise within them.

        Parameters
        ----------
        noisy
            Says how surely the share of each cell is known.
        shares
            By how much it moved, shape (S,).
        random
            The noise of a mean is that of many points: what of it the cells do not hold is drawn.
        """
        cells = (self.firsts**2).T @ (1 / noisy.single_weights)
        within = np.sqrt(np.maximum(self.variances - cells, 0.0))
        moved: Floats = self.firsts.T @ shares + within * random.standard_normal(within.size)
        return moved

    def moments(self, noisy: NoisyMarginals, moved: Floats) -> Moments:
        """Return what a fit to noisy marginals is held to.

        Parameters
        ----------
        noisy
            The marginals, of which the products are made.
        moved
            Added to the means, shape (q,).
        """
        pairs, weights = noisy.pairs.astype(np.float64), noisy.pair_weights.astype(np.float64)
        if noisy.within is not None and noisy.within_weights is not None:
            # the same pairs once more, as the sum over the target's values
            again = noisy.within_weights.astype(np.float64) / len(noisy.within)
            total = np.maximum(weights + again, 1e-300)
            pairs = (pairs * weights + noisy.within.sum(axis=0) * again) / total
            weights = weights + again
        first = np.concatenate([[0], np.cumsum(noisy.sizes)[:-1]])[self.columns]
        lengths = (self.counted**2).sum(axis=0)
        product_weights = weights[np.ix_(first, first)] / np.maximum(
            np.outer(lengths, lengths), _TINY
        )
        return Moments(
            self.firsts.astype(np.float32),
            (self.means + moved).astype(np.float32),
            (_WEIGHT / self.variances).astype(np.float32),
            self.drawn.astype(np.float32),
            (self.counted.T @ pairs @ self.counted).astype(np.float32),
            (_WEIGHT * product_weights).astype(np.float32),
        )


def _stretch_scores(cell: Cells, histogram: Histogram) -> list[tuple[Floats, bool]]:
    """Return scores of a column's stretches, and whether products are taken of them."""
    found: list[tuple[Floats, bool]] = []
    points = np.zeros(len(cell.starts))
    if cell.ordered:
        lengths = np.diff(cell.starts)
        middle = cell.starts[:-1] + (lengths - 1) / 2
        counts = np.maximum(histogram.counts[:-1], 0.0)
        share = counts / max(counts.sum(), _TINY)
        mean = share @ middle
        square = (middle - mean) ** 2 + (lengths**2 - 1) / 12
        spread = max(float(share @ square), _TINY)
        points[:-1] = (middle - mean) / np.sqrt(spread)
        found.append((points, True))
        squares = np.zeros(len(cell.starts))
        squares[:-1] = square / spread
        found.append((squares, False))
        kinds = [cell.size - 1] if cell.cell[-1] >= 0 else []
    else:
        kinds = list(range(1 if cell.size == 2 else 0, cell.size)) if cell.size > 1 else []
    share = cell.totals(histogram.counts)
    share = np.maximum(share, 0.0) / max(np.maximum(share, 0.0).sum(), _TINY)
    for kind in kinds:
        # about its mean, in units of its spread
        spread = np.sqrt(max(share[kind] * (1 - share[kind]), _TINY))
        found.append((((cell.cell == kind) - share[kind]) / spread, True))
    return found


def _cell_scores(cell: Cells, histogram: Histogram, stretch: Floats) -> tuple[Floats, Floats]:
    """Return the mean score of each cell, as rows are drawn and as the counts say."""
    drawn = cell.totals(cell.share * stretch)
    counts = cell.totals(histogram.counts)
    said = cell.totals(histogram.counts * stretch) / np.where(counts > 0, counts, np.inf)
    known = cell.cell >= 0
    low, high = np.full(cell.size, np.inf), np.full(cell.size, -np.inf)
    np.minimum.at(low, cell.cell[known], stretch[known])
    np.maximum.at(high, cell.cell[known], stretch[known])
    return drawn, np.where(counts > 0, np.clip(said, low, high), drawn)
