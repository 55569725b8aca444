"""Micro-aggregation keeps k, changes nothing else, and aggregates as the textbook says."""

from __future__ import annotations

import json
import statistics
from collections import defaultdict
from datetime import date, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfumato.anonymization.microaggregation.microaggregation import MicroAggregation
from sfumato.anonymization.microaggregation.recoding import MicroAggregationRecoding
from sfumato.anonymization.microaggregation.values import aggregated
from sfumato.errors import PlanError, SchemaError
from sfumato.privacy import KAnonymity
from sfumato.release import verify
from sfumato.table import Hierarchy, Schema, parse_intervals

DATA = Path(__file__).parent.parent / "data"
PLACES = {"Lyon": "South", "Nice": "South", "Lille": "North", "Douai": "North"}
QUASI = ["place", "age", "income", "born"]
HIERARCHY = Hierarchy.mapping(PLACES)
SCHEMA = Schema(
    identifiers=["id"],
    quasi_identifiers={"place": HIERARCHY, "age": None, "income": None, "born": None},
    sensitive=["diagnosis"],
)
COLUMNS = {
    "place": pl.String,
    "age": pl.Int64,
    "income": pl.Float64,
    "born": pl.Date,
    "diagnosis": pl.String,
    "id": pl.Int64,
}
rows = st.lists(
    st.tuples(
        st.sampled_from([*PLACES, None]),
        st.one_of(st.none(), st.integers(18, 60)),
        st.one_of(st.none(), st.floats(1, 1e6)),
        st.one_of(st.none(), st.dates(date(1930, 1, 1), date(2020, 1, 1))),
        st.sampled_from(["flu", "gout", None]),
        st.integers(1, 9),
    ),
    min_size=1,
    max_size=50,
)


def table_of(drawn: list) -> pl.DataFrame:
    return pl.DataFrame(drawn, schema=COLUMNS, orient="row")


def with_person(schema: Schema) -> Schema:
    return Schema.of(schema.columns, person="id")


@settings(max_examples=30, deadline=None)
@given(
    drawn=rows,
    others=rows,
    k=st.integers(2, 6),
    level=st.sampled_from([None, 0, 1, 2]),
    number=st.sampled_from(["mean", "geometric-mean", "median", "mode", "interval", "set"]),
    keep=st.booleans(),
    by_person=st.booleans(),
    block=st.sampled_from([2, 10, 30_000]),
    seed=st.integers(0, 99),
)
def test_what_a_release_promises(
    drawn: list,
    others: list,
    k: int,
    level: int | None,
    number: str,
    keep: bool,
    by_person: bool,
    block: int,
    seed: int,
) -> None:
    table = table_of(drawn)
    schema = with_person(SCHEMA) if by_person else SCHEMA
    made = MicroAggregation(
        k=k,
        columns={"income": number, "age": "median"},
        levels={} if level is None else {"place": level},
        missing="keep" if keep else "ignore",
        block=block,
    )
    everybody = len({row[5] for row in drawn}) if by_person else len(drawn)
    if everybody < k:
        with pytest.raises(PlanError, match=f"k = {k} is more than the table has: {everybody}"):
            made.fit(table, schema)
        return
    recoding = made.fit(table, schema)
    released = recoding.apply(table)
    people: dict[tuple, set] = defaultdict(set)
    for place, (label, row) in enumerate(
        zip(released.select(QUASI).iter_rows(), drawn, strict=True)
    ):
        people[label].add(row[5] if by_person else place)
    assert min(len(some) for some in people.values()) >= k
    assert recoding.sizes.min() >= k
    assert recoding.promises == (KAnonymity(k=k),)
    if not by_person:
        assert verify(released, recoding.released_schema(), recoding.promises).passed
    # nothing but the quasi-identifiers changes; numbers stay numbers, dates stay dates
    assert released.columns == [*QUASI, "diagnosis"]
    assert released["diagnosis"].equals(table["diagnosis"])
    assert released["age"].dtype == pl.Float64
    assert released["born"].dtype == pl.Date
    text = number in ("interval", "set")
    assert released["income"].dtype == (pl.String if text else pl.Float64)
    # rows in another order are the same people; a fit between knows nothing of the first
    MicroAggregation(k=2).fit(pl.concat([table, table]), SCHEMA)
    order = np.random.default_rng(seed).permutation(table.height)
    if not by_person:
        assert made.fit(table[order], schema).apply(table[order]).equals(released[order])
    again = MicroAggregationRecoding.from_dict(json.loads(json.dumps(recoding.to_dict())))
    assert again == recoding
    assert again.apply(table).equals(released)
    new = table_of(others)
    assert again.apply(new).equals(recoding.apply(new))
    carried = {*released.select(QUASI).iter_rows()}
    for label in recoding.apply(new).select(QUASI).iter_rows():
        suppressed = label == ("*", None, "*" if text else None, None)
        assert label in carried or (suppressed and level is not None)


