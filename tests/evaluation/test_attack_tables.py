"""The footing of all attacks: what cells stand for, and that the order of rows is of no matter."""

from datetime import date

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfumato.anonymization import Mondrian
from sfumato.errors import DataError, SchemaError
from sfumato.evaluation.attacks.tables import GRID, AttackTables
from sfumato.release import anonymize
from sfumato.table import Hierarchy, Schema

SCHEMA = Schema(quasi_identifiers={"age": None, "sex": None}, sensitive=["illness"], rest="other")


def _frame(ages, sexes, illnesses):
    return pl.DataFrame({"age": ages, "sex": sexes, "illness": illnesses})


REAL = _frame([30, 40, None, 61], ["f", "m", "f", None], ["flu", "gout", "flu", "o'hara"])
CONTROL = _frame([31, 40], ["m", "m"], ["flu", "ague"])


def _fits(tables, name):
    column = tables.by_name[name]
    rows, people = np.arange(tables.rows), np.arange(len(tables.member))
    return column.stands_for(rows[:, None], people[None, :])


def _cost(tables, name):
    column = tables.by_name[name]
    rows, people = np.arange(tables.rows), np.arange(len(tables.member))
    return column.cost(rows[:, None], people[None, :])


def test_exact_cells_stand_for_themselves_and_missing_for_missing():
    tables = AttackTables.of(REAL, REAL, CONTROL, SCHEMA)
    members = tables.real_frame[: tables.n_members]
    for name in REAL.columns:
        shown = tables.released_frame[name].to_list()
        had = members[name].to_list()
        expected = [[one == other for other in had] for one in shown]
        assert _fits(tables, name)[:, : tables.n_members].tolist() == expected
    assert tables.n_controls == 2


def test_members_come_first_and_frames_follow_the_codes():
    tables = AttackTables.of(REAL, REAL, CONTROL, SCHEMA)
    assert tables.member.tolist() == [True] * 4 + [False] * 2
    numbers = tables.by_name["age"].numbers
    in_frame = tables.real_frame["age"].cast(pl.Float64).fill_null(float("nan")).to_numpy()
    np.testing.assert_array_equal(numbers, in_frame)


def test_a_star_stands_for_everything():
    released = _frame(["*", "40"], ["*", "m"], ["flu", "*"])
    tables = AttackTables.of(released, REAL, CONTROL, SCHEMA)
    for name in REAL.columns:
        stars = tables.released_frame[name].to_numpy() == "*"
        assert _fits(tables, name)[stars].all()


def test_a_generalized_cell_stands_for_what_is_below_it():
    schema = Schema(
        quasi_identifiers={"age": Hierarchy.intervals([0, 40, 80]), "sex": None}, rest="other"
    )
    released = _frame(["[0, 40)", "[40, 80)", "*"], ["{f, m}", "f", "m"], ["flu", "flu", "gout"])
    real = _frame([30, 39, 40, 79], ["f", "m", "f", "m"], ["flu", "gout", "flu", "flu"])
    tables = AttackTables.of(released, real, CONTROL, schema)
    shown, ages = tables.released_frame["age"], tables.real_frame["age"].to_numpy()
    fits = _fits(tables, "age")
    bounds = {"[0, 40)": (0, 40), "[40, 80)": (40, 80), "*": (0, 200)}
    for row, label in enumerate(shown.to_list()):
        low, high = bounds[label]
        assert fits[row].tolist() == [low <= age < high for age in ages]
    sexes = tables.real_frame["sex"].to_list()
    for row, label in enumerate(tables.released_frame["sex"].to_list()):
        assert _fits(tables, "sex")[row].tolist() == [sex in label for sex in sexes]


def test_a_set_may_hold_an_apostrophe_of_a_value():
    real = _frame([30, 40, 50], ["f'", "m", "x"], ["flu", "flu", "flu"])
    released = _frame([30, 40, 50], ["{f', m}", "{f', m}", "x"], ["flu", "flu", "flu"])
    tables = AttackTables.of(released[:2], real, CONTROL.clear(), SCHEMA)
    held = [sex in ("f'", "m") for sex in tables.real_frame["sex"].to_list()]
    assert _fits(tables, "sex").tolist() == [held, held]


