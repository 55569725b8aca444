"""`sfumato evaluate` and `sfumato intersect`: released files, whoever made them, judged."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sfumato.cli.figure_lines import figure_table, figure_words
from sfumato.cli.reading import read
from sfumato.errors import DataError, PlanError, SchemaError, did_you_mean

if TYPE_CHECKING:
    import polars as pl

    from sfumato.cli.console import Console
    from sfumato.release.plan import EvaluationPlan
    from sfumato.table import Schema, Source

__all__ = ["Measured", "evaluate_release", "intersect_releases"]

# What `sfumato.evaluate` does without a plan
_DEFAULT: dict[str, Any] = {"learning": {"models": ["gradient-boosting"]}}


@dataclass(frozen=True)
class Measured:
    """What the command line asks to be measured.

    Parameters
    ----------
    plan
        A TOML file with an [evaluation] section.
    pairs
        Settings of that section as "attacks.most=5000".
    attacks
        Names of attacks.
    most
        Most members and most controls that are attacked.
    policies
        Limits as "ema-0070" or "edpb-linkability=0.01".
    groups
        Columns whose groups are looked at one by one.
    questions
        The user's own, in SQL.
    population_size
        People of whom the table is a random sample.
    """

    plan: Path | None = None
    pairs: tuple[str, ...] = ()
    attacks: tuple[str, ...] = ()
    most: int | None = None
    policies: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    questions: tuple[str, ...] = ()
    population_size: int | None = None

    def evaluation(self) -> EvaluationPlan | None:
        """Return what to measure; None for the default.

        Raises
        ------
        PlanError
            If the file cannot be read, or something that is asked for does not exist.
        """
        from sfumato.evaluation.models import model_of
        from sfumato.release.plan import EvaluationPlan

        asked = self._options()
        for pair in self.pairs:
            asked = _merged(asked, _setting(pair))
        if self.plan is None and not asked:
            return None
        written = _DEFAULT if self.plan is None else _section(self.plan)
        try:
            plan = EvaluationPlan.of(_merged(written, asked))
            plan.attacks.attacks()  # a misspelt attack or setting is told before anything is read
            for model in () if plan.learning is None else plan.learning.models:
                model_of(model)
        except PlanError as error:
            where = "" if self.plan is None else f"{self.plan}: "
            raise PlanError(f"{where}[evaluation] {error}") from None
        return plan

    def _options(self) -> dict[str, Any]:
        utility = {"groups": list(self.groups), "queries": list(self.questions)}
        asked: dict[str, dict[str, Any]] = {
            "attacks": {"only": list(self.attacks) or None, "most": self.most},
            "policies": dict(_policy(text) for text in self.policies),
            "utility": {name: value or None for name, value in utility.items()},
            "risk": {"population_size": self.population_size},
        }
        given = {
            name: {key: value for key, value in values.items() if value is not None}
            for name, values in asked.items()
        }
        return {name: values for name, values in given.items() if values}


def _policy(text: str) -> tuple[str, bool | float]:
    name, equals, limit = text.partition("=")
    if not equals:
        return name.strip(), True
    try:
        return name.strip(), float(limit)
    except ValueError:
        raise PlanError(
            f"--policy takes NAME or NAME=LIMIT, such as edpb-linkability=0.01 (got {text!r})"
        ) from None


def _setting(pair: str) -> dict[str, Any]:
    """Return what ``attacks.most=5000`` says, as nested tables."""
    name, equals, text = pair.partition("=")
    wrong = PlanError(f"--set takes NAME=VALUE, such as --set attacks.most=5000 (got {pair!r})")
    if not equals or not name.strip():
        raise wrong
    try:
        return tomllib.loads(f"{name} = {text}")
    except tomllib.TOMLDecodeError:
        try:
            return _put(tomllib.loads(f"{name} = 0"), text.strip())
        except tomllib.TOMLDecodeError:
            raise wrong from None


def _put(tables: dict[str, Any], value: str) -> dict[str, Any]:
    return {
        key: _put(inner, value) if isinstance(inner, dict) else value
        for key, inner in tables.items()
    }


def _section(path: Path) -> dict[str, Any]:
    try:
        values = tomllib.loads(path.read_text("utf-8-sig"))
    except OSError as error:
        raise PlanError(f"{path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise PlanError(f"{path} is not TOML: {error}") from None
    section = values.get("evaluation")
    if not isinstance(section, dict):
        raise PlanError(f"{path} has no [evaluation] section, which says what to measure")
    return section


def _merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return tables with what the second one says put in; tables in both are merged."""
    found = dict(under)
    for key, value in over.items():
        below = found.get(key)
        if isinstance(below, Mapping) and isinstance(value, Mapping):
            found[key] = _merged(below, value)
        else:
            found[key] = value
    return found


