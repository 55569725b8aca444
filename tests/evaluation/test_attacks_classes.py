from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sfumato as sf
from sfumato.errors import DataError, PlanError, SchemaError
from sfumato.evaluation.attacks.candidates import candidates, labels_of
from sfumato.evaluation.attacks.count_differences import differencing_figures
from sfumato.evaluation.attacks.homogeneity import Homogeneity, Learned, homogeneity_scores
from sfumato.evaluation.attacks.intersection import intersection_figures, intersection_scores
from sfumato.evaluation.attacks.tables import STAR, AttackTables

DATA = Path(__file__).parents[1] / "data"
KINDS = {"age": pl.Int64, "city": pl.String, "job": pl.String, "ill": pl.String}
JOBS = sf.Hierarchy.mapping({"p": ["J", "*"], "q": ["J", "*"], "r'": ["K", "*"]})
ILLS = sf.Hierarchy.mapping({"flu": ["lung", "*"], "asthma": ["lung", "*"], "gout": ["joint", "*"]})
OUTLINES = {"age": None, "city": None, "job": JOBS}
SCHEMA = sf.Schema(quasi_identifiers=OUTLINES).with_columns(
    {"ill": sf.Column("sensitive", hierarchy=ILLS)}
)
ILLNESSES = {"lung": {"flu", "asthma"}, "joint": {"gout"}, "*": {"flu", "asthma", "gout"}}
# every value is known, so that every column can be compared
KNOWN = [(20, "a", "p", "flu"), (25, "b", "q", "asthma"), (47, "ç", "r'", "gout")]
REAL = st.lists(
    st.tuples(
        st.sampled_from([20, 25, 30, 31, 47, None]),
        st.sampled_from(["a", "b", "ç", None]),
        st.sampled_from(["p", "q", "r'"]),
        st.sampled_from(["flu", "asthma", "gout"]),
    ),
    min_size=1,
    max_size=8,
)
RELEASED = st.lists(
    st.tuples(
        st.sampled_from(["20", "25", "47", "[20, 30)", "[25, 50]", ">=30", "*", None]),
        st.sampled_from(["a", "b", "ç", "{a, b}", "{a, ç}", "*", None]),
        st.sampled_from(["p", "r'", "J", "K", "*"]),
        st.sampled_from(["flu", "asthma", "gout", "lung", "joint", "*"]),
    ),
    min_size=1,
    max_size=8,
)


def messy(released, members, controls):
    shown = {**KINDS, "age": pl.String}
    return AttackTables.of(
        pl.DataFrame(released, schema=shown, orient="row"),
        pl.DataFrame([*KNOWN, *members], schema=KINDS, orient="row"),
        pl.DataFrame(controls, schema=KINDS, orient="row"),
        SCHEMA,
    )


def fitting(tables, person, known):
    """Return the released rows that could be a person's, column by column."""
    every = np.arange(tables.rows)
    columns = [tables.by_name[name] for name in known]
    fits = np.logical_and.reduce([c.stands_for(every, np.array([person])) for c in columns])
    blank = np.ones(tables.rows, dtype=bool)
    for column in columns:
        if column.kind == "number":
            blank &= (column.low == -np.inf) & (column.high == np.inf)
        elif column.covers is None:
            blank &= column.released == STAR
        else:
            blank &= column.covers[column.released].all(axis=1)
    return np.flatnonzero(fits & (~blank | blank.all()))


