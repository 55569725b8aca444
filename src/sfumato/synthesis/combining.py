"""One estimate and its interval from several synthetic tables: the rules of multiple imputation.

References
----------
T. Raghunathan, J. Reiter, D. Rubin, "Multiple imputation for statistical disclosure limitation",
J. Official Statistics 19 (2003), section 2; J. Reiter, "Satisfying disclosure requirements with
synthetic data sets", J. Official Statistics 18 (2002), section 2, for why the variance is not
enough.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sfumato.errors import DataError

__all__ = ["CombinedEstimate", "combine"]

_POINTS = 200
_HALVINGS = 40
_NOTHING = 1e-100


@dataclass(frozen=True)
class CombinedEstimate:
    """An estimate from several synthetic tables.

    Parameters
    ----------
    value
        The mean of the tables' estimates.
    standard_error
        Of the value, for the population that the real table was drawn from: privacy noise included,
        if there is any.
    low, high
        The interval.
    """

    value: float
    standard_error: float
    low: float
    high: float


def combine(
    estimates: npt.ArrayLike, variances: npt.ArrayLike, *, level: float = 0.95
) -> CombinedEstimate:
    """Combine what was estimated on each of several synthetic tables of as many rows as the real.

    With b the variance between the estimates and u the mean of their own variances, the variance is
    (1 + 1/m) b - u: each table was drawn anew, so that b holds u once too often. But b is known
    from m tables only, and where u is a large part of it the difference may come out near 0 or
    below. A t distribution whose degrees of freedom are estimated from the same b is then far too
    wide (of 95 % intervals from 20 tables 98.9 % cover). The interval here is that of the mixture
    over what b can be: a normal distribution for each, weighted by how likely it is given the
    estimates, and none below u.

    Parameters
    ----------
    estimates
        An estimate from each table, shape (m,), m at least 2.
    variances
        The squared standard error that each table's analysis gives, shape (m,), 0 or more.
    level
        Of the interval, above 0 and below 1.

    Raises
    ------
    DataError
        If there are fewer than two tables, or not as many variances, or one is negative.

    Examples
    --------
    >>> round(combine([1.0, 1.4, 0.8, 1.2], [0.01, 0.01, 0.01, 0.01]).value, 6)
    1.1
    """
    values = np.asarray(estimates, dtype=np.float64)
    own = np.asarray(variances, dtype=np.float64)
    if values.ndim != 1 or values.size < 2 or own.shape != values.shape:
        raise DataError("An estimate and a variance from each of 2 tables or more are needed")
    if not (np.isfinite(values).all() and np.isfinite(own).all() and (own >= 0).all()):
        raise DataError("Estimates must be finite and variances 0 or more")
    if not 0 < level < 1:
        raise DataError(f"level must be above 0 and below 1, not {level}")
    value = float(values.mean())
    between, within = float(values.var(ddof=1)), float(own.mean())
    deviations = _deviations(values.size, between, within)
    reach = _reach(deviations, level)
    difference = (1 + 1 / values.size) * between - within
    # what one table alone would say, if the tables lie closer together than chance allows
    error = float(np.sqrt(difference if difference > 0 else within))
    return CombinedEstimate(value, error, value - reach, value + reach)


def _deviations(number: int, between: float, within: float) -> npt.NDArray[np.float64]:
    """Return standard errors that are each as likely, given the variance between the tables.

    The variance between tables has a scaled inverse chi-square posterior, cut off below ``within``:
    tables of rows drawn anew cannot lie closer together on average.
    """
    from scipy.special import gammainc, gammaincinv

    degrees = number - 1
    chances = (np.arange(_POINTS) + 0.5) / _POINTS
    half = degrees / 2
    reached = float(gammainc(half, half * between / within)) if within > 0 else 1.0
    if reached > _NOTHING:
        true = half * between / gammaincinv(half, chances * reached)
    else:  # what the posterior goes to as the variance between the tables goes to 0
        true = within * chances ** (-2 / degrees)
    return np.asarray(np.sqrt(np.maximum((1 + 1 / number) * true - within, 0.0)))


def _reach(deviations: npt.NDArray[np.float64], level: float) -> float:
    """Return the distance within which the mixture of normals about 0 has this probability."""
    from scipy.special import ndtr, ndtri

    if not deviations.max() > 0:
        return 0.0
    farthest = float(ndtri((1 + level) / 2)) * float(deviations.max())
    low, high = 0.0, farthest
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        inside = 1 - 2 * ndtr(-middle / np.maximum(deviations, 1e-300)).mean()
        low, high = (middle, high) if inside < level else (low, middle)
    return high
