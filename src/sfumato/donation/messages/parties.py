"""Who takes part in a task, and by which public keys they are known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, PlainSerializer, model_validator

from sfumato.donation.protecting.envelopes import EnvelopeKey, Kem, public_key_bytes
from sfumato.donation.protecting.tokens import token_bytes
from sfumato.errors import ProtocolError
from sfumato.settings import Settings

__all__ = [
    "EnvelopeConfiguration",
    "Octets",
    "RegistrarParty",
    "ResearcherParty",
    "ServerParty",
]


def _octets(value: Any) -> Any:
    if isinstance(value, str):
        try:
            return bytes.fromhex(value)
        except ValueError:
            raise ValueError("must be hexadecimal digits, two a byte") from None
    return value


Octets = Annotated[bytes, BeforeValidator(_octets), PlainSerializer(bytes.hex)]
_Octets32 = Annotated[Octets, Field(min_length=32, max_length=32)]
_Name = Annotated[str, Field(min_length=1, max_length=200)]


class EnvelopeConfiguration(Settings):
    """The public key to which messages for one party are sealed.

    Parameters
    ----------
    config_id
        The key's number, 0 to 255; a new key has another.
    kem
        ``"x25519"``, or ``"mlkem768-x25519"``, which adds 1,088 bytes a part and also resists
        a quantum computer.
    public_key
        As hexadecimal digits.
    """

    config_id: Annotated[int, Field(ge=0, le=255)]
    kem: Kem = "x25519"
    public_key: Octets

    @model_validator(mode="after")
    def _key_fits(self) -> Self:
        wanted = public_key_bytes(self.kem)
        if len(self.public_key) != wanted:
            raise ValueError(f"public_key: a key of {self.kem} has {wanted} bytes")
        return self

    @classmethod
    def of_key(cls, config_id: int, key: EnvelopeKey) -> Self:
        """Return the public side of a key."""
        return cls(config_id=config_id, kem=key.kem, public_key=key.public_key)


class ServerParty(Settings):
    """One of the three servers.

    Parameters
    ----------
    name
        The organisation.
    url
        Where it is reached.
    verifying_key
        Its Ed25519 key, 32 bytes: signs receipts, freezes and this configuration.
    envelope
        Where a donor seals this server's part to.
    verify_key_commitment
        SHA-256 of the server's part of the key by which shares are checked; the key is opened
        after the round is frozen, so that no report can be made to fit it.
    """

    name: _Name
    url: Annotated[str, Field(pattern=r"^https?://[^\s]+$")]
    verifying_key: _Octets32
    envelope: EnvelopeConfiguration
    verify_key_commitment: _Octets32


class ResearcherParty(Settings):
    """Who receives the sensitive answers of the sampled rows, and nobody else.

    Parameters
    ----------
    name
        The person or group.
    envelope
        Where the servers seal the sensitive shares to.
    verifying_key
        Ed25519 key, 32 bytes, of the orders to close the round. None: each server is told one by
        its own settings (``closing_key``), and nothing shows that it is the same.
    """

    name: _Name
    envelope: EnvelopeConfiguration
    verifying_key: _Octets32 | None = None


class RegistrarParty(Settings):
    """Who knows the persons and signs one token for each, blindly.

    Parameters
    ----------
    name
        The organisation.
    public_key
        RSA of 2048, 3072 or 4096 bits, SubjectPublicKeyInfo in DER; of this task alone.
    """

    name: _Name
    public_key: Octets

    @model_validator(mode="after")
    def _key_fits(self) -> Self:
        _as_value_error(lambda: token_bytes(self.public_key))
        return self


def _as_value_error(check: Callable[[], object]) -> None:
    try:
        check()
    except ProtocolError as error:
        raise ValueError(str(error)) from None
