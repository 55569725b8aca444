"""A record as three components, of which each server holds two.

::

    x_0 = PRG(seed_0)    x_1 = PRG(seed_1)    x_2 = PRG(seed_2) xor correction
    record = x_0 xor x_1 xor x_2              server i is told seed_i and seed_{i+1}

The correction is public. It is the record under three pads, of which every single server lacks
one, so to each of them, and to everybody else, it is random bytes; and the long component that two
servers hold in common is sent once instead of twice. This is exactly the sharing by two seeds and
a masked record, with the mask of the third component's way to its two holders made explicit.

**Commitments.** A component is fixed by its seed and the public correction, so the header commits
to each *seed*. A hash of the component itself would be a fatal one: server 0 knows x_0 and x_1,
so it could try every plausible record, compute the x_2 that it would need and compare. A seed is
128 random bits whatever the record is: SHA-256 of it hides it (as a random oracle, up to 2^128
trials) and binds the donor to it (collision resistance). Each of the two holders of a seed compares
it with the commitment, and the two compare the hash of the header: both hold, so both hold the
same component.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from sfumato.donation.messages.layout import COMMITMENT_BYTES
from sfumato.donation.messages.refusals import Refusal, RefusalKind

__all__ = [
    "SEED_BYTES",
    "ServerShares",
    "check_commitments",
    "commitment",
    "expand_seed",
    "share_components",
]

SEED_BYTES = 16
_COMMITMENT = b"sfumato donation v1 commitment\0"
_EXPANSION = b"sfumato donation v1 share\0"


@dataclass(frozen=True, eq=False)
class ServerShares:
    """What one server learns from one report; nothing of it prints.

    Parameters
    ----------
    task_id, report_id, round_number
        The report.
    server
        0, 1 or 2.
    header_hash
        SHA-256 of the report's header; servers with the same hash hold parts of the same report.
    seeds
        In the mode ``"shuffle"`` the seeds of components ``server`` and ``server + 1`` (modulo 3).
    correction
        In the mode ``"shuffle"`` the public correction of component 2, L bytes.
    histogram_key
        The whole key of the histogram, or empty.
    mailbox_keys
        In the mode ``"dpf"`` the whole key of each sub-table.
    """

    task_id: bytes
    report_id: bytes
    round_number: int
    server: int
    header_hash: bytes
    seeds: tuple[bytes, ...] = field(default=(), repr=False)
    correction: bytes = field(default=b"", repr=False)
    histogram_key: bytes = field(default=b"", repr=False)
    mailbox_keys: tuple[bytes, ...] = field(default=(), repr=False)


def expand_seed(
    task_id: bytes, report_id: bytes, component: int, seed: bytes, length: int
) -> bytes:
    """Return the pad of a component: SHAKE128 of the seed, told apart by task, report and place."""
    prefix = _EXPANSION + task_id + report_id + bytes([component])
    return hashlib.shake_128(prefix + seed).digest(length)


def commitment(task_id: bytes, report_id: bytes, place: int, secret: bytes) -> bytes:
    """Return the commitment (32 bytes) to a seed, or in the mode ``"dpf"`` to a server's part."""
    prefix = _COMMITMENT + task_id + report_id + bytes([place])
    return hashlib.sha256(prefix + secret).digest()


def check_commitments(
    commitments: bytes, task_id: bytes, report_id: bytes, held: Sequence[tuple[int, bytes]]
) -> None:
    """Refuse shares that are not the committed ones.

    Parameters
    ----------
    commitments
        The three of the header, one behind the other.
    task_id, report_id
        The report.
    held
        (place, secret) of each share that the server holds.

    Raises
    ------
    Refusal
        Of the kind ``COMMITMENT``.
    """
    for place, secret in held:
        said = commitments[place * COMMITMENT_BYTES : (place + 1) * COMMITMENT_BYTES]
        if not hmac.compare_digest(said, commitment(task_id, report_id, place, secret)):
            raise Refusal(
                RefusalKind.COMMITMENT,
                f"report: share {place} is not the one that the header commits to",
            )


def share_components(
    shares: Sequence[ServerShares],
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Return the two components that a server holds of each record.

    Parameters
    ----------
    shares
        Of one server, in the mode ``"shuffle"`` (n).

    Returns
    -------
    tuple of np.ndarray
        Components ``server`` and ``server + 1`` (modulo 3), each of shape (n, L).
    """
    if not shares:
        empty = np.zeros((0, 0), dtype=np.uint8)
        return empty, empty
    length = len(shares[0].correction)
    components = []
    for position in range(2):
        component = (shares[0].server + position) % 3
        pads = b"".join(
            expand_seed(share.task_id, share.report_id, component, share.seeds[position], length)
            for share in shares
        )
        values = np.frombuffer(pads, dtype=np.uint8).reshape(len(shares), length)
        if component == 2:
            public = b"".join(share.correction for share in shares)
            values = values ^ np.frombuffer(public, dtype=np.uint8).reshape(values.shape)
        components.append(values)
    return components[0], components[1]
