"""Cell suppression: single cells become ``*``, as few as it takes until k people are equal."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import Field

from sfumato.anonymization.class_recoding import ClassRecoding, Placement
from sfumato.anonymization.clustering.clustering import checked_weights, promised_by
from sfumato.anonymization.people_coding import CodedPeople
from sfumato.anonymization.suppression import refuse_small_table
from sfumato.anonymization.surplus import take_surplus
from sfumato.errors import GuaranteeNotMet
from sfumato.privacy import Criteria, Criterion, EquivalenceClasses, ValueCounts
from sfumato.progress import Progress, silent
from sfumato.settings import Settings
from sfumato.table import Hierarchy, Schema
from sfumato.table.counting import count_tuples

__all__ = ["CellSuppression", "close_cheapest", "rising_sets"]

Integers = npt.NDArray[np.int64]
Codes = npt.NDArray[np.int32]

_MOST_SETS = 2048  # of columns that are tried


class CellSuppression(Settings):
    """Make single cells of the quasi-identifiers ``*``, and no other change.

    Sets of columns are tried from the least important to the most: whoever is equal to k - 1 others
    in the columns outside the set gets ``*`` in those of the set. What is left takes along rows
    that a class can spare (where nothing but k is asked), or joins the class in which it costs
    fewest cells, which may lose cells for it. The released quasi-identifiers are
    texts; hierarchies play no part.

    ``*`` is a value like any other: k people must share the same stars too, so the promise is
    recounted by plain grouping. In the other reading, where a starred cell matches every value (as
    a missing cell does in sdcMicro's local suppression), fewer cells would do, but who looks for a
    person finds fewer than k rows that show its values. Whoever wants that figure counts with
    ``EquivalenceClasses.of(..., suppressed="wildcard")``: it is never below k here.

    Parameters
    ----------
    k
        Least number of people of a class: persons where the schema names a person column, else
        rows. 5 if neither it nor ``criteria`` is given.
    criteria
        What every class keeps besides.
    weights
        For some quasi-identifiers what a cell of them is worth; 1 for any other. Cells of columns
        that are worth less are given up first; 0 costs nothing.
    suppression_limit
        Largest share of the quasi-identifiers' cells, 0 to 1, that may be suppressed.

    Notes
    -----
    The search is greedy: the same problem with the fewest cells is NP-hard (A. Meyerson,
    R. Williams, "On the complexity of optimal k-anonymity", PODS 2004). Local suppression:
    M. Templ, A. Kowarik, B. Meindl, "Statistical disclosure control for micro-data using the R
    package sdcMicro", Journal of Statistical Software 67(4), 2015, section 3.2.
    """

    k: int | None = Field(default=None, ge=2)
    criteria: Criteria = ()
    weights: dict[str, float] = Field(default_factory=dict)
    suppression_limit: float = Field(default=1.0, ge=0, le=1)

    def fit(
        self, table: pl.DataFrame, schema: Schema, *, progress: Progress = silent
    ) -> ClassRecoding:
        """Find the cells.

        Raises
        ------
        PlanError
            If k is larger than the table, ``weights`` names no quasi-identifier, or
            differential privacy is asked for.
        SchemaError
            If the schema does not fit the table or has no quasi-identifier.
        GuaranteeNotMet
            If more cells than the limit allows would be suppressed, or a criterion is broken even
            with all of them suppressed.
        """
        from sfumato.anonymization.clustering.measure import tables_of
        from sfumato.anonymization.clustering.merging import merge_until_kept

        full = schema.check(table)
        flat = {
            name: replace(full.columns[name], hierarchy=Hierarchy.flat())
            for name in full.quasi_identifiers
        }
        full = full.with_columns(flat)
        promised = promised_by(self.k, self.criteria)
        criteria = promised.criteria
        people = CodedPeople.of(table, full, criteria)
        refuse_small_table(promised.k, people.n_people, counts_persons=full.person is not None)
        weights = checked_weights(self.weights, people.names)
        of_class = close_cheapest(people, criteria, weights, progress)
        tables = tables_of(people.scales, weights)
        placement = Placement.whole(people, of_class)
        if len(criteria) == 1 and np.array_equal(people.weights, people.rows):
            placement = take_surplus(people, of_class, promised.k, weights, progress)
        placement = merge_until_kept(tables, people, placement, criteria, table, full, progress)
        lost = _lost_cells(people, placement)
        cells = table.height * len(people.names)
        if lost > self.suppression_limit * cells:
            raise GuaranteeNotMet(
                f"what is promised takes {lost:,} of {cells:,} cells of the quasi-identifiers, "
                f"more than suppression_limit = {self.suppression_limit} allows: generalize them "
                "before, ask for less, or allow more"
            )
        words = f"cell suppression of {lost:,} in {cells:,} cells"
        note = (
            "a suppressed cell is a value of its own: those who carry '*' in the same columns are "
            "as many as is promised; if it is read as any value instead, everybody is among more"
        )
        return ClassRecoding.of(table, people, placement, full, criteria, words, (note,))


def close_cheapest(
    people: CodedPeople,
    criteria: Sequence[Criterion],
    weights: Sequence[float],
    progress: Progress = silent,
) -> Integers:
    """Return a class for each entry (m), starring the least important columns that suffice.

    Sets of columns come by rising importance; at each, those not yet placed who are equal outside
    the set become classes where they keep the criteria. Entries that no set places are classes of
    their own.

    Parameters
    ----------
    people
        The entries, on hierarchies without groups.
    criteria
        What a class must keep; only those that look at a class alone are asked here.
    weights
        Weight of each column, shape (q,).
    progress
        Told how many entries are placed.
    """
    asked = [one for one in criteria if one.class_wise]
    radices = [scale.n_codes for scale in people.scales]
    overall = {
        name: np.bincount(value, people.weights, len(labels)).astype(np.int64)
        for name, (value, labels) in people.sensitive.items()
    }
    of_class = np.full(len(people), -1, dtype=np.int64)
    left = np.arange(len(people))
    classes = 0
    for starred in rising_sets(weights):
        shown = [column for column in range(len(radices)) if column not in starred]
        columns = [people.codes[left, column].astype(np.uint64) for column in shown]
        counted = count_tuples(
            columns, [radices[column] for column in shown], len(left), inverse=True
        )
        group = counted.inverse if counted.inverse is not None else np.zeros(0, dtype=np.int64)
        kept = _kept(people, left, group, len(counted.counts), asked, overall)
        numbers = classes + np.cumsum(kept) - 1
        closed = kept[group]
        of_class[left[closed]] = numbers[group[closed]]
        classes += int(kept.sum())
        left = left[~closed]
        progress("suppressing cells", len(people) - len(left), len(people))
        if not len(left):
            break
    of_class[left] = classes + np.arange(len(left))
    progress("suppressing cells", len(people), len(people))
    return of_class


def rising_sets(weights: Sequence[float], most: int = _MOST_SETS) -> Iterator[tuple[int, ...]]:
    """Give sets of columns by rising sum of their weights: the empty one first.

    Parameters
    ----------
    weights
        Weight of each column, shape (q,), 0 or more.
    most
        How many sets to give at most.
    """
    yield ()
    order = sorted(range(len(weights)), key=lambda column: (weights[column], column))
    # a set is grown by the next column, or its last column is exchanged for the next
    waiting: list[tuple[float, int, tuple[int, ...]]] = [(weights[order[0]], 1, (0,))]
    for _ in range(most - 1):
        if not waiting:
            return
        total, size, places = heapq.heappop(waiting)
        yield tuple(sorted(order[place] for place in places))
        last = places[-1]
        if last + 1 < len(order):
            following = weights[order[last + 1]]
            grown = (*places, last + 1)
            heapq.heappush(waiting, (total + following, size + 1, grown))
            exchanged = (*places[:-1], last + 1)
            heapq.heappush(waiting, (total + following - weights[order[last]], size, exchanged))


def _kept(
    people: CodedPeople,
    entries: Integers,
    group: Integers,
    groups: int,
    criteria: Sequence[Criterion],
    overall: dict[str, Integers],
) -> npt.NDArray[np.bool_]:
    """Return which groups of entries keep the criteria."""
    weights = people.weights[entries]
    sizes = np.bincount(group, weights, groups).astype(np.int64)
    # rows of persons who are counted elsewhere can be all that a group has
    held = np.flatnonzero(sizes)
    place = np.cumsum(sizes > 0) - 1
    some = weights > 0
    of_class, weights = place[group[some]], weights[some]
    sensitive = {}
    for name, (value, labels) in people.sensitive.items():
        keys = of_class * len(labels) + value[entries[some]]
        pairs, number = np.unique(keys, return_inverse=True)
        counts = np.bincount(number.reshape(-1), weights).astype(np.int64)
        sensitive[name] = ValueCounts(*np.divmod(pairs, len(labels)), counts, labels, len(held))
    classes = EquivalenceClasses.from_counts(sizes[held], sensitive=sensitive, overall=overall)
    kept = np.zeros(groups, dtype=np.bool_)
    kept[held] = True
    for criterion in criteria:
        kept[held] &= criterion.kept(classes)
    return kept


def _lost_cells(people: CodedPeople, placement: Placement) -> int:
    """Return how many cells are suppressed: those in which a class has several values."""
    low, high = placement.extremes(people)
    stars = (low != high).sum(axis=1)
    rows = np.bincount(placement.of_class, placement.rows, placement.n_classes)
    return int(stars @ rows)