@given(released=RELEASED, members=REAL, controls=REAL)
@settings(max_examples=25, deadline=None)
def test_candidates_equal_the_definition(released, members, controls):
    tables = messy(released, members, controls)
    column = tables.by_name["ill"]
    labels = labels_of(column, 10)
    for known in (["age", "city", "job"], ["city"], ["age", "job"]):
        learned = Learned.of(candidates(tables, known, labels), labels)
        for person in range(len(tables.member)):
            rows = fitting(tables, person, known)
            said = column.released[rows]
            hidden = said == STAR if column.covers is None else column.covers[said].all(axis=1)
            said, own = said[~hidden], column.real[person]
            right = said == own if column.covers is None else column.covers[said, own]
            assert learned.rows[person] == len(rows)
            assert learned.own[person] == right.sum()
            for excluded in (0, 1, 2):
                wrong = len(set(said[~right]))
                certain = bool(right.any()) and not hidden.any() and wrong <= excluded
                assert learned.certain(excluded)[person] == certain
            most = max(np.bincount(said).tolist(), default=0) if len(said) else 0
            assert learned.confidence[person] == pytest.approx(most / max(len(rows), 1))
            if most > 0.5 * len(rows):
                guess = right[said == np.bincount(said).argmax()]
                assert learned.confident(0.5)[person] == guess.all()


def test_the_examples_of_the_l_diversity_paper():
    # Machanavajjhala et al. (2007), figures 1 and 2: the 4-anonymous table of 12 patients
    zips = ["13053", "13068", "13068", "13053", "14853", "14853", "14850", "14850"]
    zips += ["13053", "13053", "13068", "13068"]
    ages = [28, 29, 21, 23, 50, 55, 47, 49, 31, 37, 36, 35]
    nations = ["Russian", "American", "Japanese", "American", "Indian", "Russian", "American"]
    nations += ["American", "American", "Indian", "Japanese", "American"]
    ills = ["Heart", "Heart", "Viral", "Viral", "Cancer", "Heart", "Viral", "Viral"] + [
        "Cancer"
    ] * 4
    patients = pl.DataFrame({"zip": zips, "age": ages, "nation": nations, "ill": ills})
    released = pl.DataFrame(
        {
            "zip": ["130*"] * 4 + ["1485*"] * 4 + ["130*"] * 4,
            "age": ["<30"] * 4 + [">=40"] * 4 + ["[30, 40)"] * 4,
            "nation": ["*"] * 12,
            "ill": ills,
        }
    )
    schema = sf.Schema(
        quasi_identifiers={"zip": sf.Hierarchy.prefix([4, 3]), "age": None, "nation": None},
        sensitive=["ill"],
    )
    controls = patients.with_columns(ill=pl.lit("Heart"))
    tables = AttackTables.of(released, patients, controls, schema)
    assert not tables.notes
    figures = Homogeneity().run(tables, seed=1)
    # Bob, 31, lives in 13053: all four in his class have cancer
    assert figures["homogeneity/ill/certain"].value == pytest.approx(4 / 12)
    assert figures["homogeneity/ill/certain"].control == 0
    # Umeko, 21, Japanese: heart disease can be excluded, so she has a viral infection
    assert figures["homogeneity/ill/background/1"].value == pytest.approx(8 / 12)
    # three illnesses: who can exclude two of them needs no release
    assert not figures["homogeneity/ill/background/2"].computed


def people(n, seed):
    random = np.random.default_rng(seed)
    age = random.integers(20, 80, n)
    return pl.DataFrame(
        {
            "age": age,
            "sex": random.choice(["f", "m"], n),
            "region": random.choice(["north", "south", "east", "west", "Zoë's"], n),
            "ill": random.choice(["flu", "gout", "asthma", "cancer", "none"], n),
            "cost": np.round(random.gamma(2, 400, n), 2),
        }
    )


PEOPLE = sf.Schema(quasi_identifiers=["age", "sex", "region"], sensitive=["ill", "cost"])


def attacked(released, members, controls, **options):
    return AttackTables.of(released, members, controls, PEOPLE, **options)


def test_a_copy_is_evidence_and_fresh_people_are_not():
    members, controls = people(400, 1), people(100, 2)
    copied = Homogeneity().run(attacked(members, members, controls), seed=1)
    fresh = Homogeneity().run(attacked(people(400, 3), members, controls), seed=1)
    for key, figure in copied.items():
        assert figure.p_value < 1e-6, key
        assert figure.interval[0] > figure.control, key
        assert 0 < figure.value - figure.control <= figure.upper
    for key, figure in fresh.items():
        assert figure.p_value > 0.01, key


