import json
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from sfumato.errors import DataError, PlanError
from sfumato.synthesis import CopulaGenerator, GaussianCopula, Generator
from sfumato.table import Column, Hierarchy, Schema

HEART = Path(__file__).parents[1] / "data" / "heart_sample.parquet"
REST = Schema(rest="other")


def fit(table, schema=REST, **settings_):
    return GaussianCopula(**settings_).fit(table, schema)


@pytest.fixture(scope="module")
def heart():
    return pl.read_parquet(HEART)


@pytest.fixture(scope="module")
def heart_model(heart):
    return fit(heart, Schema(identifiers=["PatientID"], target="HadHeartAttack", rest="other"))


def test_a_sample_looks_like_the_table(heart, heart_model):
    sample = heart_model.sample(20_000, seed=1)
    real = heart.drop("PatientID")
    assert sample.columns == real.columns
    assert sample.dtypes == real.dtypes
    for name in real.columns:
        if real[name].dtype == pl.String:
            assert set(sample[name].unique()) <= set(real[name].unique())
        else:
            assert real[name].min() <= sample[name].min()
            assert sample[name].max() <= real[name].max()
            assert sample[name].mean() == pytest.approx(
                real[name].mean(), abs=0.05 * max(real[name].std(), 0.01)
            )
    numbers = [name for name in real.columns if real[name].dtype != pl.String]
    apart = np.abs(
        np.corrcoef(real[numbers].to_numpy().T) - np.corrcoef(sample[numbers].to_numpy().T)
    )
    assert apart.mean() < 0.01
    target = numbers.index("HadHeartAttack")
    assert apart[target].mean() < 0.01


def test_a_category_is_one_column_so_no_row_has_two_values(heart_model):
    sample = heart_model.sample(3_000, seed=2).select("SmokerStatus", "RaceEthnicityCategory")
    indicators = sample.to_dummies()
    for name in sample.columns:
        ones = indicators.select(pl.sum_horizontal(pl.col(f"^{name}_.*$"))).to_series()
        assert ones.unique().to_list() == [1]


def test_the_same_seed_gives_the_same_rows_and_a_longer_sample_starts_alike(heart_model):
    sample = heart_model.sample(500, seed=3)
    assert_frame_equal(sample, heart_model.sample(500, seed=3))
    assert_frame_equal(sample[:120], heart_model.sample(120, seed=3))
    assert not sample.equals(heart_model.sample(500, seed=4))


def test_the_model_survives_its_file_with_the_same_samples(heart_model, tmp_path):
    path = tmp_path / "model.json"
    heart_model.save(path)
    again = Generator.load(path)
    assert isinstance(again, CopulaGenerator)
    assert_frame_equal(again.sample(300, seed=5), heart_model.sample(300, seed=5))
    assert again.to_dict() == heart_model.to_dict()
    assert list(again.schema.columns) == list(heart_model.schema.columns)
    assert again.describe() == heart_model.describe()


def test_the_released_schema_fits_the_sample(heart_model):
    schema = heart_model.released_schema()
    assert "PatientID" not in schema.columns
    assert schema.person is None
    assert schema.target == "HadHeartAttack"
    schema.check(heart_model.sample(5, seed=0))


def test_no_person_is_repeated(heart, heart_model):
    sample = heart_model.sample(heart.height, seed=6)
    copied = sample.join(heart, on=sample.columns, how="semi", nulls_equal=True)
    assert copied.height == 0


