"""Requests to one server by HTTPS, over a connection that is kept open.

A server whose certificate is given is known by that certificate alone; any other by the authorities
that the operating system trusts. Without TLS only this machine is spoken to.
"""

from __future__ import annotations

import ipaddress
import json
import ssl
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Protocol
from urllib.parse import urlsplit

from sfumato.errors import EngineError, PlanError, ProtocolError

__all__ = ["Answer", "Connection", "HttpConnection", "ServerLost", "ServerRefused"]

_MOST_BYTES = 1 << 24
_MOST_WORDS = 300
_BUSY = (429, 503)
_LONGEST_WAIT = 60.0


class ServerLost(EngineError):
    """A server cannot be reached, or does not answer in time."""


class ServerRefused(ProtocolError):
    """A server answered that it does not do what it was asked for.

    Parameters
    ----------
    message
        Who refused, and the server's reason.
    code
        The code of the server's problem document, such as ``"round-full"``; empty without one.
    """

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Answer:
    """What a server answered.

    Parameters
    ----------
    status
        Of HTTP.
    body
        The bytes.
    retry_after
        After how many seconds it may be asked again, if it said so.
    """

    status: int
    body: bytes = field(repr=False)
    retry_after: float | None = None


class Connection(Protocol):
    """A way to one server."""

    name: str

    def request(
        self, method: str, path: str, body: bytes = b"", media: str | None = None
    ) -> Answer:
        """Return the answer to one request.

        Raises
        ------
        ServerLost
            If there is none.
        """

    def close(self) -> None:
        """Let go of it."""


class HttpConnection:
    """A kept-alive connection to one server.

    Parameters
    ----------
    name
        What the server is called in messages.
    url
        Its address, such as ``https://donate.example.org:8443``.
    certificate
        PEM; the only certificate that is believed. None: those of the system's authorities.
    timeout
        Seconds after which a silent server is lost.
    patience
        For how many seconds a request is repeated in all, while the server is away or says that it
        is busy. Every request of the protocol may be repeated.
    most_bytes
        The longest answer that is read.
    sleep, clock
        Waits, and tells seconds; of tests.

    Raises
    ------
    PlanError
        If the address is none, or not of TLS and not of this machine.
    """

    def __init__(
        self,
        name: str,
        url: str,
        certificate: str | None = None,
        *,
        timeout: float = 60.0,
        patience: float = 30.0,
        most_bytes: int = _MOST_BYTES,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        place = urlsplit(url)
        if place.scheme not in {"http", "https"} or not place.hostname:
            raise PlanError(f"server {name}: its address must begin with https:// (got {url!r})")
        if place.scheme == "http" and not _is_here(place.hostname):
            raise PlanError(
                f"server {name}: {url} is not protected by TLS; ask for an address with https://"
            )
        self.name = name
        self._base = place.path.rstrip("/")
        self._patience, self._sleep, self._clock = patience, sleep, clock
        self._most_bytes = most_bytes
        self._connection = _connection(name, place.scheme, place.netloc, certificate, timeout)

    def request(
        self, method: str, path: str, body: bytes = b"", media: str | None = None
    ) -> Answer:
        """Return the answer to one request; see :class:`Connection`."""
        end = self._clock() + self._patience
        wait = 0.2
        while True:
            try:
                answer = self._once(method, path, body, media)
            except (OSError, HTTPException) as error:
                self.close()
                lost: Answer | ServerLost = ServerLost(
                    f"server {self.name} does not answer ({_reason(error)}): try again later"
                )
            else:
                if answer.status not in _BUSY:
                    return answer
                lost = answer
            pause = lost.retry_after if isinstance(lost, Answer) else None
            pause = min(wait if pause is None else pause, _LONGEST_WAIT)
            if self._clock() + pause > end:
                if isinstance(lost, ServerLost):
                    raise lost
                return lost
            self._sleep(pause)
            wait = min(2 * wait, 5.0)

    def close(self) -> None:
        """Let go of the connection; the next request opens it again."""
        with suppress(OSError):
            self._connection.close()

    def _once(self, method: str, path: str, body: bytes, media: str | None) -> Answer:
        headers: Mapping[str, str] = {} if media is None else {"content-type": media}
        try:
            self._connection.request(method, self._base + path, body or None, dict(headers))
            response = self._connection.getresponse()
        except (ConnectionError, HTTPException):
            # a kept-alive connection may have been closed meanwhile: once more on a new one
            self.close()
            self._connection.request(method, self._base + path, body or None, dict(headers))
            response = self._connection.getresponse()
        data = response.read(self._most_bytes + 1)
        if len(data) > self._most_bytes:
            raise HTTPException("an answer that is too long")
        retry = response.getheader("retry-after", "")
        seconds = float(retry) if retry.isascii() and retry.isdigit() else None
        return Answer(response.status, data, seconds)


def refusal(name: str, answer: Answer) -> ServerRefused:
    """Return the error of an answer that is none of success, with the server's own reason."""
    code = detail = ""
    try:
        problem = json.loads(answer.body)
        code, detail = str(problem["code"]), str(problem["detail"])
    except (ValueError, KeyError, TypeError, RecursionError):
        detail = f"status {answer.status}"
    # what another machine says is shown, but cannot move the cursor or fill the screen
    shown = "".join(letter for letter in detail if letter.isprintable())[:_MOST_WORDS]
    return ServerRefused(f"server {name} refuses: {shown}", code[:64])


def _connection(
    name: str, scheme: str, netloc: str, certificate: str | None, timeout: float
) -> HTTPConnection:
    try:
        if scheme == "http":
            return HTTPConnection(netloc, timeout=timeout)
        context = ssl.create_default_context(cadata=certificate)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        return HTTPSConnection(netloc, timeout=timeout, context=context)
    except (ssl.SSLError, HTTPException, ValueError):
        raise PlanError(f"server {name}: its address or certificate is malformed") from None


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _reason(error: OSError | HTTPException) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return "it shows another certificate than the one it is known by"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return "the connection broke"
