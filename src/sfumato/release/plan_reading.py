"""Reading a plan file: every problem is told with its line and its mend, all of them at once."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from pydantic import Field, ValidationError

from sfumato.errors import PlanError, SchemaError, SfumatoError, did_you_mean
from sfumato.release.frontier_plan import FrontierPlan
from sfumato.release.grid import GRID, expanded
from sfumato.release.plan import EvaluationPlan, Plan, ReleasePlan
from sfumato.release.registry import technique
from sfumato.release.setting_paths import found_from
from sfumato.release.toml_lines import KeyPath, TomlLines
from sfumato.settings import Settings, problems

if TYPE_CHECKING:
    from sfumato.table import Schema, Source
    from sfumato.table.preparation.step import PreparationStep

__all__ = ["read_plan"]

_Settings = TypeVar("_Settings", bound=Settings)
_PlanKind = TypeVar("_PlanKind", bound=Plan)
_Kind = TypeVar("_Kind")

_SECTIONS = ("source", "schema", "prepare", "release", "evaluation", "frontier")
_RELEASE_KEYS = tuple(
    field.alias or name for name, field in ReleasePlan.model_fields.items() if name != "settings"
)


class _Head(Settings):
    """The keys above the first section."""

    name: str
    seed: int = Field(default=0, ge=0, strict=True)
    control: float = Field(default=0.15, ge=0, le=0.5, strict=True)


def read_plan(kind: type[_PlanKind], path: Path) -> _PlanKind:
    """Return the plan that a file describes; see :meth:`sfumato.release.plan.Plan.read`."""
    try:
        text = path.read_text("utf-8-sig")
    except FileNotFoundError:
        raise PlanError(f"{path}: there is no such plan file") from None
    except UnicodeDecodeError:
        raise PlanError(f"{path} is not UTF-8 text: save the plan as UTF-8") from None
    except OSError as error:
        raise PlanError(f"{path} cannot be read: {error.strerror}") from None
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise PlanError(f"{path} is not valid TOML: {error}") from None
    return _Reader(path, values, TomlLines.read(text)).plan(kind)


class _Reader:
    """Reads section by section and collects what is wrong."""

    def __init__(self, path: Path, values: dict[str, Any], lines: TomlLines) -> None:
        self.path = path
        self.values = values
        self.lines = lines
        self.found: list[tuple[int, str]] = []
        self.tables: list[int] = []  # of each release, the place of its [[release]] in the file

    def plan(self, kind: type[_PlanKind]) -> _PlanKind:
        head_values = {key: value for key, value in self.values.items() if key not in _SECTIONS}
        known = (*_Head.model_fields, *_SECTIONS)
        for key in sorted(set(head_values) - set(known)):
            del head_values[key]
            self.problem((key,), f"unknown key {key!r}.{did_you_mean(key, known)}")
        head = self.section(_Head, head_values, ())
        source = self.source()
        schema = self.schema()
        prepare = self.prepare()
        releases = self.releases()
        evaluation = self.evaluation()
        frontier = self.frontier()
        if self.found or head is None:
            self.stop()
        plan = object.__new__(kind)  # so that contradictions can be told with their lines
        parts = {"source": source, "schema": schema, "releases": releases, "base": self.path.parent}
        judged = {"prepare": prepare, "evaluation": evaluation, "frontier": frontier}
        for name, value in {**dict(head), **parts, **judged}.items():
            object.__setattr__(plan, name, value)
        for place, sentence in plan.problems():
            if place[:1] == ("release",):  # several releases may come of one table
                place = ("release", self.tables[int(place[1])], *place[2:])
            self.problem(place, sentence)
        if self.found:
            self.stop()
        return plan

    def source(self) -> Source | None:
        from sfumato.table import Source

        values = self.table("source", '[source] is missing: say path = "table.csv"')
        source = None if values is None else self.section(Source, values, ("source",))
        if source is not None and source.path is not None:
            path = self.path.parent / source.path
            if not path.is_file():
                self.problem(
                    ("source", "path"),
                    f"there is no file {source.path!r} (paths are relative to the plan file)",
                )
        return source

    def schema(self) -> Schema | None:
        from sfumato.table import Schema

        given = self.values.get("schema")
        if isinstance(given, str):
            path = self.path.parent / given
            if not path.is_file():
                self.problem(
                    ("schema",), f"there is no file {given!r} (paths are relative to the plan file)"
                )
                return None
            return self.attempt(("schema",), lambda: Schema.read(path))
        values = self.table("schema", 'the schema is missing: say schema = "schema.toml"')
        if values is None:
            return None
        return self.attempt(("schema",), lambda: Schema.from_dict(values, self.path.parent))

    def prepare(self) -> tuple[PreparationStep, ...]:
        from sfumato.table.preparation.table_preparation import STEPS

        given = self.values.get("prepare", [])
        if not (isinstance(given, list) and all(isinstance(item, dict) for item in given)):
            self.problem(
                ("prepare",), "'prepare' must be tables: write [[prepare]], one for a step"
            )
            return ()
        made: list[PreparationStep] = []
        for position, values in enumerate(given):
            place, name = ("prepare", position), values.get("step")
            kind = STEPS.get(name) if isinstance(name, str) else None
            if kind is None:
                hint = did_you_mean(str(name), STEPS)
                known = ", ".join(STEPS)
                self.problem((*place, "step"), f"there is no step {name!r}.{hint} Known: {known}")
                continue
            step = self.section(kind, values, place)
            if step is not None:
                made.append(step)
        return tuple(made)

    def releases(self) -> tuple[ReleasePlan, ...]:
        given = self.values.get("release", [])
        if isinstance(given, dict):
            self.problem(("release",), "write [[release]] with two brackets: a plan may hold many")
            return ()
        if not (isinstance(given, list) and all(isinstance(item, dict) for item in given)):
            self.problem(("release",), "'release' must be tables: write [[release]]")
            return ()
        made = []
        for position, table in enumerate(given):
            for values in self.of_grid(position, table):
                release = self.release(position, values)
                if release is not None:
                    made.append(release)
                    self.tables.append(position)
        return tuple(made)

    def of_grid(self, position: int, table: dict[str, Any]) -> tuple[dict[str, Any], ...]:
        """Return the releases that one table asks for."""
        try:
            return expanded(table)
        except PlanError as error:
            self.problem(("release", position, GRID), str(error))
            return ()

    def release(self, position: int, values: dict[str, Any]) -> ReleasePlan | None:
        place = ("release", position)
        own = {key: value for key, value in values.items() if key in _RELEASE_KEYS}
        settings = {key: value for key, value in values.items() if key not in _RELEASE_KEYS}
        release = self.section(ReleasePlan, {**own, "settings": settings}, place)
        if release is None:
            for key in settings:  # a misspelt key of the release stands among the settings
                if hint := did_you_mean(key, _RELEASE_KEYS):
                    self.problem((*place, key), f"unknown key {key!r}.{hint}")
            return None
        try:
            kind = technique(release.technique)
        except PlanError as error:
            self.problem((*place, "technique"), str(error))
            return None
        wrong = sorted(set(settings) - set(kind.model_fields))
        for key in wrong:
            known = (*_RELEASE_KEYS, *kind.model_fields)
            self.problem(
                (*place, key),
                f"{release.technique!r} has no setting {key!r}.{did_you_mean(key, known)} "
                f"Known: {', '.join(known)}",
            )
        if wrong or self.section(kind, found_from(settings, self.path.parent), place) is None:
            return None
        return release

    def evaluation(self) -> EvaluationPlan | None:
        if "evaluation" not in self.values:
            return EvaluationPlan()
        values = self.table("evaluation", "")
        if values is None:
            return None
        place = ("evaluation",)
        for name, field in EvaluationPlan.model_fields.items():
            kind = _settings_in(field.annotation)
            if kind is not None and isinstance(values.get(name), dict):
                inner = self.section(kind, values[name], (*place, name))
                if inner is None:
                    return None
                values = {**values, name: inner}
        evaluation = self.section(EvaluationPlan, values, place)
        if evaluation is not None and evaluation.learning is not None:
            from sfumato.evaluation import MultilayerPerceptron
            from sfumato.evaluation.models import MODEL_NAMES

            network = (*place, "learning", "network")
            self.section(MultilayerPerceptron, evaluation.learning.network, network)
            for position, model in enumerate(evaluation.learning.models):
                if model not in MODEL_NAMES:
                    known = ", ".join(MODEL_NAMES)
                    hint = did_you_mean(model, MODEL_NAMES)
                    self.problem(
                        (*place, "learning", "models", position),
                        f"there is no model {model!r}.{hint} Known: {known}",
                    )
        return evaluation

    def frontier(self) -> FrontierPlan | None:
        if "frontier" not in self.values:
            return None
        values = self.table("frontier", "")
        return None if values is None else self.section(FrontierPlan, values, ("frontier",))

    def table(self, key: str, if_missing: str) -> dict[str, Any] | None:
        values = self.values.get(key)
        if isinstance(values, dict):
            return values
        self.problem((key,), if_missing if values is None else f"{key!r} must be a table: [{key}]")
        return None

    def section(
        self, kind: type[_Settings], values: dict[str, Any], place: KeyPath
    ) -> _Settings | None:
        """Return validated settings, or None after noting what is wrong with them."""
        try:
            return kind.of(values)
        except PlanError as error:
            cause = error.__context__
            if isinstance(cause, ValidationError) and cause.title == kind.__name__:
                for path, sentence in problems(kind, cause):
                    self.problem(place, sentence, path)
            elif isinstance(cause, ValidationError):  # settings in settings
                self.problem(place, str(error), tuple(map(str, cause.errors()[0]["loc"])))
            else:
                self.problem(place, str(error), _named_path(str(error)))
        except SchemaError as error:  # a hierarchy among a technique's settings
            self.problem(place, str(error), _named_path(str(error)))
        return None

    def attempt(self, place: KeyPath, read: Callable[[], _Kind]) -> _Kind | None:
        try:
            return read()
        except SfumatoError as error:
            self.problem(place, str(error))
            return None

    def problem(self, place: KeyPath, sentence: str, path: KeyPath = ()) -> None:
        line = self.lines.find(place, path) or 1
        if (line, sentence) not in self.found:
            self.found.append((line, sentence))

    def stop(self) -> NoReturn:
        ordered = sorted(self.found)
        raise PlanError(
            "\n".join(f"{self.path}, line {line}: {sentence}" for line, sentence in ordered)
        )


def _named_path(sentence: str) -> KeyPath:
    """Return the path of keys with which a sentence such as "columns.age: ..." begins."""
    begin, colon, _ = sentence.partition(": ")
    return tuple(begin.split(".")) if colon and " " not in begin else ()


def _settings_in(annotation: Any) -> type[Settings] | None:
    options = (annotation, *getattr(annotation, "__args__", ()))
    for option in options:
        if isinstance(option, type) and issubclass(option, Settings):
            return option
    return None
