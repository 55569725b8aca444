"""The manual says all there is, and nothing that is not: commands, settings, errors, figures."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import typer

from sfumato import errors
from sfumato.anonymization.rule import Rule
from sfumato.cli.app import app
from sfumato.evaluation import Protocol, class_risks, closest_record, fidelity
from sfumato.evaluation.metrics import SCORES
from sfumato.evaluation.models import MODEL_NAMES
from sfumato.release import Plan
from sfumato.release.registry import technique, technique_names
from sfumato.settings import Settings
from sfumato.table import Role, Schema, preset_names
from sfumato.table.hierarchies.hierarchy_recipes import HIERARCHY_KINDS
from sfumato.table.hierarchies.presets import PRESETS
from sfumato.table.types import COLUMN_TYPES

ROOT = Path(__file__).parents[1]
DATA = ROOT / "tests" / "data"
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")])
TOML = re.compile(r"^```toml\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SHELL = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TERM = re.compile(r"`([^`\n]+)`")


@cache
def page(name: str) -> str:
    return (ROOT / "docs" / f"{name}.md").read_text("utf-8")


def section(text: str, heading: str) -> str:
    """Return a section from its heading to the next one of its level or above."""
    level = len(heading) - len(heading.lstrip("#"))
    start = re.search(rf"^{re.escape(heading)}(?![\w-])", text, re.MULTILINE)
    assert start, f"no section {heading!r}"
    after = text[start.end() :]
    end = re.search(rf"^#{{1,{level}}} ", after, re.MULTILINE)
    return after[: end.start()] if end else after


def terms(text: str) -> set[str]:
    """Return what stands in backticks, outside of code blocks."""
    return set(TERM.findall(re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)))


def rows_of_tables(text: str) -> dict[str, str]:
    """Return the table rows that begin with a term, by that term."""
    return dict(re.findall(r"^\| `([^`]+)` (\|.*)$", text, re.MULTILINE))


# -- the commands --------------------------------------------------------------------------------

COMMAND: Any = typer.main.get_command(app)
SHARED = section(page("commands"), "## Options that commands share")


def options(command: Any) -> set[str]:
    found = {option for one in command.params for option in (*one.opts, *one.secondary_opts)}
    return {option for option in found if option.startswith("-")}


@pytest.mark.parametrize("name", COMMAND.commands)
def test_every_command_and_option_is_documented(name):
    said = terms(section(page("commands"), f"## `sfumato {name}`")) | terms(SHARED)
    assert options(COMMAND.commands[name]) <= said


def test_the_options_before_the_command_are_documented():
    beginning = page("commands").partition("## Exit codes")[0]
    assert options(COMMAND) | {"--help", "-h"} <= terms(beginning)


def test_no_command_or_option_is_made_up():
    known = set.union(options(COMMAND), *(options(one) for one in COMMAND.commands.values()))
    written = {term for term in terms(page("commands")) if re.fullmatch(r"-{1,2}[a-z-]+", term)}
    assert written <= known | {"--help", "-h"}
    headings = re.findall(r"^## `sfumato ([a-z-]+)`$", page("commands"), re.MULTILINE)
    assert sorted(headings) == sorted(COMMAND.commands)


def command_lines() -> Iterator[str]:
    for path in PAGES:
        for block in SHELL.findall(path.read_text("utf-8")):
            for line in block.splitlines():
                if re.match(r"(\S*/)?sfumato ", line):
                    yield line


@pytest.mark.parametrize("line", sorted(set(command_lines())))
def test_every_command_line_can_be_parsed(line):
    words = shlex.split(line.partition("||")[0], comments=True)[1:]
    given = [word for word in words if word.startswith("-")]
    words = [word for word in words if word not in {"--log"}]
    if words[0].startswith("-"):
        assert set(given) <= options(COMMAND) | {"--help", "-h"}
        return
    command = COMMAND.commands[words[0]]
    command.make_context(words[0], words[1:], resilient_parsing=False)


def test_every_exit_code_is_documented():
    codes = {"0", "1", "2", "3", "130"}
    listed = set(re.findall(r"^\| (\d+) \|", section(page("commands"), "## Exit codes"), re.M))
    assert listed == codes


# -- settings ------------------------------------------------------------------------------------


def rule_kinds(kind: type[Rule] = Rule) -> Iterator[type[Rule]]:
    for child in kind.__subclasses__():
        if child.__module__.startswith("sfumato.") and "keywords" in child.__dict__:
            yield child
        yield from rule_kinds(child)


def fields(kind: type[Settings]) -> Iterator[str]:
    """Yield the names of settings, and of the settings inside them."""
    for name, field in kind.model_fields.items():
        yield name
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, Settings):
            yield from fields(inner)


TECHNIQUE_PAGES = ("techniques", "full_domain", "clustering", "private_synthesis", "guided")


@pytest.mark.parametrize("name", technique_names())
def test_every_setting_of_a_technique_is_documented(name):
    pages = [page(one) for one in TECHNIQUE_PAGES if f"\n## `{name}`\n" in page(one)]
    assert len(pages) == 1
    shared = section(pages[0], "## What the clusterings share") if "clusterings" in pages[0] else ""
    own = section(pages[0], f"## `{name}`")
    said = terms(own) | terms(shared)
    if "those of [`dp-latent-factor`]" in own:  # a table of their own would say it twice
        said |= terms(section(pages[0], "## `dp-latent-factor`"))
    assert set(fields(technique(name))) <= said


def test_every_technique_of_ours_has_a_section():
    ours = [n for n in technique_names() if technique(n).__module__.startswith("sfumato.")]
    text = "\n".join(page(name) for name in TECHNIQUE_PAGES)
    headings = re.findall(r"^## `([a-z-]+)`$", text, re.MULTILINE)
    assert sorted(headings) == sorted(ours)


@pytest.mark.parametrize("kind", sorted(rule_kinds(), key=lambda kind: kind.__name__))
def test_every_rule_and_its_options_are_documented(kind):
    keyword = kind.keywords[0].removesuffix(" only")
    text = section(page("techniques"), f"### `{keyword}`")
    examples = " ".join(TOML.findall(text))
    assert examples
    assert re.search(rf"\b{keyword} = ", examples)
    heading = set(kind.keywords) | {keyword, "rename"}
    assert set(fields(kind)) - heading <= terms(text)


def write_plan(folder: Path, block: str) -> Path:
    """Make a plan of a fragment: what it leaves out is put before or beside it."""
    (folder / "schema.toml").write_text('rest = "other"\n')
    (folder / "patients.csv").write_text("age\n40\n")
    beginning = ""
    if "name = " not in block.partition("[")[0]:
        beginning = 'name = "an example"\nschema = "schema.toml"\n[source]\npath = "patients.csv"\n'
    if block.startswith("[release.columns]"):
        beginning += '[[release]]\nname = "grouped"\ntechnique = "rules"\n'
    elif "[[release]]" not in block:
        beginning += '[[release]]\nname = "clean"\ntechnique = "clean"\n'
    (folder / "plan.toml").write_text(f"{beginning}\n{block}")
    return folder / "plan.toml"


def toml_blocks(*names: str) -> list[Any]:
    return [
        pytest.param(block, id=f"{name}-{number}")
        for name in names
        for number, block in enumerate(TOML.findall(page(name)), start=1)
    ]


@pytest.mark.parametrize("block", toml_blocks(*TECHNIQUE_PAGES, "evaluation", "plan"))
def test_every_plan_in_the_manual_can_be_read(block, tmp_path):
    plan = Plan.read(write_plan(tmp_path, block))
    written = tomllib.loads(block)
    names = [release["name"] for release in written.get("release", []) if "name" in release]
    assert [release.name for release in plan.releases][-len(names) or None :] == names or not names
    for release in plan.releases:
        release.built(plan.seed, plan.base)  # the technique itself accepts its settings


# -- the schema ----------------------------------------------------------------------------------


@pytest.mark.parametrize("block", toml_blocks("schema"))
def test_every_schema_in_the_manual_can_be_read(block):
    values = tomllib.loads(block)
    schema = Schema.from_dict(values, base=DATA)
    assert list(schema.columns)[: len(values["columns"])] == list(values["columns"])


@pytest.mark.parametrize("kind", HIERARCHY_KINDS)
def test_every_kind_of_hierarchy_has_an_example_in_toml_and_python(kind):
    text = section(page("schema"), f"### `{kind}`")
    examples = [tomllib.loads(block) for block in TOML.findall(text)]
    kinds = {
        key
        for example in examples
        for column in example["columns"].values()
        for key in column.get("hierarchy", {})
    }
    assert kind in kinds
    method = {"file": "read"}.get(kind, kind)
    assert f"Hierarchy.{method}(" in text
    assert ">>> " in text
    for setting in HIERARCHY_KINDS[kind]:
        assert setting in kinds | terms(text), setting


def test_every_preset_role_and_type_is_documented():
    said = rows_of_tables(page("schema"))
    assert set(preset_names()) <= set(said)
    assert {role.value for role in Role} | set(COLUMN_TYPES) <= set(said)
    assert {"person", "target", "missing", "rest", "columns"} <= set(said)
    presets = section(page("schema"), "### `preset`")
    assert set(rows_of_tables(presets)) == set(PRESETS)


# -- figures, errors -----------------------------------------------------------------------------


def all_figures() -> dict[str, Any]:
    table = pl.DataFrame({"age": ["a", "b", "a"] * 10, "died": [0, 1, 1] * 10})
    return {
        **class_risks(table, ["age"]),
        **closest_record(table, table, table, seed=0),
        **fidelity(table, table, table, target="died").figures,
    }


def test_every_figure_is_documented_with_its_name_and_direction():
    said = rows_of_tables(page("evaluation"))
    for key, figure in all_figures().items():
        assert figure.name.removesuffix(" with died") in said[key], key
        assert f"| {figure.direction} |" in said[key], key
    for key, score in SCORES.items():
        assert f"| {score.name} |" in said[key], key
        assert f"| {score.direction} |" in said[key], key


def test_every_protocol_and_model_is_documented():
    assert {protocol.value for protocol in Protocol} <= set(rows_of_tables(page("evaluation")))
    assert set(MODEL_NAMES) <= terms(page("evaluation"))


def test_every_error_is_documented_with_its_exit_code():
    said = rows_of_tables(page("python"))
    for name in set(errors.__all__) - {"did_you_mean"}:
        code = getattr(getattr(errors, name), "exit_code", 3)
        assert said[name].endswith(f"| {code} |"), name


def test_every_public_name_is_named():
    import sfumato

    assert set(sfumato.__all__) <= terms(page("python"))


# -- links ---------------------------------------------------------------------------------------


def anchors(path: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", path.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", one.lower()).strip().replace(" ", "-") for one in headings}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_every_relative_link_leads_somewhere(path):
    for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text("utf-8")):
        if "://" in target or target.startswith("mailto:"):
            continue
        file, _, anchor = target.partition("#")
        there = (path.parent / file).resolve() if file else path
        assert there.exists(), target
        if anchor:
            assert anchor in anchors(there), target


def test_every_page_stands_in_the_index():
    index = page("README")
    for path in set((ROOT / "docs").glob("*.md")) - {ROOT / "docs" / "README.md"}:
        assert f"({path.name})" in index
