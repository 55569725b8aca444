"""Small mechanisms that keep their promise, vectorised over runs, and the same with a planted bug.

All outputs are whole multiples of a fixed grid, so that last bits tell nothing. The noise is
numpy's: good enough to test an audit with, no sampler to release anything with.
"""

from __future__ import annotations

import numpy as np


def geometric(epsilon: float, shape: tuple[int, ...], random: np.random.Generator) -> np.ndarray:
    """Two-sided geometric noise of scale 1 / epsilon (Ghosh, Roughgarden & Sundararajan 2009)."""
    p = -np.expm1(-epsilon)
    return random.geometric(p, shape) - random.geometric(p, shape)


def laplace_on_a_grid(epsilon: float, grid: float = 2.0**-10):
    """Laplace's mechanism on whole multiples of a grid: a discrete law, no floating point."""

    def mechanism(data, runs, seed):
        random = np.random.default_rng(seed)
        true = np.rint(np.asarray(data, float) / grid).astype(np.int64)
        return (true + geometric(epsilon * grid, (runs,), random)) * grid

    return mechanism


def geometric_mechanism(epsilon: float):
    def mechanism(data, runs, seed):
        data = np.asarray(data)
        return data + geometric(epsilon, (runs, *data.shape), np.random.default_rng(seed))

    return mechanism


def rounded_gaussian(sigma: float):
    """Gaussian noise rounded to hundredths: post-processing of the exact one."""

    def mechanism(data, runs, seed):
        random = np.random.default_rng(seed)
        return np.rint((data + random.normal(0.0, sigma, runs)) * 100) / 100

    return mechanism


def exponential_mechanism(epsilon: float):
    """The most frequent category; a person moves a count by 1 (McSherry & Talwar 2007)."""

    def mechanism(data, runs, seed):
        counts = np.asarray(data, float)
        weights = np.exp(epsilon * (counts - counts.max()) / 2)
        return np.random.default_rng(seed).choice(len(counts), runs, p=weights / weights.sum())

    return mechanism


def randomized_response(epsilon: float, values: int = 4):
    """k-ary randomized response (Kairouz, Oh & Viswanath 2014)."""

    def mechanism(data, runs, seed):
        random = np.random.default_rng(seed)
        keep = random.random(runs) < np.exp(epsilon) / (np.exp(epsilon) + values - 1)
        other = (data + random.integers(1, values, runs)) % values
        return np.where(keep, data, other)

    return mechanism


def noisy_histogram(epsilon: float, bins: int = 12):
    """Counts on public bins; one record more or less changes one of them by one."""

    def mechanism(data, runs, seed):
        counts = np.bincount(np.asarray(data), minlength=bins)
        return counts + geometric(epsilon, (runs, bins), np.random.default_rng(seed))

    return mechanism


AGES = np.array([3, 3, 4, 5, 5, 5, 6, 8, 9])
SIGMA_1 = 1 / 0.2680511232112946  # exactly (1, 1e-5): see gaussian_mu

#: name: (mechanism, epsilon, delta, neighbours)
CORRECT = {
    "Laplace": (laplace_on_a_grid(1.0), 1.0, 0.0, (0.0, 1.0)),
    "geometric": (geometric_mechanism(1.0), 1.0, 0.0, (10, 11)),
    "Gaussian": (rounded_gaussian(SIGMA_1), 1.0, 1e-5, (0.0, 1.0)),
    "exponential": (exponential_mechanism(1.0), 1.0, 0.0, ([1, 4], [0, 5])),
    "randomized response": (randomized_response(1.0), 1.0, 0.0, (0, 2)),
    "histogram": (noisy_histogram(1.0), 1.0, 0.0, (AGES, AGES[:-1])),
}
