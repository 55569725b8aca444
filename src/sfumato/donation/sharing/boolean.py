"""Gates on boolean shares: exclusive or and masks are local (operators), AND takes one message.

For z = x and y, server i computes ``x_i y_i ^ x_i y_(i+1) ^ x_(i+1) y_i`` and its part of a sharing
of zero, and sends the sum to the server before it: one bit a gate and server, 64 gates a word.

What is covered
---------------
A semi-honest server sees, of each gate, one word masked by a stream whose key it lacks: uniform. An
active server can do one thing: add a difference of its choice to the word it sends, so that a
gate's result is flipped at places it chooses without knowing what it flips. The result stays
consistently shared, so opening it does not show the flip. Two things catch it: :func:`verify_gates`
(an option, run before anything is opened), which finds any flip but with probability 2^-64; and, in
the donation protocol, the recount: the labels are opened from checked shares, each class is counted
anew from them, and classes below k are dropped before a sensitive value is opened, so a forged
recoding can cost utility but not k. Without the audit, a flip can also make an opened bit depend on
a hidden one (a selective failure): whoever opens intermediate bits should audit first.

Source: Araki et al. (CCS 2016), section 2.
"""

from __future__ import annotations

from itertools import accumulate, pairwise

import numpy as np

from sfumato.donation.sharing.party import Party
from sfumato.donation.sharing.shares import BooleanShares, concatenate

__all__ = ["conjunction", "invert", "select"]

_BLOCK = 1 << 15  # words worked on while they are in the cache


def conjunction(party: Party, x: BooleanShares, y: BooleanShares) -> BooleanShares:
    """Return shares of ``x and y``, bit by bit: one round.

    Parameters
    ----------
    party
        The server.
    x, y
        Shares of arrays of the same type, whose shapes broadcast.

    Raises
    ------
    ProtocolError
        If a peer is gone, or sends another number of bytes.
    """
    party.begin("AND")
    if x.shape != y.shape:
        shape = np.broadcast_shapes(x.shape, y.shape)
        x, y = (
            BooleanShares(
                *(np.broadcast_to(part, shape).copy() for part in (one.first, one.second))
            )
            for one in (x, y)
        )
    part = party.zero(BooleanShares, x.shape, x.dtype)
    flat, (a, b), (c, d) = (
        part.reshape(-1),
        (x.first.reshape(-1), x.second.reshape(-1)),
        (y.first.reshape(-1), y.second.reshape(-1)),
    )
    for start in range(0, len(flat), _BLOCK):
        now = slice(start, start + _BLOCK)
        crossed = c[now] ^ d[now]
        crossed &= a[now]
        flat[now] ^= crossed
        np.bitwise_and(b[now], c[now], out=crossed)
        flat[now] ^= crossed
    z = party.replicate(BooleanShares, part)
    if party.gates is not None:
        party.gates.append((x, y, z))
    return z


def invert(party: Party, x: BooleanShares) -> BooleanShares:
    """Return shares of ``not x``; local."""
    first = ~x.first if party.index == 0 else x.first
    return BooleanShares(first, ~x.second if party.index == 2 else x.second)


def select(
    party: Party, condition: BooleanShares, x: BooleanShares, y: BooleanShares
) -> BooleanShares:
    """Return ``x`` where the condition holds, else ``y``, bit by bit: one round.

    Parameters
    ----------
    party
        The server.
    condition
        Bits; its shape broadcasts to that of ``x``.
    x, y
        Shares of the same shape and type.
    """
    return conjunction(party, condition, x ^ y) ^ y


def conjunction_of_all(party: Party, x: BooleanShares) -> BooleanShares:
    """Return the conjunction over the first axis, in log2 rounds; its length stays 1."""
    while len(x) > 1:
        half = len(x) // 2
        both = conjunction(party, x[:half], x[half : 2 * half])
        x = concatenate([both, x[2 * half :]]) if len(x) % 2 else both
    return x


def stack_gates(
    party: Party, pairs: list[tuple[BooleanShares, BooleanShares]]
) -> list[BooleanShares]:
    """Return the conjunction of each pair, all in one round; pairs are joined on the first axis."""
    z = conjunction(party, concatenate([x for x, _ in pairs]), concatenate([y for _, y in pairs]))
    ends = accumulate((len(x) for x, _ in pairs), initial=0)
    return [z[start:end] for start, end in pairwise(ends)]
