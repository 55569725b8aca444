"""Differentially private synthesis by marginals: select, measure, fit a graphical model.

References
----------
R. McKenna, B. Mullins, D. Sheldon, G. Miklau, "AIM: an adaptive and iterative mechanism for
differentially private synthetic data", VLDB 2022. R. McKenna, D. Sheldon, G. Miklau,
"Graphical-model based estimation and inference for differential privacy", ICML 2019.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from sfumato.errors import PlanError, SchemaError
from sfumato.privacy.differential.rationals import Rational
from sfumato.progress import Progress, silent
from sfumato.synthesis.private.latent_generator import PrivateColumn
from sfumato.synthesis.private.marginals.adaptive_measuring import Adaptive, Start
from sfumato.synthesis.private.marginals.candidates import (
    Workload,
    candidates,
    resolutions,
    workload_sets,
)
from sfumato.synthesis.private.marginals.fitting import Measured, fitted
from sfumato.synthesis.private.marginals.graphical_model import GraphicalModel
from sfumato.synthesis.private.marginals.impossible import cut, ranges_of, separated, zeros
from sfumato.synthesis.private.marginals.junction_tree import JunctionTree
from sfumato.synthesis.private.marginals.marginals_generator import MarginalsGenerator
from sfumato.synthesis.private.marginals.public_start import public_tables
from sfumato.synthesis.private.private_synthesizer import CountingSynthesizer

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    from sfumato.synthesis.private.cells import Cells
    from sfumato.synthesis.private.counted_columns import CountedColumns
    from sfumato.synthesis.private.histograms import Histogram
    from sfumato.synthesis.private.marginals.propagation import Floats
    from sfumato.table import Schema

__all__ = ["DPMarginals"]

_STEPS = (30, 300, 100)  # of a fit within a round, of the last fit, of pairs beyond
_MOST_ROUNDS = 80


class DPMarginals(CountingSynthesizer):
    """Learn noisy marginals that are chosen one after the other, and a graphical model of them.

    Parameters
    ----------
    budget
        What is promised, to a row or a person: ``Budget(epsilon=1, delta="1e-9")``. It needs a
        delta above 0, or rho or mu.
    domain
        What each column can hold, known without the data; see :class:`DPLatentFactor`.
    workload
        What is to come out right. "target": all pairs, those with the schema's target ``emphasis``
        times, and all triples with a target of at most ten values; without a target it is "pairs":
        all pairs alike. "triples": all pairs and triples.
    emphasis
        Weight of a pair with the target, a whole number of 1 or more.
    cells
        Most cells of a number in the model, about; 4 to 256.
    singles
        Share of the budget for each column by itself, above 0 and below 1.
    discover
        Share of the budget, 0 or more, with which it is found out what undeclared columns can hold;
        for categories the budget also needs a ``threshold_delta``.
    selection
        Share of each round for the choice of the marginal; the rest measures it.
    beyond
        Share of the budget, 0 or more, for pairs of columns that the graphical model does not hold
        together, to which it is bent: if it held none. It is as much less as it holds more, and
        nothing once it holds half of them.
    rounds
        Number of marginals that are measured, at most; None: four for each column, up to 80. Rounds
        become fewer and less noisy when measurements teach nothing new.
    max_cells
        Most cells of the junction tree: bounds memory and time. A set of columns with which the
        tree would exceed it is not measured.
    smoothing
        How firmly the model keeps to independence (or to public data) where counts are noisy, from
        0: weight of the divergence, as a share of the rows.
    impossible
        Combinations that no row can have: for each its columns' values. One value or, for
        categories, a list; for numbers and dates ``[from, to]``, both included.
    public
        File of rows of the same columns that need no protection and hold nobody of the table's
        people: the model departs from a tree fitted to them instead of from independence.
    insecure_seed
        For tests only: noise from a seed. The model is then **not private**, and says so.
    derived, rules, least_kept
        See :class:`~sfumato.synthesis.private.private_synthesizer.PrivateSynthesizer`: they cost
        nothing.

    Examples
    --------
    >>> from sfumato.privacy.differential import Budget
    >>> DPMarginals(
    ...     budget=Budget(epsilon=1, delta="1e-9"),
    ...     domain={"sex": ["F", "M"], "pregnant": [False, True]},
    ...     impossible=({"sex": "M", "pregnant": True},),
    ... ).workload
    'target'
    """

    workload: Workload = "target"
    emphasis: int = Field(default=4, ge=1, le=1000)
    selection: Rational = Fraction(1, 10)
    beyond: Rational = Fraction(3, 10)
    rounds: int | None = Field(default=None, ge=1)
    max_cells: int = Field(default=100_000, ge=1)
    smoothing: float = Field(default=0.01, ge=0)
    impossible: tuple[dict[str, Any], ...] = ()
    public: str | None = None

    def model_post_init(self, _context: object, /) -> None:
        """Refuse shares that leave nothing for marginals, and a budget that buys no such noise."""
        parts = (self.beyond, self.discover)
        if self.singles <= 0 or min(parts) < 0 or self.singles + sum(parts) >= 1:
            raise PlanError(
                "DPMarginals: singles must be above 0, beyond and discover 0 or more, and all "
                "three together below 1: the chosen marginals get the rest"
            )
        if not 0 < self.selection < 1:
            raise PlanError("DPMarginals: selection must be above 0 and below 1")
        self.budget.share(self.singles).gaussian_variance()

    def learn(
        self, table: pl.DataFrame, schema: Schema, *, progress: Progress = silent
    ) -> MarginalsGenerator:
        """Learn the model of the columns that are not derived; see :meth:`fit`."""
        counted = self.counted(table, schema, progress)
        names, number = counted.names, counted.rows
        rules = ranges_of(self.impossible, names, counted.declared)
        cells, measured = [], []
        for place, histogram in enumerate(counted.histograms):
            ranges = [rule[place] for rule in rules if place in rule]
            own, joined = self._cells(histogram, ranges, number)
            cells.append(joined)
            measured += _single(place, joined, own, number)
        start = Start(measured, zeros(rules, cells) + self._public(counted, cells))
        self._check_possible([one.size for one in cells], start)
        model = self._adaptive(counted, cells, start).run(progress)
        return MarginalsGenerator(
            columns=tuple(
                PrivateColumn(name, str(counted.dtypes[name]), counted.declared[name], one)
                for name, one in zip(names, cells, strict=True)
            ),
            model=GraphicalModel.rounded(model.tree, model.tables, model.tilts),
            draws=(),
            ledger=counted.counting.ledger.to_dict(),
            rows=round(number),
            schema=counted.schema.select(list(names)),
            left_out=counted.left_out,
        )

    def _check_possible(self, sizes: list[int], start: Start) -> None:
        if not start.tables:
            return
        sets = [*((one,) for one in range(len(sizes))), *(columns for columns, _ in start.tables)]
        tree = JunctionTree.of(sizes, sets)
        if tree.cells > max(self.max_cells, sum(sizes)):
            raise PlanError(
                f"DPMarginals: what is declared impossible, and public rows, need a junction tree "
                f"of {tree.cells:,} cells: raise max_cells, or declare less together"
            )
        if not fitted(tree, [], start.tables, trust=0, steps=0)[0][0].any():
            raise PlanError("DPMarginals: what is declared impossible leaves nothing possible")

    def _cells(
        self, histogram: Histogram, ranges: list[list[tuple[int, int]]], rows: float
    ) -> tuple[Histogram, Cells]:
        if not ranges:
            return histogram, histogram.cells(rows / self.cells)
        own = cut(histogram, [one for several in ranges for one in several])
        return own, separated(own.cells(rows / self.cells), own, ranges)

    def _public(
        self, counted: CountedColumns, cells: list[Cells]
    ) -> list[tuple[tuple[int, ...], Floats]]:
        if self.public is None:
            return []
        from sfumato.table import read

        public = read(self.public)
        lacking = [name for name in counted.names if name not in public.columns]
        if lacking:
            raise SchemaError(f"The public rows lack the column {lacking[0]!r}")
        codes = [
            _codes(
                one,
                counted.declared[name].codes(public[name].cast(counted.dtypes[name], strict=False)),
            )
            for name, one in zip(counted.names, cells, strict=True)
        ]
        return public_tables(codes, [one.size for one in cells], self.max_cells)

    def _adaptive(self, counted: CountedColumns, cells: list[Cells], start: Start) -> Adaptive:
        sizes = [one.size for one in cells]
        target = None
        if self.workload == "target" and counted.schema.target in counted.names:
            target = counted.names.index(counted.schema.target)
        levels = []
        for place, one in enumerate(cells):
            shares = np.maximum(start.measured[place].shares, 1e-9)
            levels.append(resolutions(shares, ordered=one.ordered, missing=bool(one.cell[-1] >= 0)))
        sets = workload_sets(sizes, self.workload, target, self.emphasis)
        return Adaptive(
            codes=[_codes(one, of) for one, of in zip(cells, counted.points, strict=True)],
            sizes=sizes,
            rows=counted.rows,
            offered=candidates(sets, levels, target, self.max_cells),
            start=start,
            counting=counted.counting,
            share=counted.rest,
            rounds=self.rounds or min(4 * len(sizes), _MOST_ROUNDS),
            selection=self.selection,
            most_cells=self.max_cells,
            trust=self.smoothing,
            target=target,
            steps=_STEPS,
            beyond=self.beyond,
            levels=levels,
        )


def _single(place: int, cells: Cells, histogram: Histogram, rows: float) -> list[Measured]:
    counts = cells.totals(histogram.counts)
    deviation = float(np.sqrt(cells.totals(histogram.deviation**2).mean()))
    group = np.arange(cells.size, dtype=np.int64)
    shares = counts / max(float(counts.sum()), 1.0)
    return [Measured((place,), (group,), shares, deviation / rows)]


def _codes(cells: Cells, points: NDArray[np.int64]) -> NDArray[np.int16]:
    codes = cells.codes(points)
    return np.where(codes < 0, cells.size, codes).astype(np.int16)
