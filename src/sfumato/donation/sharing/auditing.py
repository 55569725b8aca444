"""An audit of AND gates: any flipped result is found before anything is opened.

An option (``Party.agree(..., audited=True)``): the gates x, y, z of each server are kept, and
:func:`verify_gates` proves them all at once, by sacrificing one random mask a gate:

1. Draw, without a message, a shared uniform word a_k for each gate k, and compute by one replicated
   product c = sum of a_k y_k in GF(2)^64: locally but for one masked word.
2. Toss a coin for the public words w_k.
3. Open v_k = w_k x_k + a_k, with both copies compared. (Bits multiply words as 0 or 1.)
4. Open t = sum of (v_k y_k - w_k z_k) - c, local sums now that v is public; it must be zero.

If z_k = x_k y_k + e_k and c is off by e', then t = e' - sum of w_k e_k (over GF(2), signs aside).
All e were fixed before the w were tossed; if any e_k is 1, t is uniform and passes with
probability 2^-64. If another v is opened, the two copies differ.

Privacy: v is masked by a, uniform, used once and unknown to each server; t is zero, or a function
of the corrupt server's own differences. So the audit tells nothing, whether it passes or fails.

Costs: 8 bytes a gate and server, no field multiplication, four rounds however many gates.

Sources: Lindell and Nof, "A framework for constructing fast MPC over arithmetic circuits with
malicious adversaries and an honest-majority" (CCS 2017), and Nordholt and Veeningen (ACNS 2018),
for sacrificing one mask a product; here over GF(2), all at once, with words as weights.
"""

from __future__ import annotations

import numpy as np

from sfumato.donation.sharing.opening import OpeningByParts, open_to_all
from sfumato.donation.sharing.party import Party, Randomness, toss
from sfumato.donation.sharing.shares import BooleanShares
from sfumato.errors import InternalError, ProtocolError

__all__ = ["verify_gates"]

_BLOCK = 1 << 12  # words of 64 gates: 2 MB of masks


def verify_gates(party: Party, randomness: Randomness) -> int:
    """Prove all AND gates since the last call, and forget them.

    Parameters
    ----------
    party
        The server, agreed with ``audited=True``.
    randomness
        Source of secret uniform bytes, for the coin.

    Returns
    -------
    How many gates were proved.

    Raises
    ------
    ProtocolError
        If the result of a gate was flipped, or a peer is gone.
    InternalError
        If the party keeps no gates.
    """
    from sfumato.donation.sharing.binary_field_kernels import (
        audit_crossed,
        audit_masked,
        audit_opened,
    )

    if party.gates is None:
        raise InternalError("AND gates are proved only for Party.agree(..., audited=True)")
    x, y, z = (
        BooleanShares(
            *(
                _joined([getattr(gate[place], side) for gate in party.gates])
                for side in ("first", "second")
            )
        )
        for place in range(3)
    )
    party.gates.clear()
    count = len(x)
    if not count:
        return 0
    blocks = [slice(start, min(start + _BLOCK, count)) for start in range(0, count, _BLOCK)]
    masks = [stream.begin("audit") for stream in party.streams]
    buffers = [np.empty((min(_BLOCK, count), 64), np.uint64) for _ in range(3)]

    party.begin("audit: commit")
    part = party.zero(BooleanShares, (1,), np.uint64)
    for now in blocks:
        first, second = (buffer[: now.stop - now.start] for buffer in buffers[:2])
        masks[0].fill(first)
        masks[1].fill(second)
        part[0] ^= audit_crossed(first, second, y.first[now], y.second[now])
    crossed = party.replicate(BooleanShares, part)

    coin = toss(party, randomness).begin("weights of gates")
    party.begin("audit: open")
    masks = [mask.again() for mask in masks]
    opening = OpeningByParts(party)
    total = BooleanShares(crossed.first.copy(), crossed.second.copy())
    for now in blocks:
        length = now.stop - now.start
        first, second = (np.empty((length, 64), np.uint64) for _ in range(2))
        weights = buffers[2][:length]
        coin.fill(weights)
        for stream, mask, bits in zip(
            masks, (first, second), (x.first[now], x.second[now]), strict=True
        ):
            stream.fill(mask)
            audit_masked(mask, weights, bits)
        opened = opening.open(BooleanShares(first, second))
        total.first[0] ^= audit_opened(opened, weights, y.first[now], z.first[now])
        total.second[0] ^= audit_opened(opened, weights, y.second[now], z.second[now])
    opening.compare()
    if open_to_all(party, total)[0]:
        raise ProtocolError(
            "step 'audit': the result of an AND gate was changed by a server; start the round "
            "again with fresh keys"
        )
    return 64 * count


def _joined(parts: list[np.ndarray]) -> np.ndarray:
    words = [np.ascontiguousarray(part).reshape(-1).view(np.uint8) for part in parts]
    octets = np.concatenate([*words, np.zeros(-sum(map(len, words)) % 8, np.uint8)])
    return octets.view(np.uint64)
