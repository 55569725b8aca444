"""The engine of graphical models against brute force on small domains."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfumato.synthesis.private.marginals.all_pairs import pair_marginals
from sfumato.synthesis.private.marginals.fitting import Measured, fitted, grouped
from sfumato.synthesis.private.marginals.graphical_model import GraphicalModel
from sfumato.synthesis.private.marginals.junction_tree import (
    JunctionTree,
    cells_of,
    neighbours,
)
from sfumato.synthesis.private.marginals.propagation import aligned, beliefs, marginal, normalized
from sfumato.synthesis.private.marginals.public_start import public_tables
from sfumato.synthesis.private.marginals.tilting import apart, fitted_tilts


@st.composite
def structures(draw):
    width = draw(st.integers(2, 6))
    sizes = draw(st.lists(st.integers(1, 4), min_size=width, max_size=width))
    column = st.integers(0, width - 1)
    sets = draw(st.lists(st.sets(column, min_size=1, max_size=3), min_size=1, max_size=6))
    return tuple(sizes), [tuple(sorted(one)) for one in sets], draw(st.integers(0, 2**32 - 1))


def joint_of(tree, potentials):
    """The full table of all columns, by multiplying everything out."""
    everything = tuple(range(len(tree.sizes)))
    logs = np.zeros(tree.sizes)
    for axes, table in zip(tree.axes, potentials, strict=True):
        logs = logs + aligned(table, axes, everything)
    return np.exp(logs)


def collapsed(joint, columns):
    order = sorted(columns)
    table = joint.sum(axis=tuple(one for one in range(joint.ndim) if one not in columns))
    return table.transpose([order.index(one) for one in columns])


def random_model(structure, zeros=0.1):
    sizes, sets, seed = structure
    random = np.random.default_rng(seed)
    tree = JunctionTree.of(sizes, sets)
    potentials = []
    for place in range(len(tree.parents)):
        table = random.normal(0, 3, tree.shape(place))
        potentials.append(np.where(random.random(table.shape) < zeros, -np.inf, table))
    return tree, potentials, random


@settings(deadline=None, max_examples=60)
@given(structures())
def test_a_junction_tree_holds_every_set_and_every_column_is_connected(structure):
    sizes, sets, _ = structure
    tree = JunctionTree.of(sizes, sets)
    assert all(tree.home(one) is not None for one in sets)
    assert sorted(itertools.chain(*tree.residuals)) == list(range(len(sizes)))
    for place, parent in enumerate(tree.parents):
        assert parent < place
        assert set(tree.separators[place]) <= (set(tree.axes[parent]) if parent >= 0 else set())
    assert tree.cells == sum(math.prod(sizes[one] for one in axes) for axes in tree.axes)
    assert cells_of(sizes, neighbours(len(sizes), sets)) == tree.cells
    assert cells_of(sizes, neighbours(len(sizes), sets), tree.cells - 1) == math.inf
    assert JunctionTree.from_dict(tree.to_dict()) == tree


def test_a_cycle_is_triangulated_by_its_smallest_tables():
    sizes = (2, 50, 2, 50)
    tree = JunctionTree.of(sizes, [(0, 1), (1, 2), (2, 3), (0, 3)])
    # the chord joins the two small columns: 2 * 50 * 2 twice
    assert tree.cells == 400
    assert {frozenset(one) for one in tree.axes} == {frozenset({0, 1, 2}), frozenset({0, 2, 3})}


@settings(deadline=None, max_examples=60)
@given(structures())
def test_marginals_equal_those_of_the_full_table(structure):
    tree, potentials, random = random_model(structure)
    joint = joint_of(tree, potentials)
    total = joint.sum()
    tables, logarithm = normalized(tree, [one.copy() for one in potentials])
    if total == 0:
        assert logarithm == -np.inf
        return
    joint = joint / total
    assert logarithm == pytest.approx(np.log(total))
    for axes, held in zip(tree.axes, beliefs(tree, tables), strict=True):
        np.testing.assert_allclose(held, collapsed(joint, axes), atol=1e-12)
    width = len(tree.sizes)
    for count in range(1, width + 1):
        columns = tuple(int(one) for one in random.permutation(width)[:count])
        np.testing.assert_allclose(
            marginal(tree, tables, columns), collapsed(joint, columns), atol=1e-12
        )


@settings(deadline=None, max_examples=40)
@given(structures())
def test_all_pairs_in_one_sweep_equal_those_of_the_full_table(structure):
    tree, potentials, _ = random_model(structure)
    joint = joint_of(tree, potentials)
    if joint.sum() == 0:
        return
    joint = joint / joint.sum()
    tables, _ = normalized(tree, [one.copy() for one in potentials])
    found = pair_marginals(tree, tables)
    at = np.concatenate([[0], np.cumsum(tree.sizes)])
    for i, j in itertools.product(range(len(tree.sizes)), repeat=2):
        block = found[at[i] : at[i + 1], at[j] : at[j + 1]]
        wanted = np.diag(collapsed(joint, (i,))) if i == j else collapsed(joint, (i, j))
        np.testing.assert_allclose(block, wanted, atol=1e-12)


@settings(deadline=None, max_examples=40)
@given(structures())
def test_given_values_are_exact(structure):
    tree, potentials, random = random_model(structure)
    joint = joint_of(tree, potentials)
    if joint.sum() == 0:
        return
    joint = joint / joint.sum()
    model = GraphicalModel(tree, tuple(normalized(tree, potentials)[0]))
    columns = random.permutation(len(tree.sizes))[:2]
    cells = {int(one): int(random.integers(tree.sizes[one])) for one in columns}
    place = tuple(cells.get(one, slice(None)) for one in range(len(tree.sizes)))
    left = np.zeros_like(joint)
    left[place] = joint[place]
    part, chance = model.given(cells)
    assert chance == pytest.approx(left.sum())
    if left.sum() > 0:
        everything = tuple(range(len(tree.sizes)))
        np.testing.assert_allclose(part.marginal(everything), left / left.sum(), atol=1e-12)
        rows = part.sample(50, np.random.default_rng(0))
        assert all((rows[:, one] == cell).all() for one, cell in cells.items())


def proportionally_fitted(sizes, sets, aims, start, rounds=3000):
    """Iterative proportional fitting of the full table (Deming and Stephan 1940)."""
    joint = start / start.sum()
    for _ in range(rounds):
        before = joint
        for columns, aim in zip(sets, aims, strict=True):
            held = collapsed(joint, columns)
            ratio = np.divide(aim, held, out=np.zeros_like(aim), where=held > 0)
            joint = joint * aligned(ratio, columns, tuple(range(len(sizes))))
        if np.abs(joint - before).max() < 1e-13:
            break
    return joint


@settings(deadline=None, max_examples=15)
@given(structures(), st.booleans())
def test_the_fit_without_noise_equals_iterative_proportional_fitting(structure, with_start):
    sizes, sets, seed = structure
    random = np.random.default_rng(seed)
    sets = sorted(set(sets))
    true = random.dirichlet(np.full(math.prod(sizes), 1.0)).reshape(sizes) + 0.02 / math.prod(sizes)
    true /= true.sum()
    aims = [collapsed(true, one) for one in sets]
    logs = random.normal(0, 1, [sizes[one] for one in sets[0]]) if with_start else None
    start = [] if logs is None else [(sets[0], logs)]
    tree = JunctionTree.of(sizes, [*sets, *((one,) for one in range(len(sizes)))])
    everything = tuple(range(len(sizes)))
    begin = np.exp(aligned(logs, sets[0], everything)) if with_start else np.ones(1)
    wanted = proportionally_fitted(sizes, sets, aims, np.broadcast_to(begin, sizes).copy())
    measured = [
        Measured(one, tuple(np.arange(sizes[k]) for k in one), aim, 1e-5)
        for one, aim in zip(sets, aims, strict=True)
    ]
    tables, _ = fitted(tree, measured, start, trust=0.0, steps=2000, tolerance=1e-10)
    np.testing.assert_allclose(marginal(tree, tables, everything), wanted, atol=2e-5)


def test_the_fit_with_noise_is_the_least_of_divergence_and_squared_error():
    """Against a direct minimization over the full table, coarse measurements included."""
    from scipy.optimize import minimize

    random = np.random.default_rng(5)
    sizes = (4, 3, 2)
    groups = {0: np.array([0, 0, 1, 1]), 1: np.arange(3), 2: np.arange(2)}
    fine = {k: np.arange(size) for k, size in enumerate(sizes)}
    measured = [
        Measured((0, 1), (groups[0], groups[1]), random.dirichlet(np.ones(6)).reshape(2, 3), 0.03),
        Measured((1, 2), (fine[1], fine[2]), random.dirichlet(np.ones(6)).reshape(3, 2), 0.02),
        Measured((0,), (fine[0],), random.dirichlet(np.ones(4)), 0.01),
    ]
    trust = 50.0
    tree = JunctionTree.of(sizes, [(0, 1), (1, 2)])
    tables, _ = fitted(tree, measured, [], trust=trust, steps=500, tolerance=1e-12)
    found = marginal(tree, tables, (0, 1, 2))

    def objective(logits):
        joint = np.exp(logits - logits.max())
        joint = (joint / joint.sum()).reshape(sizes)
        value = trust * float((joint * np.log(joint * joint.size)).sum())
        for one in measured:
            apart = grouped(collapsed(joint, one.columns), one.groups) - one.shares
            value += 0.5 * float((apart**2).sum()) / one.deviation**2
        return value

    best = minimize(objective, np.zeros(24), method="BFGS", options={"gtol": 1e-6})
    assert objective(np.log(found).ravel()) == pytest.approx(best.fun, rel=1e-6)
    direct = np.exp(best.x - best.x.max())
    np.testing.assert_allclose(found.ravel(), direct / direct.sum(), atol=1e-4)


def test_the_fit_equals_that_of_mbi():
    """Golden numbers of mbi 2.0.0: estimation.MirrorDescent, 20,000 steps (LBFGS gives the same).

    Noisy counts of 1,000 rows that contradict each other, with their noise; the last pair was not
    measured.
    """
    sizes = (3, 4, 2, 3)
    counted = [
        ((0, 1), [[72, 52, 67, 107], [83, 62, 98, 121], [104, 58, 92, 76]], 4),
        ((1, 2), [[143, 109], [114, 73], [138, 112], [142, 145]], 6),
        ((2, 3), [[153, 146, 256], [130, 138, 177]], 5),
        ((0,), [297, 366, 330], 3),
        ((3,), [287, 280, 436], 3),
    ]
    golden = {
        (0, 1): [
            [0.0719744, 0.0549078, 0.0669744, 0.1056411],
            [0.083632, 0.0655653, 0.098632, 0.1202986],
            [0.1041936, 0.0611269, 0.0921936, 0.0748603],
        ],
        (1, 2): [
            [0.1478863, 0.1119137],
            [0.1122863, 0.0693137],
            [0.1428863, 0.1149137],
            [0.1498863, 0.1509137],
        ],
        (2, 3): [[0.1535863, 0.1431964, 0.2561625], [0.1319561, 0.1365663, 0.1785324]],
        (0, 3): [
            [0.0855354, 0.0838313, 0.130131],
            [0.10513, 0.1030255, 0.1599723],
            [0.094877, 0.0929059, 0.1445915],
        ],
    }
    measured = [
        Measured(
            one, tuple(np.arange(sizes[k]) for k in one), np.array(counts) / 1000, noise / 1000
        )
        for one, counts, noise in counted
    ]
    tree = JunctionTree.of(sizes, [one for one, _, _ in counted])
    # next to no trust in independence: mbi's is the limit of none
    tables, _ = fitted(tree, measured, [], trust=1e-2, steps=5000, tolerance=1e-10)
    for columns, wanted in golden.items():
        np.testing.assert_allclose(marginal(tree, tables, columns), wanted, atol=1e-4)


def test_a_warm_start_changes_the_way_and_not_the_end():
    random = np.random.default_rng(1)
    sizes = (5, 4, 3)
    measured = [
        Measured(
            one,
            tuple(np.arange(sizes[k]) for k in one),
            random.dirichlet(np.ones(sizes[one[0]] * sizes[one[1]])).reshape(
                sizes[one[0]], sizes[one[1]]
            ),
            0.02,
        )
        for one in ((0, 1), (1, 2), (0, 2))
    ]
    tree = JunctionTree.of(sizes, [(0, 1, 2)])
    kept = {"trust": 100.0, "steps": 1000, "tolerance": 1e-11}
    cold, _ = fitted(tree, measured, [], **kept)
    _, potentials = fitted(tree, measured[:2], [], **kept)
    warm, _ = fitted(tree, measured, [], warm=potentials, **kept)
    np.testing.assert_allclose(cold[0], warm[0], atol=1e-6)


def test_groups_are_sums_of_cells():
    table = np.arange(24).reshape(4, 6)
    apart = np.array([0, 1, 0, 2, 1, 0])
    found = grouped(table, (np.array([0, 0, 1, 1]), apart))
    wanted = np.stack(
        [[table[rows][:, apart == k].sum() for k in range(3)] for rows in ([0, 1], [2, 3])]
    )
    assert (found == wanted).all()
    assert found.dtype == table.dtype


def test_a_sample_is_as_near_as_whole_rows_allow_and_random_rows_are_not():
    tree, potentials, _ = random_model(((4, 5, 3, 4), [(0, 1), (1, 2), (2, 3)], 3), zeros=0.0)
    model = GraphicalModel(tree, tuple(normalized(tree, potentials)[0]))
    n = 4000
    apart = {}
    for even in (True, False):
        rows = model.sample(n, np.random.default_rng(0), even=even)
        apart[even] = [
            np.abs(
                np.histogramdd(rows[:, pair], [np.arange(tree.sizes[k] + 1) - 0.5 for k in pair])[0]
                - n * model.marginal(pair)
            ).max()
            for pair in ((0, 1), (1, 2), (2, 3))
        ]
    first = tree.axes[0]
    assert apart[True][[(0, 1), (1, 2), (2, 3)].index(tuple(sorted(first)))] <= 1
    assert max(apart[True]) < 15
    assert max(apart[False]) > 15


def test_every_row_of_a_sample_follows_the_model():
    """The first row of many samples, over all columns: its distribution is the model's."""
    tree, potentials, _ = random_model(((2, 3, 2), [(0, 1), (1, 2)], 11), zeros=0.15)
    model = GraphicalModel(tree, tuple(normalized(tree, potentials)[0]))
    wanted = model.marginal((0, 1, 2)).ravel()
    runs = 4000
    random = np.random.default_rng(2)
    drawn = np.array([model.sample(7, random)[0] for _ in range(runs)])
    seen = np.bincount(np.ravel_multi_index(drawn.T, (2, 3, 2)), minlength=12)
    assert (seen[wanted == 0] == 0).all()
    deviation = np.sqrt(runs * wanted * (1 - wanted))
    assert (np.abs(seen - runs * wanted) <= 4.5 * deviation + 1e-9).all()


