"""The clusterings keep what they promise, whatever the table; figures against published ones."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfumato.anonymization.class_recoding import ClassRecoding
from sfumato.anonymization.clustering.clustering import (
    OKA,
    Clustering,
    KMember,
    KNNCluster,
    TopDownGreedy,
)
from sfumato.errors import GuaranteeNotMet, PlanError, SchemaError
from sfumato.privacy import (
    AlphaKAnonymity,
    AverageRisk,
    BetaLikeness,
    Criterion,
    DifferentialPrivacy,
    EquivalenceClasses,
    HighestRisk,
    KAnonymity,
    LDiversity,
    StrictAverageRisk,
    TCloseness,
)
from sfumato.release import verify
from sfumato.table import Hierarchy, Schema, parse_intervals

DATA = Path(__file__).parent.parent / "data"
TECHNIQUES = [TopDownGreedy, KMember, OKA, KNNCluster]
NEAREST = [TopDownGreedy, KMember, KNNCluster]  # OKA may draw all its seeds among equal people
PLACES = {
    "Lyon": ["Rhone", "South"],
    "Vienne": ["Rhone", "South"],
    "Nice": ["Riviera", "South"],
    "Lille": ["Nord", "North"],
    "Douai": ["Nord", "North"],
}
QUASI = ["place", "age", "sex"]
SCHEMA = Schema(
    identifiers=["id"],
    quasi_identifiers={"place": Hierarchy.mapping(PLACES), "age": None, "sex": None},
    sensitive=["diagnosis"],
    other=["weight"],
)
BY_PERSON = Schema(
    identifiers=["id"],
    quasi_identifiers={"place": Hierarchy.mapping(PLACES), "age": None, "sex": None},
    sensitive=["diagnosis"],
    other=["weight"],
    person="id",
)
rows = st.lists(
    st.tuples(
        st.sampled_from([*PLACES, None]),
        st.sampled_from([18, 20, 20, 31, 45, 46, 80, None]),
        st.sampled_from(["f", "m"]),
        st.sampled_from(["flu", "gout", None]),
        st.integers(1, 9),
        st.sampled_from([None, 61.5, 80.25]),
    ),
    min_size=1,
    max_size=60,
)
COLUMNS = {
    "place": pl.String,
    "age": pl.Int64,
    "sex": pl.String,
    "diagnosis": pl.String,
    "id": pl.Int64,
    "weight": pl.Float64,
}


def table_of(drawn: list[tuple[object, ...]]) -> pl.DataFrame:
    return pl.DataFrame(drawn, schema=COLUMNS, orient="row")


def holds(label: str | None, value: float | None) -> bool:
    """Whether a released age says nothing false."""
    if label == "*":
        return True
    if label is None or value is None:
        return label is None and value is None
    low, high = (float(end[0]) for end in parse_intervals(pl.Series([label])))
    return low <= value < high or low == value


@pytest.mark.parametrize("technique", TECHNIQUES)
@settings(max_examples=25, deadline=None)
@given(
    drawn=rows,
    k=st.integers(2, 6),
    seed=st.integers(0, 9),
    block=st.sampled_from([2, 8, 4096]),
    diverse=st.booleans(),
    by_person=st.booleans(),
)
def test_what_a_release_promises(
    technique: type[Clustering],
    drawn: list,
    k: int,
    seed: int,
    block: int,
    diverse: bool,
    by_person: bool,
) -> None:
    table = table_of(drawn)
    schema = BY_PERSON if by_person else SCHEMA
    criteria = [LDiversity(column="diagnosis", l=2)] if diverse else []
    made = technique(k=k, seed=seed, block=block, criteria=criteria)
    everybody = len({row[4] for row in drawn}) if by_person else len(drawn)
    if everybody < k:
        with pytest.raises(PlanError, match=f"k = {k} is more than the table has: {everybody}"):
            made.fit(table, schema)
        return
    if diverse and len({row[3] for row in drawn}) < 2:
        with pytest.raises(GuaranteeNotMet, match="all people in one class"):
            made.fit(table, schema)
        return
    recoding = made.fit(table, schema)
    assert recoding.promises == (KAnonymity(k=k), *criteria)
    released = recoding.apply(table)
    people: dict[tuple, set] = defaultdict(set)
    diagnoses: dict[tuple, set] = defaultdict(set)
    for number, (label, row) in enumerate(
        zip(released.select(QUASI).iter_rows(), drawn, strict=True)
    ):
        people[label].add(row[4] if by_person else number)
        diagnoses[label].add(row[3])
    assert min(len(some) for some in people.values()) >= k
    assert not diverse or min(len(some) for some in diagnoses.values()) >= 2
    # nothing but the quasi-identifiers changes, in the same order and types
    assert released.columns == [*QUASI, "diagnosis", "weight"]
    assert released.select("diagnosis", "weight").equals(table.select("diagnosis", "weight"))
    # no cell is emptied and each label holds its value
    for before, after in zip(
        table.iter_rows(named=True), released.iter_rows(named=True), strict=True
    ):
        assert after["place"] in (before["place"], *PLACES.get(before["place"], []), "*")
        assert after["sex"] in (before["sex"], "*")
        assert holds(after["age"], before["age"])
    # the same seed gives the same, after a fit of other rows as well
    technique(k=2).fit(pl.concat([table, table]), SCHEMA)
    assert made.fit(table, schema) == recoding
    again = ClassRecoding.from_dict(json.loads(json.dumps(recoding.to_dict())))
    assert again == recoding
    assert again.apply(table).equals(released)


@pytest.mark.parametrize("technique", TECHNIQUES)
@settings(max_examples=6, deadline=None)
@given(drawn=rows.filter(lambda drawn: len(drawn) >= 4), seed=st.integers(0, 99))
def test_independent_counts_and_shuffled_rows(
    technique: type[Clustering], drawn: list, seed: int
) -> None:
    from pycanon.anonymity import k_anonymity, l_diversity

    table = table_of(drawn)
    diverse = len({row[3] for row in drawn}) > 1
    criteria = [LDiversity(column="diagnosis", l=2)] if diverse else []
    made = technique(k=3, criteria=criteria)
    recoding = made.fit(table, SCHEMA)
    released = recoding.apply(table)
    checked = verify(released, recoding.released_schema(), recoding.promises)
    assert checked.passed
    counted = released.fill_null("(missing)").to_pandas()
    # two clusters may come by the same labels: then they are one class of the release
    assert checked.smallest_class_with_suppressed == k_anonymity(counted, QUASI)
    assert k_anonymity(counted, QUASI) >= int(recoding.sizes.min()) >= 3
    assert not diverse or l_diversity(counted, QUASI, ["diagnosis"]) >= 2
    # rows in another order are the same people
    order = np.random.default_rng(seed).permutation(table.height)
    shuffled = made.fit(table[order], SCHEMA).apply(table[order])

    def pairs(source: pl.DataFrame, result: pl.DataFrame) -> Counter:
        key = source.select(*QUASI, "diagnosis")
        return Counter(zip(key.iter_rows(), result.select(QUASI).iter_rows(), strict=True))

    assert pairs(table[order], shuffled) == pairs(table, released)


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_as_many_people_as_k_are_one_class(technique: type[Clustering]) -> None:
    table = table_of([("Lyon", 20, "f", "flu", n, None) for n in range(3)])
    table = table.with_columns(age=pl.Series([20, 30, None]))
    released = technique(k=3).fit(table, SCHEMA).apply(table)
    assert released.select(QUASI).rows() == [("Lyon", "*", "f")] * 3


@pytest.mark.parametrize("technique", NEAREST)
def test_equal_people_keep_their_values(technique: type[Clustering]) -> None:
    drawn = [("Lyon", 20, "f", "flu", 1, None)] * 7 + [("Nice", 31, "m", "flu", 1, None)] * 5
    table = table_of(drawn)
    recoding = technique(k=5).fit(table, SCHEMA)
    released = recoding.apply(table)
    assert released.select(QUASI).rows() == [
        *[("Lyon", "20", "f")] * 7,
        *[("Nice", "31", "m")] * 5,
    ]
    assert sorted(recoding.sizes) == [5, 7]


@pytest.mark.parametrize("technique", NEAREST)
def test_one_row_is_refused_and_a_constant_column_is_kept(technique: type[Clustering]) -> None:
    schema = Schema(quasi_identifiers=["a", "b"])
    with pytest.raises(PlanError, match="k = 2 is more than the table has: 1 rows"):
        technique(k=2).fit(pl.DataFrame({"a": [1], "b": ["x"]}), schema)
    table = pl.DataFrame({"a": [1] * 9, "b": list("xxxxyyyyz"), "c": range(9)})
    released = technique(k=4).fit(table, Schema(["c"], ["a", "b"])).apply(table)
    assert released["a"].to_list() == ["1"] * 9
    assert (released["b"] == "*").sum() == 5


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_persons_with_several_rows_are_counted_once(technique: type[Clustering]) -> None:
    draw = np.random.default_rng(5)
    n = 300
    table = pl.DataFrame(
        {
            "place": draw.choice([*PLACES], n),
            "age": draw.integers(18, 90, n),
            "sex": draw.choice(["f", "m"], n),
            "diagnosis": draw.choice(["flu", "gout", "cold"], n, p=[0.7, 0.2, 0.1]),
            "id": draw.integers(0, 90, n),
            "weight": np.ones(n),
        }
    )
    promised = [LDiversity(column="diagnosis", l=2), TCloseness(column="diagnosis", t=0.4)]
    recoding = technique(k=4, criteria=promised).fit(table, BY_PERSON)
    counted = EquivalenceClasses.of(
        recoding.apply(table).with_columns(id=table["id"]),
        QUASI,
        sensitive=["diagnosis"],
        person="id",
    )
    assert counted.smallest >= 4
    assert all(criterion.holds(counted) for criterion in promised)
    assert len(counted) > 3


def test_a_promise_that_nobody_can_keep_is_refused() -> None:
    table = table_of([("Lyon", age, "f", "flu", 1, None) for age in range(20, 30)])
    with pytest.raises(GuaranteeNotMet, match=r"does not keep: .*ask for less"):
        KMember(k=2, criteria=[LDiversity(column="diagnosis", l=2)]).fit(table, SCHEMA)


@pytest.mark.parametrize(
    "criterion",
    [
        AverageRisk(limit=0.05),
        HighestRisk(limit=0.1),
        StrictAverageRisk(average=0.1, highest=0.15, at_risk=0.0),
        BetaLikeness(column="occupation", beta=3.0),
        AlphaKAnonymity(k=5, column="occupation", alpha=0.5),
    ],
    ids=lambda criterion: criterion.kind,
)
def test_promises_about_classes_and_tables_are_kept(criterion: Criterion) -> None:
    table, schema = adult()
    table = table.head(1000)
    quasi = {name: schema.hierarchies[name] for name in ("sex", "age", "race", "education")}
    schema = Schema(["ID"], quasi, sensitive=["occupation"], rest="other")
    recoding = TopDownGreedy(k=5, criteria=[criterion]).fit(table, schema)
    assert recoding.promises == (KAnonymity(k=5), criterion)
    released = recoding.apply(table)
    assert verify(released, recoding.released_schema(), recoding.promises).passed
    assert len(recoding.sizes) > 1
    free = TopDownGreedy(k=5).fit(table, schema)
    classes = EquivalenceClasses.of(free.apply(table), [*quasi], sensitive=["occupation"])
    assert not criterion.holds(classes)  # so something was mended


def test_classes_are_joined_until_they_are_diverse_and_close() -> None:
    draw = np.random.default_rng(1)
    ages = np.sort(draw.integers(18, 90, 400))
    ill = draw.random(400) < ages / 120
    table = pl.DataFrame({"age": ages, "ill": np.where(ill, "yes", "no")})
    schema = Schema(quasi_identifiers=["age"], sensitive=["ill"])
    near = KMember(k=5).fit(table, schema)
    close = KMember(k=5, criteria=[TCloseness(column="ill", t=0.25)]).fit(table, schema)
    assert 1 < len(close.sizes) < len(near.sizes)
    overall = ill.mean()
    counted = close.apply(table).group_by("age").agg((pl.col("ill") == "yes").mean())
    assert (counted["ill"] - overall).abs().max() <= 0.25
    counted = near.apply(table).group_by("age").agg((pl.col("ill") == "yes").mean())
    assert (counted["ill"] - overall).abs().max() > 0.25


def test_a_promise_without_k_is_all_that_is_kept() -> None:
    drawn = [("Lyon", age, "f", some, 1, None) for age in range(20, 30) for some in ("flu", "gout")]
    table = table_of(drawn)
    diverse = LDiversity(column="diagnosis", l=2)
    recoding = KMember(criteria=[diverse]).fit(table, SCHEMA)
    assert recoding.promises == (diverse,)
    assert recoding.apply(table)["age"].to_list() == [str(row[1]) for row in drawn]
    assert recoding.sizes.tolist() == [2] * 10


def test_what_is_more_important_is_kept_more_exact() -> None:
    table, schema = adult()
    table = table.head(2000)
    plain = KMember(k=10).fit(table, schema)
    aged = KMember(k=10, weights={"age": 20}).fit(table, schema)

    def exact(recoding: ClassRecoding) -> float:
        return float((recoding.apply(table)["age"] == table["age"].cast(pl.String)).mean())

    assert exact(aged) > 1.5 * exact(plain)


def test_settings_are_checked() -> None:
    table = table_of([("Lyon", 20, "f", "flu", 1, None)] * 5)
    with pytest.raises(PlanError, match=r"weights: 'agee' is no quasi.*Did you mean 'age'"):
        OKA(k=2, weights={"agee": 1}).fit(table, SCHEMA)
    with pytest.raises(PlanError, match="weights: age = -1"):
        OKA(k=2, weights={"age": -1}).fit(table, SCHEMA)
    nothing = dict.fromkeys(QUASI, 0.0)
    with pytest.raises(PlanError, match="all weights are 0"):
        OKA(k=2, weights=nothing).fit(table, SCHEMA)
    with pytest.raises(SchemaError, match="no quasi-identifier"):
        OKA(k=2).fit(table, Schema(other=table.columns))
    private = DifferentialPrivacy(epsilon=1.0, delta=1e-5)
    with pytest.raises(PlanError, match="these classes follow it"):
        OKA(k=2, criteria=[private]).fit(table, SCHEMA)
    assert OKA().fit(table, SCHEMA).promises == (KAnonymity(k=5),)
    with pytest.raises(PlanError, match=r"k: .*greater than or equal to 2"):
        OKA(k=1)


def test_people_who_were_not_there_go_to_the_class_that_holds_them() -> None:
    table = pl.DataFrame(
        {"place": ["Lyon", "Vienne", "Nice", "Nice"], "age": [20, 30, 40, 40], "sex": list("ffff")}
    )
    schema = Schema(
        quasi_identifiers={"place": Hierarchy.mapping(PLACES), "age": None, "sex": None}
    )
    recoding = KMember(k=2).fit(table, schema)
    new = pl.DataFrame(
        {"place": ["Vienne", "Nice", "Nice"], "age": [20, 40, 41], "sex": ["f", "f", "f"]}
    )
    assert recoding.apply(new).rows() == [
        ("Rhone", "<40", "f"),
        ("Nice", "40", "f"),
        ("*", "*", "*"),
    ]


def test_a_table_beyond_a_block_is_cut_and_says_so() -> None:
    table, schema = adult()
    table = table.head(3000)
    told: list[tuple[float, float]] = []
    recoding = OKA(k=5, block=500).fit(
        table,
        schema,
        progress=lambda task, done, total: (
            told.append((done, total)) if task == "clustering people" else None
        ),
    )
    assert "in " in recoding.technique
    assert "more than block = 500" in recoding.notes[0]
    assert len(told) > 5
    assert told[-1][0] == told[-1][1]
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert not OKA(k=5).fit(table, schema).notes


# -- against published figures --------------------------------------------------------------------


def adult() -> tuple[pl.DataFrame, Schema]:
    names = ["sex", "age", "race", "marital-status", "education", "native-country", "workclass"]
    table = pl.read_csv(DATA / "adult_kanonml.csv.gz", separator=";")
    hierarchies = {
        name: Hierarchy.read(DATA / "hierarchies" / f"adult_hierarchy_{name}.csv")
        for name in [*names, "occupation"]
    }
    return table, Schema(identifiers=["ID"], quasi_identifiers=hierarchies, rest="other")


def loss(table: pl.DataFrame, released: pl.DataFrame, schema: Schema) -> float:
    """Return the share of leaves below each label, mean over cells, counted from the labels."""
    shares = []
    for name, hierarchy in schema.hierarchies.items():
        leaves = pl.Series(name, hierarchy.leaves)
        share: dict[str, float] = {}
        for level in range(hierarchy.height, 0, -1):
            counts = hierarchy.generalize(leaves, level).value_counts()
            share |= {label: count / len(leaves) for label, count in counts.iter_rows()}
        share |= dict.fromkeys(leaves, 0.0)
        shares.append(released[name].replace_strict(share).mean())
    return float(np.mean(shares))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("technique", "k", "most"),
    # k-AnonML's own losses on the same table and hierarchies (github.com/fhstp/k-AnonML, run on
    # the snapshot of October 2023), with 131 to 6,000 rows suppressed; here none is. Its k-member
    # and OKA did not finish and crashed: for these the bar is its k-nearest-neighbour clustering
    [
        (TopDownGreedy, 5, 0.099),
        (TopDownGreedy, 50, 0.403),
        (TopDownGreedy, 250, 0.727),
        (KNNCluster, 50, 0.373),
        (KNNCluster, 250, 0.792),
        (KMember, 50, 0.373),
        (OKA, 50, 0.373),
    ],
)
def test_adult_loses_less_than_published(technique: type[Clustering], k: int, most: float) -> None:
    table, schema = adult()
    recoding = technique(k=k).fit(table, schema)
    released = recoding.apply(table)
    lost = loss(table, released, schema)
    assert lost < most
    counted = released.group_by(schema.quasi_identifiers).len()["len"]
    assert counted.min() >= k
    rows_of = np.bincount(recoding.entries["class"], recoding.entries["rows"])
    assert recoding.boxes.shares @ rows_of / table.height == pytest.approx(lost, abs=1e-12)
