"""Evaluate point functions on their whole domain: one key, or many into one table.

Two paths give the same bytes: NumPy with `cryptography`, which runs anywhere, and compiled loops
with the processor's AES instructions. `path="auto"` takes the compiled one where there are such
instructions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from sfumato.donation.functions import numpy_evaluation
from sfumato.donation.functions.keys import PartyKey
from sfumato.donation.functions.point_function import Payload, PointFunction
from sfumato.donation.functions.processor import Path, chosen_width
from sfumato.donation.functions.verification import Checks, VerificationKey, proofs_of
from sfumato.errors import ProtocolError

__all__ = ["accumulate", "empty_table", "evaluate", "write"]

_NUMBERS = {"u32": np.uint32, "u64": np.uint64}


def evaluate(
    key: PartyKey, *, out: npt.NDArray[Any] | None = None, path: Path = "auto"
) -> npt.NDArray[Any]:
    """Return one party's shares of a point function at every position.

    Parameters
    ----------
    key
        A key of a family that is not verifiable; for the others see :func:`accumulate` and
        :func:`write`.
    out
        What an earlier call for the same family gave, to be overwritten: fresh memory costs about
        as much time again.
    path
        ``"auto"``, ``"numpy"`` or ``"compiled"``.

    Returns
    -------
    numpy.ndarray
        Bits: bytes, eight positions each, lowest bit first (at least one). Numbers: shape
        (2**domain_bits,). Blocks: bytes of shape (2**domain_bits, 16). Both parties' shares XOR, or
        add, to the function.

    Raises
    ------
    ProtocolError
        If the family is verifiable, or `out` is of another one.
    EngineError
        If the compiled path is asked for on a processor without AES instructions.
    """
    function = key.public.function
    if function.verifiable:
        raise ProtocolError(
            f"payload {function.payload!r} is verifiable: add it to a table, with a proof"
        )
    kind = _NUMBERS.get(function.payload, np.uint8)
    shape = (function.rows, function.row_bytes // np.dtype(kind).itemsize)
    table = np.empty(shape, kind) if out is None else _table_of(out, shape, np.dtype(kind))
    width = chosen_width(path, function.row_bytes)
    if width is None:
        numpy_evaluation.write_rows(key, table)
    else:
        from sfumato.donation.functions import compiled_evaluation

        compiled_evaluation.write_rows(key, table, width)
    if function.payload == "bit":
        return table.reshape(-1)[: max(1, function.size // 8)]
    if function.payload == "block":
        return table.reshape(-1, 16)[: function.size]
    return table.reshape(-1)[: function.size]


def empty_table(function: PointFunction, positions: int | None = None) -> npt.NDArray[Any]:
    """Return a table of zeros for a verifiable family.

    Parameters
    ----------
    function
        The family.
    positions
        How many positions are in use, 1 to 2**domain_bits, if not all. The table has some more at
        most; what is beyond costs no time, and a key whose point is there is refused.

    Returns
    -------
    numpy.ndarray
        Counts: numbers of 32 bits of shape (rows,). Records: bytes of shape (rows, row_bytes); what
        is beyond a record's length in a row means nothing and must not be sent.

    Raises
    ------
    ProtocolError
        If the family is not verifiable, or has fewer positions.
    """
    if not function.verifiable:
        raise ProtocolError(f"payload {function.payload!r} has no table: it is not verifiable")
    used = function.size if positions is None else positions
    if not 1 <= used <= function.size:
        raise ProtocolError(f"positions is {used}; the domain has {function.size}")
    rows = -(-used // function.subtree_rows) * function.subtree_rows
    shape, kind = _table_kind(function)
    return np.zeros((rows, *shape), kind)


def accumulate(
    keys: Sequence[PartyKey],
    table: npt.NDArray[np.uint32],
    verification_key: VerificationKey,
    *,
    marks: npt.NDArray[np.uint32] | None = None,
    remove: bool = False,
    path: Path = "auto",
) -> Checks:
    """Add many donors' counts to one server's share of a histogram, in place.

    Parameters
    ----------
    keys
        One key of each donor, of one family of payload ``"count"`` and one party.
    table
        What :func:`empty_table` gives, or what was accumulated so far.
    verification_key
        The secret of the two servers.
    marks
        A number of each row of the table, the same at both servers and of the table's shape; of
        each donor's position it is told in shares. 0 everywhere by default.
    remove
        Take off what was added by mistake, as for donors whose keys were refused.
    path
        ``"auto"``, ``"numpy"`` or ``"compiled"``.

    Returns
    -------
    Checks
        Proofs, and this server's shares of each donor's sum of counts and of the mark of its
        position: see :func:`~sfumato.donation.functions.verification.verdicts`.

    Raises
    ------
    ProtocolError
        If keys, table or marks do not fit each other.
    EngineError
        If the compiled path is asked for on a processor without AES instructions.
    """
    function = _family(keys, "count", table)
    if function is None:
        return Checks(np.zeros((0, 32), np.uint8), np.zeros(0, np.uint32), np.zeros(0, np.uint32))
    if marks is None:
        marks = np.zeros(len(table), np.uint32)
    elif marks.shape != table.shape or marks.dtype != np.uint32 or not marks.flags.c_contiguous:
        raise ProtocolError(
            f"the marks have shape {marks.shape} and type {marks.dtype}; they are as many as the "
            f"table's rows, {len(table)}, of type uint32, and contiguous"
        )
    width = chosen_width(path, 16 * 8)
    if width is None:
        found = numpy_evaluation.add_counts(keys, table, verification_key, marks, remove=remove)
    else:
        from sfumato.donation.functions import compiled_evaluation

        found = compiled_evaluation.add_counts(
            keys, table, verification_key, marks, width, remove=remove
        )
    sums, totals, beyond, marked = found
    return Checks(proofs_of(keys, sums, beyond, verification_key), totals, marked)


def write(
    keys: Sequence[PartyKey],
    table: npt.NDArray[np.uint8],
    verification_key: VerificationKey,
    *,
    path: Path = "auto",
) -> Checks:
    """XOR many donors' records into one server's share of a table of mailboxes, in place.

    To write the same keys again takes them out.

    Parameters
    ----------
    keys
        One key of each donor, of one family of payload ``"record"`` and one party.
    table
        What :func:`empty_table` gives, or what was written so far.
    verification_key
        The secret of the two servers.
    path
        ``"auto"``, ``"numpy"`` or ``"compiled"``.

    Returns
    -------
    Checks
        Proofs, and this server's shares of each donor's record.

    Raises
    ------
    ProtocolError
        If keys or table do not fit each other.
    EngineError
        If the compiled path is asked for on a processor without AES instructions.
    """
    function = _family(keys, "record", table)
    if function is None:
        nothing = np.zeros(0, np.uint32)
        return Checks(np.zeros((0, 32), np.uint8), np.zeros((0, 0), np.uint8), nothing)
    width = chosen_width(path, function.row_bytes)
    if width is None:
        found = numpy_evaluation.add_records(keys, table, verification_key)
    else:
        from sfumato.donation.functions import compiled_evaluation

        found = compiled_evaluation.add_records(keys, table, verification_key, width)
    sums, totals, beyond = found
    proofs = proofs_of(keys, sums, beyond, verification_key)
    return Checks(proofs, totals[:, : function.length], np.zeros(len(keys), np.uint32))


def _table_kind(function: PointFunction) -> tuple[tuple[int, ...], type[np.unsignedinteger]]:
    """Return the shape of a row and the type of a table."""
    return ((), np.uint32) if function.payload == "count" else ((function.row_bytes,), np.uint8)


def _table_of(
    out: npt.NDArray[Any], shape: tuple[int, int], kind: np.dtype[Any]
) -> npt.NDArray[Any]:
    """Return the table that an earlier result is a view of."""
    table = out.base if isinstance(out.base, np.ndarray) else out
    if table.shape != shape or table.dtype != kind or not table.flags.writeable:
        raise ProtocolError("out is no result of an earlier evaluation of the same family")
    return table


def _family(
    keys: Sequence[PartyKey], payload: Payload, table: npt.NDArray[Any]
) -> PointFunction | None:
    """Return the family of all keys, or None if there is no key."""
    if not keys:
        return None
    function = keys[0].public.function
    if function.payload != payload:
        raise ProtocolError(f"the keys' payload is {function.payload!r}; here it is {payload!r}")
    if any(key.public.function != function or key.party != keys[0].party for key in keys):
        raise ProtocolError("the keys are of more than one family or party")
    shape, kind = _table_kind(function)
    rows = len(table)
    fitting = 0 < rows <= function.rows and rows % function.subtree_rows == 0
    if not fitting or table.shape[1:] != shape or table.dtype != kind:
        raise ProtocolError(
            f"the table has shape {table.shape} and type {table.dtype}; with {function} it has "
            f"{(function.rows, *shape)}, or a multiple of {function.subtree_rows} rows less, and "
            f"{np.dtype(kind)}"
        )
    if not (table.flags.c_contiguous and table.flags.writeable):
        raise ProtocolError("the table is not contiguous or not writeable: pass the array itself")
    return function
