"""Measuring a release against the people it was made from and the people it never saw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import polars as pl

from sfumato.errors import DataError, SchemaError
from sfumato.evaluation import (
    Figure,
    Learned,
    class_risks,
    closest_record,
    fidelity,
    train_and_test,
)
from sfumato.evaluation.loss_figures import loss_figures, loss_not_measured
from sfumato.progress import Progress, silent
from sfumato.release.evaluation import Evaluation
from sfumato.release.memory import Memory, Nothing
from sfumato.release.plan import EvaluationPlan, derived_seed
from sfumato.table import Role

if TYPE_CHECKING:
    from sfumato.anonymization.recoding import ColumnChange, Recoding
    from sfumato.evaluation import MultilayerPerceptron
    from sfumato.table import Schema

__all__ = ["Compared", "Origins", "as_released", "assess", "persons_of"]

_SHARED_ENOUGH = 0.5


@dataclass(frozen=True)
class Origins:
    """The rows of the source that were released, in the source's words.

    Parameters
    ----------
    rows
        A row for each released one, in the same order.
    schema
        The schema of the source.
    released_as
        The released column of each source column; one that was not released is left out.
    noisy
        Source columns that were changed by chance.
    """

    rows: pl.DataFrame
    schema: Schema
    released_as: Mapping[str, str]
    noisy: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, rows: pl.DataFrame, schema: Schema, changes: Sequence[ColumnChange] | None = None
    ) -> Origins:
        """Take the rows and what was done to each column; nothing was renamed if that is None."""
        if changes is None:
            return cls(rows, schema, {name: name for name in schema.quasi_identifiers})
        return cls(
            rows,
            schema,
            {
                change.column: change.released_as
                for change in changes
                if change.released_as is not None
            },
            tuple(change.column for change in changes if change.action == "perturbed"),
        )

    def loss(self, released: pl.DataFrame) -> dict[str, Figure]:
        """Return the information loss of the released rows."""
        names = self.schema.quasi_identifiers
        shown = released.select(
            pl.col(self.released_as[name]).alias(name)
            for name in names
            if self.released_as.get(name) in released.columns
        )
        if not shown.width and released.height:
            shown = pl.DataFrame({"": [None] * released.height})
        unmeasured = {
            name: f"{name} carries noise, and what a noisy value leaves open cannot be read from it"
            for name in names
            if name in self.noisy
        }
        return loss_figures(self.rows, shown, self.schema, unmeasured=unmeasured)


@dataclass(frozen=True)
class Compared:
    """A release and the real rows, all written as the release writes them.

    Parameters
    ----------
    name
        Name of the release.
    released
        Its rows.
    schema
        Its schema.
    real
        The rows that it was made from, in the release's words.
    control
        Rows that it never saw, in the release's words; None if there are none.
    notes
        What could not be written so, a sentence each.
    persons
        Whose row each released row is, where one person may have several and that is known.
    synthetic
        Whether the released rows were drawn from a model, so that none stands for one person.
    origins
        The released rows as they stand in the source, from which is read what was lost; None if
        they are not known.
    """

    name: str
    released: pl.DataFrame
    schema: Schema
    real: pl.DataFrame
    control: pl.DataFrame | None
    notes: tuple[str, ...] = ()
    persons: pl.Series | None = None
    synthetic: bool = False
    origins: Origins | None = field(default=None, repr=False)

    @classmethod
    def of(
        cls,
        name: str,
        real: pl.DataFrame,
        released: pl.DataFrame,
        control: pl.DataFrame | None,
        schema: Schema,
        recoding: Recoding | None = None,
    ) -> Compared:
        """Recode the real rows by the fitted mapping, or take the columns that agree as they are.

        Raises
        ------
        DataError
            If the release and the real rows have no column in common.
        """
        if recoding is not None:
            # The other rows are recoded by what was learned from the release's own.
            aside = None
            if control is not None and not control.is_empty():
                alike = recoding.without_chance()
                aside = as_released(control, alike.recode(control), alike)
            same = as_released(real, recoding.recode(real), recoding)
            known = recoding.released_schema()
            persons = persons_of(real, schema, released, recoding)
            own = real.filter(recoding.kept_rows(real)) if same.height != real.height else real
            origins = Origins.of(own, schema, recoding.describe())
            return cls(name, released, known, same, aside, (), persons, origins=origins)
        names, notes = [], []
        for column in released.columns:
            if column not in real.columns or schema.columns[column].role == Role.IDENTIFIER:
                continue
            if _same_words(real[column], released[column]):
                names.append(column)
            else:
                notes.append(
                    f"Column {column!r} is written otherwise than in the real rows and was left "
                    "out of the comparison; give the recoding to compare it."
                )
        if not names:
            raise DataError(
                "the release and the real rows have no column in common that could be compared"
            )
        aside = None if control is None or control.is_empty() else control.select(names)
        return cls(
            name,
            released,
            schema.select([column for column in released.columns if column in real.columns]),
            real.select(names),
            aside,
            tuple(notes),
            origins=Origins.of(real, schema),
        )


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
    risks = _class_risks(compared, plan)
    progress(task, 1, 4)
    risks |= _closest(compared, plan, seed, notes)
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
    utility = dict(likeness.figures) | _lost(compared)
    for one in learned:
        suffix = f"{one.model}/{one.protocol.value}"
        if one.version != compared.name:
            suffix += f"/{one.version}"
        utility |= {f"{score}/{suffix}": figure for score, figure in one.scores.items()}
    return Evaluation(
        release=compared.name,
        rows_real=compared.real.height,
        rows_released=compared.released.height,
        rows_control=0 if compared.control is None else compared.control.height,
        risks=risks,
        utility=utility,
        fidelity=likeness,
        learned=learned,
        not_run=tuple(notes),
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


def persons_of(
    real: pl.DataFrame, schema: Schema, released: pl.DataFrame, recoding: Recoding
) -> pl.Series | None:
    """Return whose row each released row is, if that is known and differs from the rows."""
    if schema.person is None:
        return None
    persons = real[schema.person].filter(recoding.kept_rows(real))
    known = len(persons) == released.height
    return persons if known and persons.n_unique() < released.height else None


def as_released(real: pl.DataFrame, recoded: pl.DataFrame, recoding: Recoding) -> pl.DataFrame:
    """Return the real rows in the release's words, but without what was done by chance.

    Recoded by its own mapping, a perturbed column of the fitted rows is the released one; its real
    values are what it must be compared to.

    Parameters
    ----------
    real
        The rows that the recoding was fitted on.
    recoded
        The same rows recoded.
    recoding
        The fitted recoding.
    """
    if recoded.height != real.height:
        real = real.filter(recoding.kept_rows(real))
    exact = [
        real[change.column].alias(change.released_as)
        for change in recoding.describe()
        if change.action == "perturbed"
        and change.released_as in recoded.columns
        and change.column in real.columns
        and real.schema[change.column] == recoded.schema[change.released_as]
    ]
    return recoded.with_columns(exact)


def _comparable(compared: Compared) -> list[str]:
    left_out = {*compared.schema.identifiers, compared.schema.person}
    return [
        name
        for name in compared.released.columns
        if name in compared.real.columns and name not in left_out
    ]


def _class_risks(compared: Compared, plan: EvaluationPlan) -> dict[str, Figure]:
    released, person = compared.released, compared.schema.person
    names = [name for name in compared.schema.quasi_identifiers if name in released.columns]
    if person not in released.columns:
        person = None
        if compared.persons is not None:
            person = "person of a row"
            released = released.with_columns(compared.persons.alias(person))
    figures = class_risks(released, names, threshold=plan.risk.threshold, person=person)
    if not compared.synthetic:
        return figures
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


def _same_words(real: pl.Series, released: pl.Series) -> bool:
    """Return whether a released column is written as the real one."""
    if real.dtype.is_numeric() or real.dtype == pl.Boolean:
        return released.dtype.is_numeric() or released.dtype == pl.Boolean
    if real.dtype.is_temporal() or released.dtype.is_temporal():
        return real.dtype == released.dtype
    values = released.drop_nulls().cast(pl.String)
    if values.is_empty():
        return True
    known = values.is_in(real.drop_nulls().cast(pl.String).unique().implode()).mean()
    return isinstance(known, float) and known >= _SHARED_ENOUGH
