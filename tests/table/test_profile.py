"""The profile: the numbers of the demo's table, odd tables, and no cell of an identifier."""

from __future__ import annotations

import json
import time
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import sfumato
from sfumato.errors import DataError, SchemaError
from sfumato.table.profiling.column_profile import contents_of
from sfumato.table.profiling.correlations import correlate
from sfumato.table.profiling.sensitivity import sensitivity_of
from sfumato.table.profiling.table_profile import Profile, profile
from sfumato.table.schema import Schema

DATA = Path(__file__).parents[1] / "data"
DEMO = Path(sfumato.__file__).parent / "demo"
SIX = (
    "State",
    "Sex",
    "AgeCategory",
    "RaceEthnicityCategory",
    "HeightInMeters",
    "WeightInKilograms",
)


@pytest.fixture(scope="module")
def heart() -> pl.DataFrame:
    return pl.read_parquet(DEMO / "heart_patients_brfss2022.parquet")


@pytest.fixture(scope="module")
def timed(heart) -> tuple[Profile, float]:
    schema = Schema.read(DEMO / "schema.toml")
    start = time.process_time()
    made = profile(heart, schema)
    return made, time.process_time() - start


@pytest.fixture(scope="module")
def made(timed) -> Profile:
    return timed[0]


# ---------------------------- golden: the exploration of the demo's table as its notebook shows it


def test_heart_table_in_seconds(timed):
    # About 2 s of CPU; the bound leaves room for a busy machine.
    assert timed[1] < 15


def test_rows_and_columns(made):
    assert (made.rows, len(made.columns), made.missing, made.persons) == (237_630, 35, 0, 237_630)


@pytest.mark.parametrize(
    ("column", "mean"),
    [
        ("HadHeartAttack", 0.055553),
        ("HadStroke", 0.041779),
        ("HadAngina", 0.061512),
        ("CovidPos", 0.295939),
        ("HIVTesting", 0.342697),
    ],
)
def test_shares_of_yes(made, column, mean):
    contents = made.column(column).contents
    assert contents.numbers.mean == pytest.approx(mean, abs=5e-7)
    assert contents.positive_share == pytest.approx(mean, abs=5e-7)


@pytest.mark.parametrize(
    ("column", "mean", "deviation", "minimum", "maximum"),
    [
        ("HeightInMeters", 1.704990, 0.106776, 0.91, 2.41),
        ("WeightInKilograms", 83.667908, 21.360982, 28.12, 292.57),
        ("BMI", 28.691602, 6.528065, 12.02, 97.65),
    ],
)
def test_measures(made, heart, column, mean, deviation, minimum, maximum):
    numbers = made.column(column).contents.numbers
    assert numbers.mean == pytest.approx(mean, abs=5e-7)
    assert numbers.standard_deviation == pytest.approx(deviation, abs=5e-7)
    assert (numbers.minimum, numbers.maximum) == (minimum, maximum)
    described = pd.Series(heart[column].to_numpy()).describe()
    assert numbers.quartile_1 == pytest.approx(described["25%"])
    assert numbers.median == pytest.approx(described["50%"])
    assert numbers.quartile_3 == pytest.approx(described["75%"])
    counts, edges = np.histogram(heart[column].to_numpy(), bins=20)
    assert numbers.counts == tuple(counts)
    assert numbers.edges == pytest.approx(edges)


def test_categories(made):
    race = dict(made.column("RaceEthnicityCategory").contents.categories.shown)
    shares = {name: round(rows / made.rows, 6) for name, rows in race.items()}
    assert shares == {
        "White only, Non-Hispanic": 0.754825,
        "Hispanic": 0.092678,
        "Black only, Non-Hispanic": 0.080179,
        "Other race only, Non-Hispanic": 0.049665,
        "Multiracial, Non-Hispanic": 0.022653,
    }
    rarest = made.column("RaceEthnicityCategory").contents.categories.rarest_share
    assert rarest == pytest.approx(0.022653, abs=5e-7)
    assert made.column("Sex").contents.categories.shown == (("Female", 123_293), ("Male", 114_337))
    states = made.column("State").contents.categories.shown
    assert states[0] == ("Washington", 14_241)
    assert states[-1] == ("Virgin Islands", 732)
    assert len(states) == 54


