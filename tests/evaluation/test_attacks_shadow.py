"""Shadow models: a generator that memorizes is caught, one that does not is left alone."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from sfumato.anonymization import Mondrian
from sfumato.errors import DataError, PlanError
from sfumato.evaluation.attacks.neighbourhoods import STATISTICS, Surroundings
from sfumato.evaluation.attacks.shadow_models import (
    ShadowModels,
    _ratios,
    _true_positives,
    likelihood_ratios,
    scores,
)
from sfumato.evaluation.attacks.tables import GRID, AttackTables
from sfumato.evaluation.exchangeability import top_excess
from sfumato.release import anonymize
from sfumato.synthesis import GaussianCopula
from sfumato.table import Schema

SCHEMA = Schema(
    quasi_identifiers={"age": None, "region": None}, sensitive=["illness"], rest="other"
)
KEY = "membership/shadow_models"
FAST = ShadowModels(shadows=8, targets=100, vulnerable=0.1)


def people(n, seed):
    random = np.random.default_rng(seed)
    age = random.integers(18, 90, n)
    return pl.DataFrame(
        {
            "age": age,
            "region": random.choice(["north", "south", "east", "west"], n),
            "weight": random.normal(70, 12, n).round(1),
            "height": random.normal(170, 9, n).round(1),
            "illness": np.where(random.random(n) < age / 120, "gout", "flu"),
        }
    )


def ideal(frame, rows, seed):
    """Draw fresh people, whoever is given."""
    return people(rows, 1_000 + seed).select(frame.columns)


def memorizing(share):
    """Return a generator that copies a share of its rows and draws the others afresh."""

    def remake(frame, rows, seed):
        random = np.random.default_rng(seed)
        kept = np.sort(random.choice(frame.height, int(share * frame.height), replace=False))
        return pl.concat([frame[kept], ideal(frame, rows - len(kept), seed)])

    return remake


def attacked(remake, n=300, *, synthetic=True):
    members, controls = people(n, 1), people(n, 2)
    released = remake(members, n, 77)
    return AttackTables.of(released, members, controls, SCHEMA, synthetic=synthetic, remake=remake)


def test_a_memorizing_generator_is_caught_in_proportion():
    found = FAST.run(attacked(memorizing(0.3)), seed=1)
    assert found[KEY].p_value < 0.001
    assert found[KEY].value > 0.8
    assert 0.1 < found[f"{KEY}/tpr_at_1_percent"].value < 0.45
    assert found[f"{KEY}/vulnerable"].p_value < 0.05
    assert "at least 1,000" in found[f"{KEY}/tpr_at_0.1_percent"].because
    assert found[f"{KEY}/auc"].interval[0] > 0.5


def test_an_ideal_generator_is_left_alone():
    found = FAST.run(attacked(ideal), seed=1)
    assert found[KEY].p_value > 0.01
    assert found[f"{KEY}/vulnerable"].p_value > 0.01
    low, high = found[f"{KEY}/auc"].interval
    assert low <= 0.5 <= high


def test_a_recoding_that_keeps_exact_cells_is_caught():
    def remake(frame, rows, seed):
        return anonymize(frame, SCHEMA.check(frame), Mondrian(k=5)).data

    found = FAST.run(attacked(remake, n=200, synthetic=False), seed=1)
    assert found[KEY].p_value < 0.001
    assert found[f"{KEY}/auc"].value > 0.95


def test_the_house_generator_can_be_rerun():
    def remake(frame, rows, seed):
        return GaussianCopula().fit(frame, SCHEMA.check(frame)).sample(rows, seed=seed)

    attack = ShadowModels(shadows=4, targets=40, vulnerable=0)
    found = attack.run(attacked(remake, n=150), seed=1)
    assert found[KEY].computed
    # one draw in a hundred falls under 0.01 by chance: three are looked at
    again = [attack.run(attacked(remake, n=150), seed=seed)[KEY].p_value for seed in (2, 3)]
    assert sorted([found[KEY].p_value, *again])[1] > 0.05
    assert list(found) == [
        KEY,
        f"{KEY}/auc",
        f"{KEY}/tpr_at_0.1_percent",
        f"{KEY}/tpr_at_1_percent",
    ]


def test_the_ratio_is_that_of_known_normal_distributions():
    """With many shadows the score ranks as the true likelihood ratio does."""
    random = np.random.default_rng(0)
    shadows, persons = 400, 60
    inside = np.zeros((shadows, persons), dtype=bool)
    for person in range(persons):
        inside[random.permutation(shadows)[: shadows // 2], person] = True
    shift, spread = random.normal(1, 0.5, persons), random.uniform(0.5, 2, persons)
    seen = inside * shift + spread * random.normal(size=(shadows, persons))
    real = spread * random.normal(size=persons) + shift * random.integers(0, 2, persons)
    truth = shift / spread * (real - shift / 2) / spread
    seen = np.stack([seen, np.zeros_like(seen)], axis=2)  # a statistic that never varies
    real = np.stack([real, np.zeros_like(real)], axis=1)
    ratio = _ratios(seen, inside, real)
    assert np.corrcoef(ratio, truth)[0, 1] > 0.95


def test_statistics_that_never_vary_tell_nothing():
    nothing = np.ones((6, 5, 2))
    inside = np.arange(30).reshape(6, 5) % 2 == 0
    assert not _ratios(nothing, inside, nothing[0]).any()


def test_the_nearest_distance_is_gowers():
    released = people(80, 5).with_columns(
        pl.when(pl.col("age") > 60).then(None).otherwise(pl.col("weight")).alias("weight"),
        pl.when(pl.col("age") > 50).then(pl.lit("*")).otherwise(pl.col("region")).alias("region"),
    )
    members = people(30, 1).with_columns(
        pl.when(pl.col("age") > 70).then(None).otherwise(pl.col("height")).alias("height"),
        pl.when(pl.col("age") > 50).then(None).otherwise(pl.col("weight")).alias("weight"),
    )
    tables = AttackTables.of(released, members, people(20, 2), SCHEMA)
    targets = np.arange(3, 40)
    found = Surroundings(tables, targets).of(tables.released_frame)
    assert found.shape == (37, len(STATISTICS))
    rows = np.arange(tables.rows)
    cost = sum(column.cost(rows[:, None], targets[None, :]) for column in tables.columns)
    assert found[:, 0] == pytest.approx(cost.min(axis=0) / GRID / len(tables.columns), abs=2e-4)
    near = np.log(np.exp(-cost / GRID / len(tables.columns) / 0.1).mean(axis=0))
    assert found[:, 2] == pytest.approx(near, abs=5e-3)


def test_agreement_counts_how_few_agree():
    """Golden numbers: agreement on a value that a quarter has tells log 4, on a half log 2."""
    real = pl.DataFrame({"letter": ["a", "b", "b", "c"], "number": [1.0, 2.0, 2.0, 4.0]})
    released = pl.DataFrame({"letter": ["a", "a"], "number": [2.0, 9.0]})
    tables = AttackTables.of(released, real, None, Schema(quasi_identifiers=["letter", "number"]))
    first = int(tables.real_frame["letter"].to_list().index("a"))
    found = Surroundings(tables, np.array([first])).of(released[:1])
    # between 1 and 2 lies nobody, and two people have the 2: half the people are as near
    assert found[0, 3] == pytest.approx(np.log(4) + np.log(2), abs=1e-6)


def test_true_positives_are_counted_above_the_last_false_alarm():
    ours, others = np.arange(50.0) + 60, np.arange(100.0)
    figure = _true_positives(ours, others, 0.01, "random people")
    # one control of 100 may be accused: the threshold is the second highest, 98
    assert figure.value == 11 / 50
    assert figure.control == 0.01
    assert figure.interval[0] < figure.value < figure.interval[1]


def test_without_the_technique_nothing_is_computed():
    tables = AttackTables.of(people(9, 3), people(9, 1), people(9, 2), SCHEMA)
    for figure in ShadowModels().run(tables, seed=0).values():
        assert "not known" in figure.because
    assert np.isnan(scores(tables, seed=0)).all()
    with pytest.raises(ValueError, match="technique"):
        likelihood_ratios(tables, np.arange(3), ShadowModels(), seed=0)


def test_a_technique_that_refuses_half_of_the_people_is_reported():
    def refuses(frame, rows, seed):
        raise DataError("too few people")

    tables = replace(attacked(ideal, n=20), remake=refuses)
    assert "too few people" in ShadowModels().run(tables, seed=0)[KEY].because


@pytest.mark.parametrize(("members", "controls"), [(5, 0), (1, 1), (3, 2), (60, 3), (3, 60)])
def test_every_table_gives_a_figure_or_says_why_not(members, controls):
    tables = AttackTables.of(
        people(7, 1), people(members, 2), people(controls, 3), SCHEMA, remake=ideal, synthetic=True
    )
    for figure in ShadowModels(shadows=4).run(tables, seed=0).values():
        assert figure.computed or figure.because
        assert figure.p_value is None or 0 < figure.p_value <= 1


@pytest.mark.parametrize("column", ["illness", "age", "region"])
def test_missing_suppressed_and_constant_cells_are_survived(column):
    for cells in (pl.lit(None), pl.lit("*"), pl.lit("same")):

        def remake(frame, rows, seed, cells=cells):
            return ideal(frame, rows, seed).with_columns(cells.alias(column))

        tables = attacked(remake, n=30)
        for figure in ShadowModels(shadows=4, targets=9).run(tables, seed=0).values():
            assert figure.computed or figure.because


def test_labels_play_no_part_in_the_scores():
    tables = attacked(memorizing(0.2), n=60)
    swapped = replace(tables, member=~tables.member)
    attack = ShadowModels(shadows=4)
    first = scores(tables, seed=1, attack=attack)
    assert np.array_equal(first, scores(swapped, seed=1, attack=attack))


def test_an_odd_number_of_shadows_is_refused():
    with pytest.raises(PlanError, match="shadows"):
        ShadowModels(shadows=7)


@pytest.mark.slow
def test_the_level_is_kept_when_labels_are_exchanged():
    for n, m in ((200, 200), (300, 40)):
        members, controls = people(n, 1), people(m, 2)
        remake = memorizing(0.3)
        tables = AttackTables.of(
            remake(members, n, 7), members, controls, SCHEMA, synthetic=True, remake=remake
        )
        ratio = scores(tables, seed=1, attack=FAST)
        random = np.random.default_rng(5)
        rejected = 0
        for draw in range(400):
            shuffled = random.permutation(n + m)
            found = top_excess(ratio[shuffled[:n]], ratio[shuffled[n:]], seed=draw)
            rejected += found.p_even < 0.05
        assert 0.025 <= rejected / 400 <= 0.08


def test_a_technique_may_read_a_column_that_it_does_not_release():
    def remake(frame, rows, seed):
        return frame.filter(pl.col("region").is_not_null()).drop("region")

    found = FAST.run(attacked(remake, n=100, synthetic=False), seed=1)
    assert found[KEY].computed
    assert found[KEY].p_value < 0.001
