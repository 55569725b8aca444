"""evaluate, intersect and audit: what they measure, how they end, and what they refuse."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import polars as pl
import pytest
from tests.cli.conftest import CANARIES, SCHEMA
from tests.cli.test_bad_input import one_clear_line

from sfumato.cli.evaluating import _DEFAULT, Measured
from sfumato.errors import PlanError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Outcome

    Sfumato = Callable[..., Outcome]

PLAN = """
[evaluation]
target = "died"
[evaluation.attacks]
only = ["copies"]
most = 90
[evaluation.fidelity]
columns = ["age"]
[evaluation.utility]
parts = ["marginals"]
[evaluation.policies]
ema-0070 = true
"""

MECHANISMS = """
import numpy as np


def noisy(people, runs, seed):
    noise = np.random.default_rng(seed).geometric(1 - np.exp(-2), (2, runs))
    return people + noise[0] - noise[1]


def one(people, seed):
    return int(noisy(people, 1, seed)[0])


def copy(table, seed):
    return table


def height(table, seed):
    return table.height


def boom(data, seed):
    raise ValueError("CANARY0001X")


number = 3
"""


@pytest.fixture
def released(patients: Path) -> Path:
    """A release of some of the patients by another's hand, and people who are not in it."""
    table = pl.read_csv(patients)
    table[:300].write_csv(patients.with_name("real.csv"))
    table[300:].write_csv(patients.with_name("control.csv"))
    table[:300].drop("name").write_csv(patients.with_name("released.csv"))
    return patients.with_name("released.csv")


# -- what an evaluation measures -----------------------------------------------------------------


def test_options_are_the_settings_of_a_plan(tmp_path: Path) -> None:
    assert Measured().evaluation() is None
    (tmp_path / "plan.toml").write_text(PLAN)
    measured = Measured(
        plan=tmp_path / "plan.toml",
        pairs=('policies."risk-0.2" = true', "risk.threshold=0.1", "target=diagnosis"),
        attacks=("homogeneity", "copies"),
        most=70,
        policies=("edpb-linkability=0.01",),
        groups=("sex",),
        questions=("SELECT avg(age) FROM t",),
        population_size=5000,
    ).evaluation()
    assert measured is not None
    assert measured.target == "diagnosis"
    assert measured.attacks.only == ("homogeneity", "copies")
    assert (measured.attacks.most, measured.risk.threshold) == (70, 0.1)
    assert measured.risk.population_size == 5000
    assert measured.policies == {"ema-0070": True, "risk-0.2": True, "edpb-linkability": 0.01}
    assert measured.utility is not None
    assert measured.utility.parts == ("marginals",)
    assert measured.utility.groups == ("sex",)
    assert measured.utility.queries == ("SELECT avg(age) FROM t",)
    assert measured.learning is None  # as in the plan


def test_options_alone_leave_the_rest_as_it_is_without_them() -> None:
    asked = Measured(most=0).evaluation()
    assert asked is not None
    assert asked.attacks.most == 0
    assert asked.learning is not None
    assert list(asked.learning.models) == _DEFAULT["learning"]["models"]


def test_the_default_is_that_of_evaluate(monkeypatch: pytest.MonkeyPatch) -> None:
    import sfumato as sf
    from sfumato.release import assessment
    from sfumato.release.plan import EvaluationPlan

    seen = []

    def stop(compared: object, plan: EvaluationPlan, **_: object) -> None:
        seen.append(plan)
        raise PlanError("seen")

    monkeypatch.setattr(assessment, "assess", stop)
    table = pl.DataFrame({"age": [1, 2, 3]})
    with pytest.raises(PlanError, match="seen"):
        sf.evaluate(table, table, sf.Schema(rest="other"))
    assert seen == [EvaluationPlan.of(_DEFAULT)]


