"""Boxes: for each class and quasi-identifier a node of the hierarchy, or an interval of numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import inf
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import polars as pl

from sfumato.anonymization.number_intervals import exact_text, interval_text, round_borders
from sfumato.anonymization.scales import Scale, numbers_of_column
from sfumato.table import SUPPRESSED, Hierarchy

__all__ = ["Boxes", "Side"]

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

_NODES = {
    "level": pl.Int64,
    "label": pl.String,
    "low": pl.Float64,
    "high": pl.Float64,
    "share": pl.Float64,
}
_SUPPRESSED = -1
_AT_ONCE = 1 << 24  # comparisons of rows and classes held in memory at once


@dataclass(frozen=True, eq=False)
class Side:
    """One quasi-identifier of the boxes.

    Parameters
    ----------
    name
        The column.
    hierarchy
        Its hierarchy; None for numbers and dates.
    height
        Levels above the exact value, ``*`` included.
    nodes
        The distinct nodes that boxes have in it: ``level`` (0 is an exact value; an interval of
        numbers has level 1, ``*`` level 2), ``label`` (null: a missing value), ``low`` and
        ``high`` of numbers (from the one up to but without the other; equal for an exact number),
        ``share`` of the column's leaves, or of its range, that the node takes.
    """

    name: str
    hierarchy: Hierarchy | None
    height: int
    nodes: pl.DataFrame

    @classmethod
    def of(cls, scale: Scale, low: Integers, high: Integers) -> tuple[Self, Integers]:
        """Return the side for runs of codes, and the node of each (c runs).

        Parameters
        ----------
        scale
            The column.
        low, high
            First and last code of each run, shape (c,).
        """
        n = scale.n_codes
        runs, of_class = np.unique(low * n + high, return_inverse=True)
        first, last = np.divmod(runs, n)
        if scale.ladder is not None:
            nodes, of_run = _ancestors(scale, first, last)
        else:
            nodes, of_run = _intervals(scale, first, last), np.arange(len(runs))
        height = scale.height if scale.ladder is not None else 2
        return cls(scale.name, scale.hierarchy, height, nodes), of_run[of_class.reshape(-1)]

    def keys(self, values: pl.Series) -> pl.Series:
        """Return the text by which equal values of the column are known to be equal."""
        if self.hierarchy is not None:
            return self.hierarchy.generalize(values, 0)
        numbers = pl.Series(numbers_of_column(values), nan_to_null=True)
        return numbers.cast(pl.String).alias(values.name)

    def holds(self, values: pl.Series) -> Flags:
        """Return whether each value (m of them) lies in each node, shape (m, n_nodes)."""
        held = np.zeros((len(values), self.nodes.height), dtype=np.bool_)
        level = self.nodes["level"].to_numpy()
        label = self.nodes["label"]
        missing = values.is_null().to_numpy()
        held[:, level == self.height] = True
        held[:, label.is_null().to_numpy()] = missing[:, None]
        for number in np.unique(level[level < self.height]).tolist():
            if self.hierarchy is not None:
                here = np.flatnonzero((level == number) & label.is_not_null().to_numpy())
                labels = self.hierarchy.generalize(values, number)
                place = labels.replace_strict(
                    label.gather(here), pl.Series(here), default=None, return_dtype=pl.Int64
                )
                found = place.is_not_null()
                held[found.arg_true().to_numpy(), place.drop_nulls().to_numpy()] = True
        if self.hierarchy is None:
            numbers = numbers_of_column(values)[:, None]
            low, high = (self.nodes[end].fill_null(np.nan).to_numpy() for end in ("low", "high"))
            held |= (numbers >= low) & (numbers < high)
            held |= (numbers == low) & (low == high)
        return held

    def describe(self, of_class: Integers, sizes: Integers) -> str:
        """Return how exactly people are said, as a phrase.

        Parameters
        ----------
        of_class
            The node of each class, shape (c,).
        sizes
            People of each class, shape (c,).
        """
        level = self.nodes["level"].to_numpy()[of_class]
        everybody = max(int(sizes.sum()), 1)
        people = np.bincount(level, sizes, self.height + 1)
        phrases = []
        for number in np.flatnonzero(people):
            if number == 0:
                what = "the exact value"
            elif number == self.height:
                what = f"'{SUPPRESSED}'"
            elif self.hierarchy is None:
                what = "an interval"
            else:
                nodes = self.nodes.filter(pl.col("level") == int(number))["label"]
                example = nodes.sort()[0]
                what = f"level {number} of the hierarchy (such as {example!r})"
            phrases.append(f"{what} for {_percent(people[number] / everybody)}")
        return "; ".join(phrases)

    def to_dict(self) -> dict[str, Any]:
        """Return the side as plain JSON values."""
        return {
            "name": self.name,
            "hierarchy": None if self.hierarchy is None else self.hierarchy.to_dict(),
            "height": self.height,
            "nodes": {
                name: [_plain(value) for value in values]
                for name, values in self.nodes.to_dict(as_series=False).items()
            },
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Return the side that :meth:`to_dict` described."""
        recipe = values["hierarchy"]
        nodes = {
            name: [
                float(value) if isinstance(value, str) and name != "label" else value
                for value in column
            ]
            for name, column in values["nodes"].items()
        }
        return cls(
            values["name"],
            None if recipe is None else Hierarchy.from_dict(recipe),
            values["height"],
            pl.DataFrame(nodes, schema=_NODES),
        )


