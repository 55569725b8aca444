"""Least squares and logistic regression with their covariance, and what stands in their way.

References
----------
McCullagh & Nelder, "Generalized linear models" (1989), section 2.5 (iteratively reweighted least
squares). Albert & Anderson, "On the existence of maximum likelihood estimates in logistic
regression models", Biometrika 71 (1984) (separation).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["LinearFit", "fit_least_squares", "fit_logistic", "independent_columns"]

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

_STEPS = 50
_BLOCK = 20_000
_MANY = 100_000
_CLOSE = 1e-10
_SEPARATED = 1e-6  # a fitted probability so near 0 or 1 for all rows of one outcome
_COLLINEAR = 1e-9


@dataclass(frozen=True, eq=False)
class LinearFit:
    """A fitted model.

    Parameters
    ----------
    coefficients
        Shape (features,).
    covariance
        Shape (features, features).
    fitted
        Mean (or probability) of each row, shape (n,).
    freedom
        Rows less features.
    converged
        Whether the steps came to rest.
    separated
        Whether the outcome is told without error, so that no finite estimate exists.
    """

    coefficients: Floats
    covariance: Floats
    fitted: Floats
    freedom: int
    converged: bool = True
    separated: bool = False


def independent_columns(X: Floats) -> Flags:
    """Return which columns are no linear combination of those before them.

    Parameters
    ----------
    X
        Shape (n, features). A column that is constant 0 is a combination of none.
    """
    gram = X.T @ X
    norms = np.sqrt(np.diag(gram))
    kept = norms > 0
    safe = np.where(kept, norms, 1.0)
    gram = gram / safe[:, None] / safe[None, :]
    for place in range(len(gram)):
        left = gram[place, place]
        if not kept[place] or left < _COLLINEAR:
            kept[place] = False
            continue
        # sweep: what the other columns hold beyond this one
        row = gram[place].copy()
        gram -= np.outer(row, row) / left
    return np.asarray(kept)


def fit_least_squares(X: Floats, y: Floats) -> LinearFit:
    """Return the least-squares fit.

    Parameters
    ----------
    X
        Shape (n, features), independent columns, the constant among them; n > features.
    y
        Shape (n,).
    """
    Q, R = np.linalg.qr(X)
    coefficients = np.linalg.solve(R, Q.T @ y)
    fitted = X @ coefficients
    freedom = len(y) - X.shape[1]
    inverse = np.linalg.inv(R)
    variance = float(np.square(y - fitted).sum()) / freedom
    return LinearFit(coefficients, inverse @ inverse.T * variance, fitted, freedom)


def fit_logistic(X: Floats, y: Floats) -> LinearFit:
    """Return the maximum-likelihood fit of a logistic regression.

    Parameters
    ----------
    X
        Shape (n, features), independent columns, the constant among them.
    y
        0 or 1, shape (n,), both among them.
    """
    coefficients = np.zeros(X.shape[1])
    if len(y) > _MANY:  # a tenth of the rows tells where to begin
        some = fit_logistic(X[::10], y[::10])
        if some.converged and not some.separated:
            coefficients = some.coefficients
    eta = X @ coefficients
    deviance = _deviance(eta, y)
    converged = False
    hessian = np.eye(X.shape[1])
    for _ in range(_STEPS):
        p = 1.0 / (1.0 + np.exp(-np.clip(eta, -40.0, 40.0)))
        weight = np.maximum(p * (1 - p), 1e-12)
        hessian = _weighted_products(X, weight)
        step = _solve(hessian, X.T @ (y - p))
        scale = 1.0
        for _ in range(12):
            moved = X @ (coefficients + scale * step)
            now = _deviance(moved, y)
            if now <= deviance * (1 + 1e-12):
                break
            scale /= 2
        coefficients, eta = coefficients + scale * step, moved
        converged = abs(deviance - now) <= _CLOSE * (abs(now) + 0.1)
        deviance = now
        if converged:
            break
    p = 1.0 / (1.0 + np.exp(-np.clip(eta, -40.0, 40.0)))
    covariance = _solve(hessian, np.eye(X.shape[1]))
    near = np.minimum(p, 1 - p) < _SEPARATED
    # along a direction that separates, a coefficient grows with each step and its error much faster
    endless = np.abs(coefficients) * np.ptp(X, axis=0) > 8.0
    endless &= np.sqrt(np.diag(covariance)) > 10.0 * np.abs(coefficients)
    separated = bool(near.all() or (not converged) or (near.any() and endless.any()))
    return LinearFit(coefficients, covariance, p, len(y) - X.shape[1], converged, separated)


def _weighted_products(X: Floats, weight: Floats) -> Floats:
    total = np.zeros((X.shape[1],) * 2)
    for start in range(0, len(X), _BLOCK):
        block = X[start : start + _BLOCK]
        total += block.T @ (block * weight[start : start + _BLOCK, None])
    return total


def _solve(matrix: Floats, right: Floats) -> Floats:
    ridge = np.eye(len(matrix)) * (1e-12 * max(float(np.trace(matrix)) / len(matrix), 1e-300))
    return np.asarray(np.linalg.solve(matrix + ridge, right))


def _deviance(eta: Floats, y: Floats) -> float:
    return float(2.0 * (np.logaddexp(0.0, eta) - y * eta).sum())
