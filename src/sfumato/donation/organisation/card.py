"""What one organisation tells the others of its server; signed by it."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field

from sfumato.atomic import write_whole
from sfumato.donation.messages import EnvelopeConfiguration, ServerParty
from sfumato.donation.messages.parties import Octets
from sfumato.donation.protecting import SigningKey, check_signature
from sfumato.errors import EngineError, PlanError
from sfumato.settings import Settings

__all__ = ["ServerCard"]

_CONTEXT = "server card"
_Octets32 = Annotated[Octets, Field(min_length=32, max_length=32)]


class ServerCard(Settings):
    """The public side of one server.

    Parameters
    ----------
    index
        Which of the three: 0, 1 or 2.
    name
        The organisation.
    url
        Where donors reach it.
    link_host, link_port
        Where the two other servers reach it.
    verifying_key, verify_key_commitment, envelope
        As in :class:`~..messages.ServerParty`.
    certificate
        PEM, by which the others know it; donors too if nothing else is said.
    signature
        By the verifying key, over all else.
    """

    version: Literal[1] = 1
    index: Annotated[int, Field(ge=0, le=2)]
    name: Annotated[str, Field(min_length=1, max_length=200)]
    url: Annotated[str, Field(pattern=r"^https?://[^\s]+$")]
    link_host: Annotated[str, Field(min_length=1)]
    link_port: Annotated[int, Field(ge=0, le=65535)]
    verifying_key: _Octets32
    verify_key_commitment: _Octets32
    envelope: EnvelopeConfiguration
    certificate: str
    signature: Octets = b""

    def signed(self, key: SigningKey) -> Self:
        """Return the card with its signature."""
        return self.model_copy(update={"signature": key.sign(_CONTEXT, self._unsigned())})

    def check(self) -> Self:
        """Return the card if its signature holds.

        Raises
        ------
        ProtocolError
            If it does not.
        """
        check_signature(self.verifying_key, _CONTEXT, self._unsigned(), self.signature)
        return self

    @property
    def party(self) -> ServerParty:
        """The server as a task names it."""
        return ServerParty(
            name=self.name,
            url=self.url,
            verifying_key=self.verifying_key,
            envelope=self.envelope,
            verify_key_commitment=self.verify_key_commitment,
        )

    def write(self, path: Path) -> None:
        """Write the card as TOML.

        Raises
        ------
        EngineError
            If the file cannot be written.
        """
        import tomlkit

        try:
            write_whole(path, tomlkit.dumps(self.model_dump(mode="json")))
        except OSError as error:
            raise EngineError(f"{path}: {(error.strerror or 'refused').lower()}") from None

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a card and check its signature.

        Raises
        ------
        PlanError
            If it cannot be read or is no card.
        ProtocolError
            If its signature does not hold.
        """
        try:
            values: dict[str, Any] = tomllib.loads(path.read_text("utf-8"))
        except OSError as error:
            raise PlanError(f"{path}: {(error.strerror or 'unreadable').lower()}") from None
        except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise PlanError(f"{path} is not TOML in UTF-8: {error}") from None
        return cls.of(values).check()

    def _unsigned(self) -> bytes:
        values = self.model_dump(mode="json", exclude={"signature"})
        return json.dumps(values, sort_keys=True, separators=(",", ":")).encode()
