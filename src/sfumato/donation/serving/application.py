"""The HTTP interface of a donation server, as a bare ASGI application.

============================================ ==================================================
 PUT  /v1/tasks/{task}/reports/{report}       send a report: 201 and a receipt, 200 if it is known
 GET  /v1/tasks/{task}                        the signed task configuration, JSON
 GET  /v1/tasks/{task}/status                 round, whether it accepts, donations in hundreds
 GET  /v1/health, /v1/metrics                 for who runs the server; nothing of any one donor
 GET  /v1/openapi.json, /v1/problems/{code}   what there is, and what the codes of errors mean
============================================ ==================================================

No request is logged. Every error is a problem document with a code.
"""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

from sfumato.donation.messages import Refusal
from sfumato.donation.messages.receipt import RECEIPT_MEDIA_TYPE
from sfumato.donation.messages.report import MEDIA_TYPE
from sfumato.donation.serving.answering import (
    JSON,
    TEXT,
    Answer,
    Receive,
    Scope,
    Send,
    send_answer,
)
from sfumato.donation.serving.counters import Counters, in_hundreds
from sfumato.donation.serving.description import describe_interface
from sfumato.donation.serving.group_commit import GroupCommit, StoreBusy
from sfumato.donation.serving.ingest import Ingest
from sfumato.donation.serving.limits import AddressLimits, Limits
from sfumato.donation.serving.problems import (
    PROBLEM_MEDIA_TYPE,
    PROBLEM_PATH,
    PROBLEMS,
    Problem,
    refused,
)
from sfumato.donation.storage import Outcome
from sfumato.errors import EngineError

__all__ = ["DonationApplication"]

_RECEIPT = RECEIPT_MEDIA_TYPE.encode()
_REPORT = MEDIA_TYPE.encode()
_ID_DIGITS = 32
_DIGITS = frozenset("0123456789abcdef")


