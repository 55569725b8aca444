"""What was learned under a privacy budget, and how people who never lived are drawn from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import polars as pl

from sfumato.errors import DataError
from sfumato.privacy.differential.ledger import Ledger
from sfumato.progress import Progress, silent
from sfumato.synthesis.generator import Generator, check_sample
from sfumato.synthesis.private.cells import Cells
from sfumato.synthesis.private.copula_factor import CopulaFactor
from sfumato.synthesis.private.domain import DeclaredNumbers, DeclaredValues
from sfumato.synthesis.private.mixture import Mixture

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from sfumato.synthesis.private.marginals.graphical_model import GraphicalModel
    from sfumato.table import Schema

    Integers = NDArray[np.int64]

__all__ = ["LatentFactorGenerator", "PrivateColumn", "kept_dtype"]

_LEAST_BLOCK, _MOST_BLOCK = 1_000, 100_000
_PLAIN: dict[str, pl.DataType] = {
    str(kind): kind()
    for kind in (
        *(pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.UInt8, pl.UInt16, pl.UInt32, pl.UInt64),
        *(pl.Float32, pl.Float64, pl.Boolean, pl.String, pl.Date),
    )
}
_NOT_KEPT = (
    (
        "Not kept: what three or more columns do together beyond their pairs and what the pairs "
        "do within each value of the target."
    ),
    "A value that few people share may be absent or too frequent: the noise hides it, as promised.",
)


def kept_dtype(dtype: pl.DataType, name: str) -> pl.DataType:
    """Return the type in which a column is drawn.

    Raises
    ------
    DataError
        If it is neither number, truth value, text, category nor date.
    """
    if isinstance(dtype, pl.Categorical | pl.Enum) or dtype == pl.Null:
        return pl.String()
    if isinstance(dtype, pl.Datetime):
        return pl.Date()
    if isinstance(dtype, pl.Decimal):
        return pl.Float64()
    if str(dtype) not in _PLAIN:
        raise DataError(
            f"Column {name!r} is of type {dtype}, which cannot be learned: leave it out"
        )
    return dtype


@dataclass(frozen=True, eq=False)
class PrivateColumn:
    """A column as it is drawn.

    Parameters
    ----------
    name
        Its name.
    dtype
        Polars type, by name.
    declared
        What it can hold.
    cells
        How its points are joined to the model's cells.
    """

    name: str
    dtype: str
    declared: DeclaredNumbers | DeclaredValues
    cells: Cells

    def written(self, points: Integers) -> pl.Series:
        """Return the values of declared points."""
        return self.declared.decoded(points, self.name, _PLAIN[self.dtype])

    def to_dict(self) -> dict[str, Any]:
        """Return the column as plain JSON values."""
        return {
            "name": self.name,
            "dtype": self.dtype,
            "declared": self.declared.model_dump(mode="json"),
            "cells": self.cells.to_dict(),
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Return the column that :meth:`to_dict` described."""
        said = values["declared"]
        declared: DeclaredNumbers | DeclaredValues = (
            DeclaredValues(**said) if "values" in said else DeclaredNumbers(**said)
        )
        return cls(values["name"], values["dtype"], declared, Cells.from_dict(values["cells"]))


