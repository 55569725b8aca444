"""Select, measure, fit, again and again, until the budget is spent.

In each round the candidates are scored by how far the model is from the table on them, less what
noise alone would put between the two; one is chosen privately, measured with noise, and the model
fitted anew. A round costs its share of what is left; where a measurement taught no more than its
noise, the rounds to come are made half as noisy. At last the pairs of columns that lie in no clique
together are measured all at once, and the model is bent to them.

The score of a candidate is ``weight (|x - m|_1 - noise cells sqrt(2 / pi))`` with x the counts, m
the model's, both whole numbers of sixteenths of a row. One row more moves one cell of x, so a score
moves by at most the weight. It can rise for one candidate and fall for another: it is not
monotonic, and the mechanism is told so.

References
----------
R. McKenna, B. Mullins, D. Sheldon, G. Miklau, "AIM: an adaptive and iterative mechanism for
differentially private synthetic data", VLDB 2022 (Algorithms 1 to 4).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from sfumato.privacy.differential.choices import ExponentialMechanism
from sfumato.progress import Progress, silent
from sfumato.synthesis.private.marginals.all_pairs import pair_marginals
from sfumato.synthesis.private.marginals.candidates import Candidate
from sfumato.synthesis.private.marginals.fitting import Measured, fitted, grouped
from sfumato.synthesis.private.marginals.graphical_model import GraphicalModel
from sfumato.synthesis.private.marginals.junction_tree import (
    JunctionTree,
    cells_of,
    neighbours,
)
from sfumato.synthesis.private.marginals.propagation import Floats
from sfumato.synthesis.private.marginals.tilting import apart, fitted_tilts

if TYPE_CHECKING:
    from sfumato.synthesis.private.noisy_counting import NoisyCounting

    Integers = npt.NDArray[np.int64]

__all__ = ["Adaptive", "Start"]

_UNITS = 16  # of a row, in which model and table are compared
_MEAN_ABSOLUTE = math.sqrt(2 / math.pi)  # of a normal number of deviation 1
_ROWS = (10_000, 100_000)  # of the tree, from which the fit of pairs beyond estimates
_TIMES = 2.5  # rows of the tree for each row of the table, within these bounds
_CAUTION = 4.0  # times the trust of what is chosen: pairs beyond are measured, not chosen
_MOST_APART = Fraction(1, 2)  # of all pairs, for which nothing is kept
_FULL = 4.0  # deviations of noise that a group holds on average
_MOST_TRIPLES = 300  # without the target that are offered in one round


@dataclass(frozen=True, eq=False)
class Start:
    """What the model begins with.

    Parameters
    ----------
    measured
        Each column by itself.
    tables
        Logarithms of tables whose product the model departs from, each with its columns: public
        data, structural zeros.
    """

    measured: Sequence[Measured]
    tables: Sequence[tuple[tuple[int, ...], Floats]] = ()


@dataclass(eq=False)
class Adaptive:
    """The loop over rounds, and its state.

    Parameters
    ----------
    codes
        The cell of each row in each column, ``sizes[j]`` where it is not learned: **data**.
    sizes
        Number of cells of each column.
    rows
        Noisy number of rows.
    offered
        Candidates.
    start
        What the model begins with.
    counting
        Counts with noise and pays for it.
    share
        Share of the whole budget that is spent here.
    rounds
        Number of rounds, if none is made less noisy.
    selection
        Share of each round for the choice.
    most_cells
        Most cells of the junction tree.
    trust
        See :func:`fitting.fitted`.
    target
        Place of the target, or None.
    steps
        Most steps of a fit within a round, of the last fit, and of the fit of pairs beyond.
    beyond
        Share of the whole budget that is kept for pairs that come to lie in no clique together,
        if that were all pairs; of fewer it is as much less.
    levels
        Groupings of each column.
    """

    codes: Sequence[npt.NDArray[np.int16]]
    sizes: Sequence[int]
    rows: float
    offered: Sequence[Candidate]
    start: Start
    counting: NoisyCounting
    share: Fraction
    rounds: int
    selection: Fraction
    most_cells: int
    trust: float
    target: int | None
    steps: tuple[int, int, int]
    beyond: Fraction
    levels: Sequence[Sequence[Integers]]
    measured: list[Measured] = field(default_factory=list)
    potentials: list[Floats] = field(default_factory=list)
    _graph: list[int] = field(default_factory=list)
    _exact: dict[tuple[int, ...], Integers] = field(default_factory=dict)

    def run(self, progress: Progress = silent) -> GraphicalModel:
        """Spend the share and return the model of all that was measured."""
        self.measured = list(self.start.measured)
        sets = [one.columns for one in self.measured] + [
            columns for columns, _ in self.start.tables
        ]
        model = self._fitted(sets, self.steps[0])
        left, part, turn = self.share, self.share / self.rounds, 0
        while left > (kept := self._kept(model.tree)):
            progress(
                "choosing and measuring marginals", float(self.share - left), float(self.share)
            )
            if left - kept < 2 * part:
                part = left - kept
            feasible = self._feasible(sets)
            if not feasible:
                break
            chosen = self._chosen(model, feasible, part, turn)
            deviation = self._measure(chosen, part)
            left -= part
            turn += 1
            sets.append(chosen.columns)
            before = grouped(model.marginal(chosen.columns), chosen.groups)
            model = self._fitted(sets, self.steps[0])
            after = grouped(model.marginal(chosen.columns), chosen.groups)
            taught = float(np.abs(after - before).sum()) * self.rows
            if taught <= _MEAN_ABSOLUTE * deviation * chosen.size:
                part = min(4 * part, left)
        progress("choosing and measuring marginals", 1, 1)
        model = self._fitted(sets, self.steps[1])
        bent = self.beyond > 0 and left > 0 and apart(model.tree)
        return self._tilted(model, left) if bent else model

    def _kept(self, tree: JunctionTree) -> Fraction:
        """Return what is not spent within cliques; less as ever more pairs lie in one.

        Nothing, once half of all pairs do: what is chosen within then teaches more.
        """
        share = Fraction(len(apart(tree)), math.comb(len(self.sizes), 2))
        return self.beyond * share if share > _MOST_APART else Fraction(0)

    def _tilted(self, model: GraphicalModel, left: Fraction) -> GraphicalModel:
        """Measure all pairs that lie in no clique together, and bend the model to them.

        Which pairs these are, and how coarse each is taken, follows from noisy answers.
        """
        pairs = apart(model.tree)
        share = left / len(pairs)
        self.counting.pay(share, "pairs of columns that no clique holds", len(pairs))
        new = []
        for pair in pairs:
            groups = self._groups(pair, share)
            counts = np.ascontiguousarray(grouped(self._counted(pair), groups))
            noisy, deviation = self.counting.noised(counts, share)
            new.append(Measured(pair, groups, noisy / self.rows, deviation / self.rows))
        # from here on the counts are given: only post-processing
        trust = self.trust * self.rows
        n = int(np.clip(_TIMES * self.rows, *_ROWS))
        rows, others = (model.sample(n, np.random.default_rng(seed)) for seed in range(2))
        tilts = fitted_tilts(
            rows,
            others,
            self.measured,
            new,
            trust=(trust, _CAUTION * trust),
            steps=self.steps[2],
        )
        return GraphicalModel(model.tree, model.tables, tuple(tilts))

    def _groups(self, pair: tuple[int, int], share: Fraction) -> tuple[Integers, ...]:
        """Return the finest groups with people enough in each, on average, for the noise."""
        deviation = float(self.counting.mechanism(share).sigma_squared) ** 0.5
        offered = list(itertools.product(*(self.levels[one] for one in pair)))
        sizes = [math.prod(int(one.max()) + 1 for one in groups) for groups in offered]
        within = [k for k, size in enumerate(sizes) if self.rows >= _FULL * deviation * size]
        if not within:
            return offered[int(np.argmin(sizes))]
        return offered[max(within, key=lambda k: sizes[k])]

    def _fitted(self, sets: Sequence[tuple[int, ...]], steps: int) -> GraphicalModel:
        tree = JunctionTree.of(self.sizes, [*sets, *((one,) for one in range(len(self.sizes)))])
        tables, self.potentials = fitted(
            tree,
            self.measured,
            self.start.tables,
            trust=self.trust * self.rows,
            steps=steps,
            warm=self.potentials,
        )
        return GraphicalModel(tree, tuple(tables))

    def _feasible(self, sets: Iterable[tuple[int, ...]]) -> list[Candidate]:
        """Return the candidates with which the junction tree stays within bounds.

        What once does not fit is not tried again: the graph only grows.
        """
        graph = neighbours(len(self.sizes), sets)
        if graph != self._graph:
            self._graph = graph
            held = {one.columns for one in self.offered}
            fitting = {columns for columns in held if self._fits(graph, columns)}
            self.offered = [one for one in self.offered if one.columns in fitting]
        return list(self.offered)

    def _fits(self, graph: Sequence[int], columns: tuple[int, ...]) -> bool:
        more = neighbours(len(self.sizes), [columns])
        joined = [a | b for a, b in zip(graph, more, strict=True)]
        return joined == graph or (cells_of(self.sizes, joined, self.most_cells) <= self.most_cells)

    def _chosen(
        self, model: GraphicalModel, feasible: Sequence[Candidate], part: Fraction, turn: int
    ) -> Candidate:
        budget = self.counting.ledger.budget
        noise = float(self.counting.mechanism(part * (1 - self.selection)).sigma_squared) ** 0.5
        if self.target is None or any(
            len(one.columns) > 2 and self.target not in one.columns for one in feasible
        ):
            feasible = _fewer(feasible, turn)
        cost = budget.share(part * self.selection)
        mechanism = ExponentialMechanism(
            epsilon=cost.exponential_epsilon,
            sensitivity=_UNITS
            * budget.count_sensitivity().total
            * max(one.weight for one in feasible),
            monotonic=False,
        )
        # paid before the table is compared with the model
        self.counting.ledger.charge("choice of the next marginal", mechanism)
        apart = self._apart(model, {one.columns for one in feasible})
        scores = np.array(
            [
                one.weight
                * (
                    int(np.abs(grouped(apart[one.columns], one.groups)).sum())
                    - round(_UNITS * _MEAN_ABSOLUTE * noise * one.size)
                )
                for one in feasible
            ],
            dtype=np.int64,
        )
        return feasible[int(mechanism.release(scores, self.counting.ledger.words))]

    def _apart(
        self, model: GraphicalModel, wanted: Iterable[tuple[int, ...]]
    ) -> dict[tuple[int, ...], Integers]:
        """Return table less model in units, whole numbers, for each set of columns."""
        offsets = np.concatenate([[0], np.cumsum(self.sizes)])
        wanted = sorted(wanted)

        def block(matrix: Floats, first: int, second: int) -> Floats:
            return matrix[
                offsets[first] : offsets[first + 1], offsets[second] : offsets[second + 1]
            ]

        joint = pair_marginals(model.tree, model.tables)
        within: list[Floats] = []
        if any(len(one) == 3 and self.target in one for one in wanted) and self.target is not None:
            for cell in range(self.sizes[self.target]):
                part, chance = model.given({self.target: cell})
                within.append(pair_marginals(part.tree, part.tables) * chance)
        found = {}
        for columns in wanted:
            if len(columns) == 2:
                shares = block(joint, *columns)
            elif self.target in columns:
                first, second = (one for one in columns if one != self.target)
                shares = np.stack(
                    [block(matrix, first, second) for matrix in within],
                    axis=columns.index(self.target),
                )
            else:
                shares = model.marginal(columns)
            modelled = np.rint(_UNITS * self.rows * shares).astype(np.int64)
            found[columns] = _UNITS * self._counted(columns) - modelled
        return found

    def _counted(self, columns: tuple[int, ...]) -> Integers:
        """Return the exact counts of a set of columns: **data**, for scores and noise only."""
        if columns not in self._exact:
            shape = tuple(self.sizes[one] + 1 for one in columns)
            key = np.zeros(len(self.codes[0]), dtype=np.int64)
            for one, size in zip(columns, shape, strict=True):
                key = key * size + self.codes[one]
            counts = np.bincount(key, minlength=math.prod(shape)).reshape(shape)
            self._exact[columns] = counts[(slice(0, -1),) * len(columns)].copy()
        return self._exact[columns]

    def _measure(self, chosen: Candidate, part: Fraction) -> float:
        share = part * (1 - self.selection)
        self.counting.pay(share, "a chosen marginal")
        counts = grouped(self._counted(chosen.columns), chosen.groups)
        noisy, deviation = self.counting.noised(np.ascontiguousarray(counts), share)
        self.measured.append(
            Measured(chosen.columns, chosen.groups, noisy / self.rows, deviation / self.rows)
        )
        return deviation


def _fewer(feasible: Sequence[Candidate], turn: int) -> list[Candidate]:
    """Return the candidates of all pairs, and of some triples that are drawn without the data."""
    triples = sorted({one.columns for one in feasible if len(one.columns) > 2})
    if len(triples) <= _MOST_TRIPLES:
        return list(feasible)
    random = np.random.default_rng(turn)
    kept = {triples[at] for at in random.choice(len(triples), _MOST_TRIPLES, replace=False)}
    return [one for one in feasible if len(one.columns) == 2 or one.columns in kept]
