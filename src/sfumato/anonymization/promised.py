"""What a technique was asked to keep, parted into what its search can count and what it checks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
import numpy.typing as npt
import polars as pl

from sfumato.anonymization.boxes import Boxes
from sfumato.errors import PlanError
from sfumato.privacy import AlphaKAnonymity, Criterion, EquivalenceClasses, KAnonymity
from sfumato.privacy.anonymity import SizeCriterion
from sfumato.privacy.risk import TableCriterion

if TYPE_CHECKING:
    from sfumato.anonymization.class_recoding import Placement
    from sfumato.anonymization.people_coding import CodedPeople
    from sfumato.table import Schema

__all__ = ["Promised", "class_of_rows", "kept_classes"]

_CLASS = "class of a row"  # no column of a table is called so


@dataclass(frozen=True)
class Promised:
    """The criteria of a release.

    Parameters
    ----------
    criteria
        All of them, each once.
    k
        The least size that any of them asks of a class; 1 if none does.
    """

    criteria: tuple[Criterion, ...]
    k: int

    @classmethod
    def of(cls, k: int | None, criteria: Sequence[Criterion]) -> Self:
        """Join the shorthand ``k`` and the criteria.

        Raises
        ------
        PlanError
            If nothing is asked.
        """
        named = [*criteria]
        if k is not None:
            named.insert(0, KAnonymity(k=k))
        each = tuple(dict.fromkeys(named))
        if not each:
            raise PlanError("nothing is promised: give k, or criteria")
        sizes = [1]
        for one in each:
            if isinstance(one, SizeCriterion):
                sizes.append(one.smallest_size())
            elif isinstance(one, AlphaKAnonymity):
                sizes.append(one.k)
        return cls(each, max(sizes))

    @property
    def of_values(self) -> tuple[Criterion, ...]:
        """Those about the values of sensitive columns."""
        return tuple(one for one in self.criteria if one.columns)

    def broken(
        self, table: pl.DataFrame, schema: Schema, people: CodedPeople, placement: Placement
    ) -> npt.NDArray[np.bool_]:
        """Return which classes of a placement do not keep a criterion, shape (n_classes,).

        Counted on the rows themselves, as a release of just these classes would be.
        """
        boxes, box = Boxes.of(people.scales, *placement.extremes(people))
        of_row = class_of_rows(people, placement)
        return self.broken_classes(table, schema, of_row, boxes.silent[box])

    def broken_classes(
        self,
        table: pl.DataFrame,
        schema: Schema,
        of_row: npt.NDArray[np.int64],
        silent: npt.NDArray[np.bool_],
    ) -> npt.NDArray[np.bool_]:
        """Return which classes do not keep a criterion, shape (n_classes,).

        Parameters
        ----------
        table, schema
            The rows, and what their columns are.
        of_row
            The class of each row, 0 to n_classes - 1, each with at least one row.
        silent
            Which classes say nothing of any quasi-identifier, shape (n_classes,).
        """
        columns = tuple(dict.fromkeys(name for one in self.criteria for name in one.columns))
        broken = np.zeros(len(silent), dtype=np.bool_)
        person = schema.person
        told = [name for name in (*columns, person) if name is not None]
        rows = pl.DataFrame(
            [pl.Series(_CLASS, of_row), *(table[name] for name in dict.fromkeys(told))]
        )
        classes = EquivalenceClasses.of(rows, [_CLASS], sensitive=columns, person=person)
        # classes are numbered by first appearance there, and by the caller here
        first = np.unique(classes.of_row, return_index=True)[1]
        number = of_row[first]
        broken[number] = ~kept_classes(self.criteria, classes, silent[number])
        return broken


def kept_classes(
    criteria: Sequence[Criterion], classes: EquivalenceClasses, silent: npt.NDArray[np.bool_]
) -> npt.NDArray[np.bool_]:
    """Return which classes keep all criteria, shape (n_classes,).

    Rows that say nothing are suppressed to whoever reads the release, and may be counted as a class
    or left out. A promise about the whole table is kept both ways.

    Parameters
    ----------
    criteria
        The promises.
    classes
        All classes.
    silent
        Which of them say nothing of any quasi-identifier, shape (n_classes,).
    """
    kept = np.ones(len(classes), dtype=np.bool_)
    for one in criteria:
        kept &= one.kept(classes)
        if isinstance(one, TableCriterion) and silent.any():
            kept[~silent] &= one.kept_sizes(classes.sizes[~silent], classes.members[~silent])
    return kept


def class_of_rows(people: CodedPeople, placement: Placement) -> npt.NDArray[np.int64]:
    """Return the class of each row, shape (n_rows,): parts of an entry in the order of its rows."""
    order = np.argsort(placement.entry, kind="stable")
    in_order = np.repeat(placement.of_class[order], placement.rows[order])
    of_row = np.empty(len(people.of_row), dtype=np.int64)
    of_row[np.argsort(people.of_row, kind="stable")] = in_order
    return of_row
