"""k-anonymity as a frozen value."""

from __future__ import annotations

import json
from collections import Counter

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfumato.errors import PlanError
from sfumato.privacy import (
    AlphaKAnonymity,
    AverageRisk,
    BetaLikeness,
    CostBenefit,
    Criteria,
    Criterion,
    DeltaDisclosure,
    DeltaPresence,
    DifferentialPrivacy,
    EquivalenceClasses,
    HighestRisk,
    KAnonymity,
    KMap,
    LDiversity,
    PopulationUniqueness,
    SampleUniqueness,
    StrictAverageRisk,
    TCloseness,
    columns_of,
    criterion_kinds,
)
from sfumato.settings import Settings
from sfumato.table import Hierarchy


@settings(deadline=None)
@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=20), st.integers(2, 6))
def test_a_class_keeps_the_promise_from_k_members_on(letters: list[str], k: int) -> None:
    classes = EquivalenceClasses.of(pl.DataFrame({"x": letters}), ["x"])
    kept = KAnonymity(k).kept(classes)
    counted = Counter(letters)
    assert [bool(kept[c]) for c in classes.of_row] == [counted[x] >= k for x in letters]
    assert KAnonymity(k).holds(classes) == (min(counted.values()) >= k)


def test_rows_of_one_person_do_not_hide_each_other() -> None:
    table = pl.DataFrame({"age": [30] * 5, "patient": ["p"] * 4 + ["q"]})
    assert KAnonymity(5).holds(EquivalenceClasses.of(table, ["age"]))
    assert not KAnonymity(3).holds(EquivalenceClasses.of(table, ["age"], person="patient"))


@settings(deadline=None)
@given(st.integers(2, 10**9))
def test_the_promise_comes_back_from_json(k: int) -> None:
    promise = KAnonymity(k)
    assert Criterion.from_dict(json.loads(json.dumps(promise.to_dict()))) == promise
    assert promise == KAnonymity(k=k)
    assert str(k) in promise.describe()


@pytest.mark.parametrize("k", [1, 0, -5])
def test_k_below_two_is_no_promise(k: int) -> None:
    with pytest.raises(PlanError, match="greater than or equal to 2"):
        KAnonymity(k)


def test_k_is_required() -> None:
    with pytest.raises(PlanError, match="'k' is required"):
        KAnonymity()


def test_a_promise_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        KAnonymity(5).k = 2  # type: ignore[misc]


def test_an_unknown_promise_is_refused() -> None:
    with pytest.raises(
        PlanError, match=r"unknown criterion 'k-anonymty'.*Did you mean 'k-anonymity'"
    ):
        Criterion.from_dict({"kind": "k-anonymty", "k": 5})
    with pytest.raises(PlanError, match="unknown setting 'l'"):
        Criterion.from_dict({"kind": "k-anonymity", "k": 5, "l": 2})


EVERY = {
    "k-anonymity": (KAnonymity(5), {"k": 5}),
    "k-map": (
        KMap(5, estimate="poisson", population_size=900),
        {
            "k": 5,
            "population": None,
            "estimate": "poisson",
            "population_size": 900,
            "significance": 0.01,
        },
    ),
    "l-diversity": (
        LDiversity("s", 2.5, "entropy"),
        {"column": "s", "l": 2.5, "variant": "entropy", "c": None, "estimator": "shannon"},
    ),
    "t-closeness": (
        TCloseness("s", 0.2, "hierarchical", Hierarchy.bands([5, 10])),
        {
            "column": "s",
            "t": 0.2,
            "distance": "hierarchical",
            "hierarchy": {"bands": [5, 10], "origin": 0, "top": 90},
        },
    ),
    "delta-disclosure": (DeltaDisclosure("s", 1.5), {"column": "s", "delta": 1.5}),
    "beta-likeness": (BetaLikeness("s", 2), {"column": "s", "beta": 2.0, "enhanced": False}),
    "alpha-k-anonymity": (
        AlphaKAnonymity(3, "s", 0.5, ["HIV", 7, True]),
        {"k": 3, "column": "s", "alpha": 0.5, "values": ["HIV", 7, True]},
    ),
    "delta-presence": (
        DeltaPresence(0.1, 0.5, "people.csv"),
        {"delta_min": 0.1, "delta_max": 0.5, "population": "people.csv"},
    ),
    "highest-risk": (HighestRisk(0.2), {"limit": 0.2}),
    "average-risk": (AverageRisk(0.05), {"limit": 0.05}),
    "strict-average-risk": (
        StrictAverageRisk(0.05, 0.2, 0.01),
        {"average": 0.05, "highest": 0.2, "at_risk": 0.01},
    ),
    "sample-uniqueness": (SampleUniqueness(0.01), {"share": 0.01}),
    "population-uniqueness": (
        PopulationUniqueness(0.01, 1000, "snb"),
        {"share": 0.01, "population_size": 1000, "estimator": "snb"},
    ),
    "cost-benefit": (
        CostBenefit("journalist", population_size=1000),
        {
            "attacker": "journalist",
            "no_attack": False,
            "publisher_benefit": 1200.0,
            "publisher_loss": 300.0,
            "adversary_gain": 300.0,
            "adversary_cost": 4.0,
            "population": None,
            "population_size": 1000,
        },
    ),
    "differential-privacy": (
        DifferentialPrivacy(1.0, 1e-6),
        {"epsilon": 1.0, "delta": 1e-6},
    ),
}