def test_mondrian_covers_every_member():
    random = np.random.default_rng(1)
    real = _frame(
        random.integers(20, 80, 200).tolist(),
        random.choice(["f", "m", "x"], 200).tolist(),
        random.choice(["flu", "gout"], 200).tolist(),
    )
    released = anonymize(real, SCHEMA, Mondrian(k=7)).data
    tables = AttackTables.of(released, real, real[:50], SCHEMA)
    covered = np.logical_and.reduce([_fits(tables, name) for name in real.columns])
    assert covered.any(axis=0).all()


def test_costs_are_gowers():
    tables = AttackTables.of(REAL, REAL, CONTROL, SCHEMA)
    ages = tables.by_name["age"]
    assert ages.width == 31
    costs = _cost(tables, "age")
    for row in range(tables.rows):
        for person in range(len(tables.member)):
            one, other = ages.low[row], ages.numbers[person]
            if np.isnan(one) or np.isnan(other):
                expected = 0 if np.isnan(one) and np.isnan(other) else GRID
            else:
                expected = round(abs(one - other) / 31 * GRID)
            assert costs[row, person] == expected


def test_dates_are_numbers():
    days = pl.DataFrame({"born": [date(1950, 1, 1), date(1950, 1, 11)]})
    schema = Schema(rest="other")
    tables = AttackTables.of(days, days, days[:1], schema)
    assert tables.columns[0].kind == "number"
    assert _cost(tables, "born").max() == GRID


@pytest.mark.slow
@settings(deadline=None)
@given(st.permutations(range(4)), st.permutations(["age", "sex", "illness"]))
def test_order_type_and_index_change_nothing(rows, names):
    plain = AttackTables.of(REAL, REAL, CONTROL, SCHEMA)
    turned = REAL[list(rows)].select(names)
    retyped = turned.with_columns(
        pl.col("sex").cast(pl.Categorical), pl.col("age").cast(pl.Float32)
    )
    other = AttackTables.of(retyped, turned, CONTROL.select(names), SCHEMA)
    for one, two in zip(plain.columns, other.columns, strict=True):
        assert one.name == two.name
        for part in ("released", "real", "low", "high", "numbers"):
            np.testing.assert_array_equal(getattr(one, part), getattr(two, part))


def test_new_names_of_values_change_nothing():
    plain = AttackTables.of(REAL, REAL, CONTROL, SCHEMA)
    names = {"f": 'it\'s "ж"', "m": "a b"}

    def renamed(table):
        return table.with_columns(pl.col("sex").replace(names))

    other = AttackTables.of(renamed(REAL), renamed(REAL), renamed(CONTROL), SCHEMA)
    for one, two in zip(plain.columns, other.columns, strict=True):
        np.testing.assert_array_equal(one.released, two.released)
        np.testing.assert_array_equal(one.real, two.real)


def test_one_row_a_person():
    schema = Schema(person="who", quasi_identifiers={"age": None}, rest="other")
    real = pl.DataFrame({"who": ["a", "a", "b", None, None], "age": [1, 2, 3, 4, 5]})
    tables = AttackTables.of(real, real, real[:2], schema)
    assert (tables.n_members, tables.n_controls) == (4, 1)
    assert "who" not in tables.by_name


def test_a_number_of_people_can_be_limited():
    real = _frame(list(range(100)), ["f"] * 100, ["flu"] * 100)
    tables = AttackTables.of(real, real, real, SCHEMA, most=10, seed=3)
    assert (tables.n_members, tables.n_controls, tables.members_in_all) == (10, 10, 100)


def test_equal_sets_are_equal():
    tables = AttackTables.of(REAL, REAL, CONTROL, SCHEMA)
    members, controls = tables.equal(seed=1)
    assert len(members) == len(controls) == 2
    assert tables.member[members].all()
    assert not tables.member[controls].any()


def test_no_controls_no_rows():
    tables = AttackTables.of(REAL.clear(), REAL, None, SCHEMA)
    assert (tables.rows, tables.n_controls) == (0, 0)


def test_what_cannot_be_compared_is_said():
    real = _frame([30, 40], ["f", "m"], ["flu", "gout"])
    strange = real.with_columns(sex=pl.Series(["<q>", "<z>"]))
    tables = AttackTables.of(strange, real, CONTROL, SCHEMA)
    assert "sex" not in tables.by_name
    assert "'sex'" in tables.notes[0]
    with pytest.raises(DataError, match="no column in common"):
        AttackTables.of(strange.select("sex"), real, CONTROL, SCHEMA)
    with pytest.raises(SchemaError, match="'agee'"):
        AttackTables.of(real, real, CONTROL, SCHEMA, columns=["agee"])
