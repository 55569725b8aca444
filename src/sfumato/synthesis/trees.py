"""Sequential trees: each column is drawn from people who are alike in the columns drawn before.

The first column is drawn from its own distribution. For each further one a classification or
regression tree (CART) is grown on the columns before it; a row falls through the tree and takes the
cell of a random donor of its leaf. What many columns do together is kept as far as the trees follow
it, and so are ties that are no straight lines. A leaf never holds fewer than ``leaf`` people, and a
number is drawn evenly from its donor's cell, which at least ``minimum`` people share.

References
----------
J. P. Reiter, "Using CART to generate partially synthetic public use microdata", Journal of Official
Statistics 21 (2005); B. Nowok, G. M. Raab, C. Dibben, "synthpop: bespoke creation of synthetic data
in R", Journal of Statistical Software 74 (2016).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from sfumato.errors import PlanError, did_you_mean
from sfumato.progress import Progress, silent
from sfumato.synthesis.codec import Codec, cells_without_gaps, read_table
from sfumato.synthesis.dependence import by_dependence
from sfumato.synthesis.synthesizer import Synthesizer
from sfumato.synthesis.tree_generator import EVIDENCE_OF_FEW, FEW, TreeGenerator
from sfumato.synthesis.tree_growing import grow_tree

if TYPE_CHECKING:
    import polars as pl

    from sfumato.table import Schema

__all__ = ["Trees"]

_EVIDENCE = 8.0


class Trees(Synthesizer):
    """Learn each column by a tree on the columns before it.

    Parameters
    ----------
    leaf
        Least number of people in a leaf, at least ``minimum``; None is ``minimum``.
    evidence
        A group is split only if that explains at least so many times as much as a split at random
        would in expectation; None is 8, and 16 for fewer than 5,000 people. A split that chance
        explains tells of single people and nothing else. At least 0; 0 splits down to ``leaf``, as
        other sequential CART does, and the rows then tell of the people that they were learned
        from.
    smoothing
        How many rows of the wider group around it each leaf's people are joined by: with s, a leaf
        of m rows speaks for m / (m + s) of its own draws. At least 0.
    order
        Order in which the columns are drawn: "by dependence" (the most strongly tied first, the
        schema's target last), "as given" (that of the table), or names of columns that come first;
        the others follow by dependence. With the target first more is learned from the rows, and
        more of the class of single people.
    cells
        Most cells in the distribution of a number.
    minimum, rare, derived, rules, least_kept
        See :class:`~sfumato.synthesis.synthesizer.Synthesizer`.

    Examples
    --------
    >>> Trees(minimum=5, leaf=20).smoothing
    0.0
    """

    leaf: int | None = Field(default=None, ge=2)
    evidence: float | None = Field(default=None, ge=0)
    smoothing: float = Field(default=0.0, ge=0)
    order: Literal["by dependence", "as given"] | tuple[str, ...] = "by dependence"
    cells: int = Field(default=1000, ge=10, le=10_000)

    @model_validator(mode="after")
    def _leaf_holds_minimum(self) -> Self:
        if self.leaf is not None and self.leaf < self.minimum:
            raise ValueError(
                f"leaf = {self.leaf} is below minimum = {self.minimum}: a leaf hands out the "
                f"values of its people, so it needs at least as many"
            )
        return self

    def learn(
        self, table: pl.DataFrame, schema: Schema, *, progress: Progress = silent
    ) -> TreeGenerator:
        """Learn the trees of the columns that are not derived; see ``fit``."""
        read = read_table(table, schema, minimum=self.minimum, rare=self.rare, progress=progress)
        codec, found = Codec.fit(read, minimum=self.minimum, cells=self.cells, progress=progress)
        codes = cells_without_gaps(found, codec.sizes).astype(np.int32)
        order = self._order(codec, codes, read.schema.target)
        leaf = self.minimum if self.leaf is None else self.leaf
        usual = _EVIDENCE if read.people.sum() >= FEW else EVIDENCE_OF_FEW
        evidence = usual if self.evidence is None else self.evidence
        trees = []
        for done, target in enumerate(order):
            progress("growing the trees", done, len(order))
            known = codes[:, target].copy()
            codes[:, target] = found[:, target]  # a row without a learned value teaches none
            trees.append(
                grow_tree(codes, codec.grids, target, order[:done], read.people, leaf, evidence)
            )
            codes[:, target] = known
        progress("growing the trees", len(order), len(order))
        return TreeGenerator(
            codec=codec,
            trees=tuple(trees),
            smoothing=self.smoothing,
            leaf=leaf,
            evidence=evidence,
            schema=read.schema,
            left_out=read.left_out,
            minimum=self.minimum,
            rows=table.height,
        )

    def _order(
        self,
        codec: Codec,
        codes: np.ndarray[tuple[int, int], np.dtype[np.int32]],
        target: str | None,
    ) -> list[int]:
        """Return the numbers of the columns in the order in which they are drawn."""
        if self.order == "as given":
            return list(range(len(codec.grids)))
        first: list[int] = []
        for name in () if isinstance(self.order, str) else self.order:
            if name not in codec.names:
                raise PlanError(
                    f"Trees: order names {name!r}, which is no learned column."
                    f"{did_you_mean(name, codec.names)}"
                )
            if codec.names.index(name) not in first:
                first.append(codec.names.index(name))
        last = [] if target is None or target not in codec.names else [codec.names.index(target)]
        return by_dependence(codes, codec.sizes, first, [one for one in last if one not in first])
