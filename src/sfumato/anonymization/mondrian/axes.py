"""The axes along which groups of people are cut: hierarchies, and numbers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import numpy.typing as npt

__all__ = ["BOTH", "MISSING", "NUMBERS", "Axis", "HierarchyAxis", "NumberAxis"]

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

# The levels of a number axis: missing cells, numbers, and both together.
MISSING, NUMBERS, BOTH = 0, 1, 2


class Axis(Protocol):
    """One quasi-identifier as an axis along which groups are cut."""

    @property
    def top(self) -> int:
        """The level of the group of everybody; a group of level 0 cannot be cut."""
        ...

    def widths(self, levels: Integers, first: Integers, last: Integers) -> Floats:
        """Return the width of groups, each from 0 to 1; those that cannot be cut have width 0.

        Parameters
        ----------
        levels
            Level of each group, shape (g,).
        first, last
            Least and greatest code in each group, shape (g,).
        """
        ...

    def by_median(self, levels: Integers) -> Flags:
        """Return which groups are cut in two between numbers, shape (g,)."""
        ...

    def parts(self, levels: Integers, codes: Integers) -> Integers:
        """Return the number of the part into which each code falls, never falling with the code.

        Parameters
        ----------
        levels
            Level of the group that the code is cut from, shape (m,).
        codes
            Shape (m,).
        """
        ...

    def levels_of_parts(self, levels: Integers, codes: Integers) -> Integers:
        """Return the level of parts that were cut from groups of some levels, shape (p,).

        Parameters
        ----------
        levels
            Level of the group that each part is cut from.
        codes
            A code of each part.
        """
        ...


@dataclass(frozen=True)
class HierarchyAxis:
    """A column with a hierarchy: a group is cut into all children of its node.

    Parameters
    ----------
    levels
        For each level an array (n_leaves,): the group of each leaf, which never falls along them.
    sizes
        For each level an array: leaves of each group.
    """

    levels: tuple[Integers, ...]
    sizes: tuple[Integers, ...]

    @property
    def top(self) -> int:
        """The level of ``*``."""
        return len(self.levels) - 1

    def widths(self, levels: Integers, first: Integers, last: Integers) -> Floats:  # noqa: ARG002
        """Return the leaves of the node as a share of all leaves."""
        shares: Floats = self.leaves[levels, first] / self.groups.shape[1]
        return np.where(levels > 0, shares, 0.0)

    def by_median(self, levels: Integers) -> Flags:
        """Return that no group is."""
        return np.zeros(len(levels), dtype=np.bool_)

    def parts(self, levels: Integers, codes: Integers) -> Integers:
        """Return the child of each code's node."""
        found: Integers = self.groups[levels - 1, codes]
        return found

    def levels_of_parts(self, levels: Integers, codes: Integers) -> Integers:  # noqa: ARG002
        """Return the level below."""
        return levels - 1

    @cached_property
    def groups(self) -> Integers:
        """The group of each leaf at each level, shape (n_levels, n_leaves)."""
        return np.stack(self.levels)

    @cached_property
    def leaves(self) -> Integers:
        """How many leaves that group has, shape (n_levels, n_leaves)."""
        leaves = [size[of] for size, of in zip(self.sizes, self.levels, strict=True)]
        return np.stack(leaves)


@dataclass(frozen=True)
class NumberAxis:
    """A column of numbers: missing cells are split off first, numbers are cut in two.

    Parameters
    ----------
    values
        The distinct numbers, rising; their positions are the codes.
    has_missing
        Whether the code after the last number stands for a missing cell.
    """

    values: Floats
    has_missing: bool

    @property
    def top(self) -> int:
        """The level of everybody."""
        return BOTH if self.has_missing else NUMBERS

    @property
    def spread(self) -> float:
        """The range of the whole column."""
        return float(self.values[-1] - self.values[0]) if len(self.values) else 0.0

    def widths(self, levels: Integers, first: Integers, last: Integers) -> Floats:
        """Return the range of the numbers as a share of the whole column's range."""
        if not len(self.values):
            return np.where(levels == BOTH, 1.0, 0.0)
        clipped = np.minimum(last, len(self.values) - 1)
        span = self.values[clipped] - self.values[np.minimum(first, clipped)]
        shares = span / self.spread if self.spread > 0 else np.zeros(len(levels))
        mixed = (levels == BOTH) & (last == len(self.values))
        # all numbers, but of a group that may hold missing cells: seen as numbers from here on
        return np.where(levels == MISSING, 0.0, np.where(mixed, 1.0, shares))

    def by_median(self, levels: Integers) -> Flags:
        """Return which groups hold numbers alone."""
        flags: Flags = levels == NUMBERS
        return flags

    def parts(self, levels: Integers, codes: Integers) -> Integers:
        """Return 1 for missing cells, 0 for numbers."""
        missing: Flags = (levels == BOTH) & (codes == len(self.values))
        return missing.astype(np.int64)

    def levels_of_parts(self, levels: Integers, codes: Integers) -> Integers:
        """Return whether the parts are numbers or missing cells."""
        return np.where(codes == len(self.values), MISSING, np.full_like(levels, NUMBERS))
