"""Parts of the private decoder: slopes against PyTorch, integers that stay within bounds."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfumato.errors import BudgetExceeded, PlanError
from sfumato.privacy.differential import Budget, Ledger, RandomWords
from sfumato.privacy.differential.subsampling import SampledGaussian
from sfumato.synthesis.private.mixture_fitting import NoisyMarginals
from sfumato.synthesis.private.neural.decoder import Network, column_shares, column_slope
from sfumato.synthesis.private.neural.decoder_model import DecoderModel, Member, latent_points
from sfumato.synthesis.private.neural.gradient_training import (
    UNITS,
    Autoencoder,
    normals,
    train_privately,
)
from sfumato.synthesis.private.neural.marginal_training import fit_decoder, marginal_slope

SIZES = (3, 2, 4)
NETWORK = Network(3, (7, 5), SIZES)
WHOLE = Autoencoder(NETWORK)


def marginals_of(tables, target=None):
    """Return the exact marginals of equally likely tables, each known alike."""
    width = tables.shape[1]
    offsets = np.concatenate([[0], np.cumsum(SIZES)])
    known = np.ones((width, width), dtype=np.float32)
    for a, b in pairwise(offsets):
        known[a:b, a:b] = 0
    pairs = (tables.T @ tables / len(tables)).astype(np.float32)
    within = weights = None
    if target is not None:
        first = offsets[target]
        within = np.stack(
            [
                (tables * tables[:, [first + cell]]).T @ tables / len(tables)
                for cell in range(SIZES[target])
            ]
        ).astype(np.float32)
        weights = known.copy()
        weights[first : first + SIZES[target]] = 0
        weights[:, first : first + SIZES[target]] = 0
    return NoisyMarginals(
        sizes=SIZES,
        singles=tables.mean(axis=0).astype(np.float64),
        single_weights=np.full(width, 2.0),
        pairs=pairs,
        pair_weights=known / 2,
        within=within,
        within_weights=None if weights is None else weights / 2,
        target=target,
    )


def tables(seed, points=6):
    random = np.random.default_rng(seed)
    logs = random.standard_normal((points, sum(SIZES))).astype(np.float32)
    return column_shares(logs, NETWORK.starts, SIZES)


def loss(torch, shares, noisy):
    """Return the sum over all measured cells of squared distances over their variances."""
    means = shares.mean(0)
    apart = (torch.tensor(noisy.single_weights) * (means - torch.tensor(noisy.singles)) ** 2).sum()

    def of(joint, target, weights):
        return (torch.tensor(weights) * (joint - torch.tensor(target)) ** 2).sum()

    apart = apart + of(shares.T @ shares / len(shares), noisy.pairs, noisy.pair_weights)
    if noisy.within is None:
        return apart
    first = sum(SIZES[: noisy.target])
    for cell, target in enumerate(noisy.within):
        joint = (shares * shares[:, [first + cell]]).T @ shares / len(shares)
        apart = apart + of(joint, target, noisy.within_weights)
    return apart


@pytest.mark.parametrize("target", [None, 1])
def test_the_slope_of_the_marginals_is_that_of_automatic_differentiation(target):
    torch = pytest.importorskip("torch")
    noisy = marginals_of(tables(0), target)
    flat = NETWORK.initial(np.random.default_rng(1))
    points = np.random.default_rng(2).standard_normal((6, 3)).astype(np.float32)
    inner = NETWORK.activations(flat, points)
    found = column_shares(inner[-1], NETWORK.starts, SIZES)
    outer = column_slope(found, marginal_slope(found, noisy), NETWORK.starts, SIZES)
    slope = NETWORK.slope(flat, inner, outer)

    leaf = torch.tensor(flat.astype(np.float64), requires_grad=True)
    begin, values = 0, torch.tensor(points.astype(np.float64))
    for place, (rows, columns) in enumerate(NETWORK.layers):
        matrix = leaf[begin : begin + rows * columns].reshape(rows, columns)
        begin += rows * columns
        values = values @ matrix[:-1] + matrix[-1]
        if place < len(NETWORK.layers) - 1:
            values = values.relu()
    shares = torch.cat([part.softmax(1) for part in values.split(SIZES, dim=1)], dim=1)
    loss(torch, shares, noisy).backward()
    np.testing.assert_allclose(slope, leaf.grad.numpy(), rtol=1e-3, atol=1e-6)


def evidence_slopes(torch, flat, codes, noise, weight):
    """Return each row's slope of the negative evidence bound, by automatic differentiation."""
    found = []
    for row, own in zip(codes, noise, strict=True):
        leaf = torch.tensor(flat.astype(np.float64), requires_grad=True)
        layers, begin = [], 0
        for rows, columns in WHOLE.layers:
            layers.append(leaf[begin : begin + rows * columns].reshape(rows, columns))
            begin += rows * columns
        first = layers[0][-1]
        for column, code in enumerate(row):
            if 0 <= code < SIZES[column]:
                first = first + layers[0][int(NETWORK.starts[column] + code)]
        moments = first.relu() @ layers[1][:-1] + layers[1][-1]
        mean, log = moments[:3], moments[3:]
        values = mean + (log / 2).exp() * torch.tensor(own.astype(np.float64))
        for layer in layers[2:-1]:
            values = (values @ layer[:-1] + layer[-1]).relu()
        values = values @ layers[-1][:-1] + layers[-1][-1]
        bound = weight * 0.5 * (mean**2 + log.exp() - 1 - log).sum()
        for column, code in enumerate(row):
            if 0 <= code < SIZES[column]:
                start = NETWORK.starts[column]
                own_logs = values[start : start + SIZES[column]]
                bound = bound - own_logs.log_softmax(0)[code]
        bound.backward()
        found.append(leaf.grad.numpy())
    return np.stack(found)


