"""A Gaussian copula for mixed tables: each column's own distribution, tied by normal variables.

Every column is cut from a standard normal variable, so that its distribution is as learned; the
normal variables are correlated just so that the columns correlate as they were seen to. A category
is one column and one variable: a row always holds exactly one of its values. Each frequent class of
the schema's target gets distributions and correlations of its own, so that what a column tells of
the target is kept whole, also where it is no straight line.

References
----------
A. Sklar, "Fonctions de repartition a n dimensions et leurs marges" (1959); P. X.-K. Song, M. Li,
Y. Yuan, "Joint regression analysis of correlated data using Gaussian copulas", Biometrics 65
(2009), for discrete columns.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from pydantic import Field

from sfumato.progress import Progress, silent
from sfumato.synthesis.codec import read_table
from sfumato.synthesis.columns import CodedColumn
from sfumato.synthesis.copula_generator import CopulaGenerator, Stratum
from sfumato.synthesis.correlation import standard_scores
from sfumato.synthesis.margins import fit_parts
from sfumato.synthesis.ordering import category_scores
from sfumato.synthesis.strata import rows_by_class
from sfumato.synthesis.synthesizer import Synthesizer
from sfumato.synthesis.variables import tie, variables_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from sfumato.table import Schema

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

__all__ = ["GaussianCopula"]

_ROWS_FOR_A_COLUMN = 5


class GaussianCopula(Synthesizer):
    """Learn each column's distribution and the correlations between columns.

    Parameters
    ----------
    cells
        Most cells in the distribution of a number.
    by_target
        Whether each class of the schema's target is learned by itself, if the target has at most
        twenty values. Less frequent classes are learned together.
    minimum_class
        Least number of rows of such a class, at least 50; five rows for each column are needed in
        any case.
    minimum, rare, derived, rules, least_kept
        See :class:`~sfumato.synthesis.synthesizer.Synthesizer`.

    Examples
    --------
    >>> GaussianCopula(minimum=20).rare
    'drop'
    """

    cells: int = Field(default=1000, ge=10, le=10_000)
    by_target: bool = True
    minimum_class: int = Field(default=200, ge=50)

    def learn(
        self, table: pl.DataFrame, schema: Schema, *, progress: Progress = silent
    ) -> CopulaGenerator:
        """Learn the model of the columns that are not derived; see ``fit``."""
        read = read_table(table, schema, minimum=self.minimum, rare=self.rare, progress=progress)
        people = read.people
        coded = _ordered(read.columns)
        progress("fitting the copula", 0, 1)
        variables, columns = variables_of(coded, people, self)
        groups = self._groups(coded, schema.target)
        strata = []
        for done, rows in enumerate(groups):
            inside = variables
            if len(groups) > 1:
                inside = [variable.within(rows, people, self) for variable in variables]
            margins = tuple(variable.margin for variable in inside)
            strata.append(Stratum(rows.size / table.height, margins, tie(inside)))
            progress("fitting the copula", done + 1, len(groups))
        return CopulaGenerator(
            columns=columns,
            strata=tuple(strata),
            target=schema.target if len(groups) > 1 else None,
            schema=read.schema,
            left_out=read.left_out,
            minimum=self.minimum,
            rows=table.height,
        )

    def _groups(self, coded: list[CodedColumn], target: str | None) -> list[Integers]:
        """Return the rows that are learned together: of each frequent class, and of the rest."""
        column = next((one for one in coded if one.coding.name == target), None)
        if not self.by_target or column is None:
            return [np.arange(len(coded[0].state))]
        classes = np.full(column.there.size, -1)
        classes[column.there] = np.unique(column.content[column.there], return_inverse=True)[1]
        needed = max(self.minimum_class, _ROWS_FOR_A_COLUMN * len(coded))
        return rows_by_class(classes, needed)


def _ordered(coded: Sequence[CodedColumn]) -> list[CodedColumn]:
    """Lay the values of each nominal column along the axis that tells most of the others.

    A category with a declared order keeps it: it is told by normal scores, as a number is.
    """
    from scipy.special import ndtri

    nominal: dict[str, tuple[Integers, int]] = {}
    numeric = []
    for column in coded:
        there = column.there
        if column.coding.kind == "category" and not column.coding.ordered:
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
        if column.coding.ordered:
            ordered.append(replace(column, scores=_normal_scores(column)))
            continue
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


def _normal_scores(column: CodedColumn) -> Floats:
    """Return the normal quantile of the middle of each value's stretch, shape (values,)."""
    from scipy.special import ndtri

    codes = np.asarray(column.content, dtype=np.int64)
    shares = fit_parts(codes, len(column.coding.values)).probability
    return np.asarray(ndtri(np.cumsum(shares) - shares / 2), dtype=np.float64)
