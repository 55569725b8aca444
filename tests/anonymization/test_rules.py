"""Rules as a whole: what a plan may say, k by suppression, words, JSON."""

from __future__ import annotations

import json
import tomllib
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfumato.anonymization import Recoding, Rules, RulesRecoding
from sfumato.errors import DataError, GuaranteeNotMet, PlanError, SchemaError
from sfumato.privacy import KAnonymity
from sfumato.table import Hierarchy, Schema

PLACES = Hierarchy.mapping({"Lyon": "South", "Nice": "South", "Lille": "North", "Douai": "North"})
SCHEMA = Schema(
    identifiers=["id"],
    quasi_identifiers={"age": None, "place": PLACES},
    sensitive=["diagnosis"],
)
PERSONS = Schema(
    person="id",
    quasi_identifiers={"age": None, "place": PLACES},
    sensitive=["diagnosis"],
)
COLUMNS = {"id": pl.Int64, "age": pl.Int64, "place": pl.String, "diagnosis": pl.String}
rows = st.lists(
    st.tuples(
        st.integers(1, 9),
        st.sampled_from([20, 22, 31, 78, None]),
        st.sampled_from(["Lyon", "Nice", "Lille", None]),
        st.sampled_from(["flu", "gout", None]),
    ),
    min_size=12,
    max_size=60,
)
choices = st.fixed_dictionaries(
    {},
    optional={
        "age": st.sampled_from(
            [
                {"round": 10},
                [{"top": 70}, {"round": 5, "rename": "years"}],
                {"swap": 0.5},
                [{"noise": "laplace", "scale": 3.0}, {"round": 20}],
                {"noise": "gaussian", "scale": 1.5, "bounds": [18, 80]},
                {"generalize": 1, "hierarchy": {"bands": [20], "top": 60}},
                {"suppress": True},
            ]
        ),
        "place": st.sampled_from(
            [{"generalize": 1}, {"pram": 0.2, "invariant": True}, {"rename": "town"}]
        ),
        "diagnosis": st.sampled_from([{"map": {"flu": 1, "gout": 0}}, {"pram": 0.4}]),
    },
)


def table_of(drawn: list[tuple[Any, ...]]) -> pl.DataFrame:
    return pl.DataFrame(drawn, schema=COLUMNS, orient="row")


def fit_or_none(rules: Rules, table: pl.DataFrame, schema: Schema) -> RulesRecoding | None:
    """Return the fitted rules; None where the drawn table is too poor for them."""
    try:
        return rules.fit(table, schema)
    except (PlanError, GuaranteeNotMet, DataError):
        return None


# -- k by suppression ---------------------------------------------------------------------------


@pytest.mark.parametrize("suppressed", ["star", "drop"])
@pytest.mark.parametrize("schema", [SCHEMA, PERSONS], ids=["rows", "persons"])
@settings(max_examples=60, deadline=None)
@given(drawn=rows, columns=choices, k=st.integers(2, 4), seed=st.integers(0, 3))
def test_the_written_rows_keep_k(
    suppressed: Any, schema: Schema, drawn: list, columns: dict, k: int, seed: int
) -> None:
    table = table_of(drawn)
    rules = Rules(columns=columns, k=k, suppressed=suppressed, seed=seed)
    recoding = fit_or_none(rules, table, schema)
    if recoding is None:
        return
    released = recoding.apply(table)
    quasi = recoding.released_schema().quasi_identifiers
    free = Rules(columns=columns, seed=seed).fit(table, schema).apply(table)
    # counted by hand, and by hand in persons
    persons = defaultdict(set)
    kept = np.ones(table.height, dtype=bool)
    if suppressed == "drop":
        alone = defaultdict(set)
        for row, values in enumerate(free.select(quasi).iter_rows()):
            alone[values].add(drawn[row][0] if schema.person else row)
        kept = np.array([len(alone[values]) >= k for values in free.select(quasi).iter_rows()])
        assert released.equals(free.filter(pl.Series(kept)))
    for row, values in zip(np.flatnonzero(kept), released.select(quasi).iter_rows(), strict=True):
        persons[values].add(drawn[row][0] if schema.person else row)
    assert min(len(group) for group in persons.values()) >= k
    assert recoding.promises == (KAnonymity(k),)
    # what is not a quasi-identifier is left as the rules made it
    others = [name for name in released.columns if name not in quasi]
    assert released.select(others).equals(free.filter(pl.Series(kept)).select(others))
    assert recoding.suppressed_rows == (
        table.height - released.height
        if suppressed == "drop"
        else sum(values == ("*",) * len(quasi) for values in released.select(quasi).iter_rows())
        if quasi
        else 0
    )
    # the same again, from the JSON too
    assert rules.fit(table, schema).apply(table).equals(released)
    again = RulesRecoding.from_dict(json.loads(json.dumps(recoding.to_dict())))
    assert again == recoding
    assert again.to_dict() == recoding.to_dict()
    assert again.apply(table).equals(released)
    assert recoding.released_schema().check(released)


