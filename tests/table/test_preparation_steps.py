"""Steps from the source's rows to prepared ones: what each does, and that each row is by itself."""

import datetime as dt
import math
from fractions import Fraction

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfumato.errors import DataError, PlanError, SchemaError
from sfumato.table import Schema
from sfumato.table.preparation.cleaning_steps import Bounds, Drop, DropDuplicates, Impute, Trim
from sfumato.table.preparation.feature_steps import (
    Bins,
    DateParts,
    Derive,
    Normalize,
    OneHot,
    Years,
)
from sfumato.table.preparation.table_preparation import (
    STEPS,
    TablePreparation,
    exact_answer,
    fit_steps,
    step_of_plan,
)


def prepared(table, *steps):
    return fit_steps(table, steps, exact_answer).apply(table)


def column(values, *steps, kind=None):
    return prepared(pl.DataFrame({"x": pl.Series(values, dtype=kind)}), *steps)["x"].to_list()


# -- cleaning --------------------------------------------------------------------------------------


def test_of_equal_rows_the_first_is_kept():
    table = pl.DataFrame({"x": [1, 1, 2, 1], "y": ["a", "a", "a", "b"]})
    assert prepared(table, DropDuplicates()).rows() == [(1, "a"), (2, "a"), (1, "b")]
    assert prepared(table, DropDuplicates(columns=("x",))).rows() == [(1, "a"), (2, "a")]


def test_texts_are_trimmed():
    assert column([" a  b ", "  ", None, "A"], Trim()) == ["a b", None, None, "A"]
    assert column([" Ab "], Trim(columns=("x",), case="upper")) == ["AB"]
    with pytest.raises(SchemaError, match="needs texts"):
        column([1], Trim(columns=("x",)))


def test_what_is_out_of_bounds_is_missing_or_clipped():
    assert column([-1, 3, 12, None], Bounds(column="x", low=0, high=10)) == [None, 3, None, None]
    clip = Bounds(column="x", low=0, high=10, beyond="clip")
    assert column([-1, 3, 12], clip) == [0, 3, 10]
    assert column([-1.5, 12.0], clip) == [0.0, 10.0]
    assert column([0, 9], Bounds(column="x", low=0.5, high=8.5, beyond="clip")) == [1, 8]
    days = [dt.date(1800, 1, 1), dt.date(2000, 1, 1)]
    assert column(days, Bounds(column="x", low="1900-01-01")) == [None, days[1]]
    assert column(["a", "z", None], Bounds(column="x", values=("a", "b"))) == ["a", None, None]
    assert column([1.0, 7.0], Bounds(column="x", values=(1, 2))) == [1.0, None]
    with pytest.raises(SchemaError, match="needs numbers"):
        column(["a"], Bounds(column="x", low=0))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"column": "x"}, "low or high"),
        ({"column": "x", "low": 3, "high": 3}, "low must be below high"),
        ({"column": "x", "values": ["a"], "beyond": "clip"}, "cannot be clipped"),
        ({"column": "x", "low": 1, "values": ["a"]}, "low or high"),
    ],
)
def test_bounds_that_say_nothing_are_refused(wrong, said):
    with pytest.raises(PlanError, match=said):
        Bounds(**wrong)


# -- missing cells ---------------------------------------------------------------------------------


def test_missing_cells_are_filled():
    assert column([1, None, 3], Impute(column="x", by="value", value=9)) == [1, 9, 3]
    assert column([1.0, None, 4.0, 9.0], Impute(column="x", by="median"))[1] == 4.0
    assert column([1, None, 2], Impute(column="x", by="mean"))[1] == 2  # 1.5, to even
    assert column(["a", "b", "b", None], Impute(column="x", by="mode"))[3] == "b"
    assert column([True, True, False, None], Impute(column="x", by="mode"))[3] is True
    filled = column([None, "b"], Impute(column="x", by="value", value="not asked"))
    assert filled == ["not asked", "b"]
    assert column([None], Impute(column="x", by="median"), kind=pl.Float64) == [None]
    day = Impute(column="x", by="value", value="2020-02-29")
    assert column([None], day, kind=pl.Date) == [dt.date(2020, 2, 29)]
    with pytest.raises(SchemaError, match="does not fit its type"):
        column([1, None], Impute(column="x", by="value", value="one"))


