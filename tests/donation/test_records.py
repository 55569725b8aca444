"""Questions, digits and the record codec: what goes in comes out, and nothing else is accepted."""

import csv
import gzip
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfumato.donation.records import (
    CategoryQuestion,
    DigitLayout,
    NumberQuestion,
    NumberRange,
    QuasiIdentifierQuestion,
    RecordCodec,
    form_questions,
)
from sfumato.errors import DataError, PlanError, ProtocolError, SchemaError
from sfumato.table import Hierarchy

AGE = QuasiIdentifierQuestion(
    column="age",
    label="How old are you?",
    hierarchy={"bands": [5, 10, 20], "top": 90},
    range={"minimum": 0, "maximum": 120},
    missing=True,
)
BMI = QuasiIdentifierQuestion(
    column="bmi",
    label="Your body mass index?",
    hierarchy={"intervals": [18.5, 25, 30], "levels": [[25]]},
    range={"minimum": 10, "maximum": 99.99, "resolution": 0.01},
)
SEX = QuasiIdentifierQuestion(
    column="sex", label="Your sex?", hierarchy={"flat": True}, choices=["Female", "Male", "Other"]
)
SMOKING = CategoryQuestion(
    column="smoking", label="Do you smoke?", choices=["never", "former", "current"], missing=True
)
GLUCOSE = NumberQuestion(
    column="glucose", label="Glucose?", range={"minimum": 80, "maximum": 400}, missing=True
)
HBA1C = NumberQuestion(
    column="hba1c", label="HbA1c?", range={"minimum": 3.5, "maximum": 9, "resolution": 0.1}
)
CODEC = RecordCodec.of([SEX, AGE, BMI], [SMOKING, GLUCOSE, HBA1C])
ROWS = st.lists(
    st.tuples(
        st.sampled_from(["Female", "Male", "Other"]),
        st.none() | st.integers(0, 120),
        st.integers(1000, 9999),
        st.none() | st.sampled_from(["never", "former", "current"]),
        st.none() | st.integers(80, 400),
        st.integers(35, 90),
    ),
    min_size=1,
    max_size=12,
)


def table(rows: list[tuple]) -> pl.DataFrame:
    sex, age, bmi, smoking, glucose, hba1c = zip(*rows, strict=True)
    return pl.DataFrame(
        {
            "sex": sex,
            "age": pl.Series(age, dtype=pl.Int64),
            "bmi": [number / 100 for number in bmi],
            "smoking": pl.Series(smoking, dtype=pl.String),
            "glucose": pl.Series(glucose, dtype=pl.Int64),
            "hba1c": [number / 10 for number in hba1c],
        }
    )


@given(rows=ROWS)
@settings(max_examples=20)
def test_what_goes_in_comes_out(rows: list[tuple]) -> None:
    given_rows = table(rows)
    records = CODEC.encode(given_rows)
    assert records.shape == (len(rows), 256)
    assert records.dtype == np.uint8
    assert CODEC.decode(records).equals(given_rows)


@given(rows=ROWS, level=st.integers(0, 4))
@settings(max_examples=20)
def test_opening_fewer_digits_is_generalizing(rows: list[tuple], level: int) -> None:
    """The oracle is the hierarchy's own label of every row."""
    given_rows = table(rows)
    layout, offset = CODEC.digits[1], CODEC.digit_offsets[1]
    bits = np.unpackbits(CODEC.encode(given_rows), axis=1)
    opened = bits[:, offset : offset + layout.prefix_bits(level)]
    words = np.zeros(len(rows), dtype=np.uint64)
    for column in range(opened.shape[1]):
        words = words * np.uint64(2) + opened[:, column]
    labels = np.array(AGE.ladder.labels[level])
    shown = labels[np.searchsorted(layout.prefixes(level), words)]
    wanted = AGE.hierarchy.generalize(given_rows["age"], level)
    wanted = wanted.fill_null("*" if level == 4 else "(missing)")
    assert shown.tolist() == wanted.to_list()


def test_digits_of_every_leaf_are_told_apart_and_rise() -> None:
    for question in (AGE, BMI, SEX):
        layout = DigitLayout.of(question.ladder)
        assert (np.diff(layout.words.astype(np.int64)) > 0).all()
        leaves = np.arange(question.ladder.n_leaves)
        assert (layout.decode(layout.encode(leaves)) == leaves).all()
        assert layout.prefix_bits(0) == layout.bits
        assert layout.prefix_bits(question.ladder.height) == 0
        for level in range(question.ladder.height + 1):
            assert len(layout.prefixes(level)) == len(question.ladder.labels[level])


def test_cells_are_leaf_numbers_in_mixed_radix() -> None:
    rows = table([("Male", 34, 2500, "never", 80, 50), ("Female", None, 1000, None, None, 35)])
    sex, age, bmi = (q.ladder.n_leaves for q in (SEX, AGE, BMI))
    assert CODEC.n_cells == sex * age * bmi == 3 * 122 * 9000
    assert CODEC.cells(rows).tolist() == [1 * age * bmi + 34 * bmi + 1500, 121 * bmi]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda r: r[:, :-1], "must have 256 bytes"),
        (lambda r: _set(r, 255, 1), "padding"),
        (lambda r: _set(r, 0, 0b11000000), "digits of 'sex'"),
        (lambda r: _set(r, CODEC.sensitive_block.start, 4), "code of 'smoking'"),
        (lambda r: _set(r, CODEC.sensitive_block.start + 1, 255), "code of 'glucose'"),
        (lambda r: _set(r, CODEC.sensitive_block.start - 1, r[0, 3] | 1), "bits after the digits"),
    ],
)
def test_a_record_that_no_answers_give_is_refused(spoil, message: str) -> None:
    assert CODEC.digit_bits % 8
    records = CODEC.encode(table([("Female", 34, 2500, "never", 80, 50)]))
    with pytest.raises(ProtocolError, match=message):
        CODEC.decode(spoil(records))


