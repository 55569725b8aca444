"""From shared records to opened class labels, of classes that are large enough and of no other.

Each record's class is the first region of the recoding that holds it (:mod:`~..recoding`). Its
quasi-identifiers stand in the record as digits, coarsest first, so a group is a prefix. The
prefixes in use form one binary trie a column; a node's bit is its parent's and one more digit bit,
so every node costs at most one AND gate a record, and its sibling none. The bits of the regions are
the conjunctions over the columns; of these the first one is left, by a gate for each region that
overlaps one before it.

These bits are added up for each class, on shares (:mod:`~.counting`), and compared with k; of each
class one bit is opened, whether it holds k records. The number of a record's class is a public
combination of its bits. Classes below k are left out of that combination, which costs nothing, and
only then it is opened: what is opened of a record is what is released of it, in shuffled order.

What an active server can still do
----------------------------------
Everything from the records to the opened bits is AND gates and linear, and the gates are audited
before each opening, if the party keeps them: a flipped one is found but with probability 2^-64, and
then nothing is opened. So whatever recoding the servers work with, the label of a record in a class
below k stays hidden, as do all sensitive answers. The recoding is proved as well
(:mod:`.proving`, :func:`~.classing.recode_counts`); nothing here depends on that.
Without the audit (``audited = false``), a flipped gate can make an opened bit depend on a hidden
one (see :mod:`~..sharing.boolean`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from sfumato.donation.recoding import RecodingTree
from sfumato.donation.records import RecordCodec
from sfumato.donation.rounds.counting import added, reach, transposed
from sfumato.donation.sharing import (
    BooleanShares,
    Party,
    Randomness,
    SlicedShares,
    concatenate,
    conjunction,
    invert,
    open_to_all,
    prove,
    unslice_shares,
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
    k: int,
) -> npt.NDArray[np.int32]:
    """Open the class of each record of a class that holds k of them.

    Parameters
    ----------
    party
        The server; if it keeps its gates, they are audited before anything is opened.
    records
        Shares of records ``(n, L)``, uint8.
    codec
        Where the digits stand.
    tree
        The recoding, the same at all servers.
    randomness
        Source of secret uniform bytes, for the coin of the audit.
    k
        Least size of a class; of a smaller one nothing is opened but that it is smaller.

    Returns
    -------
    Shape (n,): the number of the class, -1 for a record of no class or of one below k.

    Raises
    ------
    ProtocolError
        If a gate or an opened share was changed, or a peer is gone.
    """
    if records.shape[1] != codec.record_bytes or len(tree.domain.ladders) != len(codec.digits):
        raise InternalError("records, codec and recoding are not of one task")
    count, classes = len(records), len(tree)
    if not count or not classes:
        return np.full(count, -1, dtype=np.int32)
    memberships, sizes = [], []
    for start in range(0, count, _BLOCK):
        block = records[start : start + _BLOCK]
        members = _memberships(party, block, codec, tree)
        sizes.append(added(party, [transposed(members, len(block))], len(block)))
        memberships.append(members)
        prove(party, randomness)
    large = _open_flags(party, reach(party, _joined(party, sizes, count), k), classes, randomness)
    blocks = [
        _open_labels(party, members, min(_BLOCK, count - place * _BLOCK), large)
        for place, members in enumerate(memberships)
    ]
    return np.concatenate(blocks)


def diverse_classes(
    party: Party,
    records: BooleanShares,
    codec: RecordCodec,
    labels: npt.NDArray[np.int32],
    classes: int,
    column: str,
    l: int,  # noqa: E741 - the criterion's own letter
    randomness: Randomness,
) -> npt.NDArray[np.bool_]:
    """Open for each class whether it holds at least l different answers to a sensitive question.

    Which answers a class holds is the or over its records, on shares: gates alone, audited before
    the one bit of each class is opened, so that no server can make it tell of a single answer.

    Parameters
    ----------
    party
        The server; if it keeps its gates, they are audited before anything is opened.
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
    randomness
        Source of secret uniform bytes, for the coin of the audit.

    Raises
    ------
    ProtocolError
        If a gate or an opened share was changed, or a peer is gone.
    """
    offset = codec.sensitive_block.start
    for question, width in zip(codec.sensitive, codec.sensitive_widths, strict=True):
        if question.column == column:
            break
        offset += width
    else:
        raise InternalError(f"{column!r} is no sensitive question of the task")
    place, answers = range(8 * offset, 8 * (offset + width)), question.n_codes
    held = np.flatnonzero(labels >= 0)
    held = held[np.argsort(labels[held], kind="stable")]
    if not len(held):
        return np.zeros(classes, dtype=bool)
    parts, owners = [], []
    for start in range(0, len(held), _BLOCK):
        rows = held[start : start + _BLOCK]
        nodes = _trie(party, _digit_planes(records[rows], place), _codes(8 * width, answers))
        given = _stacked([nodes[prefix] for prefix in sorted(_codes(8 * width, answers))])
        told, owner = _or_by_owner(party, transposed(given, len(rows)), labels[rows])
        parts.append(told)
        owners.append(owner)
        prove(party, randomness)
    # a class may go on in the next block
    told, owner = _or_by_owner(party, concatenate(parts), np.concatenate(owners))
    different = added(party, [transposed(told, answers)], answers)
    enough = np.zeros(classes, dtype=bool)
    enough[owner] = _open_flags(party, reach(party, different, l), len(owner), randomness)
    return enough


def _open_flags(
    party: Party, bits: BooleanShares, count: int, randomness: Randomness
) -> npt.NDArray[np.bool_]:
    """Prove all gates, then open a row of bits."""
    prove(party, randomness)
    opened = open_to_all(party, unslice_shares(SlicedShares(bits, count)))
    return opened.reshape(-1).astype(bool)


def _joined(party: Party, sums: Sequence[BooleanShares], most: int) -> BooleanShares:
    """Return the planes of the sum of sums."""
    widest = max(len(planes) for planes in sums)
    columns = [concatenate([planes[bit : bit + 1] for planes in sums]) for bit in range(widest)]
    return added(party, columns, most)


def _memberships(
    party: Party, records: BooleanShares, codec: RecordCodec, tree: RecodingTree
) -> BooleanShares:
    """Return for each class, shape (classes, words), which records are of it."""
    matches = _column_matches(party, records, codec, tree)
    whole = matches[0]
    for match in matches[1:]:
        whole = conjunction(party, whole, match)
    return _first_ones(party, whole, tree)


def _open_labels(
    party: Party, members: BooleanShares, count: int, large: npt.NDArray[np.bool_]
) -> npt.NDArray[np.int32]:
    # a record of class c is told as c + 1; one of none, or of a class that is left out, as 0
    width = len(large).bit_length()
    numbers = np.where(large, np.arange(1, len(large) + 1), 0)
    planes = [
        BooleanShares(
            *(
                np.bitwise_xor.reduce(part[(numbers >> bit & 1) == 1], axis=0)
                for part in (members.first, members.second)
            )
        ).reshape(1, -1)
        for bit in range(width)
    ]
    label = unslice_shares(SlicedShares(concatenate(planes), count))
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
        matches.append(_stacked([nodes[prefix] for prefix in wanted]))
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


def _first_ones(party: Party, whole: BooleanShares, tree: RecodingTree) -> BooleanShares:
    """Return for each region which records lie in it and in no region before it.

    A record has one first region at most, so the or over the first regions before is their
    exclusive or, which is local. What does not overlap is decided side by side.
    """
    overlaps, turns = _turns(tree)
    first, second = (part.copy() for part in (whole.first, whole.second))
    for turn in range(1, int(turns.max()) + 1):
        now = np.flatnonzero(turns == turn)
        taken = BooleanShares(
            *(
                np.stack([np.bitwise_xor.reduce(part[overlaps[place]], axis=0) for place in now])
                for part in (first, second)
            )
        )
        left = conjunction(party, whole[now], invert(party, taken))
        first[now], second[now] = left.first, left.second
    return BooleanShares(first, second)


def _turns(tree: RecodingTree) -> tuple[list[npt.NDArray[np.intp]], npt.NDArray[np.int64]]:
    """Return for each region those before it that overlap it, and when it can be decided."""
    boxes = np.array(
        [[(part.start, part.stop) for part in tree.box(region)] for region in tree.regions]
    )
    starts, stops = boxes[..., 0], boxes[..., 1]
    turns = np.zeros(len(tree), dtype=np.int64)
    overlaps = []
    for place in range(len(tree)):
        apart = (starts[:place] >= stops[place]) | (starts[place] >= stops[:place])
        before = np.flatnonzero(~apart.any(axis=1))
        overlaps.append(before)
        turns[place] = turns[before].max(initial=-1) + 1
    return overlaps, turns


def _codes(bits: int, answers: int) -> set[Prefix]:
    return {(bits, code) for code in range(answers)}


def _stacked(nodes: Sequence[tuple[npt.NDArray[Any], npt.NDArray[Any]]]) -> BooleanShares:
    return BooleanShares(*(np.stack([node[side] for node in nodes]) for side in (0, 1)))


def _or_by_owner(
    party: Party, rows: BooleanShares, owners: npt.NDArray[np.int32]
) -> tuple[BooleanShares, npt.NDArray[np.int32]]:
    """Return the or of each owner's rows, and the owners; equal ones must stand together."""
    while len(owners) > 1 and (owners[1:] == owners[:-1]).any():
        new = np.flatnonzero(np.diff(owners, prepend=owners[0] - 1))
        place = np.arange(len(owners)) - np.repeat(new, np.diff(new, append=len(owners)))
        # of each owner's rows the odd ones go into the even ones before them
        second = np.flatnonzero(place & 1)
        left, right = rows[second - 1], rows[second]
        joined = left ^ right ^ conjunction(party, left, right)
        kept = np.flatnonzero((place & 1) == 0)
        at = np.searchsorted(kept, second - 1)
        parts = []
        for old, told in ((rows.first, joined.first), (rows.second, joined.second)):
            part = old[kept]
            part[at] = told
            parts.append(part)
        rows, owners = BooleanShares(*parts), owners[kept]
    return rows, owners
