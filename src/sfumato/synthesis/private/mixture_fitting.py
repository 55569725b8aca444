"""Fit a mixture of products to noisy marginals by weighted least squares.

What a mixture says of all pairs of columns at once is one product of matrices, A' diag(w) A, with
the classes' tables A side by side and their shares w; so is its gradient. The same holds for all
pairs within one value of a further column. A step of Adam thus costs a few products of matrices,
however many pairs there are and however many rows the table had.

Nothing here sees the data: noisy counts go in, so that whatever is done with them is free.

References
----------
R. McKenna, G. Miklau, D. Sheldon, "Winning the NIST contest", J. Privacy and Confidentiality 11
(2021), section 3, for the loss. D. Kingma, J. Ba, "Adam", ICLR 2015.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sfumato.progress import Progress, silent
from sfumato.synthesis.private.mixture import Mixture

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sfumato.synthesis.private.moments import Moments

    Floats = NDArray[np.float64]
    Singles = NDArray[np.float32]

__all__ = ["NoisyMarginals", "fit_mixture"]

_FIRST_MOMENT, _SECOND_MOMENT = 0.9, 0.99
_TINY = 1e-12
_LEAST_SHARE = 1e-5
_LAST_STEP = 1e-3


@dataclass(frozen=True, eq=False)
class NoisyMarginals:
    """Noisy shares of cells, and how surely each is known; all columns side by side.

    Parameters
    ----------
    sizes
        Number of cells of each column; S in all.
    singles, single_weights
        Share of each cell in its column, and 1 / variance of it, shape (S,).
    pairs, pair_weights
        Share of each pair of cells, and 1 / (2 variance) of it, shape (S, S), symmetric; weight 0
        where nothing was measured.
    within, within_weights
        The same within each cell of the column ``target``, shape (its cells, S, S); None if
        nothing was measured so.
    target
        Place of that column.
    moments
        Means and products that the fit is held to beside, if any.
    """

    sizes: tuple[int, ...]
    singles: Floats
    single_weights: Floats
    pairs: Singles
    pair_weights: Singles
    within: Singles | None = None
    within_weights: Singles | None = None
    target: int | None = None
    moments: Moments | None = None


def fit_mixture(
    noisy: NoisyMarginals,
    *,
    classes: int,
    steps: int,
    members: int,
    rate: float,
    spread: float,
    random: np.random.Generator,
    progress: Progress = silent,
) -> Mixture:
    """Return the mixture of several least-squares fits from different beginnings.

    Parameters
    ----------
    noisy
        What was measured.
    classes
        Hidden classes of a fit.
    steps
        Steps of a fit. Fewer smooth more: the noise is learned last.
    members
        Number of fits; their mixture has ``members * classes`` classes, and less of what each fit
        has learned of the noise by chance.
    rate
        Step of Adam on the logarithms of shares; it falls along a cosine.
    spread
        Standard deviation of the logarithms of the shares at the beginning.
    random
        Beginnings are drawn from it.
    progress
        Told how far the work is.
    """
    shares: list[Floats] = []
    tables: list[Floats] = []
    for member in range(members):
        one = _fit(noisy, classes, steps, rate, spread, random, progress, (member, members))
        shares.append(one[0] / members)
        tables.append(one[1])
    progress("fitting the hidden classes", members * steps, members * steps)
    return Mixture.rounded(np.concatenate(shares), np.concatenate(tables), noisy.sizes)


def _fit(
    noisy: NoisyMarginals,
    classes: int,
    steps: int,
    rate: float,
    spread: float,
    random: np.random.Generator,
    progress: Progress,
    member: tuple[int, int],
) -> tuple[Floats, Floats]:
    """Return the classes' shares and tables."""
    # logarithms, tables and gradients in single precision: the noise is far above its rounding
    starts = np.concatenate([[0], np.cumsum(noisy.sizes)[:-1]])
    sizes = np.array(noisy.sizes)
    scale = max(float(noisy.pair_weights.max()), 1e-30)
    if noisy.within_weights is not None:
        scale = max(scale, float(noisy.within_weights.max()))
    singles = noisy.singles.astype(np.float32)
    weights = (noisy.single_weights / scale).astype(np.float32)
    pairs = (noisy.pairs, noisy.pair_weights / np.float32(scale))
    within = None
    if noisy.within is not None and noisy.within_weights is not None and noisy.target is not None:
        within = (noisy.within, noisy.within_weights / np.float32(scale))
    first = int(starts[noisy.target]) if noisy.target is not None else 0
    moments = noisy.moments

    logs = np.log(np.maximum(singles, _LEAST_SHARE)) + np.float32(spread) * random.standard_normal(
        (classes, singles.size), dtype=np.float32
    )
    log_shares = np.zeros(classes, dtype=np.float32)
    adams = (_Adam(logs), _Adam(log_shares))
    for step in range(steps):
        if step % 20 == 0:
            progress("fitting the hidden classes", member[0] * steps + step, member[1] * steps)
        tables = _normalized(logs, starts, sizes)
        shares = _shares(log_shares)
        slope, shares_slope = _pairs_slope(tables, shares, *pairs, moments, scale)
        means = shares @ tables
        apart = (means - singles) * weights
        if moments is not None:
            apart += moments.pulled_shares(means, scale)
        slope += shares[:, None] * (2 * apart)
        shares_slope += tables @ (2 * apart)
        if within is not None:
            for cell in range(len(within[0])):
                place = first + cell
                belongs = tables[:, place]
                part, by_class = _pairs_slope(tables, shares * belongs, within[0][cell], within[1])
                slope += part
                slope[:, place] += by_class * shares
                shares_slope += by_class * belongs
        # through the normalization: d log = A * (slope - mean of slope)
        inner = tables * slope
        sums = np.repeat(np.add.reduceat(inner, starts, axis=1), sizes, axis=1)
        now = rate * 0.5 * (1 + np.cos(np.pi * step / steps)) + _LAST_STEP
        adams[0].step(inner - tables * sums, now)
        adams[1].step(shares * (shares_slope - shares @ shares_slope), now)
    return (
        np.asarray(_shares(log_shares), dtype=np.float64),
        np.asarray(_normalized(logs, starts, sizes), dtype=np.float64),
    )


