"""The parts of private synthesis against independent, slower ways to the same numbers."""

import itertools
from fractions import Fraction

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfumato.synthesis.private.cells import Cells, nearest_shares
from sfumato.synthesis.private.domain import DeclaredNumbers, DeclaredValues
from sfumato.synthesis.private.mixture import Mixture
from sfumato.synthesis.private.mixture_fitting import NoisyMarginals, _pairs_slope, fit_mixture
from sfumato.synthesis.private.noisy_counting import tiered_shares


def mixture(seed=0, sizes=(2, 3, 4), classes=5):
    random = np.random.default_rng(seed)
    tables = np.concatenate([random.dirichlet(np.ones(k), classes) for k in sizes], axis=1)
    return Mixture(random.dirichlet(np.ones(classes)), tables, sizes)


def joint(model):
    """Return the full table of probabilities, cell by cell."""
    full = np.zeros(model.sizes)
    for cell in itertools.product(*map(range, model.sizes)):
        for share, row in zip(model.shares, model.tables, strict=True):
            full[cell] += share * np.prod(
                [row[start + at] for start, at in zip(model.offsets, cell, strict=False)]
            )
    return full


def test_marginals_and_conditioning_are_exact():
    model = mixture()
    full = joint(model)
    assert model.marginal([0, 2]) == pytest.approx(full.sum(axis=1))
    given, share = model.given({1: 2})
    assert share == pytest.approx(full[:, 2].sum())
    assert given.marginal([0, 2]) == pytest.approx(full[:, 2] / share)


@pytest.mark.parametrize("even", [True, False])
def test_rows_are_drawn_in_the_models_distribution(even):
    model = mixture(1)
    rows = model.sample(40_000, np.random.default_rng(0), even=even)
    found = np.zeros(model.sizes)
    np.add.at(found, tuple(rows.T), 1 / len(rows))
    full = joint(model)
    spread = np.sqrt(full * (1 - full) / len(rows))
    assert (np.abs(found - full) < 4.5 * spread).all()


def test_even_rows_lie_closer_to_the_model():
    model, n = mixture(2), 2000

    def apart(seed, *, even):
        rows = model.sample(n, np.random.default_rng(seed), even=even)
        return np.abs(np.bincount(rows[:, 2]) / n - model.marginal([2])).sum()

    even, single = (np.mean([apart(s, even=one) for s in range(20)]) for one in (True, False))
    assert even < single / 3


def test_the_slope_of_the_loss_is_that_of_finite_differences():
    random = np.random.default_rng(3)
    model = mixture(4)
    tables, shares = model.tables, model.shares
    width = tables.shape[1]
    target, weights = random.random((2, width, width))
    target, weights = target + target.T, weights + weights.T

    def loss(tables, shares):
        apart = np.einsum("k,ka,kb->ab", shares, tables, tables) - target
        return (weights * apart**2).sum()

    slope, by_class = _pairs_slope(tables, shares, target, weights)
    for place in [(0, 0), (2, 5), (4, 8)]:
        moved = tables.copy()
        moved[place] += 1e-6
        number = (loss(moved, shares) - loss(tables, shares)) / 1e-6
        # weights here are halves, as in the module: the loss of both triangles is twice its slope
        assert 2 * slope[place] == pytest.approx(number, rel=1e-3)
    moved = shares.copy()
    moved[1] += 1e-6
    number = (loss(tables, moved) - loss(tables, shares)) / 1e-6
    assert 2 * by_class[1] == pytest.approx(number, rel=1e-3)


def test_exact_marginals_are_fitted():
    """Without noise the fit finds the pairs, also those within the values of a third column."""
    model = mixture(5, sizes=(3, 4, 2), classes=3)
    width = int(model.offsets[-1])
    pairs = np.einsum("k,ka,kb->ab", model.shares, model.tables, model.tables)
    within = np.stack(
        [
            np.einsum("k,ka,kb->ab", model.shares * one, model.tables, model.tables)
            for one in model.column(2).T
        ]
    )
    blocks = np.repeat(np.arange(3), model.sizes)
    weights = (blocks[:, None] != blocks) * 1e6
    inner = weights * ((blocks[:, None] < 2) & (blocks < 2))
    noisy = NoisyMarginals(
        sizes=model.sizes,
        singles=model.shares @ model.tables,
        single_weights=np.full(width, 1e6),
        pairs=pairs.astype(np.float32),
        pair_weights=weights.astype(np.float32),
        within=within.astype(np.float32),
        within_weights=inner.astype(np.float32),
        target=2,
    )
    found = fit_mixture(
        noisy,
        classes=6,
        steps=1500,
        members=1,
        rate=0.05,
        spread=1.0,
        random=np.random.default_rng(0),
    )
    assert np.abs(joint(found) - joint(model)).sum() < 0.02


