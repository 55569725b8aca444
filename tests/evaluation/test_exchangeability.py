"""Exact tests of members against controls: their level, their power, their intervals."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfumato.evaluation.exchangeability import (
    clopper_pearson,
    excess,
    holm,
    noticed_excess,
    top_excess,
)


def _level(p_values):
    return float(np.mean(np.asarray(p_values) <= 0.05))


def test_fishers_tea():
    """All four cups right by guessing: 1 in 70 (Fisher 1935, chapter II)."""
    found = excess(np.ones(4), np.zeros(4), seed=0)
    assert found.p_value == pytest.approx(1 / 70)
    assert found.value == 1.0


def test_newcombes_contrast():
    """56 of 70 against 48 of 80: 0.0524 to 0.3339 (Newcombe 1998, table II, a, method 10)."""
    members = np.arange(70) < 56
    controls = np.arange(80) < 48
    low, high = excess(members, controls, seed=0).interval
    assert (round(low, 4), round(high, 4)) == (0.0524, 0.3339)


@pytest.mark.parametrize(("n", "m", "base"), [(300, 300, 0.05), (400, 40, 0.2), (60, 600, 0.1)])
def test_level_is_exact_with_ties_broken_at_random(n, m, base):
    random = np.random.default_rng(7)
    found = [
        excess(random.random(n) < base, random.random(m) < base, seed=place)
        for place in range(1500)
    ]
    assert 0.035 < _level([one.p_even for one in found]) < 0.065
    assert _level([one.p_value for one in found]) < 0.06


def test_level_of_shares_of_hits():
    random = np.random.default_rng(3)
    shares = np.array([0, 0.25, 1 / 3, 0.5, 1])
    found = [
        excess(random.choice(shares, 80), random.choice(shares, 120), seed=place)
        for place in range(400)
    ]
    assert 0.03 < _level([one.p_even for one in found]) < 0.07


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("rounded", [1, 6])
def test_level_of_the_highest_scores(rounded):
    random = np.random.default_rng(11)
    found = []
    for place in range(400):
        scores = np.round(random.normal(size=500), rounded)
        found.append(top_excess(scores[:200], scores[200:], seed=place))
    assert 0.03 < _level([one.p_even for one in found]) < 0.07
    assert _level([one.p_value for one in found]) < 0.07


def test_few_at_the_top_are_found():
    random = np.random.default_rng(5)
    members, controls = random.normal(size=3000), random.normal(size=3000)
    members[:30] += 6
    found = top_excess(members, controls, seed=0)
    assert found.p_value < 1e-3
    assert found.depth <= 60
    assert found.members > found.expected + 10


@pytest.mark.parametrize(("n", "m"), [(600, 600), (2000, 400), (300, 3000)])
def test_so_many_at_the_top_are_noticed_as_is_declared(n, m):
    random = np.random.default_rng(29)
    declared = top_excess(random.normal(size=n), random.normal(size=m), seed=0).detectable
    lifted = round(declared * n)
    assert 0 < lifted < n
    found = []
    for place in range(150):
        members, controls = random.normal(size=n), random.normal(size=m)
        members[:lifted] += 20
        found.append(top_excess(members, controls, seed=place).p_value)
    assert _level(found) >= 0.7


def test_equal_scores_tell_nothing():
    assert top_excess(np.ones(50), np.ones(20), seed=0).p_value == 1.0
    assert excess(np.zeros(50), np.zeros(20), seed=0).p_value == 1.0


@pytest.mark.slow
@pytest.mark.parametrize(("base", "gain"), [(0.05, 0.03), (0.3, 0.1), (0.01, 0.02)])
def test_intervals_cover_a_known_excess(base, gain):
    random = np.random.default_rng(17)
    covered, bounded = [], []
    for place in range(1200):
        found = excess(random.random(500) < base + gain, random.random(400) < base, seed=place)
        covered.append(found.interval[0] <= gain <= found.interval[1])
        bounded.append(gain <= found.upper)
    assert 0.93 <= np.mean(covered) <= 0.975
    assert np.mean(bounded) >= 0.935


@pytest.mark.parametrize(("n", "m", "base"), [(500, 500, 0.0), (2000, 300, 0.05), (300, 300, 0.3)])
def test_what_would_have_been_noticed_is_noticed(n, m, base):
    gain = noticed_excess(n, m, base)
    random = np.random.default_rng(23)
    found = [
        excess(random.random(n) < base + gain, random.random(m) < base, seed=place).p_value
        for place in range(400)
    ]
    assert 0.7 < _level(found) < 0.97


def test_the_noticed_excess_falls_with_more_people():
    assert noticed_excess(5000, 5000, 0.1) < noticed_excess(500, 500, 0.1)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_is_never_below_the_single_test(p_values):
    given_by_key = {str(place): p_value for place, p_value in enumerate(p_values)}
    adjusted = holm(given_by_key)
    assert list(adjusted) == list(given_by_key)
    for key, p_value in given_by_key.items():
        assert p_value <= adjusted[key] <= 1
        assert adjusted[key] <= min(1, len(p_values) * max(p_values)) + 1e-12


def test_holm_by_hand():
    """Holm 1979: 3 x 0.01, then 2 x 0.02, then 1 x 0.04 but not below the one before."""
    assert holm({"x": 0.04, "y": 0.01, "z": 0.02}) == {"x": 0.04, "y": 0.03, "z": 0.04}


def test_clopper_pearson():
    """0 of 10: 1 - 0.025 ** (1 / 10) (Clopper & Pearson 1934)."""
    low, high = clopper_pearson(0, 10)
    assert low == 0
    assert math.isclose(high, 1 - 0.025**0.1)
    assert clopper_pearson(10, 10)[1] == 1
