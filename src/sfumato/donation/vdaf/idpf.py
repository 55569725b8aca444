"""The incremental point function of the VDAF draft: a value for each prefix of one string.

IdpfBBCGGI21 (draft-irtf-cfrg-vdaf, section "IDPF from Boneh et al."; Boneh, Boyle,
Corrigan-Gibbs, Gilboa, Ishai, *Lightweight Techniques for Private Heavy Hitters*, IEEE S&P 2021,
section 6). A donor's string gets two keys; for any prefix, of any length, the two servers compute
shares of the value there, which is that of the string's own prefixes and zero elsewhere. The shares
of many donors add up to *prefix counts*: how many donors' strings begin so.

In this product it counts donors by the leading digits of their quasi-identifiers' codes, level by
level, where the domain is too large for a histogram of all cells.

Two warnings of the draft hold here. Values of *intermediate* levels are not extractable: a donor
can give keys whose levels do not belong together in ways that no check of one level shows, so they
serve to walk down a tree of heavy prefixes, and for nothing else. And whoever collects, together
with one server, can steer which prefixes are looked at. The k rule is therefore recounted on opened
labels, and the histogram is a point function of the last level with a check of its own
(:mod:`sfumato.donation.functions`).

Written for reading and for the draft's test vectors: Python's numbers take time that depends on
their values, and paths are walked one by one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sfumato.donation.vdaf.extendable_output import (
    Xof,
    XofFixedKeyAes128,
    XofTurboShake128,
    domain_tag,
    next_vector,
)
from sfumato.donation.vdaf.fields import FIELD64, FIELD255, Field
from sfumato.errors import ProtocolError

__all__ = ["CorrectionWord", "Idpf", "Prefix"]

Prefix = tuple[bool, ...]

_SEED = 16
_EXTEND, _CONVERT = 0, 1


@dataclass(frozen=True)
class CorrectionWord:
    """What corrects one level: of labels, of both children's control bits, and of the value."""

    seed: bytes = field(repr=False)
    controls: tuple[int, int] = field(repr=False)
    value: tuple[int, ...] = field(repr=False)


