"""Bins of a quasi-identifier, and the bin of each released value: the one that contains it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import polars as pl

from sfumato.errors import SchemaError
from sfumato.table import SUPPRESSED, interval_label, parse_intervals
from sfumato.table.preparation.midpoints import are_numbers

__all__ = ["Bins", "bins_of", "category_labels", "holds_numbers"]

Integers = npt.NDArray[np.int64]

_MOST_VALUES = 50
_WANTED_BINS = 5
_LEAST_WIDTH = 1e-300
_ROUND = (1.0, 2.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True)
class Bins:
    """Bins of one column.

    Parameters
    ----------
    column
        Name of the quasi-identifier.
    labels
        The bins in their order.
    edges
        For numbers the edges, one more than there are bins, in the column's unit; None for values,
        each of which is a bin.
    """

    column: str
    labels: tuple[str, ...]
    edges: tuple[float, ...] | None = None

    def of(self, values: pl.Series) -> Integers:
        """Return the bin of each value, shape (n,), -1 where no bin contains it.

        A number belongs to the bin ``[low, high)`` in which it lies; an interval (``a-b`` is
        ``[a, b)``) to the bin in which it lies whole. ``*``, a missing value and an interval wider
        than a bin belong to none.
        """
        if self.edges is None:
            texts = category_labels(values)
            places = pl.Series(range(len(self.labels)), dtype=pl.Int64)
            found = texts.replace_strict(
                pl.Series(self.labels, dtype=pl.String),
                places,
                default=-1,
                return_dtype=pl.Int64,
            )
            return found.fill_null(-1).to_numpy()
        low, high = _ends(values)
        edges = np.asarray(self.edges)
        inside = ~np.isnan(low)
        bin_of = np.full(len(values), -1, dtype=np.int64)
        place = np.searchsorted(edges, low[inside], side="right") - 1
        upper = edges[np.minimum(place + 1, len(edges) - 1)]
        exact = low[inside] == high[inside]
        fits = np.where(exact, high[inside] < upper, high[inside] <= upper)
        fits &= (place >= 0) & (place < len(edges) - 1)
        bin_of[inside] = np.where(fits, place, -1)
        return bin_of


def bins_of(real: pl.Series, edges: tuple[float, ...] | None = None) -> Bins:
    """Return the bins of a column of the real table.

    Parameters
    ----------
    real
        The real values, shape (n,).
    edges
        The edges, if the column holds numbers and they are given.

    Raises
    ------
    SchemaError
        If edges are given for a column that holds no numbers, or it has more than 50 values.

    Examples
    --------
    >>> bins_of(pl.Series("age", [3.0, 80.0])).labels
    ('[0, 20)', '[20, 40)', '[40, 60)', '[60, 80)', '[80, 100)')
    """
    if holds_numbers(real):
        chosen = edges or _round_edges(real)
        labels = tuple(interval_label(low, high) for low, high in pairwise(chosen))
        return Bins(real.name, labels, chosen)
    if edges is not None:
        raise SchemaError(
            f"bins.{real.name}: edges are for numbers, and the column {real.name!r} holds other "
            "values, each of which is a bin"
        )
    values = category_labels(real).drop_nulls().unique().sort().to_list()
    if len(values) > _MOST_VALUES:
        raise SchemaError(
            f"the column {real.name!r} has {len(values):,} values; a distribution by it is shown "
            f"for at most {_MOST_VALUES}: group them first, or take it from the quasi-identifiers"
        )
    return Bins(real.name, tuple(values))


def holds_numbers(values: pl.Series) -> bool:
    """Whether a column holds numbers, or texts that all name numbers, intervals or ``*``."""
    if values.dtype.is_numeric():
        return True
    if values.dtype not in (pl.String, pl.Categorical, pl.Enum):
        return False
    return are_numbers(values.cast(pl.String).unique())


def category_labels(values: pl.Series) -> pl.Series:
    """Return values as texts; a whole number reads the same from an integer and a float.

    Examples
    --------
    >>> category_labels(pl.Series([1.0, None, 0.5])).to_list()
    ['1', None, '0.5']
    """
    if values.dtype.is_float():
        whole = values.cast(pl.Int64, strict=False)
        texts = values.cast(pl.String)
        return whole.cast(pl.String).zip_with((whole == values).fill_null(value=False), texts)
    if values.dtype == pl.Boolean:
        return values.cast(pl.Int8).cast(pl.String)
    return values.cast(pl.String)


def _ends(values: pl.Series) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    if values.dtype.is_numeric():
        numbers = values.cast(pl.Float64).fill_null(np.nan).to_numpy()
        return numbers, numbers
    texts = values.cast(pl.String)
    low, high = parse_intervals(texts.replace(SUPPRESSED, None))
    return low, high


def _round_edges(real: pl.Series) -> tuple[float, ...]:
    low, high = _ends(real)
    if np.isnan(low).all():
        return (0.0, 1.0)
    least, greatest = float(np.nanmin(low)), float(np.nanmax(high))
    width = (greatest - least) / _WANTED_BINS
    if width == 0:
        width = 1.0
    everything = (least, math.nextafter(greatest, math.inf))
    if width < _LEAST_WIDTH:
        return everything
    unit = 10.0 ** math.floor(math.log10(width))
    step = unit * next(factor for factor in _ROUND if factor * unit >= width * (1 - 1e-9))
    first = math.floor(least / step)
    last = math.floor(greatest / step) + 1
    edges = tuple(float(f"{step * place:.12g}") for place in range(first, last + 1))
    rising = all(low < high for low, high in pairwise(edges))
    # numbers that differ in their last digits only have no round bins
    return edges if rising and edges[0] <= least and greatest < edges[-1] else everything
