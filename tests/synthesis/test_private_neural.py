"""DPVariationalAutoencoder: the promise, what is kept, and what a sample looks like."""

from fractions import Fraction

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from sfumato.errors import BudgetExceeded, DataError, PlanError, SchemaError
from sfumato.privacy.differential import Budget, ledger, subsampling
from sfumato.synthesis import Generator
from sfumato.synthesis.private import counted_columns, noisy_counting
from sfumato.synthesis.private.neural import (
    DecoderGenerator,
    DPVariationalAutoencoder,
    gradient_training,
)
from sfumato.table import Schema

DOMAIN = {"age": (0, 100, 1), "sex": ["F", "M"], "pay": (0, 5000, 1), "ill": [False, True]}
SCHEMA = Schema(target="ill", rest="other")
BUDGET = Budget(epsilon=1, delta="1e-7")
WAYS = ("marginals", "gradients")
QUICK = {"cells": 8, "points": 40, "fits": 1, "hidden": 8, "latent": 3, "steps": 20}


def people(n=3000, seed=0):
    random = np.random.default_rng(seed)
    sex = random.random(n) < 0.4
    age = np.clip(np.rint(random.normal(45 + 15 * sex, 15, n)), 0, 100).astype(int)
    return pl.DataFrame(
        {
            "age": age,
            "sex": np.where(sex, "M", "F"),
            "pay": np.where(random.random(n) < 0.3, 0, random.integers(0, 5001, n)),
            "ill": random.random(n) < 1 / (1 + np.exp(-(age - 60) / 6)),
        }
    ).with_columns(age=pl.when(pl.Series(random.random(n) < 0.1)).then(None).otherwise("age"))


def technique(**settings):
    given = {"budget": BUDGET, "domain": DOMAIN, "insecure_seed": 1, **QUICK, **settings}
    return DPVariationalAutoencoder(**given)


@pytest.fixture(scope="module")
def table():
    return people()


@pytest.fixture(scope="module", params=WAYS)
def model(request, table):
    # little noise, so that it can be told whether anything was learned
    budget = Budget(epsilon=30, delta="1e-7")
    settings = {"hidden": 24, "steps": 150, "learning_rate": 0.02, "sampling_rate": "1/10"}
    return technique(fitting=request.param, budget=budget, **settings).fit(table, SCHEMA)


def test_a_sample_looks_like_the_table(table, model):
    sample = model.sample(6000, seed=3)
    assert sample.schema == table.schema
    assert sample["age"].null_count() / 6000 == pytest.approx(0.1, abs=0.03)
    # clipped gradients draw a share towards one half: over seeds it was 0.38 to 0.47
    near = 0.08 if model.fitting == "gradients" else 0.05
    assert (sample["sex"] == "M").mean() == pytest.approx(0.4, abs=near)
    apart = [
        frame.filter("ill")["age"].mean() - frame.filter(~pl.col("ill"))["age"].mean()
        for frame in (table, sample)
    ]
    assert apart[0] > 15
    assert apart[1] > 0.6 * apart[0]


def test_given_values_are_kept_and_the_rest_follows_them(model):
    drawn = [model.sample(2000, seed=1, given={"ill": ill}) for ill in (True, False)]
    assert drawn[0]["ill"].all()
    assert drawn[0]["age"].mean() > drawn[1]["age"].mean() + 8
    with pytest.raises(DataError, match="declared"):
        model.sample(5, seed=1, given={"sex": "X"})


def test_the_model_survives_its_file(model, tmp_path):
    path = tmp_path / "model.json"
    model.save(path)
    again = Generator.load(path)
    assert isinstance(again, DecoderGenerator)
    assert_frame_equal(model.sample(700, seed=3), again.sample(700, seed=3))
    assert_frame_equal(model.sample(700, seed=3)[:90], again.sample(90, seed=3))
    assert model.describe() == again.describe()
    seen = {"marginals": "all their pairs", "gradients": "noisy slopes"}[model.fitting]
    assert any(seen in said for said in model.describe())