def test_a_model_survives_its_file():
    tree, potentials, _ = random_model(((4, 5, 3), [(0, 1), (1, 2)], 9))
    model = GraphicalModel.rounded(tree, normalized(tree, potentials)[0])
    again = GraphicalModel.from_dict(model.to_dict())
    assert again.tree == model.tree
    assert all((a == b).all() for a, b in zip(again.tables, model.tables, strict=True))


def test_tilts_fit_a_tie_that_the_tree_does_not_hold():
    """Two columns apart in the tree, a measured tie: the rows have it, and the singles stay."""
    random = np.random.default_rng(4)
    sizes = (3, 3)
    joint = random.dirichlet(np.full(9, 2.0)).reshape(3, 3)
    fine = np.arange(3)
    singles = [
        Measured((0,), (fine,), joint.sum(axis=1), 1e-4),
        Measured((1,), (fine,), joint.sum(axis=0), 1e-4),
    ]
    tree = JunctionTree.of(sizes, [(0,), (1,)])
    assert apart(tree) == [(0, 1)]
    tables, _ = fitted(tree, singles, [], trust=0.0, steps=200)
    model = GraphicalModel(tree, tuple(tables))
    rows, others = model.sample(40_000, random), model.sample(40_000, random)
    pair = Measured((0, 1), (fine, fine), joint, 1e-4)
    tilts = fitted_tilts(rows, others, singles, [pair], trust=(0.0, 0.0), steps=200)
    bent = GraphicalModel(tree, tuple(tables), tuple(tilts))
    for even in (True, False):
        drawn = bent.sample(40_000, random, even=even)
        seen = np.bincount(drawn[:, 0] * 3 + drawn[:, 1], minlength=9).reshape(3, 3) / 40_000
        np.testing.assert_allclose(seen, joint, atol=0.01)


