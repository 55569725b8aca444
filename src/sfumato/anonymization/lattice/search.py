"""The best node of a lattice, with proof: branch and bound over boxes of nodes.

A box is all nodes between a finest and a most general one. Nothing inside can cost less than the
floor of its finest node together with the penalty of its most general one (see
:mod:`~sfumato.anonymization.lattice.objectives`), and if even its most general node must suppress
more rows than are allowed, nothing inside is allowed. The box of the least bound is parted next, by
one level of the column that raises the bound most, until no box can hold a better node than the
best found. The least bound that is left says how far from the optimum a search was that was
stopped.
"""

from __future__ import annotations

import heapq
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from sfumato.anonymization.lattice.criteria import LatticePromise
from sfumato.anonymization.lattice.lattice import Lattice, Levels
from sfumato.anonymization.lattice.node_counting import Node, NodeCounter
from sfumato.anonymization.lattice.objectives import Objective
from sfumato.progress import Progress, silent

__all__ = ["Found", "Judged", "NodeJudge", "Stop", "find_best"]

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

_ALIKE = 1e-11  # values of the measure that differ by less, relatively, are equal
_TASK = "searching the lattice"


@dataclass(frozen=True)
class Judged:
    """What was found at one node.

    Parameters
    ----------
    levels
        Level of each column, shape (q,).
    value
        The measure of loss; infinite if the node is not allowed.
    classes
        Classes that are kept.
    suppressed_rows
        Rows of all others.
    open
        Whether a finer node could be allowed.
    floor, penalty
        What bounds the nodes above and below; None where it is not needed.
    cost
        The measure even if more rows are suppressed than allowed, for searches that pass such
        nodes; infinite where it was not asked for.
    """

    levels: Levels
    value: float
    classes: int
    suppressed_rows: int
    open: bool
    floor: Floats | None
    penalty: Floats | None
    cost: float = math.inf

    @property
    def rank(self) -> tuple[int, int, Levels]:
        """Who goes first among equal values: more classes, then finer levels."""
        return (-self.classes, sum(self.levels), self.levels)

    def better_than(self, other: Judged | None) -> bool:
        """Return whether this node is preferred."""
        if math.isinf(self.value):
            return False
        if other is None:
            return True
        margin = _ALIKE * max(abs(self.value), abs(other.value))
        if abs(self.value - other.value) > margin:
            return self.value < other.value
        return self.rank < other.rank


@dataclass
class Stop:
    """When a search gives up proving.

    Parameters
    ----------
    checks
        Nodes that may be counted; None for no limit. The same limit gives the same result.
    seconds
        Time; None for no limit. What is found by then depends on the machine.
    """

    checks: int | None = None
    seconds: float | None = None
    _until: float | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        if self.seconds is not None:
            self._until = time.monotonic() + self.seconds

    def reached(self, judge: NodeJudge) -> bool:
        """Return whether it is time to give up."""
        if self.checks is not None and judge.checked >= self.checks:
            return True
        return self._until is not None and time.monotonic() >= self._until


@dataclass(frozen=True)
class Found:
    """The result of a search.

    Parameters
    ----------
    best
        The best node that was found; None if no node that was looked at is allowed.
    bound
        No allowed node costs less; minus infinity if nothing is known.
    optimal
        Whether it is proven that none is better (or that none is allowed).
    checked
        Nodes that were counted.
    """

    best: Judged | None
    bound: float
    optimal: bool
    checked: int

    @property
    def gap(self) -> float | None:
        """How much more than the optimum the best node costs at most, as a share of it."""
        if self.best is None:
            return None
        if self.optimal:
            return 0.0
        if self.bound <= 0:
            return None
        return max(self.best.value / self.bound - 1, 0.0)


