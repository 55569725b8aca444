"""Rules without chance, each on a small column."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfumato.anonymization import Rules
from sfumato.errors import DataError, HierarchyError, PlanError, SchemaError
from sfumato.table import Hierarchy, Schema


def recoded(values: list[Any], rule: Any, **schema: Any) -> list[Any]:
    table = pl.DataFrame({"x": values})
    schema = schema or {"quasi_identifiers": ["x"]}
    recoding = Rules(columns={"x": rule}).fit(table, Schema(**schema))
    released = recoding.apply(table)
    assert released.schema == recoding.apply(table.clear()).schema
    return released.to_series().to_list()


@pytest.mark.parametrize(
    ("values", "rule", "expected"),
    [
        ([17, 18, 90, 91, None], {"top": 90, "bottom": 18}, [18, 18, 90, 90, None]),
        ([17.5, 91.25], {"top": 90}, [17.5, 90.0]),
        ([17, 91], {"bottom": 20}, [20, 91]),
        ([0, 2, 3, 7, 8, -2, -3, None], {"round": 5}, [0, 0, 5, 5, 10, 0, -5, None]),
        ([1, 2, 3], {"round": 2}, [2, 2, 4]),
        ([0.25, 0.35, 0.3, 2.0, None], {"round": 0.1}, [0.3, 0.4, 0.3, 2.0, None]),
        ([7.4, 12.6], {"round": 5}, [5.0, 15.0]),
        (["yes", "no", None], {"map": {"yes": 1, "no": 0}}, [1, 0, None]),
        ([1, 2, 3], {"map": {"1": "a", "2": "a"}, "other": "b"}, ["a", "a", "b"]),
        ([80.0, 79.5], {"map": {80: "old", "79.5": "young"}}, ["old", "young"]),
        (["a", "b"], {"map": {"a": True, "b": False}}, [True, False]),
        (["a", "b"], {"map": {"a": 1, "b": 0.5}}, [1.0, 0.5]),
        (["a", "b"], {"map": {"a": 1, "b": "x"}}, ["1", "x"]),
        ([True, False], {"map": {"true": "yes", "false": "no"}}, ["yes", "no"]),
        ([23, 67, 99], [{"top": 90}, {"round": 5}], [25, 65, 90]),
        (
            [23, 95, None],
            {"generalize": 1, "hierarchy": {"bands": [10], "top": 90}},
            ["[20, 30)", ">=90", None],
        ),
        ([23, 95], {"generalize": 2, "hierarchy": Hierarchy.bands([10], top=90)}, ["*", "*"]),
        ([1.5, 2.5], {"rename": "y"}, [1.5, 2.5]),
    ],
)
def test_a_rule_gives(values: list[Any], rule: Any, expected: list[Any]) -> None:
    found = recoded(values, rule)
    assert found == expected
    assert [type(value) for value in found] == [type(value) for value in expected]


def test_the_schemas_hierarchy_is_used_by_level() -> None:
    places = Hierarchy.mapping({"Lyon": ["Rhone", "South"], "Lille": ["Nord", "North"]})
    schema = {"quasi_identifiers": {"x": places}}
    values = ["Lyon", None, "Lille"]
    assert recoded(values, {"generalize": 1}, **schema) == ["Rhone", None, "Nord"]
    assert recoded(values, {"generalize": 2}, **schema) == ["South", None, "North"]
    assert recoded(values, {"generalize": 3}, **schema) == ["*", "*", "*"]


@given(st.lists(st.integers(-(10**9), 10**9), min_size=1), st.integers(1, 1000))
def test_rounding_moves_by_half_a_step_at_most(values: list[int], base: int) -> None:
    for before, after in zip(values, recoded(values, {"round": base}), strict=True):
        assert after % base == 0
        assert abs(after - before) * 2 <= base


def test_a_narrow_type_does_not_overflow() -> None:
    table = pl.DataFrame({"x": pl.Series([127, -128], dtype=pl.Int8)})
    schema = Schema(quasi_identifiers=["x"])
    for rule, expected in (({"round": 10}, [130, -130]), ({"top": 300, "bottom": 200}, [200, 200])):
        released = Rules(columns={"x": rule}).fit(table, schema).apply(table)
        assert released["x"].to_list() == expected


@pytest.mark.parametrize(
    ("values", "rule", "message"),
    [
        (["a"], {"round": 5}, "columns.x: round needs numbers, but the column holds String"),
        (["a"], {"top": 5}, "columns.x: top and bottom coding needs numbers"),
        ([True], {"round": 5}, "holds Boolean"),
        ([1], {"round": 0.5}, "round = 0.5 must be whole"),
        ([1], {"top": 1.5}, "top = 1.5 must be whole"),
        ([1], {"generalize": 1}, "needs a hierarchy, and the schema has none"),
        (
            [1],
            {"generalize": 3, "hierarchy": {"bands": [10]}},
            "generalize = 3 is above the hierarchy's top: its levels are 1 to 2",
        ),
    ],
)
def test_a_rule_that_does_not_fit_its_column(values: list[Any], rule: Any, message: str) -> None:
    with pytest.raises(PlanError) as raised:
        recoded(values, rule)
    assert message in str(raised.value)


def test_a_value_without_a_group_is_an_error_that_does_not_show_it() -> None:
    with pytest.raises(DataError, match=r"column 'x': 2 rows \(first: row 2\)") as raised:
        recoded(["a", "canary", "canary"], {"map": {"a": "b"}})
    assert "canary" not in str(raised.value)
    places = Hierarchy.mapping({"a": "b"})
    with pytest.raises(HierarchyError, match="column 'x'") as raised:
        recoded(["a", "canary"], {"generalize": 1, "hierarchy": places})
    assert "canary" not in str(raised.value)


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({"generalise": 1}, "no rule in 'generalise'. Did you mean 'generalize'?"),
        ({}, "no rule in nothing"),
        (3, "a rule is a table such as { generalize = 1 }, not 3"),
        ([], "the list of rules is empty"),
        ({"round": 5, "top": 90}, "several rules at once (round, top); write them as a list"),
        ({"generalize": 0}, "greater than or equal to 1 (got 0)"),
        ({"generalize": 1, "scale": 2}, "unknown setting 'scale'"),
        ({"top": 1, "bottom": 2}, "bottom must be below top"),
        ({"round": 0}, "greater than 0"),
        ({"round": float("inf")}, "finite"),
        ({"map": {}}, "at least 1 item"),
        ({"rename": ""}, "at least 1 character"),
        ({"suppress": False}, "should be True"),
    ],
)
def test_a_rule_that_cannot_be(rule: Any, message: str) -> None:
    with pytest.raises(PlanError) as raised:
        Rules(columns={"x": rule})
    assert str(raised.value).startswith("columns.x: ")
    assert message in str(raised.value)


def test_a_wrong_hierarchy_names_the_column() -> None:
    with pytest.raises(HierarchyError, match=r"^columns.x: no preset 'bmi'"):
        Rules(columns={"x": {"generalize": 1, "hierarchy": {"preset": "bmi"}}})


def test_a_rule_for_no_column_is_an_error() -> None:
    table = pl.DataFrame({"State": ["a"]})
    with pytest.raises(PlanError, match=r"columns.Sate: the table has no such column.*'State'"):
        Rules(columns={"Sate": {"suppress": True}}).fit(table, Schema(rest="other"))
    with pytest.raises(SchemaError, match="no role"):
        Rules().fit(table, Schema())
