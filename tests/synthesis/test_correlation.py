import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal, norm

from sfumato.synthesis.correlation import (
    hermite_coefficients,
    latent_correlation,
    nearest_correlation,
    observed_correlation,
    standard_scores,
)


def pair(first, second):
    return np.array([hermite_coefficients(*first), hermite_coefficients(*second)])


def cells(probability, scores):
    probability = np.asarray(probability, dtype=np.float64)
    return probability, standard_scores(probability, np.asarray(scores, dtype=np.float64))


def latent(observed, first, second):
    matrix = np.array([[1.0, observed], [observed, 1.0]])
    return latent_correlation(matrix, pair(first, second))[0, 1]


@given(st.floats(-0.9, 0.9))
@settings(max_examples=15, deadline=None)
def test_medians_follow_the_arcsine_law(r):
    # Sheppard 1899: halves of two normal variables correlate as 2/pi arcsin(r).
    halves = cells([0.5, 0.5], [0, 1])
    assert latent(2 / np.pi * np.arcsin(r), halves, halves) == pytest.approx(r, abs=2e-4)


@given(st.floats(-0.9, 0.9), st.floats(0.05, 0.95), st.floats(0.05, 0.95))
@settings(max_examples=15, deadline=None)
def test_tetrachoric_correlation_equals_the_bivariate_normal(r, p, q):
    both = multivariate_normal(cov=[[1, r], [r, 1]]).cdf([norm.ppf(p), norm.ppf(q)])
    phi = (both - p * q) / np.sqrt(p * (1 - p) * q * (1 - q))
    found = latent(phi, cells([p, 1 - p], [0, 1]), cells([q, 1 - q], [0, 1]))
    # Where the margins bound the correlation, nearby latent values show alike: compare what shows.
    again = multivariate_normal(cov=[[1, found], [found, 1]]).cdf([norm.ppf(p), norm.ppf(q)])
    assert again == pytest.approx(both, abs=2e-3)


def test_a_continuous_column_is_its_own_normal_variable():
    grid = (np.arange(2_000) + 0.5) / 2_000
    smooth = cells(np.full(2_000, 1 / 2_000), norm.ppf(grid))
    assert latent(0.6, smooth, smooth) == pytest.approx(0.6, abs=1e-3)


def test_discretised_samples_show_the_observed_correlation():
    random = np.random.default_rng(0)
    first = cells([0.2, 0.5, 0.3], [0, 1, 5])
    second = cells([0.9, 0.1], [0, 1])
    r = latent(0.25, first, second)
    z = random.multivariate_normal([0, 0], [[1, r], [r, 1]], size=400_000)
    x = first[1][np.searchsorted(norm.ppf([0.2, 0.7]), z[:, 0])]
    y = second[1][np.searchsorted(norm.ppf([0.9]), z[:, 1])]
    assert np.corrcoef(x, y)[0, 1] == pytest.approx(0.25, abs=0.006)


def test_the_unreachable_is_approached_and_the_constant_left_alone():
    rare, half = cells([0.99, 0.01], [0, 1]), cells([0.5, 0.5], [0, 1])
    assert latent(0.9, rare, half) > 0.99
    constant = cells([1.0], [3.0])
    assert latent(0.0, constant, half) == 0.0


def test_hermite_coefficients_sum_to_the_variance():
    first = cells([0.25, 0.5, 0.25], [-1, 0, 1])
    squares = (hermite_coefficients(*first, terms=20_000) ** 2).sum()
    assert 0.99 < squares < 1.0


def test_observed_correlation_equals_numpy_and_skips_absent_pairs():
    random = np.random.default_rng(1)
    table = random.normal(size=(500, 3)) @ random.normal(size=(3, 3))
    assert np.allclose(
        observed_correlation(table - table.mean(axis=0)), np.corrcoef(table.T), atol=1e-12
    )
    table[random.random(500) < 0.3, 1] = np.nan
    there = ~np.isnan(table[:, 1])
    expected = np.corrcoef(table[there, 0], table[there, 1])[0, 1]
    assert observed_correlation(table)[0, 1] == pytest.approx(expected, abs=1e-12)


def test_nearest_correlation_reproduces_higham():
    # Higham 2002, section 4: the nearest correlation matrix to the tridiagonal one.
    given_matrix = np.array([[1.0, 1.0, 0.0], [1.0, 1.0, 1.0], [0.0, 1.0, 1.0]])
    found = nearest_correlation(given_matrix, smallest=1e-10)
    expected = [[1.0, 0.7607, 0.1573], [0.7607, 1.0, 0.7607], [0.1573, 0.7607, 1.0]]
    assert np.allclose(found, expected, atol=1e-3)


@given(st.integers(0, 10_000), st.integers(2, 12))
@settings(max_examples=30, deadline=None)
def test_nearest_correlation_can_always_be_factored(seed, size):
    random = np.random.default_rng(seed)
    matrix = random.uniform(-0.998, 0.998, (size, size))
    matrix = np.triu(matrix, 1) + np.triu(matrix, 1).T + np.eye(size)
    found = nearest_correlation(matrix)
    np.linalg.cholesky(found)
    assert np.allclose(np.diag(found), 1.0)
    assert np.abs(found).max() <= 1 + 1e-12


def test_a_correlation_matrix_is_its_own_nearest():
    matrix = np.array([[1.0, 0.3, -0.2], [0.3, 1.0, 0.5], [-0.2, 0.5, 1.0]])
    assert np.array_equal(nearest_correlation(matrix), matrix)