@dataclass(frozen=True, eq=False)
class Boxes:
    """What the people of each class have in common.

    Parameters
    ----------
    sides
        The quasi-identifiers (q).
    nodes
        Shape (c, q): the node of each class in each side.
    """

    sides: tuple[Side, ...]
    nodes: Integers

    @classmethod
    def of(cls, scales: Sequence[Scale], low: Integers, high: Integers) -> tuple[Self, Integers]:
        """Return the distinct boxes around classes, and the box of each class.

        Parameters
        ----------
        scales
            The quasi-identifiers (q).
        low, high
            Least and greatest code of each class, shape (classes, q).
        """
        made = [
            Side.of(scale, low[:, column], high[:, column]) for column, scale in enumerate(scales)
        ]
        nodes = np.stack([of_class for _, of_class in made], axis=1)
        distinct, of_class = np.unique(nodes, axis=0, return_inverse=True)
        return cls(tuple(side for side, _ in made), distinct), of_class.reshape(-1)

    def __len__(self) -> int:
        return len(self.nodes)

    @property
    def names(self) -> tuple[str, ...]:
        """The quasi-identifiers."""
        return tuple(side.name for side in self.sides)

    @cached_property
    def shares(self) -> Floats:
        """Mean share of its columns that each box takes, shape (c,)."""
        taken = [
            side.nodes["share"].to_numpy()[self.nodes[:, column]]
            for column, side in enumerate(self.sides)
        ]
        means: Floats = np.mean(taken, axis=0)
        return means

    @cached_property
    def silent(self) -> Flags:
        """Which boxes say nothing in any column, shape (c,)."""
        tops = [
            (side.nodes["level"].to_numpy() == side.height)[self.nodes[:, column]]
            for column, side in enumerate(self.sides)
        ]
        flags: Flags = np.logical_and.reduce(tops)
        return flags

    def labels(self, of_row: Integers) -> pl.DataFrame:
        """Return what rows of these boxes carry in each column; ``*`` for box -1."""
        columns = []
        for column, side in enumerate(self.sides):
            texts = pl.concat([side.nodes["label"], pl.Series([SUPPRESSED])])
            node = np.append(self.nodes[:, column], side.nodes.height)[of_row]
            columns.append(texts.gather(node).alias(side.name))
        return pl.DataFrame(columns)

    def holding(self, table: pl.DataFrame, rows: Integers) -> Integers:
        """Return for each of some rows the box that holds it and says most; -1 if none does.

        Parameters
        ----------
        table
            A table with the columns.
        rows
            Row numbers, shape (m,).

        Raises
        ------
        HierarchyError
            If a value is not held by a column's hierarchy.
        """
        keys = pl.DataFrame([side.keys(table[side.name]) for side in self.sides])
        first = keys[rows].with_columns(row=pl.Series(rows))
        tuples = first.unique(self.names, maintain_order=True)
        order = np.argsort(self.shares, kind="stable")
        found = np.full(tuples.height, _SUPPRESSED, dtype=np.int64)
        step = max(_AT_ONCE // max(len(self), 1), 1)
        for start in range(0, tuples.height, step):
            part = tuples["row"].slice(start, step)
            inside = np.ones((len(part), len(self)), dtype=np.bool_)
            for column, side in enumerate(self.sides):
                held = side.holds(table[side.name].gather(part))
                inside &= held[:, self.nodes[order, column]]
            some = inside.any(axis=1)
            chosen = np.where(some, order[inside.argmax(axis=1)], _SUPPRESSED)
            found[start : start + len(part)] = chosen
        told = tuples.select(self.names).with_columns(box=pl.Series(found))
        joined = first.join(
            told, on=list(self.names), how="left", nulls_equal=True, maintain_order="left"
        )
        return joined["box"].to_numpy()

    def describe(self, sizes: Integers) -> dict[str, str]:
        """Return for each column how exactly people are said in it."""
        return {
            side.name: side.describe(self.nodes[:, column], sizes)
            for column, side in enumerate(self.sides)
        }

    def to_dict(self) -> dict[str, Any]:
        """Return the boxes as plain JSON values."""
        return {"sides": [side.to_dict() for side in self.sides], "nodes": self.nodes.tolist()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Return the boxes that :meth:`to_dict` described."""
        sides = tuple(Side.from_dict(side) for side in values["sides"])
        nodes = np.asarray(values["nodes"], dtype=np.int64).reshape(-1, len(sides))
        return cls(sides, nodes)


def _ancestors(scale: Scale, first: Integers, last: Integers) -> tuple[pl.DataFrame, Integers]:
    """Return the distinct lowest common ancestors of runs of codes, and that of each run."""
    ladder = scale.ladder
    level = np.full(len(first), scale.height, dtype=np.int64)
    for number in range(scale.height - 1, -1, -1):
        level[scale.groups[number, first] == scale.groups[number, last]] = number
    group = scale.groups[level, first]
    keys, of_run = np.unique(np.stack([level, group]), axis=1, return_inverse=True)
    levels = keys[0]
    labels = np.empty(len(levels), dtype=object)
    leaf = np.empty(len(levels), dtype=np.int64)
    leaf[of_run.reshape(-1)] = first
    for number in np.unique(levels).tolist():
        here = levels == number
        if ladder is not None:
            labels[here] = ladder.decode(leaf[here], number).to_numpy()
    share = scale.leaves[levels, leaf] / max(scale.domain, 1)
    share = np.where(levels == 0, 0.0, np.where(levels == scale.height, 1.0, share))
    nodes = pl.DataFrame(
        {
            "level": levels,
            "label": pl.Series(labels.tolist(), dtype=pl.String),
            "low": pl.Series([None] * len(levels), dtype=pl.Float64),
            "high": pl.Series([None] * len(levels), dtype=pl.Float64),
            "share": share,
        },
        schema=_NODES,
    )
    return nodes, of_run.reshape(-1)


def _intervals(scale: Scale, first: Integers, last: Integers) -> pl.DataFrame:
    """Return the nodes of runs of numbers: exact ones, intervals, missing, and everything."""
    numbers = scale.numbers if scale.numbers is not None else np.zeros(0)
    n = len(numbers)
    ends = np.concatenate([[-inf], numbers, [inf]])
    missing = first == n
    mixed = (last == n) & ~missing
    exact = (first == last) & ~missing
    held_last = np.minimum(last, n - 1) if n else last
    borders = round_borders(ends[:-1], ends[1:])  # the border below each number, and above the last
    low = np.where(missing, np.nan, borders[np.minimum(first, n)])
    high = np.where(missing, np.nan, borders[np.minimum(held_last + 1, n)])
    low = np.where(first == 0, -inf, low)
    high = np.where(held_last == n - 1, inf, high)
    everything = mixed | ((first == 0) & (held_last == n - 1) & ~exact & ~missing)
    low, high = np.where(everything, -inf, low), np.where(everything, inf, high)
    if n:
        value = numbers[np.minimum(first, n - 1)]
        low, high = np.where(exact, value, low), np.where(exact, value, high)
    labels: list[str | None] = []
    for start, stop, single, none, every in zip(low, high, exact, missing, everything, strict=True):
        if none:
            labels.append(None)
        elif every:
            labels.append(SUPPRESSED)
        elif single:
            labels.append(exact_text(float(start), scale.dtype))
        else:
            labels.append(interval_text(float(start), float(stop), scale.dtype))
    spread = float(numbers[-1] - numbers[0]) if n else 0.0
    width = numbers[held_last] - numbers[np.minimum(first, n - 1)] if n else np.zeros(len(first))
    share = width / spread if spread > 0 else np.zeros(len(first))
    share = np.where(missing | exact, 0.0, np.where(mixed, 1.0, share))
    level = np.where(missing | exact, 0, 1)
    # an interval is no "*": only that of everything is
    return pl.DataFrame(
        {
            "level": np.where(everything, 2, level),
            "label": pl.Series(labels, dtype=pl.String),
            "low": pl.Series(low, nan_to_null=True),
            "high": pl.Series(high, nan_to_null=True),
            "share": share,
        },
        schema=_NODES,
    )


def _percent(share: float) -> str:
    return "everybody" if share >= 1 else f"{100 * share:.3g} % of people"


def _plain(value: Any) -> Any:
    """Return a value that JSON can say: an infinite number as text."""
    return str(value) if isinstance(value, float) and np.isinf(value) else value
