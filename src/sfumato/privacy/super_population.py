"""How many people are alone in the population, estimated from the class sizes of a sample.

Pure functions of the sorted class sizes of a sample of n from a population of N people. Each
estimator takes the population itself for a draw from a model (a super-population).
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from sfumato.errors import DataError

__all__ = ["Estimator", "NoEstimate", "dankar", "pitman", "shlosser", "snb", "zayatz"]

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Histogram = tuple[Integers, Integers]

Estimator = Literal["dankar", "zayatz", "pitman", "snb"]

# Above this sampling fraction Dankar's rule leaves Pitman's model.
_SMALL_SAMPLE = 0.1
# Where Pitman's parameters are looked for: logarithms of theta + alpha, and alpha.
_LOG_SHIFTS = (-30.0, 30.0)
_ALPHAS = (1e-9, 1 - 1e-9)
# Up to this ratio of theta to alpha sums are taken by their closed form.
_CLOSED_FORM = 1e5


class NoEstimate(DataError):
    """The equations of an estimator have no solution for these class sizes."""


def dankar(sizes: npt.NDArray[Any], population: int) -> float:
    """Estimate the uniques of the population by the decision rule of Dankar et al.

    For a sampling fraction of at most 0.1 Pitman's estimate, and Zayatz's if that has none;
    otherwise the lower of Zayatz's and the SNB estimate, and Zayatz's if the latter has none.

    Parameters
    ----------
    sizes
        Class sizes of the sample (u), each at least 1.
    population
        People of the population, at least the sum of the sizes.

    Returns
    -------
    float
        Expected number of people who are alone in their class in the population.

    Notes
    -----
    F. K. Dankar, K. El Emam, A. Neisa, T. Roffey, "Estimating the re-identification risk of
    clinical data sets", BMC Medical Informatics and Decision Making 12:66, 2012, "decision rule".
    """
    n = int(sizes.sum())
    small = n <= _SMALL_SAMPLE * population
    try:
        model = pitman(sizes, population) if small else snb(sizes, population)
    except NoEstimate:
        return zayatz(sizes, population)
    return model if small else min(model, zayatz(sizes, population))


def zayatz(sizes: npt.NDArray[Any], population: int) -> float:
    """Estimate the uniques of the population by Zayatz's method.

    The sizes of the population's classes are taken to be spread as those of the sample's. By Bayes'
    rule with the hypergeometric probability that one member of a class is sampled this gives the
    probability that a sample unique is a population unique.

    Parameters
    ----------
    sizes
        Class sizes of the sample (u), each at least 1.
    population
        People of the population, at least the sum of the sizes.

    Notes
    -----
    L. V. Zayatz, "Estimation of the number of unique population elements using a sample", Bureau of
    the Census, Statistical Research Division Report 91/08, 1991. It is known to be too
    high for small sampling fractions.
    """
    from scipy.stats import hypergeom

    n = int(sizes.sum())
    values, counts = _histogram(sizes)
    alone = _count_of(1, values, counts)
    if alone == 0:
        return 0.0
    chance = hypergeom.pmf(1, population, values, n)
    unique = float(alone * (n / population) / (counts * chance).sum())
    return min(alone * unique * population / n, float(population))


def pitman(sizes: npt.NDArray[Any], population: int) -> float:
    """Estimate the uniques of the population by Pitman's sampling formula.

    Its two parameters are fitted to the sample by maximum likelihood; the expected number of
    uniques of a population of N people is then
    ``N * prod((theta + alpha + i - 1) / (theta + i), i = 1 .. N - 1)``.

    Parameters
    ----------
    sizes
        Class sizes of the sample (u), each at least 1.
    population
        People of the population, at least the sum of the sizes.

    Raises
    ------
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

    if not (sizes == 1).any():
        return 0.0
    theta, alpha = _pitman_parameters(sizes)
    logs = (
        gammaln(theta + alpha + population - 1)
        - gammaln(theta + alpha)
        - gammaln(theta + population)
        + gammaln(theta + 1)
    )
    return min(float(population * np.exp(logs)), float(population))


def _pitman_parameters(sizes: npt.NDArray[Any]) -> tuple[float, float]:
    """Return the theta and alpha of the greatest likelihood, 0 < alpha < 1, theta > -alpha.

    For each alpha the best theta is where the likelihood's slope in theta is 0; along these thetas
    the best alpha is where the slope in alpha is 0, or the lower edge if it falls from there on.
    """
    from scipy.optimize import brentq

    n, u = int(sizes.sum()), len(sizes)
    if u == n or u == 1:
        raise NoEstimate(
            "Pitman's estimate: every row is unique, or all are equal, so that the likelihood has "
            "no maximum; use the estimator 'zayatz', or generalize more"
        )
    values, counts = _histogram(sizes)

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
        steps = np.arange(1, u, dtype=np.float64)
        terms = 1 / (theta + alpha * steps)
        inverse, weighted = terms.sum(), (steps * terms).sum()
    return float(inverse - digamma(theta + n) + digamma(theta + 1)), float(weighted)