def test_tilts_do_not_learn_combinations_that_no_row_was_drawn_of():
    """Nothing would hold their weight back, and the next draw holds some of them."""
    random = np.random.default_rng(2)
    several = 60
    single = 1 / np.arange(1, several + 1) ** 1.5
    single /= single.sum()
    fine = np.arange(several)
    # half of all rows have the same value twice, which the tree of singles seldom draws
    joint = 0.5 * np.diag(single) + 0.5 * np.outer(single, single)
    singles = [Measured((one,), (fine,), single, 1e-6) for one in range(2)]
    tree = JunctionTree.of((several, several), [(0,), (1,)])
    tables, _ = fitted(tree, singles, [], trust=0.0, steps=200)
    model = GraphicalModel(tree, tuple(tables))
    rows, others = model.sample(4_000, random), model.sample(4_000, random)
    pair = Measured((0, 1), (fine, fine), joint, 1e-6)
    tilts = fitted_tilts(rows, others, singles, [pair], trust=(1.0, 4.0), steps=100)
    drawn = GraphicalModel(tree, tuple(tables), tuple(tilts)).sample(40_000, random)
    for column in range(2):
        seen = np.bincount(drawn[:, column], minlength=several) / len(drawn)
        assert np.abs(seen - single).sum() / 2 < 0.05
    twice = (drawn[:, 0] == drawn[:, 1]).mean()
    assert twice > np.square(single).sum() + 0.1


def test_public_rows_give_the_tree_that_explains_them_best():
    random = np.random.default_rng(0)
    first = random.integers(0, 4, 50_000)
    second = np.where(random.random(50_000) < 0.8, first, random.integers(0, 4, 50_000))
    third = np.where(random.random(50_000) < 0.8, second, random.integers(0, 4, 50_000))
    tables = public_tables([one.astype(np.int16) for one in (first, second, third)], (4, 4, 4), 99)
    assert {columns for columns, _ in tables if len(columns) == 2} == {(0, 1), (1, 2)}
    tree = JunctionTree.of((4, 4, 4), [columns for columns, _ in tables])
    found, _ = fitted(tree, [], tables, trust=0.0, steps=0)
    seen = np.bincount(first * 16 + second * 4 + third, minlength=64) / 50_000
    np.testing.assert_allclose(marginal(tree, found, (0, 1, 2)).ravel(), seen, atol=0.004)
