"""The correlation that normal variables need so that the columns cut from them correlate as seen.

Each column is a step function of a standard normal variable. Expanded in Hermite polynomials, two
such columns with coefficients a and b correlate as the power series sum of a[m] b[m] r**m of their
latent correlation r (Mehler's formula), which rises with r and is solved for all pairs at once.
The same idea is known as the polychoric correlation and as NORTA.

References
----------
F. G. Mehler, Journal fuer die reine und angewandte Mathematik 66 (1866); M. C. Cario, B. L. Nelson,
"Modeling and generating random vectors with arbitrary marginal distributions and correlation
matrix" (1997); N. J. Higham, "Computing the nearest correlation matrix", IMA Journal of Numerical
Analysis 22 (2002), algorithm 3.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

__all__ = [
    "hermite_coefficients",
    "latent_correlation",
    "nearest_correlation",
    "observed_correlation",
    "standard_scores",
]

_TERMS = 200
_LARGEST = 0.998  # two columns that determine one another stay apart by this much


def standard_scores(probability: Floats, scores: Floats) -> Floats:
    """Return the scores of the cells, shifted and scaled to mean 0 and variance 1 (or all 0).

    Parameters
    ----------
    probability, scores
        Probability and score of each cell, shape (cells,).
    """
    centred = scores - probability @ scores
    deviation = float(np.sqrt(probability @ centred**2))
    if deviation <= 1e-12 * max(1.0, float(np.abs(scores).max())):
        return np.zeros_like(centred)
    return np.asarray(centred / deviation)


def hermite_coefficients(probability: Floats, scores: Floats, terms: int = _TERMS) -> Floats:
    """Return the coefficients 1 to ``terms`` of a step function of a standard normal variable.

    Parameters
    ----------
    probability
        Probability of each cell, shape (cells,), in ascending order of the normal variable.
    scores
        Value of the function in each cell, shape (cells,), mean 0 and variance 1.
    terms
        Number of coefficients.

    Returns
    -------
    array of shape (terms,)
        Coefficients for the normalised Hermite polynomials; their squares sum to at most 1.

    Examples
    --------
    >>> halves = hermite_coefficients(np.array([0.5, 0.5]), np.array([-1.0, 1.0]), terms=1)
    >>> bool(abs(halves[0] - np.sqrt(2 / np.pi)) < 1e-12)
    True
    """
    from scipy.special import ndtri

    cumulative = np.cumsum(probability)[:-1]
    inside = (cumulative > 0.0) & (cumulative < 1.0)
    cuts = ndtri(cumulative[inside])
    jumps = np.diff(scores)[inside]
    density = np.exp(-(cuts**2) / 2) / np.sqrt(2 * np.pi)
    coefficients = np.empty(terms)
    before, current = np.zeros_like(cuts), np.ones_like(cuts)
    for order in range(1, terms + 1):
        coefficients[order - 1] = (jumps * density) @ current / np.sqrt(order)
        after = (cuts * current - np.sqrt(order - 1) * before) / np.sqrt(order)
        before, current = current, after
    return coefficients


def observed_correlation(scores: Floats) -> Floats:
    """Return the correlations of columns in which a value may be absent.

    Parameters
    ----------
    scores
        Shape (n, d); mean 0 in each column; NaN where a row has no value. Pairs of columns are
        compared on the rows that have both.

    Returns
    -------
    array of shape (d, d)
        0 where a pair has no variation.
    """
    there = ~np.isnan(scores)
    if there.all():
        products = scores.T @ scores
        squares = np.repeat(np.diag(products)[:, None], len(products), axis=1)
        across = squares.T
    else:
        filled = np.where(there, scores, 0.0)
        present = there.astype(np.float64)
        rows = np.maximum(present.T @ present, 1.0)
        sums = filled.T @ present  # sum of column i over the rows that have column j
        products = filled.T @ filled - sums * sums.T / rows
        squares = (filled**2).T @ present - sums**2 / rows
        across = squares.T
    scale = np.sqrt(np.maximum(squares * across, 0.0))
    correlation = np.divide(products, scale, out=np.zeros_like(products), where=scale > 1e-9)
    np.fill_diagonal(correlation, 1.0)
    return np.asarray(np.clip(correlation, -1.0, 1.0))


def latent_correlation(observed: Floats, coefficients: Floats) -> Floats:
    """Return the normal correlation of each pair that shows as the observed one.

    Parameters
    ----------
    observed
        Correlations of the scored columns, shape (d, d).
    coefficients
        Hermite coefficients of the columns, shape (d, terms).

    Returns
    -------
    array of shape (d, d)
        Between -0.998 and 0.998 off the diagonal; what a pair cannot reach is brought as near as
        it can be. It need not be positive semidefinite: see :func:`nearest_correlation`.
    """
    low = np.full_like(observed, -_LARGEST)
    high = np.full_like(observed, _LARGEST)
    for _ in range(32):
        middle = (low + high) / 2
        below = _shown(middle, coefficients) < observed
        low = np.where(below, middle, low)
        high = np.where(below, high, middle)
    latent = (low + high) / 2
    flat = (coefficients**2).sum(axis=1) == 0.0  # a column without variation is left alone
    latent[flat, :] = 0.0
    latent[:, flat] = 0.0
    np.fill_diagonal(latent, 1.0)
    return np.asarray((latent + latent.T) / 2)


def nearest_correlation(matrix: Floats, *, smallest: float = 1e-6, rounds: int = 200) -> Floats:
    """Return the correlation matrix nearest to a symmetric one (Higham 2002, algorithm 3.3).

    Parameters
    ----------
    matrix
        Symmetric, shape (d, d), ones on the diagonal.
    smallest
        Least eigenvalue of the result, above 0 so that it can be factored.
    rounds
        Most alternating projections.
    """
    current = matrix.copy()
    correction = np.zeros_like(matrix)
    for _ in range(rounds):
        if np.linalg.eigvalsh(current)[0] >= smallest * 0.5:
            break
        shifted = current - correction
        projected = _at_least(shifted, smallest)
        correction = projected - shifted
        current = projected.copy()
        np.fill_diagonal(current, 1.0)
    # The last projection ends on the other set: scale it back to ones on the diagonal.
    current = _at_least(current, smallest)
    scale = np.sqrt(np.diag(current))
    current = current / np.outer(scale, scale)
    current = (current + current.T) / 2
    np.fill_diagonal(current, 1.0)
    return np.asarray(current)


def _shown(latent: Floats, coefficients: Floats) -> Floats:
    """Return the correlations that latent ones show as: Mehler's series, by Horner's rule."""
    total = np.zeros_like(latent)
    for order in range(coefficients.shape[1] - 1, -1, -1):
        column = coefficients[:, order]
        total = (total + np.outer(column, column)) * latent
    return total


def _at_least(matrix: Floats, smallest: float) -> Floats:
    values, vectors = np.linalg.eigh(matrix)
    if values[0] >= smallest:
        return matrix.copy()
    raised = (vectors * np.maximum(values, smallest)) @ vectors.T
    return np.asarray((raised + raised.T) / 2)