@pytest.mark.parametrize("seed", range(6))
def test_of_groups_of_one_size_the_first_by_label_joins_the_small_ones(seed: int) -> None:
    places = ["Lyon"] + 5 * ["Nice"] + 5 * ["Lille"]
    table = table_of([(place, None, None, None, "flu", 1) for place in places])
    table = table[np.random.default_rng(seed).permutation(table.height)]
    made = MicroAggregation(k=2, levels={"place": 0}, missing="ignore")
    released = made.fit(table, SCHEMA).apply(table)
    assert released["place"].to_list() == [
        "Nice" if place == "Nice" else "*" for place in table["place"]
    ]


@settings(max_examples=6, deadline=None)
@given(drawn=rows.filter(lambda drawn: len(drawn) >= 3))
def test_an_independent_count(drawn: list) -> None:
    from pycanon.anonymity import k_anonymity

    table = table_of(drawn)
    released = MicroAggregation(k=3).fit(table, SCHEMA).apply(table).select(QUASI)
    texts = released.select(pl.all().cast(pl.String).fill_null("(missing)"))
    assert k_anonymity(texts.to_pandas(), QUASI) >= 3


values_and_classes = st.lists(
    st.tuples(st.one_of(st.none(), st.integers(1, 9)), st.integers(0, 3)), min_size=1, max_size=40
)


@settings(max_examples=100, deadline=None)
@given(drawn=values_and_classes, keep=st.booleans(), whole=st.booleans())
def test_aggregates_are_those_of_the_statistics_module(
    drawn: list, keep: bool, whole: bool
) -> None:
    values = pl.Series("x", [value for value, _ in drawn], dtype=pl.Int64)
    of_row = np.unique([one for _, one in drawn], return_inverse=True)[1]
    members: dict[int, list] = defaultdict(list)
    for value, one in zip(values, of_row, strict=True):
        members[one].append(value)

    def expected(function: object) -> list:
        found = []
        for one in range(len(members)):
            present = [value for value in members[one] if value is not None]
            blank = not present or (keep and len(present) < len(members[one]))
            found.append(None if blank else function(present))
        return found

    def of(aggregate: str) -> pl.Series:
        return aggregated(
            values, of_row, len(members), aggregate, whole=whole, ignore_missing=not keep
        )

    def rounded(function: object) -> object:
        return lambda some: int(np.floor(function(some) + 0.5)) if whole else function(some)

    assert of("mean").to_list() == pytest.approx(expected(rounded(statistics.fmean)))
    assert of("median").to_list() == pytest.approx(expected(rounded(statistics.median)))
    if not whole:
        assert of("geometric-mean").to_list() == pytest.approx(expected(statistics.geometric_mean))
    assert of("mode").to_list() == expected(lambda some: min(statistics.multimode(some)))
    sets = expected(
        lambda some: (
            "{" + ", ".join(map(str, sorted(set(some)))) + "}"
            if len(set(some)) > 1
            else str(some[0])
        )
    )
    assert of("set").to_list() == sets
    intervals = of("interval")
    low, high = parse_intervals(intervals.fill_null("none"))
    for one, label in enumerate(intervals):
        present = [value for value in members[one] if value is not None]
        if label not in ("*", None):
            assert all(low[one] <= value <= high[one] for value in present)
            assert low[one] == high[one] or max(present) < high[one]
        assert (label is None) == (expected(min)[one] is None)