@pytest.mark.parametrize("suppressed", ["star", "drop"])
def test_what_is_written_is_pycanons_k(suppressed: Any, tmp_path: Path) -> None:
    from pycanon.anonymity import k_anonymity

    generator = np.random.default_rng(11)
    table = pl.DataFrame(
        {
            "id": range(400),
            "age": generator.integers(18, 90, 400),
            "place": generator.choice(["Lyon", "Nice", "Lille", "Douai"], 400),
            "diagnosis": generator.choice(["flu", "gout"], 400),
        }
    )
    columns = {"age": {"round": 10}, "place": {"generalize": 1}}
    rules = Rules(columns=columns, k=25, suppressed=suppressed)
    recoding = rules.fit(table, SCHEMA)
    recoding.apply(table).write_csv(tmp_path / "released.csv")
    written = pl.read_csv(tmp_path / "released.csv", infer_schema=False).to_pandas()
    assert k_anonymity(written, ["age", "place"]) >= 25
    assert 0 < recoding.suppressed_rows < 200


def test_too_few_suppressed_rows_take_the_smallest_class_with_them() -> None:
    # four classes of 6, 4, 4 and 2: the two alone would be a starred class of 2
    table = table_of(
        [(n, age, "Lyon", "flu") for n, age in enumerate([20] * 6 + [31] * 4 + [22] * 4 + [78] * 2)]
    )
    recoding = Rules(k=3).fit(table, SCHEMA)
    counted = Counter(recoding.apply(table)["age"])
    assert counted == {"20": 6, "31": 4, "*": 6}
    assert recoding.suppressed_rows == 6
    dropped = Rules(k=3, suppressed="drop").fit(table, SCHEMA).apply(table)
    assert Counter(dropped["age"]) == {20: 6, 31: 4, 22: 4}
    assert dropped.schema["age"] == pl.Int64


def test_a_class_that_was_starred_before_is_one_with_the_suppressed_rows() -> None:
    table = table_of([(n, 20, "Lyon", "flu") for n in range(3)] + [(9, 31, "Nice", "flu")])
    starred = table.with_columns(pl.lit("*").alias("place"), age=pl.lit("*"))
    schema = Schema(identifiers=["id"], quasi_identifiers=["age", "place"], rest="other")
    both = pl.concat([table.with_columns(pl.col("age").cast(pl.String)), starred[:2]])
    recoding = Rules(k=3).fit(both, schema)
    assert Counter(recoding.apply(both)["age"]) == {"20": 3, "*": 3}
    assert recoding.suppressed_rows == 3


