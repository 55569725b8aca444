"""Cells that lie apart: by Tukey's fences, and beyond what bodies usually are.

A rare body is easy to recognise: whoever weighs 290 kg is found by his weight alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from sfumato.table.profiling.sensitivity import words_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Outliers", "RareRange", "find_outliers"]

_POUND = 0.45359237
_INCH = 0.0254


@dataclass(frozen=True)
class RareRange:
    """How many rows lie beyond a stated limit.

    Parameters
    ----------
    rule
        The limit in words, such as "BMI above 50".
    because
        What a value beyond it means.
    rows
        How many rows lie beyond it.
    """

    rule: str
    because: str
    rows: int


@dataclass(frozen=True)
class Outliers:
    """Rows outside Tukey's fences, and rows beyond the limits of the body.

    Parameters
    ----------
    low_fence, high_fence
        First quartile less, third quartile plus 1.5 interquartile ranges, in the column's unit.
    below, above
        How many rows lie outside each fence.
    rare
        Counts beyond stated limits of height, weight, body-mass index and age; empty for other
        columns.

    Notes
    -----
    J. W. Tukey, Exploratory Data Analysis, 1977, chapter 2.
    """

    low_fence: float
    high_fence: float
    below: int
    above: int
    rare: tuple[RareRange, ...]


@dataclass(frozen=True)
class _Limit:
    quantity: str
    side: Literal["below", "above"]
    limit: float
    unit: str
    because: str


_RARE = "rare enough to recognise a person by"
_IMPOSSIBLE = "hardly possible: a mistake, or a person to be known by it"
_LIMITS = (
    _Limit("height", "below", 1.40, "m", _RARE),
    _Limit("height", "above", 2.10, "m", _RARE),
    _Limit("height", "above", 2.75, "m", _IMPOSSIBLE),
    _Limit("weight", "below", 35, "kg", _RARE),
    _Limit("weight", "above", 200, "kg", _RARE),
    _Limit("weight", "above", 400, "kg", _IMPOSSIBLE),
    _Limit("BMI", "below", 15, "", _RARE),
    _Limit("BMI", "above", 50, "", _RARE),
    _Limit("BMI", "above", 60, "", _RARE),
    _Limit("age", "below", 0, "years", _IMPOSSIBLE),
    _Limit("age", "above", 89, "years", "HIPAA's Safe Harbor groups such ages as 90 or older"),
    _Limit("age", "above", 120, "years", _IMPOSSIBLE),
)


def find_outliers(
    name: str, values: NDArray[np.float64], quartiles: tuple[float, float]
) -> Outliers:
    """Count the cells of a numeric column that lie apart.

    Parameters
    ----------
    name
        The column's name, which tells a height, a weight, a body-mass index or an age.
    values
        The known cells, finite, shape (n,), at least one.
    quartiles
        First and third quartile of the values.

    Examples
    --------
    >>> found = find_outliers("BMI", np.array([22.0, 24.0, 25.0, 63.0]), (23.5, 34.5))
    >>> [(rare.rule, rare.rows) for rare in found.rare]
    [('BMI above 50', 1), ('BMI above 60', 1)]
    """
    first, third = quartiles
    reach = 1.5 * (third - first)
    below, above = first - reach, third + reach
    rare = []
    quantity = _quantity(name)
    scale = _unit(quantity, name, float(np.median(values))) if quantity else None
    if scale is not None:
        for limit in (limit for limit in _LIMITS if limit.quantity == quantity):
            bound = limit.limit / scale
            beyond = values < bound if limit.side == "below" else values > bound
            rows = int(np.count_nonzero(beyond))
            if rows:
                rule = f"{limit.quantity} {limit.side} {limit.limit:g} {limit.unit}".strip()
                rare.append(RareRange(rule, limit.because, rows))
    return Outliers(
        low_fence=float(below),
        high_fence=float(above),
        below=int(np.count_nonzero(values < below)),
        above=int(np.count_nonzero(values > above)),
        rare=tuple(rare),
    )


def _quantity(name: str) -> str:
    words = words_of(name)
    for quantity, spelt in (
        ("BMI", ("bmi",)),
        ("height", ("height", "stature", "heightinmeters")),
        ("weight", ("weight",)),
        ("age", ("age",)),
    ):
        if any(word in words for word in spelt):
            return quantity
    return ""


def _unit(quantity: str, name: str, median: float) -> float | None:
    """Return what one unit of the column is in metres, kilograms or years; None if none fits.

    The name may say so; otherwise the unit is the one in which the median is an adult's, or a
    plausible age. Ages in days or birth weights in grams fit none, and are left alone.
    """
    words = words_of(name)
    candidates: tuple[tuple[float, tuple[str, ...]], ...]
    low, high = -np.inf, np.inf
    if quantity == "height":
        low, high = 1.3, 2.1
        candidates = ((1.0, ("m", "meters", "metres")), (0.01, ("cm",)), (_INCH, ("in", "inches")))
    elif quantity == "weight":
        low, high = 35.0, 140.0
        candidates = ((1.0, ("kg", "kilograms")), (_POUND, ("lb", "lbs", "pounds")))
    elif quantity == "age":
        low, high = 0.0, 120.0
        candidates = ((1.0, ("years",)),)
    else:
        low, high = 10.0, 60.0
        candidates = ((1.0, ()),)
    for unit, spelt in candidates:
        if any(word in words for word in spelt) and low <= median * unit <= high:
            return unit
    return next((unit for unit, _ in candidates if low <= median * unit <= high), None)
