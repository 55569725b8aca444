"""What a full-domain technique learned: a level for each column, and which classes are kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

import polars as pl

from sfumato.anonymization.reasons import why_changed, why_kept
from sfumato.anonymization.recoding import Action, ColumnChange, Recoding
from sfumato.anonymization.released import checked_columns
from sfumato.anonymization.suppression import LargeClasses
from sfumato.privacy import Criterion
from sfumato.table import Hierarchy, Role, Schema

__all__ = ["FullDomainRecoding", "SearchResult"]


@dataclass(frozen=True)
class SearchResult:
    """How the levels were found, and how good they are.

    Parameters
    ----------
    measure
        Name of the measure of loss that was minimized.
    value
        What the levels lose by it: before any class was given up only to hide suppressed rows,
        unless the search itself counted these.
    optimal
        Whether it is proven that no other levels lose less.
    gap
        How much more than the least possible they lose at most, as a share of it; 0 if optimal,
        None if nothing is known.
    checked, nodes
        Combinations of levels that were counted, out of how many.
    minimal
        For OLA, all combinations that suffice while no finer one does; each a level for each
        quasi-identifier.
    """

    measure: str
    value: float
    optimal: bool
    gap: float | None
    checked: int
    nodes: int
    minimal: tuple[tuple[int, ...], ...] = ()

    def describe(self) -> str:
        """Return in words how good the levels are."""
        counted = f"{self.checked:,} of {self.nodes:,} combinations of levels were counted"
        if self.optimal:
            return f"no other levels lose less ({self.measure} {self.value:.6g}; {counted})"
        if self.gap is None:
            return f"the best levels found ({self.measure} {self.value:.6g}; {counted})"
        return (
            f"the best levels found, at most {self.gap:.1%} above the least possible loss "
            f"({self.measure} {self.value:.6g}; {counted})"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the result as plain JSON values."""
        return {**asdict(self), "minimal": [list(levels) for levels in self.minimal]}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Return the result that :meth:`to_dict` described."""
        minimal = tuple(tuple(levels) for levels in values["minimal"])
        return cls(**{**values, "minimal": minimal})


@dataclass(frozen=True)
class FullDomainRecoding(Recoding):
    """One level of its hierarchy for each quasi-identifier, the same for everybody.

    Parameters
    ----------
    criteria
        What the release of the fitted rows keeps.
    schema
        The schema of the source table.
    levels
        For each quasi-identifier 0 (exact) to the height of its hierarchy (``*``).
    large
        The classes that are kept; any other row is suppressed.
    given_up
        How many of the suppressed rows are of classes that keep every criterion, and are
        suppressed so that the suppressed rows do too, or because they would not keep one that is
        measured against the release alone.
    found
        How the levels were found.
    """

    criteria: tuple[Criterion, ...]
    schema: Schema
    levels: dict[str, int]
    large: LargeClasses
    given_up: int
    found: SearchResult

    @property
    def promises(self) -> tuple[Criterion, ...]:
        """What the release of the fitted rows keeps, the suppressed rows included."""
        return self.criteria

    @property
    def suppressed_rows(self) -> int:
        """How many of the fitted rows are suppressed."""
        return self.large.suppressed_rows

    def recode(self, table: pl.DataFrame) -> pl.DataFrame:
        """Return the recoded rows: every quasi-identifier at its level.

        A row whose generalized quasi-identifiers are not those of a class that was kept at fitting
        is suppressed, also if it was not there at fitting.

        Raises
        ------
        DataError
            If a column that is released is absent, or one is unknown.
        HierarchyError
            If a value is not held by a column's hierarchy.
        """
        kept = [name for name in self.schema.columns if name not in self.schema.identifiers]
        checked_columns(table, self.schema, kept)
        labels = self._labels(table)
        if self.large.suppressed == "star":
            return table.select(kept).with_columns(self.large.apply(labels).get_columns())
        changed = [labels[name] for name in labels.columns if not self._keeps_type(name)]
        return table.select(kept).with_columns(changed).filter(self.large.holds(labels))

    def kept_rows(self, table: pl.DataFrame) -> pl.Series:
        """Return which rows of a table are not left out."""
        if self.large.suppressed == "star":
            return super().kept_rows(table)
        return self.large.holds(self._labels(table))

    def describe(self) -> tuple[ColumnChange, ...]:
        """Return what is done to each column, and why."""
        return tuple(self._change(name) for name in self.schema.columns)

    def released_schema(self) -> Schema:
        """Return the schema of the release.

        A generalized column is a category without a hierarchy; one that is released exactly, and
        in which no row is starred, stays as it is.
        """
        kept = [name for name in self.schema.columns if name not in self.schema.identifiers]
        changed = {}
        for name in self.levels:
            column = self.schema.columns[name]
            if not self._keeps_type(name):
                starred = self.levels[name] > 0 or self.large.suppressed_rows > 0
                hierarchy = None if starred else column.hierarchy
                changed[name] = replace(column, type="category", hierarchy=hierarchy)
        return self.schema.select(kept).with_columns(changed)

    def to_dict(self) -> dict[str, Any]:
        """Return the recoding as plain JSON values."""
        return {
            "criteria": [criterion.to_dict() for criterion in self.criteria],
            "schema": self.schema.to_dict(),
            "levels": dict(self.levels),
            "large": self.large.to_dict(),
            "given_up": self.given_up,
            "found": self.found.to_dict(),
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Return the recoding that :meth:`to_dict` described."""
        return cls(
            tuple(Criterion.from_dict(one) for one in values["criteria"]),
            Schema.from_dict(values["schema"]),
            dict(values["levels"]),
            LargeClasses.from_dict(values["large"]),
            values["given_up"],
            SearchResult.from_dict(values["found"]),
        )

    def _labels(self, table: pl.DataFrame) -> pl.DataFrame:
        """Return the generalized quasi-identifiers as texts, before any row is suppressed."""
        return pl.DataFrame(
            [
                self._hierarchy(name).generalize(table[name], self.levels[name])
                for name in self.levels
            ]
        )

    def _hierarchy(self, name: str) -> Hierarchy:
        return self.schema.columns[name].hierarchy or Hierarchy.flat()

    def _keeps_type(self, name: str) -> bool:
        """Return whether a column is released as it is, its type included."""
        return self.large.suppressed == "drop" and self.levels[name] == 0

    def _change(self, name: str) -> ColumnChange:
        role = Role(self.schema.columns[name].role)
        if role == Role.IDENTIFIER:
            how = "left out of the release"
            return ColumnChange(name, None, "suppressed", how, why_changed(role))
        if name not in self.levels:
            return ColumnChange(name, name, "kept", "released as it is", why_kept(role))
        how = level_in_words(self._hierarchy(name), self.levels[name])
        rows = self._suppression()
        action: Action = "generalized" if self.levels[name] or rows else "kept"
        why = why_kept(role) if action == "kept" else why_changed(role)
        # said once, as it is about all of them
        found = f"; {self.found.describe()}" if name == next(iter(self.levels)) else ""
        return ColumnChange(name, name, action, how + rows + found, why)

    def _suppression(self) -> str:
        """Return which rows are suppressed and why, as a phrase; empty if none is."""
        large = self.large
        if not large.suppressed_rows:
            return ""
        what = "rows are left out" if large.suppressed == "drop" else "rows carry '*' instead"
        kinds = ", ".join(dict.fromkeys(one.kind for one in self.criteria))
        text = (
            f"; {large.suppressed_rows:,} of {large.rows:,} {what}, as those who share their "
            f"quasi-identifiers, so generalized, do not keep {kinds}"
        )
        if self.given_up:
            why = {
                "star": "to hide the others among them",
                "drop": "as they would not beside those alone that are left",
            }
            text += (
                f" ({self.given_up:,} of them would, and are suppressed {why[large.suppressed]})"
            )
        return text


def level_in_words(hierarchy: Hierarchy, level: int) -> str:
    """Return what a level of a hierarchy makes of everybody's value.

    Parameters
    ----------
    hierarchy
        The column's hierarchy.
    level
        0 to its height.

    Examples
    --------
    >>> level_in_words(Hierarchy.bands([5, 10]), 2)
    'bands of 10 for everybody'
    """
    recipe = hierarchy.recipe
    if level == hierarchy.height:
        return "'*', the same for everybody"
    if level == 0:
        return "the exact value for everybody"
    if "bands" in recipe:
        return f"bands of {recipe['bands'][level - 1]} for everybody"
    if "prefix" in recipe:
        length = recipe["prefix"][level - 1]
        return (
            f"the first {length} characters for everybody"
            if length > 1
            else ("the first character for everybody")
        )
    if "dates" in recipe:
        return f"the {recipe['dates'][level - 1]} for everybody"
    return (
        f"its group at level {level} of {hierarchy.height} of the hierarchy for everybody "
        f"({hierarchy.describe()})"
    )
