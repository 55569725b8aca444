"""Make the two keys of a point function.

**Tree** (Guo, Yang, Wang, Zhang, Xie, Liu, Zhao, *Half-Tree: Halving the Cost of Tree Expansion in
COT and DPF*, EUROCRYPT 2023, section 5). The parties' roots differ by a secret `D` whose lowest bit
is one. A label `x` with control bit `t` has the children `H(x) ^ t c` and `H(x) ^ x ^ t c`, with
the level's correction `c = H(x0) ^ H(x1) ^ (1 - branch) D` of the labels on the way. So the
parties' labels differ by `D` on the way to the position and by nothing elsewhere.

**Row.** The row of a last label is `G(x) + t w` with `w` such that the two rows differ by the
payload at the position. `G` has an AES key of its own, so the rows are independent of the tree.

**Secrecy.** Let AES be an ideal cipher, and `q` the queries to it. One party sees its root, which
is uniform, and corrections that are masked by values of `H`, `G` and the tag at `x ^ D`, with `x`
known to it and `D` uniform in 127 bits and known to nobody but the donor. Circular correlation
robustness (cited in :mod:`.fixed_key_hash`) says that these look uniform, up to about `q * depth /
2**127` for the keys of one nonce. So a party's key can be drawn without knowing position or
payload: a server alone learns neither, whatever it does with the key, and that holds for each of
many donors with the same bound, as every nonce has keys of its own.

Position and payload meet only arithmetic and masks: no branch and no address depends on them.
"""

from __future__ import annotations

import secrets

import numpy as np
import numpy.typing as npt

from sfumato.donation.functions.fixed_key_hash import (
    CHILDREN,
    ROW,
    TAG,
    FixedKeyHash,
    Words,
    control_masks,
    fixed_keys,
    sigma,
)
from sfumato.donation.functions.keys import PartyKey, PublicShare
from sfumato.donation.functions.point_function import PointFunction
from sfumato.errors import ProtocolError

__all__ = ["RANDOMNESS_BYTES", "generate", "system_randomness"]

RANDOMNESS_BYTES = 32
_EVEN = np.uint64(0xFFFFFFFFFFFFFFFE)
_ONE = np.uint64(1)


def system_randomness() -> bytes:
    """Return the bytes that one pair of keys needs, from the operating system."""
    return secrets.token_bytes(RANDOMNESS_BYTES)


