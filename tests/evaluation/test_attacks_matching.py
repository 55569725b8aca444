import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kstest

from sfumato.evaluation.attacks.dependence import Cells, DependenceTree, number_bins
from sfumato.evaluation.attacks.highest_scores import highest_scores
from sfumato.evaluation.attacks.leaked_share import leaked_share
from sfumato.evaluation.attacks.linkage import shown_cells
from sfumato.evaluation.attacks.matching import Matcher, scores
from sfumato.evaluation.attacks.membership_by_matching import MembershipByMatching
from sfumato.evaluation.attacks.tables import AttackTables
from sfumato.table import Hierarchy, Schema

KINDS = {"word": pl.String, "site": pl.String, "sex": pl.String, "lab": pl.Float64}
# the range of the numbers is 8, the noise 0.08, so that hundredths lie on the grid of the density
NUMBERS = st.one_of(st.none(), st.sampled_from([0.0, 0.02, 0.08, 0.31, 0.33, 4.0, 7.9, 8.0]))
CELLS = st.tuples(
    st.sampled_from(["a", "b", "c", None]),
    st.sampled_from(["x", "y"]),
    st.sampled_from("mf"),
    NUMBERS,
)
ROWS = st.lists(CELLS, min_size=1, max_size=8)
ENDS = [("a", "x", "m", 0.0), ("b", "y", "f", 8.0)]


def frame(rows):
    return pl.DataFrame(rows, schema=KINDS, orient="row")


def brute_scores(tables, matcher):
    """Return each person's score, pair by pair, from the definition."""
    people, pooled = len(tables.member), len(tables.member) + tables.rows
    columns = tables.columns
    together = np.exp(_dependence(tables, matcher))
    ratio = np.zeros((tables.rows, people))
    for row in range(tables.rows):
        for person in range(people):
            kept, redrawn, exact, noisy, differ = 1.0, 1.0, 1.0, 1.0, 0
            for column in columns:
                if column.kind == "category":
                    label = column.released[row]
                    if label != column.real[person]:
                        kept, redrawn, differ = 0.02 * kept, 0.25 * redrawn, differ + 1
                        continue
                    others = (column.released == label).sum() + (column.real == label).sum() - 1
                    share = max(others, 0.5) / pooled
                    kept *= 0.98 / share + 0.02
                    redrawn *= 0.75 / share + 0.25
                    continue
                shown, had = column.low[row], column.numbers[person]
                every = np.concatenate([column.low, column.numbers])
                if math.isnan(shown) and math.isnan(had):
                    factor = 0.995 / (np.isnan(every).sum() / pooled) + 0.005
                    exact, noisy = exact * factor, noisy * factor
                    continue
                away = abs(shown - had) / (0.01 * column.width)
                known = every[~np.isnan(every)]
                near = np.abs(known - shown) / (0.01 * column.width)
                near = near[near <= 4 + 1e-9]
                density = max((np.exp(-0.5 * near**2).sum() - 1) / pooled, 0.5 / pooled)
                moved = (
                    np.exp(-0.5 * ((int((away + 1e-7) * 16) + 0.5) / 16) ** 2)
                    if away <= 4 + 1e-7
                    else 0.0
                )
                moved = moved * 0.995 / density + 0.005
                if shown == had:
                    tie = 0.995 / (max((known == shown).sum() - 1, 0.5) / pooled) + 0.005
                    exact, noisy = exact * tie, noisy * (0.05 * tie + 0.95 * moved)
                    continue
                exact *= 0.005
                noisy *= moved
                differ += not away <= 4 + 1e-7
            if differ <= matcher.most:
                ratio[row, person] = (kept + redrawn) * (exact + noisy) / 4 / together[row]
    others = ratio.sum(axis=1, keepdims=True) - ratio
    return (ratio / (0.5 + 0.5 * others / max(people - 1, 1))).sum(axis=0)


def _dependence(tables, matcher):
    """Return how much likelier each released row is than its cells, from counts of pairs."""
    codes = []
    for column in tables.columns:
        if column.kind == "category":
            codes.append(np.concatenate([column.released, column.real]))
        else:
            every = np.concatenate([column.low, column.numbers])
            codes.append(number_bins(every, np.sort(every[~np.isnan(every)])))
    total, rows = np.zeros(tables.rows), len(codes[0])
    for a, b in matcher.tree.pairs:
        for row in range(tables.rows):
            left = (codes[a] == codes[a][row]).sum() - 1
            right = (codes[b] == codes[b][row]).sum() - 1
            both = ((codes[a] == codes[a][row]) & (codes[b] == codes[b][row])).sum() - 1
            total[row] += math.log((both + 0.3) / (left * right / (rows - 1) + 0.3))
    return total


