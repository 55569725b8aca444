import itertools

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfumato.evaluation.attacks.copies import Copies, hits
from sfumato.evaluation.attacks.record_differences import (
    on_columns,
    record_differences,
    with_people,
)
from sfumato.evaluation.attacks.tables import AttackTables
from sfumato.evaluation.attacks.vulnerable import isolation, vulnerable
from sfumato.table import Hierarchy, Schema

KINDS = {"a": pl.Int64, "b": pl.String, "c": pl.String, "d": pl.Float64}
CELLS = st.tuples(
    st.one_of(st.none(), st.integers(0, 3)),
    st.sampled_from(["x", "y", "it's", None]),
    st.sampled_from(["u", "v"]),
    st.one_of(st.none(), st.sampled_from([0.5, 1.5, -2.0])),
)
ROWS = st.lists(CELLS, min_size=1, max_size=12)


def frame(rows):
    return pl.DataFrame(rows, schema=KINDS, orient="row")


def heart():
    return pl.read_parquet("tests/data/heart_sample.parquet")


def brute(tables, most):
    """Return differences and twins of each real row, cell by cell."""
    least, standing = [], []
    for person in range(len(tables.member)):
        differ = [
            sum(
                not column.stands_for(np.array([row]), np.array([person]))[0]
                for column in tables.columns
            )
            for row in range(tables.rows)
        ]
        least.append(min(*differ, most + 1))
        standing.append(differ.count(0))
    return least, standing


def check(tables, most=2):
    found = record_differences(tables, most)
    least, standing = brute(tables, most)
    assert found.least.tolist() == least
    assert found.standing.tolist() == standing
    rows = tables.real_frame.select([column.name for column in tables.columns]).rows()
    assert found.alike.tolist() == [rows.count(row) for row in rows]


@settings(max_examples=60, deadline=None)
@given(ROWS, ROWS, ROWS)
def test_single_values_are_compared_as_cell_by_cell(released, members, controls):
    check(AttackTables.of(frame(released), frame(members), frame(controls), Schema()))


LADDER = Hierarchy.lines(
    [["1", "1-2", "*"], ["2", "1-2", "*"], ["3", "3-4", "*"], ["4", "3-4", "*"]]
)
SETS = st.lists(
    st.tuples(
        st.sampled_from(["1", "1-2", "3-4", "3", "*"]),
        st.sampled_from(["x", "y", "*"]),
        st.one_of(st.none(), st.integers(0, 2)),
    ),
    min_size=1,
    max_size=10,
)
SINGLES = st.lists(
    st.tuples(
        st.sampled_from(["1", "2", "3", "4"]),
        st.sampled_from(["x", "y"]),
        st.one_of(st.none(), st.integers(0, 2)),
    ),
    min_size=1,
    max_size=10,
)


@settings(max_examples=60, deadline=None)
@given(SETS, SINGLES, SINGLES)
def test_generalized_and_suppressed_cells_are_compared_as_sets(released, members, controls):
    schema = Schema(quasi_identifiers={"age": LADDER})
    kinds = {"age": pl.String, "word": pl.String, "number": pl.Int64}
    tables = AttackTables.of(
        *(pl.DataFrame(rows, schema=kinds, orient="row") for rows in (released, members, controls)),
        schema,
    )
    check(tables)


def test_six_people_copied_are_found_and_fresh_people_are_not():
    people = heart().unique(maintain_order=True)
    schema = Schema(quasi_identifiers={"State": None, "AgeCategory": None, "BMI": None})
    parts = [people[1_000 * part : 1_000 * (part + 1)] for part in range(3)]
    fresh = AttackTables.of(parts[0], parts[1], parts[2], schema)
    found = Copies().run(fresh, seed=1)
    assert found["copies/exact"].value == found["copies/exact"].control == 0
    assert all(figure.p_value > 0.05 for figure in found.values())
    leaking = pl.concat([parts[0][6:], parts[1][:6]])
    found = Copies().run(AttackTables.of(leaking, parts[1], parts[2], schema), seed=1)
    assert found["copies/exact"].value == 0.006
    assert found["copies/exact"].control == 0
    # 6 hits all with members: 1 / 2 ** 6, a little less without putting back
    chance = np.prod([(1_000 - place) / (2_000 - place) for place in range(6)])
    assert found["copies/exact"].p_value == pytest.approx(chance)
    assert found["copies/exact_unique"].value == 0.006


def test_a_match_on_what_many_share_says_nothing():
    common = pl.DataFrame({"a": ["x"] * 50, "b": ["y"] * 50, "c": ["z"] * 50})
    found = Copies().run(AttackTables.of(common, common, common, Schema()), seed=1)
    assert found["copies/exact"].value == found["copies/exact"].control == 1
    assert found["copies/exact"].p_value == 1
    assert found["copies/exact_unique"].value == 0


