"""The bounds of an audit against oracles that share nothing with them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import binom, binomtest, norm

from sfumato.evaluation.audit import (
    attainable,
    gaussian_epsilon,
    gaussian_lower_bound,
    gaussian_mu,
    gaussian_p_value,
    lowest_bits,
    one_run_ceiling,
    one_run_lower_bound,
    one_run_p_value,
    pair_ceiling,
    pair_lower_bound,
    pair_p_value,
)

counts = st.tuples(st.integers(1, 400), st.integers(1, 400)).flatmap(
    lambda runs: st.tuples(
        st.integers(0, runs[0]), st.just(runs[0]), st.integers(0, runs[1]), st.just(runs[1])
    )
)


@pytest.mark.parametrize(
    ("right", "guesses", "bound"),
    [(100, 100, 3.49), (1000, 1000, 5.81), (750, 1000, 0.98), (600, 1000, 0.30), (20, 20, 1.82)],
)
def test_one_run_bounds_are_those_of_the_literature(right, guesses, bound):
    # Steinke, Nasr & Jagielski 2023, theorem 3.1, as tabulated for planning an audit
    assert round(one_run_lower_bound(right, guesses), 2) == bound


def test_epsilon_8_is_beyond_5000_guesses():
    assert round(one_run_ceiling(5000), 2) == 7.42


def test_one_run_p_value_is_the_binomial_tail():
    share = math.e / (1 + math.e)
    tail = sum(math.comb(30, k) * share**k * (1 - share) ** (30 - k) for k in range(26, 31))
    assert one_run_p_value(26, 30, 1.0) == pytest.approx(tail, rel=1e-12)


def test_one_run_delta_is_added_as_the_theorem_says():
    share, right, guesses, canaries, delta = 1 / (1 + math.exp(-0.7)), 40, 50, 80, 1e-4
    pmf = [math.comb(50, k) * share**k * (1 - share) ** (50 - k) for k in range(51)]
    worst = max(sum(pmf[right - i : right]) / i for i in range(1, right + 1))
    expected = sum(pmf[right:]) + 2 * canaries * delta * worst
    found = one_run_p_value(right, guesses, 0.7, delta, canaries=canaries)
    assert found == pytest.approx(expected, rel=1e-9)


@given(st.integers(0, 200), st.integers(1, 200), st.sampled_from([0.0, 1e-6, 1e-3]))
@settings(max_examples=60, deadline=None)
def test_one_run_bound_and_p_value_agree(right, guesses, delta):
    right = min(right, guesses)
    bound = one_run_lower_bound(right, guesses, delta)
    assert one_run_p_value(right, guesses, bound + 1e-6, delta) >= 0.05
    if bound > 0:
        assert one_run_p_value(right, guesses, bound, delta) == pytest.approx(0.05, rel=1e-6)
    assert bound <= one_run_ceiling(guesses, delta) + 1e-12


@given(counts, st.sampled_from([0.0, 0.01]), st.sampled_from([0.95, 0.999]))
@settings(max_examples=100, deadline=None)
def test_pair_bound_is_made_of_clopper_pearson_intervals(four, delta, confidence):
    hits, runs, other_hits, other_runs = four
    one = binomtest(hits, runs).proportion_ci(confidence, "exact")
    two = binomtest(other_hits, other_runs).proportion_ci(confidence, "exact")
    ratios = [
        (one.low - delta, two.high),
        (1 - one.high - delta, 1 - two.low),
        (two.low - delta, one.high),
        (1 - two.high - delta, 1 - one.low),
    ]
    expected = max([0.0] + [math.log(above / below) for above, below in ratios if above > 0])
    found = pair_lower_bound(hits, runs, other_hits, other_runs, delta, confidence=confidence)
    assert found == pytest.approx(expected, abs=1e-9)


@given(counts, st.sampled_from([0.0, 0.01]))
@settings(max_examples=100, deadline=None)
def test_pair_bound_and_p_value_agree(four, delta):
    bound = pair_lower_bound(*four, delta)
    if bound > 0:
        assert pair_p_value(*four, bound, delta) == pytest.approx(0.05, rel=1e-6)
    assert pair_p_value(*four, bound + 0.01, delta) > 0.05
    swapped = (*four[2:], *four[:2])
    assert pair_lower_bound(*swapped, delta) == bound


def _chance_of_a_wrong_bound(p, q, n, truth, delta, confidence):
    """Sum the probability of all counts whose bound is above the truth."""
    first, second = binom.pmf(np.arange(n + 1), n, p), binom.pmf(np.arange(n + 1), n, q)
    return sum(
        first[a] * second[b]
        for a in range(n + 1)
        for b in range(n + 1)
        if first[a] * second[b] > 1e-9
        and pair_lower_bound(a, n, b, n, delta, confidence=confidence) > truth + 1e-12
    )


@pytest.mark.parametrize(("p", "q"), [(0.5, 0.5), (0.4, 0.147), (0.2, 0.05), (0.95, 0.9)])
def test_pair_bound_is_wrong_no_oftener_than_stated(p, q):
    # every pair of counts is gone through, so that no simulation error is left
    truth = max(abs(math.log(p / q)), abs(math.log((1 - p) / (1 - q))))
    assert _chance_of_a_wrong_bound(p, q, 40, truth, 0.0, 0.9) <= 0.1


def test_a_bound_needs_runs():
    assert pair_ceiling(10, 10) < 1.0 < pair_ceiling(50, 50)
    assert pair_ceiling(10_000, 10_000) == pytest.approx(7.9, abs=0.1)
    assert pair_p_value(1000, 1000, 0, 1000, 3.0) > 0


@pytest.mark.parametrize(("epsilon", "delta"), [(0.1, 1e-3), (1.0, 1e-5), (4.0, 1e-9)])
def test_gaussian_mu_meets_the_integral_of_its_definition(epsilon, delta):
    mu = gaussian_mu(epsilon, delta)

    def beyond(x):
        return max(0.0, norm.pdf(x, mu) - math.exp(epsilon) * norm.pdf(x))

    start = epsilon / mu + mu / 2  # where the first density is exp(epsilon) times the second
    found, _ = quad(beyond, start, start + 12, epsabs=0, epsrel=1e-9)
    assert found == pytest.approx(delta, rel=1e-5)
    assert gaussian_epsilon(mu, delta) == pytest.approx(epsilon, rel=1e-9)


def test_gaussian_bound_nears_the_truth():
    runs = 10**8
    hits, other = round(runs * norm.sf(-0.4)), round(runs * norm.sf(0.4))
    assert gaussian_lower_bound(hits, runs, other, runs) == pytest.approx(0.8, abs=1e-3)
    bound = gaussian_lower_bound(900, 2000, 300, 2000)
    assert gaussian_p_value(900, 2000, 300, 2000, bound) == pytest.approx(0.05, rel=1e-6)


@given(
    st.floats(-1e6, 1e6, allow_nan=False),
    st.floats(-1e6, 1e6, allow_nan=False, allow_subnormal=False),
)
def test_every_sum_is_attainable(answer, noise):
    assert attainable(answer + noise, answer)


@given(st.floats(-4, 4), st.sampled_from([0.0, 1.0, -3.0, 0.1, 5.5]))
@settings(max_examples=200)
def test_attainable_agrees_with_trying_the_doubles_around(output, answer):
    noise = np.full(1, output - answer)
    tried = [noise]
    for towards in (-np.inf, np.inf):
        one = noise
        for _ in range(40):
            one = np.nextafter(one, towards)
            tried.append(one)
    reached = bool((answer + np.concatenate(tried) == output).any())
    assert bool(attainable(output, answer)) == reached


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_lowest_bit_is_that_of_the_exact_fraction(number):
    if number == 0:
        assert lowest_bits(number) == -1100
        return
    above, below = abs(number).as_integer_ratio()
    twos = (above & -above).bit_length() - 1
    if abs(number) >= 2.0**-1022:
        assert lowest_bits(number) == twos - (below.bit_length() - 1)
