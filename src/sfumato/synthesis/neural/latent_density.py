"""Where the training rows lie in latent space: a Gaussian mixture, for each class by itself.

An autoencoder's latent points follow no distribution that is known beforehand, and those of a
variational one only about. A mixture fitted to them afterwards draws points where rows lie, and
none where no row was.

References
----------
P. Ghosh, M. S. M. Sajjadi, A. Vergari, M. Black, B. Schölkopf, "From variational to deterministic
autoencoders", ICLR 2020, section 4 (ex-post density estimation).
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from sfumato.synthesis.neural.arrays import packed, unpacked

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Singles = NDArray[np.float32]
    Integers = NDArray[np.int64]

__all__ = ["MOST_CLASSES", "LatentDensity", "Mixture"]

_MOST_ROWS = 20_000  # of a class; more tell a mixture of few parts nothing new
_ROWS_PER_PART = 50  # a covariance of as many numbers as latent pairs needs rows
_LEAST_VARIANCE = 1e-4
_WIDER = (1.0, 1.15, 1.3, 1.5, 2.0)  # factors of the covariances that held-out rows choose among
MOST_CLASSES = 20  # of more, a class tells of too few people to have a density of its own


def _untold(_done: int, _total: int) -> None:
    """Tell nobody."""


@dataclass(frozen=True, eq=False)
class Mixture:
    """A mixture of normal distributions.

    Parameters
    ----------
    weight
        Of each part, shape (parts,); sums to 1.
    mean
        Shape (parts, latent).
    spread
        Lower triangular root of each part's covariance, shape (parts, latent, latent).
    """

    weight: Floats
    mean: Singles
    spread: Singles

    @classmethod
    def fit(cls, points: Singles, *, parts: int, minimum: int, around: Floats, seed: int) -> Self:
        """Fit a mixture by expectation and maximization.

        Parameters
        ----------
        points
            Shape (n, latent), n at least 1.
        parts
            Most parts; fewer where rows are few.
        minimum
            A part that tells of fewer rows is left out.
        around
            Covariance that the one part of few points is drawn towards, (latent, latent).
        seed
            Of the first guess.
        """
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.mixture import GaussianMixture

        random = np.random.default_rng(seed)
        if len(points) > _MOST_ROWS:
            points = points[random.choice(len(points), _MOST_ROWS, replace=False)]
        n, width = points.shape
        parts = max(1, min(parts, n // max(_ROWS_PER_PART, 2 * minimum, 4 * width)))
        if parts == 1:
            centred = (points - points.mean(axis=0)).astype(np.float64)
            covariance = (centred.T @ centred + 2 * width * around) / (n + 2 * width)
            covariance += _LEAST_VARIANCE * np.eye(width)
            root = np.linalg.cholesky(covariance).astype(np.float32)
            return cls(np.ones(1), points.mean(axis=0, keepdims=True), root[None])
        model = GaussianMixture(
            parts,
            reg_covar=_LEAST_VARIANCE,
            max_iter=50,
            tol=1e-2,
            init_params="k-means++",
            random_state=seed % 2**32,
        )
        with warnings.catch_warnings():
            # Fifty rounds are enough for a place to draw from; the last digits are not needed.
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(points.astype(np.float64))
        kept = model.weights_ * n >= minimum
        kept[model.weights_.argmax()] = True
        return cls(
            model.weights_[kept] / model.weights_[kept].sum(),
            model.means_[kept].astype(np.float32),
            np.linalg.cholesky(model.covariances_[kept]).astype(np.float32),
        )

    def draw(self, uniform: Floats, normal: Singles) -> Singles:
        """Return points.

        Parameters
        ----------
        uniform
            A random number from 0 to 1 for each, which chooses the part; shape (n,).
        normal
            Standard normal numbers, shape (n, latent).
        """
        part = np.searchsorted(np.cumsum(self.weight)[:-1], uniform, side="right")
        points = np.empty_like(normal)
        for one in range(self.weight.size):
            here = part == one
            points[here] = self.mean[one] + normal[here] @ self.spread[one].T
        return points

    def log_density(self, points: Singles) -> Floats:
        """Return the logarithm of the density at points, (n, latent); shape (n,)."""
        from scipy.linalg import solve_triangular
        from scipy.special import logsumexp

        found = np.empty((len(self.weight), len(points)))
        for one, root in enumerate(self.spread.astype(np.float64)):
            apart = solve_triangular(
                root, (points - self.mean[one]).T.astype(np.float64), lower=True
            )
            found[one] = -0.5 * np.square(apart).sum(axis=0) - np.log(np.diag(root)).sum()
        found -= 0.5 * points.shape[1] * np.log(2 * np.pi)
        return np.asarray(logsumexp(found, axis=0, b=self.weight[:, None]))

    def widened(self, factor: float) -> Self:
        """Return the mixture with each covariance times a factor above 0."""
        return type(self)(self.weight, self.mean, self.spread * np.float32(factor**0.5))

    def to_dict(self) -> dict[str, Any]:
        """Return the mixture as plain JSON values."""
        return {
            "weight": self.weight.tolist(),
            "mean": packed(self.mean),
            "spread": packed(self.spread),
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Return the mixture that :meth:`to_dict` described."""
        weight = np.asarray(values["weight"], dtype=np.float64)
        return cls(weight, unpacked(values["mean"]), unpacked(values["spread"]))


