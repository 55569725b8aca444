"""What a user sees of the package: its names, and that it opens without carrying the house."""

from __future__ import annotations

import subprocess
import sys
import types
from pathlib import Path

import polars as pl
import pytest

import sfumato as sf

ROOT = Path(__file__).parents[1]
HEAVY = ("torch", "pandas", "pyspark", "pyarrow", "duckdb")
NEEDED_FOR_WORK = ("polars", "numpy", "pydantic", *HEAVY)
LOADED = "=== loaded ==="

SCHEMA = sf.Schema(
    identifiers=["id"], quasi_identifiers=["age", "sex"], target="died", other=["weight"]
)


@pytest.fixture
def table() -> pl.DataFrame:
    rows = 120
    return pl.DataFrame(
        {
            "id": [f"person {row}" for row in range(rows)],
            "age": [20 + 7 * row % 60 for row in range(rows)],
            "sex": ["f" if row % 2 else "m" for row in range(rows)],
            "weight": [50.5 + 13 * row % 40 for row in range(rows)],
            "died": [int(row % 5 == 0) for row in range(rows)],
        }
    )


def errors_and_version() -> set[str]:
    from sfumato import errors

    return {*errors.__all__, "__version__"} - {"did_you_mean"}


def test_all_names_are_those_of_the_rooms_the_errors_and_the_version():
    lazy = [name for names in sf._ROOMS.values() for name in names]
    assert len(lazy) == len(set(lazy))
    assert set(sf.__all__) == {*lazy, *errors_and_version()}
    assert sorted(sf.__all__) == sorted(set(sf.__all__)) == sorted(dir(sf))


@pytest.mark.parametrize("name", sf.__all__)
def test_every_name_loads_and_is_no_module(name):
    value = getattr(sf, name)
    assert value is not None
    assert not isinstance(value, types.ModuleType)


@pytest.mark.parametrize("name", sorted({*sf.__all__} - {"__version__"}))
def test_every_name_explains_itself(name):
    assert (getattr(sf, name).__doc__ or "").strip()


def test_a_name_that_is_not_there_is_told():
    with pytest.raises(AttributeError, match="has no attribute 'anonymise'"):
        _ = sf.anonymise


def public_names(package: str) -> set[str]:
    room = __import__(package, fromlist=["__all__"])
    return set(room.__all__)


@pytest.mark.parametrize(
    "package",
    ["sfumato", *(f"sfumato.{room}" for room in sf._ROOMS)],
)
def test_no_module_has_the_name_of_a_public_name_of_its_package(package):
    """Such a module would take the name's place once something imports it."""
    home = ROOT / "src" / Path(*package.split("."))
    modules = {path.stem for path in home.glob("*.py")} | {
        path.name for path in home.iterdir() if (path / "__init__.py").exists()
    }
    assert not public_names(package) & modules


def test_the_functions_stay_functions_when_called_twice(table):
    for _ in range(2):
        release = sf.anonymize(table, SCHEMA, sf.Mondrian(k=5))
        model = sf.synthesize(table, SCHEMA, sf.GaussianCopula())
        judged = sf.evaluate(table, release, SCHEMA)
        assert isinstance(release, sf.Release)
        assert isinstance(model, sf.Generator)
        assert isinstance(judged, sf.Evaluation)
        assert sf.verify(release.data, release.schema, release.promises).passed
        assert isinstance(sf.profile(table), sf.Profile)
        assert sf.prepare(table, SCHEMA).feature_names


def loaded_after(code: str) -> set[str]:
    """Return the modules that a fresh interpreter has loaded after running the code."""
    told = f"; import sys; print('{LOADED}', *sys.modules)"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code + told],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
        cwd=ROOT,
    )
    return set(done.stdout.partition(LOADED)[2].split())


def test_import_loads_nothing_heavy():
    assert not loaded_after("import sfumato; sfumato.__version__") & set(HEAVY)


def test_the_names_load_nothing_heavy():
    loaded = loaded_after("import sfumato; [getattr(sfumato, n) for n in sfumato.__all__]")
    assert "polars" in loaded
    assert not loaded & set(HEAVY)


@pytest.mark.parametrize("words", [["--help"], ["--version"]])
def test_help_loads_nothing_that_only_work_needs(words):
    loaded = loaded_after(f"from sfumato.cli.edge import guarded; assert guarded({words!r}) == 0")
    assert "typer" in loaded
    assert not loaded & set(NEEDED_FOR_WORK)


def test_the_help_of_a_command_loads_nothing_that_only_work_needs():
    # typer looks for pydantic by itself where a command has options
    code = "from sfumato.cli.edge import guarded; assert guarded(['anonymize', '--help']) == 0"
    assert not loaded_after(code) & set(NEEDED_FOR_WORK) - {"pydantic"}