@settings(max_examples=60, deadline=None)
@given(ROWS, ROWS, ROWS)
def test_scores_are_those_of_the_definition(released, members, controls):
    tables = AttackTables.of(frame(released + ENDS), frame(members), frame(controls), Schema())
    matcher = Matcher.of(tables)
    totals = matcher.match(tables).totals
    np.testing.assert_allclose(totals, brute_scores(tables, matcher), rtol=1e-9, atol=1e-12)


@settings(max_examples=25, deadline=None)
@given(ROWS, ROWS, ROWS)
def test_new_rows_find_those_whom_released_rows_find(released, members, controls):
    tables = AttackTables.of(frame(released + ENDS), frame(members), frame(controls), Schema())
    matcher = Matcher.of(tables)
    starts, persons, ratios = matcher.match_each(shown_cells(tables))
    assert len(starts) == tables.rows + 1
    assert starts[-1] == len(persons) == len(ratios)
    whom = matcher.match(tables).totals > 0.05 * tables.rows
    assert set(np.flatnonzero(whom)) <= set(persons)


def test_labels_names_order_and_units_do_not_move_scores():
    random = np.random.default_rng(2)
    people = pl.DataFrame(
        {
            "lab": np.round(random.normal(size=600), 2),
            "site": random.choice(list("abcdef"), 600),
            "age": random.integers(20, 90, 600),
            "sex": random.choice(["m", "f"], 600),
        }
    )
    parts = people[:200], people[200:400], people[400:]
    first = np.sort(scores(AttackTables.of(*parts, Schema())))
    swapped = AttackTables.of(parts[0], parts[2], parts[1], Schema())
    np.testing.assert_allclose(np.sort(scores(swapped)), first, atol=1e-9)

    def told_otherwise(table):
        return table.select(
            pl.col("sex").replace({"m": "it's", "f": 'a "b"'}).alias("sex"),
            (1000 - 10 * pl.col("age")).alias("age"),
            (pl.col("lab") * 1024).alias("lab"),
            pl.col("site").cast(pl.Categorical),
        )

    other = [told_otherwise(part.sample(fraction=1, shuffle=True, seed=1)) for part in parts]
    again = np.sort(scores(AttackTables.of(*other, Schema())))
    np.testing.assert_allclose(again, first, atol=1e-6)


def test_pairs_of_a_tree_by_hand():
    first = np.array([0, 0, 1, 1, 1])
    second = np.array([0, 0, 1, 1, 0])
    alone = np.log(np.full(5, 0.5))
    cells = Cells((first, second), (alone, alone), (alone, alone))
    tree = DependenceTree.learn(cells)
    assert tree.pairs == ((1, 0),)
    found = tree.log_dependence(cells, itself=1.0)[:, 0]
    # the first row: 1 other with both cells; 1 and 2 others with each, of 4
    assert found[0] == pytest.approx(math.log(1.3 / (1 * 2 / 4 + 0.3)))
    assert found[4] == pytest.approx(math.log(0.3 / (2 * 2 / 4 + 0.3)))
    twice = tree.beside(cells, 1.0)
    assert twice.rows == 10
    assert (twice.joint[0] == 2 * tree.joint[0]).all()
    whole = tree.log_probability(cells, without_itself=True)
    np.testing.assert_allclose(whole, 2 * math.log(0.5) + found)


def test_bins_of_numbers_turn_with_their_sign():
    values = np.array([3.0, 1, 1, 2, 7, np.nan, 5, 5, 9, 4])
    known = np.sort(values[~np.isnan(values)])
    turned = number_bins(-values, np.sort(-known), 5)
    np.testing.assert_array_equal(
        number_bins(values, known, 5)[~np.isnan(values)], 4 - turned[~np.isnan(values)]
    )
    assert number_bins(values, known, 5)[5] == 5


