"""A link of two TLS connections to one peer: one to send on, one to receive on.

Each connection carries bytes one way only, so that no connection is read and written by two threads
at once, which OpenSSL does not allow. What is sent is handed to a thread: two servers may send to
each other as much as they like before either of them reads.
"""

from __future__ import annotations

import io
import socket
import ssl
from contextlib import suppress
from queue import SimpleQueue
from threading import Thread
from typing import cast

from sfumato.errors import ProtocolError

__all__ = ["LinkLost", "TlsLink", "close_connection", "keep_alive", "read_exactly", "reader_of"]

_TOGETHER = 1 << 16
_BUFFER = 1 << 18
_GOODBYE_SECONDS = 10.0


class LinkLost(ProtocolError):
    """A peer cannot be reached, has gone or is too slow."""


class TlsLink:
    """Bytes to and from one server; a :class:`~sfumato.donation.sharing.Link`.

    Parameters
    ----------
    peer
        Index of the server at the other end.
    outgoing, incoming
        Connections whose handshakes are done.
    timeout
        Seconds after which a silent peer is lost.
    reader
        What was opened to read from ``incoming``, if something was; it may hold bytes already.
    """

    def __init__(
        self,
        peer: int,
        outgoing: ssl.SSLSocket,
        incoming: ssl.SSLSocket,
        timeout: float,
        reader: io.BufferedReader | None = None,
    ) -> None:
        self._peer, self._timeout = peer, timeout
        self._outgoing, self._incoming = outgoing, incoming
        outgoing.settimeout(timeout)
        incoming.settimeout(timeout)
        self._reader = reader or reader_of(incoming)
        self._waiting: SimpleQueue[memoryview | None] = SimpleQueue()
        self._failed: str | None = None
        self._closed = False
        self._writer = Thread(target=self._send_all, name=f"link to server {peer}", daemon=True)
        self._writer.start()

    def write(self, data: memoryview) -> None:
        """Hand bytes over to be sent; they must not be changed afterwards."""
        if self._failed is not None:
            raise LinkLost(f"server {self._peer} is gone: {self._failed}")
        self._waiting.put(data)

    def read(self, length: int) -> memoryview:
        """Return exactly ``length`` bytes.

        Raises
        ------
        LinkLost
            If they do not come in time.
        """
        return memoryview(read_exactly(self._reader, length, self._peer, self._timeout))

    def close(self) -> None:
        """Send what still waits, then close both connections."""
        if self._closed:
            return
        self._closed = True
        self._waiting.put(None)
        self._writer.join(_GOODBYE_SECONDS)
        for connection in (self._outgoing, self._incoming):
            close_connection(connection)
        self._reader.close()

    def _send_all(self) -> None:
        """Send what is handed over, small pieces together."""
        last = False
        try:
            while not last:
                pieces = [self._waiting.get()]
                size = len(pieces[0] or b"")
                while pieces[-1] is not None and size < _TOGETHER and not self._waiting.empty():
                    pieces.append(self._waiting.get())
                    size += len(pieces[-1] or b"")
                last = pieces[-1] is None
                present = [piece for piece in pieces if piece is not None]
                if len(present) == 1:
                    self._outgoing.sendall(present[0])
                elif present:
                    self._outgoing.sendall(b"".join(present))
        except (OSError, ValueError) as error:
            self._failed = _reason(error)


def read_exactly(reader: io.BufferedReader, length: int, peer: int, timeout: float) -> bytearray:
    """Fill a buffer from a connection's reader.

    Raises
    ------
    LinkLost
        If the bytes do not come in time.
    """
    data = bytearray(length)
    view = memoryview(data)
    place = 0
    try:
        while place < length:
            count = reader.readinto(view[place:])
            if not count:
                raise LinkLost(f"server {peer} has closed its link")
            place += count
    except TimeoutError:
        raise LinkLost(f"server {peer} has not answered within {timeout:g} s") from None
    except (OSError, ValueError) as error:
        raise LinkLost(f"server {peer} is gone: {_reason(error)}") from None
    return data


def reader_of(connection: ssl.SSLSocket) -> io.BufferedReader:
    """Return what reads from a connection."""
    return cast("io.BufferedReader", connection.makefile("rb", buffering=_BUFFER))


def keep_alive(connection: socket.socket) -> None:
    """Let the system notice within a minute that the other machine is gone; send at once."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_KEEPIDLE", 20), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 4)):
        option = getattr(socket, name, None)
        if option is not None:
            connection.setsockopt(socket.IPPROTO_TCP, option, value)


def close_connection(connection: socket.socket) -> None:
    """Close a connection whatever state it is in."""
    with suppress(OSError, ValueError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return (error.reason or "TLS failed").lower().replace("_", " ")
    return (getattr(error, "strerror", None) or "the connection broke").lower()
