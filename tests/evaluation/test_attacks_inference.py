import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfumato import Hierarchy, Schema
from sfumato.errors import SchemaError
from sfumato.evaluation.attacks.inference import (
    Inference,
    best_blind_guess,
    infer_each,
    scores,
    tolerance_of,
)
from sfumato.evaluation.attacks.tables import STAR, AttackColumn, AttackTables
from sfumato.evaluation.exchangeability import excess

SCHEMA = Schema(quasi_identifiers={"age": None}, rest="other")
NO_CODES = np.zeros(0, np.int32)
NONE = np.zeros(0)


def people(n, seed):
    """Return people whose diagnosis hangs on their age a little, and much else on nothing."""
    random = np.random.default_rng(seed)
    age = random.integers(18, 90, n)
    return pl.DataFrame(
        {
            "age": age,
            "sick": np.where(random.random(n) < age / 120, "yes", "no"),
            **{f"word {i}": random.choice(list("abcdef"), n) for i in range(5)},
            **{f"lab {i}": random.normal(size=n).round(2) for i in range(3)},
        }
    )


def some_columns(seed):
    """Return random columns of every kind, with rows that repeat."""
    random = np.random.default_rng(seed)
    n, real_rows = (int(random.choice([1, 4, 70, 200])) for _ in range(2))
    columns = []
    for place in range(int(random.integers(2, 6))):
        if random.random() < 0.5:
            values = int(random.integers(1, 6))
            released = random.integers(0, values, n).astype(np.int32)
            covers = None
            if random.random() < 0.5:
                covers = random.random((values, values)) < 0.4
                covers[:, 0] = True
            else:
                released[random.random(n) < 0.2] = STAR
            real = random.integers(0, values, real_rows).astype(np.int32)
            columns.append(
                AttackColumn(f"{place}", "category", released, real, values, covers, *[NONE] * 3)
            )
            continue
        low, real = (random.integers(0, 9, size).astype(float) for size in (n, real_rows))
        high = low + random.integers(0, 4, n) * (random.random() < 0.5)
        star, gone = random.random((2, n)) < 0.1
        low[gone] = high[gone] = np.nan
        low[star], high[star] = -np.inf, np.inf
        real[random.random(real_rows) < 0.1] = np.nan
        columns.append(
            AttackColumn(f"{place}", "number", NO_CODES, NO_CODES, 0, None, low, high, real, 8.0)
        )
    return columns, n, real_rows


def by_hand(column, rows, real, tolerance):
    """Return the chance that a guess within each of the cells is right about a real row."""
    right = []
    for row in rows:
        if column.kind == "category":
            label, truth = column.released[row], column.real[real]
            if label == STAR:
                right.append(1 / column.values)
            elif column.covers is None:
                right.append(float(label == truth))
            else:
                right.append(column.covers[label, truth] / column.covers[label].sum())
            continue
        low, high, truth = column.low[row], column.high[row], column.numbers[real]
        ends = np.concatenate([column.low, column.high])
        ends = ends[np.isfinite(ends)]
        ends = ends if ends.size else column.numbers[~np.isnan(column.numbers)]
        if np.isnan(low) or np.isnan(truth):
            right.append(float(np.isnan(low) and np.isnan(truth)))
            continue
        if np.isinf(low):
            low, high = ends.min(), ends.max()
        if high == low:
            right.append(float(abs(low - truth) <= tolerance))
        else:
            both = min(high, truth + tolerance) - max(low, truth - tolerance)
            right.append(min(1.0, max(0.0, both / (high - low))))
    return np.mean(right)


@given(seed=st.integers(0, 10**6), share=st.sampled_from([0.0, 0.05, 0.6]))
@settings(max_examples=40, deadline=None)
def test_every_secret_is_what_the_nearest_rows_on_the_rest_say(seed, share):
    columns, n, real_rows = some_columns(seed)
    found = infer_each(columns, tolerance=share)
    every = np.arange(n)
    for secret in columns:
        right, distances = found.of(secret.name)
        tolerance = tolerance_of(secret.numbers, share) if secret.kind == "number" else 0.0
        for real in range(min(real_rows, 12)):
            rest = sum(
                column.cost(every, np.array([real])).astype(int)
                for column in columns
                if column is not secret
            )
            assert distances[real] == rest.min()
            nearest = np.flatnonzero(rest == rest.min())
            assert right[real] == pytest.approx(by_hand(secret, nearest, real, tolerance))


