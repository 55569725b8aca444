from itertools import combinations
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import entropy, spearmanr, wasserstein_distance

from sfumato.errors import DataError, SchemaError
from sfumato.evaluation.alignment import SUPPRESSED, align
from sfumato.evaluation.association import associations, ranked
from sfumato.evaluation.utility import UtilityTables
from sfumato.evaluation.utility.binning import bin_columns
from sfumato.evaluation.utility.dependence import association_change
from sfumato.evaluation.utility.distances import number_distances, wasserstein
from sfumato.evaluation.utility.footing import CONTROL, REAL, RELEASED
from sfumato.evaluation.utility.groups import group_columns, group_fidelity
from sfumato.evaluation.utility.marginals import Marginals, marginal_fidelity
from sfumato.evaluation.utility.queries import range_counts
from sfumato.evaluation.utility.rare_values import RareValues, rare_value_fidelity
from sfumato.table import Hierarchy, Schema

DATA = Path(__file__).parents[1] / "data"
REST = Schema(rest="other")


def tables(released, real, control=None, schema=REST, **options):
    return UtilityTables.of(released, real, control, schema, **options)


def binned(found, **options):
    return bin_columns(found.columns, **options)


# --- one footing -----------------------------------------------------------------------------


def test_a_generalized_number_is_spread_evenly_over_what_it_covers():
    schema = Schema(quasi_identifiers={"age": Hierarchy.bands([10, 20])}, rest="other")
    real = pl.DataFrame({"age": list(range(40)) * 5})
    found = tables(pl.DataFrame({"age": ["[0, 10)", "[20, 40)"] * 100}), real, schema=schema)
    assert found.spelled_out == ("age",)
    values, counts = np.unique(found.columns[0].content[RELEASED], return_counts=True)
    # 100 rows over 0 to 9 are 10 each, 100 rows over 20 to 39 are 5 each
    assert dict(zip(values.tolist(), counts.tolist(), strict=True)) == {
        **{float(age): 10 for age in range(10)},
        **{float(age): 5 for age in range(20, 40)},
    }


def test_a_generalized_category_is_spread_evenly_and_a_star_stays_a_value():
    tree = Hierarchy.mapping({"a": "north", "b": "north", "c": "south", "d": "south"})
    schema = Schema(quasi_identifiers={"place": tree}, rest="other")
    real = pl.DataFrame({"place": ["a", "b", "c", "d"] * 25})
    released = pl.DataFrame({"place": ["north"] * 60 + ["c"] * 20 + ["*"] * 20})
    column = tables(released, real, schema=schema).columns[0]
    shown = column.content[RELEASED]
    counts = {label: int((shown == code).sum()) for code, label in enumerate(column.labels)}
    assert counts == {"a": 30, "b": 30, "c": 20, "d": 0}
    assert (column.state[RELEASED] == SUPPRESSED).sum() == 20


def test_rows_written_as_the_release_is_are_compared_as_they_are():
    words = pl.DataFrame({"age": ["[0, 10)", "[10, 20)", None] * 20})
    found = tables(words, words, words)
    assert found.spelled_out == ()
    assert binned(found)[0].size == 3


def test_a_column_written_otherwise_is_left_out_with_a_note():
    real = pl.DataFrame({"a": ["x", "y"], "b": [1, 2]})
    found = tables(pl.DataFrame({"a": ["p", "q"], "b": [1, 2]}), real)
    assert [column.name for column in found.columns] == ["b"]
    assert "hierarchy" in found.notes[0]


def test_dates_booleans_and_infinities_come_back_in_their_types():
    real = pl.DataFrame(
        {
            "day": pl.Series(["2020-01-01", "2020-03-01"]).str.to_date(),
            "yes": [True, None],
            "number": [float("inf"), 2.5],
        }
    )
    frame = tables(real, real).frame(RELEASED)
    assert frame.schema == real.schema
    assert frame["number"].to_list() == [None, 2.5]
    assert frame.drop("number").equals(real.drop("number"))


