import json

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfumato.errors import DataError, PlanError
from sfumato.synthesis.codec import Codec, read_table
from sfumato.synthesis.neural.arrays import packed, unpacked
from sfumato.synthesis.neural.cell_groups import CellGroups
from sfumato.synthesis.neural.column_scores import ColumnScores
from sfumato.synthesis.neural.held_out import held_out_rows
from sfumato.synthesis.neural.latent_density import LatentDensity, Mixture
from sfumato.synthesis.neural.sequential_decoder import (
    SequentialDecoder,
    drawn_groups,
    matched_bias,
)
from sfumato.synthesis.neural.smooth_basis import smooth_basis
from sfumato.table import Schema

REST = Schema(rest="other")


def coded(table, **settings):
    return Codec.fit(read_table(table, REST, minimum=5), minimum=5, **settings)


@settings(deadline=None, max_examples=15)
@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), max_size=20))
def test_weights_come_back_exactly(numbers):
    array = np.array(numbers, dtype=np.float32)
    text = json.dumps(packed(array))
    assert unpacked(json.loads(text)).tobytes() == array.tobytes()


@pytest.mark.parametrize(
    "values",
    [
        {"shape": [2], "float32": "AACAPw=="},
        {"shape": [1], "float32": "not base 64"},
        {"shape": [1]},
        packed(np.array([np.nan], dtype=np.float32)),
    ],
)
def test_broken_weights_are_refused(values):
    with pytest.raises(DataError, match="weights"):
        unpacked(values)


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 10_000), st.integers(4, 40))
def test_groups_are_neighbours_and_cells_keep_their_shares(seed, most):
    random = np.random.default_rng(seed)
    values = np.where(random.random(3_000) < 0.3, 1.5, random.normal(size=3_000).round(2))
    codec, codes = coded(pl.DataFrame({"x": values}))
    groups = CellGroups.fit(codec.grids[0], codes[:, 0], most)
    assert (np.diff(groups.group_of) >= 0).all()
    assert (np.diff(groups.group_of) <= 1).all()
    atom = codec.grids[0].encode_value(1.5)
    assert (groups.group_of == groups.group_of[atom]).sum() == 1  # what many share is alone
    np.testing.assert_allclose(groups.group_share.sum(), 1)
    # every cell of a group is met as often as its share says: on a fine even grid exactly
    even = (np.arange(20_000) + 0.5) / 20_000
    for group in range(groups.groups):
        found = groups.cells(np.full(even.size, group), even)
        assert set(groups.group_of[found]) == {group}
        inside = groups.group_of == group
        met = np.bincount(found, minlength=inside.size)[inside] / even.size
        np.testing.assert_allclose(
            met, groups.share[inside] / groups.share[inside].sum(), atol=2e-3
        )


def test_a_category_keeps_each_of_its_values():
    table = pl.DataFrame({"k": list("abcdefgh") * 10})
    codec, codes = coded(table)
    assert CellGroups.fit(codec.grids[0], codes[:, 0], 2).groups == 8


def test_a_mixture_finds_its_parts_and_keeps_mean_and_spread():
    random = np.random.default_rng(0)
    centres = np.array([[0, 0], [6, 0], [0, 6]])
    part = random.choice(3, 6_000, p=[0.5, 0.3, 0.2])
    points = (centres[part] + random.normal(size=(6_000, 2)) * [1, 0.5]).astype(np.float32)
    mixture = Mixture.fit(points, parts=3, minimum=10, around=np.eye(2), seed=0)
    assert np.sort(mixture.weight) == pytest.approx([0.2, 0.3, 0.5], abs=0.03)
    drawn = mixture.draw(random.random(6_000), random.normal(size=(6_000, 2)).astype(np.float32))
    assert np.cov(drawn.T) == pytest.approx(np.cov(points.T), abs=0.5)
    again = Mixture.from_dict(json.loads(json.dumps(mixture.to_dict())))
    assert again.spread.tobytes() == mixture.spread.tobytes()


