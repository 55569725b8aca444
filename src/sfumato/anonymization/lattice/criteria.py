"""Which classes of a node keep every criterion, and which may at a more general node.

A criterion about single classes grows if a class that keeps it still does when any rows join it:
k-anonymity and distinct l-diversity do, t-closeness does not. For every other criterion there is a
growing one that it implies (at worst: none at all). A class that breaks even that has only parts
that break it at every finer node: their rows stay suppressed, which lets a search rule out nodes
that it never counts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from sfumato.anonymization.lattice.node_counting import Node
from sfumato.anonymization.lattice.tuples import LatticeTuples
from sfumato.errors import PlanError
from sfumato.privacy import Criterion, EquivalenceClasses, SizeCriterion, ValueCounts
from sfumato.privacy.sensitive_values import CountsCheck, ValueCriterion

__all__ = ["LatticePromise"]

Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Histograms = Mapping[str, Integers]

_SLACK = 1e-9  # a relaxed limit is a little wider than rounding


class LatticePromise:
    """What every class of a release shall keep.

    Parameters
    ----------
    criteria
        The promises, all at once.
    tuples
        What is generalized.

    Attributes
    ----------
    least
        People that a class must have at least.
    closed
        Whether all criteria grow, so that whoever may keep them does.
    joins
        Whether joining classes that keep every criterion gives one that does.

    Raises
    ------
    PlanError
        If a criterion needs more than generalization and suppression.
    """

    def __init__(self, criteria: Sequence[Criterion], tuples: LatticeTuples) -> None:
        self.criteria = tuple(criteria)
        self.tuples = tuples
        self.least = 1
        self.joins = all(one.monotone_generalization for one in criteria)
        self._growing: list[tuple[str, CountsCheck]] = []
        self._exact: list[tuple[str, CountsCheck]] = []
        self._other: list[Criterion] = []
        for criterion in criteria:
            self._take(criterion)
        self.closed = not self._exact and not self._other
        named = (name for one in criteria for name in one.columns)
        self.columns = tuple(dict.fromkeys(named))

    def _take(self, criterion: Criterion) -> None:
        """File a criterion by what it asks for, and note the growing one that it implies."""
        if criterion.kind == "differential-privacy":
            raise PlanError(
                "differential-privacy needs a random sample and levels that do not depend on the "
                "data, which this technique does not draw and does not fix"
            )
        if isinstance(criterion, SizeCriterion):
            self.least = max(self.least, criterion.smallest_size())
        elif isinstance(criterion, ValueCriterion):
            labels = self.tuples.sensitive[criterion.column].labels
            check = (criterion.column, criterion.bound(labels))
            if criterion.monotone_growth:
                self._growing.append(check)
            else:
                self._exact.append(check)
                self._relax(criterion)
        else:
            self._other.append(criterion)
            k = criterion.to_dict().get("k") if criterion.class_wise else None
            if isinstance(k, int) and criterion.kind == "alpha-k-anonymity":
                self.least = max(self.least, k)

    def _relax(self, criterion: ValueCriterion) -> None:
        """Note the growing criterion that one about values implies."""
        values = criterion.to_dict()
        if values["kind"] == "alpha-k-anonymity":
            self.least = max(self.least, values["k"])
        elif values["kind"] == "l-diversity" and values["estimator"] != "grassberger":
            # fewer than l values have neither the entropy of l nor a tail
            least = math.ceil(values["l"] - _SLACK)
            self._growing.append((criterion.column, _distinct(least)))
        elif values["kind"] == "t-closeness" and values["distance"] == "equal":
            # a class is at least as far away as the values that it lacks are frequent
            self._growing.append((criterion.column, _covered(1 - values["t"] - _SLACK)))

    def judge(self, node: Node) -> tuple[Flags, Flags]:
        """Return which classes may keep every criterion, and which do, each of shape (c,).

        The second are those of a release that holds exactly them. Both are one array if all
        criteria grow.
        """
        may: Flags = node.sizes >= self.least
        if self.closed and not self._growing:
            return may, may
        places = np.flatnonzero(may)
        if self._other:
            # of equally large classes, which one is given up must not depend on how they were found
            places = node.in_order(places)
        held = {name: node.histogram(name, places) for name in self.columns}
        for column, check in self._growing:
            may[places] &= self._checked(column, check, node.sizes[places], held)
        if self.closed or not len(places):
            return may, may
        kept = may.copy()
        for column, check in self._exact:
            kept[places] &= self._checked(column, check, node.sizes[places], held)
        if self._other:
            self._settle(node, places, held, kept)
        return may, kept

    def _checked(self, column: str, check: CountsCheck, sizes: Integers, held: Histograms) -> Flags:
        return check(sizes, held[column], self.tuples.sensitive[column].totals)

    def _settle(self, node: Node, places: Integers, held: Histograms, kept: Flags) -> None:
        """Give up classes until all criteria hold for those that are left.

        A promise about the table as a whole may give up classes, after which another has to be
        asked again.
        """
        before = -1
        while before != (before := int(kept.sum())) and before:
            for criterion in self._other:
                left = kept[places]
                here = places[left]
                if len(here):
                    part = {name: of[left] for name, of in held.items()}
                    kept[here] = criterion.kept(self.classes(node.sizes[here], part, node, here))

    def holds(self, sizes: Integers, held: Histograms, node: Node, places: Integers) -> bool:
        """Return whether classes keep every criterion as a whole release."""
        classes = self.classes(sizes, held, node, places)
        return all(criterion.holds(classes) for criterion in self.criteria)

    def classes(
        self,
        sizes: Integers,
        held: Histograms,
        node: Node,
        places: Integers,
        overall: Histograms | None = None,
    ) -> EquivalenceClasses:
        """Return classes that were counted.

        Parameters
        ----------
        sizes
            People of each class, shape (c,).
        held
            For each column that a criterion asks for, shape (c, n_values).
        node, places
            Where the classes are; -1 is the class of suppressed rows.
        overall
            For each column how many people have each value, shape (n_values,), against which
            classes are measured; by default those of the whole table.
        """
        members = self.tuples.sensitive
        kinds = {criterion.kind for criterion in self.criteria}
        looked_up = any(getattr(one, "population", None) is not None for one in self.criteria)
        return EquivalenceClasses.from_counts(
            sizes,
            persons=self.tuples.persons is not None,
            sensitive={
                name: ValueCounts.of_dense(counts, members[name].labels)
                for name, counts in held.items()
            },
            overall=overall or {name: members[name].totals for name in held},
            keys=node.labels(places) if looked_up else None,
            loss=node.mean_shares(places) if "cost-benefit" in kinds else None,
        )


def _distinct(least: int) -> CountsCheck:
    """Return the check that a class has so many different values."""
    return lambda _, counts, __: np.count_nonzero(counts, axis=1) >= least


def _covered(share: float) -> CountsCheck:
    """Return the check that the values of a class make up a share of the whole table."""
    return lambda _, counts, overall: (counts > 0) @ overall >= share * overall.sum()
