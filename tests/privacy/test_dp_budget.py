"""Budget and ledger: shares, refusals before data are read, and what is written down."""

from __future__ import annotations

import json
import math
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfumato.errors import BudgetExceeded, PlanError
from sfumato.privacy.differential import (
    Budget,
    Cost,
    DiscreteGaussian,
    DiscreteLaplace,
    ExponentialMechanism,
    Ledger,
    RandomWords,
    ThresholdedHistogram,
    calibrated,
    rational,
    rounded_down,
    rounded_up,
)

DELTA = Fraction(1, 39_073**2)


def adult(**settings_) -> Budget:
    return Budget(epsilon=1, delta=DELTA, people=39_073, **settings_)


# -- the budget ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"epsilon": 0}, "needs no data"),
        ({"epsilon": -1}, "above 0"),
        ({"epsilon": math.inf}, "no_promise"),
        ({"epsilon": "inf"}, "no_promise"),
        ({"rho": math.inf}, "no_promise"),
        ({"epsilon": math.nan}, "finite"),
        ({}, "exactly one"),
        ({"epsilon": None}, "exactly one"),
        ({"epsilon": 1, "rho": 1}, "exactly one"),
        ({"epsilon": 1, "no_promise": True}, "exactly one"),
        ({"epsilon": 1, "delta": 1}, "delta"),
        ({"epsilon": 1, "delta": "1e-3", "people": 1000}, "1 / people"),
        ({"epsilon": 1, "threshold_delta": "1e-9"}, "threshold_delta"),
        ({"epsilon": 1, "rows_per_person": 2}, "person"),
        ({"epsilon": 1, "neighbors": "replace"}, "unknown"),
    ],
)
def test_a_budget_that_promises_nothing_is_refused(wrong, said):
    with pytest.raises(PlanError, match=said):
        Budget(**wrong)


def test_cautions():
    assert "percentage" in Budget(epsilon=50).cautions[0]
    assert not Budget(epsilon=20).cautions
    large = Budget(epsilon=1, delta="1e-3", people=1000, large_delta="warn")
    assert "outright" in large.cautions[0]
    assert "not declared" in Budget(epsilon=1, delta="1e-9").cautions[0]
    assert not adult().cautions
    nothing = Budget(no_promise=True)
    assert nothing.describe() == list(nothing.cautions)
    assert "No promise" in nothing.cautions[0]


@pytest.mark.parametrize(
    ("budget", "one", "two"),
    [
        (Budget(epsilon=1), (1, 1, 1), (1, 2, 2)),
        (Budget(epsilon=1, neighbours="replace"), (1, 2, 2), (1, 4, 4)),
        (Budget(epsilon=1, unit="person", rows_per_person=3), (3, 3, 9), (3, 6, 18)),
    ],
)
def test_how_far_a_unit_moves_counts(budget, one, two):
    assert tuple(budget.count_sensitivity()) == one
    assert tuple(budget.count_sensitivity(2)) == two


def test_sigma_of_the_whole_budget_is_that_of_the_exact_loss():
    """5.565 by the formula of the continuous Gaussian, which the discrete one does not keep."""
    sigma = math.sqrt(adult().gaussian_sigma())
    assert 5.5653 < sigma < 5.574
    assert math.sqrt(adult(accounting="zcdp").gaussian_sigma()) == pytest.approx(5.8475, abs=1e-3)
    # of 105 marginals nothing is lost: 5.5653 * sqrt(105) = 57.027
    assert math.sqrt(adult().gaussian_sigma(1, Fraction(1, 105))) == pytest.approx(57.03, rel=4e-4)


@settings(max_examples=12, deadline=None)
@given(
    st.floats(0.05, 5),
    st.floats(1e-12, 1e-4),
    st.lists(st.integers(1, 30), min_size=1, max_size=5),
    st.sampled_from(["best", "gdp", "zcdp", "pld"]),
    st.integers(1, 40),
)
def test_shares_of_gaussian_noise_always_fit(epsilon, delta, weights, accounting, squared):
    budget = Budget(epsilon=epsilon, delta=delta, accounting=accounting)
    shares = budget.split({str(n): Fraction(w, sum(weights)) for n, w in enumerate(weights)})
    ledger = Ledger(budget)
    for name, share in shares.items():
        variance = share.gaussian_variance(squared)
        ledger.charge(name, DiscreteGaussian(sigma_squared=variance, sensitivity_squared=squared))
    assert ledger.spent.within
    assert ledger.spent.amount <= epsilon