def test_each_class_has_its_own_place_and_the_few_lean_on_the_rest():
    random = np.random.default_rng(1)
    classes = np.repeat([0, 1, 2, -1], [1_000, 12, 3, 20])
    points = random.normal(size=(classes.size, 3)).astype(np.float32)
    points[classes == 1] += 9
    told = []
    density = LatentDensity.fit(
        points,
        classes,
        3,
        parts=4,
        minimum=5,
        seed=0,
        told=lambda done, total: told.append((done, total)),
    )
    assert density.of_class.tolist() == [0, 1, 2]  # the last is that of all rows
    assert told[-1] == (3, 3)
    normal = random.normal(size=(4_000, 3)).astype(np.float32)
    drawn = density.draw(np.full(4_000, 1), random.random(4_000), normal)
    assert drawn.mean(axis=0) == pytest.approx([9, 9, 9], abs=1)
    assert drawn.std(axis=0) == pytest.approx([1, 1, 1], abs=0.5)
    alone = density.draw(np.full(4_000, 2), random.random(4_000), normal)
    assert alone.mean() == pytest.approx(points.mean(), abs=0.2)


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 10_000), st.integers(2, 6))
def test_a_matched_bias_gives_the_shares(seed, cells):
    random = np.random.default_rng(seed)
    logits = random.normal(0, 2, (500, cells)).astype(np.float32)
    share = random.dirichlet(np.ones(cells)) * 0.9 + 0.1 / cells
    bias = matched_bias(logits, share)
    chances = np.exp(logits + bias)
    chances /= chances.sum(axis=1, keepdims=True)
    assert chances.mean(axis=0) == pytest.approx(share, abs=5e-3)


def test_groups_are_drawn_by_their_chances():
    logits = np.log(np.array([[0.2, 0.5, 0.3]], dtype=np.float32)).repeat(1_000, axis=0)
    groups, chances = drawn_groups(logits, (np.arange(1_000) + 0.5) / 1_000)
    assert np.bincount(groups).tolist() == pytest.approx([200, 500, 300], abs=1)
    assert chances[0] == pytest.approx([0.2, 0.5, 0.3])
    never = np.array([[0.0, -200.0]], dtype=np.float32)
    assert drawn_groups(never, np.array([1.0]))[0] == [0]


def test_calibration_gives_each_column_its_shares_also_where_they_depend_on_each_other():
    random = np.random.default_rng(2)
    sizes, hidden = (3, 4, 2), 8
    weights = {
        "first": random.normal(size=(2, hidden)),
        "first_bias": random.normal(size=hidden),
        "second": random.normal(size=(hidden, hidden)) / 3,
        "second_bias": random.normal(size=hidden),
    }
    for place, size in enumerate(sizes):
        weights[f"bias_{place}"] = random.normal(size=hidden)
        weights[f"out_{place}"] = random.normal(size=(hidden, size)) / 3
        weights[f"out_bias_{place}"] = random.normal(size=size)
        weights[f"in_{place}"] = random.normal(size=(size, hidden))
    weights = {name: one.astype(np.float32) for name, one in weights.items()}
    decoder = SequentialDecoder(weights, (0, 1, 2), 3)
    points = random.normal(size=(20_000, 2)).astype(np.float32)
    shares = [random.dirichlet(np.full(size, 3.0)) for size in sizes]
    decoder = decoder.calibrated(
        points, None, shares, random.random((20_000, 3)), lambda done, total: None
    )
    state = decoder.state(random.normal(size=(20_000, 2)).astype(np.float32))
    for place, share in enumerate(shares):
        groups, _ = drawn_groups(decoder.logits(state, place), random.random(20_000))
        met = np.bincount(groups, minlength=share.size) / 20_000
        assert met == pytest.approx(share, abs=0.02)
        decoder.add(state, place, groups)


@pytest.mark.parametrize("missing", [False, True])
def test_scores_give_cells_their_shares_and_their_chances(missing):
    random = np.random.default_rng(3)
    n = 20_000
    values = np.where(random.random(n) < 0.4, 2.0, random.exponential(size=n).round(2))
    gone = missing & (random.random(n) < 0.25)
    column = [None if one else value for one, value in zip(gone, values, strict=True)]
    codec, codes = coded(pl.DataFrame({"x": column}), cells=20)
    scores = ColumnScores.fit(codec.grids[0], codes[:, 0])
    numbers, counts = scores.encode(codes[:, 0])
    assert numbers.shape == counts.shape == (n, 3 if missing else 1)
    assert (counts[gone, -1] == 0).all()
    assert np.corrcoef(numbers[~gone, -1], values[~gone])[0, 1] > 0.7
    written = np.clip(numbers + random.normal(0, 0.05, numbers.shape), 0, 1).astype(np.float32)
    scores = scores.calibrated(written, random.normal(size=n), 0.1)
    drawn = scores.draw(written, random.random(n), random.normal(size=n))
    assert np.bincount(drawn, minlength=codec.sizes[0]) / n == pytest.approx(
        scores.share, abs=0.012
    )
    # the chance of each cell in one row, against the share of many draws for that row
    one = written[:1].repeat(n, axis=0)
    drawn = scores.draw(one, random.random(n), random.normal(size=n))
    chances = [scores.chance(written[:1], cell)[0] for cell in range(codec.sizes[0])]
    assert sum(chances) == pytest.approx(1, abs=1e-6)
    assert np.bincount(drawn, minlength=codec.sizes[0]) / n == pytest.approx(chances, abs=0.015)
    again = ColumnScores.from_dict(json.loads(json.dumps(scores.to_dict())))
    assert (again.chance(written, 0) == scores.chance(written, 0)).all()


