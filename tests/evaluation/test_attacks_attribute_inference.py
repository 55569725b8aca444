"""A learner trained on the release: leaks are found, science is not called one."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfumato.anonymization import Mondrian
from sfumato.errors import PlanError
from sfumato.evaluation.attacks.attack_features import (
    classes_of_secret,
    fill,
    ranks,
)
from sfumato.evaluation.attacks.attribute_figures import Guesses, attribute_figures
from sfumato.evaluation.attacks.attribute_inference import AttributeInference, guess, scores
from sfumato.evaluation.attacks.tables import AttackTables
from sfumato.evaluation.exchangeability import excess, top_excess
from sfumato.release import anonymize
from sfumato.table import Schema

SCHEMA = Schema(
    quasi_identifiers={"age": None, "region": None, "weight": None},
    sensitive=["illness"],
    rest="other",
)
FAST = AttributeInference(trees=15, rows=2000)
KEY = "attribute_inference/illness"


def people(n, seed):
    """Return people whose illness hangs on their age and nothing else."""
    random = np.random.default_rng(seed)
    age = random.integers(18, 90, n)
    illness = np.where(random.random(n) < age / 120, "gout", "flu")
    illness = np.where(random.random(n) < 0.05, "rare's disease", illness)
    return pl.DataFrame(
        {
            "age": age,
            "region": random.choice(["north", "south", "*east", "west"], n),
            "weight": random.normal(70, 12, n).round(1),
            "illness": illness,
        }
    )


def attacked(released, n=600, seed=0):
    return AttackTables.of(released, people(n, seed + 1), people(n, seed + 2), SCHEMA)


def test_a_copy_is_found_and_fresh_people_are_not():
    copy = FAST.run(attacked(people(600, 1)), seed=1)
    assert copy[KEY].p_value < 1e-6
    assert copy[f"{KEY}/most_told"].p_value <= 1e-4
    assert copy[KEY].value > 0.95
    assert copy[f"{KEY}/rare_values"].value > 0.9
    assert copy[f"{KEY}/rare_values"].control < 0.3
    assert copy[f"{KEY}/precision_gain_at_100_percent"].value > 0.2
    fresh = FAST.run(attacked(people(600, 3)), seed=1)
    assert fresh[KEY].p_value > 0.01
    assert fresh[f"{KEY}/most_told"].p_value > 0.01
    assert abs(fresh[f"{KEY}/precision_gain_at_100_percent"].value) < 0.1


def test_what_holds_of_the_population_is_learned_and_is_no_leak():
    random = np.random.default_rng(0)

    def of(n):
        age = random.integers(18, 90, n)
        return pl.DataFrame({"age": age, "illness": np.where(age > 50, "gout", "flu")})

    tables = AttackTables.of(of(500), of(500), of(500), SCHEMA.select(["age", "illness"]))
    figure = AttributeInference().run(tables, seed=2)[KEY]
    assert figure.value > 0.95
    assert figure.control > 0.95
    assert figure.baseline > 0.95
    assert figure.p_value > 0.05


def test_known_columns_and_secret_copied_while_all_else_is_fresh():
    members, fresh = people(600, 1), people(600, 9)
    released = members.with_columns(fresh["weight"])
    attack = AttributeInference(trees=15, known=("age", "region"))
    figure = attack.run(attacked(released), seed=1)[KEY]
    assert figure.p_value < 0.01


def test_few_verbatim_people_are_among_those_told_most():
    rows = pl.concat([people(900, 1)[:60], people(900, 3)[60:]])
    figure = FAST.run(attacked(rows, n=900), seed=1)[f"{KEY}/most_told"]
    assert figure.p_value < 0.05


def test_a_generalized_copy_is_attacked_through_its_sets():
    members = people(1500, 1)
    release = anonymize(members, SCHEMA, Mondrian(k=2))
    tables = AttackTables.of(release.data, members, people(1500, 2), SCHEMA)
    assert FAST.run(tables, seed=1)[KEY].p_value < 0.01


def test_what_the_figures_say_is_counted_right():
    """Golden numbers, counted by hand: four members, two controls."""
    guesses = Guesses(
        right=np.array([True, True, True, False, True, False]),
        sure=np.array([0.9, 0.8, 0.7, 0.6, 0.9, 0.5]),
        baseline_right=np.array([True, False, True, False, True, False]),
        baseline_sure=np.array([0.5, 0.9, 0.8, 0.1, 0.9, 0.2]),
        gain=np.array([0.4, 0.2, 0.0, 0.0, 0.1, 0.0]),
        has_rare=np.array([True, False, False, True, True, False]),
        claims_rare=np.array([True, True, False, False, True, False]),
        learned_from=6,
    )
    member = np.array([True] * 4 + [False] * 2)
    found = attribute_figures("x", guesses, member, recall=(0.5, 1.0), rare=0.1, seed=0)
    assert found["x"].value == 0.75
    assert found["x"].control == 0.5
    assert found["x"].baseline == 0.5
    # of 15 ways to choose the two controls, 9 leave at least three right ones to the members
    assert found["x"].p_value == pytest.approx(9 / 15)
    assert found["x/rare_values"].value == 0.5
    assert found["x/rare_values"].control == 1.0
    assert "2 guesses" in found["x/rare_values"].meaning
    assert "100.0% are right" in found["x/rare_values"].meaning
    assert found["x/precision_gain_at_50_percent"].value == 1.0 - 0.5
    assert found["x/precision_gain_at_100_percent"].value == 0.75 - 0.5
    assert found["x/precision_gain_at_100_percent"].control == 0.0
    for figure in found.values():
        if figure.interval is not None:
            assert figure.interval[0] <= figure.value <= figure.interval[1]


def test_the_gain_of_precision_covers_the_truth():
    """Both guessers are right in 60 %: the true gain at full recall is 0."""
    random = np.random.default_rng(4)
    inside = 0
    for _ in range(300):
        n = 80
        right = random.random(n) < 0.6
        other = np.where(random.random(n) < 0.5, right, random.random(n) < 0.6)
        flags = np.zeros(n, dtype=bool)
        guesses = Guesses(
            right, random.random(n), other, random.random(n), np.zeros(n), flags, flags, n
        )
        member = np.arange(n) < n // 2
        found = attribute_figures("x", guesses, member, recall=(1.0,), rare=0.1, seed=0)
        low, high = found["x/precision_gain_at_100_percent"].interval
        inside += low <= 0 <= high
    assert 0.91 <= inside / 300 <= 0.99


@pytest.mark.parametrize(
    ("released", "members", "controls"),
    [(5, 5, 0), (1, 1, 1), (0, 4, 4), (3, 200, 9), (40, 9, 200), (2, 1, 3)],
)
def test_every_table_gives_a_figure_or_says_why_not(released, members, controls):
    tables = AttackTables.of(people(released, 1), people(members, 2), people(controls, 3), SCHEMA)
    for figure in AttributeInference(trees=5).run(tables, seed=0).values():
        assert figure.computed or figure.because
        assert figure.p_value is None or 0 < figure.p_value <= 1


@pytest.mark.parametrize("column", ["illness", "age", "weight"])
def test_missing_suppressed_and_constant_cells_are_survived(column):
    real = people(60, 2)
    for cells in (pl.lit(None), pl.lit("*"), pl.lit("same")):
        released = people(60, 1).with_columns(cells.alias(column))
        tables = AttackTables.of(released, real, people(60, 3), SCHEMA)
        for figure in AttributeInference(trees=5).run(tables, seed=0).values():
            assert figure.computed or figure.because


def test_absent_secrets_are_said_to_be_absent():
    tables = attacked(people(50, 1), n=50)
    absent = AttributeInference(columns=("shoe size",)).run(tables, seed=0)
    assert "shoe size" in absent["attribute_inference/shoe size"].because
    bare = Schema(quasi_identifiers={"age": None}, rest="other")
    tables = AttackTables.of(people(9, 1), people(9, 2), people(9, 3), bare)
    assert not AttributeInference().run(tables, seed=0)["attribute_inference"].computed


def test_results_depend_on_neither_order_nor_names_nor_types():
    released, members, controls = people(200, 1), people(200, 1), people(150, 2)
    plain = FAST.run(AttackTables.of(released, members, controls, SCHEMA), seed=3)

    def disguise(table, seed):
        renamed = table.with_columns(
            pl.col("illness").replace({"gout": "g\"o'ut ü"}).cast(pl.Categorical),
            pl.col("age").cast(pl.Float64),
        )
        return renamed.sample(fraction=1, shuffle=True, seed=seed).select(reversed(table.columns))

    hidden = [disguise(table, seed) for seed, table in enumerate((released, members, controls))]
    again = FAST.run(AttackTables.of(*hidden, SCHEMA), seed=3)
    assert {key: one.value for key, one in plain.items()} == {
        key: one.value for key, one in again.items()
    }


def test_labels_play_no_part_in_the_scores():
    first, second = people(80, 1), people(80, 2)
    released = people(100, 3)
    tables = AttackTables.of(released, first, second, SCHEMA)
    swapped = replace(tables, member=~tables.member)
    for one, other in zip(
        scores(tables, "illness", seed=1), scores(swapped, "illness", seed=1), strict=True
    ):
        assert np.array_equal(one, other)


def test_people_are_limited_and_all_rows_serve_as_baseline():
    tables = attacked(people(300, 1), n=300)
    some = AttributeInference(people=40, trees=5).run(tables, seed=0)
    assert some[KEY].attacks == 80
    assert len(guess(tables, "illness", FAST, seed=0).right) == 600


def test_many_secrets_share_rows_and_people():
    released, members, controls = (
        pl.concat([people(6_000, seed + part) for part in (0, 50)]) for seed in (1, 2, 3)
    )
    tables = AttackTables.of(released, members, controls, SCHEMA)
    one = AttributeInference(trees=5, columns=("illness",)).run(tables, seed=0)[KEY]
    assert "trained on 10,000 released rows" in one.meaning
    assert one.attacks == 20_000
    twenty = AttributeInference(trees=5, columns=("illness", *["gone"] * 39)).run(tables, seed=0)
    assert "trained on 2,000 released rows" in twenty[KEY].meaning
    assert twenty[KEY].attacks == 5_000


def test_wrong_settings_are_refused():
    with pytest.raises(PlanError, match="recall"):
        AttributeInference(recall=(0.0,))


CELLS = st.lists(
    st.tuples(
        st.one_of(st.none(), st.sampled_from(["*", "1", "2", "7", "[1, 2]", "[0, 9]", "[3, 4]"])),
        st.one_of(st.none(), st.sampled_from(["*", "a", "b", "{a, b}", "{b, c}"])),
    ),
    min_size=1,
    max_size=12,
)
REAL = pl.DataFrame(
    {"number": [0, 1, 2, 2, 7, 9, None], "letter": ["a", "a", "b", "c", "c", "e", None]}
)


@settings(max_examples=60, deadline=None)
@given(CELLS, st.integers(0, 2**31))
def test_what_is_drawn_is_in_the_set(rows, seed):
    released = pl.DataFrame(rows, schema={"number": pl.String, "letter": pl.String}, orient="row")
    tables = AttackTables.of(released, REAL, REAL, Schema(rest="other", sensitive=["letter"]))
    for column in tables.columns:
        filled = fill(column, np.random.default_rng(seed))
        for row, drawn in enumerate(filled.released):
            if column.kind == "number":
                low, high = column.low[row], column.high[row]
                assert (np.isnan(low) and np.isnan(drawn)) or low <= drawn <= high
            elif column.covers is not None:
                assert column.covers[column.released[row], int(drawn)]
            else:
                assert column.released[row] in (-2, int(drawn))
                assert 0 <= drawn < column.values


def test_sets_are_filled_as_often_as_real_people_have_the_values():
    real = pl.DataFrame({"letter": ["a"] * 30 + ["b"] * 10 + ["c"] * 60})
    released = pl.DataFrame({"letter": ["{a, b}"] * 4000})
    tables = AttackTables.of(released, real, None, Schema(quasi_identifiers=["letter"]))
    column = tables.columns[0]
    drawn = fill(column, np.random.default_rng(0)).released
    shares = np.sort(np.unique(drawn, return_counts=True)[1]) / 4000
    assert shares == pytest.approx([0.25, 0.75], abs=0.03)


def test_a_number_is_guessed_in_equally_filled_bins_and_missing_is_one():
    frame = pl.DataFrame({"weight": [*np.arange(100.0), None, None]})
    tables = AttackTables.of(frame, frame, None, Schema(sensitive=["weight"]))
    random = np.random.default_rng(0)
    classes = classes_of_secret(tables.columns[0], random, most=30, bins=4)
    assert sorted(np.bincount(classes.real)) == [2, 25, 25, 25, 25]
    few = classes_of_secret(tables.columns[0], random, most=2, bins=4)
    assert few.count == 3
    assert sorted(np.bincount(few.real)) == [25, 25, 52]


def test_ranks_do_not_depend_on_the_unit():
    frame = pl.DataFrame({"weight": [3.0, 1.0, None, 3.0, 8.5]})
    pounds = frame * 2.20462
    found = []
    for one in (frame, pounds):
        tables = AttackTables.of(one, one, None, Schema(quasi_identifiers=["weight"]))
        found.append(ranks(fill(tables.columns[0], np.random.default_rng(0))))
    assert np.array_equal(found[0], found[1])
    assert found[0][0].tolist() == [0.0, 1.0, 1.0, 2.0, -1.0]


@pytest.mark.slow
def test_the_level_is_kept_when_labels_are_exchanged():
    """400 exchanges of labels on each of two leaking releases; 3 to 7 % may reject."""
    for n, m in ((300, 300), (600, 60)):
        tables = AttackTables.of(people(n, 1), people(n, 1), people(m, 2), SCHEMA)
        right, gain = scores(tables, "illness", seed=1, attack=FAST)
        random = np.random.default_rng(5)
        rejected = np.zeros(2)
        for draw in range(400):
            shuffled = random.permutation(n + m)
            ours, others = shuffled[:n], shuffled[n:]
            rejected += [
                excess(right[ours], right[others], seed=draw).p_even < 0.05,
                top_excess(gain[ours], gain[others], seed=draw).p_even < 0.05,
            ]
        assert (rejected / 400 >= 0.025).all()
        assert (rejected / 400 <= 0.08).all()
