"""A Gaussian copula for mixed tables: each column's own distribution, tied by normal variables.

Every column is cut from a standard normal variable, so that its distribution is as learned; the
normal variables are correlated just so that the columns correlate as they were seen to. A category
is one column and one variable: a row always holds exactly one of its values.

References
----------
A. Sklar, "Fonctions de repartition a n dimensions et leurs marges" (1959); P. X.-K. Song, M. Li,
Y. Yuan, "Joint regression analysis of correlated data using Gaussian copulas", Biometrics 65
(2009), for discrete columns.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
import polars as pl
from pydantic import Field

from sfumato.errors import DataError
from sfumato.progress import Progress, silent
from sfumato.settings import Settings
from sfumato.synthesize.columns import PRESENT, CodedColumn, ColumnCoding, code_column
from sfumato.synthesize.correlation import (
    hermite_coefficients,
    latent_correlation,
    nearest_correlation,
    observed_correlation,
    standard_scores,
)
from sfumato.synthesize.generator import Generator
from sfumato.synthesize.margins import CategoryMargin, NumberMargin, fit_numbers, fit_parts
from sfumato.synthesize.ordering import category_scores

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sfumato.table import Schema

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

__all__ = ["CopulaGenerator", "GaussianCopula"]

_BLOCK = 100_000  # rows drawn at a time
_STATES = 3
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


class GaussianCopula(Settings):
    """Learn each column's distribution and the correlations between columns.

    Parameters
    ----------
    minimum
        Least number of people who must share a category's value, or fill a cell of a number's
        distribution, for it to be learned (at least 2). With a `person` column in the schema,
        people are counted, not rows.
    rare
        "drop": a value of fewer people is not learned and its rows count for the other values;
        "pool": such values become one value "(other)".
    cells
        Most cells in the distribution of a number.

    Examples
    --------
    >>> GaussianCopula(minimum=20).rare
    'drop'
    """

    minimum: int = Field(default=10, ge=2)
    rare: Literal["drop", "pool"] = "drop"
    cells: int = Field(default=1000, ge=10, le=10_000)

    def fit(
        self, table: pl.DataFrame, schema: Schema, *, progress: Progress = silent
    ) -> CopulaGenerator:
        """Learn the model from the table's rows.

        Parameters
        ----------
        table
            The table to imitate; columns with the role identifier are left out.
        schema
            Its schema.
        progress
            Told how far the work is.

        Raises
        ------
        SchemaError
            If the schema does not fit the table.
        DataError
            If the table has too few people, or a column that cannot be learned.
        """
        schema = schema.check(table)
        left_out = tuple(name for name in schema.identifiers if name in table.columns)
        if schema.person is not None and schema.person not in left_out:
            left_out = (*left_out, schema.person)
        names = [name for name in table.columns if name not in left_out]
        if not names:
            raise DataError("Nothing to synthesize: every column of the table is an identifier")
        people = _people(table, schema.person)
        if people.sum() < self.minimum - 1e-9:
            raise DataError(
                f"The table tells of {round(people.sum())} people; a synthesizer with `minimum` = "
                f"{self.minimum} needs at least {self.minimum}"
            )
        coded = []
        for done, name in enumerate(names):
            progress("reading the columns", done, len(names))
            kind = schema.columns[name].type
            coded.append(
                code_column(
                    table[name],
                    people,
                    minimum=self.minimum,
                    pool=self.rare == "pool",
                    categorical=kind in ("category", "text", "boolean"),
                )
            )
        progress("reading the columns", len(names), len(names))
        coded = _ordered(coded)
        progress("fitting the copula", 0, 1)
        variables, columns = _variables(coded, people, self)
        factor = _factor(variables)
        progress("fitting the copula", 1, 1)
        return CopulaGenerator(
            columns=columns,
            margins=tuple(variable.margin for variable in variables),
            factor=factor,
            schema=schema.select(names),
            left_out=left_out,
            minimum=self.minimum,
            rows=table.height,
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
class CopulaGenerator(Generator):
    """A fitted Gaussian copula. Made by :meth:`GaussianCopula.fit`.

    Parameters
    ----------
    columns
        The columns, in the order of the fitted table.
    margins
        What is cut from each normal variable.
    factor
        Lower Cholesky factor of the normal variables' correlations, shape (d, d).
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
    margins: tuple[CategoryMargin | NumberMargin, ...]
    factor: Floats
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
        blocks = [
            self._rows(random.standard_normal((min(_BLOCK, n - start), len(self.factor))))
            for start in range(0, n, _BLOCK)
        ]
        return pl.concat(blocks)

    def _rows(self, normal: Floats) -> pl.DataFrame:
        from scipy.special import ndtr

        # einsum without BLAS adds in one order whatever the number of threads: the same bytes.
        uniform = ndtr(np.einsum("nk,jk->jn", normal, self.factor, optimize=False))
        written = []
        for column in self.columns:
            content = state = None
            if column.value is not None:
                content = self.margins[column.value].draw(uniform[column.value])
            if column.state is not None:
                margin = self.margins[column.state]
                state = margin.draw(uniform[column.state]).astype(np.int64)
            written.append(column.coding.write(content, state, len(normal)))
        return pl.DataFrame(written)

    def describe(self) -> tuple[str, ...]:
        """Return what was learned and what it cannot hold, a sentence each."""
        learned = [
            (
                f"Learned from {self.rows:,} rows: the distribution of each of "
                f"{len(self.columns)} columns, and how strongly each two of them go together."
            ),
            (
                f"No value of a category, and no stretch of a number, that fewer than "
                f"{self.minimum} people share is repeated; the most extreme values of a column are "
                f"never handed out."
            ),
        ]
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
            "margins": [margin.to_dict() for margin in self.margins],
            "factor": [row[: i + 1].tolist() for i, row in enumerate(self.factor)],
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
        margins = tuple(
            (NumberMargin if "low" in one else CategoryMargin).from_dict(one)
            for one in values["margins"]
        )
        factor = np.zeros((len(margins), len(margins)))
        for i, row in enumerate(values["factor"]):
            factor[i, : i + 1] = row
        return cls(
            columns=columns,
            margins=margins,
            factor=factor,
            # JSON files are written with sorted keys: put the columns back in their order.
            schema=Schema.from_dict(values["schema"]).select([c.coding.name for c in columns]),
            left_out=tuple(values["left_out"]),
            minimum=values["minimum"],
            rows=values["rows"],
        )


