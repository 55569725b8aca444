"""The recoder: classes of at least k, the same in the clear and on shares."""

from __future__ import annotations

import os

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfumato.donation.recoding import (
    CellDomain,
    ClearNumbers,
    RecodingTree,
    Region,
    SharedNumbers,
    recode,
)
from sfumato.donation.recoding.cell_domain import LOSS_UNIT
from sfumato.donation.sharing import ArithmeticShares, run_three, split
from sfumato.errors import InternalError, ProtocolError
from sfumato.table import Hierarchy

SEX = Hierarchy.flat().ladder(pl.Series("sex", ["f", "m", "x"]))
AGE = Hierarchy.bands([5, 20]).ladder(pl.Series("age", list(range(40))))
PLACE = Hierarchy.mapping(
    {name: "coast" if name in "abc" else "hills" for name in "abcdefg"}
).ladder(pl.Series("place", list("abcdefg")))
DOMAIN = CellDomain((SEX, AGE, PLACE))


def drawn(seed: int, records: int) -> np.ndarray:
    """Return counts of cells in which few are frequent, as in a table of people."""
    generator = np.random.default_rng(seed)
    shares = generator.pareto(1.5, DOMAIN.n_cells) * (generator.random(DOMAIN.n_cells) < 0.4)
    counts = generator.multinomial(records, shares / shares.sum())
    return counts.astype(np.uint32).reshape(DOMAIN.shape)


def sizes_of(tree: RecodingTree, counts: np.ndarray) -> list[int]:
    """Count each class cell by cell, without the owners that the tree computes."""
    sizes = [0] * len(tree)
    for cell in np.argwhere(counts):
        for number, region in enumerate(tree.regions):
            held = all(
                ladder.levels[level][leaf] == group
                for ladder, level, group, leaf in zip(
                    DOMAIN.ladders, region.levels, region.groups, cell, strict=True
                )
            )
            if held:
                sizes[number] += int(counts[tuple(cell)])
                break
    return sizes


@given(
    seed=st.integers(0, 10_000),
    records=st.integers(1, 900),
    k=st.integers(1, 60),
    weight=st.sampled_from([0.2, 0.6, 1.5]),
)
@settings(max_examples=40)
def test_every_class_that_holds_anybody_holds_k(
    seed: int, records: int, k: int, weight: float
) -> None:
    counts = drawn(seed, records)
    tree = recode(ClearNumbers(), counts, DOMAIN, records=records, k=k, weights=(weight,))
    sizes = sizes_of(tree, counts)
    assert all(size == 0 or size >= k for size in sizes)
    owners = tree.owners()
    by_owner = np.bincount(owners[owners >= 0], weights=counts[owners >= 0], minlength=len(tree))
    assert by_owner.tolist() == sizes
    # of those suppressed no group at any levels but all "*" could have been a class
    alone = np.where(owners < 0, counts, 0)
    assert all(DOMAIN.summed(alone, levels).max() < k for levels in DOMAIN.levels())


def test_each_record_alone_where_k_is_one() -> None:
    counts = drawn(3, 400)
    tree = recode(ClearNumbers(), counts, DOMAIN, records=400, k=1, weights=(0.6,))
    held = tree.owners()[counts > 0]
    assert (tree.losses()[held] == 0).all()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_shares_give_the_recoding_of_the_clear(seed: int) -> None:
    records, k = 700, 12
    counts = drawn(seed, records)
    shares = split(ArithmeticShares, counts.astype(np.uint64), os.urandom)
    trees = run_three(
        lambda party: recode(
            SharedNumbers(party, os.urandom), shares[party.index], DOMAIN, records=records, k=k
        ),
        audited=seed == 0,
    )
    clear = recode(ClearNumbers(), counts, DOMAIN, records=records, k=k)
    assert len(clear) > 3
    assert [tree.regions for tree in trees] == [clear.regions] * 3


def test_the_best_of_several_weights_is_returned() -> None:
    for seed in range(6):
        counts = drawn(seed, 800)

        def loss(tree: RecodingTree, counts: np.ndarray = counts) -> int:
            price = np.append(tree.losses(), LOSS_UNIT)
            return int((price[tree.owners()] * counts).sum())

        each = [
            recode(ClearNumbers(), counts, DOMAIN, records=800, k=25, weights=(weight,))
            for weight in (0.3, 0.6, 1.5)
        ]
        best = recode(ClearNumbers(), counts, DOMAIN, records=800, k=25, weights=(0.3, 0.6, 1.5))
        assert loss(best) == min(map(loss, each))


def test_fewer_records_than_k_give_no_class() -> None:
    tree = recode(ClearNumbers(), drawn(0, 9), DOMAIN, records=9, k=10)
    assert tree.regions == ()
    assert (tree.owners() == -1).all()


def test_labels_are_those_of_the_hierarchies() -> None:
    tree = RecodingTree(DOMAIN, (Region((0, 2, 1), (1, 1, 0)), Region((1, 3, 2), (0, 0, 0))))
    assert tree.labels()[0][0] == "m"
    assert tree.labels()[0][2] == "coast"
    assert tree.labels()[1] == ("*", "*", "*")
    owners = tree.owners()
    assert (owners[1, 20:, :3] == 0).all()
    assert (owners == 1).sum() == DOMAIN.n_cells - 20 * 3
    assert RecodingTree.from_dict(DOMAIN, tree.to_dict()).regions == tree.regions


@pytest.mark.parametrize(
    "broken",
    [
        {"columns": ["sex", "age"], "classes": []},
        {"columns": ["sex", "age", "place"], "classes": [[0, 0, 0]]},
        {"columns": ["sex", "age", "place"], "classes": [[0, 0, 0, 3, 0, 0]]},
        {"columns": ["sex", "age", "place"], "classes": [[0, 4, 0, 0, 0, 0]]},
        {"columns": ["sex", "age", "place"], "classes": [[0, 0, 0, -1, 0, 0]]},
        {"columns": ["sex", "age", "place"], "classes": [[0, 0, 0, 0.0, 0, 0]]},
    ],
)
def test_a_recoding_of_something_else_is_refused(broken: dict) -> None:
    with pytest.raises(ProtocolError, match="recoding"):
        RecodingTree.from_dict(DOMAIN, broken)


@pytest.mark.parametrize(("weights", "k"), [((), 2), ((0.0,), 2), ((5.0,), 2), ((0.6,), 0)])
def test_settings_out_of_range_are_refused(weights: tuple[float, ...], k: int) -> None:
    with pytest.raises(InternalError):
        recode(ClearNumbers(), drawn(0, 50), DOMAIN, records=50, k=k, weights=weights)
