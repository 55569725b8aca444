"""Measuring a release against the people it was made from and the people it never saw."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from sfumato.errors import DataError, SchemaError
from sfumato.evaluation import (
    Figure,
    Learned,
    class_risks,
    closest_record,
    fidelity,
    train_and_test,
)
from sfumato.evaluation.attacks.suite import AttackPlan, adjusted, run_attacks
from sfumato.evaluation.estimates import NOTICED
from sfumato.evaluation.figures_of_classes import reidentification_figures
from sfumato.evaluation.integrity import Integrity, check_integrity
from sfumato.evaluation.loss_figures import loss_not_measured
from sfumato.evaluation.policies import judge, policies_of
from sfumato.evaluation.utility import Utility, UtilitySettings, utility
from sfumato.evaluation.utility.paired_learning import is_number
from sfumato.evaluation.utility.settings import PARTS
from sfumato.progress import Progress, silent
from sfumato.release.compared import Compared
from sfumato.release.evaluation import Evaluation
from sfumato.release.memory import Memory, Nothing
from sfumato.release.plan import EvaluationPlan, derived_seed

if TYPE_CHECKING:
    from sfumato.evaluation import MultilayerPerceptron

__all__ = ["assess"]


def assess(
    compared: Compared,
    plan: EvaluationPlan,
    *,
    target: str | None,
    seed: int,
    memory: Memory | None = None,
    real_too: bool = False,
    progress: Progress = silent,
) -> Evaluation:
    """Measure everything that the plan asks for.

    Parameters
    ----------
    compared
        The release and the real rows.
    plan
        What to measure.
    target
        The column to learn, by its name in the release; None if there is none.
    seed
        Of every random step; the same for all releases, so that they are measured alike.
    memory
        Where results of training are kept.
    real_too
        Whether the models also learn from the real rows, for comparison.
    progress
        Told how far the work is.
    """
    notes = list(compared.notes)
    task = f"measuring {compared.name!r}"
    progress(task, 0, 4)
    risks = _class_risks(compared, plan, seed)
    progress(task, 1, 4)
    risks |= _closest(compared, plan, seed, notes)
    integrity = _integrity(compared, seed)
    risks |= {} if integrity is None else integrity.figures
    risks |= _attacked(compared, plan.attacks, target, seed, notes, progress)
    risks = adjusted(risks)
    progress(task, 2, 4)
    shared = _comparable(compared)
    likeness = fidelity(
        compared.real.select(shared),
        compared.released.select(shared),
        None if compared.control is None else compared.control.select(shared),
        columns=_wanted(plan.fidelity.columns, shared, notes),
        target=target,
    )
    progress(task, 4, 4)
    learned = _learned(
        compared, plan, target, seed, memory or Nothing(), notes, progress, real_too=real_too
    )
    use = _used(compared, plan, target, seed, notes, progress)
    uses = dict(likeness.figures) | _lost(compared) | ({} if use is None else use.figures)
    for one in learned:
        suffix = f"{one.model}/{one.protocol.value}"
        if one.version != compared.name:
            suffix += f"/{one.version}"
        uses |= {f"{score}/{suffix}": figure for score, figure in one.scores.items()}
    return Evaluation(
        release=compared.name,
        rows_real=compared.real.height,
        rows_released=compared.released.height,
        rows_control=0 if compared.control is None else compared.control.height,
        risks=risks,
        utility=uses,
        fidelity=likeness,
        learned=learned,
        not_run=tuple(notes),
        use=use,
        integrity=() if integrity is None else integrity.findings,
        judgements=tuple(one.to_dict() for one in judge(risks, policies_of(plan.policies))),
    )


def _closest(
    compared: Compared, plan: EvaluationPlan, seed: int, notes: list[str]
) -> dict[str, Figure]:
    if plan.risk.sample == 0:
        notes.append("The distance to the closest record was left out by the plan.")
        return {}
    if compared.control is None:
        notes.append("The distance to the closest record needs control rows, and there are none.")
        return {}
    shared = _comparable(compared)
    figures: dict[str, Figure] = closest_record(
        compared.released.select(shared),
        compared.real.select(shared),
        compared.control.select(shared),
        seed=derived_seed(seed, "closest"),
        sample=plan.risk.sample,
    )
    return figures


def _integrity(compared: Compared, seed: int) -> Integrity | None:
    """Return what the file itself gives away; a recoding keeps the caller's order of rows."""
    people = compared.people
    if people is None:
        return None
    found = check_integrity(
        people.in_source_names(compared.as_written),
        people.members,
        people.schema,
        synthetic=compared.synthetic,
        seed=derived_seed(seed, "integrity"),
    )
    order = found.figures["integrity/row_order"]
    if compared.synthetic and order.attacks:
        # a rank correlation of n independent rows varies by 1 / sqrt(n)
        order = replace(order, detectable=NOTICED / math.sqrt(order.attacks))
    else:
        # who has the source in its order knows its people already: said, but no leak of the release
        order = replace(order, p_value=None)
    return replace(found, figures={**found.figures, "integrity/row_order": order})


def _attacked(
    compared: Compared,
    plan: AttackPlan,
    target: str | None,
    seed: int,
    notes: list[str],
    progress: Progress,
) -> dict[str, Figure]:
    if plan.most == 0 or plan.only == ():
        notes.append("No attack was tried: the plan leaves them out.")
        return {}
    if compared.people is None:
        notes.append("No attack was tried: the people behind the release are not known.")
        return {}
    try:
        tables = compared.people.tables(compared, plan, target, seed)
    except DataError as error:
        notes.append(f"No attack was tried: {error}.")
        return {}
    notes += tables.notes
    if tables.members_in_all > tables.n_members or tables.controls_in_all > tables.n_controls:
        notes.append(
            f"The attacks were tried on {tables.n_members:,} of {tables.members_in_all:,} members "
            f"and {tables.n_controls:,} of {tables.controls_in_all:,} controls, drawn at random."
        )
    return run_attacks(tables, plan, seed=derived_seed(seed, "attacks"), progress=progress)