def test_what_cannot_be_compared_at_all_is_an_error():
    one = pl.DataFrame({"a": [1]})
    with pytest.raises(DataError, match="no rows"):
        tables(one.clear(), one)
    with pytest.raises(DataError, match="in common"):
        tables(pl.DataFrame({"b": [1]}), one)
    with pytest.raises(SchemaError, match="no column"):
        tables(one, one, columns=["zz"])
    with pytest.raises(SchemaError, match="control"):
        tables(one, one, pl.DataFrame({"b": [1]}))


# --- cells -----------------------------------------------------------------------------------


def test_few_values_are_cells_of_their_own_and_many_are_cut_by_quantiles():
    real = pl.DataFrame({"few": [0, 1, 2, 2] * 250, "many": np.arange(1000.0)})
    other = pl.DataFrame({"few": [0.5, 1.0, 2.0, 2.0] * 250, "many": np.arange(1000.0)})
    few, many = binned(tables(other, real), bins=10)
    # 0.5 is no real value: it has a cell of its own, not that of 0 or of 1
    assert few.shares(RELEASED).tolist() == [0.0, 0.25, 0.25, 0.5]
    assert few.shares(REAL).tolist() == [0.25, 0.0, 0.25, 0.5]
    assert many.size == 10
    assert many.shares(REAL) == pytest.approx(np.full(10, 0.1), abs=0.002)


def test_a_spike_is_a_cell_of_its_own():
    random = np.random.default_rng(0)
    real = pl.DataFrame({"x": np.concatenate([np.zeros(300), random.normal(size=700)])})
    shifted = real.with_columns(pl.when(pl.col("x") == 0).then(1e-9).otherwise("x").alias("x"))
    (column,) = binned(tables(shifted, real))
    marginals, _ = marginal_fidelity([column], three_way=0)
    assert marginals.one_way[0].value == pytest.approx(0.3)


CELLS = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "*", None]),
        st.sampled_from([0, 1, 2, None]),
        st.sampled_from(["x", "y", None]),
    ),
    min_size=1,
    max_size=30,
)
NAMES = ["p", "q", "r"]
TYPES = {"p": pl.String, "q": pl.Int64, "r": pl.String}


def frame(rows):
    return pl.DataFrame(rows, schema=TYPES, orient="row")


@given(real=CELLS, released=CELLS, control=CELLS)
@settings(deadline=None, max_examples=40)
def test_marginals_by_counting_tuples(real, released, control):
    found = tables(frame(released), frame(real), frame(control))
    marginals, _ = marginal_fidelity(binned(found), three_way=5)
    known = [column.name for column in found.columns]
    shown = {
        one.columns: one for one in (*marginals.one_way, *marginals.two_way, *marginals.three_way)
    }
    for way in (1, 2, 3):
        for names in combinations(known, way):
            places = [NAMES.index(name) for name in names]

            def share(rows, cell, places=places):
                return sum(tuple(row[i] for i in places) == cell for row in rows) / len(rows)

            # values that no real row has are one cell: told apart they would be worth as much
            cells = {tuple(row[i] for i in places) for row in (*real, *released, *control)}
            for other, value in ((released, shown[names].value), (control, shown[names].control)):
                expected = 0.5 * sum(abs(share(real, c) - share(other, c)) for c in cells)
                real_cells = {tuple(row[i] for i in places) for row in real}
                assert value <= expected + 1e-12
                if cells == real_cells:
                    assert value == pytest.approx(expected)
    assert Marginals.from_dict(marginals.to_dict()) == marginals