@dataclass(frozen=True)
class Idpf:
    """A family of incremental point functions.

    Parameters
    ----------
    bits
        Length of the strings, at least 1.
    value_length
        Elements of a value, at least 1. Inner levels have values in Field64, the last in Field255.
    """

    bits: int
    value_length: int

    def __post_init__(self) -> None:
        if self.bits < 1 or self.value_length < 1:
            raise ProtocolError(
                f"bits is {self.bits} and value_length {self.value_length}; both are at least 1"
            )

    def field_of(self, level: int) -> Field:
        """Return the field of a level's values; levels count from 0."""
        return FIELD255 if level == self.bits - 1 else FIELD64

    def generate(
        self,
        string: Prefix,
        values: Sequence[Sequence[int]],
        *,
        context: bytes,
        nonce: bytes,
        randomness: bytes,
    ) -> tuple[list[CorrectionWord], tuple[bytes, bytes]]:
        """Return the public share and the two keys of a string.

        Parameters
        ----------
        string
            As many bits as the family's.
        values
            One for each level: what the prefix of that length has.
        context
            The application's own bytes.
        nonce
            16 bytes that no other report has.
        randomness
            32 uniform bytes.

        Raises
        ------
        ProtocolError
            If an argument has another length.
        """
        if len(string) != self.bits or len(values) != self.bits:
            raise ProtocolError(f"the string and its values have not {self.bits} levels")
        if any(len(value) != self.value_length for value in values):
            raise ProtocolError(f"a value has not {self.value_length} elements")
        if len(randomness) != 2 * _SEED or len(nonce) != _SEED:
            raise ProtocolError("randomness has not 32 bytes, or the nonce not 16")
        keys = randomness[:_SEED], randomness[_SEED:]
        seeds, controls = list(keys), [0, 1]
        words = []
        for level, (bit, value) in enumerate(zip(string, values, strict=True)):
            keep = int(bit)
            halves = [self._extend(level, seed, context, nonce) for seed in seeds]
            lost = [children[1 - keep][0] for children in halves]
            correction = _xor(*lost)
            control = (
                halves[0][0][1] ^ halves[1][0][1] ^ keep ^ 1,
                halves[0][1][1] ^ halves[1][1][1] ^ keep,
            )
            shares = []
            for party in (0, 1):
                seed, bit_of_party = halves[party][keep]
                masked = _select(controls[party], correction)
                bit_of_party ^= controls[party] & control[keep]
                seeds[party], share = self._convert(level, _xor(seed, masked), context, nonce)
                controls[party] = bit_of_party
                shares.append(share)
            numbers = self.field_of(level)
            difference = numbers.add(numbers.subtract(value, shares[0]), shares[1])
            sign = 1 - 2 * controls[1]
            corrected = tuple(sign * number % numbers.modulus for number in difference)
            words.append(CorrectionWord(correction, control, corrected))
        return words, keys

    def evaluate(
        self,
        party: int,
        public_share: Sequence[CorrectionWord],
        key: bytes,
        prefixes: Sequence[Prefix],
        *,
        context: bytes,
        nonce: bytes,
    ) -> list[list[int]]:
        """Return one party's shares of the values of prefixes.

        Parameters
        ----------
        party
            0 or 1.
        public_share, key
            What :meth:`generate` gives this party.
        prefixes
            Distinct ones of one length.
        context, nonce
            Those of the keys.

        Raises
        ------
        ProtocolError
            If an argument is out of its range.
        """
        if party not in {0, 1}:
            raise ProtocolError(f"party is {party}; an IDPF has parties 0 and 1")
        if len(set(prefixes)) != len(prefixes) or len({len(prefix) for prefix in prefixes}) != 1:
            raise ProtocolError("prefixes are distinct and of one length, and there is one")
        length = len(prefixes[0])
        if not 1 <= length <= self.bits or len(public_share) != self.bits:
            raise ProtocolError(f"a prefix has 1 to {self.bits} bits, and the public share as many")
        nodes: dict[Prefix, tuple[bytes, int, list[int]]] = {(): (key, party, [])}
        shares = []
        for prefix in prefixes:
            for level in range(length):
                if prefix[: level + 1] not in nodes:
                    self._open(prefix[: level + 1], nodes, public_share[level], context, nonce)
            numbers = self.field_of(length - 1)
            sign = 1 - 2 * party
            shares.append([sign * number % numbers.modulus for number in nodes[prefix][2]])
        return shares

    def _open(
        self,
        prefix: Prefix,
        nodes: dict[Prefix, tuple[bytes, int, list[int]]],
        word: CorrectionWord,
        context: bytes,
        nonce: bytes,
    ) -> None:
        """Evaluate one node below a node that is known."""
        level, bit = len(prefix) - 1, int(prefix[-1])
        seed, control, _ = nodes[prefix[:-1]]
        child, child_control = self._extend(level, seed, context, nonce)[bit]
        child = _xor(child, _select(control, word.seed))
        child_control ^= control & word.controls[bit]
        below, value = self._convert(level, child, context, nonce)
        modulus = self.field_of(level).modulus
        value = [
            (number + child_control * correction) % modulus
            for number, correction in zip(value, word.value, strict=True)
        ]
        nodes[prefix] = (below, child_control, value)

    def encode(self, public_share: Sequence[CorrectionWord]) -> bytes:
        """Return a public share's bytes: control bits, seeds, values."""
        controls = [control for word in public_share for control in word.controls]
        packed = sum(control << place for place, control in enumerate(controls))
        encoded = packed.to_bytes(-(-len(controls) // 8), "little")
        encoded += b"".join(word.seed for word in public_share)
        for level, word in enumerate(public_share):
            encoded += self.field_of(level).encode(word.value)
        return encoded

    def decode(self, encoded: bytes) -> list[CorrectionWord]:
        """Return the public share of some bytes.

        Raises
        ------
        ProtocolError
            If they are not the bytes of a public share of this family.
        """
        head, seeds = -(-2 * self.bits // 8), _SEED * self.bits
        sizes = [
            self.value_length * self.field_of(level).encoded_bytes for level in range(self.bits)
        ]
        if len(encoded) != head + seeds + sum(sizes):
            raise ProtocolError(
                f"a public share has {len(encoded)} bytes; it has {head + seeds + sum(sizes)}"
            )
        packed = int.from_bytes(encoded[:head], "little")
        if packed >> (2 * self.bits):
            raise ProtocolError("a public share's spare control bits are not zero")
        words, start = [], head + seeds
        for level, size in enumerate(sizes):
            controls = (packed >> (2 * level)) & 1, (packed >> (2 * level + 1)) & 1
            seed = encoded[head + _SEED * level : head + _SEED * (level + 1)]
            value = self.field_of(level).decode(encoded[start : start + size])
            words.append(CorrectionWord(seed, controls, tuple(value)))
            start += size
        return words

    def _extend(
        self, level: int, seed: bytes, context: bytes, nonce: bytes
    ) -> tuple[tuple[bytes, int], tuple[bytes, int]]:
        """Return both children's seeds and control bits."""
        xof = self._xof(level, seed, _EXTEND, context, nonce)
        left, right = xof.next(_SEED), xof.next(_SEED)
        return (_even(left), left[0] & 1), (_even(right), right[0] & 1)

    def _convert(
        self, level: int, seed: bytes, context: bytes, nonce: bytes
    ) -> tuple[bytes, list[int]]:
        """Return the next label and the value of a node."""
        xof = self._xof(level, seed, _CONVERT, context, nonce)
        return xof.next(_SEED), next_vector(xof, self.field_of(level), self.value_length)

    def _xof(self, level: int, seed: bytes, usage: int, context: bytes, nonce: bytes) -> Xof:
        """Return fixed-key AES in the tree, and a random oracle at its end: extractable values."""
        tag = domain_tag(1, 0, usage, context)
        if level < self.bits - 1:
            return XofFixedKeyAes128(seed, tag, nonce)
        return XofTurboShake128(seed, tag, nonce)


def _even(seed: bytes) -> bytes:
    return bytes((seed[0] & 0xFE,)) + seed[1:]


def _xor(first: bytes, second: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(first, second, strict=True))


def _select(control: int, word: bytes) -> bytes:
    """Return the word if the control bit is set, else zeros, without asking which."""
    return bytes(control * byte for byte in word)
