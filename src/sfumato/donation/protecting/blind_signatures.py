"""RSA signatures whose signer does not see what it signs: RSABSSA (RFC 9474).

The variant is RSABSSA-SHA384-PSS-Deterministic (section 5): the message is signed as it is, so it
must be hard to guess; ours holds 128 random bits. The signature is an ordinary RSASSA-PSS one,
checked by ``cryptography``; blinding and the bare private operation it does not offer, so these
are whole numbers of Python. Python's powers do not take the same time for every number. The signer
therefore multiplies what it is sent by a random power of its own first, so that the time tells
nothing about the number that it chose (Kocher 1996, section 10).
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from math import gcd

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

from sfumato.errors import InternalError, ProtocolError

__all__ = ["SALT_BYTES", "blind", "blind_sign", "finalize", "is_valid"]

SALT_BYTES = 48
_HASH_BYTES = 48
_PSS = padding.PSS(padding.MGF1(hashes.SHA384()), SALT_BYTES)
_SHA384 = hashes.SHA384()


def blind(
    key: RSAPublicKey, message: bytes, salt: bytes, draw: Callable[[int], int] | None = None
) -> tuple[bytes, int]:
    """Return a blinded message for the signer, and what takes the blinding off (section 4.2).

    Parameters
    ----------
    key
        The signer's public key.
    message
        What shall be signed.
    salt
        48 random bytes.
    draw
        Returns a uniform whole number below its argument; the operating system's by default.

    Returns
    -------
    tuple[bytes, int]
        The blinded message, as long as the modulus, and the inverse of the blinding factor: secret.
    """
    numbers = key.public_numbers()
    encoded = _encode(message, salt, key.key_size - 1)
    point = int.from_bytes(encoded, "big")
    if gcd(point, numbers.n) != 1:  # would be a factor of the modulus, found by chance
        raise InternalError("the encoded message is not coprime to the modulus")
    factor, inverse = _unit(numbers.n, draw or secrets.randbelow)
    blinded = point * pow(factor, numbers.e, numbers.n) % numbers.n
    return blinded.to_bytes(_octets(key), "big"), inverse


def blind_sign(key: RSAPrivateKey, blinded: bytes) -> bytes:
    """Return the signature of a blinded message (section 4.3).

    Raises
    ------
    ProtocolError
        If it has another length than the modulus, or is no number below it.
    """
    private = key.private_numbers()
    n, e = private.public_numbers.n, private.public_numbers.e
    point = int.from_bytes(blinded, "big")
    if len(blinded) != _octets(key) or not 0 < point < n:
        raise ProtocolError("token request: must be a number below the registrar's modulus")
    factor, inverse = _unit(n, secrets.randbelow)
    hidden = point * pow(factor, e, n) % n
    first = pow(hidden, private.dmp1, private.p)
    second = pow(hidden, private.dmq1, private.q)
    root = second + private.q * ((first - second) * private.iqmp % private.p)
    signature = root * inverse % n
    if pow(signature, e, n) != point:  # a fault in one half would give away the key
        raise InternalError("the blind signature does not verify")
    return signature.to_bytes(_octets(key), "big")


def finalize(key: RSAPublicKey, message: bytes, blind_signature: bytes, inverse: int) -> bytes:
    """Return the signature of the message itself (section 4.4).

    Raises
    ------
    ProtocolError
        If the signer did not sign what it was sent.
    """
    n = key.public_numbers().n
    point = int.from_bytes(blind_signature, "big")
    signature = (point * inverse % n).to_bytes(_octets(key), "big")
    if len(blind_signature) != _octets(key) or not is_valid(key, message, signature):
        raise ProtocolError("token: the registrar's answer is no signature of what was asked")
    return signature


def is_valid(key: RSAPublicKey, message: bytes, signature: bytes) -> bool:
    """Whether a signature is the signer's."""
    try:
        key.verify(signature, message, _PSS, _SHA384)
    except InvalidSignature:
        return False
    return True


def _octets(key: RSAPublicKey | RSAPrivateKey) -> int:
    return -(-key.key_size // 8)


def _unit(n: int, draw: Callable[[int], int]) -> tuple[int, int]:
    """Return a random number that has an inverse, and the inverse."""
    while True:
        factor = draw(n)
        if gcd(factor, n) == 1:
            return factor, pow(factor, -1, n)


def _encode(message: bytes, salt: bytes, bits: int) -> bytes:
    """Return EMSA-PSS-ENCODE with SHA-384 (RFC 8017, section 9.1.1)."""
    if len(salt) != SALT_BYTES:
        raise InternalError(f"a salt has {SALT_BYTES} bytes")
    octets = -(-bits // 8)
    digest = hashlib.sha384(bytes(8) + hashlib.sha384(message).digest() + salt).digest()
    block = bytes(octets - SALT_BYTES - _HASH_BYTES - 2) + b"\x01" + salt
    mask = _mgf1(digest, len(block))
    masked = bytearray(a ^ b for a, b in zip(block, mask, strict=True))
    masked[0] &= 0xFF >> (8 * octets - bits)
    return bytes(masked) + digest + b"\xbc"


def _mgf1(seed: bytes, length: int) -> bytes:
    """Return MGF1 with SHA-384 (RFC 8017, appendix B.2.1)."""
    blocks = range(-(-length // _HASH_BYTES))
    mask = b"".join(hashlib.sha384(seed + block.to_bytes(4, "big")).digest() for block in blocks)
    return mask[:length]
