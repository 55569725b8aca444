"""Uniform permutations from a stream.

Each place draws a word of 64 bits and the places are sorted by their words. If two words are equal,
all are drawn again; given that they are distinct, every order of them is equally likely, so the
permutation of ideal words is **exactly** uniform, and a real one is as far from it as the stream is
from uniform (see :mod:`sfumato.donation.sharing.streams`): at most n^2 / 2^131 for n places, 2^-91
for a million. A draw is repeated with probability under n^2 / 2^65, 2^-25 for a million. The order
of distinct words does not depend on the sorting algorithm, so both servers find the same.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sfumato.donation.sharing.streams import KeyStream

__all__ = ["draw_permutation"]


def draw_permutation(stream: KeyStream, count: int) -> npt.NDArray[np.intp]:
    """Return a uniform permutation of ``0 .. count - 1``.

    Parameters
    ----------
    stream
        Secret stream; every holder of its key who draws alike gets the same permutation.
    count
        Number of places.
    """
    while True:
        words = stream.draw(count, np.uint64, "permutation")
        order = _order(words)
        ranked = words[order]
        if not np.any(ranked[1:] == ranked[:-1]):
            return order


def _order(words: npt.NDArray[np.uint64]) -> npt.NDArray[np.intp]:
    """Return what ``np.argsort`` does: from one sort of words whose last bits are their places."""
    places = np.uint64((1 << max(1, len(words) - 1).bit_length()) - 1)
    marked = np.sort((words & ~places) | np.arange(len(words), dtype=np.uint64))
    if np.any((marked[1:] & ~places) == (marked[:-1] & ~places)):
        return np.argsort(words)
    return (marked & places).astype(np.intp)
