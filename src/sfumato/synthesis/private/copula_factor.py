"""A Gaussian copula with few factors, learned from one noisy matrix of second moments.

Each column is cut from a normal variable at the noisy shares of its cells. A row's cells are scored
by the mean of that variable in each, and the sum over rows of the products of scores is all that is
asked of the data. The categories of a column lie on one axis, the most frequent first: ties between
categories that are no line are lost, so that the hidden classes are mostly better. It is
the quicker model, and asks for fewer numbers.

The scores are whole numbers of 1/256, a row is shrunk to a bounded length, rounding is towards 0:
the matrix is one of integers, and a row moves it by at most the squared length.

References
----------
Y. Zhang, X. Xu, L. Tang, A. Qu, JMLR 25 (2024), for the model. C. Dwork, K. Talwar, A. Thakurta,
L. Zhang, "Analyze Gauss", STOC 2014, for noise on second moments.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from sfumato.privacy.differential.noise import DiscreteGaussian

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from sfumato.privacy.differential.ledger import Ledger

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]
    Codes = NDArray[np.int16]

__all__ = ["CopulaFactor", "fit_copula_factor"]

_GRID = 256
_LENGTH = 1.5  # times the root of the number of columns: beyond, a row is shrunk
_MOST = 0.98  # of a correlation
_BLOCK = 20_000  # rows at a time
_PATIENCE = 200  # blocks without one row that has all given values


@dataclass(frozen=True, eq=False)
class CopulaFactor:
    """Factors, and where each column is cut.

    Parameters
    ----------
    loadings
        How strongly each column's normal variable leans on each factor, shape (columns, factors);
        the squares of a row sum to below 1, and the rest is its own.
    shares
        Shares of each column's cells, in the order of its axis.
    order
        The cell at each place of the axis.
    given_cells
        Cells that every drawn row has, by the place of the column.
    """

    loadings: Floats
    shares: tuple[Floats, ...]
    order: tuple[Integers, ...]
    given_cells: Mapping[int, int]

    @property
    def described(self) -> str:
        """What explains the columns, in words."""
        return f"{self.loadings.shape[1]} factors"

    def given(self, cells: Mapping[int, int]) -> tuple[Self, float]:
        """Return the model of the rows with given cells, and 1: their share is seen when drawn."""
        return type(self)(self.loadings, self.shares, self.order, dict(cells)), 1.0

    def sample(self, n: int, random: np.random.Generator) -> Integers:
        """Return ``n`` rows of cells, shape (n, columns).

        Rows without the given cells are thrown away. If none of four million rows has them, an
        empty array is returned.
        """
        if not self.given_cells:
            return self._drawn(n, random)
        kept: list[Integers] = []
        found = 0
        for block in range(n * _PATIENCE):
            rows = self._drawn(_BLOCK, random)
            places = list(self.given_cells)
            wanted = np.array([self.given_cells[place] for place in places])
            kept.append(rows[(rows[:, places] == wanted).all(axis=1)])
            found += len(kept[-1])
            if found >= n or (block >= _PATIENCE and not found):
                break
        return np.concatenate(kept)[:n]

    def _drawn(self, n: int, random: np.random.Generator) -> Integers:
        from scipy.special import ndtr

        own = np.sqrt(1 - (self.loadings**2).sum(axis=1))
        factors = random.standard_normal((n, self.loadings.shape[1]))
        rows = np.empty((n, len(self.shares)), dtype=np.int64)
        for place, shares in enumerate(self.shares):
            normal = factors @ self.loadings[place] + own[place] * random.standard_normal(n)
            cut = np.cumsum(shares)[:-1]
            rows[:, place] = self.order[place][np.searchsorted(cut, ndtr(normal), side="right")]
        return rows

    def to_dict(self) -> dict[str, Any]:
        """Return the model as plain JSON values."""
        return {
            "loadings": self.loadings.tolist(),
            "shares": [one.tolist() for one in self.shares],
            "order": [one.tolist() for one in self.order],
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Return the model that :meth:`to_dict` described."""
        return cls(
            np.array(values["loadings"], dtype=np.float64),
            tuple(np.array(one, dtype=np.float64) for one in values["shares"]),
            tuple(np.array(one, dtype=np.int64) for one in values["order"]),
            {},
        )


