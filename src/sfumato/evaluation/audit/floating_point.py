"""What the last bits of a noisy number give away.

Noise that is drawn in floating point and added in floating point cannot reach every number: which
ones it reaches depends on the answer to which it is added. An output that no noise could have made
out of the other table's answer has probability 0 there, whatever epsilon is claimed.

References
----------
I. Mironov, "On significance of the least significant bits for differential privacy", CCS 2012,
sections 3 and 4.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from sfumato.errors import DataError
from sfumato.evaluation.audit.outputs import call, seeds_of

__all__ = ["attainable", "distinguishing_outputs", "lowest_bits"]

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

_ZERO = -1100  # below the lowest bit of every double
_DIGITS = 53


def attainable(outputs: npt.ArrayLike, answer: npt.ArrayLike) -> Flags:
    """Return for which outputs there is a double that, added to an answer, gives them.

    Parameters
    ----------
    outputs
        What a mechanism gave, any shape.
    answer
        The noiseless answer; broadcasts against the outputs.

    Notes
    -----
    Exact: the doubles that could do it lie around the difference, and the nearest one to it or one
    of its neighbours does if any does.

    Examples
    --------
    >>> attainable([0.1, 1.1], 1.0).tolist()
    [False, True]
    """
    wanted, start = np.broadcast_arrays(
        np.asarray(outputs, np.float64), np.asarray(answer, np.float64)
    )
    noise = wanted - start
    reached = (start + noise) == wanted
    for towards in (-np.inf, np.inf):
        reached = reached | ((start + np.nextafter(noise, towards)) == wanted)
    return np.asarray(reached)


def lowest_bits(numbers: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Return the exponent of the lowest bit that is set in each number, same shape.

    The number is a whole multiple of 2 to that power and of no higher one: 0 for 5, 1 for 6, -2 for
    0.75. It is -1100 for 0 and what is not finite.
    """
    values = np.asarray(numbers, np.float64)
    finite = np.isfinite(values) & (values != 0)
    mantissa, exponent = np.frexp(np.where(finite, np.abs(values), 1.0))
    whole = np.ldexp(mantissa, _DIGITS).astype(np.int64)
    lowest = np.frexp((whole & -whole).astype(np.float64))[1] - 1
    return np.where(finite, exponent - _DIGITS + lowest, _ZERO).astype(np.int64)


def distinguishing_outputs(
    mechanism: Callable[..., Any],
    pair: tuple[Any, Any],
    draws: int = 10_000,
    *,
    seed: int,
    answers: tuple[Any, Any] | None = None,
    batch: bool = False,
) -> tuple[float, float]:
    """Return how often an output could not have come from the other of two inputs.

    Parameters
    ----------
    mechanism
        Takes (input, seed) and returns a number or an array of numbers that is an answer with noise
        added; with ``batch``, takes (input, draws, seed) and returns all draws, shape (draws, ...).
    pair
        Two neighbouring inputs.
    draws
        Of either input, at least 1.
    seed
        From which each draw's seed is made.
    answers
        The noiseless answers to the two inputs; the inputs themselves if None.
    batch
        Whether the mechanism is vectorised over draws.

    Returns
    -------
    tuple of float
        Share of the draws on the first input that are impossible on the second, and of those on
        the second that are impossible on the first, 0 to 1. A mechanism that keeps (epsilon, delta)
        has at most delta of either; the shares are exact counts of these draws.

    Raises
    ------
    DataError
        If the outputs are not numbers.
    """
    first, second = pair if answers is None else answers
    shares = []
    for given, other, one_seed in zip(pair, (second, first), seeds_of(seed, 2), strict=True):
        outputs = np.asarray(call(mechanism, given, draws, one_seed, batch=batch))
        if outputs.dtype.kind not in "biuf":
            raise DataError("distinguishing_outputs needs a mechanism whose outputs are numbers")
        reached = attainable(outputs, other).reshape(draws, -1)
        shares.append(float((~reached).any(axis=1).mean()))
    return shares[0], shares[1]
