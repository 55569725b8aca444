"""The keys of a point function: what both servers get, what each gets alone, and their bytes.

The corrections are the same in both keys, so they are sent and stored once, as the *public share*;
what a server gets alone is a root label of 16 bytes. Every byte of an encoding is checked or free:
there is one encoding for each key, and a decoder that accepts another has a defect.

============== ======================= ==========================================
 public share   5                       header of the family
                16 × depth              a correction for each level
                32 if verifiable        the correction of the check
                payload_bytes           the correction of the row (a count's is
                                        the first word of the check's)
 party's key    16                      root label; its lowest bit is the party
============== ======================= ==========================================
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from sfumato.donation.functions.fixed_key_hash import Words, fixed_keys
from sfumato.donation.functions.point_function import PointFunction
from sfumato.errors import ProtocolError

__all__ = ["KEY_BYTES", "Corrections", "PartyKey", "PublicShare", "corrections_of"]

KEY_BYTES = 16
_WITHOUT_COUNT = np.uint64(0xFFFFFFFF00000000)


@dataclass(frozen=True)
class PublicShare:
    """The part of a pair of keys that both servers get.

    Parameters
    ----------
    function
        The family that both servers have agreed on.
    nonce
        16 to 64 bytes that no other report has; it is sent with the report and not in `encoded`.
    encoded
        The bytes above.

    Raises
    ------
    ProtocolError
        If the bytes are not a public share of this family.
    """

    function: PointFunction
    nonce: bytes = field(repr=False)
    encoded: bytes = field(repr=False)

    def __post_init__(self) -> None:
        fixed_keys(self.function, self.nonce)
        if len(self.encoded) != self.function.public_bytes:
            raise ProtocolError(
                f"a public share has {len(self.encoded)} bytes; with {self.function} it has "
                f"{self.function.public_bytes}"
            )
        if not self.encoded.startswith(self.function.header):
            raise ProtocolError(
                f"a public share begins with another version, payload, domain or length than "
                f"those of {self.function}"
            )


@dataclass(frozen=True)
class PartyKey:
    """The key of one server.

    Parameters
    ----------
    public
        What both servers get.
    party
        0 or 1.
    secret
        16 bytes that only this server gets. They are never printed.

    Raises
    ------
    ProtocolError
        If the key is not one of this party.
    """

    public: PublicShare
    party: int
    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if self.party not in {0, 1}:
            raise ProtocolError(f"party is {self.party}; a point function has parties 0 and 1")
        if len(self.secret) != KEY_BYTES:
            raise ProtocolError(f"a key has {len(self.secret)} bytes; it has {KEY_BYTES}")
        if self.secret[0] & 1 != self.party:
            raise ProtocolError(f"the key is not one of party {self.party}: ask for that party's")


@dataclass(frozen=True, eq=False)
class Corrections:
    """The corrections of many public shares of one family, as arrays.

    Parameters
    ----------
    levels
        Words of shape (keys, depth, 2).
    check
        Words of shape (keys, 4), zero where the family is not verifiable; of a count, the lowest
        32 bits are zero.
    rows
        Bytes of shape (keys, row_bytes), padded with zeros.
    """

    levels: Words
    check: Words
    rows: npt.NDArray[np.uint8]


def corrections_of(shares: Sequence[PublicShare]) -> Corrections:
    """Return the corrections of public shares, which are of one family and at least one."""
    function = shares[0].function
    raw = np.frombuffer(b"".join(share.encoded for share in shares), np.uint8)
    raw = raw.reshape(len(shares), function.public_bytes)
    first = len(function.header)
    second = first + 16 * function.depth
    third = second + function.check_bytes
    levels = np.frombuffer(raw[:, first:second].tobytes(), "<u8")
    check = np.zeros((len(shares), 4), np.uint64)
    if function.verifiable:
        check[:] = np.ascontiguousarray(raw[:, second:third]).view("<u8")
    rows = np.zeros((len(shares), function.row_bytes), np.uint8)
    rows[:, : function.payload_bytes] = raw[:, third:]
    if function.payload == "count":
        rows[:] = raw[:, second : second + 4]
        check[:, 0] &= _WITHOUT_COUNT
    return Corrections(levels.reshape(len(shares), function.depth, 2), check, rows)