@pytest.mark.parametrize("fitting", WAYS)
@pytest.mark.parametrize("epsilon", ["0.05", "1"])
def test_the_budget_is_spent_to_the_full_and_no_further(table, fitting, epsilon):
    budget = Budget(epsilon=epsilon, delta="1e-7")
    account = technique(budget=budget, fitting=fitting, steps=3).fit(table, SCHEMA).account
    assert 0.98 * float(epsilon) < account.spent.amount <= float(epsilon)
    sums = [one for one in account.charges if one.mechanism == "sampled discrete Gaussian"]
    assert [one.times for one in sums] == ([3] if fitting == "gradients" else [])
    assert account.spent.bound == ("rdp" if fitting == "gradients" else "gdp")
    assert any("NOT PRIVATE" in said for said in account.describe())


@pytest.mark.parametrize("fitting", WAYS)
def test_no_seed_no_repetition(table, fitting):
    one, two = (
        technique(fitting=fitting, insecure_seed=None, steps=2).fit(table, SCHEMA) for _ in range(2)
    )
    assert one.account.secure
    assert one.to_dict()["model"] != two.to_dict()["model"]
    seeded = technique(fitting=fitting, steps=2).fit(table, SCHEMA)
    assert not seeded.account.secure
    assert seeded.to_dict() == technique(fitting=fitting, steps=2).fit(table, SCHEMA).to_dict()


@pytest.mark.parametrize("fitting", WAYS)
def test_a_tiny_epsilon_still_gives_a_valid_table(fitting):
    budget = Budget(epsilon="0.01", delta="1e-9")
    made = technique(budget=budget, fitting=fitting, steps=2).fit(people(200), SCHEMA)
    sample = made.sample(50, seed=1)
    assert sample.schema == people(5).schema
    assert sample["age"].drop_nulls().is_between(0, 100).all()
    assert set(sample["sex"].drop_nulls()) <= {"F", "M"}


@pytest.mark.parametrize("fitting", WAYS)
def test_an_overdraft_is_refused_before_a_row_is_looked_at(monkeypatch, table, fitting):
    def refused(*_arguments):
        raise AssertionError("a row was looked at")

    monkeypatch.setattr(counted_columns, "bounded", refused)
    if fitting == "gradients":
        spent = Budget(epsilon="1e-7", delta="1e-9")
        with pytest.raises(BudgetExceeded):
            technique(budget=spent, fitting=fitting).fit(table, SCHEMA)
    with pytest.raises(PlanError):
        technique(budget=Budget(epsilon=1), fitting=fitting)
    with pytest.raises(SchemaError, match="Declare"):
        technique(domain={"age": (0, 100, 1)}, fitting=fitting).fit(table, SCHEMA)


@pytest.fixture
def replayed(monkeypatch):
    """Replay every noisy answer from a tape; record the true ones, and who was sampled."""
    tape, true = [], []

    def answered(values, answer):
        if len(true) >= len(tape):
            tape.append(answer())
        true.append(values.copy())
        return tape[len(true) - 1]

    def noised(self, counts, share):
        mechanism = self.mechanism(share)
        noisy = answered(counts, lambda: mechanism.release(counts, self.ledger.words))
        return noisy.astype(np.float64), float(mechanism.sigma_squared) ** 0.5

    def release(self, data, words):
        noise = subsampling.DiscreteGaussian(sigma_squared=self.sigma_squared)
        return answered(data, lambda: noise.release(data, words))

    def sample(self, n, words):
        # the same people in both tables, and always the odd one, who stands last in one of them
        drawn = np.random.default_rng(len(true)).random(3001) < float(self.rate)
        drawn[3000:] = True
        return drawn[:n]

    def normals(shape, words):
        return np.random.default_rng(len(true)).standard_normal(shape, dtype=np.float32)

    monkeypatch.setattr(noisy_counting.NoisyCounting, "noised", noised)
    monkeypatch.setattr(subsampling.SampledGaussian, "release", release)
    monkeypatch.setattr(subsampling.SampledGaussian, "sample", sample)
    monkeypatch.setattr(gradient_training, "normals", normals)
    return true


