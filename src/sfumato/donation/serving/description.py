"""The interface in the words of OpenAPI 3.1, so that others can build and test clients.

Every path that a server answers is here, with every status that it can give. What no path has is
404, and a method that a path does not know is 405 with the ones that it does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sfumato.donation.messages.receipt import RECEIPT_MEDIA_TYPE
from sfumato.donation.messages.report import MEDIA_TYPE
from sfumato.donation.serving.problems import PROBLEM_MEDIA_TYPE, PROBLEMS, problem_type

__all__ = ["describe_interface", "describe_rounds"]

Values = dict[str, Any]

_COUNT: Values = {"type": "integer", "minimum": 0}
_ROUND: Values = {"type": "integer", "minimum": 0, "maximum": 2**32 - 1}
_TEXT: Values = {"type": "string"}
_OCTETS: Values = {"type": "string", "format": "binary"}
_SERVER: Values = {"type": "integer", "minimum": 0, "maximum": 2}


def describe_interface(task_id: str, report_bytes: int) -> Values:
    """Return the description of a server that takes reports.

    Parameters
    ----------
    task_id
        The task, as hexadecimal digits.
    report_bytes
        Length of its reports.
    """
    task = _task(task_id)
    report = _parameter("report", {"type": "string", "pattern": "^[0-9a-f]{32}$"})
    code = _parameter("code", {"type": "string", "enum": [str(code) for code in PROBLEMS]})
    receipt = {
        "description": "A receipt: 287 bytes, signed by this server",
        "content": {RECEIPT_MEDIA_TYPE: {"schema": _OCTETS}},
    }
    put = {
        "operationId": "donate",
        "summary": f"Send a report of {report_bytes} bytes; the same one may be sent again",
        "parameters": [task, report],
        "requestBody": {"required": True, "content": {MEDIA_TYPE: {"schema": _OCTETS}}},
        "responses": {
            "200": {**receipt, "description": "Stored before: a receipt that says the same"},
            "201": receipt,
            **_problems(400, 403, 404, 408, 409, 411, 413, 415, 429, 503),
        },
    }
    signed = _object({"configuration": {"type": "object"}, "signatures": {"type": "array"}})
    status = _object(
        {
            "task_id": _TEXT,
            "server": _SERVER,
            "round": _COUNT,
            "accepting": {"type": "boolean"},
            "donations": {"type": "integer", "multipleOf": 100},
            "n_min": _COUNT,
        }
    )
    health = _object({"status": {"type": "string", "enum": ["ok"]}})
    meaning = _object({"code": _TEXT, "status": _COUNT, "title": _TEXT})
    return {
        "openapi": "3.1.0",
        "info": {"title": "sfumato donation server", "version": "1"},
        "paths": {
            "/v1/tasks/{task}/reports/{report}": {"put": put},
            "/v1/tasks/{task}": _told("task", [task], _json(signed), 404),
            "/v1/tasks/{task}/status": _told("status", [task], _json(status), 404, 503),
            "/v1/health": _told("health", [], _json(health), 503),
            "/v1/metrics": _told("metrics", [], {"text/plain": {"schema": _TEXT}}, 503),
            "/v1/openapi.json": _told("interface", [], _json({"type": "object"})),
            "/v1/problems/{code}": _told("problem", [code], _json(meaning), 404),
        },
    }


def describe_rounds(task_id: str, states: Sequence[str]) -> Values:
    """Return the paths that are about rounds.

    Parameters
    ----------
    task_id
        The task, as hexadecimal digits.
    states
        The names of a round's states.
    """
    task = _task(task_id)
    number = _parameter("number", _ROUND)
    values = {
        "state": {"type": "string", "enum": list(states)},
        "round": _COUNT,
        "received": _COUNT,
        "accepted": _COUNT,
    }
    wrong = {
        "error": _TEXT,
        "problem": {"type": "string", "enum": [problem_type(code) for code in PROBLEMS]},
    }
    status = _object(values, wrong)
    of_task = {
        "open_round": _COUNT,
        "task_id": _TEXT,
        "server": _SERVER,
        "accepting": {"type": "boolean"},
        "n_min": _COUNT,
    }
    order = _object(
        {
            "round": _ROUND,
            "time": {"type": "integer", "minimum": 0, "maximum": 2**63 - 1},
            "signature": {"type": "string", "pattern": "^([0-9a-f]{2})*$", "maxLength": 1024},
        }
    )
    one = {"description": "The round", "content": _json(status), "links": _LINKS}
    close = {
        "operationId": "close",
        "summary": "The researcher's signed order to close a round and release it",
        "parameters": [task],
        "requestBody": {
            "required": True,
            "content": _json({**order, "additionalProperties": False}),
        },
        "responses": {
            "200": {**one, "description": "The order is known, and the round is tried again"},
            "202": {**one, "description": "The order is on this server's disk"},
            **_problems(400, 403, 404, 408, 413, 429, 503),
        },
    }
    path = "/v1/tasks/{task}"
    told = _told("status", [task], _json(_object({**values, **of_task}, wrong)), 404, 503)
    told["get"]["responses"]["200"]["links"] = _LINKS
    octets = {"application/octet-stream": {"schema": _OCTETS}}
    return {
        f"{path}/close": {"post": close},
        f"{path}/status": told,
        f"{path}/rounds/{{number}}": _told("round", [task, number], _json(status), 404, 503),
        f"{path}/rounds/{{number}}/bundle": _told("bundle", [task, number], octets, 404, 503),
    }


def _link(operation: str) -> Values:
    parameters = {"task": "$request.path.task", "number": "$response.body#/round"}
    return {"operationId": operation, "parameters": parameters}


_LINKS: Values = {"round": _link("round"), "bundle": _link("bundle")}


def _told(name: str, parameters: list[Values], content: Values, *problems: int) -> Values:
    """Return the two operations of a path that is read."""
    wrong = _problems(*problems, 429)
    silent = {status: {"description": each["description"]} for status, each in wrong.items()}
    found = {"description": f"The {name}"}
    return {
        "get": {
            "operationId": name,
            "parameters": parameters,
            "responses": {"200": {**found, "content": content}, **wrong},
        },
        "head": {
            "operationId": f"{name}-head",
            "parameters": parameters,
            "responses": {"200": found, **silent},
        },
    }


def _task(task_id: str) -> Values:
    return _parameter("task", {"type": "string", "enum": [task_id]})


def _parameter(name: str, schema: Values) -> Values:
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _object(required: Values, optional: Values | None = None) -> Values:
    properties = {**required, **(optional or {})}
    return {"type": "object", "required": list(required), "properties": properties}


def _json(schema: Values) -> Values:
    return {"application/json": {"schema": schema}}


def _problems(*statuses: int) -> Values:
    """Return what is answered with these statuses: problem documents (RFC 9457)."""
    codes: dict[int, list[str]] = {}
    for code, (status, _) in PROBLEMS.items():
        codes.setdefault(status, []).append(str(code))
    found = {}
    for status in sorted(set(statuses)):
        schema = _object(
            {
                "type": {"type": "string", "format": "uri-reference"},
                "title": _TEXT,
                "status": {"type": "integer", "enum": [status]},
                "detail": _TEXT,
                "code": {"type": "string", "enum": codes[status]},
            }
        )
        found[str(status)] = {
            "description": "; or: ".join(PROBLEMS[code][1] for code in codes[status]),
            "content": {PROBLEM_MEDIA_TYPE.decode(): {"schema": schema}},
        }
        if status in {429, 503}:
            retry = {"description": "Seconds until it may be asked again", "schema": _COUNT}
            found[str(status)]["headers"] = {"Retry-After": retry}
    return found
