import json
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ks_2samp
from scipy.stats.contingency import association as scipy_association

from sfumato.errors import DataError, SchemaError
from sfumato.evaluation import Fidelity, Figure, fidelity
from sfumato.evaluation.alignment import align
from sfumato.evaluation.association import associations
from sfumato.evaluation.intervals import difference_of_shares, distribution_reach, share_reach

HEART = Path(__file__).parents[1] / "data" / "heart_sample.parquet"


def column(real, released, control=None, name="a"):
    tables = [pl.DataFrame({name: one}) for one in (real, released, control) if one is not None]
    return fidelity(*tables).columns[0]


# --- distances ---------------------------------------------------------------------------------


@given(
    real=st.lists(st.integers(-5, 60), min_size=1, max_size=60),
    released=st.lists(st.integers(-5, 60), min_size=1, max_size=60),
)
@settings(deadline=None, max_examples=50)
def test_numbers_by_the_definition_of_kolmogorov_and_smirnov(real, released):
    expected = max(
        abs(np.mean(np.array(real) <= point) - np.mean(np.array(released) <= point))
        for point in {*real, *released}
    )
    assert column(real, released).distance.value == pytest.approx(expected)


@given(
    real=st.lists(st.sampled_from(["a", "b", "*", None]), min_size=1, max_size=40),
    released=st.lists(st.sampled_from(["a", "c", "*", None]), min_size=1, max_size=40),
)
@settings(deadline=None, max_examples=50)
def test_categories_by_hand(real, released):
    cells = set(real) | set(released)
    expected = 0.5 * sum(
        abs(real.count(cell) / len(real) - released.count(cell) / len(released)) for cell in cells
    )
    found = column(pl.Series(real, dtype=pl.String), pl.Series(released, dtype=pl.String))
    assert found.distance.value == pytest.approx(expected)
    low, high = found.distance.interval
    assert 0 <= low <= expected + 1e-12
    assert expected - 1e-12 <= high <= 1


def test_missing_numbers_are_not_dropped_in_silence():
    # The known values agree; half of the released ones are missing.
    found = column([1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, 4.0, None, None, None, None])
    assert found.distance.value == pytest.approx(0.5)
    assert found.total_variation.value == pytest.approx(0.5)


def test_suppressed_numbers_are_still_numbers():
    random = np.random.default_rng(0)
    real = random.normal(80, 10, 1_000).round(1)
    released = [str(value) for value in real]
    released[:250] = ["*"] * 250
    found = column(real, released)
    assert found.kind == "number"
    assert found.distance.value == pytest.approx(0.25, abs=0.001)
    assert found.histogram.labels[-1] == "*"


@pytest.mark.parametrize(
    ("real", "released"),
    [
        (pl.Series([1, 0] * 20, dtype=pl.Int8), pl.Series([True, False] * 20)),
        (pl.Series([80.0, 81.0] * 20), pl.Series(["80", "81"] * 20)),
        (pl.Series(["a", "b"] * 20), pl.Series(["a", "b"] * 20, dtype=pl.Categorical)),
        (pl.Series([True, False] * 20), pl.Series(["true", "false"] * 20)),
        (pl.Series([date(2020, 1, 1)] * 9), pl.Series([date(2020, 1, 1)] * 9).cast(pl.Datetime)),
    ],
)
def test_the_type_a_column_is_kept_in_does_not_matter(real, released):
    assert column(real, released).distance.value == 0
    assert column(released, real).distance.value == 0


def test_the_interval_holds_the_true_distance():
    """The intervals are conservative: they must cover at least 95 % of the time."""
    random = np.random.default_rng(1)
    inside = {"number": 0, "category": 0}
    for _ in range(100):
        # True distances: 0.1 between these categories; 0.1 between these uniform numbers.
        found = column(
            random.choice(["a", "b", "c"], 400, p=[0.5, 0.3, 0.2]),
            random.choice(["a", "b", "c"], 500, p=[0.4, 0.3, 0.3]),
        )
        low, high = found.distance.interval
        inside["category"] += low <= 0.1 <= high
        found = column(random.uniform(0, 1, 400), random.uniform(0.1, 1.1, 500))
        low, high = found.distance.interval
        inside["number"] += low <= 0.1 <= high
    assert min(inside.values()) >= 95


def test_the_control_is_the_noise_floor():
    random = np.random.default_rng(2)
    real, released, control = (random.normal(size=n) for n in (4_000, 4_000, 1_000))
    found = column(real, released + 0.5, control)
    assert found.distance.control == pytest.approx(ks_2samp(real, control).statistic)
    assert found.distance.value > 3 * found.distance.control


