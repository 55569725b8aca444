"""A column of categories as numbers: by its order, as yes or no, or a feature for each category."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import polars as pl

from sfumato.errors import DataError
from sfumato.table.hierarchies.ladder import SUPPRESSED
from sfumato.table.preparation.encoder import Encoder, OneFeature, missing_mark

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from numpy.typing import NDArray

__all__ = ["Binary", "Categories", "Ordinal", "texts"]


@dataclass(frozen=True)
class Ordinal(OneFeature):
    """Ordered categories as 0, 1, 2 and so on.

    Parameters
    ----------
    order
        The categories, lowest first.
    """

    kind: ClassVar[str] = "ordinal"
    order: tuple[str, ...]

    @classmethod
    def fit(cls, cells: pl.Series, order: Sequence[str]) -> Ordinal:
        """Learn what stands in for missing cells; the order is given.

        Raises
        ------
        DataError
            If the column holds categories that the order lacks; says how many rows and the first.
        """
        ranks = {text: float(rank) for rank, text in enumerate(order)}
        values, suppressed = _ranked(cells, ranks)
        strange = np.isnan(values) & ~suppressed & cells.is_not_null().to_numpy()
        if strange.any():
            raise DataError(
                f"column {cells.name!r}: {int(strange.sum())} rows, the first of them row "
                f"{int(strange.argmax()) + 1}, hold a category that its ordinal setting does not "
                "list; add the category to the order, or leave the setting out"
            )
        return cls(column=cells.name, order=tuple(order), **_stand_ins_of(values, suppressed))

    def read(self, cells: pl.Series) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Return the ranks, and which cells are ``"*"``."""
        return _ranked(cells, {text: float(rank) for rank, text in enumerate(self.order)})

    def describe(self) -> str:
        """Say in one sentence what is done to the column."""
        count = len(self.order)
        return f"{self.column}: {count} ordered categories as 0 to {count - 1}{self._stand_ins()}."


