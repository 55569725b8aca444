"""What of each input a model needs: ranges, groups of categories, or the exact value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import polars as pl

from sfumato.anonymization.guided.carried import Carried, carried_by
from sfumato.anonymization.guided.coding import ColumnCode, matrix
from sfumato.anonymization.guided.guide_tree import GuideTree
from sfumato.anonymization.scales import numbers_of_column
from sfumato.errors import DataError, did_you_mean
from sfumato.fitted import Fitted

__all__ = ["Generalizations"]

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Generalizations(Fitted):
    """The cells of a model's inputs, and which inputs are told by their cell alone.

    Parameters
    ----------
    codes
        How columns become the features that the tree asks for.
    tree
        Its leaves are the cells.
    carried
        What each cell carries in the columns that are generalized; none of them if empty.
    generalized, untouched
        The columns that are generalized, and those that are needed as they are.
    limits
        For each column of numbers its least and greatest one at fitting.
    whole
        The columns of whole numbers.
    accuracy, bound, confidence
        Relative accuracy on rows that were held out, what it is at least and with which
        confidence (None: the accuracy itself was compared with the target).
    target
        What was asked for.
    """

    word = "generalizations"

    codes: tuple[ColumnCode, ...]
    tree: GuideTree
    carried: Carried
    generalized: tuple[str, ...]
    untouched: tuple[str, ...]
    limits: dict[str, tuple[float, float]]
    whole: tuple[str, ...]
    accuracy: float
    bound: float
    confidence: float | None
    target: float

    def cells(self, table: pl.DataFrame) -> Integers:
        """Return the cell of each row, shape (n,).

        Raises
        ------
        DataError
            If a column is absent.
        """
        for code in self.codes:
            if code.name not in table.columns:
                hint = did_you_mean(code.name, table.columns)
                raise DataError(f"the table has no column {code.name!r}, which is asked for.{hint}")
        return self.tree.fall(matrix(table, self.codes))

    def apply(self, table: pl.DataFrame) -> pl.DataFrame:
        """Return the rows with what their cells carry in the columns that are generalized."""
        if not self.generalized:
            return table
        return table.with_columns(carried_by(self.carried, table, self.cells(table)))

    @property
    def ranges(self) -> dict[str, list[float]]:
        """For each generalized column of numbers the rising points between its ranges.

        A number that equals a point belongs to the range below it.
        """
        found = {}
        for code, features in self._features():
            if code.categories is None and code.name in self.generalized:
                cuts = np.unique(self.tree.threshold[self.tree.feature == features[0]])
                found[code.name] = (cuts * code.unit + code.origin).tolist()
        return found

    @property
    def categories(self) -> dict[str, list[list[str | None]]]:
        """For each generalized column of categories the groups that need not be told apart."""
        found = {}
        for code, features in self._features():
            if code.categories is not None and code.name in self.generalized:
                asked = np.isin(features, self.tree.feature)
                rest = [one for one, alone in zip(code.categories, asked, strict=True) if not alone]
                groups = [[one] for one, alone in zip(code.categories, asked, strict=True) if alone]
                found[code.name] = [*groups, rest] if rest else groups
        return found

    def summary(self) -> dict[str, Any]:
        """Return ranges, categories and untouched columns, as plain JSON values."""
        return {
            "ranges": self.ranges,
            "categories": self.categories,
            "untouched": list(self.untouched),
        }

    def form(self) -> tuple[str, ...]:
        """Return what is to be asked of a person, a line for each column.

        Examples of lines: "age: under 38, 38 to 54, or over 54", "colour: not needed".
        """
        lines = []
        for name, cuts in self.ranges.items():
            lines.append(f"{name}: {_ranges_in_words(cuts, whole=name in self.whole)}")
        for name, groups in self.categories.items():
            said = [
                " or ".join("no answer" if one is None else one for one in group)
                for group in groups
            ]
            if len(groups) > 1 and len(groups[-1]) > 3:
                said[-1] = "any other"
            lines.append(f"{name}: {'; '.join(said) if len(groups) > 1 else 'not needed'}")
        lines += [f"{name}: exactly" for name in self.untouched]
        order = {name: place for place, name in enumerate(code.name for code in self.codes)}
        return tuple(sorted(lines, key=lambda line: order.get(line.partition(":")[0], len(order))))

    def penalty(self, table: pl.DataFrame) -> float:
        """Return the normalized certainty penalty of a table's rows in their cells, 0 to 1.

        The mean over the columns of what the cell leaves open: the width of its range as a share
        of the column's range, or its categories as a share of all (0 for a single one).
        """
        people = np.bincount(self.cells(table), minlength=len(self.tree.leaves))
        names = (*self.generalized, *self.untouched)
        each = self.column_penalties(people)
        return float(np.mean([each[name] if name in self.generalized else 0.0 for name in names]))

    def column_penalties(self, people: Integers) -> dict[str, float]:
        """Return what cells leave open in each column, weighted by the people of each cell."""
        low, high = self._bounds()
        weights = people / max(int(people.sum()), 1)
        found = {}
        for code, features in self._features():
            if code.categories is None:
                first, last = self.limits[code.name]
                first, last = (first - code.origin) / code.unit, (last - code.origin) / code.unit
                below = np.clip(low[:, features[0]], first, last)
                above = np.clip(high[:, features[0]], first, last)
                open_ = (above - below) / (last - first) if last > first else np.zeros(len(low))
            else:
                inside = (high[:, features] >= 1) & ~(
                    (low[:, features] < 0) & (low[:, features] >= 0).any(axis=1, keepdims=True)
                )
                count = inside.sum(axis=1)
                open_ = np.where(count <= 1, 0.0, count / max(len(features), 1))
            found[code.name] = float(open_ @ weights)
        return found

    def collection_penalty(self, table: pl.DataFrame) -> float:
        """Return the penalty of what the form asks: the ranges between all points, all groups."""
        found = dict.fromkeys((*self.generalized, *self.untouched), 0.0)
        for name, cuts in self.ranges.items():
            first, last = self.limits[name]
            if last > first:
                ends = np.clip([first, *cuts, last], first, last)
                numbers = numbers_of_column(table[name])
                place = np.searchsorted(cuts, numbers[~np.isnan(numbers)], side="left")
                widths = np.diff(ends)[place] / (last - first)
                found[name] = float(widths.mean()) if len(widths) else 0.0
        for name, groups in self.categories.items():
            count = sum(map(len, groups))
            texts = table[name].cast(pl.String)
            shares = [
                len(group) / count * float(texts.is_in(group, nulls_equal=True).sum()) / len(texts)
                for group in groups
                if len(group) > 1 and len(texts)
            ]
            found[name] = float(sum(shares))
        return float(np.mean(list(found.values()))) if found else 0.0

    def _features(self) -> list[tuple[ColumnCode, Integers]]:
        ends = np.cumsum([0, *(code.width for code in self.codes)])
        return [
            (code, np.arange(start, end))
            for code, start, end in zip(self.codes, ends[:-1], ends[1:], strict=True)
        ]

    def _bounds(self) -> tuple[Floats, Floats]:
        """Return what each cell is bounded by in each feature, from above one up to the other."""
        tree = self.tree
        width = sum(code.width for code in self.codes)
        low = np.full((tree.n_nodes, width), -np.inf)
        high = np.full((tree.n_nodes, width), np.inf)
        for depth in range(int(tree.depth.max(initial=0))):
            nodes = np.flatnonzero((tree.depth == depth) & (tree.left >= 0))
            for children, ends, sharper in (
                (tree.left[nodes], high, np.minimum),
                (tree.right[nodes], low, np.maximum),
            ):
                low[children], high[children] = low[nodes], high[nodes]
                asked = (children, tree.feature[nodes])
                ends[asked] = sharper(ends[asked], tree.threshold[nodes])
        return low[tree.leaves], high[tree.leaves]

    def to_dict(self) -> dict[str, Any]:
        """Return all as plain JSON values, the readable summary first."""
        return {
            **self.summary(),
            "form": list(self.form()),
            "codes": [code.to_dict() for code in self.codes],
            "tree": self.tree.to_dict(),
            "carried": self.carried.to_dict(),
            "generalized": list(self.generalized),
            "limits": {name: list(ends) for name, ends in self.limits.items()},
            "whole": list(self.whole),
            "accuracy": self.accuracy,
            "bound": self.bound,
            "confidence": self.confidence,
            "target": self.target,
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Return what :meth:`to_dict` described."""
        return cls(
            tuple(ColumnCode.from_dict(one) for one in values["codes"]),
            GuideTree.from_dict(values["tree"]),
            Carried.from_dict(values["carried"]),
            tuple(values["generalized"]),
            tuple(values["untouched"]),
            {name: (ends[0], ends[1]) for name, ends in values["limits"].items()},
            tuple(values["whole"]),
            values["accuracy"],
            values["bound"],
            values["confidence"],
            values["target"],
        )

    def __reduce__(self) -> Any:
        return Generalizations.from_dict, (self.to_dict(),)


def _ranges_in_words(cuts: Sequence[float], *, whole: bool) -> str:
    """Return ranges as a person is asked for them; a cut belongs to the range below it."""
    if not cuts:
        return "not needed"
    if whole:
        upto = [int(np.floor(cut)) for cut in cuts]
        said = [f"under {upto[0] + 1}"]
        for below, above in pairwise(upto):
            said.append(f"{below + 1} to {above}" if above > below + 1 else f"{above}")
        said.append(f"over {upto[-1]}")
    else:
        texts = [f"{cut:.6g}" for cut in cuts]
        said = [f"up to {texts[0]}"]
        said += [f"over {one} up to {two}" for one, two in pairwise(texts)]
        said.append(f"over {texts[-1]}")
    return ", ".join(said[:-1]) + f" or {said[-1]}"
