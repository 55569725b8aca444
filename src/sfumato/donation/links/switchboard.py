"""How servers meet: everyone listens, everyone calls both others, and all agree on an attempt.

A call is a TLS connection from the server that will send on it. Its first bytes are a greeting:
task, round, the attempt that the caller proposes and a random number. Who has greeted both others
and been greeted by both tells them which attempt it is, the greatest of the three proposals, and
whose random numbers it has seen. Only if all three say the same have they met; a call that was left
over from before does not fit, and they try again.

A server is known by its certificate, compared as a whole: no name and no authority vouches for it.
"""

from __future__ import annotations

import io
import os
import random
import socket
import ssl
import struct
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from threading import Condition, Event, Thread

from sfumato.donation.links.tls_link import (
    LinkLost,
    TlsLink,
    close_connection,
    keep_alive,
    read_exactly,
    reader_of,
)
from sfumato.errors import EngineError, PlanError

__all__ = ["Meeting", "PeerAddress", "Switchboard"]

_MAGIC = b"sfumato link 1\0\0"
_GREETING = struct.Struct(">16s32sBII16s")
_AGREEMENT = struct.Struct(">I48s")
_HANDSHAKE_SECONDS = 10.0
_POLL_SECONDS = 0.5
_MOST_HANDSHAKES = 16
_FAR = 1 << 16  # more attempts than anybody makes: a peer must not use up the numbers


@dataclass(frozen=True)
class PeerAddress:
    """Where a server listens for the others, and how it is known.

    Parameters
    ----------
    host, port
        Where.
    certificate
        PEM.
    """

    host: str
    port: int
    certificate: str = field(repr=False)


@dataclass(frozen=True)
class Meeting:
    """Links to both others for one attempt.

    Parameters
    ----------
    attempt
        The number that all three agreed on.
    links
        By the peer's index.
    """

    attempt: int
    links: Mapping[int, TlsLink]


@dataclass(frozen=True, eq=False)
class _Call:
    """A call that has been greeted."""

    connection: ssl.SSLSocket
    reader: io.BufferedReader
    number: int
    proposal: int
    session: bytes