def test_smallest_groups(made):
    groups = made.groups[0]
    assert groups.columns == ("State", "AgeCategory", "Sex")
    assert groups.groups == 1404
    assert len(groups.smallest_groups) == 10
    assert [group.size for group in groups.smallest_groups[:4]] == [10, 12, 12, 14]
    assert groups.smallest_groups[0].labels == ("Virgin Islands", "Age 40 to 44", "Male")
    assert sum(bin_.members for bin_ in groups.histogram) == made.rows


def test_unique_rows(made):
    six = made.uniqueness.of(*SIX)
    assert six.unique == 170_947
    assert six.share_unique == pytest.approx(0.719, abs=5e-4)
    assert made.uniqueness.together.unique >= six.unique
    assert (made.uniqueness.checked, made.uniqueness.possible) == (63, 63)
    assert made.uniqueness.contributions[0].column == "State"


def test_all_quasi_identifiers_together_name_nobody(made):
    together = made.groups[-1]
    assert set(together.columns) == {*SIX, "BMI"}
    assert together.smallest_groups == ()
    assert together.histogram[0].low == 1


def test_correlations_are_those_of_pandas(made, heart):
    names = ["HeightInMeters", "WeightInKilograms", "BMI", "HadHeartAttack"]
    frame = pd.DataFrame({name: heart[name].to_numpy() for name in names})
    for one in names:
        for other in names:
            expected = frame[one].corr(frame[other])
            assert made.correlations.between(one, other) == pytest.approx(expected)
    assert "PatientID" not in made.correlations.columns


def test_sensitivity_of_every_column(made):
    kinds: dict[str, set[str]] = {}
    for column in made.columns:
        kinds.setdefault(column.sensitivity.kind, set()).add(column.name)
    assert kinds["identifier"] == {"PatientID"}
    assert kinds["location"] == {"State"}
    assert kinds["demographic"] == {"Sex", "AgeCategory"}
    assert kinds["highly sensitive demographic"] == {"RaceEthnicityCategory"}
    assert kinds["mental health"] == {"HadDepressiveDisorder"}
    assert kinds["infectious"] == {"HIVTesting", "CovidPos"}
    assert {"HeightInMeters", "WeightInKilograms", "BMI"} < kinds["health metric"]
    assert {"DifficultyWalking", "BlindOrVisionDifficulty"} < kinds["disability"]
    assert {"SmokerStatus", "AlcoholDrinkers", "ECigaretteUsage"} < kinds["behavioural"]
    assert {"HadHeartAttack", "HadDiabetes", "HadCOPD"} < kinds["medical history"]
    assert "unclassified" not in kinds


def test_findings_on_bodies_and_diagnoses(made):
    found = {(finding.kind, finding.column): finding.text for finding in made.findings}
    assert ("direct identifier", "PatientID") in found
    rare = {rare.rule: rare.rows for rare in made.column("BMI").contents.numbers.outliers.rare}
    assert set(rare) == {"BMI below 15", "BMI above 50", "BMI above 60"}
    assert rare["BMI above 60"] < rare["BMI above 50"]
    heavy = made.column("WeightInKilograms").contents.numbers.outliers.rare
    assert "weight above 200 kg" in {rare.rule for rare in heavy}
    flagged = {column for kind, column in found if kind == "rare diagnosis"}
    assert {"HadHeartAttack", "HadStroke", "HadAngina"} < flagged
    assert not {"HadAsthma", "CovidPos", "Sex"} & flagged


def test_the_profile_is_json(made):
    again = json.loads(json.dumps(made.to_dict(), allow_nan=False))
    assert again["rows"] == 237_630
    assert again["columns"][0]["name"] == "PatientID"
    assert again["columns"][0]["contents"]["numbers"] is None


# ------------------------------------------------------------------ nobody's cell leaves the house


def test_no_cell_of_an_identifier_in_the_profile():
    names = [f"canary-{number}" for number in range(40)]
    table = pl.DataFrame(
        {
            "name": names,
            "ssn": [f"{number:03d}-45-6789" for number in range(40)],
            "record": [9_000_017 + 13 * number for number in range(40)],
            "age": [20 + number % 5 for number in range(40)],
            "sex": ["f", "m"] * 20,
        }
    )
    schema = Schema(
        identifiers=["name", "ssn", "record"], person="record", quasi_identifiers=["age", "sex"]
    )
    for given_schema in (schema, None):
        text = json.dumps(profile(table, given_schema, show_rare=True).to_dict())
        assert "canary-" not in text
        assert "-45-6789" not in text
    text = json.dumps(profile(table, schema, show_rare=True).to_dict())
    assert not any(str(record) in text for record in table["record"])
    with pytest.raises(SchemaError, match="identifier"):
        profile(table, schema, groups=[["name"]])