def population(rows, seed):
    """Return people of 12 columns that hang together."""
    random = np.random.default_rng(seed)
    age = random.normal(50, 18, rows).round()
    income = np.exp(random.normal(10, 0.6, rows)).round(-1)
    return pl.DataFrame(
        {
            "age": age,
            "income": income,
            "weight": (70 + 0.2 * age + random.normal(0, 12, rows)).round(1),
            "region": random.choice([f"region {i}" for i in range(20)], rows),
            "job": random.choice([f"job {i}" for i in range(30)], rows),
            **{
                f"sick {i}": np.where(
                    random.random(rows) < 0.1 + 0.004 * np.clip(age, 0, 99), "y", "n"
                )
                for i in range(6)
            },
            "lab": pl.Series(np.where(random.random(rows) < 0.3, np.nan, random.normal(size=rows)))
            .round(2)
            .fill_nan(None),
        }
    )


def changed(rows, everybody, seed):
    """Return rows with numbers moved by 1 % of the range and two categories redrawn."""
    random = np.random.default_rng(seed)
    names = [name for name in rows.columns if rows[name].dtype == pl.String]
    redrawn = random.random((rows.height, len(names))).argsort(axis=1) < 2
    out = {}
    for name in rows.columns:
        if name in names:
            other = everybody[name].sample(rows.height, with_replacement=True, seed=seed).to_numpy()
            out[name] = np.where(redrawn[:, names.index(name)], other, rows[name].to_numpy())
        else:
            width = everybody[name].max() - everybody[name].min()
            noise = random.normal(0, 0.01 * width, rows.height)
            out[name] = rows[name] + pl.Series(noise)
    return pl.DataFrame(out)


def leaking(copies, seed, rows=2_000):
    everybody = population(3 * rows, seed)
    members, controls = everybody[:rows], everybody[rows : 2 * rows]
    released = everybody[2 * rows + copies :]
    if copies:
        released = pl.concat([released, changed(members[:copies], everybody, seed)])
    return AttackTables.of(released, members, controls, Schema())


def test_changed_copies_are_found_and_fresh_people_are_not():
    found = MembershipByMatching(plantings=0).run(leaking(20, 1), seed=1)
    assert found["membership/matching/top"].p_value < 0.001
    assert found["membership/matching/tpr_at_0.1_percent"].value > 0.005
    low, high = found["leaked_share"].interval
    assert 0 < low <= 0.01 <= high
    found = MembershipByMatching(plantings=0).run(leaking(0, 1), seed=1)
    assert found["membership/matching/top"].p_value > 0.05
    assert found["leaked_share"].interval[0] == 0
    assert "planting/noisy" not in found


@pytest.mark.parametrize("copies", [10, 20, 100, 400])
def test_the_share_of_copies_is_estimated(copies):
    everybody = population(6_000, 4)
    members, controls = everybody[:2_000], everybody[2_000:4_000]
    fresh = everybody[4_000 + copies :]
    found = []
    for rows in (members[:copies], changed(members[:copies], everybody, 4)):
        tables = AttackTables.of(pl.concat([fresh, rows]), members, controls, Schema())
        matcher = Matcher.of(tables)
        found.append(leaked_share(tables, matcher, matcher.match(tables), seed=1))
    verbatim, noisy = found
    assert verbatim.value == pytest.approx(copies / 2_000, rel=0.2)
    # a few changed copies are few facts: their number is known no better than the interval says
    assert noisy.interval[0] <= copies / 2_000 <= noisy.interval[1]
    if copies >= 100:
        assert noisy.value == pytest.approx(copies / 2_000, rel=0.2)


@pytest.mark.slow
def test_the_share_of_copies_never_falls_as_copies_come_in():
    found = []
    for copies in (0, 10, 20, 40, 100, 200, 400):
        tables = leaking(copies, 5)
        matcher = Matcher.of(tables)
        found.append(leaked_share(tables, matcher, matcher.match(tables), seed=1).value)
    assert found == sorted(found)


def disguised_parts(controls):
    random = np.random.default_rng(0)
    rows = 2_000 + controls
    everybody = pl.DataFrame(
        {
            "word": np.array(["it's", "o'er", "Müller", 'a "b"'])[random.integers(4, size=rows)],
            "born": pl.Series(random.integers(0, 20_000, rows)).cast(pl.Date),
            "lab": pl.Series(
                [None if random.random() < 0.6 else round(random.normal(), 2) for _ in range(rows)],
                dtype=pl.Float64,
            ),
            "site": random.integers(0, 50, rows),
        }
    )
    return everybody[:2_000], everybody[2_000:]


