"""Links of categories and of groups of a number's cells: cumulative logits and multinomial."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np

from sfumato.synthesis.latent_factor.links import Link, Seen, moved, precision_of
from sfumato.synthesis.neural.cell_groups import CellGroups

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sfumato.synthesis.latent_factor.factor_law import FactorLaw

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

__all__ = ["MultinomialLink", "OrdinalLink"]

_TINY = 1e-300
_LEAST_GAP = 1e-6
_POINTS = 12  # 2 ** _POINTS points over which shares are calibrated
_CALIBRATIONS = 60
_LEAST_SHARE = 1e-6
_MOST_STEP = 2.0


@dataclass(frozen=True, eq=False)
class OrdinalLink(Link):
    """Cumulative logits: the odds of at most group k are those of threshold k less the predictor.

    With two groups this is the logistic link.

    Parameters
    ----------
    coefficients, share
        See :class:`Link`; the intercept is 0, the thresholds hold it.
    thresholds
        Ascending, shape (groups - 1,).
    group_of
        Group of each cell, shape (cells,).
    """

    thresholds: Floats = field(default_factory=lambda: np.zeros(0))
    group_of: Integers = field(default_factory=lambda: np.zeros(0, dtype=np.int64))

    name: ClassVar[str] = "ordinal"

    def _ends(self, at: Floats, codes: Integers) -> tuple[Floats, Floats]:
        """Return how far the upper and lower threshold of each row's group lie from it."""
        upper = np.r_[self.thresholds, np.inf][codes] - at
        lower = np.r_[-np.inf, self.thresholds][codes] - at
        return upper, lower

    def scores(self, design: Floats, seen: Seen) -> tuple[Floats, Floats]:
        """Return log likelihoods and their slopes; see :meth:`Link.scores`."""
        upper, lower = self._ends(self.predictors(design)[:, 0], seen.codes)
        # P = s(upper) s(-lower) (1 - exp(lower - upper)), with s the logistic function
        logs = -np.logaddexp(0, -upper) - np.logaddexp(0, lower) + np.log1p(-np.exp(lower - upper))
        slope = _logistic(upper) + _logistic(lower) - 1
        return np.where(seen.there, logs, 0.0), np.where(seen.there, slope, 0.0)[:, None]

    def curvature(self, factors: int) -> Floats:
        """Return the mean curvature along the factors."""
        loading = self.coefficients[1 : 1 + factors, 0]
        ends = np.cumsum(CellGroups(self.group_of, self.share).group_share)[:-1]
        weight = float(np.diff(np.r_[0, ends, 1]) @ (_middle(ends)))
        return np.outer(loading, loading) * weight

    def updated(
        self, design: Floats, seen: Seen, step: float, random: np.random.Generator | None
    ) -> Self:
        """Return the link after a step in thresholds and loadings together."""
        inside, codes = design[seen.there], seen.codes[seen.there]
        upper, lower = self._ends(self.predictors(inside)[:, 0], codes)
        ratio = np.exp(lower - upper)
        gap = np.maximum(-np.expm1(lower - upper), _TINY)
        above, below = _logistic(upper), _logistic(lower)
        curve_above, curve_below = above * (1 - above), below * (1 - below)
        cuts, factors = self.thresholds.size, inside[:, 1:]
        width = factors.shape[1]
        up, down = 1 - above + ratio / gap, -below - ratio / gap
        slope = np.empty(cuts + width)
        slope[:cuts] = np.bincount(codes, up, cuts + 1)[:-1]
        slope[:cuts] += np.bincount(codes, down, cuts + 1)[1:]
        slope[cuts:] = factors.T @ (above + below - 1)
        hessian = np.zeros((cuts + width, cuts + width))
        inner = ratio / gap**2
        places = np.arange(cuts)
        hessian[places, places] = np.bincount(codes, curve_above + inner, cuts + 1)[:-1]
        hessian[places, places] += np.bincount(codes, curve_below + inner, cuts + 1)[1:]
        middle = np.bincount(codes, inner, cuts + 1)[1:-1]
        hessian[places[1:], places[:-1]] = hessian[places[:-1], places[1:]] = -middle
        for one in range(width):
            cross = np.bincount(codes, curve_above * factors[:, one], cuts + 1)[:-1]
            cross = cross + np.bincount(codes, curve_below * factors[:, one], cuts + 1)[1:]
            hessian[:cuts, cuts + one] = hessian[cuts + one, :cuts] = -cross
        hessian[cuts:, cuts:] = (factors * (curve_above + curve_below)[:, None]).T @ factors
        now = np.r_[self.thresholds, self.coefficients[1:, 0]]
        prior = np.r_[np.zeros(cuts), precision_of(1 + width)[1:]]
        hessian[np.diag_indices(cuts + width)] += prior + 1e-6
        found = moved(now, slope - prior * now, hessian, step, random)
        # a draw must not cross thresholds of which few rows tell: it is brought nearer until not
        while cuts and np.any(np.diff(found[:cuts]) < _LEAST_GAP):
            found[:cuts] = (found[:cuts] + self.thresholds) / 2
            if np.abs(found[:cuts] - self.thresholds).max() < _LEAST_GAP:
                found[:cuts] = self.thresholds
                break
        return replace(
            self, thresholds=found[:cuts], coefficients=np.r_[0.0, found[cuts:]][:, None]
        )

    def calibrated(self, law: FactorLaw, share: Floats) -> Self:
        """Return the link with thresholds that give the cells their shares."""
        wanted = np.cumsum(CellGroups(self.group_of, share / share.sum()).group_share)[:-1]
        points, weights = law.nodes(self.coefficients[:, 0])
        low = np.full(wanted.size, points.min() - 40.0)
        high = np.full(wanted.size, points.max() + 40.0)
        for _ in range(_CALIBRATIONS):
            middle = (low + high) / 2
            reached = _logistic(middle[:, None] - points) @ weights
            low, high = (
                np.where(reached < wanted, middle, low),
                np.where(reached < wanted, high, middle),
            )
        return replace(self, share=share, thresholds=(low + high) / 2)

    def draw(self, design: Floats, uniform: Floats) -> Integers:
        """Return cells of rows."""
        first = np.clip(uniform[:, 0], 1e-15, 1 - 1e-15)
        at = self.predictors(design)[:, 0] + np.log(first) - np.log1p(-first)
        groups = np.searchsorted(self.thresholds, at, side="right")
        return CellGroups(self.group_of, self.share / self.share.sum()).cells(groups, uniform[:, 1])

    def chance(self, design: Floats, cell: int) -> Floats:
        """Return each row's relative chance of a cell, that of its group."""
        group = int(self.group_of[cell])
        at = self.predictors(design)[:, 0]
        upper, lower = self._ends(at, np.full(at.size, group))
        highest = self._highest(group)
        found = _logistic(upper) * _logistic(-lower) * -np.expm1(lower - upper)
        there = highest > 0 and self.share[cell] > 0
        return np.asarray(found / highest) if there else np.zeros(at.size)

    def highest(self, cell: int) -> float:
        """Return a bound of the chance of a cell: of its group, times its share of that."""
        group = int(self.group_of[cell])
        within = float(self.share[self.group_of == group].sum())
        return self._highest(group) * float(self.share[cell]) / within if within > 0 else 0.0

    def _highest(self, group: int) -> float:
        low, high = np.r_[-np.inf, self.thresholds][group], np.r_[self.thresholds, np.inf][group]
        return float(np.tanh((high - low) / 4)) if np.isfinite(high - low) else 1.0


