"""DPMarginals: the promise, the choice, what is kept, and what a sample looks like."""

import math
from collections import Counter
from fractions import Fraction

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal
from tests.synthesis.private_people import BUDGET, DOMAIN, SCHEMA, people

from sfumato.errors import DataError, PlanError, SchemaError
from sfumato.privacy.differential.budget import Budget
from sfumato.privacy.differential.choices import ExponentialMechanism
from sfumato.privacy.differential.conversions import gdp_mu
from sfumato.synthesis import Generator
from sfumato.synthesis.private import noisy_counting
from sfumato.synthesis.private.marginals import DPMarginals, MarginalsGenerator, adaptive_measuring
from sfumato.synthesis.private.marginals.candidates import (
    candidates,
    resolutions,
    workload_sets,
)
from sfumato.synthesis.private.marginals.tilting import apart
from sfumato.table import Schema

QUICK = {"rounds": 3, "cells": 8}


def fit(table, schema=SCHEMA, **settings):
    given = {"budget": BUDGET, "domain": DOMAIN, "insecure_seed": 1, **QUICK, **settings}
    return DPMarginals(**given).fit(table, schema)


@pytest.fixture(scope="module")
def table():
    return people()


@pytest.fixture(scope="module")
def model(table):
    return fit(table, budget=Budget(epsilon=3, delta="1e-7"), rounds=8, cells=16)


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
    real = (table["dose"] == 7.35).mean()
    assert (sample["dose"] == 7.35).mean() == pytest.approx(real, abs=0.03)


def test_the_ledger_sums_to_the_promise_and_no_further(model):
    account = model.account
    assert account.spent.amount <= 3
    assert account.spent.amount == pytest.approx(3, rel=1e-3)
    assert account.spent.bound == "gdp"
    mu = sum(one.times * one.cost.mu_squared for one in account.charges)
    assert 0.97 * gdp_mu(3, 1e-7) < math.sqrt(mu) <= gdp_mu(3, 1e-7)
    labels = Counter()
    for one in account.charges:
        labels[one.label] += one.times
    assert labels["choice of the next marginal"] == labels["a chosen marginal"] >= 4


@pytest.mark.slow
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
    model = fit(table, budget=budget)
    spent = model.account.spent
    assert 0.98 * spent.limit < spent.amount <= spent.limit
    kinds = {one.mechanism for one in model.account.charges if "choice" in one.label}
    assert kinds == {"exponential"}


@pytest.mark.slow
def test_no_seed_no_repetition_and_a_seed_is_stamped(table):
    private, again = fit(table, insecure_seed=None), fit(table, insecure_seed=None)
    assert private.account.secure
    assert private.columns[0].cells.share.tolist() != again.columns[0].cells.share.tolist()
    assert not any("NOT PRIVATE" in line for line in private.describe())
    seeded = fit(table)
    assert not seeded.account.secure
    assert any("NOT PRIVATE" in line for line in seeded.describe())
    assert seeded.to_dict() == fit(table).to_dict()


def test_the_model_survives_its_file_and_longer_samples_start_alike(model, tmp_path):
    path = tmp_path / "model.json"
    model.save(path)
    again = Generator.load(path)
    assert isinstance(again, MarginalsGenerator)
    sample = model.sample(7000, seed=3)
    assert_frame_equal(sample, again.sample(7000, seed=3))
    assert_frame_equal(sample[:120], again.sample(120, seed=3))
    assert model.describe() == again.describe()


def test_given_values_are_kept_and_the_rest_follows_them(table, model):
    old = model.sample(3000, seed=1, given={"ill": True, "sex": "M"})
    assert old["ill"].all()
    assert (old["sex"] == "M").all()
    real = table.filter(pl.col("ill") & (pl.col("sex") == "M"))["age"].mean()
    assert old["age"].mean() == pytest.approx(real, abs=3)
    assert model.sample(20, seed=1, given={"age": None})["age"].null_count() == 20
    with pytest.raises(DataError, match="declared"):
        model.sample(5, seed=1, given={"sex": "X"})


# what the promise rests on