def test_all_rows_of_a_person_are_held_out_or_none():
    table = pl.DataFrame({"who": [f"p{i // 4}" for i in range(400)], "x": range(400)})
    aside = held_out_rows(table, "who", 0).reshape(100, 4)
    assert (aside.all(axis=1) | ~aside.any(axis=1)).all()
    assert aside.sum() == 40
    assert held_out_rows(table, None, 1).sum() == 40
    assert not held_out_rows(table[:1], None, 1).any()


@pytest.mark.parametrize("losses", [[3.0, 1.0, 2.0, 2.0, 0.5], [3.0, float("nan")]])
def test_training_stops_keeps_the_best_epoch_and_refuses_a_loss_that_runs_away(losses):
    import torch

    from sfumato.synthesis.neural.training import Course, train

    network = torch.nn.Linear(1, 1)
    seen, told = [], []

    def held_out():
        seen.append(network.weight.item())
        return losses[len(seen) - 1]

    def run():
        return train(
            network,
            50,
            lambda batch, done: network(torch.ones(len(batch), 1)).square().mean(),
            held_out,
            Course(epochs=9, batch_size=10, rows_per_epoch=30, learning_rate=0.1, patience=2),
            torch.Generator().manual_seed(0),
            lambda done, total: told.append((done, total)),
        )

    if np.isnan(losses[-1]):
        with pytest.raises(PlanError, match=r"epoch 2: lower learning_rate \(now 0.1\)"):
            run()
        return
    assert run() == 2
    assert network.weight.item() == seen[1]
    assert told == [(1, 9), (2, 9), (3, 9), (4, 9), (9, 9)]


@pytest.mark.parametrize(("gap", "best"), [(0.5, 1), (1.25, 2), (9.0, 4)])
def test_training_stops_before_its_own_rows_are_too_much_likelier(gap, best):
    import torch

    from sfumato.synthesis.neural.training import Course, train

    network = torch.nn.Linear(1, 1)
    aside, own, weights = iter([5.0, 4.0, 3.5, 3.2, 3.0]), iter([4.5, 2.9, 1.9, 1.1, 0.5]), []

    def held_out():
        weights.append(network.weight.item())
        return next(aside)

    course = Course(4, 10, 30, 0.1, 2, gap=gap)  # by chance 0.5; then 0.6, 1.1, 1.6, 2
    found = train(
        network,
        50,
        lambda batch, done: network(torch.ones(len(batch), 1)).square().mean(),
        held_out,
        course,
        torch.Generator().manual_seed(0),
        lambda done, total: None,
        lambda: next(own),
    )
    assert found == best  # one epoch is always kept
    assert network.weight.item() == weights[best]


def test_a_course_gives_few_rows_many_epochs_and_many_rows_large_batches():
    from sfumato.synthesis.neural.training import Course

    common = {"batch_size": 512, "rows_per_epoch": 100_000, "learning_rate": 0.01, "patience": 5}
    few = Course.of(200, epochs=None, steps=1_200, least_epochs=20, **common)
    many = Course.of(200_000, epochs=None, steps=1_200, least_epochs=20, **common)
    assert (few.batch_size, few.epochs) == (32, 200)
    assert (many.batch_size, many.epochs) == (512, 20)
    assert Course.of(9, epochs=3, steps=1, least_epochs=1, **common).batch_size == 9


def smooth_column(n, seed, missing=False):
    random = np.random.default_rng(seed)
    values = random.exponential(size=n)
    column = [None if missing and place % 10 == 0 else one for place, one in enumerate(values)]
    codec, codes = coded(pl.DataFrame({"x": column}))
    groups = CellGroups.fit(codec.grids[0], codes[:, 0], 64)
    return codec.grids[0], groups, codes[:, 0]


@pytest.mark.parametrize("missing", [False, True])
def test_smooth_functions_are_standardised_and_say_nothing_of_empty_cells(missing):
    grid, groups, codes = smooth_column(2_000, 0, missing)
    basis = smooth_basis(grid, groups)
    assert basis.shape[0] == groups.groups
    rows = basis[groups.group_of[codes]]
    there = codes < grid.values
    assert (rows[~there] == 0).all()
    assert rows[there].mean(axis=0) == pytest.approx(np.zeros(basis.shape[1]), abs=1e-6)
    assert rows[there].std(axis=0) == pytest.approx(np.ones(basis.shape[1]), abs=1e-3)
    # the first is the group's mean value
    assert np.corrcoef(rows[there, 0], grid.centres[codes[there]])[0, 1] > 0.9


