"""The border: each kind of frame comes in, and the same kind goes out."""
# ruff: noqa: DTZ001

from __future__ import annotations

import datetime as dt
import decimal
import subprocess
import sys
from textwrap import dedent
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from sfumato.errors import DataError
from sfumato.table.frames import take

CANARY = "CANARY7391"
SIMPLE = pl.DataFrame({"age": [40, None, 7], "bmi": [20.5, None, 30.0], "ward": ["A", None, "B"]})


def pandas() -> Any:
    return pytest.importorskip("pandas")


def pyarrow() -> Any:
    return pytest.importorskip("pyarrow")


def test_polars_eager_and_lazy() -> None:
    table, returner = take(SIMPLE)
    assert returner.give(table) is table
    assert_frame_equal(table, SIMPLE)
    table, returner = take(SIMPLE.lazy())
    assert_frame_equal(table, SIMPLE)
    assert isinstance(returner.give(table), pl.LazyFrame)


def test_pyarrow() -> None:
    table, returner = take(SIMPLE.to_arrow())
    assert_frame_equal(table, SIMPLE)
    given_back = returner.give(table.head(2))
    assert isinstance(given_back, pyarrow().Table)
    assert given_back.num_rows == 2


def test_duckdb() -> None:
    duckdb = pytest.importorskip("duckdb")
    pyarrow()
    table, returner = take(duckdb.sql("select 40 as age, 'A' as ward"))
    assert table.rows() == [(40, "A")]
    assert returner.give(table).fetchall() == [(40, "A")]


def test_pandas_types_and_missing_values() -> None:
    pd = pandas()
    frame = pd.DataFrame(
        {
            "i": [1, 2, 3],
            "f": [1.5, np.nan, 3],
            "f32": np.array([0.5, np.nan, 2], dtype="float32"),
            "u8": np.array([1, 2, 255], dtype="uint8"),
            "Int": pd.array([1, None, 3], dtype="Int64"),
            "Float": pd.array([1.5, None, 2], dtype="Float64"),
            "b": [True, False, True],
            "Bool": pd.array([True, None, False], dtype="boolean"),
            "bo": np.array([True, None, False], dtype=object),
            "s": ["a", None, "c"],
            "so": np.array(["a", np.nan, "c"], dtype=object),
            "c": pd.Categorical(["x", "y", None]),
            "ci": pd.Categorical([3, 1, 3]),
            "cut": pd.cut([1, 5, 9], [0, 4, 10]),
            "d": pd.to_datetime(["2020-01-31", None, "2020-02-01"]),
            "tz": pd.to_datetime(["2020-01-31T10:00", None, None]).tz_localize("Europe/Berlin"),
            "day": [dt.date(2020, 1, 31), None, dt.date(2020, 2, 1)],
            "dec": [decimal.Decimal("1.5"), None, decimal.Decimal(2)],
        }
    )
    before = frame.copy(deep=True)
    table, returner = take(frame)
    moment = dt.datetime(2020, 1, 31, 10, tzinfo=dt.timezone(dt.timedelta(hours=1)))
    assert table.to_dict(as_series=False) == {
        "i": [1, 2, 3],
        "f": [1.5, None, 3.0],
        "f32": [0.5, None, 2.0],
        "u8": [1, 2, 255],
        "Int": [1, None, 3],
        "Float": [1.5, None, 2.0],
        "b": [True, False, True],
        "Bool": [True, None, False],
        "bo": [True, None, False],
        "s": ["a", None, "c"],
        "so": ["a", None, "c"],
        "c": ["x", "y", None],
        "ci": [3, 1, 3],
        "cut": ["(0, 4]", "(4, 10]", "(4, 10]"],
        "d": [dt.datetime(2020, 1, 31), None, dt.datetime(2020, 2, 1)],
        "tz": [moment, None, None],
        "day": [dt.date(2020, 1, 31), None, dt.date(2020, 2, 1)],
        "dec": [1.5, None, 2.0],
    }
    assert set(table.dtypes) == {
        pl.Int64,
        pl.Float64,
        pl.Boolean,
        pl.String,
        pl.Date,
        pl.Datetime("us"),
        pl.Datetime("us", "Europe/Berlin"),
    }
    pd.testing.assert_frame_equal(frame, before)
    given_back = returner.give(table)
    assert isinstance(given_back, pd.DataFrame)
    again, _ = take(given_back)
    midnights = pl.col("day").cast(pl.Datetime("us"))
    assert_frame_equal(again, table.with_columns(midnights))


