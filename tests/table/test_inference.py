"""From texts to types: what becomes a number or a date, and what stays text."""
# ruff: noqa: DTZ001

from __future__ import annotations

import datetime as dt

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfumato.table.reading.inference import Parse, find_decimal, infer, parse_as
from sfumato.table.types import MISSING_WORDS


def texts(*values: str) -> pl.Series:
    return pl.Series("column", list(values), dtype=pl.String)


def values_of(parse: Parse, series: pl.Series) -> list[object]:
    return series.to_frame().select(parse.values(pl.col(series.name))).to_series().to_list()


@pytest.mark.parametrize(
    ("cells", "wanted", "values"),
    [
        (["1", "-20", "0"], "integer", [1, -20, 0]),
        ([" 7", "8 "], "integer", [7, 8]),
        (["1.5", "2", "-0.25", ".5", "3."], "number", [1.5, 2.0, -0.25, 0.5, 3.0]),
        (["1e-5", "2E+3"], "number", [1e-5, 2000.0]),
        (["80.0", "0.08"], "number", [80.0, 0.08]),
        (["true", "False", "TRUE"], "boolean", [True, False, True]),
        (["2020-02-29", "1999-12-31"], "date", [dt.date(2020, 2, 29), dt.date(1999, 12, 31)]),
        (["2020/1/2"], "date", [dt.date(2020, 1, 2)]),
        (["01.02.2020"], "date", [dt.date(2020, 2, 1)]),
        (["01-Feb-2020"], "date", [dt.date(2020, 2, 1)]),
        (["13/02/2020", "03/04/2020"], "date", [dt.date(2020, 2, 13), dt.date(2020, 4, 3)]),
        (["02/13/2020", "03/04/2020"], "date", [dt.date(2020, 2, 13), dt.date(2020, 3, 4)]),
        (
            ["2020-01-02 10:11:12", "2020-01-02 10:11:12.5"],
            "datetime",
            [dt.datetime(2020, 1, 2, 10, 11, 12), dt.datetime(2020, 1, 2, 10, 11, 12, 500_000)],
        ),
        (["2020-01-02T10:11"], "datetime", [dt.datetime(2020, 1, 2, 10, 11)]),
        (
            ["2020-01-02T10:11:12Z", "2020-01-02T10:11:12+02:00"],
            "datetime",
            [
                dt.datetime(2020, 1, 2, 10, 11, 12, tzinfo=dt.UTC),
                dt.datetime(2020, 1, 2, 8, 11, 12, tzinfo=dt.UTC),
            ],
        ),
    ],
)
def test_plain_texts_become_values(cells: list[str], wanted: str, values: list[object]) -> None:
    parse = infer(texts(*cells)).parse
    assert parse.type == wanted
    assert values_of(parse, texts(*cells)) == values


@pytest.mark.parametrize(
    "cells",
    [
        ["007", "12"],  # a code
        ["-05", "12"],
        ["00.5", "1.5"],
        ["+49123", "12"],  # a telephone number
        ["12345678901234567890"],  # more digits than a number keeps
        ["1,500", "20"],  # thousands or decimals
        ["40-49", "50-59"],
        ["[20, 30)", "<18"],
        ["E11", "I20"],
        ["2020-02-30"],  # no such day
        ["20-01-01"],
        ["2020-01-01", "2020-01-01 10:00"],
        ["1_000"],
        ["0x10"],
        ["1d5"],
        ["١"],
        ["NA", "None"],
        ["yes", "no"],
        [],
    ],
)
def test_what_is_not_plainly_a_value_stays_text(cells: list[str]) -> None:
    assert infer(texts(*cells)).parse.type == "category"


@pytest.mark.parametrize("word", MISSING_WORDS)
def test_a_word_that_means_missing_is_never_missing_unasked(word: str) -> None:
    found = infer(texts("1", "2", word))
    assert found.parse.type == "category"
    assert found.would_be == "integer"
    assert found.missing_words == (word,)


