"""The tree that Mondrian grew, down which anybody falls: those it grew from, and new people."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import inf
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import polars as pl

from sfumato.anonymization.mondrian.axes import BOTH, NUMBERS
from sfumato.anonymization.mondrian.coding import coded_entries
from sfumato.anonymization.mondrian.partition_nodes import LOWER, STRICT, UPPER, Partition
from sfumato.anonymization.mondrian.tree_labels import generations, node_labels
from sfumato.anonymization.mondrian.tree_ways import (
    BETWEEN_NUMBERS,
    MISSING_OR_NOT,
    RankCuts,
    Ways,
    fall,
    fall_in_order,
)
from sfumato.anonymization.scales import numbers_of_column
from sfumato.table import SUPPRESSED, Hierarchy, Ladder

__all__ = ["Quasi", "Tree"]

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_ROWS_AT_ONCE = 2**20
_NODES = {
    "parent": pl.Int64,
    "column": pl.Int64,
    "level": pl.Int64,
    "label": pl.String,
    "at_least": pl.Float64,
    "size": pl.Int64,
}
_OF_RANK_CUTS = {
    "kind": pl.Int64,
    "below": pl.Float64,
    "quota": pl.Int64,
    "parted": pl.Int64,
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
        in that column (null: a missing value); ``at_least``, for the upper part of a cut of
        numbers its least number; ``size``, its people at fitting. Null for node 0, but for the
        size. Where the tree has cuts by rank also ``kind`` (see :class:`Partition`), and for the
        lower part of such a cut ``below``, the first number above it, ``quota`` and ``parted``.
    counted
        Further columns by which people with equal quasi-identifiers are put in an order for cuts
        by rank: the sensitive columns that promises count.
    person
        The column that says whose row it is, where persons were counted; likewise.
    """

    columns: tuple[Quasi, ...]
    nodes: pl.DataFrame
    counted: tuple[str, ...] = ()
    person: str | None = None

    @classmethod
    def of(
        cls,
        grown: Partition,
        columns: tuple[Quasi, ...],
        scales: tuple[Ladder | Floats, ...],
        dtypes: tuple[pl.DataType, ...],
        counted: tuple[str, ...] = (),
        person: str | None = None,
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
        counted, person
            See the class.
        """
        labels, at_least, below = node_labels(grown, scales, dtypes)
        nodes = pl.DataFrame(
            {
                "parent": grown.parent,
                "column": grown.axis,
                "level": grown.level,
                "label": labels,
                "at_least": pl.Series(at_least, nan_to_null=True),
                "size": grown.size,
            },
            schema=_NODES,
        )
        root = pl.int_range(pl.len()) == 0
        made = [pl.when(~root).then(name).alias(name) for name in ("parent", "column", "level")]
        nodes = nodes.with_columns(made)
        if (grown.kind != STRICT).any():
            quotas = {
                "kind": grown.kind,
                "below": pl.Series(below, nan_to_null=True),
                "quota": grown.quota,
                "parted": grown.parted,
            }
            nodes = nodes.hstack(pl.DataFrame(quotas, schema=_OF_RANK_CUTS))
            return cls(columns, nodes, counted, person)
        return cls(columns, nodes)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Tree):
            return NotImplemented
        return (self.columns, self.counted, self.person) == (
            other.columns,
            other.counted,
            other.person,
        ) and self.nodes.equals(other.nodes)

    def __hash__(self) -> int:
        return hash((self.columns, self.nodes.height))

    @property
    def sizes(self) -> Integers:
        """People of each final node, those that were not cut further."""
        sizes: Integers = self.nodes["size"].to_numpy()[self._cut_kind < 0]
        return sizes

    @property
    def has_rank_cuts(self) -> bool:
        """Whether people with equal values may carry different labels."""
        return "kind" in self.nodes.columns

    def labels(self, table: pl.DataFrame) -> pl.DataFrame:
        """Return what each row carries in the quasi-identifiers, as texts.

        A row falls from everybody into the group that holds its value, and stays where no group
        does: it then carries the labels of where it stayed, ``*`` where no cut was made. Where a
        cut by rank parted equal values, those that both parts could hold are shared out in the
        proportion of the fitting, so that the fitted rows, in any order, fill the same groups.

        Raises
        ------
        HierarchyError
            If a value is not held by a column's hierarchy.
        """
        # from all rows at once, so that an error counts rows
        ladders = [
            None if quasi.hierarchy is None else quasi.hierarchy.ladder(table[quasi.name])
            for quasi in self.columns
        ]
        ways = self._ways(ladders)
        if self.has_rank_cuts:
            node = self._nodes_in_order(table, ladders, ways)
        else:
            node = np.empty(table.height, dtype=np.uint32)  # what gathering takes as it is
            for start in range(0, table.height, _ROWS_AT_ONCE):
                part = table.slice(start, _ROWS_AT_ONCE)
                values = np.empty((part.height, len(self.columns)))
                for number, (quasi, ladder) in enumerate(zip(self.columns, ladders, strict=True)):
                    column = part[quasi.name]
                    values[:, number] = (
                        numbers_of_column(column) if ladder is None else ladder.codes(column)
                    )
                node[start : start + part.height] = fall(ways, values)
        places = pl.Series(node)
        return pl.DataFrame(
            [
                labels.gather(places).alias(quasi.name)
                for quasi, labels in zip(self.columns, self._node_labels, strict=True)
            ]
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
        values: dict[str, Any] = {"columns": columns, "nodes": self.nodes.to_dict(as_series=False)}
        if self.has_rank_cuts:
            values |= {"counted": list(self.counted), "person": self.person}
        return values

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
        schema = _NODES | (_OF_RANK_CUTS if "kind" in values["nodes"] else {})
        return cls(
            columns,
            pl.DataFrame(values["nodes"], schema=schema),
            tuple(values.get("counted", ())),
            values.get("person"),
        )

    def _nodes_in_order(
        self, table: pl.DataFrame, ladders: list[Ladder | None], ways: Ways
    ) -> Integers:
        """Return the node at which each row ends, where some ways depend on an order of people."""
        # a new table need not say whose rows they are: then each row counts by itself
        person = self.person if self.person in table.columns else None
        coded = coded_entries(
            table, [quasi.name for quasi in self.columns], ladders, self.counted, person
        )
        rows = np.bincount(coded.of_row, minlength=len(coded.values))
        divisible = person is None
        weights = rows if divisible else np.ones(len(rows), dtype=np.int64)
        pieces = fall_in_order(ways, coded.values, weights, divisible=divisible)
        if not divisible:
            of_entry = np.empty(len(rows), dtype=np.int64)
            of_entry[pieces.entry] = pieces.node
            return of_entry[coded.of_row]
        in_order = np.lexsort((pieces.since, pieces.entry))
        node = np.empty(table.height, dtype=np.int64)
        node[np.argsort(coded.of_row, kind="stable")] = np.repeat(
            pieces.node[in_order], pieces.weights[in_order]
        )
        return node

    def _ways(self, ladders: list[Ladder | None]) -> Ways:
        """Return which way the codes of a table's ladders go."""
        branches = [np.zeros(0, dtype=np.int64)]
        offsets = np.full(len(self._kinds) + 1, BETWEEN_NUMBERS, dtype=np.int64)
        length = 0
        for kind, (column, level) in enumerate(self._kinds):
            ladder = ladders[column]
            if ladder is None:
                offsets[kind] = MISSING_OR_NOT if level == BOTH else BETWEEN_NUMBERS
                continue
            labels = pl.Series(ladder.labels[level - 1], dtype=pl.String)
            if ladder.has_missing:
                labels = labels.scatter(len(labels) - 1, None)
            branch_of_group = _positions(labels, self._vocabulary(kind))
            branches.append(branch_of_group[ladder.levels[level - 1]])
            offsets[kind] = length
            length += len(branches[-1])
        keys, children, fan = self._edges
        kind_of_cut = self._cut_kind
        columns = np.array([column for column, _ in self._kinds] + [-1], dtype=np.int64)
        return Ways(
            columns[kind_of_cut],
            offsets[kind_of_cut],
            np.concatenate(branches),
            self._border,
            keys,
            children,
            fan,
            np.searchsorted(keys // fan, np.arange(self.nodes.height + 1)),
            self._rank_cuts,
        )

    @cached_property
    def _kind(self) -> Integers:
        """Whether each node was cut off by its values alone, or is part of a cut by rank."""
        if not self.has_rank_cuts:
            return np.zeros(self.nodes.height, dtype=np.int64)
        return self.nodes["kind"].to_numpy()

    @cached_property
    def _kinds(self) -> list[tuple[int, int]]:
        """The kinds of cuts: the column, and the level there of the group that is cut."""
        kinds = self.nodes[1:].select("column", "level").unique().sort("column", "level")
        return list(kinds.iter_rows())

    @cached_property
    def _kind_made(self) -> Integers:
        """The kind of the cut that made each node; -1 for node 0."""
        kinds = pl.DataFrame(self._kinds, schema=["column", "level"], orient="row").with_columns(
            pl.all().cast(pl.Int64), kind_of_cut=pl.int_range(pl.len(), dtype=pl.Int64)
        )
        made = self.nodes.join(kinds, on=["column", "level"], how="left", maintain_order="left")
        return made["kind_of_cut"].fill_null(-1).to_numpy()

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
        """For each node that is cut between numbers, the least number of its upper part."""
        border = np.full(self.nodes.height, np.nan)
        at_least = self.nodes["at_least"].fill_null(np.nan).to_numpy()
        upper = ~np.isnan(at_least) & (self._kind == STRICT)
        border[self._parent[upper]] = at_least[upper]
        return border

    @cached_property
    def _branches(self) -> Integers:
        """The branch of its parent's cut that each node holds; that of no use for an upper part."""
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
        return branch

    @cached_property
    def _edges(self) -> tuple[Integers, Integers, int]:
        """Keys (parent times fan plus branch, rising), the child of each, and the fan."""
        children = np.flatnonzero((self._kind == STRICT) & (self._parent >= 0))
        fan = int(self._branches.max(initial=0)) + 2
        keys = self._parent[children] * fan + self._branches[children]
        order = np.argsort(keys)
        return keys[order], children[order], fan

    @cached_property
    def _rank_cuts(self) -> RankCuts:
        """The cuts by rank."""
        number = np.full(self.nodes.height, -1, dtype=np.int64)
        lower, upper = np.flatnonzero(self._kind == LOWER), np.flatnonzero(self._kind == UPPER)
        lower = lower[np.argsort(self._parent[lower])]
        upper = upper[np.argsort(self._parent[upper])]
        number[self._parent[lower]] = np.arange(len(lower))
        if not len(lower):
            none, nothing = np.zeros(0, dtype=np.int64), np.zeros(0)
            return RankCuts(number, none, none, nothing, nothing, none, none, none)
        below = self.nodes["below"].fill_null(inf).to_numpy()[lower]
        from_ = self.nodes["at_least"].fill_null(-inf).to_numpy()[upper]
        columns = self.nodes["column"].fill_null(-1).to_numpy()[lower]
        levels = self.nodes["level"].fill_null(-1).to_numpy()[lower]
        by_number = np.array([quasi.hierarchy is None for quasi in self.columns])[columns]
        by_number &= levels == NUMBERS
        return RankCuts(
            number,
            lower,
            upper,
            np.where(by_number, from_, np.nan),
            np.where(by_number, below, np.nan),
            np.where(by_number, -1, self._branches[lower]),
            self.nodes["quota"].to_numpy()[lower],
            self.nodes["parted"].to_numpy()[lower],
        )

    def _vocabulary(self, kind: int) -> pl.Series:
        """Return the distinct labels of the groups that a kind of cut makes."""
        made = (self._kind_made == kind) & (self._kind != UPPER)
        return self.nodes["label"].filter(pl.Series(made)).unique().sort()

    @cached_property
    def _node_labels(self) -> list[pl.Series]:
        """For each column what people of each node carry in it."""
        # the node that last cut the column, on the way from everybody; node 0 if none did
        last = np.zeros((self.nodes.height, len(self.columns)), dtype=np.int64)
        column = self.nodes["column"].fill_null(0).to_numpy()
        for generation in generations(self._parent):
            last[generation] = last[self._parent[generation]]
            last[generation, column[generation]] = generation
        texts = pl.concat([pl.Series([SUPPRESSED]), self.nodes["label"][1:]])
        return [texts.gather(last[:, number]) for number in range(len(self.columns))]


def _positions(labels: pl.Series, vocabulary: pl.Series) -> Integers:
    """Return the place of each label in a sorted vocabulary, -1 if it is not there."""
    known = pl.DataFrame({"label": vocabulary}).with_row_index("place")
    found = pl.DataFrame({"label": labels}).join(
        known, on="label", how="left", nulls_equal=True, maintain_order="left"
    )
    return found["place"].cast(pl.Int64).fill_null(-1).to_numpy()
