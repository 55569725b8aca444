"""One estimate and its interval from several synthetic tables: the rules of multiple imputation.

References
----------
T. Raghunathan, J. Reiter, D. Rubin, "Multiple imputation for statistical disclosure limitation",
J. Official Statistics 19 (2003), section 2; J. Reiter, "Satisfying disclosure requirements with
synthetic data sets", J. Official Statistics 18 (2002), for a variance that is not above 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sfumato.errors import DataError

__all__ = ["CombinedEstimate", "combine"]


@dataclass(frozen=True)
class CombinedEstimate:
    """An estimate from several synthetic tables.

    Parameters
    ----------
    value
        The mean of the tables' estimates.
    standard_error
        Of the value, for the population that the real table was drawn from: privacy noise included.
    low, high
        The interval.
    degrees_of_freedom
        Of the t distribution that the interval comes from.
    """

    value: float
    standard_error: float
    low: float
    high: float
    degrees_of_freedom: float


def combine(
    estimates: npt.ArrayLike, variances: npt.ArrayLike, *, level: float = 0.95
) -> CombinedEstimate:
    """Combine what was estimated on each of several synthetic tables of as many rows as the real.

    With b the variance between the estimates and u the mean of their own variances, the variance is
    (1 + 1/m) b - u: each table was drawn anew, so that b holds u once too often. If that is not
    above 0, u is taken in its place.

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
    from scipy.stats import t

    values = np.asarray(estimates, dtype=np.float64)
    own = np.asarray(variances, dtype=np.float64)
    if values.ndim != 1 or values.size < 2 or own.shape != values.shape:
        raise DataError("An estimate and a variance from each of 2 tables or more are needed")
    if not (np.isfinite(values).all() and np.isfinite(own).all() and (own >= 0).all()):
        raise DataError("Estimates must be finite and variances 0 or more")
    if not 0 < level < 1:
        raise DataError(f"level must be above 0 and below 1, not {level}")
    number = values.size
    between, within = float(values.var(ddof=1)), float(own.mean())
    outer = (1 + 1 / number) * between
    variance, freedom = outer - within, np.inf
    if variance <= 0:
        variance = within
    elif within > 0:
        freedom = max((number - 1) * (1 - within / outer) ** 2, 1.0)
    else:
        freedom = number - 1.0
    error = float(np.sqrt(variance))
    reach = float(t.ppf((1 + level) / 2, freedom)) * error
    value = float(values.mean())
    return CombinedEstimate(value, error, value - reach, value + reach, float(freedom))
