"""The three-server shuffle, with a check that no record was changed, lost or doubled.

Passes
------
Pass j permutes by an order drawn from the key that servers j and j + 1 have in common. Together the
two hold all components: server j joins x_j ^ x_(j+1), server j + 1 has x_(j+2); each permutes its
part, and both are shared anew among three (as :func:`reshare` does): y_j is drawn by servers j and
j + 2, y_(j+2) by servers j + 2 and j + 1, and y_(j+1) is the sum of two messages, one each way. The
third server neither sends nor receives, and does not know the order. Of the three orders every
server lacks one, uniform and independent of all it sees, so the whole order is uniform to each.

Privacy: what server j receives is masked by y_(j+2), what server j + 1 receives by y_j: streams
whose keys they lack. A server's view is its own components and uniform words; a simulator draws
them.

Integrity
---------
Before the passes each record gets a *salt*: a word drawn from the keys in common, shared as the
record is and moved with it, which no server knows. Afterwards all toss a coin for the weights h of
a linear tag, t = <h, record> + salt in GF(2^64), computed on shares without a message; the products
of all tags before and of all tags after are computed by replicated multiplication in a tree, opened
to all and compared.

*A corrupt server is caught but with probability D / 2^64* (D records; 2^-44 for a million), even
if it cheats in the check as well. Whatever it does in a pass, what the honest servers hold
afterwards is the honestly permuted array plus a difference E that is a function of its view: it
only chooses what it adds to its own part or message. If the difference E of some record (with its
salt) is not zero, its tag differs by <h, E> = e, not zero but with probability 2^-64 over h, which
was tossed after both honest servers had finished. Regard the two products as polynomials in the D
salts, uniform and independent of the view: the difference has the monomial "all salts but this
one" with coefficient e. A difference added to the result of a multiplication meets only the tags
outside that multiplication's subtree, at most D - 2, so it cannot cancel this monomial. Hence the
polynomial is not zero, its degree is under D, and it vanishes with probability under D / 2^64
(Schwartz 1980, Zippel 1979). Opening compares both copies of each share, so the opened products
are those the honest servers hold.

The check tells nothing of the records, not even when it fails: the tags are masked by the salts,
uniform and used once, so the opened products, and the verdict, are functions of the view and of
uniform words. (Without salts a server could exchange two records' parts and learn from the verdict
whether the records are equal.)

Not covered: two servers together; a server that stops.

Sources: Laur, Willemson, Zhang, "Round-efficient oblivious database manipulation" (ISC 2011), for
shuffling by resharing among subsets; Araki et al., "Secure graph analysis at scale" (CCS 2021), for
two messages a pass; Neff, "A verifiable secret shuffle" (CCS 2001), for the comparison of products.
The salted tags are this module's.
"""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
import numpy.typing as npt

from sfumato.donation.sharing.opening import open_to_all
from sfumato.donation.sharing.party import Party, Randomness, toss
from sfumato.donation.sharing.permutation import draw_permutation
from sfumato.donation.sharing.shares import BooleanShares, concatenate
from sfumato.errors import PlanError, ProtocolError

__all__ = ["multiply_all", "shuffle"]

_BLOCK_BYTES = 1 << 19  # what is gathered, masked, hashed while it is in the cache
_AHEAD_BYTES = 1 << 22  # what is sent before the first answer is awaited, for a slow network

Words = npt.NDArray[np.uint64]


def shuffle(party: Party, shares: BooleanShares, randomness: Randomness) -> BooleanShares:
    """Permute the rows of a shared array by an order that no server knows, and check that.

    Each server sends twice the records' size and 32 bytes a record for the check, in
    ``6 + log2(D)`` rounds. The shares given stay as they are; besides them and those returned, it
    holds some 100 bytes a record.

    Parameters
    ----------
    party
        The server.
    shares
        Of records: ``(rows, octets)`` uint8, octets a multiple of 8, or ``(rows, words)`` uint64.
    randomness
        Source of secret uniform bytes, for the coin of the check.

    Returns
    -------
    Fresh shares of the same shape and type.

    Raises
    ------
    ProtocolError
        If what came out is not what went in, at every honest server; or a peer is gone.
    PlanError
        If the records' length is not a multiple of 8 bytes.
    """
    before = BooleanShares(_as_words(shares.first), _as_words(shares.second))
    rows = len(before)
    salts = party.random(BooleanShares, (rows, 1), np.uint64, "salt")
    after, moved = before, salts
    scratch, salt_scratch = _Scratch(before), _Scratch(salts)
    for leader in range(3):
        party.begin(f"shuffle, pass {leader}")
        order = None
        if leader in (party.index, party.previous):
            order = draw_permutation(party.streams[(leader + 1 - party.index) % 3], rows)
        after = _pass(party, leader, order, after, scratch)
        moved = _pass(party, leader, order, moved, salt_scratch)
    _check(party, (before, salts), (after, moved), randomness)
    return BooleanShares(*(_as_given(part, shares) for part in (after.first, after.second)))


