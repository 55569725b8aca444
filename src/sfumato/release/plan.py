"""A plan: which source, which people are kept aside, which releases to make, how to judge them.

The same object in Python and as a TOML file; docs/plan.md lists every key.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field, field_validator

from sfumato.errors import PlanError, did_you_mean
from sfumato.evaluation.attacks.suite import AttackPlan
from sfumato.evaluation.policies import policies_of
from sfumato.evaluation.utility.settings import UtilitySettings
from sfumato.release.frontier_plan import FrontierPlan
from sfumato.release.registry import makes, takes_budget, technique
from sfumato.release.setting_paths import found_from
from sfumato.settings import Settings

if TYPE_CHECKING:
    from sfumato.release.toml_lines import KeyPath
    from sfumato.table import Schema, Source
    from sfumato.table.preparation.step import PreparationStep

__all__ = [
    "EvaluationPlan",
    "FidelityPlan",
    "FrontierPlan",
    "LearningPlan",
    "Plan",
    "ReleasePlan",
    "RiskPlan",
    "derived_seed",
]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


class LearningPlan(Settings):
    """What is learned from each release and tested on the same real rows.

    Parameters
    ----------
    models
        "mlp", or names of scikit-learn classifiers that sfumato knows.
    protocols
        "honest" (no SMOTE), "honest-smote" (SMOTE on the training rows only), "as-published"
        (SMOTE before the split: repeats a leak in order to show it).
    by_release
        Protocols for some releases by name, in place of ``protocols``; an empty list leaves the
        release out.
    network
        Settings of the network behind "mlp".
    """

    models: tuple[str, ...] = ("mlp",)
    protocols: tuple[Literal["honest", "honest-smote", "as-published"], ...] = ("honest",)
    by_release: dict[str, tuple[Literal["honest", "honest-smote", "as-published"], ...]] = Field(
        default_factory=dict
    )
    network: dict[str, Any] = Field(default_factory=dict)

    def protocols_of(self, release: str) -> tuple[str, ...]:
        """Return the protocols for a release."""
        return self.by_release.get(release, self.protocols)


class RiskPlan(Settings):
    """How risk is measured.

    Parameters
    ----------
    threshold
        A row is at risk if its re-identification probability passes this share: 0.2 means a
        class of fewer than five.
    sample
        Most released rows whose distance to the closest record is measured; 0 leaves it out.
    population_size
        People of the population that the table is a random sample of, if that is known: who is
        alone among them is then estimated.
    """

    threshold: float = Field(default=0.2, gt=0, le=1)
    sample: int = Field(default=2000, ge=0)
    population_size: int | None = Field(default=None, ge=1)


class FidelityPlan(Settings):
    """What is compared column by column.

    Parameters
    ----------
    columns
        Released columns to compare; None is all but identifiers.
    """

    columns: tuple[str, ...] | None = None


class EvaluationPlan(Settings):
    """How every release is judged.

    Parameters
    ----------
    target
        The column to learn; the schema's target by default.
    learning
        None leaves training out.
    attacks
        Which attacks are tried, and on how many people.
    utility
        What of its use is measured; everything by default, but what models learn only where
        ``learning`` asks for none.
    policies
        Limits that every release is held against, by name: ``true``, a number, or a table.
    """

    target: str | None = None
    learning: LearningPlan | None = None
    risk: RiskPlan = RiskPlan()
    attacks: AttackPlan = AttackPlan()
    utility: UtilitySettings | None = None
    policies: dict[str, Any] = Field(default_factory=dict)

    @field_validator("policies")
    @classmethod
    def _policies_known(cls, policies: dict[str, Any]) -> dict[str, Any]:
        try:
            policies_of(policies)
        except PlanError as error:
            raise ValueError(str(error)) from error
        return policies

    fidelity: FidelityPlan = FidelityPlan()


class ReleasePlan(Settings):
    """One release to make.

    Parameters
    ----------
    name
        Also the name of its folder: letters, digits, "-" and "_".
    technique
        A registered technique.
    origin
        An earlier release to start from in place of the source; ``of`` in a plan file and as an
        argument.
    rows
        Rows to draw from a model; as many as it was fitted on by default.
    format
        The data file's format.
    shuffle
        Whether the data file holds the rows in random order; else the order of the source, which
        tells who knows it whose row is whose.
    why
        The reason for this release, for the report.
    settings
        The technique's settings, as in a plan file.
    """

    name: str
    technique: str
    origin: str | None = Field(default=None, alias="of")
    rows: int | None = Field(default=None, ge=1, strict=True)
    format: Literal["csv", "parquet"] = "csv"
    shuffle: bool = Field(default=False, strict=True)
    why: str = ""
    settings: dict[str, Any] = Field(default_factory=dict)

    def built(self, seed: int, base: Path) -> Settings:
        """Return the technique with its settings.

        Parameters
        ----------
        seed
            The plan's seed; a technique that takes a seed and was given none gets one that
            follows from it and from the release's name.
        base
            The folder to which files named in the settings are relative.
        """
        kind = technique(self.technique)
        settings = found_from(self.settings, base)
        if "seed" in kind.model_fields and "seed" not in settings:
            settings["seed"] = derived_seed(seed, self.name, "technique")
        return kind.of(settings)


@dataclass(frozen=True)
class Plan:
    """Everything that a study needs to know.

    Parameters
    ----------
    name
        Name of the study.
    source
        Where the table is.
    schema
        What its columns are.
    releases
        What to make, in order.
    seed
        From which every random step's own seed follows.
    control
        Share of the people, 0 to 0.5, who are set aside before anything is fitted, and against
        whom every release is measured.
    evaluation
        How to judge.
    frontier
        How the releases are set against each other; None if they are only put side by side.
    prepare
        Steps that every release's rows go through first, such as
        :class:`~sfumato.table.preparation.cleaning_steps.Impute`.
    base
        The folder to which the source's path is relative.

    Raises
    ------
    PlanError
        If two parts of the plan contradict each other.
    """

    name: str
    source: Source
    schema: Schema
    releases: tuple[ReleasePlan, ...]
    seed: int = 0
    control: float = 0.15
    evaluation: EvaluationPlan = field(default_factory=EvaluationPlan)
    frontier: FrontierPlan | None = None
    prepare: tuple[PreparationStep, ...] = ()
    base: Path = field(default_factory=Path)

    def __post_init__(self) -> None:
        found = self.problems()
        if found:
            raise PlanError("; ".join(sentence for _, sentence in found))

    def problems(self) -> list[tuple[KeyPath, str]]:
        """Return what contradicts, as (path of keys in the plan file, sentence)."""
        found: list[tuple[KeyPath, str]] = []
        if not 0 <= self.control <= 0.5:
            found.append((("control",), f"control must lie in 0 to 0.5 (got {self.control})"))
        if self.seed < 0:
            found.append((("seed",), f"seed must not be negative (got {self.seed})"))
        if not self.releases:
            found.append(((), "the plan makes no release: add a [[release]]"))
        for position, release in enumerate(self.releases):
            earlier = {other.name: other for other in self.releases[:position]}
            for key, sentence in _release_problems(release, earlier, self.releases):
                found.append((("release", position, key), sentence))
        found += self._preparation_problems()
        learning = self.evaluation.learning
        names = [release.name for release in self.releases]
        for name in learning.by_release if learning else ():
            if name not in names:
                place = ("evaluation", "learning", "by_release", name)
                hint = did_you_mean(name, names)
                found.append((place, f"there is no release {name!r}.{hint} {_known(names)}"))
        return found

    def _preparation_problems(self) -> list[tuple[KeyPath, str]]:
        """Return where a step asks of the people what a release has not paid for."""
        if not self.prepare:
            return []
        from sfumato.release.preparing import preparation_problems

        found: list[tuple[KeyPath, str]] = []
        for release in self.releases:
            if release.origin is not None:
                continue  # made of another release's rows
            try:
                technique = release.built(self.seed, self.base)
            except PlanError:
                continue  # told elsewhere
            for place, sentence in preparation_problems(
                release.name, technique, self.prepare, self.schema
            ):
                found.append((("prepare", place), f"prepare: {sentence}"))
        return found

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """Read a plan file.

        Raises
        ------
        PlanError
            If it cannot be read, or says what cannot be done; each sentence names the file, the
            line and the mend.
        """
        from sfumato.release.plan_reading import read_plan

        return read_plan(cls, Path(path))

    def to_dict(self) -> dict[str, Any]:
        """Return the plan in the shape of its file, as plain values; a password is left out."""
        from sfumato.release.plan_writing import plan_dict

        return plan_dict(self)

    def to_toml(self) -> str:
        """Return the plan as the text of a plan file, every default spelled out."""
        from sfumato.release.plan_writing import plan_toml

        return plan_toml(self)

    def release(self, name: str) -> ReleasePlan:
        """Return the release of that name."""
        for release in self.releases:
            if release.name == name:
                return release
        names = [release.name for release in self.releases]
        raise PlanError(f"there is no release {name!r}.{did_you_mean(name, names)} {_known(names)}")

    def lineage(self, name: str) -> tuple[ReleasePlan, ...]:
        """Return the releases from the source to the named one, which is the last."""
        release = self.release(name)
        return (*(self.lineage(release.origin) if release.origin else ()), release)

    def only(self, name: str) -> Self:
        """Return the part of the plan that decides about one release."""
        releases = self.lineage(name)
        learning = self.evaluation.learning
        if learning is not None:
            learning = learning.model_copy(
                update={"protocols": learning.protocols_of(name), "by_release": {}}
            )
        evaluation = self.evaluation.model_copy(update={"learning": learning})
        return replace(self, releases=releases, evaluation=evaluation, frontier=None)

    def for_others(self) -> Self:
        """Return the plan as it goes with a release: the source's name without its folder."""
        if self.source.path is None:
            return self
        source = self.source.model_copy(update={"path": Path(self.source.path).name})
        return replace(self, source=source)


