"""The tree of groups that cutting leaves, as plain arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Self

import numpy as np
import numpy.typing as npt

__all__ = ["LOWER", "STRICT", "UPPER", "Partition"]

Integers = npt.NDArray[np.int64]

# How a node was cut off: by its values alone, or as one of the two parts of a cut by rank.
STRICT, LOWER, UPPER = 0, 1, 2


@dataclass(frozen=True)
class Partition:
    """The tree of groups; node 0 is everybody, and parents stand before their children.

    Parameters
    ----------
    parent, axis, level
        For each node the node it was cut from, the axis of that cut, and the level which the
        parent had on that axis; -1 for node 0.
    code
        For each node a code of it on that axis, which names its group.
    cut
        For the upper part of a cut of numbers, its least code, which is also the first code above
        the lower part. For both parts of a cut of numbers by rank the same, -1 where the part
        reaches as far as its parent did. Otherwise -1.
    size
        People of each node.
    kind
        ``STRICT``; or ``LOWER`` and ``UPPER``, the parts of a cut by rank.
    quota, parted
        For the lower part of a cut by rank how many of the rows whose value both parts hold are
        in it, and how many there are in both; otherwise 0.
    """

    parent: Integers
    axis: Integers
    level: Integers
    code: Integers
    cut: Integers
    size: Integers
    kind: Integers
    quota: Integers
    parted: Integers

    @classmethod
    def root(cls, everybody: int) -> Self:
        """Return the tree of everybody, uncut."""
        none, zero = np.array([-1]), np.array([0])
        return cls(none, none, none, none, none, np.array([everybody]), zero, zero, zero)

    @classmethod
    def of_strict_cuts(
        cls,
        parent: Integers,
        axis: Integers,
        level: Integers,
        code: Integers,
        cut: Integers,
        size: Integers,
    ) -> Self:
        """Return nodes that were cut by their values alone."""
        zero = np.zeros(len(parent), dtype=np.int64)
        return cls(parent, axis, level, code, cut, size, zero, zero, zero)

    @classmethod
    def joined(cls, parts: Sequence[Partition]) -> Self:
        """Return the nodes of several parts in their order."""
        return cls(
            *(
                np.concatenate([getattr(part, field.name) for part in parts])
                for field in fields(cls)
            )
        )
