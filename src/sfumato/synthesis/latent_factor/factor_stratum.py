"""People whose columns have a model of factors of their own: all of them, or a class of the target.

In a class by itself a value may be of few people that many have in the table, and the class's exact
shares would tell of those few. So they are blurred: see :class:`SharedCells`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from sfumato.synthesis.latent_factor.chain import with_ones
from sfumato.synthesis.latent_factor.factor_model import FactorModel
from sfumato.synthesis.latent_factor.factor_variables import FactorVariable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Flags = NDArray[np.bool_]
    Integers = NDArray[np.int64]

__all__ = ["FactorStratum", "SharedCells"]


@dataclass(frozen=True, eq=False)
class FactorStratum:
    """A stratum's share of the people, and its model.

    Parameters
    ----------
    share
        Share of the people who belong to it, above 0 and at most 1.
    common
        Cells that all of them have, by column: the class of a stratum of one class.
    variables
        The variables behind the other columns.
    model
        Their model.
    """

    share: float
    common: dict[int, int]
    variables: tuple[FactorVariable, ...]
    model: FactorModel

    def weight(self, values: Sequence[int], fixed: Mapping[int, int]) -> float:
        """Return the share, times a bound of the chance of a row of it to have the fixed cells."""
        if any(fixed.get(column, cell) != cell for column, cell in self.common.items()):
            return 0.0
        return self.share * self.model.bound(self.variables, values, fixed)

    def drawn(
        self,
        random: Floats,
        uniform: Floats,
        normal: Floats,
        values: Sequence[int],
        fixed: Mapping[int, int],
    ) -> tuple[Integers, Flags]:
        """Return cells of rows, shape (n, columns), and which rows are kept, shape (n,).

        Parameters
        ----------
        random, uniform, normal
            Random numbers of each row: (n, 2), for the factors' law and for what is kept; two for
            each variable, (variables, n, 2); standard normal ones, (n, factors).
        values
            Number of cells of each column that hold a value.
        fixed
            Cells of columns that are given; a row is kept with its chance to have them, relative to
            the bound in the weight.
        """
        design = with_ones(self.model.law.draw(random[:, 0], normal))
        kept = random[:, 1] < self.model.chance(design, self.variables, values, fixed)
        cells = self.model.cells(design, uniform, self.variables, values, {**self.common, **fixed})
        return cells, kept

    def to_dict(self) -> dict[str, Any]:
        """Return the stratum as plain JSON values."""
        return {
            "share": self.share,
            "common": [[column, cell] for column, cell in self.common.items()],
            "variables": [one.to_dict() for one in self.variables],
            "model": self.model.to_dict(),
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Return the stratum that :meth:`to_dict` described."""
        return cls(
            values["share"],
            {int(column): int(cell) for column, cell in values["common"]},
            tuple(FactorVariable.from_dict(one) for one in values["variables"]),
            FactorModel.from_dict(values["model"]),
        )


@dataclass(frozen=True, eq=False)
class SharedCells:
    """How the shares of a variable's cells in a stratum are blurred.

    Of a number neighbouring cells are joined until ``minimum`` people of the stratum are in them,
    and share these as all rows do. A category's value that some, but fewer, people of the stratum
    have takes its share among all. What nobody of the stratum has, outside such neighbours, stays
    at 0.

    Parameters
    ----------
    group
        Group of each cell, shape (cells,).
    weight
        What a cell has of its group, relative to the others, shape (cells,).
    few
        Cells that take their share among all rows, shape (cells,).
    whole
        Share of each cell among all rows, shape (cells,).
    """

    group: Integers
    weight: Floats
    few: Flags
    whole: Floats

    @classmethod
    def of(cls, people: Floats, whole: Floats, minimum: int, *, ordered: bool) -> Self:
        """Return how cells are blurred that so many people of the stratum are in, (cells,)."""
        few = (people > 0) & (people < minimum - 1e-9)
        if not ordered or not few.any():
            return cls(np.arange(people.size), np.ones(people.size), few, whole)
        group = np.zeros(people.size, dtype=np.int64)
        weight = whole.copy()
        last, filled = 0, 0.0
        for cell, counted in enumerate(people):  # over cells, of which there are few
            full = filled >= minimum - 1e-9
            if counted == 0 and (full or filled == 0):
                weight[cell] = 0.0
            elif full:
                last, filled = last + 1, 0.0
            group[cell] = last
            filled += counted
        if filled < minimum - 1e-9 and last > 0:
            group[group == last] = last - 1
        weight[int(np.flatnonzero(people)[-1]) + 1 :] = 0.0
        return cls(group, weight, np.zeros_like(few), whole)

    def shares(self, counted: Floats) -> Floats:
        """Return the cells' shares in the stratum, from the rows counted in each.

        Where no row is in any, they are those of all rows: the column is empty in the stratum.
        """
        if counted.sum() <= 0:
            return self.whole
        together = np.bincount(self.group, counted) / np.bincount(self.group, self.weight)
        shares = together[self.group] * self.weight / counted.sum()
        shares = np.where(self.few, self.whole, shares)
        return np.asarray(shares / shares.sum())
