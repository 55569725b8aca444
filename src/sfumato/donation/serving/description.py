"""The interface in the words of OpenAPI 3.1, so that others can build and test clients."""

from __future__ import annotations

from typing import Any

from sfumato.donation.messages.receipt import RECEIPT_MEDIA_TYPE
from sfumato.donation.messages.report import MEDIA_TYPE
from sfumato.donation.serving.problems import PROBLEM_MEDIA_TYPE, PROBLEMS

__all__ = ["describe_interface"]


def describe_interface(task_id: str, report_bytes: int) -> dict[str, Any]:
    """Return the description of a server's interface.

    Parameters
    ----------
    task_id
        The task, as hexadecimal digits.
    report_bytes
        Length of its reports.
    """
    task = {
        "name": "task",
        "in": "path",
        "required": True,
        "schema": {"type": "string", "enum": [task_id]},
    }
    report = {
        "name": "report",
        "in": "path",
        "required": True,
        "schema": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
    }
    receipt = {
        "description": "A receipt: 126 bytes, signed by this server",
        "content": {RECEIPT_MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}},
    }
    body = {"type": "string", "format": "binary"}
    put = {
        "operationId": "donate",
        "summary": f"Send a report of {report_bytes} bytes; the same one may be sent again",
        "parameters": [task, report],
        "requestBody": {"required": True, "content": {MEDIA_TYPE: {"schema": body}}},
        "responses": {
            "200": {**receipt, "description": "Stored before: the same receipt again"},
            "201": receipt,
            **_problems(400, 403, 404, 408, 409, 411, 413, 415, 429, 503),
        },
    }
    signed = {"type": "object", "required": ["configuration", "signatures"]}
    status = {
        "type": "object",
        "required": ["task_id", "server", "round", "accepting", "donations", "n_min"],
        "properties": {
            "task_id": {"type": "string"},
            "server": {"type": "integer"},
            "round": {"type": "integer"},
            "accepting": {"type": "boolean"},
            "donations": {"type": "integer", "multipleOf": 100},
            "n_min": {"type": "integer"},
        },
    }
    health = {"type": "object", "required": ["status"]}
    return {
        "openapi": "3.1.0",
        "info": {"title": "sfumato donation server", "version": "1"},
        "paths": {
            "/v1/tasks/{task}/reports/{report}": {"put": put},
            "/v1/tasks/{task}": {"get": _get("task", signed, [task])},
            "/v1/tasks/{task}/status": {"get": _get("status", status, [task])},
            "/v1/health": {"get": _get("health", health, [])},
            "/v1/metrics": {"get": _get("metrics", None, [])},
        },
    }


def _get(name: str, schema: dict[str, Any] | None, parameters: list[Any]) -> dict[str, Any]:
    media = "application/json" if schema else "text/plain"
    content = {media: {"schema": schema or {"type": "string"}}}
    return {
        "operationId": name,
        "parameters": parameters,
        "responses": {
            "200": {"description": f"The {name}", "content": content},
            **_problems(404, 429, 503),
        },
    }


def _problems(*statuses: int) -> dict[str, Any]:
    schema = {"type": "object", "required": ["type", "title", "status", "detail", "code"]}
    content = {PROBLEM_MEDIA_TYPE.decode(): {"schema": schema}}
    titles: dict[int, list[str]] = {}
    for status, title in PROBLEMS.values():
        titles.setdefault(status, []).append(title)
    return {
        str(status): {"description": "; or: ".join(titles[status]), "content": content}
        for status in statuses
    }
