"""Mechanisms: probabilities on small cases against sums by hand, costs, and what is refused."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2

from sfumato.errors import BudgetExceeded, DataError, PlanError
from sfumato.privacy.differential import (
    DiscreteGaussian,
    DiscreteLaplace,
    ExponentialMechanism,
    Geometric,
    NoisyHistogram,
    NoisyQuantile,
    NoisySum,
    PermuteAndFlip,
    RandomizedResponse,
    RandomWords,
    ReportNoisyMax,
    SparseVector,
    ThresholdedHistogram,
    bounded_rows,
)

SEEDED = {"insecure_seed": 5}
SCORES = np.array([3, 0, 5, 4])


def p_value(drawn, probabilities) -> float:
    seen = np.bincount(drawn, minlength=len(probabilities))
    expected = np.array(probabilities) * len(drawn)
    assert math.isclose(sum(probabilities), 1, abs_tol=1e-9)
    return float(chi2.sf(((seen - expected) ** 2 / expected).sum(), len(expected) - 1))


# -- choices ---------------------------------------------------------------------------------------


def chosen(mechanism, n=2000) -> np.ndarray:
    words = RandomWords(**SEEDED)
    return np.array([mechanism.release(SCORES, words) for _ in range(n)])


@pytest.mark.parametrize(("settings_", "rate"), [({}, 0.5), ({"monotonic": True}, 1.0)])
def test_exponential_mechanism_has_its_probabilities(settings_, rate):
    mechanism = ExponentialMechanism(epsilon=1, **settings_)
    weights = np.exp(rate * SCORES)
    assert p_value(chosen(mechanism), (weights / weights.sum()).tolist()) > 1e-4
    assert mechanism.cost.rho == Fraction(1, 8)


def flips(scores, rate: float) -> list[float]:
    """Return permute-and-flip's probabilities over every order by hand."""
    survive = np.exp(-rate * (scores.max() - scores))
    found = np.zeros(len(scores))
    orders = list(permutations(range(len(scores))))
    for order in orders:
        left = 1 / len(orders)
        for place in order:
            found[place] += left * survive[place]
            left *= 1 - survive[place]
    return found.tolist()


def test_permute_and_flip_has_its_probabilities():
    assert p_value(chosen(PermuteAndFlip(epsilon=1, sensitivity=2)), flips(SCORES, 0.25)) > 1e-4
    assert PermuteAndFlip(epsilon=1).cost.rho == Fraction(1, 2)


def test_permute_and_flip_is_private_and_never_worse():
    """McKenna & Sheldon 2020, Theorems 1 and 3, on every neighbour of small scores."""
    for shift in np.ndindex(3, 3, 3, 3):
        other = SCORES + np.array(shift) - 1
        ratios = np.log(np.array(flips(SCORES, 0.5)) / np.array(flips(other, 0.5)))
        assert np.abs(ratios).max() <= 1 + 1e-12
    weights = np.exp(0.5 * SCORES)
    loss = ((SCORES.max() - SCORES) * weights).sum() / weights.sum()
    assert (SCORES.max() - SCORES) @ flips(SCORES, 0.5) <= loss


def test_noisy_max_has_its_probabilities():
    scale = 2.0
    x = np.arange(-200, 201)
    one = np.exp(-np.abs(x) / scale)
    one /= one.sum()
    below = np.concatenate([[0.0], np.cumsum(one)])

    def cdf(value, *, inclusive):
        return below[np.clip(value + 200 + inclusive, 0, len(below) - 1)]

    probabilities = []
    for i, score in enumerate(SCORES):
        wins = one.copy()
        for j, other in enumerate(SCORES):
            if j != i:  # the earlier place wins a tie
                wins = wins * cdf(score + x - other, inclusive=j > i)
        probabilities.append(wins.sum())
    assert p_value(chosen(ReportNoisyMax(epsilon=1)), probabilities) > 1e-4


@pytest.mark.parametrize("kind", [ExponentialMechanism, PermuteAndFlip])
def test_scores_far_apart_are_exact_too(kind):
    # epsilon of many digits times a gap beyond 62 digits: two independent events
    epsilon = Fraction(2**41 + 1, 2**40)
    scores = np.array([0, 2**40, 2**40 - 1])
    words = RandomWords(**SEEDED)
    drawn = np.array([kind(epsilon=epsilon).release(scores, words) for _ in range(400)])
    rate = float(epsilon) / 2
    logistic = kind is ExponentialMechanism
    right = 1 / (1 + math.exp(-rate)) if logistic else 1 - math.exp(-rate) / 2
    assert abs((drawn == 1).mean() - right) < 4 * math.sqrt(right * (1 - right) / 400)
    assert not (drawn == 0).any()


