"""Every encoder turns one column into features, is fitted once and then meets any cell.

It is fitted on training rows and then frozen. Later it encodes a category it never saw, a missing
value, a ``"*"`` where there was none: nothing is refused and nothing becomes NaN.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from collections.abc import Collection

    from numpy.typing import NDArray

__all__ = ["Encoder", "OneFeature", "missing_mark", "suppressed_mark"]


@dataclass(frozen=True)
class Encoder(ABC):
    """A fitted way to turn one column into features.

    Parameters
    ----------
    column
        The column it reads.
    """

    column: str
    kind: ClassVar[str]

    @property
    @abstractmethod
    def features(self) -> tuple[str, ...]:
        """Names of the features it makes."""

    @abstractmethod
    def encode(self, cells: pl.Series, wanted: Collection[str]) -> dict[str, NDArray[np.float64]]:
        """Return the ``wanted`` features of the cells, each of shape (n,), finite throughout."""

    @abstractmethod
    def describe(self) -> str:
        """Say in one sentence what is done to the column."""

    def to_dict(self) -> dict[str, Any]:
        """Return the encoder as plain JSON values."""
        return {"kind": self.kind, **asdict(self)}


@dataclass(frozen=True)
class OneFeature(Encoder):
    """An encoder to a single number, with what stands in for cells that hold none.

    Parameters
    ----------
    for_missing
        The encoded value of a missing cell, and of one whose value was not seen at fit.
    for_suppressed
        The encoded value of a ``"*"``.
    marks_missing, marks_suppressed
        Whether training rows had such cells, so that a 0/1 feature marks them.
    """

    for_missing: float
    for_suppressed: float
    marks_missing: bool
    marks_suppressed: bool

    @abstractmethod
    def read(self, cells: pl.Series) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Return the encoded cells, NaN where there is nothing to encode, and which are ``"*"``."""

    @property
    def features(self) -> tuple[str, ...]:
        """The column's own name, and a mark for missing and for suppressed cells."""
        marks = (
            (missing_mark(self.column), self.marks_missing),
            (suppressed_mark(self.column), self.marks_suppressed),
        )
        return (self.column, *(name for name, used in marks if used))

    def encode(self, cells: pl.Series, wanted: Collection[str]) -> dict[str, NDArray[np.float64]]:
        """Return the ``wanted`` features of the cells."""
        values, suppressed = self.read(cells)
        filled = np.where(np.isnan(values), self.for_missing, values)
        filled[suppressed] = self.for_suppressed
        made = {self.column: filled}
        if self.marks_missing:
            unknown = np.isnan(values) & ~suppressed
            made[missing_mark(self.column)] = unknown.astype(np.float64)
        if self.marks_suppressed:
            made[suppressed_mark(self.column)] = suppressed.astype(np.float64)
        return {name: values for name, values in made.items() if name in wanted}

    def _stand_ins(self) -> str:
        said = []
        if self.marks_missing:
            said.append("missing cells take the most typical training value and are marked")
        if self.marks_suppressed:
            said.append("suppressed cells (*) take the training mean and are marked")
        return "".join(f"; {text}" for text in said)


def missing_mark(column: str) -> str:
    """Return the name of the feature that marks a column's missing cells."""
    return f"{column} is missing"


def suppressed_mark(column: str) -> str:
    """Return the name of the feature that marks a column's suppressed cells."""
    return f"{column} is suppressed"
