"""Integrity of a released table: planted faults are found, clean releases are left alone."""

from __future__ import annotations

import json
from datetime import date

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfumato.errors import DataError
from sfumato.evaluation.integrity import check_integrity
from sfumato.evaluation.integrity_findings import CODES
from sfumato.evaluation.integrity_numbers import decimals_of
from sfumato.evaluation.integrity_order import row_order
from sfumato.evaluation.integrity_sides import Sides
from sfumato.synthesis import GaussianCopula
from sfumato.table import Schema

DATA = "tests/data/"


def _read(name):
    if name == "heart":
        return pl.read_parquet(DATA + "heart_sample.parquet")
    if name == "adult":
        return pl.read_csv(DATA + "adult_kanonml.csv.gz", separator=";").head(5_000)
    return pl.read_csv(DATA + f"{name}.csv.gz")


@pytest.fixture(scope="module")
def people():
    """1,000 people with an identifier of each kind; rows in the order of their numbers."""
    random = np.random.default_rng(5)
    n = 1_000
    return pl.DataFrame(
        {
            "patient": [f"MRN-{100_000 + 7 * i}" for i in range(n)],
            "mail": [f"person{i}@hospital.example" for i in range(n)],
            "age": random.integers(18, 95, n),
            "weight": np.round(random.normal(75, 12, n), 1),
            "score": random.normal(0, 1, n).round(6),
            "sex": random.choice(["f", "m"], n),
            "ward": random.choice(["north", "south", "east"], n),
            "born": pl.Series([date(1950 + i % 60, 1 + i % 12, 1 + i % 28) for i in range(n)]),
        }
    )


SCHEMA = Schema(
    identifiers=["patient", "mail"],
    quasi_identifiers=["age", "sex"],
    sensitive=["ward"],
    rest="other",
)


@pytest.fixture(scope="module")
def clean(people):
    """A release of fresh draws from each column: nobody's row, nothing to find."""
    random = np.random.default_rng(6)
    n = 800
    return pl.DataFrame(
        {
            "age": random.integers(18, 95, n),
            "weight": np.clip(np.round(random.normal(75, 12, n), 1), 40, 110),
            "score": np.clip(random.normal(0, 1, n), -3, 3).round(5),
            "sex": random.choice(["f", "m"], n),
            "ward": random.choice(["north", "south", "east"], n),
            "born": pl.Series([date(1950 + i, 1, 1) for i in random.integers(0, 60, n)]),
        }
    )


def _check(released, people, schema=SCHEMA, **settings):
    return check_integrity(released, people, schema, synthetic=True, **settings)


def test_a_clean_release_passes_every_check(clean, people):
    found = _check(clean, people)
    assert [(one.code, one.meaning) for one in found.failed] == []
    assert [one.code for one in found.findings] == list(CODES)
    assert found.figures["integrity/leaks"].value == 0
    assert found.figures["integrity/row_order"].p_value is None or (
        found.figures["integrity/row_order"].p_value > 0.001
    )


@pytest.mark.parametrize("name", ["adult", "heart", "obesity", "pima_diabetes"])
def test_other_real_people_and_a_copula_pass(name):
    table = _read(name)
    schema = Schema.suggest(table)
    shuffled = table.sample(fraction=1.0, shuffle=True, seed=1)
    half = table.height // 2
    fresh = shuffled.head(half).drop(schema.identifiers)
    for released, real in (
        (fresh, shuffled.tail(table.height - half)),
        (GaussianCopula().fit(table, schema).sample(500, seed=2), table),
    ):
        found = check_integrity(released, real, schema, synthetic=True)
        assert [(one.code, one.meaning) for one in found.failed] == []


@pytest.mark.parametrize("name", ["adult", "heart", "obesity", "pima_diabetes"])
def test_a_copy_leaks_its_order(name):
    table = _read(name)
    found = check_integrity(table, table, Schema.suggest(table))
    assert found["SF106"].status == "failed"
    assert found.figures["integrity/row_order"].value > 0.99


def _with(clean, **columns):
    return clean.with_columns(**columns)


