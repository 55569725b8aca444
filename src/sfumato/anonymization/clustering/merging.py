"""Join classes that break a criterion with their nearest, until every criterion is kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from sfumato.anonymization.boxes import Boxes
from sfumato.anonymization.class_recoding import Placement
from sfumato.anonymization.clustering.measure import (
    Tables,
    compiled,
    cost_with,
    costs_of_boxes,
)
from sfumato.anonymization.people_coding import CodedPeople
from sfumato.anonymization.promised import class_of_rows, kept_classes
from sfumato.errors import GuaranteeNotMet
from sfumato.privacy import Criterion, EquivalenceClasses, KAnonymity, ValueCounts, columns_of
from sfumato.progress import Progress, silent
from sfumato.table import Schema

__all__ = ["merge_until_kept"]

Integers = npt.NDArray[np.int64]
Codes = npt.NDArray[np.int32]
Flags = npt.NDArray[np.bool_]

_PARTNERS = 64  # nearest classes that a class which breaks a criterion is tried with
_CELLS_AT_ONCE = 2**22


def merge_until_kept(
    tables: Tables,
    people: CodedPeople,
    placement: Placement,
    criteria: Sequence[Criterion],
    table: pl.DataFrame,
    schema: Schema,
    progress: Progress = silent,
) -> Placement:
    """Return a placement whose classes all keep the criteria, counted as the release will be.

    Every class that breaks one is joined with one of those that make the two cost least more: the
    nearest with which it keeps them, or, if none of the nearest is such, the nearest. Smaller ones
    come first, and all are counted again after each round.

    Parameters
    ----------
    tables
        Costs of the columns.
    people, placement
        The entries, and the class of each of their rows.
    criteria
        What every class must keep.
    table, schema
        The rows that were coded, and their schema.
    progress
        Told how many of the classes that broke a criterion at first are mended.

    Raises
    ------
    GuaranteeNotMet
        If a criterion is broken even when all people are one class.
    """
    worst = 0
    while True:
        placement, boxes = _one_class_a_box(people, placement)
        classes = _counted(people, placement, boxes, criteria, table, schema)
        broken = np.flatnonzero(~kept_classes(criteria, classes, boxes.silent))
        worst = max(worst, len(broken))
        if worst:
            progress("joining classes", worst - len(broken), worst)
        if not len(broken):
            return placement
        if len(classes) == 1:
            unkept = [one for one in criteria if not one.holds(classes)]
            raise GuaranteeNotMet(
                "the table as a whole, all people in one class, does not keep: "
                f"{'; '.join(one.describe() for one in unkept)}; ask for less"
            )
        low, high = (ends.astype(np.int32) for ends in placement.extremes(people))
        order = broken[np.argsort(classes.sizes[broken], kind="stable")]
        most = min(_PARTNERS, len(classes) - 1)
        nearest = _nearest_classes(tables, low, high, classes.sizes, order, most)
        mended = _mended(classes, order, nearest, criteria)
        joined = _paired(order, nearest, mended, len(classes))
        dense = np.unique(joined, return_inverse=True)[1].reshape(-1)
        placement = Placement(placement.entry, dense[placement.of_class], placement.rows)


@compiled
def _nearest_classes(
    tables: Tables, low: Codes, high: Codes, sizes: Integers, broken: Integers, most: int
) -> Integers:
    """Return for each broken class those that it costs least to join it with, the cheapest first.

    Parameters
    ----------
    tables
        Costs of the columns (q).
    low, high, sizes
        Least and greatest codes of each class, shape (c, q), and its people, shape (c,).
    broken
        The classes to join, shape (b,).
    most
        How many to return for each, less than c.
    """
    costs = costs_of_boxes(tables, low, high)
    nearest = np.empty((len(broken), most), dtype=np.int64)
    increases = np.empty(most)
    for number in range(len(broken)):
        one = broken[number]
        held = 0
        for other in range(len(sizes)):
            if other == one:
                continue
            size = sizes[one] + sizes[other]
            alone = sizes[one] * costs[one] + sizes[other] * costs[other]
            limit = np.inf if held < most else (increases[most - 1] + alone) / max(size, 1)
            increase = size * cost_with(tables, low, high, one, low, high, other, limit) - alone
            if held == most and increase >= increases[most - 1]:
                continue
            held = min(held + 1, most)
            place = held - 1
            while place > 0 and increases[place - 1] > increase:
                increases[place] = increases[place - 1]
                nearest[number, place] = nearest[number, place - 1]
                place -= 1
            increases[place], nearest[number, place] = increase, other
    return nearest


@compiled
def _paired(broken: Integers, nearest: Integers, mended: Flags, classes: int) -> Integers:
    """Return with which class each is joined, shape (classes,); with itself if it stays as it is.

    A broken class takes the nearest with which it keeps the criteria, or else the nearest; no class
    is joined twice before it is counted again.
    """
    joined = np.arange(classes)
    taken = np.zeros(classes, dtype=np.bool_)
    for number in range(len(broken)):
        one = broken[number]
        if taken[one]:
            continue
        chosen = -1
        for place in range(nearest.shape[1]):
            other = nearest[number, place]
            if taken[other]:
                continue
            if mended[number, place]:
                chosen = other
                break
            if chosen < 0:
                chosen = other
        if chosen >= 0:
            joined[one] = chosen
            taken[one], taken[chosen] = True, True
    return joined


def _mended(
    classes: EquivalenceClasses, broken: Integers, nearest: Integers, criteria: Sequence[Criterion]
) -> Flags:
    """Return whether each broken class would keep the criteria with each of its nearest.

    Criteria about the whole table are not asked. Persons who are in both classes are counted twice:
    this only says which pair to try, and who is joined is counted again.
    """
    asked = [one for one in criteria if one.class_wise and not isinstance(one, KAnonymity)]
    mended = np.ones(nearest.shape, dtype=np.bool_)
    if not asked:
        return mended
    names = columns_of(asked)
    width = sum(len(classes.sensitive_values(name).labels) for name in names) * nearest.shape[1]
    step = max(_CELLS_AT_ONCE // max(width, 1), 1)
    tables = {name: _rows_of(classes.sensitive_values(name)) for name in names}
    for start in range(0, len(broken), step):
        part = slice(start, start + step)
        others = nearest[part].ravel()
        ones = np.repeat(broken[part], nearest.shape[1])
        sensitive = {
            name: ValueCounts.of_dense(
                (table[ones] + table[others]).toarray(), classes.sensitive_values(name).labels
            )
            for name, table in tables.items()
        }
        unions = EquivalenceClasses.from_counts(
            classes.sizes[ones] + classes.sizes[others],
            persons=classes.counts_persons,
            sensitive=sensitive,
            overall={name: classes.overall(name) for name in names},
        )
        for criterion in asked:
            mended[part] &= criterion.kept(unions).reshape(-1, nearest.shape[1])
    return mended


def _rows_of(values: ValueCounts) -> Any:
    """Return counts as a sparse matrix with a row for each class."""
    from scipy.sparse import csr_array

    shape = (values.n_classes, len(values.labels))
    return csr_array((values.counts, (values.classes, values.values)), shape=shape)


def _one_class_a_box(people: CodedPeople, placement: Placement) -> tuple[Placement, Boxes]:
    """Return the placement with classes of the same labels made one, as a reader sees them."""
    boxes, box = Boxes.of(people.scales, *placement.extremes(people))
    parts = (
        pl.DataFrame(
            {"entry": placement.entry, "of": box[placement.of_class], "rows": placement.rows}
        )
        .group_by("entry", "of", maintain_order=True)
        .agg(pl.col("rows").sum())
    )
    return Placement(*(parts[name].to_numpy() for name in ("entry", "of", "rows"))), boxes


def _counted(
    people: CodedPeople,
    placement: Placement,
    boxes: Boxes,
    criteria: Sequence[Criterion],
    table: pl.DataFrame,
    schema: Schema,
) -> EquivalenceClasses:
    """Count the people and the sensitive values of every class."""
    if not np.array_equal(people.weights, people.rows):
        return _counted_persons(people, placement, boxes, criteria, table, schema)
    n = placement.n_classes
    sizes = np.bincount(placement.of_class, placement.rows, n).astype(np.int64)
    sensitive = {}
    for name in columns_of(criteria):
        value, labels = people.sensitive[name]
        key = placement.of_class * len(labels) + value[placement.entry]
        pairs, place = np.unique(key, return_inverse=True)
        counts = np.bincount(place.reshape(-1), placement.rows).astype(np.int64)
        classes, values = np.divmod(pairs, len(labels))
        sensitive[name] = ValueCounts(classes, values, counts, labels, n)
    return EquivalenceClasses.from_counts(
        sizes,
        persons=schema.person is not None,
        sensitive=sensitive,
        keys=boxes.labels(np.arange(n)),
    )


def _counted_persons(
    people: CodedPeople,
    placement: Placement,
    boxes: Boxes,
    criteria: Sequence[Criterion],
    table: pl.DataFrame,
    schema: Schema,
) -> EquivalenceClasses:
    """Count distinct persons, row by row, where some have several rows."""
    of_row = class_of_rows(people, placement)
    names = columns_of(criteria)
    person = [] if schema.person is None else [schema.person]
    told = table.select(list(dict.fromkeys([*names, *person])))
    counted = EquivalenceClasses.of(
        told.with_columns(pl.Series("class of a row", of_row)),
        ["class of a row"],
        sensitive=names,
        person=schema.person,
    )
    # numbered there as they first appear; here by class
    first = np.unique(counted.of_row, return_index=True)[1]
    number = of_row[first]
    sizes = np.empty(len(counted), dtype=np.int64)
    sizes[number] = counted.sizes
    sensitive, overall = {}, {}
    for name in names:
        values = counted.sensitive_values(name)
        classes = number[values.classes]
        order = np.lexsort((values.values, classes))
        sensitive[name] = ValueCounts(
            classes[order],
            values.values[order],
            values.counts[order],
            values.labels,
            len(sizes),
        )
        overall[name] = counted.overall(name)
    return EquivalenceClasses.from_counts(
        sizes,
        persons=True,
        sensitive=sensitive,
        overall=overall,
        keys=boxes.labels(np.arange(len(sizes))),
    )
