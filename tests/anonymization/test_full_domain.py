"""Full-domain generalization as a technique: what is released, promised and refused."""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from sfumato.anonymization.lattice.full_domain import FullDomain
from sfumato.anonymization.lattice.full_domain_recoding import FullDomainRecoding, level_in_words
from sfumato.anonymization.recoding import Recoding
from sfumato.errors import DataError, GuaranteeNotMet, HierarchyError, PlanError, SchemaError
from sfumato.privacy import KAnonymity, LDiversity, TCloseness
from sfumato.release import verify
from sfumato.table import Hierarchy, Schema

TOWNS = {
    "Lyon": ["Rhone", "South"],
    "Vienne": ["Rhone", "South"],
    "Nice": ["Riviera", "South"],
    "Lille": ["Nord", "North"],
    "Douai": ["Nord", "North"],
}
PLACES = Hierarchy.mapping(TOWNS)
SCHEMA = Schema(
    identifiers=["id"],
    quasi_identifiers={"place": PLACES, "age": None, "sex": None},
    sensitive=["ill"],
    other=["note"],
)
COLUMNS = {
    "note": pl.Float64,
    "place": pl.String,
    "age": pl.Int64,
    "sex": pl.String,
    "ill": pl.String,
    "id": pl.Int64,
}
rows_of_people = st.lists(
    st.tuples(
        st.floats(-5, 5),
        st.sampled_from([*TOWNS, None]),
        st.sampled_from([18, 20, 31, None]),
        st.sampled_from(["f", "m"]),
        st.sampled_from(["flu", "gout", "cold"]),
        st.integers(1, 9),
    ),
    min_size=2,
    max_size=60,
)
promises = st.sampled_from(
    [
        (KAnonymity(2),),
        (KAnonymity(4),),
        (KAnonymity(2), LDiversity("ill", 2)),
        (KAnonymity(3), TCloseness("ill", 0.35)),
    ]
)


def table_of(rows: list) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=COLUMNS, orient="row")


def starred(released: pl.DataFrame, columns: list[str]) -> int:
    return released.filter(pl.all_horizontal(pl.col(columns) == "*")).height


def keep_promises(table: pl.DataFrame, released: pl.DataFrame, rows: list[int], criteria: Any):
    """Recount a release by hand, the starred rows as a class like any other."""
    whole = Counter(released["ill"])
    classes: dict[tuple, Counter] = defaultdict(Counter)
    for key, row in zip(released.select("place", "age", "sex").rows(), rows, strict=True):
        classes[key][table["ill"][row]] += 1
    for counts in classes.values():
        size = sum(counts.values())
        for criterion in criteria:
            if isinstance(criterion, KAnonymity):
                assert size >= criterion.k
            elif isinstance(criterion, LDiversity):
                assert len(counts) >= criterion.l
            else:
                shares = (abs(counts[v] / size - c / released.height) for v, c in whole.items())
                assert sum(shares) / 2 <= criterion.t + 1e-9


# -- what is released ------------------------------------------------------------------------------


@pytest.mark.parametrize("suppressed", ["star", "drop"])
@settings(max_examples=30, deadline=None)
@given(rows=rows_of_people, criteria=promises, limit=st.sampled_from([0.0, 0.2, 0.6, 1.0]))
def test_the_release_keeps_every_promise_and_changes_nothing_else(
    rows, criteria, limit, suppressed
):
    table = table_of(rows)
    technique = FullDomain(criteria=criteria, suppression_limit=limit, suppressed=suppressed)
    if criteria[0].k > len(rows):
        with pytest.raises(PlanError, match="is more than the table has"):
            technique.fit(table, SCHEMA)
        return
    try:
        recoding = technique.fit(table, SCHEMA)
    except GuaranteeNotMet:
        event("cannot be kept")
        # everybody in one class has every value, so only suppression can be what is not allowed
        assert not all(isinstance(one, KAnonymity) for one in criteria)
        return
    released = recoding.apply(table)
    rows_kept = recoding.kept_rows(table).arg_true().to_list()
    keep_promises(table, released, rows_kept, criteria)
    assert recoding.promises == criteria
    kept = table[rows_kept]
    # order, other columns and their types
    assert released["note"].equals(kept["note"])
    assert released["ill"].equals(kept["ill"])
    assert released.columns == ["note", "place", "age", "sex", "ill"]
    # each cell is its own, coarser
    for before, after in zip(kept.to_dicts(), released.to_dicts(), strict=True):
        town = before["place"]
        assert after["place"] in ([town, *TOWNS[town], "*"] if town else [None, "*"])
        for name in ("age", "sex"):
            own = before[name]
            assert after[name] in ([None, "*"] if own is None else [own, str(own), "*"])
    # as many rows are suppressed as is said, and no more than allowed
    count = starred(released, ["place", "age", "sex"]) if suppressed == "star" else 0
    if suppressed == "drop":
        assert recoding.suppressed_rows == table.height - released.height
    elif recoding.levels != {"place": 3, "age": 1, "sex": 1}:
        assert recoding.suppressed_rows == count
    assert recoding.suppressed_rows <= limit * len(rows) + 1e-9
    # the verifier, which shares nothing with this
    least = max(one.k for one in criteria if isinstance(one, KAnonymity))
    assert verify(released, recoding.released_schema(), [KAnonymity(least)]).passed


