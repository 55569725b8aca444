"""Secrets solved for from counts: planted secrets are found, decoys keep the test exact."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from sfumato.anonymization import Mondrian
from sfumato.evaluation.attacks.attack_features import Classes
from sfumato.evaluation.attacks.count_equations import CountEquations
from sfumato.evaluation.attacks.reconstruction import (
    LinearReconstruction,
    _area,
    _ranked_rightly,
    _wanted,
    scores,
)
from sfumato.evaluation.attacks.tables import AttackTables
from sfumato.evaluation.exchangeability import excess
from sfumato.release import anonymize
from sfumato.table import Schema

SCHEMA = Schema(
    quasi_identifiers={"age": None, "region": None, "job": None},
    sensitive=["illness"],
    rest="other",
)
KEY = "reconstruction/illness"


def people(n, seed, values=("gout", "flu")):
    random = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "age": random.integers(18, 90, n),
            "region": random.choice(["north", "south", "east", "west"], n),
            "job": random.choice(list("abcdefgh"), n),
            "weight": random.normal(70, 12, n).round(1),
            "illness": random.choice(list(values), n),
        }
    )


def attacked(released, n=600):
    return AttackTables.of(released, people(n, 1), people(n, 2), SCHEMA)


def test_a_copy_is_solved_and_fresh_people_are_not():
    copy = LinearReconstruction().run(attacked(people(600, 1)), seed=0)
    assert copy[KEY].value > 0.7
    assert copy[KEY].control < 0.56
    assert copy[KEY].p_value < 0.001
    assert copy[KEY].interval[0] > 0.6
    fresh = LinearReconstruction().run(attacked(people(600, 3)), seed=0)
    assert fresh[KEY].p_value > 0.01
    assert fresh[KEY].value == pytest.approx(0.5, abs=0.06)
    assert fresh[KEY].interval[0] < fresh[KEY].control < fresh[KEY].interval[1]


def test_a_copied_secret_is_solved_though_all_other_cells_are_fresh():
    released = people(600, 1).with_columns(people(600, 9)["weight"])
    figures = LinearReconstruction(vulnerable=0.1).run(attacked(released), seed=0)
    assert figures[KEY].p_value < 0.001
    assert figures[f"{KEY}/vulnerable"].p_value < 0.05
    assert figures[f"{KEY}/vulnerable"].attacks < figures[KEY].attacks


def test_shuffled_secrets_are_not_solved():
    released = people(600, 1)
    released = released.with_columns(released["illness"].shuffle(seed=4))
    assert LinearReconstruction().run(attacked(released), seed=0)[KEY].p_value > 0.01


def test_more_released_rows_are_stronger():
    """A model that has learned each member's secret with much noise, and is asked often."""
    members = people(600, 1)
    random = np.random.default_rng(0)
    reached = []
    for times in (1, 8):
        rows = pl.concat([members] * times)
        wrong = random.random(rows.height) < 0.35
        other = rows["illness"].replace_strict({"gout": "flu", "flu": "gout"})
        noisy = rows.with_columns(illness=rows["illness"].zip_with(pl.Series(~wrong), other))
        figure = LinearReconstruction().run(attacked(noisy), seed=0)[KEY]
        reached.append(figure.value - figure.control)
    assert reached[1] > reached[0] + 0.03


def test_a_generalized_release_is_solved_through_its_sets():
    members = people(1500, 1)
    release = anonymize(members, SCHEMA, Mondrian(k=2))
    tables = AttackTables.of(release.data, members, people(1500, 2), SCHEMA)
    assert LinearReconstruction().run(tables, seed=0)[KEY].p_value < 0.001


def test_secrets_of_many_values_and_numbers_are_split():
    members = people(500, 1, values="abcde")
    tables = AttackTables.of(members, members, people(500, 2, values="abcde"), SCHEMA)
    figures = LinearReconstruction(columns=("illness", "weight")).run(tables, seed=0)
    assert figures[KEY].p_value < 0.001
    assert figures["reconstruction/weight"].p_value < 0.001


def test_the_solver_agrees_with_a_dense_ridge_regression():
    """An independent oracle: one unknown a person, equations written out, solved directly."""
    random = np.random.default_rng(3)
    n, m = 40, 60
    looks = [
        [(random.integers(0, 4, m), random.integers(0, 4, n))],
        [(random.integers(0, 3, m), random.integers(0, 3, n))],
    ]
    has = random.integers(0, 2, m)
    told = np.ones(m, dtype=bool)
    system = CountEquations.of(looks, told, has[:, None] == 1, marginals=2, ways=4, random=random)
    solved = system.solve(0.5, 200)[:, 0]
    keys = looks[0][0][1] * 10 + looks[1][0][1]
    shown = looks[0][0][0] * 10 + looks[1][0][0]
    left, right = [], []
    for _ in range(2):  # both sets hold both columns, exactly
        for cell in np.unique(keys):
            rows = shown == cell
            if rows.any():
                weight = np.sqrt(rows.sum() / 2)
                left.append(weight * (keys == cell) / (keys == cell).sum())
                right.append(weight * (has[rows].mean() - has.mean()))
    left, right = np.array(left), np.array(right)
    expected = np.linalg.solve(left.T @ left + 0.5 * np.eye(n), left.T @ right)
    assert solved == pytest.approx(expected, abs=1e-9)


