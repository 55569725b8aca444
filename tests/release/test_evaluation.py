"""Any release can be measured, whoever made it, and the measurement survives a file."""

import json
from dataclasses import replace

import polars as pl
import pytest

from sfumato.anonymization import Clean, Rules
from sfumato.errors import DataError, SchemaError
from sfumato.evaluation import Figure
from sfumato.evaluation.attacks.suite import AttackPlan
from sfumato.evaluation.utility import UtilitySettings
from sfumato.release import Evaluation, anonymize, evaluate
from sfumato.release.plan import EvaluationPlan, FidelityPlan, LearningPlan, RiskPlan
from sfumato.release.report import render_evaluation
from sfumato.synthesis import GaussianCopula
from sfumato.table import Hierarchy, Schema

SCHEMA = Schema(
    identifiers=["patient"],
    quasi_identifiers={"age": Hierarchy.intervals([0, 30, 60, 100]), "sex": None, "region": None},
    sensitive=["pressure", "died"],
    target="died",
    person="patient",
)
RULES = Rules(columns={"age": {"generalize": 1}, "pressure": {"noise": "gaussian", "scale": 9}})
QUICK = EvaluationPlan(learning=LearningPlan(models=("naive-bayes",)), risk=RiskPlan(sample=50))


@pytest.fixture
def real(people):
    return people(300, seed=1)


@pytest.fixture
def control(people):
    return people(120, seed=2)


def test_a_synthetic_table_is_measured_against_real_people(real, control):
    drawn = anonymize(real, SCHEMA, GaussianCopula(), name="drawn")
    found = evaluate(real, drawn, SCHEMA, control=control, plan=QUICK)
    assert found.release == "drawn"
    assert (found.rows_real, found.rows_released, found.rows_control) == (300, 300, 120)
    assert {one.version for one in found.learned} == {"drawn", "real"}
    assert {"auc/naive-bayes/honest", "auc/naive-bayes/honest/real"} <= set(found.utility)
    assert "mean_total_variation" in found.utility
    assert found.risks["smallest_class"].value is None  # nobody stands behind a drawn row
    assert "no persons" in found.risks["smallest_class"].because
    assert found.risks["nearer_to_train"].computed
    assert found.not_run == ()


@pytest.mark.slow
def test_real_rows_are_written_as_the_release_writes_them(real, control):
    release = anonymize(real, SCHEMA, RULES)
    found = evaluate(real, release, SCHEMA, control=control, plan=QUICK)
    compared = {column.name: column for column in found.fidelity.columns}
    assert compared["age"].distance.value == 0  # groups agree once real rows are recoded
    assert compared["pressure"].distance.value > 0.01  # noise is compared with the real values
    assert all(one.rows_test == 120 for one in found.learned)


@pytest.mark.slow
def test_without_the_recoding_other_words_are_left_out_and_named(real, control):
    release = anonymize(real, SCHEMA, RULES)
    found = evaluate(real, release.data, SCHEMA, control=control, plan=QUICK)
    assert "age" not in {column.name for column in found.fidelity.columns}
    assert any("'age' is written otherwise" in one for one in found.not_run)
    assert (
        found.risks["smallest_class"].value
        == evaluate(real, release, SCHEMA, control=control, plan=QUICK)
        .risks["smallest_class"]
        .value
    )


def test_without_control_people_nothing_is_learned(real):
    found = evaluate(real, anonymize(real, SCHEMA, Clean()), SCHEMA, plan=QUICK)
    assert found.learned == ()
    assert len(found.not_run) == 2
    assert all("control" in one for one in found.not_run)


@pytest.mark.slow
def test_what_the_plan_leaves_out_is_said(real, control):
    plan = EvaluationPlan(risk=RiskPlan(sample=0), fidelity=FidelityPlan(columns=("sex", "ward")))
    found = evaluate(real, anonymize(real, SCHEMA, Clean()), SCHEMA, control=control, plan=plan)
    assert [column.name for column in found.fidelity.columns] == ["sex"]
    assert [one.split()[0] for one in found.not_run] == ["The", "Not", "Nothing"]