def fit_copula_factor(
    codes: Sequence[Codes],
    shares: Sequence[Floats],
    ordered: Sequence[bool],
    missing: Sequence[bool],
    rows: float,
    ledger: Ledger,
    *,
    share: Fraction,
    factors: int,
) -> CopulaFactor:
    """Return the model.

    Parameters
    ----------
    codes
        The cell of each row in each column, shape (n,) each; the number of cells if not learned.
    shares
        Noisy shares of each column's cells, summing to 1.
    ordered
        Whether a column's cells have an order.
    missing
        Whether a column's last cell stands for missing: it is laid in the middle of the axis, where
        it is neither high nor low.
    rows
        Noisy number of rows.
    ledger
        The account.
    share
        Share of the budget.
    factors
        Number of factors.
    """
    from scipy.special import ndtri

    width = len(codes)
    order = [_axis(*one) for one in zip(shares, ordered, missing, strict=True)]
    scores, spread = [], np.empty(width)
    for place, one in enumerate(shares):
        along = one[order[place]]
        edges = ndtri(np.concatenate([[0.0], np.minimum(np.cumsum(along), 1.0)]))
        edges[-1] = np.inf
        density = np.exp(-(edges**2) / 2) / np.sqrt(2 * np.pi)
        mean = (density[:-1] - density[1:]) / np.maximum(along, 1e-12)
        table = np.zeros(along.size + 1)  # the last: not learned
        table[order[place]] = np.clip(mean, -6, 6)
        scores.append(table)
        spread[place] = max(float(along @ np.clip(mean, -6, 6) ** 2), 1e-6)
    bound = round(_LENGTH * _GRID * np.sqrt(width))
    # a row z moves the upper triangle of the sum of zz' by at most |z|**2 in Euclidean length
    squared = ledger.budget.count_sensitivity().squared * bound**4
    mechanism = DiscreteGaussian(
        sigma_squared=ledger.budget.share(share).gaussian_variance(squared),
        sensitivity_squared=Fraction(squared),
    )
    ledger.charge("second moments of all columns", mechanism)
    moments = np.zeros((width, width), dtype=np.int64)
    for start in range(0, len(codes[0]), _BLOCK):
        part = slice(start, start + _BLOCK)
        scored = np.column_stack(
            [table[one[part]] for table, one in zip(scores, codes, strict=True)]
        )
        length = np.sqrt((scored**2).sum(axis=1, keepdims=True)) * _GRID
        scaled = scored * _GRID * np.minimum(1.0, bound * (1 - 1e-9) / np.maximum(length, 1e-9))
        whole = np.trunc(scaled).astype(np.int64)
        moments += whole.T @ whole
    upper = np.triu_indices(width)
    noisy = np.zeros((width, width))
    noisy[upper] = mechanism.release(moments[upper], ledger.words) / (_GRID**2 * rows)
    noisy = noisy + np.triu(noisy, 1).T
    correlation = np.clip(noisy / np.outer(spread, spread), -_MOST, _MOST)
    np.fill_diagonal(correlation, 1.0)
    return CopulaFactor(
        _loadings(correlation, min(factors, width)), _along(shares, order), tuple(order), {}
    )


def _along(shares: Sequence[Floats], order: Sequence[Integers]) -> tuple[Floats, ...]:
    return tuple(one[place] for one, place in zip(shares, order, strict=True))


def _axis(shares: Floats, ordered: bool, missing: bool) -> Integers:
    """Return the cells along the axis: as they are, or the most frequent first."""
    there = shares[:-1] if missing else shares
    axis = np.argsort(-there, kind="stable")
    if ordered or there.size < 3:
        axis = np.arange(there.size)
    if missing:
        middle = int(np.searchsorted(np.cumsum(there[axis]), there.sum() / 2))
        axis = np.insert(axis, middle, there.size)
    return axis.astype(np.int64)


def _loadings(correlation: Floats, factors: int) -> Floats:
    """Return principal factors of a correlation matrix, their own parts found by iteration."""
    own = np.full(len(correlation), 0.5)
    for _ in range(50):
        reduced = correlation - np.diag(own)
        values, vectors = np.linalg.eigh(reduced)
        kept = np.maximum(values[-factors:], 0)
        loadings = vectors[:, -factors:] * np.sqrt(kept)
        own = 1 - np.minimum((loadings**2).sum(axis=1), _MOST)
    length = (loadings**2).sum(axis=1, keepdims=True)
    shrunk = loadings * np.sqrt(np.minimum(1.0, _MOST / np.maximum(length, 1e-12)))
    return np.asarray(shrunk, dtype=np.float64)