def derived_seed(seed: int, *words: str) -> int:
    """Return a seed of its own for one step, 0 to 2**32 - 1.

    Parameters
    ----------
    seed
        The plan's seed.
    words
        What names the step, such as the release and "sample".

    Examples
    --------
    >>> derived_seed(7, "clean", "sample") == derived_seed(7, "clean", "sample")
    True
    >>> derived_seed(7, "clean", "sample") == derived_seed(8, "clean", "sample")
    False
    """
    text = "\x1f".join((str(seed), *words))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")


def _known(names: list[str]) -> str:
    return f"The plan's releases: {', '.join(names)}"


def _release_problems(
    release: ReleasePlan, earlier: dict[str, ReleasePlan], all_releases: tuple[ReleasePlan, ...]
) -> list[tuple[str, str]]:
    found = []
    if not _NAME.fullmatch(release.name):
        found.append(
            ("name", f"the name {release.name!r} is also a folder: use letters, digits, - and _")
        )
    if release.name.lower() in {name.lower() for name in earlier}:
        found.append(("name", f"two releases are named {release.name!r}: rename one"))
    try:
        kind = technique(release.technique)
    except PlanError as error:
        return [*found, ("technique", str(error))]
    if release.rows is not None and makes(kind) == "recoding":
        found.append(
            ("rows", f"{release.technique!r} recodes the rows it is given: leave out 'rows'")
        )
    if release.origin is not None and takes_budget(kind):
        sentence = (
            f"{release.technique!r} promises something to the people of the source, and what "
            "an earlier release did with them was not paid for: leave out 'of'"
        )
        found.append(("of", sentence))
    elif release.origin is not None:
        sentence = _origin_problem(release, earlier, all_releases)
        if sentence:
            found.append(("of", sentence))
    return found


def _origin_problem(
    release: ReleasePlan, earlier: dict[str, ReleasePlan], all_releases: tuple[ReleasePlan, ...]
) -> str:
    if release.origin in earlier:
        origin = earlier[release.origin]
        try:
            synthetic = makes(technique(origin.technique)) == "generator"
        except PlanError:
            return ""
        if synthetic:
            return (
                f"{release.name!r} is made of {release.origin!r}, which is synthetic: "
                "start from the source or from an anonymized release"
            )
        return ""
    if release.origin == release.name:
        return f"{release.name!r} cannot be made of itself"
    names = [other.name for other in all_releases]
    if release.origin in names:
        return f"{release.name!r} is made of {release.origin!r}, which comes later: put it first"
    hint = did_you_mean(release.origin or "", names)
    wrong = f"{release.name!r} is made of {release.origin!r}, which is no release."
    return f"{wrong}{hint} {_known(names)}"
