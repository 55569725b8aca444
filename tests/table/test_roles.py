"""Suggested roles: from the name, the form of the values and how unique they are."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import polars as pl
import pytest

from sfumato.table import Hierarchy, Role, suggest_roles
from sfumato.table.role_names import HIPAA, rule_of_name

HEART = Path(__file__).parents[1] / "data" / "heart_sample.parquet"


def suggest(name: str, values: list[object]):
    return suggest_roles(pl.DataFrame({name: values}))[name]


@pytest.mark.parametrize(
    ("name", "letter"),
    [
        ("Name", "A"),
        ("last_name", "A"),
        ("Nachname", "A"),
        ("prénom", "A"),
        ("Apellidos", "A"),
        ("StreetAddress", "B"),
        ("Straße", "B"),
        ("zip_code", "B"),
        ("PLZ", "B"),
        ("código postal", "B"),
        ("City", "B"),
        ("Wohnort", "B"),
        ("latitude", "B"),
        ("Geburtsdatum", "C"),
        ("date_de_naissance", "C"),
        ("fecha_nacimiento", "C"),
        ("DOB", "C"),
        ("admission_date", "C"),
        ("PhoneNumber", "D"),
        ("Telefonnummer", "D"),
        ("Fax", "E"),
        ("e-mail", "F"),
        ("EMailAddress", "F"),
        ("Correo", "F"),
        ("SSN", "G"),
        ("Sozialversicherungsnummer", "G"),
        ("MRN", "H"),
        ("PatientID", "H"),
        ("subject_id", "H"),
        ("Patientennummer", "H"),
        ("insurance number", "I"),
        ("Versichertennummer", "I"),
        ("IBAN", "J"),
        ("account_no", "J"),
        ("PassportNumber", "K"),
        ("license plate", "L"),
        ("Kennzeichen", "L"),
        ("device_id", "M"),
        ("Seriennummer", "M"),
        ("website", "N"),
        ("IPAddress", "O"),
        ("fingerprint", "P"),
        ("photo", "Q"),
        ("customer_id", "R"),
        ("uuid", "R"),
    ],
)
def test_names_of_the_18_identifiers(name: str, letter: str) -> None:
    rule = rule_of_name(name)
    assert rule is not None
    assert rule.hipaa == letter
    assert set("ABCDEFGHIJKLMNOPQR") == set(HIPAA)


@pytest.mark.parametrize(
    ("values", "kind", "letter"),
    [
        (["ann@example.org", "b.c@x.example.com"], "e-mail addresses", "F"),
        (["+49 30 901820", "(030) 901820", "555-123-4567"], "telephone numbers", "D"),
        (["078-05-1120", "219-09-9999"], "social security numbers", "G"),
        (["DE89370400440532013000", "GB29 NWBK 6016 1331 9268 19"], "IBANs", "J"),
        (["4111 1111 1111 1111", "5500-0000-0000-0004"], "card numbers", "J"),
        (["192.168.0.1", "10.0.0.255"], "IP addresses", "O"),
        (["2001:db8:0:0:0:0:0:1", "fe80::1:2:3"], "IP addresses", "O"),
        (["https://example.org/a", "www.example.com"], "web addresses", "N"),
        (["00:1A:2B:3C:4D:5E", "00-1A-2B-3C-4D-5F"], "MAC addresses", "M"),
        (["MRN-004711", "MRN-004712"], "record numbers", "H"),
        (
            ["123e4567-e89b-12d3-a456-426614174000", "123e4567-e89b-12d3-a456-426614174001"],
            "UUIDs",
            "R",
        ),
    ],
)
def test_forms_that_identify(values: list[str], kind: str, letter: str) -> None:
    suggestion = suggest("x1", values)
    assert suggestion.role is Role.IDENTIFIER
    assert suggestion.pattern == kind
    assert suggestion.hipaa == HIPAA[letter]
    assert suggestion.reasons == (f"its values have the form of {kind}",)


@pytest.mark.parametrize(
    ("values", "kind", "preset", "role"),
    [
        (["2021-03-04", "2020-12-31"], "dates", "date", Role.QUASI_IDENTIFIER),
        (["04.03.2021", "31.12.2020"], "dates", None, Role.QUASI_IDENTIFIER),
        (["02139-4307", "10001-0001"], "US ZIP codes", "postcode-us", Role.QUASI_IDENTIFIER),
        (["SW1A 1AA", "M1 1AE"], "British postcodes", "postcode-gb", Role.QUASI_IDENTIFIER),
        (["E11.9", "I21.4"], "ICD-10 codes", "icd10", Role.SENSITIVE),
        (["A10BA02", "C07AB02"], "ATC codes", "atc", Role.SENSITIVE),
    ],
)
def test_forms_of_other_roles(values: list[str], kind: str, preset: str | None, role: Role) -> None:
    suggestion = suggest("x1", values)
    assert (suggestion.pattern, suggestion.hierarchy_preset, suggestion.role) == (
        kind,
        preset,
        role,
    )


@pytest.mark.parametrize(
    "values",
    [
        ["DE89370400440532013001", "GB29 NWBK 6016 1331 9268 18"],
        ["4111 1111 1111 1112", "5500-0000-0000-0005"],
    ],
)
def test_wrong_check_digits_are_no_account(values: list[str]) -> None:
    assert suggest("x1", values).pattern is None


def test_a_name_that_its_values_belie() -> None:
    suggestion = suggest("Telephone", ["yes", "no"] * 60)
    assert suggestion.role is Role.OTHER
    assert suggest("No-show", ["No", "Yes"] * 60).hierarchy_preset is None
    assert suggest("hday", [1, 3, 7]).role is Role.OTHER


def test_a_column_that_counts_the_rows_identifies() -> None:
    suggestion = suggest("x1", list(range(1, 31)))
    assert suggestion.role is Role.IDENTIFIER
    assert "no two rows share a value" in suggestion.reasons
    assert suggest("x1", [number**3 for number in range(30)]).role is Role.OTHER
    assert suggest("x1", [number / 7 for number in range(30)]).role is Role.OTHER


def test_free_text_may_hold_names() -> None:
    many = [f"The patient says that nothing of note happened on day {day}." for day in range(99)]
    suggestion = suggest("remarks", many)
    assert suggestion.role is Role.IDENTIFIER
    suggestion = suggest("remarks", ["fine", "write to ann@example.org soon"])
    assert suggestion.role is Role.IDENTIFIER
    assert suggestion.reasons == ("some of its texts hold an e-mail address",)


@pytest.mark.parametrize("name", ["PatientID", "mrn", "subject_id", "last_name", "SSN"])
@pytest.mark.parametrize("people", [2, 15])
def test_few_people_with_many_rows_each_are_still_named(name: str, people: int) -> None:
    suggestion = suggest(name, [4711 + row % people for row in range(150)])
    assert suggestion.role is Role.IDENTIFIER
    assert any("name it as `person`" in reason for reason in suggestion.reasons)


def test_a_single_row_still_tells_who_it_is() -> None:
    assert suggest("id", ["0001"]).role is Role.IDENTIFIER
    assert suggest("contact", ["ann@example.org"]).role is Role.IDENTIFIER


@pytest.mark.parametrize("name", ["visit_number", "telephone", "study_id"])
def test_a_number_of_anything_else_is_belied_by_few_values(name: str) -> None:
    assert suggest(name, [row % 4 for row in range(150)]).role is not Role.IDENTIFIER


def test_ages() -> None:
    assert suggest("Alter", [34, 71]).hierarchy_preset == "age-5-10-20-90"
    old = suggest("age", [34, 94])
    assert old.hipaa == HIPAA["C"]
    assert any("beyond 89" in reason for reason in old.reasons)
    days = suggest("age", [12_000, 20_000])
    assert days.hierarchy_preset is None
    assert any("not an age in years" in reason for reason in days.reasons)


def test_dates_are_quasi_identifiers_whatever_their_name() -> None:
    suggestion = suggest("x1", [date(2021, 3, 4), date(2020, 1, 1)])
    assert suggestion.role is Role.QUASI_IDENTIFIER
    assert suggestion.hipaa == HIPAA["C"]
    assert suggestion.hierarchy_preset == "date"


@pytest.mark.parametrize("values", [[None, None], [3, 3, 3], ["a", None]])
def test_one_value_tells_nobody_apart(values: list[object]) -> None:
    assert suggest("PatientID", values).role is Role.OTHER


def test_an_empty_table() -> None:
    assert suggest_roles(pl.DataFrame()) == {}
    assert suggest("age", []).role is Role.OTHER


def test_the_heart_table() -> None:
    table = pl.read_parquet(HEART)
    suggestions = suggest_roles(table)
    assert list(suggestions) == table.columns
    roles = {
        role: [name for name, suggestion in suggestions.items() if suggestion.role is role]
        for role in Role
    }
    assert roles[Role.IDENTIFIER] == ["PatientID"]
    assert roles[Role.QUASI_IDENTIFIER] == [
        "State",
        "Sex",
        "AgeCategory",
        "HeightInMeters",
        "WeightInKilograms",
        "BMI",
        "RaceEthnicityCategory",
    ]
    assert roles[Role.TARGET] == roles[Role.OTHER] == []
    presets = {name: s.hierarchy_preset for name, s in suggestions.items() if s.hierarchy_preset}
    assert presets["State"] == "us-census-region"
    assert presets["AgeCategory"] == "brfss-age-group"
    assert presets["TetanusLast10Tdap"] == "brfss-tetanus"
    for name, preset in presets.items():
        Hierarchy.preset(preset).generalize(table[name], 1)


def test_no_reason_holds_a_cell() -> None:
    canary = "canary7731"
    table = pl.DataFrame(
        {
            "name": [f"{canary} {row}" for row in range(30)],
            "mail": [f"{canary}{row}@example.org" for row in range(30)],
            "note": [f"{canary} wrote to a{row}@example.org today" for row in range(30)],
            "code": [f"{canary}-{row}" for row in range(30)],
        }
    )
    for suggestion in suggest_roles(table).values():
        assert canary not in repr(suggestion)
        assert suggestion.role is Role.IDENTIFIER
