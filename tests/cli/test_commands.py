"""The commands at work: what they write, say and return, and that no identifier is ever shown."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import polars as pl
import pytest
from tests.cli.conftest import CANARIES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Outcome

    Sfumato = Callable[..., Outcome]

PLAN = """
name = "study"
seed = 3
control = 0.2
schema = "schema.toml"
[source]
path = "patients.csv"
[[release]]
name = "clean"
technique = "clean"
[[release]]
name = "grouped"
technique = "mondrian"
k = 5
[[release]]
name = "drawn"
technique = "copula"
of = "grouped"
[evaluation.attacks]
most = 40
[evaluation.learning]
models = ["naive-bayes"]
protocols = ["honest"]
"""

HARDLY_MEASURED = """
[evaluation]
attacks = { most = 20, only = ["copies"] }
utility = { parts = ["marginals"] }
"""


def everything_written(folder: Path, *but: Path) -> str:
    return "".join(
        f"{path.name}\n{path.read_bytes().decode('utf-8', 'replace')}"
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path not in but
    )


@pytest.mark.slow
def test_no_identifier_is_shown_by_any_command(
    sfumato: Sfumato,
    schema: Path,
    patients: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    (tmp_path / "plan.toml").write_text(PLAN)
    outcomes = [
        sfumato("profile", patients, "--out", "p.html", "--schema-out", "found.toml", "--json"),
        sfumato("init", patients, "--out", "started"),
        sfumato("run", "plan.toml", "--out", "study", "--json"),
        sfumato("run", "plan.toml", "--out", "study", "--jobs", 1),
        sfumato("anonymize", patients, "--schema", schema, "--k", 5, "--out", "one", "--json"),
        sfumato("synthesize", patients, "--schema", schema, "--out", "two"),
        sfumato("evaluate", patients, "one/data.csv", "--schema", schema, "--out", "judged"),
        sfumato("verify", "one", "--json"),
        sfumato("verify", patients, "--schema", schema),
        sfumato("techniques"),
    ]
    assert [outcome.code for outcome in outcomes] == [0, 0, 0, 0, 0, 0, 0, 0, 1, 0]
    shown = "".join(outcome.out + outcome.err for outcome in outcomes) + caplog.text
    shown += everything_written(tmp_path, patients)
    assert "k-anonymity" in shown
    assert not [canary for canary in CANARIES if canary in shown]


def test_the_input_is_never_written_to(
    sfumato: Sfumato, schema: Path, patients: Path, tmp_path: Path
) -> None:
    before = patients.read_bytes()
    assert sfumato("anonymize", patients, "--schema", schema, "--k", 5, "--out", "one").code == 0
    assert patients.read_bytes() == before


def test_a_release_keeps_what_it_says(
    sfumato: Sfumato, schema: Path, patients: Path, tmp_path: Path
) -> None:
    outcome = sfumato("anonymize", patients, "--schema", schema, "--k", 7, "--out", "one", "--json")
    assert outcome.json["verification"]["passed"]
    released = pl.read_csv(tmp_path / "one" / "data.csv")
    assert released.group_by("age", "sex").len()["len"].min() >= 7
    assert sfumato("verify", "one").code == 0
    cells = (tmp_path / "one" / "data.csv").read_text().splitlines(keepends=True)
    (tmp_path / "one" / "data.csv").write_text("".join(cells[:-1]))
    broken = sfumato("verify", "one")
    assert broken.code == 1
    assert "SF002" in broken.out


def test_the_same_command_gives_the_same_bytes(
    sfumato: Sfumato, schema: Path, patients: Path, tmp_path: Path
) -> None:
    for out in ("one", "two"):
        words = ("synthesize", patients, "--schema", schema, "--seed", 4, "--out", out)
        assert sfumato(*words).code == 0
    one, two = ((tmp_path / out / "data.csv").read_bytes() for out in ("one", "two"))
    assert one == two


@pytest.mark.slow
def test_what_init_writes_can_be_run(sfumato: Sfumato, patients: Path, tmp_path: Path) -> None:
    few = patients.read_text().splitlines(keepends=True)[:161]
    patients.write_text("".join(few))
    assert sfumato("init", patients, "--out", "started").code == 0
    assert sfumato("init", patients, "--out", "started").code == 2  # it may hold corrections
    outcome = sfumato("run", "started/plan.toml", "--out", "study", "--jobs", 1)
    assert outcome.code == 0, outcome.err
    assert (tmp_path / "study" / "report.html").exists()


def test_a_plan_is_not_overwritten_by_the_plan_as_run(
    sfumato: Sfumato, schema: Path, patients: Path, tmp_path: Path
) -> None:
    # one release, hardly measured: only where the plan is written matters here
    alone = PLAN[: PLAN.index('[[release]]\nname = "grouped"')] + HARDLY_MEASURED
    (tmp_path / "plan.toml").write_text(alone.replace("patients.csv", str(patients)))
    assert sfumato("run", "plan.toml", "--out", "study").code == 0
    own = tmp_path / "study" / "plan.toml"
    before = own.read_text()
    outcome = sfumato("run", own, "--out", "study")
    assert outcome.code == 2
    assert "own folder" in outcome.err
    assert own.read_text() == before


def test_a_profile_reads_as_the_schema_says(sfumato: Sfumato, schema: Path, patients: Path) -> None:
    patients.write_text(patients.read_text().replace(",flu,", ",unknown,"))
    schema.write_text('missing = ["unknown"]\n' + schema.read_text())
    outcome = sfumato("profile", patients, "--schema", schema, "--out", "p.html", "--json")
    missing = {column["name"]: column["contents"]["missing"] for column in outcome.json["columns"]}
    assert missing["diagnosis"] > 100


def test_an_estimate_is_only_said(sfumato: Sfumato, schema: Path, patients: Path) -> None:
    (patients.parent / "plan.toml").write_text(PLAN)
    outcome = sfumato("run", "plan.toml", "--out", "study", "--estimate")
    assert outcome.code == 0
    assert "roughly" in outcome.err
    assert not (patients.parent / "study").exists()


def test_drawn_rows_are_nobody_when_said_so(sfumato: Sfumato, schema: Path, patients: Path) -> None:
    assert sfumato("synthesize", patients, "--schema", schema, "--out", "two").code == 0
    words = ("evaluate", patients, "two/data.csv", "--schema", schema, "--out", "judged", "--json")
    assert sfumato(*words).json["risks"]["unique"]["value"] is not None
    assert sfumato(*words, "--synthetic").json["risks"]["unique"]["value"] is None


@pytest.mark.slow
def test_the_demo_ends_with_a_report(sfumato: Sfumato, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    outcome = sfumato("demo", "--rows", 2000, "--out", "demo")
    assert outcome.code == 0, outcome.err
    report = (tmp_path / "demo" / "report.html").read_text()
    for name in ("clean", "anonymized", "k-anonymous", "synthetic"):
        assert name in report
    assert "http://" not in report.replace("http://www.w3.org", "")