def test_the_means_and_the_worst_by_hand():
    real = pl.DataFrame({"p": ["a", "a", "b", "b"], "q": ["x", "x", "y", "y"]})
    released = pl.DataFrame({"p": ["a", "a", "b", "b"], "q": ["x", "y", "x", "y"]})
    marginals, _ = marginal_fidelity(binned(tables(released, real, real)))
    figures = marginals.figures
    assert figures["marginals/1_way"].value == 0.0
    assert figures["marginals/2_way"].value == pytest.approx(0.5)
    assert figures["marginals/2_way"].control == 0.0
    assert "p x q" in figures["marginals/2_way/worst"].meaning
    assert figures["marginals/2_way/excess"].value == pytest.approx(0.5)
    assert figures["marginals/3_way"].value is None
    assert marginals.counted == (2, 1, 0)


def test_a_fresh_sample_has_no_excess_however_few_the_controls():
    random = np.random.default_rng(1)

    def people(n):
        x = random.normal(size=n)
        return pl.DataFrame({"x": x, "y": x + random.normal(size=n), "z": random.integers(0, 9, n)})

    found = tables(people(4_000), people(4_000), people(200))
    figures = marginal_fidelity(binned(found))[0].figures
    assert figures["marginals/2_way"].control > 3 * figures["marginals/2_way"].value
    for way in (1, 2, 3):
        excess = figures[f"marginals/{way}_way/excess"]
        assert abs(excess.value) < 0.03
        assert excess.interval[0] < 0 < excess.interval[1]


def test_intervals_of_marginals_hold_the_truth():
    # two populations that differ by 0.1 in total variation
    random = np.random.default_rng(2)
    inside = 0
    for _ in range(60):
        real = pl.DataFrame({"a": random.choice(["x", "y", "z"], 300, p=[0.5, 0.3, 0.2])})
        other = pl.DataFrame({"a": random.choice(["x", "y", "z"], 300, p=[0.4, 0.4, 0.2])})
        figure = marginal_fidelity(binned(tables(other, real)))[0].figures["marginals/1_way"]
        inside += figure.interval[0] <= 0.1 <= figure.interval[1]
    assert inside >= 57


def test_three_way_marginals_are_drawn_by_the_seed():
    random = np.random.default_rng(0)
    table = pl.DataFrame({f"c{i}": random.integers(0, 3, 50) for i in range(9)})
    other = pl.DataFrame({f"c{i}": random.integers(0, 3, 50) for i in range(9)})
    columns = binned(tables(other, table))
    first, again, otherwise = (
        marginal_fidelity(columns, three_way=20, seed=seed)[0] for seed in (1, 1, 2)
    )
    assert first.counted == (9, 36, 20)
    assert first.possible == (9, 36, 84)
    assert first == again
    assert first.three_way != otherwise.three_way
    every = marginal_fidelity(columns, three_way=100)[0]
    assert every.counted[2] == 84


def test_marginals_do_not_depend_on_the_order_of_rows_or_columns():
    random = np.random.default_rng(3)
    real, other = (
        pl.DataFrame({"a": random.normal(size=300), "b": random.choice(["x", "y"], 300)})
        for _ in range(2)
    )
    value = marginal_fidelity(binned(tables(other, real)))[0].figures["marginals/2_way"].value
    mixed = tables(other.sample(fraction=1, shuffle=True, seed=1), real.select("b", "a").reverse())
    again = marginal_fidelity(binned(mixed))[0].figures["marginals/2_way"].value
    assert again == pytest.approx(value, abs=1e-12)


# --- numbers ---------------------------------------------------------------------------------


@given(
    st.lists(st.integers(-20, 20), min_size=1, max_size=40),
    st.lists(st.integers(-20, 20), min_size=1, max_size=40),
)
@settings(deadline=None, max_examples=80)
def test_wasserstein_agrees_with_scipy(first, second):
    found = wasserstein(np.array(first, dtype=float), np.array(second, dtype=float))
    assert found.value == pytest.approx(wasserstein_distance(first, second), abs=1e-9)


