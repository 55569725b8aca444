"""Noisy counts of all pairs of columns, and of all pairs within each value of the target.

All pairs are counted in one go, so that nothing is chosen by looking at the data and the whole is
one Gaussian mechanism. A pair's share of the budget grows with its number of cells to the power of
two thirds, which makes the sum of absolute errors of the cells of all pairs least; pairs with the
target count several times.
"""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from sfumato.progress import Progress, silent
from sfumato.synthesis.private.mixture_fitting import NoisyMarginals
from sfumato.synthesis.private.noisy_counting import NoisyCounting, tiered_shares

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Codes = NDArray[np.int16]

__all__ = ["PairBudget", "noisy_marginals"]

_POWER = 2 / 3


@dataclass(frozen=True)
class PairBudget:
    """What is spent on pairs.

    Parameters
    ----------
    pairs
        Share of the whole budget for pairs of columns.
    within
        Share for pairs of columns within each value of the target.
    target
        Place of the target, or None; then nothing is counted within.
    emphasis
        How many times a pair with the target counts.
    """

    pairs: Fraction
    within: Fraction
    target: int | None
    emphasis: float


def noisy_marginals(
    codes: Sequence[Codes],
    sizes: Sequence[int],
    singles: Sequence[tuple[Floats, Floats]],
    rows: float,
    counting: NoisyCounting,
    budget: PairBudget,
    progress: Progress = silent,
) -> NoisyMarginals:
    """Return all noisy marginals as shares of the rows.

    Parameters
    ----------
    codes
        The cell of each row in each column, shape (n,) each; ``sizes[j]`` where it is not learned.
    sizes
        Number of cells of each column.
    singles
        Noisy count of each column's cells, and its variance.
    rows
        Noisy number of rows.
    counting
        Counts with noise and pays for it.
    budget
        What is spent.
    progress
        Told how far the work is.
    """
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    width, target = int(offsets[-1]), budget.target
    pairs = list(itertools.combinations(range(len(sizes)), 2))
    inner = [pair for pair in pairs if target is not None and target not in pair]
    within_share = budget.within if inner else Fraction(0)
    pairs_share = budget.pairs + budget.within - within_share
    shares = _shares(pairs, sizes, pairs_share, budget)
    within_shares = _shares(inner, sizes, within_share, budget)
    _pay(shares, counting, "pairs of columns")
    _pay(within_shares, counting, "pairs of columns within each value of the target")

    levels = sizes[target] if target is not None and within_shares else 1
    extra = levels + 1 if within_shares else 1
    group = codes[target] if target is not None and within_shares else None
    found, weights = np.zeros((2, width, width), dtype=np.float32)
    within = np.zeros((levels, width, width), dtype=np.float32)
    within_weights = np.zeros((width, width), dtype=np.float32)
    for done, (i, j) in enumerate(pairs):
        if done % 10 == 0:
            progress("counting pairs of columns", done, len(pairs))
        shape = (sizes[i] + 1, sizes[j] + 1)
        key = codes[i].astype(np.int64) * shape[1] + codes[j]
        if group is not None:
            key = key * extra + group
        counts = np.bincount(key, minlength=shape[0] * shape[1] * extra)
        counts = counts.reshape(*shape, extra)[:-1, :-1]
        rows_at, columns_at = slice(*offsets[i : i + 2]), slice(*offsets[j : j + 2])
        noisy, sigma = counting.noised(counts.sum(axis=2), shares[i, j])
        _put(found, rows_at, columns_at, noisy / rows)
        _put(weights, rows_at, columns_at, np.full(noisy.shape, (rows / sigma) ** 2 / 2))
        if (i, j) in within_shares:
            noisy, sigma = counting.noised(counts[:, :, :levels], within_shares[i, j])
            for level in range(levels):
                _put(within[level], rows_at, columns_at, noisy[:, :, level] / rows)
            _put(
                within_weights, rows_at, columns_at, np.full(shape, (rows / sigma) ** 2 / 2)[1:, 1:]
            )
    progress("counting pairs of columns", len(pairs), len(pairs))
    shares_of = [np.maximum(counts, 1e-9) for counts, _ in singles]
    return NoisyMarginals(
        sizes=tuple(sizes),
        singles=np.concatenate([one / one.sum() for one in shares_of]),
        single_weights=np.concatenate([rows**2 / variance for _, variance in singles]),
        pairs=found,
        pair_weights=weights,
        within=within if within_shares else None,
        within_weights=within_weights if within_shares else None,
        target=target if within_shares else None,
    )


def _shares(
    pairs: Sequence[tuple[int, int]], sizes: Sequence[int], total: Fraction, budget: PairBudget
) -> dict[tuple[int, int], Fraction]:
    if not pairs or total == 0:
        return {}
    worth = [
        (sizes[i] * sizes[j]) ** _POWER * (budget.emphasis if budget.target in (i, j) else 1.0)
        for i, j in pairs
    ]
    return dict(zip(pairs, tiered_shares(worth, total), strict=True))


def _pay(shares: dict[tuple[int, int], Fraction], counting: NoisyCounting, label: str) -> None:
    for share, times in sorted(Counter(shares.values()).items(), reverse=True):
        counting.pay(share, label, times)


def _put(matrix: NDArray[np.float32], rows: slice, columns: slice, values: Floats) -> None:
    matrix[rows, columns] = values
    matrix[columns, rows] = values.T
