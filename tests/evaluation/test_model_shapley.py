"""Shapley values of a k-NN classifier against counting every coalition, ties and all."""

from __future__ import annotations

from itertools import combinations, permutations
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfumato.evaluation.trained_models.shapley import (
    cross_valued,
    nearest_shapley,
    shapley_figures,
)


def utility(chosen, right, neighbours):
    """Share of right ones among the nearest ``neighbours``; rows are in the order of distance."""
    return sum(right[row] for row in sorted(chosen)[:neighbours]) / neighbours


def brute_force(right, neighbours):
    """Shapley's definition, over all coalitions of rows in the order of their distance."""
    n = len(right)
    value = np.zeros(n)
    for row in range(n):
        others = [other for other in range(n) if other != row]
        for size in range(n):
            for coalition in combinations(others, size):
                gain = utility((*coalition, row), right, neighbours) - utility(
                    coalition, right, neighbours
                )
                value[row] += gain / (n * comb(n - 1, size))
    return value


@pytest.mark.parametrize("neighbours", [1, 2, 3, 10])
def test_eight_rows_are_valued_as_all_coalitions_say(neighbours):
    random = np.random.default_rng(neighbours)
    points, labels = random.normal(size=(8, 2)), random.integers(0, 3, 8)
    tested, wanted = random.normal(size=(3, 2)), np.array([0, 2, 1])
    expected = np.zeros(8)
    for point, label in zip(tested, wanted, strict=True):
        order = np.argsort(np.square(points - point).sum(axis=1))
        expected[order] += brute_force(labels[order] == label, neighbours) / 3
    found = nearest_shapley(points, labels, tested, wanted, neighbours=neighbours)
    np.testing.assert_allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize("neighbours", [1, 2, 4])
def test_rows_at_one_distance_share_what_they_get_over_all_orders(neighbours):
    points = np.array([[0.0], [1.0], [1.0], [-1.0], [3.0]])  # 1 and -1 are as far from 0
    labels, wanted = np.array([0, 1, 0, 1, 1]), 1
    expected = np.zeros(5)
    orders = list(permutations(range(5)))
    for tie_break in orders:
        order = np.lexsort((tie_break, np.abs(points[:, 0])))
        expected[order] += brute_force(labels[order] == wanted, neighbours) / len(orders)
    found = nearest_shapley(
        points, labels, np.zeros((1, 1)), np.array([wanted]), neighbours=neighbours
    )
    np.testing.assert_allclose(found, expected, atol=1e-12)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10**6), st.integers(2, 40), st.integers(1, 12), st.integers(1, 7))
def test_the_values_sum_to_the_accuracy_and_equal_rows_get_the_same(seed, n, m, neighbours):
    random = np.random.default_rng(seed)
    points = random.integers(0, 3, (n, 2)).astype(float)
    labels = random.integers(0, 2, n)
    tested, wanted = random.integers(0, 3, (m, 2)) + 0.25, random.integers(-1, 2, m)
    found = nearest_shapley(points, labels, tested, wanted, neighbours=neighbours)
    apart = np.square(tested[:, None] - points).sum(axis=2).round(9)
    right = labels == wanted[:, None]
    accuracy = []
    for distances, hits in zip(apart, right, strict=True):
        shares = 0.0
        for distance in np.unique(distances):
            here = distances == distance
            before = int((distances < distance).sum())
            places = np.clip(neighbours - before, 0, here.sum())
            shares += places * hits[here].mean()
        accuracy.append(shares / neighbours)
    assert found.sum() == pytest.approx(np.mean(accuracy), abs=1e-9)
    keys = np.unique(np.column_stack([points, labels]), axis=0, return_inverse=True)[1].ravel()
    for key in range(keys.max() + 1):
        assert np.ptp(found[keys == key]) < 1e-12


def test_many_rows_agree_with_the_recursion_of_the_theorem():
    random = np.random.default_rng(4)
    n, neighbours = 400, 5
    points, labels = random.normal(size=(n, 3)), random.integers(0, 2, n)
    tested, wanted = random.normal(size=(20, 3)), random.integers(0, 2, 20)
    expected = np.zeros(n)
    for point, label in zip(tested, wanted, strict=True):
        order = np.argsort(np.square(points - point).sum(axis=1))
        right = (labels[order] == label).astype(float)
        value = np.zeros(n)
        value[-1] = right[-1] / n
        for place in range(n - 2, -1, -1):
            step = (right[place] - right[place + 1]) / neighbours
            value[place] = value[place + 1] + step * min(neighbours, place + 1) / (place + 1)
        expected[order] += value / len(wanted)
    found = nearest_shapley(points, labels, tested, wanted, neighbours=neighbours)
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_a_model_that_kept_its_members_gives_them_all_a_value():
    random = np.random.default_rng(0)
    member = np.arange(400) < 200
    labels = random.integers(0, 2, 400)
    said = np.where(member | (random.random(400) < 0.6), labels, 1 - labels)
    outputs = np.eye(2)[said]
    value = cross_valued(outputs, labels, neighbours=5, seed=1)
    figure = shapley_figures(value, member, {"": np.arange(400)}, seed=0)["shapley/positive"]
    assert figure.value == 1.0
    assert figure.control == pytest.approx((said == labels)[200:].mean())
    assert figure.p_value < 1e-6
    assert figure.interval[0] <= figure.value <= figure.interval[1]
    lacking = shapley_figures(value, member, {"": np.arange(100)}, seed=0)["shapley/positive"]
    assert lacking.value is None
    assert "no controls" in lacking.because
