"""The command line in process: its words in, its exit code and both streams out."""

from __future__ import annotations

import json
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from sfumato.cli.edge import guarded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HEART = Path(__file__).parents[1] / "data" / "heart_sample.parquet"
CANARIES = tuple(f"CANARY{number:04d}X" for number in range(400))


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def lines(self) -> list[str]:
        """What was said on standard error, without the lines of running steps."""
        return [line for line in self.err.splitlines() if line.startswith("sfumato: ")]


@pytest.fixture
def sfumato(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Outcome]]:
    monkeypatch.chdir(tmp_path)
    before = signal.getsignal(signal.SIGINT)

    def call(*words: object) -> Outcome:
        capfd.readouterr()
        code = guarded([str(word) for word in words])
        seen = capfd.readouterr()
        return Outcome(code, seen.out, seen.err)

    yield call
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def patients(tmp_path: Path) -> Path:
    """A small CSV of patients whose identifiers are canaries that must never be shown."""
    rows = len(CANARIES)
    pl.DataFrame(
        {
            "name": CANARIES,
            "age": [20 + (7 * row) % 60 for row in range(rows)],
            "sex": ["F" if row % 2 else "M" for row in range(rows)],
            "weight": [50.5 + (row * 13) % 50 for row in range(rows)],
            "diagnosis": [("flu", "asthma", "gout")[row % 3] for row in range(rows)],
            "died": [int(row % 5 == 0) for row in range(rows)],
        }
    ).write_csv(tmp_path / "patients.csv")
    return tmp_path / "patients.csv"


SCHEMA = """
person = "name"
target = "died"
[columns.name]
role = "identifier"
[columns.age]
role = "quasi-identifier"
hierarchy = { intervals = [30, 45, 60], closed = "left" }
[columns.sex]
role = "quasi-identifier"
[columns.weight]
role = "other"
[columns.diagnosis]
role = "sensitive"
[columns.died]
role = "target"
"""


@pytest.fixture
def schema(tmp_path: Path) -> Path:
    path = tmp_path / "schema.toml"
    path.write_text(SCHEMA)
    return path
