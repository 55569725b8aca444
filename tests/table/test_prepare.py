"""Preparing a table for a learner: the clean baseline, odd cells, and no look at the test rows."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.preprocessing import StandardScaler

import sfumato
from sfumato.errors import DataError, PlanError, SchemaError
from sfumato.table.preparation.fitted import (
    CLEAN_BASELINE,
    Preparation,
    PreparationSettings,
    prepare,
)
from sfumato.table.preparation.midpoints import are_numbers, midpoints, open_half_width
from sfumato.table.schema import Schema

DATA = Path(__file__).parents[1] / "data"
DEMO = Path(sfumato.__file__).parent / "demo" / "heart_patients_brfss2022.parquet"


@pytest.fixture(scope="module")
def heart() -> pl.DataFrame:
    return pl.read_parquet(DATA / "heart_sample.parquet")


def as_the_notebook_did(table: pl.DataFrame) -> pd.DataFrame:
    """The clean baseline, written a second time the plain way with pandas and scikit-learn."""
    frame = pd.DataFrame(table.drop("PatientID", "State").to_dict(as_series=False))
    health = ["Poor", "Fair", "Good", "Very good", "Excellent"]
    ages = sorted(frame["AgeCategory"].unique())
    frame["GeneralHealth"] = frame["GeneralHealth"].map(health.index)
    frame["AgeCategory"] = frame["AgeCategory"].map(ages.index)
    frame["Sex"] = (frame["Sex"] == "Male").astype(int)
    frame["HadDiabetes"] = (frame["HadDiabetes"] != "No").astype(int)
    frame["TetanusLast10Tdap"] = frame["TetanusLast10Tdap"].str.startswith("Yes").astype(int)
    kinds = ["SmokerStatus", "ECigaretteUsage", "RaceEthnicityCategory"]
    frame = pd.get_dummies(frame, columns=kinds, drop_first=True, dtype=int)
    measured = ["HeightInMeters", "WeightInKilograms", "BMI"]
    frame[measured] = StandardScaler().fit_transform(frame[measured])
    rare = [name for name in frame if set(frame[name]) <= {0, 1} and frame[name].sum() < 50]
    return frame.drop(columns=rare)[sorted(set(frame) - set(rare))]


def test_clean_baseline_is_the_notebooks(heart):
    expected = as_the_notebook_did(heart)
    prepared = prepare(heart, settings=CLEAN_BASELINE)
    made = prepared.apply(heart)
    assert made.columns == list(expected.columns) == list(prepared.feature_names)
    assert set(made.dtypes) == {pl.Float64}
    np.testing.assert_allclose(made.to_numpy(), expected.to_numpy(float), rtol=0, atol=1e-12)
    np.testing.assert_array_equal(prepared.matrix(heart), made.to_numpy().astype(np.float32))


def test_scale_and_fills_come_from_training_rows_only(heart):
    train, test = heart[:2000], heart[2000:]
    extreme = test.with_columns(BMI=pl.lit(1e6), Sex=pl.lit("Other"))
    prepared = prepare(train, settings=CLEAN_BASELINE)
    made = prepared.apply(train)
    for name in ("BMI", "HeightInMeters", "WeightInKilograms"):
        assert made[name].mean() == pytest.approx(0, abs=1e-9)
        assert made[name].std(ddof=0) == pytest.approx(1)
    # The same training rows give the same preparation whatever is applied to later.
    prepared.apply(extreme)
    assert prepare(train, settings=CLEAN_BASELINE) == prepared
    assert prepare(pl.concat([train, extreme]), settings=CLEAN_BASELINE) != prepared
    scaler = StandardScaler().fit(train.select("BMI").to_numpy())
    expected = scaler.transform(test.select("BMI").to_numpy())[:, 0]
    np.testing.assert_allclose(prepared.apply(test)["BMI"].to_numpy(), expected, atol=1e-12)


def test_arguments_are_left_alone(heart):
    before = heart.clone()
    prepare(heart, settings=CLEAN_BASELINE).apply(heart)
    assert heart.equals(before)


def test_whole_heart_table_in_a_second_of_cpu():
    table = pl.read_parquet(DEMO)
    prepared = prepare(table, settings=CLEAN_BASELINE)
    start = time.process_time()
    matrix = prepared.matrix(table)
    spent = time.process_time() - start
    assert matrix.shape == (237_630, 40)
    assert matrix.dtype == np.float32
    assert np.isfinite(matrix).all()
    # About 0.25 s; the bound leaves room for a busy machine.
    assert spent < 1.5


def test_target_identifiers_and_person_are_no_features(heart):
    schema = Schema(identifiers=["PatientID"], target="HadHeartAttack", rest="other")
    prepared = prepare(heart, schema, target="HadHeartAttack")
    assert not {"PatientID", "HadHeartAttack"} & set(prepared.feature_names)
    assert "HadHeartAttack" not in prepared.columns
    assert dict(prepared.dropped)["PatientID"] == "an identifier"
    assert prepared.apply(heart.drop("HadHeartAttack", "PatientID")).height == heart.height


def test_codes_declared_as_categories_get_a_feature_each():
    schema = Schema(types={"job": "category"}, other=["job", "age"])
    table = pl.DataFrame({"job": [1, 2, 3, 3], "age": [20, 30, 40, 50]})
    assert prepare(table, schema).feature_names == ("age", "job_2", "job_3")


# ------------------------------------------------------------------ what a column suggests itself


def only(cells, **options) -> tuple[Preparation, pl.DataFrame]:
    table = pl.DataFrame({"x": cells})
    prepared = prepare(table, **options)
    return prepared, prepared.apply(table)


def test_two_categories_become_zero_and_one():
    _, made = only(["m", "f", "m"])
    assert made["x"].to_list() == [1.0, 0.0, 1.0]


def test_two_numbers_become_zero_and_one():
    _, made = only([4, 2, 4])
    assert made["x"].to_list() == [1.0, 0.0, 1.0]


def test_known_answer_scales_keep_their_order():
    _, made = only(["Good", "Poor", "Excellent", "Fair"])
    assert made["x"].to_list() == [2.0, 0.0, 3.0, 1.0]


def test_bands_in_words_count_as_their_middle():
    _, made = only(["Age 18 to 24", "Age 25 to 29", "Age 80 or older"], scale=False)
    assert made["x"].to_list() == [21.0, 27.0, 82.5]


def test_suppressed_cells_take_the_training_mean_and_are_marked():
    prepared, made = only(["[20, 30)", "40-50", "*", "60"], scale=False)
    assert made["x"].to_list() == [25.0, 45.0, pytest.approx(130 / 3), 60.0]
    assert made["x is suppressed"].to_list() == [0.0, 0.0, 1.0, 0.0]
    later = prepared.apply(pl.DataFrame({"x": [33.0]}))
    assert later.row(0) == (33.0, 0.0)


def test_scaled_suppressed_cells_lie_at_zero():
    _, made = only(["10", "20", "60", "*"])
    assert made["x"].to_list()[3] == pytest.approx(0)
    assert made["x"].std(ddof=0) == pytest.approx(np.sqrt(3 / 4))


def test_suppressed_categories_are_a_category_and_never_the_base():
    prepared, made = only(["*", "b", "c", "d", "*"])
    assert prepared.feature_names == ("x_*", "x_c", "x_d")
    assert made["x_*"].to_list() == [1.0, 0.0, 0.0, 0.0, 1.0]


def test_one_category_and_suppressed_cells_are_one_mark():
    prepared, made = only(["white", "*", "white"])
    assert made.to_dict(as_series=False) == {"x_*": [0.0, 1.0, 0.0]}
    assert prepared.dropped == ()


def test_missing_numbers_take_the_median_and_are_marked():
    prepared, made = only([1.0, 2.0, 9.0, None], scale=False)
    assert made["x"].to_list() == [1.0, 2.0, 9.0, 2.0]
    assert made["x is missing"].to_list() == [0.0, 0.0, 0.0, 1.0]
    assert prepared.apply(pl.DataFrame({"x": [float("nan")]})).row(0) == (2.0, 1.0)


def test_missing_answers_take_the_most_frequent():
    _, made = only(["no", "no", "yes", None])
    assert made["x"].to_list() == [0.0, 0.0, 1.0, 0.0]
    assert made["x is missing"].to_list() == [0.0, 0.0, 0.0, 1.0]


def test_dates_become_days():
    _, made = only(pl.Series(["1970-01-03", "1970-01-01", "1970-02-01"]).str.to_date(), scale=False)
    assert made["x"].to_list() == [2.0, 0.0, 31.0]


def test_codes_with_leading_zeros_stay_categories():
    prepared, _ = only(["01067", "20095", "80331", "01067"])
    assert prepared.feature_names == ("x_20095", "x_80331")


def test_free_text_and_empty_columns_are_left_out_and_said():
    table = pl.DataFrame(
        {
            "note": [f"seen on ward {number}, better" for number in range(150)],
            "empty": pl.Series([None] * 150, dtype=pl.String),
            "same": ["x"] * 150,
            "age": range(150),
        }
    )
    prepared = prepare(table)
    assert prepared.feature_names == ("age",)
    assert {name for name, _ in prepared.dropped} == {"note", "empty", "same"}
    said = " ".join(prepared.describe())
    assert "free text" in said
    assert "ward 17" not in said


def test_rare_categories_are_pooled_beyond_the_maximum():
    cells = ["a"] * 5 + ["b"] * 4 + ["c"] * 3 + ["d"] * 2
    prepared, made = only(cells, maximum_categories=2)
    assert prepared.feature_names == ("x_a", "x_b")
    assert made.sum_horizontal().to_list() == [1.0] * 9 + [0.0] * 5


def test_features_with_few_positives_are_left_out():
    prepared, _ = only(["a"] * 60 + ["b"] * 60 + ["c"] * 49, minimum_positives=50)
    assert prepared.feature_names == ("x_b",)
    assert "fewer than 50" in dict(prepared.dropped)["x_c"]


# ------------------------------------------------------------------------------ cells in any state

ANY_CELL = st.one_of(
    st.none(),
    st.text(max_size=6),
    st.sampled_from(["*", "a", "b", "c", "7", "20-30", "[1, 5)", "<3", ">=9", "nan", "inf"]),
)
NUMBER = st.one_of(st.none(), st.floats(width=64), st.integers(-(2**60), 2**60).map(float))


def columns(draw, height: int) -> dict[str, pl.Series]:
    def many(cell):
        return draw(st.lists(cell, min_size=height, max_size=height))

    return {
        "words": pl.Series(many(ANY_CELL), dtype=pl.String),
        "kind": pl.Series(many(st.sampled_from(["x", "y", "z", "*", None])), dtype=pl.String),
        "band": pl.Series(
            many(st.sampled_from(["10-20", "20-30", "5", "*", None])), dtype=pl.String
        ),
        "number": pl.Series(many(NUMBER), dtype=pl.Float64),
        "yes": pl.Series(many(st.sampled_from([0, 1, None])), dtype=pl.Int8),
        "true": pl.Series(many(st.sampled_from([True, False, None])), dtype=pl.Boolean),
        "day": pl.Series(many(st.one_of(st.none(), st.dates())), dtype=pl.Date),
        "sure": pl.Series(list(range(height)), dtype=pl.Int64),
    }


@st.composite
def train_and_other(draw):
    train = pl.DataFrame(columns(draw, draw(st.integers(2, 8))))
    other = pl.DataFrame(columns(draw, draw(st.integers(0, 5))))
    # Cells of a type that the column did not have at fit.
    strangers = [
        other["words"],
        other["number"],
        other["kind"].cast(pl.Categorical),
        other["day"].cast(pl.Datetime),
        pl.Series([None] * other.height, dtype=pl.Null),
        pl.Series([[1]] * other.height, dtype=pl.List(pl.Int64)),
    ]
    changed = draw(st.dictionaries(st.sampled_from(train.columns), st.sampled_from(strangers)))
    other = other.with_columns(cells.alias(name) for name, cells in changed.items())
    return train, other


@settings(max_examples=40, deadline=None)
@given(train_and_other())
def test_whatever_is_seen_later_the_numbers_are_finite(tables):
    train, other = tables
    prepared = prepare(train)
    for table in (train, other):
        made = prepared.apply(table)
        assert tuple(made.columns) == prepared.feature_names == tuple(sorted(made.columns))
        assert made.height == table.height
        matrix = prepared.matrix(table)
        assert matrix.dtype == np.float32
        assert np.isfinite(made.to_numpy()).all()
        assert np.isfinite(matrix).all()


@settings(max_examples=20, deadline=None)
@given(train_and_other())
def test_round_trip_through_json_is_exact(tables):
    train, other = tables
    prepared = prepare(train, target="yes")
    again = Preparation.from_dict(json.loads(json.dumps(prepared.to_dict(), allow_nan=False)))
    assert again == prepared
    assert again.apply(other).equals(prepared.apply(other))


def test_order_of_columns_and_further_ones_do_not_matter(heart):
    prepared = prepare(heart, settings=CLEAN_BASELINE)
    shuffled = heart.select(reversed(heart.columns)).with_columns(extra=1)
    assert prepared.apply(shuffled).equals(prepared.apply(heart))


# ------------------------------------------------------------------------------- one clear error


def test_absent_column_is_named(heart):
    prepared = prepare(heart, settings=CLEAN_BASELINE)
    with pytest.raises(DataError, match="'BMI', which the preparation needs, is absent"):
        prepared.apply(heart.drop("BMI"))


def test_settings_must_fit_the_table(heart):
    with pytest.raises(SchemaError, match="Did you mean 'BMI'"):
        prepare(heart, drop=("BMJ",))
    with pytest.raises(PlanError, match="Did you mean 'one_hot'"):
        prepare(heart, one_hots=("Sex",))
    with pytest.raises(DataError, match="2 rows, the first of them row 2") as raised:
        only(["low", "canary", "canary"], ordinal={"x": ("low", "high")})
    assert "canary" not in str(raised.value)


def test_nothing_to_learn_from_is_an_error():
    with pytest.raises(DataError, match="no training row"):
        prepare(pl.DataFrame({"a": []}))
    with pytest.raises(DataError, match="nothing is left"):
        prepare(pl.DataFrame({"a": [1, 1]}))


def test_two_features_of_one_name_are_refused():
    table = pl.DataFrame({"a": ["x", "y", "z"], "a_y": [1.0, 2.0, 4.0]})
    with pytest.raises(DataError, match="both be called 'a_y'"):
        prepare(table)


@pytest.mark.parametrize("change", [{"kind": "magic"}, {"shift": None}])
def test_a_damaged_preparation_is_refused(change):
    values = only([1.0, 2.0, 4.0])[0].to_dict()
    encoder = values["encoders"][0]
    for name, value in change.items():
        encoder[name] = value
        if value is None:
            del encoder[name]
    with pytest.raises(DataError, match="preparation"):
        Preparation.from_dict(values)


# ---------------------------------------------------------------------------- settings and texts


def test_settings_shrink_to_what_a_release_still_holds(heart):
    release = heart.drop("PatientID", "State").with_columns(
        AgeCategory=pl.lit("Senior"), GeneralHealth=pl.lit("*")
    )
    fitting = CLEAN_BASELINE.fitting(release)
    assert fitting.drop == ()
    assert set(fitting.ordinal) == {"GeneralHealth"}
    assert set(fitting.binary) == set(CLEAN_BASELINE.binary)
    prepare(release, settings=fitting)
    assert CLEAN_BASELINE.fitting(heart) == CLEAN_BASELINE


def test_settings_read_from_a_plan():
    read = PreparationSettings.of({"binary": {"sex": ["f"]}, "minimum_positives": 5})
    assert read.binary == {"sex": ("f",)}


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("25.0", 25.0),
        ("[20, 30)", 25.0),
        ("20-30", 25.0),
        ("20 - 30", 25.0),
        ("<18.5", 13.5),
        (">=40", 45.0),
        ("Age 18 to 24", 21.0),
        ("Age 80 or older", 85.0),
        ("under 5 years", 0.0),
        ("65+", 70.0),
        ("10 or less", 5.0),
        ("-5", -5.0),
        ("green", None),
        ("2020-01-31", None),
        ("inf", None),
        ("30-20", None),
    ],
)
def test_numbers_in_texts(text, number):
    read = midpoints(pl.Series([text]), 5.0)[0]
    if number is None:
        assert np.isnan(read)
    else:
        assert read == number
        assert are_numbers(pl.Series([text, "*"]))


def test_open_ranges_are_as_wide_as_their_neighbours():
    assert open_half_width(pl.Series(["[0, 10)", "[10, 20)", ">=20"])) == 5.0
    assert open_half_width(pl.Series([">=20", "7"])) == 0.0
