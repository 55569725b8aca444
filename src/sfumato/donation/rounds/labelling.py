"""From shared records to opened class labels.

Each record's class is the first region of the recoding that holds it (:mod:`~..recoding`). Its
quasi-identifiers stand in the record as digits, coarsest first, so a group is a prefix. The
prefixes in use form one binary trie a column; a node's bit is its parent's and one more digit bit,
so every node costs at most one AND gate a record, and its sibling none. The bits of the regions are
the conjunctions over the columns; a prefix-or over the regions in their order leaves the first one;
its number is a public combination of these bits. Only the number is opened.

What is opened is what is released: the class of each record, in shuffled order. The gates are
audited before, if the party keeps them: without the audit an active server could flip a gate and
put records into a wrong class (never learn one: see :mod:`~..sharing.boolean`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from sfumato.donation.recoding import RecodingTree
from sfumato.donation.records import RecordCodec
from sfumato.donation.sharing import (
    ArithmeticShares,
    BooleanShares,
    Party,
    Randomness,
    SlicedShares,
    at_least,
    concatenate,
    conjunction,
    equal,
    invert,
    open_to_all,
    to_numbers,
    unslice_shares,
    verify_gates,
)
from sfumato.errors import InternalError

__all__ = ["class_of_records", "diverse_classes"]

_BLOCK = 1 << 15  # records worked on at a time: what is kept for the audit stays small

Prefix = tuple[int, int]  # how many leading digit bits, and their value


def class_of_records(
    party: Party,
    records: BooleanShares,
    codec: RecordCodec,
    tree: RecodingTree,
    randomness: Randomness,
) -> npt.NDArray[np.int32]:
    """Open the class of each record.

    Parameters
    ----------
    party
        The server; if it keeps its gates, they are audited before a label is opened.
    records
        Shares of records ``(n, L)``, uint8.
    codec
        Where the digits stand.
    tree
        The recoding, the same at all servers.
    randomness
        Source of secret uniform bytes, for the coin of the audit.

    Returns
    -------
    Shape (n,): the number of the class, -1 for a record of no class.

    Raises
    ------
    ProtocolError
        If a gate or an opened share was changed, or a peer is gone.
    """
    if records.shape[1] != codec.record_bytes or len(tree.domain.ladders) != len(codec.digits):
        raise InternalError("records, codec and recoding are not of one task")
    blocks = [
        _opened_classes(party, records[start : start + _BLOCK], codec, tree, randomness)
        for start in range(0, len(records), _BLOCK)
    ]
    return np.concatenate(blocks) if blocks else np.zeros(0, dtype=np.int32)


def diverse_classes(
    party: Party,
    records: BooleanShares,
    codec: RecordCodec,
    labels: npt.NDArray[np.int32],
    classes: int,
    column: str,
    l: int,  # noqa: E741 - the criterion's own letter
) -> npt.NDArray[np.bool_]:
    """Open for each class whether it holds at least l different answers to a sensitive question.

    Parameters
    ----------
    party
        The server.
    records
        Shares of records ``(n, L)``, uint8.
    codec
        Where the answers stand.
    labels
        The class of each record, as opened; -1 for none.
    classes
        How many classes there are.
    column
        The sensitive question.
    l
        Least number of different answers, at least 1.
    """
    offset = codec.sensitive_block.start
    for question, width in zip(codec.sensitive, codec.sensitive_widths, strict=True):
        if question.column == column:
            break
        offset += width
    else:
        raise InternalError(f"{column!r} is no sensitive question of the task")
    place = range(8 * offset, 8 * (offset + width))
    answers = question.n_codes
    held = np.flatnonzero(labels >= 0)
    counts = np.zeros((answers, classes), np.uint32)
    totals = ArithmeticShares(counts, counts.copy())
    for start in range(0, len(held), _BLOCK):
        rows = held[start : start + _BLOCK]
        bits = _digit_planes(records[rows], place)
        # the least significant bit first, as numbers are sliced
        code = BooleanShares(bits.first[::-1, np.newaxis], bits.second[::-1, np.newaxis])
        values = np.broadcast_to(np.arange(answers, dtype=np.uint64)[:, None], (answers, len(rows)))
        wide = BooleanShares(
            *(
                np.broadcast_to(part, (8 * width, answers, part.shape[-1])).copy()
                for part in (code.first, code.second)
            )
        )
        found = to_numbers(party, equal(party, SlicedShares(wide, len(rows)), values), np.uint32)
        totals = totals + ArithmeticShares(
            *(_by_class(part, labels[rows], classes) for part in (found.first, found.second))
        )
    bits_of_count = max(1, len(held).bit_length())
    present = to_numbers(party, at_least(party, totals, 1, bits_of_count), np.uint32)
    different = present.sum(axis=0)
    enough = at_least(party, different, l, max(1, answers.bit_length(), l.bit_length()))
    opened = open_to_all(party, unslice_shares(enough)).reshape(-1)
    return opened.astype(bool)


def _opened_classes(
    party: Party,
    records: BooleanShares,
    codec: RecordCodec,
    tree: RecodingTree,
    randomness: Randomness,
) -> npt.NDArray[np.int32]:
    count = len(records)
    if not len(tree):
        return np.full(count, -1, dtype=np.int32)
    matches = _column_matches(party, records, codec, tree)
    whole = matches[0]
    for match in matches[1:]:
        whole = conjunction(party, whole, match)
    before = _or_of_all_before(party, whole)
    first = conjunction(party, whole, invert(party, before))
    # a record of class c is told as c + 1, one of none as 0
    width = len(tree).bit_length()
    numbers = np.arange(1, len(tree) + 1)
    planes = [
        BooleanShares(
            *(
                np.bitwise_xor.reduce(part[(numbers >> bit & 1) == 1], axis=0)
                for part in (first.first, first.second)
            )
        ).reshape(1, -1)
        for bit in range(width)
    ]
    label = unslice_shares(SlicedShares(concatenate(planes), count))
    if party.gates is not None:
        verify_gates(party, randomness)
    return open_to_all(party, label).astype(np.int64).astype(np.int32) - np.int32(1)


def _column_matches(
    party: Party, records: BooleanShares, codec: RecordCodec, tree: RecodingTree
) -> list[BooleanShares]:
    """Return for each column, shape (classes, words), which records lie in each class's group."""
    matches = []
    for axis, (layout, offset) in enumerate(zip(codec.digits, codec.digit_offsets, strict=True)):
        wanted: list[Prefix] = []
        for region in tree.regions:
            level, group = region.levels[axis], region.groups[axis]
            bits = layout.prefix_bits(level)
            value = int(layout.prefixes(level)[group]) if bits else 0
            wanted.append((bits, value))
        digits = _digit_planes(records, range(offset, offset + layout.bits))
        nodes = _trie(party, digits, set(wanted))
        first = np.stack([nodes[prefix][0] for prefix in wanted])
        second = np.stack([nodes[prefix][1] for prefix in wanted])
        matches.append(BooleanShares(first, second))
    return matches