def same(figures, others):
    assert figures.keys() == others.keys()
    for key, figure in figures.items():
        assert figure == others[key], key


def test_results_do_not_depend_on_how_the_tables_are_kept():
    members, controls = people(300, 1), people(200, 2)
    released = sf.anonymize(members, PEOPLE, sf.Mondrian(k=3)).data

    def run(change=lambda table: table, schema=PEOPLE):
        tables = AttackTables.of(change(released), change(members), change(controls), schema)
        return list(Homogeneity().run(tables, seed=9).values())

    def numbers(figures):
        return [(f.value, f.control, f.interval, f.p_value, f.baseline) for f in figures]

    expected = run()
    assert expected[0].value > 0
    assert run(lambda t: t.sample(fraction=1.0, shuffle=True, seed=4)) == expected
    assert run(lambda t: t.select(sorted(t.columns, reverse=True))) == expected
    assert run(lambda t: t.with_columns(pl.col("ill").cast(pl.Categorical))) == expected
    assert run(lambda t: t.with_columns(pl.col("cost") * 1000)) == expected
    names = {"ill": 'what\'s "it"', "age": "z", "sex": "é", "region": "a b", "cost": "c"}
    renamed = run(lambda t: t.rename(names), PEOPLE.rename(names))
    assert numbers(renamed) == numbers(expected)


@pytest.mark.parametrize(
    ("released", "members", "controls"),
    [
        (people(1, 1), people(1, 2), people(1, 3)),
        (people(5, 1), people(5, 2), people(5, 3)[:0]),
        (people(5, 1)[:0], people(5, 2), people(5, 3)),
        (people(5, 1), people(5, 2)[:0], people(5, 3)),
        tuple(people(9, 1).with_columns(pl.lit(None, dtype=pl.String).alias("ill")) for _ in "abc"),
        (people(4, 1).with_columns(ill=pl.lit("*")), people(4, 1), people(4, 2)),
        (people(4, 1).with_columns(sex=pl.lit("*")), people(4, 1), people(4, 2)),
        (people(9, 1).drop("sex", "age", "region"), people(9, 1), people(9, 2)),
        (people(9, 1).drop("ill", "cost"), people(9, 1), people(9, 2)),
    ],
)
def test_every_table_gives_figures(released, members, controls):
    tables = attacked(released, members, controls)
    for figures in (Homogeneity().run(tables, seed=1), intersection_figures(tables, tables)):
        assert figures
        for figure in figures.values():
            if not figure.computed:
                assert figure.because
                assert figure.p_value is None
            elif figure.unit == "share":
                assert 0 <= figure.value <= 1
                assert 0 < figure.p_value <= 1


def test_numbers_are_learned_by_their_bin_or_interval():
    members, controls = people(200, 1), people(200, 2)
    tables = attacked(members, members, controls)
    labels = labels_of(tables.by_name["cost"], 4)
    counts = np.bincount(labels.released)
    assert counts.sum() == 200
    assert counts[counts > 0].tolist() == [50, 50, 50, 50]
    banded = members.with_columns(
        cost=pl.when(pl.col("cost") < 500).then(pl.lit("<500")).otherwise(pl.lit(">=500"))
    )
    tables = attacked(banded, members, controls)
    scores = homogeneity_scores(tables, "cost")
    assert scores["certain"][tables.member].mean() > scores["certain"][~tables.member].mean() > 0


def test_settings_are_checked():
    with pytest.raises(PlanError, match="confidence"):
        Homogeneity(confidence=0.5)


def both_possible(first, second, person, known, secret):
    """Return the values that either release leaves possible for a person, by their names."""
    sets = []
    for tables, names in ((first, known[0]), (second, known[1])):
        rows = fitting(tables, person, names)
        sets.append(tables.released_frame[secret].gather(rows.tolist()).to_list())
    return sets