def multiply_all(party: Party, factors: BooleanShares) -> BooleanShares:
    """Return the product over the last axis in GF(2^64), in log2 rounds; its length stays 1.

    Parameters
    ----------
    party
        The server.
    factors
        ``(products, n)`` words; n at least 1.
    """
    from sfumato.donation.sharing.binary_field_kernels import replicated_products

    while factors.shape[1] > 1:
        half = factors.shape[1] // 2
        x, y = factors[:, :half], factors[:, half : 2 * half]
        party.begin("multiply tags")
        part = party.zero(BooleanShares, x.shape, np.uint64)
        operands = (np.ravel(one) for one in (x.first, x.second, y.first, y.second))
        replicated_products(*operands, part.reshape(-1))
        product = party.replicate(BooleanShares, part)
        rest = factors[:, 2 * half :]
        factors = concatenate([product, rest], axis=1) if rest.shape[1] else product
    return factors


class _Scratch:
    """Arrays that are overwritten again and again: fresh memory costs as much as the work on it."""

    def __init__(self, kept: BooleanShares) -> None:
        self._kept = (kept.first, kept.second)
        self._free: list[Words] = []

    def take(self) -> Words:
        """Return an array of the shape of those kept, of any content."""
        return self._free.pop() if self._free else np.empty_like(self._kept[0])

    def give(self, *arrays: Words) -> None:
        """Let arrays be overwritten, but for those that are kept."""
        self._free += [one for one in arrays if all(one is not kept for kept in self._kept)]


def _pass(
    party: Party,
    leader: int,
    order: npt.NDArray[np.intp] | None,
    x: BooleanShares,
    scratch: _Scratch,
) -> BooleanShares:
    """Permute the rows by an order known to the leader and the next server; share them anew."""
    if order is None:  # the third server draws both of its components
        scratch.give(x.first, x.second)
        y = BooleanShares(scratch.take(), scratch.take())
        for stream, component in zip(party.streams, (y.first, y.second), strict=True):
            stream.begin("shuffle").fill(component)
        return y
    if party.index == leader:
        scratch.give(x.first, x.second)
        source = np.bitwise_xor(x.first, x.second, out=scratch.take())
    else:
        scratch.give(x.first)
        source = x.second
    place, peer = (0, party.next) if party.index == leader else (1, party.previous)
    masks = party.streams[place].begin("shuffle")
    joint = scratch.take()
    step = max(1, _BLOCK_BYTES // max(1, 8 * source.shape[1]))
    blocks = [slice(start, start + step) for start in range(0, len(order), step)]
    ahead = _AHEAD_BYTES // _BLOCK_BYTES
    buffer = np.empty((step, source.shape[1]), np.uint64)
    sent: deque[Words] = deque()
    for number in range(len(blocks) + ahead):
        if number < len(blocks):
            rows = order[blocks[number]]
            gathered = np.take(source, rows, axis=0, out=buffer[: len(rows)], mode="clip")
            part = masks.mask(gathered)
            party.channels.send(peer, part)
            sent.append(part)
        if ahead <= number:
            part = sent.popleft()
            answer = party.receive_frame(peer, part.shape, part.dtype)
            np.bitwise_xor(part, answer, out=joint[blocks[number - ahead]])
    scratch.give(source)
    drawn = scratch.take()
    masks.again().fill(drawn)  # in the place of what was permuted: drawing twice is cheaper
    return BooleanShares(drawn, joint) if place == 0 else BooleanShares(joint, drawn)


def _check(
    party: Party,
    before: tuple[BooleanShares, BooleanShares],
    after: tuple[BooleanShares, BooleanShares],
    randomness: Randomness,
) -> None:
    """Compare the products of the salted tags before and after."""
    if not len(before[0]):
        return
    weights = toss(party, randomness).draw(before[0].shape[1], np.uint64, "weights of tags")
    tags = concatenate([_tags(*before, weights), _tags(*after, weights)])
    products = open_to_all(party, multiply_all(party, tags))
    if products[0, 0] != products[1, 0]:
        raise ProtocolError(
            "step 'shuffle': the records that came out are not those that went in: a server "
            "changed, dropped or doubled some, or used another order than agreed; nothing was "
            "opened, so start the round again with fresh keys"
        )


def _tags(records: BooleanShares, salts: BooleanShares, weights: Words) -> BooleanShares:
    """Return shares of the tags, ``(1, rows)``."""
    from sfumato.donation.sharing.binary_field_kernels import row_tags

    tags = BooleanShares(salts.first[:, 0].copy(), salts.second[:, 0].copy())
    row_tags(records.first, weights, tags.first)
    row_tags(records.second, weights, tags.second)
    return tags.reshape(1, -1)


def _as_words(part: npt.NDArray[Any]) -> Words:
    if part.dtype == np.uint64 and part.ndim == 2:
        return np.ascontiguousarray(part)
    if part.dtype != np.uint8 or part.ndim != 2 or part.shape[1] % 8:
        raise PlanError(
            f"records are rows of octets, a multiple of 8 each, or of 64-bit words; these are "
            f"{part.dtype} of shape {part.shape}: pad them"
        )
    words: Words = np.ascontiguousarray(part).view("<u8").astype(np.uint64, copy=False)
    return words


def _as_given(part: Words, given: BooleanShares) -> npt.NDArray[Any]:
    if given.dtype == np.uint64:
        return part
    return part.astype("<u8", copy=False).view(np.uint8)
