import numpy as np
import polars as pl
import pytest
from scipy.stats import hypergeom

from sfumato.evaluation.attacks.copies import hits
from sfumato.evaluation.attacks.error_shares import ERROR_SHARES
from sfumato.evaluation.attacks.highest_scores import highest_scores
from sfumato.evaluation.attacks.matching import scores
from sfumato.evaluation.attacks.membership_by_matching import MembershipByMatching
from sfumato.evaluation.attacks.planted_copies import planted_copies
from sfumato.evaluation.attacks.planting import minimum_detectable_leak
from sfumato.evaluation.attacks.tables import STAR, AttackTables
from sfumato.evaluation.attacks.vulnerable import isolation, vulnerable
from sfumato.evaluation.exchangeability import excess
from sfumato.table import Hierarchy, Schema


def people(rows, seed):
    random = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            **{f"word {i}": random.choice(list("abcdefgh"), rows) for i in range(8)},
            "size": random.normal(size=rows).round(3),
            "age": random.integers(18, 99, rows),
        }
    )


def tables(seed=0, rows=800):
    parts = [people(rows, 10 * seed + part) for part in range(3)]
    return AttackTables.of(*parts, Schema())


def test_verbatim_copies_are_the_rows_and_noisy_ones_nearly():
    made = tables()
    rows = np.array([3, 700, 1_500])
    for cells, column in zip(
        planted_copies(made, rows, "verbatim", seed=1), made.columns, strict=True
    ):
        if column.kind == "category":
            assert (cells.label == column.real[rows]).all()
        else:
            assert (cells.low == column.numbers[rows]).all()
    rows = np.arange(1_600)
    differ = np.zeros(1_600)
    for cells, column in zip(
        planted_copies(made, rows, "noisy", seed=1), made.columns, strict=True
    ):
        if column.kind == "category":
            differ += cells.label != column.real[rows]
        else:
            moved = cells.low - column.numbers[rows]
            assert moved.std() == pytest.approx(0.01 * column.width, rel=0.15)
            assert (cells.low == np.rint(cells.low)).all() == (column.name == "age")
    assert differ.max() == 2
    assert differ.mean() == pytest.approx(2 * 7 / 8, rel=0.05)


def test_generalized_columns_are_planted_as_released():
    steps = [[word, "a-d" if word in "abcd" else "e-h", "*"] for word in "abcdefgh"]
    schema = Schema(quasi_identifiers={"word 0": Hierarchy.lines(steps)})
    members, controls = people(200, 1), people(200, 2)
    mapping = {step[0]: step[1] for step in steps}
    released = people(200, 3).with_columns(pl.col("word 0").replace(mapping))
    made = AttackTables.of(released, members, controls, schema)
    column = made.by_name["word 0"]
    rows = np.arange(400)
    shown = planted_copies(made, rows, "verbatim", seed=1)
    label = next(cells for cells in shown if cells.name == "word 0").label
    assert (label != STAR).all()
    assert column.covers[label, column.real[rows]].all()
    assert set(label) <= set(column.released)


def smallest_p_value(made, seed):
    """Return the smallest p-value, over its share of the error, of the tests that seek copies."""
    score, standing_out, flags = scores(made), vulnerable(made, 0.05), hits(made)
    p_values = {
        "membership/matching/top": highest_scores(score, made.member, seed=seed).p_value,
        "membership/matching/vulnerable/top": highest_scores(
            score[standing_out], made.member[standing_out], seed=seed
        ).p_value,
    }
    for kind in ("exact", "all_but_one"):
        hit = flags[kind]
        found = excess(hit[made.member], hit[~made.member], seed=seed)
        p_values[f"copies/{kind}"] = found.p_value
    assert set(p_values) == set(ERROR_SHARES)
    return min(p_value / ERROR_SHARES[key] for key, p_value in p_values.items())