@dataclass(frozen=True, eq=False)
class MultinomialLink(Link):
    """A predictor for each value of a category; their exponentials are its odds."""

    name: ClassVar[str] = "multinomial"

    def probabilities(self, design: Floats) -> Floats:
        """Return the chance of each value, shape (n, values)."""
        found = self.predictors(design)
        found -= found.max(axis=1, keepdims=True)
        np.exp(found, out=found)
        found /= found.sum(axis=1, keepdims=True)
        return found

    def scores(self, design: Floats, seen: Seen) -> tuple[Floats, Floats]:
        """Return log likelihoods and their slopes; see :meth:`Link.scores`."""
        chances = self.probabilities(design)
        rows = np.arange(len(design))
        logs = np.where(seen.there, np.log(chances[rows, seen.codes] + _TINY), 0.0)
        slope = -chances
        slope[rows, seen.codes] += 1
        slope[~seen.there] = 0
        return logs, slope

    def curvature(self, factors: int) -> Floats:
        """Return the mean curvature along the factors."""
        loadings = self.coefficients[1 : 1 + factors]
        mean = loadings @ self.share
        return (loadings * self.share) @ loadings.T - np.outer(mean, mean)

    def updated(
        self, design: Floats, seen: Seen, step: float, random: np.random.Generator | None
    ) -> Self:
        """Return the link after a step in each value's coefficients.

        A step takes all values at once, with a curvature that is never below the true one; draws
        are made of one value after the other, given the rest (Gibbs sampling).
        """
        inside, codes = design[seen.there], seen.codes[seen.there]
        if random is None:
            found = self._stepped(inside, codes, step)
        else:
            found = self._drawn(inside, codes, random)
        return replace(self, coefficients=found - found.mean(axis=1, keepdims=True))

    def _stepped(self, inside: Floats, codes: Integers, step: float) -> Floats:
        width, values = self.coefficients.shape
        prior = precision_of(width)
        chances = self.probabilities(inside)
        squares = (inside[:, :, None] * inside[:, None, :]).reshape(len(inside), -1)
        # diag(p) - p p' is at most diag(p)
        hessians = (chances.T @ squares).reshape(values, width, width) + np.diag(prior)
        chances[np.arange(len(inside)), codes] -= 1
        slopes = -chances.T @ inside - prior * self.coefficients.T
        moves = np.linalg.solve(hessians, slopes[:, :, None])[:, :, 0].T
        return np.asarray(self.coefficients + step * np.clip(moves, -_MOST_STEP, _MOST_STEP))

    def _drawn(self, inside: Floats, codes: Integers, random: np.random.Generator) -> Floats:
        prior = precision_of(inside.shape[1])
        coefficients = self.coefficients.copy()
        weights = np.exp(np.clip(inside @ coefficients, -60, 60))
        for value in range(coefficients.shape[1]):  # over values, of which there are few
            chance = weights[:, value] / weights.sum(axis=1)
            slope = inside[codes == value].sum(axis=0) - inside.T @ chance
            slope -= prior * coefficients[:, value]
            hessian = (inside * (chance * (1 - chance))[:, None]).T @ inside + np.diag(prior)
            coefficients[:, value] = moved(coefficients[:, value], slope, hessian, 1.0, random)
            weights[:, value] = np.exp(np.clip(inside @ coefficients[:, value], -60, 60))
        return coefficients

    def calibrated(self, law: FactorLaw, share: Floats) -> Self:
        """Return the link with intercepts that give the values their shares."""
        design = _even_design(law)
        wanted = np.maximum(share / share.sum(), _LEAST_SHARE)
        found = self
        for _ in range(_CALIBRATIONS):
            reached = found.probabilities(design).mean(axis=0)
            apart = np.log(wanted / np.maximum(reached, _TINY))
            coefficients = found.coefficients.copy()
            coefficients[0] += np.clip(apart, -2, 2)
            found = replace(found, coefficients=coefficients)
            if np.abs(np.expm1(apart)).max() < 1e-4:
                break
        return replace(found, share=share)

    def draw(self, design: Floats, uniform: Floats) -> Integers:
        """Return cells of rows."""
        ends = np.cumsum(self.probabilities(design), axis=1)
        found = (uniform[:, :1] * ends[:, -1:] >= ends).sum(axis=1)
        return np.asarray(np.minimum(found, ends.shape[1] - 1))

    def chance(self, design: Floats, cell: int) -> Floats:
        """Return each row's chance of a value."""
        return np.asarray(self.probabilities(design)[:, cell])


def _even_design(law: FactorLaw) -> Floats:
    """Return evenly spread factors of a law, with a column of ones."""
    from scipy.special import ndtri
    from scipy.stats import qmc

    points = qmc.Sobol(1 + law.width, seed=0).random_base2(_POINTS)
    points = np.clip(points, 1e-9, 1 - 1e-9)
    factors = law.draw(points[:, 0], ndtri(points[:, 1:]))
    return np.column_stack([np.ones(len(factors)), factors])


def _middle(ends: Floats) -> Floats:
    """Return the mean information on the predictor of each group, at predictor 0."""
    above, below = np.r_[ends, 1.0], np.r_[0.0, ends]
    return np.asarray(above * (1 - above) + below * (1 - below))


def _logistic(values: Floats) -> Floats:
    from scipy.special import expit

    return np.asarray(expit(values))
