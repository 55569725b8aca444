"""Micro-aggregation: people are put in small groups, and each carries the group's mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import Field

from sfumato.anonymization.microaggregation.recoding import (
    Axis,
    MicroAggregationRecoding,
    group_labels,
    points_of,
    tuple_keys,
)
from sfumato.anonymization.microaggregation.values import (
    Aggregate,
    aggregated,
    check_aggregate,
    counts_as_number,
)
from sfumato.anonymization.suppression import refuse_small_table
from sfumato.errors import InternalError, PlanError, SchemaError, did_you_mean
from sfumato.privacy import EquivalenceClasses
from sfumato.progress import Progress, silent
from sfumato.settings import Settings
from sfumato.table import SUPPRESSED, Schema

__all__ = ["MicroAggregation"]

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


class MicroAggregation(Settings):
    """Put at least k people with similar numbers in a class; each carries the class's aggregates.

    The classes are made by MDAV along the quasi-identifiers that are numbers or dates, each
    measured in its standard deviations. Those that ``levels`` names are generalized first, and
    classes are made among people with the same labels; groups of fewer than k such people are
    joined, and their labels become ``*``. Equal people stay together. Nothing is drawn: the same
    people make the same classes, whatever the order of the rows.

    Numbers stay numbers, so that averages of the release are those of the source: the mean of the
    column is kept exactly, its variance shrinks. All quasi-identifiers are micro-aggregated or
    generalized, so the release is k-anonymous; what is guarded is the person, not what is said of
    its class: a class of equal values tells them.

    Parameters
    ----------
    k
        Least number of people of a class: persons where the schema names a person column, else
        rows.
    columns
        For a quasi-identifier its aggregate: "mean", "geometric-mean", "median", "mode" (of
        several the least), "interval" or "set". Left out: the mean of numbers and dates, the mode
        of anything else.
    levels
        For a quasi-identifier with a hierarchy the level to which it is generalized instead, 0 (as
        it is) to the height.
    classes
        "mdav"; or "groups": everybody with the same labels is one class.
    missing
        "ignore": a missing cell is left out of account in an aggregate, and its person carries the
        aggregate of the others. "keep": an aggregate over a missing cell is missing. In the
        distance, it lies at the mean of the column and apart from all numbers.
    whole
        Whether means and medians of whole numbers are rounded to whole numbers.
    block
        Most different people who are grouped at once; more are cut into blocks at medians first, as
        the cost of MDAV grows with the square.
    suppression_limit
        Largest share of the rows, 0 to 1, that may be suppressed; as none is, every limit is kept.

    Notes
    -----
    J. Domingo-Ferrer, J. M. Mateo-Sanz, "Practical data-oriented microaggregation for statistical
    disclosure control", IEEE TKDE 14(1), 2002.

    Examples
    --------
    >>> table = pl.DataFrame({"age": [20, 22, 24, 61, 63, 65]})
    >>> recoding = MicroAggregation(k=3).fit(table, Schema(quasi_identifiers=["age"]))
    >>> recoding.apply(table)["age"].to_list()
    [22.0, 22.0, 22.0, 63.0, 63.0, 63.0]
    """

    k: int = Field(default=5, ge=2)
    columns: dict[str, Aggregate] = Field(default_factory=dict)
    levels: dict[str, int] = Field(default_factory=dict)
    classes: Literal["mdav", "groups"] = "mdav"
    missing: Literal["ignore", "keep"] = "ignore"
    whole: bool = False
    block: int = Field(default=30_000, ge=2)
    suppression_limit: float = Field(default=1.0, ge=0, le=1)

    def fit(
        self, table: pl.DataFrame, schema: Schema, *, progress: Progress = silent
    ) -> MicroAggregationRecoding:
        """Find the classes and their aggregates.

        Raises
        ------
        PlanError
            If k is larger than the table, a setting names a column that it cannot be about, or an
            aggregate does not fit its column.
        SchemaError
            If the schema does not fit the table or has no quasi-identifier.
        HierarchyError
            If a column holds a value that its hierarchy does not hold.
        """
        full = schema.check(table)
        names = full.quasi_identifiers
        if not names:
            raise SchemaError("micro-aggregation is about quasi-identifiers, but there are none")
        person = full.person
        everybody = table.height if person is None else table[person].n_unique()
        refuse_small_table(self.k, everybody, counts_persons=person is not None)
        self._check_levels(full)
        aggregates = self._aggregates(table, names)
        axes = self._axes(table, aggregates)
        persons = None if person is None else table[person]
        labels, group = _groups(table, full, self.levels, self.k, persons)
        if self.classes == "mdav":
            of_row = self._mdav(table, names, group, axes, persons, progress)
        else:
            of_row = group
        n_classes = int(of_row.max()) + 1
        first = np.unique(of_row, return_index=True)[1]
        carried = {name: labels[name].gather(first) for name in self.levels}
        for name, aggregate in aggregates.items():
            carried[name] = aggregated(
                table[name],
                of_row,
                n_classes,
                aggregate,
                whole=self.whole,
                ignore_missing=self.missing == "ignore",
            )
        classes = pl.DataFrame([carried[name].alias(name) for name in names])
        keys = tuple_keys(table, names).with_columns(pl.Series("class", of_row))
        recoding = MicroAggregationRecoding(
            self.k,
            full,
            dict(self.levels),
            aggregates,
            self.missing == "ignore",
            axes,
            classes,
            _centres(points_of(table, axes), of_row, n_classes),
            _sizes(of_row, persons),
            keys.unique(maintain_order=True),
        )
        released = recoding.recode(table)
        counted = released if person is None else released.with_columns(table[person].alias(person))
        if EquivalenceClasses.of(counted, names, person=person).smallest < self.k:
            raise InternalError("a class smaller than k was made")
        return recoding

    def _check_levels(self, schema: Schema) -> None:
        for setting, named in (("columns", self.columns), ("levels", self.levels)):
            for name in named:
                if name not in schema.quasi_identifiers:
                    hint = did_you_mean(name, schema.quasi_identifiers)
                    raise PlanError(f"{setting}: {name!r} is no quasi-identifier.{hint}")
        for name, level in self.levels.items():
            if name in self.columns:
                raise PlanError(
                    f"{name!r} is in columns and in levels: it is either micro-aggregated or "
                    "generalized"
                )
            hierarchy = schema.columns[name].hierarchy
            height = 0 if hierarchy is None else hierarchy.height
            if not 0 <= level <= height:
                raise PlanError(f"levels.{name} = {level}: its levels are 0 to {height}")

    def _aggregates(self, table: pl.DataFrame, names: tuple[str, ...]) -> dict[str, Aggregate]:
        """Return the aggregate of each micro-aggregated column."""
        chosen: dict[str, Aggregate] = {}
        for name in names:
            if name in self.levels:
                continue
            number = counts_as_number(table.schema[name])
            chosen[name] = self.columns.get(name, "mean" if number else "mode")
            check_aggregate(table[name], chosen[name])
        return chosen

    def _axes(self, table: pl.DataFrame, aggregates: Mapping[str, Aggregate]) -> tuple[Axis, ...]:
        """Return along which columns distances are measured."""
        if self.classes == "groups":
            if not self.levels:
                raise PlanError(
                    'classes = "groups" needs levels: without them all people are one group'
                )
            return ()
        numbers = [name for name in aggregates if counts_as_number(table.schema[name])]
        if not numbers:
            raise PlanError(
                "micro-aggregation by MDAV needs a quasi-identifier of numbers or dates that is "
                "not in levels; for categories take a clustering such as k-member, or "
                'classes = "groups"'
            )
        return tuple(Axis.of(table[name]) for name in numbers)

    def _mdav(
        self,
        table: pl.DataFrame,
        names: tuple[str, ...],
        group: Integers,
        axes: tuple[Axis, ...],
        persons: pl.Series | None,
        progress: Progress,
    ) -> Integers:
        """Return the class of each row."""
        from sfumato.anonymization.microaggregation.mdav import kd_blocks, mdav, nearest_centres

        # equal people as one entry, in an order that does not depend on that of the rows
        counts = pl.Series("people", np.ones(table.height, dtype=np.int64))
        if persons is not None:
            counts = persons.is_first_distinct().cast(pl.Int64)
        keys = tuple_keys(table, names).with_columns(
            pl.Series("group", group), counts.alias("people"), row=pl.int_range(pl.len())
        )
        entries = (
            keys.group_by([str(number) for number in range(len(names))] + ["group"])
            .agg(pl.col("people").sum(), pl.col("row").min())
            .sort(pl.all().exclude("row", "people"))
        )
        points = points_of(table[entries["row"].to_numpy()], axes)
        people, of_entry = entries["people"].to_numpy(), entries["group"].to_numpy()
        found = np.full(len(entries), -1, dtype=np.int64)
        classes, done = 0, 0
        for one in np.unique(of_entry):
            here = np.flatnonzero(of_entry == one)
            counted = here[people[here] > 0]
            if people[counted].sum() < self.k:  # some people are counted in another group
                found[here] = classes
                classes += 1
                continue
            for block in kd_blocks(points[counted], people[counted], self.k, self.block):
                progress("micro-aggregating", done, len(entries))
                some = counted[block]
                found[some] = classes + mdav(points[some], people[some], self.k)
                classes = int(found[some].max()) + 1
                done += len(some)
            uncounted = here[people[here] == 0]
            if len(uncounted):
                known, of_known = np.unique(found[counted], return_inverse=True)
                centres = _centres(points[counted], of_known.reshape(-1), len(known))
                found[uncounted] = known[nearest_centres(points[uncounted], centres)]
        progress("micro-aggregating", len(entries), len(entries))
        told = entries.with_columns(pl.Series("class", found)).drop("people", "row")
        joined = keys.join(
            told,
            on=[name for name in told.columns if name != "class"],
            how="left",
            nulls_equal=True,
            maintain_order="left",
        )
        of_row: Integers = joined["class"].to_numpy()
        return of_row


def _groups(
    table: pl.DataFrame,
    schema: Schema,
    levels: dict[str, int],
    k: int,
    persons: pl.Series | None,
) -> tuple[pl.DataFrame, Integers]:
    """Return the labels by which people are grouped, and the group of each row.

    Groups of fewer than k people are joined under ``*``; if they are fewer than k together, the
    smallest other group joins them.
    """
    labels = group_labels(table, schema, levels)
    if not levels:
        return labels, np.zeros(table.height, dtype=np.int64)
    counted = labels if persons is None else labels.with_columns(persons.alias("person of a row"))
    person = None if persons is None else "person of a row"
    classes = EquivalenceClasses.of(counted, labels.columns, person=person)
    small = classes.sizes < k
    if small.any():
        # of groups of one size the first by its label, wherever its rows stand
        first = np.unique(classes.of_row, return_index=True)[1]
        of_label = labels.select(pl.all().rank("dense").fill_null(0)).to_numpy()[first]
        order = np.lexsort((*of_label.T[::-1], classes.sizes))
        for one in order[int(small.sum()) :]:
            some = small[classes.of_row]
            people = int(some.sum()) if persons is None else persons.filter(some).n_unique()
            if people >= k:
                break
            small[one] = True
        joined = pl.Series(small[classes.of_row])
        labels = labels.select(
            pl.when(joined).then(pl.lit(SUPPRESSED)).otherwise(pl.col(name)).alias(name)
            for name in labels.columns
        )
    ranks = labels.select(pl.all().rank("dense").fill_null(0))
    return labels, _numbered(ranks)


def _numbered(ranks: pl.DataFrame) -> Integers:
    """Return the number of each row's combination, in rising order of the combinations."""
    _, of_row = np.unique(ranks.to_numpy(), axis=0, return_inverse=True)
    numbers: Integers = of_row.reshape(-1).astype(np.int64)
    return numbers


def _centres(points: Floats, of_row: Integers, n_classes: int) -> Floats:
    """Return the mean of the points of each class, shape (n_classes, coordinates)."""
    counts = np.bincount(of_row, minlength=n_classes)
    sums = [np.bincount(of_row, column, n_classes) for column in points.T]
    return np.column_stack(sums) / counts[:, None] if sums else np.zeros((n_classes, 0))


def _sizes(of_row: Integers, persons: pl.Series | None) -> Integers:
    """Return the people of each class."""
    if persons is None:
        return np.bincount(of_row)
    pairs = pl.DataFrame({"class": of_row, "person": persons}).unique()
    return np.bincount(pairs["class"].to_numpy())