@pytest.mark.slow
@given(rows=st.lists(REAL, min_size=2, max_size=2), one=RELEASED, two=RELEASED)
@settings(max_examples=25, deadline=None)
def test_intersection_equals_the_definition(rows, one, two):
    first, second = (messy(released, *rows) for released in (one, two))
    names = sorted(KINDS)

    def number(tables, person):
        return tables.real_frame.select(names).row(person), bool(tables.member[person])

    scores = intersection_scores(first, second, "ill")
    places = {}
    for person in range(len(second.member)):
        places.setdefault(number(second, person), person)
    known = (["age", "city", "job"],) * 2
    for person in range(len(first.member)):
        row, _ = who = number(first, person)
        own = row[names.index("ill")]
        said = [
            both_possible(tables, tables, place, known, "ill")[0]
            for tables, place in ((first, person), (second, places[who]))
        ]
        possible = [set().union(*(ILLNESSES.get(v, {v}) for v in values)) for values in said]
        left = possible[0] & possible[1]
        assert scores["certain"][person] == (left == {own})
        rows_left = sum(bool(left & ILLNESSES.get(v, {v})) for v in said[0])
        assert scores["row"][person] == (own in left and rows_left == 1)


def test_two_releases_tell_what_neither_tells_alone():
    # as in Ganta et al. (2008), figure 1: Alice, 28, is in one class of either hospital
    ages = [28, 24, 29, 41, 43, 47]
    patients = pl.DataFrame({"age": ages, "ill": ["AIDS", "flu", "gout", "flu", "gout", "cold"]})
    first = patients.with_columns(age=pl.Series(["<30"] * 3 + [">=40"] * 3))
    second = pl.DataFrame({"age": [">=25"] * 3 + ["<25"] * 3, "ill": ["AIDS", "cold", "cough"] * 2})
    schema = sf.Schema(quasi_identifiers=["age"], sensitive=["ill"])
    controls = pl.DataFrame({"age": [26, 27, 45], "ill": ["flu", "gout", "AIDS"]})
    tables = [AttackTables.of(t, patients, controls, schema) for t in (first, second)]
    figures = intersection_figures(*tables)
    certain = figures["intersection/ill/certain"]
    # Alice (AIDS), and of the older ones who share the cold with the second class
    assert certain.value == pytest.approx(2 / 6)
    assert (certain.baseline, certain.control) == (0.0, 0.0)
    assert figures["intersection/ill/row"].value == pytest.approx(2 / 6)
    left = figures["intersection/ill/candidates"]
    assert left.value < left.baseline == 3


