"""Stratified sampling: the same share of every equivalence class is deleted by chance.

Who knows that a person was in the table, and finds the person's class in the release, no longer
knows whether the person is among the released rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import Field, model_validator

from sfumato.anonymization.randomness import RandomStream, digest
from sfumato.anonymization.recoding import ColumnChange, Recoding
from sfumato.anonymization.released import checked_columns
from sfumato.anonymization.sampling.counts import SamplingCounts
from sfumato.anonymization.sampling.kept import kept_changes, kept_schema
from sfumato.anonymization.sampling.random_rows import chosen_in_groups
from sfumato.errors import DataError, SchemaError, did_you_mean
from sfumato.privacy import Criterion, EquivalenceClasses, KAnonymity
from sfumato.progress import Progress, silent
from sfumato.settings import Settings
from sfumato.table import SUPPRESSED, Schema

__all__ = ["StratifiedSampling", "StratifiedSamplingRecoding", "deletions"]

Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
BelowK = Literal["report", "keep", "drop"]
SuppressedRows = Literal["sample", "drop"]

_TEXTS = (pl.String, pl.Categorical, pl.Enum)


class StratifiedSampling(Settings):
    """Delete the same share of every equivalence class, drawn by chance.

    Rows with equal quasi-identifiers are a class; of a class of n, ``ceil(delete * n)`` members
    are deleted, drawn uniformly without replacement. A missing value is a value. Where the schema
    names a person column the members are persons: who is drawn loses all rows in that class.

    Meant to follow a technique that makes classes, by ``of = ...`` in a plan, or to be used on a
    table that is k-anonymous already. Deleting makes classes smaller, so k must be looked at anew.

    Parameters
    ----------
    delete
        Share of each class that is deleted, 0 to 1, read as the decimal that is written: 0.29 of
        100 members are 29.
    k
        The size that a class should not fall below; needed by ``keep_k`` other than "report".
    keep_k
        What becomes of a class that would fall below k. "report": it does, and how many do is
        said. "keep": deleting stops at k; a class that was smaller before stays whole. "drop": it
        is left out whole.
    suppressed
        The class of suppressed rows (``*`` in every quasi-identifier): "sample" treats it as any
        other, "drop" leaves it out.
    quasi_identifiers
        Columns that define the classes; those of the schema if left out.
    seed
        Of the draw, which also depends on the whole table
        (:mod:`sfumato.anonymization.randomness`).

    Notes
    -----
    S. Gaballah et al., "Anonify: decentralized dual-level anonymity for medical data donation",
    PoPETs 2024(3), doi 10.56553/popets-2024-0069, section 4.

    Examples
    --------
    >>> table = pl.DataFrame({"age": ["20-30"] * 10 + ["30-40"] * 5})
    >>> sampling = StratifiedSampling(delete=0.3, seed=1)
    >>> sampled = sampling.fit(table, Schema(quasi_identifiers=["age"])).apply(table)
    >>> sampled["age"].value_counts(sort=True).rows()
    [('20-30', 7), ('30-40', 3)]
    """

    delete: float = Field(ge=0, le=1)
    k: int | None = Field(default=None, ge=2)
    keep_k: BelowK = "report"
    suppressed: SuppressedRows = "sample"
    quasi_identifiers: tuple[str, ...] | None = None
    seed: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _k_is_said(self) -> Self:
        if self.keep_k != "report" and self.k is None:
            raise ValueError(f'keep_k = "{self.keep_k}" needs k')
        return self

    @property
    def share(self) -> Fraction:
        """The share as the decimal number that was written."""
        return Fraction(repr(self.delete))

    def fit(
        self, table: pl.DataFrame, schema: Schema, *, progress: Progress = silent
    ) -> StratifiedSamplingRecoding:
        """Count the classes before and after.

        Raises
        ------
        SchemaError
            If the schema does not fit the table, a named column is absent, or there is no
            quasi-identifier.
        DataError
            If no row would be left.
        """
        full = schema.check(table)
        for name in self.quasi_identifiers or ():
            if name not in full.columns:
                hint = did_you_mean(name, full.columns)
                raise SchemaError(f"quasi_identifiers: no column {name!r} in the table.{hint}")
        columns = self.quasi_identifiers or full.quasi_identifiers
        if not columns:
            raise SchemaError(
                "stratified sampling deletes a share of every class of equal quasi-identifiers, "
                "but the schema has none: name them there, or by quasi_identifiers"
            )
        progress("sampling every class", 0, 1)
        drawn = _draw(self, table, columns, full.person)
        if not drawn.kept.any():
            raise DataError(
                f"nothing is left to release: delete = {self.delete} leaves no row, as a class of "
                "n loses ceil(delete * n); delete a smaller share"
            )
        progress("sampling every class", 1, 1)
        return StratifiedSamplingRecoding(self, full, columns, drawn.counts)


@dataclass(frozen=True)
class StratifiedSamplingRecoding(Recoding):
    """The fitted sampling.

    Parameters
    ----------
    settings
        What was asked for.
    schema
        The schema of the source table.
    columns
        The quasi-identifiers that define the classes.
    counts
        Rows and classes of the fitted table, before and after.
    """

    settings: StratifiedSampling
    schema: Schema
    columns: tuple[str, ...]
    counts: SamplingCounts

    @property
    def promises(self) -> tuple[Criterion, ...]:
        """k-anonymity, if a k was named and no class of the sampled table is smaller."""
        k = self.settings.k
        return () if k is None or self.counts.smallest_after < k else (KAnonymity(k=k),)

    def recode(self, table: pl.DataFrame) -> pl.DataFrame:
        """Return the rows that are not deleted, without identifiers, in their order.

        The same table gives the same rows; another one is sampled by classes and draws of its own.

        Raises
        ------
        DataError
            If a column that is released is absent, or one is unknown.
        """
        names = [name for name in self.schema.columns if name not in self.schema.identifiers]
        checked_columns(table, self.schema, names)
        kept = self.kept_rows(table)
        return table.select(name for name in table.columns if name in names).filter(kept)

    def kept_rows(self, table: pl.DataFrame) -> pl.Series:
        """Return which rows of a table are not deleted, shape (n,)."""
        person = self.schema.person
        checked_columns(table, self.schema, (*self.columns, *((person,) if person else ())))
        return pl.Series(_draw(self.settings, table, self.columns, person).kept)

    def without_chance(self) -> StratifiedSamplingRecoding:
        """Return the recoding that deletes nobody: how rows that are compared with are written."""
        settings = {"delete": 0.0, "keep_k": "report", "suppressed": "sample", "k": None}
        return StratifiedSamplingRecoding(
            self.settings.model_copy(update=settings), self.schema, self.columns, self.counts
        )

    def describe(self) -> tuple[ColumnChange, ...]:
        """Return what is done to each column: rows are deleted, no cell is changed."""
        return kept_changes(self.schema, dict.fromkeys(self.columns, self.counts.describe()))

    def released_schema(self) -> Schema:
        """Return the schema without identifiers."""
        return kept_schema(self.schema)

    def to_dict(self) -> dict[str, Any]:
        """Return the recoding as plain JSON values."""
        return {
            "settings": self.settings.model_dump(mode="json"),
            "schema": self.schema.to_dict(),
            "columns": list(self.columns),
            "counts": self.counts.to_dict(),
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Return the recoding that :meth:`to_dict` described."""
        return cls(
            StratifiedSampling.of(values["settings"]),
            Schema.from_dict(values["schema"]),
            tuple(values["columns"]),
            SamplingCounts.from_dict(values["counts"]),
        )


