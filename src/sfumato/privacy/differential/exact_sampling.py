"""The samplers in exact arithmetic, a cell at a time: for what 64 digits do not decide.

The same words give the same integers as the compiled loops; the tests hold the two against each
other. A uniform real number U is an interval that halves with each digit drawn, and is refined
until it lies on one side of the bound it is compared with.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from sfumato.privacy.differential.random_words import RandomWords
from sfumato.privacy.differential.rationals import exp_bounds

__all__ = [
    "Uniform",
    "WordTape",
    "bernoulli_exp",
    "discrete_gaussian",
    "discrete_laplace",
    "uniform_below",
]

_WORD = 64


class WordTape:
    """Words that are read one after the other, with more drawn behind them when they end."""

    def __init__(self, words: npt.NDArray[np.uint64], source: RandomWords) -> None:
        self.words = words
        self.source = source
        self.place = 0

    def read(self) -> int:
        """Return the next word."""
        if self.place >= len(self.words):
            self.words = np.concatenate([self.words, self.source.draw(64)])
        word = int(self.words[self.place])
        self.place += 1
        return word


class Uniform:
    """A uniform real number in [0, 1), known to lie in [known, known + 1) / 2**digits."""

    def __init__(self, known: int, digits: int, source: RandomWords) -> None:
        self.known = known
        self.digits = digits
        self.source = source

    def below_exp(self, gamma: Fraction) -> bool:
        """Return whether the number is below exp(-gamma); gamma is 0 or more.

        It ends with probability 1: exp(-gamma) is no binary fraction unless gamma is 0, and each
        word drawn leaves a share of 2**-64 undecided.
        """
        if gamma == 0:
            return True
        while True:
            # one decimal digit is 3.32 binary ones; exp(-gamma) begins after gamma / ln 2 zeros
            low, high = exp_bounds(-gamma, self.digits // 3 + 10)
            scale = 1 << self.digits
            if self.known + 1 <= low * scale:
                return True
            if self.known >= high * scale:
                return False
            self.known = (self.known << _WORD) | int(self.source.draw(1)[0])
            self.digits += _WORD


def uniform_below(tape: WordTape, n: int) -> int:
    """Return a uniform integer from 0 to n - 1, for n of at most 63 binary digits or beyond."""
    if n < 1 << 63:
        while True:
            product = tape.read() * n
            if product % (1 << _WORD) >= (1 << _WORD) % n:
                return product >> _WORD
    length = -(-n.bit_length() // _WORD)
    while True:
        number = 0
        for _ in range(length):
            number = (number << _WORD) | tape.read()
        number >>= length * _WORD - n.bit_length()
        if number < n:
            return number


def bernoulli_exp(tape: WordTape, gamma: Fraction) -> bool:
    """Return True with probability exp(-gamma)."""
    return Uniform(tape.read(), _WORD, tape.source).below_exp(gamma)


def discrete_laplace(tape: WordTape, scale: Fraction) -> int:
    """Return a discrete Laplace number (Canonne, Kamath & Steinke 2020, Algorithm 2)."""
    t, s = scale.numerator, scale.denominator
    while True:
        u = uniform_below(tape, t)
        if not bernoulli_exp(tape, Fraction(u, t)):
            continue
        word = tape.read()
        number = Uniform(word >> 1, _WORD - 1, tape.source)
        v = 0
        while number.below_exp(Fraction(v + 1)):
            v += 1
        size = (u + t * v) // s
        negative = bool(word & 1)
        if not (negative and size == 0):
            return -size if negative else size


def discrete_gaussian(tape: WordTape, sigma_squared: Fraction) -> int:
    """Return a discrete Gaussian number (Canonne, Kamath & Steinke 2020, Algorithm 3)."""
    t = math.isqrt(math.floor(sigma_squared)) + 1
    while True:
        y = discrete_laplace(tape, Fraction(t))
        gamma = (abs(y) - sigma_squared / t) ** 2 / (2 * sigma_squared)
        if bernoulli_exp(tape, gamma):
            return y
