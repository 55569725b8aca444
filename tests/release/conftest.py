"""A small table of invented patients, a plan for it, and reports that cost nothing to draw."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

SCHEMA = """
person = "patient"
target = "died"
[columns.patient]
role = "identifier"
[columns.age]
role = "quasi-identifier"
type = "integer"
hierarchy = { intervals = [0, 20, 40, 60, 80, 100], closed = "left" }
[columns.sex]
role = "quasi-identifier"
[columns.region]
role = "quasi-identifier"
[columns.pressure]
role = "sensitive"
[columns.died]
role = "sensitive"
"""

PLAN = """
name = "A small study"
seed = 7
control = 0.25
schema = "schema.toml"

[source]
path = "patients.csv"

[[release]]
name = "clean"
technique = "clean"
why = "the baseline"

[[release]]
name = "grouped"
technique = "rules"
k = 5

[release.columns]
age = { generalize = 1, rename = "age_group" }
pressure = { noise = "gaussian", scale = 2.0 }

[[release]]
name = "drawn"
technique = "copula"
of = "grouped"
rows = 300

[evaluation]
risk = { sample = 100 }
attacks = { most = 100, only = ["copies", "linkability"] }
utility = { parts = ["marginals", "regression"], three_way = 5 }
[evaluation.learning]
models = ["naive-bayes"]
protocols = ["honest"]
by_release = { clean = ["honest", "as-published"] }
"""


def patients(rows: int = 400, seed: int = 0) -> pl.DataFrame:
    """Draw patients of whom nobody is real."""
    random = np.random.default_rng(seed)
    age = random.integers(18, 95, rows)
    sex = random.choice(["f", "m"], rows)
    pressure = np.round(110 + age / 3 + random.normal(0, 8, rows), 1)
    died = (age + random.normal(0, 25, rows) > 85).astype(int)
    return pl.DataFrame(
        {
            "patient": [f"canary-{number:05d}" for number in range(rows)],
            "age": age,
            "sex": sex,
            "region": random.choice(["north", "south", "west"], rows),
            "pressure": pressure,
            "died": died,
        }
    )


@pytest.fixture
def table() -> pl.DataFrame:
    return patients()


@pytest.fixture
def plan_file(tmp_path: Path, table: pl.DataFrame) -> Path:
    """A plan with its schema and source beside it."""
    home = tmp_path / "home"
    home.mkdir()
    table.write_csv(home / "patients.csv")
    (home / "schema.toml").write_text(SCHEMA)
    (home / "plan.toml").write_text(PLAN)
    return home / "plan.toml"


@pytest.fixture
def quick_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw no charts: reports have tests of their own."""
    import sfumato.release.report as report

    monkeypatch.setattr(report, "render_study", lambda study: f"<p>{study.name}</p>")
    monkeypatch.setattr(report, "render_evaluation", lambda one, **_: f"<p>{one.release}</p>")


@pytest.fixture
def people():
    """Draw other invented patients: ``people(rows, seed)``."""
    return patients
