"""`sfumato synthesize` under a privacy budget: what it takes, refuses and says."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from sfumato.cli.budgeting import with_budget
from sfumato.errors import PlanError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Outcome

    Sfumato = Callable[..., Outcome]

SETTINGS = """
steps = 5
fits = 1
classes = 3
[domain]
age = [0, 100, 1]
sex = ["F", "M"]
weight = [30, 150, 0.5]
diagnosis = ["flu", "asthma", "gout"]
died = { values = [0, 1] }
[budget]
unit = "person"
"""
PRIVATE = ("--technique", "dp-latent-factor", "--settings", "settings.toml")


def test_a_private_release_is_made_told_and_verified(
    sfumato: Sfumato, schema: Path, patients: Path, tmp_path: Path
) -> None:
    (tmp_path / "settings.toml").write_text(SETTINGS)
    words = ("synthesize", patients, "--schema", schema, *PRIVATE, "--out", "two")
    made = sfumato(*words, "--epsilon", "1", "--delta", "1e-9", "--rows", 150)
    assert made.code == 0, made.err
    assert "roughly" in made.err
    assert "promised: The probability of every release changes by a factor of at most" in made.out
    certificate = json.loads((tmp_path / "two" / "certificate.json").read_text())
    assert certificate["ledger"]["budget"]["epsilon"] == "1"
    assert certificate["rows_out"] == 150
    assert certificate["source_rows"] is None
    report = (tmp_path / "two" / "report.html").read_text()
    assert "The privacy budget, and what it was spent on" in report
    verified = sfumato("verify", "two")
    assert verified.code == 0
    assert "✓ SF027" in verified.out
    assert "every promise is kept" in verified.out
    certificate["ledger"]["charges"][0]["times"] = 9
    (tmp_path / "two" / "certificate.json").write_text(json.dumps(certificate))
    assert sfumato("verify", "two").code == 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--epsilon", "0", "--delta", "1e-9"), "epsilon must be above 0"),
        (("--epsilon", "-1", "--delta", "1e-9"), "epsilon must be above 0"),
        (("--epsilon", "inf", "--delta", "1e-9"), "infinity promises nothing"),
        (("--epsilon", "much"), "a finite rational number is needed"),
        (("--epsilon", "1", "--delta", "0.01"), "not below one over the number of people"),
        (("--epsilon", "1"), "needs a delta above 0"),
        (("--epsilon", "1", "--delta", "1e-9", "--neighbours", "both"), "neighbours"),
    ],
)
def test_a_budget_that_promises_nothing_is_refused(
    sfumato: Sfumato,
    schema: Path,
    patients: Path,
    tmp_path: Path,
    options: tuple[str, ...],
    said: str,
) -> None:
    (tmp_path / "settings.toml").write_text(SETTINGS)
    refused = sfumato("synthesize", patients, "--schema", schema, *PRIVATE, *options)
    assert refused.code == 2
    assert said in refused.lines[0]
    assert not (tmp_path / "synthetic").exists()


def test_a_technique_without_a_budget_says_so(
    sfumato: Sfumato, schema: Path, patients: Path
) -> None:
    refused = sfumato("synthesize", patients, "--schema", schema, "--epsilon", "1")
    assert refused.code == 2
    assert "'copula' spends no privacy budget" in refused.lines[0]
    assert "dp-latent-factor" in refused.lines[0]


def test_options_go_before_the_settings_file() -> None:
    none = {"epsilon": None, "delta": None, "neighbours": None}
    said = {"budget": {"epsilon": 3, "delta": "1e-9"}, "steps": 5}
    kept = with_budget("dp-latent-factor", said, **none)
    assert kept == said
    changed = with_budget("dp-latent-factor", said, **{**none, "epsilon": "1"})
    assert changed["budget"] == {"epsilon": "1", "delta": "1e-9"}
    assert said["budget"]["epsilon"] == 3
    assert with_budget("copula", {"minimum": 20}, **none) == {"minimum": 20}
    with pytest.raises(PlanError, match="say --epsilon 1 --delta 1e-9"):
        with_budget("dp-latent-factor", {}, **none)
    with pytest.raises(PlanError, match="is a table"):
        with_budget("dp-latent-factor", {"budget": 1}, **none)