@pytest.mark.parametrize("kind", [ExponentialMechanism, PermuteAndFlip, ReportNoisyMax])
def test_choices_refuse_what_is_no_score(kind):
    for wrong in ([0.5, 1.0], [], [[1, 2]], ["a"], [True, False]):
        with pytest.raises(DataError):
            kind(epsilon=1).release(wrong, RandomWords())
    with pytest.raises(PlanError):
        kind(epsilon=0)


# -- sparse vector ---------------------------------------------------------------------------------


def test_sparse_vector_tells_the_first_ones_above():
    values = np.array([0, 10**6, 0, 10**6, 10**6])
    mechanism = SparseVector(threshold=1000, epsilon=1, answers=2)
    assert mechanism.release(values, RandomWords()).tolist() == [1, 3]
    assert mechanism.cost.epsilon == 2
    assert mechanism.release(values[:1], RandomWords()).tolist() == []


def test_sparse_vector_can_be_asked_one_by_one():
    questions = SparseVector(threshold=1000, epsilon=1, answers=2).start(RandomWords())
    assert [questions.ask(v) for v in (0, 10**6, 5, 10**6)] == [False, True, False, True]
    assert questions.left == 0
    with pytest.raises(BudgetExceeded, match="2 answers"):
        questions.ask(0)


def test_sparse_vector_has_its_probabilities():
    """P(above) for one value, summed over both noises by hand."""
    x = np.arange(-400, 401)

    def masses(scale):
        one = np.exp(-np.abs(x) / scale)
        return one / one.sum()

    value_noise, level_noise = masses(4.0), masses(2.0)
    above = sum(
        mass * value_noise[x + 1 >= level].sum() for level, mass in zip(x, level_noise, strict=True)
    )
    words = RandomWords(**SEEDED)
    mechanism = SparseVector(threshold=0, epsilon=1)
    seen = np.mean([len(mechanism.release([1], words)) for _ in range(4000)])
    assert abs(seen - above) < 4 * math.sqrt(above * (1 - above) / 4000)


# -- randomized response ---------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(st.fractions(Fraction(1, 10**6), 60, max_denominator=10**6), st.integers(2, 2**20))
def test_randomized_response_keeps_epsilon_and_no_less_than_it_could(epsilon, categories):
    keep = RandomizedResponse(epsilon=epsilon, categories=categories).keep
    other = (1 - keep) / (categories - 1)
    assert 0 < keep < 1
    ratio = keep / other
    assert math.log(ratio) <= float(epsilon) * (1 + 1e-12) + 1e-15
    assert -math.log(ratio) <= float(epsilon)
    tight = 1 / (1 + (categories - 1) * math.exp(-float(epsilon)))
    assert float(keep) == pytest.approx(tight, abs=2**-52)


@pytest.mark.parametrize("categories", [2, 5])
def test_randomized_response_estimates_without_bias(categories):
    mechanism = RandomizedResponse(epsilon=1, categories=categories)
    codes = np.repeat(np.arange(categories), np.arange(1, categories + 1) * 1000)
    true = np.bincount(codes)
    words = RandomWords(**SEEDED)
    found = [mechanism.estimate(mechanism.release(codes, words)) for _ in range(200)]
    counts = np.array([one.counts for one in found])
    errors = np.array([one.standard_errors for one in found])
    assert np.allclose(counts.sum(axis=1), len(codes))
    assert np.all(np.abs(counts.mean(axis=0) - true) < 4 * errors.mean(axis=0) / math.sqrt(200))
    assert np.allclose(counts.std(axis=0), errors.mean(axis=0), rtol=0.2)


def test_randomized_response_of_one_answer_has_its_probabilities():
    mechanism = RandomizedResponse(epsilon=1, categories=4)
    drawn = mechanism.release(np.full(20_000, 2), RandomWords(**SEEDED))
    keep = float(mechanism.keep)
    others = (1 - keep) / 3
    assert p_value(drawn, [others, others, keep, others]) > 1e-4
    with pytest.raises(DataError, match="declared"):
        mechanism.release([4], RandomWords())


