"""The form on this machine: a few pages for one donor, at an address that only this machine has.

The address holds a random secret, so that no other program or web page can guess it, and requests
for another host name are refused, so that no web page can reach it by a name of its own. Answers
are kept in the page, not here, until they are donated.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Lock, Thread
from typing import Self
from urllib.parse import parse_qsl

import polars as pl

from sfumato.donation.clients.answers import answers_row
from sfumato.donation.form.pages import CONTENT_POLICY, FormPages
from sfumato.donation.messages import Receipt, TaskConfiguration
from sfumato.errors import DataError, InternalError, SchemaError, SfumatoError

__all__ = ["FormServer"]

_HERE = "127.0.0.1"
_MOST_BYTES = 1 << 20
_MOST_FIELDS = 2000
_POLL_SECONDS = 0.05

Donate = Callable[[pl.DataFrame], tuple[Receipt, ...]]


class FormServer:
    """Serves the form for one donation; a context.

    Parameters
    ----------
    task
        The signed configuration.
    donate
        Sends one donor's answers and returns the receipts. It is called until it returns once.
    """

    def __init__(self, task: TaskConfiguration, donate: Donate) -> None:
        self._task, self._donate = task, donate
        self._pages = FormPages(task)
        self._secret = secrets.token_urlsafe(24)
        self._lock, self._done = Lock(), Event()
        self._receipts: tuple[Receipt, ...] | None = None
        self._server = ThreadingHTTPServer((_HERE, 0), self._handler())
        self._server.daemon_threads = True
        self._thread = Thread(
            target=self._server.serve_forever, args=(_POLL_SECONDS,), name="form", daemon=True
        )

    @property
    def url(self) -> str:
        """The address of the form."""
        return f"http://{self.host}/{self._secret}/"

    @property
    def host(self) -> str:
        """Name and port by which it may be asked."""
        return f"{_HERE}:{self._server.server_port}"

    def serve(self) -> tuple[Receipt, ...]:
        """Wait until somebody has donated, and return the receipts."""
        self._done.wait()
        if self._receipts is None:
            raise InternalError("the form ended without a donation")
        return self._receipts

    def __enter__(self) -> Self:
        """Begin to serve."""
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()

    # -- pages -------------------------------------------------------------------------------

    def page(self, step: str, answers: dict[str, str | None]) -> str | None:
        """Return the page of a step, or None if there is no such.

        Parameters
        ----------
        step
            "" for the questions, "preview" or "donate".
        answers
            What was sent.
        """
        if self._receipts is not None:
            return self._pages.thanks()
        if step == "":
            return self._pages.questions(answers)
        if step == "preview":
            return self._pages.checked(answers)
        if step == "donate":
            return self._donated(answers)
        return None

    def _donated(self, answers: dict[str, str | None]) -> str:
        with self._lock:  # who presses twice donates once
            if self._receipts is None:
                try:
                    row = answers_row(self._task, answers)
                except (DataError, SchemaError):
                    return self._pages.checked(answers)
                try:
                    self._receipts = self._donate(row)
                except SfumatoError as error:
                    return self._pages.previewed(answers, str(error))
        return self._pages.thanks()

    def _step(self, path: str) -> str | None:
        """Return the step of an address, or None for one without the secret."""
        secret, _, step = path.partition("?")[0].removeprefix("/").partition("/")
        return step if hmac.compare_digest(secret.encode(), self._secret.encode()) else None

    def _answers(self, body: bytes) -> dict[str, str | None]:
        columns = {question.column for question in self._task.form}
        try:
            fields = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_MOST_FIELDS)
        except ValueError:
            return {}
        return {name: value.strip() or None for name, value in fields if name in columns}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        form = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 60
            server_version = sys_version = ""

            def do_GET(self) -> None:
                self._answer(b"")

            def do_POST(self) -> None:
                length = self.headers.get("content-length", "")
                if not length.isdigit() or len(length) > 10 or int(length) > _MOST_BYTES:
                    self.close_connection = True
                    self._send(413, "Too large.")
                    return
                self._answer(self.rfile.read(int(length)))

            def _answer(self, body: bytes) -> None:
                step = form._step(self.path)
                if self.headers.get("host") != form.host or step is None:
                    self._send(404, "There is nothing here.")
                    return
                if self.command == "GET":
                    step = ""
                page = form.page(step, form._answers(body))
                if page is None:
                    self._send(404, "There is nothing here.")
                    return
                self._send(200, page)
                if form._receipts is not None:
                    form._done.set()

            def _send(self, status: int, page: str) -> None:
                data = page.encode()
                self.send_response(status)
                for name, value in (
                    ("content-type", "text/html; charset=utf-8"),
                    ("content-length", str(len(data))),
                    ("content-security-policy", CONTENT_POLICY),
                    ("cache-control", "no-store"),
                    ("referrer-policy", "no-referrer"),
                    ("x-content-type-options", "nosniff"),
                ):
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_arguments: object) -> None:
                """Log nothing: what is asked for is the donor's."""

        return Handler