def test_secrets_solved_together_are_those_solved_one_by_one():
    """Equations of secrets that the same rows tell are shared; the answers must not be."""
    tables = attacked(people(600, 1))
    attack = LinearReconstruction(columns=("illness", "weight"))
    figures = attack.run(tables, seed=0)
    alone = LinearReconstruction(columns=("illness",)).run(tables, seed=0)
    assert figures[KEY].value == alone[KEY].value
    assert figures[KEY].p_value == alone[KEY].p_value
    assert figures["reconstruction/weight"].value != figures[KEY].value


def test_the_share_ranked_rightly_is_the_area_under_the_curve():
    from sklearn.metrics import roc_auc_score

    random = np.random.default_rng(0)
    solution, has = random.integers(0, 6, 90) / 6, random.random(90) < 0.4
    share = _ranked_rightly(solution, has)
    area = roc_auc_score(has, solution)
    assert share[has].mean() == pytest.approx(area)
    assert share[~has].mean() == pytest.approx(area)
    solution = random.normal(size=(2000, 60)) + 0.7 * np.repeat([[0], [1]], 30, axis=1).reshape(60)
    found = [_area(one[:, None], np.arange(60)[:, None] >= 30) for one in solution]
    areas, spreads = np.array(found).T
    assert areas[0] == pytest.approx(roc_auc_score(np.arange(60) >= 30, solution[0]))
    assert spreads.mean() == pytest.approx(areas.std(), rel=0.1)


def test_one_of_two_values_tells_both():
    def of(real, count):
        nobody = np.zeros(0, dtype=np.int64)
        return Classes(nobody, np.array(real), np.zeros(0, dtype=bool), count)

    assert _wanted(of([0, 1, 1], 3)) == [1]
    assert _wanted(of([0, 1, 2], 3)) == [0, 1]
    assert _wanted(of([0, 0, 0], 2)) == []
    assert _wanted(of([0, 1, 2], 4)) == [0, 1, 2]


@pytest.mark.parametrize(
    ("released", "members", "controls"),
    [(5, 5, 0), (1, 1, 1), (0, 4, 4), (3, 200, 9), (40, 9, 200), (2, 1, 3)],
)
def test_every_table_gives_a_figure_or_says_why_not(released, members, controls):
    tables = AttackTables.of(people(released, 1), people(members, 2), people(controls, 3), SCHEMA)
    for figure in LinearReconstruction(marginals=4).run(tables, seed=0).values():
        assert figure.computed or figure.because
        assert figure.p_value is None or 0 < figure.p_value <= 1


@pytest.mark.parametrize("column", ["illness", "age", "region"])
def test_missing_suppressed_and_constant_cells_are_survived(column):
    for cells in (pl.lit(None), pl.lit("*"), pl.lit("same")):
        released = people(60, 1).with_columns(cells.alias(column))
        tables = AttackTables.of(released, people(60, 2), people(60, 3), SCHEMA)
        for figure in LinearReconstruction(marginals=4).run(tables, seed=0).values():
            assert figure.computed or figure.because
        real = people(60, 2).with_columns(cells.alias(column))
        tables = AttackTables.of(released, real, real, SCHEMA)
        for figure in LinearReconstruction(marginals=4, vulnerable=0).run(tables, seed=0).values():
            assert figure.computed or figure.because


def test_nothing_known_or_no_secret_is_said():
    only = Schema(sensitive=["illness"])
    rows = people(20, 1).select("illness")
    tables = AttackTables.of(rows, rows, rows, only)
    assert "nothing else" in LinearReconstruction().run(tables, seed=0)[KEY].because
    absent = LinearReconstruction(columns=("shoe size",)).run(tables, seed=0)
    assert "shoe size" in absent["reconstruction/shoe size"].because
    bare = Schema(quasi_identifiers=["illness"])
    tables = AttackTables.of(rows, rows, rows, bare)
    assert not LinearReconstruction().run(tables, seed=0)["reconstruction"].computed


def test_labels_play_no_part_in_the_scores():
    tables = AttackTables.of(people(90, 1), people(80, 1), people(80, 2), SCHEMA)
    swapped = replace(tables, member=~tables.member)
    first = scores(tables, "illness", seed=1)
    assert np.array_equal(first, scores(swapped, "illness", seed=1))
    assert len(np.unique(first)) <= 21


def test_results_depend_on_neither_order_nor_names_nor_types():
    tables = [people(200, 1), people(200, 1), people(150, 2)]
    plain = LinearReconstruction().run(AttackTables.of(*tables, SCHEMA), seed=3)
    hidden = [
        table.with_columns(
            pl.col("illness").replace({"gout": "g\"o'ut ü"}).cast(pl.Categorical),
            pl.col("age").cast(pl.Float64),
        )
        .sample(fraction=1, shuffle=True, seed=seed)
        .select(reversed(table.columns))
        for seed, table in enumerate(tables)
    ]
    again = LinearReconstruction().run(AttackTables.of(*hidden, SCHEMA), seed=3)
    assert {key: one.value for key, one in plain.items()} == {
        key: one.value for key, one in again.items()
    }


@pytest.mark.slow
@pytest.mark.long
def test_the_level_is_kept_when_labels_are_exchanged():
    for n, m in ((300, 300), (600, 60)):
        tables = AttackTables.of(people(n, 1), people(n, 1), people(m, 2), SCHEMA)
        score = scores(tables, "illness", seed=1)
        random = np.random.default_rng(5)
        rejected = 0
        for draw in range(200):
            shuffled = random.permutation(n + m)
            found = excess(score[shuffled[:n]], score[shuffled[n:]], seed=draw)
            rejected += found.p_even < 0.05
        assert 0.015 <= rejected / 200 <= 0.1
