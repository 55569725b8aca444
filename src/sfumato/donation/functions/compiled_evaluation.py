"""Evaluate point functions on their whole domain with the processor's AES instructions.

Keys are taken some at a time, so that the roots of their subtrees stay small. Results are those of
:mod:`.numpy_evaluation`, byte for byte, for every width of vectors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sfumato.donation.functions.fixed_key_hash import Words, fixed_keys, substitution_table
from sfumato.donation.functions.keys import Corrections, PartyKey, corrections_of
from sfumato.donation.functions.point_function import PointFunction
from sfumato.donation.functions.tree_kernels import (
    SLOT,
    SPARE,
    count_subtrees,
    expand_keys,
    expand_tops,
    record_subtrees,
    row_subtrees,
)
from sfumato.donation.functions.verification import PASSES, VerificationKey, digest_of_labels

__all__ = ["add_counts", "add_records", "write_rows"]

_TOP_BYTES = 1 << 21
_ALL = 0xFFFFFFFFFFFFFFFF
_PASSES = (0,) * PASSES
_SPARE_ROWS = 8


@dataclass(frozen=True, eq=False)
class _Batch:
    """Some keys in the kernels' terms."""

    schedules: npt.NDArray[np.uint8]
    corrections: Corrections
    tops: Words
    below: Words


def write_rows(key: PartyKey, table: npt.NDArray[Any], width: int) -> None:
    """Write the rows of a key that is not verified to a table; see the other path."""
    batch = _batch([key], width)
    rows = _padded(table)
    number = table.dtype != np.uint8
    row_subtrees(
        batch.tops[0],
        batch.below[0],
        batch.schedules[0],
        batch.corrections.rows[0],
        np.uint64(_ALL if number and key.party == 1 else 0),
        rows,
        (0,) * width,
    )
    if rows is not table:
        table[:] = rows[: len(table)]


def add_records(
    keys: Sequence[PartyKey],
    table: npt.NDArray[np.uint8],
    verification_key: VerificationKey,
    width: int,
) -> tuple[Words, npt.NDArray[np.uint8], list[bytes]]:
    """XOR records into a table; see the other path."""
    function = keys[0].public.function
    sums = np.zeros((len(keys), PASSES, 8), np.uint64)
    totals = np.zeros((len(keys), function.row_bytes), np.uint8)
    words = verification_key.words(len(table))
    beyond: list[bytes] = []
    for some in _batches(keys):
        batch = _batch(keys[some], width)
        beyond += _digests_beyond(batch, function, len(table))
        record_subtrees(
            batch.tops,
            batch.below,
            batch.schedules,
            batch.corrections.check,
            batch.corrections.rows,
            words,
            table,
            sums[some],
            totals[some],
            _PASSES,
            (0,) * width,
        )
    return sums.sum(axis=2), totals, beyond


def add_counts(
    keys: Sequence[PartyKey],
    table: npt.NDArray[np.uint32],
    verification_key: VerificationKey,
    marks: npt.NDArray[np.uint32],
    width: int,
    *,
    remove: bool,
) -> tuple[Words, npt.NDArray[np.uint32], list[bytes], npt.NDArray[np.uint32]]:
    """Add counts to a table; see the other path."""
    function = keys[0].public.function
    sums = np.zeros((len(keys), PASSES, 8), np.uint64)
    totals, marked = (np.zeros((len(keys), 8), np.uint32) for _ in range(2))
    words = verification_key.words(len(table))
    beyond: list[bytes] = []
    parties = np.array([key.party for key in keys], np.uint64)
    for some in _batches(keys):
        batch = _batch(keys[some], width)
        beyond += _digests_beyond(batch, function, len(table))
        numbers = batch.corrections.rows.view("<u4")[:, 0].astype(np.uint64)
        count_subtrees(
            batch.tops,
            batch.below,
            batch.schedules,
            batch.corrections.check,
            numbers | numbers << np.uint64(32),
            np.negative(parties[some]),
            np.uint64(_ALL if remove else 0),
            words,
            table,
            sums[some],
            totals[some],
            marks,
            marked[some],
            _PASSES,
            (0,) * width,
        )
    found = np.bitwise_xor.reduce(marked, axis=1)
    return sums.sum(axis=2), totals.sum(axis=1, dtype=np.uint32), beyond, found


def _batches(keys: Sequence[PartyKey]) -> list[slice]:
    """Cut keys so that the roots of all subtrees of a batch stay in cache."""
    count = max(1, _TOP_BYTES // (16 * ((1 << keys[0].public.function.top) + SPARE)))
    return [slice(start, start + count) for start in range(0, len(keys), count)]


def _batch(keys: Sequence[PartyKey], width: int) -> _Batch:
    function = keys[0].public.function
    raw = b"".join(b"".join(fixed_keys(function, key.public.nonce)) for key in keys)
    schedules = np.empty((len(keys), 4, 11, SLOT), np.uint8)
    expand_keys(
        np.frombuffer(raw, np.uint8).reshape(-1, 16),
        substitution_table(),
        schedules.reshape(-1, 11, SLOT),
    )
    corrections = corrections_of([key.public for key in keys])
    roots = np.frombuffer(b"".join(key.secret for key in keys), "<u8").reshape(-1, 2)
    tops = np.empty((len(keys), (1 << function.top) + SPARE, 2), np.uint64)
    expand_tops(roots, corrections.levels, schedules, function.top, tops, (0,) * width)
    below = np.ascontiguousarray(corrections.levels[:, function.top :])
    return _Batch(schedules, corrections, tops, below)


def _digests_beyond(batch: _Batch, function: PointFunction, rows: int) -> list[bytes]:
    below = rows // function.subtree_rows
    return [digest_of_labels(tops[below : 1 << function.top]) for tops in batch.tops]


def _padded(table: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the table, or one with as many rows as a step writes."""
    if len(table) >= _SPARE_ROWS:
        return table
    return np.empty((_SPARE_ROWS, table.shape[1]), table.dtype)
