"""Whether the digits of released numbers give away how they were made, or whose they are.

Counts are compared with what as many other people of the same kind would have, since fresh people
go beyond a source, and share values with it, too.

References
----------
I. J. Good, "The population frequencies of species and the estimation of population parameters",
Biometrika 40 (1953).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from sfumato.evaluation.integrity_findings import (
    IntegrityFinding,
    failed,
    not_applicable,
    passed,
)
from sfumato.evaluation.integrity_sides import Sides

__all__ = ["decimals_of", "number_findings"]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

_MOST_DECIMALS = 17
_FULL = 13  # decimals from which a column is as exact as a double can be
_ODD_SHARE = 0.05
_CONTINUOUS, _EXACT = 0.9, 4
_ROUNDING = 1e-9
_TOLERANCE, _SPARE = 3.0, 5.0


def number_findings(sides: Sides) -> Iterator[IntegrityFinding]:
    """Yield SF109, SF110 and SF111."""
    if sides.real is None or not sides.numbers:
        for code in ("SF109", "SF110", "SF111"):
            yield not_applicable(code, "There are no numbers to compare with real ones.")
        return
    more: dict[str, int] = {}
    scaled: dict[str, int] = {}
    exact: dict[str, int] = {}
    for name in sides.numbers:
        released, times = np.unique(
            sides.values(name).to_numpy().astype(np.float64), return_counts=True
        )
        real, held = np.unique(
            sides.values(name, real=True).to_numpy().astype(np.float64), return_counts=True
        )
        if not len(released) or not len(real):
            continue
        digits, real_digits = decimals_of(released), decimals_of(real)
        per_row = times.sum() / held.sum()
        finest = int(real_digits.max())
        if finest < _FULL:
            # one more row than those of the source goes beyond all of them once in so many rows
            _count(more, name, times[digits > finest], per_row)
        alike = held[_nearly_equal(real)].sum()
        near = _nearly_real(released, real) & (digits >= finest)
        _count(scaled, name, times[near], alike * per_row)
        odd = _odd(held, real_digits)
        # values that one row has are met again as often as those that two rows have say (Good 1953)
        again = 2 * (odd & (held == 2)).sum()
        mine = np.isin(released, real[odd & (held == 1)])
        _count(exact, name, times[mine], again * per_row)
    yield _told(more, "SF109", "Numbers have more decimals than any of the source.")
    yield _told(
        scaled,
        "SF110",
        "Numbers are real ones but for rounding in the last digits: real values came through.",
    )
    yield _told(
        exact,
        "SF111",
        "Numbers are equal to ones of unusual exactness that a single person of the source has.",
    )


def decimals_of(numbers: npt.ArrayLike) -> Integers:
    """Return how many decimals each number needs, 0 to 17, same shape.

    Examples
    --------
    >>> decimals_of([2.0, 0.25, 1 / 3]).tolist()
    [0, 2, 16]
    """
    values = np.asarray(numbers, np.float64)
    needed = np.full(values.shape, _MOST_DECIMALS, np.int64)
    left = np.isfinite(values)
    for digits in range(_MOST_DECIMALS):
        fits = np.zeros(values.shape, np.bool_)
        fits[left] = np.round(values[left], digits) == values[left]
        needed[fits] = digits
        left &= ~fits
        if not left.any():
            break
    return needed


def _count(found: dict[str, int], name: str, times: Integers, expected: float) -> None:
    """Note how many cells it is, if other people would have clearly fewer."""
    if times.sum() > _TOLERANCE * expected + _SPARE:
        found[name] = int(times.sum())


def _told(found: dict[str, int], code: str, meaning: str) -> IntegrityFinding:
    if not found:
        return passed(code, "cells")
    return failed(code, list(found), sum(found.values()), "cells", meaning)


def _nearly_real(released: Floats, real: Floats) -> Flags:
    """Return which numbers differ from the nearest real one, but by rounding only."""
    place = np.clip(np.searchsorted(real, released), 1, max(len(real) - 1, 1))
    below, above = real[place - 1], real[np.minimum(place, len(real) - 1)]
    gap = np.minimum(np.abs(released - below), np.abs(released - above))
    return np.asarray((gap > 0) & (gap <= _reach(real)))


def _nearly_equal(real: Floats) -> Flags:
    """Return which of the sorted real numbers have another one within rounding."""
    near = np.concatenate([[False], np.diff(real) <= _reach(real), [False]])
    return np.asarray(near[1:] | near[:-1])


def _reach(real: Floats) -> float:
    return _ROUNDING * max(float(np.ptp(real)), float(np.abs(real).max()), 1e-300)


def _odd(held: Integers, digits: Integers) -> Flags:
    """Return which real numbers are written so exactly that they may be one person's.

    Nearly all of a column that hardly repeats; else those of an exactness that few rows have.
    """
    rows = held.sum()
    if (held == 1).sum() > _CONTINUOUS * rows and np.median(digits) >= _EXACT:
        return np.ones(len(held), np.bool_)
    order = np.argsort(-digits, kind="stable")
    rare = np.zeros(len(held), np.bool_)
    rare[order] = np.cumsum(held[order]) <= _ODD_SHARE * rows
    return np.asarray(rare & (digits >= _typical(digits, held) + 2))


def _typical(digits: Integers, held: Integers) -> int:
    """Return the decimals that half of the rows do not exceed."""
    order = np.argsort(digits, kind="stable")
    running = np.cumsum(held[order])
    return int(digits[order][np.searchsorted(running, running[-1] / 2)])