def evaluate_release(
    console: Console,
    real: Source,
    released: Source,
    control: Source | None,
    schema_file: Path,
    *,
    measured: Measured,
    target: str | None,
    synthetic: bool,
    out: Path,
    seed: int,
) -> None:
    """Measure a released file against the real one and write the report."""
    from sfumato.release import evaluate
    from sfumato.release.evaluation_log import log_evaluation
    from sfumato.table import Schema

    plan = measured.evaluation()
    _refuse_the_same(control, real, "--control holds other people than the real table")
    _refuse_the_same(control, released, "--control holds people who are not in the release")
    schema = Schema.read(schema_file)
    table = read(console, real, schema)
    checked = schema.check(table)
    if target is not None and target not in checked.columns:
        hint = did_you_mean(target, checked.columns)
        raise SchemaError(f"the table has no column {target!r} to learn.{hint}")
    for name in measured.groups:
        if name not in checked.columns:
            hint = did_you_mean(name, checked.columns)
            raise SchemaError(f"the table has no column {name!r} to look at by group.{hint}")
    _check_questions(measured.questions, table)
    judged = _released(console, released, table)
    others = _control(console, control, schema, table)
    with console.progress() as progress:
        evaluation = evaluate(
            table,
            judged,
            schema,
            control=others,
            target=target,
            plan=plan,
            name=Path(released.path or "release").name,
            synthetic=synthetic,
            seed=seed,
            progress=progress,
        )
    report = evaluation.save(out)
    before = log_evaluation(evaluation)
    limits = [str(judgement["sentence"]) for judgement in evaluation.judgements]
    words = [*figure_words(evaluation), *limits, _logged(before), f"report: {report}"]
    console.result(evaluation.to_dict(), words)


def _check_questions(questions: Sequence[str], table: pl.DataFrame) -> None:
    """Refuse a question that cannot be asked before hours are spent on all else.

    Raises
    ------
    PlanError
        Naming the question.
    """
    from polars import SQLContext
    from polars.exceptions import PolarsError

    for question in questions:
        try:
            with SQLContext({"t": table.clear()}) as context:  # an error can quote no cell
                context.execute(question, eager=True)
        except PolarsError as error:
            reason = str(error).partition("\n")[0]
            raise PlanError(f"--question {question!r} cannot be asked: {reason}") from None


def _logged(before: int | None) -> str:
    if before is None:
        return "this evaluation could not be logged: SFUMATO_STATE names a folder for the log"
    if not before:
        return "logged as the first evaluation of this real table here"
    times = "once" if before == 1 else f"{before:,} times"
    return f"logged: this real table was evaluated {times} before; each time tells a little more"


def intersect_releases(
    console: Console,
    real: Source,
    first: Source,
    second: Source,
    control: Source | None,
    schema_file: Path,
    *,
    sensitive: Sequence[str],
    bins: int,
    smallest: int,
    synthetic: bool,
    out: Path | None,
    seed: int,
) -> None:
    """Attack two releases of the same people together; write the report if asked for."""
    from sfumato.evaluation import intersect
    from sfumato.evaluation.attacks.suite import adjusted
    from sfumato.release import Evaluation
    from sfumato.release.evaluation_log import log_evaluation
    from sfumato.release.making import content_sha256
    from sfumato.table import Schema

    _refuse_the_same(first, second, "two different releases are needed")
    _refuse_the_same(control, real, "--control holds other people than the real table")
    schema = Schema.read(schema_file)
    table = read(console, real, schema)
    schema.check(table)
    one, two = (_released(console, where, table) for where in (first, second))
    others = _control(console, control, schema, table)
    with console.progress() as progress:
        progress("intersecting", 0, 1)
        figures = adjusted(
            intersect(
                table,
                one,
                two,
                schema,
                control=others,
                sensitive=sensitive or None,
                bins=bins,
                smallest=smallest,
                synthetic=synthetic,
                seed=seed,
            )
        )
        progress("intersecting", 1, 1)
    names = [Path(where.path or "release").name for where in (first, second)]
    hashes = {"real": content_sha256(table)}
    hashes["released"] = " and ".join(content_sha256(rows) for rows in (one, two))
    if others is not None:
        hashes["control"] = content_sha256(others)
    evaluation = Evaluation(
        release=" and ".join(names),
        rows_real=table.height,
        rows_released=one.height + two.height,
        rows_control=0 if others is None else others.height,
        risks=figures,
        utility={},
        fidelity=None,
        learned=(),
        not_run=("Only what the two releases tell together was looked at.",),
        inputs=hashes,
    )
    words = figure_table(figures)
    if others is None:
        words.append("without --control only counts are compared")
    words.append(_logged(log_evaluation(evaluation)))
    if out is not None:
        words.append(f"report: {evaluation.save(out)}")
    values = {"releases": names, "figures": {key: one.to_dict() for key, one in figures.items()}}
    console.result(values, words)


def _released(console: Console, where: Source, real: pl.DataFrame) -> pl.DataFrame:
    released = read(console, where)
    if not set(released.columns) & set(real.columns):
        raise DataError(
            f"{where.path or 'the released table'} shares no column with the real table: "
            "is it a release of this one?"
        )
    return released


def _control(
    console: Console, where: Source | None, schema: Schema, real: pl.DataFrame
) -> pl.DataFrame | None:
    if where is None:
        return None
    others = read(console, where, schema)
    if not set(others.columns) & set(real.columns):
        raise DataError(
            f"{where.path or 'the control'} shares no column with the real table: control people "
            "are written as the real table"
        )
    return others


def _refuse_the_same(one: Source | None, other: Source, needed: str) -> None:
    """Refuse a file that is given for two things which must differ.

    Raises
    ------
    PlanError
        If both are the same file.
    """
    if one is None or one.path is None or other.path is None:
        return
    paths = (Path(one.path), Path(other.path))
    if all(path.exists() for path in paths) and paths[0].samefile(paths[1]):
        raise PlanError(f"{one.path} is given twice: {needed}")
