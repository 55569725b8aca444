import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu

from sfumato import Schema
from sfumato.evaluation.attacks.membership_by_distance import (
    MembershipByDistance,
    scores,
)
from sfumato.evaluation.attacks.tables import AttackTables
from sfumato.evaluation.attacks.true_positives import true_positive_rate
from sfumato.evaluation.exchangeability import top_excess

SCHEMA = Schema(quasi_identifiers={"age": None}, rest="other")


def people(n, seed):
    random = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "age": random.integers(18, 90, n),
            **{f"word {i}": random.choice(list("abcdef"), n) for i in range(4)},
            **{f"lab {i}": random.normal(size=n).round(2) for i in range(4)},
        }
    )


def test_scores_by_hand():
    schema = Schema(quasi_identifiers={"x": None}, rest="other")
    released = pl.DataFrame({"x": [0, 100]})
    members, controls = pl.DataFrame({"x": [0, 40]}), pl.DataFrame({"x": [70, 70]})
    tables = AttackTables.of(released, members, controls, schema)
    near = {0: 0.0, 40: 0.4, 70: 0.3}
    # the nearest other person: of 0 it is 40, of 40 it is 70, of either 70 it is the other 70
    other = {0: 0.4, 40: 0.3, 70: 0.0}
    smooth = 0.02 * 0.15  # the median of 0.4, 0.3, 0, 0
    found = scores(tables)
    for value, score in zip(tables.real_frame["x"].to_list(), found, strict=True):
        expected = np.log((other[value] + smooth) / (near[value] + smooth))
        assert score == pytest.approx(expected, abs=1e-3)
    # by density: the mean over the two nearest; of 0 the released are at 0 and 1, others .4 and .7
    found = scores(tables, "density", neighbours=2)
    value = found[tables.real_frame["x"].to_list().index(0)]
    smooth = 0.02 * np.median([0.55, 0.3, 0.15, 0.15])
    assert value == pytest.approx(np.log((0.55 + smooth) / (0.5 + smooth)), abs=1e-3)
    assert np.isfinite(found).all()


def test_scores_do_not_know_who_is_a_member():
    released, some, others = people(80, 1), people(60, 2), people(60, 3)
    once = AttackTables.of(released, some, others, SCHEMA)
    again = AttackTables.of(released, others, some, SCHEMA)
    for by in ("distance", "density"):
        found = scores(once, by)
        swapped = scores(again, by)
        assert (found[once.member] == swapped[~again.member]).all()
        assert (found[~once.member] == swapped[again.member]).all()


@given(
    members=st.lists(st.integers(0, 6), min_size=1, max_size=30),
    controls=st.lists(st.integers(0, 6), min_size=1, max_size=30),
    rate=st.floats(0.01, 0.99),
)
@settings(deadline=None)
def test_the_rate_is_that_of_accusing_by_chance_at_the_threshold(members, controls, rate):
    members, controls = np.array(members, float), np.array(controls, float)
    found = true_positive_rate(members, controls, rate)
    # between the corners of the curve, one for each threshold
    thresholds = [*range(7, -1, -1)]
    false = [(controls >= t).mean() for t in thresholds]
    true = [(members >= t).mean() for t in thresholds]
    keep = np.concatenate([[True], np.diff(false) > 0])
    ends = [
        max(t for f, t in zip(false, true, strict=True) if f == corner)
        for corner in np.array(false)[keep]
    ]
    starts = [
        min(t for f, t in zip(false, true, strict=True) if f == corner)
        for corner in np.array(false)[keep]
    ]
    corners = np.array(false)[keep]
    place = np.searchsorted(corners, rate)
    if np.isclose(corners, rate).any():
        at = int(np.isclose(corners, rate).argmax())
        assert starts[at] - 1e-9 <= found <= ends[at] + 1e-9
        return
    part = (rate - corners[place - 1]) / (corners[place] - corners[place - 1])
    expected = ends[place - 1] + part * (starts[place] - ends[place - 1])
    assert found == pytest.approx(expected)


