"""How the factors speak of one column: its likelihood, and how its cells are drawn.

A link has a linear predictor of the factors (several, if multinomial) and a likelihood. It can take
one Newton step towards its most likely coefficients, or draw them about there; it can be
calibrated, so that the column keeps its own distribution whatever the link cannot hold.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sfumato.synthesis.latent_factor.factor_law import FactorLaw

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]
    Flags = NDArray[np.bool_]

__all__ = ["Link", "Seen", "moved"]

_LOADING_PRECISION, _INTERCEPT_PRECISION = 0.25, 0.01
_MOST_MOVE = 2.0  # of a coefficient in one Newton step


@dataclass(frozen=True, eq=False)
class Seen:
    """What was seen of one variable.

    Parameters
    ----------
    there
        Whether a row has a value, shape (n,); the others tell nothing.
    codes
        Its cell or group of cells, shape (n,), anything where it is not there.
    numbers
        Its normal score or count, shape (n,), 0 where it is not there.
    """

    there: Flags
    codes: Integers
    numbers: Floats

    def rows(self, chosen: Integers | Flags | slice) -> Seen:
        """Return the same of some rows."""
        return Seen(self.there[chosen], self.codes[chosen], self.numbers[chosen])


@dataclass(frozen=True, eq=False)
class Link(ABC):
    """A likelihood and its coefficients.

    Parameters
    ----------
    coefficients
        Intercepts and loadings of the linear predictors, shape (1 + factors, predictors).
    share
        Share of each of the variable's cells among the rows with a value, shape (cells,).
    """

    coefficients: Floats
    share: Floats

    name: ClassVar[str]

    def predictors(self, design: Floats) -> Floats:
        """Return the linear predictors of rows, shape (n, predictors).

        Parameters
        ----------
        design
            A column of ones and the factors, shape (n, 1 + factors).
        """
        return np.asarray(design @ self.coefficients)

    @abstractmethod
    def scores(self, design: Floats, seen: Seen) -> tuple[Floats, Floats]:
        """Return log likelihoods, (n,), and their slopes along predictors, (n, predictors)."""

    @abstractmethod
    def curvature(self, factors: int) -> Floats:
        """Return the mean curvature of the log likelihood along the factors, (factors, factors)."""

    @abstractmethod
    def updated(
        self, design: Floats, seen: Seen, step: float, random: np.random.Generator | None
    ) -> Self:
        """Return the link after a Newton step, of which a share is taken.

        With ``random`` the coefficients are drawn from the normal approximation of their posterior
        about where a whole step leads.
        """

    @abstractmethod
    def calibrated(self, law: FactorLaw, share: Floats) -> Self:
        """Return the link so that under a law of factors its cells have these shares."""

    @abstractmethod
    def draw(self, design: Floats, uniform: Floats) -> Integers:
        """Return cells of rows, from two uniform numbers each, shape (n, 2)."""

    @abstractmethod
    def chance(self, design: Floats, cell: int) -> Floats:
        """Return each row's chance of a cell, relative to :meth:`highest`."""

    def highest(self, cell: int) -> float:
        """Return a bound of the chance that any row can have of a cell, above 0 if there is one."""
        return 1.0 if self.share[cell] > 0 else 0.0

    def rotated(self, mean: Floats, root: Floats) -> Self:
        """Return the same link for factors ``root^-1 (z - mean)`` instead of z."""
        loadings = self.coefficients[1:]
        first = self.coefficients[:1] + mean @ loadings
        return replace(self, coefficients=np.vstack([first, root.T @ loadings]))

    def to_dict(self) -> dict[str, Any]:
        """Return the link as plain JSON values."""
        values = {
            name: getattr(self, name) for name in self.__dataclass_fields__ if name not in ("name",)
        }
        return {
            "link": self.name,
            **{
                name: value.tolist() if isinstance(value, np.ndarray) else value
                for name, value in values.items()
            },
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Return the link that :meth:`to_dict` described."""
        return cls(
            **{
                name: (np.asarray(value) if isinstance(value, list) else value)
                for name, value in values.items()
                if name != "link"
            }
        )


def precision_of(width: int) -> Floats:
    """Return the prior precision of an intercept and loadings, shape (width,)."""
    found = np.full(width, _LOADING_PRECISION)
    found[0] = _INTERCEPT_PRECISION
    return found


def moved(
    values: Floats,
    slope: Floats,
    hessian: Floats,
    step: float,
    random: np.random.Generator | None,
) -> Floats:
    """Return coefficients after a Newton step, or a normal draw about where it leads.

    Parameters
    ----------
    values, slope
        Coefficients, and the slope of their log posterior, shape (d,).
    hessian
        Its negative second derivatives, shape (d, d).
    step
        Share of the step.
    random
        None, or where a draw comes from.
    """
    root = np.linalg.cholesky(hessian)
    move = np.linalg.solve(root.T, np.linalg.solve(root, slope))
    move *= min(1.0, _MOST_MOVE / max(float(np.abs(move).max()), 1e-12))
    if random is not None:
        return np.asarray(
            values + move + np.linalg.solve(root.T, random.standard_normal(values.size))
        )
    return np.asarray(values + step * move)
