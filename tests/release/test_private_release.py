"""A release under a privacy budget: what it states, what it hides, and a recount of its ledger."""

import json
import math
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

import sfumato as sf
from sfumato.errors import PlanError
from sfumato.privacy.differential import (
    Budget,
    DiscreteGaussian,
    DiscreteLaplace,
    Ledger,
    sampled_gaussian,
)
from sfumato.release import Plan, run, verify
from sfumato.release.certificate import Certificate
from sfumato.release.ledger_recount import ledger_finding
from sfumato.release.private_release import (
    NOT_PRIVATE,
    apart,
    promises_of,
    rows_of,
)
from sfumato.release.report.budget_section import budget_accounts, together
from sfumato.release.splitting import set_aside
from sfumato.synthesis.private import DPLatentFactor, LocalLatentFactor
from sfumato.table import Schema

DOMAIN = {"age": (0, 100, 1), "sex": ["F", "M"]}
BUDGET = Budget(epsilon=2, delta="1e-9")
QUICK = {"steps": 10, "fits": 1, "classes": 4}
SCHEMA = Schema(quasi_identifiers=["age"], target="ill", rest="other")

PLAN = """
name = "private"
seed = 7
control = 0.25
schema = "schema.toml"
[source]
path = "people.csv"
[[release]]
name = "noisy"
technique = "dp-latent-factor"
steps = 10
fits = 1
classes = 4
derived = { old = "age > 60" }
rules = ["age < 99"]
[release.budget]
epsilon = 2
delta = "1e-9"
[release.domain]
age = [0, 100, 1]
sex = ["F", "M"]
[evaluation]
risk = { sample = 50 }
attacks = { most = 0 }
utility = { parts = [] }
"""


def people(rows=2000, seed=0):
    random = np.random.default_rng(seed)
    age = np.clip(np.rint(random.normal(50, 18, rows)), 0, 100).astype(int)
    return pl.DataFrame(
        {"age": age, "sex": random.choice(["F", "M"], rows), "ill": random.random(rows) < 0.3}
    )


def fitted(table=None, **settings):
    given = {"budget": BUDGET, "domain": DOMAIN, **QUICK, **settings}
    return sf.anonymize(people() if table is None else table, SCHEMA, DPLatentFactor(**given))


@pytest.fixture(scope="module")
def release():
    return fitted()


@pytest.fixture
def folder(release, tmp_path):
    return release.save(tmp_path / "release")


def rewritten(folder: Path, change) -> Path:
    """Forge a certificate."""
    path = folder / "certificate.json"
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))
    return folder


# -- what it states --------------------------------------------------------------------------------


def test_the_promise_is_told_with_its_ledger(release, folder):
    (promise,) = release.certificate.promises
    assert promise.kind == "differential-privacy"
    assert promise.settings == {
        "epsilon": 2.0,
        "delta": 1e-9,
        "neighbours": "add_remove",
        "unit": "row",
        "rows_per_person": 1,
    }
    assert "exp(2) if one row is added or removed" in promise.sentence
    assert release.ledger.spent.within
    assert release.verify()["SF027"].status == "passed"
    assert "differential-privacy" in repr(release)
    found = verify(folder)
    assert found.passed
    assert found["SF027"].status == "passed"
    assert found["SF028"].status == "not run"
    assert Certificate.read(folder / "certificate.json").ledger == release.certificate.ledger
    assert not any("no differential privacy" in one for one in release.certificate.not_promised)


def test_nothing_exact_leaves_the_house(release, folder):
    """The number of rows, of persons and the hash tell of one person more or less."""
    certificate = release.certificate
    for name in ("source_sha256", "source_rows", "control_rows", "rows_in", "persons_in"):
        assert getattr(certificate, name) is None, name
    assert certificate.rows_out == rows_of(release.generator) == release.generator.rows
    if certificate.rows_out != 2000:  # the noise may be nought
        for path in folder.iterdir():
            if path.name != "manifest.json":
                # a number of its own, not digits of a longer one
                assert not re.search(r"(?<![\d.-])2,?000(?![\d.])", path.read_text()), path.name
    clean = sf.anonymize(people(), SCHEMA, sf.GaussianCopula()).certificate
    assert clean.rows_in == 2000
    assert clean.ledger is None


