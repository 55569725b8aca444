"""`sfumato audit`: a claimed epsilon, and how large it must be at least."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from sfumato.cli.figure_lines import aligned
from sfumato.cli.mechanisms import mechanism_of
from sfumato.cli.reading import read
from sfumato.errors import PlanError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sfumato.cli.console import Console
    from sfumato.evaluation import Audit
    from sfumato.table import Source

__all__ = ["Claim", "Trial", "audit_claim"]

_HOWS: dict[str, Literal["one run", "neighbouring tables"]] = {
    "one-run": "one run",
    "neighbouring-tables": "neighbouring tables",
}


@dataclass(frozen=True)
class Claim:
    """What is claimed, and of what.

    Parameters
    ----------
    mechanism
        ``module:function``, ``file.py:function``, or the name of a technique.
    epsilon, delta
        As claimed for adding or removing one row.
    settings
        Of a technique.
    """

    mechanism: str
    epsilon: float
    delta: float = 0.0
    settings: Mapping[str, Any] | None = None

    @property
    def is_function(self) -> bool:
        """Whether a function is named, not a technique."""
        return ":" in self.mechanism


@dataclass(frozen=True)
class Trial:
    """How the claim is tried.

    Parameters
    ----------
    how
        "one-run", "neighbouring-tables", or None: one run for a technique, else tables.
    pair
        Two neighbouring inputs, each as in TOML.
    runs
        On either of two neighbouring inputs; None for the default.
    canaries
        Records that get a coin in one run.
    batch
        Whether the function takes (data, runs, seed) and returns an array of all runs.
    gaussian
        Whether the claim is one of Gaussian noise.
    seed
        Of every random step.
    confidence
        Of the bound that is printed.
    """

    how: str | None = None
    pair: tuple[str, str] | None = None
    runs: int | None = None
    canaries: int | None = None
    batch: bool = False
    gaussian: bool = False
    seed: int = 0
    confidence: float = 0.95

    def way(self, claim: Claim) -> Literal["one run", "neighbouring tables"]:
        """Return which of the two ways to audit is asked for.

        Raises
        ------
        PlanError
            If there is none of that name, or an option belongs to the other way.
        """
        how = self.how or ("neighbouring-tables" if claim.is_function else "one-run")
        if how not in _HOWS:
            raise PlanError(f"--how is {' or '.join(_HOWS)}, not {how!r}")
        belongs = {
            "--runs": (self.runs is not None, how == "neighbouring-tables"),
            "--pair": (self.pair is not None, how == "neighbouring-tables" and claim.is_function),
            "--canaries": (self.canaries is not None, how == "one-run"),
            "--batch": (self.batch, how == "neighbouring-tables" and claim.is_function),
            "--gaussian": (self.gaussian, how == "neighbouring-tables" and claim.is_function),
        }
        for option, (given, fits) in belongs.items():
            if given and not fits:
                what = "a function" if claim.is_function else "a technique"
                raise PlanError(f"{option} has no use with --how {how} of {what}")
        return _HOWS[how]


def audit_claim(
    console: Console,
    claim: Claim,
    trial: Trial,
    where: Source | None,
    schema_file: Path | None,
) -> int:
    """Audit a claimed epsilon; return the exit code, 1 if the claim is broken."""
    from sfumato.evaluation.audit.repeated_runs import check_claim

    check_claim(claim.epsilon, claim.delta, trial.confidence)
    way = trial.way(claim)
    audit = (
        _of_function(console, claim, trial, way, where, schema_file)
        if claim.is_function
        else _of_technique(console, claim, trial, way, where, schema_file)
    )
    console.result({"mechanism": claim.mechanism, **audit.to_dict()}, _words(claim, audit))
    return 1 if audit.verdict == "violation" else 0


def _of_function(
    console: Console,
    claim: Claim,
    trial: Trial,
    way: str,
    where: Source | None,
    schema_file: Path | None,
) -> Audit:
    from sfumato.evaluation.audit import audit_in_one_run, audit_mechanism
    from sfumato.table import Schema

    if claim.settings:
        raise PlanError("--settings and --set belong to techniques: a function has none")
    if (where is None) == (trial.pair is None):
        raise PlanError(
            "a function is audited on DATA, or on --pair FIRST SECOND such as --pair 120 119: give "
            "one of them"
        )
    takes = ("data", "runs", "seed") if trial.batch else ("data", "seed")
    mechanism = mechanism_of(claim.mechanism, *takes)
    asked: dict[str, Any] = {"seed": trial.seed, "confidence": trial.confidence}
    schema = None if schema_file is None else Schema.read(schema_file)
    table = None if where is None else read(console, where, schema)
    if table is not None and way == "one run":
        checked = None if schema is None else schema.check(table)
        if trial.canaries is not None:
            asked["canaries"] = trial.canaries
        return audit_in_one_run(
            mechanism, table, claim.epsilon, claim.delta, schema=checked, **asked
        )
    if trial.runs is not None:
        asked["runs"] = trial.runs
    if trial.pair is not None:
        asked["neighbours"] = tuple(_value(text) for text in trial.pair)
    return audit_mechanism(
        mechanism,
        claim.epsilon,
        claim.delta,
        data=table,
        batch=trial.batch,
        gaussian=trial.gaussian,
        **asked,
    )


def _of_technique(
    console: Console,
    claim: Claim,
    trial: Trial,
    way: Literal["one run", "neighbouring tables"],
    where: Source | None,
    schema_file: Path | None,
) -> Audit:
    from sfumato.evaluation.audit import audit_technique
    from sfumato.release.registry import technique
    from sfumato.table import Schema

    built = technique(claim.mechanism).of(claim.settings or {})
    if where is None or schema_file is None:
        raise PlanError("a technique is audited on a table: give DATA and --schema")
    schema = Schema.read(schema_file)
    table = read(console, where, schema)
    sizes: dict[str, Any] = {"runs": trial.runs, "canaries": trial.canaries}
    return audit_technique(
        built,
        table,
        schema.check(table),
        claim.epsilon,
        claim.delta,
        how=way,
        seed=trial.seed,
        confidence=trial.confidence,
        **{name: size for name, size in sizes.items() if size is not None},
    )


def _value(text: str) -> Any:
    """Return what a text says as in TOML; itself if it says nothing there."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _words(claim: Claim, audit: Audit) -> list[str]:
    sure = f"{audit.confidence:.0%} confidence"
    words = [
        f"{claim.mechanism}: {audit.verdict}",
        audit.describe(),
        f"lower bound of epsilon: {audit.lower_bound:.3f} ({sure})",
        f"ceiling: {audit.ceiling:.3f}, the most that this audit could have shown ({sure})",
        f"refutable: claims up to {audit.refutable:.3f} could have been called broken",
    ]
    if audit.events:
        one_run = audit.method == "one run"
        head = ("right", "guesses") if one_run else ("on the first", "on the second")
        cells = [("what was counted", *head, "epsilon at least", "p")]
        for event in audit.events:
            counts = (
                (f"{event.hits:,}", f"{event.runs:,}")
                if one_run
                else (
                    f"{event.hits:,} of {event.runs:,}",
                    f"{event.other_hits:,} of {event.other_runs:,}",
                )
            )
            name = event.name if one_run else f"{event.name}, {event.neighbours}"
            cells.append((name, *counts, f"{event.lower_bound:.3f}", f"{event.p_value:.2g}"))
        words += aligned(cells)
    words += [f"note: {note}" for note in audit.notes]
    return [*words, "an audit finds breaches; it cannot show that there are none"]