def _used(
    compared: Compared,
    plan: EvaluationPlan,
    target: str | None,
    seed: int,
    notes: list[str],
    progress: Progress,
) -> Utility | None:
    """Return what the release is still good for, asked in the words of the source."""
    settings = plan.utility or UtilitySettings()
    if "parts" not in settings.model_fields_set:
        # the plan's own models say what can be learned; nobody asked for it twice
        learned = plan.learning is not None and not _of_numbers(compared, target)
        skipped = {"learning"} if learned else set()
        parts = tuple(part for part in PARTS if part not in skipped)
        settings = settings.model_copy(update={"parts": parts})
    people = compared.people
    if people is None or not settings.parts:
        return None
    source = next((name for name, shown in people.released_as.items() if shown == target), None)
    as_released = compared.control
    if as_released is not None and people.controls is not None:
        as_released = people.in_source_names(as_released)
        if as_released.height != people.controls.height:
            as_released = None
    try:
        return utility(
            people.in_source_names(compared.released),
            people.members,
            people.controls if people.controls is not None and people.controls.height else None,
            people.schema,
            target=source,
            settings=settings,
            control_as_released=as_released,
            schema_as_released=compared.schema if people.renames_nothing else None,
            seed=derived_seed(seed, "utility"),
            progress=progress,
        )
    except DataError as error:
        notes.append(f"What it is still good for was not measured: {error}.")
        return None


def _of_numbers(compared: Compared, target: str | None) -> bool:
    control = compared.control
    if control is None or target not in control.columns or target not in compared.real.columns:
        return False
    return is_number(compared.real[target], control[target])


def _lost(compared: Compared) -> dict[str, Figure]:
    """Return how much less the release says of each cell than the source."""
    if compared.synthetic:
        return loss_not_measured("the rows were drawn from a model, so that no cell is a person's")
    if compared.origins is None:
        return loss_not_measured("the source rows of the released ones are not known")
    return compared.origins.loss(compared.released)


def _learned(
    compared: Compared,
    plan: EvaluationPlan,
    target: str | None,
    seed: int,
    memory: Memory,
    notes: list[str],
    progress: Progress,
    *,
    real_too: bool,
) -> tuple[Learned, ...]:
    learning = plan.learning
    if learning is None:
        notes.append("Nothing was learned: the plan has no [evaluation.learning].")
        return ()
    protocols = learning.protocols_of(compared.name)
    if not protocols:
        notes.append("Nothing was learned: the plan leaves this release out.")
        return ()
    if target is None:
        notes.append("Nothing was learned: no target is named, or the release does not have it.")
        return ()
    if compared.control is None:
        notes.append("Nothing was learned: there are no control rows to test on.")
        return ()
    shared = _comparable(compared)
    if target not in shared:
        raise SchemaError(f"the target {target!r} is not among the columns that can be compared")
    if is_number(compared.real[target], compared.control[target]):
        notes.append(
            f"The target {target!r} is a number: how well it is learned stands among the figures "
            "of use, as R2 and errors."
        )
        return ()
    schema = compared.schema.select([name for name in compared.schema.columns if name in shared])
    test = compared.control.select(shared)
    versions = {compared.name: compared.released.select(shared)}
    if real_too:
        versions["real"] = compared.real.select(shared)
    results = []
    for version, train in versions.items():
        for model in learning.models:
            for protocol in protocols:
                key = {
                    "version": version,
                    "model": model,
                    "protocol": protocol,
                    "target": target,
                    "network": learning.network if model == "mlp" else {},
                    "seed": seed,
                }
                learned = memory.recall(key)
                if learned is None:
                    learned = train_and_test(
                        train,
                        test,
                        schema,
                        target=target,
                        model=_network(learning.network) if model == "mlp" else model,
                        protocol=protocol,
                        seed=derived_seed(seed, "learning"),
                        version=version,
                        progress=progress,
                    )
                    memory.keep(key, learned)
                results.append(learned)
    return tuple(results)


def _network(settings: Mapping[str, object]) -> MultilayerPerceptron:
    from sfumato.evaluation import MultilayerPerceptron

    return MultilayerPerceptron.of(settings)


def _comparable(compared: Compared) -> list[str]:
    left_out = {*compared.schema.identifiers, compared.schema.person}
    return [
        name
        for name in compared.released.columns
        if name in compared.real.columns and name not in left_out
    ]


def _class_risks(compared: Compared, plan: EvaluationPlan, seed: int) -> dict[str, Figure]:
    if not compared.synthetic:
        released, schema = compared.with_persons()
        return reidentification_figures(
            released,
            schema,
            threshold=plan.risk.threshold,
            population_size=plan.risk.population_size,
            seed=derived_seed(seed, "population"),
        )
    names = [name for name in compared.schema.quasi_identifiers if name in compared.released]
    figures = class_risks(compared.released, names, threshold=plan.risk.threshold)
    because = "the rows were drawn from a model, so a class of equal rows holds no persons"
    return {
        key: Figure.not_computed(
            figure.name,
            because,
            unit=figure.unit,
            direction=figure.direction,
            source=figure.source,
        )
        for key, figure in figures.items()
    }


def _wanted(
    columns: tuple[str, ...] | None, shared: list[str], notes: list[str]
) -> list[str] | None:
    if columns is None:
        return None
    absent = [name for name in columns if name not in shared]
    if absent:
        notes.append(f"Not compared, as the release does not have them: {', '.join(absent)}.")
    return [name for name in columns if name in shared] or None
