"""Values that may stand for a missing one: words such as "Unknown", numbers such as 999.

They are pointed out and counted. None is ever turned into a missing value unasked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from sfumato.table.types import MISSING_WORDS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["PossibleMissing", "missing_codes", "missing_words"]

_CODES = (-9999, -999, -99, -9, -8, -7, -1, 99, 999, 9999, 99999)
# With fewer distinct numbers a lone 0 is a category, not a gap.
_MANY_NUMBERS = 30


@dataclass(frozen=True)
class PossibleMissing:
    """A value that may stand for "missing", the rows that hold it, and why it may."""

    value: str
    rows: int
    because: str


def missing_words(counted: pl.DataFrame) -> tuple[PossibleMissing, ...]:
    """Return those of distinct texts (``category``, with their ``rows``) that may mean missing.

    Examples
    --------
    >>> found = missing_words(pl.DataFrame({"category": ["yes", "?"], "rows": [8, 2]}))
    >>> [(word.value, word.rows) for word in found]
    [('?', 2)]
    """
    words = counted.filter(pl.col("category").str.strip_chars().is_in([*MISSING_WORDS, ""]))
    return tuple(
        PossibleMissing(text, count, "this text often means a missing value")
        for text, count in words.sort("category").iter_rows()
    )


def missing_codes(
    distinct: NDArray[np.float64], rows: NDArray[np.int64], quartiles: tuple[float, float]
) -> tuple[PossibleMissing, ...]:
    """Return numbers at the ends of a column that look like codes for a missing value.

    Parameters
    ----------
    distinct
        The distinct numbers, sorted.
    rows
        How many rows hold each.
    quartiles
        First and third quartile of the rows.
    """
    first, third = quartiles
    if distinct.size < 3:
        return ()
    found = []
    ends = ((0, distinct[0], distinct[1]), (distinct.size - 1, distinct[-1], distinct[-2]))
    for place, end, neighbour in ends:
        apart = abs(end - neighbour) > 1.5 * (third - first)
        if end in _CODES and apart and rows[place] > 1:
            because = "it lies far from all other values and is a customary code"
        elif end == 0 and distinct.size > _MANY_NUMBERS and neighbour > first / 4 > 0:
            because = "nothing lies between it and the usual values"
        else:
            continue
        found.append(PossibleMissing(f"{end:g}", int(rows[place]), because))
    return tuple(found)
