from itertools import combinations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfumato import Schema
from sfumato.errors import PlanError, SchemaError
from sfumato.evaluation.attacks import member_figures
from sfumato.evaluation.attacks.linkability import (
    Linkability,
    alternating_views,
    by_chance,
    linked,
    scores,
)
from sfumato.evaluation.attacks.tables import AttackTables
from sfumato.evaluation.exchangeability import excess

SCHEMA = Schema(quasi_identifiers={"age": None}, rest="other")
CELLS = (
    st.one_of(st.none(), st.integers(0, 3)),
    st.sampled_from(["a", "b", "*", None]),
    st.sampled_from(["x", "y", "z"]),
    st.integers(0, 2),
)
NAMES = ("age", "word", "other", "count")


def frame(rows):
    kinds = dict(zip(NAMES, (pl.Int64, pl.String, pl.String, pl.Int64), strict=True))
    return pl.DataFrame(rows, schema=kinds, orient="row")


def people(n, seed):
    """Return people of ten columns, few of them twins."""
    random = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "age": random.integers(18, 90, n),
            **{f"word {i}": random.choice(list("abcdef"), n) for i in range(5)},
            **{f"lab {i}": random.normal(size=n).round(2) for i in range(4)},
        }
    )


def by_hand(first, second, k):
    """Return the chance that the k nearest by either view share a row, over all ties' orders."""
    ways = []
    for distance in (first, second):
        last = np.sort(distance)[min(k, len(distance)) - 1]
        sure = set(np.flatnonzero(distance < last).tolist())
        tied = np.flatnonzero(distance == last).tolist()
        drawn = min(k, len(distance)) - len(sure)
        ways.append([sure | set(some) for some in combinations(tied, drawn)])
    return np.mean([bool(one & other) for one in ways[0] for other in ways[1]])


@pytest.mark.slow
@given(
    released=st.lists(st.tuples(*CELLS), min_size=1, max_size=7),
    real=st.lists(st.tuples(*CELLS), min_size=1, max_size=4),
    k=st.integers(1, 4),
)
@settings(max_examples=60, deadline=None)
def test_ties_are_drawn_in_every_way(released, real, k):
    real = [(age, None if word == "*" else word, *rest) for age, word, *rest in real]
    tables = AttackTables.of(frame(released), frame(real), None, SCHEMA)
    names = sorted(tables.by_name)
    views = [[tables.by_name[name] for name in names[:2]], [tables.by_name[n] for n in names[2:]]]
    if not views[1]:
        return
    every = np.arange(tables.rows)
    found = linked(*views, sorted({1, k}))
    for row in range(len(tables.member)):
        distances = [sum(c.cost(every, np.array([row])) for c in view) for view in views]
        assert found[row, -1] == pytest.approx(by_hand(*distances, k), abs=1e-9)
        assert found[row, 0] == pytest.approx(by_hand(*distances, 1), abs=1e-9)


def test_a_copy_links_its_members_and_nobody_else():
    members, controls = people(800, 1), people(200, 2)
    figures = Linkability().run(AttackTables.of(members, members, controls, SCHEMA), seed=0)
    for k in (1, 5, 10):
        figure = figures[f"linkability/{k}"]
        assert figure.value > 0.99
        assert figure.control == pytest.approx(by_chance(800, k), abs=0.06)
        assert figure.p_value < 1e-3
        assert figure.baseline == pytest.approx(by_chance(800, k))
        assert figure.attacks == 1_000
        assert figure.interval[0] <= figure.value <= figure.interval[1]


def test_a_copy_of_which_most_is_missing_is_still_linked():
    random = np.random.default_rng(3)
    members = people(600, 4)
    gone = random.random((600, 4)) < 0.6
    members = members.with_columns(
        pl.when(pl.Series(~gone[:, i])).then(pl.col(f"lab {i}")).alias(f"lab {i}") for i in range(4)
    )
    released, controls = members[::-1], people(60, 5)
    figure = Linkability(nearest=(1,)).run(
        AttackTables.of(released, members, controls, SCHEMA), seed=0
    )["linkability/1"]
    assert figure.value > 0.8
    assert figure.p_value < 1e-3


def test_two_blind_picks():
    assert by_chance(1_000, 1) == pytest.approx(1 / 1_000)
    # two sets of 2 of 5: all but C(3, 2) of C(5, 2) = 10 meet
    assert by_chance(5, 2) == pytest.approx(0.7)
    assert by_chance(3, 2) == 1.0
    assert by_chance(2, 10) == 1.0


def test_views_know_about_as_much():
    table = people(500, 6)
    tables = AttackTables.of(table, table, None, SCHEMA)
    first, second = alternating_views(tables.columns)
    assert sorted(first + second) == sorted(tables.by_name)
    # labs (about 300 values) and age lead, the words follow
    assert sum(name.startswith("lab") for name in first) == 2
    assert abs(len(first) - len(second)) <= 1


