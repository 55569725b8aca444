"""A server's folder.

::

    server.toml       its settings, to be edited
    card.toml         what the two other organisations are given
    certificate.pem   of its links, and of its HTTP address if nothing else is said
    keys/             signing, envelope, verification, tls.pem: readable by the owner alone; of
                      these envelope and verification are destroyed when the round is over
    cards/0.toml ...  of all three servers
    task.toml         signed by all three
    reports/          what donors sent, sealed
    rounds/           journals, shares in use, bundles

Keys are made once, by the operating system's randomness, and never leave the folder.
"""

from __future__ import annotations

import os
import secrets
import tomllib
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field

from sfumato.atomic import sync_folder, write_whole
from sfumato.donation.links import PeerAddress, make_certificate
from sfumato.donation.messages import EnvelopeConfiguration, SignedTask, TaskConfiguration
from sfumato.donation.messages.parties import Octets
from sfumato.donation.organisation.card import ServerCard
from sfumato.donation.organisation.task_keys import TaskKeys, read_octets, read_text
from sfumato.donation.protecting import EnvelopeKey, Kem, SigningKey
from sfumato.donation.rounds import RoundSettings
from sfumato.donation.serving import Limits
from sfumato.errors import EngineError, PlanError, ProtocolError
from sfumato.settings import Settings

__all__ = ["Organisation", "ServerSettings"]

_Port = Annotated[int, Field(ge=0, le=65535)]
_SECRET_BYTES = 32


class ServerSettings(Settings):
    """How a server is run: ``server.toml``.

    Parameters
    ----------
    index
        Which of the three: 0, 1 or 2.
    name
        The organisation.
    host, port
        Where it listens for donors and the researcher.
    link_host, link_port
        Where it listens for the two other servers.
    certificate, private_key
        PEM files for the HTTP address; the server's own if not said. ``plain = true`` where a proxy
        does TLS.
    store
        Where reports are kept: a folder, relative to the server's, or a URL of PostgreSQL.
    closing_key
        Verifying key of who may close the round, as hexadecimal digits; needed only where the task
        does not say the researcher's, and then the same.
    timeout_seconds
        After how long a silent peer is lost.
    most_attempts
        How often a round is tried before the server waits to be told again.
    limits, rounds
        See :class:`~..serving.Limits` and :class:`~..rounds.RoundSettings`.
    """

    index: Annotated[int, Field(ge=0, le=2)]
    name: Annotated[str, Field(min_length=1, max_length=200)]
    host: str = "127.0.0.1"
    port: _Port = 8443
    link_host: str = "127.0.0.1"
    link_port: _Port = 8444
    certificate: str | None = None
    private_key: str | None = None
    plain: bool = False
    store: str = "reports"
    closing_key: Annotated[Octets, Field(min_length=32, max_length=32)] | None = None
    timeout_seconds: Annotated[float, Field(gt=0)] = 900.0
    most_attempts: Annotated[int, Field(ge=1)] = 100
    limits: Limits = Limits()
    rounds: RoundSettings = RoundSettings()


