"""One yardstick for every release: read the written file, say what it lost and how it groups.

Nothing here knows how a release was made, and no code of the package is used. Losses are means
over the rows of the source and its quasi-identifiers; a row that is absent or says nothing counts
as 1:

- GH, hierarchy loss: share of the hierarchy's leaves below the published node, or below the lowest
  common ancestor of a range or set; 0 for one value.
- RS, range and set loss: width of the values over the width of the column, or size of the set over
  the number of the column's values; 0 for one value.
- ILoss, ARX's arithmetic Loss: like GH, but (share - 1/D) / (1 - 1/D) for D leaves.

A tool that publishes one representative of a class instead of what it stands for is judged by the
members of its classes.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl

__all__ = ["Column", "Verdict", "judge"]

_RANGE = re.compile(r"^(-?[\d.]+)\s*(?:-|,|;|to)\s*(-?[\d.]+)$")
_SILENT = ("*", "", "nan", "None")


@dataclass(frozen=True)
class Verdict:
    """What a release lost (shares, 0 to 1), and its classes."""

    gh: float
    rs: float
    iloss: float
    classes: int
    smallest: int
    suppressed: int


@dataclass(frozen=True)
class Column:
    """A quasi-identifier: its hierarchy, and its values in the source table."""

    name: str
    number: bool
    lines: tuple[tuple[str, ...], ...]
    values: tuple[str, ...]

    @classmethod
    def of(cls, name: str, number: bool, hierarchy: Path, source: pl.Series) -> Column:
        """Read the hierarchy (one leaf a line, then its groups)."""
        with hierarchy.open(newline="") as file:
            lines = tuple(tuple(row) for row in csv.reader(file, delimiter=";") if row)
        return cls(name, number, lines, tuple(source))

    @cached_property
    def leaf(self) -> dict[str, int]:
        """The number of each leaf, by its text."""
        return {_plain(line[0]): number for number, line in enumerate(self.lines)}

    @cached_property
    def groups(self) -> np.ndarray:
        """The group of each leaf at each level, as numbers: (levels, leaves)."""
        # two groups of one name under different parents are two nodes
        paths = [[line[level:] for line in self.lines] for level in range(len(self.lines[0]))]
        known: list[dict[tuple[str, ...], int]] = [{} for _ in paths]
        return np.array(
            [
                [seen.setdefault(path, len(seen)) for path in level]
                for seen, level in zip(known, paths, strict=True)
            ]
        )

    @cached_property
    def shares(self) -> np.ndarray:
        """The share of the leaves that is in the group of each leaf, at each level."""
        sizes = [np.bincount(level)[level] for level in self.groups]
        return np.array(sizes) / len(self.lines)

    @cached_property
    def nodes(self) -> dict[str, np.ndarray]:
        """The leaves below each label above the leaves."""
        found: dict[str, list[int]] = {}
        for number, line in enumerate(self.lines):
            for label in set(line[1:]):
                found.setdefault(label, []).append(number)
        return {label: np.array(below) for label, below in found.items()}

    @cached_property
    def numbers(self) -> np.ndarray:
        """The leaves as numbers; nothing if one of them is none."""
        try:
            return np.array([float(line[0]) for line in self.lines])
        except ValueError:
            return np.array([])

    @cached_property
    def codes(self) -> np.ndarray:
        """The leaf of each row of the source."""
        return np.array([self.leaf[_plain(value)] for value in self.values])

    @cached_property
    def present(self) -> np.ndarray:
        """Which leaves the source holds."""
        held = np.zeros(len(self.lines), bool)
        held[self.codes] = True
        return held

    def meaning(self, label: str) -> np.ndarray:
        """Return the leaves that a published label may stand for, in rising order.

        Raises
        ------
        ValueError
            If it cannot be understood.
        """
        text = label.strip().strip("[]{}'\"")
        if text in _SILENT:
            return np.arange(len(self.lines))
        if _plain(text) in self.leaf:
            return np.array([self.leaf[_plain(text)]])
        if text in self.nodes:
            return self.nodes[text]
        if self.numbers.size and (ends := _RANGE.match(text)):
            low, high = float(ends[1]), float(ends[2])
            held = (self.numbers >= low) & (self.numbers <= high) & self.present
            if held.any():
                return np.flatnonzero(held)
        parts = [_plain(part) for part in text.replace("'", "").split(",")]
        if all(part in self.leaf for part in parts):
            return np.unique([self.leaf[part] for part in parts])
        raise ValueError(f"{self.name}: a label that is no value, node, range or set")

    def losses(self, leaves: np.ndarray) -> tuple[float, float, float]:
        """Return GH, RS and ILoss of a row that may be any of these leaves."""
        if len(leaves) == 1:
            return 0.0, 0.0, 0.0
        same = [bool((level[leaves] == level[leaves[0]]).all()) for level in self.groups]
        share = float(self.shares[same.index(True), leaves[0]]) if any(same) else 1.0
        inside = leaves[self.present[leaves]]
        spread = 0.0
        if len(inside) > 1:
            spread = (
                float(np.ptp(self.numbers[inside]) / np.ptp(self.numbers[self.present]))
                if self.number
                else len(inside) / int(self.present.sum())
            )
        least = 1 / len(self.lines)
        return share, spread, (share - least) / (1 - least)


def judge(path: Path, columns: list[Column], members: frozenset[str] = frozenset()) -> Verdict:
    """Judge a written release.

    Parameters
    ----------
    path
        CSV with the quasi-identifiers; one line a row, or ``count`` rows if there is such a column.
    columns
        The quasi-identifiers.
    members
        Columns that stand for the values of their class's members; ``row`` tells whose line it is.
    """
    names = [column.name for column in columns]
    frame = pl.read_csv(path, infer_schema=False).fill_null("")
    count = np.ones(frame.height, np.int64)
    if "count" in frame.columns:
        count = frame["count"].cast(pl.Int64).to_numpy()
    of_class = frame.select(pl.struct(names).rank("dense")).to_series().to_numpy()
    n = len(columns[0].values)
    places, losses = {}, np.zeros((frame.height, 3))
    silent = np.ones(frame.height, bool)
    for column in columns:
        if column.name in members:
            row = frame["row"].cast(pl.Int64).to_numpy()
            losses += _losses_of_members(column, column.codes[row], of_class)
            place, says_nothing = of_class, np.zeros(frame.height, bool)
        else:
            place, says_nothing, lost = _cells(column, frame[column.name])
            losses += lost
        places[column.name] = place
        silent &= says_nothing
    classes = (
        pl.DataFrame(places)
        .with_columns(count=pl.Series(count))
        .filter(~pl.Series(silent))
        .group_by(names)
        .agg(pl.col("count").sum())
    )
    # a row that says nothing loses everything; so does one that is not there
    losses = np.where(silent[:, None], 1.0, losses / len(columns))
    absent = n - int(count.sum())
    gh, rs, iloss = (losses * count[:, None]).sum(0) / n + absent / n
    smallest = classes["count"].min()
    return Verdict(
        gh=float(gh),
        rs=float(rs),
        iloss=float(iloss),
        classes=classes.height,
        smallest=0 if smallest is None else int(smallest),
        suppressed=absent + int(count[silent].sum()),
    )


def _cells(column: Column, cells: pl.Series) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return what each cell stands for as a number, whether that is anything, and its losses."""
    labels = cells.unique()
    meanings = [column.meaning(label) for label in labels.to_list()]
    # "a,b" and "b,a" are one label
    known: dict[bytes, int] = {}
    number = [known.setdefault(leaves.tobytes(), len(known)) for leaves in meanings]
    place = cells.replace_strict(labels, pl.int_range(len(labels), eager=True)).to_numpy()
    return (
        np.array(number)[place],
        np.array([len(leaves) == len(column.lines) for leaves in meanings])[place],
        np.array([column.losses(leaves) for leaves in meanings])[place],
    )


def _losses_of_members(column: Column, codes: np.ndarray, of_class: np.ndarray) -> np.ndarray:
    """Return the losses of each cell that stands for the values of its class's members."""
    order = np.argsort(of_class, kind="stable")
    losses = np.zeros((len(codes), 3))
    for part in np.split(order, np.flatnonzero(np.diff(of_class[order])) + 1):
        losses[part] = column.losses(np.unique(codes[part]))
    return losses


def _plain(text: str) -> str:
    """Return a text, numbers in one spelling: 80 and 80.0 are the same."""
    text = text.strip()
    try:
        return repr(float(text))
    except ValueError:
        return text