def test_rows_are_as_many_as_asked_for_or_as_the_noisy_count_says(release):
    assert release.data.height == release.generator.rows
    assert abs(release.data.height - 2000) < 200
    technique = DPLatentFactor(budget=BUDGET, domain=DOMAIN, **QUICK)
    assert sf.anonymize(people(), SCHEMA, technique, rows=70).data.height == 70


def test_a_seed_for_the_noise_promises_nothing(tmp_path):
    seeded = fitted(insecure_seed=1)
    assert seeded.certificate.promises == ()
    assert seeded.certificate.not_promised[0] == NOT_PRIVATE
    found = verify(seeded.save(tmp_path / "seeded"))
    assert found["SF027"].explanation == "no promise is made, and the ledger bears out none"
    (account,) = budget_accounts([SimpleNamespace(name="x", certificate=seeded.certificate)])
    assert account.warning == NOT_PRIVATE


def test_a_budget_without_a_promise_promises_nothing():
    ledger = Ledger(Budget(no_promise=True))
    ledger.charge("rows", DiscreteLaplace(scale=1))
    assert promises_of(ledger.to_dict()) == ()


@pytest.mark.parametrize(
    ("budget", "said"),
    [
        (Budget(rho="1/8"), {"rho": 0.125, "delta": 0.0}),
        (Budget(mu=1), {"mu": 1.0, "delta": 0.0}),
        (
            Budget(epsilon=1, neighbours="replace", unit="person", rows_per_person=3),
            {"epsilon": 1.0, "neighbours": "replace", "unit": "person", "rows_per_person": 3},
        ),
    ],
)
def test_each_kind_of_budget_is_told_as_it_is(budget, said):
    (promise,) = promises_of(Ledger(budget).to_dict())
    assert said.items() <= promise.settings.items()


# -- a forged ledger -------------------------------------------------------------------------------


def less_epsilon(values):
    values["promises"][0]["settings"]["epsilon"] = 0.5


def no_ledger(values):
    values["ledger"] = None


def no_ledger_no_promise(values):
    values["ledger"], values["promises"] = None, []


def overdrawn(values):
    values["ledger"]["charges"][0]["times"] = 50


def cheaper(values):
    values["ledger"]["charges"][0]["cost"]["sigma_squared"] = "100000000"


def insensitive(values):
    values["ledger"]["charges"][0]["cost"]["sensitivity_squared"] = "1/1000"


def another_budget(values):
    values["ledger"]["budget"]["epsilon"] = "1000"
    values["promises"][0]["settings"]["epsilon"] = 1000.0


def nothing_charged(values):
    values["ledger"]["charges"] = []


def seeded(values):
    values["ledger"]["private_noise"] = False


def malformed(values):
    values["ledger"] = {"format": 1, "charges": 3}


def without_facts(values):
    values["ledger"]["charges"][0]["facts"] = {}


@pytest.mark.parametrize(
    "forge",
    [
        less_epsilon,
        no_ledger,
        no_ledger_no_promise,
        overdrawn,
        cheaper,
        insensitive,
        another_budget,
        nothing_charged,
        seeded,
        malformed,
        without_facts,
    ],
)
def test_a_forged_ledger_is_refused(folder, forge):
    found = verify(rewritten(folder, forge))
    assert found["SF027"].status == "failed", found["SF027"].explanation
    assert not found.passed


def test_laplace_noise_is_priced_by_its_scale(release):
    ledger = Ledger(Budget(epsilon=2, delta="1e-9"))
    ledger.charge("rows", DiscreteLaplace(scale=2))
    ledger.charge("cells", DiscreteGaussian(sigma_squared=900))
    honest = replace(release.certificate, ledger=ledger.to_dict())
    assert ledger_finding(honest)[0]
    forged = json.loads(json.dumps(ledger.to_dict()))
    forged["charges"][0]["cost"]["epsilon"] = "1/100"
    kept, words = ledger_finding(replace(honest, ledger=forged))
    assert not kept
    assert "costs more than the ledger says" in words


def rarer(charge):
    charge["cost"]["rate"] = "1/1000"


def quieter(charge):
    charge["facts"]["scale"] = "100 (sigma squared)"