def test_the_standard_error_of_a_shift_is_that_of_a_difference_of_means():
    # far apart, the distance is the difference of means
    random = np.random.default_rng(0)
    first, second = random.normal(size=400), random.normal(50, 2, size=300)
    found = wasserstein(first, second)
    assert found.value == pytest.approx(second.mean() - first.mean())
    assert found.standard_error == pytest.approx(np.sqrt(first.var() / 400 + second.var() / 300))


def test_what_chance_makes_of_equals_agrees_with_simulation():
    random = np.random.default_rng(0)
    seen, told = [], []
    for _ in range(400):
        found = wasserstein(random.uniform(size=300), random.uniform(size=500))
        seen.append(found.value)
        told.append(found.by_chance)
    assert np.mean(told) == pytest.approx(np.mean(seen), rel=0.06)


def test_wasserstein_intervals_hold_the_truth():
    random = np.random.default_rng(0)
    for shift in (0.0, 0.1, 1.0):
        inside = 0
        for _ in range(60):
            real = pl.DataFrame({"x": random.uniform(size=200)})
            other = pl.DataFrame({"x": random.uniform(size=200) + shift})
            figure = number_distances(tables(other, real).columns).columns[0].wasserstein
            scale = figure.value / wasserstein(real["x"].to_numpy(), other["x"].to_numpy()).value
            inside += figure.interval[0] <= shift * scale <= figure.interval[1]
        assert inside >= 56


def test_distances_of_numbers_are_in_interquartile_ranges():
    real = pl.DataFrame({"x": np.arange(101.0)})
    other = pl.DataFrame({"x": np.arange(101.0) + 25})
    found = number_distances(tables(other, real, real).columns)
    assert found.columns[0].scale == 50.0
    assert found.figures["distances/wasserstein"].value == pytest.approx(0.5)
    assert found.figures["distances/wasserstein"].control == 0.0
    assert found.figures["distances/kolmogorov_smirnov"].value == pytest.approx(25 / 101)


def test_numbers_that_do_not_vary_say_so():
    real = pl.DataFrame({"x": [1.0] * 5})
    found = number_distances(tables(real, real).columns)
    assert "vary" in found.columns[0].wasserstein.because
    assert found.figures["distances/wasserstein"].value is None


# --- association -----------------------------------------------------------------------------


def test_ranks_give_spearmans_correlation():
    random = np.random.default_rng(0)
    x, y = random.integers(0, 9, 200), random.normal(size=200)
    table = pl.DataFrame({"x": x, "y": np.exp(y + x)})
    columns = [ranked(align(name, [table[name]])) for name in table.columns]
    expected = spearmanr(table["x"], table["y"]).statistic
    assert associations(columns)[0][0, 1] == pytest.approx(expected)


def test_theils_u_by_its_definition():
    random = np.random.default_rng(0)
    a = random.integers(0, 3, 400)
    b = np.where(random.random(400) < 0.6, a, random.integers(0, 4, 400))
    table = pl.DataFrame({"a": a.astype(str), "b": b.astype(str)})
    _, dependence = marginal_fidelity(binned(tables(table, table)))
    counts = np.histogram2d(a, b, bins=(3, 4))[0]
    within = sum(counts[:, j].sum() / 400 * entropy(counts[:, j]) for j in range(4))
    expected = 1 - within / entropy(counts.sum(axis=1))
    assert dependence.uncertainty[REAL][0, 1] == pytest.approx(expected)
    assert dependence.uncertainty[REAL][1, 0] != pytest.approx(expected, abs=1e-3)


def test_a_broken_tie_is_named_and_an_unbroken_one_is_not():
    random = np.random.default_rng(0)
    x = random.normal(size=500)
    real = pl.DataFrame({"x": x, "y": x + 0.1 * random.normal(size=500), "z": ["a", "b"] * 250})
    broken = real.with_columns(pl.col("y").shuffle(seed=1))
    found = tables(broken, real, real)
    _, dependence = marginal_fidelity(binned(found))
    changes = association_change(found.columns, dependence, target="z")
    assert changes.measures[0].worst[0].columns == ("x", "y")
    assert "x and y" in changes.figures["associations/mixed/worst"].meaning
    assert changes.figures["associations/mixed/worst"].value > 0.9
    assert changes.figures["associations/rank"].control == 0.0
    assert changes.figures["associations/mixed/target"].value < 0.1


