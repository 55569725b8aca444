"""Poplar1: prefix counts of many donors' strings, with a check that each counts once.

(draft-irtf-cfrg-vdaf, section "Poplar1"; Boneh et al., IEEE S&P 2021, sections 4.2, 5 and appendix
C.4.) A donor's value at each level is the pair (1, k) with a random authenticator k. The two
servers check a *sketch* of the values z of the prefixes that they look at: with r secret from the
donor, `<r, z>**2 = <r**2, z>` and `k <r, z> = <r, k z>` hold if at most one prefix has a value,
which is one, and otherwise with probability about the number of prefixes / 2**64 (inner levels).
The two products are computed in one round from a triple that the donor supplies; a wrong triple is
refused alike.

See :mod:`sfumato.donation.vdaf.idpf` for what it is used for, and the draft's warnings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sfumato.donation.vdaf.extendable_output import XofTurboShake128, domain_tag, next_vector
from sfumato.donation.vdaf.fields import FIELD64, FIELD255, Field
from sfumato.donation.vdaf.idpf import Idpf, Prefix
from sfumato.errors import ProtocolError

__all__ = ["AggregationParameter", "InputShare", "Poplar1", "Refused", "Sketch"]

_ID = 6
_SHARD, _INNER, _LEAF, _VERIFY = 1, 2, 3, 4
_KEY, _SEED = 16, 32


class Refused(ProtocolError):
    """A report's sketch does not hold: its donor made no point function."""


