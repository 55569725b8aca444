"""The chain that learns a latent factor model: factors of rows, coefficients, law, in turn.

The factors of all rows take a Metropolis-adjusted Langevin step; given them each column is a
generalized linear model of its own, and their law a mixture of normals. With steps that become
smaller the coefficients settle at the most likely ones (stochastic approximation EM); with draws in
place of steps the chain draws models from their posterior (Gibbs sampling).

References
----------
B. Delyon, M. Lavielle, E. Moulines, "Convergence of a stochastic approximation version of the EM
algorithm", Annals of Statistics 27 (1999). G. Roberts, R. Tweedie, "Exponential convergence of
Langevin distributions and their discrete approximations", Bernoulli 2 (1996). M. Khan, B. Marlin,
G. Bouchard, K. Murphy, "Variational bounds for mixed-data factor analysis", NIPS 2010, for the
model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sfumato.synthesis.latent_factor.factor_law import FactorLaw, LawMoments

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from sfumato.synthesis.latent_factor.links import Link, Seen

    Floats = NDArray[np.float64]

__all__ = ["Chain", "held_out_likelihood"]

_WANTED_ACCEPTANCE = 0.57
_MODE_STEPS = 25
_WIDER = 1.5
_BLOCK = 8192
_WARM_UP = 8
_POINTS = 60


@dataclass(eq=False)
class Chain:
    """The state of a chain; :meth:`turn` moves it.

    Parameters
    ----------
    seen
        What was seen of each variable.
    links
        Their links.
    law
        Law of the factors.
    factors
        Of each row, shape (n, factors).
    random
        Where draws come from.
    """

    seen: tuple[Seen, ...]
    links: tuple[Link, ...]
    law: FactorLaw
    factors: Floats
    random: np.random.Generator
    pace: float = 1.0
    moments: LawMoments | None = None

    def turn(self, step: float, *, draw: bool = False, moves: int = 1) -> None:
        """Move the factors, then the coefficients and the law.

        Parameters
        ----------
        step
            Share of a Newton step that is taken, above 0 and at most 1.
        draw
            Whether coefficients and law are drawn from their posterior given the factors.
        moves
            How often the factors move.
        """
        self.move(moves)
        design = with_ones(self.factors)
        chance = self.random if draw else None
        self.links = tuple(
            link.updated(design, seen, step, chance)
            for link, seen in zip(self.links, self.seen, strict=True)
        )
        parts = self.law.shares.size
        part = self.law.parts_of(self.factors, self.random.random(len(self.factors)))
        moments = LawMoments.of(self.factors, part, parts)
        if self.moments is not None and not draw and step < 1:
            moments = self.moments.blended(moments, step)
        law, mean, root = FactorLaw.fit(moments, chance).whitened()
        # scale and rotation of the factors have no meaning: they are kept at variance 1
        self.law = law
        self.links = tuple(link.rotated(mean, root) for link in self.links)
        self.factors = np.asarray(np.linalg.solve(root, (self.factors - mean).T).T)
        self.moments = _rotated(moments, mean, root)

    def split(self, parts: int) -> None:
        """Give the law so many parts."""
        if parts > 1:
            self.law = self.law.split(parts, self.factors, self.random)
            self.moments = None

    def move(self, moves: int) -> None:
        """Take Langevin steps with the factors of all rows, in blocks of rows."""
        root = _proposal_root(self.links, self.law)
        accepted = 0.0
        for start in range(0, len(self.factors), _BLOCK):
            rows = slice(start, start + _BLOCK)
            seen = [one.rows(rows) for one in self.seen]
            moved, share = _langevin(
                self.factors[rows], seen, self.links, self.law, root, self.pace, self.random, moves
            )
            self.factors[rows] = moved
            accepted += share * len(moved) / len(self.factors)
        self.pace = float(
            np.clip(self.pace * np.exp(0.5 * (accepted - _WANTED_ACCEPTANCE)), 0.01, 4)
        )


def with_ones(factors: Floats) -> Floats:
    """Return factors with a column of ones before them."""
    return np.column_stack([np.ones(len(factors)), factors])


def posterior_scores(
    factors: Floats, seen: Sequence[Seen], links: Sequence[Link], law: FactorLaw
) -> tuple[Floats, Floats]:
    """Return the log joint density of rows and factors, (n,), and its slope, (n, factors)."""
    design = with_ones(factors)
    logs, slope = law.scores(factors)
    for link, one in zip(links, seen, strict=True):
        more, along = link.scores(design, one)
        logs = logs + more
        slope = slope + along @ link.coefficients[1:].T
    return logs, slope


def _proposal_root(links: Sequence[Link], law: FactorLaw) -> Floats:
    """Return the root of the covariance that factors have given a row, on average."""
    precision = np.tensordot(law.shares, law.precisions(), 1)
    for link in links:
        precision = precision + link.curvature(law.width)
    return np.asarray(np.linalg.cholesky(np.linalg.inv(precision)))


def _langevin(
    factors: Floats,
    seen: Sequence[Seen],
    links: Sequence[Link],
    law: FactorLaw,
    root: Floats,
    pace: float,
    random: np.random.Generator,
    moves: int,
) -> tuple[Floats, float]:
    """Return factors after some steps, and the share of steps that were accepted."""
    logs, slope = posterior_scores(factors, seen, links, law)
    accepted = 0.0
    for _ in range(moves):
        normal = random.standard_normal(factors.shape)
        pull = 0.5 * pace * (slope @ root)
        other = factors + (pull + np.sqrt(pace) * normal) @ root.T
        other_logs, other_slope = posterior_scores(other, seen, links, law)
        # in coordinates in which the proposal is round
        back = -(pull + np.sqrt(pace) * normal) - 0.5 * pace * (other_slope @ root)
        forth = 0.5 * np.einsum("nk,nk->n", normal, normal)
        ratio = other_logs - logs + forth - 0.5 * np.einsum("nk,nk->n", back, back) / pace
        taken = np.log(random.random(len(factors))) < ratio
        factors = np.where(taken[:, None], other, factors)
        logs, slope = (
            np.where(taken, other_logs, logs),
            np.where(taken[:, None], other_slope, slope),
        )
        accepted += float(taken.mean()) / moves
    return factors, accepted


def held_out_likelihood(
    seen: Sequence[Seen], links: Sequence[Link], law: FactorLaw, random: np.random.Generator
) -> float:
    """Return the mean log likelihood of rows, by importance sampling about their modes.

    Parameters
    ----------
    seen
        Of rows that the model was not learned from.
    links, law
        The model.
    random
        Where the points come from.
    """
    from scipy.special import logsumexp

    rows = len(seen[0].there)
    root = _proposal_root(links, law)
    factors = np.zeros((rows, law.width))
    for _ in range(_MODE_STEPS):
        _, slope = posterior_scores(factors, seen, links, law)
        factors = factors + np.clip(slope @ root, -2, 2) @ root.T * 0.5
    logs = np.empty((_POINTS, rows))
    normal = random.standard_normal((_POINTS, rows, law.width))
    constant = np.log(np.diag(root)).sum() + law.width * np.log(_WIDER)
    constant += 0.5 * law.width * np.log(2 * np.pi)
    for point in range(_POINTS):
        at = factors + _WIDER * normal[point] @ root.T
        joint, _ = posterior_scores(at, seen, links, law)
        proposal = -0.5 * np.einsum("nk,nk->n", normal[point], normal[point]) - constant
        logs[point] = joint - proposal
    return float((logsumexp(logs, axis=0) - np.log(_POINTS)).mean())


def _rotated(moments: LawMoments, mean: Floats, root: Floats) -> LawMoments:
    """Return the moments of factors ``root^-1 (z - mean)``."""
    counts = moments.counts
    sums = moments.sums - counts[:, None] * mean
    cross = np.einsum("pi,j->pij", moments.sums, mean)
    squares = moments.squares - cross - cross.transpose(0, 2, 1)
    squares = squares + counts[:, None, None] * np.outer(mean, mean)
    inverse = np.linalg.inv(root)
    return LawMoments(counts, sums @ inverse.T, inverse @ squares @ inverse.T)
