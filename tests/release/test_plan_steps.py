"""A plan step by step: what each keeps, what it refuses, and that no budget is spent twice."""

import json
import shutil
import stat

import numpy as np
import polars as pl
import pytest

from sfumato.errors import PlanError
from sfumato.release import Plan, run, verify
from sfumato.release.certificate import Certificate
from sfumato.release.folders import is_complete, write_manifest
from sfumato.release.kept import Kept, spent_words
from sfumato.release.plan_steps import STEP_NAMES, run_step, spend_again_on

PLAN = """
name = "steps"
seed = 7
control = 0.25
schema = "schema.toml"
[source]
path = "people.csv"
[[prepare]]
step = "trim"
[[prepare]]
step = "impute"
column = "age"
by = "median"
bounds = [0, 100, 1]
share = 0.02
[[prepare]]
step = "derive"
column = "bmi"
by = "w / POWER(h, 2)"
[[prepare]]
step = "drop"
columns = ["h", "w"]
[[release]]
name = "noisy"
technique = "dp-latent-factor"
steps = 5
fits = 1
classes = 3
[release.budget]
epsilon = 2
delta = "1e-9"
[release.domain]
age = [0, 100, 1]
bmi = [10, 60, 1]
sex = ["F", "M"]
[evaluation]
risk = { sample = 0 }
attacks = { most = 0 }
utility = { parts = [] }
fidelity = { columns = ["age"] }
"""
PLAIN = """
[[release]]
name = "plain"
technique = "clean"
[[release]]
name = "part"
technique = "clean"
of = "plain"
drop = ["bmi"]
"""


def people(rows=1500):
    random = np.random.default_rng(0)
    age = np.clip(np.rint(random.normal(50, 18, rows)), 0, 100)
    return pl.DataFrame(
        {
            "age": pl.Series(np.where(random.random(rows) < 0.1, np.nan, age)).fill_nan(None),
            "sex": random.choice(["F ", "M"], rows),
            "ill": random.random(rows) < 0.3,
            "h": random.normal(1.7, 0.1, rows).round(2),
            "w": random.normal(70, 10, rows).round(),
        }
    )


def written(folder):
    people().write_csv(folder / "people.csv")
    (folder / "schema.toml").write_text('target = "ill"\nrest = "other"\n')
    (folder / "plan.toml").write_text(PLAN)
    return folder / "plan.toml"


