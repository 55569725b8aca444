import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from sfumato.errors import DataError, PlanError
from sfumato.synthesis import Generator, TreeGenerator, Trees
from sfumato.synthesis.dependence import by_dependence, mutual_information
from sfumato.synthesis.tree_kernels import grow
from sfumato.table import Column, Hierarchy, Schema

HEART = Path(__file__).parents[1] / "data" / "heart_sample.parquet"
REST = Schema(rest="other")


@pytest.fixture(scope="module")
def heart():
    return pl.read_parquet(HEART)


@pytest.fixture(scope="module")
def model(heart):
    schema = Schema(identifiers=["PatientID"], target="HadHeartAttack", rest="other")
    return Trees(minimum=20).fit(heart, schema)


def test_a_sample_has_the_columns_types_and_margins_of_the_table(heart, model):
    sample = model.sample(10_000, seed=1)
    real = heart.drop("PatientID")
    assert sample.schema == real.schema
    for name in real.columns:
        if real[name].dtype == pl.String:
            shares = (
                real[name]
                .value_counts(normalize=True)
                .join(
                    sample[name].value_counts(normalize=True), on=name, how="full", suffix="_drawn"
                )
            )
            apart = shares["proportion"].fill_null(0) - shares["proportion_drawn"].fill_null(0)
            assert apart.abs().sum() / 2 < 0.06, name
        else:
            assert real[name].min() <= sample[name].min() <= sample[name].max() <= real[name].max()


def test_ties_that_go_up_and_down_are_kept():
    random = np.random.default_rng(0)
    x = random.normal(size=8_000)
    table = pl.DataFrame({"x": x.round(2), "y": (x**2 + random.normal(0, 0.1, x.size)).round(2)})
    sample = Trees().fit(table, REST).sample(8_000, seed=1)
    for rows in (table, sample):
        assert abs(np.corrcoef(rows["x"], rows["y"])[0, 1]) < 0.1
        assert np.corrcoef(rows["x"] ** 2, rows["y"])[0, 1] > 0.9


def test_what_is_independent_stays_one_group():
    random = np.random.default_rng(1)
    table = pl.DataFrame(
        {f"c{i}": random.choice(list("abcd"), 3_000) for i in range(4)}
        | {f"n{i}": random.normal(size=3_000) for i in range(4)}
    )
    strict = Trees(evidence=30).fit(table, REST)
    assert sum(tree.leaves for tree in strict.trees) <= 10
    greedy = Trees(evidence=0).fit(table, REST)
    assert sum(tree.leaves for tree in greedy.trees) > 500


@pytest.mark.parametrize("evidence", [8.0, 0.0])
def test_every_leaf_holds_enough_people_not_rows(evidence):
    random = np.random.default_rng(2)
    n = 1_200
    who = random.integers(0, 200, n)  # six rows a person
    a = random.normal(size=n)
    table = pl.DataFrame({"who": who, "a": a, "b": (a > 0) ^ (random.random(n) < 0.2), "c": a**2})
    model = Trees(minimum=10, leaf=15, evidence=evidence).fit(
        table, Schema(person="who", rest="other")
    )
    read = table.drop("who")
    weights = (1 / pl.Series(who).to_frame("w").select(pl.len().over("w"))["len"]).to_numpy()
    codes = model.codec.encode(read).astype(np.int32)
    for tree in model.trees:
        leaves = np.flatnonzero(tree.feature < 0)
        assert (tree.end - tree.begin)[leaves].min() >= 15
        # walked again, row by row, without the kernels
        at = np.array([walked(tree, row) for row in codes])
        if (np.sort(codes[:, tree.target]) == np.sort(tree.donors)).all():
            people = np.bincount(at, weights=weights, minlength=tree.feature.size)
            assert people[leaves].min() >= 15 * 0.9  # encode may move a number to a neighbour
    assert model.left_out == ("who",)


