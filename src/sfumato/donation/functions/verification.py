"""Check that two keys that a stranger made are a point function, at the cost of one message.

**What is compared.** Write `x_b`, `t_b` for party b's label and control bit at a row. Each last
label has a tag `g(x)`, two AES outputs under two keys of their own; the donor publishes a
correction `s`, which is `g(x_0) ^ g(x_1)` at the position. Both parties compute for every row the
corrected tag `g(x_b) ^ t_b s` and compress all of them to a *proof* of 32 bytes. Honest keys give
both parties the same corrected tags everywhere, so the same proof. (The idea of a corrected tag is
that of de Castro and Polychroniadou, *Lightweight, Maliciously Secure Verifiable Function Secret
Sharing*, EUROCRYPT 2022, eprint 2021/580, section 3. Their tag is a hash of position and label, of
512 bits; what follows needs neither position nor that length, because of the half-tree.)

**Compression.** NH with a Toeplitz key (Black, Halevi, Krawczyk, Krovetz, Rogaway, *UMAC*, CRYPTO
1999, sections 4 and 5), :data:`PASSES` times 64 bits, then a keyed BLAKE2b. Two different lists of
tags have the same proof with probability 2**-32 for each pass, over a *verification key* that both
servers know and no donor does: it is drawn by the servers and committed to before the first report.
With two passes a forged report gets by with probability 2**-64, in one attempt that is seen and
refused; of many attempts, each has that probability. SHA-256 over all tags would need no key, but
as much time again as the rest of a row of 256 bytes (some 20 nanoseconds).

**What it gives (one malicious donor, or all of them).** Let equal proofs mean equal corrected tags.

1. Where `t_0 = t_1`, the tags are equal, so the labels are, unless two labels collide under `g`.
   There the two parties' outputs cancel.
2. Where `t_0 != t_1`, `g(x_0) ^ g(x_1) = s`. Unless four labels have tags that XOR to zero, this is
   the same pair of labels at every such row, so the labels differ by the same `E` at each.
3. So at the last level labels differ by 0 or by `E`. Children of a node differ by two values whose
   XOR is the node's own difference (half-tree: the second child is the first plus the label).
   Hence, upwards, at *every* level all differences are 0 or `E`, and the roots', which is not zero
   as each party checks its control bit, is `E`. Downwards, a node of difference 0 has two children
   of difference 0, and a node of difference `E` has exactly one child of difference `E`.
4. So exactly one row differs: the keys are a point function of some payload, whatever the donor
   did.

In the ideal-cipher model `q` queries break 1 with probability at most `q**2 / 2**b` and 2 with at
most `q**4 / 2**b`, `b` = 256 (224 for counts, whose number takes 32 bits of the tag): a donor that
spends 2**48 AES evaluations gets by with at most 2**-64 (2**-32); the best attack known on 2
(Wagner, *A Generalized Birthday Problem*, CRYPTO 2002) takes 2**85 (2**75) time and as much memory.

**A table of fewer rows than the domain.** Of subtrees whose rows are all beyond the table only the
root is compared, by a hash of its label: their difference must be 0. Then 3 holds with these roots
in place of their rows, and 4: exactly one row differs, in the table.

**Sum check.** Both parties also return the sum of their outputs on the whole domain, which are
shares of the payload. For a count these must add to one; with 4, the donor added one to one cell.
Shares of records' payloads show without opening anything whether several tables were sent the same
record.

**Marks.** With 4 and a sum of one, the lowest bits of both parties' counts are shares, by exclusive
or, of a vector with a single 1. If each row has a mark, a number that both servers know, the
exclusive or of the marks of the rows where a party's bit is 1 is its share of the mark of the
donor's position. To it a server adds its share of what the mark should be; if they are the same,
both servers then hold the same number, which is compared with the proof.

**What one malicious server can do.** Of an honest donor's report it can compute the honest server's
proof and, for counts, sum and mark from its own key and shares, so seeing them tells it nothing of
position or payload, and there is nothing it can send whose acceptance depends on these. It can
refuse any report, and it can change its own share of the table, with or without a donor's help; no
check of keys stops that, so the protocol cross-checks the opened table. A server that gives the
verification key to a donor gains nothing that it could not do alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b, shake_128

import numpy as np
import numpy.typing as npt

from sfumato.donation.functions.fixed_key_hash import Words
from sfumato.donation.functions.keys import PartyKey
from sfumato.errors import ProtocolError

__all__ = [
    "PASSES",
    "Checks",
    "VerificationKey",
    "compress",
    "digest_of_labels",
    "proofs_of",
    "verdicts",
]

PASSES = 2
PROOF_BYTES = 32
_SECRET_BYTES = 32
_LOW = np.uint64(0xFFFFFFFF)
_HIGH = np.uint64(32)


class VerificationKey:
    """The secret that both servers share and no donor knows.

    Parameters
    ----------
    secret
        32 uniform bytes. They are never printed.

    Raises
    ------
    ProtocolError
        If they are not 32.
    """

    def __init__(self, secret: bytes) -> None:
        if len(secret) != _SECRET_BYTES:
            raise ProtocolError(
                f"a verification key has {len(secret)} bytes; it has {_SECRET_BYTES}"
            )
        self.secret = secret
        self._words: dict[int, Words] = {}

    def __repr__(self) -> str:
        """Name the class and nothing else."""
        return "VerificationKey()"

    def words(self, rows: int) -> Words:
        """Return the key of the compression for this many tags: four words each, and some more.

        The halves of all tags are one message: first every first half, then every second. The
        words beyond are for the later passes, and for vectors that read past the end.
        """
        if rows not in self._words:
            stream = shake_128(b"sfumato compression" + self.secret).digest(8 * (4 * rows + 32))
            self._words[rows] = np.frombuffer(stream, "<u8").astype(np.uint64)
        return self._words[rows]


@dataclass(frozen=True, eq=False)
class Checks:
    """What one server found out about keys, in their order.

    Parameters
    ----------
    proofs
        Bytes of shape (keys, 32): equal at both servers if the keys are a point function.
    totals
        This server's share of each payload: counts as uint32 of shape (keys,), records as bytes of
        shape (keys, length).
    marks
        This server's share, by exclusive or, of the mark of each count's position, uint32 of shape
        (keys,); 0 for records, and where no position is marked.
    """

    proofs: npt.NDArray[np.uint8]
    totals: npt.NDArray[np.unsignedinteger]
    marks: npt.NDArray[np.uint32]


def compress(halves: Words, first_row: int, half: int, words: Words) -> Words:
    """Return NH of some corrected halves of tags, which is added to that of the others.

    Parameters
    ----------
    halves
        Array of shape (n, 2), the tags' first or second halves from row `first_row` on.
    half
        0 or 1.
    words
        What :meth:`VerificationKey.words` gives.

    Returns
    -------
    numpy.ndarray
        One word for each pass, modulo 2**64.
    """
    message = halves.reshape(-1).view(np.uint32)
    start = half * ((len(words) - 32) // 2) + 2 * first_row
    sums = np.empty(PASSES, np.uint64)
    for index in range(PASSES):
        key = words[start + index : start + index + halves.size].view(np.uint32)
        pairs = (message + key).view(np.uint64)
        sums[index] = ((pairs & _LOW) * (pairs >> _HIGH)).sum(dtype=np.uint64)
    return sums


def digest_of_labels(labels: Words) -> bytes:
    """Return a hash of labels of shape (n, 2)."""
    return blake2b(labels.tobytes(), digest_size=PROOF_BYTES, person=b"sfumato labels").digest()


def proofs_of(
    keys: Sequence[PartyKey],
    sums: Words,
    beyond: Sequence[bytes],
    verification_key: VerificationKey,
) -> npt.NDArray[np.uint8]:
    """Return the proofs: compressed tags and what is beyond, bound to nonce and public share."""
    proofs = bytearray()
    for key, words, labels in zip(keys, sums, beyond, strict=True):
        state = blake2b(
            key=verification_key.secret, digest_size=PROOF_BYTES, person=b"sfumato proof"
        )
        nonce = key.public.nonce
        state.update(bytes((len(nonce),)) + nonce + key.public.encoded + words.tobytes() + labels)
        proofs += state.digest()
    return np.frombuffer(bytes(proofs), np.uint8).reshape(len(keys), PROOF_BYTES)


def verdicts(mine: Checks, theirs: Checks) -> npt.NDArray[np.bool_]:
    """Return which keys both servers accept: equal proofs and marks, and counts that add to one.

    Marks are equal if what they share is zero, such as the mark of a key's position and that of
    what it should be.

    Parameters
    ----------
    mine, theirs
        What the two servers found for the same reports in the same order.

    Raises
    ------
    ProtocolError
        If the two are not of the same reports.
    """
    shapes = [(each.proofs.shape, each.totals.shape, each.marks.shape) for each in (mine, theirs)]
    if shapes[0] != shapes[1]:
        raise ProtocolError("the two servers' checks are of different numbers of reports or kinds")
    # All bytes are looked at, wherever the first difference is.
    accepted: npt.NDArray[np.bool_] = np.bitwise_or.reduce(mine.proofs ^ theirs.proofs, axis=1) == 0
    if mine.totals.ndim == 1:
        accepted &= mine.totals + theirs.totals == np.uint32(1)
    accepted &= mine.marks == theirs.marks
    return accepted
