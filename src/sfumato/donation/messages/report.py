"""One donation on its way to three servers."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Self

from sfumato.donation.messages.layout import ID_BYTES, VERSION, ReportLayout
from sfumato.donation.messages.refusals import Refusal, RefusalKind
from sfumato.donation.messages.shares import (
    SEED_BYTES,
    ServerShares,
    check_commitments,
    commitment,
    expand_seed,
)
from sfumato.donation.messages.task import FunctionKeyLayout, TaskConfiguration
from sfumato.donation.protecting import EnvelopeKey, seal
from sfumato.errors import ProtocolError

__all__ = ["MEDIA_TYPE", "Report", "check_report", "make_report", "open_report"]

MEDIA_TYPE = "application/sfumato-donation-report"

_ROUNDS = 2**32
_INFO = b"sfumato donation v1 report\0"

KeyPair = tuple[bytes, bytes]


@dataclass(frozen=True, eq=False)
class Report:
    """A report as bytes that have been found to be laid out as the task says.

    Parameters
    ----------
    data
        The whole report.
    layout
        Where its fields stand.
    round_number
        The round for which it was made.
    report_id
        16 random bytes.
    """

    data: bytes = field(repr=False)
    layout: ReportLayout = field(repr=False)
    round_number: int
    report_id: bytes = field(repr=False)

    @classmethod
    def from_bytes(cls, data: bytes, layout: ReportLayout) -> Self:
        """Read a report, without opening any part.

        Raises
        ------
        Refusal
            Of the kind ``LENGTH``, ``VERSION``, ``TASK``, ``REPORT_ID`` or ``KEY``.
        """
        if len(data) != layout.report_bytes:
            raise Refusal(
                RefusalKind.LENGTH,
                f"report: a report of this task has {layout.report_bytes} bytes (got {len(data)})",
            )
        if data[0] != VERSION:
            raise Refusal(
                RefusalKind.VERSION, f"report: version {data[0]} is unknown; known: {VERSION}"
            )
        if data[1:33] != layout.task_id:
            raise Refusal(RefusalKind.TASK, "report: made for another task")
        for config_id, part in zip(layout.config_ids, layout.part_slices, strict=True):
            if data[part.start - 1] != config_id:
                raise Refusal(
                    RefusalKind.KEY,
                    f"report: sealed to key configuration {data[part.start - 1]}, and the task "
                    f"says {config_id}",
                )
        report_id = data[layout.id_at : layout.token_at]
        if report_id == bytes(ID_BYTES):
            raise Refusal(RefusalKind.REPORT_ID, "report: the number must be random, not zeros")
        return cls(data, layout, int.from_bytes(data[33:37], "big"), report_id)

    @property
    def header(self) -> bytes:
        """All that every part is bound to."""
        return self.data[: self.layout.header_bytes]

    @property
    def token(self) -> bytes:
        """The registrar's signature; empty if the task has no registrar."""
        return self.data[self.layout.token_at : self.layout.commitments_at]

    @property
    def commitments(self) -> bytes:
        """Three commitments, one behind the other."""
        return self.data[self.layout.commitments_at : self.layout.public_at]

    @property
    def public_share(self) -> bytes:
        """What all servers may see: correction and correction words."""
        return self.data[self.layout.public_at : self.layout.header_bytes]