@pytest.mark.parametrize("suppressed", ["star", "drop"])
@settings(max_examples=10, deadline=None)
@given(rows=rows_of_people)
def test_saved_read_and_made_again_it_is_the_same(rows, suppressed):
    table = table_of(rows)
    technique = FullDomain(k=2, suppression_limit=1, suppressed=suppressed)
    first = technique.fit(table, SCHEMA)
    again = technique.fit(table.clone(), SCHEMA)
    plain = json.dumps(first.to_dict())
    assert plain == json.dumps(again.to_dict())
    back = FullDomainRecoding.from_dict(json.loads(plain))
    assert back == first
    assert back.apply(table).equals(first.apply(table))
    assert back.released_schema() == first.released_schema()


def test_saved_to_a_file(tmp_path: Path):
    table = table_of([(0.0, "Lyon", 18, "f", "flu", 1)] * 3)
    recoding = FullDomain(k=2).fit(table, SCHEMA)
    recoding.save(tmp_path / "recoding.json")
    assert Recoding.load(tmp_path / "recoding.json") == recoding


@settings(max_examples=20, deadline=None)
@given(rows=rows_of_people, k=st.integers(2, 4))
def test_persons_are_counted_not_rows(rows, k):
    table = table_of(rows)
    schema = Schema(
        identifiers=["id"],
        quasi_identifiers={"place": PLACES, "age": None, "sex": None},
        sensitive=["ill"],
        other=["note"],
        person="id",
    )
    technique = FullDomain(k=k, suppression_limit=1, suppressed="star")
    everybody = table["id"].n_unique()
    if everybody < k:
        with pytest.raises(PlanError, match=f"k = {k} is more than the table has: {everybody}"):
            technique.fit(table, schema)
        return
    recoding = technique.fit(table, schema)
    released = recoding.apply(table).with_columns(table["id"])
    sizes = released.group_by("place", "age", "sex").agg(pl.col("id").n_unique())
    assert sizes["id"].min() >= k


def test_a_release_has_pycanons_k(tmp_path: Path):
    import pandas as pd
    from pycanon.anonymity import k_anonymity

    folder = Path(__file__).parents[1] / "data"
    table = pl.read_csv(folder / "obesity.csv.gz").select("Gender", "Age", "Height", "CALC")
    bands = {"Age": Hierarchy.bands([5, 10, 20]), "Height": Hierarchy.bands([0.05, 0.1, 0.2])}
    schema = Schema(quasi_identifiers={"Gender": None, **bands}, rest="other")
    recoding = FullDomain(k=7, suppression_limit=0.02).fit(table, schema)
    recoding.apply(table).write_csv(tmp_path / "released.csv")
    read = pd.read_csv(tmp_path / "released.csv", dtype=str)
    assert k_anonymity(read, ["Gender", "Age", "Height"]) >= 7


def test_other_kinds_of_frames_come_back_in_kind_and_order():
    import pandas as pd

    rows = [(0.1 * n, list(TOWNS)[n % 5], 18 + n % 2, "f", "flu", n) for n in range(30)]
    table = table_of(rows)
    recoding = FullDomain(k=3).fit(table, SCHEMA)
    frame = table.to_pandas()
    # labels that are shuffled and stand twice play no part
    frame.index = pd.Index([7, 3] * 15)
    released = recoding.apply(frame)
    assert isinstance(released, pd.DataFrame)
    assert released["place"].tolist() == recoding.apply(table)["place"].to_list()
    assert released["note"].tolist() == table["note"].to_list()


