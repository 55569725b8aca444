"""Control people are whole people, in the target's proportions, the same for the same seed."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfumato.errors import DataError
from sfumato.release.splitting import set_aside
from sfumato.table import Schema

SCHEMA = Schema(identifiers=["who"], person="who", sensitive=["died"], target="died", rest="other")
ROWS = st.lists(
    st.tuples(st.none() | st.integers(0, 12), st.sampled_from(["no", "yes", None])),
    min_size=4,
    max_size=80,
)


@given(ROWS, st.floats(0.2, 0.5), st.integers(0, 99))
def test_every_row_is_on_one_side_and_no_person_on_both(rows, share, seed):
    table = pl.DataFrame(
        {"who": [who for who, _ in rows], "died": [died for _, died in rows]},
        schema={"who": pl.Int64, "died": pl.String},
    ).with_row_index("row")
    people = table["who"].drop_nulls().n_unique() + table["who"].null_count()
    if round(share * people) == 0:
        with pytest.raises(DataError, match="leaves nobody to measure against"):
            set_aside(table, SCHEMA, share, seed)
        return
    split = set_aside(table, SCHEMA, share, seed)
    assert sorted([*split.train["row"], *split.control["row"]]) == list(range(table.height))
    assert split.train["row"].is_sorted()
    assert split.control["row"].is_sorted()
    known = set(split.train["who"].drop_nulls()) & set(split.control["who"].drop_nulls())
    assert not known
    assert split.persons == people
    assert split.control_persons == round(share * people)


def test_each_value_of_the_target_gives_its_share():
    table = pl.DataFrame({"who": range(1000), "died": ["yes"] * 60 + ["no"] * 940})
    split = set_aside(table, SCHEMA, 0.15, 3)
    assert split.control["died"].value_counts(sort=True)["count"].to_list() == [141, 9]


def test_a_person_with_several_values_counts_for_the_rarest():
    table = pl.DataFrame({"who": [0, 0, 1, 2, 3], "died": ["no", "yes", "no", "no", "no"]})
    draws = [set_aside(table, SCHEMA, 0.5, seed).control for seed in range(20)]
    # One of one rare person is half a person: largest remainder gives 2 of 4 in every draw.
    assert {draw["who"].n_unique() for draw in draws} == {2}


def test_the_seed_decides_and_nothing_else():
    table = pl.DataFrame({"who": range(200), "died": ["yes", "no"] * 100})
    first = set_aside(table, SCHEMA, 0.2, 1).control
    assert set_aside(table, SCHEMA, 0.2, 1).control.equals(first)
    assert not set_aside(table, SCHEMA, 0.2, 2).control.equals(first)


def test_no_share_sets_nobody_aside():
    table = pl.DataFrame({"who": [1, 2], "died": ["yes", "no"]})
    split = set_aside(table, SCHEMA, 0, 1)
    assert split.train.equals(table)
    assert split.control.is_empty()
    assert split.control_persons == 0


def test_without_a_person_column_each_row_is_a_person():
    table = pl.DataFrame({"age": range(100)})
    split = set_aside(table, Schema(quasi_identifiers=["age"]), 0.25, 1)
    assert split.control.height == 25
    assert split.persons is None
    assert split.control_persons is None