def test_a_category_and_a_yes_or_no_have_no_smooth_functions():
    table = pl.DataFrame({"k": list("abcde") * 10, "b": [0, 1] * 25})
    codec, codes = coded(table)
    for place, grid in enumerate(codec.grids):
        groups = CellGroups.fit(grid, codes[:, place], 64)
        assert smooth_basis(grid, groups).shape == (grid.cells, 0)


def test_smooth_weights_become_a_decoder_that_gives_the_same_likelihood():
    import torch

    from sfumato.synthesis.neural.variational_training import VariationalNetwork, _decoder

    generator = torch.Generator().manual_seed(0)
    grid, groups, codes = smooth_column(500, 1)
    bases = [smooth_basis(grid, groups), np.zeros((3, 0)), smooth_basis(grid, groups)]
    network = VariationalNetwork(bases, 3, 2, 8, generator)
    with torch.no_grad():
        for one in network.parameters():
            one.normal_(0, 0.3, generator=generator)
    own = groups.group_of[codes]
    rows = np.column_stack([own, np.arange(500) % 3, own[::-1]])
    points = np.random.default_rng(0).normal(size=(500, 2)).astype(np.float32)
    with torch.no_grad():
        expected = float(
            network.loss_of(
                torch.from_numpy(points), torch.from_numpy(rows), torch.from_numpy(rows)
            )
        )
    decoder = _decoder(network, (0, 1, 2))
    state, missed = decoder.state(points), 0.0
    for place in range(3):
        chances = drawn_groups(decoder.logits(state, place), np.zeros(500))[1]
        missed -= float(np.log(chances[np.arange(500), rows[:, place]]).sum())
        decoder.add(state, place, rows[:, place])
    assert missed == pytest.approx(expected, rel=1e-4)


def test_few_rows_teach_a_smooth_relation_that_free_weights_do_not_learn():
    import torch

    from sfumato.synthesis.neural.training import Course, train
    from sfumato.synthesis.neural.variational_training import VariationalNetwork

    random = np.random.default_rng(2)
    x = random.normal(size=1_000)
    table = pl.DataFrame({"x": x, "y": x + random.normal(0, 0.3, 1_000)})
    codec, codes = coded(table)
    both = [CellGroups.fit(grid, codes[:, at], 64) for at, grid in enumerate(codec.grids)]
    rows = torch.from_numpy(
        np.column_stack([one.group_of[codes[:, at]] for at, one in enumerate(both)])
    )
    course = Course(15, 50, 10_000, 0.003, 15)

    def held_out(bases):
        generator = torch.Generator().manual_seed(0)
        network = VariationalNetwork(bases, 2, 1, 32, generator)

        def missed(part):
            return network.loss_of(torch.zeros(len(part), 1), part, part) / len(part)

        seen = []

        def judge():
            seen.append(float(missed(rows[500:])))
            return seen[-1]

        train(
            network,
            500,
            lambda batch, _: missed(rows[:500][batch]),
            judge,
            course,
            generator,
            lambda done, total: None,
        )
        return min(seen)

    smooth = [smooth_basis(grid, one) for grid, one in zip(codec.grids, both, strict=True)]
    free = [np.zeros((one.groups, 0)) for one in both]
    assert held_out(smooth) < held_out(free) - 0.3


def test_the_mean_of_the_weights_is_judged_and_kept():
    import torch

    from sfumato.synthesis.neural.training import Course, train

    network = torch.nn.Linear(1, 1, bias=False)
    steps, judged = [], []

    def step(batch, done):
        steps.append(network.weight.item())
        return (network.weight * (-1) ** len(steps)).sum()  # to and fro

    def held_out():
        judged.append(network.weight.item())
        return -len(judged)

    course = Course(4, 5, 100, 0.1, 9, averaged=0.9)
    generator = torch.Generator().manual_seed(0)
    assert train(network, 50, step, held_out, course, generator, lambda done, total: None) == 4
    assert network.weight.item() == judged[-1]
    assert judged[0] not in steps  # the mean is no step of the way, and training goes on from one
    assert min(steps[:11]) < judged[0] < max(steps[:11])


def test_a_small_step_is_slower_and_few_rows_decay_more():
    from sfumato.synthesis.neural.training import Course

    common = {"epochs": 3, "batch_size": 512, "rows_per_epoch": 100_000, "steps": 1}
    few, many = (
        Course.of(rows, learning_rate=0.003, patience=5, least_epochs=1, **common)
        for rows in (640, 200_000)
    )
    assert (few.batch_size, many.batch_size) == (32, 512)
    assert few.learning_rate == pytest.approx(0.003 / 4)
    assert many.learning_rate == 0.003
    assert (few.decay, many.decay) == (1.0, 0.01)
