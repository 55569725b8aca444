"""A hierarchy that lists every value: a line for each, the value first, then each broader level."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePath

import polars as pl

from sfumato.errors import HierarchyError
from sfumato.table.hierarchies.keys import match_keys, numbers_of
from sfumato.table.hierarchies.ladder import SUPPRESSED

__all__ = ["Leaves", "Line", "checked_leaves"]


@dataclass(frozen=True)
class Line:
    """One line of a hierarchy.

    Parameters
    ----------
    number
        Where it stands, from 1: the line of a file, the entry of a list.
    entries
        The value, then its group at each level, ``*`` last.
    """

    number: int
    entries: tuple[str, ...]


@dataclass(frozen=True)
class Leaves:
    """The climber of a hierarchy whose values are all listed.

    Parameters
    ----------
    lines
        Checked lines: the value, its groups, ``*``.
    name
        What the hierarchy is called in words: a file's name, "the mapping".
    place
        Where a line for another value is added.
    """

    lines: tuple[tuple[str, ...], ...]
    name: str
    place: str

    @property
    def height(self) -> int:
        """Levels above the leaf, the top included."""
        return len(self.lines[0]) - 1

    @cached_property
    def _columns(self) -> tuple[pl.Series, ...]:
        """One series for each level but the top; numbers by value, texts in the order given."""
        frame = pl.DataFrame(
            [line[:-1] for line in self.lines],
            schema=[f"{level}" for level in range(self.height)],
            orient="row",
        )
        numbers = numbers_of(frame["0"])
        if numbers.null_count() == 0:
            frame = frame[numbers.arg_sort()]
        return tuple(frame.get_columns())

    @property
    def leaves(self) -> pl.Series:
        """All values in their natural order."""
        return self._columns[0]

    def climb(self, values: pl.Series) -> tuple[pl.Series, ...]:
        """Return the label of each value at levels 0 to ``height - 1``."""
        found = match_keys(values, self.leaves)
        return tuple(labels.gather(found) for labels in self._columns)

    def describe(self) -> str:
        """Return the hierarchy in words."""
        levels = [
            f"level {level} has {_groups(labels)}"
            for level, labels in enumerate(self._columns[1:], start=1)
        ]
        levels.append(f"level {self.height} is '{SUPPRESSED}'")
        return f"{self.name}: {len(self.lines)} values; " + "; ".join(levels)

    def examples(self) -> pl.Series:
        """Return the values."""
        return self.leaves

    def mend(self) -> str:
        """Return the line to add for a value that is not held."""
        choices = []
        for labels in self._columns[1:]:
            known = labels.unique(maintain_order=True).head(3).to_list()
            choices.append("<" + " or ".join(known) + " ...>")
        line = ";".join(["<the value>", *choices, SUPPRESSED])
        return f"add a line for each such value to {self.place}, such as {line}"


def checked_leaves(lines: Sequence[Line], name: str, unit: str = "line") -> Leaves:
    """Return the climber of the lines after checking that they form one tree.

    Parameters
    ----------
    lines
        At least one.
    name
        What the hierarchy is called in a message.
    unit
        What a line is called in a message: "line" of a file, "entry" of a list.

    Raises
    ------
    HierarchyError
        If the lines are of unequal length, an entry is empty, the last entry is not ``*``, a
        value stands twice with different groups, or a group has two parents. The message names
        the lines.
    """
    if not lines:
        raise HierarchyError(
            f"{name} is empty: it needs a {unit} for each value, such as 34;30-39;*"
        )
    first = lines[0]
    for line in lines:
        where = f"{name}, {unit} {line.number}"
        count = len(line.entries)
        if count < 2:
            raise HierarchyError(
                f"{where}: only one entry: it needs the value, its groups and '*', such as "
                "34;30-39;* (another delimiter than the one found? say delimiter=)"
            )
        if count != len(first.entries):
            raise HierarchyError(
                f"{where}: {count} entries, but {unit} {first.number} has {len(first.entries)}: "
                "every value needs the same number of levels"
            )
        if "" in line.entries:
            place = line.entries.index("") + 1
            raise HierarchyError(f"{where}: entry {place} is empty: write the group's name")
        if line.entries[-1] != SUPPRESSED:
            raise HierarchyError(
                f"{where}: ends in {line.entries[-1]!r}: the last entry must be '{SUPPRESSED}', "
                "the single top above everything"
            )
    distinct = _without_repeats(lines, name, unit)
    _refuse_two_parents(distinct, name, unit)
    return Leaves(tuple(line.entries for line in distinct), PurePath(name).name, name)


def _without_repeats(lines: Sequence[Line], name: str, unit: str) -> list[Line]:
    """Drop a line that says again what an earlier one said; refuse one that contradicts it."""
    seen: dict[str, Line] = {}
    for line in lines:
        value = line.entries[0]
        first = seen.setdefault(value, line)
        if first.entries != line.entries:
            raise HierarchyError(
                f"{name}, {unit} {line.number}: the value {value!r} stands twice, and {unit} "
                f"{first.number} has other groups for it: keep one of the two"
            )
    return list(seen.values())


def _refuse_two_parents(lines: Sequence[Line], name: str, unit: str) -> None:
    for level in range(1, len(lines[0].entries) - 1):
        parents: dict[str, tuple[str, int]] = {}
        for line in lines:
            group, parent = line.entries[level], line.entries[level + 1]
            known, number = parents.setdefault(group, (parent, line.number))
            if known != parent:
                raise HierarchyError(
                    f"{name}, {unit} {line.number}: the group {group!r} of level {level} lies in "
                    f"{parent!r}, but on {unit} {number} in {known!r}: a group has one parent "
                    "(rename one of the two groups)"
                )


def _groups(labels: pl.Series) -> str:
    distinct = labels.unique(maintain_order=True)
    shown = ", ".join(repr(label) for label in distinct.head(5).to_list())
    more = ", ..." if len(distinct) > 5 else ""
    noun = "group" if len(distinct) == 1 else "groups"
    return f"{len(distinct)} {noun} ({shown}{more})"
