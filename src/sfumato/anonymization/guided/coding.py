"""The columns of a table as the numbers that a decision tree is grown on."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
import polars as pl

from sfumato.anonymization.scales import numbers_of_column

__all__ = ["ColumnCode", "Encoding", "codes_of", "matrix"]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Encoding = Literal["one-hot", "ordered"]

_EXACT = 2.0**24  # whole numbers up to here are exact in single precision


@dataclass(frozen=True)
class ColumnCode:
    """How one column becomes numbers, each a feature of the tree.

    Parameters
    ----------
    name
        The column.
    categories
        Its distinct texts at fitting, a missing cell as None; None for a column of numbers.
    ranks
        The place of each category along one line, if they are ordered; else each category is a
        feature of its own, 1 where the row has it.
    origin, unit
        Numbers are told as ``(number - origin) / unit``, so that single precision can tell them
        apart.
    fill
        What stands for a missing number.
    has_missing
        Whether numbers were missing at fitting; that is then a feature of its own.
    """

    name: str
    categories: tuple[str | None, ...] | None = None
    ranks: tuple[float, ...] | None = None
    origin: float = 0.0
    unit: float = 1.0
    fill: float = 0.0
    has_missing: bool = False
    _known: dict[str | None, int] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._known.update({text: place for place, text in enumerate(self.categories or ())})

    @classmethod
    def of_numbers(cls, values: pl.Series) -> Self:
        """Return the code of a column of numbers, dates or times."""
        numbers = numbers_of_column(values)
        known = numbers[~np.isnan(numbers)]
        if not len(known):
            return cls(values.name, has_missing=True)
        origin = float(known.min()) if np.abs(known).max() >= _EXACT else 0.0
        spread = float(known.max()) - origin
        unit = spread / _EXACT if spread >= _EXACT else 1.0
        fill = (float(np.median(known)) - origin) / unit
        return cls(values.name, None, None, origin, unit, fill, len(known) < len(numbers))

    @classmethod
    def of_categories(cls, values: pl.Series, target: Floats | None) -> Self:
        """Return the code of a column of categories.

        Parameters
        ----------
        target
            What the tree will be grown towards, shape (n, outputs), if categories are to be
            ordered by it; None to make a feature of each.

        Notes
        -----
        The order is that of the mean target along its first principal component, which for one
        output no split into two sets can beat (W. Fisher, JASA 53, 1958; for several outputs
        D. Coppersmith, S. Hong, J. Hosking, Data Mining and Knowledge Discovery 3, 1999).
        """
        texts = values.cast(pl.String)
        distinct = texts.unique().sort(nulls_last=True)
        categories = tuple(distinct.to_list())
        code = cls(values.name, categories)
        if target is None:
            return code
        of_row = code.places(values)
        counts = np.maximum(np.bincount(of_row, minlength=len(categories)), 1)
        means = np.column_stack(
            [np.bincount(of_row, one, len(categories)) / counts for one in target.T]
        )
        centred = (means - np.average(means, axis=0, weights=counts)) * np.sqrt(counts)[:, None]
        axis = np.linalg.svd(centred, full_matrices=False)[2][0]
        return cls(values.name, categories, tuple((means @ axis).tolist()))

    def places(self, values: pl.Series) -> Integers:
        """Return the place of each row's category, -1 for one that was not there at fitting."""
        texts = values.cast(pl.String)
        distinct = texts.unique()
        numbers = [self._known.get(text, -1) for text in distinct.to_list()]
        found = texts.replace_strict(distinct, pl.Series(numbers, dtype=pl.Int64))
        return found.cast(pl.Int64).to_numpy()

    @property
    def width(self) -> int:
        """How many features it makes."""
        if self.categories is None:
            return 1 + int(self.has_missing)
        return 1 if self.ranks is not None else len(self.categories)

    def write(self, values: pl.Series, into: npt.NDArray[np.float32]) -> None:
        """Write the features of a column, shape (n, width)."""
        if self.categories is None:
            numbers = numbers_of_column(values)
            missing = np.isnan(numbers)
            into[:, 0] = np.where(missing, self.fill, (numbers - self.origin) / self.unit)
            if self.has_missing:
                into[:, 1] = missing
            return
        places = self.places(values)
        if self.ranks is not None:
            ranks = np.append(self.ranks, np.mean(self.ranks) if self.ranks else 0.0)
            into[:, 0] = ranks[places]
            return
        into[:] = 0
        known = np.flatnonzero(places >= 0)
        into[known, places[known]] = 1

    def to_dict(self) -> dict[str, Any]:
        """Return the code as plain JSON values."""
        return {
            "name": self.name,
            "categories": None if self.categories is None else list(self.categories),
            "ranks": None if self.ranks is None else list(self.ranks),
            "origin": self.origin,
            "unit": self.unit,
            "fill": self.fill,
            "has_missing": self.has_missing,
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Return the code that :meth:`to_dict` described."""
        given = dict(values)
        for name in ("categories", "ranks"):
            given[name] = None if given[name] is None else tuple(given[name])
        return cls(**given)


def codes_of(
    table: pl.DataFrame,
    names: Sequence[str],
    categorical: Collection[str],
    ordered_by: Floats | None = None,
) -> tuple[ColumnCode, ...]:
    """Return how columns become features: numbers first, then categories.

    Parameters
    ----------
    table
        The rows at fitting.
    names
        The columns.
    categorical
        Columns of numbers that are categories all the same.
    ordered_by
        See :meth:`ColumnCode.of_categories`.
    """
    numbers = [name for name in names if name not in categorical and is_number(table[name])]
    codes = [ColumnCode.of_numbers(table[name]) for name in numbers]
    others = [name for name in names if name not in numbers]
    codes += [ColumnCode.of_categories(table[name], ordered_by) for name in others]
    return tuple(codes)


def is_number(values: pl.Series) -> bool:
    """Return whether a column is one of numbers, dates or times."""
    return values.dtype.is_numeric() or values.dtype.is_temporal()


def matrix(table: pl.DataFrame, codes: Sequence[ColumnCode]) -> npt.NDArray[np.float32]:
    """Return the features of a table, shape (n, features), in the order of the codes."""
    ends = np.cumsum([0, *(code.width for code in codes)])
    features = np.empty((table.height, int(ends[-1])), dtype=np.float32)
    for code, start, end in zip(codes, ends[:-1], ends[1:], strict=True):
        code.write(table[code.name], features[:, start:end])
    return features
