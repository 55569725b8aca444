"""What a tested figure says: evidence of a leak, none at a stated sensitivity, or too little data.

There is no fourth outcome, and none is called safe.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from enum import StrEnum

from scipy.stats import norm

from sfumato.evaluation.figures import Figure

__all__ = ["FAMILY_ERROR", "SENSITIVITY", "Outcome", "joint_upper", "outcome"]

#: Share of evaluations of releases without a leak in which any figure may raise a false alarm.
FAMILY_ERROR = 0.05
#: An excess of this share of the people must have been noticeable for "no evidence" to be said.
SENSITIVITY = 0.05


class Outcome(StrEnum):
    """The three outcomes of a test, and that there was none."""

    EVIDENCE = "evidence of a leak"
    NO_EVIDENCE = "no evidence at the stated sensitivity"
    NOT_ENOUGH = "not enough data to say"
    NOT_TESTED = "not tested"


def outcome(figure: Figure, *, sensitivity: float = SENSITIVITY) -> Outcome:
    """Return what a figure says.

    Parameters
    ----------
    figure
        A risk figure; ``adjusted`` holds its p-value for all figures together.
    sensitivity
        The excess, in the figure's unit, that must have been noticeable in 80 % of cases.
    """
    if figure.value is None or figure.p_value is None:
        return Outcome.NOT_TESTED
    p_value = figure.p_value if figure.adjusted is None else figure.adjusted
    if p_value <= FAMILY_ERROR:
        return Outcome.EVIDENCE
    if figure.detectable is None or figure.detectable > sensitivity:
        return Outcome.NOT_ENOUGH
    return Outcome.NO_EVIDENCE


def joint_upper(figure: Figure, tests: int) -> float | None:
    """Return the upper bound of a figure's excess that holds for all tests together.

    Parameters
    ----------
    figure
        A figure with ``upper``, its own 95 % bound.
    tests
        How many bounds shall hold at once, at least 1.

    Notes
    -----
    The reach of the single bound is widened by the ratio of the normal quantiles (Bonferroni).
    """
    reference = figure.control if figure.control is not None else figure.baseline
    if figure.upper is None or figure.value is None or not math.isfinite(figure.upper):
        return None
    excess = figure.value - (reference or 0.0)
    wider = norm.ppf(1 - FAMILY_ERROR / max(tests, 1)) / norm.ppf(1 - FAMILY_ERROR)
    return min(1.0, excess + (figure.upper - excess) * float(wider))


def worst(outcomes: Iterable[Outcome]) -> Outcome:
    """Return what is said of several figures together."""
    seen = set(outcomes)
    for one in (Outcome.EVIDENCE, Outcome.NOT_ENOUGH, Outcome.NO_EVIDENCE):
        if one in seen:
            return one
    return Outcome.NOT_TESTED