def test_a_release_is_measured_as_a_plan_says(
    sfumato: Sfumato, schema: Path, released: Path, tmp_path: Path
) -> None:
    (tmp_path / "plan.toml").write_text(PLAN)
    outcome = sfumato(
        *("evaluate", "real.csv", released, "--schema", schema, "--control", "control.csv"),
        *("--plan", "plan.toml", "--policy", "risk-0.2", "--json"),
    )
    assert outcome.code == 0, outcome.err
    found = outcome.json
    attacked = {key.split("/")[0] for key, figure in found["risks"].items() if figure["attacks"]}
    assert "copies" in attacked
    assert not attacked & {"inference", "linkability", "singling_out"}
    assert [one["policy"]["name"] for one in found["judgements"]] == ["ema-0070", "risk-0.2"]
    assert any("90 of 300 members" in note for note in found["not_run"])
    assert not found["learned"]
    assert (tmp_path / "evaluation" / "report.html").exists()
    told = sfumato(
        *("evaluate", "real.csv", released, "--schema", schema, "--plan", "plan.toml"),
        *("--set", "attacks.most=0", "--out", "again"),
    )
    assert "over the limit" in told.out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--plan", "nowhere.toml"), ("nowhere.toml",)),
        (("--plan", "schema.toml"), ("schema.toml", "[evaluation]")),
        (("--plan", "real.csv"), ("real.csv", "toml")),
        (("--attack", "copie"), ("copie", "copies")),
        (("--policy", "ema"), ("ema", "ema-0070")),
        (("--policy", "ema-0070=low"), ("--policy",)),
        (("--group", "sexx"), ("sexx", "sex")),
        (("--question", "SELECT avg(weigth) FROM t"), ("weigth",)),
        (("--question", "nonsense"), ("--question",)),
        (("--set", "attacks.mos=4"), ("mos", "most")),
        (("--set", "risk.threshold=4"), ("threshold", "4")),
        (("--set", "attacks.settings.copies.x=4"), ("x",)),
        (("--set", "nonsense"), ("--set",)),
        (("--set", "=4"), ("--set",)),
        (("--set", 'learning.models=["oracle"]'), ("oracle",)),
        (("--control", "real.csv"), ("real.csv", "--control")),
        (("--control", "released.csv"), ("released.csv", "--control")),
        (("--control", "other.csv"), ("other.csv", "no column")),
    ],
)
def test_a_measure_that_cannot_be(
    words: tuple[str, ...],
    told: tuple[str, ...],
    sfumato: Sfumato,
    schema: Path,
    released: Path,
    tmp_path: Path,
) -> None:
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    outcome = sfumato("evaluate", "real.csv", released, "--schema", schema, *words)
    one_clear_line(outcome, *told)
    assert not (tmp_path / "evaluation").exists()


# -- two releases --------------------------------------------------------------------------------


@pytest.fixture
def two_releases(tmp_path: Path) -> None:
    """Ganta et al. (2008), figure 1: only Alice, 28, is in one class of either hospital."""
    ages = [28, 24, 29, 41, 43, 47]
    ill = ["AIDS", "flu", "gout", "flu", "gout", "cold"]
    pl.DataFrame({"age": ages, "ill": ill}).write_csv(tmp_path / "real.csv")
    first = ["<30"] * 3 + [">=40"] * 3
    pl.DataFrame({"age": first, "ill": ill}).write_csv(tmp_path / "first.csv")
    second = [">=25"] * 3 + ["<25"] * 3
    pl.DataFrame({"age": second, "ill": ["AIDS", "cold", "cough"] * 2}).write_csv(
        tmp_path / "second.csv"
    )
    pl.DataFrame({"age": [26, 27, 45], "ill": ["flu", "gout", "AIDS"]}).write_csv(
        tmp_path / "control.csv"
    )
    (tmp_path / "schema.toml").write_text(
        '[columns.age]\nrole = "quasi-identifier"\n[columns.ill]\nrole = "sensitive"\n'
    )


@pytest.mark.usefixtures("two_releases")
def test_two_releases_are_intersected(sfumato: Sfumato, tmp_path: Path) -> None:
    words = ("intersect", "real.csv", "first.csv", "second.csv", "--schema", "schema.toml")
    outcome = sfumato(*words, "--control", "control.csv", "--json")
    assert outcome.code == 0, outcome.err
    certain = outcome.json["figures"]["intersection/ill/certain"]
    assert certain["value"] == pytest.approx(2 / 6)
    assert (certain["baseline"], certain["control"]) == (0.0, 0.0)
    assert certain["p_value"] <= certain["adjusted"] <= 1
    told = sfumato(*words, "--control", "control.csv", "--out", "together")
    assert told.code == 0, told.err
    assert "intersection/ill/certain" in told.out
    assert "before; each time tells a little more" in told.out
    report = (tmp_path / "together" / "report.html").read_text()
    assert "learned from two releases together" in report
    assert "only counts" in sfumato(*words, "--smallest", 3, "--sensitive", "ill").out


@pytest.mark.usefixtures("two_releases")
@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("first.csv", "first.csv"), ("first.csv", "twice")),
        (("first.csv", "nowhere.csv"), ("nowhere.csv",)),
        (("first.csv", "other.csv"), ("other.csv", "no column")),
        (("first.csv", "second.csv", "--control", "real.csv"), ("--control",)),
        (("first.csv", "second.csv", "--sensitive", "il"), ("il", "ill")),
        (("first.csv", "second.csv", "--schema", "nowhere.toml"), ("nowhere.toml",)),
    ],
)
def test_two_releases_that_cannot_be_intersected(
    words: tuple[str, ...], told: tuple[str, ...], sfumato: Sfumato, tmp_path: Path
) -> None:
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    given = () if "--schema" in words else ("--schema", "schema.toml")
    one_clear_line(sfumato("intersect", "real.csv", *words, *given), *told)


# -- a claimed epsilon ---------------------------------------------------------------------------


@pytest.fixture
def mechanisms(tmp_path: Path) -> Path:
    path = tmp_path / "mechanisms_of_a_test.py"
    path.write_text(MECHANISMS)
    return path