def _pairs_slope(
    tables: Singles,
    shares: Singles,
    target: Singles,
    weights: Singles,
    moments: Moments | None = None,
    scale: float = 1.0,
) -> tuple[Singles, Singles]:
    """Return the slope of the pairs' loss along the tables and along the shares."""
    apart = np.asarray((tables * shares[:, None]).T @ tables, dtype=np.float32)
    held = moments.pulled_pairs(apart, scale) if moments is not None else None
    apart -= target
    apart *= weights
    if held is not None:
        apart += held
    pulled = np.asarray(tables @ apart, dtype=np.float32)
    by_class = np.asarray(np.einsum("ks,ks->k", tables, pulled), dtype=np.float32)
    pulled *= np.float32(2) * shares[:, None]
    return pulled, by_class


def _normalized(logs: Singles, starts: NDArray[np.int64], sizes: NDArray[np.int64]) -> Singles:
    top = np.repeat(np.maximum.reduceat(logs, starts, axis=1), sizes, axis=1)
    tables: Singles = np.exp(logs - top)
    tables /= np.repeat(np.add.reduceat(tables, starts, axis=1), sizes, axis=1)
    return tables


def _shares(log_shares: Singles) -> Singles:
    shares = np.exp(log_shares - log_shares.max())
    return np.asarray(shares / shares.sum(), dtype=np.float32)


class _Adam:
    """Kingma & Ba (2015), Algorithm 1, in place."""

    def __init__(self, values: Singles) -> None:
        self.values = values
        self.mean, self.square = np.zeros_like(values), np.zeros_like(values)
        self.steps = 0

    def step(self, slope: Singles, rate: float) -> None:
        self.steps += 1
        self.mean *= _FIRST_MOMENT
        self.mean += (1 - _FIRST_MOMENT) * slope
        self.square *= _SECOND_MOMENT
        self.square += (1 - _SECOND_MOMENT) * slope * slope
        move = self.mean / np.float32(1 - _FIRST_MOMENT**self.steps)
        move /= np.sqrt(self.square / np.float32(1 - _SECOND_MOMENT**self.steps)) + _TINY
        self.values -= (rate * move).astype(np.float32)
