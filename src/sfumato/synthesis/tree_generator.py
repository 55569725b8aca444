"""What sequential trees learned, and how people who never lived are drawn from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import polars as pl

from sfumato.errors import DataError
from sfumato.progress import Progress, silent
from sfumato.synthesis.codec import Codec
from sfumato.synthesis.generator import Generator, check_sample, not_learned, too_rare
from sfumato.synthesis.rejection import collect_rows
from sfumato.synthesis.tree_growing import Tree

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from sfumato.table import Schema

    Floats = NDArray[np.float64]

__all__ = ["EVIDENCE_OF_FEW", "FEW", "TreeGenerator"]

_BLOCK = 50_000  # rows drawn at a time
_PATIENCE = 20  # blocks after which given values are judged too rare
FEW = 5_000  # people below whom a split needs more evidence
EVIDENCE_OF_FEW = 16.0
_LEAST_GIVEN = 2e-5  # share of draws that must have all given values
_NOT_KEPT = (
    (
        "Not kept: ties among more columns than a path through a tree asks about, and exact rules "
        "such as one column computed from others, unless they are declared."
    ),
    (
        "No formal promise: a sample of invented people is not anonymous by name, and this model "
        "has no differential privacy. Judge it by its measured risks. The model's own file holds "
        "the values of small groups of real people, column by column: keep it as the table itself."
    ),
)


@dataclass(frozen=True, eq=False)
class TreeGenerator(Generator):
    """Fitted sequential trees. Made by :meth:`Trees.fit`.

    Parameters
    ----------
    codec
        How the columns are cut into cells, in the order of the fitted table.
    trees
        A tree for each column, in the order in which the columns are drawn.
    smoothing
        How many rows of its parent's a leaf's donors are joined by.
    leaf
        Least number of people in a leaf.
    evidence
        How many times as much as a split at random every split explains.
    schema
        Schema of the sampled table.
    left_out
        Columns that were not learned, since they identify a person.
    minimum
        Least number of people behind a learned value or cell.
    rows
        Rows learned from.
    """

    codec: Codec
    trees: tuple[Tree, ...]
    smoothing: float
    leaf: int
    evidence: float
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
        shorter one. Rows with given values follow the model's own distribution of such rows
        exactly: a given column is not drawn, and the row is kept with the probability, relative to
        the highest there is, with which its leaf would have given that value. This costs the less,
        the earlier the given columns are in the order of the trees, and nothing for the first.

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
        values = check_sample(n, given, self.codec.names)
        random = np.random.default_rng(seed)
        if not values:
            blocks = []
            for start in range(0, n, _BLOCK):
                size = min(_BLOCK, n - start)
                progress("drawing rows", start, n)
                blocks.append(self._decoded(*self._drawn(random.random((size, self._width)))))
            progress("drawing rows", n, n)
            return pl.concat(blocks)
        fixed = self.codec.given(values)
        shares = {
            tree.target: tree.shares(fixed[tree.target], self.smoothing)
            for tree in self.trees
            if tree.target in fixed
        }

        def refuse(share: float) -> DataError:
            return too_rare(values, share, ", or fit with an `order` that begins with them")

        if any(share.max() == 0 for share in shares.values()):
            raise refuse(0.0)

        def draw(_: int) -> pl.DataFrame:
            uniform = random.random((_BLOCK, self._width + 1))
            cells, within, chance = self._drawn_given(uniform, fixed, shares)
            kept = uniform[:, -1] < chance
            return self.codec.with_given(self._decoded(cells[kept], within[kept]), values)

        return collect_rows(
            draw,
            n,
            block=_BLOCK,
            least=_LEAST_GIVEN,
            patience=_PATIENCE * _BLOCK,
            refuse=refuse,
            progress=progress,
            task="drawing rows with the given values",
        )

    @property
    def _width(self) -> int:
        return len(self.codec.grids)

    def _drawn(self, uniform: Floats) -> tuple[NDArray[np.int32], Floats]:
        """Return cells and places within them, shape (n, columns), column after column."""
        cells, within, _ = self._drawn_given(uniform, {}, {})
        return cells, within

    def _drawn_given(
        self, uniform: Floats, fixed: dict[int, int], shares: dict[int, Floats]
    ) -> tuple[NDArray[np.int32], Floats, Floats]:
        """Return also each row's chance to be kept, from the probabilities of the fixed cells."""
        cells = np.zeros((len(uniform), self._width), dtype=np.int32)
        within = np.zeros(cells.shape)
        chance = np.ones(len(uniform))
        for tree in self.trees:
            place = tree.target
            if place in fixed:
                cells[:, place] = fixed[place]
                within[:, place] = uniform[:, place]
                reached = shares[place][tree.feature < 0].max()
                chance *= tree.shares_of(cells, shares[place]) / reached
                continue
            cells[:, place], within[:, place] = tree.draw(cells, uniform[:, place], self.smoothing)
        return cells, within, chance

    def _decoded(self, cells: NDArray[np.int32], within: Floats) -> pl.DataFrame:
        return self.codec.decode(cells.astype(np.int64), within)

    def describe(self) -> tuple[str, ...]:
        """Return what was learned and what it cannot hold, a sentence each."""
        names = self.codec.names
        order = ", ".join(names[tree.target] for tree in self.trees)
        leaves = sum(tree.leaves for tree in self.trees)
        learned = [
            (
                f"Learned from {self.rows:,} rows: each column by a tree on the columns before it, "
                f"{leaves:,} leaves in all. Order: {order}."
            ),
            (
                f"A value is drawn from a group of at least {self.leaf} people who are alike in "
                f"what was drawn before. No value of a category, and no stretch of a number, that "
                f"fewer than {self.minimum} people share is repeated; within a stretch numbers are "
                f"drawn evenly; an extreme value occurs only if as many people share it."
            ),
        ]
        if self.rows < FEW and self.evidence < EVIDENCE_OF_FEW:
            learned.append(
                f"Warning: {self.rows:,} rows are few: a group of {self.leaf} people is a large "
                f"part of them, and rows drawn from it can lie near its people. Fit with "
                f"`evidence` = {EVIDENCE_OF_FEW:g} or more, or raise `minimum`, and hand out no "
                f"rows before the attacks find no evidence of a leak."
            )
        learned += not_learned(self.left_out, (grid.coding for grid in self.codec.grids))
        return (*learned, *_NOT_KEPT)

    def released_schema(self) -> Schema:
        """Return the schema of the sampled table."""
        return self.schema

    def to_dict(self) -> dict[str, Any]:
        """Return all that :meth:`from_dict` needs, as plain JSON values."""
        return {
            "codec": self.codec.to_dict(),
            "trees": [tree.to_dict() for tree in self.trees],
            "smoothing": self.smoothing,
            "leaf": self.leaf,
            "evidence": self.evidence,
            "schema": self.schema.to_dict(),
            "left_out": list(self.left_out),
            "minimum": self.minimum,
            "rows": self.rows,
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Return the generator that :meth:`to_dict` described."""
        from sfumato.table import Schema

        codec = Codec.from_dict(values["codec"])
        return cls(
            codec=codec,
            trees=tuple(Tree.from_dict(one) for one in values["trees"]),
            smoothing=values["smoothing"],
            leaf=values["leaf"],
            evidence=values.get("evidence", 8.0),  # of models before it was written down
            schema=Schema.from_dict(values["schema"]).select(codec.names),
            left_out=tuple(values["left_out"]),
            minimum=values["minimum"],
            rows=values["rows"],
        )