def test_a_claim_has_three_outcomes(sfumato: Sfumato, mechanisms: Path) -> None:
    words = ("audit", f"{mechanisms.stem}:noisy", "--pair", 120, 119, "--batch")
    broken = sfumato(*words, "--epsilon", 1)
    assert broken.code == 1
    assert "violation" in broken.out
    kept = sfumato(*words, "--epsilon", 2, "--runs", 4000, "--json")
    assert (kept.code, kept.json["verdict"]) == (0, "not refuted")
    assert kept.json["lower_bound"] < 2 < kept.json["refutable"] < kept.json["ceiling"]
    short = sfumato("audit", f"{mechanisms}:one", "--pair", 120, 119, "--epsilon", 8, "--runs", 40)
    assert short.code == 0
    assert "not refutable" in short.out
    for outcome in (broken, short):
        assert "lower bound of epsilon" in outcome.out
        assert "ceiling" in outcome.out
        assert "95% confidence" in outcome.out
        assert "cannot show that there are none" in outcome.out


def test_a_copier_is_caught_in_one_run_and_on_two_tables(
    sfumato: Sfumato, schema: Path, patients: Path, mechanisms: Path
) -> None:
    words = ("audit", f"{mechanisms}:copy", patients, "--schema", schema, "--epsilon", 1, "--json")
    once = sfumato(*words, "--how", "one-run", "--canaries", 200)
    assert (once.code, once.json["method"]) == (1, "one run")
    often = sfumato(*words, "--runs", 300)
    assert (often.code, often.json["method"]) == (1, "neighbouring tables")
    shown = once.out + often.out
    assert not [canary for canary in CANARIES if canary in shown]


def test_a_technique_is_audited(sfumato: Sfumato, schema: Path, patients: Path) -> None:
    words = ("audit", "mondrian", patients, "--schema", schema, "--epsilon", 3, "--set", "k=20")
    outcome = sfumato(*words, "--canaries", 300, "--json")
    assert outcome.json["method"] == "one run"
    assert outcome.json["mechanism"] == "mondrian"
    assert outcome.code == (outcome.json["verdict"] == "violation")
    assert outcome.json == json.loads(sfumato(*words, "--canaries", 300, "--json").out)


PAIR = ("--pair", "120", "119")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((":noisy", *PAIR, "--batch", "--epsilon", "-1"), ("epsilon", "-1")),
        ((":noisy", *PAIR, "--batch", "--epsilon", "inf"), ("epsilon", "inf")),
        ((":noisy", *PAIR, "--batch", "--epsilon", "nan"), ("epsilon", "nan")),
        ((":noisy", *PAIR, "--batch", "--delta", "1"), ("delta",)),
        ((":noisy", *PAIR, "--batch", "--confidence", "1"), ("confidence",)),
        ((":noisy", *PAIR, "--batch", "--gaussian"), ("delta",)),
        ((":noisi", *PAIR), ("noisi", "noisy")),
        ((":number", *PAIR), ("number",)),
        ((":noisy", *PAIR), ("(data, seed)",)),
        ((":one", *PAIR, "--batch"), ("(data, runs, seed)",)),
        ((":boom", *PAIR), ("ValueError", "mechanisms_of_a_test.py:23")),
        ((":one",), ("--pair",)),
        ((":one", "patients.csv", *PAIR), ("--pair",)),
        ((":one", "nowhere.csv"), ("nowhere.csv",)),
        ((":one", *PAIR, "--set", "k=3"), ("--set",)),
        ((":height", "patients.csv", "--how", "one-run"), ("frame",)),
        ((":height", "patients.csv", "--how", "twice"), ("twice",)),
        ((":height", "patients.csv", "--how", "one-run", "--runs", "50"), ("--runs",)),
        (("nowhere:one", *PAIR), ("nowhere",)),
        (("nowhere.py:one", *PAIR), ("nowhere.py",)),
        (("broken.py:one", *PAIR), ("broken.py", "SyntaxError")),
        (("lacking.py:one", *PAIR), ("lacking.py", "ModuleNotFoundError")),
        ((":", *PAIR), ("module:function",)),
        (("mondrain", "patients.csv"), ("mondrian",)),
        (("mondrian", "patients.csv"), ("--schema",)),
        (("mondrian", "--schema", "schema.toml"), ("DATA",)),
        (("mondrian", "patients.csv", "--schema", "schema.toml", "--batch"), ("--batch",)),
    ],
)
def test_an_audit_that_cannot_be(
    words: tuple[str, ...],
    told: tuple[str, ...],
    sfumato: Sfumato,
    patients: Path,
    mechanisms: Path,
    tmp_path: Path,
) -> None:
    (tmp_path / "schema.toml").write_text(SCHEMA)
    (tmp_path / "broken.py").write_text("def one(:\n")
    (tmp_path / "lacking.py").write_text("import a_module_that_is_absent\n")
    first = f"{mechanisms}{words[0]}" if words[0].startswith(":") and words[0] != ":" else words[0]
    claim = () if "--epsilon" in words else ("--epsilon", "1")
    one_clear_line(sfumato("audit", first, *words[1:], *claim), *told)