def test_two_copies_are_evidence_and_two_fresh_releases_are_not():
    members, controls = people(300, 1), people(300, 2)
    outlines = {
        "a": members.with_columns(
            age=pl.format("[{}, {}]", pl.col("age") // 20 * 20, pl.col("age") // 20 * 20 + 19)
        ),
        "b": members.with_columns(region=pl.lit("*")),
    }
    first, second = (attacked(t, members, controls) for t in outlines.values())
    figures = intersection_figures(first, second)
    certain = figures["intersection/ill/certain"]
    assert certain.value > certain.baseline
    assert certain.value > certain.control + 0.03
    assert certain.p_value < 0.01
    fresh = [attacked(people(300, seed), members, controls) for seed in (5, 6)]
    for figure in intersection_figures(*fresh).values():
        assert figure.p_value is None or figure.p_value > 0.01


def test_people_are_paired_whatever_the_order():
    members, controls = people(60, 1), people(40, 2)
    first = attacked(members, members, controls)
    again = AttackTables.of(
        members.sample(fraction=1.0, shuffle=True, seed=3),
        members.sample(fraction=1.0, shuffle=True, seed=4),
        controls.sample(fraction=1.0, shuffle=True, seed=5),
        PEOPLE,
    )
    second = attacked(people(60, 9), members, controls)
    same(intersection_figures(first, second), intersection_figures(again, second))
    place = np.array(
        [second.real_frame.rows().index(row) for row in first.real_frame.rows()], dtype=np.int64
    )
    same(intersection_figures(first, second), intersection_figures(first, second, pairs=place))
    with pytest.raises(DataError, match="same members and controls"):
        intersection_figures(first, attacked(members, members, controls[:39]))
    with pytest.raises(DataError, match="different columns"):
        intersection_figures(first, attacked(members.drop("cost"), members, controls))
    with pytest.raises(DataError, match="pairs"):
        intersection_figures(first, second, pairs=np.zeros(100, dtype=int))
    with pytest.raises(DataError, match="a control of the other"):
        intersection_figures(first, second, pairs=place[::-1])
    with pytest.raises(SchemaError, match="Did you mean"):
        intersection_figures(first, second, sensitive=["il"])


def test_small_counts_follow_by_differencing():
    before = pl.DataFrame(
        {"age": ["a"] * 20 + ["b"] * 30 + ["c"] * 5, "sex": ["f", "m"] * 27 + ["f"]}
    )
    after = before[1:]  # one person withdrew
    schema = sf.Schema(quasi_identifiers=["age", "sex"])
    first, second = (AttackTables.of(t, before, None, schema) for t in (before, after))
    figures = differencing_figures(first, second, smallest=10)
    # (a, f): 10 and 9, so the second already shows a small cell
    assert figures["differencing/classes"].value == 0
    # a: 20 and 19; f: 28 and 27
    assert figures["differencing/cells"].value == 2
    assert figures["differencing/cells"].unit == "cells"
    assert figures["differencing/cells"].p_value is None
    assert differencing_figures(first, first)["differencing/cells"].value == 0
    assert differencing_figures(first, second, smallest=2)["differencing/cells"].value == 3
    invented = AttackTables.of(after, before, None, schema, synthetic=True)
    assert not differencing_figures(first, invented)["differencing/cells"].computed
    with pytest.raises(DataError, match="smallest"):
        differencing_figures(first, second, smallest=1)


def test_overlapping_labels_are_not_subtracted():
    real = pl.DataFrame({"age": list(range(20, 80)), "sex": ["f", "m"] * 30})
    apart = real.with_columns(
        age=pl.when(pl.col("age") < 50).then(pl.lit("<50")).otherwise(pl.lit(">=50"))
    )
    overlapping = apart.with_columns(
        age=pl.when(real["age"] == 30).then(pl.lit("30")).otherwise("age")
    )
    schema = sf.Schema(quasi_identifiers=["age", "sex"])
    tables = [AttackTables.of(t, real, None, schema) for t in (apart, overlapping)]
    figures = differencing_figures(*tables)
    assert "overlap" in figures["differencing/classes"].because
    assert figures["differencing/cells"].attacks == 2


@pytest.mark.slow
def test_the_level_holds_under_permuted_labels_of_adult():
    table = (
        pl.read_csv(DATA / "adult_kanonml.csv.gz", separator=";").drop("ID").sample(3_000, seed=1)
    )
    schema = sf.Schema(
        quasi_identifiers=["age", "sex", "race", "education"],
        sensitive=["occupation"],
        rest="other",
    ).check(table)
    released = sf.anonymize(table[:1_000], schema, sf.Mondrian(k=3)).data
    tables = AttackTables.of(released, table[1_000:2_000], table[2_000:], schema)
    from sfumato.evaluation.exchangeability import excess

    random = np.random.default_rng(1)
    for score in homogeneity_scores(tables, "occupation").values():
        found = []
        for seed in range(400):
            member = random.permutation(tables.member)
            found.append(excess(score[member], score[~member], seed=seed).p_even <= 0.05)
        assert 0.02 <= np.mean(found) <= 0.08
