"""Compiled loops over trees: whole domains of point functions, in pieces that stay in cache.

Addresses are unsigned: numba makes a float of an unsigned and a signed integer. Buffers of labels
have :data:`SPARE` labels more than are used, as a step writes whole groups; tables of rows have a
multiple of eight rows, which :mod:`.compiled_evaluation` sees to.
"""

# numba's decorator gives no types
# mypy: disallow-untyped-decorators=False

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from sfumato.donation.functions.aes_kernels import (
    GROUP,
    ROUNDS,
    ROW_BYTES,
    SLOT,
    add_counts,
    add_row_column,
    add_tags,
    extend,
    prepare,
    write_short_rows,
)

__all__ = [
    "SLOT",
    "SPARE",
    "count_subtrees",
    "expand_keys",
    "expand_tops",
    "record_subtrees",
    "row_subtrees",
]

Array = npt.NDArray[Any]
Width = tuple[int, ...]

SPARE = 4 * GROUP
_TOGETHER = 8
_PIECE_BYTES = 1 << 14
_PIECE_COUNTS = 1 << 8
_BLOCK = np.uintp(16)
_HALF_TAG = np.uintp(16)


@njit(cache=True)
def expand_keys(keys: Array, table: Array, schedules: Array) -> None:
    """Write AES-128's round keys (FIPS 197, 5.2), four times in a row for vectors of four blocks.

    Keys are bytes of shape (n, 16). They are public, so looking them up in AES's table of bytes
    tells nobody anything. `schedules` has shape (n, 11, SLOT).
    """
    words = np.empty((4 * (ROUNDS + 1), 4), np.uint8)
    for key in range(len(keys)):
        for index in range(4):
            for byte in range(4):
                words[index, byte] = keys[key, 4 * index + byte]
        constant = 1
        for index in range(4, len(words)):
            for byte in range(4):
                if index % 4 == 0:
                    turned = table[words[index - 1, (byte + 1) % 4]]
                    if byte == 0:
                        turned ^= np.uint8(constant)
                else:
                    turned = words[index - 1, byte]
                words[index, byte] = words[index - 4, byte] ^ turned
            if index % 4 == 0:
                constant = (constant << 1) ^ (0x11B if constant & 0x80 else 0)
        for index in range(len(words)):
            for byte in range(4):
                for start in range(0, SLOT, 16):
                    at = start + 4 * (index % 4) + byte
                    schedules[key, index // 4, at] = words[index, byte]


@njit(cache=True)
def _descend(labels: Array, levels: Array, schedule: Array, width: Width) -> int:
    """Go down from one label, in place; return the number of labels."""
    base = np.uintp(labels.ctypes.data)
    count = 1
    for level in range(len(levels)):
        correction = np.uintp(levels[level].ctypes.data)
        for start in range(0, count, GROUP * len(width)):
            at = base + _BLOCK * np.uintp(start)
            right = at + _BLOCK * np.uintp(count)
            extend(at, at, right, np.uintp(schedule.ctypes.data), correction, width)
        count *= 2
    return count


@njit(cache=True)
def expand_tops(
    roots: Array, levels: Array, schedules: Array, top: int, tops: Array, width: Width
) -> None:
    """Expand each key's root (keys, 2) to the roots of its subtrees (keys, 2**top + SPARE, 2)."""
    for key in range(len(roots)):
        tops[key, 0] = roots[key]
        _descend(tops[key], levels[key, :top], schedules[key, 0], width)


@njit(cache=True)
def row_subtrees(
    tops: Array,
    levels: Array,
    schedules: Array,
    rows: Array,
    negative: int,
    table: Array,
    width: Width,
) -> None:
    """Write the short rows of one key, which is not verified, to a table.

    Parameters are those of :func:`record_subtrees`, for one key; `negative` is all ones if numbers
    are to be negated, else zero. The table has at least :data:`GROUP` rows.
    """
    labels = np.empty((2 ** len(levels) + SPARE, 2), np.uint64)
    schedule = np.uintp(schedules[1].ctypes.data)
    correction = np.uintp(rows.ctypes.data)
    at_once = GROUP * 16 * len(width) // ROW_BYTES
    for subtree in range(len(tops) - SPARE):
        labels[0] = tops[subtree]
        count = _descend(labels, levels, schedules[0], width)
        for start in range(0, count, at_once):
            row = np.uintp(subtree * count + start)
            write_short_rows(
                np.uintp(labels.ctypes.data) + _BLOCK * np.uintp(start),
                schedule,
                correction,
                np.uintp(negative),
                np.uintp(table.ctypes.data) + np.uintp(ROW_BYTES) * row,
                table,
                width,
            )


@njit(cache=True)
def record_subtrees(
    tops: Array,
    levels: Array,
    schedules: Array,
    checks: Array,
    rows: Array,
    words: Array,
    table: Array,
    sums: Array,
    totals: Array,
    passes: Width,
    width: Width,
) -> None:
    """XOR the rows of keys into a table, subtree by subtree, so that its rows stay in cache.

    Parameters
    ----------
    tops
        Roots of all subtrees, (keys, subtrees + SPARE, 2); as many are gone down as the table has.
    levels
        Corrections below them, (keys, height, 2).
    schedules
        Round keys, bytes (keys, 4, 11, SLOT).
    checks, rows
        Corrections of tags (keys, 4) and of rows (keys, row_bytes).
    words
        Key of the compression.
    table
        Bytes (rows, row_bytes), changed in place.
    sums, totals
        Compressed tags (keys, passes, 8) and XORs of all rows (keys, row_bytes), added to.
    passes, width
        Tuples whose lengths say how many passes, and blocks of a vector.
    """
    height = levels.shape[1]
    labels = np.empty((_TOGETHER, 2**height + SPARE, 2), np.uint64)
    room = np.empty((GROUP, 3, SLOT), np.uint8)
    prepared = np.uintp(room.ctypes.data)
    stride = np.uintp(table.shape[1])
    step = np.uintp(16 * len(width))
    vectors = table.shape[1] // (16 * len(width))
    half_words = np.uintp(4 * (len(words) - 32))
    count = 2**height
    piece = GROUP * max(1, _PIECE_BYTES // (GROUP * table.shape[1]))
    for subtree in range(min(tops.shape[1] - SPARE, len(table) // count)):
        for first_key in range(0, len(tops), _TOGETHER):
            together = min(_TOGETHER, len(tops) - first_key)
            for place in range(together):
                key = first_key + place
                labels[place, 0] = tops[key, subtree]
                _descend(labels[place], levels[key], schedules[key, 0], width)
            for turn in range(together * -(-count // piece)):
                # All keys for some rows, then the next rows.
                place, begin = turn % together, piece * (turn // together)
                key = first_key + place
                schedule = np.uintp(schedules[key, 1].ctypes.data)
                first = np.uintp(schedules[key, 2].ctypes.data)
                second = np.uintp(schedules[key, 3].ctypes.data)
                check = np.uintp(checks[key].ctypes.data)
                compressed = np.uintp(sums[key].ctypes.data)
                correction = np.uintp(rows[key].ctypes.data)
                total = np.uintp(totals[key].ctypes.data)
                for start in range(begin, min(begin + piece, count), GROUP):
                    row = np.uintp(subtree * count + start)
                    at = np.uintp(labels[place].ctypes.data) + _BLOCK * np.uintp(start)
                    target = np.uintp(table.ctypes.data) + stride * row
                    word = np.uintp(words.ctypes.data) + _HALF_TAG * row
                    other = word + half_words
                    add_tags(at, first, second, check, word, other, compressed, passes, width)
                    prepare(at, schedule, prepared, width)
                    for vector in range(vectors):
                        offset = step * np.uintp(vector)
                        add_row_column(
                            prepared,
                            schedule,
                            np.uintp(vector * len(width)),
                            correction + offset,
                            target + offset,
                            stride,
                            total + offset,
                            width,
                        )


@njit(cache=True)
def count_subtrees(
    tops: Array,
    levels: Array,
    schedules: Array,
    checks: Array,
    numbers: Array,
    negatives: Array,
    remove: int,
    words: Array,
    table: Array,
    sums: Array,
    totals: Array,
    marks: Array,
    marked: Array,
    passes: Width,
    width: Width,
) -> None:
    """Add the numbers of keys to a table (rows,) of 32 bits, or take them off it.

    Parameters are those of :func:`record_subtrees`, but for `numbers`, the corrections twice in a
    word (keys,); `negatives` (keys,) and `remove`, all ones or zero; `totals` and `marked`, (keys,
    8) of 32 bits, of which the latter take up the `marks` (rows,) of odd numbers.
    """
    height = levels.shape[1]
    labels = np.empty((_TOGETHER, 2**height + SPARE, 2), np.uint64)
    half_words = np.uintp(4 * (len(words) - 32))
    count = 2**height
    piece = min(count, _PIECE_COUNTS)
    for subtree in range(min(tops.shape[1] - SPARE, len(table) // count)):
        for first_key in range(0, len(tops), _TOGETHER):
            together = min(_TOGETHER, len(tops) - first_key)
            for place in range(together):
                key = first_key + place
                labels[place, 0] = tops[key, subtree]
                _descend(labels[place], levels[key], schedules[key, 0], width)
            for turn in range(together * (count // piece)):
                place, begin = turn % together, piece * (turn // together)
                key = first_key + place
                first = np.uintp(schedules[key, 2].ctypes.data)
                second = np.uintp(schedules[key, 3].ctypes.data)
                for start in range(begin, begin + piece, GROUP):
                    row = np.uintp(subtree * count + start)
                    word = np.uintp(words.ctypes.data) + _HALF_TAG * row
                    add_counts(
                        np.uintp(labels[place].ctypes.data) + _BLOCK * np.uintp(start),
                        first,
                        second,
                        np.uintp(checks[key].ctypes.data),
                        word,
                        word + half_words,
                        np.uintp(sums[key].ctypes.data),
                        np.uintp(numbers[key]),
                        np.uintp(negatives[key]),
                        np.uintp(remove),
                        np.uintp(table.ctypes.data) + np.uintp(4) * row,
                        np.uintp(totals[key].ctypes.data),
                        np.uintp(marks.ctypes.data) + np.uintp(4) * row,
                        np.uintp(marked[key].ctypes.data),
                        passes,
                        width,
                    )