def of_everybody(charge):
    charge["mechanism"] = "discrete Gaussian"


@pytest.mark.parametrize("forge", [rarer, quieter, of_everybody])
def test_noise_on_a_sample_is_priced_by_its_rate_and_scale(release, forge):
    budget = Budget(epsilon=2, delta="1e-9")
    ledger = Ledger(budget)
    noise = sampled_gaussian(budget, sensitivity_squared=400, rate="1/20", times=50)
    ledger.charge("slopes", noise, 50)
    honest = replace(release.certificate, ledger=ledger.to_dict())
    assert ledger_finding(honest)[0]
    forged = json.loads(json.dumps(ledger.to_dict()))
    forge(forged["charges"][0])
    kept, words = ledger_finding(replace(honest, ledger=forged))
    assert not kept
    assert "costs more than the ledger says" in words


# -- delta, and who is set aside -------------------------------------------------------------------


def test_a_delta_of_one_over_n_is_refused_before_anything_is_learned():
    loose = {"epsilon": 1, "delta": "0.01"}
    with pytest.raises(PlanError, match="not below one over the number of people"):
        fitted(budget=Budget(**loose))
    technique = DPLatentFactor(budget=Budget(**loose), domain=DOMAIN, **QUICK)
    with pytest.raises(PlanError, match="not below one over the number of people"):
        sf.synthesize(people(), SCHEMA, technique)
    warned = fitted(budget=Budget(**loose, large_delta="warn"))
    assert warned.certificate.promises
    with pytest.raises(PlanError, match="is not below 1 / people"):
        Budget(**loose, people=2000)


def aside(table, schema, apart):
    return set_aside(table, schema, 0.3, 5, apart)


def test_one_person_more_moves_nobody_else():
    table = people(500)
    more = pl.concat([people(1, seed=9), table])
    for schema in (SCHEMA, Schema(person="who", rest="other")):
        one, other = table, more
        if schema.person:
            one = table.with_columns(who=pl.int_range(500).cast(pl.String))
            other = pl.concat([one[:3].with_columns(who=pl.lit("new")), one])
        first, second = aside(one, schema, "person"), aside(other, schema, "person")
        assert second.train.height + second.control.height == other.height
        assert first.train.equals(second.train) != first.control.equals(second.control)
        assert first.control.height / one.height == pytest.approx(0.3, abs=0.08)
    assert first.control_persons == first.control.height


def test_other_values_in_a_row_move_no_row():
    table = people(300).with_row_index("place")
    changed = table.with_columns(age=pl.when(pl.col("place") == 7).then(99).otherwise("age"))
    first, second = aside(table, SCHEMA, "place"), aside(changed, SCHEMA, "place")
    assert first.control.height == 90
    assert first.control["place"].equals(second.control["place"])


def private_plan(tmp_path, text=PLAN):
    people().with_columns(old=pl.col("age") > 60).write_csv(tmp_path / "people.csv")
    (tmp_path / "schema.toml").write_text(
        'target = "ill"\nrest = "other"\n[columns.age]\nrole = "quasi-identifier"\n'
    )
    (tmp_path / "plan.toml").write_text(text)
    return tmp_path / "plan.toml"


def test_a_plan_chooses_how_people_are_set_aside(tmp_path):
    plan = Plan.read(private_plan(tmp_path))
    assert apart(plan) == "person"
    local = """
[[release]]
name = "local"
technique = "local-latent-factor"
budget = { epsilon = 4, neighbours = "replace" }
domain = { age = [0, 100, 1], sex = ["F", "M"] }
"""
    both = PLAN.replace("[evaluation]", f"{local}\n[evaluation]")
    with pytest.raises(PlanError, match="control = 0"):
        apart(Plan.read(private_plan(tmp_path, both)))
    kept = both.replace("control = 0.25", "control = 0")
    assert apart(Plan.read(private_plan(tmp_path, kept))) in ("person", "place")
    head, _, _ = PLAN.partition("[[release]]")
    assert apart(Plan.read(private_plan(tmp_path, head + local))) == "place"
    clean = '[[release]]\nname = "clean"\ntechnique = "clean"\n'
    assert apart(Plan.read(private_plan(tmp_path, head + clean))) == "strata"