@pytest.mark.parametrize("controls", [100, 20_000])
def test_a_copy_in_disguise_is_found(controls):
    members, others = disguised_parts(controls)
    released = members.sample(fraction=1, shuffle=True, seed=1).select(sorted(members.columns))
    released = released.with_columns(pl.col("word").cast(pl.Categorical))
    tables = AttackTables.of(released, members, others, Schema())
    found = MembershipByMatching(plantings=0).run(tables, seed=1)
    assert found["leaked_share"].value > 0.9
    if controls > 2_000:
        # with 100 controls, 95 of 100 of the highest are members by chance: ranks cannot tell
        assert found["membership/matching/top"].p_value < 1e-3


def test_generalized_copies_are_matched_as_sets():
    random = np.random.default_rng(6)
    everybody = pl.DataFrame(
        {
            "age": random.integers(0, 80, 1_200).astype(str),
            **{f"answer {i}": random.choice(list("abcde"), 1_200) for i in range(9)},
        }
    )
    steps = [[str(age), f"{age // 10}0s", "*"] for age in range(80)]
    schema = Schema(quasi_identifiers={"age": Hierarchy.lines(steps)})
    members, controls = everybody[:400], everybody[400:800]
    released = pl.concat([members[:80], everybody[880:]]).with_columns(
        (pl.col("age").cast(pl.Int64) // 10).cast(pl.String) + "0s"
    )
    tables = AttackTables.of(released, members, controls, schema)
    assert tables.by_name["age"].covers is not None or tables.by_name["age"].kind == "number"
    score = scores(tables)
    assert highest_scores(score, tables.member, seed=1).p_value < 0.001


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 4), min_size=4, max_size=12), st.data())
def test_the_highest_scores_have_the_p_value_of_all_labellings(values, data):
    from itertools import combinations

    members = data.draw(st.integers(1, len(values) - 1))
    scores_, people = np.array(values, dtype=float), len(values)
    depth = people - 1
    weights = np.zeros(people)
    order = np.argsort(-scores_, kind="stable")
    weights[order[:depth]] = np.log((depth + 1) / np.arange(1, depth + 1))
    reached = scores_ >= scores_[order[depth - 1]]
    for value in set(values):
        tied = (scores_ == value) & reached
        weights[tied] = weights[tied].mean() if tied.any() else 0
    weights[~reached] = 0
    sums = [weights[list(who)].sum() for who in combinations(range(people), members)]
    seen = weights[:members].sum()
    expected = np.mean([one >= seen - 1e-9 for one in sums])
    member = np.arange(people) < members
    assert highest_scores(scores_, member, seed=1).p_value == pytest.approx(expected, abs=0.025)


EMPTY = pl.DataFrame({"a": [1], "b": ["x"]}).clear()
ONE = pl.DataFrame({"a": [1], "b": ["x"]})
MISSING = pl.DataFrame({"a": [None] * 2, "b": [None] * 2}, schema={"a": pl.Int64, "b": pl.String})


@pytest.mark.parametrize("released", [EMPTY, ONE, MISSING])
@pytest.mark.parametrize("members", [EMPTY, ONE, MISSING])
@pytest.mark.parametrize("controls", [EMPTY, ONE, MISSING])
def test_any_tables_give_figures(released, members, controls):
    found = MembershipByMatching(plantings=4).run(
        AttackTables.of(released, members, controls, Schema()), seed=1
    )
    assert "membership/matching/vulnerable/tpr_at_0.1_percent" in found
    assert "planting/outliers" in found
    whole = released.height and members.height and controls.height
    assert found["membership/matching/top"].computed is bool(whole)
    assert all(figure.computed or figure.because for figure in found.values())


def test_of_too_many_people_some_are_drawn():
    found = MembershipByMatching(plantings=0, comparisons=1).run(leaking(0, 1), seed=1)
    assert found["membership/matching/top"].attacks == 2_000


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("members", [200, 1_000, 1_900])
def test_the_level_is_kept_whoever_is_a_member(members):
    score = scores(leaking(20, 1, rows=1_000))
    p_values = []
    for seed in range(400):
        random = np.random.default_rng(seed)
        member = np.zeros(2_000, bool)
        member[random.choice(2_000, members, replace=False)] = True
        p_values.append(highest_scores(score, member, seed=seed).p_even)
    assert kstest(p_values, "uniform").pvalue > 0.001
    assert 0.02 <= np.mean(np.array(p_values) <= 0.05) <= 0.08
