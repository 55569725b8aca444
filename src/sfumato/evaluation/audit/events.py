"""Events that tell two tables apart, learned on some runs and left to be counted on others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sfumato.evaluation.audit.floating_point import attainable, lowest_bits
from sfumato.evaluation.audit.outputs import View, codes_of_rows

__all__ = ["Counted", "Score", "counted", "scores_of"]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

_MOST_FEATURES = 64
_MOST_BINS = 64
_THRESHOLDS = 256
_SHRINK = 0.01


@dataclass(frozen=True, eq=False)
class Score:
    """A number for each run, higher for one that speaks for the first table.

    Parameters
    ----------
    name
        How it was made, in words.
    values
        Shape (runs,).
    """

    name: str
    values: Floats


@dataclass(frozen=True)
class Counted:
    """The event that a score is at least a threshold.

    Parameters
    ----------
    name
        How the score was made.
    promise
        The bound that it gave on the runs it was learned on, as an estimate of its worth.
    hits, other_hits
        In how many of the runs that had no part in its choice it happened, on either table.
    """

    name: str
    promise: float
    hits: int
    other_hits: int


def scores_of(
    view: View, first: Flags, learning: Flags, answers: tuple[Floats, Floats] | None = None
) -> Iterator[Score]:
    """Yield the scores of one view; only runs of the learning half say how they are made.

    Parameters
    ----------
    view
        Of all runs on both tables, shape (N, ...).
    first
        Which runs were on the first table, shape (N,).
    learning
        Which runs may be learned from, shape (N,).
    answers
        The noiseless answers to both tables, shape (k,) each, or None.
    """
    if view.codes is not None:
        yield Score(f"which {view.name}", _ratio_of_codes(view.codes, first, learning))
    if view.numbers is None:
        return
    numbers = np.nan_to_num(view.numbers, nan=-1e300, posinf=1e300, neginf=-1e300)
    whole = bool((numbers == np.rint(numbers)).all())
    if numbers.shape[1] == 1:
        yield Score(f"threshold on {view.name}", numbers[:, 0])
    codes = codes_of_rows(numbers)
    if 4 * (int(codes.max()) + 1) <= len(codes):
        yield Score(f"which {view.name}", _ratio_of_codes(codes, first, learning))
    if answers is not None:
        yield Score(
            f"numbers that noise cannot reach, {view.name}", _unreachable(numbers, *answers)
        )
    if not whole:
        bits = lowest_bits(numbers).astype(np.float64)
        yield Score(f"last bits of {view.name}", _likelihood_ratio(bits, first, learning))
    kept = numbers[:, _most_telling(numbers, first, learning)]
    yield Score(f"likelihood ratio of {view.name}", _likelihood_ratio(kept, first, learning))
    if kept.shape[1] > 1:
        yield Score(f"linear combination of {view.name}", _linear(kept, first, learning))


def counted(
    score: Score, first: Flags, learning: Flags, delta: float, z: float, *, gaussian: bool = False
) -> Counted:
    """Return the event of a score whose threshold is the best on the learning half.

    Parameters
    ----------
    score, first, learning
        As in :func:`scores_of`.
    delta
        Of the claim.
    z
        Normal quantile of the confidence with which each share is bounded in the choice.
    gaussian
        Whether mu is to be bounded, rather than epsilon.
    """
    values = score.values
    known, other = np.sort(values[learning & first]), np.sort(values[learning & ~first])
    pooled = np.sort(np.concatenate([known, other]))
    # as many thresholds in the tails as in the middle: rare events may tell most
    depth = np.unique(np.geomspace(1, len(pooled), _THRESHOLDS // 2).astype(np.int64)) - 1
    candidates = np.unique(pooled[np.concatenate([depth, len(pooled) - 1 - depth])])
    hits = len(known) - np.searchsorted(known, candidates)
    other_hits = len(other) - np.searchsorted(other, candidates)
    counts = (hits, len(known), other_hits, len(other))
    swapped = (other_hits, len(other), hits, len(known))
    if gaussian:
        bounds = np.maximum(_estimate_of_mu(*counts, z), _estimate_of_mu(*swapped, z))
    else:
        bounds = np.maximum(_estimate(*counts, delta, z), _estimate(*swapped, delta, z))
    best = int(bounds.argmax())
    happens = values >= candidates[best]
    return Counted(
        score.name,
        float(bounds[best]),
        int((happens & first & ~learning).sum()),
        int((happens & ~first & ~learning).sum()),
    )


def _estimate(
    hits: Integers, runs: int, other_hits: Integers, other_runs: int, delta: float, z: float
) -> Floats:
    """Return Wilson's approximation of the bound of an event and of its opposite, shape (t,)."""
    low, _ = _wilson(hits / runs, runs, z)
    _, other_high = _wilson(other_hits / other_runs, other_runs, z)
    with np.errstate(divide="ignore", invalid="ignore"):
        event = np.log(np.maximum(low - delta, 0) / other_high)
        opposite = np.log(np.maximum(1 - other_high - delta, 0) / (1 - low))
    return np.nan_to_num(np.maximum(event, opposite), nan=-np.inf)


