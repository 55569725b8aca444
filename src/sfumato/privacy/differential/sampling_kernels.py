"""Compiled loops of the exact samplers: integers of 64 bits, no floating point.

Each loop reads uniform words and writes one integer a cell. A uniform real number U in [0, 1) is
known by its first 64 binary digits, one word. Where these decide whether U is below a bound, the
loop decides; where they do not (some 2**-41 of all comparisons) it stops with :data:`UNDECIDED`
and gives the cell back with the place of its first word, so that it is decided from the *same*
words, and further digits, in exact arithmetic (:mod:`.exact_sampling`). With :data:`OUT_OF_WORDS`
it gives the cell back likewise, to be begun again with the same words and more behind them: to
begin it with fresh words would favour cells that need few.

All constants are unsigned: numba makes a float of an unsigned and a signed integer.
"""

# numba's decorator gives no types
# mypy: disallow-untyped-decorators=False

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = [
    "DONE",
    "OUT_OF_WORDS",
    "UNDECIDED",
    "bernoulli",
    "bernoulli_exp",
    "discrete_gaussian",
    "discrete_laplace",
    "uniform_below",
]

Array = npt.NDArray[Any]

DONE, OUT_OF_WORDS, UNDECIDED = 0, 1, 2

_ZERO, _ONE, _TWO = np.uint64(0), np.uint64(1), np.uint64(2)
_32, _LOW_32 = np.uint64(32), np.uint64(2**32 - 1)
_3, _6, _10, _11, _18, _45, _53 = (np.uint64(n) for n in (3, 6, 10, 11, 18, 45, 53))
_FRACTION = np.uint64(2**53 - 1)
_LOW_45 = np.uint64(2**45 - 1)
_UNIT = np.uint64(2**53)
_TOP = np.uint64(2**63)
_HALF, _SIXTH, _24TH, _120TH = (np.uint64(2**63 // n) for n in (2, 6, 24, 120))
_SAFE = np.uint64(2**58)
# How far off the 53 digits of exp(-gamma) may be: 400 by gamma (see discrete_gaussian), 64 by the
# series, 16 by rounding; the bound is far above their sum.
_ERROR = np.uint64(2048)


@njit(cache=True)
def _high(a: Any, b: Any) -> Any:
    """Return the upper 64 bits of a product of two words."""
    a_low, a_high = a & _LOW_32, a >> _32
    b_low, b_high = b & _LOW_32, b >> _32
    cross = a_high * b_low + ((a_low * b_low) >> _32)
    other = a_low * b_high + (cross & _LOW_32)
    return a_high * b_high + (cross >> _32) + (other >> _32)


@njit(cache=True)
def _below_exp(word: Any, gamma: Any, whole_powers: Array, small_powers: Array) -> int:
    """Return whether U is below exp(-gamma): 1 yes, 0 no, 2 undecided.

    Parameters
    ----------
    word
        The first 64 digits of U.
    gamma
        Times 2**53, at most 0.000,000,000,000,05 off.
    whole_powers, small_powers
        floor(2**63 exp(-g)) for g = 0 ... 45, and floor(2**63 exp(-j / 256)) for j = 0 ... 255.
    """
    whole = gamma >> _53
    bound = _ZERO
    if whole < _45:
        fraction = gamma & _FRACTION
        h = (fraction & _LOW_45) << _10  # the rest below 1/256, times 2**63
        # 1 - h + h^2/2 - h^3/6 + h^4/24 - h^5/120, from the inside; products of two numbers
        # times 2**63 come out times 2**62
        series = _24TH - (_high(h, _120TH) << _ONE)
        series = _SIXTH - (_high(h, series) << _ONE)
        series = _HALF - (_high(h, series) << _ONE)
        series = _TOP - (_high(h, series) << _ONE)
        series = _TOP - (_high(h, series) << _ONE)
        bound = _high(series, small_powers[fraction >> _45]) << _ONE
        bound = (_high(bound, whole_powers[whole]) << _ONE) >> _10
    known = word >> _11
    if known >= bound + _ERROR:
        return 0
    if known + _ONE + _ERROR <= bound:
        return 1
    return 2


@njit(cache=True)
def uniform_below(
    words: Array, place: int, out: Array, cell: int, limits: Array
) -> tuple[int, int, int]:
    """Write a uniform integer below ``limits[cell]`` into each cell (Lemire 2019).

    A word w is uniform on 2**64 values; w * n has upper half k for floor or ceiling of 2**64 / n of
    them. Those with a lower half under 2**64 mod n are thrown away, which leaves floor(2**64 / n)
    for each k.
    """
    n_words = len(words)
    while cell < len(out):
        begin = place
        limit = np.uint64(limits[cell])
        while True:
            if place >= n_words:
                return cell, begin, OUT_OF_WORDS
            word = words[place]
            place += 1
            low = word * limit
            if low >= limit or low >= (_ZERO - limit) % limit:
                break
        out[cell] = np.int64(_high(word, limit))
        cell += 1
    return cell, place, DONE


@njit(cache=True)
def bernoulli(
    words: Array, place: int, out: Array, cell: int, numerators: Array, denominators: Array
) -> tuple[int, int, int]:
    """Write 1 with probability numerator / denominator: a uniform integer below is below."""
    n_words = len(words)
    while cell < len(out):
        begin = place
        limit = np.uint64(denominators[cell])
        while True:
            if place >= n_words:
                return cell, begin, OUT_OF_WORDS
            word = words[place]
            place += 1
            low = word * limit
            if low >= limit or low >= (_ZERO - limit) % limit:
                break
        out[cell] = np.int64(_high(word, limit) < np.uint64(numerators[cell]))
        cell += 1
    return cell, place, DONE


@njit(cache=True)
def bernoulli_exp(
    words: Array,
    place: int,
    out: Array,
    cell: int,
    numerators: Array,
    denominators: Array,
    whole_powers: Array,
    small_powers: Array,
) -> tuple[int, int, int]:
    """Write 1 with probability exp(-numerator / denominator): U is below it.

    Numerators and denominators are below 2**62; the quotient's binary digits come one by one, as
    in division by hand, and are 53 exact digits.
    """
    n_words = len(words)
    while cell < len(out):
        if place >= n_words:
            return cell, place, OUT_OF_WORDS
        divisor = np.uint64(denominators[cell])
        whole = np.uint64(numerators[cell]) // divisor
        rest = np.uint64(numerators[cell]) % divisor
        gamma = _UNIT * _45
        if whole < _45:
            gamma = whole
            for _ in range(53):
                rest <<= _ONE
                gamma <<= _ONE
                if rest >= divisor:
                    rest -= divisor
                    gamma |= _ONE
        answer = _below_exp(words[place], gamma, whole_powers, small_powers)
        if answer == 2:
            return cell, place, UNDECIDED
        place += 1
        out[cell] = answer
        cell += 1
    return cell, place, DONE


@njit(cache=True)
def _laplace(
    words: Array,
    place: int,
    t: Any,
    s: Any,
    whole_powers: Array,
    small_powers: Array,
) -> tuple[Any, bool, int, int]:
    """Return the size and sign of a discrete Laplace number, the next place and the state.

    Algorithm 2 of Canonne, Kamath & Steinke (2020); see :func:`.samplers.discrete_laplace`.
    """
    n_words = len(words)
    while True:
        while True:
            if place + 2 > n_words:
                return _ZERO, False, place, OUT_OF_WORDS
            word = words[place]
            place += 1
            low = word * t
            if low >= t or low >= (_ZERO - t) % t:
                break
        u = _high(word, t)
        # word * t = 2**64 u + low, so 2**64 u / t = word - low / t; 53 digits of it:
        skipped = low // t
        if low % t != _ZERO:
            skipped += _ONE
        answer = _below_exp(words[place], (word - skipped) >> _11, whole_powers, small_powers)
        place += 1
        if answer == 2:
            return _ZERO, False, place, UNDECIDED
        if answer == 0:
            continue
        if place >= n_words:
            return _ZERO, False, place, OUT_OF_WORDS
        word = words[place]
        place += 1
        negative = (word & _ONE) == _ONE
        known = word >> _ONE  # 63 digits of a U: v is the number of k >= 1 with U < exp(-k)
        v = 0
        while v < 44 and known < whole_powers[v + 1]:
            v += 1
        if v == 44 or known == whole_powers[v + 1]:
            return _ZERO, False, place, UNDECIDED
        size = (u + t * np.uint64(v)) // s
        if negative and size == _ZERO:
            continue
        return size, negative, place, DONE


@njit(cache=True)
def discrete_laplace(
    words: Array,
    place: int,
    out: Array,
    cell: int,
    t: Any,
    s: Any,
    whole_powers: Array,
    small_powers: Array,
) -> tuple[int, int, int]:
    """Write discrete Laplace numbers of scale t / s; t below 2**56."""
    while cell < len(out):
        size, negative, after, state = _laplace(words, place, t, s, whole_powers, small_powers)
        if state != DONE:
            return cell, place, state
        place = after
        out[cell] = -np.int64(size) if negative else np.int64(size)
        cell += 1
    return cell, place, DONE


@njit(cache=True)
def discrete_gaussian(
    words: Array,
    place: int,
    out: Array,
    cell: int,
    t: Any,
    shift: Any,
    inverse: Any,
    centre: Any,
    whole_powers: Array,
    small_powers: Array,
) -> tuple[int, int, int]:
    """Write discrete Gaussian numbers.

    Algorithm 3 of Canonne, Kamath & Steinke (2020): a discrete Laplace number y of scale t is kept
    with probability exp(-gamma), gamma = (|y| / sigma - sigma / t)**2 / 2.

    Parameters
    ----------
    t, shift
        t = floor(sigma) + 1 below 2**56, and the shift that makes it at least 2**56, below 2**57.
    inverse, centre
        floor(2**(116 - shift) / sigma) and floor(2**52 sigma / t).

    Notes
    -----
    |y| / sigma and sigma / t come times 2**52, each at most 2 off, so that their difference z is
    at most 3 off and gamma = z**2 / 2 at most 3 z 2**-52 = 6 z 2**-53: at most 400 times 2**-53
    for z up to 64, beyond which exp(-gamma) is 0 in 53 digits.
    """
    n_words = len(words)
    while cell < len(out):
        after = place
        while True:
            size, negative, after, state = _laplace(
                words, after, t, _ONE, whole_powers, small_powers
            )
            if state == DONE and after >= n_words:
                state = OUT_OF_WORDS
            if state == DONE and size >> (np.uint64(64) - shift) != _ZERO:
                state = UNDECIDED
            if state != DONE:
                return cell, place, state
            ratio = _high(size << shift, inverse)
            z = ratio - centre if ratio > centre else centre - ratio
            gamma = _UNIT * _45
            if z < _SAFE:
                gamma = _high(z << _6, z << _6)
            answer = _below_exp(words[after], gamma, whole_powers, small_powers)
            after += 1
            if answer == 2:
                return cell, place, UNDECIDED
            if answer == 1:
                break
        place = after
        out[cell] = -np.int64(size) if negative else np.int64(size)
        cell += 1
    return cell, place, DONE
