"""Random numbers that a published seed does not give away.

A plan carries its seed, and a plan is published beside the release. With an ordinary generator,
whoever has the seed can draw the same noise and subtract it. Here the stream of a column is a
function of the seed, of the column's name *and of the whole original table*, through SHA-256: the
same table with the same plan gives the same bytes, but whoever does not already hold the original
table cannot draw the noise. The words come from SHAKE-256, so that knowing some of the noise (of
one's own record, say) tells nothing about the rest, as it would with a generator made for
simulation, and no version of a library changes them.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from sfumato.errors import DataError

__all__ = ["RandomStream", "digest"]

_ROWS_AT_ONCE = 500_000
_BYTES_AT_ONCE = 1 << 26

Floats = npt.NDArray[np.float64]


def digest(table: pl.DataFrame) -> bytes:
    """Return the SHA-256 of a table's column names, types and cells.

    The order of the rows counts, that of the columns does not.

    Raises
    ------
    DataError
        If a column is nested (lists, structures) or holds bytes.
    """
    state = hashlib.sha256()
    table = table.select(sorted(table.columns))
    for name, dtype in table.schema.items():
        if dtype.is_nested() or dtype in (pl.Binary, pl.Object):
            raise DataError(f"column {name!r} holds {dtype}: only plain values can be anonymized")
        state.update(f"{len(name)}:{name}:{dtype}\n".encode())
    for part in table.iter_slices(_ROWS_AT_ONCE):
        text = part.write_csv(None, include_header=False, quote_style="non_numeric", null_value="")
        state.update(text.encode())
    return state.digest()


@dataclass(frozen=True)
class RandomStream:
    """An endless, reproducible stream of random words, named by what it is for.

    Parameters
    ----------
    key
        32 secret bytes; never shown.
    """

    key: bytes

    @classmethod
    def of(cls, seed: int, secret: bytes, *purpose: str) -> RandomStream:
        """Return the stream of a seed, a secret such as :func:`digest`, and a purpose.

        Different purposes (column, number of the rule) give independent streams.
        """
        state = hashlib.sha256(b"sfumato random stream 1")
        for part in (str(seed).encode(), secret, *(text.encode() for text in purpose)):
            state.update(len(part).to_bytes(8, "big") + part)
        return cls(state.digest())

    def __repr__(self) -> str:
        return "RandomStream(...)"

    def words(self, n: int, draw: str = "") -> npt.NDArray[np.uint64]:
        """Return ``n`` uniform words of 64 bits; the same again for the same ``draw``."""
        words = np.empty(n, dtype="<u8")
        size = _BYTES_AT_ONCE // 8
        for block, start in enumerate(range(0, n, size)):
            name = self.key + block.to_bytes(8, "big") + draw.encode()
            length = min(size, n - start)
            octets = hashlib.shake_256(name).digest(8 * length)
            words[start : start + length] = np.frombuffer(octets, dtype="<u8")
        return words.astype(np.uint64, copy=False)

    def uniforms(self, n: int, draw: str = "") -> Floats:
        """Return ``n`` numbers in the open interval (0, 1), 52 bits each.

        With one bit more the greatest would be rounded to 1, whose logarithm is infinite.
        """
        high = (self.words(n, draw) >> np.uint64(12)).astype(np.float64)
        return (high + 0.5) * 2.0**-52

    def gaussians(self, n: int) -> Floats:
        """Return ``n`` standard normal numbers (mean 0, standard deviation 1)."""
        from scipy.special import ndtri

        numbers: Floats = ndtri(self.uniforms(n))
        return numbers

    def laplacians(self, n: int) -> Floats:
        """Return ``n`` Laplace numbers of mean 0 and scale 1 (standard deviation sqrt 2)."""
        centred = self.uniforms(n) - 0.5
        numbers: Floats = -np.sign(centred) * np.log1p(-2.0 * np.abs(centred))
        return numbers
