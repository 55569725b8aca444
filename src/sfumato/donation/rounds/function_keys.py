"""The point functions of a task: which families, under which nonces, and how a report holds them.

A donor makes its keys with :func:`count_keys` (and, in the mode ``"dpf"``, those of its mailboxes);
the servers read them with :func:`read_keys`. The root label of 16 bytes is a server's own; the rest
is the public share, which a report carries once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sfumato.donation.functions import PartyKey, PointFunction, PublicShare, generate
from sfumato.donation.functions.generation import RANDOMNESS_BYTES
from sfumato.donation.functions.keys import KEY_BYTES
from sfumato.donation.messages import FunctionKeyLayout, TaskConfiguration
from sfumato.donation.records import RecordCodec
from sfumato.errors import PlanError, ProtocolError

__all__ = [
    "count_function",
    "count_keys",
    "count_layout",
    "key_layout",
    "key_pair",
    "nonce_of",
    "read_keys",
]

_LEAST_BITS = 3
KeyPair = tuple[bytes, bytes]


def count_function(codec: RecordCodec) -> PointFunction:
    """Return the family that counts a donation in its cell: the least domain that holds all."""
    return PointFunction(max(_LEAST_BITS, (codec.n_cells - 1).bit_length()), "count")


def key_layout(function: PointFunction) -> FunctionKeyLayout:
    """Return how the keys of a family stand in a report."""
    return FunctionKeyLayout(key_bytes=KEY_BYTES + function.public_bytes, private_bytes=KEY_BYTES)


def count_layout(codec: RecordCodec) -> FunctionKeyLayout:
    """Return what a task must say as ``histogram``."""
    return key_layout(count_function(codec))


def nonce_of(task_id: bytes, report_id: bytes, place: int) -> bytes:
    """Return the nonce of a report's key pair: place 0 is the histogram, 1 on the mailboxes."""
    return task_id + report_id + bytes([place])


def key_pair(
    function: PointFunction,
    position: int,
    payload: int | bytes,
    nonce: bytes,
    random_bytes: Callable[[int], bytes],
) -> KeyPair:
    """Return the two keys of a point as a report holds them: root label, then public share."""
    keys = generate(
        function, position, payload, nonce=nonce, randomness=random_bytes(RANDOMNESS_BYTES)
    )
    first, second = (key.secret + key.public.encoded for key in keys)
    return first, second


def count_keys(
    task: TaskConfiguration,
    report_id: bytes,
    cell: int,
    random_bytes: Callable[[int], bytes],
) -> KeyPair:
    """Return the histogram keys of one donation.

    Parameters
    ----------
    task
        The task; its layout must be that of :func:`count_layout`.
    report_id
        The number that the report will have.
    cell
        The donor's cell, as ``task.codec.cells`` gives it.
    random_bytes
        Returns that many secret random bytes: ``os.urandom`` outside tests.

    Raises
    ------
    PlanError
        If the task's histogram keys are laid out otherwise.
    """
    function = check_count_layout(task)
    nonce = nonce_of(task.task_id, report_id, 0)
    return key_pair(function, cell, 1, nonce, random_bytes)


def check_count_layout(task: TaskConfiguration) -> PointFunction:
    """Return the family of a task's histogram.

    Raises
    ------
    PlanError
        If the task has none, or lays its keys out otherwise.
    """
    function = count_function(task.codec)
    wanted = key_layout(function)
    if task.histogram != wanted:
        raise PlanError(
            f"task: the histogram of {task.codec.n_cells} cells needs keys of {wanted.key_bytes} "
            f"bytes, {wanted.private_bytes} of them a server's own: set histogram to that"
        )
    return function


def read_keys(
    function: PointFunction, nonces: Sequence[bytes], party: int, encoded: Sequence[bytes]
) -> list[PartyKey | None]:
    """Return a server's keys; None for one that is malformed.

    Parameters
    ----------
    function
        The family.
    nonces
        One for each key.
    party
        0 or 1.
    encoded
        Root label and public share of each.
    """
    keys: list[PartyKey | None] = []
    for nonce, data in zip(nonces, encoded, strict=True):
        try:
            public = PublicShare(function, nonce, data[KEY_BYTES:])
            keys.append(PartyKey(public, party, data[:KEY_BYTES]))
        except ProtocolError:
            keys.append(None)
    return keys