@pytest.fixture(scope="module")
def every_type():
    random = np.random.default_rng(7)
    n = 3_000
    age = random.normal(50, 15, n)
    visits = (np.abs(age - 20) / 10 + random.random(n)).astype(int)
    return pl.DataFrame(
        {
            "whole": pl.Series(visits, dtype=pl.UInt8),
            "fives": pl.Series(np.round(age) * 5, dtype=pl.Int64),
            "tenths": pl.Series(np.round(age, 1)),
            "single": pl.Series(np.round(age, 2), dtype=pl.Float32),
            "free": pl.Series(age),
            "flag": pl.Series(age > 60),
            "word": pl.Series(np.where(age > 50, "old", "young")),
            "listed": pl.Series(
                np.where(age > 50, "b", "a"), dtype=pl.Enum(["a", "b", "c (one person)"])
            ),
            "grouped": pl.Series(np.where(age > 50, "b", "a")).cast(pl.Categorical),
            "day": [date(2020, 1, 1 + int(value) % 28) for value in age],
            "moment": pl.Series([date(2020, 1, 1 + int(value) % 28) for value in age])
            .cast(pl.Datetime("ns"))
            .dt.offset_by("12h"),
            "cents": pl.Series(np.round(age, 2)).cast(pl.Decimal(10, 2)),
            "nothing": pl.Series([None] * n, dtype=pl.String),
            "same": pl.Series(["x"] * n),
        }
    )


def test_every_type_comes_back_as_itself(every_type):
    model = fit(every_type)
    sample = model.sample(2_000, seed=1)
    for name in every_type.columns:
        expected = pl.Enum(["a", "b"]) if name == "listed" else every_type[name].dtype
        assert sample[name].dtype == expected, name
    assert (sample["fives"] % 5 == 0).all()
    assert (sample["moment"].dt.hour() == 12).all()
    assert sample["nothing"].null_count() == 2_000
    assert sample["same"].unique().to_list() == ["x"]
    again = CopulaGenerator.from_dict(json.loads(json.dumps(model.to_dict())))
    assert_frame_equal(again.sample(50, seed=2), sample.clear().vstack(model.sample(50, seed=2)))


def test_missing_values_keep_their_share_and_their_company():
    random = np.random.default_rng(8)
    n = 8_000
    sick = random.random(n) < 0.3
    lab = np.where(sick & (random.random(n) < 0.8), None, random.normal(size=n).round(2))
    table = pl.DataFrame({"sick": sick, "lab": pl.Series(lab.tolist(), dtype=pl.Float64)})
    sample = fit(table).sample(n, seed=1)
    assert sample["lab"].null_count() / n == pytest.approx(table["lab"].null_count() / n, abs=0.02)
    of_sick = sample.filter("sick")["lab"].is_null().mean()
    of_others = sample.filter(~pl.col("sick"))["lab"].is_null().mean()
    assert of_sick == pytest.approx(0.8, abs=0.06)
    assert of_others < 0.03


def test_a_suppressed_row_stays_suppressed_as_a_whole():
    random = np.random.default_rng(9)
    n = 4_000
    gone = random.random(n) < 0.1
    weight = random.normal(80, 10, n).round(1)
    table = pl.DataFrame(
        {
            "region": np.where(gone, "*", random.choice(["north", "south"], n)),
            "sex": np.where(gone, "*", random.choice(["f", "m"], n)),
            "weight": ["*" if g else str(w) for g, w in zip(gone, weight, strict=True)],
        }
    )
    sample = fit(table).sample(n, seed=1)
    stars = sample.select(pl.all() == "*")
    assert stars["region"].mean() == pytest.approx(0.1, abs=0.02)
    assert stars["region"].equals(stars["sex"].rename("region"))
    assert stars["region"].equals(stars["weight"].rename("region"))
    weights = sample.filter(pl.col("weight") != "*")["weight"].cast(pl.Float64)
    assert weights.mean() == pytest.approx(80, abs=1)


def test_a_rare_text_is_left_out_or_pooled():
    table = pl.DataFrame({"job": ["nurse"] * 500 + ["clerk"] * 300 + ["pope", "queen"] * 6})
    dropped = fit(table, minimum=10)
    assert set(dropped.sample(5_000, seed=1)["job"]) == {"nurse", "clerk"}
    assert any(sentence.startswith("job: 1.48%") for sentence in dropped.describe())
    pooled = fit(table, minimum=10, rare="pool").sample(5_000, seed=1)["job"]
    assert set(pooled) == {"nurse", "clerk", "(other)"}
    text = json.dumps(dropped.to_dict()) + json.dumps(fit(table, rare="pool").to_dict())
    assert "pope" not in text
    assert "queen" not in text