def walked(tree, row):
    node = 0
    while tree.feature[node] >= 0:
        k = tree.feature[node]
        right = tree.axes[k, row[tree.columns[k]]] > tree.threshold[node]
        node = tree.left[node] + int(right)
    return node


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000), st.booleans(), st.integers(1, 6))
def test_the_first_split_is_the_best_of_all(seed, indicator, leaf):
    random = np.random.default_rng(seed)
    n, p, cells = 40, 3, 4
    predictors = random.integers(0, 5, (n, p)).astype(np.int32)
    response = random.integers(0, cells, n).astype(np.int32)
    scores = np.eye(cells) if indicator else random.normal(size=(cells, 2))
    weights = random.choice([0.25, 0.5, 1.0], n)

    def scatter(rows):
        values, share = scores[response[rows]], weights[rows]
        mean = share @ values / share.sum()
        return float((share[:, None] * (values - mean) ** 2).sum())

    best = 0.0
    for k in range(p):
        for place in range(4):
            sides = predictors[:, k] <= place
            if min(weights[sides].sum(), weights[~sides].sum()) >= leaf:
                lowered = scatter(np.arange(n)) - scatter(np.flatnonzero(sides))
                best = max(best, lowered - scatter(np.flatnonzero(~sides)))
    most = 2 * n + 1
    feature, threshold, left = (np.empty(most, dtype=np.int32) for _ in range(3))
    begin, end = np.empty(most, dtype=np.int64), np.empty(most, dtype=np.int64)
    rows = np.arange(n)
    grow(
        predictors,
        np.array([0, 5, 10, 15]),
        response,
        scores,
        indicator,
        weights,
        float(leaf),
        0.0,
        rows,
        feature,
        threshold,
        left,
        begin,
        end,
    )
    if feature[0] < 0:
        assert best < 1e-6 or weights.sum() < 2 * leaf
        return
    parts = [rows[begin[child] : end[child]] for child in (left[0], left[0] + 1)]
    found = scatter(np.arange(n)) - sum(scatter(part) for part in parts)
    assert found == pytest.approx(best, abs=1e-9)


def test_the_same_seed_gives_the_same_rows_and_a_longer_sample_starts_alike(model, small):
    sample = model.sample(500, seed=3)
    assert_frame_equal(sample, model.sample(500, seed=3))
    assert_frame_equal(sample[:120], model.sample(120, seed=3))
    assert not sample.equals(model.sample(500, seed=4))
    model = Trees().fit(small, REST)
    some = model.sample(200, seed=3, given={"c": 1})
    assert_frame_equal(some[:50], model.sample(50, seed=3, given={"c": 1}))


def test_the_model_survives_its_file(model, tmp_path):
    model.save(tmp_path / "model.json")
    again = Generator.load(tmp_path / "model.json")
    assert isinstance(again, TreeGenerator)
    assert_frame_equal(again.sample(300, seed=5), model.sample(300, seed=5))
    assert again.to_dict() == json.loads(json.dumps(model.to_dict()))
    assert again.describe() == model.describe()
    assert again.released_schema().target == "HadHeartAttack"
    assert "PatientID" not in again.released_schema().columns


@pytest.fixture(scope="module")
def small():
    random = np.random.default_rng(5)
    n = 4_000
    a = random.choice(["x", "y", "z"], n, p=[0.6, 0.3, 0.1])
    b = np.where(random.random(n) < 0.8, a, "x")
    c = np.where(random.random(n) < np.where(b == "z", 0.9, 0.2), 1, 0)
    return pl.DataFrame({"a": a, "b": b, "c": c})


@pytest.mark.parametrize("smoothing", [0.0, 30.0])
@pytest.mark.parametrize("fixed", [{"c": 1}, {"b": "z"}, {"c": 1, "a": "z"}])
def test_given_rows_follow_the_models_own_rows_with_those_values(small, smoothing, fixed):
    model = Trees(order="as given", smoothing=smoothing).fit(small, REST)
    drawn = model.sample(6_000, seed=1, given=fixed)
    plain = model.sample(200_000, seed=2)
    for name, value in fixed.items():
        assert (drawn[name] == value).all()
        plain = plain.filter(pl.col(name) == value)
    for name in set(small.columns) - set(fixed):
        for value in small[name].unique():
            expected, n = (plain[name] == value).mean(), min(plain.height, 6_000)
            error = 4 * np.sqrt(2 * max(expected * (1 - expected), 1e-3) / n)
            assert (drawn[name] == value).mean() == pytest.approx(expected, abs=error)


