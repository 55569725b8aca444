"""Signatures by Ed25519 (RFC 8032), each in a context, so that none passes for another's."""

from __future__ import annotations

import hmac
from functools import lru_cache
from typing import Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from sfumato.errors import ProtocolError

__all__ = ["SIGNATURE_BYTES", "SigningKey", "check_signature"]

SIGNATURE_BYTES = 64
_KEY_BYTES = 32


class SigningKey:
    """The private key of one signer; it never prints.

    Parameters
    ----------
    secret
        32 bytes.

    Raises
    ------
    ProtocolError
        If the secret has another length.
    """

    __slots__ = ("_key", "_secret", "verifying_key")

    def __init__(self, secret: bytes) -> None:
        if len(secret) != _KEY_BYTES:
            raise ProtocolError(f"a signing key has {_KEY_BYTES} bytes (got {len(secret)})")
        self._secret = bytes(secret)
        self._key = Ed25519PrivateKey.from_private_bytes(secret)
        self.verifying_key = self._key.public_key().public_bytes_raw()

    @classmethod
    def generate(cls) -> Self:
        """Return a new key, from the operating system's randomness."""
        return cls(Ed25519PrivateKey.generate().private_bytes_raw())

    def secret_bytes(self) -> bytes:
        """Return the secret, to be stored where only its owner reads."""
        return self._secret

    def sign(self, context: str, message: bytes) -> bytes:
        """Return the signature (64 bytes) of a message in a context such as ``"receipt"``."""
        return self._key.sign(_framed(context, message))

    def __repr__(self) -> str:
        return f"<SigningKey of {self.verifying_key.hex()[:16]}>"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SigningKey):
            return NotImplemented
        return hmac.compare_digest(self._secret, other._secret)

    def __hash__(self) -> int:
        return hash(self.verifying_key)


def check_signature(verifying_key: bytes, context: str, message: bytes, signature: bytes) -> None:
    """Refuse a signature that is not the signer's, of this message, in this context.

    Raises
    ------
    ProtocolError
        If it is not.
    """
    try:
        _verifier(verifying_key).verify(signature, _framed(context, message))
    except InvalidSignature:
        raise ProtocolError(
            f"the signature of the {context} is not that of {verifying_key.hex()[:16]}…: it was "
            "changed, or signed by another"
        ) from None


@lru_cache(maxsize=64)
def _verifier(verifying_key: bytes) -> Ed25519PublicKey:
    try:
        return Ed25519PublicKey.from_public_bytes(verifying_key)
    except ValueError:
        raise ProtocolError("a verifying key of Ed25519 has 32 bytes") from None


def _framed(context: str, message: bytes) -> bytes:
    return b"sfumato donation v1 " + context.encode() + b"\0" + message