def test_new_rows_of_no_kept_class_are_suppressed() -> None:
    table = table_of([(n, 20 if n < 5 else None, "Lyon", "flu") for n in range(10)])
    new = table_of(
        [(1, 20, "Lyon", "flu"), (2, None, "Lyon", "x"), (3, 22, "Lyon", "y"), (4, 20, None, "z")]
    )
    star = Rules(k=5).fit(table, SCHEMA).apply(new)
    assert star.rows() == [
        ("20", "Lyon", "flu"),
        (None, "Lyon", "x"),
        ("*", "*", "y"),
        ("*", "*", "z"),
    ]
    drop = Rules(k=5, suppressed="drop").fit(table, SCHEMA).apply(new)
    assert drop.rows() == [(20, "Lyon", "flu"), (None, "Lyon", "x")]


def test_a_person_with_many_rows_counts_once() -> None:
    table = table_of([(1, 20, "Lyon", "flu")] * 5 + [(n, 31, "Nice", "flu") for n in range(5)])
    assert Rules(k=5).fit(table, SCHEMA).suppressed_rows == 0
    dropped = Rules(k=5, suppressed="drop").fit(table, PERSONS).apply(table)
    assert set(dropped["age"]) == {31}


def test_k_that_cannot_be_kept() -> None:
    table = table_of([(n, 20 + n, "Lyon", "flu") for n in range(6)])
    with pytest.raises(PlanError, match="k = 7 is more than the table has: 6 rows"):
        Rules(k=7).fit(table, SCHEMA)
    with pytest.raises(PlanError, match="k = 7 is more than the table has: 6 persons"):
        Rules(k=7).fit(table, PERSONS)
    with pytest.raises(GuaranteeNotMet, match=r"everything would be suppressed; generalize"):
        Rules(k=2).fit(table, SCHEMA)
    with pytest.raises(SchemaError, match="k = 2 is about quasi-identifiers"):
        Rules(k=2).fit(table, Schema(identifiers=["id"], rest="other"))
    with pytest.raises(PlanError, match="greater than or equal to 2"):
        Rules(k=1)


def test_k_over_noisy_numbers_is_refused_unless_they_are_made_coarse() -> None:
    table = table_of([(n, 20 + n % 3, "Lyon", "flu") for n in range(60)])
    exact = table.with_columns(pl.col("age") + 0.25)
    noise = {"noise": "gaussian", "scale": 0.8}
    with pytest.raises(PlanError, match=r"columns.age: k = 2 cannot be promised over"):
        Rules(columns={"age": noise}, k=2).fit(exact, SCHEMA)
    with pytest.raises(PlanError, match="cannot be promised"):
        Rules(columns={"age": [{"round": 0.5}, noise]}, k=2).fit(exact, SCHEMA)
    for columns, rows_of in (
        ({"age": [noise, {"round": 5}]}, exact),
        ({"age": noise}, table),  # whole numbers stay whole
        ({"age": [noise, {"suppress": True}]}, exact),
    ):
        recoding = Rules(columns=columns, k=2).fit(rows_of, SCHEMA)
        released = recoding.apply(rows_of)
        quasi = recoding.released_schema().quasi_identifiers
        assert released.group_by(quasi).len()["len"].min() >= 2


# -- what a plan may say ------------------------------------------------------------------------


def test_a_plan_spells_rules_as_python_does() -> None:
    plan = tomllib.loads(
        """
        k = 5
        suppressed = "drop"
        seed = 7
        [columns]
        State = { generalize = 1, rename = "Region" }
        WeightInKilograms = { noise = "gaussian", scale = 0.8 }
        age = [{ top = 90 }, { round = 5 }]
        visit = { shift_dates = { days = 365, key_env = "STUDY_KEY", keep_weekday = true } }
        """
    )
    python = Rules(
        columns={
            "State": {"generalize": 1, "rename": "Region"},
            "WeightInKilograms": {"noise": "gaussian", "scale": 0.8},
            "age": [{"top": 90}, {"round": 5}],
            "visit": {"shift_dates": {"days": 365, "key_env": "STUDY_KEY", "keep_weekday": True}},
        },
        k=5,
        suppressed="drop",
        seed=7,
    )
    assert Rules.of(plan) == python
    assert Rules(**json.loads(python.model_dump_json())) == python
    assert Rules(columns=dict(python.columns)).columns == python.columns