def deletions(
    sizes: npt.ArrayLike, share: Fraction, k: int | None = None, keep_k: BelowK = "report"
) -> Integers:
    """Return how many members each class loses, exactly: ``ceil(share * size)``.

    Parameters
    ----------
    sizes
        Members of each class, shape (n_classes,).
    share
        Share to delete, 0 to 1, exact.
    k, keep_k
        As in :class:`StratifiedSampling`.

    Examples
    --------
    >>> deletions([100, 250, 29], Fraction("0.29")).tolist()
    [29, 73, 9]
    >>> deletions([100, 250, 29], Fraction("0.7"), 80, "keep").tolist()
    [20, 170, 0]
    """
    numbers = np.asarray(sizes, dtype=np.int64)
    # Whole numbers of any length: a float would make 0.07 * 100 more than 7. There are few
    # distinct sizes, at most the square root of twice the rows.
    distinct, place = np.unique(numbers, return_inverse=True)
    above, below = share.as_integer_ratio()
    lost = np.array([-(-above * size // below) for size in distinct.tolist()], dtype=np.int64)
    wanted: Integers = lost[place]
    if keep_k == "report" or k is None:
        return wanted
    if keep_k == "keep":
        return np.minimum(wanted, np.maximum(numbers - k, 0))
    return np.where(numbers - wanted < k, numbers, wanted)


@dataclass(frozen=True)
class _Drawn:
    """Which rows are kept, shape (n,), and the counts of the classes."""

    kept: Flags
    counts: SamplingCounts


def _draw(
    settings: StratifiedSampling, table: pl.DataFrame, columns: tuple[str, ...], person: str | None
) -> _Drawn:
    classes = EquivalenceClasses.of(table, columns, person=person)
    suppressed = _suppressed_class(table, columns, classes)
    lost = deletions(classes.sizes, settings.share, settings.k, settings.keep_k)
    if settings.suppressed == "drop":
        lost = np.where(suppressed, classes.sizes, lost)
    unit_of_row, unit_classes = _units(table, classes, person)
    deleted = np.zeros(len(unit_classes), dtype=np.bool_)
    if lost.any():
        stream = RandomStream.of(settings.seed, digest(table), "stratified sampling")
        deleted = chosen_in_groups(unit_classes, lost, stream)
    kept = ~deleted if unit_of_row is None else ~deleted[unit_of_row]
    left = classes.sizes - lost
    counts = SamplingCounts.of(settings, classes, left, suppressed, kept)
    return _Drawn(kept, counts)


def _units(
    table: pl.DataFrame, classes: EquivalenceClasses, person: str | None
) -> tuple[Integers | None, Integers]:
    """Return the unit of each row (None: the row itself) and the class of each unit.

    A unit is a person in a class. Rows without a person are one unit of their class, as they are
    one person when classes are counted.
    """
    if person is None:
        return None, classes.of_row
    pairs = pl.DataFrame({"class": classes.of_row, "person": table[person]})
    numbered = pairs.with_row_index("row").with_columns(
        first=pl.col("row").min().over("class", "person")
    )
    first, unit_of_row = np.unique(numbered["first"].to_numpy(), return_inverse=True)
    return unit_of_row.astype(np.int64, copy=False), classes.of_row[first]


def _suppressed_class(
    table: pl.DataFrame, columns: tuple[str, ...], classes: EquivalenceClasses
) -> Flags:
    """Return which class (none or one) is that of the suppressed rows, shape (n_classes,)."""
    flags = np.zeros(len(classes), dtype=np.bool_)
    if not all(isinstance(table[name].dtype, _TEXTS) for name in columns):
        return flags
    stars = table.select(
        pl.all_horizontal(
            pl.col(name).cast(pl.String).eq_missing(pl.lit(SUPPRESSED)) for name in columns
        )
    ).to_series()
    flags[classes.of_row[stars.to_numpy()]] = True
    return flags