@dataclass(frozen=True)
class AggregationParameter:
    """Which prefixes are counted.

    Parameters
    ----------
    prefixes
        At least one, of one length, in strictly ascending order.

    Raises
    ------
    ProtocolError
        If they are not.
    """

    prefixes: tuple[Prefix, ...]

    def __post_init__(self) -> None:
        lengths = {len(prefix) for prefix in self.prefixes}
        if len(lengths) != 1 or 0 in lengths:
            raise ProtocolError("prefixes are of one length, and there is one")
        if list(self.prefixes) != sorted(set(self.prefixes)):
            raise ProtocolError("prefixes are in strictly ascending order")

    @property
    def level(self) -> int:
        """Length of the prefixes less one."""
        return len(self.prefixes[0]) - 1

    def encode(self) -> bytes:
        """Return level, number and the prefixes, each in whole bytes, first bit highest."""
        size = -(-(self.level + 1) // 8)
        spare = 8 * size - self.level - 1
        encoded = self.level.to_bytes(2, "big") + len(self.prefixes).to_bytes(4, "big")
        for prefix in self.prefixes:
            number = sum(int(bit) << (self.level - place) for place, bit in enumerate(prefix))
            encoded += (number << spare).to_bytes(size, "big")
        return encoded

    @classmethod
    def decode(cls, encoded: bytes) -> AggregationParameter:
        """Return what some bytes encode.

        Raises
        ------
        ProtocolError
            If they are not the bytes of any parameter.
        """
        length, count = int.from_bytes(encoded[:2], "big") + 1, int.from_bytes(encoded[2:6], "big")
        size = -(-length // 8)
        if len(encoded) != 6 + size * count:
            raise ProtocolError(
                f"an aggregation parameter has {len(encoded)} bytes, not {size} each"
            )
        prefixes = []
        for start in range(6, len(encoded), size):
            number = int.from_bytes(encoded[start : start + size], "big")
            spare = 8 * size - length
            if number & ((1 << spare) - 1):
                raise ProtocolError("a prefix's spare bits are not zero")
            prefixes.append(
                tuple(bool(number >> (8 * size - 1 - place) & 1) for place in range(length))
            )
        return cls(tuple(prefixes))

    def may_follow(self, before: AggregationParameter) -> bool:
        """Whether the level is a later one, and each prefix begins like one that was counted."""
        known = set(before.prefixes)
        shorter = before.level + 1
        return self.level > before.level and all(
            prefix[:shorter] in known for prefix in self.prefixes
        )


@dataclass(frozen=True)
class InputShare:
    """What one server gets alone: its key, the seed of its triples, and their offsets."""

    key: bytes = field(repr=False)
    seed: bytes = field(repr=False)
    inner: tuple[int, ...] = field(repr=False)
    leaf: tuple[int, ...] = field(repr=False)


@dataclass(frozen=True)
class Sketch:
    """One server's part of a check that is under way."""

    numbers: Field
    party: int
    offsets: tuple[int, int] = field(repr=False)
    counts: tuple[int, ...] = field(repr=False)


@dataclass(frozen=True)
class Poplar1:
    """Prefix counts of strings of some length.

    Parameters
    ----------
    bits
        Length of the strings, at least 1.
    """

    bits: int

    randomness_bytes = 2 * _KEY + 3 * _SEED

    @property
    def idpf(self) -> Idpf:
        """The family of incremental point functions: a count and an authenticator at each level."""
        return Idpf(self.bits, 2)

    def shard(
        self, string: Prefix, *, context: bytes, nonce: bytes, randomness: bytes
    ) -> tuple[bytes, tuple[InputShare, InputShare]]:
        """Return the encoded public share and both servers' input shares of a string.

        Parameters
        ----------
        string
            As many bits as the family's.
        context
            The application's own bytes.
        nonce
            16 bytes that no other report has.
        randomness
            128 uniform bytes.

        Raises
        ------
        ProtocolError
            If an argument has another length.
        """
        if len(randomness) != self.randomness_bytes:
            raise ProtocolError(
                f"randomness has {len(randomness)} bytes; it has {self.randomness_bytes}"
            )
        for_keys = randomness[: 2 * _KEY]
        seeds = [
            randomness[start : start + _SEED] for start in range(2 * _KEY, len(randomness), _SEED)
        ]
        shard = XofTurboShake128(seeds[2], domain_tag(0, _ID, _SHARD, context), nonce)
        authenticators = next_vector(shard, FIELD64, self.bits - 1) + next_vector(
            shard, FIELD255, 1
        )
        public, keys = self.idpf.generate(
            string,
            [(1, authenticator) for authenticator in authenticators],
            context=context,
            nonce=nonce,
            randomness=for_keys,
        )
        offsets: list[list[int]] = [[], []]
        triples = [self._triples(party, seeds[party], context, nonce) for party in (0, 1)]
        for level, authenticator in enumerate(authenticators):
            numbers = self.idpf.field_of(level)
            a, b, c = numbers.add(triples[0][level], triples[1][level])
            wanted = (
                (authenticator - 2 * a) % numbers.modulus,
                (a * a + b - a * authenticator + c) % numbers.modulus,
            )
            second = next_vector(shard, numbers, 2)
            offsets[0] += numbers.subtract(wanted, second)
            offsets[1] += second
        inner = 2 * (self.bits - 1)
        first, last = (
            InputShare(
                keys[party],
                seeds[party],
                tuple(offsets[party][:inner]),
                tuple(offsets[party][inner:]),
            )
            for party in (0, 1)
        )
        return self.idpf.encode(public), (first, last)

    def encode_input_share(self, share: InputShare) -> bytes:
        """Return an input share's bytes."""
        return share.key + share.seed + FIELD64.encode(share.inner) + FIELD255.encode(share.leaf)

    def decode_input_share(self, encoded: bytes) -> InputShare:
        """Return the input share of some bytes.

        Raises
        ------
        ProtocolError
            If they are not the bytes of an input share of this family.
        """
        split = _KEY + _SEED + 2 * (self.bits - 1) * FIELD64.encoded_bytes
        size = split + 2 * FIELD255.encoded_bytes
        if len(encoded) != size:
            raise ProtocolError(f"an input share has {len(encoded)} bytes; it has {size}")
        inner = FIELD64.decode(encoded[_KEY + _SEED : split])
        leaf = FIELD255.decode(encoded[split:])
        return InputShare(encoded[:_KEY], encoded[_KEY : _KEY + _SEED], tuple(inner), tuple(leaf))

    def begin(
        self,
        verify_key: bytes,
        party: int,
        parameter: AggregationParameter,
        public_share: bytes,
        share: InputShare,
        *,
        context: bytes,
        nonce: bytes,
    ) -> tuple[Sketch, list[int]]:
        """Begin the check of a report: what this server keeps, and what it sends.

        Parameters
        ----------
        verify_key
            32 bytes that both servers know and no donor.
        party
            0 or 1.
        parameter
            Which prefixes are counted.
        public_share, share
            The report's parts.
        context, nonce
            Those of the report.

        Raises
        ------
        ProtocolError
            If the report or an argument is malformed.
        """
        level = parameter.level
        if level >= self.bits:
            raise ProtocolError(f"prefixes have {level + 1} bits; strings have {self.bits}")
        if len(verify_key) != _SEED:
            raise ProtocolError(f"a verification key has {len(verify_key)} bytes; it has {_SEED}")
        numbers = self.idpf.field_of(level)
        values = self.idpf.evaluate(
            party,
            self.idpf.decode(public_share),
            share.key,
            parameter.prefixes,
            context=context,
            nonce=nonce,
        )
        tag = domain_tag(0, _ID, _VERIFY, context)
        secret = XofTurboShake128(verify_key, tag, nonce + level.to_bytes(2, "big"))
        weights = next_vector(secret, numbers, len(values))
        a, b, c = self._triples(party, share.seed, context, nonce)[level]
        for weight, (count, authenticator) in zip(weights, values, strict=True):
            a = (a + count * weight) % numbers.modulus
            b = (b + count * weight * weight) % numbers.modulus
            c = (c + authenticator * weight) % numbers.modulus
        offsets = share.inner[2 * level : 2 * level + 2] if level < self.bits - 1 else share.leaf
        counts = tuple(count for count, _ in values)
        return Sketch(numbers, party, (offsets[0], offsets[1]), counts), [a, b, c]

    def combine(self, sketch: Sketch, first: Sequence[int], second: Sequence[int]) -> list[int]:
        """Put the two servers' messages of a round together: the next message, empty at the end.

        Raises
        ------
        Refused
            If it is the second round and the check fails.
        ProtocolError
            If the messages are of no round.
        """
        if len(first) != len(second) or len(first) not in {1, 3}:
            raise ProtocolError("the two servers' messages are of different rounds, or of none")
        total = sketch.numbers.add(first, second)
        if len(total) == 3:
            return total
        if total[0] != 0:
            raise Refused("a report's sketch does not hold: leave it out")
        return []

    def proceed(self, sketch: Sketch, message: Sequence[int]) -> list[int]:
        """Return what this server sends in the second round, given the first round's message.

        Raises
        ------
        ProtocolError
            If the message is not that of the first round.
        """
        if len(message) != 3:
            raise ProtocolError(f"the first round's message has {len(message)} elements; it has 3")
        a, b, c = message
        first, second = sketch.offsets
        return [(sketch.party * (a * a - b - c) + first * a + second) % sketch.numbers.modulus]

    def _triples(self, party: int, seed: bytes, context: bytes, nonce: bytes) -> list[list[int]]:
        """Return this party's share of each level's triple."""
        binder = bytes((party,)) + nonce
        inner = XofTurboShake128(seed, domain_tag(0, _ID, _INNER, context), binder)
        leaf = XofTurboShake128(seed, domain_tag(0, _ID, _LEAF, context), binder)
        triples = [next_vector(inner, FIELD64, 3) for _ in range(self.bits - 1)]
        return [*triples, next_vector(leaf, FIELD255, 3)]