@settings(max_examples=20, deadline=None)
@given(
    st.floats(0.05, 3),
    st.lists(st.integers(1, 30), min_size=2, max_size=4),
    st.sampled_from([{"delta": "1e-9"}, {"delta": "1e-9", "accounting": "zcdp"}, {}]),
)
def test_shares_of_mixed_mechanisms_always_fit(epsilon, weights, settings_):
    budget = Budget(epsilon=epsilon, **settings_)
    shares = list(
        budget.split({str(n): Fraction(w, sum(weights)) for n, w in enumerate(weights)}).values()
    )
    ledger = Ledger(budget)
    ledger.charge("choice", ExponentialMechanism(epsilon=shares[0].exponential_epsilon))
    for share in shares[1:]:
        ledger.charge("counts", DiscreteLaplace(scale=1 / share.epsilon))
    assert ledger.spent.amount <= epsilon


def test_pure_shares_are_exact_thirds():
    ledger = Ledger(Budget(epsilon=1))
    for share in ledger.budget.split({"a": "1/3", "b": "1/3", "c": "1/3"}).values():
        ledger.charge("a third", DiscreteLaplace(scale=1 / share.epsilon))
    assert ledger.spent.amount == 1.0
    assert ledger.remaining == 0.0
    with pytest.raises(BudgetExceeded):
        ledger.charge("a hair", DiscreteLaplace(scale=2**55))


def test_pure_accounting_adds_epsilons_and_leaves_delta_to_thresholds():
    budget = Budget(epsilon=1, delta="1e-9", accounting="pure")
    ledger = Ledger(budget)
    noise = DiscreteLaplace(scale=1 / budget.share("1/2").epsilon)
    ledger.charge("counts", noise)
    ledger.charge("words", ThresholdedHistogram(noise=noise, delta="1e-9"))
    assert ledger.spent.amount == 1.0
    assert ledger.spent.bound == "pure"
    with pytest.raises(PlanError, match="Laplace"):
        budget.gaussian_sigma()


def test_shares_over_one_are_refused_and_parts_of_parts_multiply():
    budget = Budget(epsilon=1)
    assert sum(s.epsilon for s in budget.split({"a": 0.1, "b": 0.2, "c": 0.7}).values()) == 1
    with pytest.raises(BudgetExceeded, match=r"1\.1"):
        budget.split({"a": 0.4, "b": 0.7})
    half = budget.split({"a": 0.5})["a"]
    assert half.split({"x": "1/5"})["x"].epsilon == Fraction(1, 10)
    for wrong in (0, -1, 2):
        with pytest.raises(PlanError):
            budget.share(wrong)
    with pytest.raises(PlanError, match="Laplace"):
        budget.gaussian_sigma()
    with pytest.raises(PlanError, match="no shares"):
        Budget(no_promise=True).share()


# -- the ledger ------------------------------------------------------------------------------------


def test_an_overdraft_is_refused_before_data_are_read():
    read = []

    def data():
        read.append(True)
        return [1, 2]

    ledger = Ledger(Budget(epsilon=1))
    ledger.run("counts", DiscreteLaplace(scale="5/3"), data)
    assert len(read) == 1
    for budget, mechanism in (
        (ledger, DiscreteLaplace(scale=2)),
        (Ledger(Budget(rho="0.1")), DiscreteGaussian(sigma_squared=4)),
        (Ledger(Budget(mu="0.1")), DiscreteGaussian(sigma_squared=99)),
        (Ledger(adult()), DiscreteGaussian(sigma_squared=30)),
        (Ledger(Budget(epsilon=1)), DiscreteGaussian(sigma_squared=10**9)),
    ):
        before = budget.charges
        assert not budget.affords(mechanism)
        with pytest.raises(BudgetExceeded):
            budget.run("once more", mechanism, data)
        assert len(read) == 1
        assert budget.charges == before


def test_thresholds_spend_delta():
    budget = Budget(epsilon=1, delta="2e-9", threshold_delta="1e-9")
    noise = DiscreteGaussian(sigma_squared=budget.gaussian_sigma(1, "1/2"))
    ledger = Ledger(budget)
    ledger.charge("words", ThresholdedHistogram(noise=noise, delta="1e-9"))
    ledger.charge("counts", noise)
    assert ledger.spent.delta == 1e-9
    with pytest.raises(BudgetExceeded, match="delta"):
        ledger.charge("words", ThresholdedHistogram(noise=noise, delta="1.5e-9"))
    with pytest.raises(BudgetExceeded):
        Ledger(Budget(rho=1)).charge(
            "words", ThresholdedHistogram(noise=DiscreteLaplace(scale=9), delta="1e-9")
        )