@dataclass(frozen=True, eq=False)
class LatentFactorGenerator(Generator):
    """A fitted private model. Made by :class:`DPLatentFactor` or :class:`LocalLatentFactor`.

    All of it may be published: it was computed from noisy counts alone.

    Parameters
    ----------
    columns
        The columns, in the order of the fitted table.
    model
        Hidden classes, in which the columns are independent, factors behind the columns, or a
        graphical model.
    draws
        Models drawn about the fitted one, for intervals that know of the noise; see
        :meth:`releases`.
    ledger
        Budget and charges, as :meth:`Ledger.to_dict` wrote them.
    rows
        Noisy number of rows.
    schema
        Schema of the sampled table.
    left_out
        Columns that were not learned, since they identify a person.
    """

    columns: tuple[PrivateColumn, ...]
    model: Mixture | CopulaFactor | GraphicalModel
    draws: tuple[Mixture, ...]
    ledger: dict[str, Any]
    rows: int
    schema: Schema
    left_out: tuple[str, ...]

    @property
    def account(self) -> Ledger:
        """The account of the budget: each look at the data and what it cost."""
        return Ledger.from_dict(self.ledger)

    def sample(
        self,
        n: int,
        *,
        seed: int,
        given: Mapping[str, Any] | None = None,
        progress: Progress = silent,
    ) -> pl.DataFrame:
        """Return ``n`` rows; free of cost, however many and however often.

        Rows with given values follow the model's own distribution of such rows exactly: hidden
        classes are reweighted; of a copula's rows those are kept that have the values.

        Parameters
        ----------
        n, seed, given, progress
            See :meth:`Generator.sample`.

        Raises
        ------
        DataError
            If ``n`` is below 1, or a given column or value is not in the model.
        """
        names = [column.name for column in self.columns]
        values = check_sample(n, given, names)
        fixed, cells = {}, {}
        for name, value in values.items():
            place = names.index(name)
            column = self.columns[place]
            fixed[place] = column.declared.interval(value, name)
            cells[place], chance = column.cells.chance(fixed[place])
            if cells[place] < 0 or chance <= 0:
                raise DataError(
                    f"The value given for {name!r} is too rare for this budget: the model does not "
                    f"hold it"
                )
        model, share = self.model.given(cells)
        rare = DataError(
            f"Rows with all the values given for {', '.join(map(repr, values))} are too rare for "
            f"this budget: give fewer columns"
        )
        if share <= 0:
            raise rare
        random = np.random.default_rng(seed)
        block = min(max(self.rows, _LEAST_BLOCK), _MOST_BLOCK)
        if cells and isinstance(model, CopulaFactor):
            block = _LEAST_BLOCK
        parts = []
        for start in range(0, n, block):
            progress("drawing rows", start, n)
            codes = model.sample(block, random)
            if len(codes) < block:
                raise rare
            parts.append(
                pl.DataFrame(
                    [
                        column.written(
                            np.full(block, fixed[place])
                            if place in fixed
                            else column.cells.points(codes[:, place], random)
                        )
                        for place, column in enumerate(self.columns)
                    ]
                )
            )
        progress("drawing rows", n, n)
        return pl.concat(parts)[:n]

    def releases(self, n: int, *, seed: int) -> tuple[pl.DataFrame, ...]:
        """Return a table from each of the drawn models, for analysis by :func:`combine`.

        An analysis is made on each table by itself; the scatter between the results tells of the
        noise. Rows are drawn one by one.

        Parameters
        ----------
        n
            Rows of each: as many as the real table had, about (``rows``), for the rules to hold.
        seed
            The same seed gives the same tables.

        Raises
        ------
        DataError
            If the technique was fitted without ``posterior``.
        """
        if not self.draws:
            raise DataError("No models were drawn: fit with posterior = 20 for that many releases")
        found = []
        for place, model in enumerate(self.draws):
            random = np.random.default_rng([seed, place])
            codes = model.sample(n, random, even=False)
            found.append(
                pl.DataFrame(
                    [
                        column.written(column.cells.points(codes[:, at], random, even=False))
                        for at, column in enumerate(self.columns)
                    ]
                )
            )
        return tuple(found)

    def describe(self) -> tuple[str, ...]:
        """Return what was learned and promised, a sentence each."""
        account = self.account
        said = account.describe()
        promise, total = account.budget.describe(), said[len(said) - 1 - (not account.secure) :]
        joined = [
            f"{column.name}: its declared values are told apart in {column.cells.size} cells."
            for column in self.columns
        ]
        rows = f"about {self.rows:,} rows (the number is noisy)"
        if account.budget.pure:
            rows = f"the randomized answers of {self.rows:,} rows"
        left_out = []
        if self.left_out:
            left_out.append(
                f"Not learned, since they point to a person: {', '.join(self.left_out)}."
            )
        return (
            *promise,
            *total,
            (
                f"Learned from {rows}: each of {len(self.columns)} columns and all their pairs, "
                f"explained by {self.model.described}."
            ),
            *joined,
            *left_out,
            *_NOT_KEPT,
        )

    def released_schema(self) -> Schema:
        """Return the schema of the sampled table."""
        return self.schema

    def to_dict(self) -> dict[str, Any]:
        """Return all that :meth:`from_dict` needs, as plain JSON values."""
        return {
            "columns": [column.to_dict() for column in self.columns],
            "kind": "latent class" if isinstance(self.model, Mixture) else "copula",
            "model": self.model.to_dict(),
            "draws": [one.to_dict() for one in self.draws],
            "ledger": self.ledger,
            "rows": self.rows,
            "schema": self.schema.to_dict(),
            "left_out": list(self.left_out),
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Return the generator that :meth:`to_dict` described."""
        from sfumato.table import Schema

        columns = tuple(PrivateColumn.from_dict(one) for one in values["columns"])
        model = Mixture if values["kind"] == "latent class" else CopulaFactor
        return cls(
            columns=columns,
            model=model.from_dict(values["model"]),
            draws=tuple(Mixture.from_dict(one) for one in values["draws"]),
            ledger=values["ledger"],
            rows=values["rows"],
            schema=Schema.from_dict(values["schema"]).select([one.name for one in columns]),
            left_out=tuple(values["left_out"]),
        )