@dataclass(frozen=True, eq=False)
class _Variable:
    """What is cut from one normal variable, as it was seen.

    Parameters
    ----------
    margin
        The cells and their probabilities.
    scores
        The value of each cell that is correlated with other columns, ascending, shape (cells,).
    cells
        The cell of each row, -1 where there is none, shape (n,).
    """

    margin: CategoryMargin | NumberMargin
    scores: Floats
    cells: Integers


def _variables(
    coded: list[CodedColumn], people: Floats, settings: GaussianCopula
) -> tuple[list[_Variable], tuple[LearnedColumn, ...]]:
    """Return the normal variables to tie, and which column is cut from which."""
    variables: list[_Variable] = []
    columns = []
    known: dict[bytes, int] = {}
    for column in coded:
        value = state = None
        if _enough(people[column.there].sum(), settings.minimum):
            value = len(variables)
            variables.append(_values(column, people, settings))
        learned = _learned_states(column, people, settings.minimum, has_values=value is not None)
        if learned.any():
            # Columns that lack their values in the very same rows share one variable: a row that
            # was suppressed as a whole stays so.
            key = learned.astype(np.int8).tobytes()
            if key not in known:
                known[key] = len(variables)
                scores = np.arange(_STATES, dtype=np.float64)
                variables.append(_Variable(fit_parts(learned, _STATES), scores, learned))
            state = known[key]
        columns.append(LearnedColumn(column.coding, value, state))
    return variables, tuple(columns)


