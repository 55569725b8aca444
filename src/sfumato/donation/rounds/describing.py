"""The interface of rounds in the words of OpenAPI 3.1."""

from __future__ import annotations

from typing import Any

from sfumato.donation.rounds.states import RoundState
from sfumato.donation.serving.problems import PROBLEM_MEDIA_TYPE

__all__ = ["describe_rounds"]

_COUNT = {"type": "integer", "minimum": 0}


def describe_rounds(task_id: str) -> dict[str, Any]:
    """Return the paths that are about rounds.

    Parameters
    ----------
    task_id
        The task, as hexadecimal digits.
    """
    task = _parameter("task", {"type": "string", "enum": [task_id]})
    number = _parameter("number", {"type": "integer", "minimum": 0, "maximum": 2**32 - 1})
    properties = {
        "state": {"type": "string", "enum": [state.value for state in RoundState]},
        "round": _COUNT,
        "received": _COUNT,
        "accepted": _COUNT,
        "error": {"type": "string"},
    }
    required = ["state", "round", "received", "accepted"]
    status = {"type": "object", "required": required, "properties": properties}
    of_task = {
        "type": "object",
        "required": [*required, "open_round", "task_id", "server", "accepting", "n_min"],
        "properties": {
            **properties,
            "open_round": _COUNT,
            "task_id": {"type": "string"},
            "server": {"type": "integer"},
            "accepting": {"type": "boolean"},
            "n_min": _COUNT,
        },
    }
    order = {
        "type": "object",
        "required": ["round", "time", "signature"],
        "additionalProperties": False,
        "properties": {
            "round": {"type": "integer", "minimum": 0, "maximum": 2**32 - 1},
            "time": _COUNT,
            "signature": {"type": "string", "pattern": "^([0-9a-f]{2})*$"},
        },
    }
    told = {"description": "The round", "content": {"application/json": {"schema": status}}}
    close = {
        "operationId": "close",
        "summary": "The researcher's signed order to close a round and release it",
        "parameters": [task],
        "requestBody": {"required": True, "content": {"application/json": {"schema": order}}},
        "responses": {"200": told, "202": told, **_problems(400, 403, 405, 408, 413, 429, 503)},
    }
    octets = {"schema": {"type": "string", "format": "binary"}}
    bundle = {"description": "The bundle", "content": {"application/octet-stream": octets}}
    one_task = {
        "description": "The round ordered last, or the open one",
        "content": {"application/json": {"schema": of_task}},
    }
    path = "/v1/tasks/{task}"
    return {
        f"{path}/close": {"post": close},
        f"{path}/status": {"get": _get("status", one_task, [task])},
        f"{path}/rounds/{{number}}": {"get": _get("round", told, [task, number])},
        f"{path}/rounds/{{number}}/bundle": {"get": _get("bundle", bundle, [task, number])},
    }


def _parameter(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _get(name: str, answer: dict[str, Any], parameters: list[Any]) -> dict[str, Any]:
    return {
        "operationId": name,
        "parameters": parameters,
        "responses": {"200": answer, **_problems(404, 429, 503)},
    }


def _problems(*statuses: int) -> dict[str, Any]:
    schema = {"type": "object", "required": ["type", "title", "status", "detail", "code"]}
    content = {PROBLEM_MEDIA_TYPE.decode(): {"schema": schema}}
    return {str(s): {"description": "A problem document", "content": content} for s in statuses}
