"""A law of factors and the links of all variables: one model, calibrated, to draw cells from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from sfumato.synthesis.latent_factor.factor_law import FactorLaw
from sfumato.synthesis.latent_factor.factor_variables import FactorVariable, read_link

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from sfumato.synthesis.latent_factor.links import Link

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

__all__ = ["FactorModel"]


@dataclass(frozen=True, eq=False)
class FactorModel:
    """One set of parameters.

    Parameters
    ----------
    law
        Law of the factors.
    links
        Calibrated link of each variable.
    """

    law: FactorLaw
    links: tuple[Link, ...]

    @classmethod
    def calibrated(cls, law: FactorLaw, links: Sequence[Link], shares: Sequence[Floats]) -> Self:
        """Return the model whose variables have these shares of their cells."""
        found = [link.calibrated(law, share) for link, share in zip(links, shares, strict=True)]
        return cls(law, tuple(found))

    def cells(
        self,
        design: Floats,
        uniform: Floats,
        variables: Sequence[FactorVariable],
        values: Sequence[int],
        fixed: Mapping[int, int],
    ) -> Integers:
        """Return the cell of each column, shape (n, columns).

        Parameters
        ----------
        design
            Factors of rows, with a column of ones.
        uniform
            Two numbers for each row and variable, shape (variables, n, 2).
        variables
            What the links are links of.
        values
            Number of cells of each column that hold a value.
        fixed
            Cells of columns that are given.
        """
        cells = np.zeros((len(design), len(values)), dtype=np.int64)
        empty = np.zeros(cells.shape, dtype=np.int64)
        for place, variable in enumerate(variables):
            column = variable.column
            if column in fixed:
                continue
            own = self.links[place].draw(design, uniform[place])
            if variable.states:
                empty[:, column] = own if values[column] else np.maximum(own, 1)
            else:
                cells[:, column] = own
        cells = np.where(empty > 0, empty - 1 + np.asarray(values), cells)
        for column, cell in fixed.items():
            cells[:, column] = cell
        return cells

    def chance(
        self,
        design: Floats,
        variables: Sequence[FactorVariable],
        values: Sequence[int],
        fixed: Mapping[int, int],
    ) -> Floats:
        """Return the chance of rows to have the given cells, relative to :meth:`bound`."""
        found = np.ones(len(design))
        for link, own in self._fixed(variables, values, fixed):
            found *= link.chance(design, own)
        return found

    def bound(
        self, variables: Sequence[FactorVariable], values: Sequence[int], fixed: Mapping[int, int]
    ) -> float:
        """Return a bound of the chance of any row to have the given cells."""
        found = 1.0
        for link, own in self._fixed(variables, values, fixed):
            found *= link.highest(own)
        return found

    def _fixed(
        self, variables: Sequence[FactorVariable], values: Sequence[int], fixed: Mapping[int, int]
    ) -> Iterator[tuple[Link, int]]:
        """Yield the links of given columns, with the cell that each has to give."""
        for link, variable in zip(self.links, variables, strict=True):
            if variable.column not in fixed:
                continue
            cell = np.array([fixed[variable.column]])
            own = int(variable.own(cell, values[variable.column])[0])
            if own >= 0:
                yield link, own

    def to_dict(self) -> dict[str, Any]:
        """Return the model as plain JSON values."""
        return {"law": self.law.to_dict(), "links": [link.to_dict() for link in self.links]}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Return the model that :meth:`to_dict` described."""
        links = tuple(read_link(one) for one in values["links"])
        return cls(FactorLaw.from_dict(values["law"]), links)
