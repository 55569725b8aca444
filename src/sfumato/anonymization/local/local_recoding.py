"""Local recoding: each class of people says as much as its own members allow."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import Field

from sfumato.anonymization.class_recoding import ClassRecoding, Placement
from sfumato.anonymization.local.lattice_tables import LatticeTables
from sfumato.anonymization.people_coding import CodedPeople
from sfumato.anonymization.promised import Promised
from sfumato.anonymization.scales import LossMeasure
from sfumato.anonymization.suppression import refuse_small_table
from sfumato.errors import GuaranteeNotMet, InternalError, PlanError, did_you_mean
from sfumato.privacy import Criteria
from sfumato.progress import Progress, silent
from sfumato.settings import Settings
from sfumato.table import Schema

__all__ = ["LocalRecoding"]

Array = npt.NDArray[Any]

_LARGEST_LATTICE = 200_000  # nodes; beyond, the search starts from clusters of near people
_SILENCE = 0.5  # lost besides by a row that says nothing, where few or none may
_CLASS = "class of a row"  # no column of a table is called so
_LARGE_CLASSES = 20  # people; from here on clusters are parted from above rather than grown
_BLOCK = 8_192  # entries that are clustered at once
_EAGERNESS = (0.8, 0.85, 0.7, 0.9, 0.6, 1.0)  # how much of a later loss it is worth to borrow
_START_WORK = 1.1e8  # nodes times entries that may be visited to choose a start
_MOST_STARTS = 18
_QUICK_BOUND = 5e7  # cells that are looked at for the lower bound unasked
_STEPS = 250  # of the repair between two messages of progress
_LEAST_STEPS = 3_000
_LEAST_WORK = 5e6  # comparisons that repair takes at least: few classes are compared often
_WORK = 4e9  # comparisons that repair may take for each unit of effort


class LocalRecoding(Settings):
    """Classes of people who keep every criterion, each said as exactly as its members allow.

    The lattice of all generalizations is peeled: its nodes are visited by rising loss, and every
    combination of values that still holds enough people becomes a class. A second time, a
    combination of too few people may borrow from classes that have more than they need, where that
    loses less than to wait. Whoever is left joins the class that this costs least. Then groups of
    neighbouring classes are taken apart and put together anew, and what loses less is kept.

    Labels are the lowest common ancestors of a class's people in each hierarchy; numbers and dates
    without a hierarchy become intervals.

    Parameters
    ----------
    k
        Least number of people of a class; the same as the criterion k-anonymity.
    criteria
        Further promises that every class keeps, in any number: see docs/criteria.md.
    suppression_limit
        Largest share of the rows, 0 to 1, that may say nothing in every quasi-identifier. With 0
        everybody is said at least something; otherwise a class of which nothing is said may be
        one of those that lose least.
    loss
        What is kept small: "arithmetic" or "geometric" (ARX's Loss), "ncp" or "entropy"
        (non-uniform).
    weights
        Importance of columns, by name; 1 for the others.
    effort
        How long classes are improved: 0 not at all, 1 a second or so for ten thousand rows, and so
        on in proportion.
    bound
        Whether to tell how far from the best possible recoding the result can be at most. Left
        out: where that is quick.
    seed
        Of the choice of what is taken apart.

    Notes
    -----
    Peeling follows the local recoding of ARX (F. Prasser et al., "Flexible data anonymization using
    ARX", Software: Practice and Experience 50(7), 2020, section on local recoding), on distinct
    tuples and row by row. Taking apart and putting together is a large-neighbourhood search
    (P. Shaw, CP 1998). Loss: V. Iyengar, KDD 2002.
    """

    k: int | None = Field(default=None, ge=2)
    criteria: Criteria = ()
    suppression_limit: float = Field(default=1.0, ge=0, le=1)
    loss: LossMeasure = "arithmetic"
    weights: Mapping[str, float] = Field(default_factory=dict)
    effort: float = Field(default=1.0, ge=0)
    bound: bool | None = None
    seed: int = Field(default=0, ge=0)

    def fit(
        self, table: pl.DataFrame, schema: Schema, *, progress: Progress = silent
    ) -> ClassRecoding:
        """Find the classes.

        Raises
        ------
        PlanError
            If no criterion is given, or k is larger than the table.
        GuaranteeNotMet
            If the table as a whole does not keep a criterion, or more rows than the limit allows
            would say nothing.
        SchemaError
            If the schema does not fit the table or has no quasi-identifier.
        HierarchyError
            If a column holds a value that its hierarchy does not hold.
        """
        full = schema.check(table)
        promised = Promised.of(self.k, self.criteria)
        people = CodedPeople.of(table, full, promised.criteria)
        refuse_small_table(promised.k, people.n_people, counts_persons=full.person is not None)
        # a class of which nothing is said loses least for some, if it may be as large as it gets
        recoding = None
        if self.suppression_limit > 0:
            recoding = self._found(table, full, promised, people, 0.0, progress)
        if recoding is None or recoding.silent_share > self.suppression_limit:
            recoding = self._found(table, full, promised, people, _SILENCE, progress)
        recoding.refuse_silence(self.suppression_limit)
        return recoding

    def _found(
        self,
        table: pl.DataFrame,
        full: Schema,
        promised: Promised,
        people: CodedPeople,
        silence: float,
        progress: Progress,
    ) -> ClassRecoding:
        """Return the recoding of one search; ``silence`` is lost by rows that say nothing."""
        search = _Search(self, people, promised, silence, progress)
        placement = search.run(table, full)
        loss = search.loss(placement)
        notes = [f"{100 * loss:.3g} % of the detail is lost ({self.loss} loss)"]
        if self.bound and (search.has_numbers or not search.listed):
            notes.append(
                "how far that is from the best possible cannot be told: there are numbers without "
                "a hierarchy, or too many columns"
            )
        elif self.bound or (self.bound is None and search.bound_is_quick):
            least = search.lower_bound()
            notes.append(
                f"no local recoding with these hierarchies and k = {promised.k} can lose less than "
                f"{100 * least:.3g} %"
            )
        return ClassRecoding.of(
            table, people, placement, full, promised.criteria, "local recoding", notes
        )

    def importance(self, names: tuple[str, ...]) -> list[float]:
        """Return the weight of each quasi-identifier.

        Raises
        ------
        PlanError
            If a weight names no quasi-identifier, is negative, or all are 0.
        """
        for name, weight in self.weights.items():
            if name not in names:
                hint = did_you_mean(name, names)
                raise PlanError(f"weights: {name!r} is no quasi-identifier.{hint}")
            if weight < 0:
                raise PlanError(f"weights: {name!r} must not be negative (got {weight})")
        given = [float(self.weights.get(name, 1.0)) for name in names]
        if not sum(given):
            raise PlanError("weights: at least one column must count for something")
        return given


@dataclass(frozen=True)
class _Found:
    """Pieces of classes while they are searched for: rows of an entry in a class."""

    entry: Array
    of_class: Array
    rows: Array
    n_classes: int

    @classmethod
    def tidy(cls, entry: Array, of_class: Array, rows: Array) -> _Found:
        """Leave out what is empty and number the classes without gaps."""
        held = rows > 0
        classes, dense = np.unique(of_class[held], return_inverse=True)
        return cls(entry[held], dense.reshape(-1), rows[held], len(classes))


class _Search:
    """One search for classes; holds what its steps share."""

    def __init__(
        self,
        asked: LocalRecoding,
        people: CodedPeople,
        promised: Promised,
        silence: float,
        progress: Progress,
    ) -> None:
        from sfumato.anonymization.local.class_rules import rules_of

        self.asked = asked
        self.people = people
        self.promised = promised
        self.progress = progress
        self.rules, self.others = rules_of(promised.of_values, people)
        self.importance = asked.importance(people.names)
        self.tables = LatticeTables.of(people, asked.loss, self.importance, silence)
        self.listed = self.tables.n_nodes <= _LARGEST_LATTICE

    @property
    def has_numbers(self) -> bool:
        """Whether a column of numbers can be cut anywhere."""
        return any(scale.numbers is not None for scale in self.people.scales)

    @property
    def bound_is_quick(self) -> bool:
        """Whether there is a lower bound, and it is a matter of a second."""
        work = self.tables.n_nodes * len(self.people) * len(self.people.scales)
        return self.listed and not self.has_numbers and work < _QUICK_BOUND

    def run(self, table: pl.DataFrame, schema: Schema) -> Placement:
        """Return the placement of everybody."""
        starts = self._peeled() if self.listed else [self._clustered(table, schema)]
        if self.has_numbers:
            # numbers without a hierarchy may be cut anywhere, not only where the lattice has levels
            # where its classes keep no criterion, nor does the whole table: told below
            with suppress(GuaranteeNotMet):
                starts.append(self._cut(table, schema))
        best = self._repaired(min(starts, key=self._loss))
        placement = Placement(best.entry, best.of_class, best.rows)
        return self._kept(table, schema, placement)

    def _peeled(self) -> list[_Found]:
        """Return classes found by peeling the lattice in several orders."""
        q = len(self.people.scales)
        work = self.tables.n_nodes * len(self.people)
        starts = int(np.clip(self.asked.effort * _START_WORK / max(work, 1), 1, _MOST_STARTS))
        if len(self.rules.kind) or self.asked.effort == 0:
            starts = 1
        chance = np.random.default_rng(self.asked.seed)
        task = "peeling the lattice"
        self.progress(task, 0, starts)
        found = []
        for start in range(starts):
            # columns that cost alike can be given up in any order, and no order is always best
            ties = (
                range(q)[::-1] if start == 0 else range(q) if start == 1 else chance.permutation(q)
            )
            nodes = self.tables.nodes([int(column) for column in ties])
            eagerness = _EAGERNESS[start % len(_EAGERNESS)]
            found.append(self._peeled_along(nodes, eagerness, 1.0 + start % 2))
            self.progress(task, start + 1, starts)
        return found

    def _peeled_along(
        self, nodes: npt.NDArray[np.int8], eagerness: float, left_over: float
    ) -> _Found:
        """Return classes found by visiting nodes in an order, twice where rows may be borrowed.

        Parameters
        ----------
        nodes
            In the order in which they are visited.
        eagerness
            How much of a later loss a class is worth borrowing for.
        left_over
            What a row is said to lose that no class took the first time.
        """
        nothing_known = np.ones(len(self.people))
        first, class_cost, left = self._peel(nodes, nothing_known, pull=False)
        best = self._whole(first, left)
        if len(self.rules.kind) or self.asked.effort == 0:
            return best
        lost = np.bincount(first.entry, class_cost * first.rows, len(self.people))
        reference = np.where(left > 0, left_over, lost / self.people.rows)
        found, _, rest = self._peel(nodes, eagerness * reference, pull=True)
        borrowed = self._whole(found, rest)
        return borrowed if self._loss(borrowed) < self._loss(best) else best

    def _clustered(self, table: pl.DataFrame, schema: Schema) -> _Found:
        """Return classes of near people, for a lattice too large to be walked."""
        from sfumato.anonymization.clustering.measure import tables_of
        from sfumato.anonymization.clustering.merging import merge_until_kept
        from sfumato.anonymization.clustering.running import ALGORITHMS, cluster

        tables = tables_of(self.people.scales, self.importance)
        small = self.promised.k < _LARGE_CLASSES
        placement, _ = cluster(
            ALGORITHMS["k-member" if small else "top-down-greedy"],
            tables,
            self.people,
            max(self.promised.k, 2),
            _BLOCK,
            self.asked.seed,
            lambda done, total: self.progress("clustering people", done, total),
        )
        if len(self.rules.kind):
            criteria = self.promised.criteria
            placement = merge_until_kept(
                tables, self.people, placement, criteria, table, schema, self.progress
            )
        return _Found.tidy(placement.entry, placement.of_class, placement.rows)

    def _cut(self, table: pl.DataFrame, schema: Schema) -> _Found:
        """Return the classes of a tree of cuts, each where it gains most."""
        from sfumato.anonymization.mondrian.mondrian import Mondrian

        known = tuple(one for one in self.promised.of_values if one.monotone_generalization)
        tree = Mondrian(k=max(self.promised.k, 2), criteria=known, choose="gain").fit(table, schema)
        labels = tree.recode(table).select(self.people.names)
        numbered = labels.with_columns(
            pl.struct(pl.all()).rank("dense").cast(pl.Int64).alias(_CLASS) - 1
        )
        of_entry = np.zeros(len(self.people), dtype=np.int64)
        of_entry[self.people.of_row] = numbered[_CLASS].to_numpy()
        placement = Placement.whole(self.people, of_entry)
        return _Found.tidy(placement.entry, placement.of_class, placement.rows)

    def loss(self, placement: Placement) -> float:
        """Return the loss of a placement, 0 to 1."""
        found = _Found(placement.entry, placement.of_class, placement.rows, placement.n_classes)
        return self._loss(found)

    def lower_bound(self) -> float:
        """Return a loss that no local recoding with these hierarchies and k goes below."""
        from sfumato.anonymization.local.lower_bound import cheapest_cells

        tables = self.tables
        # columns of many values first: they collapse most
        order = np.argsort(-tables.widths, kind="stable")
        each = cheapest_cells(
            np.ascontiguousarray(tables.codes[:, order]),
            self.people.weights,
            tables.offsets[order],
            tables.widths[order],
            tables.heights[order],
            tables.mixing,
            tables.cost,
            self.promised.k,
        )
        return float((each * tables.rows).sum() / tables.rows.sum())

    def _peel(
        self, nodes: npt.NDArray[np.int8], reference: Array, *, pull: bool
    ) -> tuple[_Found, Array, Array]:
        """Peel once: the classes, what each piece loses, and the rows of each entry left over."""
        from sfumato.anonymization.local.peeling_kernels import peel

        tables = self.tables
        entry, of_class, rows, _, class_cost, left = peel(
            tables.codes,
            tables.rows,
            tables.unit,
            nodes,
            tables.offsets,
            tables.widths,
            tables.groups,
            tables.mixing,
            tables.cost,
            self.promised.k,
            reference,
            pull,
            self.rules,
        )
        held = rows > 0
        return _Found.tidy(entry, of_class, rows), class_cost[of_class[held]], left

    def _whole(self, found: _Found, left: Array) -> _Found:
        """Return the classes with whom none of them took."""
        from sfumato.anonymization.local.absorbing_kernels import absorb

        if not left.any():
            return found
        tables = self.tables
        entry, of_class, rows = absorb(
            tables.codes,
            tables.unit,
            *tables.shared(),
            self.rules,
            found.entry,
            found.of_class,
            found.rows,
            found.n_classes,
            left.copy(),
        )
        return _Found.tidy(entry, of_class, rows)

    def _repaired(self, found: _Found) -> _Found:
        """Return the classes after taking apart and putting together."""
        from sfumato.anonymization.local.repair_kernels import repair

        tables = self.tables
        q = len(self.people.scales)
        most = int(_WORK / max(found.n_classes * q * 4, 1))
        cheap = int(_LEAST_WORK / max(found.n_classes * q, 1))
        wanted = max(_LEAST_STEPS, found.n_classes, min(cheap, 5 * _LEAST_STEPS))
        if not self.listed:
            wanted //= 4  # in many dimensions each neighbourhood takes long and gains little
        steps = int(self.asked.effort * min(wanted, max(most, 1)))
        done = 0
        while done < steps:
            now = min(max(_STEPS, steps // 20), steps - done)
            entry, of_class, rows, _ = repair(
                tables.codes,
                tables.unit,
                tables.groups,
                tables.mixing,
                tables.cost,
                tables.offsets,
                tables.widths,
                tables.signed_heights,
                self.promised.k,
                self.rules,
                found.entry,
                found.of_class,
                found.rows,
                found.n_classes,
                now,
                *self._neighbourhood(),
                self.asked.seed + done + 1,
            )
            found = _Found.tidy(entry, of_class, rows)
            done += now
            self.progress("improving the classes", done, steps)
        return found

    def _neighbourhood(self) -> tuple[int, int, int]:
        """Return the most items, parts of entries, and classes that are taken apart at once."""
        if len(self.rules.kind):
            return 1_500, 20_000, 5
        return (96, 10_000, 6) if self.promised.k < _LARGE_CLASSES else (600, 20_000, 8)

    def _kept(self, table: pl.DataFrame, schema: Schema, placement: Placement) -> Placement:
        """Return the placement after joining classes until every criterion is kept."""
        from sfumato.anonymization.local.absorbing_kernels import join_classes

        tables = self.tables
        while True:
            broken = self.promised.broken(table, schema, self.people, placement)
            if not broken.any():
                return placement
            if placement.n_classes == 1:
                raise GuaranteeNotMet(
                    "the table as a whole does not keep what is asked of every class ("
                    + "; ".join(criterion.describe() for criterion in self.promised.criteria)
                    + "): ask for less"
                )
            of_class = placement.of_class.copy()
            join_classes(
                tables.codes,
                *tables.shared(),
                placement.entry,
                of_class,
                placement.rows,
                placement.n_classes,
                broken,
            )
            found = _Found.tidy(placement.entry, of_class, placement.rows)
            if found.n_classes == placement.n_classes:
                raise InternalError("a broken class could be joined to no other")
            placement = Placement(found.entry, found.of_class, found.rows)

    def _loss(self, found: _Found) -> float:
        """Return the loss of classes, 0 to 1, in the chosen measure."""
        low, high = Placement(found.entry, found.of_class, found.rows).extremes(self.people)
        size = np.bincount(found.of_class, found.rows, found.n_classes)
        total = np.zeros(len(self.people.scales))
        costs = self.people.costs(self.asked.loss, self.importance)
        for column, (scale, cost) in enumerate(zip(self.people.scales, costs, strict=True)):
            each = scale.costs_of_runs(
                cost, low[:, column], high[:, column], by_width=self.asked.loss != "entropy"
            )
            total[column] = (each * size).sum()
        return float(total.sum() / max(size.sum(), 1))
