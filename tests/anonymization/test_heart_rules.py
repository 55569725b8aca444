"""The published anonymization of the demo's table, each map against its definition."""

from __future__ import annotations

import tomllib
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import sfumato
from sfumato.anonymization import Rules, RulesRecoding
from sfumato.errors import HierarchyError
from sfumato.table import Schema

HERE = Path(__file__).parent
DEMO = Path(sfumato.__file__).parent / "demo"

REGIONS = {
    "Northeast": "Maine, New Hampshire, Vermont, Massachusetts, Rhode Island, Connecticut, "
    "New York, New Jersey, Pennsylvania",
    "Midwest": "Ohio, Indiana, Illinois, Michigan, Wisconsin, Minnesota, Iowa, Missouri, "
    "North Dakota, South Dakota, Nebraska, Kansas",
    "South": "Delaware, Maryland, District of Columbia, Virginia, West Virginia, North Carolina, "
    "South Carolina, Georgia, Florida, Kentucky, Tennessee, Mississippi, Alabama, Arkansas, "
    "Louisiana, Texas, Oklahoma",
    "West": "Montana, Idaho, Wyoming, Colorado, New Mexico, Arizona, Utah, Nevada, California, "
    "Oregon, Washington, Alaska, Hawaii",
    "Territories": "Puerto Rico, Guam, Virgin Islands",
}
MAPS = {
    "State": {state: region for region, states in REGIONS.items() for state in states.split(", ")},
    "AgeCategory": {
        "Age 18 to 24": "Young Adult",
        "Age 25 to 29": "Young Adult",
        "Age 30 to 34": "Young Adult",
        "Age 35 to 39": "Adult",
        "Age 40 to 44": "Adult",
        "Age 45 to 49": "Adult",
        "Age 50 to 54": "Middle-aged",
        "Age 55 to 59": "Middle-aged",
        "Age 60 to 64": "Middle-aged",
        "Age 65 to 69": "Senior",
        "Age 70 to 74": "Senior",
        "Age 75 to 79": "Senior",
        "Age 80 or older": "Senior",
    },
    "HadDiabetes": {
        "No": "NoDiabetes",
        "No, pre-diabetes or borderline diabetes": "Prediabetic",
        "Yes": "Diabetic",
        "Yes, but only during pregnancy (female)": "Diabetic",
    },
    "GeneralHealth": {
        "Poor": "Bad",
        "Fair": "Bad",
        "Good": "Medium",
        "Very good": "High",
        "Excellent": "High",
    },
    "SmokerStatus": {
        "Never smoked": "Never",
        "Former smoker": "Former",
        "Current smoker - now smokes every day": "Current",
        "Current smoker - now smokes some days": "Current",
    },
    "ECigaretteUsage": {
        "Never used e-cigarettes in my entire life": "Never",
        "Not at all (right now)": "FormerOrNone",
        "Use them some days": "Current",
        "Use them every day": "Current",
    },
    "RaceEthnicityCategory": {
        "White only, Non-Hispanic": "White",
        "Hispanic": "Hispanic",
        "Black only, Non-Hispanic": "NonWhiteOther",
        "Other race only, Non-Hispanic": "NonWhiteOther",
        "Multiracial, Non-Hispanic": "NonWhiteOther",
    },
    "TetanusLast10Tdap": {
        "No, did not receive any tetanus shot in the past 10 years": "NoShot10Years",
        "Yes, received tetanus shot but not sure what type": "VaccinatedUnknownType",
        "Yes, received Tdap": "VaccinatedKnownType",
        "Yes, received tetanus shot, but not Tdap": "VaccinatedKnownType",
    },
}
RENAMED = {
    "State": "Region",
    "AgeCategory": "AgeGroup",
    "HeightInMeters": "HeightGroup",
    "BMI": "BMIGroup",
    "HadDiabetes": "DiabetesGroup",
}


def bins(borders: list[float], labels: list[str]) -> dict[str, tuple[float, float]]:
    return dict(zip(labels, pairwise(borders), strict=True))


