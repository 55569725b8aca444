"""A release beside the real rows: in the release's words, and as they stand in the source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import polars as pl

from sfumato.errors import DataError
from sfumato.evaluation import Figure
from sfumato.evaluation.attacks.tables import AttackTables, Remake
from sfumato.evaluation.loss_figures import loss_figures
from sfumato.progress import silent
from sfumato.release.making import fit, shuffled, with_persons
from sfumato.release.plan import derived_seed
from sfumato.synthesis.generator import Generator
from sfumato.table import Role, Schema

if TYPE_CHECKING:
    from sfumato.anonymization.recoding import ColumnChange, Recoding
    from sfumato.evaluation.attacks.suite import AttackPlan
    from sfumato.settings import Settings

__all__ = ["Compared", "Origins", "RealPeople", "as_released", "persons_of", "remaker"]

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
            _released_as(changes),
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
class RealPeople:
    """Whom a release may give away, and others whom it cannot, as they stand in the source.

    Parameters
    ----------
    members
        Rows of the people that the release was made from.
    controls
        Rows of people that it never saw; None if there are none.
    schema
        The schema of the source.
    released_as
        The released column of each source column; one that was not released is left out.
    remake
        Makes the release anew from other rows; None if it is not known how.
    """

    members: pl.DataFrame
    controls: pl.DataFrame | None
    schema: Schema
    released_as: Mapping[str, str]
    remake: Remake | None = None

    @classmethod
    def of(
        cls,
        members: pl.DataFrame,
        controls: pl.DataFrame | None,
        schema: Schema,
        changes: Sequence[ColumnChange] | None = None,
        remake: Remake | None = None,
    ) -> RealPeople:
        """Take the people and what was done to each column; nothing was renamed if that is None."""
        same = {name: name for name in schema.columns}
        released_as = same if changes is None else _released_as(changes)
        return cls(members, controls, schema, released_as, remake)

    @property
    def renames_nothing(self) -> bool:
        """Whether each released column is called as in the source."""
        return all(source == shown for source, shown in self.released_as.items())

    def in_source_names(self, released: pl.DataFrame) -> pl.DataFrame:
        """Return the released rows with each column called as in the source."""
        return released.rename(self._names(released))

    def _names(self, released: pl.DataFrame) -> dict[str, str]:
        return {
            shown: source for source, shown in self.released_as.items() if shown in released.columns
        }

    def tables(
        self, compared: Compared, plan: AttackPlan, target: str | None, seed: int
    ) -> AttackTables:
        """Return the release, its members and its controls on one footing, in source names."""
        names = self._names(compared.released)
        return AttackTables.of(
            compared.released.select(list(names)).rename(names),
            self.members,
            self.controls,
            self.schema,
            target=names.get(target) if target is not None else None,
            synthetic=compared.synthetic,
            remake=self.remake,
            most=plan.most,
            seed=derived_seed(seed, "attacked"),
        )


def remaker(technique: Settings, schema: Schema) -> Remake:
    """Return how a release is made anew from other rows, by the same technique.

    Parameters
    ----------
    technique
        Its settings; the seed of a technique that takes one is replaced by that of each making.
    schema
        Of the rows.
    """

    def remake(rows: pl.DataFrame, released: int, seed: int) -> pl.DataFrame:
        own = technique
        if "seed" in type(technique).model_fields:
            own = technique.model_copy(update={"seed": seed})
        known = schema.select([name for name in rows.columns if name in schema.columns])
        fitted = fit(own, rows, known, silent)
        if isinstance(fitted, Generator):
            return fitted.sample(released, seed=seed)
        names = {shown: name for name, shown in _released_as(fitted.describe()).items()}
        made = fitted.recode(rows)
        return made.rename({name: names[name] for name in made.columns if name in names})

    return remake


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
    people
        The members and the controls as they stand in the source, whom the attacks are tried on;
        None if they are not known.
    shuffle
        Seed of the random order in which the data file holds the released rows; None for their own.
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
    people: RealPeople | None = field(default=None, repr=False)
    shuffle: int | None = None

    @property
    def as_written(self) -> pl.DataFrame:
        """The released rows in the order of the data file."""
        return self.released if self.shuffle is None else shuffled(self.released, self.shuffle)

    def with_persons(self) -> tuple[pl.DataFrame, Schema]:
        """Return the released rows and their schema, and whose row each is where that is known."""
        if self.persons is None or self.schema.person in self.released.columns:
            return self.released, self.schema
        return with_persons(self.released, self.schema, self.persons)

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
            changes = recoding.describe()
            return cls(
                name,
                released,
                known,
                same,
                aside,
                persons=persons,
                origins=Origins.of(own, schema, changes),
                people=RealPeople.of(own, control, schema, changes),
            )
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
            people=RealPeople.of(real, control, schema),
        )


def _released_as(changes: Sequence[ColumnChange]) -> dict[str, str]:
    """Return the released column of each source column that was released."""
    return {
        change.column: change.released_as for change in changes if change.released_as is not None
    }


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
