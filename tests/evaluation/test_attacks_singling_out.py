import math
from itertools import combinations
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sfumato as sf
from sfumato.errors import PlanError
from sfumato.evaluation.attacks.coded_cells import CodedCells
from sfumato.evaluation.attacks.isolation_counts import IsolatedPeople, recount
from sfumato.evaluation.attacks.predicates import (
    Predicates,
    find,
    random_conjunctions,
    rarest_cells,
    values_and_ends,
    whole_records,
)
from sfumato.evaluation.attacks.singling_out import SinglingOut
from sfumato.evaluation.attacks.tables import STAR, AttackTables

DATA = Path(__file__).parents[1] / "data"
KINDS = {"age": pl.Int64, "city": pl.String, "job": pl.String, "dose": pl.Float64}
JOBS = sf.Hierarchy.mapping({"p": ["J", "*"], "q": ["J", "*"], "r'": ["K", "*"]})
SCHEMA = sf.Schema(quasi_identifiers={"age": None, "city": None, "job": JOBS}, sensitive=["dose"])
# every value is known, so that every column can be compared
KNOWN = [(20, "a", "p", 0.5), (25, "b", "q", 1.5), (47, "ç", "r'", None)]
REAL = st.lists(
    st.tuples(
        st.sampled_from([20, 25, 30, 31, 47, None]),
        st.sampled_from(["a", "b", "ç", None]),
        st.sampled_from(["p", "q", "r'"]),
        st.sampled_from([0.5, 1.5, 1.5, 2.0, None]),
    ),
    min_size=2,
    max_size=8,
)
RELEASED = st.lists(
    st.tuples(
        st.sampled_from(["20", "25", "47", "[20, 30)", "[25, 50]", ">=30", "*", None]),
        st.sampled_from(["a", "b", "ç", "{a, b}", "{a, ç}", "*", None]),
        st.sampled_from(["p", "r'", "J", "K", "*"]),
        st.sampled_from([0.5, 1.5, 2.0, 9.0, None]),
    ),
    min_size=1,
    max_size=8,
)


def messy(released, members, controls):
    """Return tables with ties, missing cells, stars, intervals, levels of a hierarchy and sets."""
    shown = {**KINDS, "age": pl.String}
    return AttackTables.of(
        pl.DataFrame(released, schema=shown, orient="row"),
        pl.DataFrame([*KNOWN, *members], schema=KINDS, orient="row"),
        pl.DataFrame(controls, schema=KINDS, orient="row"),
        SCHEMA,
    )


def people(n, seed, missing=0.0):
    random = np.random.default_rng(seed)
    age = random.normal(50, 18, n).round()
    table = {
        "age": age,
        "weight": (70 + 0.2 * age + random.normal(0, 12, n)).round(1),
        "lab": random.normal(size=n).round(2),
    }
    for name, values in table.items():
        table[name] = np.where(random.random(n) < missing, np.nan, values)
    frame = pl.DataFrame(table).fill_nan(None)
    texts = {
        "region": random.choice(["north", "south", "east", "west"], n),
        "job": random.choice(["a", "b", "c", "d", "e"], n, p=[0.6, 0.2, 0.1, 0.07, 0.03]),
    }
    return frame.with_columns(**{name: pl.Series(values) for name, values in texts.items()})


def tables_of(released, members, controls, **options):
    schema = sf.Schema(rest="other").check(members)
    return AttackTables.of(released, members, controls, schema, **options)


def holds(column, cells, place, released, low, high, row):
    """Return whether a row satisfies an atom, by the words of the definition and no index.

    A released row does if everything that its cell stands for does.
    """
    if column.kind == "number":
        known = np.concatenate([column.low, column.high, column.numbers])
        values = sorted(set(known[np.isfinite(known)]))
        ends = [-math.inf, *values, math.inf]
        one, other = (column.low[row], column.high[row]) if released else (column.numbers[row],) * 2
        if math.isnan(one):
            return low == len(values) + 1
        if low == len(values) + 1:
            return False
        return ends[low + 1] <= one and other <= ends[high + 1]
    if column.covers is None:
        if released:
            return column.released[row] != STAR and low <= column.released[row] <= high
        return low <= column.real[row] <= high
    if cells.real.table_starts[place] >= 0:
        wanted = set(np.flatnonzero(column.covers[np.unique(column.released)[low]]))
    else:
        wanted = set(range(low, high + 1))
    if not released:
        return column.real[row] in wanted
    stands_for = set(np.flatnonzero(column.covers[column.released[row]]))
    return bool(stands_for) and stands_for <= wanted