def test_unknown_settings_are_refused() -> None:
    with pytest.raises(PlanError, match=r"unknown setting 'colums'. Did you mean 'columns'"):
        Rules(colums={})
    with pytest.raises(PlanError, match="'star' or 'drop'"):
        Rules(suppressed="stars")
    with pytest.raises(PlanError, match="columns: a table of columns and their rules is needed"):
        Rules(columns=["age"])


def test_the_arguments_are_left_as_they_are() -> None:
    columns = {"age": [{"noise": "gaussian", "scale": 2}, {"round": 5}], "place": {"pram": 0.5}}
    table = table_of([(n, 20 + n % 7, "Lyon" if n % 2 else "Nice", "flu") for n in range(40)])
    before = table.clone()
    rules = Rules(columns=columns, k=2)
    dumped = rules.model_dump()
    rules.fit(table, SCHEMA).apply(table)
    assert table.equals(before)
    assert columns["place"] == {"pram": 0.5}
    assert rules.model_dump() == dumped


def test_identifiers_are_left_out_and_names_are_checked() -> None:
    table = table_of([(1, 20, "Lyon", "flu")])
    assert Rules().fit(table, SCHEMA).apply(table).columns == ["age", "place", "diagnosis"]
    with pytest.raises(PlanError, match="two columns of the release are called 'place'"):
        Rules(columns={"age": {"rename": "place"}}).fit(table, SCHEMA)
    with pytest.raises(PlanError, match="nothing would be released"):
        Rules(columns={name: {"suppress": True} for name in COLUMNS}).fit(table, SCHEMA)
    swapped = {"age": {"rename": "place"}, "place": {"rename": "age"}}
    assert Rules(columns=swapped).fit(table, SCHEMA).apply(table).row(0) == (20, "Lyon", "flu")


def test_columns_are_checked_before_recoding() -> None:
    table = table_of([(1, 20, "Lyon", "flu")])
    recoding = Rules(columns={"place": {"suppress": True}}).fit(table, SCHEMA)
    with pytest.raises(DataError, match="no column 'age'"):
        recoding.apply(table.drop("age"))
    with pytest.raises(DataError, match="'shoe' was not there when the recoding was fitted"):
        recoding.apply(table.with_columns(shoe=42))
    # what is left out of the release need not be there
    assert recoding.apply(table.drop("id", "place")).columns == ["age", "diagnosis"]


def test_a_table_without_rows_gives_columns_of_the_same_kind() -> None:
    table = table_of([(n, 20 + n % 4, "Lyon" if n % 2 else "Nice", "flu") for n in range(40)])
    columns = {"age": [{"noise": "laplace", "scale": 1}, {"swap": 0.2}], "place": {"pram": 0.1}}
    for k in (None, 2):
        recoding = Rules(columns=columns, k=k).fit(table, SCHEMA)
        empty = recoding.apply(table.clear())
        assert empty.schema == recoding.apply(table).schema
        assert empty.height == 0


# -- words and files ----------------------------------------------------------------------------