def _set(records: np.ndarray, byte: int, value: int) -> np.ndarray:
    records[:, byte] = value
    return records


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("age", [34, 121]),
        ("age", [34, -1]),
        ("bmi", [20.0, float("nan")]),
        ("bmi", [20.0, None]),
        ("sex", ["Male", "CANARY"]),
        ("smoking", ["never", "CANARY"]),
        ("glucose", ["90", "CANARY"]),
        ("hba1c", [5.0, None]),
    ],
)
def test_an_impossible_answer_names_column_and_row_but_no_cell(column: str, values: list) -> None:
    rows = table([("Female", 34, 2500, "never", 80, 50)] * 2)
    with pytest.raises((DataError, SchemaError), match="row 2") as caught:
        CODEC.encode(rows.with_columns(pl.Series(column, values)))
    assert column in str(caught.value)
    assert "CANARY" not in str(caught.value)
    assert "121" not in str(caught.value)


def test_an_absent_column_is_named() -> None:
    with pytest.raises(SchemaError, match=r"no column 'hba1c'\. Did you mean 'hba1d'"):
        CODEC.encode(table([("Female", 34, 2500, "never", 80, 50)]).rename({"hba1c": "hba1d"}))


def test_answers_that_do_not_fit_are_refused() -> None:
    with pytest.raises(PlanError, match="need 8 bytes"):
        RecordCodec.of([SEX, AGE, BMI], [SMOKING, GLUCOSE, HBA1C], 7)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"hierarchy": {"bands": [5]}}, "choices or range"),
        ({"hierarchy": {"flat": True}, "choices": ["a"]}, "two possible"),
        ({"hierarchy": {"flat": True}, "choices": ["a", "a"]}, "stands twice"),
        ({"hierarchy": {"bogus": 1}, "choices": ["a", "b"]}, "one kind"),
        ({"hierarchy": {"file": "/etc/passwd"}}, "give the lines"),
        ({"hierarchy": {"mapping": {"a": "x", "b": "x"}}, "choices": ["a", "c"]}, "does not hold"),
    ],
)
def test_questions_say_their_answers(values: dict, message: str) -> None:
    with pytest.raises(PlanError, match=message):
        QuasiIdentifierQuestion(column="x", label="x?", **values)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"minimum": 1, "maximum": 1}, "above minimum"),
        ({"minimum": 0, "maximum": 1, "resolution": 0}, "above 0"),
        ({"minimum": 0, "maximum": 1, "resolution": 0.3}, "whole number of steps"),
        ({"minimum": 0, "maximum": "many"}, "must be a number"),
        ({"minimum": 0, "maximum": float("inf")}, "finite"),
        ({"minimum": 0, "maximum": 1e9, "resolution": 1e-9}, "coarser"),
    ],
)
def test_ranges_are_checked(values: dict, message: str) -> None:
    with pytest.raises(PlanError, match=message):
        NumberRange(**values)


def test_decimal_steps_are_exact() -> None:
    grid = NumberRange(minimum=0.1, maximum=1000, resolution=0.1)
    values = grid.grid("x")
    assert values.to_list() == [number / 10 for number in range(1, 10001)]
    assert grid.codes(values).tolist() == list(range(10000))


def test_the_form_says_what_is_shared_and_how() -> None:
    questions = form_questions(CODEC.quasi_identifiers, CODEC.sensitive, 250)
    assert [q.shared for q in questions] == ["coarse"] * 3 + ["exact"] * 3
    age = questions[1].to_dict()
    assert age["kind"] == "number"
    assert (age["minimum"], age["maximum"], age["step"]) == (0, 120, 1)
    assert age["example"] == ("60", "[60, 65)", "[60, 70)", "[60, 80)", "*")
    assert "at least 250 donors" in age["explanation"]
    assert not age["required"]
    assert questions[0].choices == ("Female", "Male", "Other")
    assert questions[3].choices == ("never", "former", "current")


def test_adult_sample_goes_through(request: pytest.FixtureRequest) -> None:
    path = Path(request.config.rootpath, "tests/data/adult_kanonml.csv.gz")
    with gzip.open(path, "rt") as file:
        first = file.readline()
    delimiter = csv.Sniffer().sniff(first).delimiter
    adult = pl.read_csv(gzip.decompress(path.read_bytes()), separator=delimiter)
    texts = [name for name, kind in adult.schema.items() if kind == pl.String]
    quasi = [
        QuasiIdentifierQuestion(
            column=name,
            label=name,
            hierarchy=Hierarchy.flat(),
            choices=adult[name].unique().sort().to_list(),
        )
        for name in texts[:4]
    ]
    sensitive = [
        CategoryQuestion(column=n, label=n, choices=adult[n].unique().sort().to_list())
        for n in texts[4:]
    ]
    codec = RecordCodec.of(quasi, sensitive, 64)
    assert codec.decode(codec.encode(adult)).equals(adult.select(texts))
