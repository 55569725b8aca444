"""Preparation under a budget: what it costs, what it refuses, and that the sums are right."""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import polars as pl
import pytest

from sfumato.errors import BudgetExceeded, PlanError
from sfumato.privacy.differential import Budget, DiscreteGaussian, Ledger
from sfumato.release.ledger_recount import _mispriced
from sfumato.release.making import fit
from sfumato.release.preparing import (
    fit_preparation,
    preparation_problems,
    rest_of,
    with_preparation_charged,
)
from sfumato.release.private_release import ledger_of
from sfumato.synthesis.private import DPLatentFactor, LocalLatentFactor
from sfumato.table import Schema
from sfumato.table.preparation.cleaning_steps import Bounds, DropDuplicates, Impute, Trim
from sfumato.table.preparation.feature_steps import Bins, Normalize

SCHEMA = Schema(quasi_identifiers=["age"], target="ill", rest="other")
DOMAIN = {"age": (0, 100, 1), "sex": ["F", "M"]}
QUICK = {"steps": 5, "fits": 1, "classes": 3, "domain": DOMAIN}
MEDIAN = Impute(column="age", by="median", bounds=(0, 100, 1), share="1/50")
MODE = Impute(column="sex", by="mode", values=("F", "M"), share="1/50")
STANDARD = Normalize(column="age", by="standard", bounds=(0, 100, 1), share="1/20")

BUDGETS = {
    "epsilon and delta": Budget(epsilon=1, delta="1e-9"),
    "zcdp": Budget(epsilon=1, delta="1e-9", accounting="zcdp"),
    "rho": Budget(rho="1/8"),
    "mu": Budget(mu="1/4"),
    "large": Budget(epsilon=20, delta="1e-6"),
    "small": Budget(epsilon="1/100", delta="1e-12"),
    "replace": Budget(epsilon=1, delta="1e-9", neighbours="replace"),
}


def people(rows=4000, seed=0):
    random = np.random.default_rng(seed)
    age = np.clip(np.rint(random.normal(50, 18, rows)), 0, 100)
    return pl.DataFrame(
        {
            "age": pl.Series(np.where(random.random(rows) < 0.1, np.nan, age)).fill_nan(None),
            "sex": pl.Series(random.choice(["F", "M", None], rows, p=[0.5, 0.4, 0.1]).tolist()),
            "ill": random.random(rows) < 0.3,
        }
    )


def technique(budget, **settings):
    return DPLatentFactor(budget=budget, **QUICK, **settings)


# -- what it costs ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Model:
    """A model that spent all that was left of a budget on one noisy count."""

    ledger: dict


def spent_all(budget):
    steady = {"accounting": "gdp"} if budget.rho is None and budget.accounting == "best" else {}
    ledger = Ledger(budget.model_copy(update=steady))
    squared = ledger.budget.count_sensitivity().squared
    noise = DiscreteGaussian(
        sigma_squared=ledger.budget.share(1).gaussian_variance(squared),
        sensitivity_squared=squared,
    )
    ledger.charge("everything", noise)
    return Model(ledger.to_dict())


@pytest.mark.parametrize("budget", BUDGETS.values(), ids=list(BUDGETS))
def test_preparation_and_model_keep_the_promise_together(budget):
    """Summed anew by the ledger from their exact costs, and nearly all of it is used."""
    steps = (MEDIAN, MODE, STANDARD)
    given = technique(budget)
    _, paid = fit_preparation(people(200), SCHEMA, steps, given)
    model = spent_all(rest_of(given, steps).budget)
    whole = with_preparation_charged(model, budget, paid)
    ledger = Ledger.from_dict(ledger_of(whole))
    assert ledger.spent.within
    assert ledger.spent.amount > 0.9 * ledger.spent.limit
    assert len(ledger.charges) == len(paid["charges"]) + 1 == 6
    plain = {"accounting": "best"}
    assert ledger.budget.model_copy(update=plain) == budget.model_copy(update=plain)
    assert not _mispriced(ledger.to_dict())
    assert rest_of(given, steps).budget != budget
    assert rest_of(given, [Trim()]) is given


def test_a_real_model_and_its_preparation_are_one_account():
    budget = BUDGETS["epsilon and delta"]
    preparation, paid = fit_preparation(people(), SCHEMA, (MEDIAN, MODE), technique(budget))
    model = fit(rest_of(technique(budget), (MEDIAN, MODE)), preparation.apply(people()), SCHEMA)
    whole = with_preparation_charged(model, budget, paid)
    ledger = Ledger.from_dict(ledger_of(whole))
    assert ledger.spent.within
    labels = [one.label for one in ledger.charges]
    assert labels[:2] == ["preparation: median of age", "preparation: mode of sex"]
    assert len(labels) == 2 + len(ledger_of(model)["charges"])
    assert whole.rows == model.rows