def test_replicated_uniques_by_hand():
    real = pl.DataFrame({"age": [1, 2, 2, 3, 4], "sex": list("mmmff"), "sick": list("ynyny")})
    controls = pl.DataFrame({"age": [9, 4], "sex": ["f", "f"], "sick": ["y", "n"]})
    released = pl.DataFrame({"age": [1, 3, 3, 2, 9], "sex": list("mffmf"), "sick": list("nnnnn")})
    schema = Schema(quasi_identifiers={"age": None, "sex": None})
    tables = AttackTables.of(released, real, controls, schema)
    # 1 m: unique in both; 2 m: two real; 3 f: two released; 4 f: two real; 9 f: a control, unique
    flags = hits(tables)["replicated_uniques"]
    assert flags[tables.member].sum() == 1
    assert flags[~tables.member].sum() == 1


def disguised(released):
    """Return a copy as its maker could hide it."""
    shuffled = released.sample(fraction=1, shuffle=True, seed=1).select(sorted(released.columns))
    return shuffled.with_columns(pl.col("word").cast(pl.Categorical))


@pytest.mark.parametrize("controls", [100, 2_000, 20_000])
def test_a_copy_in_disguise_is_found(controls):
    random = np.random.default_rng(0)
    rows = 2_000 + controls
    words = np.array(["it's", "o'er", "Müller", 'a "b"', "x y"])
    everybody = pl.DataFrame(
        {
            "word": words[random.integers(5, size=rows)],
            "born": pl.Series(random.integers(0, 20_000, rows)).cast(pl.Date),
            "lab": pl.Series(
                [None if random.random() < 0.6 else round(random.normal(), 2) for _ in range(rows)],
                dtype=pl.Float64,
            ),
            "site": random.integers(0, 50, rows),
        }
    )
    members, others = everybody[:2_000], everybody[2_000:]
    found = Copies().run(AttackTables.of(disguised(members), members, others, Schema()), seed=1)
    assert found["copies/exact"].value == 1
    assert found["copies/exact"].p_value < 1e-6


EMPTY = pl.DataFrame({"a": [1], "b": ["x"]}).clear()
ONE = pl.DataFrame({"a": [1], "b": ["x"]})
MISSING = pl.DataFrame(
    {"a": [None, None], "b": [None, None]}, schema={"a": pl.Int64, "b": pl.String}
)


@pytest.mark.parametrize(
    ("released", "members", "controls"),
    list(itertools.product([EMPTY, ONE, MISSING], repeat=3)),
)
def test_any_tables_give_figures(released, members, controls):
    found = Copies().run(AttackTables.of(released, members, controls, Schema()), seed=1)
    assert set(found) == {
        "copies/exact",
        "copies/exact_unique",
        "copies/all_but_one",
        "copies/all_but_two",
        "copies/replicated_uniques",
    }
    empty = not (released.height and members.height and controls.height)
    assert found["copies/exact"].computed is not empty
    assert all(figure.computed or figure.because for figure in found.values())


@settings(max_examples=30, deadline=None)
@given(ROWS, ROWS, st.randoms())
def test_order_and_names_change_nothing(released, members, shuffle):
    first = hits(AttackTables.of(frame(released), frame(members), frame(members), Schema()))
    shuffle.shuffle(released)
    renamed = {name: f"{name}'s" for name in "dcba"}
    other = frame(released).select("d", "c", "b", "a").rename(renamed)
    real = frame(members).rename(renamed)
    again = hits(AttackTables.of(other, real, real, Schema()))
    assert {key: int(value.sum()) for key, value in first.items()} == {
        key: int(value.sum()) for key, value in again.items()
    }


def test_some_columns_and_some_people():
    tables = AttackTables.of(
        frame([(1, "x", "u", 0.5)]), frame([(1, "x", "u", 0.5)] * 3), None, Schema()
    )
    assert [column.name for column in on_columns(tables, ["b", "a"]).columns] == ["a", "b"]
    kept = with_people(tables, np.array([0, 2]))
    assert len(kept.member) == kept.real_frame.height == len(kept.columns[0].numbers) == 2


def test_who_stands_out_is_told_without_labels():
    random = np.random.default_rng(3)
    usual = pl.DataFrame(
        {"age": random.integers(30, 50, 300), "sex": random.choice(["m", "f"], 300)}
    )
    odd = pl.DataFrame({"age": [99, 40], "sex": ["m", "x"]})
    tables = AttackTables.of(usual, usual, odd, Schema())
    turned = AttackTables.of(usual, odd, usual, Schema())
    assert set(tables.real_frame[vulnerable(tables, 0.005)].rows()) == set(odd.rows())
    assert sorted(isolation(tables)) == sorted(isolation(turned))
    assert len(vulnerable(tables, 1.0)) == 302