def neighbours(n=3000):
    """Return a table, and the same with its last row gone: an odd one, at every edge."""
    odd = pl.DataFrame({"age": [100], "sex": ["X"], "dose": [99.0], "ill": [None]})
    table = people(n)
    both = pl.concat([table, odd.cast(table.schema)])
    return both, both[:-1]


@pytest.fixture
def recorded(monkeypatch):
    """Record true counts and scores of every release; answers come from a tape and are replayed."""
    tape, calls, scored = [], [], []

    def noised(self, counts, share):
        mechanism = self.mechanism(share)
        place = len(calls)
        if place == len(tape):
            tape.append(mechanism.release(counts, self.ledger.words))
        calls.append(counts.copy())
        return tape[place].astype(np.float64), float(mechanism.sigma_squared) ** 0.5

    choices = []

    def chosen(self, data, words):
        place = len(scored)
        if place == len(choices):
            choices.append(released(self, data, words))
        scored.append((np.asarray(data).copy(), self.sensitivity, self.monotonic))
        return choices[place]

    released = ExponentialMechanism.release
    monkeypatch.setattr(noisy_counting.NoisyCounting, "noised", noised)
    monkeypatch.setattr(ExponentialMechanism, "release", chosen)
    return calls, scored


@pytest.mark.parametrize("workload", ["target", "triples"])
def test_nothing_but_paid_answers_depends_on_a_row(recorded, workload):
    """With the answers replayed a neighbouring table gives the same model; sensitivities hold."""
    calls, scored = recorded
    table, smaller = neighbours()
    first = fit(table, workload=workload)
    true_first, scores_first = list(calls), list(scored)
    calls.clear()
    scored.clear()
    second = fit(smaller, workload=workload)
    assert first.to_dict() == second.to_dict()
    moved = [np.abs(a - b).sum() for a, b in zip(true_first, calls, strict=True)]
    assert max(moved) == 1
    counted = sum(one.times for one in first.account.charges if "choice" not in one.label)
    assert len(moved) == counted
    assert len(scored) == sum(one.times for one in first.account.charges if "choice" in one.label)
    for (a, sensitivity, monotonic), (b, _, _) in zip(scores_first, scored, strict=True):
        assert np.abs(a - b).max() <= sensitivity
        assert not monotonic


def test_the_score_is_not_monotonic_and_its_bound_is_reached(recorded):
    """One row more moves some scores up and some down: half the noise would not do."""
    calls, scored = recorded
    table = people(3000)
    larger = pl.concat([table, table[:1]])
    fit(larger)
    scores_first = list(scored)
    calls.clear()
    scored.clear()
    fit(table)
    ups = downs = closest = 0
    for (a, sensitivity, _), (b, _, _) in zip(scores_first, scored, strict=True):
        change = a - b
        ups, downs = ups + int((change > 0).any()), downs + int((change < 0).any())
        closest = max(closest, int(np.abs(change).max()) / sensitivity)
    assert ups
    assert downs
    assert closest == 1


def test_a_person_moves_scores_and_counts_by_the_rows_kept(recorded):
    calls, scored = recorded
    table = people(2000).with_columns(person=pl.Series(np.arange(2000)))
    crowd = pl.concat([table, *[table[-1:]] * 30])
    budget = Budget(epsilon=1, delta="1e-7", unit="person", rows_per_person=3)
    schema = Schema(target="ill", person="person", rest="other")
    fit(crowd, schema, budget=budget)
    true_first, scores_first = list(calls), list(scored)
    calls.clear()
    scored.clear()
    fit(table[:-1], schema, budget=budget)
    assert max(np.abs(a - b).sum() for a, b in zip(true_first, calls, strict=True)) == 3
    for (a, sensitivity, _), (b, _, _) in zip(scores_first, scored, strict=True):
        assert np.abs(a - b).max() <= sensitivity


# choice, workload, bounds


def test_the_first_choices_are_the_strongest_ties(table):
    model = fit(table, budget=Budget(epsilon=20, delta="1e-7"), workload="pairs", rounds=4)
    together = [{model.columns[k].name for k in axes} for axes in model.model.tree.axes]
    assert any({"age", "ill"} <= one for one in together)
    assert any({"age", "sex"} <= one for one in together)