def test_a_ledger_that_would_not_keep_the_promise_raises():
    budget = BUDGETS["epsilon and delta"]
    _, paid = fit_preparation(people(), SCHEMA, (MEDIAN,), technique(budget))
    model = spent_all(budget)  # and not what is left of it
    with pytest.raises(BudgetExceeded):
        with_preparation_charged(model, budget, paid)


def test_a_pure_budget_is_shared_by_addition():
    budget = Budget(epsilon=1, neighbours="replace")
    given = LocalLatentFactor(budget=budget, domain=DOMAIN)
    assert rest_of(given, (MEDIAN, STANDARD)).budget.epsilon == Fraction(93, 100)


def test_answers_are_near_the_truth():
    budget = Budget(epsilon=4, delta="1e-9")
    table = people(40_000)
    preparation, paid = fit_preparation(
        table,
        SCHEMA,
        (
            *(STANDARD.model_copy(update={"share": Fraction(1, 5)}), MODE),
            Bins(column="age", groups=2, bounds=(-5, 5, 0.01), share="1/10"),
        ),
        technique(budget),
    )
    ((mean, deviation),), (mode,), (edge,) = preparation.answers
    exact = table["age"].drop_nulls()
    assert mean == pytest.approx(exact.mean(), abs=1)
    assert deviation == pytest.approx(exact.std(), abs=1)
    assert mode == "F"
    assert edge == pytest.approx((exact.median() - mean) / deviation, abs=0.1)
    assert [one["mechanism"] for one in paid["charges"]] == [
        *["discrete Gaussian"] * 3,
        "report noisy max",
        "quantile",
    ]


def test_a_person_counts_with_as_many_rows_as_are_looked_at():
    budget = Budget(epsilon=1, delta="1e-9", unit="person", rows_per_person=3)
    table = people(900).with_columns(who=pl.int_range(900).floordiv(9).cast(pl.String))
    schema = Schema(person="who", target="ill", rest="other")
    _, paid = fit_preparation(table, schema, (MEDIAN, STANDARD), technique(budget))
    facts = [one["facts"]["sensitivity"].partition(" ")[0] for one in paid["charges"]]
    # rank 1/2 in halves of a row; rows, sum and squares of places up to 50 off the middle
    assert facts == ["3", "9", str(150**2), str(7500**2)]
    with pytest.raises(PlanError, match="the budget protects rows"):
        fit_preparation(table, schema, (MEDIAN,), technique(BUDGETS["rho"]))


# -- what it refuses -------------------------------------------------------------------------------


def refused(step, budget=BUDGETS["epsilon and delta"], schema=SCHEMA):
    return [said for _, said in preparation_problems("r", technique(budget), (step,), schema)]


@pytest.mark.parametrize(
    ("step", "mend"),
    [
        (Impute(column="age", by="median"), "declare what is filled in"),
        (Impute(column="sex", by="mode"), "declare what is filled in"),
        (Normalize(column="age", by="standard"), "declare the scale"),
        (Normalize(column="age", by="quantiles"), "declare the scale"),
        (Bins(column="age", groups=4), "declare the edges"),
    ],
)
def test_a_question_without_a_price_is_refused_with_both_mends(step, mend):
    (said,) = refused(step)
    assert f"the step {step.name!r} on {step.column!r}" in said
    assert "release 'r'" in said
    assert mend in said
    assert "or pay for it, with share" in said
    with pytest.raises(PlanError, match="pay for it"):
        fit_preparation(people(10), SCHEMA, (step,), technique(BUDGETS["rho"]))
    assert preparation_problems("r", object(), (step,), SCHEMA) == []  # nothing is promised


def test_declared_steps_are_free():
    steps = (Trim(), Bounds(column="age", low=0, high=100), DropDuplicates())
    given = technique(BUDGETS["epsilon and delta"])
    _, paid = fit_preparation(people(50), SCHEMA, steps, given)
    assert paid is None
    assert rest_of(given, steps) is given


def test_duplicates_are_left_out_only_where_one_unit_moves_one():
    person = Schema(person="who", rest="other")
    of_person = Budget(epsilon=1, delta="1e-9", unit="person")
    assert not refused(DropDuplicates())
    assert "changes two rows" in refused(DropDuplicates(columns=("age",)))[0]
    assert "takes the number of rows as known" in refused(DropDuplicates(), BUDGETS["replace"])[0]
    assert not refused(DropDuplicates(columns=("who",)), of_person, person)
    assert "'who'" in refused(DropDuplicates(columns=("age",)), of_person, person)[0]
    # two people must not become one
    assert "may change 'who'" in refused(Trim(), of_person, person)[0]
    assert not refused(Trim(columns=("sex",)), of_person, person)


