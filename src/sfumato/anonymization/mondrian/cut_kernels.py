"""Steps of the compiled loop of Mondrian: where a group is cut, and moving its tuples."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = ["clear", "halve", "longer", "most_gain", "near_median", "part_of", "sort_along"]

Array = npt.NDArray[Any]

_PLACE = 2**32 - 1  # the lower half of a key: the tuple; above it stands the code


@njit(cache=True, error_model="numpy")
def part_of(groups: Array, below: int, base: int, code: int, missing: int) -> int:
    """Return the part of a code when a group is cut into all its parts.

    Parameters
    ----------
    groups, below, base
        The group of each code one level below, where those of the axis begin, and the first of
        them in this group; ``below`` is -1 where missing cells are split from numbers.
    code, missing
        A code, and that of a missing cell.
    """
    if below >= 0:
        return int(groups[below + code] - base)
    return 1 if code == missing else 0


@njit(cache=True, error_model="numpy")
def longer(array: Array, length: int) -> Array:
    """Return the array, or a copy twice as long that holds ``length`` rows."""
    if length <= len(array):
        return array
    longer = np.empty((max(2 * len(array), length), array.shape[1]), array.dtype)
    for row in range(len(array)):
        for column in range(array.shape[1]):
            longer[row, column] = array[row, column]
    return longer


@njit(cache=True, error_model="numpy")
def clear(array: Array, length: int) -> None:
    """Set the first so many numbers to 0."""
    for i in range(length):
        array[i] = 0


@njit(cache=True, error_model="numpy")
def near_median(
    codes: Array,
    weights: Array,
    start: int,
    end: int,
    axis: int,
    low: int,
    high: int,
    size: int,
    k: int,
    buckets: Array,
) -> int:
    """Return the least code above the cut nearest to the median, or -1 if none leaves k.

    The code that holds the middle person is searched for by counting in ever finer buckets; the
    cut nearest to the median lies just below or just above it, and if neither leaves k people on
    both sides none does.
    """
    first, below, held = low, 0, 0
    limit = min(len(buckets), max(16, end - start))
    while True:
        shift = 0
        while (high - low) >> shift >= limit:
            shift += 1
        count = ((high - low) >> shift) + 1
        clear(buckets, count)
        for i in range(start, end):
            code = codes[i, axis]
            if low <= code <= high:
                buckets[(code - low) >> shift] += weights[i]
        place = 0
        while 2 * (below + buckets[place]) <= size:
            below += buckets[place]
            place += 1
        held = buckets[place]
        high = min(high, low + ((place + 1) << shift) - 1)
        low += place << shift
        if shift == 0:
            break
    above = below + held
    lower_fits = low > first and below >= k and size - below >= k
    upper_fits = above < size and above >= k and size - above >= k
    if lower_fits and (not upper_fits or size - 2 * below <= 2 * above - size):
        return low
    if not upper_fits:
        return -1
    following = 2**31 - 1
    for i in range(start, end):
        code = codes[i, axis]
        if low < code < following:
            following = code
    return following


@njit(cache=True, error_model="numpy")
def sort_along(codes: Array, start: int, end: int, axis: int, keys: Array) -> None:
    """Sort the tuples of a group by their code (a heap sort: no memory, and little to compile)."""
    count = end - start
    for i in range(count):
        keys[i] = (np.int64(codes[start + i, axis]) << 32) | (start + i)
    for step in range(count // 2 + count - 1):
        if step < count // 2:
            root, stop = count // 2 - 1 - step, count  # first a heap is made
        else:
            stop = count - 1 - (step - count // 2)  # then its greatest is put behind it
            keys[0], keys[stop] = keys[stop], keys[0]
            root = 0
        moved = keys[root]
        while 2 * root + 1 < stop:
            child = 2 * root + 1
            if child + 1 < stop and keys[child + 1] > keys[child]:
                child += 1
            if keys[child] <= moved:
                break
            keys[root] = keys[child]
            root = child
        keys[root] = moved


@njit(cache=True, error_model="numpy")
def most_gain(
    codes: Array,
    weights: Array,
    start: int,
    end: int,
    axis: int,
    low: int,
    high: int,
    size: int,
    k: int,
    values: Array,
    spread: float,
    counts: Array,
    keys: Array,
) -> tuple[int, float]:
    """Return the least code above the cut of numbers that gains most, or -1, and that gain."""
    best, gain = -1, -np.inf
    span = high - low + 1
    whole = size * (values[high] - values[low])
    if span <= 4 * (end - start) + 64:
        clear(counts, span)
        for i in range(start, end):
            counts[codes[i, axis] - low] += weights[i]
        below, last = 0, low
        for step in range(span):
            if counts[step] == 0:
                continue
            code = low + step
            if below >= k and size - below >= k:
                left = below * (values[last] - values[low])
                kept = left + (size - below) * (values[high] - values[code])
                found = (whole - kept) / spread
                if found > gain:
                    best, gain = code, found
            below += counts[step]
            last = code
        return best, gain
    sort_along(codes, start, end, axis, keys)
    below, last = 0, low
    for place in range(end - start):
        code = keys[place] >> 32
        if code != last and below >= k and size - below >= k:
            left = below * (values[last] - values[low])
            kept = left + (size - below) * (values[high] - values[code])
            found = (whole - kept) / spread
            if found > gain:
                best, gain = code, found
        below += weights[keys[place] & _PLACE]
        last = code
    return best, gain


@njit(cache=True, error_model="numpy")
def halve(
    codes: Array,
    weights: Array,
    start: int,
    end: int,
    axis: int,
    cut: int,
    counts: Array,
    pieces: Array,
    least: Array,
) -> None:
    """Move the tuples below a code before the others; count people and tuples of both parts."""
    counts[0], counts[1] = 0, 0
    least[0], least[1] = 2**31 - 1, cut
    low, high = start, end - 1
    while low <= high:
        code = codes[low, axis]
        if code < cut:
            counts[0] += weights[low]
            least[0] = min(least[0], code)
            low += 1
        else:
            counts[1] += weights[low]
            for other in range(codes.shape[1]):
                codes[low, other], codes[high, other] = codes[high, other], codes[low, other]
            weights[low], weights[high] = weights[high], weights[low]
            high -= 1
    pieces[0], pieces[1] = low - start, end - low
