import math
from fractions import Fraction

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal
from tests.synthesis.private_people import BUDGET, DOMAIN, SCHEMA, people

from sfumato.errors import BudgetExceeded, DataError, PlanError, SchemaError
from sfumato.privacy.differential.budget import Budget
from sfumato.privacy.differential.conversions import gdp_mu
from sfumato.privacy.differential.ledger import Ledger
from sfumato.synthesis import Generator
from sfumato.synthesis.combining import combine
from sfumato.synthesis.private import DPLatentFactor, LatentFactorGenerator
from sfumato.synthesis.private.noisy_counting import NoisyCounting
from sfumato.table import Schema

QUICK = {"steps": 60, "fits": 2, "classes": 20}


def fit(table, schema=SCHEMA, **settings):
    given = {"budget": BUDGET, "domain": DOMAIN, "insecure_seed": 1, **QUICK, **settings}
    return DPLatentFactor(**given).fit(table, schema)


@pytest.fixture(scope="module")
def table():
    return people()


@pytest.fixture(scope="module")
def model(table):
    return fit(table, budget=Budget(epsilon=3, delta="1e-7"), steps=300, fits=3)


def test_a_sample_looks_like_the_table_in_type_and_shape(table, model):
    sample = model.sample(6000, seed=3)
    assert sample.schema == table.schema
    assert sample["age"].null_count() / 6000 == pytest.approx(0.1, abs=0.02)
    assert sample["age"].mean() == pytest.approx(table["age"].mean(), abs=1.0)
    assert (sample["sex"] == "M").mean() == pytest.approx(0.4, abs=0.02)
    apart = [
        frame.filter("ill")["age"].mean() - frame.filter(~pl.col("ill"))["age"].mean()
        for frame in (table, sample)
    ]
    assert apart[0] > 15
    assert apart[1] == pytest.approx(apart[0], abs=2.5)


def test_numbers_stay_on_their_declared_grid_and_atoms_stand_exactly(table, model):
    dose = model.sample(6000, seed=4)["dose"]
    assert (dose * 20 - (dose * 20).round()).abs().max() < 1e-9
    assert dose.min() >= 0
    assert dose.max() <= 20
    real = (table["dose"] == 7.35).mean()
    assert (dose == 7.35).mean() == pytest.approx(real, abs=0.03)


def test_the_number_of_rows_is_noisy(table):
    rows = {fit(table, insecure_seed=seed, steps=1, fits=1).rows for seed in range(4)}
    assert len(rows) > 1
    assert all(abs(one - table.height) < 300 for one in rows)


def test_the_ledger_sums_to_the_promise_and_no_further(model):
    account = model.account
    spent = account.spent
    assert spent.amount <= 3
    assert spent.amount == pytest.approx(3, rel=1e-3)
    assert spent.bound == "gdp"
    # independently: the charges' squared mu, by sensitivity over deviation
    mu = sum(
        one.times * float(one.cost.sensitivity_squared / one.cost.sigma_squared)
        for one in account.charges
    )
    # integers cost a little more than the formula for real numbers says: the noise is that wide
    assert 0.93 * gdp_mu(3, 1e-7) < math.sqrt(mu) < gdp_mu(3, 1e-7)
    labels = " ".join(one.label for one in account.charges)
    for wanted in ("counts of age", "atoms of dose", "pairs of columns within each value"):
        assert wanted in labels


@pytest.mark.parametrize(
    "budget",
    [
        Budget(rho="0.1"),
        Budget(mu="0.5"),
        Budget(epsilon=1, delta="1e-7", accounting="zcdp"),
        Budget(epsilon=1, delta="1e-7", neighbours="replace"),
    ],
)
def test_every_way_to_state_a_budget_is_spent_to_the_full(table, budget):
    spent = fit(table, budget=budget, steps=1, fits=1).account.spent
    assert 0.98 * spent.limit < spent.amount <= spent.limit


def test_an_overdraft_raises_before_a_row_is_read():
    class Unreadable:
        def __getattr__(self, name):
            raise AssertionError("the data were read")

    counting = NoisyCounting(Ledger(BUDGET))
    counting.pay(Fraction(1, 2), "half")
    with pytest.raises(BudgetExceeded, match="'more' costs"):
        counting.counts(Unreadable(), 3, Fraction(3, 5), "more")