def test_equal_values_come_back_to_the_last_bit() -> None:
    values = pl.Series("x", [0.1, 0.1, 0.1, 0.3, 0.3])
    of_row = np.array([0, 0, 0, 1, 1])
    for aggregate in ("mean", "geometric-mean", "median"):
        found = aggregated(values, of_row, 2, aggregate, whole=False, ignore_missing=True)
        assert found.to_list() == [0.1, 0.3]


@pytest.mark.slow
def test_means_of_columns_stay_and_variances_shrink() -> None:
    table = pl.read_csv(DATA / "pima_diabetes.csv.gz")
    quasi = ["Age", "BMI", "Pregnancies"]
    recoding = MicroAggregation(k=5).fit(table, Schema(quasi_identifiers=quasi, rest="other"))
    released = recoding.apply(table)
    for name in quasi:
        assert released[name].mean() == pytest.approx(table[name].mean(), rel=1e-12)
        explained = released[name].var() / table[name].var()
        assert 0.9 < explained < 1
    rounded = MicroAggregation(k=5, whole=True).fit(
        table, Schema(quasi_identifiers=quasi, rest="other")
    )
    assert rounded.apply(table).schema["Age"] == pl.Int64
    assert rounded.apply(table).schema["BMI"] == pl.Float64


def test_classes_are_made_within_generalized_groups() -> None:
    table = pl.DataFrame(
        {
            "place": ["Lyon"] * 4 + ["Nice"] * 2 + ["Lille"] * 2,
            "age": [20, 22, 60, 62, 30, 32, 33, 35],
        }
    )
    schema = Schema(quasi_identifiers={"place": HIERARCHY, "age": None})
    exact = MicroAggregation(k=2, levels={"place": 0}).fit(table, schema).apply(table)
    assert exact["place"].equals(table["place"])
    assert exact["age"].to_list() == [21, 21, 61, 61, 31, 31, 34, 34]
    coarse = MicroAggregation(k=3, levels={"place": 1}).fit(table, schema)
    # two Northerners are too few: the smallest other group, the South, joins them
    assert coarse.apply(table)["place"].to_list() == ["*"] * 8
    groups = MicroAggregation(k=2, levels={"place": 1}, classes="groups").fit(table, schema)
    assert groups.apply(table).rows() == [
        *[("South", pytest.approx(226 / 6))] * 6,
        *[("North", 34.0)] * 2,
    ]
    new = pl.DataFrame({"place": ["Nice", "Douai", None], "age": [99, 1, 5]})
    assert groups.apply(new).rows() == [
        ("South", pytest.approx(226 / 6)),
        ("North", 34.0),
        ("*", None),
    ]
    joined = MicroAggregation(k=3, levels={"place": 0}).fit(table, schema).apply(table)
    assert joined["place"].to_list() == ["Lyon"] * 4 + ["*"] * 4


def test_new_people_carry_the_aggregates_of_the_nearest_class() -> None:
    table = pl.DataFrame({"age": [20, 22, 60, 62], "sex": ["f", "f", "m", "m"]})
    recoding = MicroAggregation(k=2).fit(table, Schema(quasi_identifiers=["age", "sex"]))
    new = pl.DataFrame({"age": [40, 42, 500], "sex": ["m", "f", None]})
    assert recoding.apply(new)["age"].to_list() == [21.0, 61.0, 61.0]
    assert recoding.apply(new)["sex"].to_list() == ["f", "m", "m"]


def test_missing_cells_are_ignored_or_kept() -> None:
    table = pl.DataFrame({"age": [20, 22, None, 60, 62, 64], "x": [1.0, 2, 1, 9, 8, 9]})
    schema = Schema(quasi_identifiers=["age", "x"])
    ignored = MicroAggregation(k=3).fit(table, schema)
    assert ignored.apply(table)["age"].to_list() == [21.0] * 3 + [62.0] * 3
    kept = MicroAggregation(k=3, missing="keep").fit(table, schema)
    assert kept.apply(table)["age"].to_list() == [None] * 3 + [62.0] * 3
    assert "missing cells ignored" in ignored.describe()[0].how
    assert "missing if one is missing" in kept.describe()[0].how