@dataclass(frozen=True, eq=False)
class LatentDensity:
    """The mixture of each class of the target, or one for all.

    Parameters
    ----------
    mixtures
        The different ones.
    of_class
        Which of them each class has, shape (classes,); one number if there are no classes.
    """

    mixtures: tuple[Mixture, ...]
    of_class: Integers

    @classmethod
    def fit(
        cls,
        points: Singles,
        classes: Integers,
        n_classes: int,
        *,
        parts: int,
        minimum: int,
        seed: int,
        told: Callable[[int, int], None],
    ) -> Self:
        """Fit a mixture to each class; one of fewer than ``minimum`` rows shares that of all.

        Of more than 20 classes all share one.

        The one part of a class of few rows is drawn towards the spread within all classes.

        Parameters
        ----------
        points
            Shape (n, latent).
        classes
            Class of each row, shape (n,), 0 to ``n_classes - 1``, or -1.
        n_classes
            Number of classes, at least 1.
        parts, minimum, seed
            See :meth:`Mixture.fit`.
        told
            Called with the mixtures fitted and those in all.
        """
        counts = np.bincount(classes[classes >= 0], minlength=n_classes)
        enough = np.flatnonzero((counts >= minimum) & (n_classes <= MOST_CLASSES))
        means = np.zeros((n_classes, points.shape[1]))
        for one in enough:
            means[one] = points[classes == one].mean(axis=0)
        told_of = np.isin(classes, enough)
        inside = points[told_of] - means[classes[told_of]]
        if not told_of.any():
            inside = points - points.mean(axis=0)
        around = inside.T @ inside / max(len(inside), 1)
        mixtures = []
        of_class = np.full(n_classes, len(enough), dtype=np.int64)
        total = len(enough) + int(len(enough) < n_classes)
        for place, one in enumerate(enough):
            told(place, total)
            of_class[one] = place
            here = points[classes == one]
            mixtures.append(
                Mixture.fit(here, parts=parts, minimum=minimum, around=around, seed=seed)
            )
        if len(enough) < n_classes:
            mixtures.append(
                Mixture.fit(points, parts=parts, minimum=minimum, around=around, seed=seed)
            )
        told(total, total)
        return cls(tuple(mixtures), of_class)

    @classmethod
    def judged(
        cls,
        points: Singles,
        classes: Integers,
        n_classes: int,
        aside: NDArray[np.bool_],
        *,
        parts: int,
        minimum: int,
        seed: int,
        told: Callable[[int, int], None],
    ) -> Self:
        """Fit with as many parts, and as much wider, as make rows held out most likely.

        Parts that are many for the rows lie around single ones: rows held out are then less
        likely, and so parts of so many are not taken. The rows held out are fitted to by nothing.

        Parameters
        ----------
        points, classes, n_classes, minimum, seed, told
            See :meth:`fit`.
        aside
            Rows held out, shape (n,); without any it is :meth:`fit`.
        parts
            Most parts.
        """
        if not aside.any():
            return cls.fit(
                points, classes, n_classes, parts=parts, minimum=minimum, seed=seed, told=told
            )
        tried = sorted({1, *(2**power for power in range(1, 8) if 2**power < parts), parts})
        best, most = None, -np.inf
        for place, number in enumerate(tried):
            one = cls.fit(
                points[~aside],
                classes[~aside],
                n_classes,
                parts=number,
                minimum=minimum,
                seed=seed,
                told=_untold,
            )
            for factor in _WIDER:
                wider = cls(tuple(each.widened(factor) for each in one.mixtures), one.of_class)
                likely = float(wider.log_density(points[aside], classes[aside]).sum())
                if likely > most:
                    best, most = wider, likely
            told(place + 1, len(tried))
            if best is None or best.parts < one.parts:
                break  # more parts have made the rows held out no likelier
        told(len(tried), len(tried))
        return one if best is None else best

    @property
    def parts(self) -> int:
        """Number of parts of all mixtures together."""
        return sum(one.weight.size for one in self.mixtures)

    def log_density(self, points: Singles, classes: Integers) -> Floats:
        """Return the logarithm of the density at points of classes, shape (n,); 0 without one."""
        found = np.zeros(len(points))
        which = np.where(classes < 0, -1, self.of_class[classes])
        for place, mixture in enumerate(self.mixtures):
            here = which == place
            if here.any():
                found[here] = mixture.log_density(points[here])
        return found

    @property
    def width(self) -> int:
        """Number of latent dimensions."""
        return int(self.mixtures[0].mean.shape[1])

    def draw(self, classes: Integers, uniform: Floats, normal: Singles) -> Singles:
        """Return a point for each class given, shape (n, latent); see :meth:`Mixture.draw`."""
        which = self.of_class[classes]
        points = np.empty_like(normal)
        for place, mixture in enumerate(self.mixtures):
            here = which == place
            points[here] = mixture.draw(uniform[here], normal[here])
        return points

    def to_dict(self) -> dict[str, Any]:
        """Return the density as plain JSON values."""
        return {
            "mixtures": [one.to_dict() for one in self.mixtures],
            "of_class": self.of_class.tolist(),
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Return the density that :meth:`to_dict` described."""
        mixtures = tuple(Mixture.from_dict(one) for one in values["mixtures"])
        return cls(mixtures, np.asarray(values["of_class"], dtype=np.int64))