# -- noise, sums, histograms -----------------------------------------------------------------------


def test_noise_keeps_shape_and_integers():
    values = np.arange(6, dtype=np.uint8).reshape(2, 3)
    for mechanism in (DiscreteLaplace(scale="1/100"), DiscreteGaussian(sigma_squared="1/500")):
        noisy = mechanism.release(values, RandomWords())
        assert noisy.dtype == np.int64
        assert noisy.tolist() == values.tolist()  # so little noise is none but for exp(-100)
    for wrong in ([1.0, 2.0], [2**62], [True], ["1"]):
        with pytest.raises(DataError):
            DiscreteLaplace(scale=1).release(wrong, RandomWords())


def test_geometric_is_laplace_by_its_epsilon():
    assert Geometric(epsilon="0.25").scale == 4
    assert Geometric(epsilon="0.25").cost == DiscreteLaplace(scale=4).cost
    for wrong in (0, -1):
        with pytest.raises(PlanError):
            Geometric(epsilon=wrong)


def test_a_sum_is_clipped_and_counted_on_its_grid():
    mechanism = NoisySum(lower=0, upper=120, grid="1/4", scale="1/400")
    total = mechanism.release(np.array([10.1, 500.0, -3.0, np.nan]), RandomWords())
    assert total == Fraction(10) + 120  # 10.1 is 40 quarters; a missing value adds nothing
    assert mechanism.sensitivity == 480
    assert NoisySum(lower=-5, upper=3, grid=1, scale=1).sensitivity == 5
    assert NoisySum(lower=-5, upper=3, grid=1, scale=1, neighbours="replace").sensitivity == 8
    assert NoisySum(lower=2, upper=3, grid=1, scale=1, neighbours="replace").sensitivity == 3


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-1e6, 1e6) | st.just(math.nan), max_size=20), st.floats(-1e9, 1e9))
def test_one_more_number_moves_a_sum_by_no_more_than_stated(numbers, more):
    mechanism = NoisySum(lower="-7.3", upper="11.9", grid="0.1", scale="1/10000")
    first = mechanism.release(np.array(numbers, float), RandomWords())
    second = mechanism.release(np.array([*numbers, more], float), RandomWords())
    assert abs(second - first) <= mechanism.sensitivity * mechanism.grid


@pytest.mark.parametrize(
    "wrong",
    [
        {"lower": 1, "upper": 1},
        {"lower": 0, "upper": 1, "grid": 0},
        {"lower": 0, "upper": 1, "scale": 2**60},
        {"lower": 0, "upper": 2**70},
        {"lower": 0, "upper": "0.1"},
    ],
)
def test_sums_that_cannot_be_exact_are_refused(wrong):
    with pytest.raises(PlanError):
        NoisySum(**{"grid": 1, "scale": 1, **wrong})


def test_a_histogram_has_noise_on_empty_cells_too():
    mechanism = NoisyHistogram(cells=1000, noise=DiscreteLaplace(scale=10))
    noisy = mechanism.release(np.zeros(50, int), RandomWords(**SEEDED))
    assert noisy.shape == (1000,)
    assert (noisy[1:] != 0).mean() > 0.9
    for wrong in ([1000], [-1]):
        with pytest.raises(DataError, match="declared"):
            mechanism.release(wrong, RandomWords())


def tail_by_hand(weights, least: int) -> float:
    x = np.arange(-6000, 6001)
    masses = weights(x)
    return float(masses[x >= least].sum() / masses.sum())


@pytest.mark.parametrize("delta", [1e-2, 1e-6, 1e-12])
@pytest.mark.parametrize(("most", "cells"), [(1, 1), (3, 4)])
def test_thresholds_hide_what_one_unit_holds(delta, most, cells):
    limits = {"delta": delta, "most_per_cell": most, "cells_per_unit": cells}
    for noise, weights, size in (
        (DiscreteLaplace(scale=5), lambda x: np.exp(-np.abs(x) / 5), "tight"),
        (DiscreteGaussian(sigma_squared=40), lambda x: np.exp(-(x**2) / 80), "about"),
    ):
        mechanism = ThresholdedHistogram(noise=noise, **limits)
        threshold = mechanism.threshold
        assert cells * tail_by_hand(weights, threshold - most) <= delta * (1 + 1e-9)
        looser = threshold - 1 if size == "tight" else threshold - 2
        assert cells * tail_by_hand(weights, looser - most) > delta
        assert mechanism.cost.delta == Fraction(repr(delta))