def voted_by_hand(column, rows, weights, real, tolerance):
    """Return the chance that the mode, or the median of midpoints, is right."""
    if column.kind == "category":
        votes = {}
        for row, weight in zip(rows, weights, strict=True):
            label = column.released[row]
            votes[label] = votes.get(label, 0) + weight
        best = [label for label in votes if votes[label] > max(votes.values()) - 1e-9]
        shown = [next(row for row in rows if column.released[row] == label) for label in best]
        return by_hand(column, shown, real, tolerance)
    truth = column.numbers[real]
    ends = np.concatenate([column.low, column.high])
    ends = ends[np.isfinite(ends)]
    least, most = (ends.min(), ends.max()) if ends.size else (0, 0)
    middle = [(max(column.low[r], least) + min(column.high[r], most)) / 2 for r in rows]
    known = sorted((m, w) for m, w in zip(middle, weights, strict=True) if not np.isnan(m))
    weight = sum(w for _, w in known)
    if weight < sum(weights) / 2 - 1e-12:
        return float(np.isnan(truth))
    reached = 0.0
    for guess, w in known:
        reached += w
        if reached >= weight / 2 - 1e-9:
            return float(abs(guess - truth) <= tolerance)
    raise AssertionError


@given(seed=st.integers(0, 10**6), k=st.integers(2, 9))
@settings(max_examples=25, deadline=None)
def test_several_rows_vote(seed, k):
    columns, n, real_rows = some_columns(seed)
    found = infer_each(columns, neighbours=k)
    every = np.arange(n)
    for secret in columns:
        right, distances = found.of(secret.name)
        tolerance = tolerance_of(secret.numbers, 0.05) if secret.kind == "number" else 0.0
        for real in range(min(real_rows, 8)):
            rest = sum(
                column.cost(every, np.array([real])).astype(int)
                for column in columns
                if column is not secret
            )
            last = np.sort(rest)[min(k, n) - 1]
            assert distances[real] == last
            rows = np.flatnonzero(rest <= last)
            left = (min(k, n) - (rest < last).sum()) / (rest == last).sum()
            weights = np.where(rest[rows] < last, 1.0, left)
            assert right[real] == pytest.approx(
                voted_by_hand(secret, rows, weights, real, tolerance)
            )


def test_how_far_off_is_near_enough():
    # quartiles of 0..100 are 25 and 75: a twentieth of 50
    assert tolerance_of(np.arange(101.0), 0.05) == pytest.approx(2.5)
    # three quarters are 0: only the number itself counts
    zeros = np.array([0.0] * 80 + [3.0] * 20 + [np.nan] * 5)
    assert tolerance_of(zeros, 0.05) == pytest.approx(0.49 * 3)
    assert tolerance_of(np.arange(101.0), 0.0) == pytest.approx(0.49)
    assert tolerance_of(np.array([5.0, np.nan]), 0.05) == 0
    assert tolerance_of(np.array([np.nan]), 0.05) == 0


def test_the_best_blind_guess():
    numbers = np.array([1.0, 2, 3, 10, 10, np.nan, np.nan])
    column = AttackColumn("n", "number", NO_CODES, NO_CODES, 0, None, NONE, NONE, numbers, 1.0)
    every, all_members = np.arange(7), np.ones(7, bool)
    # the quartiles are 2 and 10: within 1 of 2 are three of seven
    assert best_blind_guess(column, 0.125, every, all_members) == pytest.approx(3 / 7)
    assert best_blind_guess(column, 0.0, every, all_members) == pytest.approx(2 / 7)
    members = np.array([True, True, False, True, False, False, False])
    assert best_blind_guess(column, 0.125, every, members) == pytest.approx(2 / 3)
    codes = np.array([0, 0, 1], np.int32)
    column = AttackColumn("c", "category", codes, codes, 2, None, NONE, NONE, NONE)
    assert best_blind_guess(column, 0.05, np.arange(3), np.ones(3, bool)) == pytest.approx(2 / 3)


def test_a_copy_gives_every_secret_away():
    members, controls = people(400, 1), people(100, 2)
    figures = Inference().run(AttackTables.of(members, members, controls, SCHEMA), seed=0)
    for name in members.columns:
        figure = figures[f"inference/{name}"]
        assert figure.value > 0.98
        assert figure.p_value < 0.01
        assert figure.control < 0.8
        assert figure.interval[0] <= figure.value <= figure.interval[1]
        surest = figures[f"inference/{name}/precision_at_10_percent"]
        assert surest.value > 0.98
        assert surest.p_value is None


def test_a_constant_secret_is_no_leak():
    table = people(60, 3).with_columns(pl.lit("same").alias("constant"))
    tables = AttackTables.of(table[:30], table[:30], table[30:], SCHEMA)
    figure = Inference(secrets=("constant",)).run(tables, seed=0)["inference/constant"]
    assert figure.value == figure.control == figure.baseline == 1
    assert figure.p_value == 1


def test_a_negative_guess_is_not_always_right():
    """An independent secret around 0 is right as often as its blind guess, not half the time."""
    random = np.random.default_rng(4)
    tables = AttackTables.of(
        *(
            pl.DataFrame({"x": random.normal(size=500), "y": random.normal(size=500)})
            for _ in range(3)
        ),
        SCHEMA,
        columns=("x", "y"),
    )
    figure = Inference(secrets=("y",)).run(tables, seed=0)["inference/y"]
    # within a twentieth of the middle half, +-0.067: the density of a difference at 0 is 0.28
    assert figure.value == pytest.approx(0.038, abs=0.02)