def test_every_change_is_told_with_its_reason() -> None:
    table = table_of(
        [(n, 20 + n % 3, "Lyon" if n % 2 else "Nice", "flu") for n in range(90)]
        + [(99, 80, "Lyon", "flu")]
    )
    columns = {
        "age": [{"top": 70}, {"noise": "gaussian", "scale": 0.8}, {"round": 5, "rename": "years"}],
        "place": {"generalize": 1},
    }
    recoding = Rules(columns=columns, k=3, suppressed="drop").fit(table, SCHEMA)
    changes = {change.column: change for change in recoding.describe()}
    assert list(changes) == table.columns
    assert changes["id"].action == "suppressed"
    assert changes["id"].released_as is None
    assert "names a person" in changes["id"].why
    age = changes["age"]
    assert (age.released_as, age.action) == ("years", "perturbed")
    for part in ("above 70 replaced by 70", "standard deviation 0.8", "multiples of 5"):
        assert part in age.how
    assert f"({recoding.suppressed_rows} of 91 rows)" in age.how
    assert "level 1 of 2" in changes["place"].how
    assert changes["diagnosis"].action == "kept"
    assert "what is studied" in changes["diagnosis"].why
    assert all("80" not in change.how for change in changes.values())


def test_the_released_schema_says_what_is_released(tmp_path: Path) -> None:
    table = table_of([(n, 20, "Lyon", "flu") for n in range(5)])
    columns = {"age": {"rename": "years"}, "place": {"generalize": 1}}
    schema = Rules(columns=columns).fit(table, SCHEMA).released_schema()
    assert schema.quasi_identifiers == ("years", "place")
    assert schema.sensitive == ("diagnosis",)
    assert schema.columns["years"].type == "integer"
    assert schema.columns["place"].hierarchy is None
    assert Rules().fit(table, SCHEMA).released_schema().columns["place"].hierarchy == PLACES
    starred = Rules(columns=columns, k=2).fit(table, SCHEMA)
    assert starred.released_schema().columns["years"].type == "category"
    starred.save(tmp_path / "recoding.json")
    assert Recoding.load(tmp_path / "recoding.json") == starred


def test_progress_is_told_to_the_end() -> None:
    told: list[tuple[str, float, float]] = []
    table = table_of([(1, 20, "Lyon", "flu")])
    Rules().fit(table, SCHEMA, progress=lambda *said: told.append(said))
    assert told[-1] == ("recoding columns", 4, 4)


@pytest.mark.parametrize("suppressed", ["star", "drop"])
def test_the_kept_rows_are_told(suppressed: str) -> None:
    table = pl.DataFrame({"id": range(9), "x": [1, 2, 1, 3, 2, 2, None, 1, None]})
    schema = Schema(identifiers=["id"], quasi_identifiers=["x"])
    recoding = Rules(k=3, suppressed=suppressed).fit(table, schema)
    kept = recoding.kept_rows(table).to_list()
    expected = [True, True, True, False, True, True, False, True, False]
    assert kept == (expected if suppressed == "drop" else [True] * 9)
    assert recoding.apply(table).height == sum(kept)
    assert Rules().fit(table, schema).kept_rows(table).all()


def test_more_suppression_than_allowed_is_refused() -> None:
    table = pl.DataFrame({"age": [20] * 8 + [31, 47], "diagnosis": ["flu"] * 10})
    schema = Schema(quasi_identifiers=["age"], sensitive=["diagnosis"])
    assert Rules(k=2, suppression_limit=0.2).fit(table, schema).promises
    with pytest.raises(GuaranteeNotMet, match="2 of 10 rows"):
        Rules(k=2, suppression_limit=0.1).fit(table, schema)


def test_rows_that_were_not_there_come_back_as_the_frame_they_were() -> None:
    pandas = pytest.importorskip("pandas")
    table = pl.DataFrame({"age": [21, 22, 38, 39], "diagnosis": ["flu"] * 4})
    schema = Schema(quasi_identifiers=["age"], sensitive=["diagnosis"])
    recoding = Rules(columns={"age": {"round": 10}}).fit(table, schema)
    new = pandas.DataFrame({"age": [58, 61], "diagnosis": ["gout", "flu"]}, index=[7, 9])
    recoded = recoding.apply(new)
    assert isinstance(recoded, pandas.DataFrame)
    assert recoded["age"].tolist() == [60, 60]
    assert recoded.index.tolist() == [7, 9]