def _estimate_of_mu(
    hits: Integers, runs: int, other_hits: Integers, other_runs: int, z: float
) -> Floats:
    from scipy.special import ndtri

    low, _ = _wilson(hits / runs, runs, z)
    _, other_high = _wilson(other_hits / other_runs, other_runs, z)
    bounds = ndtri(np.clip(low, 0, 1)) - ndtri(np.clip(other_high, 0, 1))
    return np.asarray(np.nan_to_num(bounds, nan=-np.inf))


def _wilson(share: Floats, runs: int, z: float) -> tuple[Floats, Floats]:
    square = z * z / runs
    middle = (share + square / 2) / (1 + square)
    reach = np.sqrt(square * share * (1 - share) + square * square / 4) / (1 + square)
    return middle - reach, middle + reach


def _ratio_of_codes(codes: Integers, first: Flags, learning: Flags) -> Floats:
    size = int(codes.max()) + 1
    own = np.bincount(codes[learning & first], minlength=size) + 0.5
    other = np.bincount(codes[learning & ~first], minlength=size) + 0.5
    return np.asarray(np.log(own / other)[codes])


def _likelihood_ratio(numbers: Floats, first: Flags, learning: Flags) -> Floats:
    """Return the sum over columns of the log ratio of histograms, columns taken as independent."""
    total = np.zeros(len(numbers))
    most = int(np.clip(np.sqrt(learning.sum()) / 2, 4, _MOST_BINS))
    for column in numbers.T:
        seen = column[learning]
        values = np.unique(seen)
        if len(values) > most:
            # the edges belong to learning runs; ends of atoms stay apart
            values = np.unique(np.quantile(seen, np.linspace(0, 1, most + 1), method="lower"))
        total += _ratio_of_codes(np.searchsorted(values, column, side="right"), first, learning)
    return total


def _linear(numbers: Floats, first: Flags, learning: Flags) -> Floats:
    """Return Fisher's linear discriminant."""
    spread = numbers[learning].std(axis=0)
    scaled = (numbers - numbers[learning].mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    scaled = np.clip(scaled, -1e6, 1e6)
    one, two = scaled[learning & first], scaled[learning & ~first]
    within = (np.cov(one.T) + np.cov(two.T)) / 2
    ridge = _SHRINK * max(float(np.trace(within)) / len(within), 1e-12)
    weights = np.linalg.solve(
        within + ridge * np.eye(len(within)), one.mean(axis=0) - two.mean(axis=0)
    )
    return np.asarray(scaled @ weights)


def _most_telling(numbers: Floats, first: Flags, learning: Flags) -> Integers:
    """Return the columns whose means, or spreads around the middle, differ most."""
    if numbers.shape[1] <= _MOST_FEATURES:
        return np.arange(numbers.shape[1])
    away = np.abs(numbers - np.median(numbers[learning], axis=0))
    worth = np.maximum(_t(numbers, first, learning), _t(away, first, learning))
    return np.sort(np.argsort(-worth, kind="stable")[:_MOST_FEATURES])


def _t(numbers: Floats, first: Flags, learning: Flags) -> Floats:
    one, two = numbers[learning & first], numbers[learning & ~first]
    spread = np.sqrt(one.var(axis=0) / len(one) + two.var(axis=0) / len(two))
    difference = np.abs(one.mean(axis=0) - two.mean(axis=0))
    return np.asarray(difference / np.maximum(spread, 1e-12 * (1 + difference)))


def _unreachable(numbers: Floats, answer: Floats, other: Floats) -> Floats:
    """Return how many numbers cannot come from the second answer, less those from the first."""
    not_second = (~attainable(numbers, other)).sum(axis=1)
    not_first = (~attainable(numbers, answer)).sum(axis=1)
    return np.asarray(not_second - not_first, np.float64)
