"""The mode ``"dpf"``: records that donors write into mailboxes at places that no server learns.

Each record goes into three sub-tables, by one point function each: ``id 16 | tag 8 | answers``. The
id is random, the tag and the three places are hashes of it. When the round is closed, the tables
lie in two parts at servers 0 and 1 and are shared among all three; only the columns of ids and tags
are opened. A cell that holds one record shows an id whose tag and place fit; it is taken out of the
two other tables, in which further cells then hold one record, and so on (Goodrich and Mitzenmacher,
"Invertible Bloom lookup tables", Allerton 2011). The same is done to the answers, on shares. Filled
to a half, that gets stuck with negligible probability; what is stuck is lost, not wrong.

What is opened: ids, which are random, hidden until then, and in no order of donors. That a donor
knows its own does not tell it whether it is sampled, as the records are shuffled afterwards.

A donor whose three payloads differ, or whose keys are no point functions, is refused before: the
two servers compare proofs, and hashes of the differences of the payloads, which are equal at both
if the payloads are. A donor that writes to places that do not fit its id soils three cells.

A server can change its own part of the tables, but only blindly: it knows no record's places before
ids are opened, and afterwards it holds fixed shares. Once all records are taken out, a cell must be
empty; that is checked for each whose id is, by a linear function drawn by all. A record of which a
cell is not empty is left out. So a record is changed unnoticed only if the same difference meets
all three of its cells: of n records n f^3 if a share f of the cells is met; and with more than a
fiftieth of all cells soiled the round is aborted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from sfumato.donation.functions import PartyKey, PointFunction, VerificationKey, empty_table, write
from sfumato.donation.functions.keys import KEY_BYTES
from sfumato.donation.messages import FunctionKeyLayout, TaskConfiguration
from sfumato.donation.records import RecordCodec
from sfumato.donation.rounds.function_keys import KeyPair, key_layout, key_pair, nonce_of
from sfumato.donation.rounds.states import Deviation
from sfumato.donation.rounds.verifying import Mask, agree_on_verdicts, batches
from sfumato.donation.sharing import BooleanShares, Party, Randomness, open_to_all, reshare, toss
from sfumato.errors import PlanError

__all__ = [
    "TABLES",
    "Mailboxes",
    "check_mailboxes",
    "collect_records",
    "mailbox_function",
    "mailbox_keys",
    "mailbox_layout",
]

TABLES = 3
_ID, _TAG = 16, 8
_HEAD = _ID + _TAG
_HASH = 32
_MOST_SOILED = 50
_ALWAYS_BORNE = 24

Octets = npt.NDArray[np.uint8]
Keys = Sequence[Sequence[PartyKey | None]]


# -- donors ----------------------------------------------------------------------------------


def mailbox_layout(codec: RecordCodec, donors: int) -> FunctionKeyLayout:
    """Return what a task must say as ``mailbox``, for that many donors at most: half full then."""
    bits = max(3, (-(-2 * donors // TABLES) - 1).bit_length())
    return key_layout(PointFunction(bits, "record", _HEAD + codec.used_bytes))


def mailbox_function(task: TaskConfiguration) -> PointFunction:
    """Return the family of a task's mailboxes.

    Raises
    ------
    PlanError
        If the task has none, or lays its keys out otherwise than :func:`mailbox_layout`.
    """
    length = _HEAD + task.codec.used_bytes
    layout = task.mailbox
    if layout is not None and task.mailbox_tables == TABLES:
        least = key_layout(PointFunction(3, "record", length)).key_bytes
        bits = 3 + (layout.key_bytes - least) // 16
        if 3 <= bits <= 32:
            function = PointFunction(bits, "record", length)
            if key_layout(function) == layout:
                return function
    raise PlanError(
        f"task: mailboxes of {length} bytes need {TABLES} tables and keys of a whole number of "
        f"levels, {KEY_BYTES} bytes of them a server's own: set mailbox by mailbox_layout"
    )


def mailbox_keys(
    task: TaskConfiguration,
    report_id: bytes,
    record: bytes,
    random_bytes: Callable[[int], bytes],
) -> tuple[KeyPair, ...]:
    """Return the key pairs that write one donor's record.

    Parameters
    ----------
    task
        The task.
    report_id
        The number that the report will have.
    record
        As ``task.codec.encode`` gives it; the padding is left out.
    random_bytes
        Returns that many secret random bytes: ``os.urandom`` outside tests.

    Raises
    ------
    PlanError
        If the task has no mailboxes.
    """
    function = mailbox_function(task)
    name = random_bytes(_ID)
    tags, places = _hashes(task.task_id, [name], function.size)
    payload = name + tags[0].tobytes() + record[: task.codec.used_bytes]
    return tuple(
        key_pair(
            function,
            int(places[table, 0]),
            payload,
            nonce_of(task.task_id, report_id, 1 + table),
            random_bytes,
        )
        for table in range(TABLES)
    )


def _hashes(
    task_id: bytes, names: Sequence[bytes], rows: int
) -> tuple[Octets, npt.NDArray[np.int64]]:
    """Return tag (n, 8) and place in each table (3, n) of ids."""
    prefix = b"sfumato donation v1 mailbox\0" + task_id
    data = b"".join(hashlib.sha256(prefix + name).digest() for name in names)
    words = np.frombuffer(data, ">u8").reshape(-1, 1 + TABLES)
    tags = np.frombuffer(data, np.uint8).reshape(-1, _HASH)[:, :_TAG]
    return tags, (words[:, 1:].T % np.uint64(rows)).astype(np.int64)


# -- servers ---------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Mailboxes:
    """The tables of one server.

    Parameters
    ----------
    function
        Their family.
    accepted
        Which reports are in them.
    tables
        Parts of servers 0 and 1; empty at server 2.
    records
        At servers 0 and 1 their shares, by exclusive or, of the record of each accepted report,
        shape (n, used bytes); None at server 2.
    """

    function: PointFunction
    accepted: Mask
    tables: tuple[Octets, ...]
    records: Octets | None = field(default=None, repr=False)

    def take_out(self, keys: Keys, refused: Mask, verification_key: VerificationKey) -> None:
        """Write what was refused for other reasons once more, which takes it out."""
        for table, some in zip(self.tables, keys, strict=False):
            for _, batch in batches(_only_where(some, refused)):
                write(batch, table, verification_key)


def check_mailboxes(
    party: Party,
    function: PointFunction,
    keys: Keys,
    count: int,
    verification_key: VerificationKey,
) -> Mailboxes:
    """Write all reports that hold one record, three times the same.

    Parameters
    ----------
    party
        The server.
    function
        The family.
    keys
        For each table one of each report at servers 0 and 1, None for a malformed one.
    count
        How many reports there are.
    verification_key
        The opened key.

    Raises
    ------
    Deviation
        If servers 0 and 1 do not tell server 2 the same.
    """
    if party.index == 2:
        party.begin("compare mailbox proofs")
        return Mailboxes(function, agree_on_verdicts(party, None, count), ())
    tables = tuple(empty_table(function) for _ in range(TABLES))
    valid = np.array([all(row) for row in zip(*keys, strict=True)], dtype=bool).reshape(count)
    whole = [_only_where(some, valid) for some in keys]
    seen = np.zeros((count, (TABLES + 1) * _HASH), np.uint8)
    totals = np.zeros((TABLES, count, function.length), np.uint8)
    for number in range(TABLES):
        for places, some in batches(whole[number]):
            checks = write(some, tables[number], verification_key)
            seen[places, number * _HASH : (number + 1) * _HASH] = checks.proofs
            totals[number, places] = checks.totals
    # the shares of equal payloads differ alike at both servers
    differences = np.concatenate([totals[0] ^ totals[1], totals[1] ^ totals[2]], axis=1)
    digests = b"".join(hashlib.sha256(row).digest() for row in differences)
    seen[:, -_HASH:] = np.frombuffer(digests, np.uint8).reshape(count, _HASH)
    party.begin("compare mailbox proofs")
    theirs = party.exchange(seen, 1 - party.index, 1 - party.index)
    theirs_valid = party.exchange(valid.astype(np.uint8), 1 - party.index, 1 - party.index)
    accepted = (seen == theirs).all(axis=1) & valid & (theirs_valid == 1)
    agree_on_verdicts(party, accepted, count)
    records = totals[0, accepted, _HEAD:]
    mailboxes = Mailboxes(function, accepted, tables, records)
    mailboxes.take_out(whole, ~accepted, verification_key)
    return mailboxes


def _only_where(keys: Sequence[PartyKey | None], mask: Mask) -> list[PartyKey | None]:
    return [key if good else None for key, good in zip(keys, mask, strict=True)]


def collect_records(
    party: Party,
    mailboxes: Mailboxes,
    task_id: bytes,
    codec: RecordCodec,
    randomness: Randomness,
) -> tuple[BooleanShares, bytes]:
    """Share the tables among all three and take the records out.

    Parameters
    ----------
    party
        The server.
    mailboxes
        Its tables.
    task_id
        The task.
    codec
        Of records without padding: see :func:`~.mixing.mixed_codec`.
    randomness
        Source of secret uniform bytes, for the coin of the check.

    Returns
    -------
    tuple
        Shares of the records ``(n, L)`` in the order of their ids, and a hash of the ids.

    Raises
    ------
    Deviation
        If more cells are soiled than donors can have soiled.
    """
    function = mailboxes.function
    shape = (TABLES * function.size, _HEAD + codec.record_bytes)
    part = None
    if mailboxes.tables:
        part = np.zeros(shape, np.uint8)
        for number, table in enumerate(mailboxes.tables):
            rows = slice(number * function.size, (number + 1) * function.size)
            part[rows, : function.length] = table[:, : function.length]
    shares = reshare(party, BooleanShares, part, shape, np.uint8)
    heads = open_to_all(party, shares[:, :_HEAD])
    answers = [np.ascontiguousarray(one[:, _HEAD:]) for one in (shares.first, shares.second)]
    found = _take_out(heads, answers, task_id, function.size)
    soiled = _soiled(party, heads, BooleanShares(*answers), randomness)
    if soiled.sum() > max(_ALWAYS_BORNE, len(soiled) // _MOST_SOILED):
        raise Deviation(
            f"mailboxes: {int(soiled.sum())} of {len(soiled)} cells are not empty after all "
            "records are out: a server has changed its tables, or too many donors broke the rules"
        )
    clean = ~soiled[found.cells].any(axis=0) if len(found.ids) else np.zeros(0, dtype=bool)
    order = np.flatnonzero(clean)
    order = order[np.lexsort(found.ids[order].T[::-1])]
    names = hashlib.sha256(found.ids[order].tobytes()).digest()
    return BooleanShares(found.first[order], found.second[order]), names


@dataclass(frozen=True, eq=False)
class _Found:
    ids: Octets
    cells: npt.NDArray[np.int64]
    first: Octets
    second: Octets


def _take_out(heads: Octets, answers: list[Octets], task_id: bytes, rows: int) -> _Found:
    """Take records out of the tables, in place, until no cell holds one alone."""
    table_of = np.repeat(np.arange(TABLES), rows)
    starts = (np.arange(TABLES) * rows)[:, None]
    known: set[bytes] = set()
    ids = [np.zeros((0, _ID), np.uint8)]
    cells = [np.zeros((TABLES, 0), np.int64)]
    records: tuple[list[Octets], list[Octets]] = ([answers[0][:0]], [answers[1][:0]])
    while True:
        filled = np.flatnonzero(heads[:, :_ID].any(axis=1))
        names = [name.tobytes() for name in heads[filled, :_ID]]
        tags, places = _hashes(task_id, names, rows)
        here = filled - table_of[filled] * rows
        pure = (tags == heads[filled, _ID:]).all(axis=1)
        pure &= places[table_of[filled], np.arange(len(filled))] == here
        pure &= np.array([name not in known for name in names], dtype=bool).reshape(len(names))
        _, first = np.unique(heads[filled[pure], :_ID], axis=0, return_index=True)
        chosen = np.flatnonzero(pure)[first]
        if not len(chosen):
            break
        taken = heads[filled[chosen]].copy()
        where = places[:, chosen] + starts
        known.update(names[place] for place in chosen)
        ids.append(taken[:, :_ID])
        cells.append(where)
        for side in range(2):
            records[side].append(answers[side][filled[chosen]].copy())
        for at in where:
            np.bitwise_xor.at(heads, at, taken)
            for side in range(2):
                np.bitwise_xor.at(answers[side], at, records[side][-1])
    return _Found(
        np.concatenate(ids),
        np.concatenate(cells, axis=1),
        np.concatenate(records[0]),
        np.concatenate(records[1]),
    )


def _soiled(party: Party, heads: Octets, rest: BooleanShares, randomness: Randomness) -> Mask:
    """Return which cells are not empty. The answers are looked at only where the id is gone.

    Where an id is left, a record may be stuck: nothing about it is opened.
    """
    from sfumato.donation.sharing.binary_field_kernels import row_tags

    soiled: Mask = np.asarray(heads.any(axis=1), dtype=bool)
    empty = np.flatnonzero(~soiled)
    words: list[npt.NDArray[Any]] = [
        np.ascontiguousarray(one[empty]).view(np.uint64) for one in (rest.first, rest.second)
    ]
    weights = toss(party, randomness).draw(words[0].shape[1], np.uint64, "weights of cells")
    tags = [np.zeros(len(empty), np.uint64) for _ in range(2)]
    for one, tag in zip(words, tags, strict=True):
        row_tags(one, weights, tag)
    soiled[empty] = open_to_all(party, BooleanShares(*tags)) != 0
    return soiled
