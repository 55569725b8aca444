"""Information loss in an evaluation and its report."""

import polars as pl
import pytest

import sfumato as sf
from sfumato.evaluation.loss import information_loss
from sfumato.evaluation.loss_figures import BY_COLUMN, OF_CLASSES, loss_figures
from sfumato.release.compared import Origins
from sfumato.release.plan import EvaluationPlan
from sfumato.release.report.losses import class_shares, losses
from sfumato.table import Hierarchy, Schema

AGES = {"20": ["20-29"], "25": ["20-29"], "30": ["30-39"], "35": ["30-39"]}
SCHEMA = Schema(
    quasi_identifiers={"age": Hierarchy.mapping(AGES), "sex": None, "weight": None},
    sensitive=["ill"],
)
REAL = pl.DataFrame(
    {
        "age": [20, 25, 30, 35] * 5,
        "sex": ["f", "m"] * 10,
        "weight": [60.0, 70.0, 80.0, 90.0] * 5,
        "ill": [0, 1, 1, 0] * 5,
    }
)
RELEASED = pl.DataFrame(
    {
        "age": ["20-29", "20-29", "30-39", "35"] * 5,
        "sex": ["*"] * 20,
        "weight": ["[60, 75)", "[60, 75)", "[75, 90]", "*"] * 5,
        "ill": REAL["ill"],
    }
)


def test_figures_say_what_the_function_says():
    found = loss_figures(REAL, RELEASED, SCHEMA)
    for measure in BY_COLUMN:
        if measure == "precision":
            continue
        whole = information_loss(REAL, RELEASED, SCHEMA, measure)
        assert found[f"loss/{measure}"].value == pytest.approx(whole.value)
        assert found[f"loss/{measure}"].baseline == 1
        for name, value in whole.columns.items():
            assert found[f"loss/{measure}/{name}"].value == pytest.approx(value)
    for measure in OF_CLASSES:
        whole = information_loss(REAL, RELEASED, SCHEMA, measure)
        assert found[f"loss/{measure}"].value == pytest.approx(whole.value)
    assert "has no hierarchy" in found["loss/precision"].because
    assert found["loss/precision/age"].computed
    assert not found["loss/precision/weight"].computed


def test_one_column_that_cannot_be_read_leaves_the_others():
    broken = RELEASED.with_columns(age=pl.lit("canary"))
    found = loss_figures(REAL, broken, SCHEMA)
    assert "'age': 20 released rows" in found["loss/arithmetic"].because
    assert "canary" not in found["loss/arithmetic"].because
    assert found["loss/arithmetic/sex"].value == 1
    assert found["loss/aecs"].computed
    assert loss_figures(REAL, RELEASED[:0], SCHEMA) == {}


def test_a_noisy_and_a_renamed_column():
    names = {"age": "age_group", "weight": "weight"}
    origins = Origins(REAL, SCHEMA, names, noisy=("weight",))
    found = origins.loss(RELEASED.rename({"age": "age_group"}))
    assert found["loss/arithmetic/age"].computed
    assert found["loss/arithmetic/sex"].value == 1  # not released
    assert "noise" in found["loss/arithmetic/weight"].because
    assert "noise" in found["loss/arithmetic"].because
    nothing = Origins(REAL, SCHEMA, {}).loss(RELEASED)
    assert nothing["loss/arithmetic"].value == 1


@pytest.fixture(scope="module")
def evaluation():
    return sf.evaluate(REAL, RELEASED, SCHEMA, plan=EvaluationPlan(), name="coarse")


def test_an_evaluation_and_its_report_show_the_loss(evaluation, tmp_path):
    assert evaluation.utility["loss/arithmetic/sex"].value == 1
    assert evaluation.risks["below_11"].value == pytest.approx(1)
    again = type(evaluation).from_dict(evaluation.to_dict())
    assert again.utility["loss/ncp"] == evaluation.utility["loss/ncp"]
    page = evaluation.save(tmp_path).read_text("utf-8")
    for text in (
        "What the cells no longer say",
        "Normalized certainty penalty",
        "Information loss of each quasi-identifier",
        "Rows by the size of their class",
        "has no hierarchy",
    ):
        assert text in page


def test_the_section_shows_what_was_measured(evaluation):
    found = losses({"coarse": evaluation}, {"coarse": 0})
    assert [group.name for group in found.groups][:1] == ["loss, arithmetic mean"]
    assert found.chart is not None
    assert "coarse, sex: 100%" in found.chart.description
    assert [name for name, _ in found.columns[0].rows] == ["age", "sex", "weight"]
    ((version, why, names),) = found.left_out
    assert version == "coarse"
    assert names == ("precision lost",)
    assert "weight" in why


def test_the_histogram_of_class_sizes_adds_up(evaluation):
    found = class_shares({"coarse": evaluation}, {"coarse": 0})
    shares = {label: row[0] for label, _, row in found.rows}
    assert sum(shares.values()) == pytest.approx(1)
    assert shares == {
        "1 (alone)": 0,
        "2": 0,
        "3 to 4": 0,
        "5 to 10": pytest.approx(1),
        "suppressed": 0,
    }


def test_a_synthetic_table_has_no_loss_and_no_classes():
    found = sf.evaluate(REAL, REAL, SCHEMA, plan=EvaluationPlan(), synthetic=True)
    assert "model" in found.utility["loss/arithmetic"].because
    shown = losses({"release": found}, {"release": 0})
    assert shown.groups == ()
    assert shown.chart is None
    assert "model" in shown.left_out[0][1]
    assert class_shares({"release": found}, {"release": 0}) is None
