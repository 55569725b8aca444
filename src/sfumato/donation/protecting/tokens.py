"""One person, one donation: tokens that a registrar signs without seeing them.

A donor draws its report's number, blinds it and has it signed by the registrar, who knows the
person and signs once for each. The signature that the donor takes off the blinding is the token.
The registrar cannot tell which token, and so which report, came from which request: every token
fits every request equally well. And because the signed message *is* the report's number, a token
spent twice is a number seen twice, which every server refuses anyway.

A registrar has a key of its own for each task: what a blind signature is for, its signer does not
see.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Self

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
    load_der_public_key,
)

from sfumato.donation.protecting.blind_signatures import (
    SALT_BYTES,
    blind,
    blind_sign,
    finalize,
    is_valid,
)
from sfumato.errors import EngineError, ProtocolError

__all__ = ["Registrar", "TokenDesk", "TokenRequest", "check_token", "token_bytes"]

_ID_BYTES = 16
_MODULUS_BITS = (2048, 3072, 4096)


class Registrar:
    """The key with which a registrar signs the tokens of one task; it never prints.

    Parameters
    ----------
    secret
        An RSA key of 2048, 3072 or 4096 bits as PKCS #8 in DER.

    Raises
    ------
    ProtocolError
        If it is none.
    """

    __slots__ = ("_key", "public_key")

    def __init__(self, secret: bytes) -> None:
        try:
            key = load_der_private_key(secret, None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise ProtocolError("a registrar's key must be PKCS #8 in DER") from None
        if not isinstance(key, rsa.RSAPrivateKey) or key.key_size not in _MODULUS_BITS:
            raise ProtocolError("a registrar's key must be RSA with 2048, 3072 or 4096 bits")
        self._key = key
        public = key.public_key()
        self.public_key = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    @classmethod
    def generate(cls, bits: int = 2048) -> Self:
        """Return a new key, from the operating system's randomness."""
        key = rsa.generate_private_key(65537, bits)
        return cls(key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))

    def secret_bytes(self) -> bytes:
        """Return the secret, to be stored where only its owner reads."""
        return self._key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())

    def sign(self, blinded: bytes) -> bytes:
        """Return the blind signature of a token request; see :class:`TokenDesk` for who gets one.

        Raises
        ------
        ProtocolError
            If the request is malformed.
        """
        return blind_sign(self._key, blinded)

    def __repr__(self) -> str:
        return f"<Registrar of {hashlib.sha256(self.public_key).hexdigest()[:16]}>"


@dataclass(frozen=True, eq=False)
class TokenRequest:
    """A donor's side of one token.

    Parameters
    ----------
    public_key
        The registrar's.
    task_id
        The task for which the token is.
    report_id
        16 random bytes: the number that the report will have.
    blinded
        What the registrar is sent.
    inverse
        What takes the blinding off; secret.
    """

    public_key: bytes
    task_id: bytes
    report_id: bytes = field(repr=False)
    blinded: bytes
    inverse: int = field(repr=False)

    @classmethod
    def make(
        cls, public_key: bytes, task_id: bytes, random_bytes: Callable[[int], bytes] = os.urandom
    ) -> Self:
        """Draw a report's number and blind it.

        Raises
        ------
        ProtocolError
            If the registrar's public key is malformed.
        """
        key = _public(public_key)
        report_id = random_bytes(_ID_BYTES)

        def below(bound: int) -> int:
            # 128 bits more than the bound: what the remainder favours is then negligible
            return int.from_bytes(random_bytes(-(-bound.bit_length() // 8) + 16), "big") % bound

        message = task_id + report_id
        blinded, inverse = blind(key, message, random_bytes(SALT_BYTES), below)
        return cls(public_key, task_id, report_id, blinded, inverse)

    def finish(self, blind_signature: bytes) -> bytes:
        """Return the token.

        Raises
        ------
        ProtocolError
            If the registrar did not sign what it was sent.
        """
        message = self.task_id + self.report_id
        return finalize(_public(self.public_key), message, blind_signature, self.inverse)


def check_token(public_key: bytes, task_id: bytes, report_id: bytes, token: bytes) -> None:
    """Refuse a token that the registrar did not sign for this task and report.

    Raises
    ------
    ProtocolError
        If it did not.
    """
    if not is_valid(_public(public_key), task_id + report_id, token):
        raise ProtocolError("token: not signed by the registrar for this task and report")


def token_bytes(public_key: bytes) -> int:
    """Return the length of the tokens of a registrar, in bytes.

    Raises
    ------
    ProtocolError
        If the public key is malformed.
    """
    return _public(public_key).key_size // 8


@lru_cache(maxsize=16)
def _public(public_key: bytes) -> rsa.RSAPublicKey:
    try:
        key = load_der_public_key(public_key)
    except (ValueError, UnsupportedAlgorithm):
        raise ProtocolError("a registrar's public key must be SubjectPublicKeyInfo, DER") from None
    if not isinstance(key, rsa.RSAPublicKey) or key.key_size not in _MODULUS_BITS:
        raise ProtocolError("a registrar's public key must be RSA with 2048, 3072 or 4096 bits")
    return key


class TokenDesk:
    """Signs one token for each person, and remembers for whom; durably, and not by name.

    Parameters
    ----------
    registrar
        The key.
    path
        A file of SQLite; made if it is not there. It holds a keyed hash of each person.

    Raises
    ------
    EngineError
        If the file cannot be used.
    """

    def __init__(self, registrar: Registrar, path: str | Path) -> None:
        self._registrar = registrar
        self._path = Path(path)
        secret = registrar.secret_bytes()
        with suppress(OSError):  # which SQLite tells in its own words below
            # its owner's alone: it tells how many persons have a token, and when they got it
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))
        self._name_key = hashlib.sha256(b"sfumato donation v1 persons\0" + secret).digest()
        self._run(
            "create table if not exists issued(person blob primary key, request blob not null) "
            "without rowid",
            (),
        )

    def issue(self, person: str, blinded: bytes) -> bytes:
        """Return the blind signature for a person's request; the same request may be repeated.

        Parameters
        ----------
        person
            What names the person with the registrar, such as a patient number.
        blinded
            The request.

        Raises
        ------
        ProtocolError
            If the person has had another request signed, or the request is malformed.
        """
        signature = self._registrar.sign(blinded)
        name = hmac.digest(self._name_key, person.encode(), "sha256")
        request = hashlib.sha256(blinded).digest()
        self._run("insert or ignore into issued values (?, ?)", (name, request))
        ((known,),) = self._run("select request from issued where person = ?", (name,))
        if not hmac.compare_digest(known, request):
            raise ProtocolError(
                "token: this person has been given one already: a person donates once a task; the "
                "first request may be repeated"
            )
        return signature

    def _run(self, statement: str, values: tuple[bytes, ...]) -> list[tuple[bytes, ...]]:
        try:
            with closing(sqlite3.connect(self._path, timeout=10)) as database, database:
                return database.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            name = getattr(error, "sqlite_errorname", "an unknown error")
            raise EngineError(f"the token desk's file {self._path}: {name}") from None
