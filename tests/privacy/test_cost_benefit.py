"""Publishing what pays, against the game written out in plain Python."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfumato.errors import PlanError
from sfumato.privacy import CostBenefit, EquivalenceClasses

money = st.integers(0, 400)


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 90), st.integers(0, 4)), min_size=1, max_size=8),
    *[money] * 4,
    st.booleans(),
)
def test_a_class_is_kept_where_its_payoff_is_positive(
    drawn: list, benefit: int, loss: int, gain: int, cost: int, no_attack: bool
) -> None:
    sizes = [size for size, _ in drawn]
    lost = [Fraction(quarters, 4) for _, quarters in drawn]
    classes = EquivalenceClasses.from_counts(sizes, loss=[float(one) for one in lost])
    criterion = CostBenefit(
        no_attack=no_attack,
        publisher_benefit=benefit,
        publisher_loss=loss,
        adversary_gain=gain,
        adversary_cost=cost,
    )
    expected = []
    for size, share in zip(sizes, lost, strict=True):
        chance = Fraction(1, size)
        if no_attack:
            expected.append(gain == 0 or gain * chance < cost)
        else:
            attacked = gain * chance > cost
            payoff = benefit * (1 - share) - (loss * chance if attacked else 0)
            near = abs(float(payoff)) < 1e-9
            expected.append(None if near else payoff > 0)
    found = criterion.kept(classes).tolist()
    for one, wanted in zip(found, expected, strict=True):
        assert wanted is None or one == wanted


def test_no_attack_is_a_smallest_size() -> None:
    classes = EquivalenceClasses.from_counts([74, 75, 76])
    criterion = CostBenefit(no_attack=True, adversary_gain=300, adversary_cost=4)
    assert criterion.kept(classes).tolist() == [False, False, True]
    assert "at least 76 people" in criterion.describe()
    assert criterion.monotone_generalization
    assert criterion.monotone_growth
    # an attack that costs nothing always pays, one that brings nothing never does
    assert not CostBenefit(no_attack=True, adversary_cost=0).kept(classes).any()
    assert CostBenefit(no_attack=True, adversary_gain=0).kept(classes).all()


def test_a_generalized_class_may_not_be_worth_its_risk() -> None:
    # attacked at 1/10: expected loss 30; the benefit of 100 is worth 25 after a loss of 3/4
    criterion = CostBenefit(
        publisher_benefit=100, publisher_loss=300, adversary_gain=300, adversary_cost=4
    )
    fine = EquivalenceClasses.from_counts([10, 10], loss=[0.0, 0.75])
    assert criterion.kept(fine).tolist() == [True, False]
    assert not criterion.monotone_generalization
    assert not criterion.monotone_growth


def test_a_journalist_looks_in_the_population(tmp_path) -> None:
    release = pl.DataFrame({"age": ["a", "a", "b"]})
    pl.DataFrame({"age": ["a"] * 100 + ["b"]}).write_parquet(tmp_path / "people.parquet")
    classes = EquivalenceClasses.of(release, ["age"])
    shared = {"no_attack": True, "adversary_gain": 300, "adversary_cost": 4}
    assert not CostBenefit("prosecutor", **shared).kept(classes).any()
    by_table = CostBenefit("journalist", population=str(tmp_path / "people.parquet"), **shared)
    assert by_table.kept(classes).tolist() == [True, False]
    # a population 50 times the table: 100 people match "a", 50 match "b"
    by_size = CostBenefit("journalist", population_size=150, **shared)
    assert by_size.kept(classes).tolist() == [True, False]
    counted = EquivalenceClasses.from_counts([2, 1], population=[100, 1])
    assert CostBenefit("journalist", **shared).kept(counted).tolist() == [True, False]


def test_settings_that_contradict_are_refused() -> None:
    with pytest.raises(PlanError, match="population_size is for a journalist"):
        CostBenefit(population_size=100)
    with pytest.raises(PlanError, match="not both"):
        CostBenefit("journalist", population="p.csv", population_size=100)
    with pytest.raises(PlanError, match="cost-benefit needs 'population'"):
        CostBenefit("journalist").kept(EquivalenceClasses.from_counts([1]))


def test_the_payoff_of_the_paper() -> None:
    # Wan et al. 2015: a record is worth 1,200, a success costs 300, an attempt 4. A unique record
    # is attacked and still pays; it would not if its benefit were below 300.
    classes = EquivalenceClasses.from_counts(np.array([1]))
    assert CostBenefit().holds(classes)
    assert not CostBenefit(publisher_benefit=300).holds(classes)
    assert CostBenefit(publisher_benefit=300.01).holds(classes)
