"""The part of a server's HTTP interface that is about rounds.

================================================ ==============================================
 POST /v1/tasks/{task}/close                      the researcher's signed order: 202, or 200 if
                                                  it is known
 GET  /v1/tasks/{task}/status                     the round ordered last, or the open one
 GET  /v1/tasks/{task}/rounds/{number}            the same of one round
 GET  /v1/tasks/{task}/rounds/{number}/bundle     this server's bundle for the researcher
================================================ ==============================================

A status says ``state``, ``round``, ``received``, ``accepted`` and, if something went wrong,
``error`` in words and ``problem``, the type of the problem (RFC 9457), which programs go by; the
task's also ``open_round``, for which new reports are to be made. All else is passed on to the
application that takes reports. A bundle is sealed to the researcher; who else asks for it gets its
manifest, which is public.
"""

from __future__ import annotations

import asyncio
import json

from sfumato.donation.rounds.bundle import BUNDLE_MEDIA_TYPE
from sfumato.donation.rounds.closing import CloseRequest
from sfumato.donation.rounds.desk import RoundDesk
from sfumato.donation.rounds.states import RoundState
from sfumato.donation.serving import DonationApplication, Limits
from sfumato.donation.serving.answering import (
    JSON,
    TEXT,
    Answer,
    Receive,
    Scope,
    Send,
    send_answer,
)
from sfumato.donation.serving.description import describe_interface, describe_rounds
from sfumato.donation.serving.limits import AddressLimits
from sfumato.donation.serving.problems import PROBLEM_MEDIA_TYPE, Problem
from sfumato.errors import EngineError, ProtocolError

__all__ = ["RoundsApplication"]

_INTERFACE_PATH = "/v1/openapi.json"
_METRICS_PATH = "/v1/metrics"
_LONGEST_ORDER = 4096
_MOST_DIGITS = 10


class RoundsApplication:
    """Serves rounds, and passes on what is not about them.

    Parameters
    ----------
    inner
        The application that takes reports.
    desk
        The rounds.
    limits
        What one address may ask about rounds.
    """

    def __init__(
        self, inner: DonationApplication, desk: RoundDesk, limits: Limits | None = None
    ) -> None:
        self._inner, self._desk = inner, desk
        self._limits = limits or Limits()
        self._addresses = AddressLimits(self._limits)
        ingest = inner.ingest
        self._task_id = ingest.task.task_id
        path = f"/v1/tasks/{self._task_id.hex()}"
        self._close_path, self._status_path = f"{path}/close", f"{path}/status"
        self._rounds_path = f"{path}/rounds/"
        interface = describe_interface(self._task_id.hex(), ingest.task.layout.report_bytes)
        described = describe_rounds(self._task_id.hex(), [state.value for state in RoundState])
        interface["paths"] = {**interface["paths"], **described}
        self._interface = json.dumps(interface).encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection of ASGI 3."""
        path = scope.get("path", "")
        ours = path in {self._close_path, self._status_path, _INTERFACE_PATH, _METRICS_PATH}
        ours = ours or path.startswith(self._rounds_path)
        if scope["type"] != "http" or not ours:
            await self._inner(scope, receive, send)
            return
        await send_answer(send, scope["method"], await self._answer(scope, receive))

    async def _answer(self, scope: Scope, receive: Receive) -> Answer | None:
        client = scope.get("client")
        if client is not None:
            wait = self._addresses.wait(client[0], asyncio.get_running_loop().time())
            if wait:
                retry = ((b"retry-after", str(wait).encode()),)
                return self._problem(
                    Problem("too-many-requests", f"try again in {wait} seconds", retry)
                )
        closing = scope["path"] == self._close_path
        allowed = {"POST"} if closing else {"GET", "HEAD"}
        if scope["method"] not in allowed:
            allow = ", ".join(sorted(allowed))
            headers = ((b"allow", allow.encode()),)
            return self._problem(Problem("method-not-allowed", f"allowed: {allow}", headers))
        loop = asyncio.get_running_loop()
        try:
            if closing:
                return await self._close(receive)
            return await loop.run_in_executor(None, self._tell, scope["path"])
        except TimeoutError:
            seconds = self._limits.body_seconds
            return self._problem(Problem("request-timeout", f"send it within {seconds:g} seconds"))
        except (EngineError, OSError):
            retry = ((b"retry-after", b"60"),)
            return self._problem(Problem("store-unavailable", "the server's disk refuses", retry))

    async def _close(self, receive: Receive) -> Answer | None:
        body = b""
        async with asyncio.timeout(self._limits.body_seconds):
            while True:
                message = await receive()
                if message["type"] != "http.request":
                    return None
                body += message.get("body", b"")
                if len(body) > _LONGEST_ORDER:
                    detail = f"an order has at most {_LONGEST_ORDER} bytes"
                    return self._problem(Problem("too-large", detail))
                if not message.get("more_body"):
                    break
        try:
            request = CloseRequest.from_json(body, self._task_id)
        except ProtocolError as error:
            return self._problem(Problem("malformed", str(error)))
        loop = asyncio.get_running_loop()
        try:
            new = await loop.run_in_executor(None, self._desk.close, request)
        except ProtocolError as error:
            return self._problem(Problem("order-refused", str(error)))
        status = await loop.run_in_executor(None, self._desk.status, request.round_number)
        return 202 if new else 200, JSON, json.dumps(status).encode(), ()

    def _tell(self, path: str) -> Answer:
        if path == _METRICS_PATH:
            text = self._inner.counters.to_text(self._inner.ingest.store.round_number)
            return 200, TEXT, (text + self._desk.metrics()).encode(), ()
        if path == _INTERFACE_PATH:
            return 200, JSON, self._interface, ()
        if path == self._status_path:
            return self._tell_status()
        digits, _, rest = path.removeprefix(self._rounds_path).partition("/")
        if digits.isascii() and digits.isdigit() and len(digits) <= _MOST_DIGITS:
            number = int(digits)
            if rest == "bundle":
                bundle = self._desk.bundle(number)
                if bundle is not None:
                    return 200, BUNDLE_MEDIA_TYPE.encode(), bundle, ()
                detail = "there is no bundle of this round, or not yet: ask for its status"
                return self._problem(Problem("not-found", detail))
            status = self._desk.status(number) if not rest else None
            if status is not None:
                return 200, JSON, json.dumps(status).encode(), ()
        return self._problem(Problem("not-found", "there is no such round"))

    def _tell_status(self) -> Answer:
        ingest = self._inner.ingest
        values = {
            **(self._desk.status(self._desk.latest) or {}),
            "open_round": ingest.store.round_number,
            "task_id": self._task_id.hex(),
            "server": ingest.server,
            "accepting": ingest.accepting,
            "n_min": ingest.task.n_min,
        }
        return 200, JSON, json.dumps(values).encode(), ()

    def _problem(self, problem: Problem) -> Answer:
        self._inner.counters.answered(str(problem.code))
        return problem.status, PROBLEM_MEDIA_TYPE, problem.to_json(), problem.headers