def test_named_views_and_partitions():
    members, controls = people(200, 7), people(200, 8)
    tables = AttackTables.of(members, members, controls, SCHEMA)
    named = (("age", "lab 0"), ("lab 1", "word 1"))
    some = scores(tables, (1,), views=named)
    assert some[tables.member].mean() > some[~tables.member].mean() + 0.5
    several = scores(tables, (1, 5), partitions=3, seed=4)
    assert several.shape == (400, 2)
    assert (several == scores(tables, (1, 5), partitions=3, seed=4)).all()
    with pytest.raises(SchemaError, match=r"'agee'.*Did you mean 'age'"):
        Linkability(views=(("agee",), ("age",))).run(tables, seed=0)
    with pytest.raises(PlanError, match="share none"):
        Linkability(views=(("age",), ("age", "lab 0")))
    with pytest.raises(PlanError, match="at least 1"):
        Linkability(nearest=(0, 5))


def test_it_is_said_why_nothing_was_computed():
    table = people(5, 9)
    for released, members, controls, because in (
        (table.select("age"), table.select("age"), table.select("age"), "one column only"),
        (table.clear(), table, table, "no rows"),
        (table, table, None, "no control people"),
        (table, table.clear(), table, "no members"),
    ):
        tables = AttackTables.of(released, members, controls, SCHEMA)
        figures = Linkability().run(tables, seed=0)
        assert len(figures) == 3
        assert all(because in figure.because for figure in figures.values())
        assert all(figure.value is None for figure in figures.values())


@pytest.mark.parametrize(("n", "n_members", "n_controls"), [(1, 1, 1), (3, 40, 2), (50, 4, 40)])
def test_any_sizes_give_figures(n, n_members, n_controls):
    tables = AttackTables.of(people(n, 1), people(n_members, 2), people(n_controls, 3), SCHEMA)
    figures = Linkability(most=10, partitions=2).run(tables, seed=0)
    for figure in figures.values():
        assert 0 <= figure.value <= 1
        assert figure.attacks == min(10, n_members + n_controls)
    empty = pl.DataFrame({"age": [None] * 4, "word": [None] * 4})
    tables = AttackTables.of(empty, empty, empty, SCHEMA)
    assert Linkability().run(tables, seed=0)["linkability/10"].value == 1.0


def test_of_very_large_tables_fewer_people_are_attacked(monkeypatch):
    tables = AttackTables.of(people(100, 1), people(80, 2), people(20, 3), SCHEMA)
    monkeypatch.setattr(member_figures, "_CELLS", 3_000 * len(tables.columns))
    monkeypatch.setattr(member_figures, "_FEWEST", 5)
    assert Linkability().run(tables, seed=0)["linkability/1"].attacks == 30
    assert Linkability(most=10).run(tables, seed=0)["linkability/1"].attacks == 10
    assert Linkability(most=None).run(tables, seed=0)["linkability/1"].attacks == 100
    rows = member_figures.some_people(tables, 30, 0)
    assert tables.member[rows].sum() == 24
    monkeypatch.setattr(member_figures, "_FEWEST", 50)
    assert Linkability().run(tables, seed=0)["linkability/1"].attacks == 50


def test_nothing_depends_on_the_order_the_names_or_the_types():
    members, controls, released = people(150, 1), people(50, 2), people(120, 3)
    once = Linkability().run(AttackTables.of(released, members, controls, SCHEMA), seed=1)

    def disguised(table, seed):
        mixed = table[np.random.default_rng(seed).permutation(table.height)]
        return mixed.select(reversed(table.columns)).with_columns(
            pl.col("age").cast(pl.Float64),
            *(
                pl.col(f"word {i}")
                .replace_strict({c: f'{c}\'s "ü"' for c in "abcdef"})
                .cast(pl.Categorical)
                for i in range(5)
            ),
            pl.col("lab 0") * -8 + 64,
        )

    again = Linkability().run(
        AttackTables.of(
            disguised(released, 4), disguised(members, 5), disguised(controls, 6), SCHEMA
        ),
        seed=1,
    )
    assert {key: figure.value for key, figure in once.items()} == {
        key: figure.value for key, figure in again.items()
    }
    assert {key: figure.p_value for key, figure in once.items()} == {
        key: figure.p_value for key, figure in again.items()
    }


@pytest.mark.slow
@pytest.mark.long
def test_the_level_is_the_stated_one_where_labels_mean_nothing():
    random = np.random.default_rng(10)
    tables = AttackTables.of(people(300, 1), people(240, 2), people(60, 3), SCHEMA)
    score = np.rint(scores(tables, (10,))[:, 0] * 16) / 16
    p_values = []
    for seed in range(2_000):
        member = random.permutation(tables.member)
        p_values.append(excess(score[member], score[~member], seed=seed).p_even)
    assert 0.035 <= np.mean(np.array(p_values) < 0.05) <= 0.065