def test_rho_and_mu_budgets():
    by_rho = Ledger(Budget(rho="1/2"))
    for _ in range(2):
        by_rho.charge(
            "half", DiscreteGaussian(sigma_squared=by_rho.budget.gaussian_sigma(1, "1/2"))
        )
    assert by_rho.spent.amount <= 0.5
    assert by_rho.spent.amount == pytest.approx(0.5)
    assert not by_rho.affords(Cost.pure("1/10"))
    by_mu = Ledger(Budget(mu=1))
    for _ in range(2):
        by_mu.charge("half", DiscreteGaussian(sigma_squared=by_mu.budget.gaussian_sigma(1, "1/2")))
    assert 0.999 < by_mu.spent.amount <= 1
    assert by_mu.spent.bound == "gdp"


def test_a_plan_of_mixed_mechanisms_does_better_than_its_shares():
    def plan(level):
        choice = rounded_down(math.sqrt(8 * float(level) * 0.1 / 10))
        variance = rounded_up(10 / (2 * level * Fraction(9, 10)))
        return [
            ("choose", ExponentialMechanism(epsilon=choice), 10),
            ("measure", DiscreteGaussian(sigma_squared=variance), 10),
        ]

    made = calibrated(adult(), plan, steps=8)
    ledger = Ledger(adult())
    for label, mechanism, times in made:
        ledger.charge(label, mechanism, times)
    assert 0.98 < ledger.spent.amount <= 1
    assert ledger.spent.bound == "pld"
    assert made[1][1].sigma_squared < 370  # 379.9 by zCDP alone
    with pytest.raises(BudgetExceeded, match="any level"):
        calibrated(Budget(epsilon="1e-9"), lambda level: [("x", DiscreteLaplace(scale=1), 1)])


def test_a_budget_without_promise_records_everything():
    ledger = Ledger(Budget(no_promise=True))
    ledger.charge("all", DiscreteLaplace(scale="1/1000"))
    assert ledger.spent.limit == math.inf
    assert "no promise was made" in ledger.describe()[-1]


def test_the_certificate_goes_there_and_back():
    ledger = Ledger(adult(unit="person", rows_per_person=2), RandomWords(insecure_seed=1))
    shares = ledger.budget.split({"one-way": 0.3, "two-way": 0.7})
    for name, share in shares.items():
        ledger.run(
            name,
            DiscreteGaussian(sigma_squared=share.gaussian_variance(14), sensitivity_squared=14),
            [5, 6],
        )
    ledger.charge("nothing much", Cost.approximate("1e-12", "1e-30"), times=3) if ledger.affords(
        Cost.approximate("1e-12", "1e-30"), 3
    ) else None
    written = json.loads(json.dumps(ledger.to_dict()))
    again = Ledger.from_dict(written)
    assert again.to_dict() == ledger.to_dict()
    assert again.budget == ledger.budget
    assert again.charges == ledger.charges
    assert not again.secure
    assert "NOT PRIVATE" in ledger.describe()[-1]
    rows = ledger.records()
    assert [row["label"] for row in rows[:2]] == ["one-way", "two-way"]
    assert sum(row["share"] for row in rows) == pytest.approx(1)
    assert [row["cumulated"] for row in rows] == sorted(row["cumulated"] for row in rows)
    assert rows[-1]["cumulated"] == ledger.spent.amount


def test_a_forged_certificate_is_refused():
    ledger = Ledger(Budget(epsilon=1))
    ledger.charge("all", DiscreteLaplace(scale=1))
    written = ledger.to_dict()
    forged = {**written, "charges": written["charges"] * 2}
    with pytest.raises(BudgetExceeded, match="sum to 2"):
        Ledger.from_dict(forged)
    for wrong in ({}, {"format": 2}, {"format": 1}, {**written, "charges": [{}]}):
        with pytest.raises(PlanError):
            Ledger.from_dict(wrong)
    with pytest.raises(PlanError, match="at least 1"):
        ledger.charge("none", DiscreteLaplace(scale=1), times=0)


# -- rational numbers ------------------------------------------------------------------------------


@settings(max_examples=100, deadline=None)
@given(st.fractions(min_value=Fraction(1, 10**30), max_value=10**30), st.integers(5, 60))
def test_rounding_is_to_the_safe_side_and_near(value, bits):
    up, down = rounded_up(value, bits), rounded_down(value, bits)
    assert down <= value <= up
    assert up - down <= value * Fraction(2, 2**bits)


def test_numbers_are_read_as_written():
    assert rational(0.1) == Fraction(1, 10)
    assert rational("1e-9") == Fraction(1, 10**9)
    for wrong in (None, [], "x", math.nan, math.inf, True, "1/0"):
        with pytest.raises(PlanError):
            rational(wrong)
    with pytest.raises(PlanError):
        rounded_up(0)
