"""What a Gaussian copula learned, and how people who never lived are drawn from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import polars as pl

from sfumato.errors import DataError
from sfumato.synthesis.columns import ColumnCoding
from sfumato.synthesis.generator import Generator
from sfumato.synthesis.margins import CategoryMargin, NumberMargin

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sfumato.table import Schema

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

__all__ = ["CopulaGenerator", "LearnedColumn", "Stratum"]

_BLOCK = 100_000  # rows drawn at a time
_NOT_KEPT = (
    (
        "Not kept: what three or more columns do together beyond their pairs, relations between "
        "two columns that go up and then down, and exact rules such as one column computed from "
        "others."
    ),
    (
        "A category is laid on one axis: where two categories are tied in several ways at once, "
        "the strongest tie is kept."
    ),
    (
        "No formal promise: a sample of invented people is not anonymous by name, and this model "
        "has no differential privacy. Judge it by its measured risks."
    ),
)


@dataclass(frozen=True)
class LearnedColumn:
    """A column and the normal variables that it is cut from.

    Parameters
    ----------
    coding
        How the column is written.
    value
        The variable behind the column's values; None if no value is learned.
    state
        The variable behind whether there is a value; None if there always is one.
    """

    coding: ColumnCoding
    value: int | None
    state: int | None


@dataclass(frozen=True, eq=False)
class Stratum:
    """The copula of the rows that were learned together.

    Parameters
    ----------
    probability
        Share of these rows.
    margins
        What is cut from each normal variable.
    factor
        Lower Cholesky factor of the normal variables' correlations, shape (d, d).
    """

    probability: float
    margins: tuple[CategoryMargin | NumberMargin, ...]
    factor: Floats

    def to_dict(self) -> dict[str, Any]:
        """Return the stratum as plain JSON values."""
        return {
            "probability": self.probability,
            "margins": [margin.to_dict() for margin in self.margins],
            "factor": [row[: i + 1].tolist() for i, row in enumerate(self.factor)],
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Return the stratum that :meth:`to_dict` described."""
        margins = tuple(
            (NumberMargin if "low" in one else CategoryMargin).from_dict(one)
            for one in values["margins"]
        )
        factor = np.zeros((len(margins), len(margins)))
        for i, row in enumerate(values["factor"]):
            factor[i, : i + 1] = row
        return cls(values["probability"], margins, factor)


@dataclass(frozen=True, eq=False)
class CopulaGenerator(Generator):
    """A fitted Gaussian copula. Made by :meth:`GaussianCopula.fit`.

    Parameters
    ----------
    columns
        The columns, in the order of the fitted table.
    strata
        One copula for each frequent class of ``target``, or one for all rows.
    target
        The column whose classes were learned one by one, or None.
    schema
        Schema of the sampled table.
    left_out
        Columns that were not learned, since they identify a person.
    minimum
        Least number of people behind a learned value or cell.
    rows
        Rows learned from.
    """

    columns: tuple[LearnedColumn, ...]
    strata: tuple[Stratum, ...]
    target: str | None
    schema: Schema
    left_out: tuple[str, ...]
    minimum: int
    rows: int

    def sample(self, n: int, *, seed: int) -> pl.DataFrame:
        """Return ``n`` (at least 1) rows of people who never lived.

        The same seed gives the same rows, and the first rows of a longer sample are those of a
        shorter one.

        Raises
        ------
        DataError
            If ``n`` is below 1.
        """
        if n < 1:
            raise DataError(f"A sample needs at least 1 row, not {n}")
        random = np.random.default_rng(seed)
        variables = 1 + len(self.strata[0].margins)
        blocks = [
            self._rows(random.standard_normal((min(_BLOCK, n - start), variables)))
            for start in range(0, n, _BLOCK)
        ]
        return pl.concat(blocks)

    def _rows(self, normal: Floats) -> pl.DataFrame:
        """Return the rows that independent normal variables, shape (n, 1 + d), stand for."""
        from scipy.special import ndtr

        shares = CategoryMargin(np.array([stratum.probability for stratum in self.strata]))
        stratum_of = shares.draw(ndtr(normal[:, 0]))
        drawn = np.empty((len(self.strata[0].margins), len(normal)))
        for number, stratum in enumerate(self.strata):
            rows = np.flatnonzero(stratum_of == number)
            # einsum without BLAS adds in one order whatever the number of threads.
            tied = np.einsum("nk,jk->jn", normal[rows, 1:], stratum.factor, optimize=False)
            for variable, margin in enumerate(stratum.margins):
                drawn[variable, rows] = margin.draw(ndtr(tied[variable]))
        return pl.DataFrame([self._written(column, drawn) for column in self.columns])

    def _written(self, column: LearnedColumn, drawn: Floats) -> pl.Series:
        content = None if column.value is None else drawn[column.value]
        state = None if column.state is None else drawn[column.state].astype(np.int64)
        return column.coding.write(content, state, drawn.shape[1])

    def describe(self) -> tuple[str, ...]:
        """Return what was learned and what it cannot hold, a sentence each."""
        learned = [
            (
                f"Learned from {self.rows:,} rows: the distribution of each of "
                f"{len(self.columns)} columns, and how strongly each two of them go together."
            ),
            (
                f"No value of a category, and no stretch of a number, that fewer than "
                f"{self.minimum} people share is repeated; an extreme value occurs only if as "
                f"many people share it."
            ),
        ]
        if self.target is not None:
            learned.append(
                f"Each frequent class of {self.target} was learned by itself: what any one column "
                f"tells of {self.target} is kept, also where it is no straight line."
            )
        if self.left_out:
            learned.append(
                f"Not learned, since they point to a person: {', '.join(self.left_out)}. Every row "
                f"stands for a person of its own."
            )
        learned += [
            f"{column.coding.name}: {column.coding.dropped:.2%} of its values are each shared by "
            f"too few people and do not occur in the sample."
            for column in self.columns
            if column.coding.dropped > 0
        ]
        return (*learned, *_NOT_KEPT)

    def released_schema(self) -> Schema:
        """Return the schema of the sampled table."""
        return self.schema

    def to_dict(self) -> dict[str, Any]:
        """Return all that :meth:`from_dict` needs, as plain JSON values."""
        return {
            "columns": [
                {"coding": column.coding.to_dict(), "value": column.value, "state": column.state}
                for column in self.columns
            ],
            "strata": [stratum.to_dict() for stratum in self.strata],
            "target": self.target,
            "schema": self.schema.to_dict(),
            "left_out": list(self.left_out),
            "minimum": self.minimum,
            "rows": self.rows,
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Return the generator that :meth:`to_dict` described."""
        from sfumato.table import Schema

        columns = tuple(
            LearnedColumn(ColumnCoding.from_dict(one["coding"]), one["value"], one["state"])
            for one in values["columns"]
        )
        return cls(
            columns=columns,
            strata=tuple(Stratum.from_dict(one) for one in values["strata"]),
            target=values["target"],
            # JSON files are written with sorted keys: put the columns back in their order.
            schema=Schema.from_dict(values["schema"]).select([c.coding.name for c in columns]),
            left_out=tuple(values["left_out"]),
            minimum=values["minimum"],
            rows=values["rows"],
        )