def test_generalized_cells_are_worth_as_much_as_they_are_narrow():
    schema = Schema(quasi_identifiers={"age": Hierarchy.intervals([0, 10, 20, 40])}, rest="other")
    real = pl.DataFrame({"age": list(range(40)), "id number": [f"p{i}" for i in range(40)]})
    bands = ["[0, 10)"] * 10 + ["[10, 20)"] * 10 + ["[20, 40)"] * 19 + ["*"]
    released = real.with_columns(pl.Series("age", bands))
    tables = AttackTables.of(released, real, real, schema)
    right = scores(tables, secrets=("age",), tolerance=0.0)["age"]
    order = tables.real_frame["age"].to_numpy()
    values = {age: right[order == age][0] for age in (5, 15, 30, 39)}
    # guesses within half a year, of a band of nine, nine and nineteen years; the whole for a star
    assert values[5] == pytest.approx(0.98 / 9)
    assert values[15] == pytest.approx(0.98 / 9)
    assert values[30] == pytest.approx(0.98 / 19)
    assert values[39] < values[30]


def test_a_person_of_whom_all_else_is_hidden_gets_the_average_row():
    released = pl.DataFrame({"age": ["*"] * 4, "sick": ["yes", "no", "no", "no"]})
    real = pl.DataFrame({"age": ["30", "40"], "sick": ["yes", "no"]})
    tables = AttackTables.of(released, real, None, Schema(rest="other"))
    right = scores(tables, secrets=("sick",))["sick"]
    assert sorted(right.tolist()) == [0.25, 0.75]


@pytest.mark.parametrize(("n", "n_members", "n_controls"), [(1, 1, 1), (3, 40, 2), (50, 4, 40)])
def test_any_sizes_give_figures(n, n_members, n_controls):
    tables = AttackTables.of(people(n, 1), people(n_members, 2), people(n_controls, 3), SCHEMA)
    for figure in Inference(most=10).run(tables, seed=0).values():
        assert 0 <= figure.value <= 1
    empty = pl.DataFrame({"age": [None] * 4, "word": [None] * 4})
    tables = AttackTables.of(empty, empty, empty, SCHEMA)
    for figure in Inference().run(tables, seed=0).values():
        assert figure.value == 1


def test_it_is_said_why_nothing_was_computed():
    table = people(5, 9)
    for released, members, controls, because in (
        (table.select("age"), table.select("age"), table.select("age"), "one column only"),
        (table.clear(), table, table, "no rows"),
        (table, table, None, "no control people"),
        (table, table.clear(), table, "no members"),
    ):
        tables = AttackTables.of(released, members, controls, SCHEMA)
        figures = Inference().run(tables, seed=0)
        assert set(figures) == {f"inference/{name}" for name in released.columns}
        assert all(because in figure.because for figure in figures.values())
    with pytest.raises(SchemaError, match=r"'agee'.*Did you mean 'age'"):
        Inference(secrets=("agee",)).run(AttackTables.of(table, table, table, SCHEMA), seed=0)


def test_nothing_depends_on_the_order_the_names_or_the_types():
    members, controls, released = people(150, 1), people(50, 2), people(120, 3)
    once = Inference().run(AttackTables.of(released, members, controls, SCHEMA), seed=1)

    def disguised(table, seed):
        mixed = table[np.random.default_rng(seed).permutation(table.height)]
        return mixed.select(reversed(table.columns)).with_columns(
            pl.col("age").cast(pl.Float64) * 4,
            pl.col("word 1").replace_strict({c: f'{c}\'s "ü"' for c in "abcdef"}),
            pl.col("word 2").cast(pl.Categorical),
            pl.col("lab 0") * -8 + 64,
        )

    again = Inference().run(
        AttackTables.of(
            disguised(released, 4), disguised(members, 5), disguised(controls, 6), SCHEMA
        ),
        seed=1,
    )
    assert set(once) == set(again)
    for key, figure in once.items():
        assert again[key].value == pytest.approx(figure.value, abs=1e-12)
        assert again[key].p_value == figure.p_value


@pytest.mark.slow
@pytest.mark.long
def test_the_level_is_the_stated_one_where_labels_mean_nothing():
    random = np.random.default_rng(10)
    tables = AttackTables.of(people(300, 1), people(240, 2), people(60, 3), SCHEMA)
    found = scores(tables)
    for name in ("sick", "lab 0", "age"):
        score = np.rint(found[name] * 16) / 16
        p_values = []
        for seed in range(2_000):
            member = random.permutation(tables.member)
            p_values.append(excess(score[member], score[~member], seed=seed).p_even)
        assert 0.035 <= np.mean(np.array(p_values) < 0.05) <= 0.065
