"""A fitted graphical model: its marginals, given values, and rows drawn from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from sfumato.synthesis.private.marginals.junction_tree import JunctionTree
from sfumato.synthesis.private.marginals.propagation import Floats, marginal, normalized
from sfumato.synthesis.private.marginals.tilting import Tilt, chosen_rows

if TYPE_CHECKING:
    import numpy.typing as npt

    Integers = npt.NDArray[np.int64]

__all__ = ["GraphicalModel"]

_GOLDEN = (5**0.5 - 1) / 2
_FORMAT = ".5g"  # of a probability in a file: far below what noise leaves
_LEAST = 1e-12  # a probability below is none
_TIMES = 4  # rows of the tree for each row that is chosen by weight


@dataclass(frozen=True, eq=False)
class GraphicalModel:
    """A junction tree, and the distribution of each clique's residual given its separator.

    Parameters
    ----------
    tree
        The junction tree.
    tables
        Matrices, shape (cells of the separator, cells of the residual), whose rows sum to 1, or to
        0 where the separator's cell is impossible.
    tilts
        What rows are weighted by beyond: ties of columns that lie in no clique together.
    """

    tree: JunctionTree
    tables: tuple[Floats, ...]
    tilts: tuple[Tilt, ...] = ()

    @property
    def described(self) -> str:
        """What explains the columns, in words."""
        widest = max(len(axes) for axes in self.tree.axes)
        beyond = f", bent to {self._beyond} pairs of columns beyond" if self.tilts else ""
        return (
            f"a graphical model of {len(self.tables)} cliques of at most {widest} columns and "
            f"{self.tree.cells:,} cells in all{beyond}"
        )

    @property
    def _beyond(self) -> int:
        apart = [one for one in self.tilts if self.tree.home(one.columns) is None]
        return len(apart)

    def marginal(self, places: Sequence[int]) -> Floats:
        """Return the joint distribution of some columns, one axis each, without the tilts."""
        return marginal(self.tree, self.tables, places)

    def given(self, cells: Mapping[int, int]) -> tuple[Self, float]:
        """Return the model of the rows with given cells, and the share of such rows in the tree.

        Exact: all else is struck from the tables and the rest propagated anew. Tilts stay.

        Parameters
        ----------
        cells
            The given cell by column.
        """
        if not cells:
            return self, 1.0
        potentials = list(self._logarithms)
        for column, cell in cells.items():
            place = next(k for k, own in enumerate(self.tree.residuals) if column in own)
            shape = [1] * len(self.tree.axes[place])
            shape[self.tree.axes[place].index(column)] = self.tree.sizes[column]
            mask = np.full(self.tree.sizes[column], -np.inf)
            mask[cell] = 0.0
            potentials[place] = potentials[place] + mask.reshape(shape)
        tables, total = normalized(self.tree, [table.copy() for table in potentials])
        if not np.isfinite(total):
            return self, 0.0
        return type(self)(self.tree, tuple(tables), self.tilts), float(np.exp(total))

    @cached_property
    def _logarithms(self) -> tuple[Floats, ...]:
        with np.errstate(divide="ignore"):
            return tuple(
                np.log(table).reshape(self.tree.shape(place))
                for place, table in enumerate(self.tables)
            )

    def sample(self, n: int, random: np.random.Generator, *, even: bool = True) -> Integers:
        """Return ``n`` rows of cells, shape (n, columns).

        Clique by clique from the first one on, the residual's cells are drawn for the rows of each
        cell of the separator by systematic sampling: they are met in their shares as evenly as
        whole rows allow. The distribution of a row is the model's; a whole sample lies closer to
        it than rows drawn one by one. Without ``even`` rows are drawn one by one. With tilts four
        times as many are drawn, and chosen from by weight.
        """
        if self.tilts:
            rows = self._drawn(_TIMES * n, random, even=even)
            rows = chosen_rows(rows, self.tilts, n, random, even=even)
            return rows[random.permutation(n)]
        return self._drawn(n, random, even=even)

    def _drawn(self, n: int, random: np.random.Generator, *, even: bool) -> Integers:
        rows = np.empty((n, len(self.tree.sizes)), dtype=np.int64)
        for place, table in enumerate(self.tables):
            separator, residual = self.tree.separators[place], self.tree.residuals[place]
            group = self._keys(rows, separator)
            found = _drawn(table, group, random, even=even)
            shape = tuple(self.tree.sizes[one] for one in residual)
            rows[:, residual] = np.stack(np.unravel_index(found, shape), axis=1)
        return rows[random.permutation(n)]

    def _keys(self, rows: Integers, columns: Sequence[int]) -> Integers:
        key = np.zeros(len(rows), dtype=np.int64)
        for column in columns:
            key = key * self.tree.sizes[column] + rows[:, column]
        return key

    def to_dict(self) -> dict[str, Any]:
        """Return the model as plain JSON values."""
        return {
            "tree": self.tree.to_dict(),
            "tables": [one.ravel().tolist() for one in self.tables],
            "tilts": [one.to_dict() for one in self.tilts],
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Return the model that :meth:`to_dict` described."""
        tree = JunctionTree.from_dict(values["tree"])
        return cls(
            tree,
            tuple(
                np.array(one, dtype=np.float64).reshape(tree.matrix(place))
                for place, one in enumerate(values["tables"])
            ),
            tuple(Tilt.from_dict(one) for one in values.get("tilts", ())),
        )

    @classmethod
    def rounded(
        cls, tree: JunctionTree, tables: Sequence[Floats], tilts: Sequence[Tilt] = ()
    ) -> Self:
        """Return a model whose file holds exactly what the model does."""
        return cls(
            tree,
            tuple(_rounded(np.where(table < _LEAST, 0.0, table)) for table in tables),
            tuple(Tilt(one.columns, one.groups, _rounded(one.logs)) for one in tilts),
        )


def _rounded(table: Floats) -> Floats:
    texts = [format(one, _FORMAT) for one in table.ravel().tolist()]
    return np.array(texts, dtype=np.float64).reshape(table.shape)


def _drawn(table: Floats, group: Integers, random: np.random.Generator, *, even: bool) -> Integers:
    """Return a cell of the residual for each row, whose cell of the separator is ``group``."""
    n, (groups, size) = group.size, table.shape
    # each group has its own stretch [k, k + 1] of one long line of cells
    ends = np.cumsum(table, axis=1)
    ends /= np.where(ends[:, -1:] > 0, ends[:, -1:], 1.0)
    ends = np.minimum(ends, 1.0) + np.arange(groups)[:, None]
    if even:
        order = np.argsort(group + random.random(n))
        counts = np.bincount(group, minlength=groups)
        rank = np.arange(n) - (np.cumsum(counts) - counts)[group[order]]
        # groups of few rows share their chances evenly too
        shift = np.mod(random.random() + _GOLDEN * np.arange(groups), 1.0)
        within = np.empty(n)
        within[order] = (rank + shift[group[order]]) / counts[group[order]]
    else:
        within = random.random(n)
    found = np.searchsorted(ends.ravel(), group + within, side="right") - group * size
    # a probability of 0 is never met: rounding may leave a row behind the last end
    last = size - 1 - np.argmax(table[:, ::-1] > 0, axis=1)
    return np.asarray(np.minimum(np.maximum(found, 0), last[group]), dtype=np.int64)
