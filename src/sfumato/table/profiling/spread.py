"""The spread of numbers and dates: moments, quartiles, a histogram, what lies apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sfumato.table.profiling.outliers import Outliers, find_outliers

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Dates", "Numbers", "spread_of_dates", "spread_of_numbers"]

_BINS = 20


@dataclass(frozen=True)
class Numbers:
    """The spread of a numeric column, over its known cells.

    Parameters
    ----------
    mean, standard_deviation
        The latter with n - 1 in the denominator, None for a single cell.
    minimum, quartile_1, median, quartile_3, maximum
        With linear interpolation.
    edges, counts
        Histogram: 21 edges of 20 equal bins, the last one closed, and the rows in each; a column
        with one value has one bin.
    outliers
        Rows that lie apart.
    """

    mean: float
    standard_deviation: float | None
    minimum: float
    quartile_1: float
    median: float
    quartile_3: float
    maximum: float
    edges: tuple[float, ...]
    counts: tuple[int, ...]
    outliers: Outliers


@dataclass(frozen=True)
class Dates:
    """The spread of a column of dates or times, as ISO 8601 texts; see :class:`Numbers`."""

    earliest: str
    median: str
    latest: str
    edges: tuple[str, ...]
    counts: tuple[int, ...]


def spread_of_numbers(name: str, known: NDArray[np.float64]) -> Numbers:
    """Return the spread of sorted numbers; the column's name tells its physical limits.

    Examples
    --------
    >>> spread_of_numbers("x", np.array([1.0, 2.0, 4.0])).median
    2.0
    """
    low, first, middle, third, high = (float(at) for at in _quantiles(known, (0, 25, 50, 75, 100)))
    mean = float(known.mean())
    deviation = (
        float(np.sqrt(((known - mean) ** 2).sum() / (known.size - 1))) if known.size > 1 else None
    )
    edges, counts = _histogram(known)
    return Numbers(
        mean=mean,
        standard_deviation=deviation,
        minimum=low,
        quartile_1=first,
        median=middle,
        quartile_3=third,
        maximum=high,
        edges=tuple(edges.tolist()),
        counts=counts,
        outliers=find_outliers(name, known, (first, third)),
    )


def spread_of_dates(known: NDArray[np.float64], *, whole_days: bool) -> Dates:
    """Return the spread of sorted dates, given as days since 1970-01-01.

    Examples
    --------
    >>> spread_of_dates(np.array([0.0, 1.5]), whole_days=False).latest
    '1970-01-02T12:00:00'
    """
    edges, counts = _histogram(known)

    def text(days: float) -> str:
        moment = np.datetime64(0, "s") + np.timedelta64(round(days * 86_400), "s")
        return str(moment.astype("datetime64[D]" if whole_days else "datetime64[s]"))

    low, middle, high = (text(float(at)) for at in _quantiles(known, (0, 50, 100)))
    return Dates(low, middle, high, tuple(text(edge) for edge in edges.tolist()), counts)


def _quantiles(ordered: NDArray[np.float64], percents: tuple[int, ...]) -> NDArray[np.float64]:
    """Return quantiles of sorted numbers, with linear interpolation."""
    places = np.asarray(percents) / 100 * (ordered.size - 1)
    return np.interp(places, np.arange(ordered.size), ordered)


def _histogram(ordered: NDArray[np.float64]) -> tuple[NDArray[np.float64], tuple[int, ...]]:
    low, high = ordered[0], ordered[-1]
    edges = np.linspace(low, high, _BINS + 1) if high > low else np.array([low, low])
    below = np.searchsorted(ordered, edges[1:-1], side="left")
    counts = np.diff(np.concatenate(([0], below, [ordered.size])))
    return edges, tuple(counts.tolist())
