"""Where noise comes from: uniform words of 64 bits from the operating system's generator."""

from __future__ import annotations

import os
from typing import NoReturn

import numpy as np
import numpy.typing as npt

from sfumato.errors import PlanError

__all__ = ["RandomWords"]

Words = npt.NDArray[np.uint64]

_BYTES_AT_ONCE = 2**24


class RandomWords:
    """An endless stream of independent uniform words of 64 bits.

    Without a seed the words come from OpenSSL's generator (AES-256 in counter mode, NIST
    SP 800-90A), which is keyed and rekeyed by the operating system; where Python was built without
    OpenSSL, from the operating system itself. Nobody can foretell or repeat them, which every
    promise of differential privacy assumes.

    Parameters
    ----------
    insecure_seed
        For tests only: the same seed gives the same words. Whoever knows or guesses the seed can
        subtract the noise, so what is drawn from such a stream is **not private**, and
        :attr:`secure` says so to every ledger that it meets.

    Raises
    ------
    PlanError
        If the seed is negative or no integer.

    Examples
    --------
    >>> RandomWords().secure, RandomWords(insecure_seed=7).secure
    (True, False)
    >>> words = RandomWords(insecure_seed=7).draw(1000)
    >>> words.dtype, len(words)
    (dtype('uint64'), 1000)
    """

    __slots__ = ("_generator", "_insecure_seed")

    def __init__(self, insecure_seed: int | None = None) -> None:
        if insecure_seed is not None and (
            isinstance(insecure_seed, bool) or not isinstance(insecure_seed, int)
        ):
            raise PlanError("insecure_seed must be an integer, or None for private noise")
        if insecure_seed is not None and insecure_seed < 0:
            raise PlanError(f"insecure_seed must be 0 or more, not {insecure_seed}")
        self._insecure_seed = insecure_seed
        self._generator = None if insecure_seed is None else np.random.PCG64(insecure_seed)

    @property
    def secure(self) -> bool:
        """Whether the noise is private: no seed was given."""
        return self._generator is None

    def describe(self) -> str:
        """Return in words where the noise comes from."""
        if self.secure:
            return "The noise comes from the operating system's generator and cannot be repeated."
        return "NOT PRIVATE: the noise was drawn from a seed and can be subtracted."

    def draw(self, n: int) -> Words:
        """Return ``n`` uniform words, never given before."""
        if self._generator is not None:
            return self._generator.random_raw(n).astype(np.uint64, copy=False)
        octets = bytearray()
        while len(octets) < 8 * n:
            octets += _octets(min(_BYTES_AT_ONCE, 8 * n - len(octets)))
        return np.frombuffer(octets, dtype=np.uint64)

    def __repr__(self) -> str:
        return "RandomWords()" if self.secure else "RandomWords(insecure_seed=...)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a stream of noise is neither stored nor copied: the copy would repeat it")


def _octets(n: int) -> bytes:
    try:
        from ssl import RAND_bytes
    except ImportError:  # Python can be built without OpenSSL
        return os.urandom(n)
    return RAND_bytes(n)
