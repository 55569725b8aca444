"""`sfumato run --step`: each step by its word, refusals in one line, and no cell on any stream."""

import pytest

PLAN = """
name = "steps"
schema = "schema.toml"
[source]
path = "people.csv"
[[prepare]]
step = "impute"
column = "age"
by = "median"
bounds = [0, 100, 1]
share = 0.1
[[release]]
name = "private"
technique = "dp-latent-factor"
steps = 5
fits = 1
classes = 3
budget = { epsilon = 1, delta = "1e-6" }
domain = { age = [0, 100, 1], sick = [false, true] }
"""


@pytest.fixture
def plan(tmp_path):
    lines = [f"{age if age % 7 else ''},{str(age % 3 == 0).lower()}" for age in range(100)] * 4
    (tmp_path / "people.csv").write_text("\n".join(["age,sick", *lines]) + "\n")
    (tmp_path / "schema.toml").write_text('target = "sick"\nrest = "other"\n')
    (tmp_path / "plan.toml").write_text(PLAN)
    return tmp_path / "plan.toml"


def test_each_step_is_run_by_its_word(sfumato, plan):
    refused = sfumato("run", plan, "--out", "study", "--step", "train")
    assert refused.code == 2
    (said,) = refused.lines
    assert said.endswith("the prepared rows, is missing: run --step prepare first")
    made = sfumato("run", plan, "--out", "study", "--step", "prepare")
    assert made.code == 0
    assert "then: --step train" in made.out
    again = sfumato("run", plan, "--out", "study", "--step", "prepare", "--json")
    assert again.json["found"] == ["private"]
    assert again.json["done"] == []
    assert sfumato("run", plan, "--out", "study", "--step", "train", "-q").code == 0
    unknown = sfumato("run", plan, "--out", "study", "--step", "trian")
    assert unknown.code == 2
    assert "Did you mean 'train'?" in unknown.lines[0]


def test_a_budget_is_spent_again_only_if_said(sfumato, plan):
    nothing = sfumato("run", plan, "--out", "study", "--spend-again", "private")
    assert nothing.code == 2
    assert "has spent no budget" in nothing.lines[0]
    for step in ("prepare", "train"):
        assert sfumato("run", plan, "--out", "study", "--step", step, "-q").code == 0
    plan.write_text(PLAN.replace("share = 0.1", "share = 0.2"))
    refused = sfumato("run", plan, "--out", "study", "--step", "prepare")
    assert refused.code == 2
    assert "--spend-again private" in refused.lines[0]
    given = ("--step", "prepare", "--spend-again", "private")
    assert sfumato("run", plan, "--out", "study", *given, "-q").code == 0


def test_a_question_without_a_price_names_step_column_and_mends(sfumato, plan):
    plan.write_text(PLAN.replace("share = 0.1\n", ""))
    refused = sfumato("run", plan)
    assert refused.code == 2
    for word in ("line 6", "'impute'", "'age'", 'by = "value"', "share"):
        assert word in refused.lines[0]
