"""Derived columns and rules under a budget: post-processing, without a look at the table."""

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from sfumato.errors import DataError, PlanError, SchemaError
from sfumato.privacy.differential import Budget
from sfumato.synthesis import Generator, RuledGenerator
from sfumato.synthesis.private import DPLatentFactor, LocalLatentFactor
from sfumato.table import Schema

DOMAIN = {"height": (1.4, 2.1, 0.01), "weight": (30, 150, 1), "sex": ["F", "M"]}
BUDGET = Budget(epsilon=3, delta="1e-7")
QUICK = {"budget": BUDGET, "domain": DOMAIN, "steps": 10, "fits": 1, "classes": 4}
SCHEMA = Schema(identifiers=["id"], rest="other")
DECLARED = {
    "derived": {"bmi": "weight / POWER(height, 2)", "obese": "bmi >= 30"},
    "rules": ("weight > 40 or sex = 'F'",),
}


@pytest.fixture(scope="module")
def table():
    random = np.random.default_rng(0)
    n = 1500
    height = np.clip(random.normal(1.7, 0.1, n), 1.4, 2.1).round(2)
    weight = np.clip(random.normal(75, 15, n), 30, 150).astype(int)
    return pl.DataFrame(
        {
            "id": np.arange(n),
            "height": height,
            "weight": weight,
            "sex": random.choice(["F", "M"], n),
            "bmi": (weight / height**2).round(1),
        }
    ).with_columns(obese=pl.col("bmi") >= 30)


def test_drawn_rows_keep_what_is_declared_and_nothing_of_it_is_counted(table, tmp_path):
    domain = {**DOMAIN, "bmi": (10, 80, 0.1)}
    model = DPLatentFactor(**{**QUICK, "domain": domain}, **DECLARED).fit(table, SCHEMA)
    assert isinstance(model, RuledGenerator)
    asked = {charge.label for charge in model.model.account.charges}
    assert not any("bmi" in label or "obese" in label for label in asked)
    rows = model.sample(500, seed=1)
    assert rows.schema == table.drop("id").schema
    assert rows["bmi"].equals((rows["weight"] / rows["height"] ** 2).round(1))
    assert rows["obese"].equals(rows["bmi"] >= 30)
    assert rows.filter(pl.col("weight") <= 40, pl.col("sex") == "M").is_empty()
    told = " ".join(model.describe())
    assert "bmi is not learned but computed: weight / POWER(height, 2)." in told
    assert "of the table" not in told
    assert "1,500" not in told
    assert model.rows == model.model.rows
    model.save(tmp_path / "model.json")
    again = Generator.load(tmp_path / "model.json")
    assert_frame_equal(again.sample(50, seed=2), model.sample(50, seed=2))
    assert again.describe() == model.describe()


def test_neither_a_broken_rule_nor_another_value_changes_what_is_said(table):
    """What the table holds must not show in the model but through noise."""
    technique = DPLatentFactor(**QUICK, insecure_seed=1, **DECLARED)
    wrong = table.with_columns(bmi=pl.lit(1.0), obese=pl.lit(value=True))
    first, second = technique.fit(table, SCHEMA), technique.fit(wrong, SCHEMA)
    assert first.to_dict() == second.to_dict()


def test_the_local_model_takes_them_too(table):
    settings = {**QUICK, "budget": Budget(epsilon=9, neighbours="replace")}
    model = LocalLatentFactor(**settings, **DECLARED).fit(table, SCHEMA)
    rows = model.sample(100, seed=1)
    assert rows["obese"].equals(rows["bmi"] >= 30)


@pytest.mark.parametrize(
    ("settings", "error", "said"),
    [
        ({"derived": {"bmi": "mass / 2"}}, DataError, "no column 'mass'"),
        ({"derived": {"body": "weight / 2"}}, DataError, "no column 'body' to derive"),
        ({"derived": {"sex": "weight / 2"}}, PlanError, "gives Float64"),
        ({"rules": ("weight + 1",)}, PlanError, "not true or false"),
        ({"rules": ("weight > AVG(weight)",)}, PlanError, "each row by itself"),
        ({"derived": {"weight": "height * 40"}}, SchemaError, "'bmi'"),
    ],
)
def test_what_cannot_be_computed_is_told_before_anything_is_paid(table, settings, error, said):
    with pytest.raises(error, match=said):
        DPLatentFactor(**QUICK, **settings).fit(table, SCHEMA)


def test_what_cannot_be_read_is_told_at_once():
    with pytest.raises(PlanError, match="no SQL expression"):
        DPLatentFactor(**QUICK, rules=("weight >",))