def test_what_was_not_learned_cannot_be_given(small):
    model = Trees().fit(small, REST)
    for fixed, message in [
        ({"a": "w"}, "was not learned"),
        ({"a": None}, "was not learned"),
        ({"d": 1}, "no column 'd'"),
        ({"a": "y", "b": "z"}, "too rare"),
        ({"c": "one"}, "another type"),
    ]:
        with pytest.raises(DataError, match=message):
            model.sample(10, seed=1, given=fixed)
    with pytest.raises(DataError, match="at least 1 row"):
        model.sample(0, seed=1)


def test_missing_and_suppressed_stay_together():
    random = np.random.default_rng(6)
    n = 3_000
    starred = random.random(n) < 0.1
    table = pl.DataFrame(
        {
            "q1": np.where(starred, "*", random.choice(["a", "b"], n)),
            "q2": np.where(starred, "*", random.choice(["c", "d"], n)),
            "v": pl.Series(
                [
                    None if u < 0.2 else v
                    for u, v in zip(random.random(n), random.normal(size=n).round(1), strict=True)
                ]
            ),
        }
    )
    sample = Trees().fit(table, REST).sample(n, seed=1)
    assert ((sample["q1"] == "*") == (sample["q2"] == "*")).all()
    assert (sample["q1"] == "*").mean() == pytest.approx(0.1, abs=0.03)
    assert sample["v"].is_null().mean() == pytest.approx(0.2, abs=0.03)


def test_a_category_of_many_values_is_followed():
    random = np.random.default_rng(7)
    n = 12_000
    code = random.integers(0, 60, n)
    table = pl.DataFrame(
        {"code": [f"c{v:02}" for v in code], "group": [f"g{v // 20}" for v in code]}
    )
    for order in (("code",), ("group",)):
        sample = Trees(order=order).fit(table, REST).sample(n, seed=1)
        right = sample["code"].str.slice(1).cast(pl.Int64) // 20
        assert (sample["group"].str.slice(1).cast(pl.Int64) == right).mean() > 0.99


def test_settings_that_contradict_the_protection_are_refused(small):
    with pytest.raises(PlanError, match="below minimum"):
        Trees(minimum=10, leaf=5)
    with pytest.raises(PlanError, match="no learned column"):
        Trees(order=("nope",)).fit(small, REST)


def test_the_order_begins_as_asked_and_ends_with_the_target(small):
    target = Schema(target="a", rest="other")
    for order, drawn in (
        ("as given", ["a", "b", "c"]),
        (("c",), ["c", "b", "a"]),
        (("a",), ["a", "b", "c"]),
    ):
        model = Trees(order=order).fit(small, target)
        assert [model.codec.names[tree.target] for tree in model.trees] == drawn
    assert Trees().fit(small, target).trees[-1].target == 0
    codes = np.column_stack([np.arange(4_000) % 4, np.arange(4_000) % 2, np.arange(4_000) % 3])
    codes = codes.astype(np.int32)
    told = mutual_information(codes, (4, 2, 3))
    assert told[0, 1] == pytest.approx(np.log(2), abs=1e-3)
    assert told[0, 2] == pytest.approx(0, abs=1e-3)
    assert by_dependence(codes, (4, 2, 3), last=[1]) == [0, 2, 1]