def test_missing_cells_can_be_marked_and_kept():
    table = pl.DataFrame({"x": [1, None]})
    made = prepared(table, Impute(column="x", by="keep", mark=True))
    assert made.to_dict(as_series=False) == {"x": [1, None], "x is missing": [False, True]}
    schema = Impute(column="x", by="keep", mark=True).schema_after(
        Schema(rest="other", other=["x"])
    )
    assert set(schema.columns) == {"x", "x is missing"}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"by": "value"}, "value goes with"),
        ({"by": "median", "value": 3}, "value goes with"),
        ({"by": "median", "share": 0.1}, "needs bounds"),
        ({"by": "mode", "share": 0.1}, "needs values"),
        ({"by": "value", "value": 1, "share": 0.1}, "pays for nothing"),
        ({"by": "median", "bounds": [5, 1, 1]}, "low below high"),
        ({"by": "median", "bounds": [0, 9, 1], "share": 1}, "above 0 and below 1"),
        ({"by": "median", "bounds": [0, 9, 1], "share": True}, "a number or a text"),
    ],
)
def test_a_filling_that_contradicts_itself_is_refused(wrong, said):
    with pytest.raises(PlanError, match=said):
        Impute(column="x", **wrong)


# -- scales and features ---------------------------------------------------------------------------


def test_numbers_are_scaled():
    by_bounds = Normalize(column="x", by="bounds", low=10, high=20)
    assert column([5, 15, 25, None], by_bounds) == [0.0, 0.5, 1.0, None]
    standard = column([1.0, 2.0, 3.0], Normalize(column="x", by="standard"))
    assert standard == pytest.approx([-math.sqrt(1.5), 0, math.sqrt(1.5)])
    declared = Normalize(column="x", by="standard", mean=2, deviation=4)
    assert column([6, 2], declared) == [1.0, 0.0]
    quantiles = Normalize(column="x", by="quantiles", ranks=("1/4", "3/4"))
    assert column([0, 1, 2, 3, 4], quantiles) == [-0.5, 0.0, 0.5, 1.0, 1.5]
    assert column([7, 7], Normalize(column="x", by="standard")) == [0.0, 0.0]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"by": "bounds", "low": 1}, "low and high"),
        ({"by": "standard", "mean": 1}, "go together"),
        ({"by": "quantiles", "ranks": ["3/4", "1/4"]}, "stands first"),
        ({"by": "standard", "share": 0.1}, "needs bounds"),
        ({"by": "bounds", "low": 1, "high": 2, "share": 0.1}, "pays for nothing"),
    ],
)
def test_a_scale_that_contradicts_itself_is_refused(wrong, said):
    with pytest.raises(PlanError, match=said):
        Normalize(column="x", **wrong)


def test_columns_are_derived():
    table = pl.DataFrame({"w": [80.0, 60.0, None, 50.0], "h": [2.0, None, 1.5, 0.0]})
    made = prepared(table, Derive(column="bmi", by="w / POWER(h, 2)", role="sensitive"))
    assert made["bmi"].to_list() == [20.0, None, None, None]  # by zero: no finite number
    words = Derive(column="x", by="CASE WHEN x = 27.32 THEN NULL ELSE x END")
    assert column([27.32, 20.0], words) == [None, 20.0]
    with pytest.raises(SchemaError, match="needs the column 'z'"):
        column([1], Derive(column="x", by="z + 1"))


