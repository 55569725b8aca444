"""The normal variables behind a table's columns, as the rows show them before they are tied."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from sfumato.synthesis.columns import PRESENT, CodedColumn, ColumnCoding
from sfumato.synthesis.copula_generator import LearnedColumn
from sfumato.synthesis.correlation import (
    hermite_coefficients,
    latent_correlation,
    nearest_correlation,
    observed_correlation,
    standard_scores,
)
from sfumato.synthesis.margins import CategoryMargin, NumberMargin, fit_numbers, fit_parts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sfumato.synthesis.copula import GaussianCopula

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

__all__ = ["Variable", "enough", "tie", "variables_of"]

_STATES = 3


@dataclass(frozen=True, eq=False)
class Variable:
    """What is cut from one normal variable, as it was seen.

    Parameters
    ----------
    margin
        The cells and their probabilities.
    scores
        The value of each cell that is correlated with other columns, ascending, shape (cells,).
    cells
        The cell of each row, -1 where there is none, shape (n,).
    numbers
        The number of each row, NaN where there is none; None for a category.
    """

    margin: CategoryMargin | NumberMargin
    scores: Floats
    cells: Integers
    numbers: Floats | None = None

    @classmethod
    def of_numbers(
        cls, numbers: Floats, people: Floats, settings: GaussianCopula, coding: ColumnCoding
    ) -> Self:
        """Return the variable behind a column of numbers."""
        there = ~np.isnan(numbers)
        cells = np.full(there.size, -1, dtype=np.int64)
        margin, cells[there] = fit_numbers(
            numbers[there],
            people[there],
            minimum=settings.minimum,
            cells=settings.cells,
            decimals=coding.decimals,
            step=coding.step,
        )
        return cls(margin, (margin.low + margin.high) / 2, cells, numbers)

    def within(self, rows: Integers, people: Floats, settings: GaussianCopula) -> Variable:
        """Return the variable as it is among some of the rows.

        Where too few of their people have a value, its distribution over all rows is kept.
        """
        cells = self.cells[rows]
        if not enough(people[rows][cells >= 0].sum(), settings.minimum):
            return Variable(self.margin, self.scores, cells)
        if self.numbers is None or not isinstance(self.margin, NumberMargin):
            return Variable(self._parts_within(cells, people[rows], settings), self.scores, cells)
        there = cells >= 0
        margin, cells[there] = fit_numbers(
            self.numbers[rows][there],
            people[rows][there],
            minimum=settings.minimum,
            cells=settings.cells,
            decimals=self.margin.decimals,
            step=self.margin.step,
        )
        return Variable(margin, (margin.low + margin.high) / 2, cells)

    def _parts_within(
        self, cells: Integers, people: Floats, settings: GaussianCopula
    ) -> CategoryMargin:
        """Return the shares of a category's values among some rows.

        A value that too few of their people have takes its share of all rows instead: among them,
        the exact one would tell of those few.
        """
        there = cells >= 0
        size = self.scores.size
        counted = np.bincount(cells[there], weights=people[there], minlength=size)
        few = (counted > 0) & (counted < settings.minimum - 1e-9)
        shares = fit_parts(cells, size).probability
        shares = np.where(few, self.margin.probability, shares)
        return CategoryMargin(shares / shares.sum())


def variables_of(
    coded: list[CodedColumn], people: Floats, settings: GaussianCopula
) -> tuple[list[Variable], tuple[LearnedColumn, ...]]:
    """Return the normal variables to tie, and which column is cut from which."""
    variables: list[Variable] = []
    columns = []
    known: dict[bytes, int] = {}
    for column in coded:
        value = state = None
        if enough(people[column.there].sum(), settings.minimum):
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
                variables.append(Variable(fit_parts(learned, _STATES), scores, learned))
            state = known[key]
        columns.append(LearnedColumn(column.coding, value, state))
    return variables, tuple(columns)


def _values(column: CodedColumn, people: Floats, settings: GaussianCopula) -> Variable:
    """Return the variable behind a column's values."""
    if column.coding.kind == "number":
        numbers = np.asarray(column.content, dtype=np.float64)
        return Variable.of_numbers(numbers, people, settings, column.coding)
    codes = np.asarray(column.content, dtype=np.int64)
    scores = column.scores
    if scores is None:
        scores = np.arange(len(column.coding.values), dtype=np.float64)
    return Variable(fit_parts(codes, scores.size), scores, codes)


def _learned_states(
    column: CodedColumn, people: Floats, minimum: int, *, has_values: bool
) -> Integers:
    """Return the state of each row; -1 for a state that too few people have, all 0 for none."""
    weight = np.bincount(column.state, weights=people, minlength=_STATES)
    learned = np.array([enough(people_with, minimum) for people_with in weight])
    learned[PRESENT] = has_values
    if not learned.any():
        learned[1 + int(weight[1:].argmax())] = True
    if not learned[1:].any():
        return np.zeros_like(column.state)
    return np.where(learned[column.state], column.state, -1)


def tie(variables: list[Variable]) -> Floats:
    """Return the Cholesky factor of the correlations that the normal variables need."""
    observed = np.full((len(variables[0].cells), len(variables)), np.nan)
    coefficients = []
    for i, variable in enumerate(variables):
        standard = standard_scores(variable.margin.probability, variable.scores)
        coefficients.append(hermite_coefficients(variable.margin.probability, standard))
        observed[:, i] = np.where(variable.cells >= 0, standard[variable.cells], np.nan)
    latent = latent_correlation(observed_correlation(observed), np.array(coefficients))
    return np.asarray(np.linalg.cholesky(nearest_correlation(latent)))


def enough(people: float, minimum: int) -> bool:
    """Return whether that many people are at least ``minimum``, but for rounding."""
    return bool(people >= minimum - 1e-9)