# -- suppressed rows -------------------------------------------------------------------------------


def lone(count: int, place: str, age: int) -> list:
    return [(0.0, place, age, "f", "flu", 1)] * count


def test_suppressed_rows_are_hidden_among_those_of_the_cheapest_class():
    # one row at Lille is suppressed; alone it would stand out as the only '*'
    rows = lone(20, "Lyon", 18) + lone(8, "Nice", 18) + lone(1, "Lille", 18)
    table = table_of(rows)
    fixed = {"maximum_levels": {"place": 0, "age": 0, "sex": 0}, "suppression_limit": 0.5}
    drop = FullDomain(k=5, suppressed="drop", **fixed).fit(table, SCHEMA)
    assert drop.suppressed_rows == 1
    assert drop.given_up == 0
    star = FullDomain(k=5, **fixed).fit(table, SCHEMA)
    assert star.suppressed_rows == 9
    assert star.given_up == 8
    # the optimum is the same; hiding comes after it
    assert star.levels == drop.levels
    assert star.found.value == drop.found.value
    released = star.apply(table)
    assert starred(released, ["place", "age", "sex"]) == 9
    assert "8 of them would" in next(c.how for c in star.describe() if c.column == "place")


def test_hiding_is_searched_for_where_it_does_not_fit_within_the_limit():
    # exact towns lose least, with one row suppressed; but hiding it takes eight more, too many
    rows = lone(20, "Lyon", 18) + lone(8, "Nice", 18) + lone(1, "Lille", 18)
    table = table_of(rows)
    settings = {"k": 5, "suppression_limit": 0.05, "maximum_levels": {"age": 0, "sex": 0}}
    drop = FullDomain(suppressed="drop", **settings).fit(table, SCHEMA)
    assert drop.levels["place"] == 0
    star = FullDomain(**settings).fit(table, SCHEMA)
    assert star.suppressed_rows == 0
    assert star.levels["place"] == 3
    assert star.found.optimal
    assert star.found.value > drop.found.value


def test_what_cannot_be_kept_is_said():
    table = table_of(lone(6, "Lyon", 18) + lone(1, "Lille", 31))
    fixed = {"maximum_levels": {"place": 0, "age": 0}}
    with pytest.raises(GuaranteeNotMet, match="no combination of levels keeps it, of 2 that are"):
        FullDomain(k=3, suppression_limit=0.1, **fixed).fit(table, SCHEMA)
    # one row is suppressed, and nobody is left to hide it but the only class there is
    with pytest.raises(GuaranteeNotMet, match="k-anonymity: no combination"):
        FullDomain(k=3, suppression_limit=1.0, **fixed).fit(table, SCHEMA)
    dropped = FullDomain(k=3, suppression_limit=1.0, suppressed="drop", **fixed)
    assert dropped.fit(table, SCHEMA).suppressed_rows == 1


def test_the_starred_class_keeps_more_than_k():
    # the two of Lille are suppressed with whom they share; all starred people have the flu but one
    rows = [(0.0, "Lyon", 18, "f", ill, 1) for ill in ["flu", "gout"] * 10]
    rows += [(0.0, "Nice", 18, "f", ill, 1) for ill in ["flu", "gout"] * 4]
    rows += [(0.0, "Lille", 18, "f", "flu", 1)] * 6
    table = table_of(rows)
    technique = FullDomain(
        criteria=[KAnonymity(3), LDiversity("ill", 2)],
        suppression_limit=0.6,
        maximum_levels={"place": 0, "age": 0, "sex": 0},
    )
    recoding = technique.fit(table, SCHEMA)
    assert recoding.suppressed_rows == 14
    stars = recoding.apply(table).filter(pl.col("place") == "*")
    assert stars["ill"].n_unique() == 2


# -- rows that were not there ----------------------------------------------------------------------


