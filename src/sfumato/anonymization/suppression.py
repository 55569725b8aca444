"""k-anonymity by suppressing what stays below k."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
import polars as pl

from sfumato.errors import GuaranteeNotMet, PlanError
from sfumato.privacy import EquivalenceClasses
from sfumato.table import SUPPRESSED

__all__ = ["LargeClasses", "Suppressed", "refuse_small_table"]

Suppressed = Literal["star", "drop"]


@dataclass(frozen=True)
class LargeClasses:
    """The equivalence classes that a release keeps; rows of any other are suppressed.

    Parameters
    ----------
    columns
        The released quasi-identifiers.
    suppressed
        "star": a suppressed row carries ``*`` in every quasi-identifier, which are then texts;
        "drop": it is left out.
    kept
        The quasi-identifiers of each kept class, as texts; None is a missing value.
    suppressed_rows, rows
        How many of the fitted rows were suppressed, out of how many.
    """

    columns: tuple[str, ...]
    suppressed: Suppressed
    kept: tuple[tuple[str | None, ...], ...]
    suppressed_rows: int
    rows: int

    @classmethod
    def find(
        cls,
        released: pl.DataFrame,
        columns: tuple[str, ...],
        k: int,
        suppressed: Suppressed,
        persons: pl.Series | None,
    ) -> Self:
        """Find the classes of at least k people.

        Suppressed rows that stay in the release are a class of their own, and it must have k
        people too: if it has fewer, the smallest other class is suppressed with them. That class
        has k, so one is always enough.

        Parameters
        ----------
        released
            The table (n rows) as it would be released.
        columns
            Its quasi-identifiers.
        k
            Least number of rows, or of distinct persons, of a class.
        suppressed
            What becomes of the others.
        persons
            Whose row each row is; None if each row is a person.

        Raises
        ------
        PlanError
            If k is larger than the table.
        GuaranteeNotMet
            If no class would be left.
        """
        everybody = released.height if persons is None else persons.n_unique()
        refuse_small_table(k, everybody, counts_persons=persons is not None)
        if not columns:
            return cls((), suppressed, (), 0, released.height)
        texts = _texts(released, columns)
        person = None if persons is None else "person of a row"
        counted = texts if persons is None else texts.with_columns(persons.alias("person of a row"))
        classes = EquivalenceClasses.of(counted, columns, person=person)
        tuples = texts.unique(maintain_order=True)
        large = classes.sizes >= k
        if suppressed == "star":
            large &= (
                ~tuples.select(pl.all_horizontal(pl.all().eq_missing(SUPPRESSED)))
                .to_series()
                .to_numpy()
            )
            small = ~large[classes.of_row]
            some = counted.filter(small)
            people = some.height if person is None else some[person].n_unique()
            if 0 < people < k and large.any():
                large[_smallest(tuples, classes, large)] = False
        if not large.any():
            raise GuaranteeNotMet(
                f"k = {k}: no combination of the quasi-identifiers ({', '.join(columns)}) is "
                f"shared by {k} people, so everything would be suppressed; generalize them more"
            )
        kept = tuple(tuples.filter(pl.Series(large)).rows())
        suppressed_rows = int((~large[classes.of_row]).sum())
        return cls(columns, suppressed, kept, suppressed_rows, released.height)

    def apply(self, released: pl.DataFrame) -> pl.DataFrame:
        """Suppress the rows whose quasi-identifiers are not those of a kept class."""
        if not self.columns:
            return released
        large = self.holds(released)
        if self.suppressed == "drop":
            return released.filter(large)
        stars = [
            pl.when(large)
            .then(pl.col(name).cast(pl.String))
            .otherwise(pl.lit(SUPPRESSED))
            .alias(name)
            for name in self.columns
        ]
        return released.with_columns(stars)

    def holds(self, released: pl.DataFrame) -> pl.Series:
        """Return which rows have the quasi-identifiers of a kept class, shape (n,)."""
        if not self.columns:
            return pl.repeat(value=True, n=released.height, dtype=pl.Boolean, eager=True)
        schema = dict.fromkeys(self.columns, pl.String)
        kept = pl.DataFrame(list(self.kept), schema=schema, orient="row")
        rows = _texts(released, self.columns).with_row_index("row of a table")
        found = rows.join(kept, on=list(self.columns), how="semi", nulls_equal=True)
        large = np.zeros(released.height, dtype=np.bool_)
        large[found["row of a table"].to_numpy()] = True
        return pl.Series(large)

    def describe(self, k: int) -> str:
        """Return what is done to the quasi-identifiers, as a phrase."""
        share = f"{self.suppressed_rows:,} of {self.rows:,} rows"
        what = "rows left out" if self.suppressed == "drop" else "'*'"
        return f"{what} where fewer than {k} people share all quasi-identifiers ({share})"

    def to_dict(self) -> dict[str, Any]:
        """Return the classes as plain JSON values."""
        return {
            "columns": list(self.columns),
            "suppressed": self.suppressed,
            "kept": [list(values) for values in self.kept],
            "suppressed_rows": self.suppressed_rows,
            "rows": self.rows,
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Return the classes that :meth:`to_dict` described."""
        return cls(
            tuple(values["columns"]),
            values["suppressed"],
            tuple(tuple(texts) for texts in values["kept"]),
            values["suppressed_rows"],
            values["rows"],
        )


def refuse_small_table(k: int, everybody: int, *, counts_persons: bool) -> None:
    """Raise if there are fewer people than k.

    Raises
    ------
    PlanError
        With both numbers.
    """
    if k > everybody:
        unit = "persons" if counts_persons else "rows"
        raise PlanError(
            f"k = {k} is more than the table has: {everybody} {unit}; nobody can be hidden among "
            f"{k} in it"
        )


def _texts(released: pl.DataFrame, columns: tuple[str, ...]) -> pl.DataFrame:
    return released.select(pl.col(name).cast(pl.String) for name in columns)


def _smallest(
    tuples: pl.DataFrame, classes: EquivalenceClasses, large: np.ndarray[Any, np.dtype[np.bool_]]
) -> int:
    """Return the smallest of the large classes; of several, the first by its texts."""
    size = classes.sizes[large].min()
    candidates = tuples.with_row_index("class").filter(pl.Series(large & (classes.sizes == size)))
    return int(candidates.sort(tuples.columns)["class"][0])