def make_report(
    task: TaskConfiguration,
    round_number: int,
    record: bytes,
    *,
    histogram_keys: KeyPair | None = None,
    mailbox_keys: Sequence[KeyPair] = (),
    report_id: bytes | None = None,
    token: bytes = b"",
    random_bytes: Callable[[int], bytes] = os.urandom,
) -> Report:
    """Return the report of one donor.

    Parameters
    ----------
    task
        The signed configuration.
    round_number
        The round that is open, 0 to 2^32 - 1.
    record
        The donor's answers, ``task.record_bytes`` long. In the mode ``"dpf"`` the mailbox keys
        hold it already, and it must be empty.
    histogram_keys
        The histogram's key pair for servers 0 and 1.
    mailbox_keys
        In the mode ``"dpf"`` a key pair for each sub-table.
    report_id
        The number for which the token was signed; drawn if the task has no registrar.
    token
        The registrar's signature.
    random_bytes
        Returns that many random bytes; the operating system's by default.

    Raises
    ------
    ProtocolError
        If an argument does not fit the task.
    """
    layout = task.layout
    if not 0 <= round_number < _ROUNDS:
        raise ProtocolError(
            f"report: the round is a number from 0 to 2^32 - 1 (got {round_number})"
        )
    if len(token) != layout.token_bytes or (token and report_id is None):
        raise ProtocolError(
            f"report: the task needs a token of {layout.token_bytes} bytes and the number that it "
            f"was signed for (got {len(token)} bytes)"
        )
    report_id = random_bytes(ID_BYTES) if report_id is None else report_id
    if len(report_id) != ID_BYTES or report_id == bytes(ID_BYTES):
        raise ProtocolError(f"report: the number has {ID_BYTES} random bytes")
    if mailbox_keys and task.mailbox is None:
        raise ProtocolError(f"report: the task needs 0 mailbox key pairs (got {len(mailbox_keys)})")
    histogram = _split([histogram_keys] if histogram_keys else [], task.histogram, 1, "histogram")
    if task.mode == "shuffle":
        if len(record) != task.record_bytes:
            raise ProtocolError(
                f"report: a record of this task has {task.record_bytes} bytes (got {len(record)})"
            )
        seeds = [random_bytes(SEED_BYTES) for _ in range(3)]
        public = _mask(task.task_id, report_id, seeds, record) + histogram.public
        parts = [
            seeds[0] + seeds[1] + histogram.own[0],
            seeds[1] + seeds[2] + histogram.own[1],
            seeds[2] + seeds[0],
        ]
        committed = seeds
    else:
        if record:
            raise ProtocolError("report: in the mode dpf the mailbox keys hold the record")
        mailbox = _split(mailbox_keys, task.mailbox, task.mailbox_tables, "mailbox")
        public = mailbox.public + histogram.public
        parts = [mailbox.own[0] + histogram.own[0], mailbox.own[1] + histogram.own[1], b""]
        committed = parts
    commitments = [
        commitment(task.task_id, report_id, place, secret) for place, secret in enumerate(committed)
    ]
    header = b"".join(
        (
            bytes([VERSION]),
            task.task_id,
            round_number.to_bytes(4, "big"),
            report_id,
            token,
            *commitments,
            public,
        )
    )
    sealed = [
        bytes([server.envelope.config_id])
        + seal(server.envelope.kem, server.envelope.public_key, parts[place], _info(place, header))
        for place, server in enumerate(task.servers)
    ]
    return Report.from_bytes(header + b"".join(sealed), layout)


def check_report(task: TaskConfiguration, report: Report, server: int, key: EnvelopeKey) -> None:
    """Do all checks that one server can do alone; what it would learn is let go of.

    Parameters and errors are those of :func:`open_report`.
    """
    held = _held(task, server, open_part(report, server, key))
    check_commitments(report.commitments, report.layout.task_id, report.report_id, held)


def open_report(
    task: TaskConfiguration, report: Report, server: int, key: EnvelopeKey
) -> ServerShares:
    """Return what one server learns from a report, after all checks that it can do alone.

    Parameters
    ----------
    task
        The signed configuration.
    report
        A report of the task.
    server
        Which server opens it: 0, 1 or 2.
    key
        Its private key.

    Raises
    ------
    Refusal
        Of the kind ``ENVELOPE`` or ``COMMITMENT``.
    """
    return read_part(task, report, server, open_part(report, server, key))


def open_part(report: Report, server: int, key: EnvelopeKey) -> bytes:
    """Return the plaintext of one server's part.

    Raises
    ------
    Refusal
        Of the kind ``ENVELOPE``.
    """
    try:
        return key.open(
            report.data[report.layout.part_slices[server]], _info(server, report.header)
        )
    except ProtocolError as error:
        raise Refusal(RefusalKind.ENVELOPE, f"report: {error}") from None