def _cell(clean, name, row, value):
    return clean.with_columns(
        pl.when(pl.int_range(pl.len()) == row).then(pl.lit(value)).otherwise(name).alias(name)
    )


def _cells(clean, name, rows, value):
    return clean.with_columns(
        pl.when(pl.int_range(pl.len()) < rows).then(pl.lit(value)).otherwise(name).alias(name)
    )


def _repeated(values, n):
    return pl.Series([values[i % len(values)] for i in range(n)])


#: name: (code, what is done to the clean release, how many are found)
PLANTED = {
    "an identifier": (
        "SF101",
        lambda t, p: t.with_columns(p["patient"].head(t.height)),
        1,
    ),
    "a column of telephone numbers": (
        "SF102",
        lambda t, p: _with(t, contact=pl.Series([f"+49 30 {55_000 + i}" for i in range(t.height)])),
        1,
    ),
    "a mail address in one cell": ("SF103", lambda t, p: _cell(t, "ward", 5, "ask a.b@c.org"), 1),
    "a telephone number in one cell": (
        "SF103",
        lambda t, p: _cell(t, "ward", 5, "call +49 30 901820 now"),
        1,
    ),
    "a web address": ("SF103", lambda t, p: _cell(t, "ward", 5, "see https://x.org/p/7"), 1),
    "a UUID": (
        "SF103",
        lambda t, p: _cell(t, "ward", 5, "0f8fad5b-d9cb-469f-a165-70867728950e"),
        1,
    ),
    "an IBAN": ("SF103", lambda t, p: _cell(t, "ward", 5, "DE89 3704 0044 0532 0130 00"), 1),
    "a Spanish national number": ("SF103", lambda t, p: _cell(t, "ward", 5, "12345678Z"), 1),
    "a record number elsewhere": ("SF104", lambda t, p: _cell(t, "ward", 5, p["patient"][17]), 1),
    "a record number in a text": (
        "SF104",
        lambda t, p: _cell(t, "ward", 5, f"as {p['patient'][17]} said"),
        1,
    ),
    "free text": (
        "SF105",
        lambda t, p: _with(
            t, note=pl.Series([f"came on day {i} and left on day {i + 3}" for i in range(t.height)])
        ),
        1,
    ),
    "a running number": ("SF107", lambda t, p: t.with_row_index("entry"), 1),
    "a running number in disguise": (
        "SF107",
        lambda t, p: _with(
            t, entry=pl.Series([f"e{7 + i:05d}" for i in range(t.height)]).shuffle(seed=1)
        ),
        1,
    ),
    "rows written twice": ("SF108", lambda t, p: pl.concat([t, t.head(50)]), 50),
    "more decimals than the source": (
        "SF109",
        lambda t, p: _cells(t, "weight", 12, 71.234567),
        12,
    ),
    "values scaled and scaled back": (
        "SF110",
        lambda t, p: _with(t, weight=pl.Series(p["weight"].head(t.height) / 3.7 * 1.1 / 1.1 * 3.7)),
        None,
    ),
    "exact values of single people": (
        "SF111",
        lambda t, p: _with(t, score=p["score"].tail(t.height)),
        800,
    ),
    "a column lost": ("SF112", lambda t, p: t.drop("ward"), 1),
    "a column more": ("SF112", lambda t, p: _with(t, blood=_repeated(["A", "B"], t.height)), 1),
    "a word among numbers": (
        "SF113",
        lambda t, p: _cell(_with(t, age=t["age"].cast(pl.String)), "age", 3, "young"),
        1,
    ),
    "impossible ages": ("SF114", lambda t, p: _cells(t, "age", 12, 999), 12),
    "categories that do not exist": (
        "SF114",
        lambda t, p: _with(
            t, ward=pl.Series(["noth" if i % 20 == 0 else w for i, w in enumerate(t["ward"])])
        ),
        40,
    ),
    "a constant column": ("SF115", lambda t, p: _with(t, sex=pl.lit("f")), 1),
    "cells that went missing": (
        "SF116",
        lambda t, p: _with(t, weight=pl.when(pl.int_range(pl.len()) % 10 > 0).then("weight")),
        1,
    ),
    "days of birth": (
        "SF118",
        lambda t, p: _with(t, birth_date=p["born"].head(t.height)),
        800,
    ),
    "times of day": (
        "SF118",
        lambda t, p: _with(t, seen=pl.Series(["2024-01-01 07:30:00"] * t.height).str.to_datetime()),
        800,
    ),
    "a person in a column's name": (
        "SF119",
        lambda t, p: _with(t, value_MRN_100007=_repeated([0, 1], t.height)),
        1,
    ),
    "a blank of no width": ("SF120", lambda t, p: _cell(t, "ward", 5, "no\u200brth"), 1),
    "a mark in a name": ("SF120", lambda t, p: t.rename({"ward": "ward\ufeff"}), 1),
    "an index": (
        "SF121",
        lambda t, p: _with(t, **{"Unnamed: 0": _repeated([4, 9, 1], t.height)}),
        1,
    ),
}


