"""How many people are alone in the population, estimated from the class sizes of a sample.

Pure functions of the class sizes of a sample of n from a population of N people. Each estimator
takes the population itself for a draw from a model (a super-population). A population that is
smaller than its sample is refused.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from sfumato.errors import DataError, PlanError

__all__ = [
    "Estimator",
    "Histogram",
    "NoEstimate",
    "dankar",
    "fitted_pitman",
    "fitted_snb",
    "one_sampled",
    "pitman",
    "shlosser",
    "snb",
    "zayatz",
]

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

Estimator = Literal["dankar", "zayatz", "pitman", "snb"]

# Above this sampling fraction Dankar's rule leaves Pitman's model.
_SMALL_SAMPLE = 0.1
# Where Pitman's parameters are looked for: logarithms of theta + alpha, and alpha.
_LOG_SHIFTS = (-30.0, 30.0)
_ALPHAS = (1e-9, 1 - 1e-9)
# Up to this ratio of theta to alpha sums are taken by their closed form.
_CLOSED_FORM = 1e5
# Up to this growth of the terms an integral is taken by its series.
_SERIES = 0.01
# What is below e to the power of minus this is 0.
_NOTHING = 745.0


class NoEstimate(DataError):
    """The equations of an estimator have no solution for these class sizes."""


class Histogram(NamedTuple):
    """How many classes of the sample have which size.

    Parameters
    ----------
    values
        The sizes that occur, rising, each at least 1.
    counts
        How many classes have each.
    """

    values: Integers
    counts: Integers

    @classmethod
    def of(cls, sizes: npt.NDArray[Any] | Histogram) -> Histogram:
        """Return the histogram of class sizes, shape (u,)."""
        if isinstance(sizes, Histogram):
            return sizes
        values, counts = np.unique(sizes, return_counts=True)
        return cls(values.astype(np.int64), counts.astype(np.int64))

    @property
    def rows(self) -> int:
        """Rows (or people) of the sample."""
        return int(self.values @ self.counts)

    @property
    def classes(self) -> int:
        """Classes of the sample."""
        return int(self.counts.sum())

    def count_of(self, size: int) -> int:
        """Return how many classes have a size."""
        return int(self.counts[self.values == size].sum())


def dankar(sizes: npt.NDArray[Any] | Histogram, population: int) -> float:
    """Estimate the uniques of the population by the decision rule of Dankar et al.

    For a sampling fraction of at most 0.1 Pitman's estimate, and Zayatz's if that has none;
    otherwise the lower of Zayatz's and the SNB estimate, and Zayatz's if the latter has none.

    Parameters
    ----------
    sizes
        Class sizes of the sample (u), each at least 1, or their histogram.
    population
        People of the population, at least the sum of the sizes.

    Returns
    -------
    float
        Expected number of people who are alone in their class in the population.

    Raises
    ------
    PlanError
        If the sample is larger than the population.

    Notes
    -----
    F. K. Dankar, K. El Emam, A. Neisa, T. Roffey, "Estimating the re-identification risk of
    clinical data sets", BMC Medical Informatics and Decision Making 12:66, 2012, "decision rule".
    """
    found = _of_sample(sizes, population)
    small = found.rows <= _SMALL_SAMPLE * population
    try:
        model = pitman(found, population) if small else snb(found, population)
    except NoEstimate:
        return zayatz(found, population)
    return model if small else min(model, zayatz(found, population))


def zayatz(sizes: npt.NDArray[Any] | Histogram, population: int) -> float:
    """Estimate the uniques of the population by Zayatz's method.

    The sizes of the population's classes are taken to be spread as those of the sample's. By Bayes'
    rule with the hypergeometric probability that one member of a class is sampled this gives the
    probability that a sample unique is a population unique.

    Parameters
    ----------
    sizes
        Class sizes of the sample (u), each at least 1, or their histogram.
    population
        People of the population, at least the sum of the sizes.

    Raises
    ------
    PlanError
        If the sample is larger than the population.

    Notes
    -----
    L. V. Zayatz, "Estimation of the number of unique population elements using a sample", Bureau of
    the Census, Statistical Research Division Report 91/08, 1991. It is known to be too
    high for small sampling fractions.
    """
    found = _of_sample(sizes, population)
    n, (values, counts) = found.rows, found
    alone = found.count_of(1)
    if alone == 0:
        return 0.0
    chance = one_sampled(values, population, n)
    unique = float(alone * (n / population) / (counts * chance).sum())
    return min(alone * unique * population / n, float(population))


def one_sampled(sizes: Integers, population: int, n: int) -> Floats:
    """Return the probability that one person of a class is sampled, hypergeometric.

    Parameters
    ----------
    sizes
        Sizes of classes in the population, each at least 1.
    population, n
        People of the population and of the sample.

    Notes
    -----
    ``D n / N`` times the product of ``(N - n - i + 1) / (N - i)``, i from 1 to D - 1, which is
    multiplied up once for all sizes, and only until nothing is left of it.
    """
    fraction = n / population
    last = min(int(sizes.max()) - 1, population - n)
    if fraction < 1:
        last = min(last, int(_NOTHING / -np.log1p(-fraction)) + 1)
    i = np.arange(1, last + 1, dtype=np.float64)
    logs = np.concatenate([[0.0], np.cumsum(np.log((population - n - i + 1) / (population - i)))])
    within = sizes - 1 <= last
    chance = np.zeros(len(sizes), dtype=np.float64)
    chance[within] = sizes[within] * fraction * np.exp(logs[sizes[within] - 1])
    return chance


def pitman(sizes: npt.NDArray[Any] | Histogram, population: int) -> float:
    """Estimate the uniques of the population by Pitman's sampling formula.

    Its two parameters are fitted to the sample by maximum likelihood; the expected number of
    uniques of a population of N people is then
    ``N * prod((theta + alpha + i - 1) / (theta + i), i = 1 .. N - 1)``.

    Parameters
    ----------
    sizes
        Class sizes of the sample (u), each at least 1, or their histogram.
    population
        People of the population, at least the sum of the sizes.

    Raises
    ------
    PlanError
        If the sample is larger than the population.
    NoEstimate
        If the likelihood has no maximum inside the range of the parameters, as when every row is
        unique, or all are equal.

    Notes
    -----
    N. Hoshino, "Applying Pitman's sampling formula to microdata disclosure risk assessment",
    Journal of Official Statistics 17(4), 2001. Hoshino uses the asymptotic form
    ``Gamma(theta + 1) / Gamma(theta + alpha) * N ** alpha``; this is the exact expectation.
    """
    from scipy.special import gammaln

    found = _of_sample(sizes, population)
    if not found.count_of(1):
        return 0.0
    theta, alpha = fitted_pitman(found)
    logs = (
        gammaln(theta + alpha + population - 1)
        - gammaln(theta + alpha)
        - gammaln(theta + population)
        + gammaln(theta + 1)
    )
    return min(float(population * np.exp(logs)), float(population))


def _pitman_parameters(sizes: npt.NDArray[Any]) -> tuple[float, float]:
    return fitted_pitman(Histogram.of(sizes))


def fitted_pitman(found: Histogram) -> tuple[float, float]:
    """Return the theta and alpha of the greatest likelihood, 0 < alpha < 1, theta > -alpha.

    For each alpha the best theta is where the likelihood's slope in theta is 0; along these thetas
    the best alpha is where the slope in alpha is 0, or the lower edge if it falls from there on.

    Raises
    ------
    NoEstimate
        If the likelihood has no maximum inside the range of the parameters.
    """
    from scipy.optimize import brentq

    n, u = found.rows, found.classes
    values, counts = found
    if u == n or u == 1:
        raise NoEstimate(
            "Pitman's estimate: every row is unique, or all are equal, so that the likelihood has "
            "no maximum; use the estimator 'zayatz', or generalize more"
        )

    def best_theta(alpha: float) -> float:
        def slope(log_shift: float) -> float:
            return _pitman_slopes(float(np.exp(log_shift)) - alpha, alpha, u, n)[0]

        low, high = _LOG_SHIFTS
        if slope(high) > 0:
            raise NoEstimate(
                "Pitman's estimate: the likelihood has no maximum for these class sizes; use the "
                "estimator 'zayatz', or generalize more"
            )
        return float(np.exp(brentq(slope, low, high, xtol=1e-12, rtol=1e-12))) - alpha

    def slope(alpha: float) -> float:
        from scipy.special import digamma

        sizes_part = (counts * (digamma(values - alpha) - digamma(1 - alpha))).sum()
        return _pitman_slopes(best_theta(alpha), alpha, u, n)[1] - float(sizes_part)

    low, high = _ALPHAS
    alpha = low if slope(low) <= 0 else float(brentq(slope, low, high, xtol=1e-12))
    return best_theta(alpha), alpha


def _pitman_slopes(theta: float, alpha: float, u: int, n: int) -> tuple[float, float]:
    """Return the derivatives in theta and alpha of Pitman's sampling formula, in logarithms.

    That in alpha is without the part of the class sizes.
    """
    from scipy.special import digamma

    if theta < _CLOSED_FORM * alpha:
        start = (theta + alpha) / alpha
        inverse = (digamma(start + u - 1) - digamma(start)) / alpha
        weighted = (u - 1 - theta * inverse) / alpha
    else:
        # the difference of two large logarithms would lose its digits
        inverse, weighted = _smooth_sums(theta, alpha, u - 1)
    return float(inverse - digamma(theta + n) + digamma(theta + 1)), float(weighted)


def _smooth_sums(theta: float, alpha: float, last: int) -> tuple[float, float]:
    """Return the sums of 1 / (theta + alpha i) and i / (theta + alpha i) over i = 1 .. last.

    By Euler and Maclaurin's formula: where theta is large against alpha, the terms change so little
    from one to the next that what is left out is below the rounding.
    """
    first, reach = theta + alpha, float(last - 1)
    end = first + alpha * reach
    growth = alpha * reach / first
    area = float(np.log1p(growth)) / alpha
    # integral of t / (1 + growth t), t = 0 .. 1
    part = (
        (growth - float(np.log1p(growth))) / growth**2
        if growth > _SERIES
        else sum((-growth) ** k / (k + 2) for k in range(8))
    )
    inverse = area + (1 / first + 1 / end) / 2 + alpha * (1 / first**2 - 1 / end**2) / 12
    weighted = area + reach**2 / first * part + (1 / first + last / end) / 2
    weighted += theta * (1 / end**2 - 1 / first**2) / 12
    return inverse, weighted


def snb(sizes: npt.NDArray[Any] | Histogram, population: int) -> float:
    """Estimate the uniques of the population by the slide negative binomial model.

    A class of the population has ``1 + X`` people, X negative binomial with parameters alpha and
    beta. The number K of classes is estimated by :func:`shlosser`; alpha and beta are such that the
    expected numbers of sample classes of size 1 and 2 are those found. The estimate is
    ``K * beta ** alpha``.

    Parameters
    ----------
    sizes
        Class sizes of the sample (u), each at least 1, or their histogram.
    population
        People of the population, at least the sum of the sizes.

    Raises
    ------
    PlanError
        If the sample is larger than the population.
    NoEstimate
        If the two equations have no solution, as when no class has two rows.

    Notes
    -----
    G. Chen, S. Keller-McNulty, "Estimation of identification disclosure risk in microdata", Journal
    of Official Statistics 14(1), 1998. With the generating function
    ``G(s) = s * (beta / (1 - (1 - beta) * s)) ** alpha`` and a sampling fraction f the equations
    are ``K f G'(1 - f) = s1`` and ``K f**2 G''(1 - f) / 2 = s2``. (Some versions of ARX multiply
    in the second by a power by which it must be divided.) For each beta the ratio of the two is a
    quadratic equation in alpha with one positive root, so that one equation in beta is left.
    """
    found = _of_sample(sizes, population)
    ones = found.count_of(1)
    if ones == 0 or found.rows == population:
        return float(ones)
    classes, alpha, beta = fitted_snb(found, population)
    return min(float(classes * beta**alpha), float(population))


def fitted_snb(found: Histogram, population: int) -> tuple[float, float, float]:
    """Return the classes of the population, alpha and beta of the slide negative binomial model.

    Parameters
    ----------
    found
        The class sizes of the sample.
    population
        People of the population, more than the sample has.

    Raises
    ------
    NoEstimate
        If the equations have no solution.
    """
    fraction = found.rows / population
    ones, twos = found.count_of(1), found.count_of(2)
    if ones == 0 or twos == 0:
        raise NoEstimate(
            f"the SNB estimate: no class has {'two rows' if ones else 'one row'}, so that its "
            "equations have no solution; use the estimator 'zayatz' or 'pitman'"
        )
    classes = shlosser(found, fraction)
    return classes, *_snb_parameters(classes, ones, twos, fraction, population)


def _snb_uniques(classes: float, ones: int, twos: int, fraction: float, population: int) -> float:
    """Return the expected uniques of a population of so many classes."""
    alpha, beta = _snb_parameters(classes, ones, twos, fraction, population)
    return float(classes * beta**alpha)


def _snb_parameters(
    classes: float, ones: int, twos: int, fraction: float, population: int
) -> tuple[float, float]:
    """Return alpha and beta of a population of so many classes."""
    from scipy.optimize import brentq

    ratio = 2 * twos / (fraction * ones)

    def parameters(logit: float | Floats) -> tuple[Any, Any]:
        beta = 1 / (1 + np.exp(-logit))
        return _snb_alpha(beta, fraction, ratio), beta

    def excess(logit: float | Floats) -> Any:
        return _snb_ones(classes, fraction, *parameters(logit)) - ones

    grid = np.linspace(-25, 12, 371)
    signs = np.sign(excess(grid))
    changes = np.flatnonzero(signs[:-1] * signs[1:] <= 0)
    if not len(changes):
        raise NoEstimate(
            "the SNB estimate: its equations have no solution for these class sizes; use the "
            "estimator 'zayatz' or 'pitman'"
        )
    roots = [brentq(excess, grid[i], grid[i + 1], xtol=1e-12) for i in changes]
    # of several solutions the one whose population is nearest to the true size
    alpha, beta = min(
        (parameters(root) for root in roots),
        key=lambda found: abs(classes * (1 + found[0] * (1 - found[1]) / found[1]) - population),
    )
    return float(alpha), float(beta)


def _snb_alpha(beta: Any, fraction: float, ratio: float) -> Any:
    """Return the positive root of the quadratic that the ratio of both equations is in alpha."""
    spread = 1 - beta
    thin = (1 - fraction) * spread
    a = spread * thin
    b = spread * (2 - thin) - ratio * (1 - thin) * thin
    c = -ratio * (1 - thin) ** 2
    root = np.sqrt(b * b - 4 * a * c)
    # of the two forms of the root the one without cancellation
    return np.where(b < 0, (root - b) / (2 * a), -2 * c / np.where(b < 0, 1.0, b + root))


def _snb_ones(classes: float, fraction: float, alpha: Any, beta: Any) -> Any:
    thin = (1 - fraction) * (1 - beta)
    power = np.exp(alpha * (np.log(beta) - np.log1p(-thin)))
    return classes * fraction * power * (1 + alpha * thin / (1 - thin))


def shlosser(sizes: npt.NDArray[Any] | Histogram, fraction: float) -> float:
    """Estimate the number of classes of the population by the modified Shlosser estimator.

    Parameters
    ----------
    sizes
        Class sizes of the sample (u), each at least 1, or their histogram.
    fraction
        Sampling fraction, above 0 and at most 1.

    Notes
    -----
    P. J. Haas, L. Stokes, "Estimating the number of classes in a finite population", JASA 93(444),
    1998, estimator Sh3; A. Shlosser, Engineering Cybernetics 19, 1981.
    """
    found = Histogram.of(sizes)
    values, counts = found
    ones = found.count_of(1)
    if fraction >= 1 or ones == 0:
        return float(found.classes)
    q = fraction
    unseen = (1 - q) ** values.astype(np.float64)
    first = (values * q**2 * (1 - q**2) ** (values - 1.0) * counts).sum()
    # (1 - q)^i ((1 + q)^i - 1), without overflow
    second = (((1 - q * q) ** values.astype(np.float64) - unseen) * counts).sum()
    third = (unseen * counts).sum()
    fourth = (values * q * (1 - q) ** (values - 1.0) * counts).sum()
    return float(found.classes + ones * (first / second) * (third / fourth) ** 2)


def _of_sample(sizes: npt.NDArray[Any] | Histogram, population: int) -> Histogram:
    """Return the class sizes of a sample that the population can hold."""
    found = Histogram.of(sizes)
    if found.rows > population:
        raise PlanError(
            f"the population is said to have {population:,} people, but the table alone has "
            f"{found.rows:,}: say how many people the population has"
        )
    return found