@settings(deadline=None)
@given(
    st.lists(st.floats(-50, 500), min_size=1, max_size=12),
    st.lists(st.floats(0.5, 20), min_size=12, max_size=12),
)
def test_nearest_shares_are_nearest(counts, deviation):
    """By the conditions of Karush, Kuhn and Tucker for weighted least squares on the simplex."""
    counts, deviation = np.array(counts), np.array(deviation[: len(counts)])
    found = nearest_shares(counts, deviation)
    assert found.sum() == pytest.approx(1)
    assert (found >= 0).all()
    total = counts.sum()
    if total > 1e-6 and counts.size > 1:
        pull = (counts - found * total) / deviation**2
        inside = found > 1e-9
        assert np.ptp(pull[inside]) == pytest.approx(0, abs=1e-5)
        assert (pull[~inside] <= pull[inside].max() + 1e-5).all()


@settings(deadline=None)
@given(st.integers(0, 10_000), st.booleans(), st.floats(1, 2000))
def test_joined_cells_cover_every_point_once(seed, ordered, least):
    random = np.random.default_rng(seed)
    size = int(random.integers(1, 40))
    counts = random.normal(0, 20, size + 1) + random.choice([0, 500], size + 1)
    starts = np.arange(size + 1)
    cells = Cells.joined(starts, counts, np.full(size + 1, 20.0), ordered=ordered, least=least)
    codes = cells.codes(np.arange(size))
    assert set(codes) <= set(range(cells.size))
    assert (codes >= 0).all()
    if ordered:
        assert (np.diff(codes) >= 0).all()
    for one in range(cells.size):
        assert cells.share[cells.cell == one].sum() == pytest.approx(1)
    points = cells.points(random.integers(0, cells.size, 300), random)
    assert ((points >= 0) & (points <= size)).all()
    assert Cells.from_dict(cells.to_dict()).to_dict() == cells.to_dict()


def test_points_of_a_cell_are_its_own_in_their_shares():
    cells = Cells(
        np.array([0, 1, 10, 20]),
        np.array([0, 1, 1, 2]),
        np.array([1.0, 0.25, 0.75, 1.0]),
        3,
        ordered=True,
    )
    codes = np.repeat([0, 1, 2], 4000)
    for even in (True, False):
        points = cells.points(codes, np.random.default_rng(0), even=even)
        assert (cells.codes(points) == codes).all()
        assert (points[4000:8000] >= 10).mean() == pytest.approx(0.75, abs=0.03)
        assert np.bincount(points[4000:8000], minlength=20)[10:20].min() > 220
    assert cells.chance(12) == (1, pytest.approx(0.075))


@given(st.integers(-1000, 1000), st.sampled_from([1, 0.5, 0.1, 0.05, 0.01]), st.integers(1, 500))
def test_grids_read_back_what_they_write(low, step, points):
    grid = DeclaredNumbers(low=low, high=low + points * step, step=step)
    codes = np.arange(grid.size)
    values = grid.decoded(codes, "x", pl.Float64())
    assert (grid.codes(values) == codes).all()
    assert values[0] == low
    exact = Fraction(low) + Fraction(repr(float(step))) * (grid.size - 1)
    assert values[-1] == float(exact)
    assert grid.decoded(np.array([grid.size]), "x", pl.Float64())[0] is None


def test_what_was_not_declared_counts_as_missing():
    values = DeclaredValues(values=("a", "b"))
    assert values.codes(pl.Series("x", ["b", "z", None, "a"])).tolist() == [1, 2, 2, 0]
    whole = DeclaredValues(values=(1, 2))
    assert whole.codes(pl.Series("x", [2.0, 1.5, None, 1.0])).tolist() == [1, 2, 2, 0]
    truth = DeclaredValues(values=(False, True))
    assert truth.codes(pl.Series("x", [True, None, False])).tolist() == [1, 2, 0]
    assert truth.decoded(np.array([1, 2, 0]), "x", pl.Boolean()).to_list() == [True, None, False]


@given(st.lists(st.floats(0.01, 1e4), min_size=1, max_size=200), st.fractions(0.01, 1))
def test_shares_sum_exactly_and_follow_their_weights(weights, total):
    shares = tiered_shares(weights, total)
    assert sum(shares) == total
    ratio = [float(share) / weight for share, weight in zip(shares, weights, strict=True)]
    assert max(ratio) / min(ratio) < 1.35
