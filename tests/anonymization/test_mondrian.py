"""Mondrian against a slow, obvious version of itself, independent counts, and golden numbers."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from datetime import date
from math import inf
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfumato.anonymization import Mondrian, MondrianRecoding, Recoding
from sfumato.anonymization.mondrian.axes import HierarchyAxis, NumberAxis
from sfumato.anonymization.mondrian.partition import partition
from sfumato.anonymization.mondrian.people import People
from sfumato.errors import DataError, HierarchyError, PlanError, SchemaError
from sfumato.privacy import KAnonymity
from sfumato.table import Hierarchy, Schema, parse_intervals

DATA = Path(__file__).parent.parent / "data"
PLACES = {
    "Lyon": ["Rhone", "South"],
    "Vienne": ["Rhone", "South"],
    "Nice": ["Riviera", "South"],
    "Lille": ["Nord", "North"],
    "Douai": ["Nord", "North"],
}
HIERARCHY = Hierarchy.mapping(PLACES)
SCHEMA = Schema(
    identifiers=["id"],
    quasi_identifiers={"place": HIERARCHY, "age": None, "sex": None},
    sensitive=["diagnosis"],
)
rows = st.lists(
    st.tuples(
        st.sampled_from([*PLACES, None]),
        st.sampled_from([18, 20, 20, 31, 45, 46, 80, None]),
        st.sampled_from(["f", "m"]),
        st.sampled_from(["flu", "gout", None]),
        st.integers(1, 8),
    ),
    min_size=2,
    max_size=60,
)
COLUMNS = {
    "place": pl.String,
    "age": pl.Int64,
    "sex": pl.String,
    "diagnosis": pl.String,
    "id": pl.Int64,
}


def table_of(drawn: list[tuple[object, ...]]) -> pl.DataFrame:
    return pl.DataFrame(drawn, schema=COLUMNS, orient="row")


# -- a slow, obvious version --------------------------------------------------------------------


def slow_hierarchy(value: object, level: int) -> object:
    return value if value is None else [value, *PLACES[value], "*"][level]


def slow_mondrian(drawn: list, k: int, *, by_person: bool) -> Counter:
    """Return how many rows carry each combination of labels; one group at a time, by recursion."""
    everybody = set(PLACES) | {None for row in drawn if row[0] is None}
    ages = sorted({row[1] for row in drawn if row[1] is not None})
    sexes = {row[2] for row in drawn}

    def people(group: list) -> int:
        return len({row[4] for row in group}) if by_person else len(group)

    def place_node(group: list, level: int) -> object:
        return slow_hierarchy(group[0][0], level) if level < 3 else "*"

    def leaves(node: object, level: int) -> int:
        if level == 3:
            return len(everybody)
        return sum(slow_hierarchy(value, level) == node for value in everybody)

    def width(group: list, axis: str, state: dict) -> float:
        if axis == "place":
            level = state["place"]
            return leaves(place_node(group, level), level) / len(everybody) if level else 0
        if axis == "sex":
            return 1.0 if state["sex"] else 0
        present = [row[1] for row in group if row[1] is not None]
        if state["age"] == "missing":
            return 0
        if len(present) < len(group):
            return 1.0
        return (max(present) - min(present)) / (ages[-1] - ages[0]) if len(ages) > 1 else 0

    def split(group: list, axis: str, state: dict) -> list[tuple[list, dict]] | None:
        parts: dict[object, list] = defaultdict(list)
        new = {}
        if axis == "place":
            for row in group:
                parts[slow_hierarchy(row[0], state["place"] - 1)].append(row)
            new = {key: {**state, "place": state["place"] - 1} for key in parts}
        elif axis == "sex":
            for row in group:
                parts[row[2]].append(row)
            new = {key: {**state, "sex": 0} for key in parts}
        elif state["age"] == "both":
            for row in group:
                parts[row[1] is None].append(row)
            new = {key: {**state, "age": "missing" if key else "numbers"} for key in parts}
        else:
            cuts = []
            for cut in sorted({row[1] for row in group})[1:]:
                low = [row for row in group if row[1] < cut]
                high = [row for row in group if row[1] >= cut]
                if people(low) >= k and people(high) >= k:
                    cuts.append((abs(people(low) - people(high)), cut))
            if not cuts:
                return None
            _, cut = min(cuts)
            for row in group:
                parts[row[1] >= cut].append(row)
            new = {
                False: {**state, "range": (state["range"][0], cut)},
                True: {**state, "range": (cut, state["range"][1])},
            }
        if any(people(part) < k for part in parts.values()):
            return None
        return [(part, new[key]) for key, part in parts.items()]

    def told(cut: float) -> float:
        if cut in (-inf, inf):
            return cut
        below = max(age for age in ages if age < cut)
        round_ones = (
            [n for n in range(below + 1, cut + 1) if n % step == 0] for step in (100, 10, 1)
        )
        return next(numbers[0] for numbers in round_ones if numbers)

    def label(group: list, state: dict) -> tuple:
        low, high = (told(cut) for cut in state["range"])
        if state["age"] == "missing":
            age = None
        elif low == -inf and high == inf:
            age = "*"
        elif low == -inf:
            age = f"<{high}"
        else:
            age = f">={low}" if high == inf else f"[{low}, {high})"
        place = place_node(group, state["place"])
        return place, age, group[0][2] if not state["sex"] else "*"

    found: Counter = Counter()

    def cut(group: list, state: dict) -> None:
        closed: set[str] = set()
        while True:
            axes = [axis for axis in ("place", "age", "sex") if axis not in closed]
            widths = {axis: width(group, axis, state) for axis in axes}
            if not widths or max(widths.values()) <= 0:
                found[label(group, state)] += len(group)
                return
            widest = max(axes, key=lambda axis: widths[axis])
            parts = split(group, widest, state)
            if parts is not None:
                for part, new in parts:
                    cut(part, new)
                return
            closed.add(widest)

    some_missing = any(row[1] is None for row in drawn)
    start = {"place": 3, "age": "both" if some_missing else "numbers", "sex": len(sexes)}
    cut(drawn, {**start, "range": (-inf, inf)})
    return found


@pytest.mark.parametrize("by_person", [False, True])
@settings(max_examples=80, deadline=None)
@given(drawn=rows, k=st.integers(2, 6))
def test_groups_are_those_of_the_slow_version(drawn: list, k: int, by_person: bool) -> None:
    everybody = len({row[4] for row in drawn}) if by_person else len(drawn)
    schema = Schema(
        identifiers=["id"],
        quasi_identifiers={"place": HIERARCHY, "age": None, "sex": None},
        sensitive=["diagnosis"],
        person="id" if by_person else None,
    )
    table = table_of(drawn)
    if everybody < k:
        with pytest.raises(PlanError, match=f"k = {k} is more than the table has: {everybody}"):
            Mondrian(k=k).fit(table, schema)
        return
    released = Mondrian(k=k).fit(table, schema).apply(table)
    counted = Counter(released.select("place", "age", "sex").iter_rows())
    assert counted == slow_mondrian(drawn, k, by_person=by_person)


@settings(max_examples=25, deadline=None)
@given(drawn=rows.filter(lambda drawn: len(drawn) >= 3), seed=st.integers(0, 99))
def test_what_a_release_promises(drawn: list, seed: int) -> None:
    from pycanon.anonymity import k_anonymity

    k = 3
    table = table_of(drawn)
    recoding = Mondrian(k=k).fit(table, SCHEMA)
    released = recoding.apply(table)
    quasi = ["place", "age", "sex"]
    assert min(Counter(released.select(quasi).iter_rows()).values()) >= k
    assert k_anonymity(released.select(quasi).fill_null("(missing)").to_pandas(), quasi) >= k
    assert recoding.promises == (KAnonymity(k),)
    # nothing but the quasi-identifiers changes, in the same order
    assert released.columns == ["place", "age", "sex", "diagnosis"]
    assert released["diagnosis"].equals(table["diagnosis"])
    # rows in another order are the same people
    order = np.random.default_rng(seed).permutation(table.height)
    shuffled = Mondrian(k=k).fit(table[order], SCHEMA)
    assert shuffled.apply(table[order]).equals(released[order])
    # a second fit in the same process, of other rows, knows nothing of the first
    twice = pl.concat([table, table])
    Mondrian(k=2).fit(twice, SCHEMA)
    assert Mondrian(k=k).fit(table, SCHEMA) == recoding
    # each label holds its value
    for before, after in zip(
        table.iter_rows(named=True), released.iter_rows(named=True), strict=True
    ):
        assert after["place"] in (before["place"], *PLACES.get(before["place"], []), "*")
        assert after["sex"] in (before["sex"], "*")


@settings(max_examples=40, deadline=None)
@given(drawn=rows, others=rows)
def test_a_recoding_comes_back_from_json(drawn: list, others: list) -> None:
    recoding = Mondrian(k=2).fit(table_of(drawn), SCHEMA)
    again = MondrianRecoding.from_dict(json.loads(json.dumps(recoding.to_dict())))
    assert again == recoding
    assert again.to_dict() == recoding.to_dict()
    new = table_of(others)
    assert again.apply(new).equals(recoding.apply(new))


# -- golden numbers -----------------------------------------------------------------------------

ADULT = ["sex", "age", "race", "marital-status", "education", "native-country", "workclass"]


def adult() -> tuple[pl.DataFrame, Schema]:
    table = pl.read_csv(DATA / "adult_kanonml.csv.gz", separator=";")
    folder = DATA / "hierarchies"
    hierarchies = {
        name: Hierarchy.read(folder / f"adult_hierarchy_{name}.csv")
        for name in [*ADULT, "occupation"]
    }
    return table, Schema(
        identifiers=["ID"], quasi_identifiers=hierarchies, target="salary-class", rest="other"
    )


@pytest.mark.parametrize(
    ("k", "groups", "smallest"), [(5, 2711, 5), (10, 1436, 10), (50, 245, 50), (250, 24, 286)]
)
def test_adult_has_the_published_number_of_groups(k: int, groups: int, smallest: int) -> None:
    # the same hierarchies and rule in k-AnonML (github.com/fhstp/k-AnonML), which gives these
    # numbers of groups over eight quasi-identifiers
    table, schema = adult()
    recoding = Mondrian(k=k).fit(table, schema)
    assert (len(recoding.class_sizes), recoding.class_sizes.min()) == (groups, smallest)
    released = recoding.apply(table)
    counted = released.group_by(schema.quasi_identifiers).len()["len"]
    assert sorted(counted) == sorted(recoding.class_sizes)
    assert released["salary-class"].equals(table["salary-class"])


def test_equally_wide_columns_are_cut_in_the_order_of_the_schema() -> None:
    table = pl.DataFrame({"a": ["x", "x", "y", "y"], "b": ["u", "v", "u", "v"]})
    first = Mondrian(k=2).fit(table, Schema(quasi_identifiers=["a", "b"])).apply(table)
    assert first.rows() == [("x", "*"), ("x", "*"), ("y", "*"), ("y", "*")]
    second = Mondrian(k=2).fit(table, Schema(quasi_identifiers=["b", "a"])).apply(table)
    assert second.rows() == [("*", "u"), ("*", "v"), ("*", "u"), ("*", "v")]


def test_a_refused_column_is_open_again_further_down() -> None:
    # home, cut first, would leave one person alone; among the women it would not
    table = pl.DataFrame({"sex": list("fffffmm"), "home": list("aabbbac")})
    schema = Schema(quasi_identifiers={"home": None, "sex": None})
    released = Mondrian(k=2).fit(table, schema).apply(table)
    assert released.rows() == [
        *[("f", "a")] * 2,
        *[("f", "b")] * 3,
        *[("m", "*")] * 2,
    ]


# -- people who were not there ------------------------------------------------------------------


def test_new_people_fall_down_the_same_tree() -> None:
    table = pl.DataFrame(
        {"place": ["Lyon", "Lyon", "Nice", "Nice"] * 2, "age": [20, 30, 40, 50, 60, 70, 80, 90]}
    )
    schema = Schema(quasi_identifiers={"place": HIERARCHY, "age": None})
    recoding = Mondrian(k=2).fit(table, schema)
    new = pl.DataFrame({"place": ["Lyon", "Nice", "Lille", "Vienne"], "age": [1, 120, 64, None]})
    assert recoding.apply(new).rows() == [
        ("Lyon", "<60"),
        ("Nice", ">=60"),
        ("*", "*"),
        ("South", "*"),
    ]
    assert recoding.apply(table).rows()[0] == ("Lyon", "<60")


def test_a_value_that_the_hierarchy_lacks_is_an_error() -> None:
    table = table_of([("Lyon", 20, "f", "flu", 1)] * 4)
    recoding = Mondrian(k=2).fit(table, SCHEMA)
    canary = table.with_columns(place=pl.lit("Canary-Town"))
    with pytest.raises(HierarchyError, match=r"column 'place'.*row 5") as raised:
        recoding.apply(pl.concat([table, canary]))
    assert "Canary" not in str(raised.value)


def test_columns_are_checked_before_recoding() -> None:
    table = table_of([("Lyon", 20, "f", "flu", 1)] * 4)
    recoding = Mondrian(k=2).fit(table, SCHEMA)
    with pytest.raises(DataError, match="no column 'diagnosis'"):
        recoding.apply(table.drop("diagnosis"))
    with pytest.raises(DataError, match="'shoe' was not there when the recoding was fitted"):
        recoding.apply(table.with_columns(shoe=42))
    assert recoding.apply(table.drop("id")).height == 4
    assert recoding.apply(table.clear()).rows() == []


# -- kinds of columns ---------------------------------------------------------------------------


def test_dates_are_cut_like_numbers() -> None:
    days = [date(2020, 1, 1), date(2020, 6, 30), date(2021, 3, 1), date(2022, 1, 1)]
    table = pl.DataFrame({"seen": days, "moment": pl.Series(days).cast(pl.Datetime("ms"))})
    schema = Schema(quasi_identifiers=["seen"], other=["moment"])
    released = Mondrian(k=2).fit(table, schema).apply(table)["seen"].to_list()
    assert released == ["<2021-03-01", "<2021-03-01", ">=2021-03-01", ">=2021-03-01"]
    schema = Schema(quasi_identifiers=["moment"], other=["seen"])
    released = Mondrian(k=2).fit(table, schema).apply(table)["moment"].to_list()
    assert released == ["<2021-03-01 00:00:00"] * 2 + [">=2021-03-01 00:00:00"] * 2


def test_one_value_for_all_and_none_for_all_need_no_cut() -> None:
    table = pl.DataFrame(
        {"x": [7, 7, 7], "y": pl.Series([None] * 3, dtype=pl.Float64), "z": [True] * 3}
    )
    released = Mondrian(k=3).fit(table, Schema(quasi_identifiers=["x", "y", "z"])).apply(table)
    assert released.rows() == [("*", None, "true")] * 3


def test_many_missing_values_are_a_group_and_few_hide_the_column() -> None:
    schema = Schema(quasi_identifiers=["age"])
    many = pl.DataFrame({"age": [20, 30, 40, 50, None, None]})
    assert Mondrian(k=2).fit(many, schema).apply(many)["age"].to_list() == [
        *["<40"] * 2,
        *[">=40"] * 2,
        *[None] * 2,
    ]
    few = pl.DataFrame({"age": [20, 30, 40, 50, None]})
    assert Mondrian(k=2).fit(few, schema).apply(few)["age"].to_list() == ["*"] * 5


def test_a_deep_tree_needs_no_recursion() -> None:
    height = 3000
    levels = (*[np.arange(2)] * height, np.zeros(2, dtype=np.int64))
    sizes = (*[np.ones(2, dtype=np.int64)] * height, np.array([2]))
    people = People(np.array([[0], [1]]), np.array([5, 5]))
    grown = partition(people, (HierarchyAxis(levels, sizes),), k=5)
    assert len(grown.parent) == 1 + 2 * height


# -- persons, errors, words ---------------------------------------------------------------------


def test_a_person_with_many_rows_counts_once() -> None:
    table = pl.DataFrame({"id": [1] * 6 + [2], "age": [30] * 6 + [60]})
    schema = Schema(person="id", quasi_identifiers=["age"])
    recoding = Mondrian(k=2).fit(table, schema)
    assert recoding.apply(table)["age"].unique().to_list() == ["*"]
    assert recoding.class_sizes.tolist() == [2]
    with pytest.raises(PlanError, match="k = 3 is more than the table has: 2 persons"):
        Mondrian(k=3).fit(table, schema)


def test_settings_that_cannot_be() -> None:
    table = pl.DataFrame({"age": [1, 2]})
    with pytest.raises(PlanError, match="greater than or equal to 2"):
        Mondrian(k=1)
    with pytest.raises(SchemaError, match="has none"):
        Mondrian(k=2).fit(table, Schema(rest="other"))
    with pytest.raises(PlanError, match="k = 5 is more than the table has: 0 rows"):
        Mondrian(k=5).fit(table.clear(), Schema(quasi_identifiers=["age"]))


def test_it_says_in_words_what_it_does(tmp_path: Path) -> None:
    table = table_of([("Lyon", 20, "f", "flu", 1)] * 4)
    recoding = Mondrian(k=2).fit(table, SCHEMA)
    changes = {change.column: change for change in recoding.describe()}
    assert list(changes) == table.columns
    assert (changes["id"].released_as, changes["id"].action) == (None, "suppressed")
    assert changes["place"].action == "generalized"
    assert "2 people" in changes["place"].how
    assert changes["diagnosis"].action == "kept"
    assert all(change.why for change in changes.values())
    released = recoding.released_schema().check(recoding.apply(table))
    assert released.quasi_identifiers == ("place", "age", "sex")
    assert released.columns["age"].type == "category"
    recoding.save(tmp_path / "recoding.json")
    assert Recoding.load(tmp_path / "recoding.json") == recoding


def test_progress_is_told_to_the_end() -> None:
    told: list[tuple[float, float]] = []
    table = table_of([("Lyon", age, "f", "flu", 1) for age in range(20)])
    Mondrian(k=2).fit(table, SCHEMA, progress=lambda _, done, total: told.append((done, total)))
    assert told[-1][0] == told[-1][1] == 20
    assert told == sorted(told)


# -- the cuts themselves ------------------------------------------------------------------------


def test_a_cut_between_two_equally_near_the_median_is_the_lower_one() -> None:
    people = People(np.array([[0], [1], [2]]), np.array([4, 2, 4]))
    axis = NumberAxis(np.array([1.0, 2.0, 3.0]), has_missing=False)
    grown = partition(people, (axis,), k=4)
    assert grown.cut.tolist() == [-1, -1, 1]
    assert grown.size.tolist() == [10, 4, 6]


def test_a_hierarchy_is_cut_into_all_children_or_not_at_all() -> None:
    levels = (np.arange(3), np.zeros(3, dtype=np.int64))
    axis = HierarchyAxis(levels, (np.ones(3, dtype=np.int64), np.array([3])))
    codes = np.array([[0], [1], [2]])
    assert len(partition(People(codes, np.array([5, 5, 4])), (axis,), k=5).parent) == 1
    assert len(partition(People(codes, np.array([5, 5, 5])), (axis,), k=5).parent) == 4


@given(
    st.lists(
        st.floats(-1e6, 1e6, allow_nan=False).map(lambda n: round(n, 2)), min_size=4, max_size=60
    )
)
def test_a_border_tells_no_exact_number_where_a_rounder_one_will_do(numbers: list[float]) -> None:
    table = pl.DataFrame({"income": numbers})
    recoding = Mondrian(k=2).fit(table, Schema(quasi_identifiers=["income"]))
    released = recoding.apply(table)["income"]
    assert released.value_counts()["count"].min() >= 2
    low, high = parse_intervals(released)
    inside = released != "*"
    assert (np.where(np.isnan(low), -np.inf, low) <= numbers)[inside].all()
    assert (np.where(np.isnan(high), np.inf, high) > numbers)[inside].all()


def test_borders_are_round() -> None:
    incomes = [11_203.17, 14_871.4, 19_000.64, 40_667.69, 51_770.94, 64_018.98]
    table = pl.DataFrame({"income": incomes})
    released = Mondrian(k=2).fit(table, Schema(quasi_identifiers=["income"])).apply(table)
    assert released["income"].to_list() == [
        *["<20000"] * 3,
        *[">=20000"] * 3,
    ]
