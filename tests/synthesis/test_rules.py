import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from sfumato.errors import DataError, PlanError
from sfumato.synthesis import GaussianCopula, Generator, RuledGenerator, Trees
from sfumato.table import Schema

REST = Schema(rest="other")
DECLARED = {
    "derived": {"bmi": "weight / POWER(height, 2)", "obese": "bmi >= 30"},
    "rules": ("diastolic < systolic", "not pregnant or sex = 'female'"),
}


@pytest.fixture(scope="module")
def patients():
    random = np.random.default_rng(0)
    n = 3_000
    sex = random.choice(["female", "male"], n)
    height = np.where(sex == "female", 1.65, 1.78) + random.normal(0, 0.07, n)
    diastolic = random.normal(80, 10, n).astype(int)
    table = pl.DataFrame(
        {
            "id": np.arange(n),
            "sex": sex,
            "pregnant": (sex == "female") & (random.random(n) < 0.1),
            "height": height.round(2),
            "weight": (22 * height**2 + random.normal(0, 9, n)).round(1),
            "diastolic": diastolic,
            "systolic": diastolic + 1 + random.gamma(3, 8, n).astype(int),
        }
    )
    return table.with_columns(bmi=(pl.col("weight") / pl.col("height") ** 2).round(2)).with_columns(
        obese=pl.col("bmi") >= 30
    )


@pytest.mark.parametrize("kind", [GaussianCopula, Trees])
def test_every_drawn_row_keeps_what_is_declared(kind, patients, tmp_path):
    schema = Schema(identifiers=["id"], target="obese", rest="other")
    model = kind(**DECLARED).fit(patients, schema)
    sample = model.sample(2_000, seed=1)
    assert sample.schema == patients.drop("id").schema
    assert (sample["diastolic"] < sample["systolic"]).all()
    assert sample.filter("pregnant")["sex"].unique().to_list() == ["female"]
    assert sample["bmi"].equals((sample["weight"] / sample["height"] ** 2).round(2))
    assert sample["obese"].equals(sample["bmi"] >= 30)
    assert_frame_equal(sample[:100], model.sample(100, seed=1))
    assert model.released_schema().target == "obese"
    model.released_schema().check(sample)
    model.save(tmp_path / "model.json")
    again = Generator.load(tmp_path / "model.json")
    assert isinstance(again, RuledGenerator)
    assert_frame_equal(again.sample(50, seed=2), model.sample(50, seed=2))
    assert again.describe() == model.describe()
    women = model.sample(300, seed=3, given={"pregnant": True})
    assert set(women["sex"]) == {"female"}
    with pytest.raises(DataError, match="is derived"):
        model.sample(5, seed=1, given={"bmi": 30.0})


def test_rows_of_the_table_that_break_a_rule_are_told_but_not_small_counts(patients):
    rules = ("weight < 80", "height > 1.4")
    wrong = patients.with_columns(
        bmi=(pl.col("bmi") + pl.when(pl.col("id") < 100).then(1).otherwise(0)).round(2)
    )
    model = Trees(rules=rules, derived={"bmi": "weight / POWER(height, 2)"}).fit(
        wrong.drop("id"), REST
    )
    told = " ".join(model.describe())
    heavy = int((patients["weight"] >= 80).sum())
    assert f"{heavy:,} of the 3,000 rows" in told
    assert "100 of the 3,000 rows (3.33%) of the table hold another value" in told
    few = patients.with_columns(height=pl.when(pl.col("id") < 4).then(1.2).otherwise("height"))
    told = " ".join(Trees(rules=("height > 1.3",)).fit(few.drop("id"), REST).describe())
    assert "Fewer than 10 rows of the table break it" in told
    assert "4 of" not in told


def test_rejection_gives_the_models_rows_that_keep_the_rule(patients):
    table = patients.select("sex", "height", "weight")
    free = Trees().fit(table, REST).sample(60_000, seed=1).filter(pl.col("height") > 1.8)
    ruled = Trees(rules=("height > 1.8",)).fit(table, REST).sample(5_000, seed=2)
    assert ruled["height"].min() > 1.8
    assert ruled["weight"].mean() == pytest.approx(free["weight"].mean(), abs=0.8)
    assert (ruled["sex"] == "male").mean() == pytest.approx(
        (free["sex"] == "male").mean(), abs=0.03
    )


def test_rules_that_too_few_rows_keep_are_refused(patients):
    model = Trees(rules=("height > 1.0", "weight > 1000")).fit(patients.drop("id"), REST)
    with pytest.raises(DataError, match=r"0\.00%.*least_kept.*'weight > 1000' is broken most"):
        model.sample(10, seed=1)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"rules": ("weight <",)}, PlanError, "no SQL expression"),
        ({"rules": ("1 < 2",)}, PlanError, "names no column"),
        ({"rules": ("wieght < 2",)}, DataError, "Did you mean 'weight'"),
        ({"rules": ("weight + 1",)}, PlanError, "not true or false"),
        ({"rules": ("weight > avg(weight)",)}, PlanError, "each row by itself"),
        ({"rules": ("sum(weight) > 1",)}, PlanError, "each row by itself"),
        ({"rules": ("id > 1",)}, DataError, "no column 'id'"),
        ({"derived": {"bmi": "bmi + 1"}}, PlanError, "derived itself"),
        ({"derived": {"nope": "weight"}}, DataError, "no column 'nope'"),
        ({"derived": {"sex": "weight > 3"}}, PlanError, "gives Boolean, but the column 'sex'"),
        ({"derived": {"obese": "bmi > 30", "bmi": "weight"}}, PlanError, "derive that first"),
    ],
)
def test_what_cannot_be_computed_is_refused(settings, error, message, patients):
    with pytest.raises(error, match=message):
        Trees(**settings).fit(patients, Schema(identifiers=["id"], rest="other"))


def test_a_missing_value_breaks_no_rule():
    table = pl.DataFrame({"a": [1, 2, None, 3] * 20, "b": [2, 3, 4, 5] * 20})
    model = GaussianCopula(rules=("a < b",)).fit(table, REST)
    assert "No rows of the table break it" in " ".join(model.describe())
    assert model.sample(500, seed=1)["a"].null_count() > 0
