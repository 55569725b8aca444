"""Links of numbers: Gaussian, of normal scores, and Poisson, of counts.

What is drawn by the link is carried to the column's own distribution by its rank under the model,
so that skew, atoms and overdispersion that no such likelihood has are kept.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np

from sfumato.synthesis.latent_factor.links import Link, Seen, moved, precision_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sfumato.synthesis.latent_factor.factor_law import FactorLaw

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

__all__ = ["GaussianLink", "PoissonLink"]

_LEAST_VARIANCE = 0.02  # of a score of variance 1: no column is a factor itself
_GRID = 4001
_MOST_LOG_MEAN = 12.0
_MOST_COUNT = 1000


@dataclass(frozen=True, eq=False)
class GaussianLink(Link):
    """A normal score with a normal residual.

    Parameters
    ----------
    coefficients, share
        See :class:`Link`.
    variance
        Of the residual.
    ends
        Where on the axis of scores the cells end, but for the last, shape (cells - 1,).
    """

    variance: float = 1.0
    ends: Floats = field(default_factory=lambda: np.zeros(0))

    name: ClassVar[str] = "gaussian"

    def scores(self, design: Floats, seen: Seen) -> tuple[Floats, Floats]:
        """Return log likelihoods and their slopes; see :meth:`Link.scores`."""
        apart = np.where(seen.there, seen.numbers - self.predictors(design)[:, 0], 0.0)
        constant = 0.5 * np.log(2 * np.pi * self.variance)
        logs = -0.5 * apart**2 / self.variance - np.where(seen.there, constant, 0.0)
        return logs, (apart / self.variance)[:, None]

    def curvature(self, factors: int) -> Floats:
        """Return the mean curvature along the factors."""
        loading = self.coefficients[1 : 1 + factors, 0]
        return np.outer(loading, loading) / self.variance

    def updated(
        self, design: Floats, seen: Seen, step: float, random: np.random.Generator | None
    ) -> Self:
        """Return the link after a step; see :meth:`Link.updated`."""
        inside, values = design[seen.there], seen.numbers[seen.there]
        prior = precision_of(design.shape[1])
        hessian = inside.T @ inside / self.variance + np.diag(prior)
        now = self.coefficients[:, 0]
        slope = inside.T @ (values - inside @ now) / self.variance - prior * now
        now = moved(now, slope, hessian, step, random)
        rest = float(((values - inside @ now) ** 2).sum()) + _LEAST_VARIANCE
        if random is None:
            variance = self.variance + step * (rest / (values.size + 1) - self.variance)
        else:
            variance = rest / float(random.chisquare(values.size + 1))
        return replace(
            self, coefficients=now[:, None], variance=max(float(variance), _LEAST_VARIANCE)
        )

    def calibrated(self, law: FactorLaw, share: Floats) -> Self:
        """Return the link with the cells' ends where the model reaches their shares."""
        from scipy.special import ndtr

        mean, spread = law.line(self.coefficients[:, 0])
        spread = np.sqrt(spread**2 + self.variance)
        grid = np.linspace((mean - 9 * spread).min(), (mean + 9 * spread).max(), _GRID)
        reached = np.maximum.accumulate(ndtr((grid[:, None] - mean) / spread) @ law.shares)
        ends = np.interp(np.cumsum(share)[:-1] / share.sum(), reached, grid)
        return replace(self, share=share, ends=np.asarray(ends))

    def draw(self, design: Floats, uniform: Floats) -> Integers:
        """Return cells of rows."""
        from scipy.special import ndtri

        noise = ndtri(np.clip(uniform[:, 0], 1e-12, 1 - 1e-12)) * np.sqrt(self.variance)
        score = self.predictors(design)[:, 0] + noise
        return np.asarray(np.searchsorted(self.ends, score, side="right"), dtype=np.int64)

    def chance(self, design: Floats, cell: int) -> Floats:
        """Return each row's relative chance of a cell."""
        from scipy.special import ndtr

        ends = np.r_[-np.inf, self.ends, np.inf]
        low, high = ends[cell], ends[cell + 1]
        deviation = np.sqrt(self.variance)
        at = self.predictors(design)[:, 0]
        # of two tails that nearly cancel the smaller is taken
        far = (low + high) / 2 > at if np.isfinite(low + high) else np.full(at.shape, low > -np.inf)
        one, two = (low - at) / deviation, (high - at) / deviation
        found = np.where(far, ndtr(-one) - ndtr(-two), ndtr(two) - ndtr(one))
        highest = self.highest(cell)
        return np.asarray(found / highest) if highest > 0 else np.zeros_like(found)

    def highest(self, cell: int) -> float:
        """Return the chance of a cell of a row whose mean lies in its middle."""
        from scipy.special import ndtr

        if self.share[cell] <= 0:
            return 0.0
        ends = np.r_[-np.inf, self.ends, np.inf]
        half = (ends[cell + 1] - ends[cell]) / 2 / np.sqrt(self.variance)
        return float(ndtr(half) - ndtr(-half)) if np.isfinite(half) else 1.0