def test_rare_is_counted_in_people():
    table = pl.DataFrame(
        {
            "id": ["one"] * 50 + [f"p{i}" for i in range(100)],
            "drug": ["experimental"] * 50 + ["aspirin"] * 100,
        }
    )
    by_rows = fit(table, Schema(identifiers=["id"], rest="other"), minimum=10)
    assert "experimental" in set(by_rows.sample(500, seed=1)["drug"])
    by_people = fit(table, Schema(identifiers=["id"], person="id", rest="other"), minimum=10)
    assert set(by_people.sample(500, seed=1)["drug"]) == {"aspirin"}


def test_free_text_is_refused_without_a_cell_of_it():
    table = pl.DataFrame({"note": [f"Mrs Canary {i}" for i in range(100)]})
    with pytest.raises(DataError, match=r"'note'.*free text or an identifier") as raised:
        fit(table)
    assert "Canary" not in str(raised.value)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (pl.DataFrame({"a": [1.0, float("nan")] * 20}), "20 cells.*first in row 2"),
        (pl.DataFrame({"a": [1.0, float("inf")] * 20}), "not finite"),
        (pl.DataFrame({"a": [[1], [2]] * 20}), "cannot learn"),
        (pl.DataFrame({"a": [1, 2, 3]}), "3 people"),
    ],
)
def test_what_cannot_be_learned_is_refused(table, words):
    with pytest.raises(DataError, match=words):
        fit(table)


def test_a_table_of_identifiers_alone_is_refused(heart):
    with pytest.raises(DataError, match="identifier"):
        fit(heart.select("PatientID"), Schema(identifiers=["PatientID"]))


def test_wrong_settings_are_refused():
    with pytest.raises(PlanError, match="minimum"):
        GaussianCopula(minimum=1)
    with pytest.raises(PlanError, match="cells"):
        GaussianCopula(cels=100)


def test_a_sample_has_at_least_one_row(heart_model):
    assert heart_model.sample(1, seed=0).height == 1
    with pytest.raises(DataError, match="at least 1"):
        heart_model.sample(0, seed=0)


def test_it_says_what_it_does_not_keep(heart_model):
    said = " ".join(heart_model.describe())
    assert "PatientID" in said
    assert "three or more columns" in said
    assert "No formal promise" in said


def test_the_table_is_left_as_it_is(heart):
    before = heart.clone()
    fit(heart, Schema(identifiers=["PatientID"], rest="other"))
    assert_frame_equal(heart, before)


@given(
    codes=st.lists(st.sampled_from(["a", "b", "c", None, "*"]), min_size=20, max_size=60),
    numbers=st.lists(st.one_of(st.none(), st.integers(-9, 9)), min_size=20, max_size=60),
)
@settings(max_examples=15, deadline=None)
def test_only_learned_cells_occur(codes, numbers):
    n = min(len(codes), len(numbers))
    table = pl.DataFrame(
        {"code": codes[:n], "number": numbers[:n], "of_all": ["x"] * n},
        schema={"code": pl.String, "number": pl.Int64, "of_all": pl.String},
    )
    try:
        model = fit(table, minimum=2)
    except DataError:
        return  # most values too rare: refused
    sample = model.sample(200, seed=1)
    assert set(sample["code"]) <= set(table["code"])
    assert sample["number"].null_count() == 0 or table["number"].null_count() > 0
    known = table["number"].drop_nulls()
    drawn = sample["number"].drop_nulls()
    if drawn.len():
        assert known.min() <= drawn.min()
        assert drawn.max() <= known.max()