def test_dates_and_times_are_averaged_to_their_unit() -> None:
    table = pl.DataFrame(
        {
            "day": [date(2020, 1, 1), date(2020, 1, 4), date(2021, 1, 1), date(2021, 1, 1)],
            "at": [datetime(2020, 1, 1, hour) for hour in (0, 1, 0, 1)],  # noqa: DTZ001
        }
    )
    schema = Schema(quasi_identifiers=["day", "at"])
    released = MicroAggregation(k=2, columns={"at": "interval"}).fit(table, schema).apply(table)
    assert released["day"].to_list() == [date(2020, 1, 3)] * 2 + [date(2021, 1, 1)] * 2
    assert released["at"].dtype == pl.String


@pytest.mark.parametrize("aggregate", ["mean", "median"])
def test_extreme_numbers_and_constants_are_measured(aggregate: str) -> None:
    table = pl.DataFrame({"x": [1e308, -1e308, 1e308, -1e308], "y": [7] * 4, "z": [0.0] * 4})
    schema = Schema(quasi_identifiers=["x", "y", "z"])
    released = MicroAggregation(k=2, columns={"x": aggregate}).fit(table, schema).apply(table)
    assert released["y"].to_list() == [7.0] * 4
    assert released["x"].to_list() == [1e308, -1e308, 1e308, -1e308]


def test_a_released_schema_says_what_became_of_the_columns() -> None:
    table = table_of([("Lyon", 20, 1.5, date(1990, 1, 1), "flu", 1)] * 4)
    made = MicroAggregation(k=2, columns={"income": "interval"}, levels={"place": 1})
    recoding = made.fit(table, SCHEMA)
    schema = recoding.released_schema()
    assert "id" not in schema
    assert {name: schema.columns[name].type for name in QUASI} == {
        "place": "category",
        "age": "number",
        "income": "category",
        "born": "date",
    }
    told = {change.column: change for change in recoding.describe()}
    assert told["id"].released_as is None
    assert told["place"].how == "replaced by its group at level 1 of its hierarchy"
    assert "(1 classes, the smallest of 4 people)" in told["age"].how
    assert told["diagnosis"].action == "kept"


@pytest.mark.parametrize(
    ("settings_", "message"),
    [
        ({"columns": {"agee": "mean"}}, r"columns: 'agee' is no quasi-identifier.*Did you mean"),
        ({"columns": {"diagnosis": "mode"}}, "columns: 'diagnosis' is no quasi-identifier"),
        ({"columns": {"place": "mean"}}, r"columns.place: mean needs numbers or dates"),
        ({"columns": {"born": "geometric-mean"}}, r"columns.born: geometric-mean needs numbers"),
        ({"columns": {"age": "geometric-mean"}}, r"geometric-mean needs numbers above 0, but 1"),
        ({"columns": {"age": "average"}}, r"columns.age: .*'mean'"),
        ({"levels": {"age": 1}}, r"levels.age = 1: its levels are 0 to 0"),
        ({"levels": {"place": 3}}, r"levels.place = 3: its levels are 0 to 2"),
        ({"levels": {"place": 1}, "columns": {"place": "mode"}}, r"in columns and in levels"),
        ({"classes": "groups"}, r'classes = "groups" needs levels'),
        ({"levels": dict.fromkeys(QUASI, 0)}, r"by MDAV needs a quasi-identifier of numbers"),
    ],
)
def test_settings_are_checked(settings_: dict, message: str) -> None:
    table = table_of([("Lyon", 0, 1.5, date(1990, 1, 1), "flu", 1), ("Nice", 3, 2, None, "flu", 2)])
    with pytest.raises(PlanError, match=message):
        MicroAggregation(k=2, **settings_).fit(table, SCHEMA)


def test_a_schema_without_quasi_identifiers_is_refused() -> None:
    table = pl.DataFrame({"x": [1, 2]})
    with pytest.raises(SchemaError, match="there are none"):
        MicroAggregation(k=2).fit(table, Schema(other=["x"]))