@dataclass(frozen=True)
class Binary(OneFeature):
    """Two kinds of category as 0 and 1.

    Parameters
    ----------
    zeros
        The categories that count as 0.
    ones
        Those that count as 1; None if every other one does.
    """

    kind: ClassVar[str] = "binary"
    zeros: tuple[str, ...]
    ones: tuple[str, ...] | None

    @classmethod
    def fit(cls, cells: pl.Series, zeros: Sequence[str], ones: Sequence[str] | None) -> Binary:
        """Learn what stands in for missing cells; which categories mean 0 is given."""
        zeros, ones = tuple(zeros), None if ones is None else tuple(ones)
        values, suppressed = _zero_or_one(cells, zeros, ones)
        return cls(column=cells.name, zeros=zeros, ones=ones, **_stand_ins_of(values, suppressed))

    def read(self, cells: pl.Series) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Return 0 and 1, and which cells are ``"*"``."""
        return _zero_or_one(cells, self.zeros, self.ones)

    def describe(self) -> str:
        """Say in one sentence what is done to the column."""
        zeros = " or ".join(repr(text) for text in self.zeros)
        ones = "anything else"
        if self.ones is not None:
            ones = " or ".join(repr(text) for text in self.ones)
        return f"{self.column}: {zeros} as 0, {ones} as 1{self._stand_ins()}."


@dataclass(frozen=True)
class Categories(Encoder):
    """Unordered categories, one 0/1 feature each but for a first one that all zeros stand for.

    Parameters
    ----------
    named
        The categories that have a feature; ``"*"`` is one of them if training rows held it.
    base
        The category that has none, or None if all zeros stand for the rare ones.
    marks_missing
        Whether training rows had missing cells, so that a 0/1 feature marks them.
    """

    kind: ClassVar[str] = "categories"
    named: tuple[str, ...]
    base: str | None
    marks_missing: bool

    @classmethod
    def fit(cls, cells: pl.Series, maximum: int) -> Categories:
        """Learn the categories; beyond ``maximum`` of them only the most frequent are named."""
        counted = texts(cells).drop_nulls().value_counts(name="rows")
        by_count = counted.sort("rows", cells.name, descending=[True, False])[cells.name].to_list()
        if len(by_count) > maximum:
            named, base = sorted(by_count[:maximum]), None
        else:
            # The base is never "*": that a cell was suppressed is told by a feature of its own.
            ordered = sorted(by_count, key=lambda text: (text == SUPPRESSED, text))
            base, named = (ordered[0], sorted(ordered[1:])) if ordered else (None, [])
        return cls(cells.name, tuple(named), base, bool(texts(cells).is_null().any()))

    @property
    def features(self) -> tuple[str, ...]:
        """``column_category`` for each named category, and a mark for missing cells."""
        mark = (missing_mark(self.column),) if self.marks_missing else ()
        return (*(f"{self.column}_{text}" for text in self.named), *mark)

    def encode(self, cells: pl.Series, wanted: Collection[str]) -> dict[str, NDArray[np.float64]]:
        """Return the ``wanted`` features of the cells."""
        ranks, _ = looked_up(texts(cells), {text: rank for rank, text in enumerate(self.named)})
        made = {
            name: (ranks == rank).astype(np.float64)
            for rank, name in enumerate(self.features)
            if name in wanted and rank < len(self.named)
        }
        mark = missing_mark(self.column)
        if self.marks_missing and mark in wanted:
            made[mark] = texts(cells).is_null().to_numpy().astype(np.float64)
        return made

    def describe(self) -> str:
        """Say in one sentence what is done to the column."""
        count = len(self.named)
        base = "the rarer ones, and any unseen, are all zeros"
        if self.base is not None:
            base = f"{self.base!r}, and any unseen, is all zeros"
        missing = "; missing cells are marked" if self.marks_missing else ""
        return f"{self.column}: {count} categories as a 0/1 feature each; {base}{missing}."


def texts(cells: pl.Series) -> pl.Series:
    """Return cells of any type as texts, a whole number without a decimal point.

    Examples
    --------
    >>> texts(pl.Series([1.0, 2.5, None])).to_list()
    ['1', '2.5', None]
    """
    kind = cells.dtype
    if kind == pl.String:
        return cells
    if kind.is_nested() or kind in (pl.Binary, pl.Object, pl.Null):
        return pl.Series(cells.name, [None] * len(cells), dtype=pl.String)
    if kind.is_float():
        numbers = cells.cast(pl.Float64).fill_nan(None)
        nothing = pl.Series([None], dtype=pl.Float64)
        whole = (numbers == numbers.round()) & (numbers.abs() < 1e15)
        as_integers = numbers.zip_with(whole.fill_null(value=False), nothing).cast(pl.Int64)
        return as_integers.cast(pl.String).fill_null(numbers.cast(pl.String))
    return cells.cast(pl.String)


def looked_up(
    cells: pl.Series, meaning: Mapping[str, float]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the meaning of each text, NaN where it has none, and which texts are ``"*"``."""
    suppressed = (cells == SUPPRESSED).fill_null(value=False).to_numpy()
    if not meaning:
        return np.full(len(cells), np.nan), suppressed
    found = cells.replace_strict(
        pl.Series(list(meaning), dtype=pl.String),
        pl.Series(list(meaning.values()), dtype=pl.Float64),
        default=None,
        return_dtype=pl.Float64,
    )
    return found.fill_null(np.nan).to_numpy(), suppressed


def _ranked(
    cells: pl.Series, ranks: Mapping[str, float]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    return looked_up(texts(cells), ranks)


def _zero_or_one(
    cells: pl.Series, zeros: tuple[str, ...], ones: tuple[str, ...] | None
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    meaning = dict.fromkeys(zeros, 0.0) | dict.fromkeys(ones or (), 1.0)
    values, suppressed = looked_up(texts(cells), meaning)
    if ones is None:
        other = np.isnan(values) & texts(cells).is_not_null().to_numpy() & ~suppressed
        values = np.where(other, 1.0, values)
    return values, suppressed


def _stand_ins_of(values: NDArray[np.float64], suppressed: NDArray[np.bool_]) -> dict[str, Any]:
    """Return what an ordinal or binary encoder puts in the place of cells without a value."""
    known = values[~np.isnan(values)]
    distinct, counts = np.unique(known, return_counts=True)
    return {
        "for_missing": float(distinct[counts.argmax()]) if known.size else 0.0,
        "for_suppressed": float(known.mean()) if known.size else 0.0,
        "marks_missing": bool((np.isnan(values) & ~suppressed).any()),
        "marks_suppressed": bool(suppressed.any()),
    }