def test_workloads_offer_the_sets_they_name():
    sizes = (4, 3, 2, 5)
    assert workload_sets(sizes, "pairs", 2, 4) == dict.fromkeys(
        [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)], 1
    )
    aimed = workload_sets(sizes, "target", 2, 4)
    assert aimed[0, 2] == 4
    assert aimed[0, 1] == 1
    assert {one for one in aimed if len(one) == 3} == {(0, 1, 2), (0, 2, 3), (1, 2, 3)}
    assert workload_sets(sizes, "target", None, 4) == workload_sets(sizes, "pairs", None, 4)
    assert len(workload_sets(sizes, "triples", None, 4)) == 6 + 4


def test_resolutions_group_neighbours_or_the_rarest_and_leave_missing_alone():
    shares = np.full(33, 1 / 33)
    found = resolutions(shares, ordered=True, missing=True)
    assert [int(one.max()) + 1 for one in found] == [33, 17, 9, 5]
    for group in found:
        assert (np.diff(group) >= 0).all()
        assert (group[:-1] < group[-1]).all()
    rare = np.array([0.3, 0.001, 0.4, 0.002, 0.001, 0.29, 0.006])
    coarse = resolutions(rare, ordered=False, missing=False)[1]
    assert len({int(one) for one in coarse[[1, 3, 4]]}) == 1
    assert len({int(one) for one in coarse[[0, 2, 5]]}) == 3
    offered = candidates({(0, 1): 1}, [found, found], None, 600)
    assert max(one.size for one in offered) <= 600
    assert min(one.size for one in offered) == 25


def test_the_junction_tree_never_exceeds_its_bound(table):
    model = fit(table, max_cells=60, rounds=8)
    assert model.model.tree.cells <= 60
    assert fit(table, max_cells=1).model.tree.cells == sum(one.cells.size for one in model.columns)


def test_less_noise_follows_a_measurement_that_taught_nothing():
    random = np.random.default_rng(0)
    flat = pl.DataFrame({name: random.integers(0, 2, 4000) for name in "abcd"})
    domain = {name: {"values": [0, 1]} for name in "abcd"}
    model = fit(flat, Schema(rest="other"), domain=domain, rounds=30)
    shares = [
        one.cost.sigma_squared for one in model.account.charges if one.label == "a chosen marginal"
    ]
    assert len(shares) < 15
    assert shares[-1] < shares[0] / 3


def test_the_mechanisms_are_charged_before_the_table_is_compared(table, monkeypatch):
    def refused(self, model, wanted):
        choices = [one for one in self.counting.ledger.charges if "choice" in one.label]
        raise AssertionError(f"compared after {len(choices)} charges")

    monkeypatch.setattr(adaptive_measuring.Adaptive, "_apart", refused)
    with pytest.raises(AssertionError, match="after 1 charges"):
        fit(table)


def test_pairs_beyond_the_tree_are_measured_once_and_bend_the_model(table):
    """Nothing may lie in a clique together: all ties are then held by tilts alone."""
    given = {"budget": Budget(epsilon=20, delta="1e-7"), "max_cells": 1}
    model, without = fit(table, **given), fit(table, beyond=0, **given)
    assert "bent to 6 pairs of columns beyond" in model.model.described
    assert not without.model.tilts
    label = "pairs of columns that no clique holds"
    assert [one.times for one in model.account.charges if one.label == label] == [6]
    assert model.account.spent.amount == pytest.approx(20, rel=1e-3)
    rows, alone = model.sample(6000, seed=1), without.sample(6000, seed=1)

    def tie(sample):
        ill = sample.filter("ill")["age"].mean() - sample.filter(~pl.col("ill"))["age"].mean()
        return ill, sample.group_by("sex").agg(pl.mean("age")).sort("sex")["age"].diff()[1]

    assert tie(rows) == pytest.approx(tie(table), abs=2)
    assert tie(alone) == pytest.approx((0, 0), abs=2)
    assert (rows["dose"] == 7.35).mean() == pytest.approx((table["dose"] == 7.35).mean(), abs=0.03)
    again = MarginalsGenerator.from_dict(model.to_dict())
    assert_frame_equal(again.sample(500, seed=2), model.sample(500, seed=2))
    given_old = model.sample(500, seed=2, given={"ill": True})
    assert given_old["ill"].all()
    assert given_old["age"].mean() > table["age"].mean() + 10


