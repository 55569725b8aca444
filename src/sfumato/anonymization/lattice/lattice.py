"""The lattice of full-domain generalizations: one level for each column, within bounds."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np

from sfumato.anonymization.lattice.tuples import LatticeTuples
from sfumato.errors import PlanError, did_you_mean

__all__ = ["Lattice", "Levels"]

Levels = tuple[int, ...]


@dataclass(frozen=True)
class Lattice:
    """Which levels each column may take.

    A node is a level for each column; one is below another if no column is more general. Levels
    that put the same rows together as a finer one are left out: they tell less and hide nobody.

    Parameters
    ----------
    names
        The columns (q).
    choices
        For each column its levels, rising; at least one.
    size
        Nodes in all, the left-out ones included.
    """

    names: tuple[str, ...]
    choices: tuple[Levels, ...]
    size: int

    @classmethod
    def of(
        cls,
        tuples: LatticeTuples,
        minimum: Mapping[str, int] | None = None,
        maximum: Mapping[str, int] | None = None,
    ) -> Self:
        """Return the lattice of a table's quasi-identifiers.

        Parameters
        ----------
        tuples
            What is generalized.
        minimum, maximum
            The least and the greatest level of a column where not every level is allowed; from 0
            (exact) to the column's height (``*``).

        Raises
        ------
        PlanError
            If a column or a level is not there, or a least level is above the greatest.
        """
        minimum, maximum = minimum or {}, maximum or {}
        for setting, bounds in (("minimum_levels", minimum), ("maximum_levels", maximum)):
            for name in bounds:
                if name not in tuples.names:
                    hint = did_you_mean(name, tuples.names)
                    raise PlanError(f"{setting}.{name}: there is no such quasi-identifier.{hint}")
        choices, size = [], 1
        for name, height, kinds in zip(tuples.names, tuples.heights, _kinds(tuples), strict=True):
            low, high = minimum.get(name, 0), maximum.get(name, height)
            for setting, level in (("minimum_levels", low), ("maximum_levels", high)):
                if not 0 <= level <= height:
                    raise PlanError(
                        f"{setting}.{name} = {level}: its levels are 0 (exact) to {height} ('*')"
                    )
            if low > high:
                raise PlanError(
                    f"minimum_levels.{name} = {low} is above maximum_levels.{name} = {high}"
                )
            size *= high - low + 1
            choices.append(
                tuple(
                    level
                    for level in range(low, high + 1)
                    if level == low or kinds[level] < kinds[level - 1]
                )
            )
        return cls(tuples.names, tuple(choices), size)

    @property
    def shape(self) -> tuple[int, ...]:
        """How many levels each column may take."""
        return tuple(len(levels) for levels in self.choices)

    @property
    def n_nodes(self) -> int:
        """Nodes that are to be searched."""
        return math.prod(self.shape)

    @property
    def bottom(self) -> Levels:
        """The finest node, as places in ``choices``."""
        return (0,) * len(self.choices)

    @property
    def top(self) -> Levels:
        """The most general node, as places in ``choices``."""
        return tuple(len(levels) - 1 for levels in self.choices)

    def levels(self, places: Levels) -> Levels:
        """Return the levels of a node that is given as places in ``choices``."""
        return tuple(of[place] for of, place in zip(self.choices, places, strict=True))

    def places(self, levels: Levels) -> Levels:
        """Return a node's places in ``choices``, from its levels."""
        return tuple(of.index(level) for of, level in zip(self.choices, levels, strict=True))

    def below(self, places: Levels) -> Iterator[Levels]:
        """Give the nodes that are one step finer in one column."""
        for column, place in enumerate(places):
            if place:
                yield (*places[:column], place - 1, *places[column + 1 :])

    def above(self, places: Levels) -> Iterator[Levels]:
        """Give the nodes that are one step more general in one column."""
        for column, (place, of) in enumerate(zip(places, self.choices, strict=True)):
            if place + 1 < len(of):
                yield (*places[:column], place + 1, *places[column + 1 :])


def _kinds(tuples: LatticeTuples) -> Iterator[list[int]]:
    """Give for each column how many different values the rows have at each level."""
    for codes, ladder in zip(tuples.codes, tuples.ladders, strict=True):
        present = np.bincount(codes, minlength=ladder.n_leaves) > 0
        yield [int(np.count_nonzero(np.bincount(of[present]))) for of in ladder.levels]