def test_a_copy_gives_its_members_away():
    members, controls = people(1_000, 1), people(1_000, 2)
    figures = MembershipByDistance(vulnerable=0.2).run(
        AttackTables.of(members, members, controls, SCHEMA), seed=0
    )
    for by in ("distance", "distance/vulnerable", "density"):
        prefix = f"membership/{by}"
        assert figures[f"{prefix}/top"].p_value < 1e-3
        top = figures[f"{prefix}/top"]
        assert top.value > top.baseline
        assert 0 < top.detectable < 0.1
        assert figures[f"{prefix}/auc"].value > 0.95
        rate = figures[f"{prefix}/tpr_at_1_percent"]
        assert rate.value > 0.8
        assert rate.interval[0] <= rate.value <= rate.interval[1]
        assert rate.upper >= rate.value - 0.01
    assert figures["membership/distance/vulnerable/auc"].attacks in range(400, 450)
    thin = figures["membership/distance/vulnerable/tpr_at_0.1_percent"]
    assert "at least 1,000 are needed" in thin.because


def test_few_copies_are_found_at_the_top_and_not_on_average():
    members, controls = people(1_500, 3), people(1_500, 4)
    released = pl.concat([people(1_480, 5), members[:20]])
    figures = MembershipByDistance(neighbours=0, vulnerable=0).run(
        AttackTables.of(released, members, controls, SCHEMA), seed=0
    )
    assert set(figures) == {
        f"membership/distance/{key}"
        for key in ("top", "tpr_at_0.1_percent", "tpr_at_1_percent", "auc")
    }
    assert figures["membership/distance/top"].p_value < 0.001
    low, high = figures["membership/distance/auc"].interval
    assert low < 0.52
    assert high < 0.56


def test_the_area_is_that_of_mann_and_whitney():
    tables = AttackTables.of(people(50, 1), people(70, 2), people(40, 3), SCHEMA)
    figure = MembershipByDistance(vulnerable=0, neighbours=0).run(tables, seed=0)
    score = scores(tables)
    found = mannwhitneyu(score[tables.member], score[~tables.member]).statistic / (70 * 40)
    assert figure["membership/distance/auc"].value == pytest.approx(found)


@pytest.mark.parametrize(("n", "n_members", "n_controls"), [(1, 1, 1), (3, 40, 2), (50, 4, 40)])
def test_any_sizes_give_figures(n, n_members, n_controls):
    sizes = people(n, 1), people(n_members, 2), people(n_controls, 3)
    empty = pl.DataFrame({"age": [None] * 4, "word": [None] * 4})
    for tables in (sizes, (empty, empty, empty)):
        figures = MembershipByDistance(most=10).run(AttackTables.of(*tables, SCHEMA), seed=0)
        assert len(figures) == 16
        for figure in figures.values():
            assert figure.because or 0 <= figure.value <= 1
            assert not (figure.because and figure.value is not None)


def test_it_is_said_why_nothing_was_computed():
    table = people(5, 9)
    for released, members, controls, because in (
        (table.clear(), table, table, "no rows"),
        (table, table, None, "no control people"),
        (table, table.clear(), table, "no members"),
    ):
        figures = MembershipByDistance().run(
            AttackTables.of(released, members, controls, SCHEMA), seed=0
        )
        assert len(figures) == 16
        assert all(because in figure.because for figure in figures.values())


@pytest.mark.slow
def test_the_level_is_the_stated_one_where_labels_mean_nothing():
    random = np.random.default_rng(10)
    tables = AttackTables.of(people(300, 1), people(400, 2), people(100, 3), SCHEMA)
    for by in ("distance", "density"):
        score = scores(tables, by)
        p_values = []
        for seed in range(2_000):
            member = random.permutation(tables.member)
            p_values.append(top_excess(score[member], score[~member], seed=seed).p_even)
        assert 0.035 <= np.mean(np.array(p_values) < 0.05) <= 0.065
