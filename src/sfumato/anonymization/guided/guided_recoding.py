"""The fitted groups of a guided tree, down which anybody falls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import polars as pl

from sfumato.anonymization.boxes import Boxes
from sfumato.anonymization.guided.carried import Carried, carried_by
from sfumato.anonymization.guided.coding import ColumnCode, matrix
from sfumato.anonymization.guided.guide_tree import GuideTree
from sfumato.anonymization.recoding import ColumnChange, Recoding
from sfumato.anonymization.released import checked_columns, labelled_changes, labelled_schema
from sfumato.privacy import Criterion
from sfumato.table import Schema

__all__ = ["GuidedRecoding"]

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class GuidedRecoding(Recoding):
    """Everybody carries what their leaf of the tree carries.

    Parameters
    ----------
    criteria
        What every class keeps at fitting.
    schema
        The schema of the source table.
    codes
        How columns become the features that the tree asks for.
    tree
        The splits.
    of_leaf
        The class of each leaf, shape (leaves,); leaves that carry the same are one class.
    carried
        What each class (c) carries: values, or labels.
    sizes
        People of each class at fitting, shape (c,).
    notes
        How the tree was found, a sentence each.
    """

    criteria: tuple[Criterion, ...]
    schema: Schema
    codes: tuple[ColumnCode, ...]
    tree: GuideTree
    of_leaf: Integers
    carried: Carried | Boxes
    sizes: Integers
    notes: tuple[str, ...] = ()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, GuidedRecoding):
            return NotImplemented
        return self.to_dict() == other.to_dict()

    def __hash__(self) -> int:
        return hash((self.criteria, len(self.sizes), self.tree.n_nodes))

    def __reduce__(self) -> Any:
        # as a scikit-learn transformer that holds it is pickled and copied
        return GuidedRecoding.from_dict, (self.to_dict(),)

    @property
    def promises(self) -> tuple[Criterion, ...]:
        """What the release of the rows it was fitted on keeps."""
        return self.criteria

    @property
    def class_sizes(self) -> Integers:
        """How many people each class has at fitting."""
        return self.sizes

    def classes(self, table: pl.DataFrame) -> Integers:
        """Return the class into which each row falls, shape (n,).

        Raises
        ------
        DataError
            If a column that the tree asks for is absent.
        """
        checked_columns(table, self.schema, [code.name for code in self.codes])
        return self.of_leaf[self.tree.fall(matrix(table, self.codes))]

    def apply(self, table: Any) -> Any:
        """Return the recoded rows, in the order given; see :meth:`Recoding.apply`.

        Values of a pandas table come back in its own types.
        """
        recoded = super().apply(table)
        if type(table).__module__.partition(".")[0] == "pandas" and isinstance(
            self.carried, Carried
        ):
            return recoded.astype({name: table[name].dtype for name in recoded.columns})
        return recoded

    def recode(self, table: pl.DataFrame) -> pl.DataFrame:
        """Return the recoded rows: each carries what the leaf carries into which it falls.

        New people fall down the same tree. A category that was not there at fitting is none of
        those that a split asks for. Where a leaf carries labels, a row whose values they do not
        hold carries those of the class that holds them and says most, or ``*``.

        Raises
        ------
        DataError
            If a column that is released or asked for is absent, or one is unknown.
        HierarchyError
            If labels are carried, and a value is not held by a column's hierarchy.
        """
        kept = [name for name in self.schema.columns if name not in self.schema.identifiers]
        checked_columns(table, self.schema, kept)
        of_row = self.classes(table)
        return table.select(kept).with_columns(carried_by(self.carried, table, of_row))

    def describe(self) -> tuple[ColumnChange, ...]:
        """Return what is done to each column, and why."""
        found = (
            f"a decision tree guided by {self.notes[0]}: {len(self.sizes):,} groups of people, "
            f"the smallest of {int(self.sizes.min()):,}"
        )
        said = {name: f"{how} ({found})" for name, how in self._said().items()}
        first = next(iter(said))
        said[first] = "; ".join([said[first], *self.notes[1:]])
        return labelled_changes(self.schema, said)

    def _said(self) -> dict[str, str]:
        if isinstance(self.carried, Boxes):
            return self.carried.describe(self.sizes)
        return self.carried.describe()

    def released_schema(self) -> Schema:
        """Return the schema of the release: with labels, quasi-identifiers are categories."""
        if isinstance(self.carried, Boxes):
            return labelled_schema(self.schema)
        kept = [name for name in self.schema.columns if name not in self.schema.identifiers]
        return self.schema.select(kept)

    def to_dict(self) -> dict[str, Any]:
        """Return the recoding as plain JSON values."""
        kind = "labels" if isinstance(self.carried, Boxes) else "values"
        return {
            "criteria": [criterion.to_dict() for criterion in self.criteria],
            "schema": self.schema.to_dict(),
            "codes": [code.to_dict() for code in self.codes],
            "tree": self.tree.to_dict(),
            "of_leaf": self.of_leaf.tolist(),
            kind: self.carried.to_dict(),
            "sizes": self.sizes.tolist(),
            "notes": list(self.notes),
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Return the recoding that :meth:`to_dict` described."""
        carried: Carried | Boxes = (
            Boxes.from_dict(values["labels"])
            if "labels" in values
            else Carried.from_dict(values["values"])
        )
        return cls(
            tuple(Criterion.from_dict(one) for one in values["criteria"]),
            Schema.from_dict(values["schema"]),
            tuple(ColumnCode.from_dict(one) for one in values["codes"]),
            GuideTree.from_dict(values["tree"]),
            np.asarray(values["of_leaf"], dtype=np.int64),
            carried,
            np.asarray(values["sizes"], dtype=np.int64),
            tuple(values["notes"]),
        )