def test_a_promise_to_the_source_starts_from_the_source(tmp_path):
    text = PLAN.replace(
        "[[release]]", '[[release]]\nname = "clean"\ntechnique = "clean"\n[[release]]\nof = "clean"'
    )
    with pytest.raises(PlanError, match="leave out 'of'"):
        Plan.read(private_plan(tmp_path, text))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("epsilon = 2", "epsilon = 0", "above 0"),
        ("epsilon = 2", "epsilon = inf", "infinity promises nothing"),
        ('delta = "1e-9"', "delta = 2", "delta < 1"),
        ("epsilon = 2", "epsilom = 2", "Did you mean 'epsilon'"),
        ("age = [0, 100, 1]", "age = [9, 1, 1]", "low must be below high"),
    ],
)
def test_a_wrong_budget_is_told_with_its_line(tmp_path, old, new, said):
    with pytest.raises(PlanError, match=rf"plan.toml, line \d+: .*{said}"):
        Plan.read(private_plan(tmp_path, PLAN.replace(old, new)))


@pytest.mark.usefixtures("quick_reports")
def test_a_finished_private_release_is_kept_and_not_made_anew(tmp_path):
    plan = private_plan(tmp_path)
    study = run(plan, tmp_path / "out")
    place = tmp_path / "out" / "noisy"
    before = {path.name: path.read_bytes() for path in place.iterdir()}
    again = run(plan, tmp_path / "out")
    assert {path.name: path.read_bytes() for path in place.iterdir()} == before
    assert again["noisy"].data_sha256 == study["noisy"].data_sha256
    assert verify(place)["SF027"].status == "passed"
    data = pl.read_csv(place / "data.csv")
    assert data["old"].eq_missing(data["age"] > 60).all()
    assert data["age"].max() < 99
    certificate = study["noisy"].certificate
    assert certificate.rows_in is certificate.control_rows is None
    assert any("set aside first, each for itself" in one for one in certificate.limits)
    plan_as_run = tmp_path / "as-run.toml"
    plan_as_run.write_text((tmp_path / "out" / "plan.toml").read_text())
    first, second = (Plan.read(one).release("noisy") for one in (plan, plan_as_run))
    assert first.built(7, tmp_path) == second.built(7, tmp_path)
    # the noise is the operating system's: another folder gets another release
    other = run(plan, tmp_path / "other")
    assert other["noisy"].data_sha256 != study["noisy"].data_sha256


# -- the report ------------------------------------------------------------------------------------


def test_the_account_tells_every_charge_and_where_the_budget_went(release):
    version = SimpleNamespace(name="noisy", certificate=release.certificate)
    (account,) = budget_accounts([version])
    assert account.warning == ""
    assert len(account.charges) == len(release.certificate.ledger["charges"])
    assert "Together" in account.spent
    assert "of epsilon = 2" in account.spent
    assert "counts of age" in account.chart.description
    assert "<svg" in account.chart.svg
    clean = SimpleNamespace(certificate=SimpleNamespace(ledger=None, promises=()), name="clean")
    assert budget_accounts([clean]) == ()
    assert together([version, clean]) == ""
    assert "at most epsilon 4 and delta 2e-09" in together([version, version])


def test_many_kinds_of_charges_are_put_together():
    ledger = Ledger(Budget(epsilon=10))
    for number in range(40):
        ledger.charge(f"column {number}", DiscreteLaplace(scale=10))
    certificate = SimpleNamespace(ledger=ledger.to_dict(), promises=(1,))
    (account,) = budget_accounts([SimpleNamespace(name="wide", certificate=certificate)])
    assert "26 others 65" in account.chart.description
    assert len(account.charges) == 40


def test_answers_of_people_themselves_are_borne_out(tmp_path):
    technique = LocalLatentFactor(
        budget=Budget(epsilon=4, neighbours="replace"), domain=DOMAIN, steps=5, fits=1, classes=3
    )
    made = sf.anonymize(people(300), SCHEMA, technique)
    (promise,) = made.certificate.promises
    assert promise.settings["neighbours"] == "replace"
    assert verify(made.save(tmp_path / "local"))["SF027"].status == "passed"
    assert math.isclose(made.ledger.spent.amount, 4)