@pytest.mark.parametrize("fitting", WAYS)
def test_nothing_but_noisy_answers_depends_on_a_row_and_it_moves_each_within_its_bound(
    replayed, fitting
):
    """With the answers replayed, a neighbouring table gives the same model, file and rows."""
    odd = pl.DataFrame({"age": [100], "sex": ["X"], "pay": [99_999], "ill": [None]})
    table = pl.concat([people(3000), odd.cast({"ill": pl.Boolean})])
    made = technique(fitting=fitting, steps=4, clip=0.01)
    first = made.fit(table, SCHEMA)
    with_odd = list(replayed)
    replayed.clear()
    second = made.fit(table[:-1], SCHEMA)
    assert first.to_dict() == second.to_dict()
    assert_frame_equal(first.sample(200, seed=1), second.sample(200, seed=1))
    moved = [
        int(((a - b).astype(object) ** 2).sum()) for a, b in zip(with_odd, replayed, strict=True)
    ]
    charged = [
        Fraction(one.facts["sensitivity"].split()[0])
        for one in first.account.charges
        for _ in range(one.times)
    ]
    assert len(moved) == len(charged)
    if fitting == "marginals":
        assert max(moved) == 1 == max(charged)
    else:
        units = gradient_training.UNITS**2
        assert charged[-4:] == [units] * 4
        assert all(0.9 * units < one <= units for one in moved[-4:])
        assert max(moved[:-4]) == 1


def test_one_row_of_each_person_is_looked_at(replayed):
    table = people(2000).with_columns(person=pl.Series(np.arange(2000)))
    crowd = pl.concat([table, *[table[-1:]] * 30])
    budget = Budget(epsilon=1, delta="1e-7", unit="person")
    schema = Schema(target="ill", person="person", rest="other")
    made = technique(budget=budget, fitting="gradients", steps=2)
    made.fit(crowd, schema)
    many = list(replayed)
    replayed.clear()
    made.fit(table, schema)
    assert [one.sum() for one in many[:3]] == [one.sum() for one in replayed[:3]]
    several = budget.model_copy(update={"rows_per_person": 2})
    with pytest.raises(PlanError, match="one row"):
        technique(budget=several, fitting="gradients")


def test_rules_and_derived_columns_cost_nothing(table):
    made = technique(
        fitting="gradients",
        steps=2,
        derived={"old": "age > 60"},
        rules=("pay <= 4000",),
        least_kept=0.001,
    ).fit(table.with_columns(old=pl.col("age") > 60), SCHEMA)
    sample = made.sample(300, seed=1)
    assert (sample["pay"].drop_nulls() <= 4000).all()
    known = sample.drop_nulls("age")
    assert (known["old"] == (known["age"] > 60)).all()


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"singles": "0.5", "within": "0.5"}, "below"),
        ({"fitting": "gradients", "budget": Budget(rho=1)}, "Renyi"),
        ({"fitting": "gradients", "budget": Budget(mu=1)}, "Renyi"),
        (
            {
                "fitting": "gradients",
                "budget": Budget(epsilon=1, delta="1e-7", neighbours="replace"),
            },
            "Renyi",
        ),
        (
            {"fitting": "gradients", "budget": Budget(epsilon=1, delta="1e-7", accounting="gdp")},
            "Renyi",
        ),
        ({"fitting": "gradients", "discover": "0.1"}, "discover"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, match):
    with pytest.raises(PlanError, match=match):
        technique(**settings)


def test_the_noise_of_the_slopes_is_fixed_without_the_table():
    """All noise is known before the first look, so that divergences may be added at any order."""
    made = technique(fitting="gradients", steps=2)
    accounts = [made.fit(people(n, seed=n), SCHEMA).account for n in (300, 3000)]
    assert accounts[0].charges == accounts[1].charges
    assert isinstance(accounts[0], ledger.Ledger)
