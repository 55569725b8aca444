"""Intervals for shares and for distances between distributions, all at 95 %.

References
----------
R. G. Newcombe, "Interval estimation for the difference between independent proportions",
Statistics in Medicine 17 (1998), method 10. P. Massart, "The tight constant in the
Dvoretzky-Kiefer-Wolfowitz inequality", Annals of Probability 18 (1990). C. McDiarmid, "On the
method of bounded differences" (1989).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from sfumato.evaluation.estimates import wilson

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["around", "difference_of_shares", "distribution_reach", "share_reach"]

_EACH = 0.025  # two samples share the 5 %


def difference_of_shares(
    successes: float, rows: int, other_successes: float, other_rows: int
) -> tuple[float, float]:
    """Return Newcombe's interval of one share minus another (hybrid score, from Wilson's).

    Parameters
    ----------
    successes, rows
        Of the first share; rows at least 1.
    other_successes, other_rows
        Of the share that is subtracted.

    Examples
    --------
    >>> low, high = difference_of_shares(56, 70, 48, 80)  # Newcombe's table II, contrast (a)
    >>> round(low, 4), round(high, 4)
    (0.0524, 0.3339)
    """
    first, second = successes / rows, other_successes / other_rows
    low, high = wilson(successes, rows)
    other_low, other_high = wilson(other_successes, other_rows)
    difference = first - second
    return (
        difference - math.hypot(first - low, other_high - second),
        difference + math.hypot(high - first, second - other_low),
    )


def distribution_reach(rows: int, other_rows: int) -> float:
    """Return how far a Kolmogorov-Smirnov distance of two samples may be from the true one.

    By the Dvoretzky-Kiefer-Wolfowitz-Massart inequality for either sample.
    """
    return sum(math.sqrt(math.log(2 / _EACH) / (2 * n)) for n in (rows, other_rows))


def share_reach(shares: Floats, rows: int, other_shares: Floats, other_rows: int) -> float:
    """Return how far a total variation distance of two samples may be from the true one.

    For either sample, the expected distance of its shares from the true ones (Jensen's inequality,
    at the shares seen) and McDiarmid's inequality for what lies beyond.

    Parameters
    ----------
    shares, other_shares
        Shares of the cells in either sample, shape (cells,).
    rows, other_rows
        Rows of either sample.
    """
    reach = 0.0
    for seen, n in ((shares, rows), (other_shares, other_rows)):
        expected = 0.5 * float(np.sqrt(seen * (1 - seen) / n).sum())
        reach += expected + math.sqrt(math.log(1 / _EACH) / (2 * n))
    return reach


def around(value: float, reach: float) -> tuple[float, float]:
    """Return the interval of a distance (0 to 1) that may be off by ``reach``."""
    return max(0.0, value - reach), min(1.0, value + reach)
