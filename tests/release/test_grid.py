"""One table of a plan that stands for many: every combination, with names that say which."""

import re
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfumato.cli.frontier_starter import frontier_plan
from sfumato.errors import PlanError
from sfumato.release import Plan
from sfumato.release.frontier_plan import (
    ATTACK_FAMILIES,
    CRITERIA,
    LARGEST,
    LIMITS,
    FrontierPlan,
)
from sfumato.release.grid import expanded
from sfumato.table import Schema, Source


def test_a_table_without_a_grid_is_itself():
    table = {"name": "a", "technique": "clean"}
    assert expanded(table) == (table,)


@settings(deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["k", "suppression_limit", "seed", "choose"]),
        st.lists(st.integers(0, 99), min_size=1, max_size=4, unique=True),
        min_size=1,
    )
)
def test_every_combination_comes_once_and_has_a_name_of_its_own(grid):
    found = expanded({"name": "x", "technique": "mondrian", "grid": grid})
    combinations = [tuple(one[key] for key in grid) for one in found]
    assert combinations == list(product(*grid.values()))
    assert len({one["name"] for one in found}) == len(found)
    assert all(one["technique"] == "mondrian" and "grid" not in one for one in found)


def test_names_say_what_was_chosen_and_are_names_of_folders():
    table = {
        "name": "groups",
        "grid": {"technique": ["ola"], "suppression_limit": [0.05], "metric": ["a b"], "of": ["x"]},
    }
    (one,) = expanded(table)
    assert one["name"] == "groups-ola-suppression_limit-0_05-metric-a_b-of-x"


def test_a_dot_leads_into_a_settings_own_table_and_nothing_is_shared():
    columns = {"age": {"generalize": 1}}
    table = {"name": "r", "columns": columns, "grid": {"columns.age.generalize": [1, 2]}}
    first, second = expanded(table)
    assert first["columns"] == {"age": {"generalize": 1}}
    assert second["columns"] == {"age": {"generalize": 2}}
    assert columns == {"age": {"generalize": 1}}
    assert second["name"] == "r-generalize-2"
    with pytest.raises(PlanError, match="is no table"):
        expanded({"name": "r", "columns": 3, "grid": {"columns.age": [1]}})


@pytest.mark.parametrize(
    ("grid", "said"),
    [
        ({}, "a table of lists"),
        ([5], "a table of lists"),
        ({"k": 5}, "must be a list"),
        ({"k": []}, "must be a list"),
        ({"k": [5, 5]}, "twice"),
        ({"name": ["a"]}, "leave it out"),
        ({"technique": ["ola"]}, "given twice"),
        ({"k": list(range(30)), "seed": list(range(30))}, "900 releases"),
    ],
)
def test_a_grid_that_cannot_be_taken_apart_is_refused(grid, said):
    with pytest.raises(PlanError, match=said):
        expanded({"name": "x", "technique": "mondrian", "grid": grid})


GRID = '\n[[release]]\nname = ""\n[release.grid]\ntechnique = ["mondrian", "ola"]\nk = [2, 5]\n'


def test_a_plan_reads_its_grid_and_writes_each_release_out(plan_file):
    text = plan_file.read_text().replace("\n[evaluation]\nrisk", f"{GRID}\n[evaluation]\nrisk")
    plan_file.write_text(text)
    plan = Plan.read(plan_file)
    names = [release.name for release in plan.releases]
    assert names[3:] == ["mondrian-k2", "mondrian-k5", "ola-k2", "ola-k5"]
    assert plan.release("ola-k5").built(1, plan.base).k == 5
    again = plan_file.with_name("again.toml")
    again.write_text(plan.to_toml())
    assert [release.name for release in Plan.read(again).releases] == names


def test_what_is_wrong_in_a_grid_is_told_with_the_line_of_its_table(plan_file):
    beginning = plan_file.read_text().partition("\n[evaluation]")[0]
    plan_file.write_text(f"{beginning}{GRID}suppression = [1]\n")
    line = plan_file.read_text().split("\n").index("[release.grid]")  # its [[release]] is above
    with pytest.raises(PlanError, match="has no setting 'suppression'") as told:
        Plan.read(plan_file)
    lines = {int(text.split("line ")[1].split(":")[0]) for text in str(told.value).split("\n")}
    assert lines <= {line - 1, line, line + 1, line + 2, line + 3, line + 4}
    plan_file.write_text(f"{beginning}{GRID.replace('k = [2, 5]', 'k = [2, 2]')}")
    with pytest.raises(PlanError, match=r"grid\.k holds a value twice"):
        Plan.read(plan_file)
    plan_file.write_text(f"{beginning}{GRID}{GRID.replace('[2, 5]', '[5]')}")
    with pytest.raises(PlanError, match="two releases are named 'mondrian-k5'"):
        Plan.read(plan_file)