@pytest.mark.parametrize("fault", PLANTED)
def test_a_planted_fault_is_found(fault, clean, people):
    code, plant, count = PLANTED[fault]
    found = _check(plant(clean, people), people)
    assert found[code].status == "failed"
    if count is not None:
        assert found[code].count == count
    assert found[code].mend
    assert found[code] in found.failed


def test_no_finding_holds_a_cell(clean, people):
    released = _cell(_cell(clean, "ward", 5, people["patient"][17]), "ward", 6, "a.b@c.org")
    released = released.with_columns(value_MRN_100007=pl.lit(1))
    told = json.dumps(_check(released, people).to_dict())
    for cell in (people["patient"][17], "a.b@c.org", "MRN_100007", "100007"):
        assert cell not in told


def test_each_check_says_what_it_is_about(clean, people):
    found = _check(_cell(clean, "ward", 5, "a.b@c.org"), people)
    assert found["SF103"].columns == ("ward",)
    assert found["SF103"].unit == "cells"
    assert [one.code for one in found.leaks] == ["SF103"]
    with pytest.raises(KeyError):
        found["SF999"]


def test_without_a_source_only_the_table_itself_is_checked(clean):
    found = check_integrity(clean)
    assert {one.status for one in found.findings} == {"passed", "not applicable"}
    for code in ("SF101", "SF104", "SF106", "SF109", "SF110", "SF111", "SF112", "SF114", "SF116"):
        assert found[code].status == "not applicable"
        assert found[code].count is None
    assert found.figures["integrity/row_order"].value is None


def test_small_classes_of_real_people_are_counted(people):
    released = people.select("age", "sex").with_columns(
        age=pl.when(pl.col("age") < 30).then(pl.lit("*")).otherwise(pl.lit("30+")),
        sex=pl.when(pl.col("age") < 30).then(pl.lit("*")).otherwise("sex"),
    )
    assert check_integrity(released, people, SCHEMA)["SF117"].status == "passed"
    few = pl.concat([released, pl.DataFrame({"age": ["90+"] * 3, "sex": ["f"] * 3})])
    assert check_integrity(few, people, SCHEMA)["SF117"].count == 1


def test_generalized_cells_are_no_fault(people):
    people = people.filter(pl.col("age").is_between(20, 89))
    low = people["age"] // 10 * 10
    released = people.select(
        age=pl.Series([f"[{one}, {one + 10})" for one in low]), sex="sex", ward="ward"
    ).sample(fraction=1.0, shuffle=True, seed=3)
    found = check_integrity(released, people.select("age", "sex", "ward"), SCHEMA)
    assert [one.code for one in found.failed] == []


# -- order of rows ------------------------------------------------------------------------------


