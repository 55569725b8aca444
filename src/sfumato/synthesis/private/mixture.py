"""A mixture of products: each row belongs to a hidden class, in which its columns are independent.

With enough classes every table is such a mixture (Dunson & Xing 2009). Any set of columns has a
closed form, so that conditioning on given values only reweights the classes, exactly.

References
----------
P. Lazarsfeld, N. Henry, "Latent structure analysis" (1968). D. Dunson, C. Xing, "Nonparametric
Bayes modeling of multivariate categorical data", JASA 104 (2009), Theorem 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

__all__ = ["Mixture"]

_DIGITS = 7  # a share in a file: far below what noise leaves


@dataclass(frozen=True, eq=False)
class Mixture:
    """Hidden classes and each column's distribution in each.

    Parameters
    ----------
    shares
        Share of each class, shape (classes,), summing to 1.
    tables
        Distribution of each column in each class, the columns side by side, shape
        (classes, cells); a column's part of a row sums to 1.
    sizes
        Number of cells of each column.
    """

    shares: Floats
    tables: Floats
    sizes: tuple[int, ...]

    @property
    def described(self) -> str:
        """What explains the columns, in words."""
        return f"{self.shares.size} hidden classes"

    @cached_property
    def offsets(self) -> Integers:
        """Where each column's cells begin, and the number of cells in all."""
        return np.concatenate([[0], np.cumsum(self.sizes)]).astype(np.int64)

    def column(self, place: int) -> Floats:
        """Return a column's distribution in each class, shape (classes, its cells)."""
        return self.tables[:, self.offsets[place] : self.offsets[place + 1]]

    def marginal(self, places: Sequence[int]) -> Floats:
        """Return the joint distribution of some columns, one axis each."""
        joint = self.shares[:, None]
        for place in places:
            joint = (joint[:, :, None] * self.column(place)[:, None, :]).reshape(len(joint), -1)
        return np.asarray(joint.sum(axis=0).reshape([self.sizes[place] for place in places]))

    def given(self, cells: Mapping[int, int]) -> tuple[Self, float]:
        """Return the mixture of the rows with given cells, and the share of such rows."""
        weights = self.shares.copy()
        for place, cell in cells.items():
            weights = weights * self.column(place)[:, cell]
        total = float(weights.sum())
        if total <= 0:
            return self, 0.0
        return type(self)(weights / total, self.tables, self.sizes), total

    def sample(self, n: int, random: np.random.Generator, *, even: bool = True) -> Integers:
        """Return ``n`` rows of cells, shape (n, columns).

        The classes, and each column's cells in a class, are met in their shares as evenly as whole
        rows allow (stratified sampling), and columns are shuffled against each other within a
        class: the distribution of a row is the mixture's, a whole sample lies closer to it than
        rows drawn one by one. Without ``even`` rows are drawn one by one.
        """
        edges = np.cumsum(self.shares)
        places = (np.arange(n) + random.random()) / n if even else np.sort(random.random(n))
        member = np.searchsorted(edges, places * edges[-1], side="right")
        member = np.minimum(member, edges.size - 1)
        counts = np.bincount(member, minlength=edges.size)
        first = np.cumsum(counts) - counts
        rows = np.empty((n, len(self.sizes)), dtype=np.int64)
        for place, size in enumerate(self.sizes):
            # each class has its own stretch [k, k + 1) of one long line of cells
            ends = np.cumsum(self.column(place), axis=1)
            ends = np.minimum(ends / ends[:, -1:], 1.0) + np.arange(edges.size)[:, None]
            shift = random.random(edges.size)
            within = (np.arange(n) - first[member] + shift[member]) / counts[member]
            if not even:
                within = random.random(n)
            found = np.searchsorted(ends.ravel(), member + within, side="right") - member * size
            shuffled = np.argsort(member + random.random(n))
            rows[shuffled, place] = np.clip(found, 0, size - 1)
        return rows[random.permutation(n)]

    def to_dict(self) -> dict[str, Any]:
        """Return the mixture as plain JSON values."""
        return {
            "shares": self.shares.tolist(),
            "tables": np.round(self.tables, _DIGITS).tolist(),
            "sizes": list(self.sizes),
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Return the mixture that :meth:`to_dict` described."""
        return cls(
            np.array(values["shares"], dtype=np.float64),
            np.array(values["tables"], dtype=np.float64),
            tuple(values["sizes"]),
        )

    @classmethod
    def rounded(
        cls, shares: Floats, tables: NDArray[np.floating[Any]], sizes: tuple[int, ...]
    ) -> Self:
        """Return a mixture whose file holds exactly what the mixture does."""
        exact = np.asarray(np.round(tables, _DIGITS), dtype=np.float64)
        return cls(np.asarray(shares / shares.sum()), exact, sizes)