def test_shares_must_leave_something_for_the_model():
    half = MEDIAN.model_copy(update={"share": Fraction(1, 2)})
    found = preparation_problems("r", technique(BUDGETS["rho"]), (half, half), SCHEMA)
    assert "leave nothing" in found[0][1]


def test_nobody_is_asked_where_no_curator_sees_the_rows():
    local = LocalLatentFactor(budget=Budget(epsilon=4, neighbours="replace"), domain=DOMAIN)
    ((_, said),) = preparation_problems("r", local, (MEDIAN,), SCHEMA)
    assert "data that nobody collects" in said


# -- taint -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", [0, 17, 199])
def test_one_row_reaches_the_rest_through_the_ledger_only(place, monkeypatch):
    """Change a row and hold the paid answers: no other row, and no unpaid value, changes."""
    import sfumato.release.preparing as preparing

    budget = BUDGETS["epsilon and delta"]
    steps = (Trim(), Bounds(column="age", low=0, high=90), MEDIAN, MODE, STANDARD)
    table = people(200)
    changed = pl.concat([table[:place], people(1, seed=9), table[place + 1 :]])
    first, paid = fit_preparation(table, SCHEMA, steps, technique(budget))
    held = iter([answer for answers in first.answers for answer in answers])
    asked = []

    def answered(self, step, question, table):
        asked.append(question.what)
        return next(held)

    monkeypatch.setattr(preparing._Paid, "__call__", answered)
    second, _ = fit_preparation(changed, SCHEMA, steps, technique(budget))
    assert len(asked) == 3
    assert len(paid["charges"]) == 5  # mean and deviation are three numbers
    assert first == second
    others = [one for one in range(200) if one != place]
    assert first.apply(table)[others].equals(second.apply(changed)[others])


def test_nothing_is_read_before_it_is_charged(monkeypatch):
    budget = Budget(epsilon="1/1000", delta="1e-12")
    monkeypatch.setattr(Ledger, "charge", _refuse)
    monkeypatch.setattr(pl.Series, "to_numpy", _never)
    with pytest.raises(BudgetExceeded):
        fit_preparation(people(30), SCHEMA, (MEDIAN,), technique(budget))


def _refuse(*_arguments):
    raise BudgetExceeded("no")


def _never(*_arguments, **_settings):
    raise AssertionError("a cell was read")


def test_a_seed_for_the_noise_is_told():
    given = technique(BUDGETS["rho"], insecure_seed=3)
    first, paid = fit_preparation(people(), SCHEMA, (MEDIAN, MODE), given)
    assert paid["private_noise"] is False
    assert fit_preparation(people(), SCHEMA, (MEDIAN, MODE), given)[0] == first
    model = fit(rest_of(given, (MEDIAN, MODE)), first.apply(people()), SCHEMA)
    assert ledger_of(with_preparation_charged(model, given.budget, paid))["private_noise"] is False


def test_the_median_keeps_its_epsilon_on_neighbours():
    """The chance of each answer, on tables one row apart, from the exact weights of the choice."""
    from sfumato.privacy.differential import NoisyQuantile

    share = BUDGETS["epsilon and delta"].share(Fraction(1, 50))
    mechanism = NoisyQuantile(
        rank="1/2", lower=0, upper=10, step=1, epsilon=share.exponential_epsilon
    )
    rng = np.random.default_rng(1)
    for _ in range(20):
        data = rng.integers(0, 11, 20).astype(float)
        weights = [
            np.exp(float(mechanism.choice.rate) * mechanism.scores(one).astype(float))
            for one in (data, data[1:])
        ]
        one, other = (each / each.sum() for each in weights)
        assert np.abs(np.log(one / other)).max() <= float(share.exponential_epsilon) * (1 + 1e-9)


def test_a_derived_model_carries_the_charges_too():
    budget = BUDGETS["rho"]
    given = technique(budget, rules=("age < 100",))
    preparation, paid = fit_preparation(people(), SCHEMA, (MEDIAN,), given)
    model = fit(rest_of(given, (MEDIAN,)), preparation.apply(people()), SCHEMA)
    whole = with_preparation_charged(model, budget, paid)
    assert ledger_of(whole)["charges"][0]["label"] == "preparation: median of age"
    assert whole.rules == model.rules