def test_a_target_that_is_not_released_is_an_error(real, control):
    released = anonymize(real, SCHEMA, Clean()).data.drop("died")
    with pytest.raises(SchemaError, match="'died' is not among"):
        evaluate(real, released, SCHEMA, control=control, target="died", plan=QUICK)


def test_tables_that_have_nothing_in_common_are_refused(real):
    with pytest.raises(DataError, match="no column in common"):
        evaluate(real, pl.DataFrame({"x": [1]}), SCHEMA)


def test_risks_count_people_where_a_person_has_several_rows(real):
    twice = pl.concat([real, real])
    plan = EvaluationPlan(risk=RiskPlan(sample=0))
    once = evaluate(real, anonymize(real, SCHEMA, RULES), SCHEMA, plan=plan)
    both = evaluate(twice, anonymize(twice, SCHEMA, RULES), SCHEMA, plan=plan)
    assert both.risks["smallest_class"].value == once.risks["smallest_class"].value


def test_an_evaluation_survives_a_file(real, control, tmp_path, quick_reports):
    found = evaluate(real, anonymize(real, SCHEMA, Clean()), SCHEMA, control=control, plan=QUICK)
    report = found.save(tmp_path / "judged")
    assert report.read_text() == "<p>release</p>"
    again = Evaluation.read(tmp_path / "judged" / "evaluation.json")
    assert again.to_dict() == found.to_dict()
    assert again.risks == found.risks
    assert "canary-" not in json.dumps(found.to_dict())
    (tmp_path / "bad.json").write_text("[]")
    with pytest.raises(DataError, match=r"bad\.json is not an evaluation"):
        Evaluation.read(tmp_path / "bad.json")


@pytest.mark.slow
def test_frames_of_other_kinds_can_be_measured(real, control):
    release = anonymize(real, SCHEMA, Clean())
    plan = EvaluationPlan(attacks=AttackPlan(most=20), risk=RiskPlan(sample=0))
    expected = evaluate(real, release, SCHEMA, control=control, plan=plan)
    given = evaluate(
        real.to_pandas(), release.data.to_pandas(), SCHEMA, control=control.to_arrow(), plan=plan
    )
    assert given.risks == expected.risks


def test_what_leaves_the_house_names_no_exact_number(real, control):
    plan = EvaluationPlan(
        attacks=AttackPlan(most=0),
        utility=UtilitySettings(parts=("rare",)),
        risk=RiskPlan(sample=0),
        policies={"ema-0070": True},
    )
    exact = evaluate(real, real.head(40), SCHEMA, control=control, plan=plan, seed=1)
    reason = "732 released rows show neither their own value, first in released row 2"
    hidden = Figure.not_computed(
        "own", reason, unit="share", direction="lower is better", source="none"
    )
    known = Figure.not_computed(
        "other", "there are no rows", unit="share", direction="lower is better", source="none"
    )
    notes = ("4 of 40 control rows are suppressed.", "3 others are too.", "No models.")
    exact = replace(exact, risks={**exact.risks, "own": hidden, "other": known}, not_run=notes)
    shown = exact.outward()
    assert exact.judgements
    assert "732" not in shown.risks["own"].because
    assert shown.risks["own"].because
    assert shown.risks["other"].because == known.because
    assert len(shown.not_run) == 2
    assert "No models." in shown.not_run
    for before, after in zip(exact.judgements, shown.judgements, strict=True):
        assert after["verdict"] == before["verdict"]
        assert after["value"] is None
        assert after["reach"] is None
        assert f"value {before['value']:.4g};" in before["sentence"]
        assert "value " not in after["sentence"]
    assert shown.outward() == shown
    page = render_evaluation(shown, for_others=True)
    assert "No model was trained" not in page
    assert "Not checked" not in page
    assert "This page may be handed on" in page