class Organisation:
    """One server's folder, opened.

    Parameters
    ----------
    folder
        As :meth:`create` made it.

    Raises
    ------
    PlanError
        If it is none, or a file in it is malformed.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.settings = ServerSettings.of(_read_toml(self.folder / "server.toml"))

    def __repr__(self) -> str:
        return f"<Organisation {self.settings.name!r}, server {self.settings.index}>"

    @classmethod
    def create(
        cls,
        folder: str | Path,
        settings: ServerSettings,
        *,
        url: str | None = None,
        hosts: Sequence[str] = (),
        kem: Kem = "x25519",
    ) -> Self:
        """Make the folder of a new server, with its keys and its card.

        Parameters
        ----------
        folder
            Must not hold a server yet.
        settings
            What is written to ``server.toml``.
        url
            Where donors reach it; from host and port by default.
        hosts
            More names and addresses for the certificate.
        kem
            How donors seal their part for it.

        Raises
        ------
        PlanError
            If there is a server in the folder.
        EngineError
            If the folder cannot be written.
        """
        place = Path(folder)
        if (place / "server.toml").exists():
            raise PlanError(f"{place} holds a server already: its keys are never written over")
        signer, envelope = SigningKey.generate(), EnvelopeKey.generate(kem)
        part = secrets.token_bytes(_SECRET_BYTES)
        names = dict.fromkeys((settings.host, settings.link_host, *hosts))
        certificate, tls_key = make_certificate(settings.name, list(names))
        scheme = "http" if settings.plain else "https"
        card = ServerCard(
            index=settings.index,
            name=settings.name,
            url=url or f"{scheme}://{settings.host}:{settings.port}",
            link_host=settings.link_host,
            link_port=settings.link_port,
            verifying_key=signer.verifying_key,
            verify_key_commitment=sha256(part).digest(),
            envelope=EnvelopeConfiguration.of_key(settings.index, envelope),
            certificate=certificate,
        ).signed(signer)
        try:
            keys = place / "keys"
            keys.mkdir(mode=0o700, parents=True, exist_ok=True)
            _write_secret(keys / "signing", signer.secret_bytes().hex())
            _write_secret(keys / "envelope", f"{kem} {envelope.secret_bytes().hex()}")
            _write_secret(keys / "verification", part.hex())
            _write_secret(keys / "tls.pem", tls_key)
            sync_folder(keys)
            write_whole(place / "certificate.pem", certificate)
            card.write(place / "card.toml")
            _write_toml(place / "server.toml", settings.model_dump(mode="json", exclude_none=True))
        except OSError as error:
            raise EngineError(f"{place}: {(error.strerror or 'refused').lower()}") from None
        return cls(place)

    # -- what it has -------------------------------------------------------------------------

    @property
    def card(self) -> ServerCard:
        """What the others are given."""
        return ServerCard.read(self.folder / "card.toml")

    @property
    def task_keys(self) -> TaskKeys:
        """The keys that end with the task's round, read anew."""
        return TaskKeys(self.folder / "keys", self.card.envelope)

    @property
    def signer(self) -> SigningKey:
        """The signing key."""
        return SigningKey(read_octets(read_text(self.folder / "keys" / "signing")))

    @property
    def certificate(self) -> Path:
        """The certificate of its links."""
        return self.folder / "certificate.pem"

    @property
    def tls_key(self) -> Path:
        """The private key of the certificate."""
        return self.folder / "keys" / "tls.pem"

    @property
    def store(self) -> str:
        """Where reports are kept."""
        place = self.settings.store
        return place if "://" in place else str(self.folder / place)

    # -- the task ----------------------------------------------------------------------------

    def sign(self, task: TaskConfiguration) -> bytes:
        """Return this server's signature of a task that names it as its card says.

        Raises
        ------
        ProtocolError
            If the task names another server in its place.
        """
        card = self.card
        if task.servers[self.settings.index] != card.party:
            raise ProtocolError(
                f"task: names another server in place {self.settings.index} than the card of "
                f"{card.name}"
            )
        return SignedTask.signature(task, self.signer)

    def join(self, signed: SignedTask, cards: Sequence[ServerCard]) -> None:
        """Put the signed task and the cards of all three servers in place.

        Raises
        ------
        ProtocolError
            If a card is not that of a server of the task.
        PlanError
            If there is a task already.
        """
        if (self.folder / "task.toml").exists():
            raise PlanError(f"{self.folder} serves a task already: use a folder for each")
        _checked_cards(signed.configuration, cards)
        (self.folder / "cards").mkdir(exist_ok=True)
        for card in cards:
            card.write(self.folder / "cards" / f"{card.index}.toml")
        signed.write(self.folder / "task.toml")

    @property
    def task(self) -> SignedTask:
        """The task.

        Raises
        ------
        PlanError
            If there is none yet.
        """
        path = self.folder / "task.toml"
        if not path.exists():
            raise PlanError(
                f"{self.folder} has no task yet: put it there by `sfumato donate task TASK --join "
                f"{self.folder} --cards CARDS`, when all three have signed it"
            )
        return SignedTask.read(path)

    @property
    def closing_key(self) -> bytes | None:
        """The verifying key of who may close the round; None if nobody may.

        Raises
        ------
        PlanError
            If the settings say another one than the task, which all three have signed.
        """
        own, signed = self.settings.closing_key, self.task.configuration.researcher.verifying_key
        if own is not None and signed is not None and own != signed:
            raise PlanError(
                f"{self.folder / 'server.toml'}: closing_key is not the researcher's key that the "
                "task says and all three servers signed: take it out"
            )
        return signed or own

    def cards(self) -> list[ServerCard]:
        """Return the cards of all three servers, which the task's keys signed."""
        folder = self.folder / "cards"
        cards = [ServerCard.read(folder / f"{index}.toml") for index in range(3)]
        _checked_cards(self.task.configuration, cards)
        return cards

    def peers(self) -> Mapping[int, PeerAddress]:
        """Return where the two others are."""
        return {
            card.index: PeerAddress(card.link_host, card.link_port, card.certificate)
            for card in self.cards()
            if card.index != self.settings.index
        }


def _checked_cards(task: TaskConfiguration, cards: Sequence[ServerCard]) -> None:
    if sorted(card.index for card in cards) != [0, 1, 2]:
        raise ProtocolError("cards: needs one of each of the three servers")
    for card in cards:
        if card.check().party != task.servers[card.index]:
            raise ProtocolError(f"cards: the task does not name the server of {card.name}'s card")


def _write_secret(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _write_toml(path: Path, values: dict[str, Any]) -> None:
    import tomlkit

    write_whole(path, tomlkit.dumps(values))


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        reason = (error.strerror or "unreadable").lower()
        raise PlanError(f"{path}: {reason}; make the server with --init") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise PlanError(f"{path} is not TOML in UTF-8: {error}") from None
