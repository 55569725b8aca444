"""Evaluate point functions on their whole domain with NumPy and `cryptography`: runs anywhere.

Labels of some subtrees are expanded together, level by level in contiguous buffers, and then put
into the order of their rows. Each piece is small enough to stay in a processor's cache.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from sfumato.donation.functions.fixed_key_hash import (
    CHILDREN,
    ROW,
    TAG,
    FixedKeyHash,
    Words,
    control_masks,
    correct,
    fixed_keys,
    sigma,
)
from sfumato.donation.functions.keys import PartyKey, corrections_of
from sfumato.donation.functions.verification import (
    PASSES,
    VerificationKey,
    compress,
    digest_of_labels,
)

__all__ = ["add_counts", "add_records", "write_rows"]

_SUBTREES = 64
_PIECE_BYTES = 1 << 18
_NUMBER = np.uint64(0xFFFFFFFF)


def write_rows(key: PartyKey, table: npt.NDArray[Any]) -> None:
    """Write the rows of a key that is not verified to a table of shape (rows, row words).

    Party 1's numbers are negated.
    """
    hashes = _hashes(key)
    correction = corrections_of([key.public]).rows[0].view(table.dtype)
    for first, labels in _labels(key, _roots(key, hashes[CHILDREN]), hashes[CHILDREN]):
        for start, part in _pieces(labels, first, key.public.function.row_bytes):
            rows = _rows(part, hashes[ROW], table.dtype, table.shape[1])
            masked = correction & control_masks(part).astype(table.dtype)
            target = table[start : start + len(part)]
            if table.dtype == np.uint8:
                np.bitwise_xor(rows, masked, out=target)
            else:
                np.add(rows, masked, out=target)
                if key.party == 1:
                    np.negative(target, out=target)


def add_records(
    keys: Sequence[PartyKey], table: npt.NDArray[np.uint8], verification_key: VerificationKey
) -> tuple[Words, npt.NDArray[np.uint8], list[bytes]]:
    """XOR records into a table of shape (rows, row_bytes).

    Returns sums of tags, totals, and digests of the subtrees beyond the table.
    """
    function = keys[0].public.function
    corrections = corrections_of([key.public for key in keys])
    sums = np.zeros((len(keys), PASSES), np.uint64)
    totals = np.zeros((len(keys), function.row_bytes), np.uint8)
    words = verification_key.words(len(table))
    used = len(table) // keys[0].public.function.subtree_rows
    beyond = []
    for index, key in enumerate(keys):
        hashes = _hashes(key)
        tops = _roots(key, hashes[CHILDREN])
        beyond.append(digest_of_labels(tops[used:]))
        for first, labels in _labels(key, tops[:used], hashes[CHILDREN]):
            halves = _tags(labels, hashes)
            _add_tags(labels, halves, first, corrections.check[index], words, sums[index])
            for start, part in _pieces(labels, first, function.row_bytes):
                rows = _rows(part, hashes[ROW], table.dtype, function.row_bytes)
                rows ^= corrections.rows[index] & control_masks(part).astype(np.uint8)
                table[start : start + len(part)] ^= rows
                totals[index] ^= np.bitwise_xor.reduce(rows, axis=0)
    return sums, totals, beyond


def add_counts(
    keys: Sequence[PartyKey],
    table: npt.NDArray[np.uint32],
    verification_key: VerificationKey,
    marks: npt.NDArray[np.uint32],
    *,
    remove: bool,
) -> tuple[Words, npt.NDArray[np.uint32], list[bytes], npt.NDArray[np.uint32]]:
    """Add counts to a table of shape (rows,).

    Returns the same, and for each key the exclusive or of the marks (rows,) of its odd shares.
    """
    corrections = corrections_of([key.public for key in keys])
    sums = np.zeros((len(keys), PASSES), np.uint64)
    totals, marked = (np.zeros(len(keys), np.uint32) for _ in range(2))
    words = verification_key.words(len(table))
    used = len(table) // keys[0].public.function.subtree_rows
    beyond = []
    for index, key in enumerate(keys):
        hashes = _hashes(key)
        tops = _roots(key, hashes[CHILDREN])
        beyond.append(digest_of_labels(tops[used:]))
        negative = key.party == 1
        correction = corrections.rows[index].view(np.uint32)
        for first, labels in _labels(key, tops[:used], hashes[CHILDREN]):
            halves = _tags(labels, hashes)
            numbers = (halves[0][:, 0] & _NUMBER).astype(np.uint32)
            numbers += correction & control_masks(labels)[:, 0].astype(np.uint32)
            halves[0][:, 0] &= ~_NUMBER
            _add_tags(labels, halves, first, corrections.check[index], words, sums[index])
            if negative:
                numbers = np.negative(numbers)
            totals[index] += numbers.sum(dtype=np.uint32)
            odd = marks[first : first + len(labels)][(numbers & np.uint32(1)) > 0]
            marked[index] ^= np.bitwise_xor.reduce(odd)
            target = table[first : first + len(labels)]
            if remove:
                target -= numbers
            else:
                target += numbers
    return sums, totals, beyond, marked


def _hashes(key: PartyKey) -> list[FixedKeyHash]:
    return [FixedKeyHash(part) for part in fixed_keys(key.public.function, key.public.nonce)]


def _roots(key: PartyKey, children: FixedKeyHash) -> Words:
    """Return the roots of all subtrees, shape (subtrees, 2)."""
    levels = corrections_of([key.public]).levels[0]
    root = np.frombuffer(key.secret, "<u8").astype(np.uint64).reshape(1, 2)
    return _expand(root, levels[: key.public.function.top], children)


def _labels(key: PartyKey, tops: Words, children: FixedKeyHash) -> Iterator[tuple[int, Words]]:
    """Yield the last labels below the first roots, in the order of rows, with the first row."""
    function = key.public.function
    levels = corrections_of([key.public]).levels[0]
    for start in range(0, len(tops), _SUBTREES):
        some = tops[start : start + _SUBTREES]
        labels = _expand(some, levels[function.top :], children).reshape(-1, len(some), 2)
        first = start * function.subtree_rows
        yield first, np.ascontiguousarray(labels.swapaxes(0, 1)).reshape(-1, 2)


def _expand(labels: Words, levels: Words, children: FixedKeyHash) -> Words:
    """Go down some levels: left children first, then right ones."""
    for correction in levels:
        count = len(labels)
        below = np.empty((2 * count, 2), np.uint64)
        hashed = children(sigma(labels))
        correct(hashed, labels, correction)
        below[:count] = hashed
        np.bitwise_xor(hashed, labels, out=below[count:])
        labels = below
    return labels


def _rows(labels: Words, hashing: FixedKeyHash, kind: npt.DTypeLike, width: int) -> Any:
    images = sigma(labels)
    blocks = width * np.dtype(kind).itemsize // 16
    return hashing.rows(images, blocks).reshape(len(labels), 2 * blocks).view(kind)


def _pieces(labels: Words, first: int, row_bytes: int) -> Iterator[tuple[int, Words]]:
    """Cut labels so that the rows of a piece stay in cache."""
    count = max(1, _PIECE_BYTES // row_bytes)
    for start in range(0, len(labels), count):
        yield first + start, labels[start : start + count]


def _tags(labels: Words, hashes: Sequence[FixedKeyHash]) -> list[Words]:
    images = sigma(labels)
    return [hashes[index](images) for index in TAG]


def _add_tags(
    labels: Words, halves: list[Words], first: int, correction: Words, words: Words, sums: Words
) -> None:
    """Correct tags and add their compression to the sums."""
    for half, tags in enumerate(halves):
        correct(tags, labels, correction[2 * half : 2 * half + 2])
        sums += compress(tags, first, half, words)
