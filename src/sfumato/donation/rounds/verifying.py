"""VERIFIED: reports whose parts do not fit each other are dropped, alone and by all three alike.

1. *The same report.* Each server has opened its part of each report and found its shares as
   committed in the header. All three compare the headers' hashes: equal headers mean that every
   component is held alike by its two holders. One hash over all is compared first; only if it
   differs are the single ones sent.
2. *One vote, for the cell of the record.* Servers 0 and 1 evaluate the histogram keys and compare
   proofs and sums (:mod:`~..functions.verification`), and marks (:mod:`.binding`). The key of that
   check is opened only now, when no report can be made to fit it; each server's part was committed
   to in the task. Server 2 hears the verdicts from both.

What is told says nothing of an honest donor: headers are known to all, proofs, sums and marks are
what the other server has already. What is accepted must be the same at all three, and the same in
every attempt: else a server could drop a donor in the second one and compare.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sfumato.donation.functions import (
    Checks,
    PartyKey,
    PointFunction,
    VerificationKey,
    accumulate,
    empty_table,
    verdicts,
)
from sfumato.donation.messages import TaskConfiguration
from sfumato.donation.rounds.exchanging import digest_of, tell_both
from sfumato.donation.rounds.states import Deviation
from sfumato.donation.sharing import Party

__all__ = [
    "CountedKeys",
    "Mask",
    "agree_on_headers",
    "agree_on_verdicts",
    "batches",
    "check_counts",
    "open_verification_key",
]

_AT_ONCE = 4096
_HASH = 32

Mask = npt.NDArray[np.bool_]


def agree_on_headers(party: Party, headers: npt.NDArray[np.uint8]) -> Mask:
    """Return which reports have the same header at all three servers.

    Parameters
    ----------
    party
        The server.
    headers
        Hashes of the headers, shape (n, 32), in the order of the numbers.
    """
    digest = digest_of("headers", headers)
    said = tell_both(party, "compare headers", digest)
    if all(other == digest for other in said.values()):
        return np.ones(len(headers), dtype=bool)
    said = tell_both(party, "compare each header", headers.tobytes())
    agreed = np.ones(len(headers), dtype=bool)
    for peer in (party.previous, party.next):
        if len(said[peer]) != headers.size:
            raise Deviation(f"verify: server {peer} sent hashes of another number of reports")
        theirs = np.frombuffer(said[peer], np.uint8).reshape(-1, _HASH)
        agreed &= (theirs == headers).all(axis=1)
    return agreed


def open_verification_key(party: Party, task: TaskConfiguration, part: bytes) -> VerificationKey:
    """Open the key of the checks, of which each server has committed to a part.

    Raises
    ------
    Deviation
        If a part is not the committed one.
    """
    parts = tell_both(party, "open verification key", part)
    for server in range(3):
        committed = task.servers[server].verify_key_commitment
        if not hmac.compare_digest(hashlib.sha256(parts[server]).digest(), committed):
            raise Deviation(
                f"verify: server {server} opened another verification key than the task names"
            )
    return VerificationKey(digest_of("verification key", parts[0], parts[1], parts[2]))


@dataclass(frozen=True, eq=False)
class CountedKeys:
    """What became of the histogram.

    Parameters
    ----------
    accepted
        Which reports hold one vote, for the cell of the record.
    table
        Share of the counts of their cells at servers 0 and 1; None at server 2.
    """

    accepted: Mask
    table: npt.NDArray[np.uint32] | None


def check_counts(
    party: Party,
    function: PointFunction,
    keys: Sequence[PartyKey | None],
    cell_marks: npt.NDArray[np.uint32],
    record_marks: npt.NDArray[np.uint32],
    verification_key: VerificationKey,
) -> CountedKeys:
    """Add up the histogram of all reports that hold exactly one vote, for the cell of the record.

    Parameters
    ----------
    party
        The server.
    function
        The family of the keys.
    keys
        One for each report at servers 0 and 1, None for a malformed one; none at server 2.
    cell_marks
        The mark of each cell: see :mod:`.binding`. A vote beyond them is none.
    record_marks
        This server's share of the mark of each report's record; of any values at server 2.
    verification_key
        The opened key.

    Raises
    ------
    Deviation
        If servers 0 and 1 do not tell server 2 the same.
    """
    count = len(record_marks)
    if party.index == 2:
        party.begin("compare proofs")
        return CountedKeys(agree_on_verdicts(party, None, count), None)
    table = empty_table(function, len(cell_marks))
    row_marks = np.zeros(len(table), np.uint32)
    row_marks[: len(cell_marks)] = cell_marks
    proofs, totals = np.zeros((count, _HASH), np.uint8), np.zeros(count, np.uint32)
    mine = Checks(proofs, totals, record_marks.copy())
    for places, some in batches(keys):
        checks = accumulate(some, table, verification_key, marks=row_marks)
        mine.proofs[places] = checks.proofs
        mine.totals[places] = checks.totals
        mine.marks[places] ^= checks.marks
    theirs = _exchange_checks(party, mine)
    accepted = verdicts(mine, theirs)
    agree_on_verdicts(party, accepted, count)
    refused = [key if not good else None for key, good in zip(keys, accepted, strict=True)]
    for _, some in batches(refused):
        accumulate(some, table, verification_key, remove=True)
    return CountedKeys(accepted, table)


def batches(
    keys: Sequence[PartyKey | None],
) -> list[tuple[npt.NDArray[np.int64], list[PartyKey]]]:
    """Return the keys that are there, some thousand at a time, with their places."""
    present = [(place, key) for place, key in enumerate(keys) if key is not None]
    batches = []
    for start in range(0, len(present), _AT_ONCE):
        part = present[start : start + _AT_ONCE]
        places = np.array([place for place, _ in part], dtype=np.int64)
        batches.append((places, [key for _, key in part]))
    return batches


def _exchange_checks(party: Party, mine: Checks) -> Checks:
    party.begin("compare proofs")
    peer = 1 - party.index
    proofs, totals, marks = (
        party.exchange(each, peer, peer) for each in (mine.proofs, mine.totals, mine.marks)
    )
    return Checks(proofs, totals, marks)


def agree_on_verdicts(party: Party, accepted: Mask | None, count: int) -> Mask:
    """Tell server 2 what servers 0 and 1 have found.

    Parameters
    ----------
    party
        The server.
    accepted
        What was found; None at server 2.
    count
        How many reports there are.

    Raises
    ------
    Deviation
        At server 2, if it is told two different things.
    """
    party.begin("tell verdicts")
    if accepted is not None:
        party.send_array(np.packbits(accepted), 2)
        return accepted
    packed = [party.receive_array(peer, (-(-count // 8),), np.uint8) for peer in (0, 1)]
    if not np.array_equal(packed[0], packed[1]):
        raise Deviation("verify: servers 0 and 1 tell different verdicts of the reports")
    return np.unpackbits(packed[0])[:count].astype(bool)
