"""The minimal nodes of a table's lattice, in the order of a metric."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from sfumato.anonymization.lattice.choices import OlaMetric
from sfumato.anonymization.lattice.full_domain_recoding import FullDomainRecoding, SearchResult
from sfumato.anonymization.lattice.full_domain_search import LatticeProblem
from sfumato.anonymization.lattice.lattice import Levels
from sfumato.anonymization.lattice.minimal import minimal_nodes
from sfumato.anonymization.lattice.node_counting import NodeCounter
from sfumato.anonymization.lattice.objectives import make_objective
from sfumato.anonymization.lattice.search import NodeJudge
from sfumato.errors import GuaranteeNotMet
from sfumato.progress import Progress, silent

__all__ = ["ranked_recodings"]


def ranked_recodings(
    problem: LatticeProblem, metric: OlaMetric, progress: Progress = silent
) -> Iterator[FullDomainRecoding]:
    """Give the recoding of each minimal node, the best first.

    Parameters
    ----------
    problem
        The table and what a release of it shall keep.
    metric
        Smaller is better; of equals the lowest sum of levels, then the first levels.
    progress
        Told how far the search is.
    """
    counter = NodeCounter(problem.tuples)
    height = make_objective("height", problem.tuples)
    judge = NodeJudge(problem.lattice, counter, problem.promise, height, problem.most_suppressed)
    minimal = [problem.lattice.levels(node) for node in minimal_nodes(judge, progress)]
    ranked = sorted((_measured(problem, counter, levels, metric), levels) for levels in minimal)
    in_order = tuple(levels for _, levels in ranked)
    for (value, _), levels in ranked:
        found = SearchResult(
            metric,
            value,
            optimal=False,
            gap=None,
            checked=judge.checked,
            nodes=problem.lattice.size,
            minimal=in_order,
        )
        try:
            recoding = problem.recoding(levels, found)
        except GuaranteeNotMet:
            continue  # no room is left for hiding the suppressed rows
        yield recoding


def _measured(
    problem: LatticeProblem, counter: NodeCounter, levels: Levels, metric: OlaMetric
) -> tuple[float, int]:
    """Return a metric of a node, and the sum of its levels."""
    total = sum(levels)
    if metric in ("none", "gweight"):
        return float(total), total
    if metric == "prec":
        shares = [level / top for level, top in zip(levels, problem.tuples.heights, strict=True)]
        return float(np.mean(shares)), total
    node = counter.at(levels)
    _, kept = problem.promise.judge(node)
    if metric == "aecs":
        return float(node.rows[kept].sum() / max(int(kept.sum()), 1)), total
    loss = make_objective("discernibility" if metric == "dm" else "entropy", problem.tuples)
    parts = loss.floor(levels, node)
    if metric == "dm":
        parts = parts + loss.penalty(node, ~kept)
    return loss.total(parts), total