def _values(column: CodedColumn, people: Floats, settings: GaussianCopula) -> _Variable:
    """Return the variable behind a column's values."""
    if column.coding.kind == "category":
        codes = np.asarray(column.content, dtype=np.int64)
        margin = fit_parts(codes, len(column.coding.values))
        scores = column.scores
        if scores is None:
            scores = np.arange(len(column.coding.values), dtype=np.float64)
        return _Variable(margin, scores, codes)
    there = column.there
    numbers, cells = fit_numbers(
        np.asarray(column.content[there], dtype=np.float64),
        people[there],
        minimum=settings.minimum,
        cells=settings.cells,
        decimals=column.coding.decimals,
        step=column.coding.step,
    )
    of_row = np.full(there.size, -1, dtype=np.int64)
    of_row[there] = cells
    return _Variable(numbers, (numbers.low + numbers.high) / 2, of_row)


def _learned_states(
    column: CodedColumn, people: Floats, minimum: int, *, has_values: bool
) -> Integers:
    """Return the state of each row; -1 for a state that too few people have, all 0 for none."""
    weight = np.bincount(column.state, weights=people, minlength=_STATES)
    learned = np.array([_enough(people_with, minimum) for people_with in weight])
    learned[PRESENT] = has_values
    if not learned.any():
        learned[1 + int(weight[1:].argmax())] = True
    if not learned[1:].any():
        return np.zeros_like(column.state)
    return np.where(learned[column.state], column.state, -1)


def _factor(variables: list[_Variable]) -> Floats:
    """Return the Cholesky factor of the correlations that the normal variables need."""
    observed = np.full((len(variables[0].cells), len(variables)), np.nan)
    coefficients = []
    for i, variable in enumerate(variables):
        standard = standard_scores(variable.margin.probability, variable.scores)
        coefficients.append(hermite_coefficients(variable.margin.probability, standard))
        observed[:, i] = np.where(variable.cells >= 0, standard[variable.cells], np.nan)
    latent = latent_correlation(observed_correlation(observed), np.array(coefficients))
    return np.asarray(np.linalg.cholesky(nearest_correlation(latent)))


def _enough(people: float, minimum: int) -> bool:
    return bool(people >= minimum - 1e-9)


def _people(table: pl.DataFrame, person: str | None) -> Floats:
    """Return what each row counts as: its share of the rows of its person."""
    if person is None:
        return np.ones(table.height)
    rows = table.select(1.0 / pl.len().over(person)).to_series()
    return rows.to_numpy().astype(np.float64)


def _ordered(coded: list[CodedColumn]) -> list[CodedColumn]:
    """Lay the values of each nominal column along the axis that tells most of the others."""
    from scipy.special import ndtri

    nominal: dict[str, tuple[Integers, int]] = {}
    numeric = []
    for column in coded:
        there = column.there
        if column.coding.kind == "category":
            if len(column.coding.values) > 1:
                nominal[column.coding.name] = (
                    np.asarray(column.content, dtype=np.int64),
                    len(column.coding.values),
                )
        elif there.any():
            _, inverse, counts = np.unique(
                column.content[there], return_inverse=True, return_counts=True
            )
            scores = ndtri((np.cumsum(counts) - counts / 2) / counts.sum())
            standard = standard_scores(counts / counts.sum(), scores)
            filled = np.zeros(there.size)
            filled[there] = standard[inverse]
            numeric.append(filled)
    scores_of = category_scores(nominal, numeric)
    ordered = []
    for column in coded:
        scores = scores_of.get(column.coding.name)
        if scores is None:
            ordered.append(column)
            continue
        order = np.argsort(scores, kind="stable")
        place = np.argsort(order, kind="stable")
        values = tuple(column.coding.values[i] for i in order)
        codes = np.asarray(column.content, dtype=np.int64)
        content = np.where(codes >= 0, place[np.maximum(codes, 0)], -1)
        ordered.append(
            CodedColumn(replace(column.coding, values=values), content, column.state, scores[order])
        )
    return ordered