def test_reaches_by_hand():
    assert distribution_reach(100, 100) == pytest.approx(2 * np.sqrt(np.log(80) / 200))
    half = np.array([0.5, 0.5])
    assert share_reach(half, 100, half, 100) == pytest.approx(
        2 * (0.5 * 2 * 0.05 + np.sqrt(np.log(40) / 200))
    )


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [  # Newcombe 1998, table II, method 10: contrasts (a) to (h)
        ((56, 70), (48, 80), (0.0524, 0.3339)),
        ((9, 10), (3, 10), (0.1705, 0.8090)),
        ((6, 7), (2, 7), (0.0582, 0.8062)),
        ((5, 56), (0, 29), (-0.0381, 0.1926)),
        ((0, 10), (0, 20), (-0.1611, 0.2775)),
        ((0, 10), (0, 10), (-0.2775, 0.2775)),
        ((10, 10), (0, 20), (0.6791, 1.0)),
        ((10, 10), (0, 10), (0.6075, 1.0)),
    ],
)
def test_newcombes_own_examples(first, second, expected):
    assert difference_of_shares(*first, *second) == pytest.approx(expected, abs=1e-4)


# --- histograms --------------------------------------------------------------------------------


def test_histograms_share_their_cells_and_sum_to_one():
    heart = pl.read_parquet(HEART)
    found = fidelity(heart[:2_000], heart[2_000:3_000], heart[3_000:])
    for one in found.columns:
        drawn = one.histogram
        assert 1 <= len(drawn.labels) <= 20
        assert len(set(drawn.labels)) == len(drawn.labels)
        for shares in (drawn.real, drawn.released, drawn.control):
            assert len(shares) == len(drawn.labels)
            assert sum(shares) == pytest.approx(1)


def test_intervals_are_drawn_in_ascending_order_and_others_by_frequency():
    bands = ["[20, 30)"] * 10 + ["<20"] * 20 + [">=100"] * 30 + ["[30, 100)"] * 40
    labels = column(bands, bands).histogram.labels
    assert labels == ("<20", "[20, 30)", "[30, 100)", ">=100")
    words = ["few"] * 20 + ["many"] * 40
    assert column(words, words).histogram.labels == ("many", "few")


def test_rare_values_and_extremes_are_not_named():
    jobs = ["nurse"] * 50 + ["canary"] * 9
    drawn = column(jobs, jobs).histogram
    assert drawn.labels == ("nurse", "(other)")
    random = np.random.default_rng(3)
    weights = np.concatenate([random.normal(80, 10, 1_000), [612.7]])
    drawn = column(weights, weights).histogram
    assert "612" not in " ".join(drawn.labels)
    assert drawn.labels[-1].startswith(">=")


def test_dates_are_drawn_as_dates():
    days = [date(2020, 1, 1 + i % 28) for i in range(2_000)]
    labels = column(days, days).histogram.labels
    assert all(label.startswith(("from 2020-01", "before 2020-01", "2020-01")) for label in labels)


# --- association -------------------------------------------------------------------------------


def matrix(table):
    return associations([align(name, [table[name]]) for name in table.columns])[0]


def test_numbers_correlate_as_pearson_also_with_gaps():
    random = np.random.default_rng(4)
    x = random.normal(size=500)
    y = x + random.normal(size=500)
    gap = random.random(500) < 0.3
    table = pl.DataFrame({"x": x, "y": pl.Series(np.where(gap, np.nan, y)).fill_nan(None)})
    assert matrix(table)[0, 1] == pytest.approx(np.corrcoef(x[~gap], y[~gap])[0, 1])


def test_categories_by_cramer_corrected_for_chance():
    random = np.random.default_rng(5)
    x = random.integers(0, 3, 2_000)
    y = np.where(random.random(2_000) < 0.5, x, random.integers(0, 4, 2_000))
    counts = np.zeros((3, 4), dtype=int)
    np.add.at(counts, (x, y), 1)
    plain = scipy_association(counts, method="cramer")
    table = pl.DataFrame({"x": [f"x{v}" for v in x], "y": [f"y{v}" for v in y]})
    found = matrix(table)[0, 1]
    # Bergsma 2013, equations 3 and 4, from the plain V.
    phi2 = plain**2 * 2
    corrected = max(0, phi2 - 2 * 3 / 1_999)
    expected = np.sqrt(corrected / (min(3 - 4 / 1_999, 4 - 9 / 1_999) - 1))
    assert found == pytest.approx(expected)