def test_rare_categories_are_counted_not_named():
    cells = ["common"] * 30 + ["canary"] * 3 + ["other canary"]
    hidden = contents_of(pl.Series("x", cells)).categories
    assert hidden.shown == (("common", 30),)
    assert (hidden.not_shown, hidden.rows_not_shown, hidden.rare, hidden.rows_rare) == (2, 4, 2, 4)
    assert hidden.rarest_share == 1 / 34
    shown = contents_of(pl.Series("x", cells), show_rare=True).categories
    assert shown.shown == (("common", 30), ("canary", 3), ("other canary", 1))


def test_unique_people_are_not_listed():
    table = pl.DataFrame({"age": range(50), "score": [0.5] * 50})
    made = profile(table, Schema(quasi_identifiers=["age"], other=["score"]))
    assert made.groups[0].smallest_groups == ()
    asked = profile(table, Schema(quasi_identifiers=["age"], other=["score"]), groups=[["age"]])
    assert len(asked.groups[0].smallest_groups) == 10


# -------------------------------------------------------------------------------------- any table

CELLS = {
    pl.String: st.one_of(st.none(), st.text(max_size=4)),
    pl.Int64: st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1)),
    pl.Float64: st.one_of(st.none(), st.floats(allow_infinity=True, allow_nan=True)),
    pl.Boolean: st.one_of(st.none(), st.booleans()),
    pl.Date: st.one_of(st.none(), st.dates()),
    pl.Datetime: st.one_of(st.none(), st.datetimes()),
    pl.Duration: st.one_of(st.none(), st.timedeltas(timedelta(-9), timedelta(9))),
}


@given(st.data(), st.sampled_from(sorted(CELLS, key=str)), st.integers(1, 30))
def test_contents_of_any_column(data, kind, height):
    cells = data.draw(st.lists(CELLS[kind], min_size=height, max_size=height))
    column = pl.Series("x", cells, dtype=kind)
    contents = contents_of(column, rare_below=3)
    known = [cell for cell in cells if cell is not None]
    if kind == pl.Float64:
        known = [cell for cell in known if np.isfinite(cell)]
    assert contents.missing == height - len(known)
    assert contents.distinct == len(set(known))
    assert contents.held_once == sum(1 for cell in set(known) if known.count(cell) == 1)
    for spread in (contents.numbers, contents.dates):
        if spread is not None:
            assert sum(spread.counts) == len(known)
            assert len(spread.edges) == len(spread.counts) + 1
    if contents.categories is not None:
        shown = sum(rows for _, rows in contents.categories.shown)
        assert shown + contents.categories.rows_not_shown == len(known)


def test_a_table_of_everything():
    rows = 40
    table = pl.DataFrame(
        {
            "nothing": pl.Series([None] * rows, dtype=pl.String),
            "no_number": pl.Series([None] * rows, dtype=pl.Float64),
            "untyped": pl.Series([None] * rows, dtype=pl.Null),
            "constant": [1] * rows,
            "born": [date(1950, 1, 1) + timedelta(days=400 * step) for step in range(rows)],
            "seen": pl.Series(range(rows), dtype=pl.Int64).cast(pl.Datetime("us")),
            "alive": [True, False] * 20,
            "kind": pl.Series(["a", "b"] * 20, dtype=pl.Categorical),
            "number": [float("nan"), *range(1, rows)],
        }
    )
    made = profile(table)
    json.dumps(made.to_dict(), allow_nan=False)
    assert made.column("number").contents.missing == 1
    assert made.column("born").contents.missing == 0
    assert made.column("constant").contents.distinct == 1
    constant = {finding.column for finding in made.findings if finding.kind == "constant"}
    assert constant == {"constant"}
    assert made.column("alive").contents.positive_share == 0.5
    seen = contents_of(table["seen"]).dates
    assert seen.earliest == "1970-01-01T00:00:00"
    assert contents_of(table["born"]).dates.latest == "1992-09-17"


def test_one_row():
    made = profile(pl.DataFrame({"age": [50], "sex": ["f"], "dose": [1.5]}))
    assert made.rows == 1
    assert made.column("dose").contents.numbers.standard_deviation is None
    json.dumps(made.to_dict(), allow_nan=False)