def satisfying(tables, cells, predicates, number, released):
    atoms = range(predicates.starts[number], predicates.starts[number + 1])
    rows = range(tables.rows if released else len(tables.member))
    return [
        row
        for row in rows
        if all(
            holds(
                tables.columns[predicates.columns[atom]],
                cells,
                predicates.columns[atom],
                released,
                predicates.lows[atom],
                predicates.highs[atom],
                row,
            )
            for atom in atoms
        )
    ]


def all_kinds(cells, seed):
    random = np.random.default_rng(seed)
    return {
        "univariate": values_and_ends(cells, rarest=2, most=100, random=random),
        "two": random_conjunctions(cells, columns=2, most=100, tries=40, random=random),
        "three": random_conjunctions(cells, columns=3, most=100, tries=40, random=random),
        "rare": rarest_cells(cells, weight=0.9, most=100),
        "records": whole_records(cells, most=100, random=random),
    }


@given(released=RELEASED, members=REAL, controls=REAL, seed=st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_fast_equals_brute_force(released, members, controls, seed):
    tables = messy(released, members, controls)
    every = np.arange(len(tables.member))
    cells = CodedCells.of(tables, every, tolerance=0.1)
    for kind, predicates in all_kinds(cells, seed).items():
        many = find(cells.real, predicates, most=50, group=tables.member)
        few = find(cells.real, predicates, most=1, group=tables.member)
        for number in range(len(predicates)):
            shown = satisfying(tables, cells, predicates, number, released=True)
            assert len(shown) == 1 or kind == "univariate"
            found = satisfying(tables, cells, predicates, number, released=False)
            listed = many.listed[number, : many.counts[number]]
            assert sorted(listed) == found
            alone = [sum(tables.member[found]) == 1, sum(~tables.member[found]) == 1]
            assert many.alone[number].tolist() == few.alone[number].tolist() == alone
        assert len(predicates.distinct()) == len(predicates)


@given(released=RELEASED, members=REAL, controls=REAL)
@settings(max_examples=25, deadline=None)
def test_a_whole_record_fits_whom_its_cells_could_stand_for(released, members, controls):
    tables = messy(released, members, controls)
    every = np.arange(len(tables.member))
    cells = CodedCells.of(tables, every)
    predicates = whole_records(cells, most=100, random=np.random.default_rng(1))
    matches = find(cells.real, predicates, most=50)
    rows = np.flatnonzero(cells.told.any(axis=1))
    columns = np.where(cells.told[rows], np.arange(cells.told.shape[1]), -1)
    side = cells.released
    every_row = Predicates.from_rows(rows, columns, side.low, side.high)
    fit_one = [
        len(satisfying(tables, cells, every_row, number, released=True)) == 1
        for number in range(len(rows))
    ]
    assert sorted(predicates.source) == rows[fit_one].tolist()
    for number, row in enumerate(predicates.source):
        hollow = cells.hollow[row]
        fits = np.logical_and.reduce(
            [
                column.stands_for(np.array([row]), every)
                for place, column in enumerate(tables.columns)
                if not hollow[place]
            ]
        )
        assert (
            sorted(matches.listed[number, : matches.counts[number]])
            == np.flatnonzero(fits).tolist()
        )


def test_random_conjunctions_are_one_sided_by_the_median():
    members, controls = people(300, 1), people(300, 2)
    released = people(300, 3)
    tables = tables_of(released, members, controls)
    cells = CodedCells.of(tables, np.arange(600))
    random = np.random.default_rng(1)
    predicates = random_conjunctions(cells, columns=3, most=50, tries=20_000, random=random)
    assert len(predicates) == 50
    shown = tables.released_frame
    for number in range(50):
        atoms = slice(predicates.starts[number], predicates.starts[number + 1])
        condition = pl.lit(value=True)
        for name in (cells.names[place] for place in predicates.columns[atoms]):
            value = shown[name][int(predicates.source[number])]
            if shown[name].dtype.is_numeric() and value > shown[name].median():
                condition &= pl.col(name) >= value
            elif shown[name].dtype.is_numeric() and value < shown[name].median():
                condition &= pl.col(name) <= value
            else:
                condition &= pl.col(name) == value
        assert shown.filter(condition).height == 1
        fits = tables.real_frame.select(condition.alias("fits"))["fits"].to_numpy()
        matches = find(cells.real, predicates.take(slice(number, number + 1)), most=600)
        assert sorted(matches.listed[0, : matches.counts[0]]) == np.flatnonzero(fits).tolist()


def test_p_value_is_that_of_all_labels():
    tables = tables_of(people(40, 1), people(4, 2), people(4, 3))
    attack = SinglingOut(columns=(2,), tries=3_000)
    found = attack.isolated_people(tables, seed=1)
    place = found.families.index("singling_out/multivariate/2")

    def gain(members):
        total = 0
        for number in np.flatnonzero(found.family == place):
            who = found.people[found.starts[number] : found.starts[number + 1]]
            inside = np.isin(who, members).sum()
            total += int(inside == 1) - int(len(who) - inside == 1)
        return total

    by_labels = np.array([gain(chosen) for chosen in combinations(range(8), 4)])
    assert by_labels.any()
    seen = gain(np.flatnonzero(tables.member))
    counted = recount(found, tables.member, seed=5)["singling_out/multivariate/2"]
    assert counted.value * counted.predicates == pytest.approx(seen)
    # 2,048 draws or more: four standard errors
    assert counted.p_value == pytest.approx((by_labels >= seen).mean(), abs=0.045)


def test_a_long_list_isolates_nobody_but_the_truth_is_still_told():
    members = pl.DataFrame({"x": ["a"] * 1 + ["b"] * 99, "y": [1.0] * 100})
    controls = pl.DataFrame({"x": ["a"] * 60 + ["b"] * 40, "y": [1.0] * 100})
    tables = tables_of(pl.DataFrame({"x": ["a", "b", "b"], "y": [1.0] * 3}), members, controls)
    found = SinglingOut(columns=(2,)).isolated_people(tables, seed=1)
    counted = recount(found, tables.member, seed=1)["singling_out/records"]
    assert counted.predicates == 1
    assert (counted.members, counted.controls) == (1.0, 0.0)


TEXTS = ["O'Brien", 'say "x"', "Zoë", "naïve; DROP", "日本", "a,b", "{c}", "x = 'y'", "%s", ""]


def disguised(n, seed):
    """Return people with every string, dates and 60 % missing cells."""
    random = np.random.default_rng(seed)
    days = pl.Series(random.integers(0, 20_000, n)).cast(pl.Int32).cast(pl.Date)
    number = np.where(random.random(n) < 0.6, np.nan, random.normal(size=n))
    words = random.choice(TEXTS, n)
    return pl.DataFrame(
        {
            "patient's name": pl.Series(words),
            "born on": days,
            "lab; value": pl.Series(number).fill_nan(None),
            "ward": pl.Series(random.choice(TEXTS[:4], n)).cast(pl.Categorical),
            "seen": pl.Series(random.integers(0, 10**9, n)).cast(pl.Datetime("ms")),
        }
    )


@pytest.mark.parametrize(("members", "controls"), [(400, 400), (1_000, 50), (100, 1_000)])
def test_a_copy_in_disguise_is_evidence(members, controls):
    original = disguised(members, 1)
    copy = original.sample(fraction=1.0, shuffle=True, seed=3)
    copy = copy.with_columns(pl.col("ward").cast(pl.String), pl.col("born on").cast(pl.Datetime))
    copy = copy.select(reversed(copy.columns))
    tables = tables_of(copy, original, disguised(controls, 2))
    figures = SinglingOut(predicates=1_000_000, tries=5_000).run(tables, seed=1)
    for key in ("singling_out/records", "singling_out/rare", "singling_out/univariate"):
        figure = figures[key]
        assert figure.p_value <= 0.01, key
        # the share of what was built, not of the million that were asked for
        assert figure.value > 0.8 * min(1.0, controls / members), key
        assert figure.attacks < 6 * members
    assert figures["singling_out/records"].control < 0.01
    assert figures["singling_out/records"].p_value <= 0.001


def test_fresh_people_are_no_evidence_and_twenty_copies_are():
    members, controls, fresh = people(2_000, 1), people(2_000, 2), people(2_000, 3)
    attack = SinglingOut(columns=(3,), predicates=500, tries=20_000)
    for figure in attack.run(tables_of(fresh, members, controls), seed=1).values():
        assert figure.p_value > 0.01
        assert figure.interval[0] <= figure.control <= figure.interval[1]
    noise = fresh.with_columns(pl.all().shuffle(seed=4))
    leaked = pl.concat([noise[20:], members[:20]])
    figure = attack.run(tables_of(leaked, members, controls), seed=1)["singling_out/records"]
    assert figure.p_value < 0.0005
    assert figure.value == pytest.approx(20 / figure.attacks, rel=0.2)
    assert 0 < figure.value - figure.control <= figure.upper < 2 * figure.value


def test_noisy_copies_of_outliers_are_found_by_their_rare_cells():
    random = np.random.default_rng(5)
    members, controls, fresh = people(1_000, 1), people(1_000, 2), people(1_000, 3)
    odd = np.arange(12)
    outliers = members[:12].with_columns(
        age=pl.Series(110.0 + 3 * odd), weight=pl.Series(150.0 + 7 * odd)
    )
    members = pl.concat([outliers, members[12:]])
    copies = outliers.with_columns(
        age=pl.col("age") + pl.Series(random.choice([-1.0, 1.0], 12)),
        weight=pl.col("weight") + pl.Series(random.normal(0, 1, 12)),
        region=pl.Series(random.choice(["north", "south"], 12)),
    )
    tables = tables_of(pl.concat([fresh[12:], copies]), members, controls)
    attack = SinglingOut(columns=(), predicates=100)
    figures = attack.run(tables, seed=1)
    assert figures["singling_out/rare"].p_value < 0.01
    assert figures["singling_out/records"].p_value > 0.05


def same(figures, others):
    assert figures.keys() == others.keys()
    for key, figure in figures.items():
        assert figure == others[key], key


def test_results_do_not_depend_on_how_the_tables_are_kept():
    members, controls = people(300, 1, missing=0.3), people(150, 2, missing=0.3)
    released = pl.concat([people(200, 3, missing=0.3), members[:40]])
    attack = SinglingOut(columns=(2, 3), tries=4_000)
    expected = attack.run(tables_of(released, members, controls), seed=9)
    assert all(figure.computed for figure in expected.values())

    def changed(change):
        return attack.run(tables_of(*(change(t) for t in (released, members, controls))), seed=9)

    same(expected, changed(lambda t: t.sample(fraction=1.0, shuffle=True, seed=4)))
    same(expected, changed(lambda t: t.select(sorted(t.columns, reverse=True))))
    same(expected, changed(lambda t: t.with_columns(pl.col("job").cast(pl.Categorical))))
    same(expected, changed(lambda t: t.with_columns(pl.col("age").cast(pl.Int16))))
    same(expected, changed(lambda t: t.with_columns(pl.col("weight") * 1000)))
    same(expected, changed(lambda t: t.with_columns(pl.col("weight") * 1.8 + 32)))
    other = pl.format("d'oh \"{}é", "region").alias("region")
    same(expected, changed(lambda t: t.with_columns(other)))
    names = {name: f"it's {place}" for place, name in enumerate(sorted(released.columns))}
    same(expected, changed(lambda t: t.rename(names)))
    again = attack.run(tables_of(released, members, controls), seed=10)
    assert again != expected


@pytest.mark.parametrize(
    ("released", "members", "controls"),
    [
        (people(1, 1), people(1, 2), people(1, 3)),
        (people(5, 1), people(5, 2), people(0, 3)),
        (people(0, 1), people(5, 2), people(5, 3)),
        (people(5, 1), people(0, 2), people(5, 3)),
        (people(50, 1)[:1].select("age"), people(9, 2).select("age"), people(9, 3).select("age")),
        tuple(pl.DataFrame({"x": pl.Series([None] * 4, dtype=pl.String)}) for _ in range(3)),
        tuple(pl.DataFrame({"x": ["same"] * 4, "y": [1] * 4}) for _ in range(3)),
        (
            pl.DataFrame({"x": ["*", "*"]}),
            pl.DataFrame({"x": ["a", "b"]}),
            pl.DataFrame({"x": ["a"]}),
        ),
    ],
)
def test_every_table_gives_figures(released, members, controls):
    figures = SinglingOut(predicates=10_000).run(tables_of(released, members, controls), seed=1)
    assert len(figures) == 6
    for figure in figures.values():
        if figure.computed:
            assert 0 <= figure.value <= 1
            assert figure.attacks > 0
            assert 0 < figure.p_value <= 1
            assert 0 <= figure.detectable <= 1
        else:
            assert figure.because
            assert figure.p_value is None


def test_a_k_anonymous_release_singles_nobody_out_by_its_outlines():
    table = pl.read_csv(DATA / "adult_kanonml.csv.gz", separator=";").sample(900, seed=1)
    names = ["age", "sex", "race", "education"]
    schema = sf.Schema(quasi_identifiers=names, rest="other").check(table.select(names))
    members, controls = table[:600].select(names), table[600:].select(names)
    released = sf.anonymize(members, schema, sf.Mondrian(k=5)).data
    figures = SinglingOut().run(AttackTables.of(released, members, controls, schema), seed=1)
    for key in ("multivariate/2", "multivariate/3", "multivariate/4", "rare", "records"):
        assert not figures[f"singling_out/{key}"].computed
        assert "single" in figures[f"singling_out/{key}"].because or "row" in key or "rare" in key


def test_settings_are_checked():
    with pytest.raises(PlanError, match="predicates"):
        SinglingOut(predicates=0)
    with pytest.raises(PlanError, match="columns"):
        SinglingOut(columns=(1,))


def leaked_release(random, n, share, most, chance):
    """Return who satisfies each predicate where the excess is known to be ``share``.

    Each of n released rows gives 1 to ``most`` predicates. It is a copy of a member with
    probability ``share``, and then nobody else fits; else members and controls fit by chance.
    """
    copied = random.random(n) < share
    source = np.repeat(np.arange(n), random.integers(1, most + 1, n))
    own = copied[source]
    count = len(source)
    by_chance = np.where(own, 0, random.poisson(2 * chance, count))
    number = np.concatenate([np.flatnonzero(own), np.repeat(np.arange(count), by_chance)])
    who = np.concatenate([source[own], random.integers(2 * n, size=by_chance.sum())])
    keys = np.unique(number * (2 * n) + who)
    return IsolatedPeople(
        families=("known",),
        family=np.zeros(count, dtype=np.int64),
        source=source,
        starts=np.searchsorted(keys // (2 * n), np.arange(count + 1)),
        people=keys % (2 * n),
        everybody=2 * n,
        alone=np.zeros((count, 2), dtype=np.bool_),
    )


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.0, 0.02, 0.2, 0.7])
@pytest.mark.parametrize(("most", "chance"), [(1, 1.0), (4, 0.3)])
def test_intervals_cover_a_known_excess(share, most, chance):
    n, repetitions = 300, 300
    random = np.random.default_rng([1, most, int(100 * share)])
    member = np.arange(2 * n) < n
    inside, below = 0, 0
    for seed in range(repetitions):
        found = leaked_release(random, n, share, most, chance)
        counted = recount(found, member, seed=seed, even=True)["known"]
        inside += counted.interval[0] <= share <= counted.interval[1]
        below += share <= counted.upper
    # 93 to 97 %, and two standard errors of 300 repetitions
    assert 0.91 <= inside / repetitions <= 0.99
    assert below / repetitions >= 0.92


@pytest.mark.slow
@pytest.mark.parametrize("missing", [0.0, 0.3])
@pytest.mark.parametrize(("members", "controls"), [(400, 400), (1_500, 150)])
def test_the_level_holds_under_permuted_labels(missing, members, controls):
    tables = tables_of(*(people(n, n + 1, missing) for n in (500, members, controls)))
    attack = SinglingOut(columns=(2, 3), predicates=500, tries=20_000)
    found = attack.isolated_people(tables, seed=1)
    random = np.random.default_rng(7)
    rejected = dict.fromkeys(found.families, 0)
    for seed in range(400):
        for key, one in recount(
            found, random.permutation(tables.member), seed=seed, even=True
        ).items():
            rejected[key] += one.p_even <= 0.05
            assert one.p_value >= one.p_even - 1e-12
    # 3 to 7 %, and what chance adds to that in 400 repetitions
    assert all(0.02 <= count / 400 <= 0.08 for count in rejected.values()), rejected