def network_and_rows(seed, rows=5, spread=1.0):
    random = np.random.default_rng(seed)
    flat = WHOLE.initial(random, np.full(sum(SIZES), 0.3))
    flat += (spread * 0.1 * random.standard_normal(flat.size)).astype(np.float32)
    codes = np.stack([random.integers(-1, size + 1, rows) for size in SIZES], axis=1)
    return flat, codes, random.standard_normal((rows, 3)).astype(np.float32)


@pytest.mark.parametrize("clip", [0.5, 100.0])
def test_a_rows_integers_are_its_clipped_slope(clip):
    torch = pytest.importorskip("torch")
    flat, codes, noise = network_and_rows(3)
    slopes = evidence_slopes(torch, flat, codes, noise, 0.7)
    lengths = np.linalg.norm(slopes, axis=1, keepdims=True)
    assert lengths.min() > 0.5
    assert lengths.max() < 100
    clipped = (slopes * np.minimum(1, clip / lengths)).sum(axis=0)
    sums = WHOLE.clipped_sum(flat, codes, noise, weight=0.7, clip=clip)
    assert sums.dtype == np.int64
    np.testing.assert_allclose(sums * clip / UNITS, clipped, atol=3e-5 * clip)


@given(
    seed=st.integers(0, 2**32 - 1),
    spread=st.sampled_from([0.1, 1.0, 100.0, 1e8, 1e20, 1e37]),
    clip=st.sampled_from([1e-6, 1e-2, 1.0, 1e4]),
)
@settings(deadline=None, max_examples=60)
def test_no_row_adds_more_than_the_declared_integer(seed, spread, clip):
    flat, codes, noise = network_and_rows(seed, rows=1, spread=spread)
    sums = WHOLE.clipped_sum(flat, codes, noise, weight=1.0, clip=clip)
    assert sum(int(one) ** 2 for one in sums) <= UNITS**2


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_a_slope_that_is_no_number_adds_nothing(broken):
    flat, codes, noise = network_and_rows(5)
    flat[-1] = broken
    codes[:, 2] = 3
    assert not WHOLE.clipped_sum(flat, codes, noise, weight=1.0, clip=1.0).any()


