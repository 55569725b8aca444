"""What a column can hold, found in the data and paid for where nobody could say it before.

Categories: those whose noisy count passes a threshold, below which nobody's own value is seen but
with the budget's ``threshold_delta``. Numbers: a noisy histogram of sign and power of two, whose
cells are the same for every table, gives bounds; numbers between them are kept to three digits or
so, whole numbers as they are.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from sfumato.errors import PlanError, SchemaError
from sfumato.privacy.differential.histograms import ThresholdedHistogram
from sfumato.synthesis.private.domain import DeclaredNumbers, DeclaredValues

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sfumato.synthesis.private.noisy_counting import NoisyCounting

    Integers = NDArray[np.int64]

__all__ = ["discovered"]

_LOWEST, _HIGHEST = -20, 40  # powers of two that are told apart
_SURE = 4.0  # standard deviations of noise: 122 cells seldom reach them by noise alone
_POINTS = 1000


def discovered(
    series: pl.Series, counting: NoisyCounting, *, share: Fraction, delta: Fraction
) -> DeclaredNumbers | DeclaredValues:
    """Return what a column holds, as far as the budget lets it be seen.

    Parameters
    ----------
    series
        The column.
    counting
        Counts with noise and pays for it.
    share
        Share of the budget.
    delta
        For categories: the probability that a value of a single person is seen.

    Raises
    ------
    PlanError
        If categories are to be found and ``delta`` is 0.
    SchemaError
        If nothing passes the noise.
    """
    if series.dtype.is_numeric():
        return _numbers(series, counting, share)
    if series.dtype.is_temporal():
        raise SchemaError(
            f"Column {series.name!r}: dates cannot be discovered. Declare them: domain = "
            f'{{{series.name!r}: ("1900-01-01", "2030-12-31", 1)}}'
        )
    return _values(series, counting, share, delta)


def _values(
    series: pl.Series, counting: NoisyCounting, share: Fraction, delta: Fraction
) -> DeclaredValues:
    if delta == 0:
        raise PlanError(
            f"Column {series.name!r}: to find its values, the budget needs a threshold_delta above "
            f"0, a part of its delta; or declare them in `domain`"
        )
    rows = counting.ledger.budget.rows_per_person
    mechanism = ThresholdedHistogram(
        noise=counting.mechanism(share), delta=delta, most_per_cell=rows, cells_per_unit=rows
    )
    counting.ledger.charge(f"values of {series.name}", mechanism)
    texts = series.cast(pl.String).drop_nulls().to_numpy().astype(np.str_)
    found = mechanism.release(texts, counting.ledger.words)
    if not found:
        raise SchemaError(
            f"Column {series.name!r}: no value is frequent enough to be told within this budget. "
            f"Declare its values in `domain`, leave the column out, or raise `discover`"
        )
    return DeclaredValues(values=tuple(sorted(found)))


def _numbers(series: pl.Series, counting: NoisyCounting, share: Fraction) -> DeclaredNumbers:
    amounts = series.cast(pl.Float64).drop_nulls().to_numpy()
    powers = np.arange(_LOWEST, _HIGHEST + 1)
    # the cells: -2**(k + 1) to -2**k from the highest k on, then 0, then 2**k to 2**(k + 1)
    with np.errstate(divide="ignore"):
        power = np.floor(np.log2(np.abs(amounts)))
    power = np.clip(np.nan_to_num(power, neginf=_LOWEST), _LOWEST, _HIGHEST).astype(np.int64)
    small = np.abs(amounts) < 2.0**_LOWEST
    place = np.where(small, 0, np.sign(amounts).astype(np.int64) * (power - _LOWEST + 1))
    middle = powers.size
    noisy, sigma = counting.counts(
        place + middle, 2 * middle + 1, share, f"magnitudes of {series.name}"
    )
    seen = np.flatnonzero(noisy > _SURE * sigma) - middle
    if seen.size == 0:
        raise SchemaError(
            f"Column {series.name!r}: no range of numbers is frequent enough to be told within this"
            f" budget. Declare it in `domain`, leave the column out, or raise `discover`"
        )
    low, high = _edge(int(seen[0]), lower=True), _edge(int(seen[-1]), lower=False)
    step = 1.0
    if not series.dtype.is_integer():
        step = 10.0 ** math.floor(math.log10((high - low) / _POINTS))
    low, high = math.floor(low / step) * step, math.ceil(high / step) * step
    digits = max(0, -math.floor(math.log10(step)))
    return DeclaredNumbers(
        low=round(low, digits), high=max(round(high, digits), round(low + step, digits)), step=step
    )


def _edge(place: int, *, lower: bool) -> float:
    """Return the end of a cell: 0, or of those from 2**k to 2**(k + 1) on either side."""
    if place == 0:
        return 0.0
    power = abs(place) - 1 + _LOWEST
    outer = (place < 0) == lower
    return math.copysign(2.0 ** (power + outer), place)