def test_no_seed_no_repetition_and_a_seed_is_stamped(table):
    private = fit(table, insecure_seed=None, steps=1, fits=1)
    again = fit(table, insecure_seed=None, steps=1, fits=1)
    assert private.account.secure
    assert private.columns[0].cells.share.tolist() != again.columns[0].cells.share.tolist()
    assert not any("NOT PRIVATE" in line for line in private.describe())
    seeded = fit(table, steps=1, fits=1)
    assert not seeded.account.secure
    assert any("NOT PRIVATE" in line for line in seeded.describe())
    assert seeded.to_dict() == fit(table, steps=1, fits=1).to_dict()


def test_the_same_seed_gives_the_same_rows_and_a_longer_sample_starts_alike(model):
    sample = model.sample(7000, seed=3)
    assert_frame_equal(sample, model.sample(7000, seed=3))
    assert_frame_equal(sample[:120], model.sample(120, seed=3))
    assert not sample.equals(model.sample(7000, seed=4))


def test_the_model_survives_its_file_with_the_same_samples(model, tmp_path):
    path = tmp_path / "model.json"
    model.save(path)
    again = Generator.load(path)
    assert isinstance(again, LatentFactorGenerator)
    assert_frame_equal(again.sample(300, seed=5), model.sample(300, seed=5))
    assert again.to_dict() == model.to_dict()
    assert again.describe() == model.describe()
    assert list(again.released_schema().columns) == list(model.released_schema().columns)


def test_given_values_are_kept_and_the_rest_follows_the_model(model):
    rows = model.sample(20_000, seed=1)
    wanted = rows.filter((pl.col("sex") == "M") & pl.col("ill"))
    given = model.sample(5000, seed=2, given={"sex": "M", "ill": True})
    assert set(given["sex"]) == {"M"}
    assert given["ill"].all()
    assert given["age"].mean() == pytest.approx(wanted["age"].mean(), abs=1.0)
    assert (given["dose"] == 7.35).mean() == pytest.approx(
        (wanted["dose"] == 7.35).mean(), abs=0.05
    )
    assert model.sample(10, seed=1, given={"age": None})["age"].null_count() == 10
    assert set(model.sample(10, seed=1, given={"dose": 7.35})["dose"]) == {7.35}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"aeg": 3}, "no column 'aeg'"),
        ({"age": 101}, "outside its declared bounds"),
        ({"sex": "X"}, "not among its declared values"),
        ({"age": "old"}, "no number"),
        ({"sex": None}, "too rare for this budget"),
    ],
)
def test_a_given_value_outside_the_model_is_refused(model, given, message):
    with pytest.raises(DataError, match=message):
        model.sample(5, seed=1, given=given)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"singles": 0}, "singles must be above 0"),
        ({"singles": "0.6", "within": "0.4"}, "together below 1"),
        ({"budget": Budget(epsilon=1)}, "needs a delta above 0"),
        ({"budget": Budget(no_promise=True)}, "without a promise"),
        ({"domain": {"age": (5, 1, 1)}}, "low must be below high"),
        ({"domain": {"age": (0, 1, 0)}}, "step must be above 0"),
        ({"domain": {"sex": []}}, "at least one value"),
        ({"domain": {"sex": ["F", "F"]}}, "stands twice"),
        ({"cells": 2}, "greater than or equal to 4"),
    ],
)
def test_bad_settings_are_refused(settings, message):
    with pytest.raises(PlanError, match=message):
        DPLatentFactor(**{"budget": BUDGET, **settings})


def test_what_a_column_can_hold_must_be_declared(table):
    with pytest.raises(SchemaError, match=r"'dose': what it can hold.*discover"):
        fit(table, domain={"age": (0, 100, 1), "sex": ["F", "M"]})
    with pytest.raises(SchemaError, match=r"no column 'agee' to learn.*'age'"):
        fit(table, domain={**DOMAIN, "agee": (0, 1, 1)})
    with pytest.raises(SchemaError, match="declared as numbers but is String"):
        fit(table, domain={**DOMAIN, "sex": (0, 1, 1)})


def test_what_is_undeclared_can_be_paid_for(table):
    budget = Budget(epsilon=2, delta="2e-7", threshold_delta="1e-7")
    found = fit(table, budget=budget, domain={}, discover="0.1", steps=1, fits=1)
    said = {one.name: one.declared for one in found.columns}
    assert said["sex"].values == ("F", "M")
    assert said["age"].high >= 64
    assert said["age"].step == 1
    assert 16 <= said["dose"].high <= 32
    assert found.account.spent.delta == pytest.approx(1e-7)
    assert found.account.spent.amount <= 2
    with pytest.raises(PlanError, match="threshold_delta"):
        fit(table, domain={}, discover="0.1")


