"""Messages that one party alone can open: HPKE (RFC 9180), base mode, one message a key.

Suites: DHKEM(X25519) or the hybrid of ML-KEM-768 and X25519, both with HKDF-SHA256 and
AES-128-GCM. What must be bound to a message but is no part of it goes into ``info``, as RFC 9180,
section 8.1, advises for one-shot use: another info gives another key, so a message with a changed
header does not open.
"""

from __future__ import annotations

import hmac
from functools import lru_cache
from typing import Literal, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import (
    AEAD,
    KDF,
    KEM,
    MLKEM768X25519PrivateKey,
    MLKEM768X25519PublicKey,
    Suite,
)

from sfumato.errors import ProtocolError

__all__ = ["TAG_BYTES", "EnvelopeKey", "Kem", "enc_bytes", "public_key_bytes", "seal"]

Kem = Literal["x25519", "mlkem768-x25519"]

TAG_BYTES = 16
"""How much longer a ciphertext is than its plaintext, beside the encapsulated key."""

_X25519 = 32
_MLKEM_PUBLIC = 1184
_MLKEM_CIPHERTEXT = 1088
_MLKEM_SEED = 64


def enc_bytes(kem: Kem) -> int:
    """Return the length of an encapsulated key in bytes."""
    return _X25519 if kem == "x25519" else _MLKEM_CIPHERTEXT + _X25519


def public_key_bytes(kem: Kem) -> int:
    """Return the length of a public key in bytes."""
    return _X25519 if kem == "x25519" else _MLKEM_PUBLIC + _X25519


class EnvelopeKey:
    """The private key of one receiver; it never prints.

    Parameters
    ----------
    kem
        ``"x25519"`` or ``"mlkem768-x25519"``.
    secret
        32 bytes; for the hybrid the 64 bytes of ML-KEM's seed before them.

    Raises
    ------
    ProtocolError
        If the secret has another length.
    """

    __slots__ = ("_key", "_secret", "_suite", "kem", "public_key")

    def __init__(self, kem: Kem, secret: bytes) -> None:
        wanted = _X25519 if kem == "x25519" else _MLKEM_SEED + _X25519
        if len(secret) != wanted:
            raise ProtocolError(f"a private key of {kem} has {wanted} bytes (got {len(secret)})")
        self.kem = kem
        self._secret = bytes(secret)
        self._suite = _suite(kem)
        curve = X25519PrivateKey.from_private_bytes(secret[-_X25519:])
        public = curve.public_key().public_bytes_raw()
        if kem == "x25519":
            self._key: X25519PrivateKey | MLKEM768X25519PrivateKey = curve
        else:
            lattice = MLKEM768PrivateKey.from_seed_bytes(secret[:_MLKEM_SEED])
            public = lattice.public_key().public_bytes_raw() + public
            self._key = MLKEM768X25519PrivateKey(lattice, curve)
        self.public_key = public

    @classmethod
    def generate(cls, kem: Kem = "x25519") -> Self:
        """Return a new key, from the operating system's randomness."""
        secret = X25519PrivateKey.generate().private_bytes_raw()
        if kem != "x25519":
            secret = MLKEM768PrivateKey.generate().private_bytes_raw() + secret
        return cls(kem, secret)

    def secret_bytes(self) -> bytes:
        """Return the secret, to be stored where only its owner reads."""
        return self._secret

    def open(self, sealed: bytes, info: bytes) -> bytes:
        """Return the plaintext of an encapsulated key and a ciphertext, one behind the other.

        Raises
        ------
        ProtocolError
            If it was sealed to another key or info, or was changed.
        """
        try:
            return self._suite.decrypt(sealed, self._key, info=info)
        except (InvalidTag, ValueError):
            raise ProtocolError(
                "the envelope does not open: it was sealed to another key or header, or changed"
            ) from None

    def __repr__(self) -> str:
        return f"<EnvelopeKey {self.kem}>"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, EnvelopeKey):
            return NotImplemented
        return self.kem == other.kem and hmac.compare_digest(self._secret, other._secret)

    def __hash__(self) -> int:
        return hash((self.kem, self.public_key))


def seal(kem: Kem, public_key: bytes, plaintext: bytes, info: bytes) -> bytes:
    """Return the encapsulated key and the ciphertext of a message, one behind the other.

    Parameters
    ----------
    kem
        The receiver's mechanism.
    public_key
        The receiver's public key.
    plaintext
        The message.
    info
        What the message is bound to; the receiver must give the same.

    Raises
    ------
    ProtocolError
        If the public key is malformed.
    """
    return _suite(kem).encrypt(plaintext, _public(kem, public_key), info=info)


@lru_cache(maxsize=4)
def _suite(kem: Kem) -> Suite:
    mechanism = KEM.X25519 if kem == "x25519" else KEM.MLKEM768_X25519
    return Suite(mechanism, KDF.HKDF_SHA256, AEAD.AES_128_GCM)


@lru_cache(maxsize=64)
def _public(kem: Kem, public_key: bytes) -> X25519PublicKey | MLKEM768X25519PublicKey:
    if len(public_key) != public_key_bytes(kem):
        raise ProtocolError(
            f"a public key of {kem} has {public_key_bytes(kem)} bytes (got {len(public_key)})"
        )
    try:
        curve = X25519PublicKey.from_public_bytes(public_key[-_X25519:])
        if kem == "x25519":
            return curve
        lattice = MLKEM768PublicKey.from_public_bytes(public_key[:-_X25519])
        return MLKEM768X25519PublicKey(lattice, curve)
    except ValueError:
        raise ProtocolError(f"a public key of {kem} is malformed") from None