def test_independent_columns_show_nothing():
    random = np.random.default_rng(6)
    values = []
    for _ in range(20):
        table = pl.DataFrame(
            {
                "word": random.choice(list("abcdefgh"), 300),
                "other": random.choice(list("uvwxyz"), 300),
                "number": random.normal(size=300),
            }
        )
        values.append(matrix(table)[np.triu_indices(3, 1)])
    assert np.median(values) < 0.08


def test_a_number_and_a_category_by_the_correlation_ratio():
    table = pl.DataFrame({"word": ["a", "a", "b", "b"], "number": [1.0, 3.0, 5.0, 7.0]})
    # Between 16, total 20: eta squared 0.8; corrected 1 - 0.2 * 3 / 2 = 0.7.
    assert matrix(table)[0, 1] == pytest.approx(np.sqrt(0.7))


def test_what_does_not_vary_has_no_association():
    table = pl.DataFrame({"a": [1.0] * 5, "b": ["x"] * 5, "c": [1.0, 2, 3, 4, 5]})
    assert np.isnan(matrix(table)[np.triu_indices(3, 1)]).all()
    found = fidelity(table, table)
    assert not found.figures["mean_association_difference"].computed
    assert found.association.real[0][1] is None


def test_associations_do_not_depend_on_shift_scale_or_names():
    random = np.random.default_rng(7)
    word = random.choice(["a", "b", "c"], 400)
    number = random.normal(size=400) + (word == "b")
    once = matrix(pl.DataFrame({"word": word, "number": number}))
    renamed = pl.Series(word).replace({"a": "z'", "b": 'o"ß', "c": "c d"})
    again = matrix(pl.DataFrame({"word": renamed, "number": 1e9 + 1e3 * number}))
    assert np.allclose(once, again, atol=1e-6)


# --- the whole table ---------------------------------------------------------------------------


def test_a_table_is_like_itself_and_survives_json():
    heart = pl.read_parquet(HEART).drop("PatientID")
    found = fidelity(heart, heart, heart[:500], target="HadHeartAttack")
    assert [one.name for one in found.columns] == heart.columns
    assert all(one.distance.value == 0 for one in found.columns)
    for key in ("mean_total_variation", "largest_distance", "mean_association_difference"):
        assert found.figures[key].value == 0
    assert found.figures["target_association_difference"].control > 0
    assert Fidelity.from_dict(json.loads(json.dumps(found.to_dict(), allow_nan=False))) == found


def test_shuffled_columns_keep_their_distributions_and_lose_their_ties():
    heart = pl.read_parquet(HEART).drop("PatientID")
    shuffled = heart.select(pl.col(name).shuffle(seed=i) for i, name in enumerate(heart.columns))
    found = fidelity(heart, shuffled, target="HadHeartAttack")
    assert found.figures["mean_total_variation"].value == pytest.approx(0, abs=1e-12)
    assert found.figures["mean_association_difference"].value > 0.03


def test_dropped_and_added_columns_are_listed():
    real = pl.DataFrame({"id": [1, 2], "age": [30, 40]})
    released = pl.DataFrame({"age": [30, 40], "band": ["a", "b"]})
    found = fidelity(real, released)
    assert [one.name for one in found.columns] == ["age"]
    assert found.dropped == ("id",)
    assert found.added == ("band",)


def test_a_column_written_otherwise_is_noted():
    found = column(["25", "33"], ["[20, 30)", "[30, 40)"])
    assert found.distance.value == 1
    assert "Recode the real rows" in found.note


def test_wrong_input_is_refused():
    table = pl.DataFrame({"age": [1, 2]})
    with pytest.raises(DataError, match="released table has no rows"):
        fidelity(table, table.clear())
    with pytest.raises(DataError, match="no column in common"):
        fidelity(table, pl.DataFrame({"sex": ["f"]}))
    with pytest.raises(SchemaError, match="Did you mean 'age'"):
        fidelity(table, table, columns=["agee"])
    with pytest.raises(SchemaError, match="control table has no column 'age'"):
        fidelity(table, table, pl.DataFrame({"sex": ["f"]}))
    with pytest.raises(DataError, match="not finite"):
        fidelity(table, pl.DataFrame({"age": [1.0, float("nan")]}))


def test_a_figure_survives_json():
    figure = Figure("a", 0.5, "share", "lower is better", "m", "s", interval=(0.1, 0.9))
    assert Figure.from_dict(json.loads(json.dumps(figure.to_dict()))) == figure
