"""The order in which a nominal category is laid on one axis, so that the axis tells the most.

A normal variable has one axis, a state or a race has none. The values are scored so that the
column's correlations with all other columns, squared and summed, are as large as one axis allows:
the first principal component of the values' means over the other columns. Columns are scored in
turn until the scores rest (optimal scaling by alternating least squares).

References
----------
A. Gifi, "Nonlinear Multivariate Analysis" (1990), chapter 4.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

__all__ = ["category_scores"]

_ROUNDS = 12


def category_scores(
    nominal: Mapping[str, tuple[Integers, int]], numeric: Sequence[Floats]
) -> dict[str, Floats]:
    """Return a score for every value of every nominal column.

    Parameters
    ----------
    nominal
        For each column the value of each row, shape (n,), -1 where there is none, and the number
        of values.
    numeric
        Standardised columns, each of shape (n,), 0 where there is no value.

    Returns
    -------
    dict
        Scores of each column's values, shape (values,), mean 0 and variance 1 over the rows that
        have one. The sign is fixed so that the first value scores at least as low as the last.
    """
    from scipy.sparse import csr_matrix

    if not nominal:
        return {}
    names = list(nominal)
    sizes = [nominal[name][1] for name in names]
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    n = len(nominal[names[0]][0])
    codes = np.column_stack([nominal[name][0] for name in names])
    there = codes >= 0
    rows, columns = np.nonzero(there)
    indicators = csr_matrix(
        (np.ones(rows.size), (rows, (codes + offsets[:-1])[rows, columns])),
        shape=(n, int(offsets[-1])),
    )
    pairs = np.asarray((indicators.T @ indicators).todense(), dtype=np.float64)
    counts = np.maximum(np.diag(pairs), 1e-12)
    means = np.zeros((int(offsets[-1]), 0))
    if numeric:
        means = np.asarray(indicators.T @ np.column_stack(numeric)) / counts[:, None]

    blocks = [slice(offsets[i], offsets[i + 1]) for i in range(len(names))]
    scores = np.zeros(int(offsets[-1]))
    for block in blocks:
        others = np.delete(np.arange(offsets[-1]), np.arange(block.start, block.stop))
        # At first the other nominal columns stand for themselves, value by value.
        profile = pairs[block][:, others] / counts[block, None] / np.sqrt(counts[others] / n)
        scores[block] = _axis(np.hstack([means[block], profile]), counts[block])
    for _ in range(_ROUNDS):
        before = scores.copy()
        for i, block in enumerate(blocks):
            elsewhere = [other for other in blocks if other != block]
            profile = np.zeros((sizes[i], len(elsewhere)))
            for k, other in enumerate(elsewhere):
                profile[:, k] = pairs[block, other] @ scores[other] / counts[block]
            scores[block] = _axis(np.hstack([means[block], profile]), counts[block])
        if np.allclose(before, scores, atol=1e-6):
            break
    return {name: scores[block].copy() for name, block in zip(names, blocks, strict=True)}


def _axis(profile: Floats, counts: Floats) -> Floats:
    """Return the first principal component of the values' profiles, weighted by their counts."""
    share = counts / counts.sum()
    centred = profile - share @ profile
    weighted = np.sqrt(share)[:, None] * centred
    if weighted.shape[1] == 0 or not np.any(np.abs(weighted) > 1e-12):
        along = np.arange(counts.size, dtype=np.float64)  # nothing to go by: the order given
    else:
        along = _first_component(weighted) / np.sqrt(share)
    along = along - share @ along
    spread = float(np.sqrt(share @ along**2))
    along = along / spread if spread > 1e-12 else np.zeros_like(along)
    return np.asarray(along if along[0] <= along[-1] else -along)


def _first_component(profile: Floats) -> Floats:
    """Return the left singular vector of the largest singular value, shape (values,)."""
    values, columns = profile.shape
    if values <= columns:
        return np.asarray(np.linalg.eigh(profile @ profile.T)[1][:, -1])
    # The same vector by way of the columns: thousands of values rarely meet as many columns.
    along = profile @ np.linalg.eigh(profile.T @ profile)[1][:, -1]
    return np.asarray(along / np.linalg.norm(along))