def test_new_rows_are_recoded_by_the_same_outlines():
    towns = lone(5, "Lyon", 18) + lone(5, "Vienne", 18) + lone(3, "Lille", 18) + lone(3, "Nice", 18)
    table = table_of(towns)
    recoding = FullDomain(k=6, suppression_limit=0.4).fit(table, SCHEMA)
    assert recoding.levels == {"place": 1, "age": 0, "sex": 0}
    assert recoding.suppressed_rows == 6
    new = table_of([*lone(1, "Vienne", 18), *lone(1, "Douai", 18), *lone(1, "Lyon", 99)])
    released = recoding.apply(new)
    # a town of the same group, a class that was not kept, an age that was never seen
    assert released["place"].to_list() == ["Rhone", "*", "*"]
    with pytest.raises(HierarchyError, match="column 'place': 1 row holds a value"):
        recoding.apply(table_of(lone(1, "Rome", 18)))
    with pytest.raises(DataError, match="no column 'sex'"):
        recoding.apply(table.drop("sex"))
    with pytest.raises(DataError, match="was not there when the recoding was fitted"):
        recoding.apply(table.with_columns(more=pl.lit(1)))


def test_left_out_rows_keep_the_types_of_exact_columns():
    rows = lone(5, "Lyon", 18) + lone(5, "Nice", 20) + lone(1, "Lille", 31)
    table = table_of(rows)
    technique = FullDomain(k=5, suppression_limit=0.1, suppressed="drop")
    recoding = technique.fit(table, SCHEMA)
    released = recoding.apply(table)
    assert released.height == 10
    assert released.schema["age"] == pl.Int64
    assert recoding.kept_rows(table).sum() == 10
    schema = recoding.released_schema()
    assert schema.columns["place"].hierarchy == PLACES
    assert schema.columns["age"].type is None or schema.columns["age"].type == "integer"
    stars = FullDomain(k=5, suppression_limit=1).fit(table, SCHEMA)
    assert stars.apply(table).schema["age"] == pl.String


# -- columns of every kind -------------------------------------------------------------------------


def test_constant_columns_and_columns_of_missing_cells_lose_nothing():
    table = table_of([(0.0, None, 18, "f", "flu", 1), (0.0, None, 18, "f", "gout", 2)] * 2)
    recoding = FullDomain(k=4, suppression_limit=0).fit(table, SCHEMA)
    assert recoding.levels == {"place": 0, "age": 0, "sex": 0}
    assert recoding.found.value == pytest.approx(0)
    assert recoding.apply(table)["place"].to_list() == [None] * 4


def test_texts_that_are_one_number_stay_two_values():
    table = pl.DataFrame({"code": ["80", "80.0"] * 3 + ["80"]})
    schema = Schema(quasi_identifiers=["code"])
    recoding = FullDomain(k=3, suppression_limit=0).fit(table, schema)
    assert recoding.apply(table)["code"].to_list() == table["code"].to_list()
    assert recoding.suppressed_rows == 0


@pytest.mark.parametrize(
    "values",
    [
        [1.5, float("nan"), None] * 4,
        [True, False, None] * 4,
        [0.0, -0.0, 2.0] * 4,
    ],
)
def test_every_type_of_column_without_a_hierarchy(values):
    table = pl.DataFrame({"x": values})
    recoding = FullDomain(k=4, suppression_limit=0).fit(table, Schema(quasi_identifiers=["x"]))
    released = recoding.apply(table)
    assert released["x"].is_null().equals(table["x"].is_null())
    assert verify(released, recoding.released_schema(), [KAnonymity(4)]).passed


def test_the_target_can_be_what_is_not_to_be_lost():
    # places tell the illness and ages do not: place stays
    rows = []
    for number in range(40):
        place = list(TOWNS)[number % 5]
        ill = "flu" if TOWNS[place][1] == "South" else "gout"
        rows.append((0.0, place, 18 + number % 13 % 3, "f", ill, number))
    schema = Schema(
        identifiers=["id"],
        quasi_identifiers={"place": PLACES, "age": None, "sex": None},
        target="ill",
        other=["note"],
    )
    table = table_of(rows)
    recoding = FullDomain(k=8, loss="classification", suppression_limit=0).fit(table, schema)
    assert recoding.found.value == 0
    assert recoding.levels["place"] < 3
    with pytest.raises(PlanError, match="needs a schema that names a target"):
        FullDomain(loss="classification").fit(table, SCHEMA)


def test_a_column_with_more_weight_is_kept_finer():
    rows = [
        (0.0, list(TOWNS)[number % 5], 18 + number % 7 % 4, "f", "flu", 1) for number in range(60)
    ]
    table = table_of(rows)
    settings = {"k": 8, "suppression_limit": 0}
    place = FullDomain(weights={"place": 9, "age": 1}, **settings).fit(table, SCHEMA)
    age = FullDomain(weights={"place": 1, "age": 9}, **settings).fit(table, SCHEMA)
    assert (place.levels["place"], place.levels["age"]) < (3, 2)
    assert place.levels["place"] < age.levels["place"]
    assert age.levels["age"] < place.levels["age"]