# --- rare values and groups ------------------------------------------------------------------


def test_rare_values_by_hand():
    real = ["common"] * 980 + ["nine"] * 9 + ["five"] * 5 + ["six"] * 6
    released = ["common"] * 939 + ["five"] * 50 + ["six"] * 6 + ["new"] * 5
    found = rare_value_fidelity(
        tables(pl.DataFrame({"a": released}), pl.DataFrame({"a": real})).columns, people=6
    )
    (column,) = found.columns
    assert (column.rare, column.kept, column.few_people, column.few_people_kept) == (3, 2, 1, 1)
    assert (column.inflated, column.deflated, column.invented) == (1, 1, 1)
    assert column.expected == pytest.approx(3 - 0.991**1000 - 0.995**1000 - 0.994**1000)
    assert column.rows_real == pytest.approx(0.02)
    assert column.rows_released == pytest.approx(0.056)
    assert found.figures["rare/kept"].value == pytest.approx(2 / 3)
    assert not any(word in str(found.to_dict()) for word in ("nine", "five", "six"))
    assert RareValues.from_dict(found.to_dict()) == found


def test_no_rare_value_is_said_so():
    table = pl.DataFrame({"a": ["x", "y"] * 20})
    figures = rare_value_fidelity(tables(table, table).columns).figures
    assert figures["rare/kept"].value is None
    assert figures["rare/invented"].value == 0


def test_the_group_that_is_served_worst_is_named():
    random = np.random.default_rng(0)
    sex, x = random.choice(["f", "m"], 600), random.choice(["p", "q"], 600)
    real = pl.DataFrame({"sex": sex, "x": x})
    released = real.with_columns(
        pl.when(pl.col("sex") == "f").then(pl.lit("p")).otherwise("x").alias("x")
    )
    schema = Schema(quasi_identifiers=["sex"], rest="other")
    found = tables(released, real, real, schema=schema)
    groups = group_fidelity(group_columns(found, None), binned(found))
    by_name = {one.group: one for one in groups.groups}
    expected = real.filter(pl.col("sex") == "f").select((pl.col("x") == "q").mean()).item()
    assert by_name["f"].value == pytest.approx(expected)
    assert by_name["m"].value == 0.0
    assert by_name["f"].control == 0.0
    assert "served worst is f" in groups.figures["groups/sex/worst"].meaning


def test_small_groups_are_neither_measured_nor_named_and_a_lost_one_counts_in_full():
    real = pl.DataFrame({"g": ["a"] * 60 + ["b"] * 60 + ["tiny"] * 9, "x": [1, 2, 3] * 43})
    released = real.filter(pl.col("g") == "a")
    found = tables(released, real)
    groups = group_fidelity(group_columns(found, ["g", "zz"]), binned(found))
    assert [one.group for one in groups.groups] == ["a", "b"]
    assert groups.groups[1].value == 1.0
    assert groups.left_out == 1
    assert "tiny" not in str(groups.to_dict())
    assert group_fidelity([], binned(found)).figures["groups/mean"].value is None


def test_random_range_counts():
    random = np.random.default_rng(0)
    real, other = (
        pl.DataFrame({"x": random.normal(size=2000), "y": random.choice(["a", "b", "c"], 2000)})
        for _ in range(2)
    )
    columns = binned(tables(real, real, other))
    figures = range_counts(columns, queries=50, seed=1)
    assert figures["queries/range_mean"].value == 0.0
    assert 0 < figures["queries/range_median"].control < 0.3
    assert range_counts(columns, queries=0) == {}
    assert len(columns[0].codes) == CONTROL + 1