def test_a_small_table_is_warned_of_with_the_setting_that_mends_it(small):
    twice = pl.concat([small, small])
    for rows, said, warned in (
        (4_999, {"evidence": 15}, True),
        (4_999, {}, False),
        (5_000, {"evidence": 8}, False),
    ):
        model = Trees(**said).fit(twice[:rows], REST)
        told = [one for one in model.describe() if "Warning" in one]
        assert bool(told) == warned
        assert all("`evidence` = 16" in one for one in told)


@pytest.mark.parametrize(("rows", "evidence"), [(4_999, 16), (5_000, 8)])
def test_few_people_need_more_evidence_for_a_split(small, rows, evidence):
    table = pl.concat([small, small])[:rows]
    model = Trees().fit(table, REST)
    assert model.evidence == evidence
    assert model.to_dict() == Trees(evidence=evidence).fit(table, REST).to_dict()


def test_evidence_counts_in_variances_of_the_group():
    """A split of two halves lowers the sum of squares by n d² / 4, d the gap of their means."""
    n = 400
    predictors = (np.arange(n) % 2).astype(np.int32)[:, None]
    for of_right, least in [(120, True), (104, False)]:
        response = np.zeros(n, dtype=np.int32)
        response[np.flatnonzero(predictors[:, 0] == 1)[:of_right]] = 1
        response[np.flatnonzero(predictors[:, 0] == 0)[: 200 - of_right]] = 1
        gap = (2 * of_right - 200) / 200
        gain = n * gap**2 / 4 * 2  # of both indicators
        variance = 0.5
        assert (gain >= 8 * variance) == least
        most = 2 * n + 1
        feature, threshold, left = (np.empty(most, dtype=np.int32) for _ in range(3))
        begin, end = np.empty(most, dtype=np.int64), np.empty(most, dtype=np.int64)
        nodes = grow(
            *(predictors, np.array([0, 2]), response, np.eye(2), True, np.ones(n), 10.0, 8.0),
            *(np.arange(n), feature, threshold, left, begin, end),
        )
        assert (nodes == 3) == least


def test_the_numbers_of_classes_have_no_order():
    """Three classes side by side, numbered so that the middle one is not between the others."""
    random = np.random.default_rng(3)
    x = random.normal(size=3_000).round(3)
    label = np.array([1, 2, 0])[np.searchsorted([-0.5, 0.5], x)]
    table = pl.DataFrame({"label": label, "x": x})
    schema = Schema(target="label", rest="other")
    model = Trees().fit(table, schema)
    assert [grid.kind for grid in model.codec.grids] == ["category", "number"]
    sample = model.sample(3_000, seed=1)
    assert sample.schema == table.schema
    assert model.released_schema() == schema.check(table)
    belongs = np.array([1, 2, 0])[np.searchsorted([-0.5, 0.5], sample["x"].to_numpy())]
    assert (belongs == sample["label"].to_numpy()).mean() > 0.97
    said = Schema(target="label", types={"label": "integer"}, rest="other")
    assert Trees().fit(table, said).codec.grids[0].kind == "number"


def test_a_declared_order_keeps_neighbours_on_one_side_of_a_split():
    """Of a category, trees may join any values; of an ordered one, only neighbours."""
    random = np.random.default_rng(4)
    level = random.integers(0, 3, 6_000)  # low 0, mid 1, high 2
    table = pl.DataFrame(
        {
            "level": np.array(["low", "mid", "high"])[level],
            "y": np.where(level == 1, 0.0, 1.0) + random.normal(0, 0.1, level.size).round(3),
        }
    )
    order = Hierarchy.ordered(["low"], ["mid"], ["high"])
    for hierarchy, splits in ((order, 2), (None, 1)):
        schema = Schema.of({"level": Column("other", hierarchy=hierarchy), "y": Column("other")})
        model = Trees(order=("level",), evidence=200).fit(table, schema)
        tree = model.trees[1]
        assert (tree.feature >= 0).sum() == splits
        grid = model.codec.grids[0]
        assert grid.ordered == (hierarchy is not None)
        if hierarchy is not None:
            assert grid.labels == ("low", "mid", "high")
            assert (np.diff(tree.axes[0, :3]) > 0).all()