def test_copies_in_unlike_rows_are_noticed_when_few():
    found = minimum_detectable_leak(tables(), seed=1, plantings=30)
    # whole copies have half of the error: 6 hits, all members, have 1 / 2 ** 6 by the exact test
    assert found["verbatim"].people == 6
    assert 6 <= found["noisy"].people <= 30
    assert found["outliers"].people <= 30
    assert found["noisy"].rows == 800
    stricter = minimum_detectable_leak(tables(), seed=1, plantings=30, level=0.005)
    # 1 / 2 ** 9 is the first at most 0.0025
    assert 6 < stricter["verbatim"].people <= 9


def test_people_hit_by_chance_make_copies_harder_to_notice():
    first, second, third = (people(800, part) for part in range(3))
    # every fourth person's row is in the release by no leak: members and controls alike
    released = pl.concat([third[:400], first[:200], second[:200]])
    made = AttackTables.of(released, first, second, Schema())
    found = minimum_detectable_leak(made, seed=1, plantings=30)["verbatim"].people
    # 200 hits on each side: how many further members until Fisher's test reaches half of 5 %; a
    # quarter of the copies hit nobody new, and in one deal of labels in five more are needed
    chances = [hypergeom(1600, 800, 400 + more).sf(200 + more - 1) for more in range(1, 80)]
    needed = next(more for more, chance in enumerate(chances, 1) if chance <= 0.025)
    assert needed / 0.75 <= found <= 2 * needed


def test_too_small_a_control_says_that_nothing_would_be_noticed():
    made = AttackTables.of(people(50, 1), people(50, 2), people(3, 3), Schema())
    found = MembershipByMatching(plantings=10).run(made, seed=1)
    assert not found["planting/verbatim"].computed
    assert "not enough data" in found["planting/verbatim"].because


@pytest.mark.slow
@pytest.mark.long
def test_the_declared_leak_of_copies_is_found_when_planted_anew():
    declared = minimum_detectable_leak(tables(1), seed=1)["verbatim"].people
    noticed = 0
    for seed in range(20):
        released, members, controls = (people(800, 100 * seed + 1_000 + part) for part in range(3))
        leaking = pl.concat([released[declared:], members[:declared]])
        made = AttackTables.of(leaking, members, controls, Schema())
        noticed += smallest_p_value(made, seed) <= 0.05
    assert noticed >= 13  # 16 of 20 by the declaration, less two standard errors


@pytest.mark.slow
@pytest.mark.long
def test_the_declared_leak_of_outliers_is_found_when_planted_anew():
    declared = minimum_detectable_leak(tables(2), seed=1)["outliers"].people
    noticed = 0
    for seed in range(30):
        released, members, controls = (people(800, 100 * seed + 5_000 + part) for part in range(3))
        made = AttackTables.of(released, members, controls, Schema())
        order = np.argsort(-isolation(made))
        copied = order[made.member[order]][:declared]
        source = made.real_frame[copied]
        random = np.random.default_rng(seed)
        words = [f"word {i}" for i in range(8)]
        redrawn = random.random((declared, 8)).argsort(axis=1) < 2
        noisy = source.with_columns(
            *(
                pl.Series(
                    name,
                    np.where(
                        redrawn[:, place],
                        released[name].sample(declared, seed=seed).to_numpy(),
                        source[name].to_numpy(),
                    ),
                )
                for place, name in enumerate(words)
            ),
            pl.col("size")
            + pl.Series(random.normal(0, 0.01 * np.ptp(released["size"].to_numpy()), declared)),
            (pl.col("age") + pl.Series(random.normal(0, 0.8, declared)).round()).cast(pl.Int64),
        )
        leaking = pl.concat([released[declared:], noisy.select(released.columns)])
        made = AttackTables.of(leaking, members, controls, Schema())
        noticed += smallest_p_value(made, seed) <= 0.05
    assert noticed >= 21  # 24 of 30 by the declaration, less two standard errors