def test_unknown_categories_are_told_by_name_and_only_if_large():
    mechanism = ThresholdedHistogram(noise=DiscreteLaplace(scale=1), delta="1e-9")
    values = ["common"] * 500 + ["often"] * 400 + ["one person"]
    told = mechanism.release(values, RandomWords())
    assert list(told) == ["common", "often"]
    assert all(isinstance(count, int) for count in told.values())
    assert mechanism.release(np.array([], dtype=int), RandomWords()) == {}
    with pytest.raises(DataError):
        mechanism.release([0.5], RandomWords())


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 6), max_size=60), st.integers(1, 4))
def test_nobody_keeps_more_rows_than_bounded(persons, most):
    kept = bounded_rows(np.array(persons, np.int64), most, RandomWords())
    before, after = (
        np.bincount(persons, minlength=7),
        np.bincount(np.array(persons, np.int64)[kept], minlength=7),
    )
    assert np.array_equal(after, np.minimum(before, most))


# -- quantiles -------------------------------------------------------------------------------------


def scores_by_hand(numbers, rank: Fraction, grid) -> list[int]:
    found = []
    for point in grid:
        below = sum(x < point for x in numbers)
        not_above = sum(x <= point for x in numbers)
        wanted = rank.numerator * len(numbers)
        low, high = rank.denominator * below, rank.denominator * not_above
        found.append(-max(0, low - wanted, wanted - high))
    return found


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(-3, 13), max_size=25),
    st.sampled_from(["1/2", "1/4", "9/10"]),
    st.integers(-3, 13),
)
def test_quantile_scores_and_their_sensitivity(numbers, rank, more):
    quantile = NoisyQuantile(rank=rank, lower=0, upper=10, step=1, epsilon=1)
    clipped = np.clip(numbers, 0, 10).tolist()
    found = quantile.scores(np.array(numbers, float))
    assert found.tolist() == scores_by_hand(clipped, quantile.rank, range(11))
    moved = quantile.scores(np.array([*numbers, more], float)) - found
    assert np.abs(moved).max() <= quantile.sensitivity


def test_quantiles_of_many_numbers_are_near():
    numbers = np.random.default_rng(3).normal(50, 10, 20_000)
    for rank in ("1/10", "1/2", "9/10"):
        quantile = NoisyQuantile(rank=rank, lower=0, upper=100, step="0.1", epsilon=1)
        told = quantile.release(numbers, RandomWords())
        assert abs(float(told) - np.quantile(numbers, float(Fraction(rank)))) < 0.5
        assert (told * 10).denominator == 1
    with pytest.raises(PlanError, match="ten million"):
        NoisyQuantile(rank="1/2", lower=0, upper=1, step="1e-9", epsilon=1)
    with pytest.raises(PlanError):
        NoisyQuantile(rank=1, lower=0, upper=1, step=1, epsilon=1)


def test_every_mechanism_says_what_it_is_and_is_frozen():
    noise = DiscreteGaussian(sigma_squared="5.5", sensitivity_squared=2)
    for mechanism in (
        noise,
        DiscreteLaplace(scale=3, sensitivity=2),
        Geometric(epsilon=1),
        NoisySum(lower=0, upper=9, grid=1, scale=3, noise="gaussian"),
        ExponentialMechanism(epsilon=1),
        PermuteAndFlip(epsilon=1),
        ReportNoisyMax(epsilon=1, monotonic=True),
        SparseVector(threshold=3, epsilon=1),
        RandomizedResponse(epsilon=1),
        NoisyHistogram(cells=3, noise=noise),
        ThresholdedHistogram(noise=noise, delta="1e-9"),
        NoisyQuantile(rank="1/2", lower=0, upper=1, step="0.1", epsilon=1),
    ):
        assert {"sensitivity", "scale"} <= set(mechanism.facts())
        assert mechanism.kind in mechanism.describe()
        with pytest.raises(ValueError, match="frozen"):
            mechanism.epsilon = 3
