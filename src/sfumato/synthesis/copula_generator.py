"""What a Gaussian copula learned, and how people who never lived are drawn from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import polars as pl

from sfumato.errors import DataError
from sfumato.progress import Progress, silent
from sfumato.synthesis.codec import ColumnGrid
from sfumato.synthesis.columns import MISSING, PRESENT, SUPPRESSED_CELL, ColumnCoding
from sfumato.synthesis.conditioning import ConfinedNormal
from sfumato.synthesis.generator import Generator, check_sample, not_learned, too_rare
from sfumato.synthesis.margins import CategoryMargin, NumberMargin
from sfumato.synthesis.rejection import collect_rows

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from sfumato.table import Schema

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

__all__ = ["CopulaGenerator", "LearnedColumn", "Stratum"]

_BLOCK = 100_000  # rows drawn at a time
_BLOCK_GIVEN = 20_000
_PATIENCE = 50  # blocks after which given values are judged too rare
_LEAST_GIVEN = 2e-5  # share of draws that must have all given values
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

    def sample(
        self,
        n: int,
        *,
        seed: int,
        given: Mapping[str, Any] | None = None,
        progress: Progress = silent,
    ) -> pl.DataFrame:
        """Return ``n`` (at least 1) rows of people who never lived.

        The same seed gives the same rows, and the first rows of a longer sample are those of a
        shorter one. Rows with given values are drawn from the copula's own distribution of such
        rows: see :mod:`sfumato.synthesis.conditioning`.

        Parameters
        ----------
        n, seed, given, progress
            See :meth:`Generator.sample`. A given number stands for the cell that holds it; it is
            written as it is given.

        Raises
        ------
        DataError
            If ``n`` is below 1, a given column or value was not learned, or rows with all the
            given values are too rare in the model.
        """
        names = [column.coding.name for column in self.columns]
        values = check_sample(n, given, names)
        random = np.random.default_rng(seed)
        if values:
            return self._sample_given(n, random, values, progress)
        variables = 1 + len(self.strata[0].margins)
        blocks = []
        for start in range(0, n, _BLOCK):
            progress("drawing rows", start, n)
            blocks.append(self._rows(random.standard_normal((min(_BLOCK, n - start), variables))))
        progress("drawing rows", n, n)
        return pl.concat(blocks)

    def _sample_given(
        self, n: int, random: np.random.Generator, values: dict[str, Any], progress: Progress
    ) -> pl.DataFrame:
        literal = self._literal(values)
        confined = [
            None
            if (intervals := self._intervals(stratum, values)) is None
            else ConfinedNormal.of(stratum.factor, intervals)
            for stratum in self.strata
        ]
        weights = np.array(
            [
                0.0 if one is None else stratum.probability * one.weight
                for stratum, one in zip(self.strata, confined, strict=True)
            ]
        )

        def refuse(share: float) -> DataError:
            return too_rare(values, share, ", or values that were learned together")

        if weights.sum() == 0:
            raise refuse(0.0)
        shares = CategoryMargin(weights / weights.sum())
        variables = len(self.strata[0].margins)

        def draw(_: int) -> pl.DataFrame:
            uniform = random.random((_BLOCK_GIVEN, 2 + variables))
            stratum_of = shares.draw(uniform[:, 0])
            drawn = np.empty((variables, _BLOCK_GIVEN))
            kept = np.zeros(_BLOCK_GIVEN, dtype=np.bool_)
            for number, one in enumerate(confined):
                rows = np.flatnonzero(stratum_of == number)
                if one is None or rows.size == 0:
                    continue
                tied, chance = one.draw(uniform[rows, 2:])
                kept[rows] = uniform[rows, 1] < chance
                self._cut(drawn, number, rows, tied.T)
            rows_kept = drawn[:, kept]
            frame = pl.DataFrame([self._written(column, rows_kept) for column in self.columns])
            return frame.with_columns(
                one.cast(frame.schema[one.name]).new_from_index(0, frame.height) for one in literal
            )

        return collect_rows(
            draw,
            n,
            block=_BLOCK_GIVEN,
            least=_LEAST_GIVEN,
            patience=_PATIENCE * _BLOCK_GIVEN,
            refuse=refuse,
            progress=progress,
            task="drawing rows with the given values",
        )

    def _literal(self, values: dict[str, Any]) -> list[pl.Series]:
        """Return each given value as a column of one row, checked that it was learned anywhere."""
        found = []
        for column in self.columns:
            name = column.coding.name
            if name not in values:
                continue
            grid = ColumnGrid(column.coding, *self._learned(column))
            code = grid.encode_value(values[name])
            if code < grid.values:
                found.append(column.coding.written(values[name]))
        return found

    def _learned(
        self, column: LearnedColumn
    ) -> tuple[NumberMargin | CategoryMargin | None, tuple[int, ...]]:
        """Return a margin that holds each value learned in any stratum, and the empty states."""
        margin: NumberMargin | CategoryMargin | None = None
        if column.value is not None:
            margins = [stratum.margins[column.value] for stratum in self.strata]
            margin = margins[0]
            numbers = [one for one in margins if isinstance(one, NumberMargin)]
            if numbers:
                low, high = (
                    np.concatenate([getattr(one, end) for one in numbers])
                    for end in ("low", "high")
                )
                order = np.lexsort((low, high))
                share = np.full(low.size, 1 / low.size)
                margin = NumberMargin(
                    share, low[order], high[order], numbers[0].decimals, numbers[0].step
                )
        empty: set[int] = {MISSING} if column.value is None and column.state is None else set()
        if column.state is not None:
            for stratum in self.strata:
                probability = stratum.margins[column.state].probability
                empty |= {state for state in (MISSING, SUPPRESSED_CELL) if probability[state] > 0}
        return margin, tuple(sorted(empty))

    def _intervals(
        self, stratum: Stratum, values: dict[str, Any]
    ) -> dict[int, tuple[float, float]] | None:
        """Return what the given values leave to the normal variables; None if nothing."""
        cells: dict[int, int] = {}
        for column in self.columns:
            if column.coding.name not in values:
                continue
            value = values[column.coding.name]
            state = MISSING if value is None else PRESENT
            if value == "*" and (column.coding.kind == "number" or column.state is not None):
                state = SUPPRESSED_CELL
            if column.state is not None and cells.setdefault(column.state, state) != state:
                return None
            if state == PRESENT and column.value is not None:
                margin = stratum.margins[column.value]
                content, _ = column.coding.read(column.coding.written(value))
                cells[column.value] = (
                    int(margin.cells_of(np.asarray(content, dtype=np.float64))[0])
                    if isinstance(margin, NumberMargin)
                    else int(content[0])
                )
        found = {}
        for variable, cell in cells.items():
            probability = stratum.margins[variable].probability
            if cell < 0 or probability[cell] <= 0:
                return None
            above = np.cumsum(probability)
            end = 1.0 if cell == int(np.flatnonzero(probability)[-1]) else min(1.0, above[cell])
            found[variable] = (float(above[cell] - probability[cell]), float(end))
        return found

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
            self._cut(drawn, number, rows, tied)
        return pl.DataFrame([self._written(column, drawn) for column in self.columns])

    def _cut(self, drawn: Floats, number: int, rows: Integers, tied: Floats) -> None:
        """Fill the rows of a stratum with what is cut from its normal variables, shape (d, n)."""
        from scipy.special import ndtr

        for variable, margin in enumerate(self.strata[number].margins):
            drawn[variable, rows] = margin.draw(ndtr(tied[variable]))

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
        learned += not_learned(self.left_out, (column.coding for column in self.columns))
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