def test_each_frequent_class_of_the_target_keeps_what_a_column_tells_of_it():
    random = np.random.default_rng(10)
    n = 6_000
    level = random.normal(100, 15, n)
    # Sick are the low and the high: no straight line tells them.
    sick = (np.abs(level - 100) > 20) & (random.random(n) < 0.9)
    table = pl.DataFrame({"level": level.round(1), "sick": sick})
    sample = fit(table, Schema(target="sick", rest="other")).sample(n, seed=1)
    extreme = (sample["level"] - 100).abs() > 20
    assert sample.filter(extreme)["sick"].mean() == pytest.approx(0.9, abs=0.04)
    assert sample.filter(~extreme)["sick"].mean() < 0.03
    linear = fit(table, Schema(target="sick", rest="other"), by_target=False)
    assert linear.target is None
    assert linear.sample(n, seed=1).filter(~extreme)["sick"].mean() > 0.1


def test_rare_classes_and_rows_without_a_target_are_learned_together():
    random = np.random.default_rng(11)
    table = pl.DataFrame(
        {
            "grade": pl.Series(["a"] * 3_000 + ["b"] * 900 + ["c"] * 60 + ["d"] * 3 + [None] * 37),
            "dose": random.normal(size=4_000),
            "only of a": pl.Series([1.5, 2.5] * 1_500 + [None] * 1_000),
        }
    )
    model = fit(table, Schema(target="grade", rest="other"))
    assert model.target == "grade"
    assert [round(one.probability, 4) for one in model.strata] == [0.25, 0.75]
    sample = model.sample(8_000, seed=1)
    assert set(sample["grade"]) == {"a", "b", "c", None}
    assert sample["grade"].value_counts(normalize=True).filter(pl.col("grade") == "c")[
        "proportion"
    ].item() == pytest.approx(0.015, abs=0.005)
    assert sample.filter(pl.col("grade") == "b")["only of a"].is_null().all()
    assert set(sample.filter(pl.col("grade") == "a")["only of a"]) == {1.5, 2.5}


def test_a_target_with_many_values_is_a_column_like_any_other():
    random = np.random.default_rng(12)
    table = pl.DataFrame({"cost": random.lognormal(size=2_000), "age": random.normal(size=2_000)})
    model = fit(table, Schema(target="cost", rest="other"))
    assert model.target is None
    assert len(model.strata) == 1


def test_a_stratum_never_tells_of_fewer_than_minimum_people() -> None:
    """Twelve people have the rare value and one of them died: the dead must not show just one."""
    rare, dead = ["rare"] * 12, [1] + [0] * 11
    table = pl.DataFrame(
        {
            "kind": rare + ["common"] * 988,
            "died": dead + [1 if row % 2 else 0 for row in range(988)],
        }
    )
    schema = Schema(quasi_identifiers=["kind"], target="died")
    learned = json.dumps(GaussianCopula(minimum=10).fit(table, schema).to_dict())
    dead_in_all = 1 + 494
    assert str(1 / dead_in_all) not in learned


def test_a_declared_order_is_kept_on_the_axis():
    """Left alone the axis would put the middle level at an end, since it differs the most."""
    random = np.random.default_rng(5)
    level = random.integers(0, 3, 3_000)
    table = pl.DataFrame(
        {
            "level": np.array(["low", "mid", "high"])[level],
            "odd": np.where(level == 1, 2.0, 0.0) + random.normal(0, 0.5, level.size).round(2),
            "up": level + random.normal(0, 0.5, level.size).round(2),
        }
    )
    order = Hierarchy.ordered(["low"], ["mid"], ["high"])
    rest = {"odd": Column("other"), "up": Column("other")}
    declared = fit(table, Schema.of({"level": Column("other", hierarchy=order), **rest}))
    assert declared.columns[0].coding.values == ("low", "mid", "high")
    assert fit(table).columns[0].coding.values != ("low", "mid", "high")

    def ends(rows):
        return rows.group_by("level").agg(pl.col("up").mean()).sort("level")["up"].to_numpy()

    again = CopulaGenerator.from_dict(json.loads(json.dumps(declared.to_dict())))
    sample = again.sample(3_000, seed=1)
    assert sample.equals(declared.sample(3_000, seed=1))
    assert ends(sample) == pytest.approx(ends(table), abs=0.2)
