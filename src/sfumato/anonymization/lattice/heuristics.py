"""Good nodes of a lattice that is too large to be searched to the end.

Each way only says which node is judged next; the judge keeps the best. What they find is where the
search with proof begins, which then says how far from the optimum it can be at most.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterator

import numpy as np

from sfumato.anonymization.lattice.choices import Heuristic
from sfumato.anonymization.lattice.lattice import Levels
from sfumato.anonymization.lattice.search import Judged, NodeJudge, Stop
from sfumato.progress import Progress, silent

__all__ = ["search_heuristically"]

_TASK = "looking for a good generalization"
_POPULATION = 60
_ELITE = 12
_IDLE = 20


def search_heuristically(
    heuristic: Heuristic,
    judge: NodeJudge,
    stop: Stop,
    seed: int = 0,
    progress: Progress = silent,
) -> None:
    """Judge promising nodes until a stop, or until there are none left.

    Parameters
    ----------
    heuristic
        "top-down": from the most general node down, always on from the best node seen so far.
        "best-first": from the finest node up in the same way. "genetic": crossing and mutating a
        population of nodes.
    judge
        Whose best node gets better.
    stop
        When to end; needed, as large lattices do not.
    seed
        For "genetic".
    progress
        Told how many of the nodes that may be counted were.
    """
    judge.costs_wanted = heuristic != "top-down"
    begun = judge.checked
    for _ in _WAYS[heuristic](judge, seed):
        if stop.reached(judge):
            break
        if stop.checks is not None:
            progress(_TASK, judge.checked - begun, max(stop.checks - begun, 1))
    _polish(judge, stop)
    judge.costs_wanted = False
    progress(_TASK, 1, 1)


def _polish(judge: NodeJudge, stop: Stop) -> None:
    """Go on from the best node to better neighbours, as long as there are some."""
    lattice, before = judge.lattice, None
    while judge.best is not None and judge.best is not before:
        before = judge.best
        node = lattice.places(before.levels)
        for neighbour in (*lattice.below(node), *lattice.above(node)):
            if stop.reached(judge):
                return
            judge.at(neighbour)


def _top_down(judge: NodeJudge, seed: int) -> Iterator[None]:  # noqa: ARG001
    """Go down from the best allowed node whose finer neighbours are not all judged."""
    lattice = judge.lattice
    yield from _expand(judge, lattice.top, lattice.below, lambda judged: judged.value)


def _bottom_up(judge: NodeJudge, seed: int) -> Iterator[None]:  # noqa: ARG001
    """Go up from the cheapest node, allowed or not."""
    lattice = judge.lattice
    yield from _expand(judge, lattice.bottom, lattice.above, lambda judged: judged.cost)


def _expand(
    judge: NodeJudge,
    start: Levels,
    neighbours: Callable[[Levels], Iterator[Levels]],
    priority: Callable[[Judged], float],
) -> Iterator[None]:
    seen = {start}
    waiting = [(priority(judge.at(start)), start)]
    while waiting:
        _, node = heapq.heappop(waiting)
        for neighbour in neighbours(node):
            if neighbour not in seen:
                seen.add(neighbour)
                found = priority(judge.at(neighbour))
                if not math.isinf(found):
                    heapq.heappush(waiting, (found, neighbour))
                yield


def _genetic(judge: NodeJudge, seed: int) -> Iterator[None]:
    """Cross and mutate nodes; the fittest cost least, those that are allowed first."""
    draw = np.random.default_rng(seed)
    most = np.array(judge.lattice.top)
    changing = np.flatnonzero(most)

    def fitness(node: Levels) -> tuple[bool, float, Levels]:
        judged = judge.at(node)
        return math.isinf(judged.value), judged.cost, node

    population = {judge.lattice.top, judge.lattice.bottom}
    drawn = draw.integers(0, most + 1, size=(_POPULATION - len(population), len(most)))
    population |= {tuple(int(level) for level in node) for node in drawn}
    idle = 0
    while idle < _IDLE:
        known = judge.checked
        ranked = []
        for node in sorted(population):
            ranked.append(fitness(node))
            yield
        ranked.sort()
        fittest = [node for _, _, node in ranked[:_ELITE]]
        population = set(fittest)
        for _ in range(_POPULATION - len(population)):
            mother, father = draw.integers(0, len(fittest), 2)
            either = draw.random(len(most)) < 0.5
            child = np.where(either, fittest[mother], fittest[father])
            if len(changing):
                column = changing[draw.integers(0, len(changing))]
                step = draw.integers(-1, 2)
                child[column] = min(max(child[column] + step, 0), most[column])
            population.add(tuple(int(level) for level in child))
        idle = idle + 1 if judge.checked == known else 0


_WAYS: dict[str, Callable[[NodeJudge, int], Iterator[None]]] = {
    "top-down": _top_down,
    "best-first": _bottom_up,
    "genetic": _genetic,
}