def snb(sizes: npt.NDArray[Any], population: int) -> float:
    """Estimate the uniques of the population by the slide negative binomial model.

    A class of the population has ``1 + X`` people, X negative binomial with parameters alpha and
    beta. The number K of classes is estimated by :func:`shlosser`; alpha and beta are such that the
    expected numbers of sample classes of size 1 and 2 are those found. The estimate is
    ``K * beta ** alpha``.

    Parameters
    ----------
    sizes
        Class sizes of the sample (u), each at least 1.
    population
        People of the population, at least the sum of the sizes.

    Raises
    ------
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
    n = int(sizes.sum())
    fraction = n / population
    values, counts = _histogram(sizes)
    ones, twos = _count_of(1, values, counts), _count_of(2, values, counts)
    if ones == 0:
        return 0.0
    if fraction >= 1:
        return float(ones)
    if twos == 0:
        raise NoEstimate(
            "the SNB estimate: no class has two rows, so that its equations have no solution; use "
            "the estimator 'zayatz' or 'pitman'"
        )
    return min(
        _snb_uniques(shlosser(sizes, fraction), ones, twos, fraction, population), population
    )


def _snb_uniques(classes: float, ones: int, twos: int, fraction: float, population: int) -> float:
    """Return the expected uniques of a population of so many classes."""
    from scipy.optimize import brentq

    ratio = 2 * twos / (fraction * ones)

    def parameters(logit: float) -> tuple[float, float]:
        beta = float(1 / (1 + np.exp(-logit)))
        return _snb_alpha(beta, fraction, ratio), beta

    def excess(logit: float) -> float:
        return _snb_ones(classes, fraction, *parameters(logit)) - ones

    grid = np.linspace(-25, 12, 371)
    signs = np.sign([excess(point) for point in grid])
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
    return float(classes * beta**alpha)


def _snb_alpha(beta: float, fraction: float, ratio: float) -> float:
    """Return the positive root of the quadratic that the ratio of both equations is in alpha."""
    spread = 1 - beta
    thin = (1 - fraction) * spread
    a = spread * thin
    b = spread * (2 - thin) - ratio * (1 - thin) * thin
    c = -ratio * (1 - thin) ** 2
    root = np.sqrt(b * b - 4 * a * c)
    # the form without cancellation
    return float((root - b) / (2 * a) if b < 0 else -2 * c / (b + root))


def _snb_ones(classes: float, fraction: float, alpha: float, beta: float) -> float:
    thin = (1 - fraction) * (1 - beta)
    power = np.exp(alpha * (np.log(beta) - np.log1p(-thin)))
    return float(classes * fraction * power * (1 + alpha * thin / (1 - thin)))


def shlosser(sizes: npt.NDArray[Any], fraction: float) -> float:
    """Estimate the number of classes of the population by the modified Shlosser estimator.

    Parameters
    ----------
    sizes
        Class sizes of the sample (u), each at least 1.
    fraction
        Sampling fraction, above 0 and at most 1.

    Notes
    -----
    P. J. Haas, L. Stokes, "Estimating the number of classes in a finite population", JASA 93(444),
    1998, estimator Sh3; A. Shlosser, Engineering Cybernetics 19, 1981.
    """
    values, counts = _histogram(sizes)
    ones = _count_of(1, values, counts)
    if fraction >= 1 or ones == 0:
        return float(len(sizes))
    q = fraction
    unseen = (1 - q) ** values.astype(np.float64)
    first = (values * q**2 * (1 - q**2) ** (values - 1.0) * counts).sum()
    # (1 - q)^i ((1 + q)^i - 1), without overflow
    second = (((1 - q * q) ** values.astype(np.float64) - unseen) * counts).sum()
    third = (unseen * counts).sum()
    fourth = (values * q * (1 - q) ** (values - 1.0) * counts).sum()
    return float(len(sizes) + ones * (first / second) * (third / fourth) ** 2)


def _histogram(sizes: npt.NDArray[Any]) -> Histogram:
    values, counts = np.unique(sizes, return_counts=True)
    return values.astype(np.int64), counts.astype(np.int64)


def _count_of(size: int, values: Integers, counts: Integers) -> int:
    return int(counts[values == size].sum())
