"""Fitting a technique and applying it: the one step that every way to a release goes through."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import polars as pl

from sfumato.anonymization.recoding import Recoding
from sfumato.errors import DataError, PlanError
from sfumato.progress import Progress, silent
from sfumato.release.certificate import Certificate, Promise, Step
from sfumato.release.private_release import (
    SEEDS,
    ledger_of,
    limits_of,
    not_promised_of,
    promises_of,
    rows_of,
)
from sfumato.release.registry import name_of
from sfumato.release.setting_paths import told_from
from sfumato.settings import Settings
from sfumato.synthesis.generator import Generator

if TYPE_CHECKING:
    from sfumato.privacy import Criterion
    from sfumato.table import Schema

__all__ = [
    "Fittable",
    "Made",
    "Origin",
    "certify",
    "content_sha256",
    "fit",
    "shuffled",
    "step_of",
    "with_persons",
]

_ROWS_AT_ONCE = 500_000
_PERSON = "person of a row"


class Fittable(Protocol):
    """A technique or a synthesizer."""

    def fit(
        self, table: pl.DataFrame, schema: Schema, *, progress: Progress = ...
    ) -> Recoding | Generator:
        """Learn from the rows that will be released."""
        ...


@dataclass(frozen=True)
class Made:
    """What a technique made of a table.

    Parameters
    ----------
    data
        The rows to release.
    schema
        Their schema.
    fitted
        What was learned: the recoding, or the model that the rows were drawn from.
    rows_in, persons_in
        Rows that it was learned from, and distinct persons in them (None without a person column).
    persons
        Whose row each released row is; never released. None without a person column, and for
        drawn rows.
    """

    data: pl.DataFrame
    schema: Schema
    fitted: Recoding | Generator
    rows_in: int
    persons_in: int | None
    persons: pl.Series | None = None

    @classmethod
    def of(
        cls,
        fitted: Recoding | Generator,
        table: pl.DataFrame,
        schema: Schema,
        columns: list[str] | None = None,
        *,
        rows: int | None = None,
        seed: int = 0,
    ) -> Made:
        """Apply what was fitted on a table.

        Parameters
        ----------
        fitted
            A recoding recodes the rows; a generator draws new ones.
        table, schema
            What it was fitted on.
        columns
            The order of the released columns, where it is known already.
        rows
            Rows to draw; as many as the table has by default, and as the model's noisy number says
            if it was learned under a privacy budget. Not for a recoding.
        seed
            Seed of the draw.

        Raises
        ------
        DataError
            If nothing is left to release.
        """
        if isinstance(fitted, Generator):
            data = fitted.sample(rows or rows_of(fitted) or table.height, seed=seed)
        elif rows is not None:
            raise PlanError(
                "'rows' is for synthetic releases: a recoding keeps the rows it is given"
            )
        else:
            data = fitted.recode(table)
        if columns is not None:
            data = data.select(columns)
        if data.is_empty() or not data.columns:
            raise DataError("nothing is left to release: every row or every column was suppressed")
        persons_in = whose = None
        if schema.person is not None:
            persons_in = table[schema.person].n_unique()
            if isinstance(fitted, Recoding):
                whose = table[schema.person].filter(fitted.kept_rows(table))
        closed = _closed(fitted.released_schema(), data)
        return cls(data, closed, fitted, table.height, persons_in, whose)

    def onward(self) -> tuple[pl.DataFrame, Schema]:
        """Return the released rows and their schema for another technique to start from.

        Whose row each is goes with them, as a mere number that the technique leaves out again:
        without it, a later promise would count a person's rows as so many people.
        """
        if self.persons is None or self.schema.person is not None:
            return self.data, self.schema
        return with_persons(self.data, self.schema, self.persons)

    @property
    def recoding(self) -> Recoding | None:
        """The recoding, if it is one."""
        return self.fitted if isinstance(self.fitted, Recoding) else None

    @property
    def generator(self) -> Generator | None:
        """The model, if it is one."""
        return self.fitted if isinstance(self.fitted, Generator) else None

    @property
    def promises(self) -> tuple[Criterion, ...]:
        """What holds for the released rows."""
        return self.fitted.promises if isinstance(self.fitted, Recoding) else ()

    @property
    def rows_suppressed(self) -> int:
        """Released rows whose quasi-identifiers are all "*"."""
        names = [name for name in self.schema.quasi_identifiers if name in self.data.columns]
        texts = [name for name in names if self.data.schema[name] == pl.String]
        if not names or len(texts) < len(names):
            return 0
        starred = pl.all_horizontal(
            [(pl.col(name) == "*").fill_null(value=False) for name in names]
        )
        return int(self.data.select(starred.sum()).item())


@dataclass(frozen=True)
class Origin:
    """Where the rows of a release come from, for its certificate."""

    name: str
    sha256: str
    rows: int
    control_rows: int = 0


def fit(
    technique: object, table: pl.DataFrame, schema: Schema, progress: Progress = silent
) -> Recoding | Generator:
    """Fit a technique and check that it gives what a release can be made from."""
    learn = getattr(technique, "fit", None)
    if not callable(learn):
        raise PlanError(f"{type(technique).__qualname__} is no technique: it has no fit")
    fitted = learn(table, schema, progress=progress)
    if not isinstance(fitted, Recoding | Generator):
        raise PlanError(
            f"{type(technique).__qualname__}.fit gave {type(fitted).__qualname__}: "
            "a technique gives a Recoding or a Generator"
        )
    return fitted


def step_of(release: str, technique: object, base: Path | None = None) -> Step:
    """Return a technique as a certificate states it; paths are told from the folder ``base``."""
    settings = technique.model_dump(mode="json") if isinstance(technique, Settings) else {}
    return Step(release, name_of(technique), told_from(settings, base))


def certify(
    name: str,
    made: Made,
    origin: Origin,
    steps: tuple[Step, ...],
    further: tuple[str, ...] = (),
) -> Certificate:
    """Return the certificate of what was made, before its files have hashes.

    Parameters
    ----------
    name, made, origin, steps
        The release, what was made, of what, and how.
    further
        More sentences on what limits its statements.
    """
    from sfumato._version import __version__

    promises = tuple(
        Promise(values.pop("kind"), values, criterion.describe())
        for criterion in made.promises
        for values in (criterion.to_dict(),)
    )
    synthetic = made.generator is not None
    ledger = ledger_of(made.fitted)
    if ledger is not None:
        promises = promises_of(ledger)
        return Certificate(
            release=name,
            synthetic=synthetic,
            steps=steps,
            source_name=origin.name,
            source_sha256=None,
            source_rows=None,
            control_rows=None,
            rows_in=None,
            rows_out=made.data.height,
            rows_suppressed=made.rows_suppressed,
            persons_in=None,
            columns=tuple(made.data.columns),
            quasi_identifiers=made.schema.quasi_identifiers,
            promises=promises,
            not_promised=not_promised_of(ledger),
            limits=(_ROLES, *limits_of(ledger, set_aside=origin.control_rows > 0), *further),
            seeds=SEEDS,
            sfumato=__version__,
            ledger=ledger,
        )
    return Certificate(
        release=name,
        synthetic=synthetic,
        steps=steps,
        source_name=origin.name,
        source_sha256=origin.sha256,
        source_rows=origin.rows,
        control_rows=origin.control_rows,
        rows_in=made.rows_in,
        rows_out=made.data.height,
        rows_suppressed=made.rows_suppressed,
        persons_in=made.persons_in,
        columns=tuple(made.data.columns),
        quasi_identifiers=made.schema.quasi_identifiers,
        promises=promises,
        not_promised=_not_promised(promises, synthetic=synthetic, by_chance=_by_chance(made)),
        limits=(*_limits(made, origin, synthetic=synthetic), *further),
        seeds=_SEEDS,
        sfumato=__version__,
    )


def shuffled(data: pl.DataFrame, seed: int) -> pl.DataFrame:
    """Return the rows in a random order that follows from the seed."""
    return data.sample(fraction=1.0, shuffle=True, seed=seed)


def with_persons(
    data: pl.DataFrame, schema: Schema, persons: pl.Series
) -> tuple[pl.DataFrame, Schema]:
    """Return rows and their schema with whose row each is, as a mere number.

    Parameters
    ----------
    data, schema
        Released rows without a person column, and their schema.
    persons
        Whose row each is, shape (rows,).
    """
    from sfumato.table import Column, Role, Schema

    schema = Schema.of(
        {**schema.columns, _PERSON: Column(Role.IDENTIFIER)},
        target=schema.target,
        person=_PERSON,
        missing=schema.missing,
    )
    return data.with_columns(persons.rank("dense").alias(_PERSON)), schema


def content_sha256(table: pl.DataFrame) -> str:
    """Return the SHA-256 of a table that has no file: of its column names, types and cells."""
    state = hashlib.sha256()
    for column, kind in table.schema.items():
        state.update(f"{len(column)}:{column}:{kind}\n".encode())
    for part in table.iter_slices(_ROWS_AT_ONCE):
        state.update(part.write_csv(include_header=False, quote_style="non_numeric").encode())
    return state.hexdigest()


def _closed(schema: Schema, data: pl.DataFrame) -> Schema:
    """Return the schema of just the released columns: nothing else may slip in as "the rest"."""
    from sfumato.table import Schema

    columns = schema.select(data.columns)
    return Schema.of(
        columns.columns, target=columns.target, person=columns.person, missing=columns.missing
    )


_ROLES = "The roles of the columns were decided by people; a wrong role is not detected."
_SEEDS = (
    "Every random step follows from the seeds in the plan, so the same plan on the same source "
    "gives the same bytes. No promise here rests on a seed being secret."
)


def _by_chance(made: Made) -> bool:
    changes = () if made.recoding is None else made.recoding.describe()
    return any(change.action == "perturbed" for change in changes)


def _not_promised(
    promises: tuple[Promise, ...], *, synthetic: bool, by_chance: bool
) -> tuple[str, ...]:
    sentences = []
    if not promises:
        sentences.append("Nothing is promised: what is said about risk was measured, not proven.")
    if synthetic:
        sentences.append(
            "That the rows are synthetic is not a promise: a model can repeat the people it was "
            "learned from, above all the unusual ones."
        )
    elif promises:
        guarded = sorted(
            {str(one.settings["column"]) for one in promises if "column" in one.settings}
        )
        sentences.append(
            f"Only {', '.join(guarded)} is guarded against being told by the group that a person "
            "is in: what all members of a group share in any other column is not hidden."
            if guarded
            else "Which group a person is in can tell what the group has in common: where all "
            "members share a diagnosis, k-anonymity does not hide it."
        )
        sentences.append(
            "Someone who knows more of a person than the quasi-identifiers named here is not "
            "covered; nor is a second release of the same people."
        )
    else:
        sentences.append(
            "A person may be alone with a combination of values, and then be found by it."
        )
    if by_chance:
        sentences.append(
            "What chance changed is hidden once: whoever holds several releases of the same rows, "
            "drawn with different seeds, can average the chance away; and whoever holds this "
            "plan and the whole source but for one row can try out what that row was."
        )
    sentences.append("There is no differential privacy: no epsilon bounds what can be learned.")
    return tuple(sentences)


def _limits(made: Made, origin: Origin, *, synthetic: bool) -> tuple[str, ...]:
    sentences = [_ROLES]
    if origin.control_rows:
        sentences.append(
            f"{origin.control_rows:,} of {origin.rows:,} rows were set aside first and are not "
            "in the release."
        )
    if made.rows_suppressed:
        sentences.append(
            f"{made.rows_suppressed:,} rows are suppressed: their quasi-identifiers are all *. "
            "As one group they have that size and no larger."
        )
    if not synthetic and made.data.height < made.rows_in:
        sentences.append(f"{made.rows_in - made.data.height:,} rows were left out.")
    if not synthetic:
        sentences.append(
            "The rows stand in the order of the source: where that order tells something, such as "
            "the day of an admission or the alphabet of names, shuffle them before they are "
            "handed out."
        )
    if made.promises and made.persons_in is None:
        sentences.append(
            "Every row was counted as a person of its own, since the schema names no person column."
        )
    if made.persons_in is not None and made.persons_in < made.rows_in:
        sentences.append(
            f"{made.rows_in:,} rows belong to {made.persons_in:,} persons; without a person "
            "column in the released file its classes can only be recounted in rows."
        )
    return tuple(sentences)