def test_every_kind_stands_here() -> None:
    ours = {kind for kind, one in criterion_kinds().items() if one.__module__.startswith("sfumato")}
    assert set(EVERY) == ours


@pytest.mark.parametrize("kind", EVERY)
def test_every_kind_comes_back_from_its_plain_values(kind: str) -> None:
    criterion, settings = EVERY[kind]
    plain = criterion.to_dict()
    assert plain == {"kind": kind, **settings}
    again = Criterion.from_dict(json.loads(json.dumps(plain)))
    assert again == criterion
    assert hash(again) == hash(criterion)
    assert type(criterion)(**settings) == criterion
    said = criterion.describe()
    assert len(said) > 40
    assert all(column in said for column in criterion.columns)
    if criterion.columns:
        assert "missing" in said
    for flag in ("generalization", "suppression", "growth"):
        assert isinstance(getattr(criterion, f"monotone_{flag}"), bool)


def test_an_unknown_kind_is_told_what_is_known() -> None:
    with pytest.raises(PlanError) as raised:
        Criterion.from_dict({"kind": "secrecy"})
    assert all(kind in str(raised.value) for kind in EVERY)


class Release(Settings):
    """Settings of a technique with criteria."""

    criteria: Criteria = ()


def test_criteria_are_given_as_objects_or_as_a_plan_says_them() -> None:
    objects = Release(criteria=[KAnonymity(5), LDiversity("s", 2)])
    said = Release(
        criteria=[
            {"kind": "k-anonymity", "k": 5},
            {"kind": "l-diversity", "column": "s", "l": 2},
        ]
    )
    assert objects == said
    assert said.criteria == (KAnonymity(5), LDiversity("s", 2))
    assert hash(said) == hash(objects)
    plain = json.loads(json.dumps(said.model_dump(mode="json")))
    assert Release(**plain) == said
    assert Release(criteria=KAnonymity(5)).criteria == (KAnonymity(5),)
    assert Release().criteria == ()
    assert columns_of([*said.criteria, TCloseness("t", 0.1), TCloseness("s", 0.1)]) == ("s", "t")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ([{"kind": "k-anonimity", "k": 5}], r"unknown criterion 'k-anonimity'.*'k-anonymity'"),
        ([{"kind": "k-anonymity", "k": 1}], "greater than or equal to 2"),
        ([{"k": 5}], "unknown criterion None"),
        (5, "criteria"),
        (["k-anonymity"], "criteria"),
    ],
)
def test_wrong_criteria_are_one_clear_error(wrong: object, message: str) -> None:
    with pytest.raises(PlanError, match=message):
        Release(criteria=wrong)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LDiversity("s", 0.5), "greater than or equal to 1"),
        (lambda: LDiversity("s", 2.5), "whole number for distinct"),
        (lambda: LDiversity("s", 2, "recursive"), "c is needed"),
        (lambda: LDiversity("s", 2, c=1.0), "c is needed for recursive"),
        (lambda: LDiversity("s", 2, estimator="shannon"), "for entropy l-diversity"),
        (lambda: TCloseness("s", 1.2), "less than or equal to 1"),
        (lambda: TCloseness("s", 0.2, "hierarchical"), "a hierarchy is needed"),
        (lambda: TCloseness("s", 0.2, "equal", {"flat": True}), "a hierarchy is needed"),
        (lambda: DeltaDisclosure("s", 0), "greater than 0"),
        (lambda: BetaLikeness("s", 0), "greater than 0"),
        (lambda: AlphaKAnonymity(3, "s", 0), "greater than 0"),
        (lambda: AlphaKAnonymity(3, "s", 0.5, []), "at least 1"),
        (lambda: AverageRisk(0), "greater than 0"),
        (lambda: HighestRisk(1.5), "less than or equal to 1"),
        (lambda: SampleUniqueness(-0.1), "greater than or equal to 0"),
        (lambda: DifferentialPrivacy(1, 1), "less than 1"),
        (lambda: KAnonymity(5, 6), "2 settings, but there are only k"),
        (lambda: KAnonymity(5, k=6), "'k' is given twice"),
    ],
)
def test_wrong_settings_are_refused(make, message: str) -> None:
    with pytest.raises(PlanError, match=message):
        make()
