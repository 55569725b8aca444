"""What the criteria about the values of one sensitive column have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import polars as pl

from sfumato.errors import PlanError
from sfumato.privacy.classes import EquivalenceClasses
from sfumato.privacy.criteria import Criterion

__all__ = ["SLACK", "CountsCheck", "ValueCriterion", "shares"]

Booleans = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

CountsCheck = Callable[[Integers, Integers, Integers], Booleans]
"""Sizes (c,), counts (c, v), overall counts (v,) -> which classes keep the promise (c,)."""

SLACK = 1e-12
"""What is above its limit by no more than this is so by rounding, and keeps the promise."""


class ValueCriterion(Criterion):
    """A promise about how the values of one sensitive column are spread in each class.

    A missing value of the column is a value of its own. Where persons are counted, a person with
    several values counts for each of them.
    """

    if TYPE_CHECKING:
        # Each criterion declares the field itself, so that it stands where its literature puts it.
        column: str

    @property
    def columns(self) -> tuple[str, ...]:
        """The sensitive column."""
        return (self.column,)

    @property
    def monotone_suppression(self) -> bool:
        """True: each class is judged alone, against the whole table before suppression."""
        return True

    @abstractmethod
    def bound(self, labels: pl.Series | None = None) -> CountsCheck:
        """Return the check of plain arrays, prepared once for the values of a column.

        Parameters
        ----------
        labels
            The value of each column of the arrays (v). Without them the values are taken to be in
            their natural order.

        Raises
        ------
        PlanError
            If the criterion needs to know the values and ``labels`` is left out.
        """

    def _needs_labels(self) -> PlanError:
        return PlanError(f"{self.kind} needs the values of column {self.column!r}, not only counts")

    def kept_counts(
        self,
        sizes: npt.NDArray[Any],
        counts: npt.NDArray[Any],
        overall: npt.NDArray[Any],
        labels: pl.Series | None = None,
    ) -> Booleans:
        """Return which classes keep the promise, from plain arrays.

        A search that asks many times prepares :meth:`bound` once.

        Parameters
        ----------
        sizes
            Members of each class, shape (c,).
        counts
            How often each value occurs in each class, shape (c, v).
        overall
            How often each value occurs in the whole table, shape (v,).
        labels
            The values (v); needed where they say more than their order.
        """
        return self.bound(labels)(sizes, counts, overall)

    def kept(self, classes: EquivalenceClasses) -> Booleans:
        """Return which classes keep the promise, shape (n_classes,)."""
        values = classes.sensitive_values(self.column)
        overall = classes.overall(self.column)
        check = self.bound(values.labels)
        kept = np.ones(len(classes), dtype=np.bool_)
        for part, counts in values.blocks():
            kept[part] = check(classes.sizes[part], counts, overall)
        return kept


def shares(counts: npt.NDArray[Any]) -> Floats:
    """Return counts as shares of their sum along the last axis; zeros where there are none."""
    totals = counts.sum(axis=-1, keepdims=True)
    divided: Floats = counts / np.maximum(totals, 1)
    return divided