def test_pandas_keeps_an_index_that_tells_nothing() -> None:
    pd = pandas()
    frame = pd.DataFrame({"a": [1, 2, 3]}, index=[7, 7, 9])
    table, returner = take(frame)
    assert list(returner.give(table).index) == [7, 7, 9]
    assert list(returner.give(table.head(2)).index) == [0, 1]


def test_pandas_drops_an_index_that_may_identify() -> None:
    pd = pandas()
    frame = pd.DataFrame({"a": [1, 2]})
    for index in (
        pd.Index([101, 102], name="PatientID"),
        pd.Index([CANARY, "b"]),
        pd.MultiIndex.from_tuples([(1, 2), (3, 4)]),
        pd.to_datetime(["2020-01-01", "2020-01-02"]),
    ):
        table, returner = take(frame.set_axis(index))
        assert list(returner.give(table).index) == [0, 1]
        assert CANARY not in repr(returner)


@given(
    st.lists(
        st.tuples(
            st.none() | st.integers(-(2**62), 2**62),
            st.none() | st.floats(allow_nan=False, allow_infinity=False),
            st.none() | st.booleans(),
            st.none() | st.text(st.characters(exclude_categories=["Cs"])),
            st.none() | st.datetimes(dt.datetime(1700, 1, 1), dt.datetime(2200, 1, 1)),
        ),
        min_size=1,
        max_size=8,
    )
)
def test_a_table_survives_pandas_and_pyarrow(rows: list[tuple[Any, ...]]) -> None:
    pd = pandas()
    schema = {
        "i": pl.Int64,
        "f": pl.Float64,
        "b": pl.Boolean,
        "s": pl.String,
        "t": pl.Datetime("us"),
    }
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    _, to_pandas = take(pd.DataFrame({"a": [1]}))
    back, _ = take(to_pandas.give(frame))
    assert_frame_equal(back, frame)
    _, to_arrow = take(frame.to_arrow())
    back, _ = take(to_arrow.give(frame))
    assert_frame_equal(back, frame)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: pandas().DataFrame([[1, 2]], columns=["a", "a"]), "the same name 'a'"),
        (lambda: pandas().DataFrame({"": [1]}), "column 1 has no name"),
        (lambda: pandas().DataFrame([[1, 2]]), "the name of column 1 is of type int"),
        (lambda: pandas().DataFrame(), "has no columns"),
        (lambda: pandas().DataFrame({"a": [1, CANARY]}), "'a' mixes values of the types int, str"),
        (lambda: pandas().DataFrame({"a": [[CANARY], [2]]}), "'a' holds List"),
        (lambda: pandas().DataFrame({"a": [object()]}), "'a' holds"),
        (lambda: pandas().DataFrame({"a": [1, np.inf]}), "not finite .*row 2"),
        (lambda: pandas().DataFrame({"a": pandas().to_timedelta([1])}), "'a' holds Duration"),
        (lambda: pandas().Series([CANARY]), "no table"),
        (lambda: pl.DataFrame({"a": [1.0, float("nan")]}), "not finite .*row 2"),
        (lambda: pl.DataFrame({"a": [{"b": CANARY}]}), "'a' holds Struct"),
        (lambda: pl.DataFrame({" ": [1]}), "column 1 has no name"),
        (
            lambda: pyarrow().Table.from_arrays(
                [pyarrow().array([1]), pyarrow().array([2])], names=["a", "a"]
            ),
            "the same name 'a'",
        ),
        (
            lambda: pyarrow().table(
                {"a": pyarrow().array([(1, 2, 3)], pyarrow().month_day_nano_interval())}
            ),
            "'a' holds intervals",
        ),
        (lambda: {"a": [CANARY]}, "a dict is no data frame"),
        (lambda: np.zeros((2, 2)), "a ndarray is no data frame"),
        (lambda: None, "a NoneType is no data frame"),
    ],
)
def test_what_is_no_table_is_refused(make: Any, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        take(make())
    assert CANARY not in str(caught.value)


def test_polars_alone_imports_no_other_frame() -> None:
    script = """
        import sys
        import polars as pl
        from sfumato.table.frames import take
        from sfumato.table.reading.files import read
        take(pl.DataFrame({"a": [1]}))
        heavy = {"pandas", "pyarrow", "duckdb", "psycopg", "fastexcel", "xlsxwriter"}
        print(sorted(heavy & set(sys.modules)))
    """
    told = subprocess.check_output([sys.executable, "-c", dedent(script)], text=True)
    assert told.strip() == "[]"
