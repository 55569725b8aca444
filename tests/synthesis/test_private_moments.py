"""Means and products that noise does not bias: by hand, and a fit that is held to them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sfumato.synthesis.private.histograms import Histogram
from sfumato.synthesis.private.mixture_fitting import NoisyMarginals, fit_mixture
from sfumato.synthesis.private.moments import Scores

ROWS = 20_000


def people(seed=0):
    """Return a number of 0 to 14, one of 0 to 11 that rises with it, a category of three."""
    random = np.random.default_rng(seed)
    first = np.clip(np.rint(random.normal(6, 2.5, ROWS)), 0, 14).astype(int)
    second = np.clip(np.rint(0.6 * first + random.normal(0, 1.2, ROWS)), 0, 11).astype(int)
    return [first, second, (random.random(ROWS) * (1 + (first > 6)) * 1.5).astype(int)]


def counted(columns, sigma, random, least=1.0):
    """Return cells, histograms and marginals, each count with noise of the same deviation."""
    histograms = []
    for place, column in enumerate(columns):
        size = column.max() + 2  # the last point stands for missing
        counts = np.bincount(column, minlength=size) + sigma * random.standard_normal(size)
        histograms.append(Histogram(np.arange(size), counts, np.full(size, sigma), place < 2))
    cells = [one.cells(least) for one in histograms]
    codes = [cell.codes(column) for cell, column in zip(cells, columns, strict=True)]
    sizes = tuple(cell.size for cell in cells)
    start = np.concatenate([[0], np.cumsum(sizes)])
    pairs, weights = np.zeros((2, start[-1], start[-1]), dtype=np.float32)
    for i in range(3):
        for j in range(i):
            table = np.zeros((sizes[i], sizes[j]))
            np.add.at(table, (codes[i], codes[j]), 1)
            table = (table + sigma * random.standard_normal(table.shape)) / ROWS
            inside = np.ix_(range(start[i], start[i + 1]), range(start[j], start[j + 1]))
            pairs[inside], pairs.T[inside] = table, table
            weights[inside] = weights.T[inside] = (ROWS / sigma) ** 2 / 2
    singles = np.concatenate(
        [cell.totals(one.counts) for cell, one in zip(cells, histograms, strict=True)]
    )
    variance = np.full(start[-1], sigma**2)
    singles = np.maximum(singles, 1e-9) / ROWS
    return (
        cells,
        histograms,
        NoisyMarginals(sizes, singles, ROWS**2 / variance, pairs, weights),
    )


def test_without_noise_the_moments_are_those_of_the_people():
    columns = people()
    cells, histograms, noisy = counted(columns, 1e-3, np.random.default_rng(0))
    scores = Scores.of(cells, histograms, ROWS)
    moments = scores.moments(noisy, np.zeros(scores.means.size))
    assert scores.columns.tolist() == [0, 1, 2, 2, 2]
    # standardized numbers: mean 0, mean square 1
    assert moments.means[:4] == pytest.approx([0, 1, 0, 1], abs=1e-5)
    assert moments.products[0, 1] == pytest.approx(np.corrcoef(*columns[:2])[0, 1], abs=1e-5)
    for kind in range(3):
        right = np.corrcoef(columns[0], columns[2] == kind)[0, 1]
        assert moments.products[0, 2 + kind] == pytest.approx(right, abs=1e-5)
    assert moments.product_weights[2, 3] == moments.product_weights[0, 0] == 0
    assert (moments.product_weights[0, 1:] > 0).all()


def test_the_variance_of_a_product_is_that_of_its_noise():
    columns, found = people(), []
    for seed in range(40):
        cells, histograms, noisy = counted(columns, 30.0, np.random.default_rng(seed), 500.0)
        scores = Scores.of(cells, histograms, ROWS)
        moments = scores.moments(noisy, np.zeros(scores.means.size))
        found.append((moments.products[0, 1], 100 / (2 * moments.product_weights[0, 1])))
    products, variances = np.array(found, dtype=np.float64).T
    assert products.var(ddof=1) == pytest.approx(np.median(variances), rel=0.6)
    right = np.corrcoef(*columns[:2])[0, 1]
    assert products.mean() == pytest.approx(right, abs=float(products.std()))


def test_a_fit_that_is_held_to_moments_is_not_flat():
    """Noise that is large for most cells: half of it stays as people where nobody is."""
    columns, random = people(), np.random.default_rng
    cells, histograms, noisy = counted(columns, 60.0, random(0))
    scores = Scores.of(cells, histograms, ROWS)
    moments = scores.moments(noisy, np.zeros(scores.means.size))
    apart = []
    for given in (noisy, replace(noisy, moments=moments)):
        model = fit_mixture(
            given, classes=12, members=1, steps=1500, rate=0.05, spread=1.0, random=random(0)
        )
        pairs = (model.tables * model.shares[:, None]).T @ model.tables
        product = scores.drawn[:, 0] @ pairs @ scores.drawn[:, 1]
        apart.append(abs(product - moments.products[0, 1]))
    assert apart[1] < 0.03 < 0.1 < apart[0]


def test_means_move_as_far_as_the_noise_of_all_points():
    columns, random = people(), np.random.default_rng(1)
    cells, histograms, noisy = counted(columns, 60.0, random, 5000.0)
    scores = Scores.of(cells, histograms, ROWS)
    deviation = 1 / np.sqrt(noisy.single_weights)
    moved = [
        scores.moved(noisy, deviation * random.standard_normal(deviation.size), random)
        for _ in range(2000)
    ]
    ratio = np.var(moved, axis=0)[:4] / scores.variances[:4]
    # cells of 5,000 people hold half of it or less
    assert ratio == pytest.approx(np.ones(4), rel=0.3)
