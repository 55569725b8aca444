"""The tree that Mondrian grew, down which anybody falls: those it grew from, and new people."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property
from math import inf
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import polars as pl

from sfumato.anonymization.axes import BOTH, NUMBERS
from sfumato.anonymization.partition import Partition
from sfumato.table import SUPPRESSED, Hierarchy, Ladder, interval_label

__all__ = ["Quasi", "Tree", "numbers_of_column"]

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_MOST_DECIMALS = 9
_NODES = {
    "parent": pl.Int64,
    "column": pl.Int64,
    "level": pl.Int64,
    "label": pl.String,
    "at_least": pl.Float64,
    "size": pl.Int64,
}


@dataclass(frozen=True)
class Quasi:
    """One quasi-identifier of the tree.

    Parameters
    ----------
    name
        The column.
    hierarchy
        Its hierarchy; None if it is cut as numbers or dates.
    """

    name: str
    hierarchy: Hierarchy | None


@dataclass(frozen=True, eq=False)
class Tree:
    """Groups within groups; node 0 is everybody.

    Parameters
    ----------
    columns
        The quasi-identifiers (q).
    nodes
        A row for each node, parents before children: ``parent``; ``column`` (0 to q - 1) that was
        cut and the ``level`` that the parent had there; ``label``, what people of the node carry
        in that column (null: a missing value); ``at_least``, for the upper part of a median cut
        its least number; ``size``, its people at fitting. Null for node 0, but for the size.
    """

    columns: tuple[Quasi, ...]
    nodes: pl.DataFrame

    @classmethod
    def of(
        cls,
        grown: Partition,
        columns: tuple[Quasi, ...],
        scales: tuple[Ladder | Floats, ...],
        dtypes: tuple[pl.DataType, ...],
    ) -> Self:
        """Put labels on a partition.

        Parameters
        ----------
        grown
            The partition.
        columns
            The quasi-identifiers.
        scales
            For each the ladder of its codes, or the rising numbers that the codes stand for.
        dtypes
            For each the type of the column.
        """
        labels = np.full(len(grown.parent), None, dtype=object)
        at_least = np.full(len(grown.parent), np.nan)
        for number, scale in enumerate(scales):
            here = grown.axis == number
            if isinstance(scale, Ladder):
                for level in range(scale.height):
                    made = here & (grown.level == level + 1)
                    labels[made] = scale.decode(grown.code[made], level).to_numpy()
            else:
                upper = here & (grown.cut >= 0)
                above = scale[grown.cut[upper]]
                below = scale[grown.cut[upper] - 1]
                at_least[upper] = above if dtypes[number].is_temporal() else _round(below, above)
                texts = _interval_labels(grown, number, at_least, dtypes[number])
                missing = grown.code == len(scale)
                texts[missing] = None
                labels[here] = texts[here]
        nodes = pl.DataFrame(
            {
                "parent": grown.parent,
                "column": grown.axis,
                "level": grown.level,
                "label": pl.Series(labels.tolist(), dtype=pl.String),
                "at_least": pl.Series(at_least, nan_to_null=True),
                "size": grown.size,
            },
            schema=_NODES,
        )
        root = pl.int_range(pl.len()) == 0
        made = [pl.when(~root).then(name).alias(name) for name in ("parent", "column", "level")]
        return cls(columns, nodes.with_columns(made))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Tree):
            return NotImplemented
        return self.columns == other.columns and self.nodes.equals(other.nodes)

    def __hash__(self) -> int:
        return hash((self.columns, self.nodes.height))

    @property
    def sizes(self) -> Integers:
        """People of each final node, those that were not cut further."""
        sizes: Integers = self.nodes["size"].to_numpy()[self._cut_kind < 0]
        return sizes

    def labels(self, table: pl.DataFrame) -> pl.DataFrame:
        """Return what each row carries in the quasi-identifiers, as texts.

        A row falls from everybody into the group that holds its value, and stays where no group
        does: it then carries the labels of where it stayed, ``*`` where no cut was made.

        Raises
        ------
        HierarchyError
            If a value is not held by a column's hierarchy.
        """
        names = [quasi.name for quasi in self.columns]
        # numbered names, so that no column of the table can collide with ours
        keys = table.select(pl.col(name).alias(str(n)) for n, name in enumerate(names))
        tuples = keys.unique(maintain_order=True)
        # from the rows rather than the tuples, so that an error counts rows
        ladders = [
            None if quasi.hierarchy is None else quasi.hierarchy.ladder(table[quasi.name])
            for quasi in self.columns
        ]
        node = self._fall(tuples, ladders)
        labelled = tuples.with_columns(
            labels.gather(node).alias(f"label {number}")
            for number, labels in enumerate(self._node_labels)
        )
        joined = keys.join(
            labelled, on=keys.columns, how="left", nulls_equal=True, maintain_order="left"
        )
        return joined.select(
            pl.col(f"label {number}").alias(name) for number, name in enumerate(names)
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the tree as plain JSON values."""
        columns = [
            {
                "name": quasi.name,
                "hierarchy": None if quasi.hierarchy is None else quasi.hierarchy.to_dict(),
            }
            for quasi in self.columns
        ]
        return {"columns": columns, "nodes": self.nodes.to_dict(as_series=False)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Return the tree that :meth:`to_dict` described."""
        columns = tuple(
            Quasi(
                column["name"],
                None if column["hierarchy"] is None else Hierarchy.from_dict(column["hierarchy"]),
            )
            for column in values["columns"]
        )
        return cls(columns, pl.DataFrame(values["nodes"], schema=_NODES))

    def _fall(self, tuples: pl.DataFrame, ladders: list[Ladder | None]) -> Integers:
        """Return the node at which each distinct tuple (n of them) ends."""
        node = np.zeros(tuples.height, dtype=np.int64)
        values = [
            numbers_of_column(column) if ladder is None else ladder.codes(column)
            for column, ladder in zip(tuples.iter_columns(), ladders, strict=True)
        ]
        branches = [
            self._branch(kind, ladders[column], values[column])
            for kind, (column, _) in enumerate(self._kinds)
        ]
        keys, children, fan = self._edges
        falling = np.flatnonzero(self._cut_kind[node] >= 0)
        while len(falling):
            kind = self._cut_kind[node[falling]]
            branch = np.full(len(falling), -1, dtype=np.int64)
            for number, (column, level) in enumerate(self._kinds):
                here = kind == number
                reached = branches[number][falling[here]]
                if self.columns[column].hierarchy is None and level == NUMBERS:
                    border = self._border[node[falling[here]]]
                    reached = np.where(np.isnan(reached), -1, reached >= border)
                branch[here] = reached
            key = node[falling] * fan + branch
            place = np.minimum(np.searchsorted(keys, key), len(keys) - 1)
            held = (branch >= 0) & (keys[place] == key)
            falling = falling[held]
            node[falling] = children[place[held]]
            falling = falling[self._cut_kind[node[falling]] >= 0]
        return node

    def _branch(
        self, kind: int, ladder: Ladder | None, values: npt.NDArray[Any]
    ) -> npt.NDArray[Any]:
        """Return which way each tuple goes at a kind of cut; the number itself at a median cut."""
        _, level = self._kinds[kind]
        if ladder is None:
            return values if level == NUMBERS else np.isnan(values).astype(np.int64)
        labels = pl.Series(ladder.labels[level - 1], dtype=pl.String)
        if ladder.has_missing:
            labels = labels.scatter(len(labels) - 1, None)
        branch_of_group = _positions(labels, self._vocabulary(kind))
        found: Integers = branch_of_group[ladder.levels[level - 1][values]]
        return found

    @cached_property
    def _kinds(self) -> list[tuple[int, int]]:
        """The kinds of cuts: the column, and the level there of the group that is cut."""
        kinds = self.nodes[1:].select("column", "level").unique().sort("column", "level")
        return list(kinds.iter_rows())

    @cached_property
    def _kind_made(self) -> Integers:
        """The kind of the cut that made each node; -1 for node 0."""
        kinds = pl.DataFrame(self._kinds, schema=["column", "level"], orient="row").with_columns(
            pl.all().cast(pl.Int64), kind=pl.int_range(pl.len(), dtype=pl.Int64)
        )
        made = self.nodes.join(kinds, on=["column", "level"], how="left", maintain_order="left")
        return made["kind"].fill_null(-1).to_numpy()

    @cached_property
    def _cut_kind(self) -> Integers:
        """The kind of cut that parts each node; -1 for a final one."""
        kind = np.full(self.nodes.height, -1, dtype=np.int64)
        kind[self._parent[1:]] = self._kind_made[1:]
        return kind

    @cached_property
    def _parent(self) -> Integers:
        return self.nodes["parent"].fill_null(-1).to_numpy()

    @cached_property
    def _border(self) -> Floats:
        """For each node that is cut at a median, the least number of its upper part."""
        border = np.full(self.nodes.height, np.nan)
        at_least = self.nodes["at_least"].fill_null(np.nan).to_numpy()
        upper = ~np.isnan(at_least)
        border[self._parent[upper]] = at_least[upper]
        return border

    @cached_property
    def _edges(self) -> tuple[Integers, Integers, int]:
        """Keys (parent times fan plus branch, rising), the child of each, and the fan."""
        branch = np.zeros(self.nodes.height, dtype=np.int64)
        for number, (column, level) in enumerate(self._kinds):
            made = self._kind_made == number
            labels = self.nodes["label"].filter(pl.Series(made))
            if self.columns[column].hierarchy is not None:
                branch[made] = _positions(labels, self._vocabulary(number))
            elif level == BOTH:
                branch[made] = labels.is_null().cast(pl.Int64).to_numpy()
            else:
                upper = self.nodes["at_least"].filter(pl.Series(made)).is_not_null()
                branch[made] = upper.cast(pl.Int64).to_numpy()
        fan = int(branch.max(initial=0)) + 2
        keys = self._parent[1:] * fan + branch[1:]
        order = np.argsort(keys)
        return keys[order], order + 1, fan

    def _vocabulary(self, kind: int) -> pl.Series:
        """Return the distinct labels of the groups that a kind of cut makes."""
        return self.nodes["label"].filter(pl.Series(self._kind_made == kind)).unique().sort()

    @cached_property
    def _node_labels(self) -> list[pl.Series]:
        """For each column what people of each node carry in it."""
        # the node that last cut the column, on the way from everybody; node 0 if none did
        last = np.zeros((self.nodes.height, len(self.columns)), dtype=np.int64)
        column = self.nodes["column"].fill_null(0).to_numpy()
        for generation in _generations(self._parent):
            last[generation] = last[self._parent[generation]]
            last[generation, column[generation]] = generation
        texts = pl.concat([pl.Series([SUPPRESSED]), self.nodes["label"][1:]])
        return [texts.gather(last[:, number]) for number in range(len(self.columns))]


def numbers_of_column(values: pl.Series) -> Floats:
    """Return numbers, or dates as days or microseconds; ``nan`` for missing."""
    numbers: Floats = values.to_physical().cast(pl.Float64).fill_null(np.nan).to_numpy()
    return numbers


def _round(below: Floats, above: Floats) -> Floats:
    """Return for each pair the roundest number above the one and at most the other.

    A border that were the least number of its group would tell the exact number of somebody.
    """
    rounded = above.copy()
    finite = np.isfinite(below) & np.isfinite(above)
    open_ = finite.copy()
    largest = float(np.abs(np.append(below[finite], above[finite])).max(initial=1.0))
    for power in range(int(np.ceil(np.log10(max(largest, 1.0)))) + 1, -_MOST_DECIMALS - 1, -1):
        if power >= 0:
            multiples = (np.floor(below[open_] / 10.0**power) + 1) * 10.0**power
        else:
            multiples = np.round((np.floor(below[open_] * 10.0**-power) + 1) / 10.0**-power, -power)
        fits = (multiples > below[open_]) & (multiples <= above[open_])
        places = np.flatnonzero(open_)[fits]
        rounded[places] = multiples[fits]
        open_[places] = False
    return rounded


def _positions(labels: pl.Series, vocabulary: pl.Series) -> Integers:
    """Return the place of each label in a sorted vocabulary, -1 if it is not there."""
    known = pl.DataFrame({"label": vocabulary}).with_row_index("place")
    found = pl.DataFrame({"label": labels}).join(
        known, on="label", how="left", nulls_equal=True, maintain_order="left"
    )
    return found["place"].cast(pl.Int64).fill_null(-1).to_numpy()


def _generations(parent: Integers) -> list[Integers]:
    """Return the nodes below node 0, children of one generation together."""
    depth = np.zeros(len(parent), dtype=np.int64)
    generations = []
    current = np.flatnonzero(parent == 0)
    # children stand after their parents, so each pass settles one more generation
    order = np.argsort(parent, kind="stable")
    sorted_parent = parent[order]
    while len(current):
        generations.append(current)
        depth[current] = len(generations)
        low = np.searchsorted(sorted_parent, current, "left")
        high = np.searchsorted(sorted_parent, current, "right")
        counts = high - low
        offsets = np.repeat(low - np.append(0, np.cumsum(counts)[:-1]), counts)
        current = order[np.arange(counts.sum()) + offsets]
    return generations


def _interval_labels(
    grown: Partition, column: int, at_least: Floats, dtype: pl.DataType
) -> npt.NDArray[np.object_]:
    """Return for each node the interval that its cuts leave of a column of numbers."""
    low = np.full(len(grown.parent), -inf)
    high = np.full(len(grown.parent), inf)
    median = (grown.axis == column) & (grown.level == NUMBERS)
    upper = median & (grown.cut >= 0)
    border = np.full(len(grown.parent), np.nan)
    border[grown.parent[upper]] = at_least[upper]
    for generation in _generations(grown.parent):
        parent = grown.parent[generation]
        low[generation], high[generation] = low[parent], high[parent]
        cut = median[generation]
        above = cut & upper[generation]
        low[generation[above]] = border[parent[above]]
        below = cut & ~upper[generation]
        high[generation[below]] = border[parent[below]]
    ends, which = np.unique(np.stack([low, high], axis=1), axis=0, return_inverse=True)
    texts = np.array([_interval(first, last, dtype) for first, last in ends], dtype=object)
    return texts[which.reshape(-1)]


def _interval(low: float, high: float, dtype: pl.DataType) -> str:
    if not dtype.is_temporal():
        return interval_label(low, high)
    if low == -inf and high == inf:
        return SUPPRESSED
    if low == -inf:
        return f"<{_moment(high, dtype)}"
    if high == inf:
        return f">={_moment(low, dtype)}"
    return f"[{_moment(low, dtype)}, {_moment(high, dtype)})"


def _moment(number: float, dtype: pl.DataType) -> str:
    if dtype == pl.Date:
        return (date(1970, 1, 1) + timedelta(days=number)).isoformat()
    unit = getattr(dtype, "time_unit", "us")
    microseconds = number * {"ms": 1e3, "us": 1, "ns": 1e-3}[unit]
    epoch = datetime(1970, 1, 1)  # noqa: DTZ001 (as the column: without a zone)
    return (epoch + timedelta(microseconds=microseconds)).isoformat(" ")
