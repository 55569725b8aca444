"""Rules with a secret key: what they do, and that the key is nowhere to be found."""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from sfumato.anonymization import Rules, RulesRecoding
from sfumato.errors import DataError, PlanError
from sfumato.table import Schema

KEY = "canary-key-0123456789abcdef"
TABLE = pl.DataFrame(
    {
        "patient": ["p1", "p2", "p1", None],
        "seen": [date(2020, 2, 28), date(2021, 1, 1), date(2020, 3, 28), None],
        "left": pl.Series(["2020-03-01 12:30"] * 4).str.to_datetime(),
    }
)
SCHEMA = Schema(person="patient", quasi_identifiers=["seen", "left"])


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUDY_KEY", KEY)


def test_a_pseudonym_is_the_keyed_digest_of_the_value() -> None:
    rules = Rules(columns={"patient": {"pseudonym": {"key_env": "STUDY_KEY"}}})
    released = rules.fit(TABLE, SCHEMA).apply(TABLE)["patient"].to_list()
    expected = hmac.new(KEY.encode(), b"pseudonym\0patient\0p1", hashlib.sha256).hexdigest()[:32]
    assert released[0] == released[2] == expected
    assert released[1] not in (None, expected)
    assert released[3] is None


def test_length_domain_and_key_can_be_chosen(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(KEY.encode() + b"\n")
    here = {"key_file": str(tmp_path / "key"), "length": 20}
    short = Rules(columns={"patient": {"pseudonym": here}}).fit(TABLE, SCHEMA).apply(TABLE)
    full = Rules(columns={"patient": {"pseudonym": {"key_env": "STUDY_KEY", "length": 64}}})
    assert short["patient"][0] == full.fit(TABLE, SCHEMA).apply(TABLE)["patient"][0][:20]
    # one domain makes tables join whose columns have different names
    joined = {"pseudonym": {"key_env": "STUDY_KEY", "domain": "person"}}
    other = TABLE.rename({"patient": "pid"})
    schema = SCHEMA.rename({"patient": "pid"})
    one = Rules(columns={"patient": joined}).fit(TABLE, SCHEMA).apply(TABLE)["patient"]
    two = Rules(columns={"pid": joined}).fit(other, schema).apply(other)["pid"]
    assert one.equals(two)
    assert one[0] != full.fit(TABLE, SCHEMA).apply(TABLE)["patient"][0][:32]


def test_a_hundred_thousand_pseudonyms_do_not_collide() -> None:
    table = pl.DataFrame({"patient": range(100_000)})
    rules = Rules(columns={"patient": {"pseudonym": {"key_env": "STUDY_KEY", "length": 16}}})
    released = rules.fit(table, Schema(identifiers=["patient"])).apply(table)
    assert released["patient"].n_unique() == 100_000


def test_pseudonyms_that_collide_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hmac.digest", lambda *_: bytes(32))
    rules = Rules(columns={"patient": {"pseudonym": {"key_env": "STUDY_KEY"}}})
    with pytest.raises(DataError, match="two values have the same pseudonym"):
        rules.fit(TABLE, SCHEMA)


def test_the_key_is_nowhere(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(KEY)
    rules = Rules(
        columns={
            "patient": {"pseudonym": {"key_env": "STUDY_KEY"}},
            "seen": {"shift_dates": {"days": 30, "key_file": str(tmp_path / "secret")}},
        }
    )
    recoding = rules.fit(TABLE[:3], SCHEMA)
    recoding.save(tmp_path / "recoding.json")
    said = [
        repr(rules),
        str(rules),
        rules.model_dump_json(),
        repr(recoding),
        json.dumps(recoding.to_dict()),
        repr(recoding.describe()),
        (tmp_path / "recoding.json").read_text(),
        repr(recoding.released_schema()),
        str(recoding.apply(TABLE[:3]).to_dict(as_series=False)),
    ]
    for text in said:
        assert "canary" not in text
        assert KEY.encode().hex() not in text
    again = RulesRecoding.from_dict(json.loads(json.dumps(recoding.to_dict())))
    assert again == recoding
    assert again.apply(TABLE[:3]).equals(recoding.apply(TABLE[:3]))


@pytest.mark.parametrize(
    "settings",
    [
        "canary",
        {"key": "canary"},
        {"key_env": "canary key"},
        {"key_env": ["canary"]},
        {"key_file": "canary", "key_env": "STUDY_KEY"},
    ],
)
def test_a_key_written_where_it_does_not_belong_is_not_repeated(settings: object) -> None:
    with pytest.raises(PlanError) as raised:
        Rules(columns={"patient": {"pseudonym": settings}})
    assert "canary" not in str(raised.value)


@pytest.mark.parametrize(
    ("key", "message"),
    [
        (None, "is not set"),
        ("short", "fewer than 16 bytes"),
        ("aaaaaaaaaaaaaaaaaaaaaaaa", "too plain"),
    ],
)
def test_a_key_that_is_none(key: str | None, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STUDY_KEY")
    if key is not None:
        monkeypatch.setenv("STUDY_KEY", key)
    for rule in (
        {"patient": {"pseudonym": {"key_env": "STUDY_KEY"}}},
        {"seen": {"shift_dates": {"days": 9, "key_env": "STUDY_KEY"}}},
    ):
        with pytest.raises(PlanError, match=message) as raised:
            Rules(columns=rule).fit(TABLE[:3], SCHEMA)
        assert "STUDY_KEY" in str(raised.value)
        assert key is None or key not in str(raised.value)


def test_a_key_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    rule = {"pseudonym": {"key_file": str(tmp_path / "nowhere")}}
    with pytest.raises(PlanError, match="nowhere cannot be read: No such file"):
        Rules(columns={"patient": rule}).fit(TABLE, SCHEMA)


def test_an_identifier_can_only_be_left_out_or_made_a_pseudonym() -> None:
    with pytest.raises(PlanError, match=r"columns.patient: the column is an identifier"):
        Rules(columns={"patient": {"map": {"p1": "a", "p2": "b"}}}).fit(TABLE, SCHEMA)


# -- dates --------------------------------------------------------------------------------------


def shifted(table: pl.DataFrame, schema: Schema = SCHEMA, **settings: object) -> pl.DataFrame:
    rule = {"shift_dates": {"key_env": "STUDY_KEY", **settings}}
    return Rules(columns={"seen": rule, "left": rule}).fit(table, schema).apply(table)


def test_all_dates_of_a_person_move_together() -> None:
    table = TABLE[:3]
    released = shifted(table, days=100)
    assert released.schema["seen"] == pl.Date
    assert released.schema["left"] == table.schema["left"]
    by_day = (released["seen"] - table["seen"]).dt.total_days().to_list()
    by_moment = (released["left"] - table["left"]).dt.total_days().to_list()
    assert by_day == by_moment
    assert by_day[0] == by_day[2] != by_day[1]
    # another table, of other people too: the same person moves by the same days
    more = pl.concat(
        [pl.DataFrame([TABLE[1:2]["patient"] + "x", TABLE["seen"][1:2], TABLE["left"][1:2]]), table]
    )
    assert shifted(more, days=100)[1:].equals(released)


@pytest.mark.parametrize("keep_weekday", [False, True])
def test_shifts_are_spread_over_the_days_and_never_zero(keep_weekday: bool) -> None:
    n = 5000
    table = pl.DataFrame(
        {
            "patient": range(n),
            "seen": pl.Series([date(2020, 6, 3)] * n),
            "left": pl.Series([date(2020, 6, 3)] * n).cast(pl.Datetime),
        }
    )
    released = shifted(table, days=14, keep_weekday=keep_weekday)
    found = set((released["seen"] - table["seen"]).dt.total_days())
    days = [*range(-14, 0), *range(1, 15)]
    assert found == {day for day in days if not keep_weekday or day % 7 == 0}


def test_a_missing_date_stays_missing_and_a_missing_person_is_an_error() -> None:
    table = TABLE.with_columns(patient=pl.lit("p1"))
    assert shifted(table, days=9)["seen"].to_list()[3] is None
    with pytest.raises(DataError, match=r"column 'patient': 1 rows \(first: row 4\)"):
        shifted(TABLE, days=9)


def test_dates_that_cannot_be_shifted() -> None:
    texts = TABLE[:3].with_columns(pl.col("seen").cast(pl.String))
    with pytest.raises(
        PlanError, match='needs dates, but the column holds String; say type = "date"'
    ):
        shifted(texts, days=9)
    nobody = Schema(identifiers=["patient"], quasi_identifiers=["seen", "left"])
    with pytest.raises(PlanError, match="needs to know whose row it is"):
        shifted(TABLE[:3], nobody, days=9)
    with pytest.raises(PlanError, match="at least 7 to keep the weekday"):
        shifted(TABLE[:3], days=3, keep_weekday=True)
