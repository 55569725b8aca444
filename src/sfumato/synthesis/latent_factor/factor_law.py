"""The law of the factors: a mixture of normal distributions, learned with the loadings.

References
----------
J. Baek, G. McLachlan, L. Flack, "Mixtures of factor analyzers with common factor loadings", IEEE
Trans. Pattern Analysis and Machine Intelligence 32 (2010), section 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

__all__ = ["FactorLaw", "LawMoments"]

_NODES = 24
_LOG_TWO_PI = float(np.log(2 * np.pi))


@dataclass(frozen=True, eq=False)
class LawMoments:
    """What the factors of many rows say of their law.

    Parameters
    ----------
    counts
        Rows of each part, shape (parts,).
    sums
        Sum of their factors, shape (parts, factors).
    squares
        Sum of the factors' outer products, shape (parts, factors, factors).
    """

    counts: Floats
    sums: Floats
    squares: Floats

    @classmethod
    def of(cls, factors: Floats, part: Integers, parts: int) -> Self:
        """Return the moments of rows that belong to parts."""
        chosen = [factors[part == one] for one in range(parts)]
        return cls(
            np.array([float(len(rows)) for rows in chosen]),
            np.array([rows.sum(axis=0) for rows in chosen]),
            np.array([rows.T @ rows for rows in chosen]),
        )

    def blended(self, other: LawMoments, step: float) -> LawMoments:
        """Return these moments moved towards others by a share of the way."""
        return LawMoments(
            self.counts + step * (other.counts - self.counts),
            self.sums + step * (other.sums - self.sums),
            self.squares + step * (other.squares - self.squares),
        )


@dataclass(frozen=True, eq=False)
class FactorLaw:
    """A mixture of normal distributions.

    Parameters
    ----------
    shares
        Share of each part, shape (parts,).
    means
        Mean of each part, shape (parts, factors).
    roots
        Lower Cholesky factor of each part's covariance, shape (parts, factors, factors).
    """

    shares: Floats
    means: Floats
    roots: Floats

    @classmethod
    def standard(cls, factors: int) -> Self:
        """Return one standard normal part."""
        return cls(np.ones(1), np.zeros((1, factors)), np.eye(factors)[None])

    @property
    def width(self) -> int:
        """Number of factors."""
        return int(self.means.shape[1])

    def precisions(self) -> Floats:
        """Return the inverse covariance of each part, shape (parts, factors, factors)."""
        return np.asarray(np.linalg.inv(self.roots @ self.roots.transpose(0, 2, 1)))

    def log_parts(self, factors: Floats) -> Floats:
        """Return the log density of rows in each part, its share included, shape (n, parts)."""
        found = np.empty((len(factors), self.shares.size))
        for part, root in enumerate(self.roots):
            white = np.linalg.solve(root, (factors - self.means[part]).T)
            constant = np.log(self.shares[part]) - np.log(np.diag(root)).sum()
            found[:, part] = constant - 0.5 * (np.einsum("kn,kn->n", white, white))
        return found - 0.5 * self.width * _LOG_TWO_PI

    def scores(self, factors: Floats) -> tuple[Floats, Floats]:
        """Return the log density of rows, shape (n,), and its slope, shape (n, factors)."""
        logs = self.log_parts(factors)
        top = logs.max(axis=1, keepdims=True)
        weights = np.exp(logs - top)
        total = weights.sum(axis=1, keepdims=True)
        weights /= total
        slope = np.zeros_like(factors)
        for part, precision in enumerate(self.precisions()):
            slope -= weights[:, part : part + 1] * ((factors - self.means[part]) @ precision)
        return (top + np.log(total))[:, 0], slope

    def parts_of(self, factors: Floats, uniform: Floats) -> Integers:
        """Return a part for each row, drawn from the chances given its factors."""
        logs = self.log_parts(factors)
        ends = np.cumsum(np.exp(logs - logs.max(axis=1, keepdims=True)), axis=1)
        return np.asarray((uniform[:, None] * ends[:, -1:] > ends).sum(axis=1), dtype=np.int64)

    def draw(self, uniform: Floats, normal: Floats) -> Floats:
        """Return factors of rows, from a uniform number and normal numbers of each."""
        part = np.searchsorted(np.cumsum(self.shares)[:-1], uniform, side="right")
        found = np.empty_like(normal)
        for one, root in enumerate(self.roots):
            rows = part == one
            # einsum without BLAS adds in one order whatever the number of threads and rows
            found[rows] = self.means[one] + np.einsum("nk,jk->nj", normal[rows], root)
        return found

    def line(self, coefficients: Floats) -> tuple[Floats, Floats]:
        """Return the mean and deviation of a linear combination in each part.

        Parameters
        ----------
        coefficients
            Intercept and loadings, shape (1 + factors,).
        """
        spread = np.linalg.norm(np.einsum("pkj,k->pj", self.roots, coefficients[1:]), axis=1)
        return coefficients[0] + self.means @ coefficients[1:], spread

    def nodes(self, coefficients: Floats) -> tuple[Floats, Floats]:
        """Return points and weights of a quadrature over a linear combination (Gauss-Hermite)."""
        mean, spread = self.line(coefficients)
        points, weights = np.polynomial.hermite_e.hermegauss(_NODES)
        values = mean[:, None] + spread[:, None] * points
        return values.ravel(), (self.shares[:, None] * weights / weights.sum()).ravel()

    def split(self, parts: int, factors: Floats, random: np.random.Generator) -> FactorLaw:
        """Return a law of more parts, with means at rows far apart and one covariance."""
        centres = [factors[int(random.integers(len(factors)))]]
        for _ in range(parts - 1):
            apart = np.min([((factors - one) ** 2).sum(axis=1) for one in centres], axis=0)
            centres.append(factors[int(random.choice(len(factors), p=apart / apart.sum()))])
        near = np.argmin([((factors - one) ** 2).sum(axis=1) for one in centres], axis=0)
        return FactorLaw.fit(LawMoments.of(factors, near, parts), None)

    @classmethod
    def fit(cls, moments: LawMoments, random: np.random.Generator | None) -> Self:
        """Return the law that moments tell of.

        Parameters
        ----------
        moments
            Of the factors.
        random
            None: the most likely law. Else it is drawn from its posterior (Dirichlet and normal
            inverse Wishart; a prior of one observation a part, about the whole).
        """
        parts, width = moments.sums.shape
        total = moments.counts.sum()
        centre = moments.sums.sum(axis=0) / total
        whole = moments.squares.sum(axis=0) / total - np.outer(centre, centre)
        whole += 1e-6 * np.eye(width)
        freedom = width + 2.0
        shares = moments.counts + 1.0
        shares = shares / shares.sum() if random is None else random.dirichlet(shares)
        means, roots = np.empty((parts, width)), np.empty((parts, width, width))
        for part in range(parts):
            weight = moments.counts[part] + 1
            mean = (moments.sums[part] + centre) / weight
            scatter = moments.squares[part] + np.outer(centre, centre)
            scatter = scatter - weight * np.outer(mean, mean) + whole
            scatter = (scatter + scatter.T) / 2 + 1e-9 * np.eye(width)
            if random is None:
                covariance = scatter / (weight + 1)
                means[part], roots[part] = mean, np.linalg.cholesky(covariance)
                continue
            covariance = _inverse_wishart(scatter, weight + freedom - 1, random)
            roots[part] = np.linalg.cholesky(covariance)
            means[part] = mean + roots[part] @ random.standard_normal(width) / np.sqrt(weight)
        return cls(np.maximum(shares, 1e-12), means, roots)

    def whitened(self) -> tuple[FactorLaw, Floats, Floats]:
        """Return the law with mean 0 and covariance 1, the mean taken off, and the root.

        Factors ``z`` become ``root^-1 (z - mean)``.
        """
        mean = self.shares @ self.means
        apart = self.means - mean
        covariance = np.einsum("p,pij->ij", self.shares, self.roots @ self.roots.transpose(0, 2, 1))
        covariance = covariance + (apart * self.shares[:, None]).T @ apart
        root = np.linalg.cholesky(covariance)
        means = np.linalg.solve(root, apart.T).T
        inner = np.linalg.solve(root, self.roots)
        roots: Floats = np.linalg.cholesky(inner @ inner.transpose(0, 2, 1))
        return FactorLaw(self.shares, np.asarray(means), roots), mean, np.asarray(root)

    def to_dict(self) -> dict[str, Any]:
        """Return the law as plain JSON values."""
        return {
            "shares": self.shares.tolist(),
            "means": self.means.tolist(),
            "roots": self.roots.tolist(),
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Return the law that :meth:`to_dict` described."""
        return cls(*(np.asarray(values[name], dtype=np.float64) for name in cls.__match_args__))


def _inverse_wishart(scatter: Floats, freedom: float, random: np.random.Generator) -> Floats:
    """Return a draw by the Bartlett decomposition of the Wishart of the inverse."""
    width = len(scatter)
    lower = np.tril(random.standard_normal((width, width)), -1)
    lower[np.diag_indices(width)] = np.sqrt(random.chisquare(freedom - np.arange(width)))
    root = np.linalg.cholesky(scatter)
    half = np.linalg.solve(lower, root.T)
    return np.asarray(half.T @ half)