def test_a_person_with_many_rows_counts_as_few(table):
    persons = table.with_columns(person=pl.Series(np.arange(table.height) // 3).cast(pl.String))
    schema = Schema(target="ill", person="person", rest="other")
    budget = Budget(epsilon=1, delta="1e-7", unit="person", rows_per_person=2)
    made = fit(persons, schema, budget=budget, steps=1, fits=1)
    assert made.rows == pytest.approx(4000, abs=300)
    assert made.left_out == ("person",)
    squared = {one.cost.sensitivity_squared for one in made.account.charges}
    assert squared == {4}
    with pytest.raises(PlanError, match="protects rows"):
        fit(persons, schema)
    with pytest.raises(SchemaError, match="protects persons"):
        fit(table, budget=budget)


def test_few_rows_make_a_model_too():
    tiny = fit(people(3), steps=5, fits=1)
    assert tiny.sample(50, seed=1).height == 50
    assert fit(people(20)[:0], steps=5, fits=1).sample(5, seed=1).height == 5


def test_the_copula_variant_keeps_the_promise_and_the_ties(table, tmp_path):
    model = fit(table, model="copula", budget=Budget(epsilon=3, delta="1e-7"))
    assert 2.9 < model.account.spent.amount <= 3
    sample = model.sample(6000, seed=1)
    assert sample.schema == table.schema
    apart = [
        frame.filter("ill")["age"].mean() - frame.filter(~pl.col("ill"))["age"].mean()
        for frame in (table, sample)
    ]
    assert apart[1] == pytest.approx(apart[0], abs=6)
    given = model.sample(500, seed=2, given={"sex": "M", "ill": True})
    assert set(given["sex"]) == {"M"}
    assert_frame_equal(given[:50], model.sample(50, seed=2, given={"sex": "M", "ill": True}))
    model.save(tmp_path / "m.json")
    again = Generator.load(tmp_path / "m.json")
    assert_frame_equal(again.sample(100, seed=3), model.sample(100, seed=3))


def test_dates_and_names_that_are_numbers():
    random = np.random.default_rng(0)
    days = pl.Series("day", random.integers(18_000, 18_300, 3000)).cast(pl.Int32).cast(pl.Date)
    table = pl.DataFrame({"day": days, "ward": random.integers(1, 4, 3000)})
    model = fit(
        table,
        Schema(rest="other"),
        domain={"day": ("2019-01-01", "2020-12-31", 1), "ward": {"values": [1, 2, 3]}},
    )
    sample = model.sample(500, seed=1)
    assert sample.schema == table.schema
    assert set(sample["ward"]) == {1, 2, 3}
    assert sample["day"].min() >= pl.Series(["2019-01-01"]).str.to_date()[0]


@pytest.mark.slow
@pytest.mark.long
def test_releases_scatter_with_the_noise(table, tmp_path):
    for epsilon in (1, 20):
        budget = Budget(epsilon=epsilon, delta="1e-7")
        model = fit(table, budget=budget, posterior=4, steps=150)
        drawn = model.releases(model.rows, seed=1)
        assert len(drawn) == 4
        assert all(one.schema == table.schema for one in drawn)
        means = np.array([(one["sex"] == "M").mean() for one in drawn])
        found = combine(means, means * (1 - means) / model.rows)
        assert found.low <= (table["sex"] == "M").mean() <= found.high
    model.save(tmp_path / "m.json")
    again = Generator.load(tmp_path / "m.json")
    assert_frame_equal(again.releases(50, seed=2)[3], model.releases(50, seed=2)[3])
    with pytest.raises(DataError, match="posterior = 20"):
        fit(table, steps=1, fits=1).releases(5, seed=1)


def test_rubins_rules_by_hand():
    # b = 0.02 and u = 0.01: (1 + 1/4) 0.02 - 0.01 = 0.015
    estimates = 1 + np.array([-1, -1, 1, 1]) * np.sqrt(0.02 * 3 / 4)
    found = combine(estimates, [0.01] * 4)
    assert found.value == pytest.approx(1)
    assert found.standard_error**2 == pytest.approx(0.015)
    assert found.high - found.value == pytest.approx(found.value - found.low)
    # between below within: the variance falls back to that of the tables
    assert combine([1, 1], [0.04, 0.04]).standard_error == pytest.approx(0.2)
    with pytest.raises(DataError, match="2 tables or more"):
        combine([1.0], [0.1])
    with pytest.raises(DataError, match="0 or more"):
        combine([1.0, 2.0], [0.1, -0.1])
    with pytest.raises(DataError, match="level"):
        combine([1.0, 2.0], [0.1, 0.1], level=1)
