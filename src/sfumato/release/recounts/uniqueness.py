"""How many people of a population are alone in their class, estimated from a sample's classes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from sfumato.release.recounts.outcome import NotCounted, Outcome, Sentence, of_table, ratio_at_most
from sfumato.release.recounts.promises import Asked
from sfumato.release.recounts.tally import Tally

__all__ = ["pitman", "population_uniqueness", "slide_negative_binomial", "zayatz"]

Integers = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.float64]

_SMALL_SAMPLE = 0.1  # Dankar et al.: up to this share Pitman's model is the one to take


def population_uniqueness(asked: Asked, tally: Tally) -> Outcome:
    """Recount the estimated share of the population that is alone in its class.

    Notes
    -----
    F. Dankar, K. El Emam, A. Neisa, T. Roffey, "Estimating the re-identification risk of clinical
    data sets", BMC Medical Informatics and Decision Making 12:66, 2012: the estimators in appendix
    A, and the rule that chooses between them.
    """
    sizes, people = tally.sizes, int(asked["population_size"])
    sample = int(sizes.sum())
    if people < sample:
        raise NotCounted(f"the release has {sample:,} people, more than population_size")
    unique = _estimate(asked["estimator"], sizes, people) if (sizes == 1).any() else 0.0
    share = min(unique, people) / people
    sentence = Sentence(
        f"a share of {{worst}} of {people:,} people is alone by estimate ({asked['estimator']})",
        f"the limit is {asked['share']:g}",
    )
    kept = bool(ratio_at_most(np.asarray(share), asked["share"]))
    return of_table(tally, share, asked["share"], kept=kept, sentence=sentence)


def _estimate(estimator: str, sizes: Integers, people: int) -> float:
    if sizes.sum() == people:
        return float((sizes == 1).sum())  # nothing to estimate: everybody is in the release
    if estimator == "zayatz":
        return zayatz(sizes, people)
    if estimator in ("pitman", "snb"):
        model = pitman if estimator == "pitman" else slide_negative_binomial
        unique = model(sizes, people)
        if unique is None:
            raise NotCounted(f"the model {estimator!r} does not fit these classes: choose another")
        return unique
    fallback = zayatz(sizes, people)
    if sizes.sum() <= _SMALL_SAMPLE * people:
        unique = pitman(sizes, people)
        return fallback if unique is None else unique
    unique = slide_negative_binomial(sizes, people)
    return fallback if unique is None else min(fallback, unique)


def zayatz(sizes: Integers, people: int) -> float:
    """Return the population uniques by the model that classes are sized alike in both.

    Notes
    -----
    L. Zayatz, "Estimation of the percent of unique population elements on a microdata file using
    the sample", US Bureau of the Census, Statistical Research Division Report 91/08, 1991.
    """
    size, classes = _histogram(sizes)
    sample = int(sizes.sum())
    # log of the hypergeometric probability that a class of so many people has one in the sample
    possible = people - size >= sample - 1
    log_one = np.full(len(size), -np.inf)
    log_one[possible] = (
        np.log(size[possible])
        + _log_choose(people - size[possible], sample - 1)
        - _log_choose(np.array([people]), sample)
    )
    weights = classes * np.exp(log_one)
    unique = weights[size == 1].sum() / weights.sum()
    return float(classes[size == 1].sum() * unique * people / sample)


def pitman(sizes: Integers, people: int) -> float | None:
    """Return the population uniques by Pitman's model, or None if it does not fit.

    Notes
    -----
    N. Hoshino, "Applying Pitman's sampling formula to microdata disclosure risk assessment",
    Journal of Official Statistics 17(4), 2001: the parameters theta and alpha are those of the
    greatest likelihood. A population of N people is then expected to have N times the product of
    (theta + alpha + i - 1) / (theta + i), i from 1 to N - 1, uniques, which for large N is
    gamma(theta + 1) / gamma(theta + alpha) times N to the power of alpha, as in the paper.
    """
    from scipy.optimize import minimize
    from scipy.special import betaln, gammaln

    sample, number = int(sizes.sum()), len(sizes)
    if number in (1, sample):
        return None  # one class or uniques only: the likelihood rises without an end
    largest = int(sizes.max())
    # how many classes have more than i people, for i = 1, 2, ...
    counted = np.bincount(sizes, minlength=largest + 1)
    above = number - np.cumsum(counted)[1:largest]
    steps = np.arange(1, largest)

    def negative(parameters: Numbers) -> float:
        alpha = 1 / (1 + np.exp(-parameters[0]))
        theta = np.exp(parameters[1]) - alpha
        # the sum of log(theta + i alpha) over the classes but the first, by the beta function,
        # which stays exact where theta / alpha is large
        opened = (number - 1) * np.log(alpha) + gammaln(number - 1)
        opened -= betaln(theta / alpha + 1, number - 1)
        drawn = gammaln(theta + sample) - gammaln(theta + 1)
        return float(-(opened - drawn + (above * np.log(steps - alpha)).sum()))

    starts = [
        np.array([logit, np.log(scale)]) for logit in (-2.0, 0.0, 2.0) for scale in (2, 100, number)
    ]
    options = {"xatol": 1e-10, "fatol": 1e-10, "maxiter": 4000, "maxfev": 8000}
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        fits = [
            minimize(negative, start, method="Nelder-Mead", options=options) for start in starts
        ]
    sound = [fit for fit in fits if fit.success and np.isfinite(fit.fun)]
    if not sound:
        return None
    best = min(sound, key=lambda fit: float(fit.fun))
    alpha = float(1 / (1 + np.exp(-best.x[0])))
    theta = float(np.exp(best.x[1]) - alpha)
    ends = np.array([theta + alpha + people - 1, theta + 1, theta + alpha, theta + people])
    unique = people * float(np.exp(gammaln(ends) @ np.array([1, 1, -1, -1])))
    return unique if np.isfinite(unique) else None


def slide_negative_binomial(sizes: Integers, people: int) -> float | None:
    """Return the population uniques by the slide negative binomial model, or None if it fits not.

    Notes
    -----
    G. Chen, S. Keller-McNulty, "Estimation of identification disclosure risk in microdata",
    Journal of Official Statistics 14(1), 1998: a class has one person and a negative binomial
    number more. The number of classes in the population is Shlosser's estimate (P. Haas, L.
    Stokes, "Estimating the number of classes in a finite population", JASA 93, 1998), and the
    parameters are those by which the sample is expected to have as many classes of one and of two
    people as it has.
    """
    counted = np.bincount(sizes, minlength=3)
    ones, twos = float(counted[1]), float(counted[2])
    rate = float(sizes.sum() / people)
    number = _classes_of_population(sizes, rate)
    if not np.isfinite(number) or twos == 0:
        return None

    # The generating function of a class's people is z (beta / (1 - (1 - beta) z)) ** alpha. Its
    # derivatives at z = 1 - rate give the expected classes of one and of two in the sample. They
    # share a factor, so their ratio gives alpha for a beta, and one equation in beta is left.
    def alpha_of(beta: float) -> float:
        odds = (1 - rate) * (1 - beta)
        part = (1 - beta) / (1 - odds)
        goal = 2 * twos / (ones * rate)
        square = part * odds / (1 - odds)
        linear = (part * (2 - odds) - goal * odds) / (1 - odds)
        root = np.sqrt(linear * linear + 4 * square * goal)
        # of the two forms of the positive solution the one that does not cancel
        return float(2 * goal / (root + linear) if linear > 0 else (root - linear) / (2 * square))

    def gap(beta: float) -> float:
        alpha, odds = alpha_of(beta), (1 - rate) * (1 - beta)
        log_factor = alpha * (np.log(beta) - np.log1p(-odds))
        expected = number * rate * np.exp(log_factor) * (1 + alpha * odds / (1 - odds))
        return float(expected - ones)

    def strayed(beta: float) -> float:
        return abs(number * (1 + alpha_of(beta) * (1 - beta) / beta) - people)

    roots = _roots(gap)
    if not roots:
        return None
    # Of several solutions the one whose population has the most nearly the right size.
    beta = min(roots, key=strayed)
    unique = float(number * beta ** alpha_of(beta))
    return unique if np.isfinite(unique) else None


def _classes_of_population(sizes: Integers, rate: float) -> float:
    """Return Shlosser's third estimate of the number of classes (Haas and Stokes, section 3)."""
    size, classes = _histogram(sizes)
    square = rate * rate
    first = (size * square * (1 - square) ** (size - 1) * classes).sum()
    missed = (1 - rate) ** size
    # the product of (1 - rate) ** i and (1 + rate) ** i - 1, of which the latter is soon too large
    second = (((1 - square) ** size - missed) * classes).sum()
    third = (missed * classes).sum()
    fourth = (size * rate * (1 - rate) ** (size - 1) * classes).sum()
    ones = classes[size == 1].sum()
    return float(len(sizes) + ones * (first / second) * (third / fourth) ** 2)


def _roots(function: Callable[[float], float]) -> list[float]:
    """Return where a function of a share crosses zero."""
    from scipy.optimize import brentq

    grid = 1 / (1 + np.exp(-np.linspace(-20, 14, 400)))
    values = np.array([function(float(share)) for share in grid])
    sound = np.isfinite(values)
    crosses = sound[:-1] & sound[1:] & (np.sign(values[:-1]) != np.sign(values[1:]))
    return [
        float(brentq(function, grid[at], grid[at + 1], xtol=1e-15))
        for at in np.flatnonzero(crosses)
    ]


def _histogram(sizes: Integers) -> tuple[Numbers, Numbers]:
    """Return the sizes that occur, and how many classes have each."""
    size, classes = np.unique(sizes, return_counts=True)
    return size.astype(np.float64), classes.astype(np.float64)


def _log_choose(of: Numbers | Integers, chosen: int) -> Numbers:
    from scipy.special import gammaln

    return np.asarray(gammaln(of + 1.0) - gammaln(chosen + 1.0) - gammaln(of - chosen + 1.0))
