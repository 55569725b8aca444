"""What an application of ASGI answers, and how it is sent."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

__all__ = ["JSON", "TEXT", "Answer", "Receive", "Scope", "Send", "send_answer"]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

Answer = tuple[int, bytes, bytes, tuple[tuple[bytes, bytes], ...]]
"""Status, media type, body, and further headers."""

JSON = b"application/json"
TEXT = b"text/plain; version=0.0.4; charset=utf-8"


async def send_answer(send: Send, method: str, answer: Answer | None) -> None:
    """Send an answer, without its body to ``HEAD``; None if the client has gone."""
    if answer is None:
        return
    status, media, body, headers = answer
    start = [
        (b"content-type", media),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        *headers,
    ]
    await send({"type": "http.response.start", "status": status, "headers": start})
    shown = b"" if method == "HEAD" else body
    await send({"type": "http.response.body", "body": shown})