FRONTIER = """
[frontier]
risk = ["linkability", "inference"]
utility = "auc/naive-bayes/honest"
search = "halving"
candidates = 2
rows = 100
[frontier.limits]
prosecutor_highest = 0.2
"inference/pressure" = 0.05
"""


def test_a_frontier_is_read_and_written_and_leaves_the_releases_as_they_were(plan_file):
    before = Plan.read(plan_file)
    plan_file.write_text(plan_file.read_text() + FRONTIER)
    plan = Plan.read(plan_file)
    assert plan.frontier.limits == {"prosecutor_highest": 0.2, "inference/pressure": 0.05}
    assert plan.frontier.risk == ("linkability", "inference")
    again = plan_file.with_name("again.toml")
    again.write_text(plan.to_toml())
    assert Plan.read(again).frontier == plan.frontier
    assert before.only("grouped").to_dict() == plan.only("grouped").to_dict()
    assert before.frontier is None


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("risk = []", "name at least one figure"),
        ('risk = "likability"', "Did you mean 'linkability'"),
        ("limits = { prosecutor_higest = 0.1 }", "Did you mean 'prosecutor_highest'"),
        ('utility = "auk/mlp/honest"', "Did you mean 'auc'"),
        ('search = "all"', "grid"),
        ("candidates = 0", "greater than or equal to 1"),
        ("limit = 3", "Did you mean 'limits'"),
    ],
)
def test_a_wrong_frontier_is_told_with_its_mend(plan_file, wrong, said):
    plan_file.write_text(f"{plan_file.read_text()}\n[frontier]\n{wrong}\n")
    with pytest.raises(PlanError, match=r"plan\.toml, line \d+: ") as told:
        Plan.read(plan_file)
    assert said in str(told.value)


def test_a_figure_of_somebodys_own_may_be_named(plan_file):
    plan_file.write_text(f"{plan_file.read_text()}\n[frontier]\nrisk = 'zebra/stripes'\n")
    assert Plan.read(plan_file).frontier.risk == "zebra/stripes"


# -- the manual and the starter ------------------------------------------------------------------

MANUAL = (Path(__file__).parents[2] / "docs" / "frontier.md").read_text("utf-8")


@pytest.mark.parametrize("block", re.findall(r"^```toml\n(.*?)^```$", MANUAL, re.M | re.S))
def test_every_plan_in_the_manual_can_be_read(plan_file, block):
    before, evaluation = plan_file.read_text().split("\n[evaluation]\n")
    plan_file.write_text(f"{before}\n{block}\n[evaluation]\n{evaluation}")
    plan = Plan.read(plan_file)
    assert len(plan.releases) == (9 if "grid" in block else 3)
    assert (plan.frontier is not None) == ("[frontier]" in block)


def test_every_key_of_a_frontier_is_in_the_manual():
    for key in FrontierPlan.model_fields:
        assert f"| `{key}` |" in MANUAL
    for axis in (CRITERIA, LARGEST, LIMITS):
        assert f"| `{axis}` |" in MANUAL
    for family in ATTACK_FAMILIES:
        assert f"`{family}`" in MANUAL


@pytest.mark.parametrize("rows", [400, 60_000])
def test_the_starter_is_a_plan_of_every_technique_that_fits(plan_file, rows):
    schema = Schema.read(plan_file.with_name("schema.toml"))
    where = Source(path=str(plan_file.with_name("patients.csv")))
    text = frontier_plan(where, plan_file.parent, schema, rows)
    plan_file.write_text(text)
    plan = Plan.read(plan_file)
    techniques = {release.technique for release in plan.releases}
    assert {"clean", "mondrian", "local-recoding", "full-domain", "copula"} <= techniques
    assert ("k-member" in techniques) == (rows == 400)
    assert ("takes long" in text) == (rows == 60_000)
    assert len(plan.releases) >= 8
    assert plan.frontier.limits["linkability"] == 0.05
    assert plan.evaluation.learning is not None
    with pytest.raises(PlanError, match="without --frontier"):
        frontier_plan(where, plan_file.parent, Schema.from_dict({"rest": "other"}), rows)