class Switchboard:
    """The links of one server.

    Parameters
    ----------
    index
        Of this server: 0, 1 or 2.
    task_id
        The task, 32 bytes.
    listen
        Host and port on which it listens; port 0 takes a free one.
    certificate, private_key
        PEM files.
    peers
        The two others, by index.
    timeout
        Seconds after which a silent peer is lost: longer than any server computes by itself.
    called
        Called with the number of a round when a peer wants to meet for it.

    Raises
    ------
    EngineError
        If the port is taken.
    PlanError
        If a certificate or the key cannot be read.
    """

    def __init__(
        self,
        index: int,
        task_id: bytes,
        listen: tuple[str, int],
        certificate: str | os.PathLike[str],
        private_key: str | os.PathLike[str],
        peers: Mapping[int, PeerAddress],
        *,
        timeout: float = 900.0,
        called: Callable[[int], None] = lambda _number: None,
    ) -> None:
        self._index, self._task_id = index, task_id
        self._peers, self._timeout, self._called = dict(peers), timeout, called
        try:
            self._inbound = _context(ssl.PROTOCOL_TLS_SERVER, certificate, private_key)
            self._inbound.num_tickets = 0  # nobody reads them: a caller only writes
            self._outbound = {}
            self._known = {}
            for peer, address in self._peers.items():
                self._inbound.load_verify_locations(cadata=address.certificate)
                context = _context(ssl.PROTOCOL_TLS_CLIENT, certificate, private_key)
                context.load_verify_locations(cadata=address.certificate)
                self._outbound[peer] = context
                self._known[ssl.PEM_cert_to_DER_cert(address.certificate)] = peer
        except (OSError, ValueError) as error:
            raise PlanError(f"links: a certificate or key cannot be read: {error}") from None
        self._calls: dict[int, _Call] = {}
        self._changed = Condition()
        self._closing = Event()
        try:
            self._socket = socket.create_server(listen)
        except OSError as error:
            reason = (error.strerror or "the system refused").lower()
            raise EngineError(
                f"links: cannot listen on {listen[0]}:{listen[1]}: {reason}"
            ) from None
        self._socket.settimeout(_POLL_SECONDS)
        self._handshakes = 0
        self._listener = Thread(target=self._listen, name="links", daemon=True)
        self._listener.start()

    @property
    def port(self) -> int:
        """The port on which it listens."""
        return int(self._socket.getsockname()[1])

    def meet(self, number: int, proposal: int, patience: float = 10.0) -> Meeting:
        """Meet both others for a round.

        Parameters
        ----------
        number
            The round.
        proposal
            An attempt above all that this server knows of.
        patience
            Seconds to wait for the others.

        Raises
        ------
        LinkLost
            If they do not come, or do not mean the same meeting: try again.
        """
        deadline = time.monotonic() + patience
        session = os.urandom(16)
        outgoing: dict[int, ssl.SSLSocket] = {}
        incoming: dict[int, _Call] = {}
        try:
            for peer in self._peers:
                outgoing[peer] = self._call(peer, deadline)
                greeting = _GREETING.pack(
                    _MAGIC, self._task_id, self._index, number, proposal, session
                )
                _send(outgoing[peer], greeting, peer)
            for peer in self._peers:
                incoming[peer] = self._take(peer, number, deadline)
            sessions = {self._index: session}
            sessions |= {peer: call.session for peer, call in incoming.items()}
            attempt = _agreed(proposal, {peer: call.proposal for peer, call in incoming.items()})
            agreement = _AGREEMENT.pack(attempt, b"".join(sessions[place] for place in range(3)))
            for peer, connection in outgoing.items():
                _send(connection, agreement, peer)
            for peer, call in incoming.items():
                _hear(call, agreement, peer, max(0.1, deadline - time.monotonic()))
            links = {
                peer: TlsLink(peer, outgoing[peer], call.connection, self._timeout, call.reader)
                for peer, call in incoming.items()
            }
        except LinkLost:
            for connection in (
                *outgoing.values(),
                *(call.connection for call in incoming.values()),
            ):
                close_connection(connection)
            raise
        return Meeting(attempt, links)

    def wait(self, failures: int) -> None:
        """Wait a little before the next try, longer after many; not when it is being closed."""
        self._closing.wait(random.uniform(0.5, 1.0) * min(2.0, 0.05 * 2 ** min(failures, 6)))  # noqa: S311 - only spreads tries

    def close(self) -> None:
        """Stop listening."""
        self._closing.set()
        with self._changed:
            self._changed.notify_all()
        self._listener.join()
        self._socket.close()
        with self._changed:
            for call in self._calls.values():
                close_connection(call.connection)
            self._calls.clear()

    # -- calling -----------------------------------------------------------------------------

    def _call(self, peer: int, deadline: float) -> ssl.SSLSocket:
        address = self._peers[peer]
        left = max(0.1, deadline - time.monotonic())
        try:
            plain = socket.create_connection(
                (address.host, address.port), timeout=min(left, _HANDSHAKE_SECONDS)
            )
        except OSError as error:
            reason = (error.strerror or "no answer").lower()
            raise LinkLost(f"server {peer} does not answer its link: {reason}") from None
        try:
            keep_alive(plain)
            connection = self._outbound[peer].wrap_socket(plain)
        except OSError:
            plain.close()
            raise LinkLost(f"server {peer} does not shake hands by TLS") from None
        if self._known.get(connection.getpeercert(binary_form=True) or b"") != peer:
            close_connection(connection)
            raise LinkLost(f"server {peer} shows another certificate than its card")
        return connection

    # -- being called ------------------------------------------------------------------------

    def _listen(self) -> None:
        while not self._closing.is_set():
            try:
                plain, _ = self._socket.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            with self._changed:
                crowded = self._handshakes >= _MOST_HANDSHAKES
                self._handshakes += not crowded
            if crowded:
                plain.close()
                continue
            Thread(target=self._answer, args=(plain,), name="link handshake", daemon=True).start()

    def _answer(self, plain: socket.socket) -> None:
        """Shake hands, hear the greeting and keep the call until somebody takes it."""
        connection: socket.socket = plain
        try:
            plain.settimeout(_HANDSHAKE_SECONDS)
            keep_alive(plain)
            secured = self._inbound.wrap_socket(plain, server_side=True)
            connection = secured
            peer = self._known.get(secured.getpeercert(binary_form=True) or b"")
            reader = reader_of(secured)
            greeting = read_exactly(reader, _GREETING.size, -1, _HANDSHAKE_SECONDS)
            magic, task_id, caller, number, proposal, session = _GREETING.unpack(greeting)
            if (magic, task_id) != (_MAGIC, self._task_id) or peer is None or caller != peer:
                close_connection(connection)
                return
        except (OSError, ValueError, LinkLost):
            close_connection(connection)
            return
        finally:
            with self._changed:
                self._handshakes -= 1
        with self._changed:
            before = self._calls.pop(peer, None)
            self._calls[peer] = _Call(secured, reader, number, proposal, session)
            self._changed.notify_all()
        if before is not None:
            close_connection(before.connection)
        self._called(number)

    def _take(self, peer: int, number: int, deadline: float) -> _Call:
        """Return the last call of a peer, once it means the round."""
        with self._changed:
            while True:
                call = self._calls.get(peer)
                if call is not None and call.number == number:
                    return self._calls.pop(peer)
                left = deadline - time.monotonic()
                if left <= 0 or self._closing.is_set():
                    raise LinkLost(f"server {peer} has not come to round {number}")
                self._changed.wait(min(left, _POLL_SECONDS))


def _context(
    protocol: ssl._SSLMethod,
    certificate: str | os.PathLike[str],
    private_key: str | os.PathLike[str],
) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False  # the certificate itself is compared
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(certificate, private_key)
    return context


def _agreed(own: int, theirs: Mapping[int, int]) -> int:
    """Return the greatest of the proposed attempts."""
    for peer, proposal in theirs.items():
        if proposal > own + _FAR:
            raise LinkLost(
                f"server {peer} proposes attempt {proposal}, and this one {own}: more than {_FAR} "
                "ahead is not followed"
            )
    return max(own, *theirs.values())


def _hear(call: _Call, agreement: bytes, peer: int, timeout: float) -> None:
    call.connection.settimeout(timeout)
    if bytes(read_exactly(call.reader, _AGREEMENT.size, peer, timeout)) != agreement:
        raise LinkLost(f"server {peer} means another meeting")


def _send(connection: ssl.SSLSocket, data: bytes, peer: int) -> None:
    try:
        connection.sendall(data)
    except (OSError, ValueError):
        raise LinkLost(f"server {peer} has hung up") from None