@pytest.mark.parametrize("table", [pl.DataFrame(), pl.DataFrame({"a": []})])
def test_nothing_to_profile(table):
    with pytest.raises(DataError, match="nothing to profile"):
        profile(table)


def test_wide_table():
    generator = np.random.default_rng(0)
    table = pl.DataFrame({f"c{place}": generator.integers(0, 6, 300) for place in range(500)})
    start = time.process_time()
    made = profile(table)
    assert time.process_time() - start < 15
    assert len(made.columns) == 500
    assert len(made.correlations.columns) + made.correlations.left_out == 500
    assert len(made.uniqueness.candidates) + len(made.uniqueness.left_out) <= 500


def test_pandas_frames_are_taken():
    frame = pd.DataFrame({"age": [30.0, np.nan, 41.0], "sex": ["f", None, "m"]}, index=[7, 7, 9])
    made = profile(frame)
    assert made.column("age").contents.missing == 1
    assert made.column("sex").contents.missing == 1


def test_several_rows_of_one_person():
    table = pl.DataFrame({"who": ["a", "a", "b"], "age": [30, 30, 41]})
    made = profile(table, Schema(person="who", identifiers=["who"], quasi_identifiers=["age"]))
    assert made.persons == 2
    assert made.uniqueness.unit == "persons"
    assert made.uniqueness.of("age").unique == 2
    assert made.groups[-1].unit == "persons"


def test_possible_missing_values_are_pointed_out():
    words = contents_of(pl.Series("x", ["yes"] * 12 + ["?"] * 2 + [None]))
    assert [(item.value, item.rows) for item in words.possible_missing] == [("?", 2)]
    codes = contents_of(pl.Series("x", [*range(60), 999, 999]))
    assert [(item.value, item.rows) for item in codes.possible_missing] == [("999", 2)]
    assert contents_of(pl.Series("x", range(100))).possible_missing == ()


def test_zeros_that_stand_for_missing_in_the_pima_table():
    pima = pl.read_csv(DATA / "pima_diabetes.csv.gz")
    marked = {
        name
        for name in pima.columns
        if any(item.value == "0" for item in contents_of(pima[name]).possible_missing)
    }
    assert {"Glucose", "BloodPressure", "BMI"} <= marked
    assert not {"Pregnancies", "Outcome", "Age"} & marked


def test_correlations_use_complete_pairs():
    generator = np.random.default_rng(4)
    values = generator.normal(size=(300, 4)) + 1e6
    values[:, 1] += values[:, 0]
    values[generator.random(values.shape) < 0.2] = np.nan
    values[:, 3] = 5.0
    frame = pd.DataFrame(values, columns=list("abcd"))
    table = pl.DataFrame(
        {name: pl.Series(frame[name].to_numpy()).fill_nan(None) for name in "abcd"}
    )
    made = correlate(table, list("abcd"))
    for one in "abc":
        for other in "abc":
            expected = frame[one].corr(frame[other])
            assert made.between(one, other) == pytest.approx(expected, abs=1e-9)
    assert made.between("a", "d") is None
    assert correlate(table, list("abcd"), limit=2).left_out == 2


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("age", "demographic"),
        ("agent", "unclassified"),
        ("marital_status", "demographic"),
        ("mental_health_days", "mental health"),
        ("zip_code", "location"),
        ("HbA1c_level", "health metric"),
        ("hiv_status", "infectious"),
        ("heart_disease", "medical history"),
        ("native-country", "highly sensitive demographic"),
        ("x17", "unclassified"),
    ],
)
def test_sensitivity_by_name(name, kind):
    assert sensitivity_of(name).kind == kind
    assert sensitivity_of(name, identifies=True).kind == "identifier"


def test_physical_limits_know_their_units():
    def rules(name, cells):
        numbers = contents_of(pl.Series(name, cells)).numbers
        return {rare.rule: rare.rows for rare in numbers.outliers.rare}

    assert rules("height_cm", [160.0, 170.0, 180.0, 215.0]) == {"height above 2.1 m": 1}
    assert rules("weight_lbs", [150.0, 160.0, 170.0, 500.0]) == {"weight above 200 kg": 1}
    assert rules("age", [30, 50, 95, 40, -1]) == {"age below 0 years": 1, "age above 89 years": 1}
    # An age in days is no age in years.
    assert rules("age", [18_393, 20_228, 18_857]) == {}
    assert rules("message", [300, 400, 500]) == {}
