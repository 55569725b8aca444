"""How often each value of a sensitive column occurs in each equivalence class."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import polars as pl

__all__ = ["ValueCounts"]

Integers = npt.NDArray[np.int64]

# Cells of a block of the dense array: 8 bytes each, so that a block stays in the tens of megabytes.
_CELLS_AT_ONCE = 2**22


@dataclass(frozen=True)
class ValueCounts:
    """How often each value of a sensitive column occurs in each class; absent pairs are left out.

    Parameters
    ----------
    classes, values, counts
        Arrays of one length: class id, value id, and how many rows (or persons) of that class hold
        that value (at least 1). Sorted by class, then value.
    labels
        The distinct values by value id, in order of first appearance; a null is a value.
    n_classes
        Number of classes, also those that hold no value.
    """

    classes: Integers
    values: Integers
    counts: Integers
    labels: pl.Series
    n_classes: int

    @classmethod
    def of_dense(cls, counts: npt.ArrayLike, labels: pl.Series) -> ValueCounts:
        """Return the counts of an array of shape (n_classes, n_values), values in label order."""
        table = np.asarray(counts, dtype=np.int64)
        classes, values = np.nonzero(table)
        return cls(classes, values, table[classes, values], labels, len(table))

    def dense(self) -> Integers:
        """Return the counts as an array of shape (n_classes, n_values)."""
        table = np.zeros((self.n_classes, len(self.labels)), dtype=np.int64)
        table[self.classes, self.values] = self.counts
        return table

    def blocks(self, cells: int = _CELLS_AT_ONCE) -> Iterator[tuple[slice, Integers]]:
        """Give the dense counts a run of classes at a time, so that many classes fit in memory.

        Parameters
        ----------
        cells
            Most cells of one block, unless one class alone has more.
        """
        width = max(len(self.labels), 1)
        step = max(cells // width, 1)
        for start in range(0, self.n_classes, step):
            stop = min(start + step, self.n_classes)
            first, last = np.searchsorted(self.classes, [start, stop])
            table = np.zeros((stop - start, len(self.labels)), dtype=np.int64)
            part = slice(first, last)
            table[self.classes[part] - start, self.values[part]] = self.counts[part]
            yield slice(start, stop), table

    @cached_property
    def totals(self) -> Integers:
        """The sum over the classes of each value's counts, shape (n_values,)."""
        summed = np.zeros(len(self.labels), dtype=np.int64)
        np.add.at(summed, self.values, self.counts)
        return summed