def generate(
    function: PointFunction,
    position: int,
    payload: int | bytes,
    *,
    nonce: bytes,
    randomness: bytes,
) -> tuple[PartyKey, PartyKey]:
    """Return the keys of the function that is `payload` at `position` and zero elsewhere.

    Parameters
    ----------
    function
        The family.
    position
        0 to 2**domain_bits - 1.
    payload
        A number for a bit (0 or 1), a number of 32 or 64 bits (unsigned) and a count (1); bytes of
        the family's length for a block and a record.
    nonce
        16 to 64 bytes that no other report has; not secret.
    randomness
        32 uniform bytes that are used for nothing else: :func:`system_randomness`.

    Returns
    -------
    tuple of PartyKey
        The keys of party 0 and party 1.

    Raises
    ------
    ProtocolError
        If an argument is out of its range.
    MissingExtra
        If `cryptography` is not installed.
    """
    if not 0 <= position < function.size:
        raise ProtocolError(f"the position is outside a domain of {function.domain_bits} bits")
    if len(randomness) != RANDOMNESS_BYTES:
        raise ProtocolError(
            f"randomness has {len(randomness)} bytes; a pair of keys needs {RANDOMNESS_BYTES}"
        )
    row = _row_with(function, position, payload)
    hashes = [FixedKeyHash(key) for key in fixed_keys(function, nonce)]
    roots = np.frombuffer(randomness, "<u8").reshape(2, 2).astype(np.uint64)
    roots[0, 0] &= _EVEN
    roots[1, 0] |= _ONE  # the parties' difference D, for now
    difference = roots[1].copy()
    roots[1] ^= roots[0]
    labels, levels = _descend(function, position, roots, difference, hashes[CHILDREN])
    images = sigma(labels)
    check = np.stack([hashes[index](images) for index in TAG], axis=1)  # party, half, word
    if function.payload == "count":
        numbers = (check[:, 0, 0] & np.uint64(0xFFFFFFFF)).astype(np.uint32)[:, None]
        correction = _additive(numbers, row.view("<u4"), labels).view(np.uint8)
    elif function.payload in {"u32", "u64"}:
        kind = "<u4" if function.payload == "u32" else "<u8"
        shares = hashes[ROW].rows(images, function.row_bytes // 16).reshape(2, -1).view(kind)
        correction = _additive(shares, row.view(kind), labels).view(np.uint8)
    else:
        blocks = hashes[ROW].rows(images, function.row_bytes // 16).reshape(2, -1)
        correction = (blocks[0] ^ blocks[1]).view(np.uint8) ^ row
    tail = correction[: function.payload_bytes]
    if function.verifiable:
        tag = (check[0] ^ check[1]).reshape(-1).view(np.uint8)
        if function.payload == "count":
            tag[:4] = correction
        tail = np.concatenate([tag, tail])
    public = PublicShare(
        function, nonce, function.header + levels.tobytes() + tail.astype(np.uint8).tobytes()
    )
    return PartyKey(public, 0, roots[0].tobytes()), PartyKey(public, 1, roots[1].tobytes())


def _descend(
    function: PointFunction,
    position: int,
    roots: Words,
    difference: Words,
    children: FixedKeyHash,
) -> tuple[Words, Words]:
    """Go to the position with both parties' labels; return these and the corrections."""
    labels = roots
    levels = np.zeros((function.depth, 2), np.uint64)
    for level, branch in enumerate(function.branches(position >> function.shared_bits)):
        right = np.negative(np.array([branch], np.uint64))  # all ones or all zeros
        hashed = children(sigma(labels))
        levels[level] = hashed[0] ^ hashed[1] ^ (difference & ~right)
        labels = hashed ^ (labels & right) ^ (levels[level] & control_masks(labels))
    return labels, levels


def _additive(
    shares: npt.NDArray[np.unsignedinteger], row: npt.NDArray[np.unsignedinteger], labels: Words
) -> npt.NDArray[np.unsignedinteger]:
    """Return `w` with `(shares0 + t0 w) - (shares1 + t1 w) = row` where t0 and t1 differ."""
    wanted: npt.NDArray[np.unsignedinteger] = row - shares[0] + shares[1]
    sign = control_masks(labels[1]).astype(wanted.dtype)
    corrected: npt.NDArray[np.unsignedinteger] = (wanted ^ sign) - sign
    return corrected


def _row_with(
    function: PointFunction, position: int, payload: int | bytes
) -> npt.NDArray[np.uint8]:
    """Return the row of the position as it is to be, in bytes."""
    bits = {"bit": 1, "u32": 32, "u64": 64, "count": 1}.get(function.payload)
    if bits is None:
        if not isinstance(payload, bytes) or len(payload) != function.length:
            raise ProtocolError(f"the payload is not {function.length} bytes")
    elif not isinstance(payload, int) or not 0 <= payload < 1 << bits:
        raise ProtocolError(f"the payload is not an unsigned number of {bits} bits")
    elif function.payload == "count" and payload != 1:
        raise ProtocolError("the payload of a count is 1")
    places = np.arange(1 << function.shared_bits)
    here = places == (position & (len(places) - 1))
    if function.payload == "bit":
        return np.packbits(here * np.uint8(payload), bitorder="little")
    if isinstance(payload, int):
        kind = np.uint64 if function.payload == "u64" else np.uint32
        return np.where(here, kind(payload), kind(0)).view(np.uint8)
    row = np.zeros(function.row_bytes, np.uint8)
    repeated = here[:, None] * np.frombuffer(payload, np.uint8)
    row[: repeated.size] = repeated.reshape(-1)
    return row