@dataclass(frozen=True, eq=False)
class PoissonLink(Link):
    """A count whose mean is the exponential of a linear combination.

    Parameters
    ----------
    coefficients, share
        See :class:`Link`.
    reached
        Probability of at most so many under the model, shape (counts,).
    """

    reached: Floats = field(default_factory=lambda: np.ones(1))

    name: ClassVar[str] = "poisson"

    def means(self, design: Floats) -> Floats:
        """Return the mean count of rows, shape (n,)."""
        at = np.clip(self.predictors(design)[:, 0], -_MOST_LOG_MEAN, _MOST_LOG_MEAN)
        return np.asarray(np.exp(at))

    def scores(self, design: Floats, seen: Seen) -> tuple[Floats, Floats]:
        """Return log likelihoods, but for what no coefficient changes, and their slopes."""
        from scipy.special import gammaln

        at = np.clip(self.predictors(design)[:, 0], -_MOST_LOG_MEAN, _MOST_LOG_MEAN)
        mean = np.exp(at)
        logs = np.where(seen.there, seen.numbers * at - mean - gammaln(seen.numbers + 1), 0.0)
        return logs, np.where(seen.there, seen.numbers - mean, 0.0)[:, None]

    def curvature(self, factors: int) -> Floats:
        """Return the mean curvature along the factors."""
        loading = self.coefficients[1 : 1 + factors, 0]
        # of a log-normal mean, for factors of variance 1
        mean = np.exp(min(self.coefficients[0, 0] + loading @ loading / 2, _MOST_LOG_MEAN))
        return np.asarray(np.outer(loading, loading) * mean)

    def updated(
        self, design: Floats, seen: Seen, step: float, random: np.random.Generator | None
    ) -> Self:
        """Return the link after a step; see :meth:`Link.updated`."""
        inside = design[seen.there]
        prior = precision_of(design.shape[1])
        mean, now = self.means(inside), self.coefficients[:, 0]
        slope = inside.T @ (seen.numbers[seen.there] - mean) - prior * now
        hessian = (inside * mean[:, None]).T @ inside + np.diag(prior)
        return replace(self, coefficients=moved(now, slope, hessian, step, random)[:, None])

    def calibrated(self, law: FactorLaw, share: Floats) -> Self:
        """Return the link with the model's own distribution of counts, to rank draws by."""
        from scipy.stats import poisson

        points, weights = law.nodes(self.coefficients[:, 0])
        means = np.exp(np.clip(points, -_MOST_LOG_MEAN, _MOST_LOG_MEAN))
        counts = np.arange(_MOST_COUNT)[:, None]
        reached = np.asarray(poisson.cdf(counts, means) @ weights)
        last = int(np.searchsorted(reached, 1 - 1e-9)) + 1
        return replace(self, share=share, reached=np.minimum(reached[:last], 1.0))

    def draw(self, design: Floats, uniform: Floats) -> Integers:
        """Return cells of rows: a count, its rank among the model's, the cell of that rank."""
        from scipy.special import pdtrik

        mean = self.means(design)
        count = np.maximum(np.ceil(pdtrik(uniform[:, 0], mean) - 1e-9), 0)
        count = np.minimum(count, self.reached.size - 1).astype(np.int64)
        below = np.r_[0.0, self.reached][count]
        rank = below + uniform[:, 1] * (self.reached[count] - below)
        ends = np.cumsum(self.share / self.share.sum())[:-1]
        last = int(np.flatnonzero(self.share)[-1])
        return np.asarray(np.minimum(np.searchsorted(ends, rank, side="right"), last))

    def chance(self, design: Floats, cell: int) -> Floats:
        """Return each row's chance of a cell."""
        from scipy.special import gammaln

        ends = np.r_[0.0, np.cumsum(self.share / self.share.sum())]
        low, high = ends[cell], ends[cell + 1]
        below = np.r_[0.0, self.reached[:-1]]
        held = np.maximum(np.minimum(self.reached, high) - np.maximum(below, low), 0)
        part = held / np.maximum(self.reached - below, 1e-300)
        counts = np.flatnonzero(part > 0)
        mean = self.means(design)[:, None]
        logs = counts * np.log(mean) - mean - gammaln(counts + 1.0)
        return np.asarray(np.minimum(np.exp(logs) @ part[counts], 1.0))
