"""What of an evaluation may leave the house: figures in buckets that one person hardly moves.

An exact figure is a release too. Who may ask for the figures of releases of his own making could
put a guess about a person into one and see whether a count rises (the ReconSyn attack). Outward
figures are therefore steps: small counts are one bucket, sizes are given by the lines that
policies draw, shares and distances by a coarse grid, always on the side that looks worse.

References
----------
G. Ganev, E. De Cristofaro, "The inadequacy of similarity-based privacy metrics", arXiv:2312.05114
(2023); ResDAC, CMS cell size suppression policy, 2024-01-26.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from sfumato.errors import PlanError
from sfumato.evaluation.class_sizes import POLICY_SIZES
from sfumato.evaluation.figures import Figure

__all__ = ["OUTWARD_RULES", "outward", "outward_counts"]

OUTWARD_RULES: tuple[str, ...] = (
    (
        "Counts of people, rows, cells or classes: fewer than 11 are one bucket; above, the next "
        "of 1, 2, 5 times a power of ten."
    ),
    (
        "Sizes of which more is better, such as the smallest class: the line of a policy at or "
        "below (1, 2, 3, 5, 11, 20, 50, 100, 1,000)."
    ),
    (
        "Shares and risks: multiples of 0.05, never less than 11 of the people; of 0.01 below "
        "0.05, where 1 % are at least 11 people; a risk of one class as 1 over a policy's size."
    ),
    "Other numbers: the next of 1, 2, 5 times a power of ten.",
    (
        "Always rounded to what looks worse, and intervals outwards; p-values up to 0.001, 0.01, "
        "0.05, 0.1, 0.5 or 1."
    ),
    (
        "Sentences that name exact numbers are replaced; counts of a histogram below 11 are left "
        "out, and others rounded down to tens."
    ),
)
"""How figures are rounded, as a report may print it."""

_COUNTS = frozenset({"people", "rows", "classes", "cells", "values", "records", "attacks"})
_P_VALUES = (0.001, 0.01, 0.05, 0.1, 0.5, 1.0)
_SIZES = np.array(list(POLICY_SIZES), dtype=np.float64)
_EDGE = 1e-9
_OF_ONE_CLASS = ("prosecutor", "prosecutor_highest", "journalist_highest", "wildcard_highest")


def outward(figures: Mapping[str, Figure], *, people: int, least: int = 11) -> dict[str, Figure]:
    """Return the figures as they may be shown to others.

    Parameters
    ----------
    figures
        By key.
    people
        People (or rows) of the release: what a share is a share of.
    least
        Counts below are one bucket, at least 2.

    Returns
    -------
    dict of Figure
        The same keys. A figure that was not computed keeps its reason. Rounding again changes
        nothing.

    Raises
    ------
    PlanError
        If ``people`` is below 1 or ``least`` below 2.
    """
    if people < 1 or least < 2:
        raise PlanError(
            f"outward figures are of at least 1 person and of buckets of at least 2, not "
            f"{people} and {least}"
        )
    return {key: _outward(key, figure, people, least) for key, figure in figures.items()}


def outward_counts(counts: Iterable[int], *, least: int = 11) -> tuple[int | None, ...]:
    """Return the counts of a histogram as they may be shown: None below ``least``, 0 among them.

    Others are rounded down to tens, but not below ``least``.
    """
    return tuple(
        None if count < least else max(least, count // 10 * 10) for count in map(int, counts)
    )


def _outward(key: str, figure: Figure, people: int, least: int) -> Figure:
    if figure.value is None:
        return figure
    rising = figure.direction != "higher is better"
    unit = figure.unit

    def rounded(value: float | None, *, up: bool) -> float | None:
        if value is None or not math.isfinite(value):
            return value
        if key in _OF_ONE_CLASS:
            return _risk(value)
        if unit in _COUNTS:
            return _count(value, least, up=up)

        def size(of: float, *, up: bool) -> float:
            return _share(of, people, least, up=up) if unit == "share" else _step(of, up=up)

        if value < 0:
            below = size(-value, up=not up)
            if below or not up:
                return -below
            value = 0.0
        return size(value, up=up)

    value = rounded(figure.value, up=rising)
    interval = figure.interval
    if interval is not None:
        low, high = rounded(interval[0], up=False), rounded(interval[1], up=True)
        interval = (float(low or 0.0), float(high or 0.0))
    p_value, adjusted = _p_value(figure.p_value), _p_value(figure.adjusted)
    return replace(
        figure,
        value=value,
        interval=interval,
        baseline=rounded(figure.baseline, up=not rising),
        control=rounded(figure.control, up=not rising),
        upper=rounded(figure.upper, up=True),
        detectable=rounded(figure.detectable, up=True),
        attacks=None if figure.attacks is None else int(_count(figure.attacks, least, up=False)),
        p_value=p_value,
        adjusted=adjusted,
        meaning=f"{figure.name}: {_said(value, unit, least, up=rising)}.",
        because="",
    )


def _said(value: float | None, unit: str, least: int, *, up: bool) -> str:
    if value is None:
        return "not shown"
    if unit in _COUNTS and up and value <= least - 1:
        return f"fewer than {least} {unit}"
    bound = "at most" if up else "at least"
    return f"{bound} {value:,.4g} ({unit}, rounded to what looks worse)"


def _risk(value: float) -> float:
    """Return 1 over the policy's size at or below the class."""
    size = 1 / value if value > 0 else math.inf
    place = int(np.searchsorted(_SIZES, size * (1 + _EDGE), "right")) - 1
    return float(1 / _SIZES[max(place, 0)])


def _share(value: float, people: int, least: int, *, up: bool) -> float:
    floor = min(least / people, 1.0)
    fine = 0.01 if value <= 0.05 and 0.01 * people >= least else 0.05
    steps = value / fine
    whole = math.ceil(steps - _EDGE) if up else math.floor(steps + _EDGE)
    found = round(whole * fine, 10)
    if not up:
        return found if found >= floor else 0.0
    if value > 1:
        return found
    lowest = max(fine, round(math.ceil(floor / fine - _EDGE) * fine, 10))
    return min(max(found, lowest), 1.0)


def _count(value: float, least: int, *, up: bool) -> float:
    """Return a count: down to a policy's size where more is better, else up to 1, 2, 5, 10, ..."""
    if up:
        return float(least - 1) if value < least else max(_step(value, up=True), float(least))
    if value < 1:
        return 0.0
    return float(_SIZES[int(np.searchsorted(_SIZES, value * (1 + _EDGE), "right")) - 1])


def _step(value: float, *, up: bool) -> float:
    """Return the next of 1, 2, 5 times a power of ten; 0 for what is below 0.01."""
    if value < 0.01 * (1 - _EDGE):
        return 0.01 if up and value > 0 else 0.0
    power = math.floor(math.log10(value) + _EDGE)
    ladder = [factor * 10.0**exponent for exponent in (power, power + 1) for factor in (1, 2, 5)]
    if up:
        return min(step for step in ladder if step >= value * (1 - _EDGE))
    return max(step for step in ladder if step <= value * (1 + _EDGE))


def _p_value(value: float | None) -> float | None:
    return None if value is None else next(step for step in _P_VALUES if value <= step)