class NodeJudge:
    """Counts nodes and remembers what was found.

    Parameters
    ----------
    lattice, counter, promise, objective
        What is searched and how it is judged.
    most_suppressed
        Rows that may be suppressed.
    settle
        What becomes of the classes that keep every criterion, so that the suppressed rows do too;
        by default all are released.
    """

    def __init__(
        self,
        lattice: Lattice,
        counter: NodeCounter,
        promise: LatticePromise,
        objective: Objective,
        most_suppressed: int,
        settle: Callable[[Node, Flags], Flags] | None = None,
    ) -> None:
        self.lattice = lattice
        self.counter = counter
        self.promise = promise
        self.objective = objective
        self.most_suppressed = most_suppressed
        self.costs_wanted = False
        self.best: Judged | None = None
        self._settle = settle
        self._judged: dict[Levels, Judged] = {}

    @property
    def checked(self) -> int:
        """Nodes that were counted."""
        return len(self._judged)

    def at(self, places: Levels) -> Judged:
        """Judge a node, given as places in the lattice's choices."""
        judged = self._judged.get(places)
        if judged is None:
            judged = self._judge(self.lattice.levels(places))
            self._judged[places] = judged
            if judged.better_than(self.best):
                self.best = judged
        return judged

    def _judge(self, levels: Levels) -> Judged:
        node = self.counter.at(levels)
        may, kept = self.promise.judge(node)
        fewest = int(node.rows[~may].sum())
        allowed = fewest <= self.most_suppressed
        floor = self.objective.floor(levels, node) if self.objective.counts_below else None
        if not allowed and not self.costs_wanted:
            return Judged(levels, math.inf, 0, fewest, open=False, floor=floor, penalty=None)
        if allowed and self._settle is not None:
            kept = self._settle(node, kept)
        penalty = self.objective.penalty(node, ~may)
        exact = penalty if kept is may else self.objective.penalty(node, ~kept)
        suppressed = fewest if kept is may else int(node.rows[~kept].sum())
        cost = self.objective.value(node, ~kept, exact)
        found = suppressed <= self.most_suppressed and bool(kept.any())
        # where nobody may be suppressed and a node breaks a criterion, so does every finer one
        closed = suppressed > 0 and self.most_suppressed == 0 and self.promise.joins
        return Judged(
            levels,
            cost if found else math.inf,
            int(kept.sum()),
            suppressed,
            open=allowed and not closed,
            floor=floor,
            penalty=penalty,
            cost=cost,
        )


def find_best(judge: NodeJudge, stop: Stop | None = None, progress: Progress = silent) -> Found:
    """Find the best node of a lattice, or the best that can be found before a stop.

    Parameters
    ----------
    judge
        What is searched; nodes that it has judged already are not counted again, and its best node
        is where the search begins.
    stop
        When to give up.
    progress
        Told the share of the lattice that is settled.

    Returns
    -------
    Found
        Of nodes of equal value that with the most classes, then the finest.

    Notes
    -----
    Branch and bound: A. Land, A. Doig, Econometrica 28(3), 1960. The lattice: P. Samarati,
    "Protecting respondents' identities in microdata release", IEEE TKDE 13(6), 2001.
    """
    stop = stop or Stop()
    lattice, objective = judge.lattice, judge.objective
    total = float(lattice.n_nodes)
    settled = 0.0
    waiting: list[tuple[float, int, Levels, Levels]] = []
    number = 0

    def admit(low: Levels, high: Levels) -> None:
        """Take a box up if it may hold a better node than the best."""
        nonlocal settled, number
        upper = judge.at(high)
        volume = _volume(low, high)
        if not upper.open or upper.penalty is None:
            settled += volume
            return
        if low == high:
            settled += 1
            return
        floor = judge.at(low).floor if objective.counts_below else None
        if floor is None:
            floor = objective.floor(lattice.levels(low), None)
        bound = objective.total(floor + upper.penalty)
        if _beyond(bound, judge.best):
            settled += volume
            return
        number += 1
        heapq.heappush(waiting, (bound, number, low, high))

    admit(lattice.bottom, lattice.top)
    turns = 0
    while waiting:
        bound, _, low, high = waiting[0]
        if _beyond(bound, judge.best):
            waiting.clear()
            break
        if stop.reached(judge):
            break
        heapq.heappop(waiting)
        column = _parted_column(judge, low, high)
        place = high[column] - 1
        admit(low, (*high[:column], place, *high[column + 1 :]))
        admit((*low[:column], place + 1, *low[column + 1 :]), high)
        turns += 1
        if turns % 32 == 0:
            progress(_TASK, min(settled / total, 1.0), 1.0)
    progress(_TASK, 1.0, 1.0)
    best = judge.best
    least = math.inf if best is None else best.value
    if waiting:
        least = min(least, waiting[0][0])
    return Found(best, least, optimal=not waiting, checked=judge.checked)


def _parted_column(judge: NodeJudge, low: Levels, high: Levels) -> int:
    """Return the column whose levels in a box cost most from the finest to the most general."""
    choices, rises = judge.lattice.choices, judge.objective.rises
    best, column = (-math.inf, 0), -1
    for place, (least, most) in enumerate(zip(low, high, strict=True)):
        if most > least:
            of = choices[place]
            found = (rises(place, of[least], of[most]), most - least)
            if found > best:
                best, column = found, place
    return column


def _beyond(bound: float, best: Judged | None) -> bool:
    """Return whether a bound excludes even a node as good as the best."""
    return best is not None and bound > best.value + _ALIKE * max(abs(best.value), abs(bound))


def _volume(low: Levels, high: Levels) -> float:
    return math.prod(float(most - least + 1) for least, most in zip(low, high, strict=True))