def read_part(task: TaskConfiguration, report: Report, server: int, part: bytes) -> ServerShares:
    """Return the shares that an opened part and the public share give, checked as committed.

    Raises
    ------
    Refusal
        Of the kind ``COMMITMENT``.
    """
    layout = report.layout
    public = report.public_share
    held = _held(task, server, part)
    check_commitments(report.commitments, layout.task_id, report.report_id, held)
    seeds: tuple[bytes, ...] = ()
    mailboxes: tuple[bytes, ...] = ()
    correction = b""
    if task.mode == "shuffle":
        seeds = (held[0][1], held[1][1])
        correction, public = public[: task.record_bytes], public[task.record_bytes :]
        own = part[2 * SEED_BYTES :]
    else:
        own = part
        if task.mailbox and server < 2:
            tables = task.mailbox_tables
            mailboxes = _join(task.mailbox, tables, own, public)
            own = own[tables * task.mailbox.private_bytes :]
            public = public[tables * task.mailbox.public_bytes :]
    return ServerShares(
        layout.task_id,
        report.report_id,
        report.round_number,
        server,
        hashlib.sha256(report.header).digest(),
        seeds,
        correction,
        own + public if task.histogram and server < 2 else b"",
        mailboxes,
    )


def _held(task: TaskConfiguration, server: int, part: bytes) -> list[tuple[int, bytes]]:
    """Return place and secret of each commitment that an opened part must fit."""
    if task.mode == "dpf":
        return [(server, part)]
    return [
        (server, part[:SEED_BYTES]),
        ((server + 1) % 3, part[SEED_BYTES : 2 * SEED_BYTES]),
    ]


@dataclass(frozen=True)
class _Split:
    """Key pairs taken apart: what each server alone gets, and what both do."""

    own: tuple[bytes, bytes] = field(repr=False)
    public: bytes = field(repr=False)


def _split(
    pairs: Sequence[KeyPair], layout: FunctionKeyLayout | None, count: int, what: str
) -> _Split:
    wanted = count if layout else 0
    if len(pairs) != wanted:
        raise ProtocolError(f"report: the task needs {wanted} {what} key pairs (got {len(pairs)})")
    if layout is None:
        return _Split((b"", b""), b"")
    at = layout.private_bytes
    for first, second in pairs:
        if not len(first) == len(second) == layout.key_bytes:
            raise ProtocolError(f"report: a {what} key of this task has {layout.key_bytes} bytes")
        if first[at:] != second[at:]:
            raise ProtocolError(
                f"report: the two {what} keys of a pair must agree from byte {at} on: set "
                "private_bytes to where they begin to"
            )
    first_own, second_own = (b"".join(pair[side][:at] for pair in pairs) for side in range(2))
    return _Split((first_own, second_own), b"".join(pair[0][at:] for pair in pairs))


def _join(layout: FunctionKeyLayout, count: int, own: bytes, public: bytes) -> tuple[bytes, ...]:
    mine, common = layout.private_bytes, layout.public_bytes
    return tuple(
        own[table * mine : (table + 1) * mine] + public[table * common : (table + 1) * common]
        for table in range(count)
    )


def _mask(task_id: bytes, report_id: bytes, seeds: Sequence[bytes], record: bytes) -> bytes:
    """Return the record under the pads of all three seeds."""
    masked = int.from_bytes(record, "big")
    for component, seed in enumerate(seeds):
        pad = expand_seed(task_id, report_id, component, seed, len(record))
        masked ^= int.from_bytes(pad, "big")
    return masked.to_bytes(len(record), "big")


def _info(server: int, header: bytes) -> bytes:
    return _role(server) + header


@lru_cache(maxsize=4)
def _role(server: int) -> bytes:
    return _INFO + b"server " + str(server).encode() + b"\0"
