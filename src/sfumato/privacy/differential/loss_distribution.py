"""The privacy loss distribution: the tight cost of many mechanisms of any kind together.

The privacy loss of an output is the logarithm of how much likelier it is on one table than on its
neighbour. Losses of independent answers add, so their distributions convolve; delta at epsilon is
then read off (Sommer, Meiser & Mohammadi, PoPETs 2019). Everything here errs to the safe side:

- a distribution is put on a grid so that both tables keep their probabilities in every cell, by
  which delta can only grow ("connect the dots", Doroshenko et al., PoPETs 2022(4));
- what is cut off above counts as a loss without bound, what is cut off below is lifted;
- the convolution is done after an exponential change of measure centred where delta is decided,
  so that rounding is small against *delta*, not only against 1; a bound of it is added.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sfumato.errors import PlanError

__all__ = [
    "LossDistribution",
    "bounded_range_loss",
    "composed_delta",
    "composed_epsilon",
    "discrete_gaussian_loss",
    "gaussian_loss",
    "pure_loss",
]

Floats = npt.NDArray[np.float64]

_CUT = 1e-30  # probability that is cut off at either end of a Gaussian
_OUTSIDE = math.log(1e-15)  # of the tilted sum, outside the window of the transform
_ROUNDING = 1e-12  # of the transform, relative to the bound of Chernoff
_LARGEST_TRANSFORM = 2**22


@dataclass(frozen=True, eq=False)
class LossDistribution:
    """Losses on a grid under the first of two neighbouring tables.

    Parameters
    ----------
    step
        Of the grid.
    indices
        Losses in steps, rising.
    masses
        Their probabilities; with ``infinite`` they sum to 1.
    infinite
        The probability of outputs that are impossible on the other table.
    """

    step: float
    indices: npt.NDArray[np.int64]
    masses: Floats
    infinite: float = 0.0

    @property
    def losses(self) -> Floats:
        """The losses themselves."""
        return np.asarray(self.step * self.indices, np.float64)

    def log_moment(self, order: float) -> float:
        """Return log E[exp(order * loss)] over finite losses."""
        powers = order * self.losses
        largest = float(powers[-1] if order > 0 else powers[0])
        return largest + math.log(float((self.masses * np.exp(powers - largest)).sum()))

    def tilted(self, order: float) -> Floats:
        """Return the masses after the change of measure by exp(order * loss); they sum to 1."""
        return self.masses * np.exp(order * self.losses - self.log_moment(order))

    def mean_and_variance(self, order: float) -> tuple[float, float]:
        """Return both after the change of measure by exp(order * loss)."""
        losses, weights = self.losses, self.tilted(order)
        mean = float((weights * losses).sum())
        return mean, float((weights * (losses - mean) ** 2).sum())


def pure_loss(epsilon: float, step: float) -> LossDistribution:
    """Return the loss of randomized response, which no epsilon-private mechanism exceeds."""
    right = 1 / (1 + math.exp(-epsilon))
    return _of_atoms(np.array([-epsilon, epsilon]), np.array([1 - right, right]), step)


def discrete_gaussian_loss(variance: float, step: float) -> LossDistribution:
    """Return the exact loss of a discrete Gaussian on a count that differs by 1."""
    reach = math.ceil(math.sqrt(2 * variance * -math.log(_CUT))) + 2
    x = np.arange(-reach, reach + 1, dtype=np.float64)
    masses = np.exp(-(x**2) / (2 * variance))
    masses /= masses.sum()
    return _of_atoms((1 - 2 * x) / (2 * variance), masses, step, infinite=2 * _CUT)


def gaussian_loss(mu: float, step: float) -> LossDistribution:
    """Return the loss of a Gaussian that is moved by mu standard deviations."""
    reach = math.sqrt(-2 * math.log(_CUT)) + 1
    first = math.floor((mu**2 / 2 - reach * mu) / step)
    last = math.ceil((mu**2 / 2 + reach * mu) / step)
    grid = np.arange(first, last + 1)
    losses = np.asarray(grid * step, np.float64)
    p = _normal_masses((losses - mu**2 / 2) / mu)
    q = _normal_masses((losses + mu**2 / 2) / mu)
    return _of_cells(grid[:-1], p, q, step, infinite=2 * _CUT)


def bounded_range_loss(epsilon: float, step: float) -> LossDistribution:
    """Return a loss that no mechanism of bounded range epsilon exceeds, as the exponential one.

    Its outputs' losses lie between t - epsilon and t for some t. The greatest delta over t is
    (1 - exp((x - epsilon) / 2))**2 / (1 - exp(-epsilon)) at x between -epsilon and epsilon, which
    is convex in exp(x) and so the delta of a pair of distributions: the one given here.

    Notes
    -----
    D. Durfee, R. Rogers, NeurIPS 2019; J. Dong, D. Durfee, R. Rogers, "Optimal differential
    privacy composition for exponential mechanisms", ICML 2020. That pairs which dominate also
    dominate after adaptive composition: Y. Zhu, J. Dong, Y.-X. Wang, AISTATS 2022.
    """
    first, last = math.floor(-epsilon / step), math.ceil(epsilon / step)
    grid = np.arange(first, last + 1)
    edges = np.clip(grid * step, -epsilon, epsilon)
    scale = 1 / -math.expm1(-epsilon)
    p = np.diff(np.exp((edges - epsilon) / 2)) * scale
    q = -np.diff(np.exp(-(edges + epsilon) / 2)) * scale
    return _of_cells(grid[:-1], p, q, step)


def composed_delta(parts: Sequence[tuple[LossDistribution, int]], epsilon: float) -> float:
    """Return a delta that mechanisms together do not exceed at epsilon.

    Parameters
    ----------
    parts
        Loss distributions on one grid, and how many times each mechanism runs.
    epsilon
        0 or more.
    """
    return _Sum(parts).delta(epsilon)


def composed_epsilon(parts: Sequence[tuple[LossDistribution, int]], delta: float) -> float:
    """Return an epsilon (0 or more) that mechanisms together do not exceed at delta."""
    total = _Sum(parts)
    if not delta > total.infinite:
        return math.inf
    # Chernoff's bound holds at the upper end; delta falls with epsilon, and each upper end holds
    low, high = 0.0, total.chernoff_epsilon(delta)
    if total.delta(high) > delta:
        high = max(total.largest, 1e-12)
    if total.delta(low) <= delta:
        return 0.0
    while high - low > 1e-9 * high:
        middle = (low + high) / 2
        low, high = (low, middle) if total.delta(middle) <= delta else (middle, high)
    return high


@dataclass(frozen=True, eq=False)
class _Window:
    """The tilted distribution of a sum, exact around its centre."""

    centre: float
    spread: float
    losses: Floats
    masses: Floats
    order: float
    log_moment: float


class _Sum:
    """The sum of independent losses, its transform kept for where it is asked."""

    def __init__(self, parts: Sequence[tuple[LossDistribution, int]]) -> None:
        steps = {part.step for part, _ in parts}
        if len(steps) != 1:
            raise PlanError("loss distributions can only be composed on one grid")
        self.parts = parts
        self.step = steps.pop()
        self.largest = self.step * sum(int(part.indices[-1]) * times for part, times in parts)
        finite = sum(times * math.log1p(-part.infinite) for part, times in parts)
        self.infinite = -math.expm1(finite)
        self._window: _Window | None = None

    def log_moment(self, order: float) -> float:
        return sum(times * part.log_moment(order) for part, times in self.parts)

    def mean(self, order: float) -> float:
        return sum(times * part.mean_and_variance(order)[0] for part, times in self.parts)

    def chernoff_epsilon(self, delta: float) -> float:
        """Return where Chernoff's bound of the probability of a larger loss is delta."""
        wanted = math.log(delta - self.infinite) if delta > self.infinite else -math.inf
        low, high = 0.0, 1.0
        while self.log_moment(high) - high * self.mean(high) > wanted and high < 2**20:
            low, high = high, 2 * high
        for _ in range(20):
            middle = (low + high) / 2
            reached = self.log_moment(middle) - middle * self.mean(middle) <= wanted
            low, high = (low, middle) if reached else (middle, high)
        return max(0.0, self.mean(high))

    def delta(self, epsilon: float) -> float:
        if epsilon >= self.largest:
            return self.infinite
        window = self._window
        if window is None or abs(window.centre - epsilon) > 3 * window.spread:
            window = self._window = self._around(epsilon)
        above = window.losses > epsilon
        gap = window.losses[above] - epsilon
        # no product of BLAS: its threads cost more than they save on arrays this small
        weights = np.exp(-window.order * gap) * -np.expm1(-gap)
        tail = float((window.masses[above] * weights).sum())
        error = math.exp(_OUTSIDE) + _ROUNDING
        bound = math.exp(window.log_moment - window.order * epsilon)
        return min(1.0, bound * (tail + error) * (1 + 1e-10) + self.infinite)

    def _around(self, epsilon: float) -> _Window:
        """Return the sum after the change of measure that makes epsilon its mean."""
        order = self._order(epsilon)
        log_moment = self.log_moment(order)
        variances = [times * part.mean_and_variance(order)[1] for part, times in self.parts]
        low, high = self._reach(order, log_moment)
        first = math.floor(low / self.step) - 1
        length = 1 << max(4, (math.ceil(high / self.step) - first + 2).bit_length())
        if length > _LARGEST_TRANSFORM:
            raise PlanError(
                f"the losses need a transform of {length} points: take a coarser grid than "
                f"{self.step:g}"
            )
        transform = np.ones(length // 2 + 1, np.complex128)
        for part, times in self.parts:
            folded = np.bincount(part.indices % length, part.tilted(order), minlength=length)
            transform *= np.fft.rfft(folded) ** times
        masses = np.maximum(np.fft.irfft(transform, length), 0.0)
        places = np.asarray(first + (np.arange(length) - first) % length, np.float64)
        spread = math.sqrt(sum(variances))
        return _Window(epsilon, spread, places * np.float64(self.step), masses, order, log_moment)

    def _order(self, epsilon: float) -> float:
        low, high = 0.0, 1.0
        while self.mean(high) < epsilon and high < 2**20:
            low, high = high, 2 * high
        for _ in range(12):
            middle = (low + high) / 2
            low, high = (middle, high) if self.mean(middle) < epsilon else (low, middle)
        return high

    def _reach(self, order: float, log_moment: float) -> tuple[float, float]:
        """Return between which losses the tilted sum lies but for a little (Chernoff's bound)."""
        lows, highs = [], []
        for shift in np.geomspace(1e-2, 1e5, 36):
            highs.append((self.log_moment(order + shift) - log_moment - _OUTSIDE + 1) / shift)
            lows.append((log_moment - self.log_moment(order - shift) + _OUTSIDE - 1) / shift)
        return max(lows), min(highs)


def _of_atoms(
    losses: Floats, masses: Floats, step: float, infinite: float = 0.0
) -> LossDistribution:
    cells = np.floor(losses / step).astype(np.int64)
    # the part that goes up, so that exp(-loss) keeps its mean and with it the other table's mass
    up = np.expm1(-(losses - cells * step)) / math.expm1(-step)
    return _gathered(cells, masses, np.clip(up, 0.0, 1.0), step, infinite)


def _of_cells(
    cells: npt.NDArray[np.int64], p: Floats, q: Floats, step: float, infinite: float = 0.0
) -> LossDistribution:
    kept = p > 0
    cells, p, q = cells[kept], p[kept], q[kept]
    up = (1 - np.exp(cells * step) * q / p) / -math.expm1(-step)
    return _gathered(cells, p, np.clip(up, 0.0, 1.0), step, infinite)


def _gathered(
    cells: npt.NDArray[np.int64], masses: Floats, up: Floats, step: float, infinite: float
) -> LossDistribution:
    first = int(cells.min())
    length = int(cells.max()) - first + 2
    found = np.bincount(cells - first, masses * (1 - up), length).astype(np.float64)
    found += np.bincount(cells - first + 1, masses * up, length)
    indices = np.flatnonzero(found > 0)
    return LossDistribution(step, indices + first, found[indices], infinite)


def _normal_masses(edges: Floats) -> Floats:
    """Return the normal probability between neighbouring edges, exact in both tails."""
    from scipy.special import ndtr

    below, above = np.diff(ndtr(edges)), -np.diff(ndtr(-edges))
    return np.asarray(np.where(edges[:-1] > 0, above, below), np.float64)