@given(seed=st.integers(0, 2**32 - 1), rows=st.integers(2, 40))
@settings(deadline=None, max_examples=20)
def test_a_row_adds_the_same_whoever_else_is_there(seed, rows):
    """One row more moves the sum by its own integers to the last unit: nothing else is rounded."""
    flat, codes, noise = network_and_rows(seed, rows=rows)
    place = seed % rows

    def total(kept):
        return WHOLE.clipped_sum(flat, codes[kept], noise[kept], weight=1.0, clip=1.0)

    alone, rest = np.arange(rows) == place, np.arange(rows) != place
    assert (total(np.full(rows, fill_value=True)) - total(rest) == total(alone)).all()


def test_a_decoder_finds_the_marginals_that_it_is_fitted_to():
    noisy = marginals_of(tables(4), 1)
    points = latent_points(50, 3, np.random.default_rng(0))
    wide = Network(3, (32, 32), SIZES)
    flat = fit_decoder(noisy, wide, points, steps=400, rate=0.02, random=np.random.default_rng(0))
    found = wide.tables(flat, points)
    apart = (found.T @ found / len(found) - noisy.pairs) * (noisy.pair_weights > 0)
    assert np.abs(apart).max() < 0.01
    assert np.abs(found.mean(axis=0) - noisy.singles).max() < 0.005


def test_a_model_survives_its_file_and_given_values_reweight_its_points():
    random = np.random.default_rng(0)
    made = DecoderModel.rounded(
        NETWORK,
        tuple(Member(NETWORK.initial(random), latent_points(9, 3, random)) for _ in range(2)),
    )
    again = DecoderModel.from_dict(made.to_dict())
    assert again.to_dict() == made.to_dict()
    assert (again.mixture.tables == made.mixture.tables).all()
    narrowed, share = made.given({0: 2, 1: 1})
    assert share == pytest.approx(made.mixture.marginal([0, 1])[2, 1])
    joint = made.mixture.marginal([0, 1, 2])[2, 1]
    assert narrowed.marginal([2]) == pytest.approx(joint / joint.sum())
    rows = made.sample(20_000, np.random.default_rng(1))
    found = np.bincount(rows[:, 0] * 4 + rows[:, 2], minlength=12).reshape(3, 4) / len(rows)
    assert found == pytest.approx(made.mixture.marginal([0, 2]), abs=0.01)


def test_normal_numbers_are_normal():
    drawn = normals((20_001, 3), RandomWords(insecure_seed=1))
    assert drawn.shape == (20_001, 3)
    assert abs(drawn.mean()) < 0.02
    assert drawn.std() == pytest.approx(1, abs=0.02)
    assert (drawn > 1.645).mean() == pytest.approx(0.05, abs=0.005)


def test_noise_for_less_than_a_row_adds_is_refused_and_an_overdraft_before_a_row_is_read():
    settings = {
        "steps": 1,
        "rows": 10.0,
        "clip": 1.0,
        "rate": 0.1,
        "weight": 1.0,
        "random": np.random.default_rng(0),
    }
    shares = np.full(sum(SIZES), 0.3)
    small = SampledGaussian(sigma_squared=1, sensitivity_squared=1, rate="1/2")
    ledger = Ledger(Budget(epsilon=1, delta="1e-6"))
    with pytest.raises(PlanError, match="sensitivity"):
        train_privately(None, WHOLE, shares, mechanism=small, ledger=ledger, **settings)
    loud = SampledGaussian(sigma_squared=1, sensitivity_squared=UNITS**2, rate="1/2")
    with pytest.raises(BudgetExceeded):
        train_privately(None, WHOLE, shares, mechanism=loud, ledger=ledger, **settings)
    assert ledger.charges == ()
    with pytest.raises(PlanError, match="two hidden"):
        Autoencoder(Network(3, (5,), SIZES))
    with pytest.raises(PlanError, match="too large"):
        Autoencoder(Network(3, (1500, 1500), SIZES))