@pytest.fixture
def plan_file(tmp_path):
    return written(tmp_path)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A study that is prepared and trained, once for all tests that depart from it."""
    folder = tmp_path_factory.mktemp("trained")
    for step in STEP_NAMES[:2]:
        run_step(written(folder), folder / "study", step)
    return folder / "study"


@pytest.fixture
def study(tmp_path):
    return tmp_path / "study"


def changed(plan_file, old, new):
    text = plan_file.read_text()
    assert old in text
    plan_file.write_text(text.replace(old, new))


def ledger(folder):
    return json.loads((folder / "ledger.json").read_text())


@pytest.mark.slow
def test_the_four_steps_make_what_a_run_makes(plan_file, study):
    plan_file.write_text(PLAN.replace("[evaluation]", f"{PLAIN}\n[evaluation]"))
    for step in STEP_NAMES:
        done = run_step(plan_file, study, step)
        expected = ("noisy", "plain") if step == "prepare" else ("noisy", "plain", "part")
        assert (done.done, done.found) == (expected, ())
        assert (study / "noisy").exists() == (step == "evaluate")
    for step in STEP_NAMES:
        assert run_step(plan_file, study, step).done == ()
    assert verify(study / "noisy").passed
    # what promises nothing is the same to the byte as in one go
    whole = run(plan_file, study.with_name("whole"))
    for name in ("plain", "part"):
        one, other = (folder / name / "data.csv" for folder in (study, whole.folder))
        assert one.read_bytes() == other.read_bytes()
    data = pl.read_csv(study / "plain" / "data.csv")
    assert data.columns == ["age", "sex", "ill", "bmi"]
    assert data["age"].null_count() == 0
    assert set(data["sex"]) == {"F", "M"}


@pytest.mark.slow
def test_the_certificate_and_the_ledger_tell_of_the_preparation(plan_file, study):
    for step in STEP_NAMES:
        run_step(plan_file, study, step)
    certificate = Certificate.read(study / "noisy" / "certificate.json")
    assert certificate.ledger["charges"][0]["label"] == "preparation: median of age"
    kept = ledger(study / ".kept" / "noisy" / "model")
    assert kept == {"ledger": certificate.ledger, "before": []}
    paid = ledger(study / ".kept" / "noisy" / "prepared")["ledger"]
    assert paid["charges"] == certificate.ledger["charges"][:1]
    assert [step.technique for step in certificate.steps] == ["prepare", "dp-latent-factor"]
    ((_, (age,), _, _),) = [certificate.steps[0].settings["answers"]]
    told = "\n".join(run(plan_file, study)["noisy"].learned)
    assert f"age: missing cells were filled with {age:.6g}, the median." in told


def test_what_is_kept_can_be_read_by_its_owner_alone(trained):
    paths = [trained / ".kept", *(trained / ".kept").rglob("*")]
    assert len(paths) == 14
    for path in paths:
        bits = stat.S_IMODE(path.stat().st_mode)
        assert bits == (0o700 if path.is_dir() else 0o600), path


@pytest.mark.slow
def test_prepared_people_are_for_their_makers_alone(plan_file, study):
    for step in STEP_NAMES:
        run_step(plan_file, study, step)
    kept = study / ".kept"
    for path in (kept, *kept.rglob("*")):
        bits = stat.S_IMODE(path.stat().st_mode)
        assert bits == (0o700 if path.is_dir() else 0o600), path
    rows = pl.read_parquet(kept / "noisy" / "prepared" / "train.parquet")
    assert rows.columns == ["age", "sex", "ill", "bmi"]
    assert {path.name for path in (study / "noisy").iterdir()}.isdisjoint(
        {"train.parquet", "control.parquet", "preparation.json", "ledger.json"}
    )


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ("train", "the prepared rows, is missing: run --step prepare first"),
        ("apply", "the model, is missing: run --step train first"),
        ("evaluate", "run --step apply first"),
        ("fit", "there is no step 'fit'"),
    ],
)
def test_a_step_needs_the_one_before(plan_file, study, step, said):
    with pytest.raises(PlanError, match=said):
        run_step(plan_file, study, step)


def test_a_frontier_is_not_run_by_steps(plan_file, study):
    changed(plan_file, "[evaluation]", '[frontier]\nrisk = "singling-out"\n[evaluation]')
    with pytest.raises(PlanError, match=r"frontier"):
        run_step(plan_file, study, "prepare")


def prepared_and_trained(trained, study):
    shutil.copytree(trained, study)
    return (study / ".kept" / "noisy" / "model" / "model.json").read_bytes()


@pytest.mark.slow
def test_more_rows_are_drawn_from_the_kept_model(plan_file, study, trained):
    """How many rows are drawn asks nobody anything."""
    model = prepared_and_trained(trained, study)
    changed(plan_file, 'name = "noisy"', 'name = "noisy"\nrows = 40')
    assert run_step(plan_file, study, "train").done == ()
    run_step(plan_file, study, "apply")
    run_step(plan_file, study, "evaluate")
    assert pl.read_csv(study / "noisy" / "data.csv").height == 40
    changed(plan_file, "rows = 40", "rows = 30")
    run(plan_file, study)
    assert pl.read_csv(study / "noisy" / "data.csv").height == 30
    assert (study / "noisy" / "model.json").read_bytes() == model


@pytest.mark.slow
def test_a_kept_step_is_used_by_a_whole_run(plan_file, study, trained):
    model = prepared_and_trained(trained, study)
    run(plan_file, study)
    assert (study / "noisy" / "model.json").read_bytes() == model


@pytest.mark.slow
def test_paid_answers_are_used_by_a_whole_run(plan_file, study):
    run_step(plan_file, study, "prepare")
    paid = ledger(study / ".kept" / "noisy" / "prepared")["ledger"]
    release = run(plan_file, study)["noisy"]
    assert release.certificate.ledger["charges"][:1] == paid["charges"]
    answers = release.certificate.steps[0].settings["answers"]
    kept = json.loads((study / ".kept" / "noisy" / "prepared" / "preparation.json").read_text())
    assert kept["preparation"]["answers"] == answers


def stale_plan(plan_file):
    changed(plan_file, "share = 0.02", "share = 0.03")


def stale_technique(plan_file):
    changed(plan_file, "classes = 3", "classes = 4")


def stale_source(plan_file):
    people(1490).write_csv(plan_file.with_name("people.csv"))


@pytest.mark.parametrize(
    ("change", "step", "said"),
    [
        (stale_plan, "prepare", "already spent a budget"),
        (stale_plan, "train", "is stale: the plan changed since: run --step prepare"),
        (stale_technique, "prepare", None),
        (stale_technique, "train", "already spent a budget"),
        (stale_technique, "apply", "is stale: the plan changed since: run --step train"),
        (stale_source, "prepare", "already spent a budget"),
        (stale_source, "train", "is stale: the source changed since"),
        (stale_source, "evaluate", "run --step apply first"),
        (stale_source, None, "already spent a budget"),
        (stale_technique, None, "already spent a budget"),
    ],
)
def test_what_is_stale_is_refused_and_no_budget_spent_twice(
    plan_file, study, trained, change, step, said
):
    model = prepared_and_trained(trained, study)
    change(plan_file)
    if said is None:
        assert run_step(plan_file, study, step).done == ()
    else:
        with pytest.raises(PlanError, match=said):
            run(plan_file, study) if step is None else run_step(plan_file, study, step)
    assert (study / ".kept" / "noisy" / "model" / "model.json").read_bytes() == model


def test_a_damaged_part_is_refused(plan_file, study, trained):
    prepared_and_trained(trained, study)
    shutil.rmtree(study / ".kept" / "noisy" / "model")
    (study / ".kept" / "noisy" / "prepared" / "train.parquet").write_bytes(b"")
    with pytest.raises(PlanError, match="is damaged"):
        run_step(plan_file, study, "train")


def test_a_new_model_that_costs_what_the_old_one_did_is_not_taken_for_it(tmp_path):
    kept = Kept(tmp_path)
    cost = {"private_noise": True, "budget": {}, "charges": [{"label": "counts of sex"}]}

    def learned(folder, model):
        folder.mkdir(parents=True)
        (folder / "ledger.json").write_text(json.dumps({"ledger": cost}))
        (folder / "model.json").write_text(model)
        write_manifest(folder, {"fitted": "from the plan"})
        return folder

    old = learned(tmp_path / "noisy", "old")
    learned(kept.place("noisy", "model"), "old")
    kept.spend_again("noisy")
    assert kept.is_given_up(old)
    assert is_complete(old)
    assert kept.spending("noisy") == ()
    new = learned(kept.place("noisy", "model"), "new")
    assert not kept.is_given_up(new)
    assert kept.spending("noisy") == (cost,)
    with pytest.raises(PlanError, match="already spent a budget"):
        kept.refuse_second("noisy")
    kept.spend_again("noisy")
    assert kept.before("noisy") == (cost, cost)


def test_what_was_spent_before_is_not_forgotten_in_silence(tmp_path):
    kept = Kept(tmp_path)
    assert kept.before("noisy") == ()
    (tmp_path / ".kept").mkdir()
    (tmp_path / ".kept" / "spent.json").write_text("{")
    with pytest.raises(PlanError, match="what was spent before, is damaged"):
        kept.before("noisy")


@pytest.mark.slow
def test_a_second_budget_is_spent_on_purpose_and_told(plan_file, study, trained):
    model = prepared_and_trained(trained, study)
    with pytest.raises(PlanError, match="spent no budget"):
        spend_again_on(Plan.read(plan_file), study.with_name("other"), ["noisy"])
    spend_again_on(Plan.read(plan_file), study, ["noisy"])
    with pytest.raises(PlanError, match="spent no budget"):
        spend_again_on(Plan.read(plan_file), study, ["noisy"])
    stale_technique(plan_file)
    for step in STEP_NAMES:
        run_step(plan_file, study, step)
    assert (study / "noisy" / "model.json").read_bytes() != model
    kept = ledger(study / ".kept" / "noisy" / "model")
    assert len(kept["before"]) == 1  # the preparation's charge is in the model's ledger
    assert kept["before"][0]["charges"][0]["label"] == "preparation: median of age"
    (told,) = spent_words(tuple(kept["before"]))
    assert "asked once before" in told
    certificate = Certificate.read(study / "noisy" / "certificate.json")
    assert told in certificate.limits
    assert verify(study / "noisy").passed
    assert run_step(plan_file, study, "evaluate").found == ("noisy",)


@pytest.mark.slow
def test_a_finished_release_is_not_learned_anew_in_silence(plan_file, study):
    run(plan_file, study)
    before = (study / "noisy" / "model.json").read_bytes()
    stale_technique(plan_file)
    with pytest.raises(PlanError, match="--spend-again noisy"):
        run(plan_file, study)
    assert (study / "noisy" / "model.json").read_bytes() == before
    spend_again_on(Plan.read(plan_file), study, ["noisy"])
    assert run(plan_file, study)["noisy"].certificate.limits[-1].startswith("The same people")


@pytest.mark.slow
def test_what_promises_nothing_is_learned_anew_without_asking(plan_file, study):
    plan_file.write_text(
        PLAN[: PLAN.index("[[release]]")].replace("share = 0.02\n", "")
        + PLAIN
        + PLAN[PLAN.index("[evaluation]") :]
    )
    for step in STEP_NAMES[:3]:
        run_step(plan_file, study, step)
    changed(plan_file, 'by = "median"', 'by = "mean"')
    with pytest.raises(PlanError, match="is stale"):
        run_step(plan_file, study, "train")
    for step in STEP_NAMES:
        assert run_step(plan_file, study, step).done


@pytest.mark.slow
def test_a_plan_without_preparation_has_steps_too(plan_file, study):
    text = PLAN[: PLAN.index("[[prepare]]")] + PLAN[PLAN.index("[[release]]") :]
    plan_file.write_text(text.replace("bmi = [10, 60, 1]", "h = [1, 2.5, 0.1]\nw = [30, 200, 5]")
                         .replace('sex = ["F", "M"]', 'sex = ["F ", "M"]'))  # fmt: skip
    for step in STEP_NAMES:
        assert run_step(plan_file, study, step).done == ("noisy",)


# -- the plan file ---------------------------------------------------------------------------------


def test_a_question_without_a_price_is_told_with_its_line(plan_file):
    changed(plan_file, "share = 0.02\n", "")
    with pytest.raises(PlanError, match=r"plan.toml, line 10: prepare: the step 'impute' on 'age'"):
        Plan.read(plan_file)


def test_mistakes_of_steps_are_told_with_their_lines(plan_file):
    changed(plan_file, 'step = "trim"', 'step = "trimm"')
    changed(plan_file, 'by = "median"', 'by = "middle"')
    with pytest.raises(PlanError) as error:
        Plan.read(plan_file)
    first, second = str(error.value).splitlines()
    assert "line 9: there is no step 'trimm'. Did you mean 'trim'?" in first
    assert "line 13: by: " in second
    plan_file.write_text(PLAN.replace("[[prepare]]", "[prepare]", 1).replace("[[prepare]]", "[x]"))
    with pytest.raises(PlanError):
        Plan.read(plan_file)


def test_a_plan_is_written_back_with_its_steps(plan_file, tmp_path):
    plan = Plan.read(plan_file)
    (tmp_path / "again.toml").write_text(plan.to_toml())
    again = Plan.read(tmp_path / "again.toml")
    assert again.prepare == plan.prepare
    assert "prepare" not in Plan(plan.name, plan.source, plan.schema, plan.releases).to_dict()
