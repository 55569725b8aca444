"""Mondrian: cut the people into groups of at least k, again and again, where they differ most."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import Field, model_validator

from sfumato.anonymization.mondrian.coding import coded_column, coded_people
from sfumato.anonymization.mondrian.partition import Choice, partition
from sfumato.anonymization.mondrian.promises import Promises
from sfumato.anonymization.mondrian.tree import Quasi, Tree
from sfumato.anonymization.people_coding import sensitive_columns
from sfumato.anonymization.recoding import ColumnChange, Recoding
from sfumato.anonymization.released import (
    checked_columns,
    labelled_changes,
    labelled_schema,
)
from sfumato.anonymization.suppression import refuse_small_table
from sfumato.errors import GuaranteeNotMet, InternalError, PlanError, SchemaError
from sfumato.privacy import Criteria, Criterion, EquivalenceClasses, KAnonymity, SizeCriterion
from sfumato.progress import Progress, silent
from sfumato.settings import Settings
from sfumato.table import Hierarchy, Schema

__all__ = ["Mondrian", "MondrianRecoding"]

Integers = npt.NDArray[np.int64]

_K = 5  # what is promised if nothing is said
_MOST_TRIES = 8  # to make groups that keep what is measured against all of them together


class Mondrian(Settings):
    """Cut everybody into ever smaller groups that all keep what is promised, k-anonymity first.

    One quasi-identifier of a group is cut at a time: by its hierarchy into all children of the
    group's node, or, for numbers and dates without a hierarchy, in two parts. A cut that would
    leave a part that breaks a promise is not made; then another is tried. Equal values stay
    together, unless ``relaxed``. Nothing is drawn: the same table gives the same groups. Missing
    values are a value of their own. An interval ends at the roundest number between two
    neighbouring ones, so that it need not tell anybody's own.

    The width of a group in a column is the share of the hierarchy's leaves below its node, or the
    share of the column's range; of equally wide columns, and of equally good cuts, the first in the
    schema and the lowest number is taken.

    Parameters
    ----------
    k
        Least number of people of a group; persons where the schema names a person column, else
        rows. 5 if neither it nor ``criteria`` is given.
    criteria
        What every group keeps besides ``k``: promises about each class by itself, such as
        l-diversity or t-closeness, as many as wanted.
    choose
        Which cut a group gets. "width": along its widest column, numbers at the value nearest to
        the median. "gain": that which takes away most of its people's widths in the column that is
        cut, whatever the sizes of the parts; an exact value has no width.
    relaxed
        Whether a group that no cut can part is parted by rank: numbers at the middle person, of a
        hierarchy's node up to half of the people into its largest child. People with equal values
        may then carry different labels, each of which holds their value.
    suppression_limit
        Largest share of the rows, 0 to 1, that may be suppressed; as none is, every limit is kept.

    Notes
    -----
    K. LeFevre, D. DeWitt, R. Ramakrishnan, "Mondrian multidimensional k-anonymity", ICDE 2006:
    strict and relaxed partitioning (section 3), choice by width (section 4). The gain is that of
    the normalized certainty penalty of J. Xu et al., "Utility-based anonymization using local
    recoding", KDD 2006, of one column at a time.
    """

    k: int | None = Field(default=None, ge=2)
    criteria: Criteria = ()
    choose: Choice = "width"
    relaxed: bool = False
    suppression_limit: float = Field(default=1.0, ge=0, le=1)

    @model_validator(mode="before")
    @classmethod
    def _k_if_nothing_is_said(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("k") is None and not values.get("criteria"):
            return {**values, "k": _K}
        return values

    @property
    def promises(self) -> tuple[Criterion, ...]:
        """What every group keeps: k-anonymity, and the other criteria."""
        own = () if self.k is None else (KAnonymity(k=self.k),)
        return tuple(dict.fromkeys((*own, *self.criteria)))

    def fit(
        self, table: pl.DataFrame, schema: Schema, *, progress: Progress = silent
    ) -> MondrianRecoding:
        """Find the groups.

        Raises
        ------
        PlanError
            If k is larger than the table, or a criterion is not about each class by itself.
        SchemaError
            If the schema does not fit the table, has no quasi-identifier, or lacks the column of a
            criterion.
        HierarchyError
            If a column holds a value that its hierarchy does not hold.
        GuaranteeNotMet
            If not even the whole table as one class keeps a criterion, or no groups of persons with
            several rows were found that keep one.
        """
        full = schema.check(table)
        # in the order of the schema as it was given, which decides between equally wide columns
        names = tuple(dict.fromkeys((*schema.quasi_identifiers, *full.quasi_identifiers)))
        if not names:
            raise SchemaError("mondrian cuts along quasi-identifiers, but the schema has none")
        self._refuse_merging()
        counted = sensitive_columns(self.promises, full)
        person = full.person
        everybody = table.height if person is None else table[person].n_unique()
        several = person is not None and everybody < table.height
        least = [one.smallest_size() for one in self.promises if isinstance(one, SizeCriterion)]
        refuse_small_table(max(least, default=1), everybody, counts_persons=person is not None)
        columns = tuple(Quasi(name, _hierarchy(table[name], full)) for name in names)
        coded = [coded_column(table[quasi.name], quasi.hierarchy) for quasi in columns]
        axes, scales = tuple(one.axis for one in coded), tuple(one.scale for one in coded)
        people = coded_people(table, coded, counted, person if several else None)
        del coded  # as long as the table, and no longer needed
        promises = Promises.of(self.promises, people)
        total = len(people)
        dtypes = tuple(table[name].dtype for name in names)
        for _ in range(_MOST_TRIES):
            grown = partition(
                people,
                axes,
                promises.least,
                lambda settled: progress("cutting into groups", settled, total),
                promises=promises,
                choose=self.choose,
                relaxed=self.relaxed,
            )
            tree = Tree.of(grown, columns, scales, dtypes, counted, person if several else None)
            if not several or not promises.others:
                break
            # whoever has several rows may count in several classes, so what all classes hold
            # together, against which some promises measure, is only known when they are made
            classes = _classes(table, tree, names, counted, full.person)
            if promises.hold(classes):
                break
            promises = promises.measured_against(classes, people)
        else:
            kinds = ", ".join(criterion.kind for criterion in promises.others)
            raise GuaranteeNotMet(
                f"{kinds}: no groups were found that keep it when each person counts once a "
                "class; ask for less, or release one row a person"
            )
        if tree.sizes.min() < promises.least:
            raise InternalError("a group smaller than k was made")
        return MondrianRecoding(self.promises, full, tree)

    def _refuse_merging(self) -> None:
        """Refuse cuts by rank where two groups that end with the same labels may break a promise.

        Raises
        ------
        PlanError
            With the criterion's kind.
        """
        for criterion in self.promises if self.relaxed else ():
            if not criterion.monotone_generalization:
                raise PlanError(
                    f"{criterion.kind}: two groups that each keep it may break it together, and "
                    "groups that were cut by rank may end with the same labels: set relaxed = "
                    "false"
                )


@dataclass(frozen=True)
class MondrianRecoding(Recoding):
    """The fitted groups.

    Parameters
    ----------
    criteria
        What every group keeps at fitting.
    schema
        The schema of the source table.
    tree
        The cuts.
    """

    criteria: tuple[Criterion, ...]
    schema: Schema
    tree: Tree

    @property
    def promises(self) -> tuple[Criterion, ...]:
        """What the release of the rows it was fitted on keeps."""
        return self.criteria

    @property
    def class_sizes(self) -> Integers:
        """How many people each group has at fitting."""
        return self.tree.sizes

    def recode(self, table: pl.DataFrame) -> pl.DataFrame:
        """Return the recoded rows: each carries the labels of the group into which it falls.

        A person who was not there at fitting falls into the same groups; whoever has a value that
        no group holds stays above it and carries coarser labels.

        Raises
        ------
        DataError
            If a column that is released is absent, or one is unknown.
        HierarchyError
            If a value is not held by a column's hierarchy.
        """
        kept = [name for name in self.schema.columns if name not in self.schema.identifiers]
        checked_columns(table, self.schema, kept)
        return table.select(kept).with_columns(self.tree.labels(table).get_columns())

    def describe(self) -> tuple[ColumnChange, ...]:
        """Return what is done to each column, and why."""
        found = (
            f"as fine as {self._limit()} ({len(self.class_sizes):,} groups of people, the "
            f"smallest of {int(self.class_sizes.min()):,}){self._apart()}"
        )
        said = {
            quasi.name: "replaced by "
            + ("a group of its hierarchy" if quasi.hierarchy else "an interval")
            + f", {found}"
            for quasi in self.tree.columns
        }
        return labelled_changes(self.schema, said)

    def _limit(self) -> str:
        """Return in words what keeps the groups from being finer."""
        ks = [one.k for one in self.criteria if isinstance(one, KAnonymity)]
        others = [one.kind for one in self.criteria if not isinstance(one, KAnonymity)]
        limits = [f"{max(ks)} people who share all quasi-identifiers"] if ks else []
        limits += [", ".join(others)] if others else []
        verb = "allow" if ks and not others else "allow together" if ks else "allows"
        return " and ".join(limits) + f" {verb}"

    def _apart(self) -> str:
        """Return in words whether equal values may be released differently."""
        if not self.tree.has_rank_cuts:
            return ""
        return "; where no other cut was left, people with equal values may carry different ones"

    def released_schema(self) -> Schema:
        """Return the schema of the release: quasi-identifiers are categories."""
        return labelled_schema(self.schema)

    def to_dict(self) -> dict[str, Any]:
        """Return the recoding as plain JSON values."""
        return {
            "criteria": [criterion.to_dict() for criterion in self.criteria],
            "schema": self.schema.to_dict(),
            "tree": self.tree.to_dict(),
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Return the recoding that :meth:`to_dict` described."""
        criteria = tuple(Criterion.from_dict(one) for one in values["criteria"])
        return cls(criteria, Schema.from_dict(values["schema"]), Tree.from_dict(values["tree"]))


def _hierarchy(values: pl.Series, schema: Schema) -> Hierarchy | None:
    """Return the hierarchy along which a column is cut, or None for numbers and dates."""
    hierarchy = schema.columns[values.name].hierarchy
    if hierarchy is None and not (values.dtype.is_numeric() or values.dtype.is_temporal()):
        return Hierarchy.flat()
    return hierarchy


def _classes(
    table: pl.DataFrame,
    tree: Tree,
    names: tuple[str, ...],
    counted: tuple[str, ...],
    person: str | None,
) -> EquivalenceClasses:
    """Return the classes of the release, as whoever receives it would count them."""
    others = [name for name in (*counted, person) if name is not None]
    released = table.select(others).hstack(tree.labels(table).get_columns())
    return EquivalenceClasses.of(released, names, sensitive=counted, person=person)
