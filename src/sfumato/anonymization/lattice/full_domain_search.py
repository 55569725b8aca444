"""From a table to the best full-domain recoding: what the techniques over the lattice share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import polars as pl

from sfumato.anonymization.lattice.choices import LatticeLoss, LatticeSearch
from sfumato.anonymization.lattice.criteria import LatticePromise
from sfumato.anonymization.lattice.full_domain_recoding import FullDomainRecoding, SearchResult
from sfumato.anonymization.lattice.heuristics import search_heuristically
from sfumato.anonymization.lattice.lattice import Lattice, Levels
from sfumato.anonymization.lattice.node_counting import Node, NodeCounter
from sfumato.anonymization.lattice.objectives import make_objective
from sfumato.anonymization.lattice.residual import absorb, without_dropped
from sfumato.anonymization.lattice.search import Found, NodeJudge, Stop, find_best
from sfumato.anonymization.lattice.tuples import LatticeTuples
from sfumato.anonymization.suppression import LargeClasses, Suppressed, refuse_small_table
from sfumato.errors import GuaranteeNotMet
from sfumato.privacy import Criterion, SizeCriterion
from sfumato.progress import Progress, silent
from sfumato.table import Schema

__all__ = ["LatticeProblem", "most_suppressed_rows"]

Flags = npt.NDArray[np.bool_]

# Nodes of a lattice that is searched to the end unless something else is asked for.
_SEARCHED_WHOLE = 100_000
# Nodes that are counted in a larger one, by default.
_COUNTED_AT_MOST = 5_000
# The part of what may be counted that a heuristic has before the search with proof.
_HEURISTIC_SHARE = 0.6


@dataclass(frozen=True, eq=False)
class LatticeProblem:
    """A table, its lattice, and what a release of it shall keep.

    Parameters
    ----------
    schema
        The checked schema of the table.
    criteria
        What the release shall keep.
    tuples, lattice, promise
        The table's distinct tuples, the levels that are allowed, and the criteria over them.
    most_suppressed
        Rows that may be suppressed.
    suppressed
        What becomes of suppressed rows.
    """

    schema: Schema
    criteria: tuple[Criterion, ...]
    tuples: LatticeTuples
    lattice: Lattice
    promise: LatticePromise
    most_suppressed: int
    suppressed: Suppressed

    @classmethod
    def of(
        cls,
        table: pl.DataFrame,
        schema: Schema,
        criteria: Sequence[Criterion],
        suppression_limit: float,
        suppressed: Suppressed,
        *,
        minimum: Mapping[str, int] | None = None,
        maximum: Mapping[str, int] | None = None,
        counted: Sequence[str] = (),
    ) -> Self:
        """Code the table and take up the criteria.

        Parameters
        ----------
        table, schema
            The rows, and what is said about them.
        criteria
            What the release shall keep.
        suppression_limit
            Largest share of the rows, 0 to 1, that may be suppressed.
        suppressed
            What becomes of them.
        minimum, maximum
            Least and greatest level of columns.
        counted
            Columns whose values are counted in classes beside those of the criteria.

        Raises
        ------
        SchemaError, HierarchyError
            If the schema or a hierarchy does not fit the table.
        PlanError
            If a setting does not fit the table.
        """
        full = schema.check(table)
        tuples = LatticeTuples.of(table, full, criteria, counted)
        promise = LatticePromise(criteria, tuples)
        for criterion in criteria:
            if isinstance(criterion, SizeCriterion):
                least = criterion.smallest_size()
                persons = tuples.persons is not None
                refuse_small_table(least, tuples.n_people, counts_persons=persons)
        return cls(
            full,
            tuple(criteria),
            tuples,
            Lattice.of(tuples, minimum, maximum),
            promise,
            most_suppressed_rows(suppression_limit, tuples.n_rows),
            suppressed,
        )

    def best(
        self,
        loss: LatticeLoss,
        weights: Mapping[str, float],
        gs_factor: float,
        search: LatticeSearch,
        check_limit: int | None = None,
        time_limit: float | None = None,
        seed: int = 0,
        target: str | None = None,
        progress: Progress = silent,
    ) -> FullDomainRecoding:
        """Find the levels that lose least.

        Parameters
        ----------
        loss, weights, gs_factor, target
            See :func:`make_objective`; a column without a weight has 1.
        search, check_limit, time_limit, seed
            How to search, and when to stop.
        progress
            Told how far the search is.

        Raises
        ------
        GuaranteeNotMet
            If no levels will do, or none was found in time.
        """
        importance = [weights.get(name, 1.0) for name in self.tuples.names]
        objective = make_objective(loss, self.tuples, importance, gs_factor, target)
        counter = NodeCounter(self.tuples)
        parts = (self.lattice, counter, self.promise, objective, self.most_suppressed)
        limits = (search, check_limit, time_limit, seed, progress)
        found = _searched(NodeJudge(*parts), *limits)
        if found.best is not None and self._excess(found.best.levels):
            # what must be suppressed besides does not fit within the limit: it has to be part of
            # what is searched
            found = _searched(NodeJudge(*parts, settle=self._settled), *limits)
        if found.best is None:
            raise GuaranteeNotMet(self._nothing(found))
        result = SearchResult(
            loss, found.best.value, found.optimal, found.gap, found.checked, self.lattice.size
        )
        return self.recoding(found.best.levels, result)

    def recoding(self, levels: Levels, found: SearchResult) -> FullDomainRecoding:
        """Return the recoding of chosen levels.

        Raises
        ------
        GuaranteeNotMet
            If the criteria cannot be kept with them within the suppression limit.
        """
        node = self.counted(levels)
        _, best = self.promise.judge(node)
        kept = self._settled(node, best)
        suppressed = int(node.rows[~kept].sum())
        if not kept.any() or suppressed > self.most_suppressed:
            raise GuaranteeNotMet(
                f"levels {dict(zip(self.tuples.names, levels, strict=True))} suppress "
                f"{suppressed:,} of {self.tuples.n_rows:,} rows, of which {self.most_suppressed:,} "
                "may be: generalize more, or allow more"
            )
        classes = node.labels(np.flatnonzero(kept))
        large = LargeClasses(
            self.tuples.names,
            self.suppressed,
            tuple(classes.rows()),
            suppressed,
            self.tuples.n_rows,
        )
        return FullDomainRecoding(
            self.criteria,
            self.schema,
            dict(zip(self.tuples.names, levels, strict=True)),
            large,
            int(node.rows[best & ~kept].sum()),
            found,
        )

    def counted(self, levels: Levels) -> Node:
        """Count the classes of levels from the table itself, always in the same order."""
        return NodeCounter(self.tuples).at(levels)

    def _settled(self, node: Node, kept: Flags) -> Flags:
        """Return the classes that can be released, given what becomes of the suppressed rows."""
        settle = without_dropped if self.suppressed == "drop" else absorb
        return settle(node, kept, self.promise)

    def _excess(self, levels: Levels) -> bool:
        """Return whether what must be suppressed besides is more than is allowed."""
        node = self.counted(levels)
        _, best = self.promise.judge(node)
        kept = self._settled(node, best)
        return not kept.any() or int(node.rows[~kept].sum()) > self.most_suppressed

    def _nothing(self, found: Found) -> str:
        kinds = ", ".join(one.kind for one in self.criteria)
        limit = f"{self.most_suppressed:,} of {self.tuples.n_rows:,} rows may be suppressed"
        if not found.optimal:
            return (
                f"{kinds}: none of the {found.checked:,} combinations of levels that were counted "
                f"keeps it ({limit}); allow more checks or time, or more suppression"
            )
        return (
            f"{kinds}: no combination of levels keeps it, of {self.lattice.size:,} that are "
            f"allowed ({limit}); allow more suppression or more general levels, or ask for less"
        )


def most_suppressed_rows(limit: float, rows: int) -> int:
    """Return how many rows a share allows; what is a whole number but for rounding is that number.

    Examples
    --------
    >>> most_suppressed_rows(0.29, 100)
    29
    """
    return int(limit * rows + 1e-9 * max(rows, 1) * limit)


def _searched(
    judge: NodeJudge,
    search: LatticeSearch,
    check_limit: int | None,
    time_limit: float | None,
    seed: int,
    progress: Progress,
) -> Found:
    """Search a lattice in the way that was asked for."""
    whole = judge.lattice.n_nodes <= _SEARCHED_WHOLE
    if search == "optimal" or (search == "auto" and whole):
        return find_best(judge, Stop(check_limit, time_limit), progress)
    if check_limit is None and time_limit is None:
        check_limit = _COUNTED_AT_MOST
    heuristic = "genetic" if search == "auto" else search
    checks = None if check_limit is None else max(int(check_limit * _HEURISTIC_SHARE), 1)
    seconds = None if time_limit is None else time_limit * _HEURISTIC_SHARE
    stop = Stop(check_limit, time_limit)
    search_heuristically(heuristic, judge, Stop(checks, seconds), seed, progress)
    return find_best(judge, stop, progress)