HEIGHTS = bins([0, 1.5, 1.6, 1.7, 1.85, 3], ["VeryShort", "Short", "Medium", "Tall", "VeryTall"])
BODY_MASS = bins(
    [0, 18.5, 25, 30, 40, 100], ["Underweight", "Normal", "Overweight", "Obese", "ExtremelyObese"]
)


@pytest.fixture(scope="module")
def table() -> pl.DataFrame:
    return pl.read_parquet(DEMO / "heart_patients_brfss2022.parquet")


@pytest.fixture(scope="module")
def rules() -> Rules:
    section = tomllib.loads((HERE / "heart_rules.toml").read_text("utf-8"))
    assert section.pop("technique") == "rules"
    return Rules.of(section)


@pytest.fixture(scope="module")
def recoding(table: pl.DataFrame, rules: Rules) -> RulesRecoding:
    return rules.fit(table, Schema.read(DEMO / "schema.toml"))


@pytest.fixture(scope="module")
def released(table: pl.DataFrame, recoding: RulesRecoding) -> pl.DataFrame:
    return recoding.apply(table)


@pytest.mark.parametrize("column", MAPS)
def test_every_value_becomes_its_published_group(
    column: str, table: pl.DataFrame, released: pl.DataFrame
) -> None:
    assert set(table[column]) == set(MAPS[column])
    expected = [MAPS[column][value] for value in table[column].to_list()]
    assert released[RENAMED.get(column, column)].to_list() == expected


@pytest.mark.parametrize(("column", "groups"), [("HeightInMeters", HEIGHTS), ("BMI", BODY_MASS)])
def test_bins_are_closed_on_the_right(
    column: str, groups: dict[str, tuple[float, float]], table: pl.DataFrame, released: pl.DataFrame
) -> None:
    labels = released[RENAMED[column]]
    assert set(labels) == set(groups)
    for label, (low, high) in groups.items():
        values = table[column].filter(labels == label)
        assert low < values.min()
        assert values.max() <= high
        # the upper border itself is met in the data, and is in
        assert high in (3, 100) or values.max() == high


def test_the_numbers_of_groups_are_those_of_the_states() -> None:
    sizes = {region: len(states.split(", ")) for region, states in REGIONS.items()}
    assert sizes == {"Northeast": 9, "Midwest": 12, "South": 17, "West": 13, "Territories": 3}


def test_weights_are_moved_by_gaussian_noise(table: pl.DataFrame, released: pl.DataFrame) -> None:
    # the published notebook shows the exact weights: its noise was never run
    moved = (released["WeightInKilograms"] - table["WeightInKilograms"]).to_numpy()
    assert abs(moved.mean()) < 0.01
    assert abs(moved.std() - 0.8) < 0.01
    assert np.mean(np.abs(moved) < 0.005) < 0.01
    assert released["WeightInKilograms"].round(2).equals(released["WeightInKilograms"])


def test_nothing_else_is_changed(
    table: pl.DataFrame, released: pl.DataFrame, recoding: RulesRecoding
) -> None:
    assert "PatientID" not in released.columns
    assert released.width == table.width - 1 == 34
    changed = {*MAPS, *RENAMED, "WeightInKilograms", "PatientID"}
    assert len(changed) == 12
    kept = [name for name in table.columns if name not in changed]
    assert released.select(kept).equals(table.select(kept))
    acted = {change.column: change.action for change in recoding.describe()}
    assert {name for name, action in acted.items() if action != "kept"} == changed
    assert recoding.promises == ()
    assert recoding.released_schema().check(released).person is None


def test_an_age_that_nobody_listed_is_no_senior(
    table: pl.DataFrame, recoding: RulesRecoding
) -> None:
    # in the published code, whatever is not listed is a Senior
    strange = table[:3].with_columns(AgeCategory=pl.lit("Age 12 to 17"))
    with pytest.raises(HierarchyError, match=r"column 'AgeCategory'.*row 1"):
        recoding.apply(strange)


def test_the_recoding_comes_back_from_a_file(
    tmp_path: Path, table: pl.DataFrame, recoding: RulesRecoding, released: pl.DataFrame
) -> None:
    recoding.save(tmp_path / "recoding.json")
    again = RulesRecoding.load(tmp_path / "recoding.json")
    assert again == recoding
    assert again.apply(table).equals(released)
