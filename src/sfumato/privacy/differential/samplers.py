"""Exact integer samplers: arrays in, arrays out, no floating point between.

Every sampler gives exactly the distribution that it names, not one near it: all that is random are
uniform words, all that is decided is whether a uniform real number lies below a rational number or
below exp(-rational), and both are decided without rounding (:mod:`.sampling_kernels`,
:mod:`.exact_sampling`). So the proofs of differential privacy hold for what the machine does, and
no low bit of an answer tells of the data (Mironov 2012).

The time that a draw takes depends on what is drawn, never on what it is added to.

References
----------
C. Canonne, G. Kamath, T. Steinke, "The discrete Gaussian for differential privacy", NeurIPS 2020,
Algorithms 1 to 3. D. Lemire, "Fast random integer generation in an interval", ACM TOMACS 2019.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from sfumato.errors import PlanError
from sfumato.privacy.differential import exact_sampling as exact
from sfumato.privacy.differential.exact_sampling import WordTape
from sfumato.privacy.differential.random_words import RandomWords
from sfumato.privacy.differential.rationals import Number, exp_bounds, rational

__all__ = [
    "bernoulli",
    "bernoulli_exp",
    "discrete_gaussian",
    "discrete_laplace",
    "geometric",
    "permutation",
    "uniform_below",
]

Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

_LARGEST = 2**62
_LARGEST_T = 2**56
_SMALLEST_VARIANCE = Fraction(1, 256)
_WORDS_AT_ONCE = 2**20


def uniform_below(n: npt.ArrayLike, words: RandomWords, size: int | None = None) -> Integers:
    """Return uniform integers from 0 to n - 1.

    Parameters
    ----------
    n
        One integer, or one a cell; from 1 to 2**62.
    words
        Where the randomness comes from.
    size
        How many, if ``n`` is a single integer.

    Examples
    --------
    >>> int(uniform_below(6, RandomWords(), size=1000).max()) < 6
    True
    """
    from sfumato.privacy.differential.sampling_kernels import uniform_below as kernel

    limits = _integers(n, "n", size)
    _check(limits, 1, "n")
    return _filled(
        kernel,
        (limits,),
        len(limits),
        1.01,
        words,
        lambda tape, cell: exact.uniform_below(tape, int(limits[cell])),
    )


def bernoulli(
    numerator: npt.ArrayLike,
    denominator: npt.ArrayLike,
    words: RandomWords,
    size: int | None = None,
) -> Flags:
    """Return True with probability numerator / denominator in each cell.

    Parameters
    ----------
    numerator, denominator
        One integer or one a cell; the numerator from 0 to the denominator, that from 1 to 2**62.
    words
        Where the randomness comes from.
    size
        How many, if both are single integers.

    Notes
    -----
    A uniform integer below the denominator is below the numerator.
    """
    from sfumato.privacy.differential.sampling_kernels import bernoulli as kernel

    numerators, denominators = _pair(numerator, denominator, size)
    if bool((numerators > denominators).any()):
        raise PlanError("a probability is at most 1: the numerator exceeds the denominator")
    drawn = _filled(
        kernel,
        (numerators, denominators),
        len(numerators),
        1.01,
        words,
        lambda tape, cell: exact.uniform_below(tape, int(denominators[cell])) < numerators[cell],
    )
    return drawn.astype(np.bool_)


def bernoulli_exp(
    numerator: npt.ArrayLike,
    denominator: npt.ArrayLike,
    words: RandomWords,
    size: int | None = None,
) -> Flags:
    """Return True with probability exp(-numerator / denominator) in each cell.

    Parameters
    ----------
    numerator, denominator
        One integer or one a cell; the numerator from 0, the denominator from 1, both to 2**62.
    words
        Where the randomness comes from.
    size
        How many, if both are single integers.

    Notes
    -----
    The event is U < exp(-gamma) for a uniform real number U: its probability *is* exp(-gamma).
    U's first 53 binary digits decide it against a bound of exp(-gamma) from below and from above,
    in integers, but for 2**-41 of the draws; those are decided with as many further digits of U and
    of exp(-gamma) as it takes. (Canonne, Kamath & Steinke's Algorithm 1 decides the same event by
    von Neumann's series of rational comparisons.)
    """
    from sfumato.privacy.differential.sampling_kernels import bernoulli_exp as kernel

    numerators, denominators = _pair(numerator, denominator, size)
    drawn = _filled(
        kernel,
        (numerators, denominators, *_powers()),
        len(numerators),
        1.0,
        words,
        lambda tape, cell: exact.bernoulli_exp(
            tape, Fraction(int(numerators[cell]), int(denominators[cell]))
        ),
    )
    return drawn.astype(np.bool_)


def discrete_laplace(scale: Number, words: RandomWords, size: int) -> Integers:
    """Return integers x with probability proportional to exp(-abs(x) / scale).

    Parameters
    ----------
    scale
        A rational number t / s above 0.
    words
        Where the randomness comes from.
    size
        How many.

    Notes
    -----
    Canonne, Kamath & Steinke (2020), Algorithm 2. Let u be uniform below t, kept with probability
    exp(-u / t), and v be the number of k >= 1 with U < exp(-k), so that v has at least value k with
    probability exp(-k). Then x = u + t v has P(x) proportional to exp(-u / t) exp(-v) =
    exp(-x / t), and its quotient y = floor(x / s) to exp(-y s / t). A fair sign, with minus zero
    thrown away, gives every integer its probability.

    Examples
    --------
    >>> noise = discrete_laplace("21/2", RandomWords(), size=1000)
    >>> noise.dtype
    dtype('int64')
    """
    from sfumato.privacy.differential.sampling_kernels import discrete_laplace as kernel

    exact_scale = _positive(scale, "scale")
    _check_size(exact_scale, "scale")
    t, s = exact_scale.numerator, exact_scale.denominator

    def one(tape: WordTape, _cell: int) -> int:
        return exact.discrete_laplace(tape, exact_scale)

    if t >= _LARGEST_T or s >= _LARGEST:
        return _one_by_one(one, size, words)
    settings = (np.uint64(t), np.uint64(s), *_powers())
    return _filled(kernel, settings, size, 4.4, words, one)


def discrete_gaussian(sigma_squared: Number, words: RandomWords, size: int) -> Integers:
    """Return integers x with probability proportional to exp(-x**2 / (2 sigma_squared)).

    Parameters
    ----------
    sigma_squared
        A rational number above 0. (For sigma above 1 the variance is sigma_squared to 7 digits.)
    words
        Where the randomness comes from.
    size
        How many.

    Notes
    -----
    Canonne, Kamath & Steinke (2020), Algorithm 3. Let y be discrete Laplace of scale t =
    floor(sigma) + 1, kept with probability exp(-gamma), gamma = (abs(y) - sigma**2 / t)**2 /
    (2 sigma**2). Then P(y) is proportional to exp(-abs(y) / t - gamma) = exp(-y**2 /
    (2 sigma**2) - sigma**2 / (2 t**2)), whose last term is a constant. gamma is a rational number;
    the loop knows 42 of its binary digits and hands the cell on where they do not decide.

    Examples
    --------
    >>> noise = discrete_gaussian(5900, RandomWords(), size=1000)
    >>> noise.dtype
    dtype('int64')
    """
    from sfumato.privacy.differential.sampling_kernels import discrete_gaussian as kernel

    variance = _positive(sigma_squared, "sigma_squared")
    t = math.isqrt(math.floor(variance)) + 1
    _check_size(Fraction(t), "sigma")

    def one(tape: WordTape, _cell: int) -> int:
        return exact.discrete_gaussian(tape, variance)

    if variance < _SMALLEST_VARIANCE:
        return _one_by_one(one, size, words)
    shift = 57 - t.bit_length()
    inverse = math.isqrt((variance.denominator << 2 * (116 - shift)) // variance.numerator)
    centre = math.isqrt((variance.numerator << 104) // (variance.denominator * t * t))
    settings = tuple(np.uint64(number) for number in (t, shift, inverse, centre))
    return _filled(kernel, (*settings, *_powers()), size, 7.2, words, one)


def geometric(scale: Number, words: RandomWords, size: int) -> Integers:
    """Return integers x >= 0 with probability proportional to exp(-x / scale).

    Parameters
    ----------
    scale
        A rational number above 0.
    words
        Where the randomness comes from.
    size
        How many.

    Notes
    -----
    A discrete Laplace number that is at least 0.
    """
    kept = np.empty(0, np.int64)
    while len(kept) < size:
        drawn = discrete_laplace(scale, words, 2 * (size - len(kept)) + 8)
        kept = np.concatenate([kept, drawn[drawn >= 0]])
    return kept[:size]


def permutation(size: int, words: RandomWords) -> Integers:
    """Return the integers from 0 to size - 1 in uniformly random order.

    Notes
    -----
    The order of independent uniform words, drawn anew until all differ: by symmetry every order is
    as likely as any other.
    """
    while True:
        keys = words.draw(size)
        order = np.argsort(keys, kind="stable")
        ordered = keys[order]
        if not bool((ordered[1:] == ordered[:-1]).any()):
            return order.astype(np.int64)


@lru_cache(maxsize=1)
def _powers() -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
    """Return floor(2**63 exp(-g)), g = 0 ... 45, and floor(2**63 exp(-j / 256)), j = 0 ... 255."""

    def floors(exponents: list[Fraction]) -> npt.NDArray[np.uint64]:
        found = []
        for exponent in exponents:
            low, high = (math.floor(bound * 2**63) for bound in exp_bounds(-exponent, 60))
            # 60 digits decide the floor, but for exp(0) = 1, which is below its upper bound
            found.append(low if exponent else high)
        return np.array(found, np.uint64)

    whole = floors([Fraction(number) for number in range(46)])
    small = floors([Fraction(number, 256) for number in range(256)])
    return whole, small


def _filled(
    kernel: Callable[..., tuple[int, int, int]],
    settings: tuple[Any, ...],
    size: int,
    words_a_cell: float,
    source: RandomWords,
    decide: Callable[[WordTape, int], int],
) -> Integers:
    """Fill an array by a compiled loop, cells that it cannot decide by exact arithmetic."""
    from sfumato.privacy.differential.sampling_kernels import DONE, UNDECIDED

    out = np.empty(size, np.int64)
    words = np.empty(0, np.uint64)
    cell, place, state = 0, 0, DONE
    while cell < size:
        wanted = min(_WORDS_AT_ONCE, int((size - cell) * words_a_cell) + 64)
        words = np.concatenate([words[place:], source.draw(wanted)])
        cell, place, state = kernel(words, 0, out, cell, *settings)
        while state == UNDECIDED:
            tape = WordTape(words[place:], source)
            out[cell] = decide(tape, cell)
            words = tape.words
            cell, place, state = kernel(words, tape.place, out, cell + 1, *settings)
    return out


def _one_by_one(decide: Callable[[WordTape, int], int], size: int, words: RandomWords) -> Integers:
    """Fill an array in exact arithmetic alone, for settings beyond the compiled loop's."""
    tape = WordTape(words.draw(64), words)
    cells = np.empty(size, np.int64)
    for cell in range(size):
        cells[cell] = decide(tape, cell)
    return cells


def _positive(value: Number, name: str) -> Fraction:
    number = rational(value)
    if number <= 0:
        raise PlanError(f"{name} must be above 0, not {value}")
    return number


def _check_size(scale: Fraction, name: str) -> None:
    if scale >= _LARGEST_T:
        raise PlanError(f"{name} must be below 2**56: count in a coarser unit (a larger grid)")


def _integers(values: npt.ArrayLike, name: str, size: int | None) -> Integers:
    array = np.asarray(values)
    if array.dtype.kind not in "iu":
        raise PlanError(f"{name} must be integers, not {array.dtype}")
    if array.dtype == np.uint64 and bool((array > np.uint64(_LARGEST)).any()):
        raise PlanError(f"{name} must be at most 2**62")
    if array.ndim == 0 and size is not None:
        array = np.broadcast_to(array, (size,))
    if array.ndim != 1:
        raise PlanError(f"{name} must be a single integer with a size, or an array of one axis")
    return np.ascontiguousarray(array, np.int64)


def _pair(
    numerator: npt.ArrayLike, denominator: npt.ArrayLike, size: int | None
) -> tuple[Integers, Integers]:
    if size is None:
        shape = np.broadcast_shapes(np.shape(numerator), np.shape(denominator))
        size = shape[0] if len(shape) == 1 else None
    numerators = _integers(numerator, "the numerator", size)
    denominators = _integers(denominator, "the denominator", size)
    _check(numerators, 0, "the numerator")
    _check(denominators, 1, "the denominator")
    if len(numerators) != len(denominators):
        raise PlanError("numerators and denominators must be as many")
    return numerators, denominators


def _check(values: Integers, least: int, name: str) -> None:
    if len(values) and (int(values.min()) < least or int(values.max()) > _LARGEST):
        raise PlanError(f"{name} must be from {least} to 2**62")