def test_order_is_found_in_generalized_rows_by_place(people):
    released = people.select(
        age=(pl.col("age") // 20).cast(pl.String), sex="sex", ward=pl.col("ward").str.head(1)
    )
    found = check_integrity(released, people, SCHEMA)
    assert found["SF106"].status == "failed"
    assert found["SF106"].p_value <= 0.001


@pytest.mark.parametrize("reverse", [False, True])
def test_order_is_found_in_a_part_of_the_rows_either_way(people, reverse):
    part = people.drop("patient", "mail").sample(300, seed=4)
    part = part.join(people.drop("patient", "mail").with_row_index("at"), on=part.columns)
    part = part.sort("at", descending=reverse).drop("at")
    order = row_order(Sides(part, people, SCHEMA))
    assert abs(order.correlation) > 0.999
    assert order.how == "matched rows"
    assert order.rows == 300


def test_a_sort_by_a_released_column_is_no_leak_unless_ties_keep_the_order(people):
    open_columns = people.drop("patient", "mail")
    for order_of_ties, leaks in (("shuffled", False), ("kept", True)):
        rows = open_columns
        if order_of_ties == "shuffled":
            rows = rows.sample(fraction=1.0, shuffle=True, seed=8)
        released = rows.sort("ward", maintain_order=True)
        source = open_columns.sort("ward", maintain_order=True)
        order = row_order(Sides(released, source, None))
        assert (order.p_value < 0.001) == leaks


def test_the_test_of_order_keeps_its_level():
    random = np.random.default_rng(3)
    values = random.normal(size=400).round(3)
    marks = random.choice(["a", "b", "c"], 400)
    real = pl.DataFrame({"x": values, "mark": marks})
    for size in (40, 400):  # permutations, and the normal law
        few = real.head(size)
        p_values = [
            row_order(
                Sides(few.sample(fraction=1.0, shuffle=True, seed=seed), few, None, seed)
            ).p_value
            for seed in range(200)
        ]
        # binomial(200, 0.05): 3 to 18 with probability 0.998
        assert 3 <= sum(p <= 0.05 for p in p_values) <= 18


# -- numbers ------------------------------------------------------------------------------------


@given(st.integers(-(10**6), 10**6), st.integers(0, 8))
def test_decimals_are_those_of_the_shortest_text(whole, digits):
    number = whole / 10**digits
    text = np.format_float_positional(number, trim="-")
    expected = len(text.partition(".")[2])
    assert decimals_of(number) == expected


def test_seventeen_digits_are_counted_where_the_source_has_two(people, clean):
    raw = pl.Series(np.random.default_rng(1).normal(75, 5, clean.height))
    found = _check(_with(clean, weight=raw), people)
    assert found["SF109"].count == clean.height
    assert found["SF110"].status == "passed"


# -- files --------------------------------------------------------------------------------------


def test_metadata_of_a_file_are_named(tmp_path, clean):
    plain, marked = tmp_path / "plain.parquet", tmp_path / "marked.parquet"
    clean.write_parquet(plain)
    clean.write_parquet(marked, metadata={"made by": "somebody"})
    assert check_integrity(clean, file=plain)["SF122"].status == "passed"
    found = check_integrity(clean, file=marked)["SF122"]
    assert found.status == "failed"
    assert "made by" in found.meaning
    assert "somebody" not in found.meaning
    assert check_integrity(clean, file=tmp_path / "x.csv")["SF122"].status == "not applicable"
    with pytest.raises(DataError, match="cannot be read"):
        check_integrity(clean, file=tmp_path / "absent.parquet")


# -- any table ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "released",
    [
        pl.DataFrame({"age": [1]}),
        pl.DataFrame({"age": pl.Series([], dtype=pl.Int64)}),
        pl.DataFrame({"age": [None] * 30}, schema={"age": pl.Float64}),
        pl.DataFrame({"age": ["*"] * 30, "sex": [None] * 30}),
        pl.DataFrame({"rows": ["a"] * 30, "cell": [1] * 30, "len": [True] * 30}),
        pl.DataFrame({"other": ["x"] * 30}),
        pl.DataFrame({"patient": ["MRN-100000"] * 30}),
    ],
)
def test_any_table_has_findings(released, people):
    for real in (people, people.head(1), people.head(0), None):
        for schema in (SCHEMA, None):
            assert len(check_integrity(released, real, schema).findings) == len(CODES)
    assert len(check_integrity(released, released).findings) == len(CODES)


def test_a_frame_without_columns_is_refused():
    with pytest.raises(DataError, match="no columns"):
        check_integrity(pl.DataFrame())