# -- what is said ----------------------------------------------------------------------------------


def test_it_says_what_was_done():
    table = table_of(lone(20, "Lyon", 18) + lone(20, "Vienne", 18) + lone(9, "Lille", 18))
    recoding = FullDomain(k=5, minimum_levels={"place": 1}).fit(table, SCHEMA)
    said = {change.column: change for change in recoding.describe()}
    assert said["id"].released_as is None
    assert said["note"].how == "released as it is"
    assert said["place"].how.startswith("its group at level 1 of 3 of the hierarchy for everybody")
    assert "no other levels lose less (arithmetic" in said["place"].how
    assert said["sex"].action == "kept"
    assert said["sex"].how == "the exact value for everybody"
    assert "suppress" not in said["place"].how


@pytest.mark.parametrize(
    ("hierarchy", "level", "words"),
    [
        (Hierarchy.bands([5, 10]), 1, "bands of 5 for everybody"),
        (Hierarchy.prefix([3, 1]), 1, "the first 3 characters for everybody"),
        (Hierarchy.prefix([3, 1]), 2, "the first character for everybody"),
        (Hierarchy.dates(["month", "year"]), 2, "the year for everybody"),
        (Hierarchy.flat(), 0, "the exact value for everybody"),
        (Hierarchy.flat(), 1, "'*', the same for everybody"),
    ],
)
def test_levels_in_words(hierarchy, level, words):
    assert level_in_words(hierarchy, level) == words


def test_a_search_that_was_stopped_does_not_call_itself_optimal():
    rows = [
        (0.0, list(TOWNS)[n % 5], [18, 20, 31][n % 3], "fm"[n % 2], "flu", n) for n in range(60)
    ]
    table = table_of(rows)
    stopped = FullDomain(k=5, check_limit=1, suppression_limit=1).fit(table, SCHEMA)
    assert not stopped.found.optimal
    assert stopped.found.checked < 8
    best = FullDomain(k=5, suppression_limit=1).fit(table, SCHEMA)
    assert best.found.optimal
    assert stopped.found.value >= best.found.value
    assert "the best levels found" in stopped.describe()[1].how
    for search in ("best-first", "top-down", "genetic", "optimal"):
        found = FullDomain(k=5, suppression_limit=1, search=search).fit(table, SCHEMA).found
        assert math.isclose(found.value, best.found.value)
        assert found.optimal


# -- what is refused -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"k": 1}, "k: Input should be greater than or equal to 2"),
        ({"suppression_limit": 1.5}, "suppression_limit"),
        ({"weights": {"age": -1}}, "a weight is 0 or more"),
        ({"loss": "arithmetik"}, "loss"),
        ({"serch": "auto"}, "unknown setting 'serch'. Did you mean 'search'"),
    ],
)
def test_wrong_settings_are_refused(settings: dict, message: str):
    with pytest.raises(PlanError, match=message):
        FullDomain(**settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"weights": {"agee": 2}}, "weights.agee: there is no such quasi-identifier"),
        ({"weights": {"place": 0, "age": 0, "sex": 0}}, "a weight above 0"),
        ({"k": 2, "minimum_levels": {"ill": 1}}, "minimum_levels.ill: there is no such"),
        ({"k": 5}, "k = 5 is more than the table has: 3 rows"),
    ],
)
def test_settings_that_do_not_fit_the_table_are_refused(settings: dict, message: str):
    with pytest.raises(PlanError, match=message):
        FullDomain(**settings).fit(table_of(lone(3, "Lyon", 18)), SCHEMA)


def test_a_table_without_quasi_identifiers_is_refused():
    with pytest.raises(SchemaError, match="names no quasi-identifier"):
        FullDomain(k=2).fit(pl.DataFrame({"x": [1, 2]}), Schema(other=["x"]))


def test_what_k_is_by_default():
    assert FullDomain().promised() == (KAnonymity(5),)
    assert FullDomain(criteria=[KAnonymity(3)]).promised() == (KAnonymity(3),)
    assert FullDomain(
        k=7, criteria=[{"kind": "l-diversity", "column": "ill", "l": 2}]
    ).promised() == (
        KAnonymity(7),
        LDiversity("ill", 2),
    )