def _trie(
    party: Party, digits: BooleanShares, wanted: set[Prefix]
) -> dict[Prefix, tuple[npt.NDArray[Any], npt.NDArray[Any]]]:
    """Return the bit of each wanted prefix: one round for each digit bit."""
    words = digits.shape[-1]
    everybody = party.known(BooleanShares, np.full(words, ~np.uint64(0)))
    nodes = {(0, 0): (everybody.first, everybody.second)}
    longest = max((bits for bits, _ in wanted), default=0)
    for depth in range(1, longest + 1):
        level = sorted({value >> (bits - depth) for bits, value in wanted if bits >= depth})
        parents = sorted({value >> 1 for value in level})
        above = [nodes[depth - 1, value] for value in parents]
        parent = BooleanShares(*(np.stack([node[side] for node in above]) for side in (0, 1)))
        digit = digits[depth - 1 : depth]
        ones = conjunction(party, parent, digit)
        zeros = parent ^ ones
        for place, value in enumerate(parents):
            nodes[depth, 2 * value] = (zeros.first[place], zeros.second[place])
            nodes[depth, 2 * value + 1] = (ones.first[place], ones.second[place])
    return nodes


def _digit_planes(records: BooleanShares, bits: Sequence[int]) -> BooleanShares:
    """Return bits of records, counted from their start, as planes: shape (bits, words)."""
    start, stop = bits[0] // 8 if len(bits) else 0, -(-(bits[-1] + 1) // 8) if len(bits) else 0
    planes = []
    for part in (records.first, records.second):
        octets = np.ascontiguousarray(part[:, start:stop])
        spread = np.unpackbits(octets, axis=1)[:, [bit - 8 * start for bit in bits]]
        padded = np.zeros((len(bits), -(-len(part) // 64) * 64), np.uint8)
        padded[:, : len(part)] = spread.T
        packed = np.packbits(padded, axis=1, bitorder="little")
        planes.append(packed.view("<u8").astype(np.uint64, copy=False))
    return BooleanShares(*planes)


def _or_of_all_before(party: Party, x: BooleanShares) -> BooleanShares:
    """Return for each row of the first axis the or of the rows before it, in log2 rounds."""
    nothing = np.zeros_like(x.first[:1])
    upto = concatenate([BooleanShares(nothing, nothing), x[:-1]])
    rows = np.arange(len(upto))
    span = 1
    while span < len(upto):
        # the second half of each block takes up the last row of its first half
        high = rows[(rows & span) > 0]
        low = (high & ~(2 * span - 1)) + span - 1
        left, right = upto[low], upto[high]
        joined = left ^ right ^ conjunction(party, left, right)
        parts = []
        for old, new in ((upto.first, joined.first), (upto.second, joined.second)):
            part = old.copy()
            part[high] = new
            parts.append(part)
        upto = BooleanShares(*parts)
        span *= 2
    return upto


def _by_class(
    values: npt.NDArray[np.uint32], labels: npt.NDArray[np.int32], classes: int
) -> npt.NDArray[np.uint32]:
    """Return the sums of each row's values by class, modulo 2^32."""
    order = np.argsort(labels, kind="stable")
    present, starts = np.unique(labels[order], return_index=True)
    sums = np.zeros((len(values), classes), np.uint32)
    sums[:, present] = np.add.reduceat(values[:, order], starts, axis=1, dtype=np.uint32)
    return sums
