"""An audit of products: any changed result is found before anything is opened.

As :mod:`~.auditing` does for gates, with one mask a product sacrificed, in the ring of the numbers
themselves. The products x, y, z since the last audit are proved all at once:

1. Draw, without a message, a shared uniform number a_k for each product k, and compute by one
   replicated product c = sum of a_k y_k: locally but for one masked number.
2. Toss a coin for the public numbers w_k.
3. Open v_k = w_k x_k + a_k, with both copies compared.
4. Open t = sum of (v_k y_k - w_k z_k) - c, local sums now that v is public; it must be zero.

If z_k = x_k y_k + e_k and c is off by e', then t = -e' - sum of w_k e_k. All e were fixed before
the w were tossed.

- Modulo the prime 2^61 - 1: if any e_k is not zero, t is uniform and passes with probability 2^-61.
- Modulo 2^64: if e_k is 2^v times an odd number, t is uniform among the multiples of 2^v at least
  and passes with probability 2^-(64 - v). **So what is proved is each product modulo 2^32**: a
  difference there passes with probability 2^-32. Differences beyond stay multiples of 2^32 under
  sums and products, so whoever uses the lower 32 bits alone (slicing at most 32, opening no more)
  uses proven numbers.

Privacy: v is masked by a, uniform, used once and unknown to each server; t is zero, or a function
of the corrupt server's own differences.

Source: Lindell and Nof (CCS 2017), sections 3 and 4, and Nordholt and Veeningen (ACNS 2018), for
sacrificing one mask a product; Cramer, Damgard, Escudero, Scholl, Xing, "SPDZ2k" (CRYPTO 2018),
section 3, for checking modulo 2^(k + s) what holds modulo 2^k.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sfumato.donation.sharing.auditing import verify_gates
from sfumato.donation.sharing.opening import OpeningByParts, open_to_all
from sfumato.donation.sharing.party import Party, Product, Randomness, toss
from sfumato.donation.sharing.shares import A, ArithmeticShares, FieldShares
from sfumato.donation.sharing.streams import MaskStream
from sfumato.errors import InternalError, ProtocolError

__all__ = ["prove", "verify_products"]

_BLOCK = 1 << 15  # products worked on at a time

Block = tuple[A, A, A]


def prove(party: Party, randomness: Randomness) -> None:
    """Prove all gates and products since the last call, if the party keeps them.

    Parameters and errors are those of :func:`verify_products`.
    """
    if party.gates is not None:
        verify_gates(party, randomness)
    if party.products is not None:
        verify_products(party, randomness)


def verify_products(party: Party, randomness: Randomness) -> int:
    """Prove all products since the last call, and forget them.

    Parameters
    ----------
    party
        The server, agreed with ``audited=True``.
    randomness
        Source of secret uniform bytes, for the coin.

    Returns
    -------
    How many products were proved: those of :class:`ArithmeticShares` modulo 2^32, those of
    :class:`FieldShares` modulo the prime.

    Raises
    ------
    ProtocolError
        If a result was changed, or a peer is gone.
    InternalError
        If the party keeps no products, or some are of numbers under 64 bits.
    """
    if party.products is None:
        raise InternalError("products are proved only for Party.agree(..., audited=True)")
    if any(z.dtype != np.uint64 for _, _, z in party.products):
        raise InternalError("products are proved of shares of 64 bits")
    kept = list(party.products)
    party.products.clear()
    return _proved(party, ArithmeticShares, kept, randomness) + _proved(
        party, FieldShares, kept, randomness
    )


def _proved(party: Party, kind: type[A], kept: list[Product], randomness: Randomness) -> int:
    """Prove the products of one kind."""
    blocks = [block for product in kept for block in _blocks(kind, product)]
    if not blocks:
        return 0
    masks = [stream.begin(f"audit of {kind.__name__}") for stream in party.streams]
    party.begin("audit of products: commit")
    part = party.zero(kind, (1,), np.uint64)
    for x, y, _ in blocks:
        mask = _drawn(kind, masks, len(x))
        crossed = kind.plus(
            kind.times(mask.first, kind.plus(y.first, y.second)), kind.times(mask.second, y.first)
        )
        part = kind.plus(part, kind.total(crossed))
    total = party.replicate(kind, part)

    coin = toss(party, randomness).begin("weights of products")
    party.begin("audit of products: open")
    masks = [mask.again() for mask in masks]
    opening = OpeningByParts(party)
    for x, y, z in blocks:
        weights = np.empty(len(x), np.uint64)
        coin.fill(weights)
        weights = kind.reduced(weights)
        opened = opening.open(x * weights + _drawn(kind, masks, len(x)))
        total -= (y * opened - z * weights).sum().reshape(1)
    opening.compare()
    if open_to_all(party, total)[0]:
        raise ProtocolError(
            "step 'audit': the result of a product was changed by a server; start the round again "
            "with fresh keys"
        )
    return sum(len(x) for x, _, _ in blocks)


def _blocks(kind: type[A], product: Product) -> list[Block[A]]:
    """Cut a product of one kind into pieces, ``x``, ``y`` and ``z`` of equal length each."""
    x, y, z = product
    if not (isinstance(x, kind) and isinstance(y, kind) and isinstance(z, kind)):
        return []
    whole = [
        [np.broadcast_to(part, z.shape).reshape(-1) for part in (each.first, each.second)]
        for each in (x, y, z)
    ]
    return [
        tuple(kind(*(part[start : start + _BLOCK] for part in each)) for each in whole)  # type: ignore[misc]
        for start in range(0, whole[2][0].size, _BLOCK)
    ]


def _drawn(kind: type[A], masks: list[MaskStream], count: int) -> A:
    parts: list[Any] = []
    for mask in masks:
        words = np.empty(count, np.uint64)
        mask.fill(words)
        parts.append(kind.reduced(words))
    return kind(*parts)