@pytest.mark.parametrize(
    "text",
    [
        "x - AVG(x)",
        "RANK() OVER (ORDER BY x)",
        "SUM(x) OVER (PARTITION BY y)",
        "MIN(x) + y",
        "COUNT(*) + x",
        "CASE WHEN x > MAX(y) THEN 1 ELSE 0 END",
        "FIRST(x)",
    ],
)
def test_an_expression_of_other_rows_is_refused(text):
    with pytest.raises(PlanError, match="looks at other rows"):
        Derive(column="new", by=text)


@pytest.mark.parametrize(
    ("text", "said"),
    [("x +", "no SQL expression"), ("1", "names no column"), ("CAST(x AS INT)", "TRY_CAST")],
)
def test_an_expression_that_cannot_be_used_is_refused(text, said):
    with pytest.raises(PlanError, match=said):
        Derive(column="new", by=text)


def test_an_expression_may_name_what_looks_like_a_function():
    """The plan's own texts and columns are no functions."""
    Derive(column="new", by="CASE WHEN \"Rank\" = 'Agg' THEN 'Len' ELSE \"Len\" END")


@given(
    st.dates(dt.date(1900, 1, 1), dt.date(2030, 1, 1)),
    st.dates(dt.date(1900, 1, 1), dt.date(2030, 1, 1)),
)
@settings(deadline=None, max_examples=50)
def test_years_are_completed_years(first, last):
    """Counted birthday by birthday; who was born on 29 February has it on 1 March otherwise."""
    table = pl.DataFrame({"born": [first], "seen": [last]})
    years = 0
    step = 1 if last >= first else -1

    def birthday(number):
        try:
            return first.replace(year=first.year + number)
        except ValueError:
            return dt.date(first.year + number, 3, 1)

    if step == 1:
        while birthday(years + 1) <= last:
            years += 1
    else:
        while birthday(years) > last:
            years -= 1
    assert prepared(table, Years(column="age", start="born", end="seen"))["age"][0] == years
    fixed = Years(column="age", start="born", end=str(last))
    assert prepared(table, fixed)["age"][0] == years


def test_a_date_is_taken_apart_in_its_place():
    table = pl.DataFrame({"a": [1], "d": [dt.date(2024, 2, 29)], "z": [2]})
    step = DateParts(column="d", parts=("year", "weekday"))
    made = prepared(table, step)
    assert made.columns == ["a", "d year", "d weekday", "z"]
    assert made.row(0) == (1, 2024, 4, 2)
    schema = step.schema_after(Schema(quasi_identifiers=["d"], other=["a", "z"]))
    assert schema.quasi_identifiers == ("d year", "d weekday")
    with pytest.raises(SchemaError, match="needs dates"):
        prepared(table, DateParts(column="d", parts=("hour",)))


def test_numbers_are_put_into_ranges():
    edges = Bins(column="x", edges=(18.5, 25))
    assert column([10.0, 18.5, 30.0, None], edges) == ["<18.5", "[18.5, 25)", ">=25", None]
    groups = column(list(range(100)), Bins(column="x", groups=4))
    assert pl.Series(groups).value_counts()["count"].to_list() == [25] * 4
    with pytest.raises(PlanError, match="either edges or groups"):
        Bins(column="x")
    with pytest.raises(PlanError, match="must increase"):
        Bins(column="x", edges=(2, 1))


def test_categories_become_columns():
    table = pl.DataFrame({"s": ["a", "b", None, "c"], "y": [1, 2, 3, 4]})
    made = prepared(table, OneHot(column="s", values=("a", "b")))
    assert made.columns == ["s_a", "s_b", "y"]
    assert made.rows()[:3] == [(True, False, 1), (False, True, 2), (False, False, 3)]
    with pytest.raises(SchemaError, match="two columns would be called"):
        prepared(table.rename({"y": "s_a"}), OneHot(column="s", values=("a",)))