class DonationApplication:
    """Serves one task of one server.

    Parameters
    ----------
    ingest
        Checks and keeps reports.
    limits
        What one address and all together may ask.
    """

    def __init__(self, ingest: Ingest, limits: Limits | None = None) -> None:
        self.ingest = ingest
        self.counters = Counters()
        self._limits = limits or Limits()
        self._addresses = AddressLimits(self._limits)
        self._commit = GroupCommit(ingest, self._limits.most_waiting, self.counters)
        task_id = ingest.task.task_id.hex()
        self._report_bytes = ingest.task.layout.report_bytes
        self._task_path = f"/v1/tasks/{task_id}"
        self._report_path = f"{self._task_path}/reports/"
        self._path_length = len(self._report_path) + _ID_DIGITS
        self._interface = json.dumps(describe_interface(task_id, self._report_bytes)).encode()
        self._signed = ingest.signed.to_bytes()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection of ASGI 3."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1000})
            return
        await send_answer(send, scope["method"], await self._answer(scope, receive))

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                await self._commit.close()
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def _answer(self, scope: Scope, receive: Receive) -> Answer | None:
        client = scope.get("client")
        if client is not None:
            wait = self._addresses.wait(client[0], time.monotonic())
            if wait:
                retry = ((b"retry-after", str(wait).encode()),)
                return self._problem(
                    Problem("too-many-requests", f"try again in {wait} seconds", retry)
                )
        path: str = scope["path"]
        if path.startswith(self._report_path) and len(path) == self._path_length:
            digits = path[-_ID_DIGITS:]
            if _DIGITS.issuperset(digits):
                return await self._donate(scope, receive, digits)
        return await self._tell(scope["method"], path)

    # -- donating ----------------------------------------------------------------------------

    async def _donate(self, scope: Scope, receive: Receive, digits: str) -> Answer | None:
        problem = self._unfit(scope)
        if problem is not None:
            return self._problem(problem)
        try:
            body = await self._body(receive)
        except TimeoutError:
            seconds = self._limits.body_seconds
            return self._problem(Problem("request-timeout", f"send it within {seconds:g} seconds"))
        if body is None:
            return None
        try:
            report = self.ingest.check(body, bytes.fromhex(digits))
            outcome, receipt = await self._commit.put(report)
        except Refusal as refusal:
            return self._problem(refused(refusal))
        except StoreBusy as error:
            return self._problem(Problem("busy", str(error), ((b"retry-after", b"1"),)))
        except EngineError:
            detail = "the server's store refuses; nothing was acknowledged, so send it again later"
            retry = ((b"retry-after", b"60"),)
            return self._problem(Problem("store-unavailable", detail, retry))
        self.counters.answered(outcome.value)
        return 201 if outcome is Outcome.STORED else 200, _RECEIPT, receipt.to_bytes(), ()

    def _unfit(self, scope: Scope) -> Problem | None:
        """Return what is wrong with a request before its body is read."""
        if scope["method"] != "PUT":
            return _wrong_method("PUT")
        media = length = encoding = None
        for name, value in scope["headers"]:
            if name == b"content-length":
                length = value
            elif name == b"content-type":
                media = value
            elif name == b"content-encoding":
                encoding = value
        if (media or b"").lower() != _REPORT or encoding is not None:
            return Problem("unsupported-media-type", f"send {MEDIA_TYPE}, not compressed")
        if length is None or not length.isdigit():
            return Problem("length-required", f"send content-length: {self._report_bytes}")
        # compared by digits first: a number of a million digits is not read
        if len(length) > 10 or int(length) > self._report_bytes:
            return Problem("too-large", f"a report of this task has {self._report_bytes} bytes")
        return None

    async def _body(self, receive: Receive) -> bytes | None:
        """Return the body, or None if the client has gone."""
        parts: list[bytes] = []
        size = 0
        # the first piece too: who sends a head and nothing else must not hold a connection
        async with asyncio.timeout(self._limits.body_seconds):
            while (message := await receive())["type"] == "http.request":
                parts.append(message.get("body", b""))
                size += len(parts[-1])
                if not message.get("more_body") or size > self._report_bytes:
                    return b"".join(parts)
        return None

    # -- telling -----------------------------------------------------------------------------

    async def _tell(self, method: str, path: str) -> Answer:
        known = {
            self._task_path: self._tell_task,
            f"{self._task_path}/status": self._tell_status,
            "/v1/health": self._tell_health,
            "/v1/metrics": self._tell_metrics,
            "/v1/openapi.json": lambda: (200, JSON, self._interface, ()),
        }
        tell = known.get(path)
        code = path.removeprefix(PROBLEM_PATH) if path.startswith(PROBLEM_PATH) else ""
        if tell is None and code not in PROBLEMS:
            return self._problem(Problem("not-found", "see /v1/openapi.json for what there is"))
        if method not in {"GET", "HEAD"}:
            return self._problem(_wrong_method("GET, HEAD"))
        if tell is None:
            status, title = PROBLEMS[code]
            return 200, JSON, _json({"code": str(code), "status": status, "title": title}), ()
        try:
            # the store is asked, and may be busy with a group
            return await asyncio.get_running_loop().run_in_executor(None, tell)
        except EngineError:
            retry = ((b"retry-after", b"60"),)
            return self._problem(Problem("store-unavailable", "the server's store refuses", retry))

    def _tell_task(self) -> Answer:
        return 200, JSON, self._signed, ()

    def _tell_status(self) -> Answer:
        ingest = self.ingest
        round_number = ingest.store.round_number
        values = {
            "task_id": ingest.task.task_id.hex(),
            "server": ingest.server,
            "round": round_number,
            "accepting": ingest.accepting,
            "donations": in_hundreds(ingest.store.count(round_number)),
            "n_min": ingest.task.n_min,
        }
        return 200, JSON, _json(values), ()

    def _tell_health(self) -> Answer:
        if self.counters.healthy:
            return 200, JSON, _json({"status": "ok"}), ()
        return self._problem(Problem("store-unavailable", "the store refused the last reports"))

    def _tell_metrics(self) -> Answer:
        text = self.counters.to_text(self.ingest.store.round_number)
        return 200, TEXT, text.encode(), ()

    def _problem(self, problem: Problem) -> Answer:
        self.counters.answered(str(problem.code))
        return problem.status, PROBLEM_MEDIA_TYPE, problem.to_json(), problem.headers


def _wrong_method(allowed: str) -> Problem:
    return Problem("method-not-allowed", f"allowed: {allowed}", ((b"allow", allowed.encode()),))


def _json(values: dict[str, Any]) -> bytes:
    return json.dumps(values).encode()