def test_the_pairs_that_are_paid_for_at_last_are_those_in_no_clique_if_they_are_the_most(table):
    met = set()
    for given in ({"rounds": 1}, {"rounds": 6}, {"max_cells": 1}):
        model = fit(table, **given)
        label = "pairs of columns that no clique holds"
        paid = sum(one.times for one in model.account.charges if one.label == label)
        beyond = len(apart(model.model.tree))
        assert paid == (beyond if beyond > 3 else 0)
        assert 0.98 < model.account.spent.amount <= 1
        met.add(paid > 0)
    assert met == {True, False}


def test_shares_that_leave_nothing_for_chosen_marginals_are_refused():
    with pytest.raises(PlanError, match="all three together below 1"):
        DPMarginals(budget=BUDGET, domain=DOMAIN, beyond="0.9")


# structural zeros, public rows


def test_impossible_combinations_never_occur_and_cells_are_kept_apart_for_them(table):
    rules = ({"ill": True, "age": [0, 37]}, {"sex": "M", "dose": 7.35})
    model = fit(table, impossible=rules)
    sample = model.sample(20_000, seed=1)
    assert sample.filter(pl.col("ill") & (pl.col("age") <= 37)).height == 0
    assert (
        sample.filter((pl.col("sex") == "M") & ((pl.col("dose") - 7.35).abs() < 1e-9)).height == 0
    )
    assert sample.filter(pl.col("ill") & (pl.col("age") == 38)).height > 0
    assert sample.filter((pl.col("sex") == "F") & ((pl.col("dose") - 7.35).abs() < 1e-9)).height > 0
    with pytest.raises(DataError, match="too rare"):
        model.sample(5, seed=1, given={"ill": True, "age": 20})
    again = MarginalsGenerator.from_dict(model.to_dict())
    assert_frame_equal(again.sample(200, seed=2), model.sample(200, seed=2))


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({}, "must name a column"),
        ({"agee": 3}, "Did you mean 'age'"),
        ({"age": [50, 20]}, "from below to"),
    ],
)
def test_rules_that_cannot_be_held_are_refused(table, rule, message):
    with pytest.raises(PlanError, match=message):
        fit(table, impossible=(rule,))


def test_rules_that_leave_nothing_possible_are_refused(table):
    with pytest.raises(PlanError, match="nothing possible"):
        fit(table, impossible=({"ill": [True, False, None]},))


def test_public_rows_are_where_the_model_departs_from(tmp_path):
    table, public = people(6000, seed=1), people(20_000, seed=2)
    path = str(tmp_path / "public.parquet")
    public.write_parquet(path)
    small = Budget(epsilon="0.5", delta="1e-7")

    def ties(rows):
        """How many years apart the ill and the well are, and men and women."""
        age, well, man = rows["age"], ~pl.col("ill"), pl.col("sex") == "M"
        assert age.null_count() < rows.height
        return [
            rows.filter(each)["age"].mean() - rows.filter(~each)["age"].mean()
            for each in (well, man)
        ]

    real = ties(public)
    given = {"budget": small, "rounds": 1, "beyond": 0}
    # one measurement cannot teach both
    far = {
        name: max(
            abs(a - b)
            for a, b in zip(
                ties(fit(table, public=file, **given).sample(6000, seed=1)),
                real,
                strict=True,
            )
        )
        for name, file in (("alone", None), ("public", path))
    }
    assert far["public"] < 5 < far["alone"]
    public.drop("dose").write_parquet(path)
    with pytest.raises(SchemaError, match="lack the column 'dose'"):
        fit(table, public=path)


@pytest.mark.parametrize(
    "settings", [{"singles": 0}, {"singles": "0.6", "discover": "0.4"}, {"selection": 1}]
)
def test_settings_that_leave_nothing_are_refused(settings):
    with pytest.raises(PlanError, match="DPMarginals"):
        DPMarginals(budget=BUDGET, domain=DOMAIN, **settings)
    assert ExponentialMechanism(epsilon=Fraction(1)).monotonic is False