def test_columns_are_left_out_of_table_and_schema():
    table = pl.DataFrame({"a": [1], "b": [2]})
    step = Drop(columns=("a",))
    assert prepared(table, step).columns == ["b"]
    assert list(step.schema_after(Schema(other=["a", "b"])).columns) == ["b"]


# -- all together ----------------------------------------------------------------------------------

ALL = (
    Trim(),
    Bounds(column="w", low=0, high=200),
    Impute(column="w", by="median"),
    Impute(column="s", by="mode"),
    Derive(column="bmi", by="w / POWER(h, 2)"),
    Normalize(column="h", by="standard"),
    Bins(column="w", groups=3),
    OneHot(column="s", values=("a", "b")),
    Years(column="age", start="d", end="2020-01-01"),
    DateParts(column="d", parts=("year", "month")),
)


def people(rows, seed=0):
    random = np.random.default_rng(seed)
    weights = random.normal(70, 15, rows).round(1)
    weights[random.random(rows) < 0.2] = np.nan
    return pl.DataFrame(
        {
            "w": pl.Series(weights).fill_nan(None),
            "h": random.normal(1.7, 0.1, rows).round(2),
            "s": random.choice(["a ", "b", " c", ""], rows),
            "d": pl.Series(random.integers(-20000, 10000, rows), dtype=pl.Int32).cast(pl.Date),
        }
    )


def test_a_fitted_preparation_changes_each_row_by_itself():
    """Train and test go the same way: in one piece, in two, or a row at a time."""
    fitted = fit_steps(people(200), ALL, exact_answer)
    fresh = people(30, seed=1)
    whole = fitted.apply(fresh)
    assert fitted.apply(fresh.reverse()).reverse().equals(whole)
    rows = [fitted.apply(fresh[place : place + 1]) for place in range(30)]
    assert pl.concat(rows).equals(whole)


@given(st.integers(0, 29), st.integers(0, 1000))
@settings(deadline=None, max_examples=20)
def test_another_row_moves_nobody_else(place, seed):
    """Given the answers, one row's change is that row's alone."""
    fitted = fit_steps(people(100), ALL, exact_answer)
    table = people(30, seed=2)
    changed = pl.concat([table[:place], people(1, seed=seed), table[place + 1 :]])
    before, after = fitted.apply(table), fitted.apply(changed)
    others = [one for one in range(30) if one != place]
    assert before[others].equals(after[others])


def test_a_preparation_is_saved_and_read_again(tmp_path):
    fitted = fit_steps(people(200), ALL, exact_answer)
    fitted.save(tmp_path / "preparation.json")
    again = TablePreparation.load(tmp_path / "preparation.json")
    assert again == fitted
    assert len(fitted.describe()) == len(ALL)
    assert again.apply(people(20, seed=3)).equals(fitted.apply(people(20, seed=3)))
    values = fitted.to_dict()
    with pytest.raises(DataError, match="malformed"):
        TablePreparation.from_dict({**values, "answers": values["answers"][:-1]})
    with pytest.raises(DataError, match="malformed"):
        TablePreparation.from_dict({"steps": [{"step": "nothing"}], "answers": [[]]})


def test_the_schema_follows_the_table():
    table = people(50)
    schema = Schema(rest="other").check(table)
    fitted = fit_steps(table, ALL, exact_answer)
    assert list(fitted.schema(schema).check(fitted.apply(table)).columns) == (
        fitted.apply(table).columns
    )


def test_every_step_is_made_of_a_plan_by_its_name():
    made = step_of_plan({"step": "impute", "column": "x", "by": "mean", "bounds": [0, 9, 1],
                         "share": "1/50"})  # fmt: skip
    assert made.price == Fraction(1, 50)
    assert all(kind.model_fields["step"].default == name for name, kind in STEPS.items())
    with pytest.raises(PlanError, match="Did you mean 'impute'"):
        step_of_plan({"step": "imput"})