@pytest.mark.parametrize("word", ["inf", "-inf", "Infinity", "+INF", "1e999"])
def test_infinite_numbers_are_noticed(word: str) -> None:
    assert infer(texts("1.5", word)).infinite


def test_swapped_days_and_months_are_noticed_and_settled_by_the_user() -> None:
    ambiguous = texts("01/02/2020", "03/04/2021")
    assert infer(ambiguous).swapped
    assert infer(ambiguous).parse.type == "category"
    day_first = infer(ambiguous, day_first=True).parse
    assert values_of(day_first, ambiguous) == [dt.date(2020, 2, 1), dt.date(2021, 4, 3)]
    month_first = infer(ambiguous, day_first=False).parse
    assert values_of(month_first, ambiguous) == [dt.date(2020, 1, 2), dt.date(2021, 3, 4)]


def test_nearly_all_numbers_is_told() -> None:
    found = infer(texts(*map(str, range(100)), "about 5"))
    assert found.parse.type == "category"
    assert found.would_be == "number"


@pytest.mark.parametrize(
    ("cells", "delimiter", "decimal"),
    [
        (["1,5", "2"], ";", ","),
        (["1.5", "2"], ";", "."),
        (["1,5"], ",", None),  # thousands are parted by commas too
        (["1,500", "22,000"], ";", None),
        (["1,500", "22,0001"], "\t", ","),
        (["a", "b"], ";", None),
    ],
)
def test_decimal_separator(cells: list[str], delimiter: str, decimal: str | None) -> None:
    assert find_decimal([texts(*cells)], delimiter) == decimal


def test_decimal_comma_refuses_points() -> None:
    parse = Parse("number", decimal=",")
    assert values_of(parse, texts("1,5", "1.5", "-2,25")) == [1.5, None, -2.25]


@pytest.mark.parametrize(
    ("wanted", "cells", "values"),
    [
        ("integer", ["007", "80.0", "+5"], [7, 80, 5]),
        ("number", ["007", "1.5"], [7.0, 1.5]),
        ("boolean", ["Yes", "no", "1", "F"], [True, False, True, False]),
        ("date", ["20200131"], [dt.date(2020, 1, 31)]),
        ("text", ["007"], ["007"]),
    ],
)
def test_a_type_that_the_user_gives_reads_more(
    wanted: str, cells: list[str], values: list[object]
) -> None:
    parse = parse_as(wanted, texts(*cells))  # type: ignore[arg-type]
    assert parse is not None
    assert values_of(parse, texts(*cells)) == values


def test_a_given_date_is_not_guessed() -> None:
    assert parse_as("date", texts("01/02/2020")) is None


@given(st.lists(st.integers(-(10**17), 10**17), min_size=1, unique=True))
def test_every_integer_is_read_back(numbers: list[int]) -> None:
    series = texts(*map(str, numbers))
    parse = infer(series).parse
    assert parse.type == "integer"
    assert values_of(parse, series) == numbers


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1))
def test_every_float_that_python_writes_is_read_back(numbers: list[float]) -> None:
    series = texts(*map(repr, numbers))
    parse = infer(series.unique()).parse
    assert parse.type == "number"
    assert values_of(parse, series) == numbers


@given(st.lists(st.dates(dt.date(1000, 1, 1)), min_size=1))
def test_every_iso_date_is_read_back(days: list[dt.date]) -> None:
    series = texts(*(day.isoformat() for day in days))
    parse = infer(series.unique()).parse
    assert parse.type == "date"
    assert values_of(parse, series) == days


@given(st.lists(st.text(), min_size=1))
def test_inference_loses_no_text(cells: list[str]) -> None:
    """Whatever is inferred, every text is a value: none becomes missing."""
    series = texts(*cells).unique()
    present = series.filter(series != "")
    if len(present):
        assert None not in values_of(infer(present).parse, present)
